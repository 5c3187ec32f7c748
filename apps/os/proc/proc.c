/* SPDX-License-Identifier: MIT */
/* proc.c - making, finding and freeing processes and tasks. */
#include "proc/cgroup.h"
#include "sig/sig.h"

struct list all_procs;
struct proc init_proc;
static struct kmm_cache *task_cache, *proc_cache;

int proc_init(void)
{
	enum kmm_status status;

	list_init(&all_procs);
	list_init(&init_proc.children);
	list_init(&init_proc.tasks);
	list_init(&init_proc.sibling);
	init_proc.cgroup = &cgroup_root;
	share_init();
	init_proc.pid = init_proc.pgid = init_proc.sid = INIT_PID;
	sig_pending_init(&init_proc.pending);
	str_copy(init_proc.comm, "kernel", sizeof(init_proc.comm));
	list_add_tail(&init_proc.all_link, &all_procs);
	status = kmm_cache_create(os.k, "task_struct", sizeof(struct task), 16, 0, NULL, &task_cache);
	if (status == KMM_OK)
		status = kmm_cache_create(os.k, "process", sizeof(struct proc), 16, 0, NULL, &proc_cache);
	return status == KMM_OK ? 0 : os_errno(status);
}

struct proc *proc_find(uint32_t pid)
{
	struct proc *p;

	list_for_each(p, &all_procs, all_link)
		if (p->pid == pid)
			return p;
	return NULL;
}

struct task *task_find(uint32_t tid)
{
	struct proc *p;

	list_for_each(p, &all_procs, all_link) {
		struct task *t;

		list_for_each(t, &p->tasks, proc_link)
			if (t->tid == tid)
				return t;
	}
	return NULL;
}

/* A number is in use as long as a process, thread, group or session has it. */
static bool pid_in_use(uint32_t pid)
{
	struct proc *p;

	list_for_each(p, &all_procs, all_link)
		if (p->pid == pid || p->pgid == pid || p->sid == pid)
			return true;
	return task_find(pid) != NULL;
}

uint32_t pid_new(void)
{
	static uint32_t last = INIT_PID;

	do {
		last = last + 1 < MAX_PID ? last + 1 : 300;
	} while (pid_in_use(last));
	return last;
}

static void default_limits(struct proc *p)
{
	for (int i = 0; i < NR_RLIMITS; i++)
		p->rlimit[i] = (struct rlimit){ OS_UNLIMITED, OS_UNLIMITED };
	p->rlimit[RLIMIT_STACK].soft = 8u << 20;
	p->rlimit[RLIMIT_CORE].soft = 0;
	p->rlimit[RLIMIT_MEMLOCK] = (struct rlimit){ 8u << 20, 8u << 20 };
	p->rlimit[RLIMIT_NOFILE].soft = 1024;
	p->rlimit[RLIMIT_NOFILE].hard = 4096;
	p->rlimit[RLIMIT_NPROC] = p->rlimit[RLIMIT_SIGPENDING] = (struct rlimit){ MAX_PID, MAX_PID };
	p->rlimit[RLIMIT_MSGQUEUE] = (struct rlimit){ 819200, 819200 };
	p->rlimit[RLIMIT_NICE] = p->rlimit[RLIMIT_RTPRIO] = (struct rlimit){ 0, 0 };
}

struct proc *proc_new(struct proc *parent)
{
	struct proc *p = kmm_cache_alloc(os.k, proc_cache, KMM_GFP_KERNEL);

	if (!p)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->pid = p->pgid = p->sid = pid_new();
	p->parent = parent;
	p->cgroup = parent->cgroup;
	p->ppid = parent->pid;
	p->caps = (struct capabilities){ CAPS_ALL, CAPS_ALL, 0 };
	p->start_ns = os_now();
	p->exit_signal = SIGCHLD;
	p->fds = init_proc.fds; /* until it gets its own: share.c */
	p->fs = init_proc.fs;
	p->actions = init_proc.actions;
	default_limits(p);
	sig_pending_init(&p->pending);
	list_init(&p->children);
	list_init(&p->tasks);
	list_add_tail(&p->sibling, &parent->children);
	list_add_tail(&p->all_link, &all_procs);
	return p;
}

void proc_free(struct proc *p)
{
	list_del(&p->sibling);
	list_del(&p->all_link);
	sig_pending_clear(&p->pending, ~0ull);
	share_leave_actions(p);
	p->freed = true;
	if (!p->holds)
		kmm_cache_free(os.k, proc_cache, p);
}

struct kmm_mm *proc_hold(struct proc *p)
{
	p->holds++;
	if (p->mm)
		kmm_mm_get(p->mm);
	return p->mm;
}

void proc_let_go(struct proc *p, struct kmm_mm *mm)
{
	if (mm)
		kmm_mm_put(mm);
	if (--p->holds == 0 && p->freed)
		kmm_cache_free(os.k, proc_cache, p);
}

struct task *task_new(struct proc *proc, uint32_t tid)
{
	struct task *t = kmm_cache_alloc(os.k, task_cache, KMM_GFP_KERNEL);

	if (!t)
		return NULL;
	memset(t, 0, offsetof(struct task, fpu));
	t->stack = kmm_get_free_pages(os.k, KMM_GFP_KERNEL, KERNEL_STACK_ORDER);
	if (!t->stack) {
		kmm_cache_free(os.k, task_cache, t);
		return NULL;
	}
	t->proc = proc;
	t->tid = tid;
	t->call_nr = -1;
	t->cpu = x86_cpu_id();
	t->allowed = ~0u;
	t->at_rest = true;
	t->alt_stack.flags = SS_DISABLE;
	x86_fpu_init(&t->fpu);
	sig_pending_init(&t->pending);
	list_init(&t->run_link);
	list_init(&t->sleep_link);
	list_init(&t->timer_link);
	list_add_tail(&t->proc_link, &proc->tasks);
	proc->nr_tasks++;
	t->context = x86_context_make(task_frame(t), task_start, t);
	return t;
}

/* Not the running one. */
void task_free(struct task *t)
{
	list_del(&t->proc_link);
	sig_pending_clear(&t->pending, ~0ull);
	kmm_free_pages_at(os.k, t->stack, KERNEL_STACK_ORDER);
	kmm_cache_free(os.k, task_cache, t);
}
