/* SPDX-License-Identifier: MIT */
/*
 * A life: one pass over everything that the core can allocate, from a kmalloc to a grandchild's copy-on-write.
 * Each step may fail for lack of memory; then the life ends early, gives all back, and says where.
 */
#ifndef KMM_TESTS_SCENARIO_LIFE_H
#define KMM_TESTS_SCENARIO_LIFE_H

#include "hosted.h"

/* Returns NULL when every step succeeded, else the name of the step that failed. *wrong (never NULL) is set to a
 * sentence when content or an answer was not what it must be; failing for memory is not wrong. */
const char *life_run(struct hosted_machine *m, const char **wrong);

#endif
