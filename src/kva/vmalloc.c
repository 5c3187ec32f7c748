/* SPDX-License-Identifier: MIT */
/*
 * What areas of the vmalloc region show: frames of their own (vmalloc), given frames (vmap), device registers
 * (ioremap). Each area ends with a guard page that is never mapped.
 *
 * Making: addresses first (areas.lock), then frames and entries without a lock, since both may sleep for memory;
 * nobody else touches an area's addresses. Unmaking: entries, flush, and only then addresses and frames: until
 * the flush a CPU may still reach them.
 *
 * vmalloc takes frames one by one, high ones first. An area keeps them as a list in their descriptors, so it needs
 * no array that would itself have to be allocated.
 */
#include "kva/kva.h"

enum { CHUNK = 32 }; /* pages mapped at once; their numbers lie on the stack */

/* ---- addresses ---- */

/* An area for nr pages and its guard, nothing mapped. NULL: no memory for it, or no addresses. */
static struct kmm_area *new_area(struct kmm *k, kmm_word nr, enum kmm_area_kind kind, const char *caller)
{
	struct kmm_areas *areas = &k->kva->areas;
	kmm_word room = (areas->end - areas->start) >> KMM_PAGE_SHIFT, guard = k->layout.vmalloc_guard_bytes;
	struct kmm_area *area;
	unsigned long flags;
	bool placed;

	if (nr == 0 || nr >= room)
		return NULL;
	area = kmm_cache_alloc(k, areas->cache, KMM_GFP_KERNEL | KMM_GFP_ZERO);
	if (!area)
		return NULL;
	area->kind = kind;
	area->caller = caller ? caller : "unknown";
	flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	placed = kmm_areas_place(areas, area, (nr << KMM_PAGE_SHIFT) + guard);
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	if (placed)
		return area;
	kmm_cache_free(k, areas->cache, area);
	return NULL;
}

/* Puts an area's own frames back. */
static void free_frames(struct kmm *k, struct kmm_area *area)
{
	struct kmm_page *page;

	while ((page = kmm_page_list_first(k, &area->frames))) {
		kmm_page_list_del(k, &area->frames, page);
		kmm_page_set_owner(k, page, NULL);
		kmm_phys_free(k, page, 0);
	}
}

/* Unmaps, flushes, and gives addresses and frames back. The caller has the area to itself. */
static void destroy_area(struct kmm *k, struct kmm_area *area)
{
	struct kmm_areas *areas = &k->kva->areas;
	kmm_word bytes = area->nr_mapped << KMM_PAGE_SHIFT;
	unsigned long flags;

	if (bytes) {
		kmm_pt_window_unmap(k, kmm_kva(area->start), area->nr_mapped);
		kmm_pt_flush_kernel(k, kmm_kva(area->start), kmm_kva(area->start + bytes));
	}
	free_frames(k, area);
	flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	kmm_areas_remove(areas, area);
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	kmm_cache_free(k, areas->cache, area);
}

static void release(struct kmm *k, void *addr, enum kmm_area_kind kind)
{
	struct kmm_areas *areas = &k->kva->areas;
	kmm_word va = kmm_window_va(k, addr) & ~(kmm_word)(KMM_PAGE_SIZE - 1);
	struct kmm_area *area;
	unsigned long flags;
	bool address_is_of_a_live_area;

	if (!addr)
		return;
	flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	area = kmm_areas_find(areas, va);
	address_is_of_a_live_area = area && area->start == va && area->kind == kind && !area->dying;
	if (address_is_of_a_live_area)
		area->dying = true;
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	KMM_ASSERT(k, address_is_of_a_live_area); /* freed twice, or by the wrong call */
	kmm_trace(k, KMM_EV_VFREE, va, area->end - area->start, 0, 0);
	destroy_area(k, area);
}

/* ---- contents ---- */

static bool map_chunk(struct kmm *k, struct kmm_area *area, const struct kmm_pfn *pfns, unsigned nr, uint32_t flags)
{
	kmm_word va = area->start + (area->nr_mapped << KMM_PAGE_SHIFT);

	if (kmm_pt_window_map(k, kmm_kva(va), pfns, nr, KMM_KVA_FLAGS | flags))
		return false;
	area->nr_mapped += nr;
	return true;
}

/* Where the next page comes from, by kind of area. false: out of memory. */
struct source {
	struct kmm_page *const *pages; /* vmap */
	struct kmm_pfn first;          /* ioremap */
};

static bool next_pfn(struct kmm *k, struct kmm_area *area, const struct source *source, kmm_word i, struct kmm_pfn *out)
{
	struct kmm_page *page;

	switch (area->kind) {
	case KMM_AREA_VMAP:
		*out = kmm_page_to_pfn(k, source->pages[i]);
		return true;
	case KMM_AREA_IOREMAP:
		*out = kmm_pfn(source->first.v + i);
		return true;
	default:
		page = kmm_phys_alloc(k, KMM_GFP_KERNEL | KMM_GFP_HIGHMEM, 0, KMM_KIND_VMALLOC, "vmalloc");
		if (!page)
			return false;
		kmm_page_set_owner(k, page, area);
		kmm_page_list_add(k, &area->frames, page);
		*out = kmm_page_to_pfn(k, page);
		return true;
	}
}

static bool fill(struct kmm *k, struct kmm_area *area, const struct source *source, kmm_word nr, uint32_t flags)
{
	struct kmm_pfn pfns[CHUNK];
	kmm_word done = 0;

	while (done < nr) {
		unsigned chunk = nr - done < CHUNK ? (unsigned)(nr - done) : CHUNK, i;

		for (i = 0; i < chunk; i++)
			if (!next_pfn(k, area, source, done + i, &pfns[i]))
				return false;
		if (!map_chunk(k, area, pfns, chunk, flags))
			return false;
		done += chunk;
	}
	return true;
}

static void *finish(struct kmm *k, struct kmm_area *area, const struct source *source, kmm_word nr, uint32_t flags)
{
	if (!fill(k, area, source, nr, flags)) {
		destroy_area(k, area);
		return NULL;
	}
	kmm_trace(k, KMM_EV_VMALLOC, area->start, (uint64_t)nr << KMM_PAGE_SHIFT, 0, 0);
	return kmm_window_ptr(k, area->start);
}

static kmm_word pages_for(size_t size)
{
	return (kmm_word)(size >> KMM_PAGE_SHIFT) + ((size & (KMM_PAGE_SIZE - 1)) != 0);
}

/* ---- the calls ---- */

void *kmm_vmalloc(struct kmm *k, size_t size, const char *caller)
{
	struct source source = { NULL, { 0 } };
	kmm_word nr = pages_for(size);
	struct kmm_area *area;

	if (nr > kmm_phys_managed_pages(k)) /* hopeless: spare the machine from being emptied first */
		return NULL;
	area = new_area(k, nr, KMM_AREA_VMALLOC, caller);
	return area ? finish(k, area, &source, nr, KMM_PTE_WRITE) : NULL;
}

void kmm_vfree(struct kmm *k, void *addr)
{
	release(k, addr, KMM_AREA_VMALLOC);
}

void *kmm_vmap(struct kmm *k, struct kmm_page *const *pages, kmm_word nr_pages, unsigned prot, const char *caller)
{
	struct source source = { pages, { 0 } };
	uint32_t flags = (prot & KMM_PROT_WRITE ? KMM_PTE_WRITE : 0u) | (prot & KMM_PROT_EXEC ? KMM_PTE_EXEC : 0u);
	struct kmm_area *area = new_area(k, nr_pages, KMM_AREA_VMAP, caller);

	return area ? finish(k, area, &source, nr_pages, flags) : NULL;
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
	area = new_area(k, nr, KMM_AREA_IOREMAP, caller);
	if (!area)
		return NULL;
	area->phys = kmm_paddr(pa.v - in_page);
	view = finish(k, area, &source, nr, KMM_PTE_WRITE | KMM_PTE_NOCACHE);
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

static struct kmm_vmalloc_info info_of(const struct kmm_area *area)
{
	return (struct kmm_vmalloc_info){
		.start = { area->start }, .size_bytes = area->end - area->start, .nr_pages = area->nr_mapped,
		.caller = area->caller, .is_vmap = area->kind == KMM_AREA_VMAP,
		.is_ioremap = area->kind == KMM_AREA_IOREMAP, .phys = area->phys,
	};
}

bool kmm_vmalloc_find(const struct kmm *machine, struct kmm_kva va, struct kmm_vmalloc_info *out)
{
	struct kmm *k = (struct kmm *)(uintptr_t)machine; /* looking changes nothing but the lock */
	struct kmm_areas *areas = &k->kva->areas;
	unsigned long flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	const struct kmm_area *area = kmm_areas_find(areas, va.v);

	if (area)
		*out = info_of(area);
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	return area;
}

enum kmm_status kmm_vmalloc_init(struct kmm *k)
{
	struct kmm_areas *areas = &k->kva->areas;

	kmm_areas_init(areas, (kmm_word)k->layout.vmalloc_start, (kmm_word)k->layout.vmalloc_end);
	return kmm_cache_create(k, "vmap_area", sizeof(struct kmm_area), 0, 0, NULL, &areas->cache);
}

/* ---- /proc/vmallocinfo ---- */

/* The area that starts at or above va, as a copy. */
static bool copy_next(struct kmm *k, kmm_word va, struct kmm_vmalloc_info *out)
{
	struct kmm_areas *areas = &k->kva->areas;
	unsigned long flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	const struct kmm_area *area = kmm_areas_next(areas, va);

	if (area)
		*out = info_of(area);
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	return area;
}

/* As Linux 6.1 writes it. The number of pages is that of the area's own frames; 64-bit kernels there are built for
 * NUMA and name the node. */
static void report_area(const struct kmm *k, const struct kmm_vmalloc_info *info, struct kmm_sink *out)
{
	bool wide = kmm_fmt(k)->canonical, pae = kmm_fmt(k)->entry_size == 8, own = !info->is_vmap && !info->is_ioremap;
	unsigned long long start = info->start.v, end = start + info->size_bytes, nr = info->nr_pages;

	kmm_printf(out, wide ? "0x%016llx-0x%016llx %7llu %s" : "0x%08llx-0x%08llx %7llu %s", start, end, end - start,
		   info->caller);
	if (own)
		kmm_printf(out, " pages=%llu", nr);
	if (info->is_ioremap)
		kmm_printf(out, pae ? " phys=0x%016llx" : " phys=0x%08llx", (unsigned long long)info->phys.v);
	kmm_printf(out, " %s", own ? "vmalloc" : info->is_vmap ? "vmap" : "ioremap");
	if (own && wide)
		kmm_printf(out, " N0=%llu", nr);
	kmm_printf(out, "\n");
}

void kmm_report_vmallocinfo(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_vmalloc_info info;
	kmm_word va = 0;

	while (copy_next(k, va, &info)) {
		report_area(k, &info, out);
		va = info.start.v + 1;
	}
}
