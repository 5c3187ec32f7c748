/* SPDX-License-Identifier: MIT */
/*
 * Looks at pages of several owners, tables and spaces in one batch, in any order: each page's answer is its own, marks are
 * taken once, and no lock is left behind.
 */
#include "vm/migrate.h"

#include "harness/space.h"
#include "vm/backing.h"

#define AT 0x20000000ull
enum { TABLE = 512, NR = 12, USED = KMM_LOOK_USED, IDLE = KMM_LOOK_IDLE };

static uint64_t at(unsigned n) { return AT + n * SPACE_PAGE; }

static struct kmm_page *page_of(struct space *s, struct kmm_mm *mm, uint64_t va)
{
	struct kmm_ptref ref;

	if (!kmm_pt_lookup(s->k, &mm->space, (kmm_word)va, &ref))
		return NULL;
	return kmm_pfn_to_page(s->k, kmm_pt_decode(s->k, kmm_pt_read(s->k, &ref)).pfn);
}

/* One letter for each page: not, idle, used, kept. */
static void look(struct space *s, struct kmm_page *const *pages, unsigned nr, const char *expected)
{
	struct kmm_flushes flushes = { .nr = 0 };
	enum kmm_look looks[KMM_MOVE_BATCH];
	char text[KMM_MOVE_BATCH + 1] = "";

	kmm_guest_begin(s->k);
	kmm_pages_look(s->k, pages, looks, nr, &flushes);
	kmm_flushes_run_here(s->k, &flushes);
	kmm_guest_end(s->k);
	for (unsigned i = 0; i < nr; i++)
		text[i] = "niuk"[looks[i]];
	CHECK_STR(text, expected);
}

/* Private pages in three tables, far from their order, and shared ones between them. */
KMM_TEST(age_looks_at_each_page)
{
	static const unsigned place[NR] = { 3, 2, TABLE + 3, 2000, 1, 2001, 2 * TABLE, 0, TABLE + 2, 2002, 2003, 4 };

	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_page *pages[NR];
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, at(0), 3 * TABLE, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(space_map(&s, at(2000), 8, SPACE_RW, SPACE_SHARED), 0);
		for (unsigned i = 0; i < NR; i++) {
			CHECK_EQ(space_poke(&s, s.mm, at(place[i]), 1), 0);
			pages[i] = page_of(&s, s.mm, at(place[i]));
		}
		CALL(look(&s, pages, NR, "uuuuuuuuuuuu"));
		CALL(look(&s, pages, NR, "iiiiiiiiiiii"));
		CHECK_EQ(space_peek(&s, s.mm, at(place[2])), 1);
		CHECK_EQ(space_peek(&s, s.mm, at(place[5])), 1);
		CHECK_EQ(space_poke(&s, s.mm, at(place[11]), 1), 0);
		CALL(look(&s, pages, NR, "iiuiiuiiiiiu"));
		CALL(look(&s, pages, 0, ""));
		CALL(space_stop(&s));
	}
}

/* A page that two spaces show was used if either did; one of them that keeps it keeps it. */
KMM_TEST(age_looks_in_all_spaces)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_page *pages[3];
		struct kmm_mm *child;
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, at(0), 3, SPACE_RW, SPACE_ANON), 0);
		for (unsigned i = 0; i < 3; i++) {
			CHECK_EQ(space_poke(&s, s.mm, at(i), 1), 0);
			pages[i] = page_of(&s, s.mm, at(i));
		}
		CHECK_OK(kmm_mm_fork(s.mm, &child));
		CHECK_EQ(space_peek(&s, child, at(0)), 1);
		CALL(look(&s, pages, 3, "uuu"));
		CHECK_EQ(space_peek(&s, child, at(1)), 1);
		CALL(look(&s, pages, 3, "iui"));
		CHECK_EQ(space_peek(&s, s.mm, at(2)), 1);
		CALL(look(&s, pages, 3, "iiu"));
		CHECK_OK(kmm_mlock(s.mm, kmm_uva((kmm_word)at(1)), SPACE_PAGE, 0));
		pages[1] = page_of(&s, s.mm, at(1)); /* locking may have made it a copy */
		CALL(look(&s, pages, 3, "iki"));
		hosted_put_space(s.m, child);
		CALL(look(&s, pages, 3, "iki"));
		CALL(space_stop(&s));
	}
}

/* What nothing can be said of does not keep others from being looked at. */
KMM_TEST(age_passes_by_what_is_locked)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_mutex *lock;
		struct kmm_page *pages[4];
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, at(0), 2, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(space_map(&s, at(10), 1, SPACE_RW, SPACE_SHARED), 0);
		CHECK_EQ(space_poke(&s, s.mm, at(0), 1), 0);
		CHECK_EQ(space_poke(&s, s.mm, at(1), 1), 0);
		CHECK_EQ(space_poke(&s, s.mm, at(10), 1), 0);
		pages[0] = page_of(&s, s.mm, at(0));
		pages[1] = page_of(&s, s.mm, at(10));
		pages[2] = kmm_alloc_pages(s.k, KMM_GFP_KERNEL, 0);
		pages[3] = page_of(&s, s.mm, at(1));
		lock = &((struct kmm_mapping *)kmm_page_owner(s.k, pages[1]))->lock;
		CHECK(kmm_mutex_trylock(lock));
		CALL(look(&s, pages, 4, "unnu"));
		kmm_mutex_unlock(s.k, lock);
		CALL(look(&s, pages, 4, "iuni"));
		CHECK(kmm_mutex_trylock(lock)); /* given back */
		kmm_mutex_unlock(s.k, lock);
		kmm_free_pages(s.k, pages[2], 0);
		CALL(space_stop(&s));
	}
}
