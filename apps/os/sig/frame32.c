/* SPDX-License-Identifier: MIT */
/*
 * frame32.c - signal frames of 32-bit programs on the user stack, in the two layouts of Linux i386: the classic one (sigreturn) and the
 * one with siginfo and ucontext (SA_SIGINFO, rt_sigreturn). Unwinders and handlers read them, so layouts are exact.
 *
 *   high   floating point state (112 bytes of FSAVE form, then that of fpu.c)
 *   low    return address, signal number, ... saved registers ...   <- esp at the handler's first instruction
 */
#include "abi32.h"
#include "sig/sig.h"

/* A register of the frame by the name that both widths share. */
#ifdef __x86_64__
#define REG(f, name) ((f)->r##name)
#else
#define REG(f, name) ((f)->e##name)
#endif

struct sigcontext {
	uint32_t gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax, trapno, err, eip, cs, eflags, esp_at_signal;
	uint32_t ss, fpstate, oldmask, cr2;
};
_Static_assert(sizeof(struct sigcontext) == 88, "struct sigcontext of i386");

struct fpstate {
	uint32_t cw, sw, tag, ip, cs, data, ds;
	uint8_t st[8][10];
	uint16_t status, magic; /* magic 0: the image of fpu.c follows */
};
_Static_assert(sizeof(struct fpstate) == 112, "the old part of struct _fpstate of i386");

struct classic_frame {
	uint32_t return_to, sig;
	struct sigcontext sc;
	uint8_t unused_fpstate[624];
	uint32_t mask_high;
	uint8_t code[8];
};
struct rt_frame {
	uint32_t return_to, sig, info_at, context_at;
	struct linux32_siginfo info;
	struct {
		uint32_t flags, link;
		struct linux32_stack stack;
		struct sigcontext sc;
		uint32_t mask[2];
	} context;
	uint8_t code[8];
};

enum { FX_SW = 2, FX_TAG = 4, FX_IP = 8, FX_CS = 12, FX_DATA = 16, FX_DS = 20, FX_ST = 32,
       EFLAGS_TF = 0x100, EFLAGS_DF = 0x400, EFLAGS_RF = 0x10000 };

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
	uint32_t fx_at = (*sp - (uint32_t)sig_fpu_size()) & ~63u;

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
	*sp = *at = fx_at - (uint32_t)sizeof(fp);
	return sig_fpu_push(fx_at) == 0 ? copy_out(*at, &fp, sizeof(fp)) : -EFAULT;
}

static int pop_fpu(uword at)
{
	return at ? sig_fpu_pop(at + sizeof(struct fpstate)) : 0;
}

static void save_registers(struct sigcontext *sc, const struct x86_frame *f, uint32_t fpstate, sigset mask)
{
	*sc = (struct sigcontext){
		.gs = x86_frame_segment(f, X86_SEG_GS), .fs = x86_frame_segment(f, X86_SEG_FS),
		.es = x86_frame_segment(f, X86_SEG_ES), .ds = x86_frame_segment(f, X86_SEG_DS),
		.edi = (uint32_t)REG(f, di), .esi = (uint32_t)REG(f, si), .ebp = (uint32_t)REG(f, bp),
		.esp = (uint32_t)REG(f, sp), .ebx = (uint32_t)REG(f, bx), .edx = (uint32_t)REG(f, dx),
		.ecx = (uint32_t)REG(f, cx), .eax = (uint32_t)REG(f, ax),
		.trapno = f->trapno < X86_IRQ_BASE ? (uint32_t)f->trapno : 0, .err = (uint32_t)f->err,
		.eip = (uint32_t)REG(f, ip), .cs = f->cs & 0xffff, .eflags = (uint32_t)REG(f, flags),
		.esp_at_signal = (uint32_t)REG(f, sp), .ss = f->ss & 0xffff, .fpstate = fpstate,
		.oldmask = (uint32_t)mask, .cr2 = f->trapno == X86_TRAP_PF ? (uint32_t)current->fault_address : 0,
	};
}

static int restore_registers(struct x86_frame *f, const struct sigcontext *sc)
{
	x86_frame_set_segment(f, X86_SEG_GS, (uint16_t)sc->gs);
	x86_frame_set_segment(f, X86_SEG_FS, (uint16_t)sc->fs);
	x86_frame_set_segment(f, X86_SEG_ES, (uint16_t)sc->es);
	x86_frame_set_segment(f, X86_SEG_DS, (uint16_t)sc->ds);
	REG(f, di) = sc->edi, REG(f, si) = sc->esi, REG(f, bp) = sc->ebp, REG(f, sp) = sc->esp;
	REG(f, bx) = sc->ebx, REG(f, dx) = sc->edx, REG(f, cx) = sc->ecx, REG(f, ax) = sc->eax;
	REG(f, ip) = sc->eip, f->cs = sc->cs & 0xffff, REG(f, flags) = sc->eflags, f->ss = sc->ss & 0xffff;
	x86_frame_sanitize(f);
	current->call_nr = -1;
	return pop_fpu(sc->fpstate);
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

	c.return_to = action->flags & SA_RESTORER ? (uint32_t)action->restorer : (uint32_t)current->proc->vdso + VDSO_SIGRETURN;
	save_registers(&c.sc, f, fpstate, mask);
	*sp = place_frame(*sp, sizeof(c));
	return copy_out(*sp, &c, sizeof(c));
}

static int push_rt(uint32_t *sp, const struct x86_frame *f, const struct pending_signal *info,
		   const struct sig_action *action, sigset mask, uint32_t fpstate)
{
	struct rt_frame r = { .sig = (uint32_t)info->signo };

	r.return_to = action->flags & SA_RESTORER ? (uint32_t)action->restorer : (uint32_t)current->proc->vdso + VDSO_RT_SIGRETURN;
	siginfo_fill32(&r.info, info);
	r.context.stack = (struct linux32_stack){ (uint32_t)current->alt_stack.sp, current->alt_stack.flags,
						  (uint32_t)current->alt_stack.size };
	if (sig_on_alt_stack(REG(f, sp)))
		r.context.stack.flags |= SS_ONSTACK;
	r.context.mask[0] = (uint32_t)mask;
	r.context.mask[1] = (uint32_t)(mask >> 32);
	save_registers(&r.context.sc, f, fpstate, mask);
	*sp = place_frame(*sp, sizeof(r));
	r.info_at = *sp + offsetof(struct rt_frame, info);
	r.context_at = *sp + offsetof(struct rt_frame, context);
	return copy_out(*sp, &r, sizeof(r));
}

int sig_frame_push32(struct x86_frame *f, const struct pending_signal *info, const struct sig_action *action,
		     sigset mask)
{
	bool rt = action->flags & SA_SIGINFO;
	uint32_t sp = (uint32_t)sig_handler_stack(REG(f, sp), action), fpstate;
	int err = push_fpu(&sp, &fpstate);

	if (err == 0)
		err = (rt ? push_rt : push_classic)(&sp, f, info, action, mask, fpstate);
	if (err)
		return err;
	REG(f, sp) = sp;
	REG(f, ip) = action->handler;
	REG(f, ax) = (uint32_t)info->signo;
	REG(f, dx) = rt ? sp + (uint32_t)offsetof(struct rt_frame, info) : 0;
	REG(f, cx) = rt ? sp + (uint32_t)offsetof(struct rt_frame, context) : 0;
	f->cs = X86_USER32_CS;
	f->ss = X86_USER_DS;
	x86_frame_set_segment(f, X86_SEG_DS, X86_USER_DS);
	x86_frame_set_segment(f, X86_SEG_ES, X86_USER_DS);
	REG(f, flags) &= ~(uint32_t)(EFLAGS_TF | EFLAGS_DF | EFLAGS_RF);
	return 0;
}

_Static_assert(sizeof(struct classic_frame) >= sizeof(struct rt_frame), "the larger of the two");

/* With what alignment may add. */
uword sig_frame_size32(void)
{
	return sizeof(struct classic_frame) + sizeof(struct fpstate) + sig_fpu_size() + 63 + 16;
}

static int pop_classic(struct x86_frame *f)
{
	struct classic_frame c;
	uint32_t at = (uint32_t)REG(f, sp) - 8; /* the return address and the number were popped */

	if (copy_in(&c, at, sizeof(c)) != 0)
		return -EFAULT;
	sig_set_blocked((sigset)c.mask_high << 32 | c.sc.oldmask);
	return restore_registers(f, &c.sc);
}

static int pop_rt(struct x86_frame *f)
{
	struct rt_frame r;
	uint32_t at = (uint32_t)REG(f, sp) - 4;

	if (copy_in(&r, at, sizeof(r)) != 0)
		return -EFAULT;
	sig_set_blocked((sigset)r.context.mask[1] << 32 | r.context.mask[0]);
	if (!sig_on_alt_stack(REG(f, sp)))
		current->alt_stack = (struct sig_stack){ r.context.stack.sp, r.context.stack.size,
							 r.context.stack.flags & SS_DISABLE };
	return restore_registers(f, &r.context.sc);
}

sword sig_frame_pop32(struct x86_frame *f, bool rt)
{
	if ((rt ? pop_rt : pop_classic)(f) != 0)
		sig_fault(SIGSEGV, SI_KERNEL, 0);
	return (sword)REG(f, ax);
}
