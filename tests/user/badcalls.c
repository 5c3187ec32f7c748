/* SPDX-License-Identifier: MIT */
/*
 * Every system call number with arguments that make no sense: pointers to nowhere, into the kernel, across the end
 * of the addresses, huge lengths. Each pattern runs in a process of its own, because some calls end it or change
 * its space. What is checked is that the machine goes on and that bad pointers are called bad.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { NR_CALLS = 460, SECONDS = 10 };

#ifdef __x86_64__
#define OLD_CALLS
#define SYS_STAT SYS_stat
static long call(long number, const unsigned long a[6])
{
	return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
#else
#define OLD_CALLS SYS_sigsuspend, SYS_sigreturn,
#define SYS_STAT SYS_stat64
static long call(long number, const unsigned long a[6])
{
	long result;

	__asm__ volatile("push %%ebp\n\tpush %%ebx\n\tmov 0(%2), %%ebx\n\tmov 4(%2), %%ecx\n\tmov 8(%2), %%edx\n\t"
			 "mov 12(%2), %%esi\n\tmov 20(%2), %%ebp\n\tmov 16(%2), %%edi\n\tint $0x80\n\t"
			 "pop %%ebx\n\tpop %%ebp"
			 : "=a"(result) : "0"(number), "D"(a) : "ecx", "edx", "esi", "memory");
	return result;
}
#endif

/* Those that do as they are told, whatever the arguments: end, wait for ever, send signals, stop the machine. */
static int is_left_out(int n)
{
	static const int left_out[] = { SYS_exit, SYS_fork, SYS_vfork, SYS_clone, SYS_pause, SYS_exit_group, SYS_reboot,
					SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigsuspend, SYS_rt_sigreturn,
					SYS_munmap, SYS_brk, OLD_CALLS 0 };

	for (int i = 0; left_out[i]; i++)
		if (left_out[i] == n)
			return 1;
	return 0;
}

static unsigned long noise(uint32_t *state)
{
	static const unsigned long edges[] = { 0, 1, 3, 4095, 4096, 0x7fffffff, 0x80000000, USER_LAST, USER_LAST & ~4095ul,
					       USER_LAST + 1, KERNEL_ADDRESS, 0xfffff000, 0xffffffff, -4ul };

	*state = *state * 1664525 + 1013904223;
	return *state >> 31 ? edges[(*state >> 8) % 14] : *state;
}

/* In a child; alarm() ends those that sleep. */
static void run_one(int number, uint32_t seed, const unsigned long *same)
{
	unsigned long a[6];

	for (int i = 0; i < 6; i++)
		a[i] = same ? *same : noise(&seed);
	call(number, a);
	_exit(0);
}

/* Returns 0 when the child is gone, however it went. */
static int try_call(int number, uint32_t seed, const unsigned long *same)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct itimerval soon = { { 0, 0 }, { 0, 200000 } };

		signal(SIGALRM, SIG_DFL);
		setitimer(ITIMER_REAL, &soon, NULL);
		run_one(number, seed, same);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid;
}

static void check_numbers(void)
{
	static const unsigned long patterns[] = { -1ul, USER_LAST + 1, 1, USER_LAST - 1 };
	int lost = 0;

	for (int n = 0; n < NR_CALLS; n++) {
		if (is_left_out(n))
			continue;
		for (unsigned p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++)
			lost += try_call(n, 0, &patterns[p]);
		lost += try_call(n, (uint32_t)n * 77 + 1, NULL);
	}
	CHECK("every number", lost == 0);
	CHECK("unknown number", syscall(1000) == -1 && errno == ENOSYS);
	CHECK("negative number", syscall(-1) == -1 && errno == ENOSYS);
}

#define FAULTS(expression) CHECK(#expression, (expression) == -1 && errno == EFAULT)

static void check_pointers(void)
{
	char *const kernel = (char *)KERNEL_ADDRESS, *const nowhere = (char *)0x1000;
	int zero = open("/dev/zero", O_RDONLY), ends[2];
	char c, *stack = &c;

	if (pipe(ends) != 0)
		return;
	FAULTS(read(zero, kernel, 10));
	FAULTS(read(zero, nowhere, 10));
	FAULTS(syscall(SYS_write, ends[1], kernel, 10));
	FAULTS(open(nowhere, O_RDONLY));
	FAULTS(open(kernel, O_RDONLY));
	FAULTS(syscall(SYS_STAT, "/", kernel));
	FAULTS(syscall(SYS_uname, nowhere));
	FAULTS(syscall(SYS_pipe, kernel));
	FAULTS(syscall(SYS_gettimeofday, nowhere, 0));
	FAULTS(syscall(SYS_rt_sigaction, SIGUSR1, nowhere, NULL, 8));
	FAULTS(syscall(SYS_nanosleep, kernel, NULL));
	FAULTS(syscall(SYS_execve, "/bin/sh", nowhere, NULL));
	FAULTS(syscall(SYS_getrlimit, RLIMIT_STACK, kernel));
	FAULTS(readv(zero, (struct iovec *)nowhere, 1));
	FAULTS(syscall(SYS_poll, nowhere, 1, 0));
	CHECK("one good byte", read(zero, stack, 1) == 1);
	if (on_kmm()) {
		CHECK("across the end", read(zero, (char *)(USER_LAST - 3), 8) == -1 || errno == EFAULT);
		FAULTS(syscall(SYS_write, ends[1], (char *)USER_LAST, 2));
	}
	close(zero);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	int status;
	pid_t pid;

	check_pointers();
	if (on_kmm())
		check_numbers();
	pid = fork();
	if (pid == 0)
		_exit(42);
	CHECK("the machine goes on", waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 42);
	return sum();
}
