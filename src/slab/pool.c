/* SPDX-License-Identifier: MIT */
/*
 * Pools: geometry, sharing, life, and giving memory back; and the lists of pools and caches.
 *
 * Two caches share a pool when their objects take equal slots in the same zone, are not constructed and not checked, and
 * neither forbids it. A shared pool's objects are as large as their slots, so it does not matter whose size
 * was which.
 *
 * How much a pool keeps: a magazine about `budget` bytes of objects (64 KiB; less on small machines), the depot twice that,
 * empty slabs as much; within the bounds of slab.h.
 */
#include "slab/slab.h"

#include "base/mem.h"
#include "base/math.h"
#include "slab/fast.h"

enum { WORD = 8 }; /* unit of slot sizes and of offsets in free lists, on every ground */

/* ---- geometry ---- */

/* Four objects at least, and at most an eighth wasted. */
static bool order_suits(uint32_t slot, unsigned order)
{
	uint32_t bytes = KMM_PAGE_SIZE << order;

	return bytes / slot >= 4 && bytes % slot * 8 <= bytes;
}

/* The smallest that suits, else the largest. */
static unsigned choose_order(uint32_t slot)
{
	unsigned order = 0;

	while (order != KMM_SLAB_MAX_ORDER && !order_suits(slot, order))
		order++;
	return order;
}

static uint32_t clamp(uint32_t value, uint32_t low, uint32_t high)
{
	return value < low ? low : value > high ? high : value;
}

/* Slot of an ordinary pool: struct kmm_free at its start, or behind a constructed object. */
static uint32_t plain_layout(struct kmm_pool *pool, size_t size, size_t align)
{
	uint32_t slot = (uint32_t)kmm_align_up(size, WORD);

	pool->word = 0;
	if (pool->ctor) {
		pool->word = slot;
		slot += (uint32_t)sizeof(struct kmm_free);
	}
	return (uint32_t)kmm_align_up(slot, align);
}

static bool may_share(const struct kmm_pool *pool)
{
	return !pool->ctor && !(pool->flags & (KMM_CACHE_DEBUG | KMM_CACHE_NO_MERGE));
}

/* All CPUs' magazines. */
static size_t magazine_bytes(const struct kmm *k, const struct kmm_pool *pool)
{
	size_t one = sizeof(struct kmm_magazine) + (1 + pool->limit) * sizeof(void *);

	return (size_t)kmm_align_up(one, KMM_SLAB_CACHE_LINE) * k->machine.nr_cpus;
}

static size_t pool_bytes(const struct kmm *k, const struct kmm_pool *pool)
{
	return sizeof(*pool) + magazine_bytes(k, pool) + pool->depot_max * sizeof(void *);
}

static void set_limits(struct kmm_pool *pool, uint32_t limit, uint32_t depot)
{
	pool->limit = limit;
	pool->batch = limit / 2;
	pool->depot_max = depot / pool->batch * pool->batch;
}

/* Halves what the CPUs keep until the pool's own memory fits a block. */
static void choose_limits(const struct kmm *k, struct kmm_pool *pool)
{
	uint32_t budget = pool->flags & KMM_CACHE_DMA ? k->slab->budget / 8 : k->slab->budget;
	uint32_t limit = clamp(budget / pool->slot, 4, KMM_MAGAZINE_MAX) & ~1u;
	uint32_t depot = clamp(3 * budget / pool->slot, limit, KMM_DEPOT_MAX);

	pool->keep_empty = clamp(budget >> (KMM_PAGE_SHIFT + pool->order), 1, 16);
	if (pool->flags & KMM_CACHE_DEBUG)
		return; /* magazines that hold nothing, no depot: every object goes by its slab */
	set_limits(pool, limit, depot);
	while (pool_bytes(k, pool) > KMM_PAGE_SIZE << KMM_SLAB_MAX_ORDER && limit > 4)
		set_limits(pool, limit = (limit / 2) & ~1u, depot /= 2);
	while (pool_bytes(k, pool) > KMM_PAGE_SIZE << KMM_SLAB_MAX_ORDER && pool->depot_max)
		set_limits(pool, limit, depot /= 2);
}

/* Fills the constant part. false: the slot would be larger than a slab. */
static bool plan(const struct kmm *k, const struct kmm_pool_spec *spec, struct kmm_pool *pool)
{
	size_t align = spec->align < WORD ? WORD : spec->align;

	memset(pool, 0, sizeof(*pool));
	pool->flags = spec->flags;
	pool->ctor = spec->ctor;
	pool->size = (uint32_t)spec->size;
	pool->slot = spec->flags & KMM_CACHE_DEBUG ? kmm_debug_layout(pool, spec->size, align) :
						     plain_layout(pool, spec->size, align);
	if (pool->slot > KMM_PAGE_SIZE << KMM_SLAB_MAX_ORDER)
		return false;
	if (may_share(pool))
		pool->size = pool->slot;
	pool->order = (uint8_t)choose_order(pool->slot);
	pool->offset_mask = (KMM_PAGE_SIZE << pool->order) - 1;
	pool->nr_objects = (uint16_t)((KMM_PAGE_SIZE << pool->order) / pool->slot);
	pool->reciprocal = UINT32_MAX / pool->slot + 1;
	pool->last_start = (pool->nr_objects - 1) * pool->slot * pool->reciprocal;
	choose_limits(k, pool);
	KMM_ASSERT(k, pool->nr_objects >= 1 && pool->nr_objects <= KMM_SLAB_MAX_OBJECTS && pool->word + sizeof(struct kmm_free) <= pool->slot);
	KMM_ASSERT(k, !pool->limit || (pool->batch >= 1 && pool->batch <= pool->limit && pool->depot_max % pool->batch == 0));
	kmm_slab_set_name(pool->name, spec->name);
	return true;
}

void kmm_slab_set_name(char to[24], const char *name)
{
	size_t i;

	for (i = 0; name[i] && i < 23; i++)
		to[i] = name[i];
	to[i] = '\0';
}

/* ---- lists ---- */

void kmm_entry_add(struct kmm *k, struct kmm_list *head, struct kmm_entry *entry)
{
	unsigned long flags = kmm_spin_lock(k, &k->slab->lock, KMM_LOCK_SLAB);

	entry->pins = 0;
	kmm_list_add_before(head, &entry->list);
	kmm_spin_unlock(k, &k->slab->lock, KMM_LOCK_SLAB, flags);
}

struct kmm_entry *kmm_entry_next(struct kmm *k, struct kmm_list *head, struct kmm_entry *at)
{
	unsigned long flags = kmm_spin_lock(k, &k->slab->lock, KMM_LOCK_SLAB);
	struct kmm_list *item = at ? at->list.prev : head->prev;
	struct kmm_entry *next = NULL;

	KMM_ASSERT(k, !at || at->pins > 0);
	if (at)
		at->pins--;
	if (item != head) {
		next = kmm_container(item, struct kmm_entry, list);
		next->pins++;
	}
	kmm_spin_unlock(k, &k->slab->lock, KMM_LOCK_SLAB, flags);
	return next;
}

void kmm_entry_remove(struct kmm *k, struct kmm_entry *entry)
{
	bool pinned = true;

	while (pinned) {
		unsigned long flags = kmm_spin_lock(k, &k->slab->lock, KMM_LOCK_SLAB);

		pinned = entry->pins != 0;
		if (!pinned)
			kmm_list_del(&entry->list);
		kmm_spin_unlock(k, &k->slab->lock, KMM_LOCK_SLAB, flags);
		if (pinned && k->port->relax)
			k->port->relax(k->port);
	}
}

struct kmm_pool *kmm_pool_next(struct kmm *k, struct kmm_pool *at)
{
	struct kmm_entry *entry = kmm_entry_next(k, &k->slab->pools, at ? &at->entry : NULL);

	return entry ? kmm_container(entry, struct kmm_pool, entry) : NULL;
}

/* ---- life ---- */

/* Lock slab held. Pools about to die have no users, or are closing. */
static struct kmm_pool *find_equal(struct kmm_slab *slab, const struct kmm_pool *wanted)
{
	struct kmm_list *item;

	for (item = slab->pools.next; item != &slab->pools; item = item->next) {
		struct kmm_pool *pool = kmm_container(item, struct kmm_pool, entry.list);

		if (pool->users && !pool->closing && may_share(pool) && pool->slot == wanted->slot && pool->flags == wanted->flags)
			return pool;
	}
	return NULL;
}

static struct kmm_pool *share(struct kmm *k, const struct kmm_pool *wanted)
{
	unsigned long flags = kmm_spin_lock(k, &k->slab->lock, KMM_LOCK_SLAB);
	struct kmm_pool *pool = may_share(wanted) ? find_equal(k->slab, wanted) : NULL;

	KMM_ASSERT(k, !pool || pool->users > 0);
	if (pool)
		pool->users++;
	kmm_spin_unlock(k, &k->slab->lock, KMM_LOCK_SLAB, flags);
	return pool;
}

/* Frames below 4 GiB where a machine has low memory that a descriptor could not point at. */
static kmm_gfp frames_gfp(const struct kmm *k)
{
	return KMM_GFP_KERNEL | KMM_GFP_COMP | ((uint64_t)k->layout.lowmem_end >> 38 ? KMM_GFP_DMA32 : 0);
}

static void *pool_frames(struct kmm *k, size_t bytes, const char *site)
{
	struct kmm_page *page = kmm_phys_alloc(k, frames_gfp(k), kmm_size_to_order(bytes), KMM_KIND_KERNEL, site);

	return page ? kmm_page_lowmem_ptr(k, page) : NULL;
}

/* While kmalloc does not work yet the pools lie one behind the other in blocks of frames, which stay for good. */
static void *boot_memory(struct kmm *k, size_t bytes)
{
	struct kmm_slab *slab = k->slab;
	size_t block = (size_t)KMM_PAGE_SIZE << KMM_SLAB_MAX_ORDER;

	bytes = (size_t)kmm_align_up(bytes, KMM_SLAB_CACHE_LINE);
	if (slab->boot_bytes < bytes) {
		slab->boot = pool_frames(k, block, "slab state");
		slab->boot_bytes = slab->boot ? block : 0;
	}
	if (slab->boot_bytes < bytes)
		return NULL;
	slab->boot_bytes -= bytes;
	return slab->boot + slab->boot_bytes;
}

static bool lies_in_frames(const struct kmm *k)
{
	return frames_gfp(k) & KMM_GFP_DMA32;
}

static void *pool_memory(struct kmm *k, size_t bytes)
{
	if (!k->slab->started)
		return boot_memory(k, bytes);
	return lies_in_frames(k) ? pool_frames(k, bytes, "slab state") : kmm_kmalloc(k, bytes, KMM_GFP_KERNEL);
}

static void free_pool_memory(struct kmm *k, struct kmm_pool *pool)
{
	struct kmm_page *page = kmm_virt_to_page(k, pool);

	if (pool->boot)
		return;
	if (lies_in_frames(k))
		kmm_phys_free(k, page, kmm_page_order(page));
	else
		kmm_kfree(k, pool);
}

/* What lies behind the struct: the magazines, each on cache lines of its own, and the depot. */
static void place_arrays(struct kmm *k, struct kmm_pool *pool)
{
	size_t all = magazine_bytes(k, pool), one = all / k->machine.nr_cpus;
	char *at = (char *)(pool + 1);
	unsigned cpu;

	for (cpu = 0; cpu < k->machine.nr_cpus; cpu++) {
		struct kmm_magazine *magazine = (struct kmm_magazine *)(void *)(at + cpu * one);

		magazine->top = magazine->slot;
		magazine->end = magazine->slot + pool->limit;
		magazine->pool = pool;
		pool->magazine[cpu] = magazine;
	}
	pool->depot = (void **)(void *)(at + all);
}

static struct kmm_pool *create(struct kmm *k, const struct kmm_pool *planned)
{
	size_t bytes = pool_bytes(k, planned);
	struct kmm_pool *pool = pool_memory(k, bytes);

	if (!pool)
		return NULL;
	KMM_ASSERT(k, ((uint64_t)((char *)pool - k->direct_map) & ~(UINT64_C(0xffffffff) << KMM_POOL_SHIFT)) == 0);
	memset(pool, 0, bytes);
	*pool = *planned;
	pool->boot = !k->slab->started;
	place_arrays(k, pool);
	pool->users = 1;
	kmm_entry_add(k, &k->slab->pools, &pool->entry);
	return pool;
}

enum kmm_status kmm_pool_get(struct kmm *k, const struct kmm_pool_spec *spec, struct kmm_pool **out)
{
	struct kmm_pool planned, *pool;

	if (!plan(k, spec, &planned))
		return KMM_EINVAL;
	pool = share(k, &planned);
	if (!pool)
		pool = create(k, &planned);
	if (!pool)
		return KMM_ENOMEM;
	*out = pool;
	return KMM_OK;
}

void kmm_pool_put(struct kmm *k, struct kmm_pool *pool)
{
	unsigned long flags = kmm_spin_lock(k, &k->slab->lock, KMM_LOCK_SLAB);
	bool last;
	unsigned cpu;

	KMM_ASSERT(k, pool->users > 0);
	last = --pool->users == 0;
	kmm_spin_unlock(k, &k->slab->lock, KMM_LOCK_SLAB, flags);
	if (!last)
		return;
	kmm_entry_remove(k, &pool->entry);
	for (cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		kmm_pool_drain(k, pool, cpu);
	kmm_pool_trim(k, pool);
	KMM_ASSERT(k, pool->inuse == 0 && pool->nr_slabs == 0);
	free_pool_memory(k, pool);
}

/* ---- giving back ---- */

void kmm_pool_drain(struct kmm *k, struct kmm_pool *pool, unsigned cpu)
{
	struct kmm_magazine *magazine = pool->magazine[cpu];
	struct kmm_page_list dead = { 0, 0 };
	unsigned long flags;

	if (pool->limit == 0)
		return;
	flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	kmm_magazine_empty(k, pool, magazine, &dead);
	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	kmm_slab_delete_list(k, pool, &dead);
}

kmm_word kmm_pool_trim(struct kmm *k, struct kmm_pool *pool)
{
	unsigned long flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	struct kmm_page_list dead = { 0, 0 }, empty;
	kmm_word pages;

	kmm_slab_give(k, pool, pool->depot, pool->depot_nr, &dead);
	pool->depot_nr = 0;
	empty = pool->empty;
	pool->empty = (struct kmm_page_list){ 0, 0 };
	KMM_ASSERT(k, pool->nr_slabs >= empty.nr);
	pool->nr_slabs -= empty.nr;
	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	pages = (dead.nr + empty.nr) << pool->order;
	kmm_slab_delete_list(k, pool, &dead);
	kmm_slab_delete_list(k, pool, &empty);
	return pages;
}

/* Asks the other CPUs for their magazines. */
static void ask_others(struct kmm *k, struct kmm_pool *pool)
{
	unsigned long flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	unsigned cpu, self = kmm_cpu(k);

	for (cpu = 0; cpu < k->machine.nr_cpus; cpu++) {
		struct kmm_magazine *magazine = pool->magazine[cpu];

		if (cpu != self && kmm_magazine_nr(magazine))
			kmm_magazine_set_end(magazine, magazine->slot);
	}
	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
}

kmm_word kmm_pool_spare(struct kmm *k, struct kmm_pool *pool)
{
	unsigned long flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	kmm_word pages = (pool->empty.nr << pool->order) + pool->depot_nr;

	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	return pages;
}

static kmm_word count_slabs(struct kmm *k, struct kmm_pool *pool)
{
	unsigned long flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);
	kmm_word nr = pool->nr_slabs;

	kmm_spin_unlock(k, &pool->lock, KMM_LOCK_SLAB, flags);
	return nr;
}

/* This CPU's magazine, the depot, the empty slabs; other CPUs' magazines when those free next. */
static kmm_word shrink(struct kmm *k, struct kmm_pool *pool)
{
	kmm_word before = count_slabs(k, pool), after;
	unsigned long flags = kmm_irq_save(k);

	kmm_pool_drain(k, pool, kmm_cpu(k));
	ask_others(k, pool);
	kmm_irq_restore(k, flags);
	kmm_pool_trim(k, pool);
	after = count_slabs(k, pool);
	return after < before ? (before - after) << pool->order : 0;
}

kmm_word kmm_cache_shrink(struct kmm *k, struct kmm_cache *cache)
{
	kmm_word pages = 0;
	unsigned i;

	for (i = 0; i < KMM_NR_CHECKS; i++) {
		struct kmm_pool *pool = __atomic_load_n(&cache->pools[i], __ATOMIC_ACQUIRE);

		pages += pool ? shrink(k, pool) : 0;
	}
	return pages;
}

kmm_word kmm_slab_shrink_all(struct kmm *k)
{
	struct kmm_pool *pool = NULL;
	kmm_word pages = 0;

	while ((pool = kmm_pool_next(k, pool)))
		pages += shrink(k, pool);
	return pages;
}

const char *kmm_slab_owner(struct kmm *k, struct kmm_page *page)
{
	struct kmm_page *head = kmm_slab_head(k, page);

	return head ? kmm_fast_pool(k, head)->name : "";
}
