/* SPDX-License-Identifier: MIT */
/*
 * Reading a page of a file maps its cached neighbours as well, so a program start costs a fault per 64 KiB and not per
 * page. Linux does the same by the same window: 16 pages, aligned, within the area and within one page table.
 *
 * Only what is at hand is taken and nothing is read for it. What counts its areas (System V shared memory) is mapped a page
 * at a time, as on Linux.
 */
#include "fault/fault.h"

#include "vm/backing.h"

enum { WINDOW = 16 };

struct window {
	kmm_word start;              /* address of page[0] */
	unsigned nr, target;         /* target: the faulting page's place */
	struct kmm_page *page[WINDOW];
};

static void place_window(const struct kmm_fault *f, struct window *w)
{
	const kmm_word mask = ((kmm_word)WINDOW << KMM_PAGE_SHIFT) - 1;
	const kmm_word table = ((kmm_word)1 << kmm_fmt(f->vma->mm->k)->level[1].shift) - 1;
	uint64_t last;

	w->start = f->addr & ~mask;
	if (w->start < f->vma->start)
		w->start = f->vma->start;
	last = kmm_min_u64(kmm_min_u64(w->start + mask, w->start | table), f->vma->end - 1);
	w->nr = (unsigned)((last - w->start) >> KMM_PAGE_SHIFT) + 1;
	w->target = (unsigned)((f->addr - w->start) >> KMM_PAGE_SHIFT);
}

/* Lock held. true: the page's reference is the entry's now. */
static bool enter_page(struct kmm_fault *f, const struct kmm_ptref *ref, kmm_word va, struct kmm_page *page)
{
	struct kmm *k = f->vma->mm->k;
	uint64_t rights = kmm_fault_rights(f) | kmm_fault_write_rights(f);

	if (kmm_pt_read(k, ref) != 0 || kmm_page_is_cut_off(page))
		return false;
	kmm_pt_write(k, &f->vma->mm->space, ref, va, kmm_pt_leaf(rights, kmm_page_to_pfn(k, page)));
	kmm_vma_count_page(f->vma, page, true);
	kmm_mm_count(f->vma->mm, &f->vma->mm->file_maps);
	return true;
}

/* Pages that were entered leave the window. */
static void enter_window(struct kmm_fault *f, struct window *w)
{
	struct kmm_mm *mm = f->vma->mm;
	struct kmm_ptref first, ref;
	unsigned long flags;

	if (!kmm_pt_lookup_lock(mm->k, &mm->space, w->start, &first, &flags))
		return;
	for (unsigned i = 0; i < w->nr; i++) {
		ref = kmm_ptref_at(mm->k, &first, i);
		if (w->page[i] && enter_page(f, &ref, w->start + ((kmm_word)i << KMM_PAGE_SHIFT), w->page[i]))
			w->page[i] = NULL;
	}
	kmm_pt_unlock(mm->k, &first, flags);
}

bool kmm_fault_around(struct kmm_fault *f)
{
	struct kmm_backing *backing = f->vma->backing;
	struct window w;
	bool has_target;

	if (!backing->ops->cached_pages || backing->areas ||
	    (f->vma->flags & (KMM_VM_WATCH_MINOR | KMM_VM_WATCH_WRITES))) /* its watcher is to hear of each page */
		return false;
	if (!f->has_table && kmm_pt_make(backing->k, &f->vma->mm->space, f->addr, KMM_GFP_KERNEL) != KMM_OK)
		return false;
	if (!f->has_table)
		f->has_table = kmm_pt_lookup(backing->k, &f->vma->mm->space, f->addr, &f->ref);
	place_window(f, &w);
	KMM_CHECK(backing->k, w.nr > 0 && w.nr <= WINDOW && w.target < w.nr);
	backing->ops->cached_pages(backing, kmm_vma_index(f->vma, w.start), w.nr, w.page);
	has_target = w.page[w.target] != NULL;
	enter_window(f, &w);
	has_target = has_target && !w.page[w.target];
	for (unsigned i = 0; i < w.nr; i++)
		if (w.page[i])
			kmm_put_page(backing->k, w.page[i]);
	return has_target;
}
