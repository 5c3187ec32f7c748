/* SPDX-License-Identifier: MIT */
/*
 * Emptying a window: its tracts are isolated, so what is freed there stays, and each page moves into a frame taken by
 * number out of one of the target tracts, the fullest first. When those are full the rest stays for another time.
 *
 * The tracts come back whatever happens; an emptied one for movable memory again, since that is what can leave it once
 * more, any other as what it was.
 */
#include "reclaim/compact.h"

#include "phys/isolate.h"
#include "vm/migrate.h"

enum { ROUNDS = 2 };

struct emptying {
	struct kmm *k;
	const struct kmm_window *w;
	unsigned next_target;
	struct kmm_page *stash[KMM_MOVE_BATCH]; /* targets taken, of kind ANON */
	unsigned nr_stash;
	uint64_t scanned, isolated;
};

static struct kmm_page *take_target(void *arg, enum kmm_kind kind)
{
	struct emptying *e = arg;
	struct kmm_page *page;

	while (e->nr_stash == 0 && e->next_target < e->w->nr_targets) {
		kmm_word pfn = e->w->target[e->next_target];

		e->nr_stash = kmm_phys_take_from_tract(e->k, kmm_pfn(pfn), KMM_MOVE_BATCH, KMM_KIND_ANON, e->stash);
		e->next_target += e->nr_stash < KMM_MOVE_BATCH;
		e->isolated += e->nr_stash;
	}
	if (e->nr_stash == 0)
		return NULL;
	page = e->stash[--e->nr_stash];
	if (kind != KMM_KIND_ANON)
		kmm_page_set_kind(e->k, page, kind);
	return page;
}

static void give_stash_back(struct emptying *e)
{
	while (e->nr_stash)
		kmm_phys_free(e->k, e->stash[--e->nr_stash], 0);
}

/* The next frames of the window that have to move. false: one that cannot is among them. */
static bool gather(struct emptying *e, kmm_word *at, kmm_word *pfns, unsigned *nr)
{
	unsigned long irq = kmm_spin_lock(e->k, &e->w->z->lock, KMM_LOCK_ZONE);
	kmm_word end = e->w->first + e->w->nr;
	bool good = true;

	for (*nr = 0; *at < end && *nr < KMM_MOVE_BATCH && good; *at += good) {
		bool used;

		e->scanned++;
		good = kmm_compact_can_empty(e->k, e->w->z, *at, &used);
		if (good && used)
			pfns[(*nr)++] = *at;
	}
	kmm_spin_unlock(e->k, &e->w->z->lock, KMM_LOCK_ZONE, irq);
	e->isolated += *nr;
	return good;
}

static bool move_out(struct emptying *e, struct kmm_mover *mover)
{
	kmm_word pfns[KMM_MOVE_BATCH], at = e->w->first;
	unsigned nr;

	while (at < e->w->first + e->w->nr) {
		if (!gather(e, &at, pfns, &nr))
			return false;
		if (nr && kmm_move_frames(mover, pfns, nr) != KMM_OK)
			return false;
	}
	return true;
}

static bool is_free(struct kmm *k, const struct kmm_window *w)
{
	unsigned long irq = kmm_spin_lock(k, &w->z->lock, KMM_LOCK_ZONE);
	unsigned i = 0;

	while (i < w->nr && kmm_tract_bit(w->z, w->first + i))
		i++;
	kmm_spin_unlock(k, &w->z->lock, KMM_LOCK_ZONE, irq);
	return i == w->nr;
}

bool kmm_compact_window(struct kmm *k, const struct kmm_window *w, bool may_wait, bool no_files)
{
	struct kmm_compact_stats *stats = &k->compact->stats;
	struct emptying e = { .k = k, .w = w };
	struct kmm_mover mover = { .k = k, .may_wait = may_wait, .no_files = no_files, .target = take_target, .arg = &e };
	bool empty = false;

	if (kmm_phys_isolate_range(k, kmm_pfn(w->first), w->nr) != KMM_OK)
		return false;
	for (unsigned round = 0; round < ROUNDS && !empty; round++) {
		if (!move_out(&e, &mover))
			break;
		empty = is_free(k, w);
	}
	give_stash_back(&e);
	kmm_phys_unisolate_range(k, kmm_pfn(w->first), w->nr, empty && w->nr >= KMM_TRACT_PAGES ? KMM_MOBILITY_MOVABLE : w->mobility);
	*(k->compact->is_step ? &stats->daemon_migrate_scanned : &stats->migrate_scanned) += e.scanned;
	stats->isolated += e.isolated;
	return empty;
}
