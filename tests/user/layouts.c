/* SPDX-License-Identifier: MIT */
/*
 * Where the parts of a new program lie, as vm.legacy_va_layout, kernel.randomize_va_space, personality(2) and RLIMIT_STACK say, and
 * what huge pages there are. Needs a root's rights. "layouts show FD" is how it starts itself. On Linux too. Ends with "N passed, N
 * failed".
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define LEGACY "/proc/sys/vm/legacy_va_layout"
#define RANDOM "/proc/sys/kernel/randomize_va_space"
#define HUGE "/proc/sys/vm/nr_hugepages"
#define MORE_HUGE "/proc/sys/vm/nr_overcommit_hugepages"
#define GIB (1ul << 30)

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS, FIXED = ADDR_NO_RANDOMIZE };

static const char *self;

/* Of a program that was started. */
struct places {
	uintptr_t first, second; /* mappings, in that order */
	uintptr_t heap, stack, vdso;
	int handled; /* a handler came back */
};

static uintptr_t start_of(const char *name)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, name) && sscanf(line, "%lx", &start) == 1)
			break;
	if (f)
		fclose(f);
	return start;
}

static volatile int handled;

static void handler(int sig)
{
	handled = sig;
}

static uintptr_t map(void)
{
	return (uintptr_t)mmap(NULL, PAGE, RW, ANON, -1, 0);
}

static int show(int fd)
{
	struct places p = { .heap = (uintptr_t)sbrk(0), .vdso = start_of("[vdso]") };

	p.first = map();
	p.second = map();
	p.stack = (uintptr_t)&p;
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	p.handled = handled == SIGUSR1;
	return write(fd, &p, sizeof(p)) == (ssize_t)sizeof(p) ? 0 : 1;
}

static struct places places_with(unsigned person)
{
	struct places p = { .first = 0 };
	int ends[2], status = -1;
	char number[12];

	if (pipe(ends) != 0)
		return p;
	snprintf(number, sizeof(number), "%d", ends[1]);
	if (fork() == 0) {
		personality(person);
		execl(self, "layouts", "show", number, (char *)NULL);
		_exit(99);
	}
	wait(&status);
	if (status != 0 || read(ends[0], &p, sizeof(p)) != (ssize_t)sizeof(p))
		p.first = 0;
	close(ends[0]), close(ends[1]);
	return p;
}

/* 0, or the errno. */
static int set(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY), err = write(fd, value, strlen(value)) < 0 ? errno : 0;

	close(fd);
	return err;
}

static int says(const char *file, const char *want)
{
	char text[32] = "";
	int fd = open(file, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	return n > 0 && strcmp(text, want) == 0;
}

static int places_down(void)
{
	uintptr_t first = map();

	return map() < first;
}

/* Does the kernel have 64 bits, whatever this program has? */
static int wide_kernel(void)
{
	struct utsname u;

	return uname(&u) == 0 && strcmp(u.machine, "x86_64") == 0;
}

/* Which way does a new program's second mapping lie from its first? 0: neither. */
static int direction(void)
{
	struct places p = places_with(FIXED);

	return !p.handled ? 0 : p.second == p.first - PAGE ? -1 : p.second == p.first + PAGE ? 1 : 0;
}

static void check_legacy(void)
{
	CHECK("from high to low", says(LEGACY, "0\n") && direction() == -1);
	CHECK("from low to high", set(LEGACY, "1\n") == 0 && says(LEGACY, "1\n") && direction() == 1);
	CHECK("another number", set(LEGACY, "2") == 0 && says(LEGACY, "2\n") && direction() == 1);
	CHECK("those that run keep theirs", places_down());
	CHECK("refused", set(LEGACY, "-1") == EINVAL && set(LEGACY, "x") == EINVAL && set(LEGACY, "3000000000") == EINVAL && says(LEGACY, "2\n"));
	CHECK("back", set(LEGACY, "0") == 0 && direction() == -1);
}

/* Which of the places differ in eight starts: 1 mappings, 2 stack, 4 heap. */
static int differing(unsigned person)
{
	struct places first = places_with(person);
	int bits = first.handled ? 0 : 64;

	for (int i = 0; i < 7; i++) {
		struct places p = places_with(person);

		bits |= (p.first != first.first) | (p.stack != first.stack) << 1 | (p.heap != first.heap) << 2 | (p.handled ? 0 : 64);
	}
	return bits;
}

static void check_random(void)
{
	static const char *const value[] = { "0", "1", "2" };
	int was = says(RANDOM, "1\n") ? 1 : says(RANDOM, "2\n") ? 2 : 0;

	CHECK("nothing", set(RANDOM, "0") == 0 && differing(0) == 0);
	CHECK("mappings and stack", set(RANDOM, "1") == 0 && differing(0) == 3);
	CHECK("the heap too", set(RANDOM, "2") == 0 && says(RANDOM, "2\n") && differing(0) == 7);
	CHECK("from low to high", differing(ADDR_COMPAT_LAYOUT) == 7);
	CHECK("not of who does not want it", differing(ADDR_NO_RANDOMIZE) == 0);
	CHECK("any number", set(RANDOM, "-1") == 0 && says(RANDOM, "-1\n") && differing(0) == 3 && set(RANDOM, "3") == 0 && differing(0) == 7);
	CHECK("no number", set(RANDOM, "x") == EINVAL && set(RANDOM, "3000000000") == EINVAL && says(RANDOM, "3\n"));
	CHECK("back", set(RANDOM, value[was]) == 0);
}

/* Addresses end at 3 GiB for a 32-bit program that says so; for others that means nothing. */
static void check_limit_3gb(void)
{
	struct places all = places_with(FIXED), some = places_with(FIXED | ADDR_LIMIT_3GB), up = places_with(FIXED | ADDR_LIMIT_3GB | ADDR_COMPAT_LAYOUT);
	struct places old = places_with(FIXED | PER_LINUX32_3GB);

	CHECK("started", all.handled && some.handled && up.handled && old.handled);
	if (sizeof(long) == 8) {
		CHECK("no limit", some.stack > 4 * GIB && some.stack - all.stack + PAGE < 2 * PAGE && some.first == all.first);
		return;
	}
	CHECK("without", all.stack > 3 * (GIB - 64 * PAGE) && (all.stack > 3 * GIB) == wide_kernel() && (all.first > 3 * GIB) == wide_kernel());
	CHECK("below it", some.stack < 3 * GIB && some.stack > 3 * GIB - 64 * PAGE && some.first < 3 * GIB - (128 << 20) && old.stack == some.stack);
	CHECK("the kernel's page too", some.vdso > some.first && some.vdso < 3 * GIB - (128 << 20));
	CHECK("from a third on", up.first >= GIB && up.first < GIB + 64 * PAGE && up.vdso >= GIB && up.vdso < up.first);
}

static void check_huge_pages(void)
{
	CHECK("there are none", says(HUGE, "0\n") && says(MORE_HUGE, "0\n"));
	CHECK("none is one more", set(HUGE, "0") == 0 && set(MORE_HUGE, "0") == 0);
	if (on_kmm()) /* Linux would make some */
		CHECK("none can be made", set(HUGE, "1") == EINVAL && set(MORE_HUGE, "1") == EINVAL && says(HUGE, "0\n"));
}

/* 7: started with n strings of that length under the limit; otherwise the errno, or 100 and the signal. */
static int start(unsigned long limit, int n, size_t len)
{
	const struct rlimit rl = { limit, RLIM_INFINITY };
	static char text[200000], *argv[200];
	int status;

	memset(text, 'x', len);
	text[len] = 0;
	argv[0] = (char *)(uintptr_t)"layouts";
	for (int i = 1; i <= n; i++)
		argv[i] = text;
	argv[n + 1] = NULL;
	if (fork() == 0) {
		setrlimit(RLIMIT_STACK, &rl);
		personality(FIXED);
		execve(self, argv, (char *[]){ NULL });
		_exit(errno);
	}
	wait(&status);
	return WIFSIGNALED(status) ? 100 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The strings' pages but the first are within the limit; then the program must do with what is left. */
static void check_small_stacks(void)
{
	CHECK("none at all, a page of strings and little else", start(0, 1, 10) == (sizeof(long) == 8 ? 7 : 100 + SIGSEGV));
	CHECK("none at all, two", start(0, 1, 5000) == E2BIG);
	CHECK("two pages, three of strings", start(2 * PAGE, 2, 4096) == E2BIG);
	CHECK("sixteen pages", start(16 * PAGE, 17, 4000) == E2BIG && start(16 * PAGE, 10, 4000) == 7);
	CHECK("enough", start(64 * PAGE, 31, 4095) == 7);
	CHECK("128 KiB of strings are too many", start(64 * PAGE, 33, 4096) == E2BIG);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "show") == 0)
		return show(atoi(argv[2]));
	if (argc > 1)
		return 7;
	self = "/proc/self/exe";
	check_legacy();
	check_random();
	check_limit_3gb();
	check_huge_pages();
	check_small_stacks();
	return sum();
}
