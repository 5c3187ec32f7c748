/* SPDX-License-Identifier: MIT */
/*
 * The memory map that a PC's firmware reports, after QEMU 7.2's "pc" machine with SeaBIOS: two holes in low
 * memory for the ISA bus, firmware tables at the end of RAM below 4 GiB, and devices up to 4 GiB. RAM that these
 * devices push aside appears again above 4 GiB, which is why an i386 machine with 4 GiB cannot use all of it.
 */
#include "hosted.h"

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

/* Up to 3.5 GiB stay in one piece; with more, all beyond 3 GiB moves. */
static uint64_t low_part(uint64_t ram_bytes)
{
	return ram_bytes >= GIB(3) + MIB(512) ? GIB(3) : ram_bytes;
}

unsigned hosted_pc_map(uint64_t ram_bytes, struct kmm_memrange map[HOSTED_PC_RANGES])
{
	uint64_t low = low_part(ram_bytes) & ~(KIB(4) - 1);
	unsigned nr = 0;

	if (ram_bytes < MIB(2))
		return 0;
	map[nr++] = (struct kmm_memrange){ 0, KIB(639), KMM_MEM_RAM, NULL };
	/* Its interrupt vectors and data stay the BIOS's; the two ranges overlap. */
	map[nr++] = (struct kmm_memrange){ 0, KIB(4), KMM_MEM_RESERVED, "BIOS data" };
	map[nr++] = (struct kmm_memrange){ KIB(639), KIB(1), KMM_MEM_RESERVED, "extended BIOS data" };
	map[nr++] = (struct kmm_memrange){ KIB(960), KIB(64), KMM_MEM_RESERVED, "BIOS" };
	map[nr++] = (struct kmm_memrange){ MIB(1), low - MIB(1) - KIB(128), KMM_MEM_RAM, NULL };
	map[nr++] = (struct kmm_memrange){ low - KIB(128), KIB(128), KMM_MEM_RESERVED, "firmware tables" };
	map[nr++] = (struct kmm_memrange){ GIB(4) - KIB(256), KIB(256), KMM_MEM_RESERVED, "BIOS" };
	if (ram_bytes > low_part(ram_bytes))
		map[nr++] = (struct kmm_memrange){ GIB(4), ram_bytes - low_part(ram_bytes), KMM_MEM_RAM, NULL };
	return nr;
}
