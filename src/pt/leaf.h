/* SPDX-License-Identifier: MIT */
/*
 * Last-level entries of user tables in runs, for loops over many pages: raw bits are tested instead of decoding each
 * entry, and what one entry costs besides (the table's count, the event, the flush range) is added up over the run.
 *
 *	for each entry of the run:  look, take or fill  ->  kmm_leaf_tally()
 *	after the run:              kmm_leaf_settle()
 *
 * All of it under the table's lock, so that an entry seen present stays so, with the same frame; only the processors'
 * accessed and dirty bits come in. User tables hold present entries and zeros (kmm_vm_audit proves it), and while a page
 * moves to another frame (vm/migrate.h) "moving" ones: what was present, with the bit GLOBAL in the place of PRESENT. They
 * count as mappings. Other values that are not present leave that bit clear: they name slots of swap (swap/swap.h).
 */
#ifndef KMM_PT_LEAF_H
#define KMM_PT_LEAF_H

#include "phys/phys.h"
#include "pt/fmt_x86.h"
#include "pt/pt.h"

/* What was changed in one run. */
struct kmm_leaf_run {
	struct kmm_space *space;
	kmm_word start, end;  /* from the first changed page to behind the last; valid if nr > 0 */
	unsigned nr;          /* entries changed */
};

static inline bool kmm_leaf_is_present(const void *entry)
{
	return kmm_entry_load_low(entry) & KMM_ENTRY_PRESENT;
}

#define KMM_X86_MOVING KMM_X86_G

static inline bool kmm_leaf_is_moving(const void *entry)
{
	return (kmm_entry_load_low(entry) & (KMM_ENTRY_PRESENT | KMM_X86_MOVING)) == KMM_X86_MOVING;
}

static inline bool kmm_raw_is_moving(uint64_t raw)
{
	return (raw & (KMM_X86_P | KMM_X86_MOVING)) == KMM_X86_MOVING;
}

/* All entries that are not zero have something in the low half. */
static inline bool kmm_leaf_is_zero(const void *entry) { return kmm_entry_load_low(entry) == 0; }

/* Present or moving: holds a frame. */
static inline bool kmm_leaf_is_mapped(const void *entry)
{
	return (kmm_entry_load_low(entry) & (KMM_ENTRY_PRESENT | KMM_X86_MOVING)) != 0;
}

static inline uint64_t kmm_leaf_from_moving(uint64_t raw, uint64_t pa)
{
	return (raw & ~(KMM_X86_ADDR | KMM_X86_MOVING)) | KMM_X86_P | pa;
}

/* For who counts mappings: a moving entry as the present one that it was. */
static inline uint64_t kmm_leaf_as_mapped(uint64_t raw)
{
	return kmm_raw_is_moving(raw) ? kmm_leaf_from_moving(raw, raw & KMM_X86_ADDR) : raw;
}

/* An entry that holds a frame, or one that only processors change now. */
static inline uint64_t kmm_leaf_read(const struct kmm *k, const void *entry)
{
	return kmm_pt_fmt(k)->entry_size == 4 ? kmm_entry_load_low(entry) : kmm_entry_load_settled64(entry);
}

/* A present entry becomes a moving one, in one piece with what processors marked until then; what it is now. Never through
 * 0: who holds the area for a change looks for entries without the table's lock, and takes 0 for nothing there. */
static inline uint64_t kmm_leaf_make_moving(const struct kmm *k, void *entry)
{
	uint32_t low = kmm_entry_load_low(entry);

	while (!__atomic_compare_exchange_n((uint32_t *)entry, &low, (low & ~KMM_ENTRY_PRESENT) | (uint32_t)KMM_X86_MOVING, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	return kmm_leaf_read(k, entry);
}

/* The frame of a present entry. Frames that are mapped have descriptors. */
static inline struct kmm_page *kmm_leaf_page(const struct kmm *k, uint64_t raw)
{
	return kmm_page_at(k->phys, (kmm_word)((raw & KMM_X86_ADDR) >> KMM_PAGE_SHIFT));
}

static inline void *kmm_leaf_next(const struct kmm *k, void *entry)
{
	return (char *)entry + kmm_pt_fmt(k)->entry_size;
}

/* Takes the right to write away and leaves all else, marks that a processor sets meanwhile too. */
static inline void kmm_leaf_forbid_write(void *entry)
{
	__atomic_fetch_and((uint32_t *)entry, ~(uint32_t)KMM_X86_RW, __ATOMIC_ACQ_REL);
}

/* Takes marks away from an entry, which stays what it is; returns what it was. */
static inline uint32_t kmm_leaf_remove(void *entry, uint32_t bits)
{
	return __atomic_fetch_and((uint32_t *)entry, ~bits, __ATOMIC_ACQ_REL);
}

/* Takes the accessed mark away. */
static inline void kmm_leaf_forget(void *entry)
{
	__atomic_fetch_and((uint32_t *)entry, ~(uint32_t)KMM_X86_A, __ATOMIC_ACQ_REL);
}

/* Sets bits of a present entry that mean more rights, or marks; returns what it was. */
static inline uint32_t kmm_leaf_add(void *entry, uint32_t bits)
{
	return __atomic_fetch_or((uint32_t *)entry, bits, __ATOMIC_ACQ_REL);
}

/* Notes a changed entry; raw: what it is now. */
static inline void kmm_leaf_tally(struct kmm *k, struct kmm_leaf_run *run, kmm_word va, uint64_t raw)
{
	if (run->nr++ == 0)
		run->start = va;
	run->end = va + KMM_PAGE_SIZE;
	if (__builtin_expect(k->trace != NULL, 0))
		kmm_trace_slow(k, KMM_EV_PT_SET, va, raw, 0, run->space->root.v);
}

/* The end of a run: the table has `more` entries than before (may be negative). tlb: gathers the range; NULL: nothing
 * that a processor can have seen was changed. */
static inline void kmm_leaf_settle(struct kmm *k, const struct kmm_leaf_run *run, struct kmm_page *table, int more,
				   struct kmm_tlb *tlb)
{
	unsigned count = atomic_load_explicit(&table->count, memory_order_relaxed);

	KMM_ASSERT(k, more >= 0 || count >= (unsigned)-more);
	atomic_store_explicit(&table->count, count + (unsigned)more, memory_order_relaxed);
	kmm_count_events(k, KMM_EV_PT_SET, run->nr);
	if (tlb && run->nr)
		kmm_tlb_note_range(tlb, run->start, run->end);
}

#endif
