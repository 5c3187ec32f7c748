/* SPDX-License-Identifier: MIT */
/*
 * fork.c - new processes and threads. Two shapes of clone(2) are served: a new process (its space copied, or with
 * CLONE_VM shared, as vfork and posix_spawn do) and a new thread of the same process (all of CLONE_VM, FS, FILES,
 * SIGHAND, THREAD). Mixtures in between are refused with EINVAL.
 */
#include "abi32.h"
#include "sig/sig.h"

enum { THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD };
enum { KNOWN_FLAGS = THREAD_FLAGS | CLONE_VFORK | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
		     CLONE_CHILD_CLEARTID | CLONE_DETACHED | CLONE_CHILD_SETTID };

static int check_flags(uint32_t flags)
{
	if (flags & ~(uint32_t)KNOWN_FLAGS)
		return -EINVAL;
	if ((flags & CLONE_THREAD) && (flags & THREAD_FLAGS) != THREAD_FLAGS)
		return -EINVAL;
	if (!(flags & CLONE_THREAD) && (flags & (CLONE_FS | CLONE_FILES | CLONE_SIGHAND)))
		return -EINVAL;
	return 0;
}

#ifdef __x86_64__
static int set_tls64(struct task *t, uword base)
{
	if (base >= kmm_layout_of(os.k)->user_end_max)
		return -EPERM;
	t->tls.fs_base = base;
	t->tls.fs = 0;
	return 0;
}
#else
static int set_tls64(struct task *t, uword base)
{
	(void)t, (void)base;
	return -EINVAL;
}
#endif

/* The thread pointer of a new thread: an address in a 64-bit program, a descriptor in a 32-bit one. */
static int set_tls(struct task *t, uword tls)
{
	struct linux32_user_desc desc;

	if (abi_64())
		return set_tls64(t, tls);
	if (copy_in(&desc, tls, sizeof(desc)) != 0)
		return -EFAULT;
	if (desc.entry < X86_TLS_MIN || desc.entry >= X86_TLS_MIN + X86_TLS_COUNT)
		return -EINVAL;
	t->tls.desc[desc.entry - X86_TLS_MIN] = x86_tls_descriptor(desc.base, desc.limit, desc.flags);
	return 0;
}

/* The new task continues where the running one is, with its own stack pointer and 0 as result. */
static int set_up_task(struct task *t, const struct x86_frame *frame, const struct clone_args *args)
{
	struct x86_frame *f = task_frame(t);

	*f = *frame;
	x86_frame_set_result(f, 0);
	if (args->stack)
		x86_frame_set_sp(f, args->stack);
	t->call_is_64 = current->call_is_64;
	x86_tls_save(&current->tls);
	t->tls = current->tls;
	t->blocked = current->blocked;
	t->allowed = current->allowed;
	if (!(args->flags & CLONE_VM) || (args->flags & CLONE_VFORK))
		t->alt_stack = current->alt_stack;
	x86_fpu_copy(&t->fpu, &current->fpu);
	if (args->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = args->child_tid;
	return args->flags & CLONE_SETTLS ? set_tls(t, args->tls) : 0;
}

static void inherit(struct proc *child, const struct proc *parent)
{
	child->pgid = parent->pgid;
	child->sid = parent->sid;
	child->umask = parent->umask;
	child->caps = parent->caps;
	child->is_64 = parent->is_64;
	child->arg_start = parent->arg_start;
	child->arg_end = parent->arg_end;
	child->cwd = parent->cwd;
	inode_get(child->cwd);
	child->exe = parent->exe;
	if (child->exe) {
		inode_get(child->exe);
		inode_claim_run(child->exe); /* the parent has it claimed: cannot fail */
	}
	child->exe_path = parent->exe_path ? os_strdup(parent->exe_path) : NULL;
	memcpy(child->comm, parent->comm, sizeof(child->comm));
	memcpy(child->rlimit, parent->rlimit, sizeof(child->rlimit));
	memcpy(child->action, parent->action, sizeof(child->action));
}

static int share_or_copy_space(struct proc *child, struct proc *parent, uint32_t flags)
{
	struct kmm_mm *mm;
	unsigned depth;
	int err;

	if (flags & CLONE_VM) {
		child->mm = parent->mm;
		kmm_mm_get(child->mm);
		return 0;
	}
	current->forking = child;
	depth = kernel_lock_drop(); /* nobody but us has the child, and nobody but us ends us */
	err = os_errno(kmm_mm_fork(parent->mm, &mm));
	kernel_lock_retake(depth);
	child->mm = err ? NULL : mm;
	return err;
}

/* Undoes proc_new() and what the child got since. */
static void drop_child(struct proc *child)
{
	if (child->mm)
		kmm_mm_put(child->mm);
	fd_table_clear(&child->fds);
	inode_put(child->cwd);
	if (child->exe)
		inode_release_run(child->exe);
	inode_put(child->exe);
	os_free(child->exe_path);
	proc_free(child);
}

static int make_process(const struct x86_frame *frame, const struct clone_args *args, struct task **out)
{
	struct proc *parent = current->proc, *child = proc_new(parent);
	int err;

	if (!child)
		return -ENOMEM;
	child->exit_signal = args->exit_signal;
	inherit(child, parent);
	err = fd_table_copy(&child->fds, &parent->fds);
	if (err == 0)
		err = share_or_copy_space(child, parent, args->flags);
	*out = err == 0 ? task_new(child, child->pid) : NULL;
	if (err == 0 && !*out)
		err = -ENOMEM;
	if (err == 0)
		err = set_up_task(*out, frame, args);
	if (err) {
		if (*out)
			task_free(*out);
		drop_child(child);
	}
	return err;
}

static int make_thread(const struct x86_frame *frame, const struct clone_args *args, struct task **out)
{
	int err;

	*out = task_new(current->proc, pid_new());
	if (!*out)
		return -ENOMEM;
	err = set_up_task(*out, frame, args);
	if (err) {
		current->proc->nr_tasks--;
		task_free(*out);
	}
	return err;
}

static void report_tid(const struct task *t, const struct clone_args *args)
{
	if ((args->flags & CLONE_PARENT_SETTID) && put_u32(args->parent_tid, t->tid) != 0)
		return; /* the child exists already: as on Linux, the caller just does not learn its number */
	if ((args->flags & CLONE_CHILD_SETTID) &&
	    kmm_copy_out(t->proc->mm, kmm_uva(args->child_tid), &t->tid, sizeof(t->tid), NULL) != KMM_OK)
		return;
}

int proc_clone(const struct x86_frame *frame, const struct clone_args *args)
{
	struct task *t;
	uint32_t tid;
	int err = check_flags(args->flags);

	if (err == 0)
		err = args->flags & CLONE_THREAD ? make_thread(frame, args, &t) : make_process(frame, args, &t);
	if (err)
		return err;
	report_tid(t, args);
	tid = t->tid;
	if (args->flags & CLONE_VFORK)
		t->proc->vfork_parent = current;
	if (t->proc->exiting || t->proc->stopped || sig_is_pending(t)) /* while it was made and nobody could tell it */
		t->notify = true;
	sched_add(t);
	if (args->flags & CLONE_VFORK) {
		struct proc *child = t->proc;

		while (proc_find(tid) == child && child->vfork_parent == current)
			sched_sleep(&child->vfork_parent, false, 0);
	}
	return (int)tid;
}
