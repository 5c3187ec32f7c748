/* SPDX-License-Identifier: MIT */
/*
 * Page frames on the hosted machine: kmm_alloc_pages()/kmm_free_pages() of an x86_64 machine with 8 GiB, beside our
 * own minimal allocators (peers/). Frames are never touched, so this is the allocator and its descriptors alone.
 *
 *   bulk      half of all frames, freed in the same order
 *   random    the same, freed in random order; its allocations start from that scattered state
 *   repeat    alloc and free at once
 *   mixed     orders 0..9, P(k) proportional to 2^-k, random frees, steady state at 80 % use
 *   order9    half of all memory as 2 MiB blocks
 *   frag1     mixed orders to the steady state, many more steps, then 90 % of the blocks freed at random
 *   frag2     single frames: 95 % full, a random half freed, then 100 rounds that free a random 10 % and take as many
 *   ...-2t    two threads, on two CPUs of the machine, do the same at once, each with half of the memory; the mean of both
 *   init      starting a machine of 8 GiB, 1 TiB, 64 TiB: all three tiers, with the host's mappings for it
 *
 * frag1 and frag2 count aligned 2 MiB of which nothing is held, beside how many the free memory would make ("ideal")
 * and how many blocks of order 9 can be had ("got": less what watermarks and protections keep). After frag1 such a
 * piece is free when none of its blocks was kept; the most that any placement can hope for is with each order in
 * pieces of its own: "bound".
 *
 * Each figure is ns per call (one alloc, or one free), so a pair costs twice the "repeat" figure.
 */
#include "common/bench.h"
#include "common/machine.h"
#include "kmm/observe.h"
#include "kmm/page.h"
#include "peers/peer.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ORDER = 9, FULL_PERCENT = 80 };
#define GIB ((uint64_t)1 << 30)

struct block {
	uintptr_t handle;
	uint32_t order;
};

struct run {
	const struct bench_options *options;
	const struct peer *allocator;
	uint64_t nr_frames;
	struct block *block; /* room for nr_frames */
	uint64_t seed;
};

/* ---- kmm behind the peers' interface ---- */

static struct hosted_machine *machine;
static struct kmm *k;
static unsigned nr_cpus = 1;

static bool kmm_peer_init(uint64_t nr_frames)
{
	machine = bench_machine_smp(nr_frames * KMM_PAGE_SIZE, nr_cpus);
	k = hosted_kmm(machine);
	return true;
}

static void kmm_peer_fini(void)
{
	hosted_shutdown(machine);
}

static uintptr_t kmm_peer_alloc(unsigned order)
{
	return (uintptr_t)kmm_alloc_pages(k, KMM_GFP_KERNEL | KMM_GFP_NOWARN, order);
}

static void kmm_peer_free(uintptr_t block, unsigned order)
{
	kmm_free_pages(k, (struct kmm_page *)block, order);
}

static uint64_t kmm_peer_frame(uintptr_t block)
{
	return kmm_page_to_pfn(k, (struct kmm_page *)block).v;
}

static uint64_t kmm_peer_nr_free(void)
{
	struct kmm_memory_stats stats;

	kmm_memory_stats(k, &stats);
	return stats.free_pages;
}

static const struct peer peer_kmm = {
	.name = "kmm", .max_order = KMM_NR_ORDERS - 1, .shared = true, .init = kmm_peer_init, .fini = kmm_peer_fini,
	.alloc = kmm_peer_alloc, .free = kmm_peer_free, .frame = kmm_peer_frame, .nr_free = kmm_peer_nr_free
};

/* ---- workloads ---- */

static void shuffle(struct run *run, uint64_t nr)
{
	struct block *b = run->block;

	for (uint64_t i = nr; i > 1; i--) {
		uint64_t j = bench_below(&run->seed, (uint32_t)i);
		struct block other = b[i - 1];

		b[i - 1] = b[j];
		b[j] = other;
	}
}

/* One repeat: takes nr blocks, frees them (in random order if asked to), ns per call. */
static void fill_and_empty(struct run *run, unsigned order, bool random, double *alloc_ns, double *free_ns)
{
	const struct peer *a = run->allocator;
	uint64_t nr = (run->nr_frames >> order) / 2, i;
	uint64_t t = bench_now_ns();

	for (i = 0; i < nr; i++) {
		run->block[i].handle = a->alloc(order);
		if (run->block[i].handle == PEER_NONE)
			bench_die("%s: no block of order %u after %llu", a->name, order, (unsigned long long)i);
	}
	*alloc_ns = (double)(bench_now_ns() - t) / (double)nr;
	if (random)
		shuffle(run, nr);
	t = bench_now_ns();
	for (i = 0; i < nr; i++)
		a->free(run->block[i].handle, order);
	*free_ns = (double)(bench_now_ns() - t) / (double)nr;
}

static void bench_fill(struct run *run, const char *workload, unsigned order, bool random)
{
	struct bench_samples allocs = { .nr = 0 }, frees = { .nr = 0 };
	struct bench_rounds rounds = { .patient = true };
	char name[64];
	double a, f;

	fill_and_empty(run, order, random, &a, &f);
	while (bench_next(run->options, &rounds)) {
		fill_and_empty(run, order, random, &a, &f);
		if (!bench_counts(&rounds))
			continue;
		bench_add(&allocs, a);
		bench_add(&frees, f);
	}
	snprintf(name, sizeof(name), "frames.%s-alloc", workload);
	bench_print(name, "ns", run->allocator->name, &allocs);
	snprintf(name, sizeof(name), "frames.%s-free", workload);
	bench_print(name, "ns", run->allocator->name, &frees);
}

static double repeat_once(struct run *run)
{
	const struct peer *a = run->allocator;
	uint64_t nr = bench_scale(run->options, 10000000, 10000);
	uint64_t t = bench_now_ns();

	for (uint64_t i = 0; i < nr; i++)
		a->free(a->alloc(0), 0);
	return (double)(bench_now_ns() - t) / (double)nr / 2;
}

static void bench_repeat(struct run *run)
{
	struct bench_samples samples = { .nr = 0 };
	struct bench_rounds rounds = { .patient = true };

	repeat_once(run);
	while (bench_next(run->options, &rounds)) {
		double ns = repeat_once(run);

		if (bench_counts(&rounds))
			bench_add(&samples, ns);
	}
	bench_print("frames.repeat", "ns", run->allocator->name, &samples);
}

/* P(k) proportional to 2^-k for k in 0..9: each order holds the same share of memory. */
static unsigned random_order(uint64_t *seed)
{
	for (;;) {
		unsigned order = (unsigned)__builtin_ctzll(bench_random(seed) >> 3 | 1ull << 40);

		if (order <= MAX_ORDER)
			return order;
	}
}

struct mix {
	uint64_t nr, used, want; /* blocks held; frames held and wanted */
	uint64_t failed;
};

static void mix_free(struct run *run, struct mix *mix)
{
	uint64_t i = bench_below(&run->seed, (uint32_t)mix->nr);
	struct block *b = &run->block[i];

	run->allocator->free(b->handle, b->order);
	mix->used -= 1ull << b->order;
	*b = run->block[--mix->nr];
}

static void mix_step(struct run *run, struct mix *mix)
{
	if (mix->used >= mix->want) {
		mix_free(run, mix);
		return;
	}
	unsigned order = random_order(&run->seed);
	uintptr_t handle = run->allocator->alloc(order);

	if (handle == PEER_NONE) {
		mix->failed++;
		mix_free(run, mix);
		return;
	}
	run->block[mix->nr++] = (struct block){ handle, order };
	mix->used += 1ull << order;
}

/* One repeat: to the steady state unmeasured, then the steps. Starts and ends with all memory free. */
static double mixed_once(struct run *run, uint64_t *failed)
{
	struct mix mix = { .want = run->nr_frames * FULL_PERCENT / 100 };
	uint64_t steps = bench_scale(run->options, 2000000, 10000);

	while (mix.used < mix.want)
		mix_step(run, &mix);
	mix.failed = 0;
	uint64_t t = bench_now_ns();
	for (uint64_t i = 0; i < steps; i++)
		mix_step(run, &mix);
	double ns = (double)(bench_now_ns() - t) / (double)steps;
	*failed += mix.failed;
	while (mix.nr)
		mix_free(run, &mix);
	return ns;
}

static void bench_mixed(struct run *run)
{
	struct bench_samples samples = { .nr = 0 };
	struct bench_rounds rounds = { .patient = true };
	uint64_t failed = 0;

	mixed_once(run, &failed);
	failed = 0;
	while (bench_next(run->options, &rounds)) {
		double ns = mixed_once(run, &failed);

		if (bench_counts(&rounds))
			bench_add(&samples, ns);
	}
	bench_print("frames.mixed", "ns", run->allocator->name, &samples);
	bench_print_count("frames.mixed-failed", "calls", run->allocator->name, (double)failed);
}

/* ---- fragmentation ---- */

enum { HUGE_FRAMES = 1 << MAX_ORDER };

struct frag {
	uint64_t total;  /* frames free at the start */
	uint8_t *used;   /* by aligned 2 MiB: something of it is held */
};

static uint64_t frame_of(const struct run *run, uintptr_t handle)
{
	return run->allocator->frame ? run->allocator->frame(handle) : handle - 1;
}

/* Aligned 2 MiB of which nothing is held: the free memory less what the held blocks spoil. */
static uint64_t whole_left(const struct run *run, struct frag *f, uint64_t held)
{
	uint64_t spoilt = 0;

	memset(f->used, 0, 4 * run->nr_frames / HUGE_FRAMES);
	for (uint64_t i = 0; i < held; i++) {
		uint8_t *used = &f->used[frame_of(run, run->block[i].handle) / HUGE_FRAMES];

		spoilt += !*used;
		*used = 1;
	}
	return f->total / HUGE_FRAMES - spoilt;
}

/* Order-9 blocks that can be had now; they are given back. */
static uint64_t take_huge(struct run *run, uint64_t from)
{
	uint64_t nr = from;

	while ((run->block[nr].handle = run->allocator->alloc(MAX_ORDER)) != PEER_NONE)
		nr++;
	for (uint64_t i = from; i < nr; i++)
		run->allocator->free(run->block[i].handle, MAX_ORDER);
	return nr - from;
}

static void frag_count(const struct run *run, const char *workload, const char *what, double value)
{
	char name[64];

	snprintf(name, sizeof(name), "frames.%s%s", workload, what);
	bench_print_count(name, "2 MiB", run->allocator->name, value);
}

static void frag_report(struct run *run, struct frag *f, const char *workload, uint64_t held, uint64_t frames)
{
	frag_count(run, workload, "", (double)whole_left(run, f, held));
	frag_count(run, workload, "-ideal", (double)((f->total - frames) / HUGE_FRAMES));
	frag_count(run, workload, "-got", (double)take_huge(run, held));
}

static struct frag frag_begin(const struct run *run)
{
	struct frag f = { .total = run->nr_frames, .used = calloc(4, run->nr_frames / HUGE_FRAMES) };

	if (run->allocator->nr_free)
		f.total = run->allocator->nr_free();
	if (f.used == NULL)
		bench_die("not enough host memory");
	return f;
}

/* What is free, and of the 2 MiB filled with each order alone the share that loses all its blocks. */
static double segregated(const struct run *run, const struct frag *f, const struct mix *mix)
{
	double areas = (double)(f->total - mix->used) / HUGE_FRAMES, share[MAX_ORDER + 1];

	share[MAX_ORDER] = 0.9;
	for (unsigned order = MAX_ORDER; order-- > 0;)
		share[order] = share[order + 1] * share[order + 1];
	for (uint64_t i = 0; i < mix->nr; i++)
		areas += share[run->block[i].order] * (double)(1u << run->block[i].order) / HUGE_FRAMES;
	return areas;
}

static void do_frag1(struct run *run)
{
	struct mix mix = { .want = run->nr_frames * FULL_PERCENT / 100 };
	uint64_t steps = bench_scale(run->options, 4000000, 10000), kept;
	struct frag f = frag_begin(run);
	double bound;

	while (mix.used < mix.want)
		mix_step(run, &mix);
	for (uint64_t i = 0; i < steps; i++)
		mix_step(run, &mix);
	frag_report(run, &f, "frag1-steady", mix.nr, mix.used);
	bound = segregated(run, &f, &mix);
	for (kept = mix.nr - mix.nr * 9 / 10; mix.nr > kept;)
		mix_free(run, &mix);
	frag_report(run, &f, "frag1-after", mix.nr, mix.used);
	frag_count(run, "frag1-after-bound", "", bound);
	while (mix.nr)
		mix_free(run, &mix);
	free(f.used);
}

/* Single frames: takes until nr are held. */
static void fill_to(struct run *run, uint64_t *held, uint64_t nr)
{
	for (; *held < nr; ++*held)
		if ((run->block[*held].handle = run->allocator->alloc(0)) == PEER_NONE)
			bench_die("%s: no frame", run->allocator->name);
}

static void empty_to(struct run *run, uint64_t *held, uint64_t nr)
{
	shuffle(run, *held);
	while (*held > nr)
		run->allocator->free(run->block[--*held].handle, 0);
}

static void do_frag2(struct run *run)
{
	struct frag f = frag_begin(run);
	uint64_t held = 0, half;
	unsigned rounds = (unsigned)bench_scale(run->options, 100, 2);

	fill_to(run, &held, run->nr_frames * 95 / 100);
	half = held - held / 2;
	empty_to(run, &held, half);
	for (unsigned i = 0; i < rounds; i++) {
		empty_to(run, &held, half - half / 10);
		fill_to(run, &held, half);
	}
	frag_report(run, &f, "frag2-after", held, held);
	empty_to(run, &held, 0);
	free(f.used);
}

/* Each workload gets a fresh allocator, so that none profits from or pays for the one before. */
static void with_allocator(struct run *run, void (*workload)(struct run *run))
{
	if (!run->allocator->init(run->nr_frames))
		bench_die("%s: not enough host memory", run->allocator->name);
	run->seed = 88172645463325252ull;
	workload(run);
	run->allocator->fini();
}

static void do_bulk(struct run *run)
{
	bench_fill(run, "bulk", 0, false);
}

static void do_random(struct run *run)
{
	bench_fill(run, "random", 0, true);
}

static void do_order9(struct run *run)
{
	bench_fill(run, "order9", 9, false);
}

/* ---- two threads side by side ---- */

/* Work, and what two figures of it are called; NULL: there is one. */
struct shared_work {
	const char *name[2];
	void (*once)(struct run *run, double ns[2]);
};

static void bulk_once(struct run *run, double ns[2]) { fill_and_empty(run, 0, false, &ns[0], &ns[1]); }
static void random_once(struct run *run, double ns[2]) { fill_and_empty(run, 0, true, &ns[0], &ns[1]); }
static void order9_once(struct run *run, double ns[2]) { fill_and_empty(run, 9, false, &ns[0], &ns[1]); }
static void repeat_pair(struct run *run, double ns[2]) { ns[0] = repeat_once(run); }
static void mixed_pair(struct run *run, double ns[2])
{
	uint64_t failed = 0;

	ns[0] = mixed_once(run, &failed);
}

static const struct shared_work shared_works[] = {
	{ { "frames.bulk-alloc-2t", "frames.bulk-free-2t" }, bulk_once },
	{ { "frames.random-alloc-2t", "frames.random-free-2t" }, random_once },
	{ { "frames.repeat-2t", NULL }, repeat_pair },
	{ { "frames.mixed-2t", NULL }, mixed_pair },
	{ { "frames.order9-alloc-2t", "frames.order9-free-2t" }, order9_once },
};

struct side {
	struct run run;
	const struct shared_work *work;
	atomic_int *ready;
	double ns[2];
};

static void work_together(struct side *side)
{
	atomic_fetch_add(side->ready, 1);
	while (atomic_load(side->ready) < 2)
		sched_yield();
	side->work->once(&side->run, side->ns);
}

static void *second_thread(void *side)
{
	hosted_set_cpu(1);
	work_together(side);
	return NULL;
}

static void side_by_side(const struct run *run, const struct shared_work *work, double ns[2])
{
	atomic_int ready = 0;
	struct side first = { *run, work, &ready, { 0, 0 } }, second;
	pthread_t thread;

	first.run.nr_frames /= 2;
	second = first;
	second.run.block += first.run.nr_frames;
	second.run.seed *= 3;
	if (pthread_create(&thread, NULL, second_thread, &second) != 0)
		bench_die("cannot make a thread");
	work_together(&first);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < 2; i++)
		ns[i] = (first.ns[i] + second.ns[i]) / 2;
}

static void measure_2t(struct run *run, const struct shared_work *work)
{
	struct bench_samples samples[2] = { { .nr = 0 }, { .nr = 0 } };
	double ns[2];

	nr_cpus = 2;
	if (!run->allocator->init(run->nr_frames))
		bench_die("%s: not enough host memory", run->allocator->name);
	run->seed = 88172645463325252ull;
	side_by_side(run, work, ns);
	for (unsigned i = 0; i < run->options->repeats; i++) {
		side_by_side(run, work, ns);
		bench_add(&samples[0], ns[0]);
		bench_add(&samples[1], ns[1]);
	}
	for (unsigned i = 0; i < 2 && work->name[i]; i++)
		bench_print(work->name[i], "ns", run->allocator->name, &samples[i]);
	run->allocator->fini();
	nr_cpus = 1;
}

static void run_shared(struct run *run)
{
	for (size_t i = 0; run->allocator->shared && i < sizeof(shared_works) / sizeof(shared_works[0]); i++)
		if (bench_wants(run->options, shared_works[i].name[0]))
			measure_2t(run, &shared_works[i]);
}

static void run_fragmentation(struct run *run)
{
	const struct peer *a = run->allocator;

	if (a->max_order < MAX_ORDER || a->only_times)
		return;
	if (bench_wants(run->options, "frames.frag1") && !a->only_0_and_9)
		with_allocator(run, do_frag1);
	if (bench_wants(run->options, "frames.frag2"))
		with_allocator(run, do_frag2);
}

static void run_allocator(struct run *run)
{
	const struct bench_options *o = run->options;

	if (bench_wants(o, "frames.bulk"))
		with_allocator(run, do_bulk);
	if (bench_wants(o, "frames.random"))
		with_allocator(run, do_random);
	if (bench_wants(o, "frames.repeat"))
		with_allocator(run, bench_repeat);
	if (bench_wants(o, "frames.mixed") && run->allocator->max_order >= MAX_ORDER && !run->allocator->only_0_and_9)
		with_allocator(run, bench_mixed);
	if (bench_wants(o, "frames.order9") && run->allocator->max_order >= 9)
		with_allocator(run, do_order9);
	run_fragmentation(run);
	run_shared(run);
}

/* ---- start-up ---- */

/* The first tier once more, in a state block of its own, where the host has given all memory that it touches: what is left
 * is the library's work alone. The machine is good for nothing else afterwards. */
static double init_again(struct hosted_machine *m)
{
	struct kmm_machine again = *kmm_machine_of(hosted_kmm(m));
	size_t size = (kmm_state_size() + 4095) & ~(size_t)4095;
	void *state = aligned_alloc(4096, size);
	const char *why = NULL;
	struct kmm *other;
	uint64_t t;

	if (state == NULL)
		bench_die("not enough host memory");
	memset(state, 1, size);
	again.nr_map = kmm_memory_map(hosted_kmm(m), &again.map);
	t = bench_now_ns();
	if (kmm_init_frames(state, &again, kmm_port_of(hosted_kmm(m)), &other, &why) != KMM_OK)
		bench_die("a machine does not start again: %s", why);
	t = bench_now_ns() - t;
	free(state);
	return (double)t / 1e6;
}

static void bench_init(const struct bench_options *options, const char *size, uint64_t ram_bytes)
{
	struct bench_samples times = { .nr = 0 }, again = { .nr = 0 };
	struct hosted_usage usage = { .ram_bytes = 0 };
	char name[64];

	snprintf(name, sizeof(name), "frames.init-%s", size);
	if (!bench_wants(options, name))
		return;
	for (unsigned i = 0; i <= options->repeats; i++) {
		uint64_t t = bench_now_ns();
		struct hosted_machine *m = bench_machine(ram_bytes);

		t = bench_now_ns() - t;
		hosted_usage(m, &usage);
		if (i > 0) {
			bench_add(&times, (double)t / 1e6);
			bench_add(&again, init_again(m));
		}
		hosted_shutdown(m);
	}
	bench_print(name, "ms", "kmm", &times);
	snprintf(name, sizeof(name), "frames.init-%s-again", size);
	bench_print(name, "ms", "kmm", &again);
	snprintf(name, sizeof(name), "frames.init-%s-resident", size);
	bench_print_count(name, "MiB", "kmm", (double)(usage.ram_bytes + usage.state_bytes) / 1048576);
}

int main(int argc, char **argv)
{
	static const struct peer *const allocators[] = { &peer_kmm, &peer_buddy, &peer_word, &peer_touch, &peer_stack };
	struct bench_options options;
	struct run run = { .options = &options };

	bench_parse(argc, argv, &options);
	run.nr_frames = bench_scale(&options, 8 * GIB, GIB / 4) / KMM_PAGE_SIZE;
	run.block = calloc(run.nr_frames, sizeof(*run.block));
	if (run.block == NULL)
		bench_die("not enough host memory");
	memset(run.block, 1, run.nr_frames * sizeof(*run.block)); /* present before the clock starts */
	for (size_t i = 0; i < sizeof(allocators) / sizeof(allocators[0]); i++) {
		run.allocator = allocators[i];
		run_allocator(&run);
	}
	bench_init(&options, "8G", 8 * GIB);
	bench_init(&options, "1T", 1024 * GIB);
	bench_init(&options, "64T", 65536 * GIB);
	free(run.block);
	return 0;
}
