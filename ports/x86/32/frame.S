/* SPDX-License-Identifier: MIT */
/*
 * frame.S - clear and copy one page of 4096 bytes, 16 bytes per instruction: a quarter (half) of the steps that the
 * string instructions take on an emulated or instruction-counted machine.
 *
 * The registers may hold a ring 3 program's values: the caller has interrupts off and CR0.TS clear, and each function
 * puts back the one register it uses. Arguments in eax, edx (regparm).
 */
	.text

/* void x86_zero_frame_sse(void *page) */
	.balign 16
	.globl x86_zero_frame_sse
x86_zero_frame_sse:
	subl $16, %esp
	movups %xmm0, (%esp)
	pxor %xmm0, %xmm0
	leal 4096(%eax), %ecx
1:
	.set at, 0
	.rept 64
	movaps %xmm0, at(%eax)
	.set at, at + 16
	.endr
	addl $1024, %eax
	cmpl %ecx, %eax
	jne 1b
	movups (%esp), %xmm0
	addl $16, %esp
	ret

/* void x86_copy_frame_sse(void *to, const void *from) */
	.balign 16
	.globl x86_copy_frame_sse
x86_copy_frame_sse:
	subl $16, %esp
	movups %xmm0, (%esp)
	leal 4096(%eax), %ecx
1:
	.set at, 0
	.rept 64
	movaps at(%edx), %xmm0
	movaps %xmm0, at(%eax)
	.set at, at + 16
	.endr
	addl $1024, %eax
	addl $1024, %edx
	cmpl %ecx, %eax
	jne 1b
	movups (%esp), %xmm0
	addl $16, %esp
	ret

	.section .note.GNU-stack, "", @progbits
