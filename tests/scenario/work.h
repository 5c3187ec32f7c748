/* SPDX-License-Identifier: MIT */
/*
 * Random work on a running machine, which may be in use: each kind takes and gives back for `steps` steps, checks every
 * byte it wrote, audits now and then, and leaves as many free pages as it found. Contains CHECKs.
 */
#ifndef KMM_TESTS_SCENARIO_WORK_H
#define KMM_TESTS_SCENARIO_WORK_H

#include "scenario/ground.h"

/* Blocks of every order from every zone, stamped through local views. */
void work_frames(struct ground *g, uint64_t seed, unsigned steps);
/* kmalloc of all sizes, and caches with and without debugging. */
void work_objects(struct ground *g, uint64_t seed, unsigned steps);
/* vmalloc, vmap and kmap: the same frame by different addresses. */
void work_windows(struct ground *g, uint64_t seed, unsigned steps);
/* Spaces that map, protect, fork and die, against a model of pages (spaces.c). */
void work_spaces(struct ground *g, uint64_t seed, unsigned steps);

#endif
