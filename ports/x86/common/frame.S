/* SPDX-License-Identifier: MIT */
/*
 * frame.S - clear and copy one page of 4096 bytes, 16 bytes per instruction: a half or less of the steps that the string
 * instructions take on an emulated or instruction-counted machine. The same for both widths, but for the names of the
 * registers that arguments come in.
 *
 * The registers may hold a ring 3 program's values: the caller has interrupts off and CR0.TS clear, and each function
 * puts back the one register it uses.
 */
#ifdef __x86_64__
#define TO %rdi
#define FROM %rsi
#define END %rcx
#define SP %rsp
#else
#define TO %eax
#define FROM %edx
#define END %ecx
#define SP %esp
#endif

	.text

/* void x86_zero_frame_sse(void *page) */
	.balign 16
	.globl x86_zero_frame_sse
x86_zero_frame_sse:
	sub $24, SP
	movups %xmm0, (SP)
	pxor %xmm0, %xmm0
	lea 4096(TO), END
1:
	.set at, 0
	.rept 64
	movaps %xmm0, at(TO)
	.set at, at + 16
	.endr
	add $1024, TO
	cmp END, TO
	jne 1b
	movups (SP), %xmm0
	add $24, SP
	ret

/* void x86_copy_frame_sse(void *to, const void *from) */
	.balign 16
	.globl x86_copy_frame_sse
x86_copy_frame_sse:
	sub $24, SP
	movups %xmm0, (SP)
	lea 4096(TO), END
1:
	.set at, 0
	.rept 64
	movaps at(FROM), %xmm0
	movaps %xmm0, at(TO)
	.set at, at + 16
	.endr
	add $1024, TO
	add $1024, FROM
	cmp END, TO
	jne 1b
	movups (SP), %xmm0
	add $24, SP
	ret

	.section .note.GNU-stack, "", @progbits
