/* SPDX-License-Identifier: MIT */
/*
 * trap.c - every entry into the kernel from ring 3: page faults go to the core, other exceptions become signals
 * with the number, code and address that Linux gives, the clock ends a turn; system calls are sys/table.c's.
 * An exception inside the kernel is a bug and stops the machine.
 */
#include "block.h"
#include "proc/cgroup.h"
#include "sig/sig.h"
#include "sys/sys.h"

/* ---- traps ---- */

static void page_fault(struct x86_frame *f)
{
	uword addr = x86_fault_address();
	struct kmm_fault_info info = {
		.addr = { addr },
		.access = f->err & X86_PF_FETCH ? KMM_EXEC : f->err & X86_PF_WRITE ? KMM_WRITE : KMM_READ,
		.stack_pointer = { x86_frame_sp(f) },
	};

	current->fault_address = addr;
	if (f->err & X86_PF_RESERVED) {
		corrupt_table(addr);
		return;
	}
	switch (kmm_handle_fault(current->proc->mm, &info)) {
	case KMM_FAULT_OK: break;
	case KMM_FAULT_SEGV_MAPERR: sig_fault(SIGSEGV, SEGV_MAPERR, addr); break;
	case KMM_FAULT_SEGV_ACCERR: sig_fault(SIGSEGV, SEGV_ACCERR, addr); break;
	case KMM_FAULT_BUS_ADRERR:
	case KMM_FAULT_BUS_EIO: sig_fault(SIGBUS, BUS_ADRERR, addr); break;
	case KMM_FAULT_OOM: oom_fault(addr); break;
	}
}

/* What an exception other than a page fault means for the program. with_ip: the address is the instruction's. */
static const struct trap_signal {
	uint8_t trapno, sig, code;
	bool with_ip;
} trap_signals[] = {
	{ X86_TRAP_DE, SIGFPE, FPE_INTDIV, true },   { X86_TRAP_DB, SIGTRAP, TRAP_TRACE, true },
	{ X86_TRAP_BP, SIGTRAP, SI_KERNEL, false },  { X86_TRAP_OF, SIGSEGV, SI_KERNEL, false },
	{ X86_TRAP_BR, SIGSEGV, SI_KERNEL, false },  { X86_TRAP_UD, SIGILL, ILL_ILLOPN, true },
	{ X86_TRAP_TS, SIGSEGV, SI_KERNEL, false },  { X86_TRAP_NP, SIGBUS, SI_KERNEL, false },
	{ X86_TRAP_SS, SIGBUS, SI_KERNEL, false },   { X86_TRAP_GP, SIGSEGV, SI_KERNEL, false },
	{ X86_TRAP_MF, SIGFPE, FPE_FLTINV, true },   { X86_TRAP_AC, SIGBUS, BUS_ADRALN, false },
	{ X86_TRAP_XM, SIGFPE, FPE_FLTINV, true },
};

static void on_trap(struct x86_frame *f)
{
	if (!x86_frame_from_user(f))
		x86_panic_frame(f, "exception inside the kernel");
	current->call_nr = -1;
	if (f->trapno == X86_TRAP_PF) {
		page_fault(f);
		user_return(f);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(trap_signals); i++) {
		const struct trap_signal *t = &trap_signals[i];

		if (t->trapno != f->trapno)
			continue;
		sig_fault(t->sig, t->code, t->with_ip ? x86_frame_ip(f) : 0);
		user_return(f);
		return;
	}
	x86_panic_frame(f, "an exception that no program can cause");
}

/* What devices and time have for the kernel, on the boot processor. */
static void look_around(bool tick)
{
	kernel_lock();
	if (tick)
		timers_tick();
	tty_poll();
	kernel_unlock();
}

static void on_irq(struct x86_frame *f, int irq)
{
	if (irq == 0)
		sched_tick();
	blocks_interrupt(irq);
	if (irq == X86_IRQ_KICK)
		sched_kicked();
	else if (x86_cpu_id() == 0)
		look_around(irq == 0);
	if (x86_frame_from_user(f)) {
		current->call_nr = -1;
		user_return(f);
	}
}

void trap_init(void)
{
	static const struct x86_ops ops = { on_trap, on_irq, syscall_enter };

	x86_set_ops(&ops);
}
