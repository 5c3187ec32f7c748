/* SPDX-License-Identifier: MIT */
/*
 * mprotect(2). Works along the areas of the range; at the first that refuses, or at a hole, what was done so far
 * stays, as in Linux. Cuts can only be needed at the two ends, so what they need is reserved first.
 *
 * Entries are rewritten for the new rights. Write permission comes back to an entry only where a write needs no look:
 * a shared page of a backing that does not want to hear of writes, or a private page with one owner.
 */
#include "pt/leaf.h"
#include "vm/lock.h"

enum { PROT_SEM = 8, PROT_GROWSDOWN = 0x01000000, PROT_GROWSUP = 0x02000000 };

struct change {
	struct kmm_vma *vma;
	struct kmm_tlb *tlb;
};

/* May a write through this present entry go on without a fault? */
static bool may_be_writable(const struct kmm_vma *vma, uint64_t raw)
{
	const struct kmm_page *page;

	if (!(vma->flags & KMM_VM_WRITE) || (raw & KMM_X86_WATCHED))
		return false;
	if (!(vma->flags & KMM_VM_SOFTDIRTY) && !(raw & KMM_X86_SOFT_DIRTY))
		return false;
	if (!kmm_vma_is_private(vma))
		return (raw & KMM_X86_RW) || !vma->backing->ops->make_writable;
	page = kmm_leaf_page(vma->mm->k, raw);
	return kmm_page_kind(page) == KMM_KIND_ANON && atomic_load_explicit(&page->count, memory_order_relaxed) == 1 &&
	       atomic_load_explicit(&page->refcount, memory_order_relaxed) == 1;
}

/* Only rights change. The entry is taken out first, so no mark is lost that a processor sets until then. */
static bool change_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	const uint64_t keep = KMM_X86_ADDR | KMM_X86_A | KMM_X86_D | KMM_X86_SOFT_DIRTY | KMM_X86_WATCHED;
	struct change *c = arg;
	struct kmm *k = c->vma->mm->k;
	const uint64_t rights = kmm_pt_encode(k, (struct kmm_pte){ { 0 }, kmm_vma_leaf(k, c->vma->flags) });
	struct kmm_leaf_run run = { .space = &c->vma->mm->space };
	void *entry = first->entry;

	for (unsigned i = 0; i < nr; i++, entry = kmm_leaf_next(k, entry)) {
		uint64_t raw, now;

		if (!kmm_leaf_is_mapped(entry))
			continue;
		raw = kmm_leaf_read(k, entry);
		now = (rights & ~(uint64_t)KMM_X86_P) | (raw & (KMM_X86_P | KMM_X86_MOVING)) | (may_be_writable(c->vma, raw) ? KMM_X86_RW : 0);
		if ((now | (raw & keep)) == raw)
			continue;
		now |= kmm_entry_take(k, entry) & keep;
		kmm_entry_set(k, entry, now);
		kmm_leaf_tally(k, &run, va + ((kmm_word)i << KMM_PAGE_SHIFT), now);
	}
	kmm_leaf_settle(k, &run, first->table, 0, c->tlb);
	return true;
}

/* Where nothing but the right to write goes, one instruction takes it and leaves the marks. */
static bool forbid_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct change *c = arg;
	struct kmm *k = c->vma->mm->k;
	struct kmm_leaf_run run = { .space = &c->vma->mm->space };
	void *entry = first->entry;

	for (; nr; nr--, va += KMM_PAGE_SIZE, entry = kmm_leaf_next(k, entry)) {
		if (!kmm_leaf_is_mapped(entry) || !(kmm_entry_load_low(entry) & KMM_X86_RW))
			continue;
		kmm_leaf_forbid_write(entry);
		kmm_leaf_tally(k, &run, va, kmm_leaf_read(k, entry));
	}
	kmm_leaf_settle(k, &run, first->table, 0, c->tlb);
	return true;
}

/* Entries have the rights of their area, but for writing, which some lack. */
static bool only_forbids(uint32_t old_flags, uint32_t new_flags)
{
	return ((old_flags ^ new_flags) & KMM_VM_ACCESS) == KMM_VM_WRITE && (old_flags & KMM_VM_WRITE) &&
	       (new_flags & KMM_VM_ACCESS);
}

static void change_entries(struct kmm_vma *vma, uint32_t old_flags, kmm_word start, kmm_word end)
{
	struct kmm *k = vma->mm->k;
	struct kmm_tlb tlb;
	struct change c = { vma, &tlb };
	kmm_word resume;

	KMM_CHECK(k, kmm_vma_is_written(vma) && vma->start <= start && start < end && end <= vma->end);
	kmm_tlb_begin(k, &tlb, &vma->mm->space);
	kmm_pt_for_each_run(k, &vma->mm->space, start, end, only_forbids(old_flags, vma->flags) ? forbid_run : change_run,
			    &c, &resume);
	kmm_tlb_flush(k, &tlb);
}

/* Area that becomes writable starts to count as data, and towards overcommit if it is private. */
static enum kmm_status charge(struct kmm_mm *mm, uint32_t old_flags, kmm_word pages, uint32_t *new_flags)
{
	if (!(*new_flags & KMM_VM_WRITE))
		return KMM_OK;
	if (!kmm_mm_may_expand(mm, *new_flags, pages) && kmm_mm_may_expand(mm, old_flags, pages))
		return KMM_ENOMEM;
	if (old_flags & (KMM_VM_ACCOUNT | KMM_VM_WRITE | KMM_VM_SHARED | KMM_VM_NORESERVE))
		return KMM_OK;
	if (!kmm_vm_enough(mm, pages))
		return KMM_ENOMEM;
	*new_flags |= KMM_VM_ACCOUNT;
	return KMM_OK;
}

/* [start, end) within vma. *prev: the area before; becomes the one that now covers the range. */
static enum kmm_status protect_part(struct kmm_mm *mm, struct kmm_vma *vma, struct kmm_vma **prev, kmm_word start,
				    kmm_word end, uint32_t new_flags, struct kmm_reserve *r)
{
	uint32_t old_flags = vma->flags;
	kmm_word pages = (end - start) >> KMM_PAGE_SHIFT;
	enum kmm_status status;

	if (new_flags == old_flags) {
		*prev = vma;
		return KMM_OK;
	}
	status = charge(mm, old_flags, pages, &new_flags);
	if (status)
		return status;
	kmm_vma_write(vma);
	status = kmm_vma_carve(mm, *prev, vma, start, end, new_flags, r, prev);
	if (status)
		return status;
	__atomic_store_n(&(*prev)->flags, new_flags, __ATOMIC_RELAXED); /* who comes by the reverse map reads them without our locks */
	if (!kmm_pt_is_void(mm->k, &mm->space, start, end))
		change_entries(*prev, old_flags, start, end);
	kmm_mm_account_change(mm, old_flags, new_flags, pages);
	return KMM_OK;
}

/* Locked private memory that becomes writable is to have its own pages at once. They come when all is done, but as if they
 * came area by area: whose object they belong to decides what the next one merges with. If there is none to be had, they
 * will not come either. */
static void note_writable(struct kmm_vma *vma, struct kmm_populate *populate, uint32_t old_flags, kmm_word start, kmm_word end)
{
	enum kmm_status ignored;

	if ((old_flags & (KMM_VM_WRITE | KMM_VM_SHARED | KMM_VM_LOCKED | KMM_VM_LOCKONFAULT)) != KMM_VM_LOCKED ||
	    !(vma->flags & KMM_VM_WRITE))
		return;
	ignored = kmm_anon_prepare(vma);
	(void)ignored;
	if (!populate->len)
		populate->at = start;
	populate->len = end - populate->at;
}

static enum kmm_status protect_range(struct kmm_mm *mm, struct kmm_vma *vma, kmm_word start, kmm_word end, unsigned prot,
				     struct kmm_reserve *r, struct kmm_populate *populate)
{
	struct kmm_vma *prev = start > vma->start ? vma : kmm_vma_prev(vma);
	kmm_word at = start;

	for (;;) {
		uint32_t old_flags = vma->flags, flags = (prot & KMM_VM_ACCESS) | (old_flags & ~(uint32_t)KMM_VM_ACCESS);
		kmm_word to = vma->end < end ? vma->end : end;
		enum kmm_status status;

		if (flags & ~(flags >> 4) & KMM_VM_ACCESS) /* MAYREAD, MAYWRITE, MAYEXEC are four bits up */
			return KMM_EACCES;
		status = protect_part(mm, vma, &prev, at, to, flags, r);
		if (status)
			return status;
		note_writable(prev, populate, old_flags, at, to);
		at = to < prev->end ? prev->end : to;
		if (at >= end)
			return KMM_OK;
		vma = kmm_vma_next(prev);
		if (!vma || vma->start != at)
			return KMM_ENOMEM;
	}
}

static enum kmm_status protect_locked(struct kmm_mm *mm, kmm_word start, kmm_word end, unsigned prot, unsigned grows,
				      struct kmm_populate *populate)
{
	struct kmm_vma *vma = kmm_mm_find(mm, start);
	enum kmm_status status;
	struct kmm_reserve r;

	if (!vma)
		return KMM_ENOMEM;
	if (grows & PROT_GROWSDOWN) {
		if (vma->start >= end)
			return KMM_ENOMEM;
		start = vma->start;
		if (!(vma->flags & KMM_VM_GROWSDOWN))
			return KMM_EINVAL;
	} else if (vma->start > start) {
		return KMM_ENOMEM;
	} else if (grows & PROT_GROWSUP) {
		return KMM_EINVAL; /* no area of these machines grows up */
	}
	if (kmm_reserve_carve(mm, &r, vma, start, end) != KMM_OK)
		return KMM_ENOMEM;
	status = protect_range(mm, vma, start, end, prot, &r, populate);
	kmm_reserve_drop(mm, &r);
	return status;
}

enum kmm_status kmm_mm_protect(struct kmm_mm *mm, kmm_word addr, uint64_t len, unsigned prot, struct kmm_populate *populate)
{
	unsigned grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	uint64_t end;
	enum kmm_status status;

	prot &= ~(unsigned)(PROT_GROWSDOWN | PROT_GROWSUP);
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || (addr & (KMM_PAGE_SIZE - 1)))
		return KMM_EINVAL;
	if (!len)
		return KMM_OK;
	end = kmm_mm_page_align(mm, addr + kmm_mm_page_align(mm, len));
	if (end <= addr)
		return KMM_ENOMEM;
	if (prot & ~(unsigned)(KMM_VM_ACCESS | PROT_SEM))
		return KMM_EINVAL;
	kmm_mm_lock(mm);
	status = protect_locked(mm, addr, (kmm_word)end, prot, grows, populate);
	kmm_mm_unlock(mm);
	if (status == KMM_OK)
		kmm_trace(mm->k, KMM_EV_MPROTECT, addr, end, prot, 0);
	return status;
}
