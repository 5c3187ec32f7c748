/* SPDX-License-Identifier: MIT */
/*
 * The mechanism of tracts, shared by tract*.c and nobody else: the lists, blocks of whole tracts, and the search inside
 * one bitmap. tract.c has the story. All functions: lock z held.
 */
#ifndef KMM_PHYS_TRACT_H
#define KMM_PHYS_TRACT_H

#include "phys/phys.h"

#define NOINLINE __attribute__((noinline)) static

/* ---- lists ---- */

#define CLASS_PAGES (KMM_TRACT_PAGES / KMM_TRACT_CLASSES)

/* A wholly free tract of a contiguous area is with the emptiest. */
static inline unsigned class_of(const struct kmm_tract *a)
{
	unsigned class = a->free / CLASS_PAGES;

	return class < KMM_TRACT_CLASSES ? class : KMM_TRACT_CLASSES - 1;
}

static inline enum kmm_mobility mobility_of(unsigned sort)
{
	static const uint8_t of[] = { KMM_MOBILITY_MOVABLE, KMM_MOBILITY_RECLAIMABLE, KMM_MOBILITY_CMA, KMM_MOBILITY_ISOLATE };

	return sort < KMM_SORT_MOVABLE ? KMM_MOBILITY_UNMOVABLE : (enum kmm_mobility)of[sort - KMM_SORT_MOVABLE];
}

/* The sort of tracts for such requests. */
static inline unsigned sort_for(enum kmm_mobility mobility, unsigned order)
{
	static const uint8_t sort[KMM_NR_MOBILITIES] = {
		[KMM_MOBILITY_MOVABLE] = KMM_SORT_MOVABLE, [KMM_MOBILITY_RECLAIMABLE] = KMM_SORT_RECLAIMABLE,
		[KMM_MOBILITY_CMA] = KMM_SORT_CMA, [KMM_MOBILITY_ISOLATE] = KMM_SORT_ISOLATE,
	};

	return mobility == KMM_MOBILITY_UNMOVABLE ? order : sort[mobility];
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
	struct kmm_shelf *shelf = &z->shelf[a->sort];
	unsigned class = class_of(a), top = a->top, mobility = mobility_of(a->sort);

	a->class = class & 15;
	push(z, &shelf->heads[class][top], i);
	shelf->tops[class] |= (uint16_t)(1u << top);
	shelf->classes |= (uint16_t)(1u << class);
	if (z->nr_tops[mobility][top]++ == 0)
		z->tops[mobility] |= (uint16_t)(1u << top);
}

static inline void unshelve(struct kmm_zone *z, uint32_t i, unsigned top)
{
	struct kmm_tract *a = &z->tract[i];
	struct kmm_shelf *shelf = &z->shelf[a->sort];
	unsigned class = a->class, mobility = mobility_of(a->sort);

	if (--z->nr_tops[mobility][top] == 0)
		z->tops[mobility] &= (uint16_t)~(1u << top);
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

/* The tracts of the block of this order that begins with i have become wholly free: joins it with its buddies. They are in
 * no list. */
static inline void join_whole(struct kmm_zone *z, uint32_t i, unsigned order)
{
	z->nr_whole += tracts_in(order);
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

/* The first block of a list that is not empty. */
static inline uint32_t pop_whole(struct kmm_zone *z, unsigned order)
{
	uint32_t i = z->whole[order] - 1, next = z->tract[i].next;

	z->whole[order] = next;
	if (next)
		z->tract[next - 1].prev = 0;
	else
		z->whole_tops &= (uint16_t)~(1u << order);
	return i;
}

/* Takes 2^(order - 9) tracts out of the smallest block of whole ones; the upper halves stay free. */
static inline uint32_t take_whole(struct kmm_zone *z, unsigned order)
{
	unsigned have = order + kmm_ctz_u32((uint32_t)z->whole_tops >> order);
	uint32_t i = pop_whole(z, have);

	z->nr_whole -= tracts_in(order);
	while (have > order) {
		uint32_t half = i + tracts_in(--have);

		z->tract[half].top = (uint8_t)have;
		push_whole(z, half);
	}
	return i;
}

static inline void fill(struct kmm_zone *z, uint32_t i, bool free)
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

/* Is there a free block of an order below a word's? */
static inline bool has_small(const kmm_bits *w, unsigned order)
{
	for (unsigned i = 0; i < KMM_TRACT_WORDS; i++)
		if (w[i] && kmm_bits_fold(w[i], order))
			return true;
	return false;
}

/* The largest free block of a tract that has something free and is not whole, if it is known that none is larger than
 * `most`: mostly there is one of that order, and soon found. */
static inline unsigned largest_up_to(const kmm_bits *w, unsigned most)
{
	unsigned order = most < KMM_TRACT_ORDER ? most : KMM_TRACT_ORDER - 1;
	uint32_t full = order < KMM_BITS_ORDER ? 0 : full_words(w);

	if (full) {
		while (order > KMM_BITS_ORDER && !fold_words(full, order - KMM_BITS_ORDER))
			order--;
		return order;
	}
	order = order < KMM_BITS_ORDER ? order : KMM_BITS_ORDER - 1;
	while (order && !has_small(w, order))
		order--;
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

	if (a->free == KMM_TRACT_PAGES && a->sort != KMM_SORT_CMA)
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
		join_whole(z, i, KMM_TRACT_ORDER);
	else if (top != KMM_TOP_NONE)
		shelve(z, i);
}

/* A tract that is in no list, by its bits. */
static inline void settle(struct kmm_zone *z, uint32_t i)
{
	struct kmm_tract *a = &z->tract[i];
	unsigned top = a->free ? largest_up_to(kmm_tract_words(z, i), KMM_TOP_NONE) : KMM_TOP_NONE;

	if (a->free == KMM_TRACT_PAGES && a->sort != KMM_SORT_CMA)
		top = KMM_TRACT_ORDER;
	move(z, i, KMM_TOP_NONE, top);
}

/* After something was taken. A block of less than top may have left a block of top behind. */
static inline void settle_taken(struct kmm_zone *z, uint32_t i)
{
	struct kmm_tract *a = &z->tract[i];

	move(z, i, a->top, a->free ? largest_up_to(kmm_tract_words(z, i), a->top) : KMM_TOP_NONE);
}

/* The tract to take 2^order frames from, order below 9, of which there is one that such a request may have. */
uint32_t kmm_tract_choose(struct kmm *k, struct kmm_zone *z, unsigned order, enum kmm_mobility mobility);

#endif
