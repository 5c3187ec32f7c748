/* SPDX-License-Identifier: MIT */
/*
 * Two nodes: who may have memory of one alone, and needs more of it, gets what others have there, and nobody loses what he has on
 * the other.
 */
#include "kmm/node.h"
#include "harness/swap_space.h"

enum { NODE_MIB = 32, BESIDE = 1000, MORE = 11000, PART = 2000, NODE_PAGES = NODE_MIB * 256 };

static bool is_low;

static void note_low(struct kmm_port *port)
{
	(void)port;
	is_low = true;
}

static void start_two(struct swap_space *w, bool background)
{
	static const struct kmm_node_range ranges[] = { { 0, NODE_MIB << 20, 0, false }, { NODE_MIB << 20, NODE_MIB << 20, 1, false } };
	struct hosted_config config = { .machine = { .format = KMM_X86_64, .nr_cpus = 1, .node_map = ranges, .nr_node_map = 2 },
					.ram_bytes = 2 * NODE_MIB << 20, .log = HOSTED_LOG_KEEP };
	const char *why = "";

	hosted_set_cpu(0);
	if (!kmm_test_ok((int)hosted_boot(&config, &w->s.m, &why), why, __FILE__, __LINE__))
		return;
	w->s.k = hosted_kmm(w->s.m);
	is_low = false;
	if (background)
		w->s.k->port->memory_low = note_low;
	CHECK_OK(kmm_mm_create(w->s.k, &w->s.mm));
	CHECK((w->disk = hosted_swap_open(w->s.m, 4 * NODE_PAGES * SPACE_PAGE)) != NULL);
	CHECK_OK(kmm_swap_on(w->s.k, hosted_swap_device(w->disk), -1));
}

static void map_parts(struct swap_space *w, unsigned first, unsigned nr)
{
	for (unsigned i = first; i < first + nr; i += PART)
		CHECK_EQ(space_map(&w->s, at(i), PART, SPACE_RW, SPACE_ANON), 0);
}

static void background_steps(struct swap_space *w)
{
	while (is_low) {
		is_low = false;
		while (kmm_reclaim_step(w->s.k, 32))
			;
	}
}

/* More than node 1 has for who is bound to it, beside one who is bound to node 0, the half of which is free. */
static void bound_to_a_full_node(bool background)
{
	struct kmm_mm_stats stats;
	struct kmm_mm *beside;
	struct swap_space w;

	CALL(start_two(&w, background));
	CHECK_OK(kmm_mm_set_policy(w.s.mm, KMM_POLICY_BIND, 1));
	CALL(map_parts(&w, 0, BESIDE));
	CALL(swap_fill(&w, w.s.mm, 0, BESIDE, 1));
	beside = w.s.mm;
	CHECK_OK(kmm_mm_create(w.s.k, &w.s.mm));
	CHECK_OK(kmm_mm_set_policy(w.s.mm, KMM_POLICY_BIND, 2));
	CALL(map_parts(&w, 0, MORE));
	for (unsigned i = 0; i < MORE; i++) {
		CALL(swap_fill(&w, w.s.mm, i, 1, 2));
		background_steps(&w);
	}
	CALL(swap_verify(&w, w.s.mm, 0, MORE, 2));
	kmm_mm_stats(w.s.mm, &stats);
	CHECK(stats.swapped > MORE - NODE_PAGES);
	kmm_mm_stats(beside, &stats);
	CHECK_EQ(stats.swapped, 0);
	CALL(swap_verify(&w, beside, 0, BESIDE, 1));
	hosted_put_space(w.s.m, beside);
	CALL(swap_stop(&w));
}

KMM_TEST(nodes_direct_reclaim_of_a_full_node) { CALL(bound_to_a_full_node(false)); }
KMM_TEST(nodes_background_reclaim_of_a_full_node) { CALL(bound_to_a_full_node(true)); }

/* What is there of node 1 cannot go: the request fails, and does not empty node 0 before. */
KMM_TEST(nodes_in_vain_for_a_full_node)
{
	struct kmm_mm_stats stats;
	struct kmm_mm *beside;
	struct swap_space w;
	static struct kmm_page *taken[NODE_PAGES];
	uint64_t value = 1;
	unsigned nr = 0;

	CALL(start_two(&w, false));
	CHECK_OK(kmm_mm_set_policy(w.s.mm, KMM_POLICY_BIND, 1));
	CALL(map_parts(&w, 0, BESIDE));
	CALL(swap_fill(&w, w.s.mm, 0, BESIDE, 1));
	beside = w.s.mm;
	CHECK_OK(kmm_mm_create(w.s.k, &w.s.mm));
	CHECK_OK(kmm_mm_set_policy(w.s.mm, KMM_POLICY_BIND, 2));
	CALL(map_parts(&w, 0, MORE));
	while (nr < NODE_PAGES && (taken[nr] = kmm_alloc_pages_node(w.s.k, 1, KMM_GFP_ATOMIC | KMM_GFP_THISNODE | KMM_GFP_NOWARN, 0)) != NULL)
		nr++;
	CHECK(nr > NODE_PAGES / 2 && nr < NODE_PAGES);
	CHECK(!hosted_write_user(w.s.m, w.s.mm, at(0) + 16, &value, sizeof(value)).ok);
	while (nr)
		kmm_put_page(w.s.k, taken[--nr]);
	kmm_mm_stats(beside, &stats);
	CHECK_EQ(stats.swapped, 0);
	CALL(swap_verify(&w, beside, 0, BESIDE, 1));
	hosted_put_space(w.s.m, beside);
	CALL(swap_stop(&w));
}
