/* SPDX-License-Identifier: MIT */
/*
 * The table behind page owner and poison: what is known about single frames besides their descriptors. It exists only
 * while one of the two is on (k->page_debug), and then k->straight is false, so no fast path knows of it.
 */
#ifndef KMM_PHYS_OWNER_H
#define KMM_PHYS_OWNER_H

#include "base/lock.h"
#include "kmm/debug.h"

#define KMM_NOTE_SITES 2048u

enum kmm_note_state { KMM_NOTE_NONE, KMM_NOTE_ALLOCATED, KMM_NOTE_FREED };

struct kmm_frame_note {
	uint64_t alloc_ns, free_ns;
	uint32_t alloc_id, free_id;
	uint16_t alloc_site, free_site; /* place in sites; 0: nobody */
	uint32_t gfp : 20, order : 4, state : 2, moved : 1, poisoned : 1, round : 4;
};
_Static_assert(sizeof(struct kmm_frame_note) == 32 && KMM_GFP_ALL < 1 << 20 && KMM_NR_ORDERS <= 16, "a note is 32 bytes");

struct kmm_note_site {
	const char *label;          /* NULL: unused */
	uintptr_t caller;
};

struct kmm_page_debug {
	unsigned features;          /* KMM_DEBUG_ */
	unsigned round;             /* poison of earlier rounds is not compared */
	unsigned levels;            /* of the table above its leaves */
	kmm_word root;              /* pfn + 1 of the top; links are set once, by compare and swap */
	struct kmm_spin lock;       /* KMM_LOCK_ZONE: sites, counters, single notes */
	kmm_word nr_pages;
	unsigned nr_sites;
	uint64_t filled, checked, corrupt, lost;
	struct kmm_note_site site[KMM_NOTE_SITES]; /* a hash table; 0 stays empty */
};

/* Called from allocation and freeing while k->page_debug is set. */
void kmm_page_debug_alloc(struct kmm *k, struct kmm_page *page, kmm_gfp gfp, unsigned order, const char *site,
			  const void *caller);
void kmm_page_debug_free(struct kmm *k, struct kmm_page *page, unsigned order, const void *caller);
/* The content of `from` lives on in `to`: so does what is known of who allocated it. Nothing while page owner is off. */
void kmm_page_debug_move(struct kmm *k, struct kmm_page *to, struct kmm_page *from);

/* The note of a frame, made if need be (then no locks of class ZONE are held); NULL: there is none. */
struct kmm_frame_note *kmm_note_of(struct kmm *k, kmm_word pfn, bool make);
/* The first frame at or above *pfn that may have a note; false: none is left. */
bool kmm_note_next(struct kmm *k, kmm_word *pfn);

/* ---- poison.c ---- */

/* Fills a free frame, or compares one that was filled; false: it cannot be reached now. */
bool kmm_poison_fill(struct kmm *k, struct kmm_page *page);
void kmm_poison_check(struct kmm *k, struct kmm_page *page, const struct kmm_frame_note *note);
const char *kmm_note_label(const struct kmm_page_debug *d, unsigned site);

/* How high frames are reached: kva tells, when it can. view() never fails and does not sleep. */
void kmm_high_view_register(struct kmm *k, void *(*view)(struct kmm *k, struct kmm_page *page),
			    void (*unview)(struct kmm *k, const void *at));

#endif
