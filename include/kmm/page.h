/* SPDX-License-Identifier: MIT */
/*
 * Page frames (tier a): allocation by descriptor or by linear address, references, zones.
 *
 * Two families, as in Linux: kmm_alloc_pages() returns a descriptor and may serve any zone;
 * kmm_get_free_pages() returns a linear address, so a high frame would have no usable answer: the
 * high-memory modifier is reported with the caller, stripped, and the request served from Normal.
 */
#ifndef KMM_PAGE_H
#define KMM_PAGE_H

#include "kmm/status.h"
#include "kmm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t kmm_gfp; /* allocation context: zone modifiers and behaviour */

enum {
	/* zone modifiers: which zones may serve. DMA, DMA32 and HIGHMEM exclude each other. */
	KMM_GFP_DMA = 0x01, KMM_GFP_HIGHMEM = 0x02, KMM_GFP_DMA32 = 0x04, KMM_GFP_MOVABLE = 0x08,
	/* behaviour; docs/contexts.md has the decision table, kmm_gfp_check() the combinations that are refused */
	KMM_GFP_RECLAIM = 0x0010, /* may block: direct reclaim, waiting */
	KMM_GFP_IO = 0x0020, KMM_GFP_FS = 0x0040, /* reclaim may start I/O; may enter a file system */
	KMM_GFP_HIGH = 0x0080,     /* may use half of the reserve under min */
	KMM_GFP_MEMALLOC = 0x0100, /* may use all of it: frees memory soon */
	KMM_GFP_ZERO = 0x0200,     /* cleared pages; refused together with HIGHMEM (see kmm_alloc_cleared_page) */
	KMM_GFP_NOFAIL = 0x0400, KMM_GFP_NORETRY = 0x0800, KMM_GFP_NOWARN = 0x1000,
	KMM_GFP_COMP = 0x2000,     /* the block is one object with a head */
	KMM_GFP_HARDWALL = 0x4000, /* user allocation */
	KMM_GFP_RECLAIMABLE = 0x8000, /* kernel memory that a shrinker can free */
	KMM_GFP_THISNODE = 0x10000, /* memory of the node asked first, or none */

	KMM_GFP_NOWAIT = 0,
	KMM_GFP_ATOMIC = KMM_GFP_HIGH,
	KMM_GFP_NOIO = KMM_GFP_RECLAIM,
	KMM_GFP_NOFS = KMM_GFP_RECLAIM | KMM_GFP_IO,
	KMM_GFP_KERNEL = KMM_GFP_RECLAIM | KMM_GFP_IO | KMM_GFP_FS,
	KMM_GFP_USER = KMM_GFP_KERNEL | KMM_GFP_HARDWALL,
	KMM_GFP_HIGHUSER = KMM_GFP_USER | KMM_GFP_HIGHMEM,
	KMM_GFP_HIGHUSER_MOVABLE = KMM_GFP_HIGHUSER | KMM_GFP_MOVABLE,

	KMM_GFP_ALL = 0x1ffff      /* other bits are refused */
};

/* Is this a request that makes sense? errors: KMM_EINVAL; *why (may be NULL) is then the rule, constant text.
 * Allocation calls refuse the same ones, whatever memory there is, and kmm_why_failed() quotes the rule:
 *   DMA, DMA32 and HIGHMEM exclude each other          order below KMM_NR_ORDERS, bits within KMM_GFP_ALL
 *   ZERO excludes HIGHMEM                               IO needs RECLAIM; FS needs IO
 *   NOFAIL needs RECLAIM and order 0 or 1               NOFAIL excludes NORETRY and MEMALLOC
 *   MOVABLE excludes RECLAIMABLE */
KMM_MUST_CHECK enum kmm_status kmm_gfp_check(const struct kmm *k, kmm_gfp gfp, unsigned order, const char **why);

/* What a frame is used for; exactly one at any time. */
enum kmm_kind {
	KMM_KIND_NONE,     /* body of a larger free or allocated block, or not materialised */
	KMM_KIND_FREE,     /* head of a free block */
	KMM_KIND_HOLE,     /* no RAM here */
	KMM_KIND_RESERVED, /* firmware, kernel image, initrd, boot-time allocations */
	KMM_KIND_MEMMAP,   /* descriptors */
	KMM_KIND_KERNEL,   /* handed out by kmm_alloc_pages and not said to be anything else */
	KMM_KIND_SLAB, KMM_KIND_PGTABLE, KMM_KIND_VMALLOC,
	KMM_KIND_ANON, KMM_KIND_FILE, KMM_KIND_ZERO, /* user memory: anonymous, of a file, the zero page */
	KMM_NR_KINDS
};
const char *kmm_kind_name(enum kmm_kind kind);

/* What can become of a page: memory is kept apart by it, 2 MiB ("tract") by 2 MiB, so that pages that stay where they
 * are do not spoil large blocks all over. The first three are what a request says (neither MOVABLE nor RECLAIMABLE:
 * unmovable); HIGHATOMIC is Linux's and always empty here; CMA is a contiguous area, lent to movable pages; ISOLATE
 * is taken away from everybody for a while. Numbers and order are Linux's. */
enum kmm_mobility {
	KMM_MOBILITY_UNMOVABLE, KMM_MOBILITY_MOVABLE, KMM_MOBILITY_RECLAIMABLE, KMM_MOBILITY_HIGHATOMIC,
	KMM_MOBILITY_CMA, KMM_MOBILITY_ISOLATE, KMM_NR_MOBILITIES
};
const char *kmm_mobility_name(enum kmm_mobility mobility);

/* Zone where a request starts. errors: KMM_EINVAL for the illegal combinations of modifiers.
 * On a machine without the zone the next lower existing one is taken (HIGHMEM -> NORMAL). */
KMM_MUST_CHECK enum kmm_status kmm_gfp_zone(const struct kmm *k, kmm_gfp gfp, enum kmm_zone_id *zone);

/* Decodes a mask to names ("KERNEL|HIGHMEM") into buf; returns the length needed. */
size_t kmm_gfp_describe(kmm_gfp gfp, char *buf, size_t size);

/* Allocates 2^order frames; returns the descriptor of the first, refcount 1, kind KERNEL.
 * NULL: no zone of the fallback list could serve it, an illegal mask (kmm_why_failed() says), or
 * order >= KMM_NR_ORDERS. context: any unless gfp has RECLAIM; takes the zone lock. */
struct kmm_page *kmm_alloc_pages(struct kmm *k, kmm_gfp gfp, unsigned order);
/* Gives a block back; order as allocated; its refcount must be 1. */
void kmm_free_pages(struct kmm *k, struct kmm_page *page, unsigned order);

/* Many single frames at once, into pages[0 .. nr-1]: each as kmm_alloc_pages(k, gfp, 0) would give it, for less. Returns
 * how many it got: fewer than nr only when the next one failed. gfp and context: as there. */
size_t kmm_alloc_pages_bulk(struct kmm *k, kmm_gfp gfp, size_t nr, struct kmm_page **pages);
/* Gives single frames back, each as kmm_free_pages(k, page, 0) would. */
void kmm_free_pages_bulk(struct kmm *k, size_t nr, struct kmm_page *const *pages);

/* As above by linear address: never a high frame. Prints a warning naming the caller when gfp has
 * HIGHMEM and goes on without it. */
void *kmm_get_free_pages(struct kmm *k, kmm_gfp gfp, unsigned order);
void kmm_free_pages_at(struct kmm *k, void *addr, unsigned order);

/* Gives what the running CPU has in caches of free frames back to the zones: for a CPU that will not allocate or free
 * for a while, before it sleeps. Caches of CPUs that do are given back when somebody needs them. context: any. */
void kmm_drain_cpu(struct kmm *k);

/* References to an order-0 frame or a block's head. put of the last one frees it. */
void kmm_get_page(struct kmm *k, struct kmm_page *page);
void kmm_put_page(struct kmm *k, struct kmm_page *page);

/* Descriptor <-> number. kmm_pfn_to_page: NULL when the number has no descriptor (beyond RAM, or in a
 * hole no section covers); it materialises the section if need be. */
struct kmm_pfn kmm_page_to_pfn(const struct kmm *k, const struct kmm_page *page);
struct kmm_page *kmm_pfn_to_page(struct kmm *k, struct kmm_pfn pfn);
bool kmm_pfn_is_ram(const struct kmm *k, struct kmm_pfn pfn);

/* Linear address of a low frame; of a high one: its kmap address if kmapped now, else NULL. */
void *kmm_page_address(struct kmm *k, struct kmm_page *page);
/* Frame behind a linear address. NULL when addr is not in the direct map of existing RAM. */
struct kmm_page *kmm_virt_to_page(struct kmm *k, const void *addr);

struct kmm_page_info {
	struct kmm_pfn pfn;
	enum kmm_kind kind;
	enum kmm_zone_id zone;
	unsigned order;       /* of a free or allocated head */
	uint32_t refcount;
	uint32_t mapcount;    /* page-table entries of user spaces that map it */
	bool dirty;
};
void kmm_page_info(struct kmm *k, struct kmm_page *page, struct kmm_page_info *out);

struct kmm_zone_info {
	const char *name;      /* "DMA", "Normal", ... as Linux spells them */
	struct kmm_pfn start;
	kmm_word spanned, present, managed; /* pages */
	kmm_word free;                            /* pages, as Linux counts: without those in CPU caches */
	kmm_word min, low, high;                  /* watermarks, pages */
	kmm_word protection[KMM_NR_ZONES];        /* lowmem reserve against requests that start at [zone] */
	kmm_word nr_free[KMM_NR_ORDERS];          /* free blocks by order */
	kmm_word kinds[KMM_NR_KINDS];             /* frames by what they are used for; FREE with CPU caches and isolated ones */
	kmm_word cma, free_cma;                   /* pages of contiguous areas; those of them in `free` */
	kmm_word isolated;                        /* free pages in isolated tracts: in neither `free` nor `nr_free` */
};
/* Of all nodes together; kmm/node.h has each. false: this machine has no such zone (as opposed to an empty one). */
bool kmm_zone_info(const struct kmm *k, enum kmm_zone_id zone, struct kmm_zone_info *out);

struct kmm_zone_types {
	kmm_word nr_free[KMM_NR_MOBILITIES][KMM_NR_ORDERS]; /* free blocks by order, as kmm_zone_info counts them */
	kmm_word nr_tracts[KMM_NR_MOBILITIES];              /* pieces of 512 frames that hold RAM */
};
/* The same by mobility. false: this machine has no such zone. */
bool kmm_zone_types(const struct kmm *k, enum kmm_zone_id zone, struct kmm_zone_types *out);

/* Recomputes min/low/high and protections for given managed page counts, by the machine's policy
 * (Linux 6.1 rules); the zones of a running machine use the same function.
 * For a machine of one node. managed[zone] in pages, 0 for zones that are empty; results in
 * out[zone].min/low/high/protection. */
void kmm_watermarks_compute(const struct kmm_machine *machine, const kmm_word managed[KMM_NR_ZONES],
			    struct kmm_zone_info out[KMM_NR_ZONES], uint32_t *min_free_kbytes);

/* The last allocation that failed on this machine, in a sentence with the numbers that decided it:
 * which zones were tried, the watermark that refused, the largest free order, what would have helped. */
void kmm_why_failed(const struct kmm *k, struct kmm_sink *out);

#ifdef __cplusplus
}
#endif
#endif
