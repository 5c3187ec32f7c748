/* SPDX-License-Identifier: MIT */
/*
 * Small arithmetic: rounding, logarithms, overflow-checked sums, and the 64-bit division that a
 * 32-bit build must not leave to the compiler's run-time library.
 */
#ifndef KMM_BASE_MATH_H
#define KMM_BASE_MATH_H

#include <stdbool.h>
#include <stdint.h>

/* n / d and n % d for a divisor below 2^32; rem may be NULL. */
uint64_t kmm_div_u64(uint64_t n, uint32_t d, uint32_t *rem);
/* Largest r with r * r <= n. */
uint32_t kmm_isqrt_u64(uint64_t n);

static inline uint64_t kmm_align_down(uint64_t v, uint64_t align) { return v & ~(align - 1); }
static inline uint64_t kmm_align_up(uint64_t v, uint64_t align) { return (v + align - 1) & ~(align - 1); }
static inline uint64_t kmm_min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t kmm_max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* a + b > UINT64_MAX? Otherwise the sum is in *sum. */
static inline bool kmm_add_overflows(uint64_t a, uint64_t b, uint64_t *sum)
{
	return __builtin_add_overflow(a, b, sum);
}

/* Index of the highest set bit; n != 0. */
static inline unsigned kmm_log2_u32(uint32_t n) { return 31u - (unsigned)__builtin_clz(n); }
static inline unsigned kmm_ctz_u32(uint32_t n) { return (unsigned)__builtin_ctz(n); }

/* Smallest order with 2^order pages >= size bytes (size > 0). */
unsigned kmm_size_to_order(uint64_t size);

#endif
