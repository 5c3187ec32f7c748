/* SPDX-License-Identifier: MIT */
/*
 * Taking entries out of page tables, and the counts that go with each entry.
 *
 * A present entry holds a reference to its frame and counts in its map count, and the space's resident pages say how
 * many there are of each sort. The zero page has none of these.
 */
#include "vm/backing.h"
#include "vm/mm.h"

void kmm_vma_count_page(struct kmm_vma *vma, struct kmm_page *page, bool mapped)
{
	struct kmm_mm *mm = vma->mm;
	kmm_word *rss = &mm->rss[KMM_RSS_FILE], total;

	if (kmm_page_kind(page) == KMM_KIND_ZERO)
		return;
	if (kmm_page_kind(page) == KMM_KIND_ANON)
		rss = &mm->rss[KMM_RSS_ANON];
	else if (vma->flags & KMM_VM_SHMEM)
		rss = &mm->rss[KMM_RSS_SHMEM];
	if (!mapped) {
		atomic_fetch_sub_explicit(&page->count, 1, memory_order_relaxed);
		--*rss;
		return;
	}
	atomic_fetch_add_explicit(&page->count, 1, memory_order_relaxed);
	++*rss;
	total = mm->rss[KMM_RSS_ANON] + mm->rss[KMM_RSS_FILE] + mm->rss[KMM_RSS_SHMEM];
	if (total > mm->peak_rss)
		mm->peak_rss = total;
}

struct zap {
	struct kmm_vma *vma;
	struct kmm_tlb *tlb;
	kmm_word next; /* first address not yet looked at */
};

static void zap_entry(struct zap *z, const struct kmm_ptref *ref, kmm_word va)
{
	struct kmm *k = z->vma->mm->k;
	struct kmm_pte pte = kmm_pt_decode(k, kmm_pt_take(k, z->tlb->space, ref, va));
	struct kmm_page *page = kmm_pfn_to_page(k, pte.pfn);

	if (pte.flags & KMM_PTE_DIRTY)
		kmm_page_set_dirty(page);
	kmm_vma_count_page(z->vma, page, false);
	kmm_tlb_note(k, z->tlb, va, kmm_page_kind(page) == KMM_KIND_ZERO ? NULL : page);
}

/* Stops when the gather is full. */
static bool zap_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct zap *z = arg;
	struct kmm *k = z->vma->mm->k;

	for (unsigned i = 0; i < nr; i++) {
		struct kmm_ptref ref = kmm_ptref_at(k, first, i);
		kmm_word at = va + ((kmm_word)i << KMM_PAGE_SHIFT);
		uint64_t raw = kmm_pt_read(k, &ref);

		z->next = at;
		if (!raw)
			continue;
		if (kmm_tlb_full(z->tlb))
			return false;
		zap_entry(z, &ref, at);
	}
	return true;
}

void kmm_zap(struct kmm_vma *vma, kmm_word start, kmm_word end, struct kmm_tlb *tlb)
{
	struct kmm *k = vma->mm->k;
	struct zap z = { vma, tlb, start };
	kmm_word resume;

	while (!kmm_pt_for_each_run(k, &vma->mm->space, z.next, end, zap_run, &z, &resume))
		kmm_tlb_flush(k, tlb);
}
