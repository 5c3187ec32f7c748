/* SPDX-License-Identifier: MIT */
/*
 * lock.h - what keeps processors apart inside the reference kernel, whose code runs with interrupts off.
 *
 *   the kernel lock  processes, files, pipes, signals, the terminal: everything but what follows. Whoever sleeps gives it
 *                    up and has it again afterwards, so what it protects may change wherever a task may sleep. May be
 *                    taken again by the task that has it. Faults, memory calls and futexes do without.
 *   a spin lock      one structure each, named at its declaration: run queues, sleepers, futexes, the log.
 *
 * Order: kernel lock; locks of the core; futexes; sleepers; run queues; the log. A core call that may sleep is made with
 * the kernel lock or with none, never with a spin lock.
 */
#ifndef OS_LOCK_H
#define OS_LOCK_H

#include <stdint.h>

#include "x86.h"

struct spin {
	uint32_t held;
};

static inline void spin_lock(struct spin *lock)
{
	while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED))
			x86_relax();
}

static inline void spin_unlock(struct spin *lock)
{
	__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

/* sched.c */
void kernel_lock(void);
void kernel_unlock(void);
/* For a long call into the core in the middle of something: gives the lock up however often it was taken, and takes it
 * back as often. The caller's objects must stand without it. */
unsigned kernel_lock_drop(void);
void kernel_lock_retake(unsigned depth);

#endif
