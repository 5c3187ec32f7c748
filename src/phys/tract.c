/* SPDX-License-Identifier: MIT */
/*
 * What is free in a zone: tracts of 512 frames (2 MiB), each with a bitmap of one cache line (set: free and in
 * no CPU's cache) that is the only truth, and an entry of 12 bytes that says how much is free, the largest
 * free block, and links the tracts that are alike.
 *
 *   top 0..8      partly free; the largest free aligned block has that order. In the list of (top, fullness)
 *   top 9..       head of a run of wholly free tracts that is a block of that order. In the list of its order
 *   KMM_TOP_NONE  nothing free
 *   KMM_TOP_BODY  inside a block of order above 9
 *
 * A request takes from the tracts with the smallest top that can serve it, of those from the fullest: so tracts
 * full of holes fill up, tracts with large pieces keep them, and a wholly free one is broken last. Blocks
 * smaller than a tract are joined by their bits being side by side; whole tracts are joined as in a buddy system.
 *
 * A tract lies in one section; those of sections not made hold garbage and are in no list. A tract that two
 * zones share has an entry in each, with the bits of its own frames; it is never whole.
 * All functions: lock z held. No policy here: watermarks and kinds are the caller's.
 */
#include "phys/phys.h"

_Static_assert((1u << KMM_TOP_MAX) <= KMM_SECTION_PAGES, "a section holds whole blocks of every order");
_Static_assert(sizeof(struct kmm_tract) == 12, "metadata per tract");

/* ---- lists ---- */

static inline unsigned class_of(const struct kmm_tract *a)
{
	return a->free / (KMM_TRACT_PAGES / KMM_TRACT_CLASSES);
}

static inline void push(struct kmm_zone *z, uint32_t *head, uint32_t i)
{
	struct kmm_tract *a = &z->tract[i];
	uint32_t next = *head;

	a->prev = 0;
	a->next = next;
	if (next)
		z->tract[next - 1].prev = i + 1;
	*head = i + 1;
}

/* true: the list is empty now. */
static inline bool unlink(struct kmm_zone *z, uint32_t *head, const struct kmm_tract *a)
{
	uint32_t next = a->next, prev = a->prev;

	if (next)
		z->tract[next - 1].prev = prev;
	if (prev)
		z->tract[prev - 1].next = next;
	else
		*head = next;
	return (next | prev) == 0;
}

static inline void shelve(struct kmm_zone *z, uint32_t i)
{
	struct kmm_tract *a = &z->tract[i];
	struct kmm_shelf *shelf = &z->shelf[a->cut];
	unsigned class = class_of(a), top = a->top;

	a->class = class & 15;
	push(z, &shelf->heads[class][top], i);
	shelf->tops[class] |= (uint16_t)(1u << top);
	shelf->classes |= (uint16_t)(1u << class);
	if (z->nr_tops[top]++ == 0)
		z->tops |= (uint16_t)(1u << top);
}

static inline void unshelve(struct kmm_zone *z, uint32_t i, unsigned top)
{
	struct kmm_tract *a = &z->tract[i];
	struct kmm_shelf *shelf = &z->shelf[a->cut];
	unsigned class = a->class;

	if (--z->nr_tops[top] == 0)
		z->tops &= (uint16_t)~(1u << top);
	if (!unlink(z, &shelf->heads[class][top], a))
		return;
	shelf->tops[class] &= (uint16_t)~(1u << top);
	if (shelf->tops[class] == 0)
		shelf->classes &= (uint16_t)~(1u << class);
}

static inline void push_whole(struct kmm_zone *z, uint32_t i)
{
	unsigned order = z->tract[i].top;

	push(z, &z->whole[order], i);
	z->whole_tops |= (uint16_t)(1u << order);
}

static inline void unlink_whole(struct kmm_zone *z, uint32_t i)
{
	unsigned order = z->tract[i].top;

	if (unlink(z, &z->whole[order], &z->tract[i]))
		z->whole_tops &= (uint16_t)~(1u << order);
}

/* ---- blocks of whole tracts ---- */

static inline uint32_t tracts_in(unsigned order)
{
	return 1u << (order - KMM_TRACT_ORDER);
}

/* Tract i has become wholly free: joins it with its buddies. It is in no list. */
static void join_whole(struct kmm_zone *z, uint32_t i)
{
	unsigned order = KMM_TRACT_ORDER;

	z->nr_whole++;
	for (; order < KMM_TOP_MAX; order++) {
		uint32_t buddy = (uint32_t)(((z->tract_first + i) ^ tracts_in(order)) - z->tract_first);

		if (buddy >= z->nr_tracts || z->tract[buddy].top != order)
			break;
		unlink_whole(z, buddy);
		z->tract[buddy > i ? buddy : i].top = KMM_TOP_BODY;
		i = buddy < i ? buddy : i;
	}
	z->tract[i].top = (uint8_t)order;
	push_whole(z, i);
}

/* Takes 2^(order - 9) tracts out of the smallest block of whole ones; the upper halves stay free. */
static uint32_t take_whole(struct kmm_zone *z, unsigned order)
{
	unsigned have = order + kmm_ctz_u32((uint32_t)z->whole_tops >> order);
	uint32_t i = z->whole[have] - 1;

	unlink_whole(z, i);
	z->nr_whole -= tracts_in(order);
	while (have > order) {
		uint32_t half = i + tracts_in(--have);

		z->tract[half].top = (uint8_t)have;
		push_whole(z, half);
	}
	return i;
}

static void fill(struct kmm_zone *z, uint32_t i, bool free)
{
	kmm_bits *w = kmm_tract_words(z, i);

	for (unsigned j = 0; j < KMM_TRACT_WORDS; j++)
		w[j] = free ? KMM_BITS_ALL : 0;
	z->tract[i].free = free ? KMM_TRACT_PAGES : 0;
}

/* ---- inside a tract ---- */

/* Bit per word: all of it is free. */
static inline uint32_t full_words(const kmm_bits *w)
{
	uint32_t full = 0;

	for (unsigned i = 0; i < KMM_TRACT_WORDS; i++)
		full |= (uint32_t)(w[i] == KMM_BITS_ALL) << i;
	return full;
}

static inline uint32_t fold_words(uint32_t full, unsigned order)
{
	static const uint32_t starts[] = { 0xffff, 0x5555, 0x1111, 0x0101, 0x0001 };

	for (unsigned i = 0; i < order; i++)
		full &= full >> (1u << i);
	return full & starts[order];
}

/* The largest free block of a tract that has something free and is not whole. */
static unsigned largest_in(const kmm_bits *w)
{
	uint32_t full = full_words(w);
	kmm_bits part[KMM_TRACT_WORDS], any;
	unsigned order = 0;

	if (full) {
		for (order = KMM_BITS_ORDER; order + 1 < KMM_TRACT_ORDER; order++)
			if (!fold_words(full, order + 1 - KMM_BITS_ORDER))
				break;
		return order;
	}
	for (unsigned i = 0; i < KMM_TRACT_WORDS; i++)
		part[i] = w[i];
	for (; order + 1 < KMM_BITS_ORDER; order++) {
		any = 0;
		for (unsigned i = 0; i < KMM_TRACT_WORDS; i++) {
			part[i] = kmm_bits_pair(part[i], order + 1);
			any |= part[i];
		}
		if (!any)
			break;
	}
	return order;
}

/* Are the 2^order frames around frame `at` of the tract, aligned, all free? order up to 8. */
static inline bool block_is_free(const kmm_bits *w, unsigned at, unsigned order)
{
	at &= ~((1u << order) - 1);
	w += at / KMM_BITS;
	if (order < KMM_BITS_ORDER) {
		kmm_bits mask = kmm_bits_low(order) << (at % KMM_BITS);

		return (*w & mask) == mask;
	}
	for (unsigned i = 0; i < 1u << (order - KMM_BITS_ORDER); i++)
		if (w[i] != KMM_BITS_ALL)
			return false;
	return true;
}

/* Something at `at` became free, in a tract of which the largest free block was `top` (or that was full). */
static inline unsigned grown_top(const struct kmm_tract *a, const kmm_bits *w, unsigned at, unsigned order)
{
	unsigned top = a->top;

	if (a->free == KMM_TRACT_PAGES)
		return KMM_TRACT_ORDER;
	if (top == KMM_TOP_NONE || top < order)
		top = order;
	while (top + 1 < KMM_TRACT_ORDER && block_is_free(w, at, top + 1))
		top++;
	return top;
}

/* The tract's entry says `was`; its count has changed and its largest free block is now `top`. */
static inline void move(struct kmm_zone *z, uint32_t i, unsigned was, unsigned top)
{
	struct kmm_tract *a = &z->tract[i];

	a->top = (uint8_t)top;
	if (was == top && (top == KMM_TOP_NONE || class_of(a) == a->class))
		return;
	if (was != KMM_TOP_NONE)
		unshelve(z, i, was);
	if (top == KMM_TRACT_ORDER)
		join_whole(z, i);
	else if (top != KMM_TOP_NONE)
		shelve(z, i);
}

/* After something was taken. A block of less than top may have left a block of top behind. */
static inline void settle_taken(struct kmm_zone *z, uint32_t i)
{
	struct kmm_tract *a = &z->tract[i];

	move(z, i, a->top, a->free ? largest_in(kmm_tract_words(z, i)) : KMM_TOP_NONE);
}

/* ---- which tract ---- */

#define SPARE_WHOLE 64u /* part of a zone's tracts that stays whole as long as others can serve */

/* The fullest of a shelf that will do, of those the one with the smallest top. 0: none, else index + 1. */
static inline uint32_t from_shelf(const struct kmm_shelf *shelf, unsigned order)
{
	for (unsigned classes = shelf->classes; classes; classes &= classes - 1) {
		unsigned class = kmm_ctz_u32(classes), tops = shelf->tops[class] >> order;

		if (tops)
			return shelf->heads[class][order + kmm_ctz_u32(tops)];
	}
	return 0;
}

/* A wholly free tract, to be cut into blocks of order; it is in no list then. */
static uint32_t open_whole(struct kmm_zone *z, unsigned order)
{
	uint32_t i = take_whole(z, KMM_TRACT_ORDER);

	z->tract[i].top = KMM_TOP_NONE;
	z->tract[i].cut = order & 15;
	return i;
}

/* Are there whole tracts to spare? Those not made yet count, and come to life when the last one is gone. */
static bool may_open(struct kmm *k, struct kmm_zone *z)
{
	if (z->nr_whole + z->lazy / KMM_TRACT_PAGES <= z->nr_tracts / SPARE_WHOLE)
		return false;
	while (!z->whole_tops)
		if (!kmm_zone_grow(k, z))
			return false;
	return true;
}

/* The tract to take 2^order frames from, order below 9: one that is cut into such blocks; else a whole one, while
 * those are many; else one cut into the next larger blocks; else any. There is one. */
static uint32_t choose(struct kmm *k, struct kmm_zone *z, unsigned order)
{
	uint32_t link = from_shelf(&z->shelf[order], order);

	if (link)
		return link - 1;
	if (may_open(k, z) || !(z->tops >> order))
		return open_whole(z, order);
	for (unsigned i = 1; !link && i < KMM_TRACT_ORDER; i++)
		link = from_shelf(&z->shelf[order + i < KMM_TRACT_ORDER ? order + i : KMM_TRACT_ORDER - 1 - i], order);
	return link - 1;
}

/* A free block of order in the tract: one that is no part of a larger free block, if there is such a one. */
static unsigned find_small(const kmm_bits *w, unsigned order)
{
	unsigned found = KMM_TRACT_PAGES;

	for (unsigned i = 0; i < KMM_TRACT_WORDS; i++) {
		kmm_bits here = kmm_bits_fold(w[i], order), pairs, alone;

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

unsigned kmm_tract_tops(const struct kmm_zone *z)
{
	return z->tops | z->whole_tops;
}

bool kmm_tract_has(struct kmm *k, struct kmm_zone *z, unsigned order)
{
	while (!(kmm_tract_tops(z) >> order))
		if (!kmm_zone_grow(k, z))
			return false;
	return true;
}

static kmm_word take_tracts(struct kmm_zone *z, unsigned order)
{
	uint32_t i = take_whole(z, order);

	for (uint32_t j = 0; j < tracts_in(order); j++) {
		fill(z, i + j, false);
		z->tract[i + j].top = KMM_TOP_NONE;
	}
	return kmm_tract_pfn(z, i);
}

kmm_word kmm_tract_take(struct kmm *k, struct kmm_zone *z, unsigned order)
{
	uint32_t i;
	kmm_bits *w;
	unsigned at;

	if (!kmm_tract_has(k, z, order))
		return KMM_NO_PFN;
	kmm_zone_set_free(z, z->free - ((kmm_word)1 << order));
	if (order >= KMM_TRACT_ORDER)
		return take_tracts(z, order);
	i = choose(k, z, order);
	w = kmm_tract_words(z, i);
	at = order < KMM_BITS_ORDER ? find_small(w, order) : find_large(w, order - KMM_BITS_ORDER);
	take_bits(w, at, order);
	z->tract[i].free = (uint16_t)(z->tract[i].free - (1u << order));
	settle_taken(z, i);
	return kmm_tract_pfn(z, i) + at;
}

/* Up to `want` blocks of one tract, whole words' worth where order is 0 and want is more than 1. */
static unsigned take_some(struct kmm_zone *z, uint32_t i, unsigned order, unsigned want, kmm_word *out)
{
	kmm_bits *w = kmm_tract_words(z, i);
	kmm_word pfn = kmm_tract_pfn(z, i);
	bool whole_words = order == 0 && want > 1;
	unsigned nr = 0;

	for (unsigned j = 0; j < KMM_TRACT_WORDS && nr < want; j++, pfn += KMM_BITS) {
		kmm_bits here = order ? kmm_bits_fold(w[j], order) : w[j], mask = kmm_bits_low(order), taken = 0;

		for (; here && (whole_words || nr < want); here &= here - 1) {
			unsigned at = kmm_bits_first(here);

			out[nr++] = pfn + at;
			taken |= mask << at;
		}
		w[j] &= ~taken;
	}
	z->tract[i].free = (uint16_t)(z->tract[i].free - (nr << order));
	settle_taken(z, i);
	return nr;
}

unsigned kmm_tract_take_many(struct kmm *k, struct kmm_zone *z, unsigned order, unsigned want, kmm_word *out)
{
	unsigned nr = 0;

	if (order == KMM_TRACT_ORDER) {
		while (nr < want && kmm_tract_has(k, z, order))
			out[nr++] = take_tracts(z, order);
	}
	while (nr < want && kmm_tract_has(k, z, order))
		nr += take_some(z, choose(k, z, order), order, want - nr, out + nr);
	kmm_zone_set_free(z, z->free - ((kmm_word)nr << order));
	return nr;
}

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
	if (nr >> order != 1)
		a->top = (uint8_t)grown_in_word(a, w, at, order);
	move(z, i, was, grown_top(a, w, at, order));
}

static void put_tracts(struct kmm_zone *z, uint32_t i, unsigned order)
{
	for (uint32_t j = 0; j < tracts_in(order); j++)
		fill(z, i + j, true);
	if (order == KMM_TRACT_ORDER) {
		join_whole(z, i);
		return;
	}
	for (uint32_t j = 0; j < tracts_in(order); j++)
		join_whole(z, i + j);
}

static void put_words(struct kmm_zone *z, uint32_t i, unsigned at, unsigned order)
{
	struct kmm_tract *a = &z->tract[i];
	kmm_bits *w = kmm_tract_words(z, i);

	for (unsigned j = 0; j < 1u << (order - KMM_BITS_ORDER); j++)
		w[at / KMM_BITS + j] = KMM_BITS_ALL;
	a->free = (uint16_t)(a->free + (1u << order));
	move(z, i, a->top, grown_top(a, w, at, order));
}

void kmm_tract_put(struct kmm *k, struct kmm_zone *z, kmm_word pfn, unsigned order)
{
	uint32_t i = kmm_tract_of(z, pfn);
	unsigned at = (unsigned)pfn % KMM_TRACT_PAGES;

	kmm_zone_set_free(z, z->free + ((kmm_word)1 << order));
	if (order >= KMM_TRACT_ORDER)
		put_tracts(z, i, order);
	else if (order >= KMM_BITS_ORDER)
		put_words(z, i, at, order);
	else
		put_bits(k, z, i, at, kmm_bits_low(order) << (at % KMM_BITS), 1u << order, order);
}

_Static_assert(KMM_TRACT_PAGES / KMM_TRACT_CLASSES == 32, "put_one() knows when the class changes");

/* One frame, of which no neighbour in its word is freed with it. Mostly it changes neither the largest block nor the
 * class, and then nothing but its bit and a count. */
static inline void put_one(struct kmm *k, struct kmm_zone *z, kmm_word at)
{
	struct kmm_tract *a = &z->tract[at / KMM_TRACT_PAGES];
	kmm_bits *w = &z->map[at / KMM_BITS], bit = (kmm_bits)1 << (at % KMM_BITS), around;
	unsigned top = a->top, free = a->free + 1u;

	KMM_ASSERT(k, (*w & bit) == 0);
	*w |= bit;
	a->free = (uint16_t)free;
	if (top + 1 < KMM_BITS_ORDER && free % 32) {
		unsigned pages = 2u << top;

		around = (((kmm_bits)1 << pages) - 1) << (at % KMM_BITS & ~(pages - 1));
		if ((*w & around) != around)
			return;
	}
	move(z, (uint32_t)(at / KMM_TRACT_PAGES), top,
	     grown_top(a, kmm_tract_words(z, (uint32_t)(at / KMM_TRACT_PAGES)), (unsigned)at % KMM_TRACT_PAGES, 0));
}

/* The first blocks of pfns that lie in one word; returns how many they are. */
static unsigned put_word(struct kmm *k, struct kmm_zone *z, unsigned order, unsigned nr, const kmm_word *pfns)
{
	kmm_bits block = kmm_bits_low(order), mask = 0;
	unsigned i = 0;

	do
		mask |= block << (pfns[i] % KMM_BITS);
	while (++i < nr && (pfns[i] ^ pfns[0]) < KMM_BITS);
	put_bits(k, z, kmm_tract_of(z, pfns[0]), (unsigned)pfns[0] % KMM_TRACT_PAGES, mask, i << order, order);
	return i;
}

void kmm_tract_put_many(struct kmm *k, struct kmm_zone *z, unsigned order, unsigned nr, const kmm_word *pfns)
{
	kmm_word base = z->tract_first * KMM_TRACT_PAGES;
	unsigned i = 0;

	kmm_zone_set_free(z, z->free + ((kmm_word)nr << order));
	if (order == KMM_TRACT_ORDER) {
		while (i < nr)
			put_tracts(z, kmm_tract_of(z, pfns[i++]), order);
	}
	while (i < nr) {
		if (order || (i + 1 < nr && (pfns[i + 1] ^ pfns[i]) < KMM_BITS))
			i += put_word(k, z, order, nr - i, pfns + i);
		else
			put_one(k, z, pfns[i++] - base);
	}
}

/* ---- coming to life ---- */

void kmm_tracts_clear(struct kmm_zone *z, kmm_word start, kmm_word end)
{
	uint32_t last = kmm_tract_of(z, end - 1);

	for (uint32_t i = kmm_tract_of(z, start); i <= last; i++) {
		fill(z, i, false);
		z->tract[i].top = KMM_TOP_NONE;
		z->tract[i].cut = 0;
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

	for (uint32_t i = kmm_tract_of(z, end - 1) + 1; i-- > first;) {
		if (z->tract[i].free == KMM_TRACT_PAGES)
			join_whole(z, i);
		else
			settle_taken(z, i);
	}
}

/* ---- looking ---- */

#define TOP_ORDER(top) ((top) < KMM_MAX_ORDER ? (top) : KMM_MAX_ORDER)

/* Blocks of order that have no free buddy: those that do are counted with their pairs. */
static void count_tract(const struct kmm_zone *z, uint32_t i, kmm_word nr_free[KMM_NR_ORDERS])
{
	const kmm_bits *w = kmm_tract_words(z, i);
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

kmm_word kmm_tracts_count(const struct kmm *k, const struct kmm_zone *z, kmm_word nr_free[KMM_NR_ORDERS])
{
	kmm_word pages = 0;

	for (uint32_t i = 0; i < z->nr_tracts; i++) {
		const struct kmm_tract *a = &z->tract[i];
		kmm_word section = kmm_section_of(kmm_tract_pfn(z, i));

		if (!kmm_section_is_live(k->phys, section)) {
			i = (uint32_t)((section + 1) * (KMM_SECTION_PAGES / KMM_TRACT_PAGES) - z->tract_first) - 1;
			continue;
		}
		pages += a->free;
		if (a->top < KMM_TRACT_ORDER)
			count_tract(z, i, nr_free);
		else if (a->top <= KMM_TOP_MAX) /* blocks of a tract in a build whose largest is smaller are several */
			nr_free[TOP_ORDER(a->top)] += (kmm_word)1 << (a->top - TOP_ORDER(a->top));
	}
	return pages;
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
	if (order >= 0 && a->top >= KMM_TRACT_ORDER && a->top < KMM_TOP_NONE)
		order = a->top;
	order = order > (int)KMM_MAX_ORDER ? (int)KMM_MAX_ORDER : order;
	return order >= 0 && pfn % KMM_TRACT_PAGES % (1u << (order < 9 ? order : 9)) == 0 ? order : -1;
}
