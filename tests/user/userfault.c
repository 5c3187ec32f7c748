/* SPDX-License-Identifier: MIT */
/* userfault.c - userfaultfd: who resolves the faults of other threads, and what happens when nobody does. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, USER_ONLY = 1 };
#define FAILS(call, code) CHECK(#call, ((errno = 0), (call) == -1) && errno == (code))

static int has_minor, has_writes, has_shared_writes;

static int open_with(uint64_t features, int flags)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = (int)syscall(SYS_userfaultfd, flags);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) == 0)
		return fd;
	close(fd);
	return -1;
}

static char *memory(size_t pages)
{
	return mmap(NULL, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int watch_as(int fd, const char *at, size_t pages, uint64_t mode)
{
	struct uffdio_register r = { .range = { (uintptr_t)at, pages * PAGE }, .mode = mode };

	return ioctl(fd, UFFDIO_REGISTER, &r);
}

static int watch(int fd, const char *at, size_t pages)
{
	return watch_as(fd, at, pages, UFFDIO_REGISTER_MODE_MISSING);
}

static int unwatch(int fd, const char *at, size_t pages)
{
	struct uffdio_range r = { (uintptr_t)at, pages * PAGE };

	return ioctl(fd, UFFDIO_UNREGISTER, &r);
}

static int64_t copied;

static int copy(int fd, const char *to, const void *from, size_t pages, uint64_t mode)
{
	struct uffdio_copy c = { .dst = (uintptr_t)to, .src = (uintptr_t)from, .len = pages * PAGE, .mode = mode };
	int result = ioctl(fd, UFFDIO_COPY, &c);

	copied = c.copy;
	return result;
}

static int zero(int fd, const char *to, size_t pages)
{
	struct uffdio_zeropage z = { .range = { (uintptr_t)to, pages * PAGE } };

	return ioctl(fd, UFFDIO_ZEROPAGE, &z);
}

static int wake(int fd, const char *at, size_t pages)
{
	struct uffdio_range r = { (uintptr_t)at, pages * PAGE };

	return ioctl(fd, UFFDIO_WAKE, &r);
}

static struct uffd_msg next_message(int fd)
{
	struct uffd_msg m;

	memset(&m, 0, sizeof(m));
	CHECK("a message", read(fd, &m, sizeof(m)) == sizeof(m) && m.event == UFFD_EVENT_PAGEFAULT);
	return m;
}

static int is_about(const struct uffd_msg *m, const char *at, uint64_t flags)
{
	return m->arg.pagefault.address == (uintptr_t)at && m->arg.pagefault.flags == flags;
}

/* ---- the thread that faults ---- */

struct access {
	volatile char *at;
	enum { READ, WRITE, BY_CALL } how;
	volatile int result, tid;
};

static void *run_access(void *arg)
{
	struct access *a = arg;
	int ends[2];

	a->tid = (int)syscall(SYS_gettid);
	switch (a->how) {
	case READ: a->result = *a->at; break;
	case WRITE: *a->at = 'w', a->result = 1; break;
	case BY_CALL:
		a->result = pipe(ends) || write(ends[1], (char *)a->at, 5) != 5 ? -errno : 5;
		close(ends[0]), close(ends[1]);
	}
	return NULL;
}

static pthread_t begin(struct access *a)
{
	pthread_t thread;

	CHECK("a thread", pthread_create(&thread, NULL, run_access, a) == 0);
	return thread;
}

/* ---- the descriptor ---- */

static void check_api(void)
{
	struct uffdio_api api = { .api = UFFD_API + 1 };
	int fd = (int)syscall(SYS_userfaultfd, O_NONBLOCK | O_CLOEXEC);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct uffd_msg m;
	char *at = memory(1);

	FAILS(syscall(SYS_userfaultfd, 2), EINVAL);
	CHECK("made", fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	FAILS(watch(fd, at, 1), EINVAL);
	FAILS(read(fd, &m, sizeof(m)), EINVAL);
	CHECK("only to be read", (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY && write(fd, &m, sizeof(m)) == -1 && errno == EBADF);
	CHECK("not ready", poll(&p, 1, 0) == 1 && p.revents == POLLERR);
	FAILS(ioctl(fd, UFFDIO_API, &api), EINVAL);
	CHECK("cleared", api.api == 0 && api.features == 0);
	api = (struct uffdio_api){ .api = UFFD_API, .features = 1ull << 40 };
	FAILS(ioctl(fd, UFFDIO_API, &api), EINVAL);
	FAILS(ioctl(fd, UFFDIO_API, NULL), EFAULT);
	api = (struct uffdio_api){ .api = UFFD_API };
	CHECK("ready", ioctl(fd, UFFDIO_API, &api) == 0 && (api.features & UFFD_FEATURE_SIGBUS) && (api.features & UFFD_FEATURE_THREAD_ID));
	has_writes = (api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP) != 0;
	has_shared_writes = (api.features & UFFD_FEATURE_WP_HUGETLBFS_SHMEM) != 0;
	CHECK("as wide as the kernel", !on_kmm() || (has_writes == has_shared_writes && (sizeof(long) < 8 || has_writes)));
	has_minor = (api.features & UFFD_FEATURE_MINOR_SHMEM) != 0;
	CHECK("its calls", (api.ioctls & (1ull << _UFFDIO_API | 1ull << _UFFDIO_REGISTER | 1ull << _UFFDIO_UNREGISTER)) == api.ioctls);
	CHECK("nothing yet", poll(&p, 1, 0) == 0);
	FAILS(read(fd, &m, sizeof(m)), EAGAIN);
	FAILS(read(fd, &m, sizeof(m) - 1), EINVAL);
	FAILS(ioctl(fd, 0x1234, at), EINVAL);
	close(fd);
	munmap(at, PAGE);
}

static void check_register(void)
{
	int fd = open_with(0, 0), other = open_with(0, 0), file = open("/tmp/userfault", O_RDWR | O_CREAT, 0600);
	struct uffdio_register r;
	char *at = memory(4), *shown;

	CHECK("a file", ftruncate(file, PAGE) == 0);
	shown = mmap(NULL, PAGE, RW, MAP_PRIVATE, file, 0);
	FAILS(watch(fd, at + 1, 1), EINVAL);
	FAILS(watch(fd, at, 0), EINVAL);
	FAILS(watch(fd, (char *)KERNEL_ADDRESS, 1), EINVAL);
	FAILS(watch_as(fd, at, 1, 0), EINVAL);
	FAILS(watch_as(fd, at, 1, 1ull << 20), EINVAL);
	if (on_kmm() && !has_writes)
		FAILS(watch_as(fd, at, 1, UFFDIO_REGISTER_MODE_WP), EINVAL);
	FAILS(ioctl(fd, UFFDIO_REGISTER, NULL), EFAULT);
	munmap(at + 2 * PAGE, PAGE);
	FAILS(watch(fd, at + 2 * PAGE, 1), EINVAL);
	CHECK("over a hole", watch(fd, at, 4) == 0 && watch(fd, at, 4) == 0);
	FAILS(watch(other, at, 1), EBUSY);
	if (on_kmm()) /* later kernels watch more */
		FAILS(watch(fd, shown, 1), EINVAL);
	r = (struct uffdio_register){ .range = { (uintptr_t)at, PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	CHECK("what it can", ioctl(fd, UFFDIO_REGISTER, &r) == 0 &&
				     (r.ioctls & 0x1f) == (1u << _UFFDIO_WAKE | 1u << _UFFDIO_COPY | 1u << _UFFDIO_ZEROPAGE));
	CHECK("given up", unwatch(fd, at, 4) == 0 && watch(other, at, 1) == 0);
	FAILS(unwatch(fd, at + 1, 1), EINVAL);
	FAILS(unwatch(fd, at + 2 * PAGE, 1), EINVAL);
	close(fd), close(other), close(file);
	CHECK("nobody's again", at[0] == 0);
	munmap(at, 4 * PAGE), munmap(shown, PAGE);
	unlink("/tmp/userfault");
}

/* ---- missing pages ---- */

static void check_missing(void)
{
	static char content[2 * PAGE] __attribute__((aligned(PAGE)));
	int fd = open_with(UFFD_FEATURE_THREAD_ID, 0);
	char *at = memory(8);
	struct access a = { at + PAGE + 10, READ, 0, 0 }, b = { at + 2 * PAGE, WRITE, 0, 0 };
	struct uffd_msg m;
	pthread_t t;

	memset(content, 'c', sizeof(content));
	at[0] = 1;
	CHECK("watched", watch(fd, at, 8) == 0 && at[0] == 1);
	t = begin(&a);
	m = next_message(fd);
	CHECK("a read", is_about(&m, at + PAGE, 0) && (int)m.arg.pagefault.feat.ptid == a.tid);
	CHECK("provided", copy(fd, at + PAGE, content, 1, 0) == 0 && copied == PAGE && pthread_join(t, NULL) == 0 && a.result == 'c');
	t = begin(&b);
	m = next_message(fd);
	CHECK("a write", is_about(&m, at + 2 * PAGE, UFFD_PAGEFAULT_FLAG_WRITE));
	CHECK("zeros", zero(fd, at + 2 * PAGE, 1) == 0 && pthread_join(t, NULL) == 0 && at[2 * PAGE] == 'w' && at[2 * PAGE + 1] == 0);
	FAILS(copy(fd, at, content, 1, 0), EEXIST);
	CHECK("says so", copied == -EEXIST);
	FAILS(copy(fd, at + 8 * PAGE, content, 1, 0), ENOENT);
	FAILS(copy(fd, at + 7 * PAGE, content, 2, 0), ENOENT);
	FAILS(copy(fd, at + 4 * PAGE, (void *)PAGE, 1, 0), EFAULT);
	FAILS(copy(fd, at + 4 * PAGE, content, 1, 8), EINVAL);
	FAILS(copy(fd, at + 4 * PAGE + 1, content, 1, 0), EINVAL);
	CHECK("before one that is there", zero(fd, at + 4 * PAGE, 1) == 0);
	FAILS(copy(fd, at + 3 * PAGE, content, 2, 0), EAGAIN);
	CHECK("one page of two", copied == PAGE && at[3 * PAGE] == 'c' && at[4 * PAGE] == 0);
	a = (struct access){ at + 5 * PAGE, READ, 0, 0 };
	t = begin(&a);
	m = next_message(fd);
	CHECK("not woken", copy(fd, at + 5 * PAGE, content, 1, UFFDIO_COPY_MODE_DONTWAKE) == 0);
	CHECK("woken", wake(fd, at, 8) == 0 && pthread_join(t, NULL) == 0 && a.result == 'c');
	FAILS(wake(fd, at + 1, 1), EINVAL);
	CHECK("gone again", madvise(at + 5 * PAGE, PAGE, MADV_DONTNEED) == 0);
	t = begin(&a);
	m = next_message(fd);
	CHECK("told again", is_about(&m, at + 5 * PAGE, 0) && unwatch(fd, at, 8) == 0 && pthread_join(t, NULL) == 0 && a.result == 0);
	close(fd);
	munmap(at, 8 * PAGE);
}

/* System calls wait for pages as programs do. */
static void check_calls(void)
{
	static char content[PAGE] __attribute__((aligned(PAGE)));
	int fd = open_with(0, 0), mine = open_with(0, USER_ONLY);
	char *at = memory(2);
	struct access a = { at, BY_CALL, 0, 0 }, b = { at + PAGE, BY_CALL, 0, 0 };
	struct uffd_msg m;
	pthread_t t;

	CHECK("watched", watch(fd, at, 1) == 0 && watch(mine, at + PAGE, 1) == 0);
	t = begin(&a);
	m = next_message(fd);
	CHECK("by a call", is_about(&m, at, 0) && copy(fd, at, content, 1, 0) == 0 && pthread_join(t, NULL) == 0 && a.result == 5);
	t = begin(&b);
	CHECK("but not there", pthread_join(t, NULL) == 0 && b.result == -EFAULT);
	close(fd), close(mine);
	munmap(at, 2 * PAGE);
}

static sigjmp_buf after_fault;
static volatile int signals;
static void on_bus(int sig) { siglongjmp(after_fault, sig); }
static void on_usr1(int sig) { signals += sig == SIGUSR1; }

static void check_sigbus(void)
{
	int fd = open_with(UFFD_FEATURE_SIGBUS, 0), got;
	char *at = memory(2);

	signal(SIGBUS, on_bus);
	CHECK("watched", watch(fd, at, 2) == 0);
	got = sigsetjmp(after_fault, 1);
	if (!got)
		at[0] = 1;
	CHECK("a signal", got == SIGBUS);
	CHECK("provided", zero(fd, at, 1) == 0 && (at[0] = 1));
	signal(SIGBUS, SIG_DFL);
	close(fd);
	munmap(at, 2 * PAGE);
}

/* A signal is handled, then the access waits again. */
static void check_signal(void)
{
	int fd = open_with(0, 0);
	char *at = memory(1);
	struct access a = { at, READ, -1, 0 };
	struct uffd_msg m;
	pthread_t t;

	signal(SIGUSR1, on_usr1);
	CHECK("watched", watch(fd, at, 1) == 0);
	t = begin(&a);
	m = next_message(fd);
	CHECK("waits", is_about(&m, at, 0) && pthread_kill(t, SIGUSR1) == 0);
	m = next_message(fd);
	CHECK("again, after the handler", is_about(&m, at, 0) && signals == 1 && a.result == -1);
	close(fd); /* and nobody waits any more */
	CHECK("let go", pthread_join(t, NULL) == 0 && a.result == 0);
	munmap(at, PAGE);
}

static void check_processes(void)
{
	int fd = open_with(0, O_NONBLOCK), status;
	char *at = memory(2);
	struct access a = { at, READ, 0, 0 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	pid_t child;

	CHECK("watched", watch(fd, at, 2) == 0);
	child = fork();
	if (child == 0)
		_exit(at[0] != 0 || at[1] != 0); /* it is not watched */
	CHECK("a child", waitpid(child, &status, 0) == child && status == 0);
	child = fork();
	if (child == 0) {
		fd = open_with(0, 0);
		if (watch(fd, at, 2))
			_exit(1);
		begin(&a);
		next_message(fd);
		_exit(7); /* with a thread that waits */
	}
	CHECK("ended", waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
	CHECK("of another", copy(fd, at, &check_api, 0, 0) == -1 && errno == EINVAL);
	child = fork();
	if (child == 0) /* provides for its parent */
		_exit(poll(&p, 1, 10000) != 1 || p.revents != POLLIN || zero(fd, at, 2));
	CHECK("by a child", at[0] == 0 && waitpid(child, &status, 0) == child && status == 0);
	close(fd);
	munmap(at, 2 * PAGE);
}

/* ---- shared memory ---- */

static void check_shared(void)
{
	static char content[PAGE] __attribute__((aligned(PAGE))) = "shared";
	int fd = open_with(0, 0), file = (int)syscall(SYS_memfd_create, "userfault", 0);
	struct uffdio_continue c;
	struct access a;
	struct uffd_msg m;
	char *at, *other;
	pthread_t t;

	CHECK("a file", ftruncate(file, 4 * PAGE) == 0);
	at = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, file, 0);
	other = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, file, 0);
	other[0] = 'o';
	CHECK("watched", watch(fd, at, 4) == 0 && at[0] == 'o');
	a = (struct access){ at + PAGE, READ, 0, 0 };
	t = begin(&a);
	m = next_message(fd);
	CHECK("missing", is_about(&m, at + PAGE, 0) && copy(fd, at + PAGE, content, 1, 0) == 0);
	CHECK("provided", pthread_join(t, NULL) == 0 && a.result == 's' && strcmp(other + PAGE, "shared") == 0);
	CHECK("zeros", zero(fd, at + 2 * PAGE, 1) == 0 && other[2 * PAGE] == 0);
	FAILS(copy(fd, at + 2 * PAGE, content, 1, 0), EEXIST);
	if (has_minor) {
		other[3 * PAGE] = 'm';
		CHECK("watched again", unwatch(fd, at, 4) == 0 && watch_as(fd, at + 3 * PAGE, 1, UFFDIO_REGISTER_MODE_MINOR) == 0);
		a = (struct access){ at + 3 * PAGE, READ, 0, 0 };
		t = begin(&a);
		m = next_message(fd);
		CHECK("there, but not here", is_about(&m, at + 3 * PAGE, UFFD_PAGEFAULT_FLAG_MINOR));
		c = (struct uffdio_continue){ .range = { (uintptr_t)at + 3 * PAGE, PAGE } };
		CHECK("mapped", ioctl(fd, UFFDIO_CONTINUE, &c) == 0 && c.mapped == PAGE && pthread_join(t, NULL) == 0 && a.result == 'm');
		FAILS(ioctl(fd, UFFDIO_CONTINUE, &c), EEXIST);
	}
	close(fd), close(file);
	munmap(at, 4 * PAGE), munmap(other, 4 * PAGE);
}

/* ---- watched writes ---- */

static int protect(int fd, const char *at, size_t pages, uint64_t mode)
{
	struct uffdio_writeprotect w = { .range = { (uintptr_t)at, pages * PAGE }, .mode = mode };

	return ioctl(fd, UFFDIO_WRITEPROTECT, &w);
}

static int is_watched(const char *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t word = 0;

	CHECK("pagemap", pread(fd, &word, sizeof(word), (off_t)((uintptr_t)at / PAGE * sizeof(word))) == sizeof(word));
	close(fd);
	return word >> 57 & 1;
}

static void check_protect_errors(void)
{
	int fd = open_with(0, 0);
	char *at = memory(4);

	CHECK("watched", watch(fd, at, 2) == 0);
	FAILS(protect(fd, at, 1, UFFDIO_WRITEPROTECT_MODE_WP), ENOENT); /* for something else */
	FAILS(protect(fd, at + 2 * PAGE, 1, UFFDIO_WRITEPROTECT_MODE_WP), ENOENT);
	FAILS(protect(fd, at + 1, 1, 0), EINVAL);
	FAILS(protect(fd, at, 0, 0), EINVAL);
	FAILS(protect(fd, at, 1, 4), EINVAL);
	FAILS(protect(fd, at, 1, UFFDIO_WRITEPROTECT_MODE_WP | UFFDIO_WRITEPROTECT_MODE_DONTWAKE), EINVAL);
	FAILS(ioctl(fd, UFFDIO_WRITEPROTECT, NULL), EFAULT);
	FAILS(copy(fd, at, check_protect_errors, 1, UFFDIO_COPY_MODE_WP), EINVAL);
	close(fd);
	munmap(at, 4 * PAGE);
}

static void check_writes(char *at)
{
	static char content[PAGE] __attribute__((aligned(PAGE))) = "writes";
	struct uffdio_register r = { .range = { (uintptr_t)at, 8 * PAGE }, .mode = UFFDIO_REGISTER_MODE_WP };
	struct access a = { at + PAGE, WRITE, 0, 0 }, b = { at + 2 * PAGE, BY_CALL, 0, 0 };
	int fd = open_with(0, 0);
	struct uffd_msg m;
	pthread_t t;

	memset(at, 'a', 8 * PAGE);
	CHECK("what it can", ioctl(fd, UFFDIO_REGISTER, &r) == 0 && (r.ioctls & (1u << _UFFDIO_WRITEPROTECT)));
	CHECK("protected", protect(fd, at, 4, UFFDIO_WRITEPROTECT_MODE_WP) == 0 && is_watched(at) && !is_watched(at + 4 * PAGE));
	CHECK("read", at[0] == 'a' && (at[4 * PAGE] = 'b') == 'b');
	t = begin(&a);
	m = next_message(fd);
	CHECK("a write", is_about(&m, at + PAGE, UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP));
	CHECK("not woken", protect(fd, at + PAGE, 1, UFFDIO_WRITEPROTECT_MODE_DONTWAKE) == 0 && !is_watched(at + PAGE));
	CHECK("woken", wake(fd, at, 8) == 0 && pthread_join(t, NULL) == 0 && at[PAGE] == 'w');
	t = begin(&b); /* a call that reads it */
	CHECK("is none", pthread_join(t, NULL) == 0 && b.result == 5);
	a = (struct access){ at + 2 * PAGE, WRITE, 0, 0 };
	t = begin(&a);
	m = next_message(fd);
	CHECK("allowed", protect(fd, at + 2 * PAGE, 1, 0) == 0 && pthread_join(t, NULL) == 0 && at[2 * PAGE] == 'w');
	CHECK("both", watch_as(fd, at, 8, UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MISSING) == 0);
	CHECK("gone", madvise(at + 5 * PAGE, PAGE, MADV_REMOVE) == 0 || madvise(at + 5 * PAGE, PAGE, MADV_DONTNEED) == 0);
	a = (struct access){ at + 5 * PAGE, WRITE, 0, 0 };
	t = begin(&a);
	m = next_message(fd);
	CHECK("missing", is_about(&m, at + 5 * PAGE, UFFD_PAGEFAULT_FLAG_WRITE));
	CHECK("with protection", copy(fd, at + 5 * PAGE, content, 1, UFFDIO_COPY_MODE_WP) == 0);
	m = next_message(fd);
	CHECK("once more", is_about(&m, at + 5 * PAGE, UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP));
	CHECK("given up", is_watched(at) && unwatch(fd, at, 8) == 0 && pthread_join(t, NULL) == 0 && at[5 * PAGE] == 'w');
	CHECK("by nobody", !is_watched(at) && (at[0] = 'x') == 'x');
	close(fd);
}

/* What is watched stays so in swap; a child and another address have nobody. */
static void check_writes_last(void)
{
	int fd = open_with(0, O_NONBLOCK), status;
	char *at = memory(4), *to;
	pid_t child;

	memset(at, 'a', 4 * PAGE);
	CHECK("protected", watch_as(fd, at, 4, UFFDIO_REGISTER_MODE_WP) == 0 && protect(fd, at, 4, UFFDIO_WRITEPROTECT_MODE_WP) == 0);
	child = fork();
	if (child == 0)
		_exit(is_watched(at) || (at[0] = 'c') != 'c');
	CHECK("a child", waitpid(child, &status, 0) == child && status == 0 && is_watched(at) && at[0] == 'a');
	CHECK("rights", mprotect(at, PAGE, PROT_READ) == 0 && mprotect(at, PAGE, RW) == 0 && is_watched(at));
	CHECK("paged out", madvise(at, 4 * PAGE, MADV_PAGEOUT) == 0 && is_watched(at + PAGE) && at[PAGE] == 'a' && is_watched(at + PAGE));
	to = mremap(at + 2 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, memory(1));
	if (on_kmm()) /* later fixes of 6.1; others keep the mark */
		CHECK("elsewhere", !is_watched(to));
	CHECK("written there", (*to = 'm') == 'm');
	close(fd);
	CHECK("written here", !is_watched(at) && (at[0] = 'x') == 'x');
	munmap(at, 2 * PAGE), munmap(at + 3 * PAGE, PAGE), munmap(to, PAGE);
}

static void check_shared_writes(void)
{
	int fd = open_with(0, 0), file = (int)syscall(SYS_memfd_create, "userfault", 0);
	struct access a;
	struct uffd_msg m;
	char *at, *other;
	pthread_t t;

	CHECK("a file", ftruncate(file, 8 * PAGE) == 0);
	at = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, file, 0);
	other = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, file, 0);
	CHECK("protected", watch_as(fd, at, 8, UFFDIO_REGISTER_MODE_WP) == 0 && protect(fd, at, 8, UFFDIO_WRITEPROTECT_MODE_WP) == 0);
	CHECK("what is not there", is_watched(at + PAGE) && (other[PAGE] = 'o') == 'o' && at[PAGE] == 'o' && is_watched(at + PAGE));
	CHECK("unmapped alone", madvise(at, 8 * PAGE, MADV_DONTNEED) == 0 && is_watched(at + PAGE));
	a = (struct access){ at + PAGE, WRITE, 0, 0 };
	t = begin(&a);
	m = next_message(fd);
	CHECK("a write", is_about(&m, at + PAGE, UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP));
	CHECK("allowed", protect(fd, at + PAGE, 1, 0) == 0 && pthread_join(t, NULL) == 0 && other[PAGE] == 'w');
	close(fd);
	munmap(at, 8 * PAGE);
	at = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, file, 0);
	check_writes(at);
	close(file);
	munmap(at, 8 * PAGE), munmap(other, 8 * PAGE);
}

/* ---- events ---- */

/* What a thread does that its watcher hears of. */
struct deed {
	enum { DROP, PUNCH, UNMAP, OVER, MOVE, FORK } what;
	char *at, *to;
	volatile int result;
};

static void *run_deed(void *arg)
{
	struct deed *d = arg;
	int status = 0;
	pid_t child;

	switch (d->what) {
	case DROP: d->result = madvise(d->at, 2 * PAGE, MADV_DONTNEED); break;
	case PUNCH: d->result = madvise(d->at, 2 * PAGE, MADV_REMOVE); break;
	case UNMAP: d->result = munmap(d->at, 2 * PAGE); break;
	case OVER: d->result = mmap(d->at, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != d->at; break;
	case MOVE: d->result = mremap(d->at, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, d->to) != d->to; break;
	case FORK:
		child = fork();
		if (child == 0)
			_exit(d->at[0]);
		waitpid(child, &status, 0);
		d->result = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	return NULL;
}

static pthread_t begin_deed(struct deed *d)
{
	pthread_t thread;

	d->result = -1;
	CHECK("a thread", pthread_create(&thread, NULL, run_deed, d) == 0);
	return thread;
}

static struct uffd_msg next_event(int fd, int event)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct uffd_msg m;

	memset(&m, 0, sizeof(m));
	CHECK("poll", poll(&p, 1, 60000) == 1 && p.revents == POLLIN);
	CHECK("an event", read(fd, &m, sizeof(m)) == sizeof(m) && m.event == event);
	return m;
}

/* Nothing is provided for memory that has changed until who watches has heard of it. */
static void hear_of(int fd, struct deed *d, int event, const char *other)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	pthread_t t = begin_deed(d);
	struct uffd_msg m;

	CHECK("poll", poll(&p, 1, 60000) == 1);
	FAILS(zero(fd, other, 1), EAGAIN);
	m = next_event(fd, event);
	CHECK("where", m.arg.remove.start == (uintptr_t)d->at && m.arg.remove.end == (uintptr_t)d->at + 2 * PAGE);
	CHECK("goes on", pthread_join(t, NULL) == 0 && d->result == 0);
}

static void check_events(void)
{
	int fd = open_with(UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP, O_NONBLOCK), file;
	char *at = memory(8), *shared;
	struct deed d = { DROP, at + PAGE, NULL, 0 };
	pthread_t t;

	file = (int)syscall(SYS_memfd_create, "userfault", 0);
	CHECK("a file", ftruncate(file, 4 * PAGE) == 0);
	shared = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, file, 0);
	CHECK("watched", watch(fd, at, 8) == 0 && watch(fd, shared, 4) == 0);
	CHECK("provided", zero(fd, at, 7) == 0);
	hear_of(fd, &d, UFFD_EVENT_REMOVE, at + 7 * PAGE);
	d = (struct deed){ PUNCH, shared, NULL, 0 };
	hear_of(fd, &d, UFFD_EVENT_REMOVE, at + 7 * PAGE);
	d = (struct deed){ UNMAP, at, NULL, 0 };
	hear_of(fd, &d, UFFD_EVENT_UNMAP, at + 7 * PAGE);
	d = (struct deed){ OVER, at + 3 * PAGE, NULL, 0 };
	hear_of(fd, &d, UFFD_EVENT_UNMAP, at + 7 * PAGE);
	CHECK("not watched", at[3 * PAGE] == 0);
	d = (struct deed){ UNMAP, at + 5 * PAGE, NULL, 0 };
	t = begin_deed(&d);
	close(fd); /* nobody will hear of it */
	CHECK("goes on", pthread_join(t, NULL) == 0 && d.result == 0);
	munmap(at, 8 * PAGE), munmap(shared, 4 * PAGE);
	close(file);
}

/* The watcher goes along. */
static void check_moved(void)
{
	int fd = open_with(UFFD_FEATURE_EVENT_REMAP, O_NONBLOCK);
	char *at = memory(4), *to = memory(4);
	struct deed d = { MOVE, at, to, 0 };
	struct access a = { to + PAGE, READ, -1, 0 };
	struct uffd_msg m;
	pthread_t t;

	CHECK("watched", watch(fd, at, 4) == 0 && zero(fd, at, 1) == 0);
	t = begin_deed(&d);
	m = next_event(fd, UFFD_EVENT_REMAP);
	CHECK("from where to where", m.arg.remap.from == (uintptr_t)at && m.arg.remap.to == (uintptr_t)to && m.arg.remap.len == 2 * PAGE);
	CHECK("goes on", pthread_join(t, NULL) == 0 && d.result == 0 && to[0] == 0);
	t = begin(&a);
	m = next_event(fd, UFFD_EVENT_PAGEFAULT);
	CHECK("watched there", is_about(&m, to + PAGE, 0) && zero(fd, to + PAGE, 1) == 0 && pthread_join(t, NULL) == 0 && a.result == 0);
	close(fd);
	munmap(at, 4 * PAGE), munmap(to, 4 * PAGE);
}

/* The child has a watcher of its own, which the parent's hears of. */
static void check_child(void)
{
	static char content[PAGE] __attribute__((aligned(PAGE))) = { 42 };
	int fd = open_with(UFFD_FEATURE_EVENT_FORK, O_NONBLOCK | O_CLOEXEC), of_child;
	char *at = memory(4);
	struct deed d = { FORK, at, NULL, 0 };
	struct uffd_msg m;
	pthread_t t;

	CHECK("watched", watch(fd, at, 4) == 0);
	t = begin_deed(&d);
	m = next_event(fd, UFFD_EVENT_FORK);
	of_child = (int)m.arg.fork.ufd;
	CHECK("a descriptor", of_child > fd && (fcntl(of_child, F_GETFD) & FD_CLOEXEC) && (fcntl(of_child, F_GETFL) & O_NONBLOCK));
	m = next_event(of_child, UFFD_EVENT_PAGEFAULT);
	CHECK("of the child", is_about(&m, at, 0) && copy(of_child, at, content, 1, 0) == 0);
	CHECK("its own", pthread_join(t, NULL) == 0 && d.result == 42 && zero(fd, at, 1) == 0 && at[0] == 0);
	FAILS(copy(of_child, at + PAGE, content, 1, 0), ESRCH);
	close(of_child), close(fd);
	munmap(at, 4 * PAGE);
	if (!has_writes)
		return;
	fd = open_with(UFFD_FEATURE_EVENT_FORK, O_NONBLOCK);
	at = memory(2);
	at[0] = 1, at[PAGE] = 2;
	CHECK("protected", watch_as(fd, at, 2, UFFDIO_REGISTER_MODE_WP) == 0 && protect(fd, at, 1, UFFDIO_WRITEPROTECT_MODE_WP) == 0);
	d = (struct deed){ FORK, at, NULL, 0 };
	t = begin_deed(&d);
	m = next_event(fd, UFFD_EVENT_FORK);
	CHECK("goes on", pthread_join(t, NULL) == 0 && d.result == 1);
	close((int)m.arg.fork.ufd), close(fd);
	munmap(at, 2 * PAGE);
}

/* Whoever has the descriptor ends without having read of the fork. That is a process of its own: a fork copies descriptors
 * before it waits, so the child would keep open what its parent closes meanwhile, and both would wait for ever. */
static void check_unheard_child(void)
{
	int fd = open_with(UFFD_FEATURE_EVENT_FORK, O_NONBLOCK);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char *at = memory(4);
	struct deed d = { FORK, at, NULL, -1 };
	pid_t keeper = fork();
	int status;

	if (keeper == 0)
		_exit(poll(&p, 1, 60000) != 1);
	CHECK("watched", keeper > 0 && watch(fd, at, 4) == 0);
	close(fd);
	run_deed(&d);
	CHECK("not watched", d.result == 0 && at[0] == 0);
	CHECK("there was an event", waitpid(keeper, &status, 0) == keeper && status == 0);
	munmap(at, 4 * PAGE);
}

/* ---- who may ---- */

static int without_rights(void)
{
	struct { uint32_t version; int pid; } header = { 0x20080522, 0 };
	struct { uint32_t effective, permitted, inheritable; } data[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK };
	int fd = fcntl(2, F_DUPFD, 3);

	failed = 0;
	close(fd); /* the lowest that is free */
	CHECK("may all", syscall(SYS_userfaultfd, 0) == fd);
	CHECK("nothing may", syscall(SYS_capset, &header, data) == 0);
	FAILS(syscall(SYS_userfaultfd, 0), EPERM);
	FAILS(ioctl(fd, UFFDIO_API, &api), EPERM); /* of forks */
	CHECK("cleared", api.api == 0);
	CHECK("its own accesses", syscall(SYS_userfaultfd, USER_ONLY) >= 0);
	return failed;
}

static int set_for_all(const char *value)
{
	int fd = open("/proc/sys/vm/unprivileged_userfaultfd", O_WRONLY), n = (int)write(fd, value, strlen(value));

	close(fd);
	return n == (int)strlen(value);
}

static void check_rights(void)
{
	char line[16] = "";
	FILE *f = fopen("/proc/sys/vm/unprivileged_userfaultfd", "r");
	pid_t child;
	int status;

	CHECK("a setting", f && fgets(line, sizeof(line), f) && (line[0] == '0' || line[0] == '1'));
	fclose(f);
	if (line[0] == '1')
		return;
	child = fork();
	if (child == 0)
		_exit(without_rights());
	CHECK("without rights", waitpid(child, &status, 0) == child && status == 0);
	if (on_kmm())
		CHECK("for all", set_for_all("1\n") && !set_for_all("2") && set_for_all("0"));
}

static void check_smaps(void)
{
	int fd = open_with(0, 0), found = 0, here = 0;
	char *at = memory(3), line[512], start[32];
	FILE *f;

	CHECK("watched", watch(fd, at + PAGE, 1) == 0);
	snprintf(start, sizeof(start), "%lx-", (unsigned long)at + PAGE);
	f = fopen("/proc/self/smaps", "r");
	while (f && fgets(line, sizeof(line), f)) {
		here |= strncmp(line, start, strlen(start)) == 0;
		if (here && strncmp(line, "VmFlags:", 8) == 0) {
			found = strstr(line, " um") != NULL;
			break;
		}
	}
	CHECK("in smaps", found);
	fclose(f);
	close(fd);
	munmap(at, 3 * PAGE);
}

int main(void)
{
	int fd = (int)syscall(SYS_userfaultfd, 0);

	if (fd < 0 && !on_kmm()) { /* a host may forbid it */
		printf("no userfaultfd here: %s\n", strerror(errno));
		return 0;
	}
	close(fd);
	check_api();
	check_register();
	check_missing();
	check_calls();
	check_sigbus();
	check_signal();
	check_processes();
	check_shared();
	check_protect_errors();
	check_events();
	check_moved();
	check_child();
	check_unheard_child();
	if (has_writes) {
		char *at = memory(8);

		check_writes(at);
		munmap(at, 8 * PAGE);
		check_writes_last();
	}
	if (has_shared_writes)
		check_shared_writes();
	check_rights();
	check_smaps();
	return sum();
}
