/* SPDX-License-Identifier: MIT */
/*
 * When compaction runs.
 *
 * At once: a request of order above 0 that may block, and may do I/O (as in Linux), found no block although there is
 * memory. It empties one window, or tries a few. Zones where that failed are left alone for 2^n such requests, n growing to 6, by
 * Linux's rules. The requester may hold locks of spaces and files, so locks are tried and never waited for.
 *
 * In steps: the embedder's thread calls kmm_compact_step() and waits for what it needs. A zone is done when no tract is
 * left whose content fits into fuller ones.
 */
#include "reclaim/compact.h"

#include "kmm/slab.h"

enum { MOST_SHIFT = 6, STEP_ORDER = 9 };

/* ---- deferral ---- */

static bool is_deferred(struct kmm_compact_zone *c, unsigned order)
{
	unsigned limit = 1u << c->defer_shift;

	if (order < c->order_failed)
		return false;
	if (++c->considered >= limit) {
		c->considered = limit;
		return false;
	}
	return true;
}

static void defer(struct kmm_compact_zone *c, unsigned order)
{
	c->considered = 0;
	c->defer_shift += c->defer_shift < MOST_SHIFT;
	c->order_failed = order < c->order_failed ? order : c->order_failed;
}

static void defer_no_more(struct kmm_compact_zone *c, unsigned order)
{
	c->considered = c->defer_shift = 0;
	c->order_failed = order >= c->order_failed ? order + 1 : c->order_failed;
}

/* ---- one window ---- */

/* While its tracts are isolated and its pages copied twice there, the zone has that much less. */
static bool can_spare(const struct kmm_zone *z, const struct kmm_window *w)
{
	kmm_word tracts = w->nr < KMM_TRACT_PAGES ? KMM_TRACT_PAGES : w->nr;

	return kmm_zone_free_hint(z) > z->min + tracts;
}

enum outcome { EMPTIED, FAILED, NOTHING_TO_DO };

static enum outcome try_window(struct kmm *k, struct kmm_zone *z, unsigned order, bool may_wait, bool no_files)
{
	struct kmm_compact_zone *c = kmm_compact_of(k, z);
	struct kmm_window w;

	if (c->nr_failed == KMM_COMPACT_FAILED || !kmm_compact_pick(k, z, order, &w) || !can_spare(z, &w))
		return NOTHING_TO_DO;
	if (kmm_compact_window(k, &w, may_wait, no_files))
		return EMPTIED;
	c->failed[c->nr_failed++] = (w.first & ~(kmm_word)(KMM_TRACT_PAGES - 1)) + 1;
	return FAILED;
}

/* ---- at once ---- */

static bool compact_zone(struct kmm *k, struct kmm_zone *z, kmm_gfp gfp, unsigned order)
{
	enum outcome outcome = FAILED;

	kmm_compact_of(k, z)->nr_failed = 0;
	while (outcome == FAILED)
		outcome = try_window(k, z, order, false, !(gfp & KMM_GFP_FS));
	return outcome == EMPTIED;
}

/* The hook of the allocator: true, there may be a block now. */
static bool compact_now(struct kmm *k, kmm_gfp gfp, unsigned order, enum kmm_zone_id start)
{
	struct kmm_compact *c = k->compact;
	bool done = false;

	if (!(gfp & KMM_GFP_IO) || !k->vm || !kmm_mutex_trylock(&c->lock))
		return false;
	c->is_step = false;
	for (unsigned i = k->phys->nr_zones; i-- > 0 && !done;) {
		struct kmm_zone *z = k->phys->zones[i];

		if (z->id > start || !z->managed || is_deferred(&c->zone[i], order))
			continue;
		c->stats.stall++;
		done = compact_zone(k, z, gfp, order);
		if (done)
			defer_no_more(&c->zone[i], order);
		else
			defer(&c->zone[i], order);
		c->stats.success += done;
		c->stats.fail += !done;
	}
	kmm_mutex_unlock(k, &c->lock);
	return done;
}

/* ---- in steps ---- */

/* Frames looked at or moved since. */
static uint64_t work_done(const struct kmm_compact *c)
{
	return c->stats.daemon_migrate_scanned;
}

static bool step_zone(struct kmm *k, struct kmm_zone *z, uint64_t until)
{
	enum outcome outcome = EMPTIED;

	while (outcome != NOTHING_TO_DO) {
		outcome = try_window(k, z, STEP_ORDER, true, false);
		if (work_done(k->compact) >= until && outcome != NOTHING_TO_DO)
			return true;
	}
	kmm_compact_of(k, z)->nr_failed = 0;
	return false;
}

bool kmm_compact_step(struct kmm *k, kmm_word budget)
{
	struct kmm_compact *c = k->compact;
	uint64_t until;
	bool more = false;

	if (!c || !k->vm)
		return false;
	kmm_mutex_lock(k, &c->lock);
	c->is_step = true;
	c->stats.daemon_wake++;
	until = work_done(c) + budget;
	for (unsigned i = k->phys->nr_zones; i-- > 0 && !more;)
		if (k->phys->zones[i]->managed)
			more = step_zone(k, k->phys->zones[i], until);
	kmm_mutex_unlock(k, &c->lock);
	return more;
}

void kmm_compact_stats(struct kmm *k, struct kmm_compact_stats *out)
{
	*out = (struct kmm_compact_stats){ 0 };
	if (!k->compact)
		return;
	kmm_mutex_lock(k, &k->compact->lock);
	*out = k->compact->stats;
	kmm_mutex_unlock(k, &k->compact->lock);
}

enum kmm_status kmm_compact_init(struct kmm *k)
{
	struct kmm_compact *c = kmm_kzalloc(k, sizeof(*c), KMM_GFP_KERNEL);

	if (!c)
		return KMM_ENOMEM;
	k->compact = c;
	kmm_compaction_register(k, compact_now);
	return KMM_OK;
}

void kmm_compact_fini(struct kmm *k)
{
	kmm_compaction_register(k, NULL);
	kmm_kfree(k, k->compact);
	k->compact = NULL;
}
