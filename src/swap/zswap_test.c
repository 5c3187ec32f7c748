/* SPDX-License-Identifier: MIT */
/*
 * Compressed swap end to end in a small hosted machine: contents survive whichever way they go, each transfer fails once, and the
 * pool never has more than it may.
 */
#include "swap/zswap.h"

#include "harness/swap_space.h"

/* What a page is to hold: text-like bytes, one word, or chance. */
enum sort { TEXT, WORD, CHANCE };

static void make_page(uint8_t *page, enum sort sort, uint64_t salt)
{
	uint64_t state = salt * 0x9e3779b97f4a7c15ull + 1, value = 0;

	for (unsigned i = 0; i < KMM_PAGE_SIZE; i++) {
		if (i % 8 == 0 && (sort != WORD || i == 0))
			value = kmm_test_rand(&state);
		page[i] = (uint8_t)(value >> i % 8 * 8);
		if (sort == TEXT)
			page[i] = i % 8 < 3 ? page[i] & 0x1f : (uint8_t)salt;
	}
}

static void start(struct swap_space *w, enum kmm_format_id format, uint64_t ram_mib, unsigned swap_pages, unsigned percent)
{
	CALL(swap_start(w, &(struct swap_setup){ .format = format, .ram_mib = ram_mib, .swap_pages = swap_pages }));
	CHECK_OK(kmm_zswap_on(w->s.k, &kmm_compressor_lz4, percent));
}

static struct kmm_zswap_stats stats_of(struct swap_space *w)
{
	struct kmm_zswap_stats stats;

	kmm_zswap_stats(w->s.k, &stats);
	return stats;
}

/* Nothing is left, neither slots nor frames but those in reserve. */
static void stop(struct swap_space *w)
{
	CALL(space_audit(&w->s));
	hosted_put_space(w->s.m, w->s.mm);
	w->s.mm = NULL;
	CHECK_EQ(stats_of(w).pages, 0);
	CHECK_EQ(stats_of(w).frames, KMM_ZPOOL_SPARE * KMM_ZBLOCK_FRAMES);
	CALL(swap_stop(w));
}

static void fill(struct swap_space *w, unsigned first, unsigned nr, enum sort sort)
{
	uint8_t page[KMM_PAGE_SIZE];

	for (unsigned i = first; i < first + nr; i++) {
		make_page(page, sort, i);
		CHECK(hosted_write_user(w->s.m, w->s.mm, at(i), page, sizeof(page)).ok);
	}
}

/* Pages that differ; *errors of them gave a bus error. */
static void verify_in(struct swap_space *w, struct kmm_mm *mm, unsigned first, unsigned nr, enum sort sort, unsigned *errors)
{
	uint8_t page[KMM_PAGE_SIZE], seen[KMM_PAGE_SIZE];

	for (unsigned i = first; i < first + nr; i++) {
		struct hosted_result r = hosted_read_user(w->s.m, mm, at(i), seen, sizeof(seen));

		make_page(page, sort, i);
		*errors += !r.ok && r.signal == 7;
		CHECK(r.ok || r.signal == 7);
		CHECK(!r.ok || memcmp(page, seen, sizeof(page)) == 0);
	}
}

static void verify(struct swap_space *w, unsigned first, unsigned nr, enum sort sort)
{
	unsigned errors = 0;

	CALL(verify_in(w, w->s.mm, first, nr, sort, &errors));
	CHECK_EQ(errors, 0);
}

/* Text is kept, words are kept for nearly nothing, chance goes to the disk; all come back. */
KMM_TEST(zswap_sorts_of_pages)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct hosted_swap_counts counts;
		struct swap_space w;

		CALL(start(&w, space_formats[f], 1200, 4096, 10));
		CHECK_EQ(space_map(&w.s, at(0), 300, SPACE_RW, SPACE_ANON), 0);
		CALL(fill(&w, 0, 100, TEXT));
		CALL(fill(&w, 100, 100, WORD));
		CALL(fill(&w, 200, 100, CHANCE));
		CALL(swap_push_out(&w));
		hosted_swap_counts(w.disk, &counts);
		CHECK_EQ(counts.written, 100);
		CHECK_EQ(stats_of(&w).out, 200);
		CHECK_EQ(stats_of(&w).pages, 200);
		CHECK_EQ(stats_of(&w).refused, 100);
		CHECK(stats_of(&w).bytes < 100 * KMM_PAGE_SIZE * 3 / 4 + 100 * 8);
		CALL(verify(&w, 100, 100, WORD));
		CALL(verify(&w, 0, 100, TEXT));
		CALL(verify(&w, 200, 100, CHANCE));
		hosted_swap_counts(w.disk, &counts);
		CHECK_EQ(counts.read, 100);
		CHECK_EQ(stats_of(&w).in, 200);
		CALL(stop(&w));
	}
}

/* A program three times as large as memory: the pool fills to its part and no further, and the oldest are written on. */
KMM_TEST(zswap_larger_than_memory)
{
	static const enum kmm_format_id formats[] = { KMM_I386, KMM_I386_PAE, KMM_X86_64 };

	for (unsigned f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
		const unsigned nr = 3 * 16 * 256;
		struct swap_space w;

		CALL(start(&w, formats[f], 16, nr, 25));
		for (unsigned i = 0; i < nr; i += nr / 6)
			CHECK_EQ(space_map(&w.s, at(i), nr / 6, SPACE_RW, SPACE_ANON), 0);
		CALL(fill(&w, 0, nr, TEXT));
		CHECK(stats_of(&w).written_on > 0);
		CHECK(stats_of(&w).most_frames <= 16 * 256 / 4);
		CHECK(stats_of(&w).frames <= stats_of(&w).most_frames);
		CHECK(stats_of(&w).pages > stats_of(&w).frames); /* or it would not be worth it */
		CALL(space_audit(&w.s));
		CALL(verify(&w, 0, nr, TEXT));
		CALL(fill(&w, 0, nr, CHANCE));
		CALL(verify(&w, 0, nr, CHANCE));
		CALL(stop(&w));
	}
}

/* The first that went out are the first that are written on, many by one transfer. */
KMM_TEST(zswap_oldest_go_on)
{
	struct kmm_zswap_stats before;
	struct hosted_swap_counts counts;
	struct swap_space w;
	unsigned nr = 0;

	CALL(start(&w, KMM_X86_64, 64, 16384, 1));
	CHECK_EQ(space_map(&w.s, at(0), 6000, SPACE_RW, SPACE_ANON), 0);
	while (stats_of(&w).written_on == 0 && nr < 6000) {
		CALL(fill(&w, nr, 100, TEXT));
		CALL(swap_push_out(&w));
		nr += 100;
	}
	CHECK(nr < 6000);
	CHECK(hosted_swap_transfers(w.disk) * 4 < stats_of(&w).written_on);
	before = stats_of(&w);
	CALL(verify(&w, nr - 100, 100, TEXT)); /* the last are still here */
	hosted_swap_counts(w.disk, &counts);
	CHECK_EQ(counts.read, 0);
	CHECK_EQ(stats_of(&w).in, before.in + 100);
	CALL(verify(&w, 0, 10, TEXT)); /* the first are not */
	hosted_swap_counts(w.disk, &counts);
	CHECK_EQ(counts.read, 10);
	CALL(verify(&w, 0, nr, TEXT));
	CALL(stop(&w));
}

/* ---- errors of the device ---- */

/* Each transfer of a scenario with all sorts of pages and a pool that overflows fails once. Writes cost nobody anything. */
static unsigned transfers_of(struct swap_space *w, unsigned nth, bool torn, unsigned *errors)
{
	struct hosted_swap_faults faults = { .nth = nth, .torn = torn }, none = { 0 };
	unsigned transfers;

	hosted_swap_fail(w->disk, &faults);
	for (unsigned i = 0; i < 500; i += 100) {
		fill(w, i, 80, TEXT);
		fill(w, i + 80, 20, CHANCE);
		swap_push_out(w);
	}
	for (unsigned i = 0; i < 500; i += 100) {
		verify_in(w, w->s.mm, i, 80, TEXT, errors);
		verify_in(w, w->s.mm, i + 80, 20, CHANCE, errors);
	}
	transfers = (unsigned)hosted_swap_transfers(w->disk);
	hosted_swap_fail(w->disk, &none);
	return transfers;
}

KMM_TEST(zswap_each_transfer_fails_once)
{
	for (unsigned torn = 0; torn < 2; torn++) {
		unsigned transfers = 1;

		for (unsigned n = 1; n <= transfers; n += n < 20 ? 1 : 13) {
			unsigned errors = 0;
			struct swap_space w;

			CALL(start(&w, KMM_X86_64, 16, 4096, 2));
			CHECK_EQ(space_map(&w.s, at(0), 500, SPACE_RW, SPACE_ANON), 0);
			CALL(transfers = transfers_of(&w, n, torn, &errors));
			CHECK(errors <= 1);
			CHECK(strstr(hosted_log_text(w.s.m), "cannot be read") ? errors == 1 : errors == 0);
			CHECK(stats_of(&w).written_on > 0);
			for (unsigned i = 0; i < 500; i += 100) {
				CALL(verify(&w, i, 80, TEXT));
				CALL(verify(&w, i + 80, 20, CHANCE));
			}
			CALL(stop(&w));
		}
		CHECK(transfers > 40);
	}
}

/* The device is gone when the pool overflows: what is compressed stays readable, and its slots are not used again. */
KMM_TEST(zswap_device_disappears)
{
	struct hosted_swap_faults gone = { .nth = 1, .for_ever = true };
	struct kmm_swap_info info;
	struct swap_space w;
	kmm_word kept;

	CALL(start(&w, KMM_I386_PAE, 16, 4096, 2));
	CHECK_EQ(space_map(&w.s, at(0), 1000, SPACE_RW, SPACE_ANON), 0);
	hosted_swap_fail(w.disk, &gone);
	CALL(fill(&w, 0, 400, TEXT));
	while (kmm_reclaim_pages(w.s.k, 400))
		;
	CALL(space_audit(&w.s));
	kept = stats_of(&w).pages;
	CHECK(kept > 50);
	CHECK_EQ(stats_of(&w).written_on, 0);
	CHECK(strstr(hosted_log_text(w.s.m), "stays in memory, compressed") != NULL);
	CALL(verify(&w, 0, 400, TEXT));
	CHECK_EQ(stats_of(&w).pages, 0);
	CHECK(kmm_swap_info(w.s.k, 0, &info));
	CHECK_EQ(info.nr_used, 0);
	CHECK(info.nr_bad > 0);
	CALL(stop(&w));
}

/* ---- what else happens to slots ---- */

/* Fork shares pieces, unmapping drops them, swapoff brings them back. */
KMM_TEST(zswap_slots_come_and_go)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_mm *child;
		unsigned errors = 0;
		struct swap_space w;

		CALL(start(&w, space_formats[f], 1200, 4096, 10));
		CHECK_EQ(space_map(&w.s, at(0), 100, SPACE_RW, SPACE_ANON), 0);
		CALL(fill(&w, 0, 100, TEXT));
		CALL(swap_push_out(&w));
		CHECK_OK(kmm_mm_fork(w.s.mm, &child));
		CHECK_EQ(stats_of(&w).pages, 100);
		CHECK_EQ(space_unmap(&w.s, at(0), 50), 0);
		CHECK_EQ(stats_of(&w).pages, 100);
		CALL(verify_in(&w, child, 0, 50, TEXT, &errors));
		CHECK_EQ(stats_of(&w).pages, 50);
		CHECK_OK(kmm_swap_off(w.s.k, hosted_swap_device(w.disk)));
		CHECK_EQ(stats_of(&w).pages, 0);
		CALL(space_audit(&w.s));
		CALL(verify_in(&w, child, 0, 100, TEXT, &errors));
		CALL(verify(&w, 50, 50, TEXT));
		CHECK_EQ(errors, 0);
		hosted_put_space(w.s.m, child);
		CHECK_OK(kmm_swap_on(w.s.k, hosted_swap_device(w.disk), -1)); /* an area that comes later is served too */
		CALL(swap_push_out(&w));
		CHECK_EQ(stats_of(&w).pages, 50);
		kmm_zswap_off(w.s.k);
		CALL(verify(&w, 50, 50, TEXT));
		CALL(swap_push_out(&w));
		CHECK_EQ(stats_of(&w).pages, 0);
		CALL(verify(&w, 50, 50, TEXT));
		CALL(stop(&w));
	}
}

KMM_TEST(zswap_start_is_checked)
{
	static const struct kmm_compressor other = { .name = "other" };
	struct swap_space w;

	CALL(start(&w, KMM_X86_64, 64, 512, 10));
	CHECK_EQ(kmm_zswap_on(w.s.k, &kmm_compressor_lz4, 0), KMM_EINVAL);
	CHECK_EQ(kmm_zswap_on(w.s.k, &kmm_compressor_lz4, 91), KMM_EINVAL);
	CHECK_EQ(kmm_zswap_on(w.s.k, &kmm_compressor_lz4, 20), KMM_EBUSY);
	CHECK_EQ(kmm_zswap_on(w.s.k, &other, 10), KMM_EBUSY);
	kmm_zswap_off(w.s.k);
	CHECK_OK(kmm_zswap_on(w.s.k, &kmm_compressor_lz4, 10));
	CALL(stop(&w));
}

/* Each allocation of the start fails once, of a machine whose swap is on before. */
KMM_TEST(zswap_start_without_memory)
{
	enum kmm_status status = KMM_ENOMEM;

	for (uint64_t n = 1; status == KMM_ENOMEM; n++) {
		struct hosted_config config = { .machine = { .format = KMM_X86_64, .nr_cpus = 2 }, .ram_bytes = 16 << 20 };
		struct swap_space w = { 0 };
		const char *why = "";

		CHECK_OK(hosted_boot(&config, &w.s.m, &why));
		w.s.k = hosted_kmm(w.s.m);
		w.disk = hosted_swap_open(w.s.m, 256 * SPACE_PAGE);
		CHECK_OK(kmm_swap_on(w.s.k, hosted_swap_device(w.disk), -1));
		kmm_fail_nth(w.s.k, n);
		status = kmm_zswap_on(w.s.k, &kmm_compressor_lz4, 10);
		kmm_fail_nth(w.s.k, 0);
		CHECK(status == KMM_OK || n < 1000);
		CHECK_EQ(stats_of(&w).frames, status == KMM_OK ? KMM_ZPOOL_SPARE * KMM_ZBLOCK_FRAMES : 0);
		CALL(space_audit(&w.s));
		hosted_shutdown(w.s.m);
		hosted_swap_close(w.disk);
	}
	CHECK_OK(status);
}

/* No frame can be had while pages go out: what the reserve has no room for goes to the disk. */
KMM_TEST(zswap_without_memory)
{
	for (unsigned n = 1; n < 40; n++) {
		struct swap_space w;

		CALL(start(&w, KMM_I386, 1200, 4096, 10));
		CHECK_EQ(space_map(&w.s, at(0), 100, SPACE_RW, SPACE_ANON), 0);
		CALL(fill(&w, 0, 100, TEXT));
		kmm_fail_nth(w.s.k, n);
		CALL(swap_push_out(&w));
		kmm_fail_nth(w.s.k, 0);
		CALL(verify(&w, 0, 100, TEXT));
		CALL(stop(&w));
	}
}
