/* SPDX-License-Identifier: MIT */
/*
 * Time lost for lack of memory: threads that reclaim for themselves or wait for pages to come back from swap.
 *
 *	some    a thread waits            full    one waits and no other has anything else to do
 *
 * Changes are seen when a wait begins or ends, and at the embedder's ticks. Averages are Linux's (kernel/sched/psi.c there
 * says how; its processors' states are weighted, here there is one state of the machine).
 *
 * Lock: its own, KMM_LOCK_ZONE (the last class: nothing is called under it but the port's clock).
 */
#ifndef KMM_PAGEQ_STALL_H
#define KMM_PAGEQ_STALL_H

#include "base/lock.h"
#include "kmm/reclaim.h"

enum { KMM_STALL_SOME, KMM_STALL_FULL, KMM_NR_STALLS, KMM_STALL_AVERAGES = 3 };

struct kmm_stalls {
	struct kmm_spin lock;
	unsigned nr;              /* threads that wait; looked at without the lock */
	bool full;
	uint64_t since;           /* ns: until when total is right */
	uint64_t total[KMM_NR_STALLS]; /* ns */
	uint64_t averaged;        /* ns: until when averages are right */
	uint64_t averaged_total[KMM_NR_STALLS]; /* of total, what is in averages */
	uint32_t average[KMM_NR_STALLS][KMM_STALL_AVERAGES]; /* percent, 11 bits behind the point; over 10, 60, 300 s */
};

/* The running thread waits from now on; and no longer. Waits of one thread do not nest. context: no spin locks. */
void kmm_stall_begin(struct kmm *k);
void kmm_stall_end(struct kmm *k);

#endif
