/* SPDX-License-Identifier: MIT */
/*
 * The policy of idle times on pages without a machine: what it does while it knows nothing, that what is used stays, and that
 * what is not makes room in time.
 */
#include "kmm/reclaim.h"

#include "harness/test.h"

#include <string.h>

enum { NR = 1280, UNIT = NR / 16 + 1, FEW = 32 + 1, /* more than a part of them */ QUARTER = NR / 4 + 1, GUEST = 1 };

struct pages {
	struct kmm_reclaim_zone zone;
	uint8_t age[NR];
	bool used[NR];
	unsigned lost;           /* of those that are used all the time */
};

/* One turn of the hand; what goes comes back at once, as a new page. Returns how many went. Pages below `hot` are used before they
 * are met. */
static unsigned turn(struct pages *p, unsigned hot)
{
	const struct kmm_reclaim_policy *policy = &kmm_policy_idle;
	unsigned out = 0;

	for (unsigned i = 0; i < NR; i++) {
		if (i < hot)
			p->used[i] = true;
		if (policy->skip(&p->zone, p->age[i])) {
			policy->passed(&p->zone, p->age[i], 1);
			continue;
		}
		if (policy->met(&p->zone, &p->age[i], p->used[i])) {
			p->zone.clock++;
			p->lost += i < hot;
			p->age[i] = 0;
			out++;
		}
		p->used[i] = p->age[i] == 0; /* a first touch */
	}
	p->zone.pages = p->zone.all_pages = NR;
	p->zone.turns++;
	policy->turned(&p->zone);
	return out;
}

static unsigned guests(const struct pages *p, unsigned from, unsigned to)
{
	unsigned nr = 0;

	for (unsigned i = from; i < to; i++)
		nr += p->age[i] == 0 || p->age[i] == GUEST;
	return nr;
}

static void start(struct pages *p)
{
	memset(p, 0, sizeof(*p));
	for (unsigned i = 0; i < NR; i++)
		p->used[i] = true;
}

/* All are fresh: nothing goes for a turn, and then only a few make room, however often the hand comes round. */
KMM_TEST(policy_idle_learns_before_it_chooses)
{
	struct pages p;

	start(&p);
	CHECK_EQ(turn(&p, 0), 0);
	CHECK_EQ(guests(&p, 0, NR), 0);
	CHECK_EQ(turn(&p, 0), 0);
	CHECK(guests(&p, 0, NR) > 0 && guests(&p, 0, NR) <= FEW);
	while (p.zone.clock < 2 * UNIT) {
		turn(&p, 0);
		CHECK(guests(&p, 0, NR) <= FEW + 1);
	}
}

/* Half is used all the time: it stays but for the first few, and a quarter is made of the rest when that has been idle for long. */
KMM_TEST(policy_idle_keeps_what_is_used)
{
	struct pages p;

	start(&p);
	turn(&p, NR / 2);
	for (unsigned n = 0; p.zone.clock < 32 * UNIT; n++) {
		CHECK(n < 10000);
		turn(&p, NR / 2);
	}
	CHECK_EQ(p.lost, 0);
	CHECK(guests(&p, NR / 2, NR) > QUARTER / 2 && guests(&p, 0, NR) <= QUARTER + 1);
}

/* Programs end and others come: all pages are fresh, and what was learned is not held against those that are used. */
KMM_TEST(policy_idle_learns_anew)
{
	struct pages p;

	start(&p);
	while (p.zone.clock < 32 * UNIT)
		turn(&p, NR / 2);
	memset(p.age, 0, sizeof(p.age));
	memset(p.used, 1, sizeof(p.used));
	for (unsigned n = 0; n < 8; n++)
		turn(&p, NR / 2);
	CHECK_EQ(p.lost, 0);
}
