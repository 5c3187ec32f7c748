/* SPDX-License-Identifier: MIT */
/*
 * segments.c - descriptor tables: GDT with the selectors Linux i386 shows to ring 3, per-task TLS entries, TSS, the
 * double fault task, and the interrupt table.
 *
 * The interrupt table holds kernel addresses and the kernel's code selector. Both mean the same before and after
 * paging (the segment base changes with the meaning of linear addresses), so exceptions are caught from the first C
 * line on; only the table's own linear address has to be loaded again.
 */
#include "32/asm.h"
#include "32/cpu.h"

_Static_assert(X86_PAGE_OFFSET == X86_PAGE_OFFSET_ASM, "asm.h");
_Static_assert(X86_KERNEL_CS == X86_KERNEL_CS_ASM && X86_KERNEL_DS == X86_KERNEL_DS_ASM, "asm.h");
_Static_assert(X86_KERNEL_FS == X86_KERNEL_FS_ASM, "asm.h");
_Static_assert(offsetof(struct x86_frame, cs) == X86_FRAME_CS_ASM, "asm.h");
_Static_assert(offsetof(struct x86_ops, trap) == X86_OPS_TRAP_ASM, "asm.h");
_Static_assert(offsetof(struct x86_ops, syscall) == X86_OPS_SYSCALL_ASM, "asm.h");
_Static_assert(X86_VECTOR_SPURIOUS + 1 == X86_NR_STUBS_ASM, "asm.h");
_Static_assert(sizeof(struct x86_tss) == 104, "layout given by the processor");
_Static_assert(sizeof(struct x86_frame) == 76, "x86.h");

struct x86_cpu x86_cpus[X86_MAX_CPUS];
bool x86_paging_on;

static uint64_t idt[X86_NR_VECTORS];

enum { TYPE_TSS = 0x89, TYPE_CODE = 0x9a, TYPE_DATA = 0x92, DPL3 = 0x60 };
enum { GATE_TASK = 0x85, GATE_INTERRUPT = 0x8e };
enum { GRANULAR_32BIT = 0xc };

static uint64_t gate(uint32_t selector, uint32_t offset, uint32_t type)
{
	uint32_t lo = selector << 16 | (offset & 0xffff);
	uint32_t hi = (offset & 0xffff0000) | type << 8;

	return (uint64_t)hi << 32 | lo;
}

/* FS leads to this processor's struct x86_self from the address of the first one. */
struct x86_table_reg *x86_gdt_build(unsigned number)
{
	struct x86_cpu *cpu = &x86_cpus[number];
	uint32_t distance = (uint32_t)(number * sizeof(struct x86_self));

	cpu->gdt[X86_KERNEL_CS / 8] = x86_descriptor(0, 0xfffff, TYPE_CODE, GRANULAR_32BIT);
	cpu->gdt[X86_KERNEL_DS / 8] = x86_descriptor(0, 0xfffff, TYPE_DATA, GRANULAR_32BIT);
	cpu->gdt[X86_USER_CS / 8] = x86_descriptor(0, 0xfffff, TYPE_CODE | DPL3, GRANULAR_32BIT);
	cpu->gdt[X86_USER_DS / 8] = x86_descriptor(0, 0xfffff, TYPE_DATA | DPL3, GRANULAR_32BIT);
	cpu->gdt[X86_GDT_TSS] = x86_descriptor((uint32_t)&cpu->tss, sizeof(cpu->tss) - 1, TYPE_TSS, 0);
	cpu->gdt[X86_GDT_DF_TSS] = x86_descriptor((uint32_t)&cpu->df_tss, sizeof(cpu->df_tss) - 1, TYPE_TSS, 0);
	cpu->gdt[X86_KERNEL_FS / 8] = x86_descriptor(distance, 0xfffff, TYPE_DATA, GRANULAR_32BIT);
	cpu->gdt_reg.limit = sizeof(cpu->gdt) - 1;
	cpu->gdt_reg.base = (uint32_t)cpu->gdt;
	return &cpu->gdt_reg;
}

/* The double fault task has a stack and a root of its own, so it runs even if the kernel stack has overflowed. */
static void df_task_build(struct x86_cpu *cpu, uint32_t root_pa)
{
	struct x86_tss *tss = &cpu->df_tss;

	tss->cr3 = root_pa;
	tss->eip = (uint32_t)x86_double_fault_stub;
	tss->esp = (uint32_t)(cpu->df_stack + sizeof(cpu->df_stack));
	tss->eflags = 2;
	tss->cs = X86_KERNEL_CS;
	tss->ss = tss->ds = tss->es = X86_KERNEL_DS;
	tss->fs = X86_KERNEL_FS;
	tss->iomap_base = sizeof(*tss);
}

void x86_tss_start(struct x86_cpu *cpu, uint32_t root_pa)
{
	cpu->tss.ss0 = X86_KERNEL_DS;
	cpu->tss.esp0 = (uint32_t)x86_boot_stack_top;
	cpu->tss.iomap_base = sizeof(cpu->tss); /* beyond the limit: ring 3 may use no I/O port */
	df_task_build(cpu, root_pa);
	__asm__ volatile("ltr %w0" : : "r"(X86_GDT_TSS * 8));
	__asm__ volatile("lldt %w0" : : "r"(0)); /* after reset it covers linear 0..FFFF: ring 3 must find none */
	idt[X86_TRAP_DF] = gate(X86_GDT_DF_TSS * 8, 0, GATE_TASK); /* each processor finds its own task there */
}

static void idt_build(void)
{
	for (unsigned i = 0; i < X86_NR_STUBS_ASM; i++)
		idt[i] = gate(X86_KERNEL_CS, x86_stubs[i], GATE_INTERRUPT);
	idt[X86_TRAP_BP] = gate(X86_KERNEL_CS, x86_stubs[X86_TRAP_BP], GATE_INTERRUPT | DPL3);
	idt[X86_TRAP_OF] = gate(X86_KERNEL_CS, x86_stubs[X86_TRAP_OF], GATE_INTERRUPT | DPL3);
	idt[X86_SYSCALL_VECTOR] = gate(X86_KERNEL_CS, (uint32_t)x86_syscall_stub, GATE_INTERRUPT | DPL3);
}

void x86_idt_load(void)
{
	struct x86_table_reg reg = { sizeof(idt) - 1, (uint32_t)idt - (x86_paging_on ? 0 : X86_PAGE_OFFSET) };

	__asm__ volatile("lidt %0" : : "m"(reg));
}

void x86_tables_start(void)
{
	idt_build();
	x86_idt_load();
}

void x86_set_kernel_stack(void *stack_top)
{
	x86_this_cpu()->tss.esp0 = (uint32_t)stack_top;
}

void x86_tls_load(const struct x86_tls *tls)
{
	uint64_t *gdt = x86_this_cpu()->gdt;

	for (unsigned i = 0; i < X86_TLS_COUNT; i++)
		gdt[X86_TLS_MIN + i] = tls->desc[i];
}

/* Nothing of a task's segments is in the processor only. */
void x86_tls_save(struct x86_tls *tls)
{
	(void)tls;
}

/* Runs in the double fault task: the interrupted registers are in the TSS of the task that broke. */
void x86_double_fault(void)
{
	const struct x86_tss *t = &x86_this_cpu()->tss;
	struct x86_frame f = {
		.gs = t->gs, .fs = t->fs, .es = t->es, .ds = t->ds, .edi = t->edi, .esi = t->esi, .ebp = t->ebp,
		.unused_esp = t->esp, .ebx = t->ebx, .edx = t->edx, .ecx = t->ecx, .eax = t->eax,
		.trapno = X86_TRAP_DF, .eip = t->eip, .cs = t->cs, .eflags = t->eflags, .esp = t->esp, .ss = t->ss,
	};

	x86_panic_frame(&f, "double fault (kernel stack overflow, or a broken exception path)");
}
