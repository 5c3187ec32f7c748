/* SPDX-License-Identifier: MIT */
/*
 * Contiguous areas lent to programs: their pages move when a run is wanted, and keep what is in them.
 */
#include "kmm/cma.h"

#include "harness/space.h"

#define AT 0x20000000ull
enum { PAGES = 3000 };

static uint64_t at(unsigned n) { return AT + n * SPACE_PAGE; }

/* As large as the machine allows. */
static void reserve_most(struct space *s, struct kmm_cma_info *info)
{
	uint64_t size = (uint64_t)2 << 30;
	unsigned area;

	while (kmm_cma_reserve(s->k, &(struct kmm_cma_range){ "most", size, 0, 0 }, &area) != KMM_OK) {
		size = size / 4 * 3;
		CHECK(size > 2 << 20);
	}
	CHECK(kmm_cma_info(s->k, area, info));
}

static unsigned nr_in_area(struct space *s, const struct kmm_cma_info *info)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < PAGES; i++) {
		struct kmm_walk walk;

		kmm_walk(s->k, kmm_mm_root(s->mm), (kmm_word)at(i), &walk);
		nr += walk.mapped && kmm_paddr_to_pfn(walk.pa).v - info->first.v < info->nr_pages;
	}
	return nr;
}

KMM_TEST(contiguous_runs_move_programs_pages)
{
	struct kmm_page *run;
	struct kmm_cma_info info;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CALL(reserve_most(&s, &info));
	CHECK_EQ(space_map(&s, at(0), PAGES, SPACE_RW, SPACE_ANON), 0);
	for (unsigned i = 0; i < PAGES; i++)
		CHECK_EQ(space_poke(&s, s.mm, at(i), (uint8_t)(i * 7)), 0);
	CHECK(nr_in_area(&s, &info) > PAGES / 2);
	CHECK_OK(kmm_cma_alloc(s.k, 0, info.nr_pages / 4, 0, &run));
	CHECK(kmm_cma_info(s.k, 0, &info));
	CHECK_EQ(info.used, info.nr_pages / 4);
	CALL(space_audit(&s));
	for (unsigned i = 0; i < PAGES; i++)
		CHECK_EQ(space_peek(&s, s.mm, at(i)), (uint8_t)(i * 7));
	CHECK_OK(kmm_cma_free(s.k, 0, run, info.nr_pages / 4));
	CALL(space_audit(&s));
	CALL(space_stop(&s));
}
