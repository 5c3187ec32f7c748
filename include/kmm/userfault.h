/* SPDX-License-Identifier: MIT */
/*
 * Faults that somebody else resolves (tier c): a range of a space is watched by a struct kmm_userfault of the embedder, which
 * hears of each access to a page that is missing there and provides the page, as userfaultfd(2) does. Areas that nobody
 * watches pay nothing for it.
 * Only memory without a file is watched: private anonymous, and shared memory. Areas split, merge and grow with their
 * watcher; it does not follow to a child, nor to another address, unless it wants to hear of that.
 */
#ifndef KMM_USERFAULT_H
#define KMM_USERFAULT_H

#include "kmm/mm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Why an access stops. MISSING: there is no page; WRITES: it writes to a page whose writes are watched; MINOR: shared memory has
 * one that is not mapped here. Bits of a mode. */
enum { KMM_USERFAULT_MISSING = 1, KMM_USERFAULT_WRITES = 2, KMM_USERFAULT_MINOR = 4 };

struct kmm_userfault;

/* What else a watcher can want to hear of (kmm_userfault.events): the space is copied, and a watcher of its own follows to the copy;
 * watched memory moves, and its watcher goes along; pages of it are dropped (madvise); it is unmapped. */
enum { KMM_USERFAULT_FORK = 1, KMM_USERFAULT_REMAP = 2, KMM_USERFAULT_REMOVE = 4, KMM_USERFAULT_UNMAP = 8 };
struct kmm_userfault_event {
	unsigned what;                /* one of them */
	struct kmm_uva start, end;    /* REMAP: where it was; REMOVE, UNMAP: the range of the call, in one area for REMOVE */
	struct kmm_uva to;            /* REMAP: where start is now */
	struct kmm_userfault *child;  /* FORK: whom ops->fork made, its first reference now the hearer's */
	struct kmm_mm *child_mm;      /* FORK: the copy, complete, and there until ops->event returns */
};

struct kmm_userfault_ops {
	/* An access to addr cannot go on. Returns when it is to be tried again, or is given up: KMM_OK: again;
	 * KMM_ERANGE: as beyond the end of a file (SIGBUS); KMM_EFAULT. No locks held, may sleep for as long as it wants.
	 * Before it sleeps it asks kmm_userfault_waits(), for the page may have come since the fault looked. */
	enum kmm_status (*fault)(struct kmm_userfault *u, struct kmm_mm *mm, struct kmm_uva addr, enum kmm_access access,
				 unsigned why);
	/* Something that it wants to hear of: noted before it was done, told afterwards (REMOVE: before), and the call that did it goes
	 * on when this returns. Until then kmm_userfault_fill() and its like say KMM_EAGAIN. No locks held, may sleep. NULL: for
	 * watchers without events. */
	void (*event)(struct kmm_userfault *u, struct kmm_mm *mm, const struct kmm_userfault_event *event);
	/* The watcher for a copy of a space that is being made: once for each watcher and copy. Both are locked: must not look at
	 * them. NULL: no memory. */
	struct kmm_userfault *(*fork)(struct kmm_userfault *u, struct kmm_mm *child);
	/* The last reference is gone. Called with the space locked, perhaps: must not sleep. */
	void (*release)(struct kmm_userfault *u);
};

/* The embedder's, who has the first reference; each watched area has one. */
struct kmm_userfault {
	const struct kmm_userfault_ops *ops;
	uint32_t refs;     /* atomic */
	uint32_t events;   /* the embedder's, before anything is watched */
	uint32_t changing; /* atomic: events that were not told to their end */
};
void kmm_userfault_init(struct kmm_userfault *u, const struct kmm_userfault_ops *ops);
void kmm_userfault_get(struct kmm_userfault *u);
void kmm_userfault_put(struct kmm_userfault *u);

/* Watches [addr, addr + len) for modes (bits of MISSING, WRITES, MINOR), instead of what u watched there before. All of the errors leave
 * everything as it was but for KMM_ENOMEM half-way. errors, as ioctl(UFFDIO_REGISTER): KMM_EINVAL (range, no area in it, memory
 * that cannot be watched so), KMM_EPERM (it can never be written), KMM_EBUSY (another watches), KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_userfault_register(struct kmm_userfault *u, struct kmm_mm *mm, struct kmm_uva addr, uint64_t len,
						      unsigned modes);
/* Nobody watches there any more. errors: KMM_EINVAL, KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_userfault_unregister(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len);
/* u watches nothing in mm any more. */
void kmm_userfault_forget(struct kmm_userfault *u, struct kmm_mm *mm);

/* Provides the page of a watched address: with the content (a page), or zeros (NULL). errors: KMM_EINVAL not aligned, KMM_ENOENT
 * not watched, KMM_EAGAIN its watcher is to hear of an event first, KMM_EEXIST there is one, KMM_EFAULT beyond the end of the shared memory, KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_userfault_fill(struct kmm_mm *mm, struct kmm_uva addr, const void *content);
/* The same in memory watched for WRITES, and writes to the page are watched from the start. errors: as above, KMM_EINVAL not
 * watched for that. */
KMM_MUST_CHECK enum kmm_status kmm_userfault_fill_watched(struct kmm_mm *mm, struct kmm_uva addr, const void *content);
/* From now on writes to the pages of [addr, addr + len), of one area watched for WRITES, stop (watched), or do not. Private
 * memory without a file: to pages that are there; else to those that come later, too. A page in swap, or one that is
 * moved, stays watched; one that is unmapped and comes again is not. errors: KMM_ENOENT not such an area, KMM_EAGAIN as above, KMM_EINVAL not aligned
 * or empty, KMM_ENOMEM. Those that wait are not told. */
KMM_MUST_CHECK enum kmm_status kmm_userfault_protect(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, bool watched);
/* Maps the page that shared memory has. errors: as above, KMM_EFAULT it has none, KMM_EINVAL not shared memory. */
KMM_MUST_CHECK enum kmm_status kmm_userfault_continue(struct kmm_mm *mm, struct kmm_uva addr);
/* Would an access to addr still stop for that reason? */
bool kmm_userfault_waits(struct kmm_mm *mm, struct kmm_uva addr, unsigned why);

#ifdef __cplusplus
}
#endif
#endif
