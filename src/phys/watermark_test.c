/* SPDX-License-Identifier: MIT */
/*
 * Watermarks and protections against /proc/zoneinfo of booted Debian 6.1 kernels.
 *
 * Linux computes the marks before it frees its own init memory into Normal (i386) or DMA32 (amd64), so
 * the `managed` that was printed later is too large by that many pages. The number is not in the report,
 * but it can be found: of all numbers up to 6000, exactly these make every mark and protection of a
 * vector come out to the page (both ends included):
 *
 *   686-pae 1 GiB 520..539   4 GiB 517..528   64 GiB 526..526   -> 526 for this kernel
 *   686-pae 3 GiB 480..495   (another boot of another build)    -> 487
 *   686     2 GiB 482..501                                      -> 490
 *   amd64   1 GiB 2228..2483 4 GiB 2368..2416 64 GiB 2357..2477 -> 2400 for this kernel
 *
 * One number per kernel that fits all its sizes is what init memory should look like.
 */
#include "harness/test.h"
#include "kmm/page.h"
#include "kmm/machine.h"

struct vector {
	const char *name;
	enum kmm_format_id format;
	enum kmm_zone_id init_zone; /* where init memory went */
	kmm_word init_pages;
	kmm_word managed[KMM_NR_ZONES]; /* as printed */
	uint32_t min_free_kbytes;
	kmm_word marks[KMM_NR_ZONES][3];
	kmm_word dma_protection[KMM_NR_ZONES];
	kmm_word low_protection; /* of the zone below the topmost, against it */
};

enum { DMA = KMM_ZONE_DMA, DMA32 = KMM_ZONE_DMA32, NORMAL = KMM_ZONE_NORMAL, HIGH = KMM_ZONE_HIGHMEM };

static const struct vector vectors[] = {
	{ "686-pae 1 GiB", KMM_I386_PAE, KMM_ZONE_NORMAL, 526, { 3840, 0, 214757, 36834, 0 }, 43332,
	  { [DMA] = { 190, 237, 284 }, [NORMAL] = { 10642, 13302, 15962 }, [HIGH] = { 35, 492, 949 } },
	  { 0, 0, 836, 980, 980 }, 1151 },
	{ "686-pae 3 GiB", KMM_I386_PAE, KMM_ZONE_NORMAL, 487, { 3840, 0, 209436, 561122, 0 }, 42280,
	  { [DMA] = { 190, 237, 284 }, [NORMAL] = { 10379, 12973, 15567 }, [HIGH] = { 128, 7096, 14064 } },
	  { 0, 0, 816, 3008, 3008 }, 17535 },
	{ "686-pae 4 GiB", KMM_I386_PAE, KMM_ZONE_NORMAL, 526, { 3840, 0, 188005, 823266, 0 }, 38000,
	  { [DMA] = { 190, 237, 284 }, [NORMAL] = { 9309, 11636, 13963 }, [HIGH] = { 128, 10347, 20566 } },
	  { 0, 0, 732, 3948, 3948 }, 25727 },
	{ "686-pae 64 GiB", KMM_I386_PAE, KMM_ZONE_NORMAL, 526, { 3840, 0, 36961, 16289762, 0 }, 7932,
	  { [DMA] = { 189, 236, 283 }, [NORMAL] = { 1793, 2241, 2689 }, [HIGH] = { 128, 200640, 401152 } },
	  { 0, 0, 142, 63774, 63774 }, 509055 },
	{ "686 2 GiB", KMM_I386, KMM_ZONE_NORMAL, 490, { 3840, 0, 211068, 300002, 0 }, 42604,
	  { [DMA] = { 190, 237, 284 }, [NORMAL] = { 10460, 13075, 15690 }, [HIGH] = { 128, 3853, 7578 } },
	  { 0, 0, 822, 1994, 1994 }, 9375 },
	{ "amd64 1 GiB", KMM_X86_64, KMM_ZONE_DMA32, 2400, { 3840, 242099, 0, 0, 0 }, 45056,
	  { [DMA] = { 177, 221, 265 }, [DMA32] = { 11086, 13857, 16628 } }, { 0, 936, 936, 936, 936 }, 936 },
	{ "amd64 4 GiB", KMM_X86_64, KMM_ZONE_DMA32, 2400, { 3840, 754605, 243907, 0, 0 }, 67584,
	  { [DMA] = { 64, 80, 96 }, [DMA32] = { 12709, 15886, 19063 }, [NORMAL] = { 4121, 5151, 6181 } },
	  { 0, 2938, 3891, 3891, 3891 }, 952 },
	{ "amd64 64 GiB", KMM_X86_64, KMM_ZONE_DMA32, 2400, { 3840, 754605, 15703687, 0, 0 }, 67584,
	  { [DMA] = { 3, 6, 9 }, [DMA32] = { 772, 1524, 2276 }, [NORMAL] = { 16119, 31822, 47525 } },
	  { 0, 2938, 64280, 64280, 64280 }, 61342 },
};

/* The zone whose protection against the topmost populated zone the vector names. */
static unsigned below_top(const struct vector *v)
{
	unsigned top = KMM_NR_ZONES - 1, below;

	while (v->managed[top] == 0)
		top--;
	for (below = top - 1; v->managed[below] == 0; below--)
		;
	return below;
}

static unsigned top_of(const struct vector *v)
{
	unsigned top = KMM_NR_ZONES - 1;

	while (v->managed[top] == 0)
		top--;
	return top;
}

static uint32_t compute(const struct vector *v, kmm_word init_pages, struct kmm_zone_info out[KMM_NR_ZONES])
{
	struct kmm_machine m = { .format = v->format, .huge_page_reserve = true };
	kmm_word managed[KMM_NR_ZONES];
	uint32_t min_free = 0;

	if (kmm_machine_defaults(&m, NULL) != KMM_OK)
		return 0;
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		managed[i] = v->managed[i] - (i == v->init_zone ? init_pages : 0);
	kmm_watermarks_compute(&m, managed, out, &min_free);
	return min_free;
}

static void check_vector(const struct vector *v)
{
	struct kmm_zone_info out[KMM_NR_ZONES];

	CHECK_EQ(compute(v, v->init_pages, out), v->min_free_kbytes);
	for (unsigned i = 0; i < KMM_NR_ZONES; i++) {
		CHECK_EQ(out[i].min, v->marks[i][0]);
		CHECK_EQ(out[i].low, v->marks[i][1]);
		CHECK_EQ(out[i].high, v->marks[i][2]);
		CHECK_EQ(out[KMM_ZONE_DMA].protection[i], v->dma_protection[i]);
	}
	CHECK_EQ(out[below_top(v)].protection[top_of(v)], v->low_protection);
	CHECK_EQ(out[top_of(v)].protection[KMM_NR_ZONES - 1], 0);
}

KMM_TEST(watermarks_are_those_of_linux)
{
	for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		CALL(check_vector(&vectors[i]));
}

/* One page of init memory more or less at 64 GiB and a number differs: the fit is not an accident. */
KMM_TEST(watermarks_of_the_tightest_vector_fit_one_number_only)
{
	const struct vector *v = &vectors[3];

	for (kmm_word init = v->init_pages - 1; init <= v->init_pages + 1; init++) {
		struct kmm_zone_info out[KMM_NR_ZONES];
		bool fits = true;

		compute(v, init, out);
		for (unsigned i = 0; i < KMM_NR_ZONES; i++)
			fits = fits && out[i].min == v->marks[i][0] && out[i].low == v->marks[i][1] &&
			       out[i].high == v->marks[i][2] && out[DMA].protection[i] == v->dma_protection[i];
		CHECK_EQ(fits, init == v->init_pages);
	}
}

static uint32_t min_free_of(struct kmm_machine m, kmm_word normal)
{
	kmm_word managed[KMM_NR_ZONES] = { 0, 0, normal, 0, 0 };
	struct kmm_zone_info out[KMM_NR_ZONES];
	uint32_t kb = 0;

	if (kmm_machine_defaults(&m, NULL) == KMM_OK)
		kmm_watermarks_compute(&m, managed, out, &kb);
	return kb;
}

KMM_TEST(watermarks_min_free_is_clamped_and_can_be_set)
{
	struct kmm_machine m = { .format = KMM_X86_64 };

	if (sizeof(kmm_word) < 8)
		SKIP("pages of 64-bit machines do not fit into this build's words");
	CHECK_EQ(min_free_of(m, 100), 128);
	CHECK_EQ(min_free_of(m, 4096), 512);           /* 16 MiB: sqrt(16384 * 16) */
	CHECK_EQ(min_free_of(m, (kmm_word)(1ull << 34)), 262144);
	m.min_free_kbytes = 1000;
	CHECK_EQ(min_free_of(m, 100000), 1000);
	m.huge_page_reserve = true;
	CHECK_EQ(min_free_of(m, 1000000), 5632 * 4);   /* one zone: 512 * 2 + 512 * 9 pages */
}

/* 64 TiB and more: products go beyond 64 bits if one multiplies first. */
KMM_TEST(watermarks_of_very_large_machines)
{
	struct kmm_machine m = { .format = KMM_X86_64_LA57 };
	kmm_word managed[KMM_NR_ZONES] = { 3840, 1000000, (kmm_word)(1ull << 40), 0, 0 };
	struct kmm_zone_info out[KMM_NR_ZONES];

	if (sizeof(kmm_word) < 8)
		SKIP("pages of 64-bit machines do not fit into this build's words");
	CHECK_OK(kmm_machine_defaults(&m, NULL));
	kmm_watermarks_compute(&m, managed, out, NULL);
	CHECK_EQ(out[NORMAL].min, 65535); /* 65536 * 2^40 / (2^40 + 1003840), rounded down */
	CHECK_EQ(out[DMA32].min, 0);
	CHECK_EQ(out[NORMAL].low - out[NORMAL].min, 1099511627);
	CHECK_EQ(out[DMA32].protection[NORMAL], (kmm_word)(1ull << 32));
}

KMM_TEST(watermarks_ratio_zero_protects_nothing)
{
	struct kmm_machine m = { .format = KMM_I386, .lowmem_reserve_ratio = { [KMM_ZONE_NORMAL] = 8 } };
	kmm_word managed[KMM_NR_ZONES] = { 3840, 0, 200000, 80000, 0 };
	struct kmm_zone_info out[KMM_NR_ZONES];

	CHECK_OK(kmm_machine_defaults(&m, NULL));
	kmm_watermarks_compute(&m, managed, out, NULL);
	CHECK_EQ(out[DMA].protection[HIGH], 0);
	CHECK_EQ(out[NORMAL].protection[HIGH], 10000);
	CHECK_EQ(out[NORMAL].protection[NORMAL], 0);
}
