/* SPDX-License-Identifier: MIT */
/*
 * A deterministic scheduler for the real C of the core: threads of control that run one at a time, each a CPU, and an
 * explorer that decides at every point (seam.h) who goes on.
 *
 * A case is prepared once; its memory is saved. Each run starts from that memory, lets its threads run to their ends in one
 * order, and is judged: no broken invariant, no crash, no deadlock, then the case's own look, and the audit.
 *
 * Orders explored:
 *   all        every order with at most B preemptions, depth first. A preemption takes the CPU's turn from a thread that
 *              could go on; turns given up by waiting cost nothing.
 *   PCT        random priorities with a few points where they change (Burckhardt and others, 2010), by seed
 *
 * What keeps "all" small: only accesses to words that several threads touch and one writes are places to preempt (learnt
 * while running; when more words turn out to be such, the search starts again), and a state reached twice by orders of
 * the same accesses to the same words in the same order is explored once. Both rest on the core having no plain data races,
 * which is ThreadSanitizer's matter (tests/race).
 *
 * An order is written as its turns that were not the default (go on; else the next thread that can), "37>1 80>0": at the
 * 37th point thread 1 goes on. A failure is reduced to as few of them as still fail, and can be replayed.
 */
#ifndef KMM_RACE_SCHED_H
#define KMM_RACE_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seam.h"

enum { SCHED_THREADS = 3, SCHED_TURNS = 256 };

struct sched_case {
	const char *name;
	unsigned threads;
	void (*setup)(void);                   /* alone, before the first run; memory of the case is saved after it */
	void (*body[SCHED_THREADS])(void);
	void (*finish)(void);                  /* alone, after each run */
};

/* Cases register themselves. */
#define SCHED_CASE(ident, ...)                                                                                      \
	static const struct sched_case case_def_##ident = { .name = #ident, __VA_ARGS__ };                          \
	static const struct sched_case *const case_ptr_##ident __attribute__((section("sched_cases"), used)) = \
		&case_def_##ident

/* ---- for bodies, ports and checks ---- */

/* The thread that runs: 0, 1, ...; outside of runs 0. */
unsigned sched_self(void);
/* Are threads running? Not during setup and finish. */
bool sched_running(void);
/* This run is wrong; does not return while threads run. text is kept. */
void sched_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define SCHED_CHECK(cond) ((cond) ? (void)0 : sched_fail("%s:%d: not true: %s", __FILE__, __LINE__, #cond))
/* The thread cannot go on until ready(arg); at: what it then accesses. */
void sched_wait(const void *at, bool (*ready)(const void *arg), const void *arg, const char *what);
/* The thread spins: let others change something first. */
void sched_relax(void);
/* Accesses to this memory mean nothing (counters for reports). */
void sched_ignore(const void *at, size_t bytes);
/* Exchanges of this word are no lock, whatever they exchange. */
void sched_not_a_lock(const void *at);

/* ---- for the ground: what is saved and put back ---- */

/* Memory of the run. May be called in setup only. */
void sched_keep(void *at, size_t bytes);

/* ---- the explorer ---- */

struct sched_turn { uint32_t point; uint32_t thread; };
struct sched_order { unsigned nr; struct sched_turn turn[SCHED_TURNS]; };

struct sched_result {
	bool failed;
	int complete;                 /* every order with so many preemptions was seen; -1: not even those without */
	uint64_t runs, pruned, points, words; /* runs ended early as seen before; points passed; shared words */
	uint64_t most_points;         /* of one run */
	char what[512];
	struct sched_order order;     /* of the failure, as short as it got */
};

/* Prepares the case; then any number of the three below; then done. */
void sched_begin(const struct sched_case *c);
/* All orders without preemptions, then with one, and so on, up to the bound or until max_runs are over. */
void sched_explore(unsigned preemptions, uint64_t max_runs, struct sched_result *out);
void sched_random(uint64_t seed, uint64_t runs, unsigned changes, struct sched_result *out);
void sched_replay(const struct sched_order *order, struct sched_result *out);
void sched_end(void);

/* "37>1 80>0"; "-" for none. */
void sched_order_text(const struct sched_order *order, char *text, size_t size);
bool sched_order_parse(const char *text, struct sched_order *order);

#endif
