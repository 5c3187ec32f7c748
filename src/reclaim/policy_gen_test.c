/* SPDX-License-Identifier: MIT */
/*
 * The policy of generations against a model of it that has a number of any size for each page and keeps no counts between
 * turns but looks at all pages: the same pages go in the same order.
 */
#include "kmm/reclaim.h"

#include "harness/test.h"

enum { NR = 400, FEW = 2, TIERS = 4, SAMPLE = 32 };

struct model_page {
	uint32_t seq;
	unsigned tier;
	bool known, out, used;
	uint8_t byte;            /* the policy's */
};

struct model {
	struct kmm_reclaim_zone zone; /* the policy's */
	struct model_page page[NR];
	uint32_t min, max;
	bool ageing;
	uint32_t evicted[TIERS], returned[TIERS];
};

static bool rescued(const struct model *m, unsigned tier)
{
	return tier && m->returned[tier] + m->evicted[tier] >= SAMPLE &&
	       m->returned[tier] * (m->evicted[0] + 1) > m->returned[0] * (m->evicted[tier] + 1);
}

/* What becomes of the page; true: it goes. */
static bool judge(struct model *m, struct model_page *p)
{
	if (!p->known || p->used) {
		p->seq = m->max;
		p->known = true;
		return false;
	}
	if (p->seq != m->min)
		return false;
	if (rescued(m, p->tier) && m->min != m->max) {
		p->seq++;
		return false;
	}
	m->evicted[p->tier]++;
	return true;
}

/* Would it be looked at? */
static bool is_seen(const struct model *m, const struct model_page *p)
{
	return !p->known || m->ageing || p->seq == m->min;
}

static void end_turn(struct model *m)
{
	m->ageing = false;
	for (bool empty = true; m->min + 1 < m->max && empty; m->min += empty)
		for (unsigned i = 0; i < NR; i++)
			empty &= m->page[i].out || m->page[i].seq != m->min;
	if (m->max - m->min >= FEW)
		return;
	m->max++;
	m->ageing = true;
	for (unsigned i = 0; i < TIERS; i++) {
		m->evicted[i] /= 2;
		m->returned[i] /= 2;
	}
}

static void come_back(struct model *m, struct model_page *p)
{
	m->returned[p->tier]++;
	p->tier += p->tier < TIERS - 1;
	p->seq = m->max;
	p->out = false;
	p->used = true;
	p->byte = kmm_policy_gen.refault(&m->zone, 10, p->byte);
}

static void touch(struct model *m, struct model_page *p)
{
	if (p->out)
		come_back(m, p);
	p->used = true;
}

static void pass(struct model *m, struct model_page *p)
{
	bool seen = is_seen(m, p), goes;

	CHECK_EQ(!kmm_policy_gen.skip(&m->zone, p->byte), seen);
	if (!seen) {
		kmm_policy_gen.passed(&m->zone, p->byte, 1);
		return;
	}
	goes = judge(m, p);
	CHECK_EQ(kmm_policy_gen.met(&m->zone, &p->byte, p->used), goes);
	p->used = false;
	p->out = goes;
}

static void turn(struct model *m)
{
	for (unsigned i = 0; i < NR; i++)
		if (!m->page[i].out)
			CALL(pass(m, &m->page[i]));
	end_turn(m);
	kmm_policy_gen.turned(&m->zone);
}

/* Half of the touches go to an eighth of the pages. */
KMM_TEST(policy_gen_against_a_model)
{
	static struct model m;
	uint64_t rng = kmm_test_seed();
	uint32_t evicted = 0, turns = 0;

	m = (struct model){ 0 };
	for (; turns < 400; turns++) {
		for (unsigned i = 0; i < NR / 4; i++)
			touch(&m, &m.page[(uint32_t)(kmm_test_rand(&rng) >> 20) % (i % 2 ? NR : NR / 8)]);
		CALL(turn(&m));
		for (unsigned i = 0; i < TIERS; i++)
			evicted += m.evicted[i];
	}
	CHECK(m.max > 20); /* numbers in bytes came round */
	CHECK(evicted > NR);
	CHECK(m.min < m.max);
}

/* Pages that are used all the time stay; those that never are used again go, in the order of their generations. */
KMM_TEST(policy_gen_keeps_what_is_used)
{
	static struct model m;
	unsigned out = 0;

	m = (struct model){ 0 };
	for (unsigned n = 0; n < 12; n++) {
		for (unsigned i = 0; i < NR; i += 2)
			m.page[i].used = true;
		CALL(turn(&m));
	}
	for (unsigned i = 0; i < NR; i++) {
		out += m.page[i].out;
		CHECK(i % 2 || !m.page[i].out);
	}
	CHECK_EQ(out, NR / 2);
}

/* A tier whose pages come back more often than others' is let stay one generation longer. */
KMM_TEST(policy_gen_protects_by_refaults)
{
	struct kmm_reclaim_zone z = { 0 };
	uint8_t once, twice;
	unsigned n = 0;

	while (n++ < 4)
		kmm_policy_gen.turned(&z); /* some generations */
	once = kmm_policy_gen.refault(&z, 1, 0);
	twice = kmm_policy_gen.refault(&z, 1, once);
	CHECK(once != twice);
	for (n = 0; n < 1000; n++) { /* of tier 0 many go, of tier 1 all come back */
		uint8_t cold = 0x80;

		(void)kmm_policy_gen.met(&z, &cold, false);
		(void)kmm_policy_gen.refault(&z, 1, once);
	}
	for (n = 0; n < 3; n++)
		kmm_policy_gen.turned(&z);
	CHECK(!kmm_policy_gen.met(&z, &once, false));
}
