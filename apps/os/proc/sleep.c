/* SPDX-License-Identifier: MIT */
/*
 * sleep.c - sleeping on keys, and being woken: by the key, by a deadline, by a signal, or as a stopped task.
 *
 * One lock for all sleepers: who decides to sleep looks at the reason not to (a signal, `done`) and gets into the list
 * under it; who wakes has changed the reason before and then looks into the list under it. Reasons that the kernel lock
 * protects need no `done`: the sleeper is in the list before it gives that lock up.
 */
#include "proc/cpu.h"

enum { NR_BUCKETS = 64 };

static struct spin lock = SPIN_OF(SPIN_SLEEP); /* lists, and the states of tasks that do not run */
static struct list timers, buckets[NR_BUCKETS];
static uint32_t stalled_awake; /* tasks that wait for memory and run meanwhile */

void sleep_init(void)
{
	list_init(&timers);
	for (int i = 0; i < NR_BUCKETS; i++)
		list_init(&buckets[i]);
}

static struct list *bucket_of(const void *key)
{
	return &buckets[((uintptr_t)key >> 4 ^ (uintptr_t)key >> 12) % NR_BUCKETS];
}

/* Lock held. */
static void wake(struct task *task, int reason)
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

	spin_lock(&lock);
	list_for_each_safe(t, tmp, bucket, sleep_link)
		if (t->sleep_key == key)
			wake(t, 0);
	spin_unlock(&lock);
}

void sched_interrupt(struct task *task)
{
	sched_notify(task);
	spin_lock(&lock);
	if (task->state == TASK_SLEEPING)
		wake(task, -EINTR);
	spin_unlock(&lock);
}

/* Lock held. 0: the task is in the lists, to give up its processor; else why it need not. */
static int lie_down(const struct sleep *s)
{
	struct task *t = current;

	if (s->interruptible && __atomic_load_n(&t->notify, __ATOMIC_SEQ_CST))
		return -EINTR;
	if (s->deadline && os_now() >= s->deadline)
		return -ETIMEDOUT;
	if (s->done && s->done(s->arg))
		return SLEEP_DONE;
	t->sleep_key = s->key;
	t->deadline = s->deadline;
	t->state = s->interruptible ? TASK_SLEEPING : TASK_BLOCKED;
	list_add_tail(&t->sleep_link, bucket_of(s->key));
	if (s->deadline)
		list_add_tail(&t->timer_link, &timers);
	return 0;
}

/* Waiting for memory asleep: it is not among those that run. */
static void note_stalled_rest(bool begins)
{
	if (current->stalled)
		__atomic_fetch_add(&stalled_awake, begins ? -1u : 1u, __ATOMIC_RELAXED);
}

int sched_sleep_on(const struct sleep *s)
{
	int why;

	spin_lock(&lock);
	why = lie_down(s);
	spin_unlock(&lock);
	if (why)
		return why;
	note_stalled_rest(true);
	current->sleeps++;
	sched_leave_cpu();
	note_stalled_rest(false);
	return current->wake_reason;
}

int sched_sleep(const void *key, bool interruptible, uint64_t deadline)
{
	return sched_sleep_on(&(struct sleep){ .key = key, .interruptible = interruptible, .deadline = deadline });
}

void sched_stop_current(void)
{
	spin_lock(&lock);
	current->state = TASK_STOPPED;
	spin_unlock(&lock);
	sched_leave_cpu();
}

void sched_continue(struct task *task)
{
	spin_lock(&lock);
	if (task->state == TASK_STOPPED)
		sched_add(task);
	spin_unlock(&lock);
}

void sleep_tick(void)
{
	struct task *t, *tmp;
	uint64_t now;

	if (list_empty(&timers))
		return;
	now = os_now();
	spin_lock(&lock);
	list_for_each_safe(t, tmp, &timers, timer_link)
		if (now >= t->deadline)
			wake(t, -ETIMEDOUT);
	spin_unlock(&lock);
}

/* ---- sleep locks ---- */

static bool take_as_waiter(void *arg)
{
	struct sleep_lock *l = arg;

	return __atomic_exchange_n(&l->held, 2, __ATOMIC_ACQUIRE) == 0;
}

void sleep_lock(struct sleep_lock *l)
{
	const struct sleep s = { .key = l, .done = take_as_waiter, .arg = l };
	uint32_t none = 0;

	if (__atomic_compare_exchange_n(&l->held, &none, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (sched_sleep_on(&s) != SLEEP_DONE)
		;
}

void sleep_unlock(struct sleep_lock *l)
{
	if (__atomic_exchange_n(&l->held, 0, __ATOMIC_RELEASE) == 2)
		sched_wake(l);
}

/* ---- the core's hooks ---- */

void port_wait(struct kmm_port *port, const void *key, bool (*done)(void *arg), void *arg)
{
	const struct sleep s = { .key = key, .done = done, .arg = arg };

	(void)port;
	if (current->stack)
		while (sched_sleep_on(&s) != SLEEP_DONE)
			;
	else if (!done(arg))
		x86_panic("the kernel would have to wait before there is anything to wait for");
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

void port_group_event(struct kmm_port *port)
{
	(void)port;
	poll_changed();
}

void port_above_high(struct kmm_port *port, unsigned pages)
{
	(void)port;
	current->over_high += pages;
	current->resched = true; /* user_return() looks; notify would end sleeps before that */
}

struct kmm_mm *port_running_space(struct kmm_port *port)
{
	(void)port;
	return current && current->proc ? current->proc->mm : NULL;
}

unsigned port_stall(struct kmm_port *port, enum kmm_stall what)
{
	uint32_t awake;
	unsigned busy;

	(void)port;
	if (what != KMM_STALL_GOES_ON) {
		current->stalled = what == KMM_STALL_BEGINS;
		__atomic_store_n(&cpu_here()->stalled, current->stalled, __ATOMIC_RELAXED);
		__atomic_fetch_add(&stalled_awake, current->stalled ? 1u : -1u, __ATOMIC_RELAXED);
	}
	awake = __atomic_load_n(&stalled_awake, __ATOMIC_RELAXED);
	busy = sched_busy();
	return busy > awake ? busy - awake : 0;
}

uint32_t *port_thread_locks(struct kmm_port *port)
{
	(void)port;
	return &current->core_locks;
}
