/* SPDX-License-Identifier: MIT */
/*
 * The texts: masks in words, the sentence about a failure, and the reports as Linux's parsers read them.
 */
#include "harness/frames.h"

static const char *described(kmm_gfp gfp)
{
	static char text[128];

	if (kmm_gfp_describe(gfp, text, sizeof(text)) != strlen(text))
		return "wrong length";
	return text;
}

KMM_TEST(gfp_masks_in_words)
{
	char small[5];

	CHECK_STR(described(KMM_GFP_KERNEL), "KERNEL");
	CHECK_STR(described(KMM_GFP_KERNEL | KMM_GFP_HIGHMEM), "KERNEL|HIGHMEM");
	CHECK_STR(described(KMM_GFP_HIGHUSER_MOVABLE), "HIGHUSER_MOVABLE");
	CHECK_STR(described(KMM_GFP_HIGHUSER | KMM_GFP_ZERO), "HIGHUSER|ZERO");
	CHECK_STR(described(KMM_GFP_ATOMIC), "ATOMIC");
	CHECK_STR(described(KMM_GFP_ATOMIC | KMM_GFP_DMA), "ATOMIC|DMA");
	CHECK_STR(described(KMM_GFP_KERNEL | KMM_GFP_HIGH), "KERNEL|HIGH");
	CHECK_STR(described(KMM_GFP_NOWAIT), "NOWAIT");
	CHECK_STR(described(KMM_GFP_NOFS | KMM_GFP_NORETRY), "NOFS|NORETRY");
	CHECK_STR(described(0x80000000u), "80000000");
	CHECK_EQ(kmm_gfp_describe(KMM_GFP_KERNEL, small, sizeof(small)), 6);
	CHECK_STR(small, "KERN");
}

/* All 16 combinations, by machine: Linux's table. */
KMM_TEST(gfp_zone_table)
{
	enum { D = KMM_ZONE_DMA, X = KMM_ZONE_DMA32, N = KMM_ZONE_NORMAL, H = KMM_ZONE_HIGHMEM, B = KMM_NR_ZONES };
	static const int want[2][16] = {
		{ N, D, H, B, N, B, B, B, N, D, H, B, N, B, B, B }, /* i386: no DMA32 */
		{ N, D, N, B, X, B, B, B, N, D, N, B, X, B, B, B }, /* x86_64: no HighMem */
	};

	for (unsigned wide = 0; wide < 2; wide++) {
		struct fixture f = { 0 };

		CHECK_OK(fixture_pc(&f, wide ? KMM_X86_64 : KMM_I386, 2 * GIB));
		for (unsigned i = 0; i < 16; i++) {
			enum kmm_zone_id zone = KMM_NR_ZONES;
			enum kmm_status status = kmm_gfp_zone(f.k, i | KMM_GFP_KERNEL, &zone);

			CHECK_EQ(zone, want[wide][i]);
			CHECK_EQ(status, want[wide][i] == B ? KMM_EINVAL : KMM_OK);
		}
		fixture_end(&f);
	}
}

static const char *why(struct fixture *f, struct fixture_text *t)
{
	kmm_why_failed(f->k, fixture_text(t));
	return t->text;
}

KMM_TEST(why_failed_names_the_illegal_request)
{
	struct fixture f = { 0 };
	struct fixture_text t;

	CHECK_OK(fixture_pc(&f, KMM_I386, 64 * MIB));
	CHECK_STR(why(&f, &t), "no allocation has failed.\n");
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_DMA | KMM_GFP_HIGHMEM, 0) == NULL);
	CHECK(strstr(why(&f, &t), "exclude each other") != NULL);
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_HIGHUSER | KMM_GFP_ZERO, 0) == NULL);
	CHECK(strstr(why(&f, &t), "kmm_alloc_cleared_page") != NULL);
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_KERNEL, KMM_NR_ORDERS) == NULL);
	CHECK(strstr(why(&f, &t), "no block is that large") != NULL);
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 1000) == NULL);
	kmm_fail_nth(f.k, 1);
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 1) == NULL);
	CHECK(strstr(why(&f, &t), "fault injection") != NULL);
	CHECK_EQ(f.log_lines, 0); /* none of these is about memory */
	fixture_end(&f);
}

/* Every second frame taken: half of the memory is free, nothing of order 1. */
KMM_TEST(why_failed_tells_fragmentation)
{
	static struct kmm_page *pages[16384];
	struct fixture f = { 0 };
	struct fixture_text t;
	unsigned nr = 0;

	CHECK_OK(fixture_pc(&f, KMM_I386, 32 * MIB));
	while (nr < 16384 && (pages[nr] = kmm_alloc_pages(f.k, KMM_GFP_KERNEL | KMM_GFP_MEMALLOC | KMM_GFP_NOWARN, 0)))
		nr++;
	for (unsigned i = 0; i < nr; i++)
		if (kmm_page_to_pfn(f.k, pages[i]).v & 1)
			kmm_free_pages(f.k, pages[i], 0);
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 1) == NULL);
	CHECK(strstr(why(&f, &t), "order 1 (2 pages in a row) with KERNEL for alloc_pages") != NULL);
	CHECK(strstr(t.text, "largest free block order 0") != NULL);
	CHECK(strstr(t.text, "in smaller pieces") != NULL);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(why_failed_tells_what_would_have_helped)
{
	struct fixture f = { 0 };
	struct fixture_text t;

	CHECK_OK(fixture_pc(&f, KMM_I386, GIB + 512 * MIB));
	while (kmm_alloc_pages(f.k, KMM_GFP_KERNEL | KMM_GFP_NOWARN, 10))
		;
	CHECK(strstr(why(&f, &t), "HighMem") != NULL); /* a modifier that allows it */
	CHECK(strstr(t.text, "Normal:") != NULL && strstr(t.text, "DMA:") != NULL);
	while (kmm_alloc_pages(f.k, KMM_GFP_HIGHUSER | KMM_GFP_NOWARN, 0))
		;
	CHECK(strstr(why(&f, &t), "kept for requests") != NULL);
	CHECK_EQ(f.log_lines, 0);
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_HIGHMEM, 0) == NULL);
	CHECK_EQ(f.log_lines, 1);
	fixture_end(&f);
}

KMM_TEST(why_failed_log_thins_out)
{
	struct fixture f = { 0 };

	CHECK_OK(fixture_pc(&f, KMM_I386, 16 * MIB));
	while (kmm_alloc_pages(f.k, KMM_GFP_KERNEL | KMM_GFP_NOWARN, 5))
		;
	for (int i = 0; i < 1000; i++)
		CHECK(kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 9) == NULL);
	CHECK(f.log_lines >= 10 && f.log_lines < 20);
	fixture_end(&f);
}

KMM_TEST(report_buddyinfo_in_linux_columns)
{
	struct fixture f = { 0 };
	struct fixture_text t;
	char zone[16];
	unsigned long nr[11], pages = 0;
	struct kmm_memory_stats s;
	const char *line;
	int lines = 0, used;

	CHECK_OK(fixture_pc(&f, KMM_I386_PAE, 3 * GIB));
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0) != NULL);
	kmm_report_buddyinfo(f.k, fixture_text(&t));
	for (line = t.text; *line; line = strchr(line, '\n') + 1, lines++) {
		CHECK_EQ(sscanf(line, "Node 0, zone %15s %n", zone, &used), 1);
		CHECK_EQ(line[21], ' ');
		line += used;
		for (int i = 0; i < 11; i++, line += used) {
			CHECK_EQ(sscanf(line, "%lu%n", &nr[i], &used), 1);
			pages += nr[i] << i;
		}
	}
	CHECK_EQ(lines, 3);
	kmm_memory_stats(f.k, &s);
	CHECK_EQ(pages, s.free_pages); /* sections not made yet counted in */
	fixture_end(&f);
}

/* 65504 frames below 256 MiB - 128 KiB, of which 4096 - 3998 are no RAM or in the legacy hole and 384 hold descriptors:
 * Normal has 61024, both zones 65022. min: 1088 * 3998 / 65022 = 66, steps of 66 / 4 = 16; protection: 61024 / 256 = 238. */
static const char zoneinfo_dma[] =
	"Node 0, zone      DMA\n"
	"  per-node stats\n"
	"      nr_inactive_anon 0\n"
	"      nr_active_anon 0\n"
	"      nr_inactive_file 0\n"
	"      nr_active_file 0\n"
	"      nr_unevictable 0\n"
	"      nr_slab_reclaimable 0\n"
	"      nr_slab_unreclaimable 0\n"
	"      nr_isolated_anon 0\n"
	"      nr_isolated_file 0\n"
	"      workingset_nodes 0\n"
	"      workingset_refault_anon 0\n"
	"      workingset_refault_file 0\n"
	"      workingset_activate_anon 0\n"
	"      workingset_activate_file 0\n"
	"      workingset_restore_anon 0\n"
	"      workingset_restore_file 0\n"
	"      workingset_nodereclaim 0\n"
	"      nr_anon_pages 0\n"
	"      nr_file_pages 0\n"
	"      nr_dirty     0\n"
	"      nr_writeback 0\n"
	"      nr_writeback_temp 0\n"
	"      nr_vmscan_write 0\n"
	"      nr_vmscan_immediate_reclaim 0\n"
	"      nr_dirtied   0\n"
	"      nr_written   0\n"
	"      nr_throttled_written 0\n"
	"      nr_kernel_misc_reclaimable 0\n"
	"      nr_foll_pin_acquired 0\n"
	"      nr_foll_pin_released 0\n"
	"      nr_page_table_pages 0\n"
	"      nr_sec_page_table_pages 0\n"
	"      nr_swapcached 0\n"
	"  pages free     3998\n"
	"        boost    0\n"
	"        min      66\n"
	"        low      82\n"
	"        high     98\n"
	"        spanned  4095\n"
	"        present  3998\n"
	"        managed  3998\n"
	"        cma      0\n"
	"        protection: (0, 238, 238, 238)\n"
	"      nr_free_pages 3998\n"
	"      nr_zone_inactive_anon 0\n"
	"      nr_zone_active_anon 0\n"
	"      nr_zone_inactive_file 0\n"
	"      nr_zone_active_file 0\n"
	"      nr_zone_unevictable 0\n"
	"      nr_zone_write_pending 0\n"
	"      nr_mlock     0\n"
	"      nr_bounce    0\n"
	"      nr_free_cma  0\n"
	"  pagesets\n"
	"    cpu: 0\n"
	"              count: 0\n"
	"              high:  6\n"
	"              batch: 1\n"
	"  node_unreclaimable:  0\n"
	"  start_pfn:           1\n"
	"Node 0, zone   Normal\n"
	"  pages free     ";

/* A zone without frames. */
static const char zoneinfo_movable[] =
	"Node 0, zone  Movable\n"
	"  pages free     0\n"
	"        boost    0\n"
	"        min      0\n"
	"        low      0\n"
	"        high     0\n"
	"        spanned  0\n"
	"        present  0\n"
	"        managed  0\n"
	"        cma      0\n"
	"        protection: (0, 0, 0, 0)\n";

KMM_TEST(report_zoneinfo_as_linux_writes_it)
{
	struct fixture f = { 0 };
	struct fixture_text t;
	const char *at;

	f.machine.min_free_kbytes = 4 * 1088;
	CHECK_OK(fixture_pc(&f, KMM_I386, 256 * MIB));
	kmm_report_zoneinfo(f.k, fixture_text(&t));
	CHECK(t.sink.len < sizeof(t.text));
	t.text[strlen(zoneinfo_dma)] = 0;
	CHECK_STR(t.text, zoneinfo_dma);
	kmm_report_zoneinfo(f.k, fixture_text(&t));
	at = strstr(t.text, "Node 0, zone  Movable");
	CHECK(at != NULL);
	CHECK_STR(at, zoneinfo_movable);
	CHECK(strstr(t.text, "Node 0, zone  HighMem\n  pages free     0\n") != NULL);
	fixture_end(&f);
}

KMM_TEST(report_pagetypeinfo_as_linux_writes_it)
{
	static const char head[] =
		"Page block order: 9\n"
		"Pages per block:  512\n"
		"\n"
		"Free pages count per migrate type at order       0      1      2      3      4      5      6      7      8      9     10 \n"
		"Node    0, zone      DMA, type    Unmovable      0      0      0      0      0      0      0      0      0      0      0 \n"
		"Node    0, zone      DMA, type      Movable      2      2      2      2      2      1      1      0      1      1      3 \n"
		"Node    0, zone      DMA, type  Reclaimable      0      0      0      0      0      0      0      0      0      0      0 \n";
	static const char blocks[] =
		"\nNumber of blocks type     Unmovable      Movable  Reclaimable   HighAtomic          CMA      Isolate \n"
		"Node 0, zone      DMA            0            8            0            0            0            0 \n"
		"Node 0, zone   Normal            0          120            0            0            0            0 \n";
	struct fixture f = { 0 };
	struct fixture_text t;

	CHECK_OK(fixture_pc(&f, KMM_I386, 256 * MIB));
	kmm_report_pagetypeinfo(f.k, fixture_text(&t));
	CHECK_EQ(strncmp(t.text, head, sizeof(head) - 1), 0);
	CHECK(strstr(t.text, blocks) != NULL);
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0) != NULL && kmm_alloc_pages(f.k, KMM_GFP_KERNEL | KMM_GFP_RECLAIMABLE, 0) != NULL);
	kmm_report_pagetypeinfo(f.k, fixture_text(&t));
	CHECK(strstr(t.text, "Node 0, zone   Normal            1          118            1 ") != NULL);
	fixture_end(&f);
}
