/* SPDX-License-Identifier: MIT */
/*
 * Making memory resident before a call returns: MAP_POPULATE and MAP_LOCKED, what mlockall() and mlock() lock, what locked
 * areas grow by, and the two advices that ask for nothing else.
 *
 * For most callers it is an offer: a page that cannot be had now leaves its area unpopulated and the call successful. No
 * lock is held over it, as each fault takes what it needs; what others change meanwhile is populated as it is found.
 */
#include "fault/populate.h"

struct area {
	kmm_word start, end; /* the part that is wanted */
	uint32_t flags;
};

/* Private writable memory is touched by writing, so that no later write has to copy. */
static enum kmm_access access_for(uint32_t vm_flags)
{
	return (vm_flags & (KMM_VM_WRITE | KMM_VM_SHARED)) == KMM_VM_WRITE ? KMM_WRITE : KMM_READ;
}

static enum kmm_fault_kind populate_area(struct kmm_mm *mm, const struct area *area, enum kmm_access access)
{
	enum kmm_fault_kind kind = KMM_FAULT_OK;

	for (kmm_word at = area->start; at < area->end && kind == KMM_FAULT_OK; at += KMM_PAGE_SIZE)
		kind = kmm_fault_in(mm, at, access);
	return kind;
}

/* The first area of [at, end), as a part of that range. false: none. */
static bool next_area(struct kmm_mm *mm, kmm_word at, kmm_word end, struct area *out)
{
	struct kmm_vma *vma;
	bool found;

	kmm_mm_lock(mm);
	vma = kmm_mm_find(mm, at);
	found = vma && vma->start < end;
	if (found)
		*out = (struct area){ .start = vma->start > at ? vma->start : at, .end = vma->end < end ? vma->end : end,
				      .flags = vma->flags };
	kmm_mm_unlock(mm);
	return found;
}

enum kmm_fault_kind kmm_populate(struct kmm_mm *mm, const struct kmm_populate *range, enum kmm_populate_how how)
{
	kmm_word at = range->at, end = at + range->len;
	enum kmm_fault_kind kind = KMM_FAULT_OK;
	struct area area;

	for (; at < end && next_area(mm, at, end, &area); at = area.end) {
		if (area.flags & KMM_VM_LOCKONFAULT)
			continue;
		if (how == KMM_POPULATE_LOCKED && !(area.flags & KMM_VM_LOCKED))
			continue;
		kind = populate_area(mm, &area, access_for(area.flags));
		if (kind == KMM_FAULT_OOM || (kind != KMM_FAULT_OK && how == KMM_POPULATE_STRICTLY))
			break;
	}
	return kind;
}

/* ---- madvise ---- */

static enum kmm_status advice_status(enum kmm_fault_kind kind)
{
	if (kind == KMM_FAULT_OK)
		return KMM_OK;
	return kind == KMM_FAULT_OOM ? KMM_ENOMEM : KMM_EFAULT;
}

/* POPULATE_READ and POPULATE_WRITE do not go beyond the areas' rights. Behind a hole 6.1 goes on, later Linux does not. */
static enum kmm_status populate_by_advice(struct kmm_mm *mm, kmm_word at, kmm_word end, enum kmm_access access)
{
	uint32_t need = access == KMM_WRITE ? KMM_VM_WRITE : KMM_VM_READ;
	enum kmm_status answer = KMM_OK, status;
	struct area area;

	for (; at < end; at = area.end) {
		if (!next_area(mm, at, end, &area))
			return KMM_ENOMEM;
		if (area.start > at)
			answer = KMM_ENOMEM;
		if (!(area.flags & need))
			return KMM_EINVAL;
		status = advice_status(populate_area(mm, &area, access));
		if (status)
			return status;
	}
	return answer;
}

static bool is_known(int advice)
{
	return (advice >= KMM_MADV_NORMAL && advice <= KMM_MADV_DONTNEED) || (advice >= KMM_MADV_FREE && advice <= KMM_MADV_COLLAPSE) ||
	       advice == KMM_MADV_HWPOISON || advice == KMM_MADV_SOFT_OFFLINE;
}

enum kmm_status kmm_madvise(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, int advice)
{
	uint64_t aligned = kmm_mm_page_align(mm, len), end = kmm_mm_page_align(mm, addr.v + aligned);

	if (!is_known(advice) || (addr.v & (KMM_PAGE_SIZE - 1)) || (len && !aligned) || end < addr.v)
		return KMM_EINVAL;
	if (end == addr.v)
		return KMM_OK;
	switch (advice) {
	case KMM_MADV_POPULATE_READ:
		return populate_by_advice(mm, addr.v, (kmm_word)end, KMM_READ);
	case KMM_MADV_POPULATE_WRITE:
		return populate_by_advice(mm, addr.v, (kmm_word)end, KMM_WRITE);
	case KMM_MADV_HWPOISON:
	case KMM_MADV_SOFT_OFFLINE:
		return (mm->limits.rights & KMM_MAY_ADMIN) ? KMM_EINVAL : KMM_EPERM;
	default:
		return kmm_mm_advise(mm, addr.v, (kmm_word)end, advice);
	}
}
