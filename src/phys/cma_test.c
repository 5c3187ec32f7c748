/* SPDX-License-Identifier: MIT */
#include "kmm/cma.h"

#include "harness/frames.h"
#include "phys/isolate.h"

static struct kmm_page *held[65536];
static unsigned nr_held;

static enum kmm_status start(struct fixture *f, uint64_t ram, uint64_t area)
{
	static struct kmm_cma_range range;

	range = (struct kmm_cma_range){ "camera", area, 0, 0 };
	f->machine.cma = &range;
	f->machine.nr_cma = 1;
	return fixture_pc(f, KMM_X86_64, ram);
}

static bool in_area(const struct kmm *k, const struct kmm_page *page)
{
	struct kmm_cma_info info;

	return kmm_cma_info(k, 0, &info) && kmm_page_to_pfn(k, page).v - info.first.v < info.nr_pages;
}

static void fill(struct fixture *f, kmm_gfp gfp)
{
	struct kmm_page *page;

	while (nr_held < 65536 && (page = kmm_alloc_pages(f->k, gfp | KMM_GFP_NOWARN, 0)) != NULL)
		held[nr_held++] = page;
}

static unsigned nr_in_area(struct fixture *f)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < nr_held; i++)
		nr += in_area(f->k, held[i]);
	return nr;
}

static void empty(struct fixture *f)
{
	while (nr_held)
		kmm_free_pages(f->k, held[--nr_held], 0);
}

KMM_TEST(cma_is_lent_to_movable_pages_only)
{
	struct fixture f = { 0 };
	struct kmm_zone_info info;
	unsigned unmovable;

	CHECK_OK(start(&f, 64 * MIB, 15 * MIB));
	CHECK(kmm_zone_info(f.k, KMM_ZONE_DMA32, &info));
	CHECK_EQ(info.cma, 4096);
	CHECK_EQ(info.free_cma, 4096);
	fill(&f, KMM_GFP_KERNEL | KMM_GFP_MEMALLOC);
	CHECK_EQ(nr_in_area(&f), 0);
	unmovable = nr_held;
	CHECK_EQ(fixture_audit(&f), 0);
	fill(&f, KMM_GFP_KERNEL | KMM_GFP_MOVABLE);
	CHECK(nr_held > unmovable + 3500);
	CHECK(nr_in_area(&f) > 3500);
	CHECK_EQ(fixture_audit(&f), 0);
	empty(&f);
	kmm_phys_drain(f.k);
	CHECK(kmm_zone_info(f.k, KMM_ZONE_DMA32, &info));
	CHECK_EQ(info.free_cma, 4096);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(cma_runs_are_taken_and_given_back)
{
	struct fixture f = { 0 };
	struct kmm_page *a, *b, *c;
	struct kmm_cma_info info;

	CHECK_OK(start(&f, 64 * MIB, 16 * MIB));
	CHECK_OK(kmm_cma_alloc(f.k, 0, 1000, 0, &a));
	CHECK_OK(kmm_cma_alloc(f.k, 0, 1000, 8, &b));
	CHECK_EQ(kmm_page_to_pfn(f.k, b).v % 256, 0);
	CHECK(kmm_page_to_pfn(f.k, b).v >= kmm_page_to_pfn(f.k, a).v + 1000);
	CHECK(in_area(f.k, a) && in_area(f.k, b));
	CHECK_EQ(kmm_cma_alloc(f.k, 0, 2500, 0, &c), KMM_ENOMEM);
	CHECK_EQ(kmm_cma_alloc(f.k, 0, 4097, 0, &c), KMM_ENOMEM);
	CHECK_OK(kmm_cma_alloc(f.k, 0, 2048, 9, &c));
	CHECK(kmm_cma_info(f.k, 0, &info));
	CHECK_EQ(info.used, 4048);
	CHECK_STR(info.name, "camera");
	CHECK_EQ(fixture_audit(&f), 0);
	CHECK_EQ(kmm_cma_free(f.k, 0, a, 1001), KMM_EINVAL);     /* one more than were taken */
	CHECK_EQ(kmm_cma_free(f.k, 0, a - 1, 1), KMM_EINVAL);
	CHECK_EQ(kmm_cma_free(f.k, 1, a, 1), KMM_EINVAL);
	kmm_get_page(f.k, a);
	CHECK_EQ(kmm_cma_free(f.k, 0, a, 1000), KMM_EINVAL);     /* somebody uses it */
	kmm_put_page(f.k, a);
	CHECK_OK(kmm_cma_free(f.k, 0, a, 500));
	CHECK_EQ(kmm_cma_free(f.k, 0, a, 500), KMM_EINVAL);      /* twice */
	CHECK_OK(kmm_cma_free(f.k, 0, kmm_pfn_to_page(f.k, kmm_pfn(kmm_page_to_pfn(f.k, a).v + 500)), 500));
	CHECK_OK(kmm_cma_free(f.k, 0, b, 1000));
	CHECK_OK(kmm_cma_free(f.k, 0, c, 2048));
	CHECK_OK(kmm_cma_alloc(f.k, 0, 4096, 0, &a));
	CHECK_OK(kmm_cma_free(f.k, 0, a, 4096));
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* Moves what is in the way: the held pages of the range get new frames. */
static unsigned nr_moved;

static enum kmm_status move_held(struct kmm *k, struct kmm_pfn first, kmm_word nr)
{
	for (unsigned i = 0; i < nr_held; i++) {
		if (kmm_page_to_pfn(k, held[i]).v - first.v >= nr)
			continue;
		struct kmm_page *other = kmm_alloc_pages(k, KMM_GFP_KERNEL | KMM_GFP_MOVABLE, 0);

		if (!other)
			return KMM_ENOMEM;
		kmm_free_pages(k, held[i], 0);
		held[i] = other;
		nr_moved++;
	}
	return KMM_OK;
}

KMM_TEST(cma_moves_what_is_in_the_way)
{
	struct fixture f = { 0 };
	struct kmm_page *run;

	CHECK_OK(start(&f, 64 * MIB, 16 * MIB));
	fill(&f, KMM_GFP_KERNEL | KMM_GFP_MOVABLE);
	for (unsigned i = 0; i < 3000; i++)
		kmm_free_pages(f.k, held[--nr_held], 0);
	for (unsigned i = 0, spare = 0; i < nr_held && spare < 3000; i++)
		if (!in_area(f.k, held[i])) { /* room outside */
			kmm_free_pages(f.k, held[i], 0);
			held[i--] = held[--nr_held];
			spare++;
		}
	CHECK_EQ(kmm_cma_alloc(f.k, 0, 4096, 0, &run), KMM_EBUSY); /* nobody moves anything */
	CHECK_EQ(fixture_audit(&f), 0);
	kmm_migrate_register(f.k, move_held);
	nr_moved = 0;
	CHECK_OK(kmm_cma_alloc(f.k, 0, 4096, 0, &run));
	CHECK(nr_moved > 0);
	CHECK_EQ(nr_in_area(&f), 0);
	CHECK_EQ(fixture_audit(&f), 0);
	CHECK_OK(kmm_cma_free(f.k, 0, run, 4096));
	empty(&f);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(cma_areas_lie_where_they_are_wanted)
{
	struct fixture f = { 0 };
	struct kmm_cma_info info;
	unsigned area = 99;

	CHECK_OK(fixture_pc(&f, KMM_I386_PAE, 4 * GIB));
	CHECK_OK(kmm_cma_reserve(f.k, &(struct kmm_cma_range){ "low", 8 * MIB, 4 * MIB, 16 * MIB }, &area));
	CHECK_EQ(area, 0);
	CHECK(kmm_cma_info(f.k, 0, &info));
	CHECK(info.first.v * 4096 % (4 * MIB) == 0 && (info.first.v + info.nr_pages) * 4096 <= 16 * MIB);
	CHECK_OK(kmm_cma_reserve(f.k, &(struct kmm_cma_range){ NULL, 1, 0, 0 }, &area));
	CHECK(kmm_cma_info(f.k, area, &info));
	CHECK_EQ(info.nr_pages, 512);
	CHECK((info.first.v + info.nr_pages) * 4096 <= f.k->layout.lowmem_end);
	CHECK_EQ(kmm_cma_reserve(f.k, &(struct kmm_cma_range){ NULL, 0, 0, 0 }, &area), KMM_EINVAL);
	CHECK_EQ(kmm_cma_reserve(f.k, &(struct kmm_cma_range){ NULL, 1, 3 * MIB, 0 }, &area), KMM_EINVAL);
	CHECK_EQ(kmm_cma_reserve(f.k, &(struct kmm_cma_range){ NULL, 2 * GIB, 0, 0 }, &area), KMM_ENOMEM);
	CHECK_EQ(kmm_cma_reserve(f.k, &(struct kmm_cma_range){ NULL, UINT64_MAX, 0, 0 }, &area), KMM_ENOMEM);
	CHECK_EQ(kmm_cma_reserve(f.k, &(struct kmm_cma_range){ NULL, 12 * MIB, 0, 16 * MIB }, &area), KMM_ENOMEM);
	for (unsigned i = 2; i < KMM_MAX_CMA; i++)
		CHECK_OK(kmm_cma_reserve(f.k, &(struct kmm_cma_range){ NULL, 2 * MIB, 0, 0 }, &area));
	CHECK_EQ(kmm_cma_reserve(f.k, &(struct kmm_cma_range){ NULL, 2 * MIB, 0, 0 }, &area), KMM_EOVERFLOW);
	CHECK(!kmm_cma_info(f.k, KMM_MAX_CMA, &info));
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);

	CHECK_EQ(start(&f, 64 * MIB, 80 * MIB), KMM_ENOMEM);
	CHECK(strstr(f.why, "contiguous") != NULL);
	fixture_end(&f);
}

/* Runs of any length and alignment come and go among movable pages that are moved for them. */
KMM_TEST(cma_random_runs_are_sound)
{
	struct { struct kmm_page *first; kmm_word nr; } run[8] = { { NULL, 0 } };
	struct fixture f = { 0 };
	uint64_t state = kmm_test_seed();
	unsigned taken = 0;

	f.machine.nr_cpus = 2;
	CHECK_OK(start(&f, 64 * MIB, 12 * MIB));
	kmm_migrate_register(f.k, move_held);
	for (unsigned step = 0; step < 400; step++) {
		uint64_t r = kmm_test_rand(&state);
		unsigned i = (unsigned)(r >> 8) % 8;

		fixture_cpu = r >> 1 & 1;
		if (r % 4 == 0 && run[i].nr) {
			CHECK_OK(kmm_cma_free(f.k, 0, run[i].first, run[i].nr));
			run[i].nr = 0;
		} else if (r % 4 == 1 && !run[i].nr) {
			run[i].nr = 1 + (kmm_word)(r >> 16) % 800;
			if (kmm_cma_alloc(f.k, 0, run[i].nr, (unsigned)(r >> 40) % 10, &run[i].first) != KMM_OK)
				run[i].nr = 0;
			taken += run[i].nr != 0;
		} else if (nr_held < 6000 && r % 4 == 2) {
			for (unsigned j = 0; j < 100; j++)
				if ((held[nr_held] = kmm_alloc_pages(f.k, KMM_GFP_MOVABLE | KMM_GFP_NOWARN, 0)) != NULL)
					nr_held++;
		} else {
			for (unsigned j = 0; j < 60 && nr_held; j++)
				kmm_free_pages(f.k, held[--nr_held], 0);
		}
		CHECK_EQ(fixture_audit(&f), 0);
	}
	CHECK(taken > 20);
	empty(&f);
	fixture_cpu = 0;
	fixture_end(&f);
}
