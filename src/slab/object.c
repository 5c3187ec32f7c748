/* SPDX-License-Identifier: MIT */
/*
 * Objects of a named cache: the public calls, and what lies behind the fast paths of fast.h.
 *
 * An empty magazine is filled with a batch from the slabs, a full one gives a batch back, so the cache's lock is
 * taken once per batch. A debug cache has limit 0: its magazines stay empty and every call comes here.
 */
#include "slab/slab.h"

#include "slab/fast.h"

/* A slot taken straight from its slab becomes an object. */
static void *hand_out(struct kmm *k, struct kmm_cache *cache, void *slot, const void *caller)
{
	if (cache->flags & KMM_CACHE_DEBUG)
		return kmm_debug_alloc(k, cache, slot, caller);
	if (kmm_object_has_mark(cache))
		kmm_object_link(cache, slot)[1] = 0;
	return slot;
}

/* One object, and a batch of others into this CPU's magazine as far as there is room. Lock held. */
static void *take_batch(struct kmm *k, struct kmm_cache *cache)
{
	struct kmm_magazine *magazine = &cache->cpu[kmm_slab_cpu(k)];
	unsigned room = cache->limit - magazine->nr;

	return kmm_slab_take(k, cache, magazine, cache->batch <= room ? cache->batch : room + 1);
}

/* Twice around at most, but for other CPUs that empty the new slab before we get the lock. */
void *kmm_object_alloc_slow(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp, const void *caller)
{
	struct kmm_page *fresh = NULL;
	unsigned long flags;
	void *slot;

	do {
		flags = kmm_spin_lock(k, &cache->lock, KMM_LOCK_SLAB);
		if (fresh)
			kmm_page_list_add(k, &cache->empty, fresh);
		slot = take_batch(k, cache);
		kmm_spin_unlock(k, &cache->lock, KMM_LOCK_SLAB, flags);
		if (slot)
			return hand_out(k, cache, slot, caller);
		fresh = kmm_slab_new(k, cache, gfp);
	} while (fresh);
	return NULL;
}

/* Moves up to nr objects from a CPU's magazine to their slabs. Lock held. */
static void drain_locked(struct kmm *k, struct kmm_cache *cache, struct kmm_magazine *magazine, unsigned nr,
			 struct kmm_page_list *dead)
{
	while (nr-- && magazine->head) {
		void *object = kmm_magazine_pop(k, cache, magazine);
		struct kmm_page *page = kmm_fast_head(k, object);

		KMM_ASSERT(k, page && kmm_fast_cache(k, page) == cache);
		kmm_slab_give(k, cache, page, object, dead);
	}
}

/* Empties a magazine; returns pages freed. cpu: this one, or one that does not use the cache now. */
kmm_word kmm_object_drain(struct kmm *k, struct kmm_cache *cache, unsigned cpu, unsigned nr)
{
	struct kmm_page_list dead = { 0, 0 };
	unsigned long flags = kmm_spin_lock(k, &cache->lock, KMM_LOCK_SLAB);
	kmm_word slabs;

	drain_locked(k, cache, &cache->cpu[cpu], nr, &dead);
	kmm_spin_unlock(k, &cache->lock, KMM_LOCK_SLAB, flags);
	slabs = dead.nr;
	kmm_slab_delete_list(k, cache, &dead);
	return slabs << cache->order;
}

static bool in_magazine(struct kmm *k, struct kmm_cache *cache, const void *object)
{
	unsigned long flags = k->port->irq_save(k->port);
	kmm_word next = cache->cpu[kmm_slab_cpu(k)].head;
	bool found = false;

	while (next && !found) {
		char *other = k->direct_map + (uintptr_t)(next - 1);

		found = other == object;
		next = *kmm_object_link(cache, other);
	}
	k->port->irq_restore(k->port, flags);
	return found;
}

static bool in_slab(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page, const void *object)
{
	uint32_t bits[KMM_SLAB_MAX_OBJECTS / 32] = { 0 };
	uint32_t number = kmm_slot_number(cache, (uint32_t)((const char *)object - (char *)kmm_slab_base(k, page)));
	unsigned long flags = kmm_spin_lock(k, &cache->lock, KMM_LOCK_SLAB);
	unsigned nr_free;
	bool whole = kmm_slab_free_bits(k, cache, page, bits, &nr_free);

	kmm_spin_unlock(k, &cache->lock, KMM_LOCK_SLAB, flags);
	return !whole || (number < cache->nr_objects && bits[number / 32] & 1u << number % 32);
}

/* An object that bears the mark of a free one is being freed. */
static void check_marked(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page, void *object)
{
	bool object_is_free = in_magazine(k, cache, object) || in_slab(k, cache, page, object);

	if (object_is_free)
		kmm_warn(k, "slab: %s: object 0x%llx is freed twice", cache->name,
			 (unsigned long long)kmm_ptr_to_kva(k, object).v);
	KMM_ASSERT(k, !object_is_free);
}

void kmm_object_free_slow(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page, void *object)
{
	struct kmm_page_list dead = { 0, 0 };
	struct kmm_magazine *magazine;
	unsigned long flags;

	if (cache->flags & KMM_CACHE_DEBUG) {
		object = kmm_debug_free(k, cache, page, object);
		if (!object)
			return;
	} else if (kmm_object_is_marked(cache, object)) {
		check_marked(k, cache, page, object);
	}
	flags = kmm_spin_lock(k, &cache->lock, KMM_LOCK_SLAB);
	magazine = &cache->cpu[kmm_slab_cpu(k)];
	if (magazine->nr >= cache->limit)
		drain_locked(k, cache, magazine, cache->batch, &dead);
	if (cache->limit && kmm_object_starts_slot(k, cache, object)) {
		kmm_magazine_push(k, cache, magazine, object);
	} else {
		kmm_slab_give(k, cache, page, object, &dead);
	}
	kmm_spin_unlock(k, &cache->lock, KMM_LOCK_SLAB, flags);
	kmm_slab_delete_list(k, cache, &dead);
}

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

void *kmm_cache_alloc(struct kmm *k, struct kmm_cache *cache, kmm_gfp gfp)
{
	void *object;

	if (KMM_RARE(gfp & KMM_SLAB_BAD_GFP))
		gfp = kmm_object_fix_gfp(k, cache->name, gfp, __builtin_return_address(0));
	if (KMM_RARE(kmm_inject(k, "cache object")) && !(gfp & KMM_GFP_NOFAIL))
		return NULL;
	object = kmm_object_alloc(k, cache, gfp);
	if (KMM_RARE(k->trace != NULL) && object)
		kmm_object_trace(k, KMM_EV_KMALLOC, object, cache->size, gfp);
	return object;
}

/* Freed to the wrong cache, or no slab object at all. A debug cache reports it, others do not go on. */
static void foreign(struct kmm *k, struct kmm_cache *cache, const struct kmm_page *page, const void *object)
{
	bool pointer_is_of_this_cache = false;
	const struct kmm_cache *owner = page ? kmm_page_owner(k, page) : NULL;

	kmm_warn(k, "slab: %s: object 0x%llx belongs to %s", cache->name,
		 (unsigned long long)kmm_ptr_to_kva(k, object).v, owner ? owner->name : "no cache");
	if (!(cache->flags & KMM_CACHE_DEBUG))
		KMM_ASSERT(k, pointer_is_of_this_cache);
}

void kmm_cache_free(struct kmm *k, struct kmm_cache *cache, void *object)
{
	struct kmm_page *page = kmm_fast_head(k, object);

	if (KMM_RARE(!page || kmm_fast_cache(k, page) != cache)) {
		foreign(k, cache, page, object);
		return;
	}
	if (KMM_RARE(k->trace != NULL))
		kmm_object_trace(k, KMM_EV_KFREE, object, cache->size, 0);
	kmm_object_free(k, cache, page, object);
}
