/* SPDX-License-Identifier: MIT */
/*
 * Every mistaken free with every kind of cache: it is named in the log, it is fatal where a plain cache's assertions are on,
 * and where it is not (checked caches, builds without assertions) it changes nothing: what was allocated still is,
 * with its content, and can be freed.
 */
#include "harness/kernel.h"
#include "slab/fast.h"

static const struct hosted_config pae = { .machine = { .format = KMM_I386_PAE }, .ram_bytes = 512ull << 20 };

enum { SIZE = 1000, FILL = 0xa7 };

enum mistake { DOUBLE, DOUBLE_LATER, OTHER_CACHE, OF_KMALLOC, OF_FRAMES, OF_VMALLOC, INSIDE, INSIDE_TAIL, NOWHERE, NR_MISTAKES };

static const char *const said[NR_MISTAKES] = {
	[DOUBLE] = "is freed twice", [DOUBLE_LATER] = "is freed twice", [OTHER_CACHE] = "belongs to other",
	[OF_KMALLOC] = "belongs to kmalloc-", [OF_FRAMES] = "belongs to no cache", [OF_VMALLOC] = "belongs to no cache",
	[INSIDE] = "is not the start of an object", [INSIDE_TAIL] = "is not the start of an object",
	[NOWHERE] = "belongs to no cache",
};

struct scene {
	struct tier_b t;
	struct kmm_cache *cache, *other;
	enum mistake mistake;
	bool bulk;
	unsigned char *mine, *others;
	void *freed, *neighbour[40];
};

static void construct(void *object)
{
	memset(object, FILL, SIZE);
}

static void set_stage(struct scene *s, unsigned flags, void (*ctor)(void *object))
{
	unsigned i;

	CALL(tier_b_start(&s->t, &pae));
	CHECK_OK(kmm_cache_create(s->t.k, "victim", SIZE, 0, flags | KMM_CACHE_NO_MERGE, ctor, &s->cache));
	CHECK_OK(kmm_cache_create(s->t.k, "other", SIZE, 0, flags | KMM_CACHE_NO_MERGE, ctor, &s->other));
	for (i = 0; i < 40; i++)
		CHECK((s->neighbour[i] = kmm_cache_alloc(s->t.k, s->cache, KMM_GFP_KERNEL)) != NULL);
	s->mine = kmm_cache_alloc(s->t.k, s->cache, KMM_GFP_KERNEL);
	s->others = kmm_cache_alloc(s->t.k, s->other, KMM_GFP_KERNEL);
	s->freed = kmm_cache_alloc(s->t.k, s->cache, KMM_GFP_KERNEL);
	CHECK(s->mine && s->others && s->freed);
	memset(s->mine, FILL, SIZE);
	memset(s->others, FILL, SIZE);
	kmm_cache_free(s->t.k, s->cache, s->freed);
}

/* A frame's boundary that lies inside an object: nothing tells but the slab's geometry. */
static void *inside_tail(struct scene *s)
{
	const struct kmm_pool *pool = kmm_cache_pool(s->cache);
	char *base = (char *)((uintptr_t)s->mine - kmm_slab_offset(s->t.k, pool, s->mine));

	return base + (pool->order ? KMM_PAGE_SIZE : 8);
}

static void *victim(struct scene *s)
{
	switch (s->mistake) {
	case DOUBLE:
	case DOUBLE_LATER:
		return s->freed;
	case OTHER_CACHE:
		return s->others;
	case OF_KMALLOC:
		return kmm_kmalloc(s->t.k, SIZE, KMM_GFP_KERNEL);
	case OF_FRAMES:
		return kmm_get_free_pages(s->t.k, KMM_GFP_KERNEL, 1);
	case OF_VMALLOC:
		return kmm_vmalloc(s->t.k, SIZE, "victim");
	case INSIDE:
		return s->mine + 8;
	case INSIDE_TAIL:
		return inside_tail(s);
	default:
		return &s->mistake; /* not memory of the machine at all */
	}
}

static void err(void *arg)
{
	struct scene *s = arg;
	void *what = victim(s);
	unsigned i;

	if (s->mistake == DOUBLE_LATER)
		for (i = 0; i < 40; i++)
			kmm_cache_free(s->t.k, s->cache, s->neighbour[i]);
	if (s->bulk)
		kmm_cache_free_bulk(s->t.k, s->cache, 1, &what);
	else
		kmm_cache_free(s->t.k, s->cache, what);
}

static bool is_whole(const unsigned char *object)
{
	unsigned i;

	for (i = 0; i < SIZE; i++)
		if (object[i] != FILL)
			return false;
	return true;
}

/* Nobody gets an object twice, and all goes back. */
static void check_after(struct scene *s)
{
	void *object[100];
	unsigned i, j;

	CHECK(is_whole(s->mine) && is_whole(s->others));
	for (i = 0; i < 100; i++) {
		object[i] = kmm_cache_alloc(s->t.k, s->cache, KMM_GFP_KERNEL);
		CHECK(object[i] && object[i] != s->mine);
		for (j = 0; j < i; j++)
			CHECK(object[j] != object[i]);
	}
	for (i = 0; i < 100; i++)
		kmm_cache_free(s->t.k, s->cache, object[i]);
	for (i = 0; i < 40 && s->mistake != DOUBLE_LATER; i++)
		kmm_cache_free(s->t.k, s->cache, s->neighbour[i]);
	kmm_cache_free(s->t.k, s->cache, s->mine);
	kmm_cache_free(s->t.k, s->other, s->others);
	CALL(tier_b_audit(&s->t));
	CHECK_OK(kmm_cache_destroy(s->t.k, s->cache));
	CHECK_OK(kmm_cache_destroy(s->t.k, s->other));
}

static void play(enum mistake mistake, unsigned flags, void (*ctor)(void *object), bool bulk)
{
	struct scene s = { .mistake = mistake, .bulk = bulk };
	bool fatal;

	CALL(set_stage(&s, flags, ctor));
	fatal = hosted_catch_fatal(s.t.m, err, &s, NULL);
	CHECK_EQ(fatal, KMM_DEBUG >= 1 && !(flags & KMM_CACHE_DEBUG));
	CHECK_EQ(tier_b_logged(&s.t, said[mistake]), 1);
	CHECK_EQ(tier_b_logged(&s.t, "slab: victim: "), 1);
	if (!fatal)
		CALL(check_after(&s));
	tier_b_stop(&s.t);
}

static void play_all(unsigned flags, void (*ctor)(void *object))
{
	unsigned i;

	for (i = 0; i < NR_MISTAKES; i++) {
		CALL(play((enum mistake)i, flags, ctor, false));
		CALL(play((enum mistake)i, flags, ctor, true));
	}
}

KMM_TEST(mistaken_frees_of_plain_caches_are_refused)
{
	CALL(play_all(0, NULL));
}

KMM_TEST(mistaken_frees_of_constructing_caches_are_refused)
{
	CALL(play_all(0, construct));
}

KMM_TEST(mistaken_frees_of_checked_caches_are_refused)
{
	static const unsigned checks[] = { KMM_CACHE_RED_ZONE, KMM_CACHE_POISON, KMM_CACHE_OWNER, KMM_CACHE_DEBUG };
	unsigned i;

	for (i = 0; i < 4; i++)
		CALL(play_all(checks[i], NULL));
	CALL(play_all(KMM_CACHE_DEBUG, construct));
}

struct size_of {
	struct tier_b t;
	size_t size;
	void *object;
};

static void ask_size(void *arg)
{
	struct size_of *x = arg;

	x->size = kmm_ksize(x->t.k, x->object);
}

KMM_TEST(ksize_of_foreign_pointers_is_refused)
{
	struct size_of x = { .size = 77 };

	CALL(tier_b_start(&x.t, &pae));
	x.object = kmm_get_free_pages(x.t.k, KMM_GFP_KERNEL, 0);
	CALL(tier_b_refuses(&x.t, ask_size, &x, NULL));
	CHECK_EQ(tier_b_logged(&x.t, "ksize: 0x"), 1);
	CHECK_EQ(x.size, KMM_DEBUG >= 1 ? 77 : 0);
	tier_b_stop(&x.t);
}
