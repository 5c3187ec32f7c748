/* SPDX-License-Identifier: MIT */
/*
 * Policies: which nodes a request may be served from, and which is asked first. The rules are those of Linux 6.1's
 * set_mempolicy(2) and of its page allocation by policy; weights came later and do not exist here.
 *
 * A policy is the caller's, on its own or part of an address space; this file only reads it, but for the cursor of
 * INTERLEAVE. It holds nodes that had memory when it was made.
 */
#include "base/math.h"
#include "phys/phys.h"

const char *kmm_policy_name(enum kmm_policy mode)
{
	static const char *const names[KMM_NR_POLICIES] = {
		"default", "prefer", "bind", "interleave", "local", "prefer (many)",
	};

	return (unsigned)mode < KMM_NR_POLICIES ? names[mode] : "?";
}

static uint32_t nodes_with(const struct kmm *k, bool movable_too)
{
	uint32_t nodes = 0;

	for (unsigned i = 0; i < k->phys->nr_zones; i++) {
		const struct kmm_zone *z = k->phys->zones[i];

		if (z->managed && (movable_too || z->id != KMM_ZONE_MOVABLE))
			nodes |= 1u << z->node;
	}
	return nodes;
}

enum kmm_status kmm_mempolicy_make(const struct kmm *k, enum kmm_policy mode, uint32_t nodes, struct kmm_mempolicy *out)
{
	bool takes_none = mode == KMM_POLICY_DEFAULT || mode == KMM_POLICY_LOCAL;

	if ((unsigned)mode >= KMM_NR_POLICIES || nodes >> k->phys->nr_nodes || (takes_none && nodes))
		return KMM_EINVAL;
	if (mode == KMM_POLICY_PREFERRED && nodes == 0) {
		mode = KMM_POLICY_LOCAL;
		takes_none = true;
	}
	nodes &= nodes_with(k, true);
	if (!takes_none && nodes == 0)
		return KMM_EINVAL;
	*out = (struct kmm_mempolicy){ mode, nodes, KMM_MAX_NODES - 1 };
	return KMM_OK;
}

/* ---- serving ---- */

/* The zone from which on BIND binds: the highest that is not Movable; Movable when all the policy's nodes have no other. */
static unsigned bound_from(const struct kmm *k, uint32_t nodes)
{
	unsigned highest = 0;

	if (!(nodes & nodes_with(k, false)))
		return KMM_ZONE_MOVABLE;
	for (unsigned i = 0; i < k->phys->nr_zones; i++) {
		const struct kmm_zone *z = k->phys->zones[i];

		if (z->present && z->id != KMM_ZONE_MOVABLE && z->id > highest)
			highest = z->id;
	}
	return highest;
}

static unsigned next_in_turn(struct kmm_mempolicy *policy)
{
	uint32_t last = __atomic_load_n(&policy->last, __ATOMIC_RELAXED), after = policy->nodes & ~((2u << last) - 1);
	unsigned node = kmm_ctz_u32(after ? after : policy->nodes);

	__atomic_store_n(&policy->last, node, __ATOMIC_RELAXED);
	return node;
}

unsigned kmm_mempolicy_node(const struct kmm_mempolicy *policy, uint64_t index)
{
	uint32_t nodes = policy->nodes, skip, nr = 0;

	if (policy->mode != KMM_POLICY_INTERLEAVE || nodes == 0)
		return KMM_NODE_ANY;
	for (uint32_t n = nodes; n; n &= n - 1)
		nr++;
	kmm_div_u64(index, nr, &skip);
	while (skip--)
		nodes &= nodes - 1;
	return kmm_ctz_u32(nodes);
}

static void count_interleaved(struct kmm *k, const struct kmm_page *page, unsigned node)
{
	unsigned long irq;

	if (kmm_page_node(page) != node)
		return;
	irq = kmm_irq_save(k);
	kmm_word_add(&kmm_zone_of(k->phys, page)->pcp[kmm_cpu(k)][0].numa[KMM_NUMA_INTERLEAVE], 1);
	kmm_irq_restore(k, irq);
}

/* What one request asks for, as kmm_phys_alloc_at() takes it. */
struct ask {
	kmm_gfp gfp;
	unsigned order;
	enum kmm_kind kind;
	const char *site;
};

static struct kmm_page *try_at(struct kmm *k, struct kmm_where where, const struct ask *ask)
{
	if (where.node == KMM_NODE_ANY && where.nodes == KMM_ALL_NODES)
		return kmm_phys_alloc(k, ask->gfp, ask->order, ask->kind, ask->site);
	return kmm_phys_alloc_at(k, &where, ask->gfp, ask->order, ask->kind, ask->site);
}

static struct kmm_page *interleave(struct kmm *k, struct kmm_mempolicy *policy, const struct ask *ask)
{
	unsigned node = next_in_turn(policy);
	struct kmm_page *page;

	KMM_ASSERT(k, node < k->phys->nr_nodes && (policy->nodes >> node & 1));
	page = try_at(k, (struct kmm_where){ node, KMM_ALL_NODES, false }, ask);

	if (page)
		count_interleaved(k, page, node);
	return page;
}

/* First without patience from the nodes alone, then as if there were no policy. */
static struct kmm_page *prefer_many(struct kmm *k, const struct kmm_mempolicy *policy, const struct ask *ask)
{
	const kmm_gfp patience = KMM_GFP_RECLAIM | KMM_GFP_IO | KMM_GFP_FS | KMM_GFP_NOFAIL;
	struct ask first = *ask;
	struct kmm_page *page;

	first.gfp = (first.gfp & ~patience) | KMM_GFP_NOWARN;
	page = try_at(k, (struct kmm_where){ KMM_NODE_ANY, policy->nodes, true }, &first);
	return page ? page : try_at(k, (struct kmm_where){ KMM_NODE_ANY, KMM_ALL_NODES, false }, ask);
}

static struct kmm_page *bind(struct kmm *k, const struct kmm_mempolicy *policy, const struct ask *ask)
{
	uint8_t class = k->phys->class_of[ask->gfp & 15];
	bool bound = class != KMM_BAD_ZONE && class >= bound_from(k, policy->nodes);

	return try_at(k, (struct kmm_where){ KMM_NODE_ANY, bound ? policy->nodes : KMM_ALL_NODES, false }, ask);
}

static struct kmm_page *serve(struct kmm *k, struct kmm_mempolicy *policy, const struct ask *ask)
{
	switch (policy->mode) {
	case KMM_POLICY_INTERLEAVE:
		return interleave(k, policy, ask);
	case KMM_POLICY_PREFERRED:
		return try_at(k, (struct kmm_where){ kmm_ctz_u32(policy->nodes), KMM_ALL_NODES, false }, ask);
	case KMM_POLICY_PREFERRED_MANY:
		return prefer_many(k, policy, ask);
	case KMM_POLICY_BIND:
		return bind(k, policy, ask);
	default:
		return try_at(k, (struct kmm_where){ KMM_NODE_ANY, KMM_ALL_NODES, false }, ask);
	}
}

struct kmm_page *kmm_phys_alloc_policy(struct kmm *k, struct kmm_mempolicy *policy, kmm_gfp gfp, unsigned order,
				       enum kmm_kind kind, const char *site)
{
	if (gfp & KMM_GFP_THISNODE)
		return kmm_phys_alloc(k, gfp, order, kind, site);
	return serve(k, policy, &(struct ask){ gfp, order, kind, site });
}

struct kmm_page *kmm_alloc_pages_policy(struct kmm *k, struct kmm_mempolicy *policy, kmm_gfp gfp, unsigned order)
{
	return kmm_phys_alloc_policy(k, policy, gfp, order, KMM_KIND_KERNEL, "alloc_pages_policy");
}
