/* SPDX-License-Identifier: MIT */
/*
 * The plain textbook: a binary buddy whose free lists are linked through 12-byte descriptors, orders 0..10,
 * last in first out, one test-and-set lock around each call.
 */
#include "peers/peer.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { MAX_ORDER = 10 };
#define NIL UINT32_MAX

struct desc {
	uint32_t next, prev;
	uint8_t order;
	bool is_free_head;
};

static struct desc *desc;
static uint32_t nr_frames;
static uint32_t head[MAX_ORDER + 1];
static uint32_t nonempty; /* bit per order */
static atomic_int lock_word;

static void lock(void)
{
	while (atomic_exchange_explicit(&lock_word, 1, memory_order_acquire))
		while (atomic_load_explicit(&lock_word, memory_order_relaxed))
			__builtin_ia32_pause();
}

static void unlock(void)
{
	atomic_store_explicit(&lock_word, 0, memory_order_release);
}

static void push(uint32_t frame, unsigned order)
{
	uint32_t old = head[order];

	desc[frame] = (struct desc){ .next = old, .prev = NIL, .order = (uint8_t)order, .is_free_head = true };
	if (old != NIL)
		desc[old].prev = frame;
	head[order] = frame;
	nonempty |= 1u << order;
}

static void del(uint32_t frame, unsigned order)
{
	uint32_t next = desc[frame].next, prev = desc[frame].prev;

	if (next != NIL)
		desc[next].prev = prev;
	if (prev != NIL)
		desc[prev].next = next;
	else
		head[order] = next;
	if (head[order] == NIL)
		nonempty &= ~(1u << order);
	desc[frame].is_free_head = false;
}

static uint32_t take(unsigned order)
{
	uint32_t candidates = nonempty >> order;
	if (!candidates)
		return NIL;

	unsigned at = order + (unsigned)__builtin_ctz(candidates);
	uint32_t frame = head[at];
	del(frame, at);
	while (at > order) {
		at--;
		push(frame + (1u << at), at);
	}
	return frame;
}

static void merge(uint32_t frame, unsigned order)
{
	for (; order < MAX_ORDER; order++) {
		uint32_t buddy = frame ^ (1u << order);

		if (buddy >= nr_frames || !desc[buddy].is_free_head || desc[buddy].order != order)
			break;
		del(buddy, order);
		frame &= ~(1u << order);
	}
	push(frame, order);
}

static bool init(uint64_t nr)
{
	nr_frames = (uint32_t)nr;
	desc = calloc(nr, sizeof(*desc));
	if (desc == NULL)
		return false;
	nonempty = 0;
	for (unsigned i = 0; i <= MAX_ORDER; i++)
		head[i] = NIL;
	for (uint32_t frame = nr_frames; frame >= 1u << MAX_ORDER; frame -= 1u << MAX_ORDER)
		push(frame - (1u << MAX_ORDER), MAX_ORDER);
	return true;
}

static void fini(void)
{
	free(desc);
}

static uintptr_t alloc(unsigned order)
{
	lock();
	uint32_t frame = take(order);
	unlock();
	return frame == NIL ? PEER_NONE : (uintptr_t)frame + 1;
}

static void give_back(uintptr_t block, unsigned order)
{
	lock();
	merge((uint32_t)(block - 1), order);
	unlock();
}

const struct peer peer_buddy = {
	.name = "own-buddy", .max_order = MAX_ORDER, .shared = true, .init = init, .fini = fini, .alloc = alloc, .free = give_back
};
