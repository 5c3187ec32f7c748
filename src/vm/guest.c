/* SPDX-License-Identifier: MIT */
/*
 * Visiting the owner of a frame that is not ours (guest.h has the story).
 */
#include "vm/guest.h"

#include "phys/phys.h"
#include "vm/backing.h"
#include "vm/mm.h"

#define MARK_OF(sort) ((uintptr_t)((sort) == KMM_OWNER_ANON ? 0x616e6f6eu : 0x66696c65u))

void kmm_guests_init(struct kmm_guests *g, enum kmm_owner_sort sort)
{
	g->nr = 0;
	g->orphaned = false;
	__atomic_store_n(&g->mark, (uintptr_t)g ^ MARK_OF(sort), __ATOMIC_RELEASE);
}

bool kmm_guests_over(struct kmm *k, struct kmm_guests *g)
{
	unsigned long flags;
	bool empty;

	__atomic_exchange_n(&g->mark, 0, __ATOMIC_SEQ_CST);
	if (atomic_load_explicit(&k->vm->visitors, memory_order_seq_cst) == 0)
		return true;
	flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	empty = g->nr == 0;
	g->orphaned = !empty;
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	return empty;
}

void kmm_guest_begin(struct kmm *k)
{
	atomic_fetch_add_explicit(&k->vm->visitors, 1, memory_order_seq_cst);
}

void kmm_guest_end(struct kmm *k)
{
	atomic_fetch_sub_explicit(&k->vm->visitors, 1, memory_order_seq_cst);
}

/* Descriptors of frames that are not ours change under our eyes; what is read is checked later. So these two functions are
 * the ones where a race is no error. */
__attribute__((no_sanitize("thread"))) static struct kmm_guest read_name(struct kmm *k, const struct kmm_page *page)
{
	enum kmm_kind kind = kmm_page_kind(page);
	struct kmm_guest guest = { .index = page->a };
	uint64_t owner = page->obj;

	if (kmm_is_wide(k->phys)) {
		const struct kmm_page_wide *wide = (const struct kmm_page_wide *)page;

		guest.index |= (uint64_t)wide->a_hi << 32;
		owner |= (uint64_t)wide->obj_hi << 32;
	}
	if ((kind == KMM_KIND_ANON || kind == KMM_KIND_FILE) && owner)
		guest.owner = kmm_lowmem_ptr(k, kmm_paddr(owner));
	guest.sort = kind == KMM_KIND_ANON ? KMM_OWNER_ANON : KMM_OWNER_MAPPING;
	return guest;
}

/* A name that never was one may be any number. */
static bool is_in_low_memory(const struct kmm *k, const struct kmm_guests *g)
{
	uint64_t pa = kmm_lowmem_pa(k, g).v;

	return pa < k->layout.lowmem_end - sizeof(*g) && pa % sizeof(uintptr_t) == 0;
}

__attribute__((no_sanitize("thread"))) static bool has_mark(const struct kmm_guest *guest)
{
	return __atomic_load_n(&guest->owner->mark, __ATOMIC_SEQ_CST) == ((uintptr_t)guest->owner ^ MARK_OF(guest->sort));
}

struct kmm_guest kmm_guest_enter(struct kmm *k, const struct kmm_page *page)
{
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	struct kmm_guest guest = read_name(k, page);

	KMM_ASSERT(k, atomic_load_explicit(&k->vm->visitors, memory_order_relaxed) > 0);
	/* The mark once more, now that it is one: with it we see all that was written before it was set. */
	if (guest.owner && is_in_low_memory(k, guest.owner) && has_mark(&guest) &&
	    __atomic_load_n(&guest.owner->mark, __ATOMIC_ACQUIRE))
		guest.owner->nr++;
	else
		guest.owner = NULL;
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	return guest;
}

void kmm_guest_leave(struct kmm *k, const struct kmm_guest *guest)
{
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	bool free = --guest->owner->nr == 0 && guest->owner->orphaned; /* not alive is not enough: who ends it may be about to look */

	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	if (free)
		kmm_cache_free(k, guest->sort == KMM_OWNER_ANON ? k->vm->anon_cache : k->vm->mapping_cache, guest->owner);
}

bool kmm_guest_goes_on(struct kmm *k, const struct kmm_page *page, struct kmm_guest *guest)
{
	struct kmm_guest named = read_name(k, page);

	if (named.owner != guest->owner || named.sort != guest->sort)
		return false;
	guest->index = named.index; /* a hint, as ever */
	return guest->owner != NULL;
}
