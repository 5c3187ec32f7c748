/* SPDX-License-Identifier: MIT */
/*
 * Conservation of frames: every frame of RAM is exactly one of reserved, in a free list, in a CPU's
 * cache, allocated, or in a section that was not made yet; and the counters say so.
 *
 * Two ways lead to the same numbers: along the lists, and over all descriptors in order. A frame that
 * sits in two places, or in none, makes them differ. Runs alone on the machine (kmm_audit's rule).
 */
#include "phys/phys.h"

#define MAX_LINES 64u

struct audit {
	struct kmm *k;
	struct kmm_phys *p;
	struct kmm_sink *out;
	unsigned nr;
};

/* By kind, per zone, as the descriptors have it. */
struct tally {
	kmm_word kinds[KMM_NR_KINDS];
	kmm_word cached;
};

static void broken(struct audit *a, const char *what, const struct kmm_zone *z, uint64_t x, uint64_t y)
{
	if (a->out && a->nr < MAX_LINES)
		kmm_printf(a->out, "frames: %s: %s (%llx, %llx)\n", kmm_zone_name(z->id), what,
			   (unsigned long long)x, (unsigned long long)y);
	a->nr++;
}

static void expect(struct audit *a, bool ok, const char *what, const struct kmm_zone *z, uint64_t x, uint64_t y)
{
	if (!ok)
		broken(a, what, z, x, y);
}

static bool in_zone(const struct kmm_zone *z, kmm_word pfn)
{
	return pfn >= z->first && pfn < z->end;
}

/* ---- along the lists ---- */

static kmm_word walk_free_list(struct audit *a, const struct kmm_zone *z, unsigned order)
{
	const struct kmm_page_list *list = &z->free_list[order];
	kmm_word link = list->first, before = 0, nr = 0;

	for (; link && nr <= list->nr; nr++) {
		kmm_word pfn = link - 1;
		struct kmm_page *page;

		if (!in_zone(z, pfn) || !kmm_section_is_live(a->p, kmm_section_of(pfn))) {
			broken(a, "free list leaves the zone", z, pfn, order);
			break;
		}
		page = kmm_page_at(a->p, pfn);
		expect(a, (page->flags & KMM_FREE_MASK) == (KMM_KIND_FREE | order << 4 | z->bits),
		       "block in a free list is not marked as one", z, pfn, page->flags);
		expect(a, (pfn & (((kmm_word)1 << order) - 1)) == 0, "free block is not aligned", z, pfn, order);
		expect(a, kmm_link_prev(a->p, page) == before, "free list's back link is wrong", z, pfn, before);
		before = link;
		link = kmm_link_next(a->p, page);
	}
	expect(a, nr == list->nr, "free list's count is wrong", z, nr, list->nr);
	expect(a, (z->nonempty >> order & 1) == (list->nr != 0), "bit of a free list is wrong", z, order, list->nr);
	return nr << order;
}

static kmm_word walk_cache(struct audit *a, const struct kmm_zone *z, unsigned cpu)
{
	kmm_word link = z->pcp[cpu].first, nr = 0;

	for (; link && nr <= z->pcp[cpu].nr; nr++) {
		kmm_word pfn = link - 1;

		if (!in_zone(z, pfn)) {
			broken(a, "a CPU's cache leaves the zone", z, pfn, cpu);
			break;
		}
		expect(a, (kmm_page_at(a->p, pfn)->flags & KMM_FREE_MASK) == (KMM_KIND_FREE | KMM_PG_CACHED | z->bits),
		       "cached frame is not marked as one", z, pfn, kmm_page_at(a->p, pfn)->flags);
		link = kmm_link_next(a->p, kmm_page_at(a->p, pfn));
	}
	expect(a, nr == z->pcp[cpu].nr, "count of a CPU's cache is wrong", z, nr, z->pcp[cpu].nr);
	return nr;
}

/* ---- over the descriptors ---- */

static kmm_word block_pages(const struct kmm_page *page)
{
	bool has_order = kmm_page_kind(page) == KMM_KIND_FREE || kmm_page_kind(page) >= KMM_KIND_KERNEL;

	return has_order ? (kmm_word)1 << kmm_page_order(page) : 1;
}

static void check_bodies(struct audit *a, const struct kmm_zone *z, kmm_word pfn, kmm_word nr)
{
	for (kmm_word i = 1; i < nr; i++) {
		const struct kmm_page *body = kmm_page_at(a->p, pfn + i);

		expect(a, body->flags == z->bits, "frame inside a block is something by itself", z, pfn + i, body->flags);
	}
}

static void check_head(struct audit *a, const struct kmm_zone *z, kmm_word pfn, const struct kmm_page *page)
{
	unsigned order = kmm_page_order(page), refs = atomic_load_explicit(&page->refcount, memory_order_relaxed);
	enum kmm_kind kind = kmm_page_kind(page);
	kmm_word buddy = pfn ^ ((kmm_word)1 << order);

	expect(a, (page->flags & KMM_ZONE_MASK) == z->bits, "frame has another zone's mark", z, pfn, page->flags);
	expect(a, kind != KMM_KIND_NONE, "frame is in no block", z, pfn, page->flags);
	if (kind == KMM_KIND_FREE) {
		expect(a, refs == 0, "free frame has references", z, pfn, refs);
		if (!(page->flags & KMM_PG_CACHED) && order < KMM_MAX_ORDER && in_zone(z, buddy))
			expect(a, (kmm_page_at(a->p, buddy)->flags & KMM_FREE_MASK) != (page->flags & KMM_FREE_MASK),
			       "two free buddies were not joined", z, pfn, buddy);
	} else if (kind >= KMM_KIND_KERNEL) {
		expect(a, refs != 0, "allocated frame has no reference", z, pfn, page->flags);
	}
}

/* One live section's share of a zone. */
static void tally_live(struct audit *a, const struct kmm_zone *z, kmm_word pfn, kmm_word end, struct tally *t)
{
	while (pfn < end) {
		const struct kmm_page *page = kmm_page_at(a->p, pfn);
		kmm_word nr = block_pages(page);

		check_head(a, z, pfn, page);
		if (nr > end - pfn) {
			broken(a, "block reaches beyond its section or zone", z, pfn, nr);
			nr = end - pfn;
		}
		check_bodies(a, z, pfn, nr);
		t->kinds[kmm_page_kind(page)] += nr;
		t->cached += (page->flags & KMM_PG_CACHED) != 0;
		pfn += nr;
	}
}

/* A section that was not made is what the boot map says. */
static void tally_lazy(struct audit *a, kmm_word pfn, kmm_word end, struct tally *t)
{
	while (pfn < end) {
		struct kmm_run run;
		kmm_word stop;

		kmm_boot_run(&a->p->boot, pfn, &run);
		stop = run.end < end ? run.end : end;
		t->kinds[run.kind] += stop - pfn;
		pfn = stop;
	}
}

static void tally_zone(struct audit *a, const struct kmm_zone *z, struct tally *t)
{
	kmm_word pfn = z->first;

	while (pfn < z->end) {
		kmm_word section = kmm_section_of(pfn), end = (section + 1) * KMM_SECTION_PAGES;

		end = end < z->end ? end : z->end;
		if (kmm_section_is_live(a->p, section))
			tally_live(a, z, pfn, end, t);
		else
			tally_lazy(a, pfn, end, t);
		pfn = end;
	}
}

/* ---- both ---- */

static void audit_zone(struct audit *a, const struct kmm_zone *z)
{
	kmm_word listed = 0, cached = 0, owned = 0, ignored[KMM_NR_ORDERS] = { 0 };
	struct tally t = { { 0 }, 0 };

	for (unsigned order = 0; order < KMM_NR_ORDERS; order++)
		listed += walk_free_list(a, z, order);
	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++)
		cached += walk_cache(a, z, cpu);
	expect(a, kmm_zone_count_lazy(a->k, z, ignored) == z->lazy, "frames not made yet are miscounted", z, z->lazy, 0);
	expect(a, listed + z->lazy == z->free, "free count is wrong", z, listed + z->lazy, z->free);

	tally_zone(a, z, &t);
	expect(a, t.cached == cached, "cached frames are in no cache", z, t.cached, cached);
	for (unsigned kind = 0; kind < KMM_NR_KINDS; kind++) {
		kmm_word said = kmm_zone_kind_count(z, (enum kmm_kind)kind);

		expect(a, t.kinds[kind] == said, kmm_kind_name((enum kmm_kind)kind), z, t.kinds[kind], said);
		if (kind == KMM_KIND_FREE || kind >= KMM_KIND_KERNEL)
			owned += t.kinds[kind];
	}
	expect(a, owned == z->managed, "free and allocated frames are not the managed ones", z, owned, z->managed);
}

unsigned kmm_phys_audit(struct kmm *k, struct kmm_sink *out)
{
	struct audit a = { k, k->phys, out, 0 };

	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		audit_zone(&a, &k->phys->zone[i]);
	return a.nr;
}

/* Blocks of RAM from pfn on that begin before end, all made. Returns where the last one ends: memory given
 * back joins with its neighbours, so a block may reach beyond a run of the boot map. */
static kmm_word visit_run(struct kmm *k, kmm_word pfn, kmm_word end,
		      void (*visit)(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr), void *arg)
{
	while (pfn < end) {
		struct kmm_page *page = kmm_page_at(k->phys, pfn);
		kmm_word nr = block_pages(page);

		visit(arg, page, kmm_pfn(pfn), nr);
		pfn += nr;
	}
	return pfn;
}

void kmm_phys_for_each(struct kmm *k, void (*visit)(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr),
		       void *arg)
{
	const struct kmm_phys *p = k->phys;
	kmm_word pfn = 0;

	while (pfn < p->max_pfn) {
		kmm_word end = (kmm_section_of(pfn) + 1) * KMM_SECTION_PAGES;
		struct kmm_run run;

		kmm_boot_run(&p->boot, pfn, &run);
		end = run.end < end ? run.end : end;
		end = end < p->max_pfn ? end : p->max_pfn;
		if (run.ram && kmm_section_is_live(p, kmm_section_of(pfn)))
			pfn = visit_run(k, pfn, end, visit, arg);
		else
			pfn = end;
	}
}
