/* SPDX-License-Identifier: MIT */
/*
 * mprotect, mremap, madvise and brk: results, errnos, contents, and failures that leave everything as it was.
 */
#include "harness/space.h"

enum { EPERM = 1, EAGAIN = 11, ENOMEM = 12, EFAULT = 14, EINVAL = 22, SEGV = 11 };
#define AT 0x20000000ull

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

static void fill(struct space *s, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		CHECK_EQ(space_poke(s, s->mm, page(i), (uint8_t)(i + 1)), 0);
}

static int remap(struct space *s, uint64_t old, uint64_t old_pages, uint64_t new_pages, unsigned flags, uint64_t to,
		 uint64_t *out)
{
	struct kmm_uva at = { 0 };
	int err = kmm_status_errno(kmm_mremap(s->mm, kmm_uva((kmm_word)old), old_pages * SPACE_PAGE,
					      new_pages * SPACE_PAGE, flags, kmm_uva((kmm_word)to), &at));

	*out = at.v;
	return err;
}

static int advise(struct space *s, uint64_t at, uint64_t pages, int advice)
{
	return kmm_status_errno(kmm_madvise(s->mm, kmm_uva((kmm_word)at), pages * SPACE_PAGE, advice));
}

/* ---- mprotect ---- */

KMM_TEST(mprotect_rights)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;
		struct hosted_result r;
		uint8_t byte;
		bool nx = space_formats[f] != KMM_I386;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, page(0), 3, SPACE_RW, SPACE_ANON), 0);
		CALL(fill(&s, 0, 3));
		CHECK_EQ(space_protect(&s, page(1), 1, KMM_PROT_NONE), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(1)), -SEGV);
		r = hosted_read_user(s.m, s.mm, page(1), &byte, 1);
		CHECK_EQ(r.code, 2);
		CHECK_EQ(space_protect(&s, page(1), 1, SPACE_R), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(1)), 2); /* it kept its content */
		CHECK_EQ(space_poke(&s, s.mm, page(1), 9), -SEGV);
		CHECK_EQ(hosted_exec_user(s.m, s.mm, page(1), &byte, 1).ok, !nx);
		CHECK_EQ(space_protect(&s, page(1), 1, SPACE_RX), 0);
		CHECK(hosted_exec_user(s.m, s.mm, page(1), &byte, 1).ok);
		CHECK_EQ(space_protect(&s, page(1), 1, SPACE_RW), 0);
		CHECK_EQ(space_poke(&s, s.mm, page(1), 9), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(1)), 9);
		CALL(space_stop(&s));
	}
}

KMM_TEST(mprotect_errors)
{
	struct space s;

	CALL(space_start(&s, KMM_I386));
	CHECK_EQ(space_map(&s, page(0), 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(3), 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(kmm_mprotect(s.mm, kmm_uva(AT + 1), 1, SPACE_R), KMM_EINVAL);
	CHECK_EQ(kmm_mprotect(s.mm, kmm_uva(AT), 0, 0x70), KMM_OK);
	CHECK_EQ(space_protect(&s, page(0), 1, 0x10), EINVAL);
	CHECK_EQ(space_protect(&s, page(0), 1, 0x03000000), EINVAL); /* GROWSDOWN and GROWSUP */
	CHECK_EQ(space_protect(&s, page(0), 1, 0x01000000), EINVAL); /* GROWSDOWN of what does not grow */
	CHECK_EQ(space_protect(&s, page(0), 1, SPACE_RW | 8), 0);    /* PROT_SEM */
	CHECK_EQ(kmm_mprotect(s.mm, kmm_uva(AT), 0xf0000000, SPACE_R), KMM_ENOMEM);
	CHECK_EQ(space_protect(&s, page(2), 1, SPACE_R), ENOMEM);
	CHECK_EQ(space_areas(&s), 2);
	/* Over a hole: what lies before it has changed, the rest has not. */
	CHECK_EQ(space_protect(&s, page(1), 4, SPACE_R), ENOMEM);
	CHECK_EQ(space_areas(&s), 3);
	CHECK_EQ(space_poke(&s, s.mm, page(1), 1), -SEGV);
	CHECK_EQ(space_poke(&s, s.mm, page(3), 1), 0);
	CALL(space_stop(&s));
}

static int protect_middle(struct space *s) { return space_protect(s, page(2), 4, SPACE_R); }
static int protect_back(struct space *s) { return space_protect(s, page(2), 4, SPACE_RW); }

KMM_TEST(mprotect_fails_whole)
{
	struct space s;

	CALL(space_start(&s, KMM_I386_PAE));
	CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
	CALL(space_fail_each(&s, protect_middle, true));
	CALL(space_fail_each(&s, protect_back, true));
	CHECK_EQ(space_areas(&s), 1);
	CALL(space_stop(&s));
}

/* ---- mremap ---- */

KMM_TEST(mremap_shrinks_grows_moves)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;
		uint64_t at;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
		CALL(fill(&s, 0, 8));
		CHECK_EQ(remap(&s, page(0), 8, 4, 0, 0, &at), 0);
		CHECK_EQ(at, page(0));
		CHECK_EQ(space_peek(&s, s.mm, page(4)), -SEGV);
		CHECK_EQ(remap(&s, page(0), 4, 6, 0, 0, &at), 0); /* in place */
		CHECK_EQ(at, page(0));
		CHECK_EQ(space_peek(&s, s.mm, page(5)), 0);
		CHECK_EQ(space_areas(&s), 1);
		CHECK_EQ(space_map(&s, page(6), 1, SPACE_R, SPACE_ANON), 0);
		CHECK_EQ(remap(&s, page(0), 6, 7, 0, 0, &at), ENOMEM);
		CHECK_EQ(remap(&s, page(0), 6, 600, KMM_MREMAP_MAYMOVE, 0, &at), 0);
		CHECK(at != page(0));
		CHECK_EQ(space_peek(&s, s.mm, page(0)), -SEGV);
		for (unsigned i = 0; i < 6; i++)
			CHECK_EQ(space_peek(&s, s.mm, at + i * SPACE_PAGE), i < 4 ? (int)i + 1 : 0);
		CHECK_EQ(space_poke(&s, s.mm, at + 599 * SPACE_PAGE, 5), 0);
		CALL(space_stop(&s));
	}
}

KMM_TEST(mremap_fixed)
{
	struct space s;
	uint64_t at;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(10), 8, SPACE_R, SPACE_ANON), 0);
	CALL(fill(&s, 0, 8));
	/* The middle of one area into the middle of another. */
	CHECK_EQ(remap(&s, page(2), 3, 3, KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED, page(12), &at), 0);
	CHECK_EQ(at, page(12));
	CHECK_EQ(space_areas(&s), 5);
	CHECK_EQ(space_peek(&s, s.mm, page(2)), -SEGV);
	CHECK_EQ(space_peek(&s, s.mm, page(13)), 4);
	CHECK_EQ(space_poke(&s, s.mm, page(13), 40), 0);
	/* And back: the pieces are one again. */
	CHECK_EQ(remap(&s, page(12), 3, 3, KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED, page(2), &at), 0);
	CHECK_EQ(space_areas(&s), 3);
	CHECK_EQ(space_peek(&s, s.mm, page(3)), 40);
	/* Longer than before, shorter than before. */
	CHECK_EQ(remap(&s, page(6), 2, 4, KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED, page(30), &at), 0);
	CHECK_EQ(remap(&s, page(30), 4, 1, KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED, page(40), &at), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(40)), 7);
	CHECK_EQ(space_peek(&s, s.mm, page(31)), -SEGV);
	CALL(space_stop(&s));
}

KMM_TEST(mremap_errors)
{
	struct space s;
	uint64_t at;
	const unsigned move = KMM_MREMAP_MAYMOVE, fixed = move | KMM_MREMAP_FIXED;

	CALL(space_start(&s, KMM_I386));
	CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(4), 4, SPACE_R, SPACE_ANON), 0);
	CHECK_EQ(remap(&s, page(0), 1, 1, 8, 0, &at), EINVAL);
	CHECK_EQ(remap(&s, page(0), 1, 1, KMM_MREMAP_FIXED, page(20), &at), EINVAL);
	CHECK_EQ(remap(&s, page(0), 1, 2, move | KMM_MREMAP_DONTUNMAP, 0, &at), EINVAL);
	CHECK_EQ(remap(&s, page(0) + 1, 1, 1, move, 0, &at), EINVAL);
	CHECK_EQ(remap(&s, page(0), 1, 0, move, 0, &at), EINVAL);
	CHECK_EQ(remap(&s, page(50), 1, 2, move, 0, &at), EFAULT);
	CHECK_EQ(remap(&s, page(3), 2, 3, move, 0, &at), EFAULT);  /* two areas */
	CHECK_EQ(remap(&s, page(0), 0, 2, move, 0, &at), EINVAL);  /* duplicating what is private */
	CHECK_EQ(remap(&s, page(0), 2, 2, fixed, page(1), &at), EINVAL); /* overlap */
	CHECK_EQ(remap(&s, page(0), 1, 1, fixed, page(20) + 1, &at), EINVAL);
	CHECK_EQ(remap(&s, page(0), 1, 1, fixed, 0xc0000000, &at), EINVAL);
	CHECK_EQ(remap(&s, page(0), 1, 1, fixed, 4096, &at), EPERM);
	CHECK_EQ(remap(&s, page(0), 1, 0xc0000, move, 0, &at), ENOMEM);
	CHECK_EQ(space_areas(&s), 2);
	/* Linux 6.1 unmaps the destination before it looks whether the old range is one area. */
	CHECK_EQ(space_map(&s, page(20), 2, SPACE_R, SPACE_ANON), 0);
	CHECK_EQ(remap(&s, page(3), 2, 2, fixed, page(20), &at), EFAULT);
	CHECK_EQ(space_areas(&s), 2);
	CALL(space_stop(&s));
}

KMM_TEST(mremap_dontunmap_and_duplicate)
{
	struct space s;
	uint64_t at, copy;

	CALL(space_start(&s, KMM_X86_64_LA57));
	CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON), 0);
	CALL(fill(&s, 0, 4));
	CHECK_EQ(remap(&s, page(0), 4, 4, KMM_MREMAP_MAYMOVE | KMM_MREMAP_DONTUNMAP, 0, &at), 0);
	CHECK_EQ(space_peek(&s, s.mm, at + SPACE_PAGE), 2);
	CHECK_EQ(space_peek(&s, s.mm, page(1)), 0); /* still mapped, but empty */
	CHECK_EQ(space_map(&s, page(10), 2, SPACE_RW, SPACE_SHARED), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(11), 77), 0);
	CHECK_EQ(remap(&s, page(10), 0, 2, KMM_MREMAP_MAYMOVE, 0, &copy), 0);
	CHECK_EQ(space_peek(&s, s.mm, copy + SPACE_PAGE), 77);
	CHECK_EQ(space_poke(&s, s.mm, copy, 78), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(10)), 78);
	CALL(space_stop(&s));
}

static int move_far(struct space *s)
{
	uint64_t at;

	return remap(s, page(2), 4, 8, KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED, 0x40000000, &at);
}

static int move_and_cut(struct space *s)
{
	uint64_t at;

	return remap(s, page(10), 6, 3, KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED, 0x50001000, &at);
}

static int move_anywhere(struct space *s)
{
	uint64_t at;

	return remap(s, page(20), 2, 8, KMM_MREMAP_MAYMOVE, 0, &at);
}

KMM_TEST(mremap_fails_whole)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, page(0), 9, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
		CHECK_EQ(space_map(&s, page(10), 9, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
		CHECK_EQ(space_map(&s, page(20), 2, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
		CHECK_EQ(space_map(&s, page(22), 2, SPACE_R, SPACE_ANON), 0);
		CHECK_EQ(space_map(&s, 0x50000000, 5, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
		CALL(space_fail_each(&s, move_far, true));
		CALL(space_fail_each(&s, move_and_cut, true));
		CALL(space_fail_each(&s, move_anywhere, true));
		CALL(space_stop(&s));
	}
}

/* ---- madvise ---- */

KMM_TEST(madvise_works)
{
	struct space s;
	struct kmm_mm_stats stats;

	CALL(space_start(&s, KMM_I386_PAE));
	CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
	CALL(fill(&s, 0, 8));
	CHECK_EQ(advise(&s, page(2), 2, 4), 0);
	kmm_mm_stats(s.mm, &stats);
	CHECK_EQ(stats.rss_anon, 6);
	CHECK_EQ(space_peek(&s, s.mm, page(2)), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(4)), 5);
	CHECK_EQ(advise(&s, page(0), 1, KMM_MADV_HUGEPAGE), 0); /* marked, though there are none */
	CHECK_EQ(space_areas(&s), 2);
	CHECK_EQ(advise(&s, page(0), 8, KMM_MADV_NOHUGEPAGE), 0);
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(advise(&s, page(0), 1, 99), EINVAL);
	CHECK_EQ(advise(&s, page(0) + 1, 1, 4), EINVAL);
	CHECK_EQ(advise(&s, page(7), 2, 4), ENOMEM); /* a hole, but the rest is done */
	CHECK_EQ(space_peek(&s, s.mm, page(7)), 0);
	CHECK_EQ(advise(&s, page(1), 2, 1), 0); /* RANDOM: a flag, so an area of its own */
	CHECK_EQ(space_areas(&s), 3);
	CHECK_EQ(advise(&s, page(1), 2, 0), 0);
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(space_map(&s, page(20), 1, SPACE_RW, SPACE_ANON | KMM_MAP_LOCKED), 0);
	CHECK_EQ(advise(&s, page(20), 1, 4), EINVAL);
	CALL(space_stop(&s));
}

static int advise_middle(struct space *s) { return advise(s, page(2), 3, 2); }

KMM_TEST(madvise_fails_whole)
{
	struct space s;

	CALL(space_start(&s, KMM_I386));
	CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
	CALL(space_fail_each(&s, advise_middle, true));
	CHECK_EQ(space_areas(&s), 3);
	CALL(space_stop(&s));
}

/* ---- brk ---- */

static uint64_t brk_to(struct space *s, uint64_t want) { return kmm_brk(s->mm, kmm_uva((kmm_word)want)).v; }

KMM_TEST(brk_moves)
{
	struct space s;
	struct hosted_text text;

	CALL(space_start(&s, KMM_I386));
	kmm_mm_set_brk(s.mm, kmm_uva(0x09000010));
	CHECK_EQ(brk_to(&s, 0), 0x09000010);
	CHECK_EQ(brk_to(&s, 0x09000800), 0x09000800);
	CHECK_EQ(space_areas(&s), 0); /* still within the page below */
	CHECK_EQ(brk_to(&s, 0x09002001), 0x09002001);
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(space_poke(&s, s.mm, 0x09002fff, 5), 0);
	kmm_report_maps(s.mm, hosted_text_init(&text));
	CHECK_STR(text.text, "09001000-09003000 rw-p 00000000 00:00 0          [heap]\n");
	hosted_text_free(&text);
	CHECK_EQ(brk_to(&s, 0x09001000), 0x09001000);
	CHECK_EQ(space_areas(&s), 0);
	CHECK_EQ(brk_to(&s, 0x09000000), 0x09001000); /* below its start */
	CHECK_EQ(brk_to(&s, 0xd0000000), 0x09001000);
	CALL(space_stop(&s));
}

KMM_TEST(brk_keeps_distance)
{
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	kmm_mm_set_brk(s.mm, kmm_uva(AT));
	CHECK_EQ(space_map(&s, page(10), 1, SPACE_R, SPACE_ANON), 0);
	CHECK_EQ(brk_to(&s, page(10)), AT); /* a page stays free */
	CHECK_EQ(brk_to(&s, page(9)), page(9));
	kmm_mm_limits(s.mm)->data_bytes = 9 * SPACE_PAGE;
	CHECK_EQ(space_unmap(&s, page(10), 1), 0);
	CHECK_EQ(brk_to(&s, page(9) + 1), page(9));
	kmm_mm_set_data(s.mm, SPACE_PAGE); /* counts with the heap */
	CHECK_EQ(brk_to(&s, page(8) + 1), page(9));
	CHECK_EQ(brk_to(&s, page(8)), page(8));
	CHECK_EQ(brk_to(&s, page(9)), page(8));
	kmm_mm_limits(s.mm)->data_bytes = UINT64_MAX;
	CHECK_EQ(brk_to(&s, page(11)), page(11));
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(brk_to(&s, AT + (2ull << 30)), page(11)); /* more than RAM */
	CALL(space_stop(&s));
}

static int grow_heap(struct space *s) { return brk_to(s, page(3)) == page(3) ? 0 : ENOMEM; }

KMM_TEST(brk_fails_whole)
{
	struct space s;

	CALL(space_start(&s, KMM_I386));
	kmm_mm_set_brk(s.mm, kmm_uva(AT));
	CALL(space_fail_each(&s, grow_heap, true));
	CALL(space_stop(&s));
}

/* Fit for it are areas with room and something to collapse, and no huge page is ever to be had for them. */
KMM_TEST(madvise_collapse)
{
	static const enum kmm_format_id formats[] = { KMM_I386, KMM_I386_PAE, KMM_X86_64 };

	for (unsigned i = 0; i < 3; i++) {
		struct kmm_file file;
		struct space s;
		kmm_word at = 0x20000000, nr = formats[i] == KMM_I386 ? 1024 : 512;

		CALL(space_start(&s, formats[i]));
		CHECK_EQ(space_map(&s, at, 2 * nr, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(advise(&s, at, nr, KMM_MADV_COLLAPSE), EINVAL); /* no page yet */
		CHECK_EQ(space_poke(&s, s.mm, at, 1), 0);
		CHECK_EQ(advise(&s, at, nr, KMM_MADV_COLLAPSE), ENOMEM);
		CHECK_EQ(advise(&s, at + nr * SPACE_PAGE, nr, KMM_MADV_COLLAPSE), EINVAL); /* nothing there */
		CHECK_EQ(advise(&s, at + SPACE_PAGE, nr, KMM_MADV_COLLAPSE), 0);           /* no whole one */
		CHECK_EQ(advise(&s, at + SPACE_PAGE, 1, KMM_MADV_COLLAPSE), EINVAL);
		CHECK_EQ(advise(&s, at, 2 * nr, KMM_MADV_NOHUGEPAGE), 0);
		CHECK_EQ(advise(&s, at, nr, KMM_MADV_COLLAPSE), EINVAL);
		CHECK_EQ(space_unmap(&s, at, 2 * nr), 0);
		kmm_file_init(&file, s.k, 3 * nr * SPACE_PAGE, "/huge");
		CHECK_EQ(space_map_file(&s, at, 2 * nr, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
		CHECK_EQ(advise(&s, at, nr, KMM_MADV_COLLAPSE), ENOMEM);
		CHECK_EQ(space_unmap(&s, at, 2 * nr), 0);
		CHECK_EQ(space_map_file(&s, at, 2 * nr, SPACE_RW, KMM_MAP_SHARED, &file, 1), 0);
		CHECK_EQ(advise(&s, at, nr, KMM_MADV_COLLAPSE), EINVAL); /* in the file it lies elsewhere */
		CHECK_EQ(space_unmap(&s, at, 2 * nr), 0);
		kmm_backing_put(&file.backing);
		CALL(space_stop(&s));
	}
}
