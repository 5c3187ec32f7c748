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
