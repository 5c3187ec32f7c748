/* SPDX-License-Identifier: MIT */
/*
 * Ranges of frames taken out of circulation: isolated by tracts (2 MiB), emptied by whoever can move what is in them, and
 * claimed or put back. For compaction, contiguous areas, and taking memory away.
 *
 *   isolate   free frames there are no longer handed out, and what is freed there stays there
 *   ...       the caller moves or frees what is allocated
 *   claim     frames that are all free become allocated: single frames, one reference each
 *   unisolate what is still free goes back into circulation
 */
#ifndef KMM_PHYS_ISOLATE_H
#define KMM_PHYS_ISOLATE_H

#include "phys/alloc.h"

/* Isolates the tracts that [first, first + nr) touches, and drains the CPUs' caches: this one's now, others' when they
 * next allocate or free, so a claim may have to be tried again. errors: KMM_EINVAL empty, beyond memory, or not all in
 * one zone; KMM_EBUSY some of it is isolated already. context: no locks held. */
KMM_MUST_CHECK enum kmm_status kmm_phys_isolate_range(struct kmm *k, struct kmm_pfn first, kmm_word nr);

/* Undoes it; the range is the one that was isolated. The tracts are for `mobility` from now on (not ISOLATE). */
void kmm_phys_unisolate_range(struct kmm *k, struct kmm_pfn first, kmm_word nr, enum kmm_mobility mobility);

/* Frames of an isolated range become allocated, each of kind, order 0, refcount 1: for kmm_phys_free(). errors: KMM_EBUSY
 * one of them is not free (*busy, may be NULL, gets the first such), and nothing was claimed. */
KMM_MUST_CHECK enum kmm_status kmm_phys_claim_range(struct kmm *k, struct kmm_pfn first, kmm_word nr, enum kmm_kind kind,
						    struct kmm_pfn *busy);

struct kmm_tract_info {
	struct kmm_pfn first;       /* of 512 frames; those outside of the zone are never free */
	unsigned free;              /* frames, those in CPU caches not counted */
	int largest;                /* order of the largest free block, -1 none; 9: all of it is free */
	enum kmm_mobility mobility;
	bool made;                  /* false: its section was never used: all that is usable is free */
};
/* Tracts of a zone, and one of them; i in address order. A glance: no lock is held afterwards. Zones of all nodes are
 * numbered node by node: zone z of node n is n * KMM_NR_ZONES + z. */
unsigned kmm_phys_nr_zones(const struct kmm *k);
uint32_t kmm_phys_nr_tracts(const struct kmm *k, unsigned zone);
void kmm_phys_tract_info(struct kmm *k, unsigned zone, uint32_t i, struct kmm_tract_info *out);

/* Takes up to `want` free single frames out of the tract that pfn is in, lowest first, into out[]; watermarks are not
 * asked. They become allocated as by a claim, for a movable page. Returns how many; 0 as well when the tract is isolated
 * or was not made. context: no locks held. */
unsigned kmm_phys_take_from_tract(struct kmm *k, struct kmm_pfn pfn, unsigned want, enum kmm_kind kind, struct kmm_page **out);

/* Who can move pages registers himself: migrate() empties nr frames from first on, as far as that can be done, and no
 * locks are held. NULL: nobody. */
void kmm_migrate_register(struct kmm *k, enum kmm_status (*migrate)(struct kmm *k, struct kmm_pfn first, kmm_word nr));

#endif
