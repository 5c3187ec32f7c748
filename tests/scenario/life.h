/* SPDX-License-Identifier: MIT */
/*
 * A life: one pass over everything that the core can allocate, from a kmalloc to a grandchild's copy-on-write.
 * Each step may fail for lack of memory; then the life ends early, gives all back, and says where.
 */
#ifndef KMM_TESTS_SCENARIO_LIFE_H
#define KMM_TESTS_SCENARIO_LIFE_H

#include "scenario/ground.h"

/* Returns NULL when every step succeeded, else the name of the step that failed. *wrong (never NULL) is set to a
 * sentence when content or an answer was not what it must be; failing for memory is not wrong. */
const char *life_run(struct ground *g, const char **wrong);

/* Every attempt to allocate fails once: the nth of a life, for n = 1, 2, ... until a life passes untouched. After each
 * the audit is clean, and at the end no page is lost. note (may be NULL) gets the name of each site that was failed.
 * Contains CHECKs. */
void life_fail_each(struct ground *g, void (*note)(const char *site));

#endif
