/* SPDX-License-Identifier: MIT */
/* Options, clock, samples and output of the hosted benchmarks; see bench.h. */
#include "common/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned parse_repeats(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end != 0 || n < 1 || n > BENCH_MAX_REPEATS)
		bench_die("--repeats: 1 to %d, not '%s'", BENCH_MAX_REPEATS, text);
	return (unsigned)n;
}

static void usage(const char *program)
{
	fprintf(stderr, "usage: %s [--smoke] [--repeats N] [--only TEXT] [--malloc-name NAME]\n", program);
	exit(2);
}

void bench_parse(int argc, char **argv, struct bench_options *out)
{
	*out = (struct bench_options){ .repeats = 7 };
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--smoke") == 0) {
			out->smoke = true;
			out->repeats = 1;
			continue;
		}
		if (value == NULL)
			usage(argv[0]);
		if (strcmp(argv[i], "--repeats") == 0)
			out->repeats = parse_repeats(value);
		else if (strcmp(argv[i], "--only") == 0)
			out->only = value;
		else if (strcmp(argv[i], "--malloc-name") == 0)
			out->malloc_name = value;
		else
			usage(argv[0]);
		i++;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
}

bool bench_wants(const struct bench_options *options, const char *name)
{
	return options->only == NULL || strstr(name, options->only) != NULL;
}

uint64_t bench_scale(const struct bench_options *options, uint64_t n, uint64_t smoke_n)
{
	return options->smoke ? smoke_n : n;
}

uint64_t bench_now_ns(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0)
		bench_die("no processor clock");
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- is the core ours? ---- */

/* What the compiler must neither leave out nor do at once. */
#define STEP(x, op) do { (x) op; __asm__ volatile("" : "+r"(x)); } while (0)

/* Time of what takes all that a core can start at once: with somebody beside us it takes a third more to twice as long. */
static uint64_t time_wide(void)
{
	uint64_t t = bench_now_ns(), a = 1, b = 2, c = 3, d = 4;

	for (unsigned i = 0; i < 100000; i++) {
		STEP(a, += 7); STEP(b, += 7); STEP(c, += 7); STEP(d, += 7);
		STEP(a, ^= 9); STEP(b, ^= 9); STEP(c, ^= 9); STEP(d, ^= 9);
	}
	return bench_now_ns() - t;
}

bool bench_core_is_shared(void)
{
	static uint64_t least = UINT64_MAX;
	unsigned looks = least == UINT64_MAX ? 400 : 1;
	uint64_t now = 0;

	while (looks--) {
		now = time_wide();
		least = now < least ? now : least;
	}
	return now > least + least / 8;
}

enum { MOST_LOOKS = 600, LOOKS_OF_A_ROUND = 6 };

/* Waits for the core, a hundredth of a second at a time, as long as there is patience left. */
static bool wait_for_core(struct bench_rounds *rounds)
{
	const struct timespec a_little = { .tv_nsec = 10000000 };

	for (; rounds->looks < MOST_LOOKS; rounds->looks++) {
		if (!bench_core_is_shared())
			return true;
		nanosleep(&a_little, NULL);
	}
	return false;
}

bool bench_next(const struct bench_options *options, struct bench_rounds *rounds)
{
	bool was_patient = rounds->patient && !options->smoke;

	if (rounds->done == options->repeats)
		return false;
	rounds->patient = !options->smoke && wait_for_core(rounds);
	if (was_patient && !rounds->patient)
		fprintf(stderr, "bench: somebody else uses this core all the time, and the last %u repeats are with that\n",
			options->repeats - rounds->done);
	return true;
}

bool bench_counts(struct bench_rounds *rounds)
{
	if (rounds->patient && bench_core_is_shared()) {
		rounds->looks += LOOKS_OF_A_ROUND;
		return false;
	}
	rounds->done++;
	return true;
}

void bench_add(struct bench_samples *samples, double value)
{
	if (samples->nr < BENCH_MAX_REPEATS)
		samples->value[samples->nr++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

void bench_print(const char *name, const char *unit, const char *subject, struct bench_samples *samples)
{
	double *v = samples->value;
	unsigned n = samples->nr;

	if (n == 0)
		return;
	qsort(v, n, sizeof(*v), compare);
	printf("bench:\t%s\t%s\t%s\t%.3f\t%.3f\t%.3f\t%u\n", name, unit, subject, v[n / 2], v[0], v[n - 1], n);
}

void bench_print_count(const char *name, const char *unit, const char *subject, double value)
{
	struct bench_samples one = { .nr = 1, .value = { value } };

	bench_print(name, unit, subject, &one);
}

uint64_t bench_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

uint32_t bench_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(((bench_random(state) >> 32) * n) >> 32);
}

void bench_die(const char *format, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}
