/* SPDX-License-Identifier: MIT */
#include "vm/tree.h"

#include "harness/space.h"

/* Areas on a line of SLOTS pages, against an array that says which area each page belongs to. */
enum { SLOTS = 3000, MAX_AREAS = 1500 };
#define BASE ((kmm_word)0x10000000)

struct line {
	struct kmm *k;
	struct kmm_tree tree;
	struct kmm_list vmas;
	struct kmm_vma area[MAX_AREAS];
	int free_area[MAX_AREAS], nr_free;
	int owner[SLOTS]; /* area number, or -1 */
};

static kmm_word address(unsigned slot) { return BASE + ((kmm_word)slot << KMM_PAGE_SHIFT); }

static void line_init(struct line *l, struct kmm *k)
{
	memset(l, 0, sizeof(*l));
	l->k = k;
	kmm_list_init(&l->vmas);
	for (int i = 0; i < SLOTS; i++)
		l->owner[i] = -1;
	for (int i = MAX_AREAS; i-- > 0;)
		l->free_area[l->nr_free++] = i;
}

/* The model's answer: the first area that ends above the slot. */
static struct kmm_vma *model_find(struct line *l, unsigned slot)
{
	for (; slot < SLOTS; slot++)
		if (l->owner[slot] >= 0)
			return &l->area[l->owner[slot]];
	return NULL;
}

static void link_in_order(struct line *l, struct kmm_vma *vma, struct kmm_vma *next)
{
	kmm_list_add_before(next ? &next->link : &l->vmas, &vma->link);
}

static void insert(struct line *l, unsigned slot, unsigned nr)
{
	int n = l->free_area[--l->nr_free];
	struct kmm_vma *vma = &l->area[n];
	unsigned need;

	*vma = (struct kmm_vma){ .start = address(slot), .end = address(slot + nr) };
	need = kmm_tree_need(&l->tree, vma->end, 1);
	CHECK_OK(kmm_tree_fill(l->k, &l->tree, need));
	link_in_order(l, vma, model_find(l, slot));
	kmm_tree_insert(l->k, &l->tree, vma, vma->start, vma->end);
	for (unsigned i = slot; i < slot + nr; i++)
		l->owner[i] = n;
	if (l->tree.nr_spare > 8)
		kmm_tree_trim(l->k, &l->tree, 0);
}

static void erase(struct line *l, int n)
{
	struct kmm_vma *vma = &l->area[n];
	unsigned slot = (unsigned)((vma->start - BASE) >> KMM_PAGE_SHIFT);

	kmm_tree_erase(l->k, &l->tree, vma, vma->start);
	kmm_list_del(&vma->link);
	for (; slot < SLOTS && l->owner[slot] == n; slot++)
		l->owner[slot] = -1;
	l->free_area[l->nr_free++] = n;
}

/* Takes a page off one end, or adds one. */
static void resize(struct line *l, int n, uint64_t dice)
{
	struct kmm_vma *vma = &l->area[n];
	unsigned first = (unsigned)((vma->start - BASE) >> KMM_PAGE_SHIFT);
	unsigned end = (unsigned)((vma->end - BASE) >> KMM_PAGE_SHIFT);

	if ((dice & 1) && end - first > 1)
		l->owner[dice & 2 ? first++ : --end] = -1;
	else if ((dice & 2) && first > 0 && l->owner[first - 1] < 0)
		l->owner[--first] = n;
	else if (end < SLOTS && l->owner[end] < 0)
		l->owner[end++] = n;
	kmm_tree_resize(l->k, &l->tree, vma, address(first), address(end));
}

/* A page or more of area n becomes an area of its own. */
static void cut(struct line *l, int n, uint64_t dice)
{
	struct kmm_vma *vma = &l->area[n], *tail;
	unsigned first = (unsigned)((vma->start - BASE) >> KMM_PAGE_SHIFT), end = (unsigned)((vma->end - BASE) >> KMM_PAGE_SHIFT);
	unsigned at = first + 1 + (unsigned)(dice % (end - first - 1));
	int m = l->free_area[--l->nr_free];

	tail = &l->area[m];
	*tail = (struct kmm_vma){ .start = address(at), .end = vma->end };
	CHECK_OK(kmm_tree_fill(l->k, &l->tree, kmm_tree_need(&l->tree, vma->start, 1)));
	kmm_list_add_before(vma->link.next, &tail->link);
	kmm_tree_cut(l->k, &l->tree, vma, tail);
	CHECK_EQ(vma->end, tail->start);
	for (unsigned i = at; i < end; i++)
		l->owner[i] = m;
}

/* Area n takes over its neighbour, if they touch. */
static void join(struct line *l, int n)
{
	struct kmm_vma *vma = &l->area[n], *gone;
	kmm_word end;

	if (vma->link.next == &l->vmas)
		return;
	gone = kmm_container(vma->link.next, struct kmm_vma, link);
	end = gone->end;
	if (gone->start != vma->end)
		return;
	kmm_list_del(&gone->link);
	for (kmm_word a = gone->start; a < end; a += KMM_PAGE_SIZE)
		l->owner[(a - BASE) >> KMM_PAGE_SHIFT] = n;
	kmm_tree_join(l->k, &l->tree, vma, gone);
	CHECK_EQ(vma->end, end);
	l->free_area[l->nr_free++] = (int)(gone - l->area);
}

static void step(struct line *l, uint64_t *seed, unsigned fullness)
{
	unsigned slot = (unsigned)(kmm_test_rand(seed) % SLOTS), nr = 1 + (unsigned)(kmm_test_rand(seed) % 3), free = 0;
	int n = l->owner[slot];

	while (free < nr && slot + free < SLOTS && l->owner[slot + free] < 0)
		free++;
	if (n >= 0 && kmm_test_rand(seed) % 3 == 0)
		resize(l, n, kmm_test_rand(seed));
	else if (n >= 0 && l->nr_free && l->area[n].end - l->area[n].start > KMM_PAGE_SIZE && kmm_test_rand(seed) % 2)
		CALL(cut(l, n, kmm_test_rand(seed)));
	else if (n >= 0 && kmm_test_rand(seed) % 3 == 0)
		CALL(join(l, n));
	else if (n >= 0 && kmm_test_rand(seed) % 100 >= fullness)
		erase(l, n);
	else if (free && l->nr_free && kmm_test_rand(seed) % 100 < fullness)
		CALL(insert(l, slot, free));
}

static void check_finds(struct line *l, uint64_t *seed)
{
	for (unsigned i = 0; i < 20; i++) {
		unsigned slot = (unsigned)(kmm_test_rand(seed) % SLOTS);

		CHECK_PTR(kmm_tree_find(&l->tree, address(slot) + 5), model_find(l, slot));
	}
}

/* Highest and lowest hole by looking at every slot. */
static bool model_hole(const struct line *l, unsigned nr, unsigned low, unsigned high, bool down, unsigned *at)
{
	bool found = false;

	for (unsigned slot = low, run = 0; slot < high; slot++) {
		run = l->owner[slot] < 0 ? run + 1 : 0;
		if (run >= nr && (down || !found)) {
			*at = slot + 1 - nr;
			found = true;
		}
	}
	return found;
}

static void check_holes(struct line *l, uint64_t *seed)
{
	for (unsigned i = 0; i < 10; i++) {
		unsigned nr = 1 + (unsigned)(kmm_test_rand(seed) % 6), x = (unsigned)(kmm_test_rand(seed) % SLOTS);
		unsigned y = (unsigned)(kmm_test_rand(seed) % SLOTS), low = x < y ? x : y, high = x < y ? y : x, want = 0;
		kmm_word at, len = (kmm_word)nr << KMM_PAGE_SHIFT;
		bool found;

		found = model_hole(l, nr, low, high, true, &want);
		CHECK_EQ(kmm_tree_hole_down(&l->tree, len, address(low), address(high), &at), found);
		if (found)
			CHECK_EQ(at, address(want));
		found = model_hole(l, nr, low, high, false, &want);
		CHECK_EQ(kmm_tree_hole_up(&l->tree, len, address(low), address(high), &at), found);
		if (found)
			CHECK_EQ(at, address(want));
	}
}

static void run(struct line *l, uint64_t *seed, unsigned steps, unsigned fullness)
{
	struct hosted_file_sink err;

	for (unsigned i = 0; i < steps; i++) {
		CALL(step(l, seed, fullness));
		if (i % 8 == 0) {
			CHECK_EQ(kmm_tree_check(&l->tree, &l->vmas, hosted_file_sink(&err, stdout)), 0);
			CALL(check_finds(l, seed));
			CALL(check_holes(l, seed));
		}
	}
}

KMM_TEST(vma_tree_random)
{
	static struct line line;
	uint64_t seed = kmm_test_seed();
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	line_init(&line, s.k);
	CALL(run(&line, &seed, 4000, 90)); /* fills */
	CALL(run(&line, &seed, 4000, 50));
	CALL(run(&line, &seed, 4000, 10)); /* empties */
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (line.owner[slot] >= 0)
			erase(&line, line.owner[slot]);
	CHECK(line.tree.root == NULL);
	kmm_tree_trim(s.k, &line.tree, 0);
	CALL(space_stop(&s));
}

/* Filling in one direction leaves full nodes: n areas need about n/15 leaves. */
static void fill_in_order(struct line *l, bool upward)
{
	unsigned nodes = 0, areas = 1400;
	struct kmm_tree_node *node;

	for (unsigned i = 0; i < areas; i++)
		CALL(insert(l, upward ? i * 2 : (areas - i) * 2, 1));
	for (node = l->tree.root; node->level > 1;)
		node = node->item[0];
	nodes = node->nr;
	CHECK(nodes >= KMM_TREE_ITEMS - 1 || l->tree.root->level == 1);
	CHECK_EQ(l->tree.root->level, 2);
	CHECK_EQ(kmm_tree_check(&l->tree, &l->vmas, NULL), 0);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (l->owner[slot] >= 0)
			erase(l, l->owner[slot]);
	CHECK(l->tree.root == NULL);
}

KMM_TEST(vma_tree_fills_in_order)
{
	static struct line line;
	struct space s;

	CALL(space_start(&s, KMM_I386));
	line_init(&line, s.k);
	CALL(fill_in_order(&line, true));
	CALL(fill_in_order(&line, false));
	kmm_tree_trim(s.k, &line.tree, 0);
	CALL(space_stop(&s));
}
