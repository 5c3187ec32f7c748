/* SPDX-License-Identifier: MIT */
/*
 * Each sort of invalid free: it is named, it is counted, and nothing changes. The fixture's fatal hook jumps back here,
 * so what the release build would go on with is what is looked at.
 */
#include "harness/frames.h"

static struct fixture f; /* of the test that runs */
static jmp_buf here;

static enum kmm_status start(enum kmm_format_id format)
{
	memset(&f, 0, sizeof(f));
	f.escape = &here;
	f.machine.nr_cpus = 2;
	return fixture_pc(&f, format, 64 * MIB);
}

/* setjmp leaves no room for locals: it has a function of its own. */
__attribute__((noinline)) static void try_free(struct kmm_page *page, unsigned order)
{
	if (!setjmp(here))
		kmm_free_pages(f.k, page, order);
}

/* The free is refused with those words in the log, and all is as before. */
static void refused(struct kmm_page *page, unsigned order, const char *words)
{
	unsigned misuses = kmm_phys_misuses(f.k);
	uint64_t unused = fixture_unused(&f);

	f.fatal = NULL;
	f.log[0] = 0;
	try_free(page, order);
	CHECK(f.fatal != NULL || KMM_DEBUG == 0);
	CHECK(strstr(f.log, words) != NULL);
	CHECK_EQ(kmm_phys_misuses(f.k), misuses + 1);
	CHECK_EQ(fixture_unused(&f), unused);
	CHECK_EQ(fixture_audit(&f), 0);
}

static void refuse_all(enum kmm_format_id format)
{
	struct kmm_page *page, *block, *large;

	CHECK_OK(start(format));
	page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);
	block = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 3);
	large = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 10);
	CHECK(page && block && large);

	CALL(refused(page, 1, "another order"));
	CALL(refused(block, 0, "another order"));
	CALL(refused(block, 2, "another order"));
	CALL(refused(block, 20, "another order"));
	CALL(refused(large, 9, "another order"));
	CALL(refused(kmm_pfn_to_page(f.k, kmm_pfn(kmm_pfn_of(f.k->phys, block) + 5)), 0, "inside a block (kernel, frame"));
	CALL(refused(kmm_pfn_to_page(f.k, kmm_pfn(kmm_pfn_of(f.k->phys, large) + 1000)), 0, "inside a block"));
	CALL(refused((struct kmm_page *)(void *)((char *)page + 4), 0, "no page descriptor"));
	CALL(refused((struct kmm_page *)(void *)((char *)page + 16), 0, "no page descriptor"));
	CALL(refused((struct kmm_page *)(void *)&f, 0, "no page descriptor"));
	CALL(refused((struct kmm_page *)(void *)(f.k->phys->memmap - 64), 0, "no page descriptor"));
	CALL(refused(kmm_page_at(f.k->phys, f.k->phys->max_pfn), 0, "no page descriptor"));
	CALL(refused(NULL, 0, "no page descriptor"));
	CALL(refused(kmm_pfn_to_page(f.k, kmm_pfn(f.k->phys->memmap_pfn)), 0, "never allocated"));

	kmm_get_page(f.k, page);
	CALL(refused(page, 0, "references"));
	kmm_put_page(f.k, page);
	kmm_free_pages(f.k, page, 0);
	CALL(refused(page, 0, "free already")); /* in this CPU's cache */
	fixture_cpu = 1;
	CALL(refused(page, 0, "free already")); /* in another's */
	fixture_cpu = 0;
	kmm_phys_drain(f.k);
	CALL(refused(page, 0, "free already")); /* in its bitmap */
	kmm_free_pages(f.k, block, 3);
	CALL(refused(block, 3, "free already"));
	CALL(refused(kmm_pfn_to_page(f.k, kmm_pfn(kmm_pfn_of(f.k->phys, block) + 1)), 0, "free already"));
	kmm_free_pages(f.k, large, 10);
	CALL(refused(large, 10, "free already"));
	fixture_end(&f);
}

KMM_TEST(misuse_is_refused_narrow) { CALL(refuse_all(KMM_I386_PAE)); }
KMM_TEST(misuse_is_refused_wide) { CALL(refuse_all(KMM_X86_64)); }

/* A reference given up that nobody has. */
KMM_TEST(misuse_of_references_is_refused)
{
	static struct kmm_page *page;

	CHECK_OK(start(KMM_X86_64));
	page = kmm_alloc_pages(f.k, KMM_GFP_KERNEL, 0);
	kmm_put_page(f.k, page);
	if (!setjmp(here))
		kmm_put_page(f.k, page);
	CHECK(strstr(f.log, "free already") != NULL);
	CHECK_EQ(kmm_phys_misuses(f.k), 1);
	CHECK_EQ(atomic_load(&page->refcount), 0);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}

/* Whatever is freed, what is sound stays sound: any word as a pointer, near the descriptors and far from them. */
KMM_TEST(misuse_random_pointers)
{
	static uint64_t state, unused;
	static int i;

	CHECK_OK(start(KMM_X86_64));
	state = kmm_test_seed();
	unused = fixture_unused(&f);
	for (i = 0; i < 20000; i++) {
		uint64_t r = kmm_test_rand(&state);
		char *at = f.k->phys->memmap + (int64_t)(r >> 8) % (int64_t)(4 * MIB);

		if (r & 1)
			at = (char *)(uintptr_t)kmm_test_rand(&state);
		try_free((struct kmm_page *)(void *)at, (unsigned)(r >> 1) % 12);
	}
	CHECK_EQ(kmm_phys_misuses(f.k), 20000);
	CHECK_EQ(fixture_unused(&f), unused);
	CHECK_EQ(fixture_audit(&f), 0);
	fixture_end(&f);
}
