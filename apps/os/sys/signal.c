/* SPDX-License-Identifier: MIT */
/* signal.c - the signal calls, in their old (one word of mask) and new (two words) forms. */
#include "abi32.h"
#include "sig/sig.h"
#include "sys/sys.h"

enum { SIGSET_SIZE = 8 };

/* ---- sending ---- */

static sword kill_all(int sig)
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

sword sys_kill(const uword *a)
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

static sword kill_task(uint32_t tgid, uint32_t tid, uint32_t sig)
{
	struct task *t = task_find(tid);

	if (sig > NSIG || (int32_t)tid <= 0)
		return -EINVAL;
	if (!t || (tgid && t->proc->pid != tgid))
		return -ESRCH;
	sig_send_task(t, (int)sig, SI_TKILL);
	return 0;
}

sword sys_tkill(const uword *a)
{
	return kill_task(0, a[0], a[1]);
}

sword sys_tgkill(const uword *a)
{
	return (int32_t)a[0] <= 0 ? -EINVAL : kill_task(a[0], a[1], a[2]);
}

/* ---- actions ---- */

/* What newly is ignored is also forgotten if it waits. */
static void set_action(uint32_t sig, const struct sig_action *action)
{
	struct proc *p = current->proc;
	struct task *t;

	p->actions->of[sig - 1] = *action;
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

/* handler, flags, restorer, then the mask: the same order in both sizes. */
static int get_action(struct sig_action *to, uword from)
{
	uword w[3];
	int err = get_words(w, from, 3);

	*to = (struct sig_action){ .handler = w[0], .flags = (uint32_t)w[1], .restorer = w[2] };
	return err ? err : copy_in(&to->mask, from + (abi_64() ? 24 : 12), sizeof(to->mask));
}

static int put_action(uword to, const struct sig_action *from)
{
	int err = put_words(to, (const uword[]){ from->handler, from->flags, from->restorer }, 3);

	return err ? err : copy_out(to + (abi_64() ? 24 : 12), &from->mask, sizeof(from->mask));
}

sword sys_rt_sigaction(const uword *a)
{
	struct sig_action fresh, old;

	if (a[3] != SIGSET_SIZE || !may_act(a[0], a[1]))
		return -EINVAL;
	old = current->proc->actions->of[a[0] - 1];
	if (a[1]) {
		if (get_action(&fresh, a[1]) != 0)
			return -EFAULT;
		set_action(a[0], &fresh);
	}
	return a[2] ? put_action(a[2], &old) : 0;
}

sword sys_sigaction(const uword *a)
{
	struct linux32_old_sigaction fresh, old;
	const struct sig_action *was;

	if (!may_act(a[0], a[1]))
		return -EINVAL;
	was = &current->proc->actions->of[a[0] - 1];
	old = (struct linux32_old_sigaction){ (uint32_t)was->handler, (uint32_t)was->mask, was->flags,
					      (uint32_t)was->restorer };
	if (a[1]) {
		if (copy_in(&fresh, a[1], sizeof(fresh)) != 0)
			return -EFAULT;
		set_action(a[0], &(struct sig_action){ fresh.handler, fresh.restorer, fresh.flags, fresh.mask });
	}
	return a[2] ? copy_out(a[2], &old, sizeof(old)) : 0;
}

sword sys_signal(const uword *a)
{
	uword old;

	if (!may_act(a[0], true))
		return -EINVAL;
	old = current->proc->actions->of[a[0] - 1].handler;
	set_action(a[0], &(struct sig_action){ .handler = a[1],
						    .flags = (uint32_t)SA_RESETHAND | SA_NODEFER });
	return (sword)old;
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

static sword sigprocmask(const uword *a, size_t size)
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

sword sys_sigprocmask(const uword *a)
{
	return sigprocmask(a, 4);
}

sword sys_rt_sigprocmask(const uword *a)
{
	return a[3] == SIGSET_SIZE ? sigprocmask(a, SIGSET_SIZE) : -EINVAL;
}

static sigset pending_now(void)
{
	return (current->pending.set | current->proc->pending.set) & current->blocked;
}

sword sys_sigpending(const uword *a)
{
	return put_u32(a[0], (uint32_t)pending_now());
}

sword sys_rt_sigpending(const uword *a)
{
	sigset set = pending_now();

	return a[1] > SIGSET_SIZE ? -EINVAL : copy_out(a[0], &set, a[1]);
}

/* ---- waiting ---- */

static sword wait_for_signal(void)
{
	static char nobody_wakes_this;

	while (sched_sleep(&nobody_wakes_this, true, 0) == 0)
		;
	return -ERESTARTNOHAND;
}

sword sys_pause(const uword *a)
{
	(void)a;
	return wait_for_signal();
}

static sword suspend(sigset mask)
{
	current->saved_blocked = current->blocked;
	current->restore_blocked = true;
	sig_set_blocked(mask);
	return wait_for_signal();
}

sword sys_sigsuspend(const uword *a)
{
	return suspend(a[2]); /* the first two arguments are history */
}

sword sys_rt_sigsuspend(const uword *a)
{
	sigset mask;

	if (a[1] != SIGSET_SIZE)
		return -EINVAL;
	return copy_in(&mask, a[0], sizeof(mask)) != 0 ? -EFAULT : suspend(mask);
}

static sword sigtimedwait(const uword *a, bool is64)
{
	static char nobody_wakes_this;
	struct pending_signal info;
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
	if (a[1] && put_siginfo(a[1], &info) != 0)
		return -EFAULT;
	return info.signo;
}

sword sys_rt_sigtimedwait(const uword *a)
{
	return sigtimedwait(a, false);
}

sword sys_rt_sigtimedwait_time64(const uword *a)
{
	return sigtimedwait(a, true);
}

/* ---- returning ---- */

sword sys_sigreturn(const uword *a)
{
	(void)a;
	return sig_frame_pop32(task_frame(current), false);
}

sword sys_rt_sigreturn(const uword *a)
{
	(void)a;
	return abi_64() ? sig_frame_pop64(task_frame(current)) : sig_frame_pop32(task_frame(current), true);
}

/* sp, flags, size: the flags are 32 bits in either size, what follows them in 64 is padding. */
static int get_stack(struct sig_stack *to, uword from)
{
	uword w[3];
	int err = get_words(w, from, 3);

	*to = (struct sig_stack){ .sp = w[0], .flags = (uint32_t)w[1], .size = w[2] };
	return err;
}

sword sys_sigaltstack(const uword *a)
{
	struct sig_stack fresh, old = current->alt_stack;
	bool on_it = sig_on_alt_stack(x86_frame_sp(task_frame(current)));

	if (a[0]) {
		if (get_stack(&fresh, a[0]) != 0)
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
	return a[1] ? put_words(a[1], (const uword[]){ old.sp, old.flags, old.size }, 3) : 0;
}
