/* SPDX-License-Identifier: MIT */
/*
 * Generations, after the multi-generational LRU that Linux has as an alternative (Documentation/mm/multigen_lru.rst there).
 *
 *	min            min + 1             max
 *	oldest         ...                 youngest <-- first touches, pages that come back, pages that were used
 *	  |
 *	  +--> unused: out, unless its tier is protected; then it is of the next generation
 *
 * Most turns of the hand look at the oldest generation alone. When it is empty the next one is the oldest; and when FEW are
 * left a new youngest is made, and the next turn looks at all pages: those that were used become of the youngest, all
 * others are a generation older by that.
 *
 * A page's tier says how often it came back from swap, up to TIERS - 1, as far as is known from its last stay. Of each tier is
 * counted how many were evicted and how many of those came back; those of a tier that come back more often than
 * those of tier 0 are protected. Counts are halved with each new generation.
 *
 * byte: KNOWN | tier << TIER_SHIFT | the lowest bits of the generation's number. own[]: see the enum.
 */
#include "kmm/reclaim.h"

enum { KNOWN = 0x80, SEQ = 0x0f, TIER_SHIFT = 4, TIERS = 4, FEW = 2, SAMPLE = 32 };
enum { MIN, MAX, AGEING, COUNT, EVICTED = COUNT + SEQ + 1, RETURNED = EVICTED + TIERS, END = RETURNED + TIERS };
/* MIN, MAX: numbers of generations; AGEING: this turn looks at all. COUNT: pages met in this turn, by generation */

_Static_assert(END <= KMM_RECLAIM_OWN, "fits what a policy has");

static unsigned tier_of(uint8_t age)
{
	return age >> TIER_SHIFT & (TIERS - 1);
}

static uint8_t byte_of(kmm_word seq, unsigned tier)
{
	return (uint8_t)(KNOWN | tier << TIER_SHIFT | (seq & SEQ));
}

/* Its generation; one that was not looked at while numbers came round is of the oldest. */
static kmm_word seq_of(const struct kmm_reclaim_zone *z, uint8_t age)
{
	kmm_word back = (z->own[MAX] - age) & SEQ;

	return back > z->own[MAX] - z->own[MIN] ? z->own[MIN] : z->own[MAX] - back;
}

/* Do its pages come back more often than those of tier 0? */
static bool is_protected(const struct kmm_reclaim_zone *z, unsigned tier)
{
	const kmm_word *evicted = &z->own[EVICTED], *returned = &z->own[RETURNED];

	if (tier == 0 || returned[tier] + evicted[tier] < SAMPLE)
		return false;
	return (uint64_t)returned[tier] * (evicted[0] + 1) > (uint64_t)returned[0] * (evicted[tier] + 1);
}

static bool stay(struct kmm_reclaim_zone *z, uint8_t *age, kmm_word seq, unsigned tier)
{
	*age = byte_of(seq, tier);
	z->own[COUNT + (seq & SEQ)]++;
	return false;
}

static bool met(struct kmm_reclaim_zone *z, uint8_t *age, bool referenced)
{
	unsigned tier = *age & KNOWN ? tier_of(*age) : 0;
	kmm_word seq = seq_of(z, *age);

	if (referenced || !(*age & KNOWN))
		return stay(z, age, z->own[MAX], tier);
	if (seq != z->own[MIN])
		return stay(z, age, seq, tier);
	if (is_protected(z, tier) && seq != z->own[MAX])
		return stay(z, age, seq + 1, tier);
	*age = byte_of(seq, tier); /* a slot keeps it */
	z->own[EVICTED + tier]++;
	return true;
}

static bool skip(struct kmm_reclaim_zone *z, uint8_t age)
{
	return (age & KNOWN) && !z->own[AGEING] && seq_of(z, age) != z->own[MIN];
}

static void passed(struct kmm_reclaim_zone *z, uint8_t age, kmm_word nr)
{
	z->own[COUNT + (seq_of(z, age) & SEQ)] += nr;
}

static uint8_t refault(struct kmm_reclaim_zone *z, uint32_t distance, uint8_t was)
{
	unsigned tier = was & KNOWN ? tier_of(was) : 0;

	(void)distance;
	/* The hand moves on meanwhile; a count may be lost. */
	__atomic_store_n(&z->own[RETURNED + tier], __atomic_load_n(&z->own[RETURNED + tier], __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
	return byte_of(__atomic_load_n(&z->own[MAX], __ATOMIC_RELAXED), tier + (tier < TIERS - 1));
}

static uint8_t touched(const struct kmm_reclaim_zone *z, uint8_t age)
{
	return age & KNOWN ? byte_of(__atomic_load_n(&z->own[MAX], __ATOMIC_RELAXED), tier_of(age)) : age;
}

static void make_generation(struct kmm_reclaim_zone *z)
{
	z->own[MAX]++;
	z->own[AGEING] = 1;
	for (unsigned i = 0; i < TIERS; i++) {
		z->own[EVICTED + i] /= 2;
		z->own[RETURNED + i] /= 2;
	}
}

static void turned(struct kmm_reclaim_zone *z)
{
	z->own[AGEING] = 0;
	while (z->own[MIN] + 1 < z->own[MAX] && z->own[COUNT + (z->own[MIN] & SEQ)] == 0)
		z->own[MIN]++;
	if (z->own[MAX] - z->own[MIN] < FEW)
		make_generation(z);
	for (unsigned i = 0; i <= SEQ; i++)
		z->own[COUNT + i] = 0;
}

const struct kmm_reclaim_policy kmm_policy_gen = {
	.name = "gen", .met = met, .skip = skip, .passed = passed, .refault = refault, .touched = touched, .turned = turned
};
