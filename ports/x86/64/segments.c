/* SPDX-License-Identifier: MIT */
/*
 * segments.c - descriptor tables: GDT with the selectors Linux x86_64 shows to ring 3, TSS with the interrupt stacks, the
 * interrupt table, and the registers that SYSCALL works by. All final from the first C line on.
 */
#include "64/asm.h"
#include "64/cpu.h"

_Static_assert(X86_IMAGE_BASE == X86_IMAGE_BASE_ASM, "asm.h");
_Static_assert(X86_PAGE_OFFSET == X86_DIRECT_BASE_ASM, "asm.h");
_Static_assert((X86_PAGE_OFFSET >> (12 + 9 * (X86_LEVELS - 1)) & 511) == X86_DIRECT_SLOT_ASM, "asm.h");
_Static_assert((X86_PAGE_OFFSET & ((1ull << (12 + 9 * (X86_LEVELS - 1))) - 1)) == 0, "boot.S");
_Static_assert(X86_KERNEL_CS == X86_KERNEL_CS_ASM && X86_KERNEL_DS == X86_KERNEL_DS_ASM, "asm.h");
_Static_assert(X86_USER_CS == X86_USER_CS_ASM && X86_USER_DS == X86_USER_DS_ASM, "asm.h");
_Static_assert(X86_USER32_CS == X86_USER_DS - 8 && X86_USER_CS == X86_USER32_CS + 16, "order given by SYSRET");
_Static_assert(X86_KERNEL_DS == X86_KERNEL_CS + 8, "order given by SYSCALL");
_Static_assert(offsetof(struct x86_frame, r11) == X86_FRAME_R11_ASM, "asm.h");
_Static_assert(offsetof(struct x86_frame, rcx) == X86_FRAME_RCX_ASM, "asm.h");
_Static_assert(offsetof(struct x86_frame, trapno) == X86_FRAME_TRAPNO_ASM, "asm.h");
_Static_assert(offsetof(struct x86_frame, rip) == X86_FRAME_RIP_ASM, "asm.h");
_Static_assert(offsetof(struct x86_frame, cs) == X86_FRAME_CS_ASM, "asm.h");
_Static_assert(offsetof(struct x86_frame, rflags) == X86_FRAME_RFLAGS_ASM, "asm.h");
_Static_assert(offsetof(struct x86_frame, ss) == X86_FRAME_SS_ASM, "asm.h");
_Static_assert(sizeof(struct x86_frame) % 16 == 0, "frames lie at 16-byte boundaries");
_Static_assert(offsetof(struct x86_self, kernel_sp) == X86_SELF_KERNEL_SP_ASM, "asm.h");
_Static_assert(offsetof(struct x86_self, user_sp) == X86_SELF_USER_SP_ASM, "asm.h");
_Static_assert(offsetof(struct x86_ops, trap) == X86_OPS_TRAP_ASM, "asm.h");
_Static_assert(offsetof(struct x86_ops, syscall) == X86_OPS_SYSCALL_ASM, "asm.h");
_Static_assert(X86_SYSCALL_VECTOR == X86_SYSCALL_VECTOR_ASM && X86_SYSCALL_INSN == X86_SYSCALL_INSN_ASM, "asm.h");
_Static_assert(X86_VECTOR_SPURIOUS + 1 == X86_NR_STUBS_ASM, "asm.h");
_Static_assert(X86_USER_END_MAX == (1ull << X86_USER_BITS_ASM) - X86_PAGE_SIZE, "arch.h");
_Static_assert(X86_PVH_MAGIC == X86_PVH_MAGIC_ASM, "asm.h");
_Static_assert(sizeof(struct x86_tss) == 104, "layout given by the processor");

struct x86_cpu x86_cpus[X86_MAX_CPUS];

static struct {
	uint64_t lo, hi;
} idt[X86_NR_VECTORS];

enum { TYPE_TSS = 0x89, TYPE_CODE = 0x9b, TYPE_DATA = 0x93, DPL3 = 0x60, GATE_INTERRUPT = 0x8e };
enum { GRANULAR_32BIT = 0xc, GRANULAR_64BIT = 0xa };

/* What SYSCALL clears: TF, IF, DF, IOPL, NT, RF, AC. */
#define SYSCALL_MASK 0x57700u

static void gdt_build(struct x86_cpu *cpu)
{
	uint64_t tss = (uint64_t)&cpu->tss;

	cpu->gdt[X86_KERNEL_CS / 8] = x86_descriptor(0, 0xfffff, TYPE_CODE, GRANULAR_64BIT);
	cpu->gdt[X86_KERNEL_DS / 8] = x86_descriptor(0, 0xfffff, TYPE_DATA, GRANULAR_32BIT);
	cpu->gdt[X86_USER32_CS / 8] = x86_descriptor(0, 0xfffff, TYPE_CODE | DPL3, GRANULAR_32BIT);
	cpu->gdt[X86_USER_DS / 8] = x86_descriptor(0, 0xfffff, TYPE_DATA | DPL3, GRANULAR_32BIT);
	cpu->gdt[X86_USER_CS / 8] = x86_descriptor(0, 0xfffff, TYPE_CODE | DPL3, GRANULAR_64BIT);
	cpu->gdt[X86_GDT_TSS] = x86_descriptor((uint32_t)tss, sizeof(cpu->tss) - 1, TYPE_TSS, 0);
	cpu->gdt[X86_GDT_TSS + 1] = tss >> 32;
}

static void gdt_load(struct x86_cpu *cpu)
{
	struct x86_table_reg reg = { sizeof(cpu->gdt) - 1, (uint64_t)cpu->gdt };

	gdt_build(cpu);
	__asm__ volatile("lgdt %0" : : "m"(reg));
	__asm__ volatile("lldt %w0" : : "r"(0)); /* ring 3 must find none */
}

static void tss_load(struct x86_cpu *cpu, void *stack_top)
{
	for (unsigned i = 0; i < X86_NR_IST; i++)
		cpu->tss.ist[i] = (uint64_t)(cpu->ist[i] + X86_IST_SIZE);
	cpu->tss.iomap_base = sizeof(cpu->tss); /* beyond the limit: ring 3 may use no I/O port */
	__asm__ volatile("ltr %w0" : : "r"(X86_GDT_TSS * 8));
	cpu->tss.rsp[0] = (uint64_t)stack_top;
}

static void gate(unsigned vector, uint64_t offset, unsigned type, unsigned ist)
{
	idt[vector].lo = (offset & 0xffff) | X86_KERNEL_CS << 16 | (uint64_t)ist << 32 | (uint64_t)type << 40 |
			 (offset >> 16 & 0xffff) << 48;
	idt[vector].hi = offset >> 32;
}

static void idt_build(void)
{
	for (unsigned i = 0; i < X86_NR_STUBS_ASM; i++)
		gate(i, x86_stubs[i], GATE_INTERRUPT, 0);
	gate(X86_TRAP_DF, x86_stubs[X86_TRAP_DF], GATE_INTERRUPT, X86_IST_DF);
	gate(X86_TRAP_NMI, x86_stubs[X86_TRAP_NMI], GATE_INTERRUPT, X86_IST_NMI);
	gate(X86_TRAP_MC, x86_stubs[X86_TRAP_MC], GATE_INTERRUPT, X86_IST_MC);
	gate(X86_TRAP_BP, x86_stubs[X86_TRAP_BP], GATE_INTERRUPT | DPL3, 0);
	gate(X86_TRAP_OF, x86_stubs[X86_TRAP_OF], GATE_INTERRUPT | DPL3, 0);
	gate(X86_SYSCALL_VECTOR, (uint64_t)x86_syscall_stub, GATE_INTERRUPT | DPL3, 0);
}

static void idt_load(void)
{
	struct x86_table_reg reg = { sizeof(idt) - 1, (uint64_t)idt };

	__asm__ volatile("lidt %0" : : "m"(reg));
}

static void syscall_start(struct x86_self *self)
{
	x86_write_msr(X86_MSR_EFER, x86_read_msr(X86_MSR_EFER) | X86_EFER_SCE);
	x86_write_msr(X86_MSR_STAR, (uint64_t)X86_KERNEL_CS << 32 | (uint64_t)X86_USER32_CS << 48);
	x86_write_msr(X86_MSR_LSTAR, (uint64_t)x86_syscall_entry);
	x86_write_msr(X86_MSR_CSTAR, (uint64_t)x86_syscall_entry_compat);
	x86_write_msr(X86_MSR_SFMASK, SYSCALL_MASK);
	x86_write_msr(X86_MSR_GS_BASE, (uint64_t)self);
	x86_write_msr(X86_MSR_KERNEL_GS_BASE, 0);
	x86_write_msr(X86_MSR_FS_BASE, 0);
}

static void tables_load(unsigned cpu, void *stack_top)
{
	gdt_load(&x86_cpus[cpu]);
	tss_load(&x86_cpus[cpu], stack_top);
	idt_load();
	syscall_start(&x86_selves[cpu]);
	x86_selves[cpu].kernel_sp = (uint64_t)stack_top;
}

void x86_tables_start(void)
{
	idt_build();
	tables_load(0, x86_boot_stack_top);
}

void x86_ap_tables(unsigned cpu)
{
	tables_load(cpu, x86_ap.stack);
	x86_paging_load();
}

void x86_set_kernel_stack(void *stack_top)
{
	struct x86_cpu *cpu = x86_this_cpu();

	x86_selves[x86_cpu_id()].kernel_sp = (uint64_t)stack_top;
	cpu->tss.rsp[0] = (uint64_t)stack_top;
}
