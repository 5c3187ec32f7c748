/* SPDX-License-Identifier: MIT */
/*
 * proc_kmm.c - /proc/kmm: this kernel's own windows on its memory.
 *
 *   frames    for the reading process: which frame, in which zone, holds its text, heap and stack, and where the
 *             kernel keeps what belongs to it
 *   zones     a bar for every zone
 *   explain   write an address, then read what it is
 */
#include "fs/procfs.h"
#include "kmm/observe.h"
#include "start.h"

static uword explained;
static bool asked; /* nobody has: the first address of the direct map */

static const char *zone_name(enum kmm_zone_id zone)
{
	struct kmm_zone_info z;

	return kmm_zone_info(os.k, zone, &z) ? z.name : "none";
}

static void frame_line(struct kmm_sink *out, const char *what, struct kmm_paddr root, uword va)
{
	struct kmm_page_info info;
	struct kmm_page *page;
	struct kmm_walk walk;

	kmm_walk(os.k, root, va, &walk);
	page = walk.mapped ? kmm_pfn_to_page(os.k, kmm_paddr_to_pfn(walk.pa)) : NULL;
	if (!page)
		return;
	kmm_page_info(os.k, page, &info);
	sink_printf(out, "%-14s %08llx   %8llx   %-8s %10llx %s\n", what, LL(va), LL(info.pfn.v), zone_name(info.zone),
		    LL(walk.pa.v), walk.pa.v >> 32 ? "above 4 GiB" : "");
}

/* The first page of an area that is really there. */
static void area_line(struct kmm_sink *out, const char *what, const struct kmm_vma_info *vma, struct kmm_paddr root)
{
	for (uword va = vma->start.v; va < vma->end.v; va += KMM_PAGE_SIZE) {
		struct kmm_walk walk;

		kmm_walk(os.k, root, va, &walk);
		if (walk.mapped) {
			frame_line(out, what, root, va);
			return;
		}
	}
}

static const char *role_of(const struct kmm_vma_info *vma, unsigned *seen)
{
	enum { TEXT = 1, DATA = 2, HEAP = 4, STACK = 8 };
	unsigned role = 0;

	if (str_eq(vma->name, "[heap]"))
		role = HEAP;
	else if (str_eq(vma->name, "[stack]"))
		role = STACK;
	else if (vma->backing && (vma->prot & KMM_PROT_EXEC))
		role = TEXT;
	else if (vma->backing && (vma->prot & KMM_PROT_WRITE))
		role = DATA;
	if (!role || (*seen & role))
		return NULL;
	*seen |= role;
	return role == TEXT ? "text" : role == DATA ? "data" : role == HEAP ? "heap" : "stack";
}

static void text_frames(struct proc *proc, struct kmm_sink *out)
{
	struct kmm_vma_info vma;
	struct kmm_paddr root;
	unsigned seen = 0;

	if (!proc->mm)
		return;
	root = kmm_mm_root(proc->mm);
	sink_printf(out, "%-14s %8s   %8s   %-8s %10s\n", "what", "virtual", "frame", "zone", "physical");
	for (uword at = 0; kmm_vma_find(proc->mm, kmm_uva(at), &vma); at = vma.end.v) {
		const char *role = role_of(&vma, &seen);

		if (role)
			area_line(out, role, &vma, root);
	}
	frame_line(out, "kernel code", root, (uword)x86_text_start);
	frame_line(out, "its page table", root, (uword)x86_phys_ptr(root.v));
	frame_line(out, "its task", root, (uword)current);
	frame_line(out, "kernel stack", root, (uword)current->stack);
}

static void text_zones(struct proc *proc, struct kmm_sink *out)
{
	enum { BAR = 40 };

	(void)proc;
	for (int i = 0; i < KMM_NR_ZONES; i++) {
		struct kmm_zone_info z;
		char bar[BAR + 1];
		uint32_t used;

		if (!kmm_zone_info(os.k, i, &z) || !z.present)
			continue;
		used = (uint32_t)div_u64((uint64_t)(z.present - z.free) * BAR + z.present - 1, (uint32_t)z.present, NULL);
		memset(bar, '#', used);
		memset(bar + used, '.', BAR - used);
		bar[BAR] = 0;
		sink_printf(out, "%-8s %10llx  [%s] %6u MiB, %u free\n", z.name, LL(kmm_pfn_to_paddr(z.start).v), bar,
			    (uint32_t)((z.present + 128) >> 8), (uint32_t)(z.free >> 8));
	}
}

static void text_explain(struct proc *proc, struct kmm_sink *out)
{
	kmm_explain_print(os.k, proc->mm, asked ? explained : x86_direct_base, out);
}

static int write_explain(const char *text)
{
	const char *digits = str_starts(text, "0x") ? text + 2 : text, *end;
	uword va;

	if (!str_to_word(digits, 16, &va, &end) || (*end && *end != '\n'))
		return -EINVAL;
	explained = va;
	asked = true;
	guard_break_entry(va);
	return 0;
}

const struct proc_entry proc_kmm_entries[] = {
	{ .name = "frames", .mode = S_IFREG | 0444, .text = text_frames },
	{ .name = "zones", .mode = S_IFREG | 0444, .text = text_zones },
	{ .name = "explain", .mode = S_IFREG | 0644, .text = text_explain, .write = write_explain },
	{ .name = NULL },
};
