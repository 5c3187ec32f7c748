/* SPDX-License-Identifier: MIT */
/* cpu.h - the calls between the port's own files, and the control registers, in both widths. Not for the kernel on top. */
#ifndef KMM_PORTS_X86_COMMON_CPU_H
#define KMM_PORTS_X86_COMMON_CPU_H

#include "x86.h"

extern struct x86_ops x86_active_ops;
extern bool x86_paging_on;

/* 32/ or 64/: descriptor tables as far as they can be loaded at once; memory that boot.S left unmapped. */
void x86_tables_start(void);
void x86_boot_map(void);

/*
 * Processors. The one that starts has no stack of its own and runs nothing but these: x86_ap_entry in boot.S, at its
 * physical address in flat 32-bit mode, then x86_ap_main() on the stack in x86_ap.stack.
 */
struct x86_ap {
	void *stack;
	void (*entry)(void);
	uint32_t cpu;
};
extern struct x86_ap x86_ap;
extern char x86_trampoline[], x86_trampoline_end[], x86_ap_entry[];
void x86_ap_main(void);
/* 32/ or 64/: the starting processor's descriptor tables and the kernel's page tables; around the starts, on the boot one. */
void x86_ap_tables(unsigned cpu);
void x86_ap_tables_done(void);
void x86_ap_begin(void);
void x86_ap_end(void);
void x86_fpu_start(void); /* fpu.c; on each processor */

/* Vectors of the local interrupt controller, and the place of the trampoline: a page below 1 MiB that is never handed out. */
enum { X86_VECTOR_TIMER = 48, X86_VECTOR_FLUSH = 49, X86_VECTOR_KICK = X86_IRQ_BASE + X86_IRQ_KICK, X86_VECTOR_SPURIOUS = 63 };
#define X86_TRAMPOLINE_PA 0x1000u
extern uint8_t x86_apic_ids[X86_MAX_CPUS];
void x86_acpi_find_cpus(void);
uint32_t x86_apic_id_now(void);
uint32_t x86_div_64_32(uint64_t n, uint32_t d); /* the quotient is known to fit */
void x86_lapic_start(void);
void x86_lapic_eoi(void);
void x86_lapic_send(unsigned cpu, uint32_t vector);
void x86_lapic_init_others(void);
void x86_lapic_start_cpu(unsigned cpu);
void x86_lapic_timer_start(void);

/* shoot.c: translations dropped on other processors. */
struct kmm_flush;
extern uint32_t x86_online; /* bit per processor that takes part */
void x86_tlb_online(unsigned cpu);
void x86_tlb_do(const struct kmm_flush *flush);
/* Before the processors that have the space loaded are told: the others will drop what they kept of it. */
void x86_tlb_mark(const struct kmm_flush *flush);
extern bool x86_pcid_on; /* identifiers are in use: 64-bit, where the processor has them and global pages */
void x86_tlb_others(uint64_t cpus, const struct kmm_flush *flush);
void x86_tlb_serve(void);
/* The interrupt that another processor sent. */
void x86_tlb_interrupt(void);
void x86_tlb_leave(void); /* an idle processor is about to touch kernel addresses again */
void x86_tlb_load_root(uint64_t root_pa);
extern uint64_t x86_kernel_root;

/* from entry.S and boot.S */
void x86_boot_main(uint32_t magic, uint32_t info_pa);
void x86_kernel_trap(struct x86_frame *frame);
void x86_irq_entry(struct x86_frame *frame);
void x86_fpu_trap(struct x86_frame *frame);
void x86_context_returned(void);
extern const x86_word x86_stubs[];
void x86_context_start(void);

/* common/ */
void x86_cpu_detect(void);
void x86_serial_init(void);
void x86_serial_poll(void);
void x86_disks_interrupt(int irq); /* lets the device's line go */
void x86_serial_drain(void);
void x86_clock_init(void);
void x86_clock_tick(void);
void x86_pic_init(void);
bool x86_pic_ack(int irq);
uint64_t x86_descriptor(uint32_t base, uint32_t limit, uint32_t type, uint32_t flags);

/* Boot data. Fill x86_boot from what the loader left at info_pa; multiboot and pvh are told apart by magic. */
#define X86_MULTIBOOT_MAGIC 0x2BADB002u
#define X86_PVH_MAGIC 0x336ec578u
void x86_boot_read(uint32_t magic, uint32_t info_pa);
void x86_multiboot_read(uint32_t info_pa);
void x86_pvh_read(uint32_t info_pa);
void x86_boot_add_range(uint64_t base, uint64_t size, uint32_t type);
void x86_boot_add_module(uint64_t start, uint64_t end);
void x86_boot_set_cmdline(const char *text);
/* Frames that the port itself took out of RAM: [start, end), at most once. */
void x86_boot_took(uint64_t start, uint64_t end);
struct x86_mem_range x86_boot_taken(void); /* size 0: none */

/* Hibernation. What bears this mark is in no image, and as the kernel left it that runs now. */
#define X86_NOSAVE __attribute__((section(".bss.nosave")))
struct x86_saved {
	x86_word cr3, ip, sp, kept[6]; /* resume.S */
};
extern struct x86_saved x86_saved;
__attribute__((noreturn)) void x86_state_return(void);
__attribute__((noreturn)) void x86_run_on(void *stack_top, void (*call)(x86_word arg), x86_word arg);
/* 32/ or 64/: tables that nothing that is moved belongs to; a frame by one of three windows. */
void x86_moving_begin(void);
void *x86_moving_at(unsigned window, uint64_t pfn);
void x86_clock_stop(void);
void x86_clock_go_on(void);
void x86_fpu_park(void);       /* no registers are in the processor alone */
void x86_fpu_forget_all(void); /* nor does any processor's belong to anybody */
void *x86_lapic_registers(void);

static inline x86_word x86_read_cr0(void)
{
	x86_word v;
	__asm__ volatile("mov %%cr0, %0" : "=r"(v));
	return v;
}
static inline void x86_write_cr0(x86_word v)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory");
}
static inline x86_word x86_read_cr3(void)
{
	x86_word v;
	__asm__ volatile("mov %%cr3, %0" : "=r"(v));
	return v;
}
static inline void x86_write_cr3(x86_word v)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory");
}
static inline x86_word x86_read_cr4(void)
{
	x86_word v;
	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}
static inline void x86_write_cr4(x86_word v)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory");
}
static inline uint64_t x86_read_msr(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}
static inline void x86_write_msr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "a"((uint32_t)v), "d"((uint32_t)(v >> 32)), "c"(msr) : "memory");
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
#define X86_CR4_UMIP 0x800u
#define X86_CR4_PCIDE 0x20000u
#define X86_CR4_OSXSAVE 0x40000u
#define X86_CR4_SMEP 0x100000u
#define X86_CR4_SMAP 0x200000u
#define X86_MSR_EFER 0xC0000080u
#define X86_EFER_NXE 0x800u

#endif
