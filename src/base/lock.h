/* SPDX-License-Identifier: MIT */
/*
 * Locks and their order. Classes are numbered in the order in which they may be taken: a lock of a
 * class may be taken only while no lock of the same or a later class is held on this CPU (asserted if
 * KMM_LOCK_ORDER; docs/locking.md holds the same list in words). One exception, by _nested: fork locks
 * parent then child space.
 *
 * struct kmm_spin: short, interrupts off, no sleeping, no allocation that may sleep, no callback.
 * struct kmm_mutex: may sleep (port wait/wake); with no wait hook contention is a fatal error.
 */
#ifndef KMM_BASE_LOCK_H
#define KMM_BASE_LOCK_H

#include <stdatomic.h>

#include "base/debug.h"

enum kmm_lock_class {
	KMM_LOCK_MM,      /* a space: VMA tree, counters (mutex) */
	KMM_LOCK_AREA,    /* an area, by a fault or for a change (sleeping; vm/lock.h) */
	KMM_LOCK_BACKING, /* a file's page index and list of mappings (mutex) */
	KMM_LOCK_RMAP,    /* an anonymous object's list of VMAs */
	KMM_LOCK_PT,      /* page tables of a space, or the kernel's, above the last level; links to tables */
	KMM_LOCK_TABLE,   /* one table of the last level */
	KMM_LOCK_SWAP,    /* maps of swap areas */
	KMM_LOCK_SLAB,    /* a cache, the list of caches */
	KMM_LOCK_KVA,     /* vmalloc areas, kmap window */
	KMM_LOCK_ZONE,    /* free lists and counters of a zone, sections */
	KMM_NR_LOCK_CLASSES
};

struct kmm_spin { atomic_uint held; };

struct kmm_mutex { atomic_uint held; };

/* held: bit per class. Does not return. */
void kmm_lock_order_broken(struct kmm *k, enum kmm_lock_class cls, uint32_t held);

static inline void kmm_lock_note(struct kmm *k, enum kmm_lock_class cls, bool nested)
{
	if (KMM_LOCK_ORDER) {
		uint32_t *held = &k->locks_held[kmm_cpu(k)];

		if ((*held >> cls) != 0 && !nested)
			kmm_lock_order_broken(k, cls, *held);
		*held |= 1u << cls;
	}
}

static inline void kmm_lock_forget(struct kmm *k, enum kmm_lock_class cls)
{
	if (KMM_LOCK_ORDER)
		k->locks_held[kmm_cpu(k)] &= ~(1u << cls);
}

/* Returns the interrupt state to hand to kmm_spin_unlock. */
static inline unsigned long kmm_spin_lock(struct kmm *k, struct kmm_spin *lock, enum kmm_lock_class cls)
{
	unsigned long flags = kmm_irq_save(k);

	kmm_lock_note(k, cls, false);
	while (atomic_exchange_explicit(&lock->held, 1, memory_order_acquire))
		if (k->port->relax)
			k->port->relax(k->port);
	return flags;
}

static inline void kmm_spin_unlock(struct kmm *k, struct kmm_spin *lock, enum kmm_lock_class cls, unsigned long flags)
{
	atomic_store_explicit(&lock->held, 0, memory_order_release);
	kmm_lock_forget(k, cls);
	kmm_irq_restore(k, flags);
}

/* The order of sleeping locks: who holds one may move between CPUs, so what is held is kept in a word of the thread's, if
 * the port has such a thing. may: fatal if a lock of this class may not be taken now; note: it was; forget: given back. */
void kmm_sleep_may(struct kmm *k, enum kmm_lock_class cls);
void kmm_sleep_note(struct kmm *k, enum kmm_lock_class cls);
void kmm_sleep_forget(struct kmm *k, enum kmm_lock_class cls);

/* What a function may say of itself whose contract is that its caller holds a lock (of either kind). That it is the caller
 * who holds it is not known; that nobody does is what mistakes look like. _CHECK_: at debug level 2, on paths that count. */
#define KMM_ASSERT_HELD(k, lock) KMM_ASSERT(k, atomic_load_explicit(&(lock)->held, memory_order_relaxed) != 0)
#define KMM_CHECK_HELD(k, lock) KMM_CHECK(k, atomic_load_explicit(&(lock)->held, memory_order_relaxed) != 0)

/* Sleeping locks. Without a class (one thread holds two of one, or the lock is outside of the order) nothing is noted. */
void kmm_mutex_lock(struct kmm *k, struct kmm_mutex *mutex);
/* true: taken. Never sleeps. */
bool kmm_mutex_trylock(struct kmm_mutex *mutex);
void kmm_mutex_unlock(struct kmm *k, struct kmm_mutex *mutex);

static inline void kmm_mutex_lock_class(struct kmm *k, struct kmm_mutex *mutex, enum kmm_lock_class cls)
{
	if (KMM_LOCK_ORDER)
		kmm_sleep_may(k, cls);
	kmm_mutex_lock(k, mutex);
	if (KMM_LOCK_ORDER)
		kmm_sleep_note(k, cls);
}

static inline void kmm_mutex_unlock_class(struct kmm *k, struct kmm_mutex *mutex, enum kmm_lock_class cls)
{
	if (KMM_LOCK_ORDER)
		kmm_sleep_forget(k, cls);
	kmm_mutex_unlock(k, mutex);
}

#endif
