/* SPDX-License-Identifier: MIT */
/*
 * asm32.S - what C cannot say: non-local jumps, another stack, accesses that may fail, 64-bit atomics. Arguments come in
 * eax, edx, ecx (-mregparm=3). asm64.S is the same for 64-bit kernels.
 */
#ifdef __i386__
	.text

/* int setjmp(jmp_buf), by the names that the C library's header gives it. */
	.globl _setjmp, __sigsetjmp
_setjmp:
__sigsetjmp:
	popl %ecx
	movl %ebx, (%eax)
	movl %esi, 4(%eax)
	movl %edi, 8(%eax)
	movl %ebp, 12(%eax)
	movl %esp, 16(%eax)
	movl %ecx, 20(%eax)
	xorl %eax, %eax
	jmp *%ecx

	.globl longjmp, siglongjmp
longjmp:
siglongjmp:
	movl (%eax), %ebx
	movl 4(%eax), %esi
	movl 8(%eax), %edi
	movl 12(%eax), %ebp
	movl 16(%eax), %esp
	movl 20(%eax), %ecx
	movl %edx, %eax
	testl %eax, %eax
	jnz 1f
	incl %eax
1:	cld
	jmp *%ecx

/* void bare_call_on(void *stack_top, void (*fn)(void)) */
	.globl bare_call_on
bare_call_on:
	pushl %ebp
	movl %esp, %ebp
	movl %eax, %esp
	andl $-16, %esp
	call *%edx
	movl %ebp, %esp
	popl %ebp
	ret

/* int bare_peek(const volatile void *at), int bare_poke(volatile void *at, int byte): the fault handler knows the two
 * instructions and goes on at bare_probe_failed. */
	.globl bare_peek, bare_peek_at, bare_poke, bare_poke_at, bare_probe_failed
bare_peek:
bare_peek_at:
	movzbl (%eax), %eax
	ret
bare_poke:
bare_poke_at:
	movb %dl, (%eax)
	xorl %eax, %eax
	ret
bare_probe_failed:
	movl $-1, %eax
	ret

/* 64-bit atomics, which gcc makes with instructions only where it may use vector registers.
 * uint64_t load(const void *at, int order); bool compare_exchange(void *at, uint64_t *expected, uint64_t desired, order, order),
 * the last three on the stack. */
	.globl __atomic_load_8, __atomic_compare_exchange_8
__atomic_load_8:
	pushl %ebx
	pushl %esi
	movl %eax, %esi
	xorl %eax, %eax
	xorl %edx, %edx
	xorl %ebx, %ebx
	xorl %ecx, %ecx
	lock cmpxchg8b (%esi) /* 0 against 0: changes nothing, and reads */
	popl %esi
	popl %ebx
	ret
__atomic_compare_exchange_8:
	pushl %ebx
	pushl %esi
	pushl %edi
	movl %eax, %esi
	movl %edx, %edi
	movl 16(%esp), %ebx
	movl 20(%esp), %ecx
	movl (%edi), %eax
	movl 4(%edi), %edx
	lock cmpxchg8b (%esi)
	sete %cl
	movl %eax, (%edi)
	movl %edx, 4(%edi)
	movzbl %cl, %eax
	popl %edi
	popl %esi
	popl %ebx
	ret
#endif

	.section .note.GNU-stack, "", @progbits
