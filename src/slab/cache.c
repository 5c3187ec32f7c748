/* SPDX-License-Identifier: MIT */
/*
 * Caches as objects: geometry, creation, destruction, shrinking, the list of all of them, and the start of the
 * layer. The structs of caches come from a cache themselves; that first one lies in the layer's state.
 */
#include "slab/slab.h"

#include "base/math.h"

enum { WORD = 8 }; /* unit of slot sizes and of offsets in free lists, on every ground */

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

/* Objects a CPU keeps at most: about two pages of them, within bounds. */
static uint32_t choose_limit(uint32_t slot)
{
	uint32_t nr = 2 * KMM_PAGE_SIZE / slot;

	if (nr > 64)
		return 64;
	return nr < 4 ? 4 : nr & ~1u;
}

/* Slot of an ordinary cache: the link at its start, or behind a constructed object. */
static uint32_t plain_layout(struct kmm_cache *cache, size_t size, size_t align)
{
	uint32_t slot = (uint32_t)kmm_align_up(size, WORD);
	uint32_t room = slot;

	cache->link = 0;
	if (cache->ctor) {
		cache->link = slot;
		slot += WORD;
		room = WORD;
	}
	cache->has_mark = 2 * sizeof(kmm_link_word) <= room;
	return (uint32_t)kmm_align_up(slot, align);
}

static bool set_geometry(struct kmm_cache *cache, size_t size, size_t align)
{
	bool debug = cache->flags & KMM_CACHE_DEBUG;

	cache->size = (uint32_t)size;
	cache->slot = debug ? kmm_debug_layout(cache, size, align) : plain_layout(cache, size, align);
	if (cache->slot > KMM_PAGE_SIZE << KMM_SLAB_MAX_ORDER)
		return false;
	cache->order = (uint8_t)choose_order(cache->slot);
	cache->offset_mask = (KMM_PAGE_SIZE << cache->order) - 1;
	cache->nr_objects = (uint16_t)((KMM_PAGE_SIZE << cache->order) / cache->slot);
	cache->reciprocal = UINT32_MAX / cache->slot + 1;
	cache->limit = debug ? 0 : choose_limit(cache->slot);
	cache->batch = debug ? 1 : cache->limit / 2;
	return true;
}

static void set_name(struct kmm_cache *cache, const char *name)
{
	size_t i;

	for (i = 0; name[i] && i < sizeof(cache->name) - 1; i++)
		cache->name[i] = name[i];
	cache->name[i] = '\0';
}

size_t kmm_cache_struct_size(const struct kmm *k)
{
	return sizeof(struct kmm_cache) + k->machine.nr_cpus * sizeof(struct kmm_magazine);
}

/* Fills a struct of kmm_cache_struct_size() bytes; not yet in the list. errors: KMM_EINVAL. */
enum kmm_status kmm_cache_setup(struct kmm *k, struct kmm_cache *cache, const char *name, size_t size, size_t align,
				unsigned flags, void (*ctor)(void *object))
{
	align = align < WORD ? WORD : align;
	if (size == 0 || size > KMM_KMALLOC_MAX_CLASS || align > KMM_PAGE_SIZE || (align & (align - 1)))
		return KMM_EINVAL;
	if (flags & ~(unsigned)(KMM_CACHE_DEBUG | KMM_CACHE_DMA))
		return KMM_EINVAL;
	__builtin_memset(cache, 0, kmm_cache_struct_size(k));
	cache->flags = flags;
	cache->ctor = ctor;
	set_name(cache, name);
	return set_geometry(cache, size, align) ? KMM_OK : KMM_EINVAL;
}

void kmm_cache_register(struct kmm *k, struct kmm_cache *cache)
{
	struct kmm_slab *slab = k->slab;
	unsigned long flags = kmm_spin_lock(k, &slab->lock, KMM_LOCK_SLAB);

	kmm_list_add_before(&slab->caches, &cache->list);
	kmm_spin_unlock(k, &slab->lock, KMM_LOCK_SLAB, flags);
}

struct kmm_cache *kmm_cache_next(struct kmm *k, struct kmm_cache *cache)
{
	struct kmm_slab *slab = k->slab;
	unsigned long flags = kmm_spin_lock(k, &slab->lock, KMM_LOCK_SLAB);
	struct kmm_list *item = cache ? cache->list.prev : slab->caches.prev;
	struct kmm_cache *next = NULL;

	if (cache)
		cache->pins--;
	if (item != &slab->caches) {
		next = kmm_container(item, struct kmm_cache, list);
		next->pins++;
	}
	kmm_spin_unlock(k, &slab->lock, KMM_LOCK_SLAB, flags);
	return next;
}

/* Out of the list, as soon as nobody who walks it stands at this cache. */
static void unregister(struct kmm *k, struct kmm_cache *cache)
{
	struct kmm_slab *slab = k->slab;
	bool pinned = true;

	while (pinned) {
		unsigned long flags = kmm_spin_lock(k, &slab->lock, KMM_LOCK_SLAB);

		pinned = cache->pins != 0;
		if (!pinned)
			kmm_list_del(&cache->list);
		kmm_spin_unlock(k, &slab->lock, KMM_LOCK_SLAB, flags);
		if (pinned && k->port->relax)
			k->port->relax(k->port);
	}
}

enum kmm_status kmm_cache_create(struct kmm *k, const char *name, size_t size, size_t align, unsigned flags,
				 void (*ctor)(void *object), struct kmm_cache **out)
{
	struct kmm_cache *cache = kmm_cache_alloc(k, k->slab->cache_cache, KMM_GFP_KERNEL);
	enum kmm_status status;

	if (!cache)
		return KMM_ENOMEM;
	status = kmm_cache_setup(k, cache, name, size, align, flags, ctor);
	if (status) {
		kmm_cache_free(k, k->slab->cache_cache, cache);
		return status;
	}
	kmm_cache_register(k, cache);
	*out = cache;
	return KMM_OK;
}

/* Names every object of a slab that is not free. The cache is quiet: its user is destroying it. */
static void name_leaks(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page)
{
	uint32_t bits[KMM_SLAB_MAX_OBJECTS / 32] = { 0 };
	char *base = kmm_slab_base(k, page);
	unsigned i, nr_free;
	bool whole = kmm_slab_free_bits(k, cache, page, bits, &nr_free);

	KMM_ASSERT(k, whole);
	for (i = 0; i < cache->nr_objects; i++) {
		char *slot = base + i * cache->slot;
		uint64_t caller = kmm_debug_caller(cache, slot);

		if (bits[i / 32] & 1u << i % 32)
			continue;
		if (caller)
			kmm_warn(k, "slab: %s: object 0x%llx is still allocated, from 0x%llx", cache->name,
				 (unsigned long long)kmm_ptr_to_kva(k, slot + cache->front).v, (unsigned long long)caller);
		else
			kmm_warn(k, "slab: %s: object 0x%llx is still allocated", cache->name,
				 (unsigned long long)kmm_ptr_to_kva(k, slot + cache->front).v);
	}
}

static void name_leaks_in(struct kmm *k, struct kmm_cache *cache, const struct kmm_page_list *list)
{
	struct kmm_page *page;

	for (page = kmm_page_list_first(k, list); page; page = kmm_page_next(k, page))
		name_leaks(k, cache, page);
}

/* Deletes the empty slabs; returns the pages. */
static kmm_word drop_empty(struct kmm *k, struct kmm_cache *cache)
{
	unsigned long flags = kmm_spin_lock(k, &cache->lock, KMM_LOCK_SLAB);
	struct kmm_page_list dead = cache->empty;
	kmm_word pages = dead.nr << cache->order;

	cache->empty = (struct kmm_page_list){ 0, 0 };
	kmm_spin_unlock(k, &cache->lock, KMM_LOCK_SLAB, flags);
	kmm_slab_delete_list(k, cache, &dead);
	return pages;
}

enum kmm_status kmm_cache_destroy(struct kmm *k, struct kmm_cache *cache)
{
	unsigned cpu;

	for (cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		kmm_object_drain(k, cache, cpu, UINT32_MAX);
	if (cache->inuse) {
		name_leaks_in(k, cache, &cache->full);
		name_leaks_in(k, cache, &cache->partial);
		return KMM_EBUSY;
	}
	unregister(k, cache);
	drop_empty(k, cache);
	kmm_cache_free(k, k->slab->cache_cache, cache);
	return KMM_OK;
}

/* This CPU's magazine too; other CPUs' stay, since only they may touch them. */
kmm_word kmm_cache_shrink(struct kmm *k, struct kmm_cache *cache)
{
	unsigned long flags = k->port->irq_save(k->port);
	kmm_word pages = kmm_object_drain(k, cache, kmm_slab_cpu(k), UINT32_MAX);

	k->port->irq_restore(k->port, flags);
	return pages + drop_empty(k, cache);
}

kmm_word kmm_slab_shrink_all(struct kmm *k)
{
	struct kmm_cache *cache = NULL;
	kmm_word pages = 0;

	while ((cache = kmm_cache_next(k, cache)))
		pages += kmm_cache_shrink(k, cache);
	return pages;
}

const char *kmm_slab_owner(struct kmm *k, struct kmm_page *page)
{
	struct kmm_page *head = kmm_slab_head(k, page);
	const struct kmm_cache *cache = head ? kmm_page_owner(k, head) : NULL;

	return cache ? cache->name : "";
}

enum kmm_status kmm_slab_init(struct kmm *k)
{
	size_t size = kmm_cache_struct_size(k);
	struct kmm_slab *slab = kmm_phys_alloc_state(k, sizeof(*slab) + KMM_SLAB_CACHE_LINE + size, "slab state");
	enum kmm_status status;

	if (!slab)
		return KMM_ENOMEM;
	k->slab = slab;
	kmm_list_init(&slab->caches);
	slab->cache_cache = (struct kmm_cache *)(uintptr_t)kmm_align_up((uintptr_t)(slab + 1), KMM_SLAB_CACHE_LINE);
	status = kmm_cache_setup(k, slab->cache_cache, "kmem_cache", size, KMM_SLAB_CACHE_LINE, 0, NULL);
	if (!status) {
		kmm_cache_register(k, slab->cache_cache);
		status = kmm_kmalloc_init(k);
	}
	if (status) {
		kmm_kmalloc_fini(k);
		kmm_cache_shrink(k, slab->cache_cache);
		k->slab = NULL;
	}
	return status;
}
