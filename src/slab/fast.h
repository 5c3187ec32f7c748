/* SPDX-License-Identifier: MIT */
/*
 * The fast paths of allocation and free, inlined into kmalloc and the cache calls: pop from and push to this
 * CPU's magazine with interrupts off, while k->straight says that nothing wants to look at the call. All else goes
 * to object.c, by calls in tail position, so that the fast paths need neither stack nor saved registers.
 *
 * A free passes three tests before the object is kept: its frame is a slab's, it starts a slot, and it does not bear the
 * mark of a free object. So whatever reaches a magazine can be handed out again.
 */
#ifndef KMM_SLAB_FAST_H
#define KMM_SLAB_FAST_H

#include "phys/phys.h"
#include "slab/slab.h"

#define KMM_RARE(cond) __builtin_expect(!!(cond), 0)
#define KMM_ALWAYS_INLINE static inline __attribute__((always_inline))
#define KMM_NOINLINE static __attribute__((noinline))

/* In a KMM_NOINLINE function that public calls end with: the public call's caller. That is so because the compiler makes
 * a jump of such a call; where it does not optimise, the address is one inside the public call. To hand it down as
 * an argument would cost the fast paths a stack frame. */
#define KMM_CALLER __builtin_return_address(0)

/* Descriptor of the frame that holds a pointer, from its number alone; false outside of low memory. A wrong pointer reads
 * some descriptor, perhaps one that was never made; it is told apart by not being a slab's. */
KMM_ALWAYS_INLINE bool kmm_fast_page(const struct kmm *k, const void *object, struct kmm_page **out)
{
	uintptr_t pa = (uintptr_t)object - (uintptr_t)k->direct_map;

	if (KMM_RARE(pa >= (uintptr_t)k->layout.lowmem_end))
		return false;
	*out = kmm_page_at(k->phys, (kmm_word)(pa >> KMM_PAGE_SHIFT));
	return true;
}

#define KMM_PAGE_BYTES(k) (KMM_CONFIG_VA32 ? sizeof(struct kmm_page) : (k)->page_bytes)

/* Where addresses are longer than 32 bits, pools lie below 256 GiB and a slab's head keeps the address of its pool in
 * units of the 64 bytes that pools are aligned to. */
#define KMM_POOL_SHIFT (KMM_CONFIG_VA32 ? 0 : 6)

/* The pool of an object in the first frame of a slab, while the way is straight; NULL: slower, if at all. */
KMM_ALWAYS_INLINE struct kmm_pool *kmm_straight_pool(const struct kmm *k, const void *object)
{
	char *direct_map = kmm_port_direct_map(k->direct_map);
	uintptr_t pa = (uintptr_t)object - (uintptr_t)direct_map;
	const struct kmm_page *page;

	if (KMM_RARE(pa >= k->straight_end))
		return NULL;
	page = (const struct kmm_page *)(void *)(k->memmap + (pa >> KMM_PAGE_SHIFT) * KMM_PAGE_BYTES(k));
	if (KMM_RARE(kmm_page_kind(page) != KMM_KIND_SLAB))
		return NULL;
	return (struct kmm_pool *)(void *)(direct_map + ((uintptr_t)page->obj << KMM_POOL_SHIFT));
}

/* Head of the slab that holds a pointer, NULL when none does. */
KMM_ALWAYS_INLINE struct kmm_page *kmm_fast_head(const struct kmm *k, const void *object)
{
	struct kmm_page *page;

	if (!kmm_fast_page(k, object, &page))
		return NULL;
	return kmm_page_kind(page) == KMM_KIND_SLAB ? page : kmm_slab_head(k, page);
}

/* The pool of a slab's head. */
KMM_ALWAYS_INLINE struct kmm_pool *kmm_fast_pool(const struct kmm *k, const struct kmm_page *head)
{
	return (struct kmm_pool *)(void *)(k->direct_map + ((uintptr_t)head->obj << KMM_POOL_SHIFT));
}

KMM_ALWAYS_INLINE void kmm_set_pool(const struct kmm *k, struct kmm_page *head, const struct kmm_pool *pool)
{
	head->obj = (uint32_t)(((uintptr_t)pool - (uintptr_t)k->direct_map) >> KMM_POOL_SHIFT);
}

/* Slabs are aligned to their size, so an address alone gives the offset. */
KMM_ALWAYS_INLINE uint32_t kmm_slab_offset(const struct kmm *k, const struct kmm_pool *pool, const void *object)
{
	return (uint32_t)((uintptr_t)object - (uintptr_t)k->direct_map) & pool->offset_mask;
}

/* An object of a plain pool that may go into a magazine without another look. */
KMM_ALWAYS_INLINE bool kmm_object_is_sound(const struct kmm *k, const struct kmm_pool *pool, void *object)
{
	return kmm_slot_starts_at(pool, kmm_slab_offset(k, pool, object)) &&
	       kmm_slot_free(pool, object)->mark != KMM_FREE_MARK;
}

/* An object from this CPU's magazine; NULL: that is empty. k->straight. */
KMM_ALWAYS_INLINE void *kmm_fast_pop(struct kmm *k, struct kmm_pool *pool)
{
	unsigned long flags = kmm_port_irq_save(k->port);
	void *object = kmm_magazine_pop(pool->magazine[kmm_port_cpu(k->port)]);

	kmm_port_irq_restore(k->port, flags);
	if (KMM_RARE(!object))
		return NULL;
	kmm_slot_free(pool, object)->mark = 0;
	return object;
}

/* Puts an object of the pool into this CPU's magazine; false: that takes more. k->straight. */
KMM_ALWAYS_INLINE bool kmm_fast_push(struct kmm *k, struct kmm_pool *pool, void *object)
{
	uintptr_t pa = (uintptr_t)object - (uintptr_t)kmm_port_direct_map(k->direct_map);
	struct kmm_free *free = kmm_slot_free(pool, object);
	unsigned long flags;
	bool room;

	if (KMM_RARE(!kmm_slot_starts_at(pool, (uint32_t)pa & pool->offset_mask) || free->mark == KMM_FREE_MARK))
		return false;
	flags = kmm_port_irq_save(k->port);
	room = kmm_magazine_push(pool->magazine[kmm_port_cpu(k->port)], object);
	if (room)
		free->mark = KMM_FREE_MARK; /* before an interrupt can allocate it */
	kmm_port_irq_restore(k->port, flags);
	return room;
}

#endif
