/* SPDX-License-Identifier: MIT */
/*
 * Writes to private pages that are read-only in the table: after fork, after reading a file page or the zero page.
 *
 * A page with one reference and one mapping is nobody else's: it becomes writable in place. Any other is copied.
 * The old page is read without a reference: the space's lock keeps others from entering anything here, so if a
 * truncation frees the page meanwhile the entry is seen to have changed and the copy is thrown away.
 */
#include "fault/fault.h"

#include "pt/leaf.h"

static bool is_sole(const struct kmm_page *page)
{
	return kmm_page_kind(page) == KMM_KIND_ANON &&
	       atomic_load_explicit(&page->count, memory_order_relaxed) == 1 &&
	       atomic_load_explicit(&page->refcount, memory_order_relaxed) == 1;
}

static void fill(struct kmm *k, struct kmm_page *to, struct kmm_page *from)
{
	if (kmm_page_kind(from) == KMM_KIND_ZERO)
		kmm_clear_page(k, to);
	else
		kmm_copy_page(k, to, from);
}

static enum kmm_status copy(struct kmm_fault *f, struct kmm_page *old)
{
	struct kmm_mm *mm = f->vma->mm;
	struct kmm_page *page = kmm_fault_new_page(f);
	bool from_zero = kmm_page_kind(old) == KMM_KIND_ZERO;
	enum kmm_status status;

	if (!page)
		return KMM_ENOMEM;
	fill(mm->k, page, old);
	status = kmm_fault_install(f, page, kmm_vma_leaf(mm->k, f->vma->flags) | KMM_PTE_WRITE | KMM_PTE_DIRTY, NULL);
	if (status) {
		kmm_put_page(mm->k, page);
		return status;
	}
	mm->cow_copies += !from_zero;
	kmm_trace(mm->k, KMM_EV_COW, f->addr, f->pte.pfn.v, kmm_page_to_pfn(mm->k, page).v, 0);
	return KMM_OK;
}

enum kmm_status kmm_fault_cow(struct kmm_fault *f)
{
	struct kmm_mm *mm = f->vma->mm;
	struct kmm_page *old = kmm_leaf_page(mm->k, f->raw);
	enum kmm_status status;

	if (!is_sole(old))
		return copy(f, old);
	status = kmm_fault_upgrade(f, is_sole);
	if (status == KMM_OK)
		mm->cow_reuses++;
	return status;
}
