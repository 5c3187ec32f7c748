/* SPDX-License-Identifier: MIT */
/*
 * brk(2): the heap is the anonymous area that ends at the break. Asking is answering: every refusal returns the old
 * break. The heap grows the area below it if that is compatible, never merges with one above, and keeps a page free
 * below the next area (or below the guard gap of one that grows down).
 */
#include "vm/lock.h"

void kmm_mm_set_brk(struct kmm_mm *mm, struct kmm_uva start)
{
	kmm_mm_lock(mm);
	mm->start_brk = mm->brk = start.v;
	kmm_mm_unlock(mm);
}

static bool shrink(struct kmm_mm *mm, kmm_word from, kmm_word to)
{
	struct kmm_vma *vma = kmm_mm_find(mm, from);

	if (!vma || vma->start >= to)
		return false;
	return kmm_munmap_locked(mm, from, to - from) == KMM_OK;
}

/* The area that the heap may continue: it ends at `from` and is not wholly below the heap's start. */
static struct kmm_vma *heap_below(struct kmm_mm *mm, kmm_word from)
{
	struct kmm_vma *prev;

	kmm_mm_find_prev(mm, from, &prev);
	return prev && prev->end > mm->start_brk ? prev : NULL;
}

static bool has_room(struct kmm_mm *mm, kmm_word from, kmm_word to)
{
	struct kmm_vma *next = kmm_mm_find(mm, from);
	kmm_word at;

	if (kmm_place(mm, from, to - from, KMM_MAP_FIXED, &at) != KMM_OK)
		return false;
	return !next || (next->start >= to && to + KMM_PAGE_SIZE <= kmm_vma_start_gap(next));
}

static bool grow(struct kmm_mm *mm, kmm_word from, kmm_word to)
{
	const uint32_t flags = KMM_VM_DATA | mm->def_flags;
	struct kmm_piece piece = { .start = from, .end = to, .flags = flags, .pgoff = from >> KMM_PAGE_SHIFT };
	kmm_word pages = (to - from) >> KMM_PAGE_SHIFT;
	struct kmm_vma *below;

	if (!has_room(mm, from, to) || !kmm_mm_lock_fits(mm, flags, pages) || !kmm_mm_may_expand(mm, flags, pages) ||
	    mm->map_count > mm->limits.max_map_count || !kmm_vm_enough(mm, pages))
		return false;
	below = heap_below(mm, from);
	if (below && kmm_vma_can_follow(below, &piece)) {
		kmm_vma_write(below);
		kmm_vma_set_range(below, below->start, to);
		below->flags |= KMM_VM_SOFTDIRTY;
		kmm_mm_account(mm, flags, pages);
		return true;
	}
	return kmm_map_alone(mm, &piece) == KMM_OK;
}

/* The heap counts together with the program's initialised data. */
static bool is_within_limit(const struct kmm_mm *mm, kmm_word want)
{
	return (uint64_t)(want - mm->start_brk) + mm->data_bytes <= mm->limits.data_bytes;
}

static bool move_break(struct kmm_mm *mm, kmm_word want)
{
	kmm_word from = (kmm_word)kmm_mm_page_align(mm, mm->brk), to = (kmm_word)kmm_mm_page_align(mm, want);

	if (want < mm->start_brk || !is_within_limit(mm, want))
		return false;
	if (from == to)
		return true;
	if (want <= mm->brk)
		return shrink(mm, to, from);
	return to > from && grow(mm, from, to);
}

/* What a heap that is locked by mlockall() has grown by. */
static void note_growth(const struct kmm_mm *mm, kmm_word want, struct kmm_populate *populate)
{
	kmm_word from = (kmm_word)kmm_mm_page_align(mm, mm->brk), to = (kmm_word)kmm_mm_page_align(mm, want);

	if (to > from && (mm->def_flags & KMM_VM_LOCKED))
		*populate = (struct kmm_populate){ from, to - from };
}

kmm_word kmm_mm_brk(struct kmm_mm *mm, kmm_word want, struct kmm_populate *populate)
{
	kmm_word now;

	kmm_mm_lock(mm);
	if (move_break(mm, want)) {
		kmm_trace(mm->k, KMM_EV_BRK, mm->brk, want, 0, 0);
		note_growth(mm, want, populate);
		mm->brk = want;
	}
	KMM_CHECK(mm->k, mm->brk >= mm->start_brk);
	now = mm->brk;
	kmm_mm_unlock(mm);
	return now;
}
