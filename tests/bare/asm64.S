/* SPDX-License-Identifier: MIT */
/* asm64.S - asm32.S for 64-bit kernels. Arguments come in rdi, rsi, rdx. */
#ifdef __x86_64__
	.text

/* int setjmp(jmp_buf), by the names that the C library's header gives it. */
	.globl _setjmp, __sigsetjmp
_setjmp:
__sigsetjmp:
	popq %rdx
	movq %rbx, (%rdi)
	movq %rbp, 8(%rdi)
	movq %r12, 16(%rdi)
	movq %r13, 24(%rdi)
	movq %r14, 32(%rdi)
	movq %r15, 40(%rdi)
	movq %rsp, 48(%rdi)
	movq %rdx, 56(%rdi)
	xorl %eax, %eax
	jmp *%rdx

	.globl longjmp, siglongjmp
longjmp:
siglongjmp:
	movq (%rdi), %rbx
	movq 8(%rdi), %rbp
	movq 16(%rdi), %r12
	movq 24(%rdi), %r13
	movq 32(%rdi), %r14
	movq 40(%rdi), %r15
	movq 48(%rdi), %rsp
	movl %esi, %eax
	testl %eax, %eax
	jnz 1f
	incl %eax
1:	cld
	jmp *56(%rdi)

/* void bare_call_on(void *stack_top, void (*fn)(void)) */
	.globl bare_call_on
bare_call_on:
	pushq %rbp
	movq %rsp, %rbp
	movq %rdi, %rsp
	andq $-16, %rsp
	call *%rsi
	movq %rbp, %rsp
	popq %rbp
	ret

/* As in asm32.S. */
	.globl bare_peek, bare_peek_at, bare_poke, bare_poke_at, bare_probe_failed
bare_peek:
bare_peek_at:
	movzbl (%rdi), %eax
	ret
bare_poke:
bare_poke_at:
	movb %sil, (%rdi)
	xorl %eax, %eax
	ret
bare_probe_failed:
	movl $-1, %eax
	ret
#endif

	.section .note.GNU-stack, "", @progbits
