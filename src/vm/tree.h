/* SPDX-License-Identifier: MIT */
/*
 * The index of a space's VMAs: a B+tree by address whose nodes also know the largest hole below them.
 *
 *	node: b[15] last end, nr, level | a[15] first address | item[15] | gap[15] largest hole inside
 *
 * Leaves (level 0) hold VMAs; there a and b are start and end, and gap is not used: nothing is inside. Both kinds of
 * node are searched by the same code. Holes between two items of a node are not stored but seen: a[i+1] - b[i].
 * A lookup reads one array of keys (two cache lines: nodes are aligned) per level and never backs up.
 *
 * Memory: inserting can need nodes. They come from the tree's spare list, filled beforehand by kmm_tree_fill() with
 * the number that kmm_tree_need() says, so that changes themselves cannot fail. Nodes that fall empty become spare.
 *
 * Invariants (kmm_tree_check): items sorted and disjoint; b behind the last item above every address; every node but the root has an item; summaries true;
 * all leaves at one depth.
 *
 * Locks: the space's, and kmm_tree_peek() without it. A change makes seq odd, writes words of nodes one by one as
 * releases, and makes seq even. A peek loads them with acquire and looks at seq again before it follows what it found:
 * if it saw any word of a change, it sees that seq is another one. So it never follows a pointer that was not the
 * index's at some moment during the walk in which it runs, and what it follows is memory of that sort until the walk ends.
 */
#ifndef KMM_VM_TREE_H
#define KMM_VM_TREE_H

#include "vm/vm.h"

struct kmm_vma;

enum { KMM_TREE_ITEMS = 15, KMM_TREE_LEVELS = 10, KMM_TREE_ALIGN = 64, KMM_TREE_KEEP = 1 /* spare nodes of a space at rest */ };

struct kmm_tree_node {
	kmm_word b[KMM_TREE_ITEMS];
	uint32_t nr;
	uint32_t level;
	kmm_word a[KMM_TREE_ITEMS];
	void *item[KMM_TREE_ITEMS];   /* VMA, or node of the next lower level */
	kmm_word gap[KMM_TREE_ITEMS]; /* undefined in leaves */
};

struct kmm_tree_path {
	unsigned levels;
	struct kmm_tree_node *node[KMM_TREE_LEVELS]; /* by level, 0 the leaf */
	unsigned at[KMM_TREE_LEVELS];
};

struct kmm_tree {
	struct kmm_tree_node *root;  /* NULL: empty */
	struct kmm_tree_node *leaf;  /* where the last cut or join was, linked; or NULL */
	uint32_t seq;                /* odd while a change is under way */
	struct kmm_tree_node *spare; /* chained by item[0] */
	unsigned nr_spare;
	/* The way to a place, while seq is as it was: who asks what an insertion needs, inserts there next. */
	struct kmm_tree_path path;
	kmm_word path_addr;
	uint32_t path_seq;
};

/* The first VMA whose end lies above addr; NULL: none. */
struct kmm_vma *kmm_tree_find(const struct kmm_tree *tree, kmm_word addr);

/* In a walk (pt/walking.h), without the space's lock: the same, but NULL also when the index changes meanwhile. */
struct kmm_vma *kmm_tree_peek(const struct kmm_tree *tree, kmm_word addr);

/* Spare nodes that nr insertions could use where the first VMA ending above `at` is, also when VMAs below `at`
 * were erased before. Needs of different places add up. */
unsigned kmm_tree_need(struct kmm_tree *tree, kmm_word at, unsigned nr);
/* Tops the spare nodes up to nr. errors: KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_tree_fill(struct kmm *k, struct kmm_tree *tree, unsigned nr);
/* Gives spare nodes back, all but `keep`. */
void kmm_tree_trim(struct kmm *k, struct kmm_tree *tree, unsigned keep);
/* Forgets all VMAs and frees all nodes. */
void kmm_tree_clear(struct kmm *k, struct kmm_tree *tree);

/* vma is the area at [start, end), which must be a hole. Uses spare nodes. Neither this nor erasing looks into vma: among many
 * areas that would be one more miss. */
void kmm_tree_insert(struct kmm *k, struct kmm_tree *tree, struct kmm_vma *vma, kmm_word start, kmm_word end);
/* vma begins at start. */
void kmm_tree_erase(struct kmm *k, struct kmm_tree *tree, struct kmm_vma *vma, kmm_word start);
/* Gives vma another range, which must not reach beyond its neighbours. Sets vma->start and vma->end. */
void kmm_tree_resize(struct kmm *k, struct kmm_tree *tree, struct kmm_vma *vma, kmm_word start, kmm_word end);

/* vma ends where tail, an area of its own, begins and goes on to vma's old end. Uses spare nodes, as an insertion. */
void kmm_tree_cut(struct kmm *k, struct kmm_tree *tree, struct kmm_vma *vma, struct kmm_vma *tail);
/* vma takes over the range of gone, which begins where vma ends. */
void kmm_tree_join(struct kmm *k, struct kmm_tree *tree, struct kmm_vma *vma, struct kmm_vma *gone);

/* The highest (lowest) hole of len bytes within [low, high); len > 0. *at: the hole's last (first) len bytes.
 * false: there is none. */
bool kmm_tree_hole_down(const struct kmm_tree *tree, kmm_word len, kmm_word low, kmm_word high, kmm_word *at);
bool kmm_tree_hole_up(const struct kmm_tree *tree, kmm_word len, kmm_word low, kmm_word high, kmm_word *at);

/* Compares the tree with the list of VMAs in order; returns violations, a line for each. */
unsigned kmm_tree_check(const struct kmm_tree *tree, const struct kmm_list *vmas, struct kmm_sink *out);

#endif
