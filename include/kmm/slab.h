/* SPDX-License-Identifier: MIT */
/*
 * Objects smaller than a page: named caches, kmalloc, memory pools, shrinkers (tier b). Always low memory: the
 * high-memory modifier is reported with the caller, stripped, and the request goes on.
 */
#ifndef KMM_SLAB_H
#define KMM_SLAB_H

#include "kmm/page.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Largest kmalloc served from a size class; larger ones come from the page allocator. */
#define KMM_KMALLOC_MAX_CLASS 8192u

enum {
	/* What a cache checks. Each costs memory and time; a cache that checks anything shares its slabs with no other,
	 * keeps no objects per CPU and knows of every free whether the object was allocated. */
	KMM_CACHE_RED_ZONE = 1, /* bytes around the object that nobody may write */
	KMM_CACHE_POISON = 2,   /* free objects are filled with a pattern, new ones with another */
	KMM_CACHE_OWNER = 4,    /* who allocated and who freed each object last */
	KMM_CACHE_DEBUG = 7,    /* all of them */
	/* Never share slabs with another cache, so that leaks can be told apart. */
	KMM_CACHE_NO_MERGE = 8
};

/* ---- named caches ---- */

/* A cache of objects of `size` bytes (1 .. 8192) aligned to `align` (0: 8; a power of two <= 4096).
 * name is copied (up to 23 characters). ctor (may be NULL) runs once per object when a slab is made.
 * Caches without constructor and checks whose objects take equal room share slabs; each keeps its name.
 * errors: KMM_EINVAL, KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_cache_create(struct kmm *k, const char *name, size_t size, size_t align,
						unsigned flags, void (*ctor)(void *object), struct kmm_cache **out);
/* errors: KMM_EBUSY objects are still allocated (each is named in the log), nothing is freed then; KMM_EINVAL a cache of
 * kmalloc. A cache that shares its slabs with others goes without such a check: nobody can tell whose objects
 * those are. context: nobody uses the cache. */
KMM_MUST_CHECK enum kmm_status kmm_cache_destroy(struct kmm *k, struct kmm_cache *cache);
void *kmm_cache_alloc(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp);
void kmm_cache_free(struct kmm *k, struct kmm_cache *cache, void *object);

/* nr objects at once, for a fraction of the price. alloc: all or none; false: out of memory, objects[] is garbage. */
KMM_MUST_CHECK bool kmm_cache_alloc_bulk(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp, size_t nr, void **objects);
void kmm_cache_free_bulk(struct kmm *k, struct kmm_cache *cache, size_t nr, void *const *objects);

/* The oldest cache of that name ("kmalloc-64" too), or NULL. */
struct kmm_cache *kmm_cache_find(struct kmm *k, const char *name);
/* Changes what a cache checks while it is in use: flags are KMM_CACHE_RED_ZONE .. OWNER, or 0. Objects allocated from now
 * on are checked so; those already out stay as they are and are freed as ever.
 * errors: KMM_EINVAL unknown flags, or the objects are too large to be surrounded; KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_cache_set_debug(struct kmm *k, struct kmm_cache *cache, unsigned flags);
/* Gives free objects (this CPU's and shared ones) and empty slabs back; returns the number of pages freed. Other CPUs
 * give theirs back when they free next. */
kmm_word kmm_cache_shrink(struct kmm *k, struct kmm_cache *cache);
/* A line for each cache that shares the slabs of another, and then has no row in slabinfo: "name -> that one". */
void kmm_report_slab_aliases(struct kmm *k, struct kmm_sink *out);

/* ---- kmalloc ---- */

/* size 0 .. 2^(KMM_NR_ORDERS-1) pages; physically contiguous; NULL when out of memory or too large.
 * kmm_kfree(NULL) is nothing. kmm_ksize: bytes really usable. */
void *kmm_kmalloc(struct kmm *k, size_t size, kmm_gfp gfp);
void *kmm_kzalloc(struct kmm *k, size_t size, kmm_gfp gfp);
void kmm_kfree(struct kmm *k, void *object);
size_t kmm_ksize(struct kmm *k, const void *object);

/* ---- memory pools: allocation that makes progress when memory is out ---- */

struct kmm_mempool;

/* Where a pool's elements come from. context: as gfp says. */
struct kmm_mempool_source {
	void *(*alloc)(struct kmm *k, void *arg, kmm_gfp gfp);
	void (*free)(struct kmm *k, void *arg, void *element);
	void *arg;
	size_t size; /* bytes of an element, for KMM_GFP_ZERO; 0: that modifier is only the source's matter */
};

/* A pool that holds `min` (at least 1) elements back for when the source has none.
 * errors: KMM_EINVAL, KMM_ENOMEM. context: may sleep. */
KMM_MUST_CHECK enum kmm_status kmm_mempool_create(struct kmm *k, unsigned min, const struct kmm_mempool_source *source,
						  struct kmm_mempool **out);
/* Sources made of a cache, and of kmalloc. */
struct kmm_mempool_source kmm_mempool_of_cache(struct kmm_cache *cache);
struct kmm_mempool_source kmm_mempool_of_kmalloc(size_t size);
/* An element from the source without reclaim, else from the reserve, else (with KMM_GFP_RECLAIM) from the source with
 * all it takes, else it sleeps until an element is given back: with KMM_GFP_RECLAIM it does not fail, provided that
 * elements come back and the port can wait. Otherwise NULL when source and reserve are empty. */
void *kmm_mempool_alloc(struct kmm *k, struct kmm_mempool *pool, kmm_gfp gfp);
/* Fills the reserve first. context: any; wakes a sleeper. */
void kmm_mempool_free(struct kmm *k, struct kmm_mempool *pool, void *element);
/* errors: KMM_EINVAL, KMM_ENOMEM (then the reserve is as before). context: may sleep. */
KMM_MUST_CHECK enum kmm_status kmm_mempool_resize(struct kmm *k, struct kmm_mempool *pool, unsigned min);
/* errors: KMM_EBUSY elements are still out; nothing is freed then. */
KMM_MUST_CHECK enum kmm_status kmm_mempool_destroy(struct kmm *k, struct kmm_mempool *pool);
/* Elements held back now. */
unsigned kmm_mempool_reserve(const struct kmm_mempool *pool);

/* ---- shrinkers: caches of others that can give memory back ---- */

struct kmm_shrinker {
	const char *name;
	/* Objects that scan() could free now; 0: nothing to do. */
	kmm_word (*count)(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp);
	/* Frees about nr objects; returns how many it did free. It must not allocate with KMM_GFP_RECLAIM, and enter I/O or
	 * file systems only where gfp allows it. context: the allocation that found no memory; no locks of kmm. */
	kmm_word (*scan)(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp, kmm_word nr);
	void *internal[4];
};

/* The struct stays the caller's. Newest are asked first; the slab layer's own comes last. */
void kmm_shrinker_register(struct kmm *k, struct kmm_shrinker *shrinker);
/* Returns when nobody is in its functions any more. */
void kmm_shrinker_unregister(struct kmm *k, struct kmm_shrinker *shrinker);
/* Asks the shrinkers for memory, gently at first, until `pages` are free that were not. Returns how many, or 1 where objects
 * were freed but no page yet. context: may sleep as gfp says; no locks. */
kmm_word kmm_shrink(struct kmm *k, kmm_gfp gfp, kmm_word pages);

#ifdef __cplusplus
}
#endif
#endif
