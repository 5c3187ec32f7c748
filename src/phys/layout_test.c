/* SPDX-License-Identifier: MIT */
/*
 * Layouts against numbers read from booted Debian 6.1 kernels (lowmem end, window addresses), and the
 * rule that regions cover every address once.
 */
#include "kmm/layout.h"

#include <string.h>

#include "base/printf.h"
#include "harness/test.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)

static struct kmm_machine linux_machine(enum kmm_format_id format)
{
	struct kmm_machine m = { .format = format, .windows = kmm_windows_linux_6_1() };

	if (kmm_machine_defaults(&m, NULL) != KMM_OK)
		memset(&m, 0xff, sizeof(m));
	return m;
}

static void check_cover(const struct kmm_layout *l, uint64_t last)
{
	uint64_t next = 0;

	CHECK(l->nr > 0 && l->nr <= KMM_MAX_LAYOUT);
	for (unsigned i = 0; i < l->nr; i++) {
		CHECK_EQ(l->region[i].start, next);
		CHECK(l->region[i].last >= l->region[i].start);
		CHECK_PTR(kmm_layout_find(l, l->region[i].start), &l->region[i]);
		CHECK_PTR(kmm_layout_find(l, l->region[i].last), &l->region[i]);
		next = l->region[i].last + 1;
	}
	CHECK_EQ(l->region[l->nr - 1].last, last);
}

static enum kmm_region_id at(const struct kmm_layout *l, uint64_t va)
{
	return kmm_layout_find(l, va)->id;
}

KMM_TEST(layout_of_linux_pae)
{
	struct kmm_machine m = linux_machine(KMM_I386_PAE);
	struct kmm_layout l;

	CHECK_OK(kmm_layout_derive(&m, 3 * GIB, &l, NULL));
	CHECK_EQ(l.lowmem_end, 0x36ffe000);
	CHECK_EQ(l.lowmem_end / MIB, 879);
	CHECK_EQ(l.vmalloc_start, 0xf77fe000);
	CHECK_EQ(l.vmalloc_end, 0xfeffe000);
	CHECK_EQ(l.kmap_start, 0xff000000);
	CHECK_EQ(l.kmap_slots, 512);
	CHECK_EQ(l.fixmap_start, 0xffdb8000);
	CHECK_EQ(l.fixmap_end, 0xfffff000);
	CHECK_EQ(l.page_offset, 0xc0000000);
	CHECK_EQ(l.user_end, 0xc0000000);
	CHECK_EQ(l.phys_limit, 64 * GIB);
	CALL(check_cover(&l, 0xffffffff));
	CHECK_EQ(at(&l, 0xbfffffff), KMM_REGION_USER);
	CHECK_EQ(at(&l, 0xc0000000), KMM_REGION_DIRECT);
	CHECK_EQ(at(&l, 0xf6ffdfff), KMM_REGION_DIRECT);
	CHECK_EQ(at(&l, 0xf6ffe000), KMM_REGION_GUARD);
	CHECK_EQ(at(&l, 0xf77fe000), KMM_REGION_VMALLOC);
	CHECK_EQ(at(&l, 0xfeffe000), KMM_REGION_GUARD);
	CHECK_EQ(at(&l, 0xff000000), KMM_REGION_KMAP);
	CHECK_EQ(at(&l, 0xff200000), KMM_REGION_LDT);
	CHECK_EQ(at(&l, 0xff400000), KMM_REGION_CPU_ENTRY);
	CHECK_EQ(at(&l, 0xffdb8000), KMM_REGION_FIXMAP);
	CHECK_EQ(at(&l, 0xfffff000), KMM_REGION_HOLE);
}

KMM_TEST(layout_of_linux_without_pae)
{
	struct kmm_machine m = linux_machine(KMM_I386);
	struct kmm_layout l;

	CHECK_OK(kmm_layout_derive(&m, 2 * GIB, &l, NULL));
	CHECK_EQ(l.lowmem_end, 0x36bfe000);
	CHECK_EQ(l.lowmem_end / MIB, 875);
	CHECK_EQ(l.vmalloc_start, 0xf73fe000);
	CHECK_EQ(l.vmalloc_end, 0xfebfe000);
	CHECK_EQ(l.kmap_start, 0xfec00000);
	CHECK_EQ(l.kmap_slots, 1024);
	CHECK_EQ(l.fixmap_start, 0xffdb8000);
	CHECK_EQ(l.phys_limit, 4 * GIB);
	CALL(check_cover(&l, 0xffffffff));
}

/* Linux adds the 8 MiB hole to what `vmalloc=` asks for. */
KMM_TEST(layout_of_linux_pae_with_vmalloc_256m)
{
	struct kmm_machine m = linux_machine(KMM_I386_PAE);
	struct kmm_layout l;

	m.windows.vmalloc_reserve = 256 * MIB + m.windows.vmalloc_offset;
	CHECK_OK(kmm_layout_derive(&m, 3 * GIB, &l, NULL));
	CHECK_EQ(l.lowmem_end / MIB, 743);
	CHECK_EQ(l.vmalloc_end - l.vmalloc_start, 256 * MIB);
}

KMM_TEST(layout_with_less_ram_than_the_window_gives_it_to_vmalloc)
{
	struct kmm_machine m = linux_machine(KMM_I386_PAE);
	struct kmm_layout l;

	CHECK_OK(kmm_layout_derive(&m, 256 * MIB + 123, &l, NULL));
	CHECK_EQ(l.lowmem_end, 256 * MIB);
	CHECK_EQ(l.lowmem_limit, 0x36ffe000);
	CHECK_EQ(l.vmalloc_start, 0xc0000000 + 264 * MIB);
	CHECK_EQ(l.vmalloc_end, 0xfeffe000);
	CALL(check_cover(&l, 0xffffffff));
}

KMM_TEST(layout_of_each_split_covers_all_addresses)
{
	static const uint64_t splits[] = { 0x40000000, 0x80000000, 0xc0000000 };

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned f = KMM_I386; f <= KMM_I386_PAE; f++) {
			struct kmm_machine m = { .format = (enum kmm_format_id)f, .user_end = splits[i] };
			struct kmm_layout l;

			CHECK_OK(kmm_machine_defaults(&m, NULL));
			CHECK_OK(kmm_layout_derive(&m, 4 * GIB, &l, NULL));
			CALL(check_cover(&l, 0xffffffff));
			CHECK_EQ(l.page_offset, splits[i]);
			/* Own windows: fixmap, kmap and guards take less than Linux's. */
			CHECK(l.lowmem_limit > 4 * GIB - splits[i] - 128 * MIB - 16 * MIB);
			CHECK(l.lowmem_limit < 4 * GIB - splits[i] - 128 * MIB);
		}
	}
}

KMM_TEST(layout_refuses_windows_without_room)
{
	struct kmm_machine m = linux_machine(KMM_I386_PAE);
	struct kmm_layout l = { .nr = 77 };
	const char *why = "";

	m.windows.vmalloc_reserve = 1008 * MIB;
	CHECK_EQ(kmm_layout_derive(&m, GIB, &l, &why), KMM_EINVAL);
	CHECK(strstr(why, "no room") != NULL);
	CHECK_EQ(l.nr, 77);
	m.windows.vmalloc_reserve = 4 * MIB;
	CHECK_EQ(kmm_layout_derive(&m, GIB, &l, &why), KMM_EINVAL);
	CHECK(strstr(why, "reserve") != NULL);
}

KMM_TEST(layout_of_linux_x86_64)
{
	struct kmm_machine m = { .format = KMM_X86_64 };
	struct kmm_layout l;

	CHECK_OK(kmm_machine_defaults(&m, NULL));
	CHECK_OK(kmm_layout_derive(&m, 5 * GIB, &l, NULL));
	CHECK_EQ(l.page_offset, 0xffff888000000000u);
	CHECK_EQ(l.vmalloc_start, 0xffffc90000000000u);
	CHECK_EQ(l.vmalloc_end - 1, 0xffffe8ffffffffffu);
	CHECK_EQ(l.vmemmap_start, 0xffffea0000000000u);
	CHECK_EQ(l.user_end, 0x7ffffffff000u);
	CHECK_EQ(l.user_end_max, 0x7ffffffff000u);
	CHECK_EQ(l.phys_limit, 64 * TIB);
	CHECK_EQ(l.lowmem_end, 5 * GIB);
	CHECK_EQ(l.kmap_slots, 0);
	CALL(check_cover(&l, UINT64_MAX));
	CHECK_EQ(at(&l, 0xffffc87fffffffffu), KMM_REGION_DIRECT);
	CHECK_EQ(at(&l, 0xffffc88000000000u), KMM_REGION_HOLE);
	CHECK_EQ(at(&l, 0x0000800000000000u), KMM_REGION_NONCANONICAL);
	CHECK_EQ(at(&l, 0xffff7fffffffffffu), KMM_REGION_NONCANONICAL);
	CHECK_EQ(at(&l, 0xffffffff80000000u), KMM_REGION_IMAGE);
	CHECK_EQ(at(&l, 0xffffffffa0000000u), KMM_REGION_MODULES);
}

KMM_TEST(layout_of_linux_la57)
{
	struct kmm_machine m = { .format = KMM_X86_64_LA57 };
	struct kmm_layout l;

	CHECK_OK(kmm_machine_defaults(&m, NULL));
	CHECK_OK(kmm_layout_derive(&m, 5 * GIB, &l, NULL));
	CHECK_EQ(l.page_offset, 0xff11000000000000u);
	CHECK_EQ(l.vmalloc_start, 0xffa0000000000000u);
	CHECK_EQ(l.vmalloc_end - 1, 0xffd1ffffffffffffu);
	CHECK_EQ(l.vmemmap_start, 0xffd4000000000000u);
	CHECK_EQ(l.user_end, 0x7ffffffff000u);
	CHECK_EQ(l.user_end_max, 0xfffffffffff000u);
	CHECK_EQ(l.phys_limit, (uint64_t)1 << 52);
	CALL(check_cover(&l, UINT64_MAX));
	CHECK_EQ(at(&l, (uint64_t)1 << 56), KMM_REGION_NONCANONICAL);
}

/* For each wide format: the descriptors of all memory it can address fit their region. */
KMM_TEST(layout_vmemmap_holds_all_descriptors)
{
	for (unsigned f = KMM_X86_64; f <= KMM_X86_64_LA57; f++) {
		struct kmm_machine m = { .format = (enum kmm_format_id)f };
		struct kmm_layout l;

		CHECK_OK(kmm_machine_defaults(&m, NULL));
		CHECK_OK(kmm_layout_derive(&m, UINT64_MAX, &l, NULL));
		CHECK(kmm_layout_memmap_bytes(m.format, l.phys_limit >> 12) <= l.vmemmap_end - l.vmemmap_start);
	}
	CHECK_EQ(kmm_layout_memmap_bytes(KMM_I386, 1 << 20), 24 * MIB);
	CHECK_EQ(kmm_layout_memmap_bytes(KMM_X86_64, 1 << 20), 32 * MIB);
}

KMM_TEST(layout_random_bases_keep_order_and_move)
{
	uint64_t first = 0, moved = 0;

	for (uint64_t seed = 0; seed < 500; seed++) {
		struct kmm_machine m = { .format = seed & 1 ? KMM_X86_64 : KMM_X86_64_LA57, .randomise = true, .seed = seed };
		struct kmm_layout l, again;

		CHECK_OK(kmm_machine_defaults(&m, NULL));
		CHECK_OK(kmm_layout_derive(&m, 3 * TIB, &l, NULL));
		CHECK_OK(kmm_layout_derive(&m, 3 * TIB, &again, NULL));
		CHECK(memcmp(&l, &again, sizeof(l)) == 0);
		CALL(check_cover(&l, UINT64_MAX));
		CHECK_EQ((l.page_offset | l.vmalloc_start | l.vmemmap_start) % GIB, 0);
		CHECK(l.page_offset + l.lowmem_end < l.vmalloc_start);
		CHECK(l.vmalloc_end < l.vmemmap_start);
		CHECK(l.vmemmap_end <= 0xfffffe0000000000u);
		CHECK_EQ(at(&l, l.page_offset), KMM_REGION_DIRECT);
		CHECK_EQ(at(&l, l.page_offset + 3 * TIB - 1), KMM_REGION_DIRECT);
		moved += l.page_offset != first;
		first = l.page_offset;
	}
	CHECK(moved > 490);
}

/* A machine as large as its format allows still has room to move. */
KMM_TEST(layout_random_bases_with_all_of_memory)
{
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct kmm_machine m = { .format = KMM_X86_64, .randomise = true, .seed = seed };
		struct kmm_layout l;

		CHECK_OK(kmm_machine_defaults(&m, NULL));
		CHECK_OK(kmm_layout_derive(&m, 64 * TIB, &l, NULL));
		CALL(check_cover(&l, UINT64_MAX));
		CHECK_EQ(l.lowmem_end, 64 * TIB);
	}
}

KMM_TEST(layout_explains_its_sum)
{
	struct kmm_machine m = linux_machine(KMM_I386_PAE);
	struct kmm_buffer_sink b;
	struct kmm_layout l;
	char text[2048];

	CHECK_OK(kmm_layout_derive(&m, 3 * GIB, &l, NULL));
	kmm_buffer_sink_init(&b, text, sizeof(text));
	kmm_layout_explain(&m, &l, &b.sink);
	CHECK(b.len < sizeof(text));
	CHECK(strstr(text, "ffdb8000") != NULL);
	CHECK(strstr(text, "36ffe000") != NULL);
	CHECK(strstr(text, "879 MiB") != NULL);
	m = (struct kmm_machine){ .format = KMM_X86_64 };
	CHECK_OK(kmm_machine_defaults(&m, NULL));
	CHECK_OK(kmm_layout_derive(&m, 3 * GIB, &l, NULL));
	kmm_buffer_sink_init(&b, text, sizeof(text));
	kmm_layout_explain(&m, &l, &b.sink);
	CHECK(strstr(text, "ffff888000000000") != NULL);
}
