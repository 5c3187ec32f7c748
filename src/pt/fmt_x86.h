/* SPDX-License-Identifier: MIT */
/*
 * What the entries of all x86 formats share: the low twelve bits and no-execute.
 * Intel SDM volume 3A, section 4.3 (32-bit), 4.4 (PAE), 4.5 (4- and 5-level paging).
 *
 * Three shapes of a present entry: a 4 KiB leaf, a large leaf (bit 7 set above level 0), a table. A shape
 * keeps only the flags that mean something there: bit 7 of a 4 KiB leaf would be PAT, DIRTY and GLOBAL of a
 * table are not looked at by the processor. PAT is never set, so memory types are those of NOCACHE and
 * WRITETHROUGH alone.
 *
 * A right that a format or level cannot withhold is decoded as granted, so rights of a walk can be and-ed.
 */
#ifndef KMM_PT_FMT_X86_H
#define KMM_PT_FMT_X86_H

#include "kmm/pagetable.h"

enum {
	KMM_X86_P = 1u << 0, KMM_X86_RW = 1u << 1, KMM_X86_US = 1u << 2, KMM_X86_PWT = 1u << 3, KMM_X86_PCD = 1u << 4,
	KMM_X86_A = 1u << 5, KMM_X86_D = 1u << 6, KMM_X86_PS = 1u << 7, KMM_X86_G = 1u << 8,
	KMM_X86_AVL0 = 1u << 9, KMM_X86_AVL1 = 1u << 10
};
/* Of a last-level entry of a user table: written since the last kmm_clear_refs(), as far as entries know. It goes with the
 * right to write: who clears it takes that away too, so that the next write is a fault, which sets it. */
#define KMM_X86_SOFT_DIRTY KMM_X86_AVL0
/* Of such an entry: the area's watcher is asked before a write (vm/watch.c). Never together with the right to write. */
#define KMM_X86_WATCHED KMM_X86_AVL1
#define KMM_X86_NX (UINT64_C(1) << 63)
#define KMM_X86_ADDR (UINT64_C(0x000ffffffffff000)) /* bits 51:12, what 8-byte entries can hold */

/* Flags that an entry of each shape keeps. */
#define KMM_X86_TABLE_FLAGS \
	(KMM_PTE_PRESENT | KMM_PTE_WRITE | KMM_PTE_USER | KMM_PTE_EXEC | KMM_PTE_ACCESSED | KMM_PTE_NOCACHE | \
	 KMM_PTE_WRITETHROUGH | KMM_PTE_SOFT1 | KMM_PTE_SOFT2)
#define KMM_X86_LEAF_FLAGS (KMM_X86_TABLE_FLAGS | KMM_PTE_DIRTY | KMM_PTE_GLOBAL)
#define KMM_X86_LARGE_FLAGS (KMM_X86_LEAF_FLAGS | KMM_PTE_LARGE)

/* The flags were numbered so that groups of them move by one shift. */
_Static_assert((int)KMM_PTE_PRESENT == (int)KMM_X86_P && (int)KMM_PTE_WRITE == (int)KMM_X86_RW &&
		       (int)KMM_PTE_USER == (int)KMM_X86_US, "shift by 0");
_Static_assert(KMM_PTE_ACCESSED << 1 == KMM_X86_A && KMM_PTE_DIRTY << 1 == KMM_X86_D &&
		       KMM_PTE_LARGE << 1 == KMM_X86_PS && KMM_PTE_GLOBAL << 1 == KMM_X86_G, "shift up by 1");
_Static_assert(KMM_PTE_NOCACHE >> 4 == KMM_X86_PCD && KMM_PTE_WRITETHROUGH >> 6 == KMM_X86_PWT, "memory type");
_Static_assert(KMM_PTE_SOFT1 >> 1 == KMM_X86_AVL0 && KMM_PTE_SOFT2 >> 1 == KMM_X86_AVL1, "shift down by 1");

#define KMM_X86_UP1 (KMM_PTE_ACCESSED | KMM_PTE_DIRTY | KMM_PTE_LARGE | KMM_PTE_GLOBAL)
#define KMM_X86_DOWN1 (KMM_PTE_SOFT1 | KMM_PTE_SOFT2)

/* Low twelve bits for flags; EXEC has no bit here. */
static inline uint32_t kmm_x86_bits(uint32_t flags)
{
	return (flags & (KMM_PTE_PRESENT | KMM_PTE_WRITE | KMM_PTE_USER)) | (flags & KMM_X86_UP1) << 1 |
	       (flags & KMM_PTE_NOCACHE) >> 4 | (flags & KMM_PTE_WRITETHROUGH) >> 6 | (flags & KMM_X86_DOWN1) >> 1;
}

/* And back; EXEC is not among them. */
static inline uint32_t kmm_x86_flags(uint32_t bits)
{
	return (bits & (KMM_X86_P | KMM_X86_RW | KMM_X86_US)) | (bits >> 1 & KMM_X86_UP1) |
	       (bits & KMM_X86_PCD) << 4 | (bits & KMM_X86_PWT) << 6 | (bits << 1 & KMM_X86_DOWN1);
}

/* Flags kept by the shape that `flags` ask for at a level where `leaf` says whether large leaves exist. */
static inline uint32_t kmm_x86_shape(uint32_t flags, unsigned level, bool leaf)
{
	if (level == 0)
		return flags & KMM_X86_LEAF_FLAGS;
	return flags & (leaf && (flags & KMM_PTE_LARGE) ? KMM_X86_LARGE_FLAGS : KMM_X86_TABLE_FLAGS);
}

/* Address bits of an 8-byte entry: a large leaf's low ones are reserved, or PAT. */
static inline uint64_t kmm_x86_addr_mask(uint32_t flags, unsigned shift)
{
	return flags & KMM_PTE_LARGE ? KMM_X86_ADDR & ~((UINT64_C(1) << shift) - 1) : KMM_X86_ADDR;
}

/* The quick half of decoding, for descending: does an entry above level 0 lead to a table, and where is that. One rule
 * for all formats: where there are no large leaves bit 7 is 0, and 4-byte entries are zero-extended. Tables are in low
 * memory, so a word holds their address. */
static inline bool kmm_x86_is_table(uint64_t raw)
{
	return (raw & (KMM_X86_P | KMM_X86_PS)) == KMM_X86_P;
}

static inline struct kmm_paddr kmm_x86_table(uint64_t raw)
{
	return kmm_paddr((kmm_word)raw & (kmm_word)KMM_X86_ADDR);
}

/* 8-byte entries of PAE (below its root) and of 4- and 5-level paging. */
static inline uint64_t kmm_x86_encode64(struct kmm_pte pte, unsigned level, unsigned shift, bool leaf)
{
	uint32_t flags = kmm_x86_shape(pte.flags, level, leaf);
	uint64_t raw;

	if (!(flags & KMM_PTE_PRESENT))
		return 0;
	raw = ((uint64_t)pte.pfn.v << KMM_PAGE_SHIFT & kmm_x86_addr_mask(flags, shift)) | kmm_x86_bits(flags);
	return flags & KMM_PTE_EXEC ? raw : raw | KMM_X86_NX;
}

static inline struct kmm_pte kmm_x86_decode64(uint64_t raw, unsigned level, unsigned shift, bool leaf)
{
	struct kmm_pte pte = { { 0 }, 0 };

	if (!(raw & KMM_X86_P))
		return pte;
	pte.flags = kmm_x86_shape(kmm_x86_flags((uint32_t)raw), level, leaf);
	pte.pfn.v = (kmm_word)((raw & kmm_x86_addr_mask(pte.flags, shift)) >> KMM_PAGE_SHIFT);
	if (!(raw & KMM_X86_NX))
		pte.flags |= KMM_PTE_EXEC;
	return pte;
}

#endif
