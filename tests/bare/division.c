/* SPDX-License-Identifier: MIT */
/*
 * division.c - 64-bit division and atomics for code of the tests on 32-bit machines: the compiler calls these by name. The
 * library itself does without (scripts/check-symbols), and so do the kernels that are not for tests.
 */
#include <stdbool.h>
#include <stdint.h>

uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t *rest);
uint64_t __udivdi3(uint64_t n, uint64_t d);
uint64_t __umoddi3(uint64_t n, uint64_t d);
int64_t __divdi3(int64_t n, int64_t d);
int64_t __moddi3(int64_t n, int64_t d);

/* By the school's method, a bit at a time. */
uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t *rest)
{
	uint64_t quotient = 0, r = 0;

	for (int bit = 63; bit >= 0; bit--) {
		int carry = r >> 63 & 1;

		r = r << 1 | (n >> bit & 1);
		if (carry || r >= d) {
			r -= d;
			quotient |= (uint64_t)1 << bit;
		}
	}
	if (rest)
		*rest = r;
	return quotient;
}

uint64_t __udivdi3(uint64_t n, uint64_t d)
{
	return __udivmoddi4(n, d, 0);
}

uint64_t __umoddi3(uint64_t n, uint64_t d)
{
	uint64_t rest;

	__udivmoddi4(n, d, &rest);
	return rest;
}

static uint64_t magnitude(int64_t v)
{
	return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

int64_t __divdi3(int64_t n, int64_t d)
{
	uint64_t q = __udivdi3(magnitude(n), magnitude(d));

	return (int64_t)((n < 0) != (d < 0) ? -q : q);
}

int64_t __moddi3(int64_t n, int64_t d)
{
	uint64_t r = __umoddi3(magnitude(n), magnitude(d));

	return (int64_t)(n < 0 ? -r : r);
}

/* ---- atomics, of the compare and exchange in asm32.S; 64-bit machines have instructions for all of them ---- */

#ifdef __i386__
/* The compiler has ideas of its own about functions that have the names it calls. */
bool compare_exchange(void *at, uint64_t *expected, uint64_t desired, int order, int other) __asm__("__atomic_compare_exchange_8");
uint64_t fetch_add(void *at, uint64_t more, int order) __asm__("__atomic_fetch_add_8");
void store(void *at, uint64_t value, int order) __asm__("__atomic_store_8");

uint64_t fetch_add(void *at, uint64_t more, int order)
{
	uint64_t was = 0;

	while (!compare_exchange(at, &was, was + more, order, order))
		;
	return was;
}

void store(void *at, uint64_t value, int order)
{
	uint64_t was = 0;

	while (!compare_exchange(at, &was, value, order, order))
		;
}
#endif
