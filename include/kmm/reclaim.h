/* SPDX-License-Identifier: MIT */
/*
 * Reclaim: getting page frames back from user spaces and caches (tier c).
 *
 * A hand goes over the frames of each zone. Of each user page that it meets it takes the accessed marks of all entries that
 * map it, and asks the policy what is to become of the page. A policy sees nothing but the page's age, a byte of
 * its own in the descriptor, and whether the page was referenced since the last look.
 */
#ifndef KMM_RECLAIM_H
#define KMM_RECLAIM_H

#include "kmm/mm.h"
#include "kmm/swap.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KMM_RECLAIM_OWN 112u
#define KMM_RECLAIM_AGE_KEPT 0x7eu /* the byte of a page that mlock() or its file keeps in memory: no policy sees it or gives it to a page */

/* What a policy keeps for a zone, and the facts that it may use. */
struct kmm_reclaim_zone {
	kmm_word pages;      /* that could go, met in the last full turn of the hand, or so far in the first */
	kmm_word all_pages;  /* the same, of all zones */
	uint32_t clock;      /* private pages that the machine evicted until now; wraps */
	uint32_t turns;      /* full turns of the hand */
	kmm_word own[KMM_RECLAIM_OWN]; /* the policy's; zero at first */
};

struct kmm_reclaim_policy {
	const char *name;
	/* The hand met a page. *age: its byte, 0 for a page that the hand never met and that did not come from swap. true:
	 * evict it. */
	bool (*met)(struct kmm_reclaim_zone *zone, uint8_t *age, bool referenced);
	/* Need pages of that age not be looked at this time, as looking costs more than all else? Asked once for each age among the
	 * pages on the way to the next few that are looked at. NULL: no. */
	bool (*skip)(struct kmm_reclaim_zone *zone, uint8_t age);
	/* So many of those were passed by, before `turned` if a turn ended; some may be pages that cannot go. NULL: nothing. */
	void (*passed)(struct kmm_reclaim_zone *zone, uint8_t age, kmm_word nr);
	/* The byte of a page that comes back after `distance` more on the clock; was: the byte that it left with. NULL: 0. */
	uint8_t (*refault)(struct kmm_reclaim_zone *zone, uint32_t distance, uint8_t was);
	/* A cached page of a file was read or written by a call, which leaves no mark in an entry: its byte from now on. No lock is held.
	 * NULL: as it was. */
	uint8_t (*touched)(const struct kmm_reclaim_zone *zone, uint8_t age);
	/* One more turn is complete. NULL: nothing. */
	void (*turned)(struct kmm_reclaim_zone *zone);
};

/* Those that the core has; a machine starts with the first. They are data: an embedder may have its own. */
extern const struct kmm_reclaim_policy kmm_policy_idle;  /* reuse distance against idle time */
extern const struct kmm_reclaim_policy kmm_policy_clock; /* one hand, second chance */
extern const struct kmm_reclaim_policy kmm_policy_gen;   /* generations, and tiers of pages that came back */

extern const struct kmm_reclaim_policy *const kmm_reclaim_policies[]; /* all of them; NULL at the end */

/* From now on; ages of pages begin anew in meaning. context: no locks. */
void kmm_reclaim_set_policy(struct kmm *k, const struct kmm_reclaim_policy *policy);
const struct kmm_reclaim_policy *kmm_reclaim_policy_of(const struct kmm *k);

/* A step of background reclaim, for a thread of the embedder's that port->memory_low wakes: brings zones nearer to their high
 * marks, counting pages that a device is writing as free, and waits for one transfer if some are under way. Evicts about `budget` pages at most. true: more is to be done. context: no locks, may sleep. */
KMM_MUST_CHECK bool kmm_reclaim_step(struct kmm *k, kmm_word budget);
/* After a request found no memory: is there room in swap, and are there pages that could go there? Then none went only because all were
 * in use or held for the moment, and who waits a little and tries again may have better luck; it is too early to end somebody. context: any. */
bool kmm_reclaim_may_go_on(struct kmm *k);

/* Evicts up to nr pages of user spaces and file caches although there is memory; returns how many. context: no locks. */
kmm_word kmm_reclaim_pages(struct kmm *k, kmm_word nr);

/* ---- when nothing can be reclaimed ---- */

struct kmm_oom_candidate {
	struct kmm_mm *mm;   /* with a reference, which the caller puts */
	kmm_word pages;      /* that come back if the space ends: the sum of those below */
	kmm_word resident, swapped, tables;
};
/* The spaces that hold most, the largest first; returns how many. For who gets KMM_FAULT_OOM: whom to end is his decision.
 * context: no locks. */
unsigned kmm_oom_rank(struct kmm *k, struct kmm_oom_candidate *out, unsigned most);
/* Is it too early to end somebody? A request of the machine's found no memory at `now` (ns), but kmm_reclaim_may_go_on(): the caller
 * waits a little, 10 ms perhaps, and tries again. After a second of that, in which it asked at least once a second, it is not any more.
 * patience: the thread's own, zero when it starts. context: any. */
struct kmm_oom_patience { uint64_t first_ns, last_ns; };
KMM_MUST_CHECK bool kmm_oom_is_early(struct kmm *k, struct kmm_oom_patience *patience, uint64_t now);
/* The embedder ended a space because memory had ended, the machine's or a group's: for /proc/vmstat. context: any. */
void kmm_oom_note_kill(struct kmm *k);
/* Why there is no memory, which zones were tried, and the ranking, in lines. */
void kmm_report_oom(struct kmm *k, const struct kmm_oom_candidate *ranked, unsigned nr, struct kmm_sink *out);

/* ---- time lost for lack of memory ---- */

struct kmm_pressure_line {
	uint64_t total_us;
	unsigned avg[3];     /* hundredths of a percent, over the last 10, 60 and 300 s */
};
/* some: somebody waited for memory; full: and nobody else had anything to do. */
struct kmm_pressure { struct kmm_pressure_line some, full; };
void kmm_pressure(struct kmm *k, struct kmm_pressure *out);
/* Text of /proc/pressure/memory. */
void kmm_report_pressure(struct kmm *k, struct kmm_sink *out);
/* For the embedder's clock, so that waits are seen while they last: now and then, on any CPU. context: no spin locks. */
void kmm_pressure_tick(struct kmm *k);

struct kmm_reclaim_stats {                   /* all of these wrap */
	kmm_word scanned_direct, scanned_step;   /* user pages met */
	kmm_word stolen_direct, stolen_step;     /* pages evicted */
	kmm_word scanned_anon, scanned_file;     /* the same: whose place would be in swap, and others */
	kmm_word stolen_anon, stolen_file;       /* gone to swap, and elsewhere */
	kmm_word refaults;                       /* pages that came back */
	kmm_word oom_kills;                      /* kmm_oom_note_kill() */
};
void kmm_reclaim_stats(const struct kmm *k, struct kmm_reclaim_stats *out);

#ifdef __cplusplus
}
#endif
#endif
