/* SPDX-License-Identifier: MIT */
/*
 * multiboot.c - copy what a multiboot (version 1) loader says into x86_boot.
 *
 * Runs before the core's tables are on, when every physical address below 4 GiB can be reached, so nothing about where the loader put
 * its data matters afterwards. Nothing in it is trusted further than needed to read it: an entry of the map that is
 * too short ends the map, text is cut at a limit, counts are capped. Overlaps and order are the core's business.
 */
#include "common/cpu.h"

enum { HAS_MEMORY = 1, HAS_CMDLINE = 4, HAS_MODULES = 8, HAS_MAP = 64 };

struct loader_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr;
};

struct loader_module {
	uint32_t start, end, text, reserved;
};

/* size counts the bytes after itself. */
struct loader_range {
	uint32_t size;
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

static const void *at(uint32_t pa)
{
	return x86_phys_ptr(pa);
}

static void read_map(uint32_t pa, uint32_t length)
{
	uint32_t done = 0;

	while (length - done >= sizeof(struct loader_range)) {
		struct loader_range r;

		memcpy(&r, at(pa + done), sizeof(r));
		if (r.size < sizeof(r) - sizeof(r.size) || r.size > length - done - sizeof(r.size))
			break;
		x86_boot_add_range(r.base, r.length, r.type);
		done += r.size + (uint32_t)sizeof(r.size);
	}
}

static void read_modules(const struct loader_info *info)
{
	const struct loader_module *modules = at(info->mods_addr);

	for (uint32_t i = 0; i < info->mods_count && i < X86_MAX_MODULES; i++) {
		struct loader_module m = modules[i];

		x86_boot_add_module(m.start, m.end);
	}
}

void x86_multiboot_read(uint32_t info_pa)
{
	struct loader_info info;

	memcpy(&info, at(info_pa), sizeof(info));
	if (info.flags & HAS_MAP)
		read_map(info.mmap_addr, info.mmap_length);
	if (x86_boot.nr_ranges == 0 && (info.flags & HAS_MEMORY)) {
		x86_boot_add_range(0, (uint64_t)info.mem_lower * 1024, 1);
		x86_boot_add_range(0x100000, (uint64_t)info.mem_upper * 1024, 1);
	}
	if (info.flags & HAS_MODULES)
		read_modules(&info);
	if (info.flags & HAS_CMDLINE)
		x86_boot_set_cmdline(at(info.cmdline));
}
