/* SPDX-License-Identifier: MIT */
/* signal.c - the signal calls, in their old (one word of mask) and new (two words) forms. */
#include "sig/sig.h"
#include "sys/sys.h"

enum { SIGSET_SIZE = 8 };

/* ---- sending ---- */

static int32_t kill_all(int sig)
{
	int32_t result = -ESRCH;
	struct proc *p, *tmp;

	list_for_each_safe(p, tmp, &all_procs, all_link) {
		if (p == &init_proc || p == current->proc || p->state == PROC_ZOMBIE)
			continue;
		sig_send_proc(p, sig, SI_USER);
		result = 0;
	}
	return result;
}

int32_t sys_kill(const uint32_t *a)
{
	int32_t pid = (int32_t)a[0];
	struct proc *p;

	if (a[1] > NSIG)
		return -EINVAL;
	if (pid == -1)
		return kill_all((int)a[1]);
	if (pid <= 0)
		return sig_send_group(pid ? (uint32_t)-pid : current->proc->pgid, (int)a[1]);
	p = proc_find((uint32_t)pid);
	if (!p)
		return -ESRCH;
	sig_send_proc(p, (int)a[1], SI_USER);
	return 0;
}

static int32_t kill_task(uint32_t tgid, uint32_t tid, uint32_t sig)
{
	struct task *t = task_find(tid);

	if (sig > NSIG || (int32_t)tid <= 0)
		return -EINVAL;
	if (!t || (tgid && t->proc->pid != tgid))
		return -ESRCH;
	sig_send_task(t, (int)sig, SI_TKILL);
	return 0;
}

int32_t sys_tkill(const uint32_t *a)
{
	return kill_task(0, a[0], a[1]);
}

int32_t sys_tgkill(const uint32_t *a)
{
	return (int32_t)a[0] <= 0 ? -EINVAL : kill_task(a[0], a[1], a[2]);
}

/* ---- actions ---- */

/* What newly is ignored is also forgotten if it waits. */
static void set_action(uint32_t sig, const struct linux_sigaction *action)
{
	struct proc *p = current->proc;
	struct task *t;

	p->action[sig - 1] = *action;
	if (!sig_is_ignored(p, (int)sig))
		return;
	sig_pending_clear(&p->pending, sig_bit((int)sig));
	list_for_each(t, &p->tasks, proc_link)
		sig_pending_clear(&t->pending, sig_bit((int)sig));
}

static bool may_act(uint32_t sig, bool set)
{
	return sig >= 1 && sig <= NSIG && !(set && (sig == SIGKILL || sig == SIGSTOP));
}

int32_t sys_rt_sigaction(const uint32_t *a)
{
	struct linux_sigaction fresh, old;

	if (a[3] != SIGSET_SIZE || !may_act(a[0], a[1]))
		return -EINVAL;
	old = current->proc->action[a[0] - 1];
	if (a[1]) {
		if (copy_in(&fresh, a[1], sizeof(fresh)) != 0)
			return -EFAULT;
		set_action(a[0], &fresh);
	}
	return a[2] ? copy_out(a[2], &old, sizeof(old)) : 0;
}

int32_t sys_sigaction(const uint32_t *a)
{
	struct linux_old_sigaction fresh, old;
	const struct linux_sigaction *was;

	if (!may_act(a[0], a[1]))
		return -EINVAL;
	was = &current->proc->action[a[0] - 1];
	old = (struct linux_old_sigaction){ was->handler, was->mask[0], was->flags, was->restorer };
	if (a[1]) {
		if (copy_in(&fresh, a[1], sizeof(fresh)) != 0)
			return -EFAULT;
		set_action(a[0], &(struct linux_sigaction){ fresh.handler, fresh.flags, fresh.restorer,
							    { fresh.mask, 0 } });
	}
	return a[2] ? copy_out(a[2], &old, sizeof(old)) : 0;
}

int32_t sys_signal(const uint32_t *a)
{
	uint32_t old;

	if (!may_act(a[0], true))
		return -EINVAL;
	old = current->proc->action[a[0] - 1].handler;
	set_action(a[0], &(struct linux_sigaction){ .handler = a[1],
						    .flags = (uint32_t)SA_RESETHAND | SA_NODEFER });
	return (int32_t)old;
}

/* ---- masks ---- */

static int change_mask(uint32_t how, sigset set)
{
	switch (how) {
	case SIG_BLOCK: sig_set_blocked(current->blocked | set); return 0;
	case SIG_UNBLOCK: sig_set_blocked(current->blocked & ~set); return 0;
	case SIG_SETMASK: sig_set_blocked(set); return 0;
	default: return -EINVAL;
	}
}

static int32_t sigprocmask(const uint32_t *a, size_t size)
{
	sigset old = current->blocked, set = 0;
	int err;

	if (a[1]) {
		if (copy_in(&set, a[1], size) != 0)
			return -EFAULT;
		if (size < SIGSET_SIZE && a[0] == SIG_SETMASK) /* the old call keeps the upper half */
			set |= old & ~0xffffffffull;
		err = change_mask(a[0], set);
		if (err)
			return err;
	}
	return a[2] ? copy_out(a[2], &old, size) : 0;
}

int32_t sys_sigprocmask(const uint32_t *a)
{
	return sigprocmask(a, 4);
}

int32_t sys_rt_sigprocmask(const uint32_t *a)
{
	return a[3] == SIGSET_SIZE ? sigprocmask(a, SIGSET_SIZE) : -EINVAL;
}

static sigset pending_now(void)
{
	return (current->pending.set | current->proc->pending.set) & current->blocked;
}

int32_t sys_sigpending(const uint32_t *a)
{
	return put_u32(a[0], (uint32_t)pending_now());
}

int32_t sys_rt_sigpending(const uint32_t *a)
{
	sigset set = pending_now();

	return a[1] > SIGSET_SIZE ? -EINVAL : copy_out(a[0], &set, a[1]);
}

/* ---- waiting ---- */

static int32_t wait_for_signal(void)
{
	static char nobody_wakes_this;

	while (sched_sleep(&nobody_wakes_this, true, 0) == 0)
		;
	return -ERESTARTNOHAND;
}

int32_t sys_pause(const uint32_t *a)
{
	(void)a;
	return wait_for_signal();
}

static int32_t suspend(sigset mask)
{
	current->saved_blocked = current->blocked;
	current->restore_blocked = true;
	sig_set_blocked(mask);
	return wait_for_signal();
}

int32_t sys_sigsuspend(const uint32_t *a)
{
	return suspend(a[2]); /* the first two arguments are history */
}

int32_t sys_rt_sigsuspend(const uint32_t *a)
{
	sigset mask;

	if (a[1] != SIGSET_SIZE)
		return -EINVAL;
	return copy_in(&mask, a[0], sizeof(mask)) != 0 ? -EFAULT : suspend(mask);
}

static int32_t sigtimedwait(const uint32_t *a, bool is64)
{
	static char nobody_wakes_this;
	struct pending_signal info;
	struct linux_siginfo out = { .signo = 0 };
	uint64_t deadline;
	sigset set, blocked = current->blocked;
	int err = a[3] == SIGSET_SIZE ? copy_in(&set, a[0], sizeof(set)) : -EINVAL;

	if (err == 0)
		err = user_deadline(a[2], is64, &deadline);
	if (err)
		return err;
	while (!sig_take(set, &info)) {
		current->blocked &= ~set; /* so that they wake us; nothing is delivered before we look */
		err = sched_sleep(&nobody_wakes_this, true, deadline);
		current->blocked = blocked;
		if (err == -EINTR && ((current->pending.set | current->proc->pending.set) & set)) {
			current->notify = sig_is_pending(current) || current->proc->exiting;
			continue;
		}
		if (err)
			return err == -ETIMEDOUT ? -EAGAIN : -EINTR;
	}
	out.signo = info.signo;
	out.code = info.code;
	memcpy(out.w, info.w, sizeof(info.w));
	if (a[1] && copy_out(a[1], &out, sizeof(out)) != 0)
		return -EFAULT;
	return info.signo;
}

int32_t sys_rt_sigtimedwait(const uint32_t *a)
{
	return sigtimedwait(a, false);
}

int32_t sys_rt_sigtimedwait_time64(const uint32_t *a)
{
	return sigtimedwait(a, true);
}

/* ---- returning ---- */

int32_t sys_sigreturn(const uint32_t *a)
{
	(void)a;
	return sig_frame_pop(task_frame(current), false);
}

int32_t sys_rt_sigreturn(const uint32_t *a)
{
	(void)a;
	return sig_frame_pop(task_frame(current), true);
}

int32_t sys_sigaltstack(const uint32_t *a)
{
	uint32_t sp = task_frame(current)->esp;
	struct linux_stack fresh, old = current->alt_stack;
	bool on_it = !(old.flags & SS_DISABLE) && sp > old.sp && sp - old.sp <= old.size;

	if (a[0]) {
		if (copy_in(&fresh, a[0], sizeof(fresh)) != 0)
			return -EFAULT;
		if (on_it)
			return -EPERM;
		if (fresh.flags & ~(uint32_t)SS_DISABLE)
			return -EINVAL;
		if (!(fresh.flags & SS_DISABLE) && fresh.size < MINSIGSTKSZ)
			return -ENOMEM;
		current->alt_stack = fresh;
	}
	if (on_it)
		old.flags |= SS_ONSTACK;
	return a[1] ? copy_out(a[1], &old, sizeof(old)) : 0;
}
