/* SPDX-License-Identifier: MIT */
/*
 * MADV_COLLAPSE where no huge page is ever to be had: nothing is collapsed, and the answers are those of Linux 6.1 when it finds
 * none. So an area that could not be made huge, and one without a page to begin with, is refused as unfit (KMM_EINVAL); a range that
 * holds no whole huge page is done already; else there is no memory for it (KMM_ENOMEM). Which huge pages of a range are fit is
 * looked at from its start on, and the first that is fit ends the search.
 */
#include "vm/advise.h"
#include "vm/backing.h"

static kmm_word huge_size(const struct kmm_vma *vma)
{
	return (kmm_word)1 << kmm_fmt(vma->mm->k)->level[1].shift;
}

/* Is there room for a huge page, which in a file lies where it lies in memory? */
static bool has_room(const struct kmm_vma *vma)
{
	kmm_word size = huge_size(vma), mask = size - 1, first = (vma->start + mask) & ~mask;

	if (vma->backing && ((vma->start >> KMM_PAGE_SHIFT) - kmm_vma_index(vma, vma->start)) & (mask >> KMM_PAGE_SHIFT))
		return false;
	return first >= vma->start && first < vma->end && vma->end - first >= size;
}

/* Files in memory, and private memory that has had a page. */
static bool is_fit(const struct kmm_vma *vma)
{
	if ((vma->flags & (KMM_VM_NOT_HUGE | KMM_VM_SPECIAL)) || !has_room(vma))
		return false;
	if (vma->backing)
		return kmm_backing_is_file(vma->backing) && !((const struct kmm_file *)vma->backing)->store;
	return vma->anon != NULL;
}

static bool has_no_writable(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	const uint64_t both = KMM_X86_P | KMM_X86_RW;
	struct kmm *k = arg;

	(void)va;
	for (unsigned i = 0; i < nr; i++) {
		struct kmm_ptref ref = kmm_pt_ref_at(k, first, i);

		if ((kmm_pt_read(k, &ref) & both) == both)
			return false;
	}
	return true;
}

enum kmm_status kmm_advise_collapse(struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	kmm_word mask = huge_size(vma) - 1, last = end & ~mask, at = (start + mask) & ~mask, resume;
	struct kmm *k = vma->mm->k;

	if (!is_fit(vma) || at > last || at < start)
		return KMM_EINVAL;
	if (at == last)
		return KMM_OK;
	if (vma->backing)
		return KMM_ENOMEM;
	return kmm_pt_for_each_run(k, &vma->mm->space, at, last, has_no_writable, k, &resume) ? KMM_EINVAL : KMM_ENOMEM;
}
