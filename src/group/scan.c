/* SPDX-License-Identifier: MIT */
/*
 * The hand of a group: over its own pages, in the order of frame numbers, through all zones.
 *
 * A group has no list of its pages: it has a bit for each chunk of frames (2 MiB, or more on machines above 64 GiB) in which a
 * page of it was charged since the hand last found none there. So a look for the pages of a small group on a large
 * machine passes by what is not its own a chunk at a time (decision 015).
 *
 * A charge marks the page first and then looks at the bit; the hand takes the bit away first and then looks at the pages.
 * Whichever comes later sees the other.
 */
#include "group/group.h"

static kmm_bits *word_of(struct kmm_group *g, kmm_word chunk) { return &g->chunks[chunk / KMM_BITS]; }
static kmm_bits bit_of(kmm_word chunk) { return (kmm_bits)1 << (chunk % KMM_BITS); }

void kmm_group_note_chunk(struct kmm_group *g, kmm_word pfn)
{
	kmm_word chunk = pfn >> g->k->groups->chunk_shift;
	kmm_bits *word = word_of(g, chunk);

	if (!(__atomic_load_n(word, __ATOMIC_SEQ_CST) & bit_of(chunk)))
		__atomic_fetch_or(word, bit_of(chunk), __ATOMIC_SEQ_CST);
}

/* What happens to be there, live or not, is a hint as everywhere: who takes the page looks again. */
static bool is_its(const struct kmm_group *g, const struct kmm_page *page)
{
	uint32_t flags = kmm_page_flags(page), kind = flags & 15;

	return (kind == KMM_KIND_ANON || kind == KMM_KIND_FILE) && (flags & KMM_PG_SORT) == KMM_PG_SORT &&
	       __atomic_load_n(&page->b, __ATOMIC_RELAXED) == g->id;
}

struct stretch {
	kmm_word pfn, end;          /* of one chunk */
	bool any;                   /* a page of the group was found */
};

/* The next of the stretch that the policy wants to see; NULL: none. */
static struct kmm_page *find(struct kmm_group *g, struct stretch *s)
{
	bool (*const skip)(struct kmm_reclaim_zone *, uint8_t) = g->k->pageq->insists ? NULL : g->k->pageq->policy->skip;

	while (s->pfn < s->end) {
		struct kmm_page *page = kmm_page_at(g->k->phys, s->pfn);

		if (!kmm_section_is_live(g->k->phys, kmm_section_of(s->pfn))) {
			s->pfn = (s->pfn | (KMM_SECTION_PAGES - 1)) + 1;
			continue;
		}
		s->pfn++;
		if (!is_its(g, page))
			continue;
		s->any = true;
		if (kmm_hand_leaves(g->k->pageq, &g->hand, kmm_page_age(page)))
			continue;
		if (kmm_page_age(page) == KMM_RECLAIM_AGE_KEPT || !skip || !skip(&g->hand.facts, kmm_page_age(page)))
			return page;
		kmm_hand_count(&g->hand, 1);
		if (g->k->pageq->policy->passed)
			g->k->pageq->policy->passed(&g->hand.facts, kmm_page_age(page), 1);
	}
	return NULL;
}

/* The rest of the chunk that the hand is in, as far as there is room for what is found. */
static unsigned search(struct kmm_group *g, kmm_word end, struct kmm_page **pages, unsigned most)
{
	kmm_word chunk = g->hand.at >> g->k->groups->chunk_shift, first = chunk << g->k->groups->chunk_shift;
	struct stretch s = { .pfn = g->hand.at, .end = end, .any = g->hand.at != first };
	struct kmm_page *page;
	unsigned nr = 0;

	if (!s.any) /* the whole of it */
		__atomic_fetch_and(word_of(g, chunk), ~bit_of(chunk), __ATOMIC_SEQ_CST);
	while (nr < most && (page = find(g, &s)) != NULL)
		pages[nr++] = page;
	if (s.any || s.pfn < end)
		__atomic_fetch_or(word_of(g, chunk), bit_of(chunk), __ATOMIC_RELAXED);
	g->hand.at = s.pfn < end ? s.pfn : end;
	return nr;
}

unsigned kmm_group_hand_next(struct kmm_group *g, kmm_word *left, struct kmm_page **pages, unsigned most)
{
	kmm_word max = g->k->phys->max_pfn;
	bool has_turned = false;
	unsigned nr = 0;

	KMM_ASSERT_HELD(g->k, &g->k->pageq->lock);
	while (*left && nr < most) {
		kmm_word chunk, end, was;

		if (g->hand.at >= max && (nr || has_turned))
			break; /* a turn ends when its pages were judged, and the caller sees each end */
		if (g->hand.at >= max) {
			has_turned = true;
			kmm_hand_turn(g->k, &g->hand);
		}
		chunk = g->hand.at >> g->k->groups->chunk_shift;
		end = (chunk + 1) << g->k->groups->chunk_shift;
		end = end < max ? end : max;
		was = g->hand.at;
		if (__atomic_load_n(word_of(g, chunk), __ATOMIC_RELAXED) & bit_of(chunk))
			nr += search(g, end, pages + nr, most - nr);
		else
			g->hand.at = end;
		*left -= g->hand.at - was < *left ? g->hand.at - was : *left;
	}
	return nr;
}

void kmm_group_refault(struct kmm *k, struct kmm_page *page, uint32_t distance, uint8_t was)
{
	struct kmm_group *g = kmm_page_group(k, page);

	if (g)
		kmm_group_count(g, KMM_GROUP_REFAULTS, 1);
	kmm_pageq_refault(k, page, g ? &g->hand : kmm_hand_of(k, kmm_zone_of(k->phys, page)), distance, was);
}

void kmm_group_touched(struct kmm *k, struct kmm_page *page)
{
	const struct kmm_group *g = kmm_page_group(k, page);

	kmm_pageq_touched(k, page, g ? &g->hand : kmm_hand_of(k, kmm_zone_of(k->phys, page)));
}
