/* SPDX-License-Identifier: MIT */
/*
 * Pages on their way between frames and slots (swap.h says which): a table of fixed size, found by slot.
 *
 *	READING --good--> READY --asked for, too old, or nobody names the slot any more--> gone
 *	   +---- bad, or the reader's own ----------------------------------------------> gone
 *	WRITING --written, or asked for--> gone
 *	   +---- bad ------> FAILED --asked for, or nobody names the slot any more------> gone
 *
 * Lock: w. References to frames are put without it.
 */
#include "base/mem.h"
#include "base/printf.h"
#include "kmm/vmalloc.h"
#include "swap/swap.h"

enum { OLD = 128 };

static unsigned bucket_of(uint32_t raw)
{
	return (raw >> 9 ^ raw >> 17 ^ raw) % KMM_CACHED_BUCKETS;
}

/* The link that leads to the slot's entry, or the last one. w held. */
static uint16_t *link_to(struct kmm_swap_cache *c, uint32_t raw)
{
	uint16_t *link = &c->bucket[bucket_of(raw)];

	while (*link && c->at[*link - 1].raw != raw)
		link = &c->at[*link - 1].next;
	return link;
}

static struct kmm_cached *find(struct kmm_swap_cache *c, uint32_t raw)
{
	uint16_t *link = link_to(c, raw);

	return *link ? &c->at[*link - 1] : NULL;
}

static bool is_idle(const struct kmm_cached *e)
{
	return e->state == KMM_CACHED_READY || e->state == KMM_CACHED_FAILED;
}

static void set_state(struct kmm_swap_cache *c, struct kmm_cached *e, enum kmm_cached_state state)
{
	unsigned idle = c->nr_idle - is_idle(e);

	e->state = (uint8_t)state;
	__atomic_store_n(&c->nr_idle, idle + is_idle(e), __ATOMIC_RELAXED);
}

static void drop(struct kmm *k, struct kmm_swap_cache *c, struct kmm_cached *e)
{
	uint16_t *link = link_to(c, e->raw);

	KMM_ASSERT(k, *link && &c->at[*link - 1] == e && e->state != KMM_CACHED_FREE);
	*link = e->next;
	set_state(c, e, KMM_CACHED_FREE);
	e->next = c->free;
	e->page = NULL;
	c->free = (uint16_t)(e - c->at + 1);
	__atomic_store_n(&c->nr, c->nr - 1, __ATOMIC_RELAXED);
}

static bool add(struct kmm *k, struct kmm_swap_cache *c, uint32_t raw, enum kmm_cached_state state, struct kmm_page *page)
{
	struct kmm_cached *e;
	uint16_t *link;

	if (!c->free)
		return false;
	link = link_to(c, raw);
	KMM_ASSERT(k, *link == 0 && !kmm_swap_is_same(raw));
	*link = c->free;
	e = &c->at[c->free - 1];
	c->free = e->next;
	e->next = 0;
	e->raw = raw;
	e->page = page;
	e->stamp = c->clock++;
	set_state(c, e, state);
	__atomic_store_n(&c->nr, c->nr + 1, __ATOMIC_RELAXED);
	return true;
}

static struct kmm_slot *slot_of(struct kmm *k, uint32_t raw)
{
	return &k->swap->area[kmm_swap_place(raw)].slot[kmm_swap_slot(raw)];
}

static unsigned long lock(struct kmm *k) { return kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP); }
static void unlock(struct kmm *k, unsigned long flags) { kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags); }

enum kmm_status kmm_cache_make(struct kmm *k)
{
	struct kmm_swap_cache *c;

	if (k->swap->cache)
		return KMM_OK;
	c = kmm_vmalloc(k, sizeof(*c), "pages to and from swap");
	if (!c)
		return KMM_ENOMEM;
	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < KMM_CACHED_MOST; i++)
		c->at[i].next = (uint16_t)(i + 1 < KMM_CACHED_MOST ? i + 2 : 0);
	c->free = 1;
	for (unsigned i = 0; i < KMM_SWAP_IOS; i++)
		c->io[i].next = i + 1 < KMM_SWAP_IOS ? &c->io[i + 1] : NULL;
	c->free_io = c->io;
	c->nr_free_io = KMM_SWAP_IOS;
	__atomic_store_n(&k->swap->cache, c, __ATOMIC_RELEASE);
	return KMM_OK;
}

/* ---- writing ---- */

bool kmm_cached_add_write(struct kmm *k, uint32_t raw, struct kmm_page *page)
{
	unsigned long flags = lock(k);
	bool added = add(k, k->swap->cache, raw, KMM_CACHED_WRITING, page);

	unlock(k, flags);
	return added;
}

/* A page that could not be written and still is wanted stays, as the only copy, with the transfer's count and reference. */
void kmm_cached_written(struct kmm *k, uint32_t raw, struct kmm_page *page, bool good)
{
	struct kmm_swap_cache *c = k->swap->cache;
	unsigned long flags = lock(k);
	struct kmm_cached *e = find(c, raw);
	bool keep;

	KMM_ASSERT(k, !e || (e->state == KMM_CACHED_WRITING && e->page == page));
	if (kmm_page_is_charged(page))
		kmm_group_note_writing(k, page, false);
	keep = e && !good && slot_of(k, raw)->count > 1;
	if (keep) {
		kmm_group_uncharge_if(k, page); /* whoever takes it is charged */
		kmm_page_set_kind(k, page, KMM_KIND_KERNEL);
		set_state(c, e, KMM_CACHED_FAILED);
	} else if (e) {
		drop(k, c, e);
	}
	unlock(k, flags);
	if (keep)
		return;
	if (good)
		kmm_slot_put(k, raw);
	else
		kmm_slot_retire(k, kmm_swap_place(raw), kmm_swap_slot(raw));
	kmm_put_page(k, page);
}

/* ---- reading ---- */

enum kmm_cached_added kmm_cached_add_read(struct kmm *k, uint32_t raw, struct kmm_page *page)
{
	struct kmm_swap_cache *c = k->swap->cache;
	unsigned long flags = lock(k);
	enum kmm_cached_added added = KMM_CACHED_ADDED;

	if (find(c, raw))
		added = KMM_CACHED_IS_THERE;
	else if (c->nr >= KMM_CACHED_MOST - KMM_CACHED_FOR_WRITES || !add(k, c, raw, KMM_CACHED_READING, page))
		added = KMM_CACHED_FULL;
	unlock(k, flags);
	return added;
}

void kmm_cached_read_over(struct kmm *k, uint32_t raw, bool good)
{
	struct kmm_swap_cache *c = k->swap->cache;
	unsigned long flags = lock(k);
	struct kmm_cached *e = find(c, raw);
	struct kmm_page *page;

	KMM_ASSERT(k, e && e->state == KMM_CACHED_READING);
	page = e->page;
	if (page && good && slot_of(k, raw)->count > 1) {
		set_state(c, e, KMM_CACHED_READY);
		page = NULL;
	} else {
		drop(k, c, e);
	}
	unlock(k, flags);
	if (!page)
		return;
	kmm_slot_put(k, raw);
	kmm_put_page(k, page);
}

/* ---- asking ---- */

/* Nobody but us names the slot. w held. */
static enum kmm_cached_claim take(struct kmm *k, struct kmm_cached *e, bool *retire)
{
	struct kmm_slot *slot = slot_of(k, e->raw);

	*retire = e->state == KMM_CACHED_FAILED;
	if (e->state == KMM_CACHED_READY)
		__atomic_fetch_add(&k->swap->stats.ahead_used, 1, __ATOMIC_RELAXED);
	else
		__atomic_fetch_add(&k->swap->stats.retaken, 1, __ATOMIC_RELAXED);
	if (e->state == KMM_CACHED_WRITING)
		kmm_get_page(k, e->page); /* the other is the transfer's, like the count that stays */
	else
		slot->count--;
	drop(k, k->swap->cache, e);
	return KMM_CLAIM_TAKEN;
}

enum kmm_cached_claim kmm_cached_claim(struct kmm *k, uint32_t raw, bool may_take, struct kmm_page **page)
{
	enum kmm_cached_claim claim = KMM_CLAIM_NONE;
	struct kmm_swap_cache *c = k->swap->cache;
	struct kmm_cached *e;
	unsigned long flags;
	bool retire = false;

	if (kmm_swap_is_same(raw) || kmm_cached_is_empty(k))
		return KMM_CLAIM_NONE;
	flags = lock(k);
	e = find(c, raw);
	if (e && e->state == KMM_CACHED_READING) {
		claim = KMM_CLAIM_WAIT;
	} else if (e) {
		*page = e->page;
		claim = KMM_CLAIM_COPY;
		if (may_take && slot_of(k, raw)->count == 2)
			claim = take(k, e, &retire);
		else
			kmm_get_page(k, e->page);
	}
	unlock(k, flags);
	if (claim == KMM_CLAIM_TAKEN && retire)
		kmm_slot_retire(k, kmm_swap_place(raw), kmm_swap_slot(raw));
	else if (claim == KMM_CLAIM_TAKEN)
		kmm_slot_put(k, raw);
	return claim;
}

/* ---- going without being asked for ---- */

bool kmm_cached_let_go(struct kmm *k, uint32_t raw, struct kmm_page **page, bool *failed)
{
	struct kmm_swap_cache *c = k->swap->cache;
	struct kmm_cached *e = c && c->nr_idle ? find(c, raw) : NULL;

	if (!e || !is_idle(e))
		return false;
	*page = e->page;
	*failed = e->state == KMM_CACHED_FAILED;
	drop(k, c, e);
	return true;
}

/* w held. NULL: none in this part of the table. */
static struct kmm_page *next_old(struct kmm *k, struct kmm_swap_cache *c, unsigned *left, uint32_t *raw)
{
	for (; *left; --*left) {
		struct kmm_cached *e = &c->at[c->hand++ % KMM_CACHED_MOST];
		struct kmm_page *page = e->page;

		if (e->state != KMM_CACHED_READY || c->clock - e->stamp < OLD)
			continue;
		*raw = e->raw;
		drop(k, c, e);
		return page;
	}
	return NULL;
}

void kmm_cached_trim(struct kmm *k)
{
	struct kmm_swap_cache *c = k->swap->cache;
	unsigned left = KMM_CACHED_MOST / 4;

	if (!c || !__atomic_load_n(&c->nr_idle, __ATOMIC_RELAXED))
		return;
	while (left) {
		uint32_t raw = 0;
		unsigned long flags = lock(k);
		struct kmm_page *page = next_old(k, c, &left, &raw);

		unlock(k, flags);
		if (!page)
			return;
		kmm_slot_put(k, raw);
		kmm_put_page(k, page);
	}
}

/* ---- the checker ---- */

/* Nothing is under way. The table's counts are noted like those of entries. */
unsigned kmm_cached_check(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_swap_cache *c = k->swap->cache;
	unsigned nr = 0, bad = 0;

	for (unsigned i = 0; c && i < KMM_CACHED_MOST; i++) {
		const struct kmm_cached *e = &c->at[i];

		if (e->state == KMM_CACHED_FREE)
			continue;
		nr++;
		if (is_idle(e) && find(c, e->raw) == e && e->page && kmm_swap_check_entry(k, e->raw) &&
		    kmm_page_kind(e->page) == KMM_KIND_KERNEL && slot_of(k, e->raw)->count > 1)
			continue;
		bad++;
		if (out)
			kmm_printf(out, "swap: a page on its way that should not be (%x, state %u)\n", e->raw, e->state);
	}
	if (c && (nr != c->nr || nr != c->nr_idle || c->nr_free_io != KMM_SWAP_IOS))
		bad++;
	return bad;
}
