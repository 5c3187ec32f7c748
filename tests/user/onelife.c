/* SPDX-License-Identifier: MIT */
/*
 * The life of one page at 20000000, for `kmm life`: read, written, paged out, read again, given up. Says what it is about to do.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "check.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

int main(void)
{
	volatile unsigned *p = mmap((void *)0x20000000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	CHECK("map", p == (void *)0x20000000);
	CHECK("read", p[1] == 0);
	p[1] = 0x12345678;
	CHECK("page out", madvise((void *)p, 4096, MADV_PAGEOUT) == 0);
	CHECK("read again", p[1] == 0x12345678);
	CHECK("unmap", munmap((void *)p, 4096) == 0);
	return sum();
}
