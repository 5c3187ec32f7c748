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

bool kmm_pt_lookup(struct kmm *k, struct kmm_space *space, kmm_word va, struct kmm_ptref *out)
{
	struct kmm_spot spot;

	kmm_pt_descend(k, space->root, va, 0, &spot);
	if (spot.level != 0)
		return false;
	KMM_CHECK(k, kmm_page_kind(kmm_pt_table_page(k, spot.table)) == KMM_KIND_PGTABLE);
	out->entry = spot.entry;
	out->table = kmm_pt_table_page(k, spot.table);
	out->level = 0;
	return true;
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
	struct kmm_ptref ref = { NULL, NULL, 0 };
	struct kmm_spot spot;
	unsigned long flags;
	kmm_word run_last;

	kmm_pt_descend(k, space->root, va, 0, &spot);
	KMM_ASSERT(k, va <= last);
	if (spot.level != 0)
		return kmm_pt_gap_last(k, &spot, va, last);
	run_last = kmm_pt_entry_last(k, va, 1);
	if (run_last > last)
		run_last = last;
	ref.entry = spot.entry;
	ref.table = kmm_pt_table_page(k, spot.table);
	KMM_CHECK(k, kmm_page_kind(ref.table) == KMM_KIND_PGTABLE);
	if (!kmm_table_lock(k, ref.table, &flags))
		return run_last; /* it died empty */
	visit->go_on = visit->fn(visit->arg, &ref, va, (unsigned)((run_last - va) >> KMM_PAGE_SHIFT) + 1);
	kmm_table_unlock(k, ref.table, flags);
	return run_last;
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
