/* SPDX-License-Identifier: MIT */
/*
 * A private page that is in swap: read into a page of its own, which takes the entry's place. Or the page is on its way (being
 * written, or read ahead) and nobody else wants it: then it takes the entry's place itself, under the lock of the table under
 * which that was seen.
 *
 * While it is read the slot has a count of ours, so it is not used for anything else even if others bring the page back or
 * drop it; and then the entry, found unchanged under the table's lock, still means what was read.
 */
#include "fault/fault.h"

#include "kva/kva.h"
#include "pageq/pageq.h"
#include "swap/swap.h"

/* The table of the entry, if the entry is what was seen. */
static bool lock_seen(struct kmm_fault *f, unsigned long *flags)
{
	struct kmm *k = f->vma->mm->k;

	if (!kmm_table_lock(k, f->ref.table, flags))
		return false;
	if (kmm_pt_read(k, &f->ref) == f->raw)
		return true;
	kmm_pt_unlock(k, &f->ref, *flags);
	return false;
}

/* Does the page count as written already? */
static bool is_written(const struct kmm_fault *f)
{
	return (f->raw & KMM_SWAP_WRITTEN) || (f->vma->flags & KMM_VM_SOFTDIRTY);
}

/* The page is nobody else's, so it may be written at once, unless writing is watched: then the first write is to be a fault. Not
 * marked as used: the access that faulted does that. */
static uint64_t entry_of(struct kmm_fault *f, struct kmm_page *page)
{
	struct kmm *k = f->vma->mm->k;
	uint64_t rights = kmm_fault_rights(f) & ~(uint64_t)KMM_X86_A;

	if (f->raw & KMM_SWAP_WRITTEN)
		rights |= KMM_X86_SOFT_DIRTY;
	if (f->vma->flags & KMM_VM_WRITE)
		rights |= KMM_X86_D;
	if (kmm_raw_is_watched(f->raw))
		rights |= KMM_X86_WATCHED;
	else if ((f->vma->flags & KMM_VM_WRITE) && (f->access == KMM_WRITE || is_written(f)))
		rights |= KMM_FAULT_WRITABLE;
	return kmm_pt_leaf(rights, kmm_pfn(kmm_pfn_of(k->phys, page)));
}

/* The table locked, and the entry is what was seen. */
static void put_entry(struct kmm_fault *f, struct kmm_page *page)
{
	struct kmm_mm *mm = f->vma->mm;

	kmm_pt_write(mm->k, &mm->space, &f->ref, f->addr, entry_of(f, page));
	kmm_vma_count_page(f->vma, page, true);
	kmm_mm_count_rss(mm, KMM_RSS_SWAP, -(kmm_word)1);
}

/* The entry's count of the slot is left, and the caller's from now on. */
static enum kmm_status install(struct kmm_fault *f, struct kmm_page *page)
{
	struct kmm_mm *mm = f->vma->mm;
	unsigned long flags;

	if (!lock_seen(f, &flags))
		return KMM_EAGAIN;
	put_entry(f, page);
	kmm_pt_unlock(mm->k, &f->ref, flags);
	return KMM_OK;
}

/* ---- pages on their way ---- */

/* A page that was on its way is ours now. If it was read ahead nobody was charged for it yet, and there
 * is no time to make room now. */
static void adopt(struct kmm_fault *f, struct kmm_page *page, const struct kmm_slot_past *past)
{
	struct kmm *k = f->vma->mm->k;

	if (kmm_page_kind(page) != KMM_KIND_ANON) {
		kmm_page_set_kind(k, page, KMM_KIND_ANON);
		if (kmm_mm_charge(f->vma->mm, page, KMM_CHARGE_ANYWAY) != KMM_OK)
			KMM_ASSERT(k, false);
	}
	kmm_page_set_owner(k, page, f->vma->anon);
	kmm_page_set_index(k, page, kmm_vma_index(f->vma, f->addr));
	kmm_group_refault(k, page, past->distance, past->was);
}

/* What is to be done about a slot of which there was something on its way a moment ago. The table locked. false: too many counts. */
static bool claim_slot(struct kmm_fault *f, enum kmm_cached_claim *claim, struct kmm_page **cached, struct kmm_slot_past *past)
{
	struct kmm *k = f->vma->mm->k;
	uint32_t raw = kmm_raw_slot(f->raw);

	kmm_slot_past(k, raw, past); /* while it is ours for sure */
	*claim = kmm_cached_claim(k, raw, true, cached);
	if (*claim == KMM_CLAIM_TAKEN) {
		adopt(f, *cached, past);
		put_entry(f, *cached);
	}
	return *claim == KMM_CLAIM_TAKEN || *claim == KMM_CLAIM_WAIT || kmm_slot_get(k, raw);
}

/* What is to be done about the slot. NONE, and COPY with *cached to copy: it has a count of ours. */
static enum kmm_status look(struct kmm_fault *f, enum kmm_cached_claim *claim, struct kmm_page **cached, struct kmm_slot_past *past)
{
	struct kmm *k = f->vma->mm->k;
	unsigned long flags;
	bool held;

	if (!lock_seen(f, &flags))
		return KMM_EAGAIN;
	if (kmm_cached_is_empty(k))
		held = kmm_slot_get_with_past(k, kmm_raw_slot(f->raw), past);
	else
		held = claim_slot(f, claim, cached, past);
	kmm_pt_unlock(k, &f->ref, flags);
	if (held)
		return KMM_OK;
	if (*claim == KMM_CLAIM_COPY)
		kmm_put_page(k, *cached);
	return KMM_ENOMEM;
}

/* ---- the fault ---- */

/* cached: has the content; NULL: it is in the slot. */
static enum kmm_status get_content(struct kmm_fault *f, struct kmm_page *page, struct kmm_page *cached)
{
	struct kmm_mm *mm = f->vma->mm;
	enum kmm_status status;

	if (cached) {
		kmm_copy_page(mm->k, page, cached);
		return KMM_OK;
	}
	status = kmm_fault_read_swap(f, page);
	if (status == KMM_OK && !kmm_swap_is_same((uint32_t)f->raw)) {
		kmm_mm_count(mm, &mm->major_faults);
		__atomic_fetch_add(&mm->k->swap->stats.major, 1, __ATOMIC_RELAXED);
	}
	return status;
}

/* Slot held. */
static enum kmm_status bring_back(struct kmm_fault *f, struct kmm_page *cached, const struct kmm_slot_past *past)
{
	struct kmm *k = f->vma->mm->k;
	struct kmm_page *page = kmm_fault_page_back(f, kmm_slot_group(k, kmm_raw_slot(f->raw)));
	enum kmm_status status;

	if (!page)
		return KMM_ENOMEM;
	kmm_group_refault(k, page, past->distance, past->was);
	status = get_content(f, page, cached);
	if (status == KMM_OK)
		status = install(f, page);
	if (status)
		kmm_put_page(k, page);
	return status;
}

enum kmm_status kmm_fault_swap(struct kmm_fault *f)
{
	struct kmm *k = f->vma->mm->k;
	enum kmm_cached_claim claim = KMM_CLAIM_NONE;
	struct kmm_page *cached = NULL;
	struct kmm_slot_past past;
	unsigned seen = kmm_swap_ends(k);
	enum kmm_status status = look(f, &claim, &cached, &past);

	if (status)
		return status;
	switch (claim) {
	case KMM_CLAIM_WAIT:
		kmm_swap_wait(k, seen, true);
		return KMM_EAGAIN;
	case KMM_CLAIM_TAKEN:
		kmm_fault_ahead_used(f);
		if (f->vma->mm->group)
			kmm_group_settle(f->vma->mm->group, KMM_GFP_HIGHUSER_MOVABLE);
		return KMM_OK;
	default:
		status = bring_back(f, cached, &past);
	}
	kmm_slot_put_some(k, kmm_raw_slot(f->raw), status == KMM_OK ? 2 : 1); /* ours, and the entry's that names it no more */
	if (cached)
		kmm_put_page(k, cached);
	return status;
}

/* ---- for swapoff ---- */

/* The area that covers addr, locked for reading. NULL: none does any more. */
static struct kmm_vma *area_at(struct kmm_mm *mm, kmm_word addr)
{
	struct kmm_vma *vma = kmm_vma_read_at(mm, addr);

	if (vma)
		return vma;
	kmm_mm_lock(mm);
	vma = kmm_mm_find(mm, addr);
	if (vma && vma->start > addr)
		vma = NULL;
	if (vma)
		kmm_vma_read(vma);
	kmm_mm_unlock(mm);
	return vma;
}

static uint64_t entry_at(struct kmm_fault *f)
{
	struct kmm_mm *mm = f->vma->mm;

	f->has_table = kmm_pt_lookup(mm->k, &mm->space, f->addr, &f->ref);
	f->raw = f->has_table ? kmm_pt_read(mm->k, &f->ref) : 0;
	return f->raw;
}

enum kmm_status kmm_fault_swap_at(struct kmm_mm *mm, kmm_word addr)
{
	struct kmm_fault f = { .vma = area_at(mm, addr), .addr = addr, .access = KMM_READ };
	enum kmm_status status;

	if (!f.vma)
		return KMM_OK;
	do /* until it is here, perhaps by somebody else */
		status = kmm_raw_is_swap(entry_at(&f)) ? kmm_fault_swap(&f) : KMM_OK;
	while (status == KMM_EAGAIN);
	kmm_vma_read_end(f.vma);
	return status;
}
