/* SPDX-License-Identifier: MIT */
/*
 * Questions about the calls that allocate: S65-S68, S72, S74, S75, S77-S79, S81, S91.
 * The calls that make high frames visible are in views.c.
 */
#include "harness/test.h"
#include "lab.h"

#include <stdio.h>
#include <string.h>

/* S65: kmalloc takes its slab pages, and large blocks, from the page allocator; E03: not from get_free_pages. */
KMM_TEST(question_S65)
{
	struct lab lab;
	struct lab_trace trace;
	unsigned page, object;
	void *small, *large, *again;

	CHECK(lab_open(&lab, KMM_I386, 512 * MIB));
	lab_trace_start(&lab, &trace);
	small = kmm_kmalloc(lab.k, 100, KMM_GFP_KERNEL);
	page = lab_trace_find(&trace, KMM_EV_ALLOC, 0);
	object = lab_trace_find(&trace, KMM_EV_KMALLOC, 0);
	CHECK(small && page < object && object < trace.nr); /* kmalloc -> cache -> slab page */
	CHECK_EQ(trace.event[object].a, lab_va(&lab, small));
	CHECK_EQ(lab_kind_of(&lab, kmm_virt_to_page(lab.k, small)), KMM_KIND_SLAB);

	lab_trace_start(&lab, &trace);
	again = kmm_kmalloc(lab.k, 100, KMM_GFP_KERNEL); /* from the slab that is there */
	CHECK(again != NULL);
	CHECK_EQ(lab_trace_find(&trace, KMM_EV_ALLOC, 0), trace.nr);

	lab_trace_start(&lab, &trace);
	large = kmm_kmalloc(lab.k, 20000, KMM_GFP_KERNEL);
	page = lab_trace_find(&trace, KMM_EV_ALLOC, 0);
	CHECK(large && page < trace.nr);
	CHECK_EQ(trace.event[page].b, 3); /* 20000 bytes: 5 pages, a block of 8 */
	CHECK_EQ(trace.event[page].c & KMM_GFP_COMP, KMM_GFP_COMP);
	CHECK_EQ(trace.event[page].a, kmm_page_to_pfn(lab.k, kmm_virt_to_page(lab.k, large)).v);
	CHECK(lab_kind_of(&lab, kmm_virt_to_page(lab.k, large)) != KMM_KIND_NONE);
	lab_trace_stop(&lab);
	kmm_kfree(lab.k, large);
	kmm_kfree(lab.k, again);
	kmm_kfree(lab.k, small);
	lab_close(&lab);
}

/* S66: the high modifier on kmalloc and get_free_page: reported, stripped, served from Normal (E01: no longer
 * a panic). */
KMM_TEST(question_S66)
{
	struct lab lab;
	struct lab_trace trace;
	void *page, *object;
	unsigned warn;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	lab_trace_start(&lab, &trace);
	page = kmm_get_free_pages(lab.k, KMM_GFP_HIGHUSER, 0);
	warn = lab_trace_find(&trace, KMM_EV_WARN, 0);
	CHECK(page && warn < trace.nr);
	CHECK_EQ(lab_zone_of(&lab, kmm_virt_to_page(lab.k, page)), KMM_ZONE_NORMAL);
	object = kmm_kmalloc(lab.k, 100, KMM_GFP_KERNEL | KMM_GFP_HIGHMEM);
	CHECK(object && lab_trace_find(&trace, KMM_EV_WARN, warn + 1) < trace.nr);
	CHECK_EQ(lab_zone_of(&lab, kmm_virt_to_page(lab.k, object)), KMM_ZONE_NORMAL);
	CHECK(strstr(hosted_log_text(lab.hosted), "HIGHMEM"));
	CHECK(strstr(hosted_log_text(lab.hosted), "get_free_pages"));
	CHECK(strstr(hosted_log_text(lab.hosted), "kmalloc"));
	lab_trace_stop(&lab);
	kmm_kfree(lab.k, object);
	kmm_free_pages_at(lab.k, page, 0);
	lab_close(&lab);
}

/* S67: the answer would have to be an address, and a high frame has none: where the sum would put it, nothing
 * is mapped. */
KMM_TEST(question_S67)
{
	struct lab lab;
	struct kmm_page *page;
	struct kmm_walk walk;
	struct softmmu_fault fault;
	uint64_t pa, pretended;
	uint8_t byte;

	CHECK(lab_open(&lab, KMM_I386, 1 * GIB));
	do { /* a frame whose pretended address does not even wrap around */
		page = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER, 0);
		CHECK(page != NULL);
		pa = kmm_pfn_to_paddr(kmm_page_to_pfn(lab.k, page)).v;
		pretended = pa + lab.layout.page_offset;
	} while (lab_zone_of(&lab, page) == KMM_ZONE_HIGHMEM && pretended >= lab.layout.kmap_start);
	CHECK_EQ(lab_zone_of(&lab, page), KMM_ZONE_HIGHMEM);
	CHECK(pretended >= lab.layout.page_offset + lab.layout.lowmem_end && pretended < 4 * GIB);
	kmm_walk(lab.k, kmm_kernel_root(lab.k), (kmm_word)pretended, &walk);
	CHECK(!walk.mapped);
	CHECK(!hosted_kernel_access(lab.hosted, pretended, KMM_READ, &byte, 1, &fault)); /* the oops */
	CHECK_EQ(fault.vector, SOFTMMU_PF);
	CHECK_EQ(fault.cr2, pretended);
	CHECK_PTR(kmm_page_address(lab.k, page), NULL);
	lab_close(&lab);
}

/* S68: most requests need no zone modifier. Of the 16 combinations of the four modifier bits, those with more
 * than one of DMA, DMA32 and HIGHMEM are refused: 4, each with and without MOVABLE. That is the 8 of Linux
 * 6.1's table of bad combinations; "2 illegal" counts DMA+HIGHMEM of the time before DMA32 and MOVABLE, with
 * and without a flag. */
KMM_TEST(question_S68)
{
	struct hosted_config config = { .machine = { .format = KMM_I386_PAE, .movable_percent = 50 },
					.ram_bytes = 8 * GIB };
	static const enum kmm_zone_id expected[16] = {
		[0] = KMM_ZONE_NORMAL, [KMM_GFP_DMA] = KMM_ZONE_DMA, [KMM_GFP_HIGHMEM] = KMM_ZONE_HIGHMEM,
		[KMM_GFP_MOVABLE] = KMM_ZONE_NORMAL, [KMM_GFP_MOVABLE | KMM_GFP_DMA] = KMM_ZONE_DMA,
		[KMM_GFP_MOVABLE | KMM_GFP_HIGHMEM] = KMM_ZONE_MOVABLE,
	};
	struct lab lab;
	enum kmm_zone_id zone;
	unsigned gfp, limits, refused = 0;

	CHECK(lab_open_as(&lab, &config));
	for (gfp = 0; gfp < 16; gfp++) {
		limits = !!(gfp & KMM_GFP_DMA) + !!(gfp & KMM_GFP_DMA32) + !!(gfp & KMM_GFP_HIGHMEM);
		if (limits > 1) {
			CHECK_EQ(kmm_gfp_zone(lab.k, gfp, &zone), KMM_EINVAL);
			CHECK_PTR(kmm_alloc_pages(lab.k, KMM_GFP_KERNEL | KMM_GFP_NOWARN | gfp, 0), NULL);
			refused++;
			continue;
		}
		CHECK_OK(kmm_gfp_zone(lab.k, gfp, &zone));
		/* Such a machine has no DMA32 zone: all of Normal is below 4 GiB. */
		CHECK_EQ(zone, gfp & KMM_GFP_DMA32 ? KMM_ZONE_NORMAL : expected[gfp]);
	}
	CHECK_EQ(refused, 8);
	CHECK_OK(kmm_gfp_zone(lab.k, KMM_GFP_KERNEL, &zone));
	CHECK_EQ(zone, KMM_ZONE_NORMAL);
	lab_close(&lab);
}

/* S72: "kmalloc can allocate from high memory", says a book. E01: no, for no size, with or without the
 * modifier. */
KMM_TEST(question_S72)
{
	struct lab lab;
	struct kmm_page *page;
	kmm_word free_high;
	size_t size;
	void *object;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	free_high = lab_free_in(&lab, KMM_ZONE_HIGHMEM);
	for (size = 8; size <= PAGE << (KMM_NR_ORDERS - 1); size *= 2) {
		object = kmm_kmalloc(lab.k, size, KMM_GFP_KERNEL | KMM_GFP_HIGHMEM);
		CHECK(object != NULL);
		page = kmm_virt_to_page(lab.k, object);
		CHECK(page && lab_zone_of(&lab, page) != KMM_ZONE_HIGHMEM);
	}
	CHECK_EQ(lab_free_in(&lab, KMM_ZONE_HIGHMEM), free_high);
	lab_close(&lab);
}

/* S74: what kmalloc returns is physically contiguous, and the flags travel down to the page allocator (plus
 * COMP). */
KMM_TEST(question_S74)
{
	static const kmm_gfp masks[] = { KMM_GFP_KERNEL, KMM_GFP_ATOMIC, KMM_GFP_NOFS };
	struct lab lab;
	struct lab_trace trace;
	struct kmm_page *first, *page;
	size_t size, at;
	unsigned i, alloc, object_event;
	char *object;

	CHECK(lab_open(&lab, KMM_I386, 512 * MIB));
	for (size = 8; size <= PAGE << (KMM_NR_ORDERS - 1); size *= 2) {
		lab_trace_start(&lab, &trace);
		object = kmm_kmalloc(lab.k, size, masks[size % 3]);
		CHECK(object && kmm_ksize(lab.k, object) >= size);
		first = kmm_virt_to_page(lab.k, object);
		for (at = 0; at < size; at += PAGE) {
			page = kmm_virt_to_page(lab.k, object + at);
			CHECK_EQ(kmm_page_to_pfn(lab.k, page).v, kmm_page_to_pfn(lab.k, first).v + at / PAGE);
		}
	}
	for (i = 0; i < 3; i++) {
		lab_trace_start(&lab, &trace);
		CHECK(kmm_kmalloc(lab.k, 64 * KIB, masks[i]) != NULL);
		alloc = lab_trace_find(&trace, KMM_EV_ALLOC, 0);
		object_event = lab_trace_find(&trace, KMM_EV_KMALLOC, 0);
		CHECK(alloc < trace.nr && object_event < trace.nr);
		CHECK_EQ(trace.event[object_event].c, masks[i]);
		CHECK_EQ(trace.event[alloc].c, masks[i] | KMM_GFP_COMP);
	}
	lab_trace_stop(&lab);
	lab_close(&lab);
}

/* S75: high frames are not handed out unless the modifier asks: 100,000 random requests. */
KMM_TEST(question_S75)
{
	enum { ROUNDS = 100000, HELD = 256 };
	static const kmm_gfp behaviour[] = {
		KMM_GFP_KERNEL, KMM_GFP_ATOMIC, KMM_GFP_NOWAIT, KMM_GFP_USER, KMM_GFP_NOFS
	};
	static const kmm_gfp zones[] = {
		0, KMM_GFP_DMA, KMM_GFP_DMA32, KMM_GFP_MOVABLE, KMM_GFP_MOVABLE | KMM_GFP_DMA
	};
	struct lab lab;
	struct kmm_page *held[HELD] = { NULL };
	uint64_t rng = kmm_test_seed();
	unsigned i, slot;
	kmm_gfp gfp;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	for (i = 0; i < ROUNDS; i++) {
		slot = kmm_test_rand(&rng) % HELD;
		if (held[slot])
			kmm_free_pages(lab.k, held[slot], slot % 4);
		gfp = behaviour[kmm_test_rand(&rng) % 5] | zones[kmm_test_rand(&rng) % 5] | KMM_GFP_NOWARN;
		held[slot] = kmm_alloc_pages(lab.k, gfp, slot % 4);
		CHECK(!held[slot] || lab_zone_of(&lab, held[slot]) != KMM_ZONE_HIGHMEM);
	}
	CHECK_EQ(kmm_audit(lab.k, NULL), 0);
	lab_close(&lab);
}

static void check_linear_calls(enum kmm_format_id format, uint64_t ram)
{
	struct lab lab;
	struct kmm_page *page;
	uint64_t rng = kmm_test_seed();
	unsigned i, order;
	char *ptr;

	CHECK(lab_open(&lab, format, ram));
	for (i = 0; i < 2000; i++) {
		order = kmm_test_rand(&rng) % 5;
		ptr = kmm_get_free_pages(lab.k, KMM_GFP_KERNEL, order);
		CHECK(ptr != NULL);
		page = kmm_virt_to_page(lab.k, ptr);
		CHECK(page != NULL);
		CHECK_EQ(lab_va(&lab, ptr) - lab.layout.page_offset,
			 kmm_pfn_to_paddr(kmm_page_to_pfn(lab.k, page)).v);
		CHECK_PTR(kmm_page_address(lab.k, page), ptr);
		if (i % 2)
			kmm_free_pages_at(lab.k, ptr, order);
	}
	lab_close(&lab);
}

/* S77: memory of get_free_pages is always linearly mapped, on every format. */
KMM_TEST(question_S77)
{
	CALL(check_linear_calls(KMM_I386, 2 * GIB));
	CALL(check_linear_calls(KMM_I386_PAE, 2 * GIB));
	CALL(check_linear_calls(KMM_X86_64, 2 * GIB));
	CALL(check_linear_calls(KMM_X86_64_LA57, 2 * GIB));
}

/* S78: two pages from it must be neighbours: with every second frame free a pair cannot be had, vmalloc still
 * can. */
KMM_TEST(question_S78)
{
	struct lab lab;
	struct lab_text why;
	kmm_word given_back;
	void *area;

	CHECK(lab_open(&lab, KMM_I386, 64 * MIB));
	given_back = lab_fragment(&lab);
	CHECK(given_back > 64 * MIB / PAGE / 3);
	CHECK_PTR(kmm_get_free_pages(lab.k, KMM_GFP_KERNEL | KMM_GFP_NOWARN, 1), NULL);
	kmm_why_failed(lab.k, lab_text_start(&why));
	CHECK(lab_text_has(&why, "largest free block order 0."));
	CHECK(lab_text_has(&why, "enough free memory, but in smaller pieces"));
	area = kmm_vmalloc(lab.k, 2 * PAGE, "S78");
	CHECK(area != NULL);
	CHECK(kmm_get_free_pages(lab.k, KMM_GFP_KERNEL, 0) != NULL);
	kmm_vfree(lab.k, area);
	lab_close(&lab);
}

/* S79: a user mapping gets its frame at the fault: VMA found, frame allocated, entry written. E34: by
 * HIGHUSER_MOVABLE. */
KMM_TEST(question_S79)
{
	struct lab lab;
	struct lab_trace trace;
	struct kmm_mm *mm;
	unsigned fault, alloc, set, done, i;
	uint64_t va, pfn;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	va = lab_map(mm, PAGE);
	CHECK(va != 0);
	lab_trace_start(&lab, &trace);
	CHECK(lab_can_write(&lab, mm, va));
	lab_trace_stop(&lab);
	fault = lab_trace_find(&trace, KMM_EV_FAULT, 0);
	CHECK(fault < trace.nr);
	CHECK_EQ(trace.event[fault].c, va); /* the VMA */
	done = lab_trace_find(&trace, KMM_EV_FAULT_DONE, fault);
	CHECK(done < trace.nr);
	pfn = trace.event[done].c;
	CHECK_EQ(pfn, lab_user_pa(&lab, mm, va) / PAGE);
	for (alloc = fault; alloc < done && (trace.event[alloc].id != KMM_EV_ALLOC || trace.event[alloc].a != pfn);)
		alloc++;
	CHECK(alloc < done);
	CHECK_EQ(trace.event[alloc].c & KMM_GFP_HIGHUSER_MOVABLE, KMM_GFP_HIGHUSER_MOVABLE);
	for (i = set = fault; i < done; i++)
		if (trace.event[i].id == KMM_EV_PT_SET && trace.event[i].a == va)
			set = i;
	CHECK(set > alloc);
	CHECK_EQ(trace.event[set].d, kmm_mm_root(mm).v);
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

/* S81: vmalloc: its own region, frames one by one, contiguous only here, a guard behind, the caller named;
 * E33: no get_free_pages; E45: free areas are split and merged. */
KMM_TEST(question_S81)
{
	struct lab lab;
	struct kmm_vmalloc_info info;
	struct lab_text report;
	struct kmm_walk walk;
	kmm_word pfn, last = 0;
	unsigned i, neighbours = 0;
	char *area;

	CHECK(lab_open(&lab, KMM_I386, 64 * MIB));
	lab_fragment(&lab);
	area = kmm_vmalloc(lab.k, 64 * KIB, "the_sixty_four");
	CHECK(area != NULL);
	memset(area, 0x5a, 64 * KIB);
	for (i = 0; i < 16; i++) {
		pfn = kmm_page_to_pfn(lab.k, kmm_vmalloc_to_page(lab.k, area + i * PAGE)).v;
		CHECK_EQ(*lab_phys(&lab, (uint64_t)pfn * PAGE), 0x5a);
		neighbours += i && pfn == last + 1;
		last = pfn;
	}
	CHECK_EQ(neighbours, 0);
	CHECK(kmm_vmalloc_find(lab.k, kmm_kva((kmm_word)lab_va(&lab, area)), &info));
	CHECK_EQ(info.start.v, lab_va(&lab, area));
	CHECK_EQ(info.nr_pages, 16);
	CHECK_EQ(info.size_bytes, 17 * PAGE);
	kmm_walk(lab.k, kmm_kernel_root(lab.k), info.start.v + 16 * KMM_PAGE_SIZE, &walk);
	CHECK(!walk.mapped); /* the guard */
	kmm_report_vmallocinfo(lab.k, lab_text_start(&report));
	CHECK(lab_text_has(&report, "the_sixty_four"));
	kmm_vfree(lab.k, area);
	CHECK(!kmm_vmalloc_find(lab.k, info.start, &info));
	lab_close(&lab);
}

/* S91: devices that cannot reach all addresses drive zones: ISA below 16 MiB; E38: 32 bits below 4 GiB, not 1
 * GiB. */
KMM_TEST(question_S91)
{
	struct lab lab;
	struct kmm_page *page;
	unsigned i;

	CHECK(lab_open(&lab, KMM_X86_64, 8 * GIB));
	for (i = 0; i < 500; i++) {
		page = kmm_alloc_pages(lab.k, KMM_GFP_KERNEL | KMM_GFP_DMA, 0);
		CHECK(page && kmm_page_to_pfn(lab.k, page).v < 16 * MIB / PAGE);
		page = kmm_alloc_pages(lab.k, KMM_GFP_KERNEL | KMM_GFP_DMA32, 6);
		CHECK(page && kmm_page_to_pfn(lab.k, page).v < 4 * GIB / PAGE);
	}
	lab_close(&lab);
}
