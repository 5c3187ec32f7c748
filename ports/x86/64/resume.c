/* SPDX-License-Identifier: MIT */
/*
 * resume.c - tables to move memory by: those of the start, which map the image and all RAM (paging.c), and are in no image.
 */
#include "64/cpu.h"

void x86_moving_begin(void)
{
	x86_write_cr3(x86_image_pa(x86_boot_root));
}

void *x86_moving_at(unsigned window, uint64_t pfn)
{
	(void)window;
	return x86_phys_ptr(pfn * X86_PAGE_SIZE);
}
