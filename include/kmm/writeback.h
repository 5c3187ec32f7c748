/* SPDX-License-Identifier: MIT */
/*
 * Writing back: pages of files with a store (kmm/backing.h) that were changed in memory (tier c).
 *
 * A shared mapping of a clean page is write-protected; the first write makes page and entry dirty, and writing the page back
 * protects it again. Who writes more than the limit allows writes back himself, before he goes on.
 */
#ifndef KMM_WRITEBACK_H
#define KMM_WRITEBACK_H

#include "kmm/backing.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Per cent of the memory that files may have (free, or theirs already): above background_ratio kmm_writeback_step() has
 * something to do, above ratio writers wait (/proc/sys/vm/dirty_ratio and dirty_background_ratio; 20 and 10 at first).
 * errors: KMM_EINVAL above 100. */
KMM_MUST_CHECK enum kmm_status kmm_set_dirty_limits(struct kmm *k, unsigned ratio, unsigned background_ratio);

/* Pages that are dirty for longer are written by kmm_writeback_step(), however few they are, by the clock of the port
 * (/proc/sys/vm/dirty_expire_centisecs; 30 s at first). */
void kmm_set_dirty_expire(struct kmm *k, uint64_t ns);

struct kmm_writeback_stats {
	unsigned ratio, background_ratio;
	uint64_t expire_ns;
	kmm_word limit, background_limit;  /* pages, now */
	kmm_word dirty, writing;           /* pages, now */
	kmm_word dirtied, written, read, errors; /* pages so far; wrap */
	kmm_word throttled;                /* times a writer had to write back; wraps */
};
void kmm_writeback_stats(struct kmm *k, struct kmm_writeback_stats *out);

/* A step of background writing, for a thread of the embedder's: about `budget` pages at most, of the files by turns, if there are
 * more than the background limit or `all`, and then of files with pages that are dirty for too long. true: more is to be done, and this got something done. context: no locks, may sleep. */
KMM_MUST_CHECK bool kmm_writeback_step(struct kmm *k, kmm_word budget, bool all);
/* Everything that is dirty now, as sync(2). Errors are for who syncs the files. context: no locks, may sleep. */
void kmm_sync(struct kmm *k);

#ifdef __cplusplus
}
#endif
#endif
