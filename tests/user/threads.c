/* SPDX-License-Identifier: MIT */
/*
 * Threads of the C library: mutex, condition, thread-local memory, exit of one and of all; and what several do to their
 * one address space at the same time (space_ops.h).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "space_ops.h"

enum { NR_THREADS = 4, ROUNDS = 20000, STEPS = 150 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static int total, whose;
static __thread int mine;

static void *add(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&lock);
		total++;
		pthread_mutex_unlock(&lock);
		mine++;
	}
	return mine == ROUNDS ? arg : NULL;
}

static void *take_turns(void *arg)
{
	int me = *(int *)arg;

	for (int i = 0; i < 50; i++) {
		pthread_mutex_lock(&lock);
		while (whose != me)
			pthread_cond_wait(&turn, &lock);
		whose = (whose + 1) % NR_THREADS;
		pthread_cond_broadcast(&turn);
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void run(void *(*work)(void *), const char *what)
{
	pthread_t thread[NR_THREADS];
	int number[NR_THREADS];
	void *result;

	for (int i = 0; i < NR_THREADS; i++) {
		number[i] = i;
		CHECK(what, pthread_create(&thread[i], NULL, work, &number[i]) == 0);
	}
	for (int i = 0; i < NR_THREADS; i++) {
		CHECK(what, pthread_join(thread[i], &result) == 0);
		CHECK(what, result == &number[i]);
	}
}

static void *spin(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void check_exit_of_all(void)
{
	pthread_t thread;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 3; i++)
			pthread_create(&thread, NULL, spin, NULL);
		exit(5);
	}
	CHECK("exit_group", waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

static void check_kill_of_all(void)
{
	pthread_t thread;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 3; i++)
			pthread_create(&thread, NULL, spin, NULL);
		pause();
	}
	usleep(50000);
	kill(pid, SIGTERM);
	CHECK("kill", waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void *exec_other(void *arg)
{
	char *const argv[] = { "sh", "-c", "exit 6", NULL };

	execv("/bin/sh", argv);
	return arg;
}

static void check_exec(void)
{
	pthread_t thread;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		pthread_create(&thread, NULL, spin, NULL);
		pthread_create(&thread, NULL, exec_other, NULL);
		pause();
	}
	CHECK("exec", waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 6);
}

static void *change_space(void *arg)
{
	unsigned number = (unsigned)*(int *)arg;
	uint32_t random = 4711 + number;

	for (int i = 0; i < STEPS; i++)
		space_step(number, &random);
	return arg;
}

static atomic_bool taken_often;

/* The first takes rights and pages away, the others use what is there as fast as they can. */
static void *take_away(void *arg)
{
	unsigned number = (unsigned)*(int *)arg;
	uint32_t random = 815 + number;

	for (int i = 0; number == 0 && i < STEPS; i++) {
		revoke_take();
		replace_page((unsigned)i % 3);
	}
	if (number == 0)
		atomic_store(&taken_often, true);
	while (!atomic_load(&taken_often)) {
		revoke_write(&random);
		replace_read();
	}
	return arg;
}

static void check_space(void)
{
	space_open();
	run(change_space, "one space");
	run(take_away, "taken away");
	CHECK("one space", atomic_load(&space_errors) == 0);
	space_close();
}

/* Where a thread may run, and where it does. */
static void check_processors(void)
{
	unsigned long old = 0, one = 1, now = 0;
	unsigned cpu = 99;
	long size = syscall(SYS_sched_getaffinity, 0, sizeof(old), &old);

	CHECK("affinity", size > 0 && (old & 1));
	CHECK("affinity", syscall(SYS_sched_setaffinity, 0, sizeof(one), &one) == 0);
	CHECK("affinity", syscall(SYS_getcpu, &cpu, NULL, NULL) == 0 && cpu == 0);
	CHECK("affinity", syscall(SYS_sched_getaffinity, 0, sizeof(now), &now) == size && now == 1);
	one = 0;
	CHECK("affinity", syscall(SYS_sched_setaffinity, 0, sizeof(one), &one) == -1 && errno == EINVAL);
	CHECK("affinity", syscall(SYS_sched_setaffinity, 0, sizeof(old), &old) == 0);
	for (unsigned i = 0; i < 8 * sizeof(old); i++) {
		one = old & 1ul << i;
		if (one && syscall(SYS_sched_setaffinity, 0, sizeof(one), &one) == 0)
			CHECK("affinity", syscall(SYS_getcpu, &cpu, NULL, NULL) == 0 && cpu == i);
	}
	syscall(SYS_sched_setaffinity, 0, sizeof(old), &old);
}

int main(void)
{
	run(add, "mutex");
	CHECK("mutex", total == NR_THREADS * ROUNDS && mine == 0);
	run(take_turns, "condition");
	check_exit_of_all();
	check_kill_of_all();
	check_exec();
	check_processors();
	check_space();
	return sum();
}
