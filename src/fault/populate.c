/* SPDX-License-Identifier: MIT */
/*
 * mmap(2) with its last step, faulting in what MAP_POPULATE and MAP_LOCKED ask for. That is an offer: a page that
 * cannot be had now leaves its area unpopulated and the call successful.
 */
#include "fault/fault.h"

/* Private writable memory is touched by writing, so that no later write has to copy. */
static enum kmm_access access_for(uint32_t vm_flags)
{
	return (vm_flags & (KMM_VM_WRITE | KMM_VM_SHARED)) == KMM_VM_WRITE ? KMM_WRITE : KMM_READ;
}

static enum kmm_fault_kind populate_area(struct kmm_mm *mm, kmm_word start, kmm_word end, enum kmm_access access)
{
	enum kmm_fault_kind kind = KMM_FAULT_OK;

	for (kmm_word at = start; at < end && kind == KMM_FAULT_OK; at += KMM_PAGE_SIZE)
		kind = kmm_fault_in(mm, at, access);
	return kind;
}

/* The first area of [*at, end), as a part of that range. false: none. */
static bool next_area(struct kmm_mm *mm, kmm_word *at, kmm_word end, kmm_word *to, enum kmm_access *access)
{
	struct kmm_vma *vma;
	bool found;

	kmm_mm_lock(mm);
	vma = kmm_mm_find(mm, *at);
	found = vma && vma->start < end;
	if (found) {
		*at = vma->start > *at ? vma->start : *at;
		*to = vma->end < end ? vma->end : end;
		*access = access_for(vma->flags);
	}
	kmm_mm_unlock(mm);
	return found;
}

/* Without the space's lock, as each fault takes what it needs; what others change meanwhile is populated as it is found. */
static void populate(struct kmm_mm *mm, kmm_word at, kmm_word len)
{
	kmm_word end = at + len, to;
	enum kmm_access access;

	for (; at < end && next_area(mm, &at, end, &to, &access); at = to)
		if (populate_area(mm, at, to, access) == KMM_FAULT_OOM)
			return;
}

enum kmm_status kmm_mmap(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, unsigned prot, unsigned flags,
			 struct kmm_backing *backing, uint64_t pgoff, struct kmm_uva *out)
{
	struct kmm_map_request rq = { addr.v, len, prot, flags, backing, pgoff };
	kmm_word at, populate_bytes = 0;
	enum kmm_status status;

	kmm_mm_lock(mm);
	status = kmm_map(mm, &rq, &at, &populate_bytes);
	kmm_mm_unlock(mm);
	if (status == KMM_OK && populate_bytes)
		populate(mm, at, populate_bytes);
	if (status == KMM_OK)
		*out = kmm_uva(at);
	return status;
}
