/* SPDX-License-Identifier: MIT */
/*
 * events.c - what several programs use to wait for each other: record locks and flock, epoll sets, eventfd, pairs of local
 * sockets. Runs on Linux too, which is what the expectations are from.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define FAILS(error, call) ((call) == -1 && errno == (error))

static char path[] = "/tmp/events.XXXXXX";

/* ---- record locks ---- */

static int lock_of(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	return fcntl(fd, cmd, &l);
}

/* What a child may do about it: 0 or its errno. */
static int in_child(int cmd, short type, off_t start, off_t len)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int fd = open(path, O_RDWR);

		_exit(lock_of(fd, cmd, type, start, len) == 0 ? 0 : errno);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static struct flock seen_by_child(off_t start, off_t len, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
	int ends[2];
	pid_t pid;

	if (pipe(ends) != 0)
		return l;
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDWR);

		fcntl(fd, F_GETLK, &l);
		_exit(write(ends[1], &l, sizeof(l)) != sizeof(l));
	}
	CHECK("the child says", read(ends[0], &l, sizeof(l)) == sizeof(l));
	waitpid(pid, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	return l;
}

static void record_locks(void)
{
	int fd = open(path, O_RDWR), other;
	struct flock l;

	CHECK("a write lock", lock_of(fd, F_SETLK, F_WRLCK, 10, 20) == 0);
	CHECK("again, by the same", lock_of(fd, F_SETLK, F_WRLCK, 15, 5) == 0);
	CHECK("in the way", in_child(F_SETLK, F_RDLCK, 29, 1) == EAGAIN);
	CHECK("beside it", in_child(F_SETLK, F_WRLCK, 30, 10) == 0 && in_child(F_SETLK, F_WRLCK, 0, 10) == 0);
	l = seen_by_child(0, 0, F_RDLCK);
	CHECK("asked for", l.l_type == F_WRLCK && l.l_start == 10 && l.l_len == 20 && l.l_pid == getpid());
	CHECK("a read lock in the middle", lock_of(fd, F_SETLK, F_RDLCK, 15, 5) == 0);
	CHECK("read by others", in_child(F_SETLK, F_RDLCK, 15, 5) == 0);
	CHECK("not written", in_child(F_SETLK, F_WRLCK, 15, 5) == EAGAIN);
	CHECK("both sides as before", in_child(F_SETLK, F_RDLCK, 14, 1) == EAGAIN && in_child(F_SETLK, F_RDLCK, 20, 1) == EAGAIN);
	CHECK("given up in the middle", lock_of(fd, F_SETLK, F_UNLCK, 12, 10) == 0);
	CHECK("free there", in_child(F_SETLK, F_WRLCK, 12, 10) == 0);
	CHECK("not at the ends", in_child(F_SETLK, F_WRLCK, 11, 1) == EAGAIN && in_child(F_SETLK, F_WRLCK, 22, 1) == EAGAIN);
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = -10 };
	CHECK("bytes before the start", fcntl(fd, F_SETLK, &l) == 0);
	CHECK("those", in_child(F_SETLK, F_WRLCK, 90, 1) == EAGAIN && in_child(F_SETLK, F_WRLCK, 100, 1) == 0);
	other = open(path, O_RDWR);
	close(other);
	CHECK("closing any descriptor drops them all", in_child(F_SETLK, F_WRLCK, 0, 0) == 0);
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = -10 };
	CHECK("before the beginning", FAILS(EINVAL, fcntl(fd, F_SETLK, &l)));
	l = (struct flock){ .l_type = 7, .l_whence = SEEK_SET };
	CHECK("no such type", FAILS(EINVAL, fcntl(fd, F_SETLK, &l)));
	l = (struct flock){ .l_type = F_RDLCK, .l_whence = 9 };
	CHECK("no such origin", FAILS(EINVAL, fcntl(fd, F_SETLK, &l)));
	CHECK("no such place", FAILS(EFAULT, fcntl(fd, F_SETLK, (void *)8)));
	close(fd);
	fd = open(path, O_RDONLY);
	CHECK("a write lock needs a file to write", FAILS(EBADF, lock_of(fd, F_SETLK, F_WRLCK, 0, 0)));
	close(fd);
}

/* A child that has bytes 0 and wants 1, while we have 1 and want 0: one of us is told. */
static void deadlock(void)
{
	int fd = open(path, O_RDWR), ends[2], status;
	bool told;
	char c;
	pid_t pid;

	CHECK("pipe", pipe(ends) == 0);
	lock_of(fd, F_SETLK, F_WRLCK, 1, 1);
	pid = fork();
	if (pid == 0) {
		fd = open(path, O_RDWR);
		if (lock_of(fd, F_SETLK, F_WRLCK, 0, 1) != 0 || write(ends[1], "x", 1) != 1)
			_exit(1);
		_exit(lock_of(fd, F_SETLKW, F_WRLCK, 1, 1) == 0 ? 0 : errno == EDEADLK ? 2 : 3);
	}
	CHECK("the child has its lock", read(ends[0], &c, 1) == 1);
	usleep(50000);
	told = FAILS(EDEADLK, lock_of(fd, F_SETLKW, F_WRLCK, 0, 1));
	lock_of(fd, F_SETLK, F_UNLCK, 0, 0);
	waitpid(pid, &status, 0);
	CHECK("a circle of waiting ends with EDEADLK", told && WEXITSTATUS(status) == 0);
	close(fd);
	close(ends[0]);
	close(ends[1]);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void other_locks(void)
{
	int one = open(path, O_RDWR), two = open(path, O_RDWR);
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct sigaction act = { .sa_handler = on_alarm };

	CHECK("flock", flock(one, LOCK_EX) == 0);
	CHECK("another open file", FAILS(EWOULDBLOCK, flock(two, LOCK_SH | LOCK_NB)));
	CHECK("to shared", flock(one, LOCK_SH) == 0 && flock(two, LOCK_SH | LOCK_NB) == 0);
	CHECK("not while others share", FAILS(EWOULDBLOCK, flock(one, LOCK_EX | LOCK_NB)));
	CHECK("no such lock", FAILS(EINVAL, flock(one, 3)));
	CHECK("flock and record locks do not meet", lock_of(one, F_SETLK, F_WRLCK, 0, 0) == 0);
	lock_of(one, F_SETLK, F_UNLCK, 0, 0);
	CHECK("given up", flock(one, LOCK_UN) == 0 && flock(two, LOCK_UN) == 0);
	CHECK("an open file's", fcntl(one, F_OFD_SETLK, &l) == 0);
	CHECK("in the way of another open file", FAILS(EAGAIN, fcntl(two, F_OFD_SETLK, &l)));
	CHECK("and of the process", FAILS(EAGAIN, lock_of(two, F_SETLK, F_RDLCK, 0, 1)));
	sigaction(SIGALRM, &act, NULL);
	alarm(1);
	CHECK("a signal ends the waiting", FAILS(EINTR, lock_of(two, F_SETLKW, F_RDLCK, 0, 1)));
	close(one);
	CHECK("gone with it", fcntl(two, F_OFD_SETLK, &l) == 0);
	l.l_pid = 1;
	CHECK("l_pid must be 0", FAILS(EINVAL, fcntl(two, F_OFD_SETLK, &l)));
	close(two);
}

/* ---- eventfd ---- */

static void counters(void)
{
	int fd = eventfd(3, EFD_NONBLOCK);
	uint64_t n = 5;

	CHECK("adding", write(fd, &n, 8) == 8 && read(fd, &n, 8) == 8 && n == 8);
	CHECK("nothing left", FAILS(EAGAIN, read(fd, &n, 8)));
	CHECK("too short", FAILS(EINVAL, read(fd, &n, 7)) && FAILS(EINVAL, write(fd, &n, 4)));
	n = UINT64_MAX;
	CHECK("too much", FAILS(EINVAL, write(fd, &n, 8)));
	n = UINT64_MAX - 1;
	CHECK("full", write(fd, &n, 8) == 8 && (n = 1, FAILS(EAGAIN, write(fd, &n, 8))));
	close(fd);
	fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	CHECK("one by one", read(fd, &n, 8) == 8 && n == 1 && read(fd, &n, 8) == 8 && FAILS(EAGAIN, read(fd, &n, 8)));
	close(fd);
	CHECK("no such flag", FAILS(EINVAL, eventfd(0, 0x100)));
	fd = eventfd(0, 0);
	if (fork() == 0) {
		n = 7;
		usleep(20000);
		_exit(write(fd, &n, 8) != 8);
	}
	CHECK("waiting for a child", read(fd, &n, 8) == 8 && n == 7);
	wait(NULL);
	close(fd);
}

/* ---- epoll ---- */

static int control(int set, int act, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.u64 = (uint64_t)fd << 32 | 1 };

	return epoll_ctl(set, act, fd, &e);
}

static void refusals(int set, int in)
{
	int file = open(path, O_RDWR), other = epoll_create1(EPOLL_CLOEXEC);

	CHECK("twice", FAILS(EEXIST, control(set, EPOLL_CTL_ADD, in, EPOLLIN)));
	CHECK("a plain file", FAILS(EPERM, control(set, EPOLL_CTL_ADD, file, EPOLLIN)));
	CHECK("itself", FAILS(EINVAL, control(set, EPOLL_CTL_ADD, set, EPOLLIN)));
	CHECK("no set", FAILS(EINVAL, control(in, EPOLL_CTL_ADD, set, EPOLLIN)));
	CHECK("not in it", FAILS(ENOENT, control(set, EPOLL_CTL_MOD, other, EPOLLIN)) &&
			   FAILS(ENOENT, control(set, EPOLL_CTL_DEL, other, 0)));
	CHECK("no such file", FAILS(EBADF, control(set, EPOLL_CTL_ADD, 999, EPOLLIN)));
	CHECK("no such act", FAILS(EINVAL, control(set, 9, in, EPOLLIN)));
	CHECK("a set in a set", control(other, EPOLL_CTL_ADD, set, EPOLLIN) == 0);
	CHECK("a circle", FAILS(ELOOP, control(set, EPOLL_CTL_ADD, other, EPOLLIN)));
	CHECK("sizes", FAILS(EINVAL, epoll_create(0)) && FAILS(EINVAL, epoll_create1(1)));
	CHECK("no room for events", FAILS(EINVAL, epoll_wait(set, NULL, 0, 0)));
	close(file);
	close(other);
}

static void sets(void)
{
	struct epoll_event e[4];
	int set = epoll_create1(0), ends[2], copy;
	char c;

	CHECK("pipe", set >= 0 && pipe(ends) == 0);
	CHECK("added", control(set, EPOLL_CTL_ADD, ends[0], EPOLLIN) == 0 && control(set, EPOLL_CTL_ADD, ends[1], EPOLLOUT) == 0);
	refusals(set, ends[0]);
	CHECK("one is ready", epoll_wait(set, e, 4, 0) == 1 && e[0].events == EPOLLOUT && e[0].data.u64 >> 32 == (unsigned)ends[1]);
	CHECK("both", write(ends[1], "ab", 2) == 2 && epoll_wait(set, e, 4, 1000) == 2);
	CHECK("one at a time, in turn", epoll_wait(set, e, 1, 0) == 1 && epoll_wait(set, e + 1, 1, 0) == 1 &&
					e[0].data.u64 != e[1].data.u64);
	CHECK("out", control(set, EPOLL_CTL_DEL, ends[1], 0) == 0 && epoll_wait(set, e, 4, 0) == 1 && e[0].events == EPOLLIN);
	CHECK("once", control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT) == 0 && epoll_wait(set, e, 4, 0) == 1 &&
		      epoll_wait(set, e, 4, 0) == 0);
	CHECK("edges", control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET) == 0 && epoll_wait(set, e, 4, 0) == 1 &&
		       epoll_wait(set, e, 4, 0) == 0 && write(ends[1], "c", 1) == 1 && epoll_wait(set, e, 4, 0) == 1);
	CHECK("all read", read(ends[0], &c, 1) == 1 && control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN) == 0);
	copy = dup(ends[0]);
	close(ends[0]);
	CHECK("a copy keeps the file in the set", epoll_wait(set, e, 4, 0) == 1);
	close(copy);
	CHECK("gone with the last descriptor", epoll_wait(set, e, 4, 20) == 0);
	close(ends[1]);
	close(set);
}

static void waiting(void)
{
	int set = epoll_create1(0), fd = eventfd(0, 0);
	struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct epoll_event e;
	uint64_t one = 1;

	control(set, EPOLL_CTL_ADD, fd, EPOLLIN);
	if (fork() == 0) {
		usleep(30000);
		_exit(write(fd, &one, 8) != 8);
	}
	CHECK("woken by a child", epoll_wait(set, &e, 1, -1) == 1 && e.events == EPOLLIN);
	wait(NULL);
	CHECK("read", read(fd, &one, 8) == 8);
	sigaction(SIGALRM, &act, NULL);
	alarm(1);
	CHECK("a signal ends it, SA_RESTART or not", FAILS(EINTR, epoll_wait(set, &e, 1, -1)));
	close(fd);
	close(set);
}

/* ---- sockets ---- */

static void streams(void)
{
	int s[2], type = 0;
	socklen_t size = sizeof(type);
	struct iovec iov[2];
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	char buf[16] = "";
	struct stat st;

	CHECK("a pair", socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK("sockets", fstat(s[0], &st) == 0 && S_ISSOCK(st.st_mode));
	CHECK("there", write(s[0], "hello", 5) == 5 && read(s[1], buf, 3) == 3 && memcmp(buf, "hel", 3) == 0);
	CHECK("and back", send(s[1], "xyz", 3, 0) == 3 && recv(s[0], buf, 16, MSG_PEEK) == 3 && recv(s[0], buf, 16, 0) == 3);
	CHECK("nothing more", FAILS(EAGAIN, recv(s[0], buf, 1, MSG_DONTWAIT)));
	iov[0] = (struct iovec){ buf, 1 }, iov[1] = (struct iovec){ buf + 8, 4 };
	CHECK("in pieces", recvmsg(s[1], &m, 0) == 2 && buf[0] == 'l' && buf[8] == 'o' && m.msg_controllen == 0);
	CHECK("kind", getsockopt(s[0], SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM && size == 4);
	CHECK("no position", FAILS(ESPIPE, lseek(s[0], 0, SEEK_CUR)));
	CHECK("shut down", shutdown(s[0], SHUT_WR) == 0 && read(s[1], buf, 1) == 0);
	CHECK("only that way", write(s[1], "q", 1) == 1 && read(s[0], buf, 1) == 1);
	CHECK("no more written", FAILS(EPIPE, send(s[0], "x", 1, MSG_NOSIGNAL)));
	close(s[1]);
	CHECK("the other end is gone", read(s[0], buf, 1) == 0);
	close(s[0]);
}

static void messages(void)
{
	int s[2];
	char buf[16];

	CHECK("a pair for packets", socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, s) == 0);
	CHECK("kept apart", write(s[0], "one", 3) == 3 && write(s[0], "three", 5) == 5 && read(s[1], buf, 16) == 3 &&
			    read(s[1], buf, 16) == 5);
	CHECK("cut off", write(s[0], "long one", 8) == 8 && read(s[1], buf, 4) == 4 && FAILS(EAGAIN, read(s[1], buf, 4)));
	close(s[0]);
	CHECK("the end", read(s[1], buf, 4) == 0);
	close(s[1]);
	CHECK("datagrams", socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0 && send(s[1], "", 0, 0) == 0 && recv(s[0], buf, 4, 0) == 0);
	close(s[0]);
	CHECK("nobody there", FAILS(ECONNREFUSED, send(s[1], "x", 1, 0)));
	close(s[1]);
	CHECK("no such type", FAILS(ESOCKTNOSUPPORT, socketpair(AF_UNIX, 9, 0, s)));
	CHECK("no such family", FAILS(EAFNOSUPPORT, socketpair(99, SOCK_STREAM, 0, s)));
	CHECK("no such protocol", FAILS(EPROTONOSUPPORT, socketpair(AF_UNIX, SOCK_STREAM, 7, s)));
	CHECK("not a socket", FAILS(ENOTSOCK, send(1, "x", 1, 0)) && FAILS(EBADF, send(999, "x", 1, 0)));
}

/* ---- descriptors of processes ---- */

static int pidfd_call(long nr, long a, long b, long c)
{
	return (int)syscall(nr, a, b, c, 0);
}

static void processes(void)
{
	int ends[2], fd, copy, status;
	struct pollfd p;
	pid_t pid;
	char c;

	CHECK("pipe", pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(1);
	}
	fd = pidfd_call(SYS_pidfd_open, pid, 0, 0);
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	CHECK("opened, closed on exec", fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK("it lives", poll(&p, 1, 0) == 0 && pidfd_call(SYS_pidfd_send_signal, fd, 0, 0) == 0);
	CHECK("it does not die", FAILS(EINVAL, pidfd_call(SYS_process_mrelease, fd, 0, 0)));
	copy = pidfd_call(SYS_pidfd_getfd, fd, ends[1], 0);
	CHECK("its file", copy >= 0 && write(copy, "x", 1) == 1 && read(ends[0], &c, 1) == 1 && c == 'x');
	CHECK("none of its files", FAILS(EBADF, pidfd_call(SYS_pidfd_getfd, fd, 999, 0)));
	CHECK("killed", pidfd_call(SYS_pidfd_send_signal, fd, SIGKILL, 0) == 0);
	CHECK("its memory goes", pidfd_call(SYS_process_mrelease, fd, 0, 0) == 0 || errno == ESRCH);
	CHECK("seen", poll(&p, 1, 5000) == 1 && p.revents == POLLIN);
	waitpid(pid, &status, 0);
	CHECK("gone", FAILS(ESRCH, pidfd_call(SYS_pidfd_send_signal, fd, 0, 0)) && poll(&p, 1, 0) == 1);
	CHECK("nobody", FAILS(ESRCH, pidfd_call(SYS_pidfd_open, pid, 0, 0)) && FAILS(EINVAL, pidfd_call(SYS_pidfd_open, 0, 0, 0)) &&
			FAILS(EINVAL, pidfd_call(SYS_pidfd_open, getpid(), 1, 0)));
	CHECK("not such a descriptor", FAILS(EBADF, pidfd_call(SYS_pidfd_send_signal, ends[0], 0, 0)));
	close(fd), close(copy), close(ends[0]), close(ends[1]);
}

int main(void)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return 2;
	close(fd);
	record_locks();
	deadlock();
	other_locks();
	counters();
	sets();
	waiting();
	streams();
	messages();
	processes();
	unlink(path);
	return sum();
}
