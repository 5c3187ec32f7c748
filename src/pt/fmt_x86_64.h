/* SPDX-License-Identifier: MIT */
/*
 * 4- and 5-level paging: levels of 512 entries of 8 bytes, leaves of 4 KiB, 2 MiB and 1 GiB, no-execute.
 * Intel SDM 3A, 4.5. Both formats have the same entries; the fifth level only adds nine address bits.
 * Every such processor that a machine description can mean is taken to have 1 GiB leaves.
 */
#ifndef KMM_PT_FMT_X86_64_H
#define KMM_PT_FMT_X86_64_H

#include "pt/fmt_x86.h"

#define KMM_X86_64_TOP_LEAF 2 /* highest level with leaves: 1 GiB; bit 7 is reserved above */

static inline uint64_t kmm_x86_64_encode(struct kmm_pte pte, unsigned level)
{
	return kmm_x86_encode64(pte, level, KMM_PAGE_SHIFT + 9 * level, level <= KMM_X86_64_TOP_LEAF);
}

static inline struct kmm_pte kmm_x86_64_decode(uint64_t raw, unsigned level)
{
	return kmm_x86_decode64(raw, level, KMM_PAGE_SHIFT + 9 * level, level <= KMM_X86_64_TOP_LEAF);
}

#define KMM_FMT_X86_64_INIT \
	{ .id = KMM_X86_64, .name = "x86_64", .nr_levels = 4, .entry_size = 8, .va_bits = 48, .max_phys_bits = 52, \
	  .canonical = true, .has_nx = true, \
	  .level = { { 12, 9, true }, { 21, 9, true }, { 30, 9, true }, { 39, 9, false } }, \
	  .encode = kmm_x86_64_encode, .decode = kmm_x86_64_decode }

#define KMM_FMT_LA57_INIT \
	{ .id = KMM_X86_64_LA57, .name = "x86_64-la57", .nr_levels = 5, .entry_size = 8, .va_bits = 57, \
	  .max_phys_bits = 52, .canonical = true, .has_nx = true, \
	  .level = { { 12, 9, true }, { 21, 9, true }, { 30, 9, true }, { 39, 9, false }, { 48, 9, false } }, \
	  .encode = kmm_x86_64_encode, .decode = kmm_x86_64_decode }

#endif
