/* SPDX-License-Identifier: MIT */
/*
 * Reading page tables: the public walk with every step, the lookup of a last-level entry, and the visit of a
 * range by runs of entries. None of them changes anything; accessed and dirty bits are the processor's.
 */
#include "pt/map.h"

/* Bits above the implemented ones repeat the top one. */
static bool is_canonical(const struct kmm_format *fmt, kmm_word va)
{
	uint64_t upper = (uint64_t)va >> (fmt->va_bits - 1);

	return !fmt->canonical || upper == 0 || upper == UINT64_MAX >> (fmt->va_bits - 1);
}

/* A walk can be pointed at any root, and tables may be damaged: never read outside of low memory. */
static bool table_is_readable(const struct kmm *k, struct kmm_paddr table)
{
	return table.v < k->layout.lowmem_end && kmm_pfn_is_ram(k, kmm_paddr_to_pfn(table));
}

static bool is_leaf(const struct kmm_pte *pte, unsigned level)
{
	return (pte->flags & KMM_PTE_PRESENT) && (level == 0 || (pte->flags & KMM_PTE_LARGE));
}

void kmm_walk(const struct kmm *k, struct kmm_paddr root, kmm_word va, struct kmm_walk *out)
{
	const struct kmm_format *fmt = kmm_pt_fmt(k);
	struct kmm_paddr table = root;
	unsigned level = fmt->nr_levels;

	*out = (struct kmm_walk){ 0 };
	if (!is_canonical(fmt, va))
		return;
	while (level-- > 0 && table_is_readable(k, table)) {
		struct kmm_walk_step *step = &out->step[out->nr_steps++];

		step->level = (uint8_t)level;
		step->index = (uint16_t)kmm_pt_index(k, va, level);
		step->entry_at = kmm_paddr(table.v + (uint64_t)step->index * fmt->entry_size);
		step->raw = kmm_entry_load(k, kmm_lowmem_ptr(k, step->entry_at));
		step->pte = fmt->decode(step->raw, level);
		table = kmm_pfn_to_paddr(step->pte.pfn);
		if (is_leaf(&step->pte, level)) {
			out->mapped = true;
			out->leaf_bytes = (uint64_t)1 << fmt->level[level].shift;
			out->pa = kmm_paddr(table.v + (va & (out->leaf_bytes - 1)));
		}
		if (out->mapped || !(step->pte.flags & KMM_PTE_PRESENT))
			return;
	}
}

/* A descent that follows entries after a processor did need not doubt them: a damaged one was a fault. A wary one comes
 * first, and takes what lies beyond low memory for no table. Entries for tables have no bits above the address. */
enum trust { TRUSTING, WARY };

/* One level of a descent: *table becomes the next lower one. false: there is none. */
static inline bool go_down(const struct kmm *k, kmm_word va, unsigned level, enum trust trust, struct kmm_paddr *table)
{
	uint64_t raw = kmm_entry_load(k, kmm_pt_slot(k, *table, kmm_pt_index(k, va, level)));

	if (!kmm_x86_is_table(raw) || (trust == WARY && raw >= k->layout.lowmem_end))
		return false;
	*table = kmm_x86_table(raw);
	return true;
}

/* From the root in *table to the table of the last level for va, or to the one that has none for it below: its level.
 * Each level on its own, so that in a pinned build all that depends on it is constant. */
static inline unsigned go_to_last(const struct kmm *k, kmm_word va, enum trust trust, struct kmm_paddr *table)
{
	unsigned root = kmm_pt_root_level(k);

	if (root >= 4 && !go_down(k, va, 4, trust, table))
		return 4;
	if (root >= 3 && !go_down(k, va, 3, trust, table))
		return 3;
	if (root >= 2 && !go_down(k, va, 2, trust, table))
		return 2;
	return go_down(k, va, 1, trust, table) ? 0 : 1;
}

static inline bool lookup(struct kmm *k, struct kmm_space *space, kmm_word va, enum trust trust, struct kmm_ptref *out)
{
	struct kmm_paddr table = space->root;

	if (go_to_last(k, va, trust, &table) != 0)
		return false;
	out->entry = kmm_pt_slot(k, table, kmm_pt_index(k, va, 0));
	out->table = kmm_pt_table_page(k, table);
	out->level = 0;
	KMM_CHECK(k, kmm_page_kind(out->table) == KMM_KIND_PGTABLE);
	return true;
}

bool kmm_pt_lookup(struct kmm *k, struct kmm_space *space, kmm_word va, struct kmm_ptref *out)
{
	return lookup(k, space, va, TRUSTING, out);
}

bool kmm_pt_lookup_lock_wary(struct kmm *k, struct kmm_space *space, kmm_word va, struct kmm_ptref *out, unsigned long *flags)
{
	return lookup(k, space, va, WARY, out) && kmm_table_lock(k, out->table, flags);
}

bool kmm_pt_is_damaged(struct kmm *k, const struct kmm_space *space, kmm_word va)
{
	struct kmm_paddr table = space->root;
	unsigned level = go_to_last(k, va, WARY, &table);
	uint64_t raw = kmm_entry_load(k, kmm_pt_slot(k, table, kmm_pt_index(k, va, level)));

	if (level > 0)
		return kmm_x86_is_table(raw); /* and was not followed */
	return (raw & KMM_X86_P) && !(kmm_pt_leaf_is_possible(k, raw) && kmm_pfn_to_page(k, kmm_pt_decode(k, raw).pfn));
}

kmm_word kmm_pt_gap_last(const struct kmm *k, const struct kmm_spot *spot, kmm_word va, kmm_word last)
{
	unsigned shift = kmm_pt_fmt(k)->level[spot->level].shift, i = kmm_pt_index(k, va, spot->level);
	kmm_word gap_last = kmm_pt_entry_last(k, va, spot->level), nr;

	if (gap_last >= last)
		return gap_last;
	nr = ((last - gap_last - 1) >> shift) + 1;
	if (nr > kmm_pt_nr_entries(k, spot->level) - 1 - i)
		nr = kmm_pt_nr_entries(k, spot->level) - 1 - i;
	for (; nr && !kmm_x86_is_table(kmm_entry_load_low(kmm_pt_slot(k, spot->table, ++i))); nr--)
		gap_last += (kmm_word)1 << shift;
	return gap_last;
}

bool kmm_pt_lookup_lock(struct kmm *k, struct kmm_space *space, kmm_word va, struct kmm_ptref *out, unsigned long *flags)
{
	return kmm_pt_lookup(k, space, va, out) && kmm_table_lock(k, out->table, flags);
}

bool kmm_table_take_contended(struct kmm *k, struct kmm_page *table)
{
	uint32_t was;

	do {
		if (k->port->relax)
			k->port->relax(k->port);
		was = KMM_TABLE_OPEN;
		if (__atomic_compare_exchange_n(&table->b, &was, KMM_TABLE_HELD, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
	} while (was == KMM_TABLE_HELD);
	return false;
}

struct visit {
	bool (*fn)(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr);
	void *arg;
	bool go_on;
};

/* One step of the visit: the run at va, or the gap there. Returns its last byte. */
static kmm_word visit_at(struct kmm *k, struct kmm_space *space, kmm_word va, kmm_word last, struct visit *visit)
{
	struct kmm_ptref ref;
	struct kmm_spot spot;
	unsigned long flags;
	kmm_word run_last;

	KMM_ASSERT(k, va <= last);
	if (!kmm_pt_lookup(k, space, va, &ref)) {
		kmm_pt_descend(k, space->root, va, 1, &spot);
		return kmm_pt_gap_last(k, &spot, va, last);
	}
	run_last = kmm_pt_entry_last(k, va, 1);
	if (run_last > last)
		run_last = last;
	if (!kmm_table_lock(k, ref.table, &flags))
		return run_last; /* it died empty */
	visit->go_on = visit->fn(visit->arg, &ref, va, (unsigned)((run_last - va) >> KMM_PAGE_SHIFT) + 1);
	kmm_table_unlock(k, ref.table, flags);
	return run_last;
}

enum { FEW = 8 };

/* Are the nr entries from this one on all zero? */
static bool are_zero(const struct kmm *k, const char *entry, kmm_word nr)
{
	for (; nr; nr--, entry += kmm_pt_fmt(k)->entry_size)
		if (kmm_entry_load(k, entry) != 0)
			return false;
	return true;
}

bool kmm_pt_is_void(struct kmm *k, const struct kmm_space *space, kmm_word start, kmm_word end)
{
	struct kmm_paddr table = space->root;
	unsigned level = go_to_last(k, start, TRUSTING, &table);
	kmm_word nr = (end - start) >> KMM_PAGE_SHIFT;

	if (kmm_pt_entry_last(k, start, level ? level : 1) < end - 1)
		return false;
	if (level == 0 && (nr > FEW || !are_zero(k, kmm_pt_slot(k, table, kmm_pt_index(k, start, 0)), nr)))
		return false;
	/* A table that holds nothing else is there to be freed; one that lives as long as the space is not. */
	return level >= k->pt->user_fixed ||
	       atomic_load_explicit(&kmm_pt_table_page(k, table)->count, memory_order_relaxed) != 0;
}

bool kmm_pt_for_each_run(struct kmm *k, struct kmm_space *space, kmm_word start, kmm_word end,
			 bool (*fn)(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr), void *arg,
			 kmm_word *resume)
{
	struct visit visit = { fn, arg, true };
	kmm_word va = start, last = end - 1, run_last;

	KMM_ASSERT(k, ((start | end) & (KMM_PAGE_SIZE - 1)) == 0 && start <= last);
	for (;;) {
		*resume = va;
		run_last = visit_at(k, space, va, last, &visit);
		if (!visit.go_on)
			return false;
		if (run_last >= last)
			return true;
		va = run_last + 1;
	}
}
