/* SPDX-License-Identifier: MIT */
/*
 * Objects of which every CPU has its own copy (tier b): counters, caches, scratch space without locks.
 *
 * A handle stands for the object on all CPUs; it is no pointer to be followed. The copies of one object lie
 * KMM_PERCPU_UNIT bytes apart, so finding one is an addition, and copies of different CPUs never share a page.
 */
#ifndef KMM_PERCPU_H
#define KMM_PERCPU_H

#include "kmm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of one CPU in a chunk, which is also the largest object. */
#define KMM_PERCPU_UNIT 16384u

struct kmm_percpu_handle {
	uintptr_t v; /* 0: none */
};

/* size: 1 .. KMM_PERCPU_UNIT bytes for each CPU, cleared; align: a power of two up to KMM_PAGE_SIZE (less than 8 is
 * rounded up). v 0: out of memory, or not such numbers. context: no locks, may sleep. */
struct kmm_percpu_handle kmm_percpu_alloc(struct kmm *k, size_t size, size_t align);
/* v 0 is allowed. context: as above. */
void kmm_percpu_free(struct kmm *k, struct kmm_percpu_handle handle);

/* The copy of one CPU. context: any; who may use another CPU's copy is the caller's rule. */
static inline void *kmm_percpu_ptr(struct kmm_percpu_handle handle, unsigned cpu)
{
	return (void *)(handle.v + (uintptr_t)cpu * KMM_PERCPU_UNIT);
}

struct kmm_percpu_info {
	unsigned chunks;     /* vmalloc areas of nr_cpus units */
	kmm_word objects;
	uint64_t free_bytes; /* per CPU, in those chunks */
};
void kmm_percpu_info(struct kmm *k, struct kmm_percpu_info *out);

#ifdef __cplusplus
}
#endif
#endif
