/* SPDX-License-Identifier: MIT */
/*
 * deliver.c - the way back to ring 3: let others run, end, stop, and take signals, until nothing is left to do.
 * Also decides what becomes of a system call that a signal interrupted.
 */
#include "proc/cgroup.h"
#include "sig/sig.h"

enum { RESTART_SYSCALL_32 = 0, RESTART_SYSCALL_64 = 219, CALL_SIZE = 2 /* INT 80h and SYSCALL alike */ };
enum { DEFAULT_IGNORE, DEFAULT_STOP, DEFAULT_END };

static int default_action(int sig)
{
	switch (sig) {
	case SIGCHLD:
	case SIGURG:
	case SIGWINCH:
	case SIGCONT: return DEFAULT_IGNORE;
	case SIGSTOP:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU: return DEFAULT_STOP;
	default: return DEFAULT_END;
	}
}

bool sig_ends_at_once(const struct proc *p, int sig)
{
	static const sigset dumps = 1ull << (SIGQUIT - 1) | 1ull << (SIGILL - 1) | 1ull << (SIGTRAP - 1) | 1ull << (SIGABRT - 1) |
				    1ull << (SIGBUS - 1) | 1ull << (SIGFPE - 1) | 1ull << (SIGSEGV - 1) | 1ull << (SIGXCPU - 1) |
				    1ull << (SIGXFSZ - 1) | 1ull << (SIGSYS - 1);

	return p->actions->of[sig - 1].handler == SIG_DFL && default_action(sig) == DEFAULT_END && !(dumps & sig_bit(sig));
}

/* Is there one that gets current out of a frozen cgroup? */
static bool is_to_end(void)
{
	sigset left = (current->pending.set | current->proc->pending.set) & ~current->blocked;

	for (int sig = 1; sig <= NSIG; sig++)
		if ((left & sig_bit(sig)) && sig_ends_at_once(current->proc, sig))
			return true;
	return false;
}

static void stop_process(struct proc *p, int sig)
{
	struct task *t;

	p->stopped = true;
	p->stop_reported = p->continued = false;
	p->stop_signal = sig;
	list_for_each(t, &p->tasks, proc_link)
		sched_notify(t);
	sig_notify_parent(p, CLD_STOPPED, sig);
	sched_wake(&p->parent->children);
}

static void run_default(struct proc *p, int sig)
{
	switch (default_action(sig)) {
	case DEFAULT_STOP: stop_process(p, sig); return;
	case DEFAULT_END: proc_exit(sig);
	default: return;
	}
}

static void again(struct x86_frame *frame, sword number)
{
	x86_frame_set_result(frame, number);
	x86_frame_set_ip(frame, x86_frame_ip(frame) - CALL_SIZE);
}

/* The result of an interrupted call: handler NULL if none is going to run. */
static void settle_restart(struct x86_frame *frame, const struct sig_action *handler)
{
	sword number = current->call_nr, result = (sword)x86_frame_result(frame);

	if (number < 0)
		return;
	current->call_nr = -1;
	if (result != -ERESTARTSYS && result != -ERESTARTNOHAND && result != -ERESTARTBLOCK)
		return;
	if (!handler && result == -ERESTARTBLOCK)
		again(frame, abi_64() ? RESTART_SYSCALL_64 : RESTART_SYSCALL_32);
	else if (!handler || (result == -ERESTARTSYS && (handler->flags & SA_RESTART)))
		again(frame, number);
	else
		x86_frame_set_result(frame, -EINTR);
}

static void run_handler(struct x86_frame *frame, const struct pending_signal *info)
{
	struct sig_action *slot = &current->proc->actions->of[info->signo - 1], action = *slot;
	sigset mask = current->restore_blocked ? current->saved_blocked : current->blocked;
	sigset during = current->blocked | action.mask;

	settle_restart(frame, &action);
	if ((proc_64(current->proc) ? sig_frame_push64 : sig_frame_push32)(frame, info, &action, mask) != 0)
		proc_exit(SIGSEGV); /* no stack to tell it on */
	current->restore_blocked = false;
	if (action.flags & (uint32_t)SA_RESETHAND)
		slot->handler = SIG_DFL;
	if (!(action.flags & SA_NODEFER))
		during |= sig_bit(info->signo);
	sig_set_blocked(during);
}

/* Takes one signal. false: there was none. */
static bool take_one(struct x86_frame *frame)
{
	struct pending_signal info;
	uword handler;

	if (!sig_take(sig_bit(SIGKILL), &info) && !sig_take(~current->blocked, &info))
		return false;
	handler = current->proc->actions->of[info.signo - 1].handler;
	if (info.signo == SIGKILL || info.signo == SIGSTOP || handler == SIG_DFL)
		run_default(current->proc, info.signo);
	else if (handler != SIG_IGN)
		run_handler(frame, &info);
	return true;
}

static void attend(struct x86_frame *frame)
{
	struct proc *p = current->proc;

	__atomic_store_n(&current->notify, false, __ATOMIC_SEQ_CST); /* before the reasons are looked at */
	if (p->exiting)
		task_exit();
	if (p->stopped) {
		current->notify = true; /* look again when continued */
		sched_stop_current();
		return;
	}
	if (cgroup_freezes(p->cgroup) && !is_to_end()) {
		current->notify = true;
		cgroup_stand_still();
		return;
	}
	if (take_one(frame)) {
		current->notify = true;
		return;
	}
	settle_restart(frame, NULL);
	if (current->restore_blocked) {
		current->restore_blocked = false;
		sig_set_blocked(current->saved_blocked);
	}
}

void user_return_slowly(struct x86_frame *frame)
{
	do {
		if (current->resched)
			sched_yield();
		if (current->over_high)
			cgroup_throttle();
		if (!current->notify)
			continue;
		kernel_lock();
		attend(frame);
		kernel_unlock();
	} while (task_must_attend());
}
