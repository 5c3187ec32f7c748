/* SPDX-License-Identifier: MIT */
/*
 * vmalloc, vmap, ioremap: contents against a model, where frames come from, guards, reports, memory that runs out.
 */
#include "harness/kernel.h"

#include <stdlib.h>

static const struct hosted_config pae = { .machine = { .format = KMM_I386_PAE }, .ram_bytes = 1200ull << 20 };
static const struct hosted_config i386_strict = { .machine = { .format = KMM_I386 }, .ram_bytes = 1200ull << 20,
						  .strict = true };
static const struct hosted_config small = { .machine = { .format = KMM_I386 }, .ram_bytes = 24ull << 20 };
static const struct hosted_config wide = { .machine = { .format = KMM_X86_64 }, .ram_bytes = 64ull << 20 };
static const struct hosted_config *const formats[] = { &pae, &i386_strict, &wide };

static kmm_word pfn_at(struct tier_b *t, const void *addr)
{
	struct kmm_page *page = kmm_vmalloc_to_page(t->k, addr);

	return page ? kmm_page_to_pfn(t->k, page).v : 0;
}

KMM_TEST(vmalloc_is_contiguous_for_the_cpu)
{
	unsigned i, j;

	for (i = 0; i < 3; i++) {
		unsigned char *area, back[300];
		kmm_word va;
		struct tier_b t;

		if (!test_serves(formats[i]->machine.format))
			continue;
		CALL(tier_b_start(&t, formats[i]));
		area = kmm_vmalloc(t.k, 10 * 4096 - 100, "test");
		CHECK(area);
		for (j = 0; j < 10 * 4096; j++)
			area[j] = (unsigned char)(j * 7 + j / 4096);
		va = kmm_ptr_to_kva(t.k, area).v;
		CHECK_EQ(va, t.k->layout.vmalloc_start);
		CHECK(hosted_kernel_access(t.m, va + 4000, KMM_READ, back, sizeof(back), NULL));
		CHECK_EQ(memcmp(back, area + 4000, sizeof(back)), 0);
		CALL(tier_b_audit(&t));
		kmm_vfree(t.k, area);
		CHECK(!kmm_vmalloc_to_page(t.k, area));
		CHECK_EQ(kmm_vmalloc_purge(t.k), 10);
		CHECK(!hosted_kernel_access(t.m, va, KMM_READ, back, 1, NULL));
		CALL(tier_b_audit(&t));
		tier_b_stop(&t);
	}
}

KMM_TEST(vmalloc_guard_page_stays_empty)
{
	struct kmm_vmalloc_info info;
	struct tier_b t;
	char *area, *next, byte = 1;
	kmm_word va;

	CALL(tier_b_start(&t, &pae));
	area = kmm_vmalloc(t.k, 4096, "one");
	next = kmm_vmalloc(t.k, 4096, "two");
	CHECK_EQ(next - area, 8192);
	va = kmm_ptr_to_kva(t.k, area).v;
	CHECK(hosted_kernel_access(t.m, va + 4095, KMM_WRITE, &byte, 1, NULL));
	CHECK(!hosted_kernel_access(t.m, va + 4096, KMM_WRITE, &byte, 1, NULL));
	CHECK(!kmm_vmalloc_to_page(t.k, area + 4096));
	CHECK(kmm_vmalloc_find(t.k, kmm_kva(va + 8191), &info));
	CHECK_STR(info.caller, "one");
	CHECK_EQ(info.start.v, va);
	CHECK_EQ(info.size_bytes, 8192);
	CHECK_EQ(info.nr_pages, 1);
	CHECK(kmm_vmalloc_find(t.k, kmm_kva(va + 8192), &info));
	CHECK_STR(info.caller, "two");
	CHECK(!kmm_vmalloc_find(t.k, kmm_kva(va + 16384), &info));
	CHECK(!kmm_vmalloc_find(t.k, kmm_kva(va - 1), &info));
	tier_b_stop(&t);
}

/* E33: frames come one by one, high ones first. */
KMM_TEST(vmalloc_prefers_high_frames)
{
	struct tier_b t;
	char *area;
	unsigned i;

	CALL(tier_b_start(&t, &pae));
	area = kmm_vmalloc(t.k, 1u << 20, "high");
	for (i = 0; i < 256; i++) {
		struct kmm_page *page = kmm_vmalloc_to_page(t.k, area + i * 4096);

		CHECK(page && kmm_page_is_high(page));
		CHECK_EQ(kmm_page_kind(page), KMM_KIND_VMALLOC);
	}
	tier_b_stop(&t);
}

/* S78, S81: with every second frame taken there is no order 1, but vmalloc works. */
KMM_TEST(vmalloc_needs_no_neighbours)
{
	static struct kmm_page *held[8192];
	unsigned nr = 0, i, scattered = 0;
	struct tier_b t;
	char *area;

	CALL(tier_b_start(&t, &small));
	while (nr < 8192 && (held[nr] = kmm_alloc_pages(t.k, KMM_GFP_KERNEL | KMM_GFP_MEMALLOC, 0)))
		nr++;
	for (i = 0; i < nr; i++)
		if (kmm_page_to_pfn(t.k, held[i]).v % 2 == 0)
			kmm_free_pages(t.k, held[i], 0);
	kmm_phys_drain(t.k);
	CHECK(!kmm_alloc_pages(t.k, KMM_GFP_KERNEL, 1));
	CHECK(!kmm_kmalloc(t.k, 65536, KMM_GFP_KERNEL));
	area = kmm_vmalloc(t.k, 65536, "scattered");
	CHECK(area);
	memset(area, 0x3e, 65536);
	for (i = 1; i < 16; i++)
		scattered += pfn_at(&t, area + i * 4096) != pfn_at(&t, area + (i - 1) * 4096) + 1;
	CHECK_EQ(scattered, 15);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

struct block {
	unsigned char *at;
	size_t size;
	unsigned char pattern;
};

static void check_pages(const struct block *b)
{
	size_t i;

	for (i = 0; i < b->size; i += 509)
		CHECK_EQ(b->at[i], (unsigned char)(b->pattern + i / 4096));
}

static void replace_block(struct tier_b *t, struct block *b, uint64_t *seed)
{
	size_t i;

	if (b->at) {
		CALL(check_pages(b));
		kmm_vfree(t->k, b->at);
	}
	b->size = (size_t)(kmm_test_rand(seed) % 70000) + 1;
	b->pattern = (unsigned char)kmm_test_rand(seed);
	b->at = kmm_vmalloc(t->k, b->size, "model");
	CHECK(b->at);
	for (i = 0; i < b->size; i += 509)
		b->at[i] = (unsigned char)(b->pattern + i / 4096);
}

KMM_TEST(vmalloc_random_against_model)
{
	uint64_t seed = kmm_test_seed();
	unsigned f, i;

	for (f = 0; f < 3; f++) {
		static struct block blocks[60];
		struct tier_b t;
		kmm_word before;

		memset(blocks, 0, sizeof(blocks));
		if (!test_serves(formats[f]->machine.format))
			continue;
		CALL(tier_b_start(&t, formats[f]));
		before = tier_b_free_pages(&t) + kmm_pt_kernel_tables(t.k); /* tables that are made stay */
		for (i = 0; i < 600; i++) {
			CALL(replace_block(&t, &blocks[kmm_test_rand(&seed) % 60], &seed));
			if (i % 200 == 0)
				CALL(tier_b_audit(&t));
		}
		for (i = 0; i < 60; i++)
			kmm_vfree(t.k, blocks[i].at);
		CALL(tier_b_audit(&t));
		CHECK_EQ(tier_b_free_pages(&t) + kmm_pt_kernel_tables(t.k), before);
		tier_b_stop(&t);
	}
}

/* ---- given frames ---- */

KMM_TEST(vmap_shows_given_frames)
{
	unsigned f, i;

	for (f = 0; f < 3; f++) {
		struct kmm_page *page[40];
		unsigned char *view, byte = 9;
		struct tier_b t;
		kmm_word va;

		if (!test_serves(formats[f]->machine.format))
			continue;
		CALL(tier_b_start(&t, formats[f]));
		for (i = 0; i < 40; i++) {
			page[39 - i] = kmm_alloc_pages(t.k, i % 2 ? KMM_GFP_HIGHUSER : KMM_GFP_KERNEL, 0);
			CHECK(page[39 - i]);
		}
		view = kmm_vmap(t.k, page, 40, KMM_PROT_READ | KMM_PROT_WRITE, "vmapper");
		CHECK(view);
		for (i = 0; i < 40; i++) {
			view[i * 4096] = (unsigned char)i;
			CHECK_EQ(*(unsigned char *)hosted_phys(t.m, kmm_pfn_to_paddr(kmm_page_to_pfn(t.k, page[i])).v), i);
			CHECK_PTR(kmm_vmalloc_to_page(t.k, view + i * 4096), page[i]);
		}
		CALL(tier_b_audit(&t));
		kmm_vunmap(t.k, view);
		view = kmm_vmap(t.k, page, 1, KMM_PROT_READ, "reader");
		va = kmm_ptr_to_kva(t.k, view).v;
		CHECK(hosted_kernel_access(t.m, va, KMM_READ, &byte, 1, NULL));
		CHECK(!hosted_kernel_access(t.m, va, KMM_WRITE, &byte, 1, NULL));
		CHECK(f == 1 || !hosted_kernel_access(t.m, va, KMM_EXEC, &byte, 1, NULL)); /* i386 has no NX */
		kmm_vunmap(t.k, view);
		view = kmm_vmap(t.k, page, 1, KMM_PROT_READ | KMM_PROT_EXEC, "code");
		CHECK(hosted_kernel_access(t.m, va, KMM_EXEC, &byte, 1, NULL));
		kmm_vunmap(t.k, view);
		for (i = 0; i < 40; i++)
			kmm_free_pages(t.k, page[i], 0); /* still the caller's */
		CALL(tier_b_audit(&t));
		tier_b_stop(&t);
	}
}

KMM_TEST(ioremap_is_uncached_and_refuses_ram)
{
	struct kmm_walk walk;
	struct tier_b t;
	char *view;

	CALL(tier_b_start(&t, &pae));
	view = kmm_ioremap(t.k, kmm_paddr(0xfed00010), 0x1ff8, "timer");
	CHECK(view);
	CHECK_EQ((uintptr_t)view & 4095, 0x10);
	kmm_walk(t.k, kmm_kernel_root(t.k), kmm_ptr_to_kva(t.k, view).v + 0x2000, &walk);
	CHECK(walk.mapped);
	CHECK_EQ(walk.pa.v, 0xfed02010);
	CHECK(walk.step[walk.nr_steps - 1].pte.flags & KMM_PTE_NOCACHE);
	CHECK(!kmm_vmalloc_to_page(t.k, view)); /* no descriptor */
	CALL(tier_b_audit(&t));
	kmm_iounmap(t.k, view);
	CHECK(!kmm_ioremap(t.k, kmm_paddr(0x100000), 4096, "ram"));
	CHECK(!kmm_ioremap(t.k, kmm_paddr(t.k->layout.lowmem_end), 4096, "high ram"));
	CHECK(!kmm_ioremap(t.k, kmm_paddr(0xff000), 4097, "runs into ram"));
	CHECK(!kmm_ioremap(t.k, kmm_paddr(0xfed00000), 0, "nothing"));
	CHECK(!kmm_ioremap(t.k, kmm_paddr(t.k->layout.phys_limit - 4096), 8192, "beyond"));
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(vmallocinfo_as_linux_prints_it)
{
	struct hosted_text text;
	struct kmm_page *page[2];
	struct tier_b t;
	char expected[400];

	CALL(tier_b_start(&t, &pae));
	page[0] = page[1] = kmm_alloc_pages(t.k, KMM_GFP_KERNEL, 0);
	kmm_vmalloc(t.k, 12000, "load_module+0x4a/0x90");
	kmm_vmap(t.k, page, 2, KMM_PROT_READ, "ring_map+0x10/0x20");
	kmm_ioremap(t.k, kmm_paddr(0xfed00000), 4096, "hpet_enable+0x2e/0x300");
	kmm_report_vmallocinfo(t.k, hosted_text_init(&text));
	snprintf(expected, sizeof(expected),
		 "0x%08llx-0x%08llx   16384 load_module+0x4a/0x90 pages=3 vmalloc\n"
		 "0x%08llx-0x%08llx   12288 ring_map+0x10/0x20 vmap\n"
		 "0x%08llx-0x%08llx    8192 hpet_enable+0x2e/0x300 phys=0x00000000fed00000 ioremap\n",
		 (unsigned long long)t.k->layout.vmalloc_start, (unsigned long long)t.k->layout.vmalloc_start + 0x4000,
		 (unsigned long long)t.k->layout.vmalloc_start + 0x4000, (unsigned long long)t.k->layout.vmalloc_start + 0x7000,
		 (unsigned long long)t.k->layout.vmalloc_start + 0x7000, (unsigned long long)t.k->layout.vmalloc_start + 0x9000);
	CHECK_STR(text.text, expected);
	hosted_text_free(&text);
	tier_b_stop(&t);

	CALL(tier_b_start(&t, &wide));
	kmm_vmalloc(t.k, 4096, "one+0x0/0x10");
	kmm_report_vmallocinfo(t.k, hosted_text_init(&text));
	CHECK_STR(text.text, "0xffffc90000000000-0xffffc90000002000    8192 one+0x0/0x10 pages=1 vmalloc N0=1\n");
	hosted_text_free(&text);
	tier_b_stop(&t);
}

/* ---- limits and failures ---- */

KMM_TEST(vmalloc_ends_with_its_addresses)
{
	static struct kmm_page *page[8192]; /* the same frame, 32 MiB of it */
	void *area[8];
	struct kmm_page *one;
	struct tier_b t;
	unsigned i, nr = 0;

	CALL(tier_b_start(&t, &pae));
	one = kmm_alloc_pages(t.k, KMM_GFP_KERNEL, 0);
	for (i = 0; i < 8192; i++)
		page[i] = one;
	while (nr < 8 && (area[nr] = kmm_vmap(t.k, page, 8192, KMM_PROT_READ, "big")))
		nr++;
	CHECK_EQ(nr, 3); /* 120 MiB, less guards */
	CALL(tier_b_audit(&t));
	kmm_vunmap(t.k, area[1]);
	area[1] = kmm_vmap(t.k, page, 8192, KMM_PROT_READ, "again");
	CHECK(area[1] > area[0] && area[1] < area[2]);
	CHECK(!kmm_vmalloc(t.k, SIZE_MAX, "all"));
	CHECK(!kmm_vmalloc(t.k, 0, "nothing"));
	CHECK(!kmm_vmalloc(t.k, (size_t)1300 << 20, "more than RAM"));
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(vmalloc_out_of_frames_gives_all_back)
{
	struct tier_b t;
	kmm_word before, tables;

	CALL(tier_b_start(&t, &small));
	before = tier_b_free_pages(&t);
	tables = kmm_pt_kernel_tables(t.k);
	CHECK(!kmm_vmalloc(t.k, (size_t)before * 4096, "everything"));
	CALL(tier_b_audit(&t));
	CHECK_EQ(tier_b_free_pages(&t) + kmm_pt_kernel_tables(t.k) - tables, before); /* made tables stay */
	tier_b_stop(&t);
}

static bool use_areas(struct tier_b *t)
{
	struct kmm_page *page = kmm_alloc_pages(t->k, KMM_GFP_KERNEL, 0);
	void *a = kmm_vmalloc(t->k, 40 * 4096, "unlucky");
	void *b = page ? kmm_vmap(t->k, &page, 1, KMM_PROT_READ, "unlucky") : NULL;
	void *c = kmm_ioremap(t->k, kmm_paddr(0xfed00000), 4096, "unlucky");

	kmm_vfree(t->k, a);
	kmm_vunmap(t->k, b);
	kmm_iounmap(t->k, c);
	if (page)
		kmm_free_pages(t->k, page, 0);
	return a && b && c;
}

KMM_TEST(vmalloc_survives_every_failure)
{
	static const struct hosted_config *const configs[] = { &pae, &wide };
	unsigned f;

	for (f = 0; f < 2; f++) {
		bool lucky = false;
		struct tier_b t;
		kmm_word before = 0, tables = 0;
		uint64_t n;

		CALL(tier_b_start(&t, configs[f]));
		for (n = 1; !lucky; n++) {
			CHECK(n < 200);
			before = tier_b_free_pages(&t);
			tables = kmm_pt_kernel_tables(t.k);
			kmm_fail_nth(t.k, n);
			lucky = use_areas(&t);
			kmm_fail_nth(t.k, 0);
			CALL(tier_b_audit(&t));
			/* tables that were made stay */
			CHECK_EQ(tier_b_free_pages(&t) + kmm_pt_kernel_tables(t.k) - tables, before);
		}
		CHECK(n > 40);
		tier_b_stop(&t);
	}
}

struct misuse {
	struct tier_b t;
	void *area;
};

static void free_twice(void *arg)
{
	struct misuse *x = arg;

	kmm_vfree(x->t.k, x->area);
	kmm_vfree(x->t.k, x->area);
}

static void free_by_wrong_call(void *arg)
{
	struct misuse *x = arg;

	kmm_vunmap(x->t.k, x->area);
}

static void free_middle(void *arg)
{
	struct misuse *x = arg;

	kmm_vfree(x->t.k, (char *)x->area + 4096);
}

static void free_nowhere(void *arg)
{
	struct misuse *x = arg;

	kmm_vfree(x->t.k, (char *)x->area + (1 << 20));
}

static void free_object(void *arg)
{
	struct misuse *x = arg;

	kmm_vfree(x->t.k, kmm_kmalloc(x->t.k, 64, KMM_GFP_KERNEL));
}

KMM_TEST(vfree_misuse_is_fatal)
{
	static void (*const wrong[])(void *) = { free_twice, free_by_wrong_call, free_middle, free_nowhere, free_object };
	static const char *const said[] = { "vmalloc: 0x", "vmap: 0x", "inside an area", "in no area", "in no area" };
	struct misuse x;
	unsigned i;

	for (i = 0; i < 5; i++) {
		CALL(tier_b_start(&x.t, &pae));
		x.area = kmm_vmalloc(x.t.k, 8192, "x");
		CALL(tier_b_refuses(&x.t, wrong[i], &x, NULL));
		CHECK_EQ(tier_b_logged(&x.t, said[i]), 1);
		CHECK_EQ(tier_b_logged(&x.t, "cannot be freed"), 1);
		tier_b_stop(&x.t);
	}
}

KMM_TEST(vfree_of_null_is_nothing)
{
	struct tier_b t;

	CALL(tier_b_start(&t, &pae));
	kmm_vfree(t.k, NULL);
	kmm_vunmap(t.k, NULL);
	kmm_iounmap(t.k, NULL);
	CHECK(!kmm_vmalloc_to_page(t.k, kmm_kmalloc(t.k, 8, KMM_GFP_KERNEL)));
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(vmalloc_audit_sees_damage)
{
	struct tier_b t;
	struct kmm_area *area;
	void *at;

	CALL(tier_b_start(&t, &pae));
	at = kmm_vmalloc(t.k, 3 * 4096, "damaged");
	kmm_vmalloc(t.k, 4096, "behind");
	area = kmm_areas_find(&t.k->kva->areas, kmm_ptr_to_kva(t.k, at).v);
	area->nr_mapped--;
	CHECK(tier_b_complaints(&t) > 0);
	area->nr_mapped++;
	area->end += 4096;
	CHECK(tier_b_complaints(&t) > 0);
	area->end -= 4096;
	kmm_page_set_owner(t.k, kmm_vmalloc_to_page(t.k, at), NULL);
	CHECK(tier_b_complaints(&t) > 0);
	kmm_page_set_owner(t.k, kmm_vmalloc_to_page(t.k, at), area);
	CALL(tier_b_audit(&t));
	kmm_pt_window_unmap(t.k, kmm_kva(area->start), 1);
	CHECK(tier_b_complaints(&t) > 0);
	tier_b_stop(&t);
}
