/* SPDX-License-Identifier: MIT */
/*
 * One machine's memory manager. There are no globals: everything hangs on struct kmm, several live
 * side by side, and destroying one is dropping its memory.
 *
 * Start-up, each step usable without the next:
 *   kmm_init_frames()  tier a: repairs the memory map, makes zones and descriptors
 *   kmm_init_kernel()  tier b: kernel page tables, slab, kmap, vmalloc
 *   kmm_init_spaces()  tier c: user address spaces
 *   kmm_init()         all three
 *
 * On bare metal call kmm_init_frames() and kmm_init_kernel() with the direct map reachable (by
 * temporary tables, or a segment base, as ports/x86/32 does), then load kmm_kernel_root().
 */
#ifndef KMM_KMM_H
#define KMM_KMM_H

#include "kmm/layout.h"
#include "kmm/machine.h"
#include "kmm/port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of caller's memory that a struct kmm needs (a constant of the build, some tens of KiB),
 * aligned to 64. It is not part of the managed RAM unless the caller says so in `reserve`. */
size_t kmm_state_size(void);

/* Starts tier a in `state` (kmm_state_size() bytes). machine and port: the struct machine is copied with
 * its layout; its map and reserve arrays are read during the call only; port must outlive the kmm.
 * errors: KMM_EINVAL bad description; KMM_ERANGE no usable RAM; KMM_ENOMEM descriptors do not fit in
 *         low memory; KMM_EOVERFLOW more ranges than KMM_MAX_RANGES. *why (may be NULL) gets a constant
 *         sentence. RAM above what the format can address is left out and counted in kmm_memory_stats.
 * context: boot, one CPU, no locks. */
KMM_MUST_CHECK enum kmm_status kmm_init_frames(void *state, const struct kmm_machine *machine,
					       struct kmm_port *port, struct kmm **out, const char **why);
KMM_MUST_CHECK enum kmm_status kmm_init_kernel(struct kmm *k);
KMM_MUST_CHECK enum kmm_status kmm_init_spaces(struct kmm *k);
KMM_MUST_CHECK enum kmm_status kmm_init(void *state, const struct kmm_machine *machine,
					struct kmm_port *port, struct kmm **out, const char **why);

const struct kmm_machine *kmm_machine_of(const struct kmm *k);
const struct kmm_layout *kmm_layout_of(const struct kmm *k);
struct kmm_port *kmm_port_of(const struct kmm *k);

/* Root of the kernel's own page tables (tier b). PAE: the 32 bytes that CR3 points at. */
struct kmm_paddr kmm_kernel_root(const struct kmm *k);

/* Repaired memory map: sorted, no overlaps, no empty ranges. Returns the number of ranges. */
unsigned kmm_memory_map(const struct kmm *k, const struct kmm_memrange **out);

struct kmm_memory_stats {
	kmm_word ram_pages;         /* RAM in the map that the format can address */
	kmm_word unreachable_pages; /* RAM beyond it */
	kmm_word spanned_pages;     /* first to last RAM frame, holes included */
	kmm_word reserved_pages;    /* never handed to a zone: image, initrd, descriptors, tables */
	kmm_word memmap_pages;      /* of those: descriptors */
	struct kmm_paddr memmap;    /* where the first descriptor lies */
	uint32_t page_size_bytes;   /* size of one descriptor */
	kmm_word sections, sections_live; /* all, and those whose descriptors were materialised */
	kmm_word free_pages, total_high, free_high, managed_pages;
};
void kmm_memory_stats(const struct kmm *k, struct kmm_memory_stats *out);

/* Gives a boot-time reservation back (an initrd after unpacking). Pages wholly inside only.
 * errors: KMM_EINVAL not reserved. context: any that may take the zone lock. */
KMM_MUST_CHECK enum kmm_status kmm_free_reserved(struct kmm *k, struct kmm_paddr start, uint64_t size);

/* Pointer for C code to a kernel virtual address of the machine, and back. On bare metal both are
 * the identity. Only for addresses in the direct map or a mapped window. */
void *kmm_kva_to_ptr(const struct kmm *k, struct kmm_kva va);
struct kmm_kva kmm_ptr_to_kva(const struct kmm *k, const void *ptr);

#ifdef __cplusplus
}
#endif
#endif
