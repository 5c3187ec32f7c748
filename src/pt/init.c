/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page tables at the start of tier b, on one CPU.
 *
 *   direct map   everything the memory map calls RAM, reserved or ACPI below lowmem_end, and the first MiB whole (the
 *                legacy area has no map entries); not holes, not bad RAM. Largest leaves that fit: 4 MiB, 2 MiB,
 *                1 GiB. A 64 TiB machine is some 65,000 leaves of 1 GiB.
 *   vmemmap      64-bit: the descriptors, seen as an array by page number. Large leaves where the array's physical
 *                and virtual addresses agree in their low bits.
 *   image        64-bit: its own window, with the rights that the machine's description gives its parts. 32-bit kernels
 *                run in the direct map. There, the image's parts have the same rights on both; nothing else is executed.
 *   windows      tables, without entries, for those that are used in contexts that cannot allocate: kmap, fixmap.
 *
 * All leaves are global and carry accessed and dirty already, which spares the processor writing them.
 */
#include "pt/map.h"

#include "base/math.h"
#include "kmm/kmm.h"

#define LEGACY_END 0x100000u /* PC: BIOS and adapter memory below 1 MiB */

#define DIRECT_FLAGS \
	(KMM_PTE_PRESENT | KMM_PTE_WRITE | KMM_PTE_ACCESSED | KMM_PTE_DIRTY | KMM_PTE_GLOBAL)

struct span {
	uint64_t va, pa, size; /* bytes, page aligned */
	uint32_t flags;
};

/* The highest level whose leaf fits at the start of the span. */
static unsigned leaf_level(const struct kmm *k, const struct span *s)
{
	const struct kmm_format *fmt = kmm_pt_fmt(k);
	unsigned level = fmt->nr_levels;

	while (--level > 0) {
		uint64_t bytes = (uint64_t)1 << fmt->level[level].shift;

		if (fmt->level[level].leaf && s->size >= bytes && ((s->va | s->pa) & (bytes - 1)) == 0)
			break;
	}
	return level;
}

static enum kmm_status map_leaf(struct kmm *k, const struct span *s, unsigned level, uint64_t size)
{
	struct kmm_space *kernel = &k->pt->kernel;
	struct kmm_pte pte = { kmm_paddr_to_pfn(kmm_paddr(s->pa)), s->flags };
	enum kmm_status status = kmm_pt_make_range(k, kernel, (kmm_word)s->va, (kmm_word)s->va, level, KMM_GFP_KERNEL);
	struct kmm_spot spot;

	KMM_ASSERT(k, ((s->va | s->pa) & (size - 1)) == 0 && size <= s->size && s->pa + size <= k->layout.phys_limit);
	if (status != KMM_OK)
		return status;
	if (level > 0)
		pte.flags |= KMM_PTE_LARGE;
	kmm_pt_descend(k, kernel->root, (kmm_word)s->va, level, &spot);
	kmm_pt_set_spot(k, kernel, &spot, (kmm_word)s->va, kmm_pt_encode_at(k, pte, level));
	return KMM_OK;
}

static enum kmm_status map_span(struct kmm *k, struct span s)
{
	while (s.size) {
		unsigned level = leaf_level(k, &s);
		uint64_t bytes = (uint64_t)1 << kmm_pt_fmt(k)->level[level].shift;
		enum kmm_status status = map_leaf(k, &s, level, bytes);

		if (status != KMM_OK)
			return status;
		s.va += bytes;
		s.pa += bytes;
		s.size -= bytes;
	}
	return KMM_OK;
}

/* ---- the regions ---- */

/*
 * The piece of the direct map that begins at pa: its flags, and where the next begins. The image keeps its rights here, so
 * that nothing is both written and executed, under whichever address; 32-bit kernels have no other address for it.
 */
static uint64_t direct_piece(const struct kmm *k, uint64_t pa, uint32_t *flags)
{
	const struct kmm_machine *m = &k->machine;
	uint64_t start = kmm_align_down(m->image_pa, KMM_PAGE_SIZE), text = start, rodata, end = start;
	uint32_t exec = kmm_pt_fmt(k)->canonical ? 0 : KMM_PTE_EXEC;

	*flags = DIRECT_FLAGS;
	if (m->image_size) {
		text = kmm_align_up(m->image_pa + m->image_text, KMM_PAGE_SIZE);
		end = kmm_align_up(m->image_pa + m->image_size, KMM_PAGE_SIZE);
	}
	rodata = kmm_min_u64(text + kmm_align_up(m->image_rodata, KMM_PAGE_SIZE), end);
	if (pa < start)
		return start;
	if (pa >= end)
		return UINT64_MAX;
	if (!m->image_text) {
		*flags |= exec;
		return end;
	}
	if (pa < rodata)
		*flags = (DIRECT_FLAGS & ~KMM_PTE_WRITE) | (pa < text ? exec : 0);
	return pa < text ? text : pa < rodata ? rodata : end;
}

static enum kmm_status map_direct(struct kmm *k, uint64_t start, uint64_t end)
{
	enum kmm_status status = KMM_OK;

	KMM_ASSERT(k, end <= k->layout.lowmem_end && ((start | end) & (KMM_PAGE_SIZE - 1)) == 0);
	while (start < end && status == KMM_OK) {
		uint32_t flags;
		uint64_t next = kmm_min_u64(direct_piece(k, start, &flags), end);

		status = map_span(k, (struct span){ k->layout.page_offset + start, start, next - start, flags });
		start = next;
	}
	return status;
}

/* Joins neighbouring ranges of any type first, so that large leaves may cross from one to the other. */
static enum kmm_status map_lowmem(struct kmm *k)
{
	const struct kmm_memrange *map;
	unsigned nr = kmm_memory_map(k, &map);
	uint64_t limit = k->layout.lowmem_end, start = 0, end = kmm_min_u64(LEGACY_END, limit);
	enum kmm_status status;

	for (unsigned i = 0; i < nr; i++) {
		uint64_t from = kmm_min_u64(kmm_align_down(map[i].start, KMM_PAGE_SIZE), limit);
		uint64_t to = kmm_min_u64(kmm_align_up(map[i].start + map[i].size, KMM_PAGE_SIZE), limit);

		if (map[i].type == KMM_MEM_BAD)
			continue;
		if (from > end) {
			status = map_direct(k, start, end);
			if (status != KMM_OK)
				return status;
			start = from;
		}
		end = kmm_max_u64(end, to);
	}
	return map_direct(k, start, end);
}

static enum kmm_status map_vmemmap(struct kmm *k)
{
	struct kmm_memory_stats stats;
	struct span s = { .flags = DIRECT_FLAGS };

	if (k->layout.vmemmap_start == k->layout.vmemmap_end)
		return KMM_OK;
	kmm_memory_stats(k, &stats);
	s.va = k->layout.vmemmap_start;
	s.pa = stats.memmap.v;
	s.size = (uint64_t)stats.memmap_pages * KMM_PAGE_SIZE;
	return map_span(k, s);
}

/* Maps the first `size` bytes of *rest with these flags and takes them off it. */
static enum kmm_status map_part(struct kmm *k, struct span *rest, uint64_t size, uint32_t flags)
{
	struct span part = *rest;

	part.size = kmm_min_u64(kmm_align_up(size, KMM_PAGE_SIZE), rest->size);
	part.flags = flags;
	rest->va += part.size;
	rest->pa += part.size;
	rest->size -= part.size;
	return map_span(k, part);
}

static enum kmm_status map_image(struct kmm *k)
{
	const struct kmm_machine *m = &k->machine;
	uint64_t start = kmm_align_down(m->image_pa, KMM_PAGE_SIZE);
	struct span s = { kmm_align_down(m->image_va, KMM_PAGE_SIZE), start,
			  kmm_align_up(m->image_pa + m->image_size, KMM_PAGE_SIZE) - start, 0 };
	enum kmm_status status;

	if (!m->image_size || !kmm_pt_fmt(k)->canonical)
		return KMM_OK;
	if (!m->image_text)
		return map_part(k, &s, s.size, DIRECT_FLAGS | KMM_PTE_EXEC);
	status = map_part(k, &s, m->image_pa - start + m->image_text, (DIRECT_FLAGS & ~KMM_PTE_WRITE) | KMM_PTE_EXEC);
	if (status == KMM_OK)
		status = map_part(k, &s, m->image_rodata, DIRECT_FLAGS & ~KMM_PTE_WRITE);
	return status == KMM_OK ? map_part(k, &s, s.size, DIRECT_FLAGS) : status;
}

static enum kmm_status make_tables(struct kmm *k, uint64_t start, uint64_t end, unsigned bottom)
{
	if (start == end)
		return KMM_OK;
	return kmm_pt_make_range(k, &k->pt->kernel, (kmm_word)start, (kmm_word)(end - 1), bottom, KMM_GFP_KERNEL);
}

static enum kmm_status make_window_tables(struct kmm *k)
{
	const struct kmm_layout *l = &k->layout;
	enum kmm_status status = make_tables(k, l->fixmap_start, l->fixmap_end, 0);

	if (status == KMM_OK)
		status = make_tables(k, l->kmap_local_start,
				     l->kmap_local_start + (uint64_t)l->kmap_local_slots * KMM_PAGE_SIZE, 0);
	if (status == KMM_OK)
		status = make_tables(k, l->kmap_start, l->kmap_start + (uint64_t)l->kmap_slots * KMM_PAGE_SIZE, 0);
	return status;
}

/* ---- start ---- */

static void init_state(struct kmm *k, struct kmm_pt *pt)
{
	const struct kmm_format *fmt = kmm_pt_fmt(k);
	unsigned root = kmm_pt_root_level(k);

	kmm_list_init(&pt->spaces);
	pt->user_fixed = (uint8_t)(kmm_pt_root_is_fixed(k) ? root - 1 : root);
	if (fmt->canonical)
		pt->kernel_first = kmm_pt_nr_entries(k, root) / 2;
	else
		pt->kernel_first = (unsigned)(k->machine.user_end >> fmt->level[root].shift);
	KMM_ASSERT(k, pt->kernel_first > 0 && pt->kernel_first < kmm_pt_nr_entries(k, root));
	pt->kernel.is_kernel = true;
	kmm_list_init(&pt->kernel.link);
}

static enum kmm_status build_kernel(struct kmm *k)
{
	enum kmm_status status = KMM_OK;

	if (kmm_pt_root_is_fixed(k))
		status = make_tables(k, k->machine.user_end, (uint64_t)1 << kmm_pt_fmt(k)->va_bits, k->pt->user_fixed);
	if (status == KMM_OK)
		status = map_lowmem(k);
	if (status == KMM_OK)
		status = map_vmemmap(k);
	if (status == KMM_OK)
		status = map_image(k);
	if (status == KMM_OK)
		status = make_window_tables(k);
	return status;
}

_Static_assert(sizeof(struct kmm_pt) <= KMM_PAGE_SIZE, "the state is one page");

enum kmm_status kmm_pt_init(struct kmm *k)
{
	struct kmm_pt *pt;
	struct kmm_page *root;
	enum kmm_status status;

	KMM_ASSERT(k, k->phys && !k->pt);
	k->fmt = kmm_format_get(k->machine.format);
	if (k->fmt->id != kmm_pt_fmt(k)->id)
		return KMM_ENOTSUP; /* this build is pinned to another format */
	pt = kmm_phys_alloc_state(k, sizeof *pt, "page table state");
	if (!pt)
		return KMM_ENOMEM;
	init_state(k, pt);
	root = kmm_pt_alloc_table(k, &pt->kernel, KMM_GFP_KERNEL);
	if (!root) {
		kmm_phys_free(k, kmm_virt_to_page(k, pt), 0);
		return KMM_ENOMEM;
	}
	pt->kernel.root = kmm_pfn_to_paddr(kmm_page_to_pfn(k, root));
	pt->kernel.nr_tables = kmm_pt_root_is_fixed(k) ? 0 : 1;
	k->pt = pt;
	status = build_kernel(k);
	if (status != KMM_OK) {
		kmm_pt_free_kernel(k, pt->kernel.root);
		kmm_phys_free(k, kmm_virt_to_page(k, pt), 0);
		k->pt = NULL;
	}
	return status;
}

struct kmm_space *kmm_pt_kernel(struct kmm *k)
{
	return &k->pt->kernel;
}

struct kmm_paddr kmm_kernel_root(const struct kmm *k)
{
	return k->pt->kernel.root;
}

kmm_word kmm_pt_kernel_tables(const struct kmm *k)
{
	return k->pt->kernel.nr_tables;
}
