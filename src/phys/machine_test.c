/* SPDX-License-Identifier: MIT */
#include "kmm/machine.h"

#include <string.h>

#include "harness/test.h"

KMM_TEST(machine_names_go_both_ways)
{
	static const char *const names[] = { "i386", "i386-pae", "x86_64", "x86_64-la57" };

	for (unsigned i = 0; i < KMM_NR_FORMATS; i++) {
		CHECK_STR(kmm_format_name((enum kmm_format_id)i), names[i]);
		CHECK_EQ(kmm_format_by_name(names[i]), i);
	}
	CHECK_EQ(kmm_format_by_name("i38"), KMM_NR_FORMATS);
	CHECK_EQ(kmm_format_by_name("i386-"), KMM_NR_FORMATS);
	CHECK_EQ(kmm_format_by_name(""), KMM_NR_FORMATS);
	CHECK_STR(kmm_format_name(KMM_NR_FORMATS), "?");
}

KMM_TEST(machine_defaults_fill_zeros_only)
{
	struct kmm_machine m = { .format = KMM_I386_PAE, .nr_cpus = 3, .windows = { .guard_pages = 5 } };

	CHECK_OK(kmm_machine_defaults(&m, NULL));
	CHECK_EQ(m.user_end, 0xc0000000);
	CHECK_EQ(m.phys_bits, 36);
	CHECK_EQ(m.nr_cpus, 3);
	CHECK_EQ(m.windows.fixmap_cpus, 3);
	CHECK_EQ(m.windows.guard_pages, 5);
	CHECK_EQ(m.windows.vmalloc_reserve, 128 << 20);
	CHECK_EQ(m.lowmem_reserve_ratio[KMM_ZONE_DMA], 256);
	CHECK_EQ(m.lowmem_reserve_ratio[KMM_ZONE_NORMAL], 32);
	CHECK_EQ(m.lowmem_reserve_ratio[KMM_ZONE_HIGHMEM], 0);
	CHECK_EQ(m.watermark_scale_factor, 10);
}

KMM_TEST(machine_ratios_are_a_default_as_a_whole)
{
	struct kmm_machine m = { .format = KMM_I386, .lowmem_reserve_ratio = { [KMM_ZONE_NORMAL] = 8 } };

	CHECK_OK(kmm_machine_defaults(&m, NULL));
	CHECK_EQ(m.lowmem_reserve_ratio[KMM_ZONE_DMA], 0);
	CHECK_EQ(m.lowmem_reserve_ratio[KMM_ZONE_NORMAL], 8);
}

static void check_refused(struct kmm_machine m, const char *word)
{
	const char *why = "";

	CHECK_EQ(kmm_machine_defaults(&m, &why), KMM_EINVAL);
	CHECK(strstr(why, word) != NULL);
	CHECK_EQ(kmm_machine_defaults(&m, NULL), KMM_EINVAL);
}

KMM_TEST(machine_refuses_what_it_cannot_be)
{
	CALL(check_refused((struct kmm_machine){ .format = (enum kmm_format_id)9 }, "format"));
	CALL(check_refused((struct kmm_machine){ .user_end = 0xb0000000 }, "split"));
	CALL(check_refused((struct kmm_machine){ .format = KMM_X86_64, .user_end = 0xc0000000 }, "lower half"));
	CALL(check_refused((struct kmm_machine){ .format = KMM_I386, .phys_bits = 36 }, "width"));
	CALL(check_refused((struct kmm_machine){ .format = KMM_I386_PAE, .phys_bits = 53 }, "width"));
	CALL(check_refused((struct kmm_machine){ .format = KMM_X86_64, .phys_bits = 20 }, "width"));
	CALL(check_refused((struct kmm_machine){ .nr_cpus = KMM_MAX_CPUS + 1 }, "CPUs"));
	CALL(check_refused((struct kmm_machine){ .movable_percent = 101 }, "movable"));
	CALL(check_refused((struct kmm_machine){ .nr_map = 1 }, "ranges"));
	CALL(check_refused((struct kmm_machine){ .windows = { .top_va = 0xfffff001 } }, "aligned"));
	CALL(check_refused((struct kmm_machine){ .windows = { .early_ioremap_pages = 3 } }, "power of two"));
	CALL(check_refused((struct kmm_machine){ .nr_cpus = 2, .windows = { .fixmap_cpus = 1 } }, "fewer CPUs"));
	CALL(check_refused((struct kmm_machine){ .windows = { .vmalloc_reserve = 1 } }, "whole pages"));
}
