/* SPDX-License-Identifier: MIT */
/*
 * Where Movable begins, against numbers worked out from Linux's rules, and who is served from it.
 */
#include "harness/frames.h"
#include "kmm/node.h"

static kmm_word movable_start(struct fixture *f, unsigned node)
{
	struct kmm_zone_info info;

	return kmm_node_zone_info(f->k, node, KMM_ZONE_MOVABLE, &info) && info.present ? info.start.v : 0;
}

static kmm_word present(struct fixture *f, enum kmm_zone_id zone)
{
	struct kmm_zone_info info;

	return kmm_zone_info(f->k, zone, &info) ? info.present : 0;
}

/* 4 GiB: 786302 pages below the hole, 262144 from 4 GiB (100000) on. */
static void check_amd64(const struct kmm_machine *options, kmm_word start, kmm_word pages)
{
	struct fixture f = { 0 };

	f.machine = *options;
	CHECK_OK(fixture_pc(&f, KMM_X86_64, 4 * GIB));
	CHECK_EQ(movable_start(&f, 0), start);
	CHECK_EQ(present(&f, KMM_ZONE_MOVABLE), pages);
	CHECK_EQ(present(&f, KMM_ZONE_NORMAL), 262144 - pages);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(movable_by_kernelcore_and_movablecore)
{
	/* Less than what lies below 4 GiB: all above it is Movable, and no more. */
	CALL(check_amd64(&(struct kmm_machine){ .kernelcore_bytes = 2 * GIB }, 0x100000, 262144));
	CALL(check_amd64(&(struct kmm_machine){ .kernelcore_percent = 10 }, 0x100000, 262144));
	/* 786302 pages and 107 more than 131072, rounded up to 1024. */
	CALL(check_amd64(&(struct kmm_machine){ .kernelcore_bytes = (uint64_t)(786302 + 131179) << 12 }, 0x100000 + 132096,
			 262144 - 132096));
	/* The core is all but 65536 pages. */
	CALL(check_amd64(&(struct kmm_machine){ .movablecore_bytes = 256 * MIB }, 0x100000 + 262144 - 65536, 65536));
	/* 1048446 pages in all: a tenth is 104844, which is 103 blocks of 1024. */
	CALL(check_amd64(&(struct kmm_machine){ .movablecore_percent = 10 }, 0x100000 + 262144 - 104844 / 1024 * 1024 - 1024 +
			 0, (104844 / 1024 + 1) * 1024));
	/* Both: the larger core. */
	CALL(check_amd64(&(struct kmm_machine){ .movablecore_bytes = 256 * MIB, .kernelcore_bytes = GIB },
			 0x100000 + 262144 - 65536, 65536));
	/* All is core, or more than there is. */
	CALL(check_amd64(&(struct kmm_machine){ .kernelcore_percent = 100 }, 0, 0));
	CALL(check_amd64(&(struct kmm_machine){ .kernelcore_bytes = 64 * GIB }, 0, 0));
}

/* Two nodes, one GiB each, equal parts of the core; then a small node, which leaves its part to the other. */
KMM_TEST(movable_core_is_shared_by_nodes)
{
	static const struct kmm_node_range even[] = { { 0, GIB, 0, false }, { GIB, GIB, 1, false } };
	static const struct kmm_node_range uneven[] = { { 0, GIB * 7 / 4, 0, false }, { GIB * 7 / 4, GIB / 4, 1, false } };
	struct fixture f = { 0 };

	f.machine = (struct kmm_machine){ .node_map = even, .nr_node_map = 2, .kernelcore_bytes = GIB };
	CHECK_OK(fixture_pc(&f, KMM_X86_64, 2 * GIB));
	/* 131072 pages each; of node 0 those below 16 MiB (3998) are core too: up to 4096 + 131072 - 3998, rounded. */
	CHECK_EQ(movable_start(&f, 0), (4096 + 131072 - 3998 + 1023) / 1024 * 1024);
	CHECK_EQ(movable_start(&f, 1), 262144 + 131072);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
	f = (struct fixture){ 0 };
	f.machine = (struct kmm_machine){ .node_map = uneven, .nr_node_map = 2, .kernelcore_bytes = GIB };
	CHECK_OK(fixture_pc(&f, KMM_X86_64, 2 * GIB));
	CHECK_EQ(movable_start(&f, 1), 0);
	CHECK(movable_start(&f, 0) > 131072 + 32768);
	CHECK(movable_start(&f, 0) < 262144);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(movable_node_by_hotplug_ranges)
{
	static const struct kmm_node_range ranges[] = { { 0, GIB, 0, false }, { GIB, 3 * GIB, 1, true } };
	struct fixture f = { 0 };
	const char *why;

	f.machine = (struct kmm_machine){ .node_map = ranges, .nr_node_map = 2, .movable_node = true };
	CHECK_OK(fixture_pc(&f, KMM_X86_64, 2 * GIB));
	CHECK_EQ(movable_start(&f, 0), 0);
	CHECK_EQ(movable_start(&f, 1), 262144);
	CHECK_EQ(present(&f, KMM_ZONE_DMA32), 262144 - 4096);
	fixture_end(&f);
	f.machine = (struct kmm_machine){ .format = KMM_I386, .movable_node = true };
	CHECK_EQ(kmm_machine_defaults(&f.machine, &why), KMM_EINVAL);
}

/* Only HIGHMEM and MOVABLE together are served from it, and these first. */
KMM_TEST(movable_zone_serves_movable_requests_only)
{
	static const enum kmm_format_id formats[] = { KMM_I386, KMM_I386_PAE, KMM_X86_64, KMM_X86_64_LA57 };
	static const kmm_gfp others[] = { KMM_GFP_KERNEL, KMM_GFP_HIGHUSER, KMM_GFP_USER | KMM_GFP_MOVABLE, KMM_GFP_DMA };

	for (unsigned i = 0; i < 4; i++) {
		struct fixture f = { 0 };
		struct kmm_page *page;

		f.machine.kernelcore_percent = 60;
		CHECK_OK(fixture_pc(&f, formats[i], 2 * GIB));
		CHECK(present(&f, KMM_ZONE_MOVABLE) > 100000);
		page = kmm_alloc_pages(f.k, KMM_GFP_HIGHUSER_MOVABLE, 0);
		CHECK_EQ(kmm_page_zone(page), KMM_ZONE_MOVABLE);
		CHECK_EQ(kmm_page_is_high(page), i < 2);
		for (unsigned j = 0; j < 4; j++)
			while ((page = kmm_alloc_pages(f.k, others[j] | KMM_GFP_NOWARN, 9)) != NULL)
				CHECK(kmm_page_zone(page) != KMM_ZONE_MOVABLE);
		CHECK(kmm_alloc_pages(f.k, KMM_GFP_HIGHUSER_MOVABLE, 9) != NULL);
		CHECK_EQ(fixture_audit(&f), 0);
		fixture_end(&f);
	}
}
