/* SPDX-License-Identifier: MIT */
/*
 * fork: the child gets the same areas, and the entries of those areas that have private pages. A private page that was
 * writable becomes read-only in both, so the first who writes copies it. Entries of all other areas come back by faults.
 *
 * Entries are copied in batches: the parent's table is read and write-protected under its lock, with a reference taken
 * for each entry, then the child's is written under its own, so two tables are never locked at once. The area's
 * backing is locked over both, or a truncation in between would miss the child.
 *
 * A pinned page stays the parent's alone, writable as it was, and the child gets a copy at once: who pinned it and the parent
 * must go on seeing the same page, and a shared one would be copied away from one of them at the next write. A pin is taken with
 * the entry locked, so it is either seen here or comes when the page is shared and copies it.
 *
 * An entry whose page is just being moved to another frame is waited for: copies of it that nobody finds would be left.
 *
 * Running out of memory undoes the child as its exit would; the parent keeps the write protection, which its next write
 * lifts without a copy.
 */
#include "swap/swap.h"
#include "vm/lock.h"
#include "vm/migrate.h"
#include "vm/space.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { BATCH = 64 };

struct batch {
	struct kmm_vma *vma;     /* the parent's */
	struct kmm_tlb *tlb;     /* the parent's */
	kmm_word next;           /* first address not looked at */
	kmm_word base;           /* address of place 0; the batch is entries of one table */
	unsigned nr;
	bool watched;            /* the child's area has a watcher of writes too */
	bool is_moving;          /* the entry at next is */
	bool is_pinned;          /* the page of the entry at next is: the child needs a copy */
	bool is_crowded;         /* the slot that the entry at next names has as many entries as it can count */
	kmm_word nr_anon, nr_other, nr_swap; /* of them by resident count; the rest shows the zero page */
	uint64_t raw[BATCH];     /* as the child is to have them */
	uint16_t place[BATCH];   /* pages after base */
};

/* A reference for the child. Its frame is mapped here, so it cannot go meanwhile. */
static void share_page(struct batch *b, struct kmm_page *page)
{
	enum kmm_kind kind = kmm_page_kind(page);

	if (__builtin_expect(kind == KMM_KIND_ANON, 1))
		b->nr_anon++;
	else if (kind == KMM_KIND_ZERO)
		return;
	else
		b->nr_other++;
	atomic_fetch_add_explicit(&page->refcount, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&page->count, 1, memory_order_relaxed);
}

/* Where the entry shows, or showed, what the child will find in the backing: that its writes are watched goes along. */
static bool collect_hole(struct batch *b, uint64_t raw, unsigned i)
{
	if (!b->watched || !kmm_raw_is_watched(raw))
		return true;
	b->raw[b->nr] = KMM_RAW_WATCHED_HOLE;
	b->place[b->nr++] = (uint16_t)i;
	return true;
}

/* An entry that is neither present nor empty. false: it cannot be taken along, and b says why. */
static bool collect_absent(struct batch *b, const void *entry, unsigned i)
{
	struct kmm *k = b->vma->mm->k;
	uint64_t raw;

	if (kmm_entry_load(k, entry) == KMM_RAW_WATCHED_HOLE)
		return collect_hole(b, KMM_RAW_WATCHED_HOLE, i);
	b->is_moving = kmm_leaf_is_moving(entry);
	if (b->is_moving)
		return false;
	raw = kmm_leaf_read(k, entry);
	KMM_ASSERT(k, kmm_raw_is_swap(raw));
	b->is_crowded = !kmm_slot_get(k, kmm_raw_slot(raw));
	if (b->is_crowded)
		return false;
	b->nr_swap++;
	b->raw[b->nr] = b->watched ? raw : raw & ~(uint64_t)KMM_SWAP_WATCHED;
	b->place[b->nr++] = (uint16_t)i;
	return true;
}

static inline bool is_pinned(const struct kmm_page *page)
{
	return kmm_page_kind(page) == KMM_KIND_ANON && kmm_page_is_pinned(page);
}

/* A batch is one table's entries: it ends with the run, or when it is full. plain: of a private area whose writes nobody
 * watches, so its entries have no marks of that; known where this is compiled, for these are nearly all. */
ALWAYS_INLINE bool collect(struct batch *b, const struct kmm_ptref *first, kmm_word va, unsigned nr, bool plain)
{
	struct kmm *k = b->vma->mm->k;
	struct kmm_leaf_run run = { .space = &b->vma->mm->space };
	const uint64_t strip = plain || b->watched ? 0 : KMM_X86_WATCHED;
	const bool is_private = plain || kmm_vma_is_private(b->vma);
	void *entry = first->entry;
	unsigned i;

	b->base = va;
	for (i = 0; i < nr && b->nr < BATCH; i++, entry = kmm_leaf_next(k, entry)) {
		uint64_t raw;

		if (!kmm_leaf_is_present(entry)) {
			if (!kmm_leaf_is_zero(entry) && !collect_absent(b, entry, i))
				break;
			continue;
		}
		raw = kmm_leaf_read(k, entry);
		if (__builtin_expect(!is_private, 0)) {
			collect_hole(b, raw, i);
			continue;
		}
		b->is_pinned = is_pinned(kmm_leaf_page(k, raw));
		if (__builtin_expect(b->is_pinned, 0))
			break;
		if (raw & KMM_X86_RW) {
			kmm_leaf_forbid_write(entry);
			raw &= ~(uint64_t)KMM_X86_RW;
			kmm_leaf_tally(k, &run, va + ((kmm_word)i << KMM_PAGE_SHIFT), raw);
		}
		share_page(b, kmm_leaf_page(k, raw));
		b->raw[b->nr] = raw & ~strip;
		b->place[b->nr++] = (uint16_t)i;
	}
	kmm_leaf_settle(k, &run, first->table, 0, b->tlb);
	b->next = va + ((kmm_word)i << KMM_PAGE_SHIFT);
	return b->nr == 0 && !b->is_moving && !b->is_crowded && !b->is_pinned;
}

static bool collect_plain(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	return collect(arg, first, va, nr, true);
}

static bool collect_any(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	return collect(arg, first, va, nr, false);
}

/* The references of a batch are given up again. */
static void drop_batch(struct batch *b)
{
	struct kmm *k = b->vma->mm->k;

	for (unsigned i = 0; i < b->nr; i++) {
		struct kmm_page *page = kmm_leaf_page(k, b->raw[i]);

		if (b->raw[i] == KMM_RAW_WATCHED_HOLE)
			continue;
		if (kmm_raw_is_swap(b->raw[i])) {
			kmm_slot_put(k, kmm_raw_slot(b->raw[i]));
			continue;
		}
		if (kmm_page_kind(page) == KMM_KIND_ZERO)
			continue;
		atomic_fetch_sub_explicit(&page->count, 1, memory_order_relaxed);
		kmm_put_page(k, page);
	}
}

static enum kmm_status install_batch(struct kmm_mm *child, struct batch *b)
{
	struct kmm *k = child->k;
	struct kmm_leaf_run run = { .space = &child->space };
	struct kmm_ptref first;
	unsigned long flags;
	bool found;

	if (kmm_pt_make(k, &child->space, b->base, KMM_GFP_KERNEL) != KMM_OK)
		return KMM_ENOMEM;
	found = kmm_pt_lookup_lock(k, &child->space, b->base, &first, &flags);
	KMM_ASSERT(k, found);
	for (unsigned i = 0; i < b->nr; i++) {
		kmm_entry_set(k, kmm_ptref_at(k, &first, b->place[i]).entry, b->raw[i]);
		kmm_leaf_tally(k, &run, b->base + ((kmm_word)b->place[i] << KMM_PAGE_SHIFT), b->raw[i]);
	}
	kmm_leaf_settle(k, &run, first.table, (int)b->nr, NULL);
	kmm_mm_count_rss(child, KMM_RSS_ANON, b->nr_anon);
	kmm_mm_count_rss(child, KMM_RSS_SWAP, b->nr_swap);
	kmm_mm_count_rss(child, b->vma->flags & KMM_VM_SHMEM ? KMM_RSS_SHMEM : KMM_RSS_FILE, b->nr_other);
	kmm_pt_unlock(k, &first, flags);
	return KMM_OK;
}

/* The page at next, with its marks, for the child alone. The area is locked for writing, so its entry stays; that the program
 * may write it meanwhile is as if it wrote before or after the fork. */
static enum kmm_status copy_pinned(struct kmm_mm *child, struct batch *b)
{
	const uint64_t marks = KMM_X86_RW | KMM_X86_D | KMM_X86_SOFT_DIRTY | (b->watched ? KMM_X86_WATCHED : 0u);
	struct kmm *k = child->k;
	struct kmm_page *page = kmm_phys_alloc(k, KMM_GFP_HIGHUSER_MOVABLE, 0, KMM_KIND_ANON, "anonymous page");
	struct kmm_ptref ref;
	enum kmm_status status;
	uint64_t raw;
	bool found;

	if (!page)
		return KMM_ENOMEM;
	status = kmm_mm_charge(child, page, KMM_CHARGE_RECLAIM);
	if (status) {
		kmm_put_page(k, page);
		return status;
	}
	found = kmm_pt_lookup(k, &b->vma->mm->space, b->next, &ref);
	raw = found ? kmm_pt_read(k, &ref) : 0;
	KMM_ASSERT(k, (raw & KMM_X86_P) && kmm_page_kind(kmm_leaf_page(k, raw)) == KMM_KIND_ANON);
	kmm_copy_page(k, page, kmm_leaf_page(k, raw));
	kmm_page_set_owner(k, page, b->vma->anon);
	kmm_page_set_index(k, page, kmm_vma_index(b->vma, b->next));
	atomic_store_explicit(&page->count, 1, memory_order_relaxed);
	b->base = b->next;
	b->nr = 1;
	b->nr_anon = 1;
	b->nr_other = b->nr_swap = 0;
	b->place[0] = 0;
	b->raw[0] = kmm_pt_leaf(kmm_vma_rights(k, b->vma->flags) | (raw & marks), kmm_pfn(kmm_pfn_of(k->phys, page)));
	status = install_batch(child, b);
	if (status)
		drop_batch(b);
	b->next += KMM_PAGE_SIZE;
	return status;
}

static enum kmm_status copy_entries(struct kmm_mm *child, const struct kmm_vma *copy, struct kmm_vma *vma, struct kmm_tlb *tlb)
{
	const bool plain = kmm_vma_is_private(vma) && !(vma->flags & KMM_VM_WATCH_WRITES);
	struct kmm *k = child->k;
	struct batch b;
	enum kmm_status status = KMM_OK;
	kmm_word resume;
	bool done = false;

	b.vma = vma;
	b.watched = (copy->flags & KMM_VM_WATCH_WRITES) != 0;
	b.tlb = tlb;
	b.next = vma->start;
	kmm_edit_begin(k, vma->backing);
	while (!done && b.next < vma->end && status == KMM_OK) {
		b.nr = 0;
		b.is_moving = b.is_crowded = b.is_pinned = false;
		b.nr_anon = b.nr_other = b.nr_swap = 0;
		done = kmm_pt_for_each_run(k, &vma->mm->space, b.next, vma->end, plain ? collect_plain : collect_any, &b,
					   &resume);
		if (b.nr)
			status = install_batch(child, &b);
		if (status)
			drop_batch(&b);
		else if (b.is_crowded)
			status = KMM_ENOMEM;
		else if (b.is_moving)
			kmm_move_wait(vma->mm, b.next);
		else if (b.is_pinned)
			status = copy_pinned(child, &b);
	}
	kmm_edit_end(k, vma->backing);
	return status;
}

static enum kmm_status copy_area(struct kmm_mm *child, struct kmm_vma *vma, struct kmm_tlb *tlb)
{
	struct kmm *k = child->k;
	enum kmm_status status = KMM_OK;
	struct kmm_reserve r;
	struct kmm_vma *copy;

	if ((vma->flags & KMM_VM_ACCOUNT) && !kmm_vm_enough(child, kmm_vma_pages(vma)))
		return KMM_ENOMEM;
	if (kmm_reserve(child, &r, 1, 1, vma->start, vma->start) != KMM_OK)
		return KMM_ENOMEM;
	/* No fault may copy a page between its write protection and the flush, or what another thread still writes by an
	 * old translation would be lost. */
	kmm_vma_write(vma);
	copy = kmm_reserve_take(child, &r);
	kmm_vma_copy(copy, vma, child);
	copy->flags &= ~(uint32_t)KMM_VM_LOCKS;
	if (kmm_vma_tells(vma, KMM_USERFAULT_FORK))
		status = kmm_note_fork(copy, vma);
	else
		kmm_vma_unwatch(copy);
	kmm_edit_begin(k, copy->backing);
	kmm_vma_link(child, copy);
	if (!(vma->flags & KMM_VM_WIPEONFORK))
		kmm_anon_link_child(copy, vma);
	kmm_edit_end(k, copy->backing);
	kmm_reserve_drop(child, &r);
	kmm_mm_account(child, copy->flags, kmm_vma_pages(copy));
	if (status)
		return status; /* the copy goes with the child */
	return copy->anon || (copy->flags & KMM_VM_WATCH_WRITES) ? copy_entries(child, copy, vma, tlb) : KMM_OK;
}

static enum kmm_status copy_areas(struct kmm_mm *child, struct kmm_mm *parent)
{
	enum kmm_status status = KMM_OK;
	struct kmm_tlb tlb;

	kmm_tlb_begin(parent->k, &tlb, &parent->space);
	for (struct kmm_vma *vma = kmm_mm_first(parent); vma && status == KMM_OK; vma = kmm_vma_next(vma))
		if (!(vma->flags & KMM_VM_DONTCOPY))
			status = copy_area(child, vma, &tlb);
	kmm_tlb_flush(parent->k, &tlb);
	return status;
}

static void copy_values(struct kmm_mm *child, const struct kmm_mm *parent)
{
	child->mmap_base = parent->mmap_base;
	child->legacy_base = parent->legacy_base;
	child->start_brk = parent->start_brk;
	child->brk = parent->brk;
	child->policy = parent->policy;
	child->answer = kmm_mm_answer(parent);
	child->start_stack = parent->start_stack;
	child->start_code = parent->start_code;
	child->end_code = parent->end_code;
	child->data_bytes = parent->data_bytes;
}

enum kmm_status kmm_mm_fork(struct kmm_mm *parent, struct kmm_mm **out)
{
	struct kmm_mm *child = kmm_mm_new(parent->k, &parent->limits);
	enum kmm_status status;

	if (!child)
		return KMM_ENOMEM;
	kmm_mm_lock(parent);
	kmm_mutex_lock(child->k, &child->lock); /* nobody else's yet; its areas are unlocked with it */
	copy_values(child, parent);
	kmm_mm_inherit_group(child, parent);
	status = copy_areas(child, parent);
	kmm_mm_unlock(child);
	if (status)
		kmm_notes_drop(parent);
	kmm_mm_unlock(parent);
	if (status) {
		kmm_mm_put(child);
		return status;
	}
	kmm_trace(parent->k, KMM_EV_FORK, parent->space.root.v, child->space.root.v, child->total_pages, 0);
	*out = child;
	return KMM_OK;
}
