/* SPDX-License-Identifier: MIT */
/*
 * Debugging of page frames, switched at run time: poison finds who writes to memory that was freed, page owner says
 * who holds a frame. Off they cost nothing; on, every allocation and every free goes the long way, and a table with
 * 32 bytes a frame comes to life around the frames that are allocated and freed.
 */
#ifndef KMM_DEBUG_H
#define KMM_DEBUG_H

#include "kmm/page.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	KMM_DEBUG_PAGE_POISON = 1, /* frames are filled when freed and compared when handed out again */
	KMM_DEBUG_PAGE_OWNER = 2,  /* who allocated, who freed, when */
	KMM_DEBUG_FEATURES = 3
};

#define KMM_PAGE_POISON_BYTE 0xaau /* what free frames are filled with */

/* What is on from now on. What happened before is unknown: frames freed earlier are not compared, frames allocated
 * earlier have no owner. Switching all off gives the table back. struct kmm_machine.debug sets the same at boot.
 * errors: KMM_EINVAL unknown bits; KMM_ENOMEM, nothing changes.
 * context: no locks; nothing else may run on k while the last feature is switched off. */
KMM_MUST_CHECK enum kmm_status kmm_debug_set(struct kmm *k, unsigned features);
unsigned kmm_debug_get(const struct kmm *k);

struct kmm_page_owner {
	bool allocated;            /* now; else freed */
	bool moved;                /* its content came from another frame */
	unsigned order;            /* of the block that it is, or was, part of */
	kmm_gfp gfp;
	const char *site;          /* name of the allocating place in the core, constant text */
	struct kmm_kva caller;     /* return address of the call from outside; 0: none */
	uint32_t id;               /* the port's owner_id() */
	uint64_t time_ns;
	const char *free_site;     /* NULL: never freed since the table knows the frame */
	struct kmm_kva free_caller;
	uint32_t free_id;
	uint64_t free_time_ns;
};
/* What the table knows of a frame. false: nothing. */
bool kmm_page_owner_of(struct kmm *k, struct kmm_pfn pfn, struct kmm_page_owner *out);

struct kmm_debug_stats {
	uint64_t pages_filled, pages_checked, pages_corrupt;
	uint64_t lost;             /* allocations and frees that had no room in the table */
	kmm_word table_pages;
	unsigned sites;            /* different callers known */
};
void kmm_debug_stats(const struct kmm *k, struct kmm_debug_stats *out);

/* One paragraph for each allocated block whose owner is known, as /sys/kernel/debug/page_owner of Linux 6.1. */
void kmm_report_page_owner(struct kmm *k, struct kmm_sink *out);

#ifdef __cplusplus
}
#endif
#endif
