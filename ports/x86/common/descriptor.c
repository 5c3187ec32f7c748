/* SPDX-License-Identifier: MIT */
/* descriptor.c - segment descriptors, put together from their fields. */
#include "common/cpu.h"

/* Segment descriptor (SDM vol. 3, 3.4.5). type: access byte; flags: G, D/B, L, AVL. */
uint64_t x86_descriptor(uint32_t base, uint32_t limit, uint32_t type, uint32_t flags)
{
	uint32_t lo = (limit & 0xffff) | base << 16;
	uint32_t hi = (base >> 16 & 0xff) | type << 8 | (limit & 0xf0000) | flags << 20 | (base & 0xff000000);

	return (uint64_t)hi << 32 | lo;
}

uint64_t x86_tls_descriptor(uint32_t base, uint32_t limit, uint32_t flags)
{
	uint32_t type = 0x70; /* code or data segment, DPL 3, not marked present yet */
	uint32_t attr = 0;

	if (!(flags & X86_UDESC_READ_EXEC_ONLY))
		type |= 2;
	type |= (flags & X86_UDESC_CONTENTS) << 1;
	type |= 1; /* accessed, so that the processor need not write the table */
	if (!(flags & X86_UDESC_NOT_PRESENT))
		type |= 0x80;
	if (flags & X86_UDESC_32BIT)
		attr |= 4;
	if (flags & X86_UDESC_LIMIT_IN_PAGES)
		attr |= 8;
	if (flags & X86_UDESC_USEABLE)
		attr |= 1;
	return x86_descriptor(base, limit, type, attr);
}
