/* SPDX-License-Identifier: MIT */
/* migrate_threads_host.c with pages that go to swap and come back, on devices that end transfers at once and later. */
#include "model/migrate_threads.h"

#include "harness/test.h"

KMM_TEST(swap_threads_i386) { CALL(migrate_threads_run(KMM_I386, EVICTS)); }
KMM_TEST(swap_threads_i386_pae) { CALL(migrate_threads_run(KMM_I386_PAE, EVICTS)); }
KMM_TEST(swap_threads_x86_64) { CALL(migrate_threads_run(KMM_X86_64, EVICTS)); }
KMM_TEST(swap_later_threads_i386) { CALL(migrate_threads_run(KMM_I386, EVICTS_LATER)); }
KMM_TEST(swap_later_threads_i386_pae) { CALL(migrate_threads_run(KMM_I386_PAE, EVICTS_LATER)); }
KMM_TEST(swap_later_threads_x86_64) { CALL(migrate_threads_run(KMM_X86_64, EVICTS_LATER)); }
