/* SPDX-License-Identifier: MIT */
/*
 * Proves the page tables: walks every table of the kernel and of each space and compares what is there with
 * what the descriptors, the space and the format say. Nothing else may run on the machine.
 *
 * The walk keeps its own stack, one index per level. It goes no further down through an entry that is broken.
 */
#include "pt/map.h"

struct audit {
	struct kmm *k;
	struct kmm_sink *out;
	const struct kmm_space *space;
	unsigned first, end;       /* root entries that are the space's own */
	unsigned level;            /* of the table being walked */
	struct { struct kmm_paddr table; unsigned index, used; } at[5];
	kmm_word nr_tables;
	unsigned bad;
};

static void complain(struct audit *a, const char *what, struct kmm_paddr entry, uint64_t value)
{
	a->bad++;
	if (a->out)
		kmm_printf(a->out, "page tables of root %llx: %s (level %u, at %llx: %llx)\n",
			   (unsigned long long)a->space->root.v, what, a->level, (unsigned long long)entry.v,
			   (unsigned long long)value);
}

/* All that is written is encoded, and decoding keeps what the processor adds, so encoding again must not change it. */
static void check_entry(struct audit *a, struct kmm_paddr entry, uint64_t raw, struct kmm_pte pte)
{
	struct kmm *k = a->k;
	bool is_table = a->level > 0 && !(pte.flags & KMM_PTE_LARGE);
	bool user = (pte.flags & KMM_PTE_USER) != 0;

	/* A processor has no accessed bit in the four root entries of PAE; QEMU 7 sets one all the same. */
	if (kmm_pt_root_is_fixed(k) && a->level == kmm_pt_root_level(k))
		raw &= ~(uint64_t)KMM_X86_A;
	if (kmm_pt_encode_at(k, pte, a->level) != raw)
		complain(a, "reserved bits are set", entry, raw);
	if ((uint64_t)pte.pfn.v << KMM_PAGE_SHIFT >= k->layout.phys_limit)
		complain(a, "a frame beyond the physical limit", entry, raw);
	if (a->space->is_kernel && user && !(kmm_pt_root_is_fixed(k) && a->level == kmm_pt_root_level(k)))
		complain(a, "user rights in the kernel half", entry, raw);
	if (!a->space->is_kernel && is_table && !user)
		complain(a, "a table of the user half without user rights", entry, raw);
}

static bool check_table(struct audit *a, struct kmm_paddr table)
{
	struct kmm_page *page = kmm_pt_table_page(a->k, table);

	if (!page || table.v >= a->k->layout.lowmem_end || kmm_page_kind(page) != KMM_KIND_PGTABLE) {
		complain(a, "a table that is no page-table frame", table, 0);
		return false;
	}
	if (kmm_page_owner(a->k, page) != a->space->owner)
		complain(a, "a table of another owner", table, 0);
	return true;
}

static void enter(struct audit *a, unsigned level, struct kmm_paddr table)
{
	a->level = level;
	a->at[level].table = table;
	a->at[level].index = level == kmm_pt_root_level(a->k) ? a->first : 0;
	a->at[level].used = 0;
	a->nr_tables += level < kmm_pt_root_level(a->k) || !kmm_pt_root_is_fixed(a->k);
}

static void leave(struct audit *a)
{
	struct kmm_paddr table = a->at[a->level].table;
	unsigned count = atomic_load(&kmm_pt_table_page(a->k, table)->count);
	bool counted = !a->space->is_kernel || a->level > 0; /* the kernel's last level is never freed: nobody counts */

	if (counted && count != a->at[a->level].used)
		complain(a, "the count of a table is wrong", table, count);
	a->level++;
}

/* Looks at the next entry of the current table; true: it leads to the table in *below. */
static bool step(struct audit *a, struct kmm_paddr *below)
{
	struct kmm_paddr table = a->at[a->level].table, entry;
	unsigned index = a->at[a->level].index++;
	uint64_t raw = kmm_entry_load(a->k, kmm_pt_slot(a->k, table, index));
	struct kmm_pte pte = kmm_pt_decode_at(a->k, raw, a->level);

	if (raw == 0)
		return false;
	a->at[a->level].used++;
	entry = kmm_paddr(table.v + index * kmm_pt_fmt(a->k)->entry_size);
	if (!(pte.flags & KMM_PTE_PRESENT)) {
		if (a->level > 0)
			complain(a, "a software value above the last level", entry, raw);
		return false;
	}
	check_entry(a, entry, raw, pte);
	*below = kmm_pfn_to_paddr(pte.pfn);
	return a->level > 0 && !(pte.flags & KMM_PTE_LARGE) && check_table(a, *below);
}

static void audit_tables(struct audit *a)
{
	unsigned root = kmm_pt_root_level(a->k);
	struct kmm_paddr below;

	enter(a, root, a->space->root);
	while (a->level <= root) {
		unsigned end = a->level == root ? a->end : kmm_pt_nr_entries(a->k, a->level);

		if (a->at[a->level].index == end)
			leave(a);
		else if (step(a, &below))
			enter(a, a->level - 1, below);
	}
	a->level = root;
	if (a->nr_tables != a->space->nr_tables)
		complain(a, "the number of tables is wrong", kmm_paddr(a->nr_tables), a->space->nr_tables);
}

static void audit_kernel_half(struct audit *a)
{
	struct kmm *k = a->k;

	for (unsigned i = k->pt->kernel_first; i < kmm_pt_nr_entries(k, kmm_pt_root_level(k)); i++) {
		struct kmm_paddr entry = kmm_paddr(a->space->root.v + i * kmm_pt_fmt(k)->entry_size);
		uint64_t raw = kmm_entry_load(k, kmm_lowmem_ptr(k, entry));

		if (raw != kmm_entry_load(k, kmm_pt_slot(k, k->pt->kernel.root, i)))
			complain(a, "the kernel half differs from the kernel's", entry, raw);
	}
}

static unsigned audit_space(struct kmm *k, const struct kmm_space *space, struct kmm_sink *out)
{
	struct audit a = { .k = k, .out = out, .space = space, .level = kmm_pt_root_level(k) };

	a.end = space->is_kernel ? kmm_pt_nr_entries(k, kmm_pt_root_level(k)) : k->pt->kernel_first;
	if (check_table(&a, space->root))
		audit_tables(&a);
	if (!space->is_kernel)
		audit_kernel_half(&a);
	return a.bad;
}

unsigned kmm_pt_audit(struct kmm *k, struct kmm_sink *out)
{
	unsigned bad = audit_space(k, &k->pt->kernel, out);

	for (struct kmm_list *l = k->pt->spaces.next; l != &k->pt->spaces; l = l->next)
		bad += audit_space(k, kmm_container(l, struct kmm_space, link), out);
	return bad;
}
