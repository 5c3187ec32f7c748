/* SPDX-License-Identifier: MIT */
/*
 * Small stacks of free blocks per CPU, zone and mobility, one per order 0..4 and 9, as arrays of frame numbers: most
 * requests end here, without the zone lock and without looking at the bitmaps. Refilled and drained in batches.
 *
 * Only the owning CPU touches its stacks, with interrupts off, by plain loads and stores. Who wants what others hold
 * says so in phys->wanted and closes their caches: limits become 0 and gates all ones, so that the owner's next
 * free finds its list over the limit, and its next allocation too little free memory; both end here and give all back.
 * That costs the common case nothing, for both compare with limit and gate anyway. A lock word in each stack
 * would cost an atomic exchange on every call, more than the rest of the call. The price: a CPU that neither
 * allocates nor frees keeps what it has, until it calls kmm_drain_cpu() before it sleeps.
 *
 * While somebody waits for memory, or a range is isolated, caches stay closed: each free goes through to the bitmaps.
 *
 * Cached frames are not in zone->free (as in Linux, whose NR_FREE_PAGES leaves them out): watermarks,
 * reports and kmm_memory_stats() count free frames without them, kinds[FREE] counts them in.
 */
#include "phys/phys.h"

unsigned kmm_pcp_limit(const struct kmm_zone *z, unsigned list)
{
	if (list == 0)
		return (unsigned)z->pcp_high;
	return list < KMM_PCP_LISTS - 1 ? z->pcp_blocks >> kmm_pcp_order(list) : z->pcp_huge;
}

/* Whole tracts come a whole cache at a time: what takes one mostly goes on to take more. */
kmm_word kmm_pcp_batch(const struct kmm_zone *z, unsigned list)
{
	if (list == 0)
		return z->pcp_batch;
	return list < KMM_PCP_LISTS - 1 ? kmm_pcp_limit(z, list) / 2 : z->pcp_huge;
}

static bool is_wanted(const struct kmm_phys *p, unsigned cpu)
{
	return atomic_load_explicit(&p->wanted[cpu], memory_order_relaxed) != 0;
}

static void set_limits(struct kmm_zone *z, unsigned cpu, bool open)
{
	for (unsigned sort = 0; sort < KMM_PCP_SORTS; sort++)
		for (unsigned list = 0; list < KMM_PCP_LISTS; list++)
			kmm_word_set(&z->pcp[cpu][sort].limit[list], open ? kmm_pcp_limit(z, list) : 0);
}

/* Linux's batch: a quarter of a thousandth of the zone, at most a quarter of 1 MiB, one below a power of 2. Small
 * zones keep no blocks of several frames. */
void kmm_pcp_init(struct kmm *k, struct kmm_zone *z)
{
	uint32_t batch = (uint32_t)kmm_min_u64(z->managed / 1024, 256) / 4;

	batch = batch ? batch : 1;
	batch = (1u << kmm_log2_u32(batch + batch / 2)) - 1;
	z->pcp_batch = batch ? batch : 1;
	z->pcp_high = 6 * z->pcp_batch;
	z->pcp_blocks = z->pcp_batch < 16 ? 0 : KMM_PCP_BLOCKS;
	z->pcp_huge = (unsigned)kmm_min_u64(z->managed / (KMM_TRACT_PAGES * 128), KMM_PCP_HUGE);
	z->pcp_huge = z->pcp_huge > 1 && KMM_MAX_ORDER >= KMM_TRACT_ORDER ? z->pcp_huge : 0; /* 1/128 of a zone, at most */
	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++)
		set_limits(z, cpu, !is_wanted(k->phys, cpu));
}

/* What the limit allows and one more, or a refill that takes its last word whole. */
static size_t room_for(const struct kmm_zone *z, unsigned list)
{
	size_t most = list == 0 ? KMM_PCP_MOST : list < KMM_PCP_LISTS - 1 ? KMM_PCP_BLOCKS >> kmm_pcp_order(list) : KMM_PCP_HUGE;

	return (z->may_grow ? most : kmm_pcp_limit(z, list)) + (list ? 1 : KMM_BITS);
}

size_t kmm_pcp_words(const struct kmm_zone *z)
{
	size_t nr = 0;

	for (unsigned list = 0; list < KMM_PCP_LISTS; list++)
		nr += room_for(z, list);
	return z->present || z->may_grow ? nr * KMM_PCP_SORTS : 0;
}

void kmm_pcp_place(struct kmm_zone *z, unsigned cpu, kmm_word *at)
{
	for (unsigned i = 0; i < KMM_PCP_SORTS * KMM_PCP_LISTS; i++) {
		z->pcp[cpu][i / KMM_PCP_LISTS].zone = z;
		z->pcp[cpu][i / KMM_PCP_LISTS].mag[i % KMM_PCP_LISTS] = (struct kmm_mag){ at, 0 };
		at += room_for(z, i % KMM_PCP_LISTS);
	}
}

bool kmm_pcp_refill(struct kmm *k, struct kmm_zone *z, enum kmm_mobility mobility, unsigned list, unsigned want)
{
	struct kmm_mag *mag = &kmm_this_pcp(k, z, mobility)->mag[list];
	unsigned nr;

	KMM_ASSERT(k, mag->nr == 0 && want <= kmm_pcp_limit(z, list));
	nr = kmm_tract_take_many(k, z, kmm_pcp_order(list), mobility, want, mag->at);
	for (unsigned i = 0; !KMM_CONFIG_VA32 && list && i < nr; i++)
		__builtin_prefetch(kmm_page_at(k->phys, mag->at[i]), 1); /* far from each other, and soon written */
	KMM_ASSERT(k, nr < want + (list ? 1 : KMM_BITS));
	kmm_word_set(&mag->nr, nr);
	return nr != 0;
}

/* The words of the bitmap that are about to be written; neighbours lie in one. */
static void prefetch_words(const struct kmm_zone *z, kmm_word nr, const kmm_word *pfns)
{
	kmm_word base = z->tract_first * KMM_TRACT_PAGES, last = KMM_NO_PFN;

	for (kmm_word i = 0; i < nr; i++) {
		if ((pfns[i] ^ last) >= KMM_BITS)
			__builtin_prefetch(&z->map[(pfns[i] - base) / KMM_BITS], 1);
		last = pfns[i];
	}
}

/* The blocks that were cached longest; lock z held. */
static void give_back(struct kmm *k, struct kmm_zone *z, struct kmm_mag *mag, unsigned order, kmm_word nr)
{
	KMM_ASSERT(k, nr <= mag->nr);
	if (!KMM_CONFIG_VA32 && order < KMM_TRACT_ORDER)
		prefetch_words(z, nr, mag->at);
	kmm_tract_put_many(k, z, order, (unsigned)nr, mag->at);
	kmm_word_set(&mag->nr, mag->nr - nr);
	for (kmm_word i = 0; i < mag->nr; i++)
		kmm_word_set(&mag->at[i], mag->at[nr + i]);
}

static void drain(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp)
{
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	for (unsigned list = 0; list < KMM_PCP_LISTS; list++)
		if (pcp->mag[list].nr)
			give_back(k, z, &pcp->mag[list], kmm_pcp_order(list), pcp->mag[list].nr);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}

/* How many of a list that is over its limit go back: the older half; of whole tracts more, by pairs. */
static kmm_word surplus(const struct kmm_mag *mag, unsigned list)
{
	kmm_word most = mag->nr - mag->nr / 4;

	if (list < KMM_PCP_LISTS - 1)
		return (mag->nr + 1) / 2;
	return most > 1 ? most & ~(kmm_word)1 : most;
}

static void drain_some(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp, unsigned list)
{
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	give_back(k, z, &pcp->mag[list], kmm_pcp_order(list), surplus(&pcp->mag[list], list));
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}

kmm_word kmm_pcp_pages(const struct kmm_pcp *pcp)
{
	kmm_word nr = 0;

	for (unsigned list = 0; list < KMM_PCP_LISTS; list++)
		nr += kmm_word_look(&pcp->mag[list].nr) << kmm_pcp_order(list);
	return nr;
}

kmm_word kmm_pcp_cpu_pages(const struct kmm_zone *z, unsigned cpu)
{
	kmm_word nr = 0;

	for (unsigned sort = 0; sort < KMM_PCP_SORTS; sort++)
		nr += kmm_pcp_pages(&z->pcp[cpu][sort]);
	return nr;
}

/* Another CPU may be changing it: the answer is about a moment. Words are written as a whole (base/shared.h), so what is
 * read is a block that it holds or held; one that is being moved may be missed. */
static bool holds(const struct kmm_mag *mag, kmm_word pfn)
{
	kmm_word nr = kmm_word_look(&mag->nr);

	for (kmm_word i = 0; i < nr; i++)
		if (kmm_word_look(&mag->at[i]) == pfn)
			return true;
	return false;
}

int kmm_pcp_find(const struct kmm_zone *z, kmm_word pfn)
{
	for (unsigned i = 0; i < KMM_MAX_CPUS * KMM_PCP_SORTS; i++)
		for (unsigned list = 0; list < KMM_PCP_LISTS; list++)
			if (holds(&z->pcp[i / KMM_PCP_SORTS][i % KMM_PCP_SORTS].mag[list], pfn))
				return (int)kmm_pcp_order(list);
	return -1;
}

bool kmm_pcp_holds(const struct kmm_zone *z, kmm_word pfn)
{
	for (unsigned order = 0; order <= KMM_TRACT_ORDER; order++) {
		int found = kmm_pcp_find(z, pfn & ~(((kmm_word)1 << order) - 1));

		if (found >= (int)order)
			return true;
	}
	return false;
}

/* ---- given back for others ---- */

bool kmm_pcp_may_keep(const struct kmm_phys *p)
{
	return atomic_load_explicit(&p->waiters, memory_order_acquire) == 0 &&
	       atomic_load_explicit(&p->isolating, memory_order_acquire) == 0;
}

static void close_caches(struct kmm *k, unsigned cpu)
{
	for (unsigned i = 0; i < k->phys->nr_zones; i++)
		set_limits(k->phys->zones[i], cpu, false);
	kmm_gfp_set_gates(k, cpu, false);
}

static void open_caches(struct kmm *k, unsigned cpu)
{
	for (unsigned i = 0; i < k->phys->nr_zones; i++)
		set_limits(k->phys->zones[i], cpu, true);
	kmm_gfp_set_gates(k, cpu, true);
}

static void want_back(struct kmm *k, unsigned cpu)
{
	atomic_store_explicit(&k->phys->wanted[cpu], 1, memory_order_seq_cst);
	close_caches(k, cpu);
}

/* Opens this CPU's caches again, unless it is asked once more meanwhile: either we see the asker's mark, or it closes
 * them after us. */
static void reopen(struct kmm *k, unsigned cpu)
{
	struct kmm_phys *p = k->phys;

	atomic_store_explicit(&p->wanted[cpu], 0, memory_order_relaxed);
	open_caches(k, cpu);
	atomic_thread_fence(memory_order_seq_cst);
	if (is_wanted(p, cpu) || !kmm_pcp_may_keep(p))
		want_back(k, cpu);
}

static bool drain_cpu(struct kmm *k, unsigned cpu)
{
	bool any = false;

	for (unsigned i = 0; i < k->phys->nr_zones * KMM_PCP_SORTS; i++) {
		struct kmm_zone *z = k->phys->zones[i / KMM_PCP_SORTS];
		struct kmm_pcp *pcp = &z->pcp[cpu][i % KMM_PCP_SORTS];

		if (kmm_pcp_pages(pcp) == 0)
			continue;
		drain(k, z, pcp);
		any = true;
	}
	return any;
}

/* Interrupts off. Waiters are told only of something: they come by here themselves and must not wake themselves for ever. */
static void serve(struct kmm *k, unsigned cpu)
{
	if (kmm_pcp_may_keep(k->phys))
		reopen(k, cpu);
	if (drain_cpu(k, cpu) && atomic_load_explicit(&k->phys->waiters, memory_order_acquire))
		kmm_tell_waiters(k);
}

void kmm_pcp_overflow(struct kmm *k, struct kmm_pcp *pcp)
{
	unsigned cpu = kmm_cpu(k);

	if (is_wanted(k->phys, cpu)) {
		serve(k, cpu);
		return;
	}
	for (unsigned list = 0; list < KMM_PCP_LISTS; list++)
		if (pcp->mag[list].nr > kmm_word_look(&pcp->limit[list]))
			drain_some(k, pcp->zone, pcp, list);
}

void kmm_pcp_serve(struct kmm *k)
{
	unsigned long irq = kmm_irq_save(k);
	unsigned cpu = kmm_cpu(k);

	if (is_wanted(k->phys, cpu))
		serve(k, cpu);
	kmm_irq_restore(k, irq);
}

void kmm_drain_cpu(struct kmm *k)
{
	unsigned long irq = kmm_irq_save(k);

	if (drain_cpu(k, kmm_cpu(k)) && atomic_load_explicit(&k->phys->waiters, memory_order_acquire))
		kmm_tell_waiters(k);
	kmm_irq_restore(k, irq);
}

void kmm_pcp_drain_here(struct kmm *k)
{
	unsigned long irq = kmm_irq_save(k);
	unsigned here = kmm_cpu(k);

	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		if (cpu != here)
			want_back(k, cpu);
	drain_cpu(k, here);
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
		drain_cpu(k, cpu);
}
