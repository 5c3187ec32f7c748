/* SPDX-License-Identifier: MIT */
/*
 * Starting a machine's page frames, and what it says about itself.
 *
 * Order: description checked, layout for its limits, map repaired, layout for its RAM, caller's
 * reservations, then what boot takes for itself: the descriptor array (one run of frames,
 * as high as it fits in memory that has a linear address); tracts and CPU caches of the zones; and, on large
 * machines, the bits that say which sections of it are alive. Nothing of RAM is written but those bits and the
 * sections that zones share.
 */
#include "base/mem.h"
#include "phys/geometry.h"
#include "phys/owner.h"
#include "phys/phys.h"

#define STATE_ALIGN 64

static size_t aligned_size(size_t size)
{
	return (size + STATE_ALIGN - 1) & ~(size_t)(STATE_ALIGN - 1);
}

size_t kmm_state_size(void)
{
	return aligned_size(sizeof(struct kmm)) + aligned_size(sizeof(struct kmm_phys));
}

static enum kmm_status fail(const char **why, enum kmm_status status, const char *sentence)
{
	*why = sentence;
	return status;
}

static enum kmm_status check_arguments(const void *state, const struct kmm_port *port, const char **why)
{
	if (!state || (uintptr_t)state % STATE_ALIGN)
		return fail(why, KMM_EINVAL, "the state block is missing or not aligned to 64 bytes");
	if (!port || !port->irq_save || !port->irq_restore || !port->cpu_id || !port->fatal)
		return fail(why, KMM_EINVAL, "the port lacks a hook that tier a needs");
	if (port->descriptors && !port->descriptors_changed)
		return fail(why, KMM_EINVAL, "the port has a place for descriptors and no hook to fill it");
	return KMM_OK;
}

static enum kmm_status reserve_all(struct kmm_bootmem *b, const struct kmm_machine *m, const char **why)
{
	for (unsigned i = 0; i < m->nr_reserve; i++) {
		const struct kmm_memrange *r = &m->reserve[i];
		uint64_t last, limit = (uint64_t)b->max_pfn << KMM_PAGE_SHIFT;
		struct kmm_boot_range range = { .kind = KMM_KIND_RESERVED, .give_back = true };

		if (r->size == 0 || r->start >= limit)
			continue;
		if (kmm_add_overflows(r->start, r->size - 1, &last) || last >= limit)
			last = limit - 1;
		range.start = (kmm_word)(r->start >> KMM_PAGE_SHIFT);
		range.end = (kmm_word)(last >> KMM_PAGE_SHIFT) + 1;
		if (kmm_boot_reserve(b, range) != KMM_OK)
			return fail(why, KMM_EOVERFLOW, "more reservations than KMM_MAX_RANGES");
	}
	return KMM_OK;
}

static kmm_word pages_for(uint64_t bytes)
{
	return (kmm_word)((bytes + KMM_PAGE_SIZE - 1) >> KMM_PAGE_SHIFT);
}

/* A large array on a 64-bit machine is aligned so that its view in the vmemmap region can use large leaves. */
static kmm_word alignment_of(const struct kmm *k, kmm_word nr)
{
	const struct kmm_geometry *g = kmm_geometry(k->machine.format);
	kmm_word leaf = (kmm_word)1 << (g->table_shift - KMM_PAGE_SHIFT);

	return g->wide && nr >= leaf ? leaf : 1;
}

static enum kmm_status place(struct kmm *k, uint64_t bytes, enum kmm_kind kind, kmm_word *pfn, const char **why)
{
	uint64_t reach = k->port->direct_map_reach;
	kmm_word limit = (kmm_word)((reach && reach < k->layout.lowmem_end ? reach : k->layout.lowmem_end) >> KMM_PAGE_SHIFT);
	kmm_word nr = pages_for(bytes);
	enum kmm_status status = kmm_boot_alloc(&k->phys->boot, nr, alignment_of(k, nr), limit, kind, pfn);

	if (status == KMM_EOVERFLOW)
		return fail(why, status, "more reservations than KMM_MAX_RANGES");
	if (status == KMM_ENOMEM)
		return fail(why, status, "low memory has no free run that is long enough for the descriptors");
	return status;
}

static enum kmm_status place_memmap(struct kmm *k, const char **why)
{
	struct kmm_phys *p = k->phys;
	bool apart = k->port->descriptors && p->max_pfn > p->boot_end;
	uint64_t bytes = kmm_layout_memmap_bytes(k->machine.format, apart ? p->boot_end : p->max_pfn);
	enum kmm_status status = place(k, bytes, KMM_KIND_MEMMAP, &p->memmap_pfn, why);
	kmm_word pfn;

	if (status != KMM_OK)
		return status;
	p->stride = kmm_geometry(k->machine.format)->descriptor_bytes;
	KMM_ASSERT(k, p->stride == kmm_stride(p)); /* a pinned build is for such machines only */
	p->memmap_pages = pages_for(bytes);
	p->memmap = kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_pfn(p->memmap_pfn)));
	p->hot.apart = apart;
	if (!apart)
		return KMM_OK;
	status = place(k, kmm_hot_table_bytes(p), KMM_KIND_RESERVED, &pfn, why);
	if (status != KMM_OK)
		return status;
	p->hot.descs = kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_pfn(pfn)));
	memset(p->hot.descs, 0, kmm_hot_table_bytes(p));
	p->memmap = k->port->descriptors;
	if (k->port->descriptors_changed(k->port, 0, kmm_pfn(p->memmap_pfn), p->memmap_pages))
		return fail(why, KMM_ENOMEM, "the port cannot show the descriptors in one row");
	return KMM_OK;
}

static enum kmm_status place_live_bits(struct kmm *k, const char **why)
{
	struct kmm_phys *p = k->phys;
	enum kmm_status status;
	kmm_word pfn;
	size_t bytes;

	p->nr_sections = (p->max_pfn + KMM_SECTION_PAGES - 1) / KMM_SECTION_PAGES;
	p->live = p->small_live;
	if (p->nr_sections <= KMM_SMALL_SECTIONS)
		return KMM_OK;
	bytes = (size_t)(p->nr_sections + 31) / 32 * sizeof(*p->live);
	status = place(k, bytes, KMM_KIND_RESERVED, &pfn, why);
	if (status != KMM_OK)
		return status;
	p->live = kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_pfn(pfn)));
	memset((void *)p->live, 0, bytes);
	return KMM_OK;
}

static enum kmm_status place_nodes(struct kmm *k, const char **why)
{
	size_t bytes = kmm_nodes_bytes(k);
	enum kmm_status status = KMM_OK;
	void *others = NULL;
	kmm_word pfn;

	if (bytes) {
		status = place(k, bytes, KMM_KIND_RESERVED, &pfn, why);
		if (status != KMM_OK)
			return status;
		others = kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_pfn(pfn)));
		memset(others, 0, bytes);
	}
	kmm_nodes_make(k, others);
	return status;
}

/* One run: bitmaps, which begin a cache line each, entries, caches. Written where sections come to life. */
static enum kmm_status place_tracts(struct kmm *k, const char **why)
{
	struct kmm_phys *p = k->phys;
	uint64_t tracts = 0, words = 0;
	enum kmm_status status;
	kmm_word pfn, *caches;
	struct kmm_tract *tract;
	kmm_bits *bits;

	for (unsigned i = 0; i < p->nr_zones; i++) {
		struct kmm_zone *z = p->zones[i];

		tracts += z->nr_tracts;
		words += (uint64_t)kmm_pcp_words(z) * k->machine.nr_cpus;
	}
	p->metadata_bytes = tracts * (KMM_TRACT_PAGES / 8) + kmm_align_up(tracts * sizeof(*tract), STATE_ALIGN) + words * sizeof(*caches);
	status = place(k, p->metadata_bytes, KMM_KIND_RESERVED, &pfn, why);
	if (status != KMM_OK)
		return status;
	bits = kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_pfn(pfn)));
	tract = (struct kmm_tract *)(void *)(bits + tracts * KMM_TRACT_WORDS);
	caches = (kmm_word *)(void *)((char *)tract + kmm_align_up(tracts * sizeof(*tract), STATE_ALIGN));
	for (unsigned i = 0; i < p->nr_zones; i++) {
		struct kmm_zone *z = p->zones[i];

		z->map = bits;
		z->tract = tract;
		bits += (size_t)z->nr_tracts * KMM_TRACT_WORDS;
		tract += z->nr_tracts;
		for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++, caches += kmm_pcp_words(z))
			kmm_pcp_place(z, cpu, caches);
	}
	return KMM_OK;
}

static void set_ends(struct kmm *k)
{
	struct kmm_phys *p = k->phys;
	const struct kmm_bootmem *b = &p->boot;

	p->max_pfn = p->boot_end = b->max_pfn;
	if (b->nr_hot) {
		p->boot_end = (kmm_word)kmm_align_up(b->max_pfn, KMM_SECTION_PAGES);
		p->max_pfn = b->hot[b->nr_hot - 1].end > p->boot_end ? b->hot[b->nr_hot - 1].end : p->boot_end;
	}
	k->nr_frames = p->max_pfn;
	kmm_set_straight(k);
}

static enum kmm_status read_map(struct kmm *k, const char **why)
{
	enum kmm_status status = kmm_layout_derive(&k->machine, UINT64_MAX, &k->layout, why);
	struct kmm_bootmem *b = &k->phys->boot;

	if (status == KMM_OK)
		status = kmm_boot_init(b, &k->machine, k->layout.phys_limit, why);
	if (status == KMM_OK)
		status = kmm_boot_nodes(b, &k->machine, k->layout.phys_limit, why);
	if (status == KMM_OK)
		status = kmm_layout_derive(&k->machine, (uint64_t)b->max_pfn << KMM_PAGE_SHIFT, &k->layout, why);
	if (status == KMM_OK)
		status = reserve_all(b, &k->machine, why);
	if (status == KMM_OK)
		set_ends(k);
	return status;
}

static enum kmm_status reserve_areas(struct kmm *k, const char **why)
{
	for (unsigned i = 0, area; i < k->machine.nr_cma; i++) {
		enum kmm_status status = kmm_cma_reserve(k, &k->machine.cma[i], &area);

		if (status != KMM_OK)
			return fail(why, status, "a contiguous area is not sensible, or there is no free memory for it");
	}
	k->machine.cma = NULL;
	k->machine.nr_cma = 0;
	return KMM_OK;
}

static enum kmm_status start(struct kmm *k, const char **why)
{
	enum kmm_status status = kmm_machine_defaults(&k->machine, why);

	if (status != KMM_OK)
		return status;
	if (KMM_CONFIG_VA32 && kmm_geometry(k->machine.format)->wide)
		return fail(why, KMM_ENOTSUP, "this build serves only 32-bit machines");
	status = read_map(k, why);
	if (status == KMM_OK)
		status = place_memmap(k, why);
	if (status == KMM_OK)
		status = place_live_bits(k, why);
	if (status == KMM_OK)
		status = place_nodes(k, why);
	if (status != KMM_OK)
		return status;
	kmm_zones_bound(k);
	status = place_tracts(k, why);
	if (status != KMM_OK)
		return status;
	kmm_zones_init(k);
	if (kmm_phys_managed_pages(k) == 0)
		return fail(why, KMM_ENOMEM, "descriptors and reservations leave no memory");
	kmm_sections_init(k);
	return reserve_areas(k, why);
}

enum kmm_status kmm_init_frames(void *state, const struct kmm_machine *machine, struct kmm_port *port,
				struct kmm **out, const char **why)
{
	const char *unused;
	struct kmm *k = state;
	enum kmm_status status;

	why = why ? why : &unused;
	*why = "";
	status = check_arguments(state, port, why);
	if (status != KMM_OK)
		return status;
	memset(state, 0, kmm_state_size());
	k->machine = *machine;
	k->port = port;
	kmm_hooks_init(k);
	k->direct_map = port->direct_map;
	k->phys = (struct kmm_phys *)(void *)((char *)state + aligned_size(sizeof(struct kmm)));
	status = start(k, why);
	if (status != KMM_OK)
		return status;
	k->machine.map = k->machine.reserve = NULL;
	k->machine.node_map = NULL;
	k->machine.nr_map = k->machine.nr_reserve = k->machine.nr_node_map = 0;
	status = kmm_debug_set(k, k->machine.debug);
	if (status != KMM_OK)
		return fail(why, status, "page debugging that this library does not have, or no memory for its table");
	*out = k;
	return KMM_OK;
}

/* ---- what it says ---- */

const struct kmm_machine *kmm_machine_of(const struct kmm *k)
{
	return &k->machine;
}

const struct kmm_layout *kmm_layout_of(const struct kmm *k)
{
	return &k->layout;
}

struct kmm_port *kmm_port_of(const struct kmm *k)
{
	return k->port;
}

unsigned kmm_memory_map(const struct kmm *k, const struct kmm_memrange **out)
{
	*out = k->phys->boot.map;
	return k->phys->boot.nr_map;
}

static kmm_word count_live(const struct kmm_phys *p)
{
	kmm_word nr = 0;

	for (kmm_word i = 0; i < p->nr_sections; i++)
		nr += kmm_section_is_live(p, i);
	return nr;
}

void kmm_memory_stats(const struct kmm *k, struct kmm_memory_stats *out)
{
	const struct kmm_phys *p = k->phys;

	*out = (struct kmm_memory_stats){
		.ram_pages = p->boot.ram_pages + p->hot.added - p->hot.removed, .unreachable_pages = p->boot.unreachable_pages,
		.spanned_pages = p->boot.max_pfn - p->boot.first_ram, .memmap_pages = p->memmap_pages,
		.memmap = kmm_pfn_to_paddr(kmm_pfn(p->memmap_pfn)), .page_size_bytes = kmm_stride(p),
		.sections = p->nr_sections, .sections_live = count_live(p),
		.free_pages = kmm_phys_free_pages(k), .managed_pages = kmm_phys_managed_pages(k),
	};
	out->reserved_pages = out->ram_pages - out->managed_pages;
	for (unsigned i = 0; i < p->nr_zones; i++) {
		const struct kmm_zone *z = p->zones[i];

		if (!(z->bits & KMM_PG_HIGH))
			continue;
		out->total_high += z->managed;
		out->free_high += kmm_zone_free_hint(z);
	}
}

/* ---- giving reservations back ---- */

static bool may_give_back(struct kmm *k, kmm_word pfn)
{
	struct kmm_page *page = kmm_pfn_to_page(k, kmm_pfn(pfn));

	return page && kmm_page_kind(page) == KMM_KIND_RESERVED && (kmm_page_flags(page) & KMM_PG_BOOT);
}

static void give_back(struct kmm *k, kmm_word pfn)
{
	struct kmm_zone *z = kmm_zone_of_pfn(k->phys, pfn);
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	KMM_ASSERT(k, z->boot_kinds[KMM_KIND_RESERVED] && z->managed < z->present);
	z->boot_kinds[KMM_KIND_RESERVED]--;
	z->managed++;
	kmm_page_at(k->phys, pfn)->flags = z->bits;
	kmm_tract_put(k, z, pfn, 0);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
}

enum kmm_status kmm_free_reserved(struct kmm *k, struct kmm_paddr start, uint64_t size)
{
	uint64_t end, first = kmm_align_up(start.v, KMM_PAGE_SIZE) >> KMM_PAGE_SHIFT;

	if (kmm_add_overflows(start.v, size, &end) || (end >> KMM_PAGE_SHIFT) > k->phys->max_pfn)
		return KMM_EINVAL;
	end >>= KMM_PAGE_SHIFT;
	for (uint64_t pfn = first; pfn < end; pfn++)
		if (!may_give_back(k, (kmm_word)pfn))
			return KMM_EINVAL;
	for (uint64_t pfn = first; pfn < end; pfn++)
		give_back(k, (kmm_word)pfn);
	return KMM_OK;
}
