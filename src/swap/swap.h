/* SPDX-License-Identifier: MIT */
/*
 * Swap inside: areas, their maps of slots, and the entries of page tables that name a slot.
 *
 *	entry in a table   bits 1-4: place of the area + 1, or SAME; bits 9-31: slot, or the byte; all others 0
 *
 * So an entry fits the 4-byte format and is the same in all; it is neither present nor "moving" (pt/leaf.h). SAME: the page
 * was one byte repeated; it takes no slot.
 *
 * A slot counts the entries that name it, and whoever reads or writes it just now. There is no cache between tables and
 * slots: a page that comes back gives its slot up, and while it goes out its entries are "moving" ones, so that a
 * page is either in frames or in slots and never both. Two who fault on one slot both read it; each gets a page of its
 * own, as their next write would have given them (decision 010).
 *
 * Lock: w, the machine's, KMM_LOCK_SWAP (spin); change: a mutex around areas that come and go. No I/O under either but
 * change.
 */
#ifndef KMM_SWAP_SWAP_H
#define KMM_SWAP_SWAP_H

#include "base/lock.h"
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
	struct kmm_zswap *zswap;  /* written once, under change; NULL: nothing is compressed */
	struct kmm_swap_stats stats; /* its counters; atomic */
};

/* ---- entries ---- */

#define KMM_SWAP_SAME 15u

static inline bool kmm_raw_is_swap(uint64_t raw)
{
	return raw != 0 && !(raw & (KMM_X86_P | KMM_X86_MOVING));
}

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
/* One less, the last one frees the slot. */
void kmm_slot_put(struct kmm *k, uint32_t raw);
/* How many slots were taken since this one was, up to 2^24, and the age that its page had; both 0 for SAME. */
uint32_t kmm_slot_distance(struct kmm *k, uint32_t raw, uint8_t *was);
/* The age of the page that goes to a slot of which the caller alone has a count. */
void kmm_slot_note_age(struct kmm *k, unsigned place, uint32_t slot, uint8_t age);
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
 * caller's; 0: it could not be written, or there was no room. */
void kmm_swap_out(struct kmm *k, struct kmm_page *const *pages, unsigned nr, uint32_t *raw);
/* Pages that went out so far, wherever to. */
kmm_word kmm_swap_gone(struct kmm *k);
/* The content of raw's slot, of which the caller has a count. errors: KMM_EIO. */
KMM_MUST_CHECK enum kmm_status kmm_swap_in(struct kmm *k, uint32_t raw, struct kmm_page *page);

/* ---- areas (area.c) ---- */

/* errors: KMM_ENOMEM. context: start of tier c. */
KMM_MUST_CHECK enum kmm_status kmm_swap_init(struct kmm *k);
void kmm_swap_fini(struct kmm *k);
/* Place of the device's area, -1: none. change held. */
int kmm_swap_find(struct kmm *k, const struct kmm_swap_device *dev);
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
