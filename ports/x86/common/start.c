/* SPDX-License-Identifier: MIT */
/*
 * start.c - first C code: bring up what the port owns in the order in which each part can report trouble about the
 * next, then hand over to the kernel.
 */
#include "common/cpu.h"

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
