/* SPDX-License-Identifier: MIT */
/* migrate_threads.h - programs on three processors while a fourth moves their pages, or evicts them: see
 * migrate_threads_host.c. Contains CHECKs. */
#ifndef KMM_TESTS_MIGRATE_THREADS_H
#define KMM_TESTS_MIGRATE_THREADS_H

#include "kmm/pagetable.h"

enum what { MOVES_PAGES, EVICTS, EVICTS_LATER };

void migrate_threads_run(enum kmm_format_id format, enum what what);

#endif
