/* SPDX-License-Identifier: MIT */
/*
 * pvh.c - copy what a PVH loader says into x86_boot (Xen public headers, arch-x86/hvm/start_info.h).
 *
 * Its addresses are 64 bits wide, but only memory below 4 GiB can be read this early: tables and text above it are
 * refused, modules may lie anywhere. Version 0 of the structure has no memory map, and is refused by the core for
 * lack of RAM.
 */
#include "common/cpu.h"

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp;
	uint64_t memmap; /* this and what follows: version 1 */
	uint32_t nr_memmap, reserved;
};

struct module {
	uint64_t start, size, cmdline, reserved;
};

struct range {
	uint64_t base, size;
	uint32_t type, reserved;
};

static const void *at(uint64_t pa)
{
	if (pa >> 32)
		x86_panic("the loader's data at %llx lies above 4 GiB", (unsigned long long)pa);
	return x86_phys_ptr(pa);
}

void x86_pvh_read(uint32_t info_pa)
{
	struct start_info info;

	memcpy(&info, at(info_pa), sizeof(info));
	if (info.magic != X86_PVH_MAGIC)
		x86_panic("not started by a PVH loader (magic %08x)", info.magic);
	for (uint32_t i = 0; info.version >= 1 && i < info.nr_memmap; i++) {
		const struct range *r = (const struct range *)at(info.memmap) + i;

		x86_boot_add_range(r->base, r->size, r->type);
	}
	for (uint32_t i = 0; i < info.nr_modules; i++) {
		const struct module *m = (const struct module *)at(info.modules) + i;

		x86_boot_add_module(m->start, m->start + m->size);
	}
	x86_boot.rsdp = info.rsdp;
	if (info.cmdline)
		x86_boot_set_cmdline(at(info.cmdline));
}
