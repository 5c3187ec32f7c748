/* SPDX-License-Identifier: MIT */
/*
 * Marks of pages over all that can happen to them: written since clear_refs, in frames, in swap, and at other addresses.
 */
#include "harness/space.h"

#define AT 0x20000000ull
#define SWAPPED (1ull << 62)
#define SOFT_DIRTY (1ull << 55)

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

struct marked {
	struct space s;
	struct hosted_swap *disk;
};

static void start(struct marked *w, bool later)
{
	struct space *s = &w->s;

	CALL(space_start(s, KMM_X86_64));
	w->disk = (later ? hosted_swap_open_later : hosted_swap_open)(s->m, 256 * SPACE_PAGE);
	CHECK(w->disk != NULL);
	CHECK_OK(kmm_swap_on(s->k, hosted_swap_device(w->disk), -1));
}

static void stop(struct marked *w)
{
	CALL(space_audit(&w->s));
	CALL(space_stop(&w->s));
	hosted_swap_close(w->disk);
}

struct word_sink {
	struct kmm_sink sink;
	uint64_t word;
};

static void take(struct kmm_sink *sink, const char *bytes, size_t len)
{
	memcpy(&((struct word_sink *)sink)->word, bytes, len);
}

static uint64_t word(struct kmm_mm *mm, unsigned n)
{
	struct word_sink sink = { { take }, 0 };

	return kmm_report_pagemap(mm, page(n) / SPACE_PAGE, 1, true, &sink.sink) == 1 ? sink.word : 0;
}

static bool is_dirty(struct space *s, unsigned n) { return (word(s->mm, n) & SOFT_DIRTY) != 0; }
static bool is_out(struct space *s, unsigned n) { return (word(s->mm, n) & SWAPPED) != 0; }

static void out(struct marked *w, unsigned first, unsigned nr)
{
	CHECK_OK(kmm_madvise(w->s.mm, kmm_uva((kmm_word)page(first)), nr * SPACE_PAGE, KMM_MADV_PAGEOUT));
	for (unsigned i = first; i < first + nr; i++)
		CHECK(is_out(&w->s, i));
	CALL(space_audit(&w->s));
}

/* Not one byte repeated: in a slot. */
static void write_pages(struct space *s, unsigned first, unsigned nr)
{
	for (unsigned i = first; i < first + nr; i++)
		CHECK_EQ(space_poke(s, s->mm, page(i) + i, (uint8_t)(i + 1)), 0);
}

static void check_written(bool later)
{
	struct kmm_mm *child;
	struct marked w;
	struct kmm_uva to;

	CALL(start(&w, later));
	CHECK_EQ(space_map(&w.s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
	CALL(write_pages(&w.s, 0, 8));
	CHECK_OK(kmm_clear_refs(w.s.mm, KMM_REFS_SOFT_DIRTY));
	CALL(write_pages(&w.s, 0, 4));
	CALL(out(&w, 0, 8));
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(is_dirty(&w.s, i), i < 4);
	CHECK_OK(kmm_mm_fork(w.s.mm, &child));
	CHECK(word(child, 0) & SOFT_DIRTY);
	CHECK(!(word(child, 5) & SOFT_DIRTY));
	hosted_put_space(w.s.m, child);
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(0)), 1); /* comes back as it went */
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(5)), 0);
	CHECK(is_dirty(&w.s, 0) && !is_dirty(&w.s, 5) && !is_out(&w.s, 5));
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(5), 1), 0); /* and the first write is seen */
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(6), 1), 0);
	CHECK(is_dirty(&w.s, 5) && is_dirty(&w.s, 6) && !is_dirty(&w.s, 7));
	CHECK_OK(kmm_mremap(w.s.mm, kmm_uva((kmm_word)page(7)), SPACE_PAGE, SPACE_PAGE, 3, kmm_uva((kmm_word)page(20)), &to));
	CHECK(is_out(&w.s, 20) && is_dirty(&w.s, 20)); /* new there */
	CHECK_OK(kmm_clear_refs(w.s.mm, KMM_REFS_SOFT_DIRTY)); /* in the slot, too */
	CHECK(is_out(&w.s, 1) && !is_dirty(&w.s, 1) && is_out(&w.s, 20) && !is_dirty(&w.s, 20));
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(1) + 1), 2);
	CHECK(!is_dirty(&w.s, 1));
	CHECK_OK(kmm_swap_off(w.s.k, hosted_swap_device(w.disk)));
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(20) + 7), 8);
	CHECK(!is_dirty(&w.s, 20) && !is_dirty(&w.s, 2));
	CALL(stop(&w));
}

KMM_TEST(marks_written_over_swap)
{
	CALL(check_written(false));
	CALL(check_written(true));
}
