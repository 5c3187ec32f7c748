/* SPDX-License-Identifier: MIT */
/*
 * Memory pools: a reserve of elements for those who must make progress to free memory, such as whoever writes
 * pages out.
 *
 *	alloc:  source without reclaim  ->  reserve  ->  source with reclaim  ->  sleep until an element comes back
 *	free:   reserve, while it is not full; else back to the source
 *
 * The reserve comes before reclaim: it is there so that nobody has to wait for memory whose freeing waits for him. Since the
 * reserve is filled first, every element that comes back lets a sleeper go on.
 *
 * Lock: pool->lock (KMM_LOCK_SLAB) for nr, min and the slots.
 */
#include "base/mem.h"
#include "slab/slab.h"

enum { MOST = 65536, LOOK_AT = 256 }; /* elements in a reserve; of those, that a free is compared with */

struct kmm_mempool {
	struct kmm_spin lock;
	unsigned nr, min;            /* lock: elements in the reserve; how many it should hold */
	atomic_uint out;             /* elements that callers hold */
	struct kmm_mempool_source source; /* constant */
	void **reserve;              /* lock: min slots */
};

/* ---- the reserve ---- */

static void *take(struct kmm *k, struct kmm_mempool *pool)
{
	unsigned long flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	void *element = pool->nr ? pool->reserve[--pool->nr] : NULL;

	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	return element;
}

enum put { PUT_KEPT, PUT_FULL, PUT_TWICE };

/* Only the newest are looked through for the element: a second free mostly follows soon, and a large reserve shall not
 * take long to fill. Lock held. */
static bool is_in_reserve(const struct kmm_mempool *pool, const void *element)
{
	unsigned i, nr = pool->nr < LOOK_AT ? pool->nr : LOOK_AT;

	for (i = 1; i <= nr; i++)
		if (pool->reserve[pool->nr - i] == element)
			return true;
	return false;
}

static enum put put(struct kmm *k, struct kmm_mempool *pool, void *element, bool fresh)
{
	unsigned long flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	bool twice = !fresh && is_in_reserve(pool, element);
	enum put done = twice ? PUT_TWICE : pool->nr < pool->min ? PUT_KEPT : PUT_FULL;

	if (done == PUT_KEPT)
		pool->reserve[pool->nr++] = element;
	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	return done;
}

/* Fills it from the source. false: out of memory. */
static bool fill(struct kmm *k, struct kmm_mempool *pool)
{
	const struct kmm_mempool_source *source = &pool->source;

	for (;;) {
		void *element;

		if (kmm_mempool_reserve(pool) >= pool->min)
			return true;
		element = source->alloc(k, source->arg, KMM_GFP_KERNEL);
		if (!element)
			return false;
		if (put(k, pool, element, true) != PUT_KEPT)
			source->free(k, source->arg, element);
	}
}

static void empty(struct kmm *k, struct kmm_mempool *pool)
{
	void *element;

	while ((element = take(k, pool)))
		pool->source.free(k, pool->source.arg, element);
}

unsigned kmm_mempool_reserve(const struct kmm_mempool *pool)
{
	return __atomic_load_n(&pool->nr, __ATOMIC_RELAXED);
}

/* ---- allocation and free ---- */

struct sleeper {
	struct kmm *k;
	struct kmm_mempool *pool;
	void *element;
};

static bool got_one(void *arg)
{
	struct sleeper *s = arg;

	if (!s->element)
		s->element = take(s->k, s->pool);
	return s->element != NULL;
}

static void *wait_for_one(struct kmm *k, struct kmm_mempool *pool)
{
	struct sleeper s = { k, pool, NULL };

	if (k->port->wait)
		k->port->wait(k->port, pool, got_one, &s);
	return s.element;
}

/* From the reserve, as the source would have made it. */
static void *take_prepared(struct kmm *k, struct kmm_mempool *pool, kmm_gfp gfp, bool may_wait)
{
	void *element = may_wait ? wait_for_one(k, pool) : take(k, pool);

	if (element && (gfp & KMM_GFP_ZERO) && pool->source.size)
		memset(element, 0, pool->source.size);
	return element;
}

void *kmm_mempool_alloc(struct kmm *k, struct kmm_mempool *pool, kmm_gfp gfp)
{
	const kmm_gfp patience = KMM_GFP_RECLAIM | KMM_GFP_IO | KMM_GFP_FS | KMM_GFP_NOFAIL;
	const struct kmm_mempool_source *source = &pool->source;
	kmm_gfp quick = (gfp & ~patience) | KMM_GFP_NORETRY | KMM_GFP_NOWARN;
	void *element = source->alloc(k, source->arg, quick);

	if (!element)
		element = take_prepared(k, pool, gfp, false);
	if (!element && (gfp & KMM_GFP_RECLAIM)) {
		element = source->alloc(k, source->arg, (gfp & ~(kmm_gfp)KMM_GFP_NOFAIL) | KMM_GFP_NORETRY | KMM_GFP_NOWARN);
		if (!element)
			element = take_prepared(k, pool, gfp, true);
	}
	if (element)
		atomic_fetch_add_explicit(&pool->out, 1, memory_order_relaxed);
	return element;
}

void kmm_mempool_free(struct kmm *k, struct kmm_mempool *pool, void *element)
{
	enum put done = put(k, pool, element, false);
	bool element_was_out = done != PUT_TWICE;

	if (!element_was_out)
		kmm_warn(k, "mempool: element 0x%llx is freed twice", (unsigned long long)kmm_ptr_to_kva(k, element).v);
	KMM_ASSERT(k, element_was_out);
	if (!element_was_out)
		return;
	atomic_fetch_sub_explicit(&pool->out, 1, memory_order_relaxed);
	if (done == PUT_FULL)
		pool->source.free(k, pool->source.arg, element);
	else if (k->port->wake)
		k->port->wake(k->port, pool);
}

/* ---- life ---- */

enum kmm_status kmm_mempool_create(struct kmm *k, unsigned min, const struct kmm_mempool_source *source,
				   struct kmm_mempool **out)
{
	struct kmm_mempool *pool;

	if (min == 0 || min > MOST || !source->alloc || !source->free)
		return KMM_EINVAL;
	pool = kmm_kzalloc(k, sizeof(*pool), KMM_GFP_KERNEL);
	if (!pool)
		return KMM_ENOMEM;
	pool->reserve = kmm_kmalloc(k, min * sizeof(void *), KMM_GFP_KERNEL);
	pool->source = *source;
	pool->min = min;
	if (!pool->reserve || !fill(k, pool)) {
		empty(k, pool);
		kmm_kfree(k, pool->reserve);
		kmm_kfree(k, pool);
		return KMM_ENOMEM;
	}
	*out = pool;
	return KMM_OK;
}

/* Makes `array` the reserve's, and the array it had *array; returns the min it had. Elements that no longer fit
 * stay in the old array, from `min` on, *surplus of them. */
static unsigned swap_array(struct kmm *k, struct kmm_mempool *pool, void ***array, unsigned min, unsigned *surplus)
{
	unsigned long flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	unsigned kept = pool->nr < min ? pool->nr : min, old_min = pool->min;
	void **old = pool->reserve;

	*surplus = pool->nr - kept;
	memcpy(*array, old, kept * sizeof(void *));
	pool->reserve = *array;
	pool->nr = kept;
	pool->min = min;
	*array = old;
	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	return old_min;
}

/* The array must have min slots, or as many as the reserve has now. */
static unsigned change_min(struct kmm *k, struct kmm_mempool *pool, void **array, unsigned min)
{
	unsigned surplus, i, old_min = swap_array(k, pool, &array, min, &surplus);

	for (i = 0; i < surplus; i++)
		pool->source.free(k, pool->source.arg, array[min + i]);
	kmm_kfree(k, array);
	return old_min;
}

enum kmm_status kmm_mempool_resize(struct kmm *k, struct kmm_mempool *pool, unsigned min)
{
	void **array, **spare;
	unsigned old_min;

	if (min == 0 || min > MOST)
		return KMM_EINVAL;
	array = kmm_kmalloc(k, min * sizeof(void *), KMM_GFP_KERNEL);
	spare = kmm_kmalloc(k, pool->min * sizeof(void *), KMM_GFP_KERNEL); /* for the way back */
	if (!array || !spare) {
		kmm_kfree(k, array);
		kmm_kfree(k, spare);
		return KMM_ENOMEM;
	}
	old_min = change_min(k, pool, array, min);
	if (fill(k, pool)) {
		kmm_kfree(k, spare);
		return KMM_OK;
	}
	change_min(k, pool, spare, old_min);
	return KMM_ENOMEM;
}

enum kmm_status kmm_mempool_destroy(struct kmm *k, struct kmm_mempool *pool)
{
	unsigned out = atomic_load_explicit(&pool->out, memory_order_relaxed);

	if (out) {
		kmm_warn(k, "mempool: destroyed while %u of its elements are out; not freed", out);
		return KMM_EBUSY;
	}
	empty(k, pool);
	kmm_kfree(k, pool->reserve);
	kmm_kfree(k, pool);
	return KMM_OK;
}

/* ---- usual sources ---- */

static void *cache_alloc(struct kmm *k, void *arg, kmm_gfp gfp)
{
	return kmm_cache_alloc(k, arg, gfp);
}

static void cache_free(struct kmm *k, void *arg, void *element)
{
	kmm_cache_free(k, arg, element);
}

struct kmm_mempool_source kmm_mempool_of_cache(struct kmm_cache *cache)
{
	return (struct kmm_mempool_source){ cache_alloc, cache_free, cache, cache->size };
}

static void *kmalloc_alloc(struct kmm *k, void *arg, kmm_gfp gfp)
{
	return kmm_kmalloc(k, (size_t)(uintptr_t)arg, gfp);
}

static void kmalloc_free(struct kmm *k, void *arg, void *element)
{
	(void)arg;
	kmm_kfree(k, element);
}

struct kmm_mempool_source kmm_mempool_of_kmalloc(size_t size)
{
	return (struct kmm_mempool_source){ kmalloc_alloc, kmalloc_free, (void *)(uintptr_t)size, size };
}
