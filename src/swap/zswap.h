/* SPDX-License-Identifier: MIT */
/*
 * Pages on their way to swap, kept in memory in compressed form.
 *
 *	                     +-> word repeated: 16 bytes -+
 *	page, slot taken ----+-> compressed --------------+--> pool --oldest--> the slot on the device
 *	                     +-> neither, or no room for it ------------------> the slot on the device
 *
 * The slot is taken first, so an entry names a slot of a device whether its content is there or here, and nobody but
 * kmm_swap_in() and kmm_swap_out() needs to know: an area has a word per slot that says where in the pool its content is,
 * and that is forgotten when the slot becomes free. A content is in the pool or on the device. It moves from here to
 * there when the pool has as many frames as it may have: then a stretch of neighbouring slots around the oldest piece is
 * unpacked to pages set aside, written by one transfer, and only when that has succeeded are the pieces let go. If it fails the
 * pieces stay, and the slot is not used for anything else after them.
 *
 * Nothing here waits for memory. Frames for the pool are asked for without waiting, some are kept (zpool.h), and what
 * finds none goes to the device, which needs none.
 *
 * Lock: w of swap.h for the words and the pool; bytes are compressed and unpacked without it, in work areas: one for who
 * stores and one for who writes on, both under `out`, and one per processor for readers. No transfer under any of those
 * but out, which reclaim alone takes.
 */
#ifndef KMM_SWAP_ZSWAP_H
#define KMM_SWAP_ZSWAP_H

#include "swap/swap.h"
#include "swap/zpool.h"

enum { KMM_ZSWAP_RUN = 16, KMM_ZSWAP_WORD = 8 };

#define KMM_ZSWAP_SPOILT 0x80000000u /* in an area's word: the device failed to take it */

struct kmm_zwork {
	struct kmm_mutex lock;    /* readers' ones */
	uint8_t *bytes;           /* compressed; and behind them what the compressor works in */
	void *work;
};

struct kmm_zswap {
	const struct kmm_compressor *c;
	unsigned percent;
	bool storing;             /* atomic */
	struct kmm_zpool pool;    /* w */
	struct kmm_mutex out;
	struct kmm_zwork store, on; /* out */
	struct kmm_page *page[KMM_ZSWAP_RUN]; /* out: to unpack what is written on */
	struct kmm_zwork load[KMM_MAX_CPUS];
	void *blocks;             /* the pool's */
	struct kmm_zswap_stats stats; /* its counters; atomic */
};

static inline struct kmm_zswap *kmm_zswap_of(const struct kmm *k)
{
	return __atomic_load_n(&k->swap->zswap, __ATOMIC_ACQUIRE);
}

/* Tries to keep the page's content for the slot, of which the caller has a count. context: reclaim, no spin locks. */
bool kmm_zswap_store(struct kmm *k, unsigned place, uint32_t slot, struct kmm_page *page);
/* The content of raw's slot, of which the caller has a count. errors: KMM_EAGAIN: it is on the device; KMM_EIO. */
KMM_MUST_CHECK enum kmm_status kmm_zswap_load(struct kmm *k, uint32_t raw, struct kmm_page *page);
/* Is the slot's content here now? It may go to the device at any time, but does not come back while the slot is held. */
static inline bool kmm_zswap_has(const struct kmm_swap_area *a, uint32_t slot)
{
	return a->packed && __atomic_load_n(&a->packed[slot], __ATOMIC_RELAXED) & ~KMM_ZSWAP_SPOILT;
}
/* The slot becomes free. true: it must not be used again. w held. */
bool kmm_zswap_forget(struct kmm *k, struct kmm_swap_area *a, uint32_t slot);
/* Checker: words against pieces. */
unsigned kmm_zswap_check(struct kmm *k, struct kmm_sink *out);

#endif
