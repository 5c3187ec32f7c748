/* SPDX-License-Identifier: MIT */
/*
 * frame.S - clear and copy one page of 4096 bytes, 16 bytes per instruction: half of the steps that the string
 * instructions take on an emulated or instruction-counted machine.
 *
 * The registers may hold a ring 3 program's values: the caller has interrupts off and CR0.TS clear, and each function
 * puts back the one register it uses.
 */
	.text

/* void x86_zero_frame_sse(void *page) */
	.balign 16
	.globl x86_zero_frame_sse
x86_zero_frame_sse:
	subq $24, %rsp
	movups %xmm0, (%rsp)
	pxor %xmm0, %xmm0
	leaq 4096(%rdi), %rcx
1:
	.set at, 0
	.rept 64
	movaps %xmm0, at(%rdi)
	.set at, at + 16
	.endr
	addq $1024, %rdi
	cmpq %rcx, %rdi
	jne 1b
	movups (%rsp), %xmm0
	addq $24, %rsp
	ret

/* void x86_copy_frame_sse(void *to, const void *from) */
	.balign 16
	.globl x86_copy_frame_sse
x86_copy_frame_sse:
	subq $24, %rsp
	movups %xmm0, (%rsp)
	leaq 4096(%rdi), %rcx
1:
	.set at, 0
	.rept 64
	movaps at(%rsi), %xmm0
	movaps %xmm0, at(%rdi)
	.set at, at + 16
	.endr
	addq $1024, %rdi
	addq $1024, %rsi
	cmpq %rcx, %rdi
	jne 1b
	movups (%rsp), %xmm0
	addq $24, %rsp
	ret

	.section .note.GNU-stack, "", @progbits
