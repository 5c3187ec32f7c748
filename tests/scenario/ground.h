/* SPDX-License-Identifier: MIT */
/*
 * What a scenario stands on: a machine whose core it works with, and a processor that touches memory for programs. There
 * are two grounds: a simulated machine (ground_hosted.c), and the real one under the booted test kernel
 * (tests/bare/ground.c). The scenarios are the same source on both.
 */
#ifndef KMM_TESTS_SCENARIO_GROUND_H
#define KMM_TESTS_SCENARIO_GROUND_H

#include "kmm/mm.h"

/* What touch() says beside 0: the signal that a program would get. */
enum { GROUND_BUS = 7, GROUND_NO_MEMORY = 9, GROUND_SEGV = 11 };

struct ground {
	struct kmm *k;
	struct kmm_sink *log; /* violations and remarks for people */
	/* One byte at va as a program in that space would read or write it, by the processor, with page faults handled. */
	int (*touch)(struct ground *g, struct kmm_mm *mm, uint64_t va, enum kmm_access access, uint8_t *byte);
	/* kmm_mm_put() after switching away from it. */
	void (*put)(struct ground *g, struct kmm_mm *mm);
};

/* Free frames when nothing is cached for reuse, and the kernel's page tables, which stay once they are made: comparable
 * before and after. */
kmm_word ground_free_pages(struct ground *g);

#endif
