/* SPDX-License-Identifier: MIT */
/*
 * Objects of a named cache: the public calls, and what lies behind the fast paths of fast.h.
 *
 * An empty magazine is filled with a batch from the depot, else from the slabs; a full one gives its oldest batch to the
 * depot, else to the slabs. So the pool's lock is taken once per batch, whichever CPU the objects come from. A
 * debug pool has limit 0: its magazines stay empty and every call comes here.
 */
#include "slab/slab.h"

#include "base/mem.h"
#include "slab/fast.h"

bool kmm_magazine_refill(struct kmm *k, struct kmm_pool *pool, struct kmm_magazine *magazine)
{
	uint32_t nr = pool->batch;

	if (pool->depot_nr) {
		nr = nr < pool->depot_nr ? nr : pool->depot_nr;
		pool->depot_nr -= nr;
		memcpy(magazine->slot + 1, pool->depot + pool->depot_nr, nr * sizeof(void *));
	} else {
		nr = kmm_slab_take(k, pool, magazine->slot + 1, nr);
	}
	kmm_magazine_set_top(magazine, magazine->slot + nr);
	kmm_magazine_set_end(magazine, magazine->slot + pool->limit); /* it was empty: whoever wanted it back has it */
	return nr != 0;
}

void kmm_magazine_empty(struct kmm *k, struct kmm_pool *pool, struct kmm_magazine *magazine, struct kmm_page_list *dead)
{
	KMM_ASSERT(k, magazine->pool == pool && kmm_magazine_nr(magazine) <= pool->limit);
	kmm_slab_give(k, pool, magazine->slot + 1, kmm_magazine_nr(magazine), dead);
	kmm_magazine_set_top(magazine, magazine->slot);
	kmm_magazine_set_end(magazine, magazine->slot + pool->limit);
}

void kmm_magazine_overflow(struct kmm *k, struct kmm_pool *pool, struct kmm_magazine *magazine,
			   struct kmm_page_list *dead)
{
	uint32_t batch = pool->batch, rest = kmm_magazine_nr(magazine) - batch;
	void **oldest = magazine->slot + 1;

	KMM_CHECK_HELD(k, &pool->lock);
	KMM_ASSERT(k, magazine->pool == pool && pool->depot_nr <= pool->depot_max);
	if (magazine->end == magazine->slot) {
		kmm_magazine_empty(k, pool, magazine, dead);
		return;
	}
	KMM_ASSERT(k, kmm_magazine_nr(magazine) >= batch);
	if (pool->depot_nr + batch <= pool->depot_max) {
		memcpy(pool->depot + pool->depot_nr, oldest, batch * sizeof(void *));
		pool->depot_nr += batch;
	} else {
		kmm_slab_give(k, pool, oldest, batch, dead);
	}
	memmove(oldest, oldest + batch, rest * sizeof(void *));
	kmm_magazine_set_top(magazine, magazine->slot + rest);
}

/* ---- allocation ---- */

/* One object, and others into this CPU's magazine. Lock held; NULL: all slabs are full. */
static void *take(struct kmm *k, struct kmm_pool *pool)
{
	struct kmm_magazine *magazine = pool->magazine[kmm_cpu(k)];
	void *object = NULL;

	KMM_CHECK_HELD(k, &pool->lock);
	if (pool->limit == 0)
		kmm_slab_take(k, pool, &object, 1);
	else if (kmm_magazine_nr(magazine) || kmm_magazine_refill(k, pool, magazine))
		object = kmm_magazine_pop(magazine);
	return object;
}

/* Twice around at most, but for other CPUs that empty the new slab before we get the lock. */
void *kmm_object_alloc_slow(struct kmm *k, struct kmm_pool *pool, kmm_gfp gfp, const void *caller)
{
	struct kmm_page *fresh = NULL;
	unsigned long flags;
	void *slot;

	do {
		flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
		if (fresh)
			kmm_slab_add(k, pool, fresh);
		slot = take(k, pool);
		kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
		if (slot) {
			kmm_slot_free(pool, slot)->mark = 0;
			return pool->flags & KMM_CACHE_DEBUG ? kmm_debug_alloc(k, pool, slot, caller) : slot;
		}
		fresh = kmm_slab_new(k, pool, gfp);
	} while (fresh);
	return NULL;
}

void *kmm_object_alloc(struct kmm *k, struct kmm_pool *pool, kmm_gfp gfp, const void *caller)
{
	void *object = k->straight ? kmm_fast_pop(k, pool) : NULL;

	if (!object)
		object = kmm_object_alloc_slow(k, pool, gfp, caller);
	if (object && (gfp & KMM_GFP_ZERO))
		memset(object, 0, pool->size);
	if (object && k->trace)
		kmm_object_trace(k, KMM_EV_KMALLOC, object, pool->size, gfp);
	return object;
}

/* ---- free ---- */

static bool among(void *const *slot, uint32_t nr, const void *object)
{
	while (nr--)
		if (__atomic_load_n(&slot[nr], __ATOMIC_RELAXED) == object)
			return true;
	return false;
}

/* Is the object free? Exact for one that the caller holds: no other CPU can put that anywhere meanwhile. Lock held. */
static bool is_free(struct kmm *k, struct kmm_pool *pool, struct kmm_page *page, const void *object)
{
	uint32_t bits[KMM_SLAB_MAX_OBJECTS / 32] = { 0 };
	uint32_t number = kmm_slot_number(pool, kmm_slab_offset(k, pool, object));
	unsigned cpu, nr_free;

	for (cpu = 0; cpu < k->machine.nr_cpus; cpu++) {
		struct kmm_magazine *magazine = pool->magazine[cpu];

		if (among(magazine->slot + 1, kmm_magazine_nr(magazine), object))
			return true;
	}
	if (among(pool->depot, pool->depot_nr, object))
		return true;
	return !kmm_slab_free_bits(k, pool, page, bits, &nr_free) || bits[number / 32] & 1u << number % 32;
}

/* What the fast path did not take without another look. false: no object to free, and that was said. */
static bool is_freeable(struct kmm *k, struct kmm_pool *pool, void *object)
{
	bool object_starts_slot = kmm_slot_starts_at(pool, kmm_slab_offset(k, pool, object)), object_is_free = false;
	unsigned long flags;

	if (object_starts_slot && kmm_slot_free(pool, object)->mark == KMM_FREE_MARK) {
		flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
		object_is_free = is_free(k, pool, kmm_fast_head(k, object), object);
		kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	}
	if (!object_starts_slot)
		kmm_warn(k, "slab: %s: 0x%llx is not the start of an object; not freed", pool->name,
			 (unsigned long long)kmm_ptr_to_kva(k, object).v);
	if (object_is_free)
		kmm_warn(k, "slab: %s: object 0x%llx is freed twice", pool->name,
			 (unsigned long long)kmm_ptr_to_kva(k, object).v);
	KMM_ASSERT(k, object_starts_slot);
	KMM_ASSERT(k, !object_is_free);
	return object_starts_slot && !object_is_free;
}

static void free_to_slab(struct kmm *k, struct kmm_pool *pool, void *slot)
{
	struct kmm_page_list dead = { 0, 0 };
	unsigned long flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);

	kmm_slab_give(k, pool, &slot, 1, &dead);
	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	kmm_slab_delete_list(k, pool, &dead);
}

void kmm_object_free_slow(struct kmm *k, struct kmm_pool *pool, void *object, const void *caller)
{
	struct kmm_page_list dead = { 0, 0 };
	struct kmm_magazine *magazine;
	unsigned long flags;

	if (pool->flags & KMM_CACHE_DEBUG) {
		object = kmm_debug_free(k, pool, kmm_fast_head(k, object), object, caller);
		if (object)
			free_to_slab(k, pool, object);
		return;
	}
	if (!kmm_object_is_sound(k, pool, object) && !is_freeable(k, pool, object))
		return;
	flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	magazine = pool->magazine[kmm_cpu(k)];
	if (kmm_magazine_room(magazine) == 0)
		kmm_magazine_overflow(k, pool, magazine, &dead);
	kmm_slot_free(pool, object)->mark = KMM_FREE_MARK;
	kmm_magazine_push(magazine, object);
	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	kmm_slab_delete_list(k, pool, &dead);
}

/* ---- said about a call ---- */

/* Reports modifiers that slab memory cannot honour, with the place that asked; returns the mask without them. */
kmm_gfp kmm_object_fix_gfp(struct kmm *k, const char *what, kmm_gfp gfp, const void *caller)
{
	kmm_gfp good = gfp & ~(kmm_gfp)KMM_SLAB_BAD_GFP;
	char asked[96], gone[48], kept[96];

	kmm_gfp_describe(gfp, asked, sizeof(asked));
	kmm_gfp_describe(gfp & KMM_SLAB_BAD_GFP, gone, sizeof(gone));
	kmm_gfp_describe(good, kept, sizeof(kept));
	kmm_warn(k, "slab: %s with gfp %s (0x%x) called from 0x%llx: %s cannot serve objects; going on with %s",
		 what, asked, gfp, (unsigned long long)(uintptr_t)caller, gone, kept);
	return good;
}

void kmm_object_trace(struct kmm *k, enum kmm_event event, const void *object, uint64_t size, kmm_gfp gfp)
{
	kmm_trace(k, event, kmm_ptr_to_kva(k, object).v, size, gfp, 0);
}

/* ---- named caches ---- */

KMM_NOINLINE void *alloc_odd(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp)
{
	const void *caller = KMM_CALLER;

	if (gfp & KMM_SLAB_BAD_GFP)
		gfp = kmm_object_fix_gfp(k, cache->name, gfp, caller);
	if (kmm_inject(k, "cache object") && !(gfp & KMM_GFP_NOFAIL))
		return NULL;
	return kmm_object_alloc(k, kmm_cache_pool(cache), gfp, caller);
}

KMM_NOINLINE void *alloc_slow(struct kmm *k, struct kmm_pool *pool, kmm_gfp gfp)
{
	return kmm_object_alloc_slow(k, pool, gfp, KMM_CALLER);
}

void *kmm_cache_alloc(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp)
{
	struct kmm_pool *pool = kmm_cache_pool(cache);
	void *object;

	if (KMM_RARE((gfp & (KMM_SLAB_BAD_GFP | KMM_GFP_ZERO)) || !k->straight))
		return alloc_odd(k, cache, gfp);
	object = kmm_fast_pop(k, pool);
	if (KMM_RARE(!object))
		return alloc_slow(k, pool, gfp);
	return object;
}

/* Neither this cache's nor any slab's. A debug cache reports it, others do not go on. */
static void foreign(struct kmm *k, const struct kmm_cache *cache, const struct kmm_page *page, const void *object)
{
	bool pointer_is_of_this_cache = false;

	kmm_warn(k, "slab: %s: object 0x%llx belongs to %s; not freed", cache->name,
		 (unsigned long long)kmm_ptr_to_kva(k, object).v, page ? kmm_fast_pool(k, page)->name : "no cache");
	if (!(kmm_cache_pool(cache)->flags & KMM_CACHE_DEBUG))
		KMM_ASSERT(k, pointer_is_of_this_cache);
}

/* With trace, or where the object's slab is not of the pool that serves the cache now: perhaps of one that did. */
KMM_NOINLINE void free_odd(struct kmm *k, struct kmm_cache *cache, void *object)
{
	const void *caller = KMM_CALLER;
	struct kmm_page *page = kmm_fast_head(k, object);
	struct kmm_pool *pool = page ? kmm_fast_pool(k, page) : NULL;
	unsigned i;

	for (i = 0; pool && i < KMM_NR_CHECKS; i++) {
		if (__atomic_load_n(&cache->pools[i], __ATOMIC_ACQUIRE) == pool) {
			if (k->trace)
				kmm_object_trace(k, KMM_EV_KFREE, object, pool->size, 0);
			kmm_object_free_slow(k, pool, object, caller);
			return;
		}
	}
	foreign(k, cache, page, object);
}

KMM_NOINLINE void free_slow(struct kmm *k, struct kmm_pool *pool, void *object)
{
	kmm_object_free_slow(k, pool, object, KMM_CALLER);
}

KMM_ALWAYS_INLINE void free_to(struct kmm *k, struct kmm_cache *cache, struct kmm_pool *pool, void *object)
{
	if (KMM_RARE(pool != kmm_cache_pool(cache)))
		free_odd(k, cache, object);
	else if (KMM_RARE(!kmm_fast_push(k, pool, object)))
		free_slow(k, pool, object);
}

/* An object that does not begin in the first frame of its slab, one too many for the magazine, or a mistake. */
KMM_NOINLINE void free_tail(struct kmm *k, struct kmm_cache *cache, void *object)
{
	struct kmm_page *head = kmm_fast_head(k, object);

	if (head && k->straight)
		free_to(k, cache, kmm_fast_pool(k, head), object);
	else
		free_odd(k, cache, object);
}

void kmm_cache_free(struct kmm *k, struct kmm_cache *cache, void *object)
{
	struct kmm_pool *pool = kmm_straight_pool(k, object);

	if (KMM_RARE(!pool || pool != kmm_cache_pool(cache) || !kmm_fast_push(k, pool, object)))
		free_tail(k, cache, object);
}
