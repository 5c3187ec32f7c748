/* SPDX-License-Identifier: MIT */
/*
 * Page tables: one walker and one mapper for all formats, over tables in low memory.
 *
 * A "space" is a root plus its lock. The kernel's root is the model: every user root starts with a copy of
 * its kernel half, whose tables are all made at boot, so that the copies never go stale.
 * Writing an entry is PAE-safe (high half first when setting, last when clearing). Flushing is the caller's,
 * through struct kmm_tlb: changes are gathered and flushed once.
 */
#ifndef KMM_PT_PT_H
#define KMM_PT_PT_H

#include "base/lock.h"
#include "kmm/pagetable.h"
#include "phys/alloc.h"

struct kmm_space {
	struct kmm_paddr root;   /* constant */
	struct kmm_spin lock;    /* KMM_LOCK_PT: entries and tables below root */
	kmm_word nr_tables;      /* pages of tables, root included (PAE: the pages, not the 32-byte root); t: lock */
	bool is_kernel;
	void *owner;             /* struct kmm_mm, for descriptors of table pages; NULL: kernel */
};

/* A gathered flush. Lives on the stack of one operation. */
struct kmm_tlb {
	struct kmm_space *space;
	kmm_word start, end;     /* range with changed present entries; start >= end: none */
	bool tables;
	struct kmm_page_list free_tables; /* freed only after the flush */
	struct kmm_page *held[16]; unsigned nr_held; /* frames whose reference is dropped after the flush */
};
void kmm_tlb_begin(struct kmm *k, struct kmm_tlb *tlb, struct kmm_space *space);
/* Notes a changed translation; frame (may be NULL) is put after the flush. No spin lock of class PT or later
 * may be held when the gather is full: call kmm_tlb_full() between entries and kmm_tlb_flush() when it says so. */
void kmm_tlb_note(struct kmm *k, struct kmm_tlb *tlb, kmm_word va, struct kmm_page *frame);
bool kmm_tlb_full(const struct kmm_tlb *tlb);
void kmm_tlb_flush(struct kmm *k, struct kmm_tlb *tlb);

/* tier b start: kernel root, direct map with the largest leaves that fit, tables for all windows. */
KMM_MUST_CHECK enum kmm_status kmm_pt_init(struct kmm *k);
struct kmm_space *kmm_pt_kernel(struct kmm *k);
/* Called by kmm_pt_free for the embedder-visible number of kernel table pages. */
kmm_word kmm_pt_kernel_tables(const struct kmm *k);

/* A root for a user space with the kernel half in place; freeing it requires that its user half is empty. */
KMM_MUST_CHECK enum kmm_status kmm_pt_space_init(struct kmm *k, struct kmm_space *space, void *owner);
void kmm_pt_space_fini(struct kmm *k, struct kmm_space *space);

/* The table that holds the level-0 entry of va. kmm_pt_table: NULL if a level is missing (or a large leaf maps
 * va). kmm_pt_table_make: makes missing levels; allocates before taking the lock, re-checks after; errors:
 * KMM_ENOMEM, KMM_EBUSY a large leaf is in the way. No lock held at entry. */
struct kmm_ptref { void *entry; struct kmm_page *table; unsigned level; };
bool kmm_pt_lookup(struct kmm *k, struct kmm_space *space, kmm_word va, struct kmm_ptref *out);
KMM_MUST_CHECK enum kmm_status kmm_pt_make(struct kmm *k, struct kmm_space *space, kmm_word va, kmm_gfp gfp);

/* Entries. `table` (of the ref) counts its non-zero entries. Raw software values (not present) allowed.
 * Called with space->lock held. */
uint64_t kmm_pt_read(const struct kmm *k, const struct kmm_ptref *ref);
void kmm_pt_write(struct kmm *k, struct kmm_space *space, const struct kmm_ptref *ref, kmm_word va, uint64_t raw);
static inline struct kmm_pte kmm_pt_decode(const struct kmm *k, uint64_t raw) { return kmm_fmt(k)->decode(raw, 0); }
static inline uint64_t kmm_pt_encode(const struct kmm *k, struct kmm_pte pte) { return kmm_fmt(k)->encode(pte, 0); }

/* Visits the level-0 tables that exist in [start, end): fn gets a run of consecutive entries in one table, with the
 * lock held; skips missing tables in one step. fn returns false to stop (then *resume is where it stood). */
bool kmm_pt_for_each_run(struct kmm *k, struct kmm_space *space, kmm_word start, kmm_word end,
			 bool (*fn)(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr), void *arg,
			 kmm_word *resume);

/* Frees the tables that lie wholly in [floor, ceiling) of a user space and are empty; into tlb. Lock not held. */
void kmm_pt_free_tables(struct kmm *k, struct kmm_space *space, kmm_word floor, kmm_word ceiling, struct kmm_tlb *tlb);

/* Kernel windows: maps or unmaps existing level-0 slots (tables were made at boot) and tells the port
 * (window_changed). flags: KMM_PTE_ bits for the leaf. Caller flushes. errors: KMM_ENOMEM from the port. */
KMM_MUST_CHECK enum kmm_status kmm_pt_window_map(struct kmm *k, struct kmm_kva va, const struct kmm_pfn *pfns,
						 kmm_word nr, uint32_t flags);
void kmm_pt_window_unmap(struct kmm *k, struct kmm_kva va, kmm_word nr);
void kmm_pt_flush_kernel(struct kmm *k, struct kmm_kva start, struct kmm_kva end);

/* Checker: entry counts of tables, no entry beyond the physical limit, kernel halves equal. */
unsigned kmm_pt_audit(struct kmm *k, struct kmm_sink *out);

#endif
