/* SPDX-License-Identifier: MIT */
/*
 * kmalloc: a cache per size class, and whole frames for what is larger than the largest class.
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

KMM_ALWAYS_INLINE void *alloc_class(struct kmm *k, unsigned row, size_t size, kmm_gfp gfp)
{
	struct kmm_cache *cache = k->slab->kmalloc[row][kmm_kmalloc_class(size)];
	void *object;

	if (KMM_RARE(kmm_inject(k, "kmalloc")) && !(gfp & KMM_GFP_NOFAIL))
		return NULL;
	object = kmm_object_alloc(k, cache, gfp);
	if (KMM_RARE(k->trace != NULL) && object)
		kmm_object_trace(k, KMM_EV_KMALLOC, object, size, gfp);
	return object;
}

/* Whole frames, ZONE_DMA, and modifiers that slab cannot honour. */
static void *alloc_odd(struct kmm *k, size_t size, kmm_gfp gfp, const void *caller)
{
	kmm_gfp dma = gfp & KMM_GFP_DMA, other = gfp & ~(kmm_gfp)KMM_GFP_DMA;

	if (other & KMM_SLAB_BAD_GFP)
		other = kmm_object_fix_gfp(k, "kmalloc", other, caller);
	if (size > LARGEST_CLASS)
		return alloc_large(k, size, other | dma);
	return alloc_class(k, dma != 0, size, other);
}

KMM_ALWAYS_INLINE void *alloc(struct kmm *k, size_t size, kmm_gfp gfp)
{
	if (KMM_RARE(size > LARGEST_CLASS || gfp & KMM_SLAB_BAD_GFP))
		return alloc_odd(k, size, gfp, __builtin_return_address(0));
	return alloc_class(k, 0, size, gfp);
}

void *kmm_kmalloc(struct kmm *k, size_t size, kmm_gfp gfp)
{
	return alloc(k, size, gfp);
}

void *kmm_kzalloc(struct kmm *k, size_t size, kmm_gfp gfp)
{
	return alloc(k, size, gfp | KMM_GFP_ZERO);
}

/* The block that starts at object, or NULL: not from alloc_large(). */
static struct kmm_page *large_block(struct kmm *k, const void *object)
{
	struct kmm_page *page = kmm_virt_to_page(k, object);

	if (!page || kmm_page_kind(page) != KMM_KIND_KERNEL || page->a != LARGE_MARK)
		return NULL;
	return kmm_lowmem_pa(k, object).v & (KMM_PAGE_SIZE - 1) ? NULL : page;
}

static __attribute__((noinline)) void free_large(struct kmm *k, void *object)
{
	struct kmm_page *page = large_block(k, object);
	bool object_was_allocated = page != NULL;

	KMM_ASSERT(k, object_was_allocated); /* neither a slab's object nor a block's start, or freed already */
	if (k->trace)
		kmm_object_trace(k, KMM_EV_KFREE, object, (uint64_t)KMM_PAGE_SIZE << kmm_page_order(page), 0);
	page->a = 0;
	kmm_phys_free(k, page, kmm_page_order(page));
}

void kmm_kfree(struct kmm *k, void *object)
{
	struct kmm_cache *cache;
	struct kmm_page *page;

	if (!object)
		return;
	page = kmm_fast_head(k, object);
	if (KMM_RARE(!page)) {
		free_large(k, object);
		return;
	}
	cache = kmm_fast_cache(k, page);
	if (KMM_RARE(k->trace != NULL))
		kmm_object_trace(k, KMM_EV_KFREE, object, cache->size, 0);
	kmm_object_free(k, cache, page, object);
}

size_t kmm_ksize(struct kmm *k, const void *object)
{
	struct kmm_page *page = kmm_fast_head(k, object);

	if (page)
		return kmm_fast_cache(k, page)->size;
	page = large_block(k, object);
	KMM_ASSERT(k, page);
	return (size_t)KMM_PAGE_SIZE << kmm_page_order(page);
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

/* Largest classes first: reports list the newest cache first. */
enum kmm_status kmm_kmalloc_init(struct kmm *k)
{
	unsigned dma, i;
	char name[24];

	for (i = KMM_KMALLOC_CLASSES; i-- > 0;) {
		for (dma = 0; dma < 2; dma++) {
			size_t size = kmm_kmalloc_class_size(i);
			enum kmm_status status;

			if (size > LARGEST_CLASS)
				continue;
			class_name(name, size, dma);
			status = kmm_cache_create(k, name, size, 0, dma ? KMM_CACHE_DMA : 0, NULL,
						  &k->slab->kmalloc[dma][i]);
			if (status)
				return status;
		}
	}
	return KMM_OK;
}

/* Takes the caches down again when the start fails. */
void kmm_kmalloc_fini(struct kmm *k)
{
	unsigned dma, i;

	for (dma = 0; dma < 2; dma++) {
		for (i = 0; i < KMM_KMALLOC_CLASSES; i++) {
			struct kmm_cache *cache = k->slab->kmalloc[dma][i];
			enum kmm_status status = cache ? kmm_cache_destroy(k, cache) : KMM_OK;

			KMM_ASSERT(k, status == KMM_OK); /* nobody has allocated yet */
			k->slab->kmalloc[dma][i] = NULL;
		}
	}
}
