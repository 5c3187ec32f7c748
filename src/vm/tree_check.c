/* SPDX-License-Identifier: MIT */
/*
 * Is the VMA index what vm/tree.h says it is? Looks at each node and area, and believes nothing: sums are made anew here.
 */
#include "vm/tree.h"

#include "vm/mm.h"

#define NO_KEY (~(kmm_word)0) /* the key of places behind the last item */

struct check {
	struct kmm_sink *out;
	const struct kmm_list *next, *end; /* the list, as far as it was seen */
	unsigned bad;
};

static void complain(struct check *c, const char *what, const struct kmm_tree_node *node, unsigned i)
{
	c->bad++;
	if (c->out)
		kmm_printf(c->out, "VMA index: %s (level %u, item %u, %llx)\n", what, node->level, i,
			   (unsigned long long)node->a[i]);
}

/* The largest hole between the items of a node, or inside one. */
static kmm_word largest_hole(const struct kmm_tree_node *node)
{
	kmm_word gap = 0;

	for (unsigned i = 0; i < node->nr; i++) {
		if (i > 0 && node->a[i] - node->b[i - 1] > gap)
			gap = node->a[i] - node->b[i - 1];
		if (node->level > 0 && node->gap[i] > gap)
			gap = node->gap[i];
	}
	return gap;
}

static void check_child(struct check *c, const struct kmm_tree_node *node, unsigned i)
{
	const struct kmm_tree_node *child = node->item[i];

	if (child->level + 1 != node->level || child->nr == 0 || child->nr > KMM_TREE_ITEMS)
		complain(c, "a child is of the wrong level or size", node, i);
	else if (child->a[0] != node->a[i] || child->b[child->nr - 1] != node->b[i] || largest_hole(child) != node->gap[i])
		complain(c, "a summary is wrong", node, i);
}

static void check_leaf_item(struct check *c, const struct kmm_tree_node *node, unsigned i)
{
	const struct kmm_vma *vma = node->item[i];

	if (c->next == c->end || kmm_container(c->next, struct kmm_vma, link) != vma)
		complain(c, "an item is not the next VMA", node, i);
	else
		c->next = c->next->next;
	if (vma->start != node->a[i] || vma->end != node->b[i] || vma->start >= vma->end)
		complain(c, "a key is not its VMA's range", node, i);
}

static void check_node(struct check *c, const struct kmm_tree_node *node)
{
	for (unsigned i = node->nr; i < KMM_TREE_ITEMS; i++)
		if (node->b[i] != NO_KEY)
			complain(c, "a place behind the last item has a key", node, i);
	for (unsigned i = 0; i < node->nr; i++) {
		if (i > 0 && node->a[i] < node->b[i - 1])
			complain(c, "items overlap", node, i);
		if (node->level == 0)
			check_leaf_item(c, node, i);
		else
			check_child(c, node, i);
	}
}

unsigned kmm_tree_check(const struct kmm_tree *tree, const struct kmm_list *vmas, struct kmm_sink *out)
{
	struct check c = { out, vmas->next, vmas, 0 };
	const struct kmm_tree_node *node[KMM_TREE_LEVELS];
	unsigned at[KMM_TREE_LEVELS], level, top = tree->root ? tree->root->level : 0;
	bool leaf_found = !tree->leaf || (top == 0 && tree->leaf == tree->root);

	level = top;
	node[level] = tree->root;
	at[level] = 0;
	if (tree->root)
		check_node(&c, tree->root);
	while (tree->root && level <= top && c.bad == 0) {
		if (level == 0 || at[level] == node[level]->nr) {
			level++;
			continue;
		}
		node[level - 1] = node[level]->item[at[level]++];
		at[--level] = 0;
		leaf_found |= level == 0 && node[0] == tree->leaf;
		check_node(&c, node[level]);
	}
	if (c.bad == 0 && !leaf_found) {
		c.bad++;
		if (out)
			kmm_printf(out, "VMA index: the leaf last used is not a leaf of it\n");
	}
	if (c.bad == 0 && c.next != c.end) {
		c.bad++;
		if (out)
			kmm_printf(out, "VMA index: VMAs of the list are missing\n");
	}
	return c.bad;
}
