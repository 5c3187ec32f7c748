/* SPDX-License-Identifier: MIT */
/*
 * The policies that the core has, in the order in which they are offered; a machine starts with the first.
 */
#include "kmm/reclaim.h"

const struct kmm_reclaim_policy *const kmm_reclaim_policies[] = { &kmm_policy_idle, &kmm_policy_clock, &kmm_policy_gen, NULL };
