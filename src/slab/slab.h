/* SPDX-License-Identifier: MIT */
/*
 * Caches of equal objects, in slabs: blocks of 2^order low frames of kind SLAB.
 *
 *	cache ---> partial, full, empty: lists of slabs by their head descriptors
 *	  |
 *	  +------> one magazine per CPU: a chain of free objects, the fast path
 *
 * An object is in exactly one of three places: in its slab's free list, in a magazine, or with the caller. A
 * slab counts the last two as in use, so moving objects between callers and magazines touches no slab.
 *
 * What is kept where (nothing of it holds a host pointer, so a slab looks the same on every ground):
 *	head descriptor   count = in use | first free << 16, a and b = list links, owner = the cache
 *	tail descriptors  kind NONE, a = distance to the head in pages
 *	free object       link word at cache->link: in a slab the next free slot, in a magazine the next object
 * A slab's free list names slots by their offset in 8-byte units, plus 1. A magazine names objects by their
 * physical address, plus 1. 0 ends both.
 *
 * Slots: an ordinary object fills its slot. With a constructor the link lies behind the object, whose content
 * must survive. In a debug cache there are red zones on both sides and a struct kmm_slot_tail behind them
 * (debug.c); such caches have no magazines, so every call passes the checks.
 *
 * Locks: cache->lock (KMM_LOCK_SLAB) for the lists, the slabs' free lists and `inuse`; slab->lock (same class,
 * so never both) for the list of caches. Magazines: interrupts off on their CPU.
 */
#ifndef KMM_SLAB_SLAB_H
#define KMM_SLAB_SLAB_H

#include "base/list.h"
#include "base/lock.h"
#include "kmm/slab.h"
#include "phys/alloc.h"

#define KMM_SLAB_MAX_OBJECTS 512u /* per slab: a page of 8-byte objects */
#define KMM_SLAB_MAX_ORDER (KMM_NR_ORDERS > 3 ? 3u : KMM_NR_ORDERS - 1u)
#define KMM_KMALLOC_CLASSES 36u
#define KMM_SLAB_CACHE_LINE 64

/* Modifiers that slab memory can never honour: it is low, and it does not move. */
#define KMM_SLAB_BAD_GFP (KMM_GFP_HIGHMEM | KMM_GFP_DMA32 | KMM_GFP_DMA | KMM_GFP_MOVABLE)

enum { KMM_CACHE_DMA = 1 << 8 }; /* beside the public KMM_CACHE_ flags: slabs from ZONE_DMA */

typedef kmm_word __attribute__((may_alias)) kmm_link_word; /* lies in memory that callers give other types */

struct kmm_magazine {
	kmm_word head;               /* physical address + 1 of the first object */
	uint32_t nr;
} __attribute__((aligned(KMM_SLAB_CACHE_LINE)));

struct kmm_cache {
	/* constant */
	uint32_t slot;               /* bytes from one object to the next */
	uint32_t reciprocal;         /* 2^32 / slot, rounded up */
	uint32_t offset_mask;        /* bytes of a slab - 1 */
	uint32_t link;               /* offset of the link word in a slot */
	uint32_t limit, batch;       /* magazine: most objects; how many move at once. limit 0: no magazine */
	uint32_t size;               /* bytes of an object */
	uint32_t front;              /* debug: bytes of red zone before the object */
	uint32_t flags;
	uint16_t nr_objects;         /* per slab */
	uint8_t order;               /* of a slab */
	bool has_mark;               /* free objects have room for a mark behind their link */
	void (*ctor)(void *object);
	char name[24];

	struct kmm_list list;        /* slab->lock: all caches, oldest first */
	uint32_t pins;               /* slab->lock: walkers that stand here */
	struct kmm_spin lock;
	struct kmm_page_list partial, full, empty; /* lock */
	kmm_word inuse;              /* lock: objects outside the slabs' free lists */
	struct kmm_magazine cpu[];   /* nr_cpus */
};

struct kmm_slab {
	struct kmm_spin lock;
	struct kmm_list caches;      /* lock */
	struct kmm_cache *kmalloc[2][KMM_KMALLOC_CLASSES]; /* constant; [1]: ZONE_DMA. NULL: larger than a slab */
	struct kmm_cache *cache_cache; /* constant: where struct kmm_cache come from */
};

/* ---- for the layers above ---- */

/* tier b start, after page tables. errors: KMM_ENOMEM. context: boot. */
KMM_MUST_CHECK enum kmm_status kmm_slab_init(struct kmm *k);
/* Every slab belongs to one cache, free lists end, counts are true, red zones whole. Returns violations. */
unsigned kmm_slab_audit(struct kmm *k, struct kmm_sink *out);
/* Name of the cache whose slab `page` is part of (any page of it); "" when it is no slab. */
const char *kmm_slab_owner(struct kmm *k, struct kmm_page *page);
/* Gives all empty slabs and this CPU's magazines back; returns pages freed. For the pressure hook. */
kmm_word kmm_slab_shrink_all(struct kmm *k);

/* ---- between the files of this folder ---- */

/* slab.c: one slab. take and give are called with cache->lock held. */
struct kmm_page *kmm_slab_new(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp);
void kmm_slab_delete(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page);
void *kmm_slab_take(struct kmm *k, struct kmm_cache *cache, struct kmm_magazine *magazine, unsigned max);
void kmm_slab_give(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page, void *slot,
		   struct kmm_page_list *dead);
void kmm_slab_delete_list(struct kmm *k, struct kmm_cache *cache, struct kmm_page_list *dead);
/* Marks the free slots of a slab in bits (zeroed by the caller). false: the free list is broken. */
bool kmm_slab_free_bits(struct kmm *k, const struct kmm_cache *cache, struct kmm_page *page,
			uint32_t bits[KMM_SLAB_MAX_OBJECTS / 32], unsigned *nr_free);
/* Head of the slab that a descriptor is part of, NULL when it is none's. */
struct kmm_page *kmm_slab_head(const struct kmm *k, struct kmm_page *page);

/* object.c: behind the fast paths. */
void *kmm_object_alloc_slow(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp, const void *caller);
void kmm_object_free_slow(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page, void *object);
/* Trace events, out of the way. */
void kmm_object_trace(struct kmm *k, enum kmm_event event, const void *object, uint64_t size, kmm_gfp gfp);
kmm_gfp kmm_object_fix_gfp(struct kmm *k, const char *what, kmm_gfp gfp, const void *caller);
kmm_word kmm_object_drain(struct kmm *k, struct kmm_cache *cache, unsigned cpu, unsigned nr);

/* cache.c */
enum kmm_status kmm_cache_setup(struct kmm *k, struct kmm_cache *cache, const char *name, size_t size, size_t align,
				unsigned flags, void (*ctor)(void *object));
size_t kmm_cache_struct_size(const struct kmm *k);
void kmm_cache_register(struct kmm *k, struct kmm_cache *cache);
/* Walks all caches, newest first, with no lock held in between: NULL gives the first, the last gives NULL. The cache
 * handed out cannot be destroyed until it is handed back in, so a walk must go to its end. */
struct kmm_cache *kmm_cache_next(struct kmm *k, struct kmm_cache *cache);

/* kmalloc.c */
enum kmm_status kmm_kmalloc_init(struct kmm *k);
void kmm_kmalloc_fini(struct kmm *k);
size_t kmm_kmalloc_class_size(unsigned index);
unsigned kmm_kmalloc_class(size_t size);

/* debug.c: slots of debug caches. */
struct kmm_slot_tail {
	uint64_t link;               /* used as kmm_link_word */
	uint32_t state;
	uint32_t spare;
	uint64_t caller;             /* who allocated it */
};
uint32_t kmm_debug_layout(struct kmm_cache *cache, size_t size, size_t align);
void kmm_debug_init_slot(struct kmm_cache *cache, void *slot);
void *kmm_debug_alloc(struct kmm *k, struct kmm_cache *cache, void *slot, const void *caller);
/* The slot to free, or NULL after a report: the object stays as it is. */
void *kmm_debug_free(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page, void *object);
unsigned kmm_debug_check_slot(struct kmm *k, const struct kmm_cache *cache, const void *slot, bool free,
			      struct kmm_sink *out);
uint64_t kmm_debug_caller(const struct kmm_cache *cache, const void *slot);

/* ---- small helpers ---- */

static inline unsigned kmm_slab_cpu(const struct kmm *k)
{
	return k->machine.nr_cpus == 1 ? 0 : k->port->cpu_id(k->port);
}

static inline void *kmm_slab_base(const struct kmm *k, const struct kmm_page *page)
{
	return kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_page_to_pfn(k, page)));
}

/* Number of the slot at byte `offset` of a slab (offset < 32 KiB): exact for every slot size, no division. */
static inline uint32_t kmm_slot_number(const struct kmm_cache *cache, uint32_t offset)
{
	return (uint32_t)((uint64_t)offset * cache->reciprocal >> 32);
}

static inline bool kmm_slot_starts_at(const struct kmm_cache *cache, uint32_t offset)
{
	uint32_t number = kmm_slot_number(cache, offset);

	return number * cache->slot == offset && number < cache->nr_objects;
}

#endif
