/* SPDX-License-Identifier: MIT */
/*
 * kmalloc: classes, contents against a model, zones, refused modifiers, and what it does when it is misused.
 */
#include "harness/kernel.h"

/* Sanitized code makes calls of jumps, so a report names the place in kmm_kmalloc() (KMM_CALLER in slab/fast.h). */
#ifdef __has_feature
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

static const struct hosted_config pae = { .machine = { .format = KMM_I386_PAE }, .ram_bytes = 1536ull << 20 };
static const struct hosted_config wide = { .machine = { .format = KMM_X86_64 }, .ram_bytes = 128ull << 20 };
static const struct hosted_config small = { .machine = { .format = KMM_I386 }, .ram_bytes = 32ull << 20 };
static const struct hosted_config *const formats[] = { &pae, &wide, &small };

KMM_TEST(kmalloc_class_fits_and_is_snug)
{
	size_t size, last = 0;

	for (size = 0; size <= KMM_KMALLOC_MAX_CLASS; size++) {
		unsigned index = kmm_kmalloc_class(size);
		size_t class_size = kmm_kmalloc_class_size(index);

		CHECK(index < KMM_KMALLOC_CLASSES);
		CHECK(class_size >= size && class_size >= last);
		CHECK(index == 0 || kmm_kmalloc_class_size(index - 1) < (size ? size : 1));
		CHECK(size < 64 || class_size - size <= size / 4);
		last = class_size;
	}
	CHECK_EQ(last, KMM_KMALLOC_MAX_CLASS);
	CHECK_EQ(kmm_kmalloc_class(KMM_KMALLOC_MAX_CLASS), KMM_KMALLOC_CLASSES - 1);
}

KMM_TEST(kmalloc_power_of_two_is_aligned_to_itself)
{
	struct tier_b t;
	size_t size;
	int i;

	CALL(tier_b_start(&t, &pae));
	for (size = 8; size <= KMM_KMALLOC_MAX_CLASS; size *= 2) {
		for (i = 0; i < 20; i++) {
			void *object = kmm_kmalloc(t.k, size, KMM_GFP_KERNEL);

			CHECK(object);
			CHECK_EQ(kmm_lowmem_pa(t.k, object).v % size, 0);
			CHECK_EQ(kmm_ksize(t.k, object), size);
		}
	}
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

struct block {
	unsigned char *at;
	size_t size;
	unsigned char pattern;
};

static void check_content(const struct block *b)
{
	size_t i;

	for (i = 0; i < b->size; i++)
		CHECK_EQ(b->at[i], (unsigned char)(b->pattern + i));
}

static void fill_content(struct block *b)
{
	size_t i;

	for (i = 0; i < b->size; i++)
		b->at[i] = (unsigned char)(b->pattern + i);
}

static size_t random_size(uint64_t *seed)
{
	uint64_t r = kmm_test_rand(seed);

	return (size_t)((r >> 8) % (r % 16 == 0 ? 40000 : r % 4 == 0 ? 9000 : 300));
}

static void replace_block(struct tier_b *t, struct block *b, uint64_t *seed)
{
	if (b->at) {
		CALL(check_content(b));
		kmm_kfree(t->k, b->at);
	}
	b->size = random_size(seed);
	b->pattern = (unsigned char)kmm_test_rand(seed);
	b->at = kmm_kmalloc(t->k, b->size, KMM_GFP_KERNEL | (kmm_test_rand(seed) % 8 == 0 ? KMM_GFP_DMA : 0));
	CHECK(b->at);
	CHECK(kmm_ksize(t->k, b->at) >= b->size);
	fill_content(b);
}

static void run_model(const struct hosted_config *config, uint64_t *seed)
{
	static struct block blocks[400];
	struct tier_b t;
	kmm_word before;
	int i;

	memset(blocks, 0, sizeof(blocks));
	CALL(tier_b_start(&t, config));
	before = tier_b_free_pages(&t);
	for (i = 0; i < 6000; i++) {
		CALL(replace_block(&t, &blocks[kmm_test_rand(seed) % 400], seed));
		if (i % 1500 == 0)
			CALL(tier_b_audit(&t));
	}
	for (i = 0; i < 400; i++) {
		if (blocks[i].at)
			CALL(check_content(&blocks[i]));
		kmm_kfree(t.k, blocks[i].at);
	}
	CALL(tier_b_audit(&t));
	CHECK_EQ(tier_b_free_pages(&t), before);
	tier_b_stop(&t);
}

KMM_TEST(kmalloc_random_against_model)
{
	uint64_t seed = kmm_test_seed();
	unsigned i;

	for (i = 0; i < 3; i++)
		if (test_serves(formats[i]->machine.format))
			CALL(run_model(formats[i], &seed));
}

KMM_TEST(kmalloc_large_is_whole_frames)
{
	struct tier_b t;
	size_t size, largest = (size_t)KMM_PAGE_SIZE << (KMM_NR_ORDERS - 1);
	void *block;

	CALL(tier_b_start(&t, &pae));
	for (size = KMM_KMALLOC_MAX_CLASS + 1; size <= largest; size = size * 2 - 1) {
		struct kmm_page_info info;

		block = kmm_kmalloc(t.k, size, KMM_GFP_KERNEL);
		CHECK(block);
		CHECK(kmm_ksize(t.k, block) >= size && kmm_ksize(t.k, block) < 2 * size);
		kmm_page_info(t.k, kmm_virt_to_page(t.k, block), &info);
		CHECK_EQ(info.kind, KMM_KIND_KERNEL);
		memset(block, 0xaa, size);
		kmm_kfree(t.k, block);
	}
	CHECK(kmm_kmalloc(t.k, largest, KMM_GFP_KERNEL));
	CHECK(!kmm_kmalloc(t.k, largest + 1, KMM_GFP_KERNEL));
	CHECK(!kmm_kmalloc(t.k, SIZE_MAX, KMM_GFP_KERNEL));
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(kzalloc_is_zero)
{
	struct tier_b t;
	size_t size, i;

	CALL(tier_b_start(&t, &wide));
	for (size = 1; size < 30000; size += size / 3 + 1) {
		unsigned char *dirty = kmm_kmalloc(t.k, size, KMM_GFP_KERNEL), *clean;

		CHECK(dirty);
		memset(dirty, 0xff, kmm_ksize(t.k, dirty));
		kmm_kfree(t.k, dirty);
		clean = kmm_kzalloc(t.k, size, KMM_GFP_KERNEL);
		CHECK(clean);
		for (i = 0; i < size; i++)
			CHECK_EQ(clean[i], 0);
		kmm_kfree(t.k, clean);
	}
	tier_b_stop(&t);
}

KMM_TEST(kmalloc_dma_is_below_16_mib)
{
	struct tier_b t;
	size_t size;

	CALL(tier_b_start(&t, &pae));
	for (size = 8; size <= 65536; size *= 2) {
		void *dma = kmm_kmalloc(t.k, size, KMM_GFP_KERNEL | KMM_GFP_DMA);
		void *normal = kmm_kmalloc(t.k, size, KMM_GFP_KERNEL);

		CHECK(dma && normal);
		CHECK(kmm_lowmem_pa(t.k, dma).v + size <= 16u << 20);
		CHECK(kmm_lowmem_pa(t.k, normal).v >= 16u << 20);
	}
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

/* Errata E01: the flag is a bug of the caller; it is named, and the request is served without the flag. */
KMM_TEST(kmalloc_high_is_reported_and_stripped)
{
	static const kmm_gfp flags[] = { KMM_GFP_HIGHMEM, KMM_GFP_DMA32, KMM_GFP_HIGHMEM | KMM_GFP_MOVABLE };
	char here[32];
	struct tier_b t;
	unsigned i, j;

	CALL(tier_b_start(&t, &pae));
	for (i = 0; i < 3; i++) {
		for (j = 0; j < 2; j++) {
			void *object;

			hosted_log_clear(t.m);
			object = kmm_kmalloc(t.k, j ? 20000 : 100, KMM_GFP_KERNEL | flags[i]);
			CHECK(object);
			CHECK(kmm_lowmem_pa(t.k, object).v < t.k->layout.lowmem_end);
			CHECK_EQ(tier_b_logged(&t, "kmalloc with gfp"), 1);
			CHECK_EQ(tier_b_logged(&t, i == 1 ? "DMA32" : "HIGHMEM"), 1);
			CHECK_EQ(tier_b_logged(&t, "called from 0x"), 1);
		}
	}
	/* The caller named is this function: the address lies near one taken here. */
	snprintf(here, sizeof(here), "0x%llx", (unsigned long long)(uintptr_t)test_kmalloc_high_is_reported_and_stripped >> 16);
	CHECK(SANITIZED || tier_b_logged(&t, here) == 1);
	hosted_log_clear(t.m);
	CHECK(kmm_kmalloc(t.k, 100, KMM_GFP_KERNEL));
	CHECK_STR(hosted_log_text(t.m), "");
	tier_b_stop(&t);
}

KMM_TEST(kmalloc_until_low_memory_ends_never_goes_high)
{
	struct tier_b t;
	void **chain = NULL, **object;
	kmm_word before;
	struct kmm_zone_info high;

	CALL(tier_b_start(&t, &pae));
	before = tier_b_free_pages(&t);
	while ((object = kmm_kmalloc(t.k, 8192, KMM_GFP_KERNEL))) {
		CHECK(kmm_lowmem_pa(t.k, object).v < t.k->layout.lowmem_end);
		*object = chain;
		chain = object;
	}
	CHECK(kmm_zone_info(t.k, KMM_ZONE_HIGHMEM, &high));
	CHECK_EQ(high.free, high.managed);
	CALL(tier_b_audit(&t));
	while (chain) {
		object = chain;
		chain = *object;
		kmm_kfree(t.k, object);
	}
	CHECK_EQ(tier_b_free_pages(&t), before);
	tier_b_stop(&t);
}

/* ---- misuse ---- */

struct misuse {
	struct tier_b t;
	void *object;
	unsigned others; /* frees between the two of a double free */
};

static void free_twice(void *arg)
{
	struct misuse *x = arg;
	void *other[200];
	unsigned i;

	for (i = 0; i < x->others; i++)
		other[i] = kmm_kmalloc(x->t.k, 64, KMM_GFP_KERNEL);
	x->object = kmm_kmalloc(x->t.k, 64, KMM_GFP_KERNEL);
	kmm_kfree(x->t.k, x->object);
	for (i = 0; i < x->others; i++)
		kmm_kfree(x->t.k, other[i]);
	kmm_kfree(x->t.k, x->object);
}

static void free_object(void *arg)
{
	struct misuse *x = arg;

	kmm_kfree(x->t.k, x->object);
}

KMM_TEST(kmalloc_double_free_is_fatal)
{
	static const unsigned others[] = { 0, 5, 200 };
	const char *what = "";
	struct misuse x;
	unsigned i;

	for (i = 0; i < 3; i++) {
		x.others = others[i];
		CALL(tier_b_start(&x.t, &pae));
		CALL(tier_b_refuses(&x.t, free_twice, &x, &what));
		CHECK(KMM_DEBUG == 0 || strstr(what, "object_is_free"));
		CHECK_EQ(tier_b_logged(&x.t, "kmalloc-64: object 0x"), 1);
		tier_b_stop(&x.t);
	}
}

/* A caller may write the word that marks free objects; that alone is no double free. */
KMM_TEST(kmalloc_mark_written_by_the_user_is_no_double_free)
{
	struct tier_b t;
	uint32_t *object;

	CALL(tier_b_start(&t, &pae));
	object = kmm_kmalloc(t.k, 64, KMM_GFP_KERNEL);
	CHECK(object);
	object[1] = KMM_FREE_MARK;
	kmm_kfree(t.k, object);
	CHECK_STR(hosted_log_text(t.m), "");
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(kfree_of_foreign_pointers_is_fatal)
{
	struct misuse x;
	unsigned i;

	for (i = 0; i < 4; i++) {
		CALL(tier_b_start(&x.t, &pae));
		if (i == 0)
			x.object = kmm_get_free_pages(x.t.k, KMM_GFP_KERNEL, 2);
		else if (i == 1)
			x.object = (char *)kmm_kmalloc(x.t.k, 100000, KMM_GFP_KERNEL) + 4096;
		else if (i == 2)
			x.object = kmm_lowmem_ptr(x.t.k, kmm_paddr(x.t.k->layout.lowmem_end - 4096)); /* free */
		else
			x.object = &x; /* not memory of the machine at all */
		CALL(tier_b_refuses(&x.t, free_object, &x, NULL));
		tier_b_stop(&x.t);
	}
}

static void free_inside(void *arg)
{
	struct misuse *x = arg;

	kmm_kfree(x->t.k, (char *)kmm_kmalloc(x->t.k, 100, KMM_GFP_KERNEL) + 8);
}

KMM_TEST(kfree_inside_an_object_is_fatal)
{
	struct misuse x;

	CALL(tier_b_start(&x.t, &pae));
	CALL(tier_b_refuses(&x.t, free_inside, &x, NULL));
	tier_b_stop(&x.t);
}

KMM_TEST(kfree_of_null_is_nothing)
{
	struct tier_b t;

	CALL(tier_b_start(&t, &pae));
	kmm_kfree(t.k, NULL);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}
