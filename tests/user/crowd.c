/* SPDX-License-Identifier: MIT */
/*
 * As many processes as there is room for. A leader forks until it cannot, or memory ends and it is killed; its children
 * hold pipes and dirty pages. Then the whole group is killed, and there must be room again.
 * Ends with "N passed, N failed".
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { MOST = 1500, PAGES = 48 }; /* each child holds more than the first process, which must not be who is killed */

static int *made; /* shared: processes the leader has made */

static void live(void)
{
	int ends[2];
	char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pipe(ends) == 0 && write(ends[1], "x", 1) == 1 && p != MAP_FAILED)
		for (int i = 0; i < PAGES; i++)
			p[i * 4096] = 1;
	for (;;)
		pause();
}

__attribute__((noreturn)) static void lead(int go)
{
	char c;

	setpgid(0, 0);
	if (read(go, &c, 1) != 1)
		_exit(1);
	for (*made = 0; *made < MOST; ++*made) {
		pid_t pid = fork();

		if (pid == 0)
			live();
		if (pid < 0)
			_exit(errno == ENOMEM || errno == EAGAIN ? 0 : 2);
	}
	_exit(0);
}

static int fill_and_empty(void)
{
	int ends[2], status = -1, gone;
	pid_t leader;

	if (pipe(ends) != 0)
		return 0;
	leader = fork();
	if (leader == 0)
		lead(ends[0]);
	/* Own pages first: nothing of ours may have to be copied while there is no memory. */
	CHECK("not yet", waitpid(leader, &status, WNOHANG) == 0);
	CHECK("go", write(ends[1], "x", 1) == 1);
	gone = waitpid(leader, &status, 0) == leader;
	kill(-leader, SIGKILL);
	close(ends[0]);
	close(ends[1]);
	CHECK("leader", gone && (status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)));
	usleep(100000);
	return *made;
}

int main(void)
{
	int first, again;

	made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*made = 0;
	first = fill_and_empty();
	again = fill_and_empty();
	CHECK("some room", first > 10);
	CHECK("room again", again >= first / 2);
	CHECK("nobody left", waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
	return sum();
}
