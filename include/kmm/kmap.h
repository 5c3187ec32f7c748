/* SPDX-License-Identifier: MIT */
/*
 * Views of high frames (tier b). On machines without high memory, and for low frames, all of these are
 * the direct map; kmm_force_kmap() makes low frames use the windows too, to find code that forgets.
 */
#ifndef KMM_KMAP_H
#define KMM_KMAP_H

#include "kmm/page.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A global view that may be kept. Nests: each kmap needs a kunmap. Sleeps (port wait) while all slots
 * are taken, in order of arrival; NULL when it would sleep and the port cannot. context: no locks. */
void *kmm_kmap(struct kmm *k, struct kmm_page *page);
void kmm_kunmap(struct kmm *k, struct kmm_page *page);

/* A view for this CPU and a short time: never sleeps, nests to the machine's kmap_local_slots, must be
 * undone in reverse order (asserted). The context must not move to another CPU in between. */
void *kmm_kmap_local(struct kmm *k, struct kmm_page *page);
void kmm_kunmap_local(struct kmm *k, const void *addr);
/* Same for a frame that has no descriptor (device memory). */
void *kmm_kmap_local_pfn(struct kmm *k, struct kmm_pfn pfn);

/* Debug: windows also for frames that have a linear address. */
void kmm_force_kmap(struct kmm *k, bool on);

/* Whole-frame work through views. */
void kmm_clear_page(struct kmm *k, struct kmm_page *page);
void kmm_copy_page(struct kmm *k, struct kmm_page *to, struct kmm_page *from);
/* One cleared frame, high ones included: what ZERO|HIGHMEM would mean. */
struct kmm_page *kmm_alloc_cleared_page(struct kmm *k, kmm_gfp gfp);

struct kmm_kmap_info {
	unsigned slots, used;          /* kmap window */
	uint64_t kmaps, flushes, waits; /* calls that took a slot; whole-window flushes; sleeps */
	unsigned local_depth, local_max; /* this CPU now; deepest ever */
	uint64_t locals;
};
void kmm_kmap_info(const struct kmm *k, struct kmm_kmap_info *out);

#ifdef __cplusplus
}
#endif
#endif
