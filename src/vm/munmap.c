/* SPDX-License-Identifier: MIT */
/*
 * munmap(2), and the removal of a range for those calls that put something in its place.
 *
 * Entries go first, while the areas are still in the reverse maps, then the areas, then tables that nothing
 * around the hole can need. One area is cut in two at most: the one that reaches over both ends.
 */
#include "vm/backing.h"
#include "vm/lock.h"
#include "vm/space.h"

bool kmm_unmap_splits(struct kmm_mm *mm, kmm_word start, kmm_word end)
{
	struct kmm_vma *vma = kmm_mm_find(mm, start);

	return vma && vma->start < start && vma->end > end;
}

/* Is there room for a whole table between floor and ceiling? The last one of the user half is a page short. */
static bool holds_table(const struct kmm_mm *mm, kmm_word floor, kmm_word ceiling)
{
	const uint64_t table = (uint64_t)1 << kmm_pt_fmt(mm->k)->level[1].shift;

	return ceiling >= mm->k->layout.user_end_max || kmm_align_up(floor, table) + table <= ceiling;
}

void kmm_free_hole_tables(struct kmm_mm *mm, kmm_word start, kmm_word end)
{
	const struct kmm_format *fmt = kmm_fmt(mm->k);
	uint64_t root_entry = (uint64_t)1 << fmt->level[fmt->nr_levels - 1].shift;
	struct kmm_vma *prev, *next = kmm_mm_find_prev(mm, start, &prev);
	/* Nothing that can be freed because of this hole lies beyond the root entries it touches. */
	kmm_word floor = (kmm_word)kmm_align_down(start, root_entry), ceiling = (kmm_word)kmm_align_up(end, root_entry);
	struct kmm_tlb tlb;

	KMM_ASSERT(mm->k, !next || next->start >= end);
	if (prev && prev->end > floor)
		floor = prev->end;
	if (next && next->start < ceiling)
		ceiling = next->start;
	if (!holds_table(mm, floor, ceiling))
		return;
	kmm_tlb_begin(mm->k, &tlb, &mm->space);
	kmm_pt_free_around(mm->k, &mm->space, &(struct kmm_pt_hole){ start, end, floor, ceiling }, &tlb);
	kmm_tlb_flush(mm->k, &tlb);
}

/* Entries of vma in [start, end) are gone; so is now that part of vma. Returns the area behind. */
static struct kmm_vma *remove_part(struct kmm_mm *mm, struct kmm_vma *vma, kmm_word start, kmm_word end,
				   struct kmm_reserve *r)
{
	struct kmm_vma *next;
	struct kmm_backing *backing = vma->backing;

	KMM_CHECK(mm->k, vma->start < end && start < vma->end);
	if (vma->start < start && vma->end > end)
		kmm_vma_split(mm, vma, end, kmm_reserve_take(mm, r));
	next = kmm_vma_next(vma);
	kmm_edit_begin(mm->k, backing);
	if (vma->start < start) {
		kmm_vma_set_range(vma, vma->start, start);
	} else if (vma->end > end) {
		kmm_vma_set_range(vma, end, vma->end);
	} else {
		kmm_vma_unlink(mm, vma);
		kmm_edit_end(mm->k, backing);
		kmm_vma_retire(vma);
		return next;
	}
	kmm_edit_end(mm->k, backing);
	return next;
}

/* true: there may be tables to free. */
static bool zap_areas(struct kmm_mm *mm, struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	bool empties = false, begun = false;
	struct kmm_tlb tlb;

	for (; vma && vma->start < end; vma = kmm_vma_next(vma)) {
		kmm_word from = vma->start > start ? vma->start : start, to = vma->end < end ? vma->end : end;

		if (kmm_pt_is_void(mm->k, &mm->space, from, to))
			continue;
		if (!begun)
			kmm_tlb_begin(mm->k, &tlb, &mm->space);
		begun = true;
		empties |= kmm_zap(vma, from, to, &tlb);
	}
	if (begun)
		kmm_tlb_flush(mm->k, &tlb);
	return empties;
}

void kmm_unmap(struct kmm_mm *mm, kmm_word start, kmm_word end, struct kmm_reserve *r, enum kmm_unmap_how how)
{
	struct kmm_vma *vma = kmm_mm_find(mm, start);
	bool has_tables = true;

	KMM_ASSERT(mm->k, start < end && ((start | end) & (KMM_PAGE_SIZE - 1)) == 0);
	if (!vma || vma->start >= end)
		return;
	for (struct kmm_vma *v = vma; v && v->start < end; v = kmm_vma_next(v))
		kmm_vma_write(v);
	if (how != KMM_UNMAP_NO_ENTRIES)
		has_tables = zap_areas(mm, vma, start, end);
	while (vma && vma->start < end) {
		kmm_word from = vma->start > start ? vma->start : start, to = vma->end < end ? vma->end : end;

		kmm_mm_account(mm, vma->flags, -((to - from) >> KMM_PAGE_SHIFT));
		vma = remove_part(mm, vma, start, end, r);
	}
	KMM_CHECK(mm->k, !vma || vma->start >= end);
	if (has_tables && how != KMM_UNMAP_KEEP_TABLES)
		kmm_free_hole_tables(mm, start, end);
}

enum kmm_status kmm_munmap_locked(struct kmm_mm *mm, kmm_word start, uint64_t len)
{
	kmm_word task_size = kmm_mm_task_size(mm), end;
	enum kmm_status status;
	struct kmm_reserve r;
	bool splits;

	if ((start & (KMM_PAGE_SIZE - 1)) || start > task_size || len > task_size - start)
		return KMM_EINVAL;
	end = start + (kmm_word)kmm_mm_page_align(mm, len);
	if (end == start)
		return KMM_EINVAL;
	splits = kmm_unmap_splits(mm, start, end);
	if (splits && mm->map_count >= mm->limits.max_map_count)
		return KMM_ENOMEM;
	if (splits && kmm_reserve(mm, &r, 1, 1, end, end) != KMM_OK)
		return KMM_ENOMEM;
	status = kmm_note_unmap(mm, start, end);
	if (status == KMM_OK)
		kmm_unmap(mm, start, end, &r, KMM_UNMAP_ALL);
	if (splits)
		kmm_reserve_drop(mm, &r);
	if (status == KMM_OK)
		kmm_trace(mm->k, KMM_EV_MUNMAP, start, end, 0, 0);
	return status;
}

/* ---- shmdt ---- */

/* Does vma lie where a mapping that began at `at` with its backing's first page would have it? */
static bool is_attached_at(const struct kmm_vma *vma, kmm_word at, const struct kmm_area_ops *ops)
{
	return vma->backing && vma->backing->areas == ops && (vma->start - at) >> KMM_PAGE_SHIFT == vma->pgoff;
}

static uint64_t shown_bytes(const struct kmm_mm *mm, const struct kmm_vma *vma)
{
	if (!kmm_backing_is_file(vma->backing))
		return vma->end - vma->start;
	return kmm_mm_page_align(mm, ((const struct kmm_file *)vma->backing)->size);
}

/* m held. first: it names the attach; the rest of that follows within its backing's size. */
static void detach(struct kmm_mm *mm, struct kmm_vma *first, kmm_word at)
{
	const struct kmm_backing *backing = first->backing; /* compared, not followed: it may go with its last area */
	const struct kmm_area_ops *ops = backing->areas;
	uint64_t size = shown_bytes(mm, first);
	const struct kmm_opening *opening = first->opening;
	struct kmm_vma *vma = first;

	do {
		kmm_word start = vma->start, end = vma->end;
		bool is_part = is_attached_at(vma, at, ops) && vma->backing == backing && vma->opening == opening;

		vma = kmm_vma_next(vma);
		if (is_part)
			kmm_unmap(mm, start, end, NULL, KMM_UNMAP_ALL); /* a whole area: nothing to reserve */
	} while (vma && vma->end - at <= size);
}

enum kmm_status kmm_munmap_attached(struct kmm_mm *mm, struct kmm_uva addr, const struct kmm_area_ops *ops)
{
	struct kmm_vma *vma;

	if (addr.v & (KMM_PAGE_SIZE - 1))
		return KMM_EINVAL;
	kmm_mm_lock(mm);
	vma = kmm_mm_find(mm, addr.v);
	while (vma && (vma->start < addr.v || !is_attached_at(vma, addr.v, ops)))
		vma = kmm_vma_next(vma);
	if (vma)
		detach(mm, vma, addr.v);
	kmm_mm_unlock(mm);
	return vma ? KMM_OK : KMM_EINVAL;
}

/* ---- munmap ---- */

enum kmm_status kmm_munmap(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len)
{
	enum kmm_status status;

	kmm_mm_lock(mm);
	status = kmm_munmap_locked(mm, addr.v, len);
	kmm_mm_unlock(mm);
	return status;
}
