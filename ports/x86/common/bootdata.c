/* SPDX-License-Identifier: MIT */
/*
 * bootdata.c - x86_boot: what the loader said, whichever loader it was, and what follows from it for the core.
 *
 * Counts are capped and text is cut here, so the readers of a loader's structures need not care.
 */
#include "common/cpu.h"

struct x86_boot x86_boot;
static struct x86_mem_range took;

void x86_boot_read(uint32_t magic, uint32_t info_pa)
{
	if (magic == X86_MULTIBOOT_MAGIC)
		x86_multiboot_read(info_pa);
	else if (magic == X86_PVH_MAGIC)
		x86_pvh_read(info_pa);
	else
		x86_panic("not started by a multiboot loader (eax %08x)", magic);
}

void x86_boot_add_range(uint64_t base, uint64_t size, uint32_t type)
{
	if (x86_boot.nr_ranges == X86_MAX_MEMMAP) {
		x86_boot.ranges_cut = true;
		return;
	}
	x86_boot.ranges[x86_boot.nr_ranges++] = (struct x86_mem_range){ base, size, type };
}

void x86_boot_add_module(uint64_t start, uint64_t end)
{
	if (end > start && x86_boot.nr_modules < X86_MAX_MODULES)
		x86_boot.modules[x86_boot.nr_modules++] = (struct x86_module){ start, end };
}

void x86_boot_set_cmdline(const char *text)
{
	size_t n = 0;

	while (text[n] && n < X86_CMDLINE_SIZE - 1) {
		x86_boot.cmdline[n] = text[n];
		n++;
	}
	x86_boot.cmdline[n] = 0;
	x86_boot.cmdline_cut = text[n] != 0;
}

void x86_boot_took(uint64_t start, uint64_t end)
{
	took = (struct x86_mem_range){ start, end - start, 0 };
}

struct x86_mem_range x86_boot_taken(void)
{
	return took;
}

uint32_t x86_memmap(const struct x86_mem_range **ranges)
{
	*ranges = x86_boot.ranges;
	return x86_boot.nr_ranges;
}

static struct x86_mem_range page_range(uint64_t start, uint64_t end)
{
	const uint64_t mask = X86_PAGE_SIZE - 1;

	start &= ~mask;
	return (struct x86_mem_range){ start, ((end + mask) & ~mask) - start, 0 };
}

uint32_t x86_reserved(struct x86_mem_range *out, uint32_t max)
{
	struct x86_mem_range all[3 + X86_MAX_MODULES];
	uint32_t n = 0;

	all[n++] = page_range(0, x86_nr_cpus > 1 ? X86_TRAMPOLINE_PA + X86_PAGE_SIZE : X86_PAGE_SIZE);
	all[n++] = page_range(x86_image_pa(x86_image_start), x86_image_pa(x86_image_end));
	for (uint32_t i = 0; i < x86_boot.nr_modules; i++)
		all[n++] = page_range(x86_boot.modules[i].start, x86_boot.modules[i].end);
	if (took.size)
		all[n++] = took;
	for (uint32_t i = 0; i < n && i < max; i++)
		out[i] = all[i];
	return n;
}
