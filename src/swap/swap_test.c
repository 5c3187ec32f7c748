/* SPDX-License-Identifier: MIT */
/*
 * Swap end to end in a small hosted machine: contents survive, every operation on spaces copes with entries that name slots,
 * areas come and go, and each transfer of a scenario fails once.
 */
#include "kmm/observe.h"
#include "swap/swap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "harness/swap_space.h"

static bool threads; /* a machine with a second CPU for one */
static bool later; /* a device that begins transfers, and ends them in another order */

static void start_sized(struct swap_space *w, enum kmm_format_id format, uint64_t ram_mib, uint64_t swap_pages)
{
	swap_start(w, &(struct swap_setup){ format, ram_mib, swap_pages, later, threads });
}

static void start(struct swap_space *w, enum kmm_format_id format) { start_sized(w, format, 0, 0); }

static kmm_word swapped(struct swap_space *w, struct kmm_mm *mm)
{
	struct kmm_mm_stats stats;

	(void)w;
	kmm_mm_stats(mm, &stats);
	return stats.swapped;
}

SWAP_BOTH(swap_out_and_in)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct swap_space w;

		CALL(start(&w, space_formats[f]));
		CHECK_EQ(space_map(&w.s, at(0), 100, SPACE_RW, SPACE_ANON), 0);
		CALL(swap_fill(&w, w.s.mm, 0, 100, 7));
		CALL(swap_push_out(&w));
		CHECK_EQ(swapped(&w, w.s.mm), 100);
		CHECK_EQ(slots_used(&w), 100);
		CALL(swap_verify(&w, w.s.mm, 0, 100, 7));
		CHECK_EQ(swapped(&w, w.s.mm), 0);
		CHECK_EQ(slots_used(&w), 0);
		CALL(swap_fill(&w, w.s.mm, 0, 50, 8));
		CALL(swap_push_out(&w));
		CALL(swap_verify(&w, w.s.mm, 0, 50, 8));
		CALL(swap_verify(&w, w.s.mm, 50, 50, 7));
		CALL(swap_stop(&w));
	}
}

/* The kB in a report's line of that name. */
static long kb_of(const struct hosted_text *text, const char *name)
{
	const char *at = strstr(text->text, name);

	return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

static void check_told(struct swap_space *w, long swapped_kb, long cached_kb)
{
	struct hosted_text text;

	kmm_report_meminfo(w->s.k, hosted_text_init(&text));
	CHECK_EQ(kb_of(&text, "SwapTotal:") - kb_of(&text, "SwapFree:"), swapped_kb);
	CHECK_EQ(kb_of(&text, "SwapCached:"), cached_kb);
	hosted_text_free(&text);
	kmm_report_mm_status(w->s.mm, hosted_text_init(&text));
	CHECK_EQ(kb_of(&text, "VmSwap:"), swapped_kb);
	hosted_text_free(&text);
}

/* What is said of pages that are out, on their way, and back. */
SWAP_BOTH(swap_is_told)
{
	struct swap_space w;

	CALL(start(&w, KMM_X86_64));
	CHECK_EQ(space_map(&w.s, at(0), 100, SPACE_RW, SPACE_ANON), 0);
	CALL(swap_fill(&w, w.s.mm, 0, 100, 1));
	CALL(check_told(&w, 0, 0));
	CHECK_OK(kmm_madvise(w.s.mm, kmm_uva((kmm_word)at(0)), 40 * SPACE_PAGE, 21)); /* MADV_PAGEOUT */
	CALL(check_told(&w, 160, later ? 160 : 0));
	kmm_swap_quiesce(w.s.k);
	CALL(check_told(&w, 160, 0));
	CALL(swap_verify(&w, w.s.mm, 0, 100, 1));
	kmm_swap_quiesce(w.s.k);
	CALL(check_told(&w, 0, 0));
	CALL(swap_stop(&w));
}

/* One byte repeated takes no slot; the zero page and untouched memory are not swapped at all. */
SWAP_BOTH(swap_same_filled)
{
	struct swap_space w;
	struct kmm_swap_stats stats;
	char page[KMM_PAGE_SIZE];

	CALL(start(&w, KMM_X86_64));
	CHECK_EQ(space_map(&w.s, at(0), 40, SPACE_RW, SPACE_ANON), 0);
	for (unsigned i = 0; i < 20; i++) {
		memset(page, (int)i, sizeof(page));
		CHECK(hosted_write_user(w.s.m, w.s.mm, at(i), page, sizeof(page)).ok);
	}
	for (unsigned i = 20; i < 40; i++)
		CHECK_EQ(space_peek(&w.s, w.s.mm, at(i)), 0);
	CALL(swap_push_out(&w));
	CHECK_EQ(swapped(&w, w.s.mm), 20);
	CHECK_EQ(slots_used(&w), 0);
	for (unsigned i = 0; i < 20; i++) {
		CHECK_EQ(space_peek(&w.s, w.s.mm, at(i)), (int)i);
		CHECK_EQ(space_peek(&w.s, w.s.mm, at(i) + 4095), (int)i);
	}
	kmm_swap_stats(w.s.k, &stats);
	CHECK_EQ(stats.same_out, 20);
	CHECK_EQ(stats.same_in, 20);
	CHECK_EQ(stats.out, 0);
	CALL(swap_stop(&w));
}

/* Unmap, advise, protect, move, and a new mapping over it, while pages are out. */
SWAP_BOTH(swap_operations_on_entries)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_uva out;
		struct swap_space w;

		CALL(start(&w, space_formats[f]));
		CHECK_EQ(space_map(&w.s, at(0), 100, SPACE_RW, SPACE_ANON), 0);
		CALL(swap_fill(&w, w.s.mm, 0, 100, 1));
		CALL(swap_push_out(&w));
		CHECK_EQ(space_unmap(&w.s, at(0), 10), 0);
		CHECK_EQ(slots_used(&w), 90);
		CHECK_OK(kmm_madvise(w.s.mm, kmm_uva((kmm_word)at(10)), 10 * SPACE_PAGE, 4));
		CHECK_EQ(slots_used(&w), 80);
		CHECK_EQ(space_peek(&w.s, w.s.mm, at(10) + 16), 0);
		CHECK_EQ(space_protect(&w.s, at(20), 10, SPACE_R), 0);
		CALL(space_audit(&w.s));
		CALL(swap_verify(&w, w.s.mm, 20, 10, 1));
		CHECK_EQ(space_poke(&w.s, w.s.mm, at(20), 1), -11);
		CHECK_EQ(space_protect(&w.s, at(30), 10, KMM_PROT_NONE), 0);
		CHECK_EQ(space_protect(&w.s, at(30), 10, SPACE_RW), 0);
		CALL(swap_verify(&w, w.s.mm, 30, 10, 1));
		CHECK_OK(kmm_mremap(w.s.mm, kmm_uva((kmm_word)at(40)), 10 * SPACE_PAGE, 10 * SPACE_PAGE, 3,
				    kmm_uva((kmm_word)at(1500)), &out));
		CALL(space_audit(&w.s));
		CHECK_EQ(space_map(&w.s, at(40), 10, SPACE_RW, SPACE_ANON), 0);
		for (unsigned i = 0; i < 10; i++)
			CHECK_EQ(space_peek(&w.s, w.s.mm, at(1500 + i) + 16), 41 + (int)i);
		CHECK_EQ(space_map(&w.s, at(50), 10, SPACE_RW, SPACE_ANON), 0); /* over it */
		CHECK_EQ(space_peek(&w.s, w.s.mm, at(50) + 16), 0);
		CALL(swap_verify(&w, w.s.mm, 60, 40, 1));
		CALL(swap_stop(&w));
	}
}

/* Parent and child share slots; each gets pages of its own. */
SWAP_BOTH(swap_and_fork)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_mm *child;
		struct swap_space w;

		CALL(start(&w, space_formats[f]));
		CHECK_EQ(space_map(&w.s, at(0), 200, SPACE_RW, SPACE_ANON), 0);
		CALL(swap_fill(&w, w.s.mm, 0, 100, 1));
		CALL(swap_push_out(&w));
		CHECK_OK(kmm_mm_fork(w.s.mm, &child));
		CHECK_EQ(slots_used(&w), 100);
		CHECK_EQ(swapped(&w, child), 100);
		CALL(space_audit(&w.s));
		CALL(swap_fill(&w, child, 0, 50, 2));
		CALL(swap_verify(&w, w.s.mm, 0, 100, 1));
		CALL(swap_verify(&w, child, 0, 50, 2));
		CHECK_EQ(slots_used(&w), 50);
		CALL(swap_verify(&w, child, 50, 50, 1));
		hosted_put_space(w.s.m, child);
		/* Shared frames go out as one. */
		CHECK_OK(kmm_mm_fork(w.s.mm, &child));
		CALL(swap_push_out(&w));
		CHECK_EQ(slots_used(&w), 100);
		CHECK_EQ(swapped(&w, child) + swapped(&w, w.s.mm), 200);
		hosted_put_space(w.s.m, child);
		CHECK_EQ(slots_used(&w), 100);
		CALL(swap_verify(&w, w.s.mm, 0, 100, 1));
		CALL(swap_stop(&w));
	}
}

/* Clean pages of files go and are filled again, written ones go to swap; locked and held ones stay. */
SWAP_BOTH(reclaim_what_may_go)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_zone_info zone;
		struct kmm_page *page;
		struct kmm_file file;
		struct swap_space w;
		kmm_word files = 0;

		CALL(start(&w, space_formats[f]));
		kmm_file_init(&file, w.s.k, 32 * SPACE_PAGE, "/file");
		CHECK_EQ(space_map_file(&w.s, at(0), 32, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
		for (unsigned i = 0; i < 32; i++)
			CHECK_EQ(space_peek(&w.s, w.s.mm, at(i)), 0);
		for (unsigned i = 0; i < 8; i++)
			CHECK_EQ(space_poke(&w.s, w.s.mm, at(i), 5), 0);
		CHECK_EQ(space_map(&w.s, at(100), 8, SPACE_RW, SPACE_ANON | KMM_MAP_LOCKED), 0);
		CALL(swap_fill(&w, w.s.mm, 100, 8, 3));
		CHECK_OK(kmm_file_page(&file, 20, &page)); /* held */
		CHECK(swap_drain(&w) > 0); /* without an audit, which would find the reference */
		for (unsigned z = 0; z < KMM_NR_ZONES; z++)
			if (kmm_zone_info(w.s.k, (enum kmm_zone_id)z, &zone))
				files += zone.kinds[KMM_KIND_FILE];
		CHECK_EQ(files, 1);
		CHECK_EQ(slots_used(&w), 8);
		CHECK_EQ(swapped(&w, w.s.mm), 0);
		for (unsigned i = 0; i < 32; i++)
			CHECK_EQ(space_peek(&w.s, w.s.mm, at(i)), i < 8 ? 5 : 0);
		kmm_put_page(w.s.k, page);
		hosted_put_space(w.s.m, w.s.mm);
		w.s.mm = NULL;
		kmm_backing_put(&file.backing);
		CALL(swap_stop(&w));
	}
}

/* A program three times as large as memory: contents are right, and the allocator itself asks for reclaim. */
SWAP_BOTH(swap_larger_than_memory)
{
	static const enum kmm_format_id formats[] = { KMM_I386, KMM_I386_PAE, KMM_X86_64 };

	for (unsigned f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
		const unsigned nr = 3 * 16 * 256;
		struct kmm_reclaim_stats stats;
		struct swap_space w;

		CALL(start_sized(&w, formats[f], 16, nr));
		CHECK_EQ(space_map(&w.s, at(0), nr, SPACE_RW, SPACE_ANON), 0);
		CALL(swap_fill(&w, w.s.mm, 0, nr, 1));
		CALL(swap_verify(&w, w.s.mm, 0, nr, 1));
		CALL(swap_fill(&w, w.s.mm, 0, nr, 2));
		CALL(swap_verify(&w, w.s.mm, 0, nr, 2));
		kmm_reclaim_stats(w.s.k, &stats);
		CHECK(stats.stolen_direct > 3 * nr / 2);
		CALL(swap_stop(&w));
	}
}

/* Begins to read slot ahead of anybody's wish. false: not now. */
static bool read_ahead(struct swap_space *w, uint32_t slot, struct kmm_page *page)
{
	uint32_t raw = kmm_swap_raw(0, slot);

	if (w->s.k->swap->area[0].slot[slot].count != 1 || !kmm_slot_get(w->s.k, raw))
		return false;
	kmm_get_page(w->s.k, page);
	if (kmm_cached_add_read(w->s.k, raw, page) != KMM_CACHED_ADDED)
		abort();
	if (kmm_swap_start_read(w->s.k, 0, slot, 1, &page, -1))
		return true;
	kmm_cached_read_over(w->s.k, raw, false);
	return false;
}

/* Reads are under way, and leave no transfers for writing: who asks for memory waits for them and does not fail. */
KMM_TEST(swap_reads_take_the_transfers)
{
	enum { NR = 2 * 16 * 256, MORE = 600 };
	struct kmm_page *page[KMM_SWAP_IOS];
	unsigned begun = 0;
	struct swap_space w;

	later = true;
	CALL(start_sized(&w, KMM_X86_64, 16, 4 * NR));
	for (unsigned i = 0; i < KMM_SWAP_IOS; i++)
		CHECK((page[i] = kmm_alloc_pages(w.s.k, KMM_GFP_KERNEL, 0)) != NULL);
	CHECK_EQ(space_map(&w.s, at(0), NR + MORE, SPACE_RW, SPACE_ANON), 0);
	CALL(swap_fill(&w, w.s.mm, 0, NR, 1));
	kmm_swap_quiesce(w.s.k);
	for (uint32_t slot = 0; slot < NR && begun < KMM_SWAP_IOS; slot++)
		begun += read_ahead(&w, slot, page[begun]);
	CHECK(begun > 8);
	CALL(swap_fill(&w, w.s.mm, NR, MORE, 1));
	CALL(swap_verify(&w, w.s.mm, 0, NR + MORE, 1));
	kmm_swap_quiesce(w.s.k);
	for (unsigned i = 0; i < KMM_SWAP_IOS; i++)
		kmm_put_page(w.s.k, page[i]);
	CALL(swap_stop(&w));
}

/* Without a place to go to, private pages are looked at a few times until the request fails, not at every page of the
 * last watermark anew. */
SWAP_BOTH(reclaim_end_is_found_quickly)
{
	struct kmm_reclaim_stats stats;
	struct swap_space w;
	uint64_t value = 1;
	unsigned n = 0;

	CALL(start_sized(&w, KMM_X86_64, 64, 8));
	for (unsigned i = 0; i < 20000; i += 4000) /* each alone is no more than there is */
		CHECK_EQ(space_map(&w.s, at(i), 4000, SPACE_RW, SPACE_ANON), 0);
	while (n < 20000 && hosted_write_user(w.s.m, w.s.mm, at(n), &value, sizeof(value)).ok)
		n++;
	CHECK(n > 10000 && n < 20000);
	kmm_reclaim_stats(w.s.k, &stats);
	CHECK(stats.scanned_direct > 0);
	CHECK(stats.scanned_direct < 100 * (kmm_word)n);
	CALL(swap_stop(&w));
}

/* Swap is full, then nothing is left: the fault says so and nothing is lost. */
SWAP_BOTH(swap_is_full)
{
	struct swap_space w;
	unsigned n = 0;
	uint64_t value;

	CALL(start_sized(&w, KMM_X86_64, 16, 512));
	for (unsigned i = 0; i < 6000; i += 2000) /* each alone is no more than there is */
		CHECK_EQ(space_map(&w.s, at(i), 2000, SPACE_RW, SPACE_ANON), 0);
	for (; n < 6000; n++) {
		value = (uint64_t)1 << 32 | (n + 1);
		if (!hosted_write_user(w.s.m, w.s.mm, at(n) + 16, &value, sizeof(value)).ok)
			break;
	}
	CHECK(n > 3000 && n < 6000);
	CHECK_EQ(slots_used(&w), 512);
	CALL(space_audit(&w.s));
	CHECK_EQ(space_unmap(&w.s, at(0), 600), 0);
	CALL(swap_verify(&w, w.s.mm, 600, n - 600, 1));
	CALL(swap_stop(&w));
}

/* swapoff while pages are out, when they fit and when they do not; areas by priority. */
SWAP_BOTH(swap_off_and_priorities)
{
	struct hosted_swap *second;
	struct kmm_swap_info info;
	struct swap_space w;

	CALL(start(&w, KMM_I386_PAE));
	second = hosted_swap_open(w.s.m, 64 * SPACE_PAGE);
	CHECK_OK(kmm_swap_on(w.s.k, hosted_swap_device(second), 5));
	CHECK_EQ(kmm_swap_on(w.s.k, hosted_swap_device(second), 5), KMM_EBUSY);
	CHECK_EQ(space_map(&w.s, at(0), 100, SPACE_RW, SPACE_ANON), 0);
	CALL(swap_fill(&w, w.s.mm, 0, 100, 1));
	CHECK_EQ(space_protect(&w.s, at(70), 10, KMM_PROT_NONE), 0);
	CALL(swap_push_out(&w));
	CHECK(kmm_swap_info(w.s.k, 1, &info));
	CHECK_EQ(info.nr_used, 64);
	CHECK_EQ(slots_used(&w), 36);
	CHECK_OK(kmm_swap_off(w.s.k, hosted_swap_device(second)));
	CHECK(!kmm_swap_info(w.s.k, 1, &info));
	CHECK_EQ(swapped(&w, w.s.mm), 36);
	CHECK_EQ(kmm_swap_off(w.s.k, hosted_swap_device(second)), KMM_EINVAL);
	hosted_swap_close(second);
	CHECK_OK(kmm_swap_off(w.s.k, hosted_swap_device(w.disk)));
	CHECK_EQ(swapped(&w, w.s.mm), 0);
	CHECK_EQ(space_protect(&w.s, at(70), 10, SPACE_RW), 0);
	CALL(swap_verify(&w, w.s.mm, 0, 100, 1));
	CHECK_OK(kmm_swap_on(w.s.k, hosted_swap_device(w.disk), -1));
	CALL(swap_stop(&w));
}

static struct swap_space *polled; /* by the device */

static void (*polled_start)(struct kmm_swap_device *dev, struct kmm_swap_io *io);

static void *touch_all_of(void *arg)
{
	struct swap_space *w = arg;
	uint8_t byte;

	hosted_set_cpu(1);
	for (unsigned i = 0; i < 40; i++)
		if (!hosted_read_user(w->s.m, w->s.mm, at(i) + 16, &byte, 1).ok || byte != i + 1)
			abort();
	hosted_run_space(w->s.m, NULL);
	return NULL;
}

/* The transfer ends, and the page's owner is quicker than who waits for it, too. */
static bool poll_and_touch(struct kmm_swap_device *dev)
{
	pthread_t owner;
	bool some = hosted_swap_finish(polled->disk, 1) != 0;

	(void)dev;
	if (!some)
		return false;
	if (pthread_create(&owner, NULL, touch_all_of, polled) != 0)
		abort();
	pthread_join(owner, NULL);
	return true;
}

/* Others end at once. */
static void start_and_end(struct kmm_swap_device *dev, struct kmm_swap_io *io)
{
	polled_start(dev, io);
	hosted_swap_finish(polled->disk, 1);
}

/* swapoff waits for a page that is being read, and its owner gets it first. */
KMM_TEST(swap_off_against_the_owner)
{
	struct kmm_swap_ops ops;
	struct kmm_page *page;
	struct swap_space w;

	later = threads = true;
	CALL(start_sized(&w, KMM_X86_64, 64, 4096));
	threads = false;
	ops = *hosted_swap_device(w.disk)->ops;
	page = kmm_alloc_pages(w.s.k, KMM_GFP_KERNEL, 0);
	CHECK_EQ(space_map(&w.s, at(0), 40, SPACE_RW, SPACE_ANON), 0);
	CALL(swap_fill(&w, w.s.mm, 0, 40, 1));
	CALL(swap_push_out(&w));
	polled = &w;
	polled_start = ops.start;
	ops.start = start_and_end;
	ops.poll = poll_and_touch;
	CHECK(read_ahead(&w, 0, page));
	hosted_swap_device(w.disk)->ops = &ops;
	CHECK_OK(kmm_swap_off(w.s.k, hosted_swap_device(w.disk)));
	kmm_put_page(w.s.k, page);
	CHECK_OK(kmm_swap_on(w.s.k, hosted_swap_device(w.disk), -1));
	CALL(swap_verify(&w, w.s.mm, 0, 40, 1));
	CALL(swap_stop(&w));
}

/* ---- errors of the device ---- */

/* Each transfer of a scenario fails once: written pages stay and are written elsewhere; a page that cannot be read costs one
 * access a bus error, and can be read the next time. */
SWAP_BOTH(swap_each_transfer_fails_once)
{
	for (unsigned torn = 0; torn < 2; torn++) {
		uint64_t transfers = 1;

		for (uint64_t n = 1; n <= transfers; n++) {
			struct hosted_swap_faults faults = { .nth = n, .torn = torn }, none = { 0 };
			struct kmm_swap_info info;
			struct swap_space w;
			unsigned errors = 0;

			CALL(start(&w, KMM_X86_64));
			CHECK_EQ(space_map(&w.s, at(0), 40, SPACE_RW, SPACE_ANON), 0);
			CALL(swap_fill(&w, w.s.mm, 0, 40, 1));
			hosted_swap_fail(w.disk, &faults);
			CALL(swap_push_out(&w));
			for (unsigned i = 0; i < 40; i++)
				errors += space_peek(&w.s, w.s.mm, at(i) + 16) == -7;
			transfers = hosted_swap_transfers(w.disk);
			hosted_swap_fail(w.disk, &none);
			CHECK(errors <= 1);
			CALL(swap_verify(&w, w.s.mm, 0, 40, 1));
			CHECK(kmm_swap_info(w.s.k, 0, &info));
			CHECK_EQ(info.nr_bad, 0); /* a transfer of several is tried again page by page */
			CHECK(strstr(hosted_log_text(w.s.m), "cannot be read") ? errors == 1 : errors == 0);
			CALL(swap_stop(&w));
		}
		CHECK(transfers > (later ? 4 : 40)); /* neighbours come together */
	}
}

/* The device is gone: nothing is lost that was in memory, and what was out is an error for its owner alone. */
SWAP_BOTH(swap_device_disappears)
{
	struct hosted_swap_faults gone = { .nth = 1, .for_ever = true };
	struct kmm_swap_info info;
	struct swap_space w;

	CALL(start(&w, KMM_I386));
	CHECK_EQ(space_map(&w.s, at(0), 80, SPACE_RW, SPACE_ANON), 0);
	CALL(swap_fill(&w, w.s.mm, 0, 40, 1));
	CALL(swap_push_out(&w));
	CALL(swap_fill(&w, w.s.mm, 40, 40, 1));
	hosted_swap_fail(w.disk, &gone);
	(void)swap_drain(&w);
	CALL(space_audit(&w.s));
	CALL(swap_verify(&w, w.s.mm, 40, 40, 1));
	CHECK(kmm_swap_info(w.s.k, 0, &info)); /* a page that was on its way keeps its slot until it is asked for */
	CHECK(info.nr_bad >= 40);
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(space_peek(&w.s, w.s.mm, at(i)), -7);
	CHECK(strstr(hosted_log_text(w.s.m), "cannot be written") != NULL);
	CALL(swap_stop(&w));
}

static void check_retired(struct swap_space *w, kmm_word least)
{
	const struct kmm_swap_area *a = &w->s.k->swap->area[0];
	struct kmm_swap_info info;
	kmm_word bad = 0;

	for (unsigned i = 0; i < a->nr_slots; i++)
		bad += a->slot[i].count == KMM_SLOT_BAD;
	CHECK(kmm_swap_info(w->s.k, 0, &info));
	CHECK_EQ(bad, info.nr_bad);
	CHECK(bad >= least);
}

/* A slot that could not be written is used no more, also when nobody asks for its page again. */
SWAP_BOTH(swap_failed_slots_are_retired)
{
	struct hosted_swap_faults gone = { .nth = 1, .for_ever = true }, none = { 0 };
	struct swap_space w;

	CALL(start_sized(&w, KMM_X86_64, 0, 512));
	CHECK_EQ(space_map(&w.s, at(0), 200, SPACE_RW, SPACE_ANON), 0);
	CALL(swap_fill(&w, w.s.mm, 0, 40, 1));
	hosted_swap_fail(w.disk, &gone);
	(void)kmm_reclaim_pages(w.s.k, 40);
	kmm_swap_quiesce(w.s.k);
	CHECK_EQ(space_unmap(&w.s, at(0), 40), 0);
	CALL(check_retired(&w, 16));
	hosted_swap_fail(w.disk, &none);
	CALL(swap_fill(&w, w.s.mm, 40, 160, 1));
	CALL(swap_push_out(&w));
	CALL(check_retired(&w, 16));
	CHECK_EQ(slots_used(&w), 160);
	CALL(swap_verify(&w, w.s.mm, 40, 160, 1));
	CALL(swap_stop(&w));
}

/* Dead slots are told to the device, once a cluster of them is free. */
SWAP_BOTH(swap_discards)
{
	struct hosted_swap_counts counts;
	struct swap_space w;

	CALL(start(&w, KMM_X86_64));
	CHECK_EQ(space_map(&w.s, at(0), 256, SPACE_RW, SPACE_ANON), 0);
	CALL(swap_fill(&w, w.s.mm, 0, 256, 1));
	CALL(swap_push_out(&w));
	CHECK_EQ(space_unmap(&w.s, at(0), 256), 0);
	CHECK(!kmm_reclaim_step(w.s.k, 1));
	hosted_swap_counts(w.disk, &counts);
	CHECK_EQ(counts.discarded, 256);
	CALL(swap_stop(&w));
}

/* Lack of memory anywhere on the way of a fault on swap, of fork and of swapon leaves all as it was. */
static int touch_all(struct space *s)
{
	for (unsigned i = 0; i < 40; i++)
		if (space_peek(s, s->mm, at(i)) == -9)
			return 12;
	return 0;
}

SWAP_BOTH(swap_without_memory)
{
	struct kmm_mm *child;
	struct swap_space w;

	CALL(start(&w, KMM_I386_PAE));
	CHECK_EQ(space_map(&w.s, at(0), 40, SPACE_RW, SPACE_ANON), 0);
	CALL(swap_fill(&w, w.s.mm, 0, 40, 1));
	CALL(swap_push_out(&w));
	CALL(space_fail_each(&w.s, touch_all, false));
	CALL(swap_verify(&w, w.s.mm, 0, 40, 1));
	CALL(swap_push_out(&w));
	for (uint64_t n = 1;; n++) {
		enum kmm_status status;

		kmm_fail_nth(w.s.k, n);
		status = kmm_mm_fork(w.s.mm, &child);
		kmm_fail_nth(w.s.k, 0);
		CALL(space_audit(&w.s));
		if (status == KMM_OK)
			break;
		CHECK_EQ(status, KMM_ENOMEM);
		CHECK_EQ(slots_used(&w), 40);
	}
	hosted_put_space(w.s.m, child);
	CALL(swap_verify(&w, w.s.mm, 0, 40, 1));
	CALL(swap_stop(&w));
}
