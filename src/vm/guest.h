/* SPDX-License-Identifier: MIT */
/*
 * From a frame number to what owns the frame (an anon object, a file's mapping) without holding anything.
 *
 * A descriptor names its owner, but who has no reference to the frame reads a name that may be out of date: the frame
 * may be freed and used for something else between two looks, and the owner freed too. References to a frame come only
 * from who has one (an entry of a page table, a cache), because all others trust that a frame with a single reference is
 * theirs alone. So a visitor of frames goes the other way: it makes sure that the owner lives, asks it under its lock
 * whether it has the frame, and takes the reference there.
 *
 *	kmm_guest_begin()
 *	   kmm_guest_enter(page)    the owner cannot be freed from here ...
 *	      lock the owner, look for the page
 *	   kmm_guest_leave()        ... to here; the last guest of an owner that has ended frees it
 *	kmm_guest_end()
 *
 * An owner carries a mark made of its own address while it lives. Where a stale name leads is always low memory, so the
 * mark can be looked for there whatever that memory is now. Ending an owner is: mark off; then, if there are visitors at
 * all, a look under vm->lock whether one is inside. Visitors count themselves first and look at marks afterwards, so
 * one of the two sees the other.
 */
#ifndef KMM_VM_GUEST_H
#define KMM_VM_GUEST_H

#include "base/lock.h"

enum kmm_owner_sort { KMM_OWNER_ANON, KMM_OWNER_MAPPING };

/* First member of what owns frames. */
struct kmm_guests {
	uintptr_t mark; /* 0: ended */
	uint32_t nr;    /* vm->lock */
	bool orphaned;  /* vm->lock: ended while there were guests; the last of them frees it */
};

void kmm_guests_init(struct kmm_guests *g, enum kmm_owner_sort sort);
/* Nobody uses the owner any more. true: the caller frees it; false: the last guest will. */
KMM_MUST_CHECK bool kmm_guests_over(struct kmm *k, struct kmm_guests *g);
static inline bool kmm_guests_is_alive(const struct kmm_guests *g)
{
	return __atomic_load_n(&g->mark, __ATOMIC_ACQUIRE) != 0;
}

void kmm_guest_begin(struct kmm *k);
void kmm_guest_end(struct kmm *k);
/* What the frame's descriptor says now; a hint that is to be verified under the owner's lock. */
struct kmm_guest {
	struct kmm_guests *owner; /* NULL: no user frame, or its owner has ended */
	enum kmm_owner_sort sort;
	uint64_t index;
};
struct kmm_guest kmm_guest_enter(struct kmm *k, const struct kmm_page *page);
void kmm_guest_leave(struct kmm *k, const struct kmm_guest *guest);
/* Does that page name the same owner, which we are inside of? Then *guest is about that page. The owner may have ended since. */
bool kmm_guest_goes_on(struct kmm *k, const struct kmm_page *page, struct kmm_guest *guest);

#endif
