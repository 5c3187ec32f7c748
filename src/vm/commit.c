/* SPDX-License-Identifier: MIT */
/*
 * What spaces may promise themselves beyond what there is (overcommit), by Linux's three rules:
 *
 *	GUESS    refuses only what could never be had: more than all memory and swap at once
 *	ALWAYS   refuses nothing
 *	NEVER    refuses what would take all promises together over the commit limit
 *
 * A space whose answer to the end of memory is ENOMEM lives by the third whatever the machine does.
 *
 * Promised are the pages of areas with KMM_VM_ACCOUNT, counted by each space for itself, and shared anonymous memory when
 * it is made. The sum is made when it is asked for, so no call pays for a machine-wide counter; two spaces that ask at
 * the same moment may both be told yes.
 */
#include "kmm/swap.h"
#include "phys/alloc.h"
#include "vm/mm.h"
#include "vm/vm.h"

enum { ADMIN_RESERVE = 8 << (20 - KMM_PAGE_SHIFT), USER_RESERVE = 128 << (20 - KMM_PAGE_SHIFT) };

/* Who is in the list is not freed before it has left it, so the counts can be looked at without their lock. */
kmm_word kmm_vm_committed(struct kmm *k)
{
	struct kmm_vm *vm = k->vm;
	unsigned long flags = kmm_spin_lock(k, &vm->lock, KMM_LOCK_RMAP);
	kmm_word pages = kmm_word_look(&vm->shared_committed);

	for (struct kmm_list *l = vm->mms.next; l != &vm->mms; l = l->next)
		pages += kmm_word_look(&kmm_container(l, struct kmm_mm, link)->committed_pages);
	kmm_spin_unlock(k, &vm->lock, KMM_LOCK_RMAP, flags);
	return pages;
}

static kmm_word swap_pages(struct kmm *k)
{
	struct kmm_swap_stats swap;

	kmm_swap_stats(k, &swap);
	return (kmm_word)swap.total;
}

kmm_word kmm_vm_commit_limit(struct kmm *k)
{
	unsigned ratio = __atomic_load_n(&k->vm->overcommit_ratio, __ATOMIC_RELAXED);
	kmm_word pages = __atomic_load_n(&k->vm->overcommit_pages, __ATOMIC_RELAXED);

	if (pages)
		return pages + swap_pages(k);
	return (kmm_word)kmm_div_u64((uint64_t)kmm_phys_managed_pages(k) * ratio, 100, NULL) + swap_pages(k);
}

static kmm_word smaller(kmm_word x, kmm_word y) { return x < y ? x : y; }

/* Some is left for who has to put things right, and for the user of a process that grew too much. */
static kmm_word admin_reserve(struct kmm *k)
{
	kmm_word set = __atomic_load_n(&k->vm->admin_reserve, __ATOMIC_RELAXED);

	if (set != KMM_RESERVE_UNSET)
		return set;
	return smaller((kmm_word)kmm_div_u64((uint64_t)kmm_phys_managed_pages(k) * 3, 100, NULL), ADMIN_RESERVE);
}

static kmm_word user_reserve(struct kmm *k)
{
	kmm_word set = __atomic_load_n(&k->vm->user_reserve, __ATOMIC_RELAXED);

	return set != KMM_RESERVE_UNSET ? set : smaller(kmm_phys_managed_pages(k) / 32, USER_RESERVE);
}

static kmm_word reserved(const struct kmm_mm *mm)
{
	return (mm->limits.rights & KMM_MAY_ADMIN ? 0 : admin_reserve(mm->k)) + smaller(mm->total_pages / 32, user_reserve(mm->k));
}

static bool is_below_limit(const struct kmm_mm *mm, kmm_word pages)
{
	kmm_word limit = kmm_vm_commit_limit(mm->k), reserve = reserved(mm), now = kmm_vm_committed(mm->k);

	return limit > reserve && now < limit - reserve && pages < limit - reserve - now;
}

bool kmm_vm_enough(const struct kmm_mm *mm, kmm_word pages)
{
	struct kmm *k = mm->k;

	if (kmm_mm_answer(mm) == KMM_ANSWER_ENOMEM)
		return is_below_limit(mm, pages);
	switch (__atomic_load_n(&k->vm->overcommit_mode, __ATOMIC_RELAXED)) {
	case KMM_OVERCOMMIT_ALWAYS:
		return true;
	case KMM_OVERCOMMIT_NEVER:
		return is_below_limit(mm, pages);
	default:
		return kmm_phys_manages(k, pages) || pages <= kmm_phys_managed_pages(k) + swap_pages(k);
	}
}

enum kmm_status kmm_set_overcommit(struct kmm *k, unsigned mode, unsigned ratio)
{
	if (mode > KMM_OVERCOMMIT_NEVER || ratio > 1000)
		return KMM_EINVAL;
	__atomic_store_n(&k->vm->overcommit_mode, mode, __ATOMIC_RELAXED);
	if (ratio)
		__atomic_store_n(&k->vm->overcommit_pages, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&k->vm->overcommit_ratio, ratio, __ATOMIC_RELAXED);
	return KMM_OK;
}

void kmm_set_overcommit_pages(struct kmm *k, kmm_word pages)
{
	__atomic_store_n(&k->vm->overcommit_pages, pages, __ATOMIC_RELAXED);
	__atomic_store_n(&k->vm->overcommit_ratio, 0, __ATOMIC_RELAXED);
}

void kmm_set_overcommit_reserves(struct kmm *k, kmm_word admin, kmm_word user)
{
	__atomic_store_n(&k->vm->admin_reserve, admin, __ATOMIC_RELAXED);
	__atomic_store_n(&k->vm->user_reserve, user, __ATOMIC_RELAXED);
}

void kmm_overcommit(struct kmm *k, struct kmm_overcommit *out)
{
	out->mode = __atomic_load_n(&k->vm->overcommit_mode, __ATOMIC_RELAXED);
	out->ratio = __atomic_load_n(&k->vm->overcommit_ratio, __ATOMIC_RELAXED);
	out->pages = __atomic_load_n(&k->vm->overcommit_pages, __ATOMIC_RELAXED);
	out->admin_reserve = admin_reserve(k);
	out->user_reserve = user_reserve(k);
	out->limit_pages = kmm_vm_commit_limit(k);
	out->committed_pages = kmm_vm_committed(k);
}
