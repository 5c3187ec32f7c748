/* SPDX-License-Identifier: MIT */
/*
 * From page number to page: a radix tree of 64-slot nodes, as high as its largest index needs.
 *
 * Invariants: no node but a new root is empty; the root has more than slot 0, or level 0. An index beyond the
 * root's reach is not there.
 */
#include "vm/radix.h"

#include "vm/backing.h"

static unsigned slot_of(uint64_t index, unsigned level)
{
	return (unsigned)(index >> (level * KMM_RADIX_BITS)) & (KMM_RADIX_SLOTS - 1);
}

/* Does a tree whose root has this level hold the index? */
static bool reaches(unsigned level, uint64_t index)
{
	unsigned bits = (level + 1) * KMM_RADIX_BITS;

	return bits >= 64 || index >> bits == 0;
}

static struct kmm_radix_node *child_of(const struct kmm_radix_node *node, uint64_t index)
{
	return (struct kmm_radix_node *)node->slot[slot_of(index, node->level)];
}

static struct kmm_page *page_of(struct kmm *k, uintptr_t slot)
{
	return slot & 1 ? kmm_pfn_to_page(k, kmm_pfn((kmm_word)(slot >> 1))) : NULL;
}

static uintptr_t slot_of_page(struct kmm *k, struct kmm_page *page)
{
	return (uintptr_t)kmm_page_to_pfn(k, page).v << 1 | 1;
}

/* What lies at an index: 0, a page or a name in swap. */
static uintptr_t look(const void *root, uint64_t index)
{
	const struct kmm_radix_node *node = root;

	if (!node || !reaches(node->level, index))
		return 0;
	while (node && node->level > 0)
		node = child_of(node, index);
	return node ? node->slot[slot_of(index, 0)] : 0;
}

struct kmm_page *kmm_radix_get(struct kmm *k, void *root, uint64_t index)
{
	return page_of(k, look(root, index));
}

uint32_t kmm_radix_swapped(const void *root, uint64_t index)
{
	uintptr_t slot = look(root, index);

	return slot & 1 ? 0 : (uint32_t)slot;
}

static struct kmm_radix_node *new_node(struct kmm *k, unsigned level)
{
	struct kmm_radix_node *node = kmm_cache_alloc(k, k->vm->radix_cache, KMM_GFP_KERNEL);

	if (node) {
		*node = (struct kmm_radix_node){ .level = 0 };
		node->level = level;
	}
	return node;
}

/* Takes away nodes that hold nothing along the way to index, and roots that only lead on. */
static void prune(struct kmm *k, void **root, uint64_t index)
{
	struct kmm_radix_node *path[64 / KMM_RADIX_BITS + 1], *node = *root;
	unsigned nr = 0;

	for (; node; node = node->level ? child_of(node, index) : NULL)
		path[nr++] = node;
	while (nr > 0 && path[nr - 1]->nr == 0) {
		if (--nr > 0) {
			path[nr - 1]->slot[slot_of(index, path[nr - 1]->level)] = 0;
			path[nr - 1]->nr--;
		} else {
			*root = NULL;
		}
		kmm_cache_free(k, k->vm->radix_cache, path[nr]);
	}
	for (node = *root; node && node->level > 0 && node->nr == 1 && node->slot[0]; node = *root) {
		*root = (void *)node->slot[0];
		kmm_cache_free(k, k->vm->radix_cache, node);
	}
}

/* Puts roots on top until the index is in reach. */
static bool grow(struct kmm *k, void **root, uint64_t index)
{
	struct kmm_radix_node *node = *root, *top;

	if (!node) {
		unsigned level = 0;

		while (!reaches(level, index))
			level++;
		*root = new_node(k, level);
		return *root != NULL;
	}
	while (!reaches(node->level, index)) {
		top = new_node(k, node->level + 1);
		if (!top)
			return false;
		top->slot[0] = (uintptr_t)node;
		top->nr = 1;
		*root = node = top;
	}
	return true;
}

enum kmm_status kmm_radix_insert(struct kmm *k, void **root, uint64_t index, struct kmm_page *page)
{
	struct kmm_radix_node *node, *child;

	if (!grow(k, root, index))
		goto fail;
	for (node = *root; node->level > 0; node = child) {
		child = child_of(node, index);
		if (child)
			continue;
		child = new_node(k, node->level - 1);
		if (!child)
			goto fail;
		node->slot[slot_of(index, node->level)] = (uintptr_t)child;
		node->nr++;
	}
	KMM_ASSERT(k, node->slot[slot_of(index, 0)] == 0);
	node->slot[slot_of(index, 0)] = slot_of_page(k, page);
	node->nr++;
	KMM_ASSERT(k, node->level == 0 && node->nr <= KMM_RADIX_SLOTS);
	return KMM_OK;
fail:
	node = *root;
	prune(k, root, node && reaches(node->level, index) ? index : 0);
	return KMM_ENOMEM;
}

static void replace(struct kmm *k, void *root, uint64_t index, uintptr_t slot)
{
	struct kmm_radix_node *node = root;

	while (node && node->level > 0)
		node = child_of(node, index);
	KMM_ASSERT(k, node && node->slot[slot_of(index, 0)] != 0 && slot != 0);
	node->slot[slot_of(index, 0)] = slot;
}

void kmm_radix_replace(struct kmm *k, void *root, uint64_t index, struct kmm_page *page)
{
	replace(k, root, index, slot_of_page(k, page));
}

void kmm_radix_replace_swapped(struct kmm *k, void *root, uint64_t index, uint32_t raw)
{
	KMM_ASSERT(k, !(raw & 1));
	replace(k, root, index, raw);
}

void kmm_radix_remove(struct kmm *k, void **root, uint64_t index)
{
	struct kmm_radix_node *node = *root;

	while (node && node->level > 0)
		node = child_of(node, index);
	if (!node || !node->slot[slot_of(index, 0)])
		return;
	KMM_ASSERT(k, node->nr > 0);
	node->slot[slot_of(index, 0)] = 0;
	node->nr--;
	prune(k, root, index);
}

/* The first used slot at or after *index's within the node at its level; *index moves to its start. */
static bool next_slot(const struct kmm_radix_node *node, uint64_t *index)
{
	unsigned shift = node->level * KMM_RADIX_BITS, i = slot_of(*index, node->level);

	if (node->slot[i])
		return true;
	while (++i < KMM_RADIX_SLOTS) {
		if (!node->slot[i])
			continue;
		*index = (*index >> shift >> KMM_RADIX_BITS << KMM_RADIX_BITS | i) << shift;
		return true;
	}
	return false;
}

bool kmm_radix_next_used(void *root, uint64_t *index)
{
	const struct kmm_radix_node *node = root, *path[64 / KMM_RADIX_BITS + 1];
	unsigned level, top;

	if (!node || !reaches(node->level, *index))
		return false;
	level = top = node->level;
	path[top] = node;
	for (;;) {
		if (next_slot(path[level], index)) {
			if (level == 0)
				return true;
			path[level - 1] = child_of(path[level], *index);
			level--;
			continue;
		}
		/* Behind this node, and up as far as that is behind its parents too. */
		if (level == top)
			return false;
		level++;
		*index = ((*index >> (level * KMM_RADIX_BITS)) + 1) << (level * KMM_RADIX_BITS);
		while (slot_of(*index, level) == 0) {
			if (level == top)
				return false;
			level++;
		}
	}
}

struct kmm_page *kmm_radix_next(struct kmm *k, void *root, uint64_t *index)
{
	struct kmm_page *page = NULL;

	for (; kmm_radix_next_used(root, index); ++*index) {
		page = kmm_radix_get(k, root, *index);
		if (page || *index == UINT64_MAX)
			break;
	}
	return page;
}
