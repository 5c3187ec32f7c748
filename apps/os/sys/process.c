/* SPDX-License-Identifier: MIT */
/* process.c - making, ending, naming and waiting for processes. */
#include "sig/sig.h"
#include "sys/sys.h"

static struct proc *self(void)
{
	return current->proc;
}

sword sys_fork(const uword *a)
{
	const struct clone_args args = { .exit_signal = SIGCHLD };

	(void)a;
	return proc_clone(task_frame(current), &args);
}

sword sys_vfork(const uword *a)
{
	const struct clone_args args = { .flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD };

	(void)a;
	return proc_clone(task_frame(current), &args);
}

sword sys_clone(const uword *a)
{
	const struct clone_args args = {
		.flags = (uint32_t)a[0] & ~0xffu, .stack = a[1], .parent_tid = a[2], .tls = abi_64() ? a[4] : a[3],
		.child_tid = abi_64() ? a[3] : a[4], .exit_signal = (int)(a[0] & 0xff), .pidfd = a[2],
	};

	if (args.exit_signal > NSIG || (args.flags & CLONE_PIDFD && args.flags & CLONE_PARENT_SETTID)) /* one place for both */
		return -EINVAL;
	return proc_clone(task_frame(current), &args);
}

/* A structure of later versions may say nothing that this one does not know: bytes [from, to) of it are 0. */
static int check_zeros(uword at, uword from, uword to)
{
	for (uint8_t byte; from < to; from++) {
		if (copy_in(&byte, at + from, 1) != 0)
			return -EFAULT;
		if (byte)
			return -E2BIG;
	}
	return 0;
}

/* struct clone_args of the first version, clone(2): eight words of 64 bits, and three more that this kernel has no use for.
 * A longer structure must end with zeros. */
sword sys_clone3(const uword *a)
{
	enum { FLAGS, PIDFD, CHILD_TID, PARENT_TID, EXIT_SIGNAL, STACK, STACK_SIZE, TLS, SET_TID, SET_TID_SIZE, CGROUP, NR };
	uint64_t v[NR] = { 0 };
	struct clone_args args;
	int err;

	if (a[1] < SET_TID * sizeof(*v) || a[1] > KMM_PAGE_SIZE)
		return a[1] > KMM_PAGE_SIZE ? -E2BIG : -EINVAL;
	if (copy_in(v, a[0], min_word(a[1], sizeof(v))) != 0)
		return -EFAULT;
	err = check_zeros(a[0], sizeof(v), a[1]);
	if (err)
		return err;
	if ((v[FLAGS] & 0xff) || (v[FLAGS] & CLONE_DETACHED) || v[SET_TID_SIZE] || v[EXIT_SIGNAL] > NSIG || !v[STACK] != !v[STACK_SIZE] ||
	    v[STACK] + v[STACK_SIZE] < v[STACK] || ((v[FLAGS] & (CLONE_THREAD | CLONE_PARENT)) && v[EXIT_SIGNAL]))
		return -EINVAL;
	args = (struct clone_args){
		.flags = v[FLAGS], .pidfd = (uword)v[PIDFD], .stack = (uword)(v[STACK] + v[STACK_SIZE]), .parent_tid = (uword)v[PARENT_TID],
		.child_tid = (uword)v[CHILD_TID], .tls = (uword)v[TLS], .exit_signal = (int)v[EXIT_SIGNAL],
	};
	return proc_clone(task_frame(current), &args);
}

/* unshare(2) of what share.c has, by a process of one thread. All else is refused: there is nothing that it could mean here. */
sword sys_unshare(const uword *a)
{
	const uint32_t alone = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	uint32_t flags = (uint32_t)a[0];

	if (flags & ~(alone | CLONE_FILES | CLONE_FS | CLONE_SYSVSEM))
		return -EINVAL;
	if (self()->nr_tasks > 1 && flags)
		return -EINVAL;
	if ((flags & (CLONE_SIGHAND | CLONE_VM)) && self()->actions->refs > 1)
		return -EINVAL;
	if ((flags & CLONE_VM) && self()->borrows_space)
		return -EINVAL;
	return share_end(self(), flags);
}

/* A vector of string pointers in user memory, ending with 0. */
static int add_strings(struct exec_args *args, uword vector, uint32_t *count)
{
	enum { MAX_STRINGS = 1 << 19 };
	uword at = 0;
	int err = 0;

	for (*count = 0; vector && err == 0; (*count)++, vector += abi_64() ? 8 : 4) {
		err = copy_in(&at, vector, abi_64() ? 8 : 4);
		if (err || !at)
			return err;
		err = *count < MAX_STRINGS ? exec_args_add_user(args, at) : -E2BIG;
	}
	return err;
}

sword sys_execve(const uword *a)
{
	struct exec_args args = { .data = NULL };
	struct x86_frame *frame = task_frame(current);
	char *path;
	int err = copy_in_path(a[0], &path);

	if (err)
		return err;
	err = add_strings(&args, a[1], &args.argc);
	if (err == 0 && args.argc == 0) { /* as Linux since 5.18: programs rely on an argv[0] */
		err = exec_args_add(&args, "", 0);
		args.argc = 1;
	}
	if (err == 0)
		err = add_strings(&args, a[2], &args.envc);
	if (err == 0)
		err = exec_program(frame, path, &args);
	exec_args_free(&args);
	os_free(path);
	if (err == 0)
		current->call_nr = -1;
	return err;
}

sword sys_exit(const uword *a)
{
	if (self()->nr_tasks == 1)
		proc_exit((int)(a[0] & 0xff) << 8);
	task_exit();
}

sword sys_exit_group(const uword *a)
{
	proc_exit((int)(a[0] & 0xff) << 8);
}

/* ---- waiting ---- */

sword sys_wait4(const uword *a)
{
	const struct wait_request request = { (int32_t)a[0], (a[2] & ~(uint32_t)WNOWAIT) | WEXITED };
	struct wait_result result;
	int err;

	if (a[2] & ~(uint32_t)(WNOHANG | WUNTRACED | WCONTINUED | 0xe0000000u))
		return -EINVAL;
	err = proc_wait(&request, &result);
	if (err || !result.pid)
		return err;
	if (a[1] && put_u32(a[1], (uint32_t)result.status) != 0)
		return -EFAULT;
	if (a[3] && put_rusage(a[3], &result.usage) != 0)
		return -EFAULT;
	return (int32_t)result.pid;
}

sword sys_waitpid(const uword *a)
{
	const uword args[] = { a[0], a[1], a[2], 0 };

	return sys_wait4(args);
}

static struct pending_signal wait_info(const struct wait_result *r)
{
	struct pending_signal info = { .signo = r->pid ? SIGCHLD : 0, .pid = r->pid };
	int status = r->status;

	if (!r->pid)
		return info;
	if (status == 0xffff)
		info.code = CLD_CONTINUED, info.status = SIGCONT;
	else if ((status & 0xff) == 0x7f)
		info.code = CLD_STOPPED, info.status = (uint32_t)status >> 8;
	else if (status & 0x7f)
		info.code = CLD_KILLED, info.status = status & 0x7f;
	else
		info.code = CLD_EXITED, info.status = (uint32_t)status >> 8;
	return info;
}

sword sys_waitid(const uword *a)
{
	enum { P_ALL, P_PID, P_PGID };
	struct wait_request request = { -1, a[3] };
	struct wait_result result;
	struct pending_signal info;
	int err;

	if ((uint32_t)a[0] > P_PGID || !(a[3] & (WEXITED | WUNTRACED | WCONTINUED)))
		return -EINVAL;
	if (a[0] == P_PID)
		request.which = (int32_t)a[1];
	else if (a[0] == P_PGID)
		request.which = a[1] ? -(int32_t)a[1] : 0;
	if (a[0] == P_PID && request.which <= 0)
		return -EINVAL;
	err = proc_wait(&request, &result);
	if (err)
		return err;
	info = wait_info(&result);
	if (a[2] && put_siginfo(a[2], &info) != 0)
		return -EFAULT;
	if (a[4] && result.pid && put_rusage(a[4], &result.usage) != 0)
		return -EFAULT;
	return 0;
}

/* ---- numbers ---- */

sword sys_getpid(const uword *a)
{
	(void)a;
	return (int32_t)self()->pid;
}

sword sys_gettid(const uword *a)
{
	(void)a;
	return (int32_t)current->tid;
}

sword sys_getppid(const uword *a)
{
	(void)a;
	return (int32_t)self()->ppid;
}

sword sys_getpgrp(const uword *a)
{
	(void)a;
	return (int32_t)self()->pgid;
}

static struct proc *proc_arg(uint32_t pid)
{
	return pid ? proc_find(pid) : self();
}

sword sys_getpgid(const uword *a)
{
	sword pgid = -ESRCH;
	struct proc *p;

	if (!a[0])
		return sys_getpgrp(a);
	kernel_lock();
	p = proc_find((uint32_t)a[0]);
	if (p)
		pgid = (int32_t)p->pgid;
	kernel_unlock();
	return pgid;
}

sword sys_getsid(const uword *a)
{
	sword sid = -ESRCH;
	struct proc *p;

	if (!a[0])
		return (int32_t)self()->sid;
	kernel_lock();
	p = proc_find((uint32_t)a[0]);
	if (p)
		sid = (int32_t)p->sid;
	kernel_unlock();
	return sid;
}

static bool group_in_session(uint32_t pgid, uint32_t sid)
{
	struct proc *p;

	list_for_each(p, &all_procs, all_link)
		if (p->pgid == pgid && p->sid == sid)
			return true;
	return false;
}

sword sys_setpgid(const uword *a)
{
	struct proc *p = proc_arg(a[0]);
	uint32_t pgid = a[1] ? a[1] : p ? p->pid : 0;

	if ((int32_t)a[1] < 0)
		return -EINVAL;
	if (!p || (p != self() && p->parent != self()))
		return -ESRCH;
	if (p != self() && p->has_execed)
		return -EACCES;
	if (p->sid != self()->sid || p->sid == p->pid)
		return -EPERM;
	if (pgid != p->pid && !group_in_session(pgid, p->sid))
		return -EPERM;
	p->pgid = pgid;
	return 0;
}

sword sys_setsid(const uword *a)
{
	struct proc *p;

	(void)a;
	list_for_each(p, &all_procs, all_link)
		if (p->pgid == self()->pid)
			return -EPERM;
	self()->sid = self()->pgid = self()->pid;
	return (int32_t)self()->pid;
}

sword sys_set_tid_address(const uword *a)
{
	current->clear_child_tid = a[0];
	return (int32_t)current->tid;
}

sword sys_set_robust_list(const uword *a)
{
	if (a[1] != (abi_64() ? 24 : 12))
		return -EINVAL;
	current->robust_list = a[0];
	current->robust_64 = abi_64();
	return 0;
}
