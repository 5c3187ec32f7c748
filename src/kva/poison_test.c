/* SPDX-License-Identifier: MIT */
/*
 * Poison of high frames, which only windows reach; and everything that tier b does while page debugging is on.
 */
#include "harness/kernel.h"
#include "kmm/debug.h"

static const struct hosted_config strict = {
	.machine = { .format = KMM_I386_PAE, .debug = KMM_DEBUG_FEATURES }, .ram_bytes = 1200ull << 20, .strict = true
};

KMM_TEST(poison_of_high_frames)
{
	struct kmm_debug_stats stats;
	struct kmm_page *page;
	struct tier_b t;
	uint8_t *bytes;

	CALL(tier_b_start(&t, &strict));
	page = kmm_alloc_cleared_page(t.k, KMM_GFP_HIGHUSER);
	CHECK(page && kmm_page_is_high(page));
	kmm_free_pages(t.k, page, 0);
	bytes = hosted_phys(t.m, kmm_pfn_to_paddr(kmm_page_to_pfn(t.k, page)).v);
	CHECK_EQ(bytes[0], KMM_PAGE_POISON_BYTE);
	CHECK_EQ(bytes[4095], KMM_PAGE_POISON_BYTE);
	bytes[77] = 0;
	CHECK_PTR(kmm_alloc_pages(t.k, KMM_GFP_HIGHUSER, 0), page);
	kmm_debug_stats(t.k, &stats);
	CHECK_EQ(stats.pages_corrupt, 1);
	CHECK_EQ(tier_b_logged(&t, "memory corruption in free frame"), 1);
	CHECK_EQ(tier_b_logged(&t, "was allocated for alloc_pages"), 1);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

/* Slab, kmalloc, vmalloc and tables under poison: the library itself never touches what it freed. */
KMM_TEST(poison_under_the_library_itself)
{
	struct kmm_debug_stats stats;
	void *small[200], *areas[20];
	struct tier_b t;

	CALL(tier_b_start(&t, &strict));
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 200; i++)
			CHECK(small[i] = kmm_kmalloc(t.k, 8 + i * 61, KMM_GFP_KERNEL));
		for (unsigned i = 0; i < 20; i++)
			CHECK(areas[i] = kmm_vmalloc(t.k, (i + 1) * 5000, "poison test"));
		for (unsigned i = 0; i < 200; i++)
			kmm_kfree(t.k, small[i]);
		for (unsigned i = 0; i < 20; i++)
			kmm_vfree(t.k, areas[i]);
		kmm_vmalloc_purge(t.k);
		kmm_slab_shrink_all(t.k);
	}
	kmm_debug_stats(t.k, &stats);
	CHECK(stats.pages_checked > 100);
	CHECK_EQ(stats.pages_corrupt, 0);
	CHECK_EQ(tier_b_logged(&t, "poison"), 0);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}
