/* SPDX-License-Identifier: MIT */
/*
 * Inside of the mapper: its state, descending through levels, and making tables for ranges.
 * Ranges here are [va, last], both ends inclusive, because the kernel half may end at the top of all addresses.
 */
#ifndef KMM_PT_MAP_H
#define KMM_PT_MAP_H

#include "phys/phys.h"
#include "pt/fmt_x86.h"
#include "pt/pt.h"

_Static_assert(KMM_PAGE_SHIFT == 12, "all formats");

struct kmm_pt {
	struct kmm_space kernel;
	struct kmm_list spaces;  /* user spaces by link; kernel.lock */
	uint8_t user_fixed;      /* lowest level whose tables live as long as a user space */
	unsigned kernel_first;   /* index of the root's first entry of the kernel half */
};

/* Where a descent ended: at an entry of the level asked for, or earlier at one that is absent or a large leaf. */
struct kmm_spot {
	struct kmm_paddr table;  /* that holds the entry */
	void *entry;
	unsigned level;
	struct kmm_pte pte;      /* of the entry, if the descent ended early */
};

static inline unsigned kmm_pt_root_level(const struct kmm *k) { return kmm_pt_fmt(k)->nr_levels - 1u; }

/* PAE: processors read root entries only when CR3 is loaded, so those must not change while the root may be loaded;
 * every page directory exists before. Its 32-byte root is not counted as a table. */
static inline bool kmm_pt_root_is_fixed(const struct kmm *k) { return kmm_pt_fmt(k)->id == KMM_I386_PAE; }

static inline unsigned kmm_pt_index(const struct kmm *k, kmm_word va, unsigned level)
{
	const struct kmm_level *l = &kmm_pt_fmt(k)->level[level];

	return (unsigned)(va >> l->shift) & ((1u << l->bits) - 1);
}

static inline unsigned kmm_pt_nr_entries(const struct kmm *k, unsigned level)
{
	return 1u << kmm_pt_fmt(k)->level[level].bits;
}

/* Which half of the addresses va is in. */
static inline bool kmm_pt_is_kernel_va(const struct kmm *k, kmm_word va)
{
	return kmm_pt_index(k, va, kmm_pt_root_level(k)) >= k->pt->kernel_first;
}

/* Last byte of what one entry of this level covers around va. */
static inline kmm_word kmm_pt_entry_last(const struct kmm *k, kmm_word va, unsigned level)
{
	return va | (((kmm_word)1 << kmm_pt_fmt(k)->level[level].shift) - 1);
}

static inline void *kmm_pt_slot(const struct kmm *k, struct kmm_paddr table, unsigned index)
{
	return (char *)kmm_lowmem_ptr(k, table) + index * kmm_pt_fmt(k)->entry_size;
}

static inline struct kmm_page *kmm_pt_table_page(struct kmm *k, struct kmm_paddr table)
{
	return kmm_page_at(k->phys, kmm_paddr_to_pfn(table).v); /* in use, so it has a descriptor */
}

static inline void kmm_pt_descend(const struct kmm *k, struct kmm_paddr root, kmm_word va, unsigned bottom,
				  struct kmm_spot *spot)
{
	unsigned level = kmm_pt_root_level(k);

	spot->table = root;
	for (;; level--) {
		uint64_t raw;

		spot->entry = kmm_pt_slot(k, spot->table, kmm_pt_index(k, va, level));
		if (level == bottom)
			break;
		raw = kmm_entry_load(k, spot->entry);
		if (!kmm_x86_is_table(raw)) {
			spot->pte = kmm_pt_decode_at(k, raw, level);
			break;
		}
		spot->table = kmm_x86_table(raw);
	}
	spot->level = level;
}

/* After a descent that ended at an entry above level 0: last byte of the addresses around va that have no table there,
 * looking no further than `last` (the answer may lie beyond it) and the table that holds the entry. */
kmm_word kmm_pt_gap_last(const struct kmm *k, const struct kmm_spot *spot, kmm_word va, kmm_word last);

/* Makes all tables between the root and level `bottom` for [va, last]; all or nothing. As kmm_pt_make(). */
enum kmm_status kmm_pt_make_range(struct kmm *k, struct kmm_space *space, kmm_word va, kmm_word last, unsigned bottom,
				  kmm_gfp gfp);

/* Writes an entry of a table at any level, with the count. Lock as kmm_pt_write. */
void kmm_pt_set_spot(struct kmm *k, struct kmm_space *space, const struct kmm_spot *spot, kmm_word va, uint64_t raw);

/* A zeroed table page of a space's; NULL: out of memory. */
struct kmm_page *kmm_pt_alloc_table(struct kmm *k, struct kmm_space *space, kmm_gfp gfp);
void kmm_pt_free_list(struct kmm *k, struct kmm_page_list *list);
/* Tables that were unlinked, chained by field a. */
void kmm_pt_free_chain(struct kmm *k, kmm_word first);

/* Takes apart a kernel space that no processor has used; for a start that failed. */
void kmm_pt_free_kernel(struct kmm *k, struct kmm_paddr root);

#endif
