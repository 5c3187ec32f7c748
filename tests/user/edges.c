/* SPDX-License-Identifier: MIT */
/*
 * Every structure that a system call takes by a pointer, at every place where only part of it can be reached: ending so
 * many bytes beyond the last byte of a page with nothing behind it, and beginning so many bytes before the first one of a
 * page with nothing before it. Each must be EFAULT (or as much as could be done), and leave no descriptor behind. On Linux
 * the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, LONG = sizeof(long), MOST = 512 };
enum { RESULT_SIZE = 1, /* as many bytes as the call returns */
       NEVER_WHOLE = 2, /* not to be tried with all of it: it would be done */
       PARTIAL = 4 };   /* does as much as it can, if that is anything */

struct probe {
	const char *name;
	long number;
	unsigned at;          /* which argument is the pointer */
	unsigned long a[6];
	const void *content;  /* NULL: the call fills it */
	unsigned size, flags;
};

#ifdef __x86_64__
#define SYS_GETRESUID SYS_getresuid
#else
#define SYS_GETRESUID SYS_getresuid32
#endif

static char *page; /* nothing before it and nothing behind it */
static unsigned tried;

static char *make_page(void)
{
	char *area = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED || munmap(area, PAGE) || munmap(area + 2 * PAGE, PAGE))
		exit(2);
	return area + PAGE;
}

static int first_free_descriptor(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* The content, as much of it as lies in the page. */
static void put(const struct probe *p, char *to)
{
	const char *from = p->content;

	memset(page, 0, PAGE);
	for (unsigned i = 0; from && i < p->size; i++)
		if (to + i >= page && to + i < page + PAGE)
			to[i] = from[i];
}

static long call_at(const struct probe *p, char *pointer)
{
	unsigned long a[6];

	memcpy(a, p->a, sizeof(a));
	a[p->at] = (unsigned long)pointer;
	put(p, pointer);
	errno = 0;
	return syscall(p->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static int is_fault(const struct probe *p, char *pointer, const char *where, unsigned missing)
{
	long result = call_at(p, pointer), partial = p->size - missing;

	if (pointer >= page && partial && (p->flags & PARTIAL) ? result == partial : result == -1 && errno == EFAULT)
		return 1;
	printf("FAIL %s: %u of %u bytes beyond the %s: %ld, errno %d\n", p->name, missing, p->size, where, result, errno);
	return 0;
}

static void try_probe(const struct probe *p)
{
	struct probe with = *p;
	int fd, good = 1;

	if (!(p->flags & NEVER_WHOLE)) {
		long whole = call_at(&with, page + PAGE - with.size);

		if (whole == -1) {
			if (errno != ENOSYS || !on_kmm()) /* what kmm has not is in its list of calls */
				CHECK(p->name, errno == 0);
			return;
		}
		if (p->flags & RESULT_SIZE)
			with.size = (unsigned)whole;
	}
	fd = first_free_descriptor();
	for (unsigned missing = 1; missing <= with.size; missing++) {
		good &= is_fault(&with, page + PAGE - with.size + missing, "end", missing);
		good &= is_fault(&with, page - missing, "start", missing);
		tried += 2;
	}
	CHECK(p->name, good);
	CHECK(p->name, first_free_descriptor() == fd);
}

/* ---- what there is ---- */

static const struct rlimit limit = { 1 << 20, 1 << 20 };
static const uint64_t wide_limit[2] = { 1 << 20, 1 << 20 };
static const struct itimerval no_timer;
static const struct timespec at_once;
static const long mask[2];
static char buffer[64];
static const struct iovec vector[2] = { { buffer, 1 }, { buffer, 1 } };
static const stack_t no_stack = { .ss_flags = SS_DISABLE };
static const struct pollfd polled[3] = { { -1, 0, 0 }, { -1, 0, 0 }, { -1, 0, 0 } };
static const long action[4];
static char *const words[3] = { buffer, buffer, NULL };

#define OUT(nr, at, size, ...) { #nr, SYS_##nr, at, { __VA_ARGS__ }, NULL, size, 0 }
#define OUT_AS_LONG_AS_IT_SAYS(nr, at, size, ...) { #nr, SYS_##nr, at, { __VA_ARGS__ }, NULL, size, RESULT_SIZE }
#define IN(nr, at, what, ...) { #nr, SYS_##nr, at, { __VA_ARGS__ }, &what, sizeof(what), 0 }
#define TEXT(nr, at, what, ...) { #nr, SYS_##nr, at, { __VA_ARGS__ }, what, sizeof(what), NEVER_WHOLE }
#define NAME(nr, at, ...) TEXT(nr, at, "/nowhere/at all", __VA_ARGS__)

static void probe_all(void)
{
	const unsigned long me = (unsigned long)getpid(), zero = (unsigned long)open("/dev/zero", O_RDWR);
	const unsigned long ours = (unsigned long)vector;
	const struct probe probes[] = {
		OUT(uname, 0, 390),
		OUT(gettimeofday, 0, 2 * LONG), OUT(gettimeofday, 1, 8), OUT(clock_gettime, 1, 2 * LONG, CLOCK_MONOTONIC),
		OUT(clock_getres, 1, 2 * LONG, CLOCK_REALTIME), OUT(times, 0, 4 * LONG), OUT(sysinfo, 0, sizeof(struct sysinfo)),
		OUT(getrlimit, 1, 2 * LONG, RLIMIT_STACK), IN(setrlimit, 1, limit, RLIMIT_CORE),
		OUT(prlimit64, 3, 16, 0, RLIMIT_STACK), IN(prlimit64, 2, wide_limit, 0, RLIMIT_CORE),
		OUT(getrusage, 1, sizeof(struct rusage), RUSAGE_SELF), OUT(pipe, 0, 8), OUT(pipe2, 0, 8, 0, O_CLOEXEC),
		OUT(getcwd, 0, 2, 0, PAGE), OUT(GETRESUID, 0, sizeof(uid_t), 0, (unsigned long)buffer, (unsigned long)buffer),
		OUT(GETRESUID, 2, sizeof(uid_t), (unsigned long)buffer, (unsigned long)buffer),
		OUT(rt_sigprocmask, 2, 8, SIG_BLOCK, 0, 0, 8), { "rt_sigprocmask in", SYS_rt_sigprocmask, 1, { SIG_SETMASK, 0, 0, 8 }, mask, 8, 0 },
		OUT(rt_sigpending, 0, 8, 0, 8), OUT(rt_sigaction, 2, 3 * LONG + 8, SIGUSR1, 0, 0, 8),
		{ "rt_sigaction in", SYS_rt_sigaction, 1, { SIGUSR1, 0, 0, 8 }, action, 3 * LONG + 8, 0 },
		IN(sigaltstack, 0, no_stack), OUT(sigaltstack, 1, sizeof(stack_t)),
		OUT(getitimer, 1, sizeof(no_timer)), IN(setitimer, 1, no_timer), OUT(setitimer, 2, sizeof(no_timer), 0, (unsigned long)&no_timer),
		IN(nanosleep, 0, at_once), IN(clock_nanosleep, 2, at_once, CLOCK_MONOTONIC, 0),
		IN(poll, 0, polled, 0, 3, 0),
		{ "readv", SYS_readv, 1, { zero, 0, 2 }, vector, sizeof(vector), 0 },
		{ "writev", SYS_writev, 1, { zero, 0, 2 }, vector, sizeof(vector), 0 },
		{ "process_vm_readv ours", SYS_process_vm_readv, 1, { me, 0, 2, ours, 2, 0 }, vector, sizeof(vector), 0 },
		{ "process_vm_readv theirs", SYS_process_vm_readv, 3, { me, ours, 2, 0, 2, 0 }, vector, sizeof(vector), 0 },
		{ "process_vm_writev theirs", SYS_process_vm_writev, 3, { me, ours, 2, 0, 2, 0 }, vector, sizeof(vector), 0 },
		{ "mincore", SYS_mincore, 2, { (unsigned long)buffer & -(unsigned long)PAGE, PAGE, 0 }, NULL, 1, 0 },
		OUT_AS_LONG_AS_IT_SAYS(sched_getaffinity, 2, 128, 0, 128),
		OUT(sched_getparam, 1, 4, 0), OUT(sched_rr_get_interval, 1, 2 * LONG, 0),
		{ "prctl name out", SYS_prctl, 1, { 16 }, NULL, 16, 0 },
		{ "getrandom", SYS_getrandom, 0, { 0, 64 }, NULL, 64, PARTIAL }, { "pread64", SYS_pread64, 1, { zero, 0, 64 }, NULL, 64, PARTIAL },
		OUT_AS_LONG_AS_IT_SAYS(readlink, 1, 128, (unsigned long)"/proc/self/exe", 0, 128),
		OUT(statx, 4, 256, AT_FDCWD, (unsigned long)"/", 0, 0x7ff),
#ifdef __x86_64__
		OUT(time, 0, 8), OUT(stat, 1, 144, (unsigned long)"/"), OUT(lstat, 1, 144, (unsigned long)"/"), OUT(fstat, 1, 144, zero),
		OUT(newfstatat, 2, 144, (unsigned long)AT_FDCWD, (unsigned long)"/"), OUT(statfs, 1, 120, (unsigned long)"/"), OUT(fstatfs, 1, 120, zero),
#else
		OUT(stat64, 1, 96, (unsigned long)"/"), OUT(lstat64, 1, 96, (unsigned long)"/"), OUT(fstat64, 1, 96, zero),
		OUT(statfs64, 2, 84, (unsigned long)"/", 84), OUT(clock_gettime64, 1, 16, CLOCK_MONOTONIC), OUT(time, 0, 4),
#endif
		NAME(open, 0), NAME(openat, 1, AT_FDCWD), NAME(access, 0), NAME(unlink, 0), NAME(mkdir, 0), NAME(rmdir, 0), NAME(chdir, 0),
		NAME(rename, 0, 0, (unsigned long)"/x"), NAME(rename, 1, (unsigned long)"/x"), NAME(truncate, 0), NAME(execve, 0),
		TEXT(memfd_create, 0, "a name"),
		{ "execve words", SYS_execve, 1, { (unsigned long)"/proc/self/exe" }, words, sizeof(words), NEVER_WHOLE },
		{ "execve environment", SYS_execve, 2, { (unsigned long)"/proc/self/exe", (unsigned long)words }, words, sizeof(words), NEVER_WHOLE },
	};

	for (unsigned i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
		try_probe(&probes[i]);
}

/* How a child ended, where its parent has no place for all of the answer: it can still be waited for. */
static void probe_wait(void)
{
	const struct probe wait = { "wait4", SYS_wait4, 1, { (unsigned long)-1 }, NULL, 4, 0 };
	int good = 1;

	for (unsigned missing = 1; missing <= wait.size; missing++) {
		if (fork() == 0)
			_exit(3);
		good &= is_fault(&wait, page + PAGE - wait.size + missing, "end", missing);
	}
	CHECK("wait4", good);
	CHECK("no child left", syscall(SYS_wait4, -1, NULL, 0, NULL) == -1 && errno == ECHILD);
}

int main(void)
{
	if (chdir("/") != 0)
		return 2;
	page = make_page();
	probe_all();
	probe_wait();
	CHECK("enough was tried", tried > 3000);
	return sum();
}
