/* SPDX-License-Identifier: MIT */
/* The running machine as a ground for scenarios. */
#ifndef KMM_TESTS_BARE_GROUND_H
#define KMM_TESTS_BARE_GROUND_H

#include "scenario/ground.h"

struct ground *bare_ground(void);
extern struct kmm_sink bare_log;

#endif
