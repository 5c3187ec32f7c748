/* SPDX-License-Identifier: MIT */
/*
 * Descriptors come to life by section of 128 MiB, so that starting a machine of many TiB touches
 * almost nothing. Until then a section's frames are counted as free (zone->lazy) and what it holds is
 * known from the boot map, which never changes.
 *
 * Making a section writes each of its descriptors once, zone in all, kind in those that are not free, and
 * fills the bitmaps of its tracts. The live bit is set last, so that who sees it sees the rest. Memory that is added
 * or removed later is not in the boot map: its sections are made, and unmade, by hotplug.c.
 * A section of one zone is made under that zone's lock; those of several at start, when nobody looks.
 */
#include "phys/phys.h"

void kmm_descs_label(struct kmm *k, kmm_word pfn, kmm_word end, uint32_t flags)
{
	const struct kmm_phys *p = k->phys;
	unsigned stride = kmm_stride(p);
	char *at = (char *)kmm_page_at(p, pfn);

	for (; pfn < end; pfn++, at += stride)
		kmm_page_blank(p, (struct kmm_page *)(void *)at, flags, 0);
}

static uint32_t run_flags(const struct kmm_zone *z, const struct kmm_run *run)
{
	uint32_t flags = z->bits;

	if (run->kind != KMM_KIND_FREE)
		flags |= (uint32_t)run->kind;
	if (run->kind == KMM_KIND_RESERVED && !run->ram)
		flags |= KMM_PG_FIRMWARE;
	if (run->give_back)
		flags |= KMM_PG_BOOT;
	return flags;
}

/* The largest aligned block that ends at `end` and does not begin before start. */
static unsigned block_before(kmm_word start, kmm_word end)
{
	unsigned order = 0;

	while (order < KMM_MAX_ORDER && (end & (((kmm_word)2 << order) - 1)) == 0 &&
	       end - start >= (kmm_word)2 << order)
		order++;
	return order;
}

/* Makes the descriptors of those of [start, end) that are the zone's: one section, or its part between z's bounds. */
static void make(struct kmm *k, struct kmm_zone *z, kmm_word start, kmm_word end)
{
	kmm_word pfn = start;

	kmm_tracts_clear(z, start, end);
	while (pfn < end) {
		struct kmm_run run;
		kmm_word to;

		kmm_boot_run(&k->phys->boot, pfn, &run);
		to = run.end < end ? run.end : end;
		if (run.node == z->node)
			kmm_descs_label(k, pfn, to, run_flags(z, &run));
		if (run.node == z->node && run.kind == KMM_KIND_FREE) {
			kmm_tracts_fill(z, pfn, to);
			z->lazy -= to - pfn;
		}
		pfn = to;
	}
	kmm_tracts_settle(z, start, end);
}

/* Zones that reach over a section of another zone keep entries for it, with nothing in them. */
void kmm_section_clear_elsewhere(struct kmm_phys *p, const struct kmm_zone *z, kmm_word start, kmm_word end)
{
	for (unsigned i = 0; i < p->nr_zones; i++) {
		struct kmm_zone *other = p->zones[i];
		kmm_word first = other->tract_first * KMM_TRACT_PAGES, last = first + (kmm_word)other->nr_tracts * KMM_TRACT_PAGES;
		kmm_word from = first > start ? first : start, to = last < end ? last : end;

		if (other != z && from < to)
			kmm_tracts_clear(other, from, to);
	}
}

void kmm_section_set_live(struct kmm_phys *p, kmm_word section, bool live)
{
	uint32_t bit = 1u << (section % 32);

	if (live)
		atomic_fetch_or_explicit(&p->live[section / 32], bit, memory_order_release);
	else
		atomic_fetch_and_explicit(&p->live[section / 32], ~bit, memory_order_release);
}

static kmm_word section_end(const struct kmm_phys *p, kmm_word section)
{
	kmm_word end = (section + 1) * KMM_SECTION_PAGES;

	return end < p->max_pfn ? end : p->max_pfn;
}

static bool may_give(const struct kmm_zone *z, const struct kmm_run *run)
{
	return run->kind == KMM_KIND_FREE && run->node == z->node;
}

/* A section that is one zone's. */
static void make_whole(struct kmm *k, struct kmm_zone *z, kmm_word section)
{
	kmm_word start = section * KMM_SECTION_PAGES, end = section_end(k->phys, section);

	KMM_ASSERT(k, !kmm_section_is_live(k->phys, section) && kmm_tract_of(z, end - 1) < z->nr_tracts);
	if (k->phys->nr_nodes > 1 || k->phys->boot.nr_hot)
		kmm_section_clear_elsewhere(k->phys, z, start, end);
	make(k, z, start, end);
	kmm_section_set_live(k->phys, section, true);
}

/* The first section at or after `section` that is not live and has free frames of the zone; skips runs. */
static kmm_word next_with_free(const struct kmm_phys *p, const struct kmm_zone *z, kmm_word section)
{
	kmm_word last = kmm_section_of(z->end - 1);

	while (section <= last) {
		kmm_word pfn = section * KMM_SECTION_PAGES;
		struct kmm_run run = { .end = pfn, .kind = KMM_KIND_HOLE };

		if (kmm_section_is_live(p, section)) {
			section++;
			continue;
		}
		while (!may_give(z, &run) && run.end < section_end(p, section))
			kmm_boot_run(&p->boot, run.end, &run);
		if (may_give(z, &run))
			break;
		section = kmm_section_of(run.end);
	}
	return section;
}

/* The same from `section` downwards, for a zone that grows from its end. */
static kmm_word last_with_free(const struct kmm_phys *p, const struct kmm_zone *z, kmm_word section)
{
	for (;; section--) {
		kmm_word first = section * KMM_SECTION_PAGES, pfn = section_end(p, section);
		struct kmm_run run = { .start = pfn, .end = pfn, .kind = KMM_KIND_HOLE };

		while (!kmm_section_is_live(p, section) && !may_give(z, &run) && run.start > first)
			kmm_boot_run(&p->boot, run.start - 1, &run);
		if (may_give(z, &run) || section == kmm_section_of(z->first))
			return section;
	}
}

/* High memory grows from the top: its upper frames are the ones that nothing but user memory can use. Other zones
 * grow from the bottom. */
bool kmm_zone_grow(struct kmm *k, struct kmm_zone *z)
{
	struct kmm_phys *p = k->phys;
	kmm_word section;

	if (z->lazy == 0)
		return false;
	if (z->id == KMM_ZONE_HIGHMEM)
		section = last_with_free(p, z, z->next_section);
	else
		section = next_with_free(p, z, z->next_section);
	KMM_ASSERT(k, section <= kmm_section_of(z->end - 1) && !kmm_section_is_live(p, section));
	make_whole(k, z, section);
	if (z->id == KMM_ZONE_HIGHMEM)
		z->next_section = section ? section - 1 : 0;
	else
		z->next_section = section + 1;
	return true;
}

static bool has_ram(const struct kmm_phys *p, kmm_word section)
{
	struct kmm_run run;
	kmm_word pfn = section * KMM_SECTION_PAGES;

	do {
		kmm_boot_run(&p->boot, pfn, &run);
		pfn = run.end;
	} while (!run.ram && pfn < section_end(p, section));
	return run.ram;
}

bool kmm_section_need(struct kmm *k, kmm_word pfn)
{
	struct kmm_phys *p = k->phys;
	struct kmm_zone *z = kmm_zone_of_pfn(p, pfn);
	kmm_word section = kmm_section_of(pfn);
	unsigned long irq;

	if (kmm_section_is_live(p, section))
		return true;
	if (!has_ram(p, section))
		return false;
	irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);
	if (!kmm_section_is_live(p, section))
		make_whole(k, z, section);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
	return true;
}

/* All zones' parts of a section that may have several. */
static void make_shared(struct kmm *k, kmm_word section)
{
	struct kmm_phys *p = k->phys;
	kmm_word start = section * KMM_SECTION_PAGES, end = section_end(p, section);

	if (start >= p->max_pfn || kmm_section_is_live(p, section))
		return;
	kmm_section_clear_elsewhere(p, NULL, start, end);
	for (unsigned i = 0; i < p->nr_zones; i++) {
		struct kmm_zone *z = p->zones[i];
		kmm_word from = z->first > start ? z->first : start, to = z->end < end ? z->end : end;

		if (from < to)
			make(k, z, from, to);
	}
	kmm_section_set_live(p, section, true);
}

static void begin_growth(struct kmm_zone *z)
{
	z->next_section = kmm_section_of(z->first);
	if (z->id == KMM_ZONE_HIGHMEM && z->end > z->first)
		z->next_section = kmm_section_of(z->end - 1);
}

void kmm_sections_init(struct kmm *k)
{
	struct kmm_phys *p = k->phys;

	for (unsigned i = 0; i < p->nr_zones; i++) {
		struct kmm_zone *z = p->zones[i];

		begin_growth(z);
		if (z->first < z->end && z->first % KMM_SECTION_PAGES)
			make_shared(k, kmm_section_of(z->first));
	}
	for (unsigned i = 1; i < p->boot.nr_node; i++)
		if (p->boot.node[i].start % KMM_SECTION_PAGES)
			make_shared(k, kmm_section_of(p->boot.node[i].start));
	/* The section that high memory shares with low memory was just made; what is handed out first shall be the top. */
	for (unsigned i = 0; i < p->nr_zones; i++)
		if (p->zones[i]->id == KMM_ZONE_HIGHMEM)
			kmm_zone_grow(k, p->zones[i]);
}

/* Blocks of [start, end) by order, without a loop over the largest. */
static void count_blocks(kmm_word start, kmm_word end, kmm_word nr_free[KMM_NR_ORDERS])
{
	while (start < end) {
		unsigned order = block_before(start, end);
		kmm_word nr = 1;

		if (order == KMM_MAX_ORDER)
			nr = (end - start) >> KMM_MAX_ORDER;
		nr_free[order] += nr;
		end -= nr << order;
	}
}

kmm_word kmm_zone_count_lazy(const struct kmm *k, const struct kmm_zone *z, kmm_word nr_free[KMM_NR_ORDERS])
{
	const struct kmm_phys *p = k->phys;
	kmm_word pages = 0, pfn = z->first;
	struct kmm_run run = { .kind = KMM_KIND_HOLE };

	while (pfn < z->end) {
		kmm_word end = section_end(p, kmm_section_of(pfn));

		if (pfn >= run.end)
			kmm_boot_run(&p->boot, pfn, &run);
		end = end < run.end ? end : run.end;
		end = end < z->end ? end : z->end;
		if (may_give(z, &run) && !kmm_section_is_live(p, kmm_section_of(pfn))) {
			count_blocks(pfn, end, nr_free);
			pages += end - pfn;
		}
		pfn = end;
	}
	return pages;
}
