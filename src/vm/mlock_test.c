/* SPDX-License-Identifier: MIT */
/*
 * Locked memory: what is counted, what the limit refuses, which areas it makes, and that a failure changes nothing.
 */
#include "harness/space.h"

enum { EPERM = 1, EAGAIN = 11, ENOMEM = 12, EINVAL = 22 };
#define AT 0x20000000ull

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

static int lock(struct space *s, uint64_t at, uint64_t pages, unsigned flags)
{
	return kmm_status_errno(kmm_mlock(s->mm, kmm_uva((kmm_word)at), pages * SPACE_PAGE, flags));
}

static int unlock(struct space *s, uint64_t at, uint64_t pages)
{
	return kmm_status_errno(kmm_munlock(s->mm, kmm_uva((kmm_word)at), pages * SPACE_PAGE));
}

static kmm_word locked(struct space *s)
{
	struct kmm_mm_stats stats;

	kmm_mm_stats(s->mm, &stats);
	return stats.locked_pages;
}

static kmm_word resident(struct space *s)
{
	struct kmm_mm_stats stats;

	kmm_mm_stats(s->mm, &stats);
	return stats.rss_anon + stats.rss_file + stats.rss_shmem;
}

/* As Linux 6.1 counts: what DONTUNMAP unlocks beside what it moves stays in the count. */
KMM_TEST(mlock_dontunmap_counts)
{
	struct kmm_uva out;
	struct space s;

	CALL(space_start(&s, KMM_I386));
	CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(lock(&s, page(0), 4, 0), 0);
	CHECK_OK(kmm_mremap(s.mm, kmm_uva((kmm_word)page(1)), 2 * SPACE_PAGE, 2 * SPACE_PAGE,
			    KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED | KMM_MREMAP_DONTUNMAP, kmm_uva((kmm_word)page(8)), &out));
	CHECK_EQ(locked(&s), 4);
	CHECK_EQ(unlock(&s, page(0), 4), 0); /* was no longer */
	CHECK_EQ(locked(&s), 4);
	CHECK_EQ(unlock(&s, page(8), 2), 0);
	CHECK_EQ(locked(&s), 2);
	CALL(space_audit(&s));
	CALL(space_stop(&s));
}

KMM_TEST(mlock_counts_and_cuts)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(lock(&s, page(2), 3, 0), 0);
		CHECK_EQ(space_areas(&s), 3);
		CHECK_EQ(locked(&s), 3);
		CHECK_EQ(resident(&s), 3);
		CHECK_EQ(lock(&s, page(3), 3, KMM_MLOCK_ONFAULT), 0); /* locked otherwise: no more is counted */
		CHECK_EQ(locked(&s), 4);
		CHECK_EQ(space_areas(&s), 4);
		CHECK_EQ(resident(&s), 3);
		CHECK_EQ(lock(&s, page(6), 4, 0), ENOMEM); /* over the end: what comes before it is locked */
		CHECK_EQ(locked(&s), 6);
		CHECK_EQ(unlock(&s, page(0), 8), 0);
		CHECK_EQ(locked(&s), 0);
		CHECK_EQ(space_areas(&s), 2); /* Linux: an area without private pages takes none in from the one behind */
		CALL(space_stop(&s));
	}
}

KMM_TEST(mlock_limit)
{
	struct space s;
	struct kmm_uva at;

	CALL(space_start(&s, KMM_X86_64));
	kmm_mm_limits(s.mm)->memlock_bytes = 4 * SPACE_PAGE + 100;
	CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(lock(&s, page(0), 5, 0), ENOMEM);
	CHECK_EQ(lock(&s, page(0), 4, 0), 0);
	CHECK_EQ(lock(&s, page(1), 3, 0), 0);      /* nothing new */
	CHECK_EQ(lock(&s, page(1), 4, 0), ENOMEM); /* one page new */
	CHECK_EQ(space_map(&s, page(20), 1, SPACE_RW, SPACE_ANON | KMM_MAP_LOCKED), EAGAIN);
	CHECK_EQ(kmm_mlockall(s.mm, KMM_MCL_CURRENT), KMM_ENOMEM);
	CHECK_EQ(kmm_mlockall(s.mm, KMM_MCL_FUTURE), KMM_OK);
	CHECK_EQ(space_map(&s, page(20), 1, SPACE_RW, SPACE_ANON), EAGAIN);
	CHECK_EQ(kmm_mremap(s.mm, kmm_uva((kmm_word)page(0)), 4 * SPACE_PAGE, 9 * SPACE_PAGE, 1, kmm_uva(0), &at), KMM_EAGAIN);
	CHECK_EQ(kmm_mremap(s.mm, kmm_uva((kmm_word)page(3)), SPACE_PAGE, 2 * SPACE_PAGE, 1, kmm_uva(0), &at), KMM_EAGAIN);
	kmm_mm_limits(s.mm)->memlock_bytes = 0;
	CHECK_EQ(lock(&s, page(0), 1, 0), EPERM);
	CHECK_EQ(kmm_mlockall(s.mm, KMM_MCL_FUTURE), KMM_EPERM);
	CHECK_EQ(space_map(&s, page(20), 1, SPACE_RW, SPACE_ANON | KMM_MAP_LOCKED), EPERM);
	CHECK_EQ(unlock(&s, page(0), 8), 0);
	kmm_munlockall(s.mm);
	kmm_mm_limits(s.mm)->rights = KMM_MAY_LOCK;
	CHECK_EQ(lock(&s, page(0), 8, 0), 0);
	CHECK_EQ(kmm_mlockall(s.mm, KMM_MCL_CURRENT | KMM_MCL_ONFAULT), KMM_OK);
	CALL(space_stop(&s));
}

/* What becomes writable gets its pages area by area, so that the next area finds the same owner. */
KMM_TEST(mlock_writable_merges)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, page(0), 9, KMM_PROT_EXEC, SPACE_ANON | KMM_MAP_LOCKED), 0);
		CHECK_EQ(space_protect(&s, page(2), 1, SPACE_RW | KMM_PROT_EXEC), 0);
		CHECK_EQ(space_areas(&s), 3);
		CHECK_EQ(space_protect(&s, page(1), 3, KMM_PROT_WRITE), 0);
		CHECK_EQ(space_areas(&s), 3);
		CALL(space_stop(&s));
	}
}

/* What is locked only once it is used gets neither pages nor an owner: a fork has nothing to copy. */
KMM_TEST(mlock_onfault_writable_has_no_owner)
{
	uint8_t present = 0xff;
	struct kmm_mm *child;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 3, SPACE_R, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(8), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(lock(&s, page(0), 3, KMM_MLOCK_ONFAULT), 0);
	CHECK_EQ(space_protect(&s, page(1), 1, SPACE_RW), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(1)), 0);
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_OK(kmm_mincore(child, kmm_uva((kmm_word)page(1)), SPACE_PAGE, kmm_uva((kmm_word)page(8))));
	CHECK_OK(kmm_copy_in(child, &present, kmm_uva((kmm_word)page(8)), 1, NULL));
	CHECK_EQ(present, 0);
	hosted_put_space(s.m, child);
	CALL(space_stop(&s));
}

/* A length that leads beyond all addresses is too much before it is wrong, also where part of it is locked. */
KMM_TEST(mlock_beyond_all_addresses)
{
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(lock(&s, page(0), 3, 0), 0);
	CHECK_EQ(kmm_status_errno(kmm_mlock(s.mm, kmm_uva((kmm_word)page(2)), UINT64_MAX - 4096, 0)), ENOMEM);
	CHECK_EQ(locked(&s), 3);
	CALL(space_stop(&s));
}

/* A heap, a stack and a right to write, each locked and grown. */
KMM_TEST(mlock_grows)
{
	struct space s;

	CALL(space_start(&s, KMM_I386_PAE));
	kmm_mm_set_brk(s.mm, kmm_uva((kmm_word)page(100)));
	CHECK_EQ(space_map(&s, page(20), 2, SPACE_R, SPACE_ANON), 0);
	CHECK_OK(kmm_mlockall(s.mm, KMM_MCL_CURRENT | KMM_MCL_FUTURE));
	CHECK_EQ(resident(&s), 0); /* the zero page */
	CHECK_EQ(space_protect(&s, page(20), 2, SPACE_RW), 0);
	CHECK_EQ(resident(&s), 2);
	CHECK_EQ(kmm_brk(s.mm, kmm_uva((kmm_word)page(103))).v, page(103));
	CHECK_EQ(resident(&s), 5);
	CHECK_EQ(locked(&s), 5);
	kmm_mm_limits(s.mm)->memlock_bytes = 6 * SPACE_PAGE;
	CHECK_EQ(kmm_brk(s.mm, kmm_uva((kmm_word)page(105))).v, page(103));
	kmm_munlockall(s.mm);
	CHECK_EQ(space_map(&s, page(400), 1, SPACE_RW, SPACE_ANON | KMM_MAP_GROWSDOWN | KMM_MAP_LOCKED), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(396), 1), 0);
	CHECK_EQ(locked(&s), 5);
	CHECK_EQ(space_poke(&s, s.mm, page(394), 1), -11); /* a seventh */
	CALL(space_stop(&s));
}

static int lock_middle(struct space *s) { return lock(s, page(2), 3, 0); }
static int unlock_middle(struct space *s) { return unlock(s, page(3), 1); }

KMM_TEST(mlock_fails_whole)
{
	struct space s;

	CALL(space_start(&s, KMM_I386));
	CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
	CALL(space_fail_each(&s, lock_middle, true));
	CALL(space_fail_each(&s, unlock_middle, true));
	CHECK_EQ(locked(&s), 2);
	CALL(space_stop(&s));
}

KMM_TEST(mlock_needs_frames)
{
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(4), 1, KMM_PROT_NONE, SPACE_ANON), 0);
	CHECK_EQ(lock(&s, page(4), 1, 0), ENOMEM);
	CHECK_EQ(locked(&s), 1); /* locked all the same */
	CHECK_EQ(lock(&s, page(0), 4, 2), EINVAL);
	CHECK_OK(kmm_mlock(s.mm, kmm_uva((kmm_word)page(0)), 4 * SPACE_PAGE, KMM_MLOCK_ONFAULT));
	kmm_fail_nth(s.k, 1);
	CHECK_EQ(lock(&s, page(0), 4, 0), EAGAIN);
	kmm_fail_nth(s.k, 0);
	CALL(space_stop(&s));
}
