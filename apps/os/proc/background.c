/* SPDX-License-Identifier: MIT */
/*
 * background.c - the kernel's own threads. Each lets others run after each step.
 *
 *	reclaim    gets memory back before programs have to do so for themselves: woken when a request finds zones below their low
 *	           marks, it goes on until they are at the high ones
 *	writer     writes pages of disks' files that are dirty for too long, or too many: woken when there are the first dirty
 *	           ones, it looks now and then until there are none
 */
#include "block.h"
#include "kmm/reclaim.h"
#include "kmm/writeback.h"
#include "proc/cpu.h"

enum { BUDGET = 64 };

/* Wishes: atomic; keys to sleep on. */
static uint32_t reclaim_wish, write_wish;
uint32_t background_interval_cs = 500;

static bool take_wish(void *wish)
{
	return __atomic_exchange_n((uint32_t *)wish, 0, __ATOMIC_ACQ_REL) != 0;
}

static void make_wish(uint32_t *wish)
{
	if (!__atomic_exchange_n(wish, 1, __ATOMIC_ACQ_REL))
		sched_wake(wish);
}

static void memory_low(struct kmm_port *port)
{
	(void)port;
	make_wish(&reclaim_wish);
}

static void files_dirty(struct kmm_port *port)
{
	(void)port;
	make_wish(&write_wish);
}

/* ---- the threads ---- */

static void run_reclaim(void *arg)
{
	const struct sleep until_low = { .key = &reclaim_wish, .done = take_wish, .arg = &reclaim_wish };

	(void)arg;
	sched_started();
	current->at_rest = false;
	for (;;) {
		while (sched_sleep_on(&until_low) != SLEEP_DONE)
			;
		while (!os_is_leaving() && kmm_reclaim_step(os.k, BUDGET))
			sched_yield();
	}
}

/* When to look again although nobody wishes it. 0: never. */
static uint64_t next_look(void)
{
	const uint64_t ns_a_cs = 10000000;
	struct kmm_writeback_stats now;

	kmm_writeback_stats(os.k, &now);
	return now.dirty && background_interval_cs ? os_now() + background_interval_cs * ns_a_cs : 0;
}

static void run_writer(void *arg)
{
	(void)arg;
	sched_started();
	current->at_rest = false;
	for (;;) {
		const struct sleep until_dirty = { .key = &write_wish, .done = take_wish, .arg = &write_wish, .deadline = next_look() };

		sched_sleep_on(&until_dirty);
		while (!os_is_leaving() && kmm_writeback_step(os.k, BUDGET, false))
			sched_yield();
	}
}

void background_set_interval(uint32_t cs)
{
	background_interval_cs = cs;
	make_wish(&write_wish);
}

static void start_thread(void (*run)(void *arg))
{
	struct task *t = task_new(&init_proc, INIT_PID);

	if (!t)
		os_leave(OS_EXIT_INPUT, "there is not enough memory for the kernel's own threads");
	t->context = x86_context_make(task_frame(t), run, t);
	sched_add(t);
}

void background_start(void)
{
	start_thread(run_reclaim);
	os.port->memory_low = memory_low;
	if (!blocks_any())
		return;
	start_thread(run_writer);
	os.port->files_dirty = files_dirty;
}
