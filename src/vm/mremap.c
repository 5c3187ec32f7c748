/* SPDX-License-Identifier: MIT */
/*
 * mremap(2): shrinking in place, growing in place, or moving entries to a new area, with Linux 6.1's order of checks.
 *
 * A move copies no memory: entries change their address, and the new area shows the same page numbers, so frames
 * keep their names in the reverse maps. All that a move can need is reserved before the first change, page tables
 * of the destination included. But after an error that is not a lack of memory, what MREMAP_FIXED had unmapped at
 * the destination stays unmapped, as in Linux.
 */
#include "swap/swap.h"
#include "vm/lock.h"

struct move {
	struct kmm_mm *mm;
	kmm_word from, old_len, to, new_len;
	kmm_word asked_len;         /* old_len before a cut */
	unsigned flags;
	struct kmm_reserve reserve; /* VMAs for the new area, a cut at the source, a cut at the destination */
};

/* ---- checks ---- */

/* The area at addr, if it may become new_len long (vma_to_resize). */
static enum kmm_status resizable(struct kmm_mm *mm, kmm_word addr, kmm_word old_len, kmm_word new_len, unsigned flags,
				 struct kmm_vma **out)
{
	struct kmm_vma *vma = kmm_mm_find(mm, addr);

	if (!vma || vma->start > addr)
		return KMM_EFAULT;
	if (!old_len && !(vma->flags & (KMM_VM_SHARED | KMM_VM_MAYSHARE)))
		return KMM_EINVAL;
	if ((flags & KMM_MREMAP_DONTUNMAP) && (vma->flags & KMM_VM_SPECIAL))
		return KMM_EINVAL;
	if (old_len > vma->end - addr)
		return KMM_EFAULT;
	*out = vma;
	if (new_len == old_len)
		return KMM_OK;
	if (vma->flags & KMM_VM_SPECIAL)
		return KMM_EFAULT;
	if (!kmm_mm_lock_fits(mm, vma->flags, (new_len - old_len) >> KMM_PAGE_SHIFT))
		return KMM_EAGAIN;
	return kmm_mm_may_expand(mm, vma->flags, (new_len - old_len) >> KMM_PAGE_SHIFT) ? KMM_OK : KMM_ENOMEM;
}

static bool is_expandable(struct kmm_mm *mm, const struct kmm_vma *vma, kmm_word delta)
{
	struct kmm_vma *next = kmm_vma_next(vma);
	kmm_word end = vma->end + delta, at;

	if (end < vma->end || (next && next->start < end))
		return false;
	return kmm_place(mm, vma->start, end - vma->start, KMM_MAP_FIXED, &at) == KMM_OK;
}

/* ---- growing in place ---- */

/* What never merges still grows into the hole behind it. */
static void extend(struct kmm_vma *vma, kmm_word end)
{
	kmm_vma_write(vma);
	kmm_edit_begin(vma->mm->k, vma->backing);
	kmm_vma_set_range(vma, vma->start, end);
	kmm_edit_end(vma->mm->k, vma->backing);
}

static enum kmm_status grow_in_place(struct kmm_mm *mm, struct kmm_vma *vma, kmm_word end)
{
	struct kmm_piece piece = { vma->end, end, vma->flags, vma->backing, kmm_vma_index(vma, vma->end), vma->anon,
				   vma->tag, vma->opening, vma->userfault };
	kmm_word pages = (end - vma->end) >> KMM_PAGE_SHIFT;

	if ((vma->flags & KMM_VM_ACCOUNT) && !kmm_vm_enough(mm, pages))
		return KMM_ENOMEM;
	if (vma->backing && vma->backing->areas)
		extend(vma, end);
	else
		vma = kmm_vma_merge(mm, vma, &piece);
	if (!vma)
		return KMM_ENOMEM;
	kmm_mm_account(mm, vma->flags, pages);
	return KMM_OK;
}

/* ---- moving entries ---- */

struct tables {
	struct kmm_mm *mm;
	kmm_word first, last; /* source addresses of the last run seen with entries */
};

static bool find_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct tables *t = arg;

	(void)first;
	t->first = va;
	t->last = va + (((kmm_word)nr - 1) << KMM_PAGE_SHIFT);
	return false;
}

/* Makes the tables that the entries of [from, from + len) will need at their new place. */
static enum kmm_status make_tables(struct kmm_mm *mm, kmm_word from, kmm_word len, kmm_word to)
{
	const unsigned shift = kmm_pt_fmt(mm->k)->level[1].shift;
	struct tables t = { mm, 0, 0 };
	kmm_word at = from, end = from + len, resume, first, last;
	enum kmm_status status = KMM_OK;
	struct kmm_ptref there;

	if ((to ^ (to + len - 1)) >> shift == 0 && kmm_pt_lookup(mm->k, &mm->space, to, &there))
		return KMM_OK; /* one will do, and is there */
	while (at < end && status == KMM_OK) {
		if (kmm_pt_for_each_run(mm->k, &mm->space, at, end, find_run, &t, &resume))
			return KMM_OK;
		/* A run is one table's, so its new place touches two at most. */
		first = to + (t.first - from);
		last = to + (t.last - from);
		status = kmm_pt_make(mm->k, &mm->space, first, KMM_GFP_KERNEL);
		if (status == KMM_OK && (first ^ last) >> shift)
			status = kmm_pt_make(mm->k, &mm->space, last, KMM_GFP_KERNEL);
		at = t.last + KMM_PAGE_SIZE;
	}
	return status;
}

struct entries {
	struct kmm_mm *mm;
	struct kmm_tlb *tlb;
	kmm_word from, to;
};

/* An entry that is not present. false: there was none. */
static bool move_absent(struct kmm *k, void *entry, void *target)
{
	uint64_t raw;

	if (kmm_leaf_is_zero(entry))
		return false;
	raw = kmm_entry_take(k, entry);
	if (raw != KMM_RAW_WATCHED_HOLE)
		raw |= kmm_raw_is_moving(raw) ? KMM_X86_SOFT_DIRTY : KMM_SWAP_WRITTEN;
	kmm_entry_set(k, target, raw);
	return true;
}

/* nr entries of one table to places in one that are zero; how many there were. What they show is new at its address. */
static unsigned move_entries_of(struct kmm *k, void *entry, void *target, unsigned nr)
{
	const uintptr_t across = (uintptr_t)target - (uintptr_t)entry;
	unsigned moved = nr;

	for (; nr; nr--, entry = kmm_leaf_next(k, entry)) {
		void *place = (void *)((uintptr_t)entry + across);

		KMM_CHECK(k, kmm_entry_load(k, place) == 0);
		if (kmm_leaf_is_present(entry))
			kmm_entry_set(k, place, kmm_entry_take(k, entry) | KMM_X86_SOFT_DIRTY);
		else if (!move_absent(k, entry, place))
			moved--;
	}
	return moved;
}

/* The same, one by one, for who listens. */
static unsigned move_traced(struct entries *e, void *entry, void *target, kmm_word va, unsigned nr)
{
	struct kmm *k = e->mm->k;
	unsigned moved = 0;

	for (unsigned i = 0; i < nr; i++, entry = kmm_leaf_next(k, entry), target = kmm_leaf_next(k, target)) {
		kmm_word at = va + ((kmm_word)i << KMM_PAGE_SHIFT);

		if (!move_entries_of(k, entry, target, 1))
			continue;
		moved++;
		kmm_trace_slow(k, KMM_EV_PT_SET, at, 0, 0, e->mm->space.root.v);
		kmm_trace_slow(k, KMM_EV_PT_SET, e->to + (at - e->from), kmm_entry_load(k, target), 0, e->mm->space.root.v);
	}
	return moved;
}

/* Source entries whose new places lie in one table. That was made before. */
static void move_piece(struct entries *e, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct kmm *k = e->mm->k;
	struct kmm_leaf_run gone = { .space = &e->mm->space }, come = gone;
	kmm_word new_va = e->to + (va - e->from);
	void *entry = first->entry, *target;
	struct kmm_ptref to;
	unsigned moved;
	bool found = kmm_pt_lookup(k, &e->mm->space, new_va, &to);

	KMM_ASSERT(k, found);
	if (to.table != first->table)
		kmm_table_lock_second(k, to.table);
	target = to.entry;
	moved = k->trace ? move_traced(e, entry, target, va, nr) : move_entries_of(k, entry, target, nr);
	gone.nr = come.nr = moved;
	gone.start = va;
	gone.end = va + ((kmm_word)nr << KMM_PAGE_SHIFT);
	kmm_leaf_settle(k, &gone, first->table, -(int)moved, e->tlb);
	kmm_leaf_settle(k, &come, to.table, (int)moved, NULL);
	if (to.table != first->table)
		kmm_table_unlock_second(to.table);
}

static bool move_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct entries *e = arg;
	struct kmm *k = e->mm->k;
	const kmm_word table = (kmm_word)1 << kmm_fmt(k)->level[1].shift;
	kmm_word left = table - ((e->to + (va - e->from)) & (table - 1));
	unsigned here = left >> KMM_PAGE_SHIFT < nr ? (unsigned)(left >> KMM_PAGE_SHIFT) : nr;
	struct kmm_ptref second = kmm_ptref_at(k, first, here);

	move_piece(e, first, va, here);
	if (here < nr)
		move_piece(e, &second, va + ((kmm_word)here << KMM_PAGE_SHIFT), nr - here);
	return true;
}

static void move_entries(struct kmm_mm *mm, kmm_word from, kmm_word len, kmm_word to)
{
	struct kmm_tlb tlb;
	struct entries e = { mm, &tlb, from, to };
	kmm_word resume;

	if (!len)
		return;
	kmm_tlb_begin(mm->k, &tlb, &mm->space);
	kmm_pt_for_each_run(mm->k, &mm->space, from, from + len, move_run, &e, &resume);
	kmm_tlb_flush(mm->k, &tlb);
}

/* ---- moving an area ---- */

/* The area at the new place: merged into a neighbour, or of its own. */
static void make_area(struct move *m, const struct kmm_vma *old)
{
	struct kmm_mm *mm = m->mm;
	bool follows = kmm_vma_tells(old, KMM_USERFAULT_REMAP); /* or else nobody watches there */
	struct kmm_piece piece = { m->to, m->to + m->new_len, follows ? old->flags : old->flags & ~(uint32_t)KMM_VM_WATCHED,
				   old->backing, kmm_vma_index(old, m->from), old->anon, old->tag, old->opening,
				   follows ? old->userfault : NULL };
	struct kmm_vma *prev, *vma;

	/* An area without private pages takes on the page numbers of its new addresses, to merge better there. */
	if (!old->backing && !old->anon)
		piece.pgoff = m->to >> KMM_PAGE_SHIFT;
	kmm_mm_find_prev(mm, m->to, &prev);
	if (kmm_vma_merge(mm, prev, &piece))
		return;
	vma = kmm_reserve_take(mm, &m->reserve);
	kmm_vma_copy(vma, old, mm);
	if (!follows)
		kmm_vma_unwatch(vma);
	vma->start = piece.start;
	vma->end = piece.end;
	vma->pgoff = piece.pgoff;
	kmm_edit_begin(mm->k, vma->backing);
	kmm_vma_link(mm, vma);
	kmm_anon_link(vma, old);
	kmm_edit_end(mm->k, vma->backing);
}

static void mark_left(struct kmm_page *page)
{
	if (kmm_page_kind(page) == KMM_KIND_ANON || kmm_page_kind(page) == KMM_KIND_FILE)
		__atomic_fetch_or(&page->flags, (uint32_t)KMM_PG_LEFT_LOCKED, __ATOMIC_RELAXED);
}

static bool mark_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct kmm *k = arg;
	void *entry = first->entry;

	(void)va;
	for (; nr; nr--, entry = kmm_leaf_next(k, entry))
		if (kmm_leaf_is_present(entry))
			mark_left(kmm_leaf_page(k, kmm_leaf_read(k, entry)));
	return true;
}

/* Linux takes the lock from the area and not from the pages that were not moved, which PAGEOUT then finds locked. */
static void unlock_left(struct kmm_vma *old)
{
	struct kmm_mm *mm = old->mm;
	kmm_word resume;

	if (old->flags & KMM_VM_LOCKED)
		kmm_pt_for_each_run(mm->k, &mm->space, old->start, old->end, mark_run, mm->k, &resume);
	old->flags &= ~(uint32_t)KMM_VM_LOCKS;
}

/* DONTUNMAP: the old range stays, empty, and its area is no longer locked; wholly moved, it forgets its private pages. Locked
 * pages are as many as before, as Linux 6.1 counts them: what else of the area was locked stays in the count for good. */
static void leave_empty(struct move *m)
{
	struct kmm_vma *old = kmm_mm_find(m->mm, m->from);

	KMM_ASSERT(m->mm->k, old && old->start <= m->from && m->old_len <= old->end - m->from);
	unlock_left(old);
	if (old->start == m->from && old->end == m->from + m->old_len)
		kmm_anon_unlink(old);
}

/* The move, and that the old range is then unmapped. (A note without its move, for lack of memory, is told all the same.) */
static enum kmm_status note_move(const struct move *m, struct kmm_vma *old)
{
	const struct kmm_userfault_event event = { .what = KMM_USERFAULT_REMAP, .start = kmm_uva(m->from),
						   .end = kmm_uva(m->from + m->asked_len), .to = kmm_uva(m->to) };
	enum kmm_status status = KMM_OK;

	if (kmm_vma_tells(old, KMM_USERFAULT_REMAP))
		status = kmm_note(m->mm, old->userfault, &event);
	if (status == KMM_OK && m->old_len && !(m->flags & KMM_MREMAP_DONTUNMAP))
		status = kmm_note_unmap(m->mm, m->from, m->from + m->old_len);
	return status;
}

/* Everything was reserved: only limits can refuse. The destination is a hole. */
static enum kmm_status move_area(struct move *m)
{
	struct kmm_mm *mm = m->mm;
	struct kmm_vma *old = kmm_mm_find(mm, m->from);
	kmm_word more = m->new_len - ((m->flags & KMM_MREMAP_DONTUNMAP) ? 0 : m->old_len);
	struct kmm_backing *backing = old->backing; /* old itself may merge away */
	bool follows = kmm_vma_tells(old, KMM_USERFAULT_REMAP);
	uint32_t flags = old->flags;

	if (mm->map_count + 3 >= mm->limits.max_map_count)
		return KMM_ENOMEM;
	if ((flags & KMM_VM_ACCOUNT) && !kmm_vm_enough(mm, more >> KMM_PAGE_SHIFT))
		return KMM_ENOMEM;
	if (mm->tells && note_move(m, old) != KMM_OK)
		return KMM_ENOMEM;
	kmm_vma_write(old);
	make_area(m, old);
	/* A truncation goes along the areas of its file and must not look at the new one before and the old one after. */
	kmm_edit_begin(mm->k, backing);
	move_entries(mm, m->from, m->old_len, m->to);
	kmm_edit_end(mm->k, backing);
	if ((flags & KMM_VM_WATCH_WRITES) && !follows) /* not by anybody there */
		kmm_watch_writes(mm, m->to, m->to + m->old_len, false);
	/* The peak must not count the range twice. */
	if (m->flags & KMM_MREMAP_DONTUNMAP) {
		kmm_mm_account(mm, flags & ~(uint32_t)KMM_VM_LOCKED, m->new_len >> KMM_PAGE_SHIFT);
		leave_empty(m);
		return KMM_OK;
	}
	if (m->old_len)
		kmm_unmap(mm, m->from, m->from + m->old_len, &m->reserve, KMM_UNMAP_NO_ENTRIES);
	kmm_mm_account(mm, flags, m->new_len >> KMM_PAGE_SHIFT);
	return KMM_OK;
}

/* kmm_mm_is_inside() for an address behind one at which vma, or NULL, was found: mostly no search. */
static bool is_inside_from(struct kmm_mm *mm, const struct kmm_vma *vma, kmm_word addr)
{
	if (!vma || addr > vma->end)
		return kmm_mm_is_inside(mm, addr);
	return vma->start < addr && addr < vma->end;
}

/* What a move can need, before anything changes. */
static enum kmm_status prepare(struct move *m)
{
	struct kmm_mm *mm = m->mm;
	kmm_word len = m->old_len < m->new_len ? m->old_len : m->new_len;
	struct kmm_vma *vma = kmm_mm_find(mm, m->from);
	unsigned nr;

	/* A range that is not one area's will be refused, in its turn; then there is nothing to prepare. */
	if (vma && vma->start <= m->from && vma->end - m->from < len)
		len = 0;
	/* The new area, and the rest of an area that reaches over the end of what is unmapped. The head of a range that
	 * is cut short is unmapped together with its tail's cut, so the source is cut once. */
	nr = 1u + is_inside_from(mm, vma, m->from + m->old_len) +
	     ((m->flags & KMM_MREMAP_FIXED) && kmm_mm_is_inside(mm, m->to + m->new_len));
	if (kmm_reserve(mm, &m->reserve, nr, nr, m->to + m->new_len, m->from + m->old_len) != KMM_OK)
		return KMM_ENOMEM;
	if (len && make_tables(mm, m->from, len, m->to) != KMM_OK) {
		kmm_reserve_drop(mm, &m->reserve);
		return KMM_ENOMEM;
	}
	return KMM_OK;
}

/* Tables made for a move that did not happen, or only in part. */
static void finish(struct move *m, enum kmm_status status)
{
	const struct kmm_vma *vma;

	kmm_reserve_drop(m->mm, &m->reserve);
	if (!status)
		return;
	vma = kmm_mm_find(m->mm, m->to);
	if (!vma || vma->start >= m->to + m->new_len)
		kmm_free_hole_tables(m->mm, m->to, m->to + m->new_len);
}

/* ---- the variants ---- */

static enum kmm_status move_anywhere(struct kmm_mm *mm, struct kmm_vma *vma, kmm_word addr, kmm_word old_len,
				     kmm_word new_len, kmm_word *out)
{
	struct move m = { .mm = mm, .from = addr, .old_len = old_len, .new_len = new_len, .asked_len = old_len };
	enum kmm_status status = kmm_place(mm, 0, new_len, vma->flags & KMM_VM_MAYSHARE ? KMM_MAP_SHARED : 0, &m.to);

	if (status)
		return status;
	status = prepare(&m);
	if (status)
		return status;
	status = move_area(&m);
	finish(&m, status);
	*out = m.to;
	return status;
}

/* The destination of MREMAP_FIXED is unmapped, and the old range made no longer than the new one. Tables stay, as
 * those prepared for the destination may lie in either hole. */
static enum kmm_status clear_way(struct move *m)
{
	struct kmm_mm *mm = m->mm;

	if (m->flags & KMM_MREMAP_FIXED) {
		if (kmm_unmap_splits(mm, m->to, m->to + m->new_len) && mm->map_count >= mm->limits.max_map_count)
			return KMM_ENOMEM;
		if (kmm_note_unmap(mm, m->to, m->to + m->new_len) != KMM_OK)
			return KMM_ENOMEM;
		kmm_unmap(mm, m->to, m->to + m->new_len, &m->reserve, KMM_UNMAP_KEEP_TABLES);
	}
	if (m->old_len > m->new_len) {
		kmm_word start = m->from + m->new_len, end = m->from + m->old_len;

		if (end > kmm_mm_task_size(mm) || end < start)
			return KMM_EINVAL;
		if (kmm_unmap_splits(mm, start, end) && mm->map_count >= mm->limits.max_map_count)
			return KMM_ENOMEM;
		if (kmm_note_unmap(mm, start, end) != KMM_OK)
			return KMM_ENOMEM;
		kmm_unmap(mm, start, end, &m->reserve, KMM_UNMAP_KEEP_TABLES);
		m->old_len = m->new_len;
	}
	return KMM_OK;
}

static enum kmm_status move_checked(struct move *m)
{
	struct kmm_mm *mm = m->mm;
	enum kmm_status status = clear_way(m);
	struct kmm_vma *vma;
	kmm_word at;

	if (status == KMM_OK)
		status = resizable(mm, m->from, m->old_len, m->new_len, m->flags, &vma);
	if (status)
		return status;
	if ((m->flags & KMM_MREMAP_DONTUNMAP) && !kmm_mm_may_expand(mm, vma->flags, m->old_len >> KMM_PAGE_SHIFT))
		return KMM_ENOMEM;
	status = kmm_place(mm, m->to, m->new_len, m->flags & KMM_MREMAP_FIXED ? KMM_MAP_FIXED : 0, &at);
	if (status)
		return status;
	m->to = at;
	return move_area(m);
}

/* MREMAP_FIXED or DONTUNMAP (mremap_to). */
static enum kmm_status move_to(struct kmm_mm *mm, struct move *m, kmm_word *out)
{
	kmm_word task_size = kmm_mm_task_size(mm);
	enum kmm_status status;
	struct kmm_vma *vma;

	if ((m->to & (KMM_PAGE_SIZE - 1)) || m->new_len > task_size || m->to > task_size - m->new_len)
		return KMM_EINVAL;
	if (m->from + m->old_len > m->to && m->to + m->new_len > m->from)
		return KMM_EINVAL;
	if (mm->map_count + 5 >= mm->limits.max_map_count)
		return KMM_ENOMEM;
	/* Without FIXED the address is a hint; the place must be known to prepare it. */
	if (!(m->flags & KMM_MREMAP_FIXED)) {
		status = resizable(mm, m->from, m->old_len, m->new_len, m->flags, &vma);
		if (status == KMM_OK)
			status = kmm_place(mm, m->to, m->new_len, 0, &m->to);
		if (status)
			return status;
	}
	status = prepare(m);
	if (status)
		return status;
	status = move_checked(m);
	finish(m, status);
	*out = m->to;
	return status;
}

static enum kmm_status remap(struct kmm_mm *mm, struct move *m, kmm_word *out)
{
	struct kmm_vma *vma = kmm_mm_find(mm, m->from);
	enum kmm_status status;

	if (!vma || vma->start > m->from)
		return KMM_EFAULT;
	if (m->flags & (KMM_MREMAP_FIXED | KMM_MREMAP_DONTUNMAP))
		return move_to(mm, m, out);
	*out = m->from;
	if (m->old_len == m->new_len)
		return KMM_OK;
	if (m->old_len > m->new_len)
		return kmm_munmap_locked(mm, m->from + m->new_len, m->old_len - m->new_len);
	status = resizable(mm, m->from, m->old_len, m->new_len, m->flags, &vma);
	if (status)
		return status;
	if (m->old_len == vma->end - m->from && is_expandable(mm, vma, m->new_len - m->old_len))
		return grow_in_place(mm, vma, m->from + m->new_len);
	if (!(m->flags & KMM_MREMAP_MAYMOVE))
		return KMM_ENOMEM;
	return move_anywhere(mm, vma, m->from, m->old_len, m->new_len, out);
}

/* What a locked area has grown by is to be resident. m held. */
static void note_growth(struct kmm_mm *mm, kmm_word at, kmm_word old_len, kmm_word new_len, struct kmm_populate *populate)
{
	const struct kmm_vma *vma = kmm_mm_find(mm, at);

	if (new_len > old_len && (vma->flags & KMM_VM_LOCKED))
		*populate = (struct kmm_populate){ at + old_len, new_len - old_len };
}

/* place: the address wanted, and that it became. */
enum kmm_status kmm_mm_remap(struct kmm_mm *mm, kmm_word old_addr, uint64_t old_len, uint64_t new_len, unsigned flags,
			     struct kmm_uva *place, struct kmm_populate *populate)
{
	struct move m = { .mm = mm, .from = old_addr, .to = place->v, .flags = flags };
	const unsigned known = KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED | KMM_MREMAP_DONTUNMAP;
	enum kmm_status status;
	kmm_word at = 0;

	if ((flags & ~known) || ((flags & KMM_MREMAP_FIXED) && !(flags & KMM_MREMAP_MAYMOVE)))
		return KMM_EINVAL;
	if ((flags & KMM_MREMAP_DONTUNMAP) && (!(flags & KMM_MREMAP_MAYMOVE) || old_len != new_len))
		return KMM_EINVAL;
	if (old_addr & (KMM_PAGE_SIZE - 1))
		return KMM_EINVAL;
	m.old_len = (kmm_word)kmm_mm_page_align(mm, old_len);
	m.new_len = (kmm_word)kmm_mm_page_align(mm, new_len);
	if (!m.new_len)
		return KMM_EINVAL;
	old_len = m.asked_len = m.old_len;
	kmm_mm_lock(mm);
	status = remap(mm, &m, &at);
	if (status == KMM_OK)
		note_growth(mm, at, (kmm_word)old_len, m.new_len, populate);
	kmm_mm_unlock(mm);
	if (status)
		return status;
	kmm_trace(mm->k, KMM_EV_MMAP, at, at + m.new_len, 0, m.from);
	*place = kmm_uva(at);
	return KMM_OK;
}
