/* SPDX-License-Identifier: MIT */
/*
 * Memory groups inside: a tree of counters, and which page is charged to whom.
 *
 *	descriptor    b: number of the group; sort 3 says that there is one (phys/desc.h)
 *	slot of swap  the area's array of numbers (swap/slots.c)
 *	number        k->groups->table, a group of which may be removed and still have pages
 *
 * A group's `usage` counts the pages charged to it and below it, and what processors hold in advance: each has a stock
 * of pages that were counted for one group already, so that most charges and frees touch no counter that others
 * write. What is really charged is usage less the stocks, exactly; limits are compared with usage, and who is refused empties the
 * stocks before he believes it. Stocks, usage and all other counts change by atomic operations, so no lock is needed
 * to charge and to free; both happen under spin locks, and frees in interrupts.
 *
 * The life of a group:  online --remove--> offline --no page, slot, space or group below it is left--> gone
 * Who frees the last page cannot give the memory back there; whoever makes, removes or reads a group next does (sweep).
 *
 * Lock: q, k->pageq->lock, for the tree: so reclaim, which holds it, sees groups that stay. t: of stalls, stall.c.
 */
#ifndef KMM_GROUP_GROUP_H
#define KMM_GROUP_GROUP_H

#include "base/list.h"
#include "base/shared.h"
#include "kmm/group.h"
#include "pageq/pageq.h"

enum { KMM_GROUP_BATCH = 32, KMM_GROUP_STOCK = 2 * KMM_GROUP_BATCH };
enum { KMM_GROUP_MOST_CHUNKS = 1 << 15, KMM_GROUP_CHUNK_SHIFT = 9 };
enum kmm_group_count { KMM_GROUP_ANON, KMM_GROUP_FILE, KMM_GROUP_SHMEM, KMM_NR_GROUP_COUNTS };
enum kmm_group_past { KMM_GROUP_FAULTS, KMM_GROUP_MAJOR, KMM_GROUP_REFAULTS, KMM_GROUP_SCANNED, KMM_GROUP_STOLEN,
		      KMM_NR_GROUP_PASTS };

struct kmm_group {
	struct kmm *k;
	struct kmm_group *parent;    /* constant */
	uint32_t id;                 /* constant; 1 .. KMM_MAX_GROUPS */
	bool offline;                /* q; looked at without */
	struct kmm_list kids, link;  /* q: link in parent's kids, or in groups->top */
	unsigned spaces;             /* atomic: that belong to it */
	unsigned refs;               /* atomic: spaces that do or did */
	kmm_word limit[KMM_NR_GROUP_LIMITS]; /* atomic, as all below */
	kmm_word usage, peak;        /* of it and those below, with stocks */
	kmm_word swap, swap_peak;    /* of it and those below */
	kmm_word writing;            /* the same: pages on their way to slots, charged as long as they are */
	kmm_word own[KMM_NR_GROUP_COUNTS], own_swap; /* of it alone */
	kmm_word past[KMM_NR_GROUP_PASTS]; /* of it alone, and of those that were below it and are gone */
	kmm_word events[KMM_NR_GROUP_EVENTS], local_events[KMM_NR_GROUP_EVENTS];
	uint32_t clock;              /* its pages that went to slots so far; wraps */
	struct kmm_hand hand;        /* q: over its own pages, wherever they are */
	struct kmm_stalls stalls;    /* t: of threads of it and of those below */
	struct kmm_list stalled;     /* t: link in groups->stalled, while some wait */
	kmm_word protected_min, protected_low; /* q: of this round of reclaim */
	bool is_barren;              /* q: gave nothing in it */
	uint64_t given;              /* q: reclaim/groups.c */
	kmm_word seen, seen_swap;    /* the checker's */
	kmm_bits *chunks;            /* atomic: bit per chunk of frames: a page of it may be there */
};

struct kmm_stock {
	_Alignas(64) uint32_t word;  /* atomic: id << 16 | pages */
};

/* What groups need of the layers above. */
struct kmm_group_ops {
	/* Evicts about nr pages of the group and those below it; how many. No spin locks. */
	kmm_word (*reclaim)(struct kmm *k, struct kmm_group *group, kmm_word nr, kmm_gfp gfp);
	/* That the running thread's space belongs to, which keeps it. NULL: none. */
	struct kmm_group *(*running)(struct kmm *k);
};

struct kmm_groups {
	struct kmm_list top;         /* q */
	unsigned nr;                 /* q: all, also those offline */
	unsigned chunk_shift;
	kmm_word nr_chunks;
	uint64_t given[KMM_MAX_ZONES], floor; /* q: of zones; reclaim/groups.c */
	uint32_t turn;               /* q: id where the next search for a free one begins */
	const struct kmm_group_ops *ops;
	struct kmm_list stalled;     /* t: groups some of whose threads wait for memory */
	struct kmm_stock stock[KMM_MAX_CPUS];
	struct kmm_group *table[KMM_MAX_GROUPS + 1]; /* by number; written under q */
};

/* ---- groups (group.c) ---- */

/* As kmm_group_create(), when there is a place for groups. */
KMM_MUST_CHECK enum kmm_status kmm_group_make(struct kmm *k, struct kmm_group *parent, struct kmm_group **out);
/* The place for groups, once. errors: KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_groups_init(struct kmm *k, const struct kmm_group_ops *ops);
/* A space may charge to it from now on; no more. In between it may belong to it: join, leave. */
void kmm_group_hold(struct kmm_group *group);
void kmm_group_forget(struct kmm_group *group);
void kmm_group_join(struct kmm_group *group);
void kmm_group_leave(struct kmm_group *group);
/* In the order: a group, those below it, the next one. from NULL: the first. root NULL: of all. q held. */
struct kmm_group *kmm_group_next(struct kmm *k, struct kmm_group *root, struct kmm_group *from);
static inline bool kmm_group_is_below(const struct kmm_group *group, const struct kmm_group *root)
{
	while (group && group != root)
		group = group->parent;
	return group == root;
}
void kmm_group_count_event(struct kmm_group *group, enum kmm_group_event event);
static inline void kmm_group_count(struct kmm_group *group, enum kmm_group_past what, kmm_word nr)
{
	__atomic_fetch_add(&group->past[what], nr, __ATOMIC_RELAXED);
}
/* The number of a group, of which something is charged. */
static inline struct kmm_group *kmm_group_by_id(const struct kmm *k, uint32_t id)
{
	return __atomic_load_n(&k->groups->table[id], __ATOMIC_ACQUIRE);
}
/* Pages charged to the group and below, without stocks. */
kmm_word kmm_group_pages(const struct kmm_group *group);
/* Of these, those that are not on their way out. */
static inline kmm_word kmm_group_stays(const struct kmm_group *group)
{
	kmm_word pages = kmm_group_pages(group), writing = kmm_word_look(&group->writing);

	return pages > writing ? pages - writing : 0;
}

/* ---- charges (charge.c) ---- */

enum kmm_charge_how {
	KMM_CHARGE_RECLAIM,  /* may reclaim, and sleep; holds no spin locks */
	KMM_CHARGE_AT_ONCE,  /* or not at all */
	KMM_CHARGE_ANYWAY    /* cannot be refused; see kmm_group_settle() */
};
/* A page of kind ANON or FILE, just allocated and charged to nobody. errors: KMM_EAGAIN at once it cannot be;
 * KMM_ENOMEM and *over, whose MAX it is. */
KMM_MUST_CHECK enum kmm_status kmm_group_charge(struct kmm_group *group, struct kmm_page *page, enum kmm_charge_how how, kmm_gfp gfp,
						struct kmm_group **over);
/* After charges that could not be refused: reclaims what is too much. No spin locks. */
void kmm_group_settle(struct kmm_group *group, kmm_gfp gfp);
/* The page becomes something else than a user's, or is freed. Any context. */
void kmm_group_uncharge(struct kmm *k, struct kmm_page *page);
static inline void kmm_group_uncharge_if(struct kmm *k, struct kmm_page *page)
{
	if (kmm_page_is_charged(page))
		kmm_group_uncharge(k, page);
}
/* from's charge becomes to's, which has the same content. */
void kmm_group_move_charge(struct kmm *k, struct kmm_page *to, struct kmm_page *from);
/* A FILE page is one of shared memory. */
void kmm_group_note_shmem(struct kmm *k, struct kmm_page *page);
/* The stocks of all processors are given back. */
void kmm_stocks_drain(struct kmm *k);
/* The page's group; NULL: none. Its holder asks. */
static inline struct kmm_group *kmm_page_group(const struct kmm *k, const struct kmm_page *page)
{
	return kmm_page_is_charged(page) ? kmm_group_by_id(k, page->b) : NULL;
}

/* Of swap. try: for a page's group; true too for pages of none. */
bool kmm_group_swap_try(struct kmm *k, const struct kmm_page *page);
void kmm_group_swap_put(struct kmm_group *group);
/* A charged page is on its way to a slot from now on; it is no longer. */
void kmm_group_note_writing(struct kmm *k, const struct kmm_page *page, bool begins);
bool kmm_group_swap_is_full(const struct kmm_group *group);

/* ---- time lost for lack of memory (stall.c) ---- */

/* The running thread waits from now on; and no longer, with what begin gave. Waits of one thread do not nest. context: no spin locks. */
struct kmm_group *kmm_stall_begin(struct kmm *k);
void kmm_stall_end(struct kmm *k, struct kmm_group *group);

/* ---- pages of a group (scan.c) ---- */

/* As kmm_hand_next(), of the group's own pages in all zones. *left counts frames, also of chunks that are passed by. q held. */
unsigned kmm_group_hand_next(struct kmm_group *group, kmm_word *left, struct kmm_page **pages, unsigned most);
/* As kmm_pageq_refault(), by the facts of the page's group if it has one. */
void kmm_group_refault(struct kmm *k, struct kmm_page *page, uint32_t distance, uint8_t was);
/* As kmm_pageq_touched(), the same way. */
void kmm_group_touched(struct kmm *k, struct kmm_page *page);
void kmm_group_note_chunk(struct kmm_group *group, kmm_word pfn);

/* The checker: pages by their descriptors, slots by the areas' arrays. Nothing else runs. */
void kmm_group_check_begin(struct kmm *k);
void kmm_group_check_slot(struct kmm *k, uint32_t id);
unsigned kmm_group_check_end(struct kmm *k, struct kmm_sink *out);

#endif
