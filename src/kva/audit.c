/* SPDX-License-Identifier: MIT */
/*
 * The checker of kernel windows: what the areas say against what the page tables and the descriptors hold. The kmap
 * window and the kmap_local stacks have theirs beside their code.
 */
#include "kva/kva.h"

static unsigned complain(struct kmm_sink *out, const struct kmm_area *area, const char *what, uint64_t va)
{
	kmm_printf(out, "vmalloc: the area at 0x%llx (%s) %s at 0x%llx\n", (unsigned long long)area->start, area->caller,
		   what, (unsigned long long)va);
	return 1;
}

/* The frame that page i of the area must show; own frames are listed last page first. */
static bool shows(struct kmm *k, const struct kmm_area *area, kmm_word i, const struct kmm_page *own)
{
	struct kmm_walk walk;

	kmm_walk(k, kmm_kernel_root(k), area->start + (i << KMM_PAGE_SHIFT), &walk);
	if (!walk.mapped)
		return false;
	if (area->kind == KMM_AREA_IOREMAP)
		return walk.pa.v == area->phys.v + ((uint64_t)i << KMM_PAGE_SHIFT);
	return !own || kmm_page_to_pfn(k, own).v == kmm_paddr_to_pfn(walk.pa).v;
}

static unsigned check_pages(struct kmm *k, const struct kmm_area *area, struct kmm_sink *out)
{
	struct kmm_page *own = kmm_page_list_first(k, &area->frames);
	unsigned bad = 0;
	kmm_word i;

	if (area->frames.nr != (area->kind == KMM_AREA_VMALLOC ? area->nr_mapped : 0))
		bad += complain(out, area, "does not own as many frames as it maps", area->start);
	for (i = area->nr_mapped; i-- > 0;) {
		if (!shows(k, area, i, own))
			bad += complain(out, area, "does not show its frame", area->start + (i << KMM_PAGE_SHIFT));
		if (!own)
			continue;
		if (kmm_page_kind(own) != KMM_KIND_VMALLOC || kmm_page_owner(k, own) != area)
			bad += complain(out, area, "has a frame that is not its own", area->start + (i << KMM_PAGE_SHIFT));
		own = kmm_page_next(k, own);
	}
	return bad;
}

struct census {
	struct kmm *k;
	kmm_word entries, frames;
};

static bool count_entries(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct census *census = arg;
	unsigned i;

	(void)va;
	for (i = 0; i < nr; i++) {
		struct kmm_ptref ref = kmm_pt_ref_at(census->k, first, i);

		census->entries += kmm_pt_read(census->k, &ref) != 0;
	}
	return true;
}

static void count_frames(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr)
{
	struct census *census = arg;

	(void)pfn;
	if (kmm_page_kind(page) == KMM_KIND_VMALLOC)
		census->frames += nr;
}

static struct census take_census(struct kmm *k)
{
	struct census census = { k, 0, 0 };
	kmm_word resume;

	kmm_pt_for_each_run(k, kmm_pt_kernel(k), k->kva->areas.start, k->kva->areas.end, count_entries, &census, &resume);
	kmm_phys_for_each(k, count_frames, &census);
	return census;
}

/* Every page of an area is mapped to its frame, nothing else in the region is mapped, guards included. */
unsigned kmm_vmalloc_audit(struct kmm *k, struct kmm_sink *out)
{
	const struct kmm_areas *areas = &k->kva->areas;
	unsigned bad = kmm_areas_check(areas, out);
	struct census census = take_census(k);
	const struct kmm_list *item;
	kmm_word mapped = 0, owned = 0;

	for (item = areas->order.next; item != &areas->order; item = item->next) {
		const struct kmm_area *area = kmm_container(item, struct kmm_area, order);

		bad += check_pages(k, area, out);
		mapped += area->nr_mapped;
		owned += area->frames.nr;
		if ((area->nr_mapped << KMM_PAGE_SHIFT) + k->layout.vmalloc_guard_bytes != area->end - area->start)
			bad += complain(out, area, "is not mapped up to its guard page", area->end);
	}
	if (census.entries == mapped && census.frames == owned)
		return bad;
	kmm_printf(out, "vmalloc: areas map %llu pages and own %llu; the tables hold %llu entries, %llu frames are of the kind\n",
		   (unsigned long long)mapped, (unsigned long long)owned, (unsigned long long)census.entries,
		   (unsigned long long)census.frames);
	return bad + 1;
}

unsigned kmm_kva_audit(struct kmm *k, struct kmm_sink *out)
{
	return kmm_vmalloc_audit(k, out) + kmm_kmap_audit(k, out) + kmm_local_audit(k, out);
}
