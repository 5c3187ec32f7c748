/* SPDX-License-Identifier: MIT */
/*
 * The floor of an allocator with page descriptors: a stack of free blocks per order, which gets 2 MiB of its own whenever
 * it is empty, and an array of descriptors of 32 bytes. Handing out writes the descriptor of the block's first
 * frame; taking back reads in it whether there is such a block, and marks it free. Nothing is joined, counted or locked.
 * So what it costs beyond floor-stack are the lines of the cache that nobody with descriptors can leave alone.
 */
#include "peers/peer.h"

#include <stdlib.h>

enum { ORDERS = 10, AREA_FRAMES = 512 };

struct desc {
	uint32_t flags, refcount, count, a, b, obj, high[2];
};

static struct desc *desc;
static struct { uint32_t *at; uint64_t nr; } stack[ORDERS];
static uint64_t cut, all; /* frames below `cut` have been handed out once */

static bool init(uint64_t nr_frames)
{
	bool ok;

	desc = calloc(nr_frames, sizeof(*desc));
	ok = desc != NULL;
	cut = 0;
	all = nr_frames;
	for (unsigned i = 0; i < ORDERS; i++) {
		stack[i].at = malloc((nr_frames >> i) * sizeof(uint32_t));
		stack[i].nr = 0;
		ok = ok && stack[i].at != NULL;
	}
	return ok;
}

static void fini(void)
{
	free(desc);
	for (unsigned i = 0; i < ORDERS; i++)
		free(stack[i].at);
}

/* 2 MiB more of blocks of that order. */
static bool stock(unsigned order)
{
	if (cut + AREA_FRAMES > all)
		return false;
	for (uint64_t at = AREA_FRAMES; at; at -= 1u << order)
		stack[order].at[stack[order].nr++] = (uint32_t)(cut + at - (1u << order));
	cut += AREA_FRAMES;
	return true;
}

static uintptr_t alloc(unsigned order)
{
	uint32_t frame;

	if (stack[order].nr == 0 && !stock(order))
		return PEER_NONE;
	frame = stack[order].at[--stack[order].nr];
	desc[frame] = (struct desc){ .flags = order << 4 | 1, .refcount = 1 };
	return (uintptr_t)&desc[frame];
}

static void give_back(uintptr_t block, unsigned order)
{
	struct desc *d = (struct desc *)block;

	if (d->flags != (order << 4 | 1) || d->refcount != 1)
		abort();
	d->flags = 0;
	d->refcount = 0;
	stack[order].at[stack[order].nr++] = (uint32_t)(d - desc);
}

const struct peer peer_touch = {
	.name = "floor-touch", .max_order = ORDERS - 1, .only_times = true,
	.init = init, .fini = fini, .alloc = alloc, .free = give_back
};
