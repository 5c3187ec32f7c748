/* SPDX-License-Identifier: MIT */
/*
 * 32-bit paging: two levels of 1024 entries of 4 bytes, 4 MiB leaves (PSE). Intel SDM 3A, 4.3.
 * No no-execute; physical addresses are 32 bits (the PSE-36 extension, bits 20:13 of a 4 MiB leaf, is not used).
 */
#ifndef KMM_PT_FMT_I386_H
#define KMM_PT_FMT_I386_H

#include "pt/fmt_x86.h"

/* Bits 31:12; of a 4 MiB leaf 31:22, because 21:13 are PSE-36 or reserved and 12 is PAT. */
static inline uint32_t kmm_i386_addr_mask(uint32_t flags)
{
	return flags & KMM_PTE_LARGE ? 0xffc00000u : 0xfffff000u;
}

static inline uint64_t kmm_i386_encode(struct kmm_pte pte, unsigned level)
{
	uint32_t flags = kmm_x86_shape(pte.flags, level, true);

	if (!(flags & KMM_PTE_PRESENT))
		return 0;
	return ((uint32_t)pte.pfn.v << KMM_PAGE_SHIFT & kmm_i386_addr_mask(flags)) | kmm_x86_bits(flags);
}

static inline struct kmm_pte kmm_i386_decode(uint64_t raw, unsigned level)
{
	struct kmm_pte pte = { { 0 }, 0 };

	if (!(raw & KMM_X86_P))
		return pte;
	pte.flags = kmm_x86_shape(kmm_x86_flags((uint32_t)raw), level, true) | KMM_PTE_EXEC;
	pte.pfn.v = ((uint32_t)raw & kmm_i386_addr_mask(pte.flags)) >> KMM_PAGE_SHIFT;
	return pte;
}

#define KMM_FMT_I386_INIT \
	{ .id = KMM_I386, .name = "i386", .nr_levels = 2, .entry_size = 4, .va_bits = 32, .max_phys_bits = 32, \
	  .canonical = false, .has_nx = false, .level = { { 12, 10, true }, { 22, 10, true } }, \
	  .encode = kmm_i386_encode, .decode = kmm_i386_decode }

#endif
