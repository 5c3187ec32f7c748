/* SPDX-License-Identifier: MIT */
/*
 * The layout of a machine's virtual addresses: derived from a struct kmm_machine by arithmetic that
 * can be printed. Regions are sorted, do not overlap, and with the holes between them cover all
 * addresses of the format.
 */
#ifndef KMM_LAYOUT_H
#define KMM_LAYOUT_H

#include "kmm/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

enum kmm_region_id {
	KMM_REGION_USER, KMM_REGION_NONCANONICAL, KMM_REGION_DIRECT, KMM_REGION_VMALLOC, KMM_REGION_VMEMMAP,
	KMM_REGION_KMAP, KMM_REGION_LDT, KMM_REGION_CPU_ENTRY, KMM_REGION_FIXMAP, KMM_REGION_IMAGE,
	KMM_REGION_MODULES, KMM_REGION_GUARD, KMM_REGION_HOLE, KMM_NR_REGIONS
};

struct kmm_region {
	enum kmm_region_id id;
	uint64_t start, last; /* first and last byte */
};

#define KMM_MAX_LAYOUT 24

struct kmm_layout {
	unsigned nr;
	struct kmm_region region[KMM_MAX_LAYOUT]; /* sorted by start, gap-free */
	uint64_t page_offset;      /* direct map: va = pa + page_offset */
	uint64_t lowmem_limit;     /* most bytes the direct map can hold, by the sum */
	uint64_t lowmem_end;       /* physical: min(limit, end of RAM); HighMem starts here */
	uint64_t vmalloc_start, vmalloc_end;
	uint64_t vmemmap_start, vmemmap_end;
	uint64_t kmap_start; uint32_t kmap_slots;        /* 0 slots: kmap is the direct map */
	uint64_t fixmap_start, fixmap_end;
	uint64_t kmap_local_start; uint32_t kmap_local_slots; /* all CPUs together */
	uint64_t user_start, user_end;                   /* user_end: default TASK_SIZE */
	uint64_t user_end_max;                           /* with a high hint (la57) */
	uint64_t phys_limit;       /* first physical byte this machine cannot address */
	uint32_t vmalloc_guard_bytes;
};

/* Derives the layout for a machine whose last RAM byte is below ram_end (bytes; frames above what the
 * format can address are left out by the caller). machine must have passed kmm_machine_defaults().
 * errors: KMM_EINVAL the windows leave no room for a direct map; *why as above. context: any. */
KMM_MUST_CHECK enum kmm_status kmm_layout_derive(const struct kmm_machine *machine, uint64_t ram_end,
						 struct kmm_layout *out, const char **why);

/* Writes the sum that leads from the top of the address space to lowmem_end, a line per term. */
void kmm_layout_explain(const struct kmm_machine *machine, const struct kmm_layout *layout, struct kmm_sink *out);

/* The region of an address; never NULL (holes are regions). */
const struct kmm_region *kmm_layout_find(const struct kmm_layout *layout, uint64_t va);
const char *kmm_region_name(enum kmm_region_id id);

/* Descriptor cost of a machine: bytes for the frames spanned by its RAM. */
uint64_t kmm_layout_memmap_bytes(enum kmm_format_id format, uint64_t spanned_pages);

#ifdef __cplusplus
}
#endif
#endif
