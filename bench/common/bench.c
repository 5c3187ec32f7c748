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
