/* SPDX-License-Identifier: MIT */
/*
 * Contiguous areas: tracts of sort CMA, which only movable requests get blocks of (tract_choose.c), and runs of frames
 * taken out of them by isolating, moving and claiming.
 *
 * A frame that kmm_cma_alloc() handed out bears KMM_PG_CMA until it is freed, by whichever call: this is how a request
 * tells places that are others' from places that can be emptied. Marks are looked at without a lock; two requests for
 * one place meet when they isolate it, and the second goes on to the next.
 */
#include "kmm/cma.h"

#include "phys/isolate.h"
#include "phys/phys.h"

#define TRIES 3u /* of one place: what is freed meanwhile may be in another CPU's cache, or be in use for a moment */

/* ---- reserving ---- */

/* Are all tracts of the range wholly free, or not made and then free by the boot map? */
static bool all_free(struct kmm *k, const struct kmm_zone *z, kmm_word first, kmm_word nr)
{
	for (kmm_word pfn = first; pfn < first + nr; pfn += KMM_TRACT_PAGES) {
		const struct kmm_tract *tract = &z->tract[kmm_tract_of(z, pfn)];

		if (kmm_section_is_live(k->phys, kmm_section_of(pfn)) &&
		    (tract->free != KMM_TRACT_PAGES || tract->sort == KMM_SORT_CMA || tract->sort == KMM_SORT_ISOLATE))
			return false;
	}
	return true;
}

static bool make_area(struct kmm *k, kmm_word first, kmm_word nr)
{
	struct kmm_zone *z = kmm_zone_of_pfn(k->phys, first);
	unsigned long irq;
	bool mine;

	if (!all_free(k, z, first, nr) || kmm_phys_isolate_range(k, kmm_pfn(first), nr) != KMM_OK)
		return false;
	mine = kmm_tracts_all_free(z, first, nr);
	if (mine) {
		irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);
		z->cma += nr;
		kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
	}
	kmm_phys_unisolate_range(k, kmm_pfn(first), nr, mine ? KMM_MOBILITY_CMA : KMM_MOBILITY_MOVABLE);
	return mine;
}

/* The highest place in [start, end), of free RAM by the boot map, that can be had. 0: none (frame 0 is never free). */
static kmm_word place_in(struct kmm *k, kmm_word start, kmm_word end, kmm_word nr, kmm_word align)
{
	while (end >= start && end - start >= nr) {
		kmm_word first = (end - nr) & ~(align - 1);

		if (first < start)
			break;
		if (make_area(k, first, nr))
			return first;
		end = first + nr - 1;
	}
	return 0;
}

static kmm_word place_area(struct kmm *k, kmm_word limit, kmm_word nr, kmm_word align)
{
	kmm_word end = limit, pfn = 0;

	while (end > 0 && !pfn) {
		struct kmm_run run;

		kmm_boot_run(&k->phys->boot, end - 1, &run);
		if (run.kind == KMM_KIND_FREE)
			pfn = place_in(k, run.start, end < run.end ? end : run.end, nr, align);
		end = run.start;
	}
	return pfn;
}

enum kmm_status kmm_cma_reserve(struct kmm *k, const struct kmm_cma_range *range, unsigned *area)
{
	struct kmm_phys *p = k->phys;
	const uint64_t tract = (uint64_t)KMM_TRACT_PAGES << KMM_PAGE_SHIFT;
	uint64_t align = range->align > tract ? range->align : tract, limit = k->layout.lowmem_end;
	uint64_t bytes = kmm_align_up(range->size, tract);
	kmm_word first;

	if (range->size == 0 || (align & (align - 1)))
		return KMM_EINVAL;
	if (p->nr_cma == KMM_MAX_CMA)
		return KMM_EOVERFLOW;
	if (range->limit && range->limit < limit)
		limit = range->limit;
	if (bytes < range->size || bytes > limit || align > limit)
		return KMM_ENOMEM;
	first = place_area(k, (kmm_word)(limit >> KMM_PAGE_SHIFT), (kmm_word)(bytes >> KMM_PAGE_SHIFT),
			   (kmm_word)(align >> KMM_PAGE_SHIFT));
	if (first == 0)
		return KMM_ENOMEM;
	KMM_ASSERT(k, first % KMM_TRACT_PAGES == 0 && (first << KMM_PAGE_SHIFT & (align - 1)) == 0);
	*area = p->nr_cma++;
	p->cma[*area] = (struct kmm_cma){ range->name ? range->name : "", first, (kmm_word)(bytes >> KMM_PAGE_SHIFT) };
	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++)
		kmm_gfp_set_gates(k, cpu, true); /* they hold the area back from all but movable requests */
	return KMM_OK;
}

/* ---- taking ---- */

static bool is_marked(const struct kmm_phys *p, kmm_word pfn)
{
	uint32_t flags = kmm_page_at(p, pfn)->flags;

	return (flags & KMM_PG_CMA) && (flags & 15) != KMM_KIND_FILE; /* there it is KMM_PG_BLANK */
}

static void mark(const struct kmm_phys *p, kmm_word first, kmm_word nr)
{
	for (kmm_word i = 0; i < nr; i++)
		kmm_flags_set(kmm_page_at(p, first + i), kmm_page_at(p, first + i)->flags | KMM_PG_CMA);
}

/* The last frame in [first, first + nr) that another request has; first + nr: none. */
static kmm_word last_marked(const struct kmm_phys *p, kmm_word first, kmm_word nr)
{
	for (kmm_word pfn = first + nr; pfn-- > first;)
		if (is_marked(p, pfn))
			return pfn;
	return first + nr;
}

static enum kmm_status claim(struct kmm *k, kmm_word first, kmm_word nr)
{
	enum kmm_status status = kmm_phys_claim_range(k, kmm_pfn(first), nr, KMM_KIND_KERNEL, NULL);

	for (unsigned i = 0; i < TRIES && status == KMM_EBUSY && k->phys->migrate; i++) {
		(void)!k->phys->migrate(k, kmm_pfn(first), nr);
		status = kmm_phys_claim_range(k, kmm_pfn(first), nr, KMM_KIND_KERNEL, NULL);
	}
	return status;
}

static enum kmm_status take_place(struct kmm *k, kmm_word first, kmm_word nr)
{
	enum kmm_status status = kmm_phys_isolate_range(k, kmm_pfn(first), nr);

	if (status != KMM_OK)
		return status;
	status = claim(k, first, nr);
	if (status == KMM_OK)
		mark(k->phys, first, nr);
	kmm_phys_unisolate_range(k, kmm_pfn(first), nr, KMM_MOBILITY_CMA);
	return status;
}

enum kmm_status kmm_cma_alloc(struct kmm *k, unsigned area, kmm_word nr, unsigned align_order, struct kmm_page **first)
{
	const struct kmm_phys *p = k->phys;
	const struct kmm_cma *a = &p->cma[area];
	kmm_word align, end, pfn, other;
	enum kmm_status status = KMM_ENOMEM;

	if (area >= p->nr_cma || nr == 0 || align_order >= 8 * sizeof(kmm_word) - KMM_PAGE_SHIFT)
		return KMM_EINVAL;
	if (kmm_inject(k, "cma_alloc") || nr > a->nr)
		return KMM_ENOMEM;
	align = (kmm_word)1 << align_order;
	end = a->first + a->nr;
	for (pfn = (a->first + align - 1) & ~(align - 1); pfn < end && end - pfn >= nr;) {
		other = last_marked(p, pfn, nr);
		if (other < pfn + nr) {
			pfn = (other + align) & ~(align - 1);
			continue;
		}
		status = take_place(k, pfn, nr);
		if (status == KMM_OK) {
			*first = kmm_page_at(p, pfn);
			return KMM_OK;
		}
		pfn += align;
	}
	return status;
}

enum kmm_status kmm_cma_free(struct kmm *k, unsigned area, struct kmm_page *first, kmm_word nr)
{
	const struct kmm_phys *p = k->phys;
	kmm_word pfn = kmm_pfn_of(p, first);

	if (area >= p->nr_cma || nr == 0 || pfn < p->cma[area].first || pfn - p->cma[area].first >= p->cma[area].nr ||
	    nr > p->cma[area].nr - (pfn - p->cma[area].first))
		return KMM_EINVAL;
	for (kmm_word i = 0; i < nr; i++)
		if (!is_marked(p, pfn + i) ||
		    atomic_load_explicit(&kmm_page_at(p, pfn + i)->refcount, memory_order_relaxed) != 1)
			return KMM_EINVAL;
	for (kmm_word i = 0; i < nr; i++)
		kmm_phys_free(k, kmm_page_at(p, pfn + i), 0);
	return KMM_OK;
}

bool kmm_cma_info(const struct kmm *k, unsigned area, struct kmm_cma_info *out)
{
	const struct kmm_phys *p = k->phys;

	if (area >= p->nr_cma)
		return false;
	*out = (struct kmm_cma_info){ p->cma[area].name, kmm_pfn(p->cma[area].first), p->cma[area].nr, 0 };
	for (kmm_word i = 0; i < out->nr_pages; i++)
		out->used += is_marked(p, out->first.v + i);
	return true;
}

void kmm_migrate_register(struct kmm *k, enum kmm_status (*migrate)(struct kmm *k, struct kmm_pfn first, kmm_word nr))
{
	k->phys->migrate = migrate;
}
