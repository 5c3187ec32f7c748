/* SPDX-License-Identifier: MIT */
/*
 * Memory that comes and goes, by sections of 128 MiB.
 *
 * Where that can happen is said at the start: zones then have entries of tracts for it, and descriptors a place. With a
 * flat array all descriptors are set aside by boot: a section that went keeps them, as holes. Where the port shows
 * descriptors in a row of their own (hot.apart), those of added sections are in frames of the machine or of the
 * section itself, and go with it.
 *
 *   add     nothing can fail any more when the first frame becomes free: descriptors and page tables come first
 *   remove  isolate (nobody takes frames there), move pages away, claim all (all is ours), undo what add did
 *
 * The boot map is never changed: it says what was there at the start, and is asked only about sections without
 * descriptors. What may go is what is not needed: boot's reservations, descriptors and unmovable pages stay, and keep
 * their section. Two changes at once: the second one is told to come again.
 */
#include "base/printf.h"
#include "phys/geometry.h"
#include "phys/isolate.h"
#include "phys/phys.h"

#define CLAIM_ROUNDS 4u /* other CPUs give back what they cache when they next call */

/* A change: sections of one zone. */
struct change {
	struct kmm_zone *z;
	kmm_word first, nr;  /* frames */
	bool on_memory;
};

/* ---- where ---- */

/* Movable that was cut from low memory does not get high memory: a zone is one or the other. */
bool kmm_hot_clip(const struct kmm *k, struct kmm_zone *z, kmm_word *from, kmm_word *to)
{
	bool wide = kmm_geometry(k->machine.format)->wide;
	unsigned low = z->id == KMM_ZONE_MOVABLE ? KMM_ZONE_NORMAL : z->id - 1u;
	kmm_word start = 0, end = kmm_zone_class_end(k, z->id);

	if (!z->exists)
		return false;
	if (z->id == KMM_ZONE_MOVABLE && !wide) {
		if (z->present && !(z->bits & KMM_PG_HIGH))
			return false;
		z->bits |= KMM_PG_HIGH;
	}
	if (z->id != KMM_ZONE_DMA && !(wide && z->id == KMM_ZONE_MOVABLE))
		start = kmm_zone_class_end(k, (enum kmm_zone_id)low);
	*from = *from > start ? *from : start;
	*to = *to < end ? *to : end;
	return *from < *to;
}

static const struct kmm_boot_hot *find_range(const struct kmm_bootmem *b, kmm_word first, kmm_word end)
{
	for (unsigned i = 0; i < b->nr_hot; i++)
		if (first >= b->hot[i].start && end <= b->hot[i].end)
			return &b->hot[i];
	return NULL;
}

static struct kmm_zone *kernel_zone(const struct kmm *k, unsigned node, kmm_word pfn)
{
	unsigned id = KMM_ZONE_DMA;

	while (pfn >= kmm_zone_class_end(k, (enum kmm_zone_id)id))
		id++;
	return &k->phys->node[node].zone[id];
}

static bool spans(const struct kmm_zone *z, const struct change *c)
{
	return z->spanned && c->first < z->start + z->spanned && z->start < c->first + c->nr;
}

static struct kmm_zone *choose_zone(const struct kmm *k, unsigned node, const struct change *c, enum kmm_hot_zone wish)
{
	struct kmm_zone *kernel = kernel_zone(k, node, c->first);
	struct kmm_zone *movable = &k->phys->node[node].zone[KMM_ZONE_MOVABLE];

	if (wish != KMM_HOT_DEFAULT)
		return wish == KMM_HOT_KERNEL ? kernel : movable;
	if (spans(kernel, c) != spans(movable, c))
		return spans(kernel, c) ? kernel : movable;
	return k->machine.movable_node ? movable : kernel;
}

static enum kmm_status read_range(const struct kmm *k, struct kmm_paddr start, uint64_t size, struct change *c, unsigned *node)
{
	uint64_t section = (uint64_t)1 << KMM_SECTION_SHIFT, end;
	const struct kmm_boot_hot *range;

	if (size == 0 || ((start.v | size) & (section - 1)) || kmm_add_overflows(start.v, size, &end))
		return KMM_EINVAL;
	if (end >> KMM_PAGE_SHIFT > k->phys->max_pfn)
		return KMM_ERANGE;
	c->first = (kmm_word)(start.v >> KMM_PAGE_SHIFT);
	c->nr = (kmm_word)(size >> KMM_PAGE_SHIFT);
	range = find_range(&k->phys->boot, c->first, c->first + c->nr);
	if (!range)
		return KMM_ERANGE;
	*node = range->node;
	return KMM_OK;
}

/* ---- what is there ---- */

static bool is_ram(const struct kmm_page *page)
{
	return kmm_page_kind(page) != KMM_KIND_HOLE && !(page->flags & KMM_PG_FIRMWARE);
}

/* Frames of RAM in a section. */
static kmm_word count_ram(const struct kmm_phys *p, kmm_word section)
{
	kmm_word pfn = section * KMM_SECTION_PAGES, end = pfn + KMM_SECTION_PAGES, nr = 0;
	bool live = kmm_section_is_live(p, section);

	while (pfn < end && pfn < p->max_pfn) {
		struct kmm_run run = { .end = pfn + 1 };

		if (live)
			run.ram = is_ram(kmm_page_at(p, pfn));
		else
			kmm_boot_run(&p->boot, pfn, &run);
		run.end = run.end < end ? run.end : end;
		nr += run.ram ? run.end - pfn : 0;
		pfn = run.end;
	}
	return nr;
}

bool kmm_section_present(const struct kmm *k, struct kmm_paddr at)
{
	uint64_t section = at.v >> KMM_SECTION_SHIFT;

	return section < k->phys->nr_sections && count_ram(k->phys, (kmm_word)section) != 0;
}

/* ---- descriptors ---- */

size_t kmm_hot_table_bytes(const struct kmm_phys *p)
{
	return (size_t)(kmm_section_of(p->max_pfn - 1) + 1 - kmm_section_of(p->boot_end)) * sizeof(kmm_word);
}

static kmm_word descs_per_section(const struct kmm_phys *p)
{
	return KMM_SECTION_PAGES / KMM_PAGE_SIZE * kmm_stride(p);
}

static bool has_own_descs(const struct kmm_phys *p, kmm_word first)
{
	return p->hot.apart && first >= p->boot_end;
}

static kmm_word *descs_of(const struct kmm_phys *p, kmm_word first)
{
	return &p->hot.descs[kmm_section_of(first) - kmm_section_of(p->boot_end)];
}

static struct kmm_hot_section section_at(const struct kmm_phys *p, kmm_word first)
{
	struct kmm_hot_section s = { kmm_pfn(first), (uint64_t)first * kmm_stride(p), { 0 }, 0 };

	if (has_own_descs(p, first)) {
		s.descs = kmm_pfn(*descs_of(p, first));
		s.nr_descs = descs_per_section(p);
	}
	return s;
}

static bool lies_in(kmm_word pfn, kmm_word first)
{
	return pfn - first < KMM_SECTION_PAGES;
}

/* Frames for the descriptors of a section, shown by the port. */
static enum kmm_status give_descs(struct kmm *k, const struct change *c, kmm_word first)
{
	struct kmm_phys *p = k->phys;
	unsigned order = kmm_log2_u32((uint32_t)descs_per_section(p));
	kmm_word at = first;

	if (!has_own_descs(p, first))
		return KMM_OK;
	if (!c->on_memory) {
		struct kmm_page *page = kmm_phys_alloc(k, KMM_GFP_KERNEL | KMM_GFP_NOWARN, order, KMM_KIND_KERNEL, "descriptors");

		if (!page)
			return KMM_ENOMEM;
		at = kmm_pfn_of(p, page);
	}
	if (k->port->descriptors_changed(k->port, section_at(p, first).descs_offset, kmm_pfn(at), descs_per_section(p))) {
		if (!c->on_memory)
			kmm_phys_free(k, kmm_page_at(p, at), order);
		return KMM_ENOMEM;
	}
	*descs_of(p, first) = at;
	return KMM_OK;
}

static void take_descs(struct kmm *k, kmm_word first)
{
	struct kmm_hot_section s = section_at(k->phys, first);

	if (!s.nr_descs)
		return;
	k->port->descriptors_changed(k->port, s.descs_offset, kmm_pfn(0), s.nr_descs);
	*descs_of(k->phys, first) = 0;
	if (!lies_in(s.descs.v, first))
		kmm_phys_free(k, kmm_page_at(k->phys, s.descs.v), kmm_log2_u32((uint32_t)s.nr_descs));
}

/* Frames at the section's start that hold its own descriptors. */
static kmm_word own_descs(const struct kmm_phys *p, kmm_word first)
{
	struct kmm_hot_section s = section_at(p, first);

	return s.nr_descs && lies_in(s.descs.v, first) ? s.nr_descs : 0;
}

/* ---- adding ---- */

static enum kmm_status prepare_section(struct kmm *k, const struct change *c, kmm_word first)
{
	enum kmm_status status;
	struct kmm_hot_section s;

	if (kmm_inject(k, "hot section"))
		return KMM_ENOMEM;
	status = give_descs(k, c, first);
	if (status != KMM_OK || !k->phys->hot.map)
		return status;
	s = section_at(k->phys, first);
	status = k->phys->hot.map(k, &s);
	if (status != KMM_OK)
		take_descs(k, first);
	return status;
}

static void unprepare_section(struct kmm *k, kmm_word first)
{
	struct kmm_hot_section s = section_at(k->phys, first);

	if (k->phys->hot.unmap)
		k->phys->hot.unmap(k, &s);
	take_descs(k, first);
}

static enum kmm_status prepare(struct kmm *k, const struct change *c)
{
	enum kmm_status status = KMM_OK;
	kmm_word pfn = c->first;

	for (; pfn < c->first + c->nr; pfn += KMM_SECTION_PAGES) {
		status = prepare_section(k, c, pfn);
		if (status != KMM_OK)
			break;
	}
	while (status != KMM_OK && pfn > c->first) {
		pfn -= KMM_SECTION_PAGES;
		unprepare_section(k, pfn);
	}
	return status;
}

/* Whose count of holes the section is in while it is not there. */
static struct kmm_zone *hole_owner(struct kmm_phys *p, kmm_word first)
{
	kmm_word end;

	return kmm_zone_run(p, first, &end);
}

static void add_holes(struct kmm *k, struct kmm_zone *z, bool more)
{
	unsigned long irq;

	if (!z)
		return;
	irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);
	z->boot_kinds[KMM_KIND_HOLE] += more ? KMM_SECTION_PAGES : -(kmm_word)KMM_SECTION_PAGES;
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}

static void widen_span(struct kmm_zone *z, kmm_word first, kmm_word end)
{
	kmm_word last = z->start + z->spanned;

	last = z->spanned && last > end ? last : end;
	z->start = z->spanned && z->start < first ? z->start : first;
	z->spanned = last - z->start;
}

/* Cannot fail. */
static void make_section(struct kmm *k, struct kmm_zone *z, kmm_word first)
{
	struct kmm_phys *p = k->phys;
	kmm_word end = first + KMM_SECTION_PAGES, descs = own_descs(p, first);
	unsigned long irq;

	KMM_ASSERT(k, first % KMM_SECTION_PAGES == 0 && kmm_tract_of(z, end - 1) < z->nr_tracts && descs < KMM_SECTION_PAGES);
	add_holes(k, hole_owner(p, first), false);
	if (!kmm_section_is_live(p, kmm_section_of(first)))
		kmm_section_clear_elsewhere(p, z, first, end);
	kmm_descs_label(k, first, first + descs, z->bits | KMM_KIND_MEMMAP);
	kmm_descs_label(k, first + descs, end, z->bits);
	irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);
	kmm_tracts_clear(z, first, end);
	kmm_tracts_fill(z, first + descs, end);
	kmm_tracts_settle(z, first, end);
	widen_span(z, first, end);
	z->present += KMM_SECTION_PAGES;
	z->managed += KMM_SECTION_PAGES - descs;
	z->boot_kinds[KMM_KIND_MEMMAP] += descs;
	kmm_section_set_live(p, kmm_section_of(first), true);
	kmm_zone_set_free(z, z->free + KMM_SECTION_PAGES - descs);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}

/* 64-bit: the direct map reaches over all memory. */
static void extend_lowmem(struct kmm *k, kmm_word end)
{
	uint64_t bytes = (uint64_t)end << KMM_PAGE_SHIFT;

	if (!kmm_geometry(k->machine.format)->wide || bytes <= k->layout.lowmem_end)
		return;
	k->layout.lowmem_end = bytes;
	kmm_set_straight(k);
}

static enum kmm_status check_add(const struct kmm *k, const struct kmm_hot_memory *m, struct change *c)
{
	unsigned node = 0;
	enum kmm_status status = read_range(k, m->start, m->size, c, &node);
	kmm_word from = c->first, to = c->first + c->nr;

	if (status != KMM_OK)
		return status;
	if ((unsigned)m->zone > KMM_HOT_MOVABLE || (m->node != KMM_NODE_ANY && m->node != node))
		return KMM_EINVAL;
	for (kmm_word pfn = c->first; pfn < to; pfn += KMM_SECTION_PAGES) {
		if (count_ram(k->phys, kmm_section_of(pfn)))
			return KMM_EEXIST;
		if (m->memmap_on_memory && !has_own_descs(k->phys, pfn))
			return KMM_ENOTSUP;
	}
	c->on_memory = m->memmap_on_memory;
	c->z = choose_zone(k, node, c, m->zone);
	if (!kmm_hot_clip(k, c->z, &from, &to) || from != c->first || to != c->first + c->nr || !c->z->may_grow)
		return KMM_EINVAL;
	return KMM_OK;
}

static enum kmm_status add(struct kmm *k, const struct kmm_hot_memory *m)
{
	struct change c = { 0 };
	enum kmm_status status = check_add(k, m, &c);

	if (status == KMM_OK)
		status = prepare(k, &c);
	if (status != KMM_OK)
		return status;
	extend_lowmem(k, c.first + c.nr);
	for (kmm_word pfn = c.first; pfn < c.first + c.nr; pfn += KMM_SECTION_PAGES)
		make_section(k, c.z, pfn);
	k->phys->hot.added += c.nr;
	kmm_zones_refresh(k);
	return KMM_OK;
}

static bool begin(struct kmm *k)
{
	return atomic_exchange_explicit(&k->phys->hot.busy, 1, memory_order_acquire) == 0;
}

static void finish(struct kmm *k)
{
	atomic_store_explicit(&k->phys->hot.busy, 0, memory_order_release);
}

enum kmm_status kmm_hot_add(struct kmm *k, const struct kmm_hot_memory *memory)
{
	enum kmm_status status;

	if (!begin(k))
		return KMM_EAGAIN;
	status = add(k, memory);
	finish(k);
	return status;
}

/* ---- removing ---- */

/* The frames that must become ours: all but descriptors that go with their section. */
static struct kmm_pfn claim_start(const struct kmm *k, kmm_word first)
{
	return kmm_pfn(first + own_descs(k->phys, first));
}

static void release(struct kmm *k, const struct change *c, kmm_word end)
{
	for (kmm_word pfn = c->first; pfn < end; pfn += KMM_SECTION_PAGES)
		for (kmm_word f = claim_start(k, pfn).v; f < pfn + KMM_SECTION_PAGES; f++)
			kmm_phys_free(k, kmm_page_at(k->phys, f), 0);
}

/* All frames or none. */
static enum kmm_status claim(struct kmm *k, const struct change *c, struct kmm_pfn *busy)
{
	for (kmm_word pfn = c->first; pfn < c->first + c->nr; pfn += KMM_SECTION_PAGES) {
		struct kmm_pfn from = claim_start(k, pfn);
		kmm_word nr = pfn + KMM_SECTION_PAGES - from.v;

		if (kmm_phys_claim_range(k, from, nr, KMM_KIND_KERNEL, busy) != KMM_OK) {
			release(k, c, pfn);
			return KMM_EBUSY;
		}
	}
	return KMM_OK;
}

static enum kmm_status empty_and_claim(struct kmm *k, const struct change *c, struct kmm_pfn *busy)
{
	enum kmm_status status = claim(k, c, busy);

	for (unsigned i = 0; status != KMM_OK && i < CLAIM_ROUNDS; i++) {
		if (k->phys->migrate)
			(void)!k->phys->migrate(k, kmm_pfn(c->first), c->nr); /* the claim will tell */
		kmm_pcp_serve(k);
		status = claim(k, c, busy);
	}
	return status;
}

/* Bounds of what RAM the zone has left. */
static void narrow_span(struct kmm *k, struct kmm_zone *z)
{
	struct kmm_phys *p = k->phys;
	kmm_word first = z->start, last = z->start + z->spanned;

	if (z->present == 0)
		first = last = z->start;
	while (first < last && !(kmm_zone_of_pfn(p, first) == z && kmm_pfn_is_ram(k, kmm_pfn(first))))
		first++;
	while (first < last && !(kmm_zone_of_pfn(p, last - 1) == z && kmm_pfn_is_ram(k, kmm_pfn(last - 1))))
		last--;
	z->start = first;
	z->spanned = last - first;
}

/* All its frames are claimed, and out of isolation: nobody else knows them. */
static void unmake_section(struct kmm *k, struct kmm_zone *z, kmm_word first)
{
	struct kmm_phys *p = k->phys;
	kmm_word descs = own_descs(p, first), nr = KMM_SECTION_PAGES - descs;
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	kmm_pcp_count(kmm_this_pcp(k, z, KMM_MOBILITY_MOVABLE), KMM_KIND_KERNEL, -nr);
	z->managed -= nr;
	z->present -= KMM_SECTION_PAGES;
	z->boot_kinds[KMM_KIND_MEMMAP] -= descs;
	kmm_descs_label(k, first, first + KMM_SECTION_PAGES, z->bits | KMM_KIND_HOLE);
	if (has_own_descs(p, first))
		kmm_section_set_live(p, kmm_section_of(first), false);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
	add_holes(k, hole_owner(p, first), true);
	unprepare_section(k, first);
}

/* Those, and ranges that others have isolated, are not ours to touch. */
static bool has_contiguous_area(const struct change *c)
{
	for (kmm_word pfn = c->first; pfn < c->first + c->nr; pfn += KMM_TRACT_PAGES)
		if (kmm_tract_mobility(&c->z->tract[kmm_tract_of(c->z, pfn)]) >= KMM_MOBILITY_CMA)
			return true;
	return false;
}

static enum kmm_status check_remove(struct kmm *k, struct kmm_paddr start, uint64_t size, struct change *c)
{
	unsigned node;
	enum kmm_status status = read_range(k, start, size, c, &node);

	if (status != KMM_OK)
		return status;
	for (kmm_word pfn = c->first; pfn < c->first + c->nr; pfn += KMM_SECTION_PAGES)
		if (!kmm_section_need(k, pfn) || count_ram(k->phys, kmm_section_of(pfn)) != KMM_SECTION_PAGES)
			return KMM_ENOENT;
	c->z = kmm_zone_of_pfn(k->phys, c->first);
	if (!kmm_zone_owns(k->phys, c->z, c->first, c->nr))
		return KMM_EINVAL;
	return has_contiguous_area(c) ? KMM_EAGAIN : KMM_OK;
}

/* The block that a frame in use is part of. */
static void name_busy(struct kmm *k, struct kmm_pfn pfn, struct kmm_page_info *out)
{
	for (unsigned order = 0; order < KMM_NR_ORDERS; order++) {
		kmm_word head = pfn.v & ~(((kmm_word)1 << order) - 1);

		kmm_page_info(k, kmm_page_at(k->phys, head), out);
		if (out->kind > KMM_KIND_HOLE && pfn.v - head < (kmm_word)1 << out->order)
			return;
	}
	kmm_page_info(k, kmm_page_at(k->phys, pfn.v), out);
}

static enum kmm_status refuse(struct kmm *k, const struct change *c, struct kmm_pfn pfn, struct kmm_page_info *busy)
{
	struct kmm_page_info info;

	name_busy(k, pfn, &info);
	kmm_warn(k, "memory of pfn %llx to %llx stays: pfn %llx is %s", (unsigned long long)c->first,
		 (unsigned long long)(c->first + c->nr - 1), (unsigned long long)info.pfn.v, kmm_kind_name(info.kind));
	if (busy)
		*busy = info;
	return KMM_EBUSY;
}

static void unmake(struct kmm *k, const struct change *c)
{
	for (kmm_word pfn = c->first; pfn < c->first + c->nr; pfn += KMM_SECTION_PAGES)
		unmake_section(k, c->z, pfn);
	narrow_span(k, c->z);
	k->phys->hot.removed += c->nr;
	kmm_zones_refresh(k);
}

static enum kmm_status remove_memory(struct kmm *k, struct kmm_paddr start, uint64_t size, struct kmm_page_info *busy)
{
	struct change c = { 0 };
	struct kmm_pfn in_way = { 0 };
	enum kmm_status status = check_remove(k, start, size, &c);

	if (status != KMM_OK)
		return status;
	if (kmm_phys_isolate_range(k, kmm_pfn(c.first), c.nr) != KMM_OK)
		return KMM_EAGAIN; /* compaction, or an area that is being allocated */
	status = empty_and_claim(k, &c, &in_way);
	kmm_phys_unisolate_range(k, kmm_pfn(c.first), c.nr, KMM_MOBILITY_MOVABLE);
	if (status != KMM_OK)
		return refuse(k, &c, in_way, busy);
	unmake(k, &c);
	return KMM_OK;
}

enum kmm_status kmm_hot_remove(struct kmm *k, struct kmm_paddr start, uint64_t size, struct kmm_page_info *busy)
{
	enum kmm_status status;

	if (!begin(k))
		return KMM_EAGAIN;
	status = remove_memory(k, start, size, busy);
	finish(k);
	return status;
}

/* ---- those who take part ---- */

void kmm_hot_register_map(struct kmm *k, enum kmm_status (*map)(struct kmm *k, const struct kmm_hot_section *section),
			  void (*unmap)(struct kmm *k, const struct kmm_hot_section *section))
{
	k->phys->hot.map = map;
	k->phys->hot.unmap = unmap;
}
