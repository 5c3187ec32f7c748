/* SPDX-License-Identifier: MIT */
/*
 * sig.h - signals. Sent to a process they wait in proc->pending until one of its threads, that does not block them,
 * takes them on its way back to ring 3; sent to a thread they wait in task->pending. A blocked sleep is woken when
 * its task has something to take. One instance of a standard signal waits at a time; real-time ones queue.
 */
#ifndef OS_SIG_SIG_H
#define OS_SIG_SIG_H

#include "proc/task.h"

struct linux32_siginfo;
struct linux64_siginfo;

/* ---- send.c ---- */
void sig_send_task(struct task *task, int sig, int code);
void sig_send_proc(struct proc *proc, int sig, int code);
int sig_send_group(uint32_t pgid, int sig); /* -ESRCH: no such group */
/* With all of siginfo. task NULL: to the process. */
void sig_send_info(struct proc *proc, struct task *task, const struct pending_signal *info);
/* A fault of the running instruction: cannot be ignored or blocked, the process ends if it tries. */
void sig_fault(int sig, int code, uword addr);
bool sig_is_ignored(const struct proc *proc, int sig);
/* Does it end the process, without anything to be written of it before? Such a one is not waited with while the process stands still. */
bool sig_ends_at_once(const struct proc *proc, int sig);
/* Is there something to take for this task? */
bool sig_is_pending(const struct task *task);
void sig_set_blocked(sigset blocked); /* of current */
void sig_pending_init(struct pending *pending);
void sig_pending_clear(struct pending *pending, sigset which);
/* All but those that ignore become the default, as exec does it. */
void sig_reset_actions(struct sig_actions *actions);
void sig_notify_parent(struct proc *proc, int code, int status);
/* Takes the next signal of `which` for current. false: none. */
bool sig_take(sigset which, struct pending_signal *out);

/* ---- deliver.c ---- */
/* Everything that has to happen before ring 3 goes on: reschedule, exit, stop, signals. */
void user_return_slowly(struct x86_frame *frame);
static inline bool task_must_attend(void)
{
	return current->resched || __atomic_load_n(&current->notify, __ATOMIC_RELAXED);
}
static inline void user_return(struct x86_frame *frame)
{
	if (task_must_attend())
		user_return_slowly(frame);
}

/* sys/layout.c */
void siginfo_fill32(struct linux32_siginfo *to, const struct pending_signal *info);
void siginfo_fill64(struct linux64_siginfo *to, const struct pending_signal *info);

/* ---- frame32.c, frame64.c: signal frames on the user stack, as i386 and x86-64 programs know them ---- */
int sig_frame_push32(struct x86_frame *frame, const struct pending_signal *info, const struct sig_action *action,
		     sigset mask);
int sig_frame_push64(struct x86_frame *frame, const struct pending_signal *info, const struct sig_action *action,
		     sigset mask);
/* fpu.c: current's floating point state at a user address that is a multiple of 64, and back. */
uword sig_fpu_size(void);
int sig_fpu_push(uword at);
int sig_fpu_pop(uword at);
/* Bytes of stack that the largest takes, for AT_MINSIGSTKSZ. */
uword sig_frame_size32(void);
uword sig_frame_size64(void);
/* The way back. Return what the interrupted code had in the result register, so that the caller's "result" is no
 * change. */
sword sig_frame_pop32(struct x86_frame *frame, bool rt);
sword sig_frame_pop64(struct x86_frame *frame);
/* Is this address on current's alternate stack? */
bool sig_on_alt_stack(uword sp);
/* The top of the stack for a handler: the alternate one if it is asked for and not in use. */
uword sig_handler_stack(uword sp, const struct sig_action *action);

/* ---- trap.c ---- */
void trap_init(void);

/* corrupt.c: a fault of ring 3 at addr for a bit that the processor reserves; ends the program. And after a copy from or to
 * these bytes of a space failed (user.c): ends who has it, if that was why. No spin locks held but the kernel's. */
void corrupt_table(uword addr);
void corrupt_copy(struct kmm_mm *mm, uword at, size_t len);

/* A page of code of the kernel's in every 32-bit program, at proc->vdso: returns from handlers without SA_RESTORER. */
enum { VDSO_SIGRETURN = 0, VDSO_RT_SIGRETURN = 16 };
int vdso_init(void);
int vdso_map(struct kmm_mm *mm, uword *where); /* like any mapping */

#endif
