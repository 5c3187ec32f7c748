/* SPDX-License-Identifier: MIT */
/*
 * fork.c - new processes and threads: what clone(2) asks for. A process shares with its parent what it names (the space,
 * and what share.c has); a thread of the same process shares all of CLONE_VM, FS, FILES, SIGHAND. Threads with a directory or
 * descriptors of their own are refused with EINVAL, and so are namespaces.
 */
#include "abi32.h"
#include "proc/cgroup.h"
#include "sig/sig.h"
#include "sys/sys.h"

enum { THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD };
/* Without effect: nobody traces, there are no input and output contexts, no System V semaphores to undo. */
#define IDLE_FLAGS (CLONE_PTRACE | CLONE_UNTRACED | CLONE_IO | CLONE_SYSVSEM | CLONE_DETACHED)
#define KNOWN_FLAGS \
	(THREAD_FLAGS | IDLE_FLAGS | CLONE_VFORK | CLONE_PARENT | CLONE_PIDFD | CLONE_SETTLS | CLONE_PARENT_SETTID | \
	 CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_CLEAR_SIGHAND)

static int check_flags(uint64_t flags)
{
	if (flags & ~(uint64_t)KNOWN_FLAGS)
		return -EINVAL;
	if ((flags & CLONE_THREAD) && (flags & THREAD_FLAGS) != THREAD_FLAGS)
		return -EINVAL;
	if ((flags & CLONE_SIGHAND) && (!(flags & CLONE_VM) || (flags & CLONE_CLEAR_SIGHAND)))
		return -EINVAL;
	return (flags & CLONE_PIDFD) && (flags & (CLONE_THREAD | CLONE_DETACHED)) ? -EINVAL : 0;
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
	t->personality = current->personality;
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
	child->caps = parent->caps;
	child->is_64 = parent->is_64;
	child->vdso = parent->vdso;
	child->arg_start = parent->arg_start;
	child->arg_end = parent->arg_end;
	child->exe = parent->exe;
	if (child->exe) {
		inode_get(child->exe);
		inode_claim_run(child->exe); /* the parent has it claimed: cannot fail */
	}
	child->exe_entry = parent->exe_entry;
	if (child->exe_entry)
		entry_get(child->exe_entry);
	child->exe_path = parent->exe_path ? os_strdup(parent->exe_path) : NULL;
	memcpy(child->comm, parent->comm, sizeof(child->comm));
	memcpy(child->rlimit, parent->rlimit, sizeof(child->rlimit));
}

static int share_or_copy_space(struct proc *child, struct proc *parent, uint64_t flags)
{
	struct kmm_mm *mm;
	unsigned depth;
	int err;

	if (flags & CLONE_VM) {
		child->mm = parent->mm;
		child->borrows_space = true;
		kmm_mm_get(child->mm);
		return 0;
	}
	current->forking = child;
	depth = kernel_lock_drop(); /* nobody but us has the child, and nobody but us ends us */
	err = os_errno(kmm_mm_fork(parent->mm, &mm));
	kernel_lock_retake(depth);
	child->mm = err ? NULL : mm;
	return err ? err : cgroup_join(mm, child); /* one of us may have been moved meanwhile */
}

/* Undoes proc_new() and what the child got since. */
static void drop_child(struct proc *child)
{
	if (child->mm)
		kmm_mm_put(child->mm);
	share_leave(child);
	if (child->exe)
		inode_release_run(child->exe);
	inode_put(child->exe);
	entry_put(child->exe_entry);
	os_free(child->exe_path);
	proc_free(child);
}

/* A descriptor of the child to its maker. */
static int give_pidfd(struct proc *child, uword at)
{
	int fd = pidfd_new(child, 0);

	if (fd < 0)
		return fd;
	if (put_u32(at, (uint32_t)fd) == 0)
		return 0;
	fd_close(current->proc->fds, (uint32_t)fd);
	return -EFAULT;
}

static int make_process(const struct x86_frame *frame, const struct clone_args *args, struct task **out)
{
	struct proc *parent = current->proc, *child = proc_new(args->flags & CLONE_PARENT ? parent->parent : parent);
	int err;

	if (!child)
		return -ENOMEM;
	child->exit_signal = args->flags & CLONE_PARENT ? parent->exit_signal : args->exit_signal;
	inherit(child, parent);
	err = share_or_copy(child, parent, args->flags);
	if (err == 0 && (args->flags & CLONE_CLEAR_SIGHAND))
		sig_reset_actions(child->actions);
	if (err == 0)
		err = share_or_copy_space(child, parent, args->flags);
	*out = err == 0 ? task_new(child, child->pid) : NULL;
	if (err == 0 && !*out)
		err = -ENOMEM;
	if (err == 0)
		err = set_up_task(*out, frame, args);
	if (err == 0 && (args->flags & CLONE_PIDFD))
		err = give_pidfd(child, args->pidfd);
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
	if (t->proc->exiting || t->proc->stopped || cgroup_freezes(t->proc->cgroup) || sig_is_pending(t)) /* while it was made and nobody could tell it */
		t->notify = true;
	sched_add(t);
	if (args->flags & CLONE_VFORK) {
		struct proc *child = t->proc;

		current->in_vfork = true;
		while (proc_find(tid) == child && child->vfork_parent == current)
			sched_sleep(&child->vfork_parent, false, 0);
		current->in_vfork = false;
	}
	return (int)tid;
}
