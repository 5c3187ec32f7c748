/* SPDX-License-Identifier: MIT */
/*
 * Every call of the slab layer at once: kmalloc, caches of all sorts, bulk, pools, shrinkers, reports, checks switched on and
 * off in use. Objects are freed by whoever has them.
 */
#include "crew.h"

#include <pthread.h>

enum { KMALLOC, CACHE_FIRST, PLAIN = CACHE_FIRST, WITH_CTOR, CHECKED, ALONE, SWITCHED, NR_SORTS, NR_CACHES = NR_SORTS - 1,
       POOLED = NR_SORTS };
static const size_t cache_size[NR_SORTS] = { 0, 192, 64, 100, 40, 56 };

struct store {
	struct kmm_cache *cache[NR_SORTS];
	struct kmm_mempool *pool;
};

static void construct(void *object)
{
	memset(object, 0x5a, 8);
}

static struct store *store_of(struct hand *h)
{
	return h->crew->shared;
}

static size_t stamped(const struct thing *t)
{
	return t->size < 48 ? t->size : 48;
}

static void drop(struct hand *h, struct thing *t)
{
	bool good = hand_stamp_holds(t, t->what, stamped(t));
	void *what = t->what;

	t->what = NULL;
	if (t->sort == POOLED)
		kmm_mempool_free(h->k, store_of(h)->pool, what);
	else if (t->sort == KMALLOC || hand_dice(h, 4) == 0)
		kmm_kfree(h->k, what);
	else
		kmm_cache_free(h->k, store_of(h)->cache[t->sort], what);
	HAND_CHECK(h, good);
}

static void take(struct hand *h, struct thing *t)
{
	kmm_gfp gfp = hand_dice(h, 3) ? KMM_GFP_KERNEL : KMM_GFP_ATOMIC;

	t->sort = hand_dice(h, 2) ? KMALLOC : hand_dice(h, NR_SORTS + 1);
	if (t->sort == KMALLOC) {
		t->size = hand_dice(h, 16) ? hand_dice(h, 1200) : hand_dice(h, 20000);
		t->what = kmm_kmalloc(h->k, t->size, gfp | KMM_GFP_NOWARN);
	} else if (t->sort == POOLED) {
		t->size = 128;
		t->what = kmm_mempool_alloc(h->k, store_of(h)->pool, gfp | KMM_GFP_NOWARN);
	} else {
		t->size = cache_size[t->sort];
		t->what = kmm_cache_alloc(h->k, store_of(h)->cache[t->sort], gfp | KMM_GFP_NOWARN);
	}
	if (!t->what)
		return;
	t->stamp = (uint32_t)kmm_test_rand(&h->rng);
	HAND_CHECK(h, t->sort == POOLED || kmm_ksize(h->k, t->what) >= t->size);
	hand_stamp(t, t->what, stamped(t));
}

static void bulk(struct hand *h)
{
	struct kmm_cache *cache = store_of(h)->cache[CACHE_FIRST + hand_dice(h, NR_CACHES)];
	size_t nr = 1 + hand_dice(h, 60);
	void *object[60];

	if (!kmm_cache_alloc_bulk(h->k, cache, KMM_GFP_KERNEL | KMM_GFP_NOWARN, nr, object))
		return;
	for (size_t i = 0; i < nr; i++)
		memset(object[i], (int)h->cpu, 40);
	kmm_cache_free_bulk(h->k, cache, nr, object);
}

static void own_cache(struct hand *h)
{
	char name[24];
	struct kmm_cache *cache;
	void *object[12];

	snprintf(name, sizeof(name), "race-%u-%u", h->cpu, hand_dice(h, 4));
	if (kmm_cache_create(h->k, name, 8 + hand_dice(h, 400), 0, hand_dice(h, 2) ? KMM_CACHE_NO_MERGE : 0, NULL, &cache))
		return;
	HAND_CHECK(h, kmm_cache_find(h->k, name) != NULL);
	for (unsigned i = 0; i < 12; i++)
		object[i] = kmm_cache_alloc(h->k, cache, KMM_GFP_KERNEL);
	for (unsigned i = 0; i < 12; i++)
		if (object[i])
			kmm_cache_free(h->k, cache, object[i]);
	HAND_CHECK(h, kmm_cache_destroy(h->k, cache) == KMM_OK);
}

static void own_pool(struct hand *h)
{
	struct kmm_mempool_source source = kmm_mempool_of_kmalloc(96);
	struct kmm_mempool *pool;
	void *element;

	if (kmm_mempool_create(h->k, 2, &source, &pool))
		return;
	element = kmm_mempool_alloc(h->k, pool, KMM_GFP_KERNEL);
	HAND_CHECK(h, element && kmm_mempool_reserve(pool) <= 2);
	HAND_CHECK(h, kmm_mempool_resize(h->k, pool, 1 + hand_dice(h, 4)) != KMM_EINVAL);
	kmm_mempool_free(h->k, pool, element);
	HAND_CHECK(h, kmm_mempool_destroy(h->k, pool) == KMM_OK);
}

/* A shrinker with a page or two to give. */
struct giver {
	struct kmm_shrinker shrinker; /* first */
	pthread_mutex_t lock;
	struct kmm_page *page[2];
};

static kmm_word giver_count(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp)
{
	struct giver *g = (struct giver *)(void *)self;
	kmm_word nr;

	(void)k, (void)gfp;
	pthread_mutex_lock(&g->lock);
	nr = (g->page[0] != NULL) + (g->page[1] != NULL);
	pthread_mutex_unlock(&g->lock);
	return nr;
}

static kmm_word giver_scan(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp, kmm_word nr)
{
	struct giver *g = (struct giver *)(void *)self;
	kmm_word freed = 0;

	(void)gfp;
	pthread_mutex_lock(&g->lock);
	for (unsigned i = 0; i < 2 && freed < nr; i++)
		if (g->page[i]) {
			kmm_put_page(k, g->page[i]);
			g->page[i] = NULL;
			freed++;
		}
	pthread_mutex_unlock(&g->lock);
	return freed;
}

static void shrink(struct hand *h)
{
	struct giver g = { .shrinker = { .name = "giver", .count = giver_count, .scan = giver_scan } };

	pthread_mutex_init(&g.lock, NULL);
	for (unsigned i = 0; i < 2; i++)
		g.page[i] = kmm_alloc_pages(h->k, KMM_GFP_KERNEL | KMM_GFP_NOWARN, 0);
	kmm_shrinker_register(h->k, &g.shrinker);
	kmm_shrink(h->k, KMM_GFP_KERNEL, 1 + hand_dice(h, 8));
	kmm_shrinker_unregister(h->k, &g.shrinker);
	giver_scan(h->k, &g.shrinker, KMM_GFP_KERNEL, 2);
	pthread_mutex_destroy(&g.lock);
}

static void rare(struct hand *h)
{
	static const unsigned checks[] = { 0, KMM_CACHE_POISON, KMM_CACHE_RED_ZONE, KMM_CACHE_DEBUG };
	struct store *s = store_of(h);
	enum kmm_status status;

	switch (hand_dice(h, 7)) {
	case 0:
		own_cache(h);
		break;
	case 1:
		own_pool(h);
		break;
	case 2:
		shrink(h);
		break;
	case 3:
		kmm_cache_shrink(h->k, s->cache[CACHE_FIRST + hand_dice(h, NR_CACHES)]);
		break;
	case 4:
		status = kmm_cache_set_debug(h->k, s->cache[SWITCHED], checks[hand_dice(h, 4)]);
		HAND_CHECK(h, status == KMM_OK || status == KMM_ENOMEM);
		break;
	case 5:
		kmm_report_slabinfo(h->k, &h->sink);
		break;
	default:
		kmm_report_slab_aliases(h->k, &h->sink);
	}
}

static void step(struct hand *h)
{
	unsigned n = hand_dice(h, 32);

	if (n == 0)
		rare(h);
	else if (n == 1)
		bulk(h);
	else if (n < 8)
		hand_swap(h, hand_slot(h));
	else
		hand_toggle(h);
}

static void stock(struct crew *c, struct store *s)
{
	struct kmm_mempool_source source;

	CHECK_OK(kmm_cache_create(c->k, "race-plain", cache_size[PLAIN], 0, 0, NULL, &s->cache[PLAIN]));
	CHECK_OK(kmm_cache_create(c->k, "race-ctor", cache_size[WITH_CTOR], 64, 0, construct, &s->cache[WITH_CTOR]));
	CHECK_OK(kmm_cache_create(c->k, "race-checked", cache_size[CHECKED], 0, KMM_CACHE_DEBUG, NULL, &s->cache[CHECKED]));
	CHECK_OK(kmm_cache_create(c->k, "race-alone", cache_size[ALONE], 0, KMM_CACHE_NO_MERGE, NULL, &s->cache[ALONE]));
	CHECK_OK(kmm_cache_create(c->k, "race-switched", cache_size[SWITCHED], 0, KMM_CACHE_NO_MERGE, NULL,
				  &s->cache[SWITCHED]));
	source = kmm_mempool_of_kmalloc(128);
	CHECK_OK(kmm_mempool_create(c->k, 4, &source, &s->pool));
	c->shared = s;
}

static void hammer(uint64_t ram)
{
	static struct crew c;
	struct store s = { 0 };

	CALL(crew_boot(&c, KMM_X86_64, ram, HOSTED_KERNEL));
	CALL(stock(&c, &s));
	c.step = step;
	c.take = take;
	c.drop = drop;
	CALL(crew_work(&c));
	CALL(crew_clear(&c));
	for (unsigned i = CACHE_FIRST; i < NR_SORTS; i++)
		CHECK_OK(kmm_cache_destroy(c.k, s.cache[i]));
	CHECK_OK(kmm_mempool_destroy(c.k, s.pool));
	crew_end(&c);
}

KMM_TEST(race_objects)
{
	hammer(CREW_MIB(256));
}

KMM_TEST(race_objects_in_little_memory)
{
	hammer(CREW_MIB(16));
}
