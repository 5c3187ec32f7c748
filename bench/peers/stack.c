/* SPDX-License-Identifier: MIT */
/*
 * The floor: an array stack of free frame numbers. Order 0 only, no merging, no lock. Nothing that returns
 * frames one at a time is quicker, so it says how much of a figure is the harness and the caches.
 */
#include "peers/peer.h"

#include <stdlib.h>

static uint32_t *stack;
static uint64_t depth;

static bool init(uint64_t nr_frames)
{
	stack = malloc(nr_frames * sizeof(*stack));
	if (stack == NULL)
		return false;
	for (depth = 0; depth < nr_frames; depth++)
		stack[depth] = (uint32_t)(nr_frames - depth); /* handle = number + 1; the lowest on top */
	return true;
}

static void fini(void)
{
	free(stack);
}

static uintptr_t alloc(unsigned order)
{
	(void)order;
	return depth ? stack[--depth] : PEER_NONE;
}

static void give_back(uintptr_t block, unsigned order)
{
	(void)order;
	stack[depth++] = (uint32_t)block;
}

const struct peer peer_stack = {
	.name = "floor-stack", .max_order = 0, .init = init, .fini = fini, .alloc = alloc, .free = give_back
};
