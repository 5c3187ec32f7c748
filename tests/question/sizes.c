/* SPDX-License-Identifier: MIT */
/*
 * Questions about how many addresses there are: S09, S15, S16, S26, S31, S33, S34, S41, S52. All are answered
 * by deriving the layout of a machine; none boots one.
 */
#include "harness/test.h"
#include "lab.h"

static const struct kmm_region *hole_of(const struct kmm_layout *layout)
{
	return lab_layout_region(layout, KMM_REGION_NONCANONICAL);
}

/* S09: 64 bits have no such limit, "256 T fits"; E09: that is the virtual size, physical limits are 64 TiB and
 * 4 PiB. */
KMM_TEST(question_S09)
{
	struct kmm_layout layout;

	CHECK(lab_derive(KMM_X86_64, 64 * TIB, &layout));
	CHECK_EQ(layout.phys_limit, 64 * TIB);
	CHECK_EQ(layout.lowmem_end, 64 * TIB);
	CHECK(lab_derive(KMM_X86_64_LA57, 65 * TIB, &layout));
	CHECK_EQ(layout.phys_limit, 4 * PIB);
	CHECK_EQ(layout.lowmem_end, 65 * TIB);
}

/* S15: 2^64 addresses dwarf RAM: each region's share, and all of RAM in the direct map with room to spare. */
KMM_TEST(question_S15)
{
	struct kmm_layout layout;
	const struct kmm_region *direct;
	uint64_t sum = 0;
	unsigned i;

	CHECK(lab_derive(KMM_X86_64, 64 * GIB, &layout));
	for (i = 0; i < layout.nr; i++)
		sum += layout.region[i].last - layout.region[i].start + 1;
	CHECK_EQ(sum, 0); /* 2^64, wrapped around once: nothing is counted twice or left out */
	direct = lab_layout_region(&layout, KMM_REGION_DIRECT);
	CHECK(direct != NULL);
	CHECK_EQ(direct->last - direct->start + 1, 1ull << 46); /* 1/262144 of all addresses */
	CHECK_EQ(layout.lowmem_end, 64 * GIB);                  /* and RAM is 1/1024 of that */
	direct = hole_of(&layout);
	CHECK(direct != NULL);
	CHECK_EQ(direct->last - direct->start + 1, 0 - (1ull << 48)); /* nearly all are no addresses at all */
}

/* S16: 64 TiB are set aside for all physical memory; E10: 32 PiB at another base with five levels. */
KMM_TEST(question_S16)
{
	struct kmm_layout layout;
	const struct kmm_region *direct;

	CHECK(lab_derive(KMM_X86_64, 4 * GIB, &layout));
	direct = lab_layout_region(&layout, KMM_REGION_DIRECT);
	CHECK(direct != NULL);
	CHECK_EQ(direct->start, 0xffff888000000000);
	CHECK_EQ(direct->last, 0xffffc87fffffffff);
	CHECK_EQ(layout.page_offset, direct->start);
	CHECK_EQ(layout.lowmem_limit, 64 * TIB);
	CHECK(lab_derive(KMM_X86_64_LA57, 4 * GIB, &layout));
	direct = lab_layout_region(&layout, KMM_REGION_DIRECT);
	CHECK(direct != NULL);
	CHECK_EQ(direct->start, 0xff11000000000000);
	CHECK_EQ(direct->last - direct->start + 1, 32 * PIB);
}

/* S26: addresses per process: 3 GiB, 128 TiB less a page, 64 PiB of which a hint is needed above 47 bits (E24,
 * E26). */
KMM_TEST(question_S26)
{
	struct kmm_layout layout;

	CHECK(lab_derive(KMM_I386, 4 * GIB, &layout));
	CHECK_EQ(layout.user_end, 3 * GIB);
	CHECK(lab_derive(KMM_X86_64, 4 * GIB, &layout));
	CHECK_EQ(layout.user_end, 128 * TIB - PAGE);
	CHECK(lab_derive(KMM_X86_64_LA57, 4 * GIB, &layout));
	CHECK_EQ(layout.user_end, 128 * TIB - PAGE);
	CHECK_EQ(layout.user_end_max, 64 * PIB - PAGE);
}

/* S31: a 64-bit pointer ranges from 0 to 2^64-1; E25: as numbers, but addresses are two halves with a hole
 * between. */
KMM_TEST(question_S31)
{
	struct kmm_layout layout;

	CHECK(lab_derive(KMM_X86_64, 4 * GIB, &layout));
	CHECK_EQ(layout.region[0].start, 0);
	CHECK_EQ(layout.region[layout.nr - 1].last, UINT64_MAX);
	CHECK(hole_of(&layout) != NULL);
	CHECK_EQ(hole_of(&layout)->start, 0x0000800000000000);
	CHECK_EQ(hole_of(&layout)->last, 0xffff7fffffffffff);
	CHECK_EQ(kmm_layout_find(&layout, 0x123456789abcdef0)->id, KMM_REGION_NONCANONICAL);
}

/* S33: 2^48 addresses are 256 TiB and may be raised; E18, E26: two halves of 128 TiB, with five levels of 64
 * PiB. */
KMM_TEST(question_S33)
{
	struct kmm_layout layout;

	CHECK(lab_derive(KMM_X86_64, 4 * GIB, &layout));
	CHECK_EQ(hole_of(&layout)->start, 128 * TIB);
	CHECK_EQ(0 - (hole_of(&layout)->last + 1), 128 * TIB);
	CHECK_EQ(kmm_format_get(KMM_X86_64)->va_bits, 48);
	CHECK(lab_derive(KMM_X86_64_LA57, 4 * GIB, &layout));
	CHECK_EQ(hole_of(&layout)->start, 64 * PIB);
	CHECK_EQ(0 - (hole_of(&layout)->last + 1), 64 * PIB);
	CHECK_EQ(kmm_format_get(KMM_X86_64_LA57)->va_bits, 57);
}

/* S34: 32 bits: addresses 0 to 4294967295, all of them valid as numbers: no hole. */
KMM_TEST(question_S34)
{
	struct kmm_layout layout;

	CHECK(lab_derive(KMM_I386, 2 * GIB, &layout));
	CHECK_EQ(layout.region[0].start, 0);
	CHECK_EQ(layout.region[layout.nr - 1].last, 4294967295);
	CHECK(hole_of(&layout) == NULL);
}

/* S41: n bits address 2^n bytes: 32 bits make 4 GiB, whatever the RAM. */
KMM_TEST(question_S41)
{
	struct kmm_layout layout;
	uint64_t sum = 0;
	unsigned i;

	CHECK(lab_derive(KMM_I386, 64 * MIB, &layout));
	for (i = 0; i < layout.nr; i++)
		sum += layout.region[i].last - layout.region[i].start + 1;
	CHECK_EQ(sum, 4 * GIB);
	CHECK_EQ(sum, 1ull << kmm_format_get(KMM_I386)->va_bits);
}

/* S52: n address lines allow 2^n; of the 16 EiB of 64 bits, 1/65536 is used with four levels and 1/128 with
 * five. */
KMM_TEST(question_S52)
{
	struct kmm_layout layout;
	uint64_t used;

	CHECK(lab_derive(KMM_X86_64, 4 * GIB, &layout));
	used = hole_of(&layout)->start + (0 - (hole_of(&layout)->last + 1));
	CHECK_EQ(UINT64_MAX / used + 1, 65536);
	CHECK(lab_derive(KMM_X86_64_LA57, 4 * GIB, &layout));
	used = hole_of(&layout)->start + (0 - (hole_of(&layout)->last + 1));
	CHECK_EQ(UINT64_MAX / used + 1, 128);
}
