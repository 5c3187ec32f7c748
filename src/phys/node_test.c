/* SPDX-License-Identifier: MIT */
/*
 * Machines of several nodes: whose frames are whose, orders of fallback, counts, and random use with an audit.
 */
#include "harness/frames.h"
#include "kmm/node.h"

static const enum kmm_format_id formats[] = { KMM_I386, KMM_I386_PAE, KMM_X86_64, KMM_X86_64_LA57 };

/* A PC of `ram` bytes whose RAM is cut into equal pieces of addresses, CPU i on node i. */
static enum kmm_status even_nodes(struct fixture *f, enum kmm_format_id format, uint64_t ram, unsigned nr)
{
	struct kmm_node_range ranges[KMM_MAX_NODES];
	uint64_t piece = (ram > 3 * GIB ? ram + GIB : ram) / nr & ~(uint64_t)4095;

	for (unsigned i = 0; i < nr; i++) {
		ranges[i] = (struct kmm_node_range){ i * piece, piece, (uint8_t)i, false };
		f->machine.cpu_node[i] = (uint8_t)i;
	}
	f->machine.node_map = ranges;
	f->machine.nr_node_map = nr;
	f->machine.nr_cpus = nr;
	return fixture_pc(f, format, ram);
}

static kmm_word managed_of(const struct fixture *f, unsigned node)
{
	kmm_word nr = 0;
	struct kmm_zone_info info;

	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		if (kmm_node_zone_info(f->k, node, (enum kmm_zone_id)i, &info))
			nr += info.managed;
	return nr;
}

KMM_TEST(node_zones_share_out_all_frames)
{
	for (unsigned i = 0; i < 4; i++)
		for (unsigned nr = 1; nr <= 4; nr++) {
			struct fixture f = { 0 };
			kmm_word sum = 0;

			CHECK_OK(even_nodes(&f, formats[i], 3 * GIB / 2, nr));
			CHECK_EQ(kmm_nr_nodes(f.k), nr);
			for (unsigned node = 0; node < nr; node++) {
				CHECK(managed_of(&f, node) > 0);
				sum += managed_of(&f, node);
			}
			CHECK_EQ(sum, kmm_phys_managed_pages(f.k));
			CHECK_EQ(managed_of(&f, nr), 0);
			CHECK_EQ(fixture_audit(&f), 0);
			fixture_end(&f);
		}
}

static unsigned alloc_node(struct fixture *f, unsigned cpu, kmm_gfp gfp)
{
	struct kmm_page *page;
	unsigned node;

	fixture_cpu = cpu;
	page = kmm_alloc_pages(f->k, gfp, 0);
	fixture_cpu = 0;
	if (!page)
		return KMM_NODE_ANY;
	node = kmm_node_of_page(page);
	kmm_free_pages(f->k, page, 0);
	return node;
}

KMM_TEST(node_of_the_cpu_serves_first)
{
	for (unsigned i = 0; i < 4; i++) {
		struct fixture f = { 0 };

		CHECK_OK(even_nodes(&f, formats[i], 4 * GIB, 4));
		for (unsigned cpu = 0; cpu < 4; cpu++) {
			CHECK_EQ(kmm_node_of_cpu(f.k, cpu), cpu);
			if (managed_of(&f, cpu))
				CHECK_EQ(alloc_node(&f, cpu, KMM_GFP_HIGHUSER), cpu);
		}
		/* What is low on a 32-bit machine is node 0's. */
		CHECK_EQ(alloc_node(&f, 2, KMM_GFP_KERNEL), i < 2 ? 0 : 2);
		CHECK_EQ(fixture_audit(&f), 0);
		fixture_end(&f);
	}
}

/* Node 3 of the i386 machine has only memory that it cannot address. */
KMM_TEST(node_without_memory_is_served_by_the_nearest)
{
	struct fixture f = { 0 };
	uint8_t order[KMM_MAX_NODES];

	f.machine.distance[3][2] = 15;
	CHECK_OK(even_nodes(&f, KMM_I386, 4 * GIB, 4));
	CHECK_EQ(managed_of(&f, 3), 0);
	CHECK_EQ(kmm_node_fallback(f.k, 3, order), 3);
	CHECK_EQ(order[0], 2);
	CHECK_EQ(alloc_node(&f, 3, KMM_GFP_HIGHUSER), 2);
	CHECK(kmm_alloc_pages_node(f.k, 3, KMM_GFP_HIGHUSER | KMM_GFP_THISNODE, 0) == NULL);
	CHECK_EQ(kmm_numa_count_of(f.k, 2, KMM_NUMA_OTHER), 1);
	CHECK_EQ(kmm_numa_count_of(f.k, 2, KMM_NUMA_HIT), 1);
	fixture_end(&f);
}

static void check_order(struct fixture *f, unsigned node, const char *want)
{
	uint8_t order[KMM_MAX_NODES];
	char text[KMM_MAX_NODES + 1] = "";

	for (unsigned i = 0, nr = kmm_node_fallback(f->k, node, order); i < nr; i++)
		text[i] = (char)('0' + order[i]);
	CHECK_STR(text, want);
}

/* By hand from Linux's rules: equal distances everywhere. From node 0 the lowest number; each later node avoids the
 * one that leads a group already, and a lower number costs as much as one lead in KMM_MAX_NODES. */
KMM_TEST(node_order_spreads_equal_neighbours)
{
	struct fixture f = { 0 };

	CHECK_OK(even_nodes(&f, KMM_X86_64, 2 * GIB, 4));
	CALL(check_order(&f, 0, "0123"));
	CALL(check_order(&f, 1, "1230"));
	CALL(check_order(&f, 2, "2301"));
	CALL(check_order(&f, 3, "3012"));
	fixture_end(&f);
}

/* Two pairs, near within, far between: the other pair's leads alternate. */
KMM_TEST(node_order_follows_distance)
{
	struct fixture f = { 0 };

	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < 4; j++)
			f.machine.distance[i][j] = (uint8_t)(i == j ? 10 : i / 2 == j / 2 ? 12 : 40);
	CHECK_OK(even_nodes(&f, KMM_X86_64, 2 * GIB, 4));
	CALL(check_order(&f, 0, "0123"));
	CALL(check_order(&f, 1, "1032"));
	CALL(check_order(&f, 2, "2301"));
	CALL(check_order(&f, 3, "3210"));
	fixture_end(&f);
}

/* All of a node's memory, then the next one's: misses and foreigns say so. */
KMM_TEST(node_that_is_full_falls_back_and_counts)
{
	struct fixture f = { 0 };
	struct kmm_page *page, *held = NULL;
	unsigned nr[2] = { 0 };

	CHECK_OK(even_nodes(&f, KMM_X86_64, 64 * MIB, 2));
	while ((page = kmm_alloc_pages_node(f.k, 1, KMM_GFP_KERNEL | KMM_GFP_THISNODE | KMM_GFP_NOWARN, 0)) != NULL) {
		CHECK_EQ(kmm_node_of_page(page), 1);
		nr[1]++;
		held = page;
	}
	CHECK(nr[1] > 6000);
	CHECK_EQ(kmm_numa_count_of(f.k, 1, KMM_NUMA_HIT), nr[1]);
	CHECK_EQ(kmm_numa_count_of(f.k, 1, KMM_NUMA_OTHER), nr[1]); /* CPU 0 asked */
	CHECK_EQ(kmm_numa_count_of(f.k, 1, KMM_NUMA_LOCAL), 0);
	page = kmm_alloc_pages_node(f.k, 1, KMM_GFP_KERNEL, 0);
	CHECK(page != NULL);
	CHECK_EQ(kmm_node_of_page(page), 0);
	CHECK_EQ(kmm_numa_count_of(f.k, 0, KMM_NUMA_MISS), 1);
	CHECK_EQ(kmm_numa_count_of(f.k, 0, KMM_NUMA_LOCAL), 1);
	CHECK_EQ(kmm_numa_count_of(f.k, 1, KMM_NUMA_FOREIGN), 1);
	kmm_free_pages(f.k, held, 0);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(node_failure_names_the_nodes)
{
	struct fixture f = { 0 };
	struct fixture_text t;

	CHECK_OK(even_nodes(&f, KMM_X86_64, 64 * MIB, 2));
	while (kmm_alloc_pages_node(f.k, 1, KMM_GFP_KERNEL | KMM_GFP_THISNODE | KMM_GFP_NOWARN, 0))
		;
	kmm_why_failed(f.k, fixture_text(&t));
	CHECK(strstr(t.text, "node 1 DMA32:") != NULL);
	CHECK(strstr(t.text, "node 0 DMA32:") == NULL);
	CHECK(strstr(t.text, "memory of other nodes: node 0") != NULL);
	fixture_end(&f);
}

KMM_TEST(node_reports_are_by_node)
{
	struct fixture f = { 0 };
	static char text[32768];
	struct kmm_buffer_sink out;

	CHECK_OK(even_nodes(&f, KMM_X86_64, 1 * GIB, 2));
	kmm_buffer_sink_init(&out, text, sizeof(text));
	kmm_report_zoneinfo(f.k, &out.sink);
	CHECK(strstr(text, "Node 0, zone      DMA\n  per-node stats") != NULL);
	CHECK(strstr(text, "Node 1, zone      DMA\n  pages free     0") != NULL);
	CHECK(strstr(text, "Node 1, zone    DMA32\n  per-node stats") != NULL);
	CHECK(strstr(text, "\n      numa_foreign 0") != NULL);
	kmm_buffer_sink_init(&out, text, sizeof(text));
	kmm_report_buddyinfo(f.k, &out.sink);
	CHECK(strstr(text, "Node 0, zone    DMA32 ") != NULL);
	CHECK(strstr(text, "Node 1, zone    DMA32 ") != NULL);
	CHECK(strstr(text, "Node 1, zone      DMA ") == NULL);
	fixture_end(&f);
}

/* ---- refusals ---- */

static void check_refused(const struct kmm_node_range *ranges, unsigned nr, const char *what)
{
	struct fixture f = { 0 };

	f.machine.node_map = ranges;
	f.machine.nr_node_map = nr;
	CHECK(fixture_pc(&f, KMM_X86_64, 256 * MIB) != KMM_OK);
	CHECK(strstr(f.why, what) != NULL);
	fixture_end(&f);
}

KMM_TEST(node_descriptions_that_make_no_sense_are_refused)
{
	static const struct kmm_node_range overlap[] = { { 0, 128 * MIB, 0, false }, { 64 * MIB, 128 * MIB, 1, false } };
	static const struct kmm_node_range unaligned[] = { { 100, 128 * MIB, 0, false } };
	static const struct kmm_node_range empty[] = { { 0, 0, 0, false } };
	static const struct kmm_node_range beyond[] = { { 0, 128 * MIB, KMM_MAX_NODES, false } };
	struct kmm_machine m = { .format = KMM_X86_64, .nr_nodes = 2 };
	struct kmm_node_range many[64];
	const char *why;

	CALL(check_refused(overlap, 2, "overlap"));
	CALL(check_refused(unaligned, 1, "aligned"));
	CALL(check_refused(empty, 1, "empty"));
	CALL(check_refused(beyond, 1, "KMM_MAX_NODES"));
	for (unsigned i = 0; i < 64; i++)
		many[i] = (struct kmm_node_range){ i * MIB, MIB, i & 1, false };
	CALL(check_refused(many, 64, "too many"));
	m.distance[0][1] = 10;
	CHECK_EQ(kmm_machine_defaults(&m, &why), KMM_EINVAL);
	m.distance[0][1] = 0;
	m.cpu_node[0] = 2;
	CHECK_EQ(kmm_machine_defaults(&m, &why), KMM_EINVAL);
}

/* ---- random use ---- */

enum { HELD = 3000 };

struct held {
	struct kmm_page *page;
	unsigned order;
};

static void random_step(struct fixture *f, struct held *h, uint64_t r, unsigned nr_nodes)
{
	static const kmm_gfp gfps[] = { KMM_GFP_KERNEL, KMM_GFP_HIGHUSER, KMM_GFP_HIGHUSER_MOVABLE, KMM_GFP_DMA };
	kmm_gfp gfp = gfps[r & 3] | KMM_GFP_NOWARN | (r & 4 ? KMM_GFP_THISNODE : 0);
	unsigned node = (unsigned)(r >> 8) % nr_nodes;

	fixture_cpu = (unsigned)(r >> 16) % nr_nodes;
	if (h->page) {
		kmm_free_pages(f->k, h->page, h->order);
		h->page = NULL;
		return;
	}
	h->order = r >> 24 & 3 ? 0 : (unsigned)(r >> 26) % KMM_NR_ORDERS;
	h->page = r & 8 ? kmm_alloc_pages_node(f->k, node, gfp, h->order) : kmm_alloc_pages(f->k, gfp, h->order);
	node = r & 8 ? node : fixture_cpu;
	if (h->page && (gfp & KMM_GFP_THISNODE))
		CHECK_EQ(kmm_node_of_page(h->page), node);
	if (h->page)
		CHECK_PTR(kmm_zone_of(f->k->phys, h->page), kmm_zone_of_pfn(f->k->phys, kmm_page_to_pfn(f->k, h->page).v));
}

static void use_at_random(struct fixture *f, unsigned nr_nodes, uint64_t seed)
{
	static struct held held[HELD];
	uint64_t unused = fixture_unused(f);

	memset(held, 0, sizeof(held));
	for (unsigned i = 0; i < 12000; i++) {
		CALL(random_step(f, &held[kmm_test_rand(&seed) % HELD], kmm_test_rand(&seed), nr_nodes));
		if (i % 4000 == 3999)
			CHECK_EQ(fixture_audit(f), 0);
	}
	for (unsigned i = 0; i < HELD; i++)
		if (held[i].page)
			kmm_free_pages(f->k, held[i].page, held[i].order);
	fixture_cpu = 0;
	CHECK_EQ(fixture_audit(f), 0);
	CHECK_EQ(fixture_unused(f), unused);
}

KMM_TEST(node_random_use)
{
	static const unsigned counts[] = { 1, 2, 4 };

	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < 3; j++) {
			struct fixture f = { 0 };

			CHECK_OK(even_nodes(&f, formats[i], (1000 + 400 * i) * MIB, counts[j]));
			CALL(use_at_random(&f, counts[j], 17 + i * 3 + j));
			fixture_end(&f);
		}
}

/* Pieces of two nodes take turns, not at section boundaries, and not at tract boundaries either. */
KMM_TEST(node_random_use_of_interleaved_memory)
{
	for (unsigned i = 0; i < 4; i++) {
		struct kmm_node_range ranges[12];
		struct fixture f = { 0 };

		for (unsigned j = 0; j < 12; j++)
			ranges[j] = (struct kmm_node_range){ j * 117 * MIB + j * 4096, 117 * MIB + 4096, j & 1, false };
		f.machine.node_map = ranges;
		f.machine.nr_node_map = 12;
		f.machine.nr_cpus = 2;
		f.machine.cpu_node[1] = 1;
		CHECK_OK(fixture_pc(&f, formats[i], 1300 * MIB));
		CHECK(managed_of(&f, 1) * 10 > kmm_phys_managed_pages(f.k) * 4);
		CHECK_EQ(fixture_audit(&f), 0);
		CALL(use_at_random(&f, 2, 99 + i));
		fixture_end(&f);
	}
}

/* Whole sections of another node between one's own. */
KMM_TEST(node_interleaved_by_whole_sections)
{
	struct kmm_node_range ranges[8];
	struct fixture f = { 0 };

	for (unsigned j = 0; j < 8; j++)
		ranges[j] = (struct kmm_node_range){ j * 256 * MIB, 256 * MIB, j & 1, false };
	f.machine.node_map = ranges;
	f.machine.nr_node_map = 8;
	f.machine.nr_cpus = 2;
	f.machine.cpu_node[1] = 1;
	CHECK_OK(fixture_pc(&f, KMM_X86_64, 2 * GIB));
	CALL(use_at_random(&f, 2, 5));
	for (unsigned i = 0; i < 2; i++)
		while (kmm_alloc_pages_node(f.k, i, KMM_GFP_KERNEL | KMM_GFP_THISNODE | KMM_GFP_NOWARN, 10))
			;
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* ---- a large machine ---- */

/* 64 TiB, a million frames spread over all of it: only the sections that they are in come to life, and the audit looks at
 * no others. */
KMM_TEST(node_64_tib_serve_a_million_frames_all_over)
{
	enum { FRAMES = 1000000, SECTIONS = FRAMES / KMM_SECTION_PAGES + 4 * KMM_MAX_NODES };
	struct kmm_page **page = malloc(FRAMES * sizeof(struct kmm_page *));
	struct fixture f = { 0 };
	struct kmm_memory_stats s;
	enum kmm_status status = even_nodes(&f, KMM_X86_64, 64 * TIB - GIB, KMM_MAX_NODES);

	if (f.arena == MAP_FAILED)
		SKIP("this host does not map 64 TiB");
	CHECK_OK(status);
	CHECK(page != NULL);
	for (unsigned i = 0; i < FRAMES; i++) {
		page[i] = kmm_alloc_pages_node(f.k, i % KMM_MAX_NODES, KMM_GFP_KERNEL, 0);
		CHECK(page[i] != NULL);
		CHECK_EQ(kmm_node_of_page(page[i]), i % KMM_MAX_NODES);
	}
	kmm_memory_stats(f.k, &s);
	CHECK(s.sections > 500000 && s.sections_live <= SECTIONS);
	CHECK_EQ(fixture_audit(&f), 0);
	for (unsigned i = 0; i < FRAMES; i++)
		kmm_free_pages(f.k, page[i], 0);
	kmm_memory_stats(f.k, &s);
	CHECK(s.sections_live <= SECTIONS);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
	free(page);
}
