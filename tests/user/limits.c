/* SPDX-License-Identifier: MIT */
/*
 * Where a program's addresses end, and what lies beyond: 32-bit programs on kernels of both widths, 64-bit ones with 4 and
 * with 5 levels of page tables. The expectations are those of Linux; MACHINE in the environment names the machine, without
 * it (on Linux itself) only what does not depend on it is asked. Ends with "N passed, N failed".
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

/* The first number in a file, ~0ul: none. */
static unsigned long number_in(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long number = ~0ul;

	if (f && fscanf(f, "%lu", &number) != 1)
		number = ~0ul;
	if (f)
		fclose(f);
	return number;
}

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

/* Page 0 is for who may reach the machine itself. */
static void check_first_page(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct all[2], d[2];
	char *volatile null = map(0, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED);
	unsigned long least = number_in("/proc/sys/vm/mmap_min_addr");

	CHECK("page 0 as root", !null && (*null = 1, *null == 1));
	CHECK("no hint goes there", (uintptr_t)map(PAGE, PAGE, PROT_READ, 0) >= least);
	CHECK("gone again", munmap(null, PAGE) == 0 && unmapped(0));
	syscall(SYS_capget, &h, all);
	memcpy(d, all, sizeof(d));
	d[0].effective &= ~(1u << CAP_SYS_RAWIO);
	CHECK("given up", syscall(SYS_capset, &h, d) == 0);
	CHECK("page 0 without", map(0, PAGE, PROT_READ, MAP_FIXED) == MAP_FAILED && errno == EPERM);
	CHECK("the first page for all", map(least, PAGE, PROT_READ, MAP_FIXED) == (char *)least);
	CHECK("had again", syscall(SYS_capset, &h, all) == 0);
	munmap((char *)least, PAGE);
}

/* Of the area at `at`, in KiB, by /proc/self/smaps. */
static long resident(const char *at)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[256];
	long rss = -1;
	int found = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (strchr(line, '-'))
			found |= strtoul(line, NULL, 16) == (uintptr_t)at;
		if (found && sscanf(line, "Rss: %ld kB", &rss) == 1)
			break;
	}
	if (f)
		fclose(f);
	return rss;
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* 16 pages, each touched once: a fault each, and a frame each for who writes. */
static void check_first_touches(int write)
{
	volatile char *p = map(0, 18 * PAGE, PROT_NONE, 0); /* a neighbour could be joined */
	long before;

	p += PAGE;
	mprotect((char *)p, 16 * PAGE, PROT_READ | PROT_WRITE);
	madvise((char *)p, 16 * PAGE, MADV_NOHUGEPAGE);
	before = faults();
	for (int i = 0; i < 16; i++)
		if (write)
			p[i * PAGE] = 1;
		else
			(void)p[i * PAGE];
	before = faults() - before;
	CHECK(write ? "faults of 16 writes" : "faults of 16 reads", before >= 16 && before <= 17);
	CHECK(write ? "16 written" : "16 read", resident((char *)p) == (write ? 64 : 0));
	munmap((char *)p - PAGE, 18 * PAGE);
}

static void check_defaults(void)
{
	unsigned long least = number_in("/proc/sys/vm/mmap_min_addr");

	CHECK("max_map_count", number_in("/proc/sys/vm/max_map_count") == 65530);
	CHECK("mmap_min_addr", least == 65536 || (!machine && least == 4096)); /* Debian's is 65536 */
	CHECK("overcommit_memory", number_in("/proc/sys/vm/overcommit_memory") == 0);
	CHECK("lowmem_reserve_ratio", number_in("/proc/sys/vm/lowmem_reserve_ratio") == 256);
}

/* There is one user and one group; who asks to become another must be told. */
static void check_ids(void)
{
	const gid_t none[2] = { 0, 0 }, some[2] = { 0, 5 };

	CHECK("to be what one is", setuid(0) == 0 && setgid(0) == 0 && setreuid(-1, 0) == 0 && setresgid(0, -1, 0) == 0);
	CHECK("to be another user", setuid(1000) == -1 && errno == EINVAL && getuid() == 0);
	CHECK("to be another group", setregid(5, 5) == -1 && errno == EINVAL && getgid() == 0);
	CHECK("for a while", setresuid(0, 1000, 0) == -1 && errno == EINVAL && geteuid() == 0);
	CHECK("groups", setgroups(2, none) == 0 && setgroups(0, NULL) == 0 && setgroups(2, some) == -1 && errno == EINVAL);
	CHECK("too many", setgroups(65537, none) == -1 && errno == EINVAL);
	CHECK("no list", syscall(SYS_setgroups, 1, 8) == -1 && errno == EFAULT);
}

static int grows_to(char *at)
{
	if (sigsetjmp(escape, 1) == 0) {
		*(volatile char *)at = 1;
		return 1;
	}
	return 0;
}

/* "limits gap N": on a machine that was told to keep N pages free below what grows. */
static void check_gap(unsigned long pages)
{
	char *below = map(0, 3 * 1024 * PAGE, PROT_READ | PROT_WRITE, 0), *p = below + 2 * 1024 * PAGE, *next;

	munmap(below + PAGE, 2 * 1024 * PAGE - PAGE);
	CHECK("a stack", map((uintptr_t)p, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_GROWSDOWN) == p);
	next = map((uintptr_t)p - (pages + 1) * PAGE, PAGE, PROT_READ, 0);
	CHECK("beside the gap", next == p - (pages + 1) * PAGE && munmap(next, PAGE) == 0);
	next = map((uintptr_t)p - pages * PAGE, PAGE, PROT_READ, 0);
	CHECK("in the gap", pages == 0 || (next != p - pages * PAGE && munmap(next, PAGE) == 0));
	CHECK("into the gap", pages == 0 || !grows_to(below + PAGE + (pages - 1) * PAGE));
	CHECK("up to the gap", grows_to(below + PAGE + pages * PAGE));
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	machine = getenv("MACHINE");
	if (argc == 3 && strcmp(argv[1], "gap") == 0) {
		check_gap(strtoul(argv[2], NULL, 10));
		return sum();
	}
	check_end();
	check_reserve();
	check_calls();
	check_first_page();
	check_first_touches(1);
	check_first_touches(0);
	check_defaults();
	if (machine)
		check_ids();
	return sum();
}
