/* SPDX-License-Identifier: MIT */
/*
 * A program bigger than memory: bigger MIB [PROCESSES [ROUNDS]]. Each process has its part of MIB in private memory, fills
 * it, forks a child half-way that sees the old contents, and reads and writes pages in random order; every page
 * says whose it is and how often it was written. Then swap's own calls are tried. Ends with "N passed, N failed".
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define PAGE 4096u

static uint64_t state;

static uint32_t next_random(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 32) * below >> 32);
}

/* The words of page i after it was written `times` times; they lie at its start, middle and end. */
static uint64_t word(unsigned who, uint32_t i, uint32_t times)
{
	return ((uint64_t)who << 56 | (uint64_t)times << 32 | i) * 0x9e3779b97f4a7c15u;
}

static void put(char *at, unsigned who, uint32_t i, uint32_t times)
{
	uint64_t w = word(who, i, times);

	memcpy(at + (size_t)i * PAGE, &w, sizeof(w));
	memcpy(at + (size_t)i * PAGE + PAGE / 2, &w, sizeof(w));
	memcpy(at + (size_t)i * PAGE + PAGE - sizeof(w), &w, sizeof(w));
}

static int holds(const char *at, unsigned who, uint32_t i, uint32_t times)
{
	uint64_t w = word(who, i, times);

	return memcmp(at + (size_t)i * PAGE, &w, sizeof(w)) == 0 && memcmp(at + (size_t)i * PAGE + PAGE / 2, &w, sizeof(w)) == 0 &&
	       memcmp(at + (size_t)i * PAGE + PAGE - sizeof(w), &w, sizeof(w)) == 0;
}

static uint32_t wrong(const char *at, unsigned who, uint32_t nr, const unsigned char *times)
{
	uint32_t bad = 0;

	for (uint32_t i = 0; i < nr; i++)
		bad += !holds(at, who, i, times[i]);
	return bad;
}

/* A child that looks at a few pages while the parent goes on, and writes some of its own. */
static pid_t look(char *at, unsigned who, uint32_t nr, unsigned char *times)
{
	pid_t pid = fork();
	uint32_t bad = 0;

	if (pid)
		return pid;
	for (uint32_t n = 0; n < 64; n++) {
		uint32_t i = next_random(nr);

		bad += !holds(at, who, i, times[i]);
		put(at, who + 100, i, 1);
		bad += !holds(at, who + 100, i, 1);
		put(at, who, i, times[i]);
	}
	_exit(bad != 0);
}

static int work(unsigned who, uint32_t nr, unsigned rounds)
{
	char *at = mmap(NULL, (size_t)nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *times = calloc(nr, 1);
	int status = 0;

	if (at == MAP_FAILED || !times)
		return 2;
	state = 88172645463325252u + who;
	for (uint32_t i = 0; i < nr; i++)
		put(at, who, i, 0);
	for (unsigned round = 0; round < rounds; round++) {
		pid_t child = look(at, who, nr, times);

		for (uint32_t n = 0; n < nr / 2; n++) {
			uint32_t i = next_random(nr);

			if (!holds(at, who, i, times[i]))
				return 3;
			put(at, who, i, ++times[i]);
		}
		if (waitpid(child, &status, 0) != child || status)
			return 4;
	}
	return wrong(at, who, nr, times) ? 5 : 0;
}

static void all_at_once(uint32_t nr, unsigned processes, unsigned rounds)
{
	for (unsigned i = 0; i < processes; i++)
		if (fork() == 0)
			_exit(work(i + 1, nr / processes, rounds));
	for (unsigned i = 0; i < processes; i++) {
		int status = -1;

		wait(&status);
		CHECK("contents", status == 0);
	}
}

static unsigned long long value(const char *path, const char *key)
{
	unsigned long long v = 0;
	char line[256];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			sscanf(line + strlen(key), " %llu", &v);
	if (f)
		fclose(f);
	return v;
}

static int swap_name(char *name)
{
	FILE *f = fopen("/proc/swaps", "r");
	int n = f && fgets(name, 128, f) && fscanf(f, "%127s", name) == 1;

	if (f)
		fclose(f);
	return n;
}

/* Two lines of vmstat. */
static unsigned long long brought(const char *disk, const char *compressed)
{
	return value("/proc/vmstat", disk) + value("/proc/vmstat", compressed);
}

int main(int argc, char **argv)
{
	uint32_t nr = (uint32_t)atoi(argc > 1 ? argv[1] : "16") * 256;
	unsigned processes = argc > 2 ? (unsigned)atoi(argv[2]) : 1, rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 2;
	struct rusage usage;
	char name[128], other[128];

	all_at_once(nr, processes, rounds);
	getrusage(RUSAGE_SELF, &usage);
	CHECK("there is swap", swap_name(name) && value("/proc/meminfo", "SwapTotal:") > 0);
	CHECK("it was used", brought("pswpin", "zswpin") > 0 && brought("pswpout", "zswpout") > 0); /* one written page may be read often */
	CHECK("major faults", value("/proc/vmstat", "pgmajfault") > 0);
	CHECK("swapoff", swapoff(name) == 0);
	CHECK("no swap", !swap_name(other) && value("/proc/meminfo", "SwapTotal:") == 0);
	CHECK("swapon of no file", swapon("/none", 0) == -1 && errno == ENOENT);
	CHECK("swapon of a program", swapon("/proc/self/exe", 0) == -1 && errno == EINVAL);
	CHECK("swapoff twice", swapoff(name) == -1 && errno == EINVAL);
	return sum();
}
