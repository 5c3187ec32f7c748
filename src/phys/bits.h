/* SPDX-License-Identifier: MIT */
/*
 * Words of a bitmap of free frames: 64 bits on 64-bit builds, 32 on 32-bit ones, so that every operation is
 * one machine instruction. "Fold" keeps, of the bits of a word, the first of each aligned run of 2^order set
 * bits: the aligned free blocks of that order.
 */
#ifndef KMM_PHYS_BITS_H
#define KMM_PHYS_BITS_H

#include "kmm/types.h"

typedef kmm_word kmm_bits;

#if KMM_CONFIG_VA32
#define KMM_BITS_ORDER 5u
#else
#define KMM_BITS_ORDER 6u
#endif
#define KMM_BITS (1u << KMM_BITS_ORDER) /* frames in a word */
#define KMM_BITS_ALL (~(kmm_bits)0)

static inline unsigned kmm_bits_first(kmm_bits w)
{
	return KMM_CONFIG_VA32 ? (unsigned)__builtin_ctz((uint32_t)w) : (unsigned)__builtin_ctzll(w);
}

static inline unsigned kmm_bits_last(kmm_bits w)
{
	return KMM_CONFIG_VA32 ? 31 - (unsigned)__builtin_clz((uint32_t)w) : 63 - (unsigned)__builtin_clzll(w);
}

/* 2^order bits from bit 0; order up to KMM_BITS_ORDER. */
static inline kmm_bits kmm_bits_low(unsigned order)
{
	return KMM_BITS_ALL >> (KMM_BITS - (1u << order));
}

/* Bits at the multiples of 2^order, order below KMM_BITS_ORDER: all ones divided by a block of ones. */
static inline kmm_bits kmm_bits_starts(unsigned order)
{
	static const kmm_bits starts[] = {
		KMM_BITS_ALL, KMM_BITS_ALL / 0x3, KMM_BITS_ALL / 0xf, KMM_BITS_ALL / 0xff, KMM_BITS_ALL / 0xffff,
		(kmm_bits)0x100000001u,
	};

	return starts[order];
}

static inline kmm_bits kmm_bits_fold(kmm_bits w, unsigned order)
{
	for (unsigned i = 0; i < order; i++)
		w &= w >> (1u << i);
	return order < KMM_BITS_ORDER ? w & kmm_bits_starts(order) : w & 1;
}

/* One step of the same: w holds the blocks of order - 1. */
static inline kmm_bits kmm_bits_pair(kmm_bits w, unsigned order)
{
	w &= w >> (1u << (order - 1));
	return order < KMM_BITS_ORDER ? w & kmm_bits_starts(order) : w & 1;
}

/* Number of set bits; the compiler's own way is a call of its library on machines without the instruction. */
static inline unsigned kmm_bits_count(kmm_bits w)
{
	w -= (w >> 1) & (KMM_BITS_ALL / 3);
	w = (w & (KMM_BITS_ALL / 15 * 3)) + ((w >> 2) & (KMM_BITS_ALL / 15 * 3));
	w = (w + (w >> 4)) & (KMM_BITS_ALL / 255 * 15);
	return (unsigned)((kmm_bits)(w * (KMM_BITS_ALL / 255)) >> (KMM_BITS - 8));
}

#endif
