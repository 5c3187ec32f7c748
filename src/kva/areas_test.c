/* SPDX-License-Identifier: MIT */
/*
 * The tree of areas against a byte map: first fit, removal, search.
 */
#include "harness/test.h"
#include "kva/kva.h"

enum { PAGES = 600, AREAS = 200, START = 0x10000 };

struct bench {
	struct kmm_areas areas;
	struct kmm_area area[AREAS];
	bool live[AREAS];
	short owner[PAGES]; /* number of the area at a page, -1 free */
};

static void open_bench(struct bench *b)
{
	unsigned i;

	kmm_areas_init(&b->areas, START, START + PAGES * KMM_PAGE_SIZE);
	for (i = 0; i < AREAS; i++)
		b->live[i] = false;
	for (i = 0; i < PAGES; i++)
		b->owner[i] = -1;
}

/* Lowest run of `nr` free pages, PAGES when there is none. */
static unsigned lowest_fit(const struct bench *b, unsigned nr)
{
	unsigned i, run = 0;

	for (i = 0; i < PAGES; i++) {
		run = b->owner[i] < 0 ? run + 1 : 0;
		if (run == nr)
			return i + 1 - nr;
	}
	return PAGES;
}

static void add(struct bench *b, unsigned n, unsigned nr)
{
	unsigned expected = lowest_fit(b, nr), i;
	bool placed = kmm_areas_place(&b->areas, &b->area[n], nr * KMM_PAGE_SIZE, KMM_PAGE_SIZE);

	CHECK_EQ(placed, expected < PAGES);
	if (!placed)
		return;
	CHECK_EQ(b->area[n].start, START + expected * KMM_PAGE_SIZE);
	CHECK_EQ(b->area[n].end - b->area[n].start, nr * KMM_PAGE_SIZE);
	for (i = 0; i < nr; i++)
		b->owner[expected + i] = (short)n;
	b->live[n] = true;
}

static void drop(struct bench *b, unsigned n)
{
	unsigned i;

	kmm_areas_remove(&b->areas, &b->area[n]);
	for (i = 0; i < PAGES; i++)
		if (b->owner[i] == (short)n)
			b->owner[i] = -1;
	b->live[n] = false;
}

static void check_search(const struct bench *b)
{
	int next = -1;
	unsigned i;

	for (i = PAGES; i-- > 0;) {
		kmm_word va = START + i * KMM_PAGE_SIZE;
		const struct kmm_area *found = kmm_areas_find(&b->areas, va + 17);

		CHECK_PTR(found, b->owner[i] < 0 ? NULL : &b->area[b->owner[i]]);
		if (found && found->start == va)
			next = b->owner[i];
		CHECK_PTR(kmm_areas_next(&b->areas, va), next < 0 ? NULL : &b->area[next]);
	}
	CHECK_EQ(kmm_areas_check(&b->areas, NULL), 0);
}

KMM_TEST(areas_random_against_map)
{
	static struct bench b;
	uint64_t seed = kmm_test_seed();
	unsigned i;

	open_bench(&b);
	for (i = 0; i < 8000; i++) {
		unsigned n = (unsigned)(kmm_test_rand(&seed) % AREAS);

		if (b.live[n])
			drop(&b, n);
		else
			CALL(add(&b, n, 1 + (unsigned)(kmm_test_rand(&seed) % (i % 2 ? 3 : 20))));
		if (i % 100 == 0)
			CALL(check_search(&b));
	}
}

KMM_TEST(areas_fill_to_the_last_page)
{
	static struct bench b;
	unsigned i;

	open_bench(&b);
	for (i = 0; i < AREAS; i++)
		CALL(add(&b, i, 3));
	CHECK_EQ(lowest_fit(&b, 1), PAGES);
	drop(&b, 77);
	CALL(add(&b, 77, 3));
	CALL(check_search(&b));
	for (i = 0; i < AREAS; i++)
		drop(&b, i);
	CHECK(!b.areas.root);
	CALL(add(&b, 0, PAGES));
}

/* An aligned place needs a gap that holds it wherever the gap begins; then it gets the lowest aligned start in it. */
KMM_TEST(areas_align)
{
	static struct bench b;
	const kmm_word big = 16 * KMM_PAGE_SIZE;

	open_bench(&b);
	CALL(add(&b, 0, 3));
	CHECK(kmm_areas_place(&b.areas, &b.area[1], 20 * KMM_PAGE_SIZE, big));
	CHECK_EQ(b.area[1].start, START + big);
	CHECK(kmm_areas_place(&b.areas, &b.area[2], 5 * KMM_PAGE_SIZE, KMM_PAGE_SIZE)); /* into the gap that alignment left */
	CHECK_EQ(b.area[2].start, START + 3 * KMM_PAGE_SIZE);
	CHECK(kmm_areas_place(&b.areas, &b.area[3], big, big));
	CHECK_EQ(b.area[3].start, START + 3 * big);
	CHECK_EQ(kmm_areas_check(&b.areas, NULL), 0);
	CHECK(!kmm_areas_place(&b.areas, &b.area[4], PAGES * KMM_PAGE_SIZE, big));
	CHECK(!kmm_areas_place(&b.areas, &b.area[4], ~(kmm_word)0 - big, big));
	kmm_areas_remove(&b.areas, &b.area[1]);
	CHECK(kmm_areas_place(&b.areas, &b.area[1], 20 * KMM_PAGE_SIZE, big));
	CHECK_EQ(b.area[1].start, START + big);
	CHECK_EQ(kmm_areas_check(&b.areas, NULL), 0);
}

/* A balanced tree: the deepest of n areas is a small multiple of log n, also when they come in order. */
KMM_TEST(areas_stay_shallow)
{
	static struct bench b;
	unsigned i, deepest = 0;

	open_bench(&b);
	for (i = 0; i < AREAS; i++)
		CALL(add(&b, i, 1));
	for (i = 0; i < AREAS; i++) {
		const struct kmm_area *area = &b.area[i];
		unsigned depth = 0;

		for (; area; area = area->parent)
			depth++;
		deepest = depth > deepest ? depth : deepest;
	}
	CHECK(deepest < 24);
}
