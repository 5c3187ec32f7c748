/* SPDX-License-Identifier: MIT */
/*
 * frame.c - signal frames on the user stack, in the two layouts of Linux i386: the classic one (sigreturn) and the
 * one with siginfo and ucontext (SA_SIGINFO, rt_sigreturn). Unwinders and handlers read them, so layouts are exact.
 *
 *   high   floating point state (112 bytes of FSAVE form, then 512 of FXSAVE form)
 *   low    return address, signal number, ... saved registers ...   <- esp at the handler's first instruction
 */
#include "sig/sig.h"

struct sigcontext {
	uint32_t gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax, trapno, err, eip, cs, eflags, esp_at_signal;
	uint32_t ss, fpstate, oldmask, cr2;
};
_Static_assert(sizeof(struct sigcontext) == 88, "struct sigcontext of i386");

struct fpstate {
	uint32_t cw, sw, tag, ip, cs, data, ds;
	uint8_t st[8][10];
	uint16_t status, magic; /* magic 0: the FXSAVE image follows */
	uint8_t fxsave[512];
};
_Static_assert(sizeof(struct fpstate) == 624, "struct _fpstate of i386");

struct classic_frame {
	uint32_t return_to, sig;
	struct sigcontext sc;
	uint8_t unused_fpstate[624];
	uint32_t mask_high;
	uint8_t code[8];
};
struct rt_frame {
	uint32_t return_to, sig, info_at, context_at;
	struct linux_siginfo info;
	struct {
		uint32_t flags, link;
		struct sig_stack stack;
		struct sigcontext sc;
		uint32_t mask[2];
	} context;
	uint8_t code[8];
};

enum { FX_SW = 2, FX_TAG = 4, FX_IP = 8, FX_CS = 12, FX_DATA = 16, FX_DS = 20, FX_MXCSR = 24, FX_MXCSR_MASK = 28,
       FX_ST = 32, DEFAULT_MXCSR_MASK = 0xffbf, EFLAGS_TF = 0x100, EFLAGS_DF = 0x400, EFLAGS_RF = 0x10000 };

static uint32_t word_at(const uint8_t *p, unsigned bytes)
{
	uint32_t v = 0;

	memcpy(&v, p, bytes);
	return v;
}

/* FXSAVE keeps one bit a register (0: empty); the old form has two, of which 3 is empty and 0 good enough. */
static uint32_t full_tag(uint8_t abridged)
{
	uint32_t tag = 0xffff0000u;

	for (int i = 0; i < 8; i++)
		if (!(abridged & 1u << i))
			tag |= 3u << 2 * i;
	return tag;
}

static int push_fpu(uint32_t *sp, uint32_t *at)
{
	struct fpstate fp = { .magic = 0 };
	const uint8_t *fx = x86_fpu_image(&current->fpu);

	x86_fpu_sync(&current->fpu);
	fp.cw = word_at(fx, 2) | 0xffff0000u;
	fp.sw = word_at(fx + FX_SW, 2) | 0xffff0000u;
	fp.tag = full_tag(fx[FX_TAG]);
	fp.ip = word_at(fx + FX_IP, 4);
	fp.cs = word_at(fx + FX_CS, 4);
	fp.data = word_at(fx + FX_DATA, 4);
	fp.ds = word_at(fx + FX_DS, 4);
	fp.status = (uint16_t)fp.sw;
	for (int i = 0; i < 8; i++)
		memcpy(fp.st[i], fx + FX_ST + 16 * i, 10);
	memcpy(fp.fxsave, fx, 512);
	*sp = (*sp - (uint32_t)sizeof(fp)) & ~63u;
	*at = *sp;
	return copy_out(*sp, &fp, sizeof(fp));
}

static int pop_fpu(uword at)
{
	uint8_t *fx = x86_fpu_image(&current->fpu);
	struct fpstate fp;
	uint32_t mask, mxcsr;

	if (!at)
		return 0;
	if (copy_in(&fp, at, sizeof(fp)) != 0)
		return -EFAULT;
	x86_fpu_sync(&current->fpu);
	mask = word_at(fx + FX_MXCSR_MASK, 4);
	mxcsr = word_at(fp.fxsave + FX_MXCSR, 4) & (mask ? mask : DEFAULT_MXCSR_MASK);
	memcpy(fp.fxsave + FX_MXCSR, &mxcsr, sizeof(mxcsr)); /* a reserved bit would fault in the kernel */
	x86_fpu_forget(&current->fpu);
	memcpy(fx, fp.fxsave, 512);
	return 0;
}

static void save_registers(struct sigcontext *sc, const struct x86_frame *f, uint32_t fpstate, sigset mask)
{
	*sc = (struct sigcontext){
		.gs = f->gs & 0xffff, .fs = f->fs & 0xffff, .es = f->es & 0xffff, .ds = f->ds & 0xffff,
		.edi = f->edi, .esi = f->esi, .ebp = f->ebp, .esp = f->esp, .ebx = f->ebx, .edx = f->edx,
		.ecx = f->ecx, .eax = f->eax, .trapno = f->trapno < X86_IRQ_BASE ? f->trapno : 0, .err = f->err,
		.eip = f->eip, .cs = f->cs & 0xffff, .eflags = f->eflags, .esp_at_signal = f->esp,
		.ss = f->ss & 0xffff, .fpstate = fpstate, .oldmask = (uint32_t)mask,
		.cr2 = f->trapno == X86_TRAP_PF ? x86_fault_address() : 0,
	};
}

static int restore_registers(struct x86_frame *f, const struct sigcontext *sc)
{
	f->gs = sc->gs & 0xffff, f->fs = sc->fs & 0xffff, f->es = sc->es & 0xffff, f->ds = sc->ds & 0xffff;
	f->edi = sc->edi, f->esi = sc->esi, f->ebp = sc->ebp, f->esp = sc->esp;
	f->ebx = sc->ebx, f->edx = sc->edx, f->ecx = sc->ecx, f->eax = sc->eax;
	f->eip = sc->eip, f->cs = sc->cs & 0xffff, f->eflags = sc->eflags, f->ss = sc->ss & 0xffff;
	x86_frame_sanitize(f);
	current->call_nr = -1;
	return pop_fpu(sc->fpstate);
}

static bool on_alt_stack(uint32_t sp)
{
	const struct sig_stack *s = &current->alt_stack;

	return !(s->flags & SS_DISABLE) && sp > s->sp && sp - s->sp <= s->size;
}

static uint32_t frame_stack(const struct x86_frame *f, const struct sig_action *action)
{
	const struct sig_stack *s = &current->alt_stack;

	if ((action->flags & SA_ONSTACK) && !(s->flags & SS_DISABLE) && !on_alt_stack(f->esp))
		return s->sp + s->size;
	return f->esp;
}

/* As at a function's first instruction: esp + 4 is a multiple of 16. */
static uint32_t place_frame(uint32_t sp, uint32_t size)
{
	return ((sp - size + 4) & ~15u) - 4;
}

static int push_classic(uint32_t *sp, const struct x86_frame *f, const struct pending_signal *info,
			const struct sig_action *action, sigset mask, uint32_t fpstate)
{
	struct classic_frame c = { .sig = (uint32_t)info->signo, .mask_high = (uint32_t)(mask >> 32) };

	c.return_to = action->flags & SA_RESTORER ? action->restorer : VDSO_SIGRETURN;
	save_registers(&c.sc, f, fpstate, mask);
	*sp = place_frame(*sp, sizeof(c));
	return copy_out(*sp, &c, sizeof(c));
}

static int push_rt(uint32_t *sp, const struct x86_frame *f, const struct pending_signal *info,
		   const struct sig_action *action, sigset mask, uint32_t fpstate)
{
	struct rt_frame r = { .sig = (uint32_t)info->signo };

	r.return_to = action->flags & SA_RESTORER ? action->restorer : VDSO_RT_SIGRETURN;
	r.info.signo = info->signo;
	r.info.code = info->code;
	memcpy(r.info.w, info->w, sizeof(info->w));
	r.context.stack = current->alt_stack;
	if (on_alt_stack(f->esp))
		r.context.stack.flags |= SS_ONSTACK;
	r.context.mask[0] = (uint32_t)mask;
	r.context.mask[1] = (uint32_t)(mask >> 32);
	save_registers(&r.context.sc, f, fpstate, mask);
	*sp = place_frame(*sp, sizeof(r));
	r.info_at = *sp + offsetof(struct rt_frame, info);
	r.context_at = *sp + offsetof(struct rt_frame, context);
	return copy_out(*sp, &r, sizeof(r));
}

int sig_frame_push(struct x86_frame *f, const struct pending_signal *info, const struct sig_action *action,
		   sigset mask)
{
	bool rt = action->flags & SA_SIGINFO;
	uint32_t sp = frame_stack(f, action), fpstate;
	int err = push_fpu(&sp, &fpstate);

	if (err == 0)
		err = (rt ? push_rt : push_classic)(&sp, f, info, action, mask, fpstate);
	if (err)
		return err;
	f->esp = sp;
	f->eip = action->handler;
	f->eax = (uint32_t)info->signo;
	f->edx = rt ? sp + offsetof(struct rt_frame, info) : 0;
	f->ecx = rt ? sp + offsetof(struct rt_frame, context) : 0;
	f->cs = X86_USER_CS;
	f->ds = f->es = f->ss = X86_USER_DS;
	f->eflags &= ~(uint32_t)(EFLAGS_TF | EFLAGS_DF | EFLAGS_RF);
	return 0;
}

static int pop_classic(struct x86_frame *f)
{
	struct classic_frame c;
	uint32_t at = f->esp - 8; /* the return address and the number were popped */

	if (copy_in(&c, at, sizeof(c)) != 0)
		return -EFAULT;
	sig_set_blocked((sigset)c.mask_high << 32 | c.sc.oldmask);
	return restore_registers(f, &c.sc);
}

static int pop_rt(struct x86_frame *f)
{
	struct rt_frame r;
	uint32_t at = f->esp - 4;

	if (copy_in(&r, at, sizeof(r)) != 0)
		return -EFAULT;
	sig_set_blocked((sigset)r.context.mask[1] << 32 | r.context.mask[0]);
	if (!on_alt_stack(f->esp)) {
		r.context.stack.flags &= SS_DISABLE;
		current->alt_stack = r.context.stack;
	}
	return restore_registers(f, &r.context.sc);
}

/* Returns the eax that was interrupted, so that the caller's "result" is no change. */
int32_t sig_frame_pop(struct x86_frame *f, bool rt)
{
	if ((rt ? pop_rt : pop_classic)(f) != 0)
		sig_fault(SIGSEGV, SI_KERNEL, 0);
	return (int32_t)f->eax;
}
