/* SPDX-License-Identifier: MIT */
/*
 * Choosing orders: all of them depth first, random ones, one that is given; and making a failure short.
 */
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 1 << 15, SEEN_BITS = 21 };

/* ---- depth first ---- */

/* A decision on the present path. */
struct node {
	uint8_t enabled, chosen, tried, usual; /* the first and third: bit per thread */
	bool preempts;
	uint8_t spent;                         /* preemptions before it */
};

static struct {
	struct node path[DEPTH];
	unsigned depth, given;   /* decisions made in this run; of them, to be made as in the path */
	unsigned bound;
	uint64_t pruned;
	struct { uint64_t state; uint8_t spent; } *seen; /* states from which all was explored, with fewest preemptions */
	uint64_t nr_seen;
} search;

static unsigned cost(const struct node *n, unsigned thread)
{
	return n->preempts && thread != n->usual;
}

/* Was this state explored with at least as many preemptions to spare? Notes it if not. */
static bool seen_before(uint64_t state, unsigned spent)
{
	size_t mask = ((size_t)1 << SEEN_BITS) - 1, i = (size_t)state & mask;

	state |= 1;
	while (search.seen[i].state && search.seen[i].state != state)
		i = (i + 1) & mask;
	if (search.seen[i].state == state && search.seen[i].spent <= spent)
		return true;
	if (!search.seen[i].state && search.nr_seen > mask / 4 * 3)
		return false; /* no more room: explored perhaps twice */
	search.nr_seen += !search.seen[i].state;
	search.seen[i].state = state;
	search.seen[i].spent = (uint8_t)spent;
	return false;
}

static unsigned spent_so_far(void)
{
	const struct node *last = &search.path[search.depth - 1];

	return search.depth ? last->spent + cost(last, last->chosen) : 0;
}

static unsigned choose_next(unsigned enabled, unsigned usual, bool preempts)
{
	struct node *n = &search.path[search.depth];

	if (search.depth == DEPTH)
		sched_fail("more decisions than %d", DEPTH);
	if (search.depth < search.given) {
		if (n->enabled != enabled || n->usual != usual)
			sched_fail("the same order led elsewhere: the case is not deterministic");
		search.depth++;
		return n->chosen;
	}
	if (seen_before(sched_state(), spent_so_far())) {
		search.pruned++;
		return SCHED_NO_THREAD;
	}
	*n = (struct node){ .enabled = (uint8_t)enabled, .chosen = (uint8_t)usual, .tried = (uint8_t)(1u << usual),
			    .usual = (uint8_t)usual, .preempts = preempts, .spent = (uint8_t)spent_so_far() };
	search.depth++;
	return usual;
}

/* The last decision that can still go another way goes it. false: none. */
static bool next_path(void)
{
	while (search.depth) {
		struct node *n = &search.path[search.depth - 1];

		for (unsigned t = 0; t < SCHED_THREADS; t++)
			if ((n->enabled & ~n->tried) >> t & 1 && n->spent + cost(n, t) <= search.bound) {
				n->tried |= (uint8_t)(1u << t);
				n->chosen = (uint8_t)t;
				search.given = search.depth;
				return true;
			}
		search.depth--;
	}
	return false;
}

static void count_run(struct sched_result *out)
{
	out->runs++;
	out->points += sched_points();
	if (sched_points() > out->most_points)
		out->most_points = sched_points();
	out->words = sched_shared_words();
}

static void note_failure(struct sched_result *out)
{
	out->failed = true;
	snprintf(out->what, sizeof(out->what), "%s", sched_what());
	out->order = *sched_taken();
}

/* One pass with the words now known. true: ended by itself. */
static bool explore_once(uint64_t max_runs, struct sched_result *out)
{
	static const struct sched_chooser chooser = { false, choose_next };

	memset(search.seen, 0, sizeof(*search.seen) << SEEN_BITS);
	search.nr_seen = 0;
	search.given = 0;
	do {
		search.depth = 0;
		if (sched_run(&chooser) == SCHED_FAILED)
			note_failure(out);
		count_run(out);
		if (out->failed || out->runs >= max_runs)
			return false;
	} while (next_path());
	return true;
}

/* ---- a given order ---- */

static struct {
	const struct sched_order *order;
	unsigned at;
} given;

static unsigned choose_given(unsigned enabled, unsigned usual, bool preempts)
{
	const struct sched_order *o = given.order;

	(void)preempts;
	while (given.at < o->nr && o->turn[given.at].point < sched_points())
		given.at++;
	if (given.at < o->nr && o->turn[given.at].point == sched_points() && enabled >> o->turn[given.at].thread & 1)
		return o->turn[given.at].thread;
	return usual;
}

void sched_replay(const struct sched_order *order, struct sched_result *out)
{
	static const struct sched_chooser chooser = { true, choose_given };

	given.order = order;
	given.at = 0;
	if (sched_run(&chooser) == SCHED_FAILED)
		note_failure(out);
	count_run(out);
}

/* Leaves out turns as long as it still fails. */
static void shorten(struct sched_result *out)
{
	for (unsigned i = 0; i < out->order.nr;) {
		struct sched_order shorter = out->order;
		struct sched_result try = { .failed = false };

		memmove(&shorter.turn[i], &shorter.turn[i + 1], (--shorter.nr - i) * sizeof(shorter.turn[0]));
		sched_replay(&shorter, &try);
		out->runs++;
		if (!try.failed) {
			i++;
			continue;
		}
		out->order = try.order;
		memcpy(out->what, try.what, sizeof(out->what));
		i = 0;
	}
}

/* Until no more words turn out to be shared. */
static bool explore_bound(unsigned preemptions, uint64_t max_runs, struct sched_result *out)
{
	uint64_t known;

	search.bound = preemptions;
	do {
		known = sched_shared_words();
		sched_learn();
		if (!explore_once(max_runs, out))
			return false;
	} while (sched_shared_words() != known);
	return true;
}

void sched_explore(unsigned preemptions, uint64_t max_runs, struct sched_result *out)
{
	if (!search.seen)
		search.seen = calloc((size_t)1 << SEEN_BITS, sizeof(*search.seen));
	search.pruned = 0;
	out->complete = -1;
	for (unsigned bound = 0; bound <= preemptions && explore_bound(bound, max_runs, out); bound++)
		out->complete = (int)bound;
	out->pruned = search.pruned;
	if (out->failed)
		shorten(out);
}

/* ---- random orders ---- */

static struct {
	uint64_t state;
	unsigned priority[SCHED_THREADS]; /* the highest that can goes on */
	unsigned nr_changes;
	uint32_t change[16];              /* points at which who would go on becomes the last */
	unsigned lowest;
} chance;

static uint64_t next_random(void)
{
	uint64_t z = chance.state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static unsigned highest(unsigned enabled)
{
	unsigned best = SCHED_NO_THREAD;

	for (unsigned t = 0; t < SCHED_THREADS; t++)
		if (enabled >> t & 1 && (best == SCHED_NO_THREAD || chance.priority[t] > chance.priority[best]))
			best = t;
	return best;
}

static unsigned choose_by_chance(unsigned enabled, unsigned usual, bool preempts)
{
	(void)usual;
	(void)preempts;
	for (unsigned i = 0; i < chance.nr_changes; i++)
		if (chance.change[i] == sched_points())
			chance.priority[highest(enabled)] = chance.lowest--;
	return highest(enabled);
}

static void roll(unsigned changes, uint64_t points)
{
	unsigned order = (unsigned)(next_random() % 6);

	/* One of the six orders of three. */
	chance.priority[order / 2] = 1002;
	chance.priority[(order / 2 + 1 + order % 2) % 3] = 1001;
	chance.priority[(order / 2 + 2 - order % 2) % 3] = 1000;
	chance.lowest = 999;
	chance.nr_changes = changes < 16 ? changes : 16;
	for (unsigned i = 0; i < chance.nr_changes; i++)
		chance.change[i] = (uint32_t)(next_random() % (points + 1));
}

void sched_random(uint64_t seed, uint64_t runs, unsigned changes, struct sched_result *out)
{
	static const struct sched_chooser chooser = { true, choose_by_chance };

	chance.state = seed;
	for (uint64_t i = 0; i < runs && !out->failed; i++) {
		roll(1 + (unsigned)(i % changes), out->most_points ? out->most_points : 1000);
		if (sched_run(&chooser) == SCHED_FAILED)
			note_failure(out);
		count_run(out);
	}
	if (out->failed)
		shorten(out);
}

/* ---- orders as text ---- */

void sched_order_text(const struct sched_order *order, char *text, size_t size)
{
	size_t len = 0;

	snprintf(text, size, "-");
	for (unsigned i = 0; i < order->nr && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%u>%u", i ? " " : "", order->turn[i].point,
					order->turn[i].thread);
}

bool sched_order_parse(const char *text, struct sched_order *order)
{
	int used;

	order->nr = 0;
	if (!strcmp(text, "-"))
		return true;
	while (*text) {
		struct sched_turn *turn = &order->turn[order->nr];

		if (order->nr == SCHED_TURNS || sscanf(text, " %u>%u%n", &turn->point, &turn->thread, &used) != 2)
			return false;
		order->nr++;
		text += used;
		text += strspn(text, " ");
	}
	return true;
}
