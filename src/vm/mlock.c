/* SPDX-License-Identifier: MIT */
/*
 * mlock(2) and its relatives as far as areas go: a lock is a flag of the area, so locking splits and merges like
 * mprotect. What is locked is made resident by the fault layer afterwards (fault/locked.c).
 *
 * Linux's rules: at a hole the work stops and what was done stays; areas of the kernel's own are passed over; a range
 * that was locked already does not count twice towards the limit.
 */
#include "vm/lock.h"

#include "pageq/pageq.h"

bool kmm_mm_may_lock(const struct kmm_mm *mm)
{
	return (mm->limits.rights & KMM_MAY_LOCK) || mm->limits.memlock_bytes != 0;
}

static bool is_within_limit(const struct kmm_mm *mm, uint64_t pages)
{
	return (mm->limits.rights & KMM_MAY_LOCK) || pages <= mm->limits.memlock_bytes >> KMM_PAGE_SHIFT;
}

bool kmm_mm_lock_fits(const struct kmm_mm *mm, uint32_t vm_flags, kmm_word pages)
{
	return !(vm_flags & KMM_VM_LOCKED) || is_within_limit(mm, (uint64_t)mm->locked_pages + pages);
}

/* [start, end) within vma gets these flags. *prev: the area before; becomes the one that now covers the range. */
static enum kmm_status set_locks(struct kmm_vma *vma, struct kmm_vma **prev, kmm_word start, kmm_word end, uint32_t locks,
				 struct kmm_reserve *r)
{
	uint32_t old_flags = vma->flags, flags = (old_flags & ~(uint32_t)KMM_VM_LOCKS) | locks;
	kmm_word pages = (end - start) >> KMM_PAGE_SHIFT;
	struct kmm_mm *mm = vma->mm;
	struct kmm_vma *before = *prev;
	enum kmm_status status;

	*prev = vma;
	if (flags == old_flags || (old_flags & KMM_VM_SPECIAL))
		return KMM_OK;
	kmm_vma_write(vma);
	status = kmm_vma_carve(mm, before, vma, start, end, flags, r, prev);
	if (status)
		return status;
	(*prev)->flags = flags;
	if (!(flags & KMM_VM_LOCKED)) {
		mm->locked_pages -= pages;
		kmm_pageq_unlocked(mm->k->pageq);
	} else if (!(old_flags & KMM_VM_LOCKED)) {
		mm->locked_pages += pages;
	}
	return KMM_OK;
}

static enum kmm_status lock_areas(struct kmm_mm *mm, kmm_word start, kmm_word end, uint32_t locks, struct kmm_reserve *r)
{
	struct kmm_vma *prev, *vma = kmm_mm_find_prev(mm, start, &prev);
	kmm_word at = start;

	if (!vma || vma->start > start)
		return KMM_ENOMEM;
	if (start > vma->start)
		prev = vma;
	for (;;) {
		kmm_word to = vma->end < end ? vma->end : end;
		enum kmm_status status = set_locks(vma, &prev, at, to, locks, r);

		if (status)
			return status;
		at = to < prev->end ? prev->end : to;
		if (at >= end)
			return KMM_OK;
		vma = kmm_vma_next(prev);
		if (!vma || vma->start != at)
			return KMM_ENOMEM;
	}
}

/* Pages of [start, end) that are locked already. */
static kmm_word locked_within(struct kmm_mm *mm, kmm_word start, kmm_word end)
{
	kmm_word pages = 0;

	for (struct kmm_vma *vma = kmm_mm_find(mm, start); vma && vma->start < end; vma = kmm_vma_next(vma)) {
		kmm_word from = vma->start > start ? vma->start : start, to = vma->end < end ? vma->end : end;

		if (vma->flags & KMM_VM_LOCKED)
			pages += (to - from) >> KMM_PAGE_SHIFT;
	}
	return pages;
}

static bool range_fits(struct kmm_mm *mm, kmm_word start, kmm_word len)
{
	uint64_t pages = (uint64_t)mm->locked_pages + (len >> KMM_PAGE_SHIFT);
	kmm_word end = start + len < start ? ~(kmm_word)0 : start + len; /* which is refused only after this */

	return is_within_limit(mm, pages) || is_within_limit(mm, pages - locked_within(mm, start, end));
}

static enum kmm_status lock_range(struct kmm_mm *mm, kmm_word start, kmm_word len, uint32_t locks)
{
	kmm_word end = (kmm_word)kmm_mm_page_align(mm, start + len); /* for the width of the machine's words */
	enum kmm_status status;
	struct kmm_reserve r;

	if (locks && !range_fits(mm, start, len))
		return KMM_ENOMEM;
	if (end < start)
		return KMM_EINVAL;
	if (end == start)
		return KMM_OK;
	if (kmm_reserve_carve(mm, &r, kmm_mm_find(mm, start), start, end) != KMM_OK)
		return KMM_ENOMEM;
	status = lock_areas(mm, start, end, locks, &r);
	kmm_reserve_drop(mm, &r);
	return status;
}

enum kmm_status kmm_mm_lock_range(struct kmm_mm *mm, kmm_word addr, uint64_t len, uint32_t locks,
				  struct kmm_populate *populate)
{
	kmm_word offset = addr & (KMM_PAGE_SIZE - 1), start = addr - offset;
	kmm_word aligned = (kmm_word)kmm_mm_page_align(mm, len + offset);
	enum kmm_status status;

	if (locks && !kmm_mm_may_lock(mm))
		return KMM_EPERM;
	kmm_mm_lock(mm);
	status = lock_range(mm, start, aligned, locks);
	kmm_mm_unlock(mm);
	*populate = (struct kmm_populate){ start, aligned };
	return status;
}

static uint32_t locks_of(unsigned flags)
{
	return KMM_VM_LOCKED | (flags & KMM_MCL_ONFAULT ? KMM_VM_LOCKONFAULT : 0u);
}

/* Whole areas are never cut, so nothing can fail. */
static void lock_all(struct kmm_mm *mm, unsigned flags)
{
	uint32_t locks = flags & KMM_MCL_CURRENT ? locks_of(flags) : 0;
	struct kmm_vma *prev = NULL, *vma = kmm_mm_first(mm);
	struct kmm_reserve r = { .nr = 0 };

	mm->def_flags &= ~(uint32_t)KMM_VM_LOCKS;
	if (flags & KMM_MCL_FUTURE)
		mm->def_flags |= locks_of(flags);
	if ((flags & (KMM_MCL_FUTURE | KMM_MCL_CURRENT)) == KMM_MCL_FUTURE)
		return;
	for (; vma; vma = kmm_vma_next(prev)) {
		enum kmm_status status = set_locks(vma, &prev, vma->start, vma->end, locks, &r);

		KMM_ASSERT(mm->k, status == KMM_OK);
		(void)status;
	}
}

enum kmm_status kmm_mm_lock_all(struct kmm_mm *mm, unsigned flags)
{
	enum kmm_status status = KMM_OK;

	if (flags && !kmm_mm_may_lock(mm))
		return KMM_EPERM;
	kmm_mm_lock(mm);
	if ((flags & KMM_MCL_CURRENT) && !is_within_limit(mm, mm->total_pages))
		status = KMM_ENOMEM;
	else
		lock_all(mm, flags);
	kmm_mm_unlock(mm);
	return status;
}

void kmm_munlockall(struct kmm_mm *mm)
{
	kmm_mm_lock(mm);
	lock_all(mm, 0);
	kmm_mm_unlock(mm);
}
