/* SPDX-License-Identifier: MIT */
/*
 * start.c - first C code: bring up what the port owns in the order in which each part can report trouble about the
 * next, then hand over to the kernel.
 */
#include "common/cpu.h"

/* FPU state is kept only in the form that FXSAVE writes (x86.h); every processor since 1999 has it. */
void x86_fpu_start(void)
{
	x86_word cr0 = x86_read_cr0() & ~X86_CR0_EM;

	if (!x86_cpu_info.fxsr)
		x86_panic("the processor lacks FXSAVE");
	x86_write_cr4(x86_read_cr4() | X86_CR4_OSFXSR | (x86_cpu_info.sse ? X86_CR4_OSXMMEXCPT : 0));
	x86_write_cr0(cr0 | X86_CR0_MP | X86_CR0_NE);
	__asm__ volatile("fninit");
	x86_write_cr0(x86_read_cr0() | X86_CR0_TS);
}

void x86_boot_main(uint32_t magic, uint32_t info_pa)
{
	x86_serial_init();
	x86_tables_start();
	x86_cpu_detect();
	x86_fpu_start();
	x86_pic_init();
	x86_clock_init();
	x86_boot_read(magic, info_pa);
	x86_boot_map();
	x86_acpi_find_cpus();
	kernel_main();
	x86_panic("kernel_main() returned");
}
