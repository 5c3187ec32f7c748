/* SPDX-License-Identifier: MIT */
/*
 * Objects smaller than a page: named caches and kmalloc (tier b). Always low memory: the high-memory
 * modifier is reported with the caller, stripped, and the request goes on.
 */
#ifndef KMM_SLAB_H
#define KMM_SLAB_H

#include "kmm/page.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Largest kmalloc served from a size class; larger ones come from the page allocator. */
#define KMM_KMALLOC_MAX_CLASS 8192u

enum { KMM_CACHE_DEBUG = 1 /* red zones, poison, double-free detection */ };

/* A cache of objects of `size` bytes (1 .. 8192) aligned to `align` (0: 8; a power of two <= 4096).
 * name is copied (up to 23 characters). ctor (may be NULL) runs once per object when a slab is made.
 * errors: KMM_EINVAL, KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_cache_create(struct kmm *k, const char *name, size_t size, size_t align,
						unsigned flags, void (*ctor)(void *object), struct kmm_cache **out);
/* errors: KMM_EBUSY objects are still allocated (each is named in the log); nothing is freed then. */
KMM_MUST_CHECK enum kmm_status kmm_cache_destroy(struct kmm *k, struct kmm_cache *cache);
void *kmm_cache_alloc(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp);
void kmm_cache_free(struct kmm *k, struct kmm_cache *cache, void *object);
/* Gives empty slabs back to the page allocator; returns the number of pages freed. */
kmm_word kmm_cache_shrink(struct kmm *k, struct kmm_cache *cache);

/* size 0 .. 2^(KMM_NR_ORDERS-1) pages; physically contiguous; NULL when out of memory or too large.
 * kmm_kfree(NULL) is nothing. kmm_ksize: bytes really usable. */
void *kmm_kmalloc(struct kmm *k, size_t size, kmm_gfp gfp);
void *kmm_kzalloc(struct kmm *k, size_t size, kmm_gfp gfp);
void kmm_kfree(struct kmm *k, void *object);
size_t kmm_ksize(struct kmm *k, const void *object);

#ifdef __cplusplus
}
#endif
#endif
