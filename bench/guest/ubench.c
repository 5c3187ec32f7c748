/* SPDX-License-Identifier: MIT */
/*
 * Memory system calls and faults as a ring-3 program sees them, in guest instructions. A static Linux i386 program:
 * the same file runs on the reference kernel and on Linux.
 *
 * The clock is the time stamp counter. Under QEMU's "-icount shift=0" it advances by one per executed guest
 * instruction, user and kernel together; the first line printed checks that (a loop of known length). A string
 * instruction counts once per repetition, so clearing a page by "rep stosl" is 1024. Caches, TLB misses and the
 * latency of an exception cost nothing in this unit: it is work, not time.
 *
 * Sampled rows: median, least and largest of single operations, the cost of reading the clock taken off. Rows
 * named "-mean": whole loops divided by their length. Results have the form of bench/common/bench.h.
 *
 * usage: ubench [SUBJECT] [--smoke]     SUBJECT: what the results are called (default kmm)
 */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, MAX_SAMPLES = 8192, LOOPS = 5 };

static const char *subject = "kmm";
static int smoke;
static uint64_t clock_cost;
static uint64_t sample[MAX_SAMPLES];
static int nr_samples;

static inline uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* ---- output; one write a line, so that lines of parent and child do not mix ---- */

static void say(const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (write(1, line, (size_t)len) != len)
		_exit(9);
}

static void die(const char *what)
{
	say("ubench: %s: errno %d\n", what, errno);
	_exit(1);
}

/* Not qsort(): that may allocate, and so move the break in the middle of a measurement of the break. */
static void sort(uint64_t *v, int n)
{
	for (int gap = n / 2; gap > 0; gap /= 2) {
		for (int i = gap; i < n; i++) {
			uint64_t x = v[i];
			int at = i;

			for (; at >= gap && v[at - gap] > x; at -= gap)
				v[at] = v[at - gap];
			v[at] = x;
		}
	}
}

static void reset(void)
{
	nr_samples = 0;
}

static void add(uint64_t spent)
{
	if (nr_samples < MAX_SAMPLES)
		sample[nr_samples++] = spent > clock_cost ? spent - clock_cost : 0;
}

/* Samples are in instructions times scale. */
static void print_scaled(const char *name, double scale)
{
	sort(sample, nr_samples);
	say("bench:\tuser.%s\tinsns\t%s\t%.2f\t%.2f\t%.2f\t%d\n", name, subject, (double)sample[nr_samples / 2] / scale,
	    (double)sample[0] / scale, (double)sample[nr_samples - 1] / scale, nr_samples);
}

static void print(const char *name)
{
	print_scaled(name, 1);
}

/* ---- pieces ---- */

static char *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void unmap(char *p, size_t bytes)
{
	if (munmap(p, bytes) != 0)
		die("munmap");
}

static void write_all(volatile char *p, long nr_pages)
{
	for (long i = 0; i < nr_pages; i++)
		p[i * PAGE] = 1;
}

static void read_all(volatile char *p, long nr_pages)
{
	for (long i = 0; i < nr_pages; i++)
		(void)p[i * PAGE];
}

static void sample_pages(volatile char *p, long nr_pages, int write)
{
	reset();
	for (long i = 0; i < nr_pages; i++) {
		uint64_t t = ticks();

		if (write)
			p[i * PAGE] = 1;
		else
			(void)p[i * PAGE];
		add(ticks() - t);
	}
}

static void wait_for(long pid)
{
	int status = -1;

	while (syscall(SYS_wait4, pid, &status, 0, NULL) < 0)
		if (errno != EINTR)
			die("wait4");
	if (status != 0)
		die("the child failed");
}

static long do_fork(void)
{
	long pid = syscall(SYS_fork);

	if (pid < 0)
		die("fork");
	return pid;
}

static long scale(long n, long smoke_n)
{
	return smoke ? smoke_n : n;
}

/* ---- benchmarks ---- */

static void calibrate(void)
{
	clock_cost = ~0ull;
	for (int i = 0; i < 200; i++) {
		uint64_t t = ticks(), d = ticks() - t;

		if (d < clock_cost)
			clock_cost = d;
	}
	reset();
	for (int i = 0; i < LOOPS; i++) {
		uint32_t count = 1000000;
		uint64_t t = ticks();

		__asm__ volatile("1: dec %0; jnz 1b" : "+r"(count) : : "cc");
		add(ticks() - t);
	}
	print_scaled("known-loop-of-2", 1000000);
}

static void bench_getppid(void)
{
	reset();
	for (long i = 0, n = scale(2000, 20); i < n; i++) {
		uint64_t t = ticks();

		syscall(SYS_getppid);
		add(ticks() - t);
	}
	print("getppid");
}

static void bench_write_faults(long nr_pages)
{
	size_t bytes = (size_t)nr_pages * PAGE;
	char *p = map(bytes);

	write_all(p, nr_pages); /* warm-up */
	unmap(p, bytes);
	p = map(bytes);
	sample_pages(p, nr_pages, 1);
	print("anon-write-fault");
	unmap(p, bytes);
}

static void bench_write_mean(long nr_pages)
{
	size_t bytes = (size_t)nr_pages * PAGE;
	uint64_t unmaps[LOOPS], t;

	reset();
	for (int i = 0; i < LOOPS; i++) {
		char *p = map(bytes);

		t = ticks();
		write_all(p, nr_pages);
		add(ticks() - t);
		t = ticks();
		unmap(p, bytes);
		unmaps[i] = ticks() - t;
	}
	print_scaled("anon-write-fault-mean", (double)nr_pages);
	reset();
	for (int i = 0; i < LOOPS; i++)
		add(unmaps[i]);
	print_scaled("munmap-per-touched-page-mean", (double)nr_pages);
}

static void bench_madvise(long nr_pages)
{
	size_t bytes = (size_t)nr_pages * PAGE;
	char *p = map(bytes);

	reset();
	for (int i = 0; i < LOOPS; i++) {
		write_all(p, nr_pages);
		uint64_t t = ticks();
		if (madvise(p, bytes, MADV_DONTNEED) != 0)
			die("madvise");
		add(ticks() - t);
	}
	print_scaled("madvise-dontneed-per-page-mean", (double)nr_pages);
	unmap(p, bytes);
}

static void bench_zero_page(long nr_pages)
{
	size_t bytes = (size_t)nr_pages * PAGE;
	char *p = map(bytes);

	sample_pages(p, nr_pages, 0);
	print("zero-read-fault");
	unmap(p, bytes);
	reset();
	for (int i = 0; i < LOOPS; i++) {
		p = map(bytes);
		read_all(p, nr_pages);
		uint64_t t = ticks();
		write_all(p, nr_pages);
		add(ticks() - t);
		unmap(p, bytes);
	}
	print_scaled("zero-page-then-write-mean", (double)nr_pages);
}

static void bench_map_pair(const char *name, size_t bytes, long reps)
{
	reset();
	for (long i = 0; i < reps; i++) {
		uint64_t t = ticks();

		unmap(map(bytes), bytes);
		add(ticks() - t);
	}
	print(name);
}

static void bench_map_touch(const char *name, size_t bytes, long reps)
{
	reset();
	for (long i = 0; i < reps; i++) {
		uint64_t t = ticks();
		char *p = map(bytes);

		write_all(p, (long)(bytes / PAGE));
		unmap(p, bytes);
		add(ticks() - t);
	}
	print(name);
}

/* Middle page of three; pages without access around them keep the neighbours away. */
static void bench_mprotect(const char *name, int touched)
{
	char *p = mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + 8 * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE) != 0)
		die("mprotect");
	if (touched)
		write_all(p + 8 * PAGE, 3);
	reset();
	for (long i = 0, n = scale(2000, 20); i < n; i++) {
		uint64_t t = ticks();

		mprotect(p + 9 * PAGE, PAGE, PROT_READ);
		mprotect(p + 9 * PAGE, PAGE, PROT_READ | PROT_WRITE);
		add(ticks() - t);
	}
	print(name);
	unmap(p, 64 * PAGE);
}

static void bench_mprotect_range(void)
{
	const long nr_pages = 1024;
	char *p = map(nr_pages * PAGE);

	write_all(p, nr_pages);
	reset();
	for (int i = 0; i < LOOPS; i++) {
		uint64_t t = ticks();

		mprotect(p, nr_pages * PAGE, PROT_READ);
		add(ticks() - t);
		mprotect(p, nr_pages * PAGE, PROT_READ | PROT_WRITE);
		write_all(p, nr_pages);
	}
	print_scaled("mprotect-to-read-per-page-mean", (double)nr_pages);
	unmap(p, nr_pages * PAGE);
}

static void step_brk(char **at, long by, int touch)
{
	uint64_t t = ticks();

	*at += by;
	syscall(SYS_brk, *at);
	if (touch)
		*(volatile char *)(*at - PAGE) = 1;
	add(ticks() - t);
}

static void bench_brk(void)
{
	long n = scale(2000, 20);
	char *start = (char *)syscall(SYS_brk, 0), *at = start;

	reset();
	for (long i = 0; i < n; i++)
		step_brk(&at, PAGE, 0);
	print("brk-grow-4K");
	write_all(start, n);
	reset();
	for (long i = 0; i < n; i++)
		step_brk(&at, -PAGE, 0);
	print("brk-shrink-4K-touched");
	reset();
	for (long i = 0; i < n; i++)
		step_brk(&at, PAGE, 1);
	print("brk-grow-4K+touch");
	syscall(SYS_brk, start);
}

/* Back and forth between two places that are not congruent to 2 MiB, so that page tables cannot move whole. */
static void bench_mremap(const char *name, long nr_pages)
{
	const size_t arena_bytes = 64u << 20;
	char *arena = mmap(NULL, arena_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *from = arena + (2u << 20), *to = arena + (34u << 20) + 0x10000;

	if (arena == MAP_FAILED || mmap(from, (size_t)nr_pages * PAGE, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != from)
		die("mmap");
	write_all(from, nr_pages);
	reset();
	for (long i = 0, n = scale(50, 4); i < n; i++) {
		char *other = from;
		uint64_t t = ticks();
		void *moved = mremap(from, (size_t)nr_pages * PAGE, (size_t)nr_pages * PAGE,
				     MREMAP_MAYMOVE | MREMAP_FIXED, to);

		add(ticks() - t);
		if (moved != to)
			die("mremap");
		from = to;
		to = other;
	}
	print(name);
	unmap(arena, arena_bytes);
}

static void bench_fork(const char *name, long nr_pages, int reps)
{
	char *p = map((size_t)nr_pages * PAGE);

	write_all(p, nr_pages);
	reset();
	for (int i = 0; i < reps; i++) {
		uint64_t t = ticks();
		long pid = do_fork();

		if (pid == 0)
			syscall(SYS_exit_group, 0);
		wait_for(pid);
		add(ticks() - t);
	}
	print(name);
	unmap(p, (size_t)nr_pages * PAGE);
}

/* The child writes pages it shares with the parent (copies); then the parent writes its own again (reuse). */
static void bench_cow(long nr_pages)
{
	char *p = map((size_t)nr_pages * PAGE);
	uint64_t t;

	write_all(p, nr_pages);
	long pid = do_fork();
	if (pid == 0) {
		sample_pages(p, nr_pages, 1);
		print("cow-copy");
		syscall(SYS_exit_group, 0);
	}
	wait_for(pid);
	reset();
	t = ticks();
	write_all(p, nr_pages);
	add(ticks() - t);
	print_scaled("cow-reuse-mean", (double)nr_pages);
	unmap(p, (size_t)nr_pages * PAGE);
}

static void bench_many_areas(void)
{
	long n = scale(10000, 100);
	size_t bytes = (size_t)n * 2 * PAGE;
	char *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	reset();
	uint64_t t = ticks();
	for (long i = 0; i < n; i++)
		if (mprotect(p + i * 2 * PAGE, PAGE, PROT_READ | PROT_WRITE) != 0)
			die("mprotect");
	add(ticks() - t);
	print_scaled("mprotect-carve-20000-areas-mean", (double)n);
	bench_map_pair("mmap+munmap-4K-with-20000-areas", PAGE, scale(2000, 20));
	unmap(p, bytes);
}

int main(int argc, char **argv)
{
	uint64_t since_power_on = ticks();

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--smoke") == 0)
			smoke = 1;
		else
			subject = argv[i];
	}
	memset(sample, 0xff, sizeof(sample)); /* present before the clock starts */
	calibrate();
	say("bench:\tuser.power-on-to-main\tinsns\t%s\t%llu\t%llu\t%llu\t1\n", subject, since_power_on, since_power_on,
	    since_power_on);
	bench_getppid();
	bench_write_faults(scale(4096, 64));
	bench_write_mean(scale(4096, 64));
	bench_madvise(scale(4096, 64));
	bench_zero_page(scale(4096, 64));
	bench_map_pair("mmap+munmap-4K", PAGE, scale(2000, 20));
	bench_map_pair("mmap+munmap-1M", 256 * PAGE, scale(2000, 20));
	bench_map_touch("mmap+touch+munmap-4K", PAGE, scale(2000, 20));
	bench_map_touch("mmap+touch+munmap-1M", 256 * PAGE, scale(100, 2));
	bench_mprotect("mprotect-split+merge", 0);
	bench_mprotect("mprotect-split+merge-touched", 1);
	bench_mprotect_range();
	bench_brk();
	bench_mremap("mremap-move-1p", 1);
	bench_mremap("mremap-move-256p", 256);
	bench_many_areas();
	bench_fork("fork+exit+wait-1p", 1, (int)scale(20, 2));
	bench_fork("fork+exit+wait-1000p", 1000, (int)scale(10, 2));
	bench_cow(scale(4096, 64));
	say("ubench: done\n");
	return 0;
}
