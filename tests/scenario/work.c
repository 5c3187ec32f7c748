/* SPDX-License-Identifier: MIT */
/*
 * Every byte that is written follows from the number of its slot and a stamp, so a frame or an object that two owners
 * got shows as a wrong byte. Running out of memory is no failure: the machine may be small.
 */
#include "scenario/work.h"

#include <string.h>

#include "harness/test.h"
#include "kmm/kmap.h"
#include "kmm/observe.h"
#include "kmm/slab.h"
#include "kmm/vmalloc.h"
#include "pt/pt.h"

enum { SLOTS = 48, AUDIT_EVERY = 64, MOST_PAGES = 24 };

static unsigned dice(uint64_t *state, unsigned n)
{
	return (unsigned)(kmm_test_rand(state) >> 32) % n;
}

static void audit_sometimes(struct ground *g, unsigned step)
{
	if (step % AUDIT_EVERY == AUDIT_EVERY - 1)
		CHECK_EQ(kmm_audit(g->k, g->log), 0);
}

static void fill(void *at, size_t size, uint32_t stamp)
{
	uint8_t *byte = at;

	for (size_t i = 0; i < size; i++)
		byte[i] = (uint8_t)(stamp + i * 7 + (i >> 8));
}

static bool is_filled(const void *at, size_t size, uint32_t stamp)
{
	const uint8_t *byte = at;

	for (size_t i = 0; i < size; i++)
		if (byte[i] != (uint8_t)(stamp + i * 7 + (i >> 8)))
			return false;
	return true;
}

/* ---- frames ---- */

struct block {
	struct kmm_page *page; /* NULL: an empty slot */
	unsigned order;
	uint32_t stamp;
};

/* The first, a middle and the last frame stand for the block. */
static kmm_word sample(const struct block *b, unsigned i)
{
	kmm_word nr = (kmm_word)1 << b->order;

	return i == 0 ? 0 : i == 1 ? nr / 2 : nr - 1;
}

static void stamp_block(struct ground *g, const struct block *b)
{
	kmm_word first = kmm_page_to_pfn(g->k, b->page).v;

	for (unsigned i = 0; i < 3; i++) {
		struct kmm_page *page = kmm_pfn_to_page(g->k, kmm_pfn(first + sample(b, i)));
		void *view = kmm_kmap_local(g->k, page);

		fill(view, KMM_PAGE_SIZE, b->stamp + (uint32_t)sample(b, i));
		kmm_kunmap_local(g->k, view);
	}
}

static bool stamp_holds(struct ground *g, const struct block *b)
{
	kmm_word first = kmm_page_to_pfn(g->k, b->page).v;
	bool good = true;

	for (unsigned i = 0; i < 3; i++) {
		struct kmm_page *page = kmm_pfn_to_page(g->k, kmm_pfn(first + sample(b, i)));
		void *view = kmm_kmap_local(g->k, page);

		good &= is_filled(view, KMM_PAGE_SIZE, b->stamp + (uint32_t)sample(b, i));
		kmm_kunmap_local(g->k, view);
	}
	return good;
}

static void take_block(struct ground *g, struct block *b, uint64_t *state)
{
	static const kmm_gfp gfps[] = { KMM_GFP_KERNEL, KMM_GFP_ATOMIC, KMM_GFP_DMA, KMM_GFP_HIGHUSER,
					KMM_GFP_HIGHUSER_MOVABLE, KMM_GFP_KERNEL | KMM_GFP_ZERO };
	kmm_gfp gfp = gfps[dice(state, 6)] | KMM_GFP_NOWARN;
	struct kmm_page_info info;
	enum kmm_zone_id start;

	b->order = dice(state, 3) ? dice(state, 3) : dice(state, KMM_NR_ORDERS);
	b->stamp = (uint32_t)kmm_test_rand(state);
	b->page = kmm_alloc_pages(g->k, gfp, b->order);
	if (!b->page)
		return;
	kmm_page_info(g->k, b->page, &info);
	CHECK_OK(kmm_gfp_zone(g->k, gfp, &start));
	CHECK(info.zone <= start);
	CHECK_EQ(info.kind, KMM_KIND_KERNEL);
	CHECK_EQ(info.refcount, 1);
	CHECK_EQ(info.pfn.v & (((kmm_word)1 << b->order) - 1), 0);
	if (gfp & KMM_GFP_ZERO)
		CHECK_EQ(*(const uint8_t *)kmm_page_address(g->k, b->page), 0);
	stamp_block(g, b);
}

static void drop_block(struct ground *g, struct block *b)
{
	if (!b->page)
		return;
	CHECK(stamp_holds(g, b));
	kmm_free_pages(g->k, b->page, b->order);
	b->page = NULL;
}

void work_frames(struct ground *g, uint64_t seed, unsigned steps)
{
	struct block block[SLOTS] = { { 0 } };
	kmm_word before = ground_free_pages(g);

	for (unsigned step = 0; step < steps; step++) {
		struct block *b = &block[dice(&seed, SLOTS)];

		if (b->page)
			CALL(drop_block(g, b));
		else
			CALL(take_block(g, b, &seed));
		CALL(audit_sometimes(g, step));
	}
	for (unsigned i = 0; i < SLOTS; i++)
		CALL(drop_block(g, &block[i]));
	CHECK_EQ(kmm_audit(g->k, g->log), 0);
	CHECK_EQ(ground_free_pages(g), before);
}

/* ---- objects ---- */

enum { CACHES = 3 };

struct object {
	void *at; /* NULL: an empty slot */
	size_t size;
	struct kmm_cache *cache; /* NULL: kmalloc */
	uint32_t stamp;
};

static const struct cache_kind { size_t size, align; unsigned flags; } cache_kinds[CACHES] = {
	{ 20, 0, 0 }, { 200, 64, KMM_CACHE_DEBUG }, { 3000, 0, 0 },
};

static void take_object(struct ground *g, struct object *o, struct kmm_cache *const *cache, uint64_t *state)
{
	unsigned which = dice(state, 2 * CACHES);

	o->cache = which < CACHES ? cache[which] : NULL;
	o->size = o->cache ? cache_kinds[which].size : dice(state, 4) ? 1 + dice(state, 3000) : 1 + dice(state, 40000);
	o->at = o->cache ? kmm_cache_alloc(g->k, o->cache, KMM_GFP_KERNEL) :
			   kmm_kmalloc(g->k, o->size, KMM_GFP_KERNEL | KMM_GFP_NOWARN);
	o->stamp = (uint32_t)kmm_test_rand(state);
	if (!o->at)
		return;
	if (o->cache)
		CHECK_EQ((uintptr_t)o->at & ((cache_kinds[which].align ? cache_kinds[which].align : 8) - 1), 0);
	else
		CHECK(kmm_ksize(g->k, o->at) >= o->size);
	fill(o->at, o->size, o->stamp);
}

static void drop_object(struct ground *g, struct object *o)
{
	if (!o->at)
		return;
	CHECK(is_filled(o->at, o->size, o->stamp));
	if (o->cache)
		kmm_cache_free(g->k, o->cache, o->at);
	else
		kmm_kfree(g->k, o->at);
	o->at = NULL;
}

static void use_objects(struct ground *g, struct kmm_cache *const *cache, uint64_t seed, unsigned steps)
{
	struct object object[2 * SLOTS] = { { 0 } };

	for (unsigned step = 0; step < steps; step++) {
		struct object *o = &object[dice(&seed, 2 * SLOTS)];

		if (o->at)
			CALL(drop_object(g, o));
		else
			CALL(take_object(g, o, cache, &seed));
		CALL(audit_sometimes(g, step));
	}
	for (unsigned i = 0; i < 2 * SLOTS; i++)
		CALL(drop_object(g, &object[i]));
}

void work_objects(struct ground *g, uint64_t seed, unsigned steps)
{
	struct kmm_cache *cache[CACHES];
	kmm_word before = ground_free_pages(g);

	for (unsigned i = 0; i < CACHES; i++)
		CHECK_OK(kmm_cache_create(g->k, "work", cache_kinds[i].size, cache_kinds[i].align, cache_kinds[i].flags, NULL,
					  &cache[i]));
	CALL(use_objects(g, cache, seed, steps));
	for (unsigned i = 0; i < CACHES; i++)
		CHECK_OK(kmm_cache_destroy(g->k, cache[i]));
	CHECK_EQ(kmm_audit(g->k, g->log), 0);
	CHECK_EQ(ground_free_pages(g), before);
}

/* ---- windows ---- */

struct area {
	char *at; /* NULL: an empty slot */
	bool is_vmap;
	unsigned nr;
	uint32_t stamp;
	struct kmm_page *page[MOST_PAGES];
	bool kmapped; /* page[0], all the time */
};

static void drop_frames(struct ground *g, struct area *a)
{
	while (a->nr)
		kmm_free_pages(g->k, a->page[--a->nr], 0);
}

static void map_frames(struct ground *g, struct area *a, unsigned nr, uint64_t *state)
{
	for (a->nr = 0; a->nr < nr; a->nr++) {
		a->page[a->nr] = kmm_alloc_pages(g->k, (dice(state, 4) ? KMM_GFP_HIGHUSER : KMM_GFP_KERNEL) | KMM_GFP_NOWARN, 0);
		if (!a->page[a->nr])
			break;
	}
	a->at = a->nr == nr ? kmm_vmap(g->k, a->page, nr, KMM_PROT_READ | KMM_PROT_WRITE, "work") : NULL;
	if (!a->at)
		drop_frames(g, a);
}

static void take_area(struct ground *g, struct area *a, uint64_t *state)
{
	unsigned nr = 1 + dice(state, MOST_PAGES);

	*a = (struct area){ .is_vmap = dice(state, 2), .stamp = (uint32_t)kmm_test_rand(state) };
	if (a->is_vmap)
		map_frames(g, a, nr, state);
	else
		a->at = kmm_vmalloc(g->k, nr * KMM_PAGE_SIZE - dice(state, 100), "work");
	if (!a->at)
		return;
	for (unsigned i = 0; i < nr; i++) {
		struct kmm_page *page = kmm_vmalloc_to_page(g->k, a->at + i * KMM_PAGE_SIZE);

		CHECK(page != NULL);
		if (a->is_vmap)
			CHECK_PTR(page, a->page[i]);
		a->page[i] = page;
	}
	a->nr = nr;
	fill(a->at, nr * KMM_PAGE_SIZE, a->stamp);
	a->kmapped = dice(state, 3) == 0 && kmm_kmap(g->k, a->page[0]) != NULL;
}

/* Each frame has what its area has, by a view of its own; what is written there is seen in the area. */
static void compare_views(struct ground *g, struct area *a)
{
	for (unsigned i = 0; i < a->nr; i++) {
		char *window = a->at + i * KMM_PAGE_SIZE;
		char *view = i == 0 && a->kmapped ? kmm_kmap(g->k, a->page[i]) : kmm_kmap_local(g->k, a->page[i]);
		bool same = memcmp(view, window, KMM_PAGE_SIZE) == 0;
		char old = view[77];

		view[77] = (char)(old + 1);
		same &= window[77] == (char)(old + 1);
		window[77] = old;
		same &= view[77] == old;
		if (i == 0 && a->kmapped)
			kmm_kunmap(g->k, a->page[i]);
		else
			kmm_kunmap_local(g->k, view);
		CHECK(same);
	}
}

static void drop_area(struct ground *g, struct area *a)
{
	if (!a->at)
		return;
	CHECK(is_filled(a->at, a->nr * KMM_PAGE_SIZE, a->stamp));
	CALL(compare_views(g, a));
	if (a->kmapped)
		kmm_kunmap(g->k, a->page[0]);
	if (a->is_vmap) {
		kmm_vunmap(g->k, a->at);
		drop_frames(g, a);
	} else {
		kmm_vfree(g->k, a->at);
	}
	a->at = NULL;
}

void work_windows(struct ground *g, uint64_t seed, unsigned steps)
{
	struct area area[SLOTS / 2] = { { 0 } };
	kmm_word before = ground_free_pages(g);

	for (unsigned step = 0; step < steps; step++) {
		struct area *a = &area[dice(&seed, SLOTS / 2)];

		if (a->at)
			CALL(drop_area(g, a));
		else
			CALL(take_area(g, a, &seed));
		CALL(audit_sometimes(g, step));
	}
	for (unsigned i = 0; i < SLOTS / 2; i++)
		CALL(drop_area(g, &area[i]));
	CHECK_EQ(kmm_audit(g->k, g->log), 0);
	CHECK_EQ(ground_free_pages(g), before);
}
