/* SPDX-License-Identifier: MIT */
/*
 * The tree of groups (group.h has the story): made, removed, swept away, read.
 */
#include "group/group.h"

#include "base/mem.h"
#include "kmm/slab.h"
#include "kmm/vmalloc.h"

static void lock(struct kmm *k) { kmm_mutex_lock(k, &k->pageq->lock); }
static void unlock(struct kmm *k) { kmm_mutex_unlock(k, &k->pageq->lock); }

enum kmm_status kmm_groups_init(struct kmm *k, const struct kmm_group_ops *ops)
{
	struct kmm_groups *groups;
	bool first;

	if (__atomic_load_n(&k->groups, __ATOMIC_ACQUIRE))
		return KMM_OK;
	groups = kmm_vmalloc(k, sizeof(*groups), "memory groups");
	if (!groups)
		return KMM_ENOMEM;
	memset(groups, 0, sizeof(*groups));
	kmm_list_init(&groups->top);
	kmm_list_init(&groups->stalled);
	groups->ops = ops;
	groups->chunk_shift = KMM_GROUP_CHUNK_SHIFT;
	while (k->phys->max_pfn >> groups->chunk_shift >= KMM_GROUP_MOST_CHUNKS)
		groups->chunk_shift++;
	groups->nr_chunks = (k->phys->max_pfn >> groups->chunk_shift) + 1;
	lock(k);
	first = !k->groups;
	if (first) {
		kmm_uncharge_register(k, kmm_group_uncharge);
		__atomic_store_n(&k->groups, groups, __ATOMIC_RELEASE);
	}
	unlock(k);
	if (!first)
		kmm_vfree(k, groups);
	return KMM_OK;
}

/* ---- walking ---- */

static struct kmm_list *siblings(struct kmm *k, const struct kmm_group *g)
{
	return g->parent ? &g->parent->kids : &k->groups->top;
}

struct kmm_group *kmm_group_next(struct kmm *k, struct kmm_group *root, struct kmm_group *from)
{
	struct kmm_list *kids = from ? &from->kids : &k->groups->top;

	KMM_ASSERT_HELD(k, &k->pageq->lock);
	if (!from && root)
		return root;
	if (!kmm_list_empty(kids))
		return kmm_container(kids->next, struct kmm_group, link);
	for (; from && from != root; from = from->parent)
		if (from->link.next != siblings(k, from))
			return kmm_container(from->link.next, struct kmm_group, link);
	return NULL;
}

/* ---- going ---- */

/* Nothing leads to it any more, and nothing will: q held. */
static bool is_done(const struct kmm_group *g)
{
	return g->offline && kmm_list_empty(&g->kids) && !__atomic_load_n(&g->refs, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&g->usage, __ATOMIC_ACQUIRE) && !__atomic_load_n(&g->swap, __ATOMIC_ACQUIRE);
}

static void free_group(struct kmm *k, struct kmm_group *g)
{
	if (g->chunks)
		kmm_kfree(k, g->chunks);
	kmm_kfree(k, g);
}

/* What it did stays known above it. */
static void drop(struct kmm *k, struct kmm_group *g)
{
	for (unsigned i = 0; g->parent && i < KMM_NR_GROUP_PASTS; i++)
		kmm_group_count(g->parent, (enum kmm_group_past)i, g->past[i]);
	KMM_ASSERT(k, !g->own[KMM_GROUP_ANON] && !g->own[KMM_GROUP_FILE] && !g->own[KMM_GROUP_SHMEM] && !g->own_swap && !g->spaces && !g->stalls.nr);
	__atomic_store_n(&k->groups->table[g->id], NULL, __ATOMIC_RELEASE);
	kmm_list_del(&g->link);
	k->groups->nr--;
	free_group(k, g);
}

/* Offline groups without anything go. One below may be all that its parent still has, so until none is found. q held. */
static void sweep(struct kmm *k)
{
	struct kmm_group *g, *next;
	bool found;

	kmm_stocks_drain(k);
	do {
		found = false;
		for (g = kmm_group_next(k, NULL, NULL); g; g = next) {
			next = kmm_group_next(k, NULL, g);
			if (!is_done(g))
				continue;
			drop(k, g);
			found = true;
		}
	} while (found);
}

enum kmm_status kmm_group_remove(struct kmm_group *g)
{
	enum kmm_status status = KMM_OK;
	struct kmm *k = g->k;

	lock(k);
	KMM_ASSERT(k, !g->offline);
	if (__atomic_load_n(&g->spaces, __ATOMIC_ACQUIRE))
		status = KMM_EBUSY;
	for (struct kmm_list *l = g->kids.next; l != &g->kids; l = l->next)
		if (!kmm_container(l, struct kmm_group, link)->offline)
			status = KMM_EBUSY;
	if (status == KMM_OK) {
		__atomic_store_n(&g->offline, true, __ATOMIC_RELEASE);
		kmm_word_set(&g->limit[KMM_GROUP_MIN], 0);
		kmm_word_set(&g->limit[KMM_GROUP_LOW], 0);
		sweep(k);
	}
	unlock(k);
	return status;
}

/* ---- coming ---- */

static struct kmm_group *alloc_group(struct kmm *k, struct kmm_group *parent)
{
	struct kmm_group *g = kmm_kzalloc(k, sizeof(*g), KMM_GFP_KERNEL);
	size_t words = (size_t)(k->groups->nr_chunks + KMM_BITS - 1) / KMM_BITS;

	if (!g)
		return NULL;
	*g = (struct kmm_group){ .k = k, .parent = parent };
	kmm_list_init(&g->kids);
	kmm_list_init(&g->link);
	kmm_list_init(&g->stalled);
	g->stalls.since = g->stalls.averaged = k->port->time_ns ? k->port->time_ns(k->port) : 0;
	g->limit[KMM_GROUP_MAX] = g->limit[KMM_GROUP_HIGH] = g->limit[KMM_GROUP_SWAP_MAX] = KMM_GROUP_NO_LIMIT;
	g->chunks = kmm_kzalloc(k, words * sizeof(*g->chunks), KMM_GFP_KERNEL);
	if (g->chunks)
		return g;
	kmm_kfree(k, g);
	return NULL;
}

/* A number that nothing has. q held; there is one. */
static uint32_t free_id(struct kmm_groups *groups)
{
	do
		groups->turn = groups->turn % KMM_MAX_GROUPS + 1;
	while (groups->table[groups->turn]);
	return groups->turn;
}

/* q held. */
static enum kmm_status enter(struct kmm *k, struct kmm_group *g)
{
	struct kmm_groups *groups = k->groups;

	sweep(k);
	if (g->parent && g->parent->offline)
		return KMM_EINVAL;
	if (groups->nr == KMM_MAX_GROUPS)
		return KMM_EOVERFLOW;
	groups->nr++;
	g->id = free_id(groups);
	kmm_list_add_before(siblings(k, g), &g->link);
	__atomic_store_n(&groups->table[g->id], g, __ATOMIC_RELEASE);
	return KMM_OK;
}

enum kmm_status kmm_group_make(struct kmm *k, struct kmm_group *parent, struct kmm_group **out)
{
	struct kmm_group *g = alloc_group(k, parent);
	enum kmm_status status;

	if (!g)
		return KMM_ENOMEM;
	lock(k);
	status = enter(k, g);
	unlock(k);
	if (status)
		free_group(k, g);
	else
		*out = g;
	return status;
}

/* ---- members ---- */

void kmm_group_hold(struct kmm_group *g)
{
	__atomic_fetch_add(&g->refs, 1, __ATOMIC_RELAXED);
}

void kmm_group_join(struct kmm_group *g)
{
	KMM_ASSERT(g->k, g->refs > 0);
	__atomic_fetch_add(&g->spaces, 1, __ATOMIC_RELAXED);
}

void kmm_group_leave(struct kmm_group *g)
{
	unsigned was = __atomic_fetch_sub(&g->spaces, 1, __ATOMIC_RELEASE);

	KMM_ASSERT(g->k, was > 0);
	(void)was;
}

void kmm_group_forget(struct kmm_group *g)
{
	unsigned was = __atomic_fetch_sub(&g->refs, 1, __ATOMIC_RELEASE);

	KMM_ASSERT(g->k, was > 0);
	(void)was;
}

/* ---- looking ---- */

kmm_word kmm_group_limit(const struct kmm_group *g, enum kmm_group_limit which)
{
	return kmm_word_look(&g->limit[which]);
}

struct kmm_group *kmm_group_parent(const struct kmm_group *g) { return g->parent; }

kmm_word kmm_group_pages(const struct kmm_group *g)
{
	const struct kmm_groups *groups = g->k->groups;
	kmm_word pages = kmm_word_look(&g->usage);

	for (unsigned cpu = 0; cpu < g->k->machine.nr_cpus; cpu++) {
		uint32_t stock = __atomic_load_n(&groups->stock[cpu].word, __ATOMIC_RELAXED);
		const struct kmm_group *of = stock & 0xffff ? kmm_group_by_id(g->k, stock >> 16) : NULL;

		if (of && kmm_group_is_below(of, g))
			pages -= stock & 0xffff;
	}
	return (intptr_t)pages > 0 ? pages : 0; /* other processors go on meanwhile */
}

void kmm_group_count_event(struct kmm_group *g, enum kmm_group_event event)
{
	struct kmm *k = g->k;

	__atomic_fetch_add(&g->local_events[event], 1, __ATOMIC_RELAXED);
	for (; g; g = g->parent)
		__atomic_fetch_add(&g->events[event], 1, __ATOMIC_RELAXED);
	if (k->port->group_event)
		k->port->group_event(k->port);
}

/* q held. */
static void add_up(struct kmm_group *root, struct kmm_group_info *out)
{
	for (struct kmm_group *g = root; g; g = kmm_group_next(root->k, root, g)) {
		out->anon += kmm_word_look(&g->own[KMM_GROUP_ANON]);
		out->file += kmm_word_look(&g->own[KMM_GROUP_FILE]);
		out->shmem += kmm_word_look(&g->own[KMM_GROUP_SHMEM]);
		out->refaults += kmm_word_look(&g->past[KMM_GROUP_REFAULTS]);
		out->scanned += kmm_word_look(&g->past[KMM_GROUP_SCANNED]);
		out->stolen += kmm_word_look(&g->past[KMM_GROUP_STOLEN]);
	}
}

void kmm_group_info(struct kmm_group *g, struct kmm_group_info *out)
{
	*out = (struct kmm_group_info){ .pages = kmm_group_pages(g), .peak = kmm_word_look(&g->peak) };
	out->swap = kmm_word_look(&g->swap);
	out->writing = kmm_word_look(&g->writing);
	out->swap_peak = kmm_word_look(&g->swap_peak);
	out->spaces = __atomic_load_n(&g->spaces, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < KMM_NR_GROUP_EVENTS; i++) {
		out->events[i] = kmm_word_look(&g->events[i]);
		out->local_events[i] = kmm_word_look(&g->local_events[i]);
	}
	lock(g->k);
	add_up(g, out);
	unlock(g->k);
}
