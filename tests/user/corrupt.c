/* SPDX-License-Identifier: MIT */
/*
 * A page table entry that is damaged under a running program: only in a debug kernel started with broken=entry, which
 * puts a reserved bit into the entry of each address written to /proc/kmm/explain. The program that touches it is killed,
 * its threads with it; others, whose memory it shares, go on. Ends with "N passed, N failed".
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, PAGES = 4 };

static void damage(void *at)
{
	char text[32];
	int fd = open("/proc/kmm/explain", O_WRONLY), n = snprintf(text, sizeof(text), "%lx", (unsigned long)(uintptr_t)at);

	if (fd < 0 || write(fd, text, (size_t)n) != n)
		_exit(2);
	close(fd);
}

static void ignored(int number) { (void)number; }

/* In a process of its own: damage the entry of p, touch p. Returns the signal that ended it, else -1 - its status. */
static int ends_by(volatile char *p, int write)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		for (int s = 1; s < 32; s++)
			signal(s, ignored); /* none of them helps */
		p[1] = 1;
		damage((void *)(uintptr_t)p);
		if (write)
			p[0] = 1;
		_exit(p[0]);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1 - WEXITSTATUS(status);
}

int main(void)
{
	char *own = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	memset(own, 7, PAGES * PAGE);
	shared[0] = 9;
	CHECK("a read", ends_by(own, 0) == SIGKILL);
	CHECK("a write", ends_by(own + PAGE, 1) == SIGKILL);
	CHECK("a shared page", ends_by(shared, 0) == SIGKILL);
	CHECK("what it shared is whole", shared[0] == 9 && shared[1] == 1);
	CHECK("what it had a copy of is whole", own[0] == 7 && own[1] == 7 && own[PAGE] == 7);
	return sum();
}
