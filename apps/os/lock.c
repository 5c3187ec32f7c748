/* SPDX-License-Identifier: MIT */
/*
 * lock.c - the order of spin locks, checked as each is taken. What a processor holds is a bit for each class: who holds a
 * spin lock stays on its processor, and who gives the processor away has given up the kernel lock before.
 */
#include "lock.h"

#if defined(KMM_DEBUG) && KMM_DEBUG >= 2

static uint32_t held[X86_MAX_CPUS];

static const char *const names[SPIN_NR_CLASSES] = {
	[SPIN_KERNEL] = "kernel", [SPIN_FDS] = "descriptors", [SPIN_INODE] = "inode", [SPIN_PIPE] = "pipe",
	[SPIN_FUTEX] = "futex", [SPIN_SHM] = "segments", [SPIN_SLEEP] = "sleepers", [SPIN_QUEUE] = "run queue", [SPIN_RANDOM] = "random",
	[SPIN_LOG] = "log",
};

static const char *last_held(void)
{
	return names[31 - __builtin_clz(held[x86_cpu_id()])];
}

void spin_note(const struct spin *lock)
{
	uint32_t *mine = &held[x86_cpu_id()];

	if (*mine >> lock->class)
		x86_panic("lock order: %s taken while holding %s", names[lock->class], last_held());
	*mine |= 1u << lock->class;
}

void spin_forget(const struct spin *lock)
{
	held[x86_cpu_id()] &= ~(1u << lock->class);
}

void spin_may_sleep(void)
{
	if (held[x86_cpu_id()] & ~(1u << SPIN_KERNEL))
		x86_panic("lock order: a task sleeps while holding %s", last_held());
}

#endif
