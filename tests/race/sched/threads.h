/* SPDX-License-Identifier: MIT */
/*
 * Between the two halves of the scheduler: running threads in one order (threads.c) and choosing orders (explore.c).
 */
#ifndef KMM_RACE_SCHED_THREADS_H
#define KMM_RACE_SCHED_THREADS_H

#include "sched.h"

/* Who goes on at a point. */
struct sched_chooser {
	bool every_point;  /* asked at every point, not only where a turn can matter */
	/* enabled: bit per thread that can go on; usual: what the default is; preempts: another thread than usual costs one.
	 * NO_THREAD ends the run. */
	unsigned (*choose)(unsigned enabled, unsigned usual, bool preempts);
};
#define SCHED_NO_THREAD (~0u)

enum sched_end { SCHED_PASSED, SCHED_FAILED, SCHED_STOPPED };

/* One run of the case that was begun. The order that was taken is in sched_taken(), what went wrong in sched_what(). */
enum sched_end sched_run(const struct sched_chooser *chooser);
const struct sched_order *sched_taken(void);
const char *sched_what(void);
/* Points passed in this run. */
uint32_t sched_points(void);
/* A number for what happened so far, the same for orders that differ in independent accesses only. */
uint64_t sched_state(void);
/* From now on words that are known to be shared are where turns matter. Before, none is. */
void sched_learn(void);
/* Words that several threads access and one writes, over all runs since the case was begun. */
uint64_t sched_shared_words(void);

#endif
