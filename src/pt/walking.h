/* SPDX-License-Identifier: MIT */
/*
 * Walks without locks. A walk goes down the index of a space's areas, or its page tables, while others change
 * them; what it can find that way must stay memory of that sort until it is done. So whoever unlinks an area, a node
 * of the index or a table frees it only after
 *
 *	unlink -> kmm_walks_wait(space) -> free
 *
 * and a walk is
 *
 *	begin (interrupts off, "this CPU walks in this space") -> look, lock what was found -> end
 *
 * A walk is short and does not sleep; inside it only TABLE locks and later ones may be taken, and one area may be
 * locked for reading by trying. So the wait is bounded, needs no queue of things to free, and costs a look at
 * a word of each other CPU; with one CPU nothing at all, because interrupts off then exclude everybody.
 *
 * Memory order. The walk stores its mark, the freeing side has unlinked; each then looks at the other's. With a full
 * fence between store and look on both sides, at least one sees the other: either the wait sees the mark and waits, or
 * the walk sees the thing unlinked and never gets hold of it. The end is a release and the wait's look an
 * acquire, so all that the walk read was read before the thing is freed.
 *
 * Rejected: deferring by epochs (frees would come in bursts and memory would be held when it is short), reference
 * counts on tables (a shared write on each descent).
 */
#ifndef KMM_PT_WALKING_H
#define KMM_PT_WALKING_H

#include "pt/pt.h"

/* Returns the interrupt state to hand to kmm_walk_end(). Does not nest. */
static inline unsigned long kmm_walk_begin(struct kmm *k, const struct kmm_space *space)
{
	unsigned long flags = kmm_irq_save(k);

	if (k->machine.nr_cpus > 1) {
		const void **mark = &k->walker[kmm_cpu(k)].space;

		KMM_ASSERT(k, !*mark);
		__atomic_store_n(mark, space, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
	return flags;
}

static inline void kmm_walk_end(struct kmm *k, unsigned long flags)
{
	if (k->machine.nr_cpus > 1)
		__atomic_store_n(&k->walker[kmm_cpu(k)].space, NULL, __ATOMIC_RELEASE);
	kmm_irq_restore(k, flags);
}

/* Returns when every walk in the space that was under way has ended. context: not in a walk; no lock of class TABLE
 * or later. */
void kmm_walks_wait(struct kmm *k, const struct kmm_space *space);

#endif
