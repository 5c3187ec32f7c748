/* SPDX-License-Identifier: MIT */
/*
 * trap.c - the part of trap handling that is particular to this width: faults on the way back to ring 3, exceptions that
 * end the machine, frames, and new threads.
 *
 * A trap from ring 3 never passes here; entry.S calls the kernel's handler at once. A trap inside the kernel does:
 * the way out may fault on values that ring 3 supplied, and that must become ring 3's fault, not a panic.
 */
#include "64/cpu.h"

static bool is_segment_load(const char *ip)
{
	return ip == x86_load_ds_at || ip == x86_load_es_at || ip == x86_load_fs_at || ip == x86_load_gs_at;
}

static bool is_selector_fault(const struct x86_frame *frame)
{
	return frame->trapno >= X86_TRAP_TS && frame->trapno <= X86_TRAP_GP;
}

void x86_kernel_trap(struct x86_frame *frame)
{
	if (is_selector_fault(frame) && is_segment_load((const char *)frame->rip)) {
		frame->rax = 0; /* the selector: null always loads */
		return;
	}
	x86_active_ops.trap(frame);
}

/*
 * IRET refused the ring 3 frame. The stack pointer in the kernel's frame points to the refused rip..ss. Move the registers
 * up to them: the result is the frame that a fault in ring 3 would have made.
 */
void x86_iret_refused(struct x86_frame *frame)
{
	struct x86_frame *user = (struct x86_frame *)(frame->rsp - offsetof(struct x86_frame, rip));

	if (!is_selector_fault(frame))
		x86_panic_frame(frame, "exception on the way back to ring 3");
	memmove(user, frame, offsetof(struct x86_frame, rip));
	user->cs |= 3; /* so that every reader sees whose fault it is */
	x86_active_ops.trap(user);
	x86_return_to_user(user);
}

void x86_fatal_trap(struct x86_frame *frame)
{
	if (frame->trapno == X86_TRAP_DF)
		x86_panic_frame(frame, "double fault (kernel stack overflow, or a broken exception path)");
	x86_panic_frame(frame, frame->trapno == X86_TRAP_MC ? "machine check" : "non-maskable interrupt");
}

void x86_frame_start(struct x86_frame *frame, x86_word ip, x86_word sp, bool is_32)
{
	*frame = (struct x86_frame){
		.rip = ip, .cs = is_32 ? X86_USER32_CS : X86_USER_CS, .rflags = 0x202, .rsp = sp, .ss = X86_USER_DS,
	};
	if (is_32) {
		x86_frame_set_segment(frame, X86_SEG_DS, X86_USER_DS);
		x86_frame_set_segment(frame, X86_SEG_ES, X86_USER_DS);
	}
}

void x86_frame_sanitize(struct x86_frame *frame)
{
	const uint64_t user_flags = 0x00250dd5u; /* ID, AC, RF is left out, OF DF TF SF ZF AF PF CF */

	frame->cs = (frame->cs & 0xffff) | 3;
	frame->ss = (frame->ss & 0xffff) | 3;
	frame->rflags = (frame->rflags & user_flags) | 0x202u;
}

void x86_frame_print(const struct x86_frame *f)
{
	x86_printf("trap %lu err %lx at %04lx:%016lx flags %08lx cr2 %016lx cr3 %lx\n", f->trapno, f->err, f->cs, f->rip,
		   f->rflags, x86_fault_address(), x86_read_cr3());
	x86_printf("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	x86_printf("rsi %016lx rdi %016lx rbp %016lx rsp %016lx ss %04lx\n", f->rsi, f->rdi, f->rbp, f->rsp, f->ss);
	x86_printf("r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n", f->r8, f->r9, f->r10, f->r11);
	x86_printf("r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n", f->r12, f->r13, f->r14, f->r15);
	x86_printf("ds %04x es %04x fs %04x %016lx gs %04x %016lx\n", x86_frame_segment(f, X86_SEG_DS),
		   x86_frame_segment(f, X86_SEG_ES), x86_frame_segment(f, X86_SEG_FS), x86_read_msr(X86_MSR_FS_BASE),
		   x86_frame_segment(f, X86_SEG_GS), x86_read_msr(X86_MSR_KERNEL_GS_BASE));
}

struct x86_context *x86_context_make(void *top, void (*entry)(void *arg), void *arg)
{
	struct x86_context *c = (struct x86_context *)top - 1;

	*c = (struct x86_context){ .r12 = (uint64_t)arg, .rbx = (uint64_t)entry, .rip = (uint64_t)x86_context_start };
	return c;
}
