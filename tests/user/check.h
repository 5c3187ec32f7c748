/* SPDX-License-Identifier: MIT */
/*
 * check.h - what the ring-3 test programs share: named checks, and a sum at the end. They run on real Linux as well
 * (as 32-bit programs), so what they expect is what Linux does.
 */
#ifndef KMM_TESTS_USER_CHECK_H
#define KMM_TESTS_USER_CHECK_H

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static int passed, failed;

/* An address in the kernel half that a pointer can hold and the processor takes as one, and where the kernel half of a
 * 64-bit machine makes it a general protection instead: never a page's. */
#ifdef __x86_64__
#define KERNEL_ADDRESS 0xffffffff80200000ul
#define USER_LAST 0x7fffffffeffful /* the last byte programs may have: below it lies the stack */
#else
#define KERNEL_ADDRESS 0xc0100000ul
#define USER_LAST 0xbffffffful
#endif

#define CHECK(what, condition)                                                              \
	do {                                                                                \
		if (condition) {                                                            \
			passed++;                                                           \
		} else {                                                                    \
			failed++;                                                           \
			printf("FAIL %s: %s (%s:%d)\n", what, #condition, __FILE__, __LINE__); \
		}                                                                           \
	} while (0)

static inline int on_kmm(void)
{
	struct utsname u;

	return uname(&u) == 0 && strstr(u.release, "kmm") != NULL;
}

static inline int sum(void)
{
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}

#endif
