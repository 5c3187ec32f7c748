/* SPDX-License-Identifier: MIT */
/*
 * Requests that contradict themselves: every one of the 65536 masks against the rules written down a second time, and
 * that allocation refuses what the check refuses, with plenty of memory and with none in the CPU's cache.
 */
#include "harness/frames.h"

static bool has(kmm_gfp gfp, kmm_gfp bit) { return (gfp & bit) != 0; }

/* As in docs/contexts.md. */
static bool makes_sense(kmm_gfp gfp, unsigned order)
{
	unsigned zones = has(gfp, KMM_GFP_DMA) + has(gfp, KMM_GFP_DMA32) + has(gfp, KMM_GFP_HIGHMEM);
	bool nofail = has(gfp, KMM_GFP_NOFAIL);

	if (order >= KMM_NR_ORDERS || zones > 1 || gfp > 0x1ffff)
		return false;
	if (has(gfp, KMM_GFP_ZERO) && has(gfp, KMM_GFP_HIGHMEM))
		return false;
	if (nofail && (!has(gfp, KMM_GFP_RECLAIM) || has(gfp, KMM_GFP_NORETRY) || has(gfp, KMM_GFP_MEMALLOC) || order > 1))
		return false;
	if (has(gfp, KMM_GFP_IO) && !has(gfp, KMM_GFP_RECLAIM))
		return false;
	if (has(gfp, KMM_GFP_FS) && !has(gfp, KMM_GFP_IO))
		return false;
	return !has(gfp, KMM_GFP_MOVABLE) || !has(gfp, KMM_GFP_RECLAIMABLE);
}

/* Allocates by the mask and checks that the answer is the table's. */
static void try_one(struct fixture *f, kmm_gfp gfp, unsigned order)
{
	struct kmm_page *page = kmm_alloc_pages(f->k, gfp | KMM_GFP_NOWARN, order);
	const char *why = NULL;

	CHECK_EQ(page != NULL, makes_sense(gfp, order));
	CHECK_EQ(kmm_gfp_check(f->k, gfp, order, &why), page ? KMM_OK : KMM_EINVAL);
	CHECK_EQ(why == NULL, page != NULL);
	if (page) {
		kmm_free_pages(f->k, page, order);
	} else {
		struct fixture_text t;

		kmm_why_failed(f->k, fixture_text(&t));
		CHECK(strstr(t.text, why) != NULL);
	}
}

KMM_TEST(contexts_all_masks)
{
	static const enum kmm_format_id formats[] = { KMM_I386_PAE, KMM_X86_64 };

	for (unsigned i = 0; i < 2; i++) {
		struct fixture f = { 0 };

		CHECK_OK(fixture_pc(&f, formats[i], 1200 * MIB));
		for (kmm_gfp gfp = 0; gfp <= 0xffff; gfp++)
			CALL(try_one(&f, gfp, 0));
		for (kmm_gfp gfp = 0; gfp <= 0xffff; gfp += 7)
			CALL(try_one(&f, gfp, gfp % 4));
		CALL(try_one(&f, KMM_GFP_KERNEL, KMM_NR_ORDERS));
		CALL(try_one(&f, KMM_GFP_KERNEL | 0x10000, 0));
		CALL(try_one(&f, 0x80000000u, 0));
		CHECK_EQ(fixture_audit(&f), 0);
		fixture_end(&f);
	}
}

KMM_TEST(contexts_named_ones_make_sense)
{
	static const kmm_gfp named[] = { KMM_GFP_NOWAIT, KMM_GFP_ATOMIC, KMM_GFP_NOIO, KMM_GFP_NOFS, KMM_GFP_KERNEL, KMM_GFP_USER,
					 KMM_GFP_HIGHUSER, KMM_GFP_HIGHUSER_MOVABLE, KMM_GFP_KERNEL | KMM_GFP_NOFAIL,
					 KMM_GFP_NOIO | KMM_GFP_NOFAIL, KMM_GFP_ATOMIC | KMM_GFP_NORETRY,
					 KMM_GFP_KERNEL | KMM_GFP_HIGH, KMM_GFP_NOFS | KMM_GFP_MEMALLOC };
	static const kmm_gfp wrong[] = { KMM_GFP_ATOMIC | KMM_GFP_NOFAIL, KMM_GFP_ATOMIC | KMM_GFP_IO, KMM_GFP_NOWAIT | KMM_GFP_FS,
					 KMM_GFP_KERNEL & ~(kmm_gfp)KMM_GFP_RECLAIM, KMM_GFP_RECLAIM | KMM_GFP_FS,
					 KMM_GFP_KERNEL | KMM_GFP_NOFAIL | KMM_GFP_NORETRY,
					 KMM_GFP_NOIO | KMM_GFP_NOFAIL | KMM_GFP_MEMALLOC };
	struct fixture f = { 0 };

	CHECK_OK(fixture_pc(&f, KMM_I386_PAE, 1200 * MIB));
	for (unsigned i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		CHECK_OK(kmm_gfp_check(f.k, named[i], 0, NULL));
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK_EQ(kmm_gfp_check(f.k, wrong[i], 0, NULL), KMM_EINVAL);
	fixture_end(&f);
}

/* ---- docs/contexts.md, row by row ---- */

static const struct row {
	const char *name;
	kmm_gfp gfp;
	unsigned eighths;     /* of min that must stay */
	bool reclaims;        /* lets reclaim work, */
	kmm_gfp may;          /* which may do this of I/O and file systems */
	bool compacts, logs;
} rows[] = {
	{ "system call", KMM_GFP_KERNEL, 8, true, KMM_GFP_IO | KMM_GFP_FS, true, true },
	{ "on behalf of a program", KMM_GFP_USER, 8, true, KMM_GFP_IO | KMM_GFP_FS, true, true },
	{ "its pages", KMM_GFP_HIGHUSER_MOVABLE, 8, true, KMM_GFP_IO | KMM_GFP_FS, true, true },
	{ "a file system's lock", KMM_GFP_NOFS, 8, true, KMM_GFP_IO, true, true },
	{ "writing pages out", KMM_GFP_NOIO, 8, true, 0, true, true },
	{ "freeing memory", KMM_GFP_KERNEL | KMM_GFP_MEMALLOC, 0, false, 0, false, true },
	{ "interrupt", KMM_GFP_ATOMIC, 3, false, 0, false, true },
	{ "easy to do without", KMM_GFP_NOWAIT, 8, false, 0, false, true },
	{ "soon, may wait", KMM_GFP_KERNEL | KMM_GFP_HIGH, 4, true, KMM_GFP_IO | KMM_GFP_FS, true, true },
	{ "another way", KMM_GFP_KERNEL | KMM_GFP_NORETRY | KMM_GFP_NOWARN, 8, true, KMM_GFP_IO | KMM_GFP_FS, true, false },
};

static kmm_gfp asked;         /* by reclaim or compaction, all requests together */
static unsigned reclaims, compactions;

static kmm_word note_reclaim(struct kmm *k, kmm_gfp gfp, unsigned order)
{
	(void)k;
	(void)order;
	asked |= gfp;
	reclaims++;
	return 0;
}

static bool note_compaction(struct kmm *k, kmm_gfp gfp, unsigned order, enum kmm_zone_id start)
{
	(void)k;
	(void)order;
	(void)start;
	asked |= gfp;
	compactions++;
	return false;
}

/* Takes all that the row may have, and then asks once more. */
static void try_row(const struct row *row)
{
	struct fixture f = { 0 };
	struct kmm_zone_info zone;
	unsigned lines;

	CHECK_OK(fixture_pc(&f, KMM_X86_64, 24 * MIB)); /* DMA and DMA32, which has the rest */
	while (kmm_alloc_pages(f.k, row->gfp | KMM_GFP_NOWARN, 0))
		;
	kmm_phys_drain(f.k);
	CHECK(kmm_zone_info(f.k, KMM_ZONE_DMA32, &zone) && zone.min > 16);
	CHECK(zone.free >= zone.min * row->eighths / 8 && zone.free <= zone.min * row->eighths / 8 + 2);
	kmm_pressure_register(f.k, note_reclaim);
	kmm_compaction_register(f.k, note_compaction);
	reclaims = compactions = 0;
	asked = 0;
	lines = f.log_lines;
	CHECK(!kmm_alloc_pages(f.k, row->gfp, 0));
	CHECK_EQ(reclaims, row->reclaims);
	CHECK_EQ(compactions, 0);
	CHECK_EQ(asked & (KMM_GFP_IO | KMM_GFP_FS), row->may);
	CHECK_EQ(f.log_lines - lines, row->logs);
	CHECK(!kmm_alloc_pages(f.k, row->gfp | KMM_GFP_NOWARN, 4));
	CHECK_EQ(compactions, row->compacts);
	fixture_end(&f);
}

KMM_TEST(contexts_each_row_of_the_table)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		try_row(&rows[i]);
		if (kmm_test_failed())
			printf("  in the row '%s'\n", rows[i].name);
		if (kmm_test_failed())
			return;
	}
}
