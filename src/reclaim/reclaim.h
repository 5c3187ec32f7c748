/* SPDX-License-Identifier: MIT */
/*
 * Reclaim inside: one walk for direct and background reclaim.
 *
 *	choose a zone -> hand over its pages, policy -> batch -> out of memory (vm/migrate.c)
 *
 * Nothing here allocates: a page goes to slots whose map exists since swapon, by transfers whose memory the device set aside,
 * with its entries as the only notes of where it is. So reclaim cannot wait for itself.
 */
#ifndef KMM_RECLAIM_RECLAIM_H
#define KMM_RECLAIM_RECLAIM_H

#include "pageq/pageq.h"

/* Registers direct reclaim with the allocator, in front of the shrinkers. Needs pageq, swap and vm. */
void kmm_reclaim_init(struct kmm *k);

#endif
