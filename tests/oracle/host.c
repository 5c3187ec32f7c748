/* SPDX-License-Identifier: MIT */
/* host.c - see host.h. */
#include "oracle/host.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000 };

/* Stacks and limits as a login gives them, no randomisation, a process group to be killed as one. One processor: Linux keeps
 * pages that are new to its lists in a batch for each, and advice finds those of its own only. */
static void become(struct host *h, int in, int out)
{
	const struct rlimit stack = { 8 << 20, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY }, locked = { 8 << 20, RLIM_INFINITY }, no_core = { 0, 0 };
	cpu_set_t one;
	char fd[16];

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	snprintf(fd, sizeof(fd), "%d", dup(h->memory));
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0)
		_exit(4);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_STACK, &stack);
	setrlimit(RLIMIT_MEMLOCK, &locked);
	setrlimit(RLIMIT_AS, &none);
	setrlimit(RLIMIT_DATA, &none);
	setrlimit(RLIMIT_CORE, &no_core);
	if (personality(ADDR_NO_RANDOMIZE) < 0)
		_exit(4);
	execl(h->program, h->program, "host", fd, (char *)NULL);
	_exit(4);
}

static bool wait_for_byte(struct host *h)
{
	struct pollfd p = { h->from, POLLIN, 0 };
	char byte;

	return poll(&p, 1, PATIENCE_MS) == 1 && read(h->from, &byte, 1) == 1;
}

static bool launch(struct host *h)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return false;
	fflush(stdout);
	h->pid = fork();
	if (h->pid < 0)
		return false;
	if (h->pid == 0)
		become(h, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	h->to = in[1];
	h->from = out[0];
	return wait_for_byte(h);
}

static void end_child(struct host *h)
{
	kill(-h->pid, SIGKILL);
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
	close(h->to);
	close(h->from);
}

bool host_start(struct host *h, const char *program)
{
	h->program = program;
	signal(SIGPIPE, SIG_IGN);
	h->memory = memfd_create("oracle-shared", MFD_CLOEXEC);
	if (h->memory < 0 || ftruncate(h->memory, sizeof(struct shared)))
		return false;
	h->shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, h->memory, 0);
	return h->shared != MAP_FAILED && launch(h);
}

void host_stop(struct host *h)
{
	end_child(h);
	munmap(h->shared, sizeof(struct shared));
	close(h->memory);
}

bool host_run(struct host *h, const struct step *steps, unsigned nr)
{
	memcpy(h->shared->steps, steps, nr * sizeof(*steps));
	memset(h->shared->answers, 0, nr * sizeof(h->shared->answers[0]));
	h->shared->nr = nr;
	if (write(h->to, "", 1) == 1 && wait_for_byte(h))
		return true;
	end_child(h);
	memset(h->shared, 0, sizeof(*h->shared));
	if (!launch(h)) {
		fprintf(stderr, "oracle: the native program does not start again\n");
		_exit(2);
	}
	return false;
}
