/* SPDX-License-Identifier: MIT */
/*
 * Dead areas: what waits for the flush and what does not, revival, the four reasons to purge, and that no frame reaches
 * a new owner while a translation to it may linger.
 */
#include "harness/kernel.h"

#include <pthread.h>

static const struct hosted_config pae = { .machine = { .format = KMM_I386_PAE }, .ram_bytes = 1200ull << 20 };
static const struct hosted_config strict = { .machine = { .format = KMM_I386 }, .ram_bytes = 1200ull << 20,
					     .strict = true };
static const struct hosted_config small = { .machine = { .format = KMM_I386 }, .ram_bytes = 24ull << 20 };
static const struct hosted_config wide = { .machine = { .format = KMM_X86_64 }, .ram_bytes = 256ull << 20 };

static kmm_word dead_pages(const struct tier_b *t) { return t->k->kva->areas.nr_dead_pages; }

static unsigned flushes;

static void count_flushes(void *arg, const struct kmm_trace_event *event)
{
	(void)arg;
	flushes += event->id == KMM_EV_TLB_FLUSH;
}

KMM_TEST(vfree_one_flush_serves_many)
{
	struct kmm_zone_info zone;
	struct tier_b t;
	void *area[20];
	unsigned i;

	CALL(tier_b_start(&t, &pae));
	for (i = 0; i < 20; i++)
		area[i] = kmm_vmalloc(t.k, (i + 1) * 4096, "many");
	flushes = 0;
	kmm_set_trace(t.k, count_flushes, NULL);
	for (i = 0; i < 20; i++) {
		kmm_vfree(t.k, area[i]);
		CHECK(!kmm_vmalloc_to_page(t.k, area[i]));
	}
	CHECK_EQ(flushes, 0);
	CHECK_EQ(dead_pages(&t), 210);
	CHECK(kmm_zone_info(t.k, KMM_ZONE_HIGHMEM, &zone));
	CHECK_EQ(zone.kinds[KMM_KIND_VMALLOC], 210);
	CALL(tier_b_audit(&t));
	CHECK_EQ(kmm_vmalloc_purge(t.k), 210);
	CHECK_EQ(flushes, 1);
	CHECK_EQ(kmm_vmalloc_purge(t.k), 0);
	CHECK_EQ(flushes, 1);
	kmm_set_trace(t.k, NULL, NULL);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

/* The processor saw the old translation; whoever gets the frame or the address next must not be seen through it. */
KMM_TEST(vfree_lingering_translation_reaches_nobody)
{
	struct kmm_page *frame;
	struct tier_b t;
	char *area, byte = 7;
	unsigned i;
	kmm_word va;

	CALL(tier_b_start(&t, &pae));
	area = kmm_vmalloc(t.k, 4096, "seen");
	va = kmm_ptr_to_kva(t.k, area).v;
	frame = kmm_vmalloc_to_page(t.k, area);
	CHECK(hosted_kernel_access(t.m, va, KMM_WRITE, &byte, 1, NULL));
	kmm_vfree(t.k, area);
	CHECK(hosted_kernel_access(t.m, va, KMM_READ, &byte, 1, NULL)); /* the TLB of this machine does linger */
	for (i = 0; i < 200; i++)
		CHECK(kmm_alloc_pages(t.k, KMM_GFP_HIGHUSER, 0) != frame);
	CHECK(kmm_ptr_to_kva(t.k, kmm_vmalloc(t.k, 8192, "another size")).v > va);
	CHECK(kmm_ptr_to_kva(t.k, kmm_ioremap(t.k, kmm_paddr(0xfed00000), 4096, "device")).v > va);
	CHECK_EQ(kmm_vmalloc_purge(t.k), 1);
	CHECK(!hosted_kernel_access(t.m, va, KMM_READ, &byte, 1, NULL));
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(vmalloc_revives_the_same_size)
{
	static const struct hosted_config *const configs[] = { &pae, &strict, &wide };
	unsigned c, i;

	for (c = 0; c < 3; c++) {
		struct kmm_vmalloc_info info;
		unsigned char *area;
		struct kmm_page *frame[70];
		struct tier_b t;

		CALL(tier_b_start(&t, configs[c]));
		area = kmm_vmalloc(t.k, 70 * 4096, "first");
		for (i = 0; i < 70; i++) {
			area[i * 4096] = (unsigned char)i;
			frame[i] = kmm_vmalloc_to_page(t.k, area + i * 4096);
		}
		kmm_vfree(t.k, area);
		CHECK(!kmm_vmalloc_find(t.k, kmm_kva(kmm_ptr_to_kva(t.k, area).v), &info));
		CHECK(kmm_vmalloc(t.k, 69 * 4096, "other") != area);
		CHECK_PTR(kmm_vmalloc(t.k, 70 * 4096, "second"), area);
		CHECK_EQ(t.k->kva->areas.revivals, 1);
		for (i = 0; i < 70; i++) {
			CHECK_EQ(area[i * 4096], i);
			CHECK_PTR(kmm_vmalloc_to_page(t.k, area + i * 4096), frame[i]);
		}
		CHECK(kmm_vmalloc_find(t.k, kmm_kva(kmm_ptr_to_kva(t.k, area).v), &info));
		CHECK_STR(info.caller, "second");
		CHECK_EQ(dead_pages(&t), 0);
		CALL(tier_b_audit(&t));
		kmm_vfree(t.k, area);
		CALL(tier_b_audit(&t));
		tier_b_stop(&t);
	}
}

/* Given frames and registers are the caller's again at once. */
KMM_TEST(vunmap_does_not_wait)
{
	struct kmm_page *page;
	struct tier_b t;
	void *view, *registers;
	kmm_word va;
	char byte;

	CALL(tier_b_start(&t, &pae));
	page = kmm_alloc_pages(t.k, KMM_GFP_HIGHUSER, 0);
	view = kmm_vmap(t.k, &page, 1, KMM_PROT_READ, "view");
	registers = kmm_ioremap(t.k, kmm_paddr(0xfed00000), 4096, "device");
	va = kmm_ptr_to_kva(t.k, view).v;
	CHECK(hosted_kernel_access(t.m, va, KMM_READ, &byte, 1, NULL));
	kmm_vunmap(t.k, view);
	CHECK(!hosted_kernel_access(t.m, va, KMM_READ, &byte, 1, NULL));
	kmm_iounmap(t.k, registers);
	CHECK_EQ(dead_pages(&t), 0);
	CHECK(!t.k->kva->areas.root);
	tier_b_stop(&t);
}

/* ---- reasons to purge ---- */

KMM_TEST(vfree_purges_when_much_waits)
{
	struct tier_b t;
	kmm_word most;
	unsigned i;

	CALL(tier_b_start(&t, &pae));
	most = t.k->kva->areas.most_dead_pages;
	CHECK_EQ(most, KMM_VMALLOC_LAZY_PAGES);
	for (i = 1; i < 200; i++) { /* each size once: nothing to revive */
		kmm_vfree(t.k, kmm_vmalloc(t.k, i * 4096, "much"));
		CHECK(dead_pages(&t) <= most);
	}
	CHECK(t.k->kva->areas.purges > 20);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(vmalloc_purges_when_addresses_end)
{
	static struct kmm_page *page[8192];
	struct kmm_page *one;
	struct tier_b t;
	void *area;
	unsigned i, nr = 0;

	CALL(tier_b_start(&t, &pae));
	one = kmm_alloc_pages(t.k, KMM_GFP_KERNEL, 0);
	for (i = 0; i < 8192; i++)
		page[i] = one;
	area = kmm_vmalloc(t.k, 400 * 4096, "in the way");
	while (kmm_vmap(t.k, page, 300, KMM_PROT_READ, "filler"))
		nr++;
	CHECK(nr > 90);
	kmm_vfree(t.k, area);
	CHECK_EQ(dead_pages(&t), 400);
	CHECK(kmm_vmap(t.k, page, 300, KMM_PROT_READ, "one more"));
	CHECK_EQ(dead_pages(&t), 0);
	CHECK(!kmm_vmap(t.k, page, 300, KMM_PROT_READ, "no more"));
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

/* A request that may block gets the frames of the dead; one that may not does not, and nothing breaks. */
KMM_TEST(vmalloc_purges_under_pressure)
{
	struct kmm_page *first = NULL, *page;
	struct tier_b t;
	unsigned nr = 0;

	CALL(tier_b_start(&t, &small));
	kmm_vfree(t.k, kmm_vmalloc(t.k, 50 * 4096, "dead"));
	CHECK_EQ(dead_pages(&t), 50);
	while ((page = kmm_alloc_pages(t.k, KMM_GFP_MEMALLOC, 0)))
		first = first ? first : page;
	CHECK_EQ(dead_pages(&t), 50);
	CHECK(first);
	while (kmm_alloc_pages(t.k, KMM_GFP_KERNEL | KMM_GFP_HIGH, 0))
		nr++;
	CHECK_EQ(dead_pages(&t), 0);
	while (kmm_alloc_pages(t.k, KMM_GFP_MEMALLOC, 0))
		nr++;
	CHECK(nr >= 50);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(vmallocinfo_names_the_unpurged)
{
	struct hosted_text text;
	struct tier_b t;

	CALL(tier_b_start(&t, &wide));
	kmm_vfree(t.k, kmm_vmalloc(t.k, 4096, "gone"));
	kmm_vmalloc(t.k, 8192, "here");
	kmm_report_vmallocinfo(t.k, hosted_text_init(&text));
	CHECK_STR(text.text, "0xffffc90000002000-0xffffc90000005000   12288 here pages=2 vmalloc N0=2\n"
			     "0xffffc90000000000-0xffffc90000002000    8192 unpurged vm_area\n");
	hosted_text_free(&text);
	tier_b_stop(&t);
}

static void free_twice(void *arg)
{
	struct tier_b *t = arg;
	void *area = kmm_vmalloc(t->k, 4096, "x");

	kmm_vfree(t->k, area);
	kmm_vfree(t->k, area);
}

KMM_TEST(vfree_of_the_dead_is_fatal)
{
	struct tier_b t;

	CALL(tier_b_start(&t, &pae));
	CALL(tier_b_refuses(&t, free_twice, &t, NULL));
	CHECK_EQ(tier_b_logged(&t, "was freed already"), 1);
	tier_b_stop(&t);
}

/* ---- large leaves ---- */

KMM_TEST(vmalloc_uses_large_leaves)
{
	const kmm_word nr = 2 * 512 + 3;
	struct kmm_walk walk;
	struct tier_b t;
	unsigned char *area;
	kmm_word i, va, before;

	CALL(tier_b_start(&t, &wide));
	before = tier_b_free_pages(&t) + kmm_pt_kernel_tables(t.k);
	area = kmm_vmalloc(t.k, nr * 4096, "large");
	CHECK(area);
	va = kmm_ptr_to_kva(t.k, area).v;
	for (i = 0; i < nr; i++)
		area[i * 4096 + 5] = (unsigned char)(i * 3);
	for (i = 0; i < nr; i++) {
		kmm_walk(t.k, kmm_kernel_root(t.k), va + i * 4096 + 5, &walk);
		CHECK(walk.mapped);
		CHECK_EQ(walk.leaf_bytes, i < 1024 ? 2u << 20 : 4096);
		CHECK_EQ(kmm_page_to_pfn(t.k, kmm_vmalloc_to_page(t.k, area + i * 4096)).v, walk.pa.v >> 12);
		CHECK_EQ(*(unsigned char *)hosted_phys(t.m, walk.pa.v), (unsigned char)(i * 3));
	}
	CALL(tier_b_audit(&t));
	kmm_vfree(t.k, area);
	CALL(tier_b_audit(&t));
	CHECK_EQ(tier_b_free_pages(&t) + kmm_pt_kernel_tables(t.k), before);
	CHECK(!kmm_vmalloc_to_page(t.k, area));
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

/* No block of 2 MiB is left, and another time a table is in the way: then small pages do. */
KMM_TEST(vmalloc_does_without_large_leaves)
{
	static struct kmm_page *held[300];
	unsigned nr = 0, i;
	struct kmm_walk walk;
	struct tier_b t;
	char *area;

	CALL(tier_b_start(&t, &wide));
	while (nr < 300 && (held[nr] = kmm_alloc_pages(t.k, KMM_GFP_KERNEL | KMM_GFP_MEMALLOC, 8)))
		nr++;
	CHECK(nr > 100 && nr < 300);
	for (i = 0; i < nr; i++) /* no two halves of a larger block */
		if (i < 32 && kmm_page_to_pfn(t.k, held[i]).v & 256) {
			kmm_free_pages(t.k, held[i], 8);
			held[i] = NULL;
		}
	area = kmm_vmalloc(t.k, 2 << 20, "small pages");
	CHECK(area);
	kmm_walk(t.k, kmm_kernel_root(t.k), kmm_ptr_to_kva(t.k, area).v, &walk);
	CHECK_EQ(walk.leaf_bytes, 4096);
	CALL(tier_b_audit(&t));
	kmm_vfree(t.k, area);
	kmm_vmalloc_purge(t.k);
	for (i = 0; i < nr; i++)
		if (held[i])
			kmm_free_pages(t.k, held[i], 8);
	CHECK_PTR(kmm_vmalloc(t.k, 4 << 20, "beside a table"), area);
	kmm_walk(t.k, kmm_kernel_root(t.k), kmm_ptr_to_kva(t.k, area).v, &walk);
	CHECK_EQ(walk.leaf_bytes, 4096);
	kmm_walk(t.k, kmm_kernel_root(t.k), kmm_ptr_to_kva(t.k, area).v + (2 << 20), &walk);
	CHECK_EQ(walk.leaf_bytes, 2 << 20);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

/* Every allocation failed once; what is missing is small pages, or NULL, and nothing is lost. */
KMM_TEST(vmalloc_large_survives_every_failure)
{
	struct tier_b t;
	kmm_word before;
	bool lucky = false;
	uint64_t n;

	CALL(tier_b_start(&t, &wide));
	before = tier_b_free_pages(&t) + kmm_pt_kernel_tables(t.k);
	for (n = 1; !lucky; n++) {
		const char *site;
		void *area;

		CHECK(n < 3000);
		kmm_fail_nth(t.k, n);
		area = kmm_vmalloc(t.k, 4 << 20, "unlucky");
		kmm_fail_count(t.k, &site);
		kmm_fail_nth(t.k, 0);
		lucky = !site;
		CHECK(area || site);
		CALL(tier_b_audit(&t));
		kmm_vfree(t.k, area);
		kmm_vmalloc_purge(t.k);
		CHECK_EQ(tier_b_free_pages(&t) + kmm_pt_kernel_tables(t.k), before);
	}
	tier_b_stop(&t);
}

KMM_TEST(vmalloc_audit_sees_damage_to_the_dead)
{
	struct kmm_areas *areas;
	struct kmm_area *area;
	struct tier_b t;

	CALL(tier_b_start(&t, &pae));
	areas = &t.k->kva->areas;
	kmm_vfree(t.k, kmm_vmalloc(t.k, 3 * 4096, "dead"));
	area = areas->dead;
	CALL(tier_b_audit(&t));
	areas->nr_dead_pages++;
	CHECK(tier_b_complaints(&t) > 0);
	areas->nr_dead_pages--;
	areas->dead = NULL;
	CHECK(tier_b_complaints(&t) > 0);
	areas->dead = area;
	area->state = KMM_AREA_LIVE;
	CHECK(tier_b_complaints(&t) > 0);
	area->state = KMM_AREA_DEAD;
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

/* ---- threads ---- */

enum { CPUS = 4, ROUNDS = 1500 };

struct hammer {
	struct tier_b *t;
	unsigned cpu, faults;
	uint64_t seed;
	struct kmm_page **shared; /* pages that all of them kmap */
	unsigned nr_shared;
};

/* One area or per-CPU object: written, read back, given back. */
static unsigned use_area(struct hammer *h, uint64_t *seed)
{
	size_t size = (size_t)(kmm_test_rand(seed) % 6 + 1) * 4096, i;
	unsigned char *area = kmm_vmalloc(h->t->k, size, "hammer"), pattern = (unsigned char)kmm_test_rand(seed);
	unsigned bad = !area;

	for (i = 0; area && i < size; i += 1024)
		area[i] = (unsigned char)(pattern + i / 1024);
	for (i = 0; area && i < size; i += 1024)
		bad += area[i] != (unsigned char)(pattern + i / 1024);
	kmm_vfree(h->t->k, area);
	return bad;
}

static unsigned use_percpu(struct hammer *h, uint64_t *seed)
{
	size_t size = (size_t)(kmm_test_rand(seed) % 300 + 1);
	struct kmm_percpu_handle handle = kmm_percpu_alloc(h->t->k, size, 8);
	unsigned char *mine = kmm_percpu_ptr(handle, h->cpu);
	unsigned bad = !handle.v;

	if (handle.v) {
		bad += mine[size - 1] != 0;
		memset(mine, (int)h->cpu + 1, size);
		bad += mine[0] != h->cpu + 1 || mine[size - 1] != h->cpu + 1;
	}
	kmm_percpu_free(h->t->k, handle);
	return bad;
}

/* Byte `cpu` of a page is this thread's; others write theirs through the same view. */
static unsigned use_views(struct hammer *h, uint64_t *seed)
{
	struct kmm_page *page = h->shared[kmm_test_rand(seed) % h->nr_shared];
	unsigned char *view = kmm_kmap(h->t->k, page), *local = kmm_kmap_local(h->t->k, page), value;
	unsigned bad = !view;

	value = (unsigned char)kmm_test_rand(seed);
	local[h->cpu] = value;
	bad += view && view[h->cpu] != value;
	kmm_kunmap_local(h->t->k, local);
	if (view)
		kmm_kunmap(h->t->k, page);
	return bad;
}

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	uint64_t seed = h->seed;

	hosted_set_cpu(h->cpu);
	for (unsigned i = 0; i < ROUNDS; i++) {
		h->faults += use_area(h, &seed);
		h->faults += use_percpu(h, &seed);
		h->faults += use_views(h, &seed);
		if (i % 64 == h->cpu)
			kmm_vmalloc_purge(h->t->k);
	}
	return NULL;
}

/* All calls of this layer on four CPUs at once; more pages than kmap slots, so that it flushes under their feet. */
KMM_TEST(kva_threads)
{
	static const struct hosted_config config = { .machine = { .format = KMM_I386_PAE, .nr_cpus = CPUS },
						     .ram_bytes = 1200ull << 20 };
	static struct kmm_page *shared[700];
	struct hammer h[CPUS];
	pthread_t thread[CPUS];
	struct tier_b t;
	unsigned i;

	CALL(tier_b_start(&t, &config));
	for (i = 0; i < 700; i++)
		CHECK((shared[i] = kmm_alloc_pages(t.k, KMM_GFP_HIGHUSER, 0)));
	for (i = 0; i < CPUS; i++) {
		h[i] = (struct hammer){ &t, i, 0, kmm_test_seed() * 77 + i, shared, 700 };
		CHECK_EQ(pthread_create(&thread[i], NULL, hammer, &h[i]), 0);
	}
	for (i = 0; i < CPUS; i++)
		CHECK_EQ(pthread_join(thread[i], NULL), 0);
	hosted_set_cpu(0);
	for (i = 0; i < CPUS; i++)
		CHECK_EQ(h[i].faults, 0);
	CALL(tier_b_audit(&t));
	CHECK(t.k->kva->kmap.flushes > 2);
	CHECK(t.k->kva->areas.revivals > 100);
	tier_b_stop(&t);
}
