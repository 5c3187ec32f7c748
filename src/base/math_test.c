/* SPDX-License-Identifier: MIT */
#include "base/math.h"

#include <stddef.h>

#include "harness/test.h"

static void check_division(uint64_t n, uint32_t d)
{
	uint32_t rem = 1;

	CHECK_EQ(kmm_div_u64(n, d, &rem), n / d);
	CHECK_EQ(rem, n % d);
	CHECK_EQ(kmm_div_u64(n, d, NULL), n / d);
}

KMM_TEST(math_division_at_the_edges)
{
	static const uint64_t n[] = { 0, 1, 0xffffffff, 0x100000000, 0x100000001, UINT64_MAX - 1, UINT64_MAX };
	static const uint32_t d[] = { 1, 2, 3, 10, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };

	for (unsigned i = 0; i < sizeof(n) / sizeof(n[0]); i++)
		for (unsigned j = 0; j < sizeof(d) / sizeof(d[0]); j++)
			CALL(check_division(n[i], d[j]));
}

KMM_TEST(math_division_of_random_numbers)
{
	uint64_t state = kmm_test_seed();

	for (int i = 0; i < 20000; i++) {
		uint64_t n = kmm_test_rand(&state) >> (kmm_test_rand(&state) & 63);
		uint32_t d = (uint32_t)(kmm_test_rand(&state) >> (32 + (kmm_test_rand(&state) & 31)));

		CALL(check_division(n, d ? d : 1));
	}
}

KMM_TEST(math_square_root_is_the_largest_that_fits)
{
	uint64_t state = kmm_test_seed();

	CHECK_EQ(kmm_isqrt_u64(0), 0);
	CHECK_EQ(kmm_isqrt_u64(UINT64_MAX), 0xffffffff);
	for (int i = 0; i < 20000; i++) {
		uint64_t n = kmm_test_rand(&state) >> (kmm_test_rand(&state) & 63), r = kmm_isqrt_u64(n);

		CHECK(r * r <= n);
		CHECK(r == 0xffffffff || (r + 1) * (r + 1) > n);
	}
}

KMM_TEST(math_size_to_order)
{
	CHECK_EQ(kmm_size_to_order(1), 0);
	CHECK_EQ(kmm_size_to_order(4096), 0);
	CHECK_EQ(kmm_size_to_order(4097), 1);
	CHECK_EQ(kmm_size_to_order(8192), 1);
	CHECK_EQ(kmm_size_to_order(8193), 2);
	CHECK_EQ(kmm_size_to_order((uint64_t)4096 << 10), 10);
	CHECK_EQ(kmm_size_to_order(((uint64_t)4096 << 10) + 1), 11);
}

KMM_TEST(math_rounding)
{
	uint64_t sum;

	CHECK_EQ(kmm_align_down(0x1fff, 0x1000), 0x1000);
	CHECK_EQ(kmm_align_up(0x1001, 0x1000), 0x2000);
	CHECK_EQ(kmm_align_up(0x1000, 0x1000), 0x1000);
	CHECK(kmm_add_overflows(UINT64_MAX, 1, &sum));
	CHECK(!kmm_add_overflows(UINT64_MAX - 1, 1, &sum));
	CHECK_EQ(sum, UINT64_MAX);
	CHECK_EQ(kmm_log2_u32(1), 0);
	CHECK_EQ(kmm_log2_u32(0x80000001u), 31);
}
