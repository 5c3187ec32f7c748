/* SPDX-License-Identifier: MIT */
/*
 * Which areas are watched (kmm/userfault.h). An area that is has KMM_VM_WATCH_ flags, a reference to its watcher, and a mark
 * in `users`, by which faults that find their area without the space's mutex leave it alone (vm/lock.h): so the question is
 * asked only where the area was found with the mutex, and unwatched areas are not asked at all.
 */
#include "vm/backing.h"
#include "vm/lock.h"

/* ---- references ---- */

void kmm_userfault_init(struct kmm_userfault *u, const struct kmm_userfault_ops *ops)
{
	*u = (struct kmm_userfault){ .ops = ops, .refs = 1 };
}

void kmm_userfault_get(struct kmm_userfault *u)
{
	__atomic_fetch_add(&u->refs, 1, __ATOMIC_RELAXED);
}

void kmm_userfault_put(struct kmm_userfault *u)
{
	if (__atomic_fetch_sub(&u->refs, 1, __ATOMIC_ACQ_REL) == 1)
		u->ops->release(u);
}

/* ---- one area ---- */

void kmm_vma_watch(struct kmm_vma *vma, struct kmm_userfault *u, uint32_t flags)
{
	struct kmm_userfault *before = vma->userfault;

	KMM_ASSERT(vma->mm->k, !u == !flags && !(flags & ~(uint32_t)KMM_VM_WATCHED));
	if (u)
		kmm_userfault_get(u);
	vma->userfault = u;
	vma->flags = (vma->flags & ~(uint32_t)KMM_VM_WATCHED) | flags;
	if (u)
		__atomic_fetch_or(&vma->users, KMM_AREA_WATCHED, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&vma->users, ~(uint32_t)KMM_AREA_WATCHED, __ATOMIC_RELAXED);
	if (before)
		kmm_userfault_put(before);
}

/* What the area became a piece of, if it now goes on in its neighbours. */
static struct kmm_vma *merge_around(struct kmm_vma *vma)
{
	struct kmm_piece piece = { vma->start, vma->end, vma->flags, vma->backing, vma->pgoff, vma->anon, vma->tag, vma->opening,
				   vma->userfault };
	struct kmm_vma *merged = kmm_vma_merge(vma->mm, kmm_vma_prev(vma), &piece);

	return merged ? merged : vma;
}

/* [start, end) of vma gets another watcher. *out: the area that covers it then. */
static enum kmm_status change_area(struct kmm_vma *vma, kmm_word start, kmm_word end, struct kmm_userfault *u, uint32_t flags,
				   struct kmm_vma **out)
{
	uint32_t new_flags = (vma->flags & ~(uint32_t)KMM_VM_WATCHED) | flags;
	bool lets_go = vma->flags & ~flags & KMM_VM_WATCH_WRITES;
	struct kmm_mm *mm = vma->mm;
	struct kmm_reserve r;
	enum kmm_status status;

	*out = vma;
	if (vma->userfault == u && new_flags == vma->flags)
		return KMM_OK;
	if (kmm_reserve_carve(mm, &r, vma, start, end) != KMM_OK)
		return KMM_ENOMEM;
	kmm_vma_write(vma);
	status = kmm_vma_carve(mm, kmm_vma_prev(vma), vma, start, end, new_flags, &r, &vma);
	kmm_reserve_drop(mm, &r);
	if (status)
		return status;
	if (lets_go)
		kmm_watch_writes(mm, start, end, false);
	kmm_vma_watch(vma, u, flags);
	*out = merge_around(vma);
	return KMM_OK;
}

/* ---- ranges ---- */

static bool is_range(const struct kmm_mm *mm, kmm_word addr, uint64_t len)
{
	kmm_word task_size = kmm_mm_task_size(mm);

	return !(addr & (KMM_PAGE_SIZE - 1)) && !(len & (KMM_PAGE_SIZE - 1)) && len &&
	       addr < task_size && len <= task_size - addr;
}

/* Of what sort is memory that can be watched? */
static bool can_watch(const struct kmm_vma *vma, uint32_t flags)
{
	if (!vma->backing)
		return !(flags & KMM_VM_WATCH_MINOR);
	return kmm_backing_is_shm(vma->backing);
}

static enum kmm_status may_register(const struct kmm_userfault *u, const struct kmm_vma *vma, kmm_word end, uint32_t flags)
{
	for (; vma && vma->start < end; vma = kmm_vma_next(vma)) {
		if (!can_watch(vma, flags))
			return KMM_EINVAL;
		if (!(vma->flags & KMM_VM_MAYWRITE))
			return KMM_EPERM;
		if (vma->userfault && vma->userfault != u)
			return KMM_EBUSY;
	}
	return KMM_OK;
}

static enum kmm_status may_unregister(const struct kmm_vma *vma, kmm_word end)
{
	for (; vma && vma->start < end; vma = kmm_vma_next(vma))
		if (!can_watch(vma, vma->flags))
			return KMM_EINVAL;
	return KMM_OK;
}

/* only: areas of that watcher alone; NULL: all. */
static enum kmm_status change_range(struct kmm_vma *vma, kmm_word start, kmm_word end, struct kmm_userfault *u, uint32_t flags,
				    const struct kmm_userfault *only)
{
	enum kmm_status status = KMM_OK;

	for (; vma && vma->start < end && status == KMM_OK; vma = kmm_vma_next(vma)) {
		kmm_word from = vma->start > start ? vma->start : start, to = vma->end < end ? vma->end : end;

		if (!only || vma->userfault == only)
			status = change_area(vma, from, to, u, flags, &vma);
	}
	return status;
}

static uint32_t flags_of(unsigned modes)
{
	return (modes & KMM_USERFAULT_MISSING ? KMM_VM_WATCH_MISSING : 0u) |
	       (modes & KMM_USERFAULT_WRITES ? KMM_VM_WATCH_WRITES : 0u) | (modes & KMM_USERFAULT_MINOR ? KMM_VM_WATCH_MINOR : 0u);
}

enum kmm_status kmm_userfault_register(struct kmm_userfault *u, struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, unsigned modes)
{
	kmm_word end = addr.v + (kmm_word)len;
	enum kmm_status status;
	struct kmm_vma *vma;

	if (!flags_of(modes) || !is_range(mm, addr.v, len))
		return KMM_EINVAL;
	kmm_mm_lock(mm);
	vma = kmm_mm_find(mm, addr.v);
	if (!vma)
		status = KMM_ENOMEM;
	else
		status = vma->start < end ? may_register(u, vma, end, flags_of(modes)) : KMM_EINVAL;
	mm->tells |= status == KMM_OK && u->events;
	if (status == KMM_OK)
		status = change_range(vma, addr.v, end, u, flags_of(modes), NULL);
	kmm_mm_unlock(mm);
	return status;
}

enum kmm_status kmm_userfault_unregister(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len)
{
	kmm_word end = addr.v + (kmm_word)len;
	enum kmm_status status;
	struct kmm_vma *vma;

	if (!is_range(mm, addr.v, len))
		return KMM_EINVAL;
	kmm_mm_lock(mm);
	vma = kmm_mm_find(mm, addr.v);
	if (!vma)
		status = KMM_ENOMEM;
	else
		status = vma->start < end ? may_unregister(vma, end) : KMM_EINVAL;
	if (status == KMM_OK)
		status = change_range(vma, addr.v, end, NULL, 0, NULL);
	kmm_mm_unlock(mm);
	return status;
}

/* Whole areas: nothing to cut, so nothing can fail. */
void kmm_userfault_forget(struct kmm_userfault *u, struct kmm_mm *mm)
{
	enum kmm_status status;

	kmm_mm_lock(mm);
	status = change_range(kmm_mm_first(mm), 0, kmm_mm_task_size(mm), NULL, 0, u);
	KMM_ASSERT(mm->k, status == KMM_OK);
	(void)status;
	kmm_mm_unlock(mm);
}
