/* SPDX-License-Identifier: MIT */
/*
 * Caches: names for pools. Creation, switching of checks, destruction that names leaks, and the start of the layer.
 *
 * A cache whose checks change gets another pool for the new ones and keeps the old pool until it dies, since a CPU may
 * be about to allocate from it and objects of it are out. Every set of checks is made once, so that a cache has
 * KMM_NR_CHECKS pools at most, however often it is switched.
 */
#include "slab/slab.h"

#include "base/math.h"
#include "base/mem.h"
#include "slab/fast.h"

/* ---- creation ---- */

/* The pool of a cache for a set of checks; users counts it. */
static enum kmm_status get_pool(struct kmm *k, const struct kmm_cache *cache, unsigned checks, struct kmm_pool **out)
{
	const struct kmm_pool_spec spec = { .name = cache->name, .size = cache->size, .align = cache->align,
					    .flags = cache->flags | checks, .ctor = cache->ctor };

	return kmm_pool_get(k, &spec, out);
}

/* Fills a cache that its caller provides, and lists it. errors: KMM_EINVAL, KMM_ENOMEM. */
enum kmm_status kmm_cache_open(struct kmm *k, struct kmm_cache *cache, const char *name, size_t size, size_t align,
			       unsigned flags, void (*ctor)(void *object))
{
	unsigned checks = flags & KMM_CACHE_DEBUG;
	enum kmm_status status;

	if (size == 0 || size > KMM_KMALLOC_MAX_CLASS || align > KMM_PAGE_SIZE || (align & (align - 1)))
		return KMM_EINVAL;
	if (flags & ~(unsigned)(KMM_CACHE_DEBUG | KMM_CACHE_NO_MERGE | KMM_CACHE_DMA))
		return KMM_EINVAL;
	memset(cache, 0, sizeof(*cache));
	cache->size = (uint32_t)size;
	cache->align = (uint32_t)align;
	cache->flags = flags & ~(unsigned)KMM_CACHE_DEBUG;
	cache->ctor = ctor;
	kmm_slab_set_name(cache->name, name);
	status = get_pool(k, cache, checks, &cache->pools[checks]);
	if (status)
		return status;
	cache->pool = cache->pools[checks];
	kmm_entry_add(k, &k->slab->caches, &cache->entry);
	return KMM_OK;
}

enum kmm_status kmm_cache_create(struct kmm *k, const char *name, size_t size, size_t align, unsigned flags,
				 void (*ctor)(void *object), struct kmm_cache **out)
{
	struct kmm_cache *cache;
	enum kmm_status status;

	if (flags & KMM_CACHE_DMA) /* kmalloc's own */
		return KMM_EINVAL;
	cache = kmm_cache_alloc(k, &k->slab->cache_cache, KMM_GFP_KERNEL);
	if (!cache)
		return KMM_ENOMEM;
	status = kmm_cache_open(k, cache, name, size, align, flags, ctor);
	if (status)
		kmm_cache_free(k, &k->slab->cache_cache, cache);
	else
		*out = cache;
	return status;
}

/* ---- switching ---- */

/* Uses the pool for these checks, or one that another CPU has just made; returns the one not used, or NULL. */
static struct kmm_pool *install(struct kmm *k, struct kmm_cache *cache, unsigned checks, struct kmm_pool *made)
{
	unsigned long flags = kmm_spin_lock(k, &k->slab->lock, KMM_LOCK_SLAB);
	struct kmm_pool *surplus = cache->pools[checks] ? made : NULL;

	if (!cache->pools[checks])
		__atomic_store_n(&cache->pools[checks], made, __ATOMIC_RELEASE);
	__atomic_store_n(&cache->pool, cache->pools[checks], __ATOMIC_RELEASE);
	if (cache->mirror)
		kmm_kmalloc_update(k, cache);
	kmm_spin_unlock(k, &k->slab->lock, KMM_LOCK_SLAB, flags);
	return surplus;
}

enum kmm_status kmm_cache_set_debug(struct kmm *k, struct kmm_cache *cache, unsigned flags)
{
	struct kmm_pool *made = NULL, *surplus;
	enum kmm_status status = KMM_OK;

	if (flags & ~(unsigned)KMM_CACHE_DEBUG)
		return KMM_EINVAL;
	if (!__atomic_load_n(&cache->pools[flags], __ATOMIC_ACQUIRE))
		status = get_pool(k, cache, flags, &made);
	if (status)
		return status;
	surplus = install(k, cache, flags, made);
	if (surplus)
		kmm_pool_put(k, surplus);
	return KMM_OK;
}

/* ---- destruction ---- */

struct leak_walk {
	struct kmm *k;
	struct kmm_cache *cache;
	struct kmm_pool *pool;
};

/* Names every object of a slab that is not free. The cache is quiet: its user is destroying it. */
static void name_leaks(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr)
{
	struct leak_walk *w = arg;
	uint32_t bits[KMM_SLAB_MAX_OBJECTS / 32] = { 0 };
	unsigned i, nr_free;
	bool whole;
	char *base;

	(void)pfn;
	(void)nr;
	if (kmm_page_kind(page) != KMM_KIND_SLAB || kmm_fast_pool(w->k, page) != w->pool)
		return;
	whole = kmm_slab_free_bits(w->k, w->pool, page, bits, &nr_free);
	KMM_ASSERT(w->k, whole);
	base = kmm_slab_base(w->k, page);
	for (i = 0; i < w->pool->nr_objects; i++) {
		char *slot = base + i * w->pool->slot;
		uint64_t caller = kmm_debug_caller(w->pool, slot);
		unsigned long long va = kmm_ptr_to_kva(w->k, slot + w->pool->front).v;

		if (bits[i / 32] & 1u << i % 32)
			continue;
		if (caller)
			kmm_warn(w->k, "slab: %s: object 0x%llx is still allocated, from 0x%llx", w->cache->name, va,
				 (unsigned long long)caller);
		else
			kmm_warn(w->k, "slab: %s: object 0x%llx is still allocated", w->cache->name, va);
	}
}

/* Keeps others from joining a pool that has this cache only, or lets them again. false: it has others already, whose CPUs
 * use their magazines. */
static bool set_closing(struct kmm *k, struct kmm_pool *pool, bool closing)
{
	unsigned long flags = kmm_spin_lock(k, &k->slab->lock, KMM_LOCK_SLAB);
	bool alone = pool->users == 1;

	pool->closing = closing && alone;
	kmm_spin_unlock(k, &k->slab->lock, KMM_LOCK_SLAB, flags);
	return alone;
}

static kmm_word count_inuse(struct kmm *k, struct kmm_pool *pool)
{
	unsigned long flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	kmm_word nr = pool->inuse;

	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	return nr;
}

/* Are objects of this pool out, and certainly this cache's? They are named then. A pool without others is
 * closed to them from now on. */
static bool leaks(struct kmm *k, struct kmm_cache *cache, struct kmm_pool *pool)
{
	struct leak_walk w = { k, cache, pool };
	unsigned cpu;

	if (!set_closing(k, pool, true))
		return false;
	for (cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		kmm_pool_drain(k, pool, cpu);
	kmm_pool_trim(k, pool);
	if (count_inuse(k, pool) == 0)
		return false;
	kmm_phys_for_each(k, name_leaks, &w);
	return true;
}

/* The name in reports is that of a cache that still exists. Lock slab held. */
static void rename_pool(struct kmm_slab *slab, struct kmm_pool *pool)
{
	struct kmm_list *item;
	unsigned i;

	for (item = slab->caches.next; item != &slab->caches; item = item->next) {
		struct kmm_cache *cache = kmm_container(item, struct kmm_cache, entry.list);

		for (i = 0; i < KMM_NR_CHECKS; i++) {
			if (cache->pools[i] == pool) {
				kmm_slab_set_name(pool->name, cache->name);
				return;
			}
		}
	}
}

static void drop_pool(struct kmm *k, struct kmm_pool *pool)
{
	unsigned long flags = kmm_spin_lock(k, &k->slab->lock, KMM_LOCK_SLAB);

	rename_pool(k->slab, pool);
	kmm_spin_unlock(k, &k->slab->lock, KMM_LOCK_SLAB, flags);
	kmm_pool_put(k, pool);
}

/* Takes down what kmm_cache_open() made. errors: KMM_EBUSY leaks, named. */
enum kmm_status kmm_cache_close(struct kmm *k, struct kmm_cache *cache)
{
	bool busy = false;
	unsigned i;

	for (i = 0; i < KMM_NR_CHECKS; i++)
		busy |= cache->pools[i] && leaks(k, cache, cache->pools[i]);
	for (i = 0; i < KMM_NR_CHECKS && busy; i++)
		if (cache->pools[i])
			set_closing(k, cache->pools[i], false);
	if (busy)
		return KMM_EBUSY;
	kmm_entry_remove(k, &cache->entry);
	for (i = 0; i < KMM_NR_CHECKS; i++)
		if (cache->pools[i])
			drop_pool(k, cache->pools[i]);
	return KMM_OK;
}

enum kmm_status kmm_cache_destroy(struct kmm *k, struct kmm_cache *cache)
{
	enum kmm_status status;

	if (cache->mirror || cache == &k->slab->cache_cache)
		return KMM_EINVAL;
	status = kmm_cache_close(k, cache);
	if (!status)
		kmm_cache_free(k, &k->slab->cache_cache, cache);
	return status;
}

/* ---- names ---- */

static bool is_named(const char *name, const char *wanted)
{
	while (*name && *name == *wanted) {
		name++;
		wanted++;
	}
	return *name == *wanted;
}

struct kmm_cache *kmm_cache_find(struct kmm *k, const char *name)
{
	unsigned long flags = kmm_spin_lock(k, &k->slab->lock, KMM_LOCK_SLAB);
	struct kmm_list *item;
	struct kmm_cache *found = NULL;

	for (item = k->slab->caches.next; item != &k->slab->caches && !found; item = item->next) {
		struct kmm_cache *cache = kmm_container(item, struct kmm_cache, entry.list);

		if (is_named(cache->name, name))
			found = cache;
	}
	kmm_spin_unlock(k, &k->slab->lock, KMM_LOCK_SLAB, flags);
	return found;
}

/* ---- start ---- */

/* 64 KiB from 256 MiB of low memory on, 4 KiB below 16 MiB. */
static uint32_t choose_budget(const struct kmm *k)
{
	uint64_t share = (uint64_t)k->layout.lowmem_end >> 12;

	return (uint32_t)kmm_max_u64(4096, kmm_min_u64(65536, share));
}

/* What the fast paths look at first: hot copies, and a front for each CPU. false: out of memory. */
static bool init_fast(struct kmm *k)
{
	struct kmm_front *front = kmm_phys_alloc_state(k, k->machine.nr_cpus * sizeof(*front), "slab state");
	unsigned cpu;

	if (!front)
		return false;
	for (cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		k->front[cpu] = front + cpu;
	k->memmap = k->phys->memmap;
	k->page_bytes = kmm_stride(k->phys);
	return true;
}

enum kmm_status kmm_slab_init(struct kmm *k)
{
	struct kmm_slab *slab = kmm_phys_alloc_state(k, sizeof(*slab), "slab state");
	enum kmm_status status;

	if (!slab || !init_fast(k))
		return KMM_ENOMEM;
	k->slab = slab;
	kmm_list_init(&slab->pools);
	kmm_list_init(&slab->caches);
	slab->budget = choose_budget(k);
	status = kmm_cache_open(k, &slab->cache_cache, "kmem_cache", sizeof(struct kmm_cache), 0, KMM_CACHE_NO_MERGE, NULL);
	if (!status) {
		status = kmm_kmalloc_init(k);
		if (status) {
			kmm_kmalloc_fini(k);
			if (kmm_cache_close(k, &slab->cache_cache))
				KMM_ASSERT(k, status == KMM_OK);
		}
	}
	if (status) {
		k->slab = NULL;
		return status;
	}
	slab->started = true;
	kmm_set_straight(k); /* the layout is known by now */
	kmm_shrinkers_init(k);
	return KMM_OK;
}
