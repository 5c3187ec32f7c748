/* SPDX-License-Identifier: MIT */
/*
 * Put before every file of the core (-include) in the profile `sched`: each atomic access becomes a point at which the
 * scheduler may let another CPU run. Nothing in the core knows of it. <stdatomic.h> is made of these builtins, locks and
 * page-table entries are made of <stdatomic.h> and these builtins, and hooks of the port are the scheduler's own.
 *
 * A macro is not expanded within itself, so the name inside is the builtin. Addresses are computed once, as there.
 */
#ifndef KMM_RACE_SEAM_H
#define KMM_RACE_SEAM_H

enum sched_op { SCHED_READ, SCHED_WRITE };

/* This CPU is about to access *at. */
void sched_point(const volatile void *at, enum sched_op op);
/* The same for an exchange. What exchanges 1 for 1 is a lock that is taken: it waits until that changes. */
void sched_point_swap(const volatile void *at, unsigned long long value, unsigned long size);

#define __atomic_load_n(p, order) \
	({ __auto_type sched_at_ = (p); sched_point(sched_at_, SCHED_READ); __atomic_load_n(sched_at_, order); })
#define __atomic_load(p, to, order) \
	({ __auto_type sched_at_ = (p); sched_point(sched_at_, SCHED_READ); __atomic_load(sched_at_, to, order); })
#define __atomic_store_n(p, v, order) \
	({ __auto_type sched_at_ = (p); sched_point(sched_at_, SCHED_WRITE); __atomic_store_n(sched_at_, v, order); })
#define __atomic_store(p, from, order) \
	({ __auto_type sched_at_ = (p); sched_point(sched_at_, SCHED_WRITE); __atomic_store(sched_at_, from, order); })
#define __atomic_exchange_n(p, v, order) \
	({ __auto_type sched_at_ = (p); __typeof__(v) sched_v_ = (v); \
	   sched_point_swap(sched_at_, (unsigned long long)sched_v_, sizeof(*sched_at_)); \
	   __atomic_exchange_n(sched_at_, sched_v_, order); })
#define __atomic_exchange(p, from, to, order) \
	({ __auto_type sched_at_ = (p); sched_point_swap(sched_at_, (unsigned long long)*(from), sizeof(*sched_at_)); \
	   __atomic_exchange(sched_at_, from, to, order); })
#define __atomic_compare_exchange_n(p, e, v, weak, a, b) \
	({ __auto_type sched_at_ = (p); sched_point(sched_at_, SCHED_WRITE); __atomic_compare_exchange_n(sched_at_, e, v, weak, a, b); })
#define __atomic_compare_exchange(p, e, v, weak, a, b) \
	({ __auto_type sched_at_ = (p); sched_point(sched_at_, SCHED_WRITE); __atomic_compare_exchange(sched_at_, e, v, weak, a, b); })
#define __atomic_fetch_add(p, v, order) \
	({ __auto_type sched_at_ = (p); sched_point(sched_at_, SCHED_WRITE); __atomic_fetch_add(sched_at_, v, order); })
#define __atomic_fetch_sub(p, v, order) \
	({ __auto_type sched_at_ = (p); sched_point(sched_at_, SCHED_WRITE); __atomic_fetch_sub(sched_at_, v, order); })
#define __atomic_fetch_and(p, v, order) \
	({ __auto_type sched_at_ = (p); sched_point(sched_at_, SCHED_WRITE); __atomic_fetch_and(sched_at_, v, order); })
#define __atomic_fetch_or(p, v, order) \
	({ __auto_type sched_at_ = (p); sched_point(sched_at_, SCHED_WRITE); __atomic_fetch_or(sched_at_, v, order); })

#endif
