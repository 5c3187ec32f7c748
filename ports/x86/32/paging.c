/* SPDX-License-Identifier: MIT */
/*
 * paging.c - turn paging on with the core's tables; roots and TLB afterwards.
 *
 * KMM_X86_PAE (0 or 1, from the build) is all this file knows of the table format: the width of a top-level entry, how
 * many there are, and CR4.PAE. The switch needs the kernel's first top-level entries at slot 0 for a few instructions.
 * Global pages are enabled only after those entries are gone, so no global translation of them can survive in the TLB.
 */
#include "32/cpu.h"

#if KMM_X86_PAE
typedef uint64_t top_entry;
#define KERNEL_SLOT (X86_PAGE_OFFSET >> 30)
#define SWITCH_SLOTS 1 /* 1 GiB */
#else
typedef uint32_t top_entry;
#define KERNEL_SLOT (X86_PAGE_OFFSET >> 22)
#define SWITCH_SLOTS 4 /* 16 MiB: code, stack and GDT of a large image too */
#endif

static void enable_no_execute(void)
{
	if (KMM_X86_PAE && x86_cpu_info.nx)
		x86_write_msr(X86_MSR_EFER, x86_read_msr(X86_MSR_EFER) | X86_EFER_NXE);
}

static uint32_t cr4_for_switch(void)
{
	uint32_t cr4 = x86_read_cr4() & ~X86_CR4_PGE;

	if (x86_cpu_info.pse)
		cr4 |= X86_CR4_PSE;
	if (KMM_X86_PAE)
		cr4 |= X86_CR4_PAE;
	return cr4;
}

static uint32_t cr0_with_paging(void)
{
	return (x86_read_cr0() & ~(X86_CR0_CD | X86_CR0_NW)) | X86_CR0_PG | X86_CR0_WP | X86_CR0_AM;
}

static volatile top_entry *kernel_root(void)
{
	return (volatile top_entry *)((uint32_t)x86_kernel_root + X86_PAGE_OFFSET);
}

/* The entries for the instant of the switch. */
void x86_ap_begin(void)
{
	volatile top_entry *root = kernel_root();

	for (unsigned i = 0; i < SWITCH_SLOTS; i++)
		root[i] = root[KERNEL_SLOT + i];
}

void x86_ap_end(void)
{
	volatile top_entry *root = kernel_root();

	for (unsigned i = 0; i < SWITCH_SLOTS; i++)
		root[i] = 0;
	x86_write_cr3((uint32_t)x86_kernel_root);
	x86_tlb_flush_all();
}

void x86_direct_map_move(x86_word base)
{
	if (base != X86_PAGE_OFFSET)
		x86_panic("a direct map at %lx: that of this kernel is part of its image's place", (unsigned long)base);
}

void x86_paging_enable(uint64_t root_pa)
{
	volatile top_entry *root = (volatile top_entry *)((uint32_t)root_pa + X86_PAGE_OFFSET);

	if (KMM_X86_PAE && !x86_cpu_info.pae)
		x86_panic("this kernel uses PAE page tables, the processor has none");
	if (root_pa >> 32 || !(root[KERNEL_SLOT] & 1))
		x86_panic("page table root %llx does not map the kernel", root_pa);
	x86_write_cr4(cr4_for_switch());
	enable_no_execute();
	x86_kernel_root = root_pa;
	x86_ap_begin();
	x86_paging_switch((uint32_t)root_pa, cr0_with_paging(), x86_gdt_build(0));
	x86_paging_on = true;
	x86_ap_end();
	x86_ap_tables_done();
	x86_idt_load();
	x86_tss_start(x86_this_cpu(), (uint32_t)root_pa);
}

void x86_ap_tables(unsigned cpu)
{
	x86_write_cr4(cr4_for_switch());
	enable_no_execute();
	x86_paging_switch((uint32_t)x86_kernel_root, cr0_with_paging(), x86_gdt_build(cpu));
	x86_idt_load();
	x86_tss_start(x86_this_cpu(), (uint32_t)x86_kernel_root);
}

/* The switch's entries are gone from the tables: drop them here too, and no translation may be global before that. */
void x86_ap_tables_done(void)
{
	x86_write_cr3((uint32_t)x86_kernel_root);
	if (x86_cpu_info.pge)
		x86_write_cr4(x86_read_cr4() | X86_CR4_PGE);
}

/* boot.S leaves no memory unreachable: the segments reach all of it. */
void x86_boot_map(void)
{
}
