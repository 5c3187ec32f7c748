/* SPDX-License-Identifier: MIT */
/*
 * exit.c - the end of threads and processes, and waiting for it.
 *
 * A thread ends by itself; the last one takes the process along: space, files and directory go at once, the zombie
 * (number, status, times) stays until the parent has waited. Children of an ended process become the kernel's,
 * which forgets them as soon as they end.
 */
#include "proc/cgroup.h"
#include "proc/cpu.h"
#include "sig/sig.h"
#include "sys/sys.h"

void proc_usage(struct proc *p, struct usage *out)
{
	struct kmm_mm *mm = proc_hold(p);
	struct kmm_mm_stats s = { .peak_rss = p->peak_rss_pages, .faults = p->faults, .major_faults = p->major_faults };
	uint32_t ticks = p->ticks;
	struct task *t;

	if (mm)
		kmm_mm_stats(mm, &s);
	list_for_each(t, &p->tasks, proc_link)
		ticks += t->ticks;
	*out = (struct usage){ ticks, (uint32_t)(s.peak_rss * (KMM_PAGE_SIZE / 1024)), (uint32_t)(s.faults - s.major_faults),
				(uint32_t)s.major_faults };
	proc_let_go(p, mm);
}

void proc_kill_threads(int wait_status)
{
	struct proc *p = current->proc;
	struct task *t;

	p->exiting = true;
	p->exit_status = wait_status;
	list_for_each(t, &p->tasks, proc_link) {
		if (t == current)
			continue;
		sched_interrupt(t);
		sched_continue(t);
	}
}

static void adopt_children(struct proc *p)
{
	struct proc *child, *tmp;

	list_for_each_safe(child, tmp, &p->children, sibling) {
		list_del(&child->sibling);
		if (child->state == PROC_ZOMBIE) {
			proc_free(child);
			continue;
		}
		child->parent = &init_proc;
		child->ppid = INIT_PID;
		list_add_tail(&child->sibling, &init_proc.children);
	}
}

static bool is_shared(const struct kmm_mm *mm)
{
	struct proc *p;

	list_for_each(p, &all_procs, all_link)
		if (p->mm == mm)
			return true;
	return false;
}

static void release_space(struct proc *p)
{
	struct kmm_mm *mm = p->mm;
	struct kmm_mm_stats s;
	unsigned depth;
	bool shared;

	if (!mm)
		return;
	kmm_mm_stats(mm, &s);
	p->peak_rss_pages = (uint32_t)s.peak_rss;
	p->faults = (uint32_t)s.faults;
	p->major_faults = (uint32_t)s.major_faults;
	report_process_end(p->comm, p->pid, p->exit_status, mm);
	p->mm = NULL;
	shared = is_shared(mm);
	space_activate(NULL);
	depth = kernel_lock_drop();
	if (!shared)
		cgroup_part(mm); /* who looks at it may keep it a little */
	kmm_mm_put(mm);
	kernel_lock_retake(depth);
}

static void release_resources(struct proc *p)
{
	share_leave(p);
	if (p->exe)
		inode_release_run(p->exe);
	inode_put(p->exe);
	os_free(p->exe_path);
	entry_put(p->exe_entry);
	p->exe_entry = NULL;
	p->exe = NULL;
	p->exe_path = NULL;
}

static void wake_vfork_parent(struct proc *p)
{
	if (!p->vfork_parent)
		return;
	p->vfork_parent = NULL;
	sched_wake(&p->vfork_parent);
}

static bool parent_ignores(const struct proc *parent)
{
	const struct sig_action *a = &parent->actions->of[SIGCHLD - 1];

	return parent == &init_proc || a->handler == SIG_IGN || (a->flags & SA_NOCLDWAIT);
}

/* The last thread of p ends: from here on p is a zombie, or nothing. */
static void end_process(struct proc *p)
{
	int status = p->exit_status;
	bool killed = (status & 0x7f) != 0;

	release_resources(p);
	release_space(p);
	wake_vfork_parent(p);
	adopt_children(p);
	if (p->pid == FIRST_PID)
		os_leave(killed ? 128 + (status & 0x7f) : status >> 8 & 0xff, NULL);
	p->state = PROC_ZOMBIE;
	oom_note_end(p);
	if (p->exit_signal)
		sig_notify_parent(p, killed ? CLD_KILLED : CLD_EXITED, killed ? status & 0x7f : status >> 8);
	sched_wake(&p->parent->children);
	poll_changed(); /* descriptors of the process */
}

void task_exit(void)
{
	struct proc *p = current->proc;

	if (current->robust_list && p->mm)
		futex_give_up(current->robust_list, current->robust_64);
	if (current->clear_child_tid && p->mm && p->nr_tasks > 1) {
		if (put_u32(current->clear_child_tid, 0) == 0)
			futex_wake_all(current->clear_child_tid);
	}
	if (os_cpus_online != 1 && p->nr_tasks > 1)
		space_activate(NULL); /* the last thread frees the space: nobody may have it loaded then */
	p->ticks += current->ticks;
	current->ticks = 0;
	p->nr_tasks--;
	if (p->nr_tasks == 0) {
		end_process(p);
		/* From here on only this task's memory is left; it leaves the process's list before that may be freed. */
		list_del(&current->proc_link);
		if (parent_ignores(p->parent))
			proc_free(p);
	} else {
		list_del(&current->proc_link);
		if (p->exec_waiting)
			sched_wake(&p->exec_waiting);
	}
	current->proc = &init_proc;
	sched_exit_current();
}

void proc_exit(int wait_status)
{
	if (!current->proc->exiting)
		proc_kill_threads(wait_status);
	task_exit();
}

/* ---- waiting ---- */

static bool matches(const struct proc *child, int32_t which)
{
	if (which == -1)
		return true;
	if (which == 0)
		return child->pgid == current->proc->pgid;
	return which > 0 ? child->pid == (uint32_t)which : child->pgid == (uint32_t)-which;
}

/* Has this child something to report? Fills out and forgets what is reported only once. */
static bool collect(struct proc *child, uint32_t options, struct wait_result *out)
{
	bool ended = child->state == PROC_ZOMBIE && (options & WEXITED);

	out->pid = child->pid;
	if (ended || (child->stopped && !child->stop_reported && (options & WUNTRACED)) ||
	    (child->continued && (options & WCONTINUED)))
		proc_usage(child, &out->usage);
	else
		return false;
	if (ended) {
		out->status = child->exit_status;
		if (!(options & WNOWAIT)) {
			current->proc->child_ticks += child->ticks + child->child_ticks;
			proc_free(child);
		}
	} else if (child->stopped) {
		out->status = child->stop_signal << 8 | 0x7f;
		child->stop_reported = !(options & WNOWAIT);
	} else {
		out->status = 0xffff;
		child->continued = (options & WNOWAIT) != 0;
	}
	return true;
}

int proc_wait(const struct wait_request *request, struct wait_result *out)
{
	struct proc *self = current->proc;

	for (;;) {
		struct proc *child, *tmp;
		bool any = false;

		list_for_each_safe(child, tmp, &self->children, sibling) {
			if (!matches(child, request->which))
				continue;
			any = true;
			if (collect(child, request->options, out))
				return 0;
		}
		if (!any)
			return -ECHILD;
		out->pid = 0;
		if (request->options & WNOHANG)
			return 0;
		if (sched_sleep(&self->children, true, 0) == -EINTR)
			return -ERESTARTSYS;
	}
}
