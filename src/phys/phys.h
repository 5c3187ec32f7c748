/* SPDX-License-Identifier: MIT */
/*
 * The state of the physical tier: zones with their tracts, the descriptor array, the caches of the CPUs.
 * For files of src/phys; others use phys/alloc.h and phys/desc.h.
 *
 * Where a frame of RAM is:
 *
 *   not materialised --grow--> bit in its tract's bitmap <--> CPU cache <--> allocated
 *
 * Free or not is a matter of the bitmaps and caches alone: a descriptor has a kind while its frame is the head
 * of an allocated block or was set aside at boot, else none, and nobody looks at it to free or to join.
 *
 * Each node has its zones. A frame's node is a matter of the boot map, its zone of its number and node: the zones
 * partition the frame numbers 0 .. max_pfn, though the bounds of two nodes' zones may overlap. A
 * section that belongs to two zones is materialised at start, any other when its zone first runs out of
 * blocks or somebody asks for one of its descriptors.
 *
 * Locks, in letters: z zone lock; c this CPU with interrupts off; i constant after init.
 */
#ifndef KMM_PHYS_PHYS_H
#define KMM_PHYS_PHYS_H

#include "base/lock.h"
#include "base/math.h"
#include "base/shared.h"
#include "kmm/cma.h"
#include "kmm/node.h"
#include "phys/alloc.h"
#include "phys/bits.h"
#include "phys/bootmem.h"

#define KMM_MAX_ORDER (KMM_NR_ORDERS - 1)
#define KMM_SMALL_SECTIONS 512 /* 64 GiB: their bits fit struct kmm_phys */
#define KMM_BAD_ZONE 0xff
#define KMM_MAX_ZONES (KMM_MAX_NODES * KMM_NR_ZONES)

#define KMM_NR_PLACED (KMM_MOBILITY_CMA + 1) /* mobilities whose tracts are in lists */
#define KMM_ZONE_MASK (0x3f00u | KMM_PG_HIGH) /* what a frame keeps all its life: zone, node and high */

/* Zone, node and sort of a frame as one number: the cache of a CPU that it goes to. */
#define KMM_CACHE_NUMBERS 256u
static inline unsigned kmm_page_cache_number(const struct kmm_page *page) { return kmm_page_flags(page) >> 8 & (KMM_CACHE_NUMBERS - 1); }
static inline unsigned kmm_cache_number(unsigned node, enum kmm_zone_id zone, unsigned sort)
{
	return sort << (KMM_PG_SORT_SHIFT - 8) | node << 3 | (unsigned)zone;
}

/* ---- tracts: what is free, see tract.c ---- */

#define KMM_TRACT_ORDER 9u
#define KMM_TRACT_PAGES (1u << KMM_TRACT_ORDER)
#define KMM_TRACT_WORDS (KMM_TRACT_PAGES / KMM_BITS)
#define KMM_TRACT_CLASSES 8u /* by fullness; 0: the fullest */
#define KMM_TOP_MAX (KMM_MAX_ORDER > 9 ? KMM_MAX_ORDER : 9)
#define KMM_TOP_NONE 15u
#define KMM_TOP_BODY 16u
#define KMM_TOP_HELD 17u
#define KMM_TOP_TAKEN 18u
#define KMM_NO_PFN ((kmm_word)-1)

/* What a tract is for: unmovable blocks of one order (0 .. 8), or blocks of any order of the sort that is said. */
#define KMM_SORT_MOVABLE KMM_TRACT_ORDER
#define KMM_SORT_RECLAIMABLE (KMM_TRACT_ORDER + 1)
#define KMM_SORT_CMA (KMM_TRACT_ORDER + 2)
#define KMM_NR_SHELVES (KMM_TRACT_ORDER + 3)
#define KMM_SORT_ISOLATE KMM_NR_SHELVES

struct kmm_tract {
	uint32_t next, prev;          /* z: index + 1 in the zone, 0 ends; of tracts in a list */
	uint16_t free;                /* z: set bits */
	uint8_t top;                  /* z: see tract.c */
	uint8_t class : 4, sort : 4;  /* z: with top, the list it is in */
};

/* Tracts that are partly free, of one sort. */
struct kmm_shelf {
	uint16_t classes;             /* z: bit per class with a non-empty list */
	uint16_t tops[KMM_TRACT_CLASSES]; /* z: the same for the lists of a class, by top */
	uint32_t heads[KMM_TRACT_CLASSES][KMM_TRACT_ORDER]; /* z: lists, index + 1 */
};

/* ---- caches of the CPUs, see pcp.c ---- */

#define KMM_NR_USES (KMM_NR_KINDS - KMM_KIND_KERNEL) /* kinds of allocated frames */
#define KMM_PCP_SORTS 3u          /* a CPU has a cache each for unmovable, movable, reclaimable blocks */
#define KMM_PCP_LISTS 6u          /* blocks of orders 0 to 4 and 9 are cached, a list each */
#define KMM_PCP_BLOCKS 32u        /* frames in blocks of an order from 1 to 4, at most */
#define KMM_PCP_MOST (6 * 63u)     /* single frames: six of the largest batches */
#define KMM_PCP_HUGE 32u          /* of order 9, at most */

struct kmm_mag {
	kmm_word *at;                 /* i: room for what the limit allows and one refill. c: what is there; others look */
	kmm_word nr;                  /* c: blocks; the last one is taken next; others look (base/shared.h) */
};

struct kmm_pcp {
	struct kmm_mag mag[KMM_PCP_LISTS];
	kmm_word limit[KMM_PCP_LISTS]; /* blocks it may hold; 0 when another CPU ran out and wants them back; no lock */
	struct kmm_zone *zone;        /* i: whose frames these are */
	/* Counts, all of which wrap; others look. By use: kind - KMM_KIND_KERNEL. */
	kmm_word taken[KMM_NR_USES], freed[KMM_NR_USES]; /* c: single frames on the shortest way */
	kmm_word blocks, blocks_freed; /* c: larger ones on the short way; blocks and taken are hits, see node.c */
	kmm_word kinds[KMM_NR_USES];  /* c: frames that this CPU made by all other ways less those it unmade */
	kmm_word numa[KMM_NR_NUMA];   /* c: blocks that came neither way */
};

/* nr frames become of that kind, or (negative) cease to be, by other than the shortest way. c */
static inline void kmm_pcp_count(struct kmm_pcp *pcp, enum kmm_kind kind, kmm_word nr)
{
	kmm_word_add(&pcp->kinds[kind - KMM_KIND_KERNEL], nr);
}

struct kmm_zone {
	struct kmm_spin lock;
	enum kmm_zone_id id;          /* i */
	uint8_t node;                 /* i */
	bool exists;                  /* i: this sort of machine has the zone */
	bool may_grow;                /* i: memory may be added to it */
	uint32_t bits;                /* i: zone, node and high, as in the flags of its frames */
	kmm_word tract_first;          /* i: number of the first tract, pfn / 512 */
	uint32_t nr_tracts;            /* i */
	struct kmm_tract *tract;        /* i */
	kmm_bits *map;                /* i: bitmap, from the first tract's first frame on */
	struct kmm_shelf shelf[KMM_NR_SHELVES]; /* z: by sort */
	uint32_t nr_tops[KMM_NR_PLACED][KMM_TRACT_ORDER]; /* z: tracts in shelves, by mobility and top */
	uint16_t tops[KMM_NR_PLACED]; /* z: bit per top that is there */
	uint16_t whole_tops;          /* z: bit per order of wholly free tracts in a list */
	uint32_t whole[KMM_TOP_MAX + 1]; /* z: those lists, from KMM_TRACT_ORDER on */
	uint32_t nr_whole;            /* z: wholly free tracts */
	kmm_word first, end;          /* i: bounds at boot, pfns */
	kmm_word start, spanned, present; /* z: first RAM frame, to the last one, RAM in between */
	kmm_word managed;             /* z */
	kmm_word free;                /* z: set bits, and frames not materialised; read without lock as a hint */
	kmm_word lazy;                /* z: of those, not materialised */
	kmm_word cma, free_cma;       /* z: frames of contiguous areas, and those of them that `free` counts */
	kmm_word isolated;            /* z: set bits in isolated tracts: free, but nobody's to take, and not in `free` */
	kmm_word next_section;        /* z: all sections before it (HighMem: after it) are materialised or have nothing to give */
	kmm_word min, low, high;      /* z */
	kmm_word protection[KMM_NR_ZONES]; /* z */
	kmm_word gate[KMM_NR_ZONES];  /* z: low + protection: more free than this needs no thought */
	kmm_word boot_kinds[KMM_NR_KINDS]; /* z: RESERVED, MEMMAP, HOLE */
	kmm_word pcp_batch, pcp_high; /* i: frames */
	unsigned pcp_blocks, pcp_huge; /* i: frames in blocks of an order from 1 to 4; blocks of order 9 */
	struct kmm_pcp pcp[KMM_MAX_CPUS][KMM_PCP_SORTS];
};

/* What the common case of an allocation looks at, one per CPU and zone modifiers. */
struct kmm_fast {
	struct kmm_pcp *pcp;          /* i: of the first zone that has frames; illegal modifiers: an empty one */
	const kmm_word *free;         /* i: that zone's */
	kmm_word gate;                /* and its gate for this request; all ones when the CPU shall come by (pcp.c); read
	                                 and written without lock */
	char *memmap;                 /* i: a copy, so that one line of the cache says all */
	uint32_t sort;                /* i: in the flags of what it hands out */
};

/* What a CPU freed last, one per CPU. What it frees next is mostly alike: then neither the cache nor the counter that it
 * goes to need be looked up by what the descriptor says, and a processor that guesses right goes on to the next free
 * while a descriptor that nobody has touched for long is still on its way from memory. */
#define KMM_LIKE_NOTHING 0xffu        /* no frame's low flags: there is no such order */
struct kmm_recent {
	_Alignas(64) struct kmm_pcp *pcp; /* c: where blocks with these flags go */
	kmm_word *freed, *kinds;      /* c: and are counted, single frames and larger blocks */
	uint16_t like;                /* c: low flags: kind, zone, node, sort; order 0 */
};

/* Too little is free, or the CPU shall come by. */
static inline bool kmm_fast_is_shut(const struct kmm_fast *fast)
{
	return kmm_word_glance(fast->free) <= kmm_word_glance(&fast->gate);
}

/* Memory that comes and goes (hotplug.c). */
struct kmm_hot {
	atomic_uint busy;             /* one change at a time */
	atomic_uint lists;            /* how often the lists of zones changed */
	kmm_word added, removed;      /* frames of RAM, under busy */
	enum kmm_status (*map)(struct kmm *k, const struct kmm_hot_section *section);  /* page tables, or NULL */
	void (*unmap)(struct kmm *k, const struct kmm_hot_section *section);
	bool apart;                   /* i: descriptors of added memory are not part of the array that boot placed ... */
	kmm_word *descs;              /* busy: ... but begin at these frames, by section from boot_end on; 0: none are there */
};

/* Why the last failure failed. */
enum kmm_fail_reason {
	KMM_FAIL_NONE, KMM_FAIL_REQUEST, KMM_FAIL_INJECTED, KMM_FAIL_MEMORY
};

struct kmm_fail_zone {
	bool exists, tried;
	kmm_word free, mark, protection;
	int8_t largest;               /* order of the largest free block, -1 none */
};

struct kmm_failure {
	enum kmm_fail_reason reason;
	const char *site;
	kmm_gfp gfp;
	unsigned order;
	unsigned nr_zones;
	uint64_t nr;                  /* failures so far */
	struct kmm_fail_zone zone[KMM_MAX_ZONES]; /* as in kmm_phys.zones */
};

/* A group of CPUs and the memory near them. */
struct kmm_node {
	struct kmm_zone *zone;        /* i: KMM_NR_ZONES of them; NULL: no such node */
	unsigned nr_list;
	struct kmm_zone *list[KMM_MAX_ZONES]; /* zones with frames in the order in which to try: node by node, top down */
	uint8_t order[KMM_MAX_NODES]; /* those nodes */
	unsigned nr_order;
};

struct kmm_cma {
	const char *name;
	kmm_word first, nr;           /* whole tracts of one zone */
};

struct kmm_phys {
	char *memmap;                 /* i: descriptor 0 */
	unsigned stride;              /* i: bytes per descriptor */
	kmm_word max_pfn;             /* i: end of all memory that there may ever be */
	kmm_word boot_end;            /* i: end of the sections, or if nothing can be added of the frames, of boot's memory */
	kmm_word memmap_pfn, memmap_pages; /* i */
	uint64_t metadata_bytes;      /* i: tracts and caches */
	uint8_t class_of[16];         /* i: zone modifiers -> zone where the request starts, or BAD */
	struct kmm_fast fast[KMM_MAX_CPUS][16];
	struct kmm_pcp *pcp_of[KMM_CACHE_NUMBERS][KMM_MAX_CPUS]; /* i */
	struct kmm_recent recent[KMM_MAX_CPUS];
	atomic_uint wanted[KMM_MAX_CPUS]; /* that CPU shall give its caches back: set by others, cleared by it */
	atomic_uint isolating;        /* isolated ranges: while there are any, nothing is kept in caches */
	struct kmm_pcp no_pcp;        /* i: empty */
	struct kmm_zone zone[KMM_NR_ZONES]; /* of node 0; others lie in RAM */
	struct kmm_zone *zones[KMM_MAX_ZONES]; /* i: all, by node and zone */
	unsigned nr_zones, nr_nodes;  /* i */
	struct kmm_node node[KMM_MAX_NODES];
	atomic_uint *live;            /* i: bit per section: its descriptors are valid; bits are only ever set */
	kmm_word nr_sections;         /* i */
	atomic_uint small_live[KMM_SMALL_SECTIONS / 32];
	struct kmm_hot hot;
	kmm_word (*reclaim)(struct kmm *k, kmm_gfp gfp, unsigned order); /* the pressure hook, or NULL */
	kmm_word stalls[KMM_NR_ZONES]; /* times that a request starting there asked for reclaim; atomic */
	bool (*compact)(struct kmm *k, kmm_gfp gfp, unsigned order, enum kmm_zone_id start); /* or NULL */
	void (*uncharge)(struct kmm *k, struct kmm_page *page); /* a charged page is being freed; NULL: there are none */
	void *(*high_address)(struct kmm *k, struct kmm_page *page);     /* kmap's lookup, or NULL */
	void *(*high_view)(struct kmm *k, struct kmm_page *page);        /* a window to a high frame, or NULL (owner.h) */
	void (*high_unview)(struct kmm *k, const void *at);
	atomic_uint waiters;          /* NOFAIL requests that sleep */
	atomic_uint frees;            /* counts frees while there are waiters */
	struct kmm_cma cma[KMM_MAX_CMA]; /* added to at start, or while nothing else runs that asks for them */
	unsigned nr_cma;
	enum kmm_status (*migrate)(struct kmm *k, struct kmm_pfn first, kmm_word nr); /* empties a range, or NULL */
	atomic_uint misuses;          /* frees that were refused */
	struct kmm_spin fail_lock;
	struct kmm_failure failure;   /* fail_lock */
	struct kmm_bootmem boot;      /* i */
};

/* ---- descriptors by number ---- */

#if KMM_CONFIG_VA32
static inline unsigned kmm_stride(const struct kmm_phys *p) { (void)p; return sizeof(struct kmm_page); }
static inline bool kmm_is_wide(const struct kmm_phys *p) { (void)p; return false; }
#elif defined(KMM_PIN_FORMAT) /* one of 64 bits; frames.c sees to that */
static inline unsigned kmm_stride(const struct kmm_phys *p) { (void)p; return sizeof(struct kmm_page_wide); }
static inline bool kmm_is_wide(const struct kmm_phys *p) { (void)p; return true; }
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

/* Number of whatever a pointer points to: at least max_pfn when that is no descriptor. Dividing by an odd factor is
 * multiplying by its inverse, and a remainder makes the result huge; so do bits that the rotation brings to the top. */
static inline kmm_word kmm_pfn_exact(const struct kmm_phys *p, const struct kmm_page *page)
{
	const unsigned bits = 8 * sizeof(kmm_word);
	kmm_word bytes = (kmm_word)((uintptr_t)page - (uintptr_t)p->memmap);

	if (kmm_is_wide(p))
		return bytes >> 5 | bytes << (bits - 5);
	return (bytes >> 3 | bytes << (bits - 3)) * ((kmm_word)-1 / 3 * 2 + 1);
}

/* A descriptor that says nothing but this. */
static inline void kmm_page_blank(const struct kmm_phys *p, struct kmm_page *page, uint32_t flags, uint32_t refcount)
{
	__atomic_store_n(&page->flags, flags, __ATOMIC_RELAXED);
	atomic_store_explicit(&page->refcount, refcount, memory_order_relaxed);
	atomic_store_explicit(&page->count, 0, memory_order_relaxed);
	page->a = page->b = page->obj = 0;
	if (kmm_is_wide(p)) {
		struct kmm_page_wide *wide = (struct kmm_page_wide *)page;

		wide->a_hi = wide->b_hi = 0;
		wide->obj_hi = 0;
	}
}

/* A free frame's descriptor, of which the flags are what it keeps all its life, and no more, gets others beside them. */
static inline void kmm_page_become(const struct kmm_phys *p, struct kmm_page *page, uint32_t flags)
{
	kmm_page_blank(p, page, kmm_page_flags(page) | flags, 1);
}

/* The descriptor of what is handed out. Only the head is written. */
static inline void kmm_page_prepare(const struct kmm_phys *p, struct kmm_page *page, enum kmm_kind kind, unsigned order,
				    enum kmm_mobility mobility)
{
	kmm_page_become(p, page, (uint32_t)kind | order << 4 | (uint32_t)mobility << KMM_PG_SORT_SHIFT);
}

/* kmm_page_set_owner() and kmm_page_set_index() of an owner that there is, for paths that count instructions. */
static inline void kmm_page_name(const struct kmm *k, struct kmm_page *page, const void *owner, uint64_t index)
{
	uint64_t pa = kmm_lowmem_pa(k, owner).v;

	page->a = (uint32_t)index;
	page->obj = (uint32_t)pa;
	if (kmm_is_wide(k->phys)) {
		struct kmm_page_wide *wide = (struct kmm_page_wide *)page;

		wide->a_hi = (uint16_t)(index >> 32);
		wide->obj_hi = (uint32_t)(pa >> 32);
	}
}

/* As kmm_word_glance(): compilers make three instructions of an atomic load that is compared. */
#if KMM_CHECKED_FOR_RACES
static inline unsigned kmm_refs_glance(const struct kmm_page *page)
{
	return atomic_load_explicit(&page->refcount, memory_order_relaxed);
}
#else
static inline unsigned kmm_refs_glance(const struct kmm_page *page)
{
	return *(const unsigned *)(const void *)&page->refcount;
}
#endif

/* Reports look at the flags of frames that they do not own. */
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
/* For hotplug.c: writes flags and zeroes into descriptors. */
void kmm_descs_label(struct kmm *k, kmm_word pfn, kmm_word end, uint32_t flags);
/* The entries of other zones for a section that becomes z's. */
void kmm_section_clear_elsewhere(struct kmm_phys *p, const struct kmm_zone *z, kmm_word start, kmm_word end);
void kmm_section_set_live(struct kmm_phys *p, kmm_word section, bool live);
/* Adds what sections not yet made would give to nr_free (by order); returns the pages. Lock z held. */
kmm_word kmm_zone_count_lazy(const struct kmm *k, const struct kmm_zone *z, kmm_word nr_free[KMM_NR_ORDERS]);

/* ---- tracts (tract.c); lock z held ---- */

static inline uint32_t kmm_tract_of(const struct kmm_zone *z, kmm_word pfn)
{
	return (uint32_t)(pfn / KMM_TRACT_PAGES - z->tract_first);
}

static inline kmm_word kmm_tract_pfn(const struct kmm_zone *z, uint32_t i)
{
	return (z->tract_first + i) * KMM_TRACT_PAGES;
}

static inline kmm_bits *kmm_tract_words(const struct kmm_zone *z, uint32_t i)
{
	return z->map + (size_t)i * KMM_TRACT_WORDS;
}

static inline bool kmm_tract_bit(const struct kmm_zone *z, kmm_word pfn)
{
	return (z->map[(pfn - z->tract_first * KMM_TRACT_PAGES) / KMM_BITS] >> (pfn % KMM_BITS) & 1) &&
	       z->tract[kmm_tract_of(z, pfn)].top != KMM_TOP_TAKEN;
}

/* Is there a block of at least this order that such a request may have? Materialises sections to find out. */
bool kmm_tract_has(struct kmm *k, struct kmm_zone *z, unsigned order, enum kmm_mobility mobility);
/* Bit per order of a largest free block of something in a list that such a request may have. */
unsigned kmm_tract_tops(const struct kmm_zone *z, enum kmm_mobility mobility);
/* First frame of a block, or KMM_NO_PFN. */
kmm_word kmm_tract_take(struct kmm *k, struct kmm_zone *z, unsigned order, enum kmm_mobility mobility);
/* Up to `want` blocks of an order that is cached, in falling order by tract; single frames: up to KMM_BITS - 1 more, to take
 * words whole. Returns how many. Others may look at `out` (base/shared.h). */
unsigned kmm_tract_take_many(struct kmm *k, struct kmm_zone *z, unsigned order, enum kmm_mobility mobility, unsigned want,
			     kmm_word *out);
void kmm_tract_put(struct kmm *k, struct kmm_zone *z, kmm_word pfn, unsigned order);
/* Many blocks of one order. */
void kmm_tract_put_many(struct kmm *k, struct kmm_zone *z, unsigned order, unsigned nr, const kmm_word *pfns);
/* The tracts of [start, end), one section's part of the zone, come to life with nothing free. */
void kmm_tracts_clear(struct kmm_zone *z, kmm_word start, kmm_word end);
/* Sets the bits of [start, end) of tracts just cleared; settle then lists them. zone->free is the caller's. */
void kmm_tracts_fill(struct kmm_zone *z, kmm_word start, kmm_word end);
void kmm_tracts_settle(struct kmm_zone *z, kmm_word start, kmm_word end);
/* What a tract that is made is for. */
enum kmm_mobility kmm_tract_mobility(const struct kmm_tract *tract);
/* Adds the free blocks of a tract that is made, by order. Isolated ones have what their bits say. */
void kmm_tract_count(const struct kmm_zone *z, uint32_t i, kmm_word nr_free[KMM_NR_ORDERS]);
/* Out of all lists, its frames out of the zone's free ones; back in, for what is said (not ISOLATE). */
void kmm_tract_hold(struct kmm_zone *z, uint32_t i);
void kmm_tract_release(struct kmm_zone *z, uint32_t i, enum kmm_mobility mobility);
/* Clears the free bits of frames first .. first + nr - 1 of the tract: they are the caller's. All are set. */
void kmm_tract_carve(struct kmm_zone *z, uint32_t i, unsigned first, unsigned nr);
/* Are all frames of a range free? Lock z need not be held for isolated ones, of which bits only become set. */
bool kmm_tracts_all_free(const struct kmm_zone *z, kmm_word first, kmm_word nr);
/* Adds the free blocks by order of sections that are made, those of isolated tracts left out. */
void kmm_tracts_count(const struct kmm *k, const struct kmm_zone *z, kmm_word nr_free[KMM_NR_ORDERS]);
/* Order, up to 8, of the largest free block that pfn is in, -1 when it is not free. */
int kmm_tract_largest_at(const struct kmm_zone *z, kmm_word pfn);
/* Order of the free block that begins with pfn, -1 when it does not begin one. */
int kmm_tract_block_at(const struct kmm_zone *z, kmm_word pfn);

/* ---- CPU caches (pcp.c); interrupts off ---- */

static inline struct kmm_pcp *kmm_this_pcp(struct kmm *k, struct kmm_zone *z, enum kmm_mobility mobility)
{
	return &z->pcp[kmm_cpu(k)][mobility];
}

static inline unsigned kmm_pcp_order(unsigned list) { return list < KMM_PCP_LISTS - 1 ? list : KMM_TRACT_ORDER; }

/* KMM_PCP_LISTS: blocks of this order are not cached. */
static inline unsigned kmm_pcp_list(unsigned order)
{
	if (order < KMM_PCP_LISTS - 1)
		return order;
	return order == KMM_TRACT_ORDER ? KMM_PCP_LISTS - 1 : KMM_PCP_LISTS;
}

/* Blocks that a list of a CPU's cache may hold. */
unsigned kmm_pcp_limit(const struct kmm_zone *z, unsigned list);
/* Blocks that one refill brings. */
kmm_word kmm_pcp_batch(const struct kmm_zone *z, unsigned list);
/* May caches keep what is freed? Not while somebody waits for it. */
bool kmm_pcp_may_keep(const struct kmm_phys *p);
/* Sizes for the zone's managed pages. */
void kmm_pcp_init(struct kmm *k, struct kmm_zone *z);
/* Words that one CPU's cache of the zone needs; 0 in a zone without RAM. */
size_t kmm_pcp_words(const struct kmm_zone *z);
/* Gives a CPU's cache its memory. */
void kmm_pcp_place(struct kmm_zone *z, unsigned cpu, kmm_word *at);
/* Fills an empty list from the tracts; lock z held. false: nothing was there. */
bool kmm_pcp_refill(struct kmm *k, struct kmm_zone *z, enum kmm_mobility mobility, unsigned list, unsigned want);
/* A list holds more than its limit: gives half back, or all of all caches when that is wanted. Lock z not held. */
void kmm_pcp_overflow(struct kmm *k, struct kmm_pcp *pcp);
/* Gives back all that this CPU has, if somebody wants that. No locks held. */
void kmm_pcp_serve(struct kmm *k);
/* Frames in it. */
kmm_word kmm_pcp_pages(const struct kmm_pcp *pcp);
/* Frames in the caches of a CPU. */
kmm_word kmm_pcp_cpu_pages(const struct kmm_zone *z, unsigned cpu);
/* Does some CPU's cache hold a block that begins with pfn? Its order, or -1. */
int kmm_pcp_find(const struct kmm_zone *z, kmm_word pfn);
/* Or one with pfn in it? */
bool kmm_pcp_holds(const struct kmm_zone *z, kmm_word pfn);
/* This CPU's caches of all zones now, those of others when they next allocate or free. No locks held. */
void kmm_pcp_drain_here(struct kmm *k);
/* Makes every CPU free straight to the lists, and say so, while NOFAIL requests wait. */
void kmm_pcp_drain_all(struct kmm *k);
/* Wakes the NOFAIL requests that wait (alloc.c). */
void kmm_tell_waiters(struct kmm *k);

/* ---- zones (zone.c) ---- */

/* Bounds and sizes from the boot map. */
void kmm_zones_bound(struct kmm *k);
/* Counts, watermarks and modifier tables, when all that boot takes is taken. */
void kmm_zones_init(struct kmm *k);
/* By the descriptor where there is one, else by number. */
struct kmm_zone *kmm_zone_of_pfn(const struct kmm_phys *p, kmm_word pfn);
/* The zone to which [pfn, *end) belongs, in one section; NULL: to none. pfn below max_pfn. */
struct kmm_zone *kmm_zone_run(const struct kmm_phys *p, kmm_word pfn, kmm_word *end);
/* Are all of them the zone's? */
bool kmm_zone_owns(const struct kmm_phys *p, const struct kmm_zone *z, kmm_word first, kmm_word nr);
/* Watermarks, sizes of CPU caches, orders of fallback and tables by modifiers, for the frames that the zones have now. */
void kmm_zones_refresh(struct kmm *k);
static inline struct kmm_zone *kmm_zone_of(const struct kmm_phys *p, const struct kmm_page *page)
{
	return &p->node[KMM_MAX_NODES > 1 ? kmm_page_node(page) : 0].zone[kmm_page_zone(page)];
}
const char *kmm_zone_name(enum kmm_zone_id zone);
/* Of a node's zones, the highest with RAM; the lowest when none has. Movable does not count. */
struct kmm_zone *kmm_top_zone(struct kmm_zone *zone);
/* Where each node's Movable zone begins, KMM_NO_PFN: nowhere (node_movable.c). The other zones are bounded already. */
void kmm_movable_starts(const struct kmm *k, kmm_word start[KMM_MAX_NODES]);
/* Frames of one kind, over boot and all CPUs. */
kmm_word kmm_zone_kind_count(const struct kmm_zone *z, enum kmm_kind kind);
/* Frames in CPU caches. */
kmm_word kmm_zone_cached(const struct kmm_zone *z);

static inline kmm_word kmm_zone_free_hint(const struct kmm_zone *z)
{
	return __atomic_load_n(&z->free, __ATOMIC_RELAXED);
}

/* Free frames that such a request may have; lock z held. */
static inline kmm_word kmm_zone_usable(const struct kmm_zone *z, enum kmm_mobility mobility)
{
	return mobility == KMM_MOBILITY_MOVABLE ? z->free : z->free - z->free_cma;
}

static inline void kmm_zone_set_free(struct kmm_zone *z, kmm_word nr)
{
	__atomic_store_n(&z->free, nr, __ATOMIC_RELAXED);
}

/* Where frames of such a zone end by their number alone; 32-bit: by this machine's layout. */
kmm_word kmm_zone_class_end(const struct kmm *k, enum kmm_zone_id id);

/* ---- memory that comes and goes (hotplug.c) ---- */

/* Of the part [*from, *to) of a hotplug range: what could become the zone's. false: nothing. */
bool kmm_hot_clip(const struct kmm *k, struct kmm_zone *z, kmm_word *from, kmm_word *to);
/* Bytes of the table of where descriptors of added sections lie. */
size_t kmm_hot_table_bytes(const struct kmm_phys *p);

/* ---- nodes (node.c) ---- */

/* Bytes for the zones of all nodes but the first. */
size_t kmm_nodes_bytes(const struct kmm *k);
/* Makes the zones of the nodes, in that many zeroed bytes, and the list of them. */
void kmm_nodes_make(struct kmm *k, void *others);
/* Orders of fallback, when it is known which zones have frames. */
void kmm_nodes_init(struct kmm *k);
/* The first zone for a request of `class` from the node; NULL: no frames anywhere. */
struct kmm_zone *kmm_best_zone(const struct kmm_phys *p, unsigned node, unsigned class);
static inline unsigned kmm_cpu_node(const struct kmm *k, unsigned cpu) { return k->machine.cpu_node[cpu]; }
/* A block of zone z was handed out on CPU `cpu` to a request that would have liked best the zone `best`. c */
void kmm_numa_count(struct kmm *k, const struct kmm_zone *best, struct kmm_zone *z, unsigned cpu);
/* One of the counts, of one zone. */
kmm_word kmm_zone_numa(const struct kmm *k, const struct kmm_zone *z, enum kmm_numa item);

/* ---- requests (gfp.c, why.c) ---- */

void kmm_gfp_init(struct kmm *k);
/* The tables by modifiers, for the frames that the zones have now. */
void kmm_gfp_refresh(struct kmm *k);
/* The gates of a CPU's fast entries as they belong, or so that nothing passes. */
void kmm_gfp_set_gates(struct kmm *k, unsigned cpu, bool open);

/* What a request says of its pages; RECLAIMABLE and MOVABLE exclude each other. */
static inline enum kmm_mobility kmm_gfp_mobility(kmm_gfp gfp)
{
	_Static_assert(KMM_GFP_MOVABLE >> 3 == KMM_MOBILITY_MOVABLE && KMM_GFP_RECLAIMABLE >> 14 == KMM_MOBILITY_RECLAIMABLE,
		       "the bits are the numbers");
	return (enum kmm_mobility)((gfp >> 3 & 1) | (gfp >> 14 & 2));
}

/* What contradicts itself in a request, as a sentence; NULL: nothing (context.c). */
const char *kmm_gfp_fault(const struct kmm *k, kmm_gfp gfp, unsigned order);

/* What the common case can serve without a look at the rules: no bit that a rule is about, but RECLAIM, IO and FS,
 * of which each needs the one before it. */
static inline bool kmm_gfp_is_common(kmm_gfp gfp)
{
	const kmm_gfp patience = KMM_GFP_RECLAIM | KMM_GFP_IO | KMM_GFP_FS;

	const kmm_gfp rules = KMM_GFP_ZERO | KMM_GFP_NOFAIL | KMM_GFP_RECLAIMABLE | KMM_GFP_THISNODE | ~(kmm_gfp)KMM_GFP_ALL;

	return !((((gfp + KMM_GFP_RECLAIM) & patience) | rules) & gfp);
}
struct kmm_attempt {
	kmm_gfp gfp;
	unsigned order;
	uint32_t nodes;               /* those that were allowed to serve */
	const char *site;
};
void kmm_fail_note(struct kmm *k, enum kmm_fail_reason reason, const struct kmm_attempt *attempt);

/* A block must not be freed like this, or a reference not be given up: says in the log what is wrong with it, by whom
 * it was asked, counts it, and is fatal where KMM_DEBUG says so. Nothing was changed (misuse.c). */
void kmm_free_refused(struct kmm *k, const struct kmm_page *page, unsigned order, const void *caller);

/* ---- watermarks (watermark.c) ---- */

struct kmm_marks {
	kmm_word min, low, high, protection[KMM_NR_ZONES];
};

/* For all zones as they are now, in the order of kmm_phys.zones. Returns min_free_kbytes. */
uint32_t kmm_watermarks_of(const struct kmm *k, struct kmm_marks out[KMM_MAX_ZONES]);

/* The mark that a request must leave free, protection not counted: low in the first pass; in the last one min,
 * less what the request's urgency opens. */
kmm_word kmm_watermark_mark(const struct kmm_zone *z, kmm_gfp gfp, bool last_pass);
/* May a request that starts in zone `start` take 2^order frames and leave mark? Lock z held. */
bool kmm_watermark_allows(struct kmm *k, struct kmm_zone *z, unsigned order, enum kmm_mobility mobility,
			  enum kmm_zone_id start, kmm_word mark);

#endif
