/* SPDX-License-Identifier: MIT */
/*
 * The virtual addresses of a machine. This file alone knows where a format puts what.
 *
 * 32-bit, from the top down (each step rounds down to what one last-level table maps, "span"):
 *
 *   top_va         fixmap: kmap_local slots of every CPU, other slots, early ioremap, late slots
 *                  CPU entry area   (if asked for)
 *                  LDT              (if asked for)
 *                  kmap window      one last-level table of slots
 *                  guard pages
 *                  vmalloc          down to the end of the direct map plus vmalloc_offset
 *   user_end       direct map       what is left, less vmalloc_reserve
 *
 * vmalloc_reserve counts the hole of vmalloc_offset: Linux's `vmalloc=256M` adds those 8 MiB to what it
 * was given, so it is vmalloc_reserve = 264 MiB here (and leaves 743 MiB of low memory, as measured).
 *
 * 64-bit: fixed bases, or with `randomise` bases that the seed moves in steps of 1 GiB.
 */
#include "kmm/layout.h"

#include "base/context.h"
#include "base/math.h"
#include "phys/geometry.h"

#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)
#define PIB ((uint64_t)1 << 50)

/* A direct map smaller than ISA DMA's reach is no machine worth describing. */
#define LOWMEM_LEAST (16u << 20)

/* 64-bit: the kernel image's window, modules after it, and the fixmap in the last but one span. */
#define IMAGE_START 0xffffffff80000000u
#define IMAGE_BYTES 0x20000000u
#define MODULES_START (IMAGE_START + IMAGE_BYTES)
#define MODULES_END 0xffffffffff000000u
#define FIXMAP_TOP 0xffffffffff7ff000u

static const struct kmm_geometry geometries[KMM_NR_FORMATS] = {
	[KMM_I386] = {
		.name = "i386", .default_phys_bits = 32, .max_phys_bits = 32, .table_shift = 22,
		.pageblock_order = 10, .descriptor_bytes = 24, .table_slots = 1024,
	},
	[KMM_I386_PAE] = {
		.name = "i386-pae", .default_phys_bits = 36, .max_phys_bits = 52, .table_shift = 21,
		.pageblock_order = 9, .descriptor_bytes = 24, .table_slots = 512,
	},
	[KMM_X86_64] = {
		.name = "x86_64", .wide = true, .default_phys_bits = 46, .max_phys_bits = 52, .table_shift = 21,
		.pageblock_order = 9, .descriptor_bytes = 32, .table_slots = 512,
		.lower_half_end = 0x0000800000000000u, .task_size = 0x00007ffffffff000u,
		.upper_half = 0xffff800000000000u,
		.direct = 0xffff888000000000u, .direct_size = 64 * TIB,
		.vmalloc = 0xffffc90000000000u, .vmalloc_size = 32 * TIB,
		.vmemmap = 0xffffea0000000000u, .vmemmap_size = 1 * TIB,
		.bases_end = 0xfffffe0000000000u,
	},
	[KMM_X86_64_LA57] = {
		.name = "x86_64-la57", .wide = true, .default_phys_bits = 52, .max_phys_bits = 52, .table_shift = 21,
		.pageblock_order = 9, .descriptor_bytes = 32, .table_slots = 512,
		.lower_half_end = 0x0100000000000000u, .task_size = 0x00007ffffffff000u,
		.upper_half = 0xff00000000000000u,
		.direct = 0xff11000000000000u, .direct_size = 32 * PIB,
		.vmalloc = 0xffa0000000000000u, .vmalloc_size = 12800 * TIB,
		.vmemmap = 0xffd4000000000000u, .vmemmap_size = 512 * TIB,
		.bases_end = 0xfffffe0000000000u,
	},
};

const struct kmm_geometry *kmm_geometry(enum kmm_format_id format)
{
	return (unsigned)format < KMM_NR_FORMATS ? &geometries[format] : NULL;
}

uint64_t kmm_layout_memmap_bytes(enum kmm_format_id format, uint64_t spanned_pages)
{
	return spanned_pages * geometries[format].descriptor_bytes;
}

/* ---- the list of regions ---- */

/* Appends [start, end) and whatever lies between it and the region before as a hole. Empty ones vanish.
 * Addresses as "first byte after": 0 is the end of a 64-bit space. */
static void add_region(struct kmm_layout *l, enum kmm_region_id id, uint64_t start, uint64_t end)
{
	uint64_t next = l->nr ? l->region[l->nr - 1].last + 1 : 0;

	if (start == end)
		return;
	if (next != start)
		l->region[l->nr++] = (struct kmm_region){ KMM_REGION_HOLE, next, start - 1 };
	l->region[l->nr++] = (struct kmm_region){ id, start, end - 1 };
}

/* Ends the list with a hole up to the last address. */
static void close_regions(struct kmm_layout *l, uint64_t last)
{
	uint64_t next = l->region[l->nr - 1].last + 1;

	if (l->region[l->nr - 1].last != last)
		l->region[l->nr++] = (struct kmm_region){ KMM_REGION_HOLE, next, last };
}

const struct kmm_region *kmm_layout_find(const struct kmm_layout *l, uint64_t va)
{
	unsigned i = 0;

	while (i + 1 < l->nr && va > l->region[i].last)
		i++;
	return &l->region[i];
}

static enum kmm_status refuse(const char **why, const char *sentence)
{
	if (why)
		*why = sentence;
	return KMM_EINVAL;
}

/* ---- 32-bit ---- */

static uint64_t permanent_slots(const struct kmm_windows *w)
{
	return (uint64_t)w->fixmap_cpus * w->kmap_local_slots + w->fixmap_pages;
}

/* All fixmap slots, boot-time ones included: those start at a multiple of their own number. */
static uint64_t total_slots(const struct kmm_windows *w)
{
	uint64_t n = permanent_slots(w);

	if (w->early_ioremap_pages)
		n = kmm_align_up(n, w->early_ioremap_pages) + w->early_ioremap_pages;
	return n + w->late_fixmap_pages;
}

/* The steps down from the top; explain prints them. */
struct descent {
	uint64_t fixmap, boot_fixmap, cpu_entry, cpu_entry_end, ldt, kmap, vmalloc_end;
};

static struct descent descend(const struct kmm_machine *m)
{
	const struct kmm_geometry *g = kmm_geometry(m->format);
	const struct kmm_windows *w = &m->windows;
	uint64_t span = (uint64_t)1 << g->table_shift, at = w->top_va;
	struct descent d = { 0 };

	d.fixmap = at - permanent_slots(w) * KMM_PAGE_SIZE;
	d.boot_fixmap = at = at - total_slots(w) * KMM_PAGE_SIZE;
	if (w->cpu_entry_pages) {
		uint64_t pages = (uint64_t)w->cpu_entry_pages * w->fixmap_cpus + 1; /* one for the shared table */

		d.cpu_entry = at = kmm_align_down(at - (pages + 1) * KMM_PAGE_SIZE, span);
		d.cpu_entry_end = at + pages * KMM_PAGE_SIZE;
	}
	if (w->ldt_window)
		d.ldt = at = kmm_align_down(at, span) - span;
	d.kmap = at = kmm_align_down(at, span) - span;
	d.vmalloc_end = at - (uint64_t)w->guard_pages * KMM_PAGE_SIZE;
	return d;
}

static void regions_32(const struct kmm_machine *m, const struct descent *d, struct kmm_layout *l)
{
	uint64_t span = (uint64_t)1 << kmm_geometry(m->format)->table_shift;
	uint64_t direct_end = l->page_offset + l->lowmem_end;

	add_region(l, KMM_REGION_USER, 0, l->page_offset);
	add_region(l, KMM_REGION_DIRECT, l->page_offset, direct_end);
	add_region(l, KMM_REGION_GUARD, direct_end, l->vmalloc_start);
	add_region(l, KMM_REGION_VMALLOC, l->vmalloc_start, l->vmalloc_end);
	add_region(l, KMM_REGION_GUARD, l->vmalloc_end, l->kmap_start);
	add_region(l, KMM_REGION_KMAP, l->kmap_start, l->kmap_start + (uint64_t)l->kmap_slots * KMM_PAGE_SIZE);
	if (d->ldt)
		add_region(l, KMM_REGION_LDT, d->ldt, d->ldt + span);
	if (d->cpu_entry)
		add_region(l, KMM_REGION_CPU_ENTRY, d->cpu_entry, d->cpu_entry_end);
	add_region(l, KMM_REGION_FIXMAP, d->boot_fixmap, m->windows.top_va);
	close_regions(l, UINT32_MAX);
}

static enum kmm_status derive_32(const struct kmm_machine *m, uint64_t ram_end, struct kmm_layout *l, const char **why)
{
	const struct kmm_windows *w = &m->windows;
	struct descent d = descend(m);

	l->page_offset = m->user_end;
	if (d.vmalloc_end > UINT32_MAX || d.vmalloc_end < l->page_offset + w->vmalloc_reserve + LOWMEM_LEAST)
		return refuse(why, "the windows leave no room for a direct map");
	if (w->vmalloc_reserve < w->vmalloc_offset + (1u << 20))
		return refuse(why, "the vmalloc reserve is smaller than its offset and 1 MiB");
	l->lowmem_limit = d.vmalloc_end - w->vmalloc_reserve - l->page_offset;
	l->lowmem_end = kmm_min_u64(l->lowmem_limit, kmm_align_down(ram_end, KMM_PAGE_SIZE));
	l->vmalloc_start = l->page_offset + l->lowmem_end + w->vmalloc_offset;
	l->vmalloc_end = d.vmalloc_end;
	l->kmap_start = d.kmap;
	l->kmap_slots = kmm_geometry(m->format)->table_slots;
	l->fixmap_start = d.fixmap;
	l->fixmap_end = w->top_va;
	l->user_end = l->user_end_max = m->user_end;
	/* Frame numbers plus one must fit 32 bits; descriptors for as much would not fit low memory anyway. */
	l->phys_limit = (uint64_t)1 << (m->phys_bits < 43 ? m->phys_bits : 43);
	regions_32(m, &d, l);
	return KMM_OK;
}

/* ---- 64-bit ---- */

/* The usual mixer of a counter to 64 well-spread bits (SplitMix64's constants). */
static uint64_t mix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Moves the three bases up by a random number of GiB each. The slack is shared: each takes at most its
 * even share of what is left. The direct map shrinks to RAM and 10 TiB for growth, as its size is slack too. */
static void randomise_bases(const struct kmm_machine *m, const struct kmm_geometry *g, uint64_t ram_end,
			    struct kmm_layout *l, uint64_t *direct_size)
{
	uint64_t *base[3] = { &l->page_offset, &l->vmalloc_start, &l->vmemmap_start };
	uint64_t size[3] = { 0, g->vmalloc_size, g->vmemmap_size };
	uint64_t at = g->direct, state = m->seed, slack;

	size[0] = kmm_min_u64(g->direct_size, kmm_align_up(kmm_min_u64(ram_end, g->direct_size), TIB) + 10 * TIB);
	*direct_size = size[0];
	slack = g->bases_end - at - size[0] - size[1] - size[2] - 3 * GIB;
	for (unsigned i = 0; i < 3; i++) {
		uint32_t steps = (uint32_t)(kmm_div_u64(slack, 3 - i, NULL) >> 30), move;

		kmm_div_u64(mix(&state), steps + 1, &move);
		*base[i] = at + move * GIB;
		slack -= move * GIB;
		at = *base[i] + size[i] + GIB;
	}
	l->vmalloc_end = l->vmalloc_start + size[1];
	l->vmemmap_end = l->vmemmap_start + size[2];
}

static void fixmap_64(const struct kmm_machine *m, struct kmm_layout *l)
{
	l->fixmap_end = FIXMAP_TOP;
	l->fixmap_start = FIXMAP_TOP - permanent_slots(&m->windows) * KMM_PAGE_SIZE;
}

static void regions_64(const struct kmm_geometry *g, uint64_t direct_size, struct kmm_layout *l)
{
	add_region(l, KMM_REGION_USER, 0, l->user_end_max);
	add_region(l, KMM_REGION_GUARD, l->user_end_max, g->lower_half_end);
	add_region(l, KMM_REGION_NONCANONICAL, g->lower_half_end, g->upper_half);
	add_region(l, KMM_REGION_GUARD, g->upper_half, l->page_offset);
	add_region(l, KMM_REGION_DIRECT, l->page_offset, l->page_offset + direct_size);
	add_region(l, KMM_REGION_VMALLOC, l->vmalloc_start, l->vmalloc_end);
	add_region(l, KMM_REGION_VMEMMAP, l->vmemmap_start, l->vmemmap_end);
	add_region(l, KMM_REGION_IMAGE, IMAGE_START, IMAGE_START + IMAGE_BYTES);
	add_region(l, KMM_REGION_MODULES, MODULES_START, MODULES_END);
	add_region(l, KMM_REGION_FIXMAP, l->fixmap_start, l->fixmap_end);
	close_regions(l, UINT64_MAX);
}

static enum kmm_status derive_64(const struct kmm_machine *m, uint64_t ram_end, struct kmm_layout *l, const char **why)
{
	const struct kmm_geometry *g = kmm_geometry(m->format);
	uint64_t direct_size = g->direct_size;

	if (permanent_slots(&m->windows) * KMM_PAGE_SIZE > FIXMAP_TOP - MODULES_END)
		return refuse(why, "the fixmap does not fit above the modules");
	l->page_offset = g->direct;
	l->vmalloc_start = g->vmalloc;
	l->vmalloc_end = g->vmalloc + g->vmalloc_size;
	l->vmemmap_start = g->vmemmap;
	l->vmemmap_end = g->vmemmap + g->vmemmap_size;
	if (m->randomise)
		randomise_bases(m, g, ram_end, l, &direct_size);
	l->lowmem_limit = direct_size;
	l->lowmem_end = kmm_min_u64(direct_size, kmm_align_down(ram_end, KMM_PAGE_SIZE));
	l->user_end = g->task_size;
	l->user_end_max = g->lower_half_end - KMM_PAGE_SIZE;
	l->phys_limit = kmm_min_u64((uint64_t)1 << m->phys_bits, g->direct_size);
	fixmap_64(m, l);
	regions_64(g, direct_size, l);
	return KMM_OK;
}

enum kmm_status kmm_layout_derive(const struct kmm_machine *m, uint64_t ram_end, struct kmm_layout *out, const char **why)
{
	struct kmm_layout l = { 0 };
	enum kmm_status status;

	if (kmm_geometry(m->format)->wide)
		status = derive_64(m, ram_end, &l, why);
	else
		status = derive_32(m, ram_end, &l, why);
	if (status != KMM_OK)
		return status;
	l.kmap_local_start = l.fixmap_start;
	l.kmap_local_slots = m->windows.fixmap_cpus * m->windows.kmap_local_slots;
	l.vmalloc_guard_bytes = KMM_PAGE_SIZE;
	*out = l;
	return KMM_OK;
}

/* ---- the sum in words ---- */

static void line(struct kmm_sink *out, const char *what, uint64_t va)
{
	kmm_printf(out, "  %-44s %16llx\n", what, (unsigned long long)va);
}

static unsigned long long mib(uint64_t bytes)
{
	return bytes >> 20;
}

static void explain_32(const struct kmm_machine *m, const struct kmm_layout *l, struct kmm_sink *out)
{
	const struct kmm_windows *w = &m->windows;
	struct descent d = descend(m);

	line(out, "top of the windows", w->top_va);
	kmm_printf(out, "  - %u CPUs x %u kmap_local slots + %u others = %llu pages\n", w->fixmap_cpus,
		   w->kmap_local_slots, w->fixmap_pages, (unsigned long long)permanent_slots(w));
	line(out, "= start of the permanent fixmap", d.fixmap);
	if (d.boot_fixmap != d.fixmap) {
		kmm_printf(out, "  - boot-time slots, %u pages aligned to their number, and %u after them\n",
			   w->early_ioremap_pages, w->late_fixmap_pages);
		line(out, "= start of all the fixmap", d.boot_fixmap);
	}
	if (d.cpu_entry) {
		kmm_printf(out, "  - %u CPUs x %u entry pages + 1 + 1 between, down to a multiple of %llu MiB\n",
			   w->fixmap_cpus, w->cpu_entry_pages, 1ull << (kmm_geometry(m->format)->table_shift - 20));
		line(out, "= CPU entry area", d.cpu_entry);
	}
	if (d.ldt)
		line(out, "- one table's span = LDT window", d.ldt);
	kmm_printf(out, "  - one table of %u kmap slots, down to a multiple of its span\n", l->kmap_slots);
	line(out, "= kmap window", d.kmap);
	kmm_printf(out, "  - %u guard pages\n", w->guard_pages);
	line(out, "= end of vmalloc", d.vmalloc_end);
	line(out, "- vmalloc reserve, bytes", w->vmalloc_reserve);
	line(out, "- start of kernel addresses", l->page_offset);
	line(out, "= most bytes the direct map can hold", l->lowmem_limit);
	kmm_printf(out, "  low memory %llu MiB%s; vmalloc starts %llu MiB above its end\n", mib(l->lowmem_end),
		   l->lowmem_end < l->lowmem_limit ? " (all of RAM)" : "", mib(w->vmalloc_offset));
}

static void explain_64(const struct kmm_machine *m, const struct kmm_layout *l, struct kmm_sink *out)
{
	const struct kmm_geometry *g = kmm_geometry(m->format);

	line(out, "first address of the upper half", g->upper_half);
	line(out, m->randomise ? "direct map, base moved by the seed" : "direct map, base fixed by the format",
	     l->page_offset);
	line(out, "+ its size, bytes", l->lowmem_limit);
	line(out, "vmalloc", l->vmalloc_start);
	line(out, "vmemmap (descriptors)", l->vmemmap_start);
	line(out, "first physical byte that cannot be addressed", l->phys_limit);
	kmm_printf(out, "  all %llu MiB of RAM fit the direct map: no high memory\n", mib(l->lowmem_end));
}

void kmm_layout_explain(const struct kmm_machine *m, const struct kmm_layout *l, struct kmm_sink *out)
{
	kmm_printf(out, "%s, kernel addresses from %llx\n", kmm_format_name(m->format),
		   (unsigned long long)(kmm_geometry(m->format)->wide ? kmm_geometry(m->format)->upper_half
								      : l->page_offset));
	if (kmm_geometry(m->format)->wide)
		explain_64(m, l, out);
	else
		explain_32(m, l, out);
}
