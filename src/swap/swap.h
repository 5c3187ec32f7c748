/* SPDX-License-Identifier: MIT */
/*
 * Swap inside: areas, their maps of slots, and the entries of page tables that name a slot.
 *
 *	entry in a table   bits 1-4: place of the area + 1, or SAME; bits 9-31: slot, or the byte; bits 5 and 6: marks
 *	                   of the page (KMM_SWAP_MARKS); all others 0
 *
 * So an entry fits the 4-byte format and is the same in all; it is neither present nor "moving" (pt/leaf.h). SAME: the page
 * was one byte repeated; it takes no slot.
 *
 * A slot counts the entries that name it, and whoever reads or writes it just now. Devices are of two sorts. One is waited
 * for: a page that comes back gives its slot up, and while it goes out its entries are "moving" ones, so that a page is
 * either in frames or in slots and never both. The other begins a transfer and tells of its end: its pages are in between
 * in a small table (cache.c), found by slot, as long as they are written, read, were read before anybody asked, or
 * could not be written. A page there has no entry of its own; who faults on its slot takes it, and if others name the slot
 * too, a copy, as their next write would have given them (decision 010).
 *
 * Lock: w, the machine's, KMM_LOCK_SWAP (spin); change: a mutex around areas that come and go. No I/O under either but
 * change.
 */
#ifndef KMM_SWAP_SWAP_H
#define KMM_SWAP_SWAP_H

#include "base/lock.h"
#include "group/group.h"
#include "kmm/swap.h"
#include "phys/bits.h"
#include "pt/leaf.h"

enum { KMM_SLOT_BAD = 0xffff, KMM_SLOT_MOST = 0xfffe, KMM_SLOT_AGE_SHIFT = 24, KMM_SLOT_STAMP = 0xffffff };

struct kmm_slot {
	uint32_t stamp;           /* w: k->swap->clock when it was taken, its lowest 24 bits; above them the page's age then */
	uint16_t count;           /* w: 0: free; BAD: retired */
	uint16_t seen;            /* the checker's */
};

struct kmm_swap_area {
	struct kmm_swap_device *dev; /* w; NULL: no area */
	int priority;             /* w */
	bool leaving;             /* w: nothing goes there any more */
	uint32_t nr_slots;        /* constant */
	uint32_t nr_free, nr_bad; /* w */
	uint32_t nr_words, nr_whole; /* of map; w: wholly free ones */
	uint32_t hand;            /* w: word where the last run was taken */
	kmm_bits *map;            /* w: bit set: free */
	kmm_bits *dead;           /* w: bit per word of map: free since the device was told last */
	struct kmm_slot *slot;    /* w */
	uint16_t *group;          /* w: memory group that each slot is charged to, 0: none; as the slot's page in who may write. NULL: there never
	                           * was a group */
	uint32_t *packed;         /* w: where the compressed content of each slot is (zswap.h); 0: it is on the device. NULL: nothing
	                           * is compressed */
};

struct kmm_swap {
	struct kmm_spin lock;     /* w */
	struct kmm_mutex change;
	struct kmm_swap_area area[KMM_SWAP_AREAS];
	uint32_t clock;           /* w: slots taken so far; wraps */
	unsigned turn;            /* w: for areas of one priority */
	int next_priority;        /* change: the next default */
	bool has_groups;          /* change: areas have their arrays of groups */
	struct kmm_zswap *zswap;  /* written once, under change; NULL: nothing is compressed */
	struct kmm_swap_stats stats; /* its counters; atomic */
	struct kmm_swap_cache *cache; /* NULL: no device was ever used that begins transfers */
};

/* ---- pages on their way (cache.c) ---- */

enum kmm_cached_state {
	KMM_CACHED_FREE,
	KMM_CACHED_READING,       /* wait; page: NULL, the reader's own, or one to be ready for others */
	KMM_CACHED_WRITING,       /* the page, count and reference are the transfer's */
	KMM_CACHED_READY,         /* read ahead: has a count of the slot and a reference to the page, as the next */
	KMM_CACHED_FAILED         /* could not be written: the only copy; its slot will be retired */
};

enum { KMM_CACHED_MOST = 512, KMM_CACHED_BUCKETS = 256, KMM_CACHED_FOR_WRITES = 64, KMM_SWAP_IOS = 24, KMM_SWAP_IOS_FOR_READS = 8,
       KMM_SWAP_IOS_NOT_AHEAD = 12 /* reads that nobody waits for leave so many to others */ };

struct kmm_cached {
	uint32_t raw;             /* w */
	uint32_t stamp;           /* w: cache->clock when it came */
	uint16_t next;            /* w: in its bucket or among the free, + 1 */
	uint8_t state;            /* w */
	struct kmm_page *page;    /* w */
};

/* The core's part of a transfer. */
struct kmm_io {
	struct kmm_swap_io dev_part;  /* first */
	struct kmm_swap_device *dev;
	struct kmm_page *page[KMM_SWAP_RUN];
	uint32_t first;           /* of all of it: dev_part has one page when they are tried one by one */
	unsigned nr, at, place;
	int mine;                 /* reads: the page that somebody waits for; -1: none, all are read ahead */
	bool singly;
	enum kmm_status status;
	uint8_t phase;            /* atomic: see transfer.c */
	struct kmm_io *next;      /* w */
};

struct kmm_swap_cache {
	struct kmm_cached at[KMM_CACHED_MOST];
	uint16_t bucket[KMM_CACHED_BUCKETS], free; /* w */
	unsigned nr, nr_idle;     /* w, looked at without: entries; those READY or FAILED */
	unsigned hand;            /* w */
	uint32_t clock;           /* w */
	struct kmm_io io[KMM_SWAP_IOS];
	struct kmm_io *free_io;   /* w */
	unsigned nr_free_io;      /* w, looked at without */
	unsigned writing;         /* atomic: pages that a device was told to write */
	atomic_uint ended;        /* transfers so far; wraps. A key to wait on */
};

/* errors: KMM_ENOMEM. change held. */
KMM_MUST_CHECK enum kmm_status kmm_cache_make(struct kmm *k);
/* A page on its way out, of whose slot the transfer has a count. false: no room. context: one writer at a time. */
bool kmm_cached_add_write(struct kmm *k, uint32_t raw, struct kmm_page *page);
/* A slot that is about to be read, of which there is a count: the caller's (page NULL), or the table's from now on. */
enum kmm_cached_added { KMM_CACHED_ADDED, KMM_CACHED_IS_THERE, KMM_CACHED_FULL };
enum kmm_cached_added kmm_cached_add_read(struct kmm *k, uint32_t raw, struct kmm_page *page);
/* The ends of those; who waits for the slot is told by the caller. */
void kmm_cached_read_over(struct kmm *k, uint32_t raw, bool good);
void kmm_cached_written(struct kmm *k, uint32_t raw, struct kmm_page *page, bool good);
/* For who sees an entry that names the slot, its table locked. */
enum kmm_cached_claim {
	KMM_CLAIM_NONE,           /* it is in the slot alone */
	KMM_CLAIM_WAIT,           /* it is being read */
	KMM_CLAIM_TAKEN,          /* *page is the caller's, and the entry's count of the slot is given up */
	KMM_CLAIM_COPY            /* *page has a reference more, to be copied: others name the slot, too */
};
/* Is nothing on its way? Then all claims are NONE, for who has the entry's table locked. */
static inline bool kmm_cached_is_empty(const struct kmm *k)
{
	return !k->swap->cache || !__atomic_load_n(&k->swap->cache->nr, __ATOMIC_RELAXED);
}
/* may_take: or else a page that nobody else wants is to be copied, too, and the caller just has a count. */
enum kmm_cached_claim kmm_cached_claim(struct kmm *k, uint32_t raw, bool may_take, struct kmm_page **page);
/* w held, the slot has one count: is that the table's, of a page that waits? Then it is let go: *page is to be put without w. */
bool kmm_cached_let_go(struct kmm *k, uint32_t raw, struct kmm_page **page, bool *failed);
/* Pages that were read ahead some time ago are let go. */
void kmm_cached_trim(struct kmm *k);
unsigned kmm_cached_check(struct kmm *k, struct kmm_sink *out);

/* ---- transfers (transfer.c) ---- */

static inline bool kmm_device_starts(const struct kmm_swap_device *dev) { return dev->ops->start != NULL; }
/* No transfer more can be begun now; one that ends changes that. */
bool kmm_swap_is_congested(struct kmm *k);
/* Begins to write out pages, of whose slots the caller has a count each; others are taken. false: not now. */
bool kmm_swap_start_write(struct kmm *k, unsigned place, uint32_t first, unsigned nr, struct kmm_page *const *pages);
/* Begins to read; mine: the page that the caller will wait for, or -1. All are in the table of pages on their way. NULL: not now. */
struct kmm_io *kmm_swap_start_read(struct kmm *k, unsigned place, uint32_t first, unsigned nr, struct kmm_page *const *pages,
				   int mine);
/* Waits for it, and gives it back. Were all pages read? */
KMM_MUST_CHECK enum kmm_status kmm_swap_await(struct kmm *k, struct kmm_io *io);
/* Says so to those who wait for an end: of a transfer, or of a page on its way. */
void kmm_swap_tell(struct kmm *k);
static inline unsigned kmm_swap_ends(struct kmm *k)
{
	return k->swap->cache ? atomic_load_explicit(&k->swap->cache->ended, memory_order_seq_cst) : 0;
}
/* Waits until something has ended since kmm_swap_ends() gave `seen`, or nothing is under way. sleep: or else awake. context: no
 * spin locks. */
void kmm_swap_wait(struct kmm *k, unsigned seen, bool sleep);
/* Waits awake until none is under way. */
void kmm_swap_quiesce(struct kmm *k);
static inline unsigned kmm_swap_writing(struct kmm *k)
{
	return k->swap->cache ? __atomic_load_n(&k->swap->cache->writing, __ATOMIC_ACQUIRE) : 0;
}

/* ---- entries ---- */

#define KMM_SWAP_SAME 15u
#define KMM_SWAP_PLACE (15u << 1)

static inline bool kmm_raw_is_swap(uint64_t raw)
{
	return (raw & KMM_SWAP_PLACE) && !(raw & (KMM_X86_P | KMM_X86_MOVING));
}

/* Marks of an entry that are no part of the slot's name, which functions about slots are given: the page was written since the
 * last kmm_clear_refs(), as KMM_X86_SOFT_DIRTY. */
#define KMM_SWAP_WRITTEN (1u << 5)
/* As KMM_X86_WATCHED. Alone, without a slot, it keeps the place of a page of a backing that no entry shows now. */
#define KMM_SWAP_WATCHED (1u << 6)
#define KMM_RAW_WATCHED_HOLE KMM_SWAP_WATCHED
#define KMM_SWAP_MARKS (KMM_SWAP_WRITTEN | KMM_SWAP_WATCHED)
static inline bool kmm_raw_is_watched(uint64_t raw)
{
	return (raw & (raw & (KMM_X86_P | KMM_X86_MOVING) ? KMM_X86_WATCHED : KMM_SWAP_WATCHED)) != 0;
}
static inline uint32_t kmm_raw_slot(uint64_t raw) { return (uint32_t)raw & ~KMM_SWAP_MARKS; }

static inline uint32_t kmm_swap_raw(unsigned place, uint32_t slot) { return (place + 1) << 1 | slot << 9; }
static inline uint32_t kmm_swap_raw_same(uint8_t byte) { return KMM_SWAP_SAME << 1 | (uint32_t)byte << 9; }
static inline bool kmm_swap_is_same(uint32_t raw) { return (raw >> 1 & 15) == KMM_SWAP_SAME; }
static inline unsigned kmm_swap_place(uint32_t raw) { return (raw >> 1 & 15) - 1; }
static inline uint32_t kmm_swap_slot(uint32_t raw) { return raw >> 9; }

/* ---- slots (slots.c) ---- */

/* Slots in a row for up to `want` pages, one count each. false: all areas are full. */
struct kmm_slot_run { unsigned place; uint32_t first; unsigned nr; };
bool kmm_slots_take(struct kmm *k, unsigned want, struct kmm_slot_run *out);
/* One count more: for who holds one. false: there are too many. No-op for SAME. context: spin locks up to TABLE may be held;
 * so for the next two. */
KMM_MUST_CHECK bool kmm_slot_get(struct kmm *k, uint32_t raw);
/* nr less, the last one frees the slot; one that only a page read ahead has left goes with that. */
void kmm_slot_put_some(struct kmm *k, uint32_t raw, unsigned nr);
static inline void kmm_slot_put(struct kmm *k, uint32_t raw) { kmm_slot_put_some(k, raw, 1); }
/* How many slots were taken since this one was, up to 2^24, and the age that its page had; both 0 for SAME. */
struct kmm_slot_past { uint32_t distance; uint8_t was; };
void kmm_slot_past(struct kmm *k, uint32_t raw, struct kmm_slot_past *past);
/* kmm_slot_get() and kmm_slot_past() by one lock. */
KMM_MUST_CHECK bool kmm_slot_get_with_past(struct kmm *k, uint32_t raw, struct kmm_slot_past *past);
/* The page that goes to a slot of which the caller alone has a count: its age, and its group, which was charged for the slot. */
void kmm_slot_note_page(struct kmm *k, unsigned place, uint32_t slot, const struct kmm_page *page);
/* The group that the slot is charged to, if that is not a removed one; NULL: none. For who has a count of the slot. */
struct kmm_group *kmm_slot_group(struct kmm *k, uint32_t raw);
/* A slot that cannot be written is given up for good; the count was the caller's. */
void kmm_slot_retire(struct kmm *k, unsigned place, uint32_t slot);
/* Tells devices of wholly free stretches; at most `most` of them. */
void kmm_slots_discard(struct kmm *k, unsigned most);
static inline bool kmm_swap_has_room(struct kmm *k)
{
	for (unsigned i = 0; i < KMM_SWAP_AREAS; i++)
		if (__atomic_load_n(&k->swap->area[i].nr_free, __ATOMIC_RELAXED) && !k->swap->area[i].leaving)
			return true;
	return false;
}

/* ---- contents (io.c) ---- */

/* Writes out nr pages that nobody can change now; at most KMM_SWAP_RUN. raw[i]: the entry for each, with a count that is the
 * caller's; 0: it could not be written, or there was no room. Returns how many are still on their way to a device. */
unsigned kmm_swap_out(struct kmm *k, struct kmm_page *const *pages, unsigned nr, uint32_t *raw);
/* Pages that went out so far, wherever to. */
kmm_word kmm_swap_gone(struct kmm *k);
/* The content of raw's slot, of which the caller has a count. errors: KMM_EIO. */
KMM_MUST_CHECK enum kmm_status kmm_swap_in(struct kmm *k, uint32_t raw, struct kmm_page *page);
/* The same of a slot that is not on its way, on a device that tells of the end. */
KMM_MUST_CHECK enum kmm_status kmm_swap_read_alone(struct kmm *k, uint32_t raw, struct kmm_page *page);

/* ---- areas (area.c) ---- */

/* errors: KMM_ENOMEM. context: start of tier c. */
KMM_MUST_CHECK enum kmm_status kmm_swap_init(struct kmm *k);
void kmm_swap_fini(struct kmm *k);
/* Place of the device's area, -1: none. change held. */
int kmm_swap_find(struct kmm *k, const struct kmm_swap_device *dev);
/* Areas get, now and from now on, what they need to remember groups. errors: KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_swap_make_groups(struct kmm *k);
/* From now on nothing goes there (or may again). */
void kmm_swap_set_leaving(struct kmm *k, unsigned place, bool leaving);
/* Counts of entries and others in the area. */
uint32_t kmm_swap_used(struct kmm *k, unsigned place);
/* Its slots are all free: forgets it. change held. */
void kmm_swap_drop(struct kmm *k, unsigned place);

/* The area's words for compressed contents; an area that is none has none. false: no memory. change held. */
KMM_MUST_CHECK bool kmm_swap_make_packed(struct kmm *k, struct kmm_swap_area *a);
void kmm_swap_drop_packed(struct kmm *k, struct kmm_swap_area *a);

/* Checker: begin; each entry; end says whether the counts are those of the entries. Nothing else runs. */
void kmm_swap_check_begin(struct kmm *k);
bool kmm_swap_check_entry(struct kmm *k, uint32_t raw);
unsigned kmm_swap_check_end(struct kmm *k, struct kmm_sink *out);

#endif
