/* SPDX-License-Identifier: MIT */
/*
 * Threads of the host as the CPUs of one simulated machine, all calling the core at once. Built with ThreadSanitizer, so
 * that an unordered access in the core is an error even when it did no harm this time.
 *
 * A test gives a step function; each hand (thread) runs it a fixed number of times with its own random numbers. After each
 * round the hands stand still and the audit must be clean. Objects go from hand to hand through the crew's boxes, so that
 * another CPU frees what one has allocated. What is written into an object follows from its stamp: one that two owners got
 * shows as a wrong byte.
 *
 * Steps per hand and round: KMM_RACE_STEPS (default: CREW_STEPS). Seed: the runner's.
 */
#ifndef KMM_TESTS_RACE_CREW_H
#define KMM_TESTS_RACE_CREW_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/test.h"
#include "hosted.h"
#include "kmm/kmap.h"
#include "kmm/observe.h"
#include "kmm/percpu.h"
#include "kmm/slab.h"

enum { CREW_HANDS = 4, CREW_BOXES = 16, CREW_STEPS = 200, CREW_ROUNDS = 3, HAND_SLOTS = 24 };
#define CREW_MIB(n) ((uint64_t)(n) << 20)

/* Something that a hand has and may pass on: its sort is the test's matter. */
struct thing {
	void *what; /* NULL: an empty slot */
	size_t size;
	unsigned sort;
	uint32_t stamp;
};

struct crew;

struct hand {
	struct crew *crew;
	struct kmm *k;
	struct hosted_machine *m;
	unsigned cpu;
	uint64_t rng;
	struct thing slot[HAND_SLOTS];
	struct kmm_sink sink;   /* swallows reports */
	uint64_t swallowed;
	const char *failed;     /* the first thing that was wrong, as text */
	int failed_line;
	void *own;              /* the test's */
};

struct crew {
	struct hosted_machine *m;
	struct kmm *k;
	struct hand hand[CREW_HANDS];
	_Atomic(struct thing *) box[CREW_BOXES];
	void (*step)(struct hand *h);
	void (*take)(struct hand *h, struct thing *t); /* fills a slot, if it can */
	void (*drop)(struct hand *h, struct thing *t); /* gives a thing back */
	void *shared;
};

/* Ends the function it stands in, and the hand's work. */
#define HAND_CHECK(h, cond)                          \
	do {                                         \
		if (!(cond)) {                       \
			hand_fail(h, #cond, __LINE__); \
			return;                      \
		}                                    \
	} while (0)
void hand_fail(struct hand *h, const char *text, int line);

unsigned hand_dice(struct hand *h, unsigned n); /* 0 .. n-1 */
/* A random slot. */
struct thing *hand_slot(struct hand *h);
/* Takes something into an empty slot, or drops what is in a full one. */
void hand_toggle(struct hand *h);
/* Puts the thing into a box and takes out what was there. Calls t's owner's rule: any hand may drop it. */
void hand_swap(struct hand *h, struct thing *t);
void hand_stamp(struct thing *t, void *bytes, size_t size);
bool hand_stamp_holds(const struct thing *t, const void *bytes, size_t size);

/* Boots with CREW_HANDS CPUs and a quiet log; CHECKs. */
void crew_boot(struct crew *c, enum kmm_format_id format, uint64_t ram, enum hosted_tier tier);
/* CREW_ROUNDS rounds of all hands; audit after each. CHECKs. */
void crew_work(struct crew *c);
/* Gives back everything in slots and boxes, by hand 0. CHECKs a last audit. */
void crew_clear(struct crew *c);
void crew_end(struct crew *c);

#endif
