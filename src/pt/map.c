/* SPDX-License-Identifier: MIT */
/*
 * Making and freeing tables and roots.
 *
 * Making: count what is missing without a lock, allocate, then lock, look again and link. Tables that another
 * one linked meanwhile are simply not missing any more, and left-over pages go back.
 * Freeing: an empty table is unlinked under the space's lock, from the last level upwards, and its page handed to the
 * gather, which frees it after the flush; until then processors may still read it, and read nothing. One of the last
 * level is locked as well and dies in that lock, so a late comer who found it before puts nothing into it.
 *
 * Counts: a table's descriptor counts its non-zero entries, except that a user root counts only its user half.
 */
#include "pt/map.h"

/* ---- table pages ---- */

struct kmm_page *kmm_pt_alloc_table(struct kmm *k, struct kmm_space *space, kmm_gfp gfp)
{
	struct kmm_page *page;

	gfp &= ~(kmm_gfp)(KMM_GFP_HIGHMEM | KMM_GFP_MOVABLE);
	page = kmm_phys_alloc(k, gfp | KMM_GFP_ZERO, 0, KMM_KIND_PGTABLE, "page table");
	if (!page)
		return NULL;
	KMM_ASSERT(k, !kmm_page_is_high(page) && kmm_page_order(page) == 0);
	KMM_ASSERT(k, atomic_load_explicit(&page->count, memory_order_relaxed) == 0);
	kmm_page_set_owner(k, page, space->owner);
	return page;
}

void kmm_pt_free_list(struct kmm *k, struct kmm_page_list *list)
{
	struct kmm_page *page;

	while ((page = kmm_page_list_first(k, list)) != NULL) {
		kmm_page_list_del(k, list, page);
		kmm_phys_free(k, page, 0);
	}
}

void kmm_pt_free_chain(struct kmm *k, kmm_word first)
{
	while (first) {
		struct kmm_page *page = kmm_page_at(k->phys, first - 1);

		KMM_ASSERT(k, kmm_page_kind(page) == KMM_KIND_PGTABLE);
		first = kmm_link_next(k->phys, page);
		kmm_phys_free(k, page, 0);
	}
}

static bool alloc_tables(struct kmm *k, struct kmm_space *space, kmm_word nr, kmm_gfp gfp, struct kmm_page_list *list)
{
	while (nr--) {
		struct kmm_page *page = kmm_pt_alloc_table(k, space, gfp);

		if (!page) {
			kmm_pt_free_list(k, list);
			return false;
		}
		kmm_page_list_add(k, list, page);
	}
	return true;
}

/* ---- linking ---- */

/* A new entry of the kernel's root belongs to every space. They are written under the kernel's lock alone: a
 * space's own lock is for its user half. */
static void publish(struct kmm *k, const struct kmm_spot *spot, uint64_t raw)
{
	struct kmm_pt *pt = k->pt;
	size_t offset = (size_t)((char *)spot->entry - (char *)kmm_lowmem_ptr(k, spot->table));

	for (struct kmm_list *l = pt->spaces.next; l != &pt->spaces; l = l->next) {
		struct kmm_space *space = kmm_container(l, struct kmm_space, link);

		kmm_entry_store(k, (char *)kmm_lowmem_ptr(k, space->root) + offset, raw);
	}
}

void kmm_pt_set_spot(struct kmm *k, struct kmm_space *space, const struct kmm_spot *spot, kmm_word va, uint64_t raw)
{
	struct kmm_ptref ref = { spot->entry, kmm_pt_table_page(k, spot->table), spot->level };

	KMM_ASSERT(k, ref.table && kmm_page_kind(ref.table) == KMM_KIND_PGTABLE);
	kmm_pt_write(k, space, &ref, va, raw);
	if (space->is_kernel && spot->level == kmm_pt_root_level(k))
		publish(k, spot, raw);
}

static void count_table(struct kmm_space *space, kmm_word more)
{
	__atomic_store_n(&space->nr_tables, space->nr_tables + more, __ATOMIC_RELAXED);
}

static void link_table(struct kmm *k, struct kmm_space *space, const struct kmm_spot *spot, kmm_word va,
		       struct kmm_page *table)
{
	struct kmm_pte pte = { kmm_page_to_pfn(k, table), KMM_PTE_PRESENT | KMM_PTE_WRITE | KMM_PTE_EXEC | KMM_PTE_ACCESSED };

	KMM_ASSERT(k, spot->level > 0 && kmm_entry_load(k, spot->entry) == 0);
	KMM_ASSERT(k, kmm_page_owner(k, table) == space->owner && table->b == KMM_TABLE_OPEN);
	if (!space->is_kernel)
		pte.flags |= KMM_PTE_USER;
	kmm_pt_set_spot(k, space, spot, va, kmm_pt_encode_at(k, pte, spot->level));
	count_table(space, 1);
}

/* Links a table from the list wherever one is missing for [va, last]. false: the list was too short. */
static bool link_tables(struct kmm *k, struct kmm_space *space, kmm_word va, kmm_word last, unsigned bottom,
			struct kmm_page_list *list)
{
	struct kmm_spot spot;
	struct kmm_page *page;

	for (;;) {
		kmm_pt_descend(k, space->root, va, bottom, &spot);
		if (spot.level == bottom) {
			if (kmm_pt_entry_last(k, va, bottom + 1) >= last)
				return true;
			va = kmm_pt_entry_last(k, va, bottom + 1) + 1;
			continue;
		}
		page = kmm_page_list_first(k, list);
		if (!page || (spot.pte.flags & KMM_PTE_PRESENT))
			return false;
		kmm_page_list_del(k, list, page);
		link_table(k, space, &spot, va, page);
	}
}

/* How many tables between the root and level `bottom` [va, last] still needs. *blocked: a large leaf maps part of it. */
static kmm_word missing_tables(const struct kmm *k, const struct kmm_space *space, kmm_word va, kmm_word last,
			       unsigned bottom, bool *blocked)
{
	const struct kmm_level *level = kmm_pt_fmt(k)->level;
	struct kmm_spot spot;
	kmm_word nr = 0, gap_last;

	for (;; va = gap_last + 1) {
		kmm_pt_descend(k, space->root, va, bottom, &spot);
		gap_last = kmm_pt_entry_last(k, va, spot.level > bottom ? spot.level : bottom + 1);
		if (gap_last > last)
			gap_last = last;
		if (spot.level > bottom && (spot.pte.flags & KMM_PTE_PRESENT))
			*blocked = true;
		/* The entry at spot.level is empty: one table per entry of each level from there down. */
		for (unsigned l = spot.level; l > bottom; l--)
			nr += (gap_last >> level[l].shift) - (va >> level[l].shift) + 1;
		if (gap_last == last)
			return nr;
	}
}

enum kmm_status kmm_pt_make_range(struct kmm *k, struct kmm_space *space, kmm_word va, kmm_word last, unsigned bottom,
				  kmm_gfp gfp)
{
	struct kmm_page_list list = { 0, 0 };
	unsigned long flags;
	bool blocked = false, done;

	KMM_ASSERT(k, va <= last && bottom <= kmm_pt_root_level(k));
	KMM_ASSERT(k, space->is_kernel == kmm_pt_is_kernel_va(k, va) && space->is_kernel == kmm_pt_is_kernel_va(k, last));
	for (;;) {
		kmm_word nr = missing_tables(k, space, va, last, bottom, &blocked);

		if (blocked)
			return KMM_EBUSY;
		if (nr == 0)
			return KMM_OK;
		if (!alloc_tables(k, space, nr, gfp, &list))
			return KMM_ENOMEM;
		flags = kmm_spin_lock(k, &space->lock, KMM_LOCK_PT);
		done = link_tables(k, space, va, last, bottom, &list);
		kmm_spin_unlock(k, &space->lock, KMM_LOCK_PT, flags);
		kmm_pt_free_list(k, &list);
		if (done)
			return KMM_OK;
	}
}

enum kmm_status kmm_pt_make(struct kmm *k, struct kmm_space *space, kmm_word va, kmm_gfp gfp)
{
	struct kmm_spot spot;

	kmm_pt_descend(k, space->root, va, 0, &spot);
	return spot.level == 0 ? KMM_OK : kmm_pt_make_range(k, space, va, va, 0, gfp);
}

/* ---- freeing ---- */

/* Is it empty? If so, of the last level, it is dead now: nobody will lock it again. The space's lock is held. */
static bool kill_empty(struct kmm *k, struct kmm_page *table, unsigned level)
{
	unsigned long flags;
	bool alive, empty;

	if (level > 0)
		return atomic_load_explicit(&table->count, memory_order_relaxed) == 0;
	alive = kmm_table_lock(k, table, &flags);
	KMM_ASSERT(k, alive);
	empty = atomic_load_explicit(&table->count, memory_order_relaxed) == 0;
	kmm_table_unlock_as(k, table, empty ? KMM_TABLE_DEAD : KMM_TABLE_OPEN, flags);
	return alive && empty;
}

/* Unlinks the table of level `level` around va if it is empty, wholly within [floor, last], and not a fixed one. */
static bool unlink_empty(struct kmm *k, struct kmm_space *space, kmm_word va, unsigned level, struct kmm_tlb *tlb)
{
	struct kmm_spot parent;
	struct kmm_page *table;

	KMM_ASSERT(k, !space->is_kernel && level < k->pt->user_fixed);
	kmm_pt_descend(k, space->root, va, level + 1, &parent);
	KMM_ASSERT(k, parent.level == level + 1);
	table = kmm_pt_table_page(k, kmm_x86_table(kmm_entry_load(k, parent.entry)));
	if (!kill_empty(k, table, level))
		return false;
	KMM_ASSERT(k, kmm_page_owner(k, table) == space->owner && space->nr_tables > 0);
	kmm_pt_set_spot(k, space, &parent, va, 0);
	count_table(space, -(kmm_word)1);
	kmm_set_next(k->phys, table, tlb->free_tables);
	tlb->free_tables = kmm_pfn_of(k->phys, table) + 1;
	tlb->tables = true;
	return true;
}

/* Frees what is empty at va and within bounds; returns the last byte that needs no further look when the search
 * ends at `until`. */
static kmm_word free_at(struct kmm *k, struct kmm_space *space, kmm_word va, const struct kmm_pt_hole *bounds,
			kmm_word until, struct kmm_tlb *tlb)
{
	unsigned long flags = kmm_spin_lock(k, &space->lock, KMM_LOCK_PT);
	struct kmm_spot spot;
	kmm_word seen;

	kmm_pt_descend(k, space->root, va, 0, &spot);
	seen = spot.level ? kmm_pt_gap_last(k, &spot, va, until) : kmm_pt_entry_last(k, va, 1);
	for (unsigned level = spot.level; level < k->pt->user_fixed; level++) {
		kmm_word table_last = kmm_pt_entry_last(k, va, level + 1);
		kmm_word table_first = table_last - (kmm_pt_entry_last(k, 0, level + 1));

		if (table_first < bounds->floor || table_last > bounds->ceiling - 1 ||
		    !unlink_empty(k, space, va, level, tlb))
			break;
	}
	kmm_spin_unlock(k, &space->lock, KMM_LOCK_PT, flags);
	return seen;
}

void kmm_pt_free_around(struct kmm *k, struct kmm_space *space, const struct kmm_pt_hole *hole, struct kmm_tlb *tlb)
{
	struct kmm_pt_hole bounds = *hole;
	kmm_word va = hole->start, until = hole->end - 1, seen;

	KMM_ASSERT(k, !space->is_kernel && hole->floor <= hole->start && hole->start < hole->end &&
			      hole->end <= hole->ceiling);
	/* 64-bit: the last page of the user half is never mapped, so its table ends with the half. */
	if (hole->ceiling >= k->layout.user_end_max)
		bounds.ceiling = (kmm_word)k->pt->kernel_first << kmm_pt_fmt(k)->level[kmm_pt_root_level(k)].shift;
	for (;;) {
		seen = free_at(k, space, va, &bounds, until, tlb);
		if (seen >= until)
			return;
		va = seen + 1;
	}
}

void kmm_pt_free_tables(struct kmm *k, struct kmm_space *space, kmm_word floor, kmm_word ceiling, struct kmm_tlb *tlb)
{
	struct kmm_pt_hole all = { floor, ceiling, floor, ceiling };

	kmm_pt_free_around(k, space, &all, tlb);
}

bool kmm_pt_is_bare(const struct kmm *k, const struct kmm_space *space)
{
	return kmm_pt_nr_tables(space) == (kmm_pt_root_is_fixed(k) ? k->pt->kernel_first : 1);
}

/* ---- roots ---- */

/* The kernel half of the root, and a place in the list of those that get its future entries. */
static void join_kernel(struct kmm *k, struct kmm_space *space)
{
	struct kmm_pt *pt = k->pt;
	unsigned nr = kmm_pt_nr_entries(k, kmm_pt_root_level(k)) - pt->kernel_first;
	unsigned long flags = kmm_spin_lock(k, &pt->kernel.lock, KMM_LOCK_PT);

	__builtin_memcpy(kmm_pt_slot(k, space->root, pt->kernel_first),
			 kmm_pt_slot(k, pt->kernel.root, pt->kernel_first), nr * kmm_pt_fmt(k)->entry_size);
	kmm_list_add_before(&pt->spaces, &space->link);
	kmm_spin_unlock(k, &pt->kernel.lock, KMM_LOCK_PT, flags);
}

enum kmm_status kmm_pt_space_init(struct kmm *k, struct kmm_space *space, void *owner)
{
	struct kmm_pt *pt = k->pt;
	struct kmm_space made = { .owner = owner };
	struct kmm_page *root = kmm_pt_alloc_table(k, &made, KMM_GFP_KERNEL);
	bool counts_root = !kmm_pt_root_is_fixed(k);

	if (!root)
		return KMM_ENOMEM;
	made.root = kmm_pfn_to_paddr(kmm_page_to_pfn(k, root));
	made.nr_tables = counts_root;
	if (!counts_root && kmm_pt_make_range(k, &made, 0, (kmm_word)k->machine.user_end - 1, pt->user_fixed,
					      KMM_GFP_KERNEL) != KMM_OK) {
		kmm_phys_free(k, root, 0);
		return KMM_ENOMEM;
	}
	KMM_ASSERT(k, made.root.v < k->layout.lowmem_end && !made.is_kernel);
	*space = made;
	join_kernel(k, space);
	return KMM_OK;
}

/* The fixed tables below a root (PAE's page directories). */
static void free_fixed(struct kmm *k, struct kmm_space *space)
{
	unsigned level = kmm_pt_root_level(k);

	for (unsigned i = 0; level > k->pt->user_fixed && i < k->pt->kernel_first; i++) {
		uint64_t raw = kmm_entry_take(k, kmm_pt_slot(k, space->root, i));
		struct kmm_page *table = kmm_pt_table_page(k, kmm_x86_table(raw));

		KMM_ASSERT(k, atomic_load_explicit(&table->count, memory_order_relaxed) == 0);
		kmm_phys_free(k, table, 0);
		space->nr_tables--;
	}
}

void kmm_pt_space_fini(struct kmm *k, struct kmm_space *space)
{
	struct kmm_pt *pt = k->pt;
	struct kmm_page *root = kmm_pt_table_page(k, space->root);
	bool counts_root = !kmm_pt_root_is_fixed(k);
	unsigned long flags;

	KMM_ASSERT(k, !space->is_kernel);
	flags = kmm_spin_lock(k, &pt->kernel.lock, KMM_LOCK_PT);
	KMM_ASSERT(k, space->link.next->prev == &space->link);
	kmm_list_del(&space->link);
	kmm_spin_unlock(k, &pt->kernel.lock, KMM_LOCK_PT, flags);

	free_fixed(k, space);
	KMM_ASSERT(k, space->nr_tables == counts_root);
	kmm_phys_free(k, root, 0);
	space->root = kmm_paddr(0);
	space->nr_tables = 0;
}

/* ---- taking down a kernel space ---- */

/* The first entry of a table that leads to another table; NULL: none. */
static void *first_table_entry(const struct kmm *k, struct kmm_paddr table, unsigned level)
{
	for (unsigned i = 0; level > 0 && i < kmm_pt_nr_entries(k, level); i++) {
		void *entry = kmm_pt_slot(k, table, i);

		if (kmm_x86_is_table(kmm_entry_load(k, entry)))
			return entry;
	}
	return NULL;
}

/* Without recursion: goes down by first entries to a table that has no table below, frees that, starts again. */
void kmm_pt_free_kernel(struct kmm *k, struct kmm_paddr root)
{
	void *parent, *entry;

	do {
		struct kmm_paddr table = root;
		unsigned level = kmm_pt_root_level(k);

		parent = NULL;
		while ((entry = first_table_entry(k, table, level)) != NULL) {
			table = kmm_x86_table(kmm_entry_load(k, entry));
			level--;
			parent = entry;
		}
		kmm_phys_free(k, kmm_pt_table_page(k, table), 0);
		if (parent)
			kmm_entry_store(k, parent, 0);
	} while (parent);
}
