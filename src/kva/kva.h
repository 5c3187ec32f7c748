/* SPDX-License-Identifier: MIT */
/*
 * Kernel virtual addresses outside the direct map: areas of the vmalloc region, the kmap window, and the short
 * views of kmap_local. Page tables are pt's; this layer decides which address shows which frame, and when.
 *
 *	kmap_local.c  per CPU a stack of fixmap slots; no lock, no sleep; one entry and one local flush per view
 *	kmap.c        one window for all CPUs; views are kept, shared by page, and flushed all at once
 *	areas.c       who has which part of the vmalloc region: an ordered tree that knows its gaps
 *	vmalloc.c     what is mapped there
 *	page.c        clearing and copying frames that may be high
 *	percpu.c      small objects of which each CPU has its own copy
 *
 * Views of low frames are their linear addresses, unless kmm_force_kmap() asks for windows. Where every frame is
 * visible to C code (port->direct_map_all) a view is a pointer into that, and entries are written all the same.
 *
 * Locks: areas.lock, kmap.lock and percpu.lock, all KMM_LOCK_KVA and never held together. Page-table memory is never asked for
 * under them (tables of the kmap window exist from boot), and flushes of other CPUs happen outside of them.
 */
#ifndef KMM_KVA_KVA_H
#define KMM_KVA_KVA_H

#include "base/list.h"
#include "base/lock.h"
#include "base/shared.h"
#include "kmm/kmap.h"
#include "kmm/percpu.h"
#include "kmm/vmalloc.h"
#include "phys/phys.h"
#include "pt/pt.h"
#include "slab/slab.h"

/* What a kernel view's entry carries besides its rights: accessed and dirty spare the processor writing them. */
#define KMM_KVA_FLAGS (KMM_PTE_PRESENT | KMM_PTE_ACCESSED | KMM_PTE_DIRTY | KMM_PTE_GLOBAL)

_Static_assert((KMM_KVA_FLAGS & KMM_PTE_PRESENT) && !(KMM_KVA_FLAGS & (KMM_PTE_USER | KMM_PTE_LARGE | KMM_PTE_EXEC)),
	       "kernel views are small, present, and neither a program's nor code");

/* ---- areas of the vmalloc region ---- */

enum kmm_area_kind { KMM_AREA_VMALLOC, KMM_AREA_VMAP, KMM_AREA_IOREMAP };

/* LIVE: its address is somebody's. DYING: being unmapped. DEAD: unmapped, but translations may linger in TLBs, so
 * that its addresses and frames must wait for a flush. */
enum kmm_area_state { KMM_AREA_LIVE, KMM_AREA_DYING, KMM_AREA_DEAD };

/* In the tree by start. Fields are the areas' lock's, except those of what is mapped: its owner's. */
struct kmm_area {
	struct kmm_area *left, *right, *parent;
	struct kmm_list order;       /* neighbours by address */
	kmm_word start, end;         /* bytes; the guard behind it included */
	kmm_word gap, max_gap;       /* free bytes before it; largest gap in its subtree */
	uint32_t priority;           /* heap order of the tree */
	enum kmm_area_kind kind;
	enum kmm_area_state state;
	struct kmm_area *next_dead;  /* DEAD: died before it */
	kmm_word nr_mapped;          /* pages, from start on; DEAD: that were mapped; reports look (base/shared.h) */
	struct kmm_page_list frames; /* VMALLOC: its own blocks, last one first; large ones under large leaves */
	struct kmm_paddr phys;       /* IOREMAP */
	const char *caller;          /* never NULL */
};

struct kmm_areas {
	struct kmm_spin lock;
	struct kmm_area *root;
	struct kmm_list order;       /* all, by address */
	kmm_word start, end;         /* the region; constant */
	struct kmm_cache *cache;     /* constant */
	struct kmm_area *dead;       /* newest first */
	kmm_word nr_dead_pages;      /* theirs */
	kmm_word most_dead_pages;    /* more are purged; constant */
	kmm_word purges, revivals;   /* for tests and reports */
	struct kmm_shrinker shrinker; /* gives dead areas back when memory is out */
};

void kmm_areas_init(struct kmm_areas *areas, kmm_word start, kmm_word end);
/* Gives the area the lowest free range of `bytes` that starts at a multiple of `align` (a power of two; above a page
 * not every range that would do is found) and puts it in. false: no such range. Lock held, as below. */
bool kmm_areas_place(struct kmm_areas *areas, struct kmm_area *area, kmm_word bytes, kmm_word align);
void kmm_areas_remove(struct kmm_areas *areas, struct kmm_area *area);
/* The area that covers va, or NULL. */
struct kmm_area *kmm_areas_find(const struct kmm_areas *areas, kmm_word va);
/* The first area that starts at or above va, or NULL. */
struct kmm_area *kmm_areas_next(const struct kmm_areas *areas, kmm_word va);
/* Order, gaps, heap. Returns violations. */
unsigned kmm_areas_check(const struct kmm_areas *areas, struct kmm_sink *out);

/* Gives addresses, frames and the area itself back. Nothing of it may be in any TLB. No locks held. */
void kmm_area_release(struct kmm *k, struct kmm_area *area);

static inline struct kmm_vmalloc_info kmm_area_info(const struct kmm_area *area)
{
	return (struct kmm_vmalloc_info){
		.start = { area->start }, .size_bytes = area->end - area->start, .nr_pages = kmm_word_look(&area->nr_mapped),
		.caller = area->caller, .is_vmap = area->kind == KMM_AREA_VMAP,
		.is_ioremap = area->kind == KMM_AREA_IOREMAP, .phys = area->phys,
	};
}

/* ---- dead areas (lazy.c); no locks held ---- */

/* Unmaps an area of the caller's and leaves the rest to the next purge. */
void kmm_area_bury(struct kmm *k, struct kmm_area *area);
/* A dead area of nr pages that lives again: its frames are where they were, nothing is mapped. NULL: none. */
struct kmm_area *kmm_area_revive(struct kmm *k, kmm_word nr, const char *caller);

/* ---- the kmap window ---- */

/* MAPPED: its entry is present; without users it may be taken away at the next flush. Otherwise translations may linger
 * until a flush has ended that began at `epoch` or later: only then it is CLEAN. */
struct kmm_kmap_slot {
	uint32_t users;
	uint32_t epoch;              /* not mapped: the flush that takes it along */
	kmm_word pfn;                /* mapped */
	uint16_t next;               /* mapped: slot + 1 in the hash chain; 0 ends it */
	bool mapped;
};

_Static_assert(sizeof(struct kmm_kmap_slot) <= 24, "a page of slots and hash per 200");

struct kmm_kmap_waiter {             /* on the sleeper's stack */
	struct kmm_kmap_waiter *next;
	atomic_bool granted;
};

struct kmm_kmap {
	struct kmm_spin lock;        /* of all below but the constants and the arrays' places */
	kmm_word start;              /* constant, as the next six */
	unsigned mask;               /* nr_slots - 1 */
	char *view;                  /* of slot 0; NULL: views are pointers into direct_map */
	bool plain;                  /* constant: an entry is all there is to a view */
	char *entries;               /* of the slots: the window is one table */
	uint64_t rights;             /* of an entry, see kmm_pt_leaf() */
	unsigned nr_slots;           /* a power of two, or 0: no window */
	unsigned cursor;             /* where the search for a clean slot goes on */
	unsigned used;               /* slots with users */
	unsigned promised;           /* free slots that woken sleepers will take */
	uint32_t epoch;              /* the newest flush that was begun */
	uint32_t flushed;            /* the newest that has ended */
	struct kmm_kmap_waiter *first, **last; /* sleepers in order of arrival */
	struct kmm_kmap_slot *hint;  /* what was taken last; never NULL in a window */
	uint64_t flushes, waits;
	kmm_word kmaps;              /* wraps */
	uint16_t *hash;              /* by pfn: slot + 1; nr_slots of them */
	struct kmm_kmap_slot *slot;
};

/* ---- kmap_local ---- */

struct kmm_local_slot {
	void *entry;                 /* constant: where the page-table entry lies */
	kmm_word va;                 /* constant: its address */
	char *view;                  /* what a caller gets; constant where views are not pointers into direct_map */
	kmm_word pfn;                /* of the newest view through it; KMM_LOCAL_NEVER: there was none */
};
#define KMM_LOCAL_NEVER (~(kmm_word)0)

/* The stack grows up from `first`; next[-1] is the newest view, or a slot that never has one. */
struct kmm_local_cpu {               /* its CPU only */
	struct kmm_local_slot *next;
	struct kmm_local_slot *first, *end; /* constant */
	kmm_word calls;
} __attribute__((aligned(32)));

struct kmm_local {
	bool usable;                 /* constant: there is a window that C code can use */
	bool linear;                 /* constant: views are pointers into direct_map, as it shows all frames */
	bool mirrored;               /* constant: the port must show each view in a window of its own */
	bool plain;                  /* constant: usable and neither of these: an entry is all there is to a view */
	uint64_t rights;             /* constant: of a view of RAM, see kmm_pt_leaf() */
	struct kmm_local_cpu *of[KMM_MAX_CPUS]; /* constant: into cpu[], by number without a multiplication */
	struct kmm_local_cpu cpu[KMM_MAX_CPUS];
};

static inline unsigned kmm_local_depth(const struct kmm_local_cpu *cpu)
{
	return (unsigned)(cpu->next - cpu->first);
}

/* ---- per-CPU objects ---- */

/* How many granules a unit has, and what one is. */
enum { KMM_PERCPU_GRANULE = 8, KMM_PERCPU_GRANULES = KMM_PERCPU_UNIT / KMM_PERCPU_GRANULE };

_Static_assert(KMM_PERCPU_UNIT % KMM_PAGE_SIZE == 0, "copies of different CPUs share no page");
_Static_assert(KMM_PERCPU_GRANULES % 32 == 0, "whole words of bits");
_Static_assert((KMM_PERCPU_GRANULE & (KMM_PERCPU_GRANULE - 1)) == 0, "alignment in granules");

/* A vmalloc area of one unit per CPU, cut in the same way in all of them. Fields are the lock's, but the constants. */
struct kmm_percpu_chunk {
	struct kmm_list link;
	char *base;                  /* constant: CPU 0's unit */
	unsigned nr_free;            /* granules */
	unsigned hint;               /* no free granule before it */
	uint32_t used[KMM_PERCPU_GRANULES / 32];
	uint32_t last[KMM_PERCPU_GRANULES / 32]; /* of used ones: ends an object */
};

struct kmm_percpu {
	struct kmm_spin lock;
	struct kmm_list chunks;
	unsigned nr_chunks, nr_empty;
	kmm_word nr_objects;
	struct kmm_shrinker shrinker; /* gives the empty chunk back when memory is out */
};

/* ---- the layer's state ---- */

struct kmm_kva_state {
	bool force;                  /* windows also for low frames */
	struct kmm_areas areas;
	struct kmm_kmap kmap;
	struct kmm_percpu percpu;
	struct kmm_local local;
};

/* tier b start, after slab. errors: KMM_ENOMEM. context: boot. */
KMM_MUST_CHECK enum kmm_status kmm_kva_init(struct kmm *k);
/* Areas, kmap window and kmap_local stacks against the page tables. Returns violations, writes lines. */
unsigned kmm_kva_audit(struct kmm *k, struct kmm_sink *out);
unsigned kmm_kmap_audit(struct kmm *k, struct kmm_sink *out);
unsigned kmm_local_audit(struct kmm *k, struct kmm_sink *out);
unsigned kmm_vmalloc_audit(struct kmm *k, struct kmm_sink *out);
unsigned kmm_percpu_audit(struct kmm *k, struct kmm_sink *out);
void kmm_percpu_init(struct kmm *k);
/* Gives the empty chunk back that kmm_percpu_free() keeps. May sleep. */
void kmm_percpu_shrink(struct kmm *k);
enum kmm_status kmm_local_init(struct kmm *k);
enum kmm_status kmm_kmap_init(struct kmm *k);
enum kmm_status kmm_vmalloc_init(struct kmm *k);

/* ---- views, for code that has many ---- */

static inline bool kmm_view_is_linear(const struct kmm *k, const struct kmm_page *page)
{
	return !kmm_page_is_high(page) && !k->kva->force;
}

/* kmm_kmap_local() without a call for low frames; and its end. */
static inline void *kmm_view(struct kmm *k, struct kmm_page *page)
{
	if (!kmm_view_is_linear(k, page))
		return kmm_kmap_local(k, page);
	return kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_pfn(kmm_pfn_of(k->phys, page))));
}

static inline void kmm_unview(struct kmm *k, const struct kmm_page *page, const void *view)
{
	if (!kmm_view_is_linear(k, page))
		kmm_kunmap_local(k, view);
}

/* Where C code sees a window's address. */
static inline void *kmm_window_ptr(const struct kmm *k, kmm_word va)
{
	return (void *)((uintptr_t)k->port->window_base + (uintptr_t)(va - k->port->window_start));
}

static inline kmm_word kmm_window_va(const struct kmm *k, const void *ptr)
{
	return k->port->window_start + (kmm_word)((uintptr_t)ptr - (uintptr_t)k->port->window_base);
}

/* Can C code reach [va, va + bytes) of a window? */
static inline bool kmm_window_reaches(const struct kmm *k, kmm_word va, kmm_word bytes)
{
	const struct kmm_port *port = k->port;

	return !port->window_size ||
	       (va >= port->window_start && va - port->window_start < port->window_size &&
		bytes <= port->window_size - (va - port->window_start));
}

#endif
