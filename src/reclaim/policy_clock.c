/* SPDX-License-Identifier: MIT */
/*
 * The clock: a page that was used since the hand last passed stays for one more turn, any other goes. It knows no scans and
 * no loops; it is here to be compared with, and for who wants the least that works.
 */
#include "kmm/reclaim.h"

enum { MET = 1, TOUCHED = 2 };

static bool met(struct kmm_reclaim_zone *zone, uint8_t *age, bool referenced)
{
	(void)zone;
	referenced |= *age == TOUCHED;
	*age = MET;
	return !referenced;
}

static uint8_t touched(const struct kmm_reclaim_zone *zone, uint8_t age)
{
	(void)zone;
	(void)age;
	return TOUCHED;
}

const struct kmm_reclaim_policy kmm_policy_clock = { .name = "clock", .met = met, .touched = touched };
