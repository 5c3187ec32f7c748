/* SPDX-License-Identifier: MIT */
/*
 * The divisions and roots that a 32-bit build must not leave to the compiler's run-time library: 32-bit
 * steps and shift-subtract, the same on every ground. None of it stands on a fast path.
 */
#include "base/math.h"

#include "kmm/config.h"

/* (rem * 2^32 + low) / d for rem < d: the quotient fits 32 bits. One bit a step. */
static uint32_t divide_low(uint32_t *rem, uint32_t low, uint32_t d)
{
	uint64_t r = *rem;
	uint32_t q = 0;

	for (int bit = 31; bit >= 0; bit--) {
		r = (r << 1) | ((low >> bit) & 1);
		q <<= 1;
		if (r >= d) {
			r -= d;
			q |= 1;
		}
	}
	*rem = (uint32_t)r;
	return q;
}

static uint64_t divide_by_steps(uint64_t n, uint32_t d, uint32_t *rem)
{
	uint32_t high = (uint32_t)(n >> 32), low = (uint32_t)n;
	uint32_t q_high = high / d;

	*rem = high % d;
	if (*rem == 0) {
		*rem = low % d;
		return ((uint64_t)q_high << 32) | (low / d);
	}
	return ((uint64_t)q_high << 32) | divide_low(rem, low, d);
}

uint64_t kmm_div_u64(uint64_t n, uint32_t d, uint32_t *rem)
{
	uint32_t unused;

	return divide_by_steps(n, d, rem ? rem : &unused);
}

uint32_t kmm_isqrt_u64(uint64_t n)
{
	uint64_t root = 0;

	for (int bit = 31; bit >= 0; bit--) {
		uint64_t trial = root | ((uint64_t)1 << bit);

		if (trial * trial <= n)
			root = trial;
	}
	return (uint32_t)root;
}

unsigned kmm_size_to_order(uint64_t size)
{
	uint64_t pages = (size - 1) >> KMM_PAGE_SHIFT;
	unsigned order = 0;

	while (pages >> order)
		order++;
	return order;
}
