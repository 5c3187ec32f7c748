/* SPDX-License-Identifier: MIT */
#include "phys/alloc.h"

#include <pthread.h>

#include "harness/frames.h"

#define MAX_BLOCKS 16384u

struct block {
	struct kmm_page *page;
	unsigned order;
};

static struct block blocks[MAX_BLOCKS];
static unsigned nr_blocks;

static void give_all_back(struct fixture *f)
{
	while (nr_blocks) {
		struct block *b = &blocks[--nr_blocks];

		kmm_free_pages(f->k, b->page, b->order);
	}
}

/* Takes until NULL and remembers it all; returns the number of frames. */
static kmm_word exhaust(struct fixture *f, kmm_gfp gfp, unsigned order)
{
	kmm_word nr = 0;
	struct kmm_page *page;

	while (nr_blocks < MAX_BLOCKS && (page = kmm_alloc_pages(f->k, gfp | KMM_GFP_NOWARN, order)) != NULL) {
		blocks[nr_blocks++] = (struct block){ page, order };
		nr += (kmm_word)1 << order;
	}
	return nr;
}

static void check_block(struct fixture *f, struct kmm_page *page, unsigned order, kmm_gfp gfp)
{
	kmm_word pfn = kmm_page_to_pfn(f->k, page).v;
	enum kmm_zone_id start, zone = kmm_page_zone(page);

	CHECK_OK(kmm_gfp_zone(f->k, gfp, &start));
	CHECK(zone <= start);
	CHECK_EQ(pfn % ((kmm_word)1 << order), 0);
	CHECK_EQ(atomic_load(&page->refcount), 1);
	CHECK_EQ(kmm_page_kind(page), KMM_KIND_KERNEL);
	for (kmm_word i = 0; i < (kmm_word)1 << order; i++) {
		struct kmm_page *part = kmm_pfn_to_page(f->k, kmm_pfn(pfn + i));

		CHECK(kmm_pfn_is_ram(f->k, kmm_pfn(pfn + i)));
		CHECK_EQ(kmm_page_zone(part), zone);
		CHECK_EQ(kmm_page_is_high(part), kmm_page_is_high(page));
	}
}

/* 48 MiB with a hole and reservations that no power of two divides; lowmem of 24 MiB so that HighMem exists. */
static enum kmm_status start_small(struct fixture *f, enum kmm_format_id format)
{
	static const struct kmm_memrange map[] = {
		{ 0, 0x9fc00, KMM_MEM_RAM, NULL },
		{ 0x100000, 48 * MIB - 0x100000, KMM_MEM_RAM, NULL },
		{ 0x1234000, 0x57000, KMM_MEM_RESERVED, NULL },
		{ 0x2300000, 0x101000, KMM_MEM_BAD, NULL },
	};
	static const struct kmm_memrange reserve[] = { { 0x100000, 0x2b4567, 0, "kernel" }, { 0xa00fff, 2, 0, "two" } };

	f->machine.format = format;
	f->machine.map = map;
	f->machine.nr_map = 4;
	f->machine.reserve = reserve;
	f->machine.nr_reserve = 2;
	f->machine.nr_cpus = 2;
	if (format < KMM_X86_64)
		f->machine.windows.vmalloc_reserve = GIB - 4 * MIB - (24 * MIB + 0x6000) - (format == KMM_I386 ? 4 * MIB : 0);
	f->machine.min_free_kbytes = 256;
	return fixture_start(f, 48 * MIB);
}

static void random_work(struct fixture *f, uint64_t *state, int steps)
{
	for (int i = 0; i < steps; i++) {
		uint64_t r = kmm_test_rand(state);

		fixture_cpu = r >> 8 & 1;
		if (nr_blocks < 200 && (r & 3)) {
			static const kmm_gfp gfps[] = { KMM_GFP_KERNEL, KMM_GFP_HIGHUSER, KMM_GFP_ATOMIC, KMM_GFP_DMA,
							KMM_GFP_KERNEL | KMM_GFP_RECLAIMABLE, KMM_GFP_HIGHUSER_MOVABLE,
							KMM_GFP_KERNEL | KMM_GFP_MOVABLE, KMM_GFP_HIGHUSER_MOVABLE };
			unsigned order = (r >> 16) % 3 ? 0 : (unsigned)(r >> 20) % KMM_NR_ORDERS;
			kmm_gfp gfp = gfps[r >> 32 & 7] | KMM_GFP_NOWARN;
			struct kmm_page *page = kmm_alloc_pages(f->k, gfp, order);

			if (page) {
				CALL(check_block(f, page, order, gfp));
				blocks[nr_blocks++] = (struct block){ page, order };
			}
		} else if (nr_blocks) {
			unsigned at = (unsigned)(r >> 16) % nr_blocks;

			kmm_free_pages(f->k, blocks[at].page, blocks[at].order);
			blocks[at] = blocks[--nr_blocks];
		}
		CHECK_EQ(fixture_audit(f), 0);
	}
}

static void random_on(enum kmm_format_id format)
{
	struct fixture f = { 0 };
	uint64_t state = kmm_test_seed() + format, before;
	kmm_word free_before[KMM_NR_ZONES][KMM_NR_ORDERS];
	struct kmm_zone_info info;

	CHECK_OK(start_small(&f, format));
	CHECK_EQ(fixture_audit(&f), 0);
	before = fixture_unused(&f);
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		if (kmm_zone_info(f.k, (enum kmm_zone_id)i, &info))
			memcpy(free_before[i], info.nr_free, sizeof(info.nr_free));
	CALL(random_work(&f, &state, 400));
	give_all_back(&f);
	CHECK_EQ(fixture_unused(&f), before);
	kmm_phys_drain(f.k);
	CHECK_EQ(fixture_audit(&f), 0);
	/* All blocks joined again: the same free blocks as at the start. */
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		if (kmm_zone_info(f.k, (enum kmm_zone_id)i, &info))
			CHECK(memcmp(free_before[i], info.nr_free, sizeof(info.nr_free)) == 0);
	fixture_end(&f);
	fixture_cpu = 0;
}

KMM_TEST(alloc_random_blocks_i386)
{
	random_on(KMM_I386);
}

KMM_TEST(alloc_random_blocks_i386_pae)
{
	random_on(KMM_I386_PAE);
}

KMM_TEST(alloc_random_blocks_x86_64)
{
	random_on(KMM_X86_64);
}

/* With the right to all reserves, every managed frame is handed out, each once, in every order. */
KMM_TEST(alloc_hands_out_every_frame_once)
{
	static uint8_t seen[48 * MIB / KMM_PAGE_SIZE];
	struct fixture f = { 0 };
	kmm_word managed, nr = 0;

	CHECK_OK(start_small(&f, KMM_I386_PAE));
	managed = kmm_phys_managed_pages(f.k);
	CHECK(kmm_phys_manages(f.k, 0) && kmm_phys_manages(f.k, managed - 1) && kmm_phys_manages(f.k, managed));
	CHECK(!kmm_phys_manages(f.k, managed + 1) && !kmm_phys_manages(f.k, (kmm_word)-1));
	memset(seen, 0, sizeof(seen));
	for (unsigned order = KMM_NR_ORDERS; order-- > 0;)
		nr += exhaust(&f, KMM_GFP_HIGHUSER | KMM_GFP_MEMALLOC, order);
	CHECK(nr_blocks < MAX_BLOCKS);
	CHECK_EQ(nr, managed);
	for (unsigned i = 0; i < nr_blocks; i++)
		for (kmm_word j = 0; j < (kmm_word)1 << blocks[i].order; j++)
			CHECK_EQ(seen[kmm_page_to_pfn(f.k, blocks[i].page).v + j]++, 0);
	CHECK_EQ(fixture_audit(&f), 0);
	CHECK_EQ(fixture_unused(&f), 0);
	give_all_back(&f);
	CHECK_EQ(fixture_unused(&f), managed);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* How far below its watermark a zone goes depends on the request alone. */
KMM_TEST(alloc_leaves_what_each_urgency_must_leave)
{
	struct fixture f = { 0 };
	struct kmm_zone_info dma, normal;
	const kmm_gfp low_only = KMM_GFP_KERNEL;

	CHECK_OK(start_small(&f, KMM_I386_PAE));
	CHECK(kmm_zone_info(f.k, KMM_ZONE_NORMAL, &normal) && normal.min > 20);
	exhaust(&f, low_only, 0);
	kmm_phys_drain(f.k);
	CHECK(kmm_zone_info(f.k, KMM_ZONE_NORMAL, &normal) && kmm_zone_info(f.k, KMM_ZONE_DMA, &dma));
	CHECK(normal.free >= normal.min && normal.free <= normal.min + 1);
	CHECK(dma.free >= dma.min + dma.protection[KMM_ZONE_NORMAL]);
	exhaust(&f, KMM_GFP_HIGH | KMM_GFP_RECLAIM, 0);
	kmm_phys_drain(f.k);
	CHECK(kmm_zone_info(f.k, KMM_ZONE_NORMAL, &normal));
	CHECK(normal.free >= normal.min - normal.min / 2 && normal.free <= normal.min - normal.min / 2 + 1);
	exhaust(&f, KMM_GFP_ATOMIC, 0);
	kmm_phys_drain(f.k);
	CHECK(kmm_zone_info(f.k, KMM_ZONE_NORMAL, &normal));
	CHECK(normal.free < normal.min - normal.min / 2 && normal.free >= normal.min * 3 / 8);
	exhaust(&f, KMM_GFP_MEMALLOC, 0);
	kmm_phys_drain(f.k);
	CHECK(kmm_zone_info(f.k, KMM_ZONE_NORMAL, &normal) && kmm_zone_info(f.k, KMM_ZONE_DMA, &dma));
	CHECK_EQ(normal.free + dma.free, 0);
	give_all_back(&f);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* A request from above leaves each lower zone its protection against it. */
KMM_TEST(alloc_keeps_low_zones_protected)
{
	struct fixture f = { 0 };
	struct kmm_zone_info normal, high;

	f.machine.lowmem_reserve_ratio[KMM_ZONE_NORMAL] = 8;
	f.machine.lowmem_reserve_ratio[KMM_ZONE_DMA] = 16;
	CHECK_OK(start_small(&f, KMM_I386_PAE));
	exhaust(&f, KMM_GFP_HIGHUSER, 0);
	kmm_phys_drain(f.k);
	CHECK(kmm_zone_info(f.k, KMM_ZONE_NORMAL, &normal) && kmm_zone_info(f.k, KMM_ZONE_HIGHMEM, &high));
	CHECK(high.free <= high.min + 1);
	CHECK(normal.protection[KMM_ZONE_HIGHMEM] > 100);
	CHECK(normal.free >= normal.min + normal.protection[KMM_ZONE_HIGHMEM]);
	CHECK(normal.free <= normal.min + normal.protection[KMM_ZONE_HIGHMEM] + 1);
	CHECK(exhaust(&f, KMM_GFP_KERNEL, 0) >= normal.protection[KMM_ZONE_HIGHMEM]);
	give_all_back(&f);
	fixture_end(&f);
}

KMM_TEST(alloc_never_gives_a_high_frame_unasked)
{
	struct fixture f = { 0 };
	uint64_t state = kmm_test_seed();
	unsigned high = 0;

	CHECK_OK(start_small(&f, KMM_I386_PAE));
	for (int i = 0; i < 20000; i++) {
		kmm_gfp gfp = (kmm_gfp)(kmm_test_rand(&state) & 0xffff) & ~(kmm_gfp)KMM_GFP_NOFAIL;
		unsigned order = (unsigned)(kmm_test_rand(&state) >> 40) % 4;
		struct kmm_page *page;

		page = kmm_alloc_pages(f.k, gfp | KMM_GFP_NOWARN, order);
		if (kmm_gfp_check(f.k, gfp, order, NULL) != KMM_OK) {
			CHECK(page == NULL);
			continue;
		}
		CHECK(page != NULL);
		CHECK(!kmm_page_is_high(page) || (gfp & KMM_GFP_HIGHMEM));
		CHECK((kmm_page_address(f.k, page) == NULL) == kmm_page_is_high(page));
		high += kmm_page_is_high(page);
		kmm_free_pages(f.k, page, order);
	}
	CHECK(high > 100);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(alloc_cleared_memory_is_clear)
{
	struct fixture f = { 0 };

	CHECK_OK(start_small(&f, KMM_I386));
	for (unsigned order = 0; order < 4; order++) {
		unsigned char *at = kmm_get_free_pages(f.k, KMM_GFP_KERNEL, order);

		CHECK(at != NULL);
		memset(at, 0xa5, (size_t)KMM_PAGE_SIZE << order);
		kmm_free_pages_at(f.k, at, order);
		at = kmm_get_free_pages(f.k, KMM_GFP_KERNEL | KMM_GFP_ZERO, order);
		for (size_t i = 0; i < (size_t)KMM_PAGE_SIZE << order; i++)
			CHECK_EQ(at[i], 0);
		kmm_free_pages_at(f.k, at, order);
	}
	fixture_end(&f);
}

KMM_TEST(alloc_by_address_strips_highmem_and_says_who)
{
	struct fixture f = { 0 };
	struct kmm_page *page;
	void *at;

	CHECK_OK(start_small(&f, KMM_I386));
	at = kmm_get_free_pages(f.k, KMM_GFP_HIGHUSER, 1);
	CHECK(at != NULL);
	page = kmm_virt_to_page(f.k, at);
	CHECK(page != NULL && !kmm_page_is_high(page));
	CHECK_PTR(kmm_page_address(f.k, page), at);
	CHECK_EQ(f.log_lines, 1);
	CHECK(strstr(f.log, "HIGHUSER") != NULL);
	CHECK(strstr(f.log, "caller") != NULL);
	kmm_free_pages_at(f.k, at, 1);
	at = kmm_get_free_pages(f.k, KMM_GFP_KERNEL, 0);
	CHECK_EQ(f.log_lines, 1);
	kmm_free_pages_at(f.k, at, 0);
	fixture_end(&f);
}

KMM_TEST(alloc_references_free_with_the_last)
{
	struct fixture f = { 0 };
	struct kmm_page *page;
	uint64_t before;

	CHECK_OK(start_small(&f, KMM_X86_64));
	before = fixture_unused(&f);
	page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 3);
	kmm_get_page(f.k, page);
	kmm_put_page(f.k, page);
	CHECK_EQ(fixture_unused(&f), before - 8);
	kmm_put_page(f.k, page);
	CHECK_EQ(fixture_unused(&f), before);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(alloc_misuse_is_caught)
{
	static struct fixture f;
	static struct kmm_page *page;
	jmp_buf here;

	memset(&f, 0, sizeof(f));
	CHECK_OK(start_small(&f, KMM_I386));
	f.escape = &here;
	page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 2);
	if (!setjmp(here)) {
		kmm_free_pages(f.k, page, 1);
		CHECK(KMM_DEBUG < 1 || !"freeing with another order must be fatal");
	}
	CHECK(strstr(f.log, "refused: it was allocated with another order (kernel, frame") != NULL);
	CHECK_EQ(fixture_audit(&f), 0);
	kmm_free_pages(f.k, page, 2);
	f.fatal = NULL;
	if (!setjmp(here)) {
		kmm_free_pages(f.k, page, 2);
		CHECK(KMM_DEBUG < 1 || !"freeing twice must be fatal");
	}
	CHECK_EQ(f.fatal != NULL, KMM_DEBUG >= 1);
	CHECK_EQ(fixture_audit(&f), 0);
	if (KMM_DEBUG >= 1 && !setjmp(here)) {
		kmm_get_page(f.k, page);
		CHECK(!"a reference to a free page must be fatal");
	}
	fixture_end(&f);
}

/* ---- when there is none ---- */

KMM_TEST(alloc_injected_failures_change_nothing)
{
	struct fixture f = { 0 };
	const char *site = NULL;
	uint64_t before;

	CHECK_OK(start_small(&f, KMM_I386));
	before = fixture_unused(&f);
	for (uint64_t nth = 1; nth <= 4; nth++) {
		kmm_fail_nth(f.k, nth);
		for (uint64_t i = 1; i <= 4; i++) {
			struct kmm_page *page = i & 1 ? kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0)
						      : kmm_phys_alloc(f.k, KMM_GFP_KERNEL, 2, KMM_KIND_SLAB, "slab");

			CHECK_EQ(page == NULL, i == nth);
			if (page)
				kmm_free_pages(f.k, page, i & 1 ? 0 : 2);
		}
		CHECK_EQ(kmm_fail_count(f.k, &site), 4);
		CHECK_STR(site, nth & 1 ? "alloc_pages" : "slab");
		CHECK_EQ(fixture_unused(&f), before);
		CHECK_EQ(fixture_audit(&f), 0);
	}
	kmm_fail_nth(f.k, 1);
	CHECK(kmm_phys_alloc_state(f.k, 10000, "state") == NULL);
	CHECK(kmm_phys_alloc_state(f.k, 10000, "state") != NULL);
	fixture_end(&f);
}

static struct kmm_page *stash[64];
static unsigned nr_stash, reclaim_calls;

static kmm_word give_from_stash(struct kmm *k, kmm_gfp gfp, unsigned order)
{
	(void)order;
	reclaim_calls++;
	if (!(gfp & KMM_GFP_RECLAIM) || nr_stash == 0)
		return 0;
	kmm_free_pages(k, stash[--nr_stash], 0);
	return 1;
}

static void fill_but_stash(struct fixture *f)
{
	nr_stash = reclaim_calls = 0;
	while (nr_stash < 64)
		stash[nr_stash++] = kmm_alloc_pages(f->k, KMM_GFP_KERNEL, 0);
	exhaust(f, KMM_GFP_KERNEL, 0);
	kmm_pressure_register(f->k, give_from_stash);
}

KMM_TEST(alloc_blocking_requests_reclaim_and_others_do_not)
{
	struct fixture f = { 0 };
	struct kmm_page *page;

	CHECK_OK(start_small(&f, KMM_I386));
	fill_but_stash(&f);
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_NOWAIT, 0) == NULL);
	CHECK_EQ(reclaim_calls, 0);
	page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);
	CHECK(page != NULL);
	CHECK(reclaim_calls >= 1 && nr_stash == 64 - reclaim_calls);
	kmm_free_pages(f.k, page, 0);
	/* A large block: reclaim frees a page a time, the tries are bounded, NORETRY's are one. */
	reclaim_calls = 0;
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_KERNEL | KMM_GFP_NORETRY, 9) == NULL);
	CHECK_EQ(reclaim_calls, 1);
	reclaim_calls = 0;
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 9) == NULL);
	CHECK_EQ(reclaim_calls, 16);
	while (nr_stash)
		kmm_free_pages(f.k, stash[--nr_stash], 0);
	give_all_back(&f);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(alloc_nofail_without_hope_fails_and_says_so)
{
	struct fixture f = { 0 };
	unsigned lines;

	CHECK_OK(start_small(&f, KMM_I386));
	exhaust(&f, KMM_GFP_KERNEL | KMM_GFP_MEMALLOC, 0);
	lines = f.log_lines;
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_KERNEL | KMM_GFP_NOFAIL | KMM_GFP_NOWARN, 0) == NULL);
	CHECK_EQ(f.log_lines, lines + 1);
	CHECK(strstr(f.log, "must not fail") != NULL);
	give_all_back(&f);
	fixture_end(&f);
}

static unsigned idle_waits; /* nothing had been freed when the wait began */

/* Sleeping here is: somebody else frees a page. */
static void wait_by_freeing(struct kmm_port *port, const void *key, bool (*done)(void *arg), void *arg)
{
	struct fixture *f = (struct fixture *)(void *)port;

	(void)key;
	idle_waits += !done(arg);
	if (nr_blocks) {
		nr_blocks--;
		kmm_free_pages(f->k, blocks[nr_blocks].page, blocks[nr_blocks].order);
	}
	if (!done(arg))
		f->port.fatal(port, __FILE__, __LINE__, "a free must end the wait");
}

KMM_TEST(alloc_nofail_waits_until_something_is_freed)
{
	struct fixture f = { 0 };
	struct kmm_page *page;
	unsigned before;

	CHECK_OK(start_small(&f, KMM_I386));
	exhaust(&f, KMM_GFP_KERNEL, 0);
	f.port.wait = wait_by_freeing;
	kmm_phys_drain(f.k);
	before = nr_blocks;
	idle_waits = 0;
	page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL | KMM_GFP_NOFAIL, 0);
	CHECK(page != NULL);
	CHECK_EQ(idle_waits, before - nr_blocks); /* it sleeps, and does not spin on its own doings */
	CHECK(before - nr_blocks >= 1 && before - nr_blocks <= 3);
	kmm_free_pages(f.k, page, 0);
	give_all_back(&f);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* ---- many at once ---- */

/* Counts that do and do not divide a refill; each frame once, as single requests give them; all come back. */
KMM_TEST(alloc_bulk_gives_each_frame_once)
{
	static struct kmm_page *pages[3000];
	static uint8_t seen[48 * MIB / KMM_PAGE_SIZE];
	static const size_t counts[] = { 0, 1, 7, 64, 333, 3000 };
	struct fixture f = { 0 };
	uint64_t before;

	CHECK_OK(start_small(&f, KMM_X86_64));
	before = fixture_unused(&f);
	for (unsigned c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		memset(seen, 0, sizeof(seen));
		CHECK_EQ(kmm_alloc_pages_bulk(f.k, KMM_GFP_KERNEL, counts[c], pages), counts[c]);
		CHECK_EQ(fixture_unused(&f), before - counts[c]);
		for (size_t i = 0; i < counts[c]; i++) {
			CALL(check_block(&f, pages[i], 0, KMM_GFP_KERNEL));
			CHECK_EQ(seen[kmm_page_to_pfn(f.k, pages[i]).v]++, 0);
		}
		CHECK_EQ(fixture_audit(&f), 0);
		kmm_free_pages_bulk(f.k, counts[c], pages);
		CHECK_EQ(fixture_unused(&f), before);
		CHECK_EQ(fixture_audit(&f), 0);
	}
	fixture_end(&f);
}

KMM_TEST(alloc_bulk_says_how_far_it_came)
{
	static struct kmm_page *pages[MAX_BLOCKS];
	struct fixture f = { 0 };
	size_t got;

	CHECK_OK(start_small(&f, KMM_X86_64));
	kmm_fail_nth(f.k, 5);
	CHECK_EQ(kmm_alloc_pages_bulk(f.k, KMM_GFP_KERNEL, 8, pages), 4);
	kmm_fail_nth(f.k, 0);
	kmm_free_pages_bulk(f.k, 4, pages);
	got = kmm_alloc_pages_bulk(f.k, KMM_GFP_KERNEL | KMM_GFP_NOWARN, MAX_BLOCKS, pages);
	CHECK(got > 1000 && got < MAX_BLOCKS);
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_KERNEL | KMM_GFP_NOWARN, 0) == NULL);
	kmm_free_pages_bulk(f.k, got, pages);
	CHECK_EQ(kmm_alloc_pages_bulk(f.k, KMM_GFP_KERNEL | KMM_GFP_ZERO, 100, pages), 100);
	CHECK_EQ(*(char *)kmm_page_address(f.k, pages[99]), 0);
	kmm_free_pages_bulk(f.k, 100, pages);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* ---- what is free is known without descriptors ---- */

static void check_free_info(struct fixture *f, kmm_word pfn, int order)
{
	struct kmm_page_info info;

	kmm_page_info(f->k, kmm_pfn_to_page(f->k, kmm_pfn(pfn)), &info);
	CHECK_EQ(info.kind, order < 0 ? KMM_KIND_NONE : KMM_KIND_FREE);
	if (order >= 0)
		CHECK_EQ(info.order, order);
}

KMM_TEST(alloc_free_blocks_have_heads)
{
	struct fixture f = { 0 };
	struct kmm_page *page, *huge;
	kmm_word pfn, start;

	CHECK_OK(start_small(&f, KMM_X86_64));
	huge = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 10);
	start = kmm_page_to_pfn(f.k, huge).v;
	CALL(check_free_info(&f, start + 1, -1));
	kmm_free_pages(f.k, huge, 10);
	CALL(check_free_info(&f, start, 10));
	CALL(check_free_info(&f, start + 512, -1));
	page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);
	pfn = kmm_page_to_pfn(f.k, page).v;
	kmm_free_pages(f.k, page, 0); /* in the cache */
	CALL(check_free_info(&f, pfn, 0));
	kmm_phys_drain(f.k);
	fixture_end(&f);
}

/* Blocks of one order come from 2 MiB of their own while others are whole; below that they share. */
KMM_TEST(alloc_keeps_sizes_apart)
{
	struct fixture f = { 0 };
	kmm_word tract[9];

	CHECK_OK(fixture_pc(&f, KMM_X86_64, 2 * GIB));
	for (unsigned order = 0; order < 9; order++) {
		struct kmm_page *page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, order);

		tract[order] = kmm_page_to_pfn(f.k, page).v / 512;
		for (unsigned other = 0; other < order; other++)
			CHECK(tract[other] != tract[order]);
	}
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* ---- CPU caches ---- */

KMM_TEST(alloc_drains_caches_for_a_large_block)
{
	struct fixture f = { 0 };
	struct kmm_page *page;

	CHECK_OK(start_small(&f, KMM_X86_64));
	/* Everything out one by one and back: the caches keep some frames of every block. */
	exhaust(&f, KMM_GFP_KERNEL | KMM_GFP_MEMALLOC, 0);
	CHECK(nr_blocks > 1024);
	fixture_cpu = 1;
	give_all_back(&f);
	fixture_cpu = 0;
	CHECK(kmm_zone_cached(&f.k->phys->zone[KMM_ZONE_DMA32]) > 0);
	/* CPU 1 drains when it next allocates; then all joins up. */
	while ((page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL | KMM_GFP_MEMALLOC | KMM_GFP_NOWARN, 10)) != NULL)
		blocks[nr_blocks++] = (struct block){ page, 10 };
	fixture_cpu = 1;
	page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);
	CHECK(page != NULL);
	kmm_free_pages(f.k, page, 0);
	CHECK_EQ(kmm_word_look(&f.k->phys->zone[KMM_ZONE_DMA32].pcp[1][0].limit[0]), f.k->phys->zone[KMM_ZONE_DMA32].pcp_high);
	fixture_cpu = 0;
	give_all_back(&f);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

struct worker {
	struct fixture *f;
	unsigned cpu;
	uint64_t seed;
	unsigned failures;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct block mine[64];
	unsigned nr = 0;

	fixture_cpu = w->cpu;
	for (int i = 0; i < 20000; i++) {
		uint64_t r = kmm_test_rand(&w->seed);

		if (nr < 64 && (r & 1)) {
			unsigned order = r >> 8 & 7 ? 0 : (unsigned)(r >> 12) & 3;
			struct kmm_page *page = kmm_alloc_pages(w->f->k, KMM_GFP_HIGHUSER, order);

			if (page)
				mine[nr++] = (struct block){ page, order };
			else
				w->failures++;
		} else if (nr) {
			unsigned at = (unsigned)(r >> 16) % nr;

			kmm_free_pages(w->f->k, mine[at].page, mine[at].order);
			mine[at] = mine[--nr];
		}
	}
	while (nr--)
		kmm_free_pages(w->f->k, mine[nr].page, mine[nr].order);
	return NULL;
}

KMM_TEST(alloc_two_processors_at_once)
{
	struct fixture f = { 0 };
	struct worker w[2];
	pthread_t other;
	uint64_t before;

	CHECK_OK(start_small(&f, KMM_I386_PAE));
	before = fixture_unused(&f);
	for (unsigned i = 0; i < 2; i++)
		w[i] = (struct worker){ &f, i, kmm_test_seed() + i, 0 };
	CHECK_EQ(pthread_create(&other, NULL, work, &w[1]), 0);
	work(&w[0]);
	pthread_join(other, NULL);
	CHECK_EQ(w[0].failures + w[1].failures, 0);
	CHECK_EQ(fixture_unused(&f), before);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}
