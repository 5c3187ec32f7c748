/* SPDX-License-Identifier: MIT */
/*
 * Conservation of frames: every frame of RAM is exactly one of reserved, free in its tract's bitmap, in a CPU's
 * cache, allocated, or in a section that was not made yet; and the counters say so.
 *
 * While it runs the bits of cached frames are set, so that "set" means "nobody's"; each must have been clear.
 * Then all descriptors are walked in order: an allocated or reserved block has no bit set, every other frame has
 * its own. The entries of tracts are recomputed from their bits, and the lists hold each of them once. Runs alone
 * on the machine (kmm_audit's rule).
 */
#include "phys/phys.h"

#define MAX_LINES 64u

struct audit {
	struct kmm *k;
	struct kmm_phys *p;
	struct kmm_sink *out;
	unsigned nr;
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

static bool in_zone(const struct audit *a, const struct kmm_zone *z, kmm_word pfn)
{
	return pfn < a->p->max_pfn && kmm_zone_of_pfn(a->p, pfn) == z;
}

/* ---- entries and lists ---- */

static bool bits_are_set(const struct kmm_zone *z, uint32_t i)
{
	unsigned word = 0;

	while (word < KMM_TRACT_WORDS && kmm_tract_words(z, i)[word] == KMM_BITS_ALL)
		word++;
	return word == KMM_TRACT_WORDS;
}

static kmm_word check_tract(struct audit *a, const struct kmm_zone *z, uint32_t i)
{
	const struct kmm_tract *tract = &z->tract[i];
	kmm_word first = kmm_tract_pfn(z, i);
	int top = -1;
	unsigned nr = 0;

	for (unsigned j = 0; j < KMM_TRACT_PAGES;) {
		int order = kmm_tract_largest_at(z, first + j); /* j is where the block begins: those before it were stepped over */

		top = order > top ? order : top;
		nr += order < 0 ? 0 : 1u << order;
		j += order < 0 ? 1 : 1u << order;
	}
	expect(a, nr == tract->free, "a tract's count is not that of its bits", z, first, tract->free);
	if (tract->top == KMM_TOP_TAKEN)
		expect(a, tract->sort < KMM_SORT_CMA && bits_are_set(z, i), "a tract that was taken whole has lost bits", z, first,
		       tract->sort);
	else if (tract->top == KMM_TOP_HELD || tract->sort >= KMM_SORT_ISOLATE)
		expect(a, tract->top == KMM_TOP_HELD && tract->sort == KMM_SORT_ISOLATE, "a tract is half isolated", z, first,
		       tract->sort);
	else if (nr == KMM_TRACT_PAGES && tract->sort != KMM_SORT_CMA)
		expect(a, tract->top >= KMM_TRACT_ORDER && tract->top != KMM_TOP_NONE, "a free tract is not known as one", z,
		       first, tract->top);
	else
		expect(a, tract->top == (top < 0 ? (int)KMM_TOP_NONE : top), "a tract's largest block is wrong", z, first,
		       tract->top);
	return nr;
}

/* Of tracts that are made: how many shall be in a list. Returns the free frames that are not isolated. */
static kmm_word check_tracts(struct audit *a, const struct kmm_zone *z, kmm_word *listed)
{
	kmm_word pages = 0, cma = 0, isolated = 0;

	for (uint32_t i = 0; i < z->nr_tracts; i++) {
		kmm_word nr;

		if (!kmm_section_is_live(a->p, kmm_section_of(kmm_tract_pfn(z, i))))
			continue;
		nr = check_tract(a, z, i);
		pages += z->tract[i].sort != KMM_SORT_ISOLATE ? nr : 0;
		isolated += z->tract[i].sort == KMM_SORT_ISOLATE ? nr : 0;
		cma += z->tract[i].sort == KMM_SORT_CMA ? nr : 0;
		*listed += z->tract[i].top < KMM_TOP_NONE;
	}
	expect(a, cma == z->free_cma, "free frames of contiguous areas are miscounted", z, cma, z->free_cma);
	expect(a, isolated == z->isolated, "isolated frames are miscounted", z, isolated, z->isolated);
	return pages;
}

static kmm_word walk_list(struct audit *a, const struct kmm_zone *z, uint32_t link, unsigned top, unsigned class,
			  unsigned sort)
{
	uint32_t before = 0;
	kmm_word nr = 0;

	for (; link && nr <= z->nr_tracts; nr++) {
		const struct kmm_tract *tract;

		if (link > z->nr_tracts || !kmm_section_is_live(a->p, kmm_section_of(kmm_tract_pfn(z, link - 1)))) {
			broken(a, "a list of tracts leaves the zone", z, link, top);
			break;
		}
		tract = &z->tract[link - 1];
		expect(a, tract->prev == before, "a tract's back link is wrong", z, link, before);
		expect(a, tract->top == top && (top >= KMM_TRACT_ORDER || (tract->class == class && tract->sort == sort)),
		       "a tract is in the wrong list", z, link, tract->top);
		before = link;
		link = tract->next;
	}
	return nr;
}

static kmm_word walk_shelf(struct audit *a, const struct kmm_zone *z, unsigned sort, uint32_t nr_tops[])
{
	const struct kmm_shelf *shelf = &z->shelf[sort];
	kmm_word all = 0;

	for (unsigned class = 0; class < KMM_TRACT_CLASSES; class++) {
		for (unsigned top = 0; top < KMM_TRACT_ORDER; top++) {
			kmm_word nr = walk_list(a, z, shelf->heads[class][top], top, class, sort);

			expect(a, (shelf->tops[class] >> top & 1) == (nr != 0), "bit of a list is wrong", z, top, class);
			nr_tops[top] += (uint32_t)nr;
			all += nr;
		}
		expect(a, (shelf->classes >> class & 1) == (shelf->tops[class] != 0), "bit of a class is wrong", z, class, 0);
	}
	return all;
}

static void check_lists(struct audit *a, const struct kmm_zone *z, kmm_word listed)
{
	kmm_word nr = 0, whole = 0;
	uint32_t nr_tops[KMM_NR_PLACED][KMM_TRACT_ORDER] = { { 0 } };

	for (unsigned sort = 0; sort < KMM_NR_SHELVES; sort++)
		nr += walk_shelf(a, z, sort, nr_tops[kmm_tract_mobility(&(struct kmm_tract){ .sort = sort & 15 })]);
	for (unsigned i = 0; i < KMM_NR_PLACED * KMM_TRACT_ORDER; i++) {
		unsigned mobility = i / KMM_TRACT_ORDER, top = i % KMM_TRACT_ORDER;
		uint32_t found = nr_tops[mobility][top];

		expect(a, found == z->nr_tops[mobility][top], "tracts by largest block are miscounted", z, top, found);
		expect(a, (z->tops[mobility] >> top & 1) == (found != 0), "bit of a largest block is wrong", z, top, mobility);
	}
	for (unsigned top = KMM_TRACT_ORDER; top <= KMM_TOP_MAX; top++) {
		kmm_word blocks = walk_list(a, z, z->whole[top], top, 0, 0);

		expect(a, (z->whole_tops >> top & 1) == (blocks != 0), "bit of a list is wrong", z, top, blocks);
		nr += blocks;
		whole += blocks << (top - KMM_TRACT_ORDER);
	}
	expect(a, whole == z->nr_whole, "wholly free tracts are miscounted", z, whole, z->nr_whole);
	expect(a, nr == listed, "tracts are not in one list each", z, nr, listed);
}

/* ---- CPU caches ---- */

/* A cached block is free or not; `set`: it must not have been before. Tracts that were taken whole have their bits set. */
static void toggle(struct audit *a, const struct kmm_zone *z, kmm_word pfn, kmm_word frames, bool set)
{
	struct kmm_tract *tract = &z->tract[kmm_tract_of(z, pfn)];

	for (kmm_word f = pfn; set && f < pfn + frames; f++)
		expect(a, !kmm_tract_bit(z, f), "cached frame is free somewhere else", z, f, pfn);
	if (tract->top == (set ? KMM_TOP_TAKEN : KMM_TOP_BODY))
		tract->top = set ? KMM_TOP_BODY : KMM_TOP_TAKEN;
	else
		for (kmm_word f = pfn; f < pfn + frames; f++)
			z->map[(f - z->tract_first * KMM_TRACT_PAGES) / KMM_BITS] ^= (kmm_bits)1 << f % KMM_BITS;
}

static void mark_cached(struct audit *a, const struct kmm_zone *z, bool set)
{

	for (unsigned i = 0; i < KMM_MAX_CPUS * KMM_PCP_SORTS * KMM_PCP_LISTS; i++) {
		const struct kmm_pcp *pcp = &z->pcp[i / KMM_PCP_LISTS / KMM_PCP_SORTS][i / KMM_PCP_LISTS % KMM_PCP_SORTS];
		const struct kmm_mag *mag = &pcp->mag[i % KMM_PCP_LISTS];
		kmm_word frames = (kmm_word)1 << kmm_pcp_order(i % KMM_PCP_LISTS);

		for (kmm_word j = 0; j < mag->nr; j++) {
			kmm_word pfn = mag->at[j];

			if (!in_zone(a, z, pfn) || !in_zone(a, z, pfn + frames - 1)) {
				broken(a, "a CPU's cache leaves the zone", z, pfn, frames);
				continue;
			}
			toggle(a, z, pfn, frames, set);
		}
	}
}

/* ---- over the descriptors ---- */

static kmm_word block_pages(const struct kmm_page *page)
{
	return kmm_page_kind(page) >= KMM_KIND_KERNEL ? (kmm_word)1 << kmm_page_order(page) : 1;
}

static void check_bodies(struct audit *a, const struct kmm_zone *z, kmm_word pfn, kmm_word nr)
{
	for (kmm_word i = 1; i < nr; i++) {
		const struct kmm_page *body = kmm_page_at(a->p, pfn + i);

		expect(a, body->flags == z->bits, "frame inside a block is something by itself", z, pfn + i, body->flags);
		expect(a, !kmm_tract_bit(z, pfn + i), "frame inside an allocated block is free", z, pfn + i, pfn);
	}
}

static void check_head(struct audit *a, const struct kmm_zone *z, kmm_word pfn, const struct kmm_page *page)
{
	unsigned refs = atomic_load_explicit(&page->refcount, memory_order_relaxed);
	enum kmm_kind kind = kmm_page_kind(page);

	expect(a, (page->flags & KMM_ZONE_MASK) == z->bits, "frame has another zone's mark", z, pfn, page->flags);
	if (kind == KMM_KIND_NONE) {
		expect(a, kmm_tract_bit(z, pfn), "frame is in no block", z, pfn, page->flags);
		expect(a, refs == 0, "free frame has references", z, pfn, refs);
		expect(a, page->flags == z->bits, "free frame has marks of something", z, pfn, page->flags);
		return;
	}
	expect(a, !kmm_tract_bit(z, pfn), "frame in use is free as well", z, pfn, page->flags);
	if (kind >= KMM_KIND_KERNEL)
		expect(a, refs != 0, "allocated frame has no reference", z, pfn, page->flags);
}

/* One live section's share of a zone. */
static void tally_live(struct audit *a, const struct kmm_zone *z, kmm_word pfn, kmm_word end, kmm_word kinds[KMM_NR_KINDS])
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
		kinds[kmm_page_kind(page) == KMM_KIND_NONE ? KMM_KIND_FREE : kmm_page_kind(page)] += nr;
		pfn += nr;
	}
}

/* A section that was not made is what the boot map says. */
static void tally_lazy(struct audit *a, kmm_word pfn, kmm_word end, kmm_word kinds[KMM_NR_KINDS])
{
	while (pfn < end) {
		struct kmm_run run;
		kmm_word stop;

		kmm_boot_run(&a->p->boot, pfn, &run);
		stop = run.end < end ? run.end : end;
		kinds[run.kind] += stop - pfn;
		pfn = stop;
	}
}

static void tally_zone(struct audit *a, const struct kmm_zone *z, kmm_word kinds[KMM_NR_KINDS])
{
	kmm_word pfn = z->tract_first * KMM_TRACT_PAGES, last = pfn + (kmm_word)z->nr_tracts * KMM_TRACT_PAGES, end;

	for (last = last < a->p->max_pfn ? last : a->p->max_pfn; pfn < last; pfn = end) {
		bool own = kmm_zone_run(a->p, pfn, &end) == z;

		if (own && kmm_section_is_live(a->p, kmm_section_of(pfn)))
			tally_live(a, z, pfn, end, kinds);
		else if (own)
			tally_lazy(a, pfn, end, kinds);
	}
}

/* ---- both ---- */

static void audit_kinds(struct audit *a, const struct kmm_zone *z)
{
	kmm_word kinds[KMM_NR_KINDS] = { 0 }, owned = 0;

	tally_zone(a, z, kinds);
	for (unsigned kind = 0; kind < KMM_NR_KINDS; kind++) {
		kmm_word said = kmm_zone_kind_count(z, (enum kmm_kind)kind);

		expect(a, kinds[kind] == said, kmm_kind_name((enum kmm_kind)kind), z, kinds[kind], said);
		if (kind == KMM_KIND_FREE || kind >= KMM_KIND_KERNEL)
			owned += kinds[kind];
	}
	expect(a, owned == z->managed, "free and allocated frames are not the managed ones", z, owned, z->managed);
}

static void audit_zone(struct audit *a, const struct kmm_zone *z)
{
	kmm_word ignored[KMM_NR_ORDERS] = { 0 }, listed = 0, pages = check_tracts(a, z, &listed);

	check_lists(a, z, listed);
	expect(a, kmm_zone_count_lazy(a->k, z, ignored) == z->lazy, "frames not made yet are miscounted", z, z->lazy, 0);
	expect(a, pages + z->lazy == z->free, "free count is wrong", z, pages + z->lazy, z->free);
	if (a->nr) /* what follows writes where caches point */
		return;
	mark_cached(a, z, true);
	audit_kinds(a, z);
	mark_cached(a, z, false);
}

unsigned kmm_phys_audit(struct kmm *k, struct kmm_sink *out)
{
	struct audit a = { k, k->phys, out, 0 };

	for (unsigned i = 0; i < k->phys->nr_zones; i++)
		audit_zone(&a, k->phys->zones[i]);
	return a.nr;
}

/* Blocks of RAM in [pfn, end), all made, that are not free. Returns where the last one ends. */
static kmm_word visit_run(struct kmm *k, kmm_word pfn, kmm_word end,
		      void (*visit)(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr), void *arg)
{
	while (pfn < end) {
		struct kmm_page *page = kmm_page_at(k->phys, pfn);
		kmm_word nr = block_pages(page);

		if (kmm_page_kind(page) > KMM_KIND_HOLE && !(page->flags & KMM_PG_FIRMWARE))
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

		end = end < p->max_pfn ? end : p->max_pfn;
		if (kmm_section_is_live(p, kmm_section_of(pfn)))
			pfn = visit_run(k, pfn, end, visit, arg);
		else
			pfn = end;
	}
}

struct used {
	void (*visit)(void *arg, struct kmm_pfn pfn, kmm_word nr);
	void *arg;
};

static void visit_used(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr)
{
	const struct used *u = arg;

	(void)page;
	u->visit(u->arg, pfn, nr);
}

/* Of sections that were not made: what was set aside at boot. */
static void visit_lazy(const struct kmm_phys *p, kmm_word pfn, kmm_word end, const struct used *u)
{
	while (pfn < end) {
		struct kmm_run run;
		kmm_word stop;

		kmm_boot_run(&p->boot, pfn, &run);
		stop = run.end < end ? run.end : end;
		if (run.ram && run.kind != KMM_KIND_FREE)
			u->visit(u->arg, kmm_pfn(pfn), stop - pfn);
		pfn = stop;
	}
}

void kmm_phys_each_used(struct kmm *k, void (*visit)(void *arg, struct kmm_pfn pfn, kmm_word nr), void *arg)
{
	const struct kmm_phys *p = k->phys;
	struct used u = { visit, arg };

	kmm_phys_for_each(k, visit_used, &u);
	for (kmm_word pfn = 0; pfn < p->max_pfn; pfn += KMM_SECTION_PAGES) {
		kmm_word end = pfn + KMM_SECTION_PAGES < p->max_pfn ? pfn + KMM_SECTION_PAGES : p->max_pfn;

		if (!kmm_section_is_live(p, kmm_section_of(pfn)))
			visit_lazy(p, pfn, end, &u);
	}
}
