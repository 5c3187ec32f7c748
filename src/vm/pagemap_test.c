/* SPDX-License-Identifier: MIT */
/*
 * Pages as pagemap shows them, and what clear_refs forgets.
 */
#include "harness/space.h"

#define AT 0x20000000ull
#define PRESENT (1ull << 63)
#define OF_FILE (1ull << 61)
#define EXCLUSIVE (1ull << 56)
#define SOFT_DIRTY (1ull << 55)

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

struct word_sink {
	struct kmm_sink sink;
	char *to;
};

static void take(struct kmm_sink *sink, const char *bytes, size_t len)
{
	struct word_sink *w = (struct word_sink *)sink;

	memcpy(w->to, bytes, len);
	w->to += len;
}

static kmm_word words(struct kmm_mm *mm, uint64_t first, kmm_word nr, bool frames, uint64_t *to)
{
	struct word_sink sink = { { take }, (char *)to };

	return kmm_report_pagemap(mm, first, nr, frames, &sink.sink);
}

static uint64_t word(struct kmm_mm *mm, uint64_t at)
{
	uint64_t w = 0;

	return words(mm, at / SPACE_PAGE, 1, true, &w) == 1 ? w : 0;
}

static bool is_dirty(struct space *s, unsigned n) { return (word(s->mm, page(n)) & SOFT_DIRTY) != 0; }

KMM_TEST(pagemap_words)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_mm *child;
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(space_map(&s, page(4), 1, SPACE_RW, SPACE_SHARED), 0);
		CHECK_EQ(space_poke(&s, s.mm, page(0), 1), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(1)), 0);
		CHECK_EQ(space_poke(&s, s.mm, page(4), 1), 0);
		CHECK_EQ(word(s.mm, page(0)) & (PRESENT | OF_FILE | EXCLUSIVE), PRESENT | EXCLUSIVE);
		CHECK_EQ(word(s.mm, page(1)) & (PRESENT | OF_FILE | EXCLUSIVE), PRESENT);
		CHECK_EQ(word(s.mm, page(2)) & PRESENT, 0);
		CHECK_EQ(word(s.mm, page(4)) & (PRESENT | OF_FILE | EXCLUSIVE), PRESENT | OF_FILE | EXCLUSIVE);
		CHECK_EQ(word(s.mm, page(5)), 0);
		CHECK_OK(kmm_mm_fork(s.mm, &child));
		CHECK_EQ(word(s.mm, page(0)) & EXCLUSIVE, 0);
		CHECK_EQ(word(s.mm, page(0)), word(child, page(0)));
		hosted_put_space(s.m, child);
		CALL(space_stop(&s));
	}
}

KMM_TEST(pagemap_hides_frames)
{
	struct space s;
	uint64_t w[200];

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 200, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
	CHECK_EQ(words(s.mm, page(0) / SPACE_PAGE, 200, false, w), 200);
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(w[i], PRESENT | EXCLUSIVE | SOFT_DIRTY);
	CHECK_EQ(words(s.mm, 0x7ffffffffull - 3, 200, false, w), 3); /* a guard page ends the space */
	CHECK_EQ(words(s.mm, UINT64_MAX, 200, false, w), 0);
	CALL(space_stop(&s));
}

KMM_TEST(refs_watch_writes)
{
	struct kmm_mm *child;
	struct space s;
	struct kmm_uva at;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 6, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
	CHECK_EQ(space_map(&s, page(8), 2, SPACE_RW, SPACE_SHARED | KMM_MAP_POPULATE), 0);
	CHECK(is_dirty(&s, 0) && is_dirty(&s, 8));
	CHECK_OK(kmm_clear_refs(s.mm, KMM_REFS_SOFT_DIRTY));
	for (unsigned i = 0; i < 10; i++)
		CHECK(!is_dirty(&s, i));
	CHECK_EQ(space_poke(&s, s.mm, page(1), 1), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(8), 1), 0);
	CHECK(is_dirty(&s, 1) && is_dirty(&s, 8) && !is_dirty(&s, 2) && !is_dirty(&s, 9));
	CHECK_EQ(space_protect(&s, page(0), 10, SPACE_R), 12); /* over a hole */
	CHECK_EQ(space_protect(&s, page(0), 6, SPACE_RW), 0);
	CHECK(is_dirty(&s, 1) && !is_dirty(&s, 2));
	CHECK_EQ(space_poke(&s, s.mm, page(2), 1), 0);
	CHECK(is_dirty(&s, 2));
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK(word(child, page(2)) & SOFT_DIRTY);
	CHECK(!(word(child, page(3)) & SOFT_DIRTY));
	CHECK_EQ(space_poke(&s, child, page(3), 1), 0);
	CHECK(word(child, page(3)) & SOFT_DIRTY);
	CHECK(!is_dirty(&s, 3));
	hosted_put_space(s.m, child);
	CHECK_OK(kmm_mremap(s.mm, kmm_uva((kmm_word)page(3)), SPACE_PAGE, SPACE_PAGE, 3, kmm_uva((kmm_word)page(20)), &at));
	CHECK(is_dirty(&s, 20));
	CHECK_EQ(space_map(&s, page(6), 1, SPACE_RW, SPACE_ANON), 0); /* merges, and then all of it is new */
	CHECK(is_dirty(&s, 6) && is_dirty(&s, 5));
	CALL(space_stop(&s));
}

KMM_TEST(refs_others)
{
	struct kmm_mm_stats stats;
	struct space s;

	CALL(space_start(&s, KMM_I386));
	CHECK_EQ(space_map(&s, page(0), 6, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
	CHECK_EQ(kmm_clear_refs(s.mm, 0), KMM_EINVAL);
	CHECK_EQ(kmm_clear_refs(s.mm, 6), KMM_EINVAL);
	CHECK_OK(kmm_clear_refs(s.mm, KMM_REFS_SOFT_DIRTY));
	CHECK(!is_dirty(&s, 0)); /* Linux: not on 32-bit machines */
	CHECK_OK(kmm_clear_refs(s.mm, KMM_REFS_MAPPED));
	CHECK_OK(kmm_clear_refs(s.mm, KMM_REFS_ALL));
	CHECK_EQ(space_unmap(&s, page(0), 6), 0);
	kmm_mm_stats(s.mm, &stats);
	CHECK_EQ(stats.peak_rss, 6);
	CHECK_OK(kmm_clear_refs(s.mm, KMM_REFS_PEAK));
	kmm_mm_stats(s.mm, &stats);
	CHECK_EQ(stats.peak_rss, 0);
	CALL(space_stop(&s));
}
