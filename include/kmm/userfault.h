/* SPDX-License-Identifier: MIT */
/*
 * Faults that somebody else resolves (tier c): a range of a space is watched by a struct kmm_userfault of the embedder, which
 * hears of each access to a page that is missing there and provides the page, as userfaultfd(2) does. Areas that nobody
 * watches pay nothing for it.
 * Only memory without a file is watched: private anonymous, and shared memory. Areas split, merge and grow with their
 * watcher; it does not follow to a child, nor to another address.
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
struct kmm_userfault_ops {
	/* An access to addr cannot go on. Returns when it is to be tried again, or is given up: KMM_OK: again;
	 * KMM_ERANGE: as beyond the end of a file (SIGBUS); KMM_EFAULT. No locks held, may sleep for as long as it wants.
	 * Before it sleeps it asks kmm_userfault_waits(), for the page may have come since the fault looked. */
	enum kmm_status (*fault)(struct kmm_userfault *u, struct kmm_mm *mm, struct kmm_uva addr, enum kmm_access access,
				 unsigned why);
	/* The last reference is gone. Called with the space locked, perhaps: must not sleep. */
	void (*release)(struct kmm_userfault *u);
};

/* The embedder's, who has the first reference; each watched area has one. */
struct kmm_userfault {
	const struct kmm_userfault_ops *ops;
	uint32_t refs; /* atomic */
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
 * not watched, KMM_EEXIST there is one, KMM_EFAULT beyond the end of the shared memory, KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_userfault_fill(struct kmm_mm *mm, struct kmm_uva addr, const void *content);
/* The same in memory watched for WRITES, and writes to the page are watched from the start. errors: as above, KMM_EINVAL not
 * watched for that. */
KMM_MUST_CHECK enum kmm_status kmm_userfault_fill_watched(struct kmm_mm *mm, struct kmm_uva addr, const void *content);
/* From now on writes to the pages of [addr, addr + len), of one area watched for WRITES, stop (watched), or do not. Private
 * memory without a file: to pages that are there; else to those that come later, too. A page in swap, or one that is
 * moved, stays watched; one that is unmapped and comes again is not. errors: KMM_ENOENT not such an area, KMM_EINVAL not aligned
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
