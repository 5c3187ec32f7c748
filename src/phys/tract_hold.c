/* SPDX-License-Identifier: MIT */
/*
 * Tracts taken out of turn: isolated, so that nobody gets their free frames, put back for some purpose, and free frames
 * taken by their numbers. Mechanism only; isolate.c knows what a range is. Lock z held.
 */
#include "phys/tract.h"

/* A wholly free tract out of the block that it is in; the rest stays in lists. */
static void unlink_from_whole(struct kmm_zone *z, uint32_t i)
{
	uint32_t head = i;
	unsigned order;

	for (order = KMM_TRACT_ORDER; z->tract[head].top == KMM_TOP_BODY; order++)
		head = (uint32_t)(((z->tract_first + i) & ~(kmm_word)(tracts_in(order + 1) - 1)) - z->tract_first);
	order = z->tract[head].top;
	unlink_whole(z, head);
	while (order > KMM_TRACT_ORDER) {
		uint32_t half = head + tracts_in(--order), other = i < half ? half : head;

		head = i < half ? head : half;
		z->tract[other].top = (uint8_t)order;
		push_whole(z, other);
	}
	z->nr_whole--;
}

/* Out of the list it is in, whichever that is; from now on its bits are the truth. */
static void unlist(struct kmm_zone *z, uint32_t i)
{
	struct kmm_tract *a = &z->tract[i];

	if (a->top < KMM_TRACT_ORDER)
		unshelve(z, i, a->top);
	else if (a->top == KMM_TOP_TAKEN)
		fill(z, i, false);
	else if (a->top != KMM_TOP_NONE)
		unlink_from_whole(z, i);
	a->top = KMM_TOP_NONE;
}

void kmm_tract_hold(struct kmm_zone *z, uint32_t i)
{
	struct kmm_tract *a = &z->tract[i];

	unlist(z, i);
	if (a->sort == KMM_SORT_CMA)
		z->free_cma -= a->free;
	a->top = KMM_TOP_HELD;
	a->sort = KMM_SORT_ISOLATE & 15;
	kmm_zone_set_free(z, z->free - a->free);
	z->isolated += a->free;
}

void kmm_tract_release(struct kmm_zone *z, uint32_t i, enum kmm_mobility mobility)
{
	struct kmm_tract *a = &z->tract[i];

	a->sort = sort_for(mobility, 0) & 15;
	a->top = KMM_TOP_NONE;
	kmm_zone_set_free(z, z->free + a->free);
	z->isolated -= a->free;
	if (mobility == KMM_MOBILITY_CMA)
		z->free_cma += a->free;
	settle(z, i);
}

void kmm_tract_carve(struct kmm_zone *z, uint32_t i, unsigned first, unsigned nr)
{
	struct kmm_tract *a = &z->tract[i];
	kmm_bits *w = kmm_tract_words(z, i);

	for (unsigned at = first; at < first + nr; at++)
		w[at / KMM_BITS] &= ~((kmm_bits)1 << at % KMM_BITS);
	if (a->top == KMM_TOP_HELD) {
		a->free = (uint16_t)(a->free - nr);
		z->isolated -= nr;
		return;
	}
	unlist(z, i);
	a->free = (uint16_t)(a->free - nr);
	kmm_zone_set_free(z, z->free - nr);
	if (a->sort == KMM_SORT_CMA)
		z->free_cma -= nr;
	settle(z, i);
}
