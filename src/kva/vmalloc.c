/* SPDX-License-Identifier: MIT */
/*
 * What areas of the vmalloc region show: frames of their own (vmalloc), given frames (vmap), device registers
 * (ioremap). Each area ends with a guard page that is never mapped.
 *
 * Making: addresses first (areas.lock), then frames and entries without a lock, since both may sleep for memory;
 * nobody else touches an area's addresses. Unmaking: entries, flush, and only then addresses and frames: until
 * the flush a CPU may still reach them. For areas with frames of their own one flush serves many (lazy.c); given
 * frames and registers are the caller's again when the call returns, so those are flushed at once.
 *
 * vmalloc takes frames one by one, high ones first; on 64-bit machines it takes blocks that fit a large leaf where
 * such are to be had without effort and the place takes a leaf. An area keeps its blocks as a list in their
 * descriptors, so it needs no array that would itself have to be allocated.
 */
#include "kva/kva.h"

#include "phys/phys.h"

enum { CHUNK = 32 }; /* pages mapped at once; their numbers lie on the stack */

/* ---- addresses ---- */

static bool place(struct kmm *k, struct kmm_area *area, kmm_word bytes, kmm_word align)
{
	struct kmm_areas *areas = &k->kva->areas;
	unsigned long flags;
	bool placed;

	KMM_ASSERT(k, (bytes & (KMM_PAGE_SIZE - 1)) == 0 && bytes > KMM_PAGE_SIZE);
	KMM_ASSERT(k, align >= KMM_PAGE_SIZE && (align & (align - 1)) == 0);
	flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	placed = kmm_areas_place(areas, area, bytes, align);

	if (!placed && align > KMM_PAGE_SIZE)
		placed = kmm_areas_place(areas, area, bytes, KMM_PAGE_SIZE);
	KMM_ASSERT(k, !placed || (area->start >= areas->start && area->end <= areas->end));
	KMM_CHECK(k, kmm_areas_check(areas, NULL) == 0);
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	return placed;
}

/* Areas that have room for a large leaf start where one could be. */
static kmm_word align_for(const struct kmm *k, kmm_word nr, enum kmm_area_kind kind)
{
	unsigned order = kmm_pt_window_large_order(k);

	return order && kind == KMM_AREA_VMALLOC && nr >> order ? (kmm_word)KMM_PAGE_SIZE << order : KMM_PAGE_SIZE;
}

/* An area for nr pages and its guard, nothing mapped; phys: of ioremap. NULL: no memory for it, or no addresses. Reports
 * see it from now on. */
static struct kmm_area *new_area(struct kmm *k, kmm_word nr, enum kmm_area_kind kind, const char *caller,
				 struct kmm_paddr phys)
{
	struct kmm_areas *areas = &k->kva->areas;
	kmm_word room = (areas->end - areas->start) >> KMM_PAGE_SHIFT, align = align_for(k, nr, kind);
	kmm_word bytes = (nr << KMM_PAGE_SHIFT) + k->layout.vmalloc_guard_bytes;
	struct kmm_area *area;

	if (nr == 0 || nr >= room)
		return NULL;
	area = kmm_cache_alloc(k, areas->cache, KMM_GFP_KERNEL);
	if (!area)
		return NULL;
	area->kind = kind;
	area->state = KMM_AREA_LIVE;
	area->nr_mapped = 0;
	area->frames = (struct kmm_page_list){ 0, 0 };
	area->phys = phys;
	area->caller = caller ? caller : "unknown";
	if (place(k, area, bytes, align) || (kmm_vmalloc_purge(k) && place(k, area, bytes, align)))
		return area;
	kmm_cache_free(k, areas->cache, area);
	return NULL;
}

/* Puts an area's own blocks back. */
static void free_frames(struct kmm *k, struct kmm_area *area)
{
	kmm_word link = area->frames.first;

	while (link) {
		struct kmm_page *page = kmm_page_at(k->phys, link - 1);

		KMM_ASSERT(k, kmm_page_kind(page) == KMM_KIND_VMALLOC);
		KMM_CHECK(k, kmm_page_owner(k, page) == area);
		link = kmm_link_next(k->phys, page);
		kmm_phys_free(k, page, kmm_page_order(page));
	}
	area->frames = (struct kmm_page_list){ 0, 0 };
}

void kmm_area_release(struct kmm *k, struct kmm_area *area)
{
	struct kmm_areas *areas = &k->kva->areas;
	unsigned long flags;

	KMM_ASSERT(k, area->kind == KMM_AREA_VMALLOC || area->frames.nr == 0);
	free_frames(k, area);
	flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	KMM_ASSERT(k, kmm_areas_find(areas, area->start) == area);
	kmm_areas_remove(areas, area);
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	kmm_cache_free(k, areas->cache, area);
}

/* Unmaps, flushes, and gives everything back. The caller has the area to itself. */
static void destroy_area(struct kmm *k, struct kmm_area *area)
{
	kmm_word bytes = area->nr_mapped << KMM_PAGE_SHIFT;

	KMM_ASSERT(k, area->state != KMM_AREA_DEAD && bytes < area->end - area->start);
	if (bytes) {
		kmm_pt_window_unmap(k, kmm_kva(area->start), area->nr_mapped);
		kmm_pt_flush_kernel(k, kmm_kva(area->start), kmm_kva(area->start + bytes));
	}
	kmm_area_release(k, area);
}

static const char *const kind_names[] = { [KMM_AREA_VMALLOC] = "vmalloc", [KMM_AREA_VMAP] = "vmap",
					  [KMM_AREA_IOREMAP] = "ioremap" };

/* What an address that is to be unmapped is instead. Lock held. */
static const char *mistake(const struct kmm_area *area, kmm_word va, enum kmm_area_kind kind)
{
	if (!area)
		return "in no area";
	if (area->state != KMM_AREA_LIVE)
		return "of an area that was freed already";
	if (area->start != va)
		return "inside an area, not its start";
	return area->kind == kind ? NULL : kind_names[area->kind];
}

/* Takes the area at an address for unmapping. NULL: addr is, or it is a mistake, which changes nothing. */
static struct kmm_area *claim(struct kmm *k, void *addr, enum kmm_area_kind kind)
{
	struct kmm_areas *areas = &k->kva->areas;
	kmm_word va = kmm_window_va(k, addr) & ~(kmm_word)(KMM_PAGE_SIZE - 1);
	struct kmm_area *area;
	unsigned long flags;
	const char *wrong;
	bool address_is_of_a_live_area;

	if (!addr)
		return NULL;
	flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	area = kmm_areas_find(areas, va);
	wrong = mistake(area, va, kind);
	address_is_of_a_live_area = !wrong;
	if (address_is_of_a_live_area)
		area->state = KMM_AREA_DYING;
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	if (wrong)
		kmm_warn(k, "%s: 0x%llx cannot be freed: it is %s", kind_names[kind], (unsigned long long)va, wrong);
	KMM_ASSERT(k, address_is_of_a_live_area);
	if (wrong)
		return NULL;
	kmm_trace(k, KMM_EV_VFREE, va, area->end - area->start, 0, 0);
	return area;
}

static void release(struct kmm *k, void *addr, enum kmm_area_kind kind)
{
	struct kmm_area *area = claim(k, addr, kind);

	if (area)
		destroy_area(k, area);
}

/* ---- contents ---- */

static kmm_word next_va(const struct kmm_area *area)
{
	return area->start + (area->nr_mapped << KMM_PAGE_SHIFT);
}

static bool map_chunk(struct kmm *k, struct kmm_area *area, const struct kmm_pfn *pfns, unsigned nr, uint32_t flags)
{
	KMM_ASSERT(k, nr > 0 && next_va(area) + ((kmm_word)nr << KMM_PAGE_SHIFT) < area->end); /* never the guard */
	if (kmm_pt_window_map(k, kmm_kva(next_va(area)), pfns, nr, KMM_KVA_FLAGS | flags))
		return false;
	kmm_word_add(&area->nr_mapped, nr);
	return true;
}

static unsigned chunk_of(kmm_word left) { return left < CHUNK ? (unsigned)left : CHUNK; }

/* A block of the area's own, as the newest of its list. Blocks only ever leave together, or newest first, so links back
 * are not kept. */
static struct kmm_page *add_block(struct kmm *k, struct kmm_area *area, kmm_gfp gfp, unsigned order, const char *site)
{
	struct kmm_page *page = kmm_phys_alloc(k, gfp | KMM_GFP_HIGHMEM, order, KMM_KIND_VMALLOC, site);

	if (page) {
		kmm_page_set_owner(k, page, area);
		kmm_set_next(k->phys, page, area->frames.first);
		area->frames.first = kmm_pfn_of(k->phys, page) + 1;
		area->frames.nr++;
	}
	return page;
}

/* One large leaf over a block that is there for the asking. false: not here, or not now. */
static bool fill_large(struct kmm *k, struct kmm_area *area, kmm_word left)
{
	unsigned order = kmm_pt_window_large_order(k);
	kmm_word va = next_va(area), mask = ((kmm_word)KMM_PAGE_SIZE << order) - 1;
	struct kmm_page *page;

	if (!order || order >= KMM_NR_ORDERS || !(left >> order) || (va & mask) || !kmm_pt_window_takes_large(k, kmm_kva(va)))
		return false;
	KMM_ASSERT(k, va + mask < area->end);
	page = add_block(k, area, KMM_GFP_NORETRY | KMM_GFP_NOWARN, order, "vmalloc block");
	if (!page)
		return false;
	if (!kmm_pt_window_map_large(k, kmm_kva(va), kmm_page_to_pfn(k, page), KMM_KVA_FLAGS | KMM_PTE_WRITE)) {
		kmm_word_add(&area->nr_mapped, (kmm_word)1 << order);
		return true;
	}
	area->frames.first = kmm_link_next(k->phys, page);
	area->frames.nr--;
	kmm_phys_free(k, page, order);
	return false;
}

static bool fill_small(struct kmm *k, struct kmm_area *area, unsigned nr)
{
	struct kmm_pfn pfns[CHUNK];
	unsigned i;

	for (i = 0; i < nr; i++) {
		struct kmm_page *page = add_block(k, area, KMM_GFP_KERNEL, 0, "vmalloc");

		if (!page)
			return false;
		pfns[i] = kmm_pfn(kmm_pfn_of(k->phys, page));
	}
	return map_chunk(k, area, pfns, nr, KMM_PTE_WRITE);
}

/* Own frames for nr pages. CHUNK divides what a large leaf covers, so no place for one is stepped over. */
static bool fill_own(struct kmm *k, struct kmm_area *area, kmm_word nr)
{
	while (area->nr_mapped < nr)
		if (!fill_large(k, area, nr - area->nr_mapped) && !fill_small(k, area, chunk_of(nr - area->nr_mapped)))
			return false;
	return true;
}

/* Maps a revived area's small blocks again, from the last page down; pfns is filled from its end. */
static bool remap(struct kmm *k, struct kmm_area *area)
{
	kmm_word left = area->nr_mapped, link = area->frames.first;
	struct kmm_pfn pfns[CHUNK];

	KMM_ASSERT(k, area->frames.nr == left);
	while (left) {
		unsigned nr = chunk_of(left), i;

		for (i = nr; i-- > 0; link = kmm_link_next(k->phys, kmm_page_at(k->phys, link - 1))) {
			KMM_ASSERT(k, link != 0);
			pfns[i] = kmm_pfn(link - 1);
		}
		left -= nr;
		if (kmm_pt_window_map(k, kmm_kva(area->start + (left << KMM_PAGE_SHIFT)), pfns, nr,
				      KMM_KVA_FLAGS | KMM_PTE_WRITE))
			return false;
	}
	KMM_ASSERT(k, link == 0);
	return true;
}

/* What an area shows that is not its own. */
struct source {
	struct kmm_page *const *pages; /* vmap; NULL: consecutive frames */
	struct kmm_pfn first;
};

static bool fill_given(struct kmm *k, struct kmm_area *area, const struct source *source, kmm_word nr, uint32_t flags)
{
	struct kmm_pfn pfns[CHUNK];

	while (area->nr_mapped < nr) {
		unsigned chunk = chunk_of(nr - area->nr_mapped), i;

		for (i = 0; i < chunk; i++)
			pfns[i] = source->pages ? kmm_page_to_pfn(k, source->pages[area->nr_mapped + i])
						: kmm_pfn(source->first.v + area->nr_mapped + i);
		if (!map_chunk(k, area, pfns, chunk, flags))
			return false;
	}
	return true;
}

static void *finish(struct kmm *k, struct kmm_area *area, bool filled)
{
	if (!filled) {
		destroy_area(k, area);
		return NULL;
	}
	KMM_ASSERT(k, (area->nr_mapped << KMM_PAGE_SHIFT) + k->layout.vmalloc_guard_bytes == area->end - area->start);
	KMM_ASSERT(k, area->state == KMM_AREA_LIVE);
	kmm_trace(k, KMM_EV_VMALLOC, area->start, (uint64_t)area->nr_mapped << KMM_PAGE_SHIFT, 0, 0);
	return kmm_window_ptr(k, area->start);
}

static kmm_word pages_for(size_t size)
{
	return (kmm_word)(size >> KMM_PAGE_SHIFT) + ((size & (KMM_PAGE_SIZE - 1)) != 0);
}

/* ---- the calls ---- */

void *kmm_vmalloc(struct kmm *k, size_t size, const char *caller)
{
	kmm_word nr = pages_for(size);
	struct kmm_area *area;

	if (nr > kmm_phys_managed_pages(k)) /* hopeless: spare the machine from being emptied first */
		return NULL;
	area = kmm_area_revive(k, nr, caller);
	if (area)
		return finish(k, area, remap(k, area));
	area = new_area(k, nr, KMM_AREA_VMALLOC, caller, kmm_paddr(0));
	return area ? finish(k, area, fill_own(k, area, nr)) : NULL;
}

void kmm_vfree(struct kmm *k, void *addr)
{
	struct kmm_area *area = claim(k, addr, KMM_AREA_VMALLOC);

	if (area)
		kmm_area_bury(k, area);
}

void *kmm_vmap(struct kmm *k, struct kmm_page *const *pages, kmm_word nr_pages, unsigned prot, const char *caller)
{
	struct source source = { pages, { 0 } };
	uint32_t flags = (prot & KMM_PROT_WRITE ? KMM_PTE_WRITE : 0u) | (prot & KMM_PROT_EXEC ? KMM_PTE_EXEC : 0u);
	struct kmm_area *area = new_area(k, nr_pages, KMM_AREA_VMAP, caller, kmm_paddr(0));

	return area ? finish(k, area, fill_given(k, area, &source, nr_pages, flags)) : NULL;
}

void kmm_vunmap(struct kmm *k, void *addr)
{
	release(k, addr, KMM_AREA_VMAP);
}

static bool touches_ram(const struct kmm *k, struct kmm_pfn first, kmm_word nr)
{
	kmm_word i;

	for (i = 0; i < nr; i++)
		if (kmm_pfn_is_ram(k, kmm_pfn(first.v + i)))
			return true;
	return false;
}

void *kmm_ioremap(struct kmm *k, struct kmm_paddr pa, size_t size, const char *caller)
{
	struct source source = { NULL, kmm_paddr_to_pfn(pa) };
	uint32_t in_page = (uint32_t)pa.v & (KMM_PAGE_SIZE - 1);
	struct kmm_area *area;
	kmm_word nr;
	char *view;

	if (size == 0 || size > k->layout.phys_limit || pa.v > k->layout.phys_limit - size)
		return NULL;
	nr = (kmm_word)(((uint64_t)in_page + size + KMM_PAGE_SIZE - 1) >> KMM_PAGE_SHIFT);
	if (touches_ram(k, source.first, nr))
		return NULL;
	area = new_area(k, nr, KMM_AREA_IOREMAP, caller, kmm_paddr(pa.v - in_page));
	if (!area)
		return NULL;
	KMM_ASSERT(k, kmm_paddr_to_pfn(area->phys).v == source.first.v);
	view = finish(k, area, fill_given(k, area, &source, nr, KMM_PTE_WRITE | KMM_PTE_NOCACHE));
	return view ? view + in_page : NULL;
}

void kmm_iounmap(struct kmm *k, void *addr)
{
	release(k, addr, KMM_AREA_IOREMAP);
}

struct kmm_page *kmm_vmalloc_to_page(struct kmm *k, const void *addr)
{
	const struct kmm_areas *areas = &k->kva->areas;
	kmm_word va = kmm_window_va(k, addr);
	struct kmm_walk walk;

	if (va < areas->start || va >= areas->end)
		return NULL;
	kmm_walk(k, kmm_kernel_root(k), va, &walk);
	return walk.mapped ? kmm_pfn_to_page(k, kmm_paddr_to_pfn(walk.pa)) : NULL;
}

bool kmm_vmalloc_find(const struct kmm *machine, struct kmm_kva va, struct kmm_vmalloc_info *out)
{
	struct kmm *k = (struct kmm *)(uintptr_t)machine; /* looking changes nothing but the lock */
	struct kmm_areas *areas = &k->kva->areas;
	unsigned long flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	const struct kmm_area *area = kmm_areas_find(areas, va.v);
	bool found = area && area->state != KMM_AREA_DEAD;

	if (found)
		*out = kmm_area_info(area);
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	return found;
}

/* Enough that the cost of a flush, which grows with the number of CPUs, is shared by many pages; little beside the
 * machine's memory. */
static kmm_word most_dead_pages(const struct kmm *k)
{
	kmm_word most = (kmm_word)KMM_VMALLOC_LAZY_PAGES * k->machine.nr_cpus, share = kmm_phys_managed_pages(k) / 64;

	return most < share ? most : share;
}

static kmm_word count_dead(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp)
{
	(void)self;
	(void)gfp;
	return kmm_word_look(&k->kva->areas.nr_dead_pages);
}

/* All of them: the flush costs the same for one. */
static kmm_word purge_for(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp, kmm_word nr)
{
	(void)self;
	(void)gfp;
	(void)nr;
	return kmm_vmalloc_purge(k);
}

enum kmm_status kmm_vmalloc_init(struct kmm *k)
{
	struct kmm_areas *areas = &k->kva->areas;
	enum kmm_status status;

	KMM_ASSERT(k, k->layout.vmalloc_start < k->layout.vmalloc_end && k->layout.vmalloc_guard_bytes >= KMM_PAGE_SIZE);
	KMM_ASSERT(k, ((k->layout.vmalloc_start | k->layout.vmalloc_end) & (KMM_PAGE_SIZE - 1)) == 0);
	kmm_areas_init(areas, (kmm_word)k->layout.vmalloc_start, (kmm_word)k->layout.vmalloc_end);
	areas->most_dead_pages = most_dead_pages(k);
	status = kmm_cache_create(k, "vmap_area", sizeof(struct kmm_area), 0, 0, NULL, &areas->cache);
	if (status)
		return status;
	areas->shrinker = (struct kmm_shrinker){ .name = "vmalloc", .count = count_dead, .scan = purge_for };
	kmm_shrinker_register(k, &areas->shrinker);
	return KMM_OK;
}
