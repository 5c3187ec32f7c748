/* SPDX-License-Identifier: MIT */
/*
 * Contiguous areas: ranges of low memory for devices that need long runs of frames, now and then. Until somebody asks for
 * a run the area is lent to movable pages; then these are moved away. What is not moved (somebody holds a
 * reference for long) makes a request look for another place in the area, and fail when there is none.
 */
#ifndef KMM_CMA_H
#define KMM_CMA_H

#include "kmm/page.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KMM_MAX_CMA 8 /* areas of a machine */

/* An area as struct kmm_machine asks for it. */
struct kmm_cma_range {
	const char *name;   /* for reports; constant */
	uint64_t size;      /* bytes; rounded up to 2 MiB */
	uint64_t align;     /* of its start, a power of two; 0: 2 MiB, which is the least */
	uint64_t limit;     /* it ends at or below this physical address; 0: end of low memory, and never above that */
};

/* Makes an area of memory that is free now, as high as it fits. *area: its number. errors: KMM_EINVAL size 0, alignment no
 * power of two; KMM_EOVERFLOW more than KMM_MAX_CMA; KMM_ENOMEM no free range that is long enough within one zone.
 * context: best while nothing is allocated; no locks held. An area stays for good. */
KMM_MUST_CHECK enum kmm_status kmm_cma_reserve(struct kmm *k, const struct kmm_cma_range *range, unsigned *area);

/* Takes nr_pages frames in a row, the first a multiple of 2^align_order: single frames of kind KERNEL, one reference each;
 * *first is the descriptor of the first. errors: KMM_EINVAL no such area, 0 pages; KMM_ENOMEM the area is too small, or
 * so much in a row is never free of other such requests; KMM_EBUSY pages were in the way that could not be moved: a
 * later try may succeed. context: no locks, may sleep. */
KMM_MUST_CHECK enum kmm_status kmm_cma_alloc(struct kmm *k, unsigned area, kmm_word nr_pages, unsigned align_order,
					     struct kmm_page **first);
/* Gives frames back, those of one kmm_cma_alloc() or some of them. errors: KMM_EINVAL not all of them are the area's and
 * taken by kmm_cma_alloc(), or somebody else has a reference: nothing was freed. */
KMM_MUST_CHECK enum kmm_status kmm_cma_free(struct kmm *k, unsigned area, struct kmm_page *first, kmm_word nr_pages);

struct kmm_cma_info {
	const char *name;
	struct kmm_pfn first;
	kmm_word nr_pages, used;   /* used: taken by kmm_cma_alloc() */
};
/* false: no such area; areas are numbered from 0. */
bool kmm_cma_info(const struct kmm *k, unsigned area, struct kmm_cma_info *out);

#ifdef __cplusplus
}
#endif
#endif
