/* SPDX-License-Identifier: MIT */
/*
 * Stalls and their averages (stall.h has the story).
 */
#include "pageq/stall.h"

#include "base/math.h"

#define PERIOD_NS 2000000000u /* between two steps of the averages */

enum { FIXED = 11, ONE = 1 << FIXED };

/* What is left of an average after one period: ONE / e^(2s / 10s), 60 s, 300 s. */
static const uint32_t keep[KMM_STALL_AVERAGES] = { 1677, 1981, 2034 };

/* ---- averages ---- */

static uint32_t step(uint32_t average, uint32_t part, uint32_t percent)
{
	uint64_t next = (uint64_t)average * part + (uint64_t)percent * (ONE - part);

	if (percent >= average)
		next += ONE - 1;
	return (uint32_t)(next >> FIXED);
}

/* part to the power of n. */
static uint32_t power(uint32_t part, uint64_t n)
{
	uint64_t result = ONE, factor = part;

	for (; n; n >>= 1) {
		if (n & 1)
			result = (result * factor + ONE / 2) >> FIXED;
		factor = (factor * factor + ONE / 2) >> FIXED;
	}
	return (uint32_t)result;
}

/* The last of `missed` + 1 periods was `ns` long, of which `lost` were waits; in the others nothing was. */
static void average(uint32_t *averages, uint64_t missed, uint64_t lost, uint64_t ns)
{
	uint64_t us = kmm_div_u64(ns, 1000, NULL), percent;

	percent = us ? kmm_div_u64(kmm_div_u64(lost, 1000, NULL) * 100, (uint32_t)us, NULL) * ONE : 0;
	for (unsigned i = 0; i < KMM_STALL_AVERAGES; i++) {
		if (missed)
			averages[i] = step(averages[i], power(keep[i], missed), 0);
		averages[i] = step(averages[i], keep[i], (uint32_t)percent);
	}
}

/* Of waits that are longer than a period the rest is for the next ones. */
static void update_averages(struct kmm_stalls *s)
{
	uint64_t missed, ns;

	if (s->since - s->averaged < PERIOD_NS)
		return;
	missed = kmm_div_u64(s->since - s->averaged - PERIOD_NS, PERIOD_NS, NULL);
	ns = s->since - s->averaged - missed * PERIOD_NS;
	for (unsigned i = 0; i < KMM_NR_STALLS; i++) {
		uint64_t lost = s->total[i] - s->averaged_total[i];

		lost = lost < ns ? lost : ns;
		average(s->average[i], missed, lost, ns);
		s->averaged_total[i] += lost;
	}
	s->averaged = s->since;
}

/* ---- waits ---- */

static void account(struct kmm_stalls *s, uint64_t now)
{
	uint64_t ns = now > s->since ? now - s->since : 0;

	s->total[KMM_STALL_SOME] += s->nr ? ns : 0;
	s->total[KMM_STALL_FULL] += s->nr && s->full ? ns : 0;
	s->since += ns;
	update_averages(s);
}

void kmm_stalls_change(struct kmm *k, struct kmm_stalls *s, uint64_t now, int by, bool all)
{
	KMM_ASSERT(k, by >= 0 || s->nr > 0);
	account(s, now);
	__atomic_store_n(&s->nr, s->nr + (unsigned)by, __ATOMIC_RELAXED);
	s->full = s->nr && all;
}

/* ---- reports ---- */

static void line(struct kmm_sink *out, const char *name, const struct kmm_pressure_line *l)
{
	kmm_printf(out, "%s avg10=%u.%02u avg60=%u.%02u avg300=%u.%02u total=%llu\n", name, l->avg[0] / 100, l->avg[0] % 100,
		   l->avg[1] / 100, l->avg[1] % 100, l->avg[2] / 100, l->avg[2] % 100, (unsigned long long)l->total_us);
}

static void fill(const struct kmm_stalls *s, unsigned i, struct kmm_pressure_line *out)
{
	out->total_us = kmm_div_u64(s->total[i], 1000, NULL);
	for (unsigned a = 0; a < KMM_STALL_AVERAGES; a++)
		out->avg[a] = s->average[i][a] * 100 >> FIXED;
}

void kmm_stalls_look(struct kmm_stalls *s, uint64_t now, struct kmm_pressure *out)
{
	account(s, now);
	fill(s, KMM_STALL_SOME, &out->some);
	fill(s, KMM_STALL_FULL, &out->full);
}

void kmm_stalls_print(const struct kmm_pressure *p, struct kmm_sink *out)
{
	line(out, "some", &p->some);
	line(out, "full", &p->full);
}
