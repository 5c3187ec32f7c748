/* SPDX-License-Identifier: MIT */
/*
 * Questions that a real program can answer about its own memory: S29, S32, S35, S36, S38, S39, S44, S45, S51, S54, S62.
 * Prints a line "ok ID" or "FAIL ID what" for each, and the sum at the end; exits 0 when all hold.
 *
 * It runs on real Linux as well (also as a 32-bit program on a 64-bit kernel), so that what it expects is what Linux
 * does. There the kernel is not at 3 GiB, and what depends on that is left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

static sigjmp_buf back;
static volatile sig_atomic_t got_signal, got_code;
static void *volatile got_addr;
static char maps[16384];
static unsigned word_bytes; /* of the kernel */
static int failed, passed;

static void answer(const char *id, int ok, const char *what)
{
	printf(ok ? "ok %s\n" : "FAIL %s %s\n", id, what);
	*(ok ? &passed : &failed) += 1;
}

static void caught(int number, siginfo_t *info, void *context)
{
	(void)context;
	got_signal = number;
	got_code = info->si_code;
	got_addr = info->si_addr;
	siglongjmp(back, 1);
}

/* Touches p; returns the signal, 0 for none. */
static int touch(volatile char *p, int write)
{
	got_signal = 0;
	if (sigsetjmp(back, 1))
		return got_signal;
	if (write)
		*p = 1;
	else
		(void)*p;
	return 0;
}

static int dies(volatile char *p, int write, int number, int code)
{
	return touch(p, write) == number && got_code == code && got_addr == (void *)p;
}

static char *map(void *at, size_t len, int prot, int flags)
{
	char *p = mmap(at, len, prot, flags, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int refused(void *at, size_t len, int flags, int number)
{
	errno = 0;
	return !map(at, len, RW, flags) && errno == number;
}

static void read_maps(void)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t len = 0;
	ssize_t n;

	while (fd >= 0 && len < sizeof(maps) - 1 && (n = read(fd, maps + len, sizeof(maps) - 1 - len)) > 0)
		len += (size_t)n;
	maps[len] = 0;
	if (fd >= 0)
		close(fd);
}

/* The line of maps that covers p; NULL: none. */
static const char *line_of(const void *p)
{
	const char *line;
	unsigned long long start, end;

	for (line = maps; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (sscanf(line, "%llx-%llx", &start, &end) == 2 && (uintptr_t)p >= start && (uintptr_t)p < end)
			return line;
	return NULL;
}

static int line_has(const void *p, const char *word)
{
	const char *line = line_of(p), *at = line ? strstr(line, word) : NULL;

	return at && at < strchr(line, '\n');
}


/* The second number of /proc/self/statm; -1: there is none. */
static long rss(void)
{
	char text[128];
	long total, resident_pages = -1;
	int fd = open("/proc/self/statm", O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return -1;
	text[n] = 0;
	sscanf(text, "%ld %ld", &total, &resident_pages);
	return resident_pages;
}

static void own_variables(void)
{
	static int data = 1, bss;
	int variable = 0;

	answer("S29", line_has(&variable, "[stack]"), "a local variable is not in [stack]");
	answer("S54", line_has(&variable, "rw-p") && line_has(&data, "rw-p") && line_has(&bss, "rw-p") &&
		      line_has((void *)(uintptr_t)own_variables, "r-xp") && strstr(maps, "[heap]"),
	       "stack, data, code and heap are not all named with their rights");
}

static void mapping_first(void)
{
	char *p = map(NULL, PAGE, RW, ANON);

	munmap(p, PAGE);
	answer("S32", dies(p, 0, SIGSEGV, SEGV_MAPERR) && map(p, PAGE, RW, ANON | MAP_FIXED) == p && !touch(p, 1) &&
		      *p == 1, "before mmap a signal, after it the value");
}

static void bad_accesses(void)
{
	char *ro = map(NULL, PAGE, PROT_READ, ANON), *none = map(NULL, PAGE, PROT_NONE, ANON);
	char *kernel = (char *)(word_bytes == 4 ? 0xC0100000ul : 0xFFFFF000ul);
	char *p;
	int fd;

	answer("S38", dies(ro + 5, 1, SIGSEGV, SEGV_ACCERR) && dies(none + 6, 0, SIGSEGV, SEGV_ACCERR) &&
		      dies(NULL, 0, SIGSEGV, SEGV_MAPERR) && dies(kernel, 0, SIGSEGV, SEGV_MAPERR) && !touch(ro, 0),
	       "the signals of bad accesses");
	fd = open("/proc/self/exe", O_RDONLY);
	p = mmap(NULL, 1 << 24, PROT_READ, MAP_PRIVATE, fd, 0);
	answer("S44", fd >= 0 && p != MAP_FAILED && !touch(p, 0) && dies(p + (1 << 24) - 7, 0, SIGBUS, BUS_ADRERR),
	       "SIGBUS beyond the end of a file");
}

static void odd_calls(void)
{
	char *p = map(NULL, 2 * PAGE, RW, ANON);

	answer("S45", refused(p, PAGE, ANON | MAP_FIXED_NOREPLACE, EEXIST) && refused(NULL, 0, ANON, EINVAL) &&
		      map(p, PAGE, RW, ANON) != p && map(p, PAGE, RW, ANON | MAP_FIXED) == p,
	       "hint, FIXED, NOREPLACE, length 0");
	if (word_bytes == 4)
		answer("S35", refused((void *)0xC0000000u, PAGE, ANON | MAP_FIXED, ENOMEM) &&
			      refused((void *)0xFFFF0000u, PAGE, ANON | MAP_FIXED, ENOMEM),
		       "the kernel's addresses are not for mapping");
}

static void first_touch(void)
{
	char *p = map(NULL, 64 * PAGE, RW, ANON);
	volatile char sum = 0;
	long before, after;
	int i, full;

	madvise(p, 64 * PAGE, MADV_NOHUGEPAGE);
	full = rss() >= 0;
	for (i = 0, before = rss(); i < 16; i++)
		sum = (char)(sum | p[i * PAGE]);
	after = rss();
	/* Linux counts in batches per task: allow for what other pages of the program come in meanwhile */
	answer("S51", full && sum == 0 && after - before < 8, "reading zeros takes no frames");
	for (i = 0, before = rss(); i < 64; i++)
		p[i * PAGE] = 1;
	after = rss();
	answer("S36", full && after - before >= 32 && after - before < 96, "writing takes a frame each");
}

static void two_addresses(void)
{
	char *p = map(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS);
	char *q = map(NULL, PAGE, RW, ANON);
	int status = -1;
	pid_t pid;

	*p = *q = 1;
	pid = fork();
	if (pid == 0) {
		*p = *q = 42;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	answer("S62", status == 0 && *p == 42 && *q == 1, "a shared page is one location, a private one is not");
}

/* Does Linux, with words of that size, write this line the same way? */
static int canonical(const char *line)
{
	unsigned long long start, end, offset, inode;
	unsigned major, minor;
	int name = 0, len, pad = 25 + 6 * (int)word_bytes - 1;
	char rights[5], again[512];

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end, rights, &offset, &major, &minor, &inode,
		   &name) < 7)
		return 0;
	len = snprintf(again, sizeof(again), "%08llx-%08llx %s %08llx %02x:%02x %llu ", start, end, rights, offset,
		       major, minor, inode);
	if (line[name])
		snprintf(again + len, sizeof(again) - (size_t)len, "%*s %s", len < pad ? pad - len : 0, "",
			 line + name);
	return !strcmp(line, again);
}

static void maps_format(void)
{
	char *copy = strdup(maps), *rest = copy, *line;
	int ok = 1, nr = 0;

	for (; ok && (line = strsep(&rest, "\n")) != NULL && *line; nr++)
		ok = canonical(line);
	answer("S39", ok && nr >= 5, "the lines of /proc/self/maps");
	free(copy);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };
	struct utsname name;

	uname(&name);
	word_bytes = strstr(name.machine, "64") ? 8 : 4;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	free(malloc(100));
	read_maps();
	own_variables();
	maps_format();
	mapping_first();
	bad_accesses();
	odd_calls();
	first_touch();
	two_addresses();
	printf("%d passed, %d failed\n", passed, failed);
	if (failed)
		fputs(maps, stdout);
	return failed != 0;
}
