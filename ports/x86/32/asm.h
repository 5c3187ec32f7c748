/* SPDX-License-Identifier: MIT */
/*
 * asm.h - the numbers that assembly shares with C. Each one is checked against x86.h or the layout of its structure by
 * a static assertion in 32/segments.c, so the two cannot drift apart.
 */
#ifndef KMM_PORTS_X86_32_ASM_H
#define KMM_PORTS_X86_32_ASM_H

#define X86_PAGE_OFFSET_ASM 0xC0000000
#define X86_KERNEL_CS_ASM 0x60
#define X86_KERNEL_DS_ASM 0x68
#define X86_KERNEL_FS_ASM 0xd8
#define X86_FRAME_CS_ASM 60 /* offsetof(struct x86_frame, cs) */
#define X86_OPS_TRAP_ASM 0  /* offsetof(struct x86_ops, ...) */
#define X86_OPS_SYSCALL_ASM 8
#define X86_NR_STUBS_ASM 64 /* exceptions and interrupts with an entry stub */

#endif
