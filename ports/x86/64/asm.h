/* SPDX-License-Identifier: MIT */
/*
 * asm.h - the numbers that assembly shares with C. Each one is checked against arch.h, x86.h or the layout of its
 * structure by a static assertion in 64/segments.c, so the two cannot drift apart.
 */
#ifndef KMM_PORTS_X86_64_ASM_H
#define KMM_PORTS_X86_64_ASM_H

#ifndef X86_LEVELS
#define X86_LEVELS 4
#endif

#define X86_IMAGE_BASE_ASM 0xffffffff80000000
#if X86_LEVELS == 5
#define X86_DIRECT_BASE_ASM 0xff11000000000000 /* X86_PAGE_OFFSET */
#else
#define X86_DIRECT_BASE_ASM 0xffff888000000000
#endif
#define X86_DIRECT_SLOT_ASM 273 /* entry of the root that holds the start of the direct map, with 4 levels and with 5 */
#define X86_KERNEL_CS_ASM 0x10
#define X86_KERNEL_DS_ASM 0x18
#define X86_USER_DS_ASM 0x2b
#define X86_USER_CS_ASM 0x33
#define X86_FRAME_R11_ASM 48 /* offsetof(struct x86_frame, ...) */
#define X86_FRAME_RCX_ASM 56
#define X86_FRAME_TRAPNO_ASM 120
#define X86_FRAME_RIP_ASM 136
#define X86_FRAME_CS_ASM 144
#define X86_FRAME_RFLAGS_ASM 152
#define X86_FRAME_SS_ASM 168
#define X86_SELF_KERNEL_SP_ASM 0 /* offsetof(struct x86_self, ...) */
#define X86_SELF_USER_SP_ASM 8
#define X86_OPS_TRAP_ASM 0 /* offsetof(struct x86_ops, ...) */
#define X86_OPS_SYSCALL_ASM 16
#define X86_SYSCALL_VECTOR_ASM 128
#define X86_SYSCALL_INSN_ASM 256
#define X86_NR_STUBS_ASM 64 /* exceptions and interrupts with an entry stub */
#define X86_USER_BITS_ASM (9 * X86_LEVELS + 11) /* of an address in the lower half */
#define X86_PVH_MAGIC_ASM 0x336ec578

#endif
