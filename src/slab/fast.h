/* SPDX-License-Identifier: MIT */
/*
 * The fast paths of allocation and free, inlined into kmalloc and the cache calls: pop from and push to this
 * CPU's magazine with interrupts off. Everything rare is a call into object.c.
 *
 * A free object bears a mark behind its link, to notice when it is freed again. The mark is no proof: the user of an
 * object may happen to write the same word, so a hit is verified by looking for the object in the free lists.
 * (An 8-byte object of a 64-bit build has no room for one.)
 */
#ifndef KMM_SLAB_FAST_H
#define KMM_SLAB_FAST_H

#include "phys/phys.h"
#include "slab/slab.h"

#define KMM_RARE(cond) __builtin_expect(!!(cond), 0)
#define KMM_ALWAYS_INLINE static inline __attribute__((always_inline))
#define KMM_FREE_MARK ((kmm_link_word)0x5eedf4eeu)

/* The link word of a free object; the mark follows it. */
KMM_ALWAYS_INLINE kmm_link_word *kmm_object_link(const struct kmm_cache *cache, void *object)
{
	return (kmm_link_word *)(void *)((char *)object + cache->link);
}

KMM_ALWAYS_INLINE bool kmm_object_has_mark(const struct kmm_cache *cache)
{
	return KMM_DEBUG >= 1 && (KMM_CONFIG_VA32 || cache->has_mark);
}

/* Interrupts off, this CPU's magazine. */
KMM_ALWAYS_INLINE void *kmm_magazine_pop(const struct kmm *k, const struct kmm_cache *cache,
					 struct kmm_magazine *magazine)
{
	kmm_link_word *link;
	char *object;

	if (KMM_RARE(!magazine->head))
		return NULL;
	object = k->direct_map + (uintptr_t)(magazine->head - 1);
	link = kmm_object_link(cache, object);
	magazine->head = link[0];
	magazine->nr--;
	if (kmm_object_has_mark(cache))
		link[1] = 0;
	return object;
}

KMM_ALWAYS_INLINE void kmm_magazine_push(const struct kmm *k, const struct kmm_cache *cache,
					 struct kmm_magazine *magazine, void *object)
{
	kmm_link_word *link = kmm_object_link(cache, object);

	link[0] = magazine->head;
	if (kmm_object_has_mark(cache))
		link[1] = KMM_FREE_MARK;
	magazine->head = (kmm_word)((char *)object - k->direct_map) + 1;
	magazine->nr++;
}

KMM_ALWAYS_INLINE bool kmm_object_is_marked(const struct kmm_cache *cache, void *object)
{
	return kmm_object_has_mark(cache) && kmm_object_link(cache, object)[1] == KMM_FREE_MARK;
}

/* Head of the slab that holds a pointer, from its number alone: for pointers that were handed out. A wrong pointer reads
 * some descriptor, perhaps one that was never made; it is told apart by not being a slab's. */
KMM_ALWAYS_INLINE struct kmm_page *kmm_fast_head(const struct kmm *k, const void *object)
{
	uintptr_t pa = (uintptr_t)object - (uintptr_t)k->direct_map;
	struct kmm_page *page;

	if (KMM_RARE(pa >= (uintptr_t)k->layout.lowmem_end))
		return NULL;
	page = kmm_page_at(k->phys, (kmm_word)(pa >> KMM_PAGE_SHIFT));
	if (KMM_RARE(kmm_page_kind(page) != KMM_KIND_SLAB))
		return kmm_slab_head(k, page);
	return page;
}

/* kmm_page_owner() of a slab's head. */
KMM_ALWAYS_INLINE struct kmm_cache *kmm_fast_cache(const struct kmm *k, const struct kmm_page *head)
{
	uintptr_t pa = head->obj;

	if (!KMM_CONFIG_VA32 && kmm_is_wide(k->phys))
		pa |= (uintptr_t)((uint64_t)((const struct kmm_page_wide *)head)->obj_hi << 32);
	return (struct kmm_cache *)(void *)(k->direct_map + pa);
}

/* Slabs are aligned to their size, so an address alone gives the offset. */
static inline bool kmm_object_starts_slot(const struct kmm *k, const struct kmm_cache *cache, const void *object)
{
	return kmm_slot_starts_at(cache, (uint32_t)((const char *)object - k->direct_map) & cache->offset_mask);
}

/* gfp: already without the modifiers slab cannot honour. To be inlined into the public call, whose return address
 * names the caller. */
KMM_ALWAYS_INLINE void *kmm_object_alloc(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp)
{
	struct kmm_port *port = k->port;
	unsigned long flags = port->irq_save(port);
	void *object = kmm_magazine_pop(k, cache, &cache->cpu[kmm_slab_cpu(k)]);

	port->irq_restore(port, flags);
	if (KMM_RARE(!object)) {
		object = kmm_object_alloc_slow(k, cache, gfp, __builtin_return_address(0));
		if (!object)
			return NULL;
	}
	if (gfp & KMM_GFP_ZERO)
		__builtin_memset(object, 0, cache->size);
	return object;
}

/* page: head of the object's slab, whose owner is cache. A pointer into the middle of an object is noticed here only at
 * KMM_DEBUG 2; at 1, when it gets back to its slab. */
KMM_ALWAYS_INLINE void kmm_object_free(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page, void *object)
{
	struct kmm_port *port = k->port;
	unsigned long flags = port->irq_save(port);
	struct kmm_magazine *magazine = &cache->cpu[kmm_slab_cpu(k)];

	if (KMM_RARE(magazine->nr >= cache->limit || kmm_object_is_marked(cache, object))) {
		port->irq_restore(port, flags);
		kmm_object_free_slow(k, cache, page, object);
		return;
	}
	KMM_CHECK(k, kmm_object_starts_slot(k, cache, object));
	kmm_magazine_push(k, cache, magazine, object);
	port->irq_restore(port, flags);
}

#endif
