/* SPDX-License-Identifier: MIT */
/*
 * One slab: made from frames, objects taken out and given back, frames returned. Knows nothing of callers: to a
 * slab an object is free or not.
 *
 * A slab is in the list that its count says: empty (nothing in use), full (nothing free), partial. Objects
 * come from partial slabs first, so that empty ones stay empty and can be given back.
 */
#include "slab/slab.h"

#include "slab/fast.h"

enum { KEEP_EMPTY = 1 }; /* empty slabs a cache keeps, so that one object going back and forth costs no frames */

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

static struct kmm_page *page_at(struct kmm *k, struct kmm_page *head, unsigned distance)
{
	return (struct kmm_page *)(void *)((char *)head + distance * kmm_page_stride(k));
}

static struct kmm_page_list *list_for(struct kmm_cache *cache, uint32_t count)
{
	if (count_inuse(count) == 0)
		return &cache->empty;
	return count_free(count) == 0 ? &cache->full : &cache->partial;
}

/* Constructs the objects and links all slots in ascending order. */
static void fill(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page)
{
	char *base = kmm_slab_base(k, page);
	unsigned i;

	for (i = 0; i < cache->nr_objects; i++) {
		char *slot = base + i * cache->slot;

		if (cache->flags & KMM_CACHE_DEBUG)
			kmm_debug_init_slot(cache, slot);
		if (cache->ctor)
			cache->ctor(slot + cache->front);
		*kmm_object_link(cache, slot) = i + 1 < cache->nr_objects ? ((i + 1) * cache->slot >> 3) + 1 : 0;
	}
	store_count(page, 0, 1);
}

/* A slab with all objects free, in no list yet. NULL: out of memory. context: as gfp says; no locks. */
struct kmm_page *kmm_slab_new(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp)
{
	struct kmm_page *page;
	unsigned i;

	gfp &= ~(kmm_gfp)(KMM_SLAB_BAD_GFP | KMM_GFP_ZERO);
	gfp |= KMM_GFP_COMP | (cache->flags & KMM_CACHE_DMA ? KMM_GFP_DMA : 0);
	page = kmm_phys_alloc(k, gfp, cache->order, KMM_KIND_SLAB, "slab");
	if (!page)
		return NULL;
	kmm_page_set_owner(k, page, cache);
	for (i = 1; i < 1u << cache->order; i++)
		page_at(k, page, i)->a = i;
	fill(k, cache, page);
	return page;
}

/* Gives an empty slab's frames back. It must be in no list. */
void kmm_slab_delete(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page)
{
	unsigned i;

	KMM_ASSERT(k, count_inuse(load_count(page)) == 0);
	for (i = 1; i < 1u << cache->order; i++)
		page_at(k, page, i)->a = 0;
	kmm_phys_free(k, page, cache->order);
}

void kmm_slab_delete_list(struct kmm *k, struct kmm_cache *cache, struct kmm_page_list *dead)
{
	struct kmm_page *page;

	while ((page = kmm_page_list_first(k, dead))) {
		kmm_page_list_del(k, dead, page);
		kmm_slab_delete(k, cache, page);
	}
}

static void move_list(struct kmm *k, struct kmm_page *page, struct kmm_page_list *from, struct kmm_page_list *to)
{
	if (from == to)
		return;
	kmm_page_list_del(k, from, page);
	kmm_page_list_add(k, to, page);
}

/* Moves free slots of the cache's slabs to a magazine, up to `max` of them and all from one slab; the first is returned
 * instead. NULL: all slabs are full. Lock held. */
void *kmm_slab_take(struct kmm *k, struct kmm_cache *cache, struct kmm_magazine *magazine, unsigned max)
{
	struct kmm_page *page = kmm_page_list_first(k, cache->partial.nr ? &cache->partial : &cache->empty);
	char *base, *slot, *first = NULL;
	unsigned nr, next;
	uint32_t before;

	if (!page)
		return NULL;
	base = kmm_slab_base(k, page);
	before = load_count(page);
	next = count_free(before);
	for (nr = 0; nr < max && next; nr++) {
		slot = base + ((next - 1) << 3);
		KMM_ASSERT(k, kmm_slot_starts_at(cache, (next - 1) << 3));
		next = (unsigned)*kmm_object_link(cache, slot);
		if (first)
			kmm_magazine_push(k, cache, magazine, slot);
		else
			first = slot;
	}
	KMM_ASSERT(k, first);
	store_count(page, count_inuse(before) + nr, next);
	move_list(k, page, list_for(cache, before), list_for(cache, load_count(page)));
	cache->inuse += nr;
	return first;
}

/* Puts a slot back into its slab. A slab that this makes empty, beyond those worth keeping, goes to `dead`:
 * the caller deletes it when it has dropped the lock. Lock held. */
void kmm_slab_give(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page, void *slot,
		   struct kmm_page_list *dead)
{
	uint32_t before = load_count(page);
	uint32_t offset = (uint32_t)((char *)slot - k->direct_map) & cache->offset_mask;

	KMM_ASSERT(k, count_inuse(before) > 0);
	KMM_ASSERT(k, kmm_slot_starts_at(cache, offset));
	*kmm_object_link(cache, slot) = count_free(before);
	store_count(page, count_inuse(before) - 1, (offset >> 3) + 1);
	cache->inuse--;
	if (count_free(before) && count_inuse(before) > 1)
		return; /* was partial, is partial */
	move_list(k, page, list_for(cache, before), list_for(cache, load_count(page)));
	if (count_inuse(before) == 1 && cache->empty.nr > KEEP_EMPTY)
		move_list(k, page, &cache->empty, dead);
}

bool kmm_slab_free_bits(struct kmm *k, const struct kmm_cache *cache, struct kmm_page *page,
			uint32_t bits[KMM_SLAB_MAX_OBJECTS / 32], unsigned *nr_free)
{
	char *base = kmm_slab_base(k, page);
	kmm_word next = count_free(load_count(page));

	*nr_free = 0;
	while (next) {
		uint32_t offset = (uint32_t)(next - 1) << 3;
		uint32_t number = kmm_slot_number(cache, offset);

		if (next > 0xffff || !kmm_slot_starts_at(cache, offset) || bits[number / 32] & 1u << number % 32)
			return false;
		bits[number / 32] |= 1u << number % 32;
		++*nr_free;
		next = *kmm_object_link(cache, base + offset);
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
