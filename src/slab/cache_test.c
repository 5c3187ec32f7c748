/* SPDX-License-Identifier: MIT */
/*
 * Named caches: geometry, constructors, leaks, shrinking, reports, memory that runs out at every place, several CPUs.
 */
#include "harness/kernel.h"
#include "slab/fast.h"

#include <pthread.h>
#include <stdlib.h>

static const struct hosted_config pae = { .machine = { .format = KMM_I386_PAE }, .ram_bytes = 1024ull << 20 };
static const struct hosted_config wide = { .machine = { .format = KMM_X86_64 }, .ram_bytes = 64ull << 20 };

static unsigned constructed;

static void construct(void *object)
{
	constructed++;
	memset(object, 0x77, 24);
}

/* Objects of one cache keep apart, aligned, with their contents. */
static void run_geometry(struct tier_b *t, size_t size, size_t align, unsigned flags, void (*ctor)(void *))
{
	enum { NR = 60 };
	unsigned char *object[NR];
	struct kmm_cache *cache;
	unsigned i, j;

	CHECK_OK(kmm_cache_create(t->k, "geometry", size, align, flags, ctor, &cache));
	for (i = 0; i < NR; i++) {
		object[i] = kmm_cache_alloc(t->k, cache, KMM_GFP_KERNEL);
		CHECK(object[i]);
		CHECK_EQ(kmm_lowmem_pa(t->k, object[i]).v % (align ? align : 8), 0);
		memset(object[i], (int)i, size);
	}
	for (i = 0; i < NR; i++)
		for (j = 0; j < size; j++)
			CHECK_EQ(object[i][j], i);
	CHECK_EQ(kmm_slab_audit(t->k, NULL), 0);
	for (i = 0; i < NR; i++)
		kmm_cache_free(t->k, cache, object[i]);
	CHECK_OK(kmm_cache_destroy(t->k, cache));
}

KMM_TEST(cache_random_geometry)
{
	uint64_t seed = kmm_test_seed();
	struct tier_b t;
	kmm_word before;
	int i;

	CALL(tier_b_start(&t, &pae));
	before = tier_b_free_pages(&t);
	for (i = 0; i < 120; i++) {
		size_t size = (size_t)(kmm_test_rand(&seed) % (i % 2 ? 8192 : 200)) + 24;
		size_t align = i % 3 ? (size_t)1 << kmm_test_rand(&seed) % 13 : 0;

		CALL(run_geometry(&t, size > 8192 ? 8192 : size, align, i % 4 == 0 ? KMM_CACHE_DEBUG : 0,
				  i % 5 == 0 ? construct : NULL));
	}
	CALL(run_geometry(&t, 8192, 4096, KMM_CACHE_DEBUG, NULL));
	CALL(tier_b_audit(&t));
	CHECK_EQ(tier_b_free_pages(&t), before);
	CHECK_STR(hosted_log_text(t.m), "");
	tier_b_stop(&t);
}

KMM_TEST(cache_refuses_bad_arguments)
{
	struct kmm_cache *cache = NULL;
	struct tier_b t;

	CALL(tier_b_start(&t, &wide));
	CHECK_EQ(kmm_cache_create(t.k, "x", 0, 0, 0, NULL, &cache), KMM_EINVAL);
	CHECK_EQ(kmm_cache_create(t.k, "x", 8193, 0, 0, NULL, &cache), KMM_EINVAL);
	CHECK_EQ(kmm_cache_create(t.k, "x", 8, 24, 0, NULL, &cache), KMM_EINVAL);
	CHECK_EQ(kmm_cache_create(t.k, "x", 8, 8192, 0, NULL, &cache), KMM_EINVAL);
	CHECK_EQ(kmm_cache_create(t.k, "x", 8, 0, 64, NULL, &cache), KMM_EINVAL);
	CHECK(!cache);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(cache_high_is_reported_and_stripped)
{
	static const kmm_gfp flags[] = { KMM_GFP_HIGHMEM, KMM_GFP_DMA32, KMM_GFP_DMA, KMM_GFP_MOVABLE };
	struct kmm_cache *cache;
	struct tier_b t;
	unsigned i;

	CALL(tier_b_start(&t, &pae));
	CHECK_OK(kmm_cache_create(t.k, "lowly", 24, 0, 0, NULL, &cache));
	for (i = 0; i < 4; i++) {
		void *object;

		hosted_log_clear(t.m);
		object = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL | flags[i]);
		CHECK(object);
		CHECK(kmm_lowmem_pa(t.k, object).v < t.k->layout.lowmem_end);
		CHECK_EQ(tier_b_logged(&t, "slab: lowly with gfp"), 1);
		kmm_cache_free(t.k, cache, object);
	}
	CHECK_OK(kmm_cache_destroy(t.k, cache));
	tier_b_stop(&t);
}

KMM_TEST(cache_constructs_once_per_object)
{
	struct kmm_cache *cache;
	struct tier_b t;
	unsigned char *object, *again;
	unsigned after_first;

	CALL(tier_b_start(&t, &pae));
	constructed = 0;
	CHECK_OK(kmm_cache_create(t.k, "built", 24, 0, 0, construct, &cache));
	CHECK_EQ(constructed, 0);
	object = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	CHECK(object);
	after_first = constructed;
	CHECK_EQ(after_first, cache->pool->nr_objects);
	CHECK_EQ(object[0], 0x77);
	CHECK_EQ(object[23], 0x77);
	object[3] = 0x33; /* state the user keeps while the object is free */
	kmm_cache_free(t.k, cache, object);
	again = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	CHECK_PTR(again, object);
	CHECK_EQ(again[3], 0x33);
	CHECK_EQ(constructed, after_first);
	kmm_cache_free(t.k, cache, again);
	CHECK_OK(kmm_cache_destroy(t.k, cache));
	tier_b_stop(&t);
}

KMM_TEST(cache_destroy_names_what_leaks)
{
	struct kmm_cache *cache;
	struct tier_b t;
	void *object[100];
	char line[80];
	int i;

	CALL(tier_b_start(&t, &wide));
	CHECK_OK(kmm_cache_create(t.k, "a name of 23 characters and more", 100, 0, 0, NULL, &cache));
	for (i = 0; i < 100; i++)
		object[i] = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	for (i = 0; i < 100; i++)
		if (i != 7 && i != 60)
			kmm_cache_free(t.k, cache, object[i]);
	CHECK_EQ(kmm_cache_destroy(t.k, cache), KMM_EBUSY);
	CHECK_EQ(tier_b_logged(&t, "is still allocated"), 2);
	for (i = 0; i < 100; i++) {
		snprintf(line, sizeof(line), "a name of 23 characters: object 0x%llx is still allocated",
			 (unsigned long long)kmm_ptr_to_kva(t.k, object[i]).v);
		CHECK_EQ(tier_b_logged(&t, line), i == 7 || i == 60);
	}
	CALL(tier_b_audit(&t));
	kmm_cache_free(t.k, cache, object[7]);
	kmm_cache_free(t.k, cache, object[60]);
	CHECK_OK(kmm_cache_destroy(t.k, cache));
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(cache_shrink_gives_empty_slabs_back)
{
	struct kmm_cache *cache;
	struct tier_b t;
	void *object[200];
	kmm_word before, used;
	int i;

	CALL(tier_b_start(&t, &wide));
	CHECK_OK(kmm_cache_create(t.k, "shrinking", 1000, 0, 0, NULL, &cache));
	before = tier_b_free_pages(&t);
	for (i = 0; i < 200; i++)
		object[i] = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	kmm_phys_drain(t.k);
	used = before - kmm_phys_free_pages(t.k);
	CHECK(used >= 50);
	for (i = 1; i < 200; i++)
		kmm_cache_free(t.k, cache, object[i]);
	kmm_cache_shrink(t.k, cache);
	kmm_phys_drain(t.k);
	CHECK_EQ(before - kmm_phys_free_pages(t.k), 1u << cache->pool->order); /* one object keeps its slab */
	kmm_cache_free(t.k, cache, object[0]);
	CHECK_EQ(kmm_cache_shrink(t.k, cache), 1u << cache->pool->order);
	CHECK_EQ(kmm_cache_shrink(t.k, cache), 0);
	tier_b_stop(&t);
}

/* The row of a cache in slabinfo. */
static void find_row(struct kmm *k, const char *name, char *row, size_t size)
{
	struct hosted_text text;
	const char *at;
	char key[32];

	kmm_report_slabinfo(k, hosted_text_init(&text));
	CHECK(!strncmp(text.text,
		       "slabinfo - version: 2.1\n"
		       "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> "
		       "<batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n", 201));
	snprintf(key, sizeof(key), "\n%s ", name);
	at = strstr(text.text, key);
	CHECK(at);
	snprintf(row, size, "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
	hosted_text_free(&text);
}

KMM_TEST(slabinfo_counts_what_callers_hold)
{
	struct kmm_cache *cache;
	struct tier_b t;
	void *object[50];
	char row[200];
	int i;

	CALL(tier_b_start(&t, &pae));
	CHECK_OK(kmm_cache_create(t.k, "rows", 200, 0, 0, NULL, &cache));
	CALL(find_row(t.k, "rows", row, sizeof(row)));
	CHECK_STR(row, "rows                   0      0    200   20    1 : tunables    0    0    0 : slabdata      0      0      0");
	for (i = 0; i < 50; i++)
		object[i] = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	for (i = 0; i < 5; i++)
		kmm_cache_free(t.k, cache, object[i]);
	CALL(find_row(t.k, "rows", row, sizeof(row)));
	CHECK_EQ(strtol(row + 17, NULL, 10), 45);
	kmm_cache_shrink(t.k, cache);
	CALL(find_row(t.k, "rows", row, sizeof(row)));
	CHECK_STR(row, "rows                  45     60    200   20    1 : tunables    0    0    0 : slabdata      3      3      0");
	CALL(find_row(t.k, "kmalloc-96", row, sizeof(row)));
	CALL(find_row(t.k, "dma-kmalloc-8k", row, sizeof(row)));
	tier_b_stop(&t);
}

KMM_TEST(slab_owner_of_any_page)
{
	struct tier_b t;
	char *object;
	struct kmm_page *page;

	CALL(tier_b_start(&t, &wide));
	object = kmm_kmalloc(t.k, 8192, KMM_GFP_KERNEL);
	CHECK_STR(kmm_slab_owner(t.k, kmm_virt_to_page(t.k, object)), "kmalloc-8k");
	CHECK_STR(kmm_slab_owner(t.k, kmm_virt_to_page(t.k, object + 4096)), "kmalloc-8k");
	page = kmm_alloc_pages(t.k, KMM_GFP_KERNEL, 3);
	CHECK_STR(kmm_slab_owner(t.k, page), "");
	CHECK_STR(kmm_slab_owner(t.k, (struct kmm_page *)(void *)((char *)page + 2 * kmm_page_stride(t.k))), "");
	tier_b_stop(&t);
}

static unsigned events[KMM_NR_EVENTS];

static void count_event(void *arg, const struct kmm_trace_event *event)
{
	(void)arg;
	events[event->id]++;
}

KMM_TEST(slab_traces_allocation_and_free)
{
	struct kmm_cache *cache;
	struct tier_b t;

	CALL(tier_b_start(&t, &pae));
	CHECK_OK(kmm_cache_create(t.k, "traced", 40, 0, 0, NULL, &cache));
	memset(events, 0, sizeof(events));
	kmm_set_trace(t.k, count_event, NULL);
	kmm_cache_free(t.k, cache, kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL));
	kmm_kfree(t.k, kmm_kmalloc(t.k, 10, KMM_GFP_KERNEL));
	kmm_kfree(t.k, kmm_kzalloc(t.k, 50000, KMM_GFP_KERNEL));
	kmm_set_trace(t.k, NULL, NULL);
	CHECK_EQ(events[KMM_EV_KMALLOC], 3);
	CHECK_EQ(events[KMM_EV_KFREE], 3);
	tier_b_stop(&t);
}

/* ---- out of memory, everywhere ---- */

static enum kmm_status use_caches(struct tier_b *t)
{
	struct kmm_cache *cache;
	enum kmm_status status = kmm_cache_create(t->k, "unlucky", 700, 0, 0, NULL, &cache);
	void *a, *b, *c;

	if (status)
		return status;
	a = kmm_cache_alloc(t->k, cache, KMM_GFP_KERNEL);
	b = kmm_kmalloc(t->k, 300, KMM_GFP_KERNEL);
	c = kmm_kmalloc(t->k, 30000, KMM_GFP_KERNEL | KMM_GFP_DMA);
	if (a)
		kmm_cache_free(t->k, cache, a);
	kmm_kfree(t->k, b);
	kmm_kfree(t->k, c);
	status = kmm_cache_destroy(t->k, cache);
	return a && b && c ? status : KMM_ENOMEM;
}

KMM_TEST(slab_survives_every_failure)
{
	enum kmm_status status = KMM_ENOMEM;
	struct tier_b t;
	kmm_word before;
	uint64_t n;

	CALL(tier_b_start(&t, &pae));
	before = tier_b_free_pages(&t);
	for (n = 1; status; n++) {
		CHECK(n < 50);
		kmm_slab_shrink_all(t.k);
		kmm_fail_nth(t.k, n);
		status = use_caches(&t);
		CHECK(status == KMM_OK || status == KMM_ENOMEM);
		kmm_fail_nth(t.k, 0);
		CALL(tier_b_audit(&t));
		CHECK_EQ(tier_b_free_pages(&t), before);
	}
	CHECK(n > 6);
	tier_b_stop(&t);
}

KMM_TEST(tier_b_start_survives_every_failure)
{
	struct hosted_config config = pae;
	enum kmm_status status = KMM_ENOMEM;
	struct tier_b t;
	uint64_t n;

	config.tier = HOSTED_FRAMES;
	for (n = 1; status; n += n < 8 ? 1 : n / 8) {
		CHECK(n < 20000);
		CALL(tier_b_start(&t, &config));
		kmm_fail_nth(t.k, n);
		status = kmm_init_kernel(t.k);
		CHECK(status == KMM_OK || status == KMM_ENOMEM);
		CALL(tier_b_audit(&t));
		tier_b_stop(&t);
	}
	CHECK(n > 60);
}

/* ---- several CPUs ---- */

enum { CPUS = 4, SHARED = 256 };

struct crowd {
	struct tier_b t;
	struct kmm_cache *cache;
	_Atomic(void *) shared[SHARED];
	uint64_t seed;
	atomic_uint broken;
};

struct member {
	struct crowd *crowd;
	unsigned cpu;
};

/* Objects are handed from CPU to CPU through the table: each is freed by whoever takes it out. */
static void *play(void *arg)
{
	struct member *me = arg;
	struct crowd *c = me->crowd;
	uint64_t seed = c->seed + me->cpu;
	int i;

	hosted_set_cpu(me->cpu);
	for (i = 0; i < 30000; i++) {
		uint32_t *mine = kmm_cache_alloc(c->t.k, c->cache, KMM_GFP_KERNEL), *other;

		if (mine)
			mine[0] = mine[7] = (uint32_t)(uintptr_t)mine;
		other = atomic_exchange(&c->shared[kmm_test_rand(&seed) % SHARED], mine);
		if (!other)
			continue;
		if (other[0] != (uint32_t)(uintptr_t)other || other[7] != other[0])
			atomic_fetch_add(&c->broken, 1);
		kmm_cache_free(c->t.k, c->cache, other);
	}
	return NULL;
}

KMM_TEST(cache_serves_several_cpus)
{
	struct hosted_config config = wide;
	static struct crowd c;
	struct member member[CPUS];
	pthread_t thread[CPUS];
	unsigned i;

	config.machine.nr_cpus = CPUS;
	config.threads = true;
	CALL(tier_b_start(&c.t, &config));
	CHECK_OK(kmm_cache_create(c.t.k, "crowded", 32, 0, 0, NULL, &c.cache));
	c.seed = kmm_test_seed();
	for (i = 0; i < CPUS; i++) {
		member[i] = (struct member){ &c, i };
		CHECK_EQ(pthread_create(&thread[i], NULL, play, &member[i]), 0);
	}
	for (i = 0; i < CPUS; i++)
		pthread_join(thread[i], NULL);
	CHECK_EQ(atomic_load(&c.broken), 0);
	CALL(tier_b_audit(&c.t));
	for (i = 0; i < SHARED; i++)
		if (c.shared[i])
			kmm_cache_free(c.t.k, c.cache, c.shared[i]);
	CHECK_OK(kmm_cache_destroy(c.t.k, c.cache));
	CALL(tier_b_audit(&c.t));
	tier_b_stop(&c.t);
}

/* ---- the audit itself ---- */

static void check_complaint(struct tier_b *t, const char *what)
{
	struct hosted_text text;

	CHECK(tier_b_audit_into(t->k, hosted_text_init(&text)) > 0);
	CHECK(strstr(text.text, what));
	hosted_text_free(&text);
}

KMM_TEST(slab_audit_sees_damage)
{
	struct kmm_magazine *magazine;
	struct kmm_cache *cache;
	struct kmm_page *page;
	struct tier_b t;
	uint32_t *object;
	void *was;

	CALL(tier_b_start(&t, &wide));
	CHECK_OK(kmm_cache_create(t.k, "damaged", 72, 0, 0, NULL, &cache));
	object = kmm_cache_alloc(t.k, cache, KMM_GFP_KERNEL);
	kmm_cache_free(t.k, cache, object);
	CHECK_EQ(tier_b_complaints(&t), 0);
	magazine = cache->pool->magazine[0];
	was = magazine->slot[1];
	magazine->slot[1] = object; /* it is the last one, too */
	CALL(check_complaint(&t, "in two magazines"));
	magazine->slot[1] = (char *)was + 8;
	CALL(check_complaint(&t, "no object of it"));
	magazine->slot[1] = was;
	object[1] = 0;
	CALL(check_complaint(&t, "was written to"));
	object[1] = KMM_FREE_MARK;
	cache->pool->inuse++;
	CALL(check_complaint(&t, "objects in use is wrong"));
	cache->pool->inuse--;
	cache->pool->nr_slabs++;
	CALL(check_complaint(&t, "count of slabs is wrong"));
	cache->pool->nr_slabs--;
	page = kmm_virt_to_page(t.k, object);
	atomic_fetch_sub(&page->count, 1);
	CALL(check_complaint(&t, "is not all"));
	atomic_fetch_add(&page->count, 1);
	kmm_set_pool(t.k, page, t.k->slab->cache_cache.pool);
	CHECK(tier_b_complaints(&t) > 0);
	kmm_set_pool(t.k, page, (void *)((char *)cache->pool + 64));
	CALL(check_complaint(&t, "belongs to no pool"));
	kmm_set_pool(t.k, page, cache->pool);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}
