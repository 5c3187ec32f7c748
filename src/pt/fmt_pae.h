/* SPDX-License-Identifier: MIT */
/*
 * PAE paging: a root of 4 entries, two levels of 512, 8-byte entries, 2 MiB leaves, no-execute. Intel SDM 3A, 4.4.
 *
 * The root's entries (PDPTEs) are unlike all others: R/W, U/S, A and NX do not exist, their bits are reserved and
 * make loading CR3 fault, and the processor reads the entries only when CR3 is loaded. So a root entry grants
 * everything, and who changes one must reload CR3 (the mapper avoids that: all page directories exist from
 * a root's birth).
 */
#ifndef KMM_PT_FMT_PAE_H
#define KMM_PT_FMT_PAE_H

#include "pt/fmt_x86.h"

#define KMM_PAE_ROOT_LEVEL 2
/* Bits 11:9 are ignored by the processor; 8:5 and 2:1 must be 0. */
#define KMM_PAE_ROOT_FLAGS (KMM_PTE_PRESENT | KMM_PTE_NOCACHE | KMM_PTE_WRITETHROUGH | KMM_PTE_SOFT1 | KMM_PTE_SOFT2)

static inline unsigned kmm_pae_shift(unsigned level)
{
	return KMM_PAGE_SHIFT + 9 * level;
}

static inline uint64_t kmm_pae_encode(struct kmm_pte pte, unsigned level)
{
	if (level == KMM_PAE_ROOT_LEVEL)
		pte.flags = (pte.flags & KMM_PAE_ROOT_FLAGS) | KMM_PTE_EXEC;
	return kmm_x86_encode64(pte, level, kmm_pae_shift(level), level < KMM_PAE_ROOT_LEVEL);
}

static inline struct kmm_pte kmm_pae_decode(uint64_t raw, unsigned level)
{
	struct kmm_pte pte = kmm_x86_decode64(raw, level, kmm_pae_shift(level), level < KMM_PAE_ROOT_LEVEL);

	if (level == KMM_PAE_ROOT_LEVEL && pte.flags)
		pte.flags = (pte.flags & KMM_PAE_ROOT_FLAGS) | KMM_PTE_WRITE | KMM_PTE_USER | KMM_PTE_EXEC;
	return pte;
}

#define KMM_FMT_PAE_INIT \
	{ .id = KMM_I386_PAE, .name = "i386-pae", .nr_levels = 3, .entry_size = 8, .va_bits = 32, .max_phys_bits = 52, \
	  .canonical = false, .has_nx = true, .level = { { 12, 9, true }, { 21, 9, true }, { 30, 2, false } }, \
	  .encode = kmm_pae_encode, .decode = kmm_pae_decode }

#endif
