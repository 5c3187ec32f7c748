/* SPDX-License-Identifier: MIT */
/*
 * A page table entry that is damaged under a running program: only in a debug kernel started with broken=entry, which
 * puts a reserved bit into an entry of each address written to /proc/kmm/explain, at the level that its low bits say. The
 * program that touches it, or has the kernel touch it, is killed, its threads with it; others, whose memory it shares, go on.
 * What the kernel copies until then it refuses. Ends with "N passed, N failed".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* The levels below the one that a processor reads all the time, or with PAE when a space is loaded. */
enum { PAGE = 4096, PAGES = 4, LEVELS = sizeof(void *) == 8 ? 4 : 2 };
enum touch { READ, WRITE, FROM, TO, STRING, FUTEX, NR_TOUCHES };

static const char *const touch_names[NR_TOUCHES] = { "read", "write", "copy from", "copy to", "string from", "futex" };

/* Far from all else, so that even an entry of the topmost table serves this memory alone. */
static char *far_away(void)
{
	void *at = (void *)(sizeof(void *) == 8 ? (uintptr_t)(1ull << 44) : (uintptr_t)0x50000000u);

	return mmap(at, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

static void damage(const char *at, unsigned level)
{
	char text[32];
	int fd = open("/proc/kmm/explain", O_WRONLY);
	int n = snprintf(text, sizeof(text), "%lx", (unsigned long)(uintptr_t)at | level);

	if (fd < 0 || write(fd, text, (size_t)n) != n)
		_exit(2);
	close(fd);
}

static void ignored(int number) { (void)number; }

/* What must not be survived; should the kernel's copy succeed, or be refused without an end, the status tells. */
static int touch(volatile char *p, enum touch how, int pipes[2])
{
	char *at = (char *)(uintptr_t)p;
	uint32_t word = 0;

	switch (how) {
	case READ: return p[0];
	case WRITE: return p[0] = 1;
	case FROM: return (int)write(pipes[1], at, 1);
	case TO: return (int)read(pipes[0], at, 1);
	case STRING: return open(at, O_RDONLY);
	case FUTEX: return (int)syscall(SYS_futex, &word, FUTEX_WAKE_OP, 0, NULL, at, FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0));
	case NR_TOUCHES: break;
	}
	return 0;
}

/* Returns the signal that ended the process, else -1 - its status. */
static int end_of(pid_t pid)
{
	int status = 0;

	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1 - WEXITSTATUS(status);
}

/* In a process of its own: damage the entry of p at the level, touch p. */
static int ends_by(char *p, unsigned level, enum touch how)
{
	int pipes[2];
	pid_t pid;

	if (pipe(pipes) != 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		for (int s = 1; s < 32; s++)
			signal(s, ignored); /* none of them helps */
		((volatile char *)p)[1] = 1;
		if (write(pipes[1], "x", 1) != 1)
			_exit(2);
		damage(p, level);
		_exit(touch(p, how, pipes) & 0x7f);
	}
	close(pipes[0]);
	close(pipes[1]);
	return end_of(pid);
}

/* Somebody else's copy from the damaged space is refused, and ends who has it. */
static int ends_by_others(char *p, unsigned level)
{
	struct iovec here = { (char[1]){ 0 }, 1 }, there = { p, 1 };
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready) != 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		p[1] = 1;
		damage(p, level);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(2);
	}
	if (read(ready[0], &byte, 1) != 1)
		return 0;
	errno = 0;
	CHECK("refused", process_vm_readv(pid, &here, 1, &there, 1, 0) == -1 && errno == EFAULT);
	close(ready[0]);
	close(ready[1]);
	return end_of(pid);
}

static void all_touches(char *p, unsigned level)
{
	for (int how = 0; how < NR_TOUCHES; how++) {
		int end = ends_by(p, level, (enum touch)how);

		if (end != SIGKILL)
			printf("%s, level %u: ended by %d\n", touch_names[how], level, end);
		CHECK("touched", end == SIGKILL);
	}
	CHECK("by others", ends_by_others(p, level) == SIGKILL);
}

int main(void)
{
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *own = far_away();

	if (own == MAP_FAILED || shared == MAP_FAILED)
		return 2;
	memset(own, 7, PAGES * PAGE);
	shared[0] = 9;
	for (unsigned level = 0; level < LEVELS; level++)
		all_touches(own + PAGE, level);
	CHECK("a shared page", ends_by(shared, 0, READ) == SIGKILL);
	CHECK("what it shared is whole", shared[0] == 9 && shared[1] == 1);
	CHECK("what it had a copy of is whole", own[0] == 7 && own[PAGE] == 7 && own[PAGE + 1] == 7);
	return sum();
}
