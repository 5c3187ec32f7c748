/* SPDX-License-Identifier: MIT */
/*
 * What page owner knows, in words: one frame, and all of them in the text of Linux's page_owner file, which its
 * page_owner_sort reads. Masks are printed with Linux's bit values and names. In the place of the task's name stands the
 * core's own name for what the block is for, in the place of the stack the one return address that is kept.
 */
#include "phys/owner.h"
#include "phys/phys.h"

typedef unsigned long long ull;

bool kmm_page_owner_of(struct kmm *k, struct kmm_pfn pfn, struct kmm_page_owner *out)
{
	const struct kmm_page_debug *d = k->page_debug;
	const struct kmm_frame_note *note = d && pfn.v < k->phys->max_pfn ? kmm_note_of(k, pfn.v, false) : NULL;

	if (!note || note->state == KMM_NOTE_NONE || !(d->features & KMM_DEBUG_PAGE_OWNER))
		return false;
	*out = (struct kmm_page_owner){
		.allocated = note->state == KMM_NOTE_ALLOCATED, .moved = note->moved, .order = note->order,
		.gfp = note->gfp, .site = kmm_note_label(d, note->alloc_site),
		.caller = kmm_kva((kmm_word)d->site[note->alloc_site].caller), .id = note->alloc_id,
		.time_ns = note->alloc_ns, .free_site = note->free_site ? kmm_note_label(d, note->free_site) : NULL,
		.free_caller = kmm_kva((kmm_word)d->site[note->free_site].caller), .free_id = note->free_id,
		.free_time_ns = note->free_ns,
	};
	return true;
}

/* ---- Linux's masks: include/linux/gfp_types.h and include/trace/events/mmflags.h of 6.1 ---- */

static const struct {
	kmm_gfp ours;
	uint32_t linux_bits;
	const char *name; /* NULL: only part of the composites */
} gfp_bits[] = {
	{ KMM_GFP_DMA, 0x1, "__GFP_DMA" }, { KMM_GFP_HIGHMEM, 0x2, "__GFP_HIGHMEM" },
	{ KMM_GFP_DMA32, 0x4, "__GFP_DMA32" }, { KMM_GFP_MOVABLE, 0x8, "__GFP_MOVABLE" },
	{ KMM_GFP_RECLAIMABLE, 0x10, "__GFP_RECLAIMABLE" }, { KMM_GFP_HIGH, 0x20, "__GFP_HIGH" },
	{ KMM_GFP_IO, 0x40, "__GFP_IO" }, { KMM_GFP_FS, 0x80, "__GFP_FS" }, { KMM_GFP_ZERO, 0x100, "__GFP_ZERO" },
	{ KMM_GFP_RECLAIM, 0xc00, "__GFP_RECLAIM" }, { KMM_GFP_NOWARN, 0x2000, "__GFP_NOWARN" },
	{ KMM_GFP_NOFAIL, 0x8000, "__GFP_NOFAIL" }, { KMM_GFP_NORETRY, 0x10000, "__GFP_NORETRY" },
	{ KMM_GFP_MEMALLOC, 0x20000, "__GFP_MEMALLOC" }, { KMM_GFP_COMP, 0x40000, "__GFP_COMP" },
	{ KMM_GFP_HARDWALL, 0x100000, "__GFP_HARDWALL" },
};

static const struct {
	uint32_t bits;
	const char *name;
} gfp_composites[] = {
	{ 0x100cca, "GFP_HIGHUSER_MOVABLE" }, { 0x100cc2, "GFP_HIGHUSER" }, { 0x100cc0, "GFP_USER" },
	{ 0xcc0, "GFP_KERNEL" }, { 0xc40, "GFP_NOFS" }, { 0xc00, "GFP_NOIO" },
};

static uint32_t linux_gfp(kmm_gfp gfp)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < sizeof(gfp_bits) / sizeof(gfp_bits[0]); i++)
		bits |= gfp & gfp_bits[i].ours ? gfp_bits[i].linux_bits : 0;
	return bits;
}

static void print_gfp(kmm_gfp gfp, struct kmm_sink *out)
{
	uint32_t bits = linux_gfp(gfp);
	const char *between = "";

	kmm_printf(out, bits ? "0x%x(" : "%x(", bits);
	for (unsigned i = 0; i < sizeof(gfp_composites) / sizeof(gfp_composites[0]); i++) {
		if ((bits & gfp_composites[i].bits) != gfp_composites[i].bits)
			continue;
		kmm_printf(out, "%s", gfp_composites[i].name);
		bits &= ~gfp_composites[i].bits;
		between = "|";
		break;
	}
	for (unsigned i = 0; i < sizeof(gfp_bits) / sizeof(gfp_bits[0]); i++) {
		if (!(bits & gfp_bits[i].linux_bits))
			continue;
		kmm_printf(out, "%s%s", between, gfp_bits[i].name);
		bits &= ~gfp_bits[i].linux_bits;
		between = "|";
	}
	kmm_printf(out, ")");
}

/* ---- the report ---- */

/* What the tract of the frame is for now. */
static enum kmm_mobility block_type(struct kmm *k, kmm_word pfn)
{
	struct kmm_zone *z = kmm_zone_of(k->phys, kmm_page_at(k->phys, pfn));
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);
	enum kmm_mobility mobility = kmm_tract_mobility(&z->tract[kmm_tract_of(z, pfn)]);

	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
	return mobility;
}

static void print_flags(const struct kmm_page *page, struct kmm_sink *out)
{
	static const char *const by_kind[KMM_NR_KINDS] = {
		[KMM_KIND_SLAB] = "slab|", [KMM_KIND_ANON] = "uptodate|swapbacked|", [KMM_KIND_FILE] = "uptodate|",
	};
	const char *kind = by_kind[kmm_page_kind(page)];

	kmm_printf(out, "Flags 0x%x(%s%s%snode=0|zone=%u)", page->flags, kind ? kind : "",
		   page->flags & KMM_PG_DIRTY ? "dirty|" : "", kmm_page_order(page) ? "head|" : "",
		   (unsigned)kmm_page_zone(page));
}

static void print_owner(struct kmm *k, kmm_word pfn, const struct kmm_page_owner *o, struct kmm_sink *out)
{
	kmm_printf(out, "Page allocated via order %u, mask ", o->order);
	print_gfp(o->gfp, out);
	kmm_printf(out, ", pid %u, tgid %u (%s), ts %llu ns, free_ts %llu ns\n", o->id, o->id, o->site, (ull)o->time_ns,
		   (ull)o->free_time_ns);
	kmm_printf(out, "PFN %llu type %s Block %llu type %s ", (ull)pfn, kmm_mobility_name(kmm_gfp_mobility(o->gfp)),
		   (ull)(pfn / KMM_TRACT_PAGES), kmm_mobility_name(block_type(k, pfn)));
	print_flags(kmm_page_at(k->phys, pfn), out);
	kmm_printf(out, "\n 0x%llx\n", (ull)o->caller.v);
	if (o->moved)
		kmm_printf(out, "Page has been migrated, last migrate reason: compaction\n");
	kmm_printf(out, "\n");
}

void kmm_report_page_owner(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_page_owner owner;

	if (!k->page_debug)
		return;
	for (kmm_word pfn = 0; kmm_note_next(k, &pfn); pfn++)
		if (kmm_page_owner_of(k, kmm_pfn(pfn), &owner) && owner.allocated && pfn % (1u << owner.order) == 0)
			print_owner(k, pfn, &owner, out);
}
