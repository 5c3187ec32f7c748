/* SPDX-License-Identifier: MIT */
/*
 * The page descriptor: what is known about one frame. It holds no pointers: 24 bytes on 32-bit machines,
 * 32 on 64-bit ones (the wide tail), the same on every ground. Descriptors are an array indexed by pfn
 * (k->phys->memmap); only sections that were materialised hold meaningful ones.
 *
 * The fields a, b, obj and count change meaning with the kind (the tag):
 *
 *   kind      count            a            b            obj
 *   NONE      -                -            -            -          free, or inside a block
 *   SLAB      inuse|free<<16   next pfn     prev pfn     cache
 *   ANON      mapcount         index        group        anon object
 *   FILE      mapcount         index        group        backing
 *   VMALLOC   -                next pfn     prev pfn     tract
 *   PGTABLE   entries present  (freed: next) lock        mm (or 0: the kernel's)
 *   others    mapcount (0)     -            -            -
 *
 * group: number of the memory group that the page is charged to, if it is (group/group.h); else 0.
 *
 * Two marks of the slab layer: a tail of a slab (kind NONE) has its distance to the head in a; a KERNEL block that
 * kmalloc made says so in a.
 *
 * Links hold pfn + 1 so that all-zero memory is a valid descriptor of kind NONE; 0 ends a list.
 * FREE is never written: what is free is known by the bitmaps of phys/tract.c (kmm_page_info() asks them).
 * Locks: the owner's; nobody's for free frames; refcount atomic.
 */
#ifndef KMM_PHYS_DESC_H
#define KMM_PHYS_DESC_H

#include <stdatomic.h>

#include "base/debug.h"
#include "kmm/page.h"

struct kmm_page {
	uint32_t flags;         /* kind 0-3, order 4-7, zone 8-10, node 11-13, sort 14-15 (phys.h), PG_ bits 16-23, age 24-31 (pageq.h) */
	atomic_uint refcount;
	atomic_uint count;      /* by kind, see above */
	uint32_t a, b, obj;     /* by kind; low 32 bits on wide machines */
};

struct kmm_page_wide {
	struct kmm_page page;
	uint16_t a_hi, b_hi;
	uint32_t obj_hi;
};

_Static_assert(sizeof(struct kmm_page) == 24, "descriptor of a 32-bit machine");
_Static_assert(sizeof(struct kmm_page_wide) == 32, "descriptor of a 64-bit machine");
_Static_assert(KMM_NR_KINDS <= 16 && KMM_NR_ZONES <= 8 && KMM_MAX_NODES <= 8, "flag fields");

#define KMM_PG_SORT_SHIFT 14 /* of an allocated block: enum kmm_mobility of the request, for the cache it goes back to */
#define KMM_PG_SORT (3u << KMM_PG_SORT_SHIFT)

enum {
	/* ANON, FILE: charged to a group, which is a sort that no request has. So a free finds the page unlike any other and takes the
	 * long way, and no other free pays for that. The request's own was movable, or else (a page that was pinned for long): */
	KMM_PG_CHARGED = 3u << KMM_PG_SORT_SHIFT,
	KMM_PG_UNMOVABLE = 1u << 21,
	KMM_PG_CHARGED_ALONE = 2u << KMM_PG_SORT_SHIFT, /* its bit that users' pages do not have otherwise */
	KMM_PG_LEFT_LOCKED = 1u << 16, /* ANON, FILE: MREMAP_DONTUNMAP took the lock from its area, and MADV_PAGEOUT still leaves it there */
	KMM_PG_DIRTY = 1u << 17,
	KMM_PG_CUT_OFF = 1u << 18,  /* FILE: no longer its file's; goes when nobody maps it any more */
	KMM_PG_HIGH = 1u << 20,     /* no linear address; as constant as zone and node */
	KMM_PG_BOOT = 1u << 19,     /* RESERVED: at boot, may be given back */
	KMM_PG_STORED = 1u << 19,   /* FILE: its file has a store, so dirty pages are counted and written back */
	KMM_PG_LAZYFREE = 1u << 23, /* ANON: given up by MADV_FREE; still so as long as nothing says it was written again */
	KMM_PG_SHMEM = 1u << 23,    /* FILE: of shared anonymous memory */
	KMM_PG_FIRMWARE = 1u << 21, /* RESERVED because the memory map says so: not RAM to us */
	KMM_PG_CMA = 1u << 22,      /* KERNEL and what becomes of that: handed out by kmm_cma_alloc() */
	KMM_PG_BLANK = 1u << 22     /* FILE: allocated in advance; nobody has written to it or seen it by a mapping */
};

/* Bytes per descriptor on this machine; a constant in a 32-bit build. */
unsigned kmm_page_stride(const struct kmm *k);

/* Whoever does not own the frame gets what was true a moment ago, and marks may be set meanwhile. */
static inline uint32_t kmm_page_flags(const struct kmm_page *p) { return __atomic_load_n(&p->flags, __ATOMIC_RELAXED); }
static inline enum kmm_kind kmm_page_kind(const struct kmm_page *p) { return (enum kmm_kind)(kmm_page_flags(p) & 15); }
static inline unsigned kmm_page_order(const struct kmm_page *p) { return kmm_page_flags(p) >> 4 & 15; }
static inline enum kmm_zone_id kmm_page_zone(const struct kmm_page *p) { return (enum kmm_zone_id)(kmm_page_flags(p) >> 8 & 7); }
static inline unsigned kmm_page_node(const struct kmm_page *p) { return kmm_page_flags(p) >> 11 & 7; }

static inline bool kmm_page_is_charged(const struct kmm_page *p) { return (kmm_page_flags(p) & KMM_PG_SORT) == KMM_PG_SORT; }
static inline void kmm_page_set_charged(struct kmm_page *p)
{
	bool movable = (kmm_page_flags(p) & KMM_PG_SORT) == (uint32_t)KMM_MOBILITY_MOVABLE << KMM_PG_SORT_SHIFT;

	__atomic_fetch_or(&p->flags, (uint32_t)KMM_PG_CHARGED | (movable ? 0 : KMM_PG_UNMOVABLE), __ATOMIC_SEQ_CST);
}
static inline void kmm_page_set_uncharged(struct kmm_page *p)
{
	bool movable = !(kmm_page_flags(p) & KMM_PG_UNMOVABLE);
	uint32_t less = KMM_PG_SORT ^ (uint32_t)KMM_MOBILITY_MOVABLE << KMM_PG_SORT_SHIFT;

	__atomic_fetch_and(&p->flags, ~(movable ? less : KMM_PG_SORT | (uint32_t)KMM_PG_UNMOVABLE), __ATOMIC_RELAXED);
	p->b = 0;
}

/* Changes the kind of an allocated frame, which is charged to no group, and keeps the per-zone counts by kind; count/a/b/obj become 0. */
void kmm_page_set_kind(struct kmm *k, struct kmm_page *p, enum kmm_kind kind);

/* Index of an ANON or FILE page; up to 48 bits on wide machines. */
uint64_t kmm_page_index(const struct kmm *k, const struct kmm_page *p);
void kmm_page_set_index(const struct kmm *k, struct kmm_page *p, uint64_t index);

/* The owner object: a pointer into low memory, 8-byte aligned, or NULL. */
void *kmm_page_owner(const struct kmm *k, const struct kmm_page *p);
void kmm_page_set_owner(const struct kmm *k, struct kmm_page *p, const void *owner);

/* Next and previous in a list by descriptors; NULL at the end. */
struct kmm_page *kmm_page_next(struct kmm *k, const struct kmm_page *p);
struct kmm_page *kmm_page_prev(struct kmm *k, const struct kmm_page *p);

struct kmm_page_list { kmm_word first; kmm_word nr; }; /* first: pfn + 1, 0 empty */
void kmm_page_list_add(struct kmm *k, struct kmm_page_list *list, struct kmm_page *p); /* at the front */
void kmm_page_list_del(struct kmm *k, struct kmm_page_list *list, struct kmm_page *p);
struct kmm_page *kmm_page_list_first(struct kmm *k, const struct kmm_page_list *list);

/* High: no linear address. All of HighMem, and Movable where that was cut from HighMem. */
static inline bool kmm_page_is_high(const struct kmm_page *p) { return (kmm_page_flags(p) & KMM_PG_HIGH) != 0; }

#endif
