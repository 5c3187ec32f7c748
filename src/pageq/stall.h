/* SPDX-License-Identifier: MIT */
/*
 * Time lost for lack of memory: threads that reclaim for themselves or wait for pages to come back from swap.
 *
 *	some    a thread waits            full    one waits and no other has anything else to do
 *
 * Kept for the machine, and for each memory group by the threads of it and of those below (group/stall.c says which).
 *
 * Changes are seen when a wait begins or ends, and at the embedder's ticks. Averages are Linux's (kernel/sched/psi.c there
 * says how; its processors' states are weighted, here there is one state of the machine).
 *
 * Lock: the caller's, one for all of them.
 */
#ifndef KMM_PAGEQ_STALL_H
#define KMM_PAGEQ_STALL_H

#include "base/lock.h"
#include "kmm/reclaim.h"

enum { KMM_STALL_SOME, KMM_STALL_FULL, KMM_NR_STALLS, KMM_STALL_AVERAGES = 3 };

struct kmm_stalls {
	unsigned nr;              /* threads that wait; looked at without the lock */
	bool full;
	uint64_t since;           /* ns: until when total is right */
	uint64_t total[KMM_NR_STALLS]; /* ns */
	uint64_t averaged;        /* ns: until when averages are right */
	uint64_t averaged_total[KMM_NR_STALLS]; /* of total, what is in averages */
	uint32_t average[KMM_NR_STALLS][KMM_STALL_AVERAGES]; /* percent, 11 bits behind the point; over 10, 60, 300 s */
};

/* For the ns until now it was as before; from now on `by` more threads wait, and full if any does and `all` say that no other has
 * anything else to do. */
void kmm_stalls_change(struct kmm *k, struct kmm_stalls *s, uint64_t now, int by, bool all);
void kmm_stalls_look(struct kmm_stalls *s, uint64_t now, struct kmm_pressure *out);
void kmm_stalls_print(const struct kmm_pressure *p, struct kmm_sink *out);

#endif
