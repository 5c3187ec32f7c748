/* SPDX-License-Identifier: MIT */
/*
 * Zones: where each begins and ends, what it holds, and what a report says about it.
 *
 * The bounds partition 0 .. max_pfn: DMA to 16 MiB; on 64-bit machines DMA32 to 4 GiB and Normal above; on
 * 32-bit ones Normal to the end of low memory and HighMem above. Movable, when asked for, is the end of the
 * topmost zone that has RAM.
 */
#include "phys/geometry.h"
#include "phys/phys.h"

#define DMA_END ((kmm_word)(16u << 20) >> KMM_PAGE_SHIFT)
#define DMA32_END ((kmm_word)1 << (32 - KMM_PAGE_SHIFT))

static const char *const zone_names[KMM_NR_ZONES] = {
	[KMM_ZONE_DMA] = "DMA", [KMM_ZONE_DMA32] = "DMA32", [KMM_ZONE_NORMAL] = "Normal",
	[KMM_ZONE_HIGHMEM] = "HighMem", [KMM_ZONE_MOVABLE] = "Movable",
};

const char *kmm_zone_name(enum kmm_zone_id zone)
{
	return (unsigned)zone < KMM_NR_ZONES ? zone_names[zone] : "?";
}

struct kmm_zone *kmm_zone_of_pfn(struct kmm_phys *p, kmm_word pfn)
{
	unsigned i = 0;

	while (i + 1 < KMM_NR_ZONES && pfn >= p->zone[i].end)
		i++;
	return &p->zone[i];
}

static void set_end(struct kmm_phys *p, enum kmm_zone_id id, kmm_word end)
{
	p->zone[id].end = end < p->max_pfn ? end : p->max_pfn;
}

/* The frame from which percent of the zone's RAM lies above, rounded up to a block. */
static kmm_word movable_start(const struct kmm_phys *p, const struct kmm_zone *z, uint32_t percent)
{
	uint64_t left = kmm_div_u64((uint64_t)z->present * percent, 100, NULL);
	kmm_word pfn = z->end;

	while (left && pfn > z->first) {
		struct kmm_run run;
		kmm_word from;

		kmm_boot_run(&p->boot, pfn - 1, &run);
		from = run.start > z->first ? run.start : z->first;
		if (run.ram && pfn - from > left)
			from = pfn - (kmm_word)left;
		left -= run.ram ? pfn - from : 0;
		pfn = from;
	}
	pfn = (kmm_word)kmm_align_up(pfn, (uint64_t)1 << KMM_MAX_ORDER);
	return pfn < z->end ? pfn : z->end;
}

static void count_zone(const struct kmm_phys *p, struct kmm_zone *z)
{
	kmm_word pfn = z->first;

	z->start = z->spanned = z->present = z->managed = 0;
	for (unsigned i = 0; i < KMM_NR_KINDS; i++)
		z->boot_kinds[i] = 0;
	while (pfn < z->end) {
		struct kmm_run run;
		kmm_word end;

		kmm_boot_run(&p->boot, pfn, &run);
		end = run.end < z->end ? run.end : z->end;
		if (run.ram) {
			z->start = z->present ? z->start : pfn;
			z->spanned = end - z->start;
			z->present += end - pfn;
		}
		if (run.kind == KMM_KIND_FREE)
			z->managed += end - pfn;
		else
			z->boot_kinds[run.kind] += end - pfn;
		pfn = end;
	}
	z->free = z->lazy = z->managed;
}

static void bound_zones(struct kmm *k, struct kmm_phys *p)
{
	bool wide = kmm_geometry(k->machine.format)->wide;
	kmm_word low_end = (kmm_word)(k->layout.lowmem_end >> KMM_PAGE_SHIFT), at = 0;

	set_end(p, KMM_ZONE_DMA, DMA_END);
	set_end(p, KMM_ZONE_DMA32, wide ? DMA32_END : DMA_END);
	set_end(p, KMM_ZONE_NORMAL, wide ? p->max_pfn : low_end);
	set_end(p, KMM_ZONE_HIGHMEM, p->max_pfn);
	set_end(p, KMM_ZONE_MOVABLE, p->max_pfn);
	for (unsigned i = 0; i < KMM_NR_ZONES; i++) {
		struct kmm_zone *z = &p->zone[i];

		z->id = (enum kmm_zone_id)i;
		z->exists = i != (wide ? KMM_ZONE_HIGHMEM : KMM_ZONE_DMA32);
		z->bits = i << 8 | (i == KMM_ZONE_HIGHMEM ? KMM_PG_HIGH : 0u);
		z->first = at;
		at = z->end;
		count_zone(p, z);
	}
}

static void cut_movable(struct kmm *k, struct kmm_phys *p)
{
	struct kmm_zone *movable = &p->zone[KMM_ZONE_MOVABLE], *top = movable - 1;

	while (top > p->zone && top->present == 0)
		top--;
	if (k->machine.movable_percent == 0 || top == p->zone)
		return;
	movable->first = movable_start(p, top, k->machine.movable_percent);
	movable->bits |= top->bits & KMM_PG_HIGH;
	top->end = movable->first;
	for (struct kmm_zone *z = top + 1; z < movable; z++)
		z->first = z->end = movable->first;
	count_zone(p, top);
	count_zone(p, movable);
}

static void set_watermarks(struct kmm *k, struct kmm_phys *p)
{
	struct kmm_zone_info info[KMM_NR_ZONES];
	kmm_word managed[KMM_NR_ZONES];

	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		managed[i] = p->zone[i].managed;
	kmm_watermarks_compute(&k->machine, managed, info, NULL);
	for (unsigned i = 0; i < KMM_NR_ZONES; i++) {
		struct kmm_zone *z = &p->zone[i];

		z->min = info[i].min;
		z->low = info[i].low;
		z->high = info[i].high;
		for (unsigned j = 0; j < KMM_NR_ZONES; j++) {
			z->protection[j] = info[i].protection[j];
			z->gate[j] = z->low + z->protection[j];
		}
		kmm_pcp_init(z);
	}
}

/* A tract that a zone's bounds cut counts in both. */
static void size_tracts(struct kmm_zone *z)
{
	z->tract_first = z->first / KMM_TRACT_PAGES;
	z->nr_tracts = 0;
	if (z->end > z->first)
		z->nr_tracts = (uint32_t)((z->end - 1) / KMM_TRACT_PAGES - z->tract_first) + 1;
}

void kmm_zones_bound(struct kmm *k)
{
	bound_zones(k, k->phys);
	cut_movable(k, k->phys);
	for (unsigned i = 0; i < KMM_NR_ZONES; i++) {
		size_tracts(&k->phys->zone[i]);
		kmm_pcp_init(&k->phys->zone[i]);
	}
}

void kmm_zones_init(struct kmm *k)
{
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		count_zone(k->phys, &k->phys->zone[i]);
	set_watermarks(k, k->phys);
	kmm_gfp_init(k);
}

/* ---- looking ---- */

kmm_word kmm_zone_cached(const struct kmm_zone *z)
{
	kmm_word nr = 0;

	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++)
		nr += kmm_pcp_cpu_pages(z, cpu);
	return nr;
}

kmm_word kmm_zone_kind_count(const struct kmm_zone *z, enum kmm_kind kind)
{
	kmm_word nr = z->boot_kinds[kind];

	if (kind == KMM_KIND_FREE)
		return z->free + z->isolated + kmm_zone_cached(z);
	for (unsigned i = 0; i < KMM_MAX_CPUS * KMM_PCP_SORTS; i++)
		nr += z->pcp[i / KMM_PCP_SORTS][i % KMM_PCP_SORTS].kinds[kind];
	return nr;
}

bool kmm_zone_info(const struct kmm *k, enum kmm_zone_id id, struct kmm_zone_info *out)
{
	const struct kmm_zone *z;

	if ((unsigned)id >= KMM_NR_ZONES || !k->phys->zone[id].exists)
		return false;
	z = &k->phys->zone[id];
	*out = (struct kmm_zone_info){
		.name = kmm_zone_name(id), .start = kmm_pfn(z->start), .spanned = z->spanned,
		.present = z->present, .managed = z->managed, .free = z->free,
		.min = z->min, .low = z->low, .high = z->high, .cma = z->cma, .free_cma = z->free_cma,
		.isolated = z->isolated,
	};
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		out->protection[i] = z->protection[i];
	kmm_tracts_count(k, z, out->nr_free);
	kmm_zone_count_lazy(k, z, out->nr_free);
	for (unsigned i = 0; i < KMM_NR_KINDS; i++)
		out->kinds[i] = kmm_zone_kind_count(z, (enum kmm_kind)i);
	return true;
}

/* A section that was not made: what is in it is free and movable, if it has RAM. */
static void add_lazy_section(const struct kmm *k, const struct kmm_zone *z, kmm_word start, kmm_word end, struct kmm_zone_types *out)
{
	struct kmm_run run = { 0, start, KMM_KIND_HOLE, false, false };

	while (!run.ram && run.end < end)
		kmm_boot_run(&k->phys->boot, run.end, &run);
	if (run.ram)
		out->nr_tracts[KMM_MOBILITY_MOVABLE] += kmm_tract_of(z, end - 1) - kmm_tract_of(z, start) + 1;
}

static void add_section(const struct kmm *k, const struct kmm_zone *z, kmm_word start, kmm_word end, struct kmm_zone_types *out)
{
	if (!kmm_section_is_live(k->phys, kmm_section_of(start))) {
		add_lazy_section(k, z, start, end, out);
		return;
	}
	for (uint32_t i = kmm_tract_of(z, start); i <= kmm_tract_of(z, end - 1); i++) {
		enum kmm_mobility mobility = kmm_tract_mobility(&z->tract[i]);

		out->nr_tracts[mobility]++;
		kmm_tract_count(z, i, out->nr_free[mobility]);
	}
}

bool kmm_zone_types(const struct kmm *k, enum kmm_zone_id id, struct kmm_zone_types *out)
{
	const struct kmm_zone *z;
	kmm_word pfn, end;

	if ((unsigned)id >= KMM_NR_ZONES || !k->phys->zone[id].exists)
		return false;
	z = &k->phys->zone[id];
	*out = (struct kmm_zone_types){ .nr_tracts = { 0 } };
	for (pfn = z->start; pfn < z->start + z->spanned; pfn = end) {
		end = (kmm_section_of(pfn) + 1) * KMM_SECTION_PAGES;
		end = end < z->start + z->spanned ? end : z->start + z->spanned;
		add_section(k, z, pfn, end, out);
	}
	kmm_zone_count_lazy(k, z, out->nr_free[KMM_MOBILITY_MOVABLE]);
	return true;
}

kmm_word kmm_phys_free_pages(const struct kmm *k)
{
	kmm_word nr = 0;

	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		nr += kmm_zone_free_hint(&k->phys->zone[i]);
	return nr;
}

kmm_word kmm_phys_managed_pages(const struct kmm *k)
{
	kmm_word nr = 0;

	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		nr += k->phys->zone[i].managed;
	return nr;
}
