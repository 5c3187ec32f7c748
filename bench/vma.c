/* SPDX-License-Identifier: MIT */
/*
 * The index of areas by itself: spaces of 10, 1000 and 100,000 areas of three pages with a hole of one between them,
 * filled and emptied in random order, and asked for random addresses in between.
 *
 * An insertion here is what mmap does: the number of spare nodes it can need, those nodes, the insertion. Twice:
 *
 *   insert, erase           addresses are read from the area, which was made long before and comes from memory
 *   insert-..-by-key, ...   addresses are made from the place in the list: the index by itself, which looks into no area
 *
 * At 100,000 areas the first stand beside "area alone", which reads the addresses of each area in that order, one after the
 * other, and does nothing with them. The peer of the others keeps the same areas in a sorted
 * array, the least that a lookup by bisection can cost; its insertions and erasures move half of the array, so the
 * largest size is left out.
 */
#include "common/bench.h"
#include "common/machine.h"
#include "vm/mm.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEP_PAGES = 4, AREA_PAGES = 3, LOOKUPS = 2000000, ARRAY_MOST = 1000, FIELDS = 64 };

#define AREA_BYTES ((kmm_word)AREA_PAGES << KMM_PAGE_SHIFT)

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
		f->area[i].end = f->area[i].start + AREA_BYTES;
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

static void tree_insert(struct field *f, struct kmm_vma *vma, kmm_word start)
{
	if (kmm_tree_fill(f->k, &f->tree, kmm_tree_need(&f->tree, start, 1)) != KMM_OK)
		bench_die("the machine is too small");
	kmm_tree_insert(f->k, &f->tree, vma, start, start + AREA_BYTES);
}

static struct kmm_vma *tree_find(struct field *f, kmm_word addr) { return kmm_tree_find(&f->tree, addr); }

static void tree_erase(struct field *f, struct kmm_vma *vma, kmm_word start) { kmm_tree_erase(f->k, &f->tree, vma, start); }

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

static void array_insert(struct field *f, struct kmm_vma *vma, kmm_word start)
{
	uint32_t i = array_place(f, start);

	memmove(&f->sorted[i + 1], &f->sorted[i], (f->nr_sorted++ - i) * sizeof(f->sorted[0]));
	f->sorted[i] = vma;
}

static struct kmm_vma *array_find(struct field *f, kmm_word addr)
{
	uint32_t i = array_place(f, addr);

	return i < f->nr_sorted ? f->sorted[i] : NULL;
}

static void array_erase(struct field *f, struct kmm_vma *vma, kmm_word start)
{
	uint32_t i = array_place(f, start);

	KMM_ASSERT(f->k, f->sorted[i] == vma);
	memmove(&f->sorted[i], &f->sorted[i + 1], (--f->nr_sorted - i) * sizeof(f->sorted[0]));
}

/* ---- measuring ---- */

struct subject {
	const char *name;
	void (*insert)(struct field *f, struct kmm_vma *vma, kmm_word start);
	struct kmm_vma *(*find)(struct field *f, kmm_word addr);
	void (*erase)(struct field *f, struct kmm_vma *vma, kmm_word start);
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

/* All areas of all fields in an order. */
static uint64_t change_all(struct field *f, uint32_t fields, bool inserting, const struct subject *s, bool by_key)
{
	void (*change)(struct field *f, struct kmm_vma *vma, kmm_word start) = inserting ? s->insert : s->erase;
	uint64_t t = bench_now_ns();

	for (uint32_t n = 0; n < fields; n++, f++) {
		struct kmm_vma **order = inserting ? f->in : f->out;

		for (uint32_t i = 0; i < f->nr; i++)
			change(f, order[i], by_key ? start_of((uint32_t)(order[i] - f->area)) : order[i]->start);
	}
	return bench_now_ns() - t;
}

/* Small sizes are several fields that are filled and emptied many times, for the clock's sake. */
static struct cost once(struct field *f, uint32_t fields, const struct subject *s, uint32_t rounds, bool by_key)
{
	uint64_t inserting = 0, erasing = 0;
	struct cost cost = { 0 };

	for (uint32_t r = 0; r < rounds; r++) {
		inserting += change_all(f, fields, true, s, by_key);
		if (r == 0)
			cost.lookup = lookups(f, s);
		erasing += change_all(f, fields, false, s, by_key);
	}
	cost.insert = (double)inserting / rounds / fields / f->nr;
	cost.erase = (double)erasing / rounds / fields / f->nr;
	return cost;
}

static void print(const char *what, uint32_t nr, bool by_key, const char *subject, struct bench_samples *samples)
{
	char name[64];

	snprintf(name, sizeof(name), "vma.%s-%u%s", what, (unsigned)nr, by_key ? "-by-key" : "");
	bench_print(name, "ns", subject, samples);
}

static void measure(struct field *f, uint32_t fields, const struct subject *s, const struct bench_options *options, bool by_key)
{
	struct bench_samples insert = { .nr = 0 }, lookup = insert, erase = insert;
	uint32_t times = 1 + (uint32_t)bench_scale(options, 200000, 100) / (f->nr * fields);
	struct bench_rounds rounds = { .patient = true };

	once(f, fields, s, times, by_key);
	while (bench_next(options, &rounds)) {
		struct cost cost = once(f, fields, s, times, by_key);

		if (!bench_counts(&rounds))
			continue;
		bench_add(&insert, cost.insert);
		bench_add(&lookup, cost.lookup);
		bench_add(&erase, cost.erase);
	}
	if (by_key)
		print("lookup", f->nr, false, s->name, &lookup);
	print("insert", f->nr, by_key, s->name, &insert);
	print("erase", f->nr, by_key, s->name, &erase);
}

/* Each address waits for the one before: addresses of areas have no bit 0. */
static double fetch_all(const struct field *f, struct kmm_vma *const *order)
{
	uint64_t t = bench_now_ns();
	uint32_t odd = 0;

	for (uint32_t i = 0; i < f->nr; i++)
		odd |= (uint32_t)((volatile struct kmm_vma *)order[i | odd])->start & 1;
	return (double)(bench_now_ns() - t) / f->nr;
}

/* What the areas themselves cost whoever has to fetch them. */
static void measure_fetch(const struct field *f, const struct bench_options *options)
{
	struct bench_samples in = { .nr = 0 }, out = in;
	struct bench_rounds rounds = { .patient = true };

	fetch_all(f, f->in);
	while (bench_next(options, &rounds)) {
		double in_ns = fetch_all(f, f->in), out_ns = fetch_all(f, f->out);

		if (!bench_counts(&rounds))
			continue;
		bench_add(&in, in_ns);
		bench_add(&out, out_ns);
	}
	print("insert", f->nr, false, "area alone", &in);
	print("erase", f->nr, false, "area alone", &out);
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
		measure(field, fields, &array, options, true);
	else
		measure_fetch(field, options);
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
