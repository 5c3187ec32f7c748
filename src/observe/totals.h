/* SPDX-License-Identifier: MIT */
/*
 * What meminfo and vmstat count alike: sums over zones and spaces.
 */
#ifndef KMM_OBSERVE_TOTALS_H
#define KMM_OBSERVE_TOTALS_H

#include "kmm/reclaim.h"
#include "kmm/writeback.h"
#include "observe/observe.h"

/* Pages. */
struct kmm_totals {
	kmm_word managed, free, high_managed, high_free, low_reserve, low_watermarks, cma, free_cma;
	kmm_word kinds[KMM_NR_KINDS];
	kmm_word file_mapped, shmem, committed; /* shmem: of kinds[FILE] */
	kmm_word file_cached;    /* of kinds[FILE]: files with a store, so that they can go without swap */
	kmm_word vmalloc_used;
	kmm_word pins, pins_taken;
	kmm_word shrunk;         /* objects that shrinkers were asked to look at */
	struct kmm_swap_stats swap;
	struct kmm_zswap_stats zswap;
	struct kmm_writeback_stats files;
	struct kmm_reclaim_stats reclaim;
};
void kmm_totals(struct kmm *k, struct kmm_totals *out);

#endif
