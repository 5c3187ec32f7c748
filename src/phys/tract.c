/* SPDX-License-Identifier: MIT */
/*
 * What is free in a zone: tracts of 512 frames (2 MiB), each with a bitmap of one cache line (set: free and in
 * no CPU's cache) that is the only truth, unless all of it was taken at once, and an entry of 12 bytes that says how much is free, the largest
 * free block, and links the tracts that are alike.
 *
 *   top 0..8      partly free; the largest free aligned block has that order. In the list of (top, fullness)
 *   top 9..       head of a run of wholly free tracts that is a block of that order. In the list of its order
 *   KMM_TOP_NONE  nothing free
 *   KMM_TOP_TAKEN handed out in a block of whole tracts, or in a CPU's cache: its bits stay set as they were and mean
 *                 nothing, so that such blocks come and go without a look at bitmaps
 *   KMM_TOP_BODY  inside a block of order above 9
 *   KMM_TOP_HELD  isolated: its bits are kept, but it is in no list and its frames are not counted as free
 *
 * What a tract is for ("sort") was said by the request that opened it: unmovable blocks, of one order; movable ones;
 * reclaimable ones. One page that stays where it is spoils a whole tract, so unmovable blocks of a length fill
 * tracts of their own, and are not let into those whose pages can be moved or reclaimed as long as there are others.
 * Wholly free tracts are anybody's, except those of contiguous areas: these never join their neighbours, and only
 * movable requests get blocks of them, up to order 8.
 *
 * A request takes from the fullest tract of its sort, of those from the one with the smallest top that can serve it: so
 * tracts full of holes fill up and those with large pieces keep them. Blocks smaller than a tract are joined by
 * their bits being side by side; whole tracts are joined as in a buddy system.
 *
 * A tract lies in one section; those of sections not made hold garbage and are in no list. A tract that two
 * zones share has an entry in each, with the bits of its own frames; it is never whole.
 * All functions: lock z held. No policy here: watermarks and kinds are the caller's.
 */
#include "phys/tract.h"

_Static_assert((1u << KMM_TOP_MAX) <= KMM_SECTION_PAGES, "a section holds whole blocks of every order");
_Static_assert(sizeof(struct kmm_tract) == 12, "metadata per tract");

/* ---- in a bitmap ---- */

/* A free block of order in the tract: one that is no part of a larger free block, if there is such a one. */
static unsigned find_small(const kmm_bits *w, unsigned order)
{
	unsigned found = KMM_TRACT_PAGES;

	for (unsigned i = 0; i < KMM_TRACT_WORDS; i++) {
		kmm_bits here, pairs, alone;

		if (w[i] == KMM_BITS_ALL) { /* nothing but pairs */
			found = found == KMM_TRACT_PAGES ? i * KMM_BITS : found;
			continue;
		}
		here = w[i] ? kmm_bits_fold(w[i], order) : 0;
		if (!here)
			continue;
		pairs = kmm_bits_pair(here, order + 1);
		alone = here & ~(pairs | pairs << (1u << order));
		if (alone)
			return i * KMM_BITS + kmm_bits_first(alone);
		if (found == KMM_TRACT_PAGES)
			found = i * KMM_BITS + kmm_bits_first(here);
	}
	return found;
}

/* The same for blocks of whole words. */
static unsigned find_large(const kmm_bits *w, unsigned order)
{
	uint32_t full = full_words(w), here = fold_words(full, order), pairs, alone;

	pairs = fold_words(full, order + 1);
	alone = here & ~(pairs | pairs << (1u << order));
	return kmm_ctz_u32(alone ? alone : here) * KMM_BITS;
}

static void take_bits(kmm_bits *w, unsigned at, unsigned order)
{
	w += at / KMM_BITS;
	if (order < KMM_BITS_ORDER) {
		*w &= ~(kmm_bits_low(order) << (at % KMM_BITS));
		return;
	}
	for (unsigned i = 0; i < 1u << (order - KMM_BITS_ORDER); i++)
		w[i] = 0;
}

/* ---- what others call ---- */

unsigned kmm_tract_tops(const struct kmm_zone *z, enum kmm_mobility mobility)
{
	unsigned tops = z->tops[KMM_MOBILITY_UNMOVABLE] | z->tops[KMM_MOBILITY_MOVABLE] |
			z->tops[KMM_MOBILITY_RECLAIMABLE] | z->whole_tops;

	return mobility == KMM_MOBILITY_MOVABLE ? tops | z->tops[KMM_MOBILITY_CMA] : tops;
}

bool kmm_tract_has(struct kmm *k, struct kmm_zone *z, unsigned order, enum kmm_mobility mobility)
{
	while (!(kmm_tract_tops(z, mobility) >> order))
		if (!kmm_zone_grow(k, z))
			return false;
	return true;
}

static inline kmm_word take_tracts(struct kmm_zone *z, unsigned order, enum kmm_mobility mobility)
{
	uint32_t i = take_whole(z, order);

	for (uint32_t j = 0; j < tracts_in(order); j++)
		z->tract[i + j] = (struct kmm_tract){ .top = KMM_TOP_TAKEN, .sort = sort_for(mobility, 0) & 15 };
	return kmm_tract_pfn(z, i);
}

/* Frames taken out of the bits of tract i by a request. */
static inline void count_taken(struct kmm *k, struct kmm_zone *z, uint32_t i, unsigned nr)
{
	struct kmm_tract *a = &z->tract[i];

	KMM_ASSERT(k, nr && nr <= a->free && a->sort != KMM_SORT_ISOLATE);
	a->free = (uint16_t)(a->free - nr);
	if (a->sort == KMM_SORT_CMA)
		z->free_cma -= nr;
	settle_taken(z, i);
}

kmm_word kmm_tract_take(struct kmm *k, struct kmm_zone *z, unsigned order, enum kmm_mobility mobility)
{
	uint32_t i;
	kmm_bits *w;
	unsigned at;

	if (!kmm_tract_has(k, z, order, mobility))
		return KMM_NO_PFN;
	KMM_ASSERT(k, z->free >> order != 0);
	kmm_zone_set_free(z, z->free - ((kmm_word)1 << order));
	if (order >= KMM_TRACT_ORDER)
		return take_tracts(z, order, mobility);
	i = kmm_tract_choose(k, z, order, mobility);
	w = kmm_tract_words(z, i);
	at = order < KMM_BITS_ORDER ? find_small(w, order) : find_large(w, order - KMM_BITS_ORDER);
	KMM_ASSERT(k, at < KMM_TRACT_PAGES && block_is_free(w, at, order));
	take_bits(w, at, order);
	count_taken(k, z, i, 1u << order);
	return kmm_tract_pfn(z, i) + at;
}

/* The lowest frame shall be taken first, which is the last of the array. */
static void reverse(kmm_word *at, unsigned nr)
{
	for (unsigned i = 0, j = nr; i + 1 < j; i++) {
		kmm_word other = at[i];

		kmm_word_set(&at[i], at[--j]);
		kmm_word_set(&at[j], other);
	}
}

/* The frames of a word, the first of which is pfn, from the last one down. Returns where the next ones go. */
static kmm_word *list_word(kmm_bits here, kmm_word pfn, kmm_word *out)
{
	unsigned at = KMM_BITS;

	if (here == KMM_BITS_ALL) {
		while (at--)
			kmm_word_set(out++, pfn + at);
		return out;
	}
	for (; here; here ^= (kmm_bits)1 << at) {
		at = kmm_bits_last(here);
		kmm_word_set(out++, pfn + at);
	}
	return out;
}

/* Single frames of one tract, by whole words, until there are `want` of them or no more. */
static unsigned take_words(struct kmm *k, struct kmm_zone *z, uint32_t i, unsigned want, kmm_word *out)
{
	kmm_bits *w = kmm_tract_words(z, i);
	unsigned nr = 0, words = 0;

	while (words < KMM_TRACT_WORDS && nr < want)
		nr += kmm_bits_count(w[words++]);
	for (unsigned j = words; j--; w[j] = 0)
		out = list_word(w[j], kmm_tract_pfn(z, i) + j * KMM_BITS, out);
	count_taken(k, z, i, nr);
	return nr;
}

/* Up to `want` blocks of one tract. */
static unsigned take_some(struct kmm *k, struct kmm_zone *z, uint32_t i, unsigned order, unsigned want, kmm_word *out)
{
	kmm_bits *w = kmm_tract_words(z, i);
	kmm_word pfn = kmm_tract_pfn(z, i);
	unsigned nr = 0;

	for (unsigned j = 0; j < KMM_TRACT_WORDS && nr < want; j++, pfn += KMM_BITS) {
		kmm_bits here = kmm_bits_fold(w[j], order), taken = 0;

		for (; here && nr < want; here &= here - 1) {
			unsigned at = kmm_bits_first(here);

			kmm_word_set(&out[nr++], pfn + at);
			taken |= kmm_bits_low(order) << at;
		}
		w[j] &= ~taken;
	}
	reverse(out, nr);
	count_taken(k, z, i, nr << order);
	return nr;
}

/* Up to `most` blocks from the front of a list of whole ones, of one tract or two; the list is mended once. */
static inline unsigned pop_blocks(struct kmm_zone *z, bool pairs, unsigned most, const struct kmm_tract *taken, kmm_word *out)
{
	uint32_t *head = &z->whole[KMM_TRACT_ORDER + pairs], link = *head;
	unsigned nr = 0;

	for (; link && nr < most; nr++) {
		struct kmm_tract *a = &z->tract[link - 1];
		kmm_word pfn = kmm_tract_pfn(z, link - 1);

		link = a->next;
		if (pairs) {
			a[1] = *taken;
			kmm_word_set(out++, pfn + KMM_TRACT_PAGES);
		}
		a[0] = *taken;
		kmm_word_set(out++, pfn);
	}
	*head = link;
	if (link)
		z->tract[link - 1].prev = 0;
	else
		z->whole_tops &= (uint16_t)~(1u << (KMM_TRACT_ORDER + pairs));
	z->nr_whole -= nr << pairs;
	return nr << pairs;
}

/* Whole tracts: those that are alone first, then both of larger blocks, as long as two are wanted: nothing is cut and listed
 * in between. */
NOINLINE unsigned take_whole_tracts(struct kmm *k, struct kmm_zone *z, enum kmm_mobility mobility, unsigned want, kmm_word *out)
{
	const struct kmm_tract taken = { .top = KMM_TOP_TAKEN, .sort = sort_for(mobility, 0) & 15 };
	unsigned nr = pop_blocks(z, false, want, &taken, out);

	while (nr < want && kmm_tract_has(k, z, KMM_TRACT_ORDER, mobility)) {
		if (KMM_TOP_MAX > KMM_TRACT_ORDER && want - nr > 1 && (z->whole_tops >> (KMM_TRACT_ORDER + 1) & 1))
			nr += pop_blocks(z, true, (want - nr) / 2, &taken, out + nr);
		else
			kmm_word_set(&out[nr++], take_tracts(z, KMM_TRACT_ORDER, mobility));
	}
	return nr;
}

unsigned kmm_tract_take_many(struct kmm *k, struct kmm_zone *z, unsigned order, enum kmm_mobility mobility, unsigned want,
			     kmm_word *out)
{
	unsigned nr = order == KMM_TRACT_ORDER ? take_whole_tracts(k, z, mobility, want, out) : 0;

	while (nr < want && kmm_tract_has(k, z, order, mobility)) {
		uint32_t i = kmm_tract_choose(k, z, order, mobility);

		nr += order ? take_some(k, z, i, order, want - nr, out + nr) : take_words(k, z, i, want - nr, out + nr);
	}
	KMM_ASSERT(k, z->free >= (kmm_word)nr << order);
	kmm_zone_set_free(z, z->free - ((kmm_word)nr << order));
	return nr;
}

/* ---- coming to life ---- */

void kmm_tracts_clear(struct kmm_zone *z, kmm_word start, kmm_word end)
{
	uint32_t last = kmm_tract_of(z, end - 1);

	for (uint32_t i = kmm_tract_of(z, start); i <= last; i++) {
		fill(z, i, false);
		z->tract[i].top = KMM_TOP_NONE;
		z->tract[i].sort = KMM_SORT_MOVABLE;
	}
}

void kmm_tracts_fill(struct kmm_zone *z, kmm_word start, kmm_word end)
{
	while (start < end) {
		uint32_t i = kmm_tract_of(z, start);
		unsigned at = (unsigned)start % KMM_TRACT_PAGES, bit = at % KMM_BITS, nr = KMM_BITS - bit;

		if (end - start < nr)
			nr = (unsigned)(end - start);
		kmm_tract_words(z, i)[at / KMM_BITS] |= KMM_BITS_ALL >> (KMM_BITS - nr) << bit;
		z->tract[i].free = (uint16_t)(z->tract[i].free + nr);
		start += nr;
	}
}

/* From the last one down: lists are last in, first out, and low frames shall go first. */
void kmm_tracts_settle(struct kmm_zone *z, kmm_word start, kmm_word end)
{
	uint32_t first = kmm_tract_of(z, start);

	for (uint32_t i = kmm_tract_of(z, end - 1) + 1; i-- > first;)
		settle(z, i);
}

/* ---- looking ---- */

#define TOP_ORDER(top) ((top) < KMM_MAX_ORDER ? (top) : KMM_MAX_ORDER)

enum kmm_mobility kmm_tract_mobility(const struct kmm_tract *tract)
{
	return mobility_of(tract->sort);
}

/* Blocks of order that have no free buddy: those that do are counted with their pairs. */
static void count_bits(const kmm_bits *w, kmm_word nr_free[KMM_NR_ORDERS])
{
	uint32_t full = full_words(w);
	unsigned here, larger = 0, order = KMM_TRACT_ORDER < KMM_NR_ORDERS ? KMM_TRACT_ORDER : KMM_NR_ORDERS;

	for (; order-- > 0; larger = here) {
		here = 0;
		if (order >= KMM_BITS_ORDER)
			here = kmm_bits_count(fold_words(full, order - KMM_BITS_ORDER));
		else
			for (unsigned j = 0; j < KMM_TRACT_WORDS; j++)
				here += kmm_bits_count(kmm_bits_fold(w[j], order));
		nr_free[order] += here - 2 * larger;
	}
}

void kmm_tract_count(const struct kmm_zone *z, uint32_t i, kmm_word nr_free[KMM_NR_ORDERS])
{
	const struct kmm_tract *a = &z->tract[i];

	if (a->top == KMM_TOP_NONE || a->top == KMM_TOP_BODY || a->top == KMM_TOP_TAKEN)
		return;
	if (a->top < KMM_TRACT_ORDER || a->top == KMM_TOP_HELD)
		count_bits(kmm_tract_words(z, i), nr_free);
	else /* blocks of a tract in a build whose largest is smaller are several */
		nr_free[TOP_ORDER(a->top)] += (kmm_word)1 << (a->top - TOP_ORDER(a->top));
}

void kmm_tracts_count(const struct kmm *k, const struct kmm_zone *z, kmm_word nr_free[KMM_NR_ORDERS])
{
	for (uint32_t i = 0; i < z->nr_tracts; i++) {
		kmm_word section = kmm_section_of(kmm_tract_pfn(z, i));

		if (!kmm_section_is_live(k->phys, section))
			i = (uint32_t)((section + 1) * (KMM_SECTION_PAGES / KMM_TRACT_PAGES) - z->tract_first) - 1;
		else if (z->tract[i].top != KMM_TOP_HELD)
			kmm_tract_count(z, i, nr_free);
	}
}

int kmm_tract_largest_at(const struct kmm_zone *z, kmm_word pfn)
{
	uint32_t i = kmm_tract_of(z, pfn);
	unsigned at = (unsigned)pfn % KMM_TRACT_PAGES, order = 0;

	if (!kmm_tract_bit(z, pfn))
		return -1;
	while (order + 1 < KMM_TRACT_ORDER && block_is_free(kmm_tract_words(z, i), at, order + 1))
		order++;
	return (int)order;
}

int kmm_tract_block_at(const struct kmm_zone *z, kmm_word pfn)
{
	const struct kmm_tract *a = &z->tract[kmm_tract_of(z, pfn)];
	int order = kmm_tract_largest_at(z, pfn);

	if (a->top == KMM_TOP_BODY)
		return -1;
	if (order >= 0 && a->top >= KMM_TRACT_ORDER && a->top <= KMM_TOP_MAX)
		order = a->top;
	order = order > (int)KMM_MAX_ORDER ? (int)KMM_MAX_ORDER : order;
	return order >= 0 && pfn % KMM_TRACT_PAGES % (1u << (order < 9 ? order : 9)) == 0 ? order : -1;
}
