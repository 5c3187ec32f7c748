/* SPDX-License-Identifier: MIT */
/*
 * swapoff: what is in an area comes back by faults of the spaces that have it, space by space, while they run, and to the files
 * that have it. A space
 * that is copied meanwhile gives its entries to the copy, so rounds go on until the area is empty.
 */
#include "fault/fault.h"
#include "reclaim/reclaim.h"
#include "swap/swap.h"
#include "vm/backing.h"

struct search {
	struct kmm *k;
	unsigned place;
	kmm_word found;           /* address of an entry in the area */
};

static bool find_entry(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct search *s = arg;

	for (unsigned i = 0; i < nr; i++) {
		struct kmm_ptref ref = kmm_ptref_at(s->k, first, i);
		uint64_t raw = kmm_pt_read(s->k, &ref);

		if (!kmm_raw_is_swap(raw) || kmm_swap_is_same((uint32_t)raw) || kmm_swap_place((uint32_t)raw) != s->place)
			continue;
		s->found = va + ((kmm_word)i << KMM_PAGE_SHIFT);
		return false;
	}
	return true;
}

/* The first entry of the area at or above `at`. m is held during the search alone. */
static bool next_entry(struct kmm_mm *mm, struct search *s, kmm_word at)
{
	bool found = false;
	kmm_word resume;

	kmm_mm_lock(mm);
	for (struct kmm_vma *vma = kmm_mm_find(mm, at); vma && !found; vma = kmm_vma_next(vma)) {
		kmm_word from = vma->start > at ? vma->start : at;

		if (vma->anon)
			found = !kmm_pt_for_each_run(s->k, &mm->space, from, vma->end, find_entry, s, &resume);
	}
	kmm_mm_unlock(mm);
	return found;
}

/* A page without access is brought back too: by what its area's owner may do, which is nothing, so rights are not asked. */
static enum kmm_status empty_space(struct kmm_mm *mm, unsigned place)
{
	struct search s = { .k = mm->k, .place = place };
	enum kmm_status status = KMM_OK;
	kmm_word at = 0;

	while (status == KMM_OK && next_entry(mm, &s, at)) {
		status = kmm_fault_swap_at(mm, s.found);
		at = s.found;
	}
	return status;
}

/* The next space with swapped pages after `prev`, which is put; with a reference. */
static struct kmm_mm *next_space(struct kmm *k, struct kmm_mm *prev)
{
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	struct kmm_list *l = prev ? prev->link.next : k->vm->mms.next;
	struct kmm_mm *mm = NULL;

	for (; l != &k->vm->mms && !mm; l = l->next) {
		mm = kmm_container(l, struct kmm_mm, link);
		if (!kmm_mm_rss(mm, KMM_RSS_SWAP) || !kmm_mm_try_get(mm))
			mm = NULL;
	}
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	if (prev)
		kmm_mm_put(prev);
	return mm;
}

static enum kmm_status empty_area(struct kmm *k, unsigned place)
{
	enum kmm_status status = KMM_OK;

	while (status == KMM_OK && kmm_swap_used(k, place)) {
		unsigned seen = kmm_swap_ends(k);
		struct kmm_mm *mm = NULL;

		while (status == KMM_OK && (mm = next_space(k, mm)) != NULL)
			status = empty_space(mm, place);
		if (mm)
			kmm_mm_put(mm);
		if (status == KMM_OK)
			status = kmm_files_leave_area(k, place);
		if (status == KMM_OK)
			kmm_swap_wait(k, seen, true);
		if (k->port->relax)
			k->port->relax(k->port);
	}
	return status;
}

enum kmm_status kmm_swap_off(struct kmm *k, struct kmm_swap_device *dev)
{
	enum kmm_status status = KMM_EINVAL;
	int place;

	kmm_mutex_lock(k, &k->swap->change);
	place = kmm_swap_find(k, dev);
	if (place >= 0) {
		kmm_swap_set_leaving(k, (unsigned)place, true);
		status = empty_area(k, (unsigned)place);
		if (status == KMM_OK)
			kmm_swap_drop(k, (unsigned)place);
		else
			kmm_swap_set_leaving(k, (unsigned)place, false);
	}
	kmm_mutex_unlock(k, &k->swap->change);
	return status;
}
