/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - what the 32-bit port keeps per processor, and the calls between its own files. Not for the kernel on top.
 */
#ifndef KMM_PORTS_X86_32_CPU_H
#define KMM_PORTS_X86_32_CPU_H

#include "common/cpu.h"

#define X86_GDT_ENTRIES 32
#define X86_GDT_TSS 16
#define X86_GDT_DF_TSS 31
#define X86_NR_VECTORS 256

/* Task state segment, 32-bit (Intel SDM vol. 3, 8.2.1). Selector fields use the low 16 bits. */
struct x86_tss {
	uint32_t link;
	uint32_t esp0, ss0, esp1, ss1, esp2, ss2;
	uint32_t cr3, eip, eflags;
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, iomap_base;
};

/* Operand of LGDT and LIDT. */
struct x86_table_reg {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

/* Used by its own processor only, with interrupts off. */
struct x86_cpu {
	uint64_t gdt[X86_GDT_ENTRIES];
	struct x86_tss tss;
	struct x86_tss df_tss;
	struct x86_table_reg gdt_reg;
	uint8_t df_stack[4096] __attribute__((aligned(16)));
};

extern struct x86_cpu x86_cpus[X86_MAX_CPUS];

static inline struct x86_cpu *x86_this_cpu(void)
{
	return &x86_cpus[x86_cpu_id()];
}

/* boot.S, entry.S */
void x86_paging_switch(uint32_t cr3, uint32_t cr0, const struct x86_table_reg *gdt);
void x86_syscall_stub(void);
void x86_double_fault_stub(void);
extern char x86_pop_gs[], x86_pop_fs[], x86_pop_es[], x86_pop_ds[], x86_iret[], x86_leave[];

/* segments.c: the flat GDT of this processor; TSS and double fault task; the exception table for both worlds. */
struct x86_table_reg *x86_gdt_build(unsigned cpu);
void x86_tss_start(struct x86_cpu *cpu, uint32_t root_pa);
void x86_idt_load(void);

/* called from entry.S */
void x86_double_fault(void);

#endif
