/* SPDX-License-Identifier: MIT */
/*
 * frame64.c - signal frames of 64-bit programs on the user stack, in the one layout of Linux x86-64. Unwinders and
 * handlers read them, so the layout is exact.
 *
 *   high   the interrupted code's red zone (128 bytes, not on the alternate stack)
 *          floating point state (fpu.c)
 *   low    return address, ucontext, siginfo   <- rsp at the handler's first instruction
 */
#include "abi64.h"
#include "sig/sig.h"

struct sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};
_Static_assert(sizeof(struct sigcontext) == 256, "struct sigcontext of x86-64");

struct rt_frame {
	uint64_t return_to;
	struct {
		uint64_t flags, link;
		struct linux64_stack stack;
		struct sigcontext sc;
		uint64_t mask;
	} context;
	struct linux64_siginfo info;
};
_Static_assert(sizeof(struct rt_frame) == 440, "struct rt_sigframe of x86-64");

enum { RED_ZONE = 128, RFLAGS_TF = 0x100, RFLAGS_DF = 0x400, RFLAGS_RF = 0x10000 };
enum { UC_SIGCONTEXT_SS = 2, UC_STRICT_RESTORE_SS = 4 };

static int push_fpu(uword *sp)
{
	*sp = (*sp - sig_fpu_size()) & ~(uword)63;
	return sig_fpu_push(*sp);
}

static int pop_fpu(uword at)
{
	if (at)
		return sig_fpu_pop(at);
	x86_fpu_forget(&current->fpu);
	x86_fpu_init(&current->fpu);
	return 0;
}

static void save_registers(struct sigcontext *sc, const struct x86_frame *f, uword fpstate, sigset mask)
{
	*sc = (struct sigcontext){
		.r8 = f->r8, .r9 = f->r9, .r10 = f->r10, .r11 = f->r11, .r12 = f->r12, .r13 = f->r13, .r14 = f->r14,
		.r15 = f->r15, .rdi = f->rdi, .rsi = f->rsi, .rbp = f->rbp, .rbx = f->rbx, .rdx = f->rdx,
		.rax = f->rax, .rcx = f->rcx, .rsp = f->rsp, .rip = f->rip, .rflags = f->rflags,
		.cs = (uint16_t)f->cs, .ss = (uint16_t)f->ss, .err = f->err,
		.trapno = f->trapno < X86_IRQ_BASE ? f->trapno : 0, .oldmask = mask, .fpstate = fpstate,
		.cr2 = f->trapno == X86_TRAP_PF ? current->fault_address : 0,
	};
}

static int restore_registers(struct x86_frame *f, const struct sigcontext *sc)
{
	f->r8 = sc->r8, f->r9 = sc->r9, f->r10 = sc->r10, f->r11 = sc->r11;
	f->r12 = sc->r12, f->r13 = sc->r13, f->r14 = sc->r14, f->r15 = sc->r15;
	f->rdi = sc->rdi, f->rsi = sc->rsi, f->rbp = sc->rbp, f->rbx = sc->rbx;
	f->rdx = sc->rdx, f->rax = sc->rax, f->rcx = sc->rcx, f->rsp = sc->rsp;
	f->rip = sc->rip, f->rflags = sc->rflags, f->cs = sc->cs, f->ss = sc->ss;
	x86_frame_sanitize(f);
	current->call_nr = -1;
	return pop_fpu(sc->fpstate);
}

static void fill_context(struct rt_frame *r, const struct x86_frame *f, uword fpstate, sigset mask)
{
	const struct sig_stack *s = &current->alt_stack;

	r->context.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	r->context.stack = (struct linux64_stack){ .sp = s->sp, .flags = s->flags, .size = s->size };
	if (sig_on_alt_stack(f->rsp))
		r->context.stack.flags |= SS_ONSTACK;
	r->context.mask = mask;
	save_registers(&r->context.sc, f, fpstate, mask);
}

/* As at a function's first instruction: rsp + 8 is a multiple of 16. Without SA_RESTORER there is no way back, and Linux
 * has none either. */
int sig_frame_push64(struct x86_frame *f, const struct pending_signal *info, const struct sig_action *action,
		     sigset mask)
{
	struct rt_frame r = { .return_to = action->restorer };
	uword sp = sig_handler_stack(f->rsp - RED_ZONE, action), at, fpstate;

	if (!(action->flags & SA_RESTORER) || push_fpu(&sp) != 0)
		return -EFAULT;
	fpstate = sp;
	fill_context(&r, f, fpstate, mask);
	siginfo_fill64(&r.info, info);
	at = ((sp - sizeof(r)) & ~(uword)15) - 8;
	if (copy_out(at, &r, sizeof(r)) != 0)
		return -EFAULT;
	f->rsp = at;
	f->rip = action->handler;
	f->rax = 0;
	f->rdi = (uint64_t)info->signo;
	f->rsi = at + offsetof(struct rt_frame, info);
	f->rdx = at + offsetof(struct rt_frame, context);
	f->cs = X86_USER_CS;
	f->ss = X86_USER_DS;
	f->rflags &= ~(uint64_t)(RFLAGS_TF | RFLAGS_DF | RFLAGS_RF);
	return 0;
}

/* With what alignment may add below the red zone. */
uword sig_frame_size64(void)
{
	return sizeof(struct rt_frame) + sig_fpu_size() + 63 + 16;
}

static int pop(struct x86_frame *f)
{
	struct rt_frame r;
	const struct linux64_stack *s = &r.context.stack;

	if (copy_in(&r, f->rsp - 8, sizeof(r)) != 0) /* the return address was popped */
		return -EFAULT;
	sig_set_blocked(r.context.mask);
	if (!sig_on_alt_stack(f->rsp))
		current->alt_stack = (struct sig_stack){ s->sp, s->size, s->flags & SS_DISABLE };
	return restore_registers(f, &r.context.sc);
}

sword sig_frame_pop64(struct x86_frame *f)
{
	if (pop(f) != 0)
		sig_fault(SIGSEGV, SI_KERNEL, 0);
	return (sword)f->rax;
}
