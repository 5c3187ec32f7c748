/* SPDX-License-Identifier: MIT */
/*
 * Virtually contiguous kernel memory from scattered frames (tier b), in its own region, each area
 * followed by a guard page. Prefers high frames. May sleep; not for interrupt context.
 */
#ifndef KMM_VMALLOC_H
#define KMM_VMALLOC_H

#include "kmm/page.h"

#ifdef __cplusplus
extern "C" {
#endif

/* size bytes, rounded up to pages. caller: constant text for reports (may be NULL).
 * NULL: no frames or no addresses left (kmm_why_failed for frames). */
void *kmm_vmalloc(struct kmm *k, size_t size, const char *caller);
/* The entries are gone when it returns. Frames and addresses wait for a flush that serves many areas; until then the
 * frames count as VMALLOC, and a vmalloc of the same size may get the area again. */
void kmm_vfree(struct kmm *k, void *addr);
/* Flushes and gives back what waits; the core does so by itself when much waits or memory or addresses run short.
 * Returns pages given back. context: no locks. */
kmm_word kmm_vmalloc_purge(struct kmm *k);

/* A contiguous view of given frames; they stay the caller's. prot: KMM_PROT_ bits. */
void *kmm_vmap(struct kmm *k, struct kmm_page *const *pages, kmm_word nr_pages, unsigned prot, const char *caller);
void kmm_vunmap(struct kmm *k, void *addr);

/* Device registers: uncached view of physical addresses that are not RAM (RAM is refused: NULL). */
void *kmm_ioremap(struct kmm *k, struct kmm_paddr pa, size_t size, const char *caller);
void kmm_iounmap(struct kmm *k, void *addr);

/* Frame behind a vmalloc address; NULL when nothing is mapped there. */
struct kmm_page *kmm_vmalloc_to_page(struct kmm *k, const void *addr);

struct kmm_vmalloc_info {
	struct kmm_kva start;
	kmm_word size_bytes, nr_pages; /* size includes the guard page, as in Linux's report */
	const char *caller;
	bool is_vmap, is_ioremap;
	struct kmm_paddr phys;         /* ioremap */
};
/* The area that covers va (guard included). false: none. */
bool kmm_vmalloc_find(const struct kmm *k, struct kmm_kva va, struct kmm_vmalloc_info *out);

#ifdef __cplusplus
}
#endif
#endif
