/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/pagemap of Linux 6.1: a word for each page of a space, whether mapped or not.
 *
 *	bit 63 present, 62 in swap, 61 of a file or shared, 57 writes are watched, 56 mapped once, 55 written since clear_refs
 *	bits 54:0 the frame, or in swap bits 4:0 the area and 54:5 the slot
 */
#include "pt/leaf.h"
#include "swap/swap.h"
#include "vm/mm.h"

#define PAGE_PRESENT (UINT64_C(1) << 63)
#define PAGE_SWAPPED (UINT64_C(1) << 62)
#define PAGE_OF_FILE (UINT64_C(1) << 61)
#define PAGE_WATCHED (UINT64_C(1) << 57)
#define PAGE_EXCLUSIVE (UINT64_C(1) << 56)
#define PAGE_SOFT_DIRTY (UINT64_C(1) << 55)

enum { PART = 64 };

struct pagemap {
	struct kmm *k;
	bool frames, watches; /* is writing watched on this machine */
	kmm_word start;       /* of the part */
	uint64_t word[PART];
};

static uint64_t word_of_present(const struct pagemap *p, uint64_t raw)
{
	const struct kmm_page *page = kmm_leaf_page(p->k, raw);
	enum kmm_kind kind = kmm_page_kind(page);
	uint64_t word = PAGE_PRESENT;

	if (p->frames)
		word |= kmm_pfn_of(p->k->phys, page);
	if (p->watches && (raw & KMM_X86_SOFT_DIRTY))
		word |= PAGE_SOFT_DIRTY;
	if (raw & KMM_X86_WATCHED)
		word |= PAGE_WATCHED;
	if (kind == KMM_KIND_ZERO)
		return word;
	if (kind != KMM_KIND_ANON)
		word |= PAGE_OF_FILE;
	return atomic_load_explicit(&page->count, memory_order_relaxed) == 1 ? word | PAGE_EXCLUSIVE : word;
}

/* No page now, nor in swap, but Linux says it so: of its last sort of swap, the first number. */
static uint64_t word_of_hole(const struct pagemap *p)
{
	const uint64_t sort = 31, number = 1;

	return PAGE_SWAPPED | PAGE_WATCHED | (p->frames ? sort | number << 5 : 0);
}

static uint64_t word_of_swapped(const struct pagemap *p, uint64_t raw)
{
	uint64_t word = PAGE_SWAPPED | (p->watches && (raw & KMM_SWAP_WRITTEN) ? PAGE_SOFT_DIRTY : 0);

	if (raw & KMM_SWAP_WATCHED)
		word |= PAGE_WATCHED;
	if (!p->frames || kmm_swap_is_same((uint32_t)raw))
		return word;
	return word | kmm_swap_place((uint32_t)raw) | (uint64_t)kmm_swap_slot((uint32_t)raw) << 5;
}

static bool fill_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct pagemap *p = arg;
	uint64_t *word = &p->word[(va - p->start) >> KMM_PAGE_SHIFT];

	for (unsigned i = 0; i < nr; i++) {
		struct kmm_ptref ref = kmm_ptref_at(p->k, first, i);
		uint64_t raw = kmm_leaf_as_mapped(kmm_pt_read(p->k, &ref));

		if (raw & KMM_X86_P)
			word[i] |= word_of_present(p, raw);
		else if (kmm_raw_is_swap(raw))
			word[i] |= word_of_swapped(p, raw);
		else if (raw == KMM_RAW_WATCHED_HOLE)
			word[i] |= word_of_hole(p);
	}
	return true;
}

/* m held. */
static void fill_part(struct kmm_mm *mm, struct pagemap *p, unsigned nr)
{
	kmm_word end = p->start + ((kmm_word)nr << KMM_PAGE_SHIFT), resume;

	memset(p->word, 0, sizeof(p->word));
	for (struct kmm_vma *vma = kmm_mm_find(mm, p->start); vma && vma->start < end; vma = kmm_vma_next(vma)) {
		kmm_word from = vma->start > p->start ? vma->start : p->start, to = vma->end < end ? vma->end : end;

		if (p->watches && (vma->flags & KMM_VM_SOFTDIRTY))
			for (kmm_word at = from; at < to; at += KMM_PAGE_SIZE)
				p->word[(at - p->start) >> KMM_PAGE_SHIFT] = PAGE_SOFT_DIRTY;
		kmm_pt_for_each_run(mm->k, &mm->space, from, to, fill_run, p, &resume);
	}
}

kmm_word kmm_report_pagemap(struct kmm_mm *mm, uint64_t first, kmm_word nr, bool frames, struct kmm_sink *out)
{
	struct pagemap p = { .k = mm->k, .frames = frames, .watches = kmm_fmt(mm->k)->va_bits > 32 };
	uint64_t pages = kmm_mm_task_size(mm) >> KMM_PAGE_SHIFT;
	kmm_word done = 0;

	if (first >= pages)
		return 0;
	nr = (kmm_word)kmm_min_u64(nr, pages - first);
	kmm_mm_lock(mm);
	while (done < nr) {
		unsigned part = nr - done < PART ? (unsigned)(nr - done) : PART;

		p.start = (kmm_word)(first + done) << KMM_PAGE_SHIFT;
		fill_part(mm, &p, part);
		out->write(out, (const char *)p.word, part * sizeof(p.word[0]));
		done += part;
	}
	kmm_mm_unlock(mm);
	return done;
}
