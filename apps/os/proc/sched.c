/* SPDX-License-Identifier: MIT */
/*
 * sched.c - who runs: round robin over the runnable tasks, a new turn at every clock tick, and sleeping on keys.
 *
 * The idle task is the boot context; it runs when the queue is empty and only waits for interrupts. Everything here
 * runs with interrupts off. A task that ends cannot free the stack it stands on: the next one does it.
 */
#include "proc/task.h"

enum { NR_BUCKETS = 64 };

static struct task idle_task;
static struct list run_queue, timers, buckets[NR_BUCKETS];
static struct task *ended; /* gave up the processor for good; to be freed */
static struct kmm_mm *active_mm;
struct task *current = &idle_task;
bool need_resched;

void sched_init(void)
{
	list_init(&run_queue);
	list_init(&timers);
	for (int i = 0; i < NR_BUCKETS; i++)
		list_init(&buckets[i]);
	idle_task.proc = &init_proc;
	idle_task.state = TASK_RUNNING;
	list_init(&idle_task.run_link);
	list_init(&idle_task.timer_link);
	list_init(&idle_task.sleep_link);
}

static struct list *bucket_of(const void *key)
{
	return &buckets[((uintptr_t)key >> 4 ^ (uintptr_t)key >> 12) % NR_BUCKETS];
}

void space_activate(struct kmm_mm *mm)
{
	if (mm == active_mm)
		return;
	active_mm = mm;
	x86_load_root(mm ? kmm_mm_root(mm).v : os.kernel_root.v);
}

static void free_ended(void)
{
	struct task *task = ended;

	ended = NULL;
	if (task)
		task_free(task);
}

static void prepare_processor(struct task *next)
{
	if (!next->stack) {
		x86_fpu_switch(NULL);
		return;
	}
	x86_set_kernel_stack(next->stack + KERNEL_STACK_SIZE);
	x86_tls_load(&next->tls);
	x86_fpu_switch(&next->fpu);
	if (next->proc->mm)
		space_activate(next->proc->mm);
}

static void switch_to(struct task *next)
{
	struct task *prev = current;

	if (next == prev)
		return;
	if (prev->stack)
		x86_tls_save(&prev->tls);
	current = next;
	prepare_processor(next);
	x86_context_switch(&prev->context, next->context);
	free_ended();
}

static void run_next(void)
{
	struct task *next = &idle_task;

	need_resched = false;
	if (current->state == TASK_RUNNING && current != &idle_task)
		list_add_tail(&current->run_link, &run_queue);
	if (!list_empty(&run_queue)) {
		next = container_of(run_queue.next, struct task, run_link);
		list_del(&next->run_link);
	}
	switch_to(next);
}

void sched_run_idle(void)
{
	switch_to(&idle_task);
	x86_panic("the machine was left and something went on");
}

void task_start(void *arg)
{
	(void)arg;
	free_ended();
	x86_return_to_user(task_frame(current));
}

void sched_add(struct task *task)
{
	task->state = TASK_RUNNING;
	list_add_tail(&task->run_link, &run_queue);
}

void sched_yield(void)
{
	run_next();
}

void sched_wake_task(struct task *task, int reason)
{
	list_del(&task->sleep_link);
	list_del(&task->timer_link);
	task->wake_reason = reason;
	sched_add(task);
}

void sched_wake(const void *key)
{
	struct list *bucket = bucket_of(key);
	struct task *t, *tmp;

	list_for_each_safe(t, tmp, bucket, sleep_link)
		if (t->sleep_key == key)
			sched_wake_task(t, 0);
}

int sched_sleep(const void *key, bool interruptible, uint64_t deadline)
{
	struct task *t = current;

	if (interruptible && t->notify)
		return -EINTR;
	if (deadline && os_now() >= deadline)
		return -ETIMEDOUT;
	t->sleep_key = key;
	t->deadline = deadline;
	t->state = interruptible ? TASK_SLEEPING : TASK_BLOCKED;
	list_add_tail(&t->sleep_link, bucket_of(key));
	if (deadline)
		list_add_tail(&t->timer_link, &timers);
	run_next();
	return t->wake_reason;
}

void sched_stop_current(void)
{
	current->state = TASK_STOPPED;
	run_next();
}

void sched_continue(struct task *task)
{
	if (task->state == TASK_STOPPED)
		sched_add(task);
}

void sched_exit_current(void)
{
	current->state = TASK_DEAD;
	ended = current;
	x86_fpu_forget(&current->fpu);
	run_next();
	x86_panic("a task that had ended was run again");
}

void sched_tick(void)
{
	struct task *t, *tmp;
	uint64_t now;

	current->ticks++;
	need_resched = !list_empty(&run_queue);
	if (list_empty(&timers))
		return;
	now = os_now();
	list_for_each_safe(t, tmp, &timers, timer_link)
		if (now >= t->deadline)
			sched_wake_task(t, -ETIMEDOUT);
}

void sched_idle_loop(void)
{
	for (;;) {
		leave_if_asked();
		if (list_empty(&run_queue))
			x86_idle();
		else
			run_next();
	}
}

/* ---- the core's hooks ---- */

void port_wait(struct kmm_port *port, const void *key, bool (*done)(void *arg), void *arg)
{
	(void)port;
	while (!done(arg)) {
		if (current == &idle_task)
			x86_panic("the kernel would have to wait before there is anything to wait for");
		sched_sleep(key, false, 0);
	}
}

void port_wake(struct kmm_port *port, const void *key)
{
	(void)port;
	sched_wake(key);
}

uint32_t port_owner_id(struct kmm_port *port)
{
	(void)port;
	return current && current->proc ? current->proc->pid : 0;
}
