/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - what the 32-bit port keeps per processor, and the calls between its own files. Not for the kernel on top.
 */
#ifndef KMM_PORTS_X86_32_CPU_H
#define KMM_PORTS_X86_32_CPU_H

#include "x86.h"

#define X86_NR_CPUS 1
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
	struct x86_fpu *fpu_owner;   /* whose state the registers hold; NULL: nobody's */
	struct x86_fpu *fpu_current; /* whose state the running task wants; NULL: it has none */
};

extern struct x86_cpu x86_cpus[X86_NR_CPUS];
extern struct x86_ops x86_active_ops;
extern bool x86_paging_on;

static inline struct x86_cpu *x86_this_cpu(void)
{
	return &x86_cpus[x86_cpu_id()];
}

/* boot.S, entry.S */
void x86_paging_switch(uint32_t cr3, uint32_t cr0, const struct x86_table_reg *gdt);
void x86_syscall_stub(void);
void x86_double_fault_stub(void);
void x86_context_start(void);
extern const uint32_t x86_stubs[];
extern char x86_pop_gs[], x86_pop_fs[], x86_pop_es[], x86_pop_ds[], x86_iret[], x86_leave[];

/* segments.c: the flat GDT of this processor; TSS and double fault task; the exception table for both worlds. */
struct x86_table_reg *x86_gdt_build(struct x86_cpu *cpu);
void x86_tss_start(struct x86_cpu *cpu, uint32_t root_pa);
void x86_idt_build(void);
void x86_idt_load(void);

/* called from entry.S */
void x86_boot_main(uint32_t magic, uint32_t info_pa);
void x86_kernel_trap(struct x86_frame *frame);
void x86_irq_entry(struct x86_frame *frame);
void x86_fpu_trap(struct x86_frame *frame);
void x86_context_returned(void);
void x86_double_fault(void);

/* common/ */
void x86_cpu_detect(void);
void x86_serial_init(void);
void x86_serial_poll(void);
void x86_serial_drain(void);
void x86_clock_init(void);
void x86_clock_tick(void);
void x86_pic_init(void);
bool x86_pic_ack(int irq);
void x86_multiboot_read(uint32_t magic, uint32_t info_pa);

static inline uint32_t x86_read_cr0(void)
{
	uint32_t v;
	__asm__ volatile("mov %%cr0, %0" : "=r"(v));
	return v;
}
static inline void x86_write_cr0(uint32_t v)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory");
}
static inline uint32_t x86_read_cr3(void)
{
	uint32_t v;
	__asm__ volatile("mov %%cr3, %0" : "=r"(v));
	return v;
}
static inline void x86_write_cr3(uint32_t v)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory");
}
static inline uint32_t x86_read_cr4(void)
{
	uint32_t v;
	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}
static inline void x86_write_cr4(uint32_t v)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory");
}

#define X86_CR0_MP 0x00000002u
#define X86_CR0_EM 0x00000004u
#define X86_CR0_TS 0x00000008u
#define X86_CR0_NE 0x00000020u
#define X86_CR0_WP 0x00010000u
#define X86_CR0_AM 0x00040000u
#define X86_CR0_NW 0x20000000u
#define X86_CR0_CD 0x40000000u
#define X86_CR0_PG 0x80000000u
#define X86_CR4_PSE 0x010u
#define X86_CR4_PAE 0x020u
#define X86_CR4_PGE 0x080u
#define X86_CR4_OSFXSR 0x200u
#define X86_CR4_OSXMMEXCPT 0x400u

#endif
