/* SPDX-License-Identifier: MIT */
/*
 * Blocks, pieces and handles (zpool.h has the picture).
 */
#include "swap/zpool.h"

#include "base/mem.h"
#include "kva/kva.h"
#include "phys/alloc.h"

enum { AGE = 16, LOOKS = 8 };

/* Pieces of a block, by class; the largest pieces first. */
static const uint16_t pieces_of[KMM_ZPOOL_CLASSES] = {
	9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 96, 128, 256, 512, 2048
};

_Static_assert((1 << KMM_ZPOOL_PIECE_BITS) == 2048, "a handle has room for any piece of a block");

static size_t size_of(unsigned class_)
{
	return KMM_ZBLOCK_BYTES / pieces_of[class_] & ~(size_t)15;
}

static unsigned class_for(size_t bytes)
{
	unsigned class_ = KMM_ZPOOL_CLASSES - 1;

	while (class_ && size_of(class_) < bytes + sizeof(struct kmm_zpiece))
		class_--;
	return class_;
}

static uint32_t handle_of(const struct kmm_zpool *pool, const struct kmm_zblock *b, unsigned piece)
{
	return (uint32_t)(b - pool->block + 1) << KMM_ZPOOL_PIECE_BITS | piece;
}

static struct kmm_zblock *block_of(struct kmm_zpool *pool, uint32_t handle)
{
	return &pool->block[(handle >> KMM_ZPOOL_PIECE_BITS) - 1];
}

static unsigned piece_of(uint32_t handle)
{
	return handle & ((1u << KMM_ZPOOL_PIECE_BITS) - 1);
}

/* ---- bytes across frames ---- */

/* size bytes of the block from `at` on, to or from `bytes`. */
static void copy(struct kmm *k, const struct kmm_zblock *b, size_t at, void *bytes, size_t size, bool store)
{
	char *other = bytes;

	KMM_ASSERT(k, at + size <= KMM_ZBLOCK_BYTES);
	while (size) {
		struct kmm_page *frame = b->frame[at / KMM_PAGE_SIZE];
		size_t in = at % KMM_PAGE_SIZE, nr = KMM_PAGE_SIZE - in < size ? KMM_PAGE_SIZE - in : size;
		char *view = kmm_view(k, frame);

		memcpy(store ? view + in : other, store ? other : view + in, nr);
		kmm_unview(k, frame, view);
		at += nr;
		other += nr;
		size -= nr;
	}
}

static struct kmm_zpiece header(struct kmm *k, const struct kmm_zblock *b, unsigned piece)
{
	struct kmm_zpiece h;

	copy(k, b, piece * size_of(b->class_), &h, sizeof(h), false);
	return h;
}

static void set_header(struct kmm *k, const struct kmm_zblock *b, unsigned piece, struct kmm_zpiece h)
{
	copy(k, b, piece * size_of(b->class_), &h, sizeof(h), true);
}

/* ---- blocks ---- */

static void give_frames(struct kmm *k, struct kmm_zpool *pool, struct kmm_zblock *b)
{
	for (unsigned i = 0; i < KMM_ZBLOCK_FRAMES; i++) {
		pool->nr_frames -= b->frame[i] != NULL;
		if (b->frame[i])
			kmm_phys_free(k, b->frame[i], 0);
		b->frame[i] = NULL;
	}
}

/* All or none. */
static bool take_frames(struct kmm *k, struct kmm_zpool *pool, struct kmm_zblock *b, kmm_gfp gfp)
{
	const struct kmm_where where = { .node = KMM_NODE_ANY, .nodes = KMM_ALL_NODES, .quiet = true };

	for (unsigned i = 0; i < KMM_ZBLOCK_FRAMES; i++) {
		b->frame[i] = kmm_phys_alloc_at(k, &where, gfp | KMM_GFP_HIGHMEM | KMM_GFP_NOWARN, 0, KMM_KIND_KERNEL,
						"compressed swap");
		if (!b->frame[i]) {
			give_frames(k, pool, b);
			return false;
		}
		pool->nr_frames++;
	}
	return true;
}

static struct kmm_zblock *first_of(struct kmm_list *list)
{
	return kmm_list_empty(list) ? NULL : kmm_container(list->next, struct kmm_zblock, age);
}

static void move_to(struct kmm_list *list, struct kmm_zblock *b)
{
	kmm_list_del(&b->age);
	kmm_list_add_before(list, &b->age);
}

/* One without frames. NULL: there are as many as may be. */
static struct kmm_zblock *idle_block(struct kmm_zpool *pool)
{
	struct kmm_zblock *b = first_of(&pool->idle);

	if (b || pool->nr_made == pool->nr_blocks)
		return b;
	b = &pool->block[pool->nr_made++];
	kmm_list_init(&b->room);
	kmm_list_init(&b->age);
	kmm_list_add_before(&pool->idle, &b->age);
	return b;
}

static struct kmm_zblock *new_block(struct kmm *k, struct kmm_zpool *pool, unsigned class_)
{
	struct kmm_zblock *b = idle_block(pool);

	if (!b || !take_frames(k, pool, b, KMM_GFP_HIGH)) {
		b = first_of(&pool->spare);
		if (!b)
			return NULL;
		pool->nr_spare--;
	}
	b->nr_used = b->nr_cut = b->free = 0;
	b->class_ = (uint16_t)class_;
	move_to(&pool->used, b);
	kmm_list_add_before(&pool->room[class_], &b->room);
	return b;
}

static void retire_block(struct kmm *k, struct kmm_zpool *pool, struct kmm_zblock *b)
{
	kmm_list_del(&b->room);
	if (pool->nr_spare < KMM_ZPOOL_SPARE) {
		pool->nr_spare++;
		move_to(&pool->spare, b);
		return;
	}
	give_frames(k, pool, b);
	move_to(&pool->idle, b);
}

/* ---- pieces ---- */

static unsigned take_piece(struct kmm *k, struct kmm_zblock *b)
{
	unsigned piece = b->nr_cut;

	KMM_ASSERT(k, b->nr_used < pieces_of[b->class_]);
	if (b->free) {
		piece = b->free - 1u;
		b->free = header(k, b, piece).link;
	} else {
		b->nr_cut++;
	}
	if (++b->nr_used == pieces_of[b->class_])
		kmm_list_del(&b->room);
	return piece;
}

/* Pieces that are put together are of one age, so that a piece may get old before ages come round. */
static uint16_t now(const struct kmm_zpool *pool)
{
	return (uint16_t)(pool->clock / AGE);
}

uint32_t kmm_zpool_put(struct kmm *k, struct kmm_zpool *pool, uint32_t key, const void *bytes, size_t size)
{
	unsigned class_ = class_for(size), piece;
	struct kmm_list *room = &pool->room[class_];
	struct kmm_zblock *b;

	KMM_ASSERT(k, size > 0 && size <= KMM_ZPIECE_MOST);
	b = kmm_list_empty(room) ? new_block(k, pool, class_) : kmm_container(room->next, struct kmm_zblock, room);
	if (!b)
		return 0;
	piece = take_piece(k, b);
	set_header(k, b, piece, (struct kmm_zpiece){ key, (uint16_t)size, now(pool) });
	copy(k, b, piece * size_of(class_) + sizeof(struct kmm_zpiece), (void *)(uintptr_t)bytes, size, true);
	pool->clock++;
	pool->nr_pieces++;
	pool->nr_bytes += size;
	return handle_of(pool, b, piece);
}

size_t kmm_zpool_get(struct kmm *k, struct kmm_zpool *pool, uint32_t handle, void *bytes)
{
	struct kmm_zblock *b = block_of(pool, handle);
	unsigned piece = piece_of(handle);
	size_t size = header(k, b, piece).size;

	KMM_ASSERT(k, size != 0 && piece < b->nr_cut);
	copy(k, b, piece * size_of(b->class_) + sizeof(struct kmm_zpiece), bytes, size, false);
	return size;
}

void kmm_zpool_free(struct kmm *k, struct kmm_zpool *pool, uint32_t handle)
{
	struct kmm_zblock *b = block_of(pool, handle);
	unsigned piece = piece_of(handle);
	struct kmm_zpiece h = header(k, b, piece);

	KMM_ASSERT(k, h.size != 0 && b->nr_used != 0);
	pool->nr_pieces--;
	pool->nr_bytes -= h.size;
	set_header(k, b, piece, (struct kmm_zpiece){ .link = b->free });
	b->free = (uint16_t)(piece + 1);
	if (b->nr_used-- == pieces_of[b->class_])
		kmm_list_add_after(&pool->room[b->class_], &b->room);
	if (b->nr_used == 0)
		retire_block(k, pool, b);
}

/* How long ago the block's oldest piece was put; its key. */
static unsigned oldest_in(struct kmm *k, const struct kmm_zpool *pool, const struct kmm_zblock *b, uint32_t *key)
{
	unsigned most = 0;
	bool found = false;

	for (unsigned piece = 0; piece < b->nr_cut; piece++) {
		struct kmm_zpiece h = header(k, b, piece);
		unsigned age = (uint16_t)(now(pool) - h.link);

		if (!h.size || (found && age <= most))
			continue;
		found = true;
		most = age;
		*key = h.key;
	}
	KMM_ASSERT(k, found); /* a used block has a piece in use */
	return most;
}

/* A block that has been the first for long may have lost its old pieces and got young ones. */
bool kmm_zpool_oldest(struct kmm *k, struct kmm_zpool *pool, uint32_t *key)
{
	struct kmm_zblock *b = first_of(&pool->used);

	if (!b)
		return false;
	for (unsigned i = 0; i < LOOKS && b->age.next != &pool->used; i++) {
		struct kmm_zblock *next = kmm_container(b->age.next, struct kmm_zblock, age);

		if (oldest_in(k, pool, b, key) >= oldest_in(k, pool, next, key))
			break;
		move_to(&pool->used, b);
		b = next;
	}
	oldest_in(k, pool, b, key);
	return true;
}

void kmm_zpool_renew(struct kmm *k, struct kmm_zpool *pool, uint32_t handle)
{
	struct kmm_zblock *b = block_of(pool, handle);

	for (unsigned piece = 0; piece < b->nr_cut; piece++) {
		struct kmm_zpiece h = header(k, b, piece);

		h.link = h.size ? now(pool) : h.link;
		set_header(k, b, piece, h);
	}
	move_to(&pool->used, b);
}

/* ---- the pool ---- */

size_t kmm_zpool_state_size(kmm_word nr_frames)
{
	kmm_word nr = nr_frames / KMM_ZBLOCK_FRAMES;

	nr = nr < KMM_ZPOOL_SPARE ? KMM_ZPOOL_SPARE : nr < KMM_ZPOOL_BLOCKS ? nr : KMM_ZPOOL_BLOCKS - 1;
	return (size_t)nr * sizeof(struct kmm_zblock);
}

enum kmm_status kmm_zpool_init(struct kmm *k, struct kmm_zpool *pool, void *blocks, kmm_word nr_frames)
{
	*pool = (struct kmm_zpool){ .block = blocks };
	pool->nr_blocks = (uint32_t)(kmm_zpool_state_size(nr_frames) / sizeof(struct kmm_zblock));
	kmm_list_init(&pool->used);
	kmm_list_init(&pool->spare);
	kmm_list_init(&pool->idle);
	for (unsigned i = 0; i < KMM_ZPOOL_CLASSES; i++)
		kmm_list_init(&pool->room[i]);
	for (unsigned i = 0; i < KMM_ZPOOL_SPARE; i++) {
		struct kmm_zblock *b = idle_block(pool);

		if (!take_frames(k, pool, b, KMM_GFP_KERNEL)) {
			kmm_zpool_fini(k, pool);
			return KMM_ENOMEM;
		}
		move_to(&pool->spare, b);
		pool->nr_spare++;
	}
	return KMM_OK;
}

void kmm_zpool_fini(struct kmm *k, struct kmm_zpool *pool)
{
	KMM_ASSERT(k, pool->nr_pieces == 0);
	for (uint32_t i = 0; i < pool->nr_made; i++)
		give_frames(k, pool, &pool->block[i]);
}

/* ---- checker ---- */

bool kmm_zpool_key(struct kmm *k, struct kmm_zpool *pool, uint32_t handle, uint32_t *key)
{
	uint32_t block = handle >> KMM_ZPOOL_PIECE_BITS;
	struct kmm_zpiece h;

	if (block == 0 || block > pool->nr_made || piece_of(handle) >= pool->block[block - 1].nr_cut)
		return false;
	h = header(k, &pool->block[block - 1], piece_of(handle));
	*key = h.key;
	return h.size != 0;
}

/* Pieces in use of a used block; their bytes are added. */
static unsigned count_block(struct kmm *k, const struct kmm_zblock *b, kmm_word *bytes)
{
	unsigned nr = 0;

	for (unsigned piece = 0; piece < b->nr_cut; piece++) {
		struct kmm_zpiece h = header(k, b, piece);

		nr += h.size != 0;
		*bytes += h.size;
	}
	return nr;
}

static unsigned count_free(struct kmm *k, const struct kmm_zblock *b)
{
	unsigned nr = 0;

	for (unsigned at = b->free; at && nr <= b->nr_cut; at = header(k, b, at - 1).link)
		nr++;
	return nr;
}

static unsigned complain(struct kmm_sink *out, const char *what, kmm_word a, kmm_word b)
{
	if (a == b)
		return 0;
	if (out)
		kmm_printf(out, "compressed swap: %s (%llu, %llu)\n", what, (unsigned long long)a, (unsigned long long)b);
	return 1;
}

unsigned kmm_zpool_check(struct kmm *k, struct kmm_zpool *pool, struct kmm_sink *out)
{
	kmm_word frames = pool->nr_spare * (kmm_word)KMM_ZBLOCK_FRAMES, pieces = 0, bytes = 0;
	unsigned bad = 0;

	for (struct kmm_list *l = pool->used.next; l != &pool->used; l = l->next) {
		const struct kmm_zblock *b = kmm_container(l, struct kmm_zblock, age);
		unsigned nr = count_block(k, b, &bytes);

		bad += complain(out, "a block counts other pieces than it has", b->nr_used, nr);
		bad += complain(out, "a block has lost free pieces", count_free(k, b), b->nr_cut - nr);
		bad += complain(out, "a block with room is not known for it, or one without is",
				kmm_list_empty(&b->room), b->nr_used == pieces_of[b->class_]);
		pieces += nr;
		frames += KMM_ZBLOCK_FRAMES;
	}
	bad += complain(out, "frames", pool->nr_frames, frames);
	bad += complain(out, "pieces", pool->nr_pieces, pieces);
	return bad + complain(out, "bytes", pool->nr_bytes, bytes);
}
