/* SPDX-License-Identifier: MIT */
/*
 * Direct and background reclaim.
 *
 * Direct: a request that may block found every zone below its low mark. It gets a batch from a zone that may serve it; zones
 * take turns by how much of each was evicted already, so that ages in all of them mean the same. The requester may hold
 * locks of spaces and files, so those of files are tried only. While another reclaims it waits.
 *
 * Background: a step function for the embedder's thread, between the low and the high marks.
 *
 * Last come the shrinkers, which empty kernel caches. If all that gives nothing, the request fails: no page of a user can be
 * let go, because there is no swap or it is full, or all are kept, pinned or in use all the time.
 */
#include "reclaim/reclaim.h"

#include "kmm/slab.h"
#include "swap/swap.h"
#include "reclaim/scan.h"

_Static_assert((int)KMM_HAND_BATCH == (int)KMM_MOVE_BATCH, "what is found at once goes at once");

enum { BATCH = KMM_MOVE_BATCH, TURNS = 8, SHRINK_EVERY = 32, LEAST_PART = 16, SPENT_EVERY = 8 };

/* ---- a batch ---- */

static void note_evicted(struct kmm_scan *s, const struct kmm_mover *mover, kmm_word anon)
{
	struct kmm_reclaim_stats *stats = &s->k->pageq->stats;

	kmm_pageq_count(s->is_step ? &stats->stolen_step : &stats->stolen_direct, mover->moved);
	kmm_pageq_count(&stats->stolen_anon, anon);
	kmm_pageq_count(&stats->stolen_file, mover->moved - anon);
	if (s->group)
		kmm_group_count(s->group, KMM_GROUP_STOLEN, mover->moved);
	s->freed += mover->moved;
	s->later += mover->later;
	s->was_busy |= mover->was_busy;
}

/* Time as the policy is to see it: pages that went to slots, of the group or of the machine. */
static void set_clock(struct kmm_scan *s)
{
	uint32_t clock = s->group ? __atomic_load_n(&s->group->clock, __ATOMIC_RELAXED) : s->k->swap->clock;

	__atomic_store_n(&s->hand->facts.clock, clock, __ATOMIC_RELAXED);
}

static void evict(struct kmm_scan *s)
{
	struct kmm_mover mover = { .k = s->k, .no_files = s->no_files, .no_io = s->no_swap, .evict = true };
	kmm_word out = kmm_swap_gone(s->k);

	if (s->nr && kmm_move_frames(&mover, s->k->pageq->pfns, s->nr) != KMM_OK)
		KMM_ASSERT(s->k, false); /* who asks for no targets does not run out of them */
	kmm_word_add(&s->hand->evicted, mover.moved);
	set_clock(s);
	out = kmm_swap_gone(s->k) - out;
	note_evicted(s, &mover, out < mover.moved ? out : mover.moved);
	s->nr = 0;
}

/* ---- pages under the hand ---- */

static bool can_swap(const struct kmm_scan *s)
{
	return !s->no_swap && kmm_swap_has_room(s->k) && !kmm_swap_is_congested(s->k) &&
	       !(s->group && kmm_group_swap_is_full(s->group));
}

/* Could it go at all? */
static bool is_open(const struct kmm_scan *s, const struct kmm_page *page)
{
	if (!kmm_frame_may_move(s->k, page) || (s->group && kmm_page_zone(page) > s->top))
		return false;
	if (kmm_page_kind(page) == KMM_KIND_ANON)
		return s->has_room;
	if (s->no_files || !(kmm_page_flags(page) & KMM_PG_DIRTY))
		return !s->no_files;
	return kmm_page_flags(page) & KMM_PG_STORED ? !s->no_swap : s->has_room;
}

/* Those that are under the hand and open move to the front; returns how many. */
static unsigned keep_open(const struct kmm_scan *s, struct kmm_page **pages, unsigned nr)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < nr; i++)
		if (is_open(s, pages[i]))
			pages[kept++] = pages[i];
	return kept;
}

static void meet(struct kmm_scan *s, struct kmm_page *page, enum kmm_look look)
{
	struct kmm_reclaim_zone *facts = &s->hand->facts;
	uint8_t was = kmm_page_age(page), age = was == KMM_RECLAIM_AGE_KEPT ? 0 : was;

	if (look == KMM_LOOK_NOT) /* its file is locked, for now */
		return;
	if (look == KMM_LOOK_KEPT) {
		if (was != KMM_RECLAIM_AGE_KEPT)
			kmm_page_set_age(page, KMM_RECLAIM_AGE_KEPT);
		return;
	}
	if (s->k->pageq->policy->met(facts, &age, look == KMM_LOOK_USED) || (s->k->pageq->insists && look == KMM_LOOK_IDLE))
		s->k->pageq->pfns[s->nr++] = kmm_pfn_of(s->k->phys, page);
	KMM_ASSERT(s->k, age != KMM_RECLAIM_AGE_KEPT); /* that is not the policy's to give */
	if (age != was)
		kmm_page_set_age(page, age);
}

static void meet_all(struct kmm_scan *s, struct kmm_page **pages, unsigned nr)
{
	enum kmm_look looks[BATCH];
	unsigned could_go = 0;

	s->has_room = can_swap(s);
	nr = keep_open(s, pages, nr);
	kmm_pages_look(s->k, pages, looks, nr, &s->flushes);
	for (unsigned i = 0; i < nr; i++)
		could_go += looks[i] != KMM_LOOK_KEPT;
	kmm_hand_count(s->hand, could_go);
	for (unsigned i = 0; i < nr; i++)
		meet(s, pages[i], looks[i]);
}

kmm_word kmm_count_pages(struct kmm *k)
{
	kmm_word nr = 0;

	for (unsigned i = 0; i < KMM_MAX_ZONES; i++)
		nr += k->pageq->hand[i].facts.pages;
	if (kmm_has_groups(k))
		for (struct kmm_group *g = kmm_group_next(k, NULL, NULL); g; g = kmm_group_next(k, NULL, g))
			nr += g->hand.facts.turns ? g->hand.facts.pages : kmm_word_look(&g->own[KMM_GROUP_ANON]) +
				kmm_word_look(&g->own[KMM_GROUP_FILE]);
	return nr;
}

/* Its place would be in swap: as on Linux, which has shared memory among private pages. */
static bool is_for_swap(const struct kmm_page *page)
{
	return kmm_page_kind(page) == KMM_KIND_ANON || (kmm_page_flags(page) & (KMM_PG_DIRTY | KMM_PG_STORED)) == KMM_PG_DIRTY;
}

static void count_sorts(struct kmm_reclaim_stats *stats, struct kmm_page *const *pages, unsigned nr)
{
	unsigned anon = 0;

	for (unsigned i = 0; i < nr; i++)
		anon += is_for_swap(pages[i]);
	kmm_pageq_count(&stats->scanned_anon, anon);
	kmm_pageq_count(&stats->scanned_file, nr - anon);
}

/* Pages that the hand finds next. */
static unsigned find(struct kmm_scan *s, kmm_word *left)
{
	struct kmm_reclaim_stats *stats = &s->k->pageq->stats;
	struct kmm_page **pages = s->k->pageq->seen;
	kmm_word wanted = s->want - s->freed - s->nr;
	unsigned nr = BATCH - s->nr;

	if (s->group) /* no more of it than that, as some is perhaps protected */
		nr = kmm_group_hand_next(s->group, left, pages, wanted < nr ? (unsigned)wanted : nr);
	else
		nr = kmm_hand_next(s->k, s->zone, left, pages, nr);
	kmm_pageq_count(s->is_step ? &stats->scanned_step : &stats->scanned_direct, nr);
	count_sorts(stats, pages, nr);
	if (s->group)
		kmm_group_count(s->group, KMM_GROUP_SCANNED, nr);
	return nr;
}

/* The hand goes on until enough is freed, or for a few turns, of so many frames each. q held. */
static void scan(struct kmm_scan *s, kmm_word turn)
{
	struct kmm_hand *hand = s->hand;
	kmm_word left = turn * (s->is_brief ? 1 : TURNS), before = s->freed;
	uint32_t turns = hand->facts.turns;

	kmm_cached_trim(s->k);
	set_clock(s);
	__atomic_store_n(&hand->facts.all_pages, s->group ? hand->facts.pages : kmm_count_pages(s->k), __ATOMIC_RELAXED);
	s->k->pageq->insists = s->is_brief;
	kmm_guest_begin(s->k);
	while (left && s->freed < s->want && !kmm_swap_is_congested(s->k)) { /* then only ends of transfers help, or another round */
		unsigned nr = find(s, &left);

		meet_all(s, s->k->pageq->seen, nr);
		kmm_flushes_run_here(s->k, &s->flushes);
		if (s->nr >= BATCH / 2 || s->freed + s->nr >= s->want || hand->facts.turns != turns)
			evict(s); /* before the hand meets the same pages again */
		turns = hand->facts.turns;
		s->k->pageq->insists = s->is_brief || (s->freed == before && left < turn * (TURNS / 2));
	}
	s->k->pageq->insists = false;
	evict(s);
	kmm_guest_end(s->k);
}

void kmm_scan_zone(struct kmm_scan *s, struct kmm_zone *zone)
{
	s->zone = zone;
	s->group = NULL;
	s->hand = kmm_hand_of(s->k, zone);
	scan(s, zone->spanned);
}

void kmm_scan_group(struct kmm_scan *s, struct kmm_group *group)
{
	s->zone = NULL;
	s->group = group;
	s->hand = &group->hand;
	scan(s, s->k->phys->max_pfn);
}

/* ---- zones ---- */

/* Has it so little for requests from zone `start` that some of its pages should go? Not if it keeps all that it has from them anyway. */
static bool is_short(const struct kmm_zone *z, enum kmm_zone_id start)
{
	kmm_word kept = z->high + z->protection[start];

	return z->id <= start && z->managed > kept && kmm_zone_free_hint(z) < kept;
}

/* Who may have memory of some nodes alone is helped by theirs only; those are the ones that are short of it. false: none is, so it is
 * not how much there is but what sort that is wanted, and any may help. */
static bool some_are_short(const struct kmm *k, enum kmm_zone_id start)
{
	for (unsigned i = 0; i < k->phys->nr_zones; i++)
		if (is_short(k->phys->zones[i], start))
			return true;
	return false;
}

static bool may_help(const struct kmm_zone *z, enum kmm_zone_id start, bool short_only)
{
	return z->managed && z->id <= start && (!short_only || is_short(z, start));
}

/* Of the zones that may serve, the one of whose pages the smallest part was evicted. */
static struct kmm_zone *choose(struct kmm *k, enum kmm_zone_id start, bool short_only)
{
	struct kmm_zone *best = NULL;
	uint64_t least = 0, part;

	for (unsigned i = k->phys->nr_zones; i-- > 0;) {
		struct kmm_zone *z = k->phys->zones[i];
		struct kmm_hand *hand = kmm_hand_of(k, z);

		if (!may_help(z, start, short_only) || (hand->facts.turns && !hand->facts.pages && best))
			continue;
		part = (uint64_t)hand->evicted << 16;
		part = kmm_div_u64(part, (uint32_t)((hand->facts.turns ? hand->facts.pages : z->managed) | 1), NULL);
		if (best && part >= least)
			continue;
		best = z;
		least = part;
	}
	return best;
}

/* Another zone in which it may go better, after one gave nothing. */
static kmm_word scan_rest(struct kmm_scan *s, enum kmm_zone_id start, const struct kmm_zone *done, bool short_only)
{
	for (unsigned i = s->k->phys->nr_zones; i-- > 0 && s->freed < s->want;) {
		struct kmm_zone *z = s->k->phys->zones[i];

		if (z != done && may_help(z, start, short_only))
			kmm_scan_zone(s, z);
	}
	return s->freed;
}

/* q. Its holder waits for nothing but transfers and flushes, which the port's relax answers. A fault sleeps; a request of the
 * kernel's own may come from where sleeping gives something up, and waits awake. */
void kmm_lock_hands(struct kmm *k, kmm_gfp gfp)
{
	if ((gfp & KMM_GFP_HARDWALL) && k->port->wait) {
		kmm_mutex_lock(k, &k->pageq->lock);
		return;
	}
	while (!kmm_mutex_trylock(&k->pageq->lock))
		if (k->port->relax)
			k->port->relax(k->port);
}

static kmm_word reclaim(struct kmm *k, struct kmm_scan *s, enum kmm_zone_id start)
{
	bool short_only = !s->is_step && some_are_short(k, start);
	struct kmm_zone *first;

	if (kmm_has_groups(k)) {
		kmm_reclaim_shared(s, start);
		return s->freed;
	}
	first = choose(k, start, short_only);
	if (!first)
		return 0;
	kmm_scan_zone(s, first);
	return s->freed < s->want ? scan_rest(s, start, first, short_only) : s->freed;
}

/* Are there so few pages left that can go at all, that taking them would only make programs read their own code again and
 * again? Then it is better to say that memory has ended. */
static bool is_hopeless(struct kmm *k)
{
	uint32_t turns = 0;

	for (unsigned i = 0; i < KMM_MAX_ZONES; i++)
		turns += k->pageq->hand[i].facts.turns;
	return turns > TURNS && !kmm_swap_has_room(k) && kmm_count_pages(k) < kmm_phys_managed_pages(k) / LEAST_PART;
}

/* ---- at once ---- */

/* When memory has ended, each page that is taken between the watermarks asks, until none is left and someone is ended. All
 * turns of the hands would find nothing for every one of them; so after one vain search most are told so at once, and
 * some after a short look whether it has changed. */
static kmm_word reclaim_unless_spent(struct kmm *k, struct kmm_scan *s, enum kmm_zone_id start)
{
	struct kmm_pageq *q = k->pageq;
	kmm_word freed = 0;

	KMM_ASSERT_HELD(k, &q->lock);
	q->calls++;
	s->is_brief = q->spent && is_hopeless(k);
	if (!s->is_brief || q->calls % SPENT_EVERY == 0) {
		freed = reclaim(k, s, start);
		q->spent = is_hopeless(k) && freed < BATCH;
	}
	return is_hopeless(k) ? 0 : freed;
}

/* Pages that are on their way to a device are free when that says so, and while reads leave no transfers for writing nothing
 * else can go out. true: one was waited for. */
bool kmm_wait_for_device(struct kmm *k, kmm_gfp gfp, unsigned seen, kmm_word now_free)
{
	if (now_free || !(kmm_swap_writing(k) || kmm_swap_is_congested(k)))
		return false;
	kmm_swap_wait(k, seen, (gfp & KMM_GFP_HARDWALL) != 0);
	return true;
}

bool kmm_reclaim_may_go_on(struct kmm *k)
{
	return kmm_swap_has_room(k) && kmm_count_pages(k) >= kmm_phys_managed_pages(k) / LEAST_PART;
}

/* Are there pages that could go, of which none did only because all are in use or held for the moment? q held. */
static bool could_go(struct kmm *k, const struct kmm_scan *s)
{
	return !s->no_swap && kmm_reclaim_may_go_on(k);
}

/* The hand stops while all transfers are in use, and counts nothing then. Was it so, and they have ended since? Then what it did not
 * find says nothing: as if we had waited for them. */
static bool has_missed_end(struct kmm *k, unsigned seen, kmm_word freed)
{
	return !freed && kmm_swap_has_room(k) && kmm_swap_ends(k) != seen;
}

static kmm_word under_pressure(struct kmm *k, kmm_gfp gfp, unsigned order)
{
	struct kmm_scan s = { .k = k, .want = (kmm_word)1 << order, .no_files = !(gfp & KMM_GFP_FS),
			  .no_swap = !(gfp & KMM_GFP_IO) };
	unsigned seen = kmm_swap_ends(k);
	struct kmm_group *group;
	kmm_word freed;
	bool waited, could;

	if (s.want < BATCH)
		s.want = BATCH;
	group = kmm_stall_begin(k);
	kmm_lock_hands(k, gfp);
	freed = reclaim_unless_spent(k, &s, (enum kmm_zone_id)k->phys->class_of[gfp & 15]);
	could = could_go(k, &s);
	kmm_mutex_unlock(k, &k->pageq->lock);
	waited = kmm_wait_for_device(k, gfp, seen, freed - s.later) || has_missed_end(k, seen, freed);
	kmm_pcp_drain_here(k);
	if (!freed || k->pageq->calls % SHRINK_EVERY == 0)
		freed += kmm_shrink(k, gfp, (kmm_word)1 << order);
	kmm_stall_end(k, group);
	if (waited && freed < BATCH)
		return BATCH; /* whoever got what has become free */
	return freed || !(s.was_busy || could) ? freed : (kmm_word)KMM_PRESSURE_AGAIN;
}

/* ---- in steps ---- */

static kmm_word step_zone(struct kmm *k, struct kmm_zone *z, kmm_word budget)
{
	kmm_word free = kmm_zone_free_hint(z) + kmm_swap_writing(k); /* those will be, here or elsewhere */
	struct kmm_scan s = { .k = k, .want = z->high > free ? z->high - free : 0, .is_step = true };

	s.want = s.want < budget ? s.want : budget;
	if (s.want && kmm_has_groups(k))
		kmm_reclaim_shared_zone(&s, z);
	else if (s.want)
		kmm_scan_zone(&s, z);
	return s.freed;
}

static bool is_low(const struct kmm_zone *z)
{
	return z->managed && kmm_zone_free_hint(z) < z->high;
}

bool kmm_reclaim_step(struct kmm *k, kmm_word budget)
{
	kmm_word freed = 0;
	bool more = false;
	unsigned seen;

	if (!k->pageq)
		return false;
	seen = kmm_swap_ends(k);
	kmm_mutex_lock(k, &k->pageq->lock);
	for (unsigned i = 0; i < k->phys->nr_zones && freed < budget; i++)
		if (is_low(k->phys->zones[i]))
			freed += step_zone(k, k->phys->zones[i], budget - freed);
	kmm_mutex_unlock(k, &k->pageq->lock);
	kmm_slots_discard(k, 8);
	if (freed)
		kmm_pcp_drain_here(k);
	if (kmm_swap_writing(k)) {
		kmm_swap_wait(k, seen, true);
		freed++;
	}
	for (unsigned i = 0; i < k->phys->nr_zones; i++)
		more |= is_low(k->phys->zones[i]);
	return more && freed;
}

kmm_word kmm_reclaim_pages(struct kmm *k, kmm_word nr)
{
	struct kmm_scan s = { .k = k, .want = nr, .is_step = true };
	bool again = nr != 0;

	while (again) {
		unsigned seen = kmm_swap_ends(k);

		kmm_mutex_lock(k, &k->pageq->lock);
		(void)reclaim(k, &s, KMM_ZONE_MOVABLE);
		kmm_mutex_unlock(k, &k->pageq->lock);
		again = s.freed < nr && kmm_swap_is_congested(k);
		if (kmm_swap_writing(k))
			kmm_swap_wait(k, seen, true);
	}
	return s.freed;
}

/* ---- choosing and looking ---- */

void kmm_reclaim_set_policy(struct kmm *k, const struct kmm_reclaim_policy *policy)
{
	kmm_mutex_lock(k, &k->pageq->lock);
	for (unsigned i = 0; i < KMM_MAX_ZONES; i++)
		memset(k->pageq->hand[i].facts.own, 0, sizeof(k->pageq->hand[i].facts.own));
	for (struct kmm_group *g = k->groups ? kmm_group_next(k, NULL, NULL) : NULL; g; g = kmm_group_next(k, NULL, g))
		memset(g->hand.facts.own, 0, sizeof(g->hand.facts.own));
	__atomic_store_n(&k->pageq->policy, policy, __ATOMIC_RELEASE);
	kmm_mutex_unlock(k, &k->pageq->lock);
}

const struct kmm_reclaim_policy *kmm_reclaim_policy_of(const struct kmm *k)
{
	return k->pageq->policy;
}

void kmm_reclaim_stats(const struct kmm *k, struct kmm_reclaim_stats *out)
{
	*out = (struct kmm_reclaim_stats){ 0 };
	if (k->pageq)
		*out = k->pageq->stats;
}

void kmm_reclaim_init(struct kmm *k)
{
	kmm_pressure_register(k, under_pressure);
}
