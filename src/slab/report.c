/* SPDX-License-Identifier: MIT */
/*
 * /proc/slabinfo as Linux 6.1 writes it, newest cache first; caches that share slabs have one row, under the oldest name.
 * Objects in magazines and depots count as free: a row names what callers hold. Figures of other CPUs' magazines are read as they stand; they are exact when those CPUs are idle.
 */
#include "slab/slab.h"

struct row {
	char name[24];
	kmm_word active, slabs, active_slabs;
	uint32_t slot, nr_objects, pages;
};

/* Copies the pool's name, which changes when its oldest cache goes. false: it has one user at most. */
static bool copy_name(struct kmm *k, const struct kmm_pool *pool, char name[24])
{
	unsigned long flags = kmm_spin_lock(k, &k->slab->lock, KMM_LOCK_SLAB);
	bool shared = pool->users > 1;

	__builtin_memcpy(name, pool->name, sizeof(pool->name));
	kmm_spin_unlock(k, &k->slab->lock, KMM_LOCK_SLAB, flags);
	return shared;
}

static struct row row_of(struct kmm *k, struct kmm_pool *pool)
{
	unsigned long flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	struct row row = { .active = pool->inuse - pool->depot_nr, .slot = pool->slot, .nr_objects = pool->nr_objects,
			   .pages = 1u << pool->order, .slabs = pool->nr_slabs,
			   .active_slabs = pool->nr_slabs - pool->empty.nr };
	unsigned cpu;

	for (cpu = 0; cpu < k->machine.nr_cpus && pool->limit; cpu++)
		row.active -= kmm_magazine_nr(pool->magazine[cpu]);
	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	(void)copy_name(k, pool, row.name);
	return row;
}

void kmm_report_slabinfo(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_pool *pool = NULL;

	kmm_printf(out, "slabinfo - version: 2.1\n");
	kmm_printf(out, "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>");
	kmm_printf(out, " : tunables <limit> <batchcount> <sharedfactor>");
	kmm_printf(out, " : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
	while ((pool = kmm_pool_next(k, pool))) {
		struct row row = row_of(k, pool);

		kmm_printf(out, "%-17s %6llu %6llu %6u %4u %4u : tunables %4u %4u %4u : slabdata %6llu %6llu %6u\n",
			   row.name, (unsigned long long)row.active, (unsigned long long)row.slabs * row.nr_objects,
			   row.slot, row.nr_objects, row.pages, 0u, 0u, 0u, (unsigned long long)row.active_slabs,
			   (unsigned long long)row.slabs, 0u);
	}
}

/* A name and the name of the pool that serves it. false: that is its own. */
static bool alias_of(struct kmm *k, const struct kmm_cache *cache, char name[24])
{
	return copy_name(k, kmm_cache_pool(cache), name) && __builtin_memcmp(name, cache->name, sizeof(cache->name)) != 0;
}

void kmm_report_slab_aliases(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_entry *entry = NULL;

	while ((entry = kmm_entry_next(k, &k->slab->caches, entry))) {
		struct kmm_cache *cache = kmm_container(entry, struct kmm_cache, entry);
		char name[24];

		if (alias_of(k, cache, name))
			kmm_printf(out, "%s -> %s\n", cache->name, name);
	}
}
