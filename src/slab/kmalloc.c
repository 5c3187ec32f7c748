/* SPDX-License-Identifier: MIT */
/*
 * kmalloc: a pool per size class, and whole frames for what is larger than the largest class.
 *
 * Classes: multiples of 8 up to 64, then four per doubling (80, 96, 112, 128, 160, ...), so that at most a fifth
 * of an object is slack. Objects start at multiples of their size from an aligned slab: a power of two is aligned
 * to itself. A second row of classes has its slabs in ZONE_DMA.
 *
 * Larger blocks are frames of kind KERNEL whose descriptor says so in `a`, the order in its flags.
 */
#include "slab/slab.h"

#include "base/math.h"
#include "slab/fast.h"

enum { LARGE_MARK = 0x6b6d }; /* descriptor's a: this block came from kmm_kmalloc */

/* Larger sizes are whole frames; so is all above a page in a build whose largest block is one. */
#define LARGEST_CLASS (KMM_SLAB_MAX_ORDER ? KMM_KMALLOC_MAX_CLASS : KMM_PAGE_SIZE)

/* Class that serves a size up to LARGEST_CLASS. */
unsigned kmm_kmalloc_class(size_t size)
{
	uint32_t last = (uint32_t)size - (size != 0); /* offset of the last byte; size 0 is served as 1 */
	unsigned shift;

	if (last < 64)
		return last >> 3;
	shift = kmm_log2_u32(last) - 2;
	return 8 + (shift - 4) * 4 + ((last >> shift) & 3);
}

size_t kmm_kmalloc_class_size(unsigned index)
{
	if (index < 8)
		return (size_t)(index + 1) * 8;
	return (size_t)(5 + (index & 3)) << (4 + ((index - 8) >> 2));
}

static void *alloc_large(struct kmm *k, size_t size, kmm_gfp gfp)
{
	unsigned order = kmm_size_to_order(size);
	struct kmm_page *page = kmm_phys_alloc(k, gfp | KMM_GFP_COMP, order, KMM_KIND_KERNEL, "kmalloc pages");
	void *object;

	if (!page)
		return NULL;
	page->a = LARGE_MARK;
	object = kmm_page_lowmem_ptr(k, page);
	if (k->trace)
		kmm_object_trace(k, KMM_EV_KMALLOC, object, size, gfp);
	return object;
}

/* Any request that is not the common one. */
KMM_NOINLINE void *alloc_any(struct kmm *k, size_t size, kmm_gfp gfp)
{
	const void *caller = KMM_CALLER;
	unsigned row = (gfp & KMM_GFP_DMA) != 0;
	kmm_gfp other = gfp & ~(kmm_gfp)KMM_GFP_DMA;
	struct kmm_pool *pool;

	if (KMM_RARE(other & KMM_SLAB_BAD_GFP))
		other = kmm_object_fix_gfp(k, "kmalloc", other, caller);
	if (KMM_RARE(size > LARGEST_CLASS))
		return alloc_large(k, size, other | (gfp & KMM_GFP_DMA));
	if (KMM_RARE(kmm_inject(k, "kmalloc")) && !(gfp & KMM_GFP_NOFAIL))
		return NULL;
	pool = __atomic_load_n(&k->slab->kmalloc[row][kmm_kmalloc_class(size)], __ATOMIC_ACQUIRE);
	return kmm_object_alloc(k, pool, other, caller);
}

KMM_NOINLINE void *alloc_slow(struct kmm *k, const struct kmm_magazine *magazine, kmm_gfp gfp)
{
	return kmm_object_alloc_slow(k, magazine->pool, gfp, KMM_CALLER);
}

/* Classes that have magazines are plain: the mark is at an object's start. The size is not needed any more from here on,
 * which leaves registers to spare where there are few. */
KMM_ALWAYS_INLINE void *alloc_from(struct kmm *k, struct kmm_magazine *const *place, unsigned long flags, kmm_gfp gfp)
{
	struct kmm_magazine *magazine = __atomic_load_n(place, __ATOMIC_ACQUIRE);
	struct kmm_free *object = kmm_magazine_pop(magazine);

	kmm_port_irq_restore(k->port, flags);
	if (KMM_RARE(!object))
		return alloc_slow(k, magazine, gfp);
	object->mark = 0;
	return object;
}

/* Larger than the small classes, or odd in some way. */
KMM_NOINLINE void *alloc_larger(struct kmm *k, size_t size, kmm_gfp gfp)
{
	unsigned long flags;

	if (KMM_RARE((gfp & (KMM_SLAB_BAD_GFP | KMM_GFP_ZERO)) || !k->straight || size > LARGEST_CLASS))
		return alloc_any(k, size, gfp);
	flags = kmm_port_irq_save(k->port);
	return alloc_from(k, &k->front[kmm_port_cpu(k->port)]->large[(size + 255) >> 8], flags, gfp);
}

void *kmm_kmalloc(struct kmm *k, size_t size, kmm_gfp gfp)
{
	unsigned long flags;

	if (KMM_RARE(gfp & (KMM_SLAB_BAD_GFP | KMM_GFP_ZERO)) || size >= k->straight_size)
		return alloc_larger(k, size, gfp);
	flags = kmm_port_irq_save(k->port);
	return alloc_from(k, &k->front[kmm_port_cpu(k->port)]->small[(size + 7) >> 3], flags, gfp);
}

void *kmm_kzalloc(struct kmm *k, size_t size, kmm_gfp gfp)
{
	return alloc_any(k, size, gfp | KMM_GFP_ZERO);
}

/* The block that starts at object, or NULL: not from alloc_large(). */
static struct kmm_page *large_block(struct kmm *k, const void *object)
{
	struct kmm_page *page = kmm_virt_to_page(k, object);

	if (!page || kmm_page_kind(page) != KMM_KIND_KERNEL || page->a != LARGE_MARK)
		return NULL;
	return kmm_lowmem_pa(k, object).v & (KMM_PAGE_SIZE - 1) ? NULL : page;
}

static void free_large(struct kmm *k, void *object)
{
	struct kmm_page *page = large_block(k, object);
	bool object_was_allocated = page != NULL;

	if (!page)
		kmm_warn(k, "kfree: 0x%llx is neither an object nor the start of a block, or was freed already; not freed",
			 (unsigned long long)kmm_ptr_to_kva(k, object).v);
	KMM_ASSERT(k, object_was_allocated);
	if (!page)
		return;
	if (k->trace)
		kmm_object_trace(k, KMM_EV_KFREE, object, (uint64_t)KMM_PAGE_SIZE << kmm_page_order(page), 0);
	page->a = 0;
	kmm_phys_free(k, page, kmm_page_order(page));
}

/* Something wants to see it, or it does not fit the magazine. */
KMM_NOINLINE void free_slow(struct kmm *k, struct kmm_pool *pool, void *object)
{
	if (k->trace)
		kmm_object_trace(k, KMM_EV_KFREE, object, pool->size, 0);
	kmm_object_free_slow(k, pool, object, KMM_CALLER);
}

KMM_ALWAYS_INLINE void free_to(struct kmm *k, struct kmm_pool *pool, void *object)
{
	if (KMM_RARE(!kmm_fast_push(k, pool, object)))
		free_slow(k, pool, object);
}

/* An object that does not begin in the first frame of its slab, whole frames, nothing, or a mistake. */
KMM_NOINLINE void free_other(struct kmm *k, void *object)
{
	struct kmm_page *head = object ? kmm_fast_head(k, object) : NULL;

	if (head && k->straight)
		free_to(k, kmm_fast_pool(k, head), object);
	else if (head)
		free_slow(k, kmm_fast_pool(k, head), object);
	else if (object)
		free_large(k, object);
}

/* NULL lies outside of the direct map, or in its frame 0, which is no slab's: it needs no test of its own here. One way
 * out for all that is odd, which looks everything up again: so nothing has to be kept for it meanwhile. */
void kmm_kfree(struct kmm *k, void *object)
{
	struct kmm_pool *pool = kmm_straight_pool(k, object);

	if (KMM_RARE(!pool || !kmm_fast_push(k, pool, object)))
		free_other(k, object);
}

size_t kmm_ksize(struct kmm *k, const void *object)
{
	struct kmm_page *page = kmm_fast_head(k, object);

	if (page)
		return kmm_fast_pool(k, page)->size;
	page = large_block(k, object);
	if (!page)
		kmm_warn(k, "ksize: 0x%llx is neither an object nor the start of a block",
			 (unsigned long long)kmm_ptr_to_kva(k, object).v);
	KMM_ASSERT(k, page);
	return page ? (size_t)KMM_PAGE_SIZE << kmm_page_order(page) : 0;
}

/* "kmalloc-96", "dma-kmalloc-8k". Sizes from 1 KiB on that are whole KiB are named so, as Linux does. */
static void class_name(char name[24], size_t size, bool dma)
{
	const char *prefix = dma ? "dma-kmalloc-" : "kmalloc-";
	bool kib = size >= 1024 && size % 1024 == 0;
	uint32_t number = (uint32_t)(kib ? size / 1024 : size), unit = 1;

	while (*prefix)
		*name++ = *prefix++;
	while (number / unit >= 10)
		unit *= 10;
	for (; unit; unit /= 10)
		*name++ = (char)('0' + number / unit % 10);
	if (kib)
		*name++ = 'k';
	*name = '\0';
}

/* Every size that the class serves leads to the magazine. */
static void set_front(struct kmm_front *front, unsigned class, struct kmm_magazine *magazine)
{
	size_t size;

	for (size = 0; size <= KMM_KMALLOC_SMALL; size += 8)
		if (kmm_kmalloc_class(size) == class)
			__atomic_store_n(&front->small[size >> 3], magazine, __ATOMIC_RELEASE);
	for (size = KMM_KMALLOC_SMALL + 256; size <= LARGEST_CLASS; size += 256)
		if (kmm_kmalloc_class(size) == class)
			__atomic_store_n(&front->large[size >> 8], magazine, __ATOMIC_RELEASE);
}

void kmm_kmalloc_update(struct kmm *k, const struct kmm_cache *cache)
{
	unsigned cpu;

	__atomic_store_n(cache->mirror, cache->pool, __ATOMIC_RELEASE);
	if (cache->flags & KMM_CACHE_DMA)
		return;
	for (cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		set_front(k->front[cpu], (unsigned)(cache->mirror - k->slab->kmalloc[0]), cache->pool->magazine[cpu]);
}

/* Objects of a power of two are aligned to themselves, checked ones too. */
static size_t class_align(size_t size)
{
	return size & (0 - size);
}

static enum kmm_status open_class(struct kmm *k, unsigned dma, unsigned i)
{
	struct kmm_cache *cache = kmm_cache_alloc(k, &k->slab->cache_cache, KMM_GFP_KERNEL);
	size_t size = kmm_kmalloc_class_size(i), align = class_align(size);
	enum kmm_status status;
	char name[24];

	if (!cache)
		return KMM_ENOMEM;
	class_name(name, size, dma);
	status = kmm_cache_open(k, cache, name, size, align < KMM_PAGE_SIZE ? align : KMM_PAGE_SIZE,
				dma ? KMM_CACHE_DMA : 0, NULL);
	if (status) {
		kmm_cache_free(k, &k->slab->cache_cache, cache);
		return status;
	}
	cache->mirror = &k->slab->kmalloc[dma][i];
	kmm_kmalloc_update(k, cache);
	return KMM_OK;
}

/* Largest classes first: reports list the newest cache first. */
enum kmm_status kmm_kmalloc_init(struct kmm *k)
{
	enum kmm_status status = KMM_OK;
	unsigned dma, i;

	for (i = KMM_KMALLOC_CLASSES; i-- > 0 && !status;)
		for (dma = 0; dma < 2 && !status; dma++)
			if (kmm_kmalloc_class_size(i) <= LARGEST_CLASS)
				status = open_class(k, dma, i);
	return status;
}

/* Takes the caches down again when the start fails: all but the first, which the others come from. */
void kmm_kmalloc_fini(struct kmm *k)
{
	struct kmm_slab *slab = k->slab;

	while (slab->caches.prev != &slab->cache_cache.entry.list) {
		struct kmm_cache *cache = kmm_container(slab->caches.prev, struct kmm_cache, entry.list);
		enum kmm_status status = kmm_cache_close(k, cache);

		KMM_ASSERT(k, status == KMM_OK); /* nobody has allocated yet */
		kmm_cache_free(k, &slab->cache_cache, cache);
	}
}
