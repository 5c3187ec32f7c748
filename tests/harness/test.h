/* SPDX-License-Identifier: MIT */
/*
 * The test harness: tests that register themselves, on a host and on bare metal alike.
 *
 *	KMM_TEST(buddy_splits_the_smallest_block)
 *	{
 *		CHECK_EQ(nr_free(b), 16);
 *	}
 *
 * A test is one function without arguments. It builds what it needs, shares nothing with other tests
 * and may run in any order, or alone. The first failing CHECK prints file, line and both values, marks
 * the test as failed and *returns from the function it stands in*, which must return void. A test that
 * calls a void helper with CHECKs in it says CALL(helper(...)) to return too when the helper failed.
 *
 * Nothing here needs a C library; the hosted runner (tests/main_hosted.c) adds names on the command
 * line and one process per test. Random tests start from kmm_test_seed().
 */
#ifndef KMM_TESTS_HARNESS_TEST_H
#define KMM_TESTS_HARNESS_TEST_H

#include <stdbool.h>
#include <stdint.h>

struct kmm_test {
	const char *name;
	const char *file;
	void (*run)(void);
};

enum kmm_test_result { KMM_TEST_PASSED, KMM_TEST_FAILED, KMM_TEST_SKIPPED };

/* The linker gathers the pointers of section kmm_tests and defines these two around them. A linker
 * script must keep the section: `kmm_tests : { __start_kmm_tests = .; KEEP(*(kmm_tests)) __stop_kmm_tests = .; }`. */
extern const struct kmm_test *const __start_kmm_tests[] __attribute__((weak));
extern const struct kmm_test *const __stop_kmm_tests[] __attribute__((weak));

#define KMM_TEST(ident)                                                                                     \
	static void test_##ident(void);                                                                     \
	static const struct kmm_test test_def_##ident = { #ident, __FILE__, test_##ident };                 \
	static const struct kmm_test *const test_ptr_##ident __attribute__((section("kmm_tests"), used)) = \
		&test_def_##ident;                                                                          \
	static void test_##ident(void)

#define CHECK(cond)                                                                                         \
	do {                                                                                                \
		if (!kmm_test_check(!!(cond), #cond, __FILE__, __LINE__))                                   \
			return;                                                                             \
	} while (0)

/* Integers and enums of any width; pointers take CHECK_PTR. Both are compared as 64-bit values, so -1
 * is not the same as 0xffffffff; what has the top bit set is printed as a signed number too. */
#define CHECK_EQ(a, b)                                                                                      \
	do {                                                                                                \
		if (!kmm_test_eq((uint64_t)(a), (uint64_t)(b), #a, #b, __FILE__, __LINE__))                 \
			return;                                                                             \
	} while (0)

#define CHECK_PTR(a, b)                                                                                     \
	do {                                                                                                \
		if (!kmm_test_eq((uintptr_t)(a), (uintptr_t)(b), #a, #b, __FILE__, __LINE__))               \
			return;                                                                             \
	} while (0)

#define CHECK_STR(a, b)                                                                                     \
	do {                                                                                                \
		if (!kmm_test_str((a), (b), #a, #b, __FILE__, __LINE__))                                    \
			return;                                                                             \
	} while (0)

/* An enum kmm_status that must be KMM_OK; prints the name of what it was instead. */
#define CHECK_OK(status)                                                                                    \
	do {                                                                                                \
		if (!kmm_test_ok((int)(status), #status, __FILE__, __LINE__))                               \
			return;                                                                             \
	} while (0)

#define CALL(call)                                                                                          \
	do {                                                                                                \
		call;                                                                                       \
		if (kmm_test_failed())                                                                      \
			return;                                                                             \
	} while (0)

#define SKIP(reason)                                                                                        \
	do {                                                                                                \
		kmm_test_skip(reason);                                                                      \
		return;                                                                                     \
	} while (0)

/* The same seed gives the same run. Asking marks the test as random, so a failure prints the seed. */
uint64_t kmm_test_seed(void);
/* The next pseudo-random number of the stream *state (start: kmm_test_seed()). */
uint64_t kmm_test_rand(uint64_t *state);
bool kmm_test_failed(void);

/* For runners. print takes one piece of text at a time; lines end in "\n". */
void kmm_test_setup(void (*print)(const char *text), uint64_t seed);
enum kmm_test_result kmm_test_run_one(const struct kmm_test *test);
const char *kmm_test_skip_reason(void);
/* Runs every test in this context, prints "N passed, N failed" and returns the number that failed. */
int kmm_test_run_all(void (*print)(const char *text));

/* For the macros. */
bool kmm_test_check(bool ok, const char *text, const char *file, int line);
bool kmm_test_eq(uint64_t a, uint64_t b, const char *text_a, const char *text_b, const char *file, int line);
bool kmm_test_str(const char *a, const char *b, const char *text_a, const char *text_b, const char *file, int line);
bool kmm_test_ok(int status, const char *text, const char *file, int line);
void kmm_test_skip(const char *reason);

#endif
