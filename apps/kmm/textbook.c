/* SPDX-License-Identifier: MIT */
/*
 * FIFO, LRU and CLOCK on one ring of pages, and OPT with a heap.
 *
 * The ring is in the order in which pages will be looked at for eviction: LRU moves a page to its end with each use,
 * CLOCK when it finds the page used, FIFO never.
 */
#include "textbook.h"

#include "command.h"

#include <stdlib.h>

const char *const textbook_names[NR_BOOKS] = { "fifo", "lru", "clock", "opt" };

#define NEVER SIZE_MAX

struct place {
	uint32_t prev, next; /* in the ring */
	bool seen, in, used;
	size_t next_use;     /* OPT: as it stands in the heap's true entry */
};

struct use {
	size_t when;
	uint32_t page;
};

struct memory {
	enum textbook policy;
	struct place *place;   /* by page; the last is the ring's head */
	uint32_t head, nr_in, frames;
	struct use *heap;      /* OPT: the latest use on top; entries that are out of date stay until they come up */
	size_t nr_heap;
	size_t *next_use;      /* OPT: by access */
};

/* ---- ring ---- */

static void ring_out(struct memory *m, uint32_t page)
{
	struct place *p = &m->place[page];

	m->place[p->prev].next = p->next;
	m->place[p->next].prev = p->prev;
}

static void ring_in(struct memory *m, uint32_t page)
{
	struct place *p = &m->place[page], *head = &m->place[m->head];

	p->prev = head->prev;
	p->next = m->head;
	m->place[head->prev].next = page;
	head->prev = page;
}

static uint32_t ring_victim(struct memory *m)
{
	uint32_t page = m->place[m->head].next;

	while (m->policy == BOOK_CLOCK && m->place[page].used) {
		m->place[page].used = false;
		ring_out(m, page);
		ring_in(m, page);
		page = m->place[m->head].next;
	}
	ring_out(m, page);
	return page;
}

/* ---- heap ---- */

static void heap_push(struct memory *m, struct use use)
{
	size_t at = m->nr_heap++;

	for (; at && m->heap[(at - 1) / 2].when < use.when; at = (at - 1) / 2)
		m->heap[at] = m->heap[(at - 1) / 2];
	m->heap[at] = use;
}

static struct use heap_pop(struct memory *m)
{
	struct use top = m->heap[0], last = m->heap[--m->nr_heap];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < m->nr_heap) {
		if (child + 1 < m->nr_heap && m->heap[child + 1].when > m->heap[child].when)
			child++;
		if (m->heap[child].when <= last.when)
			break;
		m->heap[at] = m->heap[child];
		at = child;
	}
	m->heap[at] = last;
	return top;
}

static uint32_t farthest(struct memory *m)
{
	struct use use;

	do
		use = heap_pop(m);
	while (!m->place[use.page].in || m->place[use.page].next_use != use.when);
	return use.page;
}

/* ---- the run ---- */

static void find_next_uses(struct memory *m, const struct sequence *s)
{
	size_t *next = must_alloc(malloc(s->nr_pages * sizeof(next[0])));

	m->next_use = must_alloc(malloc(s->nr * sizeof(m->next_use[0])));
	m->heap = must_alloc(malloc(s->nr * sizeof(m->heap[0])));
	for (uint32_t i = 0; i < s->nr_pages; i++)
		next[i] = NEVER;
	for (size_t i = s->nr; i-- > 0;) {
		m->next_use[i] = next[s->page[i]];
		next[s->page[i]] = i;
	}
	free(next);
}

static void make_room(struct memory *m)
{
	uint32_t victim;

	if (m->nr_in < m->frames) {
		m->nr_in++;
		return;
	}
	victim = m->policy == BOOK_OPT ? farthest(m) : ring_victim(m);
	m->place[victim].in = false;
}

static void touch(struct memory *m, size_t i, uint32_t page, struct replay_counts *counts)
{
	struct place *p = &m->place[page];

	counts->accesses++;
	if (!p->in) {
		counts->first += !p->seen;
		counts->major += p->seen;
		make_room(m);
		p->in = p->seen = true;
		p->used = false;
		if (m->policy != BOOK_OPT)
			ring_in(m, page);
	} else if (m->policy == BOOK_LRU) {
		ring_out(m, page);
		ring_in(m, page);
	} else {
		p->used = true;
	}
	if (m->policy == BOOK_OPT) {
		p->next_use = m->next_use[i];
		heap_push(m, (struct use){ p->next_use, page });
	}
}

void textbook_run(enum textbook policy, const struct sequence *s, uint32_t frames, struct replay_counts out[SEQUENCE_PHASES])
{
	struct memory m = { .policy = policy, .head = s->nr_pages, .frames = frames };
	unsigned phase = 0;

	m.place = must_alloc(calloc((size_t)s->nr_pages + 1, sizeof(m.place[0])));
	m.place[m.head].prev = m.place[m.head].next = m.head;
	if (policy == BOOK_OPT)
		find_next_uses(&m, s);
	for (unsigned i = 0; i < SEQUENCE_PHASES; i++)
		out[i] = (struct replay_counts){ .accesses = 0 };
	for (size_t i = 0; i < s->nr; i++) {
		while (i == s->phase[phase].end)
			phase++;
		touch(&m, i, s->page[i], &out[phase]);
	}
	free(m.place);
	free(m.heap);
	free(m.next_use);
}
