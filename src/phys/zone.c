/* SPDX-License-Identifier: MIT */
/*
 * Zones: where each begins and ends, what it holds, and what a report says about it.
 *
 * The bounds partition each node's frames: DMA to 16 MiB; on 64-bit machines DMA32 to 4 GiB and Normal above; on
 * 32-bit ones Normal to the end of low memory and HighMem above. Movable, when asked for, is the end of the
 * node's memory (node_movable.c). Between a zone's bounds there may be frames of other nodes, which are not its own.
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

/* By number, as it was at boot; *end: where the zone or the node ends. */
static struct kmm_zone *boot_zone(const struct kmm_phys *p, kmm_word pfn, kmm_word *end)
{
	struct kmm_zone *zone = p->node[kmm_boot_node(&p->boot, pfn, end)].zone;
	unsigned i = 0;

	while (i + 1 < KMM_NR_ZONES && pfn >= zone[i].end)
		i++;
	if (pfn < zone[i].end && zone[i].end < *end)
		*end = zone[i].end;
	return &zone[i];
}

struct kmm_zone *kmm_zone_of_pfn(const struct kmm_phys *p, kmm_word pfn)
{
	kmm_word end;

	if (pfn < p->max_pfn && kmm_section_is_live(p, kmm_section_of(pfn)))
		return kmm_zone_of(p, kmm_page_at(p, pfn));
	return boot_zone(p, pfn, &end);
}

struct kmm_zone *kmm_zone_run(const struct kmm_phys *p, kmm_word pfn, kmm_word *end)
{
	kmm_word section_end = (kmm_section_of(pfn) + 1) * KMM_SECTION_PAGES;
	struct kmm_zone *z = boot_zone(p, pfn, end);

	*end = *end < section_end ? *end : section_end;
	*end = *end < p->max_pfn ? *end : p->max_pfn;
	if (kmm_section_is_live(p, kmm_section_of(pfn)))
		return kmm_zone_of(p, kmm_page_at(p, pfn));
	return pfn >= z->first && pfn < z->end ? z : NULL;
}

bool kmm_zone_owns(const struct kmm_phys *p, const struct kmm_zone *z, kmm_word first, kmm_word nr)
{
	kmm_word end;

	for (kmm_word pfn = first; pfn < first + nr; pfn = end)
		if (kmm_zone_run(p, pfn, &end) != z)
			return false;
	return true;
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
		if (run.node != z->node) {
			pfn = end;
			continue;
		}
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

struct kmm_zone *kmm_top_zone(struct kmm_zone *zone)
{
	struct kmm_zone *top = &zone[KMM_ZONE_MOVABLE - 1];

	while (top > zone && top->present == 0)
		top--;
	return top;
}

kmm_word kmm_zone_class_end(const struct kmm *k, enum kmm_zone_id id)
{
	bool wide = kmm_geometry(k->machine.format)->wide;

	switch (id) {
	case KMM_ZONE_DMA:
		return DMA_END;
	case KMM_ZONE_DMA32:
		return wide ? DMA32_END : DMA_END;
	case KMM_ZONE_NORMAL:
		return wide ? KMM_NO_PFN : (kmm_word)(k->layout.lowmem_end >> KMM_PAGE_SHIFT);
	default:
		return KMM_NO_PFN;
	}
}

static void bound_zones(const struct kmm *k, unsigned node)
{
	struct kmm_phys *p = k->phys;
	kmm_word at, node_end;

	kmm_boot_node_span(&p->boot, node, &at, &node_end);
	node_end = node_end < p->boot_end ? node_end : p->boot_end;
	at = at < node_end ? at : node_end;
	for (unsigned i = 0; i < KMM_NR_ZONES; i++) {
		struct kmm_zone *z = &p->node[node].zone[i];
		kmm_word end = kmm_zone_class_end(k, z->id);

		end = end < node_end ? end : node_end;

		z->first = at;
		z->end = at = end > at ? end : at;
		count_zone(p, z);
	}
}

/* From this frame on the node's memory is Movable. On a machine with high memory only its topmost zone is cut, so that
 * Movable is high or is not. */
static void cut_movable(struct kmm *k, struct kmm_zone *zone, kmm_word start)
{
	struct kmm_zone *movable = &zone[KMM_ZONE_MOVABLE], *top = kmm_top_zone(zone);
	bool wide = kmm_geometry(k->machine.format)->wide;
	kmm_word end = movable->end;

	if (!wide && start < top->first)
		start = top->first;
	if (start >= end)
		return;
	movable->bits |= top->bits & KMM_PG_HIGH;
	for (struct kmm_zone *z = zone; z < movable; z++) {
		z->end = z->end < start ? z->end : start;
		z->first = z->first < start ? z->first : start;
		count_zone(k->phys, z);
	}
	movable->first = start;
	count_zone(k->phys, movable);
}

static void set_marks(struct kmm *k, struct kmm_zone *z, const struct kmm_marks *marks)
{
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	KMM_ASSERT(k, marks->min <= marks->low && marks->low <= marks->high);
	z->min = marks->min;
	z->low = marks->low;
	z->high = marks->high;
	for (unsigned j = 0; j < KMM_NR_ZONES; j++) {
		z->protection[j] = marks->protection[j];
		z->gate[j] = z->low + z->protection[j];
	}
	kmm_pcp_init(k, z);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}

/* Requests may be on their way: they see old lists and marks, or new ones. */
void kmm_zones_refresh(struct kmm *k)
{
	struct kmm_phys *p = k->phys;
	struct kmm_marks marks[KMM_MAX_ZONES];

	kmm_watermarks_of(k, marks);
	for (unsigned i = 0; i < p->nr_zones; i++)
		set_marks(k, p->zones[i], &marks[i]);
	kmm_nodes_init(k);
	kmm_gfp_refresh(k);
}

/* A tract that a zone's bounds cut counts in both. Zones that may get more memory reach over where that would be. */
static void size_tracts(const struct kmm *k, struct kmm_zone *z)
{
	const struct kmm_bootmem *b = &k->phys->boot;
	kmm_word first = z->first, end = z->end;

	for (unsigned i = 0; i < b->nr_hot; i++) {
		kmm_word from = b->hot[i].start, to = b->hot[i].end;

		if (b->hot[i].node != z->node || !kmm_hot_clip(k, z, &from, &to))
			continue;
		end = first < end && end > to ? end : to;
		first = first < end && first < from ? first : from;
		z->may_grow = true;
	}
	z->tract_first = first / KMM_TRACT_PAGES;
	z->nr_tracts = 0;
	if (end > first)
		z->nr_tracts = (uint32_t)((end - 1) / KMM_TRACT_PAGES - z->tract_first) + 1;
}

void kmm_zones_bound(struct kmm *k)
{
	struct kmm_phys *p = k->phys;
	kmm_word movable[KMM_MAX_NODES];

	for (unsigned node = 0; node < p->nr_nodes; node++)
		bound_zones(k, node);
	kmm_movable_starts(k, movable);
	for (unsigned node = 0; node < p->nr_nodes; node++)
		if (movable[node] != KMM_NO_PFN)
			cut_movable(k, p->node[node].zone, movable[node]);
	for (unsigned i = 0; i < p->nr_zones; i++) {
		size_tracts(k, p->zones[i]);
		kmm_pcp_init(k, p->zones[i]);
	}
}

void kmm_zones_init(struct kmm *k)
{
	for (unsigned i = 0; i < k->phys->nr_zones; i++)
		count_zone(k->phys, k->phys->zones[i]);
	kmm_gfp_init(k);
	kmm_zones_refresh(k);
}

/* ---- looking ---- */

kmm_word kmm_zone_cached(const struct kmm_zone *z)
{
	kmm_word nr = 0;

	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++)
		nr += kmm_pcp_cpu_pages(z, cpu);
	return nr;
}

static kmm_word of_kind(const struct kmm_pcp *pcp, unsigned use)
{
	return kmm_word_look(&pcp->kinds[use]) + kmm_word_look(&pcp->taken[use]) - kmm_word_look(&pcp->freed[use]);
}

kmm_word kmm_zone_kind_count(const struct kmm_zone *z, enum kmm_kind kind)
{
	kmm_word nr = z->boot_kinds[kind];

	if (kind == KMM_KIND_FREE)
		return kmm_zone_free_hint(z) + z->isolated + kmm_zone_cached(z);
	for (unsigned i = 0; kind >= KMM_KIND_KERNEL && i < KMM_MAX_CPUS * KMM_PCP_SORTS; i++)
		nr += of_kind(&z->pcp[i / KMM_PCP_SORTS][i % KMM_PCP_SORTS], kind - KMM_KIND_KERNEL);
	return nr;
}

bool kmm_node_zone_info(const struct kmm *k, unsigned node, enum kmm_zone_id id, struct kmm_zone_info *out)
{
	struct kmm *unlocked = (struct kmm *)k; /* to take its lock, which leaves all as it is */
	struct kmm_zone *z;
	unsigned long irq;

	if ((unsigned)id >= KMM_NR_ZONES || node >= k->phys->nr_nodes || !k->phys->zone[id].exists)
		return false;
	z = &k->phys->node[node].zone[id];
	irq = kmm_spin_lock(unlocked, &z->lock, KMM_LOCK_ZONE);
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
	kmm_spin_unlock(unlocked, &z->lock, KMM_LOCK_ZONE, irq);
	return true;
}

/* Bounds around both, sums of the rest. */
static void add_info(struct kmm_zone_info *sum, const struct kmm_zone_info *other)
{
	kmm_word end = sum->start.v + sum->spanned, other_end = other->start.v + other->spanned;

	if (other->spanned) {
		sum->start.v = sum->spanned && sum->start.v < other->start.v ? sum->start.v : other->start.v;
		end = sum->spanned && end > other_end ? end : other_end;
		sum->spanned = end - sum->start.v;
	}
	sum->present += other->present;
	sum->managed += other->managed;
	sum->free += other->free;
	sum->cma += other->cma;
	sum->free_cma += other->free_cma;
	sum->isolated += other->isolated;
	sum->min += other->min;
	sum->low += other->low;
	sum->high += other->high;
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		sum->protection[i] += other->protection[i];
	for (unsigned i = 0; i < KMM_NR_ORDERS; i++)
		sum->nr_free[i] += other->nr_free[i];
	for (unsigned i = 0; i < KMM_NR_KINDS; i++)
		sum->kinds[i] += other->kinds[i];
}

bool kmm_zone_info(const struct kmm *k, enum kmm_zone_id id, struct kmm_zone_info *out)
{
	if (!kmm_node_zone_info(k, 0, id, out))
		return false;
	for (unsigned node = 1; node < k->phys->nr_nodes; node++) {
		struct kmm_zone_info other;

		kmm_node_zone_info(k, node, id, &other);
		add_info(out, &other);
	}
	return true;
}

/* A section that was not made: what is in it is free and movable, if it has RAM. */
static void add_lazy_section(const struct kmm *k, const struct kmm_zone *z, kmm_word start, kmm_word end, struct kmm_zone_types *out)
{
	struct kmm_run run = { .end = start, .kind = KMM_KIND_HOLE };

	while (!(run.ram && run.node == z->node) && run.end < end)
		kmm_boot_run(&k->phys->boot, run.end, &run);
	if (run.ram && run.node == z->node)
		out->nr_tracts[KMM_MOBILITY_MOVABLE] += kmm_tract_of(z, end - 1) - kmm_tract_of(z, start) + 1;
}

/* Not all of a tract between a zone's bounds need be its own. */
static bool reaches_into(const struct kmm_phys *p, const struct kmm_zone *z, uint32_t i)
{
	kmm_word first = kmm_tract_pfn(z, i), last = first + KMM_TRACT_PAGES - 1;

	return kmm_zone_of_pfn(p, first) == z || (last < p->max_pfn && kmm_zone_of_pfn(p, last) == z);
}

static void add_section(const struct kmm *k, const struct kmm_zone *z, kmm_word start, kmm_word end, struct kmm_zone_types *out)
{
	if (!kmm_section_is_live(k->phys, kmm_section_of(start))) {
		add_lazy_section(k, z, start, end, out);
		return;
	}
	for (uint32_t i = kmm_tract_of(z, start); i <= kmm_tract_of(z, end - 1); i++) {
		enum kmm_mobility mobility = kmm_tract_mobility(&z->tract[i]);

		out->nr_tracts[mobility] += reaches_into(k->phys, z, i);
		kmm_tract_count(z, i, out->nr_free[mobility]);
	}
}

bool kmm_node_zone_types(const struct kmm *k, unsigned node, enum kmm_zone_id id, struct kmm_zone_types *out)
{
	const struct kmm_zone *z;
	kmm_word pfn, end;

	if ((unsigned)id >= KMM_NR_ZONES || node >= k->phys->nr_nodes || !k->phys->zone[id].exists)
		return false;
	z = &k->phys->node[node].zone[id];
	*out = (struct kmm_zone_types){ .nr_tracts = { 0 } };
	for (pfn = z->start; pfn < z->start + z->spanned; pfn = end) {
		end = (kmm_section_of(pfn) + 1) * KMM_SECTION_PAGES;
		end = end < z->start + z->spanned ? end : z->start + z->spanned;
		add_section(k, z, pfn, end, out);
	}
	kmm_zone_count_lazy(k, z, out->nr_free[KMM_MOBILITY_MOVABLE]);
	return true;
}

bool kmm_zone_types(const struct kmm *k, enum kmm_zone_id id, struct kmm_zone_types *out)
{
	if (!kmm_node_zone_types(k, 0, id, out))
		return false;
	for (unsigned node = 1; node < k->phys->nr_nodes; node++) {
		struct kmm_zone_types other;

		kmm_node_zone_types(k, node, id, &other);
		for (unsigned i = 0; i < KMM_NR_MOBILITIES; i++) {
			out->nr_tracts[i] += other.nr_tracts[i];
			for (unsigned order = 0; order < KMM_NR_ORDERS; order++)
				out->nr_free[i][order] += other.nr_free[i][order];
		}
	}
	return true;
}

kmm_word kmm_phys_free_pages(const struct kmm *k)
{
	kmm_word nr = 0;

	for (unsigned i = 0; i < k->phys->nr_zones; i++)
		nr += kmm_zone_free_hint(k->phys->zones[i]);
	return nr;
}

kmm_word kmm_phys_managed_pages(const struct kmm *k)
{
	kmm_word nr = 0;

	for (unsigned i = 0; i < k->phys->nr_zones; i++)
		nr += k->phys->zones[i]->managed;
	return nr;
}

bool kmm_phys_manages(const struct kmm *k, kmm_word nr)
{
	for (unsigned i = k->phys->nr_zones; i-- > 0;) {
		kmm_word here = k->phys->zones[i]->managed;

		if (nr <= here)
			return true;
		nr -= here;
	}
	return nr == 0;
}
