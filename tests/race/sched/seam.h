/* SPDX-License-Identifier: MIT */
/*
 * Put before every file of the core (-include) in the profile `sched`: each atomic access becomes a point at which the
 * scheduler may let another CPU run. Nothing in the core knows of it. <stdatomic.h> is made of these builtins, locks and
 * page-table entries are made of <stdatomic.h> and these builtins, and hooks of the port are the scheduler's own.
 *
 * A macro is not expanded within itself, so the name inside is the builtin.
 */
#ifndef KMM_RACE_SEAM_H
#define KMM_RACE_SEAM_H

enum sched_op { SCHED_READ, SCHED_WRITE };

/* This CPU is about to access *at. */
void sched_point(const volatile void *at, enum sched_op op);
/* The same for an exchange. What exchanges 1 for 1 is a lock that is taken: it waits until that changes. */
void sched_point_swap(const volatile void *at, unsigned long long value, unsigned long size);

#define __atomic_load_n(p, order) (sched_point(p, SCHED_READ), __atomic_load_n(p, order))
#define __atomic_load(p, to, order) (sched_point(p, SCHED_READ), __atomic_load(p, to, order))
#define __atomic_store_n(p, v, order) (sched_point(p, SCHED_WRITE), __atomic_store_n(p, v, order))
#define __atomic_store(p, from, order) (sched_point(p, SCHED_WRITE), __atomic_store(p, from, order))
#define __atomic_exchange_n(p, v, order) \
	(sched_point_swap(p, (unsigned long long)(v), sizeof(*(p))), __atomic_exchange_n(p, v, order))
#define __atomic_exchange(p, from, to, order) \
	(sched_point_swap(p, (unsigned long long)*(from), sizeof(*(p))), __atomic_exchange(p, from, to, order))
#define __atomic_compare_exchange_n(p, e, v, weak, a, b) \
	(sched_point(p, SCHED_WRITE), __atomic_compare_exchange_n(p, e, v, weak, a, b))
#define __atomic_compare_exchange(p, e, v, weak, a, b) \
	(sched_point(p, SCHED_WRITE), __atomic_compare_exchange(p, e, v, weak, a, b))
#define __atomic_fetch_add(p, v, order) (sched_point(p, SCHED_WRITE), __atomic_fetch_add(p, v, order))
#define __atomic_fetch_sub(p, v, order) (sched_point(p, SCHED_WRITE), __atomic_fetch_sub(p, v, order))
#define __atomic_fetch_and(p, v, order) (sched_point(p, SCHED_WRITE), __atomic_fetch_and(p, v, order))
#define __atomic_fetch_or(p, v, order) (sched_point(p, SCHED_WRITE), __atomic_fetch_or(p, v, order))

#endif
