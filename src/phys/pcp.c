/* SPDX-License-Identifier: MIT */
/*
 * Small stacks of free blocks per CPU and zone, one per order 0..3 and 9, as arrays of frame numbers: most requests end
 * here, without the zone lock and without looking at the bitmaps. Refilled and drained in batches. Only the
 * owning CPU touches its stacks, with interrupts off; one that runs out sets the others' limits to 0, which makes
 * them drain theirs when they next free or run out.
 *
 * Cached frames are not in zone->free (as in Linux, whose NR_FREE_PAGES leaves them out): watermarks,
 * reports and kmm_memory_stats() count free frames without them, kinds[FREE] counts them in.
 */
#include "base/mem.h"
#include "phys/phys.h"

unsigned kmm_pcp_limit(const struct kmm_zone *z, unsigned list)
{
	if (list == 0)
		return (unsigned)z->pcp_high;
	return list < KMM_PCP_LISTS - 1 ? z->pcp_blocks : z->pcp_huge;
}

static void set_limits(struct kmm_zone *z, struct kmm_pcp *pcp)
{
	for (unsigned list = 0; list < KMM_PCP_LISTS; list++)
		atomic_store_explicit(&pcp->limit[list], kmm_pcp_limit(z, list), memory_order_relaxed);
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
	z->pcp_huge = (unsigned)kmm_min_u64(z->managed / (KMM_TRACT_PAGES * 64), KMM_PCP_HUGE);
	z->pcp_huge = z->pcp_huge > 1 && KMM_MAX_ORDER >= KMM_TRACT_ORDER ? z->pcp_huge : 0; /* 1/64 of a zone, at most */
	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++)
		set_limits(z, &z->pcp[cpu]);
}

/* What the limit allows and one more, or a refill that takes its last word whole. */
static size_t room_for(const struct kmm_zone *z, unsigned list)
{
	return (size_t)kmm_pcp_limit(z, list) + (list ? 1 : KMM_BITS);
}

size_t kmm_pcp_words(const struct kmm_zone *z)
{
	size_t nr = 0;

	for (unsigned list = 0; list < KMM_PCP_LISTS; list++)
		nr += room_for(z, list);
	return z->present ? nr : 0;
}

void kmm_pcp_place(struct kmm_zone *z, unsigned cpu, kmm_word *at)
{
	for (unsigned list = 0; list < KMM_PCP_LISTS; list++) {
		z->pcp[cpu].mag[list] = (struct kmm_mag){ at, 0 };
		at += room_for(z, list);
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

bool kmm_pcp_refill(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp, unsigned list, unsigned want)
{
	struct kmm_mag *mag = &pcp->mag[list];
	unsigned nr = kmm_tract_take_many(k, z, kmm_pcp_order(list), want, mag->at);

	reverse(mag->at, nr);
	kmm_word_set(&mag->nr, nr);
	return nr != 0;
}

/* The blocks that were cached longest; lock z held. */
static void give_back(struct kmm *k, struct kmm_zone *z, struct kmm_mag *mag, unsigned order, kmm_word nr)
{
	for (kmm_word i = 0; !KMM_CONFIG_VA32 && i < nr; i++)
		__builtin_prefetch(&z->map[(mag->at[i] - z->tract_first * KMM_TRACT_PAGES) / KMM_BITS], 1);
	kmm_tract_put_many(k, z, order, (unsigned)nr, mag->at);
	kmm_word_set(&mag->nr, mag->nr - nr);
	memmove(mag->at, mag->at + nr, (size_t)mag->nr * sizeof(*mag->at));
}

void kmm_pcp_drain(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp)
{
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	for (unsigned list = 0; list < KMM_PCP_LISTS; list++)
		if (pcp->mag[list].nr)
			give_back(k, z, &pcp->mag[list], kmm_pcp_order(list), pcp->mag[list].nr);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}

static void drain_half(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp, unsigned list)
{
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	give_back(k, z, &pcp->mag[list], kmm_pcp_order(list), (pcp->mag[list].nr + 1) / 2);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}

kmm_word kmm_pcp_pages(const struct kmm_pcp *pcp)
{
	kmm_word nr = 0;

	for (unsigned list = 0; list < KMM_PCP_LISTS; list++)
		nr += kmm_word_look(&pcp->mag[list].nr) << kmm_pcp_order(list);
	return nr;
}

int kmm_pcp_find(const struct kmm_zone *z, kmm_word pfn)
{
	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++)
		for (unsigned list = 0; list < KMM_PCP_LISTS; list++) {
			const struct kmm_mag *mag = &z->pcp[cpu].mag[list];

			for (kmm_word i = 0; i < mag->nr; i++)
				if (mag->at[i] == pfn)
					return (int)kmm_pcp_order(list);
		}
	return -1;
}

/* Another CPU, or a request that waits, wants all back. Limits of orders that are never cached are 0 always. */
static bool wanted_back(const struct kmm_pcp *pcp)
{
	return atomic_load_explicit(&pcp->limit[0], memory_order_relaxed) == 0;
}

/* While somebody waits the limit stays 0, so that each free comes by here. */
void kmm_pcp_overflow(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp, unsigned list)
{
	bool waiters = atomic_load_explicit(&k->phys->waiters, memory_order_acquire) != 0;

	if (!wanted_back(pcp)) {
		if (pcp->mag[list].nr)
			drain_half(k, z, pcp, list);
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
		for (unsigned list = 0; list < KMM_PCP_LISTS; list++)
			atomic_store_explicit(&k->phys->zone[i].pcp[cpu].limit[list], 0, memory_order_relaxed);
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
