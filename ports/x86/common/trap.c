/* SPDX-License-Identifier: MIT */
/* trap.c - the kernel's handlers, interrupts acknowledged and counted on their way to them. */
#include "common/cpu.h"

enum { NR_LINES = 16 };

static void ops_missing(struct x86_frame *frame)
{
	x86_panic_frame(frame, "trap before the kernel registered its handlers");
}

static void irq_missing(struct x86_frame *frame, int irq)
{
	(void)irq;
	ops_missing(frame);
}

struct x86_ops x86_active_ops = { ops_missing, irq_missing, ops_missing };

void x86_set_ops(const struct x86_ops *ops)
{
	x86_active_ops = *ops;
}

/* An interrupt of the local controller. false: nothing that the kernel must hear of. */
static bool local_irq(int *irq)
{
	int vector = *irq + X86_IRQ_BASE;

	if (vector == X86_VECTOR_SPURIOUS)
		return false;
	x86_lapic_eoi();
	if (vector == X86_VECTOR_TIMER)
		*irq = 0;
	else if (vector == X86_VECTOR_FLUSH)
		x86_tlb_interrupt();
	return vector != X86_VECTOR_FLUSH;
}

void x86_irq_entry(struct x86_frame *frame)
{
	int irq = (int)frame->trapno - X86_IRQ_BASE;

	x86_tlb_leave();
	if (irq >= NR_LINES ? !local_irq(&irq) : !x86_pic_ack(irq))
		return;
	if (irq == 0)
		x86_clock_tick();
	if (irq == 4)
		x86_serial_poll();
	x86_disks_interrupt(irq);
	x86_active_ops.irq(frame, irq);
}

void x86_context_returned(void)
{
	x86_panic("a kernel thread returned from its entry function");
}
