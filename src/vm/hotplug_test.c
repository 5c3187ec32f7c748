/* SPDX-License-Identifier: MIT */
/*
 * Memory that comes and goes under programs: pages are on the nodes that a policy names, and move away when their memory
 * does. With strict windows and the simulated processor's own walk, so page tables and descriptors must be right.
 */
#include "harness/space.h"
#include "kmm/node.h"

#define SECTION ((uint64_t)1 << KMM_SECTION_SHIFT)
#define HOT_AT (UINT64_C(4) << 30)
#define AT 0x10000000u

/* 1200 MiB on node 0, and room for 1 GiB on node 1 from 4 GiB on. */
static void hot_start(struct space *s, enum kmm_format_id format)
{
	static const struct kmm_node_range ranges[] = { { 0, HOT_AT, 0, false }, { HOT_AT, 8 * SECTION, 1, true } };
	struct hosted_config config = {
		.machine = { .format = format, .nr_cpus = 2, .node_map = ranges, .nr_node_map = 2, .cpu_node = { 0, 1 } },
		.ram_bytes = 1200ull << 20, .strict = true, .log = HOSTED_LOG_KEEP,
	};
	const char *why = "";

	hosted_set_cpu(0);
	if (!kmm_test_ok((int)hosted_boot(&config, &s->m, &why), why, __FILE__, __LINE__))
		return;
	s->k = hosted_kmm(s->m);
	CHECK_OK(kmm_mm_create(s->k, &s->mm));
}

static enum kmm_status add(struct space *s, uint64_t at, uint64_t size, bool on_memory)
{
	const struct kmm_hot_memory m = { kmm_paddr(at), size, 1, KMM_HOT_MOVABLE, on_memory };

	return kmm_hot_add(s->k, &m);
}

static kmm_word anon_on(struct space *s, unsigned node)
{
	struct kmm_zone_info info;
	kmm_word nr = 0;

	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		if (kmm_node_zone_info(s->k, node, (enum kmm_zone_id)i, &info))
			nr += info.kinds[KMM_KIND_ANON];
	return nr;
}

static void write_pages(struct space *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		CHECK_EQ(space_poke(s, s->mm, AT + i * SPACE_PAGE + 5, (uint8_t)(i * 7)), 0);
}

static void check_pages(struct space *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		CHECK_EQ(space_peek(s, s->mm, AT + i * SPACE_PAGE + 5), (uint8_t)(i * 7));
}

static void come_use_go(enum kmm_format_id format, bool on_memory)
{
	struct space s = { 0 };
	struct hosted_text text;
	enum { PAGES = 3000 };

	CALL(hot_start(&s, format));
	CHECK_EQ(kmm_mm_set_policy(s.mm, KMM_POLICY_BIND, 2), KMM_EINVAL); /* nothing there yet */
	CHECK_OK(add(&s, HOT_AT, 2 * SECTION, on_memory));
	CHECK_OK(kmm_mm_set_policy(s.mm, KMM_POLICY_BIND, 2));
	CHECK_EQ(space_map(&s, AT, PAGES, SPACE_RW, SPACE_ANON), 0);
	CALL(write_pages(&s, PAGES));
	CHECK_EQ(anon_on(&s, 1), PAGES);
	CHECK_EQ(kmm_audit(s.k, hosted_text_init(&text)), 0);
	CHECK_OK(kmm_hot_remove(s.k, kmm_paddr(HOT_AT), 2 * SECTION, NULL));
	CHECK_EQ(anon_on(&s, 1), 0);
	CHECK_EQ(anon_on(&s, 0), PAGES);
	CALL(check_pages(&s, PAGES));
	CHECK_EQ(kmm_audit(s.k, &text.sink), 0);
	CHECK_OK(add(&s, HOT_AT + SECTION, SECTION, on_memory));
	CHECK_EQ(kmm_audit(s.k, &text.sink), 0);
	CALL(check_pages(&s, PAGES));
	hosted_text_free(&text);
	CALL(space_stop(&s));
}

KMM_TEST(hotplug_moves_pages_of_programs)
{
	CALL(come_use_go(KMM_I386_PAE, false));
	CALL(come_use_go(KMM_X86_64, false));
	CALL(come_use_go(KMM_X86_64, true));
	CALL(come_use_go(KMM_X86_64_LA57, true));
}

/* A page that somebody holds stays, and is named; the others have moved, nothing else has changed. */
KMM_TEST(hotplug_remove_fails_for_a_page_that_is_held)
{
	struct space s = { 0 };
	struct kmm_page_info busy;
	struct kmm_page *held;

	CALL(hot_start(&s, KMM_X86_64));
	CHECK_OK(add(&s, HOT_AT, SECTION, true));
	CHECK_OK(kmm_mm_set_policy(s.mm, KMM_POLICY_PREFERRED, 2));
	CHECK_EQ(space_map(&s, AT, 100, SPACE_RW, SPACE_ANON), 0);
	CALL(write_pages(&s, 100));
	held = kmm_pfn_to_page(s.k, kmm_pfn((kmm_word)((HOT_AT >> 12) + 300)));
	for (unsigned i = 0; i < 100 && atomic_load(&held->refcount) == 0; i++)
		held++;
	CHECK_EQ(kmm_node_of_page(held), 1);
	kmm_get_page(s.k, held);
	CHECK_EQ(kmm_hot_remove(s.k, kmm_paddr(HOT_AT), SECTION, &busy), KMM_EBUSY);
	CHECK_EQ(busy.pfn.v, kmm_page_to_pfn(s.k, held).v);
	CHECK_EQ(busy.kind, KMM_KIND_ANON);
	CHECK_EQ(anon_on(&s, 1), 1);
	CALL(check_pages(&s, 100));
	kmm_put_page(s.k, held);
	CHECK_OK(kmm_hot_remove(s.k, kmm_paddr(HOT_AT), SECTION, &busy));
	CALL(check_pages(&s, 100));
	CALL(space_stop(&s));
}

/* The tables: the direct map shows what was added, and no longer when it went. */
KMM_TEST(hotplug_page_tables_follow)
{
	struct space s = { 0 };
	struct kmm_walk walk;
	kmm_word linear;

	CALL(hot_start(&s, KMM_X86_64));
	linear = (kmm_word)(kmm_layout_of(s.k)->page_offset + HOT_AT + SECTION);
	kmm_walk(s.k, kmm_kernel_root(s.k), linear, &walk);
	CHECK(!walk.mapped);
	CHECK_OK(add(&s, HOT_AT, 2 * SECTION, false));
	kmm_walk(s.k, kmm_kernel_root(s.k), linear, &walk);
	CHECK(walk.mapped);
	CHECK_EQ(walk.pa.v, HOT_AT + SECTION);
	CHECK_EQ(kmm_layout_of(s.k)->lowmem_end, HOT_AT + 2 * SECTION);
	CHECK_PTR(kmm_virt_to_page(s.k, kmm_page_address(s.k, kmm_pfn_to_page(s.k, kmm_pfn(HOT_AT >> 12)))),
		  kmm_pfn_to_page(s.k, kmm_pfn(HOT_AT >> 12)));
	CHECK_OK(kmm_hot_remove(s.k, kmm_paddr(HOT_AT), 2 * SECTION, NULL));
	kmm_walk(s.k, kmm_kernel_root(s.k), linear, &walk);
	CHECK(!walk.mapped);
	kmm_walk(s.k, kmm_kernel_root(s.k), (kmm_word)(kmm_layout_of(s.k)->vmemmap_start + (HOT_AT >> 12) * 32), &walk);
	CHECK(!walk.mapped);
	CALL(space_stop(&s));
}

/* Spaces by policy: each page of an interleaved space in turn, children the same. */
KMM_TEST(policy_of_a_space)
{
	struct space s = { 0 };
	struct kmm_mm *child;

	CALL(hot_start(&s, KMM_X86_64));
	CHECK_OK(add(&s, HOT_AT, 2 * SECTION, false));
	CHECK_EQ(kmm_mm_set_policy(s.mm, KMM_POLICY_INTERLEAVE, 8), KMM_EINVAL);
	CHECK_OK(kmm_mm_set_policy(s.mm, KMM_POLICY_INTERLEAVE, 3));
	CHECK_EQ(space_map(&s, AT, 200, SPACE_RW, SPACE_ANON), 0);
	CALL(write_pages(&s, 200));
	CHECK_EQ(anon_on(&s, 0), 100);
	CHECK_EQ(anon_on(&s, 1), 100);
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(space_poke(&s, child, AT + i * SPACE_PAGE, 1), 0);
	CHECK_EQ(anon_on(&s, 0), 200);
	CHECK_EQ(kmm_numa_count_of(s.k, 1, KMM_NUMA_INTERLEAVE), 200);
	hosted_put_space(s.m, child);
	CALL(space_stop(&s));
}
