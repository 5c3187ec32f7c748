/* SPDX-License-Identifier: MIT */
/*
 * Finding holes with the sums in the VMA index: the highest or the lowest that is large enough, clipped to
 * limits. A subtree is entered only if its largest inner hole could do; only at the limits can that promise fail,
 * so a search looks at few more nodes than the tree is deep.
 */
#include "vm/tree.h"

static bool fits(kmm_word from, kmm_word to, kmm_word len)
{
	return to > from && to - from >= len;
}

static kmm_word larger(kmm_word x, kmm_word y) { return x > y ? x : y; }
static kmm_word smaller(kmm_word x, kmm_word y) { return x < y ? x : y; }

/* Items from the right to the left; `above` is where the nearest thing above the current item starts. */
bool kmm_tree_hole_down(const struct kmm_tree *tree, kmm_word len, kmm_word low, kmm_word high, kmm_word *at)
{
	const struct kmm_tree_node *node[KMM_TREE_LEVELS];
	unsigned i[KMM_TREE_LEVELS], level, top = tree->root ? tree->root->level : 0;
	kmm_word above = high;
	bool below_low = !tree->root;

	level = top;
	node[level] = tree->root;
	i[level] = tree->root ? tree->root->nr : 0;
	while (!below_low && level <= top) {
		const struct kmm_tree_node *n = node[level];
		unsigned j;

		if (i[level] == 0) {
			level++;
			continue;
		}
		j = --i[level];
		if (fits(larger(n->b[j], low), above, len)) {
			*at = above - len;
			return true;
		}
		below_low = n->a[j] <= low;
		if (n->level > 0 && n->gap[j] >= len && n->a[j] < above) {
			node[--level] = n->item[j];
			i[level] = node[level]->nr;
			below_low = false;
		} else {
			above = smaller(above, n->a[j]);
		}
	}
	*at = above - len;
	return fits(low, above, len);
}

/* The mirror image: `below` is where the nearest thing below the current item ends. */
bool kmm_tree_hole_up(const struct kmm_tree *tree, kmm_word len, kmm_word low, kmm_word high, kmm_word *at)
{
	const struct kmm_tree_node *node[KMM_TREE_LEVELS];
	unsigned i[KMM_TREE_LEVELS], level, top = tree->root ? tree->root->level : 0;
	kmm_word below = low;
	bool above_high = !tree->root;

	level = top;
	node[level] = tree->root;
	i[level] = 0;
	while (!above_high && level <= top) {
		const struct kmm_tree_node *n = node[level];
		unsigned j = i[level];

		if (j == n->nr) {
			level++;
			continue;
		}
		i[level]++;
		if (fits(below, smaller(n->a[j], high), len)) {
			*at = below;
			return true;
		}
		above_high = n->b[j] >= high;
		if (n->level > 0 && n->gap[j] >= len && n->b[j] > below) {
			node[--level] = n->item[j];
			i[level] = 0;
			above_high = false;
		} else {
			below = larger(below, n->b[j]);
		}
	}
	*at = below;
	return fits(below, high, len);
}
