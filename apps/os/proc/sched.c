/* SPDX-License-Identifier: MIT */
/*
 * sched.c - who runs: each processor has a queue of runnable tasks and takes turns among them, a new one at every tick of
 * its clock; who has nothing to do takes a task from another's queue.
 *
 * A task that leaves a processor may be in a queue again before its registers are saved: woken by another processor, or
 * put there by itself. on_cpu stays set until the next task has left the old one's stack behind, and a task with on_cpu
 * set is passed over by everybody but its own processor. A task that ended cannot free the stack it stands on: the next
 * one does it.
 *
 * Lost wake-ups: who goes to idle announces it (idle_cpus) and then looks for queued tasks; who queues a task counts it and
 * then looks for idle processors. Both with full barriers.
 *
 * With several processors an idle one has no user space loaded, so that spaces can be freed without asking it. One that is
 * idle when its clock ticks gives back the free frames it has cached: somebody may sleep for want of one, and nobody else can
 * take them.
 */
#include "kmm/group.h"
#include "proc/cpu.h"
#include "sig/sig.h"

struct cpu os_cpus[X86_MAX_CPUS];
static struct task idle_tasks[X86_MAX_CPUS];
static uint32_t queued;    /* tasks in all queues */
static uint32_t idle_cpus; /* bit per processor */
static struct spin big_lock = SPIN_OF(SPIN_KERNEL);

void sched_init(void)
{
	for (unsigned i = 0; i < X86_MAX_CPUS; i++) {
		struct task *idle = &idle_tasks[i];

		os_cpus[i].idle = idle;
		os_cpus[i].lock.class = SPIN_QUEUE;
		list_init(&os_cpus[i].queue);
		idle->proc = &init_proc;
		idle->state = TASK_RUNNING;
		idle->cpu = i;
		idle->on_cpu = true;
		list_init(&idle->run_link);
		list_init(&idle->timer_link);
		list_init(&idle->sleep_link);
	}
	x86_set_task(&idle_tasks[0]);
	sleep_init();
}

/* ---- the kernel lock ---- */

void kernel_lock(void)
{
	if (current->lock_depth++ == 0)
		spin_lock(&big_lock);
}

void kernel_unlock(void)
{
	if (--current->lock_depth == 0)
		spin_unlock(&big_lock);
}

unsigned kernel_lock_drop(void)
{
	unsigned depth = current->lock_depth;

	current->lock_depth = 0;
	if (depth)
		spin_unlock(&big_lock);
	return depth;
}

void kernel_lock_retake(unsigned depth)
{
	if (depth)
		spin_lock(&big_lock);
	current->lock_depth = depth;
}

/* ---- queues ---- */

static bool may_run_on(const struct task *t, unsigned cpu)
{
	return t->allowed >> cpu & 1;
}

/* Where a task that became runnable waits: where it ran last, if it may still run there. */
static unsigned home_of(const struct task *t)
{
	uint32_t usable = t->allowed & os_cpus_online;

	return usable >> t->cpu & 1 || !usable ? t->cpu : (unsigned)__builtin_ctz(usable);
}

/* Somebody who is idle may take it; its home first. */
static void find_idle_for(const struct task *t, unsigned home)
{
	uint32_t idle = __atomic_load_n(&idle_cpus, __ATOMIC_SEQ_CST) & t->allowed & ~(1u << x86_cpu_id());

	while (idle) {
		unsigned cpu = idle >> home & 1 ? home : (unsigned)__builtin_ctz(idle);

		if (__atomic_fetch_and(&idle_cpus, ~(1u << cpu), __ATOMIC_SEQ_CST) >> cpu & 1) {
			x86_kick(cpu);
			return;
		}
		idle &= ~(1u << cpu);
	}
}

void sched_enqueue(struct task *task)
{
	unsigned home = home_of(task);
	struct cpu *c = &os_cpus[home];

	spin_lock(&c->lock);
	list_add_tail(&task->run_link, &c->queue);
	__atomic_fetch_add(&queued, 1, __ATOMIC_SEQ_CST);
	spin_unlock(&c->lock);
	if (os_cpus_online != 1 && idle_cpus)
		find_idle_for(task, home);
}

static struct task *take_from(struct cpu *c, unsigned self)
{
	struct task *t, *found = NULL;

	spin_lock(&c->lock);
	list_for_each(t, &c->queue, run_link) {
		if ((__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) && t != current) ||
		    (os_is_leaving() ? t->at_rest : !may_run_on(t, self)))
			continue;
		found = t;
		list_del(&t->run_link);
		__atomic_store_n(&t->on_cpu, true, __ATOMIC_RELAXED);
		__atomic_fetch_sub(&queued, 1, __ATOMIC_SEQ_CST);
		break;
	}
	spin_unlock(&c->lock);
	return found;
}

static struct task *take_any(unsigned self)
{
	struct task *t = list_empty(&os_cpus[self].queue) ? NULL : take_from(&os_cpus[self], self);

	for (unsigned i = 1; i < X86_MAX_CPUS && !t && __atomic_load_n(&queued, __ATOMIC_RELAXED); i++) {
		unsigned other = (self + i) % X86_MAX_CPUS;

		if (!list_empty(&os_cpus[other].queue))
			t = take_from(&os_cpus[other], self);
	}
	return t;
}

/* ---- switching ---- */

void space_activate(struct kmm_mm *mm)
{
	struct cpu *c = cpu_here();

	if (mm == c->mm)
		return;
	c->mm = mm;
	__atomic_store_n(&c->group, mm ? kmm_mm_group(mm) : NULL, __ATOMIC_RELEASE);
	x86_load_root(mm ? kmm_mm_root(mm).v : os.kernel_root.v);
}

static void prepare_processor(struct task *next)
{
	if (!next->stack) {
		x86_fpu_switch(NULL);
		if (os_cpus_online != 1)
			space_activate(NULL);
		return;
	}
	x86_set_kernel_stack(next->stack + KERNEL_STACK_SIZE);
	if (next->proc != &init_proc) /* a thread of the kernel's has no segments, but those of a program are in registers still */
		x86_tls_load(&next->tls);
	x86_fpu_switch(&next->fpu);
	if (next->proc->mm || next->proc == &init_proc) /* the kernel's own threads have none */
		space_activate(next->proc->mm);
}

/* On the new task's stack: nothing touches the old one's any more. The processor may be another than before the switch. */
static void leave_behind(void)
{
	struct task *prev = cpu_here()->prev;

	if (prev->state == TASK_DEAD)
		task_free(prev);
	else
		__atomic_store_n(&prev->on_cpu, false, __ATOMIC_RELEASE);
}

static void switch_to(struct task *next)
{
	struct task *prev = current;
	struct cpu *c = cpu_here();

	if (next == prev)
		return;
	if (prev->stack)
		x86_tls_save(&prev->tls);
	prev->switches++;
	c->prev = prev;
	next->cpu = prev->cpu;
	next->on_cpu = true;
	__atomic_store_n(&c->stalled, next->stalled, __ATOMIC_RELAXED);
	x86_set_task(next);
	prepare_processor(next);
	x86_context_switch(&prev->context, next->context);
	leave_behind();
}

/* Goes on with another task. The running one is in a queue, or somewhere else where it will be found. false: there was
 * none, and the idle task runs. A machine that is being left runs tasks only to where they hold nothing: back to ring 3. */
static bool run_next(void)
{
	struct cpu *c = cpu_here();
	struct task *next = take_any(current->cpu);

	if (next && os_is_leaving())
		next->resched = true;
	switch_to(next ? next : c->idle);
	return next != NULL;
}

void sched_leave_cpu(void)
{
	unsigned depth;

	spin_may_sleep();
	depth = kernel_lock_drop();

	current->resched = false;
	run_next();
	kernel_lock_retake(depth);
}

void sched_yield(void)
{
	current->at_rest = true;
	sched_enqueue(current);
	sched_leave_cpu();
	current->at_rest = false;
}

void sched_run_idle(void)
{
	kernel_lock_drop();
	switch_to(cpu_here()->idle);
	x86_panic("the machine was left and something went on");
}

void task_start(void *arg)
{
	(void)arg;
	sched_started();
	current->at_rest = false;
	user_return(task_frame(current));
	x86_return_to_user(task_frame(current));
}

void sched_started(void)
{
	leave_behind();
}

void sched_add(struct task *task)
{
	task->state = TASK_RUNNING;
	sched_enqueue(task);
}

void sched_exit_current(void)
{
	current->state = TASK_DEAD;
	x86_fpu_forget(&current->fpu);
	sched_leave_cpu();
	x86_panic("a task that had ended was run again");
}

/* A task that runs on another processor looks at its flags when it is interrupted. */
void sched_notify(struct task *task)
{
	task->notify = true;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (task->on_cpu && task->cpu != x86_cpu_id())
		x86_kick(task->cpu);
}

void sched_set_allowed(struct task *task, uint32_t cpus)
{
	task->allowed = cpus;
	if (task == current && !may_run_on(task, task->cpu))
		task->resched = true;
	else if (task->on_cpu)
		sched_notify(task);
}

void sched_tick(void)
{
	struct cpu *c = cpu_here();

	current->ticks++;
	if (current == c->idle)
		c->idle_ticks++;
	else
		c->busy_ticks++;
	current->resched = !list_empty(&c->queue) || !may_run_on(current, current->cpu);
	if (x86_cpu_id() == 0) {
		sleep_tick();
		kmm_pressure_tick(os.k);
	}
}

unsigned sched_busy(void)
{
	uint32_t running = os_cpus_online & ~__atomic_load_n(&idle_cpus, __ATOMIC_RELAXED);
	unsigned busy = __atomic_load_n(&queued, __ATOMIC_RELAXED);

	for (; running; running &= running - 1)
		busy++;
	return busy;
}

/* ---- of a memory group ---- */

static bool is_in(const struct kmm_group *group, const struct kmm_group *top)
{
	while (group && group != top)
		group = kmm_group_parent(group);
	return group != NULL;
}

/* Of those that are ready. A task in a queue has its space, if it has one. */
static bool has_ready(struct cpu *c, const struct kmm_group *group)
{
	struct task *t;
	bool found = false;

	if (list_empty(&c->queue))
		return false;
	spin_lock(&c->lock);
	list_for_each(t, &c->queue, run_link)
		found |= !t->stalled && t->proc->mm && is_in(kmm_mm_group(t->proc->mm), group);
	spin_unlock(&c->lock);
	return found;
}

/* Who runs is told by what its processor has loaded, as a task on another may end at any time; and that it waits for memory by a mark beside
 * that. An idle processor that still has a space loaded counts for nobody. */
bool port_group_busy(struct kmm_port *port, struct kmm_group *group)
{
	uint32_t running = os_cpus_online & ~__atomic_load_n(&idle_cpus, __ATOMIC_RELAXED);

	(void)port;
	for (unsigned i = 0; i < X86_MAX_CPUS; i++) {
		struct cpu *c = &os_cpus[i];

		if ((running >> i & 1) && !__atomic_load_n(&c->stalled, __ATOMIC_RELAXED) &&
		    is_in(__atomic_load_n(&c->group, __ATOMIC_ACQUIRE), group))
			return true;
		if (has_ready(c, group))
			return true;
	}
	return false;
}

bool sched_all_rest(void)
{
	struct task *t;
	bool all = true;

	for (unsigned i = 0; i < X86_MAX_CPUS; i++) {
		spin_lock(&os_cpus[i].lock);
		list_for_each(t, &os_cpus[i].queue, run_link)
			all &= t->at_rest;
		spin_unlock(&os_cpus[i].lock);
	}
	return all;
}

/* A moment for interrupts. */
static void breathe(void)
{
	x86_irq_enable();
	x86_pause();
	x86_irq_disable();
}

void sched_idle_loop(void)
{
	uint32_t me = 1u << x86_cpu_id();
	uint32_t ticks = cpu_here()->idle_ticks;

	for (;;) {
		__atomic_fetch_or(&idle_cpus, me, __ATOMIC_SEQ_CST);
		if (os_is_leaving())
			x86_relax();
		else if (!__atomic_load_n(&queued, __ATOMIC_SEQ_CST))
			x86_idle();
		else
			breathe(); /* its stack is still in use, or it is bound to another processor */
		__atomic_fetch_and(&idle_cpus, ~me, __ATOMIC_SEQ_CST);
		if (ticks != cpu_here()->idle_ticks)
			kmm_drain_cpu(os.k);
		ticks = cpu_here()->idle_ticks;
		if (!run_next())
			leave_if_asked();
	}
}
