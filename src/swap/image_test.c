/* SPDX-License-Identifier: MIT */
/*
 * Hibernation end to end in a hosted machine: spaces with contents in frames and in slots are written to an image, the machine
 * is switched off and on, and the fresh kernel reads the image and becomes the old one. Every transfer and every allocation fails
 * once, on both sides; and images that are damaged anywhere, or another machine's, are refused.
 */
#include "swap/image.h"

#include <stdlib.h>

#include "harness/sites.h"
#include "harness/space.h"
#include "kmm/reclaim.h"
#include "kmm/slab.h"
#include "kmm/vmalloc.h"

#define AT 0x20000000ull
enum { PAGES = 300, SLOTS = 4096 };

struct sleeper {
	struct space s;
	struct hosted_swap *disk;
	struct kmm_mm *child;
	struct kmm_image_use use;
	struct kmm_image_head head;
	void *state;
	uint32_t *vmalloced;
};

static uint64_t at(uint64_t n) { return AT + n * SPACE_PAGE; }
static uint64_t value_of(unsigned page, unsigned word, unsigned salt) { return (uint64_t)page << 32 | word << 8 | salt; }

/* Some pages are words that compress, some do not, some are one byte repeated. */
static void fill(struct sleeper *t, struct kmm_mm *mm, unsigned first, unsigned nr, unsigned salt)
{
	static uint64_t words[KMM_PAGE_SIZE / 8];

	for (unsigned n = first; n < first + nr; n++) {
		uint64_t noise = n + 1;

		for (unsigned w = 0; w < KMM_PAGE_SIZE / 8; w++) {
			noise = noise * 6364136223846793005u + 1442695040888963407u;
			words[w] = n % 7 == 0 ? 0x1111111111111111u * (n % 5) : n % 3 ? value_of(n, w, salt) : noise ^ salt;
		}
		CHECK(hosted_write_user(t->s.m, mm, at(n), words, sizeof(words)).ok);
	}
}

static uint64_t sum_of(struct sleeper *t, struct kmm_mm *mm)
{
	static uint64_t words[KMM_PAGE_SIZE / 8];
	uint64_t sum = 0;

	for (unsigned n = 0; n < PAGES; n++) {
		if (!hosted_read_user(t->s.m, mm, at(n), words, sizeof(words)).ok)
			return 0;
		for (unsigned w = 0; w < KMM_PAGE_SIZE / 8; w++)
			sum = (sum ^ words[w]) * 0x100000001b3u;
	}
	return sum;
}

static void boot(struct sleeper *t, enum kmm_format_id format, uint64_t ram_mib, bool strict)
{
	struct hosted_config config = { .machine = { .format = format, .nr_cpus = 1 }, .ram_bytes = ram_mib << 20, .strict = strict };
	const char *why = "";

	hosted_set_cpu(0);
	if (!kmm_test_ok((int)hosted_boot(&config, &t->s.m, &why), why, __FILE__, __LINE__))
		return;
	t->s.k = hosted_kmm(t->s.m);
	t->disk = hosted_swap_open(t->s.m, SLOTS * SPACE_PAGE);
	CHECK(t->disk != NULL);
	t->use = (struct kmm_image_use){ .dev = hosted_swap_device(t->disk), .build = 7, .ground = 9, .id = 1234567, .note = "a test" };
}

/* Two spaces that share pages, some of them on the disk; kernel memory of several sorts. */
static void live(struct sleeper *t)
{
	CHECK_OK(kmm_swap_on(t->s.k, t->use.dev, -1));
	CHECK_OK(kmm_mm_create(t->s.k, &t->s.mm));
	CHECK_EQ(space_map(&t->s, AT, PAGES, SPACE_RW, SPACE_ANON), 0);
	CALL(fill(t, t->s.mm, 0, PAGES, 1));
	CHECK(kmm_reclaim_pages(t->s.k, PAGES / 3) > 0);
	CHECK_OK(kmm_mm_fork(t->s.mm, &t->child));
	CALL(fill(t, t->child, 10, 60, 2));
	t->vmalloced = kmm_vmalloc(t->s.k, 5 * KMM_PAGE_SIZE, "test");
	CHECK(t->vmalloced != NULL);
	for (unsigned n = 0; n < 5 * KMM_PAGE_SIZE / 4; n++)
		t->vmalloced[n] = n * 2654435761u;
}

static void audit(struct sleeper *t)
{
	struct hosted_text text;
	unsigned bad = kmm_audit(t->s.k, hosted_text_init(&text));

	if (bad)
		printf("%s", text.text);
	hosted_text_free(&text);
	CHECK_EQ(bad, 0);
}

static struct kmm_image *image_of(struct sleeper *t)
{
	struct kmm_image *image = NULL;

	return kmm_image_new(t->s.k, &t->use, &image) == KMM_OK ? image : NULL;
}

/* The state is kept while nothing runs, as the processor's would be. */
static void hibernate(struct sleeper *t)
{
	struct kmm_image *image = image_of(t);
	enum kmm_status status;

	CHECK(image != NULL);
	t->state = malloc(kmm_state_size());
	memcpy(t->state, hosted_state(t->s.m), kmm_state_size());
	status = kmm_image_write(image, &t->head);
	if (status)
		printf("%s\n", kmm_image_why(image));
	CHECK_OK(status);
	CHECK_EQ(t->head.nr_pages, kmm_image_pages(image));
	kmm_image_free(image);
}

static void restart(struct sleeper *t)
{
	const char *why = "";

	CHECK_OK(hosted_restart(t->s.m, &why));
	t->s.k = hosted_kmm(t->s.m);
}

static enum kmm_status resume(struct sleeper *t, const char *words)
{
	struct kmm_image *image = image_of(t);
	struct kmm_pfn moves;
	enum kmm_status status = image ? kmm_image_read(image, &t->head, &moves) : KMM_ENOMEM;

	if (status == KMM_OK)
		return hosted_resume(t->s.m, moves, t->state) ? KMM_OK : KMM_ENOTSUP;
	if (image && words && !strstr(kmm_image_why(image), words)) {
		printf("'%s' does not say '%s'\n", kmm_image_why(image), words);
		status = KMM_OK;
	}
	if (image)
		kmm_image_free(image);
	return status;
}

static void off(struct sleeper *t)
{
	free(t->state);
	hosted_shutdown(t->s.m);
	hosted_swap_close(t->disk);
}

static void goes_on(enum kmm_format_id format, uint64_t ram_mib, bool strict)
{
	struct sleeper t = { .disk = NULL };
	struct hosted_text before, after;
	struct kmm_swap_info info[2];
	uint64_t sums[2];

	CALL(boot(&t, format, ram_mib, strict));
	CALL(live(&t));
	CALL(audit(&t));
	space_snapshot(t.s.mm, &before);
	CHECK(kmm_swap_info(t.s.k, 0, &info[0]));
	CHECK(info[0].nr_used > 0);
	CALL(hibernate(&t));
	CHECK_STR(t.head.note, "a test");
	CHECK(t.head.nr_written < t.head.nr_pages); /* some compress, some are one byte */
	CALL(restart(&t));
	CHECK_OK(resume(&t, NULL));
	CALL(audit(&t));
	CHECK(kmm_swap_info(t.s.k, 0, &info[1]));
	CHECK_EQ(info[1].nr_used, info[0].nr_used);
	space_snapshot(t.s.mm, &after);
	CHECK_STR(after.text, before.text);
	for (unsigned n = 0; n < 5 * KMM_PAGE_SIZE / 4; n++)
		CHECK_EQ(t.vmalloced[n], n * 2654435761u);
	sums[0] = sum_of(&t, t.s.mm);
	sums[1] = sum_of(&t, t.child);
	CALL(fill(&t, t.s.mm, 0, PAGES, 1)); /* what must have been there */
	CHECK_EQ(sum_of(&t, t.s.mm), sums[0]);
	CALL(fill(&t, t.child, 0, PAGES, 1));
	CALL(fill(&t, t.child, 10, 60, 2));
	CHECK_EQ(sum_of(&t, t.child), sums[1]);
	hosted_put_space(t.s.m, t.child);
	hosted_put_space(t.s.m, t.s.mm);
	CALL(audit(&t));
	CHECK(kmm_swap_info(t.s.k, 0, &info[1]));
	CHECK_EQ(info[1].nr_used, 0); /* none of the image's slots stayed in use */
	kmm_vfree(t.s.k, t.vmalloced);
	hosted_text_free(&before);
	hosted_text_free(&after);
	off(&t);
}

KMM_TEST(hibernation_goes_on_in_every_format)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		CALL(goes_on(space_formats[f], 32, false));
		CALL(goes_on(space_formats[f], 1200, false));
	}
}

KMM_TEST(hibernation_goes_on_where_windows_are_real)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++)
		CALL(goes_on(space_formats[f], 1200, true));
}

/* ---- errors ---- */

KMM_TEST(hibernation_survives_each_failed_transfer)
{
	struct sleeper t = { .disk = NULL };
	struct hosted_swap_faults none = { .nth = 0 };
	struct kmm_image *image;
	uint64_t sums[2], nth = 0;

	CALL(boot(&t, KMM_I386_PAE, 32, false));
	CALL(live(&t));
	sums[0] = sum_of(&t, t.s.mm);
	sums[1] = sum_of(&t, t.child);
	for (enum kmm_status status = KMM_EIO; status; ) {
		struct hosted_swap_faults faults = { .nth = nth + 1, .torn = nth % 2 };

		nth++;
		image = image_of(&t);
		CHECK(image != NULL);
		hosted_swap_fail(t.disk, &faults);
		status = kmm_image_write(image, &t.head);
		hosted_swap_fail(t.disk, &none);
		CHECK(status == KMM_OK || status == KMM_EIO);
		CHECK(status == KMM_OK || strstr(kmm_image_why(image), "cannot be written"));
		kmm_image_free(image);
		if (nth % 8 == 0)
			CALL(audit(&t));
	}
	CHECK(nth > 20);
	CHECK_EQ(sum_of(&t, t.s.mm), sums[0]);
	CHECK_EQ(sum_of(&t, t.child), sums[1]);
	CALL(hibernate(&t));
	CALL(restart(&t));
	nth = 0;
	for (enum kmm_status status = KMM_EIO; status; ) {
		struct hosted_swap_faults faults = { .nth = ++nth };

		hosted_swap_fail(t.disk, &faults);
		status = resume(&t, "cannot be read");
		hosted_swap_fail(t.disk, &none);
		CHECK(status == KMM_OK || status == KMM_EIO);
		if (status)
			CALL(audit(&t));
	}
	CHECK(nth > 20);
	CALL(audit(&t));
	CHECK_EQ(sum_of(&t, t.s.mm), sums[0]);
	CHECK_EQ(sum_of(&t, t.child), sums[1]);
	off(&t);
}

KMM_TEST(hibernation_fail_every_site)
{
	struct sleeper t = { .disk = NULL };
	struct kmm_image *image = NULL;
	enum kmm_status status = KMM_ENOMEM;
	struct kmm_memory_stats before, after;
	const char *site;

	CALL(boot(&t, KMM_X86_64, 32, false));
	CALL(live(&t));
	image = image_of(&t); /* caches that stay are made before */
	CHECK(image != NULL);
	kmm_image_free(image);
	kmm_memory_stats(t.s.k, &before);
	for (uint64_t nth = 1; status; nth++) {
		kmm_fail_nth(t.s.k, nth);
		status = kmm_image_new(t.s.k, &t.use, &image);
		kmm_fail_count(t.s.k, &site);
		note_site(site);
		kmm_fail_nth(t.s.k, 0);
		CHECK(status == KMM_OK || status == KMM_ENOMEM);
		if (status == KMM_OK)
			kmm_image_free(image);
		CALL(audit(&t));
	}
	kmm_memory_stats(t.s.k, &after);
	CHECK_EQ(after.free_pages, before.free_pages);
	off(&t);
}

KMM_TEST(hibernation_needs_room)
{
	struct sleeper t = { .disk = NULL };
	struct kmm_image *image;
	struct hosted_swap *small;

	CALL(boot(&t, KMM_I386, 32, false));
	CALL(live(&t));
	image = image_of(&t);
	CHECK(image != NULL);
	small = hosted_swap_open(t.s.m, 40 * SPACE_PAGE);
	CHECK_OK(kmm_swap_on(t.s.k, hosted_swap_device(small), -1));
	kmm_image_free(image);
	t.use.dev = hosted_swap_device(small);
	image = image_of(&t);
	CHECK_EQ(kmm_image_write(image, &t.head), KMM_ENOMEM);
	CHECK(strstr(kmm_image_why(image), "do not suffice") != NULL);
	CHECK_OK(kmm_swap_off(t.s.k, t.use.dev));
	CHECK_EQ(kmm_image_write(image, &t.head), KMM_EINVAL);
	kmm_image_free(image);
	CALL(audit(&t));
	hosted_swap_close(small);
	off(&t);
}

/* ---- images that must be refused ---- */

KMM_TEST(hibernation_refuses_damaged_heads)
{
	struct sleeper t = { .disk = NULL };

	CALL(boot(&t, KMM_X86_64, 32, false));
	CALL(live(&t));
	CALL(hibernate(&t));
	CHECK(kmm_image_head_good(&t.head, NULL));
	for (unsigned bit = 0; bit < 8 * KMM_IMAGE_HEAD; bit++) {
		((uint8_t *)&t.head)[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		CHECK(!kmm_image_head_good(&t.head, NULL));
		((uint8_t *)&t.head)[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	CALL(restart(&t));
	for (unsigned which = 0; which < 8; which++) {
		struct kmm_image_head good = t.head;
		static const char *const words[] = { "other page tables", "another kernel", "number of processors", "other memory",
						     "other devices", "another size", "other page tables", "pages of" };

		t.head.format += which == 0;
		t.head.build += which == 1;
		t.head.nr_cpus += which == 2;
		t.head.memory ^= which == 3;
		t.head.ground ^= which == 4;
		t.head.nr_slots += which == 5;
		t.head.format = which == 6 ? 77 : t.head.format;
		t.head.nr_pages += which == 7;
		t.head.sum = kmm_image_head_sum(&t.head);
		CHECK_EQ(resume(&t, words[which]), KMM_EINVAL);
		t.head = good;
	}
	CALL(audit(&t));
	CHECK_OK(resume(&t, NULL));
	CALL(audit(&t));
	off(&t);
}

/* Bits of a slot's content, by the device's own operations. */
static void flip_bits(struct sleeper *t, uint32_t slot, unsigned bit, unsigned nr)
{
	struct kmm_page *page = kmm_alloc_pages(t->s.k, KMM_GFP_KERNEL, 0);
	uint8_t *bytes = kmm_page_address(t->s.k, page);

	CHECK_OK(t->use.dev->ops->read(t->use.dev, slot, 1, &page));
	for (unsigned i = bit; i < bit + nr; i++)
		bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
	CHECK_OK(t->use.dev->ops->write(t->use.dev, slot, 1, &page));
	kmm_free_pages(t->s.k, page, 0);
}

static void flip(struct sleeper *t, uint32_t slot, unsigned bit) { CALL(flip_bits(t, slot, bit, 1)); }

KMM_TEST(hibernation_refuses_damaged_blocks)
{
	struct sleeper t = { .disk = NULL };
	uint64_t sum;
	unsigned refused = 0;

	CALL(boot(&t, KMM_I386, 32, false));
	CALL(live(&t));
	sum = sum_of(&t, t.s.mm);
	CALL(hibernate(&t));
	CALL(restart(&t));
	for (unsigned bit = 0; bit < 8 * KMM_PAGE_SIZE; bit += 97) { /* of the first index block, all of its parts */
		CALL(flip(&t, t.head.first_index, bit));
		CHECK_EQ(resume(&t, "damaged"), KMM_EINVAL);
		CALL(flip(&t, t.head.first_index, bit));
	}
	for (uint32_t n = 1; n < 30; n++) { /* of whatever comes behind it; one bit of compressed bytes may mean the same */
		CALL(flip_bits(&t, t.head.first_index + n, 0, 600));
		if (n % 13 == 0) {
			t.head.first_index++;
			t.head.sum = kmm_image_head_sum(&t.head);
			CHECK_EQ(resume(&t, "damaged"), KMM_EINVAL);
			t.head.first_index--;
			t.head.sum = kmm_image_head_sum(&t.head);
		}
		refused += resume(&t, "damaged") == KMM_EINVAL;
		CALL(flip_bits(&t, t.head.first_index + n, 0, 600));
		CALL(audit(&t));
		if (refused != n)
			printf("slot %u: not refused\n", n);
		CHECK_EQ(refused, n);
	}
	CHECK_OK(resume(&t, NULL));
	CALL(audit(&t));
	CHECK_EQ(sum_of(&t, t.s.mm), sum);
	off(&t);
}

/* Blocks of an earlier image are good by themselves, but not this one's. */
KMM_TEST(hibernation_refuses_what_another_image_left)
{
	struct sleeper t = { .disk = NULL };

	CALL(boot(&t, KMM_X86_64_LA57, 32, false));
	CALL(live(&t));
	CALL(hibernate(&t));
	t.head.id++;
	t.head.sum = kmm_image_head_sum(&t.head);
	CALL(restart(&t));
	CHECK_EQ(resume(&t, "another image's"), KMM_EINVAL);
	t.head.id--;
	t.head.nr_indexes--;
	t.head.sum = kmm_image_head_sum(&t.head);
	CHECK_EQ(resume(&t, "damaged"), KMM_EINVAL);
	t.head.nr_indexes += 2;
	t.head.sum = kmm_image_head_sum(&t.head);
	CHECK_EQ(resume(&t, "damaged"), KMM_EINVAL);
	off(&t);
}
