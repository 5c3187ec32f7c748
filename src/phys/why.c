/* SPDX-License-Identifier: MIT */
/*
 * The last allocation that failed, kept with the numbers that decided it, and told in words.
 *
 * A failure for lack of memory is also logged unless the request said NOWARN: the first ten, then every
 * power of two, so that a program that lives on the edge does not fill the log.
 */
#include "phys/phys.h"

#define LOG_ALWAYS 10u
#define DESCRIBE_BYTES 128

static bool worth_a_line(uint64_t nr)
{
	return nr <= LOG_ALWAYS || (nr & (nr - 1)) == 0;
}

static int largest_free(const struct kmm *k, const struct kmm_zone *z, kmm_gfp gfp)
{
	kmm_word nr_free[KMM_NR_ORDERS] = { 0 };
	unsigned tops = kmm_tract_tops(z, kmm_gfp_mobility(gfp));
	int made = tops ? (int)kmm_log2_u32(tops) : -1, order = KMM_MAX_ORDER;

	if (z->lazy)
		kmm_zone_count_lazy(k, z, nr_free);
	while (order >= 0 && nr_free[order] == 0 && made < order)
		order--;
	return order;
}

static void note_zone(struct kmm *k, struct kmm_zone *z, const struct kmm_attempt *t, struct kmm_fail_zone *out)
{
	uint8_t class = k->phys->class_of[t->gfp & 15];
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	out->exists = z->exists && z->managed;
	out->tried = out->exists && class != KMM_BAD_ZONE && z->id <= class && (t->nodes >> z->node & 1);
	out->free = z->free;
	out->mark = kmm_watermark_mark(z, t->gfp, true);
	out->protection = class != KMM_BAD_ZONE ? z->protection[class] : 0;
	out->largest = (int8_t)largest_free(k, z, t->gfp);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}

void kmm_fail_note(struct kmm *k, enum kmm_fail_reason reason, const struct kmm_attempt *t)
{
	struct kmm_phys *p = k->phys;
	struct kmm_failure f = { .reason = reason, .site = t->site, .gfp = t->gfp, .order = t->order };
	unsigned long irq;

	f.nr_zones = p->nr_zones;
	for (unsigned i = 0; i < p->nr_zones; i++)
		note_zone(k, p->zones[i], t, &f.zone[i]);
	irq = kmm_spin_lock(k, &p->fail_lock, KMM_LOCK_ZONE);
	f.nr = p->failure.nr + 1;
	p->failure = f;
	kmm_spin_unlock(k, &p->fail_lock, KMM_LOCK_ZONE, irq);
	kmm_trace(k, KMM_EV_ALLOC_FAIL, 0, t->order, t->gfp, 0);
	if (reason == KMM_FAIL_MEMORY && !(t->gfp & KMM_GFP_NOWARN) && worth_a_line(f.nr)) {
		char names[DESCRIBE_BYTES];

		kmm_gfp_describe(t->gfp, names, sizeof(names));
		kmm_warn(k, "%s: allocation of order %u with %s failed (failure %llu)", t->site, t->order, names,
			 (unsigned long long)f.nr);
	}
}

/* ---- in words ---- */

static void name_zone(const struct kmm_failure *f, unsigned i, struct kmm_sink *out)
{
	if (f->nr_zones > KMM_NR_ZONES)
		kmm_printf(out, " node %u", i / KMM_NR_ZONES);
	kmm_printf(out, " %s", kmm_zone_name((enum kmm_zone_id)(i % KMM_NR_ZONES)));
}

static void tell_zones(const struct kmm_failure *f, struct kmm_sink *out)
{
	for (unsigned i = f->nr_zones; i-- > 0;) {
		const struct kmm_fail_zone *z = &f->zone[i];

		if (!z->tried)
			continue;
		name_zone(f, i, out);
		kmm_printf(out, ": %llu pages free, %llu must stay (watermark %llu, protection %llu), ",
			   (unsigned long long)z->free, (unsigned long long)(z->mark + z->protection), (unsigned long long)z->mark,
			   (unsigned long long)z->protection);
		if (z->largest < 0)
			kmm_printf(out, "no free block.");
		else
			kmm_printf(out, "largest free block order %d.", z->largest);
	}
}

/* A tried zone that has the pages but not in one piece. */
static bool only_fragmented(const struct kmm_failure *f)
{
	kmm_word unusable = ((kmm_word)1 << f->order) - 1;

	for (unsigned i = 0; i < f->nr_zones; i++) {
		const struct kmm_fail_zone *z = &f->zone[i];

		if (z->tried && z->free > z->mark + z->protection + unusable && z->largest < (int)f->order)
			return true;
	}
	return false;
}

/* The nearest zone above the ones tried that could have served. NULL: none. */
static const struct kmm_fail_zone *untried_room(const struct kmm_failure *f, unsigned *zone)
{
	for (unsigned i = 0; i < f->nr_zones; i++) {
		const struct kmm_fail_zone *z = &f->zone[i];

		if (z->exists && !z->tried && z->free > z->mark && z->largest >= (int)f->order) {
			*zone = i;
			return z;
		}
	}
	return NULL;
}

/* A tried zone that refused only for the sake of requests that have no other zone. */
static bool only_protected(const struct kmm_failure *f)
{
	for (unsigned i = 0; i < f->nr_zones; i++) {
		const struct kmm_fail_zone *z = &f->zone[i];

		if (z->tried && z->protection && z->free > z->mark && z->largest >= (int)f->order)
			return true;
	}
	return false;
}

/* Zones below one that was tried are allowed by the modifiers: what excluded this one is its node. */
static void tell_room(const struct kmm_failure *f, unsigned i, struct kmm_sink *out)
{
	bool other_node = false;

	for (unsigned j = 0; j < f->nr_zones; j++)
		other_node |= f->zone[j].tried && j % KMM_NR_ZONES >= i % KMM_NR_ZONES;
	kmm_printf(out, other_node ? " memory of other nodes:" : " a modifier that allows");
	name_zone(f, i, out);
	kmm_printf(out, ", where %llu pages are free.", (unsigned long long)f->zone[i].free);
}

static void tell_help(const struct kmm_failure *f, struct kmm_sink *out)
{
	const struct kmm_fail_zone *room;
	unsigned zone = 0;

	kmm_printf(out, " What would have helped:");
	room = untried_room(f, &zone);
	if (only_fragmented(f))
		kmm_printf(out, " there is enough free memory, but in smaller pieces: a lower order, or pages that "
				"need not be contiguous (vmalloc).");
	else if (only_protected(f))
		kmm_printf(out, " what is free is kept for requests that no other zone can serve; memory freed in a "
				"higher zone would serve this one.");
	else if (room)
		tell_room(f, zone, out);
	else if (!(f->gfp & KMM_GFP_RECLAIM))
		kmm_printf(out, " a request that may block, so that memory can be reclaimed for it.");
	else
		kmm_printf(out, " memory freed, or more of it.");
}

static const char *reason_text(const struct kmm *k, const struct kmm_failure *f)
{
	switch (f->reason) {
	case KMM_FAIL_REQUEST:
		return kmm_gfp_fault(k, f->gfp, f->order);
	case KMM_FAIL_INJECTED:
		return "fault injection failed this attempt.";
	case KMM_FAIL_MEMORY:
		return "no zone could serve it.";
	default:
		return "no allocation has failed.";
	}
}

void kmm_why_failed(const struct kmm *k, struct kmm_sink *out)
{
	struct kmm *unlocked = (struct kmm *)k; /* to take the lock, which leaves all as it is */
	struct kmm_failure last, *f = &last;
	unsigned long irq = kmm_spin_lock(unlocked, &k->phys->fail_lock, KMM_LOCK_ZONE);
	char names[DESCRIBE_BYTES];

	last = k->phys->failure;
	kmm_spin_unlock(unlocked, &k->phys->fail_lock, KMM_LOCK_ZONE, irq);
	if (f->reason != KMM_FAIL_NONE) {
		kmm_gfp_describe(f->gfp, names, sizeof(names));
		kmm_printf(out, "order %u (%llu page%s) with %s for %s: ", f->order, 1ull << (f->order & 63),
			   f->order ? "s in a row" : "", names, f->site);
	}
	kmm_printf(out, "%s", reason_text(k, f));
	if (f->reason == KMM_FAIL_MEMORY) {
		tell_zones(f, out);
		tell_help(f, out);
	}
	kmm_printf(out, "\n");
}
