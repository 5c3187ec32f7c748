/* SPDX-License-Identifier: MIT */
/*
 * The index of areas by itself: spaces of 10, 1000 and 100,000 areas of three pages with a hole of one between them,
 * filled and emptied in random order, and asked for random addresses in between.
 *
 * An insertion here is what mmap does: the number of spare nodes it can need, those nodes, the insertion. Areas are
 * made beforehand, so the first look at each is part of the cost: it comes from memory. The rows "at-hand" fetch each a
 * little before its turn: a call has just filled its area in, or found it. (Who measures an index with keys from a list
 * and values that it does not look into measures that.) The peer keeps the same areas in a sorted
 * array, the least that a lookup by bisection can cost; its insertions and erasures move half of the array, so the
 * largest size is left out.
 */
#include "common/bench.h"
#include "common/machine.h"
#include "vm/mm.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEP_PAGES = 4, AREA_PAGES = 3, LOOKUPS = 2000000, ARRAY_MOST = 1000, FIELDS = 64, AHEAD = 8 };

struct field {
	uint32_t nr;
	struct kmm_vma *area;       /* by address */
	struct kmm_vma **in, **out; /* a random order to insert them in, and another to erase them in */
	uint32_t *target;           /* areas to look up, nr_lookups of them */
	uint32_t nr_lookups;
	struct kmm *k;
	struct kmm_tree tree;
	struct kmm_vma **sorted;
	uint32_t nr_sorted;
};

struct cost {
	double insert, lookup, erase; /* ns each */
};

static void *must_alloc(size_t nr, size_t size)
{
	void *p = calloc(nr, size);

	if (!p)
		bench_die("not enough host memory");
	return p;
}

static void shuffle(struct field *f, uint64_t *seed)
{
	const uint32_t nr = f->nr;

	for (uint32_t i = 0; i < nr; i++)
		f->in[i] = &f->area[i];
	for (uint32_t i = nr; i > 1; i--) {
		uint32_t j = bench_below(seed, i);
		struct kmm_vma *swapped = f->in[i - 1];

		f->in[i - 1] = f->in[j];
		f->in[j] = swapped;
	}
	for (uint32_t i = 0; i < nr; i++)
		f->out[i] = f->in[(uint64_t)(nr - i) * 7 % nr];
}

static kmm_word start_of(uint32_t area)
{
	return ((kmm_word)area * STEP_PAGES + 16) << KMM_PAGE_SHIFT;
}

static void make_field(struct field *f, struct kmm *k, uint32_t nr, uint32_t nr_lookups)
{
	uint64_t seed = 42;

	*f = (struct field){ .nr = nr, .nr_lookups = nr_lookups, .k = k };
	f->area = must_alloc(nr, sizeof(f->area[0]));
	f->in = must_alloc(nr, sizeof(f->in[0]));
	f->out = must_alloc(nr, sizeof(f->out[0]));
	f->target = must_alloc(nr_lookups, sizeof(f->target[0]));
	f->sorted = must_alloc(nr, sizeof(f->sorted[0]));
	for (uint32_t i = 0; i < nr; i++) {
		f->area[i].start = start_of(i);
		f->area[i].end = f->area[i].start + ((kmm_word)AREA_PAGES << KMM_PAGE_SHIFT);
	}
	for (uint32_t i = 0; i < nr_lookups; i++)
		f->target[i] = bench_below(&seed, nr);
	shuffle(f, &seed);
}

static void drop_field(struct field *f)
{
	free(f->area);
	free(f->in);
	free(f->out);
	free(f->target);
	free(f->sorted);
}

/* ---- kmm ---- */

static void tree_insert(struct field *f, struct kmm_vma *vma)
{
	if (kmm_tree_fill(f->k, &f->tree, kmm_tree_need(&f->tree, vma->start, 1)) != KMM_OK)
		bench_die("the machine is too small");
	kmm_tree_insert(f->k, &f->tree, vma);
}

static struct kmm_vma *tree_find(struct field *f, kmm_word addr) { return kmm_tree_find(&f->tree, addr); }

static void tree_erase(struct field *f, struct kmm_vma *vma) { kmm_tree_erase(f->k, &f->tree, vma); }

/* ---- the sorted array ---- */

static uint32_t array_place(const struct field *f, kmm_word addr)
{
	uint32_t low = 0, high = f->nr_sorted;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (f->sorted[middle]->end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void array_insert(struct field *f, struct kmm_vma *vma)
{
	uint32_t i = array_place(f, vma->start);

	memmove(&f->sorted[i + 1], &f->sorted[i], (f->nr_sorted++ - i) * sizeof(f->sorted[0]));
	f->sorted[i] = vma;
}

static struct kmm_vma *array_find(struct field *f, kmm_word addr)
{
	uint32_t i = array_place(f, addr);

	return i < f->nr_sorted ? f->sorted[i] : NULL;
}

static void array_erase(struct field *f, struct kmm_vma *vma)
{
	uint32_t i = array_place(f, vma->start);

	memmove(&f->sorted[i], &f->sorted[i + 1], (--f->nr_sorted - i) * sizeof(f->sorted[0]));
}

/* ---- measuring ---- */

struct subject {
	const char *name;
	void (*insert)(struct field *f, struct kmm_vma *vma);
	struct kmm_vma *(*find)(struct field *f, kmm_word addr);
	void (*erase)(struct field *f, struct kmm_vma *vma);
};

static double lookups(struct field *f, const struct subject *s)
{
	uint64_t t = bench_now_ns();

	for (uint32_t i = 0; i < f->nr_lookups; i++) {
		if (s->find(f, start_of(f->target[i]) + 8) != &f->area[f->target[i]])
			bench_die("the index is wrong");
	}
	return (double)(bench_now_ns() - t) / f->nr_lookups;
}

/* All areas of all fields in an order. at_hand: each was looked at a little before. */
static uint64_t change_all(struct field *f, uint32_t fields, bool inserting, const struct subject *s, bool at_hand)
{
	void (*change)(struct field *f, struct kmm_vma *vma) = inserting ? s->insert : s->erase;
	uint64_t t = bench_now_ns();

	for (uint32_t n = 0; n < fields; n++, f++) {
		struct kmm_vma **order = inserting ? f->in : f->out;

		for (uint32_t i = 0; i < f->nr; i++) {
			if (at_hand && i + AHEAD < f->nr)
				__builtin_prefetch(&order[i + AHEAD]->start);
			change(f, order[i]);
		}
	}
	return bench_now_ns() - t;
}

/* Small sizes are several fields that are filled and emptied many times, for the clock's sake. */
static struct cost once(struct field *f, uint32_t fields, const struct subject *s, uint32_t rounds, bool at_hand)
{
	uint64_t inserting = 0, erasing = 0;
	struct cost cost = { 0 };

	for (uint32_t r = 0; r < rounds; r++) {
		inserting += change_all(f, fields, true, s, at_hand);
		if (r == 0)
			cost.lookup = lookups(f, s);
		erasing += change_all(f, fields, false, s, at_hand);
	}
	cost.insert = (double)inserting / rounds / fields / f->nr;
	cost.erase = (double)erasing / rounds / fields / f->nr;
	return cost;
}

static void print(const char *what, uint32_t nr, bool at_hand, const char *subject, struct bench_samples *samples)
{
	char name[64];

	snprintf(name, sizeof(name), "vma.%s-%u%s", what, (unsigned)nr, at_hand ? "-at-hand" : "");
	bench_print(name, "ns", subject, samples);
}

static void measure(struct field *f, uint32_t fields, const struct subject *s, const struct bench_options *options, bool at_hand)
{
	struct bench_samples insert = { .nr = 0 }, lookup = insert, erase = insert;
	uint32_t times = 1 + (uint32_t)bench_scale(options, 200000, 100) / (f->nr * fields);
	struct bench_rounds rounds = { .patient = true };

	once(f, fields, s, times, at_hand);
	while (bench_next(options, &rounds)) {
		struct cost cost = once(f, fields, s, times, at_hand);

		if (!bench_counts(&rounds))
			continue;
		bench_add(&insert, cost.insert);
		bench_add(&lookup, cost.lookup);
		bench_add(&erase, cost.erase);
	}
	if (!at_hand)
		print("lookup", f->nr, false, s->name, &lookup);
	print("insert", f->nr, at_hand, s->name, &insert);
	print("erase", f->nr, at_hand, s->name, &erase);
}

static void measure_size(struct kmm *k, uint32_t nr, const struct bench_options *options)
{
	static const struct subject tree = { "kmm", tree_insert, tree_find, tree_erase };
	static const struct subject array = { "sorted array", array_insert, array_find, array_erase };
	static struct field field[FIELDS];
	uint32_t fields = nr * FIELDS <= ARRAY_MOST ? FIELDS : 1;

	for (uint32_t i = 0; i < fields; i++)
		make_field(&field[i], k, nr, i ? 1 : (uint32_t)bench_scale(options, LOOKUPS, 1000));
	measure(field, fields, &tree, options, false);
	measure(field, fields, &tree, options, true);
	if (nr <= ARRAY_MOST)
		measure(field, fields, &array, options, false);
	for (uint32_t i = 0; i < fields; i++) {
		kmm_tree_trim(k, &field[i].tree, 0);
		drop_field(&field[i]);
	}
}

int main(int argc, char **argv)
{
	struct hosted_machine *machine;
	struct bench_options options;

	bench_parse(argc, argv, &options);
	machine = bench_machine((uint64_t)1 << 30);
	measure_size(hosted_kmm(machine), 10, &options);
	measure_size(hosted_kmm(machine), 1000, &options);
	measure_size(hosted_kmm(machine), 100000, &options);
	hosted_shutdown(machine);
	return 0;
}
