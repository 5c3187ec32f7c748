/* SPDX-License-Identifier: MIT */
/*
 * madvise(2) but for populating, which is the fault layer's: what is done to pages is in advise.c, the rest are flags of
 * areas. A hole in the range does not stop the work, but the answer is then ENOMEM.
 */
#include "vm/advise.h"

/* What the advice makes of an area's flags. errors: KMM_EINVAL, not of such an area. */
static enum kmm_status advised_flags(const struct kmm_vma *vma, int advice, uint32_t *flags)
{
	const uint32_t order = KMM_VM_RAND_READ | KMM_VM_SEQ_READ;

	switch (advice) {
	case KMM_MADV_NORMAL:
		*flags &= ~order;
		break;
	case KMM_MADV_RANDOM:
		*flags = (*flags & ~order) | KMM_VM_RAND_READ;
		break;
	case KMM_MADV_SEQUENTIAL:
		*flags = (*flags & ~order) | KMM_VM_SEQ_READ;
		break;
	case KMM_MADV_DONTFORK:
		*flags |= KMM_VM_DONTCOPY;
		break;
	case KMM_MADV_DOFORK:
		*flags &= ~(uint32_t)KMM_VM_DONTCOPY;
		break;
	case KMM_MADV_WIPEONFORK:
		if (vma->backing || vma->opening || (*flags & KMM_VM_SHARED))
			return KMM_EINVAL;
		*flags |= KMM_VM_WIPEONFORK;
		break;
	case KMM_MADV_KEEPONFORK:
		*flags &= ~(uint32_t)KMM_VM_WIPEONFORK;
		break;
	case KMM_MADV_DONTDUMP:
		*flags |= KMM_VM_DONTDUMP;
		break;
	case KMM_MADV_DODUMP:
		if (*flags & KMM_VM_SPECIAL)
			return KMM_EINVAL;
		*flags &= ~(uint32_t)KMM_VM_DONTDUMP;
		break;
	case KMM_MADV_MERGEABLE:
		if (!(*flags & (KMM_VM_SHARED | KMM_VM_MAYSHARE | KMM_VM_SPECIAL)))
			*flags |= KMM_VM_MERGEABLE;
		break;
	case KMM_MADV_HUGEPAGE:
		*flags = (*flags & ~(uint32_t)KMM_VM_NOT_HUGE) | KMM_VM_HUGE;
		break;
	case KMM_MADV_NOHUGEPAGE:
		*flags = (*flags & ~(uint32_t)KMM_VM_HUGE) | KMM_VM_NOT_HUGE;
		break;
	default:
		KMM_ASSERT(vma->mm->k, advice == KMM_MADV_UNMERGEABLE);
		*flags &= ~(uint32_t)KMM_VM_MERGEABLE;
		break;
	}
	return KMM_OK;
}

/* Are pages what it is about, and not areas? */
static bool is_about_pages(int advice)
{
	switch (advice) {
	case KMM_MADV_WILLNEED:
	case KMM_MADV_DONTNEED:
	case KMM_MADV_DONTNEED_LOCKED:
	case KMM_MADV_FREE:
	case KMM_MADV_REMOVE:
	case KMM_MADV_COLD:
	case KMM_MADV_PAGEOUT:
	case KMM_MADV_COLLAPSE:
		return true;
	default:
		return false;
	}
}

/* [start, end) within vma; *prev as in mprotect. */
static enum kmm_status advise_area(struct kmm_mm *mm, struct kmm_vma *vma, struct kmm_vma **prev, kmm_word start,
				   kmm_word end, int advice, struct kmm_reserve *r)
{
	struct kmm_vma *before = *prev;
	uint32_t flags = vma->flags;
	enum kmm_status status = advised_flags(vma, advice, &flags);

	*prev = vma;
	if (status || flags == vma->flags)
		return status;
	kmm_vma_write(vma);
	status = kmm_vma_carve(mm, before, vma, start, end, flags, r, prev);
	if (status)
		return KMM_EAGAIN; /* what Linux says when an area cannot be cut */
	(*prev)->flags = flags;
	return KMM_OK;
}

static enum kmm_status advise_range(struct kmm_mm *mm, kmm_word start, kmm_word end, int advice, struct kmm_reserve *r)
{
	struct kmm_vma *prev, *vma = kmm_mm_find_prev(mm, start, &prev);
	enum kmm_status answer = KMM_OK, status;

	if (vma && start > vma->start)
		prev = vma;
	for (; vma; vma = kmm_mm_find_prev(mm, start, &prev)) {
		if (start < vma->start) {
			answer = KMM_ENOMEM;
			start = vma->start;
			if (start >= end)
				return answer;
		} else if (start > vma->start) {
			prev = vma;
		}
		if (is_about_pages(advice)) {
			kmm_word to = vma->end < end ? vma->end : end;

			status = kmm_advise_pages(vma, start, to, advice); /* m may be given back meanwhile */
			start = to;
		} else {
			status = advise_area(mm, vma, &prev, start, vma->end < end ? vma->end : end, advice, r);
			start = prev ? prev->end : end;
		}
		if (status)
			return status;
		if (start >= end)
			return answer;
	}
	return KMM_ENOMEM;
}

enum kmm_status kmm_mm_advise(struct kmm_mm *mm, kmm_word start, kmm_word end, int advice)
{
	struct kmm_reserve r = { .nr = 0 };
	enum kmm_status status = KMM_OK;

	kmm_mm_lock(mm);
	if (!is_about_pages(advice))
		status = kmm_reserve_carve(mm, &r, kmm_mm_find(mm, start), start, end) ? KMM_EAGAIN : KMM_OK;
	if (status == KMM_OK)
		status = advise_range(mm, start, end, advice, &r);
	kmm_reserve_drop(mm, &r);
	kmm_mm_unlock(mm);
	return status;
}
