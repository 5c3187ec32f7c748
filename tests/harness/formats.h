/* SPDX-License-Identifier: MIT */
/*
 * The machines that this build of the library serves: those of all formats, or of the one it is pinned to. A test that
 * does the same on each loops over TEST_FORMATS; one that needs a certain format is skipped where it is not served.
 */
#ifndef KMM_TESTS_HARNESS_FORMATS_H
#define KMM_TESTS_HARNESS_FORMATS_H

#include "kmm/pagetable.h"

#ifdef KMM_PIN_FORMAT
#define TEST_ID_kmm_fmt_i386 KMM_I386
#define TEST_ID_kmm_fmt_i386_pae KMM_I386_PAE
#define TEST_ID_kmm_fmt_x86_64 KMM_X86_64
#define TEST_ID_kmm_fmt_x86_64_la57 KMM_X86_64_LA57
#define TEST_ID_OF(name) TEST_ID_##name
#define TEST_ID(name) TEST_ID_OF(name)
#define TEST_FORMATS { TEST_ID(KMM_PIN_FORMAT) }
enum { TEST_NR_FORMATS = 1 };
#else
#define TEST_FORMATS { KMM_I386, KMM_I386_PAE, KMM_X86_64, KMM_X86_64_LA57 }
enum { TEST_NR_FORMATS = KMM_NR_FORMATS };
#endif

static inline bool test_serves(enum kmm_format_id format)
{
	static const enum kmm_format_id served[] = TEST_FORMATS;

	for (unsigned i = 0; i < TEST_NR_FORMATS; i++)
		if (served[i] == format)
			return true;
	return false;
}

#endif
