/* SPDX-License-Identifier: MIT */
/*
 * Questions about zones, high memory and page descriptors: S01-S08, S11, S69-S71, S82, S86-S88, S90.
 * Boundaries come from the layout of the machine at hand; where a real kernel's number is known, it is
 * compared to the page.
 */
#include "harness/test.h"
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const enum kmm_format_id all_formats[] = { KMM_I386, KMM_I386_PAE, KMM_X86_64, KMM_X86_64_LA57 };

static uint64_t zone_end(const struct kmm_zone_info *zone)
{
	return (uint64_t)(zone->start.v + zone->spanned) << KMM_PAGE_SHIFT;
}

static uint64_t zone_start(const struct kmm_zone_info *zone)
{
	return (uint64_t)zone->start.v << KMM_PAGE_SHIFT;
}

/* lowmem end of a machine with the windows of Debian's 6.1 kernels */
static uint64_t referee_lowmem(enum kmm_format_id format, uint64_t ram, uint64_t vmalloc_reserve)
{
	struct kmm_machine machine = { .format = format, .windows = kmm_windows_linux_6_1() };
	struct kmm_layout layout;

	if (vmalloc_reserve)
		machine.windows.vmalloc_reserve = vmalloc_reserve;
	if (kmm_machine_defaults(&machine, NULL) || kmm_layout_derive(&machine, ram, &layout, NULL))
		return 0;
	return layout.lowmem_end;
}

/* S01: RAM above the end of low memory is HighMem; E05: that end is derived with its sum, never "896 MiB". */
KMM_TEST(question_S01)
{
	struct lab lab;
	struct kmm_zone_info dma, normal, high;
	struct lab_text sum;

	CHECK(lab_open(&lab, KMM_I386, 4 * GIB));
	CHECK(kmm_zone_info(lab.k, KMM_ZONE_DMA, &dma));
	CHECK(kmm_zone_info(lab.k, KMM_ZONE_NORMAL, &normal));
	CHECK(kmm_zone_info(lab.k, KMM_ZONE_HIGHMEM, &high));
	CHECK_EQ(zone_end(&dma), 16 * MIB);
	CHECK_EQ(zone_start(&normal), 16 * MIB);
	CHECK_EQ(zone_end(&normal), lab.layout.lowmem_end);
	CHECK_EQ(zone_start(&high), lab.layout.lowmem_end);
	CHECK_EQ(zone_end(&high), 4 * GIB);
	/* The nominal figure is the kernel's share less the vmalloc reserve; other windows come off too. */
	CHECK(lab.layout.lowmem_end < 4 * GIB - lab.machine.user_end - lab.machine.windows.vmalloc_reserve);
	kmm_layout_explain(&lab.machine, &lab.layout, lab_text_start(&sum));
	CHECK(lab_text_has_number(&sum, lab.layout.lowmem_end) ||
	      lab_text_has_number(&sum, lab.layout.lowmem_end + lab.layout.page_offset));
	CHECK_EQ(referee_lowmem(KMM_I386, 2 * GIB, 0), 0x36bfe000);
	CHECK_EQ(referee_lowmem(KMM_I386_PAE, 3 * GIB, 0), 0x36ffe000);
	/* Linux's vmalloc=256M comes with 8 MiB more for the hole before it. */
	CHECK_EQ(referee_lowmem(KMM_I386_PAE, 3 * GIB, 264 * MIB) / MIB, 743);
	lab_close(&lab);
}

/* S02: a call that returns a linear address cannot serve high memory, however much of it is free (E04). */
KMM_TEST(question_S02)
{
	struct lab lab;
	struct lab_text why;
	kmm_word free_high;

	CHECK(lab_open(&lab, KMM_I386, 1 * GIB));
	lab_exhaust(&lab, KMM_GFP_KERNEL | KMM_GFP_MEMALLOC | KMM_GFP_NOWARN);
	free_high = lab_free_in(&lab, KMM_ZONE_HIGHMEM);
	CHECK(free_high > 1000);
	CHECK_PTR(kmm_get_free_pages(lab.k, KMM_GFP_HIGHUSER, 0), NULL);
	CHECK_EQ(lab_free_in(&lab, KMM_ZONE_HIGHMEM), free_high);
	kmm_why_failed(lab.k, lab_text_start(&why));
	CHECK(lab_text_has(&why, "Normal")); /* tried, refused ... */
	CHECK(lab_text_has(&why, "HighMem")); /* ... and where memory is, but no address */
	CHECK(strstr(hosted_log_text(lab.hosted), "HIGHMEM is ignored"));
	CHECK(kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER, 0) != NULL);
	CHECK_EQ(lab_free_in(&lab, KMM_ZONE_HIGHMEM) < free_high, 1);
	lab_close(&lab);
}

static void check_low_is_linear(enum kmm_format_id format, uint64_t ram)
{
	struct lab lab;
	struct kmm_walk walk;
	kmm_word pfn, seen = 0;
	uint64_t pa;

	CHECK(lab_open(&lab, format, ram));
	for (pfn = 0; pfn < lab.layout.lowmem_end >> KMM_PAGE_SHIFT; pfn++) {
		if (!kmm_pfn_is_ram(lab.k, kmm_pfn(pfn)))
			continue;
		pa = (uint64_t)pfn << KMM_PAGE_SHIFT;
		kmm_walk(lab.k, kmm_kernel_root(lab.k), (kmm_word)(pa + lab.layout.page_offset), &walk);
		CHECK(walk.mapped);
		CHECK_EQ(walk.pa.v, pa);
		seen++;
	}
	CHECK(seen >= 200 * MIB / PAGE);
	lab_close(&lab);
}

/* S03: every DMA and Normal frame is permanently mapped at its physical address plus the page offset. */
KMM_TEST(question_S03)
{
	CALL(check_low_is_linear(KMM_I386, 1 * GIB));
	CALL(check_low_is_linear(KMM_I386_PAE, 1 * GIB));
	CALL(check_low_is_linear(KMM_X86_64, 256 * MIB));
	CALL(check_low_is_linear(KMM_X86_64_LA57, 256 * MIB));
}

static bool host_has_highmem(void)
{
	FILE *file = fopen("/proc/zoneinfo", "r");
	char line[256];
	bool found = false;

	while (file && fgets(line, sizeof(line), file))
		found |= strstr(line, "zone") && strstr(line, "HighMem");
	if (file)
		fclose(file);
	return found;
}

/* S04: on 64-bit machines HighMem is said to be empty; E41/E36: the zone does not exist at all. */
KMM_TEST(question_S04)
{
	struct lab lab;
	struct kmm_zone_info zone;
	struct lab_text report;

	CHECK(lab_open(&lab, KMM_X86_64, 64 * GIB));
	CHECK(!kmm_zone_info(lab.k, KMM_ZONE_HIGHMEM, &zone));
	CHECK(kmm_zone_info(lab.k, KMM_ZONE_DMA32, &zone));
	CHECK_EQ(zone_end(&zone), 4 * GIB);
	CHECK(kmm_zone_info(lab.k, KMM_ZONE_NORMAL, &zone));
	CHECK_EQ(zone_end(&zone), 64 * GIB);
	CHECK_EQ(lab.layout.kmap_slots, 0);
	kmm_report_zoneinfo(lab.k, lab_text_start(&report));
	CHECK(lab_text_has(&report, "Normal"));
	CHECK(!lab_text_has(&report, "HighMem"));
	CHECK(sizeof(void *) == 4 || !host_has_highmem());
	lab_close(&lab);
}

/* S05: high frames come by the descriptor of the first one, which is in low memory (E44: not only from this
 * call). */
KMM_TEST(question_S05)
{
	struct lab lab;
	struct kmm_page *page;
	uint64_t va, pa;
	void *view;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	page = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER, 2);
	CHECK(page != NULL);
	pa = kmm_pfn_to_paddr(kmm_page_to_pfn(lab.k, page)).v;
	va = lab_descriptor_va(&lab, page);
	CHECK(pa >= lab.layout.lowmem_end);
	CHECK(va >= lab.layout.page_offset && va < lab.layout.page_offset + lab.layout.lowmem_end);
	CHECK_PTR(kmm_page_address(lab.k, page), NULL);
	view = kmm_kmap(lab.k, page);
	CHECK(view != NULL);
	CHECK_PTR(kmm_page_address(lab.k, page), view);
	kmm_kunmap(lab.k, page);
	kmm_free_pages(lab.k, page, 2);
	lab_close(&lab);

	CHECK(lab_open(&lab, KMM_X86_64, 2 * GIB));
	page = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER, 2); /* the same call, and no high memory to give */
	CHECK(page != NULL);
	va = lab_descriptor_va(&lab, page);
	CHECK(va >= lab.layout.vmemmap_start && va < lab.layout.vmemmap_end);
	CHECK(kmm_page_address(lab.k, page) != NULL);
	lab_close(&lab);
}

/* A descriptor lies where this format keeps them. */
static bool descriptor_in_place(struct lab *lab, const struct kmm_page *page)
{
	uint64_t va = lab_descriptor_va(lab, page);

	if (lab->layout.vmemmap_end > lab->layout.vmemmap_start)
		return va >= lab->layout.vmemmap_start && va < lab->layout.vmemmap_end;
	return va >= lab->layout.page_offset && va < lab->layout.page_offset + lab->layout.lowmem_end;
}

static void check_descriptors_stay(enum kmm_format_id format, uint64_t ram)
{
	enum { SAMPLES = 1000, ROUNDS = 100000, HELD = 64 };
	struct lab lab;
	struct kmm_page *at[SAMPLES], *held[HELD] = { NULL };
	struct kmm_memory_stats before, after;
	uint64_t rng = kmm_test_seed();
	unsigned i, slot;

	CHECK(lab_open(&lab, format, ram));
	kmm_memory_stats(lab.k, &before);
	CHECK_EQ(before.spanned_pages, ram / PAGE - 1); /* frame 0 is left alone, as in Linux */
	CHECK((uint64_t)before.memmap_pages * PAGE >= (uint64_t)before.spanned_pages * before.page_size_bytes);
	for (i = 0; i < SAMPLES; i++) {
		at[i] = kmm_pfn_to_page(lab.k, kmm_pfn((kmm_word)(ram / PAGE / SAMPLES * i)));
		CHECK(at[i] && descriptor_in_place(&lab, at[i]));
	}
	for (i = 0; i < ROUNDS; i++) {
		slot = kmm_test_rand(&rng) % HELD;
		if (held[slot])
			kmm_free_pages(lab.k, held[slot], slot % 4);
		held[slot] = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER, slot % 4);
		CHECK(held[slot] && descriptor_in_place(&lab, held[slot]));
	}
	for (i = 0; i < SAMPLES; i++)
		CHECK_PTR(kmm_pfn_to_page(lab.k, kmm_pfn((kmm_word)(ram / PAGE / SAMPLES * i))), at[i]);
	kmm_memory_stats(lab.k, &after);
	CHECK_EQ(after.memmap.v, before.memmap.v);
	CHECK_EQ(after.memmap_pages, before.memmap_pages);
	lab_close(&lab);
}

/* S06: one descriptor per spanned frame (E07), in low memory or vmemmap (E13), at an address that never
 * changes. */
KMM_TEST(question_S06)
{
	CALL(check_descriptors_stay(KMM_I386, 2 * GIB));
	CALL(check_descriptors_stay(KMM_X86_64, 2 * GIB));
}

/* S07: a descriptor says what its frame is used for; high frames have one too, and all are in low memory
 * (E07). */
KMM_TEST(question_S07)
{
	struct lab lab;
	struct kmm_memory_stats stats;
	struct kmm_page_info info;
	struct kmm_page *page;

	CHECK(lab_open(&lab, KMM_I386, 4 * GIB));
	page = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER, 1);
	CHECK(page != NULL);
	kmm_page_info(lab.k, page, &info);
	CHECK_EQ(info.zone, KMM_ZONE_HIGHMEM);
	CHECK_EQ(info.kind, KMM_KIND_KERNEL);
	CHECK_EQ(info.refcount, 1);
	CHECK_EQ(info.mapcount, 0);
	CHECK_EQ(info.order, 1);
	CHECK_EQ(info.pfn.v, kmm_page_to_pfn(lab.k, page).v);
	kmm_memory_stats(lab.k, &stats);
	CHECK_EQ(kmm_layout_memmap_bytes(KMM_I386, stats.spanned_pages),
		 (uint64_t)stats.spanned_pages * stats.page_size_bytes);
	CHECK(stats.memmap.v + (uint64_t)stats.memmap_pages * PAGE <= lab.layout.lowmem_end);
	page = kmm_pfn_to_page(lab.k, kmm_paddr_to_pfn(stats.memmap));
	CHECK_EQ(lab_kind_of(&lab, page), KMM_KIND_MEMMAP);
	lab_close(&lab);
}

/* Regions are sorted, touch each other and cover all 2^bits addresses of the format. */
static void check_regions(const struct kmm_layout *layout, uint64_t last)
{
	uint64_t next = 0;
	unsigned i;

	CHECK(layout->nr > 1);
	for (i = 0; i < layout->nr; i++) {
		CHECK_EQ(layout->region[i].start, next);
		CHECK(layout->region[i].last >= layout->region[i].start);
		next = layout->region[i].last + 1;
	}
	CHECK_EQ(layout->region[layout->nr - 1].last, last);
}

/* S08: 32 bits of addresses are split between user and kernel; E40: 4G/4G would work too, it is not offered. */
KMM_TEST(question_S08)
{
	static const uint64_t split[] = { 0xC0000000, 0x80000000, 0x40000000 };
	struct kmm_layout layout;
	struct kmm_machine machine;
	const char *why = NULL;
	unsigned i;

	for (i = 0; i < 3; i++) {
		uint64_t kernel = 4 * GIB - split[i];

		machine = (struct kmm_machine){ .format = KMM_I386, .user_end = split[i] };
		CHECK_OK(kmm_machine_defaults(&machine, &why));
		CHECK_OK(kmm_layout_derive(&machine, 4 * GIB, &layout, &why));
		CALL(check_regions(&layout, UINT32_MAX));
		CHECK_EQ(layout.page_offset, split[i]);
		CHECK_EQ(layout.user_end, split[i]);
		CHECK(layout.lowmem_end < kernel - machine.windows.vmalloc_reserve);
		CHECK(layout.lowmem_end > kernel - machine.windows.vmalloc_reserve - 32 * MIB);
		CHECK_EQ(kmm_layout_memmap_bytes(KMM_I386, 4 * GIB / PAGE), 24 * MIB); /* whatever the split */
	}
	machine = (struct kmm_machine){ .format = KMM_I386, .user_end = 0xFFC00000 };
	why = NULL;
	CHECK_EQ(kmm_machine_defaults(&machine, &why), KMM_EINVAL);
	CHECK(why && strlen(why) > 10);
}

/* S88: why not map all 4 GiB? S90: programs need addresses too, and each of the kernel's is one less for them, whatever the
 * split; what is reserved for windows is taken off the linear map. */
KMM_TEST(question_S88)
{
	static const uint64_t split[] = { 0xC0000000, 0x80000000, 0x40000000 };
	struct kmm_machine none = { .format = KMM_I386, .user_end = PAGE };
	const char *why = NULL;

	for (unsigned i = 0; i < 3; i++) {
		struct kmm_machine more = { .format = KMM_I386_PAE, .user_end = split[i], .windows = kmm_windows_linux_6_1() };
		struct kmm_machine less = more;
		struct kmm_layout small, large;

		more.windows.vmalloc_reserve = 256 * MIB;
		less.windows.vmalloc_reserve = 64 * MIB;
		CHECK(kmm_machine_defaults(&more, &why) == KMM_OK && kmm_machine_defaults(&less, &why) == KMM_OK);
		CHECK_OK(kmm_layout_derive(&more, 4 * GIB, &small, &why));
		CHECK_OK(kmm_layout_derive(&less, 4 * GIB, &large, &why));
		CHECK_EQ(large.lowmem_end - small.lowmem_end, 192 * MIB);
		CHECK(large.lowmem_end + split[i] < 4 * GIB); /* so 4 GiB never fit */
		CHECK(4 * GIB - large.lowmem_end > split[i]); /* more is high than programs have addresses */
	}
	CHECK_EQ(kmm_machine_defaults(&none, &why), KMM_EINVAL); /* nothing would be left to run */
	CHECK(strstr(why, "split") != NULL);
}

/* S11: all descriptors fit in Normal; E08: at 64 GiB they take most of it, with Linux's 40 bytes even more. */
KMM_TEST(question_S11)
{
	struct lab lab;
	struct kmm_memory_stats stats;
	struct kmm_zone_info normal;

	CHECK_EQ(kmm_layout_memmap_bytes(KMM_I386, 4 * GIB / PAGE), 24 * MIB);
	CHECK_EQ(kmm_layout_memmap_bytes(KMM_I386_PAE, 64 * GIB / PAGE), 384 * MIB);
	CHECK_EQ(64 * GIB / PAGE * 40, 640 * MIB); /* Linux 6.1 on i386 */
	CHECK(lab_open(&lab, KMM_I386_PAE, 64 * GIB));
	kmm_memory_stats(lab.k, &stats);
	CHECK_EQ(stats.page_size_bytes, 24);
	CHECK_EQ(stats.memmap_pages, 384 * MIB / PAGE);
	CHECK(stats.memmap.v + 384 * MIB <= lab.layout.lowmem_end);
	CHECK(kmm_zone_info(lab.k, KMM_ZONE_NORMAL, &normal));
	CHECK(normal.managed > 0);
	CHECK((uint64_t)normal.managed * PAGE < lab.layout.lowmem_end - 384 * MIB); /* what is left of it */
	CHECK(normal.free * (uint64_t)PAGE >= 400 * MIB); /* Linux 6.1: 160 MiB of all low memory */
	lab_close(&lab);
}

static unsigned count_zones(enum kmm_format_id format, uint64_t ram, uint32_t movable_percent)
{
	struct hosted_config config = { .machine = { .format = format, .movable_percent = movable_percent },
					.ram_bytes = ram };
	struct kmm_zone_info info;
	struct lab lab;
	unsigned zone, nr = 0;

	if (!lab_open_as(&lab, &config))
		return 0;
	for (zone = 0; zone < KMM_NR_ZONES; zone++)
		nr += kmm_zone_info(lab.k, (enum kmm_zone_id)zone, &info) && info.present > 0;
	lab_close(&lab);
	return nr;
}

/* S69: "at least three zones"; E42: from one up, by machine and configuration. */
KMM_TEST(question_S69)
{
	CHECK_EQ(count_zones(KMM_I386, 12 * MIB, 0), 1);
	CHECK_EQ(count_zones(KMM_I386, 512 * MIB, 0), 2);
	CHECK_EQ(count_zones(KMM_I386, 2 * GIB, 0), 3);
	CHECK_EQ(count_zones(KMM_I386_PAE, 8 * GIB, 50), 4);
	CHECK_EQ(count_zones(KMM_X86_64, 2 * GIB, 0), 2);
	CHECK_EQ(count_zones(KMM_X86_64, 8 * GIB, 0), 3);
	CHECK_EQ(count_zones(KMM_X86_64_LA57, 8 * GIB, 50), 4);
}

/* S70: the high modifier says "may", is portable, and starts the fallback at the highest zone there is (E02). */
KMM_TEST(question_S70)
{
	struct lab lab;
	struct kmm_page *page;
	enum kmm_zone_id zone, order[KMM_NR_ZONES];
	bool seen[KMM_NR_ZONES] = { false };
	unsigned nr = 0;

	CHECK(lab_open(&lab, KMM_I386, 1 * GIB));
	CHECK_OK(kmm_gfp_zone(lab.k, KMM_GFP_HIGHUSER, &zone));
	CHECK_EQ(zone, KMM_ZONE_HIGHMEM);
	while ((page = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER | KMM_GFP_MEMALLOC | KMM_GFP_NOWARN, 8)) != NULL) {
		zone = lab_zone_of(&lab, page);
		if (!seen[zone])
			order[nr++] = zone;
		seen[zone] = true;
	}
	CHECK_EQ(nr, 3);
	CHECK(order[0] == KMM_ZONE_HIGHMEM && order[1] == KMM_ZONE_NORMAL && order[2] == KMM_ZONE_DMA);
	lab_close(&lab);

	CHECK(lab_open(&lab, KMM_X86_64, 8 * GIB));
	CHECK_OK(kmm_gfp_zone(lab.k, KMM_GFP_HIGHUSER, &zone));
	CHECK_EQ(zone, KMM_ZONE_NORMAL);
	page = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER, 0);
	CHECK(page && lab_zone_of(&lab, page) == KMM_ZONE_NORMAL);
	lab_close(&lab);
}

/* S71: kernel objects must be permanently mapped: slab fills Normal to the end and never takes a high frame. */
KMM_TEST(question_S71)
{
	struct lab lab;
	struct kmm_page *page;
	void *object;
	kmm_word free_high;
	unsigned nr = 0;

	CHECK(lab_open(&lab, KMM_I386, 1 * GIB));
	free_high = lab_free_in(&lab, KMM_ZONE_HIGHMEM);
	while ((object = kmm_kmalloc(lab.k, 4096, KMM_GFP_KERNEL | KMM_GFP_NOWARN)) != NULL) {
		page = kmm_virt_to_page(lab.k, object);
		CHECK(page && lab_zone_of(&lab, page) <= KMM_ZONE_NORMAL);
		nr++;
	}
	CHECK(nr > lab.layout.lowmem_end / 4096 / 2);
	CHECK_EQ(lab_free_in(&lab, KMM_ZONE_HIGHMEM), free_high);
	lab_close(&lab);
}

/* S82: high memory exists because the linear window is smaller than RAM; E06: what is reserved is addresses. */
KMM_TEST(question_S82)
{
	struct lab lab;
	const struct kmm_region *direct;
	struct kmm_page *page;
	struct kmm_explain first_high;
	void *view, *area;

	CHECK(lab_open(&lab, KMM_I386, 4 * GIB));
	direct = lab_region(&lab, KMM_REGION_DIRECT);
	CHECK(direct != NULL);
	CHECK(direct->last - direct->start + 1 < 1 * GIB);
	page = kmm_pfn_to_page(lab.k, kmm_pfn((kmm_word)(lab.layout.lowmem_end / PAGE) - 1));
	CHECK(kmm_page_address(lab.k, page) != NULL); /* the last low frame */
	page = kmm_pfn_to_page(lab.k, kmm_pfn((kmm_word)(lab.layout.lowmem_end / PAGE)));
	CHECK_PTR(kmm_page_address(lab.k, page), NULL); /* its neighbour */
	kmm_explain(lab.k, NULL, lab.layout.lowmem_end + lab.layout.page_offset, &first_high);
	CHECK(!first_high.logical && !first_high.has_frame);
	page = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER, 0);
	view = kmm_kmap(lab.k, page);
	area = kmm_vmap(lab.k, &page, 1, KMM_PROT_READ | KMM_PROT_WRITE, "S82");
	CHECK(page && view && area);
	memcpy(view, "seen by kmap", 13);
	CHECK_STR((char *)area, "seen by kmap");
	CHECK_EQ(lab_region(&lab, KMM_REGION_KMAP)->start <= lab_va(&lab, view), 1);
	CHECK(lab_va(&lab, area) >= lab.layout.vmalloc_start && lab_va(&lab, area) < lab.layout.vmalloc_end);
	kmm_vunmap(lab.k, area);
	kmm_kunmap(lab.k, page);
	lab_close(&lab);
}

/* S86: mem_map is the array of all descriptors: number to descriptor and back is the identity, flat and
 * vmemmap. */
KMM_TEST(question_S86)
{
	struct kmm_page *page, *before;
	struct kmm_memory_stats stats;
	struct lab lab;
	kmm_word pfn;
	unsigned i;

	for (i = 0; i < 4; i++) {
		CHECK(lab_open(&lab, all_formats[i], 1 * GIB));
		kmm_memory_stats(lab.k, &stats);
		before = NULL;
		for (pfn = 0; pfn < 1 * GIB / PAGE; pfn++) {
			page = kmm_pfn_to_page(lab.k, kmm_pfn(pfn));
			CHECK(page != NULL);
			CHECK_EQ(kmm_page_to_pfn(lab.k, page).v, pfn);
			CHECK(!before || (char *)page - (char *)before == (long)stats.page_size_bytes);
			before = page;
		}
		CHECK_PTR(kmm_pfn_to_page(lab.k, kmm_pfn((kmm_word)(64 * GIB / PAGE))), NULL);
		lab_close(&lab);
	}
}

/* S87: 256 Ki entries of 32 bytes are 8 MiB for 1 GiB and 32 MiB for 4 GiB; E07: an entry for every frame. */
KMM_TEST(question_S87)
{
	CHECK_EQ(1 * GIB / PAGE, 256 * KIB);
	CHECK_EQ(kmm_layout_memmap_bytes(KMM_X86_64, 1 * GIB / PAGE), 8 * MIB);
	CHECK_EQ(kmm_layout_memmap_bytes(KMM_X86_64, 4 * GIB / PAGE), 32 * MIB);
	CHECK_EQ(kmm_layout_memmap_bytes(KMM_I386, 1 * GIB / PAGE), 6 * MIB);
}
