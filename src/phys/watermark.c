/* SPDX-License-Identifier: MIT */
/*
 * Watermarks and lowmem protection, by the rules of Linux 6.1, and the test a request must pass.
 *
 * min_free_kbytes grows with the square root of low memory; zones, of all nodes, share it by size. A kernel with
 * transparent huge pages raises it so that each zone can keep a free pageblock per pair of mobility types.
 * protection[j] of a zone is what a request that could have been served by zone j must leave in it: the
 * frames of its node's zones above it, up to j, divided by the zone's ratio.
 * Like Linux, marks are computed once, when zones are made; frames given back later do not move them.
 */
#include "phys/geometry.h"
#include "phys/alloc.h"
#include "phys/phys.h"

#define MIN_FREE_KB_LEAST 128u
#define MIN_FREE_KB_MOST 262144u
#define KB_PER_PAGE (KMM_PAGE_SIZE / 1024)
/* High zones keep a token minimum: a thousandth, between one reclaim batch and four. */
#define HIGH_MIN_LEAST 32u
#define HIGH_MIN_MOST 128u
/* Linux sorts pageblocks into three mobility types that have CPU caches. */
#define MOBILITY_TYPES 3u

static bool counts_as_high(const struct kmm_machine *m, unsigned zone)
{
	return zone == KMM_ZONE_HIGHMEM || (zone == KMM_ZONE_MOVABLE && !kmm_geometry(m->format)->wide);
}

/* The zones of a machine: managed pages in, marks out; number i is zone i % KMM_NR_ZONES of node i / KMM_NR_ZONES. */
struct plan {
	const struct kmm_machine *m;
	const kmm_word *managed;
	struct kmm_marks *out;
	unsigned nr;
};

static uint64_t low_pages(const struct plan *p)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < p->nr; i++)
		pages += counts_as_high(p->m, i % KMM_NR_ZONES) ? 0 : p->managed[i];
	return pages;
}

/* What kernel requests can use: zones up to Normal, less their high marks. */
static uint64_t buffer_pages(const struct plan *p)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < p->nr; i++)
		if (i % KMM_NR_ZONES <= KMM_ZONE_NORMAL && p->managed[i] > p->out[i].high)
			pages += p->managed[i] - p->out[i].high;
	return pages;
}

static uint32_t default_min_free(uint64_t pages)
{
	uint64_t kb = kmm_isqrt_u64(pages * KB_PER_PAGE * 16);

	return (uint32_t)kmm_max_u64(MIN_FREE_KB_LEAST, kmm_min_u64(MIN_FREE_KB_MOST, kb));
}

/* The recommendation of a kernel with huge pages, at most a twentieth of low memory. */
static uint32_t huge_page_min_free(const struct plan *p)
{
	unsigned order = kmm_geometry(p->m->format)->pageblock_order;
	uint64_t block = (uint64_t)1 << (order < KMM_MAX_ORDER ? order : KMM_MAX_ORDER), zones = 0, pages;

	for (unsigned i = 0; i < p->nr; i++)
		zones += i % KMM_NR_ZONES <= KMM_ZONE_NORMAL && p->managed[i] != 0;
	pages = block * zones * 2 + block * zones * MOBILITY_TYPES * MOBILITY_TYPES;
	pages = kmm_min_u64(pages, kmm_div_u64(buffer_pages(p), 20, NULL));
	return (uint32_t)(pages * KB_PER_PAGE);
}

/* a * b / d without a 128-bit product; b below 2^32, d below 2^32 and not 0. */
static uint64_t scale(uint64_t a, uint32_t b, uint32_t d)
{
	uint32_t rem;
	uint64_t whole = kmm_div_u64(a, d, &rem);

	return whole * b + kmm_div_u64((uint64_t)rem * b, d, NULL);
}

/* pages * part / all for part <= all; `all` may be too large for kmm_div_u64: long division by bits then. */
static uint64_t share(uint32_t pages, uint64_t part, uint64_t all)
{
	uint64_t quotient = 0, rest = 0;

	if (all == 0)
		return 0;
	if (all >> 32 == 0)
		return scale(part, pages, (uint32_t)all);
	for (unsigned bit = 32; bit-- > 0;) {
		rest = (rest << 1) + ((pages >> bit & 1) ? part : 0);
		quotient <<= 1;
		for (; rest >= all; rest -= all)
			quotient++;
	}
	return quotient;
}

static void set_marks(const struct plan *p, uint32_t min_free_kb)
{
	uint32_t pages_min = min_free_kb / KB_PER_PAGE;
	uint64_t low = low_pages(p);

	for (unsigned i = 0; i < p->nr; i++) {
		kmm_word managed = p->managed[i];
		uint64_t min = share(pages_min, managed, low), step;

		step = kmm_max_u64(min >> 2, scale(managed, p->m->watermark_scale_factor, 10000));
		if (counts_as_high(p->m, i % KMM_NR_ZONES))
			min = kmm_max_u64(HIGH_MIN_LEAST, kmm_min_u64(HIGH_MIN_MOST, managed / 1024));
		p->out[i].min = managed ? (kmm_word)min : 0;
		p->out[i].low = managed ? (kmm_word)(min + step) : 0;
		p->out[i].high = managed ? (kmm_word)(min + 2 * step) : 0;
	}
}

/* managed: of one node. */
static void set_protection(const struct kmm_machine *m, const kmm_word managed[KMM_NR_ZONES], unsigned zone,
			   struct kmm_marks *out)
{
	uint32_t ratio = m->lowmem_reserve_ratio[zone];
	uint64_t above = 0;

	for (unsigned j = 0; j <= zone; j++)
		out->protection[j] = 0;
	for (unsigned j = zone + 1; j < KMM_NR_ZONES; j++) {
		above += managed[j];
		out->protection[j] = ratio && managed[zone] ? (kmm_word)kmm_div_u64(above, ratio, NULL) : 0;
	}
}

/* Returns min_free_kbytes. */
static uint32_t compute(const struct plan *p)
{
	uint32_t kb = p->m->min_free_kbytes, huge;

	for (unsigned i = 0; i < p->nr; i++)
		p->out[i].high = 0;
	if (kb == 0)
		kb = default_min_free(buffer_pages(p));
	set_marks(p, kb);
	huge = p->m->huge_page_reserve ? huge_page_min_free(p) : 0;
	if (huge > kb) {
		kb = huge;
		set_marks(p, kb);
	}
	for (unsigned i = 0; i < p->nr; i++)
		set_protection(p->m, p->managed + i / KMM_NR_ZONES * KMM_NR_ZONES, i % KMM_NR_ZONES, &p->out[i]);
	return kb;
}

void kmm_watermarks_compute(const struct kmm_machine *m, const kmm_word managed[KMM_NR_ZONES],
			    struct kmm_zone_info out[KMM_NR_ZONES], uint32_t *min_free_kbytes)
{
	struct kmm_marks marks[KMM_NR_ZONES];
	uint32_t kb = compute(&(struct plan){ m, managed, marks, KMM_NR_ZONES });

	for (unsigned i = 0; i < KMM_NR_ZONES; i++) {
		out[i].min = marks[i].min;
		out[i].low = marks[i].low;
		out[i].high = marks[i].high;
		for (unsigned j = 0; j < KMM_NR_ZONES; j++)
			out[i].protection[j] = marks[i].protection[j];
	}
	if (min_free_kbytes)
		*min_free_kbytes = kb;
}

uint32_t kmm_watermarks_of(const struct kmm *k, struct kmm_marks out[KMM_MAX_ZONES])
{
	const struct kmm_phys *p = k->phys;
	kmm_word managed[KMM_MAX_ZONES];

	for (unsigned i = 0; i < p->nr_zones; i++)
		managed[i] = p->zones[i]->managed;
	return compute(&(struct plan){ &k->machine, managed, out, p->nr_zones });
}

/* ---- the test ---- */

kmm_word kmm_watermark_mark(const struct kmm_zone *z, kmm_gfp gfp, bool last_pass)
{
	kmm_word mark = z->min;

	if (!last_pass)
		return z->low;
	if (gfp & KMM_GFP_HIGH) {
		mark -= mark / 2;
		if (!(gfp & KMM_GFP_RECLAIM)) /* atomic */
			mark -= mark / 4;
	}
	return mark;
}

bool kmm_watermark_allows(struct kmm *k, struct kmm_zone *z, unsigned order, enum kmm_mobility mobility,
			  enum kmm_zone_id start, kmm_word mark)
{
	kmm_word unusable = ((kmm_word)1 << order) - 1;

	KMM_ASSERT(k, z->free_cma <= z->free && z->free <= z->managed);
	if (kmm_zone_usable(z, mobility) <= mark + z->protection[start] + unusable)
		return false;
	return order == 0 || kmm_tract_has(k, z, order, mobility);
}

bool kmm_phys_is_short(const struct kmm *k, kmm_gfp gfp)
{
	enum kmm_zone_id start = (enum kmm_zone_id)k->phys->class_of[gfp & 15];

	for (unsigned i = 0; i < k->phys->nr_zones; i++) {
		const struct kmm_zone *z = k->phys->zones[i];

		if (z->managed && z->id <= start && kmm_zone_free_hint(z) > z->gate[start])
			return false;
	}
	return true;
}
