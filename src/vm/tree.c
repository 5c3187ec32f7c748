/* SPDX-License-Identifier: MIT */
/*
 * Searching and changing the VMA index. Changes go down once, noting the path, and come up once, repairing
 * summaries until one did not change.
 *
 * Splitting: in the middle, but at the very end of a node where addresses go up, and at its very start where
 * they go down, so that spaces filled in one direction get full nodes.
 * Merging: a node that falls to a third joins a neighbour under the same parent when both fit with room to spare.
 * Insertions after erasures at the same place therefore need no more nodes than the erasures freed.
 *
 * Summaries: a change says which holes went and which came. A node's largest hole is looked for among all only when it was
 * one of those that went and none as large came; splitting and joining nodes moves holes up and down, but makes none.
 */
#include "vm/tree.h"

#include "vm/mm.h"

/* Ends above every address: the key of places behind the last item. */
#define NO_KEY (~(kmm_word)0)

enum { MERGE_AT = KMM_TREE_ITEMS / 3, MERGED_MOST = KMM_TREE_ITEMS - 3 };

struct summary {
	kmm_word a, b, gap;
};

/* ---- changes as peeks see them ---- */

/* A word of a node or an area, in one piece and after the odd sequence. */
static inline void put_word(kmm_word *to, kmm_word value) { __atomic_store_n(to, value, __ATOMIC_RELEASE); }
static inline void put_item_ptr(void **to, void *value) { __atomic_store_n(to, value, __ATOMIC_RELEASE); }
static inline void put_count(uint32_t *to, uint32_t value) { __atomic_store_n(to, value, __ATOMIC_RELEASE); }

static void begin_change(struct kmm_tree *tree) { put_count(&tree->seq, tree->seq + 1); }
static void end_change(struct kmm_tree *tree) { put_count(&tree->seq, tree->seq + 1); }

/* key_index() for a peek. */
static unsigned peek_index(const struct kmm_tree_node *node, kmm_word addr)
{
	unsigned i = __atomic_load_n(&node->b[7], __ATOMIC_ACQUIRE) <= addr ? 8 : 0;

	while (i < KMM_TREE_ITEMS && __atomic_load_n(&node->b[i], __ATOMIC_ACQUIRE) <= addr)
		i++;
	return i < __atomic_load_n(&node->nr, __ATOMIC_ACQUIRE) ? i : KMM_TREE_ITEMS;
}

struct kmm_vma *kmm_tree_peek(const struct kmm_tree *tree, kmm_word addr)
{
	uint32_t seq = __atomic_load_n(&tree->seq, __ATOMIC_ACQUIRE);
	void *item = __atomic_load_n(&tree->root, __ATOMIC_ACQUIRE);
	bool is_node = true;

	while (item && !(seq & 1) && __atomic_load_n(&tree->seq, __ATOMIC_RELAXED) == seq) {
		const struct kmm_tree_node *node = item;
		unsigned i;

		if (!is_node)
			return item;
		i = peek_index(node, addr);
		if (i == KMM_TREE_ITEMS)
			return NULL;
		is_node = __atomic_load_n(&node->level, __ATOMIC_ACQUIRE) > 0;
		item = __atomic_load_n(&node->item[i], __ATOMIC_ACQUIRE);
	}
	return NULL;
}

/* ---- searching ---- */

/* How many of these seven end at or below addr? Sorted or not, all are looked at: no branch depends on them. */
static unsigned count_below(const kmm_word *b, kmm_word addr)
{
	return (unsigned)(b[0] <= addr) + (b[1] <= addr) + (b[2] <= addr) + (b[3] <= addr) + (b[4] <= addr) +
	       (b[5] <= addr) + (b[6] <= addr);
}

_Static_assert(KMM_TREE_ITEMS == 15, "both below take them as seven, one, seven");

/* First item that ends above addr; nr when none does, because the places behind hold NO_KEY. A branch that is guessed wrong
 * half of the time; yet a change, which waits for the next level all the same, is a tenth slower without it. */
static unsigned key_index(const struct kmm_tree_node *node, kmm_word addr)
{
	return node->b[7] <= addr ? 8 + count_below(node->b + 8, addr) : count_below(node->b, addr);
}

/* The same without a branch, for lookups, of which the processor has several under way: a fifth faster. */
static unsigned key_index_even(const struct kmm_tree_node *node, kmm_word addr)
{
	unsigned half = (unsigned)(node->b[7] <= addr) * 8;

	return half + count_below(node->b + half, addr);
}

/* In a large index a leaf comes from far away: its keys and its items at once, not the one after the other. */
static inline void fetch_leaf(const struct kmm_tree_node *leaf)
{
	__builtin_prefetch(&leaf->b[0]);
	__builtin_prefetch(&leaf->b[8]);
	__builtin_prefetch(&leaf->item[0]);
	__builtin_prefetch(&leaf->item[8]);
}

struct kmm_vma *kmm_tree_find(const struct kmm_tree *tree, kmm_word addr)
{
	const struct kmm_tree_node *node = tree->root;

	while (node) {
		unsigned i = key_index_even(node, addr);

		if (i == node->nr)
			return NULL;
		if (node->level == 0)
			return node->item[i];
		if (node->level == 1)
			fetch_leaf(node->item[i]);
		node = node->item[i];
	}
	return NULL;
}

/* As find, but past the end the path leads to the place behind the last item. The tree is not empty. */
static void descend(const struct kmm_tree *tree, kmm_word addr, struct kmm_tree_path *path)
{
	struct kmm_tree_node *node = tree->root;

	path->levels = node->level + 1;
	for (;;) {
		unsigned i = key_index(node, addr);

		if (i == node->nr && node->level > 0)
			i--;
		path->node[node->level] = node;
		path->at[node->level] = i;
		if (node->level == 0)
			return;
		if (node->level == 1) {
			fetch_leaf(node->item[i]);
			__builtin_prefetch(&((struct kmm_tree_node *)node->item[i])->a[0]);
			__builtin_prefetch(&((struct kmm_tree_node *)node->item[i])->a[8]);
			__builtin_prefetch(&node->a[i]); /* what is repaired on the way up */
			__builtin_prefetch(&node->gap[i]);
		}
		node = node->item[i];
	}
}

/* Does the path that is kept lead to where addr belongs? */
static bool is_kept(const struct kmm_tree *tree, kmm_word addr)
{
	const struct kmm_tree_node *leaf = tree->path.node[0];
	unsigned i = tree->path.at[0];

	if (tree->path.levels == 0 || tree->path_seq != tree->seq)
		return false;
	return addr == tree->path_addr || (i > 0 && leaf->b[i - 1] <= addr && i < leaf->nr && addr < leaf->b[i]);
}

/* descend(), or the path that is there already. Valid until the next change, which may use it up. */
static struct kmm_tree_path *find_path(struct kmm_tree *tree, kmm_word addr)
{
	if (!is_kept(tree, addr)) {
		descend(tree, addr, &tree->path);
		tree->path_addr = addr;
		tree->path_seq = tree->seq;
	}
	return &tree->path;
}

/* The leaf whose items reach from addr or below to above it, and the item found there. A call that cuts an area, and
 * the next that joins it again, ask for one leaf over and over. */
static inline struct kmm_tree_node *leaf_at(struct kmm_tree *tree, kmm_word addr, unsigned *i)
{
	struct kmm_tree_node *leaf = tree->leaf;
	struct kmm_tree_path path;

	if (leaf && leaf->a[0] <= addr && addr < leaf->b[leaf->nr - 1]) {
		*i = key_index(leaf, addr);
		return leaf;
	}
	descend(tree, addr, &path);
	*i = path.at[0];
	return tree->leaf = path.node[0];
}

/* ---- spare nodes ---- */

/* Nodes for nr insertions into the leaf at the end of the path. */
static unsigned need_along(const struct kmm_tree_path *path, unsigned nr)
{
	unsigned nodes = 2; /* the leaf's other half and, at worst, a new root */

	if (path->node[0]->nr + nr <= KMM_TREE_ITEMS)
		return 0;
	for (unsigned level = 1; level < path->levels && path->node[level]->nr + nr > KMM_TREE_ITEMS; level++)
		nodes++;
	return nr * nodes;
}

/* When the VMA at the place shrinks first, or goes, what is put behind it can fall to the next leaf. */
unsigned kmm_tree_need(struct kmm_tree *tree, kmm_word at, unsigned nr)
{
	const struct kmm_tree_node *leaf;
	const struct kmm_tree_path *here;
	struct kmm_tree_path path;
	unsigned nodes;

	if (!tree->root || nr == 0)
		return nr ? 1 : 0;
	leaf = tree->leaf;
	if (leaf && leaf->nr + nr <= KMM_TREE_ITEMS && leaf->a[0] <= at && at < leaf->a[leaf->nr - 1])
		return 0;
	here = find_path(tree, at);
	leaf = here->node[0];
	nodes = need_along(here, nr);
	if (here->at[0] + 1 >= leaf->nr) {
		descend(tree, leaf->b[leaf->nr - 1], &path);
		if (path.node[0] != leaf)
			nodes += need_along(&path, nr);
	}
	return nodes;
}

static void push_spare(struct kmm_tree *tree, struct kmm_tree_node *node)
{
	if (tree->leaf == node)
		tree->leaf = NULL;
	put_item_ptr(&node->item[0], tree->spare);
	tree->spare = node;
	tree->nr_spare++;
}

static struct kmm_tree_node *take_spare(struct kmm *k, struct kmm_tree *tree, unsigned level)
{
	struct kmm_tree_node *node = tree->spare;

	KMM_ASSERT(k, node != NULL && level < KMM_TREE_LEVELS);
	tree->spare = node->item[0];
	tree->nr_spare--;
	put_count(&node->level, level);
	if (node->nr == 0) /* fell empty item by item, and each left NO_KEY behind */
		return node;
	put_count(&node->nr, 0);
	for (unsigned i = 0; i < KMM_TREE_ITEMS; i++)
		put_word(&node->b[i], NO_KEY);
	return node;
}

enum kmm_status kmm_tree_fill(struct kmm *k, struct kmm_tree *tree, unsigned nr)
{
	while (tree->nr_spare < nr) {
		struct kmm_tree_node *node = kmm_cache_alloc(k, k->vm->node_cache, KMM_GFP_KERNEL);

		if (!node)
			return KMM_ENOMEM;
		node->nr = KMM_TREE_ITEMS; /* as if it were full: its keys are not yet what they should be */
		push_spare(tree, node);
	}
	return KMM_OK;
}

void kmm_tree_trim(struct kmm *k, struct kmm_tree *tree, unsigned keep)
{
	while (tree->nr_spare > keep) {
		struct kmm_tree_node *node = tree->spare;

		tree->spare = node->item[0];
		tree->nr_spare--;
		kmm_cache_free(k, k->vm->node_cache, node);
	}
}

/* Down to a leaf by last items, which go as their nodes do: no place to come back to need be kept. */
void kmm_tree_clear(struct kmm *k, struct kmm_tree *tree)
{
	struct kmm_tree_node *root = tree->root, *up[KMM_TREE_LEVELS], *node = root;

	tree->root = NULL;
	tree->path.levels = 0;
	while (node) {
		struct kmm_tree_node *done = node;

		if (node->level > 0 && node->nr > 0) {
			up[node->level] = node;
			node = node->item[--node->nr];
			continue;
		}
		node = done == root ? NULL : up[done->level + 1];
		push_spare(tree, done);
	}
	kmm_tree_trim(k, tree, 0);
}

/* ---- items and summaries ---- */

static kmm_word larger(kmm_word x, kmm_word y) { return x > y ? x : y; }

static struct summary sum_up(const struct kmm_tree_node *node)
{
	struct summary sum = { node->a[0], node->b[node->nr - 1], 0 };

	for (unsigned i = 1; i < node->nr; i++)
		sum.gap = larger(sum.gap, node->a[i] - node->b[i - 1]);
	for (unsigned i = 0; node->level > 0 && i < node->nr; i++)
		sum.gap = larger(sum.gap, node->gap[i]);
	return sum;
}

static inline void copy_item(struct kmm_tree_node *to, unsigned ti, const struct kmm_tree_node *from, unsigned fi)
{
	put_word(&to->a[ti], from->a[fi]);
	put_word(&to->b[ti], from->b[fi]);
	put_item_ptr(&to->item[ti], from->item[fi]);
}

/* To a place further left, or in another node. */
static void move_items(struct kmm_tree_node *to, unsigned ti, const struct kmm_tree_node *from, unsigned fi, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		copy_item(to, ti + i, from, fi + i);
	for (unsigned i = 0; from->level > 0 && i < nr; i++)
		put_word(&to->gap[ti + i], from->gap[fi + i]);
}

static void set_summary(struct kmm_tree_node *node, unsigned i, struct summary sum)
{
	put_word(&node->a[i], sum.a);
	put_word(&node->b[i], sum.b);
	if (node->level > 0)
		put_word(&node->gap[i], sum.gap);
}

static void put_item(struct kmm_tree_node *node, unsigned i, struct summary sum, void *item)
{
	for (unsigned n = node->nr; n > i; n--)
		copy_item(node, n, node, n - 1);
	for (unsigned n = node->nr; node->level > 0 && n > i; n--)
		put_word(&node->gap[n], node->gap[n - 1]);
	put_count(&node->nr, node->nr + 1);
	set_summary(node, i, sum);
	put_item_ptr(&node->item[i], item);
}

static void drop_item(struct kmm_tree_node *node, unsigned i)
{
	put_count(&node->nr, node->nr - 1);
	move_items(node, i, node, i + 1, node->nr - i);
	put_word(&node->b[node->nr], NO_KEY);
}

/* ---- holes ---- */

/* What a change did to the holes within a node: the largest that is there no more, the largest that is there now; 0: none. */
struct holes {
	kmm_word gone, come;
};

static inline void hole_went(struct holes *h, kmm_word hole) { h->gone = larger(h->gone, hole); }
static inline void hole_came(struct holes *h, kmm_word hole) { h->come = larger(h->come, hole); }

/* The largest hole of a node, which was `was` before the change. All of them are looked at only when it took that. */
static kmm_word largest_after(const struct kmm_tree_node *node, kmm_word was, struct holes h)
{
	if (h.come >= was)
		return h.come;
	return h.gone == was ? sum_up(node).gap : was;
}

/* An item is to be put at i, or is about to go from there: the hole around its place, and those beside and inside it. */
static struct holes around(const struct kmm_tree_node *node, unsigned i, unsigned next, struct summary item, bool is_new)
{
	bool has_prev = i > 0, has_next = next < node->nr;
	kmm_word whole = has_prev && has_next ? node->a[next] - node->b[i - 1] : 0, part = item.gap;

	if (has_prev)
		part = larger(part, item.a - node->b[i - 1]);
	if (has_next)
		part = larger(part, node->a[next] - item.b);
	return is_new ? (struct holes){ whole, part } : (struct holes){ part, whole };
}

static struct summary summary_at(const struct kmm_tree_node *node, unsigned i)
{
	return (struct summary){ node->a[i], node->b[i], node->level > 0 ? node->gap[i] : 0 };
}

/* Item i of the node is `now` what it says: changes that. true: it was something else; *h becomes what that did to the
 * holes of the node. */
static bool change_item(struct kmm_tree_node *node, unsigned i, struct summary now, struct holes *h)
{
	struct summary was = summary_at(node, i);

	*h = (struct holes){ 0, 0 };
	if (was.a == now.a && was.b == now.b && was.gap == now.gap)
		return false;
	if (was.gap != now.gap)
		*h = (struct holes){ was.gap, now.gap };
	if (was.a != now.a && i > 0) {
		hole_went(h, was.a - node->b[i - 1]);
		hole_came(h, now.a - node->b[i - 1]);
	}
	if (was.b != now.b && i + 1 < node->nr) {
		hole_went(h, node->a[i + 1] - was.b);
		hole_came(h, node->a[i + 1] - now.b);
	}
	set_summary(node, i, now);
	return true;
}

/* What the parent at `level` should know of the node below it, in which holes changed. */
static struct summary sum_changed(const struct kmm_tree_path *path, unsigned level, struct holes h)
{
	const struct kmm_tree_node *node = path->node[level - 1];
	kmm_word was = path->node[level]->gap[path->at[level]];

	return (struct summary){ node->a[0], node->b[node->nr - 1], largest_after(node, was, h) };
}

/* The node at `level` of the path has changed: repairs what lies above. */
static void repair(struct kmm_tree_path *path, unsigned level, struct holes h)
{
	while (++level < path->levels)
		if (!change_item(path->node[level], path->at[level], sum_changed(path, level, h), &h))
			return;
}

/* ---- inserting ---- */

/* Moves the upper part of a full node, split for an insertion at i, to a new right one. Returns what stays. */
static unsigned split(struct kmm_tree_node *left, struct kmm_tree_node *right, unsigned i)
{
	unsigned stays = i == left->nr ? i : i == 0 ? 0 : left->nr / 2;

	put_count(&right->nr, left->nr - stays);
	move_items(right, 0, left, stays, right->nr);
	put_count(&left->nr, stays);
	for (unsigned n = stays; n < KMM_TREE_ITEMS; n++)
		put_word(&left->b[n], NO_KEY);
	return stays;
}

static void put_root(struct kmm_tree *tree, struct kmm_tree_node *root)
{
	__atomic_store_n(&tree->root, root, __ATOMIC_RELEASE);
}

static void grow_root(struct kmm *k, struct kmm_tree *tree, struct summary left, struct summary right, void *right_node)
{
	struct kmm_tree_node *below = tree->root, *root = take_spare(k, tree, below->level + 1);

	put_item(root, 0, left, below);
	put_item(root, 1, right, right_node);
	put_root(tree, root);
}

/* What two neighbours are together. */
static struct summary join_sums(struct summary left, struct summary right)
{
	return (struct summary){ left.a, right.b, larger(larger(left.gap, right.gap), right.a - left.b) };
}

static void insert(struct kmm *k, struct kmm_tree *tree, struct kmm_vma *vma, struct summary sum, struct kmm_tree_path *path)
{
	struct summary left;
	struct holes h = { 0, 0 };
	struct kmm_tree_node *right;
	void *item = vma;

	if (path->levels > 1) /* else nobody sums up the leaf */
		h = around(path->node[0], path->at[0], path->at[0], sum, true);
	for (unsigned level = 0;; level++) {
		struct kmm_tree_node *node = path->node[level];
		unsigned i = path->at[level], stays;

		if (node->nr < KMM_TREE_ITEMS) {
			put_item(node, i, sum, item);
			repair(path, level, h);
			return;
		}
		right = take_spare(k, tree, level);
		stays = split(node, right, i);
		put_item(i < stays || stays == 0 ? node : right, i < stays ? i : i - stays, sum, item);
		left = sum_up(node);
		sum = sum_up(right);
		item = right;
		if (level + 1 == path->levels) {
			grow_root(k, tree, left, sum, right);
			return;
		}
		/* To the parent's holes it is all one whether there are two items now, or one of both. */
		change_item(path->node[level + 1], path->at[level + 1], join_sums(left, sum), &h);
		set_summary(path->node[level + 1], path->at[level + 1]++, left);
	}
}

void kmm_tree_insert(struct kmm *k, struct kmm_tree *tree, struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	struct kmm_tree_path *path;

	if (!tree->root)
		put_root(tree, take_spare(k, tree, 0)); /* empty, so whoever sees it finds nothing, as before */
	path = find_path(tree, start);
	begin_change(tree);
	insert(k, tree, vma, (struct summary){ start, end, 0 }, path);
	end_change(tree);
}

/* ---- erasing ---- */

static bool try_join(struct kmm_tree *tree, struct kmm_tree_node *parent, unsigned i)
{
	struct kmm_tree_node *left, *right;

	if (i + 1 >= parent->nr)
		return false;
	left = parent->item[i];
	right = parent->item[i + 1];
	if (left->nr + right->nr > MERGED_MOST)
		return false;
	move_items(left, left->nr, right, 0, right->nr);
	put_count(&left->nr, left->nr + right->nr);
	set_summary(parent, i, join_sums(summary_at(parent, i), summary_at(parent, i + 1)));
	drop_item(parent, i + 1);
	push_spare(tree, right);
	return true;
}

static void shrink_root(struct kmm_tree *tree)
{
	struct kmm_tree_node *root = tree->root;

	while (root->level > 0 && root->nr == 1) {
		put_root(tree, root->item[0]);
		push_spare(tree, root);
		root = tree->root;
	}
	if (root->nr == 0) {
		put_root(tree, NULL);
		push_spare(tree, root);
	}
}

/* The node at `level` of the path, not the root, has lost an item: makes its parent right. h: the holes of the node before,
 * of the parent after. false: the parent is as it was, so is all above. */
static bool settle(struct kmm_tree *tree, struct kmm_tree_path *path, unsigned level, struct holes *h)
{
	struct kmm_tree_node *node = path->node[level], *parent = path->node[level + 1];
	unsigned i = path->at[level + 1];
	bool changed;

	if (node->nr == 0) {
		*h = around(parent, i, i + 1, summary_at(parent, i), false);
		drop_item(parent, i);
		push_spare(tree, node);
		return true;
	}
	changed = change_item(parent, i, sum_changed(path, level + 1, *h), h);
	if (node->nr > MERGE_AT)
		return changed;
	return try_join(tree, parent, i) || (i > 0 && try_join(tree, parent, i - 1)) || changed;
}

void kmm_tree_erase(struct kmm *k, struct kmm_tree *tree, struct kmm_vma *vma, kmm_word start)
{
	struct kmm_tree_node *leaf;
	struct kmm_tree_path path;
	struct holes h = { 0, 0 };
	unsigned i;

	descend(tree, start, &path);
	leaf = path.node[0];
	i = path.at[0];
	KMM_ASSERT(k, i < leaf->nr && leaf->item[i] == vma);
	begin_change(tree);
	if (path.levels > 1)
		h = around(leaf, i, i + 1, (struct summary){ leaf->a[i], leaf->b[i], 0 }, false);
	drop_item(leaf, i);
	for (unsigned level = 0; level + 1 < path.levels && settle(tree, &path, level, &h); level++)
		;
	shrink_root(tree);
	end_change(tree);
}

void kmm_tree_resize(struct kmm *k, struct kmm_tree *tree, struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	struct kmm_tree_path path;
	struct holes h;

	descend(tree, vma->start, &path);
	KMM_ASSERT(k, start < end && path.at[0] < path.node[0]->nr && path.node[0]->item[path.at[0]] == vma);
	begin_change(tree);
	put_word(&vma->start, start);
	put_word(&vma->end, end);
	if (path.levels == 1)
		set_summary(path.node[0], path.at[0], (struct summary){ start, end, 0 });
	else if (change_item(path.node[0], path.at[0], (struct summary){ start, end, 0 }, &h))
		repair(&path, 0, h);
	end_change(tree);
}

/* ---- cutting and joining ---- */

/* Where nothing but the number of items changes, no sum above does: there is no hole between the two. */

void kmm_tree_cut(struct kmm *k, struct kmm_tree *tree, struct kmm_vma *vma, struct kmm_vma *tail)
{
	unsigned i;
	struct kmm_tree_node *leaf = leaf_at(tree, vma->start, &i);

	KMM_ASSERT(k, leaf->item[i] == vma && vma->start < tail->start && tail->end == vma->end);
	if (leaf->nr == KMM_TREE_ITEMS) {
		kmm_tree_resize(k, tree, vma, vma->start, tail->start);
		kmm_tree_insert(k, tree, tail, tail->start, tail->end);
		return;
	}
	begin_change(tree);
	put_word(&vma->end, tail->start);
	put_word(&leaf->b[i], tail->start);
	put_item(leaf, i + 1, (struct summary){ tail->start, tail->end, 0 }, tail);
	end_change(tree);
}

void kmm_tree_join(struct kmm *k, struct kmm_tree *tree, struct kmm_vma *vma, struct kmm_vma *gone)
{
	unsigned i;
	struct kmm_tree_node *leaf = leaf_at(tree, vma->start, &i);

	KMM_ASSERT(k, leaf->item[i] == vma && vma->end == gone->start);
	if (i + 1 == leaf->nr || (leaf != tree->root && leaf->nr - 1 <= MERGE_AT)) {
		kmm_word end = gone->end;

		kmm_tree_erase(k, tree, gone, gone->start);
		kmm_tree_resize(k, tree, vma, vma->start, end);
		return;
	}
	begin_change(tree);
	put_word(&vma->end, gone->end);
	put_word(&leaf->b[i], gone->end);
	drop_item(leaf, i + 1);
	end_change(tree);
}
