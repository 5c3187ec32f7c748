/* SPDX-License-Identifier: MIT */
/* process.c - making, ending, naming and waiting for processes. */
#include "sig/sig.h"
#include "sys/sys.h"

static struct proc *self(void)
{
	return current->proc;
}

int32_t sys_fork(const uint32_t *a)
{
	const struct clone_args args = { .exit_signal = SIGCHLD };

	(void)a;
	return proc_clone(task_frame(current), &args);
}

int32_t sys_vfork(const uint32_t *a)
{
	const struct clone_args args = { .flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD };

	(void)a;
	return proc_clone(task_frame(current), &args);
}

int32_t sys_clone(const uint32_t *a)
{
	const struct clone_args args = {
		.flags = a[0] & ~0xffu, .stack = a[1], .parent_tid = a[2], .tls = a[3], .child_tid = a[4],
		.exit_signal = (int)(a[0] & 0xff),
	};

	if (args.exit_signal > NSIG)
		return -EINVAL;
	return proc_clone(task_frame(current), &args);
}

/* A vector of string pointers in user memory, ending with 0. */
static int add_strings(struct exec_args *args, uint32_t vector, uint32_t *count)
{
	enum { MAX_STRINGS = 1 << 19 };
	uint32_t at = 0;
	int err = 0;

	for (*count = 0; vector && err == 0; (*count)++, vector += 4) {
		err = copy_in(&at, vector, sizeof(at));
		if (err || !at)
			return err;
		err = *count < MAX_STRINGS ? exec_args_add_user(args, at) : -E2BIG;
	}
	return err;
}

int32_t sys_execve(const uint32_t *a)
{
	struct exec_args args = { .data = NULL };
	struct x86_frame *frame = task_frame(current);
	char *path;
	int err = copy_in_path(a[0], &path);

	if (err)
		return err;
	err = add_strings(&args, a[1], &args.argc);
	if (err == 0)
		err = add_strings(&args, a[2], &args.envc);
	if (err == 0)
		err = exec_program(frame, path, &args);
	exec_args_free(&args);
	os_free(path);
	if (err == 0)
		current->orig_eax = -1;
	return err;
}

int32_t sys_exit(const uint32_t *a)
{
	if (self()->nr_tasks == 1)
		proc_exit((int)(a[0] & 0xff) << 8);
	task_exit();
}

int32_t sys_exit_group(const uint32_t *a)
{
	proc_exit((int)(a[0] & 0xff) << 8);
}

/* ---- waiting ---- */

int32_t sys_wait4(const uint32_t *a)
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
	if (a[3] && copy_out(a[3], &result.usage, sizeof(result.usage)) != 0)
		return -EFAULT;
	return (int32_t)result.pid;
}

int32_t sys_waitpid(const uint32_t *a)
{
	const uint32_t args[] = { a[0], a[1], a[2], 0 };

	return sys_wait4(args);
}

static void fill_wait_info(const struct wait_result *r, struct linux_siginfo *info)
{
	int status = r->status;

	*info = (struct linux_siginfo){ .signo = r->pid ? SIGCHLD : 0, .w = { r->pid } };
	if (!r->pid)
		return;
	if (status == 0xffff)
		info->code = CLD_CONTINUED, info->w[2] = SIGCONT;
	else if ((status & 0xff) == 0x7f)
		info->code = CLD_STOPPED, info->w[2] = (uint32_t)status >> 8;
	else if (status & 0x7f)
		info->code = CLD_KILLED, info->w[2] = status & 0x7f;
	else
		info->code = CLD_EXITED, info->w[2] = (uint32_t)status >> 8;
}

int32_t sys_waitid(const uint32_t *a)
{
	enum { P_ALL, P_PID, P_PGID };
	struct wait_request request = { -1, a[3] };
	struct wait_result result;
	struct linux_siginfo info;
	int err;

	if (a[0] > P_PGID || !(a[3] & (WEXITED | WUNTRACED | WCONTINUED)))
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
	fill_wait_info(&result, &info);
	if (a[2] && copy_out(a[2], &info, sizeof(info)) != 0)
		return -EFAULT;
	if (a[4] && result.pid && copy_out(a[4], &result.usage, sizeof(result.usage)) != 0)
		return -EFAULT;
	return 0;
}

/* ---- numbers ---- */

int32_t sys_getpid(const uint32_t *a)
{
	(void)a;
	return (int32_t)self()->pid;
}

int32_t sys_gettid(const uint32_t *a)
{
	(void)a;
	return (int32_t)current->tid;
}

int32_t sys_getppid(const uint32_t *a)
{
	(void)a;
	return (int32_t)self()->parent->pid;
}

int32_t sys_getpgrp(const uint32_t *a)
{
	(void)a;
	return (int32_t)self()->pgid;
}

static struct proc *proc_arg(uint32_t pid)
{
	return pid ? proc_find(pid) : self();
}

int32_t sys_getpgid(const uint32_t *a)
{
	struct proc *p = proc_arg(a[0]);

	return p ? (int32_t)p->pgid : -ESRCH;
}

int32_t sys_getsid(const uint32_t *a)
{
	struct proc *p = proc_arg(a[0]);

	return p ? (int32_t)p->sid : -ESRCH;
}

static bool group_in_session(uint32_t pgid, uint32_t sid)
{
	struct proc *p;

	list_for_each(p, &all_procs, all_link)
		if (p->pgid == pgid && p->sid == sid)
			return true;
	return false;
}

int32_t sys_setpgid(const uint32_t *a)
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

int32_t sys_setsid(const uint32_t *a)
{
	struct proc *p;

	(void)a;
	list_for_each(p, &all_procs, all_link)
		if (p->pgid == self()->pid)
			return -EPERM;
	self()->sid = self()->pgid = self()->pid;
	return (int32_t)self()->pid;
}

int32_t sys_set_tid_address(const uint32_t *a)
{
	current->clear_child_tid = a[0];
	return (int32_t)current->tid;
}

int32_t sys_set_robust_list(const uint32_t *a)
{
	return a[1] == 12 ? 0 : -EINVAL; /* accepted; a robust lock whose owner dies is not released */
}

int32_t sys_getresuid(const uint32_t *a)
{
	for (int i = 0; i < 3; i++)
		if (put_u32(a[i], 0) != 0)
			return -EFAULT;
	return 0;
}
