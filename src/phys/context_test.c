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
