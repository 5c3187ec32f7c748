/* SPDX-License-Identifier: MIT */
/*
 * Faults on memory with a backing, by the backing's operations alone: the page itself is shown, or copied at once when
 * the first touch of a private mapping is a write.
 */
#include "fault/fault.h"

#include "vm/backing.h"

/* An embedder's operation may hand out frames of its own; a frame whose descriptor has no map count cannot be shown. */
static bool can_be_mapped(const struct kmm_page *page)
{
	enum kmm_kind kind = kmm_page_kind(page);

	return kind == KMM_KIND_FILE || kind == KMM_KIND_KERNEL || kind == KMM_KIND_RESERVED;
}

static enum kmm_status get_page(struct kmm_fault *f, struct kmm_page **out)
{
	struct kmm_backing *backing = f->vma->backing;
	enum kmm_status status = backing->ops->get_page(backing, kmm_vma_index(f->vma, f->addr), out);

	if (status == KMM_OK && !can_be_mapped(*out)) {
		kmm_put_page(backing->k, *out);
		status = KMM_EIO;
	}
	return status == KMM_EAGAIN ? KMM_EIO : status;
}

static enum kmm_status announce_write(struct kmm_fault *f, struct kmm_page *page)
{
	struct kmm_backing *backing = f->vma->backing;

	if (!backing->ops->make_writable)
		return KMM_OK;
	return backing->ops->make_writable(backing, kmm_vma_index(f->vma, f->addr), page);
}

/* Shared pages are writable from the start unless the backing wants to hear of the first write. */
uint64_t kmm_fault_write_rights(const struct kmm_fault *f)
{
	if (kmm_vma_is_private(f->vma) || !(f->vma->flags & KMM_VM_WRITE) || f->vma->backing->ops->make_writable)
		return 0;
	if (f->access == KMM_WRITE)
		return KMM_FAULT_WRITABLE;
	/* Where writes are watched the first one is to be a fault. */
	return f->vma->flags & KMM_VM_SOFTDIRTY ? KMM_X86_RW : 0;
}

enum kmm_status kmm_fault_file(struct kmm_fault *f)
{
	struct kmm_mm *mm = f->vma->mm;
	struct kmm_page *page;
	enum kmm_status status;

	if (f->access != KMM_WRITE && kmm_fault_around(f))
		return KMM_OK;
	status = get_page(f, &page);
	if (status)
		return status;
	status = kmm_fault_install(f, page, kmm_fault_rights(f) | kmm_fault_write_rights(f), page);
	if (status) {
		kmm_put_page(mm->k, page);
		return status;
	}
	kmm_mm_count(mm, &mm->file_maps);
	/* What the backing wants to hear of is a second step, from an entry that is there. */
	return f->access == KMM_WRITE && f->vma->backing->ops->make_writable ? KMM_EAGAIN : KMM_OK;
}

enum kmm_status kmm_fault_file_copy(struct kmm_fault *f)
{
	struct kmm_mm *mm = f->vma->mm;
	struct kmm_page *source, *page;
	enum kmm_status status = get_page(f, &source);

	if (status)
		return status;
	page = kmm_fault_new_page(f);
	if (!page) {
		kmm_put_page(mm->k, source);
		return KMM_ENOMEM;
	}
	kmm_copy_page(mm->k, page, source);
	status = kmm_fault_install(f, page, kmm_fault_rights(f) | KMM_FAULT_WRITABLE, source);
	kmm_put_page(mm->k, source);
	if (status)
		kmm_put_page(mm->k, page);
	else
		kmm_mm_count(mm, &mm->cow_copies);
	return status;
}

/* May the entry be writable? Not if the page was written back since its file heard of this write. Under the table's lock. */
static bool is_still_dirty(const struct kmm_page *page)
{
	return !kmm_page_is_stored_clean(page);
}

enum kmm_status kmm_fault_make_writable(struct kmm_fault *f)
{
	struct kmm *k = f->vma->mm->k;
	struct kmm_page *page, *held;
	enum kmm_status status;

	KMM_CHECK(k, !kmm_vma_is_private(f->vma));
	if (!f->vma->backing->ops->make_writable)
		return kmm_fault_upgrade(f, NULL, &held);
	status = kmm_fault_hold(f, &page);
	if (status == KMM_OK)
		status = announce_write(f, page);
	if (status == KMM_OK)
		status = kmm_fault_upgrade(f, is_still_dirty, &held);
	if (status == KMM_OK && held) {
		kmm_put_page(k, held);
		status = KMM_EAGAIN;
	}
	if (page)
		kmm_put_page(k, page);
	return status;
}
