/* SPDX-License-Identifier: MIT */
#include "phys/isolate.h"

#include "harness/frames.h"

static struct kmm_page *held[65536];
static unsigned nr_held;

static void take_all(struct fixture *f, kmm_gfp gfp, unsigned order)
{
	struct kmm_page *page;

	while (nr_held < 65536 && (page = kmm_alloc_pages(f->k, gfp | KMM_GFP_NOWARN, order)) != NULL)
		held[nr_held++] = page;
}

static void give_all(struct fixture *f, unsigned order)
{
	while (nr_held)
		kmm_free_pages(f->k, held[--nr_held], order);
}

static enum kmm_mobility mobility_at(struct fixture *f, const struct kmm_page *page)
{
	const struct kmm_zone *z = &f->k->phys->zone[kmm_page_zone(page)];

	return kmm_tract_mobility(&z->tract[kmm_tract_of(z, kmm_pfn_of(f->k->phys, page))]);
}

/* ---- mobility ---- */

KMM_TEST(mobility_keeps_pages_in_tracts_of_their_own)
{
	static const kmm_gfp gfps[] = { KMM_GFP_KERNEL, KMM_GFP_KERNEL | KMM_GFP_MOVABLE, KMM_GFP_KERNEL | KMM_GFP_RECLAIMABLE };
	struct fixture f = { 0 };
	struct kmm_zone_types types;

	CHECK_OK(fixture_pc(&f, KMM_X86_64, GIB));
	for (unsigned i = 0; i < 30000; i++) {
		held[nr_held] = kmm_alloc_pages(f.k, gfps[i % 3], i % 7 ? 0 : i % 4);
		CHECK(held[nr_held] != NULL);
		CHECK_EQ(mobility_at(&f, held[nr_held]), i % 3);
		nr_held++;
	}
	CHECK(kmm_zone_types(f.k, KMM_ZONE_DMA32, &types));
	CHECK(types.nr_tracts[KMM_MOBILITY_UNMOVABLE] <= 40 && types.nr_tracts[KMM_MOBILITY_RECLAIMABLE] <= 40);
	CHECK_EQ(types.nr_tracts[KMM_MOBILITY_CMA] + types.nr_tracts[KMM_MOBILITY_HIGHATOMIC], 0);
	CHECK_EQ(fixture_audit(&f), 0);
	while (nr_held--)
		kmm_free_pages(f.k, held[nr_held], nr_held % 7 ? 0 : nr_held % 4);
	nr_held = 0;
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* Half of the movable pages of each tract are free when unmovable ones run out of tracts: those that come next share few. */
KMM_TEST(mobility_fallback_spoils_few_tracts)
{
	struct fixture f = { 0 };
	struct kmm_zone_types before, after;
	unsigned taken = 0;

	CHECK_OK(fixture_pc(&f, KMM_X86_64, 128 * MIB));
	take_all(&f, KMM_GFP_KERNEL | KMM_GFP_MOVABLE, 0);
	CHECK(kmm_zone_types(f.k, KMM_ZONE_DMA32, &before));
	for (unsigned i = 0; i < nr_held; i += 2)
		kmm_free_pages(f.k, held[i], 0);
	kmm_phys_drain(f.k);
	while (taken < 1024) {
		struct kmm_page *page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);

		CHECK(page != NULL);
		held[taken * 2] = page;
		taken++;
	}
	CHECK(kmm_zone_types(f.k, KMM_ZONE_DMA32, &after));
	/* 1024 pages and what a cache holds, about 256 free in each. */
	CHECK(after.nr_tracts[KMM_MOBILITY_UNMOVABLE] - before.nr_tracts[KMM_MOBILITY_UNMOVABLE] <= 6);
	CHECK_EQ(fixture_audit(&f), 0);
	for (unsigned i = 0; i < nr_held; i++)
		if (i % 2 || i / 2 < taken)
			kmm_free_pages(f.k, held[i], 0);
	nr_held = 0;
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* A sort of memory is a preference: each sort can have all of it. */
KMM_TEST(mobility_refuses_nothing)
{
	static const kmm_gfp gfps[] = { KMM_GFP_KERNEL, KMM_GFP_KERNEL | KMM_GFP_MOVABLE, KMM_GFP_KERNEL | KMM_GFP_RECLAIMABLE };
	struct fixture f = { 0 };
	unsigned nr = 0;

	CHECK_OK(fixture_pc(&f, KMM_X86_64, 64 * MIB));
	for (unsigned i = 0; i < 9; i++) {
		take_all(&f, gfps[i % 3], 0);
		CHECK(i == 0 || nr_held + 64 >= nr);
		nr = nr_held;
		CHECK_EQ(fixture_audit(&f), 0);
		give_all(&f, 0);
		kmm_phys_drain(f.k);
	}
	fixture_end(&f);
}

/* ---- isolation ---- */

KMM_TEST(isolated_frames_are_not_handed_out)
{
	struct fixture f = { 0 };
	struct kmm_pfn first = kmm_pfn(40 * MIB / 4096);
	struct kmm_zone_info info;
	uint64_t unused;

	CHECK_OK(fixture_pc(&f, KMM_X86_64, 64 * MIB));
	unused = fixture_unused(&f);
	CHECK_OK(kmm_phys_isolate_range(f.k, first, 2048));
	CHECK(kmm_zone_info(f.k, KMM_ZONE_DMA32, &info));
	CHECK_EQ(info.isolated, 2048);
	CHECK_EQ(fixture_unused(&f), unused);
	CHECK_EQ(kmm_phys_isolate_range(f.k, kmm_pfn(first.v + 2047), 600), KMM_EBUSY);
	CHECK_EQ(fixture_audit(&f), 0);
	take_all(&f, KMM_GFP_KERNEL | KMM_GFP_MOVABLE, 0);
	for (unsigned i = 0; i < nr_held; i++)
		CHECK(kmm_pfn_of(f.k->phys, held[i]) - first.v >= 2048);
	give_all(&f, 0);
	CHECK_EQ(fixture_audit(&f), 0);
	kmm_phys_unisolate_range(f.k, first, 2048, KMM_MOBILITY_MOVABLE);
	CHECK_EQ(fixture_audit(&f), 0);
	CHECK_EQ(fixture_unused(&f), unused);
	take_all(&f, KMM_GFP_KERNEL | KMM_GFP_MEMALLOC, 0);
	CHECK(nr_held + 20 * MIB / 4096 > unused); /* caches are open again, and all is to be had */
	give_all(&f, 0);
	fixture_end(&f);
}

/* Allocated before, freed while it is isolated: it stays there, and can then be claimed. */
KMM_TEST(isolated_range_is_claimed_when_it_is_empty)
{
	struct fixture f = { 0 };
	struct kmm_page *page, *got[700];
	struct kmm_tract_info info;
	struct kmm_pfn pfn, busy;
	uint64_t unused;

	f.machine.nr_cpus = 2;
	CHECK_OK(fixture_pc(&f, KMM_X86_64, 64 * MIB));
	unused = fixture_unused(&f);
	page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL | KMM_GFP_MOVABLE, 0);
	pfn = kmm_page_to_pfn(f.k, page);
	CHECK_OK(kmm_phys_isolate_range(f.k, pfn, 1));
	CHECK_EQ(kmm_phys_claim_range(f.k, pfn, 1, KMM_KIND_KERNEL, &busy), KMM_EBUSY);
	CHECK_EQ(busy.v, pfn.v);
	CHECK_EQ(kmm_phys_take_from_tract(f.k, pfn, 5, KMM_KIND_KERNEL, got), 0);
	fixture_cpu = 1; /* on any CPU */
	kmm_free_pages(f.k, page, 0);
	fixture_cpu = 0;
	CHECK_OK(kmm_phys_claim_range(f.k, pfn, 1, KMM_KIND_FILE, NULL));
	CHECK_EQ(kmm_page_kind(page), KMM_KIND_FILE);
	CHECK_EQ(fixture_audit(&f), 0);
	kmm_free_pages(f.k, page, 0);
	kmm_phys_unisolate_range(f.k, pfn, 1, KMM_MOBILITY_MOVABLE);
	CHECK_EQ(fixture_unused(&f), unused);
	CHECK_EQ(fixture_audit(&f), 0);

	kmm_phys_tract_info(f.k, KMM_ZONE_DMA32, (uint32_t)(pfn.v / 512 - 8), &info);
	CHECK(info.made && info.mobility == KMM_MOBILITY_MOVABLE && info.first.v == pfn.v / 512 * 512 && info.free > 100);
	CHECK_EQ(kmm_phys_take_from_tract(f.k, pfn, 700, KMM_KIND_ANON, got), info.free);
	CHECK_EQ(kmm_phys_take_from_tract(f.k, pfn, 700, KMM_KIND_ANON, got), 0);
	CHECK_EQ(fixture_audit(&f), 0);
	for (unsigned i = 0; i < info.free; i++)
		kmm_free_pages(f.k, got[i], 0);
	CHECK_EQ(fixture_unused(&f), unused);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

KMM_TEST(isolation_refuses_what_is_no_range)
{
	struct fixture f = { 0 };

	CHECK_OK(fixture_pc(&f, KMM_X86_64, 5 * GIB));
	CHECK_EQ(kmm_phys_isolate_range(f.k, kmm_pfn(100), 0), KMM_EINVAL);
	CHECK_EQ(kmm_phys_isolate_range(f.k, kmm_pfn(4096 - 8), 16), KMM_EINVAL);               /* two zones */
	CHECK_EQ(kmm_phys_isolate_range(f.k, kmm_pfn(3 * GIB / 4096 + 5), 16), KMM_EINVAL);     /* no memory */
	CHECK_EQ(kmm_phys_isolate_range(f.k, kmm_pfn(f.k->phys->max_pfn - 1), 2), KMM_EINVAL);
	CHECK_EQ(kmm_phys_isolate_range(f.k, kmm_pfn((kmm_word)-1), 2), KMM_EINVAL);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* Ranges of any place and length come and go while blocks of any order do. */
static void random_ranges(struct fixture *f, uint64_t *state)
{
	struct kmm_pfn first[4];
	kmm_word nr[4] = { 0 };
	uint64_t unused = fixture_unused(f);
	unsigned order[64] = { 0 };

	for (unsigned step = 0; step < 600; step++) {
		uint64_t r = kmm_test_rand(state);
		unsigned i = (unsigned)(r >> 8) % 4;

		fixture_cpu = r >> 1 & 1;
		if (r % 8 == 0 && nr[i]) {
			kmm_phys_unisolate_range(f->k, first[i], nr[i], (enum kmm_mobility)(r >> 16 & 1));
			nr[i] = 0;
		} else if (r % 8 == 1 && !nr[i]) {
			first[i] = kmm_pfn((kmm_word)(r >> 16) % f->k->phys->max_pfn);
			nr[i] = 1 + (kmm_word)(r >> 48) % 3000;
			if (kmm_phys_isolate_range(f->k, first[i], nr[i]) != KMM_OK)
				nr[i] = 0;
		} else if (nr_held < 64 && r % 8 < 6) {
			static const kmm_gfp mobility[] = { 0, KMM_GFP_MOVABLE, KMM_GFP_RECLAIMABLE, KMM_GFP_MOVABLE };

			order[nr_held] = (unsigned)(r >> 20) % KMM_NR_ORDERS;
			held[nr_held] = kmm_alloc_pages(f->k, mobility[r >> 40 & 3] | KMM_GFP_NOWARN, order[nr_held]);
			nr_held += held[nr_held] != NULL;
		} else if (nr_held) {
			kmm_free_pages(f->k, held[nr_held - 1], order[nr_held - 1]);
			nr_held--;
		}
		CHECK_EQ(fixture_audit(f), 0);
	}
	for (unsigned i = 0; i < 4; i++)
		if (nr[i])
			kmm_phys_unisolate_range(f->k, first[i], nr[i], KMM_MOBILITY_MOVABLE);
	while (nr_held--)
		kmm_free_pages(f->k, held[nr_held], order[nr_held]);
	nr_held = 0;
	fixture_cpu = 0;
	CHECK_EQ(fixture_unused(f), unused);
	CHECK_EQ(fixture_audit(f), 0);
}

KMM_TEST(isolation_of_random_ranges_is_sound)
{
	uint64_t state = kmm_test_seed();

	for (unsigned format = 0; format < KMM_NR_FORMATS; format++) {
		struct fixture f = { 0 };

		f.machine.nr_cpus = 2;
		CHECK_OK(fixture_pc(&f, (enum kmm_format_id)format, 48 * MIB));
		CALL(random_ranges(&f, &state));
		fixture_end(&f);
	}
}
