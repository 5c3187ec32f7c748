/* SPDX-License-Identifier: MIT */
/*
 * Questions about who can see a frame, and where: S10, S73, S74b, S76, S80, S83-S85. kmap windows, vmalloc and
 * the direct map side by side.
 */
#include "harness/test.h"
#include "lab.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* The same work everywhere: pages for users, looked into by the kernel. Returns what it cost in views. */
static void work_with_pages(struct lab *lab, struct kmm_kmap_info *cost)
{
	struct kmm_page *page;
	unsigned i;
	void *view;

	for (i = 0; i < 3000; i++) {
		page = kmm_alloc_pages(lab->k, KMM_GFP_HIGHUSER, 0);
		CHECK(page != NULL);
		view = kmm_kmap_local(lab->k, page);
		memset(view, 1, 64);
		kmm_kunmap_local(lab->k, view);
		CHECK(kmm_kmap(lab->k, page) != NULL);
		kmm_kunmap(lab->k, page);
	}
	kmm_kmap_info(lab->k, cost);
}

/* S10: high memory is a workaround: the same work costs windows and flushes on i386, nothing on x86_64; and
 * low memory can run out while most of RAM is free. */
KMM_TEST(question_S10)
{
	struct kmm_kmap_info cost;
	struct lab lab;
	kmm_word taken;

	CHECK(lab_open(&lab, KMM_I386, 4 * GIB));
	CALL(work_with_pages(&lab, &cost));
	CHECK(cost.kmaps >= 3000 && cost.locals >= 3000);
	CHECK(cost.flushes >= 3000 / cost.slots - 1);
	taken = lab_exhaust(&lab, KMM_GFP_KERNEL);
	CHECK((uint64_t)taken * PAGE < 1 * GIB);
	CHECK((uint64_t)lab_free_in(&lab, KMM_ZONE_HIGHMEM) * PAGE > 2 * GIB);
	lab_close(&lab);

	CHECK(lab_open(&lab, KMM_X86_64, 4 * GIB));
	CALL(work_with_pages(&lab, &cost));
	CHECK_EQ(cost.kmaps + cost.locals + cost.flushes + cost.slots, 0);
	taken = lab_exhaust(&lab, KMM_GFP_KERNEL);
	CHECK((uint64_t)taken * PAGE > 3 * GIB);
	lab_close(&lab);
}

/* S73: there is no kmalloc area: its objects are in the direct map itself; vmalloc and kmap have regions. */
KMM_TEST(question_S73)
{
	struct lab lab;
	struct kmm_explain e;
	struct kmm_page *high;
	void *object, *area, *view;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	object = kmm_kmalloc(lab.k, 100, KMM_GFP_KERNEL);
	area = kmm_vmalloc(lab.k, 100, "S73");
	high = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER, 0);
	view = kmm_kmap(lab.k, high);
	CHECK(object && area && view);
	kmm_explain(lab.k, NULL, lab_va(&lab, object), &e);
	CHECK_EQ(e.class_, KMM_ADDR_DIRECT);
	CHECK_EQ(e.region->id, KMM_REGION_DIRECT);
	CHECK_EQ(e.page.kind, KMM_KIND_SLAB);
	kmm_explain(lab.k, NULL, lab_va(&lab, area), &e);
	CHECK_EQ(e.class_, KMM_ADDR_VMALLOC);
	CHECK_STR(e.owner, "S73");
	CHECK_EQ(e.page.kind, KMM_KIND_VMALLOC);
	kmm_explain(lab.k, NULL, lab_va(&lab, view), &e);
	CHECK_EQ(e.class_, KMM_ADDR_KMAP);
	CHECK_EQ(e.page.pfn.v, kmm_page_to_pfn(lab.k, high).v);
	CHECK(!e.has_linear);
	kmm_kunmap(lab.k, high);
	kmm_vfree(lab.k, area);
	kmm_kfree(lab.k, object);
	lab_close(&lab);
}

/* S74b: GFP: the flags of the get-free-pages family; any mask is decoded to names, E02: with the real names. */
KMM_TEST(question_S74b)
{
	char text[128], tiny[4];
	size_t need;

	need = kmm_gfp_describe(KMM_GFP_KERNEL | KMM_GFP_ZERO, text, sizeof(text));
	CHECK_EQ(need, strlen(text));
	CHECK(strstr(text, "KERNEL") && strstr(text, "ZERO") && !strstr(text, "HIGH"));
	kmm_gfp_describe(KMM_GFP_HIGHUSER_MOVABLE, text, sizeof(text));
	CHECK_STR(text, "HIGHUSER_MOVABLE");
	CHECK_EQ(kmm_gfp_describe(KMM_GFP_KERNEL | KMM_GFP_ZERO, tiny, sizeof(tiny)), need);
	CHECK_EQ(tiny[3], 0);
}

static void check_displacement(enum kmm_format_id format)
{
	struct lab lab;
	uint64_t pa;

	CHECK(lab_open(&lab, format, 1 * GIB));
	for (pa = 1 * MIB; pa < 256 * MIB; pa += 37 * PAGE) {
		struct kmm_page *page = kmm_pfn_to_page(lab.k, kmm_pfn((kmm_word)(pa / PAGE)));

		CHECK_EQ(lab_va(&lab, kmm_page_address(lab.k, page)) - pa, lab.layout.page_offset);
		CHECK_PTR(kmm_virt_to_page(lab.k, kmm_page_address(lab.k, page)), page);
	}
	lab_close(&lab);
}

/* S76: one range of kernel memory is a plain displacement; and the page frames alone need no MMU at all: with
 * tier a only, before any page table exists, an address is still physical plus a constant. */
KMM_TEST(question_S76)
{
	struct hosted_config frames_only = { .machine = { .format = KMM_I386 }, .ram_bytes = 256 * MIB,
					     .tier = HOSTED_FRAMES };
	struct lab lab;
	struct lab_text text;
	char *first, *second;
	struct kmm_page *a, *b;

	CALL(check_displacement(KMM_I386));
	CALL(check_displacement(KMM_I386_PAE));
	CALL(check_displacement(KMM_X86_64));
	CALL(check_displacement(KMM_X86_64_LA57));
	CHECK(lab_open_as(&lab, &frames_only));
	first = kmm_get_free_pages(lab.k, KMM_GFP_KERNEL, 0);
	second = kmm_get_free_pages(lab.k, KMM_GFP_KERNEL, 3);
	a = kmm_virt_to_page(lab.k, first);
	b = kmm_virt_to_page(lab.k, second);
	CHECK(a && b);
	CHECK_EQ(second - first, ((long)kmm_page_to_pfn(lab.k, b).v - (long)kmm_page_to_pfn(lab.k, a).v) * (long)PAGE);
	kmm_report_zoneinfo(lab.k, lab_text_start(&text));
	CHECK(lab_text_has(&text, "Normal"));
	lab_close(&lab);
}

static bool count_mapping(void *arg, struct kmm_mm *mm, struct kmm_uva addr)
{
	(void)mm;
	*(uint64_t *)arg = addr.v;
	return true;
}

/* S80: a low frame given to a process is visible twice: at the user address and in the direct map. */
KMM_TEST(question_S80)
{
	struct lab lab;
	struct kmm_mm *mm;
	struct kmm_page *page;
	struct kmm_explain e;
	uint64_t va, found = 0;
	uint8_t byte;
	char *low;

	CHECK(lab_open(&lab, KMM_I386, 256 * MIB)); /* no high memory: user frames are low */
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	va = lab_map(mm, PAGE);
	CHECK(lab_write(&lab, mm, va + 7, 42).ok);
	page = kmm_pfn_to_page(lab.k, kmm_pfn((kmm_word)(lab_user_pa(&lab, mm, va) / PAGE)));
	low = kmm_page_address(lab.k, page);
	CHECK(low != NULL);
	CHECK_EQ(low[7], 42);
	low[8] = 43;
	CHECK(lab_read(&lab, mm, va + 8, &byte).ok);
	CHECK_EQ(byte, 43);
	CHECK_EQ(kmm_rmap_walk(lab.k, page, count_mapping, &found), 1);
	CHECK_EQ(found, va);
	kmm_explain(lab.k, mm, va, &e);
	CHECK(e.has_linear);
	CHECK_EQ(e.linear.v, lab_va(&lab, low));
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

struct sleeper {
	struct lab *lab;
	struct kmm_page *page;
	void *view;
	atomic_int done;
};

static void *sleep_in_kmap(void *arg)
{
	struct sleeper *s = arg;

	hosted_set_cpu(1);
	s->view = kmm_kmap(s->lab->k, s->page);
	atomic_store(&s->done, 1);
	return NULL;
}

static bool soon(struct lab *lab, uint64_t waits)
{
	struct timespec pause = { .tv_nsec = 1000000 };
	struct kmm_kmap_info info;
	unsigned i;

	for (i = 0; i < 5000; i++) {
		kmm_kmap_info(lab->k, &info);
		if (info.waits >= waits)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* With every slot taken: kmap_local still works, one more kmap sleeps until a slot is given back. */
static void check_full_window(struct lab *lab, struct kmm_page **pages)
{
	struct sleeper sleeper = { .lab = lab };
	pthread_t thread;
	void *local;

	sleeper.page = kmm_alloc_pages(lab->k, KMM_GFP_HIGHUSER, 0);
	local = kmm_kmap_local(lab->k, sleeper.page);
	CHECK(local != NULL);
	memset(local, 77, PAGE);
	kmm_kunmap_local(lab->k, local);
	CHECK_EQ(pthread_create(&thread, NULL, sleep_in_kmap, &sleeper), 0);
	CHECK(soon(lab, 1));
	CHECK_EQ(atomic_load(&sleeper.done), 0);
	kmm_kunmap(lab->k, pages[5]);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(sleeper.view != NULL);
	CHECK_EQ(((uint8_t *)sleeper.view)[PAGE - 1], 77);
	pages[5] = sleeper.page;
}

static void check_kmap_slots(enum kmm_format_id format, unsigned expected)
{
	struct hosted_config config = { .machine = { .format = format, .nr_cpus = 2 }, .ram_bytes = 2 * GIB,
					.strict = true, .threads = true };
	static struct kmm_page *pages[1024];
	struct kmm_kmap_info info;
	struct lab lab;
	unsigned i;

	CHECK(lab_open_as(&lab, &config));
	kmm_kmap_info(lab.k, &info);
	CHECK_EQ(info.slots, expected);
	for (i = 0; i < expected; i++) {
		pages[i] = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER, 0);
		CHECK(pages[i] && lab_zone_of(&lab, pages[i]) == KMM_ZONE_HIGHMEM);
		CHECK(kmm_kmap(lab.k, pages[i]) != NULL);
	}
	kmm_kmap_info(lab.k, &info);
	CHECK_EQ(info.used, expected);
	CALL(check_full_window(&lab, pages));
	for (i = 0; i < expected; i++)
		kmm_kunmap(lab.k, pages[i]);
	kmm_kmap_info(lab.k, &info);
	CHECK_EQ(info.used, 0);
	CHECK_EQ(info.waits, 1);
	CHECK_EQ(kmm_audit(lab.k, NULL), 0);
	lab_close(&lab);
}

struct wrong_order {
	struct kmm *k;
	void *view;
};

static void unmap_too_early(void *arg)
{
	struct wrong_order *w = arg;

	kmm_kunmap_local(w->k, w->view);
}

static void check_kmap_local(void)
{
	struct kmm_kmap_info info;
	struct kmm_page *page;
	struct wrong_order wrong;
	struct lab lab;
	void *view[16];
	unsigned i;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	page = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER, 0);
	for (i = 0; i < 16; i++) {
		view[i] = kmm_kmap_local(lab.k, page);
		CHECK(view[i] && (!i || view[i] != view[i - 1]));
	}
	kmm_kmap_info(lab.k, &info);
	CHECK_EQ(info.local_depth, 16);
	memset(view[0], 9, PAGE);
	CHECK_EQ(*(uint8_t *)view[15], 9);
	for (i = 16; i-- > 0;)
		kmm_kunmap_local(lab.k, view[i]);
	kmm_kmap_info(lab.k, &info);
	CHECK_EQ(info.local_depth, 0);
	CHECK_EQ(info.local_max, 16);
	wrong.k = lab.k;
	wrong.view = kmm_kmap_local(lab.k, page);
	CHECK(kmm_kmap_local(lab.k, page) != NULL);
	/* The later view goes first. Without assertions that is refused, and said. */
	CHECK_EQ(hosted_catch_fatal(lab.hosted, unmap_too_early, &wrong, NULL), KMM_DEBUG >= 1);
	lab_close(&lab);
}

/* S83: kmap is a small window and a scarce resource: 1024 slots (2-level) or 512 (PAE), then callers sleep;
 * E35: the short views of kmap_local never sleep, nest to 16 and are undone in reverse order. */
KMM_TEST(question_S83)
{
	CALL(check_kmap_slots(KMM_I386, 1024));
	CALL(check_kmap_slots(KMM_I386_PAE, 512));
	CALL(check_kmap_local());
}

/* S84: a high frame goes into a process or a vmalloc area without special care, and is read there without
 * kmap. */
KMM_TEST(question_S84)
{
	struct lab lab;
	struct kmm_kmap_info before, after;
	struct kmm_mm *mm;
	uint8_t *area, byte;
	uint64_t va;
	unsigned i;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	kmm_kmap_info(lab.k, &before);
	area = kmm_vmalloc(lab.k, 8 * PAGE, "S84");
	CHECK(area != NULL);
	for (i = 0; i < 8; i++) {
		CHECK_EQ(lab_zone_of(&lab, kmm_vmalloc_to_page(lab.k, area + i * PAGE)), KMM_ZONE_HIGHMEM);
		area[i * PAGE] = (uint8_t)(i + 1);
		CHECK_EQ(area[i * PAGE], i + 1);
	}
	va = lab_map(mm, PAGE);
	CHECK(lab_write(&lab, mm, va, 5).ok);
	CHECK(lab_read(&lab, mm, va, &byte).ok);
	CHECK_EQ(byte, 5);
	CHECK(lab_user_pa(&lab, mm, va) >= lab.layout.lowmem_end);
	kmm_kmap_info(lab.k, &after);
	CHECK_EQ(after.kmaps, before.kmaps);
	kmm_vfree(lab.k, area);
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

/* Sums the first bytes of all pages of a list; without views it uses what kmm_page_address says. */
static bool sum_pages(struct kmm *k, struct kmm_page **pages, unsigned nr, bool with_views, unsigned *sum)
{
	const uint8_t *bytes;
	unsigned i;

	for (i = *sum = 0; i < nr; i++) {
		bytes = with_views ? kmm_kmap_local(k, pages[i]) : kmm_page_address(k, pages[i]);
		if (!bytes)
			return false; /* a kernel would have read through a null pointer */
		*sum += bytes[0];
		if (with_views)
			kmm_kunmap_local(k, bytes);
	}
	return true;
}

/* S85: code that may see both kinds of frames must use the mapping calls; the forced mode makes low frames go
 * through windows too, so that a machine without high memory shows the mistake. */
KMM_TEST(question_S85)
{
	struct lab lab;
	struct kmm_page *pages[8];
	struct kmm_walk walk;
	uint8_t *view;
	unsigned i, sum;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	for (i = 0; i < 8; i++) {
		pages[i] = kmm_alloc_pages(lab.k, i % 2 ? KMM_GFP_HIGHUSER : KMM_GFP_KERNEL, 0);
		view = kmm_kmap_local(lab.k, pages[i]);
		view[0] = (uint8_t)(1 << i);
		kmm_kunmap_local(lab.k, view);
	}
	CHECK(!sum_pages(lab.k, pages, 8, false, &sum));
	CHECK(sum_pages(lab.k, pages, 8, true, &sum));
	CHECK_EQ(sum, 255);
	view = kmm_kmap_local(lab.k, pages[0]); /* a low page: its view is the direct map ... */
	CHECK_PTR(view, kmm_page_address(lab.k, pages[0]));
	kmm_kunmap_local(lab.k, view);
	kmm_force_kmap(lab.k, true);
	view = kmm_kmap_local(lab.k, pages[0]); /* ... forced, a slot of the fixmap, with nothing beside it */
	CHECK(lab_va(&lab, view) >= lab.layout.kmap_local_start);
	kmm_walk(lab.k, kmm_kernel_root(lab.k), (kmm_word)lab_va(&lab, view), &walk);
	CHECK(walk.mapped);
	CHECK_EQ(walk.pa.v / PAGE, kmm_page_to_pfn(lab.k, pages[0]).v);
	kmm_walk(lab.k, kmm_kernel_root(lab.k), (kmm_word)(lab_va(&lab, view) + PAGE), &walk);
	CHECK(!walk.mapped || walk.pa.v / PAGE != kmm_page_to_pfn(lab.k, pages[0]).v + 1);
	CHECK_EQ(view[0], 1);
	kmm_kunmap_local(lab.k, view);
	CHECK(sum_pages(lab.k, pages, 8, true, &sum));
	CHECK_EQ(sum, 255);
	lab_close(&lab);
}
