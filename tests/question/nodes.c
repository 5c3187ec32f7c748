/* SPDX-License-Identifier: MIT */
/*
 * A question about memory that comes while the machine runs: S92.
 */
#include "harness/test.h"
#include "kmm/node.h"
#include "lab.h"

/* A PC with 4 GiB: 3 GiB below the hole for devices, 1 GiB remapped to above 4 GiB; and sockets for as much again. */
static bool open_pc(struct lab *lab, enum kmm_format_id format)
{
	static const struct kmm_memrange map[] = {
		{ .size = 640 * KIB, .type = KMM_MEM_RAM },
		{ .start = MIB, .size = 3 * GIB - MIB, .type = KMM_MEM_RAM },
		{ .start = 3 * GIB, .size = GIB, .type = KMM_MEM_RESERVED },
		{ .start = 4 * GIB, .size = GIB, .type = KMM_MEM_RAM },
	};
	static const struct kmm_node_range nodes[] = { { 0, 5 * GIB, 0, false }, { 5 * GIB, GIB, 0, true } };
	struct hosted_config config = {
		.machine = { .format = format, .map = map, .nr_map = 4, .node_map = nodes, .nr_node_map = 2 },
		.strict = true,
	};

	return lab_open_as(lab, &config);
}

static enum kmm_status plug_in(struct lab *lab)
{
	const struct kmm_hot_memory memory = { kmm_paddr(5 * GIB), GIB, 0, KMM_HOT_DEFAULT, false };

	return kmm_hot_add(lab->k, &memory);
}

static kmm_word high_pages(struct lab *lab)
{
	struct kmm_zone_info high;

	return kmm_zone_info(lab->k, KMM_ZONE_HIGHMEM, &high) ? high.present : 0;
}

/* S92: with PAE the ceiling is not 3.6 GiB: RAM remapped above 4 GiB is lost to i386, PAE has it, and more can be added. */
KMM_TEST(question_S92)
{
	struct kmm_memory_stats stats;
	struct kmm_page_info busy;
	struct lab lab;
	kmm_word before;

	CHECK(open_pc(&lab, KMM_I386));
	kmm_memory_stats(lab.k, &stats);
	CHECK_EQ(stats.unreachable_pages, GIB / PAGE);
	CHECK_EQ(plug_in(&lab), KMM_ERANGE);
	lab_close(&lab);

	CHECK(open_pc(&lab, KMM_I386_PAE));
	kmm_memory_stats(lab.k, &stats);
	CHECK_EQ(stats.unreachable_pages, 0);
	before = high_pages(&lab);
	CHECK(before > 3 * GIB / PAGE);
	CHECK_OK(plug_in(&lab));
	CHECK_EQ(high_pages(&lab), before + GIB / PAGE);
	CHECK_EQ(kmm_audit(lab.k, NULL), 0);
	CHECK_OK(kmm_hot_remove(lab.k, kmm_paddr(5 * GIB), GIB, &busy));
	CHECK_EQ(high_pages(&lab), before);
	CHECK_EQ(kmm_audit(lab.k, NULL), 0);
	lab_close(&lab);
}
