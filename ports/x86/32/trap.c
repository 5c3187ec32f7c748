/* SPDX-License-Identifier: MIT */
/*
 * trap.c - the part of trap handling that is particular to this width: faults on the way back to ring 3, frames, and new
 * threads.
 *
 * A trap from ring 3 never passes here; entry.S calls the kernel's handler at once. A trap inside the kernel does:
 * the way out may fault on values that ring 3 supplied, and that must become ring 3's fault, not a panic.
 */
#include "32/cpu.h"

static bool is_segment_pop(uint32_t eip)
{
	return eip == (uint32_t)x86_pop_gs || eip == (uint32_t)x86_pop_fs || eip == (uint32_t)x86_pop_es ||
	       eip == (uint32_t)x86_pop_ds;
}

/*
 * IRET refused the ring 3 frame. A kernel frame ends after eflags, so the refused eip..ss lie where its own esp would
 * be. Move the registers up to them: the result is the frame that a fault in ring 3 would have made.
 */
static void fault_on_iret(struct x86_frame *frame)
{
	size_t shift = offsetof(struct x86_frame, esp) - offsetof(struct x86_frame, eip);
	struct x86_frame *user = (struct x86_frame *)((char *)frame + shift);

	memmove(user, frame, offsetof(struct x86_frame, eip));
	x86_active_ops.trap(user);
	x86_return_to_user(user);
}

void x86_kernel_trap(struct x86_frame *frame)
{
	bool selector_fault = frame->trapno >= X86_TRAP_TS && frame->trapno <= X86_TRAP_GP;

	if (selector_fault && is_segment_pop(frame->eip)) {
		frame->esp = 0; /* not a stack pointer here: the word that POP was about to load */
		return;
	}
	if (selector_fault && frame->eip == (uint32_t)x86_iret)
		fault_on_iret(frame);
	x86_active_ops.trap(frame);
}

void x86_frame_start(struct x86_frame *frame, x86_word ip, x86_word sp, bool is_32)
{
	(void)is_32;
	*frame = (struct x86_frame){
		.ds = X86_USER_DS, .es = X86_USER_DS, .cs = X86_USER_CS, .ss = X86_USER_DS, .eflags = 0x202,
		.eip = ip, .esp = sp,
	};
}

void x86_frame_sanitize(struct x86_frame *frame)
{
	const uint32_t user_flags = 0x00250dd5u; /* ID, AC, RF is left out, OF DF TF SF ZF AF PF CF */

	frame->cs |= 3;
	frame->ss |= 3;
	frame->eflags = (frame->eflags & user_flags) | 0x202u;
}

void x86_frame_print(const struct x86_frame *f)
{
	bool user = x86_frame_from_user(f);
	const void *beyond = &f->esp;
	uint32_t esp = user || f->trapno == X86_TRAP_DF ? f->esp : (uint32_t)beyond;

	x86_printf("trap %u err %x at %04x:%08x flags %08x cr2 %08x cr3 %08x\n", f->trapno, f->err, f->cs & 0xffff,
		   f->eip, f->eflags, x86_fault_address(), x86_read_cr3());
	x86_printf("eax %08x ebx %08x ecx %08x edx %08x\n", f->eax, f->ebx, f->ecx, f->edx);
	x86_printf("esi %08x edi %08x ebp %08x esp %08x\n", f->esi, f->edi, f->ebp, esp);
	x86_printf("ds %04x es %04x fs %04x gs %04x ss %04x\n", f->ds & 0xffff, f->es & 0xffff, f->fs & 0xffff,
		   f->gs & 0xffff, user ? f->ss & 0xffff : X86_KERNEL_DS);
}

struct x86_context *x86_context_make(void *top, void (*entry)(void *arg), void *arg)
{
	struct x86_context *c = (struct x86_context *)top - 1;

	*c = (struct x86_context){ .esi = (uint32_t)arg, .ebx = (uint32_t)entry, .eip = (uint32_t)x86_context_start };
	return c;
}
