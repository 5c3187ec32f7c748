/* SPDX-License-Identifier: MIT */
/*
 * Objects smaller than a page: kmm's kmalloc and a named cache, beside the host's malloc in the same program.
 * Every new object gets one byte written, in both.
 *
 *   lifo      1000 objects, freed last first, again and again; 64 B, and 192 B from a named cache
 *   repeat    alloc and free at once, 64 B
 *   live      100,000 objects of 8..4096 B; one random one is freed and replaced at a time
 *   scatter   500,000 objects of 192 B (cache), freed in random order
 *
 * Figures are ns per call. The machine is x86_64 with 8 GiB; its RAM is touched once before, as RAM is.
 * With --malloc-name NAME only malloc is measured, under that name: for a preloaded allocator.
 */
#include "common/bench.h"
#include "common/machine.h"
#include "kmm/slab.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 1000, LIVE = 100000, SCATTER = 500000, LIVE_MIN = 8, LIVE_SPREAD = 4089 };

/* An allocator: size is what the caller wants; the cache ignores it. */
struct heap {
	const char *name;
	void *(*alloc)(size_t size);
	void (*free)(void *object);
};

struct run {
	const struct bench_options *options;
	const struct heap *heap;
	size_t size;
	void **object; /* room for SCATTER */
};

/* ---- allocators ---- */

static struct hosted_machine *machine;
static struct kmm *k;
static struct kmm_cache *cache;

static void *from_kmalloc(size_t size)
{
	return kmm_kmalloc(k, size, KMM_GFP_KERNEL);
}

static void to_kmalloc(void *object)
{
	kmm_kfree(k, object);
}

static void *from_cache(size_t size)
{
	(void)size;
	return kmm_cache_alloc(k, cache, KMM_GFP_KERNEL);
}

static void to_cache(void *object)
{
	kmm_cache_free(k, cache, object);
}

static void *from_malloc(size_t size)
{
	return malloc(size);
}

static void to_malloc(void *object)
{
	free(object);
}

static void start_machine(const struct bench_options *options)
{
	machine = bench_machine((uint64_t)8 << 30);
	k = hosted_kmm(machine);
	bench_touch_ram(k, bench_scale(options, 200000, 1000));
	if (kmm_cache_create(k, "bench-192", 192, 0, 0, NULL, &cache) != KMM_OK)
		bench_die("cannot make a cache");
}

/* ---- workloads: one repeat each, ns per call ---- */

static void *take(struct run *run, size_t size)
{
	char *object = run->heap->alloc(size);

	if (object == NULL)
		bench_die("%s: out of memory", run->heap->name);
	*(volatile char *)object = 1;
	return object;
}

static double lifo(struct run *run)
{
	uint64_t rounds = bench_scale(run->options, 2000, 2);
	uint64_t t = bench_now_ns();

	for (uint64_t r = 0; r < rounds; r++) {
		for (int i = 0; i < BATCH; i++)
			run->object[i] = take(run, run->size);
		for (int i = BATCH; i > 0; i--)
			run->heap->free(run->object[i - 1]);
	}
	return (double)(bench_now_ns() - t) / (double)(rounds * BATCH * 2);
}

static double repeat(struct run *run)
{
	uint64_t nr = bench_scale(run->options, 4000000, 4000);
	uint64_t t = bench_now_ns();

	for (uint64_t i = 0; i < nr; i++)
		run->heap->free(take(run, run->size));
	return (double)(bench_now_ns() - t) / (double)(nr * 2);
}

static double live(struct run *run)
{
	uint32_t nr = (uint32_t)bench_scale(run->options, LIVE, 1000);
	uint64_t steps = bench_scale(run->options, 1000000, 1000), seed = 88172645463325252ull;

	for (uint32_t i = 0; i < nr; i++)
		run->object[i] = take(run, LIVE_MIN + bench_below(&seed, LIVE_SPREAD));
	uint64_t t = bench_now_ns();
	for (uint64_t i = 0; i < steps; i++) {
		uint32_t at = bench_below(&seed, nr);

		run->heap->free(run->object[at]);
		run->object[at] = take(run, LIVE_MIN + bench_below(&seed, LIVE_SPREAD));
	}
	double ns = (double)(bench_now_ns() - t) / (double)(steps * 2);
	for (uint32_t i = 0; i < nr; i++)
		run->heap->free(run->object[i]);
	return ns;
}

static void shuffle(void **object, uint32_t nr)
{
	uint64_t seed = 88172645463325252ull;

	for (uint32_t i = nr; i > 1; i--) {
		uint32_t j = bench_below(&seed, i);
		void *other = object[i - 1];

		object[i - 1] = object[j];
		object[j] = other;
	}
}

static double scatter_free_ns; /* of the last scatter() */

static double scatter(struct run *run)
{
	uint32_t nr = (uint32_t)bench_scale(run->options, SCATTER, 1000);
	uint64_t t = bench_now_ns();

	for (uint32_t i = 0; i < nr; i++)
		run->object[i] = take(run, run->size);
	double ns = (double)(bench_now_ns() - t) / (double)nr;
	shuffle(run->object, nr);
	t = bench_now_ns();
	for (uint32_t i = 0; i < nr; i++)
		run->heap->free(run->object[i]);
	scatter_free_ns = (double)(bench_now_ns() - t) / (double)nr;
	return ns;
}

static void measure(struct run *run, const char *name, double (*once)(struct run *run))
{
	struct bench_samples samples = { .nr = 0 };

	if (!bench_wants(run->options, name))
		return;
	once(run);
	for (unsigned i = 0; i < run->options->repeats; i++)
		bench_add(&samples, once(run));
	bench_print(name, "ns", run->heap->name, &samples);
}

static void measure_scatter(struct run *run)
{
	struct bench_samples allocs = { .nr = 0 }, frees = { .nr = 0 };

	if (!bench_wants(run->options, "objects.scatter-192"))
		return;
	scatter(run);
	for (unsigned i = 0; i < run->options->repeats; i++) {
		bench_add(&allocs, scatter(run));
		bench_add(&frees, scatter_free_ns);
	}
	bench_print("objects.scatter-192-alloc", "ns", run->heap->name, &allocs);
	bench_print("objects.scatter-192-free", "ns", run->heap->name, &frees);
}

/* sized serves any size, fixed the 192-byte objects. */
static void run_heap(struct run *run, const struct heap *sized, const struct heap *fixed)
{
	run->heap = sized;
	run->size = 64;
	measure(run, "objects.lifo-64", lifo);
	measure(run, "objects.repeat-64", repeat);
	measure(run, "objects.live-8..4096", live);
	run->heap = fixed;
	run->size = 192;
	measure(run, "objects.lifo-192-cache", lifo);
	measure_scatter(run);
}

int main(int argc, char **argv)
{
	static const struct heap kmalloc_heap = { "kmm", from_kmalloc, to_kmalloc };
	static const struct heap cache_heap = { "kmm", from_cache, to_cache };
	struct heap malloc_heap = { "glibc malloc", from_malloc, to_malloc };
	struct bench_options options;
	struct run run = { .options = &options };

	bench_parse(argc, argv, &options);
	run.object = calloc(SCATTER, sizeof(void *));
	if (run.object == NULL)
		bench_die("not enough host memory");
	memset(run.object, 1, SCATTER * sizeof(void *));
	if (options.malloc_name)
		malloc_heap.name = options.malloc_name;
	run_heap(&run, &malloc_heap, &malloc_heap);
	if (options.malloc_name == NULL) {
		start_machine(&options);
		run_heap(&run, &kmalloc_heap, &cache_heap);
		if (kmm_cache_destroy(k, cache) != KMM_OK)
			bench_die("objects were lost");
		hosted_shutdown(machine);
	}
	free(run.object);
	return 0;
}
