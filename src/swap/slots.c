/* SPDX-License-Identifier: MIT */
/*
 * The map of an area's slots. A word of the map is a cluster: slots are taken in order inside one that was wholly free, so
 * that what is evicted together lies together and comes back by one transfer; torn clusters are used when no whole
 * one is left.
 */
#include "swap/zswap.h"

/* ---- taking ---- */

static bool find_word(struct kmm_swap_area *a)
{
	for (uint32_t n = 0; n <= a->nr_words; n++) {
		uint32_t word = a->hand + n < a->nr_words ? a->hand + n : a->hand + n - a->nr_words;
		bool good = a->nr_whole && n ? a->map[word] == KMM_BITS_ALL : a->map[word] != 0;

		if (good) {
			a->hand = word;
			return true;
		}
	}
	return false;
}

/* w held, something is free. */
static void take_in(struct kmm *k, struct kmm_swap_area *a, unsigned want, struct kmm_slot_run *out)
{
	bool found = find_word(a);
	kmm_bits word = a->map[a->hand], rest;
	unsigned bit = kmm_bits_first(word), nr;

	KMM_ASSERT(k, found && word != 0);
	(void)found;
	rest = ~(word >> bit);
	nr = rest ? kmm_bits_first(rest) : KMM_BITS - bit;
	nr = nr < want ? nr : want;
	a->nr_whole -= word == KMM_BITS_ALL;
	out->first = a->hand * KMM_BITS + bit;
	out->nr = nr;
	for (unsigned i = 0; i < nr; i++) {
		struct kmm_slot *slot = &a->slot[out->first + i];

		KMM_ASSERT(k, slot->count == 0);
		a->map[a->hand] &= ~((kmm_bits)1 << (bit + i));
		slot->count = 1;
		slot->stamp = k->swap->clock++ & KMM_SLOT_STAMP;
	}
	__atomic_store_n(&a->nr_free, a->nr_free - nr, __ATOMIC_RELAXED);
}

static bool is_better(const struct kmm_swap_area *a, const struct kmm_swap_area *than)
{
	return a->dev && !a->leaving && a->nr_free && (!than || a->priority > than->priority);
}

bool kmm_slots_take(struct kmm *k, unsigned want, struct kmm_slot_run *out)
{
	struct kmm_swap *s = k->swap;
	unsigned long flags = kmm_spin_lock(k, &s->lock, KMM_LOCK_SWAP);
	struct kmm_swap_area *best = NULL;

	s->turn++;
	for (unsigned n = 0; n < KMM_SWAP_AREAS; n++) {
		struct kmm_swap_area *a = &s->area[(s->turn + n) % KMM_SWAP_AREAS];

		if (is_better(a, best))
			best = a;
	}
	if (best) {
		out->place = (unsigned)(best - s->area);
		take_in(k, best, want, out);
	}
	kmm_spin_unlock(k, &s->lock, KMM_LOCK_SWAP, flags);
	return best != NULL;
}

/* ---- counting ---- */

static struct kmm_slot *slot_of(struct kmm *k, uint32_t raw)
{
	struct kmm_swap_area *a = &k->swap->area[kmm_swap_place(raw)];

	KMM_ASSERT(k, kmm_swap_place(raw) < KMM_SWAP_AREAS && a->dev && kmm_swap_slot(raw) < a->nr_slots);
	return &a->slot[kmm_swap_slot(raw)];
}

/* w held. */
static bool get(struct kmm *k, struct kmm_slot *slot)
{
	bool fits = slot->count < KMM_SLOT_MOST;

	KMM_ASSERT(k, slot->count != 0 && slot->count != KMM_SLOT_BAD);
	slot->count = (uint16_t)(slot->count + fits);
	return fits;
}

bool kmm_slot_get(struct kmm *k, uint32_t raw)
{
	unsigned long flags;
	bool fits;

	if (kmm_swap_is_same(raw))
		return true;
	flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);
	fits = get(k, slot_of(k, raw));
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
	return fits;
}

/* Nothing of its group's is in the slot any more. w held. */
static void uncharge(struct kmm *k, struct kmm_swap_area *a, uint32_t slot)
{
	if (!a->group || !a->group[slot])
		return;
	kmm_group_swap_put(kmm_group_by_id(k, a->group[slot]));
	a->group[slot] = 0;
}

/* w held; nobody has a count of it. */
static void free_slot(struct kmm *k, struct kmm_swap_area *a, uint32_t slot)
{
	uint32_t word = slot / KMM_BITS;

	uncharge(k, a, slot);
	if (kmm_zswap_forget(k, a, slot)) {
		a->slot[slot].count = KMM_SLOT_BAD;
		a->nr_bad++;
		return;
	}
	a->map[word] |= (kmm_bits)1 << (slot % KMM_BITS);
	if (a->map[word] == KMM_BITS_ALL) {
		a->nr_whole++;
		if (a->dead)
			a->dead[word / KMM_BITS] |= (kmm_bits)1 << (word % KMM_BITS);
	}
	__atomic_store_n(&a->nr_free, a->nr_free + 1, __ATOMIC_RELAXED);
}

void kmm_slot_put_some(struct kmm *k, uint32_t raw, unsigned nr)
{
	struct kmm_swap_area *a;
	struct kmm_page *page = NULL;
	struct kmm_slot *slot;
	unsigned long flags;
	bool failed = false;

	if (kmm_swap_is_same(raw))
		return;
	a = &k->swap->area[kmm_swap_place(raw)];
	flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);
	slot = slot_of(k, raw);
	KMM_ASSERT(k, slot->count >= nr && slot->count != KMM_SLOT_BAD);
	slot->count = (uint16_t)(slot->count - nr);
	if (slot->count == 1 && kmm_cached_let_go(k, raw, &page, &failed))
		slot->count = failed ? KMM_SLOT_BAD : 0;
	a->nr_bad += failed;
	if (failed)
		uncharge(k, a, kmm_swap_slot(raw));
	if (slot->count == 0)
		free_slot(k, a, kmm_swap_slot(raw));
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
	if (page)
		kmm_put_page(k, page);
}

/* Pages that went out of the slot's group, or of the machine. w held. */
static uint32_t clock_of(struct kmm *k, uint32_t raw)
{
	const struct kmm_swap_area *a = &k->swap->area[kmm_swap_place(raw)];
	uint16_t id = a->group ? a->group[kmm_swap_slot(raw)] : 0;

	return id ? __atomic_load_n(&kmm_group_by_id(k, id)->clock, __ATOMIC_RELAXED) : k->swap->clock;
}

/* w held. */
static void read_stamp(struct kmm *k, uint32_t raw, const struct kmm_slot *slot, struct kmm_slot_past *past)
{
	past->was = (uint8_t)(slot->stamp >> KMM_SLOT_AGE_SHIFT);
	past->distance = (clock_of(k, raw) - slot->stamp) & KMM_SLOT_STAMP;
}

void kmm_slot_past(struct kmm *k, uint32_t raw, struct kmm_slot_past *past)
{
	unsigned long flags;

	*past = (struct kmm_slot_past){ 0 };
	if (kmm_swap_is_same(raw))
		return;
	flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);
	read_stamp(k, raw, slot_of(k, raw), past);
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
}

bool kmm_slot_get_with_past(struct kmm *k, uint32_t raw, struct kmm_slot_past *past)
{
	struct kmm_slot *slot;
	unsigned long flags;
	bool fits;

	*past = (struct kmm_slot_past){ 0 };
	if (kmm_swap_is_same(raw))
		return true;
	flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);
	slot = slot_of(k, raw);
	fits = get(k, slot);
	read_stamp(k, raw, slot, past);
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
	return fits;
}

void kmm_slot_note_page(struct kmm *k, unsigned place, uint32_t slot, const struct kmm_page *page)
{
	struct kmm_swap_area *a = &k->swap->area[place];
	struct kmm_group *group = kmm_page_group(k, page);
	struct kmm_slot *s = &a->slot[slot];
	uint32_t stamp = s->stamp & KMM_SLOT_STAMP;

	KMM_ASSERT(k, s->count == 1 && (!group || a->group));
	if (group) {
		a->group[slot] = (uint16_t)group->id;
		stamp = __atomic_fetch_add(&group->clock, 1, __ATOMIC_RELAXED) & KMM_SLOT_STAMP;
	}
	s->stamp = stamp | (uint32_t)kmm_page_age(page) << KMM_SLOT_AGE_SHIFT;
}

struct kmm_group *kmm_slot_group(struct kmm *k, uint32_t raw)
{
	const struct kmm_swap_area *a;
	struct kmm_group *group = NULL;
	unsigned long flags;

	if (kmm_swap_is_same(raw) || !k->groups)
		return NULL;
	a = &k->swap->area[kmm_swap_place(raw)];
	flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);
	if (a->group && a->group[kmm_swap_slot(raw)])
		group = kmm_group_by_id(k, a->group[kmm_swap_slot(raw)]);
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
	return group && !__atomic_load_n(&group->offline, __ATOMIC_RELAXED) ? group : NULL;
}

void kmm_slot_retire(struct kmm *k, unsigned place, uint32_t slot)
{
	struct kmm_swap_area *a = &k->swap->area[place];
	unsigned long flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);

	KMM_ASSERT(k, a->slot[slot].count == 1);
	a->slot[slot].count = KMM_SLOT_BAD;
	a->nr_bad++;
	uncharge(k, a, slot);
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
}

/* ---- telling the device ---- */

/* A dead word of the area that is still wholly free is taken out of use for the time. w held. false: none. */
static bool take_dead(struct kmm_swap_area *a, uint32_t *out)
{
	for (uint32_t i = 0; i <= (a->nr_words - 1) / KMM_BITS; i++)
		while (a->dead[i]) {
			uint32_t word = i * KMM_BITS + kmm_bits_first(a->dead[i]);

			a->dead[i] &= a->dead[i] - 1;
			if (a->map[word] != KMM_BITS_ALL)
				continue;
			a->map[word] = 0;
			a->nr_whole--;
			__atomic_store_n(&a->nr_free, a->nr_free - KMM_BITS, __ATOMIC_RELAXED);
			*out = word;
			return true;
		}
	return false;
}

static bool discard_one(struct kmm *k, struct kmm_swap_area *a)
{
	struct kmm_swap *s = k->swap;
	unsigned long flags = kmm_spin_lock(k, &s->lock, KMM_LOCK_SWAP);
	uint32_t word;
	bool found = take_dead(a, &word);

	kmm_spin_unlock(k, &s->lock, KMM_LOCK_SWAP, flags);
	if (!found)
		return false;
	a->dev->ops->discard(a->dev, word * KMM_BITS, KMM_BITS);
	flags = kmm_spin_lock(k, &s->lock, KMM_LOCK_SWAP);
	a->map[word] = KMM_BITS_ALL;
	a->nr_whole++;
	__atomic_store_n(&a->nr_free, a->nr_free + KMM_BITS, __ATOMIC_RELAXED);
	kmm_spin_unlock(k, &s->lock, KMM_LOCK_SWAP, flags);
	return true;
}

void kmm_slots_discard(struct kmm *k, unsigned most)
{
	if (!kmm_mutex_trylock(&k->swap->change)) /* areas stay meanwhile */
		return;
	for (unsigned i = 0; i < KMM_SWAP_AREAS; i++)
		while (k->swap->area[i].dead && most && discard_one(k, &k->swap->area[i]))
			most--;
	kmm_mutex_unlock(k, &k->swap->change);
}
