/* SPDX-License-Identifier: MIT */
#include "crew.h"

#include <pthread.h>

void hand_fail(struct hand *h, const char *text, int line)
{
	if (!h->failed) {
		h->failed = text;
		h->failed_line = line;
	}
}

unsigned hand_dice(struct hand *h, unsigned n)
{
	return (unsigned)(kmm_test_rand(&h->rng) >> 32) % n;
}

struct thing *hand_slot(struct hand *h)
{
	return &h->slot[hand_dice(h, HAND_SLOTS)];
}

void hand_toggle(struct hand *h)
{
	struct thing *t = hand_slot(h);

	(t->what ? h->crew->drop : h->crew->take)(h, t);
}

void hand_swap(struct hand *h, struct thing *t)
{
	struct thing *mine = t->what ? malloc(sizeof(*mine)) : NULL, *theirs;

	if (mine)
		*mine = *t;
	theirs = atomic_exchange(&h->crew->box[hand_dice(h, CREW_BOXES)], mine);
	*t = theirs ? *theirs : (struct thing){ 0 };
	free(theirs);
}

static uint8_t stamp_byte(const struct thing *t, size_t i)
{
	return (uint8_t)(t->stamp + i * 7);
}

void hand_stamp(struct thing *t, void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = stamp_byte(t, i);
}

bool hand_stamp_holds(const struct thing *t, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (((const uint8_t *)bytes)[i] != stamp_byte(t, i))
			return false;
	return true;
}

static void swallow(struct kmm_sink *sink, const char *bytes, size_t len)
{
	struct hand *h = (struct hand *)(void *)((char *)sink - offsetof(struct hand, sink));

	(void)bytes;
	h->swallowed += len;
}

void crew_boot(struct crew *c, enum kmm_format_id format, uint64_t ram, enum hosted_tier tier)
{
	struct hosted_config config = { .machine = { .format = format, .nr_cpus = CREW_HANDS }, .ram_bytes = ram,
					.tier = tier, .threads = true };
	const char *why = "";

	*c = (struct crew){ 0 };
	hosted_set_cpu(0);
	if (!kmm_test_ok((int)hosted_boot(&config, &c->m, &why), why, __FILE__, __LINE__))
		return;
	c->k = hosted_kmm(c->m);
	for (unsigned i = 0; i < CREW_HANDS; i++)
		c->hand[i] = (struct hand){ .crew = c, .k = c->k, .m = c->m, .cpu = i, .sink = { swallow },
					    .rng = kmm_test_seed() * 64 + i };
}

static unsigned steps_wanted(void)
{
	const char *text = getenv("KMM_RACE_STEPS");

	return text ? (unsigned)strtoul(text, NULL, 0) : CREW_STEPS;
}

static void *run_hand(void *arg)
{
	struct hand *h = arg;
	unsigned steps = steps_wanted();

	hosted_set_cpu(h->cpu);
	for (unsigned i = 0; i < steps && !h->failed; i++)
		h->crew->step(h);
	return NULL;
}

static void audit(struct crew *c)
{
	struct hosted_text text;
	unsigned bad = kmm_audit(c->k, hosted_text_init(&text));

	if (bad)
		printf("%s", text.text);
	hosted_text_free(&text);
	CHECK_EQ(bad, 0);
}

static void check_hand(const struct hand *h)
{
	if (h->failed)
		printf("hand %u, line %d: not true: %s\n", h->cpu, h->failed_line, h->failed);
	CHECK(!h->failed);
}

static void work_round(struct crew *c)
{
	pthread_t thread[CREW_HANDS];

	for (unsigned i = 0; i < CREW_HANDS; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, run_hand, &c->hand[i]), 0);
	for (unsigned i = 0; i < CREW_HANDS; i++)
		CHECK_EQ(pthread_join(thread[i], NULL), 0);
	for (unsigned i = 0; i < CREW_HANDS; i++)
		CALL(check_hand(&c->hand[i]));
	CALL(audit(c));
}

void crew_work(struct crew *c)
{
	for (unsigned round = 0; round < CREW_ROUNDS; round++)
		CALL(work_round(c));
}

void crew_clear(struct crew *c)
{
	struct hand *h = &c->hand[0];

	for (unsigned i = 0; i < CREW_HANDS; i++)
		for (unsigned s = 0; s < HAND_SLOTS; s++)
			if (c->hand[i].slot[s].what)
				c->drop(h, &c->hand[i].slot[s]);
	for (unsigned i = 0; i < CREW_BOXES; i++) {
		struct thing *t = atomic_exchange(&c->box[i], NULL);

		if (t)
			c->drop(h, t);
		free(t);
	}
	CALL(check_hand(h));
	CALL(audit(c));
}

void crew_end(struct crew *c)
{
	hosted_shutdown(c->m);
}
