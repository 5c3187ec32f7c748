/* SPDX-License-Identifier: MIT */
/*
 * Moving the content of user frames to other frames, under running programs.
 *
 * While a page moves, the entries that showed it are "moving" entries (pt/leaf.h): not present, but they keep the frame's
 * number, the rights and the marks, and count as mappings in every count. Whoever needs the page waits; whoever takes
 * the entry away, moves it or changes its rights does so with a moving entry as with a present one.
 */
#ifndef KMM_VM_MIGRATE_H
#define KMM_VM_MIGRATE_H

#include "kmm/compact.h"
#include "vm/mm.h"

#define KMM_MOVE_BATCH 32u

struct kmm_mover {
	struct kmm *k;
	bool may_wait;           /* for locks of files; else pages whose lock is taken stay */
	bool no_files;           /* the caller may hold what a file system holds */
	bool evict;              /* nowhere: private pages and those of memory files to swap, others back to their files. No
	                            targets are asked for */
	bool no_io;              /* evicting: clean pages of files alone */
	/* A frame of that kind, one reference. NULL: none, end the batch. Not told which frame it is for: that one is
	 * nobody's who asks here, so what it says of itself may be something else by now. */
	struct kmm_page *(*target)(void *arg, enum kmm_kind kind);
	void *arg;
	kmm_word moved, failed;  /* results, added up */
	kmm_word later;          /* of those moved: still being written */
	bool was_busy;           /* nothing was tried: another moves pages */
};

/* What processors may still have of entries that were changed, by space. */
#define KMM_FLUSH_SPACES 16
struct kmm_flushes {
	struct kmm_flush space[KMM_FLUSH_SPACES];
	unsigned nr;
};
/* false: no room for one more space; run first. */
bool kmm_flushes_note(struct kmm_flushes *flushes, struct kmm_paddr root, kmm_word va);
/* context: no spin locks. */
void kmm_flushes_run(struct kmm *k, struct kmm_flushes *flushes);
/* On this CPU alone: enough for accessed marks. Another that still has a translation may leave the mark off, and the page
 * looks idle there until that is gone; interrupting all of them for that costs more. */
void kmm_flushes_run_here(struct kmm *k, struct kmm_flushes *flushes);

/* Have pages been used since the last look? Takes the accessed marks out of all their entries; what was changed goes to flushes
 * (full ones may lose some, which lets a used page look idle once). looks[i]: of pages[i]. */
enum kmm_look {
	KMM_LOOK_NOT,            /* it cannot be told: not a user page, or its file is locked */
	KMM_LOOK_IDLE, KMM_LOOK_USED,
	KMM_LOOK_KEPT            /* an area keeps it in memory */
};
/* nr: at most KMM_MOVE_BATCH, as interrupts are off meanwhile. context: between kmm_guest_begin() and _end(), no spin locks. */
void kmm_pages_look(struct kmm *k, struct kmm_page *const *pages, enum kmm_look *looks, unsigned nr, struct kmm_flushes *flushes);

/* Bytes of kmm_vm.move_room. */
size_t kmm_move_room_size(void);

/* Moves those of nr frames (at most KMM_MOVE_BATCH) that can be.
 * errors: KMM_ENOMEM no target for the rest. context: no spin locks; holds none of the locks m and b unless !may_wait. */
KMM_MUST_CHECK enum kmm_status kmm_move_frames(struct kmm_mover *mover, const kmm_word *pfns, unsigned nr);

/* Looks like a frame that could move: a user page of one frame. No lock: a hint. */
bool kmm_frame_may_move(const struct kmm *k, const struct kmm_page *page);

/* The entry of va is being moved: waits until it is not. m held, no spin locks. */
void kmm_move_wait(struct kmm_mm *mm, kmm_word va);

/* How many moves were completed: whoever works with a page that he holds only by having seen its entry compares. */
static inline unsigned kmm_moves(const struct kmm *k)
{
	return atomic_load_explicit(&k->vm->moves, memory_order_acquire);
}

#endif
