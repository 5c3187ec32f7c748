/* SPDX-License-Identifier: MIT */
/*
 * work_spaces(): a few spaces with a window of pages each, and a model that knows no areas, tables or frames: for each page
 * whether it is mapped, readable, writable, shared, and one byte of content. Each access by the processor must end as
 * the model says.
 */
#include "scenario/work.h"

#include "harness/test.h"
#include "kmm/observe.h"

enum { SPACES = 3, WINDOW = 40, OBJECTS = 64, AUDIT_EVERY = 64 };
#define AT 0x40000000ull
#define PAGE ((uint64_t)KMM_PAGE_SIZE)

struct mpage {
	bool mapped;
	uint8_t prot, byte; /* byte: of a private page */
	int object;         /* of a shared one: index into the shared bytes; -1: private */
};

struct model {
	struct ground *g;
	uint64_t seed;
	struct kmm_mm *mm[SPACES]; /* NULL: an empty slot */
	struct mpage page[SPACES][WINDOW];
	uint8_t shared[OBJECTS][WINDOW];
	int nr_objects;
};

static unsigned dice(struct model *m, unsigned n)
{
	return (unsigned)(kmm_test_rand(&m->seed) >> 32) % n;
}

static void random_range(struct model *m, unsigned *first, unsigned *nr)
{
	*nr = 1 + dice(m, dice(m, 4) ? 4 : WINDOW / 2);
	*first = dice(m, WINDOW - *nr + 1);
}

static unsigned random_prot(struct model *m)
{
	return dice(m, 4) ? KMM_PROT_READ | KMM_PROT_WRITE : dice(m, 3) ? KMM_PROT_READ : KMM_PROT_NONE;
}

static void map(struct model *m, unsigned s)
{
	unsigned first, nr, prot = random_prot(m);
	bool shared = dice(m, 3) == 0 && m->nr_objects < OBJECTS;
	unsigned flags = KMM_MAP_FIXED | KMM_MAP_ANONYMOUS | (shared ? KMM_MAP_SHARED : KMM_MAP_PRIVATE);
	struct kmm_uva at;

	random_range(m, &first, &nr);
	CHECK_OK(kmm_mmap(m->mm[s], kmm_uva((kmm_word)(AT + first * PAGE)), nr * PAGE, prot, flags, NULL, 0, &at));
	CHECK_EQ(at.v, AT + first * PAGE);
	for (unsigned i = first; i < first + nr; i++)
		m->page[s][i] = (struct mpage){ true, (uint8_t)prot, 0, shared ? m->nr_objects : -1 };
	m->nr_objects += shared;
}

static void unmap(struct model *m, unsigned s)
{
	unsigned first, nr;

	random_range(m, &first, &nr);
	CHECK_OK(kmm_munmap(m->mm[s], kmm_uva((kmm_word)(AT + first * PAGE)), nr * PAGE));
	for (unsigned i = first; i < first + nr; i++)
		m->page[s][i].mapped = false;
}

/* Linux changes the pages up to the first hole and then says ENOMEM. */
static void protect(struct model *m, unsigned s)
{
	unsigned first, nr, prot = random_prot(m), i;
	enum kmm_status status;

	random_range(m, &first, &nr);
	status = kmm_mprotect(m->mm[s], kmm_uva((kmm_word)(AT + first * PAGE)), nr * PAGE, prot);
	for (i = first; i < first + nr && m->page[s][i].mapped; i++)
		m->page[s][i].prot = (uint8_t)prot;
	CHECK_EQ(status, i == first + nr ? KMM_OK : KMM_ENOMEM);
}

static uint8_t *content(struct model *m, struct mpage *p, unsigned index)
{
	return p->object >= 0 ? &m->shared[p->object][index] : &p->byte;
}

static void touch(struct model *m, unsigned s)
{
	unsigned index = dice(m, WINDOW);
	struct mpage *p = &m->page[s][index];
	enum kmm_access access = dice(m, 2) ? KMM_READ : KMM_WRITE;
	bool allowed = p->mapped && (p->prot & (access == KMM_READ ? KMM_PROT_READ : KMM_PROT_WRITE));
	uint8_t byte = (uint8_t)kmm_test_rand(&m->seed);
	int signal = m->g->touch(m->g, m->mm[s], AT + index * PAGE + 100, access, &byte);

	CHECK_EQ(signal, allowed ? 0 : GROUND_SEGV);
	if (!allowed)
		return;
	if (access == KMM_WRITE)
		*content(m, p, index) = byte;
	else
		CHECK_EQ(byte, *content(m, p, index));
}

/* An empty slot becomes a copy of another space, or a new one. */
static void be_born(struct model *m, unsigned s)
{
	unsigned parent = dice(m, SPACES);

	if (!m->mm[parent]) {
		CHECK_OK(kmm_mm_create(m->g->k, &m->mm[s]));
		for (unsigned i = 0; i < WINDOW; i++)
			m->page[s][i].mapped = false;
		return;
	}
	CHECK_OK(kmm_mm_fork(m->mm[parent], &m->mm[s]));
	for (unsigned i = 0; i < WINDOW; i++)
		m->page[s][i] = m->page[parent][i];
}

static void die(struct model *m, unsigned s)
{
	if (m->mm[s])
		m->g->put(m->g, m->mm[s]);
	m->mm[s] = NULL;
}

static void step(struct model *m)
{
	unsigned s = dice(m, SPACES), what = dice(m, 32);

	if (!m->mm[s])
		CALL(be_born(m, s));
	else if (what < 3)
		CALL(map(m, s));
	else if (what < 5)
		CALL(unmap(m, s));
	else if (what < 8)
		CALL(protect(m, s));
	else if (what < 9)
		die(m, s);
	else
		CALL(touch(m, s));
}

void work_spaces(struct ground *g, uint64_t seed, unsigned steps)
{
	struct model m = { .g = g, .seed = seed };
	kmm_word before = ground_free_pages(g);

	for (unsigned i = 0; i < steps; i++) {
		CALL(step(&m));
		if (i % AUDIT_EVERY == AUDIT_EVERY - 1)
			CHECK_EQ(kmm_audit(g->k, g->log), 0);
	}
	for (unsigned s = 0; s < SPACES; s++)
		die(&m, s);
	CHECK_EQ(kmm_audit(g->k, g->log), 0);
	CHECK_EQ(ground_free_pages(g), before);
}
