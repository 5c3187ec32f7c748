/* SPDX-License-Identifier: MIT */
/*
 * Writes that an area's watcher allows (kmm/userfault.h). A watched page's entry has a mark and not the right to write; in swap the
 * mark is the entry's that names the slot. Where an area has a backing, an entry that shows nothing can have the mark alone: the
 * page may be there without it. In private memory without a file what is not there is not watched, as in Linux 6.1.
 *
 *	marked     by the watcher alone, the area locked for writing: so no fault is in that has seen it without
 *	a fault    that finds the mark tells the watcher (fault/userfault.c), and none gives the right to write
 *	unmarked   by the watcher, and when the area loses it; the right to write then comes by the next fault
 */
#include "swap/swap.h"
#include "vm/lock.h"

struct marking {
	struct kmm_mm *mm;
	struct kmm_tlb *tlb;
	bool watched;
};

/* Has the entry changed? *gone: it was a mark alone, and is nothing now. */
static bool mark_entry(const struct marking *m, void *entry, bool *gone)
{
	bool mapped = kmm_leaf_is_mapped(entry);
	uint32_t mark = mapped ? (uint32_t)KMM_X86_WATCHED : KMM_SWAP_WATCHED;
	uint64_t raw = kmm_entry_load(m->mm->k, entry);

	*gone = !m->watched && raw == KMM_RAW_WATCHED_HOLE;
	if (!raw || ((raw & mark) != 0) == m->watched)
		return false;
	if (mapped && m->watched)
		kmm_leaf_forbid_write(entry);
	if (m->watched)
		kmm_leaf_add(entry, mark);
	else
		kmm_leaf_remove(entry, mark);
	return true;
}

static bool mark_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	const struct marking *m = arg;
	struct kmm *k = m->mm->k;
	struct kmm_leaf_run run = { .space = &m->mm->space };
	void *entry = first->entry;
	int nr_gone = 0;
	bool gone;

	for (; nr; nr--, va += KMM_PAGE_SIZE, entry = kmm_leaf_next(k, entry)) {
		if (!mark_entry(m, entry, &gone))
			continue;
		nr_gone += gone;
		kmm_leaf_tally(k, &run, va, kmm_entry_load(k, entry));
	}
	kmm_leaf_settle(k, &run, first->table, -nr_gone, m->tlb);
	return true;
}

void kmm_watch_writes(struct kmm_mm *mm, kmm_word start, kmm_word end, bool watched)
{
	struct kmm_tlb tlb;
	struct marking m = { mm, &tlb, watched };
	kmm_word resume;

	KMM_CHECK_HELD(mm->k, &mm->lock);
	kmm_tlb_begin(mm->k, &tlb, &mm->space);
	kmm_pt_for_each_run(mm->k, &mm->space, start, end, mark_run, &m, &resume);
	kmm_tlb_flush(mm->k, &tlb);
}

/* ---- where there is nothing ---- */

/* The address behind the table of `at`, or end. */
static kmm_word table_end(const struct kmm *k, kmm_word at, kmm_word end)
{
	const kmm_word table = (kmm_word)1 << kmm_pt_fmt(k)->level[1].shift;
	kmm_word rest = table - (at & (table - 1));

	return rest < end - at ? at + rest : end;
}

/* In one table, which was made. */
static void mark_holes(struct kmm_mm *mm, kmm_word at, kmm_word end)
{
	struct kmm_ptref ref;
	unsigned long flags;
	bool found = kmm_pt_lookup_lock(mm->k, &mm->space, at, &ref, &flags);

	KMM_ASSERT(mm->k, found); /* tables go by m alone */
	for (; at < end; at += KMM_PAGE_SIZE, ref.entry = kmm_leaf_next(mm->k, ref.entry))
		if (kmm_leaf_is_zero(ref.entry))
			kmm_pt_write(mm->k, &mm->space, &ref, at, KMM_RAW_WATCHED_HOLE);
	kmm_pt_unlock(mm->k, &ref, flags);
}

enum kmm_status kmm_vma_watch_writes(struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	struct kmm_mm *mm = vma->mm;

	KMM_ASSERT(mm->k, kmm_vma_is_written(vma) && vma->start <= start && start < end && end <= vma->end);
	for (kmm_word at = start; vma->backing && at < end; at = table_end(mm->k, at, end))
		if (kmm_pt_make(mm->k, &mm->space, at, KMM_GFP_KERNEL) != KMM_OK)
			return KMM_ENOMEM;
	kmm_watch_writes(mm, start, end, true);
	for (kmm_word at = start; vma->backing && at < end; at = table_end(mm->k, at, end))
		mark_holes(mm, at, table_end(mm->k, at, end));
	return KMM_OK;
}

static enum kmm_status protect(struct kmm_mm *mm, kmm_word start, kmm_word end, bool watched)
{
	struct kmm_vma *vma = kmm_mm_find(mm, start);

	if (!vma || vma->start > start || vma->end < end || !(vma->flags & KMM_VM_WATCH_WRITES))
		return KMM_ENOENT;
	if (__atomic_load_n(&vma->userfault->changing, __ATOMIC_ACQUIRE))
		return KMM_EAGAIN;
	kmm_vma_write(vma);
	if (watched)
		return kmm_vma_watch_writes(vma, start, end);
	kmm_watch_writes(mm, start, end, false);
	return KMM_OK;
}

enum kmm_status kmm_userfault_protect(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, bool watched)
{
	kmm_word task_size = kmm_mm_task_size(mm);
	enum kmm_status status;

	if (((addr.v | len) & (KMM_PAGE_SIZE - 1)) || !len || addr.v >= task_size || len > task_size - addr.v)
		return KMM_EINVAL;
	kmm_mm_lock(mm);
	status = protect(mm, addr.v, addr.v + (kmm_word)len, watched);
	kmm_mm_unlock(mm);
	return status;
}
