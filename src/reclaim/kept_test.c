/* SPDX-License-Identifier: MIT */
/*
 * Pages that are kept in memory cost the hand one look and then nothing, and it finds out when they are kept no more: soon where a
 * lock goes, in time where nobody says so.
 */
#include "kmm/page.h"
#include "pageq/pageq.h"

#include "harness/swap_space.h"

enum { MIB = 32, KEPT = 2000, OTHERS = 2000, A_FEW = 64 };

static bool has_age(struct swap_space *w, uint64_t va, uint8_t age)
{
	struct kmm_ptref ref;
	struct kmm_page *page;

	if (!kmm_pt_lookup(w->s.k, &w->s.mm->space, (kmm_word)va, &ref) || !(kmm_pt_read(w->s.k, &ref) & KMM_X86_P))
		return false;
	page = kmm_pfn_to_page(w->s.k, kmm_pt_decode(w->s.k, kmm_pt_read(w->s.k, &ref)).pfn);
	return kmm_page_age(page) == age;
}

static unsigned nr_of_age(struct swap_space *w, unsigned first, unsigned nr, uint8_t age)
{
	unsigned found = 0;

	for (unsigned i = first; i < first + nr; i++)
		found += has_age(w, at(i), age);
	return found;
}

/* The hand that comes round most. */
static struct kmm_hand *hand(struct swap_space *w)
{
	struct kmm_hand *most = &w->s.k->pageq->hand[0];

	for (unsigned i = 1; i < KMM_MAX_ZONES; i++)
		if (w->s.k->pageq->hand[i].facts.turns > most->facts.turns)
			most = &w->s.k->pageq->hand[i];
	return most;
}

/* Pages go out, a few at a time, until the hand began its turn `turn`; those in the range come back. */
static void turn_until(struct swap_space *w, uint32_t turn)
{
	uint64_t value = 2;

	for (unsigned tries = 0; hand(w)->facts.turns < turn && tries < 4000; tries++) {
		(void)kmm_reclaim_pages(w->s.k, A_FEW);
		for (unsigned n = KEPT; n < KEPT + OTHERS; n++)
			CHECK(hosted_write_user(w->s.m, w->s.mm, at(n), &value, sizeof(value)).ok);
	}
	CHECK(hand(w)->facts.turns >= turn);
}

/* Pages that are kept, the first KEPT, and others; the hand knows of all of them and is at the second turn of KMM_KEPT_EVERY. */
static void start_kept(struct swap_space *w, enum kmm_format_id format)
{
	struct swap_setup setup = { .format = format, .ram_mib = MIB, .swap_pages = 8192 };
	uint64_t value = 1;

	CALL(swap_start(w, &setup));
	kmm_mm_limits(w->s.mm)->rights |= KMM_MAY_LOCK;
	CHECK_EQ(space_map(&w->s, at(0), KEPT + OTHERS, SPACE_RW, SPACE_ANON), 0);
	CHECK_OK(kmm_mlock(w->s.mm, kmm_uva((kmm_word)at(0)), KEPT * SPACE_PAGE, 0));
	for (unsigned n = 0; n < KEPT + OTHERS; n++)
		CHECK(hosted_write_user(w->s.m, w->s.mm, at(n), &value, sizeof(value)).ok);
	turn_until(w, 2 * KMM_KEPT_EVERY + 2);
}

KMM_TEST(kept_pages_are_passed_by_until_unlocked)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct swap_space w;
		uint32_t turn;

		CALL(start_kept(&w, space_formats[f]));
		CHECK_EQ(nr_of_age(&w, 0, KEPT, KMM_RECLAIM_AGE_KEPT), KEPT);
		CHECK_EQ(nr_of_age(&w, KEPT, OTHERS, KMM_RECLAIM_AGE_KEPT), 0);
		CHECK(hand(&w)->facts.pages < KEPT + OTHERS);
		CHECK_OK(kmm_munlock(w.s.mm, kmm_uva((kmm_word)at(0)), KEPT / 2 * SPACE_PAGE));
		turn = hand(&w)->facts.turns;
		CALL(turn_until(&w, turn + 2)); /* the rest of this one, and the next */
		CHECK(hand(&w)->facts.turns / KMM_KEPT_EVERY == turn / KMM_KEPT_EVERY);
		CHECK_EQ(nr_of_age(&w, 0, KEPT / 2, KMM_RECLAIM_AGE_KEPT), 0);
		CHECK_EQ(nr_of_age(&w, KEPT / 2, KEPT / 2, KMM_RECLAIM_AGE_KEPT), KEPT / 2);
		CALL(swap_stop(&w));
	}
}

/* Looks cost the most, so they are what is counted. */
KMM_TEST(kept_pages_are_not_looked_at)
{
	struct kmm_reclaim_stats before, after;
	struct swap_space w;
	uint32_t turn;

	CALL(start_kept(&w, KMM_X86_64));
	turn = hand(&w)->facts.turns;
	kmm_reclaim_stats(w.s.k, &before);
	CALL(turn_until(&w, turn + 4));
	kmm_reclaim_stats(w.s.k, &after);
	CHECK(after.scanned_step - before.scanned_step < (hand(&w)->facts.turns - turn + 1) * (OTHERS + 256));
	CALL(swap_stop(&w));
}

/* A page that says it is kept and is not, by whatever way. */
KMM_TEST(kept_pages_are_found_again_in_time)
{
	struct swap_space w;
	struct kmm_ptref ref;
	uint32_t turn;

	CALL(start_kept(&w, KMM_X86_64));
	CHECK(kmm_pt_lookup(w.s.k, &w.s.mm->space, (kmm_word)at(KEPT), &ref));
	kmm_page_set_age(kmm_pfn_to_page(w.s.k, kmm_pt_decode(w.s.k, kmm_pt_read(w.s.k, &ref)).pfn), KMM_RECLAIM_AGE_KEPT);
	turn = hand(&w)->facts.turns;
	CALL(turn_until(&w, turn + KMM_KEPT_EVERY + 1));
	CHECK_EQ(nr_of_age(&w, KEPT, OTHERS, KMM_RECLAIM_AGE_KEPT), 0);
	CHECK_EQ(nr_of_age(&w, 0, KEPT, KMM_RECLAIM_AGE_KEPT), KEPT);
	CALL(swap_stop(&w));
}
