/* SPDX-License-Identifier: MIT */
/*
 * Reading ahead from swap: as much as is used. Who goes along addresses waits for one page in many; who jumps about has soon nothing read
 * that he did not ask for.
 */
#include "harness/swap_space.h"

enum { NR = 512, STRIDE = 67 /* 512 has no part in common with it, and no two jumps are neighbours */ };

struct counts {
	kmm_word waited, ahead, used;
};

static void start_out(struct swap_space *w)
{
	CALL(swap_start(w, &(struct swap_setup){ .format = KMM_X86_64, .later = true }));
	CHECK_EQ(space_map(&w->s, at(0), NR, SPACE_RW, SPACE_ANON), 0);
	CALL(swap_fill(w, w->s.mm, 0, NR, 1));
	CALL(swap_push_out(w));
}

static struct counts counts_of(struct swap_space *w)
{
	struct kmm_swap_stats stats;

	kmm_swap_stats(w->s.k, &stats);
	return (struct counts){ .waited = stats.major, .ahead = stats.ahead, .used = stats.ahead_used };
}

KMM_TEST(ahead_along_addresses)
{
	for (unsigned backwards = 0; backwards < 2; backwards++) {
		struct counts c;
		struct swap_space w;

		CALL(start_out(&w));
		for (unsigned i = 0; i < NR; i++)
			CALL(swap_verify(&w, w.s.mm, backwards ? NR - 1 - i : i, 1, 1));
		c = counts_of(&w);
		CHECK(c.waited < NR / 8);
		CHECK(c.used > NR * 7 / 8 && c.used == c.ahead);
		CALL(swap_stop(&w));
	}
}

KMM_TEST(ahead_is_given_up_by_who_jumps)
{
	struct counts before, after;
	struct swap_space w;

	CALL(start_out(&w));
	for (unsigned i = 0; i < NR / 4; i++) /* much is read ahead by now */
		CALL(swap_verify(&w, w.s.mm, i, 1, 1));
	CALL(swap_push_out(&w));
	before = counts_of(&w);
	CHECK(before.ahead > NR / 8);
	for (unsigned i = 1; i <= NR / 4; i++)
		CALL(swap_verify(&w, w.s.mm, i * STRIDE % NR, 1, 1));
	after = counts_of(&w);
	CHECK(after.ahead - before.ahead <= 32); /* 15, 7, 3, 1, and some that were met by chance */
	CHECK(after.waited - before.waited > NR / 4 - 40);
	CALL(swap_verify(&w, w.s.mm, 0, NR, 1)); /* and then there is much again */
	CHECK(counts_of(&w).ahead - after.ahead > NR / 4);
	CALL(swap_stop(&w));
}
