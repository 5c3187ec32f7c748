/* SPDX-License-Identifier: MIT */
/*
 * One CPU's share of a load on small objects and kernel addresses: all calls of kmm/slab.h, kmap.h, vmalloc.h and percpu.h in
 * random order, with a check that nobody else writes what this CPU holds. Several CPUs run it at once on one machine,
 * and pass objects to each other. For threads, for ThreadSanitizer, and for schedulers that replay.
 */
#ifndef KMM_TESTS_SCENARIO_HAMMER_SLAB_H
#define KMM_TESTS_SCENARIO_HAMMER_SLAB_H

#include "kmm/kmm.h"

/* The caller runs as CPU `thread` of the machine. Fails the test where something is wrong; gives all back but what other CPUs
 * took over. One machine at a time. context: no locks. */
void hammer_slab(struct kmm *k, unsigned thread, uint64_t seed, unsigned steps);
/* Gives the rest back, when all are done. */
void hammer_slab_end(struct kmm *k);

#endif
