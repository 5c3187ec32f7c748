/* SPDX-License-Identifier: MIT */
/*
 * lock.h - what keeps processors apart inside the reference kernel, whose code runs with interrupts off.
 *
 *   the kernel lock  a spin lock for what docs/locking.md lists: processes, signals, names, the terminal. Whoever sleeps
 *                    gives it up and has it again afterwards, so what it protects may change wherever a task may sleep.
 *                    May be taken again by the task that has it.
 *   a spin lock      one structure each, named at its declaration. Nothing sleeps under one.
 *   a sleep lock     for what may sleep in the middle: a file's position, a writer's way through a file, a pipe's reader.
 *
 * Spin locks are taken in the order of enum spin_class, and two of one class never; in kernels built with KMM_DEBUG=2
 * that is checked at each, and so is that nobody sleeps under one but the kernel lock. A core call that may sleep is made
 * with the kernel lock or with none. Sleep locks come before all spin locks but the kernel lock, which who waits for one
 * gives up; a position before the file's.
 */
#ifndef OS_LOCK_H
#define OS_LOCK_H

#include <stdint.h>

#include "x86.h"

enum spin_class {
	SPIN_KERNEL,
	SPIN_FDS,    /* a table of descriptors */
	SPIN_INODE,  /* times, and who writes to it or runs it */
	SPIN_PIPE,
	SPIN_FUTEX,
	SPIN_SHM,    /* segments of shared memory; comes after a space's mutex */
	SPIN_SLEEP,  /* the core wakes with its own locks held, so this and what follows come after them */
	SPIN_QUEUE,  /* of runnable tasks */
	SPIN_RANDOM,
	SPIN_LOG,
	SPIN_NR_CLASSES
};

/* `word` is SPIN_HELD, and above it who claims the next turn (lock.c), 1 for the first processor; 0 is free for anyone. */
struct spin {
	uint16_t word;
	uint16_t class; /* enum spin_class */
};
#define SPIN_OF(class_) { .word = 0, .class = (class_) }
#define SPIN_HELD ((uint16_t)1)

/* lock.c: the lock is held, or claimed by somebody. */
void spin_wait(struct spin *lock);

/* lock.c; nothing, where the order is not checked. A broken order is a panic. */
#if defined(KMM_DEBUG) && KMM_DEBUG >= 2
void spin_note(const struct spin *lock);
void spin_forget(const struct spin *lock);
/* Only the kernel lock is held here, or nothing. */
void spin_may_sleep(void);
#else
static inline void spin_note(const struct spin *lock) { (void)lock; }
static inline void spin_forget(const struct spin *lock) { (void)lock; }
static inline void spin_may_sleep(void) {}
#endif

static inline void spin_lock(struct spin *lock)
{
	uint16_t free = 0;

	spin_note(lock);
	if (!__atomic_compare_exchange_n(&lock->word, &free, SPIN_HELD, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		spin_wait(lock);
}

static inline void spin_unlock(struct spin *lock)
{
	/* Only the byte that says it is held: a claim stays. */
	__atomic_store_n((uint8_t *)&lock->word, 0, __ATOMIC_RELEASE);
	spin_forget(lock);
}

/* 0 free, 1 taken, 2 taken and somebody may wait. Who waits cannot be interrupted. */
struct sleep_lock {
	uint32_t held;
};
void sleep_lock(struct sleep_lock *lock);   /* sleep.c */
void sleep_unlock(struct sleep_lock *lock);

/* sched.c */
void kernel_lock(void);
void kernel_unlock(void);
/* For a long call into the core in the middle of something: gives the lock up however often it was taken, and takes it
 * back as often. The caller's objects must stand without it. */
unsigned kernel_lock_drop(void);
void kernel_lock_retake(unsigned depth);

#endif
