/* SPDX-License-Identifier: MIT */
/*
 * What /proc says about a program's own memory, and forgets when asked: pagemap, clear_refs, smaps_rollup, limits. On Linux
 * it needs to be root. Ends with "N passed, N failed".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS };

#define PRESENT (1ull << 63)
#define OF_FILE (1ull << 61)
#define EXCLUSIVE (1ull << 56)
#define SOFT_DIRTY (1ull << 55)
#define FRAME ((1ull << 55) - 1)

static int pagemap;
static size_t huge; /* the size of a huge page */

static uint64_t word(const char *p)
{
	uint64_t w = 1;

	if (pread64(pagemap, &w, sizeof(w), (off64_t)((uintptr_t)p / PAGE * 8)) != sizeof(w))
		return 2;
	return w;
}

static int clear_refs(const char *what)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY), done = (int)write(fd, what, strlen(what)), err = errno;

	close(fd);
	return done < 0 ? -err : done;
}

/* The number in a line "Name:   123 kB" of the area in smaps (or of the whole file if start is 0); -1: no such line. */
static long line_of(const char *file, const void *start, const char *name)
{
	char line[256], area[32];
	int here = !start;
	long kb = -1;
	FILE *f = fopen(file, "r");

	snprintf(area, sizeof(area), "%08lx-", (unsigned long)start);
	while (f && kb < 0 && fgets(line, sizeof(line), f)) {
		here |= strncmp(line, area, strlen(area)) == 0;
		if (here && strncmp(line, name, strlen(name)) == 0)
			kb = strtol(line + strlen(name), NULL, 10);
	}
	if (f)
		fclose(f);
	return kb;
}

static int has_flag(const void *start, const char *flag)
{
	char line[256], area[32];
	int here = 0, found = 0;
	FILE *f = fopen("/proc/self/smaps", "r");

	snprintf(area, sizeof(area), "%08lx-", (unsigned long)start);
	while (f && fgets(line, sizeof(line), f)) {
		here |= strncmp(line, area, strlen(area)) == 0;
		if (here && strncmp(line, "VmFlags:", 8) == 0) {
			found = strstr(line, flag) != NULL;
			break;
		}
	}
	if (f)
		fclose(f);
	return found;
}

static char *map(size_t pages, int flags)
{
	return mmap(NULL, pages * PAGE, RW, flags, -1, 0);
}

static void check_pagemap(void)
{
	char *p = map(4, ANONYMOUS), *shared = map(2, MAP_SHARED | MAP_ANONYMOUS);
	uint64_t w;
	int status;
	pid_t child;

	p[0] = 1;
	(void)*(volatile char *)(p + PAGE);
	shared[0] = 1;
	w = word(p);
	CHECK("a page", (w & PRESENT) && (w & EXCLUSIVE) && !(w & OF_FILE) && (w & FRAME));
	w = word(p + PAGE);
	CHECK("the zero page", (w & PRESENT) && !(w & EXCLUSIVE) && !(w & OF_FILE));
	CHECK("nothing", !(word(p + 2 * PAGE) & PRESENT));
	w = word(shared);
	CHECK("shared", (w & PRESENT) && (w & OF_FILE));
	CHECK("an area's hole", !(word(shared + PAGE) & PRESENT));
	CHECK("NULL", word(NULL) == 0);
	CHECK("odd", pread64(pagemap, &w, 7, 0) == -1 && errno == EINVAL);
	CHECK("odd too", pread64(pagemap, &w, 8, 4) == -1 && errno == EINVAL);
	child = fork();
	if (child == 0)
		_exit(0);
	CHECK("two", waitpid(child, &status, 0) == child);
	CHECK("and one again", (word(p) & EXCLUSIVE));
	munmap(p, 4 * PAGE);
	munmap(shared, 2 * PAGE);
}

/* 64-bit kernels watch writes. */
static void check_soft_dirty(void)
{
	char *p = map(8, ANONYMOUS), *shared = map(2, MAP_SHARED | MAP_ANONYMOUS), *q;

	memset(p, 1, 4 * PAGE);
	shared[0] = 1;
	if (!has_flag(p, " sd ")) {
		printf("writes are not watched here\n");
		return;
	}
	CHECK("a new area", (word(p) & SOFT_DIRTY) && (word(p + 7 * PAGE) & SOFT_DIRTY));
	CHECK("clear", clear_refs("4") == 1);
	CHECK("cleared", !(word(p) & SOFT_DIRTY) && !(word(p + 7 * PAGE) & SOFT_DIRTY) && !(word(shared) & SOFT_DIRTY));
	CHECK("no flag", !has_flag(p, " sd "));
	CHECK("reading", p[0] == 1 && !(word(p) & SOFT_DIRTY) && shared[0] == 1);
	p[PAGE] = 2;
	shared[0] = 2;
	CHECK("writing", (word(p + PAGE) & SOFT_DIRTY) && !(word(p) & SOFT_DIRTY) && (word(shared) & SOFT_DIRTY));
	(void)*(volatile char *)(shared + PAGE);
	CHECK("a shared read", !(word(shared + PAGE) & SOFT_DIRTY));
	shared[PAGE] = 1;
	CHECK("a shared write", word(shared + PAGE) & SOFT_DIRTY);
	p[5 * PAGE] = 1;
	CHECK("a first write", word(p + 5 * PAGE) & SOFT_DIRTY);
	mprotect(p + 2 * PAGE, PAGE, PROT_READ);
	mprotect(p + 2 * PAGE, PAGE, RW);
	CHECK("rights", !(word(p + 2 * PAGE) & SOFT_DIRTY));
	p[2 * PAGE] = 3;
	CHECK("and then", (word(p + 2 * PAGE) & SOFT_DIRTY));
	clear_refs("4");
	q = mremap(p, 8 * PAGE, 16 * PAGE, MREMAP_MAYMOVE);
	if (q == p)
		q = mremap(p, 16 * PAGE, 16 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map(16, ANONYMOUS));
	CHECK("moved", word(q) & SOFT_DIRTY);
}

static void check_clear_refs(void)
{
	char *p = map(4, ANONYMOUS), *shared = map(2, MAP_SHARED | MAP_ANONYMOUS);

	memset(p, 1, 4 * PAGE);
	memset(shared, 1, 2 * PAGE);
	CHECK("used", line_of("/proc/self/smaps", p, "Referenced:") == 16);
	CHECK("refused", clear_refs("0") == -EINVAL && clear_refs("6") == -EINVAL && clear_refs("x") == -EINVAL);
	CHECK("anonymous", clear_refs("2\n") == 2 && line_of("/proc/self/smaps", p, "Referenced:") == 0);
	CHECK("not shared", line_of("/proc/self/smaps", shared, "Referenced:") == 8);
	CHECK("mapped", clear_refs("3") == 1 && line_of("/proc/self/smaps", shared, "Referenced:") == 0);
	p[0] = 2;
	if (on_kmm()) /* Linux does not tell the processors, who then set no mark */
		CHECK("used again", line_of("/proc/self/smaps", p, "Referenced:") == 4);
	CHECK("all", clear_refs("1") == 1 && line_of("/proc/self/smaps", p, "Referenced:") == 0);
	CHECK("blanks and a sign", clear_refs(" +1 \t\n") == 6 && clear_refs("1\n\n") == 3);
	CHECK("twelve bytes of it", clear_refs("1               ") == 12 && clear_refs("1           x") == 12);
	CHECK("a number", clear_refs("-1") == -EINVAL && clear_refs("+") == -EINVAL && clear_refs("1 1") == -EINVAL);
	CHECK("a large number", clear_refs("11111111111") == -ERANGE && clear_refs("3000000000") == -ERANGE);
	munmap(p, 4 * PAGE);
	p = map(1024, ANONYMOUS | MAP_POPULATE);
	munmap(p, 1024 * PAGE);
	CHECK("the peak", line_of("/proc/self/status", NULL, "VmHWM:") >= 4096);
	CHECK("no peak", clear_refs("5") == 1 && line_of("/proc/self/status", NULL, "VmHWM:") < 4096);
}

static void check_rollup(void)
{
	static const char *const sums[] = { "Rss:", "Anonymous:", "Private_Dirty:", "Referenced:", "Pss:" };
	char *p = map(16, ANONYMOUS | MAP_POPULATE);

	for (int i = 0; i < 4; i++) {
		FILE *f = fopen("/proc/self/smaps", "r");
		char line[256];
		long sum = 0, rollup;

		while (f && fgets(line, sizeof(line), f))
			if (strncmp(line, sums[i], strlen(sums[i])) == 0)
				sum += strtol(line + strlen(sums[i]), NULL, 10);
		if (f)
			fclose(f);
		rollup = line_of("/proc/self/smaps_rollup", NULL, sums[i]);
		CHECK("a sum", sum > 0 && rollup >= sum - 16 && rollup <= sum + 16);
	}
	CHECK("more lines", line_of("/proc/self/smaps_rollup", NULL, "Pss_Anon:") >= 64 &&
				    line_of("/proc/self/smaps_rollup", NULL, "Locked:") == 0);
	munmap(p, 16 * PAGE);
}

static void check_limits(void)
{
	const struct rlimit want = { 123456, RLIM_INFINITY };
	char line[256];
	int found = 0;
	FILE *f;

	setrlimit(RLIMIT_DATA, &want);
	f = fopen("/proc/self/limits", "r");
	while (f && fgets(line, sizeof(line), f)) {
		found += strcmp(line, "Limit                     Soft Limit           Hard Limit           Units     \n") == 0;
		found += strcmp(line, "Max data size             123456               unlimited            bytes     \n") == 0;
		found += strcmp(line, "Max nice priority         0                    0                    \n") == 0;
		found += strcmp(line, "Max msgqueue size         819200               819200               bytes     \n") == 0;
	}
	if (f)
		fclose(f);
	CHECK("limits", found == 4);
}

static int set(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY), done = (int)write(fd, value, strlen(value));

	close(fd);
	return done == (int)strlen(value);
}

static int set_overcommit(const char *mode)
{
	return set("/proc/sys/vm/overcommit_memory", mode);
}

/* By the rule that promises no more than there is. Not on a machine that has other things to do. */
static void check_overcommit(void)
{
	long limit = line_of("/proc/meminfo", NULL, "CommitLimit:"), now = line_of("/proc/meminfo", NULL, "Committed_AS:");
	size_t pages = (size_t)limit / 4;
	char *p;

	CHECK("a limit", limit > 0 && now >= 0);
	if (!on_kmm())
		return;
	p = map(pages, ANONYMOUS);
	CHECK("promised", p != MAP_FAILED && line_of("/proc/meminfo", NULL, "Committed_AS:") >= now + (long)pages * 4);
	munmap(p, pages * PAGE);
	CHECK("no such rule", !set_overcommit("3") && !set_overcommit("x"));
	CHECK("strictly", set_overcommit("2\n"));
	CHECK("too much", map(pages, ANONYMOUS) == MAP_FAILED && errno == ENOMEM);
	CHECK("without reserve", map(pages, ANONYMOUS | MAP_NORESERVE) == MAP_FAILED && errno == ENOMEM);
	p = map(pages / 8, ANONYMOUS);
	CHECK("not too much", p != MAP_FAILED);
	munmap(p, pages / 8 * PAGE);
	CHECK("by an amount", set("/proc/sys/vm/overcommit_kbytes", "12000\n") && line_of("/proc/meminfo", NULL, "CommitLimit:") == 12000 &&
				      line_of("/proc/sys/vm/overcommit_ratio", NULL, "") == 0);
	CHECK("by a ratio", set("/proc/sys/vm/overcommit_ratio", "50") && line_of("/proc/sys/vm/overcommit_kbytes", NULL, "") == 0 &&
				    line_of("/proc/meminfo", NULL, "CommitLimit:") == limit);
	CHECK("as before", set_overcommit("0"));
}

/* The lines of Linux 6.1 in their order; there may be others between. */
static void check_status(void)
{
	static const char *const names[] = {
		"Name:", "Umask:", "State:", "Tgid:", "Ngid:", "Pid:", "PPid:", "TracerPid:", "Uid:", "Gid:", "FDSize:", "Groups:",
		"NStgid:", "NSpid:", "NSpgid:", "NSsid:", "VmPeak:", "VmSize:", "VmLck:", "VmPin:", "VmHWM:", "VmRSS:",
		"RssAnon:", "RssFile:", "RssShmem:", "VmData:", "VmStk:", "VmExe:", "VmLib:", "VmPTE:", "VmSwap:", "HugetlbPages:",
		"CoreDumping:", "THP_enabled:", "Threads:", "SigQ:", "SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:",
		"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:",
		"Speculation_Store_Bypass:", "SpeculationIndirectBranch:", "Cpus_allowed:", "Cpus_allowed_list:", "Mems_allowed:",
		"Mems_allowed_list:", "voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:",
	};
	long sleeps = line_of("/proc/self/status", NULL, "voluntary_ctxt_switches:");
	unsigned seen = 0;
	char line[1024];
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (seen < sizeof(names) / sizeof(names[0]) && strncmp(line, names[seen], strlen(names[seen])) == 0)
			seen++;
	CHECK("all lines", f && seen == sizeof(names) / sizeof(names[0]));
	fclose(f);
	for (int i = 0; i < 100 && line_of("/proc/self/status", NULL, "voluntary_ctxt_switches:") == sleeps; i++)
		usleep(1000 * i); /* on a busy host a short while is over before it begins */
	CHECK("room for descriptors", line_of("/proc/self/status", NULL, "FDSize:") == 64 || line_of("/proc/self/status", NULL, "FDSize:") == 32);
	CHECK("huge pages are not forbidden", line_of("/proc/self/status", NULL, "THP_enabled:") == 1);
	CHECK("slept", line_of("/proc/self/status", NULL, "voluntary_ctxt_switches:") > sleeps);
	CHECK("of here", line_of("/proc/self/status", NULL, "NSpid:") == getpid() && line_of("/proc/self/status", NULL, "SigQ:") >= 0);
}

/* Nor are any kept for MAP_HUGETLB. */
static void check_no_reserve(size_t kib)
{
	char name[80], line[16] = "";
	FILE *f;

	snprintf(name, sizeof(name), "/sys/kernel/mm/hugepages/hugepages-%zukB/free_hugepages", kib);
	f = fopen(name, "r");
	CHECK("a size", line_of("/proc/meminfo", NULL, "Hugepagesize:") == (long)kib);
	CHECK("none", line_of("/proc/meminfo", NULL, "HugePages_Total:") == 0 && line_of("/proc/meminfo", NULL, "Hugetlb:") == 0);
	CHECK("none free", f && fgets(line, sizeof(line), f) && strcmp(line, "0\n") == 0);
	if (f)
		fclose(f);
}

/* Marks without effect here: no page is huge, and none are merged. */
static void check_marks(void)
{
	char *p = map(4, ANONYMOUS);
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "r");
	char line[32] = "";

	CHECK("merged", madvise(p, PAGE, MADV_MERGEABLE) == 0 && has_flag(p, " mg ") && !has_flag(p + PAGE, " mg "));
	CHECK("and not", madvise(p, PAGE, MADV_UNMERGEABLE) == 0 && !has_flag(p, " mg "));
	CHECK("their size", f && fgets(line, sizeof(line), f) && (atoi(line) == 2 << 20 || atoi(line) == 4 << 20));
	huge = (size_t)atoi(line);
	check_no_reserve(huge >> 10);
	CHECK("huge", madvise(p, PAGE, MADV_HUGEPAGE) == 0 && has_flag(p, " hg "));
	CHECK("not huge", madvise(p, PAGE, MADV_NOHUGEPAGE) == 0 && has_flag(p, " nh ") && !has_flag(p, " hg "));
	if (f)
		fclose(f);
	munmap(p, 4 * PAGE);
}

/* Four huge pages' room. */
static char *map_huge(int flags, int fd)
{
	char *all = mmap(NULL, 5 * huge, PROT_NONE, ANONYMOUS, -1, 0), *p = all + (-(uintptr_t)all & (huge - 1));

	munmap(all, 5 * huge);
	return mmap(p, 4 * huge, RW, flags | MAP_FIXED | MAP_NORESERVE, fd, 0); /* some machines have less memory than that */
}

/* 0 or an errno. */
static int collapse(char *p, size_t len)
{
	return madvise(p, len, 25) == 0 ? 0 : errno;
}

/* Linux has huge pages and collapses what can be. Here none are to be had. */
static void check_collapse(void)
{
	int done = on_kmm() ? ENOMEM : 0, mem = (int)syscall(SYS_memfd_create, "huge", 0);
	char *p = map(4, ANONYMOUS), *q;

	p[0] = 1;
	CHECK("too small an area", collapse(p, 4 * PAGE) == EINVAL);
	p = map_huge(ANONYMOUS, -1);
	CHECK("no page yet", collapse(p, 4 * huge) == EINVAL);
	p[0] = 1;
	CHECK("nothing whole", collapse(p, PAGE) == 0 && collapse(p + PAGE, huge) == 0 && collapse(p + PAGE, PAGE) == EINVAL);
	CHECK("no table", collapse(p + huge, huge) == EINVAL);
	CHECK("one", collapse(p, huge) == done && p[0] == 1);
	CHECK("one and a part", collapse(p, huge + PAGE) == done);
	CHECK("not aligned", collapse(p + 1, huge) == EINVAL);
	CHECK("no length", collapse(p, 0) == 0);
	q = map_huge(ANONYMOUS, -1);
	CHECK("only read", *(volatile char *)q == 0 && collapse(q, huge) == EINVAL);
	q[huge + PAGE] = 1;
	CHECK("not to be written", mprotect(q + huge, huge, PROT_READ) == 0 && collapse(q + huge, huge) == EINVAL);
	CHECK("marked", mprotect(q + huge, huge, RW) == 0 && madvise(q, 4 * huge, MADV_NOHUGEPAGE) == 0 && collapse(q + huge, huge) == EINVAL);
	munmap(q, 4 * huge);
	munmap(p + huge, huge);
	CHECK("a hole", collapse(p, 3 * huge) == (on_kmm() ? ENOMEM : EINVAL)); /* behind it there is no table */
	munmap(p, 4 * huge);
	p = map_huge(MAP_SHARED | MAP_ANONYMOUS, -1);
	p[0] = 1;
	CHECK("shared", collapse(p, huge) == done);
	munmap(p, 4 * huge);
	p = ftruncate(mem, (off_t)(4 * huge)) == 0 ? map_huge(MAP_SHARED, mem) : NULL;
	p[0] = 1;
	CHECK("a file in memory", collapse(p, huge) == done);
	p = mmap(p + 2 * huge, 2 * huge, RW, MAP_SHARED | MAP_FIXED, mem, PAGE);
	p[0] = 1;
	CHECK("not where it lies in the file", collapse(p, huge) == EINVAL);
	munmap(p - 2 * huge, 4 * huge);
	close(mem);
}

/* The text of a small file, to its end or the first 0. */
static const char *text_of(const char *path)
{
	static char text[1024];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = 0;
	return text;
}

static void check_others(void)
{
	char exe[256] = "", want[300], seen[64] = "";
	const char *name, *at;
	int spaces = 0;

	CHECK("the program", readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	name = strrchr(exe, '/') + 1;
	snprintf(want, sizeof(want), "%.15s\n", name);
	CHECK("its name", strcmp(text_of("/proc/self/comm"), want) == 0);
	CHECK("its first word", strstr(text_of("/proc/self/cmdline"), name) != NULL);
	CHECK("its directory", chdir("/tmp") == 0 && readlink("/proc/self/cwd", seen, sizeof(seen)) == 4 && strcmp(seen, "/tmp") == 0 && chdir("/") == 0);
	CHECK("its root", readlink("/proc/self/root", seen, sizeof(seen)) == 1 && seen[0] == '/');
	snprintf(want, sizeof(want), "%d (%.15s) R %d ", getpid(), name, getppid());
	at = text_of("/proc/self/stat");
	CHECK("numbers", strncmp(at, want, strlen(want)) == 0);
	for (; *at; at++)
		spaces += *at == ' ';
	CHECK("all of them", spaces == 51);
	at = text_of("/proc/self/cgroup"); /* Linux has the version only if it is asked for */
	CHECK("its cgroup", !on_kmm() || strncmp(at, "0::/", 4) == 0);
}

/* A process that gives its rights up may not look at one that has them, nor see frames. */
static int without_rights(void)
{
	static const char *const hidden[] = { "maps", "smaps", "smaps_rollup", "pagemap" }, *const open_to_all[] = { "status", "statm", "limits" };
	struct { uint32_t version; int pid; } head = { 0x20080522, 0 };
	struct { uint32_t effective, permitted, inheritable; } none[2] = { { 0 } };
	char path[64], *p = map(1, ANONYMOUS);
	int good = 1;

	p[0] = 1;
	close(pagemap);
	pagemap = open("/proc/self/pagemap", O_RDONLY); /* not the parent's */
	good &= (word(p) & FRAME) != 0;
	good &= syscall(SYS_capset, &head, none) == 0;
	good &= (word(p) & FRAME) != 0; /* who opened it had the right */
	close(pagemap);
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	good &= (word(p) & FRAME) == 0 && (word(p) & PRESENT) && (word(p) & EXCLUSIVE);
	for (unsigned i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", getppid(), hidden[i]);
		good &= open(path, O_RDONLY) == -1 && errno == EACCES;
	}
	for (unsigned i = 0; i < sizeof(open_to_all) / sizeof(open_to_all[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", getppid(), open_to_all[i]);
		good &= open(path, O_RDONLY) >= 0;
	}
	return good;
}

static void check_rights(void)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(without_rights() ? 0 : 1);
	CHECK("without rights", waitpid(child, &status, 0) == child && status == 0);
}

/* Pages that may still be promised. */
static size_t room(void)
{
	return (size_t)(line_of("/proc/meminfo", NULL, "CommitLimit:") - line_of("/proc/meminfo", NULL, "Committed_AS:")) / 4;
}

/* What is kept back where no more is promised than there is. */
static void check_reserves(void)
{
	static const char admin[] = "/proc/sys/vm/admin_reserve_kbytes", user[] = "/proc/sys/vm/user_reserve_kbytes";
	long was_admin = line_of(admin, NULL, ""), was_user = line_of(user, NULL, "");
	size_t half, pages;
	char text[32], *p, *q;

	CHECK("some", was_admin > 0 && was_admin <= 8192 && was_user > 0 && was_user <= 131072);
	CHECK("none", set(admin, "0\n") && set(user, "0\n") && line_of(admin, NULL, "") == 0 && line_of(user, NULL, "") == 0);
	CHECK("strictly", set_overcommit("2\n"));
	half = room() / 2;
	p = map(half, ANONYMOUS); /* of its size a part is kept back */
	pages = room() - 4;
	q = map(pages, ANONYMOUS);
	if (on_kmm()) { /* Linux counts in batches, and rounds */
		CHECK("all of it", p != MAP_FAILED && q != MAP_FAILED);
		munmap(q, pages * PAGE);
		CHECK("a part is kept back", set(user, "1000000\n") && map(pages, ANONYMOUS) == MAP_FAILED && errno == ENOMEM);
	}
	munmap(p, half * PAGE);
	snprintf(text, sizeof(text), "%ld\n", was_user);
	CHECK("as before", set(user, text) && set_overcommit("0"));
	snprintf(text, sizeof(text), "%ld\n", was_admin);
	CHECK("both", set(admin, text) && line_of(admin, NULL, "") == was_admin);
}

int main(void)
{
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	CHECK("pagemap", pagemap >= 0);
	check_pagemap();
	check_soft_dirty();
	check_clear_refs();
	check_rollup();
	check_marks();
	check_collapse();
	check_status();
	check_others();
	check_rights();
	check_overcommit();
	check_reserves();
	check_limits(); /* last: memory is little then */
	return sum();
}
