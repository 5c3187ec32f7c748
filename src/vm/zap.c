/* SPDX-License-Identifier: MIT */
/*
 * Taking entries out of page tables, and the counts that go with each entry.
 *
 * A present entry, or one whose page is just being moved, holds a reference to its frame and counts in its map count, and the space's resident pages say how
 * many there are of each sort. The zero page has none of these. An entry that names a slot of swap counts there, and in the
 * space's swapped pages.
 */
#include "swap/swap.h"
#include "vm/backing.h"
#include "vm/mm.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* ---- what is resident ---- */

kmm_word kmm_mm_resident(const struct kmm_mm *mm)
{
	return kmm_mm_rss(mm, KMM_RSS_ANON) + kmm_mm_rss(mm, KMM_RSS_FILE) + kmm_mm_rss(mm, KMM_RSS_SHMEM);
}

kmm_word kmm_mm_peak_rss(const struct kmm_mm *mm)
{
	kmm_word peak = atomic_load_explicit(&mm->peak_rss, memory_order_relaxed), now = kmm_mm_resident(mm);

	return now > peak ? now : peak;
}

void kmm_mm_note_peak(struct kmm_mm *mm)
{
	kmm_word now = kmm_mm_resident(mm), peak = atomic_load_explicit(&mm->peak_rss, memory_order_relaxed);

	while (now > peak && !atomic_compare_exchange_weak_explicit(&mm->peak_rss, &peak, now, memory_order_relaxed,
								    memory_order_relaxed))
		;
}

/* ---- taking entries ---- */

struct zap {
	struct kmm_vma *vma;
	struct kmm_tlb *tlb;
	kmm_word next;            /* first address not yet looked at */
	bool seen, empties;       /* a table of the range was there; has no entry left */
};

/* One mapping less. Where its reference is the frame's only one, nobody else looks at the frame any more: no other
 * entry, no cache. Then no mark is worth keeping, and the map count needs no locked instruction. */
static inline void uncount(struct kmm *k, struct kmm_page *page, uint64_t raw)
{
	if (atomic_load_explicit(&page->refcount, memory_order_acquire) == 1) {
		KMM_ASSERT(k, atomic_load_explicit(&page->count, memory_order_relaxed) == 1);
		atomic_store_explicit(&page->count, 0, memory_order_relaxed);
		return;
	}
	KMM_CHECK(k, atomic_load_explicit(&page->count, memory_order_relaxed) > 0);
	if (raw & KMM_X86_D)
		kmm_page_set_dirty(page);
	atomic_fetch_sub_explicit(&page->count, 1, memory_order_relaxed);
}

static void settle_resident(struct kmm_vma *vma, kmm_word nr_anon, kmm_word nr_other)
{
	struct kmm_mm *mm = vma->mm;
	unsigned other = vma->flags & KMM_VM_SHMEM ? KMM_RSS_SHMEM : KMM_RSS_FILE;

	if (!nr_anon && !nr_other)
		return;
	KMM_ASSERT(mm->k, kmm_mm_rss(mm, KMM_RSS_ANON) >= nr_anon && kmm_mm_rss(mm, other) >= nr_other);
	kmm_mm_note_peak(mm);
	kmm_mm_count_rss(mm, KMM_RSS_ANON, -nr_anon);
	kmm_mm_count_rss(mm, other, -nr_other);
}

/* An entry that was not present; it was taken. true: it held a frame. */
static bool zap_absent(struct kmm_vma *vma, uint64_t raw)
{
	struct kmm *k = vma->mm->k;

	if (raw == KMM_RAW_WATCHED_HOLE)
		return false;
	if (!kmm_raw_is_swap(raw)) { /* the mover's no longer */
		atomic_fetch_sub_explicit(&k->vm->moving, 1, memory_order_release);
		return true;
	}
	KMM_ASSERT(k, kmm_mm_rss(vma->mm, KMM_RSS_SWAP) > 0);
	kmm_slot_put(k, kmm_raw_slot(raw));
	kmm_mm_count_rss(vma->mm, KMM_RSS_SWAP, -(kmm_word)1);
	return false;
}

/* Stops when the gather is full. keeps: what is watched leaves a mark; known where this is compiled. */
ALWAYS_INLINE bool zap_entries(struct zap *z, const struct kmm_ptref *first, kmm_word va, unsigned nr, bool keeps)
{
	struct kmm *k = z->vma->mm->k;
	struct kmm_leaf_run run = { .space = z->tlb->space };
	unsigned nr_held = z->tlb->nr_held, nr_anon = 0, nr_kept = 0;
	kmm_word end = va + ((kmm_word)nr << KMM_PAGE_SHIFT);
	void *entry = first->entry;

	for (; va != end && nr_held < KMM_TLB_HELD; va += KMM_PAGE_SIZE, entry = kmm_leaf_next(k, entry)) {
		struct kmm_page *page;
		uint64_t raw;

		if (kmm_leaf_is_zero(entry))
			continue;
		raw = kmm_entry_take(k, entry);
		kmm_leaf_tally(k, &run, va, 0);
		if (keeps && kmm_raw_is_watched(raw)) {
			kmm_entry_store(k, entry, KMM_RAW_WATCHED_HOLE);
			nr_kept++;
		}
		if (__builtin_expect(!(raw & KMM_X86_P), 0) && !zap_absent(z->vma, raw))
			continue;
		page = kmm_leaf_page(k, raw);
		if (kmm_page_kind(page) == KMM_KIND_ZERO)
			continue;
		nr_anon += kmm_page_kind(page) == KMM_KIND_ANON;
		uncount(k, page, raw);
		z->tlb->held[nr_held++] = page;
	}
	settle_resident(z->vma, nr_anon, nr_held - z->tlb->nr_held - nr_anon);
	z->tlb->nr_held = nr_held;
	kmm_leaf_settle(k, &run, first->table, (int)nr_kept - (int)run.nr, z->tlb);
	z->seen = true;
	z->empties |= atomic_load_explicit(&first->table->count, memory_order_relaxed) == 0;
	z->next = va;
	return va == end;
}

static bool zap_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	return zap_entries(arg, first, va, nr, false);
}

static bool zap_keeping(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	return zap_entries(arg, first, va, nr, true);
}

static bool zap(struct kmm_vma *vma, kmm_word start, kmm_word end, struct kmm_tlb *tlb, bool keeps)
{
	struct kmm *k = vma->mm->k;
	struct zap z = { .vma = vma, .tlb = tlb, .next = start };
	kmm_word resume;

	KMM_ASSERT(k, tlb->space == &vma->mm->space && vma->start <= start && start < end && end <= vma->end);
	while (!kmm_pt_for_each_run(k, &vma->mm->space, z.next, end, keeps ? zap_keeping : zap_run, &z, &resume))
		kmm_tlb_flush(k, tlb);
	/* Of several tables, or of upper ones alone, the run does not tell. */
	return z.empties || !z.seen || ((start ^ (end - 1)) >> kmm_pt_fmt(k)->level[1].shift) != 0;
}

bool kmm_zap(struct kmm_vma *vma, kmm_word start, kmm_word end, struct kmm_tlb *tlb)
{
	return zap(vma, start, end, tlb, false);
}

void kmm_zap_pages(struct kmm_vma *vma, kmm_word start, kmm_word end, struct kmm_tlb *tlb)
{
	zap(vma, start, end, tlb, vma->backing && (vma->flags & KMM_VM_WATCH_WRITES));
}
