/* SPDX-License-Identifier: MIT */
/*
 * The words of the library as types that do not mix: a page frame number, a physical address,
 * a kernel virtual address and a user virtual address are one-member structs, so handing one
 * where another is meant does not compile. Units: addresses in bytes, counts in pages (nr_...).
 */
#ifndef KMM_TYPES_H
#define KMM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kmm/config.h"

#ifdef __cplusplus
extern "C" {
#endif

#if KMM_CONFIG_VA32
typedef uint32_t kmm_word; /* holds any virtual address, page number or page count here */
#else
typedef uint64_t kmm_word;
#endif

struct kmm_pfn { kmm_word v; };   /* page frame number: physical address >> 12 */
struct kmm_paddr { uint64_t v; }; /* physical address */
struct kmm_kva { kmm_word v; };   /* kernel virtual address of the (simulated) machine */
struct kmm_uva { kmm_word v; };   /* user virtual address */

struct kmm;         /* one machine's memory manager */
struct kmm_page;    /* page descriptor; opaque, see page.h */
struct kmm_mm;      /* one user address space */
struct kmm_backing; /* content of a mapping: a file, a shared object */
struct kmm_cache;   /* a slab cache */
struct kmm_group;   /* a memory group, group.h */
struct kmm_machine; /* description of a machine, machine.h */

static inline struct kmm_pfn kmm_pfn(kmm_word v) { struct kmm_pfn p = { v }; return p; }
static inline struct kmm_paddr kmm_paddr(uint64_t v) { struct kmm_paddr p = { v }; return p; }
static inline struct kmm_kva kmm_kva(kmm_word v) { struct kmm_kva a = { v }; return a; }
static inline struct kmm_uva kmm_uva(kmm_word v) { struct kmm_uva a = { v }; return a; }

static inline struct kmm_paddr kmm_pfn_to_paddr(struct kmm_pfn pfn)
{
	return kmm_paddr((uint64_t)pfn.v << KMM_PAGE_SHIFT);
}

static inline struct kmm_pfn kmm_paddr_to_pfn(struct kmm_paddr pa)
{
	return kmm_pfn((kmm_word)(pa.v >> KMM_PAGE_SHIFT));
}

/* Zones in the order of their addresses; fallback goes from a zone to those before it. */
enum kmm_zone_id {
	KMM_ZONE_DMA,     /* below 16 MiB: ISA DMA */
	KMM_ZONE_DMA32,   /* below 4 GiB: 64-bit machines only */
	KMM_ZONE_NORMAL,  /* the rest of the direct map */
	KMM_ZONE_HIGHMEM, /* RAM without a permanent kernel address: 32-bit machines only */
	KMM_ZONE_MOVABLE, /* movable pages only; empty unless asked for */
	KMM_NR_ZONES
};

enum kmm_format_id { KMM_I386, KMM_I386_PAE, KMM_X86_64, KMM_X86_64_LA57, KMM_NR_FORMATS };

/* Protection of a user mapping, as bits. */
enum { KMM_PROT_NONE = 0, KMM_PROT_READ = 1, KMM_PROT_WRITE = 2, KMM_PROT_EXEC = 4 };

/* How memory is touched. */
enum kmm_access { KMM_READ, KMM_WRITE, KMM_EXEC };

/* Where text goes: reports are written through this, in pieces of any length.
 * write() must not call back into kmm. */
struct kmm_sink {
	void (*write)(struct kmm_sink *sink, const char *bytes, size_t len);
};

#ifdef __cplusplus
}
#endif
#endif
