/* SPDX-License-Identifier: MIT */
/* Clock, samples, results. A result has the form of bench/common/bench.h; the subject's name is filled in by the host. */
#include "versus.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum { MAX_SAMPLES = 8192, LOOPS = 5, LOOP_LENGTH = 1000000 };

static uint64_t sample[MAX_SAMPLES];
static int nr_samples;
static uint64_t clock_cost;

static void put_line(const char *format, va_list args)
{
	char line[512];
	int len = vsnprintf(line, sizeof(line), format, args);

	if (len >= (int)sizeof(line))
		len = sizeof(line) - 1;
	if (write(1, line, (size_t)len) != len)
		_exit(9);
	tcdrain(1);
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_line(format, args);
	va_end(args);
}

void die(const char *format, ...)
{
	int err = errno;
	va_list args;

	va_start(args, format);
	put_line(format, args);
	va_end(args);
	say(": errno %d\nversus: end 2\n", err);
	_exit(2);
}

void calibrate(void)
{
	for (int i = 0; i < MAX_SAMPLES; i++) /* present before the clock starts */
		sample[i] = 1;
	clock_cost = UINT64_MAX;
	for (int i = 0; i < 200; i++) {
		uint64_t t = ticks(), d = ticks() - t;

		if (d < clock_cost)
			clock_cost = d;
	}
	reset();
	for (int i = 0; i < LOOPS; i++) {
		uint32_t count = LOOP_LENGTH;
		uint64_t t = ticks();

		__asm__ volatile("1: dec %0; jnz 1b" : "+r"(count) : : "cc");
		add(ticks() - t);
	}
	print_per("known-loop-of-2", LOOP_LENGTH);
}

void reset(void)
{
	nr_samples = 0;
}

void add(uint64_t spent)
{
	if (nr_samples < MAX_SAMPLES)
		sample[nr_samples++] = spent > clock_cost ? spent - clock_cost : 0;
}

/* Not qsort(): that may allocate, and so move the break in the middle of a measurement of the break. */
static void sort(uint64_t *v, int n)
{
	for (int gap = n / 2; gap > 0; gap /= 2) {
		for (int i = gap; i < n; i++) {
			uint64_t x = v[i];
			int at = i;

			for (; at >= gap && v[at - gap] > x; at -= gap)
				v[at] = v[at - gap];
			v[at] = x;
		}
	}
}

void print_per(const char *name, double units)
{
	if (nr_samples == 0)
		die("%s: no samples", name);
	sort(sample, nr_samples);
	say("bench:\t%s\tinsns\tversus\t%.2f\t%.2f\t%.2f\t%d\n", name, (double)sample[nr_samples / 2] / units,
	    (double)sample[0] / units, (double)sample[nr_samples - 1] / units, nr_samples);
}

void print(const char *name)
{
	print_per(name, 1);
}

void print_value(const char *name, const char *unit, double value)
{
	say("bench:\t%s\t%s\tversus\t%.2f\t%.2f\t%.2f\t1\n", name, unit, value, value, value);
}
