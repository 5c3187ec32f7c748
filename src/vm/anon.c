/* SPDX-License-Identifier: MIT */
/*
 * Anon objects: who shares the private pages of a family of areas.
 *
 * One object serves all areas that were split, moved or forked from the one for which it was made; its list is
 * what a reverse walk goes along. Linux instead makes one per area at each fork and chains them; what a program can
 * see of that, which areas merge, is kept by a tag.
 */
#include "vm/mm.h"

static void join(struct kmm_vma *vma, struct kmm_anon *anon, uint32_t tag, bool cloned)
{
	KMM_ASSERT(vma->mm->k, !vma->anon && anon->refs < UINT32_MAX);
	vma->tag = tag;
	vma->cloned = cloned;
	__atomic_store_n(&vma->anon, anon, __ATOMIC_RELEASE); /* faults look at it with l alone */
	anon->refs++;
	kmm_list_add_before(&anon->vmas, &vma->by_anon);
}

void kmm_anon_link(struct kmm_vma *vma, const struct kmm_vma *from)
{
	struct kmm *k = vma->mm->k;
	unsigned long flags;

	if (!from->anon)
		return;
	flags = kmm_spin_lock(k, &from->anon->lock, KMM_LOCK_RMAP);
	join(vma, from->anon, from->tag, from->cloned);
	kmm_spin_unlock(k, &from->anon->lock, KMM_LOCK_RMAP, flags);
}

void kmm_anon_join(struct kmm_vma *vma, const struct kmm_vma *from)
{
	KMM_CHECK_HELD(vma->mm->k, &from->anon->lock);
	join(vma, from->anon, from->tag, from->cloned);
}

void kmm_anon_link_child(struct kmm_vma *vma, const struct kmm_vma *parent)
{
	struct kmm *k = vma->mm->k;
	unsigned long flags;

	if (!parent->anon)
		return;
	flags = kmm_spin_lock(k, &parent->anon->lock, KMM_LOCK_RMAP);
	join(vma, parent->anon, ++parent->anon->next_tag, true);
	kmm_spin_unlock(k, &parent->anon->lock, KMM_LOCK_RMAP, flags);
}

void kmm_anon_unlink(struct kmm_vma *vma)
{
	struct kmm_anon *anon = vma->anon;
	struct kmm *k = vma->mm->k;
	unsigned long flags;
	bool last;

	if (!anon)
		return;
	flags = kmm_spin_lock(k, &anon->lock, KMM_LOCK_RMAP);
	KMM_ASSERT(k, anon->refs > 0);
	kmm_list_del(&vma->by_anon);
	last = --anon->refs == 0;
	kmm_spin_unlock(k, &anon->lock, KMM_LOCK_RMAP, flags);
	vma->anon = NULL;
	if (!last)
		return;
	atomic_fetch_sub_explicit(&k->vm->nr_anon, 1, memory_order_relaxed);
	if (kmm_guests_over(k, &anon->guests))
		kmm_cache_free(k, k->vm->anon_cache, anon);
}

/* Could a and b, adjacent in this order, become one area by mprotect alone? */
static bool could_merge(const struct kmm_vma *a, const struct kmm_vma *b)
{
	return a->end == b->start && a->backing == b->backing && a->opening == b->opening && a->userfault == b->userfault &&
	       !((a->flags ^ b->flags) & ~(uint32_t)(KMM_VM_ACCESS | KMM_VM_SOFTDIRTY)) &&
	       b->pgoff == a->pgoff + kmm_vma_pages(a);
}

static bool lends_anon(const struct kmm_vma *vma)
{
	return vma->anon && !vma->cloned;
}

static const struct kmm_vma *lender(const struct kmm_vma *vma)
{
	const struct kmm_vma *next = kmm_vma_next(vma), *prev = kmm_vma_prev(vma);

	if (next && lends_anon(next) && could_merge(vma, next))
		return next;
	if (prev && lends_anon(prev) && could_merge(prev, vma))
		return prev;
	return NULL;
}

enum kmm_status kmm_anon_prepare(struct kmm_vma *vma)
{
	struct kmm *k = vma->mm->k;
	const struct kmm_vma *from;
	struct kmm_anon *anon;

	if (vma->anon)
		return KMM_OK;
	from = lender(vma);
	if (from) {
		kmm_anon_link(vma, from);
		return KMM_OK;
	}
	anon = kmm_cache_alloc(k, k->vm->anon_cache, KMM_GFP_KERNEL);
	if (!anon)
		return KMM_ENOMEM;
	*anon = (struct kmm_anon){ .refs = 0 };
	kmm_list_init(&anon->vmas);
	join(vma, anon, 0, false);
	kmm_guests_init(&anon->guests, KMM_OWNER_ANON); /* last: from here on guests come, if only by a stale name */
	atomic_fetch_add_explicit(&k->vm->nr_anon, 1, memory_order_relaxed);
	return KMM_OK;
}
