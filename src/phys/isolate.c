/* SPDX-License-Identifier: MIT */
/*
 * Isolated ranges: see isolate.h. A range is whole tracts of one zone; tract_hold.c takes each out of the zone's lists.
 *
 * While any range is isolated the CPUs' caches stay closed (pcp.c): a frame of the range that is freed goes through to its
 * bitmap and is not handed out again from a cache. A CPU that was about to take a frame of it may still get that one:
 * then a claim finds it in use, and the owner of the range tries again. Bits of isolated tracts are only ever set by
 * others, so what a claim has seen free stays free until it takes it.
 *
 * Ranges are claimed tract by tract, each with lock z held for a moment.
 */
#include "phys/isolate.h"

#include "phys/phys.h"

/* The zone of a range that lies in one, all of it with descriptors; NULL: it does not. */
static struct kmm_zone *zone_of_range(struct kmm *k, kmm_word first, kmm_word nr)
{
	struct kmm_zone *z;

	if (nr == 0 || first >= k->phys->max_pfn || nr > k->phys->max_pfn - first)
		return NULL;
	for (kmm_word s = kmm_section_of(first); s <= kmm_section_of(first + nr - 1); s++)
		if (!kmm_section_need(k, s * KMM_SECTION_PAGES))
			return NULL;
	z = kmm_zone_of_pfn(k->phys, first);
	return kmm_zone_owns(k->phys, z, first, nr) ? z : NULL;
}

static bool any_isolated(const struct kmm_zone *z, uint32_t first, uint32_t last)
{
	for (uint32_t i = first; i <= last; i++)
		if (z->tract[i].sort == KMM_SORT_ISOLATE)
			return true;
	return false;
}

enum kmm_status kmm_phys_isolate_range(struct kmm *k, struct kmm_pfn first, kmm_word nr)
{
	struct kmm_zone *z = zone_of_range(k, first.v, nr);
	enum kmm_status status = KMM_EBUSY;
	uint32_t from, last;
	unsigned long irq;

	if (!z)
		return KMM_EINVAL;
	from = kmm_tract_of(z, first.v);
	last = kmm_tract_of(z, first.v + nr - 1);
	irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);
	if (!any_isolated(z, from, last)) {
		for (uint32_t i = from; i <= last; i++)
			kmm_tract_hold(z, i);
		atomic_fetch_add_explicit(&k->phys->isolating, 1, memory_order_seq_cst);
		status = KMM_OK;
	}
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
	if (status != KMM_OK)
		return status;
	kmm_pcp_drain_all(k);
	kmm_pcp_serve(k);
	return KMM_OK;
}

void kmm_phys_unisolate_range(struct kmm *k, struct kmm_pfn first, kmm_word nr, enum kmm_mobility mobility)
{
	struct kmm_zone *z = kmm_zone_of_pfn(k->phys, first.v);
	uint32_t last = kmm_tract_of(z, first.v + nr - 1);
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	for (uint32_t i = kmm_tract_of(z, first.v); i <= last; i++) {
		KMM_ASSERT(k, z->tract[i].sort == KMM_SORT_ISOLATE);
		kmm_tract_release(z, i, mobility);
	}
	atomic_fetch_sub_explicit(&k->phys->isolating, 1, memory_order_seq_cst);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
	if (atomic_load_explicit(&k->phys->waiters, memory_order_acquire))
		kmm_tell_waiters(k);
}

/* ---- claims ---- */

/* The first frame from pfn on that is not free; end: none. Lock z need not be held: bits only become set. */
static kmm_word first_busy(const struct kmm_zone *z, kmm_word pfn, kmm_word end)
{
	while (pfn < end && kmm_tract_bit(z, pfn))
		pfn++;
	return pfn;
}

/* nr frames from pfn on, in one tract, all free. Lock z held. */
static void take_frames(struct kmm *k, struct kmm_zone *z, kmm_word pfn, unsigned nr, enum kmm_kind kind)
{
	KMM_ASSERT(k, pfn % KMM_TRACT_PAGES + nr <= KMM_TRACT_PAGES && nr <= z->tract[kmm_tract_of(z, pfn)].free);
	kmm_tract_carve(z, kmm_tract_of(z, pfn), (unsigned)pfn % KMM_TRACT_PAGES, nr);
	kmm_pcp_count(kmm_this_pcp(k, z, KMM_MOBILITY_MOVABLE), kind, nr);
	for (unsigned i = 0; i < nr; i++)
		kmm_page_prepare(k->phys, kmm_page_at(k->phys, pfn + i), kind, 0, KMM_MOBILITY_MOVABLE);
}

bool kmm_tracts_all_free(const struct kmm_zone *z, kmm_word first, kmm_word nr)
{
	return first_busy(z, first, first + nr) == first + nr;
}

enum kmm_status kmm_phys_claim_range(struct kmm *k, struct kmm_pfn first, kmm_word nr, enum kmm_kind kind, struct kmm_pfn *busy)
{
	struct kmm_zone *z = kmm_zone_of_pfn(k->phys, first.v);
	kmm_word end = first.v + nr, pfn = first_busy(z, first.v, end);

	if (pfn < end) {
		if (busy)
			*busy = kmm_pfn(pfn);
		return KMM_EBUSY;
	}
	for (pfn = first.v; pfn < end;) {
		kmm_word stop = (pfn / KMM_TRACT_PAGES + 1) * KMM_TRACT_PAGES;
		unsigned part = (unsigned)((stop < end ? stop : end) - pfn);
		unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

		KMM_ASSERT(k, z->tract[kmm_tract_of(z, pfn)].sort == KMM_SORT_ISOLATE);
		take_frames(k, z, pfn, part, kind);
		kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
		pfn += part;
	}
	return KMM_OK;
}

unsigned kmm_phys_take_from_tract(struct kmm *k, struct kmm_pfn pfn, unsigned want, enum kmm_kind kind, struct kmm_page **out)
{
	struct kmm_zone *z = kmm_zone_of_pfn(k->phys, pfn.v);
	kmm_word at = pfn.v / KMM_TRACT_PAGES * KMM_TRACT_PAGES;
	unsigned long irq;
	unsigned nr = 0;

	if (pfn.v >= k->phys->max_pfn || !kmm_section_is_live(k->phys, kmm_section_of(pfn.v)))
		return 0;
	irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);
	if (z->tract[kmm_tract_of(z, at)].sort == KMM_SORT_ISOLATE)
		want = 0;
	for (kmm_word end = at + KMM_TRACT_PAGES; at < end && nr < want; at++) {
		if (!kmm_tract_bit(z, at))
			continue;
		take_frames(k, z, at, 1, kind);
		out[nr++] = kmm_page_at(k->phys, at);
	}
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
	return nr;
}

/* ---- looking ---- */

unsigned kmm_phys_nr_zones(const struct kmm *k)
{
	return k->phys->nr_zones;
}

uint32_t kmm_phys_nr_tracts(const struct kmm *k, unsigned zone)
{
	return k->phys->zones[zone]->nr_tracts;
}

void kmm_phys_tract_info(struct kmm *k, unsigned zone, uint32_t i, struct kmm_tract_info *out)
{
	struct kmm_zone *z = k->phys->zones[zone];
	const struct kmm_tract *tract = &z->tract[i];
	kmm_word nr_free[KMM_NR_ORDERS] = { 0 };
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	*out = (struct kmm_tract_info){ .first = kmm_pfn(kmm_tract_pfn(z, i)), .largest = -1, .mobility = KMM_MOBILITY_MOVABLE };
	out->made = kmm_section_is_live(k->phys, kmm_section_of(out->first.v));
	if (out->made) {
		out->free = tract->free;
		out->mobility = kmm_tract_mobility(tract);
		kmm_tract_count(z, i, nr_free);
	}
	for (int order = (int)KMM_MAX_ORDER; order >= 0 && out->largest < 0; order--)
		out->largest = nr_free[order] ? order : -1;
	if (out->free == KMM_TRACT_PAGES)
		out->largest = KMM_TRACT_ORDER;
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}
