/* SPDX-License-Identifier: MIT */
/*
 * The pool of pieces against a model: an array of what was put where. Frames are few, so puts fail too.
 */
#include "swap/zpool.h"

#include <string.h>

#include "base/lock.h"
#include "harness/space.h"

enum { MOST = 4000, BLOCKS = 64, FRAMES = BLOCKS * KMM_ZBLOCK_FRAMES };

struct piece { uint32_t handle; uint16_t size; uint8_t fill; };

static struct kmm_zblock blocks[BLOCKS];
static struct piece piece[MOST];
static uint8_t bytes[KMM_ZPIECE_MOST];

static uint32_t below(uint64_t *rng, uint32_t n) { return (uint32_t)(kmm_test_rand(rng) >> 16) % n; }

static void start(struct space *s, struct kmm_zpool *pool, enum kmm_format_id format)
{
	CALL(space_start(s, format));
	memset(blocks, 0, sizeof(blocks));
	memset(piece, 0, sizeof(piece));
	CHECK(sizeof(blocks) >= kmm_zpool_state_size(FRAMES));
	CHECK_OK(kmm_zpool_init(s->k, pool, blocks, FRAMES));
	CHECK_EQ(pool->nr_frames, KMM_ZPOOL_SPARE * KMM_ZBLOCK_FRAMES);
}

static void check(struct space *s, struct kmm_zpool *pool)
{
	struct hosted_text text;
	unsigned bad = kmm_zpool_check(s->k, pool, hosted_text_init(&text));

	if (bad)
		printf("%s", text.text);
	hosted_text_free(&text);
	CHECK_EQ(bad, 0);
}

static void put(struct space *s, struct kmm_zpool *pool, unsigned i, unsigned size)
{
	piece[i] = (struct piece){ .size = (uint16_t)size, .fill = (uint8_t)(i * 7 + size) };
	memset(bytes, piece[i].fill, size);
	piece[i].handle = kmm_zpool_put(s->k, pool, i, bytes, size);
}

static void verify(struct space *s, struct kmm_zpool *pool, unsigned i)
{
	uint32_t key = 0;

	CHECK_EQ(kmm_zpool_get(s->k, pool, piece[i].handle, bytes), piece[i].size);
	for (unsigned at = 0; at < piece[i].size; at++)
		CHECK_EQ(bytes[at], piece[i].fill);
	CHECK(kmm_zpool_key(s->k, pool, piece[i].handle, &key));
	CHECK_EQ(key, i);
}

static void drop(struct space *s, struct kmm_zpool *pool, unsigned i)
{
	CALL(verify(s, pool, i));
	kmm_zpool_free(s->k, pool, piece[i].handle);
	piece[i].handle = 0;
}

static void drop_all(struct space *s, struct kmm_zpool *pool)
{
	for (unsigned i = 0; i < MOST; i++)
		if (piece[i].handle)
			CALL(drop(s, pool, i));
	CALL(check(s, pool));
	CHECK_EQ(pool->nr_frames, KMM_ZPOOL_SPARE * KMM_ZBLOCK_FRAMES);
	kmm_zpool_fini(s->k, pool);
	CALL(space_stop(s));
}

/* Sizes of all classes come and go, with the pool full at times. */
KMM_TEST(zpool_against_a_model)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		uint64_t rng = kmm_test_seed();
		unsigned refused = 0;
		struct kmm_zpool pool;
		struct space s;

		CALL(start(&s, &pool, space_formats[f]));
		for (unsigned n = 0; n < 12000; n++) {
			unsigned i = below(&rng, MOST);

			if (piece[i].handle) {
				CALL(drop(&s, &pool, i));
				continue;
			}
			put(&s, &pool, i, 1 + below(&rng, n % 3 ? 1600 : KMM_ZPIECE_MOST));
			refused += piece[i].handle == 0;
			if (n % 2000 == 0)
				CALL(check(&s, &pool));
		}
		CHECK(refused > 0);
		CHECK(pool.nr_frames <= FRAMES);
		CALL(drop_all(&s, &pool));
	}
}

/* How much of a full pool's frames its users' bytes are: what is lost to headers, sizes of classes and blocks' ends. */
KMM_TEST(zpool_wastes_little)
{
	uint64_t rng = kmm_test_seed();
	struct kmm_zpool pool;
	unsigned i = 0;
	struct space s;

	CALL(start(&s, &pool, KMM_X86_64));
	do
		put(&s, &pool, i, 400 + below(&rng, 2400));
	while (piece[i].handle && ++i < MOST);
	CHECK(i < MOST);
	CHECK_EQ(pool.nr_frames, FRAMES);
	CHECK(pool.nr_bytes > (kmm_word)FRAMES * KMM_PAGE_SIZE / 100 * 85);
	CALL(drop_all(&s, &pool));
}

/* The oldest block is named until it is empty, then the next; a renewed one is the last. */
KMM_TEST(zpool_ages)
{
	const unsigned per_block = 16, size = 2000;
	struct kmm_zpool pool;
	struct space s;
	uint32_t key;

	CALL(start(&s, &pool, KMM_I386_PAE));
	CHECK(!kmm_zpool_oldest(s.k, &pool, &key));
	for (unsigned i = 0; i < 3 * per_block; i++)
		put(&s, &pool, i, size);
	kmm_zpool_renew(s.k, &pool, piece[0].handle);
	for (unsigned block = 1; block <= 3; block++)
		for (unsigned i = 0; i < per_block; i++) {
			CHECK(kmm_zpool_oldest(s.k, &pool, &key));
			CHECK_EQ(key / per_block, block % 3);
			CALL(drop(&s, &pool, key));
		}
	CALL(drop_all(&s, &pool));
}

/* Every frame that it asks for is refused once: the spare blocks serve, and then nothing does; and nothing is lost. */
KMM_TEST(zpool_without_memory)
{
	struct kmm_zpool pool;
	struct space s;

	CALL(start(&s, &pool, KMM_I386));
	for (unsigned i = 0; i <= KMM_ZPOOL_SPARE; i++) {
		kmm_fail_nth(s.k, i < KMM_ZBLOCK_FRAMES ? i + 1 : 1);
		put(&s, &pool, i, KMM_ZPIECE_MOST - 400 * i); /* each of another class */
		kmm_fail_nth(s.k, 0);
		CHECK_EQ(piece[i].handle != 0, i < KMM_ZPOOL_SPARE);
		CHECK_EQ(pool.nr_frames, KMM_ZPOOL_SPARE * KMM_ZBLOCK_FRAMES);
		CALL(check(&s, &pool));
	}
	CALL(drop_all(&s, &pool));
}

KMM_TEST(zpool_start_without_memory)
{
	for (unsigned n = 1; n <= KMM_ZPOOL_SPARE * KMM_ZBLOCK_FRAMES; n++) {
		struct kmm_zpool pool;
		struct space s;

		CALL(space_start(&s, KMM_X86_64));
		memset(blocks, 0, sizeof(blocks));
		kmm_fail_nth(s.k, n);
		CHECK_EQ(kmm_zpool_init(s.k, &pool, blocks, FRAMES), KMM_ENOMEM);
		kmm_fail_nth(s.k, 0);
		CALL(space_stop(&s));
	}
}
