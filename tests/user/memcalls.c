/* SPDX-License-Identifier: MIT */
/*
 * The memory calls and what they refuse, with Linux's numbers: locking, looking, advising, remapping, and reaching into
 * another process. Run on Linux as root it passes as well. Ends with "N passed, N failed".
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS };
enum { FREE = 8, WIPEONFORK = 18, KEEPONFORK = 19, COLD = 20, PAGEOUT = 21, POPULATE_READ = 22, POPULATE_WRITE = 23,
       DONTNEED_LOCKED = 24 };

static sigjmp_buf escape;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	siglongjmp(escape, sig << 8 | info->si_code);
}

/* 0, or signal << 8 | code of writing there. */
static int poke(volatile char *at)
{
	int how = sigsetjmp(escape, 1);

	if (how == 0)
		*at = 1;
	return how;
}

static int peek(volatile char *at)
{
	int how = sigsetjmp(escape, 1);

	if (how == 0)
		(void)*at;
	return how;
}

static char *map(size_t pages, int prot, int flags)
{
	return mmap(NULL, pages * PAGE, prot, flags, -1, 0);
}

/* Three areas with a page's hole before the last: [0,4) [4,8) and [9,10), of which the middle is read-only. */
static char *map_three(void)
{
	char *p = map(16, RW, ANONYMOUS);

	mprotect(p + 4 * PAGE, 4 * PAGE, PROT_READ);
	munmap(p + 8 * PAGE, PAGE);
	munmap(p + 10 * PAGE, 6 * PAGE);
	return p;
}

#define REFUSED(call, error) CHECK(#call, (call) == -1 && errno == (error))

static long status_kb(const char *name)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			kb = strtol(line + strlen(name) + 1, NULL, 10);
	if (f)
		fclose(f);
	return kb;
}

/* Pages of [p, p + pages) that mincore calls resident. */
static int resident(char *p, size_t pages)
{
	unsigned char vec[64];
	int nr = 0;

	if (mincore(p, pages * PAGE, vec) != 0)
		return -1;
	for (size_t i = 0; i < pages; i++)
		nr += vec[i] & 1;
	return nr;
}

/* ---- mlock ---- */

static void check_mlock(void)
{
	char *p = map_three(), *q = map(4, RW, ANONYMOUS), *none = map(1, PROT_NONE, ANONYMOUS);

	CHECK("an odd range", mlock(p + 1, 1) == 0 && status_kb("VmLck:") == 4 && resident(p, 4) == 1);
	CHECK("again", mlock(p, PAGE) == 0 && status_kb("VmLck:") == 4);
	CHECK("two areas", mlock(p, 8 * PAGE) == 0 && status_kb("VmLck:") == 32 && resident(p, 8) == 8);
	REFUSED(mlock(p + 6 * PAGE, 4 * PAGE), ENOMEM);
	CHECK("munlock", munlock(p + 2 * PAGE, PAGE) == 0 && status_kb("VmLck:") == 28 && resident(p, 8) == 8);
	REFUSED(munlock(p + 7 * PAGE, 3 * PAGE), ENOMEM);
	CHECK("nothing", mlock(p + 8 * PAGE, 0) == 0);
	REFUSED(mlock(none, PAGE), ENOMEM);
	CHECK("but locked", status_kb("VmLck:") == 28);
	CHECK("munlockall", munlockall() == 0 && status_kb("VmLck:") == 0);
	REFUSED(syscall(SYS_mlock2, q, PAGE, 2), EINVAL);
	CHECK("on fault", syscall(SYS_mlock2, q, 4 * PAGE, 1) == 0 && resident(q, 4) == 0 && status_kb("VmLck:") == 16);
	CHECK("and then", mlock(q, 2 * PAGE) == 0 && resident(q, 4) == 2);
	CHECK("a lock at the end", mlock((void *)-PAGE, PAGE) == -1);
	CHECK("not dropped", madvise(q, PAGE, MADV_DONTNEED) == -1 && errno == EINVAL);
	CHECK("dropped", madvise(q, PAGE, DONTNEED_LOCKED) == 0 && resident(q, 4) == 1);
	CHECK("unmapped", munmap(q, 4 * PAGE) == 0 && status_kb("VmLck:") == 0);
}

static void check_mlockall(void)
{
	char *p, *q;

	REFUSED(mlockall(0), EINVAL);
	REFUSED(mlockall(8), EINVAL);
	REFUSED(mlockall(4), EINVAL);
	CHECK("the future", mlockall(MCL_FUTURE) == 0);
	p = map(4, RW, ANONYMOUS);
	CHECK("is locked", resident(p, 4) == 4 && status_kb("VmLck:") == 16);
	q = mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	CHECK("grows", q != MAP_FAILED && resident(q, 8) == 8 && status_kb("VmLck:") == 32);
	CHECK("becomes unlocked", munlockall() == 0 && status_kb("VmLck:") == 0);
	p = map(4, RW, ANONYMOUS);
	CHECK("is not locked", resident(p, 4) == 0);
	CHECK("all on fault", mlockall(MCL_CURRENT | MCL_FUTURE | 4) == 0);
	p = map(4, RW, ANONYMOUS);
	CHECK("on fault", resident(p, 4) == 0 && status_kb("VmLck:") > 0);
	CHECK("all", mlockall(MCL_CURRENT) == 0 && resident(p, 4) == 4);
	munlockall();
}

/* Private memory that is locked and becomes writable gets its pages then. */
static void check_locked_rights(void)
{
	char *p = map(4, PROT_READ, ANONYMOUS | MAP_LOCKED);
	pid_t child;
	int status;

	CHECK("locked", status_kb("VmLck:") == 16 && resident(p, 4) == 4);
	CHECK("writable", mprotect(p, 4 * PAGE, RW) == 0 && p[0] == 0);
	child = fork();
	if (child == 0)
		_exit(status_kb("VmLck:") != 0);
	waitpid(child, &status, 0);
	CHECK("locks are not inherited", status == 0);
	munmap(p, 4 * PAGE);
}

/* ---- mincore ---- */

static void check_mincore(void)
{
	char *p = map_three();
	unsigned char vec[4] = { 9, 9, 9, 9 };

	REFUSED(mincore(p + 1, PAGE, vec), EINVAL);
	REFUSED(mincore(p + 7 * PAGE, 2 * PAGE, vec), ENOMEM);
	REFUSED(mincore((void *)KERNEL_ADDRESS, PAGE, vec), ENOMEM);
	REFUSED(mincore(p, PAGE, (unsigned char *)KERNEL_ADDRESS), EFAULT);
	REFUSED(mincore(p, PAGE, (unsigned char *)p + 4 * PAGE), EFAULT);
	CHECK("up to the hole", vec[0] == 0 && vec[1] == 9);
	vec[0] = 9;
	CHECK("no length", mincore(p, 0, vec) == 0 && vec[0] == 9);
	CHECK("nothing there", mincore(p, 2 * PAGE - 1, vec) == 0 && vec[0] == 0 && vec[1] == 0 && vec[2] == 9);
	p[PAGE] = 1;
	CHECK("one there", mincore(p, 2 * PAGE, vec) == 0 && vec[0] == 0 && vec[1] == 1);
	CHECK("read alone", p[0] == 0 && resident(p, 4) == 2);
	munmap(p, 10 * PAGE);
}

static void check_shared_mincore(void)
{
	char *p = map(4, RW, MAP_SHARED | MAP_ANONYMOUS);

	p[PAGE] = 5;
	CHECK("an object's", resident(p, 4) == 1);
	CHECK("remembered", madvise(p, 4 * PAGE, MADV_DONTNEED) == 0 && resident(p, 4) == 1 && p[PAGE] == 5);
	CHECK("WILLNEED", madvise(p, 4 * PAGE, MADV_WILLNEED) == 0 && resident(p, 4) == 1);
	munmap(p, 4 * PAGE);
}

/* ---- msync ---- */

static void check_msync(void)
{
	char *p = map_three();

	REFUSED(msync(p + 1, PAGE, MS_SYNC), EINVAL);
	REFUSED(msync(p, PAGE, 8), EINVAL);
	REFUSED(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	REFUSED(msync(p, (size_t)-PAGE, MS_SYNC), ENOMEM);
	REFUSED(msync(p + 6 * PAGE, 4 * PAGE, MS_SYNC), ENOMEM);
	REFUSED(msync(p + 6 * PAGE, 4 * PAGE, MS_ASYNC), ENOMEM);
	REFUSED(msync(p + 8 * PAGE, PAGE, 0), ENOMEM);
	CHECK("nothing", msync(p + 8 * PAGE, 0, MS_SYNC) == 0);
	CHECK("all", msync(p, 8 * PAGE, MS_SYNC | MS_INVALIDATE) == 0 && msync(p, 8 * PAGE, 0) == 0);
	mlock(p, PAGE);
	REFUSED(msync(p, PAGE, MS_INVALIDATE), EBUSY);
	munmap(p, 10 * PAGE);
}

/* ---- madvise ---- */

static void check_advice_errors(void)
{
	char *p = map_three(), *shared = map(2, RW, MAP_SHARED | MAP_ANONYMOUS);

	REFUSED(madvise(p, PAGE, 99), EINVAL);
	REFUSED(madvise(p, PAGE, -1), EINVAL);
	REFUSED(madvise(p, PAGE, 5), EINVAL);
	REFUSED(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	if (sizeof(long) == 8) /* a 32-bit program can say no such length to a 64-bit kernel */
		REFUSED(madvise(p, (size_t)-1, MADV_DONTNEED), EINVAL);
	CHECK("no length", madvise(p + 8 * PAGE, 0, MADV_DONTNEED) == 0);
	REFUSED(madvise(p + 6 * PAGE, 4 * PAGE, MADV_DONTNEED), ENOMEM);
	REFUSED(madvise(p + 6 * PAGE, 4 * PAGE, MADV_RANDOM), ENOMEM);
	REFUSED(madvise(p, PAGE, MADV_REMOVE), EINVAL);
	REFUSED(madvise(shared, PAGE, FREE), EINVAL);
	REFUSED(madvise(shared, PAGE, WIPEONFORK), EINVAL);
	REFUSED(madvise(p + 4 * PAGE, PAGE, POPULATE_WRITE), EINVAL);
	REFUSED(madvise(p + 6 * PAGE, 4 * PAGE, POPULATE_READ), ENOMEM);
	mlock(p, PAGE);
	REFUSED(madvise(p, PAGE, FREE), EINVAL);
	REFUSED(madvise(p, PAGE, COLD), EINVAL);
	REFUSED(madvise(p, PAGE, PAGEOUT), EINVAL);
	mlock(shared, PAGE);
	REFUSED(madvise(shared, PAGE, MADV_REMOVE), EINVAL);
	mprotect(shared + PAGE, PAGE, PROT_READ);
	CHECK("REMOVE of what could be written", madvise(shared + PAGE, PAGE, MADV_REMOVE) == 0);
	munmap(p, 10 * PAGE);
	munmap(shared, 2 * PAGE);
}

static void check_advice(void)
{
	char *p = map(4, RW, ANONYMOUS), *shared = map(4, RW, MAP_SHARED | MAP_ANONYMOUS);

	CHECK("POPULATE_READ", madvise(p, 4 * PAGE, POPULATE_READ) == 0 && resident(p, 4) == 4);
	CHECK("POPULATE_WRITE", madvise(p, 4 * PAGE, POPULATE_WRITE) == 0 && resident(p, 4) == 4);
	memset(p, 7, 4 * PAGE);
	CHECK("COLD", madvise(p, 4 * PAGE, COLD) == 0 && p[0] == 7 && p[3 * PAGE] == 7);
	CHECK("PAGEOUT", madvise(p, 4 * PAGE, PAGEOUT) == 0 && p[0] == 7 && p[3 * PAGE] == 7);
	CHECK("FREE", madvise(p, 4 * PAGE, FREE) == 0);
	p[0] = 8;
	CHECK("written again", p[0] == 8 && (p[PAGE] == 7 || p[PAGE] == 0));
	CHECK("DONTDUMP", madvise(p, PAGE, MADV_DONTDUMP) == 0 && madvise(p, PAGE, MADV_DODUMP) == 0);
	memset(shared, 7, 4 * PAGE);
	CHECK("REMOVE", madvise(shared + PAGE, PAGE, MADV_REMOVE) == 0 && shared[PAGE] == 0 && shared[2 * PAGE] == 7);
	munmap(p, 4 * PAGE);
	munmap(shared, 4 * PAGE);
}

static void check_fork_advice(void)
{
	char *p = map(3, RW, ANONYMOUS);
	int status;
	pid_t child;

	memset(p, 7, 3 * PAGE);
	CHECK("WIPEONFORK", madvise(p + PAGE, PAGE, WIPEONFORK) == 0);
	CHECK("DONTFORK", madvise(p + 2 * PAGE, PAGE, MADV_DONTFORK) == 0);
	child = fork();
	if (child == 0)
		_exit(!(p[0] == 7 && p[PAGE] == 0 && peek(p + 2 * PAGE) == (SIGSEGV << 8 | SEGV_MAPERR)));
	waitpid(child, &status, 0);
	CHECK("the child", status == 0);
	CHECK("the parent", p[PAGE] == 7 && p[2 * PAGE] == 7);
	CHECK("KEEPONFORK", madvise(p, 3 * PAGE, KEEPONFORK) == 0 && madvise(p, 3 * PAGE, MADV_DOFORK) == 0);
	child = fork();
	if (child == 0)
		_exit(!(p[0] == 7 && p[PAGE] == 7 && p[2 * PAGE] == 7));
	waitpid(child, &status, 0);
	CHECK("the second child", status == 0);
	munmap(p, 3 * PAGE);
}

/* ---- files ---- */

static void check_file_rights(void)
{
	int ro = open("/tmp/memcalls", O_RDWR | O_CREAT | O_TRUNC, 0644), wo = open("/tmp/memcalls", O_WRONLY);
	int dir = open("/tmp", O_RDONLY), ends[2];
	char *p;

	CHECK("a file", ro >= 0 && ftruncate(ro, 3 * PAGE + 100) == 0);
	close(ro);
	ro = open("/tmp/memcalls", O_RDONLY);
	CHECK("pipe", pipe(ends) == 0);
	CHECK("no length first", mmap(NULL, 0, RW, MAP_SHARED, ro, 0) == MAP_FAILED && errno == EINVAL);
	CHECK("written to", mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0) == MAP_FAILED && errno == EACCES);
	CHECK("read from", mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, wo, 0) == MAP_FAILED && errno == EACCES);
	CHECK("a directory", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, dir, 0) == MAP_FAILED && errno == ENODEV);
	CHECK("a pipe", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0) == MAP_FAILED && errno == ENODEV);
	CHECK("no file", mmap(NULL, 0, PROT_READ, MAP_PRIVATE, 99, 0) == MAP_FAILED && errno == EBADF);
	CHECK("no type", mmap(NULL, PAGE, PROT_READ, 0, ro, 0) == MAP_FAILED && errno == EINVAL);
	CHECK("unknown", mmap(NULL, PAGE, PROT_READ, 3 | 0x2000000, ro, 0) == MAP_FAILED && errno == EOPNOTSUPP);
	CHECK("unknown but old", (p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | 0x2000000, ro, 0)) != MAP_FAILED);
	REFUSED(mprotect(p, PAGE, RW), EACCES);
	REFUSED(mprotect(p, PAGE, 0x40), EINVAL);
	munmap(p, PAGE);
	p = mmap(NULL, 5 * PAGE, RW, MAP_PRIVATE, ro, 0);
	CHECK("up to the end", poke(p) == 0 && poke(p + 3 * PAGE + 200) == 0);
	CHECK("beyond it", poke(p + 4 * PAGE) == (SIGBUS << 8 | BUS_ADRERR));
	REFUSED(madvise(p, 5 * PAGE, POPULATE_READ), EFAULT);
	REFUSED(mlock(p + 4 * PAGE, PAGE), ENOMEM);
	CHECK("cut", truncate("/tmp/memcalls", PAGE) == 0 && peek(p) == 0 && peek(p + PAGE) == (SIGBUS << 8 | BUS_ADRERR));
	munmap(p, 5 * PAGE);
	unlink("/tmp/memcalls");
	close(ro), close(wo), close(dir), close(ends[0]), close(ends[1]);
}

/* The lines of maps that name the file. */
static int nr_areas(const char *name)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[256];
	int nr = 0;

	while (f && fgets(line, sizeof(line), f))
		nr += strstr(line, name) != NULL;
	if (f)
		fclose(f);
	return nr;
}

static void check_openings(void)
{
	int one = open("/tmp/openings", O_RDWR | O_CREAT, 0644), two = open("/tmp/openings", O_RDWR), same = dup(one);
	char *p = map(6, PROT_NONE, ANONYMOUS);

	CHECK("files", one >= 0 && two >= 0 && same >= 0 && ftruncate(one, 6 * PAGE) == 0);
	CHECK("the first", mmap(p, 2 * PAGE, RW, MAP_SHARED | MAP_FIXED, one, 0) == p);
	CHECK("its copy", mmap(p + 2 * PAGE, 2 * PAGE, RW, MAP_SHARED | MAP_FIXED, same, 2 * PAGE) == p + 2 * PAGE);
	CHECK("one area", nr_areas("/tmp/openings") == 1);
	CHECK("the second", mmap(p + 4 * PAGE, PAGE, RW, MAP_SHARED | MAP_FIXED, two, 4 * PAGE) == p + 4 * PAGE);
	CHECK("two areas", nr_areas("/tmp/openings") == 2);
	CHECK("one content", (*p = 5) && pwrite(two, "x", 1, 0) == 1 && *p == 'x');
	close(one), close(two), close(same);
	munmap(p, 6 * PAGE);
	unlink("/tmp/openings");
}

static long with_key(void *p, size_t len, int prot, int key)
{
	return syscall(SYS_pkey_mprotect, p, len, prot, key);
}

/* On a processor that has none, as QEMU's here. */
static void check_keys(void)
{
	char *p = map(4, RW, ANONYMOUS);

	munmap(p + 2 * PAGE, PAGE);
	if (syscall(SYS_pkey_alloc, 0, 0) >= 0) /* a host with keys */
		return;
	CHECK("none to be had", errno == EINVAL);
	REFUSED(syscall(SYS_pkey_alloc, 1, 0), EINVAL);
	REFUSED(syscall(SYS_pkey_alloc, 0, 8), EINVAL);
	REFUSED(syscall(SYS_pkey_free, 0), EINVAL);
	REFUSED(syscall(SYS_pkey_free, -1), EINVAL);
	CHECK("no key", with_key(p, PAGE, PROT_READ, -1) == 0 && poke(p) == (SIGSEGV << 8 | SEGV_ACCERR) && poke(p + PAGE) == 0);
	REFUSED(with_key(p, 4 * PAGE, PROT_READ, -1), ENOMEM);
	REFUSED(with_key(p, PAGE, RW, 0), EINVAL);
	REFUSED(with_key(p, PAGE, RW, -2), EINVAL);
	REFUSED(with_key(p + 1, 0, RW, 1), EINVAL);
	if (sizeof(long) == 8) /* a 32-bit program's sum is within a 64-bit kernel's word */
		REFUSED(with_key(p, (size_t)-PAGE, RW, 1), ENOMEM);
	CHECK("nothing to do", with_key(p, 0, RW, 1) == 0);
	munmap(p, 4 * PAGE);
}

static void check_huge(void)
{
	char *p;

	CHECK("anonymous", mmap(NULL, PAGE, RW, ANONYMOUS | MAP_HUGETLB, -1, 0) == MAP_FAILED && errno == ENOMEM);
	p = mmap(NULL, PAGE, RW, ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
	CHECK("without reserve Linux tells later", on_kmm() ? p == MAP_FAILED && errno == ENOMEM : poke(p) == (SIGBUS << 8 | BUS_ADRERR));
	CHECK("no length", mmap(NULL, 0, RW, ANONYMOUS | MAP_HUGETLB, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK("no such size", mmap(NULL, PAGE, RW, ANONYMOUS | MAP_HUGETLB | 13u << 26, -1, 0) == MAP_FAILED && errno == EINVAL);
}

/* The first mmap of i386. Its number means something else to 64-bit programs. */
static void check_old_mmap(void)
{
	long args[6] = { 0, PAGE, RW, ANONYMOUS, -1, 0 };
	char *p;

	if (sizeof(long) != 4)
		return;
	p = (char *)syscall(90, args);
	CHECK("the first mmap", p != MAP_FAILED && p[0] == 0 && munmap(p, PAGE) == 0);
	args[5] = 1;
	REFUSED(syscall(90, args), EINVAL);
	REFUSED(syscall(90, 8), EFAULT);
}

static void check_remap_file_pages(void)
{
	char *p = map(4, RW, MAP_SHARED | MAP_ANONYMOUS), *q = map(2, RW, ANONYMOUS);

	for (int i = 0; i < 4; i++)
		p[i * PAGE] = (char)(i + 1);
	CHECK("two pages", syscall(SYS_remap_file_pages, p, 2 * PAGE, 0, 2, 0) == 0 && p[0] == 3 && p[PAGE] == 4);
	CHECK("the others", p[2 * PAGE] == 3);
	REFUSED(syscall(SYS_remap_file_pages, p, PAGE, PROT_READ, 0, 0), EINVAL);
	REFUSED(syscall(SYS_remap_file_pages, p, 0, 0, 0, 0), EINVAL);
	REFUSED(syscall(SYS_remap_file_pages, q, PAGE, 0, 0, 0), EINVAL);
	mprotect(p + 2 * PAGE, PAGE, PROT_READ);
	REFUSED(syscall(SYS_remap_file_pages, p, 3 * PAGE, 0, 0, 0), EINVAL); /* two areas that differ */
	CHECK("two areas that do not", mprotect(p + 2 * PAGE, PAGE, RW) == 0 &&
					       syscall(SYS_remap_file_pages, p, 4 * PAGE, 0, 0, 0) == 0 && p[3 * PAGE] == 4);
	munmap(p, 4 * PAGE);
	munmap(q, 2 * PAGE);
}

/* ---- mremap ---- */

static void check_duplicate(void)
{
	char *p = map(4, RW, MAP_SHARED | MAP_ANONYMOUS), *q, *private = map(1, RW, ANONYMOUS);

	p[PAGE] = 5;
	q = mremap(p + PAGE, 0, 2 * PAGE, MREMAP_MAYMOVE);
	CHECK("the same twice", q != MAP_FAILED && q[0] == 5);
	q[0] = 6;
	CHECK("really", p[PAGE] == 6);
	CHECK("not of private memory", mremap(private, 0, PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EINVAL);
	private[0] = 9;
	q = mremap(private, PAGE, PAGE, MREMAP_MAYMOVE | 4); /* DONTUNMAP */
	CHECK("left behind", q != MAP_FAILED && q != private && q[0] == 9 && private[0] == 0);
}

/* ---- another process ---- */

static void check_process_vm(void)
{
	static char there[64] = "from the other side", here[64], *none;
	struct iovec local[2] = { { here, 5 }, { here + 8, 30 } }, remote = { there, 20 };
	pid_t child = fork();

	none = map(2, RW, ANONYMOUS);
	munmap(none + PAGE, PAGE);
	if (child == 0)
		for (;;)
			pause();
	CHECK("read", process_vm_readv(child, local, 2, &remote, 1, 0) == 20 && memcmp(here, "from ", 5) == 0 &&
			      strcmp(here + 8, "the other side") == 0);
	strcpy(here, "changed");
	local[0].iov_len = 8;
	CHECK("write", process_vm_writev(child, local, 1, &remote, 1, 0) == 8 && strcmp(there, "from the other side") == 0);
	memset(here, 0, sizeof(here));
	local[0].iov_len = 64;
	CHECK("read back", process_vm_readv(child, local, 1, &remote, 1, 0) == 20 && strcmp(here, "changed") == 0);
	REFUSED(process_vm_readv(child, local, 1, &remote, 1, 1), EINVAL);
	REFUSED(process_vm_readv(child, local, 1025, &remote, 1, 0), EINVAL);
	REFUSED(process_vm_readv(99999999, local, 1, &remote, 1, 0), ESRCH);
	CHECK("nothing of nobody", process_vm_readv(99999999, local, 0, &remote, 1, 0) == 0);
	remote.iov_base = (char *)1;
	REFUSED(process_vm_readv(child, local, 1, &remote, 1, 0), EFAULT);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	remote = (struct iovec){ none + PAGE - 10, 20 };
	CHECK("a part", process_vm_readv(getpid(), local, 1, &remote, 1, 0) == 10);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	check_mlock();
	check_mlockall();
	check_locked_rights();
	check_mincore();
	check_shared_mincore();
	check_msync();
	check_advice_errors();
	check_advice();
	check_fork_advice();
	check_file_rights();
	check_openings();
	check_keys();
	check_huge();
	check_old_mmap();
	check_remap_file_pages();
	check_duplicate();
	check_process_vm();
	return sum();
}
