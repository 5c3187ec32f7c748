/* SPDX-License-Identifier: MIT */
/*
 * What the layers above use of the physical tier, besides include/kmm/page.h.
 */
#ifndef KMM_PHYS_ALLOC_H
#define KMM_PHYS_ALLOC_H

#include "kmm/node.h"
#include "phys/desc.h"

/* kmm_alloc_pages() for a frame of a known kind; `site` names the caller for fault injection. */
struct kmm_page *kmm_phys_alloc(struct kmm *k, kmm_gfp gfp, unsigned order, enum kmm_kind kind, const char *site);

/* What a caller says about nodes. */
struct kmm_where {
	unsigned node;      /* to ask first; KMM_NODE_ANY: the CPU's */
	uint32_t nodes;     /* that may serve, a bit each */
	bool quiet;         /* there is another way: a failure is none */
};
#define KMM_ALL_NODES ((uint32_t)-1)
struct kmm_page *kmm_phys_alloc_at(struct kmm *k, const struct kmm_where *where, kmm_gfp gfp, unsigned order,
				   enum kmm_kind kind, const char *site);
/* By a policy that says something (policy.c). */
struct kmm_page *kmm_phys_alloc_policy(struct kmm *k, struct kmm_mempolicy *policy, kmm_gfp gfp, unsigned order,
				       enum kmm_kind kind, const char *site);

/* Frees a block whatever its kind; refcount must be 1 (or 0 after the caller dropped it). */
void kmm_phys_free(struct kmm *k, struct kmm_page *page, unsigned order);

/* A layer's state block of `size` bytes, zeroed, from low memory, never freed. NULL: out of memory. */
void *kmm_phys_alloc_state(struct kmm *k, size_t size, const char *site);

/* Linear pointer of a frame known to be low. */
void *kmm_page_lowmem_ptr(const struct kmm *k, const struct kmm_page *page);

/* Is every zone that may serve such a request of one page below its low watermark? Without locks: a hint, for whose request
 * failed and who would rather reclaim by himself. */
bool kmm_phys_is_short(const struct kmm *k, kmm_gfp gfp);
/* The pressure hook: reclaim registers itself; phys calls it (no locks held) when a blocking request found
 * nothing. Returns pages freed; AGAIN: none for now, but a few more attempts are worth it. NULL: none registered. */
enum { KMM_PRESSURE_AGAIN = 1 };
void kmm_pressure_register(struct kmm *k, kmm_word (*reclaim)(struct kmm *k, kmm_gfp gfp, unsigned order));

/* Groups register themselves: called for each page with KMM_PG_CHARGED that is freed; takes that mark off. Any context. */
void kmm_uncharge_register(struct kmm *k, void (*uncharge)(struct kmm *k, struct kmm_page *page));

/* Memory comes or goes, a section at a time: page tables follow. */
struct kmm_hot_section {
	struct kmm_pfn first;     /* of KMM_SECTION_PAGES */
	uint64_t descs_offset;    /* bytes from the first descriptor of all */
	struct kmm_pfn descs;     /* frames of its descriptors, in a row; nr_descs 0: boot's array has them */
	kmm_word nr_descs;
};
void kmm_hot_register_map(struct kmm *k, enum kmm_status (*map)(struct kmm *k, const struct kmm_hot_section *section),
			  void (*unmap)(struct kmm *k, const struct kmm_hot_section *section));

/* Compaction registers itself: called (no spin locks held, but perhaps mutexes) when a request of order > 0 with RECLAIM
 * found no block. true: there may be one now in a zone up to `start`. */
void kmm_compaction_register(struct kmm *k, bool (*compact)(struct kmm *k, kmm_gfp gfp, unsigned order,
							    enum kmm_zone_id start));

/* kmap's lookup: the address of a high page's slot, or NULL. kmm_page_address() asks it for high pages. */
void kmm_high_address_register(struct kmm *k, void *(*lookup)(struct kmm *k, struct kmm_page *page));

/* Empties the CPUs' caches of free frames into the bitmaps, so that free counts are exact.
 * context: nothing else runs on k. */
void kmm_phys_drain(struct kmm *k);

/* Checkers: conservation of free frames, counts by kind, section state. Return violations, write lines. */
unsigned kmm_phys_audit(struct kmm *k, struct kmm_sink *out);

/* Visits every block of RAM that is allocated or was set aside at boot, by its head's descriptor, in pfn order.
 * nr: pages of the block. Free frames are not visited, nor sections that were never materialised. */
void kmm_phys_for_each(struct kmm *k, void (*visit)(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr),
		       void *arg);
/* All frames of RAM that are not free, also in sections that were not made: runs of nr, in no order. Nothing else runs. */
void kmm_phys_each_used(struct kmm *k, void (*visit)(void *arg, struct kmm_pfn pfn, kmm_word nr), void *arg);

/* Allocations so far, in blocks; wraps. */
kmm_word kmm_phys_allocations(const struct kmm *k);
/* Blocks freed so far, and frees refused because they were invalid. */
kmm_word kmm_phys_frees(const struct kmm *k);
unsigned kmm_phys_misuses(const struct kmm *k);

/* For who waits for memory by himself: begins and ends to count as a waiter; meanwhile the number of frees is kept; and waits
 * until it is another than `seen`. context: no locks, may sleep; the port has `wait`. */
void kmm_phys_waiter(struct kmm *k, bool begins);
unsigned kmm_phys_freed(const struct kmm *k);
void kmm_phys_wait_freed(struct kmm *k, unsigned seen);

/* Totals over zones. */
kmm_word kmm_phys_free_pages(const struct kmm *k);
kmm_word kmm_phys_managed_pages(const struct kmm *k);
/* Are there nr at least? Asked at each mmap, so it looks at the large zones first and at no more than it must. */
bool kmm_phys_manages(const struct kmm *k, kmm_word nr);

#endif
