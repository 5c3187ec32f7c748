/* SPDX-License-Identifier: MIT */
/*
 * Looking at a machine: audit, explain, trace, fault injection, and reports in Linux's formats.
 * Reports write through a kmm_sink and take the locks they need; they may be called at any time when the
 * caller holds none.
 */
#ifndef KMM_OBSERVE_H
#define KMM_OBSERVE_H

#include "kmm/debug.h"
#include "kmm/kmm.h"
#include "kmm/mm.h"
#include "kmm/vmalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Proves conservation: every frame is owned exactly once, refcounts equal mappings plus holders, no writable
 * entry on a shared private frame, counters equal the truth, every structure passes its checker. Writes a line per
 * violation (at most 64) to out (may be NULL); returns how many there are. context: nothing else runs on k. */
unsigned kmm_audit(struct kmm *k, struct kmm_sink *out);

/* ---- explain ---- */
enum kmm_address_class {
	KMM_ADDR_NONCANONICAL, KMM_ADDR_USER_UNMAPPED, KMM_ADDR_USER, KMM_ADDR_DIRECT, KMM_ADDR_DIRECT_HOLE,
	KMM_ADDR_VMALLOC, KMM_ADDR_VMALLOC_GUARD, KMM_ADDR_VMALLOC_FREE, KMM_ADDR_VMEMMAP, KMM_ADDR_VMEMMAP_HOLE,
	KMM_ADDR_KMAP, KMM_ADDR_FIXMAP, KMM_ADDR_IMAGE, KMM_ADDR_MODULES, KMM_ADDR_GUARD, KMM_ADDR_UNUSED_WINDOW, KMM_ADDR_HOLE,
	KMM_NR_ADDRESS_CLASSES
};
struct kmm_explain {
	uint64_t va;
	enum kmm_address_class class_; /* trailing underscore: C++ */
	const struct kmm_region *region;
	bool logical;                  /* linear: va = pa + page_offset, and the frame exists */
	struct kmm_walk walk;          /* the proof; nr_steps 0 for non-canonical */
	bool has_frame;
	struct kmm_page_info page;     /* when has_frame and the frame has a descriptor (has_page) */
	bool has_page;
	bool has_holder;               /* page owner (debug.h) is on and knows the frame */
	struct kmm_page_owner holder;
	bool has_linear;               /* the frame has a linear alias ... */
	struct kmm_kva linear;         /* ... here */
	bool has_vma; struct kmm_vma_info vma;
	bool has_area; struct kmm_vmalloc_info area;
	const char *owner;             /* cache name, area caller, file name ... or "" */
	const char *sentence;          /* constant text for the class */
};
/* Classifies any 64-bit number; mm (may be NULL) says whose user half is meant. */
void kmm_explain(struct kmm *k, struct kmm_mm *mm, uint64_t va, struct kmm_explain *out);
const char *kmm_address_class_name(enum kmm_address_class class_);
/* The same in words, several lines: class, region, each level's entry, frame, zone, owner, aliases. */
void kmm_explain_print(struct kmm *k, struct kmm_mm *mm, uint64_t va, struct kmm_sink *out);

/* ---- trace ---- */
enum kmm_event {
	KMM_EV_ALLOC,      /* a: pfn, b: order, c: gfp, d: zone */
	KMM_EV_FREE,       /* a: pfn, b: order */
	KMM_EV_ALLOC_FAIL, /* b: order, c: gfp */
	KMM_EV_KMALLOC, KMM_EV_KFREE, /* a: kva, b: size, c: gfp */
	KMM_EV_KMAP, KMM_EV_KUNMAP,   /* a: kva, b: pfn */
	KMM_EV_VMALLOC, KMM_EV_VFREE, /* a: kva, b: size */
	KMM_EV_PT_SET,     /* a: va, b: raw entry, c: level, d: root paddr */
	KMM_EV_TLB_FLUSH,  /* a: start, b: end, d: root paddr */
	KMM_EV_MMAP, KMM_EV_MUNMAP, KMM_EV_MPROTECT, KMM_EV_BRK, /* a: start, b: end, c: prot/flags */
	KMM_EV_FAULT,      /* a: address, b: access, c: VMA start */
	KMM_EV_FAULT_DONE, /* a: address, b: enum kmm_fault_kind, c: pfn */
	KMM_EV_FORK, KMM_EV_EXIT, KMM_EV_COW, /* COW: a: address, b: old pfn, c: new pfn */
	KMM_EV_WARN,       /* the core logged a warning */
	KMM_NR_EVENTS
};
struct kmm_trace_event {
	enum kmm_event id;
	uint64_t a, b, c, d;
};
/* fn runs at every event, possibly with spin locks held: it must not call back into kmm. NULL: off. */
void kmm_set_trace(struct kmm *k, void (*fn)(void *arg, const struct kmm_trace_event *event), void *arg);
const char *kmm_event_name(enum kmm_event id);

/* ---- fault injection: every place in the core that can fail for lack of memory asks here first ---- */
/* Fails the nth attempt from now on (1: the next), once; 0: off. Resets the count. */
void kmm_fail_nth(struct kmm *k, uint64_t nth);
/* Attempts since the last kmm_fail_nth() that did not say 0, and the name of the site that was failed (NULL: none yet). */
uint64_t kmm_fail_count(const struct kmm *k, const char **failed_site);

/* ---- reports, the text of Linux 6.1's /proc files ---- */
void kmm_report_zoneinfo(struct kmm *k, struct kmm_sink *out);
void kmm_report_buddyinfo(struct kmm *k, struct kmm_sink *out);
void kmm_report_pagetypeinfo(struct kmm *k, struct kmm_sink *out);
void kmm_report_meminfo(struct kmm *k, struct kmm_sink *out);
void kmm_report_slabinfo(struct kmm *k, struct kmm_sink *out);
void kmm_report_vmallocinfo(struct kmm *k, struct kmm_sink *out);
void kmm_report_vmstat(struct kmm *k, struct kmm_sink *out);
/* Binary: one uint64_t for each of nr frames from `first` on, fewer at the end of memory. Return how many. */
kmm_word kmm_report_kpageflags(struct kmm *k, struct kmm_pfn first, kmm_word nr, struct kmm_sink *out);
kmm_word kmm_report_kpagecount(struct kmm *k, struct kmm_pfn first, kmm_word nr, struct kmm_sink *out);
void kmm_report_maps(struct kmm_mm *mm, struct kmm_sink *out);
void kmm_report_smaps(struct kmm_mm *mm, struct kmm_sink *out);
void kmm_report_smaps_rollup(struct kmm_mm *mm, struct kmm_sink *out);
/* Binary as /proc/PID/pagemap: one uint64_t for each of nr pages from page number `first` of the space on, fewer at its end.
 * Frame numbers are for privileged eyes alone. Returns how many. */
kmm_word kmm_report_pagemap(struct kmm_mm *mm, uint64_t first, kmm_word nr, bool frames, struct kmm_sink *out);
/* The memory lines (Vm..., Rss...) of /proc/PID/status, and /proc/PID/statm. */
void kmm_report_mm_status(struct kmm_mm *mm, struct kmm_sink *out);
void kmm_report_statm(struct kmm_mm *mm, struct kmm_sink *out);

/* printf for sinks: %s %c %d %u %x %lld %llu %llx with width, '-' and '0'; nothing else. */
void kmm_printf(struct kmm_sink *out, const char *format, ...)
#if defined(__GNUC__)
	__attribute__((format(printf, 2, 3)))
#endif
	;

#ifdef __cplusplus
}
#endif
#endif
