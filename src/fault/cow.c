/* SPDX-License-Identifier: MIT */
/*
 * Writes to private pages that are read-only in the table: after fork, after reading a file page or the zero page.
 *
 * A page with one reference and one mapping is nobody else's: it becomes writable in place. So does a pinned one with one
 * mapping: forks copy it (vm/fork.c), so nobody shares it, and who pinned it must go on seeing it. Any other is copied.
 * The old page is copied with a reference of its own, taken while the entry was seen to show it, under the table's lock:
 * else another fault or a truncation could free it meanwhile, and it could come back here with other content and the
 * very same entry, which would then pass for unchanged.
 */
#include "fault/fault.h"

#include "pt/leaf.h"

static bool is_sole(const struct kmm_page *page)
{
	return kmm_page_kind(page) == KMM_KIND_ANON &&
	       atomic_load_explicit(&page->count, memory_order_relaxed) == 1 &&
	       (atomic_load_explicit(&page->refcount, memory_order_relaxed) == 1 || kmm_page_is_pinned(page));
}

static void fill(struct kmm *k, struct kmm_page *to, struct kmm_page *from)
{
	KMM_CHECK(k, to != from);
	if (kmm_page_kind(from) == KMM_KIND_ZERO)
		kmm_clear_page(k, to);
	else
		kmm_copy_page(k, to, from);
}

/* Of an entry for a page of its own. Without the right to write it is marked as written all the same: it was, by us. */
static uint64_t own_rights(const struct kmm_fault *f)
{
	uint64_t written = KMM_X86_D | KMM_X86_SOFT_DIRTY;

	return f->vma->flags & KMM_VM_WRITE ? KMM_FAULT_WRITABLE : written;
}

static enum kmm_status copy(struct kmm_fault *f, struct kmm_page *old)
{
	struct kmm_mm *mm = f->vma->mm;
	struct kmm_page *page = kmm_fault_new_page(f);
	enum kmm_status status;

	if (!page)
		return KMM_ENOMEM;
	fill(mm->k, page, old);
	status = kmm_fault_install(f, page, kmm_fault_rights(f) | own_rights(f), NULL);
	if (status) {
		kmm_put_page(mm->k, page);
		return status;
	}
	kmm_trace(mm->k, KMM_EV_COW, f->addr, kmm_page_to_pfn(mm->k, old).v, kmm_page_to_pfn(mm->k, page).v, 0);
	return KMM_OK;
}

static enum kmm_status copy_held(struct kmm_fault *f, struct kmm_page *old)
{
	struct kmm_mm *mm = f->vma->mm;
	enum kmm_status status = copy(f, old);

	kmm_put_page(mm->k, old);
	if (status == KMM_OK)
		kmm_mm_count(mm, &mm->cow_copies);
	return status;
}

enum kmm_status kmm_fault_cow(struct kmm_fault *f)
{
	struct kmm_mm *mm = f->vma->mm;
	struct kmm_page *old = kmm_leaf_page(mm->k, f->raw);
	enum kmm_status status;

	if (kmm_page_kind(old) == KMM_KIND_ZERO)
		return copy(f, old);
	status = kmm_fault_upgrade(f, is_sole, &old);
	if (status)
		return status;
	if (old)
		return copy_held(f, old);
	kmm_mm_count(mm, &mm->cow_reuses);
	return KMM_OK;
}

enum kmm_status kmm_fault_unshare(struct kmm_fault *f)
{
	struct kmm *k = f->vma->mm->k;
	struct kmm_page *old;
	enum kmm_status status;

	kmm_fault_look(f);
	if (!(f->raw & KMM_X86_P))
		return KMM_EAGAIN;
	KMM_CHECK(k, f->vma->anon && kmm_vma_is_private(f->vma));
	old = kmm_leaf_page(k, f->raw);
	if (kmm_page_kind(old) == KMM_KIND_ZERO)
		return copy(f, old);
	status = kmm_fault_hold(f, &old);
	return status ? status : copy_held(f, old);
}
