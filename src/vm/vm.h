/* SPDX-License-Identifier: MIT */
/*
 * Tier c's state: the spaces of one machine and the caches that their parts come from.
 */
#ifndef KMM_VM_VM_H
#define KMM_VM_VM_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/mem.h"
#include "kmm/mm.h"
#include "kmm/slab.h"

#define KMM_RESERVE_UNSET (~(kmm_word)0)

struct kmm_vm {
	struct kmm_spin lock;        /* KMM_LOCK_RMAP; v: this lock. Never held together with an anon object's */
	struct kmm_list mms;         /* v: all spaces */
	unsigned nr_mms;             /* v */
	uint64_t next_ino;           /* v: of shared anonymous objects, as they show in maps */
	uint64_t random;             /* v: state of the generator for randomised bases */
	atomic_uint nr_anon;         /* anon objects alive; audited */
	/* Moving pages between frames (migrate.c, guest.h). */
	struct kmm_mutex move_lock;  /* one mover at a time; never waited for with m or b held */
	void *move_room;             /* under move_lock: the mover's notes */
	atomic_uint visitors;        /* who may look at marks of owners now */
	atomic_uint moving;          /* moving entries in all tables */
	atomic_uint moves;           /* batches that were completed: what waiters sleep on */
	atomic_uint move_waiters;
	kmm_word nr_moved, nr_not_moved; /* pages, for vmstat; atomic */
	kmm_word nr_pins;            /* kmm_pin_user(); atomic */
	kmm_word pins_taken;         /* ever; atomic, wraps */
	kmm_word shared_committed;   /* atomic: pages that shared anonymous objects promised */
	unsigned overcommit_mode, overcommit_ratio; /* looked at without a lock */
	enum kmm_answer answer;      /* of new spaces; looked at without a lock */
	kmm_word overcommit_pages;   /* the same; 0: the ratio counts */
	kmm_word admin_reserve, user_reserve; /* the same; KMM_RESERVE_UNSET: by the size of memory */
	/* Writing back (writeback.c). */
	struct kmm_list dirty_files; /* v: mappings whose files have dirty pages */
	struct kmm_list swapped_files; /* v: mappings whose files have pages in swap */
	unsigned nr_swapped_files;   /* v */
	unsigned dirty_ratio, dirty_background_ratio; /* looked at without a lock */
	uint64_t dirty_expire_ns;    /* v */
	kmm_word nr_dirty, nr_writing, nr_dirtied, nr_written, nr_read, nr_write_errors, nr_throttled; /* pages; atomic */
	struct kmm_page *zero_page;  /* kind ZERO, never written, one reference for ever. The rest: constant */
	struct kmm_cache *mm_cache, *vma_cache, *node_cache, *anon_cache;
	struct kmm_cache *mapping_cache, *radix_cache, *shm_cache;
};

/* Starts the layer; kmm_init_spaces() is its public name. errors: KMM_ENOMEM. context: boot. */
KMM_MUST_CHECK enum kmm_status kmm_vm_init(struct kmm *k);

/* Pages that all spaces together may come to need of their own: what they promised themselves. */
kmm_word kmm_vm_committed(struct kmm *k);
/* And may, by the rule NEVER. */
kmm_word kmm_vm_commit_limit(struct kmm *k);

/* Checker: every space against its page tables, every user frame against its reverse map, counters against
 * the truth. Nothing else may run on k. Returns violations and writes a line for each. */
unsigned kmm_vm_audit(struct kmm *k, struct kmm_sink *out);

#endif
