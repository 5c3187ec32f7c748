/* SPDX-License-Identifier: MIT */
/*
 * Nodes: whose zones there are, in which order a request tries them, and the counts of where allocations went.
 *
 * The order from a node is Linux's (6.1): itself first; then always the nearest node not yet taken, where a node with
 * a lower number counts one step farther, one with CPUs one step farther, and among the equally near the one that
 * fewer nodes have as the first of such a group. So the load of overflowing nodes is spread, and small numbers
 * do not draw it all. In each node zones from the highest down, as far as they have frames; nodes before zones,
 * always: Linux's other order, zones before nodes, is gone since 4.14.
 *
 * The lists change when memory comes or goes, under the eyes of requests: those see entries of the old list or of the new
 * one, all of them zones, and one that failed looks again if a change was made meanwhile (hot.lists counts them).
 *
 * Counts. An allocation that ends in a CPU's cache is one from the first zone of the CPU's own list: a hit, local if
 * that zone is of the CPU's node. It costs one increment (pcp->taken, or blocks), from which the reports make the
 * counts; all other allocations are counted when they happen.
 */
#include "kmm/node.h"

#include "phys/geometry.h"
#include "phys/phys.h"

/* ---- making ---- */

size_t kmm_nodes_bytes(const struct kmm *k)
{
	return (size_t)(k->machine.nr_nodes - 1) * KMM_NR_ZONES * sizeof(struct kmm_zone);
}

static void make_zone(const struct kmm *k, struct kmm_zone *z, unsigned node, unsigned id)
{
	bool wide = kmm_geometry(k->machine.format)->wide;

	z->id = (enum kmm_zone_id)id;
	z->node = (uint8_t)node;
	z->exists = id != (wide ? KMM_ZONE_HIGHMEM : KMM_ZONE_DMA32);
	z->bits = kmm_cache_number(node, z->id, 0) << 8 | (id == KMM_ZONE_HIGHMEM ? KMM_PG_HIGH : 0u);
}

void kmm_nodes_make(struct kmm *k, void *others)
{
	struct kmm_phys *p = k->phys;
	struct kmm_zone *zone = p->zone, *next = others;

	p->nr_nodes = k->machine.nr_nodes;
	for (unsigned node = 0; node < p->nr_nodes; node++) {
		p->node[node].zone = zone;
		for (unsigned i = 0; i < KMM_NR_ZONES; i++) {
			make_zone(k, &zone[i], node, i);
			p->zones[p->nr_zones++] = &zone[i];
		}
		zone = next; /* NULL with one node */
		if (next)
			next += KMM_NR_ZONES;
	}
}

/* ---- order ---- */

static bool has_memory(const struct kmm_node *node)
{
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		if (node->zone[i].present)
			return true;
	return false;
}

static bool has_cpus(const struct kmm *k, unsigned node)
{
	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		if (kmm_cpu_node(k, cpu) == node)
			return true;
	return false;
}

/* The nearest of the nodes with memory that are not in `used`; KMM_MAX_NODES: none is left. */
static unsigned next_best(const struct kmm *k, unsigned from, uint32_t used, const unsigned load[KMM_MAX_NODES])
{
	unsigned best = KMM_MAX_NODES, least = ~0u;

	for (unsigned n = 0; n < k->phys->nr_nodes; n++) {
		unsigned cost = kmm_node_distance(k, from, n) + (n < from) + has_cpus(k, n);

		cost = cost * KMM_MAX_NODES + load[n];
		if ((used >> n & 1) || !has_memory(&k->phys->node[n]) || cost >= least)
			continue;
		least = cost;
		best = n;
	}
	return best;
}

/* load[n]: how many groups of equally near nodes n is the first of, over all lists made so far. */
static void order_nodes(struct kmm *k, unsigned from, unsigned load[KMM_MAX_NODES])
{
	struct kmm_node *node = &k->phys->node[from];
	uint32_t used = 1u << from;
	unsigned last = from, n;

	node->nr_order = 0;
	if (has_memory(node))
		node->order[node->nr_order++] = (uint8_t)from;
	while ((n = next_best(k, from, used, load)) < KMM_MAX_NODES) {
		if (kmm_node_distance(k, from, n) != kmm_node_distance(k, from, last))
			load[n]++;
		node->order[node->nr_order++] = (uint8_t)n;
		used |= 1u << n;
		last = n;
	}
}

static void list_zones(struct kmm_phys *p, struct kmm_node *node)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < node->nr_order; i++)
		for (unsigned id = KMM_NR_ZONES; id-- > 0;)
			if (p->node[node->order[i]].zone[id].managed)
				__atomic_store_n(&node->list[nr++], &p->node[node->order[i]].zone[id], __ATOMIC_RELAXED);
	__atomic_store_n(&node->nr_list, nr, __ATOMIC_RELAXED);
}

void kmm_nodes_init(struct kmm *k)
{
	unsigned load[KMM_MAX_NODES] = { 0 };

	for (unsigned node = 0; node < k->phys->nr_nodes; node++) {
		order_nodes(k, node, load);
		list_zones(k->phys, &k->phys->node[node]);
		KMM_ASSERT(k, k->phys->node[node].nr_list <= k->phys->nr_zones);
	}
	atomic_fetch_add_explicit(&k->phys->hot.lists, 1, memory_order_release);
}

struct kmm_zone *kmm_best_zone(const struct kmm_phys *p, unsigned node, unsigned class)
{
	const struct kmm_node *from = &p->node[node];

	for (unsigned i = 0; i < from->nr_list; i++)
		if (from->list[i]->id <= class)
			return from->list[i];
	return NULL;
}

/* ---- counts ---- */

const char *kmm_numa_name(enum kmm_numa item)
{
	static const char *const names[KMM_NR_NUMA] = {
		"numa_hit", "numa_miss", "numa_foreign", "numa_interleave", "numa_local", "numa_other",
	};

	return (unsigned)item < KMM_NR_NUMA ? names[item] : "?";
}

void kmm_numa_count(struct kmm *k, const struct kmm_zone *best, struct kmm_zone *z, unsigned cpu)
{
	kmm_word *numa = z->pcp[cpu][0].numa; /* that of one sort counts for all */

	KMM_ASSERT(k, best->node != z->node || z->id <= best->id); /* a request falls back downward */
	kmm_word_add(&numa[z->node == kmm_cpu_node(k, cpu) ? KMM_NUMA_LOCAL : KMM_NUMA_OTHER], 1);
	if (best->node == z->node) {
		kmm_word_add(&numa[KMM_NUMA_HIT], 1);
		return;
	}
	kmm_word_add(&numa[KMM_NUMA_MISS], 1);
	kmm_word_add(&k->phys->node[best->node].zone[best->id].pcp[cpu][0].numa[KMM_NUMA_FOREIGN], 1);
}

static kmm_word sum_of(const kmm_word counts[KMM_NR_USES])
{
	kmm_word nr = 0;

	for (unsigned use = 0; use < KMM_NR_USES; use++)
		nr += kmm_word_look(&counts[use]);
	return nr;
}

static kmm_word taken_on(const struct kmm_zone *z, unsigned cpu)
{
	kmm_word nr = 0;

	for (unsigned sort = 0; sort < KMM_PCP_SORTS; sort++)
		nr += kmm_word_look(&z->pcp[cpu][sort].blocks) + sum_of(z->pcp[cpu][sort].taken);
	return nr;
}

kmm_word kmm_zone_numa(const struct kmm *k, const struct kmm_zone *z, enum kmm_numa item)
{
	kmm_word nr = 0;

	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++) {
		bool local = kmm_cpu_node(k, cpu) == z->node;

		nr += kmm_word_look(&z->pcp[cpu][0].numa[item]);
		if (item == KMM_NUMA_HIT || item == (local ? KMM_NUMA_LOCAL : KMM_NUMA_OTHER))
			nr += taken_on(z, cpu);
	}
	return nr;
}

uint64_t kmm_numa_count_of(const struct kmm *k, unsigned node, enum kmm_numa item)
{
	uint64_t nr = 0;

	for (unsigned i = 0; node < k->phys->nr_nodes && (unsigned)item < KMM_NR_NUMA && i < KMM_NR_ZONES; i++)
		nr += kmm_zone_numa(k, &k->phys->node[node].zone[i], item);
	return nr;
}

/* Those on the shortest way are not counted as events. */
kmm_word kmm_phys_allocations(const struct kmm *k)
{
	kmm_word nr = kmm_word_look(&k->events[KMM_EV_ALLOC]);

	for (unsigned i = 0; i < k->phys->nr_zones; i++)
		for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
			nr += taken_on(k->phys->zones[i], cpu);
	return nr;
}

kmm_word kmm_phys_frees(const struct kmm *k)
{
	kmm_word nr = k->events[KMM_EV_FREE];

	for (unsigned i = 0; i < k->phys->nr_zones * KMM_PCP_SORTS; i++)
		for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++) {
			const struct kmm_pcp *pcp = &k->phys->zones[i / KMM_PCP_SORTS]->pcp[cpu][i % KMM_PCP_SORTS];

			nr += kmm_word_look(&pcp->blocks_freed) + sum_of(pcp->freed);
		}
	return nr;
}

/* ---- looking ---- */

unsigned kmm_nr_nodes(const struct kmm *k)
{
	return k->phys->nr_nodes;
}

unsigned kmm_node_of_cpu(const struct kmm *k, unsigned cpu)
{
	return cpu < k->machine.nr_cpus ? kmm_cpu_node(k, cpu) : 0;
}

unsigned kmm_node_of_page(const struct kmm_page *page)
{
	return kmm_page_node(page);
}

unsigned kmm_node_distance(const struct kmm *k, unsigned from, unsigned to)
{
	return from < KMM_MAX_NODES && to < KMM_MAX_NODES ? k->machine.distance[from][to] : 255;
}

unsigned kmm_node_fallback(const struct kmm *k, unsigned node, uint8_t order[KMM_MAX_NODES])
{
	const struct kmm_node *from = &k->phys->node[node < KMM_MAX_NODES ? node : 0];

	if (node >= k->phys->nr_nodes)
		return 0;
	for (unsigned i = 0; i < from->nr_order; i++)
		order[i] = from->order[i];
	return from->nr_order;
}
