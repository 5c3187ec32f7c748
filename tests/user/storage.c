/* SPDX-License-Identifier: MIT */
/*
 * storage.c - less common calls on files: fallocate and holes, vectors at a position, openat2 and its ways of walking, a
 * change of capabilities. Runs on Linux too (in a directory on tmpfs), which is what the expectations are from.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define FAILS(error, call) ((call) == -1 && errno == (error))

static char dir[64] = "/dev/shm";

static const char *in_dir(const char *name)
{
	static char path[2][128];
	static int turn;

	snprintf(path[turn ^= 1], sizeof(path[0]), "%s/%s", dir, name);
	return path[turn];
}

static off_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_size : -1;
}

static int all_are(const char *bytes, size_t len, char what)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != what)
			return 0;
	return 1;
}

static void allocation(void)
{
	int fd = open(in_dir("file"), O_RDWR | O_CREAT | O_TRUNC, 0600), ends[2];
	static char buf[40000];
	char *map;

	CHECK("a file", fd >= 0);
	CHECK("longer", fallocate(fd, 0, 1000, 29000) == 0 && size_of(fd) == 30000);
	CHECK("not longer", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000) == 0 && size_of(fd) == 30000);
	memset(buf, 'x', sizeof(buf));
	CHECK("filled", pwrite(fd, buf, 30000, 0) == 30000);
	map = mmap(NULL, 32768, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK("mapped", map != MAP_FAILED && map[9000] == 'x');
	CHECK("a hole", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 15000) == 0 && size_of(fd) == 30000);
	CHECK("read", pread(fd, buf, 30000, 0) == 30000 && all_are(buf, 5000, 'x') && all_are(buf + 5000, 15000, 0) &&
		      all_are(buf + 20000, 10000, 'x'));
	CHECK("mapped too", all_are(map + 5000, 15000, 0) && map[4999] == 'x' && map[20000] == 'x');
	map[9000] = 'y';
	CHECK("written there", pread(fd, buf, 1, 9000) == 1 && buf[0] == 'y');
	CHECK("within a page", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 50) == 0 && map[99] == 'x' &&
			       all_are(map + 100, 50, 0) && map[150] == 'x');
	CHECK("beyond the end", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 29000, 90000) == 0 &&
				size_of(fd) == 30000 && map[28999] == 'x' && map[29000] == 0);
	CHECK("lengths", FAILS(EINVAL, fallocate(fd, 0, 0, 0)) && FAILS(EINVAL, fallocate(fd, 0, -1, 5)) &&
			 FAILS(EINVAL, fallocate(fd, 0, 0, -5)));
	CHECK("modes", FAILS(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 5)) && FAILS(EOPNOTSUPP, fallocate(fd, 0x400, 0, 5)));
	CHECK("too far", FAILS(EFBIG, fallocate64(fd, 0, INT64_MAX - 5, 10)));
	munmap(map, 32768);
	close(fd);
	fd = open(in_dir("file"), O_RDONLY);
	CHECK("not for reading", FAILS(EBADF, fallocate(fd, 0, 0, 10)));
	close(fd);
	CHECK("not a pipe", pipe(ends) == 0 && FAILS(ESPIPE, fallocate(ends[1], 0, 0, 10)));
	close(ends[0]);
	close(ends[1]);
}

/* By whole pages, of files in memory. */
static void holes(void)
{
	int fd = (int)syscall(SYS_memfd_create, "holes", 0), proc = open("/proc/version", O_RDONLY);
	const int refused[] = { FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE };

	CHECK("a file", ftruncate(fd, 40000) == 0);
	CHECK("all a hole", lseek(fd, 0, SEEK_HOLE) == 0 && FAILS(ENXIO, (int)lseek(fd, 0, SEEK_DATA)));
	CHECK("data", pwrite(fd, "abc", 3, 9000) == 3 && pwrite(fd, "abc", 3, 12288) == 3);
	CHECK("where it begins", lseek(fd, 0, SEEK_DATA) == 8192 && lseek(fd, 9001, SEEK_DATA) == 9001);
	CHECK("where it ends", lseek(fd, 8192, SEEK_HOLE) == 16384 && lseek(fd, 0, SEEK_CUR) == 16384);
	CHECK("no more", FAILS(ENXIO, (int)lseek(fd, 16384, SEEK_DATA)) && lseek(fd, 16385, SEEK_HOLE) == 16385);
	CHECK("behind the end", FAILS(ENXIO, (int)lseek(fd, 40000, SEEK_HOLE)) && FAILS(ENXIO, (int)lseek(fd, -1, SEEK_DATA)));
	CHECK("punched", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096) == 0 && lseek(fd, 0, SEEK_DATA) == 12288);
	CHECK("up to the end", pwrite(fd, "abc", 3, 39990) == 3 && lseek(fd, 39000, SEEK_HOLE) == 40000);
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		CHECK("not in memory", FAILS(EOPNOTSUPP, fallocate(fd, refused[i], 0, 4096)));
	CHECK("not of the kernel's", FAILS(EINVAL, (int)lseek(proc, 0, SEEK_DATA)));
	CHECK("unknown", FAILS(EINVAL, (int)lseek(fd, 0, 5)));
	close(fd);
	close(proc);
}

static int is_resident(const char *at)
{
	unsigned char vec = 9;

	return mincore((void *)(uintptr_t)at, 1, &vec) == 0 ? vec & 1 : -1;
}

/* What was allocated and not written is a hole; reading leaves it one, writing and mapping do not. */
static void allocated_holes(void)
{
	int fd = (int)syscall(SYS_memfd_create, "allocated", 0);
	struct stat st;
	char *map, byte;

	CHECK("allocated", fallocate(fd, 0, 0, 8 * 4096) == 0 && fstat(fd, &st) == 0 && st.st_size == 32768 && st.st_blocks == 64);
	CHECK("no data", FAILS(ENXIO, (int)lseek(fd, 0, SEEK_DATA)) && lseek(fd, 0, SEEK_HOLE) == 0);
	CHECK("read", pread(fd, &byte, 1, 8192) == 1 && byte == 0 && FAILS(ENXIO, (int)lseek(fd, 0, SEEK_DATA)));
	CHECK("written", pwrite(fd, "x", 1, 8192 + 5) == 1 && lseek(fd, 0, SEEK_DATA) == 8192 && lseek(fd, 8192, SEEK_HOLE) == 12288);
	map = mmap(NULL, 8 * 4096, PROT_READ, MAP_SHARED, fd, 0);
	CHECK("not resident", is_resident(map) == 0 && is_resident(map + 2 * 4096) == 1);
	CHECK("mapped", map[5 * 4096] == 0 && lseek(fd, 12288, SEEK_DATA) == 5 * 4096 && lseek(fd, 5 * 4096, SEEK_HOLE) == 6 * 4096);
	CHECK("nothing around it", is_resident(map + 4 * 4096) == 0 && is_resident(map + 5 * 4096) == 1);
	CHECK("allocated again, which clears it", fallocate(fd, 0, 6 * 4096, 4096) == 0 && lseek(fd, 5 * 4096, SEEK_HOLE) == 7 * 4096 &&
						  FAILS(ENXIO, (int)lseek(fd, 7 * 4096, SEEK_DATA)));
	munmap(map, 8 * 4096);
	close(fd);
}

/* No file system in memory can do without the cache, and so nothing but disks. */
static void directly(void)
{
	const char *path = in_dir("direct");
	int fd = open(path, O_RDWR | O_CREAT | O_DIRECT, 0600), mem = (int)syscall(SYS_memfd_create, "direct", 0);

	CHECK("refused", fd == -1 && errno == EINVAL && access(path, F_OK) == 0);
	CHECK("existing", FAILS(EINVAL, open(path, O_RDONLY | O_DIRECT)));
	fd = open(path, O_WRONLY);
	CHECK("content", write(fd, "abc", 3) == 3 && close(fd) == 0);
	CHECK("not cut off", FAILS(EINVAL, open(path, O_WRONLY | O_TRUNC | O_DIRECT)));
	fd = open(path, O_RDONLY);
	CHECK("still there", size_of(fd) == 3);
	CHECK("later", FAILS(EINVAL, fcntl(fd, F_SETFL, O_DIRECT)) && !(fcntl(fd, F_GETFL) & O_DIRECT));
	CHECK("of memory", FAILS(EINVAL, fcntl(mem, F_SETFL, O_DIRECT)));
	CHECK("others", FAILS(EINVAL, open("/dev/zero", O_RDONLY | O_DIRECT)) && FAILS(EINVAL, open(dir, O_RDONLY | O_DIRECT)) &&
			FAILS(EINVAL, open("/proc/version", O_RDONLY | O_DIRECT)));
	close(fd);
	fd = open(path, O_PATH | O_DIRECT);
	CHECK("a place only", fd >= 0);
	close(fd);
	close(mem);
	unlink(path);
}

static void vectors(void)
{
	int fd = open(in_dir("vec"), O_RDWR | O_CREAT | O_TRUNC, 0600), ends[2];
	char a[4] = "abc", b[8] = "defghij";
	struct iovec v[2] = { { a, 3 }, { b, 7 } };

	CHECK("written", pwritev(fd, v, 2, 5) == 10 && lseek(fd, 0, SEEK_CUR) == 0 && size_of(fd) == 15);
	CHECK("read", preadv(fd, v, 2, 6) == 9 && memcmp(a, "bcd", 3) == 0 && memcmp(b, "efghij", 6) == 0);
	CHECK("at the file's own", lseek(fd, 5, SEEK_SET) == 5 && preadv2(fd, v, 1, -1, 0) == 3 && memcmp(a, "abc", 3) == 0 &&
				   lseek(fd, 0, SEEK_CUR) == 8);
	CHECK("behind the end", preadv(fd, v, 2, 100) == 0);
	CHECK("before the beginning", FAILS(EINVAL, preadv(fd, v, 2, -2)));
	CHECK("no such flag", FAILS(EOPNOTSUPP, preadv2(fd, v, 1, 0, 0x8000)));
	CHECK("a pipe", pipe(ends) == 0 && FAILS(ESPIPE, pwritev(ends[1], v, 1, 0)));
	close(ends[0]);
	close(ends[1]);
	close(fd);
}

static int open2(int at, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };
	int fd = (int)syscall(SYS_openat2, at, path, &how, sizeof(how));

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static void walks(void)
{
	int at = open(dir, O_RDONLY | O_DIRECTORY);

	mkdir(in_dir("sub"), 0700);
	close(open(in_dir("sub/x"), O_CREAT | O_WRONLY, 0600));
	CHECK("links", symlink("x", in_dir("sub/inside")) == 0 && symlink("../../..", in_dir("sub/up")) == 0 &&
		       symlink("/sub/x", in_dir("sub/absolute")) == 0);
	CHECK("plain", open2(at, "sub/x", O_RDONLY, 0) == 0 && open2(at, "sub/inside", O_RDONLY, 0) == 0);
	CHECK("no links", FAILS(ELOOP, open2(at, "sub/inside", O_RDONLY, RESOLVE_NO_SYMLINKS)) &&
			  open2(at, "sub/x", O_RDONLY, RESOLVE_NO_SYMLINKS) == 0);
	CHECK("no magic", FAILS(ELOOP, open2(at, "/proc/self/exe", O_RDONLY, RESOLVE_NO_MAGICLINKS)) &&
			  open2(at, "sub/inside", O_RDONLY, RESOLVE_NO_MAGICLINKS) == 0);
	CHECK("beneath", open2(at, "sub/../sub/x", O_RDONLY, RESOLVE_BENEATH) == 0 &&
			 open2(at, "sub/inside", O_RDONLY, RESOLVE_BENEATH) == 0);
	CHECK("not above", FAILS(EXDEV, open2(at, "../x", O_RDONLY, RESOLVE_BENEATH)) &&
			   FAILS(EXDEV, open2(at, "/tmp", O_RDONLY, RESOLVE_BENEATH)) &&
			   FAILS(EXDEV, open2(at, "sub/up", O_RDONLY, RESOLVE_BENEATH)) &&
			   FAILS(EXDEV, open2(at, "sub/absolute", O_RDONLY, RESOLVE_BENEATH)));
	CHECK("as the root", open2(at, "/sub/x", O_RDONLY, RESOLVE_IN_ROOT) == 0 &&
			     open2(at, "../../sub/x", O_RDONLY, RESOLVE_IN_ROOT) == 0 &&
			     open2(at, "sub/absolute", O_RDONLY, RESOLVE_IN_ROOT) == 0 &&
			     open2(at, "sub/up/sub/x", O_RDONLY, RESOLVE_IN_ROOT) == 0 &&
			     FAILS(ENOENT, open2(at, "/nowhere", O_RDONLY, RESOLVE_IN_ROOT)));
	CHECK("no other file system", FAILS(EXDEV, open2(AT_FDCWD, "/proc/self", O_RDONLY, RESOLVE_NO_XDEV)));
	close(at);
}

static void forms(void)
{
	struct open_how how[2] = { { .flags = O_RDONLY } };
	const char *path = in_dir("sub/x");

	CHECK("too small", FAILS(EINVAL, syscall(SYS_openat2, AT_FDCWD, path, how, 23)));
	CHECK("larger, with zeros", close((int)syscall(SYS_openat2, AT_FDCWD, path, how, 48)) == 0);
	how[1].mode = 1;
	CHECK("larger, with something", FAILS(E2BIG, syscall(SYS_openat2, AT_FDCWD, path, how, 48)));
	CHECK("too large", FAILS(E2BIG, syscall(SYS_openat2, AT_FDCWD, path, how, 5000)));
	how[0].mode = 0600;
	CHECK("a mode without a new file", FAILS(EINVAL, syscall(SYS_openat2, AT_FDCWD, path, how, 24)));
	how[0] = (struct open_how){ .flags = O_CREAT, .mode = 010000 };
	CHECK("a mode that is none", FAILS(EINVAL, syscall(SYS_openat2, AT_FDCWD, path, how, 24)));
	CHECK("no such flag", FAILS(EINVAL, open2(AT_FDCWD, path, 1ull << 40, 0)));
	CHECK("no such way", FAILS(EINVAL, open2(AT_FDCWD, path, 0, 0x100)));
	CHECK("two that exclude each other", FAILS(EINVAL, open2(AT_FDCWD, path, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT)));
	CHECK("no place", FAILS(EFAULT, syscall(SYS_openat2, AT_FDCWD, path, 8, 24)));
}

/* In a child: what is given up stays given up. */
static void give_up(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2], all[2];
	struct rlimit none = { 0, 0 };
	static char page[4096];

	CHECK("what there is", syscall(SYS_capget, &h, all) == 0 && (all[0].effective & 1u << CAP_IPC_LOCK));
	memcpy(d, all, sizeof(d));
	d[0].effective &= ~(1u << CAP_IPC_LOCK);
	setrlimit(RLIMIT_MEMLOCK, &none);
	CHECK("locks without a limit", mlock(page, 1) == 0 && munlock(page, 1) == 0);
	CHECK("not effective", syscall(SYS_capset, &h, d) == 0 && FAILS(EPERM, mlock(page, 1)));
	CHECK("again", syscall(SYS_capset, &h, all) == 0 && mlock(page, 1) == 0);
	d[0].permitted &= ~(1u << CAP_IPC_LOCK);
	CHECK("given up", syscall(SYS_capset, &h, d) == 0 && FAILS(EPERM, syscall(SYS_capset, &h, all)));
	CHECK("seen", syscall(SYS_capget, &h, d) == 0 && !(d[0].permitted & 1u << CAP_IPC_LOCK));
	h.version = 1;
	CHECK("another version", FAILS(EINVAL, syscall(SYS_capget, &h, d)) && h.version == _LINUX_CAPABILITY_VERSION_3);
}

static void capabilities(void)
{
	int status;

	fflush(stdout);
	if (fork() == 0) {
		passed = failed = 0;
		give_up();
		_exit(failed ? 100 : passed);
	}
	wait(&status);
	CHECK("capabilities", WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

int main(void)
{
	if (access(dir, W_OK) != 0)
		strcpy(dir, "/tmp");
	strcat(dir, "/storage.XXXXXX");
	if (!mkdtemp(dir))
		return 2;
	allocation();
	holes();
	allocated_holes();
	directly();
	vectors();
	walks();
	forms();
	if (geteuid() == 0)
		capabilities();
	for (const char *const *name = (const char *const[]){ "sub/inside", "sub/up", "sub/absolute", "sub/x", "file", "vec", NULL }; *name; name++)
		unlink(in_dir(*name));
	rmdir(in_dir("sub"));
	rmdir(dir);
	return sum();
}
