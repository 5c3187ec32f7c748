/* SPDX-License-Identifier: MIT */
/*
 * Areas that grow down. An access below one grows it to that page, wherever the stack pointer is (as Linux since 5.0),
 * if RLIMIT_STACK and RLIMIT_AS allow it and the guard gap to the area below stays open. Areas without access and other
 * growing ones may come closer.
 */
#include "vm/lock.h"

static bool keeps_gap(const struct kmm_vma *vma, kmm_word addr)
{
	const struct kmm_vma *prev = kmm_vma_prev(vma);
	kmm_word gap = (kmm_word)vma->mm->limits.stack_guard_pages << KMM_PAGE_SHIFT;

	if (!prev || (prev->flags & KMM_VM_GROWSDOWN) || !(prev->flags & KMM_VM_ACCESS))
		return true;
	return addr - prev->end >= gap;
}

static bool is_within_limits(const struct kmm_vma *vma, kmm_word addr)
{
	const struct kmm_mm *mm = vma->mm;
	kmm_word pages = (vma->start - addr) >> KMM_PAGE_SHIFT;

	return pages <= vma->pgoff && kmm_mm_may_expand(mm, vma->flags, pages) &&
	       vma->end - addr <= mm->limits.stack_bytes && kmm_mm_lock_fits(mm, vma->flags, pages) &&
	       kmm_vm_enough(mm, pages);
}

enum kmm_status kmm_vma_grow_down(struct kmm_vma *vma, kmm_word addr)
{
	struct kmm_mm *mm = vma->mm;
	kmm_word start = addr & ~(kmm_word)(KMM_PAGE_SIZE - 1), pages;

	KMM_ASSERT(mm->k, (vma->flags & KMM_VM_GROWSDOWN) && start < vma->start);
	if (start < mm->limits.mmap_min_addr || !keeps_gap(vma, start))
		return KMM_EFAULT;
	/* Linux gives it its anon object here, limits allowing or not, and areas merge by that. */
	if (kmm_anon_prepare(vma) != KMM_OK)
		return KMM_ENOMEM;
	if (!is_within_limits(vma, start))
		return KMM_EFAULT;
	pages = (vma->start - start) >> KMM_PAGE_SHIFT;
	kmm_vma_write(vma);
	kmm_edit_begin(mm->k, vma->backing);
	kmm_vma_set_range(vma, start, vma->end);
	kmm_edit_end(mm->k, vma->backing);
	KMM_CHECK(mm->k, vma->start == start);
	kmm_mm_account(mm, vma->flags, pages);
	return KMM_OK;
}
