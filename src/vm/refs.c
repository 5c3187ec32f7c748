/* SPDX-License-Identifier: MIT */
/*
 * Forgetting what a program has used or written (/proc/PID/clear_refs), so that what it does from then on can be seen.
 *
 * Writes are watched by taking the right to write away from every entry together with its mark: the next write is a fault,
 * which gives both back (fault/fault.h). An area made later counts as written as a whole, by a flag of its own.
 */
#include "swap/swap.h"
#include "vm/lock.h"

struct forget {
	struct kmm_mm *mm;
	struct kmm_tlb *tlb;
	uint32_t marks;
};

/* An entry that names a slot has one mark. */
static bool forget_entry(const struct forget *f, void *entry)
{
	if (kmm_leaf_is_mapped(entry))
		return kmm_leaf_remove(entry, f->marks) & f->marks;
	if (!(f->marks & KMM_X86_SOFT_DIRTY) || !(kmm_entry_load_low(entry) & KMM_SWAP_WRITTEN))
		return false;
	kmm_leaf_remove(entry, KMM_SWAP_WRITTEN);
	return true;
}

static bool forget_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct forget *f = arg;
	struct kmm *k = f->mm->k;
	struct kmm_leaf_run run = { .space = &f->mm->space };
	void *entry = first->entry;

	for (unsigned i = 0; i < nr; i++, entry = kmm_leaf_next(k, entry)) {
		if (forget_entry(f, entry))
			kmm_leaf_tally(k, &run, va + ((kmm_word)i << KMM_PAGE_SHIFT), kmm_leaf_read(k, entry));
	}
	kmm_leaf_settle(k, &run, first->table, 0, f->tlb);
	return true;
}

static bool is_meant(const struct kmm_vma *vma, int what)
{
	switch (what) {
	case KMM_REFS_ANON:
		return !vma->backing;
	case KMM_REFS_MAPPED:
		return vma->backing != NULL;
	default:
		return true;
	}
}

/* m held. */
static void forget(struct kmm_mm *mm, int what)
{
	bool writes = what == KMM_REFS_SOFT_DIRTY;
	struct kmm_tlb tlb;
	struct forget f = { mm, &tlb, writes ? KMM_X86_RW | KMM_X86_SOFT_DIRTY : KMM_X86_A };
	kmm_word resume;

	kmm_tlb_begin(mm->k, &tlb, &mm->space);
	for (struct kmm_vma *vma = kmm_mm_first(mm); vma; vma = kmm_vma_next(vma)) {
		if (!is_meant(vma, what))
			continue;
		if (writes) {
			kmm_vma_write(vma);
			vma->flags &= ~(uint32_t)KMM_VM_SOFTDIRTY;
		}
		kmm_pt_for_each_run(mm->k, &mm->space, vma->start, vma->end, forget_run, &f, &resume);
	}
	kmm_tlb_flush(mm->k, &tlb);
}

enum kmm_status kmm_clear_refs(struct kmm_mm *mm, int what)
{
	if (what < KMM_REFS_ALL || what > KMM_REFS_PEAK)
		return KMM_EINVAL;
	kmm_mm_lock(mm);
	if (what == KMM_REFS_PEAK)
		atomic_store_explicit(&mm->peak_rss, 0, memory_order_relaxed);
	else if (what != KMM_REFS_SOFT_DIRTY || kmm_fmt(mm->k)->va_bits > 32)
		forget(mm, what);
	kmm_mm_unlock(mm);
	return KMM_OK;
}
