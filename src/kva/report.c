/* SPDX-License-Identifier: MIT */
/*
 * /proc/vmallocinfo as Linux 6.1 writes it: living areas by address, then those that wait for the purge. The lock is
 * taken for one area at a time, so areas that come and go meanwhile may be missing; none is shown twice.
 */
#include "kva/kva.h"

/* The first area of the wanted sort that starts at or above va, as a copy. */
static bool copy_next(struct kmm *k, kmm_word va, bool dead, struct kmm_vmalloc_info *out)
{
	struct kmm_areas *areas = &k->kva->areas;
	unsigned long flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	const struct kmm_area *area = kmm_areas_next(areas, va);

	while (area && (area->state == KMM_AREA_DEAD) != dead)
		area = kmm_areas_next(areas, area->start + 1);
	if (area)
		*out = kmm_area_info(area);
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	return area;
}

static void report_range(const struct kmm *k, const struct kmm_vmalloc_info *info, struct kmm_sink *out)
{
	unsigned long long start = info->start.v, end = start + info->size_bytes;

	kmm_printf(out, kmm_fmt(k)->canonical ? "0x%016llx-0x%016llx %7llu " : "0x%08llx-0x%08llx %7llu ", start, end,
		   end - start);
}

/* pages= is of the area's own frames; 64-bit kernels are built for NUMA and name the node. */
static void report_area(const struct kmm *k, const struct kmm_vmalloc_info *info, struct kmm_sink *out)
{
	bool wide = kmm_fmt(k)->canonical, pae = kmm_fmt(k)->entry_size == 8, own = !info->is_vmap && !info->is_ioremap;
	unsigned long long nr = info->nr_pages;

	report_range(k, info, out);
	kmm_printf(out, "%s", info->caller);
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
	kmm_word va;

	for (va = 0; copy_next(k, va, false, &info); va = info.start.v + 1)
		report_area(k, &info, out);
	for (va = 0; copy_next(k, va, true, &info); va = info.start.v + 1) {
		report_range(k, &info, out);
		kmm_printf(out, "unpurged vm_area\n");
	}
}
