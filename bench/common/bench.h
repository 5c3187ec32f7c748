/* SPDX-License-Identifier: MIT */
/*
 * What the hosted benchmark programs share: options, the clock, random numbers, and the one form of result.
 *
 * A result is one line of tab-separated fields that scripts/bench reads:
 *
 *   bench: NAME UNIT SUBJECT MEDIAN MIN MAX REPEATS
 *
 * SUBJECT is "kmm" or the name of a peer that did the same work in the same run. The clock is processor time
 * of the calling thread, so other load of the machine costs less; it does not hide cache and memory effects.
 * Every workload runs once unmeasured before its repeats.
 *
 * Processors of a rented machine are often hardware threads: when the host gives the other thread of a core to somebody,
 * what is limited by the core takes half as much again and more, for seconds at a time, and no clock shows it. A small
 * loop does (bench_core_is_shared()), and a repeat during which that happened is made again: bench_next().
 */
#ifndef KMM_BENCH_BENCH_H
#define KMM_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_MAX_REPEATS = 31 };

struct bench_options {
	unsigned repeats;   /* measured repeats, 1 .. BENCH_MAX_REPEATS (default 7) */
	bool smoke;         /* tiny sizes: proves that everything runs, the numbers mean nothing */
	const char *only;   /* run only workloads whose names contain this; NULL: all */
	const char *malloc_name; /* objects: measure only malloc, and call it this */
};

/* Reads the command line (--smoke, --repeats N, --only TEXT, --malloc-name NAME). Exits with 2 on anything else. */
void bench_parse(int argc, char **argv, struct bench_options *out);
/* true when the options ask for this workload. */
bool bench_wants(const struct bench_options *options, const char *name);
/* n, or a size that takes next to no time under --smoke. */
uint64_t bench_scale(const struct bench_options *options, uint64_t n, uint64_t smoke_n);

uint64_t bench_now_ns(void);

/* The repeats of one workload of one thread:
 *
 *   struct bench_rounds rounds = { .patient = true };
 *   while (bench_next(options, &rounds)) {
 *           ... measure ...
 *           if (bench_counts(&rounds))
 *                   bench_add(&samples, figure);
 *   }
 *
 * A round begins when the core is ours and counts if it is so at its end. After some seconds of waiting any does, and
 * the standard error says so. */
struct bench_rounds {
	unsigned done, looks;
	bool patient;       /* this one need not count */
};
bool bench_next(const struct bench_options *options, struct bench_rounds *rounds);
bool bench_counts(struct bench_rounds *rounds);

/* Does somebody else use this core at the moment? Takes a quarter of a millisecond, the first time 100. */
bool bench_core_is_shared(void);

/* The samples of one workload, one per repeat. */
struct bench_samples {
	unsigned nr;
	double value[BENCH_MAX_REPEATS];
};
void bench_add(struct bench_samples *samples, double value);
void bench_print(const char *name, const char *unit, const char *subject, struct bench_samples *samples);
/* A quantity that is counted, not timed. */
void bench_print_count(const char *name, const char *unit, const char *subject, double value);

/* xorshift64; state must not be 0. below: 0 .. n-1. */
uint64_t bench_random(uint64_t *state);
uint32_t bench_below(uint64_t *state, uint32_t n);

/* Prints the sentence and exits with 1. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_die(const char *format, ...);

/* Makes the compiler believe that p is used. */
static inline void bench_keep(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

#endif
