/* SPDX-License-Identifier: MIT */
/*
 * What processes share without being threads of one (clone, clone3, vfork), and what they refuse. Linux meets every expectation
 * but those that ask on_kmm(). Ends with "N passed, N failed".
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { STACK = 65536, CLEAR_SIGHAND_BIT = 32 };

static char stack[STACK] __attribute__((aligned(16)));
static volatile int shared, got;

/* The status of a child that runs f; -errno. */
static int child(int flags, int (*f)(void *))
{
	pid_t pid = clone(f, stack + STACK, flags, NULL);
	int status;

	if (pid < 0)
		return -errno;
	return waitpid(pid, &status, __WALL) == pid ? status : -1;
}

static int nothing(void *arg)
{
	(void)arg;
	return 1;
}

static int files_child(void *arg)
{
	(void)arg;
	shared = open("/proc/self/maps", O_RDONLY);
	return close(3) == 0 ? shared : 99;
}

static int place_child(void *arg)
{
	(void)arg;
	umask(0123);
	return chdir("/tmp") == 0 ? 8 : 99;
}

static void on_signal(int sig)
{
	got = sig;
}

static int actions_child(void *arg)
{
	(void)arg;
	signal(SIGUSR1, on_signal);
	return 9;
}

static void check_files(void)
{
	int fd = open("/", O_RDONLY), status;

	CHECK("the first", fd == 3);
	status = child(CLONE_FILES | SIGCHLD, files_child);
	CHECK("a descriptor comes and goes", WEXITSTATUS(status) == 4 && fcntl(4, F_GETFD) == 0 && fcntl(3, F_GETFD) == -1);
	close(4);
	fd = open("/", O_RDONLY);
	status = child(CLONE_FILES | CLONE_VM | SIGCHLD, files_child);
	CHECK("with the space", fd == 3 && shared == 4 && fcntl(4, F_GETFD) == 0 && fcntl(3, F_GETFD) == -1);
	close(4);
	fd = open("/", O_RDONLY);
	status = child(SIGCHLD, files_child);
	CHECK("not shared", WEXITSTATUS(status) == 4 && fcntl(4, F_GETFD) == -1 && fcntl(3, F_GETFD) == 0);
	close(3);
}

static void check_place(void)
{
	char where[64];

	CHECK("both", child(CLONE_FS | SIGCHLD, place_child) == 8 << 8 && getcwd(where, sizeof(where)) && strcmp(where, "/tmp") == 0 &&
			      umask(022) == 0123 && chdir("/") == 0);
	CHECK("neither", child(SIGCHLD, place_child) == 8 << 8 && getcwd(where, sizeof(where)) && strcmp(where, "/") == 0 && umask(022) == 022);
}

static void check_actions(void)
{
	CHECK("not without the space", child(CLONE_SIGHAND | SIGCHLD, actions_child) == -EINVAL);
	CHECK("with it", child(CLONE_SIGHAND | CLONE_VM | SIGCHLD, actions_child) == 9 << 8 && raise(SIGUSR1) == 0 && got == SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	got = 0;
	CHECK("its own", child(CLONE_VM | SIGCHLD, actions_child) == 9 << 8 && raise(SIGUSR1) == 0 && got == 0);
}

/* Exec ends the sharing of descriptors: what closes there stays open here. */
static int exec_child(void *arg)
{
	(void)arg;
	fcntl(3, F_SETFD, FD_CLOEXEC);
	execl("/proc/self/exe", "clones", "again", (char *)NULL);
	return 99;
}

static void check_exec(void)
{
	int fd = open("/", O_RDONLY);

	CHECK("closed there", child(CLONE_FILES | CLONE_FS | SIGCHLD, exec_child) == 0);
	CHECK("open here", fd == 3 && fcntl(3, F_GETFD) == FD_CLOEXEC);
	close(3);
}

static int unshare_child(void *arg)
{
	(void)arg;
	return unshare(CLONE_FILES | CLONE_FS) == 0 && close(3) == 0 && chdir("/tmp") == 0 ? 7 : 99;
}

static void check_unshare(void)
{
	char where[64];
	int fd = open("/", O_RDONLY);

	CHECK("from then on alone", child(CLONE_FILES | CLONE_FS | SIGCHLD, unshare_child) == 7 << 8 && fcntl(fd, F_GETFD) == 0 &&
					    getcwd(where, sizeof(where)) && strcmp(where, "/") == 0);
	CHECK("what one has alone", unshare(0) == 0 && unshare(CLONE_FILES | CLONE_FS | CLONE_SYSVSEM) == 0 && unshare(CLONE_VM) == 0 &&
					    unshare(CLONE_SIGHAND) == 0 && unshare(CLONE_THREAD) == 0);
	CHECK("no such thing", unshare(1) == -1 && errno == EINVAL);
	close(fd);
}

static void check_flags(void)
{
	static const int idle[] = { CLONE_PTRACE, CLONE_UNTRACED, CLONE_IO, CLONE_SYSVSEM, CLONE_DETACHED };
	int fd = -1, status;
	pid_t pid;

	for (unsigned i = 0; i < sizeof(idle) / sizeof(idle[0]); i++)
		CHECK("without effect", child(idle[i] | SIGCHLD, nothing) == 1 << 8);
	CHECK("threads share all", child(CLONE_THREAD, nothing) == -EINVAL && child(CLONE_THREAD | CLONE_VM, nothing) == -EINVAL);
	CHECK("other signals", child(0, nothing) == 1 << 8 && child(SIGUSR1, nothing) == 1 << 8);
	CHECK("all", child(CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | SIGCHLD, nothing) == 1 << 8);
	pid = clone(nothing, stack + STACK, CLONE_PIDFD | SIGCHLD, NULL, &fd);
	CHECK("a descriptor", pid > 0 && fd == 3 && fcntl(fd, F_GETFD) == FD_CLOEXEC && waitpid(pid, &status, 0) == pid);
	close(fd);
	CHECK("nowhere", clone(nothing, stack + STACK, CLONE_PIDFD | SIGCHLD, NULL, (void *)8) == -1 && errno == EFAULT);
	CHECK("none with these", clone(nothing, stack + STACK, CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, NULL, &fd) == -1 && errno == EINVAL &&
					 clone(nothing, stack + STACK, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, NULL, &fd) == -1 && errno == EINVAL);
	CHECK("nobody came", wait(&status) == -1 && errno == ECHILD);
}

/* clone3 with the first words of its structure; the child ends with 0, or 1 if it takes SIGUSR1. */
static int clone3(uint64_t flags, uint64_t signal_nr, size_t size)
{
	uint64_t args[11] = { flags, 0, 0, 0, signal_nr };
	long pid = syscall(435, args, size);
	int status;

	if (pid == 0) {
		struct sigaction now;

		sigaction(SIGUSR1, NULL, &now);
		_exit(now.sa_handler == on_signal);
	}
	if (pid < 0)
		return -errno;
	return waitpid((pid_t)pid, &status, __WALL) == pid ? status : -1;
}

/* A structure of 4 KiB with that byte at its end. */
static int later(char last)
{
	static char args[4096];
	int status;
	long pid;

	((uint64_t *)(void *)args)[4] = SIGCHLD;
	args[sizeof(args) - 1] = last;
	pid = syscall(435, args, sizeof(args));
	if (pid == 0)
		_exit(0);
	return pid < 0 ? -errno : waitpid((pid_t)pid, &status, 0) == pid ? status : -1;
}

static void check_clone3(void)
{
	const uint64_t clear = 1ull << CLEAR_SIGHAND_BIT;

	signal(SIGUSR1, on_signal);
	CHECK("as fork", clone3(0, SIGCHLD, 64) == 1 << 8 && clone3(CLONE_FILES | CLONE_FS, SIGCHLD, 88) == 1 << 8);
	CHECK("without handlers", clone3(clear, SIGCHLD, 64) == 0);
	CHECK("not both", clone3(clear | CLONE_VM | CLONE_SIGHAND, SIGCHLD, 64) == -EINVAL);
	CHECK("unknown", clone3(1ull << 39, SIGCHLD, 64) == -EINVAL && clone3(SIGCHLD, 0, 64) == -EINVAL && clone3(CLONE_DETACHED, SIGCHLD, 64) == -EINVAL);
	CHECK("no such signal", clone3(0, 65, 64) == -EINVAL && clone3(0, 256, 64) == -EINVAL && clone3(CLONE_PARENT, SIGCHLD, 64) == -EINVAL);
	CHECK("of a later version", later(0) == 0 && later(1) == -E2BIG);
	CHECK("sizes", clone3(0, SIGCHLD, 0) == -EINVAL && clone3(0, SIGCHLD, 63) == -EINVAL && clone3(0, SIGCHLD, 5000) == -E2BIG);
	signal(SIGUSR1, SIG_DFL);
}

static void check_vfork(void)
{
	int status;
	pid_t pid;

	shared = 0;
	pid = vfork();
	if (pid == 0) {
		shared = 5;
		_exit(3);
	}
	CHECK("waited for, and one space", shared == 5 && waitpid(pid, &status, 0) == pid && status == 3 << 8);
	pid = vfork();
	if (pid == 0) {
		execl("/nowhere", "x", (char *)NULL);
		shared = errno;
		_exit(4);
	}
	CHECK("exec that fails", shared == ENOENT && waitpid(pid, &status, 0) == pid && status == 4 << 8);
	pid = vfork();
	if (pid == 0)
		kill(getpid(), SIGKILL);
	CHECK("killed", waitpid(pid, &status, 0) == pid && status == SIGKILL);
	signal(SIGUSR1, on_signal);
	got = 0;
	pid = vfork();
	if (pid == 0) {
		kill(getppid(), SIGUSR1);
		shared = got;
		_exit(0);
	}
	CHECK("a signal waits as the parent does", shared == 0 && got == SIGUSR1 && waitpid(pid, &status, 0) == pid);
	signal(SIGUSR1, SIG_DFL);
}

/* What Linux with namespaces does and this kernel refuses. */
static void check_refused(void)
{
	static const int spaces[] = { CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP };
	const uint64_t into_cgroup = 1ull << (CLEAR_SIGHAND_BIT + 1);
	uint64_t args[11] = { [4] = SIGCHLD, [9] = 1 };

	CHECK("a space and its place", child(CLONE_NEWNS | CLONE_FS | SIGCHLD, nothing) == -EINVAL);
	CHECK("no number", syscall(435, args, sizeof(args)) == -1 && (errno == EINVAL || !on_kmm()));
	CHECK("no cgroup", clone3(into_cgroup, SIGCHLD, 88) == (on_kmm() ? -EINVAL : -EBADF));
	for (unsigned i = 0; on_kmm() && i < sizeof(spaces) / sizeof(spaces[0]); i++)
		CHECK("no namespaces", child(spaces[i] | SIGCHLD, nothing) == -EINVAL && unshare(spaces[i]) == -1 && errno == EINVAL);
}

/* A grandchild that becomes our child. */
static int sibling_maker(void *arg)
{
	pid_t pid = clone(nothing, stack + STACK / 2, CLONE_PARENT, arg);

	return pid > 0 && waitpid(pid, NULL, __WALL) == -1 ? 0 : 99;
}

static void check_parent(void)
{
	int status, first, second;

	first = clone(sibling_maker, stack + STACK, SIGCHLD, NULL);
	CHECK("the maker", waitpid(first, &status, 0) == first && status == 0);
	second = wait(&status);
	CHECK("a brother", second > 0 && second != first && status == 1 << 8);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "again") == 0)
		return fcntl(3, F_GETFD) == -1 ? 0 : 1;
	if (chdir("/") != 0)
		return 1;
	umask(022);
	check_files();
	check_place();
	check_actions();
	check_exec();
	check_unshare();
	check_flags();
	check_clone3();
	check_vfork();
	check_refused();
	check_parent();
	return sum();
}
