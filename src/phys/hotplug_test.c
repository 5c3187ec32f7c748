/* SPDX-License-Identifier: MIT */
/*
 * Memory that comes and goes on machines of page frames alone.
 */
#include "harness/frames.h"
#include "harness/sites.h"
#include "kmm/node.h"
#include "kmm/observe.h"

#define SECTION ((uint64_t)1 << KMM_SECTION_SHIFT)

static const enum kmm_format_id formats[] = { KMM_I386, KMM_I386_PAE, KMM_X86_64, KMM_X86_64_LA57 };

/* A place for descriptors in a row, for those who want it. What is not shown holds garbage. */
static char *row;
static unsigned row_pieces;

static int row_changed(struct kmm_port *port, uint64_t offset, struct kmm_pfn first, kmm_word nr_pages)
{
	struct fixture *f = (struct fixture *)(void *)port;

	if (first.v && ((uint64_t)first.v + nr_pages) * 4096 > f->arena_size)
		return -1;
	row_pieces += first.v ? 1u : -1u;
	memset(row + offset, 0x5a, (size_t)nr_pages * 4096);
	return 0;
}

/* `ram` bytes from 0 on; node 1 may get `more` at `at`, node 0's RAM may go from 256 MiB on. */
static enum kmm_status hot_machine(struct fixture *f, enum kmm_format_id format, uint64_t ram, uint64_t at, uint64_t more)
{
	const struct kmm_node_range ranges[] = {
		{ 0, 2 * SECTION, 0, false }, { 2 * SECTION, ram - 2 * SECTION, 0, true }, { at, more, 1, true },
	};
	const struct kmm_memrange map[] = { { 0, ram, KMM_MEM_RAM, NULL } };

	f->machine.format = format;
	f->machine.node_map = ranges;
	f->machine.nr_node_map = 3;
	f->machine.map = map;
	f->machine.nr_map = 1;
	return fixture_start(f, at + more);
}

static void use_row(struct fixture *f, uint64_t end)
{
	row = mmap(NULL, end / 4096 * 32 + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	row_pieces = 0;
	f->port.descriptors = row;
	f->port.descriptors_changed = row_changed;
}

static enum kmm_status add(struct fixture *f, uint64_t at, uint64_t size, enum kmm_hot_zone zone, bool on_memory)
{
	const struct kmm_hot_memory m = { kmm_paddr(at), size, KMM_NODE_ANY, zone, on_memory };

	return kmm_hot_add(f->k, &m);
}

static struct kmm_zone_info info_of(struct fixture *f, unsigned node, enum kmm_zone_id zone)
{
	struct kmm_zone_info info = { 0 };

	kmm_node_zone_info(f->k, node, zone, &info);
	return info;
}

KMM_TEST(hotplug_adds_and_removes_on_all_formats)
{
	for (unsigned i = 0; i < 4; i++) {
		struct fixture f = { 0 };
		uint64_t at = i ? 4 * GIB : 2 * GIB;
		enum kmm_zone_id zone = i < 2 ? KMM_ZONE_HIGHMEM : KMM_ZONE_NORMAL;
		struct kmm_zone_info before, after;
		struct kmm_memory_stats was, is;
		struct kmm_page *page;

		CHECK_OK(hot_machine(&f, formats[i], 1 * GIB, at, GIB));
		before = info_of(&f, 0, KMM_ZONE_NORMAL);
		kmm_memory_stats(f.k, &was);
		CHECK_EQ(info_of(&f, 1, zone).present, 0);
		CHECK(!kmm_section_present(f.k, kmm_paddr(at)));
		CHECK_OK(add(&f, at, 2 * SECTION, KMM_HOT_DEFAULT, false));
		CHECK_EQ(fixture_audit(&f), 0);
		after = info_of(&f, 1, zone);
		CHECK_EQ(after.present, 2 * KMM_SECTION_PAGES);
		CHECK_EQ(after.managed, 2 * KMM_SECTION_PAGES);
		CHECK_EQ(after.free, 2 * KMM_SECTION_PAGES);
		CHECK_EQ(after.start.v, at >> 12);
		CHECK_EQ(after.spanned, 2 * KMM_SECTION_PAGES);
		CHECK(after.min > 0);
		kmm_memory_stats(f.k, &is);
		CHECK_EQ(is.ram_pages, was.ram_pages + 2 * KMM_SECTION_PAGES);
		CHECK(kmm_section_present(f.k, kmm_paddr(at + SECTION)));
		page = kmm_alloc_pages_node(f.k, 1, KMM_GFP_HIGHUSER | KMM_GFP_THISNODE, 3);
		CHECK(page != NULL);
		CHECK_EQ(kmm_node_of_page(page), 1);
		kmm_free_pages(f.k, page, 3);
		CHECK_OK(kmm_hot_remove(f.k, kmm_paddr(at), 2 * SECTION, NULL));
		CHECK_EQ(fixture_audit(&f), 0);
		CHECK_EQ(info_of(&f, 1, zone).present, 0);
		CHECK_EQ(info_of(&f, 1, zone).spanned, 0);
		CHECK_EQ(info_of(&f, 0, KMM_ZONE_NORMAL).min, before.min);
		CHECK(kmm_alloc_pages_node(f.k, 1, KMM_GFP_HIGHUSER | KMM_GFP_THISNODE, 0) == NULL);
		fixture_end(&f);
	}
}

KMM_TEST(hotplug_refuses_what_makes_no_sense)
{
	struct fixture f = { 0 };
	struct kmm_hot_memory m = { kmm_paddr(4 * GIB), SECTION, 0, KMM_HOT_DEFAULT, false };

	CHECK_OK(hot_machine(&f, KMM_X86_64, 1 * GIB, 4 * GIB, GIB));
	CHECK_EQ(kmm_hot_add(f.k, &m), KMM_EINVAL); /* node 1's */
	CHECK_EQ(add(&f, 4 * GIB + 4096, SECTION, KMM_HOT_DEFAULT, false), KMM_EINVAL);
	CHECK_EQ(add(&f, 4 * GIB, SECTION / 2, KMM_HOT_DEFAULT, false), KMM_EINVAL);
	CHECK_EQ(add(&f, 4 * GIB, 0, KMM_HOT_DEFAULT, false), KMM_EINVAL);
	CHECK_EQ(add(&f, 0 - SECTION, 2 * SECTION, KMM_HOT_DEFAULT, false), KMM_EINVAL);
	CHECK_EQ(add(&f, 3 * GIB, SECTION, KMM_HOT_DEFAULT, false), KMM_ERANGE);
	CHECK_EQ(add(&f, 8 * GIB, SECTION, KMM_HOT_DEFAULT, false), KMM_ERANGE);
	CHECK_EQ(add(&f, 512 * MIB, SECTION, KMM_HOT_DEFAULT, false), KMM_EEXIST);
	CHECK_EQ(add(&f, 4 * GIB, SECTION, KMM_HOT_DEFAULT, true), KMM_ENOTSUP); /* flat */
	CHECK_EQ(kmm_hot_remove(f.k, kmm_paddr(4 * GIB), SECTION, NULL), KMM_ENOENT);
	CHECK_EQ(kmm_hot_remove(f.k, kmm_paddr(0), SECTION, NULL), KMM_ERANGE);
	CHECK_EQ(kmm_hot_remove(f.k, kmm_paddr(4096), SECTION, NULL), KMM_EINVAL);
	CHECK_OK(add(&f, 4 * GIB, SECTION, KMM_HOT_DEFAULT, false));
	CHECK_EQ(add(&f, 4 * GIB, SECTION, KMM_HOT_DEFAULT, false), KMM_EEXIST);
	CHECK_EQ(kmm_hot_remove(f.k, kmm_paddr(4 * GIB), 2 * SECTION, NULL), KMM_ENOENT);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* The frame in the way is named, and the failure leaves all as it was. */
KMM_TEST(hotplug_remove_names_who_is_in_the_way)
{
	struct fixture f = { 0 };
	struct kmm_page_info busy = { .kind = KMM_KIND_NONE };
	struct kmm_zone_info before, after;
	struct kmm_page *page;

	CHECK_OK(hot_machine(&f, KMM_X86_64, 1 * GIB, 4 * GIB, GIB));
	CHECK_OK(add(&f, 4 * GIB, 2 * SECTION, KMM_HOT_DEFAULT, false));
	page = kmm_phys_alloc_at(f.k, &(struct kmm_where){ 1, 2, false }, KMM_GFP_KERNEL, 4, KMM_KIND_SLAB, "test");
	CHECK(page != NULL);
	kmm_phys_drain(f.k);
	before = info_of(&f, 1, KMM_ZONE_NORMAL);
	CHECK_EQ(kmm_hot_remove(f.k, kmm_paddr(4 * GIB), 2 * SECTION, &busy), KMM_EBUSY);
	CHECK_EQ(busy.pfn.v, kmm_page_to_pfn(f.k, page).v);
	CHECK_EQ(busy.kind, KMM_KIND_SLAB);
	CHECK_EQ(busy.order, 4);
	CHECK(strstr(f.log, "is slab") != NULL);
	kmm_phys_drain(f.k);
	after = info_of(&f, 1, KMM_ZONE_NORMAL);
	CHECK_EQ(after.free, before.free);
	CHECK_EQ(after.isolated, 0);
	CHECK_EQ(memcmp(after.nr_free, before.nr_free, sizeof(after.nr_free)), 0);
	CHECK_EQ(fixture_audit(&f), 0);
	kmm_phys_free(f.k, page, 4);
	CHECK_OK(kmm_hot_remove(f.k, kmm_paddr(4 * GIB), 2 * SECTION, &busy));
	fixture_end(&f);
}

/* Memory of the start may go, but for what boot has reserved there; and come back, to another zone. */
KMM_TEST(hotplug_removes_memory_of_the_start)
{
	for (unsigned i = 0; i < 4; i++) {
		struct fixture f = { 0 };
		enum kmm_zone_id zone = i < 2 ? KMM_ZONE_NORMAL : KMM_ZONE_DMA32;
		struct kmm_zone_info before, after;
		struct kmm_page_info busy;

		CHECK_OK(hot_machine(&f, formats[i], 6 * SECTION, 4 * GIB - SECTION, SECTION));
		before = info_of(&f, 0, zone);
		CHECK_EQ(kmm_hot_remove(f.k, kmm_paddr(5 * SECTION), SECTION, &busy), KMM_EBUSY);
		CHECK(busy.kind == KMM_KIND_RESERVED || busy.kind == KMM_KIND_MEMMAP);
		CHECK_OK(kmm_hot_remove(f.k, kmm_paddr(3 * SECTION), SECTION, NULL));
		CHECK_EQ(fixture_audit(&f), 0);
		after = info_of(&f, 0, zone);
		CHECK_EQ(after.present, before.present - KMM_SECTION_PAGES);
		CHECK_EQ(after.spanned, before.spanned);
		CHECK(after.low <= before.low);
		CHECK(kmm_pfn_to_page(f.k, kmm_pfn((kmm_word)(3 * SECTION >> 12))) != NULL);
		CHECK(!kmm_pfn_is_ram(f.k, kmm_pfn((kmm_word)(3 * SECTION >> 12))));
		if (i >= 2) {
			CHECK_OK(add(&f, 3 * SECTION, SECTION, KMM_HOT_MOVABLE, false));
			CHECK_EQ(info_of(&f, 0, KMM_ZONE_MOVABLE).present, KMM_SECTION_PAGES);
			CHECK_EQ(fixture_audit(&f), 0);
			CHECK_OK(kmm_hot_remove(f.k, kmm_paddr(3 * SECTION), SECTION, NULL));
		}
		CHECK_OK(add(&f, 3 * SECTION, SECTION, KMM_HOT_KERNEL, false));
		CHECK_EQ(info_of(&f, 0, zone).present, before.present);
		CHECK_EQ(fixture_audit(&f), 0);
		fixture_end(&f);
	}
}

/* Descriptors in a row of their own: on frames of the machine, or of the section itself. */
KMM_TEST(hotplug_descriptors_of_their_own)
{
	for (unsigned on_memory = 0; on_memory < 2; on_memory++) {
		struct fixture f = { 0 };
		struct kmm_zone_info info;
		uint64_t unused;

		use_row(&f, 5 * GIB);
		CHECK_OK(hot_machine(&f, KMM_X86_64, 1 * GIB, 4 * GIB, GIB));
		CHECK_EQ(row_pieces, 1);
		CHECK(kmm_pfn_to_page(f.k, kmm_pfn(4 * GIB >> 12)) == NULL);
		unused = fixture_unused(&f);
		CHECK_OK(add(&f, 4 * GIB, 4 * SECTION, KMM_HOT_DEFAULT, on_memory));
		CHECK_EQ(row_pieces, 5);
		info = info_of(&f, 1, KMM_ZONE_NORMAL);
		CHECK_EQ(info.managed, 4 * (KMM_SECTION_PAGES - on_memory * 256));
		CHECK_EQ(info.kinds[KMM_KIND_MEMMAP], on_memory * 1024);
		CHECK_EQ(info_of(&f, 0, KMM_ZONE_DMA32).kinds[KMM_KIND_KERNEL], 1024 - on_memory * 1024);
		CHECK_EQ(fixture_audit(&f), 0);
		CHECK_OK(kmm_hot_remove(f.k, kmm_paddr(4 * GIB + SECTION), SECTION, NULL));
		CHECK_EQ(row_pieces, 4);
		CHECK_EQ(fixture_audit(&f), 0);
		CHECK(kmm_pfn_to_page(f.k, kmm_pfn((4 * GIB + SECTION) >> 12)) == NULL);
		CHECK_OK(add(&f, 4 * GIB + SECTION, SECTION, KMM_HOT_MOVABLE, on_memory));
		CHECK_EQ(fixture_audit(&f), 0);
		CHECK_OK(kmm_hot_remove(f.k, kmm_paddr(4 * GIB + SECTION), SECTION, NULL));
		CHECK_OK(kmm_hot_remove(f.k, kmm_paddr(4 * GIB), SECTION, NULL));
		CHECK_EQ(info_of(&f, 1, KMM_ZONE_NORMAL).start.v, (4 * GIB + 2 * SECTION) >> 12);
		CHECK_OK(kmm_hot_remove(f.k, kmm_paddr(4 * GIB + 2 * SECTION), 2 * SECTION, NULL));
		CHECK_EQ(fixture_audit(&f), 0);
		CHECK_EQ(fixture_unused(&f), unused);
		CHECK_EQ(row_pieces, 1);
		munmap(row, 5 * GIB / 4096 * 32 + 4096);
		fixture_end(&f);
	}
}

KMM_TEST(hotplug_fail_every_site_leaves_no_trace)
{
	struct fixture f = { 0 };
	uint64_t unused, nth = 1;
	enum kmm_status status;
	const char *site;

	use_row(&f, 5 * GIB);
	CHECK_OK(hot_machine(&f, KMM_X86_64, 1 * GIB, 4 * GIB, GIB));
	unused = fixture_unused(&f);
	do {
		kmm_fail_nth(f.k, nth++);
		status = add(&f, 4 * GIB, 3 * SECTION, KMM_HOT_DEFAULT, false);
		kmm_fail_count(f.k, &site);
		note_site(site);
		kmm_fail_nth(f.k, 0);
		if (status == KMM_OK)
			break;
		CHECK_EQ(status, KMM_ENOMEM);
		CHECK_EQ(row_pieces, 1);
		CHECK_EQ(fixture_unused(&f), unused);
		CHECK_EQ(fixture_audit(&f), 0);
	} while (nth < 100);
	CHECK_EQ(nth, 8); /* a section's own site and its descriptors, three times */
	CHECK_EQ(row_pieces, 4);
	munmap(row, 5 * GIB / 4096 * 32 + 4096);
	fixture_end(&f);
}

/* ---- random ---- */

enum { HELD = 400, SECTIONS = 8 };

static void random_change(struct fixture *f, uint64_t r, uint64_t at)
{
	uint64_t start = at + (r >> 8) % SECTIONS * SECTION, size = SECTION;
	bool there = kmm_section_present(f->k, kmm_paddr(start));
	enum kmm_status status;

	if (there)
		status = kmm_hot_remove(f->k, kmm_paddr(start), size, NULL);
	else
		status = add(f, start, size, (enum kmm_hot_zone)((r >> 16) % 3), false);
	CHECK(status == KMM_OK || (there && status == KMM_EBUSY));
	CHECK_EQ(kmm_section_present(f->k, kmm_paddr(start)), status == KMM_OK ? !there : there);
}

static void random_use(struct fixture *f, struct kmm_page **held, uint64_t r)
{
	static const kmm_gfp gfps[] = { KMM_GFP_KERNEL, KMM_GFP_HIGHUSER, KMM_GFP_HIGHUSER_MOVABLE };
	struct kmm_page **slot = &held[(r >> 8) % HELD];

	if (*slot) {
		kmm_free_pages(f->k, *slot, kmm_page_order(*slot));
		*slot = NULL;
	} else {
		*slot = kmm_alloc_pages_node(f->k, (unsigned)(r >> 20) & 1, gfps[(r >> 24) % 3] | KMM_GFP_NOWARN,
					     (unsigned)(r >> 32) % 6);
	}
}

static void come_and_go(struct fixture *f, uint64_t at, uint64_t seed)
{
	struct kmm_page *held[HELD] = { NULL };
	uint64_t unused = fixture_unused(f);

	for (unsigned i = 0; i < 4000; i++) {
		uint64_t r = kmm_test_rand(&seed);

		if (i % 40 == 0)
			CALL(random_change(f, r, at));
		else
			random_use(f, held, r);
		if (i % 1000 == 999)
			CHECK_EQ(fixture_audit(f), 0);
	}
	for (unsigned i = 0; i < HELD; i++)
		if (held[i])
			kmm_free_pages(f->k, held[i], kmm_page_order(held[i]));
	for (unsigned i = 0; i < SECTIONS; i++)
		if (kmm_section_present(f->k, kmm_paddr(at + i * SECTION)))
			CHECK_OK(kmm_hot_remove(f->k, kmm_paddr(at + i * SECTION), SECTION, NULL));
	CHECK_EQ(fixture_audit(f), 0);
	CHECK_EQ(fixture_unused(f), unused);
}

KMM_TEST(hotplug_random)
{
	for (unsigned i = 0; i < 4; i++)
		for (unsigned apart = 0; apart < (i < 2 ? 1u : 2u); apart++) {
			struct fixture f = { 0 };
			uint64_t at = i ? 4 * GIB : 2 * GIB;

			if (apart)
				use_row(&f, at + GIB);
			CHECK_OK(hot_machine(&f, formats[i], 768 * MIB, at, GIB));
			CALL(come_and_go(&f, at, 5 + i * 2 + apart));
			if (apart)
				munmap(row, (at + GIB) / 4096 * 32 + 4096);
			fixture_end(&f);
		}
}
