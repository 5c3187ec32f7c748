/* SPDX-License-Identifier: MIT */
/*
 * The lock of one area, by which a fault keeps it as it is without the space's mutex (m).
 *
 *	reader   a fault, from finding the area to its entry; may sleep (reading a file). Takes nothing of m.
 *	writer   holds m; locks each area that it changes, removes, or rewrites the entries of, before it takes b.
 *	         All of them are free again when m is: kmm_mm_unlock() ends them by one store.
 *
 * State: area->users counts readers; area->write_seq equal to space->write_seq means locked for writing. Readers that
 * find it so give up and come back by way of m, so a writer waits for those that are in and is not overtaken.
 *
 *	reader                                     writer (m held)
 *	  users++                 (seq_cst)          area->write_seq = space->write_seq   (seq_cst)
 *	  area->write_seq?        (seq_cst)          users?                               (seq_cst)
 *
 * By the one order of these four either the reader sees the area locked and takes its count back, or the writer sees the
 * count and waits. Unlocking is a release of space->write_seq, which readers load with acquire, so a reader that
 * finds an area unlocked sees all changes to it. Counting down is a release and the writer's look an acquire.
 * (A sequence of 32 bits comes round: an area that nobody wrote for 2^32 changes of its space seems locked for one.
 * That sends its faults to m, where no sequence is asked.)
 *
 * Finding the area needs no lock either: a walk (pt/walking.h) over the index, checked by the index's own sequence
 * (vm/tree.h), or the area found last. Either gives an area that is memory of an area until the walk ends; once it is
 * locked and neither removed (GONE) nor elsewhere, it is the right one, whichever way it was found.
 *
 * New areas are born locked for writing: they are seen only when m is given back and they are complete.
 */
#ifndef KMM_VM_LOCK_H
#define KMM_VM_LOCK_H

#include "vm/mm.h"

enum {
	KMM_AREA_WAITED = 1u << 30, /* a writer waits for the last reader */
	KMM_AREA_GONE = 1u << 29,   /* unlinked; stays until walks have ended */
	KMM_AREA_WATCHED = 1u << 28, /* somebody else resolves its faults (userfault.c); found by way of m alone. Written with l */
	KMM_AREA_READERS = KMM_AREA_WATCHED - 1
};

/* The area that covers addr, locked for reading. NULL: there is none, or it is being changed, or the index is: ask
 * again with m; or it is watched. context: no locks. */
struct kmm_vma *kmm_vma_read_at(struct kmm_mm *mm, kmm_word addr);
/* m held: cannot fail. */
void kmm_vma_read(struct kmm_vma *vma);
/* The area may be freed by another as soon as this has happened. */
void kmm_vma_read_end(struct kmm_vma *vma);


static inline bool kmm_vma_is_written(const struct kmm_vma *vma)
{
	return __atomic_load_n(&vma->write_seq, __ATOMIC_RELAXED) == vma->mm->write_seq;
}

void kmm_vma_write_first(struct kmm_vma *vma);

/* m held, b not: no reader is in when it returns, nor comes in until m is given back. May sleep. */
static inline void kmm_vma_write(struct kmm_vma *vma)
{
	if (!kmm_vma_is_written(vma))
		kmm_vma_write_first(vma);
}

#endif
