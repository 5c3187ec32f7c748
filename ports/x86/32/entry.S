/* SPDX-License-Identifier: MIT */
/*
 * entry.S - the way into the kernel and out of it, and the switch between kernel threads.
 *
 * A stub pushes what the processor did not (error code, number), `enter` completes struct x86_frame, the handler gets
 * its address in eax, x86_leave undoes it all. The five instructions of the way out that may fault on values ring 3
 * supplied (four segment registers and IRET) have names: x86_kernel_trap() repairs faults at exactly these.
 */
#include "32/asm.h"

	.macro enter
	pushal
	pushl %ds
	pushl %es
	pushl %fs
	pushl %gs
	movl $X86_KERNEL_DS_ASM, %edx
	movl %edx, %ds
	movl %edx, %es
	movl $X86_KERNEL_FS_ASM, %edx
	movl %edx, %fs
	cld
	movl %esp, %eax
	.endm

	.text
	.balign 16
	.globl x86_syscall_stub
x86_syscall_stub:
	pushl $0
	pushl $128
	enter
	call *x86_active_ops + X86_OPS_SYSCALL_ASM

	.globl x86_leave, x86_pop_gs, x86_pop_fs, x86_pop_es, x86_pop_ds, x86_iret
x86_leave:
x86_pop_gs:
	popl %gs
x86_pop_fs:
	popl %fs
x86_pop_es:
	popl %es
x86_pop_ds:
	popl %ds
	popal
	addl $8, %esp
x86_iret:
	iretl

	.balign 16
trap_common:
	enter
	testb $3, X86_FRAME_CS_ASM(%esp)
	jz 1f
	call *x86_active_ops + X86_OPS_TRAP_ASM
	jmp x86_leave
1:	call x86_kernel_trap
	jmp x86_leave

	.balign 16
irq_common:
	enter
	call x86_irq_entry
	jmp x86_leave

	.balign 16
fpu_common:
	enter
	call x86_fpu_trap
	jmp x86_leave

/* void x86_return_to_user(struct x86_frame *frame) */
	.globl x86_return_to_user
x86_return_to_user:
	movl %eax, %esp
	jmp x86_leave

/* void x86_context_switch(struct x86_context **from, struct x86_context *to) */
	.balign 16
	.globl x86_context_switch
x86_context_switch:
	pushl %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	movl %esp, (%eax)
	movl %edx, %esp
	popl %edi
	popl %esi
	popl %ebx
	popl %ebp
	ret

/* First instruction of a new thread: x86_context_make() left entry in ebx and its argument in esi. */
	.globl x86_context_start
x86_context_start:
	movl %esi, %eax
	xorl %ebp, %ebp
	call *%ebx
	call x86_context_returned
	ud2

/* Entry of the double fault task: the processor pushed the error code on that task's own stack. */
	.globl x86_double_fault_stub
x86_double_fault_stub:
	cld
	call x86_double_fault
	ud2

/* One stub per exception (0..31) and interrupt vector (32..63), and the table of their addresses. */
	.macro stub nr
	.balign 8
stub_\nr:
	.if !(\nr == 8 || (\nr >= 10 && \nr <= 14) || \nr == 17 || \nr == 21 || \nr == 29 || \nr == 30)
	pushl $0
	.endif
	pushl $\nr
	.if \nr >= 32
	jmp irq_common
	.elseif \nr == 7
	jmp fpu_common
	.else
	jmp trap_common
	.endif
	.section .rodata
	.long stub_\nr
	.text
	.endm

	.section .rodata
	.balign 4
	.globl x86_stubs
x86_stubs:
	.text
	.altmacro
	.set i, 0
	.rept X86_NR_STUBS_ASM
	stub %i
	.set i, i + 1
	.endr

	.section .note.GNU-stack, "", @progbits
