/* SPDX-License-Identifier: MIT */
/*
 * Locks and their order. Classes are numbered in the order in which they may be taken: a lock of a
 * class may be taken only while no lock of the same or a later class is held (asserted at
 * KMM_DEBUG >= 1; docs/locking.md holds the same list in words). Spin locks are noted by CPU; sleeping
 * locks, whose holder may move between CPUs, by the port's word of the task, if it has one.
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
	KMM_LOCK_BACKING, /* a file's page index and list of mappings (mutex) */
	KMM_LOCK_RMAP,    /* an anonymous object's list of VMAs */
	KMM_LOCK_PT,      /* page tables of a space, or the kernel's, above the last level; links to tables */
	KMM_LOCK_TABLE,   /* one table of the last level */
	KMM_LOCK_SLAB,    /* a cache, the list of caches */
	KMM_LOCK_KVA,     /* vmalloc areas, kmap window */
	KMM_LOCK_ZONE,    /* free lists and counters of a zone, sections */
	KMM_NR_LOCK_CLASSES
};

struct kmm_spin { atomic_uint held; };

struct kmm_mutex {
	atomic_uint held;
	uint16_t cls;     /* constant: enum kmm_lock_class; all zero is a free lock of a space */
	bool unordered;   /* its holder's: taken in one of the ways that cannot deadlock, so not noted */
};

/* held: bit per class. */
void kmm_lock_order_broken(struct kmm *k, enum kmm_lock_class cls, uint32_t held);

static inline void kmm_lock_note(struct kmm *k, enum kmm_lock_class cls, bool nested)
{
	if (KMM_DEBUG >= 1) {
		uint32_t *held = &k->locks_held[kmm_cpu(k)];

		if ((*held >> cls) != 0 && !nested)
			kmm_lock_order_broken(k, cls, *held);
		*held |= 1u << cls;
	}
}

static inline void kmm_lock_forget(struct kmm *k, enum kmm_lock_class cls)
{
	if (KMM_DEBUG >= 1)
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

/* Sleeping locks. No spin lock may be held (asserted). */
void kmm_mutex_lock(struct kmm *k, struct kmm_mutex *mutex);
/* A second one of the class, of an object that nobody else can find yet. To be unlocked first. */
void kmm_mutex_lock_nested(struct kmm *k, struct kmm_mutex *mutex);
/* true: taken. Never sleeps, so whatever else is held. */
bool kmm_mutex_trylock(struct kmm_mutex *mutex);
void kmm_mutex_unlock(struct kmm *k, struct kmm_mutex *mutex);

#endif
