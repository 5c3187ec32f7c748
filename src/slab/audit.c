/* SPDX-License-Identifier: MIT */
/*
 * The checker of the slab layer. Proves for every cache that its slabs are what the descriptors say, that free
 * lists end and name each slot once, and that in use + free = all; for every magazine that its objects are in use
 * from the slab's point of view and named once; and for all frames of kind SLAB that a cache owns them.
 */
#include "slab/slab.h"

#include "slab/fast.h"

struct audit {
	struct kmm *k;
	struct kmm_sink *out;
	struct kmm_cache *cache;
	unsigned bad;
	kmm_word inuse;          /* of this cache's slabs */
	kmm_word pages;          /* of all caches */
	kmm_word slab_frames;    /* by the descriptors */
};

static void complain(struct audit *a, const char *what, uint64_t number)
{
	kmm_printf(a->out, "slab: %s: %s (0x%llx)\n", a->cache->name, what, (unsigned long long)number);
	a->bad++;
}

static void check_slots(struct audit *a, struct kmm_page *page, const uint32_t *bits)
{
	char *base = kmm_slab_base(a->k, page);
	unsigned i;

	if (!(a->cache->flags & KMM_CACHE_DEBUG))
		return;
	for (i = 0; i < a->cache->nr_objects; i++)
		a->bad += kmm_debug_check_slot(a->k, a->cache, base + i * a->cache->slot, bits[i / 32] >> i % 32 & 1,
					       a->out);
}

static void check_tails(struct audit *a, struct kmm_page *page)
{
	unsigned stride = kmm_page_stride(a->k), i;

	for (i = 1; i < 1u << a->cache->order; i++) {
		const struct kmm_page *tail = (const struct kmm_page *)(void *)((char *)page + i * stride);

		if (tail->a != i || kmm_page_kind(tail) != KMM_KIND_NONE)
			complain(a, "a tail descriptor does not lead to its head, pfn", kmm_page_to_pfn(a->k, tail).v);
	}
}

static void check_slab(struct audit *a, struct kmm_page *page, const struct kmm_page_list *list)
{
	struct kmm_cache *cache = a->cache;
	kmm_word pfn = kmm_page_to_pfn(a->k, page).v;
	unsigned inuse = atomic_load_explicit(&page->count, memory_order_relaxed) & 0xffff, nr_free;
	uint32_t bits[KMM_SLAB_MAX_OBJECTS / 32] = { 0 };

	if (kmm_page_kind(page) != KMM_KIND_SLAB || kmm_page_owner(a->k, page) != cache ||
	    kmm_page_order(page) != cache->order) {
		complain(a, "a frame in its lists is not its slab, pfn", pfn);
		return;
	}
	if (!kmm_slab_free_bits(a->k, cache, page, bits, &nr_free))
		complain(a, "broken free list in the slab at pfn", pfn);
	else if (inuse + nr_free != cache->nr_objects)
		complain(a, "in use + free is not all in the slab at pfn", pfn);
	else
		check_slots(a, page, bits);
	if (list != (inuse == 0 ? &cache->empty : inuse == cache->nr_objects ? &cache->full : &cache->partial))
		complain(a, "in the wrong list: slab at pfn", pfn);
	check_tails(a, page);
	a->inuse += inuse;
	a->pages += (kmm_word)1 << cache->order;
}

static void check_list(struct audit *a, const struct kmm_page_list *list)
{
	struct kmm_page *page = kmm_page_list_first(a->k, list);
	kmm_word nr;

	for (nr = 0; page && nr < list->nr; nr++) {
		check_slab(a, page, list);
		page = kmm_page_next(a->k, page);
	}
	if (page || nr != list->nr)
		complain(a, "a list of slabs does not have the length it says", list->nr);
}

/* An object in a magazine: in use by its slab's count, so not in the slab's free list. */
static void check_cached(struct audit *a, void *object)
{
	uint32_t bits[KMM_SLAB_MAX_OBJECTS / 32] = { 0 };
	struct kmm_page *page = kmm_fast_head(a->k, object);
	uint64_t pa = kmm_lowmem_pa(a->k, object).v;
	unsigned number, nr_free;

	if (!page || kmm_fast_cache(a->k, page) != a->cache || !kmm_object_starts_slot(a->k, a->cache, object)) {
		complain(a, "a magazine holds what is no object of it, pa", pa);
		return;
	}
	number = kmm_slot_number(a->cache, (uint32_t)pa & a->cache->offset_mask);
	if (kmm_slab_free_bits(a->k, a->cache, page, bits, &nr_free) && bits[number / 32] & 1u << number % 32)
		complain(a, "an object is in a magazine and in its slab's free list, pa", pa);
}

/* The chain ends after as many objects as it says, so no object is in it twice: a cycle would not end. */
static void check_magazine(struct audit *a, const struct kmm_magazine *magazine)
{
	kmm_word next = magazine->head;
	uint32_t nr;

	for (nr = 0; next && nr < magazine->nr; nr++) {
		char *object = a->k->direct_map + (uintptr_t)(next - 1);

		check_cached(a, object);
		next = *kmm_object_link(a->cache, object);
	}
	if (next || nr != magazine->nr || nr > a->cache->limit)
		complain(a, "a magazine does not have the length it says", magazine->nr);
}

static void check_cache(struct audit *a)
{
	struct kmm_cache *cache = a->cache;
	unsigned cpu;

	a->inuse = 0;
	check_list(a, &cache->partial);
	check_list(a, &cache->full);
	check_list(a, &cache->empty);
	if (a->inuse != cache->inuse)
		complain(a, "its count of objects in use is wrong", cache->inuse);
	for (cpu = 0; cpu < a->k->machine.nr_cpus; cpu++)
		check_magazine(a, &cache->cpu[cpu]);
}

static void count_frames(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr)
{
	struct audit *a = arg;

	(void)pfn;
	if (kmm_page_kind(page) == KMM_KIND_SLAB)
		a->slab_frames += nr;
}

unsigned kmm_slab_audit(struct kmm *k, struct kmm_sink *out)
{
	struct audit a = { .k = k, .out = out };

	while ((a.cache = kmm_cache_next(k, a.cache)))
		check_cache(&a);
	kmm_phys_for_each(k, count_frames, &a);
	if (a.slab_frames != a.pages) {
		kmm_printf(out, "slab: %llu frames are of kind slab, the caches own %llu\n",
			   (unsigned long long)a.slab_frames, (unsigned long long)a.pages);
		a.bad++;
	}
	return a.bad;
}
