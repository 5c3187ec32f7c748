/* SPDX-License-Identifier: MIT */
/*
 * Compaction: large free blocks out of small ones, by moving user pages.
 *
 * The bitmaps know how full each tract is, so nothing needs to be scanned frame by frame to know where moving pays: the
 * emptiest tract whose content can all be moved is emptied into the fullest ones of the zone that have room. Each tract
 * emptied is a block of order 9; what else is needed (order 10, or blocks smaller than a tract where something in every
 * tract cannot move) is the same with another window.
 *
 *	pick      the window, and whether there is room for its content in fuller tracts    compact_pick.c
 *	empty     isolate its tracts, move what is there, put the tracts back               compact.c
 *	when      a request of order above 0 fails: then at once, with deferral after failures as in Linux;
 *	          and whenever the embedder calls kmm_compact_step()                        compact_when.c
 *
 * Lock: one compaction at a time, by k->compact->lock; taken last but one: the mover's lock comes after it.
 */
#ifndef KMM_RECLAIM_COMPACT_H
#define KMM_RECLAIM_COMPACT_H

#include "kmm/compact.h"
#include "phys/phys.h"

#define KMM_COMPACT_FAILED 4u  /* windows that could not be emptied lately and are left alone */
#define KMM_COMPACT_TARGETS 16u

struct kmm_compact_zone {
	unsigned considered, defer_shift, order_failed; /* Linux's deferral: orders from order_failed on wait 2^shift requests */
	kmm_word failed[KMM_COMPACT_FAILED];            /* first frames + 1 of such windows */
	unsigned nr_failed;
	uint32_t cursor;                                /* tract where the next look begins */
};

struct kmm_compact {
	struct kmm_mutex lock;
	struct kmm_compact_zone zone[KMM_MAX_ZONES];    /* as in kmm_phys.zones */
	struct kmm_compact_stats stats;
	bool is_step;                                   /* whose scanning is counted */
};

static inline struct kmm_compact_zone *kmm_compact_of(struct kmm *k, const struct kmm_zone *z)
{
	return &k->compact->zone[z->node * KMM_NR_ZONES + z->id];
}

/* Frames that shall become one free block, and where their content can go. */
struct kmm_window {
	struct kmm_zone *z;
	kmm_word first;
	unsigned nr;                  /* 2^order */
	unsigned used;                /* frames to move */
	enum kmm_mobility mobility;   /* of its tracts now */
	kmm_word target[KMM_COMPACT_TARGETS]; /* first frames of tracts with room, the fullest first */
	unsigned nr_targets;
};

/* The best window of 2^order frames in z. false: there is none that could be emptied into fuller tracts. */
bool kmm_compact_pick(struct kmm *k, struct kmm_zone *z, unsigned order, struct kmm_window *out);
/* Takes part in a window: free, or something that looks as if it could move. */
bool kmm_compact_can_empty(struct kmm *k, const struct kmm_zone *z, kmm_word pfn, bool *used);
/* Moves everything out. false: something stayed. lock held. */
bool kmm_compact_window(struct kmm *k, const struct kmm_window *w, bool may_wait, bool no_files);

/* Makes the state and registers direct compaction with the allocator; it does nothing until there are spaces. errors:
 * KMM_ENOMEM. context: start of tier c. fini: for a start that failed. */
KMM_MUST_CHECK enum kmm_status kmm_compact_init(struct kmm *k);
void kmm_compact_fini(struct kmm *k);

#endif
