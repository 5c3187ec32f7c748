/* SPDX-License-Identifier: MIT */
/*
 * Reclaim on a machine with memory groups.
 *
 *	for a group    because its limit was met: its own pages and those of groups below it
 *	for all        because zones are low: pages that are charged to nobody, by the zones' hands, and those of groups by theirs
 *
 * In both cases hands take turns: the next is the one that has given the smallest part of its pages yet. Who comes anew, or was not
 * asked for long, begins with those that are asked now, nearly. Groups within
 * their MIN are left out, those within their LOW too as long as anything else gives pages. What a group is protected
 * from is reclaim for others: a limit of its own, or of a group above it up to the one that is reclaimed for, is not held off.
 *
 * A protection counts as far as the group uses it, and those of the groups below one share what that one has, by what they use of
 * their own (as on Linux without memory_recursiveprot).
 */
#include "reclaim/reclaim.h"

#include "reclaim/scan.h"
#include "swap/swap.h"

enum { BATCH = KMM_MOVE_BATCH, ROUNDS = 16, WHOLE = 1 << 16, SLACK = WHOLE / 16 }; /* WHOLE: all pages of a hand */

/* ---- protection ---- */

static kmm_word used_of(const struct kmm_group *g, enum kmm_group_limit which)
{
	kmm_word limit = kmm_word_look(&g->limit[which]), pages = kmm_group_stays(g);

	return limit < pages ? limit : pages;
}

/* What all groups beside it, and it, use of theirs. q held. */
static kmm_word used_by_siblings(const struct kmm_group *g, enum kmm_group_limit which)
{
	const struct kmm_list *head = g->parent ? &g->parent->kids : &g->k->groups->top;
	kmm_word sum = 0;

	for (const struct kmm_list *l = head->next; l != head; l = l->next)
		sum += used_of(kmm_container(l, struct kmm_group, link), which);
	return sum;
}

/* parent: what the group above has for those below it. */
static kmm_word share(const struct kmm_group *g, enum kmm_group_limit which, kmm_word parent)
{
	kmm_word used = used_of(g, which), all = used_by_siblings(g, which);

	if (all <= parent || !all)
		return used;
	return (kmm_word)kmm_div_u64((uint64_t)parent * used, (uint32_t)all, NULL);
}

/* Of all groups below root, which are met after those above them. root NULL: of all. q held. */
static void protect(struct kmm *k, struct kmm_group *root)
{
	for (struct kmm_group *g = kmm_group_next(k, root, NULL); g; g = kmm_group_next(k, root, g)) {
		bool is_top = g->parent == root;

		if (g == root) {
			g->protected_min = g->protected_low = 0;
			continue;
		}
		g->protected_min = is_top ? used_of(g, KMM_GROUP_MIN) : share(g, KMM_GROUP_MIN, g->parent->protected_min);
		g->protected_low = is_top ? used_of(g, KMM_GROUP_LOW) : share(g, KMM_GROUP_LOW, g->parent->protected_low);
	}
}

/* ---- turns ---- */

struct turns {
	struct kmm *k;
	struct kmm_group *root;     /* NULL: all groups, and zones */
	enum kmm_zone_id start;     /* zones up to it */
	struct kmm_zone *only;      /* or this one; NULL: any */
	uint64_t barren_zones;      /* bit per place in phys->zones: gave nothing */
	bool breaks_low;
};

struct pick {
	struct kmm_zone *zone;
	struct kmm_group *group;
	unsigned place;             /* of the zone */
	kmm_word pages;
	uint64_t given;             /* parts of WHOLE, summed up */
};

static uint64_t raised(const struct turns *t, uint64_t given)
{
	uint64_t least = t->k->groups->floor > SLACK ? t->k->groups->floor - SLACK : 0;

	return given > least ? given : least;
}

static void consider(struct pick *best, struct pick candidate)
{
	if ((!best->zone && !best->group) || candidate.given < best->given)
		*best = candidate;
}

static void consider_zones(const struct turns *t, struct pick *best)
{
	for (unsigned i = t->k->phys->nr_zones; i-- > 0;) {
		struct kmm_zone *z = t->k->phys->zones[i];
		struct kmm_hand *hand = kmm_hand_of(t->k, z);

		if (!z->managed || z->id > t->start || (t->only && z != t->only) || (t->barren_zones >> i & 1))
			continue;
		consider(best, (struct pick){ .zone = z, .place = i, .given = raised(t, t->k->groups->given[i]),
					      .pages = hand->facts.turns ? hand->facts.pages : z->managed });
	}
}

static kmm_word own_pages(const struct kmm_group *g)
{
	return kmm_word_look(&g->own[KMM_GROUP_ANON]) + kmm_word_look(&g->own[KMM_GROUP_FILE]);
}

/* How much of it may go at all. */
static kmm_word open_pages(const struct turns *t, const struct kmm_group *g)
{
	kmm_word pages = kmm_group_stays(g), kept = g->protected_min, own = own_pages(g);

	if (!t->breaks_low && g->protected_low > kept)
		kept = g->protected_low;
	if (pages <= kept)
		return 0;
	return pages - kept < own ? pages - kept : own;
}

static void consider_groups(const struct turns *t, struct pick *best)
{
	for (struct kmm_group *g = kmm_group_next(t->k, t->root, NULL); g; g = kmm_group_next(t->k, t->root, g))
		if (!g->is_barren && open_pages(t, g))
			consider(best, (struct pick){ .group = g, .given = raised(t, g->given), .pages = own_pages(g) });
}

static void begin(struct turns *t)
{
	for (struct kmm_group *g = kmm_group_next(t->k, t->root, NULL); g; g = kmm_group_next(t->k, t->root, g))
		g->is_barren = false;
	t->barren_zones = 0;
}

static void note_given(struct turns *t, const struct pick *p, kmm_word nr)
{
	uint64_t *given = p->group ? &p->group->given : &t->k->groups->given[p->place];

	*given = p->given + kmm_div_u64((uint64_t)nr * WHOLE, (uint32_t)(p->pages | 1), NULL);
	if (p->given > t->k->groups->floor)
		t->k->groups->floor = p->given;
}

/* A batch by one hand. */
static void take(struct turns *t, struct kmm_scan *s, const struct pick *p)
{
	kmm_word before = s->freed, want = s->want, most = p->group ? open_pages(t, p->group) : BATCH;

	most = most < BATCH ? most : BATCH;
	s->want = want - before < most ? want : before + most;
	if (p->group)
		kmm_scan_group(s, p->group);
	else
		kmm_scan_zone(s, p->zone);
	s->want = want;
	note_given(t, p, s->freed - before);
	if (s->freed != before)
		return;
	if (p->group)
		p->group->is_barren = true;
	else
		t->barren_zones |= (uint64_t)1 << p->place;
}

/* Whom LOW did not help. */
static void note_broken(const struct kmm_group *g)
{
	if (g && kmm_group_stays(g) <= g->protected_low)
		kmm_group_count_event((struct kmm_group *)g, KMM_GROUP_EV_LOW);
}

/* No more can be written now, which is nobody's fault who has such pages. */
static bool is_held_up(const struct kmm_scan *s)
{
	return !s->no_swap && kmm_swap_is_congested(s->k);
}

static void go_round(struct turns *t, struct kmm_scan *s)
{
	begin(t);
	while (s->freed < s->want && !is_held_up(s)) {
		struct pick p = { .given = 0 };

		if (!t->root)
			consider_zones(t, &p);
		consider_groups(t, &p);
		if (!p.zone && !p.group)
			return;
		if (t->breaks_low)
			note_broken(p.group);
		take(t, s, &p);
	}
}

/* q held. */
static void take_turns(struct turns *t, struct kmm_scan *s)
{
	protect(t->k, t->root);
	s->top = t->start;
	go_round(t, s);
	t->breaks_low = true;
	if (s->freed < s->want && !is_held_up(s))
		go_round(t, s);
}

/* ---- for all ---- */

void kmm_reclaim_shared(struct kmm_scan *s, enum kmm_zone_id start)
{
	struct turns t = { .k = s->k, .start = start };

	take_turns(&t, s);
}

void kmm_reclaim_shared_zone(struct kmm_scan *s, struct kmm_zone *zone)
{
	struct turns t = { .k = s->k, .start = zone->id, .only = zone };

	take_turns(&t, s);
}

/* ---- for a group ---- */

/* *again: although nothing was freed trying once more is worth it. */
static kmm_word reclaim(struct kmm_group *group, kmm_word nr, kmm_gfp gfp, bool *again)
{
	struct kmm *k = group->k;
	struct turns t = { .k = k, .root = group, .start = KMM_ZONE_MOVABLE };
	struct kmm_scan s = { .k = k, .want = nr, .no_files = !(gfp & KMM_GFP_FS), .no_swap = !(gfp & KMM_GFP_IO) };
	struct kmm_group *stalled = kmm_stall_begin(k);
	unsigned seen = kmm_swap_ends(k);

	kmm_lock_hands(k, gfp);
	take_turns(&t, &s);
	kmm_mutex_unlock(k, &k->pageq->lock);
	*again = kmm_wait_for_device(k, gfp, seen, s.freed - s.later) || s.was_busy;
	kmm_stall_end(k, stalled);
	return s.freed;
}

/* For charges. */
static kmm_word reclaim_for_charge(struct kmm *k, struct kmm_group *group, kmm_word nr, kmm_gfp gfp)
{
	bool again;
	kmm_word freed = reclaim(group, nr, gfp, &again);

	KMM_ASSERT(k, group->k == k);
	return freed || !again ? freed : 1;
}

static struct kmm_group *group_of_running(struct kmm *k)
{
	struct kmm_mm *mm = k->port->running_space ? k->port->running_space(k->port) : NULL;

	return mm ? kmm_mm_group(mm) : NULL;
}

static const struct kmm_group_ops group_ops = { .reclaim = reclaim_for_charge, .running = group_of_running };

enum kmm_status kmm_group_create(struct kmm *k, struct kmm_group *parent, struct kmm_group **out)
{
	enum kmm_status status = kmm_groups_init(k, &group_ops);

	if (status == KMM_OK)
		status = kmm_swap_make_groups(k);
	return status ? status : kmm_group_make(k, parent, out);
}

kmm_word kmm_group_reclaim(struct kmm_group *group, kmm_word nr)
{
	kmm_word freed = 0, got;
	bool again = true;

	while (freed < nr && again) {
		got = reclaim(group, nr - freed < BATCH ? nr - freed : BATCH, KMM_GFP_HIGHUSER_MOVABLE, &again);
		freed += got;
		again |= got != 0;
	}
	return freed;
}

void kmm_group_set(struct kmm_group *group, enum kmm_group_limit which, kmm_word pages)
{
	unsigned patience = ROUNDS;

	KMM_ASSERT(group->k, (unsigned)which < KMM_NR_GROUP_LIMITS);
	kmm_word_set(&group->limit[which], pages);
	if (which != KMM_GROUP_MAX && which != KMM_GROUP_HIGH)
		return;
	kmm_stocks_drain(group->k);
	for (kmm_word now = kmm_group_pages(group); now > pages && patience; now = kmm_group_pages(group))
		if (!kmm_group_reclaim(group, now - pages))
			patience--;
}
