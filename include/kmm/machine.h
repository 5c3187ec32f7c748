/* SPDX-License-Identifier: MIT */
/*
 * A machine, described: what firmware and the builder of a kernel know. The layout of the kernel's
 * virtual addresses is derived from it (layout.h); nothing here is a derived number.
 * Zero-fill the struct, set what you know, call kmm_machine_defaults(): a zero means "the default".
 */
#ifndef KMM_MACHINE_H
#define KMM_MACHINE_H

#include "kmm/status.h"
#include "kmm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Types as in e820 (ACPI 6.4, table 15.1); unknown numbers count as reserved. */
enum kmm_mem_type { KMM_MEM_RAM = 1, KMM_MEM_RESERVED = 2, KMM_MEM_ACPI = 3, KMM_MEM_NVS = 4, KMM_MEM_BAD = 5 };

struct kmm_memrange {
	uint64_t start, size; /* bytes; may be unaligned, may overlap others */
	uint32_t type;        /* enum kmm_mem_type */
	const char *name;     /* for reports: "kernel image", "initrd"; may be NULL */
};

/* Memory by node. Ranges of different nodes must not overlap; what lies in none belongs to the node of the range below
 * it (before the first one: to that one's). */
struct kmm_node_range {
	uint64_t start, size; /* bytes, page aligned */
	uint8_t node;         /* below KMM_MAX_NODES */
	bool hotplug;         /* as ACPI's SRAT has it: memory may come and go here while the machine runs */
};

/* Windows at the top of a 32-bit kernel's address space, in the order in which they come down from
 * top_va. The defaults are kmm's own needs; kmm_windows_linux_6_1() gives those of a Debian kernel. */
struct kmm_windows {
	uint32_t top_va;            /* first byte above the fixmap (default fffff000) */
	uint32_t kmap_local_slots;  /* per CPU (default 16) */
	uint32_t fixmap_cpus;       /* CPUs the fixmap is sized for (default: nr_cpus) */
	uint32_t fixmap_pages;      /* all other permanent slots (default 8) */
	uint32_t early_ioremap_pages; /* boot-time slots, aligned to their own number (default 0) */
	uint32_t late_fixmap_pages; /* slots after those (default 0) */
	uint32_t cpu_entry_pages;   /* per fixmap CPU; 0: no such window (default 0) */
	bool ldt_window;            /* one top-of-table span for the LDT (default no) */
	uint32_t guard_pages;       /* between vmalloc's end and the kmap window (default 2) */
	uint64_t vmalloc_reserve;   /* bytes of addresses (default 128 MiB) */
	uint64_t vmalloc_offset;    /* hole between low memory and vmalloc (default 8 MiB) */
};

struct kmm_cma_range; /* cma.h */

struct kmm_machine {
	enum kmm_format_id format;
	uint64_t user_end;       /* user/kernel split, first kernel address (default: c0000000, or the
	                            end of the lower half on 64-bit). 32-bit: 40000000, 80000000, c0000000 */
	uint8_t phys_bits;       /* physical address width of the CPU (default: 32 i386, 36 i386-pae with
	                            up to 52 allowed, 46 x86_64, 52 la57) */
	bool no_nx;              /* CPU lacks no-execute; i386 never has it */
	unsigned nr_cpus;        /* default 1 */

	const struct kmm_memrange *map; /* firmware's memory map, any order, overlaps allowed */
	unsigned nr_map;
	const struct kmm_memrange *reserve; /* RAM in use before us: kernel image, initrd, ... */
	unsigned nr_reserve;

	/* Nodes. Without a list all is node 0. Read during start only, as the map. */
	const struct kmm_node_range *node_map;
	unsigned nr_node_map;
	unsigned nr_nodes;       /* default: what the list and the CPUs need; more are nodes without memory */
	uint8_t cpu_node[KMM_MAX_CPUS];
	uint8_t distance[KMM_MAX_NODES][KMM_MAX_NODES]; /* as ACPI's SLIT, [from][to]; 0: 10 to itself, else 20 */

	struct kmm_windows windows;
	uint64_t seed;           /* of everything random */
	bool randomise;          /* kernel region bases (64-bit) and user spaces from the seed */

	/* Watermark policy (Linux 6.1 rules). */
	uint32_t min_free_kbytes;          /* 0: derived from the size of low memory */
	bool huge_page_reserve;            /* raise min_free_kbytes as a kernel with THP does */
	uint32_t watermark_scale_factor;   /* in 1/10000 of the zone (default 10) */
	uint32_t lowmem_reserve_ratio[KMM_NR_ZONES]; /* defaults 256 256 32 0 0 */

	/* ZONE_MOVABLE (Linux's boot options of these names; node_movable.c). Bytes or percent of all RAM, 0: not said.
	 * kernelcore: so much, spread over the nodes, is for everything; the rest is Movable. movablecore: so much is
	 * Movable. With both, the larger share for everything counts. movable_node: RAM in hotplug ranges is Movable,
	 * whatever else is said. */
	uint64_t kernelcore_bytes, movablecore_bytes;
	uint8_t kernelcore_percent, movablecore_percent;
	bool movable_node;
	uint32_t movable_percent;          /* else: share of each node's top zone that is Movable (default 0) */

	/* Contiguous areas to begin with (cma.h), numbered in this order. Read during start only. */
	const struct kmm_cma_range *cma;
	unsigned nr_cma;

	unsigned debug;          /* KMM_DEBUG_ features of debug.h that are on from the start (default none) */

	/* The kernel image, for explain: its window on 64-bit machines; 32-bit ones see it in the
	 * direct map. 0: none. */
	uint64_t image_va, image_pa, image_size;
	/* Rights of the image, in that window and in the direct map (64-bit machines execute it in the window only): its first
	 * image_text bytes are code, the next image_rodata bytes are only read, the rest is written and not executed; each
	 * rounded up to a page. image_text 0: all of it is both. */
	uint64_t image_text, image_rodata;
};

/* Fills every zero with its default and checks the rest.
 * errors: KMM_EINVAL unknown format, split, phys_bits or nr_cpus out of range; *why (if not NULL)
 *         gets a constant sentence that says which. context: any. */
KMM_MUST_CHECK enum kmm_status kmm_machine_defaults(struct kmm_machine *machine, const char **why);

/* Window sizes of Debian's Linux 6.1 i386 kernels (32 configured CPUs, 16 kmap_local slots each). */
struct kmm_windows kmm_windows_linux_6_1(void);

/* Format by name ("i386", "i386-pae", "x86_64", "x86_64-la57"); KMM_NR_FORMATS when unknown. */
enum kmm_format_id kmm_format_by_name(const char *name);
const char *kmm_format_name(enum kmm_format_id format);

#ifdef __cplusplus
}
#endif
#endif
