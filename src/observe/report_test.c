/* SPDX-License-Identifier: MIT */
/*
 * The reports against Linux 6.1's: the names of lines and their order, written down here a second time from Linux's
 * fs/proc and mm/vmstat.c, and each line against what programs scan it with (procps: free, vmstat, slabtop).
 */
#include "harness/swap_space.h"
#include "kmm/compact.h"
#include "kmm/slab.h"

#include <stdlib.h>

#define AT 0x20000000ull

/* Lines that every kernel of these configurations has; others may stand between them. */
static const char *const meminfo_names[] = {
	"MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapCached", "Active", "Inactive", "Active(anon)",
	"Inactive(anon)", "Active(file)", "Inactive(file)", "Unevictable", "Mlocked", "SwapTotal", "SwapFree", "Dirty",
	"Writeback", "AnonPages", "Mapped", "Shmem", "KReclaimable", "Slab", "SReclaimable", "SUnreclaim", "PageTables",
	"SecPageTables", "NFS_Unstable", "Bounce", "WritebackTmp", "CommitLimit", "Committed_AS", "VmallocTotal", "VmallocUsed",
	"VmallocChunk", "CmaTotal", "CmaFree", "HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp",
	"Hugepagesize", "Hugetlb",
};

static const char *const vmstat_names[] = {
	"nr_free_pages", "nr_zone_inactive_anon", "nr_zone_active_anon", "nr_zone_inactive_file", "nr_zone_active_file",
	"nr_zone_unevictable", "nr_zone_write_pending", "nr_mlock", "nr_bounce", "nr_free_cma", "nr_inactive_anon",
	"nr_active_anon", "nr_inactive_file", "nr_active_file", "nr_unevictable", "nr_slab_reclaimable", "nr_slab_unreclaimable",
	"nr_isolated_anon", "nr_isolated_file", "workingset_nodes", "workingset_refault_anon", "workingset_refault_file",
	"workingset_activate_anon", "workingset_activate_file", "workingset_restore_anon", "workingset_restore_file",
	"workingset_nodereclaim", "nr_anon_pages", "nr_mapped", "nr_file_pages", "nr_dirty", "nr_writeback",
	"nr_writeback_temp", "nr_shmem", "nr_vmscan_write", "nr_vmscan_immediate_reclaim", "nr_dirtied", "nr_written",
	"nr_throttled_written", "nr_kernel_misc_reclaimable", "nr_foll_pin_acquired", "nr_foll_pin_released",
	"nr_page_table_pages", "nr_sec_page_table_pages", "nr_swapcached", "nr_dirty_threshold", "nr_dirty_background_threshold",
	"pgpgin", "pgpgout", "pswpin", "pswpout", "pgalloc_dma", "pgalloc_normal", "pgalloc_movable", "allocstall_dma",
	"allocstall_normal", "allocstall_movable", "pgskip_dma", "pgskip_normal", "pgskip_movable", "pgfree", "pgactivate",
	"pgdeactivate", "pglazyfree", "pgfault", "pgmajfault", "pglazyfreed", "pgrefill", "pgreuse", "pgsteal_kswapd",
	"pgsteal_direct", "pgdemote_kswapd", "pgdemote_direct", "pgscan_kswapd", "pgscan_direct", "pgscan_direct_throttle",
	"pgscan_anon", "pgscan_file", "pgsteal_anon", "pgsteal_file", "pginodesteal", "slabs_scanned", "kswapd_inodesteal",
	"kswapd_low_wmark_hit_quickly", "kswapd_high_wmark_hit_quickly", "pageoutrun", "pgrotated", "drop_pagecache", "drop_slab",
	"oom_kill", "pgmigrate_success", "pgmigrate_fail", "compact_migrate_scanned", "compact_free_scanned", "compact_isolated",
	"compact_stall", "compact_fail", "compact_success", "compact_daemon_wake", "compact_daemon_migrate_scanned",
	"compact_daemon_free_scanned", "unevictable_pgs_culled", "unevictable_pgs_scanned", "unevictable_pgs_rescued",
	"unevictable_pgs_mlocked", "unevictable_pgs_munlocked", "unevictable_pgs_cleared", "unevictable_pgs_stranded", "swap_ra",
	"swap_ra_hit", "nr_unstable",
};

static const char *const zone_names[] = {
	"pages free", "boost", "min", "low", "high", "spanned", "present", "managed", "cma", "protection:", "nr_free_pages",
	"nr_zone_inactive_anon", "nr_zone_active_anon", "nr_zone_inactive_file", "nr_zone_active_file", "nr_zone_unevictable",
	"nr_zone_write_pending", "nr_mlock", "nr_bounce", "nr_free_cma", "pagesets", "cpu: 0", "count:", "high:", "batch:",
	"node_unreclaimable:", "start_pfn:",
};

#define NR(names) (sizeof(names) / sizeof((names)[0]))

/* A program with private, shared and file pages. */
struct report {
	struct space s;
	struct kmm_file file;
	struct hosted_text text;
};

static void start(struct report *r, enum kmm_format_id format)
{
	CALL(space_start(&r->s, format));
	kmm_file_init(&r->file, r->s.k, 8 * SPACE_PAGE, "/file");
	CHECK_EQ(space_map(&r->s, AT, 8, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&r->s, AT + 0x100000, 8, SPACE_RW, SPACE_SHARED), 0);
	CHECK_EQ(space_map_file(&r->s, AT + 0x200000, 8, SPACE_RW, KMM_MAP_SHARED, &r->file, 0), 0);
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(space_poke(&r->s, r->s.mm, AT + i * SPACE_PAGE, 1), 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(space_poke(&r->s, r->s.mm, AT + 0x100000 + i * SPACE_PAGE, 1), 0);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(space_poke(&r->s, r->s.mm, AT + 0x200000 + i * SPACE_PAGE, 1), 0);
}

static void stop(struct report *r)
{
	hosted_put_space(r->s.m, r->s.mm);
	r->s.mm = NULL;
	kmm_backing_put(&r->file.backing);
	CALL(space_stop(&r->s));
}

static const char *take(struct report *r, void (*report)(struct kmm *k, struct kmm_sink *out))
{
	report(r->s.k, hosted_text_init(&r->text));
	return r->text.text;
}

/* Each name begins a line, after the one before it. */
static void check_order(const char *text, const char *const *names, size_t nr, const char *after_name)
{
	const char *at = text;

	for (size_t i = 0; i < nr; i++) {
		size_t len = strlen(names[i]);

		while (at && !(strncmp(at, names[i], len) == 0 && strncmp(at + len, after_name, strlen(after_name)) == 0)) {
			at = strchr(at, '\n');
			at = at ? at + 1 : NULL;
		}
		if (!at)
			printf("  no line '%s', or not where it belongs\n", names[i]);
		CHECK(at != NULL);
	}
}

static unsigned long long value_of(const char *text, const char *name)
{
	char line[64];
	const char *at;

	snprintf(line, sizeof(line), "\n%s", name);
	at = strncmp(text, name, strlen(name)) == 0 ? text - 1 : strstr(text, line);
	return at ? strtoull(at + strlen(line), NULL, 10) : ~0ull;
}

KMM_TEST(report_meminfo_is_linux_text)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct report r;
		const char *text;
		char name[32], unit[8];
		unsigned long long kb;
		int len;

		CALL(start(&r, space_formats[f]));
		text = take(&r, kmm_report_meminfo);
		CALL(check_order(text, meminfo_names, NR(meminfo_names), ":"));
		CHECK_EQ(value_of(text, "AnonPages:"), 20);
		CHECK_EQ(value_of(text, "Shmem:"), 12);
		CHECK_EQ(value_of(text, "Cached:"), 20);
		CHECK_EQ(value_of(text, "Mapped:"), 20);
		CHECK_EQ(value_of(text, "Inactive(anon):"), 32);
		CHECK_EQ(value_of(text, "Unevictable:"), 8);
		for (const char *at = text; *at; at += len) { /* as free(1) scans it */
			CHECK_EQ(sscanf(at, "%31[^:]: %llu%7[^\n]\n%n", name, &kb, unit, &len), 3 - !strncmp(at, "HugePages_", 10));
			if (strncmp(at, "HugePages_", 10) == 0) /* numbers of pages, without a unit */
				CHECK_EQ(sscanf(at, "%31[^:]: %llu\n%n", name, &kb, &len), 2);
			else
				CHECK_STR(unit, " kB");
		}
		hosted_text_free(&r.text);
		CALL(stop(&r));
	}
}

KMM_TEST(report_vmstat_is_linux_text)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_walk walk;
		struct report r;
		const char *text;
		char name[64];
		unsigned long long value;
		int len;

		CALL(start(&r, space_formats[f]));
		kmm_walk(r.s.k, kmm_mm_root(r.s.mm), AT, &walk);
		CHECK_OK(kmm_migrate_page(r.s.k, kmm_paddr_to_pfn(walk.pa)));
		text = take(&r, kmm_report_vmstat);
		CALL(check_order(text, vmstat_names, NR(vmstat_names), " "));
		CHECK_EQ(value_of(text, "nr_anon_pages "), 5);
		CHECK_EQ(value_of(text, "nr_shmem "), 3);
		CHECK_EQ(value_of(text, "nr_file_pages "), 5);
		CHECK_EQ(value_of(text, "pgmigrate_success "), 1);
		CHECK_EQ(value_of(text, "pgalloc_high ") != ~0ull, kmm_layout_of(r.s.k)->kmap_slots != 0);
		CHECK_EQ(value_of(text, "pgalloc_dma32 ") != ~0ull, kmm_layout_of(r.s.k)->kmap_slots == 0);
		for (const char *at = text; *at; at += len)
			CHECK_EQ(sscanf(at, "%63[a-z0-9_] %llu\n%n", name, &value, &len), 2);
		hosted_text_free(&r.text);
		CALL(stop(&r));
	}
}

/* ---- what happens is counted ---- */

static unsigned long long in_vmstat(struct kmm *k, const char *name)
{
	struct hosted_text text;
	unsigned long long value;

	kmm_report_vmstat(k, hosted_text_init(&text));
	value = value_of(text.text, name);
	hosted_text_free(&text);
	return value;
}

/* Out to a device and in again: written, stolen, scanned; read, refaulted, a major fault but for what was read ahead. */
KMM_TEST(report_vmstat_counts_reclaim)
{
	struct swap_space w;

	CALL(swap_start(&w, &(struct swap_setup){ .format = KMM_X86_64, .later = true }));
	CHECK_EQ(space_map(&w.s, at(0), 50, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&w.s, at(50), 20, SPACE_RW, SPACE_SHARED), 0);
	CALL(swap_fill(&w, w.s.mm, 0, 70, 1));
	CHECK_EQ(in_vmstat(w.s.k, "pgscan_anon "), 0);
	CALL(swap_push_out(&w));
	CHECK(in_vmstat(w.s.k, "pgscan_anon ") >= 70);
	CHECK_EQ(in_vmstat(w.s.k, "pgsteal_anon "), 70);
	CHECK_EQ(in_vmstat(w.s.k, "pgscan_anon ") + in_vmstat(w.s.k, "pgscan_file "),
		 in_vmstat(w.s.k, "pgscan_kswapd ") + in_vmstat(w.s.k, "pgscan_direct "));
	CHECK_EQ(in_vmstat(w.s.k, "pgsteal_kswapd "), 70);
	CHECK_EQ(in_vmstat(w.s.k, "pswpout "), 70);
	CHECK_EQ(in_vmstat(w.s.k, "nr_vmscan_write "), 70);
	CHECK_EQ(in_vmstat(w.s.k, "workingset_refault_anon "), 0);
	CALL(swap_verify(&w, w.s.mm, 0, 70, 1));
	CHECK_EQ(in_vmstat(w.s.k, "workingset_refault_anon "), 70);
	CHECK_EQ(in_vmstat(w.s.k, "pswpin "), 70);
	CHECK_EQ(in_vmstat(w.s.k, "pgmajfault ") + in_vmstat(w.s.k, "swap_ra_hit "), 70);
	CHECK(in_vmstat(w.s.k, "swap_ra ") > 0);
	CALL(swap_stop(&w));
}

/* With zswap the same page is written out by reclaim once, wherever it goes then. */
KMM_TEST(report_vmstat_counts_compressed)
{
	struct swap_space w;

	CALL(swap_start(&w, &(struct swap_setup){ .format = KMM_X86_64 }));
	CHECK_OK(kmm_zswap_on(w.s.k, &kmm_compressor_lz4, 20));
	CHECK_EQ(space_map(&w.s, at(0), 50, SPACE_RW, SPACE_ANON), 0);
	CALL(swap_fill(&w, w.s.mm, 0, 50, 1));
	CALL(swap_push_out(&w));
	CHECK_EQ(in_vmstat(w.s.k, "zswpout "), 50);
	CHECK_EQ(in_vmstat(w.s.k, "nr_vmscan_write "), 50);
	CHECK_EQ(in_vmstat(w.s.k, "pswpout "), 0);
	CALL(swap_verify(&w, w.s.mm, 0, 50, 1));
	CHECK_EQ(in_vmstat(w.s.k, "zswpin "), 50);
	CHECK_EQ(in_vmstat(w.s.k, "workingset_refault_anon "), 50);
	CALL(swap_stop(&w));
}

static kmm_word two_objects(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp)
{
	(void)k, (void)self, (void)gfp;
	return 2;
}

static kmm_word none_freed(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp, kmm_word nr)
{
	(void)k, (void)self, (void)gfp, (void)nr;
	return 0;
}

KMM_TEST(report_vmstat_counts_pins_shrinkers_and_ends)
{
	struct kmm_shrinker shrinker = { .name = "two", .count = two_objects, .scan = none_freed };
	struct kmm_page *pages[3];
	unsigned long long before;
	kmm_word done;
	struct report r;

	CALL(start(&r, KMM_X86_64));
	CHECK_OK(kmm_pin_user(r.s.mm, kmm_uva((kmm_word)AT), 3, KMM_PIN_WRITE, pages, &done));
	CHECK_EQ(in_vmstat(r.s.k, "nr_foll_pin_acquired "), 3);
	CHECK_EQ(in_vmstat(r.s.k, "nr_foll_pin_released "), 0);
	kmm_unpin_user(r.s.k, pages, 3, true);
	CHECK_EQ(in_vmstat(r.s.k, "nr_foll_pin_acquired "), 3);
	CHECK_EQ(in_vmstat(r.s.k, "nr_foll_pin_released "), 3);
	kmm_shrinker_register(r.s.k, &shrinker);
	before = in_vmstat(r.s.k, "slabs_scanned ");
	(void)kmm_shrink(r.s.k, KMM_GFP_KERNEL, 1u << 20);
	CHECK(in_vmstat(r.s.k, "slabs_scanned ") >= before + 2);
	kmm_shrinker_unregister(r.s.k, &shrinker);
	CHECK_EQ(in_vmstat(r.s.k, "oom_kill "), 0);
	kmm_oom_note_kill(r.s.k);
	CHECK_EQ(in_vmstat(r.s.k, "oom_kill "), 1);
	CALL(stop(&r));
}

KMM_TEST(report_zoneinfo_is_linux_text)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct report r;
		const char *text, *at;
		unsigned node, nr = 0;
		char zone[16];

		CALL(start(&r, space_formats[f]));
		text = take(&r, kmm_report_zoneinfo);
		for (at = strstr(text, "Node "); at; at = strstr(at + 1, "\nNode "), at = at ? at + 1 : NULL, nr++)
			CHECK_EQ(sscanf(at, "Node %u, zone %15s\n", &node, zone), 2);
		CHECK_EQ(nr, 4); /* as many as the sort of machine has, empty ones too */
		at = text;
		for (size_t i = 0; i < NR(zone_names); i++) {
			at = strstr(at, zone_names[i]);
			if (!at)
				printf("  no '%s' where it belongs\n", zone_names[i]);
			CHECK(at != NULL);
		}
		hosted_text_free(&r.text);
		CALL(stop(&r));
	}
}

KMM_TEST(report_slabinfo_is_what_slabtop_scans)
{
	struct report r;
	const char *text, *at;
	unsigned long long v[6];
	char name[64];
	unsigned rows = 0;
	int len;

	CALL(start(&r, KMM_X86_64));
	text = take(&r, kmm_report_slabinfo);
	CHECK(strncmp(text, "slabinfo - version: 2.1\n# name ", 31) == 0);
	at = strchr(strchr(text, '\n') + 1, '\n') + 1;
	for (; *at; at += len, rows++)
		CHECK_EQ(sscanf(at, "%63s %llu %llu %llu %llu %llu : tunables %*d %*d %*d : slabdata %*d %*d %*d\n%n", name,
				&v[0], &v[1], &v[2], &v[3], &v[4], &len), 6);
	CHECK(rows > 5);
	hosted_text_free(&r.text);
	CALL(stop(&r));
}

KMM_TEST(report_buddyinfo_and_vmallocinfo)
{
	struct report r;
	const char *text;
	unsigned long long from, to, size;
	unsigned node, nr[11];
	char zone[16], caller[32];
	void *area;

	CALL(start(&r, KMM_I386));
	text = take(&r, kmm_report_buddyinfo);
	CHECK_EQ(sscanf(text, "Node %u, zone %15s %u %u %u %u %u %u %u %u %u %u %u\n", &node, zone, &nr[0], &nr[1], &nr[2], &nr[3],
			&nr[4], &nr[5], &nr[6], &nr[7], &nr[8], &nr[9], &nr[10]), 13);
	hosted_text_free(&r.text);
	area = kmm_vmalloc(r.s.k, 10000, "here");
	text = take(&r, kmm_report_vmallocinfo);
	CHECK_EQ(sscanf(text, "0x%llx-0x%llx %llu %31s pages=3 vmalloc\n", &from, &to, &size, caller), 4);
	CHECK_EQ(to - from, size);
	CHECK_STR(caller, "here");
	hosted_text_free(&r.text);
	kmm_vfree(r.s.k, area);
	CALL(stop(&r));
}
