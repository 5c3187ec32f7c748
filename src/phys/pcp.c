/* SPDX-License-Identifier: MIT */
/*
 * Small stacks of free blocks per CPU and zone, one per order 0..3, as arrays of frame numbers: most requests end
 * here, without the zone lock and without looking at the bitmaps. Refilled and drained in batches. Only the
 * owning CPU touches its stacks, with interrupts off; one that runs out sets the others' limits to 0, which makes
 * them drain theirs when they next free or run out.
 *
 * Cached frames are not in zone->free (as in Linux, whose NR_FREE_PAGES leaves them out): watermarks,
 * reports and kmm_memory_stats() count free frames without them, kinds[FREE] counts them in.
 */
#include "base/mem.h"
#include "phys/phys.h"

static unsigned limit_of(const struct kmm_zone *z, unsigned order)
{
	return order ? z->pcp_blocks : (unsigned)z->pcp_high;
}

static void set_limits(struct kmm_zone *z, struct kmm_pcp *pcp)
{
	for (unsigned order = 0; order < KMM_PCP_ORDERS; order++)
		atomic_store_explicit(&pcp->limit[order], limit_of(z, order), memory_order_relaxed);
}

/* Linux's batch: a quarter of a thousandth of the zone, at most a quarter of 1 MiB, one below a power of 2. Small
 * zones keep no blocks of several frames. */
void kmm_pcp_init(struct kmm_zone *z)
{
	uint32_t batch = (uint32_t)kmm_min_u64(z->managed / 1024, 256) / 4;

	batch = batch ? batch : 1;
	batch = (1u << kmm_log2_u32(batch + batch / 2)) - 1;
	z->pcp_batch = batch ? batch : 1;
	z->pcp_high = 6 * z->pcp_batch;
	z->pcp_blocks = z->pcp_batch < KMM_PCP_BLOCKS ? 0 : KMM_PCP_BLOCKS;
	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++)
		set_limits(z, &z->pcp[cpu]);
}

/* What the limit allows and one more, or a refill that takes its last word whole. */
static size_t room_for(const struct kmm_zone *z, unsigned order)
{
	return order ? z->pcp_blocks + 1u : (size_t)z->pcp_high + KMM_BITS;
}

size_t kmm_pcp_words(const struct kmm_zone *z)
{
	size_t nr = 0;

	for (unsigned order = 0; order < KMM_PCP_ORDERS; order++)
		nr += room_for(z, order);
	return z->present ? nr : 0;
}

void kmm_pcp_place(struct kmm_zone *z, unsigned cpu, kmm_word *at)
{
	for (unsigned order = 0; order < KMM_PCP_ORDERS; order++) {
		z->pcp[cpu].mag[order] = (struct kmm_mag){ at, 0 };
		at += room_for(z, order);
	}
}

/* The lowest frame shall be taken first, which is the last of the array. */
static void reverse(kmm_word *at, unsigned nr)
{
	for (unsigned i = 0, j = nr; i + 1 < j; i++) {
		kmm_word other = at[i];

		at[i] = at[--j];
		at[j] = other;
	}
}

bool kmm_pcp_refill(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp, unsigned order, unsigned want)
{
	struct kmm_mag *mag = &pcp->mag[order];
	unsigned nr = kmm_tract_take_many(k, z, order, want, mag->at);

	reverse(mag->at, nr);
	mag->nr = nr;
	return nr != 0;
}

/* The blocks that were cached longest; lock z held. */
static void give_back(struct kmm *k, struct kmm_zone *z, struct kmm_mag *mag, unsigned order, kmm_word nr)
{
	for (kmm_word i = 0; !KMM_CONFIG_VA32 && i < nr; i++)
		__builtin_prefetch(&z->map[(mag->at[i] - z->tract_first * KMM_TRACT_PAGES) / KMM_BITS], 1);
	kmm_tract_put_many(k, z, order, (unsigned)nr, mag->at);
	mag->nr -= nr;
	memmove(mag->at, mag->at + nr, (size_t)mag->nr * sizeof(*mag->at));
}

void kmm_pcp_drain(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp)
{
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	for (unsigned order = 0; order < KMM_PCP_ORDERS; order++)
		if (pcp->mag[order].nr)
			give_back(k, z, &pcp->mag[order], order, pcp->mag[order].nr);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}

static void drain_half(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp, unsigned order)
{
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	give_back(k, z, &pcp->mag[order], order, (pcp->mag[order].nr + 1) / 2);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}

kmm_word kmm_pcp_pages(const struct kmm_pcp *pcp)
{
	kmm_word nr = 0;

	for (unsigned order = 0; order < KMM_PCP_ORDERS; order++)
		nr += pcp->mag[order].nr << order;
	return nr;
}

int kmm_pcp_find(const struct kmm_zone *z, kmm_word pfn)
{
	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++)
		for (unsigned order = 0; order < KMM_PCP_ORDERS; order++) {
			const struct kmm_mag *mag = &z->pcp[cpu].mag[order];

			for (kmm_word i = 0; i < mag->nr; i++)
				if (mag->at[i] == pfn)
					return (int)order;
		}
	return -1;
}

/* Another CPU, or a request that waits, wants all back. Limits of orders that are never cached are 0 always. */
static bool wanted_back(const struct kmm_pcp *pcp)
{
	return atomic_load_explicit(&pcp->limit[0], memory_order_relaxed) == 0;
}

/* While somebody waits the limit stays 0, so that each free comes by here. */
void kmm_pcp_overflow(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp, unsigned order)
{
	bool waiters = atomic_load_explicit(&k->phys->waiters, memory_order_acquire) != 0;

	if (!wanted_back(pcp)) {
		if (pcp->mag[order].nr)
			drain_half(k, z, pcp, order);
		return;
	}
	if (!waiters)
		set_limits(z, pcp);
	if (kmm_pcp_pages(pcp) == 0)
		return;
	kmm_pcp_drain(k, z, pcp);
	if (waiters) /* only for something: a waiter comes by here itself and must not wake itself for ever */
		kmm_tell_waiters(k);
}

static void want_back(struct kmm *k, unsigned cpu)
{
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		for (unsigned order = 0; order < KMM_PCP_ORDERS; order++)
			atomic_store_explicit(&k->phys->zone[i].pcp[cpu].limit[order], 0, memory_order_relaxed);
}

static void drain_zones(struct kmm *k, unsigned cpu)
{
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		if (kmm_pcp_pages(&k->phys->zone[i].pcp[cpu]))
			kmm_pcp_drain(k, &k->phys->zone[i], &k->phys->zone[i].pcp[cpu]);
}

void kmm_pcp_drain_here(struct kmm *k)
{
	unsigned long irq = kmm_irq_save(k);
	unsigned here = kmm_cpu(k);

	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		if (cpu != here)
			want_back(k, cpu);
	drain_zones(k, here);
	kmm_irq_restore(k, irq);
}

void kmm_pcp_drain_all(struct kmm *k)
{
	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		want_back(k, cpu);
}

void kmm_phys_drain(struct kmm *k)
{
	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		drain_zones(k, cpu);
}
