/* SPDX-License-Identifier: MIT */
/* System calls about memory: mmap, munmap, mprotect, brk, mremap; and getppid, which does nothing. */
#include "versus.h"

#include <sys/syscall.h>
#include <unistd.h>

enum { REPS = 2000, TOUCH_REPS = 100, MOVES = 50, MIB_PAGES = 256 };

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

static void map_pair(void)
{
	struct account before, after;
	char *last = NULL;

	take_account(&before);
	reset();
	for (int i = 0; i < REPS; i++) {
		uint64_t t = ticks();

		last = map(PAGE);
		unmap(last, PAGE);
		add(ticks() - t);
	}
	print("mmap+munmap-4K");
	take_account(&after);
	check(!readable(last), "mmap+munmap: the page is still there");
	check(after.areas == before.areas, "mmap+munmap: %ld areas, before %ld", after.areas, before.areas);
	last = map(PAGE);
	check(writable(last), "mmap: no memory there");
	take_account(&after);
	check(after.areas >= before.areas, "mmap: /proc/self/maps has %ld areas, before %ld", after.areas, before.areas);
	unmap(last, PAGE);
}

static void map_touch(void)
{
	const size_t bytes = MIB_PAGES * PAGE;
	struct account before;
	long faults = faults_so_far();
	char *p;

	take_account(&before);
	reset();
	for (int i = 0; i < TOUCH_REPS; i++) {
		uint64_t t = ticks();

		p = map(bytes);
		write_all(p, MIB_PAGES, 4);
		unmap(p, bytes);
		add(ticks() - t);
	}
	print("mmap+touch+munmap-1M");
	faults = faults_so_far() - faults;
	check(faults >= TOUCH_REPS * MIB_PAGES, "mmap+touch+munmap: %ld faults", faults);
	check_anon("mmap+touch+munmap", &before, 0);
	p = map(bytes);
	check(filled(p, MIB_PAGES, 0), "mmap: fresh memory is not zero");
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
	map_pair();
	map_touch();
	protect_pair("mprotect-split+merge", 0);
	protect_pair("mprotect-split+merge-touched", 1);
	break_moves();
	moves("mremap-move-1p", 1);
	moves("mremap-move-4096p", 4096);
}
