/* SPDX-License-Identifier: MIT */
/*
 * Shared memory and files in memory on their way to swap and back; files of the host losing clean pages and getting dirty ones;
 * advice to page out. Each transfer and each allocation of a scenario fails once.
 */
#include "vm/backing.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/swap_space.h"
#include "kmm/writeback.h"

enum { BUS = 7, PAGES = 40 };
static void start_sized(struct swap_space *w, enum kmm_format_id format, unsigned ram_mib)
{
	CALL(swap_start(w, &(struct swap_setup){ .format = format, .ram_mib = ram_mib, .swap_pages = 256 }));
	kmm_file_init(&w->file, w->s.k, PAGES * SPACE_PAGE, "/memory"); /* the tests that use it map it */
}

static void start(struct swap_space *w, enum kmm_format_id format) { start_sized(w, format, 0); }

static void stop(struct swap_space *w)
{
	CALL(space_audit(&w->s));
	hosted_put_space(w->s.m, w->s.mm);
	w->s.mm = NULL;
	kmm_backing_put(&w->file.backing);
	CALL(swap_stop(w));
}

/* A line of smaps, summed over all areas, in KiB. */
static unsigned long smaps(struct space *s, const char *name)
{
	struct hosted_text text;
	unsigned long sum = 0;

	kmm_report_smaps(s->mm, hosted_text_init(&text));
	for (const char *p = text.text; (p = strstr(p, name)) != NULL; p += strlen(name))
		if (p == text.text || p[-1] == '\n')
			sum += strtoul(p + strlen(name), NULL, 10);
	hosted_text_free(&text);
	return sum;
}

/* Shared anonymous memory goes out and comes back, for all who share it; a hole stays one. */
KMM_TEST(fileswap_shared_memory)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_mm *child;
		struct swap_space w;

		CALL(start(&w, space_formats[f]));
		CHECK_EQ(space_map(&w.s, at(0), PAGES, SPACE_RW, SPACE_SHARED), 0);
		CALL(swap_fill(&w, w.s.mm, 0, 30, 7));
		CHECK_EQ(smaps(&w.s, "Swap:"), 0);
		CHECK_OK(kmm_mm_fork(w.s.mm, &child));
		CALL(swap_verify(&w, child, 10, 5, 7));
		CALL(swap_push_out(&w));
		CHECK_EQ(slots_used(&w), 30);
		CHECK_EQ(smaps(&w.s, "Swap:"), 30 * 4);
		CHECK_EQ(smaps(&w.s, "Rss:"), 0);
		CALL(swap_verify(&w, child, 0, 10, 7));
		CALL(swap_fill(&w, child, 5, 1, 9));
		CALL(swap_verify(&w, w.s.mm, 5, 1, 9));
		CALL(swap_fill(&w, child, 5, 1, 7));
		CHECK_EQ(slots_used(&w), 20);
		CALL(space_audit(&w.s));
		CALL(swap_push_out(&w));
		CALL(swap_verify(&w, w.s.mm, 0, 30, 7));
		CHECK_EQ(slots_used(&w), 0);
		CHECK_EQ(space_peek(&w.s, w.s.mm, at(35)), 0);
		CALL(swap_push_out(&w));
		hosted_put_space(w.s.m, child);
		CHECK_EQ(slots_used(&w), 30);
		CALL(stop(&w));
	}
}

/* By calls: what is in swap is read and written as what is in memory, and cut off; nothing that was cut off comes back. */
KMM_TEST(fileswap_calls_and_truncation)
{
	struct swap_space w;
	char buf[8];
	size_t done;

	CALL(start(&w, KMM_I386_PAE));
	CHECK_EQ(space_map_file(&w.s, at(0), PAGES, SPACE_RW, KMM_MAP_SHARED, &w.file, 0), 0);
	CALL(swap_fill(&w, w.s.mm, 0, PAGES, 3));
	CALL(swap_push_out(&w));
	CHECK_EQ(w.file.nr_swapped, PAGES);
	CHECK_OK(kmm_file_read(&w.file, 4 * SPACE_PAGE + 16, buf, 1, &done));
	CHECK_EQ(buf[0], 5);
	CHECK_OK(kmm_file_write(&w.file, 6 * SPACE_PAGE + 100, "x", 1, &done));
	CALL(swap_verify(&w, w.s.mm, 6, 1, 3));
	CHECK_EQ(w.file.nr_swapped, PAGES - 2);
	CHECK_OK(kmm_file_truncate(&w.file, 20 * SPACE_PAGE + 17));
	CHECK_EQ(slots_used(&w), 18);
	CALL(space_audit(&w.s));
	CHECK_OK(kmm_file_truncate(&w.file, PAGES * SPACE_PAGE));
	CHECK_EQ(space_peek(&w.s, w.s.mm, at(20) + 16), 21);
	CHECK_EQ(space_peek(&w.s, w.s.mm, at(20) + 20), 0);
	CHECK_EQ(space_peek(&w.s, w.s.mm, at(21) + 16), 0);
	CHECK_OK(kmm_file_punch(&w.file, 1, 3));
	CHECK_EQ(space_peek(&w.s, w.s.mm, at(2) + 16), 0);
	CALL(swap_verify(&w, w.s.mm, 4, 16, 3));
	CALL(swap_push_out(&w));
	CALL(stop(&w)); /* with most of it in swap */
}

/* swapoff brings it back; without room it refuses, and nothing is lost. */
KMM_TEST(fileswap_off)
{
	struct kmm_mm *child;
	struct swap_space w;

	CALL(start(&w, KMM_X86_64));
	CHECK_EQ(space_map(&w.s, at(0), 20, SPACE_RW, SPACE_SHARED), 0);
	CHECK_EQ(space_map_file(&w.s, at(20), PAGES, SPACE_RW, KMM_MAP_SHARED, &w.file, 0), 0);
	CALL(swap_fill(&w, w.s.mm, 0, 20 + PAGES, 4));
	CHECK_OK(kmm_mm_fork(w.s.mm, &child));
	CALL(swap_push_out(&w));
	CHECK_EQ(slots_used(&w), 20 + PAGES);
	CHECK_OK(kmm_swap_off(w.s.k, hosted_swap_device(w.disk)));
	CHECK_EQ(w.file.nr_swapped, 0);
	CALL(space_audit(&w.s));
	CALL(swap_verify(&w, child, 0, 20 + PAGES, 4));
	CHECK_OK(kmm_swap_on(w.s.k, hosted_swap_device(w.disk), -1));
	hosted_put_space(w.s.m, child);
	CALL(swap_push_out(&w));
	CALL(swap_verify(&w, w.s.mm, 0, 20 + PAGES, 4));
	CALL(stop(&w));
}

/* Each transfer fails once: a page that was not written stays, one that was not read costs one access. */
KMM_TEST(fileswap_each_transfer_fails_once)
{
	uint64_t transfers = 1;

	for (uint64_t n = 1; n <= transfers; n++) {
		struct hosted_swap_faults faults = { .nth = n, .torn = n % 2 }, none = { 0 };
		unsigned errors = 0;
		struct swap_space w;

		CALL(start(&w, KMM_X86_64));
		CHECK_EQ(space_map(&w.s, at(0), PAGES, SPACE_RW, SPACE_SHARED), 0);
		CALL(swap_fill(&w, w.s.mm, 0, PAGES, 1));
		hosted_swap_fail(w.disk, &faults);
		CALL(swap_push_out(&w));
		for (unsigned i = 0; i < PAGES; i++)
			errors += space_peek(&w.s, w.s.mm, at(i) + 16) == -BUS;
		transfers = hosted_swap_transfers(w.disk);
		hosted_swap_fail(w.disk, &none);
		CHECK(errors <= 1);
		CALL(swap_verify(&w, w.s.mm, 0, PAGES, 1));
		CALL(stop(&w));
	}
	CHECK(transfers > 2);
}

static int touch_all(struct space *s)
{
	for (unsigned i = 0; i < PAGES; i++)
		if (space_peek(s, s->mm, at(i)) == -9)
			return 12;
	return 0;
}

KMM_TEST(fileswap_without_memory)
{
	struct swap_space w;

	CALL(start(&w, KMM_I386));
	CHECK_EQ(space_map(&w.s, at(0), PAGES, SPACE_RW, SPACE_SHARED), 0);
	CALL(swap_fill(&w, w.s.mm, 0, PAGES, 1));
	CALL(swap_push_out(&w));
	CALL(space_fail_each(&w.s, touch_all, false));
	CALL(swap_verify(&w, w.s.mm, 0, PAGES, 1));
	CALL(stop(&w));
}

/* ---- files of the host ---- */

/* Reclaim drops clean pages and writes dirty ones, in rows; a page that cannot be written stays. */
KMM_TEST(fileswap_stored_files)
{
	struct hosted_swap_faults gone = { .nth = 1, .for_ever = true }, none = { 0 };
	int fd = memfd_create("stored", MFD_CLOEXEC);
	struct hosted_file *f;
	struct swap_space w;
	uint64_t value;

	CALL(start(&w, KMM_I386_PAE));
	CHECK(fd >= 0 && ftruncate(fd, PAGES * (off_t)SPACE_PAGE) == 0);
	f = hosted_file_open(w.s.m, fd, "/stored");
	CHECK_EQ(space_map_file(&w.s, at(0), PAGES, SPACE_RW, KMM_MAP_SHARED, hosted_file_of(f), 0), 0);
	for (unsigned i = 0; i < PAGES; i++)
		CHECK_EQ(space_peek(&w.s, w.s.mm, at(i)), 0);
	CALL(swap_fill(&w, w.s.mm, 0, PAGES - 8, 6));
	hosted_file_fail(f, &gone);
	CALL(swap_push_out(&w));
	CHECK_EQ(hosted_file_of(f)->nr_pages, PAGES - 8);
	CHECK_EQ(hosted_file_of(f)->nr_dirty, PAGES - 8);
	CALL(swap_verify(&w, w.s.mm, 0, PAGES - 8, 6));
	hosted_file_fail(f, &none);
	CALL(swap_push_out(&w));
	CHECK_EQ(hosted_file_transfers(f), 1); /* a row, whatever frames it lies in */
	CHECK_EQ(hosted_file_of(f)->nr_pages, 0);
	CHECK_EQ(slots_used(&w), 0);
	CHECK_EQ(pread(fd, &value, sizeof(value), 5 * (off_t)SPACE_PAGE + 16), sizeof(value));
	CHECK_EQ(value, 6ull << 32 | 6);
	CALL(swap_verify(&w, w.s.mm, 0, PAGES - 8, 6));
	CHECK_EQ(space_unmap(&w.s, at(0), PAGES), 0);
	hosted_file_put(f);
	CALL(stop(&w));
	close(fd);
}

/* A mapping of a file larger than memory, without swap: its own pages make room for its own. */
KMM_TEST(fileswap_file_larger_than_memory)
{
	enum { MANY = 6000 };
	int fd = memfd_create("stored", MFD_CLOEXEC);
	struct hosted_file *f;
	struct swap_space w;
	uint64_t value;

	CALL(start_sized(&w, KMM_X86_64, 16));
	CHECK_OK(kmm_swap_off(w.s.k, hosted_swap_device(w.disk)));
	CHECK(fd >= 0 && ftruncate(fd, MANY * (off_t)SPACE_PAGE) == 0);
	f = hosted_file_open(w.s.m, fd, "/stored");
	CHECK_EQ(space_map_file(&w.s, at(0), MANY, SPACE_RW, KMM_MAP_SHARED, hosted_file_of(f), 0), 0);
	CALL(swap_fill(&w, w.s.mm, 0, MANY, 2));
	CALL(swap_verify(&w, w.s.mm, 0, MANY, 2));
	CALL(space_audit(&w.s));
	CHECK_EQ(space_unmap(&w.s, at(0), MANY), 0);
	hosted_file_put(f);
	for (unsigned i = 0; i < MANY; i++) {
		CHECK_EQ(pread(fd, &value, sizeof(value), i * (off_t)SPACE_PAGE + 16), sizeof(value));
		CHECK_EQ(value, 2ull << 32 | (i + 1));
	}
	CHECK_OK(kmm_swap_on(w.s.k, hosted_swap_device(w.disk), -1));
	CALL(stop(&w));
	close(fd);
}

/* ---- advice ---- */

/* PAGEOUT: private pages and shared ones to swap, those of files to their file; what others map too stays. Without swap
 * shared pages leave the tables, and no more: mincore finds them. */
KMM_TEST(fileswap_pageout)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		const kmm_word start_of_all = (kmm_word)at(0);
		struct kmm_mm *child;
		struct swap_space w;

		CALL(start(&w, space_formats[f]));
		CHECK_EQ(space_map(&w.s, at(0), PAGES, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(space_map(&w.s, at(PAGES), PAGES, SPACE_RW, SPACE_SHARED), 0);
		CHECK_EQ(space_map(&w.s, at(3 * PAGES), 1, SPACE_RW, SPACE_ANON), 0); /* for mincore */
		CALL(swap_fill(&w, w.s.mm, 0, 2 * PAGES, 2));
		CHECK_OK(kmm_madvise(w.s.mm, kmm_uva(start_of_all), 2 * PAGES * SPACE_PAGE, KMM_MADV_PAGEOUT));
		CHECK_EQ(slots_used(&w), 2 * PAGES);
		CHECK_EQ(smaps(&w.s, "Swap:"), 2 * PAGES * 4);
		CALL(space_audit(&w.s));
		CALL(swap_verify(&w, w.s.mm, 0, 2 * PAGES, 2));
		CHECK_OK(kmm_mm_fork(w.s.mm, &child));
		CHECK_OK(kmm_madvise(w.s.mm, kmm_uva(start_of_all), PAGES * SPACE_PAGE, KMM_MADV_PAGEOUT));
		CHECK_EQ(slots_used(&w), 0);
		hosted_put_space(w.s.m, child);
		CHECK_OK(kmm_swap_off(w.s.k, hosted_swap_device(w.disk)));
		CHECK_OK(kmm_madvise(w.s.mm, kmm_uva(start_of_all), 2 * PAGES * SPACE_PAGE, KMM_MADV_PAGEOUT));
		CHECK_EQ(smaps(&w.s, "Rss:"), PAGES * 4);
		CHECK_OK(kmm_mincore(w.s.mm, kmm_uva((kmm_word)at(PAGES)), PAGES * SPACE_PAGE, kmm_uva((kmm_word)at(3 * PAGES))));
		for (unsigned i = 0; i < PAGES; i++)
			CHECK_EQ(space_peek(&w.s, w.s.mm, at(3 * PAGES) + i), 1);
		CHECK_OK(kmm_swap_on(w.s.k, hosted_swap_device(w.disk), -1));
		CALL(swap_verify(&w, w.s.mm, 0, 2 * PAGES, 2));
		CALL(stop(&w));
	}
}

/* ---- calls count as use ---- */

enum { ALL = 3000, HOT = 200, ROUNDS = 40, LEARNING = 20 };

/* All over the file, or the hand would come to them last. */
static void read_hot(struct swap_space *w)
{
	char byte;
	size_t done;

	for (unsigned i = 0; i < HOT; i++)
		CHECK_OK(kmm_file_read(&w->file, i * (uint64_t)(ALL / HOT * SPACE_PAGE) + 16, &byte, 1, &done));
}

static void call_again_and_again(const struct kmm_reclaim_policy *policy)
{
	struct kmm_swap_stats stats = { 0 };
	kmm_word learned = 0;
	struct swap_space w;
	size_t done;

	CALL(swap_start(&w, &(struct swap_setup){ .format = KMM_X86_64, .ram_mib = 32, .swap_pages = 8192 }));
	kmm_reclaim_set_policy(w.s.k, policy);
	kmm_file_init(&w.file, w.s.k, 0, "/memory");
	for (uint32_t i = 0; i < ALL; i++)
		CHECK_OK(kmm_file_write(&w.file, i * (uint64_t)SPACE_PAGE + 16, &(uint32_t){ i + 1 }, 4, &done));
	for (unsigned n = 0; n < ROUNDS; n++) {
		CALL(read_hot(&w));
		kmm_swap_stats(w.s.k, &stats);
		learned = n < LEARNING ? stats.in : learned;
		CHECK(kmm_reclaim_pages(w.s.k, 32) >= 32);
	}
	CHECK(stats.out >= (ROUNDS - 1) * 32);
	CHECK_EQ(stats.in, learned); /* a tenth and more come back if calls leave no mark */
	CHECK_EQ(stats.major, 0);
	hosted_put_space(w.s.m, w.s.mm);
	w.s.mm = NULL;
	kmm_backing_put(&w.file.backing);
	CALL(swap_stop(&w));
}

/* What is read by calls all the time stays, and the rest of the file goes; and no such read is a major fault. */
KMM_TEST(fileswap_calls_are_use)
{
	for (unsigned i = 0; kmm_reclaim_policies[i]; i++)
		CALL(call_again_and_again(kmm_reclaim_policies[i]));
}
