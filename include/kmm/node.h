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

/* ---- policies ---- */

/* Where pages shall come from; numbers are Linux's (MPOL_):
 *   DEFAULT         the CPU's node first               LOCAL       the same, by name
 *   PREFERRED       the lowest of the nodes first, then what is nearest to it
 *   PREFERRED_MANY  any of the nodes, the one nearest to the CPU first; others before anything is reclaimed
 *   BIND            only the nodes, nearest first. Requests that start below the highest zone are not bound: the
 *                   low zones may all be on one node
 *   INTERLEAVE      the nodes in turn */
enum kmm_policy {
	KMM_POLICY_DEFAULT, KMM_POLICY_PREFERRED, KMM_POLICY_BIND, KMM_POLICY_INTERLEAVE, KMM_POLICY_LOCAL,
	KMM_POLICY_PREFERRED_MANY, KMM_NR_POLICIES
};
const char *kmm_policy_name(enum kmm_policy mode);

struct kmm_mempolicy {
	enum kmm_policy mode;
	uint32_t nodes; /* a bit each */
	uint32_t last;  /* INTERLEAVE: the node that was taken last; two CPUs at once may take the same one twice */
};

/* Makes a policy by the rules of set_mempolicy(2): nodes without memory are left out. errors: KMM_EINVAL unknown mode,
 * nodes that the machine does not have, nodes with DEFAULT or LOCAL, none that has memory with the others (PREFERRED
 * without nodes is LOCAL); *out is as before then. context: any. */
KMM_MUST_CHECK enum kmm_status kmm_mempolicy_make(const struct kmm *k, enum kmm_policy mode, uint32_t nodes,
						  struct kmm_mempolicy *out);
/* As kmm_alloc_pages(), by a policy; THISNODE overrides it. */
struct kmm_page *kmm_alloc_pages_policy(struct kmm *k, struct kmm_mempolicy *policy, kmm_gfp gfp, unsigned order);
/* INTERLEAVE by place instead of by turn: the node for number `index` of a row of pages. Others: KMM_NODE_ANY. */
unsigned kmm_mempolicy_node(const struct kmm_mempolicy *policy, uint64_t index);

/* ---- memory that comes and goes ---- */

/* By sections of 128 MiB, in ranges that the machine's description calls hotplug; memory that was there at the start
 * may go too. One change at a time. Watermarks, fallback and reports follow. context of both calls: no locks, may sleep. */

/* Which zone the memory is for. DEFAULT as in Linux: the one whose span it lies in, if that is one; else Movable with
 * the machine's movable_node; else KERNEL, which is what the addresses call for. */
enum kmm_hot_zone { KMM_HOT_DEFAULT, KMM_HOT_KERNEL, KMM_HOT_MOVABLE };

struct kmm_hot_memory {
	struct kmm_paddr start;
	uint64_t size;
	unsigned node;             /* KMM_NODE_ANY: as the description says; else it must be the same */
	enum kmm_hot_zone zone;
	bool memmap_on_memory;     /* its descriptors lie in itself, not in memory that is there already */
};

/* The memory is there (the embedder has seen to that) and may be used from now on. errors: KMM_EINVAL not whole sections,
 * not all of one zone, another node; KMM_ERANGE not a hotplug range; KMM_EEXIST some of it is there; KMM_EAGAIN another
 * change is going on; KMM_ENOMEM descriptors or page tables; KMM_ENOTSUP memmap_on_memory: the port gives
 * descriptors no place of their own (32-bit machines, flat arrays). On errors nothing has changed. */
KMM_MUST_CHECK enum kmm_status kmm_hot_add(struct kmm *k, const struct kmm_hot_memory *memory);
/* Empties the range as far as its pages can be moved, and takes it out of everything; then the embedder may take the
 * memory away. errors: KMM_EINVAL, KMM_ERANGE, KMM_EAGAIN as above, the last also where a
 * contiguous area is or something is being isolated; KMM_ENOENT some of it is not there or has holes;
 * KMM_EBUSY the frame in *busy (may be NULL) is in use and stays so: nothing has changed but where pages lie. */
KMM_MUST_CHECK enum kmm_status kmm_hot_remove(struct kmm *k, struct kmm_paddr start, uint64_t size,
					      struct kmm_page_info *busy);
/* Is the memory of this section there, at least some of it? */
bool kmm_section_present(const struct kmm *k, struct kmm_paddr at);

/* ---- counts ---- */

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
