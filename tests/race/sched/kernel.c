/* SPDX-License-Identifier: MIT */
/*
 * Kernel memory: views and areas against their flushes, objects against those who take them back, sleepers against those
 * who wake them.
 */
#include "ground.h"

#include "kva/kva.h"
#include "phys/phys.h"
#include "slab/slab.h"

enum { RW = KMM_PROT_READ | KMM_PROT_WRITE };

static struct kmm *start(enum kmm_format_id format, unsigned ram_mib, unsigned low_mib)
{
	struct ground_config config = { .format = format, .ram_mib = ram_mib, .low_mib = low_mib, .kernel_only = true };
	struct kmm *k = ground_boot(&config);

	ground_warm_up();
	return k;
}

/* ---- vmalloc: an area given back without a flush x its addresses and frames used again ---- */

static void with_areas(void)
{
	struct kmm *k = start(KMM_X86_64, 8, 0);

	for (unsigned cpu = 0; cpu < 2; cpu++) { /* each TLB knows the first addresses of the region */
		void *area;

		ground_play(cpu);
		area = kmm_vmalloc(k, PAGE, "race");
		SCHED_CHECK(area && ground_kernel_poke(area, 5));
		kmm_vfree(k, area);
	}
	ground_play(0);
	ground_keep();
}

/* Is what was written there? */
static void use_area(unsigned pages, uint8_t byte)
{
	char *area = kmm_vmalloc(ground(), pages * PAGE, "race");

	SCHED_CHECK(area);
	for (unsigned i = 0; i < pages; i++)
		SCHED_CHECK(ground_kernel_poke(area + i * PAGE, byte));
	for (unsigned i = 0; i < pages; i++)
		SCHED_CHECK(ground_kernel_peek(area + i * PAGE) == byte);
	kmm_vfree(ground(), area);
}

static void use_small_area(void)
{
	use_area(1, 1);
}

static void purge_and_use_large_area(void)
{
	kmm_vmalloc_purge(ground());
	use_area(2, 2);
}

static void areas_are_gone(void)
{
	kmm_vmalloc_purge(ground());
	ground_judge();
}

SCHED_CASE(vfree_reuse, .threads = 2, .setup = with_areas, .body = { use_small_area, purge_and_use_large_area },
	   .finish = areas_are_gone);

/* ---- kmap: sleepers for a full window x those who leave it ---- */

enum { EXTRA = 2 };
static struct kmm_page *mapped[KMM_PERCPU_UNIT / 8], *extra[EXTRA];
static unsigned nr_mapped;

static void full_window(void)
{
	struct kmm *k = start(KMM_I386_PAE, 24, 16);
	struct kmm_kmap_info info;

	kmm_kmap_info(k, &info);
	for (unsigned i = 0; i < EXTRA; i++)
		SCHED_CHECK((extra[i] = kmm_alloc_pages(k, KMM_GFP_HIGHUSER, 0)) && kmm_page_is_high(extra[i]));
	for (nr_mapped = 0; nr_mapped < info.slots; nr_mapped++) {
		mapped[nr_mapped] = kmm_alloc_pages(k, KMM_GFP_HIGHUSER, 0);
		SCHED_CHECK(mapped[nr_mapped] && kmm_kmap(k, mapped[nr_mapped]));
	}
	ground_keep();
}

static void leave_window(void)
{
	kmm_kunmap(ground(), mapped[0]);
}

static void visit_window(unsigned i)
{
	void *view = kmm_kmap(ground(), extra[i]);

	SCHED_CHECK(view);
	ground_notes()[i]++;
	kmm_kunmap(ground(), extra[i]);
}

static void visit_first(void) { visit_window(0); }
static void visit_second(void) { visit_window(1); }

static void all_were_in(void)
{
	struct kmm_kmap_info info;

	SCHED_CHECK(ground_notes()[0] == 1 && ground_notes()[1] == 1);
	kmm_kmap_info(ground(), &info);
	SCHED_CHECK(info.used == nr_mapped - 1);
	ground_judge();
}

SCHED_CASE(kmap_full, .threads = 3, .setup = full_window, .body = { visit_first, visit_second, leave_window },
	   .finish = all_were_in);

/* ---- memory pools: sleepers x elements that come back ---- */

static struct kmm_mempool *pool;
static char element;

static bool is_filling;

static void *give_nothing(struct kmm *k, void *arg, kmm_gfp gfp)
{
	(void)k, (void)arg, (void)gfp;
	return is_filling ? &element : NULL;
}

static void take_nothing(struct kmm *k, void *arg, void *what)
{
	(void)k, (void)arg, (void)what;
	sched_fail("an element went back to a source that has none");
}

static void one_element(void)
{
	struct kmm_mempool_source source = { give_nothing, take_nothing, NULL, 0 };
	struct kmm *k = start(KMM_X86_64, 8, 0);

	is_filling = true;
	SCHED_CHECK(kmm_mempool_create(k, 1, &source, &pool) == KMM_OK);
	is_filling = false;
	ground_keep();
}

/* Two holders at once would find the note set. */
static void borrow(void)
{
	void *have = kmm_mempool_alloc(ground(), pool, KMM_GFP_KERNEL);
	int *holder = &ground_notes()[0];

	SCHED_CHECK(have == &element && *holder == 0);
	*holder = 1;
	sched_point(holder, SCHED_WRITE);
	*holder = 0;
	kmm_mempool_free(ground(), pool, have);
}

static void is_back(void)
{
	SCHED_CHECK(kmm_mempool_reserve(pool) == 1);
	ground_judge();
}

SCHED_CASE(mempool_sleepers, .threads = 3, .setup = one_element, .body = { borrow, borrow, borrow }, .finish = is_back);

/* ---- slab: objects freed by another CPU x shrinking ---- */

enum { OBJECTS = 20, SIZE = 512 };
static struct kmm_cache *cache, *other_cache;
static void *object[OBJECTS];

static void with_objects(void)
{
	struct kmm *k = start(KMM_X86_64, 8, 0);

	SCHED_CHECK(kmm_cache_create(k, "race", SIZE, 0, KMM_CACHE_NO_MERGE, NULL, &cache) == KMM_OK);
	for (unsigned i = 0; i < OBJECTS; i++)
		object[i] = kmm_cache_alloc(k, cache, KMM_GFP_KERNEL);
	ground_keep();
}

/* Objects that two have show as a wrong number. */
static void take_some(int number)
{
	int *mine[4];

	for (unsigned i = 0; i < 4; i++) {
		mine[i] = kmm_cache_alloc(ground(), cache, KMM_GFP_KERNEL);
		SCHED_CHECK(mine[i]);
		*mine[i] = number + (int)i;
	}
	for (unsigned i = 0; i < 4; i++) {
		SCHED_CHECK(*mine[i] == number + (int)i);
		kmm_cache_free(ground(), cache, mine[i]);
	}
}

static void free_half_and_take(void)
{
	for (unsigned i = 0; i < OBJECTS / 2; i++)
		kmm_cache_free(ground(), cache, object[i]);
	take_some(100);
}

static void free_other_half_and_take(void)
{
	for (unsigned i = OBJECTS / 2; i < OBJECTS; i++)
		kmm_cache_free(ground(), cache, object[i]);
	take_some(200);
}

static void shrink(void)
{
	kmm_cache_shrink(ground(), cache);
}

static void cache_can_go(void)
{
	ground_judge();
	SCHED_CHECK(kmm_cache_destroy(ground(), cache) == KMM_OK);
	ground_judge();
}

SCHED_CASE(slab_remote_free, .threads = 3, .setup = with_objects,
	   .body = { free_half_and_take, free_other_half_and_take, shrink }, .finish = cache_can_go);

/* ---- slab: a cache that goes x one that could share its pool ---- */

static void lone_cache(void)
{
	struct kmm *k = start(KMM_X86_64, 8, 0);

	SCHED_CHECK(kmm_cache_create(k, "going", 7000, 0, 0, NULL, &cache) == KMM_OK);
	kmm_cache_free(k, cache, kmm_cache_alloc(k, cache, KMM_GFP_KERNEL));
	ground_keep();
}

static void destroy(void)
{
	SCHED_CHECK(kmm_cache_destroy(ground(), cache) == KMM_OK);
}

static void come_and_use(void)
{
	struct kmm *k = ground();
	void *a, *b;

	SCHED_CHECK(kmm_cache_create(k, "coming", 7000, 0, 0, NULL, &other_cache) == KMM_OK);
	a = kmm_cache_alloc(k, other_cache, KMM_GFP_KERNEL);
	b = kmm_cache_alloc(k, other_cache, KMM_GFP_KERNEL);
	SCHED_CHECK(a && b && a != b);
	kmm_cache_free(k, other_cache, a);
	a = kmm_cache_alloc(k, other_cache, KMM_GFP_KERNEL);
	SCHED_CHECK(a && a != b);
	kmm_cache_free(k, other_cache, a);
	kmm_cache_free(k, other_cache, b);
}

static void other_can_go(void)
{
	ground_judge();
	SCHED_CHECK(kmm_cache_destroy(ground(), other_cache) == KMM_OK);
	ground_judge();
}

SCHED_CASE(cache_destroy_join, .threads = 2, .setup = lone_cache, .body = { destroy, come_and_use }, .finish = other_can_go);

/* ---- shrinkers: one that leaves x those who ask ---- */

/* Whoever is in it finds that it is still registered. */
static void is_registered(void)
{
	int *gone = &ground_notes()[0];

	sched_point(gone, SCHED_READ);
	SCHED_CHECK(*gone == 0);
}

static kmm_word count_some(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp)
{
	(void)k, (void)self, (void)gfp;
	is_registered();
	return 40;
}

static kmm_word scan_some(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp, kmm_word nr)
{
	(void)k, (void)self, (void)gfp, (void)nr;
	is_registered();
	return 0;
}

static struct kmm_shrinker shrinker = { .name = "race", .count = count_some, .scan = scan_some };

static void with_shrinker(void)
{
	struct kmm *k = start(KMM_X86_64, 8, 0);

	kmm_shrinker_register(k, &shrinker);
	ground_keep();
	sched_keep(&shrinker, sizeof(shrinker));
}

static void ask(void)
{
	kmm_shrink(ground(), KMM_GFP_KERNEL, 1);
}

static void unregister(void)
{
	kmm_shrinker_unregister(ground(), &shrinker);
	sched_point(&ground_notes()[0], SCHED_WRITE);
	ground_notes()[0] = 1;
}

SCHED_CASE(shrinker_leaves, .threads = 2, .setup = with_shrinker, .body = { ask, unregister }, .finish = ground_judge);

/* ---- frames: caches of CPUs x one that wants all back ---- */

enum { HELD = 24 };
static struct kmm_page *held[HELD];

static void with_frames(void)
{
	struct kmm *k = start(KMM_X86_64, 4, 0);

	for (unsigned i = 0; i < HELD; i++)
		held[i] = kmm_alloc_pages(k, KMM_GFP_KERNEL, 0);
	ground_keep();
}

static void free_and_take(unsigned from)
{
	struct kmm_page *a, *b;

	for (unsigned i = from; i < from + HELD / 2; i++)
		kmm_put_page(ground(), held[i]);
	a = kmm_alloc_pages(ground(), KMM_GFP_KERNEL, 0);
	b = kmm_alloc_pages(ground(), KMM_GFP_KERNEL, 2);
	SCHED_CHECK(a && b && a != b);
	kmm_free_pages(ground(), a, 0);
	kmm_free_pages(ground(), b, 2);
}

static void free_first_half(void) { free_and_take(0); }
static void free_second_half(void) { free_and_take(HELD / 2); }

static void want_the_largest(void)
{
	struct kmm_page *page = kmm_alloc_pages(ground(), KMM_GFP_NOWAIT | KMM_GFP_NOWARN, KMM_NR_ORDERS - 1);

	SCHED_CHECK(!page); /* a machine of 4 MiB has none */
}

SCHED_CASE(frames_drained, .threads = 3, .setup = with_frames,
	   .body = { free_first_half, free_second_half, want_the_largest }, .finish = ground_judge);
