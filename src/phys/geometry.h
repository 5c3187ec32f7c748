/* SPDX-License-Identifier: MIT */
/*
 * What a format fixes about addresses. The numbers themselves stand in layout.c and nowhere else.
 */
#ifndef KMM_PHYS_GEOMETRY_H
#define KMM_PHYS_GEOMETRY_H

#include "kmm/layout.h"

struct kmm_geometry {
	const char *name;
	bool wide;                   /* 64-bit: the direct map holds all RAM, no high memory */
	uint8_t default_phys_bits, max_phys_bits;
	uint8_t table_shift;         /* address bits that one last-level table maps */
	uint8_t pageblock_order;     /* Linux's unit of mobility grouping, for watermarks */
	uint8_t descriptor_bytes;
	uint32_t table_slots;        /* entries in one last-level table */
	uint64_t lower_half_end;     /* 64-bit: first non-canonical address */
	uint64_t task_size;          /* 64-bit: default end of user addresses */
	uint64_t upper_half;         /* 64-bit: first canonical kernel address */
	uint64_t direct, direct_size, vmalloc, vmalloc_size, vmemmap, vmemmap_size;
	uint64_t bases_end;          /* the three regions above stay below this when their bases are random */
};

const struct kmm_geometry *kmm_geometry(enum kmm_format_id format);

#endif
