/* SPDX-License-Identifier: MIT */
/* The C library is the reference where it knows the same conversions. */
#include "base/printf.h"

#include <stdio.h>
#include <string.h>

#include "harness/test.h"
#include "kmm/observe.h"

static char ours[256], theirs[256];

#define BOTH(...)                                                              \
	do {                                                                   \
		struct kmm_buffer_sink b;                                      \
		kmm_buffer_sink_init(&b, ours, sizeof(ours));                  \
		kmm_printf(&b.sink, __VA_ARGS__);                              \
		CHECK_EQ(snprintf(theirs, sizeof(theirs), __VA_ARGS__), b.len); \
		CHECK_STR(ours, theirs);                                       \
	} while (0)

KMM_TEST(printf_prints_as_the_c_library)
{
	BOTH("plain");
	BOTH("%s|%8s|%-8s|%s", "ab", "cd", "ef", "");
	BOTH("%c%c%3c|%-3c|", 'x', '%', 'y', 'z');
	BOTH("%d %d %d %d", 0, -1, 2147483647, -2147483647 - 1);
	BOTH("%5d|%-5d|%05d|%05d", 42, 42, 42, -42);
	BOTH("%u %x %08x %8x %-8x|", 4294967295u, 0xdeadbeefu, 0xbeefu, 0xbeefu, 0xbeefu);
	BOTH("%lld %llu %llx", -9223372036854775807ll, 18446744073709551615ull, 0xfedcba9876543210ull);
	BOTH("%llu %llu %llu", 999999999ull, 1000000000ull, 10000000000000000000ull);
	BOTH("%016llx %20llu|%-20llu|", 0x1234ull, 5000000000ull, 5000000000ull);
	BOTH("%lu %lx %ld", 123456789ul, 0xabcul, -5l);
	BOTH("%zu %zu", (size_t)0, (size_t)-1);
	BOTH("100%% and %s", "done");
}

KMM_TEST(printf_numbers_of_every_length)
{
	uint64_t n = 1;

	for (int i = 0; i < 20; i++, n *= 10) {
		BOTH("%llu %llu", (unsigned long long)n, (unsigned long long)n - 1);
		BOTH("%lld", -(long long)n);
	}
}

KMM_TEST(printf_null_string_and_unknown_conversion)
{
	struct kmm_buffer_sink b;
	const char *volatile none = NULL, *volatile odd = "%q %";

	kmm_buffer_sink_init(&b, ours, sizeof(ours));
	kmm_printf(&b.sink, "%s", none);
	CHECK_STR(ours, "(null)");
	kmm_buffer_sink_init(&b, ours, sizeof(ours));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	kmm_printf(&b.sink, odd);
#pragma GCC diagnostic pop
	CHECK_STR(ours, "%q %");
}

KMM_TEST(printf_buffer_keeps_what_fits)
{
	struct kmm_buffer_sink b;
	char small[4];

	kmm_buffer_sink_init(&b, small, sizeof(small));
	kmm_printf(&b.sink, "%s", "abcdef");
	CHECK_STR(small, "abc");
	CHECK_EQ(b.len, 6);
	kmm_printf(&b.sink, "gh");
	CHECK_STR(small, "abc");
	CHECK_EQ(b.len, 8);
	kmm_buffer_sink_init(&b, small, 0);
	kmm_printf(&b.sink, "x");
	CHECK_EQ(b.len, 1);
	CHECK_STR(small, "abc");
}
