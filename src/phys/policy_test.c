/* SPDX-License-Identifier: MIT */
/*
 * Policies on a machine of four nodes, of which node 0 has the low zones.
 */
#include "harness/frames.h"
#include "kmm/node.h"

/* 4 GiB in four nodes of a GiB each; x86_64: the third and fourth have Normal memory. All CPUs are on node `cpu_node`. */
static enum kmm_status four_nodes(struct fixture *f, enum kmm_format_id format, unsigned cpu_node)
{
	static const struct kmm_node_range ranges[] = {
		{ 0, 2 * GIB, 0, false }, { 2 * GIB, 2 * GIB, 1, false }, { 4 * GIB, GIB, 2, false }, { 5 * GIB, GIB, 3, false },
	};

	f->machine.node_map = ranges;
	f->machine.nr_node_map = 4;
	f->machine.cpu_node[0] = (uint8_t)cpu_node;
	return fixture_pc(f, format, 5 * GIB);
}

static struct kmm_mempolicy made(struct fixture *f, enum kmm_policy mode, uint32_t nodes)
{
	struct kmm_mempolicy p = { KMM_NR_POLICIES, 0, 0 };

	if (kmm_mempolicy_make(f->k, mode, nodes, &p))
		p.mode = KMM_NR_POLICIES;
	return p;
}

static unsigned served_by(struct fixture *f, struct kmm_mempolicy *p, kmm_gfp gfp)
{
	struct kmm_page *page = kmm_alloc_pages_policy(f->k, p, gfp | KMM_GFP_NOWARN, 0);
	unsigned node = page ? kmm_node_of_page(page) : KMM_NODE_ANY;

	if (page)
		kmm_free_pages(f->k, page, 0);
	return node;
}

KMM_TEST(policy_is_made_by_the_rules_of_set_mempolicy)
{
	struct fixture f = { 0 };
	struct kmm_mempolicy p;

	f.machine.nr_nodes = 5; /* the last one has nothing */
	CHECK_OK(four_nodes(&f, KMM_X86_64, 0));
	CHECK_EQ(made(&f, KMM_NR_POLICIES, 1).mode, KMM_NR_POLICIES);
	CHECK_EQ(made(&f, KMM_POLICY_DEFAULT, 0).mode, KMM_POLICY_DEFAULT);
	CHECK_EQ(made(&f, KMM_POLICY_DEFAULT, 1).mode, KMM_NR_POLICIES);
	CHECK_EQ(made(&f, KMM_POLICY_LOCAL, 0).mode, KMM_POLICY_LOCAL);
	CHECK_EQ(made(&f, KMM_POLICY_LOCAL, 2).mode, KMM_NR_POLICIES);
	CHECK_EQ(made(&f, KMM_POLICY_PREFERRED, 0).mode, KMM_POLICY_LOCAL);
	CHECK_EQ(made(&f, KMM_POLICY_BIND, 0).mode, KMM_NR_POLICIES);
	CHECK_EQ(made(&f, KMM_POLICY_INTERLEAVE, 0).mode, KMM_NR_POLICIES);
	CHECK_EQ(made(&f, KMM_POLICY_PREFERRED_MANY, 0).mode, KMM_NR_POLICIES);
	CHECK_EQ(made(&f, KMM_POLICY_BIND, 1 << 4).mode, KMM_NR_POLICIES); /* no memory there */
	CHECK_EQ(made(&f, KMM_POLICY_BIND, 1 << 5).mode, KMM_NR_POLICIES); /* no such node */
	p = made(&f, KMM_POLICY_BIND, 1 << 4 | 1 << 2);
	CHECK_EQ(p.nodes, 1 << 2);
	CHECK_STR(kmm_policy_name(p.mode), "bind");
	fixture_end(&f);
}

KMM_TEST(policy_preferred_and_local)
{
	struct fixture f = { 0 };
	struct kmm_mempolicy prefer, local;

	CHECK_OK(four_nodes(&f, KMM_X86_64, 1));
	prefer = made(&f, KMM_POLICY_PREFERRED, 1 << 3 | 1 << 2);
	local = made(&f, KMM_POLICY_LOCAL, 0);
	CHECK_EQ(served_by(&f, &prefer, KMM_GFP_USER), 2);
	CHECK_EQ(served_by(&f, &prefer, KMM_GFP_USER | KMM_GFP_THISNODE), 1); /* that of the CPU */
	CHECK_EQ(served_by(&f, &local, KMM_GFP_USER), 1);
	/* Node 2 has no such zone: what it falls back to is its nearest. */
	CHECK_EQ(served_by(&f, &prefer, KMM_GFP_USER | KMM_GFP_DMA32), 0);
	CHECK_EQ(kmm_numa_count_of(f.k, 0, KMM_NUMA_MISS), 0);
	fixture_end(&f);
}

/* Bound requests fail rather than go elsewhere; those for low zones are not bound. */
KMM_TEST(policy_bind)
{
	struct fixture f = { 0 };
	struct kmm_mempolicy bind;
	struct kmm_page *page;

	CHECK_OK(four_nodes(&f, KMM_X86_64, 0));
	bind = made(&f, KMM_POLICY_BIND, 1 << 2 | 1 << 3);
	CHECK_EQ(served_by(&f, &bind, KMM_GFP_USER | KMM_GFP_DMA32), 0);
	CHECK_EQ(served_by(&f, &bind, KMM_GFP_USER), 2);
	while ((page = kmm_alloc_pages_policy(f.k, &bind, KMM_GFP_USER | KMM_GFP_NOWARN, 10)) != NULL)
		CHECK(kmm_node_of_page(page) >= 2);
	CHECK_EQ(served_by(&f, &bind, KMM_GFP_USER | KMM_GFP_DMA), 0);
	page = kmm_alloc_pages(f.k, KMM_GFP_USER, 10);
	CHECK(page != NULL);
	CHECK_EQ(kmm_node_of_page(page), 0);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* On a 32-bit machine kernel memory is not bound: all of it is on the first node. */
KMM_TEST(policy_bind_with_high_memory)
{
	struct fixture f = { 0 };
	struct kmm_mempolicy bind;

	CHECK_OK(four_nodes(&f, KMM_I386_PAE, 0));
	bind = made(&f, KMM_POLICY_BIND, 1 << 3);
	CHECK_EQ(served_by(&f, &bind, KMM_GFP_HIGHUSER), 3);
	CHECK_EQ(served_by(&f, &bind, KMM_GFP_HIGHUSER_MOVABLE), 3);
	CHECK_EQ(served_by(&f, &bind, KMM_GFP_KERNEL), 0);
	fixture_end(&f);
}

KMM_TEST(policy_preferred_many_takes_others_before_it_fails)
{
	struct fixture f = { 0 };
	struct kmm_mempolicy many;
	struct kmm_page *page;
	unsigned nr[4] = { 0 };

	CHECK_OK(four_nodes(&f, KMM_X86_64, 0));
	many = made(&f, KMM_POLICY_PREFERRED_MANY, 1 << 2 | 1 << 3);
	while (nr[0] == 0) {
		page = kmm_alloc_pages_policy(f.k, &many, KMM_GFP_USER, 10);
		CHECK(page != NULL);
		CHECK(nr[3] == 0 || kmm_node_of_page(page) != 2); /* in order */
		nr[kmm_node_of_page(page)]++;
	}
	CHECK(nr[2] > 200 && nr[3] > 200 && nr[1] == 0);
	CHECK_EQ(f.log_lines, 0);
	fixture_end(&f);
}

KMM_TEST(policy_interleave)
{
	struct fixture f = { 0 };
	struct kmm_mempolicy turn;
	struct kmm_page *pages[1000];
	unsigned nr[4] = { 0 };

	CHECK_OK(four_nodes(&f, KMM_X86_64, 0));
	turn = made(&f, KMM_POLICY_INTERLEAVE, 1 << 0 | 1 << 2 | 1 << 3);
	CHECK_EQ(served_by(&f, &turn, KMM_GFP_USER), 0);
	CHECK_EQ(served_by(&f, &turn, KMM_GFP_USER), 2);
	CHECK_EQ(served_by(&f, &turn, KMM_GFP_USER), 3);
	CHECK_EQ(served_by(&f, &turn, KMM_GFP_USER), 0);
	CHECK_EQ(kmm_mempolicy_node(&turn, 0), 0);
	CHECK_EQ(kmm_mempolicy_node(&turn, 4), 2);
	CHECK_EQ(kmm_mempolicy_node(&turn, 3000000000005u), 3);
	for (unsigned i = 0; i < 999; i++) {
		pages[i] = kmm_alloc_pages_policy(f.k, &turn, KMM_GFP_USER, 0);
		nr[kmm_node_of_page(pages[i])]++;
	}
	CHECK_EQ(nr[0], 333);
	CHECK_EQ(nr[1], 0);
	CHECK_EQ(nr[2], 333);
	CHECK_EQ(kmm_numa_count_of(f.k, 0, KMM_NUMA_INTERLEAVE), 335);
	CHECK_EQ(kmm_numa_count_of(f.k, 3, KMM_NUMA_INTERLEAVE), 334);
	CHECK_EQ(kmm_numa_count_of(f.k, 3, KMM_NUMA_OTHER), 334);
	CHECK_EQ(kmm_numa_count_of(f.k, 3, KMM_NUMA_HIT), 334);
	for (unsigned i = 0; i < 999; i++)
		kmm_free_pages(f.k, pages[i], 0);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}
