/* SPDX-License-Identifier: MIT */
/*
 * Pools of equal objects, in slabs: blocks of 2^order low frames of kind SLAB; and the caches that name them.
 *
 *	cache "a" --+--> pool ----> partial, empty: lists of slabs by their head descriptors (full slabs are in none)
 *	cache "b" --+     |
 *	                  +------> depot: free objects for any CPU, moved in batches
 *	                  +------> one magazine per CPU: free objects, the fast path
 *
 * A cache is a name and a pointer to the pool that serves it now. Caches of equal geometry share one (pool.c); a
 * cache whose checks were switched has several, one per set of checks that it ever had, and allocates from one.
 *
 * An object is in exactly one of four places: in its slab's free list, in the depot, in a magazine, or with the caller.
 * A slab counts the last three as in use, so moving objects between CPUs and callers touches no slab. An object that is
 * freed on another CPU than it came from stays there until a whole batch goes to the depot, under one exchange
 * of the lock; the other CPU takes it from there the same way.
 *
 * What is kept where (nothing in a descriptor or a slab is a host pointer, so a slab looks the same on every ground):
 *	head descriptor   count = in use | first free << 16, a and b = list links, obj = where the pool is
 *	tail descriptors  kind NONE, a = distance to the head in pages
 *	free object       struct kmm_free at pool->word: next (in its slab only), mark
 * A slab's free list names slots by their offset in 8-byte units, plus 1; 0 ends it.
 *
 * The mark tells that an object is free, wherever it is; allocation wipes it. A free that meets it looks for the object
 * in all places where free ones are, since callers may write the same 4 bytes: so a double free never corrupts.
 *
 * Slots: an ordinary object fills its slot. With a constructor struct kmm_free lies behind the object, whose content
 * must survive. For a debug pool see debug.c; it has no magazines, so every call passes the checks.
 *
 * Only its CPU may touch a magazine. Who wants what others keep lowers their `end`, so that their next free sees a full
 * magazine, takes the lock, finds out and gives all back. What an idle CPU keeps stays; that is bounded, see pool.c.
 *
 * Locks: pool->lock (KMM_LOCK_SLAB) for the lists, the slabs' free lists, the depot and `inuse`; slab->lock (same
 * class, so never both) for the lists of pools and caches. Magazines: interrupts off on their CPU.
 */
#ifndef KMM_SLAB_SLAB_H
#define KMM_SLAB_SLAB_H

#include "base/list.h"
#include "base/lock.h"
#include "kmm/slab.h"
#include "phys/alloc.h"

#define KMM_SLAB_MAX_OBJECTS 512u /* per slab: a page of 8-byte objects */
#define KMM_SLAB_MAX_ORDER (KMM_NR_ORDERS > 3 ? 3u : KMM_NR_ORDERS - 1u)
#define KMM_KMALLOC_CLASSES 36u
#define KMM_KMALLOC_SMALL (KMM_STRAIGHT_SIZES - 1u)
#define KMM_SLAB_CACHE_LINE 64
#define KMM_MAGAZINE_MAX 256u
#define KMM_DEPOT_MAX 1024u
#define KMM_NR_CHECKS 8u /* combinations of KMM_CACHE_RED_ZONE .. OWNER */

/* Modifiers that slab memory can never honour: it is low, and it does not move. */
#define KMM_SLAB_BAD_GFP (KMM_GFP_HIGHMEM | KMM_GFP_DMA32 | KMM_GFP_DMA | KMM_GFP_MOVABLE)

enum { KMM_CACHE_DMA = 1 << 8 }; /* beside the public KMM_CACHE_ flags: slabs from ZONE_DMA */

typedef uint32_t __attribute__((may_alias)) kmm_free_word; /* lies in memory that callers give other types */

struct kmm_free {
	kmm_free_word next, mark;
};
#define KMM_FREE_MARK 0x5eedf4eeu

/* One CPU's free objects, a stack: *top is taken first. slot[0] is NULL for ever, so that an empty one needs no test. */
struct kmm_magazine {
	void **top;                  /* of slot[]; atomic: others look, only its CPU writes */
	void **end;                  /* atomic: the last place, slot + pool->limit; pool->lock: `slot` when others want all back */
	struct kmm_pool *pool;       /* constant: whose it is */
	void *slot[];
};

/* Something in a list that is walked with no lock held in between. */
struct kmm_entry {
	struct kmm_list list;        /* slab->lock */
	uint32_t pins;               /* slab->lock: walkers that stand here */
};

struct kmm_pool {
	/* constant */
	uint32_t offset_mask;        /* bytes of a slab - 1 */
	uint32_t reciprocal;         /* 2^32 / slot, rounded up */
	uint32_t last_start;         /* offset of the last slot * reciprocal, mod 2^32 */
	uint32_t word;               /* offset of struct kmm_free in a slot */
	struct kmm_magazine *magazine[KMM_MAX_CPUS]; /* those of a debug pool hold nothing */
	uint32_t limit;              /* objects a magazine holds at most; 0: none */
	uint32_t size;               /* usable bytes of an object */
	uint32_t slot;               /* bytes from one object to the next */
	uint32_t batch;              /* objects that move at once */
	uint32_t depot_max;          /* a multiple of batch */
	void **depot;                /* lock; behind the magazines */
	void (*ctor)(void *object);
	uint32_t front;              /* debug: bytes before the object */
	uint32_t flags;
	uint32_t keep_empty;         /* empty slabs worth keeping */
	uint16_t nr_objects;         /* per slab */
	uint8_t order;               /* of a slab */
	bool boot;                   /* its memory is part of the layer's state */

	struct kmm_entry entry;      /* slab->pools, oldest first */
	unsigned users;              /* slab->lock: caches that have it */
	bool closing;                /* slab->lock: its only cache is being destroyed: no other may join */
	char name[24];               /* slab->lock: that of its oldest cache */

	struct kmm_spin lock;
	struct kmm_page_list partial, empty; /* lock */
	kmm_word nr_slabs;           /* lock: all, full ones too */
	kmm_word inuse;              /* lock: objects outside the slabs' free lists */
	uint32_t depot_nr;           /* lock */
	struct { kmm_word inuse, slabs, partial, empty; } seen; /* scratch of the audit */
} __attribute__((aligned(KMM_SLAB_CACHE_LINE)));

struct kmm_cache {
	struct kmm_pool *pool;       /* atomic: where objects come from; one of pools[] */
	struct kmm_pool *pools[KMM_NR_CHECKS]; /* slab->lock: by checks, as needed so far; all live until the cache dies */
	struct kmm_pool **mirror;    /* its entry in kmalloc's tables, kept equal; NULL: not kmalloc's */
	uint32_t size, align, flags; /* as asked for, without the checks */
	void (*ctor)(void *object);
	struct kmm_entry entry;      /* slab->caches, oldest first */
	char name[24];
};

/* One CPU's magazines of kmalloc by size, in steps of 8 and of 256, which is where all larger classes end. */
struct kmm_front {
	struct kmm_magazine *small[KMM_KMALLOC_SMALL / 8 + 1]; /* atomic, both */
	struct kmm_magazine *large[KMM_KMALLOC_MAX_CLASS / 256 + 1];
} __attribute__((aligned(KMM_SLAB_CACHE_LINE)));

struct kmm_slab {
	struct kmm_spin lock;
	struct kmm_list pools, caches, shrinkers; /* lock */
	atomic_uint shrinking;       /* somebody runs the shrinkers */
	kmm_word shrunk;             /* his: objects that they were asked to look at; wraps */
	struct kmm_shrinker own;     /* gives empty slabs back */
	struct kmm_cache cache_cache; /* where struct kmm_cache come from */
	uint32_t budget;             /* i: bytes of objects that a magazine is worth on this machine */
	bool started;                /* i: kmalloc works */
	char *boot;                  /* while starting: room for pools */
	size_t boot_bytes;
	struct kmm_pool *kmalloc[2][KMM_KMALLOC_CLASSES]; /* atomic; [1]: ZONE_DMA. NULL: larger than a slab */
};

/* ---- for the layers above ---- */

/* tier b start, after page tables. errors: KMM_ENOMEM. context: boot. */
KMM_MUST_CHECK enum kmm_status kmm_slab_init(struct kmm *k);
/* Every slab belongs to one pool, free lists end, counts are true, red zones whole. Returns violations. */
unsigned kmm_slab_audit(struct kmm *k, struct kmm_sink *out);
/* Name of the cache whose slab `page` is part of (any page of it); "" when it is no slab. */
const char *kmm_slab_owner(struct kmm *k, struct kmm_page *page);
/* Gives all empty slabs, depots and this CPU's magazines back; returns pages freed. */
kmm_word kmm_slab_shrink_all(struct kmm *k);

/* ---- between the files of this folder ---- */

/* slab.c: one slab. take and give are called with pool->lock held. */
struct kmm_page *kmm_slab_new(struct kmm *k, struct kmm_pool *pool, kmm_gfp gfp);
void kmm_slab_add(struct kmm *k, struct kmm_pool *pool, struct kmm_page *page);
/* Up to max free slots into out, those with low addresses last; returns how many there were. */
unsigned kmm_slab_take(struct kmm *k, struct kmm_pool *pool, void **out, unsigned max);
/* Puts slots back into their slabs. Slabs that become empty, beyond those worth keeping, go to `dead`: the caller
 * deletes them when it has dropped the lock. */
void kmm_slab_give(struct kmm *k, struct kmm_pool *pool, void *const *slot, unsigned nr, struct kmm_page_list *dead);
void kmm_slab_delete_list(struct kmm *k, struct kmm_pool *pool, struct kmm_page_list *dead);
/* Marks the free slots of a slab in bits (zeroed by the caller). false: the free list is broken. */
bool kmm_slab_free_bits(struct kmm *k, const struct kmm_pool *pool, struct kmm_page *page,
			uint32_t bits[KMM_SLAB_MAX_OBJECTS / 32], unsigned *nr_free);
unsigned kmm_slab_inuse(const struct kmm_page *page);
/* Head of the slab that a descriptor is part of, NULL when it is none's. */
struct kmm_page *kmm_slab_head(const struct kmm *k, struct kmm_page *page);

/* object.c: behind the fast paths. */
void *kmm_object_alloc_slow(struct kmm *k, struct kmm_pool *pool, kmm_gfp gfp, const void *caller);
/* The same with all that may be wanted: failure injection by the caller, clearing, trace. */
void *kmm_object_alloc(struct kmm *k, struct kmm_pool *pool, kmm_gfp gfp, const void *caller);
/* object: in a slab of the pool, but perhaps none of its objects. */
void kmm_object_free_slow(struct kmm *k, struct kmm_pool *pool, void *object, const void *caller);
/* Lock held, which also keeps this CPU's magazine. false: nothing free anywhere. */
bool kmm_magazine_refill(struct kmm *k, struct kmm_pool *pool, struct kmm_magazine *magazine);
/* Lock held, this CPU's, full. Moves the oldest batch to the depot, or to the slabs; all to these when others want it. */
void kmm_magazine_overflow(struct kmm *k, struct kmm_pool *pool, struct kmm_magazine *magazine,
			   struct kmm_page_list *dead);
/* Trace events, out of the way. */
void kmm_object_trace(struct kmm *k, enum kmm_event event, const void *object, uint64_t size, kmm_gfp gfp);
kmm_gfp kmm_object_fix_gfp(struct kmm *k, const char *what, kmm_gfp gfp, const void *caller);

/* pool.c */
struct kmm_pool_spec {
	const char *name;
	size_t size, align;
	unsigned flags;
	void (*ctor)(void *object);
};
/* A pool for such objects, shared when that may be. errors: KMM_EINVAL, KMM_ENOMEM. context: may sleep. */
enum kmm_status kmm_pool_get(struct kmm *k, const struct kmm_pool_spec *spec, struct kmm_pool **out);
/* Its last user's put deletes it: nothing of it may be in use then. */
void kmm_pool_put(struct kmm *k, struct kmm_pool *pool);
/* Lock held, this CPU's: puts all into the slabs. */
void kmm_magazine_empty(struct kmm *k, struct kmm_pool *pool, struct kmm_magazine *magazine, struct kmm_page_list *dead);
/* Empties a CPU's magazine into the slabs. cpu: this one, or one that does not use the pool now. */
void kmm_pool_drain(struct kmm *k, struct kmm_pool *pool, unsigned cpu);
/* Gives depot and empty slabs back; returns pages freed. */
kmm_word kmm_pool_trim(struct kmm *k, struct kmm_pool *pool);
/* What trimming could give, roughly in pages: empty slabs, and objects in the depot. */
kmm_word kmm_pool_spare(struct kmm *k, struct kmm_pool *pool);
/* Walks, newest first, with no lock held in between: NULL gives the first, the last gives NULL. The entry handed out
 * cannot be removed until it is handed back in, so a walk must go to its end. */
struct kmm_entry *kmm_entry_next(struct kmm *k, struct kmm_list *head, struct kmm_entry *at);
void kmm_entry_add(struct kmm *k, struct kmm_list *head, struct kmm_entry *entry);
/* Out of its list, as soon as nobody who walks it stands there. */
void kmm_entry_remove(struct kmm *k, struct kmm_entry *entry);
struct kmm_pool *kmm_pool_next(struct kmm *k, struct kmm_pool *at);
void kmm_slab_set_name(char to[24], const char *name);

/* cache.c */
enum kmm_status kmm_cache_open(struct kmm *k, struct kmm_cache *cache, const char *name, size_t size, size_t align,
			       unsigned flags, void (*ctor)(void *object));
enum kmm_status kmm_cache_close(struct kmm *k, struct kmm_cache *cache);

/* kmalloc.c */
enum kmm_status kmm_kmalloc_init(struct kmm *k); /* after k->front[] */
void kmm_kmalloc_fini(struct kmm *k);
/* Makes kmalloc's tables say what the cache says. Lock slab held, or start. */
void kmm_kmalloc_update(struct kmm *k, const struct kmm_cache *cache);
size_t kmm_kmalloc_class_size(unsigned index);
unsigned kmm_kmalloc_class(size_t size);

/* shrink.c */
void kmm_shrinkers_init(struct kmm *k);

/* debug.c: slots of debug pools. */
struct kmm_slot_tail {
	struct kmm_free free;
	uint32_t state;
	uint32_t spare;
	uint64_t alloc_caller, free_caller; /* KMM_CACHE_OWNER */
};
uint32_t kmm_debug_layout(struct kmm_pool *pool, size_t size, size_t align);
void kmm_debug_init_slot(struct kmm_pool *pool, void *slot);
void *kmm_debug_alloc(struct kmm *k, struct kmm_pool *pool, void *slot, const void *caller);
/* The slot to free, or NULL after a report: the object stays as it is. */
void *kmm_debug_free(struct kmm *k, struct kmm_pool *pool, struct kmm_page *page, void *object, const void *caller);
unsigned kmm_debug_check_slot(struct kmm *k, const struct kmm_pool *pool, const void *slot, bool free,
			      struct kmm_sink *out);
/* Who allocated it; 0: not known. */
uint64_t kmm_debug_caller(const struct kmm_pool *pool, const void *slot);

/* ---- small helpers ---- */

/* For any CPU, as it stands just now. */
static inline uint32_t kmm_magazine_nr(const struct kmm_magazine *magazine)
{
	return (uint32_t)(__atomic_load_n(&magazine->top, __ATOMIC_RELAXED) - magazine->slot);
}

static inline void kmm_magazine_set_top(struct kmm_magazine *magazine, void **top)
{
	__atomic_store_n(&magazine->top, top, __ATOMIC_RELAXED);
}

/* The newest object, or NULL. */
static inline void *kmm_magazine_pop(struct kmm_magazine *magazine)
{
	void **top = magazine->top, *object = __atomic_load_n(top, __ATOMIC_RELAXED);

	if (__builtin_expect(object != NULL, 1))
		kmm_magazine_set_top(magazine, top - 1);
	return object;
}

static inline void kmm_magazine_set_end(struct kmm_magazine *magazine, void **end)
{
	__atomic_store_n(&magazine->end, end, __ATOMIC_RELAXED);
}

/* Objects that still fit. */
static inline uint32_t kmm_magazine_room(const struct kmm_magazine *magazine)
{
	void **end = __atomic_load_n(&magazine->end, __ATOMIC_RELAXED);

	return end > magazine->top ? (uint32_t)(end - magazine->top) : 0;
}

/* false: it is full. */
static inline bool kmm_magazine_push(struct kmm_magazine *magazine, void *object)
{
	void **top = magazine->top;

	if (__builtin_expect(top >= __atomic_load_n(&magazine->end, __ATOMIC_RELAXED), 0))
		return false;
	__atomic_store_n(top + 1, object, __ATOMIC_RELAXED);
	kmm_magazine_set_top(magazine, top + 1);
	return true;
}

static inline struct kmm_pool *kmm_cache_pool(const struct kmm_cache *cache)
{
	return __atomic_load_n(&cache->pool, __ATOMIC_ACQUIRE);
}

static inline void *kmm_slab_base(const struct kmm *k, const struct kmm_page *page)
{
	return kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_page_to_pfn(k, page)));
}

/* The free word of a slot. */
static inline struct kmm_free *kmm_slot_free(const struct kmm_pool *pool, void *slot)
{
	return (struct kmm_free *)(void *)((char *)slot + pool->word);
}

/* Number of the slot at byte `offset` of a slab (offset < 32 KiB): exact for every slot size, no division. */
static inline uint32_t kmm_slot_number(const struct kmm_pool *pool, uint32_t offset)
{
	return (uint32_t)((uint64_t)offset * pool->reciprocal >> 32);
}

/* Exact too. The product's low half is the fraction of offset / slot, but for the reciprocal's rounding: that adds, slot
 * by slot, the same little, which even in sum is less than the fraction of any offset inside a slot. So what is at
 * most the last slot's starts a slot, and not one behind the last. */
static inline bool kmm_slot_starts_at(const struct kmm_pool *pool, uint32_t offset)
{
	return offset * pool->reciprocal <= pool->last_start;
}

#endif
