/* SPDX-License-Identifier: MIT */
/*
 * The checker of groups: what the counters say is what descriptors and slots say, group by group and up the tree.
 */
#include "group/group.h"

#include "base/printf.h"

/* The tree may be walked without q: nothing else runs. */
static struct kmm_group *at(struct kmm *k, unsigned id) { return id <= KMM_MAX_GROUPS ? k->groups->table[id] : NULL; }

/* What is found on the way through all descriptors. */
struct count {
	struct kmm *k;
	struct kmm_sink *out;
	unsigned bad;
};

static void count_page(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr)
{
	struct count *count = arg;
	struct kmm *k = count->k;
	struct kmm_group *g;

	(void)nr;
	if (!kmm_page_is_charged(page))
		return;
	g = at(k, page->b);
	if (!g) {
		count->bad++;
		if (count->out)
			kmm_printf(count->out, "pfn %llu: charged to group %u, which is none\n", (unsigned long long)pfn.v,
				   (unsigned)page->b);
		return;
	}
	g->seen++;
	if (!(g->chunks[(pfn.v >> k->groups->chunk_shift) / KMM_BITS] >> ((pfn.v >> k->groups->chunk_shift) % KMM_BITS) & 1))
		g->seen++; /* its hand would never meet it */
}

void kmm_group_check_begin(struct kmm *k)
{
	for (unsigned id = 1; k->groups && id <= KMM_MAX_GROUPS; id++)
		if (at(k, id))
			at(k, id)->seen = at(k, id)->seen_swap = 0;
}

void kmm_group_check_slot(struct kmm *k, uint32_t id)
{
	if (k->groups && at(k, id))
		at(k, id)->seen_swap++;
}

static unsigned complain(struct kmm_sink *out, const struct kmm_group *g, const char *what, kmm_word found, kmm_word said)
{
	if (out)
		kmm_printf(out, "group %u: %s: %llu found, %llu counted\n", (unsigned)g->id, what, (unsigned long long)found,
			   (unsigned long long)said);
	return 1;
}

/* Of the group itself. */
static unsigned check_own(const struct kmm_group *g, struct kmm_sink *out)
{
	kmm_word own = g->own[KMM_GROUP_ANON] + g->own[KMM_GROUP_FILE];
	unsigned bad = 0;

	if (g->seen != own)
		bad += complain(out, g, "pages charged", g->seen, own);
	if (g->seen_swap != g->own_swap)
		bad += complain(out, g, "slots charged", g->seen_swap, g->own_swap);
	if (g->own[KMM_GROUP_SHMEM] > g->own[KMM_GROUP_FILE])
		bad += complain(out, g, "pages of shared memory", g->own[KMM_GROUP_FILE], g->own[KMM_GROUP_SHMEM]);
	if (g->refs < g->spaces || (g->offline && g->spaces))
		bad += complain(out, g, "spaces", g->spaces, g->refs);
	return bad;
}

/* With those below it. */
static unsigned check_sums(struct kmm *k, const struct kmm_group *g, struct kmm_sink *out)
{
	kmm_word pages = 0, swap = 0;
	unsigned bad = 0;

	for (unsigned id = 1; id <= KMM_MAX_GROUPS; id++)
		if (at(k, id) && kmm_group_is_below(at(k, id), g)) {
			pages += at(k, id)->own[KMM_GROUP_ANON] + at(k, id)->own[KMM_GROUP_FILE];
			swap += at(k, id)->own_swap;
		}
	if (pages != kmm_group_pages(g))
		bad += complain(out, g, "pages of the tree", pages, kmm_group_pages(g));
	if (g->writing) /* transfers were waited for */
		bad += complain(out, g, "pages on their way", 0, g->writing);
	if (swap != g->swap)
		bad += complain(out, g, "slots of the tree", swap, g->swap);
	return bad;
}

unsigned kmm_group_check_end(struct kmm *k, struct kmm_sink *out)
{
	struct count count = { k, out, 0 };
	unsigned bad, nr = 0;

	if (!k->groups)
		return 0;
	kmm_phys_for_each(k, count_page, &count);
	bad = count.bad;
	for (unsigned id = 1; id <= KMM_MAX_GROUPS; id++) {
		if (!at(k, id))
			continue;
		nr++;
		bad += check_own(at(k, id), out) + check_sums(k, at(k, id), out);
		bad += at(k, id)->id != id;
	}
	if (nr != k->groups->nr)
		bad++;
	return bad;
}
