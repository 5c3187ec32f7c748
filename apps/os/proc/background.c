/* SPDX-License-Identifier: MIT */
/*
 * background.c - the thread that gets memory back before programs have to do so for themselves: woken when a request finds
 * zones below their low marks, it goes on until they are at the high ones, and lets others run after each step.
 */
#include "kmm/reclaim.h"
#include "proc/cpu.h"

enum { BUDGET = 64 };

static uint32_t wanted; /* atomic; a key to sleep on */

static bool take_wish(void *arg)
{
	(void)arg;
	return __atomic_exchange_n(&wanted, 0, __ATOMIC_ACQ_REL) != 0;
}

static void run(void *arg)
{
	const struct sleep until_low = { .key = &wanted, .done = take_wish };

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

static void memory_low(struct kmm_port *port)
{
	(void)port;
	if (!__atomic_exchange_n(&wanted, 1, __ATOMIC_ACQ_REL))
		sched_wake(&wanted);
}

void background_start(void)
{
	struct task *t = task_new(&init_proc, INIT_PID);

	if (!t)
		os_leave(OS_EXIT_INPUT, "there is not enough memory for the kernel's own thread");
	t->context = x86_context_make(task_frame(t), run, t);
	sched_add(t);
	os.port->memory_low = memory_low;
}
