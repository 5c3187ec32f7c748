/* SPDX-License-Identifier: MIT */
/*
 * Where each node's Movable zone begins. Only requests that say both HIGHMEM and MOVABLE are served from it, so what is
 * there can always be moved out of the way: for memory that shall be removed, and for large blocks.
 *
 * kernelcore and movablecore are shared out as Linux 6.1 does it: each node with memory gives an equal part to everything
 * (the core), taken from its lowest frames up; what lies below the topmost kind of zone is core in any case and counts. A
 * node that has less than its part leaves the rest to the others, who share it in the next round. Movable
 * begins at a multiple of the largest block.
 */
#include "phys/geometry.h"
#include "phys/phys.h"

struct cores {
	const struct kmm_bootmem *boot;
	kmm_word max_pfn;
	kmm_word usable;             /* what lies below it is core */
	unsigned nr_nodes;
	kmm_word *start;             /* per node: core ends here, as far as it is known */
	uint64_t needed;             /* pages of core not yet found */
};

/* The next piece of the node's RAM from pfn on. false: none is left. */
static bool next_ram(const struct cores *c, unsigned node, kmm_word pfn, struct kmm_run *run)
{
	for (; pfn < c->max_pfn; pfn = run->end) {
		kmm_boot_run(c->boot, pfn, run);
		if (run->ram && run->node == node) {
			run->start = run->start > pfn ? run->start : pfn;
			return true;
		}
	}
	return false;
}

static uint64_t ram_of(const struct cores *c, unsigned node)
{
	struct kmm_run run = { .end = 0 };
	uint64_t pages = 0;

	while (next_ram(c, node, run.end, &run))
		pages += run.end - run.start;
	return pages;
}

static uint64_t all_ram(const struct cores *c)
{
	uint64_t pages = 0;

	for (unsigned node = 0; node < c->nr_nodes; node++)
		pages += ram_of(c, node);
	return pages;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* All of the piece that is below the usable memory, and of the rest up to `part` pages, become core; returns what of the
 * part is left. */
static uint64_t take_piece(struct cores *c, unsigned node, struct kmm_run run, uint64_t part)
{
	uint64_t pages;

	if (run.start < c->usable) {
		kmm_word end = run.end < c->usable ? run.end : c->usable;

		part = less(part, end - run.start);
		c->needed = less(c->needed, end - run.start);
		run.start = c->start[node] = end;
		if (run.start >= run.end)
			return part;
	}
	pages = kmm_min_u64(run.end - run.start, part);
	c->start[node] = run.start + (kmm_word)pages;
	c->needed = less(c->needed, pages);
	return part - pages;
}

static void take_part(struct cores *c, unsigned node, uint64_t part)
{
	struct kmm_run run = { .end = c->start[node] };

	while (next_ram(c, node, run.end, &run)) {
		part = take_piece(c, node, run, part);
		if (part == 0 && run.end > c->usable)
			break;
	}
}

static void share_out(struct cores *c)
{
	unsigned nodes = 0;

	for (unsigned node = 0; node < c->nr_nodes; node++)
		nodes += ram_of(c, node) != 0;
	for (; nodes; nodes--) {
		uint64_t part = kmm_div_u64(c->needed, nodes, NULL);

		for (unsigned node = 0; node < c->nr_nodes; node++) {
			if (ram_of(c, node) == 0)
				continue;
			if (c->needed < part)
				part = kmm_div_u64(c->needed, nodes, NULL);
			take_part(c, node, part);
		}
		if (c->needed <= nodes - 1)
			break;
	}
}

static uint64_t percent_of(uint64_t pages, uint32_t percent)
{
	uint32_t rest;
	uint64_t hundredths = kmm_div_u64(pages, 100, &rest);

	return hundredths * percent + rest * percent / 100;
}

/* Pages of core that the options ask for; 0: they do not cut anything. */
static uint64_t wanted_core(const struct kmm_machine *m, uint64_t all)
{
	uint64_t core = m->kernelcore_bytes >> KMM_PAGE_SHIFT, movable = m->movablecore_bytes >> KMM_PAGE_SHIFT;

	if (m->kernelcore_percent)
		core = percent_of(all, m->kernelcore_percent);
	if (m->movablecore_percent)
		movable = percent_of(all, m->movablecore_percent);
	if (movable) {
		movable = kmm_min_u64(all, kmm_align_up(movable, (uint64_t)1 << KMM_MAX_ORDER));
		core = kmm_max_u64(core, all - movable);
	}
	return core < all ? core : 0;
}

/* ---- the other ways to say it ---- */

/* Each node from its lowest hotplug range on. */
static void from_hotplug(const struct kmm_bootmem *b, kmm_word start[KMM_MAX_NODES])
{
	for (unsigned i = b->nr_hot; i-- > 0;)
		start[b->hot[i].node] = b->hot[i].start;
}

/* The frame from which percent of the zone's RAM lies above. */
static kmm_word percent_start(const struct kmm_phys *p, const struct kmm_zone *z, uint32_t percent)
{
	uint64_t left = percent_of(z->present, percent);
	kmm_word pfn = z->end;

	while (left && pfn > z->first) {
		struct kmm_run run;
		kmm_word from;

		kmm_boot_run(&p->boot, pfn - 1, &run);
		from = run.start > z->first ? run.start : z->first;
		run.ram = run.ram && run.node == z->node;
		if (run.ram && pfn - from > left)
			from = pfn - (kmm_word)left;
		left -= run.ram ? pfn - from : 0;
		pfn = from;
	}
	return pfn;
}

static void from_percent(const struct kmm *k, kmm_word start[KMM_MAX_NODES])
{
	for (unsigned node = 0; node < k->phys->nr_nodes; node++) {
		struct kmm_zone *top = kmm_top_zone(k->phys->node[node].zone);

		if (top->id != KMM_ZONE_DMA)
			start[node] = percent_start(k->phys, top, k->machine.movable_percent);
	}
}

static kmm_word rounded(kmm_word pfn)
{
	return pfn == KMM_NO_PFN ? pfn : (kmm_word)kmm_align_up(pfn, (uint64_t)1 << KMM_MAX_ORDER);
}

/* First frame of the highest sort of zone that any node has RAM in. */
static kmm_word usable_start(const struct kmm_phys *p)
{
	const struct kmm_zone *highest = NULL;
	kmm_word first = 0;

	for (unsigned i = 0; i < p->nr_zones; i++) {
		const struct kmm_zone *z = p->zones[i];

		if (z->id == KMM_ZONE_MOVABLE || !z->present || (highest && z->id < highest->id))
			continue;
		first = highest && z->id == highest->id && first < z->first ? first : z->first;
		highest = z;
	}
	return first;
}

void kmm_movable_starts(const struct kmm *k, kmm_word start[KMM_MAX_NODES])
{
	struct kmm_phys *p = k->phys;
	struct cores c = { &p->boot, p->boot.max_pfn, usable_start(p), p->nr_nodes, start, 0 };

	for (unsigned node = 0; node < KMM_MAX_NODES; node++)
		start[node] = KMM_NO_PFN;
	c.needed = wanted_core(&k->machine, all_ram(&c));
	if (k->machine.movable_node) {
		from_hotplug(&p->boot, start);
	} else if (c.needed) {
		for (unsigned node = 0; node < p->nr_nodes; node++)
			start[node] = 0;
		share_out(&c);
	} else if (k->machine.movable_percent) {
		from_percent(k, start);
	}
	for (unsigned node = 0; node < KMM_MAX_NODES; node++)
		start[node] = rounded(start[node]);
}
