/* SPDX-License-Identifier: MIT */
/*
 * Ages and hands (pageq.h has the story).
 */
#include "pageq/pageq.h"

#include "base/mem.h"
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

/* ---- pages that are passed by ---- */

enum { NOT_ASKED, LOOK_AT, PASS_BY, LEAVE }; /* LEAVE: kept, and not counted */

static void begin_passing(struct kmm *k, const struct kmm_hand *hand)
{
	struct kmm_passing *p = &k->pageq->passing;

	memset(p->answer, k->pageq->insists || !k->pageq->policy->skip ? LOOK_AT : NOT_ASKED, sizeof(p->answer));
	p->answer[KMM_RECLAIM_AGE_KEPT] = kmm_hand_leaves(k->pageq, hand, KMM_RECLAIM_AGE_KEPT) ? LEAVE : LOOK_AT;
	p->nr_ages = 0;
}

static uint8_t ask(struct kmm *k, struct kmm_hand *hand, uint8_t age)
{
	struct kmm_passing *p = &k->pageq->passing;

	p->answer[age] = k->pageq->policy->skip(&hand->facts, age) ? PASS_BY : LOOK_AT;
	if (p->answer[age] == PASS_BY) {
		KMM_ASSERT(k, p->nr_ages < sizeof(p->age));
		p->age[p->nr_ages++] = age;
		p->nr[age] = 0;
	}
	return p->answer[age];
}

/* Those passed by count as met. */
static void end_passing(struct kmm *k, struct kmm_hand *hand)
{
	const struct kmm_reclaim_policy *policy = k->pageq->policy;
	struct kmm_passing *p = &k->pageq->passing;

	for (unsigned i = 0; i < p->nr_ages; i++) {
		uint32_t nr = p->nr[p->age[i]];

		kmm_hand_count(hand, nr);
		if (policy->passed)
			policy->passed(&hand->facts, p->age[i], nr);
	}
	p->nr_ages = 0;
}

/* ---- the hand ---- */

void kmm_hand_turn(struct kmm *k, struct kmm_hand *hand)
{
	const struct kmm_reclaim_policy *policy = k->pageq->policy;
	kmm_word unlocks = __atomic_load_n(&k->pageq->unlocks, __ATOMIC_ACQUIRE);

	__atomic_store_n(&hand->facts.pages, hand->met, __ATOMIC_RELAXED); /* faults ask the policy meanwhile */
	hand->facts.turns++;
	hand->at = hand->met = 0;
	hand->looks_at_kept = unlocks != hand->unlocks || hand->facts.turns % KMM_KEPT_EVERY == 0;
	hand->unlocks = unlocks;
	if (policy->turned)
		policy->turned(&hand->facts);
}

/* A run of frames whose descriptors are there, or of frames without any. */
struct stretch {
	kmm_word first, nr;
	bool live;
};

static struct stretch stretch_at(const struct kmm *k, kmm_word pfn, kmm_word most)
{
	struct stretch s = { pfn, KMM_SECTION_PAGES - (pfn & (KMM_SECTION_PAGES - 1)), false };

	s.nr = s.nr < most ? s.nr : most;
	s.live = kmm_section_is_live(k->phys, kmm_section_of(pfn));
	return s;
}

_Static_assert(KMM_KIND_FILE == KMM_KIND_ANON + 1, "users' pages are two kinds that follow each other");

/* The next pages of the stretch that the policy wants to see, at most `most`; *passed: frames up to the last of them, or all. Most
 * frames are passed by, so what that takes is all here. */
static unsigned find(struct kmm *k, const struct kmm_zone *z, const struct stretch *s, struct kmm_page **pages, unsigned most,
		     kmm_word *passed)
{
	struct kmm_passing *passing = &k->pageq->passing;
	const uint32_t mask = KMM_ZONE_MASK | KMM_PG_CHARGED_ALONE | 15, first = z->bits | KMM_KIND_ANON;
	const unsigned stride = kmm_stride(k->phys);
	struct kmm_page *page = kmm_page_at(k->phys, s->first);
	unsigned nr = 0;

	KMM_ASSERT(k, most > 0);
	for (kmm_word left = s->nr; left; left--, page = (struct kmm_page *)(void *)((char *)page + stride)) {
		uint8_t age, answer;

		if ((kmm_page_flags(page) & mask) - first > KMM_KIND_FILE - KMM_KIND_ANON)
			continue; /* no user's page of the zone, or a group's: that one's hand meets it */
		age = kmm_page_age(page);
		answer = passing->answer[age];
		if (answer == NOT_ASKED)
			answer = ask(k, kmm_hand_of(k, z), age);
		if (answer >= PASS_BY) {
			passing->nr[age]++; /* of those that are left nobody reads it */
			continue;
		}
		pages[nr++] = page;
		if (nr == most) {
			*passed = s->nr - left + 1;
			return nr;
		}
	}
	*passed = s->nr;
	return nr;
}

unsigned kmm_hand_next(struct kmm *k, struct kmm_zone *z, kmm_word *left, struct kmm_page **pages, unsigned most)
{
	struct kmm_hand *hand = kmm_hand_of(k, z);
	bool has_turned = false;
	unsigned nr = 0;

	begin_passing(k, hand);
	while (*left && nr < most) {
		struct stretch s;
		kmm_word passed;

		if (hand->at >= z->spanned && (nr || has_turned))
			break; /* a turn ends when its pages were judged, and the caller sees each end */
		if (hand->at >= z->spanned) {
			has_turned = true;
			end_passing(k, hand);
			kmm_hand_turn(k, hand);
			begin_passing(k, hand);
		}
		s = stretch_at(k, z->start + hand->at, z->spanned - hand->at);
		passed = s.nr;
		if (s.live)
			nr += find(k, z, &s, pages + nr, most - nr, &passed);
		hand->at += passed;
		*left -= passed < *left ? passed : *left;
	}
	end_passing(k, hand);
	return nr;
}

void kmm_pageq_refault(struct kmm *k, struct kmm_page *page, struct kmm_hand *hand, uint32_t distance, uint8_t was)
{
	const struct kmm_reclaim_policy *policy = __atomic_load_n(&k->pageq->policy, __ATOMIC_ACQUIRE);

	kmm_pageq_count(&k->pageq->stats.refaults, 1);
	if (policy->refault)
		kmm_page_set_age(page, policy->refault(&hand->facts, distance, was == KMM_RECLAIM_AGE_KEPT ? 0 : was));
}

void kmm_pageq_touched(struct kmm *k, struct kmm_page *page, const struct kmm_hand *hand)
{
	const struct kmm_reclaim_policy *policy = __atomic_load_n(&k->pageq->policy, __ATOMIC_ACQUIRE);
	uint8_t was = kmm_page_age(page), age = was;

	if (policy->touched && was != KMM_RECLAIM_AGE_KEPT)
		age = policy->touched(&hand->facts, was);

	if (age != was)
		kmm_page_set_age(page, age);
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
