/* SPDX-License-Identifier: MIT */
/*
 * A pool of page frames for pieces of memory smaller than a page, which are found by number and may lie in high memory.
 *
 *	block    8 frames, which need not lie in a row; pieces of one size, one after the other, across the frames' borders
 *	class    how many pieces a block is cut into: 9, 10 ... 2048, so that next to nothing is left at a block's end
 *	piece    a header (struct kmm_zpiece) and the bytes; a free one names the next free one of its block
 *	handle   0: none; else block + 1 and number of the piece
 *
 * Pieces know their age, and blocks are kept in the order in which they got their first one, which is nearly that of their oldest. A block whose last piece goes gives its
 * frames back, but for SPARE blocks that are kept filled with frames: they are what a store takes when there is no memory at
 * all, so that a pool in front of a disk makes the memory for which it needs some.
 *
 * No locks of its own: its user's spin lock is held in all calls, so frames are asked for without waiting.
 */
#ifndef KMM_SWAP_ZPOOL_H
#define KMM_SWAP_ZPOOL_H

#include "base/list.h"
#include "kmm/page.h"

enum {
	KMM_ZBLOCK_FRAMES = 8, KMM_ZBLOCK_BYTES = KMM_ZBLOCK_FRAMES * KMM_PAGE_SIZE, KMM_ZPOOL_CLASSES = 22,
	KMM_ZPOOL_SPARE = 2, KMM_ZPOOL_PIECE_BITS = 11, KMM_ZPOOL_BLOCKS = 1 << 20
};

struct kmm_zpiece {
	uint32_t key;             /* the user's */
	uint16_t size;            /* bytes behind the header; 0: free */
	uint16_t link;            /* in use: the pool's clock when it was put; free: the next free piece, plus 1; 0: none */
};

#define KMM_ZPIECE_MOST ((KMM_ZBLOCK_BYTES / 9 & ~15u) - sizeof(struct kmm_zpiece)) /* bytes that the largest has room for */

struct kmm_zblock {
	struct kmm_list age;      /* among used, spare or idle ones */
	struct kmm_list room;     /* among those of its class that have room */
	struct kmm_page *frame[KMM_ZBLOCK_FRAMES];
	uint16_t nr_used, nr_cut; /* pieces in use; pieces that were ever used */
	uint16_t free;            /* of those, the first free one, plus 1; 0: none */
	uint16_t class_;
};

struct kmm_zpool {
	struct kmm_zblock *block;
	uint32_t nr_blocks, nr_made; /* most that may be; those that were ever used */
	struct kmm_list used, spare, idle; /* used: oldest first; idle ones have no frames */
	uint32_t nr_spare;
	uint32_t clock;           /* pieces put so far */
	struct kmm_list room[KMM_ZPOOL_CLASSES];
	kmm_word nr_frames, nr_pieces, nr_bytes; /* bytes: what users gave */
};

/* For at most nr_frames; `blocks` has room for kmm_zpool_state_size(nr_frames) and is zeroed. errors: KMM_ENOMEM. context: may sleep. */
size_t kmm_zpool_state_size(kmm_word nr_frames);
KMM_MUST_CHECK enum kmm_status kmm_zpool_init(struct kmm *k, struct kmm_zpool *pool, void *blocks, kmm_word nr_frames);
/* Nothing is in it. */
void kmm_zpool_fini(struct kmm *k, struct kmm_zpool *pool);

/* A copy of size bytes, 1 to KMM_ZPIECE_MOST. 0: no room. */
uint32_t kmm_zpool_put(struct kmm *k, struct kmm_zpool *pool, uint32_t key, const void *bytes, size_t size);
/* They are copied to `bytes`, which has room for KMM_ZPIECE_MOST. */
size_t kmm_zpool_get(struct kmm *k, struct kmm_zpool *pool, uint32_t handle, void *bytes);
void kmm_zpool_free(struct kmm *k, struct kmm_zpool *pool, uint32_t handle);
/* Key of a piece that was put longer ago than nearly all others. false: the pool is empty. */
bool kmm_zpool_oldest(struct kmm *k, struct kmm_zpool *pool, uint32_t *key);
/* The piece's block and all in it are the youngest from now on. */
void kmm_zpool_renew(struct kmm *k, struct kmm_zpool *pool, uint32_t handle);

/* Checker: the piece's key, if there is such a piece. */
bool kmm_zpool_key(struct kmm *k, struct kmm_zpool *pool, uint32_t handle, uint32_t *key);
/* Returns violations, writes lines. */
unsigned kmm_zpool_check(struct kmm *k, struct kmm_zpool *pool, struct kmm_sink *out);

#endif
