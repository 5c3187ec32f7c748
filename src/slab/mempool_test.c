/* SPDX-License-Identifier: MIT */
/*
 * Memory pools make progress without memory, sleepers go on; shrinkers are asked when memory is out.
 */
#include "harness/kernel.h"

#include <pthread.h>
#include <unistd.h>

static const struct hosted_config wide = { .machine = { .format = KMM_X86_64 }, .ram_bytes = 64ull << 20 };

/* A source that has as many elements as it is told. */
struct source {
	unsigned left, out;
	bool taken[64];
	char element[64];
};

static void *source_alloc(struct kmm *k, void *arg, kmm_gfp gfp)
{
	struct source *s = arg;
	unsigned i = 0;

	(void)k;
	(void)gfp;
	if (s->left == 0)
		return NULL;
	while (s->taken[i])
		i++;
	s->taken[i] = true;
	s->left--;
	s->out++;
	return &s->element[i];
}

static void source_free(struct kmm *k, void *arg, void *element)
{
	struct source *s = arg;

	(void)k;
	s->taken[(char *)element - s->element] = false;
	s->left++;
	s->out--;
}

KMM_TEST(mempool_serves_from_its_reserve)
{
	struct source source = { .left = 4 };
	const struct kmm_mempool_source from = { source_alloc, source_free, &source, 1 };
	struct kmm_mempool *pool;
	struct tier_b t;
	char *element[4];
	int i;

	CALL(tier_b_start(&t, &wide));
	CHECK_EQ(kmm_mempool_create(t.k, 0, &from, &pool), KMM_EINVAL);
	CHECK_EQ(kmm_mempool_create(t.k, 5, &from, &pool), KMM_ENOMEM);
	CHECK_EQ(source.out, 0);
	CHECK_OK(kmm_mempool_create(t.k, 3, &from, &pool));
	CHECK_EQ(kmm_mempool_reserve(pool), 3);
	for (i = 0; i < 4; i++) {
		element[i] = kmm_mempool_alloc(t.k, pool, KMM_GFP_ATOMIC | KMM_GFP_ZERO);
		CHECK(element[i]);
		CHECK_EQ(kmm_mempool_reserve(pool), 3 - i); /* the source has one more */
	}
	CHECK(!kmm_mempool_alloc(t.k, pool, KMM_GFP_ATOMIC));
	CHECK(!kmm_mempool_alloc(t.k, pool, KMM_GFP_KERNEL)); /* nobody could wait here */
	CHECK_EQ(kmm_mempool_destroy(t.k, pool), KMM_EBUSY);
	CHECK_EQ(tier_b_logged(&t, "while 4 of its elements are out"), 1);
	for (i = 0; i < 4; i++)
		kmm_mempool_free(t.k, pool, element[i]);
	CHECK_EQ(kmm_mempool_reserve(pool), 3);
	CHECK_EQ(source.left, 1);
	CHECK_EQ(kmm_mempool_resize(t.k, pool, 5), KMM_ENOMEM);
	CHECK_EQ(kmm_mempool_reserve(pool), 3);
	CHECK_OK(kmm_mempool_resize(t.k, pool, 4));
	CHECK_EQ(kmm_mempool_reserve(pool), 4);
	CHECK_OK(kmm_mempool_resize(t.k, pool, 1));
	CHECK_EQ(source.left, 3);
	CHECK_OK(kmm_mempool_destroy(t.k, pool));
	CHECK_EQ(source.left, 4);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

struct twice {
	struct tier_b t;
	struct kmm_mempool *pool;
};

static void give_twice(void *arg)
{
	struct twice *x = arg;
	void *a = kmm_mempool_alloc(x->t.k, x->pool, KMM_GFP_KERNEL), *b = kmm_mempool_alloc(x->t.k, x->pool, KMM_GFP_KERNEL);

	kmm_mempool_free(x->t.k, x->pool, b);
	kmm_mempool_free(x->t.k, x->pool, a);
	kmm_mempool_free(x->t.k, x->pool, b);
}

KMM_TEST(mempool_element_freed_twice_is_refused)
{
	struct source source = { .left = 2 };
	const struct kmm_mempool_source from = { source_alloc, source_free, &source, 1 };
	struct twice x;

	CALL(tier_b_start(&x.t, &wide));
	CHECK_OK(kmm_mempool_create(x.t.k, 2, &from, &x.pool));
	CALL(tier_b_refuses(&x.t, give_twice, &x, NULL));
	CHECK_EQ(tier_b_logged(&x.t, "is freed twice"), 1);
	CHECK_EQ(kmm_mempool_reserve(x.pool), 2);
	tier_b_stop(&x.t);
}

/* With every source failing for lack of memory, min elements are still to be had, again and again. */
KMM_TEST(mempool_does_not_fail_while_elements_come_back)
{
	struct kmm_mempool_source source[2];
	struct kmm_cache *cache;
	struct tier_b t;
	unsigned i, j, round;

	CALL(tier_b_start(&t, &wide));
	CHECK_OK(kmm_cache_create(t.k, "elements", 500, 0, 0, NULL, &cache));
	source[0] = kmm_mempool_of_cache(cache);
	source[1] = kmm_mempool_of_kmalloc(20000);
	for (i = 0; i < 2; i++) {
		struct kmm_mempool *pool;
		void *element[4];

		CHECK_OK(kmm_mempool_create(t.k, 4, &source[i], &pool));
		for (round = 1; round < 10; round++) {
			for (j = 0; j < 4; j++) {
				kmm_fail_nth(t.k, 1);
				element[j] = kmm_mempool_alloc(t.k, pool, round % 2 ? KMM_GFP_KERNEL : KMM_GFP_ATOMIC);
				kmm_fail_nth(t.k, 0);
				CHECK(element[j]);
				CHECK_EQ(kmm_mempool_reserve(pool), 3 - j);
				memset(element[j], 0xee, 500);
			}
			for (j = 0; j < 4; j++)
				kmm_mempool_free(t.k, pool, element[j]);
		}
		CHECK_OK(kmm_mempool_destroy(t.k, pool));
	}
	CHECK_OK(kmm_cache_destroy(t.k, cache));
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(mempool_life_survives_every_failure)
{
	struct kmm_mempool_source source = kmm_mempool_of_kmalloc(100);
	enum kmm_status status = KMM_ENOMEM;
	struct tier_b t;
	kmm_word before;
	uint64_t n;

	CALL(tier_b_start(&t, &wide));
	before = tier_b_free_pages(&t);
	for (n = 1; status; n++) {
		struct kmm_mempool *pool = NULL;

		CHECK(n < 50);
		kmm_fail_nth(t.k, n);
		status = kmm_mempool_create(t.k, 3, &source, &pool);
		if (!status)
			status = kmm_mempool_resize(t.k, pool, 6);
		kmm_fail_nth(t.k, 0);
		CHECK(!status || status == KMM_ENOMEM);
		if (pool) {
			CHECK_EQ(kmm_mempool_reserve(pool), status ? 3 : 6);
			CHECK_OK(kmm_mempool_destroy(t.k, pool));
		}
		CALL(tier_b_audit(&t));
		CHECK_EQ(tier_b_free_pages(&t), before);
	}
	CHECK(n > 8);
	tier_b_stop(&t);
}

/* ---- sleeping ---- */

struct sleepy {
	struct tier_b t;
	struct kmm_mempool *pool;
	atomic_uint served;
};

static void *take_and_give(void *arg)
{
	struct sleepy *s = arg;
	int i;

	hosted_set_cpu(1 + (unsigned)atomic_fetch_add(&s->served, 1));
	for (i = 0; i < 2000; i++) {
		void *element = kmm_mempool_alloc(s->t.k, s->pool, KMM_GFP_KERNEL);

		if (!element)
			return s;
		kmm_mempool_free(s->t.k, s->pool, element);
	}
	return NULL;
}

KMM_TEST(mempool_sleepers_go_on)
{
	static struct source nothing = { .left = 2 };
	const struct kmm_mempool_source from = { source_alloc, source_free, &nothing, 0 };
	struct hosted_config config = wide;
	static struct sleepy s;
	pthread_t thread[3];
	void *failed, *mine;
	int i;

	config.machine.nr_cpus = 4;
	config.threads = true;
	CALL(tier_b_start(&s.t, &config));
	CHECK_OK(kmm_mempool_create(s.t.k, 2, &from, &s.pool));
	mine = kmm_mempool_alloc(s.t.k, s.pool, KMM_GFP_KERNEL); /* one element for three threads */
	for (i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, take_and_give, &s), 0);
	for (i = 0; i < 3; i++) {
		pthread_join(thread[i], &failed);
		CHECK(!failed);
	}
	kmm_mempool_free(s.t.k, s.pool, mine);
	CHECK_EQ(kmm_mempool_reserve(s.pool), 2);
	CHECK_OK(kmm_mempool_destroy(s.t.k, s.pool));
	tier_b_stop(&s.t);
}

/* ---- shrinkers ---- */

struct hoard {
	struct kmm_shrinker shrinker;
	struct kmm_page *page[8000];
	unsigned nr, counts, scans;
	kmm_word first_ask;
	struct kmm *nested; /* ask it from inside */
	bool broken;
};

static kmm_word count_hoard(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp)
{
	struct hoard *h = (struct hoard *)self;

	(void)k;
	(void)gfp;
	h->counts++;
	return h->nr;
}

static kmm_word scan_hoard(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp, kmm_word nr)
{
	struct hoard *h = (struct hoard *)self;
	kmm_word done;

	if (h->scans++ == 0)
		h->first_ask = nr;
	if (h->nested && kmm_shrink(h->nested, gfp, 1) != 1) /* comes back at once */
		h->broken = true;
	for (done = 0; done < nr && h->nr; done++)
		kmm_free_pages(k, h->page[--h->nr], 0);
	return done;
}

KMM_TEST(shrinkers_are_asked_when_memory_is_out)
{
	static struct hoard h;
	struct kmm_page *page, *list[64];
	struct tier_b t;
	unsigned full, i;

	memset(&h, 0, sizeof(h));
	h.shrinker = (struct kmm_shrinker){ .name = "hoard", .count = count_hoard, .scan = scan_hoard };
	CALL(tier_b_start(&t, &wide));
	kmm_shrinker_register(t.k, &h.shrinker);
	h.nested = t.k;
	while (h.nr < 8000 && (page = kmm_alloc_pages(t.k, KMM_GFP_NOWAIT, 0)))
		h.page[h.nr++] = page;
	while (h.nr == 8000 && kmm_alloc_pages(t.k, KMM_GFP_NOWAIT, 0))
		; /* the rest of the machine */
	CHECK_EQ(h.scans, 0); /* who may not block asks nobody */
	full = h.nr;
	for (i = 0; i < 64; i++) {
		list[i] = kmm_alloc_pages(t.k, KMM_GFP_KERNEL, 0);
		CHECK(list[i]);
	}
	CHECK(h.scans > 0 && h.nr < full);
	CHECK_EQ(h.first_ask, full / 8);
	CHECK(!h.broken);
	CHECK_EQ(kmm_fail_count(t.k, NULL), 0);
	kmm_shrinker_unregister(t.k, &h.shrinker);
	i = h.scans;
	CHECK(kmm_shrink(t.k, KMM_GFP_KERNEL, 100000) < 100000);
	CHECK_EQ(h.scans, i);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(empty_slabs_are_given_back_under_pressure)
{
	struct kmm_cache *cache;
	struct tier_b t;
	void *object[200];
	kmm_word inuse;
	int i;

	CALL(tier_b_start(&t, &wide));
	CHECK_OK(kmm_cache_create(t.k, "idle", 1000, 0, KMM_CACHE_NO_MERGE, NULL, &cache));
	for (i = 0; i < 200; i++)
		object[i] = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	for (i = 0; i < 200; i++)
		kmm_cache_free(t.k, cache, object[i]);
	inuse = cache->pool->nr_slabs;
	CHECK(inuse > 0);
	while (kmm_alloc_pages(t.k, KMM_GFP_NOWAIT, 0))
		;
	CHECK_EQ(cache->pool->nr_slabs, inuse);
	CHECK(kmm_alloc_pages(t.k, KMM_GFP_KERNEL, 0));
	CHECK_EQ(cache->pool->nr_slabs, 0);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}
