/* SPDX-License-Identifier: MIT */
/*
 * A small stack of free frames per CPU and zone: most requests for one frame end here, without the zone
 * lock. Refilled and drained in batches. Only the owning CPU touches its stack, with interrupts off; one
 * that runs out asks the others to drain theirs when they next allocate or free.
 *
 * Cached frames are not in zone->free (as in Linux, whose NR_FREE_PAGES leaves them out): watermarks,
 * reports and kmm_memory_stats() count free frames without them, kinds[FREE] counts them in.
 */
#include "phys/phys.h"

/* Linux's batch: a quarter of a thousandth of the zone, at most a quarter of 1 MiB, one below a power of 2. */
void kmm_pcp_init(struct kmm_zone *z)
{
	uint32_t batch = (uint32_t)kmm_min_u64(z->managed / 1024, 256) / 4;

	batch = batch ? batch : 1;
	batch = (1u << kmm_log2_u32(batch + batch / 2)) - 1;
	z->pcp_batch = batch ? batch : 1;
	z->pcp_high = 6 * z->pcp_batch;
}

bool kmm_pcp_refill(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp, kmm_word want)
{
	kmm_word first = 0, last = 0, nr = 0;
	const struct kmm_phys *p = k->phys;

	/* In the order in which the free lists give them, so that neighbours stay neighbours. */
	for (; nr < want; nr++) {
		struct kmm_page *page = kmm_buddy_take(k, z, 0);

		if (!page)
			break;
		page->flags |= KMM_KIND_FREE | KMM_PG_CACHED;
		if (last)
			kmm_set_next(p, kmm_page_at(p, last - 1), kmm_pfn_of(p, page) + 1);
		else
			first = kmm_pfn_of(p, page) + 1;
		last = kmm_pfn_of(p, page) + 1;
	}
	if (nr == 0)
		return false;
	kmm_set_next(p, kmm_page_at(p, last - 1), pcp->first);
	pcp->first = first;
	pcp->nr += nr;
	return true;
}

void kmm_pcp_drain(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp, kmm_word nr)
{
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	for (; nr && pcp->nr; nr--)
		kmm_buddy_free(k, z, kmm_pfn_of(k->phys, kmm_pcp_pop(k->phys, pcp)), 0);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}

void kmm_pcp_drain_here(struct kmm *k)
{
	unsigned long irq = k->port->irq_save(k->port);
	unsigned cpu = k->port->cpu_id(k->port);

	for (unsigned i = 0; i < KMM_NR_ZONES; i++) {
		struct kmm_zone *z = &k->phys->zone[i];

		for (unsigned other = 0; other < k->machine.nr_cpus; other++)
			if (other != cpu)
				atomic_store_explicit(&z->pcp[other].drain_wanted, 1, memory_order_relaxed);
		if (z->pcp[cpu].nr)
			kmm_pcp_drain(k, z, &z->pcp[cpu], z->pcp[cpu].nr);
	}
	k->port->irq_restore(k->port, irq);
}

void kmm_phys_drain(struct kmm *k)
{
	for (unsigned i = 0; i < KMM_NR_ZONES; i++) {
		struct kmm_zone *z = &k->phys->zone[i];

		for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
			if (z->pcp[cpu].nr)
				kmm_pcp_drain(k, z, &z->pcp[cpu], z->pcp[cpu].nr);
	}
}
