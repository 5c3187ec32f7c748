/* SPDX-License-Identifier: MIT */
/*
 * Allocation contexts: which zone a request starts in, and masks in words.
 */
#include "base/printf.h"
#include "phys/geometry.h"
#include "phys/phys.h"

/* Zone by the four modifiers, on a machine that has all zones. MOVABLE means the Movable zone only together
 * with HIGHMEM; by itself it says that the contents can move. */
static const uint8_t start_zone[16] = {
	[0] = KMM_ZONE_NORMAL,
	[KMM_GFP_DMA] = KMM_ZONE_DMA,
	[KMM_GFP_HIGHMEM] = KMM_ZONE_HIGHMEM,
	[KMM_GFP_HIGHMEM | KMM_GFP_DMA] = KMM_BAD_ZONE,
	[KMM_GFP_DMA32] = KMM_ZONE_DMA32,
	[KMM_GFP_DMA32 | KMM_GFP_DMA] = KMM_BAD_ZONE,
	[KMM_GFP_DMA32 | KMM_GFP_HIGHMEM] = KMM_BAD_ZONE,
	[KMM_GFP_DMA32 | KMM_GFP_HIGHMEM | KMM_GFP_DMA] = KMM_BAD_ZONE,
	[KMM_GFP_MOVABLE] = KMM_ZONE_NORMAL,
	[KMM_GFP_MOVABLE | KMM_GFP_DMA] = KMM_ZONE_DMA,
	[KMM_GFP_MOVABLE | KMM_GFP_HIGHMEM] = KMM_ZONE_MOVABLE,
	[KMM_GFP_MOVABLE | KMM_GFP_HIGHMEM | KMM_GFP_DMA] = KMM_BAD_ZONE,
	[KMM_GFP_MOVABLE | KMM_GFP_DMA32] = KMM_ZONE_DMA32,
	[KMM_GFP_MOVABLE | KMM_GFP_DMA32 | KMM_GFP_DMA] = KMM_BAD_ZONE,
	[KMM_GFP_MOVABLE | KMM_GFP_DMA32 | KMM_GFP_HIGHMEM] = KMM_BAD_ZONE,
	[KMM_GFP_MOVABLE | KMM_GFP_DMA32 | KMM_GFP_HIGHMEM | KMM_GFP_DMA] = KMM_BAD_ZONE,
};

static bool has_movable(const struct kmm_phys *p)
{
	for (unsigned node = 0; node < p->nr_nodes; node++)
		if (p->node[node].zone[KMM_ZONE_MOVABLE].managed)
			return true;
	return false;
}

static uint8_t on_this_machine(const struct kmm_phys *p, bool wide, uint8_t zone)
{
	if (zone == KMM_ZONE_MOVABLE && !has_movable(p))
		zone = KMM_ZONE_HIGHMEM;
	if (zone == KMM_ZONE_HIGHMEM && wide)
		return KMM_ZONE_NORMAL;
	if (zone == KMM_ZONE_DMA32 && !wide)
		return KMM_ZONE_NORMAL;
	return zone;
}

static void set_fast(struct kmm *k, unsigned cpu, unsigned modifiers)
{
	struct kmm_phys *p = k->phys;
	struct kmm_fast *fast = &p->fast[cpu][modifiers];
	unsigned class = p->class_of[modifiers];
	struct kmm_zone *z = class == KMM_BAD_ZONE ? NULL : kmm_best_zone(p, kmm_cpu_node(k, cpu), class);

	/* It may be read meanwhile: any two of the words that change go together, as long as little seems to be free. */
	__atomic_store_n(&fast->gate, (kmm_word)-1, __ATOMIC_RELAXED);
	__atomic_store_n(&fast->pcp, z ? &z->pcp[cpu][kmm_gfp_mobility(modifiers)] : &p->no_pcp, __ATOMIC_RELAXED);
	__atomic_store_n(&fast->free, z ? &z->free : &p->zone[0].free, __ATOMIC_RELAXED);
}

/* Contiguous areas are not for all: the gate holds their size back, so that the common case need not count. */
static kmm_word gate_of(const struct kmm *k, unsigned cpu, unsigned modifiers)
{
	unsigned class = k->phys->class_of[modifiers];
	const struct kmm_zone *z = class == KMM_BAD_ZONE ? NULL : kmm_best_zone(k->phys, kmm_cpu_node(k, cpu), class);

	return z ? z->gate[class] + (modifiers & KMM_GFP_MOVABLE ? 0 : z->cma) : 0;
}

void kmm_gfp_set_gates(struct kmm *k, unsigned cpu, bool open)
{
	struct kmm_phys *p = k->phys;

	for (unsigned i = 0; i < 16; i++)
		__atomic_store_n(&p->fast[cpu][i].gate, open ? gate_of(k, cpu, i) : (kmm_word)-1, __ATOMIC_RELAXED);
}

static void set_pcp_of(struct kmm_phys *p, unsigned cpu)
{
	for (unsigned i = 0; i < KMM_CACHE_NUMBERS; i++)
		p->pcp_of[i][cpu] = &p->no_pcp;
	for (unsigned i = 0; i < p->nr_zones * KMM_PCP_SORTS; i++) {
		struct kmm_zone *z = p->zones[i / KMM_PCP_SORTS];
		unsigned sort = i % KMM_PCP_SORTS;

		p->pcp_of[kmm_cache_number(z->node, z->id, sort)][cpu] = &z->pcp[cpu][sort];
	}
	p->recent[cpu] = (struct kmm_recent){ &p->no_pcp, p->no_pcp.freed, p->no_pcp.kinds, KMM_LIKE_NOTHING };
}

void kmm_gfp_refresh(struct kmm *k)
{
	struct kmm_phys *p = k->phys;
	bool wide = kmm_geometry(k->machine.format)->wide;

	for (unsigned i = 0; i < 16; i++)
		__atomic_store_n(&p->class_of[i], on_this_machine(p, wide, start_zone[i]), __ATOMIC_RELAXED);
	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++) {
		for (unsigned i = 0; i < 16; i++)
			set_fast(k, cpu, i);
		kmm_gfp_set_gates(k, cpu, atomic_load_explicit(&p->wanted[cpu], memory_order_relaxed) == 0);
	}
}

static void set_constants(struct kmm_phys *p, unsigned cpu)
{
	for (unsigned i = 0; i < 16; i++) {
		p->fast[cpu][i].memmap = p->memmap;
		p->fast[cpu][i].sort = (uint32_t)kmm_gfp_mobility(i) << KMM_PG_SORT_SHIFT;
	}
}

void kmm_gfp_init(struct kmm *k)
{
	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++) {
		set_pcp_of(k->phys, cpu);
		set_constants(k->phys, cpu);
	}
	kmm_gfp_refresh(k);
}

enum kmm_status kmm_gfp_zone(const struct kmm *k, kmm_gfp gfp, enum kmm_zone_id *zone)
{
	uint8_t class = k->phys->class_of[gfp & 15];

	if (class == KMM_BAD_ZONE)
		return KMM_EINVAL;
	*zone = (enum kmm_zone_id)class;
	return KMM_OK;
}

/* Composites first, widest first: each takes its bits out of the mask. */
static const struct {
	kmm_gfp bits;
	const char *name;
} gfp_names[] = {
	{ KMM_GFP_HIGHUSER_MOVABLE, "HIGHUSER_MOVABLE" }, { KMM_GFP_HIGHUSER, "HIGHUSER" },
	{ KMM_GFP_USER, "USER" }, { KMM_GFP_KERNEL, "KERNEL" }, { KMM_GFP_NOFS, "NOFS" }, { KMM_GFP_NOIO, "NOIO" },
	{ KMM_GFP_DMA, "DMA" }, { KMM_GFP_HIGHMEM, "HIGHMEM" }, { KMM_GFP_DMA32, "DMA32" },
	{ KMM_GFP_MOVABLE, "MOVABLE" }, { KMM_GFP_IO, "IO" }, { KMM_GFP_FS, "FS" }, { KMM_GFP_HIGH, "HIGH" },
	{ KMM_GFP_MEMALLOC, "MEMALLOC" }, { KMM_GFP_ZERO, "ZERO" }, { KMM_GFP_NOFAIL, "NOFAIL" },
	{ KMM_GFP_NORETRY, "NORETRY" }, { KMM_GFP_NOWARN, "NOWARN" }, { KMM_GFP_COMP, "COMP" },
	{ KMM_GFP_HARDWALL, "HARDWALL" }, { KMM_GFP_RECLAIMABLE, "RECLAIMABLE" },
	{ KMM_GFP_THISNODE, "THISNODE" },
};

size_t kmm_gfp_describe(kmm_gfp gfp, char *buf, size_t size)
{
	struct kmm_buffer_sink out;

	kmm_buffer_sink_init(&out, buf, size);
	if (gfp == KMM_GFP_NOWAIT)
		kmm_printf(&out.sink, "NOWAIT");
	if ((gfp & (KMM_GFP_HIGH | KMM_GFP_RECLAIM)) == KMM_GFP_ATOMIC) {
		kmm_printf(&out.sink, "ATOMIC");
		gfp &= ~(kmm_gfp)KMM_GFP_ATOMIC;
	}
	for (unsigned i = 0; i < sizeof(gfp_names) / sizeof(gfp_names[0]); i++) {
		if ((gfp & gfp_names[i].bits) != gfp_names[i].bits)
			continue;
		kmm_printf(&out.sink, "%s%s", out.len ? "|" : "", gfp_names[i].name);
		gfp &= ~gfp_names[i].bits;
	}
	if (gfp)
		kmm_printf(&out.sink, "%s%x", out.len ? "|" : "", gfp);
	return out.len;
}
