/* SPDX-License-Identifier: MIT */
/*
 * One search for pages to evict: by which hand, for how many, and what may be done for that.
 */
#ifndef KMM_RECLAIM_SCAN_H
#define KMM_RECLAIM_SCAN_H

#include "group/group.h"
#include "vm/migrate.h"

struct kmm_scan {
	struct kmm *k;
	struct kmm_hand *hand;       /* the zone's, or the group's */
	struct kmm_zone *zone;
	struct kmm_group *group;     /* NULL: pages of the zone that are charged to nobody */
	enum kmm_zone_id top;        /* pages of zones above it are of no use */
	kmm_word want;               /* pages */
	bool no_files, no_swap;      /* the request forbids it */
	bool is_step;
	bool is_brief;               /* one turn, for whatever is not used */
	bool has_room;               /* private pages may go to swap, as this batch begins */
	struct kmm_flushes flushes;
	unsigned nr;                 /* pages in pageq->pfns, to evict */
	kmm_word freed;
	kmm_word later;              /* of those: are on their way, and free when they are there */
	bool was_busy;               /* pages could not be moved, because another moves some */
};

/* Goes on with the zone's hand, or the group's, until `want` is freed or for a few turns. q held. */
void kmm_scan_zone(struct kmm_scan *s, struct kmm_zone *zone);
void kmm_scan_group(struct kmm_scan *s, struct kmm_group *group);
/* What may go under any hand. */
kmm_word kmm_count_pages(struct kmm *k);
/* q; and waiting for a page that is on its way, when nothing else was freed. true: one was waited for. */
void kmm_lock_hands(struct kmm *k, kmm_gfp gfp);
bool kmm_wait_for_device(struct kmm *k, kmm_gfp gfp, unsigned seen, kmm_word now_free);

/* ---- with groups (groups.c) ---- */

/* Are there any? */
static inline bool kmm_has_groups(const struct kmm *k) { return k->groups && k->groups->nr; }
/* As the search without groups: from zones up to `start` and all groups, by turns. q held. */
void kmm_reclaim_shared(struct kmm_scan *s, enum kmm_zone_id start);
/* The same for one zone that is low. */
void kmm_reclaim_shared_zone(struct kmm_scan *s, struct kmm_zone *zone);

#endif
