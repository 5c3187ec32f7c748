/* SPDX-License-Identifier: MIT */
/*
 * Page replacement as the textbooks have it: exact, on a sequence known in advance, and free of charge. What a kernel,
 * which sees accessed bits now and then, is to be measured by.
 */
#ifndef KMM_APP_TEXTBOOK_H
#define KMM_APP_TEXTBOOK_H

#include "sequence.h"

enum textbook {
	BOOK_FIFO,
	BOOK_LRU,
	BOOK_CLOCK, /* second chance; a page comes in without it (Corbato, "A paging experiment with the Multics system", 1968) */
	BOOK_OPT,   /* the page whose next use is farthest (Belady, IBM Systems Journal 5(2), 1966): nothing can do better */
	NR_BOOKS
};
extern const char *const textbook_names[NR_BOOKS];

struct replay_counts {
	uint64_t accesses, first, major; /* first: touches of pages never touched before; major: of pages evicted since */
	uint64_t unpacked; /* of pages that were kept in memory compressed; not among major. 0 in books */
};

/* Counts for each phase of s with that many frames (1 or more). */
void textbook_run(enum textbook policy, const struct sequence *s, uint32_t frames, struct replay_counts out[SEQUENCE_PHASES]);

#endif
