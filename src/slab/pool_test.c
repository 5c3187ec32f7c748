/* SPDX-License-Identifier: MIT */
/*
 * What caches have in common: shared pools and their names, checks switched while objects are out, magazines and depot.
 */
#include "harness/kernel.h"
#include "slab/fast.h"

static const struct hosted_config pae = { .machine = { .format = KMM_I386_PAE }, .ram_bytes = 512ull << 20 };
static const struct hosted_config wide = { .machine = { .format = KMM_X86_64 }, .ram_bytes = 64ull << 20 };

KMM_TEST(slot_starts_are_told_exactly)
{
	struct kmm_pool pool = { 0 };
	uint32_t offset, wrong = 0;

	for (pool.slot = 8; pool.slot <= 32768; pool.slot += 8) {
		uint32_t end = 32768 / pool.slot * pool.slot;

		pool.reciprocal = UINT32_MAX / pool.slot + 1;
		pool.last_start = (end - pool.slot) * pool.reciprocal;
		for (offset = 0; offset < 32768; offset += pool.slot > 512 ? 8 : 1) {
			wrong += kmm_slot_starts_at(&pool, offset) != (offset % pool.slot == 0 && offset < end);
			wrong += kmm_slot_number(&pool, offset) != offset / pool.slot;
		}
	}
	CHECK_EQ(wrong, 0);
}

/* ---- sharing ---- */

static void construct(void *object)
{
	memset(object, 0x3c, 96);
}

KMM_TEST(caches_of_equal_geometry_share_a_pool)
{
	struct kmm_cache *a, *b, *other[4];
	struct hosted_text text;
	struct tier_b t;
	void *object;
	int i;

	CALL(tier_b_start(&t, &wide));
	CHECK_OK(kmm_cache_create(t.k, "first", 700, 0, 0, NULL, &a));
	CHECK_OK(kmm_cache_create(t.k, "second", 697, 8, 0, NULL, &b));
	CHECK(a != b);
	CHECK_PTR(a->pool, b->pool);
	CHECK_OK(kmm_cache_create(t.k, "larger", 705, 0, 0, NULL, &other[0]));
	CHECK_OK(kmm_cache_create(t.k, "constructed", 704, 0, 0, construct, &other[1]));
	CHECK_OK(kmm_cache_create(t.k, "checked", 704, 0, KMM_CACHE_POISON, NULL, &other[2]));
	CHECK_OK(kmm_cache_create(t.k, "apart", 704, 0, KMM_CACHE_NO_MERGE, NULL, &other[3]));
	for (i = 0; i < 4; i++)
		CHECK(other[i]->pool != a->pool);
	kmm_report_slab_aliases(t.k, hosted_text_init(&text));
	CHECK(strstr(text.text, "second -> first\n"));
	CHECK(!strstr(text.text, "first ->"));
	hosted_text_free(&text);
	/* A shared object is as large as its slot, whoever asks for zeros. */
	object = kmm_cache_alloc(t.k, a, KMM_GFP_KERNEL);
	memset(object, 0xff, 704);
	kmm_cache_free(t.k, a, object);
	object = kmm_cache_alloc(t.k, b, KMM_GFP_KERNEL | KMM_GFP_ZERO);
	for (i = 0; i < 704; i++)
		CHECK_EQ(((unsigned char *)object)[i], 0);
	CHECK_OK(kmm_cache_destroy(t.k, a)); /* b's object does not keep it */
	CHECK_STR(b->pool->name, "second");
	CHECK_STR(kmm_slab_owner(t.k, kmm_virt_to_page(t.k, object)), "second");
	CHECK_EQ(kmm_cache_destroy(t.k, b), KMM_EBUSY);
	CHECK_EQ(tier_b_logged(&t, "slab: second: object 0x"), 1);
	CALL(tier_b_audit(&t));
	kmm_cache_free(t.k, b, object);
	CHECK_OK(kmm_cache_destroy(t.k, b));
	for (i = 0; i < 4; i++)
		CHECK_OK(kmm_cache_destroy(t.k, other[i]));
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(cache_find_knows_every_name)
{
	struct kmm_cache *cache;
	struct tier_b t;

	CALL(tier_b_start(&t, &pae));
	CHECK_OK(kmm_cache_create(t.k, "alias of 64", 64, 0, 0, NULL, &cache));
	CHECK_PTR(kmm_cache_find(t.k, "alias of 64"), cache);
	CHECK(kmm_cache_find(t.k, "kmalloc-64"));
	CHECK_PTR(kmm_cache_find(t.k, "kmalloc-64")->pool, cache->pool);
	CHECK(!kmm_cache_find(t.k, "kmalloc-6"));
	CHECK(!kmm_cache_find(t.k, "kmalloc-644"));
	CHECK_EQ(kmm_cache_destroy(t.k, kmm_cache_find(t.k, "kmalloc-64")), KMM_EINVAL);
	CHECK_EQ(kmm_cache_destroy(t.k, kmm_cache_find(t.k, "kmem_cache")), KMM_EINVAL);
	tier_b_stop(&t);
}

/* ---- switching ---- */

KMM_TEST(checks_are_switched_while_objects_are_out)
{
	struct kmm_cache *cache;
	struct tier_b t;
	unsigned char *plain, *checked, *again;

	CALL(tier_b_start(&t, &wide));
	CHECK_OK(kmm_cache_create(t.k, "switched", 40, 0, 0, NULL, &cache));
	plain = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	CHECK_EQ(kmm_cache_set_debug(t.k, cache, 64), KMM_EINVAL);
	CHECK_OK(kmm_cache_set_debug(t.k, cache, KMM_CACHE_DEBUG));
	checked = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	CHECK_EQ(checked[0], 0x5a);
	checked[40] = 0;
	kmm_cache_free(t.k, cache, plain);
	CHECK_STR(hosted_log_text(t.m), "");
	kmm_cache_free(t.k, cache, checked);
	CHECK_EQ(tier_b_logged(&t, "red zone behind it overwritten"), 1);
	CHECK_OK(kmm_cache_set_debug(t.k, cache, 0));
	again = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	CHECK_PTR(again, plain);
	CALL(tier_b_audit(&t));
	kmm_cache_free(t.k, cache, again);
	CHECK_EQ(kmm_cache_destroy(t.k, cache), KMM_EBUSY); /* the object of the checked time */
	CHECK_EQ(tier_b_logged(&t, "is still allocated, from 0x"), 1);
	kmm_cache_free(t.k, cache, checked); /* repaired by the report */
	CHECK_OK(kmm_cache_destroy(t.k, cache));
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(each_check_is_switched_alone)
{
	static const unsigned checks[] = { KMM_CACHE_RED_ZONE, KMM_CACHE_POISON, KMM_CACHE_OWNER };
	struct kmm_cache *cache;
	struct tier_b t;
	unsigned i;

	CALL(tier_b_start(&t, &pae));
	CHECK_OK(kmm_cache_create(t.k, "switched", 40, 64, 0, NULL, &cache));
	for (i = 0; i < 3; i++) {
		unsigned char *object;

		hosted_log_clear(t.m);
		CHECK_OK(kmm_cache_set_debug(t.k, cache, checks[i]));
		object = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
		CHECK_EQ(kmm_lowmem_pa(t.k, object).v % 64, 0);
		kmm_cache_free(t.k, cache, object);
		object[20] = 1;
		CHECK_EQ(tier_b_complaints(&t), i == 1);
		object = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
		CHECK_EQ(tier_b_logged(&t, "written after it was freed"), i == 1);
		object[40] = 1;
		kmm_cache_free(t.k, cache, object);
		CHECK_EQ(tier_b_logged(&t, "red zone"), i == 0);
		if (i == 0)
			kmm_cache_free(t.k, cache, object);
		kmm_cache_free(t.k, cache, object);
		CHECK_EQ(tier_b_logged(&t, "freed twice"), 1);
		CHECK_EQ(tier_b_logged(&t, "freed from 0x"), i == 2);
		CALL(tier_b_audit(&t));
	}
	CHECK_OK(kmm_cache_destroy(t.k, cache));
	tier_b_stop(&t);
}

KMM_TEST(kmalloc_classes_can_be_checked_too)
{
	struct tier_b t;
	unsigned char *before, *object;
	size_t size;

	CALL(tier_b_start(&t, &wide));
	before = kmm_kmalloc(t.k, 100, KMM_GFP_KERNEL);
	CHECK_OK(kmm_cache_set_debug(t.k, kmm_cache_find(t.k, "kmalloc-112"), KMM_CACHE_DEBUG));
	CHECK_OK(kmm_cache_set_debug(t.k, kmm_cache_find(t.k, "kmalloc-4k"), KMM_CACHE_DEBUG));
	object = kmm_kmalloc(t.k, 100, KMM_GFP_KERNEL);
	object[112] = 1;
	kmm_kfree(t.k, object);
	CHECK_EQ(tier_b_logged(&t, "slab: kmalloc-112: object 0x"), 1);
	kmm_kfree(t.k, object);
	kmm_kfree(t.k, before);
	for (size = 3585; size <= 4096; size += 511) {
		object = kmm_kmalloc(t.k, size, KMM_GFP_KERNEL);
		CHECK_EQ(object[0], 0x5a);
		CHECK_EQ(kmm_lowmem_pa(t.k, object).v % 4096, 0); /* still aligned to itself */
		kmm_kfree(t.k, object);
	}
	CHECK_OK(kmm_cache_set_debug(t.k, kmm_cache_find(t.k, "kmalloc-112"), 0));
	CHECK_PTR(kmm_kmalloc(t.k, 112, KMM_GFP_KERNEL), before);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(switching_survives_every_failure)
{
	enum kmm_status status = KMM_ENOMEM;
	struct kmm_cache *cache;
	struct tier_b t;
	uint64_t n;

	CALL(tier_b_start(&t, &pae));
	CHECK_OK(kmm_cache_create(t.k, "unlucky", 700, 0, 0, NULL, &cache));
	for (n = 1; status; n++) {
		struct kmm_pool *before = cache->pool;

		CHECK(n < 20);
		kmm_fail_nth(t.k, n);
		status = kmm_cache_set_debug(t.k, cache, KMM_CACHE_DEBUG);
		kmm_fail_nth(t.k, 0);
		CHECK(status == KMM_OK || (status == KMM_ENOMEM && cache->pool == before));
		CALL(tier_b_audit(&t));
	}
	CHECK(n > 2);
	CHECK_OK(kmm_cache_destroy(t.k, cache));
	tier_b_stop(&t);
}

/* ---- magazines and depot ---- */

KMM_TEST(objects_freed_on_another_cpu_come_back_by_the_depot)
{
	struct hosted_config config = wide;
	struct kmm_cache *cache;
	struct tier_b t;
	struct kmm_pool *pool;
	void *object[300];
	unsigned i;

	config.machine.nr_cpus = 2;
	CALL(tier_b_start(&t, &config));
	CHECK_OK(kmm_cache_create(t.k, "wandering", 32, 0, KMM_CACHE_NO_MERGE, NULL, &cache));
	pool = cache->pool;
	for (i = 0; i < 300; i++)
		object[i] = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	kmm_cache_shrink(t.k, cache);
	CHECK_EQ(pool->inuse, 300);
	hosted_set_cpu(1);
	for (i = 0; i < 300; i++)
		kmm_cache_free(t.k, cache, object[i]);
	CHECK_EQ(pool->inuse, 300); /* no slab was touched */
	CHECK_EQ(kmm_magazine_nr(pool->magazine[0]), 0);
	CHECK_EQ(pool->depot_nr + kmm_magazine_nr(pool->magazine[1]), 300);
	CHECK(pool->depot_nr >= pool->batch);
	CALL(tier_b_audit(&t));
	hosted_set_cpu(0);
	object[0] = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	CHECK_EQ(kmm_magazine_nr(pool->magazine[0]), pool->batch - 1); /* a whole batch, under one lock */
	CHECK_EQ(pool->inuse, 300);
	kmm_cache_free(t.k, cache, object[0]);
	CALL(tier_b_audit(&t));
	CHECK_OK(kmm_cache_destroy(t.k, cache));
	tier_b_stop(&t);
}

/* CPU 1 keeps what it freed, until CPU 0 wants memory back and CPU 1 frees once more. */
KMM_TEST(other_cpus_give_their_magazines_back_when_asked)
{
	struct hosted_config config = pae;
	struct kmm_cache *cache;
	struct kmm_pool *pool;
	struct tier_b t;
	void *object[60], *last;
	unsigned i, kept;

	config.machine.nr_cpus = 2;
	CALL(tier_b_start(&t, &config));
	CHECK_OK(kmm_cache_create(t.k, "kept", 256, 0, KMM_CACHE_NO_MERGE, NULL, &cache));
	pool = cache->pool;
	hosted_set_cpu(1);
	last = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	for (i = 0; i < 60; i++)
		object[i] = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	kmm_cache_free_bulk(t.k, cache, 60, object);
	kept = kmm_magazine_nr(pool->magazine[1]);
	CHECK(kept > 20);
	hosted_set_cpu(0);
	kmm_cache_shrink(t.k, cache);
	CHECK_EQ(kmm_magazine_nr(pool->magazine[1]), kept); /* only CPU 1 may touch them */
	hosted_set_cpu(1);
	kmm_cache_free(t.k, cache, last);
	CHECK_EQ(kmm_magazine_nr(pool->magazine[1]), 1);
	CHECK_EQ(kmm_magazine_room(pool->magazine[1]), pool->limit - 1); /* asked once, not for ever */
	CHECK_EQ(pool->inuse, 1);
	CALL(tier_b_audit(&t));
	hosted_set_cpu(0);
	kmm_cache_shrink(t.k, cache);
	hosted_set_cpu(1);
	for (i = 0; i < 60; i++)
		object[i] = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL); /* emptied that way, it is as before too */
	kmm_cache_free_bulk(t.k, cache, 60, object);
	CHECK_EQ(kmm_magazine_nr(pool->magazine[1]) + pool->depot_nr, pool->inuse);
	CALL(tier_b_audit(&t));
	CHECK_OK(kmm_cache_destroy(t.k, cache));
	tier_b_stop(&t);
}

struct twice {
	struct tier_b t;
	struct kmm_cache *cache;
	void *object;
};

static void free_it(void *arg)
{
	struct twice *x = arg;

	kmm_cache_free(x->t.k, x->cache, x->object);
}

/* Wherever the object waits, another free of it is told apart. */
KMM_TEST(double_free_is_found_in_other_magazines_and_the_depot)
{
	struct hosted_config config = wide;
	struct twice x;
	unsigned where, i;

	config.machine.nr_cpus = 2;
	for (where = 0; where < 3; where++) {
		void *other[1000];

		CALL(tier_b_start(&x.t, &config));
		CHECK_OK(kmm_cache_create(x.t.k, "twice", 32, 0, KMM_CACHE_NO_MERGE, NULL, &x.cache));
		x.object = kmm_cache_alloc(x.t.k, x.cache, KMM_GFP_KERNEL);
		for (i = 0; i < 1000; i++)
			other[i] = kmm_cache_alloc(x.t.k, x.cache, KMM_GFP_KERNEL);
		kmm_cache_free(x.t.k, x.cache, x.object);
		for (i = 1; where && i < 1000; i++) /* other[0] keeps the slab */
			kmm_cache_free(x.t.k, x.cache, other[i]);
		CHECK(where == 0 || x.cache->pool->depot_nr);
		if (where == 2)
			kmm_cache_shrink(x.t.k, x.cache);
		hosted_set_cpu(1);
		CALL(tier_b_refuses(&x.t, free_it, &x, NULL));
		CHECK_EQ(tier_b_logged(&x.t, "is freed twice"), 1);
		hosted_set_cpu(0);
		tier_b_stop(&x.t);
	}
}
