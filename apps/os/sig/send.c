/* SPDX-License-Identifier: MIT */
/* send.c - signals on their way: who gets one, what it replaces, whom it wakes. */
#include "sig/sig.h"

static const sigset STOP_SIGNALS = 1ull << (SIGSTOP - 1) | 1ull << (SIGTSTP - 1) | 1ull << (SIGTTIN - 1) |
				   1ull << (SIGTTOU - 1);
static const sigset IGNORED_BY_DEFAULT = 1ull << (SIGCHLD - 1) | 1ull << (SIGURG - 1) | 1ull << (SIGWINCH - 1) |
					 1ull << (SIGCONT - 1);
enum { FIRST_REALTIME = 32 };

void sig_pending_init(struct pending *pending)
{
	pending->set = 0;
	list_init(&pending->queue);
}

void sig_pending_clear(struct pending *pending, sigset which)
{
	struct pending_signal *s, *tmp;

	list_for_each_safe(s, tmp, &pending->queue, link) {
		if (!(which & sig_bit(s->signo)))
			continue;
		list_del(&s->link);
		os_free(s);
	}
	pending->set &= ~which;
}

bool sig_is_ignored(const struct proc *proc, int sig)
{
	uword handler = proc->actions->of[sig - 1].handler;

	return handler == SIG_IGN || (handler == SIG_DFL && (IGNORED_BY_DEFAULT & sig_bit(sig)));
}

bool sig_is_pending(const struct task *task)
{
	return ((task->pending.set | task->proc->pending.set) & ~task->blocked) != 0;
}

void sig_set_blocked(sigset blocked)
{
	current->blocked = blocked & ~(sig_bit(SIGKILL) | sig_bit(SIGSTOP));
	if (sig_is_pending(current))
		current->notify = true;
}

/* Without memory for the details the bare bit must do. */
static void enqueue(struct pending *pending, const struct pending_signal *info)
{
	struct pending_signal *s;

	if ((pending->set & sig_bit(info->signo)) && info->signo < FIRST_REALTIME)
		return;
	pending->set |= sig_bit(info->signo);
	s = kmm_kmalloc(os.k, sizeof(*s), KMM_GFP_ATOMIC);
	if (!s)
		return;
	*s = *info;
	list_add_tail(&s->link, &pending->queue);
}

static void continue_process(struct proc *proc)
{
	struct task *t;

	proc->stopped = false;
	list_for_each(t, &proc->tasks, proc_link)
		sched_continue(t);
}

/* Stop and continue cancel each other, whether or not they are handled. */
static void settle_stops(struct proc *proc, int sig)
{
	sigset cancelled = sig == SIGCONT ? STOP_SIGNALS : STOP_SIGNALS & sig_bit(sig) ? sig_bit(SIGCONT) : 0;
	struct task *t;

	if (cancelled) {
		sig_pending_clear(&proc->pending, cancelled);
		list_for_each(t, &proc->tasks, proc_link)
			sig_pending_clear(&t->pending, cancelled);
	}
	if (sig == SIGCONT && proc->stopped) {
		continue_process(proc);
		proc->continued = true;
		sig_notify_parent(proc, CLD_CONTINUED, SIGCONT);
		sched_wake(&proc->parent->children);
	}
	if (sig == SIGKILL)
		continue_process(proc);
}

static bool blocked_by_all(const struct proc *proc, const struct task *task, int sig)
{
	struct task *t;

	if (task)
		return task->blocked & sig_bit(sig);
	list_for_each(t, &proc->tasks, proc_link)
		if (!(t->blocked & sig_bit(sig)))
			return false;
	return true;
}

void sig_send_info(struct proc *proc, struct task *task, const struct pending_signal *info)
{
	int sig = info->signo;
	struct task *t;

	if (proc->state == PROC_ZOMBIE || proc == &init_proc)
		return;
	settle_stops(proc, sig);
	if (sig_is_ignored(proc, sig) && !blocked_by_all(proc, task, sig) && sig != SIGKILL && sig != SIGSTOP)
		return;
	enqueue(task ? &task->pending : &proc->pending, info);
	list_for_each(t, &proc->tasks, proc_link) {
		if ((task && t != task) || (t->blocked & sig_bit(sig)))
			continue;
		sched_interrupt(t);
		if (t->frozen && sig_ends_at_once(proc, sig))
			sched_continue(t);
		if (sig != SIGKILL)
			break;
	}
}

static struct pending_signal from_current(int sig, int code)
{
	return (struct pending_signal){ .signo = sig, .code = code, .pid = current->proc->pid };
}

void sig_send_task(struct task *task, int sig, int code)
{
	struct pending_signal info = from_current(sig, code);

	if (sig)
		sig_send_info(task->proc, task, &info);
}

void sig_send_proc(struct proc *proc, int sig, int code)
{
	struct pending_signal info = from_current(sig, code);

	if (sig)
		sig_send_info(proc, NULL, &info);
}

int sig_send_group(uint32_t pgid, int sig)
{
	struct proc *p;
	int err = -ESRCH;

	list_for_each(p, &all_procs, all_link) {
		if (p->pgid != pgid || p == &init_proc)
			continue;
		sig_send_proc(p, sig, SI_USER);
		err = 0;
	}
	return err;
}

void sig_fault(int sig, int code, uword addr)
{
	struct pending_signal info = { .signo = sig, .code = code, .is_fault = true, .addr = addr };
	struct sig_action *action = &current->proc->actions->of[sig - 1];

	kernel_lock();
	if ((current->blocked & sig_bit(sig)) || action->handler == SIG_IGN) {
		action->handler = SIG_DFL;
		sig_set_blocked(current->blocked & ~sig_bit(sig));
	}
	sig_send_info(current->proc, current, &info);
	kernel_unlock();
}

void sig_notify_parent(struct proc *proc, int code, int status)
{
	struct proc *parent = proc->parent;
	const struct sig_action *a = &parent->actions->of[SIGCHLD - 1];
	bool ended = code == CLD_EXITED || code == CLD_KILLED;
	struct pending_signal info = {
		.signo = ended ? proc->exit_signal : SIGCHLD,
		.code = code,
		.pid = proc->pid, .status = (uint32_t)status, .ticks = proc->ticks,
	};

	if (!ended && (a->flags & SA_NOCLDSTOP))
		return;
	sig_send_info(parent, NULL, &info);
}

static bool take_from(struct pending *pending, sigset which, struct pending_signal *out)
{
	sigset ready = pending->set & which;
	struct pending_signal *s, *tmp;
	bool found = false;
	int sig;

	if (!ready)
		return false;
	sig = (uint32_t)ready ? __builtin_ctz((uint32_t)ready) + 1 : __builtin_ctz((uint32_t)(ready >> 32)) + 33;
	*out = (struct pending_signal){ .signo = sig, .code = SI_USER };
	pending->set &= ~sig_bit(sig);
	list_for_each_safe(s, tmp, &pending->queue, link) {
		if (s->signo != sig)
			continue;
		if (found) { /* one more of the same waits */
			pending->set |= sig_bit(sig);
			break;
		}
		found = true;
		*out = *s;
		list_del(&s->link);
		os_free(s);
	}
	return true;
}

bool sig_take(sigset which, struct pending_signal *out)
{
	return take_from(&current->pending, which, out) || take_from(&current->proc->pending, which, out);
}

void sig_reset_actions(struct sig_actions *actions)
{
	for (int i = 0; i < NSIG; i++) {
		bool ignored = actions->of[i].handler == SIG_IGN;

		actions->of[i] = (struct sig_action){ .handler = ignored ? SIG_IGN : SIG_DFL };
	}
}
