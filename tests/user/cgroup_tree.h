/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing files of control groups, and children that live in them and do their work in two steps, between which the parent
 * looks. For programs that include it once.
 */
#ifndef TESTS_USER_CGROUP_TREE_H
#define TESTS_USER_CGROUP_TREE_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define ROOT "/sys/fs/cgroup"
enum { PAGE = 4096, MIB = 1 << 20, TEXT = 8192 };

/* ---- files ---- */

static const char *name_of(const char *group, const char *file)
{
	static char name[512];

	snprintf(name, sizeof(name), "%s/%s%s%s", ROOT, group, *group && *file ? "/" : "", file);
	return name;
}

/* The whole text, or "?" and errno. */
static const char *text_of(const char *name)
{
	static char text[TEXT];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return "?";
	text[n] = 0;
	return text;
}

static const char *get(const char *group, const char *file)
{
	return text_of(name_of(group, file));
}

static long long number(const char *group, const char *file)
{
	return atoll(get(group, file));
}

/* The number behind a word of a file of lines; -1: no such line. */
static long long line(const char *group, const char *file, const char *word)
{
	const char *at = get(group, file);

	for (; at && *at; at = strchr(at, '\n'), at += at != NULL)
		if (strncmp(at, word, strlen(word)) == 0 && at[strlen(word)] == ' ')
			return atoll(at + strlen(word) + 1);
	return -1;
}

/* 0, or the error. */
static int put(const char *group, const char *file, const char *text)
{
	int fd = open(name_of(group, file), O_WRONLY);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
	int err = n < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

static int put_pid(const char *group, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d\n", (int)pid);
	return put(group, "cgroup.procs", text);
}

static int make(const char *group)
{
	return mkdir(name_of(group, ""), 0755) == 0 ? 0 : errno;
}

static int drop(const char *group)
{
	return rmdir(name_of(group, "")) == 0 ? 0 : errno;
}

static int exists(const char *group, const char *file)
{
	return access(name_of(group, file), F_OK) == 0;
}

/* ---- children ---- */

/* Touches so many MiB; NULL: no addresses. */
static char *eat(int mib)
{
	char *p = mmap(NULL, (size_t)mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	for (long i = 0; i < (long)mib * MIB; i += PAGE)
		p[i] = (char)(1 + i / PAGE % 127); /* pages that are not alike */
	return p;
}

struct child {
	pid_t pid;
	int go, ready; /* pipes: a byte lets it go on; a byte says that it has done a step */
};

static void tell(int fd)
{
	char c = 'x';

	if (write(fd, &c, 1) != 1)
		_exit(99);
}

static int hear(int fd)
{
	char c;

	return read(fd, &c, 1) == 1;
}

/* A child in the group: does step 1, says so, waits, does step 2 and ends with what that returns. */
static struct child start(const char *group, int (*step1)(int), int arg1, int (*step2)(int), int arg2)
{
	struct child c;
	int go[2], ready[2];

	if (pipe(go) != 0 || pipe(ready) != 0)
		_exit(98);
	fflush(stdout);
	c.pid = fork();
	if (c.pid == 0) {
		close(go[1]);
		close(ready[0]);
		if (group && put(group, "cgroup.procs", "0") != 0)
			_exit(97);
		if (step1 && step1(arg1) != 0)
			_exit(96);
		tell(ready[1]);
		hear(go[0]);
		_exit(step2 ? step2(arg2) : 0);
	}
	close(go[0]);
	close(ready[1]);
	c.go = go[1];
	c.ready = ready[0];
	return c;
}

static int is_ready(const struct child *c)
{
	return hear(c->ready);
}

static void let_go_on(const struct child *c)
{
	tell(c->go);
}

static int end_of(struct child *c)
{
	int status = -1;

	if (write(c->go, "x", 1) != 1) /* others have the pipe too: closing it would not tell it anything */
		CHECK("the child is gone", errno == EPIPE);
	close(c->go);
	waitpid(c->pid, &status, 0);
	close(c->ready);
	return status;
}

static int was_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static int is_alive(const struct child *c)
{
	int status;

	return waitpid(c->pid, &status, WNOHANG) == 0;
}

static int step_eat(int mib)
{
	return eat(mib) ? 0 : 1;
}

#endif
