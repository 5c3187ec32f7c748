/* SPDX-License-Identifier: MIT */
/*
 * The memory calls whose last step is to touch memory: the areas are the business of vm/, what they are to contain when the
 * call returns is faulted in here.
 */
#include "fault/populate.h"

enum kmm_status kmm_mmap_opened(struct kmm_mm *mm, const struct kmm_mmap_args *args, struct kmm_uva *out)
{
	struct kmm_map_request rq = { args->addr.v, args->len, args->prot, args->flags, args->backing, args->pgoff,
				      args->opening };
	struct kmm_populate populate = { 0, 0 };
	enum kmm_status status;

	kmm_mm_lock(mm);
	status = kmm_map(mm, &rq, &populate.at, &populate.len);
	kmm_mm_unlock(mm);
	if (status)
		return status;
	if (populate.len)
		kmm_populate(mm, &populate, KMM_POPULATE_ALL);
	*out = kmm_uva(populate.at);
	return KMM_OK;
}

enum kmm_status kmm_mmap(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, unsigned prot, unsigned flags,
			 struct kmm_backing *backing, uint64_t pgoff, struct kmm_uva *out)
{
	const struct kmm_mmap_args args = { addr, len, prot, flags, backing, pgoff, NULL };

	return kmm_mmap_opened(mm, &args, out);
}

enum kmm_status kmm_mprotect(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, unsigned prot)
{
	struct kmm_populate populate = { 0, 0 };
	enum kmm_status status = kmm_mm_protect(mm, addr.v, len, prot, &populate);

	if (populate.len)
		kmm_populate(mm, &populate, KMM_POPULATE_LOCKED);
	return status;
}

enum kmm_status kmm_mremap(struct kmm_mm *mm, struct kmm_uva old_addr, uint64_t old_len, uint64_t new_len, unsigned flags,
			   struct kmm_uva new_addr, struct kmm_uva *out)
{
	struct kmm_populate populate = { 0, 0 };
	enum kmm_status status = kmm_mm_remap(mm, old_addr.v, old_len, new_len, flags, &new_addr, &populate);

	if (status)
		return status;
	if (populate.len)
		kmm_populate(mm, &populate, KMM_POPULATE_ALL);
	*out = new_addr;
	return KMM_OK;
}

struct kmm_uva kmm_brk(struct kmm_mm *mm, struct kmm_uva want)
{
	struct kmm_populate populate = { 0, 0 };
	kmm_word now = kmm_mm_brk(mm, want.v, &populate);

	if (populate.len)
		kmm_populate(mm, &populate, KMM_POPULATE_ALL);
	return kmm_uva(now);
}

/* ---- locking ---- */

enum kmm_status kmm_mlock(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, unsigned flags)
{
	struct kmm_populate populate = { 0, 0 };
	enum kmm_status status;

	if (flags & ~(unsigned)KMM_MLOCK_ONFAULT)
		return KMM_EINVAL;
	status = kmm_mm_lock_range(mm, addr.v, len, KMM_VM_LOCKED | (flags ? KMM_VM_LOCKONFAULT : 0u), &populate);
	if (status)
		return status;
	switch (kmm_populate(mm, &populate, KMM_POPULATE_STRICTLY)) {
	case KMM_FAULT_OK:
		return KMM_OK;
	case KMM_FAULT_OOM:
		return KMM_EAGAIN;
	default:
		return KMM_ENOMEM;
	}
}

enum kmm_status kmm_munlock(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len)
{
	struct kmm_populate populate;

	return kmm_mm_lock_range(mm, addr.v, len, 0, &populate);
}

enum kmm_status kmm_mlockall(struct kmm_mm *mm, unsigned flags)
{
	const unsigned known = KMM_MCL_CURRENT | KMM_MCL_FUTURE | KMM_MCL_ONFAULT;
	const struct kmm_populate all = { 0, kmm_mm_task_size(mm) };
	enum kmm_status status;

	if (!(flags & (KMM_MCL_CURRENT | KMM_MCL_FUTURE)) || (flags & ~known))
		return KMM_EINVAL;
	status = kmm_mm_lock_all(mm, flags);
	if (status == KMM_OK && (flags & KMM_MCL_CURRENT))
		kmm_populate(mm, &all, KMM_POPULATE_ALL);
	return status;
}

/* ---- mincore ---- */

enum { MINCORE_PART = 256 };

enum kmm_status kmm_mincore(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, struct kmm_uva vec)
{
	/* As Linux, which compares with the end of all addresses, also for 32-bit programs on wide machines. */
	uint64_t task_size = mm->k->layout.user_end_max, pages = (len >> KMM_PAGE_SHIFT) + ((len & (KMM_PAGE_SIZE - 1)) != 0);
	enum kmm_status status = KMM_OK;
	uint8_t part[MINCORE_PART];

	if (addr.v & (KMM_PAGE_SIZE - 1))
		return KMM_EINVAL;
	if (len > task_size || addr.v > task_size - len)
		return KMM_ENOMEM;
	if (pages > task_size || vec.v > task_size - pages)
		return KMM_EFAULT;
	while (pages > 0 && status == KMM_OK) {
		unsigned done, nr = (unsigned)kmm_min_u64(pages, MINCORE_PART);

		status = kmm_mm_resident_pages(mm, addr.v, nr, part, &done);
		if (kmm_copy_out(mm, vec, part, done, NULL) != KMM_OK)
			return KMM_EFAULT;
		addr.v += (kmm_word)nr << KMM_PAGE_SHIFT;
		vec.v += nr;
		pages -= nr;
	}
	return status;
}

/* ---- remap_file_pages ---- */

/* Do the areas from vma on cover the range up to end, without a hole, showing the same with the same flags? That one is new
 * since clear_refs is a flag too, where Linux has it. */
static bool is_alike(const struct kmm_vma *vma, kmm_word end)
{
	const uint32_t unseen = kmm_fmt(vma->mm->k)->va_bits > 32 ? 0 : KMM_VM_SOFTDIRTY;
	const struct kmm_vma *prev = vma, *next;

	for (; prev->end < end; prev = next) {
		next = kmm_vma_next(prev);
		if (!next || next->start != prev->end || next->backing != vma->backing ||
		    next->opening != vma->opening || ((next->flags ^ vma->flags) & ~unseen))
			return false;
	}
	return true;
}

/* m held. */
static enum kmm_status remap_file(struct kmm_mm *mm, struct kmm_map_request *rq, struct kmm_populate *populate)
{
	struct kmm_vma *vma = kmm_mm_find(mm, rq->addr);
	struct kmm_opening *opening;
	enum kmm_status status;

	if (!vma || vma->start > rq->addr || !(vma->flags & KMM_VM_SHARED) || !is_alike(vma, rq->addr + (kmm_word)rq->len))
		return KMM_EINVAL;
	rq->prot = vma->flags & KMM_VM_ACCESS;
	rq->flags = (rq->flags & KMM_MAP_NONBLOCK) | KMM_MAP_SHARED | KMM_MAP_FIXED | KMM_MAP_POPULATE;
	if (vma->flags & KMM_VM_LOCKED)
		rq->flags |= KMM_MAP_LOCKED;
	rq->backing = vma->backing;
	rq->opening = opening = vma->opening;
	kmm_backing_get(rq->backing);
	if (opening)
		kmm_opening_get(opening);
	status = kmm_map(mm, rq, &populate->at, &populate->len);
	if (opening)
		kmm_opening_put(opening);
	kmm_backing_put(rq->backing);
	return status;
}

enum kmm_status kmm_remap_file_pages(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, unsigned prot, uint64_t pgoff,
				     unsigned flags)
{
	const kmm_word page_mask = ~(kmm_word)(KMM_PAGE_SIZE - 1);
	const uint64_t most = kmm_fmt(mm->k)->va_bits > 32 ? UINT64_MAX : UINT32_MAX; /* a word of the machine */
	struct kmm_map_request rq = { addr.v & page_mask, len & page_mask, 0, flags, NULL, pgoff, NULL };
	struct kmm_populate populate = { 0, 0 };
	enum kmm_status status;

	if (prot || kmm_mm_page_align(mm, rq.addr + rq.len) <= rq.addr)
		return KMM_EINVAL;
	if (pgoff > most || (rq.len >> KMM_PAGE_SHIFT) > most - pgoff)
		return KMM_EINVAL;
	kmm_mm_lock(mm);
	status = remap_file(mm, &rq, &populate);
	kmm_mm_unlock(mm);
	if (status == KMM_OK && populate.len)
		kmm_populate(mm, &populate, KMM_POPULATE_ALL);
	return status;
}
