/* SPDX-License-Identifier: MIT */
/*
 * Assertions, trace and fault injection, as the layers use them.
 *
 * KMM_ASSERT: an invariant of the core that is cheap to test. Never for a caller's mistake that can be
 * answered with a status. KMM_CHECK: the same for whole structures, only at KMM_DEBUG >= 2.
 */
#ifndef KMM_BASE_DEBUG_H
#define KMM_BASE_DEBUG_H

#include "base/context.h"

#define KMM_ASSERT(k, cond) \
	do { \
		if (KMM_DEBUG >= 1 && !(cond)) \
			(k)->port->fatal((k)->port, __FILE__, __LINE__, #cond); \
	} while (0)
#define KMM_CHECK(k, cond) \
	do { \
		if (KMM_DEBUG >= 2 && !(cond)) \
			(k)->port->fatal((k)->port, __FILE__, __LINE__, #cond); \
	} while (0)

/* Out of line: an event that nobody listens to must cost its callers no registers and no stack. */
void kmm_trace_slow(struct kmm *k, enum kmm_event id, uint64_t a, uint64_t b, uint64_t c, uint64_t d);

/* Counts events that nobody listens to. */
static inline void kmm_count_events(struct kmm *k, enum kmm_event id, kmm_word nr)
{
	__atomic_store_n(&k->events[id], __atomic_load_n(&k->events[id], __ATOMIC_RELAXED) + nr, __ATOMIC_RELAXED);
}

static inline void kmm_trace(struct kmm *k, enum kmm_event id, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	kmm_count_events(k, id, 1);
	if (__builtin_expect(k->trace != NULL, 0))
		kmm_trace_slow(k, id, a, b, c, d);
}

bool kmm_inject_slow(struct kmm *k, const char *site);

/* true: this attempt must fail as if memory had run out. Called by every allocation site before it
 * changes anything; `site` is constant text such as "vma". */
static inline bool kmm_inject(struct kmm *k, const char *site)
{
	return k->faults.armed && kmm_inject_slow(k, site);
}

/* One line to the port's log: formatted as kmm_printf. Counts as KMM_EV_WARN. */
void kmm_warn(struct kmm *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
void kmm_log(struct kmm *k, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
