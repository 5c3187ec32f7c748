/* SPDX-License-Identifier: MIT */
/*
 * Bulk calls: the same objects and the same complaints as single ones, all or nothing.
 */
#include "harness/kernel.h"
#include "slab/slab.h"

static const struct hosted_config pae = { .machine = { .format = KMM_I386_PAE }, .ram_bytes = 64ull << 20 };
static const struct hosted_config wide = { .machine = { .format = KMM_X86_64 }, .ram_bytes = 128ull << 20 };

enum { MOST = 1500 };

static void *object[MOST];

/* Objects differ, keep their contents, and mix with single calls. */
static void run(const struct hosted_config *config, size_t size, unsigned flags, size_t nr)
{
	struct kmm_cache *cache;
	struct tier_b t;
	kmm_word before;
	size_t i;

	CALL(tier_b_start(&t, config));
	CHECK_OK(kmm_cache_create(t.k, "bulky", size, 0, flags | KMM_CACHE_NO_MERGE, NULL, &cache));
	before = tier_b_free_pages(&t);
	CHECK(kmm_cache_alloc_bulk(t.k, cache, KMM_GFP_KERNEL, nr, object));
	for (i = 0; i < nr; i++)
		memset(object[i], (int)i, size);
	for (i = 0; i < nr; i++)
		CHECK_EQ(((unsigned char *)object[i])[size - 1], i & 0xff);
	CALL(tier_b_audit(&t));
	for (i = 0; i < nr; i += 3) {
		kmm_cache_free(t.k, cache, object[i]);
		object[i] = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	}
	kmm_cache_free_bulk(t.k, cache, nr / 2, object);
	CALL(tier_b_audit(&t));
	CHECK(kmm_cache_alloc_bulk(t.k, cache, KMM_GFP_KERNEL | KMM_GFP_ZERO, nr / 2, object));
	for (i = 0; i < nr / 2; i++)
		CHECK_EQ(((unsigned char *)object[i])[size / 2], 0);
	kmm_cache_free_bulk(t.k, cache, nr, object);
	CALL(tier_b_audit(&t));
	CHECK_EQ(tier_b_free_pages(&t), before);
	CHECK_STR(hosted_log_text(t.m), "");
	CHECK_OK(kmm_cache_destroy(t.k, cache));
	tier_b_stop(&t);
}

KMM_TEST(bulk_calls_give_and_take)
{
	CALL(run(&wide, 64, 0, 0));
	CALL(run(&wide, 64, 0, 1));
	CALL(run(&wide, 64, 0, MOST));
	CALL(run(&pae, 200, 0, 777));
	CALL(run(&wide, 5000, 0, 100));
	CALL(run(&pae, 24, KMM_CACHE_DEBUG, 300));
}

KMM_TEST(bulk_allocation_is_all_or_nothing)
{
	struct kmm_cache *cache;
	struct tier_b t;
	kmm_word before;
	bool ok = false;
	uint64_t n;

	CALL(tier_b_start(&t, &pae));
	CHECK_OK(kmm_cache_create(t.k, "bulky", 1000, 0, 0, NULL, &cache));
	before = tier_b_free_pages(&t);
	for (n = 1; !ok; n++) {
		CHECK(n < 100);
		kmm_fail_nth(t.k, n);
		ok = kmm_cache_alloc_bulk(t.k, cache, KMM_GFP_KERNEL, 100, object);
		kmm_fail_nth(t.k, 0);
		CALL(tier_b_audit(&t));
		if (ok)
			kmm_cache_free_bulk(t.k, cache, 100, object);
		CHECK_EQ(tier_b_free_pages(&t), before);
	}
	CHECK(n > 20);
	CHECK_OK(kmm_cache_destroy(t.k, cache));
	tier_b_stop(&t);
}

KMM_TEST(bulk_high_is_reported_and_stripped)
{
	struct kmm_cache *cache;
	struct tier_b t;

	CALL(tier_b_start(&t, &pae));
	CHECK_OK(kmm_cache_create(t.k, "bulky", 1000, 0, 0, NULL, &cache));
	CHECK(kmm_cache_alloc_bulk(t.k, cache, KMM_GFP_KERNEL | KMM_GFP_HIGHMEM, 10, object));
	CHECK_EQ(tier_b_logged(&t, "slab: bulky with gfp"), 1);
	kmm_cache_free_bulk(t.k, cache, 10, object);
	tier_b_stop(&t);
}

struct mistake {
	struct tier_b t;
	struct kmm_cache *cache;
};

static void free_all(void *arg)
{
	struct mistake *x = arg;

	kmm_cache_free_bulk(x->t.k, x->cache, 10, object);
}

KMM_TEST(bulk_free_finds_mistakes)
{
	static const char *const said[] = { "is freed twice", "belongs to kmalloc-64", "not the start of an object" };
	struct mistake x;
	unsigned i;

	for (i = 0; i < 3; i++) {
		CALL(tier_b_start(&x.t, &wide));
		CHECK_OK(kmm_cache_create(x.t.k, "bulky", 72, 0, 0, NULL, &x.cache));
		CHECK(kmm_cache_alloc_bulk(x.t.k, x.cache, KMM_GFP_KERNEL, 10, object));
		object[6] = i == 0 ? object[4] : i == 1 ? kmm_kmalloc(x.t.k, 64, KMM_GFP_KERNEL) : (char *)object[6] + 8;
		CALL(tier_b_refuses(&x.t, free_all, &x, NULL));
		CHECK_EQ(tier_b_logged(&x.t, said[i]), 1);
		tier_b_stop(&x.t);
	}
}

KMM_TEST(bulk_frees_objects_of_earlier_pools)
{
	struct kmm_cache *cache;
	struct tier_b t;

	CALL(tier_b_start(&t, &wide));
	CHECK_OK(kmm_cache_create(t.k, "bulky", 72, 0, 0, NULL, &cache));
	CHECK(kmm_cache_alloc_bulk(t.k, cache, KMM_GFP_KERNEL, 5, object));
	CHECK_OK(kmm_cache_set_debug(t.k, cache, KMM_CACHE_DEBUG));
	CHECK(kmm_cache_alloc_bulk(t.k, cache, KMM_GFP_KERNEL, 5, object + 5));
	kmm_cache_free_bulk(t.k, cache, 10, object);
	CHECK_STR(hosted_log_text(t.m), "");
	CHECK_OK(kmm_cache_destroy(t.k, cache));
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}
