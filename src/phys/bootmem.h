/* SPDX-License-Identifier: MIT */
/*
 * What is known about physical memory before there are descriptors, and ever after about frames whose
 * descriptors were not yet made: the repaired firmware map, the list of reservations, and who is whose node.
 */
#ifndef KMM_PHYS_BOOTMEM_H
#define KMM_PHYS_BOOTMEM_H

#include "kmm/machine.h"
#include "kmm/page.h"

struct kmm_boot_range {
	kmm_word start, end; /* pfns, end exclusive */
	enum kmm_kind kind;  /* RESERVED or MEMMAP */
	bool give_back;      /* the caller's: kmm_free_reserved() takes it */
};

/* Frames from start to the next one's start are the node's, RAM or not. */
struct kmm_boot_node {
	kmm_word start; /* pfn; of the first one 0 */
	uint8_t node;
};

#define KMM_MAX_BOOT_NODES (4u * KMM_MAX_NODES)

struct kmm_bootmem {
	struct kmm_memrange map[KMM_MAX_RANGES]; /* sorted, disjoint, page aligned, below phys_limit */
	unsigned nr_map;
	struct kmm_boot_range reserve[KMM_MAX_RANGES]; /* sorted, disjoint */
	unsigned nr_reserve;
	struct kmm_boot_node node[KMM_MAX_BOOT_NODES]; /* sorted; neighbours differ */
	unsigned nr_node;                        /* at least 1 */
	kmm_word ram_pages, unreachable_pages;
	kmm_word first_ram, max_pfn;             /* first RAM frame; one past the last */
};

/* A longest piece of physical memory that is all of one sort. */
struct kmm_run {
	kmm_word start, end;
	enum kmm_kind kind;  /* FREE (a zone's), RESERVED, MEMMAP, or HOLE */
	bool ram, give_back;
	uint8_t node;
};

/* Repairs machine->map (rules: bootmem.c). errors: KMM_ERANGE, KMM_EOVERFLOW. */
KMM_MUST_CHECK enum kmm_status kmm_boot_init(struct kmm_bootmem *b, const struct kmm_machine *machine,
					     uint64_t phys_limit, const char **why);
/* Reads machine->node_map. errors: KMM_EINVAL ranges that are unaligned, empty, of no possible node or overlap;
 * KMM_EOVERFLOW too many. */
KMM_MUST_CHECK enum kmm_status kmm_boot_nodes(struct kmm_bootmem *b, const struct kmm_machine *machine, const char **why);
/* From the first frame to the end of the last one that is the node's; empty when it has none. */
void kmm_boot_node_span(const struct kmm_bootmem *b, unsigned node, kmm_word *first, kmm_word *end);
/* The node of a frame, whether it is RAM or not; *end (may be NULL): the first frame after it that is another's. */
unsigned kmm_boot_node(const struct kmm_bootmem *b, kmm_word pfn, kmm_word *end);
/* Adds a reservation; overlapping ones of the same sort become one. errors: KMM_EOVERFLOW. */
KMM_MUST_CHECK enum kmm_status kmm_boot_reserve(struct kmm_bootmem *b, struct kmm_boot_range range);
/* Reserves the highest nr free frames in a row below limit, the first a multiple of align (a power of two).
 * errors: KMM_ENOMEM, KMM_EOVERFLOW. */
KMM_MUST_CHECK enum kmm_status kmm_boot_alloc(struct kmm_bootmem *b, kmm_word nr, kmm_word align, kmm_word limit,
					      enum kmm_kind kind, kmm_word *pfn);
/* The run around pfn; all of it is one node's. The last one ends at the largest kmm_word. */
void kmm_boot_run(const struct kmm_bootmem *b, kmm_word pfn, struct kmm_run *run);

#endif
