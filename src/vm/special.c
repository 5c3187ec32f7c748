/* SPDX-License-Identifier: MIT */
/*
 * Areas that no system call makes: the first stack of a program, and frames of the embedder such as a vdso.
 */
#include "vm/backing.h"
#include "vm/mm.h"

static bool is_free_range(struct kmm_mm *mm, kmm_word start, kmm_word end)
{
	struct kmm_vma *vma = kmm_mm_find(mm, start);

	return !vma || vma->start >= end;
}

/* [end - len, end) in pages within the user half. */
static enum kmm_status check_range(struct kmm_mm *mm, kmm_word start, uint64_t len)
{
	kmm_word task_size = kmm_mm_task_size(mm);

	if ((start & (KMM_PAGE_SIZE - 1)) || len == 0 || (len & (KMM_PAGE_SIZE - 1)))
		return KMM_EINVAL;
	if (start > task_size || len > task_size - start)
		return KMM_EINVAL;
	return is_free_range(mm, start, start + (kmm_word)len) ? KMM_OK : KMM_EEXIST;
}

static enum kmm_status map_stack(struct kmm_mm *mm, kmm_word top, kmm_word len, bool executable)
{
	struct kmm_piece piece = { .start = top - len, .end = top, .pgoff = (top - len) >> KMM_PAGE_SHIFT,
				   .flags = KMM_VM_DATA | KMM_VM_GROWSDOWN };
	enum kmm_status status = check_range(mm, piece.start, len);

	if (executable)
		piece.flags |= KMM_VM_EXEC;
	if (status == KMM_OK && !kmm_mm_may_expand(mm, piece.flags, len >> KMM_PAGE_SHIFT))
		status = KMM_ENOMEM;
	if (status == KMM_OK)
		status = kmm_map_alone(mm, &piece);
	if (status)
		return status;
	/* Inside the area, so that no neighbour is taken for the stack. Linux replaces the flags it was made with, among them
	 * that it is new. */
	mm->start_stack = top - KMM_PAGE_SIZE / 2;
	kmm_mm_find(mm, piece.start)->flags &= ~(uint32_t)KMM_VM_SOFTDIRTY;
	return KMM_OK;
}

enum kmm_status kmm_mm_map_stack(struct kmm_mm *mm, struct kmm_uva top, uint64_t initial_bytes, bool executable)
{
	uint64_t len = kmm_mm_page_align(mm, initial_bytes);
	enum kmm_status status = KMM_EINVAL;

	if (len == 0 || len > top.v)
		return KMM_EINVAL;
	kmm_mm_lock(mm);
	status = map_stack(mm, top.v, (kmm_word)len, executable);
	kmm_mm_unlock(mm);
	return status;
}

/* A frame whose descriptor uses the map count for something else cannot be shown. */
static bool can_be_mapped(const struct kmm_page *page)
{
	switch (kmm_page_kind(page)) {
	case KMM_KIND_KERNEL:
	case KMM_KIND_RESERVED:
		return true;
	default:
		return false;
	}
}

static enum kmm_status map_special(struct kmm_mm *mm, kmm_word addr, struct kmm_backing *backing, kmm_word nr,
				   unsigned prot)
{
	struct kmm_piece piece = { .start = addr, .end = addr + (nr << KMM_PAGE_SHIFT), .backing = backing };
	enum kmm_status status = check_range(mm, addr, (uint64_t)nr << KMM_PAGE_SHIFT);

	piece.flags = (prot & KMM_VM_ACCESS) | KMM_VM_MAY | KMM_VM_SPECIAL;
	if (status == KMM_OK && !kmm_mm_may_expand(mm, piece.flags, nr))
		status = KMM_ENOMEM;
	return status ? status : kmm_map_alone(mm, &piece);
}

enum kmm_status kmm_mm_map_special(struct kmm_mm *mm, struct kmm_uva addr, struct kmm_page *const *pages,
				   kmm_word nr_pages, unsigned prot, const char *name)
{
	struct kmm_backing *backing;
	enum kmm_status status;

	if (nr_pages == 0 || nr_pages > kmm_mm_task_size(mm) >> KMM_PAGE_SHIFT)
		return KMM_EINVAL;
	for (kmm_word i = 0; i < nr_pages; i++)
		if (!can_be_mapped(pages[i]))
			return KMM_EINVAL;
	backing = kmm_special_create(mm->k, pages, nr_pages, name);
	if (!backing)
		return KMM_ENOMEM;
	kmm_mm_lock(mm);
	status = map_special(mm, addr.v, backing, nr_pages, prot);
	kmm_mm_unlock(mm);
	kmm_backing_put(backing);
	return status;
}
