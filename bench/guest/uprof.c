/* SPDX-License-Identifier: MIT */
/*
 * The operations of ubench.c as plain loops between marks, for the profiler (bench/profile/insnprof.c): each mark closes
 * one section of its counts. Prints a line "section NUMBER NAME OPERATIONS" for each section worth reading.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, NR_PAGES = 4096, REPS = 1000, FORKS = 10 };
#define AREA ((size_t)NR_PAGES * PAGE)

static int section; /* the one that the next mark closes */

static void mark(void)
{
	__asm__ volatile(".byte 0x66, 0x87, 0xdb" : : : "memory");
	section++;
}

/* Closes the section of what went before; the code that follows is measured. */
static void begin(const char *name, int operations)
{
	char line[80];
	int len = snprintf(line, sizeof(line), "section %d %s %d\n", section + 1, name, operations);

	if (write(1, line, (size_t)len) != len)
		_exit(1);
	mark();
}

static char *map(size_t bytes, int prot)
{
	void *p = mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(2);
	return p;
}

static char *map_rw(size_t bytes)
{
	return map(bytes, PROT_READ | PROT_WRITE);
}

static void write_all(volatile char *p, int nr_pages)
{
	for (int i = 0; i < nr_pages; i++)
		p[i * PAGE] = 1;
}

static void read_all(volatile char *p, int nr_pages)
{
	for (int i = 0; i < nr_pages; i++)
		(void)p[i * PAGE];
}

static void do_faults(void)
{
	char *p = map_rw(AREA);

	write_all(p, NR_PAGES);
	munmap(p, AREA);
	p = map_rw(AREA);
	begin("anon-write-fault", NR_PAGES);
	write_all(p, NR_PAGES);
	mark();
	begin("munmap-per-touched-page", NR_PAGES);
	munmap(p, AREA);
	mark();
	p = map_rw(AREA);
	begin("zero-read-fault", NR_PAGES);
	read_all(p, NR_PAGES);
	mark();
	munmap(p, AREA);
}

static void do_protect(const char *name, int touched)
{
	char *p = map(64 * PAGE, PROT_NONE);

	mprotect(p + 8 * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE);
	if (touched)
		write_all(p + 8 * PAGE, 3);
	begin(name, REPS);
	for (int i = 0; i < REPS; i++) {
		mprotect(p + 9 * PAGE, PAGE, PROT_READ);
		mprotect(p + 9 * PAGE, PAGE, PROT_READ | PROT_WRITE);
	}
	mark();
	munmap(p, 64 * PAGE);
}

static void do_calls(void)
{
	char *p;

	begin("getppid", REPS);
	for (int i = 0; i < REPS; i++)
		syscall(SYS_getppid);
	mark();
	begin("mmap+munmap-4K", REPS);
	for (int i = 0; i < REPS; i++)
		munmap(map_rw(PAGE), PAGE);
	mark();
	begin("mmap+touch+munmap-1M", FORKS);
	for (int i = 0; i < FORKS; i++) {
		p = map_rw(256 * PAGE);
		write_all(p, 256);
		munmap(p, 256 * PAGE);
	}
	mark();
	do_protect("mprotect-split+merge", 0);
	do_protect("mprotect-split+merge-touched", 1);
	p = (char *)syscall(SYS_brk, 0);
	begin("brk-grow-4K+touch", REPS);
	for (int i = 0; i < REPS; i++) {
		syscall(SYS_brk, p += PAGE);
		*(volatile char *)(p - PAGE) = 1;
	}
	mark();
	syscall(SYS_brk, p - REPS * PAGE);
}

static void do_mremap(const char *name, size_t moved)
{
	char *arena = map(64u << 20, PROT_NONE), *from = arena + (2u << 20), *to = arena + (34u << 20) + 0x10000, *other;

	if (mmap(from, moved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != from)
		_exit(2);
	write_all(from, (int)(moved / PAGE));
	begin(name, FORKS);
	for (int i = 0; i < FORKS; i++) {
		if (mremap(from, moved, moved, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
			_exit(3);
		other = from;
		from = to;
		to = other;
	}
	mark();
	munmap(arena, 64u << 20);
}

static void do_forks(const char *name, int nr_pages, int times)
{
	char *p = map_rw((size_t)nr_pages * PAGE);

	write_all(p, nr_pages);
	begin(name, times);
	for (int i = 0; i < times; i++) {
		long pid = syscall(SYS_fork);

		if (pid == 0)
			syscall(SYS_exit_group, 0);
		syscall(SYS_wait4, pid, NULL, 0, NULL);
	}
	mark();
	munmap(p, (size_t)nr_pages * PAGE);
}

/* After a child that is gone: the pages are the parent's alone, and still write-protected. */
static void do_reuse(void)
{
	char *p = map_rw(AREA);
	long pid;

	write_all(p, NR_PAGES);
	pid = syscall(SYS_fork);
	if (pid == 0)
		syscall(SYS_exit_group, 0);
	syscall(SYS_wait4, pid, NULL, 0, NULL);
	begin("cow-reuse", NR_PAGES);
	write_all(p, NR_PAGES);
	mark();
	munmap(p, AREA);
}

/* Last, because the marks are the child's: the parent's count of sections is not true any more. */
static void do_cow(void)
{
	char *p = map_rw(AREA);
	long pid;

	write_all(p, NR_PAGES);
	pid = syscall(SYS_fork);
	if (pid == 0) {
		begin("cow-copy", NR_PAGES);
		write_all(p, NR_PAGES);
		mark();
		syscall(SYS_exit_group, 0);
	}
	syscall(SYS_wait4, pid, NULL, 0, NULL);
}

int main(void)
{
	do_faults();
	do_calls();
	do_mremap("mremap-move-1p", PAGE);
	do_mremap("mremap-move-4096p", AREA);
	do_forks("fork+exit+wait-1000p", 1000, FORKS);
	do_forks("fork+exit+wait-25000p", 25000, 1);
	do_reuse();
	do_cow();
	return 0;
}
