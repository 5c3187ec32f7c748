/* SPDX-License-Identifier: MIT */
/*
 * Moving user memory between frames: single pages, ranges (for hot removal and contiguous areas), and compaction, which
 * makes large free blocks out of small ones.
 *
 * Private pages, shared memory and cached pages of struct kmm_file move, with every mapping of them in every space;
 * programs that touch a page meanwhile wait. Pages that somebody holds a reference to, kernel memory, page tables
 * and frames of other backings stay where they are.
 */
#ifndef KMM_COMPACT_H
#define KMM_COMPACT_H

#include "kmm/page.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Moves what is in a frame to another one. errors: KMM_EBUSY held by somebody, or not of a sort that moves;
 * KMM_ENOMEM no other frame; KMM_EINVAL no RAM there. context: no locks, may sleep. */
KMM_MUST_CHECK enum kmm_status kmm_migrate_page(struct kmm *k, struct kmm_pfn pfn);

/* Moves everything out of nr frames from `first` on, to frames outside. *left (may be NULL): frames there that are still
 * in use. Nothing stops new allocations from taking frames there; who wants the range isolates it first.
 * errors: KMM_EBUSY some frames could not be moved, the others were; KMM_ENOMEM no frames outside.
 * context: no locks, may sleep. */
KMM_MUST_CHECK enum kmm_status kmm_migrate_range(struct kmm *k, struct kmm_pfn first, kmm_word nr, kmm_word *left);

struct kmm_migrate_stats {
	uint64_t success, fail;  /* pages; vmstat's pgmigrate_success, pgmigrate_fail */
};
void kmm_migrate_stats(const struct kmm *k, struct kmm_migrate_stats *out);

/* A piece of compaction: empties sparsely used tracts (2 MiB) into fuller ones until about `budget` frames were looked
 * at; at least one tract, if there is one to empty. true: there is more to do. Allocation compacts by itself when a
 * request of order above 0 that may block finds no block; this is for a thread with nothing better to do.
 * context: no locks, may sleep. */
bool kmm_compact_step(struct kmm *k, kmm_word budget);

struct kmm_compact_stats { /* as vmstat's compact_... counters */
	uint64_t migrate_scanned, free_scanned, isolated, stall, fail, success;
	uint64_t daemon_wake, daemon_migrate_scanned, daemon_free_scanned;
};
void kmm_compact_stats(struct kmm *k, struct kmm_compact_stats *out);

#ifdef __cplusplus
}
#endif
#endif
