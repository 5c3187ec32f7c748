/* SPDX-License-Identifier: MIT */
/*
 * The state of the physical tier: zones with their free lists, the descriptor array, the caches of the
 * CPUs. For files of src/phys; others use phys/alloc.h and phys/desc.h.
 *
 * Where a frame of RAM is, by its descriptor:
 *
 *   not materialised --grow--> free list <--buddy--> CPU cache <--> allocated
 *
 * Zones partition the frame numbers 0 .. max_pfn: a frame's zone is a matter of its number alone. A
 * section that belongs to two zones is materialised at start, any other when its zone first runs out of
 * blocks or somebody asks for one of its descriptors.
 *
 * Locks, in letters: z zone lock; c this CPU with interrupts off; i constant after init.
 */
#ifndef KMM_PHYS_PHYS_H
#define KMM_PHYS_PHYS_H

#include "base/lock.h"
#include "base/math.h"
#include "phys/alloc.h"
#include "phys/bootmem.h"

#define KMM_MAX_ORDER (KMM_NR_ORDERS - 1)
#define KMM_SMALL_SECTIONS 512 /* 64 GiB: their bits fit struct kmm_phys */
#define KMM_BAD_ZONE 0xff

/* Part of flags that a free block of a zone and order has, and no other frame. */
#define KMM_FREE_MASK (0xfffu | KMM_PG_CACHED)
#define KMM_ZONE_MASK 0xf00u /* what a frame keeps all its life: zone and high */

struct kmm_pcp {
	kmm_word first;               /* c: pfn + 1 of the cached frame taken next; linked by a */
	kmm_word nr;                  /* c */
	kmm_word kinds[KMM_NR_KINDS]; /* c: frames of that kind that this CPU made less those it unmade (wraps) */
	atomic_uint limit;            /* frames it may hold: pcp_high; 0 when another CPU ran out and wants them back */
};

struct kmm_zone {
	struct kmm_spin lock;
	enum kmm_zone_id id;          /* i */
	bool exists;                  /* i: this sort of machine has the zone */
	uint32_t bits;                /* i: zone and high, as in the flags of its frames */
	uint16_t nonempty;            /* z: bit per order with free blocks */
	kmm_word first, end;          /* i: bounds, pfns */
	kmm_word start, spanned, present; /* i: first RAM frame, to the last one, RAM in between */
	kmm_word managed;             /* z */
	kmm_word free;                /* z: in free lists or not materialised; read without lock as a hint */
	kmm_word lazy;                /* z: of those, not materialised */
	kmm_word next_section;        /* z: all sections before it (HighMem: after it) are materialised or have nothing to give */
	kmm_word min, low, high;      /* i */
	kmm_word protection[KMM_NR_ZONES]; /* i */
	kmm_word gate[KMM_NR_ZONES];  /* i: low + protection: more free than this needs no thought */
	struct kmm_page_list free_list[KMM_NR_ORDERS]; /* z */
	kmm_word boot_kinds[KMM_NR_KINDS]; /* z: RESERVED, MEMMAP, HOLE */
	kmm_word pcp_batch, pcp_high; /* i */
	struct kmm_pcp pcp[KMM_MAX_CPUS];
};

/* What the common case of an allocation looks at, one per CPU and zone modifiers. */
struct kmm_fast {
	struct kmm_pcp *pcp;          /* i: of the first zone that has frames; illegal modifiers: an empty one */
	const kmm_word *free;         /* i: that zone's */
	kmm_word gate;                /* i: and its gate for this request */
};

/* Why the last failure failed. */
enum kmm_fail_reason {
	KMM_FAIL_NONE, KMM_FAIL_MODIFIERS, KMM_FAIL_ORDER, KMM_FAIL_ZERO_HIGH, KMM_FAIL_INJECTED, KMM_FAIL_MEMORY
};

struct kmm_fail_zone {
	bool exists, tried;
	kmm_word free, mark, protection;
	int largest;                  /* order of the largest free block, -1 none */
};

struct kmm_failure {
	enum kmm_fail_reason reason;
	const char *site;
	kmm_gfp gfp;
	unsigned order;
	uint64_t nr;                  /* failures so far */
	struct kmm_fail_zone zone[KMM_NR_ZONES];
};

struct kmm_phys {
	char *memmap;                 /* i: descriptor 0 */
	unsigned stride;              /* i: bytes per descriptor */
	kmm_word max_pfn;             /* i */
	kmm_word memmap_pfn, memmap_pages; /* i */
	uint8_t class_of[16];         /* i: zone modifiers -> zone where the request starts, or BAD */
	struct kmm_fast fast[KMM_MAX_CPUS][16]; /* i */
	struct kmm_pcp no_pcp;        /* i: empty */
	struct kmm_zone zone[KMM_NR_ZONES];
	atomic_uint *live;            /* i: bit per section: its descriptors are valid; bits are only ever set */
	kmm_word nr_sections;         /* i */
	atomic_uint small_live[KMM_SMALL_SECTIONS / 32];
	kmm_word (*reclaim)(struct kmm *k, kmm_gfp gfp, unsigned order); /* the pressure hook, or NULL */
	void *(*high_address)(struct kmm *k, struct kmm_page *page);     /* kmap's lookup, or NULL */
	atomic_uint waiters;          /* NOFAIL requests that sleep */
	atomic_uint frees;            /* counts frees while there are waiters */
	struct kmm_spin fail_lock;
	struct kmm_failure failure;   /* fail_lock */
	struct kmm_bootmem boot;      /* i */
};

/* ---- descriptors by number ---- */

#if KMM_CONFIG_VA32
static inline unsigned kmm_stride(const struct kmm_phys *p) { (void)p; return sizeof(struct kmm_page); }
static inline bool kmm_is_wide(const struct kmm_phys *p) { (void)p; return false; }
#else
static inline unsigned kmm_stride(const struct kmm_phys *p) { return p->stride; }
static inline bool kmm_is_wide(const struct kmm_phys *p) { return p->stride == sizeof(struct kmm_page_wide); }
#endif

static inline struct kmm_page *kmm_page_at(const struct kmm_phys *p, kmm_word pfn)
{
	return (struct kmm_page *)(void *)(p->memmap + (size_t)pfn * kmm_stride(p));
}

static inline kmm_word kmm_pfn_of(const struct kmm_phys *p, const struct kmm_page *page)
{
	size_t bytes = (size_t)((const char *)page - p->memmap);

	return (kmm_word)(kmm_is_wide(p) ? bytes / sizeof(struct kmm_page_wide) : bytes / sizeof(struct kmm_page));
}

/* Freeing a block looks at the flags of its buddy, whoever owns that. Owners change kind and order in one store,
 * and never to those of a block in a free list. */
static inline uint32_t kmm_flags_peek(const struct kmm_page *page)
{
	return __atomic_load_n(&page->flags, __ATOMIC_RELAXED);
}

static inline void kmm_flags_set(struct kmm_page *page, uint32_t flags)
{
	__atomic_store_n(&page->flags, flags, __ATOMIC_RELAXED);
}

static inline kmm_word kmm_link_next(const struct kmm_phys *p, const struct kmm_page *page)
{
	kmm_word link = page->a;

	if (kmm_is_wide(p))
		link |= (kmm_word)((uint64_t)((const struct kmm_page_wide *)page)->a_hi << 32);
	return link;
}

static inline kmm_word kmm_link_prev(const struct kmm_phys *p, const struct kmm_page *page)
{
	kmm_word link = page->b;

	if (kmm_is_wide(p))
		link |= (kmm_word)((uint64_t)((const struct kmm_page_wide *)page)->b_hi << 32);
	return link;
}

static inline void kmm_set_next(const struct kmm_phys *p, struct kmm_page *page, kmm_word link)
{
	page->a = (uint32_t)link;
	if (kmm_is_wide(p))
		((struct kmm_page_wide *)page)->a_hi = (uint16_t)((uint64_t)link >> 32);
}

static inline void kmm_set_prev(const struct kmm_phys *p, struct kmm_page *page, kmm_word link)
{
	page->b = (uint32_t)link;
	if (kmm_is_wide(p))
		((struct kmm_page_wide *)page)->b_hi = (uint16_t)((uint64_t)link >> 32);
}

/* Front of a list by descriptors; link is page's pfn + 1. */
static inline void kmm_list_push(const struct kmm_phys *p, struct kmm_page_list *list, struct kmm_page *page, kmm_word link)
{
	kmm_set_next(p, page, list->first);
	kmm_set_prev(p, page, 0);
	if (list->first)
		kmm_set_prev(p, kmm_page_at(p, list->first - 1), link);
	list->first = link;
	list->nr++;
}

/* Off its list; the page's own links stay as they were. */
static inline void kmm_list_unlink(const struct kmm_phys *p, struct kmm_page_list *list, const struct kmm_page *page)
{
	kmm_word next = kmm_link_next(p, page), prev = kmm_link_prev(p, page);

	if (prev)
		kmm_set_next(p, kmm_page_at(p, prev - 1), next);
	else
		list->first = next;
	if (next)
		kmm_set_prev(p, kmm_page_at(p, next - 1), prev);
	list->nr--;
}

/* ---- sections (section.c) ---- */

static inline bool kmm_section_is_live(const struct kmm_phys *p, kmm_word section)
{
	return atomic_load_explicit(&p->live[section / 32], memory_order_acquire) >> (section % 32) & 1;
}

static inline kmm_word kmm_section_of(kmm_word pfn) { return pfn / KMM_SECTION_PAGES; }

/* Makes the next section of the zone that has free frames. false: none is left. Lock z held. */
bool kmm_zone_grow(struct kmm *k, struct kmm_zone *z);
/* Makes the section of pfn if it is not; false: it holds no RAM. No zone lock held. */
bool kmm_section_need(struct kmm *k, kmm_word pfn);
/* Makes all sections that more than one zone share. context: init. */
void kmm_sections_init(struct kmm *k);
/* Adds what sections not yet made would give to nr_free (by order); returns the pages. Lock z held. */
kmm_word kmm_zone_count_lazy(const struct kmm *k, const struct kmm_zone *z, kmm_word nr_free[KMM_NR_ORDERS]);

/* ---- free lists (buddy.c); lock z held ---- */

void kmm_buddy_insert(struct kmm *k, struct kmm_zone *z, kmm_word pfn, unsigned order);
struct kmm_page *kmm_buddy_take(struct kmm *k, struct kmm_zone *z, unsigned order);
void kmm_buddy_free(struct kmm *k, struct kmm_zone *z, kmm_word pfn, unsigned order);
/* Is there a block of at least this order? Materialises sections to find out. */
bool kmm_buddy_has(struct kmm *k, struct kmm_zone *z, unsigned order);

/* ---- CPU caches (pcp.c); interrupts off ---- */

static inline struct kmm_pcp *kmm_this_pcp(struct kmm *k, struct kmm_zone *z)
{
	return &z->pcp[kmm_cpu(k)];
}

void kmm_pcp_init(struct kmm_zone *z);
/* Moves up to nr frames from the free lists to the cache; lock z held. false: nothing was there. */
bool kmm_pcp_refill(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp, kmm_word nr);
/* Gives nr cached frames back to the free lists; lock z not held. */
void kmm_pcp_drain(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp, kmm_word nr);
/* The cache holds more than its limit: gives a batch back, or all when that is wanted. Lock z not held. */
void kmm_pcp_overflow(struct kmm *k, struct kmm_zone *z, struct kmm_pcp *pcp);
/* This CPU's caches of all zones now, those of others when they next free, or run out. No locks held. */
void kmm_pcp_drain_here(struct kmm *k);
/* Makes every CPU free straight to the lists, and say so, while NOFAIL requests wait. */
void kmm_pcp_drain_all(struct kmm *k);
/* Wakes the NOFAIL requests that wait (alloc.c). */
void kmm_tell_waiters(struct kmm *k);

static inline struct kmm_page *kmm_pcp_pop(const struct kmm_phys *p, struct kmm_pcp *pcp)
{
	struct kmm_page *page = kmm_page_at(p, pcp->first - 1);

	pcp->first = kmm_link_next(p, page);
	pcp->nr--;
	return page;
}

static inline void kmm_pcp_push(const struct kmm_phys *p, struct kmm_pcp *pcp, struct kmm_page *page)
{
	kmm_flags_set(page, KMM_KIND_FREE | KMM_PG_CACHED | (page->flags & KMM_ZONE_MASK));
	kmm_set_next(p, page, pcp->first);
	pcp->first = kmm_pfn_of(p, page) + 1;
	pcp->nr++;
}

/* ---- zones (zone.c) ---- */

/* Bounds, counts, watermarks and modifier tables from the boot map. */
void kmm_zones_init(struct kmm *k);
struct kmm_zone *kmm_zone_of_pfn(struct kmm_phys *p, kmm_word pfn);
const char *kmm_zone_name(enum kmm_zone_id zone);
/* Frames of one kind, over boot and all CPUs. */
kmm_word kmm_zone_kind_count(const struct kmm_zone *z, enum kmm_kind kind);
/* Frames in CPU caches. */
kmm_word kmm_zone_cached(const struct kmm_zone *z);

static inline kmm_word kmm_zone_free_hint(const struct kmm_zone *z)
{
	return __atomic_load_n(&z->free, __ATOMIC_RELAXED);
}

static inline void kmm_zone_set_free(struct kmm_zone *z, kmm_word nr)
{
	__atomic_store_n(&z->free, nr, __ATOMIC_RELAXED);
}

/* ---- requests (gfp.c, why.c) ---- */

void kmm_gfp_init(struct kmm *k);
void kmm_fail_note(struct kmm *k, enum kmm_fail_reason reason, kmm_gfp gfp, unsigned order, const char *site);

/* ---- watermarks (watermark.c) ---- */

/* The mark that a request must leave free, protection not counted: low in the first pass; in the last one min,
 * less what the request's urgency opens. */
kmm_word kmm_watermark_mark(const struct kmm_zone *z, kmm_gfp gfp, bool last_pass);
/* May a request that starts in zone `start` take 2^order frames and leave mark? Lock z held. */
bool kmm_watermark_allows(struct kmm *k, struct kmm_zone *z, unsigned order, enum kmm_zone_id start, kmm_word mark);

#endif
