/* SPDX-License-Identifier: MIT */
/*
 * The firmware's map, repaired, and boot-time reservations.
 *
 * Repair: entries may come in any order, overlap, be empty or run past 2^64. Where entries overlap the
 * more restrictive type wins: BAD > NVS > ACPI > RESERVED (and unknown) > RAM. RAM is rounded inwards to
 * pages after adjoining RAM was joined, all else outwards. Frame 0 is never RAM: a zero frame number and
 * a zero address stay free to mean "none". What lies above the machine's physical limit is cut off, its
 * RAM counted.
 *
 * The list of reservations holds frames, not bytes; a byte range reserves every page it touches.
 * Does not free: reservations end by kmm_free_reserved(), which works on descriptors.
 */
#include "phys/bootmem.h"

#include "base/math.h"

#define PAGE_MASK ((uint64_t)KMM_PAGE_SIZE - 1)
#define LAST_END (~PAGE_MASK) /* ranges that reach 2^64 end here, so that end - start stays a number */
#define NO_LIMIT ((kmm_word)~(kmm_word)0)

static uint64_t end_of(const struct kmm_memrange *r)
{
	return r->start + r->size;
}

static bool insert_at(struct kmm_bootmem *b, unsigned at, struct kmm_memrange r)
{
	if (b->nr_map == KMM_MAX_RANGES)
		return false;
	for (unsigned i = b->nr_map++; i > at; i--)
		b->map[i] = b->map[i - 1];
	b->map[at] = r;
	return true;
}

static void remove_at(struct kmm_bootmem *b, unsigned at)
{
	b->nr_map--;
	for (unsigned i = at; i < b->nr_map; i++)
		b->map[i] = b->map[i + 1];
}

/* Takes [start, end) out of entry i. Returns the number of entries that are left of it, or -1: no room. */
static int cut(struct kmm_bootmem *b, unsigned i, uint64_t start, uint64_t end)
{
	struct kmm_memrange *r = &b->map[i], tail = *r;

	tail.start = end;
	tail.size = end_of(r) - end;
	if (r->start < start && end_of(r) > end) {
		r->size = start - r->start;
		return insert_at(b, i + 1, tail) ? 2 : -1;
	}
	if (r->start < start) {
		r->size = start - r->start;
		return 1;
	}
	if (end_of(r) > end) {
		*r = tail;
		return 1;
	}
	remove_at(b, i);
	return 0;
}

/* Puts r into the sorted map; it wins over what was there. */
static bool overlay(struct kmm_bootmem *b, struct kmm_memrange r)
{
	unsigned i = 0, at = 0;

	while (i < b->nr_map) {
		if (end_of(&b->map[i]) > r.start && b->map[i].start < end_of(&r)) {
			int left = cut(b, i, r.start, end_of(&r));

			if (left < 0)
				return false;
			i += (unsigned)left;
		} else {
			i++;
		}
	}
	while (at < b->nr_map && b->map[at].start < r.start)
		at++;
	return insert_at(b, at, r);
}

static void join_neighbours(struct kmm_bootmem *b)
{
	for (unsigned i = 0; i + 1 < b->nr_map;) {
		struct kmm_memrange *r = &b->map[i], *next = r + 1;

		if (r->type == next->type && r->name == next->name && end_of(r) == next->start) {
			r->size += next->size;
			remove_at(b, i + 1);
		} else {
			i++;
		}
	}
}

static void shrink_ram_to_pages(struct kmm_bootmem *b)
{
	for (unsigned i = 0; i < b->nr_map;) {
		struct kmm_memrange *r = &b->map[i];
		uint64_t start = kmm_align_up(r->start, KMM_PAGE_SIZE), end = end_of(r) & ~PAGE_MASK;

		if (r->type != KMM_MEM_RAM || start < end) {
			r->size = r->type == KMM_MEM_RAM ? end - start : r->size;
			r->start = r->type == KMM_MEM_RAM ? start : r->start;
			i++;
		} else {
			remove_at(b, i);
		}
	}
}

static uint32_t known_type(uint32_t type)
{
	return type >= KMM_MEM_RAM && type <= KMM_MEM_BAD ? type : KMM_MEM_RESERVED;
}

/* The numbers of the types grow with their restrictiveness, so later passes overlay earlier ones. */
static bool overlay_type(struct kmm_bootmem *b, const struct kmm_machine *m, uint32_t type)
{
	for (unsigned i = 0; i < m->nr_map; i++) {
		struct kmm_memrange r = m->map[i];
		uint64_t end;

		if (known_type(r.type) != type || r.size == 0)
			continue;
		if (kmm_add_overflows(r.start, r.size, &end) || end > LAST_END)
			end = LAST_END;
		if (type != KMM_MEM_RAM) {
			r.start &= ~PAGE_MASK;
			end = end > LAST_END - PAGE_MASK ? LAST_END : kmm_align_up(end, KMM_PAGE_SIZE);
		}
		r.size = end - r.start;
		r.type = type;
		if (r.start < end && !overlay(b, r))
			return false;
	}
	return true;
}

static bool overlay_all(struct kmm_bootmem *b, const struct kmm_machine *m)
{
	static const struct kmm_memrange page_0 = { 0, KMM_PAGE_SIZE, KMM_MEM_RESERVED, "page 0" };
	bool ok = overlay_type(b, m, KMM_MEM_RAM);

	join_neighbours(b);
	for (uint32_t type = KMM_MEM_RESERVED; type <= KMM_MEM_BAD; type++)
		ok = ok && overlay_type(b, m, type);
	shrink_ram_to_pages(b);
	if (ok && b->nr_map && b->map[0].type == KMM_MEM_RAM && b->map[0].start == 0)
		ok = overlay(b, page_0);
	join_neighbours(b);
	return ok;
}

static kmm_word saturating_pages(uint64_t bytes)
{
	uint64_t pages = bytes >> KMM_PAGE_SHIFT;

	return pages > NO_LIMIT ? NO_LIMIT : (kmm_word)pages;
}

static void clip(struct kmm_bootmem *b, uint64_t limit)
{
	uint64_t lost = 0;

	while (b->nr_map && end_of(&b->map[b->nr_map - 1]) > limit) {
		struct kmm_memrange *r = &b->map[b->nr_map - 1];
		uint64_t keep = r->start < limit ? limit - r->start : 0;

		if (r->type == KMM_MEM_RAM)
			lost += r->size - keep;
		r->size = keep;
		if (keep == 0)
			b->nr_map--;
	}
	b->unreachable_pages = saturating_pages(lost);
}

static void count(struct kmm_bootmem *b)
{
	for (unsigned i = 0; i < b->nr_map; i++) {
		const struct kmm_memrange *r = &b->map[i];

		if (r->type != KMM_MEM_RAM)
			continue;
		if (b->max_pfn == 0)
			b->first_ram = (kmm_word)(r->start >> KMM_PAGE_SHIFT);
		b->ram_pages += (kmm_word)(r->size >> KMM_PAGE_SHIFT);
		b->max_pfn = (kmm_word)(end_of(r) >> KMM_PAGE_SHIFT);
	}
}

enum kmm_status kmm_boot_init(struct kmm_bootmem *b, const struct kmm_machine *m, uint64_t phys_limit, const char **why)
{
	b->nr_map = b->nr_reserve = 0;
	b->ram_pages = b->unreachable_pages = b->first_ram = b->max_pfn = 0;
	if (!overlay_all(b, m)) {
		*why = "the memory map has more ranges than KMM_MAX_RANGES";
		return KMM_EOVERFLOW;
	}
	clip(b, phys_limit);
	count(b);
	if (b->ram_pages)
		return KMM_OK;
	if (b->unreachable_pages)
		*why = "all RAM of the memory map is beyond what the format can address";
	else
		*why = m->nr_map ? "the memory map has no whole page of RAM" : "the memory map is empty";
	return KMM_ERANGE;
}

/* ---- nodes ---- */

static enum kmm_status refuse(const char **why, enum kmm_status status, const char *sentence)
{
	*why = sentence;
	return status;
}

static const char *node_range_fault(const struct kmm_machine *m, unsigned i)
{
	const struct kmm_node_range *r = &m->node_map[i];
	uint64_t end;

	if (r->size == 0 || ((r->start | r->size) & PAGE_MASK) || kmm_add_overflows(r->start, r->size, &end))
		return "a node's range is empty or not page aligned";
	if (r->node >= KMM_MAX_NODES)
		return "a range belongs to a node beyond KMM_MAX_NODES";
	for (unsigned j = 0; j < i; j++) {
		const struct kmm_node_range *other = &m->node_map[j];

		if (r->node != other->node && r->start < other->start + other->size && other->start < end)
			return "ranges of two nodes overlap";
	}
	return NULL;
}

/* Pieces are sorted by start; the range's end needs no entry, as what follows is the node's until another begins. */
static bool add_piece(struct kmm_bootmem *b, kmm_word start, uint8_t node)
{
	unsigned at = 0;

	if (b->nr_node == KMM_MAX_BOOT_NODES)
		return false;
	while (at < b->nr_node && b->node[at].start < start)
		at++;
	for (unsigned i = b->nr_node++; i > at; i--)
		b->node[i] = b->node[i - 1];
	b->node[at] = (struct kmm_boot_node){ start, node };
	return true;
}

static void join_pieces(struct kmm_bootmem *b)
{
	unsigned nr = 1;

	for (unsigned i = 1; i < b->nr_node; i++)
		if (b->node[i].node != b->node[nr - 1].node)
			b->node[nr++] = b->node[i];
	b->nr_node = nr;
	b->node[0].start = 0;
}

enum kmm_status kmm_boot_nodes(struct kmm_bootmem *b, const struct kmm_machine *m, const char **why)
{
	b->nr_node = 0;
	for (unsigned i = 0; i < m->nr_node_map; i++) {
		const char *fault = node_range_fault(m, i);

		if (fault)
			return refuse(why, KMM_EINVAL, fault);
		if (m->node_map[i].start >> KMM_PAGE_SHIFT > NO_LIMIT)
			continue;
		if (!add_piece(b, (kmm_word)(m->node_map[i].start >> KMM_PAGE_SHIFT), m->node_map[i].node))
			return refuse(why, KMM_EOVERFLOW, "too many ranges of nodes");
	}
	if (b->nr_node == 0)
		add_piece(b, 0, 0);
	join_pieces(b);
	return KMM_OK;
}

/* ---- reservations ---- */

static bool same_sort(const struct kmm_boot_range *a, const struct kmm_boot_range *b)
{
	return a->kind == b->kind && a->give_back == b->give_back;
}

static void remove_reserve(struct kmm_bootmem *b, unsigned at)
{
	b->nr_reserve--;
	for (unsigned i = at; i < b->nr_reserve; i++)
		b->reserve[i] = b->reserve[i + 1];
}

enum kmm_status kmm_boot_reserve(struct kmm_bootmem *b, struct kmm_boot_range r)
{
	unsigned at = 0;

	if (r.start >= r.end)
		return KMM_OK;
	while (at < b->nr_reserve) {
		struct kmm_boot_range *old = &b->reserve[at];

		if (old->start <= r.end && r.start <= old->end && same_sort(old, &r)) {
			r.start = r.start < old->start ? r.start : old->start;
			r.end = r.end > old->end ? r.end : old->end;
			remove_reserve(b, at);
		} else if (old->start < r.start) {
			at++;
		} else {
			break;
		}
	}
	if (b->nr_reserve == KMM_MAX_RANGES)
		return KMM_EOVERFLOW;
	for (unsigned i = b->nr_reserve++; i > at; i--)
		b->reserve[i] = b->reserve[i - 1];
	b->reserve[at] = r;
	return KMM_OK;
}

/* The highest nr frames in [lo, hi) whose first is a multiple of align; 0: they do not fit. */
static kmm_word fit_high(kmm_word lo, kmm_word hi, kmm_word nr, kmm_word align)
{
	kmm_word at = hi > lo && hi - lo >= nr ? (hi - nr) & ~(align - 1) : 0;

	return at >= lo ? at : 0;
}

/* The highest nr unreserved frames in [lo, hi); 0: none (frame 0 is never RAM). */
static kmm_word highest_gap(const struct kmm_bootmem *b, kmm_word lo, kmm_word hi, kmm_word nr, kmm_word align)
{
	for (unsigned i = b->nr_reserve; i-- > 0;) {
		const struct kmm_boot_range *r = &b->reserve[i];
		kmm_word found;

		if (r->start >= hi)
			continue;
		if (r->end <= lo)
			break;
		found = fit_high(r->end, hi, nr, align);
		if (found)
			return found;
		if (r->start <= lo)
			return 0;
		hi = r->start;
	}
	return fit_high(lo, hi, nr, align);
}

enum kmm_status kmm_boot_alloc(struct kmm_bootmem *b, kmm_word nr, kmm_word align, kmm_word limit, enum kmm_kind kind,
			       kmm_word *pfn)
{
	for (unsigned i = b->nr_map; i-- > 0;) {
		const struct kmm_memrange *r = &b->map[i];
		kmm_word lo = (kmm_word)(r->start >> KMM_PAGE_SHIFT);
		kmm_word hi = (kmm_word)(end_of(r) >> KMM_PAGE_SHIFT), found;

		hi = hi < limit ? hi : limit;
		if (r->type != KMM_MEM_RAM || lo >= hi)
			continue;
		found = highest_gap(b, lo, hi, nr, align);
		if (found) {
			*pfn = found;
			return kmm_boot_reserve(b, (struct kmm_boot_range){ found, found + nr, kind, false });
		}
	}
	return KMM_ENOMEM;
}

/* ---- looking ---- */

/* Narrows run to the piece of a sorted list's gaps and entries around pfn: true if [start, end) covers
 * pfn, otherwise the run ends where it begins or begins where it ends. */
static bool narrow(struct kmm_run *run, kmm_word pfn, kmm_word start, kmm_word end)
{
	if (end <= pfn) {
		run->start = run->start > end ? run->start : end;
		return false;
	}
	if (start > pfn) {
		run->end = run->end < start ? run->end : start;
		return false;
	}
	run->start = run->start > start ? run->start : start;
	run->end = run->end < end ? run->end : end;
	return true;
}

static void narrow_by_reserve(const struct kmm_bootmem *b, kmm_word pfn, struct kmm_run *run)
{
	for (unsigned i = 0; i < b->nr_reserve && b->reserve[i].start < run->end; i++) {
		const struct kmm_boot_range *r = &b->reserve[i];

		if (narrow(run, pfn, r->start, r->end)) {
			run->kind = r->kind;
			run->give_back = r->give_back;
		}
	}
}

/* The last of the pieces that begin at or before pfn; the first one begins at 0. */
static unsigned node_piece(const struct kmm_bootmem *b, kmm_word pfn)
{
	unsigned i = 1;

	while (i < b->nr_node && b->node[i].start <= pfn)
		i++;
	return i - 1;
}

static kmm_word piece_end(const struct kmm_bootmem *b, unsigned i)
{
	return i + 1 < b->nr_node ? b->node[i + 1].start : NO_LIMIT;
}

unsigned kmm_boot_node(const struct kmm_bootmem *b, kmm_word pfn, kmm_word *end)
{
	unsigned i = node_piece(b, pfn);

	if (end)
		*end = piece_end(b, i);
	return b->node[i].node;
}

void kmm_boot_node_span(const struct kmm_bootmem *b, unsigned node, kmm_word *first, kmm_word *end)
{
	*first = *end = 0;
	for (unsigned i = b->nr_node; i-- > 0;) {
		if (b->node[i].node != node)
			continue;
		*first = b->node[i].start;
		*end = *end ? *end : piece_end(b, i);
	}
}

static void narrow_by_node(const struct kmm_bootmem *b, kmm_word pfn, struct kmm_run *run)
{
	unsigned i = node_piece(b, pfn);

	run->start = b->node[i].start;
	run->end = piece_end(b, i);
	run->node = b->node[i].node;
}

void kmm_boot_run(const struct kmm_bootmem *b, kmm_word pfn, struct kmm_run *run)
{
	*run = (struct kmm_run){ 0, NO_LIMIT, KMM_KIND_HOLE, false, false, b->node[0].node };
	if (b->nr_node > 1)
		narrow_by_node(b, pfn, run);
	for (unsigned i = 0; i < b->nr_map; i++) {
		const struct kmm_memrange *r = &b->map[i];
		kmm_word start = (kmm_word)(r->start >> KMM_PAGE_SHIFT);

		if (start >= run->end)
			break;
		if (!narrow(run, pfn, start, (kmm_word)(end_of(r) >> KMM_PAGE_SHIFT)))
			continue;
		run->ram = r->type == KMM_MEM_RAM;
		run->kind = run->ram ? KMM_KIND_FREE : KMM_KIND_RESERVED;
	}
	if (run->ram)
		narrow_by_reserve(b, pfn, run);
}
