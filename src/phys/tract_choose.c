/* SPDX-License-Identifier: MIT */
/*
 * Which tract serves a request: its own sort's fullest, else a whole one, else one of another sort. No request fails for
 * the sake of this order; it decides how much memory stays in large pieces. Lock z held.
 */
#include "phys/tract.h"

#define SPARE_WHOLE 64u /* part of a zone's tracts that stays whole as long as others can serve */

/* The fullest of a shelf that will do, of those the one with the smallest top. 0: none, else index + 1. */
static inline uint32_t from_shelf(const struct kmm_shelf *shelf, unsigned order)
{
	for (unsigned classes = shelf->classes; classes; classes &= classes - 1) {
		unsigned class = kmm_ctz_u32(classes), tops = shelf->tops[class] >> order;

		if (tops)
			return shelf->heads[class][order + kmm_ctz_u32(tops)];
	}
	return 0;
}

/* Of all shelves of a mobility: first those cut into larger blocks. */
static uint32_t from_any(const struct kmm_zone *z, unsigned order, enum kmm_mobility mobility)
{
	uint32_t link = 0;

	if (mobility != KMM_MOBILITY_UNMOVABLE)
		return from_shelf(&z->shelf[sort_for(mobility, order)], order);
	for (unsigned i = 0; !link && i < KMM_TRACT_ORDER; i++)
		link = from_shelf(&z->shelf[order + i < KMM_TRACT_ORDER ? order + i : KMM_TRACT_ORDER - 1 - i], order);
	return link;
}

/* A wholly free tract, to be cut into such blocks; it is in no list then. */
static uint32_t open_whole(struct kmm_zone *z, unsigned order, enum kmm_mobility mobility)
{
	uint32_t i = take_whole(z, KMM_TRACT_ORDER);

	z->tract[i].top = KMM_TOP_NONE;
	z->tract[i].sort = sort_for(mobility, order) & 15;
	return i;
}

/* Is there a wholly free tract, if need be in a section not made yet? */
static bool have_whole(struct kmm *k, struct kmm_zone *z)
{
	while (!z->whole_tops)
		if (!kmm_zone_grow(k, z))
			return false;
	return true;
}

/* Are there whole tracts to spare? Those not made yet count, and come to life when the last one is gone. */
static bool may_open(struct kmm *k, struct kmm_zone *z)
{
	return z->nr_whole + z->lazy / KMM_TRACT_PAGES > z->nr_tracts / SPARE_WHOLE && have_whole(k, z);
}

/* The emptiest that will do of one shelf: the most room for what comes next. */
static uint32_t emptiest(const struct kmm_shelf *shelf, unsigned order, unsigned *class)
{
	for (unsigned classes = shelf->classes; classes; classes &= ~(1u << *class)) {
		unsigned tops;

		*class = kmm_log2_u32(classes);
		tops = shelf->tops[*class] >> order;
		if (tops)
			return shelf->heads[*class][order + kmm_log2_u32(tops)];
	}
	return 0;
}

/* The emptiest of the sorts first .. last - 1 that will do. */
static uint32_t emptiest_of(const struct kmm_zone *z, unsigned order, unsigned first, unsigned last)
{
	uint32_t best = 0;
	unsigned most = 0;

	for (unsigned sort = first; sort < last; sort++) {
		unsigned class = 0;
		uint32_t link = emptiest(&z->shelf[sort], order, &class);

		if (link && (!best || class > most)) {
			best = link;
			most = class;
		}
	}
	return best;
}

static void change_sort(struct kmm_zone *z, uint32_t i, unsigned sort)
{
	unshelve(z, i, z->tract[i].top);
	z->tract[i].sort = sort & 15;
	shelve(z, i);
}

/* Nothing of its own sort is left, nor anything whole: from others. A request that stays where it is makes the tract
 * unmovable whatever else lies in it, and calling it so makes the next ones go there too, not into a further one.
 * A movable request claims a tract that is at least half free; else it fills holes, which harms less. */
static uint32_t steal(struct kmm_zone *z, unsigned order, enum kmm_mobility mobility)
{
	uint32_t link;

	if (mobility == KMM_MOBILITY_UNMOVABLE)
		link = emptiest_of(z, order, KMM_SORT_MOVABLE, KMM_SORT_CMA);
	else if (mobility == KMM_MOBILITY_RECLAIMABLE)
		link = emptiest_of(z, order, 0, KMM_SORT_MOVABLE + 1);
	else
		link = emptiest_of(z, order, 0, KMM_SORT_CMA);
	if (mobility != KMM_MOBILITY_MOVABLE || z->tract[link - 1].free >= KMM_TRACT_PAGES / 2) {
		change_sort(z, link - 1, sort_for(mobility, order));
		return link - 1;
	}
	link = from_any(z, order, KMM_MOBILITY_RECLAIMABLE);
	return (link ? link : from_any(z, order, KMM_MOBILITY_UNMOVABLE)) - 1;
}

/* Contiguous areas are lent while they hold more than half of what is free, or else when nothing is left. */
static uint32_t from_cma(const struct kmm_zone *z, unsigned order, enum kmm_mobility mobility, bool last)
{
	if (mobility != KMM_MOBILITY_MOVABLE || (!last && z->free_cma <= z->free / 2))
		return 0;
	return from_shelf(&z->shelf[KMM_SORT_CMA], order);
}

/* The tract to take 2^order frames from, order below 9: one for such blocks; else a whole one, while those are many;
 * else one of the same mobility for other blocks; else a whole one; else any. There is one. */
uint32_t kmm_tract_choose(struct kmm *k, struct kmm_zone *z, unsigned order, enum kmm_mobility mobility)
{
	uint32_t link = from_cma(z, order, mobility, false);

	KMM_ASSERT(k, order < KMM_TRACT_ORDER && mobility <= KMM_MOBILITY_RECLAIMABLE);
	if (!link)
		link = from_shelf(&z->shelf[sort_for(mobility, order)], order);
	if (link)
		return link - 1;
	if (may_open(k, z))
		return open_whole(z, order, mobility);
	link = from_any(z, order, mobility);
	if (!link)
		link = from_cma(z, order, mobility, true);
	if (link)
		return link - 1;
	return have_whole(k, z) ? open_whole(z, order, mobility) : steal(z, order, mobility);
}
