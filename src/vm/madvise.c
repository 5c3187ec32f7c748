/* SPDX-License-Identifier: MIT */
/*
 * madvise(2): DONTNEED drops pages, WILLNEED reads a file's pages into its cache, the others are flags of areas.
 * A hole in the range does not stop the work, but the answer is then ENOMEM. Advice about huge pages is refused as by a
 * kernel without them.
 */
#include "vm/lock.h"

enum {
	NORMAL = 0, RANDOM = 1, SEQUENTIAL = 2, WILLNEED = 3, DONTNEED = 4, DONTFORK = 10, DOFORK = 11
};

static bool is_known(int advice)
{
	return (advice >= NORMAL && advice <= DONTNEED) || advice == DONTFORK || advice == DOFORK;
}

static uint32_t advised_flags(uint32_t flags, int advice)
{
	const uint32_t order = KMM_VM_RAND_READ | KMM_VM_SEQ_READ;

	switch (advice) {
	case NORMAL:
		return flags & ~order;
	case RANDOM:
		return (flags & ~order) | KMM_VM_RAND_READ;
	case SEQUENTIAL:
		return (flags & ~order) | KMM_VM_SEQ_READ;
	case DONTFORK:
		return flags | KMM_VM_DONTCOPY;
	default:
		return flags & ~(uint32_t)KMM_VM_DONTCOPY;
	}
}

static enum kmm_status drop_pages(struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	struct kmm *k = vma->mm->k;
	struct kmm_tlb tlb;

	if (vma->flags & KMM_VM_LOCKED)
		return KMM_EINVAL;
	kmm_tlb_begin(k, &tlb, &vma->mm->space);
	kmm_zap(vma, start, end, &tlb);
	kmm_tlb_flush(k, &tlb);
	return KMM_OK;
}

/* Only an offer: what cannot be read now is read, or fails, when it is touched. */
static void read_ahead(struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	uint64_t last = kmm_vma_index(vma, end - KMM_PAGE_SIZE);
	struct kmm_page *page;

	if (!vma->backing)
		return;
	for (uint64_t index = kmm_vma_index(vma, start); index <= last; index++) {
		if (vma->backing->ops->get_page(vma->backing, index, &page) != KMM_OK)
			return;
		kmm_put_page(vma->mm->k, page);
	}
}

/* [start, end) within vma; *prev as in mprotect. */
static enum kmm_status advise_part(struct kmm_mm *mm, struct kmm_vma *vma, struct kmm_vma **prev, kmm_word start,
				   kmm_word end, int advice, struct kmm_reserve *r)
{
	struct kmm_vma *before = *prev;
	uint32_t flags;
	enum kmm_status status;

	*prev = vma;
	if (advice == DONTNEED)
		return drop_pages(vma, start, end);
	if (advice == WILLNEED) {
		read_ahead(vma, start, end);
		return KMM_OK;
	}
	flags = advised_flags(vma->flags, advice);
	if (flags == vma->flags)
		return KMM_OK;
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
	for (;;) {
		if (!vma)
			return KMM_ENOMEM;
		if (start < vma->start) {
			answer = KMM_ENOMEM;
			start = vma->start;
			if (start >= end)
				return answer;
		}
		status = advise_part(mm, vma, &prev, start, vma->end < end ? vma->end : end, advice, r);
		if (status)
			return status;
		start = prev->end;
		if (start >= end)
			return answer;
		vma = kmm_vma_next(prev);
	}
}

static bool needs_cuts(int advice)
{
	return advice != DONTNEED && advice != WILLNEED;
}

enum kmm_status kmm_madvise(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, int advice)
{
	struct kmm_reserve r = { .nr = 0 };
	enum kmm_status status = KMM_OK;
	uint64_t aligned = kmm_mm_page_align(mm, len), end;

	if (!is_known(advice) || (addr.v & (KMM_PAGE_SIZE - 1)) || (len && !aligned))
		return KMM_EINVAL;
	end = kmm_mm_page_align(mm, addr.v + aligned);
	if (end < addr.v)
		return KMM_EINVAL;
	if (end == addr.v)
		return KMM_OK;
	kmm_mm_lock(mm);
	if (needs_cuts(advice))
		status = kmm_reserve_carve(mm, &r, kmm_mm_find(mm, addr.v), addr.v, (kmm_word)end) ? KMM_EAGAIN : KMM_OK;
	if (status == KMM_OK)
		status = advise_range(mm, addr.v, (kmm_word)end, advice, &r);
	kmm_reserve_drop(mm, &r);
	kmm_mm_unlock(mm);
	return status;
}
