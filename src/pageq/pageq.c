/* SPDX-License-Identifier: MIT */
/*
 * Ages and hands (pageq.h has the story).
 */
#include "pageq/pageq.h"

#include "kmm/slab.h"

void kmm_page_set_age(struct kmm_page *page, uint8_t age)
{
	uint32_t was = kmm_page_flags(page), kind = was & 15;

	if (kind != KMM_KIND_ANON && kind != KMM_KIND_FILE)
		return;
	/* Once: marks that come in between are rare, and an age is a hint. */
	__atomic_compare_exchange_n(&page->flags, &was, (was & 0xffffffu) | (uint32_t)age << KMM_PG_AGE_SHIFT, false,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static bool is_users(const struct kmm_zone *z, const struct kmm_page *page)
{
	uint32_t flags = kmm_page_flags(page), kind = flags & 15;

	return (kind == KMM_KIND_ANON || kind == KMM_KIND_FILE) && (flags >> 8 & 7) == z->id && (flags >> 11 & 7) == z->node;
}

static void turn(struct kmm *k, struct kmm_hand *hand)
{
	const struct kmm_reclaim_policy *policy = k->pageq->policy;

	hand->facts.pages = hand->met;
	hand->facts.turns++;
	hand->at = hand->met = 0;
	if (policy->turned)
		policy->turned(&hand->facts);
}

/* The hand's frame, and on it goes. NULL: not a user page; *step: frames passed over. */
static struct kmm_page *look(struct kmm *k, struct kmm_zone *z, struct kmm_hand *hand, kmm_word *step)
{
	kmm_word pfn = z->start + hand->at;
	struct kmm_page *page;

	if (!kmm_section_is_live(k->phys, kmm_section_of(pfn))) {
		*step = KMM_SECTION_PAGES - (pfn & (KMM_SECTION_PAGES - 1));
		return NULL;
	}
	*step = 1;
	page = kmm_page_at(k->phys, pfn);
	return is_users(z, page) ? page : NULL;
}

unsigned kmm_hand_next(struct kmm *k, struct kmm_zone *z, kmm_word *left, struct kmm_page **pages, unsigned most)
{
	struct kmm_hand *hand = kmm_hand_of(k, z);
	unsigned nr = 0;
	kmm_word step;

	while (*left && nr < most) {
		struct kmm_page *page;

		if (hand->at >= z->spanned)
			turn(k, hand);
		page = look(k, z, hand, &step);
		hand->at += step;
		*left -= step < *left ? step : *left;
		if (page) {
			hand->met++;
			pages[nr++] = page;
		}
	}
	if (hand->facts.turns == 0)
		hand->facts.pages = hand->met;
	return nr;
}

void kmm_pageq_refault(struct kmm *k, struct kmm_page *page, uint32_t distance)
{
	const struct kmm_reclaim_policy *policy = __atomic_load_n(&k->pageq->policy, __ATOMIC_ACQUIRE);

	kmm_pageq_count(&k->pageq->stats.refaults, 1);
	if (policy->refault)
		kmm_page_set_age(page, policy->refault(&kmm_hand_of(k, kmm_zone_of(k->phys, page))->facts, distance));
}

enum kmm_status kmm_pageq_init(struct kmm *k, const struct kmm_reclaim_policy *policy)
{
	k->pageq = kmm_kzalloc(k, sizeof(*k->pageq), KMM_GFP_KERNEL);
	if (!k->pageq)
		return KMM_ENOMEM;
	k->pageq->policy = policy;
	return KMM_OK;
}

void kmm_pageq_fini(struct kmm *k)
{
	kmm_kfree(k, k->pageq);
	k->pageq = NULL;
}
