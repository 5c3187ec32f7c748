/* SPDX-License-Identifier: MIT */
/*
 * /proc/vmstat in the order and with the names of Linux 6.1 (mm/vmstat.c there): the lines of a kernel with swap and
 * compaction, and of what kernels may be built without (huge pages, memory groups, balloons) none.
 *
 * A line is a count that the core keeps, or a true zero: there are no lists of pages
 * here, so nothing of them ever happened. Not known, and so 0 although it may happen: workingset_refault_file (of a page of a file that went
 * nothing is kept), pglazyfree, pglazyfreed, pgreuse, pageoutrun, nr_mlock and unevictable_pgs_. kswapd's lines are those of kmm_reclaim_step(). Two differ in what is counted: pgalloc_ counts requests served, pgfree
 * requests to free, where Linux counts their pages.
 */
#include "observe/totals.h"

#include "kmm/compact.h"
#include "phys/phys.h"

static void stat(struct kmm_sink *out, const char *name, uint64_t value)
{
	kmm_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

/* Names separated by blanks; each is a line with 0. */
static void zeros(struct kmm_sink *out, const char *names)
{
	while (*names) {
		const char *end = names;

		while (*end && *end != ' ')
			end++;
		out->write(out, names, (size_t)(end - names));
		kmm_printf(out, " 0\n");
		names = *end ? end + 1 : end;
	}
}

/* Linux's kernels for 32-bit PCs are built without nodes. */
static void numa_items(const struct kmm *k, struct kmm_sink *out)
{
	if (kmm_nr_nodes(k) == 1 && k->layout.kmap_slots)
		return;
	for (unsigned i = 0; i < KMM_NR_NUMA; i++) {
		uint64_t nr = 0;

		for (unsigned node = 0; node < kmm_nr_nodes(k); node++)
			nr += kmm_numa_count_of(k, node, (enum kmm_numa)i);
		stat(out, kmm_numa_name((enum kmm_numa)i), nr);
	}
}

static void zone_items(const struct kmm *k, const struct kmm_totals *t, struct kmm_sink *out)
{
	stat(out, "nr_free_pages", t->free);
	stat(out, "nr_zone_inactive_anon", t->kinds[KMM_KIND_ANON] + t->shmem);
	zeros(out, "nr_zone_active_anon");
	stat(out, "nr_zone_inactive_file", t->file_cached);
	zeros(out, "nr_zone_active_file");
	stat(out, "nr_zone_unevictable", t->kinds[KMM_KIND_FILE] - t->shmem - t->file_cached);
	zeros(out, "nr_zone_write_pending nr_mlock nr_bounce");
	stat(out, "nr_free_cma", t->free_cma);
	numa_items(k, out);
}

static void node_items(const struct kmm_totals *t, struct kmm_sink *out)
{
	stat(out, "nr_inactive_anon", t->kinds[KMM_KIND_ANON] + t->shmem);
	zeros(out, "nr_active_anon");
	stat(out, "nr_inactive_file", t->file_cached);
	zeros(out, "nr_active_file");
	stat(out, "nr_unevictable", t->kinds[KMM_KIND_FILE] - t->shmem - t->file_cached);
	zeros(out, "nr_slab_reclaimable");
	stat(out, "nr_slab_unreclaimable", t->kinds[KMM_KIND_SLAB]);
	zeros(out, "nr_isolated_anon nr_isolated_file workingset_nodes");
	stat(out, "workingset_refault_anon", t->reclaim.refaults); /* with shared memory, as there */
	zeros(out, "workingset_refault_file workingset_activate_anon workingset_activate_file workingset_restore_anon workingset_restore_file "
		   "workingset_nodereclaim");
	stat(out, "nr_anon_pages", t->kinds[KMM_KIND_ANON]);
	stat(out, "nr_mapped", t->file_mapped);
	stat(out, "nr_file_pages", t->kinds[KMM_KIND_FILE]);
	stat(out, "nr_dirty", t->files.dirty);
	stat(out, "nr_writeback", t->files.writing);
	zeros(out, "nr_writeback_temp");
	stat(out, "nr_shmem", t->shmem);
	zeros(out, "nr_shmem_hugepages nr_shmem_pmdmapped nr_file_hugepages nr_file_pmdmapped nr_anon_transparent_hugepages");
	stat(out, "nr_vmscan_write", t->swap.out + t->zswap.out - t->zswap.written_on);
	zeros(out, "nr_vmscan_immediate_reclaim");
	stat(out, "nr_dirtied", t->files.dirtied);
	stat(out, "nr_written", t->files.written);
	zeros(out, "nr_throttled_written nr_kernel_misc_reclaimable");
	stat(out, "nr_foll_pin_acquired", t->pins_taken);
	stat(out, "nr_foll_pin_released", t->pins_taken - t->pins);
	stat(out, "nr_page_table_pages", t->kinds[KMM_KIND_PGTABLE]);
	zeros(out, "nr_sec_page_table_pages");
	stat(out, "nr_swapcached", t->swap.cached + t->swap.writing);
	stat(out, "nr_dirty_threshold", t->files.limit);
	stat(out, "nr_dirty_background_threshold", t->files.background_limit);
}

/* ---- events ---- */

static const char *const zone_suffix[KMM_NR_ZONES] = {
	[KMM_ZONE_DMA] = "dma", [KMM_ZONE_DMA32] = "dma32", [KMM_ZONE_NORMAL] = "normal", [KMM_ZONE_HIGHMEM] = "high",
	[KMM_ZONE_MOVABLE] = "movable",
};

static uint64_t served_by(const struct kmm *k, unsigned zone)
{
	uint64_t nr = 0;

	for (unsigned i = 0; i < k->phys->nr_zones; i++) {
		const struct kmm_zone *z = k->phys->zones[i];

		if (z->id == zone)
			nr += (uint64_t)kmm_zone_numa(k, z, KMM_NUMA_HIT) + kmm_zone_numa(k, z, KMM_NUMA_MISS);
	}
	return nr;
}

static uint64_t stalled_for(const struct kmm *k, unsigned zone)
{
	return __atomic_load_n(&k->phys->stalls[zone], __ATOMIC_RELAXED);
}

/* A line for each sort of zone that this sort of machine has. count NULL: zeros. */
static void by_zone(const struct kmm *k, const char *name, uint64_t (*count)(const struct kmm *k, unsigned zone),
		    struct kmm_sink *out)
{
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		if (k->phys->zone[i].exists)
			kmm_printf(out, "%s_%s %llu\n", name, zone_suffix[i], count ? (unsigned long long)count(k, i) : 0ull);
}

static void alloc_events(const struct kmm *k, const struct kmm_totals *t, struct kmm_sink *out)
{
	stat(out, "pgpgin", (uint64_t)(t->swap.in + t->files.read) << (KMM_PAGE_SHIFT - 10));
	stat(out, "pgpgout", (uint64_t)(t->swap.out + t->files.written) << (KMM_PAGE_SHIFT - 10));
	stat(out, "pswpin", t->swap.in);
	stat(out, "pswpout", t->swap.out);
	by_zone(k, "pgalloc", served_by, out);
	by_zone(k, "allocstall", stalled_for, out);
	by_zone(k, "pgskip", NULL, out);
	stat(out, "pgfree", kmm_phys_frees(k));
	zeros(out, "pgactivate pgdeactivate pglazyfree");
	stat(out, "pgfault", kmm_word_look(&k->events[KMM_EV_FAULT]));
	stat(out, "pgmajfault", t->swap.major); /* as on Linux not who found it there, and no call on a file */
	zeros(out, "pglazyfreed pgrefill pgreuse");
	stat(out, "pgsteal_kswapd", t->reclaim.stolen_step);
	stat(out, "pgsteal_direct", t->reclaim.stolen_direct);
	zeros(out, "pgdemote_kswapd pgdemote_direct");
	stat(out, "pgscan_kswapd", t->reclaim.scanned_step);
	stat(out, "pgscan_direct", t->reclaim.scanned_direct);
	zeros(out, "pgscan_direct_throttle");
	stat(out, "pgscan_anon", t->reclaim.scanned_anon);
	stat(out, "pgscan_file", t->reclaim.scanned_file);
	stat(out, "pgsteal_anon", t->reclaim.stolen_anon);
	stat(out, "pgsteal_file", t->reclaim.stolen_file);
	zeros(out, "pginodesteal");
	stat(out, "slabs_scanned", t->shrunk);
	zeros(out, "kswapd_inodesteal kswapd_low_wmark_hit_quickly kswapd_high_wmark_hit_quickly pageoutrun pgrotated drop_pagecache drop_slab");
	stat(out, "oom_kill", t->reclaim.oom_kills);
}

static void move_events(struct kmm *k, const struct kmm_totals *t, struct kmm_sink *out)
{
	struct kmm_migrate_stats moved;
	struct kmm_compact_stats c;

	kmm_migrate_stats(k, &moved);
	kmm_compact_stats(k, &c);
	stat(out, "pgmigrate_success", moved.success);
	stat(out, "pgmigrate_fail", moved.fail);
	zeros(out, "thp_migration_success thp_migration_fail thp_migration_split");
	stat(out, "compact_migrate_scanned", c.migrate_scanned);
	stat(out, "compact_free_scanned", c.free_scanned);
	stat(out, "compact_isolated", c.isolated);
	stat(out, "compact_stall", c.stall);
	stat(out, "compact_fail", c.fail);
	stat(out, "compact_success", c.success);
	stat(out, "compact_daemon_wake", c.daemon_wake);
	stat(out, "compact_daemon_migrate_scanned", c.daemon_migrate_scanned);
	stat(out, "compact_daemon_free_scanned", c.daemon_free_scanned);
	zeros(out, "unevictable_pgs_culled unevictable_pgs_scanned unevictable_pgs_rescued unevictable_pgs_mlocked "
		   "unevictable_pgs_munlocked unevictable_pgs_cleared unevictable_pgs_stranded");
	stat(out, "swap_ra", t->swap.ahead);
	stat(out, "swap_ra_hit", t->swap.ahead_used);
	stat(out, "zswpin", t->zswap.in);
	stat(out, "zswpout", t->zswap.out);
	zeros(out, "nr_unstable");
}

void kmm_report_vmstat(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_totals t;

	kmm_totals(k, &t);
	zone_items(k, &t, out);
	node_items(&t, out);
	alloc_events(k, &t, out);
	move_events(k, &t, out);
}
