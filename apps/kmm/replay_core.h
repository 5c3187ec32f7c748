/* SPDX-License-Identifier: MIT */
/*
 * The same sequences by the core's own reclaim: a simulated x86_64 machine that has just so many frames for a program,
 * which makes the accesses one by one, with a file of the host as swap.
 */
#ifndef KMM_APP_REPLAY_CORE_H
#define KMM_APP_REPLAY_CORE_H

#include "textbook.h"

enum { NR_CORE_POLICIES = 3 };
/* "kmm-" and the name that the core has for it; i below NR_CORE_POLICIES. */
const char *core_policy_name(unsigned i);

/* Runs nr programs, one after the other ends, which make the accesses of s[0], s[1] and so on; out[i]: of s[i]. *frames: how many page
 * frames a program may have, becomes how many one had at most. Contents are checked at the end of each. Ends the process with a
 * sentence if the machine cannot be built or loses a page.
 * zswap_percent: of the frames, for compressed pages in front of swap; then pages have contents of which half is chance, and
 * major faults are those that the disk had to serve. 0: none. */
void core_run(const char *command, unsigned policy, const struct sequence *s, unsigned nr, unsigned zswap_percent, uint32_t *frames,
	      struct replay_counts out[][SEQUENCE_PHASES]);

#endif
