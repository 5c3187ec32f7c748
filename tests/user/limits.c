/* SPDX-License-Identifier: MIT */
/*
 * Where a program's addresses end, and what lies beyond: 32-bit programs on kernels of both widths, 64-bit ones with 4 and
 * with 5 levels of page tables. The expectations are those of Linux; MACHINE in the environment names the machine, without
 * it (on Linux itself) only what does not depend on it is asked. Ends with "N passed, N failed".
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { PAGE = 4096, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS };

static sigjmp_buf escape;
static volatile int code;
static void *volatile address;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	code = sig == SIGSEGV ? info->si_code : -1;
	address = info->si_addr;
	siglongjmp(escape, 1);
}

/* Does reading there end with SIGSEGV, this code and this address? */
static int refuses(uintptr_t at, int want_code, uintptr_t want_address)
{
	code = 0;
	if (sigsetjmp(escape, 1) == 0)
		(void)*(volatile char *)at;
	return code == want_code && (uintptr_t)address == want_address;
}

static int unmapped(uintptr_t at)
{
	return refuses(at, SEGV_MAPERR, at);
}

static char *map(uintptr_t at, size_t len, int prot, int flags)
{
	return mmap((void *)at, len, prot, ANONYMOUS | flags, -1, 0);
}

/* Is a page at `at` impossible, and the one below part of what programs may have? There the stack is, or room. */
static int ends_at(uintptr_t at)
{
	char *below = map(at - PAGE, PAGE, PROT_READ, MAP_FIXED_NOREPLACE);
	int possible = below != MAP_FAILED || errno == EEXIST;

	return possible && map(at, PAGE, PROT_READ, MAP_FIXED) == MAP_FAILED && errno == ENOMEM;
}

static const char *machine;

static int on(const char *start)
{
	return machine && strncmp(machine, start, strlen(start)) == 0;
}

#ifdef __x86_64__
static void check_end(void)
{
	const uintptr_t four = 1ul << 47, five = 1ul << 56;
	int levels = on("x86_64-la57") ? 5 : 4;

	CHECK("bit 63 alone", refuses(1ul << 63, SI_KERNEL, 0));
	CHECK("the kernel's addresses", unmapped(KERNEL_ADDRESS));
	CHECK("a hole of 128 TiB", map(0, four, PROT_NONE, 0) == MAP_FAILED && errno == ENOMEM);
	if (!machine)
		return;
	CHECK("64 TiB of memory", map(0, 1ul << 46, PROT_READ | PROT_WRITE, 0) == MAP_FAILED && errno == ENOMEM);
	if (levels == 4) {
		CHECK("bit 47 alone", refuses(four, SI_KERNEL, 0));
		CHECK("the end", ends_at(four - PAGE));
	} else {
		CHECK("bit 47 alone", unmapped(four));
		CHECK("bit 56 alone", refuses(five, SI_KERNEL, 0));
		CHECK("the end", ends_at(five - PAGE));
		CHECK("128 TiB above", map(four, four, PROT_NONE, MAP_NORESERVE) >= (char *)four);
	}
}

static void check_reserve(void)
{
	char *p = map(0, 1ul << 46, PROT_READ | PROT_WRITE, MAP_NORESERVE);

	CHECK("64 TiB without reserve", p != MAP_FAILED && munmap(p, 1ul << 46) == 0);
}
#else
static void check_end(void)
{
	const uint32_t most = 0xd0000000u; /* more than a 32-bit kernel leaves */
	char *p = map(0, most, PROT_NONE, MAP_NORESERVE);

	if (on("i386")) {
		CHECK("the end", ends_at(0xc0000000u));
		CHECK("3.25 GiB", p == MAP_FAILED && errno == ENOMEM);
		CHECK("the kernel's addresses", unmapped(0xc0100000u) && unmapped(0xfffff000u));
	} else if (on("x86_64")) {
		CHECK("the end", ends_at(0xffffe000u));
		CHECK("3.25 GiB", p != MAP_FAILED);
		CHECK("the last pages", unmapped(0xffffe000u) && unmapped(0xfffff000u));
	}
	if (p != MAP_FAILED)
		munmap(p, most);
}

static void check_reserve(void)
{
	CHECK("4 GiB less a page", map(0, 0xfffff000u, PROT_NONE, MAP_NORESERVE) == MAP_FAILED && errno == ENOMEM);
}
#endif

/* What does not depend on the width. */
static void check_calls(void)
{
	const struct rlimit little = { 64 << 20, RLIM_INFINITY }, all = { RLIM_INFINITY, RLIM_INFINITY };
	char *page = map(0, PAGE, PROT_READ, 0);

	CHECK("nothing", map(0, 0, PROT_READ, 0) == MAP_FAILED && errno == EINVAL);
	CHECK("taken", map((uintptr_t)page, PAGE, PROT_READ, MAP_FIXED_NOREPLACE) == MAP_FAILED && errno == EEXIST);
	CHECK("NULL", unmapped(0));
	mprotect(page, PAGE, PROT_NONE);
	CHECK("no right", refuses((uintptr_t)page, SEGV_ACCERR, (uintptr_t)page));
	munmap(page, PAGE);
	CHECK("gone", unmapped((uintptr_t)page));
	setrlimit(RLIMIT_AS, &little);
	CHECK("RLIMIT_AS", map(0, 128 << 20, PROT_READ, 0) == MAP_FAILED && errno == ENOMEM);
	setrlimit(RLIMIT_AS, &all);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	machine = getenv("MACHINE");
	check_end();
	check_reserve();
	check_calls();
	return sum();
}
