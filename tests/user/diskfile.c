/* SPDX-License-Identifier: MIT */
/*
 * A file on a disk: mappings, calls, syncing, advice and truncation. "diskfile PATH": a block device or a file, at least
 * 4 MiB, whose content is lost. What is left in it is checked from outside: byte i of page n (below 64) is n + i * 7, but in page 5,
 * where it is 0. Ends with "N passed, N failed"; so on Linux too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, PAGES = 64, RW = PROT_READ | PROT_WRITE };

#define REFUSED(call, error) CHECK(#call, (long)(call) == -1 && errno == (error))

static const char *path;

static unsigned char content(int n, int i) { return (unsigned char)(n + i * 7); }

/* A line of /proc/meminfo, in KiB. */
static long meminfo(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[100];
	long kb = -1;

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			kb = strtol(line + strlen(name) + 1, NULL, 10);
	if (f)
		fclose(f);
	return kb;
}

static unsigned char *map(int fd, int flags)
{
	unsigned char *p = mmap(NULL, PAGES * PAGE, RW, flags, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int has_page(const unsigned char *p, int n)
{
	for (int i = 0; i < PAGE; i++)
		if (p[n * PAGE + i] != content(n, i))
			return 0;
	return 1;
}

/* Even pages by the mapping, odd ones by calls: each sees the other's. */
static void check_writing(void)
{
	int fd = open(path, O_RDWR), bad = 0;
	unsigned char *p = map(fd, MAP_SHARED), buf[PAGE];

	CHECK("open, map", fd >= 0 && p);
	for (int n = 0; n < PAGES; n++) {
		unsigned char *to = n % 2 ? buf : p + n * PAGE;

		for (int i = 0; i < PAGE; i++)
			to[i] = content(n, i);
		if (n % 2 && pwrite(fd, buf, PAGE, n * PAGE) != PAGE)
			bad++;
	}
	for (int n = 0; n < PAGES; n++)
		bad += !has_page(p, n) || pread(fd, buf, PAGE, n * PAGE) != PAGE || memcmp(buf, p + n * PAGE, PAGE) != 0;
	CHECK("mapping and calls are one", bad == 0);
	CHECK("msync ASYNC", msync(p, PAGES * PAGE, MS_ASYNC) == 0);
	CHECK("msync SYNC", msync(p, 8 * PAGE, MS_SYNC) == 0);
	CHECK("msync INVALIDATE", msync(p, 8 * PAGE, MS_SYNC | MS_INVALIDATE) == 0);
	CHECK("fdatasync", fdatasync(fd) == 0);
	p[5 * PAGE] = 1;
	CHECK("sync_file_range", sync_file_range(fd, 0, 8 * PAGE, 7) == 0);
	memset(p + 5 * PAGE, 0, PAGE);
	CHECK("fsync", fsync(fd) == 0);
	munmap(p, PAGES * PAGE);
	close(fd);
}

static void check_dirty(void)
{
	int fd = open(path, O_RDWR);
	unsigned char *p = map(fd, MAP_SHARED);
	long before, after;

	sync();
	before = meminfo("Dirty");
	for (int n = 8; n < PAGES; n++)
		p[n * PAGE] = content(n, 0);
	after = meminfo("Dirty");
	if (on_kmm()) /* elsewhere others write too */
		CHECK("dirty pages are counted", before == 0 && after == (PAGES - 8) * PAGE / 1024);
	CHECK("fsync", fsync(fd) == 0);
	if (on_kmm())
		CHECK("and clean ones", meminfo("Dirty") == 0);
	munmap(p, PAGES * PAGE);
	close(fd);
}

static void check_private(void)
{
	int fd = open(path, O_RDWR);
	unsigned char *p = map(fd, MAP_PRIVATE), byte;

	p[3 * PAGE] = 99;
	CHECK("msync of a private mapping", msync(p, PAGES * PAGE, MS_SYNC) == 0);
	CHECK("a private copy stays private", pread(fd, &byte, 1, 3 * PAGE) == 1 && byte == content(3, 0));
	munmap(p, PAGES * PAGE);
	close(fd);
}

/* A child's writes come out by the parent's sync, and without any mapping left. */
static void check_sharers(void)
{
	int fd = open(path, O_RDWR), status = 1;
	unsigned char *p = map(fd, MAP_SHARED), byte = 0;
	pid_t pid = fork();

	if (pid == 0) {
		p[9 * PAGE + 1] = 123;
		_exit(msync(p, PAGES * PAGE, MS_SYNC) != 0);
	}
	waitpid(pid, &status, 0);
	CHECK("child", status == 0 && p[9 * PAGE + 1] == 123);
	p[9 * PAGE + 1] = content(9, 1);
	munmap(p, PAGES * PAGE);
	CHECK("after munmap", pread(fd, &byte, 1, 9 * PAGE + 1) == 1 && byte == content(9, 1));
	CHECK("fsync", fsync(fd) == 0);
	close(fd);
}

static void check_advice(void)
{
	int fd = open(path, O_RDWR), pipes[2], directory = open("/", O_RDONLY);
	unsigned char *p = map(fd, MAP_SHARED), vec[PAGES];
	int resident = 0;

	CHECK("WILLNEED", posix_fadvise(fd, 0, PAGES * PAGE, POSIX_FADV_WILLNEED) == 0);
	CHECK("readahead", readahead(fd, 0, PAGES * PAGE) == 0);
	p[7 * PAGE] = content(7, 0);
	munmap(p, PAGES * PAGE);
	CHECK("fdatasync", fdatasync(fd) == 0);
	CHECK("DONTNEED", posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
	p = map(fd, MAP_SHARED);
	CHECK("mincore", mincore(p, PAGES * PAGE, vec) == 0);
	for (int n = 0; n < PAGES; n++)
		resident += vec[n] & 1;
	if (on_kmm()) /* a file system may keep some */
		CHECK("nothing is resident", resident == 0);
	CHECK("it comes back", has_page(p, 7) && has_page(p, 8));
	CHECK("unknown advice", posix_fadvise(fd, 0, 0, 6) == EINVAL);
	CHECK("a pipe has no pages", pipe(pipes) == 0 && posix_fadvise(pipes[0], 0, 0, POSIX_FADV_NORMAL) == ESPIPE);
	REFUSED(fsync(pipes[1]), EINVAL);
	REFUSED(fsync(-1), EBADF);
	REFUSED(sync_file_range(fd, -1, 1, 0), EINVAL);
	REFUSED(sync_file_range(fd, 0, 1, 8), EINVAL);
	REFUSED(sync_file_range(pipes[0], 0, 1, 7), ESPIPE);
	REFUSED(readahead(pipes[1], 0, 1), EBADF);
	CHECK("a directory", fsync(directory) == 0);
	close(directory);
	close(pipes[0]);
	close(pipes[1]);
	munmap(p, PAGES * PAGE);
	close(fd);
}

/* More than memory holds of dirty pages: writers wait, nothing is lost. */
static void check_much(long mib)
{
	int fd = open(path, O_RDWR), bad = 0;
	const off_t start = 1 << 20;
	unsigned *p = mmap(NULL, (size_t)mib << 20, RW, MAP_SHARED, fd, start);

	CHECK("map much", p != MAP_FAILED);
	for (long i = 0; i < mib << 20; i += PAGE)
		p[i / 4 + 1] = (unsigned)i ^ 0x5a5a5a5au;
	for (long i = 0; i < mib << 20; i += PAGE)
		bad += p[i / 4 + 1] != ((unsigned)i ^ 0x5a5a5a5au);
	CHECK("much by a mapping", bad == 0);
	CHECK("msync", msync(p, (size_t)mib << 20, MS_SYNC) == 0);
	munmap(p, (size_t)mib << 20);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	path = argv[1];
	check_writing();
	check_dirty();
	check_private();
	check_sharers();
	check_advice();
	if (argc > 2)
		check_much(strtol(argv[2], NULL, 10));
	return sum();
}
