/* SPDX-License-Identifier: MIT */
/*
 * Every call of kernel virtual memory at once: kmap, kmap_local, vmalloc, vmap, ioremap, per-CPU objects, reports.
 */
#include "crew.h"

enum { VMALLOC, MAPPED_PAGE, PERCPU, NR_SORTS };

static void drop(struct hand *h, struct thing *t)
{
	void *what = t->what;
	bool good = true;

	t->what = NULL;
	if (t->sort == VMALLOC) {
		good = hand_stamp_holds(t, what, 32) && hand_stamp_holds(t, (char *)what + t->size - 32, 32);
		kmm_vfree(h->k, what);
	} else if (t->sort == MAPPED_PAGE) {
		good = hand_stamp_holds(t, kmm_page_address(h->k, what), 64);
		kmm_kunmap(h->k, what);
		kmm_put_page(h->k, what);
	} else {
		kmm_percpu_free(h->k, (struct kmm_percpu_handle){ (uintptr_t)what });
	}
	HAND_CHECK(h, good);
}

static void take_area(struct hand *h, struct thing *t)
{
	t->size = (1 + hand_dice(h, 20)) * KMM_PAGE_SIZE;
	t->what = kmm_vmalloc(h->k, t->size, "race");
	if (t->what) {
		hand_stamp(t, t->what, 32);
		hand_stamp(t, (char *)t->what + t->size - 32, 32);
	}
}

static void take_page(struct hand *h, struct thing *t)
{
	struct kmm_page *page = kmm_alloc_pages(h->k, KMM_GFP_HIGHUSER, 0);
	void *view = page ? kmm_kmap(h->k, page) : NULL;

	if (page && !view)
		kmm_put_page(h->k, page);
	t->what = view ? page : NULL;
	if (view)
		hand_stamp(t, view, 64);
}

static void take_percpu(struct hand *h, struct thing *t)
{
	t->size = 8 + hand_dice(h, 200);
	t->what = (void *)kmm_percpu_alloc(h->k, t->size, 8).v;
	for (unsigned cpu = 0; t->what && cpu < CREW_HANDS; cpu++) {
		uint64_t *copy = kmm_percpu_ptr((struct kmm_percpu_handle){ (uintptr_t)t->what }, cpu);

		HAND_CHECK(h, *copy == 0);
		*copy = t->stamp;
	}
}

static void take(struct hand *h, struct thing *t)
{
	t->sort = hand_dice(h, NR_SORTS);
	t->stamp = (uint32_t)kmm_test_rand(&h->rng);
	if (t->sort == VMALLOC)
		take_area(h, t);
	else if (t->sort == MAPPED_PAGE)
		take_page(h, t);
	else
		take_percpu(h, t);
}

static void local_views(struct hand *h)
{
	struct kmm_page *page[4];
	void *view[4];
	unsigned nr = 0;

	for (; nr < 4 && (page[nr] = kmm_alloc_cleared_page(h->k, KMM_GFP_HIGHUSER)) != NULL; nr++) {
		view[nr] = kmm_kmap_local(h->k, page[nr]);
		HAND_CHECK(h, *(uint64_t *)view[nr] == 0);
		*(uint64_t *)view[nr] = h->cpu + 1;
	}
	while (nr--) {
		HAND_CHECK(h, *(uint64_t *)view[nr] == h->cpu + 1);
		kmm_kunmap_local(h->k, view[nr]);
		kmm_put_page(h->k, page[nr]);
	}
}

static void copies(struct hand *h)
{
	struct kmm_page *from = kmm_alloc_cleared_page(h->k, KMM_GFP_HIGHUSER);
	struct kmm_page *to = kmm_alloc_pages(h->k, KMM_GFP_HIGHUSER, 0);

	if (from && to)
		kmm_copy_page(h->k, to, from);
	if (from)
		kmm_put_page(h->k, from);
	if (to)
		kmm_put_page(h->k, to);
}

/* Frames shown a second time. */
static void second_view(struct hand *h)
{
	struct kmm_page *page[3];
	size_t got = kmm_alloc_pages_bulk(h->k, KMM_GFP_HIGHUSER, 3, page);
	char *at = got == 3 ? kmm_vmap(h->k, page, 3, KMM_PROT_READ | KMM_PROT_WRITE, "race vmap") : NULL;
	struct kmm_vmalloc_info info;

	if (at) {
		at[0] = at[2 * KMM_PAGE_SIZE] = (char)h->cpu;
		HAND_CHECK(h, kmm_vmalloc_to_page(h->k, at + KMM_PAGE_SIZE) == page[1]);
		HAND_CHECK(h, kmm_vmalloc_find(h->k, kmm_ptr_to_kva(h->k, at), &info) && info.is_vmap);
		kmm_vunmap(h->k, at);
	}
	kmm_free_pages_bulk(h->k, got, page);
}

static void device(struct hand *h)
{
	void *at = kmm_ioremap(h->k, kmm_paddr(0xfeb00000u + h->cpu * 0x10000u), 8192, "race device");

	if (at)
		kmm_iounmap(h->k, at);
}

static void look(struct hand *h)
{
	struct kmm_kmap_info kmap;
	struct kmm_percpu_info percpu;

	kmm_kmap_info(h->k, &kmap);
	HAND_CHECK(h, kmap.used <= kmap.slots);
	kmm_percpu_info(h->k, &percpu);
	kmm_report_vmallocinfo(h->k, &h->sink);
	kmm_report_meminfo(h->k, &h->sink);
	kmm_report_vmstat(h->k, &h->sink);
	kmm_report_kpagecount(h->k, kmm_pfn(256), 512, &h->sink);
	kmm_report_kpageflags(h->k, kmm_pfn(256), 512, &h->sink);
}

static void step(struct hand *h)
{
	static void (*const others[])(struct hand *h) = { local_views, local_views, copies, second_view, device };
	unsigned n = hand_dice(h, 64);

	if (n == 0)
		look(h);
	else if (n == 1)
		kmm_vmalloc_purge(h->k);
	else if (n < 16)
		others[hand_dice(h, 5)](h);
	else if (n < 24)
		hand_swap(h, hand_slot(h));
	else
		hand_toggle(h);
}

static void hammer(enum kmm_format_id format)
{
	static struct crew c;

	CALL(crew_boot(&c, format, CREW_MIB(1200), HOSTED_KERNEL));
	c.step = step;
	c.take = take;
	c.drop = drop;
	CALL(crew_work(&c));
	CALL(crew_clear(&c));
	crew_end(&c);
}

KMM_TEST(race_windows_i386)
{
	hammer(KMM_I386);
}

KMM_TEST(race_windows_x86_64)
{
	hammer(KMM_X86_64);
}
