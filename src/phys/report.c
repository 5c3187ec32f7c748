/* SPDX-License-Identifier: MIT */
/*
 * /proc/zoneinfo, buddyinfo and pagetypeinfo in the text of Linux 6.1. Of the statistics that Linux keeps, the
 * ones that kmm keeps are printed, in Linux's order; readers look them up by name.
 */
#include "base/mem.h"
#include "phys/geometry.h"
#include "phys/phys.h"

typedef unsigned long long ull; /* what %llu wants */

static kmm_word over_zones(const struct kmm *k, unsigned node, enum kmm_kind kind)
{
	kmm_word nr = 0;

	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		nr += kmm_zone_kind_count(&k->phys->node[node].zone[i], kind);
	return nr;
}

static void stat(struct kmm_sink *out, const char *name, kmm_word value)
{
	kmm_printf(out, "\n      %-12s %llu", name, (ull)value);
}

/* Names separated by blanks; each is a statistic that is 0 here. */
static void zeros(struct kmm_sink *out, const char *names)
{
	while (*names) {
		char name[32];
		size_t len = 0;

		while (names[len] && names[len] != ' ')
			len++;
		memcpy(name, names, len);
		name[len] = 0;
		stat(out, name, 0);
		names += len + (names[len] == ' ');
	}
}

/* Of what Linux counts for a node, all but the mapped pages and the shared memory, which this layer cannot tell. */
static void print_node(const struct kmm *k, unsigned node, struct kmm_sink *out)
{
	kmm_word anon = over_zones(k, node, KMM_KIND_ANON), file = over_zones(k, node, KMM_KIND_FILE);

	kmm_printf(out, "\n  per-node stats");
	stat(out, "nr_inactive_anon", anon);
	zeros(out, "nr_active_anon nr_inactive_file nr_active_file");
	stat(out, "nr_unevictable", file);
	zeros(out, "nr_slab_reclaimable");
	stat(out, "nr_slab_unreclaimable", over_zones(k, node, KMM_KIND_SLAB));
	zeros(out, "nr_isolated_anon nr_isolated_file workingset_nodes workingset_refault_anon workingset_refault_file "
		   "workingset_activate_anon workingset_activate_file workingset_restore_anon workingset_restore_file "
		   "workingset_nodereclaim");
	stat(out, "nr_anon_pages", anon);
	stat(out, "nr_file_pages", file);
	zeros(out, "nr_dirty nr_writeback nr_writeback_temp nr_vmscan_write nr_vmscan_immediate_reclaim nr_dirtied nr_written "
		   "nr_throttled_written nr_kernel_misc_reclaimable nr_foll_pin_acquired nr_foll_pin_released");
	stat(out, "nr_page_table_pages", over_zones(k, node, KMM_KIND_PGTABLE));
	zeros(out, "nr_sec_page_table_pages nr_swapcached");
}

static void print_zone_items(const struct kmm_zone_info *info, struct kmm_sink *out)
{
	stat(out, "nr_free_pages", info->free);
	stat(out, "nr_zone_inactive_anon", info->kinds[KMM_KIND_ANON]);
	zeros(out, "nr_zone_active_anon nr_zone_inactive_file nr_zone_active_file");
	stat(out, "nr_zone_unevictable", info->kinds[KMM_KIND_FILE]);
	zeros(out, "nr_zone_write_pending nr_mlock nr_bounce");
	stat(out, "nr_free_cma", info->free_cma);
}

/* Linux's kernels for 32-bit PCs are built without nodes. */
static void print_numa(const struct kmm *k, const struct kmm_zone *z, struct kmm_sink *out)
{
	if (!kmm_geometry(k->machine.format)->wide && k->phys->nr_nodes == 1)
		return;
	for (unsigned i = 0; i < KMM_NR_NUMA; i++)
		stat(out, kmm_numa_name((enum kmm_numa)i), kmm_zone_numa(k, z, (enum kmm_numa)i));
}

static void print_pagesets(const struct kmm *k, const struct kmm_zone *z, struct kmm_sink *out)
{
	kmm_printf(out, "\n  pagesets");
	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		kmm_printf(out,
			   "\n    cpu: %u"
			   "\n              count: %llu"
			   "\n              high:  %llu"
			   "\n              batch: %llu",
			   cpu, (ull)kmm_pcp_cpu_pages(z, cpu), (ull)z->pcp_high, (ull)z->pcp_batch);
}

/* One column per zone that the machine has. */
static void print_protection(const struct kmm *k, const struct kmm_zone_info *info, struct kmm_sink *out)
{
	const char *before = "(";

	kmm_printf(out, "\n        protection: ");
	for (unsigned i = 0; i < KMM_NR_ZONES; i++) {
		if (!k->phys->zone[i].exists)
			continue;
		kmm_printf(out, "%s%llu", before, (ull)info->protection[i]);
		before = ", ";
	}
	kmm_printf(out, ")");
}

static void print_zone(struct kmm *k, const struct kmm_zone *z, bool with_node, struct kmm_sink *out)
{
	struct kmm_zone_info info;

	if (!kmm_node_zone_info(k, z->node, z->id, &info))
		return;
	kmm_printf(out, "Node %u, zone %8s", z->node, info.name);
	if (with_node)
		print_node(k, z->node, out);
	kmm_printf(out,
		   "\n  pages free     %llu"
		   "\n        boost    0" /* marks are never boosted here */
		   "\n        min      %llu"
		   "\n        low      %llu"
		   "\n        high     %llu"
		   "\n        spanned  %llu"
		   "\n        present  %llu"
		   "\n        managed  %llu"
		   "\n        cma      %llu",
		   (ull)info.free, (ull)info.min, (ull)info.low, (ull)info.high, (ull)info.spanned,
		   (ull)info.present, (ull)info.managed, (ull)info.cma);
	print_protection(k, &info, out);
	if (info.present) {
		print_zone_items(&info, out);
		print_numa(k, z, out);
		print_pagesets(k, z, out);
		kmm_printf(out,
			   "\n  node_unreclaimable:  0" /* reclaim never gives a node up */
			   "\n  start_pfn:           %llu",
			   (ull)info.start.v);
	}
	kmm_printf(out, "\n");
}

/* A node without CPUs and memory is not there yet. */
static bool is_online(const struct kmm *k, unsigned node)
{
	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		if (kmm_cpu_node(k, cpu) == node)
			return true;
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		if (k->phys->node[node].zone[i].present)
			return true;
	return false;
}

void kmm_report_zoneinfo(struct kmm *k, struct kmm_sink *out)
{
	for (unsigned node = 0; node < k->phys->nr_nodes; node++) {
		bool with_node = true;

		for (unsigned i = 0; i < KMM_NR_ZONES && is_online(k, node); i++) {
			const struct kmm_zone *z = &k->phys->node[node].zone[i];

			print_zone(k, z, with_node && z->present, out);
			with_node = with_node && !z->present;
		}
	}
}

void kmm_report_buddyinfo(struct kmm *k, struct kmm_sink *out)
{
	for (unsigned i = 0; i < k->phys->nr_zones; i++) {
		const struct kmm_zone *z = k->phys->zones[i];
		struct kmm_zone_info info;

		if (!kmm_node_zone_info(k, z->node, z->id, &info) || info.present == 0)
			continue;
		kmm_printf(out, "Node %u, zone %8s ", z->node, info.name);
		for (unsigned order = 0; order < KMM_NR_ORDERS; order++)
			kmm_printf(out, "%6llu ", (ull)info.nr_free[order]);
		kmm_printf(out, "\n");
	}
}

/* ---- by mobility ---- */

static void print_free_by_type(const struct kmm *k, const struct kmm_zone *z, struct kmm_sink *out)
{
	struct kmm_zone_types types;

	if (z->present == 0 || !kmm_node_zone_types(k, z->node, z->id, &types))
		return;
	for (unsigned i = 0; i < KMM_NR_MOBILITIES; i++) {
		kmm_printf(out, "Node %4u, zone %8s, type %12s ", z->node, kmm_zone_name(z->id), kmm_mobility_name((enum kmm_mobility)i));
		for (unsigned order = 0; order < KMM_NR_ORDERS; order++)
			kmm_printf(out, "%6llu ", (ull)types.nr_free[i][order]);
		kmm_printf(out, "\n");
	}
}

static void print_blocks_by_type(const struct kmm *k, const struct kmm_zone *z, struct kmm_sink *out)
{
	struct kmm_zone_types types;

	if (z->present == 0 || !kmm_node_zone_types(k, z->node, z->id, &types))
		return;
	kmm_printf(out, "Node %u, zone %8s ", z->node, kmm_zone_name(z->id));
	for (unsigned i = 0; i < KMM_NR_MOBILITIES; i++)
		kmm_printf(out, "%12llu ", (ull)types.nr_tracts[i]);
	kmm_printf(out, "\n");
}

void kmm_report_pagetypeinfo(struct kmm *k, struct kmm_sink *out)
{
	kmm_printf(out, "Page block order: %u\nPages per block:  %u\n\n", KMM_TRACT_ORDER, KMM_TRACT_PAGES);
	kmm_printf(out, "%-43s ", "Free pages count per migrate type at order");
	for (unsigned order = 0; order < KMM_NR_ORDERS; order++)
		kmm_printf(out, "%6u ", order);
	kmm_printf(out, "\n");
	for (unsigned i = 0; i < k->phys->nr_zones; i++)
		print_free_by_type(k, k->phys->zones[i], out);
	kmm_printf(out, "\n%-23s", "Number of blocks type ");
	for (unsigned i = 0; i < KMM_NR_MOBILITIES; i++)
		kmm_printf(out, "%12s ", kmm_mobility_name((enum kmm_mobility)i));
	kmm_printf(out, "\n");
	for (unsigned i = 0; i < k->phys->nr_zones; i++)
		print_blocks_by_type(k, k->phys->zones[i], out);
}
