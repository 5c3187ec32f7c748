/* SPDX-License-Identifier: MIT */
/* tlb.c - page table roots and the TLB, once paging is on. */
#include "common/cpu.h"

/* PAE roots are 32 bytes; all others are pages. The bits below hold cache attributes, or an identifier (pcid.h). */
#define ROOT_ALIGN (sizeof(x86_word) == 8 ? X86_PAGE_SIZE : 32)

uint64_t x86_kernel_root;

void x86_load_root(uint64_t root_pa)
{
	if (!root_pa)
		root_pa = x86_kernel_root;
	x86_tlb_load_root(root_pa);
}

uint64_t x86_current_root(void)
{
	return x86_read_cr3() & ~(x86_word)(ROOT_ALIGN - 1);
}

void x86_tlb_flush_local(void)
{
	x86_write_cr3(x86_read_cr3());
}

void x86_tlb_flush_all(void)
{
	x86_word cr4 = x86_read_cr4();

	if (!(cr4 & X86_CR4_PGE)) {
		x86_tlb_flush_local();
		return;
	}
	x86_write_cr4(cr4 & ~X86_CR4_PGE);
	x86_write_cr4(cr4);
}
