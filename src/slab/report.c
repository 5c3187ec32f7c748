/* SPDX-License-Identifier: MIT */
/*
 * /proc/slabinfo as Linux 6.1 writes it, newest cache first. Objects in magazines count as free: a row names what
 * callers hold. Figures of other CPUs' magazines are read as they stand; they are exact when those CPUs are idle.
 */
#include "slab/slab.h"

struct row {
	char name[24];
	kmm_word active, slabs, active_slabs;
	uint32_t slot, nr_objects, pages;
};

static struct row row_of(struct kmm *k, struct kmm_cache *cache)
{
	unsigned long flags = kmm_spin_lock(k, &cache->lock, KMM_LOCK_SLAB);
	struct row row = { .active = cache->inuse, .slot = cache->slot, .nr_objects = cache->nr_objects,
			   .pages = 1u << cache->order, .active_slabs = cache->partial.nr + cache->full.nr };
	unsigned cpu;

	for (cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		row.active -= cache->cpu[cpu].nr;
	row.slabs = row.active_slabs + cache->empty.nr;
	kmm_spin_unlock(k, &cache->lock, KMM_LOCK_SLAB, flags);
	__builtin_memcpy(row.name, cache->name, sizeof(row.name));
	return row;
}

void kmm_report_slabinfo(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_cache *cache = NULL;

	kmm_printf(out, "slabinfo - version: 2.1\n");
	kmm_printf(out, "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>");
	kmm_printf(out, " : tunables <limit> <batchcount> <sharedfactor>");
	kmm_printf(out, " : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
	while ((cache = kmm_cache_next(k, cache))) {
		struct row row = row_of(k, cache);

		kmm_printf(out, "%-17s %6llu %6llu %6u %4u %4u : tunables %4u %4u %4u : slabdata %6llu %6llu %6u\n",
			   row.name, (unsigned long long)row.active, (unsigned long long)row.slabs * row.nr_objects,
			   row.slot, row.nr_objects, row.pages, 0u, 0u, 0u, (unsigned long long)row.active_slabs,
			   (unsigned long long)row.slabs, 0u);
	}
}
