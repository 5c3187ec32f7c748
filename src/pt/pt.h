/* SPDX-License-Identifier: MIT */
/*
 * Page tables: one walker and one mapper for all formats, over tables in low memory.
 *
 * A "space" is a root plus its lock. The kernel's root is the model: every user root starts with a copy of its
 * kernel half. Kernel tables are never freed, and the rare new entry of the kernel's root is copied to every space
 * by whoever makes it, so the copies never go stale. (PAE: processors read root entries only when CR3 is loaded,
 * so there all page directories exist from the start, of the kernel half and of each space.)
 *
 * Tables below a root, for reading: a walk needs no lock while tables cannot be freed: in the kernel's space never,
 * in a user space as long as an area that the table serves cannot go: its struct kmm_mm's lock, the area's own, or that of
 * a reverse map in which it is. Others use pt/walking.h. Entries of the last level change under their table's lock, all
 * else under the space's (pt/lock.h).
 * Writing an entry is PAE-safe (entry.h). Flushing is the caller's, through struct kmm_tlb: changes are gathered
 * and flushed once.
 */
#ifndef KMM_PT_PT_H
#define KMM_PT_PT_H

#include "base/list.h"
#include "base/lock.h"
#include "phys/alloc.h"
#include "pt/entry.h"
#include "pt/lock.h"

struct kmm_space {
	struct kmm_paddr root;   /* constant */
	struct kmm_spin lock;    /* KMM_LOCK_PT: entries above the last level, links to tables */
	kmm_word nr_tables;      /* pages of tables, root included (PAE: without the 32-byte root); lock, read without */
	bool is_kernel;
	void *owner;             /* struct kmm_mm, for descriptors of table pages; NULL: kernel */
	struct kmm_list link;    /* all user spaces; lock of the kernel's space */
};

/* A gathered flush. Lives on the stack of one operation. */
#define KMM_TLB_HELD 64
struct kmm_tlb {
	struct kmm_space *space;
	kmm_word start, end;     /* range with changed present entries; start >= end: none */
	bool tables;
	kmm_word free_tables;    /* pfn + 1 of the first of a chain by field a; freed only after the flush */
	struct kmm_page *held[KMM_TLB_HELD]; unsigned nr_held; /* frames whose reference is dropped after the flush */
};
void kmm_tlb_begin(struct kmm *k, struct kmm_tlb *tlb, struct kmm_space *space);
/* Notes a changed translation; frame (may be NULL) is put after the flush. A full gather takes no further frame
 * (asserted): call kmm_tlb_full() between entries and, without locks, kmm_tlb_flush() when it says so. */
void kmm_tlb_note(struct kmm *k, struct kmm_tlb *tlb, kmm_word va, struct kmm_page *frame);
/* The two halves of it, for loops. [start, end) in whole pages. */
static inline void kmm_tlb_note_range(struct kmm_tlb *tlb, kmm_word start, kmm_word end)
{
	bool none = tlb->start >= tlb->end;

	if (none || start < tlb->start)
		tlb->start = start;
	if (none || end > tlb->end)
		tlb->end = end;
}

static inline void kmm_tlb_hold(struct kmm *k, struct kmm_tlb *tlb, struct kmm_page *frame)
{
	KMM_ASSERT(k, tlb->nr_held < KMM_TLB_HELD);
	tlb->held[tlb->nr_held++] = frame;
}

static inline bool kmm_tlb_full(const struct kmm_tlb *tlb) { return tlb->nr_held == KMM_TLB_HELD; }
/* Flushes what was gathered on all CPUs, drops frames and tables, and is ready for more. Nothing gathered: nothing
 * done. context: no spin lock of class PT or later. */
void kmm_tlb_flush(struct kmm *k, struct kmm_tlb *tlb);

/* Flushes a range of a space on all CPUs, for who gathers by himself. context: as kmm_tlb_flush(). */
void kmm_tlb_flush_space(struct kmm *k, const struct kmm_flush *flush);

/* After an entry of a user space was given more rights: this CPU forgets the weaker translation. Others may keep it, for
 * all it can do is to make them fault, see that the entry allows the access, and come here. */
void kmm_tlb_flush_here(struct kmm *k, const struct kmm_space *space, kmm_word va);

/* tier b start: kernel root, direct map with the largest leaves that fit, tables for windows that must not fail.
 * errors: KMM_ENOMEM; KMM_ENOTSUP the build is pinned to another format. */
KMM_MUST_CHECK enum kmm_status kmm_pt_init(struct kmm *k);
struct kmm_space *kmm_pt_kernel(struct kmm *k);
/* Pages of kernel tables. */
kmm_word kmm_pt_kernel_tables(const struct kmm *k);

/* A root for a user space with the kernel half in place; freeing it requires that its user half is empty. The struct
 * must stay where it is in between. errors: KMM_ENOMEM. context: no locks, may sleep. */
KMM_MUST_CHECK enum kmm_status kmm_pt_space_init(struct kmm *k, struct kmm_space *space, void *owner);
void kmm_pt_space_fini(struct kmm *k, struct kmm_space *space);

/* kmm_pt_lookup: the level-0 entry of va and the table that holds it. false if a level is missing (or a large leaf
 * maps va).
 * kmm_pt_make: makes missing levels; allocates before taking the lock, re-checks after; cheap when nothing is
 * missing. errors: KMM_ENOMEM, KMM_EBUSY a large leaf is in the way. No spin lock held at entry. */
struct kmm_ptref { void *entry; struct kmm_page *table; unsigned level; };
bool kmm_pt_lookup(struct kmm *k, struct kmm_space *space, kmm_word va, struct kmm_ptref *out);
/* The same with the table locked. Also in a walk: a table that is dead is none. */
bool kmm_pt_lookup_lock(struct kmm *k, struct kmm_space *space, kmm_word va, struct kmm_ptref *out, unsigned long *flags);
/* The same for who comes before any processor, and may meet entries that were damaged: what no table can be at is none. */
bool kmm_pt_lookup_lock_wary(struct kmm *k, struct kmm_space *space, kmm_word va, struct kmm_ptref *out, unsigned long *flags);
/* Has an entry on the way to va an address that nothing of this machine can be at, as processors see by bits that they
 * reserve? Nobody writes such entries: memory was damaged. context: the tables of va must stay (see above). */
bool kmm_pt_is_damaged(struct kmm *k, const struct kmm_space *space, kmm_word va);
static inline void kmm_pt_unlock(struct kmm *k, const struct kmm_ptref *ref, unsigned long flags)
{
	kmm_table_unlock(k, ref->table, flags);
}
KMM_MUST_CHECK enum kmm_status kmm_pt_make(struct kmm *k, struct kmm_space *space, kmm_word va, kmm_gfp gfp);

/* The ref of the entry n places on in the same table (as kmm_pt_for_each_run hands out runs). */
static inline struct kmm_ptref kmm_pt_ref_at(const struct kmm *k, const struct kmm_ptref *first, unsigned n)
{
	struct kmm_ptref ref = *first;

	ref.entry = (char *)first->entry + n * kmm_pt_fmt(k)->entry_size;
	return ref;
}

/* Entries: read and write raw values. `table` (of the ref) counts its non-zero entries. Values that are not present
 * (bit 0 clear) may hold anything of the software's; 4-byte formats keep 32 bits. kmm_pt_encode() and
 * kmm_pt_decode() (pin.h) give the present ones their meaning; a pte without PRESENT encodes to 0.
 * Called with the table's lock held (above the last level: the space's). */
static inline uint64_t kmm_pt_read(const struct kmm *k, const struct kmm_ptref *ref)
{
	return kmm_entry_load(k, ref->entry);
}

static inline void kmm_pt_count(struct kmm_page *table, uint64_t old, uint64_t raw)
{
	unsigned count;

	if (!old == !raw)
		return;
	count = atomic_load_explicit(&table->count, memory_order_relaxed);
	atomic_store_explicit(&table->count, raw ? count + 1 : count - 1, memory_order_relaxed);
}

static inline void kmm_pt_write(struct kmm *k, struct kmm_space *space, const struct kmm_ptref *ref, kmm_word va,
				uint64_t raw)
{
	kmm_pt_count(ref->table, kmm_entry_load(k, ref->entry), raw);
	kmm_entry_store(k, ref->entry, raw);
	kmm_trace(k, KMM_EV_PT_SET, va, raw, ref->level, space->root.v);
}

/* The same for an entry that is known to be zero. */
static inline void kmm_pt_fill(struct kmm *k, struct kmm_space *space, const struct kmm_ptref *ref, kmm_word va,
			       uint64_t raw)
{
	KMM_CHECK(k, raw != 0 && kmm_entry_load_low(ref->entry) == 0);
	kmm_pt_count(ref->table, 0, raw);
	kmm_entry_set(k, ref->entry, raw);
	kmm_trace(k, KMM_EV_PT_SET, va, raw, ref->level, space->root.v);
}

/* Clears an entry and returns what it was, with every accessed and dirty bit that another processor set until then:
 * the way to remove or (followed by kmm_pt_write) to restrict a present entry. */
static inline uint64_t kmm_pt_take(struct kmm *k, struct kmm_space *space, const struct kmm_ptref *ref, kmm_word va)
{
	uint64_t old = kmm_entry_take(k, ref->entry);

	kmm_pt_count(ref->table, old, 0);
	kmm_trace(k, KMM_EV_PT_SET, va, 0, ref->level, space->root.v);
	return old;
}

/* Visits the level-0 tables that exist in [start, end): fn gets a run of consecutive entries in one table, with the
 * table's lock held; skips missing tables in one step. fn returns false to stop, then the result is false. *resume is set to
 * the run's va before each call of fn and left alone after it stopped, so fn may put a later va there (by way
 * of arg). fn must not take locks of class PT or TABLE or make tables in `space`. end > start. */
bool kmm_pt_for_each_run(struct kmm *k, struct kmm_space *space, kmm_word start, kmm_word end,
			 bool (*fn)(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr), void *arg,
			 kmm_word *resume);

/* Is there neither an entry in [start, end) nor an empty table that could be freed because of it? Says so only when
 * one look is enough. Tables of the range must stay, and nobody may be entering anything there. */
bool kmm_pt_is_void(struct kmm *k, const struct kmm_space *space, kmm_word start, kmm_word end);

/* Frees the tables that lie wholly in [floor, ceiling) of a user space and are empty; into tlb. A ceiling of the layout's
 * user_end_max reaches to the end of the user half. Lock not held. */
void kmm_pt_free_tables(struct kmm *k, struct kmm_space *space, kmm_word floor, kmm_word ceiling, struct kmm_tlb *tlb);
/* The same, but only those tables that cover some of [start, end): all that a change there can have emptied, without
 * a search of the whole gap around it. floor <= start < end <= ceiling. */
struct kmm_pt_hole {
	kmm_word start, end, floor, ceiling;
};
void kmm_pt_free_around(struct kmm *k, struct kmm_space *space, const struct kmm_pt_hole *hole, struct kmm_tlb *tlb);

/* Has the space no tables but those that it keeps till its end? */
bool kmm_pt_is_bare(const struct kmm *k, const struct kmm_space *space);
/* How many tables; others may be making some. */
static inline kmm_word kmm_pt_nr_tables(const struct kmm_space *space)
{
	return __atomic_load_n(&space->nr_tables, __ATOMIC_RELAXED);
}

/* Kernel windows: maps empty level-0 slots or empties them, and tells the port (window_changed). flags: KMM_PTE_ bits
 * for the leaf; PRESENT and ACCESSED are added. The slots are the caller's, who excludes others from the same ones;
 * no lock is taken for them. Caller flushes after unmap.
 * Tables of the kmap and fixmap windows exist from boot: any context. Those of vmalloc (and of all 64-bit windows)
 * are made when first needed and stay: then no locks may be held, and it may sleep.
 * errors: KMM_ENOMEM no table, or from the port; nothing is mapped then. */
KMM_MUST_CHECK enum kmm_status kmm_pt_window_map(struct kmm *k, struct kmm_kva va, const struct kmm_pfn *pfns,
						 kmm_word nr, uint32_t flags);
void kmm_pt_window_unmap(struct kmm *k, struct kmm_kva va, kmm_word nr);
void kmm_pt_flush_kernel(struct kmm *k, struct kmm_kva start, struct kmm_kva end);

/* Drops this CPU's translation of one page of the kernel half. */
static inline void kmm_pt_flush_page_here(struct kmm *k, kmm_word va)
{
	struct kmm_flush flush = { { 0 }, va, va + KMM_PAGE_SIZE, false };

	if (k->native)
		kmm_port_flush_page(k->port, va);
	else
		k->port->tlb_flush_local(k->port, &flush);
}

/* Large leaves of windows, on 64-bit machines: 2^order pages at once, aligned to that in both addresses; unmapped
 * as the same number of slots. Order 0: this machine has none. A place that ever had a table of slots takes
 * no leaf any more, as the table stays. errors: as kmm_pt_window_map. */
unsigned kmm_pt_window_large_order(const struct kmm *k);
bool kmm_pt_window_takes_large(const struct kmm *k, struct kmm_kva va);
KMM_MUST_CHECK enum kmm_status kmm_pt_window_map_large(struct kmm *k, struct kmm_kva va, struct kmm_pfn first,
						       uint32_t flags);
/* For checkers: slots in use in [start, end), and large leaves there. */
kmm_word kmm_pt_window_count(const struct kmm *k, struct kmm_kva start, struct kmm_kva end, kmm_word *nr_large);

/* Checker: entry counts of tables, their kind and owner, table totals, no entry beyond the physical limit or with a
 * reserved bit, user and kernel entries where they belong, kernel halves equal. Returns violations, writes lines. */
unsigned kmm_pt_audit(struct kmm *k, struct kmm_sink *out);

#endif
