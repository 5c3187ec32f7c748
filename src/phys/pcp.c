/* SPDX-License-Identifier: MIT */
/*
 * A small stack of free frames per CPU and zone: most requests for one frame end here, without the zone
 * lock. Refilled and drained in batches. Only the owning CPU touches its stack, with interrupts off; one
 * that runs out sets the others' limits to 0, which makes them drain theirs when they next free or run out.
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
	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++)
		atomic_store_explicit(&z->pcp[cpu].limit, (unsigned)z->pcp_high, memory_order_relaxed);
}

/* Marks the frames of a block as cached and chains them; the last one's next is `after`. */
static void chain(const struct kmm_phys *p, const struct kmm_zone *z, kmm_word pfn, unsigned order, kmm_word after)
{
	kmm_word last = pfn + ((kmm_word)1 << order) - 1;

	for (; pfn <= last; pfn++) {
		struct kmm_page *page = kmm_page_at(p, pfn);

		page->flags = KMM_KIND_FREE | KMM_PG_CACHED | z->bits;
		kmm_set_next(p, page, pfn < last ? pfn + 2 : after);
	}
}

/* Smallest blocks first, each whole: the same frames, in the same order, that single requests would get. */
bool kmm_pcp_refill(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp, kmm_word want)
{
	const struct kmm_phys *p = k->phys;
	kmm_word first = 0, last = 0, nr = 0;

	while (nr < want && kmm_buddy_has(k, z, 0)) {
		unsigned fits = kmm_log2_u32((uint32_t)(want - nr)), smallest = kmm_ctz_u32(z->nonempty);
		unsigned order = smallest < fits ? smallest : fits;
		kmm_word pfn = kmm_pfn_of(p, kmm_buddy_take(k, z, order));

		if (last)
			kmm_set_next(p, kmm_page_at(p, last), pfn + 1);
		else
			first = pfn + 1;
		chain(p, z, pfn, order, pcp->first);
		last = pfn + ((kmm_word)1 << order) - 1;
		nr += (kmm_word)1 << order;
	}
	if (nr == 0)
		return false;
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

/* While somebody waits the limit stays 0, so that each free comes by here. */
void kmm_pcp_overflow(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp)
{
	bool waiters = atomic_load_explicit(&k->phys->waiters, memory_order_acquire) != 0;
	kmm_word nr = pcp->nr;

	if (atomic_load_explicit(&pcp->limit, memory_order_relaxed) != 0) {
		kmm_pcp_drain(k, z, pcp, z->pcp_batch);
		return;
	}
	if (!waiters)
		atomic_store_explicit(&pcp->limit, (unsigned)z->pcp_high, memory_order_relaxed);
	if (nr == 0)
		return;
	kmm_pcp_drain(k, z, pcp, nr);
	if (waiters) /* only for something: a waiter comes by here itself and must not wake itself for ever */
		kmm_tell_waiters(k);
}

static void want_back(struct kmm *k, unsigned cpu)
{
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		atomic_store_explicit(&k->phys->zone[i].pcp[cpu].limit, 0, memory_order_relaxed);
}

void kmm_pcp_drain_here(struct kmm *k)
{
	unsigned long irq = k->port->irq_save(k->port);
	unsigned here = kmm_cpu(k);

	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		if (cpu != here)
			want_back(k, cpu);
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		if (k->phys->zone[i].pcp[here].nr)
			kmm_pcp_drain(k, &k->phys->zone[i], &k->phys->zone[i].pcp[here], k->phys->zone[i].pcp[here].nr);
	k->port->irq_restore(k->port, irq);
}

void kmm_pcp_drain_all(struct kmm *k)
{
	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		want_back(k, cpu);
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
