/* SPDX-License-Identifier: MIT */
/*
 * Promises: what is counted, by which calls, and what each rule refuses.
 */
#include "harness/space.h"

enum { ENOMEM = 12 };
#define AT 0x20000000ull

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

static kmm_word committed(struct space *s)
{
	struct kmm_overcommit now;

	kmm_overcommit(s->k, &now);
	return now.committed_pages;
}

KMM_TEST(commit_counts)
{
	struct kmm_mm *child;
	struct kmm_uva out;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(committed(&s), 0);
	CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(10), 8, SPACE_R, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(20), 8, SPACE_RW, SPACE_ANON | KMM_MAP_NORESERVE), 0);
	CHECK_EQ(committed(&s), 8);
	CHECK_EQ(space_map(&s, page(30), 8, SPACE_R, SPACE_SHARED), 0);
	CHECK_EQ(committed(&s), 16);
	CHECK_EQ(space_protect(&s, page(10), 4, SPACE_RW), 0);
	CHECK_EQ(committed(&s), 20);
	CHECK_EQ(space_protect(&s, page(10), 4, SPACE_R), 0); /* a promise stays one */
	CHECK_EQ(committed(&s), 20);
	CHECK_EQ(space_protect(&s, page(10), 4, SPACE_RW), 0);
	CHECK_EQ(committed(&s), 20);
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_EQ(committed(&s), 32);
	hosted_put_space(s.m, child);
	CHECK_EQ(committed(&s), 20);
	CHECK_OK(kmm_mremap(s.mm, kmm_uva((kmm_word)page(0)), 8 * SPACE_PAGE, 16 * SPACE_PAGE, 1, kmm_uva(0), &out));
	CHECK_EQ(committed(&s), 28);
	CHECK_EQ(space_unmap(&s, page(30), 7), 0);
	CHECK_EQ(committed(&s), 28); /* the object lives as long as a page of it is mapped */
	CHECK_EQ(space_unmap(&s, page(37), 1), 0);
	CHECK_EQ(committed(&s), 20);
	CALL(space_stop(&s));
}

KMM_TEST(commit_rules)
{
	struct kmm_overcommit now;
	struct space s;
	kmm_word most;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(kmm_set_overcommit(s.k, 3, 50), KMM_EINVAL);
	kmm_overcommit(s.k, &now);
	CHECK_EQ(now.mode, KMM_OVERCOMMIT_GUESS);
	CHECK_EQ(now.ratio, 50);
	most = now.limit_pages;
	CHECK_EQ(space_map(&s, page(0), 2 * most - 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(0), 3 * most, SPACE_RW, SPACE_ANON), ENOMEM);
	CHECK_OK(kmm_set_overcommit(s.k, KMM_OVERCOMMIT_ALWAYS, 50));
	CHECK_EQ(space_map(&s, page(0), 3 * most, SPACE_RW, SPACE_ANON), 0);
	CHECK_OK(kmm_set_overcommit(s.k, KMM_OVERCOMMIT_NEVER, 50));
	CHECK_EQ(space_map(&s, page(1), 1, SPACE_RW, SPACE_SHARED), ENOMEM);
	CHECK_EQ(space_unmap(&s, page(0), 3 * most), 0);
	CHECK_EQ(space_map(&s, page(0), most, SPACE_RW, SPACE_ANON | KMM_MAP_NORESERVE), ENOMEM); /* no such favour now */
	CHECK_EQ(space_map(&s, page(0), most, SPACE_R, SPACE_ANON), 0);
	CHECK_EQ(space_protect(&s, page(0), most, SPACE_RW), ENOMEM);
	CHECK_EQ(space_map(&s, page(0), most / 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(0), most / 4, SPACE_RW, SPACE_SHARED), 0);
	CHECK_OK(kmm_set_overcommit(s.k, KMM_OVERCOMMIT_NEVER, 0));
	CHECK_EQ(space_map(&s, page(0), 1, SPACE_RW, SPACE_ANON), ENOMEM);
	kmm_set_overcommit_pages(s.k, most / 8); /* an amount instead */
	CHECK_OK(kmm_set_overcommit(s.k, KMM_OVERCOMMIT_NEVER, 0));
	kmm_overcommit(s.k, &now);
	CHECK_EQ(now.limit_pages, most / 8);
	CHECK_EQ(now.pages, most / 8);
	CHECK_OK(kmm_set_overcommit(s.k, KMM_OVERCOMMIT_NEVER, 50));
	kmm_overcommit(s.k, &now);
	CHECK_EQ(now.limit_pages, most);
	CHECK_EQ(now.pages, 0);
	CALL(space_stop(&s));
}
