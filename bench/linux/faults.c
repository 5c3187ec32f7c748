/* SPDX-License-Identifier: MIT */
/* First touches: writing, reading (the zero page), writing after reading; and giving touched memory back. */
#include "versus.h"

#include <stdio.h>

enum { NR_PAGES = 4096, LARGE_PAGES = 1 << 18, FREE_SLACK = 1 << 15 };
#define BYTES ((size_t)NR_PAGES * PAGE)

static void sample_writes(volatile char *p, long nr_pages, char value)
{
	reset();
	for (long i = 0; i < nr_pages; i++) {
		uint64_t t = ticks();

		p[i * PAGE] = value;
		add(ticks() - t);
	}
}

static void sample_reads(volatile char *p, long nr_pages)
{
	reset();
	for (long i = 0; i < nr_pages; i++) {
		uint64_t t = ticks();

		(void)p[i * PAGE];
		add(ticks() - t);
	}
}

static void anon_write(void)
{
	struct account before;
	long faults;
	char *p = map(BYTES);

	write_all(p, NR_PAGES, 7); /* warm-up; and the frames that come back are not clean */
	unmap(p, BYTES);
	take_account(&before);
	p = map(BYTES);
	faults = faults_so_far();
	sample_writes(p, NR_PAGES, 1);
	faults = faults_so_far() - faults;
	print("anon-write-fault");
	check_pages("anonymous writes", p, NR_PAGES, 1, faults);
	check_anon("anonymous writes", &before, NR_PAGES);
	unmap(p, BYTES);
	check(!readable(p), "munmap: the memory is still there");
	check_anon("munmap", &before, 0);
}

static void zero_read(void)
{
	struct account before;
	struct usage u;
	long faults;
	char *p = map(BYTES);

	take_account(&before);
	faults = faults_so_far();
	sample_reads(p, NR_PAGES);
	faults = faults_so_far() - faults;
	print("zero-read-fault");
	check(faults >= NR_PAGES && faults < NR_PAGES + 16, "zero page: %ld faults", faults);
	check(filled(p, NR_PAGES, 0), "zero page: not zero");
	take_usage(p, &u);
	check(u.size >= (long)(BYTES >> 10) && u.anon == 0, "zero page: smaps says Anonymous %ld of %ld KiB", u.anon, u.size);
	check_anon("zero page", &before, 0);
	faults = faults_so_far();
	uint64_t t = ticks();
	write_all(p, NR_PAGES, 2);
	t = ticks() - t;
	faults = faults_so_far() - faults;
	reset();
	add(t);
	print_per("zero-page-then-write", NR_PAGES);
	check_pages("writes after reads", p, NR_PAGES, 2, faults);
	unmap(p, BYTES);
	p = map(PAGE);
	check(p[0] == 0, "zero page: somebody has written to it");
	unmap(p, PAGE);
}

void run_faults(void)
{
	anon_write();
	zero_read();
}

/* 1 GiB: what one page costs when there are many, and whether all of it comes back. */
void run_large(void)
{
	const size_t bytes = (size_t)LARGE_PAGES * PAGE;
	struct account before, after;
	long faults;
	char *p;

	take_account(&before);
	p = map(bytes);
	faults = faults_so_far();
	uint64_t t = ticks();
	write_all(p, LARGE_PAGES, 3);
	t = ticks() - t;
	faults = faults_so_far() - faults;
	reset();
	add(t);
	print_per("touch-1GiB-per-page", LARGE_PAGES);
	check_pages("1 GiB", p, LARGE_PAGES, 3, faults);
	check_anon("1 GiB", &before, LARGE_PAGES);
	take_account(&after);
	check(before.free_kb - after.free_kb >= (LARGE_PAGES - FREE_SLACK) * KIB_PER_PAGE,
	      "1 GiB: MemFree has gone from %ld to %ld KiB", before.free_kb, after.free_kb);
	t = ticks();
	unmap(p, bytes);
	t = ticks() - t;
	reset();
	add(t);
	print_per("munmap-touched-per-page", LARGE_PAGES);
	check(!readable(p) && !readable(p + bytes - PAGE), "munmap of 1 GiB: the memory is still there");
	check_anon("munmap of 1 GiB", &before, 0);
	take_account(&after);
	check(before.free_kb - after.free_kb <= FREE_SLACK * KIB_PER_PAGE, "munmap of 1 GiB: MemFree was %ld, is %ld KiB",
	      before.free_kb, after.free_kb);
	check(after.areas == before.areas, "munmap of 1 GiB: %ld areas, before %ld", after.areas, before.areas);
}
