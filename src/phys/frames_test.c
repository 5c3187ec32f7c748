/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "harness/frames.h"

static enum kmm_status init_with(struct fixture *f, const struct kmm_memrange *map, unsigned nr, uint64_t arena)
{
	f->machine.map = map;
	f->machine.nr_map = nr;
	return fixture_start(f, arena);
}

/* ---- starting ---- */

KMM_TEST(frames_of_a_linux_pae_machine_span_what_linux_says)
{
	struct fixture f = { 0 };
	struct kmm_zone_info dma, normal, high, movable;

	f.machine.windows = kmm_windows_linux_6_1();
	CHECK_OK(fixture_pc(&f, KMM_I386_PAE, 4 * GIB));
	CHECK(kmm_zone_info(f.k, KMM_ZONE_DMA, &dma) && kmm_zone_info(f.k, KMM_ZONE_NORMAL, &normal));
	CHECK(kmm_zone_info(f.k, KMM_ZONE_HIGHMEM, &high) && kmm_zone_info(f.k, KMM_ZONE_MOVABLE, &movable));
	CHECK(!kmm_zone_info(f.k, KMM_ZONE_DMA32, &dma));
	CHECK_EQ(dma.spanned, 4095);
	CHECK_EQ(dma.present, 3998);
	CHECK_EQ(dma.start.v, 1);
	CHECK_EQ(normal.spanned, 221182);
	CHECK_EQ(normal.present, 221182);
	CHECK_EQ(high.start.v, 225278);
	CHECK_EQ(high.spanned, 1085442);
	CHECK_EQ(high.present, 823266);
	CHECK_EQ(movable.present, 0);
	CHECK_STR(high.name, "HighMem");
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(frames_of_a_linux_amd64_machine_span_what_linux_says)
{
	struct fixture f = { 0 };
	struct kmm_zone_info dma, dma32, normal, none;

	CHECK_OK(fixture_pc(&f, KMM_X86_64, 4 * GIB));
	CHECK(kmm_zone_info(f.k, KMM_ZONE_DMA, &dma) && kmm_zone_info(f.k, KMM_ZONE_DMA32, &dma32));
	CHECK(kmm_zone_info(f.k, KMM_ZONE_NORMAL, &normal));
	CHECK(!kmm_zone_info(f.k, KMM_ZONE_HIGHMEM, &none));
	CHECK(!kmm_zone_info(f.k, KMM_NR_ZONES, &none));
	CHECK_EQ(dma.present, 3998);
	CHECK_EQ(dma32.present, 782304);
	CHECK_EQ(normal.start.v, 1048576);
	CHECK_EQ(normal.spanned, 262144);
	CHECK_EQ(normal.present, 262144);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(frames_unreachable_memory_is_left_out_and_counted)
{
	struct fixture f = { 0 };
	struct kmm_memory_stats s;

	CHECK_OK(fixture_pc(&f, KMM_I386, 4 * GIB));
	kmm_memory_stats(f.k, &s);
	CHECK_EQ(s.unreachable_pages, GIB >> 12);
	CHECK_EQ(s.ram_pages, 3998 + ((3 * GIB - 16 * MIB - 0x20000) >> 12));
	fixture_end(&f);
}

KMM_TEST(frames_descriptors_lie_at_the_top_of_low_memory)
{
	static const enum kmm_format_id formats[] = { KMM_I386, KMM_I386_PAE, KMM_X86_64, KMM_X86_64_LA57 };

	for (unsigned i = 0; i < 4; i++) {
		struct fixture f = { 0 };
		struct kmm_memory_stats s;

		CHECK_OK(fixture_pc(&f, formats[i], 2 * GIB));
		kmm_memory_stats(f.k, &s);
		CHECK_EQ(s.page_size_bytes, i < 2 ? 24 : 32);
		CHECK_EQ(s.memmap_pages, (((2 * GIB - 0x20000) >> 12) * s.page_size_bytes + 4095) / 4096);
		CHECK(s.memmap.v + s.memmap_pages * 4096 <= f.k->layout.lowmem_end);
		CHECK(s.memmap.v + s.memmap_pages * 4096 + 2 * MIB > f.k->layout.lowmem_end);
		CHECK_EQ(kmm_page_kind(kmm_pfn_to_page(f.k, kmm_paddr_to_pfn(s.memmap))), KMM_KIND_MEMMAP);
		CHECK_PTR(kmm_pfn_to_page(f.k, kmm_pfn(0)), f.arena + s.memmap.v);
		fixture_end(&f);
	}
}

KMM_TEST(frames_of_a_16_mib_machine)
{
	struct fixture f = { 0 };
	struct kmm_page *page;

	CHECK_OK(fixture_pc(&f, KMM_I386, 16 * MIB));
	CHECK_EQ(fixture_audit(&f), 0);
	page = kmm_alloc_pages(f.k, KMM_GFP_HIGHUSER, 4);
	CHECK(page != NULL);
	CHECK_EQ(kmm_page_zone(page), KMM_ZONE_DMA);
	kmm_free_pages(f.k, page, 4);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

static uint64_t resident_bytes(void)
{
	unsigned long size, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	if (file)
		fclose(file);
	return (uint64_t)resident * 4096;
}

/* 64 TiB: the descriptors alone span 512 GiB, of which a few MiB are touched. */
KMM_TEST(frames_of_a_64_tib_machine_touch_little)
{
	static const struct kmm_memrange map[] = {
		{ 0, 0x9fc00, KMM_MEM_RAM, NULL }, { MIB, 3 * GIB - MIB, KMM_MEM_RAM, NULL },
		{ 4 * GIB, 64 * TIB - 4 * GIB, KMM_MEM_RAM, NULL },
	};
	struct fixture f = { 0 };
	uint64_t before = resident_bytes();
	struct kmm_memory_stats s;
	struct kmm_zone_info normal;
	enum kmm_status status;

	f.machine.format = KMM_X86_64;
	status = init_with(&f, map, 3, 64 * TIB);
	if (f.arena == MAP_FAILED)
		SKIP("this host does not map 64 TiB");
	CHECK_OK(status);
	CHECK(resident_bytes() - before < 64 * MIB);
	kmm_memory_stats(f.k, &s);
	CHECK_EQ(s.sections, 524288);
	CHECK(s.sections_live <= 2);
	CHECK_EQ(s.memmap_pages, 512 * GIB / 4096);
	CHECK(s.free_pages > (uint64_t)63 * TIB / 4096);
	for (int i = 0; i < 1000; i++) {
		struct kmm_page *page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 10);

		CHECK(page != NULL);
		CHECK(kmm_page_to_pfn(f.k, page).v >= 4 * GIB / 4096);
	}
	CHECK(kmm_pfn_to_page(f.k, kmm_pfn((kmm_word)(40 * TIB / 4096))) != NULL);
	CHECK(kmm_zone_info(f.k, KMM_ZONE_NORMAL, &normal));
	CHECK(normal.nr_free[10] > (uint64_t)62 * TIB / (4 * MIB));
	kmm_memory_stats(f.k, &s);
	CHECK(s.sections_live < 40);
	CHECK(resident_bytes() - before < 256 * MIB);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* What is known of free frames costs at most 0.15 bytes each, the caches of the CPUs not counted. */
KMM_TEST(frames_metadata_is_small)
{
	struct fixture f = { 0 };
	uint64_t caches = 0;

	CHECK_OK(fixture_pc(&f, KMM_X86_64, 8 * GIB));
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		caches += kmm_pcp_words(&f.k->phys->zone[i]) * sizeof(kmm_word) * f.k->machine.nr_cpus;
	CHECK((f.k->phys->metadata_bytes - caches) * 100 <= f.k->phys->max_pfn * 15);
	CHECK(caches < 64 * 1024);
	fixture_end(&f);
}

/* ---- refusing ---- */

KMM_TEST(frames_tiny_machines_are_refused_or_work)
{
	for (uint64_t pages = 0; pages < 40; pages++) {
		struct kmm_memrange map[] = { { 0, pages * 4096, KMM_MEM_RAM, NULL } };
		struct fixture f = { 0 };
		enum kmm_status status = init_with(&f, map, 1, 40 * 4096);

		if (pages < 2)
			CHECK_EQ(status, KMM_ERANGE);
		else if (pages <= 3) /* frame 0 is not used, one holds the descriptors, one areas and CPU caches */
			CHECK_EQ(status, KMM_ENOMEM);
		else
			CHECK_OK(status);
		CHECK(status == KMM_OK || f.why[0] != 0);
		if (status == KMM_OK)
			CHECK_EQ(fixture_audit(&f), 0);
		fixture_end(&f);
	}
}

KMM_TEST(frames_descriptors_that_do_not_fit_are_refused)
{
	static const struct kmm_memrange map[] = { { MIB, 160 * GIB, KMM_MEM_RAM, NULL } };
	static const struct kmm_memrange all[] = { { 0, GIB, 0, "all of it" } };
	struct fixture f = { 0 };

	f.machine = (struct kmm_machine){ .format = KMM_I386_PAE, .phys_bits = 40 };
	CHECK_EQ(init_with(&f, map, 1, GIB), KMM_ENOMEM);
	CHECK(strstr(f.why, "descriptors") != NULL);
	fixture_end(&f);

	f.machine = (struct kmm_machine){ .format = KMM_I386, .reserve = all, .nr_reserve = 1 };
	CHECK_EQ(fixture_pc(&f, KMM_I386, 64 * MIB), KMM_ENOMEM);
	fixture_end(&f);
}

KMM_TEST(frames_bad_arguments_are_refused)
{
	static const struct kmm_memrange map[] = { { MIB, 16 * MIB, KMM_MEM_RAM, NULL } };
	struct kmm_machine m = { .map = map, .nr_map = 1 };
	struct kmm_port port = { 0 };
	struct kmm *k = NULL;
	const char *why = "";
	_Alignas(64) static char state[128 << 10];

	CHECK(kmm_state_size() < sizeof(state));
	CHECK_EQ(kmm_init_frames(state, &m, &port, &k, &why), KMM_EINVAL);
	CHECK(strstr(why, "hook") != NULL);
	CHECK_EQ(kmm_init_frames(NULL, &m, &port, &k, &why), KMM_EINVAL);
	CHECK_EQ(kmm_init_frames(state + 1, &m, &port, &k, NULL), KMM_EINVAL);
	CHECK(k == NULL);
}

KMM_TEST(frames_too_many_reservations_overflow)
{
	static struct kmm_memrange reserve[KMM_MAX_RANGES + 1];
	struct fixture f = { 0 };

	for (unsigned i = 0; i <= KMM_MAX_RANGES; i++)
		reserve[i] = (struct kmm_memrange){ MIB + i * 0x2000u, 0x1000, 0, NULL };
	f.machine.reserve = reserve;
	f.machine.nr_reserve = KMM_MAX_RANGES + 1;
	CHECK_EQ(fixture_pc(&f, KMM_I386, 64 * MIB), KMM_EOVERFLOW);
	fixture_end(&f);
}

/* ---- reservations ---- */

KMM_TEST(frames_reservations_are_kept_and_given_back)
{
	static const struct kmm_memrange reserve[] = {
		{ MIB, 3 * MIB + 100, 0, "image" }, { 32 * MIB + 100, 5 * MIB, 0, "initrd" },
		{ 500 * MIB, UINT64_MAX, 0, "runs over the end" },
	};
	struct fixture f = { 0 };
	uint64_t free_before;
	struct kmm_memory_stats s;

	f.machine.reserve = reserve;
	f.machine.nr_reserve = 3;
	CHECK_OK(fixture_pc(&f, KMM_I386_PAE, 512 * MIB));
	CHECK_EQ(kmm_machine_of(f.k)->nr_reserve, 0);
	CHECK_EQ(kmm_page_kind(kmm_pfn_to_page(f.k, kmm_pfn(32 * MIB / 4096))), KMM_KIND_RESERVED);
	CHECK_EQ(kmm_page_kind(kmm_pfn_to_page(f.k, kmm_pfn(37 * MIB / 4096))), KMM_KIND_RESERVED);
	free_before = fixture_unused(&f);
	kmm_memory_stats(f.k, &s);
	CHECK_EQ(s.ram_pages - s.managed_pages, s.reserved_pages);

	/* Only whole pages come back, so the two at the ends stay. */
	CHECK_OK(kmm_free_reserved(f.k, kmm_paddr(32 * MIB + 100), 5 * MIB));
	CHECK_EQ(fixture_unused(&f), free_before + 5 * MIB / 4096 - 1);
	CHECK_EQ(fixture_audit(&f), 0);
	CHECK_EQ(kmm_free_reserved(f.k, kmm_paddr(32 * MIB + 4096), 4096), KMM_EINVAL);  /* a second time */
	CHECK_EQ(kmm_free_reserved(f.k, kmm_paddr(64 * MIB), 4096), KMM_EINVAL);         /* never was */
	CHECK_EQ(kmm_free_reserved(f.k, s.memmap, 4096), KMM_EINVAL);                    /* not the caller's */
	CHECK_EQ(kmm_free_reserved(f.k, kmm_paddr(0), 4096), KMM_EINVAL);                /* not RAM */
	CHECK_EQ(kmm_free_reserved(f.k, kmm_paddr(UINT64_MAX - 4096), 8192), KMM_EINVAL);
	CHECK_EQ(kmm_free_reserved(f.k, kmm_paddr(3 * MIB), 2 * MIB), KMM_EINVAL);       /* half of it */
	CHECK_EQ(fixture_unused(&f), free_before + 5 * MIB / 4096 - 1);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* In a section that nobody asked for yet. */
KMM_TEST(frames_given_back_before_their_section_was_made)
{
	static const struct kmm_memrange reserve[] = { { 600 * MIB, 8 * MIB, 0, "initrd" } };
	struct fixture f = { 0 };
	uint64_t before;

	f.machine.reserve = reserve;
	f.machine.nr_reserve = 1;
	CHECK_OK(fixture_pc(&f, KMM_X86_64, 2 * GIB));
	CHECK(!kmm_section_is_live(f.k->phys, kmm_section_of(600 * MIB / 4096)));
	before = fixture_unused(&f);
	CHECK_OK(kmm_free_reserved(f.k, kmm_paddr(600 * MIB), 8 * MIB));
	CHECK_EQ(fixture_unused(&f), before + 8 * MIB / 4096);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* ---- zones of special machines ---- */

KMM_TEST(frames_movable_zone_is_the_end_of_the_top_zone)
{
	for (unsigned format = KMM_I386_PAE; format <= KMM_X86_64; format++) {
		struct fixture f = { 0 };
		struct kmm_zone_info movable, high;
		struct kmm_page *page;
		enum kmm_zone_id zone, top = format == KMM_X86_64 ? KMM_ZONE_DMA32 : KMM_ZONE_HIGHMEM;

		f.machine.movable_percent = 25;
		CHECK_OK(fixture_pc(&f, (enum kmm_format_id)format, 3 * GIB));
		CHECK(kmm_zone_info(f.k, KMM_ZONE_MOVABLE, &movable) && kmm_zone_info(f.k, top, &high));
		CHECK_EQ(movable.start.v % 1024, 0);
		CHECK(movable.present * 3 <= high.present + 3 * 1024 && high.present <= movable.present * 3 + 3 * 1024);
		CHECK_EQ(fixture_audit(&f), 0);
		CHECK_OK(kmm_gfp_zone(f.k, KMM_GFP_HIGHUSER_MOVABLE, &zone));
		CHECK_EQ(zone, KMM_ZONE_MOVABLE);
		page = kmm_alloc_pages(f.k, KMM_GFP_HIGHUSER_MOVABLE, 0);
		CHECK_EQ(kmm_page_zone(page), KMM_ZONE_MOVABLE);
		CHECK_EQ(kmm_page_is_high(page), format == KMM_I386_PAE);
		kmm_free_pages(f.k, page, 0);
		page = kmm_alloc_pages(f.k, KMM_GFP_HIGHUSER, 0);
		CHECK_EQ(kmm_page_zone(page), top);
		kmm_free_pages(f.k, page, 0);
		CHECK_EQ(fixture_audit(&f), 0);
		fixture_end(&f);
	}
}

KMM_TEST(frames_two_machines_share_nothing)
{
	struct fixture a = { 0 }, b = { 0 };
	uint64_t unused;

	CHECK_OK(fixture_pc(&a, KMM_I386, 64 * MIB));
	CHECK_OK(fixture_pc(&b, KMM_X86_64, 128 * MIB));
	unused = fixture_unused(&b);
	for (int i = 0; i < 100; i++)
		CHECK(kmm_alloc_pages(a.k, KMM_GFP_KERNEL, 2) != NULL);
	CHECK_EQ(fixture_unused(&b), unused);
	CHECK_EQ(fixture_audit(&a), 0);
	CHECK_EQ(fixture_audit(&b), 0);
	fixture_end(&a);
	fixture_end(&b);
}

/* ---- numbers, descriptors, addresses ---- */

KMM_TEST(frames_number_and_descriptor_go_both_ways)
{
	struct fixture f = { 0 };
	struct kmm_memory_stats s;

	CHECK_OK(fixture_pc(&f, KMM_I386_PAE, 5 * GIB));
	kmm_memory_stats(f.k, &s);
	for (kmm_word pfn = 0; pfn < f.k->phys->max_pfn; pfn += 1021) {
		struct kmm_page *page = kmm_pfn_to_page(f.k, kmm_pfn(pfn));

		/* 3 to 4 GiB: sections without any RAM have no descriptors. */
		CHECK_EQ(page == NULL, pfn >= 3 * GIB / 4096 && pfn < 4 * GIB / 4096);
		if (page)
			CHECK_EQ(kmm_page_to_pfn(f.k, page).v, pfn);
	}
	CHECK(kmm_pfn_to_page(f.k, kmm_pfn(f.k->phys->max_pfn)) == NULL);
	CHECK(kmm_pfn_to_page(f.k, kmm_pfn((kmm_word)-1)) == NULL);
	CHECK(!kmm_pfn_is_ram(f.k, kmm_pfn(0)) && kmm_pfn_is_ram(f.k, kmm_pfn(1)));
	CHECK(!kmm_pfn_is_ram(f.k, kmm_pfn(0xa0)) && !kmm_pfn_is_ram(f.k, kmm_pfn(3 * GIB / 4096)));
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(frames_linear_addresses_are_pa_plus_offset)
{
	struct fixture f = { 0 };

	CHECK_OK(fixture_pc(&f, KMM_I386, 3 * GIB));
	for (uint64_t pa = 4096; pa < f.k->layout.lowmem_end; pa += 7 * MIB) {
		struct kmm_page *page = kmm_pfn_to_page(f.k, kmm_pfn(pa >> 12));

		CHECK_PTR(kmm_page_lowmem_ptr(f.k, page), f.arena + pa);
		CHECK_EQ(kmm_ptr_to_kva(f.k, f.arena + pa).v, 0xc0000000 + pa);
		CHECK_PTR(kmm_kva_to_ptr(f.k, kmm_kva(0xc0000000 + pa)), f.arena + pa);
		CHECK_PTR(kmm_virt_to_page(f.k, f.arena + pa + 5), page);
	}
	CHECK(kmm_virt_to_page(f.k, f.arena + f.k->layout.lowmem_end) == NULL);
	CHECK(kmm_virt_to_page(f.k, f.arena - 1) == NULL);
	CHECK(kmm_virt_to_page(f.k, f.arena) == NULL); /* frame 0 is not RAM */
	CHECK(kmm_page_address(f.k, kmm_pfn_to_page(f.k, kmm_pfn(2 * GIB / 4096))) == NULL);
	/* Windows: as the port places them. */
	f.port.window_base = f.arena;
	f.port.window_start = 0xf8000000;
	f.port.window_size = 0x1000;
	CHECK_PTR(kmm_kva_to_ptr(f.k, kmm_kva(0xf8000123)), f.arena + 0x123);
	CHECK(kmm_kva_to_ptr(f.k, kmm_kva(0xf8001000)) == NULL);
	CHECK(kmm_kva_to_ptr(f.k, kmm_kva(0xb0001000)) == NULL);
	fixture_end(&f);
}

struct visits {
	struct kmm *k;
	kmm_word next, pages;
};

static void visit(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr)
{
	struct visits *v = arg;

	if (pfn.v < v->next || kmm_page_to_pfn(v->k, page).v != pfn.v)
		abort();
	v->next = pfn.v + nr;
	v->pages += nr;
	if (kmm_page_kind(page) == KMM_KIND_NONE)
		abort();
}

KMM_TEST(frames_visits_every_frame_in_use_once)
{
	static const struct kmm_memrange reserve[] = { { 32 * MIB + 0x3000, 0x5000, 0, "initrd" } };
	struct fixture f = { 0 };
	struct visits v = { 0 };
	struct kmm_memory_stats s;

	f.machine.reserve = reserve;
	f.machine.nr_reserve = 1;
	CHECK_OK(fixture_pc(&f, KMM_I386, 200 * MIB));
	CHECK(kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 3) != NULL);
	CHECK_OK(kmm_free_reserved(f.k, kmm_paddr(32 * MIB + 0x3000), 0x5000)); /* joins across the old bounds */
	for (kmm_word pfn = 0; pfn < f.k->phys->max_pfn; pfn += KMM_SECTION_PAGES)
		CHECK(kmm_pfn_to_page(f.k, kmm_pfn(pfn)) != NULL);
	v.k = f.k;
	kmm_phys_for_each(f.k, visit, &v);
	kmm_memory_stats(f.k, &s);
	CHECK_EQ(v.pages + fixture_unused(&f), s.ram_pages);
	fixture_end(&f);
}

/* ---- descriptors ---- */

static void check_fields(enum kmm_format_id format)
{
	struct fixture f = { 0 };
	uint64_t largest = format == KMM_X86_64 ? ((uint64_t)1 << 48) - 1 : UINT32_MAX;
	struct kmm_page *page, *more[3];
	struct kmm_page_list list = { 0, 0 };
	void *object;

	CHECK_OK(fixture_pc(&f, format, 64 * MIB));
	page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);
	object = kmm_get_free_pages(f.k, KMM_GFP_KERNEL, 0);
	kmm_page_set_kind(f.k, page, KMM_KIND_ANON);
	kmm_page_set_index(f.k, page, largest);
	CHECK_EQ(kmm_page_index(f.k, page), largest);
	CHECK(kmm_page_owner(f.k, page) == NULL);
	kmm_page_set_owner(f.k, page, object);
	CHECK_PTR(kmm_page_owner(f.k, page), object);
	CHECK_EQ(kmm_page_index(f.k, page), largest);
	CHECK_EQ(kmm_zone_kind_count(&f.k->phys->zone[kmm_page_zone(page)], KMM_KIND_ANON), 1);
	kmm_page_set_kind(f.k, page, KMM_KIND_SLAB);
	CHECK_EQ(kmm_page_index(f.k, page), 0);
	CHECK(kmm_page_owner(f.k, page) == NULL);
	CHECK_EQ(kmm_zone_kind_count(&f.k->phys->zone[kmm_page_zone(page)], KMM_KIND_ANON), 0);
	for (int i = 0; i < 3; i++) {
		more[i] = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);
		kmm_page_list_add(f.k, &list, more[i]);
	}
	CHECK_EQ(list.nr, 3);
	CHECK_PTR(kmm_page_list_first(f.k, &list), more[2]);
	CHECK_PTR(kmm_page_next(f.k, more[2]), more[1]);
	CHECK_PTR(kmm_page_prev(f.k, more[0]), more[1]);
	kmm_page_list_del(f.k, &list, more[1]);
	CHECK_PTR(kmm_page_next(f.k, more[2]), more[0]);
	CHECK_PTR(kmm_page_prev(f.k, more[0]), more[2]);
	kmm_page_list_del(f.k, &list, more[2]);
	kmm_page_list_del(f.k, &list, more[0]);
	CHECK(kmm_page_list_first(f.k, &list) == NULL);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(frames_descriptor_fields_narrow)
{
	check_fields(KMM_I386);
}

KMM_TEST(frames_descriptor_fields_wide)
{
	check_fields(KMM_X86_64);
}

/* The checker must see what it is for. */
KMM_TEST(frames_audit_finds_damage)
{
	struct fixture f = { 0 };
	struct fixture_text t;
	struct kmm_page *page;
	struct kmm_zone *z;

	CHECK_OK(fixture_pc(&f, KMM_I386, 64 * MIB));
	page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 2);
	z = &f.k->phys->zone[kmm_page_zone(page)];
	z->free++;
	CHECK(kmm_phys_audit(f.k, fixture_text(&t)) > 0);
	CHECK(strstr(t.text, "free count") != NULL);
	z->free--;
	z->map[(kmm_page_to_pfn(f.k, page).v - z->tract_first * KMM_TRACT_PAGES) / KMM_BITS] ^= (kmm_bits)1
		<< kmm_page_to_pfn(f.k, page).v % KMM_BITS;
	CHECK(kmm_phys_audit(f.k, fixture_text(&t)) > 0); /* in use and free */
	CHECK(strstr(t.text, "not that of its bits") != NULL);
	z->map[(kmm_page_to_pfn(f.k, page).v - z->tract_first * KMM_TRACT_PAGES) / KMM_BITS] ^= (kmm_bits)1
		<< kmm_page_to_pfn(f.k, page).v % KMM_BITS;
	page->flags = (page->flags & ~15u) | KMM_KIND_SLAB; /* behind the counters' back */
	CHECK_EQ(kmm_phys_audit(f.k, fixture_text(&t)), 2);
	CHECK(strstr(t.text, "slab") != NULL);
	page->flags = (page->flags & ~15u) | KMM_KIND_KERNEL;
	atomic_store(&page->refcount, 0);
	CHECK(kmm_phys_audit(f.k, NULL) > 0);
	atomic_store(&page->refcount, 1);
	kmm_page_at(f.k->phys, kmm_page_to_pfn(f.k, page).v + 1)->flags |= KMM_KIND_KERNEL;
	CHECK(kmm_phys_audit(f.k, NULL) > 0);
	kmm_page_at(f.k->phys, kmm_page_to_pfn(f.k, page).v + 1)->flags &= ~15u;
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* ---- any machine ---- */

/* Ranges of at most 24 MiB anywhere below 384 MiB, units of 512 bytes, all types, overlaps, reservations. */
static void random_machine(struct fixture *f, struct kmm_memrange map[16], struct kmm_memrange reserve[6], uint64_t *state)
{
	f->machine.format = (enum kmm_format_id)(kmm_test_rand(state) % KMM_NR_FORMATS);
	f->machine.nr_map = (unsigned)(kmm_test_rand(state) % 16) + 1;
	f->machine.nr_reserve = (unsigned)(kmm_test_rand(state) % 6);
	f->machine.map = map;
	f->machine.reserve = reserve;
	f->machine.nr_cpus = (unsigned)(kmm_test_rand(state) % 4) + 1;
	f->machine.movable_percent = kmm_test_rand(state) % 3 ? 0 : (uint32_t)(kmm_test_rand(state) % 101);
	f->machine.huge_page_reserve = kmm_test_rand(state) & 1;
	if (f->machine.format < KMM_X86_64 && kmm_test_rand(state) % 2)
		f->machine.windows.vmalloc_reserve = GIB - (32 + kmm_test_rand(state) % 200) * MIB;
	for (unsigned i = 0; i < f->machine.nr_map; i++)
		map[i] = (struct kmm_memrange){ kmm_test_rand(state) % (360 * MIB / 512) * 512,
						kmm_test_rand(state) % (24 * MIB / 512) * 512,
						kmm_test_rand(state) % 3 ? KMM_MEM_RAM : kmm_test_rand(state) % 7, NULL };
	for (unsigned i = 0; i < f->machine.nr_reserve; i++)
		reserve[i] = (struct kmm_memrange){ kmm_test_rand(state) % (384 * MIB), kmm_test_rand(state) % (4 * MIB), 0, NULL };
}

static void use_machine(struct fixture *f, uint64_t *state)
{
	struct kmm_page *pages[64];
	unsigned orders[64], nr = 0;
	uint64_t unused = fixture_unused(f);

	CHECK_EQ(unused, kmm_phys_managed_pages(f->k));
	CHECK_EQ(fixture_audit(f), 0);
	while (nr < 64) {
		orders[nr] = (unsigned)(kmm_test_rand(state) % KMM_NR_ORDERS);
		fixture_cpu = (unsigned)(kmm_test_rand(state) % f->machine.nr_cpus);
		pages[nr] = kmm_alloc_pages(f->k, KMM_GFP_HIGHUSER_MOVABLE | KMM_GFP_NOWARN, orders[nr]);
		if (!pages[nr])
			break;
		nr++;
	}
	CHECK_EQ(fixture_audit(f), 0);
	while (nr--)
		kmm_free_pages(f->k, pages[nr], orders[nr]);
	for (unsigned i = 0; i < f->machine.nr_reserve; i++)
		(void)!kmm_free_reserved(f->k, kmm_paddr(f->machine.reserve[i].start), f->machine.reserve[i].size);
	CHECK_EQ(fixture_audit(f), 0);
	CHECK_EQ(fixture_unused(f), kmm_phys_managed_pages(f->k));
	fixture_cpu = 0;
}

KMM_TEST(frames_of_random_machines_are_sound)
{
	uint64_t state = kmm_test_seed();
	unsigned started = 0;

	for (int round = 0; round < 150; round++) {
		struct kmm_memrange map[16], reserve[6];
		struct fixture f = { 0 };
		enum kmm_status status;

		random_machine(&f, map, reserve, &state);
		status = fixture_start(&f, 384 * MIB);
		CHECK(status == KMM_OK || status == KMM_ERANGE || status == KMM_ENOMEM);
		if (status == KMM_OK) {
			started++;
			CALL(use_machine(&f, &state));
		} else {
			CHECK(f.why[0] != 0);
		}
		fixture_end(&f);
	}
	CHECK(started > 100);
}
