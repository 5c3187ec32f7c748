/* SPDX-License-Identifier: MIT */
/*
 * Everything at once for a set time: several processes, each with several threads that change their space and check it
 * (space_ops.h), fork in the middle of it, and now and then are killed in the middle of it.
 *
 * usage: stress [SECONDS [PROCESSES [SEED]]]     default 10 s, 2 processes
 *
 *   main      keeps PROCESSES workers alive; kills one now and then
 *   worker    NR_THREADS threads; the last one also forks: a child checks what it got, changes it, and ends by itself or is
 *             killed; the parent's copy must not have changed. All workers add to one shared page with atomic
 *             instructions; nothing may be lost.
 * Ends with "N passed, N failed".
 */
#include <errno.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"
#include "space_ops.h"

enum { NR_THREADS = 3, MAX_WORKERS = 16, FORK_PAGES = 24, ADDS = 500 };

/* Shared by all processes. */
static struct shared {
	atomic_uint counter, added; /* must be equal when nobody was killed between the two */
	atomic_uint in_flight;      /* additions that a killed worker did not finish may be missing by this much */
	atomic_uint errors, steps, forks, kills;
} *shared;

static time_t end;

static time_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* ---- workers ---- */

static void child(uint32_t *pages, uint32_t value, uint32_t *random)
{
	atomic_store(&space_errors, 0);
	expect("inherited", pages, FORK_PAGES, value, 0);
	stamp(pages, FORK_PAGES, value + 77);
	expect("own copy", pages, FORK_PAGES, value + 77, 0);
	for (int i = 0; i < 4; i++)
		own_pages(random);
	atomic_fetch_add(&shared->errors, atomic_load(&space_errors));
	if (random_next(random) % 3 == 0)
		pause();
	_exit(33);
}

static void fork_once(uint32_t *random)
{
	size_t bytes = FORK_PAGES * PAGE;
	uint32_t value = random_next(random) & 0xffffff;
	uint32_t *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t pid;

	if (pages == MAP_FAILED)
		return;
	stamp(pages, FORK_PAGES, value);
	pid = fork();
	if (pid == 0)
		child(pages, value, random);
	if (pid > 0) {
		for (int i = 0; i < 3; i++)
			own_pages(random);
		expect("after fork", pages, FORK_PAGES, value, 0);
		stamp(pages, FORK_PAGES, value + 5);
		if (random_next(random) % 2 == 0)
			kill(pid, SIGKILL);
		else
			kill(pid, SIGCONT); /* nothing happens */
		usleep(1000);
		kill(pid, SIGTERM);
		if (waitpid(pid, &status, 0) != pid)
			space_error("waitpid", (unsigned long)pid, (unsigned long)errno);
		else if (WIFEXITED(status) && WEXITSTATUS(status) != 33)
			space_error("a child's status", (unsigned long)status, 0);
		expect("after the child", pages, FORK_PAGES, value + 5, 0);
		atomic_fetch_add(&shared->forks, 1);
	} else if (errno != ENOMEM && errno != EAGAIN) {
		space_error("fork", (unsigned long)errno, 0);
	}
	munmap(pages, bytes);
}

static void add_shared(void)
{
	atomic_fetch_add(&shared->in_flight, ADDS);
	for (int i = 0; i < ADDS; i++)
		atomic_fetch_add(&shared->counter, 1);
	atomic_fetch_add(&shared->added, ADDS);
	atomic_fetch_sub(&shared->in_flight, ADDS);
}

static uint32_t worker_seed;

static void *work(void *arg)
{
	unsigned number = (unsigned)(uintptr_t)arg;
	uint32_t random = worker_seed * 31 + number + 1;

	while (now_s() < end && !atomic_load(&space_errors)) {
		for (int i = 0; i < 4; i++)
			space_step(number, &random);
		if (number == NR_THREADS - 1)
			fork_once(&random);
		add_shared();
		atomic_fetch_add(&shared->steps, 4);
	}
	return NULL;
}

static void worker(uint32_t seed)
{
	pthread_t thread[NR_THREADS];

	worker_seed = seed;
	space_open();
	for (unsigned i = 0; i < NR_THREADS; i++)
		if (pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)i) != 0)
			_exit(96);
	for (unsigned i = 0; i < NR_THREADS; i++)
		pthread_join(thread[i], NULL);
	space_close();
	fflush(stdout);
	atomic_fetch_add(&shared->errors, atomic_load(&space_errors));
	_exit(atomic_load(&space_errors) != 0);
}

/* ---- main ---- */

static pid_t start(uint32_t seed)
{
	pid_t pid = fork();

	if (pid == 0)
		worker(seed);
	return pid;
}

/* A worker's children that it did not wait for go to the kernel, and end by themselves. */
static void supervise(pid_t pid[], unsigned nr, uint32_t *random)
{
	while (now_s() < end) {
		unsigned victim = random_next(random) % nr;
		int status;

		usleep(150000);
		if (random_next(random) % 4)
			continue;
		kill(pid[victim], SIGKILL);
		if (waitpid(pid[victim], &status, 0) == pid[victim])
			CHECK("a killed worker", WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		atomic_fetch_add(&shared->kills, 1);
		pid[victim] = start(random_next(random));
	}
}

int main(int argc, char **argv)
{
	unsigned nr = argc > 2 ? (unsigned)atoi(argv[2]) : 2;
	uint32_t random = argc > 3 ? (uint32_t)atoi(argv[3]) | 1 : 12345, lost;
	pid_t pid[MAX_WORKERS];

	end = now_s() + (argc > 1 ? atoi(argv[1]) : 10);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (nr < 1 || nr > MAX_WORKERS || shared == MAP_FAILED)
		return 2;
	for (unsigned i = 0; i < nr; i++)
		pid[i] = start(random_next(&random));
	supervise(pid, nr, &random);
	for (unsigned i = 0; i < nr; i++) {
		int status = -1;

		CHECK("a worker", waitpid(pid[i], &status, 0) == pid[i] && status == 0);
	}
	lost = atomic_load(&shared->counter) - atomic_load(&shared->added);
	CHECK("additions", lost <= atomic_load(&shared->in_flight));
	CHECK("contents", atomic_load(&shared->errors) == 0);
	CHECK("progress", atomic_load(&shared->steps) > 0 && atomic_load(&shared->forks) > 0);
	printf("%u steps, %u forks, %u killed\n", atomic_load(&shared->steps), atomic_load(&shared->forks),
	       atomic_load(&shared->kills));
	return sum();
}
