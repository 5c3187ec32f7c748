/* SPDX-License-Identifier: MIT */
/*
 * The format as the mapper's code sees it. A pinned build (KMM_PIN_FORMAT) gets a constant that the compiler can look
 * into, so that shifts, widths, encode and decode become plain instructions; another build gets the machine's.
 *
 * KMM_PIN_FORMAT names a descriptor, and the preprocessor cannot compare names; pasting turns it to a number.
 */
#ifndef KMM_PT_PIN_H
#define KMM_PT_PIN_H

#include "base/context.h"

#ifdef KMM_PIN_FORMAT

#define KMM_PIN_NR_kmm_fmt_i386 1
#define KMM_PIN_NR_kmm_fmt_i386_pae 2
#define KMM_PIN_NR_kmm_fmt_x86_64 3
#define KMM_PIN_NR_kmm_fmt_x86_64_la57 4
#define KMM_PIN_PASTE(format) KMM_PIN_NR_##format
#define KMM_PIN_NR(format) KMM_PIN_PASTE(format)

#if KMM_PIN_NR(KMM_PIN_FORMAT) == 1
#include "pt/fmt_i386.h"
static const struct kmm_format kmm_pinned = KMM_FMT_I386_INIT;
#elif KMM_PIN_NR(KMM_PIN_FORMAT) == 2
#include "pt/fmt_pae.h"
static const struct kmm_format kmm_pinned = KMM_FMT_PAE_INIT;
#elif KMM_PIN_NR(KMM_PIN_FORMAT) == 3
#include "pt/fmt_x86_64.h"
static const struct kmm_format kmm_pinned = KMM_FMT_X86_64_INIT;
#elif KMM_PIN_NR(KMM_PIN_FORMAT) == 4
#include "pt/fmt_x86_64.h"
static const struct kmm_format kmm_pinned = KMM_FMT_LA57_INIT;
#else
#error "KMM_PIN_FORMAT is not the name of a format"
#endif

static inline const struct kmm_format *kmm_pt_fmt(const struct kmm *k) { (void)k; return &kmm_pinned; }

#else

static inline const struct kmm_format *kmm_pt_fmt(const struct kmm *k) { return k->fmt; }

#endif

/* Encodes for this machine: where the processor has no no-execute, bit 63 would be reserved. */
static inline uint64_t kmm_pt_encode_at(const struct kmm *k, struct kmm_pte pte, unsigned level)
{
	if (k->machine.no_nx)
		pte.flags |= KMM_PTE_EXEC;
	return kmm_pt_fmt(k)->encode(pte, level);
}

static inline struct kmm_pte kmm_pt_decode_at(const struct kmm *k, uint64_t raw, unsigned level)
{
	return kmm_pt_fmt(k)->decode(raw, level);
}

/* An entry of the last level, which is what address spaces deal in. */
static inline struct kmm_pte kmm_pt_decode(const struct kmm *k, uint64_t raw) { return kmm_pt_decode_at(k, raw, 0); }
static inline uint64_t kmm_pt_encode(const struct kmm *k, struct kmm_pte pte) { return kmm_pt_encode_at(k, pte, 0); }

/* Of a present entry: has its address no bits that decoding may lose, and that no memory can be at? */
static inline bool kmm_pt_leaf_is_possible(const struct kmm *k, uint64_t raw)
{
	const uint64_t no_execute = (uint64_t)1 << 63;

	return (raw & ~no_execute) < k->layout.phys_limit;
}

/* A present entry of the last level by parts: what kmm_pt_encode() makes of frame 0, and the frame. All formats keep
 * the frame's address in place (tests/conformance/pt_formats.c compares). */
static inline uint64_t kmm_pt_leaf(uint64_t rights, struct kmm_pfn pfn)
{
	return rights | (uint64_t)pfn.v << KMM_PAGE_SHIFT;
}

#endif
