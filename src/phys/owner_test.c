/* SPDX-License-Identifier: MIT */
/*
 * Page owner and poison: what they know of frames, what they find, what they cost when off.
 */
#include "harness/frames.h"
#include "phys/owner.h"

static uint32_t id_now;
static uint64_t clock_now;

static uint32_t owner_id(struct kmm_port *port) { (void)port; return id_now; }
static uint64_t time_ns(struct kmm_port *port) { (void)port; return clock_now += 10; }

static void start(struct fixture *f, enum kmm_format_id format, unsigned debug)
{
	id_now = 7;
	clock_now = 0;
	f->port.owner_id = owner_id;
	f->port.time_ns = time_ns;
	f->machine.debug = debug;
	CHECK_OK(fixture_pc(f, format, 1200 * MIB));
}

KMM_TEST(owner_knows_who_holds_a_frame)
{
	struct fixture f = { 0 };
	struct kmm_page_owner o;
	struct kmm_page *page;
	struct kmm_pfn pfn;

	CALL(start(&f, KMM_X86_64, KMM_DEBUG_PAGE_OWNER));
	page = kmm_alloc_pages(f.k, KMM_GFP_HIGHUSER_MOVABLE, 2);
	pfn = kmm_page_to_pfn(f.k, page);
	for (unsigned i = 0; i < 4; i++) {
		CHECK(kmm_page_owner_of(f.k, kmm_pfn(pfn.v + i), &o));
		CHECK(o.allocated && !o.moved && !o.free_site);
		CHECK_EQ(o.order, 2);
		CHECK_EQ(o.gfp, KMM_GFP_HIGHUSER_MOVABLE);
		CHECK_STR(o.site, "alloc_pages");
		CHECK(o.caller.v != 0);
		CHECK_EQ(o.id, 7);
	}
	CHECK(!kmm_page_owner_of(f.k, kmm_pfn(pfn.v + 4096), &o));
	id_now = 9;
	kmm_free_pages(f.k, page, 2);
	CHECK(kmm_page_owner_of(f.k, pfn, &o));
	CHECK(!o.allocated);
	CHECK_STR(o.free_site, "kernel");
	CHECK_EQ(o.id, 7);
	CHECK_EQ(o.free_id, 9);
	CHECK(o.free_time_ns > o.time_ns);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

__attribute__((noinline)) static struct kmm_page *one_place(struct fixture *f)
{
	struct kmm_page *page = kmm_alloc_pages(f->k, KMM_GFP_KERNEL, 0);

	__asm__ volatile("" : "+r"(page)); /* no tail call: the return address is here */
	return page;
}

/* Two callers are two sites, one caller twice is one. */
KMM_TEST(owner_tells_callers_apart)
{
	struct fixture f = { 0 };
	struct kmm_page *page[3];
	struct kmm_page_owner o[3];

	CALL(start(&f, KMM_I386_PAE, KMM_DEBUG_PAGE_OWNER));
	for (unsigned i = 0; i < 2; i++)
		page[i] = one_place(&f);
	page[2] = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK(kmm_page_owner_of(f.k, kmm_page_to_pfn(f.k, page[i]), &o[i]));
	CHECK_EQ(o[0].caller.v, o[1].caller.v);
	CHECK(o[0].caller.v != o[2].caller.v);
	fixture_end(&f);
}

/* Off from the start: no table. On and off again: the table is given back. */
KMM_TEST(owner_costs_nothing_when_off)
{
	struct fixture f = { 0 };
	struct kmm_debug_stats stats;
	struct kmm_page *page[64];
	uint64_t before;

	CALL(start(&f, KMM_X86_64, 0));
	CHECK(f.k->straight == f.k->native && !f.k->page_debug);
	before = fixture_unused(&f);
	CHECK_OK(kmm_debug_set(f.k, KMM_DEBUG_PAGE_OWNER | KMM_DEBUG_PAGE_POISON));
	CHECK(!f.k->straight);
	CHECK_EQ(kmm_alloc_pages_bulk(f.k, KMM_GFP_KERNEL, 64, page), 64);
	kmm_debug_stats(f.k, &stats);
	CHECK(stats.table_pages > 0 && stats.lost == 0);
	CHECK_EQ(fixture_unused(&f), before - 64 - stats.table_pages);
	kmm_free_pages_bulk(f.k, 64, page);
	CHECK_OK(kmm_debug_set(f.k, 0));
	CHECK(f.k->straight == f.k->native && !f.k->page_debug);
	CHECK_EQ(fixture_unused(&f), before);
	CHECK_EQ(kmm_debug_set(f.k, 64), KMM_EINVAL);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* ---- poison ---- */

static struct kmm_page *freed_frame(struct fixture *f)
{
	struct kmm_page *page = kmm_alloc_pages(f->k, KMM_GFP_KERNEL, 0);

	memset(kmm_page_address(f->k, page), 1, KMM_PAGE_SIZE);
	kmm_free_pages(f->k, page, 0);
	return page;
}

KMM_TEST(poison_fills_and_is_silent_about_the_innocent)
{
	struct fixture f = { 0 };
	struct kmm_debug_stats stats;
	unsigned char *at;

	CALL(start(&f, KMM_X86_64, KMM_DEBUG_PAGE_POISON));
	at = kmm_page_address(f.k, freed_frame(&f));
	for (unsigned i = 0; i < KMM_PAGE_SIZE; i++)
		CHECK_EQ(at[i], KMM_PAGE_POISON_BYTE);
	CHECK_PTR(kmm_page_address(f.k, kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0)), at);
	kmm_debug_stats(f.k, &stats);
	CHECK_EQ(stats.pages_filled, 1);
	CHECK_EQ(stats.pages_checked, 1);
	CHECK_EQ(stats.pages_corrupt, 0);
	CHECK_EQ(f.log_lines, 0);
	fixture_end(&f);
}

KMM_TEST(poison_finds_a_write_after_free)
{
	struct fixture f = { 0 };
	struct kmm_debug_stats stats;
	struct kmm_page *page;
	unsigned char *at;

	CALL(start(&f, KMM_I386, KMM_DEBUG_PAGE_POISON | KMM_DEBUG_PAGE_OWNER));
	page = freed_frame(&f);
	at = kmm_page_address(f.k, page);
	at[0x123] = 0xab; /* one bit */
	CHECK_PTR(kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0), page);
	CHECK_EQ(f.log_lines, 2);
	CHECK(strstr(f.log, "was allocated for alloc_pages") && strstr(f.log, "id 7") && strstr(f.log, "freed as kernel"));
	kmm_debug_stats(f.k, &stats);
	CHECK_EQ(stats.pages_corrupt, 1);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

static char first_line[512];

static void keep_first(struct kmm_port *port, const char *text)
{
	if (!first_line[0])
		snprintf(first_line, sizeof(first_line), "%s", text);
	fixture_log(port, text);
}

KMM_TEST(poison_says_where_and_what)
{
	struct fixture f = { 0 };
	struct kmm_page *page;
	unsigned char *at;
	char expected[64];

	CALL(start(&f, KMM_X86_64, KMM_DEBUG_PAGE_POISON));
	first_line[0] = 0;
	f.port.log = keep_first;
	page = freed_frame(&f);
	at = kmm_page_address(f.k, page);
	memcpy(at + 0xff0, "oops", 5);
	(void)kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);
	snprintf(expected, sizeof(expected), "free frame 0x%llx:", (unsigned long long)kmm_page_to_pfn(f.k, page).v);
	CHECK(strstr(first_line, expected) != NULL);
	CHECK(strstr(first_line, "memory corruption") != NULL);
	CHECK(strstr(first_line, "(offset 0xff0) expected aa, found 6f 6f 70 73 00; 5 bytes differ up to offset 0xff4") != NULL);
	fixture_end(&f);
}

/* A block that was freed whole and comes back in pieces, with a time without poison in between. */
KMM_TEST(poison_forgets_what_nobody_watched)
{
	struct fixture f = { 0 };
	struct kmm_debug_stats stats;
	struct kmm_page *page[8];

	CALL(start(&f, KMM_X86_64, KMM_DEBUG_PAGE_POISON | KMM_DEBUG_PAGE_OWNER));
	kmm_free_pages(f.k, kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 3), 3);
	CHECK_OK(kmm_debug_set(f.k, KMM_DEBUG_PAGE_OWNER));
	page[0] = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 3);
	memset(kmm_page_address(f.k, page[0]), 3, 8 * KMM_PAGE_SIZE);
	kmm_free_pages(f.k, page[0], 3);
	CHECK_OK(kmm_debug_set(f.k, KMM_DEBUG_PAGE_POISON | KMM_DEBUG_PAGE_OWNER));
	for (unsigned i = 0; i < 8; i++)
		page[i] = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);
	kmm_debug_stats(f.k, &stats);
	CHECK_EQ(stats.pages_corrupt, 0);
	for (unsigned i = 0; i < 8; i++)
		kmm_free_pages(f.k, page[i], 0);
	page[0] = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);
	kmm_debug_stats(f.k, &stats);
	CHECK_EQ(stats.pages_checked, 1);
	CHECK_EQ(f.log_lines, 0);
	fixture_end(&f);
}

/* ---- random ---- */

#define RANDOM_BLOCKS 64
struct model {
	struct kmm_page *page;
	unsigned order;
	kmm_gfp gfp;
	uint32_t id;
};

static void check_owner(struct fixture *f, const struct model *m)
{
	struct kmm_pfn pfn = kmm_page_to_pfn(f->k, m->page);
	struct kmm_page_owner o;

	CHECK(kmm_page_owner_of(f->k, kmm_pfn(pfn.v + (1u << m->order) - 1), &o));
	CHECK(o.allocated);
	CHECK_EQ(o.order, m->order);
	CHECK_EQ(o.gfp, m->gfp);
	CHECK_EQ(o.id, m->id);
}

static void change(struct fixture *f, struct model *m, uint64_t *seed)
{
	static const kmm_gfp masks[] = { KMM_GFP_KERNEL, KMM_GFP_HIGHUSER_MOVABLE, KMM_GFP_ATOMIC, KMM_GFP_DMA };

	if (m->page) {
		CALL(check_owner(f, m));
		kmm_free_pages(f->k, m->page, m->order);
		m->page = NULL;
		return;
	}
	*m = (struct model){ .order = (unsigned)(kmm_test_rand(seed) % 5), .gfp = masks[kmm_test_rand(seed) % 4],
			     .id = (uint32_t)kmm_test_rand(seed) };
	id_now = m->id;
	m->page = kmm_alloc_pages(f->k, m->gfp, m->order);
	CHECK(m->page != NULL);
}

KMM_TEST(owner_random_blocks)
{
	struct fixture f = { 0 };
	static struct model m[RANDOM_BLOCKS];
	uint64_t seed = kmm_test_seed();
	struct kmm_debug_stats stats;

	CALL(start(&f, KMM_X86_64, KMM_DEBUG_PAGE_POISON | KMM_DEBUG_PAGE_OWNER));
	for (unsigned i = 0; i < 4000; i++)
		CALL(change(&f, &m[kmm_test_rand(&seed) % RANDOM_BLOCKS], &seed));
	for (unsigned i = 0; i < RANDOM_BLOCKS; i++)
		if (m[i].page)
			CALL(check_owner(&f, &m[i]));
	kmm_debug_stats(f.k, &stats);
	CHECK_EQ(stats.pages_corrupt, 0);
	CHECK_EQ(stats.lost, 0);
	CHECK(stats.pages_checked > 1000);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* The table cannot be made: allocations go on, and are counted as lost. */
KMM_TEST(owner_without_memory_for_its_table)
{
	struct fixture f = { 0 };
	struct kmm_debug_stats stats;
	struct kmm_page *page;

	CALL(start(&f, KMM_X86_64, KMM_DEBUG_PAGE_OWNER));
	for (uint64_t n = 2; n < 6; n++) {
		kmm_fail_nth(f.k, n); /* the first attempt is the frame itself */
		page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);
		kmm_fail_nth(f.k, 0);
		CHECK(page != NULL);
		kmm_free_pages(f.k, page, 0);
	}
	kmm_debug_stats(f.k, &stats);
	CHECK(stats.lost > 0);
	kmm_fail_nth(f.k, 1);
	CHECK_OK(kmm_debug_set(f.k, KMM_DEBUG_PAGE_OWNER)); /* already on */
	kmm_fail_nth(f.k, 0);
	CHECK_OK(kmm_debug_set(f.k, 0));
	kmm_fail_nth(f.k, 1);
	CHECK_EQ(kmm_debug_set(f.k, KMM_DEBUG_PAGE_OWNER), KMM_ENOMEM);
	kmm_fail_nth(f.k, 0);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* ---- the text ---- */

KMM_TEST(owner_report_is_linux_text)
{
	struct fixture f = { 0 };
	struct fixture_text t;
	unsigned order, tgid;
	unsigned long long pid, ts, free_ts, pfn, caller;
	unsigned mask;

	CALL(start(&f, KMM_X86_64, KMM_DEBUG_PAGE_OWNER));
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_HIGHUSER_MOVABLE | KMM_GFP_COMP, 1) != NULL);
	kmm_report_page_owner(f.k, fixture_text(&t));
	CHECK_EQ(sscanf(t.text, "Page allocated via order %u, mask %x(GFP_HIGHUSER_MOVABLE|__GFP_COMP), pid %llu, tgid %u "
			"(alloc_pages), ts %llu ns, free_ts %llu ns\nPFN %llu type Movable Block %*u type Movable Flags "
			"0x%*x(head|node=0|zone=%*u)\n 0x%llx\n\n", &order, &mask, &pid, &tgid, &ts, &free_ts, &pfn, &caller), 8);
	CHECK_EQ(order, 1);
	CHECK_EQ(mask, 0x140cca);
	CHECK_EQ(pid, 7);
	CHECK_EQ(pfn % 2, 0);
	CHECK(caller != 0);
	fixture_end(&f);
}
