/* SPDX-License-Identifier: MIT */
/*
 * Compaction: machines whose free memory is in single pages everywhere give large blocks again, and no byte of any
 * program changes. With unmovable pages mixed in, what can be had is what tracts without them hold.
 */
#include "reclaim/compact.h"

#include <stdlib.h>

#include "harness/space.h"

#define AT 0x10000000ull
#define CHUNK 256u /* pages of which one madvise takes some */

struct mess {
	struct space s;
	unsigned nr_pages;      /* of the program's area */
	uint8_t *kept;          /* per page: 1, it has content */
	struct kmm_page **pins; /* pages of the program that somebody holds */
	unsigned nr_pins;
	struct kmm_page *left[64]; /* large blocks that were left over, taken so that there are none */
	unsigned nr_left;
};

static uint64_t at(unsigned page) { return AT + page * SPACE_PAGE; }
static uint8_t byte_of(unsigned page) { return (uint8_t)(page * 31 + (page >> 8) + 1); }

static kmm_word blocks_of_order(struct kmm *k, unsigned order)
{
	kmm_word nr = 0;

	for (unsigned z = 0; z < KMM_NR_ZONES; z++) {
		struct kmm_zone_info info;

		if (kmm_zone_info(k, (enum kmm_zone_id)z, &info))
			for (unsigned i = order; i < KMM_NR_ORDERS; i++)
				nr += info.nr_free[i] << (i - order);
	}
	return nr;
}

/* A program that has nearly all memory, of which then only each one_in'th page stays. */
static void make_mess(struct mess *m, enum kmm_format_id format, uint64_t ram, unsigned one_in)
{
	struct hosted_config config = { .machine = { .format = format, .nr_cpus = 1 }, .ram_bytes = ram };
	uint64_t seed = kmm_test_seed();
	const char *why = "";

	hosted_set_cpu(0);
	*m = (struct mess){ .nr_pins = 0 };
	CHECK_OK(hosted_boot(&config, &m->s.m, &why));
	m->s.k = hosted_kmm(m->s.m);
	CHECK_OK(kmm_mm_create(m->s.k, &m->s.mm));
	m->nr_pages = (unsigned)(kmm_phys_free_pages(m->s.k) * 95 / 100);
	m->kept = calloc(m->nr_pages, 1);
	CHECK_EQ(space_map(&m->s, at(0), m->nr_pages, SPACE_RW, SPACE_ANON), 0);
	for (unsigned i = 0; i < m->nr_pages; i++)
		CHECK_EQ(space_poke(&m->s, m->s.mm, at(i) + i % 4096, byte_of(i)), 0);
	for (unsigned i = 0; i < m->nr_pages; i++) {
		m->kept[i] = kmm_test_rand(&seed) % one_in == 0;
		if (!m->kept[i])
			CHECK_OK(kmm_madvise(m->s.mm, kmm_uva((kmm_word)at(i)), SPACE_PAGE, 4));
	}
	kmm_phys_drain(m->s.k);
	while ((m->left[m->nr_left] = kmm_alloc_pages(m->s.k, KMM_GFP_HIGHMEM | KMM_GFP_MOVABLE | KMM_GFP_MEMALLOC | KMM_GFP_NOWARN,
						      9)) != NULL)
		CHECK(++m->nr_left < 64);
	CHECK_EQ(blocks_of_order(m->s.k, 9), 0);
}

static void check_content(struct mess *m)
{
	for (unsigned i = 0; i < m->nr_pages; i++)
		if (m->kept[i])
			CHECK_EQ(space_peek(&m->s, m->s.mm, at(i) + i % 4096), byte_of(i));
}

static void end_mess(struct mess *m)
{
	CHECK_EQ(kmm_audit(m->s.k, NULL), 0);
	CALL(space_audit(&m->s));
	while (m->nr_left)
		kmm_free_pages(m->s.k, m->left[--m->nr_left], 9);
	CALL(space_stop(&m->s));
	free(m->pins);
	free(m->kept);
}

/* Order-9 blocks until there is none; returns how many, and they are given back. */
static unsigned take_all(struct mess *m, kmm_gfp gfp)
{
	struct kmm_page *block[1024];
	unsigned nr = 0;

	while (nr < 1024 && (block[nr] = kmm_alloc_pages(m->s.k, gfp | KMM_GFP_NOWARN, 9)) != NULL)
		nr++;
	for (unsigned i = 0; i < nr; i++)
		kmm_free_pages(m->s.k, block[i], 9);
	return nr;
}

static void fragmented_machine(enum kmm_format_id format, uint64_t ram)
{
	struct kmm_compact_stats stats;
	struct mess m;
	kmm_word free;
	unsigned got;

	CALL(make_mess(&m, format, ram, 4));
	free = kmm_phys_free_pages(m.s.k);
	got = take_all(&m, KMM_GFP_HIGHUSER_MOVABLE);
	CALL(check_content(&m));
	/* Three quarters are free: of those, what the watermarks of the zones and the kernel's own pages leave. */
	CHECK(got >= free / 512 * 8 / 10);
	kmm_compact_stats(m.s.k, &stats);
	CHECK(stats.success > 0);
	CHECK(stats.stall >= stats.success);
	CHECK(stats.isolated > stats.success);
	CALL(end_mess(&m));
}

KMM_TEST(compact_64_mib_x86_64) { CALL(fragmented_machine(KMM_X86_64, 64ull << 20)); }
KMM_TEST(compact_256_mib_i386) { CALL(fragmented_machine(KMM_I386, 256ull << 20)); }
KMM_TEST(compact_1_gib_i386_pae) { CALL(fragmented_machine(KMM_I386_PAE, 1024ull << 20)); }
KMM_TEST(compact_1_gib_la57) { CALL(fragmented_machine(KMM_X86_64_LA57, 1024ull << 20)); }

/* Without the right to block nothing is moved, and the failure is a failure. */
KMM_TEST(compact_not_for_atomic_requests)
{
	struct kmm_compact_stats stats;
	struct mess m;

	CALL(make_mess(&m, KMM_X86_64, 128ull << 20, 4));
	CHECK(!kmm_alloc_pages(m.s.k, KMM_GFP_ATOMIC | KMM_GFP_NOWARN, 9));
	CHECK(!kmm_alloc_pages(m.s.k, KMM_GFP_NOIO | KMM_GFP_NOWARN, 9)); /* Linux: migration may need I/O */
	kmm_compact_stats(m.s.k, &stats);
	CHECK_EQ(stats.stall, 0);
	CHECK(take_all(&m, KMM_GFP_KERNEL) > 0);
	CALL(end_mess(&m));
}

/* Pages of the kernel all over the place: tracts that hold one cannot be emptied. */
KMM_TEST(compact_with_unmovable_pages)
{
	struct kmm_tract_info { bool pinned; } *tract;
	unsigned nr_tracts, pinned = 0, got;
	struct mess m;
	uint64_t seed = kmm_test_seed();

	CALL(make_mess(&m, KMM_X86_64, 256ull << 20, 4));
	nr_tracts = (unsigned)(m.s.k->phys->max_pfn / 512 + 1);
	tract = calloc(nr_tracts, sizeof(*tract));
	m.pins = calloc(64, sizeof(*m.pins));
	for (unsigned i = 0; i < 64; i++) { /* taken as movable, held as only the kernel holds */
		unsigned page = (unsigned)(kmm_test_rand(&seed) % m.nr_pages);
		struct kmm_walk walk;

		kmm_walk(m.s.k, kmm_mm_root(m.s.mm), (kmm_word)at(page), &walk);
		if (!walk.mapped || !m.kept[page])
			continue;
		m.pins[m.nr_pins] = kmm_pfn_to_page(m.s.k, kmm_paddr_to_pfn(walk.pa));
		kmm_get_page(m.s.k, m.pins[m.nr_pins]);
		m.nr_pins++;
		tract[(walk.pa.v >> KMM_PAGE_SHIFT) / 512].pinned = true;
	}
	for (unsigned i = 0; i < nr_tracts; i++)
		pinned += tract[i].pinned;
	CHECK(pinned > 5);
	got = take_all(&m, KMM_GFP_HIGHUSER_MOVABLE);
	CHECK(got > 0);
	CHECK(got <= nr_tracts - pinned);
	CALL(check_content(&m));
	while (m.nr_pins)
		kmm_put_page(m.s.k, m.pins[--m.nr_pins]);
	CHECK(take_all(&m, KMM_GFP_HIGHUSER_MOVABLE) >= got);
	CALL(check_content(&m));
	free(tract);
	CALL(end_mess(&m));
}

/* Orders below a tract, when no tract can be emptied: a run within one is enough. */
KMM_TEST(compact_for_small_orders)
{
	struct mess m;
	struct kmm_page *block;

	CALL(make_mess(&m, KMM_X86_64, 64ull << 20, 4));
	for (unsigned order = 1; order <= 10; order++) {
		block = kmm_alloc_pages(m.s.k, KMM_GFP_KERNEL | KMM_GFP_NOWARN, order);
		CHECK(block != NULL);
		kmm_free_pages(m.s.k, block, order);
	}
	CALL(check_content(&m));
	CALL(end_mess(&m));
}

/* Step by step until nothing is left to do; then blocks are there without anybody waiting for them. */
KMM_TEST(compact_in_steps)
{
	struct kmm_compact_stats stats;
	struct mess m;
	kmm_word free;
	unsigned steps = 0;

	CALL(make_mess(&m, KMM_I386_PAE, 256ull << 20, 3));
	free = kmm_phys_free_pages(m.s.k);
	while (kmm_compact_step(m.s.k, 512)) {
		CHECK(++steps < 1000);
		if (steps % 16 == 0)
			CALL(space_audit(&m.s));
	}
	CHECK(steps > 10);
	CHECK_EQ(kmm_phys_free_pages(m.s.k), free);
	CHECK(blocks_of_order(m.s.k, 9) >= free / 512 * 8 / 10);
	CALL(check_content(&m));
	kmm_compact_stats(m.s.k, &stats);
	CHECK_EQ(stats.stall, 0);
	CHECK_EQ(stats.daemon_wake, steps + 1);
	CHECK(!kmm_compact_step(m.s.k, 512)); /* and stays done */
	CALL(end_mess(&m));
}

/* After a failure the zone is left alone for a while, longer each time. */
KMM_TEST(compact_is_deferred)
{
	struct kmm_compact_stats stats;
	struct mess m;
	unsigned stalls[8];

	CALL(make_mess(&m, KMM_X86_64, 64ull << 20, 1)); /* nothing is free that could be a target */
	for (unsigned i = 0; i < 8; i++) {
		(void)!kmm_alloc_pages(m.s.k, KMM_GFP_KERNEL | KMM_GFP_NOWARN, 10);
		kmm_compact_stats(m.s.k, &stats);
		stalls[i] = (unsigned)stats.stall;
	}
	CHECK(stalls[0] > 0);
	CHECK_EQ(stalls[1], stalls[0]);     /* 2nd: 1 of 2 */
	CHECK(stalls[2] > stalls[1]);
	CHECK_EQ(stalls[3], stalls[2]);     /* then of 4 */
	CHECK_EQ(stalls[5], stalls[2]);
	CHECK(stalls[6] > stalls[5]);
	CHECK_EQ(stats.success, 0);
	CALL(end_mess(&m));
}
