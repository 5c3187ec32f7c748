/* SPDX-License-Identifier: MIT */
/*
 * boot.S - from the multiboot loader to C, and the instant at which paging is turned on.
 *
 * The image is linked at X86_PAGE_OFFSET + 1 MiB and loaded at 1 MiB. Until paging is on, code and data segments have
 * base 0x40000000: address 0xC0000000 + pa wraps around to linear pa. So C runs at its final addresses from the start
 * and the core can write its page tables through the direct map before there is one; no temporary tables exist.
 *
 *               offset in segment      + base 0x40000000 (mod 2^32)   = linear = physical
 *   kernel      C0100000                                                 00100000
 *   frame 0     C0000000                                                 00000000
 *   pa 80000000 40000000                                                 80000000
 */
#include "32/asm.h"

#define MULTIBOOT_MAGIC 0x1BADB002
#define PA(symbol) ((symbol) - X86_PAGE_OFFSET_ASM)
#define MULTIBOOT_FLAGS 0x3 /* modules page aligned; memory map wanted */

	.section .multiboot, "a", @progbits
	.balign 4
	.long MULTIBOOT_MAGIC
	.long MULTIBOOT_FLAGS
	.long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.section .text.boot, "ax", @progbits
	/* Loader state: protected mode, flat segments, paging off; eax = magic, ebx = physical address of its data. */
	.globl x86_entry
x86_entry:
	cli
	cld
	lgdt boot_gdtr - X86_PAGE_OFFSET_ASM
	ljmp $X86_KERNEL_CS_ASM, $1f
1:	movl $X86_KERNEL_DS_ASM, %ecx
	movl %ecx, %ds
	movl %ecx, %es
	movl %ecx, %ss
	xorl %edx, %edx
	movl %edx, %gs
	movl $X86_KERNEL_FS_ASM, %ecx
	movl %ecx, %fs
	movl $x86_boot_stack_top, %esp
	pushl %edx
	popfl
	xorl %ebp, %ebp
	movl %ebx, %edx
	call x86_boot_main
	ud2

	/* The other processors, one at a time: the same, from the trampoline, with the stack that x86_ap names. fs is for
	 * the first processor only; x86_ap_main() does without until x86_paging_switch(). */
	.globl x86_ap_entry
x86_ap_entry:
	lgdt boot_gdtr - X86_PAGE_OFFSET_ASM
	ljmp $X86_KERNEL_CS_ASM, $1f
1:	movl $X86_KERNEL_DS_ASM, %ecx
	movl %ecx, %ds
	movl %ecx, %es
	movl %ecx, %ss
	xorl %edx, %edx
	movl %edx, %fs
	movl %edx, %gs
	movl x86_ap, %esp
	pushl %edx
	popfl
	xorl %ebp, %ebp
	call x86_ap_main
	ud2

/*
 * void x86_paging_switch(uint32_t cr3, uint32_t cr0, const struct x86_table_reg *gdt)
 * Turns paging on and moves to the flat segments, and FS, of the given GDT. Entry 0 of the root maps the first megabytes to
 * themselves meanwhile: the code below runs at linear = physical addresses until the far jump.
 */
	.text
	.globl x86_paging_switch
x86_paging_switch:
	movl %eax, %cr3
	movl %edx, %cr0
	jmp 1f
1:	lgdt (%ecx)
	ljmp $X86_KERNEL_CS_ASM, $2f
2:	movl $X86_KERNEL_DS_ASM, %ecx
	movl %ecx, %ds
	movl %ecx, %es
	movl %ecx, %ss
	movl $X86_KERNEL_FS_ASM, %ecx
	movl %ecx, %fs
	ret

#include "common/trampoline.inc"

	.section .rodata.boot, "a", @progbits
	.balign 8
boot_gdt:
	.fill X86_KERNEL_CS_ASM / 8, 8, 0
	.quad 0x40CF9A000000FFFF /* code, base 0x40000000, 4 GiB */
	.quad 0x40CF92000000FFFF /* data, the same */
	.fill X86_KERNEL_FS_ASM / 8 - X86_KERNEL_DS_ASM / 8 - 1, 8, 0
	.quad 0x40CF92000000FFFF /* data, once more, for fs */
boot_gdt_end:
	.word 0
boot_gdtr:
	.word boot_gdt_end - boot_gdt - 1
	.long boot_gdt - X86_PAGE_OFFSET_ASM

	.section .bss.stack, "aw", @nobits
	.balign 4096
	.globl x86_boot_stack, x86_boot_stack_top
x86_boot_stack:
	.fill 16384
x86_boot_stack_top:

	.section .note.GNU-stack, "", @progbits
