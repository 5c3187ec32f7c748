/* SPDX-License-Identifier: MIT */
/*
 * Page faults of several at once: threads in one address space, and as many processes. Each touches its own part of
 * memory; measured is from the start of all to the end of all.
 *
 * Two figures: instructions per fault of all processors together (the clock of "-icount" counts each of them; waiting
 * that spins is in it, processors that halt are not), and faults per second of the guest's own clock. The second is
 * time only where QEMU runs a thread per processor and the host has as many; under "-icount" it is the first again.
 */
#include "versus.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { EACH_PAGES = 2048, ROUNDS = 3, MOST = 16 };
#define EACH_BYTES ((size_t)EACH_PAGES * PAGE)

/* In memory that children share. */
struct start {
	pthread_barrier_t begin, end;
};
struct worker {
	struct start *start;
	char *at;
};

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *touch(void *arg)
{
	struct worker *w = arg;

	pthread_barrier_wait(&w->start->begin);
	write_all(w->at, EACH_PAGES, 14);
	pthread_barrier_wait(&w->start->end);
	return NULL;
}

/* Between the two barriers. */
static void measure(const struct start *s, double *per_second, int n)
{
	double from = seconds(), took;
	uint64_t t = ticks();

	pthread_barrier_wait((pthread_barrier_t *)&s->begin);
	pthread_barrier_wait((pthread_barrier_t *)&s->end);
	add(ticks() - t);
	took = seconds() - from;
	if (took > 0 && (double)n * EACH_PAGES / took > *per_second)
		*per_second = (double)n * EACH_PAGES / took;
}

static struct start *make_start(int n)
{
	struct start *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_barrierattr_t attr;

	if (s == MAP_FAILED || pthread_barrierattr_init(&attr) != 0)
		die("no shared memory");
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (pthread_barrier_init(&s->begin, &attr, (unsigned)n + 1) || pthread_barrier_init(&s->end, &attr, (unsigned)n + 1))
		die("no barrier");
	return s;
}

static void results(const char *kind, int n, double per_second)
{
	char name[64];

	snprintf(name, sizeof(name), "faults-%s-%d", kind, n);
	print_per(name, (double)n * EACH_PAGES);
	snprintf(name, sizeof(name), "faults-%s-%d-rate", kind, n);
	print_value(name, "1/s", per_second);
}

static void threads(int n)
{
	double per_second = 0;
	pthread_t thread[MOST];
	struct worker worker[MOST];
	struct start *s = make_start(n);

	reset();
	for (int round = 0; round < ROUNDS; round++) {
		char *p = map((size_t)n * EACH_BYTES);
		long faults = faults_so_far();

		for (int i = 0; i < n; i++) {
			worker[i] = (struct worker){ s, p + (size_t)i * EACH_BYTES };
			if (pthread_create(&thread[i], NULL, touch, &worker[i]) != 0)
				die("pthread_create");
		}
		measure(s, &per_second, n);
		for (int i = 0; i < n; i++)
			pthread_join(thread[i], NULL);
		faults = faults_so_far() - faults;
		check(faults >= (long)n * EACH_PAGES, "%d threads: %ld faults", n, faults);
		check(filled(p, (long)n * EACH_PAGES, 14), "%d threads: memory holds something else", n);
		unmap(p, (size_t)n * EACH_BYTES);
	}
	results("threads", n, per_second);
	unmap(s, PAGE);
}

__attribute__((noreturn)) static void child(struct start *s)
{
	struct worker w = { s, map(EACH_BYTES) };
	long faults = faults_so_far();

	touch(&w);
	faults = faults_so_far() - faults;
	syscall(SYS_exit_group, filled(w.at, EACH_PAGES, 14) && faults >= EACH_PAGES ? 0 : 1);
	__builtin_unreachable();
}

static void processes(int n)
{
	double per_second = 0;
	struct start *s = make_start(n);
	long pid[MOST];

	reset();
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < n; i++) {
			pid[i] = do_fork();
			if (pid[i] == 0)
				child(s);
		}
		measure(s, &per_second, n);
		for (int i = 0; i < n; i++)
			wait_for(pid[i], 0);
	}
	results("processes", n, per_second);
	unmap(s, PAGE);
}

void run_scale(int most)
{
	print_value("processors", "count", (double)sysconf(_SC_NPROCESSORS_ONLN));
	for (int n = 1; n <= most && n <= MOST; n *= 2) {
		threads(n);
		processes(n);
	}
}
