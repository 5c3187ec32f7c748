/* SPDX-License-Identifier: MIT */
/*
 * The repaired map against a model that paints bytes (in units of 512) one entry at a time, and the
 * reservations against a bitmap.
 */
#include "phys/bootmem.h"

#include <string.h>

#include "harness/test.h"

#define PAGES 48u
#define UNITS_PER_PAGE 8u
#define UNIT 512u

static struct kmm_bootmem b;
static const char *why;

static enum kmm_status repair(const struct kmm_memrange *map, unsigned nr, uint64_t limit)
{
	struct kmm_machine m = { .map = map, .nr_map = nr };

	return kmm_boot_init(&b, &m, limit, &why);
}

static void check_sorted(void)
{
	for (unsigned i = 0; i < b.nr_map; i++) {
		CHECK(b.map[i].size > 0);
		CHECK_EQ((b.map[i].start | b.map[i].size) % KMM_PAGE_SIZE, 0);
		CHECK(i == 0 || b.map[i - 1].start + b.map[i - 1].size <= b.map[i].start);
	}
}

/* Type of each page by the rules as bootmem.c words them; 0 hole. */
static void paint(const struct kmm_memrange *map, unsigned nr, uint32_t page[PAGES])
{
	static bool ram[PAGES * UNITS_PER_PAGE];

	memset(ram, 0, sizeof(ram));
	memset(page, 0, PAGES * sizeof(page[0]));
	for (unsigned i = 0; i < nr; i++) {
		uint32_t type = map[i].type >= 1 && map[i].type <= 5 ? map[i].type : KMM_MEM_RESERVED;

		for (uint64_t u = map[i].start / UNIT; u < (map[i].start + map[i].size) / UNIT; u++) {
			if (type == KMM_MEM_RAM)
				ram[u] = true;
			else if (type > page[u / UNITS_PER_PAGE])
				page[u / UNITS_PER_PAGE] = type;
		}
	}
	for (unsigned p = 0; p < PAGES; p++) {
		bool whole = true;

		for (unsigned u = 0; u < UNITS_PER_PAGE; u++)
			whole = whole && ram[p * UNITS_PER_PAGE + u];
		if (page[p] == 0 && whole)
			page[p] = p == 0 ? KMM_MEM_RESERVED : KMM_MEM_RAM;
	}
}

static uint32_t repaired_type(uint64_t addr)
{
	for (unsigned i = 0; i < b.nr_map; i++)
		if (addr >= b.map[i].start && addr < b.map[i].start + b.map[i].size)
			return b.map[i].type;
	return 0;
}

KMM_TEST(bootmem_random_maps_are_repaired_as_the_model_says)
{
	uint64_t state = kmm_test_seed();

	for (int round = 0; round < 3000; round++) {
		struct kmm_memrange map[12];
		uint32_t page[PAGES];
		unsigned nr = (unsigned)(kmm_test_rand(&state) % 12) + 1, ram = 0;

		for (unsigned i = 0; i < nr; i++) {
			uint64_t start = kmm_test_rand(&state) % (PAGES * UNITS_PER_PAGE);
			uint64_t units = kmm_test_rand(&state) % (PAGES * UNITS_PER_PAGE - start);

			map[i] = (struct kmm_memrange){ start * UNIT, units * UNIT, kmm_test_rand(&state) % 8, NULL };
			if (kmm_test_rand(&state) % 2)
				map[i].type = KMM_MEM_RAM;
		}
		paint(map, nr, page);
		for (unsigned p = 0; p < PAGES; p++)
			ram += page[p] == KMM_MEM_RAM;
		CHECK_EQ(repair(map, nr, 1 << 30), ram ? KMM_OK : KMM_ERANGE);
		CALL(check_sorted());
		CHECK_EQ(b.ram_pages, ram);
		for (unsigned p = 0; p < PAGES; p++)
			CHECK_EQ(repaired_type(p * KMM_PAGE_SIZE), page[p]);
	}
}

KMM_TEST(bootmem_empty_maps_are_refused_with_a_reason)
{
	static const struct kmm_memrange empty[] = { { 0x100000, 0, KMM_MEM_RAM, NULL } };
	static const struct kmm_memrange crumbs[] = { { 0x100100, 0x1e00, KMM_MEM_RAM, NULL } };
	static const struct kmm_memrange page_0[] = { { 0, 0x1000, KMM_MEM_RAM, NULL } };
	static const struct kmm_memrange high[] = { { (uint64_t)1 << 40, 0x1000, KMM_MEM_RAM, NULL } };

	CHECK_EQ(repair(NULL, 0, 1 << 30), KMM_ERANGE);
	CHECK_STR(why, "the memory map is empty");
	CHECK_EQ(repair(empty, 1, 1 << 30), KMM_ERANGE);
	CHECK_STR(why, "the memory map has no whole page of RAM");
	CHECK_EQ(repair(crumbs, 1, 1 << 30), KMM_ERANGE);
	CHECK_EQ(repair(page_0, 1, 1 << 30), KMM_ERANGE);
	CHECK_EQ(repair(high, 1, 1 << 30), KMM_ERANGE);
	CHECK(strstr(why, "beyond") != NULL);
}

KMM_TEST(bootmem_what_lies_above_the_limit_is_counted)
{
	static const struct kmm_memrange map[] = {
		{ 0xff000000, 0x2000000, KMM_MEM_RAM, NULL }, /* half below 4 GiB */
		{ 0x200000000, 0x5000, KMM_MEM_RAM, NULL },
		{ 0x300000000, 0x5000, KMM_MEM_RESERVED, NULL },
	};

	CHECK_OK(repair(map, 3, (uint64_t)1 << 32));
	CHECK_EQ(b.ram_pages, 0x1000);
	CHECK_EQ(b.unreachable_pages, 0x1005);
	CHECK_EQ(b.first_ram, 0xff000);
	CHECK_EQ(b.max_pfn, 0x100000);
	CHECK_EQ(b.nr_map, 1);
}

KMM_TEST(bootmem_ranges_that_wrap_end_at_the_last_page)
{
	static const struct kmm_memrange map[] = {
		{ 0x100000, 0x100000, KMM_MEM_RAM, NULL },
		{ UINT64_MAX - 0x1fff, 0x100000, KMM_MEM_RAM, NULL },
		{ 0x180000, UINT64_MAX, KMM_MEM_RESERVED, NULL },
	};

	CHECK_OK(repair(map, 3, (uint64_t)1 << 46));
	CALL(check_sorted());
	CHECK_EQ(b.ram_pages, 0x80);
	CHECK_EQ(b.unreachable_pages, 0); /* all of it is reserved */
}

KMM_TEST(bootmem_too_many_ranges_overflow)
{
	static struct kmm_memrange map[KMM_MAX_RANGES + 1];

	for (unsigned i = 0; i <= KMM_MAX_RANGES; i++)
		map[i] = (struct kmm_memrange){ 0x100000 + i * 0x2000u, 0x1000, KMM_MEM_RAM, NULL };
	CHECK_OK(repair(map, KMM_MAX_RANGES, 1 << 30));
	CHECK_EQ(repair(map, KMM_MAX_RANGES + 1, 1 << 30), KMM_EOVERFLOW);
	/* One reserved range that cuts each of the others in two. */
	for (unsigned i = 0; i < KMM_MAX_RANGES; i++)
		map[i] = (struct kmm_memrange){ 0x100000 + i * 0x1000u, 0x1000, KMM_MEM_RAM, i & 1 ? "a" : "b" };
	map[KMM_MAX_RANGES] = (struct kmm_memrange){ 0x100000, 0x200000, KMM_MEM_BAD, NULL };
	CHECK_EQ(repair(map, KMM_MAX_RANGES + 1, 1 << 30), KMM_ERANGE);
}

/* ---- reservations ---- */

#define FRAMES 256u

static void all_ram(void)
{
	static const struct kmm_memrange map[] = {
		{ 0x1000, 0x3f000, KMM_MEM_RAM, NULL },              /* 1 .. 0x40 */
		{ 0x60000, (FRAMES - 0x60) * 0x1000, KMM_MEM_RAM, NULL }, /* 0x60 .. 0x100 */
	};

	CHECK_OK(repair(map, 2, 1 << 30));
}

/* Every frame by kmm_boot_run, and that the run's bounds are the longest and agree from each frame in it. */
static void check_runs(const uint8_t kind[FRAMES])
{
	for (kmm_word pfn = 0; pfn < FRAMES; pfn++) {
		struct kmm_run run, other;

		kmm_boot_run(&b, pfn, &run);
		CHECK(run.start <= pfn && pfn < run.end);
		CHECK_EQ(run.kind, kind[pfn]);
		if (pfn > run.start) {
			kmm_boot_run(&b, pfn - 1, &other);
			CHECK_EQ(other.start, run.start);
			CHECK_EQ(other.end, run.end);
		}
	}
}

static void base_kinds(uint8_t kind[FRAMES])
{
	for (unsigned i = 0; i < FRAMES; i++)
		kind[i] = (i >= 1 && i < 0x40) || i >= 0x60 ? KMM_KIND_FREE : KMM_KIND_HOLE;
}

KMM_TEST(bootmem_random_reservations_match_a_bitmap)
{
	uint64_t state = kmm_test_seed();

	for (int round = 0; round < 500; round++) {
		uint8_t kind[FRAMES];

		CALL(all_ram());
		base_kinds(kind);
		for (int i = 0; i < 20; i++) {
			kmm_word start = kmm_test_rand(&state) % FRAMES, len = kmm_test_rand(&state) % 12, pfn;

			CHECK_OK(kmm_boot_reserve(&b, (struct kmm_boot_range){ start, start + len, KMM_KIND_RESERVED, true }));
			for (pfn = start; pfn < start + len && pfn < FRAMES; pfn++)
				kind[pfn] = kind[pfn] == KMM_KIND_FREE ? KMM_KIND_RESERVED : kind[pfn];
		}
		for (unsigned i = 1; i < b.nr_reserve; i++)
			CHECK(b.reserve[i - 1].end < b.reserve[i].start);
		CALL(check_runs(kind));
	}
}

/* The highest aligned run of nr free frames below limit, by trying. */
static kmm_word highest(const uint8_t kind[FRAMES], kmm_word nr, kmm_word align, kmm_word limit)
{
	for (kmm_word start = limit < nr ? 0 : limit - nr; start > 0; start--) {
		kmm_word i = 0;

		while (i < nr && kind[start + i] == KMM_KIND_FREE)
			i++;
		if (i == nr && start % align == 0)
			return start;
	}
	return 0;
}

KMM_TEST(bootmem_allocates_the_highest_gap_that_fits)
{
	uint64_t state = kmm_test_seed();

	for (int round = 0; round < 500; round++) {
		uint8_t kind[FRAMES];

		CALL(all_ram());
		base_kinds(kind);
		for (int i = 0; i < 30; i++) {
			kmm_word nr = kmm_test_rand(&state) % 24 + 1, limit = kmm_test_rand(&state) % (FRAMES + 1);
			kmm_word align = (kmm_word)1 << kmm_test_rand(&state) % 5, want = highest(kind, nr, align, limit);
			kmm_word got = 0;

			CHECK_EQ(kmm_boot_alloc(&b, nr, align, limit, i & 1 ? KMM_KIND_MEMMAP : KMM_KIND_RESERVED, &got),
				 want ? KMM_OK : KMM_ENOMEM);
			CHECK_EQ(got, want);
			for (kmm_word pfn = want; want && pfn < want + nr; pfn++)
				kind[pfn] = i & 1 ? KMM_KIND_MEMMAP : KMM_KIND_RESERVED;
		}
		CALL(check_runs(kind));
	}
}

KMM_TEST(bootmem_full_list_of_reservations_overflows_unchanged)
{
	static const struct kmm_memrange map[] = { { 0x1000, 0x4000000, KMM_MEM_RAM, NULL } };
	kmm_word pfn = 7;

	CHECK_OK(repair(map, 1, 1 << 30));
	for (unsigned i = 0; i < KMM_MAX_RANGES; i++)
		CHECK_OK(kmm_boot_reserve(&b, (struct kmm_boot_range){ 2 * i + 1, 2 * i + 2, KMM_KIND_RESERVED, true }));
	CHECK_EQ(kmm_boot_reserve(&b, (struct kmm_boot_range){ 1001, 1002, KMM_KIND_RESERVED, true }), KMM_EOVERFLOW);
	CHECK_EQ(b.nr_reserve, KMM_MAX_RANGES);
	CHECK_EQ(kmm_boot_alloc(&b, 5, 1, 0x4000, KMM_KIND_MEMMAP, &pfn), KMM_EOVERFLOW);
	/* One that joins others still goes in. */
	CHECK_OK(kmm_boot_reserve(&b, (struct kmm_boot_range){ 1, 20, KMM_KIND_RESERVED, true }));
	CHECK(b.nr_reserve < KMM_MAX_RANGES);
}
