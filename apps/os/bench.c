/* SPDX-License-Identifier: MIT */
/*
 * In-kernel benchmarks, run before the first program when the command line says bench=1.
 *
 * The clock is the time stamp counter; under QEMU's "-icount shift=0" it counts executed guest instructions. One
 * batch is BATCH operations in a plain loop between two readings, after one batch that is thrown away; printed are
 * median, least and largest of NR_BATCHES, per operation, the cost of reading the clock taken off. Interrupts are
 * off in the kernel, so no timer tick falls into a batch. Bulk rows are one loop over BULK objects, three times.
 *
 * A result is one line on the log, in the form of bench/common/bench.h:
 *   bench: NAME UNIT SUBJECT MEDIAN MIN MAX REPEATS, separated by tabs.
 */
#include "bench.h"
#include "kmm/kmap.h"
#include "kmm/page.h"
#include "kmm/slab.h"
#include "kmm/vmalloc.h"
#include "os.h"

enum { BATCH = 100, NR_BATCHES = 41, BULK = 10000, BULK_ROUNDS = 3, NR_DISTINCT = 2048, AREAS = 32 };

/* What a batch works on; op is the loop itself, so that no call through a pointer is measured. */
struct subject {
	unsigned order;
	kmm_gfp gfp;
	size_t size;
	struct kmm_cache *cache;
	struct kmm_page *page, *other;
};
struct op {
	const char *name;
	void (*batch)(const struct subject *subject, unsigned nr);
	struct subject subject;
	unsigned nr; /* operations in a batch; 0: BATCH */
};

static uint64_t sample[NR_BATCHES];
static uint64_t clock_cost;
static uint64_t seed = 88172645463325252ull;

static inline uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void keep(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* ---- numbers ---- */

static uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(((seed >> 32) * n) >> 32);
}

static void shuffle(void **v, uint32_t n)
{
	for (uint32_t i = n; i > 1; i--) {
		uint32_t j = below(i);
		void *other = v[i - 1];

		v[i - 1] = v[j];
		v[j] = other;
	}
}

static void sort(uint64_t *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		uint64_t x = v[i];
		unsigned at = i;

		for (; at > 0 && v[at - 1] > x; at--)
			v[at] = v[at - 1];
		v[at] = x;
	}
}

/* Instructions per operation in hundredths. */
static uint64_t hundredths(uint64_t spent, uint32_t nr)
{
	uint64_t net = spent > clock_cost ? spent - clock_cost : 0;

	return div_u64(net * 100, nr, NULL);
}

static void print(const char *name, uint64_t *v, unsigned n, uint32_t per)
{
	uint32_t cents[3];
	unsigned long whole[3];

	sort(v, n);
	const uint64_t picked[3] = { v[n / 2], v[0], v[n - 1] };
	for (unsigned i = 0; i < 3; i++)
		whole[i] = (unsigned long)div_u64(hundredths(picked[i], per), 100, &cents[i]);
	klog("bench:\tkernel.%s\tinsns\tkmm\t%lu.%02u\t%lu.%02u\t%lu.%02u\t%u", name, whole[0], cents[0], whole[1],
	     cents[1], whole[2], cents[2], n);
}

/* ---- batches ---- */

static void do_nothing(const struct subject *s, unsigned nr)
{
	(void)s;
	for (unsigned i = 0; i < nr; i++)
		__asm__ volatile("" : : : "memory");
}

static void do_pages(const struct subject *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		struct kmm_page *page = kmm_alloc_pages(os.k, s->gfp, s->order);

		if (page)
			kmm_free_pages(os.k, page, s->order);
	}
}

static void do_cleared(const struct subject *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		struct kmm_page *page = kmm_alloc_cleared_page(os.k, s->gfp);

		if (page)
			kmm_free_pages(os.k, page, 0);
	}
}

static void do_kmalloc(const struct subject *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		kmm_kfree(os.k, kmm_kmalloc(os.k, s->size, KMM_GFP_KERNEL));
}

static void do_kzalloc(const struct subject *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		kmm_kfree(os.k, kmm_kzalloc(os.k, s->size, KMM_GFP_KERNEL));
}

static void do_cache(const struct subject *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		void *object = kmm_cache_alloc(os.k, s->cache, KMM_GFP_KERNEL);

		if (object)
			kmm_cache_free(os.k, s->cache, object);
	}
}

static void do_vmalloc(const struct subject *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		void *area = kmm_vmalloc(os.k, s->size, "bench");

		if (area)
			kmm_vfree(os.k, area);
	}
}

/* As above, and nothing waits for a later flush: what it costs to make an area from nothing and take it all apart. */
static void do_vmalloc_purged(const struct subject *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		void *area = kmm_vmalloc(os.k, s->size, "bench");

		if (area)
			kmm_vfree(os.k, area);
		kmm_vmalloc_purge(os.k);
	}
}

/* nr areas (at most AREAS) at once, made from nothing; one flush serves them all, as it does when the core decides. */
static void do_vmalloc_many(const struct subject *s, unsigned nr)
{
	void *area[AREAS];

	for (unsigned i = 0; i < nr; i++)
		area[i] = kmm_vmalloc(os.k, s->size, "bench");
	for (unsigned i = 0; i < nr; i++)
		kmm_vfree(os.k, area[i]); /* NULL is allowed */
	kmm_vmalloc_purge(os.k);
}

static void do_kmap_local(const struct subject *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		void *view = kmm_kmap_local(os.k, s->page);

		keep(view);
		kmm_kunmap_local(os.k, view);
	}
}

static void do_kmap(const struct subject *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		keep(kmm_kmap(os.k, s->page));
		kmm_kunmap(os.k, s->page);
	}
}

static void do_clear(const struct subject *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		kmm_clear_page(os.k, s->page);
}

static void do_copy(const struct subject *s, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		kmm_copy_page(os.k, s->page, s->other);
}

static void run(const struct op *op)
{
	unsigned nr = op->nr ? op->nr : BATCH;

	op->batch(&op->subject, nr);
	for (unsigned i = 0; i < NR_BATCHES; i++) {
		uint64_t t = ticks();

		op->batch(&op->subject, nr);
		sample[i] = ticks() - t;
	}
	print(op->name, sample, NR_BATCHES, nr);
}

static void run_all(const struct op *ops, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		run(&ops[i]);
}

/* ---- groups ---- */

static void calibrate(void)
{
	clock_cost = ~0ull;
	for (unsigned i = 0; i < 100; i++) {
		uint64_t t = ticks(), d = ticks() - t;

		if (d < clock_cost)
			clock_cost = d;
	}
}

static void bench_frames(void)
{
	static const struct op ops[] = {
		{ .name = "empty-loop", .batch = do_nothing },
		{ "alloc+free-order0", do_pages, { .gfp = KMM_GFP_KERNEL, .order = 0 }, 0 },
		{ "alloc+free-order1", do_pages, { .gfp = KMM_GFP_KERNEL, .order = 1 }, 0 },
		{ "alloc+free-order2", do_pages, { .gfp = KMM_GFP_KERNEL, .order = 2 }, 0 },
		{ "alloc+free-order3", do_pages, { .gfp = KMM_GFP_KERNEL, .order = 3 }, 0 },
		{ "alloc+free-order9", do_pages, { .gfp = KMM_GFP_KERNEL, .order = 9 }, 0 },
		{ "alloc+free-order10", do_pages, { .gfp = KMM_GFP_KERNEL, .order = 10 }, 0 },
		{ "alloc+free-order0-high", do_pages, { .gfp = KMM_GFP_HIGHUSER, .order = 0 }, 0 },
		{ "alloc+free-order0-zero", do_pages, { .gfp = KMM_GFP_KERNEL | KMM_GFP_ZERO, .order = 0 }, 0 },
		{ "alloc+free-order0-high-zero", do_cleared, { .gfp = KMM_GFP_HIGHUSER }, 0 },
	};

	run_all(ops, ARRAY_LEN(ops));
}

static void bench_objects(void)
{
	struct op ops[] = {
		{ "kmalloc+kfree-8", do_kmalloc, { .size = 8 }, 0 },
		{ "kmalloc+kfree-64", do_kmalloc, { .size = 64 }, 0 },
		{ "kmalloc+kfree-256", do_kmalloc, { .size = 256 }, 0 },
		{ "kmalloc+kfree-4096", do_kmalloc, { .size = 4096 }, 0 },
		{ "kmalloc+kfree-65536", do_kmalloc, { .size = 65536 }, 0 },
		{ "kzalloc+kfree-256", do_kzalloc, { .size = 256 }, 0 },
		{ "cache-alloc+free-200", do_cache, { .size = 200 }, 0 },
	};
	struct kmm_cache *cache;

	if (kmm_cache_create(os.k, "bench-200", 200, 0, 0, NULL, &cache) != KMM_OK) {
		klog("bench: no memory for a cache");
		return;
	}
	for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
		ops[i].subject.cache = cache;
		run(&ops[i]);
	}
	if (kmm_cache_destroy(os.k, cache) != KMM_OK)
		klog("bench: objects were lost");
}

static void bench_vmalloc(void)
{
	static const struct op ops[] = {
		{ "vmalloc+vfree-4K", do_vmalloc, { .size = 4096 }, 20 },
		{ "vmalloc+vfree-64K", do_vmalloc, { .size = 65536 }, 20 },
		{ "vmalloc+vfree-1M", do_vmalloc, { .size = 1u << 20 }, 3 },
		{ "vmalloc+vfree-64K-of-32", do_vmalloc_many, { .size = 65536 }, AREAS },
		{ "vmalloc+vfree+purge-64K", do_vmalloc_purged, { .size = 65536 }, 20 },
		{ "vmalloc+vfree+purge-1M", do_vmalloc_purged, { .size = 1u << 20 }, 3 },
	};

	run_all(ops, ARRAY_LEN(ops));
}

static void bench_views(struct kmm_page *low, struct kmm_page *high, struct kmm_page *high2)
{
	const struct op ops[] = {
		{ "kmap_local-pair-low", do_kmap_local, { .page = low }, 0 },
		{ "kmap_local-pair-high", do_kmap_local, { .page = high }, 0 },
		{ "kmap-pair-low", do_kmap, { .page = low }, 0 },
		{ "kmap-pair-same-high", do_kmap, { .page = high }, 0 },
		{ "clear-page-low", do_clear, { .page = low }, 20 },
		{ "clear-page-high", do_clear, { .page = high }, 20 },
		{ "copy-page-high", do_copy, { .page = high, .other = high2 }, 20 },
	};

	run_all(ops, ARRAY_LEN(ops));
}

/* ---- bulk rows ---- */

/* Fills v with up to nr frames; returns how many. */
static uint32_t take_frames(void **v, uint32_t nr, kmm_gfp gfp)
{
	uint32_t got = 0;

	while (got < nr && (v[got] = kmm_alloc_pages(os.k, gfp, 0)) != NULL)
		got++;
	return got;
}

static void give_frames(void **v, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		kmm_free_pages(os.k, v[i], 0);
}

static void bench_bulk_frames(void **v, const char *alloc_name, const char *free_name, kmm_gfp gfp)
{
	uint64_t allocs[BULK_ROUNDS], frees[BULK_ROUNDS];

	for (unsigned round = 0; round < BULK_ROUNDS; round++) {
		uint64_t t = ticks();
		uint32_t got = take_frames(v, BULK, gfp);

		allocs[round] = ticks() - t;
		if (got == BULK)
			shuffle(v, got);
		t = ticks();
		give_frames(v, got);
		frees[round] = ticks() - t;
		if (got < BULK) {
			klog("bench: memory ended after %u frames", got);
			return;
		}
	}
	print(alloc_name, allocs, BULK_ROUNDS, BULK);
	print(free_name, frees, BULK_ROUNDS, BULK);
}

static void bench_bulk_objects(void **v, const char *alloc_name, const char *free_name, size_t size)
{
	uint64_t allocs[BULK_ROUNDS], frees[BULK_ROUNDS];

	for (unsigned round = 0; round < BULK_ROUNDS; round++) {
		uint64_t t = ticks();

		for (uint32_t i = 0; i < BULK; i++)
			v[i] = kmm_kmalloc(os.k, size, KMM_GFP_KERNEL);
		allocs[round] = ticks() - t;
		shuffle(v, BULK);
		t = ticks();
		for (uint32_t i = 0; i < BULK; i++)
			kmm_kfree(os.k, v[i]); /* NULL is allowed */
		frees[round] = ticks() - t;
	}
	print(alloc_name, allocs, BULK_ROUNDS, BULK);
	print(free_name, frees, BULK_ROUNDS, BULK);
}

/* Every kmap takes a fresh slot, so the mean holds the flushes when the window has been used up. */
static void bench_kmap_distinct(void **v)
{
	uint64_t spent = 0;
	uint32_t got = take_frames(v, NR_DISTINCT, KMM_GFP_HIGHUSER);

	for (uint32_t i = 0; i < got; i++) {
		uint64_t t = ticks();

		keep(kmm_kmap(os.k, v[i]));
		kmm_kunmap(os.k, v[i]);
		spent += ticks() - t - clock_cost;
	}
	give_frames(v, got);
	if (got == NR_DISTINCT) {
		spent += clock_cost; /* print() takes it off once more */
		print("kmap-pair-distinct-high-mean", &spent, 1, NR_DISTINCT);
	}
}

static void bench_with_array(void)
{
	void **v = kmm_vmalloc(os.k, BULK * sizeof(*v), "bench");

	if (v == NULL) {
		klog("bench: no memory for the array");
		return;
	}
	bench_bulk_frames(v, "bulk-alloc", "bulk-free-random", KMM_GFP_KERNEL);
	bench_bulk_frames(v, "bulk-alloc-high", "bulk-free-random-high", KMM_GFP_HIGHUSER);
	bench_bulk_objects(v, "bulk-kmalloc-64", "bulk-kfree-random-64", 64);
	bench_bulk_objects(v, "bulk-kmalloc-256", "bulk-kfree-random-256", 256);
	bench_bulk_objects(v, "bulk-kmalloc-4096", "bulk-kfree-random-4096", 4096);
	bench_kmap_distinct(v);
	kmm_vfree(os.k, v);
}

static void bench_with_pages(void)
{
	struct kmm_page *low = kmm_alloc_pages(os.k, KMM_GFP_KERNEL, 0);
	struct kmm_page *high = kmm_alloc_pages(os.k, KMM_GFP_HIGHUSER, 0);
	struct kmm_page *high2 = kmm_alloc_pages(os.k, KMM_GFP_HIGHUSER, 0);

	if (low && high && high2) {
		if (kmm_page_address(os.k, high) != NULL)
			klog("bench: note: this machine has no high memory, so the rows -high are of low memory");
		bench_views(low, high, high2);
	}
	for (unsigned i = 0; i < 3; i++) {
		struct kmm_page *page = i == 0 ? low : i == 1 ? high : high2;

		if (page)
			kmm_free_pages(os.k, page, 0);
	}
}

void bench_run(void)
{
	calibrate();
	bench_frames();
	bench_objects();
	bench_vmalloc();
	bench_with_pages();
	bench_with_array();
	klog("bench: done");
}
