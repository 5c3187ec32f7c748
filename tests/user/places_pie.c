/* SPDX-License-Identifier: MIT */
/*
 * Where a static program lies that is position-independent, and where its heap begins: not behind it. On Linux without random
 * places. Ends with "N passed, N failed".
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "check.h"

#ifdef __x86_64__
#define LOW_BREAK 0x555555555000ul /* two thirds of the addresses */
#else
#define LOW_BREAK 0x400000ul
#endif

enum { PAGE = 4096, BREAK = 47 }; /* field of /proc/PID/stat */

/* The address at which the area with this name begins; 0: none. */
static unsigned long start_of(const char *name)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start = 0;
	char line[256];

	while (f && !start && fgets(line, sizeof(line), f))
		if (strstr(line, name))
			start = strtoul(line, NULL, 16);
	if (f)
		fclose(f);
	return start;
}

static unsigned long first_break(void)
{
	FILE *f = fopen("/proc/self/stat", "r");
	char text[1024] = "", *at = text;

	if (!f || !fgets(text, sizeof(text), f))
		return 0;
	fclose(f);
	for (int field = 1; at && field < BREAK; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoul(at, NULL, 10) : 0;
}

int main(void)
{
	extern const char __ehdr_start[] __attribute__((visibility("hidden")));
	unsigned long want = LOW_BREAK, here = (unsigned long)__ehdr_start;

	CHECK("not moved by an interpreter", getauxval(AT_BASE) == 0 && getauxval(AT_PHDR) > here && getauxval(AT_PHDR) < here + PAGE);
	CHECK("where mmap looks first", here > want);
	CHECK("the break", first_break() == want);
	CHECK("a heap", malloc(100) && sbrk(PAGE) != (void *)-1);
	CHECK("the heap", start_of("[heap]") == want);
	return sum();
}
