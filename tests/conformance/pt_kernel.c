/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page tables on every format and split: the direct map, the windows, what start-up does when memory
 * is short. Translations are checked by the library's own walk and by the hosted machine's MMU.
 */
#include "conformance/pt_bench.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define NONE UINT64_MAX

static bool is_wide(const struct pt_case *c)
{
	return c->format >= KMM_X86_64;
}

/* ---- the direct map ---- */

/* A map with all that can be in one: legacy area, bad RAM, a hole, firmware's memory. */
static const struct kmm_memrange holey[] = {
	{ 0, 0x9fc00, KMM_MEM_RAM, NULL },
	{ 0x9fc00, 0x400, KMM_MEM_RESERVED, NULL },
	{ 1 * MIB, 19 * MIB, KMM_MEM_RAM, NULL },
	{ 20 * MIB, 1 * MIB, KMM_MEM_BAD, NULL },
	{ 21 * MIB, 19 * MIB, KMM_MEM_RAM, NULL },
	{ 48 * MIB, 1 * MIB, KMM_MEM_ACPI, NULL },
	{ 49 * MIB, 15 * MIB, KMM_MEM_RAM, NULL },
};

static bool holey_is_mapped(uint64_t pa)
{
	return pa < 20 * MIB || (pa >= 21 * MIB && pa < 40 * MIB) || (pa >= 48 * MIB && pa < 64 * MIB);
}

static void check_direct(struct pt_bench *b, uint64_t pa, bool mapped)
{
	const struct kmm_layout *l = kmm_layout_of(b->k);
	struct kmm_paddr root = kmm_pt_kernel(b->k)->root;
	struct kmm_walk walk;

	CHECK_EQ(pt_bench_probe(b, root, l->page_offset + pa), mapped ? pa : NONE);
	kmm_walk(b->k, root, (kmm_word)(l->page_offset + pa), &walk);
	CHECK_EQ(walk.mapped, mapped);
	if (mapped) {
		uint32_t flags = walk.step[walk.nr_steps - 1].pte.flags;

		CHECK_EQ(walk.pa.v, pa);
		CHECK_EQ(flags & (KMM_PTE_WRITE | KMM_PTE_GLOBAL | KMM_PTE_USER), KMM_PTE_WRITE | KMM_PTE_GLOBAL);
	}
}

KMM_TEST(pt_direct_map_has_ram_and_no_holes)
{
	const struct hosted_config config = { .machine = { .map = holey, .nr_map = sizeof(holey) / sizeof(holey[0]) } };

	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		struct pt_bench b;

		CALL(pt_bench_open_config(&b, &pt_cases[i], &config));
		for (uint64_t pa = 0; pa < 72 * MIB; pa += KMM_PAGE_SIZE)
			CALL(check_direct(&b, pa, holey_is_mapped(pa)));
		CALL(pt_bench_audit(b.k));
		pt_bench_close(&b);
	}
}

KMM_TEST(pt_direct_map_uses_the_largest_leaves)
{
	const struct hosted_config config = { .machine = { .map = holey, .nr_map = sizeof(holey) / sizeof(holey[0]) } };

	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		uint64_t large = pt_cases[i].format == KMM_I386 ? 4 * MIB : 2 * MIB;
		struct pt_bench b;

		CALL(pt_bench_open_config(&b, &pt_cases[i], &config));
		for (uint64_t pa = 0; pa < 64 * MIB; pa += large) {
			struct kmm_walk walk;
			bool whole = true;

			for (uint64_t at = pa; at < pa + large; at += MIB)
				whole = whole && holey_is_mapped(at);
			kmm_walk(b.k, kmm_pt_kernel(b.k)->root, (kmm_word)(b.k->layout.page_offset + pa), &walk);
			CHECK_EQ(walk.leaf_bytes == large, whole);
		}
		pt_bench_close(&b);
	}
}

KMM_TEST(pt_kernel_image_is_executable_and_nothing_else)
{
	const struct hosted_config config = { .ram_bytes = 64 * MIB, .image_bytes = 3 * MIB }; /* at 16 MiB */

	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		bool wide = is_wide(&pt_cases[i]), has_nx = pt_cases[i].format != KMM_I386;
		struct pt_bench b;
		struct kmm_walk walk;

		CALL(pt_bench_open_config(&b, &pt_cases[i], &config));
		for (uint64_t pa = 0; pa < 64 * MIB; pa += MIB) {
			bool image = pa >= 16 * MIB && pa < 19 * MIB && !wide;

			kmm_walk(b.k, kmm_pt_kernel(b.k)->root, (kmm_word)(b.k->layout.page_offset + pa), &walk);
			CHECK(walk.mapped);
			CHECK_EQ(!!(walk.step[walk.nr_steps - 1].pte.flags & KMM_PTE_EXEC), image || !has_nx);
		}
		if (wide) {
			uint64_t va = b.k->machine.image_va;

			kmm_walk(b.k, kmm_pt_kernel(b.k)->root, (kmm_word)(va + 3 * MIB - 1), &walk);
			CHECK_EQ(walk.pa.v, 19 * MIB - 1);
			CHECK(walk.step[walk.nr_steps - 1].pte.flags & KMM_PTE_EXEC);
			CHECK_EQ(pt_bench_probe(&b, kmm_pt_kernel(b.k)->root, va), 16 * MIB);
			CHECK_EQ(pt_bench_probe(&b, kmm_pt_kernel(b.k)->root, va + 3 * MIB), NONE);
		}
		pt_bench_close(&b);
	}
}

/* Nobody promises that an image's addresses agree in their low bits. */
static void check_image_at(const struct pt_case *c, uint64_t va, uint64_t pa)
{
	const struct hosted_config config = {
		.ram_bytes = 64 * MIB, .machine = { .image_va = va, .image_pa = pa, .image_size = 5 * MIB },
	};
	struct pt_bench b;

	CALL(pt_bench_open_config(&b, c, &config));
	for (uint64_t at = 0; at < 5 * MIB; at += 4096)
		CHECK_EQ(pt_bench_probe(&b, kmm_pt_kernel(b.k)->root, va + at), pa + at);
	CALL(pt_bench_audit(b.k));
	pt_bench_close(&b);
}

KMM_TEST(pt_image_window_takes_any_alignment)
{
	const uint64_t window = 0xffffffff80000000;

	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		if (!is_wide(&pt_cases[i]))
			continue;
		CALL(check_image_at(&pt_cases[i], window + 16 * MIB, 16 * MIB));
		CALL(check_image_at(&pt_cases[i], window, 16 * MIB + 0x3000));
		CALL(check_image_at(&pt_cases[i], window + 0x5000, 16 * MIB));
		CALL(check_image_at(&pt_cases[i], window + 0x5000, 16 * MIB + 0x5000));
	}
}

/* The same rights through the direct map, so that code cannot be written under its other address; there it is executed
 * only where it has no other. */
static void check_direct_rights(const struct pt_bench *b, bool wide, bool has_nx, uint64_t at, uint64_t text, uint64_t data)
{
	struct kmm_walk walk;
	uint32_t flags;

	kmm_walk(b->k, kmm_pt_kernel(b->k)->root, (kmm_word)(b->k->layout.page_offset + 16 * MIB + at), &walk);
	flags = walk.step[walk.nr_steps - 1].pte.flags;
	CHECK_EQ(walk.pa.v, 16 * MIB + at);
	CHECK_EQ(!!(flags & KMM_PTE_EXEC), (at < text && !wide) || !has_nx);
	CHECK_EQ(!!(flags & KMM_PTE_WRITE), at >= data);
}

/* 5 MiB from 16 MiB: code for 2 MiB and a bit, read-only data for a page and a bit, data. */
KMM_TEST(pt_parts_of_the_image_have_their_rights)
{
	const uint64_t text = 2 * MIB + 100, rodata = 4097, window = 0xffffffff80000000;
	const struct hosted_config config = {
		.ram_bytes = 64 * MIB,
		.machine = { .image_va = window + 16 * MIB, .image_pa = 16 * MIB, .image_size = 5 * MIB,
			     .image_text = text, .image_rodata = rodata },
	};

	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		struct pt_bench b;

		CALL(pt_bench_open_config(&b, &pt_cases[i], &config));
		for (uint64_t at = 0; at < 6 * MIB; at += 4096)
			CALL(check_direct_rights(&b, is_wide(&pt_cases[i]), kmm_pt_fmt(b.k)->has_nx, at, 2 * MIB + 4096,
						 2 * MIB + 3 * 4096));
		for (uint64_t at = 0; at < 5 * MIB && is_wide(&pt_cases[i]); at += 4096) {
			bool is_text = at < 2 * MIB + 4096, is_data = at >= 2 * MIB + 3 * 4096;
			struct kmm_walk walk;
			uint32_t flags;

			kmm_walk(b.k, kmm_pt_kernel(b.k)->root, (kmm_word)(window + 16 * MIB + at), &walk);
			flags = walk.step[walk.nr_steps - 1].pte.flags;
			CHECK_EQ(walk.pa.v, 16 * MIB + at);
			CHECK_EQ(!!(flags & KMM_PTE_EXEC), is_text);
			CHECK_EQ(!!(flags & KMM_PTE_WRITE), is_data);
		}
		CALL(pt_bench_audit(b.k));
		pt_bench_close(&b);
	}
}

KMM_TEST(pt_no_nx_machines_never_set_bit_63)
{
	const struct hosted_config config = { .ram_bytes = 64 * MIB, .machine = { .no_nx = true } };

	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		struct kmm_pte pte = { { 0x123 }, KMM_PTE_PRESENT };
		struct kmm_walk walk;
		struct pt_bench b;

		CALL(pt_bench_open_config(&b, &pt_cases[i], &config));
		CHECK_EQ(kmm_pt_encode(b.k, pte), 0x123001);
		kmm_walk(b.k, kmm_pt_kernel(b.k)->root, (kmm_word)(b.k->layout.page_offset + 32 * MIB), &walk);
		CHECK(walk.mapped);
		CHECK_EQ(walk.step[walk.nr_steps - 1].raw >> 63, 0);
		CALL(pt_bench_audit(b.k));
		pt_bench_close(&b);
	}
}

static void check_vmemmap(const struct pt_case *c, uint64_t ram_bytes, uint64_t leaf_bytes)
{
	const struct hosted_config config = { .ram_bytes = ram_bytes };
	struct kmm_memory_stats stats;
	struct kmm_walk walk;
	struct pt_bench b;

	CALL(pt_bench_open_config(&b, c, &config));
	kmm_memory_stats(b.k, &stats);
	for (uint64_t at = 0; at < stats.memmap_pages * 4096; at += 4096)
		CHECK_EQ(pt_bench_probe(&b, kmm_pt_kernel(b.k)->root, b.k->layout.vmemmap_start + at), stats.memmap.v + at);
	kmm_walk(b.k, kmm_pt_kernel(b.k)->root, (kmm_word)b.k->layout.vmemmap_start, &walk);
	CHECK_EQ(walk.leaf_bytes, leaf_bytes);
	CALL(pt_bench_audit(b.k));
	pt_bench_close(&b);
}

KMM_TEST(pt_vmemmap_shows_the_descriptors)
{
	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		if (!is_wide(&pt_cases[i]))
			continue;
		CALL(check_vmemmap(&pt_cases[i], 64 * MIB, 4096)); /* half a MiB of descriptors */
		CALL(check_vmemmap(&pt_cases[i], 512 * MIB, 2 * MIB));
		CALL(check_vmemmap(&pt_cases[i], 513 * MIB - 12288, 2 * MIB));
	}
}

/* Leaves of 1 GiB and descriptors in large leaves keep the tables of the largest machine to some hundred. */
KMM_TEST(pt_64_tib_take_few_tables)
{
	const struct hosted_config config = { .ram_bytes = (uint64_t)64 << 40 };
	const struct pt_case c = { KMM_X86_64, 0 };
	uint64_t rng = kmm_test_seed();
	struct pt_bench b;

	CALL(pt_bench_open_config(&b, &c, &config));
	CHECK(kmm_pt_kernel_tables(b.k) < 1000);
	for (unsigned n = 0; n < 1000; n++) {
		uint64_t pa = 4 * GIB + kmm_test_rand(&rng) % (((uint64_t)64 << 40) - 8 * GIB);

		CALL(check_direct(&b, pa, true));
	}
	CALL(pt_bench_audit(b.k));
	pt_bench_close(&b);
}

KMM_TEST(pt_tables_cannot_be_made_under_a_large_leaf)
{
	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		struct pt_bench b;
		kmm_word frames;

		CALL(pt_bench_open(&b, &pt_cases[i]));
		frames = pt_bench_frames(b.k);
		CHECK_EQ(kmm_pt_make(b.k, kmm_pt_kernel(b.k), (kmm_word)(b.k->layout.page_offset + 32 * MIB), KMM_GFP_KERNEL),
			 KMM_EBUSY);
		CHECK_EQ(pt_bench_frames(b.k), frames);
		CALL(pt_bench_audit(b.k));
		pt_bench_close(&b);
	}
}

/* ---- windows ---- */

static void check_has_tables(struct kmm *k, uint64_t start, uint64_t end)
{
	struct kmm_ptref ref;

	for (uint64_t va = start; va < end; va += KMM_PAGE_SIZE) {
		CHECK(kmm_pt_lookup(k, kmm_pt_kernel(k), (kmm_word)va, &ref));
		CHECK_EQ(kmm_pt_read(k, &ref), 0);
	}
}

KMM_TEST(pt_windows_that_must_not_fail_have_tables)
{
	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		const struct kmm_layout *l;
		struct pt_bench b;

		CALL(pt_bench_open(&b, &pt_cases[i]));
		l = kmm_layout_of(b.k);
		CALL(check_has_tables(b.k, l->fixmap_start, l->fixmap_end));
		CALL(check_has_tables(b.k, l->kmap_local_start, l->kmap_local_start + l->kmap_local_slots * 4096));
		CALL(check_has_tables(b.k, l->kmap_start, l->kmap_start + l->kmap_slots * 4096));
		pt_bench_close(&b);
	}
}

/* The hook's calls; a test is one process. */
static struct {
	unsigned calls, prot;
	kmm_word va, nr;
	bool had_pfns;
	int answer;
} window;

static int note_window(struct kmm_port *port, struct kmm_kva va, const struct kmm_pfn *pfns, kmm_word nr, unsigned prot)
{
	(void)port;
	window.calls++;
	window.va = va.v;
	window.nr = nr;
	window.had_pfns = pfns != NULL;
	window.prot = prot;
	return window.answer;
}

enum { WINDOW_PAGES = 700 }; /* more than one table of any format holds from a place near its end */

static void check_window(struct pt_bench *b, struct kmm_kva va)
{
	struct kmm_paddr root = kmm_pt_kernel(b->k)->root;
	struct kmm_pfn pfns[WINDOW_PAGES];

	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		pfns[i] = kmm_pfn(0x1000 + 3 * i);
	CHECK_OK(kmm_pt_window_map(b->k, va, pfns, WINDOW_PAGES, KMM_PTE_WRITE | KMM_PTE_GLOBAL));
	CHECK_EQ(window.calls, 1);
	CHECK(window.va == va.v && window.nr == WINDOW_PAGES && window.had_pfns);
	CHECK_EQ(window.prot, KMM_PROT_READ | KMM_PROT_WRITE);
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		CHECK_EQ(pt_bench_probe(b, root, va.v + i * 4096), pfns[i].v << 12);
	CHECK_EQ(pt_bench_probe(b, root, va.v + WINDOW_PAGES * 4096), NONE);
	CALL(pt_bench_audit(b->k));

	kmm_pt_window_unmap(b->k, va, WINDOW_PAGES);
	CHECK_EQ(window.calls, 2);
	CHECK(window.va == va.v && window.nr == WINDOW_PAGES && !window.had_pfns);
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		CHECK_EQ(pt_bench_probe(b, root, va.v + i * 4096), NONE);
	CALL(pt_bench_audit(b->k));
}

KMM_TEST(pt_windows_map_and_unmap_and_tell_the_port)
{
	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		struct pt_bench b;
		uint64_t va;

		CALL(pt_bench_open(&b, &pt_cases[i]));
		kmm_port_of(b.k)->window_changed = note_window;
		window.calls = 0;
		va = (b.k->layout.vmalloc_start + 8 * MIB) & ~(4 * MIB - 1);
		CALL(check_window(&b, kmm_kva((kmm_word)(va - 5 * 4096))));
		pt_bench_close(&b);
	}
}

KMM_TEST(pt_window_map_leaves_nothing_when_the_port_refuses)
{
	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		const struct kmm_pfn pfns[3] = { { 1 }, { 2 }, { 3 } };
		struct pt_bench b;
		struct kmm_kva va;

		CALL(pt_bench_open(&b, &pt_cases[i]));
		va = kmm_kva((kmm_word)b.k->layout.vmalloc_start);
		kmm_port_of(b.k)->window_changed = note_window;
		window.answer = 1;
		CHECK_EQ(kmm_pt_window_map(b.k, va, pfns, 3, KMM_PTE_WRITE), KMM_ENOMEM);
		window.answer = 0;
		CHECK_EQ(pt_bench_probe(&b, kmm_pt_kernel(b.k)->root, va.v), NONE);
		CALL(pt_bench_audit(b.k));
		CHECK_OK(kmm_pt_window_map(b.k, va, pfns, 3, KMM_PTE_WRITE));
		pt_bench_close(&b);
	}
}

/* ---- when memory is short ---- */

KMM_TEST(pt_window_map_without_memory_changes_nothing)
{
	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		static struct kmm_pfn pfns[WINDOW_PAGES];
		enum kmm_status status = KMM_ENOMEM;
		struct pt_bench b;
		unsigned n;

		CALL(pt_bench_open(&b, &pt_cases[i]));
		for (n = 1; status != KMM_OK; n++) {
			kmm_word tables = kmm_pt_kernel_tables(b.k), frames = pt_bench_frames(b.k);
			struct kmm_kva va = kmm_kva((kmm_word)((b.k->layout.vmalloc_start + 8 * MIB) & ~(4 * MIB - 1)) - 4096);

			kmm_fail_nth(b.k, n);
			status = kmm_pt_window_map(b.k, va, pfns, WINDOW_PAGES, KMM_PTE_WRITE);
			kmm_fail_nth(b.k, 0);
			CALL(pt_bench_audit(b.k));
			if (status != KMM_OK) {
				CHECK_EQ(status, KMM_ENOMEM);
				CHECK_EQ(kmm_pt_kernel_tables(b.k), tables);
				CHECK_EQ(pt_bench_frames(b.k), frames);
			}
		}
		CHECK(n >= 4); /* at least two tables could fail */
		pt_bench_close(&b);
	}
}

KMM_TEST(pt_start_without_memory_gives_all_frames_back)
{
	for (unsigned i = 0; i < PT_NR_CASES; i++) {
		struct hosted_config config = { .ram_bytes = 64 * MIB, .tier = HOSTED_FRAMES, .image_bytes = MIB };
		enum kmm_status status = KMM_ENOMEM;
		struct hosted_machine *m;
		struct kmm *k;
		unsigned n;

		config.machine.format = pt_cases[i].format;
		config.machine.user_end = pt_cases[i].user_end;
		CHECK_OK(hosted_boot(&config, &m, NULL));
		k = hosted_kmm(m);
		for (n = 1; status != KMM_OK; n++) {
			kmm_fail_nth(k, n);
			status = kmm_pt_init(k);
			kmm_fail_nth(k, 0);
			if (status != KMM_OK) {
				CHECK_EQ(status, KMM_ENOMEM);
				CHECK(k->pt == NULL);
				CHECK_EQ(pt_bench_frames(k), 0);
				CHECK_EQ(pt_bench_kind(k, KMM_KIND_KERNEL), 0); /* the state */
			}
		}
		CHECK(n >= 4);
		CALL(pt_bench_audit(k));
		hosted_shutdown(m);
	}
}
