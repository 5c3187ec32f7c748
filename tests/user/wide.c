/* SPDX-License-Identifier: MIT */
/*
 * What only 64-bit programs have: addresses above 4 GiB and the window of 47 bits, the bases of FS and GS, the calls of
 * i386 from 64-bit code. Ends with "N passed, N failed".
 */
#include <asm/prctl.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096 };
#define WINDOW (1ul << 47)
#define HIGH ((char *)(1ul << 48))

static char *map(char *at, int flags)
{
	return mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static int works(char *p)
{
	*(volatile char *)p = 7;
	return *(volatile char *)p == 7;
}

static int five_levels(void)
{
	const char *machine = getenv("MACHINE");

	return machine && strcmp(machine, "x86_64-la57") == 0;
}

static void check_window(void)
{
	char *p = map(NULL, 0), *low = map(NULL, MAP_32BIT), *high = map(HIGH, 0);
	char *beyond = map(HIGH + PAGE, MAP_FIXED);

	CHECK("without a hint", (uintptr_t)p > UINT32_MAX && (uintptr_t)p < WINDOW && works(p));
	CHECK("MAP_32BIT", (uintptr_t)low < 1ul << 31 && works(low));
	if (five_levels()) {
		CHECK("a high hint", high == HIGH && works(high));
		CHECK("a high fixed place", beyond == HIGH + PAGE && works(beyond));
		CHECK("low again", (uintptr_t)map(NULL, 0) < WINDOW);
		CHECK("unmap", munmap(HIGH, 2 * PAGE) == 0);
	} else {
		CHECK("a high hint", high != MAP_FAILED && (uintptr_t)high < WINDOW);
		CHECK("a high fixed place", beyond == MAP_FAILED && errno == ENOMEM);
	}
	CHECK("the last page", map((char *)WINDOW - PAGE, MAP_FIXED) == MAP_FAILED || five_levels());
	CHECK("5 GiB", mmap(NULL, 5ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
}

static void check_bases(void)
{
	static unsigned long cell = 0x1234;
	unsigned long base = 0, got;

	CHECK("FS is the thread", syscall(SYS_arch_prctl, ARCH_GET_FS, &base) == 0 && base == *(unsigned long *)base);
	CHECK("set GS", syscall(SYS_arch_prctl, ARCH_SET_GS, &cell) == 0);
	__asm__ volatile("mov %%gs:0, %0" : "=r"(got));
	CHECK("through GS", got == 0x1234);
	usleep(20000); /* others run */
	__asm__ volatile("mov %%gs:0, %0" : "=r"(got));
	CHECK("GS stays", got == 0x1234);
	CHECK("get GS", syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == 0 && base == (unsigned long)&cell);
	CHECK("kernel base", syscall(SYS_arch_prctl, ARCH_SET_GS, KERNEL_ADDRESS) == -1 && errno == EPERM);
	CHECK("no such code", syscall(SYS_arch_prctl, 1, 0) == -1 && errno == EINVAL);
}

static long int80(long number, long first)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "0"(number), "b"(first) : "r8", "r9", "r10", "r11", "memory");
	return result;
}

/* The instruction decides about numbers and structures. */
static void check_old_calls(void)
{
	enum { GETPID_32 = 20, TIME_32 = 13 };
	char *low = map(NULL, MAP_32BIT);
	int pid = getpid();

	CHECK("getpid of i386", int80(GETPID_32, 0) == pid);
	memset(low, 0xff, 16);
	CHECK("time of i386", int80(TIME_32, (long)low) > 0 && *(int32_t *)low > 0 && *(int32_t *)(low + 4) == -1);
	CHECK("getpid of x86-64", syscall(SYS_getpid) == pid);
}

int main(void)
{
	check_window();
	check_bases();
	check_old_calls();
	return sum();
}
