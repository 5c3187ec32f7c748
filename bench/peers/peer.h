/* SPDX-License-Identifier: MIT */
/*
 * A page-frame allocator as the frames benchmark sees it: kmm and its peers behind the same function
 * pointers, so that each pays the same indirect call. The peers are our own minimal allocators; they have
 * no zones, watermarks, descriptors, statistics, tracing or fault injection, and so show what those cost.
 */
#ifndef KMM_BENCH_PEER_H
#define KMM_BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>

#define PEER_NONE 0u /* not a block: handles are never 0 */

struct peer {
	const char *name;
	unsigned max_order;   /* serves order 0 .. max_order, */
	bool only_0_and_9;    /* or of those only these two */
	bool only_times;      /* joins nothing: what it says of fragmentation would be about nothing */
	bool shared;          /* by several threads, each a CPU of its own */
	/* Makes all frames free. false: out of host memory. */
	bool (*init)(uint64_t nr_frames);
	void (*fini)(void);
	/* The handle of an aligned block of 2^order frames, or PEER_NONE. */
	uintptr_t (*alloc)(unsigned order);
	void (*free)(uintptr_t block, unsigned order);
	/* First frame of a block; NULL: the handle less one. */
	uint64_t (*frame)(uintptr_t block);
	/* Frames that can be handed out; NULL: all. */
	uint64_t (*nr_free)(void);
};

extern const struct peer peer_stack, peer_touch, peer_buddy, peer_word;

#endif
