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

/* The frame that page i of the area must show, if it is known here; a dead area shows nothing. */
static bool shows(struct kmm *k, const struct kmm_area *area, kmm_word i, const struct kmm_pfn *own)
{
	struct kmm_walk walk;

	kmm_walk(k, kmm_kernel_root(k), area->start + (i << KMM_PAGE_SHIFT), &walk);
	if (!walk.mapped || area->state == KMM_AREA_DEAD)
		return !walk.mapped && area->state == KMM_AREA_DEAD;
	if (area->kind == KMM_AREA_IOREMAP)
		return walk.pa.v == area->phys.v + ((uint64_t)i << KMM_PAGE_SHIFT);
	return !own || own->v == kmm_paddr_to_pfn(walk.pa).v;
}

/* Pages [start, start + nr) of the area, which show the block `own` if that is not NULL. */
static unsigned check_run(struct kmm *k, const struct kmm_area *area, kmm_word start, kmm_word nr,
			  const struct kmm_page *own, struct kmm_sink *out)
{
	struct kmm_pfn pfn = own ? kmm_page_to_pfn(k, own) : kmm_pfn(0);
	unsigned bad = 0;
	kmm_word i;

	for (i = 0; i < nr; i++, pfn.v++)
		if (!shows(k, area, start + i, own ? &pfn : NULL))
			bad += complain(out, area, "does not show its frame", area->start + ((start + i) << KMM_PAGE_SHIFT));
	if (own && (kmm_page_kind(own) != KMM_KIND_VMALLOC || kmm_page_owner(k, own) != area))
		bad += complain(out, area, "has a frame that is not its own", area->start + (start << KMM_PAGE_SHIFT));
	return bad;
}

/* Own blocks are listed last one first. *owned: pages in them. */
static unsigned check_pages(struct kmm *k, const struct kmm_area *area, kmm_word *owned, struct kmm_sink *out)
{
	const struct kmm_page *own = kmm_page_list_first(k, &area->frames);
	kmm_word left = area->nr_mapped;
	unsigned bad = 0;

	*owned = 0;
	if (!own)
		bad += check_run(k, area, 0, left, NULL, out);
	for (; own; own = kmm_page_next(k, own)) {
		kmm_word nr = (kmm_word)1 << kmm_page_order(own);

		*owned += nr;
		if (nr > left)
			break;
		left -= nr;
		bad += check_run(k, area, left, nr, own, out);
	}
	if (*owned != (area->kind == KMM_AREA_VMALLOC ? area->nr_mapped : 0))
		bad += complain(out, area, "does not own as many frames as it maps", area->start);
	return bad;
}

static void count_frames(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr)
{
	kmm_word *frames = arg;

	(void)pfn;
	if (kmm_page_kind(page) == KMM_KIND_VMALLOC)
		*frames += nr;
}

static unsigned check_dead(const struct kmm_areas *areas, kmm_word nr_dead, struct kmm_sink *out)
{
	const struct kmm_area *area;
	kmm_word pages = 0, nr = 0;

	for (area = areas->dead; area && nr <= nr_dead; area = area->next_dead, nr++)
		pages += area->nr_mapped;
	if (nr == nr_dead && pages == areas->nr_dead_pages)
		return 0;
	kmm_printf(out, "vmalloc: %llu areas are dead, %llu are listed; they have %llu pages, %llu are counted\n",
		   (unsigned long long)nr_dead, (unsigned long long)nr, (unsigned long long)pages,
		   (unsigned long long)areas->nr_dead_pages);
	return 1;
}

/* What the tables and the descriptors hold against the sums over areas. */
static unsigned check_sums(struct kmm *k, kmm_word mapped, kmm_word owned, struct kmm_sink *out)
{
	const struct kmm_areas *areas = &k->kva->areas;
	kmm_word frames = 0, nr_large, entries;

	entries = kmm_pt_window_count(k, kmm_kva(areas->start), kmm_kva(areas->end), &nr_large);
	entries += nr_large << kmm_pt_window_large_order(k);
	kmm_phys_for_each(k, count_frames, &frames);
	if (entries == mapped && frames == owned)
		return 0;
	kmm_printf(out, "vmalloc: areas map %llu pages and own %llu; the tables map %llu, %llu frames are of the kind\n",
		   (unsigned long long)mapped, (unsigned long long)owned, (unsigned long long)entries,
		   (unsigned long long)frames);
	return 1;
}

/* Every page of an area is mapped to its frame, nothing else in the region is mapped, guards and the dead included. */
unsigned kmm_vmalloc_audit(struct kmm *k, struct kmm_sink *out)
{
	const struct kmm_areas *areas = &k->kva->areas;
	unsigned bad = kmm_areas_check(areas, out);
	kmm_word mapped = 0, owned = 0, nr_dead = 0;
	const struct kmm_list *item;

	for (item = areas->order.next; item != &areas->order; item = item->next) {
		const struct kmm_area *area = kmm_container(item, struct kmm_area, order);
		kmm_word own;

		bad += check_pages(k, area, &own, out);
		owned += own;
		if (area->state == KMM_AREA_DEAD)
			nr_dead++;
		else
			mapped += area->nr_mapped;
		if ((area->nr_mapped << KMM_PAGE_SHIFT) + k->layout.vmalloc_guard_bytes != area->end - area->start)
			bad += complain(out, area, "is not mapped up to its guard page", area->end);
	}
	return bad + check_dead(areas, nr_dead, out) + check_sums(k, mapped, owned, out);
}

unsigned kmm_kva_audit(struct kmm *k, struct kmm_sink *out)
{
	return kmm_vmalloc_audit(k, out) + kmm_kmap_audit(k, out) + kmm_local_audit(k, out) + kmm_percpu_audit(k, out);
}
