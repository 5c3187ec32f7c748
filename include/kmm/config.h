/* SPDX-License-Identifier: MIT */
/*
 * Build-time limits of libkmm. Each has a default, a meaning and a check; an embedder
 * overrides one with -DKMM_...=value. Everything else is run-time data in struct kmm_machine.
 */
#ifndef KMM_CONFIG_H
#define KMM_CONFIG_H

/* 1: this build serves only 32-bit machines, so addresses and page numbers are 32-bit words
 * (physical addresses stay 64-bit: PAE). 0: one build serves all four formats. */
#ifndef KMM_CONFIG_VA32
#define KMM_CONFIG_VA32 0
#endif

/* KMM_PIN_FORMAT: name of the one const format descriptor this build uses (kmm_fmt_i386,
 * kmm_fmt_i386_pae, kmm_fmt_x86_64, kmm_fmt_x86_64_la57). Undefined: chosen at run time. */

/* Orders 0 .. KMM_NR_ORDERS-1: the largest block is 2^(KMM_NR_ORDERS-1) pages (Linux 6.1: 11). */
#ifndef KMM_NR_ORDERS
#define KMM_NR_ORDERS 11
#endif

/* CPUs that one machine may have. Costs a few KiB of static state each. */
#ifndef KMM_MAX_CPUS
#define KMM_MAX_CPUS 8
#endif

/* Nodes (NUMA) that one machine may have; a power of two. The second and later ones take memory only where they exist. */
#ifndef KMM_MAX_NODES
#define KMM_MAX_NODES 8
#endif

/* Memory groups (kmm/group.h) that one machine may have, with removed ones of which pages are left. Costs a pointer each from the
 * first group on. */
#ifndef KMM_MAX_GROUPS
#define KMM_MAX_GROUPS 4096
#endif

/* Entries of a repaired firmware memory map (RAM, reserved and holes together). */
#ifndef KMM_MAX_RANGES
#define KMM_MAX_RANGES 128
#endif

/* Pages of freed vmalloc areas that may wait for one flush of all of them, per CPU; never more than 1/64 of memory. */
#ifndef KMM_VMALLOC_LAZY_PAGES
#define KMM_VMALLOC_LAZY_PAGES 512
#endif

/* Assertions: 0 none, 1 cheap ones (default), 2 also whole-structure checks at every change. */
#ifndef KMM_DEBUG
#define KMM_DEBUG 1
#endif

/* The order of locks is checked as each is taken (src/base/lock.h): in hosted builds, and in kernels with KMM_DEBUG 2. */
#ifndef KMM_LOCK_ORDER
#define KMM_LOCK_ORDER (KMM_DEBUG >= 2 - __STDC_HOSTED__)
#endif

/* A page is 4 KiB on every format; larger leaves are a matter of page tables. */
#define KMM_PAGE_SHIFT 12
#define KMM_PAGE_SIZE 4096u

/* Descriptors come to life by section of 128 MiB. */
#define KMM_SECTION_SHIFT 27
#define KMM_SECTION_PAGES (1u << (KMM_SECTION_SHIFT - KMM_PAGE_SHIFT))

#ifndef __cplusplus
_Static_assert(KMM_NR_ORDERS >= 1 && KMM_NR_ORDERS <= 15, "KMM_NR_ORDERS: 1 to 15");
_Static_assert(KMM_MAX_CPUS >= 1 && KMM_MAX_CPUS <= 64, "KMM_MAX_CPUS: 1 to 64");
_Static_assert(KMM_MAX_NODES >= 1 && KMM_MAX_NODES <= 8 && (KMM_MAX_NODES & (KMM_MAX_NODES - 1)) == 0,
	       "KMM_MAX_NODES: 1, 2, 4 or 8");
_Static_assert(KMM_VMALLOC_LAZY_PAGES >= 1 && KMM_VMALLOC_LAZY_PAGES <= 1 << 20, "KMM_VMALLOC_LAZY_PAGES: 1 to 2^20");
_Static_assert(KMM_MAX_GROUPS >= 1 && KMM_MAX_GROUPS <= 65535, "KMM_MAX_GROUPS: 1 to 65535");
_Static_assert(KMM_MAX_RANGES >= 8, "KMM_MAX_RANGES: at least 8");
#endif

#endif
