/* SPDX-License-Identifier: MIT */
/*
 * Programs that take all there is of one thing: processes that all fork, areas, page tables, memory. Each ends by an errno
 * or by being killed, and when it has ended the machine has room again. Ends with "N passed, N failed".
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, PAGES = 32, MOST_FORKS = 4000, FULL = 3 };

static int *forks; /* shared: tried by all together */

static void *map(size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* ---- processes ---- */

/* Every process forks, so they double until a fork fails. Where memory ends first, the ones that are killed make room for
 * more: so many are enough. */
__attribute__((noreturn)) static void fork_on(int tell)
{
	for (;;) {
		char *p = map(PAGES * PAGE, PROT_READ | PROT_WRITE);
		pid_t pid;

		for (int i = 0; p != MAP_FAILED && i < PAGES; i++)
			p[i * PAGE] = 1;
		pid = fork();
		if (pid < 0 || __atomic_add_fetch(forks, 1, __ATOMIC_RELAXED) >= MOST_FORKS)
			break;
	}
	while (write(tell, errno == EAGAIN || errno == ENOMEM ? "f" : "n", 1) == 1)
		pause();
	_exit(1);
}

/* Kills the group, and whoever was just being made. */
static void end_group(pid_t group)
{
	do
		kill(-group, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0);
}

static void fork_bomb(void)
{
	int ends[2];
	char how = 'k'; /* all were killed */
	ssize_t n;
	pid_t pid;

	if (pipe(ends) != 0)
		exit(2);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		close(ends[0]);
		fork_on(ends[1]);
	}
	CHECK("fork bomb starts", pid > 0);
	setpgid(pid, pid);
	close(ends[1]);
	do
		n = read(ends[0], &how, 1);
	while (n < 0 && errno == ENOMEM); /* none for the copy, either */
	end_group(pid);
	CHECK("fork bomb ends", n >= 0);
	CHECK("fork bomb ends", how == 'f' || how == 'n' || how == 'k');
	CHECK("many processes", *forks > 8);
	close(ends[0]);
}

/* ---- areas, tables, memory ---- */

/* Areas that cannot become one. */
static void area_bomb(void)
{
	int prot = PROT_READ;

	while (map(PAGE, prot) != MAP_FAILED)
		prot = PROT_READ | (PROT_WRITE ^ (prot & PROT_WRITE));
	_exit(errno == ENOMEM ? FULL : 1);
}

/* A page in every table. */
static void table_bomb(void)
{
	const size_t step = 2 << 20, len = (size_t)256 << 20;

	for (;;) {
		char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (p == MAP_FAILED)
			_exit(errno == ENOMEM ? FULL : 1);
		for (size_t i = 0; i < len; i += step)
			p[i] = 1;
	}
}

/* The areas that a munmap leaves where it cuts. */
static void cut_bomb(void)
{
	const size_t len = (size_t)600 << 20;
	char *p = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (size_t i = PAGE; p != MAP_FAILED && i < len; i += 2 * PAGE)
		if (munmap(p + i, PAGE) != 0)
			_exit(errno == ENOMEM ? FULL : 1);
	_exit(1);
}

static void memory_bomb(void)
{
	for (;;) {
		char *p = map(1 << 20, PROT_READ | PROT_WRITE);

		if (p == MAP_FAILED)
			_exit(errno == ENOMEM ? FULL : 1);
		for (int i = 0; i < 1 << 20; i += PAGE)
			p[i] = 1;
	}
}

/* ---- all ---- */

static void there_is_room(const char *after)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		char *p = map(1 << 20, PROT_READ | PROT_WRITE);

		for (int i = 0; p != MAP_FAILED && i < 1 << 20; i += PAGE)
			p[i] = 1;
		_exit(p != MAP_FAILED ? 7 : 8);
	}
	CHECK(after, waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void in_child(const char *name, void (*bomb)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		bomb();
	CHECK(name, waitpid(pid, &status, 0) == pid);
	CHECK(name, WIFEXITED(status) ? WEXITSTATUS(status) == FULL : WTERMSIG(status) == SIGKILL);
	there_is_room(name);
}

int main(void)
{
	forks = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (forks == MAP_FAILED)
		return 2;
	for (int round = 0; round < 2; round++) {
		*forks = 0;
		fork_bomb();
		there_is_room("fork bomb");
		in_child("area bomb", area_bomb);
		in_child("cut bomb", cut_bomb);
		in_child("table bomb", table_bomb);
		in_child("memory bomb", memory_bomb);
	}
	return sum();
}
