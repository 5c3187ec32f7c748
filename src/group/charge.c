/* SPDX-License-Identifier: MIT */
/*
 * Charging and freeing (group.h has the story).
 *
 *	charge   the processor's stock -> a batch for it -> one page -> all stocks back, and one page -> reclaim, and again
 *	free     to the stock if it is the group's and not full, else to the counters
 */
#include "group/group.h"

enum { HIGH_ROUNDS = 8 };
enum { WHOLE_SHIFT = 20, WHOLE = 1 << WHOLE_SHIFT, SLOPE_SHIFT = 14, LEAST_DELAY_US = 10000, MOST_DELAY_US = 2000000 };
enum { PATIENCE = 8 }; /* rounds of reclaim that give nothing before a charge fails; each looks at all pages several times */

/* ---- counters ---- */

static void raise(kmm_word *peak, kmm_word now)
{
	kmm_word was = kmm_word_look(peak);

	while (now > was)
		if (__atomic_compare_exchange_n(peak, &was, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return;
}

/* The parent is read first: without its last page the group may go. */
static void sub(struct kmm_group *g, kmm_word nr, const struct kmm_group *end)
{
	struct kmm *k = g->k;

	while (g != end) {
		struct kmm_group *parent = g->parent;
		kmm_word was;

		was = __atomic_fetch_sub(&g->usage, nr, __ATOMIC_RELEASE);
		KMM_ASSERT(k, was >= nr);
		(void)was;
		g = parent;
	}
}

/* NULL: done; else who refuses, and nothing is changed. */
static struct kmm_group *add(struct kmm_group *group, kmm_word nr, bool anyway)
{
	for (struct kmm_group *g = group; g; g = g->parent) {
		kmm_word now = __atomic_add_fetch(&g->usage, nr, __ATOMIC_RELAXED);

		if (now > kmm_word_look(&g->limit[KMM_GROUP_MAX]) && !anyway) {
			sub(group, nr, g->parent);
			return g;
		}
		raise(&g->peak, now);
	}
	return NULL;
}

/* ---- stocks ---- */

static uint32_t *stock_here(struct kmm *k) { return &k->groups->stock[kmm_cpu(k)].word; }
static uint32_t stock_of(const struct kmm_group *g, unsigned nr) { return g->id << 16 | nr; }
static unsigned nr_in(uint32_t stock) { return stock & 0xffff; }

static bool exchange(uint32_t *at, uint32_t *was, uint32_t now)
{
	return __atomic_compare_exchange_n(at, was, now, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static bool take_stock(struct kmm_group *g)
{
	uint32_t *at = stock_here(g->k), was = __atomic_load_n(at, __ATOMIC_RELAXED);

	while (was >> 16 == g->id && nr_in(was))
		if (exchange(at, &was, was - 1))
			return true;
	return false;
}

static void give_back(struct kmm *k, uint32_t stock)
{
	if (nr_in(stock))
		sub(kmm_group_by_id(k, stock >> 16), nr_in(stock), NULL);
}

/* In place of what is there. */
static void put_stock(struct kmm_group *g, unsigned nr)
{
	give_back(g->k, __atomic_exchange_n(stock_here(g->k), stock_of(g, nr), __ATOMIC_ACQ_REL));
}

/* One more, of a page that was freed. false: it is somebody else's, or full. */
static bool return_to_stock(struct kmm_group *g)
{
	uint32_t *at = stock_here(g->k), was = __atomic_load_n(at, __ATOMIC_RELAXED);

	while (was >> 16 == g->id && nr_in(was) < KMM_GROUP_STOCK)
		if (exchange(at, &was, was + 1))
			return true;
	return false;
}

void kmm_stocks_drain(struct kmm *k)
{
	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		give_back(k, __atomic_exchange_n(&k->groups->stock[cpu].word, 0, __ATOMIC_ACQ_REL));
}

/* ---- room for one page ---- */

/* NULL: there is. Else whose limit it is. *fresh: so many were counted, so limits are to be looked at. */
static struct kmm_group *find_room(struct kmm_group *g, unsigned *fresh)
{
	if (take_stock(g))
		return NULL;
	*fresh = 1;
	if (!add(g, KMM_GROUP_BATCH, false)) {
		*fresh = KMM_GROUP_BATCH;
		put_stock(g, KMM_GROUP_BATCH - 1);
		return NULL;
	}
	if (!add(g, 1, false))
		return NULL;
	kmm_stocks_drain(g->k);
	return add(g, 1, false);
}

static enum kmm_status make_room(struct kmm_group *g, kmm_gfp gfp, struct kmm_group **over, unsigned *fresh)
{
	unsigned patience = PATIENCE;

	while ((*over = find_room(g, fresh)) != NULL) {
		kmm_group_count_event(*over, KMM_GROUP_EV_MAX);
		if (g->k->groups->ops->reclaim(g->k, *over, KMM_GROUP_BATCH, gfp))
			continue;
		if (patience-- == 0) {
			kmm_group_count_event(*over, KMM_GROUP_EV_OOM);
			return KMM_ENOMEM;
		}
	}
	return KMM_OK;
}

/* Above HIGH, wherever up the tree: reclaims what is too much, as far as it may have charged since it last looked. */
static void pay_in(struct kmm_group *g, kmm_gfp gfp)
{
	kmm_word high = kmm_word_look(&g->limit[KMM_GROUP_HIGH]), pages = kmm_group_pages(g);

	if (pages <= high)
		return;
	kmm_group_count_event(g, KMM_GROUP_EV_HIGH);
	for (unsigned i = 0; i < HIGH_ROUNDS && pages > high; i++) {
		kmm_word nr = pages - high < 2 * KMM_GROUP_STOCK ? pages - high : 2 * KMM_GROUP_STOCK;

		if (!g->k->groups->ops->reclaim(g->k, g, nr < KMM_GROUP_BATCH ? KMM_GROUP_BATCH : nr, gfp))
			return;
		pages = kmm_group_pages(g);
	}
}

static void pay(struct kmm_group *g, kmm_gfp gfp)
{
	for (; g; g = g->parent)
		if (kmm_word_look(&g->usage) > kmm_word_look(&g->limit[KMM_GROUP_HIGH]))
			pay_in(g, gfp);
}

/* Part of WHOLE by which the group is above HIGH, ten times that at most. */
static uint64_t excess_of(const struct kmm_group *g)
{
	kmm_word high = kmm_word_look(&g->limit[KMM_GROUP_HIGH]), pages = kmm_group_pages(g);
	uint64_t part;

	if (pages <= high)
		return 0;
	if (high < (pages - high) / 10)
		return 10 * WHOLE;
	part = kmm_div_u64((uint64_t)(pages - high) * WHOLE, high < UINT32_MAX ? (uint32_t)high | !high : UINT32_MAX, NULL);
	return part < 10 * WHOLE ? part : 10 * WHOLE;
}

static uint64_t most_excess(const struct kmm_group *g)
{
	uint64_t most = 0;

	for (; g; g = g->parent) {
		uint64_t excess = excess_of(g);

		most = excess > most ? excess : most;
	}
	return most;
}

/* Linux's curve (mm/memcontrol.c, calculate_high_delay() there): seconds for 64 pages, 2^6 times the excess squared; what is less than
 * 10 ms is left out. */
uint64_t kmm_group_delay_ns(const struct kmm_group *g, kmm_word pages)
{
	uint64_t excess = most_excess(g), us;

	pages = pages < WHOLE ? pages : WHOLE;
	us = ((excess * excess >> WHOLE_SHIFT) * 1000000 >> SLOPE_SHIFT) * pages / KMM_GROUP_STOCK;
	if (us <= LEAST_DELAY_US)
		return 0;
	return (us < MOST_DELAY_US ? us : MOST_DELAY_US) * 1000;
}

static void note_high(struct kmm_group *g, unsigned pages)
{
	const struct kmm_port *port = g->k->port;

	for (struct kmm_group *up = g; up && port->above_high; up = up->parent)
		if (kmm_word_look(&up->usage) > kmm_word_look(&up->limit[KMM_GROUP_HIGH])) {
			port->above_high(g->k->port, pages);
			return;
		}
}

void kmm_group_settle(struct kmm_group *g, kmm_gfp gfp)
{
	for (struct kmm_group *up = g; up; up = up->parent)
		if (kmm_word_look(&up->usage) > kmm_word_look(&up->limit[KMM_GROUP_MAX]))
			g->k->groups->ops->reclaim(g->k, up, KMM_GROUP_BATCH, gfp);
	pay(g, gfp);
}

/* ---- pages ---- */

static enum kmm_group_count sort_of(const struct kmm_page *page)
{
	return kmm_page_kind(page) == KMM_KIND_ANON ? KMM_GROUP_ANON : KMM_GROUP_FILE;
}

static bool is_shmem(uint32_t flags)
{
	return (flags & 15) == KMM_KIND_FILE && (flags & KMM_PG_SHMEM);
}

static void mark(struct kmm_group *g, struct kmm_page *page)
{
	KMM_ASSERT(g->k, !kmm_page_is_charged(page) && (kmm_page_kind(page) == KMM_KIND_ANON || kmm_page_kind(page) == KMM_KIND_FILE));
	page->b = g->id;
	kmm_page_set_charged(page);
	kmm_group_note_chunk(g, kmm_pfn_of(g->k->phys, page));
}

enum kmm_status kmm_group_charge(struct kmm_group *g, struct kmm_page *page, enum kmm_charge_how how, kmm_gfp gfp,
				 struct kmm_group **over)
{
	enum kmm_status status = KMM_OK;
	unsigned fresh = 0;

	*over = NULL;
	if (kmm_inject(g->k, "charge to a group") && how != KMM_CHARGE_ANYWAY) {
		*over = g;
		return KMM_ENOMEM;
	}
	if (how == KMM_CHARGE_RECLAIM)
		status = make_room(g, gfp, over, &fresh);
	else
		*over = find_room(g, &fresh);
	if (*over && how == KMM_CHARGE_ANYWAY)
		*over = add(g, 1, true);
	else if (*over && how == KMM_CHARGE_AT_ONCE)
		status = KMM_EAGAIN;
	if (status)
		return status;
	__atomic_fetch_add(&g->own[sort_of(page)], 1, __ATOMIC_RELAXED);
	mark(g, page);
	if (fresh && how == KMM_CHARGE_RECLAIM) {
		pay(g, gfp);
		note_high(g, fresh);
	}
	return KMM_OK;
}

void kmm_group_uncharge(struct kmm *k, struct kmm_page *page)
{
	struct kmm_group *g = kmm_page_group(k, page);

	KMM_ASSERT(k, g && page->b == g->id);
	__atomic_fetch_sub(&g->own[sort_of(page)], 1, __ATOMIC_RELAXED);
	if (is_shmem(kmm_page_flags(page)))
		__atomic_fetch_sub(&g->own[KMM_GROUP_SHMEM], 1, __ATOMIC_RELAXED);
	kmm_page_set_uncharged(page);
	if (!return_to_stock(g))
		sub(g, 1, NULL);
}

void kmm_group_move_charge(struct kmm *k, struct kmm_page *to, struct kmm_page *from)
{
	struct kmm_group *g = kmm_page_group(k, from);

	if (!g)
		return;
	KMM_ASSERT(k, kmm_page_kind(to) == kmm_page_kind(from));
	mark(g, to);
	kmm_page_set_uncharged(from);
}

void kmm_group_note_shmem(struct kmm *k, struct kmm_page *page)
{
	struct kmm_group *g = kmm_page_group(k, page);

	if (g)
		__atomic_fetch_add(&g->own[KMM_GROUP_SHMEM], 1, __ATOMIC_RELAXED);
}

/* ---- slots ---- */

void kmm_group_note_writing(struct kmm *k, const struct kmm_page *page, bool begins)
{
	for (struct kmm_group *g = kmm_page_group(k, page); g; g = g->parent)
		__atomic_fetch_add(&g->writing, begins ? 1 : -(kmm_word)1, __ATOMIC_RELAXED);
}

bool kmm_group_swap_try(struct kmm *k, const struct kmm_page *page)
{
	struct kmm_group *group = kmm_page_group(k, page), *g;

	for (g = group; g; g = g->parent) {
		kmm_word now = __atomic_add_fetch(&g->swap, 1, __ATOMIC_RELAXED);

		if (now > kmm_word_look(&g->limit[KMM_GROUP_SWAP_MAX]))
			break;
		raise(&g->swap_peak, now);
	}
	if (!g) {
		if (group)
			__atomic_fetch_add(&group->own_swap, 1, __ATOMIC_RELAXED);
		return true;
	}
	kmm_group_count_event(group, KMM_GROUP_EV_SWAP_MAX);
	kmm_group_count_event(group, KMM_GROUP_EV_SWAP_FAIL);
	for (struct kmm_group *undo = group; undo != g->parent; undo = undo->parent)
		__atomic_fetch_sub(&undo->swap, 1, __ATOMIC_RELAXED);
	return false;
}

void kmm_group_swap_put(struct kmm_group *g)
{
	__atomic_fetch_sub(&g->own_swap, 1, __ATOMIC_RELAXED);
	while (g) {
		struct kmm_group *parent = g->parent;

		__atomic_fetch_sub(&g->swap, 1, __ATOMIC_RELEASE);
		g = parent;
	}
}

bool kmm_group_swap_is_full(const struct kmm_group *g)
{
	for (; g; g = g->parent)
		if (kmm_word_look(&g->swap) >= kmm_word_look(&g->limit[KMM_GROUP_SWAP_MAX]))
			return true;
	return false;
}
