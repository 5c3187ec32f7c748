/* SPDX-License-Identifier: MIT */
/*
 * Nodes (NUMA): groups of CPUs and memory at distances from each other.
 *
 * A request prefers the node of the CPU it runs on, or the one it names, and falls back node by node in order of
 * distance; in each node it tries zones from the one its modifiers name downwards. Nodes at the same distance are
 * tried in a different order from different nodes, as in Linux, so that not all turn to the same neighbour
 * first. KMM_GFP_THISNODE keeps a request on its node.
 *
 * One-node machines have node 0 and nothing of this costs them anything.
 */
#ifndef KMM_NODE_H
#define KMM_NODE_H

#include "kmm/page.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KMM_NODE_ANY 0xffu /* "no node in particular": that of the running CPU */

unsigned kmm_nr_nodes(const struct kmm *k);
/* Node of a CPU; of a frame. */
unsigned kmm_node_of_cpu(const struct kmm *k, unsigned cpu);
unsigned kmm_node_of_page(const struct kmm_page *page);
/* As in ACPI's SLIT: 10 is local. */
unsigned kmm_node_distance(const struct kmm *k, unsigned from, unsigned to);
/* The nodes with memory in the order in which a request on `node` tries them. Returns how many. */
unsigned kmm_node_fallback(const struct kmm *k, unsigned node, uint8_t order[KMM_MAX_NODES]);
/* As kmm_zone_info(), of one node. false: no such node or zone. */
bool kmm_node_zone_info(const struct kmm *k, unsigned node, enum kmm_zone_id zone, struct kmm_zone_info *out);
/* The same by mobility, as kmm_zone_types(). */
bool kmm_node_zone_types(const struct kmm *k, unsigned node, enum kmm_zone_id zone, struct kmm_zone_types *out);

/* As kmm_alloc_pages(), from memory of `node` or what is nearest to it; with KMM_GFP_THISNODE of it only.
 * NULL also when there is no such node. */
struct kmm_page *kmm_alloc_pages_node(struct kmm *k, unsigned node, kmm_gfp gfp, unsigned order);

/* Where allocations went, in blocks, as Linux counts them for the node that served:
 *   HIT         it was the node that was asked first     MISS      another was, but could not
 *   FOREIGN     it was asked first, another served       INTERLEAVE  a HIT that an interleaving policy aimed here
 *   LOCAL       the asking CPU is of this node           OTHER     it is not */
enum kmm_numa {
	KMM_NUMA_HIT, KMM_NUMA_MISS, KMM_NUMA_FOREIGN, KMM_NUMA_INTERLEAVE, KMM_NUMA_LOCAL, KMM_NUMA_OTHER, KMM_NR_NUMA
};
/* "numa_hit", as Linux spells them. */
const char *kmm_numa_name(enum kmm_numa item);
uint64_t kmm_numa_count_of(const struct kmm *k, unsigned node, enum kmm_numa item);

#ifdef __cplusplus
}
#endif
#endif
