/* SPDX-License-Identifier: MIT */
/*
 * lock.c - waiting for a spin lock, and the order of spin locks.
 *
 * A lock that anybody may take is not fair: a processor that takes it again and again can keep another waiting for ever,
 * and does where an emulator runs its processors in turns. A lock that serves in the order of arrival stands still while
 * the next in line is not running, which a virtual processor often is not. So who has to wait claims the next turn, unless
 * somebody has, and others leave it to him, but not for long: then they take it, and he has to claim it again.
 *
 * The order is checked as each is taken. What a processor holds is a bit for each class: who holds a spin lock stays on
 * its processor, and who gives the processor away has given up the kernel lock before.
 */
#include "lock.h"

/* How long somebody else's claim counts, in looks at the lock. */
enum { CLAIM_LASTS = 2000 };

static bool may_take(uint16_t seen, uint16_t me, unsigned looks)
{
	uint16_t claimed_by = seen >> 8;

	return !(seen & SPIN_HELD) && (!claimed_by || claimed_by == me || looks >= CLAIM_LASTS);
}

void spin_wait(struct spin *lock)
{
	uint16_t me = (uint16_t)(x86_cpu_id() + 1);

	for (unsigned looks = 1;; looks++) {
		uint16_t seen = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);

		if (may_take(seen, me, looks)) {
			if (__atomic_compare_exchange_n(&lock->word, &seen, SPIN_HELD, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
				return;
		} else if (!(seen >> 8)) {
			__atomic_compare_exchange_n(&lock->word, &seen, (uint16_t)(seen | me << 8), false, __ATOMIC_RELAXED,
						    __ATOMIC_RELAXED);
		}
		x86_relax();
	}
}

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
