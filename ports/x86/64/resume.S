/* SPDX-License-Identifier: MIT */
/*
 * resume.S - the registers that x86_state_save() keeps, and the way back to where it was called; common/hibernate.c.
 */
	.text
/* bool x86_state_save(void): returns twice. x86_saved: cr3, ip, sp, rbx, rbp, r12 to r15. */
	.globl x86_state_save
x86_state_save:
	movq %cr3, %rax
	movq %rax, x86_saved(%rip)
	movq (%rsp), %rax
	movq %rax, x86_saved+8(%rip)
	leaq 8(%rsp), %rax
	movq %rax, x86_saved+16(%rip)
	movq %rbx, x86_saved+24(%rip)
	movq %rbp, x86_saved+32(%rip)
	movq %r12, x86_saved+40(%rip)
	movq %r13, x86_saved+48(%rip)
	movq %r14, x86_saved+56(%rip)
	movq %r15, x86_saved+64(%rip)
	xorl %eax, %eax
	ret

/* The same function's second return, on the saved tables. */
	.globl x86_state_return
x86_state_return:
	movq x86_saved(%rip), %rax
	movq %rax, %cr3
	movq x86_saved+16(%rip), %rsp
	movq x86_saved+24(%rip), %rbx
	movq x86_saved+32(%rip), %rbp
	movq x86_saved+40(%rip), %r12
	movq x86_saved+48(%rip), %r13
	movq x86_saved+56(%rip), %r14
	movq x86_saved+64(%rip), %r15
	movl $1, %eax
	jmp *x86_saved+8(%rip)

/* void x86_run_on(void *stack_top, void (*call)(x86_word), x86_word arg): call does not return. */
	.globl x86_run_on
x86_run_on:
	movq %rdi, %rsp
	movq %rdx, %rdi
	xorl %ebp, %ebp
	call *%rsi
	ud2

	.section .note.GNU-stack, "", @progbits
