/* SPDX-License-Identifier: MIT */
/*
 * An explanation in words: one fact a line, each with its evidence.
 */
#include "observe/observe.h"

#include "phys/alloc.h"

static const char *level_name(unsigned level)
{
	static const char *const names[] = { "PTE", "PDE", "PDPTE", "PML4E", "PML5E" };

	return level < 5 ? names[level] : "?";
}

static void print_flags(const struct kmm_pte *pte, struct kmm_sink *out)
{
	static const struct { uint32_t bit; const char *name; } flags[] = {
		{ KMM_PTE_PRESENT, "present" }, { KMM_PTE_WRITE, "write" }, { KMM_PTE_USER, "user" },
		{ KMM_PTE_EXEC, "exec" }, { KMM_PTE_ACCESSED, "accessed" }, { KMM_PTE_DIRTY, "dirty" },
		{ KMM_PTE_LARGE, "large" }, { KMM_PTE_GLOBAL, "global" }, { KMM_PTE_NOCACHE, "uncached" },
	};

	for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (pte->flags & flags[i].bit)
			kmm_printf(out, " %s", flags[i].name);
	if (!(pte->flags & KMM_PTE_PRESENT))
		kmm_printf(out, " not present");
}

void kmm_walk_print(const struct kmm_walk *walk, struct kmm_sink *out)
{
	for (unsigned i = 0; i < walk->nr_steps; i++) {
		const struct kmm_walk_step *s = &walk->step[i];

		kmm_printf(out, "  walk      %-5s [%4u] at pa 0x%09llx = 0x%016llx ", level_name(s->level),
			   s->index, (unsigned long long)s->entry_at.v, (unsigned long long)s->raw);
		print_flags(&s->pte, out);
		kmm_printf(out, "\n");
	}
}

/* The caller's address is left to the page_owner report: here the same machine shall give the same text every time. */
static void print_holder(const struct kmm_page_owner *o, struct kmm_sink *out)
{
	char mask[128];

	kmm_gfp_describe(o->gfp, mask, sizeof(mask));
	kmm_printf(out, "  holder    %s %s with %s, order %u, id %u%s\n", o->allocated ? "allocated as" : "was last allocated as",
		   o->site, mask, o->order, o->id, o->moved ? ", moved here" : "");
}

static void print_frame(const struct kmm *k, const struct kmm_explain *e, struct kmm_sink *out)
{
	static const char *const zones[KMM_NR_ZONES] = { "DMA", "DMA32", "Normal", "HighMem", "Movable" };

	if (!e->has_frame) {
		if (e->walk.nr_steps)
			kmm_printf(out, "  frame     none: the walk ends at an entry that is not present\n");
		return;
	}
	kmm_printf(out, "  physical  0x%llx (page frame 0x%llx, mapped by a %llu KiB leaf)\n",
		   (unsigned long long)e->walk.pa.v, (unsigned long long)(e->walk.pa.v >> KMM_PAGE_SHIFT),
		   (unsigned long long)(e->walk.leaf_bytes >> 10));
	if (!e->has_page) {
		kmm_printf(out, "  page      no descriptor: not RAM\n");
		return;
	}
	kmm_printf(out, "  page      zone %s, %s, %u references, %u user mappings\n", zones[e->page.zone],
		   kmm_kind_name(e->page.kind), e->page.refcount, e->page.mapcount);
	if (e->has_holder)
		print_holder(&e->holder, out);
	if (e->has_linear)
		kmm_printf(out, "  linear    0x%llx is the same byte in the direct map\n", (unsigned long long)e->linear.v);
	else if (e->walk.pa.v >= k->layout.lowmem_end)
		kmm_printf(out, "  linear    none: a high frame has no permanent kernel address\n");
	else
		kmm_printf(out, "  linear    none: there is no RAM here\n");
}

void kmm_explain_print(struct kmm *k, struct kmm_mm *mm, uint64_t va, struct kmm_sink *out)
{
	struct kmm_explain e;

	kmm_explain(k, mm, va, &e);
	kmm_printf(out, "0x%llx: %s\n  %s\n", (unsigned long long)va, kmm_address_class_name(e.class_), e.sentence);
	kmm_printf(out, "  region    %s 0x%llx-0x%llx\n", kmm_region_name(e.region->id),
		   (unsigned long long)e.region->start, (unsigned long long)e.region->last);
	kmm_printf(out, "  logical   %s\n", e.logical ? "yes" : "no");
	if (e.has_vma)
		kmm_printf(out, "  vma       0x%llx-0x%llx %c%c%c%c %s\n", (unsigned long long)e.vma.start.v,
			   (unsigned long long)e.vma.end.v, e.vma.prot & KMM_PROT_READ ? 'r' : '-',
			   e.vma.prot & KMM_PROT_WRITE ? 'w' : '-', e.vma.prot & KMM_PROT_EXEC ? 'x' : '-',
			   e.vma.shared ? 's' : 'p', e.vma.name[0] ? e.vma.name : "(anonymous)");
	if (e.has_area)
		kmm_printf(out, "  area      0x%llx, %llu bytes with its guard page\n", (unsigned long long)e.area.start.v,
			   (unsigned long long)e.area.size_bytes);
	if (e.owner[0])
		kmm_printf(out, "  owner     %s\n", e.owner);
	kmm_walk_print(&e.walk, out);
	print_frame(k, &e, out);
}
