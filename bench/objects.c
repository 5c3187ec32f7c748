/* SPDX-License-Identifier: MIT */
/*
 * Objects smaller than a page: kmm's kmalloc and a named cache, beside the host's malloc in the same program.
 * Every new object gets one byte written, in both.
 *
 *   lifo      1000 objects, freed last first, again and again; 64 B, and 192 B from a named cache
 *   repeat    alloc and free at once, 64 B
 *   live      100,000 objects of 8..4096 B; one random one is freed and replaced at a time
 *   scatter   500,000 objects of 192 B (cache), freed in random order
 *   bulk      200 objects of 192 B by one call, freed by one call, again and again; kmm only
 *   cross     64 B: one thread allocates, another frees, over a ring of 1024 slots; the time that either waits for the
 *             other is not counted: only the calls of a batch of 64 are timed
 *
 * Figures are ns per call. The machine is x86_64 with 8 GiB and two CPUs; its RAM is touched once before, as RAM is.
 * With --malloc-name NAME only malloc is measured, under that name: for a preloaded allocator.
 */
#include "common/bench.h"
#include "common/machine.h"
#include "kmm/slab.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 1000, LIVE = 100000, SCATTER = 500000, LIVE_MIN = 8, LIVE_SPREAD = 4089, BULK = 200 };
enum { RING = 1024, HANDFUL = 64 };

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
	machine = bench_machine_smp((uint64_t)8 << 30, 2);
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

static double bulk(struct run *run)
{
	uint64_t rounds = bench_scale(run->options, 20000, 10);
	uint64_t t = bench_now_ns();

	for (uint64_t r = 0; r < rounds; r++) {
		if (!kmm_cache_alloc_bulk(k, cache, KMM_GFP_KERNEL, BULK, run->object))
			bench_die("out of memory");
		kmm_cache_free_bulk(k, cache, BULK, run->object);
	}
	return (double)(bench_now_ns() - t) / (double)(rounds * BULK * 2);
}

/* ---- two threads ---- */

/* A ring: `filled` and `emptied` count objects ever; each is written by one thread. */
static struct {
	struct run *run;
	uint64_t nr; /* objects to hand over, a multiple of HANDFUL */
	uint64_t alloc_ns, free_ns;
	_Alignas(64) atomic_ullong filled;
	_Alignas(64) atomic_ullong emptied;
	_Alignas(64) void *slot[RING];
} ring;

static void *free_other_side(void *unused)
{
	uint64_t nr = 0;

	(void)unused;
	hosted_set_cpu(1);
	while (nr < ring.nr) {
		while (atomic_load_explicit(&ring.filled, memory_order_acquire) < nr + HANDFUL)
			sched_yield();
		uint64_t t = bench_now_ns();

		for (int i = 0; i < HANDFUL; i++)
			ring.run->heap->free(ring.slot[(nr + (uint64_t)i) % RING]);
		ring.free_ns += bench_now_ns() - t;
		nr += HANDFUL;
		atomic_store_explicit(&ring.emptied, nr, memory_order_release);
	}
	return NULL;
}

static void alloc_this_side(void)
{
	for (uint64_t nr = 0; nr < ring.nr; nr += HANDFUL) {
		while (atomic_load_explicit(&ring.emptied, memory_order_acquire) + RING < nr + HANDFUL)
			sched_yield();
		uint64_t t = bench_now_ns();

		for (int i = 0; i < HANDFUL; i++)
			ring.slot[(nr + (uint64_t)i) % RING] = take(ring.run, ring.run->size);
		ring.alloc_ns += bench_now_ns() - t;
		atomic_store_explicit(&ring.filled, nr + HANDFUL, memory_order_release);
	}
}

/* What reading the clock costs a handful, ns. */
static double clock_cost(void)
{
	uint64_t t = bench_now_ns();

	for (int i = 0; i < 1000; i++)
		(void)bench_now_ns();
	return (double)(bench_now_ns() - t) / 1000;
}

static double cross_free_ns; /* of the last cross() */

static double cross(struct run *run)
{
	double cost = clock_cost();
	pthread_t other;

	ring.run = run;
	ring.nr = bench_scale(run->options, 4096000, 4096);
	ring.alloc_ns = ring.free_ns = 0;
	atomic_store(&ring.filled, 0);
	atomic_store(&ring.emptied, 0);
	if (pthread_create(&other, NULL, free_other_side, NULL) != 0)
		bench_die("cannot make a thread");
	alloc_this_side();
	pthread_join(other, NULL);
	cross_free_ns = (double)ring.free_ns / (double)ring.nr - cost / HANDFUL;
	return (double)ring.alloc_ns / (double)ring.nr - cost / HANDFUL;
}

/* ---- rows ---- */

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

static void measure_cross(struct run *run)
{
	struct bench_samples allocs = { .nr = 0 }, frees = { .nr = 0 };

	if (!bench_wants(run->options, "objects.cross-64"))
		return;
	cross(run);
	for (unsigned i = 0; i < run->options->repeats; i++) {
		bench_add(&allocs, cross(run));
		bench_add(&frees, cross_free_ns);
	}
	bench_print("objects.cross-64-alloc", "ns", run->heap->name, &allocs);
	bench_print("objects.cross-64-free", "ns", run->heap->name, &frees);
}

/* sized serves any size, fixed the 192-byte objects. */
static void run_heap(struct run *run, const struct heap *sized, const struct heap *fixed)
{
	run->heap = sized;
	run->size = 64;
	measure(run, "objects.lifo-64", lifo);
	measure(run, "objects.repeat-64", repeat);
	measure(run, "objects.live-8..4096", live);
	measure_cross(run);
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
		measure(&run, "objects.bulk-192-cache", bulk);
		if (kmm_cache_destroy(k, cache) != KMM_OK)
			bench_die("objects were lost");
		hosted_shutdown(machine);
	}
	free(run.object);
	return 0;
}
