/* SPDX-License-Identifier: MIT */
/* Signals as programs use them: both frames, masks, restarts, timers, job control. Ends with "N passed, N failed". */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"

#ifdef __x86_64__
#define REG_ANY REG_RBX
#else
#define REG_ANY REG_EBX
#endif

static volatile int count, last_signal, last_pid;
static volatile double junk;

static void simple(int number)
{
	last_signal = number;
	count++;
	junk = junk * 1.5 + 2.5; /* uses the FPU: must not be seen outside */
}

static void detailed(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	last_signal = number;
	last_pid = (int)info->si_pid;
	uc->uc_mcontext.gregs[REG_ANY] = uc->uc_mcontext.gregs[REG_ANY]; /* readable and writable */
	count++;
}

static void set_handler(int number, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_flags = flags };

	action.sa_handler = handler;
	sigaction(number, &action, NULL);
}

static void check_frames(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };
	double before = 1.0 / 3.0;

	set_handler(SIGUSR1, simple, 0);
	for (int i = 0; i < 100; i++) {
		double x = before * i;

		raise(SIGUSR1);
		CHECK("fpu across a handler", x == before * i);
	}
	CHECK("classic frame", count == 100 && last_signal == SIGUSR1);
	action.sa_sigaction = detailed;
	sigaction(SIGUSR2, &action, NULL);
	kill(getpid(), SIGUSR2);
	CHECK("rt frame", count == 101 && last_signal == SIGUSR2 && last_pid == getpid());
}

static void check_masks(void)
{
	sigset_t set, old, pending;

	count = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK("blocked", count == 0);
	sigpending(&pending);
	CHECK("pending", sigismember(&pending, SIGUSR1) && !sigismember(&pending, SIGUSR2));
	CHECK("sigsuspend", sigsuspend(&old) == -1 && errno == EINTR);
	CHECK("one of two", count == 1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK("none left", count == 1);
	signal(SIGUSR2, SIG_IGN);
	raise(SIGUSR2);
	CHECK("ignored", count == 1);
}

static void tick(int number)
{
	(void)number;
	count++;
}

static void start_timer(int ms)
{
	struct itimerval t = { { 0, 0 }, { 0, ms * 1000 } };

	setitimer(ITIMER_REAL, &t, NULL);
}

static void check_restart(void)
{
	int ends[2], status;
	char c;
	pid_t pid;

	if (pipe(ends) != 0)
		return;
	count = 0;
	set_handler(SIGALRM, tick, 0);
	start_timer(50);
	CHECK("EINTR", read(ends[0], &c, 1) == -1 && errno == EINTR && count == 1);
	set_handler(SIGALRM, tick, SA_RESTART);
	pid = fork();
	if (pid == 0) {
		usleep(150000);
		_exit(write(ends[1], "x", 1) != 1);
	}
	start_timer(50);
	CHECK("SA_RESTART", read(ends[0], &c, 1) == 1 && c == 'x' && count == 2);
	CHECK("child", waitpid(pid, &status, 0) == pid && status == 0);
	close(ends[0]);
	close(ends[1]);
}

static void check_sleep(void)
{
	struct timespec want = { 0, 300000000 }, left = { 0, 0 }, start, end;

	set_handler(SIGALRM, tick, SA_RESTART);
	start_timer(50);
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK("nanosleep is not restarted", nanosleep(&want, &left) == -1 && errno == EINTR);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK("time left", left.tv_sec == 0 && left.tv_nsec > 100000000 && left.tv_nsec < 300000000);
	CHECK("clock", end.tv_sec > start.tv_sec || end.tv_nsec > start.tv_nsec);
}

static void check_stop(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		raise(SIGSTOP);
		_exit(9);
	}
	CHECK("stopped", waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK("nothing new", waitpid(pid, &status, WUNTRACED | WNOHANG) == 0);
	kill(pid, SIGCONT);
	CHECK("continued", waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	CHECK("ended", waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 9);
	CHECK("no more children", waitpid(-1, &status, 0) == -1 && errno == ECHILD);
}

static void check_child_signal(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART };
	int status;
	pid_t pid;

	count = last_pid = 0;
	action.sa_sigaction = detailed;
	sigaction(SIGCHLD, &action, NULL);
	pid = fork();
	if (pid == 0)
		_exit(3);
	CHECK("wait", waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
	CHECK("SIGCHLD", count == 1 && last_signal == SIGCHLD && last_pid == pid);
	signal(SIGCHLD, SIG_IGN);
	pid = fork();
	if (pid == 0)
		_exit(0);
	CHECK("nobody to wait for", waitpid(pid, &status, 0) == -1 && errno == ECHILD);
	signal(SIGCHLD, SIG_DFL);
}

static void check_pipe_signal(void)
{
	int ends[2], status;
	pid_t pid;

	if (pipe(ends) != 0)
		return;
	close(ends[0]); /* before there is a child, so that nobody can read when it writes */
	pid = fork();
	if (pid == 0)
		_exit(write(ends[1], "x", 1) >= 0);
	close(ends[1]);
	waitpid(pid, &status, 0);
	CHECK("SIGPIPE needs the last reader gone", WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

/* The return from a handler with the stack pointer anywhere; classic: the older call, where there is one. */
#ifdef __x86_64__
static void sigreturn_at(char *at, int classic)
{
	(void)classic;
	__asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall" : : "r"(at) : "memory");
}
static void push_at(char *at) { __asm__ volatile("mov %0, %%rsp; push %%rax" : : "r"(at) : "memory"); }
#else
static void sigreturn_at(char *at, int classic)
{
	__asm__ volatile("mov %0, %%esp; int $0x80" : : "r"(at), "a"(classic ? 119 : 173) : "memory");
}
static void push_at(char *at) { __asm__ volatile("mov %0, %%esp; push %%eax" : : "r"(at) : "memory"); }
#endif

static void check_bad_return(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) { /* a frame nobody made, at an address that is not there */
		sigreturn_at((char *)0x1000, 1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CHECK("bad sigreturn", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	pid = fork();
	if (pid == 0) { /* a frame of ones: segments, flags and instruction pointer of the program's choice */
		static char ones[1024];

		memset(ones, 0xff, sizeof(ones));
		sigreturn_at(ones + 512, 0);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CHECK("hostile sigreturn", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void check_no_stack(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) { /* the handler's frame has no place to go */
		set_handler(SIGSEGV, simple, 0);
		push_at((char *)0x2000);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CHECK("no stack for a frame", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* What a frame takes is between the least that holds the registers and what no processor needs; a handler runs on an
 * alternate stack that has that and a little for itself, down to the last page. */
static void check_least_stack(void)
{
	size_t least = getauxval(51 /* AT_MINSIGSTKSZ */), size = least + 2048;
	stack_t stack = { .ss_sp = malloc(size), .ss_size = size }, none = { .ss_flags = SS_DISABLE };

	CHECK("least stack", least > 900 && least < 65536);
	CHECK("least stack", sigaltstack(&stack, NULL) == 0);
	set_handler(SIGUSR1, simple, SA_ONSTACK);
	count = 0;
	raise(SIGUSR1);
	CHECK("least stack", count == 1 && sigaltstack(&none, NULL) == 0);
	count = 0;
	set_handler(SIGUSR1, SIG_DFL, 0);
}

int main(void)
{
	check_least_stack();
	check_frames();
	check_masks();
	check_restart();
	check_sleep();
	check_stop();
	check_child_signal();
	check_pipe_signal();
	check_bad_return();
	check_no_stack();
	return sum();
}
