/* SPDX-License-Identifier: MIT */
/* For the tests of both kinds of kmap: a frame that has no address of its own, what the hardware sees in it, the counts. */
#ifndef KMM_TESTS_HARNESS_WINDOW_H
#define KMM_TESTS_HARNESS_WINDOW_H

#include "harness/kernel.h"

static inline struct kmm_page *high_page(struct tier_b *t)
{
	struct kmm_page *page = kmm_alloc_pages(t->k, KMM_GFP_HIGHUSER, 0);

	return page && kmm_page_is_high(page) ? page : NULL;
}

/* The byte that the hardware sees at the start of a frame. */
static inline unsigned char *bus(struct tier_b *t, struct kmm_page *page)
{
	return hosted_phys(t->m, kmm_pfn_to_paddr(kmm_page_to_pfn(t->k, page)).v);
}

static inline struct kmm_kmap_info info(struct tier_b *t)
{
	struct kmm_kmap_info i;

	kmm_kmap_info(t->k, &i);
	return i;
}

#endif
