/* SPDX-License-Identifier: MIT */
/*
 * Looking at what is resident (mincore) and bringing what was written through mappings to where it belongs (msync).
 */
#include "pt/leaf.h"
#include "vm/backing.h"
#include "vm/mm.h"

/* ---- mincore ---- */

struct look {
	struct kmm *k;
	kmm_word start;
	uint8_t *vec;
};

static bool mark_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct look *l = arg;

	for (unsigned i = 0; i < nr; i++)
		if (kmm_leaf_is_mapped(kmm_ptref_at(l->k, first, i).entry))
			l->vec[((va - l->start) >> KMM_PAGE_SHIFT) + i] = 1;
	return true;
}

/* What is not in an entry may be in the backing's cache. */
static void look_into_cache(struct kmm_vma *vma, kmm_word start, unsigned nr, uint8_t *vec)
{
	struct kmm_backing *backing = vma->backing;
	struct kmm_page *page;

	memset(vec, 0, nr);
	if (!backing || !backing->ops->cached_pages)
		return;
	for (unsigned i = 0; i < nr; i++) {
		backing->ops->cached_pages(backing, kmm_vma_index(vma, start) + i, 1, &page);
		vec[i] = page != NULL;
		if (page)
			kmm_put_page(vma->mm->k, page);
	}
}

static void look_at_area(struct kmm_vma *vma, kmm_word start, unsigned nr, uint8_t *vec)
{
	struct kmm_mm *mm = vma->mm;
	struct look l = { mm->k, start, vec };
	kmm_word resume;

	look_into_cache(vma, start, nr, vec);
	kmm_pt_for_each_run(mm->k, &mm->space, start, start + ((kmm_word)nr << KMM_PAGE_SHIFT), mark_run, &l, &resume);
}

enum kmm_status kmm_mm_resident_pages(struct kmm_mm *mm, kmm_word addr, unsigned nr, uint8_t *vec, unsigned *done)
{
	enum kmm_status status = KMM_OK;

	kmm_mm_lock(mm);
	for (*done = 0; *done < nr;) {
		struct kmm_vma *vma = kmm_mm_find(mm, addr);
		unsigned here = nr - *done;

		if (!vma || vma->start > addr) {
			status = KMM_ENOMEM;
			break;
		}
		if ((vma->end - addr) >> KMM_PAGE_SHIFT < here)
			here = (unsigned)((vma->end - addr) >> KMM_PAGE_SHIFT);
		look_at_area(vma, addr, here, vec + *done);
		addr += (kmm_word)here << KMM_PAGE_SHIFT;
		*done += here;
	}
	kmm_mm_unlock(mm);
	return status;
}

/* ---- msync ---- */

/* Shared pages [start, end) of vma; m is given back meanwhile. */
static enum kmm_status write_back(struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	struct kmm_backing *backing = vma->backing;
	uint64_t first = kmm_vma_index(vma, start);
	struct kmm_mm *mm = vma->mm;
	enum kmm_status status;

	if (!backing || !(vma->flags & KMM_VM_SHARED) || !backing->ops->write_back)
		return KMM_OK;
	kmm_backing_get(backing);
	kmm_mm_unlock(mm);
	status = backing->ops->write_back(backing, first, (end - start) >> KMM_PAGE_SHIFT);
	kmm_backing_put(backing);
	kmm_mm_lock(mm);
	return status;
}

static enum kmm_status sync_range(struct kmm_mm *mm, kmm_word start, kmm_word end, unsigned flags)
{
	enum kmm_status answer = KMM_OK, status = KMM_OK;

	while (start < end) {
		struct kmm_vma *vma = kmm_mm_find(mm, start);
		kmm_word to;

		if (!vma || (start < vma->start && (flags == KMM_MS_ASYNC || vma->start >= end)))
			return KMM_ENOMEM;
		if (start < vma->start) {
			answer = KMM_ENOMEM;
			start = vma->start;
		}
		if ((flags & KMM_MS_INVALIDATE) && (vma->flags & KMM_VM_LOCKED))
			return KMM_EBUSY;
		to = vma->end < end ? vma->end : end;
		if (flags & KMM_MS_SYNC)
			status = write_back(vma, start, to);
		if (status)
			return status;
		start = to;
	}
	return answer;
}

enum kmm_status kmm_msync(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, unsigned flags)
{
	uint64_t end = kmm_mm_page_align(mm, addr.v + kmm_mm_page_align(mm, len));
	const unsigned both = KMM_MS_ASYNC | KMM_MS_SYNC;
	enum kmm_status status;

	if ((flags & ~(both | KMM_MS_INVALIDATE)) || (addr.v & (KMM_PAGE_SIZE - 1)) || (flags & both) == both)
		return KMM_EINVAL;
	if (end < addr.v)
		return KMM_ENOMEM;
	kmm_mm_lock(mm);
	status = sync_range(mm, addr.v, (kmm_word)end, flags);
	kmm_mm_unlock(mm);
	return status;
}
