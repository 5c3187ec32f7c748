/* SPDX-License-Identifier: MIT */
/*
 * Areas that come and go, what reports say of them, and the checker. (What is in an area is brought back by
 * reclaim/swapoff.c, which knows spaces.)
 */
#include "swap/zswap.h"

#include "base/mem.h"
#include "kmm/slab.h"
#include "kmm/vmalloc.h"

enum kmm_status kmm_swap_init(struct kmm *k)
{
	k->swap = kmm_kzalloc(k, sizeof(*k->swap), KMM_GFP_KERNEL);
	if (!k->swap)
		return KMM_ENOMEM;
	k->swap->next_priority = -2; /* as Linux counts */
	return KMM_OK;
}

void kmm_swap_fini(struct kmm *k)
{
	if (k->swap->cache)
		kmm_vfree(k, k->swap->cache);
	kmm_kfree(k, k->swap);
	k->swap = NULL;
}

/* ---- coming ---- */

void kmm_swap_drop_packed(struct kmm *k, struct kmm_swap_area *a)
{
	if (a->packed)
		kmm_vfree(k, a->packed);
	a->packed = NULL;
}

static void free_maps(struct kmm *k, struct kmm_swap_area *a)
{
	if (a->map)
		kmm_vfree(k, a->map);
	if (a->dead)
		kmm_vfree(k, a->dead);
	if (a->slot)
		kmm_vfree(k, a->slot);
	if (a->group)
		kmm_vfree(k, a->group);
	kmm_swap_drop_packed(k, a);
	a->map = a->dead = NULL;
	a->slot = NULL;
	a->group = NULL;
}

static void *alloc_zeroed(struct kmm *k, size_t size)
{
	void *at = kmm_vmalloc(k, size, "swap area");

	if (at)
		memset(at, 0, size);
	return at;
}

bool kmm_swap_make_packed(struct kmm *k, struct kmm_swap_area *a)
{
	uint32_t *packed = a->nr_slots ? alloc_zeroed(k, a->nr_slots * sizeof(*packed)) : NULL;

	__atomic_store_n(&a->packed, packed, __ATOMIC_RELAXED);
	return packed || !a->nr_slots;
}

static bool make_group(struct kmm *k, struct kmm_swap_area *a)
{
	if (!a->group && a->nr_slots)
		__atomic_store_n(&a->group, alloc_zeroed(k, a->nr_slots * sizeof(*a->group)), __ATOMIC_RELEASE);
	return a->group || !a->nr_slots;
}

static enum kmm_status make_maps(struct kmm *k, struct kmm_swap_area *a, const struct kmm_swap_device *dev)
{
	a->nr_slots = dev->nr_slots < KMM_SWAP_MOST ? (uint32_t)dev->nr_slots : KMM_SWAP_MOST;
	a->nr_words = (a->nr_slots + KMM_BITS - 1) / KMM_BITS;
	a->map = alloc_zeroed(k, a->nr_words * sizeof(*a->map));
	a->slot = alloc_zeroed(k, a->nr_slots * sizeof(*a->slot));
	if (dev->ops->discard)
		a->dead = alloc_zeroed(k, (a->nr_words / KMM_BITS + 1) * sizeof(*a->dead));
	if (!a->map || !a->slot || (dev->ops->discard && !a->dead) || (k->swap->zswap && !kmm_swap_make_packed(k, a)) ||
	    (k->swap->has_groups && !make_group(k, a))) {
		free_maps(k, a);
		return KMM_ENOMEM;
	}
	for (uint32_t slot = 0; slot < a->nr_slots; slot++)
		a->map[slot / KMM_BITS] |= (kmm_bits)1 << (slot % KMM_BITS);
	a->nr_free = a->nr_slots;
	a->nr_whole = a->nr_slots / KMM_BITS;
	return KMM_OK;
}

int kmm_swap_find(struct kmm *k, const struct kmm_swap_device *dev)
{
	for (unsigned i = 0; i < KMM_SWAP_AREAS; i++)
		if (k->swap->area[i].dev == dev)
			return (int)i;
	return -1;
}

static enum kmm_status add(struct kmm *k, struct kmm_swap_device *dev, int priority)
{
	struct kmm_swap_area made = { .dev = dev, .priority = priority };
	int place = kmm_swap_find(k, NULL);
	unsigned long flags;
	enum kmm_status status;

	if (kmm_swap_find(k, dev) >= 0)
		return KMM_EBUSY;
	if (place < 0)
		return KMM_EOVERFLOW;
	if (kmm_device_starts(dev)) {
		status = kmm_cache_make(k);
		if (status)
			return status;
	}
	status = make_maps(k, &made, dev);
	if (status)
		return status;
	if (priority < 0)
		made.priority = k->swap->next_priority--;
	dev->k = k;
	flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);
	k->swap->area[place] = made;
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
	return KMM_OK;
}

enum kmm_status kmm_swap_on(struct kmm *k, struct kmm_swap_device *dev, int priority)
{
	enum kmm_status status;

	if (dev->nr_slots == 0)
		return KMM_EINVAL;
	kmm_mutex_lock(k, &k->swap->change);
	status = add(k, dev, priority);
	kmm_mutex_unlock(k, &k->swap->change);
	return status;
}

enum kmm_status kmm_swap_make_groups(struct kmm *k)
{
	bool made = true;

	kmm_mutex_lock(k, &k->swap->change);
	for (unsigned i = 0; i < KMM_SWAP_AREAS && made; i++)
		made = make_group(k, &k->swap->area[i]);
	k->swap->has_groups |= made;
	kmm_mutex_unlock(k, &k->swap->change);
	return made ? KMM_OK : KMM_ENOMEM;
}

/* ---- going ---- */

void kmm_swap_set_leaving(struct kmm *k, unsigned place, bool leaving)
{
	unsigned long flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);

	k->swap->area[place].leaving = leaving;
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
}

uint32_t kmm_swap_used(struct kmm *k, unsigned place)
{
	struct kmm_swap_area *a = &k->swap->area[place];
	unsigned long flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);
	uint32_t used = a->nr_slots - a->nr_free - a->nr_bad;

	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
	return used;
}

void kmm_swap_drop(struct kmm *k, unsigned place)
{
	struct kmm_swap_area *a = &k->swap->area[place], old;
	unsigned long flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);

	KMM_ASSERT(k, a->leaving && a->nr_free + a->nr_bad == a->nr_slots);
	old = *a;
	*a = (struct kmm_swap_area){ .dev = NULL };
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
	free_maps(k, &old);
}

/* ---- reports ---- */

bool kmm_swap_info(struct kmm *k, unsigned i, struct kmm_swap_info *out)
{
	struct kmm_swap_area *a;
	unsigned long flags;

	if (!k->swap || i >= KMM_SWAP_AREAS)
		return false;
	flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);
	a = &k->swap->area[i];
	*out = (struct kmm_swap_info){ a->dev, a->priority, a->nr_slots, a->nr_slots - a->nr_free - a->nr_bad, a->nr_bad };
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
	return out->dev != NULL;
}

void kmm_swap_stats(struct kmm *k, struct kmm_swap_stats *out)
{
	const struct kmm_swap_stats *now;
	struct kmm_swap_info info;

	*out = (struct kmm_swap_stats){ 0 };
	if (!k->swap)
		return;
	now = &k->swap->stats;
	*out = (struct kmm_swap_stats){
		.in = kmm_word_glance(&now->in), .out = kmm_word_glance(&now->out),
		.same_in = kmm_word_glance(&now->same_in), .same_out = kmm_word_glance(&now->same_out),
		.read_errors = kmm_word_glance(&now->read_errors), .write_errors = kmm_word_glance(&now->write_errors),
		.ahead = kmm_word_glance(&now->ahead), .ahead_used = kmm_word_glance(&now->ahead_used),
		.major = kmm_word_glance(&now->major), .retaken = kmm_word_glance(&now->retaken),
	};
	if (k->swap->cache) {
		out->cached = __atomic_load_n(&k->swap->cache->nr_idle, __ATOMIC_RELAXED);
		out->writing = kmm_swap_writing(k);
	}
	for (unsigned i = 0; i < KMM_SWAP_AREAS; i++) {
		if (!kmm_swap_info(k, i, &info))
			continue;
		out->total += info.nr_slots - info.nr_bad;
		out->free += info.nr_slots - info.nr_bad - info.nr_used;
	}
}

void kmm_report_swaps(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_swap_info info;

	kmm_printf(out, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	for (unsigned i = 0; i < KMM_SWAP_AREAS; i++)
		if (kmm_swap_info(k, i, &info))
			kmm_printf(out, "%-40s%s\t%s%llu\t\t%llu\t\t%d\n", info.dev->name, info.dev->type,
				   info.dev->type[0] == 'f' ? "\t" : "",
				   (unsigned long long)(info.nr_slots - info.nr_bad) << (KMM_PAGE_SHIFT - 10),
				   (unsigned long long)info.nr_used << (KMM_PAGE_SHIFT - 10), info.priority);
}

/* ---- checker ---- */

void kmm_swap_check_begin(struct kmm *k)
{
	kmm_swap_quiesce(k);
	for (unsigned i = 0; i < KMM_SWAP_AREAS; i++)
		for (uint32_t slot = 0; slot < k->swap->area[i].nr_slots; slot++)
			k->swap->area[i].slot[slot].seen = 0;
}

bool kmm_swap_check_entry(struct kmm *k, uint32_t raw)
{
	unsigned place = kmm_swap_place(raw);
	struct kmm_swap_area *a;

	if (kmm_swap_is_same(raw))
		return kmm_swap_slot(raw) <= 0xff;
	if (place >= KMM_SWAP_AREAS)
		return false;
	a = &k->swap->area[place];
	if (!a->dev || kmm_swap_slot(raw) >= a->nr_slots)
		return false;
	a->slot[kmm_swap_slot(raw)].seen++;
	return true;
}

static void say(struct kmm_sink *out, const char *what, uint32_t a, uint32_t b)
{
	if (out)
		kmm_printf(out, "swap: %s (%u, %u)\n", what, a, b);
}

static unsigned check_area(const struct kmm_swap_area *a, struct kmm_sink *out)
{
	uint32_t nr_free = 0, nr_bad = 0;
	unsigned bad = 0;

	for (uint32_t i = 0; i < a->nr_slots; i++) {
		const struct kmm_slot *slot = &a->slot[i];
		bool free = a->map[i / KMM_BITS] >> (i % KMM_BITS) & 1;

		nr_free += free;
		nr_bad += slot->count == KMM_SLOT_BAD;
		if (free == (slot->count == 0) && slot->seen == (slot->count == KMM_SLOT_BAD ? 0 : slot->count))
			continue;
		bad++;
		say(out, free ? "a slot that the map says is free" : "a slot is counted by others than its entries", i, slot->count);
	}
	if (nr_free != a->nr_free || nr_bad != a->nr_bad) {
		bad++;
		say(out, "an area counts other slots as free or bad than those that are", nr_free, nr_bad);
	}
	return bad;
}

unsigned kmm_swap_check_end(struct kmm *k, struct kmm_sink *out)
{
	unsigned bad = kmm_cached_check(k, out);

	for (unsigned i = 0; i < KMM_SWAP_AREAS; i++)
		if (k->swap->area[i].dev)
			bad += check_area(&k->swap->area[i], out);
	for (unsigned i = 0; i < KMM_SWAP_AREAS; i++)
		for (uint32_t slot = 0; k->swap->area[i].group && slot < k->swap->area[i].nr_slots; slot++)
			kmm_group_check_slot(k, k->swap->area[i].group[slot]);
	return bad + kmm_zswap_check(k, out);
}
