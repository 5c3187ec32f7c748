/* SPDX-License-Identifier: MIT */
/* Files, directories, pipes and descriptors, in /tmp. Ends with "N passed, N failed". */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static char buf[100000];

static int put(const char *path, const char *text)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -1;
	return fd;
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void check_regular(void)
{
	int fd = put("a", "hello"), fd2;
	struct iovec v[2] = { { buf, 2 }, { buf + 10, 10 } };

	CHECK("size", size_of("a") == 5);
	CHECK("pread", pread(fd, buf, 10, 1) == 4 && memcmp(buf, "ello", 4) == 0);
	CHECK("position kept", lseek(fd, 0, SEEK_CUR) == 5);
	CHECK("hole", pwrite(fd, "x", 1, 10000) == 1 && size_of("a") == 10001);
	CHECK("hole is zero", pread(fd, buf, 4, 5000) == 4 && memcmp(buf, "\0\0\0\0", 4) == 0);
	CHECK("truncate", ftruncate(fd, 3) == 0 && size_of("a") == 3);
	CHECK("grow again", ftruncate(fd, 6) == 0 && pread(fd, buf, 10, 0) == 6 && memcmp(buf, "hel\0\0\0", 6) == 0);
	CHECK("readv", lseek(fd, 0, SEEK_SET) == 0 && readv(fd, v, 2) == 6 && buf[10] == 'l');
	fd2 = open("a", O_WRONLY | O_APPEND);
	CHECK("append", write(fd2, "END", 3) == 3 && size_of("a") == 9);
	CHECK("not readable", read(fd2, buf, 1) == -1 && errno == EBADF);
	CHECK("excl", open("a", O_CREAT | O_EXCL, 0600) == -1 && errno == EEXIST);
	CHECK("bad seek", lseek(fd, -1, SEEK_SET) == -1 && errno == EINVAL);
	close(fd2);
	CHECK("unlinked but open", unlink("a") == 0 && size_of("a") == -1 && pread(fd, buf, 3, 0) == 3);
	close(fd);
	CHECK("closed", close(fd) == -1 && errno == EBADF);
	memset(buf, 'q', sizeof(buf));
	fd = open("big", O_RDWR | O_CREAT, 0600);
	CHECK("large write", write(fd, buf, sizeof(buf)) == (ssize_t)sizeof(buf) && size_of("big") == (off_t)sizeof(buf));
	fd2 = open("copy", O_RDWR | O_CREAT, 0600);
	lseek(fd, 0, SEEK_SET);
	CHECK("sendfile", sendfile(fd2, fd, NULL, sizeof(buf)) == (ssize_t)sizeof(buf) && size_of("copy") == size_of("big"));
	close(fd);
	close(fd2);
}

static void check_mapped(void)
{
	int fd = put("m", "0123456789");
	char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	CHECK("sees the file", shared[3] == '3' && private[4] == '4');
	shared[0] = 'S';
	private[1] = 'P';
	CHECK("shared reaches the file", pread(fd, buf, 10, 0) == 10 && buf[0] == 'S' && buf[1] == '1');
	CHECK("private sees what it has not copied", private[1] == 'P');
	CHECK("write reaches the mapping", pwrite(fd, "Z", 1, 5) == 1 && shared[5] == 'Z');
	munmap(shared, 4096);
	munmap(private, 4096);
	close(fd);
	fd = open("m", O_RDONLY);
	CHECK("shared writable of a read-only file", mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
	      errno == EACCES);
	close(fd);
}

static void check_names(void)
{
	struct stat st;

	CHECK("mkdir", mkdir("d", 0755) == 0 && mkdir("d", 0755) == -1 && errno == EEXIST);
	close(put("d/f", "1"));
	CHECK("not empty", rmdir("d") == -1 && errno == ENOTEMPTY);
	CHECK("link", link("d/f", "d/g") == 0 && stat("d/g", &st) == 0 && st.st_nlink == 2);
	CHECK("symlink", symlink("d/f", "s") == 0 && lstat("s", &st) == 0 && S_ISLNK(st.st_mode) && size_of("s") == 1);
	CHECK("readlink", readlink("s", buf, sizeof(buf)) == 3 && memcmp(buf, "d/f", 3) == 0);
	CHECK("loop", symlink("l2", "l1") == 0 && symlink("l1", "l2") == 0 && open("l1", O_RDONLY) == -1 && errno == ELOOP);
	CHECK("dangling", symlink("made", "dangling") == 0 && close(put("dangling", "xy")) == 0 && size_of("made") == 2);
	CHECK("rename", rename("d/f", "d/h") == 0 && size_of("d/f") == -1 && size_of("d/h") == 1);
	CHECK("rename over", close(put("e", "123")) == 0 && rename("e", "d/h") == 0 && size_of("d/h") == 3);
	CHECK("into itself", mkdir("d/sub", 0700) == 0 && rename("d", "d/sub/x") == -1 && errno == EINVAL);
	CHECK("file over directory", rename("d/h", "d/sub") == -1 && errno == EISDIR);
	CHECK("not a directory", open("d/h/x", O_RDONLY) == -1 && errno == ENOTDIR);
	CHECK("slash after a file", open("d/h/", O_RDONLY) == -1 && errno == ENOTDIR);
	CHECK("unlink of a directory", unlink("d") == -1 && errno == EISDIR);
	CHECK("chdir", chdir("d/sub") == 0 && getcwd(buf, sizeof(buf)) && strstr(buf, "/d/sub"));
	CHECK("dot dot", chdir("../..") == 0 && size_of("d/h") == 3);
	CHECK("access", access("d/h", R_OK | W_OK) == 0 && access("d/h", X_OK) == -1 && errno == EACCES);
	CHECK("chmod", chmod("d/h", 0751) == 0 && stat("d/h", &st) == 0 && (st.st_mode & 07777) == 0751);
	memset(buf, 'n', 300);
	buf[300] = 0;
	CHECK("long name", open(buf, O_CREAT, 0600) == -1 && errno == ENAMETOOLONG);
}

static void check_listing(void)
{
	DIR *dir;
	struct dirent *e;
	int n = 0, special = 0;

	mkdir("many", 0755);
	for (int i = 0; i < 300; i++) {
		snprintf(buf, sizeof(buf), "many/file-%d", i);
		close(open(buf, O_CREAT | O_WRONLY, 0600));
	}
	dir = opendir("many");
	while (dir && (e = readdir(dir)) != NULL) {
		special += e->d_name[0] == '.' && e->d_type == DT_DIR;
		n += e->d_type == DT_REG;
		if (n % 3 == 1 && e->d_type == DT_REG) { /* removal while listing loses nothing */
			snprintf(buf, sizeof(buf), "many/%s", e->d_name);
			unlink(buf);
		}
	}
	CHECK("listing", n == 300 && special == 2);
	closedir(dir);
}

static void check_pipes(void)
{
	int ends[2], n = 0;
	struct pollfd p;
	struct timeval zero = { 0, 0 };
	fd_set set;

	CHECK("pipe2", pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
	CHECK("empty", read(ends[0], buf, 1) == -1 && errno == EAGAIN);
	while (write(ends[1], buf, 4096) == 4096)
		n++;
	CHECK("capacity", n == 16 && errno == EAGAIN);
	p = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	CHECK("poll", poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	FD_ZERO(&set);
	FD_SET(ends[1], &set);
	CHECK("select on a full pipe", select(ends[1] + 1, NULL, &set, NULL, &zero) == 0);
	CHECK("available", ioctl(ends[0], FIONREAD, &n) == 0 && n == 65536);
	CHECK("close on exec", fcntl(ends[0], F_GETFD) == FD_CLOEXEC);
	close(ends[1]);
	while (read(ends[0], buf, sizeof(buf)) > 0)
		;
	CHECK("hang up", poll(&p, 1, -1) == 1 && p.revents == POLLHUP);
	close(ends[0]);
	CHECK("bad descriptor", poll(&p, 1, 0) == 1 && p.revents == POLLNVAL);
}

static char *volatile nowhere = (char *)1;

/* User memory that ends in the middle: what cannot be delivered stays in a pipe, what can goes to and from a file. */
static void check_bad_buffers(void)
{
	char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *last = two + 4096 - 4;
	int ends[2], fd;

	munmap(two + 4096, 4096);
	if (pipe(ends) != 0)
		return;
	CHECK("message", write(ends[1], "12345678", 8) == 8);
	CHECK("nowhere", read(ends[0], nowhere, 8) == -1 && errno == EFAULT);
	CHECK("half a message", read(ends[0], last, 8) == -1 && errno == EFAULT);
	CHECK("not lost", read(ends[0], buf, 10) == 8 && memcmp(buf, "12345678", 8) == 0);
	CHECK("half is not sent", write(ends[1], last, 8) == -1 && errno == EFAULT);
	CHECK("nothing came", ioctl(ends[0], FIONREAD, &fd) == 0 && fd == 0);
	close(ends[0]);
	close(ends[1]);
	fd = put("half", "abcdefgh");
	CHECK("half from a file", pread(fd, last, 8, 0) == 4 && memcmp(last, "abcd", 4) == 0);
	lseek(fd, 0, SEEK_SET);
	CHECK("position after half", read(fd, last, 8) == 4 && lseek(fd, 0, SEEK_CUR) == 4);
	CHECK("position after nothing", read(fd, nowhere, 4) == -1 && lseek(fd, 0, SEEK_CUR) == 4);
	CHECK("half to a file", write(fd, last, 8) == 4 && pread(fd, buf, 10, 0) == 8 && memcmp(buf, "abcdabcd", 8) == 0);
	close(fd);
	munmap(two, 4096);
}

/* A pipe opened again by its name in /proc waits for nobody; a FIFO waits for the other side. */
static void check_reopened(void)
{
	int ends[2], fd;
	pid_t pid;

	if (pipe(ends) != 0 || write(ends[1], "pipe", 4) != 4)
		return;
	close(ends[1]);
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", ends[0]);
	fd = open(buf, O_RDONLY);
	CHECK("reopened pipe", fd >= 0 && read(fd, buf, 10) == 4 && read(fd, buf, 10) == 0);
	close(fd);
	close(ends[0]);
	CHECK("mkfifo", mkfifo("fifo", 0600) == 0);
	pid = fork();
	if (pid == 0) {
		fd = open("fifo", O_WRONLY);
		_exit(write(fd, "fifo", 4) != 4);
	}
	fd = open("fifo", O_RDONLY);
	CHECK("fifo", read(fd, buf, 10) == 4 && read(fd, buf, 10) == 0);
	CHECK("writer", waitpid(pid, &ends[0], 0) == pid && ends[0] == 0);
	close(fd);
	CHECK("no reader", open("fifo", O_WRONLY | O_NONBLOCK) == -1 && errno == ENXIO);
}

static void check_descriptors(void)
{
	int fd = put("x", "abc"), copy = fcntl(fd, F_DUPFD, 50), zero = open("/dev/zero", O_RDONLY);

	CHECK("dupfd", copy == 50 && lseek(copy, 0, SEEK_CUR) == 3);
	CHECK("shared offset", lseek(copy, 1, SEEK_SET) == 1 && lseek(fd, 0, SEEK_CUR) == 1);
	CHECK("dup2", dup2(zero, copy) == copy && read(copy, buf, 8) == 8 && buf[7] == 0);
	CHECK("dup2 on itself", dup2(copy, copy) == copy);
	CHECK("dup3 on itself", dup3(copy, copy, 0) == -1 && errno == EINVAL);
	CHECK("full", write(open("/dev/full", O_WRONLY), "x", 1) == -1 && errno == ENOSPC);
	CHECK("null", write(open("/dev/null", O_WRONLY), buf, 100) == 100);
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", fd);
	CHECK("proc fd", size_of(buf) == 3);
	close(fd);
	close(copy);
	close(zero);
}

/* One 64-bit word a frame, read by position. */
static void check_frames(void)
{
	int flags = open("/proc/kpageflags", O_RDONLY), counts = open("/proc/kpagecount", O_RDONLY);
	uint64_t word[512], count = 0, anon = 0, mapped = 0, nr = 0;
	ssize_t got;

	CHECK("whole words", pread(flags, word, 7, 0) == -1 && errno == EINVAL);
	CHECK("at whole words", pread(flags, word, 8, 4) == -1 && errno == EINVAL);
	CHECK("firmware", pread(flags, word, 8, 0xf0 * 8) == 8 && word[0] & (1ull << 20 | 1ull << 32));
	while ((got = read(flags, word, sizeof(word))) > 0)
		for (ssize_t i = 0; i < got / 8; i++, nr++) {
			if (!(word[i] & 1 << 12) || !(word[i] & 1 << 11))
				continue;
			anon++;
			mapped += pread(counts, &count, 8, (off_t)nr * 8) == 8 && count > 0;
		}
	CHECK("to the end", got == 0 && nr > 1000 && pread(counts, word, 8, (off_t)nr * 8) == 0);
	CHECK("anonymous frames", anon > 5 && mapped == anon);
	close(flags);
	close(counts);
}

/* What runs does not change, and what may change does not run. */
static void check_running(void)
{
	int self = open("/proc/self/exe", O_RDONLY), fd = open("script", O_CREAT | O_RDWR, 0755), status;
	pid_t pid;

	CHECK("readable", self >= 0 && read(self, buf, 4) == 4 && memcmp(buf, "\177ELF", 4) == 0);
	CHECK("not writable", open("/proc/self/exe", O_WRONLY) == -1 && errno == ETXTBSY);
	CHECK("not for both", open("/proc/self/exe", O_RDWR) == -1 && errno == ETXTBSY);
	CHECK("not cut", truncate("/proc/self/exe", 0) == -1 && errno == ETXTBSY);
	CHECK("made", fd >= 0 && write(fd, "#!/bin/sh\n", 10) == 10);
	pid = fork();
	if (pid == 0) {
		execl("script", "script", NULL);
		_exit(errno == ETXTBSY ? 42 : 1);
	}
	CHECK("not run while open", waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42);
	close(fd);
	close(self);
	fd = open("script", O_RDWR);
	CHECK("writable again", fd >= 0);
	close(fd);
}

int main(void)
{
	char dir[] = "/tmp/files.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) != 0)
		return 1;
	check_regular();
	check_mapped();
	check_names();
	check_listing();
	check_pipes();
	check_bad_buffers();
	check_reopened();
	check_descriptors();
	check_running();
	check_frames();
	return sum();
}
