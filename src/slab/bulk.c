/* SPDX-License-Identifier: MIT */
/*
 * Many objects in one call: interrupts go off, and the lock is taken, once per magazine or batch instead of once per
 * object, and what does not fit through the magazine goes straight between caller, depot and slabs.
 *
 * Objects are looked at as singles are. One that is not plainly sound (a debug cache's, one of an earlier pool of
 * the cache, a mistake) leaves the fast way and is freed as a single, after those before it: so a pointer that stands
 * twice in one call is found out like any double free.
 */
#include "base/mem.h"
#include "slab/fast.h"
#include "slab/slab.h"

enum { CHUNK = 32 };

/* ---- allocation ---- */

/* Up to nr objects from this CPU's magazine. */
static size_t from_magazine(struct kmm *k, struct kmm_pool *pool, void **objects, size_t nr)
{
	unsigned long flags = kmm_irq_save(k);
	struct kmm_magazine *magazine = pool->magazine[kmm_cpu(k)];
	uint32_t have = kmm_magazine_nr(magazine);
	void **rest;

	nr = nr < have ? nr : have;
	rest = magazine->top - nr;
	memcpy(objects, rest + 1, nr * sizeof(*objects));
	kmm_magazine_set_top(magazine, rest);
	kmm_irq_restore(k, flags);
	return nr;
}

/* Up to nr objects from depot and slabs. */
static size_t from_shared(struct kmm *k, struct kmm_pool *pool, void **objects, size_t nr)
{
	unsigned long flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	size_t got = nr < pool->depot_nr ? nr : pool->depot_nr, limit = UINT32_MAX / 2;

	pool->depot_nr -= (uint32_t)got;
	memcpy(objects, pool->depot + pool->depot_nr, got * sizeof(*objects));
	if (got < nr)
		got += kmm_slab_take(k, pool, objects + got, (unsigned)(nr - got < limit ? nr - got : limit));
	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	return got;
}

static bool add_slab(struct kmm *k, struct kmm_pool *pool, kmm_gfp gfp)
{
	struct kmm_page *fresh = kmm_slab_new(k, pool, gfp);
	unsigned long flags;

	if (!fresh)
		return false;
	flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	kmm_slab_add(k, pool, fresh);
	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	return true;
}

static void wipe_marks(const struct kmm_pool *pool, void *const *objects, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		kmm_slot_free(pool, objects[i])->mark = 0;
}

static size_t take_plain(struct kmm *k, struct kmm_pool *pool, kmm_gfp gfp, size_t nr, void **objects)
{
	size_t got = from_magazine(k, pool, objects, nr);

	while (got < nr) {
		size_t more = from_shared(k, pool, objects + got, nr - got);

		got += more;
		if (more == 0 && !add_slab(k, pool, gfp))
			break;
	}
	wipe_marks(pool, objects, got);
	return got;
}

static size_t take_singly(struct kmm *k, struct kmm_pool *pool, kmm_gfp gfp, size_t nr, void **objects, const void *caller)
{
	size_t got = 0;

	while (got < nr && (objects[got] = kmm_object_alloc_slow(k, pool, gfp, caller)) != NULL)
		got++;
	return got;
}

static void finish(struct kmm *k, const struct kmm_pool *pool, kmm_gfp gfp, size_t nr, void **objects)
{
	for (size_t i = 0; i < nr; i++) {
		if (gfp & KMM_GFP_ZERO)
			memset(objects[i], 0, pool->size);
		if (k->trace)
			kmm_object_trace(k, KMM_EV_KMALLOC, objects[i], pool->size, gfp);
	}
}

bool kmm_cache_alloc_bulk(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp, size_t nr, void **objects)
{
	struct kmm_pool *pool = kmm_cache_pool(cache);
	size_t got;

	if (KMM_RARE(gfp & KMM_SLAB_BAD_GFP))
		gfp = kmm_object_fix_gfp(k, cache->name, gfp, __builtin_return_address(0));
	if (KMM_RARE(kmm_inject(k, "cache object")) && !(gfp & KMM_GFP_NOFAIL))
		return false;
	if (KMM_RARE(pool->limit == 0))
		got = take_singly(k, pool, gfp, nr, objects, __builtin_return_address(0));
	else
		got = take_plain(k, pool, gfp, nr, objects);
	if (KMM_RARE((gfp & KMM_GFP_ZERO) || k->trace))
		finish(k, pool, gfp, got, objects);
	if (got < nr)
		kmm_cache_free_bulk(k, cache, got, objects);
	return got == nr;
}

/* ---- free ---- */

/* Puts nr sound and marked objects into this CPU's magazine, batches of older ones out of it as needed. */
static void to_magazine(struct kmm *k, struct kmm_pool *pool, void *const *objects, uint32_t nr)
{
	struct kmm_page_list dead = { 0, 0 };
	unsigned long flags = kmm_irq_save(k), inner;
	struct kmm_magazine *magazine = pool->magazine[kmm_cpu(k)];

	while (nr) {
		uint32_t room = kmm_magazine_room(magazine), now = nr < room ? nr : room;

		memcpy(magazine->top + 1, objects, now * sizeof(*objects));
		kmm_magazine_set_top(magazine, magazine->top + now);
		objects += now;
		nr -= now;
		if (nr == 0)
			break;
		inner = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
		kmm_magazine_overflow(k, pool, magazine, &dead);
		kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, inner);
	}
	kmm_irq_restore(k, flags);
	if (dead.nr)
		kmm_slab_delete_list(k, pool, &dead);
}

/* Marks objects as free as long as they are sound and of this pool, up to a chunk; returns how many. Neighbours often lie
 * in the same frame, whose descriptor then need not be looked at again. */
static uint32_t mark_run(struct kmm *k, struct kmm_pool *pool, void *const *objects, size_t nr)
{
	uintptr_t known = 0;
	uint32_t i;

	nr = nr < CHUNK ? nr : CHUNK;
	for (i = 0; i < nr; i++) {
		void *object = objects[i];
		uintptr_t frame = ((uintptr_t)object >> KMM_PAGE_SHIFT) + 1;

		if (frame != known) {
			struct kmm_page *page = kmm_fast_head(k, object);

			if (!page || kmm_fast_pool(k, page) != pool)
				break;
			known = frame;
		}
		if (!kmm_object_is_sound(k, pool, object))
			break;
		kmm_slot_free(pool, object)->mark = KMM_FREE_MARK;
	}
	return i;
}

void kmm_cache_free_bulk(struct kmm *k, struct kmm_cache *cache, size_t nr, void *const *objects)
{
	struct kmm_pool *pool = kmm_cache_pool(cache);

	while (nr) {
		uint32_t run = pool->limit && !k->trace ? mark_run(k, pool, objects, nr) : 0;

		if (run)
			to_magazine(k, pool, objects, run);
		else
			kmm_cache_free(k, cache, objects[run++]);
		objects += run;
		nr -= run;
	}
}
