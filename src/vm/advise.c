/* SPDX-License-Identifier: MIT */
/*
 * Advice about pages: dropping them, giving up their content (FREE), forgetting that they were used (COLD), punching holes
 * into what lies behind a shared mapping (REMOVE), and reading ahead.
 *
 * A page that was given up is one whose marks say that it was not written since: nothing moves, and a write makes it an
 * ordinary page again by the processor's dirty bit alone.
 */
#include "vm/advise.h"

#include "pt/leaf.h"
#include "swap/swap.h"
#include "vm/backing.h"
#include "vm/migrate.h"

/* Its watcher hears of it first, without m. Then there is what is still there of [start, *end): NULL: nothing at start. */
static enum kmm_status tell_removal(struct kmm_vma **vma, kmm_word start, kmm_word *end)
{
	const struct kmm_userfault_event event = { .what = KMM_USERFAULT_REMOVE, .start = kmm_uva(start), .end = kmm_uva(*end) };
	struct kmm_mm *mm = (*vma)->mm;

	if (!kmm_vma_tells(*vma, KMM_USERFAULT_REMOVE))
		return KMM_OK;
	if (kmm_note(mm, (*vma)->userfault, &event) != KMM_OK)
		return KMM_ENOMEM;
	kmm_mm_unlock(mm);
	kmm_mm_lock(mm);
	*vma = kmm_mm_find(mm, start);
	if (!*vma || start < (*vma)->start)
		return KMM_ENOMEM;
	if (*end > (*vma)->end)
		*end = (*vma)->end;
	return KMM_OK;
}

static enum kmm_status drop_pages(struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	struct kmm *k = vma->mm->k;
	struct kmm_tlb tlb;

	kmm_tlb_begin(k, &tlb, &vma->mm->space);
	kmm_zap_pages(vma, start, end, &tlb);
	kmm_tlb_flush(k, &tlb);
	return KMM_OK;
}

/* ---- marks ---- */

struct unmark {
	struct kmm_vma *vma;
	struct kmm_tlb *tlb;
	uint32_t marks;   /* that entries lose */
	bool give_up;     /* anonymous pages may be freed */
	kmm_word at;      /* what was looked for */
};

/* A page with other users is theirs as well, and keeps its marks. */
static bool is_ours(const struct unmark *u, const struct kmm_page *page)
{
	enum kmm_kind kind = kmm_page_kind(page);

	if (kind == KMM_KIND_ZERO || atomic_load_explicit(&page->count, memory_order_relaxed) != 1)
		return false;
	return !u->give_up || kind == KMM_KIND_ANON;
}

static void give_up(struct kmm_page *page)
{
	__atomic_fetch_and(&page->flags, ~(uint32_t)KMM_PG_DIRTY, __ATOMIC_RELAXED);
	__atomic_fetch_or(&page->flags, (uint32_t)KMM_PG_LAZYFREE, __ATOMIC_RELAXED);
}

static bool unmark_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct unmark *u = arg;
	struct kmm *k = u->vma->mm->k;
	struct kmm_leaf_run run = { .space = &u->vma->mm->space };
	void *entry = first->entry;

	for (unsigned i = 0; i < nr; i++, entry = kmm_leaf_next(k, entry)) {
		struct kmm_page *page;

		if (!kmm_leaf_is_present(entry))
			continue;
		page = kmm_leaf_page(k, kmm_leaf_read(k, entry));
		if (!is_ours(u, page))
			continue;
		if (kmm_leaf_remove(entry, u->marks) & u->marks)
			kmm_leaf_tally(k, &run, va + ((kmm_word)i << KMM_PAGE_SHIFT), kmm_leaf_read(k, entry));
		if (u->give_up)
			give_up(page);
	}
	kmm_leaf_settle(k, &run, first->table, 0, u->tlb);
	return true;
}

static enum kmm_status unmark(struct kmm_vma *vma, kmm_word start, kmm_word end, uint32_t marks, bool give_up_too)
{
	struct kmm *k = vma->mm->k;
	struct kmm_tlb tlb;
	struct unmark u = { vma, &tlb, marks, give_up_too, 0 };
	kmm_word resume;

	kmm_tlb_begin(k, &tlb, &vma->mm->space);
	kmm_pt_for_each_run(k, &vma->mm->space, start, end, unmark_run, &u, &resume);
	kmm_tlb_flush(k, &tlb);
	return KMM_OK;
}

/* ---- paging out ---- */

struct pageout {
	struct kmm *k;
	bool has_swap;
	kmm_word next;           /* first address not yet looked at */
	kmm_word pfn[KMM_MOVE_BATCH];
	unsigned nr;
};

/* Nobody else maps the page, nobody holds it, and no lock was left on it. */
static bool may_go(struct kmm *k, const struct kmm_page *page)
{
	return !(kmm_page_flags(page) & KMM_PG_LEFT_LOCKED) && atomic_load_explicit(&page->count, memory_order_relaxed) == 1 &&
	       kmm_frame_may_move(k, page);
}

/* What the page says of having been written, or this entry, the only one. */
static bool is_written(const struct kmm *k, const struct kmm_page *page, const void *entry)
{
	return (kmm_page_flags(page) & KMM_PG_DIRTY) || (kmm_leaf_read(k, entry) & KMM_X86_D);
}

/* Is there a place to go to: swap, the page's file, or none needed? */
static bool has_place(const struct pageout *p, const struct kmm_page *page, const void *entry)
{
	if (p->has_swap)
		return true;
	return kmm_page_kind(page) == KMM_KIND_FILE && ((kmm_page_flags(page) & KMM_PG_STORED) || !is_written(p->k, page, entry));
}

/* Stops when the batch is full. */
static bool collect_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct pageout *p = arg;

	for (unsigned i = 0; i < nr; i++) {
		void *entry = kmm_ptref_at(p->k, first, i).entry;
		struct kmm_page *page;

		p->next = va + ((kmm_word)(i + 1) << KMM_PAGE_SHIFT);
		if (!kmm_leaf_is_present(entry))
			continue;
		page = kmm_leaf_page(p->k, kmm_leaf_read(p->k, entry));
		if (!may_go(p->k, page) || !has_place(p, page, entry))
			continue;
		p->pfn[p->nr++] = kmm_pfn_of(p->k->phys, page);
		if (p->nr == KMM_MOVE_BATCH)
			return false;
	}
	return true;
}

/* Stops at a page that needs no place: one that was given up, or one of a file, which only leaves the tables. */
static bool find_left(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct unmark *u = arg;
	struct kmm *k = u->vma->mm->k;

	for (unsigned i = 0; i < nr; i++) {
		void *entry = kmm_ptref_at(k, first, i).entry;
		struct kmm_page *page;

		if (!kmm_leaf_is_present(entry))
			continue;
		page = kmm_leaf_page(k, kmm_leaf_read(k, entry));
		if (!may_go(k, page) || (kmm_page_kind(page) == KMM_KIND_ANON &&
					 (!(kmm_page_flags(page) & KMM_PG_LAZYFREE) || is_written(k, page, entry))))
			continue;
		u->at = va + ((kmm_word)i << KMM_PAGE_SHIFT);
		return false;
	}
	return true;
}

/* Stops at an entry that it notes in arg. */
typedef bool (*find_entry)(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr);

/* The entries that find() stops at, in [start, end), with what they hold. */
static void zap_found(struct kmm_vma *vma, kmm_word start, kmm_word end, find_entry find)
{
	struct kmm *k = vma->mm->k;
	struct unmark u = { .vma = vma };
	struct kmm_tlb tlb;
	kmm_word resume;

	kmm_tlb_begin(k, &tlb, &vma->mm->space);
	while (start < end && !kmm_pt_for_each_run(k, &vma->mm->space, start, end, find, &u, &resume)) {
		kmm_zap(vma, u.at, u.at + KMM_PAGE_SIZE, &tlb);
		start = u.at + KMM_PAGE_SIZE;
	}
	kmm_tlb_flush(k, &tlb);
}

/* What cannot go stays: it is advice. But pages of files are out of the tables even then, as on Linux. */
static enum kmm_status page_out(struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	struct kmm *k = vma->mm->k;
	struct pageout p = { .k = k, .has_swap = kmm_swap_has_room(k), .next = start };
	struct kmm_mover mover = { .k = k, .evict = true };
	kmm_word resume;
	bool done;

	do {
		p.nr = 0;
		done = kmm_pt_for_each_run(k, &vma->mm->space, p.next, end, collect_run, &p, &resume);
		if (p.nr && kmm_move_frames(&mover, p.pfn, p.nr) != KMM_OK)
			KMM_ASSERT(k, false); /* who asks for no targets does not run out of them */
	} while (!done && p.next < end);
	zap_found(vma, start, end, find_left);
	return KMM_OK;
}

/* What is in slots is given up at once: those of [start, end) become free. */
static bool find_slot(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct unmark *u = arg;
	struct kmm *k = u->vma->mm->k;

	for (unsigned i = 0; i < nr; i++) {
		if (!kmm_raw_is_swap(kmm_entry_load(k, kmm_ptref_at(k, first, i).entry)))
			continue;
		u->at = va + ((kmm_word)i << KMM_PAGE_SHIFT);
		return false;
	}
	return true;
}

static void drop_slots(struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	if (kmm_mm_rss(vma->mm, KMM_RSS_SWAP))
		zap_found(vma, start, end, find_slot);
}

/* ---- backings ---- */

/* Only an offer: what cannot be read now is read, or fails, when it is touched. Where nothing has to be read, as in shared
 * memory, nothing is done. */
static void read_ahead(struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	uint64_t last = kmm_vma_index(vma, end - KMM_PAGE_SIZE);
	struct kmm_page *page;

	if (!vma->backing || (kmm_backing_is_file(vma->backing) && !kmm_file_has_source((struct kmm_file *)vma->backing)))
		return;
	for (uint64_t index = kmm_vma_index(vma, start); index <= last; index++) {
		if (vma->backing->ops->get_page(vma->backing, index, &page) != KMM_OK)
			return;
		kmm_put_page(vma->mm->k, page);
	}
}

static enum kmm_status punch(struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	const struct kmm_userfault_event event = { .what = KMM_USERFAULT_REMOVE, .start = kmm_uva(start), .end = kmm_uva(end) };
	struct kmm_backing *backing = vma->backing;
	uint64_t first = kmm_vma_index(vma, start);
	struct kmm_mm *mm = vma->mm;
	enum kmm_status status;

	if ((vma->flags & KMM_VM_LOCKED) || (backing ? kmm_backing_is_special(backing) : !vma->opening))
		return KMM_EINVAL;
	if ((vma->flags & (KMM_VM_SHARED | KMM_VM_MAYWRITE)) != (KMM_VM_SHARED | KMM_VM_MAYWRITE))
		return KMM_EACCES; /* as all is that has only an opening */
	if (!backing->ops->punch_hole)
		return KMM_ENOTSUP;
	if (kmm_vma_tells(vma, KMM_USERFAULT_REMOVE) && kmm_note(mm, vma->userfault, &event) != KMM_OK)
		return KMM_ENOMEM;
	kmm_backing_get(backing);
	kmm_mm_unlock(mm);
	status = backing->ops->punch_hole(backing, first, (end - start) >> KMM_PAGE_SHIFT);
	kmm_backing_put(backing);
	kmm_mm_lock(mm);
	return status;
}

/* ---- the advice ---- */

enum kmm_status kmm_advise_pages(struct kmm_vma *vma, kmm_word start, kmm_word end, int advice)
{
	bool locked = (vma->flags & KMM_VM_LOCKED) != 0;
	enum kmm_status status = KMM_OK;

	switch (advice) {
	case KMM_MADV_WILLNEED:
		read_ahead(vma, start, end);
		return KMM_OK;
	case KMM_MADV_REMOVE:
		return punch(vma, start, end);
	case KMM_MADV_DONTNEED_LOCKED:
	case KMM_MADV_DONTNEED:
		if (locked && advice == KMM_MADV_DONTNEED)
			return KMM_EINVAL;
		status = tell_removal(&vma, start, &end);
		return status ? status : drop_pages(vma, start, end);
	case KMM_MADV_COLLAPSE:
		return kmm_advise_collapse(vma, start, end);
	case KMM_MADV_FREE:
		if (!locked)
			status = tell_removal(&vma, start, &end);
		if (status)
			return status;
		if (locked || vma->backing)
			return KMM_EINVAL;
		drop_slots(vma, start, end);
		return unmark(vma, start, end, KMM_X86_A | KMM_X86_D, true);
	default:
		KMM_ASSERT(vma->mm->k, advice == KMM_MADV_COLD || advice == KMM_MADV_PAGEOUT);
		if (locked)
			return KMM_EINVAL;
		status = unmark(vma, start, end, KMM_X86_A, false);
		return advice == KMM_MADV_PAGEOUT ? page_out(vma, start, end) : status;
	}
}
