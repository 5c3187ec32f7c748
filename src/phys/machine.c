/* SPDX-License-Identifier: MIT */
/*
 * Machine descriptions: defaults, checks, names, and the window sizes of a Debian kernel.
 */
#include "kmm/machine.h"

#include "base/context.h"
#include "phys/geometry.h"

#define SPLIT_1G 0x40000000u
#define SPLIT_2G 0x80000000u
#define SPLIT_3G 0xc0000000u

static enum kmm_status refuse(const char **why, const char *sentence)
{
	if (why)
		*why = sentence;
	return KMM_EINVAL;
}

static void default_u32(uint32_t *field, uint32_t value)
{
	if (*field == 0)
		*field = value;
}

static void default_u64(uint64_t *field, uint64_t value)
{
	if (*field == 0)
		*field = value;
}

static void window_defaults(struct kmm_windows *w, unsigned nr_cpus)
{
	default_u32(&w->top_va, 0xfffff000u);
	default_u32(&w->kmap_local_slots, 16);
	default_u32(&w->fixmap_cpus, nr_cpus);
	default_u32(&w->fixmap_pages, 8);
	default_u32(&w->guard_pages, 2);
	default_u64(&w->vmalloc_reserve, 128u << 20);
	default_u64(&w->vmalloc_offset, 8u << 20);
}

static bool is_zero(const uint32_t *v, unsigned nr)
{
	while (nr--)
		if (v[nr])
			return false;
	return true;
}

/* The ratios have a default as a whole: a caller that wants no reserve sets one of them at least. */
static void policy_defaults(struct kmm_machine *m)
{
	default_u32(&m->watermark_scale_factor, 10);
	if (is_zero(m->lowmem_reserve_ratio, KMM_NR_ZONES)) {
		m->lowmem_reserve_ratio[KMM_ZONE_DMA] = 256;
		m->lowmem_reserve_ratio[KMM_ZONE_DMA32] = 256;
		m->lowmem_reserve_ratio[KMM_ZONE_NORMAL] = 32;
	}
}

/* As many as anything mentions. */
static void node_defaults(struct kmm_machine *m)
{
	unsigned most = 0;

	for (unsigned i = 0; i < m->nr_node_map; i++)
		most = m->node_map[i].node > most ? m->node_map[i].node : most;
	for (unsigned i = 0; i < KMM_MAX_CPUS; i++)
		most = m->cpu_node[i] > most ? m->cpu_node[i] : most;
	if (m->nr_nodes == 0)
		m->nr_nodes = most + 1;
	for (unsigned i = 0; i < KMM_MAX_NODES; i++)
		for (unsigned j = 0; j < KMM_MAX_NODES; j++)
			if (m->distance[i][j] == 0)
				m->distance[i][j] = i == j ? 10 : 20;
}

/* Linux's rules for a SLIT: local is 10, nothing else is as near. */
static enum kmm_status check_nodes(const struct kmm_machine *m, const char **why)
{
	if (m->nr_nodes > KMM_MAX_NODES)
		return refuse(why, "more nodes than KMM_MAX_NODES");
	for (unsigned i = 0; i < m->nr_node_map; i++)
		if (m->node_map[i].node >= m->nr_nodes)
			return refuse(why, "a range belongs to a node that the machine does not have");
	for (unsigned i = 0; i < m->nr_cpus; i++)
		if (m->cpu_node[i] >= m->nr_nodes)
			return refuse(why, "a CPU belongs to a node that the machine does not have");
	for (unsigned i = 0; i < m->nr_nodes; i++)
		for (unsigned j = 0; j < m->nr_nodes; j++)
			if (i == j ? m->distance[i][j] != 10 : m->distance[i][j] <= 10)
				return refuse(why, "the distance of a node to itself is 10, to others more");
	return KMM_OK;
}

static enum kmm_status check_windows(const struct kmm_machine *m, const char **why)
{
	const struct kmm_windows *w = &m->windows;

	if (w->top_va % KMM_PAGE_SIZE)
		return refuse(why, "the top of the windows is not page aligned");
	if (w->vmalloc_reserve % KMM_PAGE_SIZE || w->vmalloc_offset % KMM_PAGE_SIZE)
		return refuse(why, "the vmalloc reserve and offset must be whole pages");
	if (w->early_ioremap_pages & (w->early_ioremap_pages - 1))
		return refuse(why, "the number of early ioremap slots is not a power of two");
	if (w->fixmap_cpus < m->nr_cpus)
		return refuse(why, "the fixmap has room for fewer CPUs than the machine has");
	if (w->fixmap_cpus > 4096 || w->kmap_local_slots > 256 || w->fixmap_pages > 65536 ||
	    w->early_ioremap_pages > 65536 || w->late_fixmap_pages > 65536 || w->cpu_entry_pages > 256 ||
	    w->guard_pages > 65536)
		return refuse(why, "a window is larger than any machine needs");
	return KMM_OK;
}

enum kmm_status kmm_machine_defaults(struct kmm_machine *m, const char **why)
{
	const struct kmm_geometry *g = kmm_geometry(m->format);

	if (!g)
		return refuse(why, "the format is unknown");
	default_u64(&m->user_end, g->wide ? g->lower_half_end : SPLIT_3G);
	if (m->phys_bits == 0)
		m->phys_bits = g->default_phys_bits;
	if (m->nr_cpus == 0)
		m->nr_cpus = 1;
	window_defaults(&m->windows, m->nr_cpus);
	policy_defaults(m);
	if (m->nr_node_map && !m->node_map)
		return refuse(why, "a list of ranges has entries but no address");
	node_defaults(m);

	if (g->wide && m->user_end != g->lower_half_end)
		return refuse(why, "a 64-bit machine's user addresses end with the lower half");
	if (!g->wide && m->user_end != SPLIT_1G && m->user_end != SPLIT_2G && m->user_end != SPLIT_3G)
		return refuse(why, "the split is not 1, 2 or 3 GiB of user addresses");
	if (m->phys_bits < 24 || m->phys_bits > g->max_phys_bits)
		return refuse(why, "the format cannot hold that physical address width");
	if (m->nr_cpus > KMM_MAX_CPUS)
		return refuse(why, "more CPUs than KMM_MAX_CPUS");
	if (m->movable_percent > 100)
		return refuse(why, "the movable share is more than 100 percent");
	if ((m->nr_map && !m->map) || (m->nr_reserve && !m->reserve))
		return refuse(why, "a list of ranges has entries but no address");
	if (check_nodes(m, why))
		return KMM_EINVAL;
	return check_windows(m, why);
}

/* Counted in a Debian 6.1.176 kernel: FIXADDR_START ffdb8000 leaves 583 permanent slots, of which
 * 32 * 16 are kmap_local's; the early ioremap slots start at slot 1024, and one slot follows them. */
struct kmm_windows kmm_windows_linux_6_1(void)
{
	struct kmm_windows w = {
		.top_va = 0xfffff000u,
		.kmap_local_slots = 16,
		.fixmap_cpus = 32,
		.fixmap_pages = 71,
		.early_ioremap_pages = 512,
		.late_fixmap_pages = 1,
		.cpu_entry_pages = 43,
		.ldt_window = true,
		.guard_pages = 2,
		.vmalloc_reserve = 128u << 20,
		.vmalloc_offset = 8u << 20,
	};

	return w;
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

enum kmm_format_id kmm_format_by_name(const char *name)
{
	for (unsigned i = 0; i < KMM_NR_FORMATS; i++)
		if (same(name, kmm_geometry((enum kmm_format_id)i)->name))
			return (enum kmm_format_id)i;
	return KMM_NR_FORMATS;
}

const char *kmm_format_name(enum kmm_format_id format)
{
	const struct kmm_geometry *g = kmm_geometry(format);

	return g ? g->name : "?";
}
