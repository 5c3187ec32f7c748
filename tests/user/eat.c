/* SPDX-License-Identifier: MIT */
/* Takes all memory. A child does it first and must be killed, then the parent goes on as if nothing had happened. */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { STEP = 1 << 20 };

__attribute__((noreturn)) static void eat(void)
{
	for (;;) {
		char *p = mmap(NULL, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED) { /* out of addresses before out of memory */
			_exit(1);
		}
		for (int i = 0; i < STEP; i += 4096)
			p[i] = 1;
	}
}

int main(void)
{
	int status = 0;
	pid_t pid;

	for (int round = 0; round < 3; round++) {
		pid = fork();
		CHECK("fork", pid >= 0);
		if (pid == 0)
			eat();
		CHECK("wait", waitpid(pid, &status, 0) == pid);
		CHECK("killed", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	pid = fork();
	if (pid == 0)
		_exit(malloc(STEP) ? 7 : 8);
	CHECK("memory is back", waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
	return sum();
}
