/* SPDX-License-Identifier: MIT */
/*
 * resume.S - the registers that x86_state_save() keeps, and the way back to where it was called; common/hibernate.c.
 */
	.text
/* bool x86_state_save(void): returns twice. x86_saved: cr3, ip, sp, ebx, ebp, esi, edi. */
	.globl x86_state_save
x86_state_save:
	movl %cr3, %eax
	movl %eax, x86_saved
	movl (%esp), %eax
	movl %eax, x86_saved+4
	leal 4(%esp), %eax
	movl %eax, x86_saved+8
	movl %ebx, x86_saved+12
	movl %ebp, x86_saved+16
	movl %esi, x86_saved+20
	movl %edi, x86_saved+24
	xorl %eax, %eax
	ret

/* The same function's second return, on the saved tables. */
	.globl x86_state_return
x86_state_return:
	movl x86_saved, %eax
	movl %eax, %cr3
	movl x86_saved+8, %esp
	movl x86_saved+12, %ebx
	movl x86_saved+16, %ebp
	movl x86_saved+20, %esi
	movl x86_saved+24, %edi
	movl $1, %eax
	jmp *x86_saved+4

/* void x86_run_on(void *stack_top, void (*call)(x86_word), x86_word arg): call does not return. */
	.globl x86_run_on
x86_run_on:
	movl %eax, %esp
	movl %ecx, %eax
	xorl %ebp, %ebp
	call *%edx
	ud2

	.section .note.GNU-stack, "", @progbits
