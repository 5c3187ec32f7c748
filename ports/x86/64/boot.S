/* SPDX-License-Identifier: MIT */
/*
 * boot.S - from a multiboot or PVH loader to C in long mode.
 *
 * Both loaders leave 32-bit protected mode with paging off, which is where 5 levels can be chosen. The image is loaded at
 * its physical address, 2 MiB, by program headers (PVH) or by the addresses in the multiboot header: the file holds the
 * image in one piece, so an ELF64 file is fine for loaders that know ELF32 only.
 *
 * Temporary tables, replaced by the core's (x86_paging_enable()), but kept for the start of the other processors:
 *   0                 first 4 GiB, for the instructions between paging and the jump to the image
 *   X86_PAGE_OFFSET   first 4 GiB; x86_boot_map() adds the rest of the RAM
 *   X86_IMAGE_BASE    first GiB
 */
#include "64/asm.h"

#define MULTIBOOT_MAGIC 0x1BADB002
#define MULTIBOOT_FLAGS 0x10003 /* modules page aligned; memory map wanted; addresses follow */
#define PA(symbol) ((symbol) - X86_IMAGE_BASE_ASM)

#define PRESENT_WRITE 0x3
#define LARGE 0x80
#define CR0_BITS 0x80010033 /* PG WP NE ET MP PE */
#define CR4_PAE 0x20
#define CR4_LA57 0x1000
#define MSR_EFER 0xC0000080
#define EFER_LME 0x100

	.section .multiboot, "a", @progbits
	.balign 4
header:
	.long MULTIBOOT_MAGIC
	.long MULTIBOOT_FLAGS
	.long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
	.long PA(header)
	.long PA(x86_image_start)
	.long PA(x86_data_end)
	.long PA(x86_image_end)
	.long PA(multiboot_entry)

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 8, 18 /* name and value sizes; XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad PA(x86_pvh_entry)

	.code32
	.section .text.boot, "ax", @progbits
	.globl x86_pvh_entry
x86_pvh_entry: /* ebx = physical address of the loader's data */
	movl $X86_PVH_MAGIC_ASM, %eax
multiboot_entry: /* the same; eax = magic */
	cli
	cld
	movl %eax, %ebp
	xorl %eax, %eax
	movl $PA(x86_bss_start), %edi
	movl $PA(x86_bss_end), %ecx
	subl %edi, %ecx
	shrl $2, %ecx
	rep stosl
	movl $PA(x86_boot_stack_top), %esp
	pushl %ebx
	call check_processor
	call build_tables
	popl %esi
	movl %ebp, %edi
	jmp to_long_mode

	/* The other processors, one at a time, from the trampoline: on the same tables, with the stack that x86_ap names. */
	.globl x86_ap_entry
x86_ap_entry:
	xorl %ebp, %ebp
to_long_mode:
	movl $CR4_PAE | (X86_LEVELS / 5 * CR4_LA57), %eax
	movl %eax, %cr4
	movl $PA(x86_boot_root), %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl $CR0_BITS, %eax
	movl %eax, %cr0
	lgdt PA(boot_gdtr)
	ljmp $X86_KERNEL_CS_ASM, $PA(long_mode)

/* A processor that cannot run this kernel is told so in words, if there is a serial port to say it on. */
check_processor:
	movl $0x80000000, %eax
	cpuid
	movl $PA(no_long_mode), %esi
	cmpl $0x80000001, %eax
	jb refuse
	movl $0x80000001, %eax
	cpuid
	btl $29, %edx
	jnc refuse
#if X86_LEVELS == 5
	movl $PA(no_la57), %esi
	xorl %eax, %eax
	cpuid
	cmpl $7, %eax
	jb refuse
	movl $7, %eax
	xorl %ecx, %ecx
	cpuid
	btl $16, %ecx
	jnc refuse
#endif
	ret

refuse:
	movw $0x3fd, %dx
	movl $65536, %ecx
1:	inb %dx, %al
	testb $0x20, %al
	loopz 1b
	movw $0x3f8, %dx
	lodsb
	testb %al, %al
	jz 2f
	outb %al, %dx
	jmp refuse
2:	movb $63, %al /* X86_EXIT_PANIC, then power off: panic.c */
	movw $0x501, %dx
	outb %al, %dx
	movl $0x2000, %eax
	movw $0x604, %dx
	outw %ax, %dx
	movw $0xb004, %dx
	outw %ax, %dx
3:	hlt
	jmp 3b

build_tables:
	movl $PA(direct_dirs), %edi
	movl $PRESENT_WRITE | LARGE, %eax
	movl $4 * 512, %ecx
1:	movl %eax, (%edi) /* the upper half is zero already */
	addl $8, %edi
	addl $1 << 21, %eax
	loop 1b
	movl $PA(direct_dirs) + PRESENT_WRITE, PA(direct_pointers)
	movl $PA(direct_dirs) + 4096 + PRESENT_WRITE, PA(direct_pointers) + 8
	movl $PA(direct_dirs) + 8192 + PRESENT_WRITE, PA(direct_pointers) + 16
	movl $PA(direct_dirs) + 12288 + PRESENT_WRITE, PA(direct_pointers) + 24
	movl $PA(direct_dirs) + PRESENT_WRITE, PA(image_pointers) + 510 * 8
#if X86_LEVELS == 5
	movl $PA(direct_pointers) + PRESENT_WRITE, PA(direct_level4)
	movl $PA(image_pointers) + PRESENT_WRITE, PA(image_level4) + 511 * 8
	movl $PA(direct_level4) + PRESENT_WRITE, %eax
	movl $PA(image_level4) + PRESENT_WRITE, %ecx
#else
	movl $PA(direct_pointers) + PRESENT_WRITE, %eax
	movl $PA(image_pointers) + PRESENT_WRITE, %ecx
#endif
	movl %eax, PA(x86_boot_root)
	movl %eax, PA(x86_boot_root) + X86_DIRECT_SLOT_ASM * 8
	movl %ecx, PA(x86_boot_root) + 511 * 8
	ret

	.code64
long_mode:
	movq $1f, %rax
	jmp *%rax
1:	movl $X86_KERNEL_DS_ASM, %eax
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	testl %ebp, %ebp
	jz 2f
	movq $x86_boot_stack_top, %rsp
	xorl %ebp, %ebp
	movl %edi, %edi
	movl %esi, %esi
	call x86_boot_main
	ud2
2:	movq x86_ap, %rsp
	call x86_ap_main
	ud2

#include "common/trampoline.inc"

	.section .rodata.boot, "a", @progbits
no_long_mode:
	.asciz "\nkernel panic: this kernel is built for 64-bit processors, this one has no long mode\n"
#if X86_LEVELS == 5
no_la57:
	.asciz "\nkernel panic: this kernel is built for 5 levels of page tables, this processor has 4 (no LA57)\n"
#endif
	.balign 8
boot_gdt:
	.fill X86_KERNEL_CS_ASM / 8, 8, 0
	.quad 0x00AF9B000000FFFF /* 64-bit code */
	.quad 0x00CF93000000FFFF /* data */
boot_gdt_end:
	.word 0
boot_gdtr:
	.word boot_gdt_end - boot_gdt - 1
	.long PA(boot_gdt)

	/* Written by x86_direct_map_move() only, while the boot tables still let it. */
	.balign 8
	.globl x86_direct_base
x86_direct_base:
	.quad X86_DIRECT_BASE_ASM

	.section .bss.nosave, "aw", @nobits /* in no image of memory: common/hibernate.c */
	.balign 4096
	.globl x86_boot_root
x86_boot_root:
	.fill 4096
#if X86_LEVELS == 5
direct_level4:
	.fill 4096
image_level4:
	.fill 4096
#endif
direct_pointers:
	.fill 4096
image_pointers:
	.fill 4096
direct_dirs:
	.fill 4 * 4096

	.section .bss.stack, "aw", @nobits
	.balign 4096
	.globl x86_boot_stack, x86_boot_stack_top
x86_boot_stack:
	.fill 16384
x86_boot_stack_top:

	.section .note.GNU-stack, "", @progbits
