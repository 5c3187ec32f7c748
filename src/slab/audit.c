/* SPDX-License-Identifier: MIT */
/*
 * The checker of the slab layer. One walk over all frames proves of each slab that a pool owns it, that its free list
 * ends and names each slot once, that in use + free = all, and that free slots bear their mark; then each pool's lists
 * and counts must be what the walk has found; then each object in a magazine or the depot must be in use from its
 * slab's point of view, bear its mark, and be there once.
 *
 * "Once" is found out by changing the mark to MARK_SEEN while the pool is looked at; all marks are put back.
 * context: nothing else runs on k.
 */
#include "slab/slab.h"

#include "slab/fast.h"

#define MARK_SEEN 0x5eed5eedu

struct audit {
	struct kmm *k;
	struct kmm_sink *out;
	unsigned bad;
	kmm_word cached;         /* objects in magazines and depot of the pool at hand */
};

static void complain(struct audit *a, const struct kmm_pool *pool, const char *what, uint64_t number)
{
	kmm_printf(a->out, "slab: %s: %s (0x%llx)\n", pool->name, what, (unsigned long long)number);
	a->bad++;
}

/* ---- slabs ---- */

static void check_slots(struct audit *a, const struct kmm_pool *pool, struct kmm_page *page, const uint32_t *bits)
{
	char *base = kmm_slab_base(a->k, page);
	unsigned i;

	for (i = 0; i < pool->nr_objects; i++) {
		bool free = bits[i / 32] >> i % 32 & 1;
		char *slot = base + i * pool->slot;

		if (free && kmm_slot_free(pool, slot)->mark != KMM_FREE_MARK)
			complain(a, pool, "a free object was written to, pa", kmm_lowmem_pa(a->k, slot).v);
		if (pool->flags & KMM_CACHE_DEBUG)
			a->bad += kmm_debug_check_slot(a->k, pool, slot, free, a->out);
	}
}

static void check_tails(struct audit *a, const struct kmm_pool *pool, struct kmm_page *page)
{
	unsigned stride = kmm_page_stride(a->k), i;

	for (i = 1; i < 1u << pool->order; i++) {
		const struct kmm_page *tail = (const struct kmm_page *)(void *)((char *)page + i * stride);

		if (tail->a != i || kmm_page_kind(tail) != KMM_KIND_NONE)
			complain(a, pool, "a tail descriptor does not lead to its head, pfn", kmm_page_to_pfn(a->k, tail).v);
	}
}

static bool is_pool(struct kmm *k, const struct kmm_pool *pool)
{
	struct kmm_list *item;

	for (item = k->slab->pools.next; item != &k->slab->pools; item = item->next)
		if (kmm_container(item, struct kmm_pool, entry.list) == pool)
			return true;
	return false;
}

static void check_slab(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr)
{
	struct audit *a = arg;
	uint32_t bits[KMM_SLAB_MAX_OBJECTS / 32] = { 0 };
	struct kmm_pool *pool = kmm_fast_pool(a->k, page);
	unsigned inuse = kmm_slab_inuse(page), nr_free;

	if (kmm_page_kind(page) != KMM_KIND_SLAB)
		return;
	if (!is_pool(a->k, pool) || nr != (kmm_word)1 << pool->order) {
		kmm_printf(a->out, "slab: the slab at pfn 0x%llx belongs to no pool\n", (unsigned long long)pfn.v);
		a->bad++;
		return;
	}
	if (!kmm_slab_free_bits(a->k, pool, page, bits, &nr_free))
		complain(a, pool, "broken free list in the slab at pfn", pfn.v);
	else if (inuse + nr_free != pool->nr_objects)
		complain(a, pool, "in use + free is not all in the slab at pfn", pfn.v);
	else
		check_slots(a, pool, page, bits);
	check_tails(a, pool, page);
	pool->seen.inuse += inuse;
	pool->seen.slabs++;
	pool->seen.empty += inuse == 0;
	pool->seen.partial += inuse != 0 && inuse < pool->nr_objects;
}

/* ---- lists ---- */

/* The list holds slabs of this pool that belong there, as many as it says. */
static void check_list(struct audit *a, const struct kmm_pool *pool, const struct kmm_page_list *list, kmm_word seen)
{
	struct kmm_page *page = kmm_page_list_first(a->k, list);
	kmm_word nr;

	for (nr = 0; page && nr < list->nr; nr++) {
		unsigned inuse = kmm_slab_inuse(page);
		bool right = list == &pool->empty ? inuse == 0 : inuse != 0 && inuse < pool->nr_objects;

		if (kmm_page_kind(page) != KMM_KIND_SLAB || kmm_fast_pool(a->k, page) != pool || !right)
			complain(a, pool, "a frame in its lists does not belong there, pfn", kmm_page_to_pfn(a->k, page).v);
		page = kmm_page_next(a->k, page);
	}
	if (page || nr != list->nr)
		complain(a, pool, "a list of slabs does not have the length it says", list->nr);
	else if (nr != seen)
		complain(a, pool, "slabs are missing in a list, which holds", nr);
}

/* ---- objects in magazines and depot ---- */

static bool is_kept_rightly(struct audit *a, const struct kmm_pool *pool, void *object)
{
	uint32_t bits[KMM_SLAB_MAX_OBJECTS / 32] = { 0 }, offset = kmm_slab_offset(a->k, pool, object);
	struct kmm_page *page = kmm_fast_head(a->k, object);
	uint64_t pa = kmm_lowmem_pa(a->k, object).v;
	uint32_t number = kmm_slot_number(pool, offset);
	unsigned nr_free;

	if (!page || kmm_fast_pool(a->k, page) != pool || !kmm_slot_starts_at(pool, offset)) {
		complain(a, pool, "a magazine holds what is no object of it, pa", pa);
		return false;
	}
	if (kmm_slab_free_bits(a->k, pool, page, bits, &nr_free) && bits[number / 32] & 1u << number % 32)
		complain(a, pool, "an object is in a magazine and in its slab's free list, pa", pa);
	return true;
}

static void check_kept(struct audit *a, const struct kmm_pool *pool, void *const *slot, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++) {
		struct kmm_free *free;

		if (!is_kept_rightly(a, pool, slot[i]))
			continue;
		free = kmm_slot_free(pool, slot[i]);
		if (free->mark == MARK_SEEN)
			complain(a, pool, "an object is in two magazines, pa", kmm_lowmem_pa(a->k, slot[i]).v);
		else if (free->mark != KMM_FREE_MARK)
			complain(a, pool, "a free object was written to, pa", kmm_lowmem_pa(a->k, slot[i]).v);
		else
			free->mark = MARK_SEEN;
	}
	a->cached += nr;
}

static void restore_marks(struct audit *a, const struct kmm_pool *pool, void *const *slot, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++) {
		struct kmm_page *page = kmm_fast_head(a->k, slot[i]);

		if (page && kmm_fast_pool(a->k, page) == pool && kmm_slot_free(pool, slot[i])->mark == MARK_SEEN)
			kmm_slot_free(pool, slot[i])->mark = KMM_FREE_MARK;
	}
}

static void for_kept(struct audit *a, struct kmm_pool *pool,
		     void (*visit)(struct audit *a, const struct kmm_pool *pool, void *const *slot, uint32_t nr))
{
	unsigned cpu;

	for (cpu = 0; cpu < a->k->machine.nr_cpus && pool->limit; cpu++) {
		struct kmm_magazine *magazine = pool->magazine[cpu];
		uint32_t nr = kmm_magazine_nr(magazine);

		visit(a, pool, magazine->slot + 1, nr <= pool->limit ? nr : 0);
	}
	visit(a, pool, pool->depot, pool->depot_nr <= pool->depot_max ? pool->depot_nr : 0);
}

/* ---- pools ---- */

static void check_lengths(struct audit *a, struct kmm_pool *pool)
{
	unsigned cpu;

	for (cpu = 0; cpu < a->k->machine.nr_cpus && pool->limit; cpu++)
		if (kmm_magazine_nr(pool->magazine[cpu]) > pool->limit || pool->magazine[cpu]->slot[0])
			complain(a, pool, "a magazine holds more than it can, CPU", cpu);
	if (pool->depot_nr > pool->depot_max)
		complain(a, pool, "the depot holds more than it can", pool->depot_nr);
}

static void check_pool(struct audit *a, struct kmm_pool *pool)
{
	check_list(a, pool, &pool->partial, pool->seen.partial);
	check_list(a, pool, &pool->empty, pool->seen.empty);
	if (pool->seen.slabs != pool->nr_slabs)
		complain(a, pool, "its count of slabs is wrong", pool->nr_slabs);
	if (pool->seen.inuse != pool->inuse)
		complain(a, pool, "its count of objects in use is wrong", pool->inuse);
	check_lengths(a, pool);
	a->cached = 0;
	for_kept(a, pool, check_kept);
	for_kept(a, pool, restore_marks);
	if (a->cached > pool->inuse)
		complain(a, pool, "more objects are kept for reuse than are out of their slabs", a->cached);
	if (pool->users == 0)
		complain(a, pool, "no cache uses it, yet it exists; objects in use", pool->inuse);
}

unsigned kmm_slab_audit(struct kmm *k, struct kmm_sink *out)
{
	struct audit a = { .k = k, .out = out };
	struct kmm_pool *pool = NULL;

	while ((pool = kmm_pool_next(k, pool)))
		__builtin_memset(&pool->seen, 0, sizeof(pool->seen));
	kmm_phys_for_each(k, check_slab, &a);
	while ((pool = kmm_pool_next(k, pool)))
		check_pool(&a, pool);
	return a.bad;
}
