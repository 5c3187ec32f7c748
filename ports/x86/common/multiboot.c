/* SPDX-License-Identifier: MIT */
/*
 * multiboot.c - copy what a multiboot (version 1) loader says into x86_boot.
 *
 * Runs before paging, when every physical address below 4 GiB can be reached, so nothing about where the loader put
 * its data matters afterwards. Nothing in it is trusted further than needed to read it: an entry of the map that is
 * too short ends the map, text is cut at a limit, counts are capped. Overlaps and order are the core's business.
 */
#include "32/cpu.h"

#define LOADER_MAGIC 0x2BADB002u

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

struct x86_boot x86_boot;

static const void *at(uint32_t pa)
{
	return (const void *)(pa + X86_PAGE_OFFSET);
}

static void add_range(uint64_t base, uint64_t size, uint32_t type)
{
	if (x86_boot.nr_ranges == X86_MAX_MEMMAP) {
		x86_boot.ranges_cut = true;
		return;
	}
	x86_boot.ranges[x86_boot.nr_ranges++] = (struct x86_mem_range){ base, size, type };
}

static void read_map(uint32_t pa, uint32_t length)
{
	uint32_t done = 0;

	while (length - done >= sizeof(struct loader_range)) {
		struct loader_range r;

		memcpy(&r, at(pa + done), sizeof(r));
		if (r.size < sizeof(r) - sizeof(r.size) || r.size > length - done - sizeof(r.size))
			break;
		add_range(r.base, r.length, r.type);
		done += r.size + (uint32_t)sizeof(r.size);
	}
}

static void read_modules(const struct loader_info *info)
{
	const struct loader_module *modules = at(info->mods_addr);

	for (uint32_t i = 0; i < info->mods_count && x86_boot.nr_modules < X86_MAX_MODULES; i++) {
		struct loader_module m = modules[i];

		if (m.end > m.start)
			x86_boot.modules[x86_boot.nr_modules++] = (struct x86_module){ m.start, m.end };
	}
}

static void read_cmdline(const char *text)
{
	size_t n = 0;

	while (text[n] && n < X86_CMDLINE_SIZE - 1) {
		x86_boot.cmdline[n] = text[n];
		n++;
	}
	x86_boot.cmdline[n] = 0;
	x86_boot.cmdline_cut = text[n] != 0;
}

void x86_multiboot_read(uint32_t magic, uint32_t info_pa)
{
	struct loader_info info;

	if (magic != LOADER_MAGIC)
		x86_panic("not started by a multiboot loader (eax %08x)", magic);
	memcpy(&info, at(info_pa), sizeof(info));
	if (info.flags & HAS_MAP)
		read_map(info.mmap_addr, info.mmap_length);
	if (x86_boot.nr_ranges == 0 && (info.flags & HAS_MEMORY)) {
		add_range(0, (uint64_t)info.mem_lower * 1024, 1);
		add_range(0x100000, (uint64_t)info.mem_upper * 1024, 1);
	}
	if (info.flags & HAS_MODULES)
		read_modules(&info);
	if (info.flags & HAS_CMDLINE)
		read_cmdline(at(info.cmdline));
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
	struct x86_mem_range all[2 + X86_MAX_MODULES];
	uint32_t n = 0;

	all[n++] = page_range(0, X86_PAGE_SIZE);
	all[n++] = page_range((uint32_t)x86_image_start - X86_PAGE_OFFSET, (uint32_t)x86_image_end - X86_PAGE_OFFSET);
	for (uint32_t i = 0; i < x86_boot.nr_modules; i++)
		all[n++] = page_range(x86_boot.modules[i].start, x86_boot.modules[i].end);
	for (uint32_t i = 0; i < n && i < max; i++)
		out[i] = all[i];
	return n;
}
