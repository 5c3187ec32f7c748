/* SPDX-License-Identifier: MIT */
/*
 * The age of user pages, and the hand that goes over them: mechanism only. What an age means is the policy's.
 *
 * There are no lists. A page's age is a byte of its descriptor's flags, which is 0 when a frame is handed out; a zone's
 * user pages are found where they are, by a hand over its descriptors in the order of their numbers. So a fault pays
 * nothing for a page to be known here, and a free nothing for it to be forgotten (decision 010). Pages that are charged to a
 * memory group are passed by here: each group has a hand of its own (group/scan.c).
 *
 * Lock: q, k->pageq->lock (mutex), for hands and facts: one reclaim at a time. Ages change by
 * compare and exchange, so that an age is never written to a frame that has become something else.
 */
#ifndef KMM_PAGEQ_PAGEQ_H
#define KMM_PAGEQ_PAGEQ_H

#include "kmm/reclaim.h"
#include "pageq/stall.h"
#include "phys/phys.h"

enum { KMM_PG_AGE_SHIFT = 24 };

struct kmm_hand {
	struct kmm_reclaim_zone facts; /* q */
	kmm_word at;                   /* q: next frame, from the zone's start */
	kmm_word met;                  /* q: pages in this turn that could go */
	kmm_word evicted;              /* q: so far; wraps */
	kmm_word unlocks;              /* q: pageq->unlocks when this turn began */
	bool looks_at_kept;            /* q: in this turn also at pages that were kept when last looked at */
};

/*
 * Pages that are kept in memory (mlock(), SHM_LOCK) may be nearly all, and to find that out again in each turn costs more than all
 * else. So the hand gives them an age of its own, KMM_RECLAIM_AGE_KEPT, and passes by until something may have changed: areas that
 * were locked are no longer, or go away (kmm_pageq_unlocked(); then the next turn looks at them), each KMM_KEPT_EVERYth turn, as a
 * page can lose its lock in other ways (a copy on write within a locked area), and when nothing else is found (insists).
 */
enum { KMM_KEPT_EVERY = 16 };

/* So many more of those. q held. */
static inline void kmm_hand_count(struct kmm_hand *hand, kmm_word nr)
{
	hand->met += nr;
	if (hand->facts.turns == 0) {
		hand->facts.pages = hand->met;
		hand->facts.all_pages = hand->met; /* nothing better is known */
	}
}

enum { KMM_HAND_BATCH = 32 };

/* What the policy said of the ages on the way to the next pages, and how many pages of those that it does not want to see were passed
 * by: the policy is asked for ages, not for pages, because most pages are passed by. */
struct kmm_passing {
	uint8_t answer[256];           /* by age; that of pages that are kept is not the policy's */
	uint8_t age[256];              /* those that are passed by */
	unsigned nr_ages;
	uint32_t nr[256];              /* pages, by age */
};

struct kmm_pageq {
	struct kmm_mutex lock;         /* q */
	struct kmm_page *seen[KMM_HAND_BATCH]; /* q: under the hand; room that a stack has not */
	kmm_word pfns[KMM_HAND_BATCH]; /* q: to evict */
	struct kmm_passing passing;    /* q */
	const struct kmm_reclaim_policy *policy; /* written under q */
	bool insists;                  /* q: the policy had its turns and gave nothing: any page that is not used may go */
	struct kmm_hand hand[KMM_MAX_ZONES]; /* as kmm_phys.zones */
	bool spent;                    /* q: a whole search gave next to nothing, and there is nowhere else to go */
	kmm_word unlocks;              /* atomic: times that areas ceased to be locked; wraps */
	unsigned calls;                /* direct reclaims; near enough */
	struct kmm_reclaim_stats stats; /* atomic */
	struct kmm_stalls stalls;    /* t */
	struct kmm_spin stall_lock;  /* t: KMM_LOCK_ZONE, for all stalls: the machine's, and those of groups */
};

static inline uint8_t kmm_page_age(const struct kmm_page *page)
{
	return (uint8_t)(kmm_page_flags(page) >> KMM_PG_AGE_SHIFT);
}

/* A page in use gets an age, unless it was freed or marked meanwhile. */
void kmm_page_set_age(struct kmm_page *page, uint8_t age);

static inline struct kmm_hand *kmm_hand_of(struct kmm *k, const struct kmm_zone *z)
{
	return &k->pageq->hand[z->node * KMM_NR_ZONES + z->id];
}

/* The next user pages of the zone, at most `most`, while *left frames are to be looked at. q held. */
unsigned kmm_hand_next(struct kmm *k, struct kmm_zone *z, kmm_word *left, struct kmm_page **pages, unsigned most);

/* Is the page to be passed by in this turn, as it is kept? q held. */
static inline bool kmm_hand_leaves(const struct kmm_pageq *q, const struct kmm_hand *hand, uint8_t age)
{
	return age == KMM_RECLAIM_AGE_KEPT && !hand->looks_at_kept && !q->insists;
}

/* Areas that were locked are not any more: after that can be seen. context: any. */
static inline void kmm_pageq_unlocked(struct kmm_pageq *q)
{
	if (q)
		__atomic_fetch_add(&q->unlocks, 1, __ATOMIC_RELEASE);
}

/* The hand is where it began. q held. */
void kmm_hand_turn(struct kmm *k, struct kmm_hand *hand);

/* A page of its own, which that hand will meet, is about to come back from swap, where it was for `distance` evictions, and went
 * at age `was`. */
void kmm_pageq_refault(struct kmm *k, struct kmm_page *page, struct kmm_hand *hand, uint32_t distance, uint8_t was);

/* A call on its file used the page, which that hand will meet. */
void kmm_pageq_touched(struct kmm *k, struct kmm_page *page, const struct kmm_hand *hand);

static inline void kmm_pageq_count(kmm_word *counter, kmm_word nr)
{
	__atomic_fetch_add(counter, nr, __ATOMIC_RELAXED);
}

/* errors: KMM_ENOMEM. context: start of tier c. */
KMM_MUST_CHECK enum kmm_status kmm_pageq_init(struct kmm *k, const struct kmm_reclaim_policy *policy);
void kmm_pageq_fini(struct kmm *k);

#endif
