/* SPDX-License-Identifier: MIT */
/*
 * Which requests contradict themselves. Each rule is one line of a table: bits that call for others, or exclude them.
 * The answer depends on the request alone (and, for zone modifiers, on the sort of machine), never on how much memory
 * there is: a request that is wrong fails on the first day, not on the day when memory is short.
 */
#include "phys/phys.h"

enum { NOFAIL_ORDER = 1 }; /* larger ones could wait for ever: freeing makes pages, not blocks */

/* A request with any of `of` must have all of `needs` and none of `excludes`. */
static const struct rule {
	kmm_gfp of, needs, excludes;
	const char *text;
} rules[] = {
	{ KMM_GFP_ZERO, 0, KMM_GFP_HIGHMEM,
	  "high memory has no address to clear it by; kmm_alloc_cleared_page() gives a cleared page." },
	{ KMM_GFP_NOFAIL, KMM_GFP_RECLAIM, 0, "NOFAIL waits until there is memory, so it needs RECLAIM, which allows to wait." },
	{ KMM_GFP_NOFAIL, 0, KMM_GFP_NORETRY, "NOFAIL and NORETRY contradict each other." },
	{ KMM_GFP_NOFAIL, 0, KMM_GFP_MEMALLOC,
	  "MEMALLOC is for who frees memory: waiting for others to do that (NOFAIL) could wait for itself." },
	{ KMM_GFP_IO, KMM_GFP_RECLAIM, 0, "IO says what reclaim may do, so it needs RECLAIM." },
	{ KMM_GFP_FS, KMM_GFP_IO, 0, "a file system does I/O: FS needs IO." },
	{ KMM_GFP_RECLAIMABLE, 0, KMM_GFP_MOVABLE, "MOVABLE and RECLAIMABLE are two sorts of blocks; a page is in one." },
};

static const char *broken_rule(kmm_gfp gfp)
{
	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *r = &rules[i];

		if ((gfp & r->of) && ((gfp & r->needs) != r->needs || (gfp & r->excludes)))
			return r->text;
	}
	return NULL;
}

const char *kmm_gfp_fault(const struct kmm *k, kmm_gfp gfp, unsigned order)
{
	if (order >= KMM_NR_ORDERS)
		return "no block is that large.";
	if (k->phys->class_of[gfp & 15] == KMM_BAD_ZONE)
		return "the zone modifiers DMA, DMA32 and HIGHMEM exclude each other.";
	if (gfp & ~(kmm_gfp)KMM_GFP_ALL)
		return "there are bits in it that mean nothing.";
	if ((gfp & KMM_GFP_NOFAIL) && order > NOFAIL_ORDER)
		return "NOFAIL is for one page or two: blocks may never come together.";
	return broken_rule(gfp);
}

enum kmm_status kmm_gfp_check(const struct kmm *k, kmm_gfp gfp, unsigned order, const char **why)
{
	const char *fault = kmm_gfp_fault(k, gfp, order);

	if (!fault)
		return KMM_OK;
	if (why)
		*why = fault;
	return KMM_EINVAL;
}
