/* SPDX-License-Identifier: MIT */
/*
 * First writes of several threads at once, each on a CPU of its own of one machine: all in one space, or each in a space
 * of its own. Every thread touches its own part of memory. The figure is the processor time of a thread for one of its
 * faults, mean of all: where it stays as with one thread, n processors take n times as many faults in a second. Waiting
 * for a lock by spinning is in it; time without a processor of the host is not, so more threads than the host has
 * processors say nothing about spinning.
 */
#include "common/bench.h"
#include "common/machine.h"
#include "kmm/mm.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

enum { MOST = 4, EACH_PAGES = 2048, ROUNDS = 4 };

struct worker {
	unsigned cpu, nr;     /* this thread's CPU; threads in all */
	struct kmm_mm *mm;
	atomic_uint *arrived; /* counts threads at all meeting points together */
	uint64_t nr_pages, spent;
};

static struct hosted_machine *machine;

static void must(enum kmm_status status, const char *what)
{
	if (status != KMM_OK)
		bench_die("%s: %s", what, kmm_status_name(status));
}

/* Returns when all have come here for the time-th time. */
static void meet(struct worker *w, unsigned time)
{
	atomic_fetch_add(w->arrived, 1);
	while (atomic_load(w->arrived) < time * w->nr)
		sched_yield();
}

static uint64_t touch(struct worker *w, struct kmm_uva at)
{
	struct kmm_fault_info info = { .access = KMM_WRITE };
	uint64_t t = bench_now_ns();

	for (uint64_t i = 0; i < w->nr_pages; i++) {
		info.addr = kmm_uva(at.v + i * KMM_PAGE_SIZE);
		if (kmm_handle_fault(w->mm, &info) != KMM_FAULT_OK)
			bench_die("fault at page %llu refused", (unsigned long long)i);
	}
	return bench_now_ns() - t;
}

/* The areas are made and unmapped between the stretches that are measured. */
static void *work(void *arg)
{
	struct worker *w = arg;
	const uint64_t bytes = w->nr_pages * KMM_PAGE_SIZE;
	struct kmm_uva at;

	hosted_set_cpu(w->cpu);
	hosted_run_space(machine, w->mm);
	for (unsigned round = 0; round < ROUNDS; round++) {
		must(kmm_mmap(w->mm, kmm_uva(0), bytes, KMM_PROT_READ | KMM_PROT_WRITE, KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS, NULL,
			      0, &at), "kmm_mmap");
		meet(w, 2 * round + 1);
		w->spent += touch(w, at);
		meet(w, 2 * round + 2);
		must(kmm_munmap(w->mm, at, bytes), "kmm_munmap");
	}
	hosted_run_space(machine, NULL);
	return NULL;
}

/* ns of a thread for a fault. */
static double together(const struct bench_options *options, unsigned nr, bool one_space)
{
	struct worker worker[MOST] = { { .cpu = 0 } };
	pthread_t thread[MOST];
	atomic_uint arrived = 0;
	struct kmm_mm *mm[MOST];
	uint64_t spent = 0;

	for (unsigned i = 0; i < nr; i++) {
		if (i == 0 || !one_space)
			must(kmm_mm_create(hosted_kmm(machine), &mm[i]), "kmm_mm_create");
		worker[i] = (struct worker){ .cpu = i, .nr = nr, .mm = mm[one_space ? 0 : i], .arrived = &arrived,
					     .nr_pages = bench_scale(options, EACH_PAGES, 64) };
	}
	for (unsigned i = 0; i < nr; i++)
		if (pthread_create(&thread[i], NULL, work, &worker[i]) != 0)
			bench_die("cannot make a thread");
	for (unsigned i = 0; i < nr; i++) {
		pthread_join(thread[i], NULL);
		spent += worker[i].spent;
	}
	for (unsigned i = 0; i < (one_space ? 1 : nr); i++)
		hosted_put_space(machine, mm[i]);
	return (double)spent / (double)nr / ROUNDS / (double)worker[0].nr_pages;
}

static void measure(const struct bench_options *options, unsigned nr, bool one_space)
{
	struct bench_samples samples = { .nr = 0 };
	char name[64];

	snprintf(name, sizeof(name), "scale.%s-%u", one_space ? "threads" : "spaces", nr);
	if (!bench_wants(options, name))
		return;
	together(options, nr, one_space);
	for (unsigned i = 0; i < options->repeats; i++)
		bench_add(&samples, together(options, nr, one_space));
	bench_print(name, "ns", "kmm", &samples);
}

int main(int argc, char **argv)
{
	struct bench_options options;

	bench_parse(argc, argv, &options);
	machine = bench_machine_smp((uint64_t)1 << 30, MOST);
	bench_touch_ram(hosted_kmm(machine), 4 * MOST * EACH_PAGES);
	for (unsigned nr = 1; nr <= MOST; nr *= 2) {
		measure(&options, nr, true);
		measure(&options, nr, false);
	}
	hosted_shutdown(machine);
	return 0;
}
