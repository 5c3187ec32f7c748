/* SPDX-License-Identifier: MIT */
/*
 * entry.S - the way into the kernel and out of it, and the switch between kernel threads.
 *
 * GS: in ring 3 the program's, in the kernel this processor's struct x86_self. SWAPGS stands at every crossing, decided by
 * the code segment in the frame. Three places break that rule and are dealt with by name: a fault of the IRET to ring 3
 * (x86_iret: in the kernel, but GS is the program's already) and the exceptions that may come anywhere (NMI, double
 * fault, machine check: `anywhere` looks at GS itself; they end the machine, so they never go back).
 *
 * SYSRET takes ip from RCX and flags from R11, and on Intel faults in ring 0 on the program's stack when ip is not
 * canonical. So it is used only when the frame still is what SYSCALL left, and ip lies in the lower half.
 */
#include "64/asm.h"

	/* struct x86_frame from its end. The first six are the arguments of a system call, in order. */
	.macro push_registers
	pushq %r9
	pushq %r8
	pushq %r10
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %rax
	pushq %rcx
	pushq %r11
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, %rdi
	.endm

	/* The same on a trap: the program's direction flag is still set, if it set it. */
	.macro enter
	push_registers
	cld
	.endm

	.macro pop_registers
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	popq %r11
	popq %rcx
	popq %rax
	popq %rdi
	popq %rsi
	popq %rdx
	popq %r10
	popq %r8
	popq %r9
	.endm

	.text
/* SYSCALL of 64-bit code: rcx = ip, r11 = flags, interrupts off and DF clear (SFMASK), the stack still the program's. */
	.balign 16
	.globl x86_syscall_entry
x86_syscall_entry:
	swapgs
	movq %rsp, %gs:X86_SELF_USER_SP_ASM
	movq %gs:X86_SELF_KERNEL_SP_ASM, %rsp
	pushq $X86_USER_DS_ASM
	pushq %gs:X86_SELF_USER_SP_ASM
	pushq %r11
	pushq $X86_USER_CS_ASM
	pushq %rcx
	pushq $0
	pushq $X86_SYSCALL_INSN_ASM
	push_registers
	call *x86_active_ops + X86_OPS_SYSCALL_ASM
	cli
	movq X86_FRAME_RCX_ASM(%rsp), %rcx
	cmpq %rcx, X86_FRAME_RIP_ASM(%rsp)
	jne leave_user
	movq X86_FRAME_R11_ASM(%rsp), %rdx
	cmpq %rdx, X86_FRAME_RFLAGS_ASM(%rsp)
	jne leave_user
	shrq $X86_USER_BITS_ASM, %rcx
	jnz leave_user
	testl $0x10100, %edx /* RF, TF: SYSRET would drop the one and trap after the wrong instruction for the other */
	jnz leave_user
	cmpq $X86_USER_CS_ASM, X86_FRAME_CS_ASM(%rsp)
	jne leave_user
	cmpq $X86_USER_DS_ASM, X86_FRAME_SS_ASM(%rsp)
	jne leave_user
	pop_registers
	movq 40(%rsp), %rsp
	swapgs
	sysretq

/* SYSCALL of 32-bit code (AMD only) is not offered: an invalid opcode, at the instruction. */
	.balign 16
	.globl x86_syscall_entry_compat
x86_syscall_entry_compat:
	swapgs
	movq %rsp, %gs:X86_SELF_USER_SP_ASM
	movq %gs:X86_SELF_KERNEL_SP_ASM, %rsp
	subl $2, %ecx
	pushq $X86_USER_DS_ASM
	pushq %gs:X86_SELF_USER_SP_ASM
	pushq %r11
	pushq $X86_USER_DS_ASM - 8 /* X86_USER32_CS */
	pushq %rcx
	pushq $0
	pushq $6
	push_registers
	call *x86_active_ops + X86_OPS_TRAP_ASM
	jmp leave

/* INT 80h */
	.balign 16
	.globl x86_syscall_stub
x86_syscall_stub:
	pushq $0
	pushq $X86_SYSCALL_VECTOR_ASM
	enter
	testb $3, X86_FRAME_CS_ASM(%rsp)
	jz 1f
	swapgs
1:	call *x86_active_ops + X86_OPS_SYSCALL_ASM

leave:
	testb $3, X86_FRAME_CS_ASM(%rsp)
	jz leave_kernel
	cli
leave_user:
	pop_registers
	addq $16, %rsp
	swapgs
	.globl x86_iret
x86_iret:
	iretq

leave_kernel:
	pop_registers
	addq $16, %rsp
	iretq

/* void x86_return_to_user(struct x86_frame *frame) */
	.globl x86_return_to_user
x86_return_to_user:
	movq %rdi, %rsp
	jmp leave_user

	.balign 16
trap_common:
	enter
	testb $3, X86_FRAME_CS_ASM(%rsp)
	jz 1f
	swapgs
	call *x86_active_ops + X86_OPS_TRAP_ASM
	jmp leave
1:	cmpq $x86_iret, X86_FRAME_RIP_ASM(%rsp)
	je 2f
	call x86_kernel_trap
	jmp leave
2:	swapgs
	call x86_iret_refused
	ud2

	.balign 16
irq_common:
	enter
	testb $3, X86_FRAME_CS_ASM(%rsp)
	jz 1f
	swapgs
1:	call x86_irq_entry
	jmp leave

	.balign 16
fpu_common:
	enter
	testb $3, X86_FRAME_CS_ASM(%rsp)
	jz 1f
	swapgs
1:	call x86_fpu_trap
	jmp leave

/* Exceptions with a stack of their own. The kernel's GS base is in the upper half of the address space, a program's never. */
anywhere:
	enter
	movl $0xC0000101, %ecx
	rdmsr
	testl %edx, %edx
	js 1f
	swapgs
1:	call x86_fatal_trap
	ud2

/* void x86_load_ds(uint16_t selector), and so on. A fault at the second instruction is repaired: eax is null then. */
	.macro load_segment name
	.globl x86_load_\name, x86_load_\name\()_at
x86_load_\name:
	movl %edi, %eax
x86_load_\name\()_at:
	movl %eax, %\name
	ret
	.endm
	load_segment ds
	load_segment es
	load_segment fs
	load_segment gs

/* void x86_context_switch(struct x86_context **from, struct x86_context *to) */
	.balign 16
	.globl x86_context_switch
x86_context_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret

/* First instruction of a new thread: x86_context_make() left entry in rbx and its argument in r12. */
	.globl x86_context_start
x86_context_start:
	movq %r12, %rdi
	xorl %ebp, %ebp
	call *%rbx
	call x86_context_returned
	ud2

/* One stub per exception (0..31) and interrupt vector (32..63), and the table of their addresses. */
	.macro stub nr
	.balign 8
stub_\nr:
	.if !(\nr == 8 || (\nr >= 10 && \nr <= 14) || \nr == 17 || \nr == 21 || \nr == 29 || \nr == 30)
	pushq $0
	.endif
	pushq $\nr
	.if \nr >= 32
	jmp irq_common
	.elseif \nr == 7
	jmp fpu_common
	.elseif \nr == 2 || \nr == 8 || \nr == 18
	jmp anywhere
	.else
	jmp trap_common
	.endif
	.section .rodata
	.quad stub_\nr
	.text
	.endm

	.section .rodata
	.balign 8
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
