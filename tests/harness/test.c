/* SPDX-License-Identifier: MIT */
/*
 * The part of the test harness that runs anywhere: what a CHECK does, and a runner for one context.
 *
 * State is that of the one test now running, set up afresh by kmm_test_run_one(). Text is put together
 * without a C library and handed to the runner's print function piece by piece.
 */
#include "harness/test.h"

#include "kmm/status.h"

static struct {
	void (*print)(const char *text);
	uint64_t seed;
	const struct kmm_test *test;
	enum kmm_test_result result;
	const char *skip_reason;
	bool used_seed;
} now;

static void put(const char *text)
{
	if (now.print)
		now.print(text);
}

static void put_number(uint64_t value, unsigned base)
{
	char digits[24];
	char *p = digits + sizeof(digits) - 1;
	uint32_t hi, lo, rem;

	*p = '\0';
	do { /* long division by 16-bit digits: no 64-bit division, which bare i386 lacks */
		hi = (uint32_t)(value >> 32);
		lo = (uint32_t)value;
		rem = hi % base;
		hi /= base;
		rem = rem << 16 | lo >> 16;
		value = (uint64_t)hi << 32 | (uint64_t)(rem / base) << 16;
		rem = (rem % base) << 16 | (lo & 0xffff);
		value |= rem / base;
		*--p = "0123456789abcdef"[rem % base];
	} while (value);
	put(p);
}

static void put_value(uint64_t value)
{
	put_number(value, 10);
	if (value >= 10) {
		put(" (0x");
		put_number(value, 16);
		put(")");
	}
	if (value >> 63) {
		put(" (-");
		put_number(~value + 1, 10);
		put(")");
	}
}

static void put_string(const char *s)
{
	put(s ? "\"" : "");
	put(s ? s : "NULL");
	put(s ? "\"" : "");
}

static void put_where(const char *file, int line)
{
	put(file);
	put(":");
	put_number((uint64_t)line, 10);
	put(": ");
}

static void fail_at(const char *file, int line)
{
	now.result = KMM_TEST_FAILED;
	put("FAIL ");
	put(now.test ? now.test->name : "(no test)");
	if (now.used_seed) {
		put(" seed ");
		put_number(now.seed, 10);
	}
	put("\n  ");
	put_where(file, line);
}

bool kmm_test_check(bool ok, const char *text, const char *file, int line)
{
	if (ok)
		return true;
	fail_at(file, line);
	put("not true: ");
	put(text);
	put("\n");
	return false;
}

static void put_sides(const char *text_a, const char *text_b)
{
	put(text_a);
	put(" == ");
	put(text_b);
	put("\n    left:  ");
}

bool kmm_test_eq(uint64_t a, uint64_t b, const char *text_a, const char *text_b, const char *file, int line)
{
	if (a == b)
		return true;
	fail_at(file, line);
	put_sides(text_a, text_b);
	put_value(a);
	put("\n    right: ");
	put_value(b);
	put("\n");
	return false;
}

static bool same(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

bool kmm_test_str(const char *a, const char *b, const char *text_a, const char *text_b, const char *file, int line)
{
	if (same(a, b))
		return true;
	fail_at(file, line);
	put_sides(text_a, text_b);
	put_string(a);
	put("\n    right: ");
	put_string(b);
	put("\n");
	return false;
}

bool kmm_test_ok(int status, const char *text, const char *file, int line)
{
	if (status == KMM_OK)
		return true;
	fail_at(file, line);
	put(text);
	put("\n    gave ");
	put(kmm_status_name((enum kmm_status)status));
	put("\n");
	return false;
}

void kmm_test_skip(const char *reason)
{
	if (now.result == KMM_TEST_FAILED)
		return;
	now.result = KMM_TEST_SKIPPED;
	now.skip_reason = reason;
}

uint64_t kmm_test_seed(void)
{
	now.used_seed = true;
	return now.seed;
}

/* splitmix64 (Steele, Lea, Flood 2014): any state is a good one, also 0. */
uint64_t kmm_test_rand(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

bool kmm_test_failed(void)
{
	return now.result == KMM_TEST_FAILED;
}

const char *kmm_test_skip_reason(void)
{
	return now.skip_reason;
}

void kmm_test_setup(void (*print)(const char *text), uint64_t seed)
{
	now.print = print;
	now.seed = seed;
}

enum kmm_test_result kmm_test_run_one(const struct kmm_test *test)
{
	now.test = test;
	now.result = KMM_TEST_PASSED;
	now.skip_reason = "";
	now.used_seed = false;
	test->run();
	return now.result;
}

int kmm_test_run_all(void (*print)(const char *text))
{
	int count[3] = { 0, 0, 0 };
	const struct kmm_test *const *t;

	kmm_test_setup(print, 1);
	for (t = __start_kmm_tests; t < __stop_kmm_tests; t++)
		count[kmm_test_run_one(*t)]++;
	put_number((uint64_t)count[KMM_TEST_PASSED], 10);
	put(" passed, ");
	put_number((uint64_t)count[KMM_TEST_FAILED], 10);
	put(" failed");
	if (count[KMM_TEST_SKIPPED]) {
		put(", ");
		put_number((uint64_t)count[KMM_TEST_SKIPPED], 10);
		put(" skipped");
	}
	put("\n");
	return count[KMM_TEST_FAILED];
}
