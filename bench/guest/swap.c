/* SPDX-License-Identifier: MIT */
/*
 * Access sequences on memory larger than RAM, and what they cost: swap PATTERNS [P]. The sequences are those that Debian's
 * Linux 6.1 was measured with, so the figures stand beside each other. P pages (default 16384) is the nominal RAM.
 *
 *  c  loop:        3P/2 pages in order, 3 times (the first fills)
 *  u  uniform:     3P/2 pages, filled in order, then 2P accesses anywhere
 *  z  skewed:      2P pages, filled in order, then 4P accesses, most of them to few
 *  h  hot + scan:  P/2 pages, filled and used P times; then 2P new pages once each, with 4 accesses to the hot ones after each
 *
 * An access is a store of 8 bytes to the start of a page, checked at the end. Random numbers: xorshift 13, 7, 17 from
 * 88172645463325252, the upper half of the state. A line per phase: pattern, phase, accesses, major faults, pages
 * read and written, and ticks of the time stamp counter, which are instructions where those are counted.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

static uint64_t state, accesses;
static volatile char *memory;

static uint32_t next32(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32);
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)((uint64_t)next32() * n >> 32);
}

/* n is a power of two. */
static uint32_t skewed(uint32_t n)
{
	uint64_t u = next32();

	u = u * u >> 32;
	u = u * u >> 32;
	return (uint32_t)(u * n >> 32) * 40503u & (n - 1);
}

static void touch(uint32_t page)
{
	*(volatile uint64_t *)(memory + (size_t)page * PAGE) = (uint64_t)page << 32 | (uint32_t)++accesses;
}

/* ---- phases ---- */

static unsigned long long count(const char *key)
{
	static char text[16384];
	FILE *f = fopen("/proc/vmstat", "r");
	size_t len = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	char *at;

	if (f)
		fclose(f);
	text[len] = 0;
	at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static struct {
	unsigned long long in, out, ticks, at;
	long major;
} begun;

/* Cuts the run into sections for a profiler (bench/profile/insnprof.c). */
static void mark(void)
{
	__asm__ volatile(".byte 0x66, 0x87, 0xdb" : : : "memory");
}

static void begin(void)
{
	struct rusage r;

	begun.in = count("pswpin ");
	begun.out = count("pswpout ");
	begun.at = accesses;
	getrusage(RUSAGE_SELF, &r);
	begun.major = r.ru_majflt;
	mark();
	begun.ticks = __builtin_ia32_rdtsc();
}

static void end(char pattern, const char *phase)
{
	unsigned long long ticks = __builtin_ia32_rdtsc() - begun.ticks;
	struct rusage r;

	mark();
	getrusage(RUSAGE_SELF, &r);
	printf("swap %c %s accesses %llu major %ld in %llu out %llu ticks %llu\n", pattern, phase,
	       (unsigned long long)accesses - begun.at, r.ru_majflt - begun.major, count("pswpin ") - begun.in,
	       count("pswpout ") - begun.out, ticks);
}

static void fill(uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		touch(i);
}

static uint32_t loop(uint32_t p)
{
	static const char *const phase[] = { "pass0", "pass1", "pass2" };
	uint32_t n = p / 2 * 3;

	for (int pass = 0; pass < 3; pass++) {
		begin();
		fill(0, n);
		end('c', phase[pass]);
	}
	return n;
}

static uint32_t spread(uint32_t p, int is_skewed)
{
	uint32_t n = is_skewed ? 2 * p : p / 2 * 3;

	begin();
	fill(0, n);
	end(is_skewed ? 'z' : 'u', "fill");
	for (int half = 0; half < 2; half++) {
		begin();
		for (uint32_t i = 0; i < (is_skewed ? 2 * p : p); i++)
			touch(is_skewed ? skewed(n) : below(n));
		end(is_skewed ? 'z' : 'u', half ? "second-half" : "first-half");
	}
	return n;
}

static uint32_t hot_and_scan(uint32_t p)
{
	uint32_t hot = p / 2;

	begin();
	fill(0, hot);
	for (uint32_t i = 0; i < p; i++)
		touch(below(hot));
	end('h', "warm");
	begin();
	for (uint32_t i = 0; i < 2 * p; i++) {
		touch(hot + i);
		for (int n = 0; n < 4; n++)
			touch(below(hot));
	}
	end('h', "scan");
	return hot + 2 * p;
}

static int run(char pattern, uint32_t p)
{
	uint32_t n = 0, bad = 0;

	memory = mmap(NULL, (size_t)p * 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	state = 88172645463325252u;
	switch (pattern) {
	case 'c': n = loop(p); break;
	case 'u': n = spread(p, 0); break;
	case 'z': n = spread(p, 1); break;
	case 'h': n = hot_and_scan(p); break;
	default: return 2;
	}
	for (uint32_t i = 0; i < n; i++)
		bad += *(volatile uint64_t *)(memory + (size_t)i * PAGE) >> 32 != i;
	printf("contents %c: %u pages, %u wrong\n", pattern, n, bad);
	return bad != 0;
}

int main(int argc, char **argv)
{
	uint32_t p = argc > 2 ? (uint32_t)atoi(argv[2]) : 16384;
	int status = 0, failed = 0;

	for (const char *pattern = argc > 1 ? argv[1] : "cuzh"; *pattern; pattern++) {
		fflush(stdout);
		if (fork() == 0) {
			status = run(*pattern, p);
			fflush(stdout);
			_exit(status);
		}
		wait(&status);
		failed |= status;
	}
	return failed != 0;
}
