/* SPDX-License-Identifier: MIT */
#include "scenario/hammer_slab.h"

#include "harness/kernel.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SLOTS = 24, BULK = 20, BOXES = 8, OBJECT = 192, LOOK_AT = 64, POOL_MIN = 3 };
enum kind { NOTHING, OF_KMALLOC, OF_CACHE, OF_CHECKED, OF_POOL, OF_VMALLOC, OF_PERCPU, A_PAGE, NR_KINDS };

struct held {
	enum kind kind;
	size_t size;
	unsigned char *at;           /* what is written to: LOOK_AT bytes of it at most */
	unsigned char stamp;
	struct kmm_percpu_handle handle;
	struct kmm_page *page;
};

struct hammer {
	struct kmm *k;
	unsigned cpu;
	uint64_t rng;
	struct kmm_cache *shared;    /* merged with those of the other CPUs */
	struct kmm_cache *checked;   /* this CPU's alone; its checks change all the time */
	struct kmm_mempool *pool;
	struct kmm_shrinker shrinker;
	bool registered;
	struct held slot[SLOTS];
};

/* Objects on their way from one CPU to another. */
static _Atomic(void *) box[BOXES];

static unsigned dice(struct hammer *h, unsigned n)
{
	return (unsigned)(kmm_test_rand(&h->rng) >> 33) % n;
}

static size_t looked_at(const struct held *held) { return held->size < LOOK_AT ? held->size : LOOK_AT; }

/* ---- taking ---- */

static size_t any_size(struct hammer *h)
{
	return dice(h, 12) ? 1 + dice(h, 600) : 1 + dice(h, 20000);
}

static struct kmm_page *take_page(struct hammer *h)
{
	return kmm_alloc_cleared_page(h->k, KMM_GFP_HIGHUSER);
}

static void take(struct hammer *h, struct held *held)
{
	static const size_t sizes[NR_KINDS] = { [OF_CACHE] = OBJECT, [OF_CHECKED] = OBJECT, [OF_POOL] = 100 };

	held->kind = dice(h, 3) ? OF_KMALLOC : 1 + (enum kind)dice(h, NR_KINDS - 1);
	held->size = sizes[held->kind] ? sizes[held->kind] : any_size(h);
	held->at = NULL;
	if (held->kind == OF_KMALLOC)
		held->at = dice(h, 2) ? kmm_kmalloc(h->k, held->size, KMM_GFP_KERNEL) :
					kmm_kzalloc(h->k, held->size, KMM_GFP_ATOMIC | KMM_GFP_NOWARN);
	else if (held->kind == OF_CACHE || held->kind == OF_CHECKED)
		held->at = kmm_cache_alloc(h->k, held->kind == OF_CACHE ? h->shared : h->checked, KMM_GFP_KERNEL);
	else if (held->kind == OF_POOL)
		held->at = kmm_mempool_alloc(h->k, h->pool, KMM_GFP_ATOMIC);
	else if (held->kind == OF_VMALLOC)
		held->at = kmm_vmalloc(h->k, held->size, "hammer");
	else if (held->kind == OF_PERCPU && (held->handle = kmm_percpu_alloc(h->k, 1 + dice(h, 300), 8)).v)
		held->at = kmm_percpu_ptr(held->handle, h->cpu), held->size = 1;
	else if (held->kind == A_PAGE && (held->page = take_page(h)))
		held->at = kmm_kmap(h->k, held->page), held->size = KMM_PAGE_SIZE;
	if (!held->at && held->kind == A_PAGE && held->page)
		kmm_free_pages(h->k, held->page, 0);
	if (!held->at)
		held->kind = NOTHING;
	else
		memset(held->at, held->stamp = (unsigned char)dice(h, 256), looked_at(held));
}

/* ---- giving back ---- */

static bool is_whole(const struct held *held)
{
	size_t i;

	for (i = 0; i < looked_at(held); i++)
		if (held->at[i] != held->stamp)
			return false;
	return true;
}

/* The page by another view of this CPU. */
static bool is_whole_by_local_view(struct hammer *h, const struct held *held)
{
	unsigned char *view = kmm_kmap_local(h->k, held->page);
	bool whole = view && view[LOOK_AT - 1] == held->stamp;

	kmm_kunmap_local(h->k, view);
	return whole;
}

static void drop(struct hammer *h, struct held *held)
{
	enum kind kind = held->kind;

	if (kind == NOTHING)
		return;
	held->kind = NOTHING;
	CHECK(is_whole(held));
	if (kind == OF_CACHE && dice(h, 2))
		kmm_cache_free(h->k, h->shared, held->at);
	else if (kind == OF_KMALLOC || kind == OF_CACHE)
		kmm_kfree(h->k, held->at);
	else if (kind == OF_CHECKED)
		kmm_cache_free(h->k, h->checked, held->at);
	else if (kind == OF_POOL)
		kmm_mempool_free(h->k, h->pool, held->at);
	else if (kind == OF_VMALLOC)
		kmm_vfree(h->k, held->at);
	else if (kind == OF_PERCPU)
		kmm_percpu_free(h->k, held->handle);
	if (kind != A_PAGE)
		return;
	CHECK(is_whole_by_local_view(h, held));
	kmm_kunmap(h->k, held->page);
	kmm_free_pages(h->k, held->page, 0);
}

/* ---- steps ---- */

static void take_or_drop(struct hammer *h)
{
	struct held *held = &h->slot[dice(h, SLOTS)];

	if (held->kind == NOTHING)
		take(h, held);
	else
		drop(h, held);
}

/* An object for whoever comes next; what lay there is freed here, on another CPU than it came from. */
static void pass_on(struct hammer *h)
{
	void *mine = dice(h, 2) ? kmm_kmalloc(h->k, any_size(h), KMM_GFP_KERNEL) :
				  kmm_cache_alloc(h->k, h->shared, KMM_GFP_KERNEL);

	kmm_kfree(h->k, atomic_exchange(&box[dice(h, BOXES)], mine));
}

static void in_bulk(struct hammer *h)
{
	struct kmm_cache *cache = dice(h, 2) ? h->shared : h->checked;
	void *object[BULK];
	unsigned i;

	if (!kmm_cache_alloc_bulk(h->k, cache, KMM_GFP_KERNEL, BULK, object))
		return;
	for (i = 0; i < BULK; i++)
		memset(object[i], (int)i, OBJECT);
	for (i = 0; i < BULK; i++)
		CHECK(((unsigned char *)object[i])[OBJECT - 1] == i);
	kmm_cache_free_bulk(h->k, cache, BULK, object);
}

static void nested_views(struct hammer *h)
{
	struct kmm_page *page[2] = { kmm_alloc_pages(h->k, KMM_GFP_HIGHUSER, 0), kmm_alloc_pages(h->k, KMM_GFP_HIGHUSER, 0) };
	char *first, *second;

	if (page[0] && page[1]) {
		first = kmm_kmap_local(h->k, page[0]);
		second = kmm_kmap_local(h->k, page[1]);
		first[100] = 'a';
		second[100] = 'b';
		CHECK(first[100] == 'a');
		kmm_kunmap_local(h->k, second);
		kmm_kunmap_local(h->k, first);
		second = kmm_vmap(h->k, page, 2, KMM_PROT_READ | KMM_PROT_WRITE, "hammer");
		CHECK(!second || (second[100] == 'a' && second[KMM_PAGE_SIZE + 100] == 'b'));
		kmm_vunmap(h->k, second);
	}
	if (page[0])
		kmm_free_pages(h->k, page[0], 0);
	if (page[1])
		kmm_free_pages(h->k, page[1], 0);
}

static kmm_word none_to_shrink(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp)
{
	(void)k;
	(void)self;
	(void)gfp;
	return 0;
}

static void come_or_go(struct hammer *h)
{
	if (!h->registered)
		kmm_shrinker_register(h->k, &h->shrinker);
	else
		kmm_shrinker_unregister(h->k, &h->shrinker);
	h->registered = !h->registered;
}

static void write_nowhere(struct kmm_sink *sink, const char *bytes, size_t len)
{
	(void)sink;
	(void)bytes;
	(void)len;
}

static void look_around(struct hammer *h)
{
	struct kmm_sink sink = { write_nowhere };
	struct kmm_kmap_info views;
	struct kmm_percpu_info objects;

	kmm_report_slabinfo(h->k, &sink);
	kmm_report_slab_aliases(h->k, &sink);
	kmm_report_vmallocinfo(h->k, &sink);
	kmm_kmap_info(h->k, &views);
	kmm_percpu_info(h->k, &objects);
	CHECK(kmm_cache_find(h->k, "kmalloc-64") != NULL && views.local_depth == 0);
}

static void rarely(struct hammer *h)
{
	unsigned what = dice(h, 8);

	if (what == 0)
		kmm_cache_shrink(h->k, h->shared);
	else if (what == 1)
		kmm_shrink(h->k, KMM_GFP_KERNEL, 1);
	else if (what == 2)
		kmm_vmalloc_purge(h->k);
	else if (what == 3)
		look_around(h);
	else if (what == 4)
		come_or_go(h);
	else if (what == 5)
		CHECK(kmm_mempool_resize(h->k, h->pool, 1 + dice(h, 5)) != KMM_EINVAL);
	else
		CHECK(kmm_cache_set_debug(h->k, h->checked, dice(h, KMM_CACHE_DEBUG + 1)) != KMM_EINVAL);
}

static void step(struct hammer *h)
{
	unsigned what = dice(h, 32);

	if (what == 0)
		rarely(h);
	else if (what == 1)
		nested_views(h);
	else if (what < 5)
		in_bulk(h);
	else if (what < 10)
		pass_on(h);
	else
		take_or_drop(h);
}

/* ---- a CPU's share ---- */

static void start(struct hammer *h)
{
	struct kmm_mempool_source source = kmm_mempool_of_kmalloc(100);

	h->shrinker = (struct kmm_shrinker){ .name = "hammer", .count = none_to_shrink };
	CHECK_OK(kmm_cache_create(h->k, "hammer", OBJECT, 0, 0, NULL, &h->shared));
	CHECK_OK(kmm_cache_create(h->k, "hammer-checked", OBJECT, 0, KMM_CACHE_NO_MERGE, NULL, &h->checked));
	CHECK_OK(kmm_mempool_create(h->k, POOL_MIN, &source, &h->pool));
}

static void finish(struct hammer *h)
{
	unsigned i;

	for (i = 0; i < SLOTS; i++)
		CALL(drop(h, &h->slot[i]));
	if (h->registered)
		come_or_go(h);
	CHECK_OK(kmm_mempool_destroy(h->k, h->pool));
	CHECK_OK(kmm_cache_destroy(h->k, h->checked));
	CHECK_OK(kmm_cache_destroy(h->k, h->shared));
}

void hammer_slab(struct kmm *k, unsigned thread, uint64_t seed, unsigned steps)
{
	struct hammer h = { .k = k, .cpu = thread, .rng = (seed ^ (uint64_t)thread << 32) | 1 };

	CALL(start(&h));
	while (steps--)
		CALL(step(&h));
	CALL(finish(&h));
}

void hammer_slab_end(struct kmm *k)
{
	unsigned i;

	for (i = 0; i < BOXES; i++)
		kmm_kfree(k, atomic_exchange(&box[i], NULL));
}

/* ---- as tests ---- */

enum { STEPS = 3000, THREADS = 3 };

static void alone(enum kmm_format_id format)
{
	struct hosted_config config = { .machine = { .format = format },
					.ram_bytes = format == KMM_X86_64 ? 64ull << 20 : 1000ull << 20 };
	struct tier_b t;
	kmm_word before;

	CALL(tier_b_start(&t, &config));
	before = tier_b_free_pages(&t) + kmm_pt_kernel_tables(t.k);
	CALL(hammer_slab(t.k, 0, kmm_test_seed(), STEPS));
	hammer_slab_end(t.k);
	kmm_percpu_shrink(t.k);
	CHECK_EQ(tier_b_free_pages(&t) + kmm_pt_kernel_tables(t.k), before);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(hammer_slab_i386)
{
	alone(KMM_I386);
}

KMM_TEST(hammer_slab_i386_pae)
{
	alone(KMM_I386_PAE);
}

KMM_TEST(hammer_slab_x86_64)
{
	alone(KMM_X86_64);
}

struct share {
	struct kmm *k;
	unsigned cpu;
	uint64_t seed;
	pthread_t thread;
};

static void *run_share(void *arg)
{
	struct share *share = arg;

	hosted_set_cpu(share->cpu);
	hammer_slab(share->k, share->cpu, share->seed, STEPS);
	return NULL;
}

KMM_TEST(hammer_slab_together)
{
	struct hosted_config config = { .machine = { .format = KMM_I386_PAE, .nr_cpus = THREADS }, .ram_bytes = 1000ull << 20,
					.threads = true };
	struct share share[THREADS];
	struct tier_b t;
	unsigned i;

	CALL(tier_b_start(&t, &config));
	for (i = 0; i < THREADS; i++) {
		share[i] = (struct share){ .k = t.k, .cpu = i, .seed = kmm_test_seed() };
		CHECK_EQ(pthread_create(&share[i].thread, NULL, run_share, &share[i]), 0);
	}
	for (i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(share[i].thread, NULL), 0);
	CHECK(!kmm_test_failed());
	hammer_slab_end(t.k);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}
