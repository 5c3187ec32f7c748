/* SPDX-License-Identifier: MIT */
/*
 * Blocks that come back to their tracts. What is common touches the bitmap's word and the entry, and finds by a look at the
 * word that neither the largest free block nor the class has changed; then no list is touched. A tract that was taken whole
 * has its bits as they were (KMM_TOP_TAKEN) and is joined with its neighbours without a look at them. Lock z held.
 */
#include "phys/tract.h"

/* Bits that were put into one word: the largest block there is now. A single block only grows around itself. */
static inline unsigned grown_in_word(const struct kmm_tract *a, const kmm_bits *w, unsigned at, unsigned order)
{
	unsigned top = a->top;

	if (top == KMM_TOP_NONE || top < order)
		top = order;
	while (top + 1 < KMM_BITS_ORDER && kmm_bits_fold(w[at / KMM_BITS], top + 1))
		top++;
	return w[at / KMM_BITS] == KMM_BITS_ALL && top + 1 == KMM_BITS_ORDER ? KMM_BITS_ORDER : top;
}

/* Frames that go back to an isolated tract wait there; those of a contiguous area are counted apart. The zone's free count
 * had them already. true: that is all. */
static inline bool put_apart(struct kmm_zone *z, const struct kmm_tract *a, unsigned nr)
{
	if (a->sort == KMM_SORT_CMA)
		z->free_cma += nr;
	if (a->top != KMM_TOP_HELD)
		return false;
	kmm_zone_set_free(z, z->free - nr);
	z->isolated += nr;
	return true;
}

/* Sets `mask` in the word of frame `at` of tract i: nr frames in blocks of order. */
static inline void put_bits(struct kmm *k, struct kmm_zone *z, uint32_t i, unsigned at, kmm_bits mask, unsigned nr,
			    unsigned order)
{
	struct kmm_tract *a = &z->tract[i];
	kmm_bits *w = kmm_tract_words(z, i);
	unsigned was = a->top;

	KMM_ASSERT(k, (w[at / KMM_BITS] & mask) == 0);
	w[at / KMM_BITS] |= mask;
	a->free = (uint16_t)(a->free + nr);
	if (a->sort >= KMM_SORT_CMA && put_apart(z, a, nr))
		return;
	if (nr >> order != 1)
		a->top = (uint8_t)grown_in_word(a, w, at, order);
	move(z, i, was, grown_top(a, w, at, order));
}

/* ---- whole tracts ---- */

/* One that was not taken whole: emptied bit by bit, or isolated since. */
static void put_emptied(struct kmm *k, struct kmm_zone *z, uint32_t i)
{
	struct kmm_tract *a = &z->tract[i];

	KMM_ASSERT(k, a->free == 0 && (a->top == KMM_TOP_NONE || a->top == KMM_TOP_HELD));
	fill(z, i, true);
	if (a->sort >= KMM_SORT_CMA && put_apart(z, a, KMM_TRACT_PAGES))
		return;
	if (a->sort == KMM_SORT_CMA)
		settle(z, i);
	else
		join_whole(z, i, KMM_TRACT_ORDER);
}

static inline void put_tract(struct kmm *k, struct kmm_zone *z, uint32_t i)
{
	struct kmm_tract *a = &z->tract[i];

	if (a->top != KMM_TOP_TAKEN) {
		put_emptied(k, z, i);
		return;
	}
	KMM_ASSERT(k, a->free == 0 && a->sort < KMM_SORT_CMA);
	a->free = KMM_TRACT_PAGES;
	join_whole(z, i, KMM_TRACT_ORDER);
}

/* Tracts i and i + 1, which are buddies. */
static inline void put_pair(struct kmm *k, struct kmm_zone *z, uint32_t i)
{
	struct kmm_tract *a = &z->tract[i];

	if (a[0].top != KMM_TOP_TAKEN || a[1].top != KMM_TOP_TAKEN) {
		put_tract(k, z, i);
		put_tract(k, z, i + 1);
		return;
	}
	KMM_ASSERT(k, (a[0].free | a[1].free) == 0 && a[0].sort < KMM_SORT_CMA && a[1].sort < KMM_SORT_CMA);
	a[0].free = a[1].free = KMM_TRACT_PAGES;
	a[1].top = KMM_TOP_BODY;
	join_whole(z, i, KMM_TRACT_ORDER + 1);
}

static void put_tracts(struct kmm *k, struct kmm_zone *z, uint32_t i, unsigned order)
{
	for (uint32_t nr = tracts_in(order); nr--; i++)
		put_tract(k, z, i);
}

/* Two that are buddies are given back as one. */
static void put_many_tracts(struct kmm *k, struct kmm_zone *z, unsigned nr, const kmm_word *pfns)
{
	for (const kmm_word *end = pfns + nr; pfns < end;) {
		if (KMM_TOP_MAX > KMM_TRACT_ORDER && pfns + 1 < end && (pfns[0] ^ pfns[1]) == KMM_TRACT_PAGES) {
			put_pair(k, z, kmm_tract_of(z, pfns[0] & pfns[1]));
			pfns += 2;
		} else {
			put_tract(k, z, kmm_tract_of(z, *pfns++));
		}
	}
}

/* ---- blocks of words ---- */

static void put_words(struct kmm *k, struct kmm_zone *z, uint32_t i, unsigned at, unsigned order)
{
	struct kmm_tract *a = &z->tract[i];
	kmm_bits *w = kmm_tract_words(z, i);

	for (unsigned j = 0; j < 1u << (order - KMM_BITS_ORDER); j++) {
		KMM_ASSERT(k, w[at / KMM_BITS + j] == 0);
		w[at / KMM_BITS + j] = KMM_BITS_ALL;
	}
	a->free = (uint16_t)(a->free + (1u << order));
	if (a->sort >= KMM_SORT_CMA && put_apart(z, a, 1u << order))
		return;
	move(z, i, a->top, grown_top(a, w, at, order));
}

void kmm_tract_put(struct kmm *k, struct kmm_zone *z, kmm_word pfn, unsigned order)
{
	uint32_t i = kmm_tract_of(z, pfn);
	unsigned at = (unsigned)pfn % KMM_TRACT_PAGES;

	KMM_ASSERT(k, order <= KMM_TOP_MAX && (pfn & (((kmm_word)1 << order) - 1)) == 0 && i < z->nr_tracts);
	kmm_zone_set_free(z, z->free + ((kmm_word)1 << order));
	if (order >= KMM_TRACT_ORDER)
		put_tracts(k, z, i, order);
	else if (order >= KMM_BITS_ORDER)
		put_words(k, z, i, at, order);
	else
		put_bits(k, z, i, at, kmm_bits_low(order) << (at % KMM_BITS), 1u << order, order);
}

/* ---- many at once ---- */

/* The first frames of pfns that lie in one word; returns how many they are. */
NOINLINE unsigned put_run(struct kmm *k, struct kmm_zone *z, unsigned nr, const kmm_word *pfns)
{
	kmm_word first = pfns[0];
	kmm_bits mask = 0;
	unsigned i = 0;

	do
		mask |= (kmm_bits)1 << (pfns[i] % KMM_BITS);
	while (++i < nr && (pfns[i] ^ first) < KMM_BITS);
	put_bits(k, z, kmm_tract_of(z, first), (unsigned)first % KMM_TRACT_PAGES, mask, i, 0);
	return i;
}

/* The same for blocks of several. */
NOINLINE unsigned put_word(struct kmm *k, struct kmm_zone *z, unsigned order, unsigned nr, const kmm_word *pfns)
{
	kmm_bits block = kmm_bits_low(order), mask = 0;
	unsigned i = 0;

	do
		mask |= block << (pfns[i] % KMM_BITS);
	while (++i < nr && (pfns[i] ^ pfns[0]) < KMM_BITS);
	put_bits(k, z, kmm_tract_of(z, pfns[0]), (unsigned)pfns[0] % KMM_TRACT_PAGES, mask, i << order, order);
	return i;
}

/* Has a frame that was put into this word, alone, made a free block larger than 2^top? top below 9. */
static inline bool has_grown(kmm_bits w, kmm_word at, unsigned top)
{
	unsigned pages = 2u << top;
	kmm_bits around;

	if (top + 1 >= KMM_BITS_ORDER)
		return w == KMM_BITS_ALL;
	around = (((kmm_bits)1 << pages) - 1) << (at % KMM_BITS & ~(pages - 1));
	return (w & around) == around;
}

/* One frame, which has changed the largest block or the class, or lies in a tract of a sort apart. Its bit is set. */
NOINLINE void put_further(struct kmm *k, struct kmm_zone *z, kmm_word at)
{
	uint32_t i = (uint32_t)(at / KMM_TRACT_PAGES);
	struct kmm_tract *a = &z->tract[i];

	KMM_ASSERT(k, a->top != KMM_TOP_TAKEN && a->free <= KMM_TRACT_PAGES);
	if (a->sort < KMM_SORT_CMA || !put_apart(z, a, 1))
		move(z, i, a->top, grown_top(a, kmm_tract_words(z, i), (unsigned)at % KMM_TRACT_PAGES, 0));
}

/* One frame, of which no neighbour in its word is freed with it. Mostly it changes neither the largest block nor the
 * class, and then nothing but its bit and a count. */
static inline void put_one(struct kmm *k, struct kmm_zone *z, kmm_word at)
{
	struct kmm_tract *a = &z->tract[at / KMM_TRACT_PAGES];
	kmm_bits *w = &z->map[at / KMM_BITS], was = *w, now = was | (kmm_bits)1 << (at % KMM_BITS);
	unsigned free = a->free + 1u;

	KMM_ASSERT(k, was != now);
	*w = now;
	a->free = (uint16_t)free;
	if (free % CLASS_PAGES == 0 || a->sort >= KMM_SORT_CMA || a->top >= KMM_TRACT_ORDER || has_grown(now, at, a->top))
		put_further(k, z, at);
}

static void put_frames(struct kmm *k, struct kmm_zone *z, unsigned nr, const kmm_word *pfns)
{
	kmm_word base = z->tract_first * KMM_TRACT_PAGES;

	for (const kmm_word *end = pfns + nr; pfns < end;) {
		if (pfns + 1 < end && (pfns[1] ^ pfns[0]) < KMM_BITS)
			pfns += put_run(k, z, (unsigned)(end - pfns), pfns);
		else
			put_one(k, z, *pfns++ - base);
	}
}

void kmm_tract_put_many(struct kmm *k, struct kmm_zone *z, unsigned order, unsigned nr, const kmm_word *pfns)
{
	kmm_zone_set_free(z, z->free + ((kmm_word)nr << order));
	if (order == 0)
		put_frames(k, z, nr, pfns);
	else if (order == KMM_TRACT_ORDER)
		put_many_tracts(k, z, nr, pfns);
	else
		for (unsigned i = 0; i < nr;)
			i += put_word(k, z, order, nr - i, pfns + i);
}
