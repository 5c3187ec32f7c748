/* SPDX-License-Identifier: MIT */
/*
 * What can go wrong while memory is short: no memory at each attempt to get some, with reclaim going on; processes that are
 * killed with transfers under way; swapoff, a full area and files on a disk whose transfers fail. Each with a device that is
 * waited for and one that ends transfers later. Nothing is lost but what cannot be read, no slot or frame leaks, and the
 * audit is clean after each step.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/swap_space.h"
#include "kmm/writeback.h"

enum { BUS = 7, OOM = 9 };

static bool is_low;

static void note_low(struct kmm_port *port)
{
	(void)port;
	is_low = true;
}

/* What the embedder's thread would do by now. */
static void background(struct swap_space *w)
{
	while (is_low) {
		is_low = false;
		while (kmm_reclaim_step(w->s.k, 32))
			;
	}
}

/* ---- no memory, while reclaim runs ---- */

enum { MANY = 6000, STEPS = 40, TRIES = 700 };

static bool touch(struct swap_space *w, struct kmm_mm *mm, unsigned page, bool write)
{
	uint64_t value = 1ull << 32 | (page + 1);
	struct hosted_result r = write ? hosted_write_user(w->s.m, mm, at(page) + 16, &value, sizeof(value))
				       : hosted_read_user(w->s.m, mm, at(page) + 16, &value, sizeof(value));

	if (r.ok && value != (1ull << 32 | (page + 1)))
		abort();
	if (!r.ok && r.signal != OOM)
		abort();
	return r.ok;
}

/* Things that need memory, all of which has something in it. Those that fail are said to. */
static unsigned do_all(struct swap_space *w, unsigned salt)
{
	struct kmm_mm *child = NULL;
	unsigned failed = 0;

	for (unsigned i = 0; i < STEPS; i++) {
		failed += !touch(w, w->s.mm, (salt * 977 + i * 499) % MANY, i % 3 == 0);
		background(w);
	}
	if (kmm_mm_fork(w->s.mm, &child) != KMM_OK)
		return failed + 1;
	for (unsigned i = 0; i < STEPS; i++)
		failed += !touch(w, child, (salt * 613 + i * 331) % MANY, i % 2 == 0);
	background(w);
	failed += kmm_madvise(child, kmm_uva((kmm_word)at(salt % MANY)), 8 * SPACE_PAGE, KMM_MADV_PAGEOUT) != KMM_OK;
	hosted_put_space(w->s.m, child);
	if (space_map(&w->s, at(MANY), 4, SPACE_RW, SPACE_SHARED) != 0)
		return failed + 1;
	for (unsigned i = MANY; i < MANY + 4; i++)
		failed += !touch(w, w->s.mm, i, true);
	return failed + (space_unmap(&w->s, at(MANY), 4) != 0);
}

static void no_memory_while_reclaim_runs(enum kmm_format_id format, bool later)
{
	struct kmm_reclaim_stats before, after;
	const char *site = "";
	struct swap_space w;
	unsigned fired = 0;

	CALL(swap_start(&w, &(struct swap_setup){ format, 16, 4 * MANY, later, false }));
	w.s.k->port->memory_low = note_low;
	CHECK_EQ(space_map(&w.s, at(0), MANY / 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&w.s, at(MANY / 2), MANY / 2, SPACE_RW, SPACE_SHARED), 0);
	for (unsigned i = 0; i < MANY; i++) {
		CALL(swap_fill(&w, w.s.mm, i, 1, 1));
		background(&w);
	}
	kmm_reclaim_stats(w.s.k, &before);
	for (unsigned n = 1; site && n < TRIES; n++) {
		kmm_fail_nth(w.s.k, n);
		do_all(&w, n);
		kmm_fail_count(w.s.k, &site);
		kmm_fail_nth(w.s.k, 0);
		fired += site != NULL;
		space_unmap(&w.s, at(MANY), 4);
		if (n % 8 == 0)
			CALL(space_audit(&w.s));
		CHECK_EQ(do_all(&w, n), 0); /* then all is possible */
	}
	CHECK(fired > 40 && !site);
	kmm_reclaim_stats(w.s.k, &after);
	CHECK(after.stolen_step - before.stolen_step > fired);
	CALL(swap_verify(&w, w.s.mm, 0, MANY, 1));
	CALL(swap_stop(&w));
}

KMM_TEST(swap_sites_fail_while_reclaim_runs)
{
	for (unsigned later = 0; later < 2; later++) {
		CALL(no_memory_while_reclaim_runs(KMM_I386, later));
		CALL(no_memory_while_reclaim_runs(KMM_X86_64, later));
	}
}

/* ---- what is set aside ---- */

/* Not a frame is left, not even below the marks: what goes out to make room must not ask for any. */
static void goes_out_without_memory(enum kmm_format_id format, bool later)
{
	enum { ANON = 200, ALL = 300, FRAMES = 16 * 256 };
	static struct kmm_page *taken[FRAMES];
	struct swap_space w;
	unsigned nr = 0;

	CALL(swap_start(&w, &(struct swap_setup){ format, 16, 4096, later, false }));
	CHECK_EQ(space_map(&w.s, at(0), ANON, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&w.s, at(ANON), ALL - ANON, SPACE_RW, SPACE_SHARED), 0);
	CALL(swap_fill(&w, w.s.mm, 0, ALL, 1));
	while (nr < FRAMES && (taken[nr] = kmm_alloc_pages(w.s.k, KMM_GFP_HIGHUSER | KMM_GFP_MEMALLOC | KMM_GFP_NOWARN, 0)) != NULL)
		nr++;
	CHECK(nr < FRAMES);
	kmm_fail_nth(w.s.k, UINT64_MAX);
	CHECK_EQ(swap_drain(&w), ALL);
	CHECK_EQ(kmm_fail_count(w.s.k, NULL), 0); /* nobody asked */
	kmm_fail_nth(w.s.k, 0);
	while (nr)
		kmm_put_page(w.s.k, taken[--nr]);
	hosted_swap_finish(w.disk, 1000);
	CALL(swap_verify(&w, w.s.mm, 0, ALL, 1));
	CALL(swap_stop(&w));
}

KMM_TEST(swap_goes_out_without_memory)
{
	for (unsigned later = 0; later < 2; later++)
		for (unsigned f = 0; f < SPACE_NR_FORMATS; f++)
			CALL(goes_out_without_memory(space_formats[f], later));
}

/* ---- killed at any moment ---- */

enum { PAGES = 120, MOMENTS = 34 };

struct family {
	struct swap_space w;
	struct kmm_mm *child;
	unsigned step, last;     /* it is killed before step `last` */
};

static bool goes_on(struct family *f) { return f->step++ < f->last; }

/* Accesses whose transfers may fail. */
static void use(struct family *f, struct kmm_mm *mm, unsigned first, unsigned nr, bool write)
{
	for (unsigned i = first; i < first + nr; i++) {
		int got = write ? space_poke(&f->w.s, mm, at(i) + 40, 3) : space_peek(&f->w.s, mm, at(i) + 16);

		CHECK(got >= 0 || got == -BUS);
	}
}

static void live(struct family *f)
{
	if (goes_on(f))
		CHECK_OK(kmm_mm_fork(f->w.s.mm, &f->child));
	for (unsigned round = 0; f->child && round < 8; round++) {
		if (goes_on(f))
			(void)kmm_reclaim_pages(f->w.s.k, 40); /* returns with writes under way */
		if (goes_on(f))
			CALL(use(f, f->child, round * 11, 14, false)); /* with reads ahead */
		if (goes_on(f))
			CALL(use(f, f->w.s.mm, round * 13, 9, true));
		if (goes_on(f))
			CHECK_OK(kmm_madvise(f->child, kmm_uva((kmm_word)at(round * 9)), 30 * SPACE_PAGE, KMM_MADV_PAGEOUT));
	}
}

/* With `errors` the device fails from then on. */
static void killed_before(unsigned moment, bool later, bool errors)
{
	struct hosted_swap_faults gone = { .nth = 1, .for_ever = true };
	struct family f = { .last = moment };

	CALL(swap_start(&f.w, &(struct swap_setup){ moment % 2 ? KMM_X86_64 : KMM_I386_PAE, 64, 2048, later, false }));
	CHECK_EQ(space_map(&f.w.s, at(0), PAGES / 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&f.w.s, at(PAGES / 2), PAGES / 2, SPACE_RW, SPACE_SHARED), 0);
	CALL(swap_fill(&f.w, f.w.s.mm, 0, PAGES, 1));
	CALL(live(&f));
	if (errors)
		hosted_swap_fail(f.w.disk, &gone);
	hosted_put_space(f.w.s.m, f.w.s.mm); /* what is under way goes on without it */
	f.w.s.mm = NULL;
	if (f.child)
		hosted_put_space(f.w.s.m, f.child);
	hosted_swap_finish(f.w.disk, 1000);
	CALL(swap_stop(&f.w));
}

KMM_TEST(swap_killed_with_transfers_under_way)
{
	for (unsigned moment = 0; moment < MOMENTS; moment++)
		for (unsigned sort = 0; sort < 4; sort++)
			CALL(killed_before(moment, sort & 1, sort & 2));
}

/* One of two dies, the other has all that it had. */
KMM_TEST(swap_survivor_of_a_killed_sharer)
{
	for (unsigned moment = 1; moment < MOMENTS; moment++) {
		struct family f = { .last = moment };

		CALL(swap_start(&f.w, &(struct swap_setup){ .format = KMM_X86_64, .later = true }));
		CHECK_EQ(space_map(&f.w.s, at(0), PAGES, SPACE_RW, SPACE_ANON), 0);
		CALL(swap_fill(&f.w, f.w.s.mm, 0, PAGES, 1));
		CALL(live(&f));
		hosted_put_space(f.w.s.m, f.child);
		CALL(swap_verify(&f.w, f.w.s.mm, 0, PAGES, 1));
		CALL(swap_stop(&f.w));
	}
}

/* ---- swapoff and errors ---- */

static void start_out(struct swap_space *w, bool later, unsigned nr_slots)
{
	CALL(swap_start(w, &(struct swap_setup){ KMM_X86_64, 1200, nr_slots, later, false }));
	CHECK_EQ(space_map(&w->s, at(0), 30, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&w->s, at(30), 30, SPACE_RW, SPACE_SHARED), 0);
	CALL(swap_fill(w, w->s.mm, 0, 60, 1));
}

/* Each read of swapoff fails once: it says so, and the next attempt brings everything back. */
static void off_fails_at(uint64_t n, bool later, uint64_t *transfers)
{
	struct hosted_swap_faults faults = { .nth = n }, none = { 0 };
	enum kmm_status status;
	struct swap_space w;

	CALL(start_out(&w, later, 4096));
	CALL(swap_push_out(&w));
	hosted_swap_fail(w.disk, &faults);
	status = kmm_swap_off(w.s.k, hosted_swap_device(w.disk));
	*transfers = hosted_swap_transfers(w.disk);
	hosted_swap_fail(w.disk, &none);
	CALL(space_audit(&w.s));
	CHECK(status == KMM_OK || status == KMM_EIO);
	if (status == KMM_EIO) /* what was read with others is tried alone */
		CHECK_OK(kmm_swap_off(w.s.k, hosted_swap_device(w.disk)));
	CHECK_OK(kmm_swap_on(w.s.k, hosted_swap_device(w.disk), -1));
	CALL(swap_verify(&w, w.s.mm, 0, 60, 1));
	CALL(swap_stop(&w));
}

KMM_TEST(swap_off_each_transfer_fails_once)
{
	for (unsigned later = 0; later < 2; later++) {
		uint64_t transfers, done;

		CALL(off_fails_at(0, later, &transfers)); /* none */
		CHECK(transfers > 4);
		for (uint64_t n = 1; n <= transfers; n++)
			CALL(off_fails_at(n, later, &done));
	}
}

/* The device is gone: swapoff refuses as long as somebody has something there. */
KMM_TEST(swap_off_of_a_lost_device)
{
	for (unsigned later = 0; later < 2; later++) {
		struct hosted_swap_faults gone = { .nth = 1, .for_ever = true };
		struct swap_space w;

		CALL(start_out(&w, later, 4096));
		CALL(swap_push_out(&w));
		hosted_swap_fail(w.disk, &gone);
		CHECK_EQ(kmm_swap_off(w.s.k, hosted_swap_device(w.disk)), KMM_EIO);
		CALL(space_audit(&w.s));
		CHECK_EQ(space_peek(&w.s, w.s.mm, at(3)), -BUS);
		CHECK_EQ(space_peek(&w.s, w.s.mm, at(33)), -BUS);
		CHECK_EQ(space_unmap(&w.s, at(0), 60), 0);
		CHECK_OK(kmm_swap_off(w.s.k, hosted_swap_device(w.disk)));
		CHECK_OK(kmm_swap_on(w.s.k, hosted_swap_device(w.disk), -1));
		CALL(swap_stop(&w));
	}
}

/* An area with room for a third, of which each transfer fails once: the rest stays in memory, and nothing is lost. */
static void full_fails_at(uint64_t n, bool later, bool torn, uint64_t *transfers)
{
	struct hosted_swap_faults faults = { .nth = n, .torn = torn }, none = { 0 };
	unsigned errors = 0;
	struct swap_space w;

	CALL(start_out(&w, later, 20));
	hosted_swap_fail(w.disk, &faults);
	for (unsigned round = 0; round < 3; round++) {
		(void)swap_drain(&w);
		CALL(space_audit(&w.s));
		for (unsigned i = round * 7; i < 60; i += 3)
			errors += space_peek(&w.s, w.s.mm, at(i) + 16) == -BUS;
	}
	*transfers = hosted_swap_transfers(w.disk);
	hosted_swap_fail(w.disk, &none);
	CHECK(errors <= 1);
	CALL(swap_verify(&w, w.s.mm, 0, 60, 1));
	CALL(swap_stop(&w));
}

KMM_TEST(swap_full_each_transfer_fails_once)
{
	for (unsigned sort = 0; sort < 4; sort++) {
		uint64_t transfers = 1;

		for (uint64_t n = 1; n <= transfers; n++)
			CALL(full_fails_at(n, sort & 1, sort & 2, &transfers));
		CHECK(transfers > 6);
	}
}

/* ---- files on a disk, with reclaim and swap ---- */

/* Pages of a file go out by reclaim, background writing and sync, each transfer failing once: the disk has it all in the end. */
static void file_fails_at(uint64_t n, uint64_t *transfers)
{
	struct hosted_swap_faults faults = { .nth = n, .torn = n % 2 }, none = { 0 };
	int fd = memfd_create("stored", MFD_CLOEXEC);
	struct hosted_file *f;
	struct swap_space w;
	unsigned errors = 0;
	uint32_t seen = 0;
	uint64_t value;

	CALL(swap_start(&w, &(struct swap_setup){ .format = KMM_I386_PAE, .later = true }));
	CHECK(fd >= 0 && ftruncate(fd, 60 * (off_t)SPACE_PAGE) == 0);
	f = hosted_file_open(w.s.m, fd, "/stored");
	CHECK_EQ(space_map_file(&w.s, at(0), 60, SPACE_RW, KMM_MAP_SHARED, hosted_file_of(f), 0), 0);
	CHECK_EQ(space_map(&w.s, at(60), 30, SPACE_RW, SPACE_ANON), 0);
	for (unsigned i = 0; i < 60; i++)
		CHECK(space_peek(&w.s, w.s.mm, at(i)) == 0);
	CALL(swap_fill(&w, w.s.mm, 0, 90, 1));
	CHECK_OK(kmm_set_dirty_limits(w.s.k, 100, 0));
	hosted_file_fail(f, &faults);
	(void)kmm_reclaim_pages(w.s.k, 20);
	while (kmm_writeback_step(w.s.k, 10, false))
		;
	(void)swap_drain(&w);
	for (unsigned i = 0; i < 60; i += 5) { /* reading it again may be what fails */
		int got = space_poke(&w.s, w.s.mm, at(i) + 100, 1);

		CHECK(got == 0 || got == -BUS);
		errors += got != 0;
	}
	errors += kmm_file_sync(hosted_file_of(f), 0, UINT64_MAX, &seen) != KMM_OK;
	*transfers = hosted_file_transfers(f);
	hosted_file_fail(f, &none);
	CHECK(errors <= 1);
	CHECK_OK(kmm_file_sync(hosted_file_of(f), 0, UINT64_MAX, &seen));
	CALL(swap_verify(&w, w.s.mm, 0, 90, 1));
	for (unsigned i = 0; i < 60; i++) {
		CHECK_EQ(pread(fd, &value, sizeof(value), i * (off_t)SPACE_PAGE + 16), sizeof(value));
		CHECK_EQ(value, 1ull << 32 | (i + 1));
	}
	CHECK_EQ(space_unmap(&w.s, at(0), 60), 0);
	hosted_file_put(f);
	CALL(swap_stop(&w));
	close(fd);
}

KMM_TEST(swap_and_file_each_transfer_fails_once)
{
	uint64_t transfers = 1;

	for (uint64_t n = 1; n <= transfers; n++)
		CALL(file_fails_at(n, &transfers));
	CHECK(transfers > 12);
}
