/* SPDX-License-Identifier: MIT */
/*
 * One slab: made from frames, objects taken out and given back, frames returned. Knows nothing of callers: to a
 * slab an object is free or not.
 *
 * A slab is in the list that its count says: empty (nothing in use), partial, or in none (nothing free). Objects come from
 * partial slabs first, so that empty ones stay empty and can be given back. A slab that fills up or that gets
 * its first object back costs no look at its neighbours' descriptors.
 */
#include "slab/slab.h"

#include "base/mem.h"
#include "slab/fast.h"

static unsigned count_inuse(uint32_t count) { return count & 0xffff; }
static unsigned count_free(uint32_t count) { return count >> 16; }

static uint32_t load_count(const struct kmm_page *page)
{
	return atomic_load_explicit(&page->count, memory_order_relaxed);
}

static void store_count(struct kmm_page *page, unsigned inuse, unsigned free)
{
	atomic_store_explicit(&page->count, inuse | (uint32_t)free << 16, memory_order_relaxed);
}

unsigned kmm_slab_inuse(const struct kmm_page *page)
{
	return count_inuse(load_count(page));
}

static struct kmm_page *page_at(struct kmm *k, struct kmm_page *head, unsigned distance)
{
	return (struct kmm_page *)(void *)((char *)head + distance * kmm_page_stride(k));
}

/* Constructs the objects and links all slots in ascending order. */
static void fill(struct kmm *k, struct kmm_pool *pool, struct kmm_page *page)
{
	char *base = kmm_slab_base(k, page);
	unsigned i;

	for (i = 0; i < pool->nr_objects; i++) {
		char *slot = base + i * pool->slot;
		struct kmm_free *free = kmm_slot_free(pool, slot);

		if (pool->flags & KMM_CACHE_DEBUG)
			kmm_debug_init_slot(pool, slot);
		if (pool->ctor)
			pool->ctor(slot + pool->front);
		free->next = i + 1u < pool->nr_objects ? ((i + 1) * pool->slot >> 3) + 1 : 0;
		free->mark = KMM_FREE_MARK;
	}
	store_count(page, 0, 1);
}

/* A slab with all objects free, in no list yet. NULL: out of memory. context: as gfp says; no locks. */
struct kmm_page *kmm_slab_new(struct kmm *k, struct kmm_pool *pool, kmm_gfp gfp)
{
	struct kmm_page *page;
	unsigned i;

	gfp &= ~(kmm_gfp)(KMM_SLAB_BAD_GFP | KMM_GFP_ZERO);
	gfp |= KMM_GFP_COMP | (pool->flags & KMM_CACHE_DMA ? KMM_GFP_DMA : 0);
	page = kmm_phys_alloc(k, gfp, pool->order, KMM_KIND_SLAB, "slab");
	if (!page)
		return NULL;
	kmm_set_pool(k, page, pool);
	for (i = 1; i < 1u << pool->order; i++)
		page_at(k, page, i)->a = i;
	fill(k, pool, page);
	return page;
}

/* Lock held. */
void kmm_slab_add(struct kmm *k, struct kmm_pool *pool, struct kmm_page *page)
{
	KMM_ASSERT_HELD(k, &pool->lock);
	KMM_ASSERT(k, count_inuse(load_count(page)) == 0);
	kmm_page_list_add(k, &pool->empty, page);
	pool->nr_slabs++;
}

/* Gives an empty slab's frames back. It is in no list. */
static void delete(struct kmm *k, struct kmm_pool *pool, struct kmm_page *page)
{
	unsigned i;

	KMM_ASSERT(k, count_inuse(load_count(page)) == 0);
	for (i = 1; i < 1u << pool->order; i++)
		page_at(k, page, i)->a = 0;
	kmm_phys_free(k, page, pool->order);
}

void kmm_slab_delete_list(struct kmm *k, struct kmm_pool *pool, struct kmm_page_list *dead)
{
	struct kmm_page *page;

	while ((page = kmm_page_list_first(k, dead))) {
		kmm_page_list_del(k, dead, page);
		delete(k, pool, page);
	}
}

/* Takes nr slots, fewer than or as many as are free, and writes them below `end`, the first one last. */
static void take_from(struct kmm *k, struct kmm_pool *pool, struct kmm_page *page, void **end, unsigned nr)
{
	char *base = kmm_slab_base(k, page);
	uint32_t before = load_count(page), next = count_free(before);
	unsigned i;

	for (i = 0; i < nr; i++) {
		uint32_t offset = (next - 1) << 3;

		KMM_ASSERT(k, kmm_slot_starts_at(pool, offset)); /* else somebody wrote into a free object */
		*--end = base + offset;
		next = kmm_slot_free(pool, base + offset)->next;
	}
	store_count(page, count_inuse(before) + nr, next);
}

unsigned kmm_slab_take(struct kmm *k, struct kmm_pool *pool, void **out, unsigned max)
{
	unsigned left = max;

	KMM_CHECK_HELD(k, &pool->lock);
	while (left) {
		struct kmm_page_list *from = pool->partial.nr ? &pool->partial : &pool->empty;
		struct kmm_page *page = kmm_page_list_first(k, from);
		unsigned inuse, nr;

		if (!page)
			break;
		inuse = count_inuse(load_count(page));
		KMM_ASSERT(k, inuse < pool->nr_objects);
		nr = pool->nr_objects - inuse < left ? pool->nr_objects - inuse : left;
		take_from(k, pool, page, out + left, nr);
		left -= nr;
		if (inuse + nr == pool->nr_objects) {
			kmm_page_list_del(k, from, page);
		} else if (from == &pool->empty) {
			kmm_page_list_del(k, from, page);
			kmm_page_list_add(k, &pool->partial, page);
		}
	}
	if (left && left < max)
		memmove(out, out + left, (max - left) * sizeof(*out));
	pool->inuse += max - left;
	return max - left;
}

/* Puts a slab that has got an object back where its count says. Lock held. */
static void relist(struct kmm *k, struct kmm_pool *pool, struct kmm_page *page, unsigned inuse_before,
		   struct kmm_page_list *dead)
{
	bool was_full = inuse_before == pool->nr_objects;

	KMM_CHECK(k, inuse_before <= pool->nr_objects);
	if (!was_full && inuse_before > 1)
		return; /* was partial, is partial */
	if (!was_full)
		kmm_page_list_del(k, &pool->partial, page);
	if (inuse_before > 1) {
		kmm_page_list_add(k, &pool->partial, page);
	} else if (pool->empty.nr < pool->keep_empty) {
		kmm_page_list_add(k, &pool->empty, page);
	} else {
		kmm_page_list_add(k, dead, page);
		KMM_ASSERT(k, pool->nr_slabs > 0);
		pool->nr_slabs--;
	}
}

static void give_one(struct kmm *k, struct kmm_pool *pool, struct kmm_page *page, void *slot,
		     struct kmm_page_list *dead)
{
	uint32_t before = load_count(page), offset = kmm_slab_offset(k, pool, slot);
	struct kmm_free *free = kmm_slot_free(pool, slot);

	KMM_ASSERT(k, count_inuse(before) > 0);
	KMM_CHECK(k, kmm_slot_starts_at(pool, offset));
	free->next = count_free(before);
	free->mark = KMM_FREE_MARK;
	store_count(page, count_inuse(before) - 1, (offset >> 3) + 1);
	relist(k, pool, page, count_inuse(before), dead);
}

void kmm_slab_give(struct kmm *k, struct kmm_pool *pool, void *const *slot, unsigned nr, struct kmm_page_list *dead)
{
	unsigned i;

	KMM_CHECK_HELD(k, &pool->lock);
	KMM_ASSERT(k, pool->inuse >= nr);
	for (i = 0; i < nr; i++) {
		struct kmm_page *page = kmm_fast_head(k, slot[i]);

		KMM_ASSERT(k, page && kmm_fast_pool(k, page) == pool);
		give_one(k, pool, page, slot[i], dead);
	}
	pool->inuse -= nr;
}

bool kmm_slab_free_bits(struct kmm *k, const struct kmm_pool *pool, struct kmm_page *page,
			uint32_t bits[KMM_SLAB_MAX_OBJECTS / 32], unsigned *nr_free)
{
	char *base = kmm_slab_base(k, page);
	uint32_t next = count_free(load_count(page));

	*nr_free = 0;
	while (next) {
		uint32_t offset = (next - 1) << 3, number = kmm_slot_number(pool, offset);

		if (next > 0xffff || !kmm_slot_starts_at(pool, offset) || bits[number / 32] & 1u << number % 32)
			return false;
		bits[number / 32] |= 1u << number % 32;
		++*nr_free;
		next = kmm_slot_free(pool, base + offset)->next;
	}
	return true;
}

struct kmm_page *kmm_slab_head(const struct kmm *k, struct kmm_page *page)
{
	unsigned distance = 0;

	if (kmm_page_kind(page) == KMM_KIND_NONE) { /* perhaps the tail of a slab; its head must agree */
		distance = page->a;
		if (distance == 0 || distance >= 1u << KMM_SLAB_MAX_ORDER)
			return NULL;
		page = (struct kmm_page *)(void *)((char *)page - distance * kmm_page_stride(k));
	}
	return kmm_page_kind(page) == KMM_KIND_SLAB && distance >> kmm_page_order(page) == 0 ? page : NULL;
}
