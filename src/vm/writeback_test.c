/* SPDX-License-Identifier: MIT */
/*
 * Files of the host mapped into hosted machines: when what programs wrote reaches the host's file, what happens to it when
 * transfers fail, and that no write is lost between a mapping and the writer.
 */
#include "kmm/observe.h"
#include "kmm/writeback.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/space.h"
#include "vm/backing.h"

enum { BUS = 7, PAGES = 40 };
#define AT 0x20000000ull

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

struct stored {
	struct space s;
	int fd;
	struct hosted_file *f;
	struct kmm_file *file;
};

/* Page n of the host's file holds n + 1 in its first byte. */
static void open_file(struct stored *w, uint64_t bytes)
{
	w->fd = memfd_create("store", MFD_CLOEXEC);
	CHECK(w->fd >= 0 && ftruncate(w->fd, (off_t)bytes) == 0);
	for (unsigned n = 0; n < bytes / SPACE_PAGE; n++) {
		uint8_t byte = (uint8_t)(n + 1);

		CHECK_EQ(pwrite(w->fd, &byte, 1, (off_t)(n * SPACE_PAGE)), 1);
	}
	w->f = hosted_file_open(w->s.m, w->fd, "/stored");
	CHECK(w->f != NULL);
	w->file = hosted_file_of(w->f);
}

static void start(struct stored *w, enum kmm_format_id format)
{
	CALL(space_start(&w->s, format));
	CALL(open_file(w, PAGES * SPACE_PAGE));
	CHECK_EQ(space_map_file(&w->s, page(0), PAGES, SPACE_RW, KMM_MAP_SHARED, w->file, 0), 0);
}

static void stop(struct stored *w)
{
	CALL(space_audit(&w->s));
	hosted_put_space(w->s.m, w->s.mm);
	w->s.mm = NULL;
	if (w->f)
		hosted_file_put(w->f);
	CALL(space_stop(&w->s));
	close(w->fd);
}

/* A byte of the host's file; -1: behind its end. */
static int on_disk(const struct stored *w, uint64_t pos)
{
	uint8_t byte;

	return pread(w->fd, &byte, 1, (off_t)pos) == 1 ? byte : -1;
}

static uint64_t disk_size(const struct stored *w)
{
	struct stat st;

	return fstat(w->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static kmm_word dirty(struct stored *w)
{
	struct kmm_writeback_stats stats;

	kmm_writeback_stats(w->s.k, &stats);
	return stats.dirty;
}

static enum kmm_status sync_pages(struct stored *w, unsigned first, unsigned nr)
{
	return kmm_msync(w->s.mm, kmm_uva((kmm_word)page(first)), nr * SPACE_PAGE, KMM_MS_SYNC);
}

/* Nothing reaches the disk before it is asked for, all of it then; a page written back hears of the next write. */
KMM_TEST(writeback_by_msync)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct stored w;

		CALL(start(&w, space_formats[f]));
		for (unsigned n = 0; n < PAGES; n++)
			CHECK_EQ(space_peek(&w.s, w.s.mm, page(n)), n + 1);
		CHECK_EQ(dirty(&w), 0);
		for (unsigned round = 0; round < 3; round++) {
			CHECK_EQ(space_poke(&w.s, w.s.mm, page(3) + 5, (uint8_t)(100 + round)), 0);
			CHECK_EQ(space_poke(&w.s, w.s.mm, page(3) + 6, 77), 0);
			CHECK_EQ(space_poke(&w.s, w.s.mm, page(9) + 5, (uint8_t)(200 + round)), 0);
			CHECK_EQ(dirty(&w), 2);
			CALL(space_audit(&w.s));
			CHECK_EQ(on_disk(&w, 3 * SPACE_PAGE + 5), round ? 99 + (int)round : 0);
			CHECK_OK(kmm_msync(w.s.mm, kmm_uva((kmm_word)page(0)), PAGES * SPACE_PAGE, KMM_MS_ASYNC));
			CHECK_EQ(dirty(&w), 2);
			CHECK_OK(sync_pages(&w, 0, 4));
			CHECK_EQ(dirty(&w), 1);
			CHECK_EQ(on_disk(&w, 3 * SPACE_PAGE + 5), 100 + (int)round);
			CHECK_EQ(on_disk(&w, 9 * SPACE_PAGE + 5), round ? 199 + (int)round : 0);
			CHECK_OK(sync_pages(&w, 4, PAGES - 4));
			CHECK_EQ(on_disk(&w, 9 * SPACE_PAGE + 5), 200 + (int)round);
			CHECK_EQ(dirty(&w), 0);
			CALL(space_audit(&w.s));
		}
		CALL(stop(&w));
	}
}

/* In order and in batches: a row of 40 pages, written to from its end to its beginning, is two transfers. */
KMM_TEST(writeback_in_rows)
{
	struct hosted_swap_faults none = { 0 };
	struct stored w;

	CALL(start(&w, KMM_I386_PAE));
	for (unsigned n = PAGES; n-- > 0;)
		CHECK_EQ(space_poke(&w.s, w.s.mm, page(n), (uint8_t)(n + 50)), 0);
	hosted_file_fail(w.f, &none); /* counts anew */
	CHECK_OK(sync_pages(&w, 0, PAGES));
	CHECK_EQ(hosted_file_transfers(w.f), 2);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(2), 1), 0);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(4), 1), 0);
	CHECK_OK(sync_pages(&w, 0, PAGES));
	CHECK_EQ(hosted_file_transfers(w.f), 4);
	for (unsigned n = 0; n < PAGES; n++)
		CHECK_EQ(on_disk(&w, n * SPACE_PAGE), n == 2 || n == 4 ? 1 : (int)n + 50);
	CALL(stop(&w));
}

/* Calls and mappings are one; the file grows by writing, and the host's is exactly as long. */
KMM_TEST(writeback_of_calls)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct stored w;
		uint32_t seen;
		char buf[20];
		size_t done;

		CALL(start(&w, space_formats[f]));
		seen = kmm_file_errors(w.file);
		CHECK_OK(kmm_file_write(w.file, 2 * SPACE_PAGE - 2, "four", 4, &done));
		CHECK_EQ(space_peek(&w.s, w.s.mm, page(2)), 'u');
		CHECK_EQ(space_poke(&w.s, w.s.mm, page(2) + 2, '!'), 0);
		CHECK_OK(kmm_file_write(w.file, PAGES * SPACE_PAGE + 10, "tail", 4, &done));
		CHECK_EQ(dirty(&w), 3);
		CHECK_OK(kmm_file_sync(w.file, 0, UINT64_MAX, &seen));
		CHECK_EQ(dirty(&w), 0);
		CHECK_EQ(disk_size(&w), PAGES * SPACE_PAGE + 14);
		CHECK_EQ(on_disk(&w, 2 * SPACE_PAGE - 2), 'f');
		CHECK_EQ(on_disk(&w, 2 * SPACE_PAGE + 1), 'r');
		CHECK_EQ(on_disk(&w, 2 * SPACE_PAGE + 2), '!');
		CHECK_EQ(on_disk(&w, PAGES * SPACE_PAGE + 10), 't');
		CHECK_OK(kmm_copy_out(w.s.mm, kmm_uva((kmm_word)page(5)), "out", 3, NULL));
		CHECK_EQ(dirty(&w), 1);
		CHECK_OK(kmm_file_read(w.file, 5 * SPACE_PAGE, buf, 3, &done));
		CHECK(memcmp(buf, "out", 3) == 0);
		CALL(stop(&w));
	}
}

/* What is cut off is not written, and is zeros when the file grows again, on the disk too. */
KMM_TEST(writeback_and_truncation)
{
	struct stored w;
	uint32_t seen = 0;

	CALL(start(&w, KMM_X86_64));
	for (unsigned n = 0; n < 20; n++)
		CHECK_EQ(space_poke(&w.s, w.s.mm, page(n) + 100, 9), 0);
	CHECK_OK(kmm_file_truncate(w.file, 5 * SPACE_PAGE + 50));
	CHECK_EQ(dirty(&w), 6);
	CHECK_EQ(disk_size(&w), 5 * SPACE_PAGE + 50);
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(6)), -BUS);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(6), 1), -BUS);
	CALL(space_audit(&w.s));
	CHECK_OK(kmm_file_truncate(w.file, PAGES * SPACE_PAGE));
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(5) + 100), 0);
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(7)), 0);
	CHECK_OK(kmm_file_sync(w.file, 0, UINT64_MAX, &seen));
	CHECK_EQ(on_disk(&w, 4 * SPACE_PAGE + 100), 9);
	CHECK_EQ(on_disk(&w, 5 * SPACE_PAGE + 100), 0);
	CHECK_EQ(on_disk(&w, 7 * SPACE_PAGE), 0);
	CHECK_OK(kmm_file_punch(w.file, 1, 2));
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(1) + 100), 0);
	CHECK_OK(kmm_file_sync(w.file, 0, UINT64_MAX, &seen));
	CHECK_EQ(on_disk(&w, 1 * SPACE_PAGE), 0);
	CHECK_EQ(on_disk(&w, 2 * SPACE_PAGE + 100), 0);
	CHECK_EQ(on_disk(&w, 3 * SPACE_PAGE + 100), 9);
	CALL(stop(&w));
}

/* The descriptor is closed, then the mapping goes: the last of both brings it out. */
KMM_TEST(writeback_at_the_end)
{
	struct stored w;

	CALL(start(&w, KMM_I386));
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(1), 42), 0);
	hosted_file_put(w.f);
	w.f = NULL;
	CHECK_EQ(on_disk(&w, SPACE_PAGE), 2);
	CHECK_EQ(space_unmap(&w.s, page(0), PAGES), 0);
	CHECK_EQ(on_disk(&w, SPACE_PAGE), 42);
	CHECK_EQ(dirty(&w), 0);
	CALL(stop(&w));
}

/* A child writes by its own entries, which are protected with the parent's; another mapping of the file too. */
KMM_TEST(writeback_of_sharers)
{
	struct kmm_mm *child;
	struct stored w;

	CALL(start(&w, KMM_X86_64));
	CHECK_EQ(space_map_file(&w.s, page(100), 4, SPACE_RW, KMM_MAP_SHARED, w.file, 2), 0);
	CHECK_EQ(space_map_file(&w.s, page(200), 4, SPACE_RW, KMM_MAP_PRIVATE, w.file, 2), 0);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(2), 1), 0);
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(200)), 1);
	CHECK_OK(kmm_mm_fork(w.s.mm, &child));
	for (unsigned round = 0; round < 3; round++) {
		CHECK_EQ(space_poke(&w.s, child, page(2), (uint8_t)(round + 10)), 0);
		CHECK_EQ(space_poke(&w.s, w.s.mm, page(100) + 1, (uint8_t)(round + 20)), 0);
		CHECK_EQ(space_poke(&w.s, w.s.mm, page(2) + 2, (uint8_t)(round + 30)), 0);
		CHECK_EQ(dirty(&w), 1);
		CHECK_OK(sync_pages(&w, 2, 1));
		CALL(space_audit(&w.s));
		CHECK_EQ(on_disk(&w, 2 * SPACE_PAGE), 10 + (int)round);
		CHECK_EQ(on_disk(&w, 2 * SPACE_PAGE + 1), 20 + (int)round);
		CHECK_EQ(on_disk(&w, 2 * SPACE_PAGE + 2), 30 + (int)round);
	}
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(200), 99), 0); /* a private copy is nobody's business */
	CHECK_EQ(dirty(&w), 0);
	hosted_put_space(w.s.m, child);
	CALL(stop(&w));
}

/* ---- errors ---- */

/* Each who opened the file hears of an error once; the page stays dirty, and the next attempt brings it out. */
KMM_TEST(writeback_errors_are_reported_once)
{
	struct hosted_swap_faults gone = { .nth = 1, .for_ever = true }, none = { 0 };
	uint32_t one, two;
	struct stored w;

	CALL(start(&w, KMM_X86_64));
	one = two = kmm_file_errors(w.file);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(7), 42), 0);
	hosted_file_fail(w.f, &gone);
	CHECK_EQ(sync_pages(&w, 0, PAGES), KMM_EIO);
	CHECK_EQ(dirty(&w), 1);
	CHECK_EQ(kmm_file_sync(w.file, 0, 1, &one), KMM_EIO); /* nothing to write there, but it has not heard yet */
	CHECK_OK(kmm_file_sync(w.file, 0, 1, &one));
	CHECK(!kmm_writeback_step(w.s.k, 100, true)); /* no use */
	CALL(space_audit(&w.s));
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(7), 43), 0);
	hosted_file_fail(w.f, &none);
	CHECK_EQ(kmm_file_sync(w.file, 0, UINT64_MAX, &two), KMM_EIO); /* of then; now it is out */
	CHECK_EQ(on_disk(&w, 7 * SPACE_PAGE), 43);
	CHECK_EQ(sync_pages(&w, 0, PAGES), KMM_EIO); /* the step's attempt */
	CHECK_OK(sync_pages(&w, 0, PAGES));
	CHECK_OK(kmm_file_sync(w.file, 0, UINT64_MAX, &two));
	CALL(stop(&w));
}

/* Each transfer of a scenario fails once; in the end all that programs were told to be done is on the disk. */
KMM_TEST(writeback_each_transfer_fails_once)
{
	uint64_t transfers = 1, total = 0;

	for (uint64_t n = 1; n <= transfers; n++) {
		struct hosted_swap_faults faults = { .nth = n, .torn = n % 2 }, none = { 0 };
		unsigned expected[PAGES] = { 0 }, errors = 0;
		struct stored w;
		uint32_t seen;

		CALL(start(&w, KMM_I386_PAE));
		seen = kmm_file_errors(w.file);
		hosted_file_fail(w.f, &faults);
		for (unsigned i = 0; i < PAGES; i += 1 + i % 3) {
			int got = space_poke(&w.s, w.s.mm, page(i) + 8, (uint8_t)(i + 60));

			CHECK(got == 0 || got == -BUS);
			errors += got != 0;
			expected[i] = got == 0 ? i + 60 : 0;
		}
		if (kmm_file_truncate(w.file, 30 * SPACE_PAGE) != KMM_OK)
			errors++;
		errors += kmm_file_sync(w.file, 0, UINT64_MAX, &seen) != KMM_OK;
		transfers = hosted_file_transfers(w.f);
		hosted_file_fail(w.f, &none);
		CHECK_OK(kmm_file_sync(w.file, 0, UINT64_MAX, &seen));
		CHECK(errors <= 1); /* what failed as a row is tried page by page */
		total += errors;
		for (unsigned i = 0; i < (unsigned)(w.file->size / SPACE_PAGE); i++)
			CHECK_EQ(on_disk(&w, i * SPACE_PAGE + 8), expected[i]);
		CALL(stop(&w));
	}
	CHECK(transfers > PAGES / 2);
	CHECK(total > transfers / 2);
}

/* A disk that is gone at the file's end: the loss is said. */
KMM_TEST(writeback_to_a_lost_disk)
{
	struct hosted_swap_faults gone = { .nth = 1, .for_ever = true };
	struct hosted_config config = { .machine = { .format = KMM_X86_64, .nr_cpus = 1 }, .ram_bytes = 64 << 20,
					.log = HOSTED_LOG_KEEP };
	struct stored w;
	const char *why;

	CHECK_OK(hosted_boot(&config, &w.s.m, &why));
	w.s.k = hosted_kmm(w.s.m);
	CHECK_OK(kmm_mm_create(w.s.k, &w.s.mm));
	CALL(open_file(&w, PAGES * SPACE_PAGE));
	CHECK_EQ(space_map_file(&w.s, page(0), PAGES, SPACE_RW, KMM_MAP_SHARED, w.file, 0), 0);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(7), 42), 0);
	hosted_file_fail(w.f, &gone);
	hosted_put_space(w.s.m, w.s.mm);
	w.s.mm = NULL;
	hosted_file_put(w.f);
	CHECK(strstr(hosted_log_text(w.s.m), "1 pages could not be written and are lost") != NULL);
	CHECK_EQ(dirty(&w), 0);
	CALL(space_stop(&w.s));
	close(w.fd);
}

static int write_everywhere(struct space *s)
{
	for (unsigned n = 0; n < PAGES; n += 7)
		if (space_poke(s, s->mm, page(n), 5) == -9)
			return 12;
	return kmm_status_errno(kmm_msync(s->mm, kmm_uva((kmm_word)page(0)), PAGES * SPACE_PAGE, KMM_MS_SYNC));
}

KMM_TEST(writeback_without_memory)
{
	struct stored w;

	CALL(start(&w, KMM_I386));
	CALL(space_fail_each(&w.s, write_everywhere, false));
	for (unsigned n = 0; n < PAGES; n += 7)
		CHECK_EQ(on_disk(&w, n * SPACE_PAGE), 5);
	CALL(stop(&w));
}

/* ---- too much of it ---- */

/* Above the limit who writes waits until it is written; the background's part begins earlier. */
KMM_TEST(writeback_throttles_writers)
{
	struct kmm_writeback_stats stats;
	struct stored w;

	CALL(start(&w, KMM_X86_64));
	CHECK_EQ(kmm_set_dirty_limits(w.s.k, 101, 0), KMM_EINVAL);
	CHECK_OK(kmm_set_dirty_limits(w.s.k, 100, 0));
	for (unsigned n = 0; n < PAGES; n++)
		CHECK_EQ(space_poke(&w.s, w.s.mm, page(n), 8), 0);
	kmm_writeback_stats(w.s.k, &stats);
	CHECK_EQ(stats.throttled, 0);
	CHECK_EQ(stats.dirty, PAGES);
	CHECK(stats.limit > 100000 && stats.background_limit == 0);
	CHECK(kmm_writeback_step(w.s.k, 5, false));
	CHECK(!kmm_writeback_step(w.s.k, 100, false));
	CHECK_EQ(dirty(&w), 0);
	CHECK_OK(kmm_set_dirty_limits(w.s.k, 0, 100));
	for (unsigned n = 0; n < PAGES; n++)
		CHECK_EQ(space_poke(&w.s, w.s.mm, page(n), 9), 0);
	kmm_writeback_stats(w.s.k, &stats);
	CHECK_EQ(stats.throttled, 1);
	CHECK(stats.dirty <= KMM_WRITE_RUN);
	CHECK(!kmm_writeback_step(w.s.k, 100, false));
	kmm_sync(w.s.k);
	CHECK_EQ(dirty(&w), 0);
	for (unsigned n = 0; n < PAGES; n++)
		CHECK_EQ(on_disk(&w, n * SPACE_PAGE), 9);
	CALL(stop(&w));
}

/* ---- by the clock ---- */

#define SECOND 1000000000ull
static uint64_t clock_ns;
static unsigned told;

static uint64_t read_clock(struct kmm_port *port)
{
	(void)port;
	return clock_ns;
}

static void tell(struct kmm_port *port)
{
	(void)port;
	told++;
}

static void start_timed(struct stored *w)
{
	CALL(start(w, KMM_X86_64));
	clock_ns = 5 * SECOND;
	told = 0;
	w->s.k->port->time_ns = read_clock;
	w->s.k->port->files_dirty = tell;
}

/* Few dirty pages are left alone until the first is too old; what changes after its writing began has time again. */
KMM_TEST(writeback_of_old_pages)
{
	struct stored w;

	CALL(start_timed(&w));
	for (unsigned n = 0; n < PAGES; n++)
		CHECK_EQ(space_poke(&w.s, w.s.mm, page(n) + 1, 8), 0);
	CHECK_EQ(told, 1); /* of the first */
	clock_ns += 29 * SECOND;
	CHECK(!kmm_writeback_step(w.s.k, 100, false));
	CHECK_EQ(dirty(&w), PAGES);
	clock_ns += 2 * SECOND;
	CHECK(kmm_writeback_step(w.s.k, 5, false)); /* a row */
	CHECK_EQ(dirty(&w), PAGES - KMM_WRITE_RUN);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(0) + 1, 9), 0);
	clock_ns += 2 * SECOND;
	while (kmm_writeback_step(w.s.k, 5, false))
		;
	CHECK_EQ(dirty(&w), 1);
	for (unsigned n = 0; n < PAGES; n++)
		CHECK_EQ(on_disk(&w, n * SPACE_PAGE + 1), 8);
	CHECK_EQ(told, 1); /* there were some all the time */
	clock_ns += 27 * SECOND;
	CHECK(!kmm_writeback_step(w.s.k, 5, false));
	CHECK_EQ(dirty(&w), 1);
	clock_ns += 2 * SECOND;
	CHECK(!kmm_writeback_step(w.s.k, 5, false));
	CHECK_EQ(dirty(&w), 0);
	CHECK_EQ(on_disk(&w, 1), 9);
	kmm_set_dirty_expire(w.s.k, SECOND);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(3), 4), 0);
	CHECK_EQ(told, 2);
	clock_ns += SECOND + 1;
	CHECK(!kmm_writeback_step(w.s.k, 5, false));
	CHECK_EQ(dirty(&w), 0);
	CALL(stop(&w));
}

/* On a disk that fails a step ends all the same, and the pages are tried again when they are too old once more. */
KMM_TEST(writeback_of_old_pages_fails)
{
	struct hosted_swap_faults gone = { .nth = 1, .for_ever = true }, none = { 0 };
	struct stored w;

	CALL(start_timed(&w));
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(2), 8), 0);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(20), 8), 0);
	hosted_file_fail(w.f, &gone);
	clock_ns += 31 * SECOND;
	while (kmm_writeback_step(w.s.k, 1, false))
		;
	CHECK_EQ(dirty(&w), 2);
	hosted_file_fail(w.f, &none);
	CHECK(!kmm_writeback_step(w.s.k, 100, false));
	CHECK_EQ(dirty(&w), 2);
	clock_ns += 31 * SECOND;
	CHECK(!kmm_writeback_step(w.s.k, 100, false));
	CHECK_EQ(dirty(&w), 0);
	CHECK_EQ(on_disk(&w, 20 * SPACE_PAGE), 8);
	CALL(stop(&w));
}

/* Who makes too many pages dirty for the background wakes it, at the latest. */
KMM_TEST(writeback_is_told_of_many)
{
	struct stored w;

	CALL(start_timed(&w));
	CHECK_OK(kmm_set_dirty_limits(w.s.k, 100, 0));
	for (unsigned n = 0; n < PAGES; n++)
		CHECK_EQ(space_poke(&w.s, w.s.mm, page(n), 8), 0);
	CHECK_EQ(told, 1 + PAGES - 1 - KMM_WRITE_RUN); /* a row is always in order */
	CHECK(!kmm_writeback_step(w.s.k, 1000, false));
	CHECK_EQ(dirty(&w), 0);
	CALL(stop(&w));
}

/* ---- two CPUs ---- */

struct race {
	struct stored w;
	_Atomic bool stop;
	unsigned odd;
};

/* Counts up in some pages, by the mapping and by the call that writes for the kernel. */
static void *writer(void *arg)
{
	struct race *r = arg;
	uint64_t seed = 11;
	uint32_t value = 0;

	hosted_set_cpu(1);
	while (!r->stop) {
		unsigned n = (unsigned)(kmm_test_rand(&seed) % 8);

		value++;
		if (value % 2 && !hosted_write_user(r->w.s.m, r->w.s.mm, page(n), &value, sizeof(value)).ok)
			r->odd++;
		if (value % 2 == 0 && kmm_copy_out(r->w.s.mm, kmm_uva((kmm_word)page(n)), &value, sizeof(value), NULL))
			r->odd++;
	}
	hosted_run_space(r->w.s.m, NULL);
	return NULL;
}

KMM_TEST(writeback_against_writers)
{
	static struct race r;
	struct hosted_config config = { .machine = { .format = KMM_X86_64, .nr_cpus = 2 }, .ram_bytes = 256ull << 20,
					.threads = true };
	struct stored *w = &r.w;
	const char *why;
	pthread_t thread;

	r.stop = false;
	CHECK_OK(hosted_boot(&config, &w->s.m, &why));
	w->s.k = hosted_kmm(w->s.m);
	CHECK_OK(kmm_mm_create(w->s.k, &w->s.mm));
	CALL(open_file(w, 8 * SPACE_PAGE));
	CHECK_EQ(space_map_file(&w->s, page(0), 8, SPACE_RW, KMM_MAP_SHARED, w->file, 0), 0);
	CHECK_EQ(pthread_create(&thread, NULL, writer, &r), 0);
	for (unsigned i = 0; i < 2000; i++)
		if (sync_pages(w, 0, 8))
			r.odd++;
	r.stop = true;
	pthread_join(thread, NULL);
	CHECK_EQ(r.odd, 0);
	CALL(space_audit(&w->s));
	CHECK_OK(sync_pages(w, 0, 8));
	for (unsigned n = 0; n < 8; n++) {
		uint32_t memory = 0, disk = 1;

		CHECK(hosted_read_user(w->s.m, w->s.mm, page(n), &memory, sizeof(memory)).ok);
		CHECK_EQ(pread(w->fd, &disk, sizeof(disk), (off_t)(n * SPACE_PAGE)), sizeof(disk));
		CHECK_EQ(memory, disk);
	}
	CALL(stop(w));
}

/* A line of /proc/meminfo, in pages. */
static long info(struct stored *w, const char *name)
{
	struct hosted_text text;
	const char *at;
	long kb;

	kmm_report_meminfo(w->s.k, hosted_text_init(&text));
	at = strstr(text.text, name);
	kb = at ? strtol(at + strlen(name), NULL, 10) : -4;
	hosted_text_free(&text);
	return kb / 4;
}

/* Pages of a file with a store can go: as on Linux half of a few of them count as available. */
KMM_TEST(writeback_available)
{
	struct stored w;
	long reserve;

	CALL(start(&w, KMM_X86_64));
	reserve = info(&w, "MemFree:") - info(&w, "MemAvailable:");
	CHECK(reserve > PAGES);
	for (unsigned n = 0; n < PAGES; n++)
		CHECK_EQ(space_peek(&w.s, w.s.mm, page(n)), (int)n + 1);
	CHECK_EQ(info(&w, "\nCached:"), PAGES);
	CHECK_EQ(info(&w, "Inactive(file):"), PAGES);
	CHECK_EQ(info(&w, "Unevictable:"), 0);
	CHECK_EQ(info(&w, "MemFree:") - info(&w, "MemAvailable:"), reserve - PAGES / 2);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(3), 77), 0); /* written ones, too */
	CHECK_EQ(info(&w, "MemFree:") - info(&w, "MemAvailable:"), reserve - PAGES / 2);
	CALL(stop(&w));
}
