/* SPDX-License-Identifier: MIT */
/*
 * Which window is worth emptying, and into what.
 *
 * One look along the tracts of the zone, a part at a time under its lock, keeps the emptiest ones as candidates and the
 * fullest movable ones with room as targets. A candidate counts when every frame of it is free or could move, and the
 * tracts that are fuller than it have room for what it holds. Wholly free tracts are no targets: to fill one in order to
 * empty another gains nothing. On large machines a look goes along part of the tracts only, and the next one on from there.
 */
#include "reclaim/compact.h"
#include "vm/migrate.h"

#define LOCKED_TRACTS 512u   /* looked at in one go */
#define MOST_TRACTS 65536u   /* in one look: 128 GiB */
#define CANDIDATES 8u

struct candidate {
	uint32_t tract;
	unsigned free;
};

struct survey {
	struct kmm *k;
	struct kmm_zone *z;
	uint32_t tracts_in_window;             /* 1, or 2 for order 10 */
	struct candidate source[CANDIDATES];   /* most free first */
	unsigned nr_sources;
	struct candidate target[KMM_COMPACT_TARGETS]; /* least free first */
	unsigned nr_targets;
	kmm_word room;                         /* free frames in all movable, partly free tracts */
};

static bool has_failed(const struct survey *s, uint32_t tract)
{
	const struct kmm_compact_zone *c = kmm_compact_of(s->k, s->z);

	for (unsigned i = 0; i < c->nr_failed; i++)
		if (c->failed[i] - 1 == kmm_tract_pfn(s->z, tract))
			return true;
	return false;
}

/* Keeps the list sorted; drops the worst when it is full. */
static void insert(struct candidate *list, unsigned *nr, unsigned most, struct candidate c, bool more_is_better)
{
	unsigned at = *nr;

	while (at > 0 && (more_is_better ? list[at - 1].free < c.free : list[at - 1].free > c.free))
		at--;
	if (at == most)
		return;
	if (*nr < most)
		++*nr;
	for (unsigned i = *nr - 1; i > at; i--)
		list[i] = list[i - 1];
	list[at] = c;
}

static bool takes_part(const struct survey *s, uint32_t i)
{
	const struct kmm_tract *a = &s->z->tract[i];

	return a->sort != KMM_SORT_ISOLATE && a->sort != KMM_SORT_CMA &&
	       kmm_section_is_live(s->k->phys, kmm_section_of(kmm_tract_pfn(s->z, i)));
}

/* The free frames of a window that begins with tract i; 0: it is none, or all of it is free. */
static unsigned free_in_window(const struct survey *s, uint32_t i)
{
	uint32_t nr = s->tracts_in_window;
	unsigned free = 0;

	if ((s->z->tract_first + i) % nr || i + nr > s->z->nr_tracts)
		return 0;
	for (uint32_t j = i; j < i + nr; j++) {
		if (!takes_part(s, j))
			return 0;
		free += s->z->tract[j].free;
	}
	return free < nr * KMM_TRACT_PAGES ? free : 0;
}

static void look_at(struct survey *s, uint32_t i)
{
	const struct kmm_tract *a = &s->z->tract[i];
	unsigned free = free_in_window(s, i);

	if (free && !has_failed(s, i))
		insert(s->source, &s->nr_sources, CANDIDATES, (struct candidate){ i, free }, true);
	if (takes_part(s, i) && a->sort == KMM_SORT_MOVABLE && a->free && a->free < KMM_TRACT_PAGES) {
		s->room += a->free;
		insert(s->target, &s->nr_targets, KMM_COMPACT_TARGETS, (struct candidate){ i, a->free }, false);
	}
}

static void survey(struct survey *s)
{
	struct kmm_zone *z = s->z;
	struct kmm_compact *c = s->k->compact;
	uint32_t nr = z->nr_tracts < MOST_TRACTS ? z->nr_tracts : MOST_TRACTS, i = kmm_compact_of(s->k, z)->cursor;

	for (uint32_t done = 0; done < nr;) {
		unsigned long irq = kmm_spin_lock(s->k, &z->lock, KMM_LOCK_ZONE);

		for (unsigned j = 0; j < LOCKED_TRACTS && done < nr; j++, done++, i++) {
			i = i < z->nr_tracts ? i : 0;
			look_at(s, i);
		}
		kmm_spin_unlock(s->k, &z->lock, KMM_LOCK_ZONE, irq);
	}
	kmm_compact_of(s->k, z)->cursor = nr < z->nr_tracts && i < z->nr_tracts ? i : 0;
	*(c->is_step ? &c->stats.daemon_free_scanned : &c->stats.free_scanned) += (uint64_t)nr * KMM_TRACT_PAGES;
}

/* ---- is it worth it? ---- */

bool kmm_compact_can_empty(struct kmm *k, const struct kmm_zone *z, kmm_word pfn, bool *used)
{
	const struct kmm_page *page = kmm_page_at(k->phys, pfn);

	*used = false;
	if (pfn < z->first || pfn >= z->end || kmm_zone_of(k->phys, page) != z)
		return false;
	if (kmm_tract_bit(z, pfn))
		return true;
	*used = kmm_frame_may_move(k, page);
	/* In a CPU's cache: isolating the tract brings it back. */
	return *used || (kmm_page_kind(page) == KMM_KIND_NONE && kmm_pcp_find(z, pfn) >= 0);
}

/* Frames to move out of [first, first + nr); -1: something there cannot. */
static int count_used(struct kmm *k, const struct kmm_zone *z, kmm_word first, unsigned nr)
{
	int used = 0;

	for (unsigned i = 0; i < nr; i++) {
		bool is_used;

		if (!kmm_compact_can_empty(k, z, first + i, &is_used))
			return -1;
		used += is_used;
	}
	return used;
}

/* The cheapest aligned run of nr frames in a source. */
static bool best_run(const struct survey *s, const struct candidate *source, unsigned nr, struct kmm_window *out)
{
	kmm_word first = kmm_tract_pfn(s->z, source->tract), end = first + (kmm_word)s->tracts_in_window * KMM_TRACT_PAGES;
	bool found = false;

	for (kmm_word pfn = first; pfn < end; pfn += nr) {
		int used = count_used(s->k, s->z, pfn, nr);

		if (used < 0 || (found && (unsigned)used >= out->used))
			continue;
		out->first = pfn;
		out->used = (unsigned)used;
		found = true;
	}
	return found;
}

/* The source's own room does not count: its content shall leave. */
static bool has_room(const struct survey *s, const struct candidate *source, const struct kmm_window *w)
{
	kmm_word own = 0;

	for (uint32_t i = source->tract; i < source->tract + s->tracts_in_window; i++)
		if (s->z->tract[i].sort == KMM_SORT_MOVABLE && s->z->tract[i].free < KMM_TRACT_PAGES)
			own += s->z->tract[i].free;
	return s->room >= own + w->used;
}

static void set_targets(const struct survey *s, const struct candidate *source, struct kmm_window *w)
{
	w->nr_targets = 0;
	for (unsigned i = 0; i < s->nr_targets; i++)
		if (s->target[i].tract - source->tract >= s->tracts_in_window)
			w->target[w->nr_targets++] = kmm_tract_pfn(s->z, s->target[i].tract);
}

bool kmm_compact_pick(struct kmm *k, struct kmm_zone *z, unsigned order, struct kmm_window *out)
{
	struct survey s = { .k = k, .z = z, .tracts_in_window = order > KMM_TRACT_ORDER ? 1u << (order - KMM_TRACT_ORDER) : 1 };

	survey(&s);
	for (unsigned i = 0; i < s.nr_sources; i++) {
		const struct candidate *source = &s.source[i];

		*out = (struct kmm_window){ .z = z, .nr = 1u << order };
		out->mobility = kmm_tract_mobility(&z->tract[source->tract]);
		set_targets(&s, source, out);
		if (out->nr_targets && best_run(&s, source, out->nr, out) && has_room(&s, source, out))
			return true;
	}
	return false;
}
