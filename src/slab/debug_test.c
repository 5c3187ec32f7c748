/* SPDX-License-Identifier: MIT */
/*
 * Debug caches: each kind of damage is reported with cache, object and place, and does not spread.
 */
#include "harness/kernel.h"

static const struct hosted_config pae = { .machine = { .format = KMM_I386_PAE }, .ram_bytes = 64ull << 20 };

struct bench {
	struct tier_b t;
	struct kmm_cache *cache;
	unsigned char *object;
	char named[64]; /* "slab: watched: object 0x..." */
};

static void open_bench(struct bench *b, void (*ctor)(void *object))
{
	CALL(tier_b_start(&b->t, &pae));
	CHECK_OK(kmm_cache_create(b->t.k, "watched", 20, 0, KMM_CACHE_DEBUG, ctor, &b->cache));
	b->object = kmm_cache_alloc(b->t.k, b->cache, KMM_GFP_KERNEL);
	CHECK(b->object);
	snprintf(b->named, sizeof(b->named), "slab: watched: object 0x%llx",
		 (unsigned long long)kmm_ptr_to_kva(b->t.k, b->object).v);
}

/* The object goes back and the cache away, without another word. */
static void close_bench(struct bench *b)
{
	CALL(tier_b_audit(&b->t));
	hosted_log_clear(b->t.m);
	CHECK_OK(kmm_cache_destroy(b->t.k, b->cache));
	CHECK_STR(hosted_log_text(b->t.m), "");
	tier_b_stop(&b->t);
}

static void check_damaged_free(int at, const char *what)
{
	struct bench b;
	char place[64];

	CALL(open_bench(&b, NULL));
	memset(b.object, 0x11, 20);
	b.object[at] = 0x41;
	CHECK_EQ(tier_b_complaints(&b.t), 1);
	kmm_cache_free(b.t.k, b.cache, b.object);
	CHECK_EQ(tier_b_logged(&b.t, b.named), 1);
	CHECK_EQ(tier_b_logged(&b.t, what), 1);
	snprintf(place, sizeof(place), "at byte %d (0x41 instead of 0xbb)", at);
	CHECK_EQ(tier_b_logged(&b.t, place), 1);
	CHECK_EQ(b.object[0], 0x11); /* not freed */
	CHECK_EQ(kmm_cache_destroy(b.t.k, b.cache), KMM_EBUSY);
	kmm_cache_free(b.t.k, b.cache, b.object); /* repaired: now it goes */
	CALL(close_bench(&b));
}

KMM_TEST(debug_cache_reports_overrun)
{
	CALL(check_damaged_free(20, "red zone behind it overwritten"));
	CALL(check_damaged_free(27, "red zone behind it overwritten"));
}

KMM_TEST(debug_cache_reports_underrun)
{
	CALL(check_damaged_free(-1, "red zone before it overwritten"));
	CALL(check_damaged_free(-8, "red zone before it overwritten"));
}

KMM_TEST(debug_cache_reports_double_free)
{
	struct bench b;

	CALL(open_bench(&b, NULL));
	kmm_cache_free(b.t.k, b.cache, b.object);
	CHECK_STR(hosted_log_text(b.t.m), "");
	kmm_cache_free(b.t.k, b.cache, b.object);
	CHECK_EQ(tier_b_logged(&b.t, b.named), 1);
	CHECK_EQ(tier_b_logged(&b.t, "is freed twice"), 1);
	CALL(close_bench(&b));
}

KMM_TEST(debug_cache_reports_use_after_free)
{
	struct bench b;
	unsigned char *again;

	CALL(open_bench(&b, NULL));
	kmm_cache_free(b.t.k, b.cache, b.object);
	b.object[5] = 1;
	CHECK_EQ(tier_b_complaints(&b.t), 1);
	again = kmm_cache_alloc(b.t.k, b.cache, KMM_GFP_KERNEL);
	CHECK_PTR(again, b.object);
	CHECK_EQ(tier_b_logged(&b.t, b.named), 1);
	CHECK_EQ(tier_b_logged(&b.t, "written after it was freed, at byte 5 (0x01 instead of 0x6b)"), 1);
	kmm_cache_free(b.t.k, b.cache, again);
	CALL(close_bench(&b));
}

KMM_TEST(debug_cache_reports_foreign_pointers)
{
	struct kmm_cache *other;
	struct bench b;
	void *stranger;

	CALL(open_bench(&b, NULL));
	kmm_cache_free(b.t.k, b.cache, b.object + 4);
	CHECK_EQ(tier_b_logged(&b.t, "is not the start of an object"), 1);
	CHECK_OK(kmm_cache_create(b.t.k, "other", 20, 0, KMM_CACHE_NO_MERGE, NULL, &other));
	stranger = kmm_cache_alloc(b.t.k, other, KMM_GFP_KERNEL);
	kmm_cache_free(b.t.k, b.cache, stranger);
	CHECK_EQ(tier_b_logged(&b.t, "belongs to other"), 1);
	kmm_cache_free(b.t.k, b.cache, &b);
	CHECK_EQ(tier_b_logged(&b.t, "belongs to no cache"), 1);
	kmm_cache_free(b.t.k, other, stranger);
	kmm_cache_free(b.t.k, b.cache, b.object);
	CALL(close_bench(&b));
}

KMM_TEST(debug_cache_leak_names_its_caller)
{
	struct bench b;

	CALL(open_bench(&b, NULL));
	CHECK_EQ(kmm_cache_destroy(b.t.k, b.cache), KMM_EBUSY);
	CHECK_EQ(tier_b_logged(&b.t, b.named), 1);
	CHECK_EQ(tier_b_logged(&b.t, "is still allocated, from 0x"), 1);
	kmm_cache_free(b.t.k, b.cache, b.object);
	CALL(close_bench(&b));
}

static void construct(void *object)
{
	memset(object, 0x3c, 20);
}

KMM_TEST(debug_cache_keeps_what_the_constructor_made)
{
	struct bench b;
	int i;

	CALL(open_bench(&b, construct));
	for (i = 0; i < 20; i++)
		CHECK_EQ(b.object[i], 0x3c);
	kmm_cache_free(b.t.k, b.cache, b.object);
	b.object = kmm_cache_alloc(b.t.k, b.cache, KMM_GFP_KERNEL);
	for (i = 0; i < 20; i++)
		CHECK_EQ(b.object[i], 0x3c);
	b.object[20] = 0;
	kmm_cache_free(b.t.k, b.cache, b.object);
	CHECK_EQ(tier_b_logged(&b.t, "red zone behind it"), 1);
	kmm_cache_free(b.t.k, b.cache, b.object);
	CALL(close_bench(&b));
}

KMM_TEST(debug_cache_kzalloc_still_zeroes)
{
	struct bench b;
	unsigned char *zero;
	int i;

	CALL(open_bench(&b, NULL));
	zero = kmm_cache_alloc(b.t.k, b.cache, KMM_GFP_KERNEL | KMM_GFP_ZERO);
	for (i = 0; i < 20; i++)
		CHECK_EQ(zero[i], 0);
	kmm_cache_free(b.t.k, b.cache, zero);
	kmm_cache_free(b.t.k, b.cache, b.object);
	CALL(close_bench(&b));
}
