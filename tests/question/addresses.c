/* SPDX-License-Identifier: MIT */
/*
 * Logical or virtual? The address test: S12, S13, S17-S23, S64, S89. S14, the big one, is in oracle.c,
 * the constants of S15 and S16 in sizes.c.
 */
#include "harness/test.h"
#include "lab.h"

#include <string.h>

static const enum kmm_format_id all_formats[] = { KMM_I386, KMM_I386_PAE, KMM_X86_64, KMM_X86_64_LA57 };

static void check_linear_up_to_the_limit(enum kmm_format_id format, uint64_t ram)
{
	struct lab lab;
	struct kmm_walk walk;
	uint64_t end, at;

	CHECK(lab_open(&lab, format, ram));
	end = lab.layout.lowmem_end;
	for (at = MIB; at < end; at += 977 * PAGE + 13) {
		kmm_walk(lab.k, kmm_kernel_root(lab.k), (kmm_word)(lab.layout.page_offset + at), &walk);
		CHECK_EQ(walk.mapped ? walk.pa.v : 0, at);
	}
	kmm_walk(lab.k, kmm_kernel_root(lab.k), (kmm_word)(lab.layout.page_offset + end - 1), &walk);
	CHECK_EQ(walk.mapped ? walk.pa.v : 0, end - 1);
	kmm_walk(lab.k, kmm_kernel_root(lab.k), (kmm_word)(lab.layout.page_offset + end), &walk);
	CHECK(!walk.mapped);
	lab_close(&lab);
}

/* S12: kernel memory is one to one up to a limit, to the byte; E15: beyond it RAM has no such address. */
KMM_TEST(question_S12)
{
	CALL(check_linear_up_to_the_limit(KMM_I386, 2 * GIB));
	CALL(check_linear_up_to_the_limit(KMM_I386_PAE, 6 * GIB));
	CALL(check_linear_up_to_the_limit(KMM_X86_64, 6 * GIB));
	CALL(check_linear_up_to_the_limit(KMM_X86_64_LA57, 6 * GIB));
}

/* S13: is the descriptor array virtually mapped? E13: by model: flat in the direct map, vmemmap with 2 MiB
 * leaves. */
KMM_TEST(question_S13)
{
	struct lab lab;
	struct kmm_explain e;
	struct kmm_page *page;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	page = kmm_pfn_to_page(lab.k, kmm_pfn(2 * GIB / PAGE - 1)); /* of a high frame */
	kmm_explain(lab.k, NULL, lab_descriptor_va(&lab, page), &e);
	CHECK_EQ(e.class_, KMM_ADDR_DIRECT);
	CHECK(e.logical);
	CHECK_EQ(e.page.kind, KMM_KIND_MEMMAP);
	CHECK_EQ(lab_zone_of(&lab, page), KMM_ZONE_HIGHMEM);
	lab_close(&lab);

	CHECK(lab_open(&lab, KMM_X86_64, 2 * GIB));
	page = kmm_alloc_pages(lab.k, KMM_GFP_KERNEL, 0);
	kmm_explain(lab.k, NULL, lab_descriptor_va(&lab, page), &e);
	CHECK_EQ(e.class_, KMM_ADDR_VMEMMAP);
	CHECK_EQ(e.region->id, KMM_REGION_VMEMMAP);
	CHECK(!e.logical);
	CHECK_EQ(e.walk.leaf_bytes, 2 * MIB);
	CHECK_EQ(e.page.kind, KMM_KIND_MEMMAP);
	CHECK_EQ(e.linear.v, lab_va(&lab, page)); /* the same bytes, seen in the direct map */
	lab_close(&lab);
}

/* S17: walking from the offset for "RAM size" bytes; E11: RAM has holes, so that visits what is not RAM and
 * misses some. */
KMM_TEST(question_S17)
{
	static const struct kmm_memrange map[] = {
		{ .start = 0, .size = 640 * KIB, .type = KMM_MEM_RAM },
		{ .start = 1 * MIB, .size = 511 * MIB, .type = KMM_MEM_RAM },
		{ .start = 768 * MIB, .size = 256 * MIB, .type = KMM_MEM_RAM },
	};
	const struct hosted_config config = {
		.machine = { .format = KMM_X86_64, .map = map, .nr_map = 3 }
	};
	const struct kmm_memrange *range;
	struct kmm_memory_stats stats;
	uint64_t ram = 0, holes = 0, visited = 0, at;
	struct lab lab;
	unsigned i, nr;

	CHECK(lab_open_as(&lab, &config));
	for (i = 0; i < 3; i++)
		ram += map[i].size;
	ram -= PAGE; /* frame 0 is never handed out, as in Linux */
	for (at = 0; at < ram; at += PAGE) /* the naive loop */
		holes += !kmm_pfn_is_ram(lab.k, kmm_pfn((kmm_word)(at / PAGE)));
	CHECK_EQ(holes, 1 + (384 * KIB + ram - 512 * MIB) / PAGE);
	nr = kmm_memory_map(lab.k, &range);
	for (i = 0; i < nr; i++) {
		uint64_t end = range[i].type == KMM_MEM_RAM ? range[i].start + range[i].size : 0;

		for (at = range[i].start; at < end; at += PAGE)
			visited += kmm_pfn_is_ram(lab.k, kmm_pfn((kmm_word)(at / PAGE)));
	}
	CHECK_EQ(visited, ram / PAGE);
	kmm_memory_stats(lab.k, &stats);
	CHECK_EQ(stats.ram_pages, ram / PAGE);
	CHECK_EQ(stats.spanned_pages, 1 * GIB / PAGE - 1);
	lab_close(&lab);
}

/* S18: "the offset is a fixed constant"; E10: with randomisation it moves in steps of 1 GiB, and explain is
 * still right. */
KMM_TEST(question_S18)
{
	struct hosted_config config = { .machine = { .format = KMM_X86_64, .randomise = true }, .ram_bytes = 64 * MIB };
	uint64_t first = 0, moved = 0;
	struct kmm_explain e;
	struct lab lab;
	void *object;

	for (config.machine.seed = 1; config.machine.seed <= 20; config.machine.seed++) {
		CHECK(lab_open_as(&lab, &config));
		CHECK_EQ(lab.layout.page_offset % GIB, 0);
		if (config.machine.seed == 1)
			first = lab.layout.page_offset;
		moved += lab.layout.page_offset != first;
		object = kmm_kmalloc(lab.k, 100, KMM_GFP_KERNEL);
		kmm_explain(lab.k, NULL, lab_va(&lab, object), &e);
		CHECK(e.logical && e.class_ == KMM_ADDR_DIRECT);
		CHECK_EQ(e.walk.pa.v, e.va - lab.layout.page_offset);
		lab_close(&lab);
	}
	CHECK(moved >= 15);
}

enum { ACCESSED_DIRTY = 0x60 }; /* what the processor sets by itself */

static void check_kernel_halves(struct lab *lab, struct kmm_mm *const mm[3])
{
	const struct kmm_format *format = kmm_format_get(lab->machine.format);
	uint64_t step = 1ull << format->level[format->nr_levels - 1].shift;
	uint64_t kernel = lab_region(lab, KMM_REGION_DIRECT)->start & ~(step - 1);
	struct kmm_walk model, copy;
	unsigned i, n = 0;
	uint64_t va;

	for (va = kernel; va >= kernel && va <= lab->layout.region[lab->layout.nr - 1].last; va += step, n++) {
		kmm_walk(lab->k, kmm_kernel_root(lab->k), (kmm_word)va, &model);
		for (i = 0; i < 3; i++) {
			kmm_walk(lab->k, kmm_mm_root(mm[i]), (kmm_word)va, &copy);
			CHECK_EQ(copy.step[0].raw & ~(uint64_t)ACCESSED_DIRTY,
				 model.step[0].raw & ~(uint64_t)ACCESSED_DIRTY);
			CHECK_EQ(copy.step[0].index, model.step[0].index);
		}
	}
	CHECK(n >= 1);
}

static void check_shared_kernel(enum kmm_format_id format)
{
	struct kmm_mm *mm[3];
	struct kmm_walk walk;
	struct lab lab;
	char *area;
	uint64_t pa;
	unsigned i;

	CHECK(lab_open(&lab, format, 512 * MIB));
	for (i = 0; i < 3; i++) {
		CHECK_OK(kmm_mm_create(lab.k, &mm[i]));
		CHECK(lab_can_write(&lab, mm[i], lab_map(mm[i], PAGE))); /* user halves that differ */
	}
	CALL(check_kernel_halves(&lab, mm));
	area = kmm_vmalloc(lab.k, 16 * MIB, "S19");
	CHECK(area != NULL);
	pa = kmm_pfn_to_paddr(kmm_page_to_pfn(lab.k, kmm_vmalloc_to_page(lab.k, area + 9 * MIB))).v;
	for (i = 0; i < 3; i++) {
		kmm_walk(lab.k, kmm_mm_root(mm[i]), (kmm_word)lab_va(&lab, area + 9 * MIB), &walk);
		CHECK_EQ(walk.mapped ? walk.pa.v : 0, pa);
	}
	CALL(check_kernel_halves(&lab, mm));
	CHECK(kmm_mm_root(mm[0]).v != kmm_mm_root(mm[1]).v);
	for (i = 0; i < 3; i++)
		hosted_put_space(lab.hosted, mm[i]);
	lab_close(&lab);
}

/* S19: the kernel's half is shared by all processes: equal top entries, and a new vmalloc area is seen by all
 * at once. */
KMM_TEST(question_S19)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		CALL(check_shared_kernel(all_formats[i]));
}

struct trap {
	const char *name;
	uint64_t va;
	enum kmm_address_class class_;
	bool linear; /* the truth: physical is virtual less a constant, and the frame exists */
};

/* S20: "inside the region means logical"; E12: necessary for the direct map, wrong for a hole and the image's
 * alias. */
KMM_TEST(question_S20)
{
	static const struct kmm_memrange map[] = {
		{ .start = 0, .size = 640 * KIB, .type = KMM_MEM_RAM },
		{ .start = 1 * MIB, .size = 511 * MIB, .type = KMM_MEM_RAM },
		{ .start = 768 * MIB, .size = 256 * MIB, .type = KMM_MEM_RAM },
	};
	const struct hosted_config config = {
		.machine = { .format = KMM_X86_64, .map = map, .nr_map = 3 }, .image_bytes = 4 * MIB
	};
	struct kmm_explain e;
	struct lab lab;
	unsigned i, wrong = 0;
	bool rule;

	CHECK(lab_open_as(&lab, &config));
	const struct trap traps[] = {
		{ "kmalloc", lab_va(&lab, kmm_kmalloc(lab.k, 64, KMM_GFP_KERNEL)), KMM_ADDR_DIRECT, true },
		{ "hole", lab.layout.page_offset + 600 * MIB, KMM_ADDR_DIRECT_HOLE, false },
		{ "beyond RAM", lab.layout.page_offset + 2 * TIB, KMM_ADDR_DIRECT_HOLE, false },
		{ "image", lab.machine.image_va + MIB, KMM_ADDR_IMAGE, true },
		{ "descriptor", lab.layout.vmemmap_start + 64, KMM_ADDR_VMEMMAP, false },
		{ "vmalloc", lab_va(&lab, kmm_vmalloc(lab.k, PAGE, "S20")), KMM_ADDR_VMALLOC, false },
		{ "module", lab_region(&lab, KMM_REGION_MODULES)->start + PAGE, KMM_ADDR_MODULES, false },
		{ "fixmap", lab.layout.fixmap_start, KMM_ADDR_FIXMAP, false },
		{ "user", 0x400000, KMM_ADDR_USER_UNMAPPED, false },
		{ "non-canonical", 0x0000900000000000, KMM_ADDR_NONCANONICAL, false },
	};
	for (i = 0; i < sizeof(traps) / sizeof(traps[0]); i++) {
		kmm_explain(lab.k, NULL, traps[i].va, &e);
		CHECK_STR(kmm_address_class_name(e.class_), kmm_address_class_name(traps[i].class_));
		rule = e.region->id == KMM_REGION_DIRECT;
		wrong += rule != traps[i].linear;
		CHECK_EQ(e.logical || e.class_ == KMM_ADDR_IMAGE, traps[i].linear);
	}
	CHECK_EQ(wrong, 3); /* hole, beyond RAM, image */
	kmm_explain(lab.k, NULL, lab.machine.image_va + MIB, &e);
	CHECK(e.has_frame && e.has_linear); /* the image is in the direct map too */
	CHECK_EQ(e.linear.v, lab.machine.image_pa + MIB + lab.layout.page_offset);
	lab_close(&lab);
}

/* S21: from a virtual address by the tables to the frame, plus the offset: a logical alias; none for a high
 * frame (E14). */
KMM_TEST(question_S21)
{
	struct lab lab;
	struct kmm_explain e;
	uint32_t value = 0x12345678, seen = 0;
	void *area;

	CHECK(lab_open(&lab, KMM_I386, 256 * MIB)); /* all frames are low */
	area = kmm_vmalloc(lab.k, PAGE, "S21");
	kmm_explain(lab.k, NULL, lab_va(&lab, area) + 8, &e);
	CHECK(e.has_frame && e.has_linear && !e.logical);
	CHECK_EQ(e.linear.v, e.walk.pa.v + lab.layout.page_offset);
	CHECK(hosted_kernel_access(lab.hosted, lab_va(&lab, area) + 8, KMM_WRITE, &value, 4, NULL));
	CHECK(hosted_kernel_access(lab.hosted, e.linear.v, KMM_READ, &seen, 4, NULL));
	CHECK_EQ(seen, value);
	value = 0x9abcdef0;
	CHECK(hosted_kernel_access(lab.hosted, e.linear.v, KMM_WRITE, &value, 4, NULL));
	memcpy(&seen, (char *)area + 8, 4);
	CHECK_EQ(seen, value);
	lab_close(&lab);

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB)); /* the area's frame is high */
	area = kmm_vmalloc(lab.k, PAGE, "S21");
	kmm_explain(lab.k, NULL, lab_va(&lab, area), &e);
	CHECK(e.has_frame && !e.has_linear);
	CHECK(e.walk.pa.v >= lab.layout.lowmem_end);
	lab_close(&lab);
}

/* S22: a kmalloc pointer is logical at once: any size, any format. */
KMM_TEST(question_S22)
{
	uint64_t rng = kmm_test_seed();
	struct kmm_explain e;
	struct lab lab;
	unsigned i, n;
	void *object;

	for (i = 0; i < 4; i++) {
		CHECK(lab_open(&lab, all_formats[i], 2 * GIB));
		for (n = 0; n < 1000; n++) {
			object = kmm_kmalloc(lab.k, 1 + kmm_test_rand(&rng) % 30000, KMM_GFP_KERNEL);
			CHECK(object != NULL);
			kmm_explain(lab.k, NULL, lab_va(&lab, object), &e);
			CHECK(e.logical && e.has_linear && e.linear.v == e.va);
			CHECK_EQ(e.walk.pa.v, e.va - lab.layout.page_offset);
		}
		lab_close(&lab);
	}
}

/* S23: vmalloc and user pointers are not logical: only walking the tables gives their frames. */
KMM_TEST(question_S23)
{
	struct kmm_explain e;
	struct kmm_mm *mm;
	struct lab lab;
	uint64_t va;
	unsigned i, n;
	char *area;

	for (i = 0; i < 4; i++) {
		CHECK(lab_open(&lab, all_formats[i], 1 * GIB));
		CHECK_OK(kmm_mm_create(lab.k, &mm));
		area = kmm_vmalloc(lab.k, 32 * PAGE, "S23");
		va = lab_map(mm, 32 * PAGE);
		CHECK(area && va);
		for (n = 0; n < 32; n++) {
			kmm_explain(lab.k, mm, lab_va(&lab, area + n * PAGE), &e);
			CHECK(!e.logical && e.class_ == KMM_ADDR_VMALLOC && e.has_frame);
			CHECK_EQ(e.page.pfn.v, kmm_page_to_pfn(lab.k, kmm_vmalloc_to_page(lab.k, area + n * PAGE)).v);
			CHECK(lab_write(&lab, mm, va + n * PAGE, (uint8_t)n).ok);
			kmm_explain(lab.k, mm, va + n * PAGE, &e);
			CHECK(!e.logical && e.class_ == KMM_ADDR_USER && e.has_frame);
			CHECK_EQ(*lab_phys(&lab, e.walk.pa.v), n);
		}
		hosted_put_space(lab.hosted, mm);
		lab_close(&lab);
	}
}

/* Each step of a walk was read from where the step before points, and memory holds what it says. */
static void check_steps(struct lab *lab, struct kmm_mm *mm, const struct kmm_walk *walk)
{
	const struct kmm_format *format = kmm_format_get(lab->machine.format);
	uint64_t table = kmm_mm_root(mm).v, raw;
	unsigned i;

	CHECK_EQ(walk->nr_steps, format->nr_levels);
	for (i = 0; i < walk->nr_steps; i++) {
		CHECK_EQ(walk->step[i].entry_at.v, table + (uint64_t)walk->step[i].index * format->entry_size);
		raw = 0;
		memcpy(&raw, lab_phys(lab, walk->step[i].entry_at.v), format->entry_size);
		CHECK_EQ(raw & ~(uint64_t)ACCESSED_DIRTY, walk->step[i].raw & ~(uint64_t)ACCESSED_DIRTY);
		table = kmm_pfn_to_paddr(walk->step[i].pte.pfn).v;
	}
}

/* S64: address, MMU, physical address, data: every index and entry, down to the byte, as the processor finds
 * it. */
KMM_TEST(question_S64)
{
	static const unsigned levels[] = { 2, 3, 4, 5 };
	struct kmm_walk walk;
	struct lab_text text;
	struct kmm_mm *mm;
	struct lab lab;
	uint64_t va;
	unsigned i;

	for (i = 0; i < 4; i++) {
		CHECK(lab_open(&lab, all_formats[i], 2 * GIB));
		CHECK_OK(kmm_mm_create(lab.k, &mm));
		va = lab_map(mm, 4 * PAGE) + 2 * PAGE + 0x123;
		CHECK(lab_write(&lab, mm, va, 0xA7).ok);
		kmm_walk(lab.k, kmm_mm_root(mm), (kmm_word)va, &walk);
		CHECK(walk.mapped);
		CHECK_EQ(walk.nr_steps, levels[i]);
		CALL(check_steps(&lab, mm, &walk));
		CHECK_EQ(walk.pa.v, lab_user_pa(&lab, mm, va)); /* the other MMU agrees */
		CHECK_EQ(walk.pa.v % PAGE, 0x123);
		CHECK_EQ(*lab_phys(&lab, walk.pa.v), 0xA7);
		kmm_explain_print(lab.k, mm, va, lab_text_start(&text));
		CHECK(lab_text_has_number(&text, walk.step[walk.nr_steps - 1].index));
		hosted_put_space(lab.hosted, mm);
		lab_close(&lab);
	}
}

/* S89: "low memory is real, high memory virtual"; E37: a high frame is RAM, without a permanent kernel
 * address. */
KMM_TEST(question_S89)
{
	struct kmm_page *page;
	struct kmm_explain e;
	struct lab lab;
	void *view;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	page = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER, 0);
	CHECK(kmm_pfn_is_ram(lab.k, kmm_page_to_pfn(lab.k, page)));
	view = kmm_kmap(lab.k, page);
	kmm_explain(lab.k, NULL, lab_va(&lab, view), &e);
	CHECK(e.has_frame && e.has_page && !e.has_linear);
	CHECK_EQ(e.page.zone, KMM_ZONE_HIGHMEM);
	kmm_kunmap(lab.k, page);
	lab_close(&lab);
}
