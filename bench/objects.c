/* SPDX-License-Identifier: MIT */
/*
 * Objects smaller than a page: kmm's kmalloc and a named cache, beside the host's malloc in the same program.
 * Every new object gets one byte written, in both.
 *
 *   lifo      1000 objects, freed last first, again and again; 64 B, and 192 B from a named cache
 *   repeat    alloc and free at once, 64 B
 *   live      100,000 objects of 8..4096 B; one random one is freed and replaced at a time
 *   scatter   500,000 objects of 192 B (cache), freed in random order
 *   bulk      200 objects of 192 B by one call, freed by one call, again and again; kmm only; and -scattered: the same after
 *             scatter, when no two of them lie in one frame
 *   cross     64 B: one thread allocates, another frees, over a ring of 1024 slots; the time that either waits for the
 *             other is not counted: only the calls of a batch of 64 are timed
 *
 * lifo, repeat and live run again as -2t: two threads, on two CPUs of the machine, do the same at once, each with objects
 * of its own; the figure is the mean of both threads' processor time.
 *
 * Figures are ns per call. The machine is x86_64 with 8 GiB and two CPUs; its RAM is touched once before, as RAM is.
 * With --malloc-name NAME only malloc is measured, under that name: for a preloaded allocator.
 *
 * The workloads are inlined into a caller per allocator, so that each calls its allocator by name, as programs do, and
 * not through pointers.
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
	void *(*alloc)(size_t size);
	void (*free)(void *object);
};

/* One thread's part of a workload. */
struct run {
	const struct bench_options *options;
	const char *name; /* of the allocator */
	size_t size;
	uint64_t seed;
	void **object;    /* room for SCATTER; the second thread's: for LIVE */
};

#define WORKLOAD static inline __attribute__((always_inline))

/* ---- allocators ---- */

static struct hosted_machine *machine;
static struct kmm *k;
static struct kmm_cache *cache;

static inline void *from_kmalloc(size_t size)
{
	return kmm_kmalloc(k, size, KMM_GFP_KERNEL);
}

static inline void to_kmalloc(void *object)
{
	kmm_kfree(k, object);
}

static inline void *from_cache(size_t size)
{
	(void)size;
	return kmm_cache_alloc(k, cache, KMM_GFP_KERNEL);
}

static inline void to_cache(void *object)
{
	kmm_cache_free(k, cache, object);
}

static inline void *from_malloc(size_t size)
{
	return malloc(size);
}

static inline void to_malloc(void *object)
{
	free(object);
}

static const struct heap kmalloc_heap = { from_kmalloc, to_kmalloc };
static const struct heap cache_heap = { from_cache, to_cache };
static const struct heap malloc_heap = { from_malloc, to_malloc };

static void start_machine(const struct bench_options *options)
{
	machine = bench_machine_smp((uint64_t)8 << 30, 2);
	k = hosted_kmm(machine);
	bench_touch_ram(k, bench_scale(options, 200000, 1000));
	if (kmm_cache_create(k, "bench-192", 192, 0, 0, NULL, &cache) != KMM_OK)
		bench_die("cannot make a cache");
}

/* ---- workloads: one repeat each, ns per call ---- */

WORKLOAD void *take(const struct heap *heap, size_t size)
{
	char *object = heap->alloc(size);

	if (object == NULL)
		bench_die("out of memory");
	*(volatile char *)object = 1;
	return object;
}

WORKLOAD double lifo(struct run *run, const struct heap *heap)
{
	uint64_t rounds = bench_scale(run->options, 2000, 2);
	void **object = run->object;
	size_t size = run->size;
	uint64_t t = bench_now_ns();

	for (uint64_t r = 0; r < rounds; r++) {
		for (int i = 0; i < BATCH; i++)
			object[i] = take(heap, size);
		for (int i = BATCH; i > 0; i--)
			heap->free(object[i - 1]);
	}
	return (double)(bench_now_ns() - t) / (double)(rounds * BATCH * 2);
}

WORKLOAD double repeat(struct run *run, const struct heap *heap)
{
	uint64_t nr = bench_scale(run->options, 4000000, 4000);
	size_t size = run->size;
	uint64_t t = bench_now_ns();

	for (uint64_t i = 0; i < nr; i++)
		heap->free(take(heap, size));
	return (double)(bench_now_ns() - t) / (double)(nr * 2);
}

WORKLOAD double live(struct run *run, const struct heap *heap)
{
	uint32_t nr = (uint32_t)bench_scale(run->options, LIVE, 1000);
	uint64_t steps = bench_scale(run->options, 1000000, 1000), seed = run->seed;
	void **object = run->object;

	for (uint32_t i = 0; i < nr; i++)
		object[i] = take(heap, LIVE_MIN + bench_below(&seed, LIVE_SPREAD));
	uint64_t t = bench_now_ns();
	for (uint64_t i = 0; i < steps; i++) {
		uint32_t at = bench_below(&seed, nr);

		heap->free(object[at]);
		object[at] = take(heap, LIVE_MIN + bench_below(&seed, LIVE_SPREAD));
	}
	double ns = (double)(bench_now_ns() - t) / (double)(steps * 2);
	for (uint32_t i = 0; i < nr; i++)
		heap->free(object[i]);
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

WORKLOAD double scatter(struct run *run, const struct heap *heap)
{
	uint32_t nr = (uint32_t)bench_scale(run->options, SCATTER, 1000);
	uint64_t t = bench_now_ns();

	for (uint32_t i = 0; i < nr; i++)
		run->object[i] = take(heap, run->size);
	double ns = (double)(bench_now_ns() - t) / (double)nr;
	shuffle(run->object, nr);
	t = bench_now_ns();
	for (uint32_t i = 0; i < nr; i++)
		heap->free(run->object[i]);
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

/* ---- a thread frees what another allocates ---- */

/* A ring: `filled` and `emptied` count objects ever; each is written by one thread. */
static struct {
	const struct heap *heap;
	size_t size;
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
			ring.heap->free(ring.slot[(nr + (uint64_t)i) % RING]);
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
			ring.slot[(nr + (uint64_t)i) % RING] = take(ring.heap, ring.size);
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

	ring.size = run->size;
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

/* ---- two threads side by side ---- */

struct side {
	struct run run;
	double (*work)(struct run *run);
	atomic_int *ready;
	double ns;
};

static void work_together(struct side *side)
{
	atomic_fetch_add(side->ready, 1);
	while (atomic_load(side->ready) < 2)
		sched_yield();
	side->ns = side->work(&side->run);
}

static void *second_thread(void *side)
{
	hosted_set_cpu(1);
	work_together(side);
	return NULL;
}

static double side_by_side(struct run *run, double (*work)(struct run *run))
{
	static void *second_object[LIVE];
	atomic_int ready = 0;
	struct side first = { *run, work, &ready, 0 }, second = first;
	pthread_t thread;

	second.run.object = second_object;
	second.run.seed = run->seed * 3;
	if (pthread_create(&thread, NULL, second_thread, &second) != 0)
		bench_die("cannot make a thread");
	work_together(&first);
	pthread_join(thread, NULL);
	return (first.ns + second.ns) / 2;
}

/* ---- each workload with each allocator ---- */

/* What is measured: a workload and an allocator, bound at compile time. */
struct subject {
	double (*lifo)(struct run *run);
	double (*repeat)(struct run *run);
	double (*live)(struct run *run);
	double (*scatter)(struct run *run);
	double (*bulk)(struct run *run); /* NULL: there is no such call */
	const struct heap *heap;
};

static double kmalloc_lifo(struct run *run) { return lifo(run, &kmalloc_heap); }
static double kmalloc_repeat(struct run *run) { return repeat(run, &kmalloc_heap); }
static double kmalloc_live(struct run *run) { return live(run, &kmalloc_heap); }
static double cache_lifo(struct run *run) { return lifo(run, &cache_heap); }
static double cache_scatter(struct run *run) { return scatter(run, &cache_heap); }
static double malloc_lifo(struct run *run) { return lifo(run, &malloc_heap); }
static double malloc_repeat(struct run *run) { return repeat(run, &malloc_heap); }
static double malloc_live(struct run *run) { return live(run, &malloc_heap); }
static double malloc_scatter(struct run *run) { return scatter(run, &malloc_heap); }

static const struct subject of_kmalloc = { kmalloc_lifo, kmalloc_repeat, kmalloc_live, NULL, NULL, &kmalloc_heap };
static const struct subject of_cache = { cache_lifo, NULL, NULL, cache_scatter, bulk, &cache_heap };
static const struct subject of_malloc = { malloc_lifo, malloc_repeat, malloc_live, malloc_scatter, NULL, &malloc_heap };

/* ---- rows ---- */

static void measure(struct run *run, const char *name, double (*work)(struct run *run))
{
	struct bench_samples samples = { .nr = 0 };
	struct bench_rounds rounds = { .patient = true };

	if (!bench_wants(run->options, name))
		return;
	work(run);
	while (bench_next(run->options, &rounds)) {
		double ns = work(run);

		if (bench_counts(&rounds))
			bench_add(&samples, ns);
	}
	bench_print(name, "ns", run->name, &samples);
}

static void measure_2t(struct run *run, const char *name, double (*work)(struct run *run))
{
	struct bench_samples samples = { .nr = 0 };

	if (!bench_wants(run->options, name))
		return;
	side_by_side(run, work);
	for (unsigned i = 0; i < run->options->repeats; i++)
		bench_add(&samples, side_by_side(run, work));
	bench_print(name, "ns", run->name, &samples);
}

/* Allocations and frees apart: work() returns the first and leaves the second in *free_ns. */
static void measure_pair(struct run *run, const char *const name[2], double (*work)(struct run *run), const double *free_ns)
{
	struct bench_samples allocs = { .nr = 0 }, frees = { .nr = 0 };

	if (!bench_wants(run->options, name[0]) && !bench_wants(run->options, name[1]))
		return;
	work(run);
	for (unsigned i = 0; i < run->options->repeats; i++) {
		bench_add(&allocs, work(run));
		bench_add(&frees, *free_ns);
	}
	bench_print(name[0], "ns", run->name, &allocs);
	bench_print(name[1], "ns", run->name, &frees);
}

/* sized serves any size, fixed the 192-byte objects. */
static void measure_heap(struct run *run, const struct subject *sized, const struct subject *fixed)
{
	static const char *const cross_names[] = { "objects.cross-64-alloc", "objects.cross-64-free" };
	static const char *const scatter_names[] = { "objects.scatter-192-alloc", "objects.scatter-192-free" };

	run->size = 64;
	measure(run, "objects.lifo-64", sized->lifo);
	measure_2t(run, "objects.lifo-64-2t", sized->lifo);
	measure(run, "objects.repeat-64", sized->repeat);
	measure_2t(run, "objects.repeat-64-2t", sized->repeat);
	measure(run, "objects.live-8..4096", sized->live);
	measure_2t(run, "objects.live-8..4096-2t", sized->live);
	ring.heap = sized->heap;
	measure_pair(run, cross_names, cross, &cross_free_ns);
	run->size = 192;
	measure(run, "objects.lifo-192-cache", fixed->lifo);
	measure_2t(run, "objects.lifo-192-cache-2t", fixed->lifo);
	if (fixed->bulk)
		measure(run, "objects.bulk-192-cache", fixed->bulk);
	measure_pair(run, scatter_names, fixed->scatter, &scatter_free_ns);
	if (fixed->bulk)
		measure(run, "objects.bulk-192-cache-scattered", fixed->bulk);
}

int main(int argc, char **argv)
{
	struct bench_options options;
	struct run run = { .options = &options, .name = "glibc malloc", .seed = 88172645463325252ull };

	bench_parse(argc, argv, &options);
	run.object = calloc(SCATTER, sizeof(void *));
	if (run.object == NULL)
		bench_die("not enough host memory");
	memset(run.object, 1, SCATTER * sizeof(void *));
	if (options.malloc_name)
		run.name = options.malloc_name;
	measure_heap(&run, &of_malloc, &of_malloc);
	if (options.malloc_name == NULL) {
		start_machine(&options);
		run.name = "kmm";
		measure_heap(&run, &of_kmalloc, &of_cache);
		if (kmm_cache_destroy(k, cache) != KMM_OK)
			bench_die("objects were lost");
		hosted_shutdown(machine);
	}
	free(run.object);
	return 0;
}
