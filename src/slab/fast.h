/* SPDX-License-Identifier: MIT */
/*
 * The fast paths of allocation and free, inlined into kmalloc and the cache calls: pop from and push to this
 * CPU's magazine with interrupts off. Everything rare is a call into object.c.
 */
#ifndef KMM_SLAB_FAST_H
#define KMM_SLAB_FAST_H

#include "slab/slab.h"

#define KMM_RARE(cond) __builtin_expect(!!(cond), 0)
#define KMM_FREE_KEY 0x5eedf4eeu /* mixed with the address; 8-byte units, so that a key never looks like a link */

static inline uint32_t kmm_object_key(const struct kmm *k, const void *object)
{
	return (uint32_t)kmm_lowmem_pa(k, object).v ^ KMM_FREE_KEY;
}

static inline kmm_key_word *kmm_object_key_at(const struct kmm_cache *cache, void *object)
{
	return (kmm_key_word *)(void *)((char *)object + cache->key);
}

static inline kmm_link_word *kmm_object_link(const struct kmm_cache *cache, void *object)
{
	return (kmm_link_word *)(void *)((char *)object + cache->link);
}

/* The mark of a free object, to notice when it is freed again. Not proof: the caller of an object may happen
 * to write the same bytes, so a hit is verified by looking for the object in the free lists. */
static inline bool kmm_object_marked(const struct kmm *k, const struct kmm_cache *cache, void *object)
{
	return KMM_DEBUG >= 1 && cache->key && *kmm_object_key_at(cache, object) == kmm_object_key(k, object);
}

static inline void kmm_object_mark(const struct kmm *k, const struct kmm_cache *cache, void *object)
{
	if (KMM_DEBUG >= 1 && cache->key)
		*kmm_object_key_at(cache, object) = kmm_object_key(k, object);
}

static inline void kmm_object_unmark(const struct kmm_cache *cache, void *object)
{
	if (KMM_DEBUG >= 1 && cache->key)
		*kmm_object_key_at(cache, object) = 0;
}

/* Interrupts off, this CPU's magazine. */
static inline void *kmm_magazine_pop(const struct kmm *k, const struct kmm_cache *cache, struct kmm_magazine *magazine)
{
	char *object;

	if (KMM_RARE(!magazine->head))
		return NULL;
	object = k->direct_map + (uintptr_t)(magazine->head - 1);
	magazine->head = *kmm_object_link(cache, object);
	magazine->nr--;
	return object;
}

/* Slabs are aligned to their size, so an address alone gives the offset. */
static inline bool kmm_object_starts_slot(const struct kmm *k, const struct kmm_cache *cache, const void *object)
{
	return kmm_slot_starts_at(cache, (uint32_t)((const char *)object - k->direct_map) & cache->offset_mask);
}

static inline void kmm_magazine_push(const struct kmm *k, const struct kmm_cache *cache, struct kmm_magazine *magazine,
				     void *object)
{
	*kmm_object_link(cache, object) = magazine->head;
	magazine->head = (kmm_word)((char *)object - k->direct_map) + 1;
	magazine->nr++;
}

/* gfp: already without the modifiers slab cannot honour. */
static inline void *kmm_object_alloc(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp, const void *caller)
{
	struct kmm_port *port = k->port;
	unsigned long flags = port->irq_save(port);
	void *object = kmm_magazine_pop(k, cache, &cache->cpu[kmm_slab_cpu(k)]);

	port->irq_restore(port, flags);
	if (KMM_RARE(!object)) {
		object = kmm_object_alloc_slow(k, cache, gfp, caller);
		if (!object)
			return NULL;
	}
	kmm_object_unmark(cache, object);
	if (gfp & KMM_GFP_ZERO)
		__builtin_memset(object, 0, cache->size);
	return object;
}

/* page: head of the object's slab, whose owner is cache. */
static inline void kmm_object_free(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page, void *object)
{
	struct kmm_port *port = k->port;
	struct kmm_magazine *magazine;
	unsigned long flags;

	if (KMM_RARE(kmm_object_marked(k, cache, object)))
		kmm_object_check_marked(k, cache, page, object);
	flags = port->irq_save(port);
	magazine = &cache->cpu[kmm_slab_cpu(k)];
	if (KMM_RARE(magazine->nr >= cache->limit)) {
		port->irq_restore(port, flags);
		kmm_object_free_slow(k, cache, page, object);
		return;
	}
	KMM_ASSERT(k, kmm_object_starts_slot(k, cache, object));
	kmm_object_mark(k, cache, object);
	kmm_magazine_push(k, cache, magazine, object);
	port->irq_restore(port, flags);
}

#endif
