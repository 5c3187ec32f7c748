/* SPDX-License-Identifier: MIT */
/*
 * The vmalloc region's areas: a binary tree by address, kept balanced as a treap (the priority of an area is a hash of
 * its address, so the shape depends on nothing else), where each node knows the largest free gap in its subtree. The
 * lowest gap that fits is found on one way down; the space behind the last area is looked at last.
 *
 * No locks of its own; no memory of its own: areas are the caller's.
 */
#include "kva/kva.h"

/* ---- gaps ---- */

static kmm_word max_gap_of(const struct kmm_area *area) { return area ? area->max_gap : 0; }

static void update(struct kmm_area *area)
{
	kmm_word max = area->gap;

	if (max_gap_of(area->left) > max)
		max = max_gap_of(area->left);
	if (max_gap_of(area->right) > max)
		max = max_gap_of(area->right);
	area->max_gap = max;
}

static void update_path(struct kmm_area *area)
{
	for (; area; area = area->parent)
		update(area);
}

static struct kmm_area *at(struct kmm_list *item) { return kmm_container(item, struct kmm_area, order); }

static kmm_word end_before(const struct kmm_areas *areas, const struct kmm_area *area)
{
	return area->order.prev == &areas->order ? areas->start : at(area->order.prev)->end;
}

static void set_gap(struct kmm_areas *areas, struct kmm_list *item)
{
	if (item == &areas->order)
		return;
	at(item)->gap = at(item)->start - end_before(areas, at(item));
	update_path(at(item));
}

/* ---- shape ---- */

static struct kmm_area **link_to(struct kmm_areas *areas, const struct kmm_area *area)
{
	if (!area->parent)
		return &areas->root;
	return area->parent->left == area ? &area->parent->left : &area->parent->right;
}

/* Lifts a node above its parent, keeping the order. */
static void rotate_up(struct kmm_areas *areas, struct kmm_area *node)
{
	struct kmm_area *parent = node->parent, **place = link_to(areas, parent);
	bool is_left = parent->left == node;
	struct kmm_area *inner = is_left ? node->right : node->left;

	*(is_left ? &parent->left : &parent->right) = inner;
	if (inner)
		inner->parent = parent;
	*(is_left ? &node->right : &node->left) = parent;
	node->parent = parent->parent;
	parent->parent = node;
	*place = node;
	update(parent);
	update(node);
}

static void tree_insert(struct kmm_areas *areas, struct kmm_area *area)
{
	struct kmm_area **place = &areas->root, *parent = NULL;

	while (*place) {
		parent = *place;
		place = area->start < parent->start ? &parent->left : &parent->right;
	}
	*place = area;
	area->parent = parent;
	while (area->parent && area->parent->priority < area->priority)
		rotate_up(areas, area);
}

static void tree_remove(struct kmm_areas *areas, struct kmm_area *area)
{
	struct kmm_area *child, *parent;

	while (area->left && area->right)
		rotate_up(areas, area->left->priority > area->right->priority ? area->left : area->right);
	child = area->left ? area->left : area->right;
	parent = area->parent;
	*link_to(areas, area) = child;
	if (child)
		child->parent = parent;
	update_path(parent);
}

/* ---- what the others use ---- */

void kmm_areas_init(struct kmm_areas *areas, kmm_word start, kmm_word end)
{
	areas->root = NULL;
	areas->start = start;
	areas->end = end;
	areas->dead = NULL;
	areas->nr_dead_pages = 0;
	kmm_list_init(&areas->order);
}

/* The area whose gap before it is the lowest that holds `bytes`, or NULL. */
static struct kmm_area *first_fit(const struct kmm_areas *areas, kmm_word bytes)
{
	struct kmm_area *area = areas->root;

	if (max_gap_of(area) < bytes)
		return NULL;
	for (;;) {
		if (max_gap_of(area->left) >= bytes)
			area = area->left;
		else if (area->gap >= bytes)
			return area;
		else
			area = area->right;
	}
}

static uint32_t priority_of(kmm_word start)
{
	uint32_t n = (uint32_t)((uint64_t)start >> KMM_PAGE_SHIFT);

	n = (n ^ n >> 16) * 0x7feb352du; /* an integer hash with good avalanche (C. Wellons, 2018) */
	n = (n ^ n >> 15) * 0x846ca68bu;
	return n ^ n >> 16;
}

bool kmm_areas_place(struct kmm_areas *areas, struct kmm_area *area, kmm_word bytes, kmm_word align)
{
	kmm_word room = bytes + align - KMM_PAGE_SIZE; /* wherever the gap begins */
	struct kmm_area *after = room < bytes ? NULL : first_fit(areas, room);
	struct kmm_list *pos = after ? &after->order : &areas->order;
	kmm_word free = pos->prev == &areas->order ? areas->start : at(pos->prev)->end;
	kmm_word start = (free + align - 1) & ~(align - 1);

	if (!after && (start < free || start > areas->end || areas->end - start < bytes))
		return false;
	area->start = start;
	area->end = start + bytes;
	area->left = area->right = NULL;
	area->gap = area->max_gap = 0;
	area->priority = priority_of(start);
	kmm_list_add_before(pos, &area->order);
	tree_insert(areas, area);
	set_gap(areas, &area->order);
	set_gap(areas, pos);
	return true;
}

void kmm_areas_remove(struct kmm_areas *areas, struct kmm_area *area)
{
	struct kmm_list *next = area->order.next;

	tree_remove(areas, area);
	kmm_list_del(&area->order);
	set_gap(areas, next);
}

struct kmm_area *kmm_areas_next(const struct kmm_areas *areas, kmm_word va)
{
	struct kmm_area *area = areas->root, *found = NULL;

	while (area) {
		if (area->start >= va) {
			found = area;
			area = area->left;
		} else {
			area = area->right;
		}
	}
	return found;
}

struct kmm_area *kmm_areas_find(const struct kmm_areas *areas, kmm_word va)
{
	struct kmm_area *area = areas->root;

	while (area && (va < area->start || va >= area->end))
		area = va < area->start ? area->left : area->right;
	return area;
}

/* ---- the checker ---- */

static const char *area_fault(const struct kmm_areas *areas, const struct kmm_area *area)
{
	kmm_word before = end_before(areas, area), max_gap;
	struct kmm_area copy = *area;

	update(&copy);
	max_gap = copy.max_gap;
	if (area->start < before || area->end <= area->start || area->end > areas->end)
		return "overlaps the one before it, or leaves the region";
	if (area->gap != area->start - before || area->max_gap != max_gap)
		return "does not know its gaps";
	if ((area->left && (area->left->parent != area || area->left->start >= area->start)) ||
	    (area->right && (area->right->parent != area || area->right->start <= area->start)))
		return "has a child in the wrong place";
	if (area->parent && area->parent->priority < area->priority)
		return "breaks the heap";
	return kmm_areas_find(areas, area->start) == area ? NULL : "is not what a search finds";
}

unsigned kmm_areas_check(const struct kmm_areas *areas, struct kmm_sink *out)
{
	struct kmm_list *item;
	unsigned bad = 0;

	for (item = areas->order.next; item != &areas->order; item = item->next) {
		const char *fault = area_fault(areas, at(item));

		if (fault) {
			kmm_printf(out, "vmalloc: the area at 0x%llx %s\n", (unsigned long long)at(item)->start, fault);
			bad++;
		}
	}
	return bad;
}
