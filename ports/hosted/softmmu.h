/* SPDX-License-Identifier: MIT */
/*
 * A software MMU: the part of an x86 processor that turns linear addresses into physical ones, for the
 * four paging modes (32-bit with large pages, PAE, 4-level, 5-level).
 *
 * It is written from the Intel SDM, volume 3A, chapter 4, and on purpose knows nothing of the core's
 * page-table code: what the core writes into tables is read here by a second pair of eyes. It has what
 * lets wrong code go unnoticed or be caught on real hardware: a TLB that keeps stale entries until they are
 * flushed, a cache of upper entries, PDPTE registers loaded only with CR3, reserved bits that depend on
 * the physical address width, accessed and dirty bits, exact error codes.
 *
 * One struct is one logical processor. Not locked; the owner excludes other threads.
 * Left out: PCIDs, protection keys, SMEP and SMAP, memory types, virtualisation.
 */
#ifndef KMM_HOSTED_SOFTMMU_H
#define KMM_HOSTED_SOFTMMU_H

#include <stdbool.h>
#include <stdint.h>

#include "kmm/types.h"

/* Physical memory as the processor reaches it: 8 bytes at a multiple of 8 (4 at one of 4), or NULL where
 * nothing answers: reads are then all ones and writes are lost, as on a bus. */
struct softmmu_memory {
	void *(*at)(struct softmmu_memory *memory, uint64_t pa);
};

/* Control registers and CPUID, as far as paging looks at them. */
struct softmmu_control {
	bool wp;            /* CR0.WP: read-only holds for the kernel too */
	bool pse, pae, pge, la57; /* CR4 */
	bool lme, nxe;      /* EFER; lme: 64-bit mode, needs pae */
	bool page_1g;       /* CPUID: 1 GiB pages */
	uint8_t maxphyaddr; /* CPUID: physical address width, 32 to 52 */
};

enum { SOFTMMU_GP = 13, SOFTMMU_PF = 14 };
/* Error code of a page fault (SDM 3A 4.7). */
enum { SOFTMMU_P = 1, SOFTMMU_W = 2, SOFTMMU_U = 4, SOFTMMU_RSVD = 8, SOFTMMU_ID = 16 };

struct softmmu_fault {
	unsigned vector;
	uint32_t error;
	uint64_t cr2; /* page faults only */
};

struct softmmu_stats {
	uint64_t hits, misses;      /* of the TLB, by translation */
	uint64_t walks, entry_reads; /* table walks; entries they read from memory */
	uint64_t upper_hits;        /* walks shortened by the cache of upper entries */
	uint64_t dirty_walks;       /* walks made only to set a dirty bit */
	uint64_t invlpgs, cr3_loads, full_flushes;
	uint64_t faults;
};

struct softmmu_tlb_entry {
	uint64_t tag;  /* va >> shift */
	uint64_t base; /* physical address of the page */
	uint8_t shift; /* 0: empty */
	bool write, user, exec, global, dirty;
};

/* An entry that points to a last-level table, with the rights gathered on the way to it. */
struct softmmu_upper {
	uint64_t tag, table;
	bool valid, write, user, exec;
};

enum { SOFTMMU_SETS = 64, SOFTMMU_WAYS = 4, SOFTMMU_LARGE_SETS = 8, SOFTMMU_UPPERS = 16 };

struct softmmu {
	struct softmmu_memory *memory;
	struct softmmu_control control;
	uint64_t cr3;
	uint64_t pdpte[4];  /* PAE: loaded with CR3 */
	struct softmmu_tlb_entry small[SOFTMMU_SETS][SOFTMMU_WAYS];
	struct softmmu_tlb_entry large[SOFTMMU_LARGE_SETS][SOFTMMU_WAYS];
	struct softmmu_upper upper[SOFTMMU_UPPERS];
	uint8_t small_next[SOFTMMU_SETS], large_next[SOFTMMU_LARGE_SETS]; /* round robin, so that runs repeat */
	struct softmmu_stats stats;
};

/* Control bits of a processor that runs a kernel of this format (NX where the format has it). */
struct softmmu_control softmmu_control_for(enum kmm_format_id format, uint8_t maxphyaddr, bool no_nx);
void softmmu_init(struct softmmu *mmu, struct softmmu_memory *memory, const struct softmmu_control *control);

/* MOV to CR3: drops all but global translations, loads the PDPTEs. false: #GP for a reserved bit in
 * CR3 or a PDPTE, nothing changed. */
bool softmmu_load_cr3(struct softmmu *mmu, uint64_t cr3, struct softmmu_fault *fault);
/* INVLPG: the page that holds va, global or not, and the cached upper entries. */
void softmmu_invlpg(struct softmmu *mmu, uint64_t va);
/* Everything, as by toggling CR4.PGE. */
void softmmu_flush_all(struct softmmu *mmu);

/* One access at va by user or supervisor code. true: *pa is where it goes, A and D bits are set.
 * false: *fault says why. 32-bit modes use the low 32 bits of va. An access must not cross a page. */
bool softmmu_translate(struct softmmu *mmu, uint64_t va, enum kmm_access access, bool user, uint64_t *pa,
		       struct softmmu_fault *fault);
/* What the tables in memory say, without TLB, side effects or rights. page_bytes (may be NULL) gets the page's size. */
bool softmmu_probe(const struct softmmu *mmu, uint64_t root, uint64_t va, uint64_t *pa, uint64_t *page_bytes);

/* For softmmu_tlb.c and softmmu.c only. */
const struct softmmu_tlb_entry *softmmu_tlb_find(struct softmmu *mmu, uint64_t va);
void softmmu_tlb_insert(struct softmmu *mmu, uint64_t va, const struct softmmu_tlb_entry *entry);
void softmmu_tlb_drop(struct softmmu *mmu, uint64_t va);
void softmmu_tlb_drop_all(struct softmmu *mmu, bool keep_global);

#endif
