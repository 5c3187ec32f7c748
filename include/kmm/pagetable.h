/* SPDX-License-Identifier: MIT */
/*
 * Page tables as data (tier b): a format is a const descriptor plus encode/decode; one walker and one
 * mapper serve all. The tables themselves are in the machine's low memory and are what its MMU reads.
 */
#ifndef KMM_PAGETABLE_H
#define KMM_PAGETABLE_H

#include "kmm/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Meaning of an entry, the same for all formats. */
enum {
	KMM_PTE_PRESENT = 1, KMM_PTE_WRITE = 2, KMM_PTE_USER = 4, KMM_PTE_EXEC = 8, /* EXEC absent = NX set */
	KMM_PTE_ACCESSED = 16, KMM_PTE_DIRTY = 32, KMM_PTE_LARGE = 64, KMM_PTE_GLOBAL = 128,
	KMM_PTE_NOCACHE = 256, KMM_PTE_WRITETHROUGH = 512,
	KMM_PTE_SOFT1 = 1024, KMM_PTE_SOFT2 = 2048 /* ignored by the hardware, kept by encode/decode */
};

struct kmm_pte {
	struct kmm_pfn pfn; /* frame of a leaf, or of the next table */
	uint32_t flags;     /* KMM_PTE_ bits; 0: not present, then raw may hold a software value */
};

struct kmm_level {
	uint8_t shift;    /* address bits below this level's index */
	uint8_t bits;     /* width of the index */
	bool leaf;        /* may an entry here map memory (level 0 always) */
};

struct kmm_format {
	enum kmm_format_id id;
	const char *name;
	uint8_t nr_levels;         /* 2, 3, 4, 5; level 0 is the last, the root is nr_levels-1 */
	uint8_t entry_size;        /* 4 or 8 bytes */
	uint8_t va_bits;           /* implemented virtual address bits */
	uint8_t max_phys_bits;     /* what entries can hold */
	bool canonical;            /* upper bits must repeat the top implemented one */
	bool has_nx;
	struct kmm_level level[5];
	uint64_t (*encode)(struct kmm_pte pte, unsigned level);
	struct kmm_pte (*decode)(uint64_t raw, unsigned level);
};

extern const struct kmm_format kmm_fmt_i386, kmm_fmt_i386_pae, kmm_fmt_x86_64, kmm_fmt_x86_64_la57;
const struct kmm_format *kmm_format_get(enum kmm_format_id id);

struct kmm_walk_step {
	uint8_t level;
	uint16_t index;
	struct kmm_paddr entry_at; /* physical address of the entry */
	uint64_t raw;
	struct kmm_pte pte;
};
struct kmm_walk {
	unsigned nr_steps;             /* entries read, root first */
	struct kmm_walk_step step[5];
	bool mapped;                   /* the last step is a present leaf */
	struct kmm_paddr pa;           /* then: physical address of va */
	uint64_t leaf_bytes;           /* 4 KiB, or the large page's size */
};
/* Walks root for va without side effects (no A/D bits). context: the tables must not be freed meanwhile:
 * hold the space's lock, or walk the kernel's. */
void kmm_walk(const struct kmm *k, struct kmm_paddr root, kmm_word va, struct kmm_walk *out);

#ifdef __cplusplus
}
#endif
#endif
