/* SPDX-License-Identifier: MIT */
/*
 * Files that are memory (memfd_create) and the seals on them. Ends with "N passed, N failed"; so on Linux too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE };
enum { ALL = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE, FUTURE = 16 };

#define REFUSED(call, error) CHECK(#call, (long)(call) == -1 && errno == (error))

static int make(unsigned flags)
{
	int fd = (int)syscall(SYS_memfd_create, "name", flags);

	if (fd >= 0 && ftruncate(fd, 2 * PAGE) != 0)
		printf("FAIL ftruncate\n");
	return fd;
}

static void check_create(void)
{
	char name[251], path[300] = "", link[64];
	int fd = make(0);
	struct stat st;
	char *p;

	CHECK("made", fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 2 * PAGE);
	REFUSED(syscall(SYS_memfd_create, "name", 0x100), EINVAL);
	REFUSED(syscall(SYS_memfd_create, (char *)1, 0), EFAULT);
	if (on_kmm()) /* the host may have huge pages */
		REFUSED(syscall(SYS_memfd_create, "name", MFD_HUGETLB), ENOSYS);
	memset(name, 'x', 250);
	name[250] = 0;
	REFUSED(syscall(SYS_memfd_create, name, 0), EINVAL);
	CHECK("not inherited", (fcntl(make(MFD_CLOEXEC), F_GETFD) & FD_CLOEXEC));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	CHECK("a name", readlink(link, path, sizeof(path) - 1) > 0 && strcmp(path, "/memfd:name (deleted)") == 0);
	p = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0);
	p[PAGE] = 7;
	CHECK("one memory", pread(fd, path, 1, PAGE) == 1 && path[0] == 7 && pwrite(fd, "y", 1, 0) == 1 && p[0] == 'y');
	CHECK("no seals", fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL);
	REFUSED(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	munmap(p, 3 * PAGE);
	close(fd);
}

static void check_others(void)
{
	int ends[2], ro;

	CHECK("pipe", pipe(ends) == 0);
	REFUSED(fcntl(ends[0], F_GET_SEALS), EINVAL);
	REFUSED(fcntl(ends[1], F_ADD_SEALS, F_SEAL_GROW), EINVAL);
	ro = open("/proc/self/maps", O_RDONLY);
	REFUSED(fcntl(ro, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	close(ro);
}

static void check_sizes(void)
{
	int fd = make(MFD_ALLOW_SEALING);
	char two[2 * PAGE];

	memset(two, 1, sizeof(two));
	CHECK("nothing sealed", fcntl(fd, F_GET_SEALS) == 0);
	REFUSED(fcntl(fd, F_ADD_SEALS, 0x100), EINVAL);
	CHECK("no growing", fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
	REFUSED(ftruncate(fd, 3 * PAGE), EPERM);
	CHECK("up to the end", pwrite(fd, two, sizeof(two), PAGE) == PAGE);
	REFUSED(pwrite(fd, two, 1, 2 * PAGE), EPERM);
	CHECK("shrinking", ftruncate(fd, PAGE) == 0);
	CHECK("no shrinking", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
	REFUSED(ftruncate(fd, 1), EPERM);
	CHECK("the same", ftruncate(fd, PAGE) == 0 && fcntl(fd, F_GET_SEALS) == (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL));
	REFUSED(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	close(fd);
}

static void check_write(void)
{
	int fd = make(MFD_ALLOW_SEALING);
	char *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), *q;

	p[0] = 5;
	REFUSED(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	munmap(p, PAGE);
	CHECK("no writing", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	REFUSED(pwrite(fd, "x", 1, 0), EPERM);
	REFUSED(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), EPERM);
	p = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p[0] = 7;
	REFUSED(mmap(p, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0), EPERM);
	CHECK("what was there stays", p[0] == 7);
	munmap(p, PAGE);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK("still read", p != MAP_FAILED && p[0] == 5);
	REFUSED(mprotect(p, PAGE, RW), EACCES);
	munmap(p, PAGE);
	q = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	CHECK("a copy", q != MAP_FAILED && q[0] == 5 && (q[0] = 6) == 6);
	munmap(q, PAGE);
	close(fd);
}

static void check_future(void)
{
	int fd = make(MFD_ALLOW_SEALING);
	char *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), *q;

	CHECK("no more writing", fcntl(fd, F_ADD_SEALS, FUTURE) == 0);
	p[0] = 5;
	REFUSED(pwrite(fd, "x", 1, 0), EPERM);
	REFUSED(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), EPERM);
	q = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK("read", q != MAP_FAILED && q[0] == 5);
	REFUSED(mprotect(q, PAGE, RW), EACCES);
	REFUSED(madvise(p, PAGE, MADV_REMOVE), EPERM);
	munmap(p, PAGE);
	munmap(q, PAGE);
	close(fd);
}

int main(void)
{
	check_create();
	check_others();
	check_sizes();
	check_write();
	check_future();
	return sum();
}
