/* SPDX-License-Identifier: MIT */
/*
 * A disk read and written past its cache: "direct PATH", a disk or a file of some MiB on one, whose first MiB is lost. What may be asked for, what cached and mapped views
 * see of it, where memory and disk end, and pages that are pinned for the disk while others fork and write beside. On Linux too, as root.
 * Ends with "N passed, N failed".
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, SECTOR = 512, PAGES = 64, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

#define FAILS(error, call) ((call) == -1 && errno == (error))

static int direct, cached; /* openings of the disk */
static char *buf;          /* PAGES pages */

static int all_are(const char *p, size_t len, char what)
{
	while (len && *p == what)
		p++, len--;
	return len == 0;
}

/* On a Linux without a disk to lose a file stands for one: it grows, and its file system may have other rules. */
static int is_file(void)
{
	struct stat st;

	return fstat(cached, &st) == 0 && S_ISREG(st.st_mode);
}

static char first_at(off_t at)
{
	char byte = 0;

	return pread(cached, &byte, 1, at) == 1 ? byte : 0;
}

static void check_rules(void)
{
	off_t size = lseek(cached, 0, SEEK_END);

	CHECK("nothing", pread(direct, buf, 0, 0) == 0 && pwrite(direct, buf, 0, 0) == 0);
	CHECK("the end", pread(direct, buf, PAGE, size) == 0);
	CHECK("up to it", pread(direct, buf, 2 * PAGE, size - PAGE) == PAGE);
	if (is_file())
		return;
	CHECK("no room", FAILS(ENOSPC, pwrite(direct, buf, PAGE, size)));
	CHECK("memory", FAILS(EINVAL, pread(direct, buf + 8, SECTOR, 0)) && FAILS(EINVAL, pwrite(direct, buf + 8, SECTOR, 0)));
	CHECK("place", FAILS(EINVAL, pread(direct, buf, SECTOR, 8)) && FAILS(EINVAL, pwrite(direct, buf, SECTOR, 8)));
	CHECK("length", FAILS(EINVAL, pread(direct, buf, SECTOR - 1, 0)) && FAILS(EINVAL, pwrite(direct, buf, SECTOR + 8, 0)));
	CHECK("flags", (fcntl(direct, F_GETFL) & O_DIRECT) && fcntl(direct, F_SETFL, 0) == 0 && pread(direct, buf + 8, 9, 9) == 9 &&
		       fcntl(direct, F_SETFL, O_DIRECT) == 0 && FAILS(EINVAL, pread(direct, buf + 8, 9, 9)));
}

static void check_views(void)
{
	char *map = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, cached, 0);

	memset(buf, 'a', 40 * PAGE);
	CHECK("written", pwrite(direct, buf, 40 * PAGE, 0) == 40 * PAGE);
	CHECK("seen by the cache", first_at(0) == 'a' && first_at(39 * PAGE + 5) == 'a' && map[PAGE] == 'a');
	memset(buf, 'b', 2 * PAGE);
	CHECK("again", pwrite(direct, buf, 2 * PAGE, 0) == 2 * PAGE && first_at(5) == 'b' && map[PAGE] == 'b' && map[2 * PAGE] == 'a');
	CHECK("the cache is not behind", pwrite(cached, "cc", 2, PAGE - 1) == 2 && pread(direct, buf, 2 * PAGE, 0) == 2 * PAGE &&
						 buf[PAGE - 2] == 'b' && buf[PAGE - 1] == 'c' && buf[PAGE] == 'c' && buf[PAGE + 1] == 'b');
	map[2 * PAGE + 7] = 'd';
	CHECK("nor is a mapping", pread(direct, buf, PAGE, 2 * PAGE) == PAGE && buf[7] == 'd' && buf[8] == 'a');
	memset(buf, 'e', 2 * PAGE);
	CHECK("a sector", pwrite(direct, buf + SECTOR, SECTOR, 3 * PAGE + 2 * SECTOR) == SECTOR && map[3 * PAGE + 2 * SECTOR - 1] == 'a' &&
				  map[3 * PAGE + 2 * SECTOR] == 'e' && map[3 * PAGE + 3 * SECTOR] == 'a');
	CHECK("across pages", pwrite(direct, buf + SECTOR, PAGE, 20 * PAGE + SECTOR) == PAGE && first_at(20 * PAGE) == 'a' &&
				      first_at(21 * PAGE + SECTOR - 1) == 'e' && first_at(21 * PAGE + SECTOR) == 'a');
	munmap(map, 4 * PAGE);
}

static void check_memory(void)
{
	char *p = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0), *zeros = mmap(NULL, PAGE, PROT_READ, ANON, -1, 0);
	struct iovec v[2] = { { buf, PAGE }, { buf + 2 * PAGE, 2 * PAGE } };

	memset(buf, 'f', 4 * PAGE);
	CHECK("content", pwrite(direct, buf, 4 * PAGE, 0) == 4 * PAGE);
	munmap(p + 2 * PAGE, 2 * PAGE);
	CHECK("none", FAILS(EFAULT, pread(direct, p + 2 * PAGE, PAGE, 0)) && FAILS(EFAULT, pwrite(direct, p + 2 * PAGE, PAGE, 0)));
	CHECK("a part", is_file() || (pread(direct, p + PAGE, 2 * PAGE, 0) == PAGE && all_are(p + PAGE, PAGE, 'f')));
	CHECK("not writable", FAILS(EFAULT, pread(direct, zeros, PAGE, 0)) && zeros[0] == 0);
	CHECK("zeros", pwrite(direct, zeros, PAGE, 0) == PAGE && first_at(9) == 0 && first_at(PAGE) == 'f');
	memset(buf, 0, PAGES * PAGE);
	CHECK("two pieces", preadv(direct, v, 2, PAGE) == 3 * PAGE && all_are(buf, PAGE, 'f') && all_are(buf + PAGE, PAGE, 0) &&
				    all_are(buf + 2 * PAGE, 2 * PAGE, 'f'));
	munmap(p, 2 * PAGE);
	munmap(zeros, PAGE);
}

/* ---- pinned while others fork ---- */

static atomic_int over;
static int wrong;

static void *reader(void *arg)
{
	(void)arg;
	for (int i = 0; i < 60; i++) {
		memset(buf, 0, SECTOR);
		if (pread(direct, buf, SECTOR, (i % 2) * PAGE) != SECTOR || !all_are(buf, SECTOR, i % 2 ? 'h' : 'g'))
			wrong++;
		if (pread(direct, buf + PAGE, PAGE, (i % 2) * PAGE) != PAGE || !all_are(buf + PAGE, PAGE - 1, i % 2 ? 'h' : 'g'))
			wrong++;
	}
	over = 1;
	return NULL;
}

/* Forks leave the pages shared, the write after that must not take the page away from under the transfer. */
static void check_forks(void)
{
	pthread_t thread;
	int nr = 0;

	memset(buf, 'g', PAGE);
	memset(buf + PAGE, 'h', PAGE);
	CHECK("content", pwrite(direct, buf, 2 * PAGE, 0) == 2 * PAGE);
	pthread_create(&thread, NULL, reader, NULL);
	while (!over || nr < 3) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		buf[PAGE - 1] = (char)nr;
		waitpid(pid, NULL, 0);
		nr++;
	}
	pthread_join(thread, NULL);
	CHECK("what was read arrived", wrong == 0);
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/dev/vda";

	direct = open(path, O_RDWR | O_DIRECT);
	cached = open(path, O_RDWR);
	buf = mmap(NULL, PAGES * PAGE, RW, ANON, -1, 0);
	CHECK("open", direct >= 0 && cached >= 0 && buf != MAP_FAILED);
	check_rules();
	check_views();
	check_memory();
	check_forks();
	return sum();
}
