/* SPDX-License-Identifier: MIT */
/* cpu.h - what the 64-bit port keeps per processor, and the calls between its own files. Not for the kernel on top. */
#ifndef KMM_PORTS_X86_64_CPU_H
#define KMM_PORTS_X86_64_CPU_H

#include "common/cpu.h"

#define X86_GDT_ENTRIES 16
#define X86_GDT_TSS 8 /* two entries */
#define X86_NR_VECTORS 256

/* Stacks of the interrupt stack table: exceptions that may come while the stack in use cannot be trusted. */
enum { X86_IST_DF = 1, X86_IST_NMI = 2, X86_IST_MC = 3 };
#define X86_NR_IST 3
#define X86_IST_SIZE 4096

/* Task state segment, 64-bit (Intel SDM vol. 3, 8.7). */
struct x86_tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, iomap_base;
} __attribute__((packed));

/* Operand of LGDT and LIDT. */
struct x86_table_reg {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* Used by its own processor only, with interrupts off. */
struct x86_cpu {
	uint64_t gdt[X86_GDT_ENTRIES];
	struct x86_tss tss;
	uint8_t ist[X86_NR_IST][X86_IST_SIZE] __attribute__((aligned(16)));
};

extern struct x86_cpu x86_cpus[X86_MAX_CPUS];

static inline struct x86_cpu *x86_this_cpu(void)
{
	return &x86_cpus[x86_cpu_id()];
}

/* paging.c: this processor goes over to the kernel's tables */
void x86_paging_load(void);

/* boot.S: the temporary root, and what it maps the start of the direct map with */
extern uint64_t x86_boot_root[512];

/* entry.S */
void x86_syscall_stub(void);
void x86_syscall_entry(void);
void x86_syscall_entry_compat(void);
extern char x86_iret[], x86_load_ds_at[], x86_load_es_at[], x86_load_fs_at[], x86_load_gs_at[];
void x86_load_ds(uint16_t selector);
void x86_load_es(uint16_t selector);
void x86_load_fs(uint16_t selector);
void x86_load_gs(uint16_t selector);

/* called from entry.S */
__attribute__((noreturn)) void x86_fatal_trap(struct x86_frame *frame);
__attribute__((noreturn)) void x86_iret_refused(struct x86_frame *frame);

#define X86_MSR_STAR 0xC0000081u
#define X86_MSR_LSTAR 0xC0000082u
#define X86_MSR_CSTAR 0xC0000083u
#define X86_MSR_SFMASK 0xC0000084u
#define X86_MSR_FS_BASE 0xC0000100u
#define X86_MSR_GS_BASE 0xC0000101u
#define X86_MSR_KERNEL_GS_BASE 0xC0000102u
#define X86_EFER_SCE 1u

#endif
