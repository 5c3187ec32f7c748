/* SPDX-License-Identifier: MIT */
/* System calls about memory: mmap, munmap, madvise, mprotect, brk, mremap; and getppid, which does nothing. */
#include "versus.h"

#include <sys/syscall.h>
#include <unistd.h>

enum { REPS = 2000, TOUCH_REPS = 100, MOVES = 50, MIB_PAGES = 256, LOOPS = 5, RANGE_PAGES = 1024, AREAS = 10000 };

static void getppid_call(void)
{
	long parent = syscall(SYS_getppid), wrong = 0;

	reset();
	for (int i = 0; i < REPS; i++) {
		uint64_t t = ticks();
		long got = syscall(SYS_getppid);

		add(ticks() - t);
		wrong += got != parent;
	}
	print("getppid");
	check(wrong == 0 && parent >= 0 && parent != syscall(SYS_getpid), "getppid: %ld, and %ld others", parent, wrong);
}

/* ---- mmap, munmap ---- */

static void map_pair(const char *name, size_t bytes)
{
	struct account before, after;
	char *last = NULL;

	take_account(&before);
	reset();
	for (int i = 0; i < REPS; i++) {
		uint64_t t = ticks();

		last = map(bytes);
		unmap(last, bytes);
		add(ticks() - t);
	}
	print(name);
	take_account(&after);
	check(!readable(last), "%s: the page is still there", name);
	check(after.areas == before.areas, "%s: %ld areas, before %ld", name, after.areas, before.areas);
	last = map(bytes);
	check(writable(last) && writable(last + bytes - PAGE), "%s: no memory there", name);
	take_account(&after);
	check(after.areas >= before.areas, "%s: /proc/self/maps has %ld areas, before %ld", name, after.areas, before.areas);
	unmap(last, bytes);
}

static void map_touch(const char *name, long nr_pages)
{
	const size_t bytes = (size_t)nr_pages * PAGE;
	struct account before;
	long faults = faults_so_far();
	char *p;

	take_account(&before);
	reset();
	for (int i = 0; i < TOUCH_REPS; i++) {
		uint64_t t = ticks();

		p = map(bytes);
		write_all(p, nr_pages, 4);
		unmap(p, bytes);
		add(ticks() - t);
	}
	print(name);
	faults = faults_so_far() - faults;
	check(faults >= TOUCH_REPS * nr_pages, "%s: %ld faults", name, faults);
	check_anon(name, &before, 0);
	p = map(bytes);
	check(filled(p, nr_pages, 0), "%s: fresh memory is not zero", name);
	unmap(p, bytes);
}

/* ---- madvise ---- */

static void drop_pages(void)
{
	const size_t bytes = (size_t)RANGE_PAGES * PAGE;
	struct account before;
	char *p = map(bytes);

	take_account(&before);
	reset();
	for (int i = 0; i < LOOPS; i++) {
		write_all(p, RANGE_PAGES, 15);
		uint64_t t = ticks();
		madvise(p, bytes, MADV_DONTNEED);
		add(ticks() - t);
	}
	print_per("madvise-dontneed-per-page", RANGE_PAGES);
	check_anon("madvise", &before, 0);
	check(filled(p, RANGE_PAGES, 0), "madvise: memory has kept its contents");
	check(writable(p), "madvise: the area is gone");
	unmap(p, bytes);
}

/* ---- mprotect ---- */

/* Middle page of three; pages without access around them keep the neighbours away. */
static void protect_pair(const char *name, int touched)
{
	char *arena = map_at(NULL, 64 * PAGE, PROT_NONE), *p = arena + 8 * PAGE;
	struct account whole, split;

	if (mprotect(p, 3 * PAGE, PROT_READ | PROT_WRITE) != 0)
		die("mprotect");
	if (touched)
		write_all(p, 3, 5);
	take_account(&whole);
	reset();
	for (int i = 0; i < REPS; i++) {
		uint64_t t = ticks();

		mprotect(p + PAGE, PAGE, PROT_READ);
		mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE);
		add(ticks() - t);
	}
	print(name);
	take_account(&split);
	check(split.areas == whole.areas, "%s: not merged, %ld areas, before %ld", name, split.areas, whole.areas);
	mprotect(p + PAGE, PAGE, PROT_READ);
	take_account(&split);
	check(split.areas == whole.areas + 2, "%s: not split, %ld areas, before %ld", name, split.areas, whole.areas);
	check(readable(p + PAGE) && !writable(p + PAGE), "%s: a read-only page can be written", name);
	check(writable(p) && writable(p + 2 * PAGE), "%s: its neighbours cannot be written", name);
	mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE);
	check(writable(p + PAGE) && !readable(arena), "%s: wrong access after the merge", name);
	check(filled(p, 3, touched ? 5 : 0), "%s: memory holds something else", name);
	unmap(arena, 64 * PAGE);
}

static void protect_range(void)
{
	const size_t bytes = (size_t)RANGE_PAGES * PAGE;
	struct account before;
	struct usage u;
	char *p;

	take_account(&before);
	p = map(bytes);
	reset();
	for (int i = 0; i < LOOPS; i++) {
		write_all(p, RANGE_PAGES, 16);
		uint64_t t = ticks();
		mprotect(p, bytes, PROT_READ);
		add(ticks() - t);
		check(!writable(p) && !writable(p + bytes - PAGE), "mprotect of a range: it can be written");
		mprotect(p, bytes, PROT_READ | PROT_WRITE);
	}
	print_per("mprotect-to-read-per-page", RANGE_PAGES);
	take_usage(p, &u);
	check(u.rss >= RANGE_PAGES * KIB_PER_PAGE && u.anon == u.rss, "mprotect of a range: smaps says Rss %ld KiB", u.rss);
	check_anon("mprotect of a range", &before, RANGE_PAGES);
	check(filled(p, RANGE_PAGES, 16), "mprotect of a range: memory holds something else");
	unmap(p, bytes);
}

/* Every other page of a range gets an access of its own: twice as many areas, and a pair of calls among them. After the
 * forks, whose cost would show the pages that reading so long a list touches. */
void run_areas(void)
{
	const size_t bytes = (size_t)AREAS * 2 * PAGE;
	char *p = map_at(NULL, bytes, PROT_NONE);
	struct account before, after;

	take_account(&before);
	reset();
	uint64_t t = ticks();
	for (long i = 0; i < AREAS; i++)
		mprotect(p + i * 2 * PAGE, PAGE, PROT_READ | PROT_WRITE);
	add(ticks() - t);
	print_per("mprotect-carve-20000-areas", AREAS);
	take_account(&after);
	/* the first is at an end of the range, where it cuts once; or it has joined what lay there */
	check(after.areas - before.areas >= 2 * AREAS - 2, "mprotect: %ld areas more", after.areas - before.areas);
	check(writable(p + bytes - 2 * PAGE) && !readable(p + bytes - PAGE), "mprotect: the wrong pages");
	map_pair("mmap+munmap-4K-with-20000-areas", PAGE);
	unmap(p, bytes);
}

/* ---- brk ---- */

static void step_brk(char **at, long by, int touch)
{
	uint64_t t = ticks();

	*at += by;
	syscall(SYS_brk, *at);
	if (touch)
		*(volatile char *)(*at - PAGE) = 6;
	add(ticks() - t);
}

static void break_moves(void)
{
	char *old = (char *)syscall(SYS_brk, 0), *start = (char *)(((uintptr_t)old + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
	char *at = start;
	struct account before;
	long faults;

	if ((char *)syscall(SYS_brk, start) != start)
		die("brk");
	take_account(&before);
	faults = faults_so_far();
	reset();
	for (int i = 0; i < REPS; i++)
		step_brk(&at, PAGE, 1);
	print("brk-grow-4K+touch");
	faults = faults_so_far() - faults;
	check((char *)syscall(SYS_brk, 0) == at, "brk: it is not where it was put");
	check_pages("brk", start, REPS, 6, faults);
	check_anon("brk", &before, REPS);
	reset();
	for (int i = 0; i < REPS; i++)
		step_brk(&at, -PAGE, 0);
	print("brk-shrink-4K-touched");
	check(!readable(start) && !readable(start + PAGE), "brk: memory beyond the break is still there");
	check_anon("brk, shrunk", &before, 0);
	step_brk(&at, PAGE, 0);
	check(filled(start, 1, 0), "brk: fresh memory is not zero");
	reset();
	for (int i = 1; i < REPS; i++)
		step_brk(&at, PAGE, 0);
	print("brk-grow-4K");
	check((char *)syscall(SYS_brk, 0) == at && writable(at - PAGE), "brk: no memory below it");
	syscall(SYS_brk, old);
}

/* ---- mremap ---- */

static void check_moved(const char *name, const char *p, const char *old, long nr_pages)
{
	long wrong = 0;
	struct usage u;

	for (long i = 0; i < nr_pages; i++)
		wrong += *(const long *)(p + i * PAGE) != i + 1;
	check(wrong == 0, "%s: %ld pages are not those that were moved", name, wrong);
	check(!readable(old) && !readable(old + (nr_pages - 1) * PAGE), "%s: the old place can be read", name);
	take_usage(p, &u);
	check(u.rss == nr_pages * KIB_PER_PAGE && u.anon == u.rss, "%s: smaps says Rss %ld KiB", name, u.rss);
}

/* Back and forth between two places that are not congruent to 2 MiB, so that page tables cannot move whole. */
static void moves(const char *name, long nr_pages)
{
	const size_t arena_bytes = 64u << 20, bytes = (size_t)nr_pages * PAGE;
	char *arena = map_at(NULL, arena_bytes, PROT_NONE);
	uintptr_t base = ((uintptr_t)arena + (2u << 20)) & ~(uintptr_t)((2u << 20) - 1);
	char *from = (char *)base, *to = (char *)base + (32u << 20) + 0x10000;
	long faults;

	map_at(from, bytes, PROT_READ | PROT_WRITE);
	for (long i = 0; i < nr_pages; i++)
		*(volatile long *)(from + i * PAGE) = i + 1;
	faults = faults_so_far();
	reset();
	for (int i = 0; i < MOVES; i++) {
		char *other = from;
		uint64_t t = ticks();
		void *moved = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);

		add(ticks() - t);
		if (moved != to)
			die("mremap");
		from = to;
		to = other;
	}
	print(name);
	check_moved(name, from, to, nr_pages);
	faults = faults_so_far() - faults;
	check(faults <= 16, "%s: %ld faults", name, faults);
	unmap(arena, arena_bytes);
}

void run_calls(void)
{
	getppid_call();
	map_pair("mmap+munmap-4K", PAGE);
	map_pair("mmap+munmap-1M", MIB_PAGES * PAGE);
	map_touch("mmap+touch+munmap-4K", 1);
	map_touch("mmap+touch+munmap-1M", MIB_PAGES);
	drop_pages();
	protect_pair("mprotect-split+merge", 0);
	protect_pair("mprotect-split+merge-touched", 1);
	protect_range();
	break_moves();
	moves("mremap-move-1p", 1);
	moves("mremap-move-256p", 256);
	moves("mremap-move-4096p", 4096);
}
