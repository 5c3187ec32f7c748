/* SPDX-License-Identifier: MIT */
/*
 * Which areas become one, by Linux 6.1's rules.
 */
#include "harness/space.h"

#define AT 0x20000000ull

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

KMM_TEST(merge_new_areas)
{
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(2), 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(space_map(&s, page(6), 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_areas(&s), 2);
	CHECK_EQ(space_map(&s, page(4), 2, SPACE_RW, SPACE_ANON), 0); /* the bridge */
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(space_map(&s, page(8), 1, SPACE_R, SPACE_ANON), 0); /* other rights */
	CHECK_EQ(space_map(&s, page(9), 1, SPACE_R, SPACE_SHARED), 0); /* objects of their own */
	CHECK_EQ(space_map(&s, page(10), 1, SPACE_R, SPACE_SHARED), 0);
	CHECK_EQ(space_areas(&s), 4);
	CALL(space_stop(&s));
}

/* Read-only memory that was writable still counts towards overcommit; fresh read-only memory does not. */
KMM_TEST(merge_minds_accounting)
{
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_protect(&s, page(0), 2, SPACE_R), 0);
	CHECK_EQ(space_map(&s, page(2), 2, SPACE_R, SPACE_ANON), 0);
	CHECK_EQ(space_areas(&s), 2);
	CHECK_EQ(space_protect(&s, page(0), 4, SPACE_RW), 0);
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(space_protect(&s, page(0), 4, SPACE_R), 0);
	CHECK_EQ(space_areas(&s), 1);
	CALL(space_stop(&s));
}

/* Private pages: two areas faulted apart do not merge, one that was not faulted joins. */
KMM_TEST(merge_minds_private_pages)
{
	struct space s;

	CALL(space_start(&s, KMM_I386));
	CHECK_EQ(space_map(&s, page(0), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(2), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(0), 1), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(2), 1), 0);
	CHECK_EQ(space_map(&s, page(1), 1, SPACE_RW, SPACE_ANON), 0); /* can join one only */
	CHECK_EQ(space_areas(&s), 2);
	CHECK_EQ(space_unmap(&s, page(0), 3), 0);
	/* Only the upper one has pages: mmap extends that one and then cannot join the lower. */
	CHECK_EQ(space_map(&s, page(0), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(2), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(2), 1), 0);
	CHECK_EQ(space_map(&s, page(1), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_areas(&s), 2);
	CHECK_EQ(space_unmap(&s, page(0), 3), 0);
	/* Only the lower one: all three become one. */
	CHECK_EQ(space_map(&s, page(0), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(2), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(0), 1), 0);
	CHECK_EQ(space_map(&s, page(1), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_areas(&s), 1);
	CALL(space_stop(&s));
}

/* A piece cut out by mprotect comes back, with its pages. */
KMM_TEST(merge_after_mprotect)
{
	struct space s;

	CALL(space_start(&s, KMM_I386_PAE));
	CHECK_EQ(space_map(&s, page(0), 9, SPACE_RW, SPACE_ANON), 0);
	for (unsigned i = 0; i < 9; i++)
		CHECK_EQ(space_poke(&s, s.mm, page(i), (uint8_t)(i + 1)), 0);
	CHECK_EQ(space_protect(&s, page(3), 3, SPACE_R), 0);
	CHECK_EQ(space_areas(&s), 3);
	CHECK_EQ(space_protect(&s, page(2), 2, SPACE_R), 0); /* the boundary moves */
	CHECK_EQ(space_areas(&s), 3);
	CHECK_EQ(space_protect(&s, page(5), 1, SPACE_RW), 0);
	CHECK_EQ(space_areas(&s), 3);
	CHECK_EQ(space_protect(&s, page(2), 3, SPACE_RW), 0);
	CHECK_EQ(space_areas(&s), 1);
	for (unsigned i = 0; i < 9; i++)
		CHECK_EQ(space_peek(&s, s.mm, page(i)), i + 1);
	CALL(space_stop(&s));
}

/* After fork the child's areas have pages of a parent: Linux gives each its own object, so they stay apart. */
KMM_TEST(merge_after_fork)
{
	struct kmm_mm *parent;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	parent = s.mm;
	CHECK_EQ(space_map(&s, page(0), 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(0), 1), 0);
	CHECK_EQ(space_protect(&s, page(1), 1, SPACE_R), 0);
	CHECK_OK(kmm_mm_fork(parent, &s.mm));
	CHECK_EQ(space_protect(&s, page(1), 1, SPACE_RW), 0);
	CHECK_EQ(space_areas(&s), 2);
	CHECK_EQ(space_map(&s, page(2), 1, SPACE_RW, SPACE_ANON), 0); /* and takes in nothing new */
	CHECK_EQ(space_areas(&s), 3);
	hosted_put_space(s.m, s.mm);
	s.mm = parent;
	CHECK_EQ(space_protect(&s, page(1), 1, SPACE_RW), 0);
	CHECK_EQ(space_areas(&s), 1);
	CALL(space_stop(&s));
}

static int map_opened(struct space *s, uint64_t at, struct kmm_file *file, uint64_t pgoff, struct kmm_opening *opening)
{
	const struct kmm_mmap_args args = { .addr = kmm_uva((kmm_word)at), .len = 2 * SPACE_PAGE, .prot = SPACE_R,
					    .flags = KMM_MAP_SHARED | KMM_MAP_FIXED, .backing = &file->backing,
					    .pgoff = pgoff, .opening = opening };
	struct kmm_uva out;

	return kmm_status_errno(kmm_mmap_opened(s->mm, &args, &out));
}

/* One file opened twice gives areas that stay apart, whatever is done to them; also to a child's. */
KMM_TEST(merge_minds_openings)
{
	struct kmm_opening seven = { .refs = 1 }, eight = { .refs = 1 };
	struct kmm_mm *parent;
	struct kmm_file file;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	parent = s.mm;
	kmm_file_init(&file, s.k, 10 * SPACE_PAGE, "/f");
	CHECK_EQ(map_opened(&s, page(0), &file, 0, &seven), 0);
	CHECK_EQ(map_opened(&s, page(2), &file, 2, &eight), 0);
	CHECK_EQ(space_areas(&s), 2);
	CHECK_EQ(map_opened(&s, page(4), &file, 4, &eight), 0);
	CHECK_EQ(space_areas(&s), 2);
	CHECK_EQ(space_protect(&s, page(1), 2, 0), 0);
	CHECK_EQ(space_areas(&s), 4);
	CHECK_EQ(seven.refs, 1 + 2); /* one of each area */
	CHECK_EQ(eight.refs, 1 + 2);
	CHECK_EQ(space_protect(&s, page(1), 2, SPACE_R), 0);
	CHECK_EQ(space_areas(&s), 2);
	CHECK_OK(kmm_mm_fork(parent, &s.mm));
	CHECK_EQ(seven.refs, 1 + 2);
	CHECK_EQ(space_protect(&s, page(1), 2, 0), 0);
	CHECK_EQ(space_protect(&s, page(1), 2, SPACE_R), 0);
	CHECK_EQ(space_areas(&s), 2);
	CHECK_EQ(map_opened(&s, page(0), &file, 0, &eight), 0); /* the gap between two of one opening */
	CHECK_EQ(space_areas(&s), 1);
	hosted_put_space(s.m, s.mm);
	hosted_put_space(s.m, parent);
	s.mm = NULL;
	CHECK_EQ(seven.refs, 1);
	CHECK_EQ(eight.refs, 1);
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

KMM_TEST(merge_files)
{
	struct kmm_file file, other;
	struct space s;

	CALL(space_start(&s, KMM_I386));
	kmm_file_init(&file, s.k, 10 * SPACE_PAGE, "/f");
	kmm_file_init(&other, s.k, 10 * SPACE_PAGE, "/g");
	CHECK_EQ(space_map_file(&s, page(0), 2, SPACE_R, KMM_MAP_PRIVATE, &file, 0), 0);
	CHECK_EQ(space_map_file(&s, page(2), 2, SPACE_R, KMM_MAP_PRIVATE, &file, 2), 0);
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(space_map_file(&s, page(4), 1, SPACE_R, KMM_MAP_PRIVATE, &file, 5), 0); /* not the next page */
	CHECK_EQ(space_map_file(&s, page(5), 1, SPACE_R, KMM_MAP_PRIVATE, &other, 6), 0);
	CHECK_EQ(space_map_file(&s, page(6), 1, SPACE_R, KMM_MAP_SHARED, &other, 7), 0);
	CHECK_EQ(space_areas(&s), 4);
	CHECK_EQ(space_map_file(&s, page(4), 1, SPACE_R, KMM_MAP_PRIVATE, &file, 4), 0);
	CHECK_EQ(space_areas(&s), 3);
	hosted_put_space(s.m, s.mm);
	s.mm = NULL;
	kmm_backing_put(&file.backing);
	kmm_backing_put(&other.backing);
	CALL(space_stop(&s));
}
