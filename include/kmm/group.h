/* SPDX-License-Identifier: MIT */
/*
 * Memory groups: limits for some of the spaces of a machine, and a share that is theirs, with the meanings of Linux's
 * memory controller (cgroup v2).
 *
 * Groups are a tree. A space belongs to one or to none; a child belongs where its parent does when it is forked. A private page,
 * and a page that a file keeps in memory, is charged to the group of the space that touched it first, and counts in all groups
 * above that one too; it stays charged there until it is freed, wherever the space goes. A slot of swap is charged to
 * the group of the page that went there. What the kernel needs for itself is charged to nobody.
 *
 * Units are pages. Until the first group is made nothing of this costs anything.
 */
#ifndef KMM_GROUP_H
#define KMM_GROUP_H

#include "kmm/reclaim.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kmm_group;

enum kmm_group_limit {
	KMM_GROUP_MAX,      /* never more: what does not fit is reclaimed from the group itself; if nothing can go, the fault is
	                     * KMM_FAULT_OOM, and kmm_mm_oom_group() says whose limit it was */
	KMM_GROUP_HIGH,     /* who charges more reclaims for it, and if that does not help is slowed down, but never fails */
	KMM_GROUP_LOW,      /* is not reclaimed for others as long as they have anything else */
	KMM_GROUP_MIN,      /* is never reclaimed for others, nor for a limit above */
	KMM_GROUP_SWAP_MAX, /* never more of it in swap */
	KMM_NR_GROUP_LIMITS
};
#define KMM_GROUP_NO_LIMIT ((kmm_word)-1)

/* A group below parent; NULL: at the top. MAX, HIGH and SWAP_MAX are without limit, LOW and MIN 0. errors: KMM_ENOMEM;
 * KMM_EOVERFLOW there are KMM_MAX_GROUPS, some of which may be removed ones that still have pages; KMM_EINVAL parent was
 * removed. context: this and the next three: no locks, may sleep. */
KMM_MUST_CHECK enum kmm_status kmm_group_create(struct kmm *k, struct kmm_group *parent, struct kmm_group **out);
/* The caller forgets it. Pages charged to it stay so, without protection, and count in the groups above; when the last is gone so is
 * the group. errors: KMM_EBUSY it has spaces, or groups below it. */
KMM_MUST_CHECK enum kmm_status kmm_group_remove(struct kmm_group *group);
/* A limit from now on. MAX and HIGH below what is charged now: reclaims first, as far as that goes. */
void kmm_group_set(struct kmm_group *group, enum kmm_group_limit which, kmm_word pages);
/* Reclaims up to nr pages of the group and those below it; returns how many. */
kmm_word kmm_group_reclaim(struct kmm_group *group, kmm_word nr);
/* For how long a thread is to wait that has charged so many pages since it waited last (port->above_high), in ns: as long as Linux
 * makes it wait, which grows with the square of what the group, or one above it, has beyond HIGH; at most 2 s. 0: not worth it. */
uint64_t kmm_group_delay_ns(const struct kmm_group *group, kmm_word pages);
kmm_word kmm_group_limit(const struct kmm_group *group, enum kmm_group_limit which);
/* NULL: at the top. */
struct kmm_group *kmm_group_parent(const struct kmm_group *group);

/* The space belongs to group from now on; NULL: to none. errors: KMM_EINVAL the group was removed; KMM_ENOMEM.
 * context: no locks. The caller sees to it that the group is not removed meanwhile. */
KMM_MUST_CHECK enum kmm_status kmm_mm_set_group(struct kmm_mm *mm, struct kmm_group *group);
struct kmm_group *kmm_mm_group(const struct kmm_mm *mm);
/* Whose MAX was the reason of the space's last KMM_FAULT_OOM, or KMM_ENOMEM of a call; NULL: the machine's memory. Valid as long
 * as the space belongs to that group or one below it. */
struct kmm_group *kmm_mm_oom_group(const struct kmm_mm *mm);

enum kmm_group_event {
	KMM_GROUP_EV_LOW,      /* reclaimed for others although below LOW */
	KMM_GROUP_EV_HIGH,     /* somebody was above HIGH and reclaimed */
	KMM_GROUP_EV_MAX,      /* a charge met MAX */
	KMM_GROUP_EV_OOM,      /* and nothing could go */
	KMM_GROUP_EV_OOM_KILL, /* kmm_group_note_kill() */
	KMM_GROUP_EV_OOM_GROUP_KILL, /* of all of it, by the same */
	KMM_GROUP_EV_SWAP_MAX, /* a page could not go to swap because of SWAP_MAX */
	KMM_GROUP_EV_SWAP_FAIL, /* or because of that, or because swap was full */
	KMM_NR_GROUP_EVENTS
};

/* Of the group and all below it. */
struct kmm_group_info {
	kmm_word pages, peak;       /* charged now; peak counts what processors charged ahead, 32 pages each at most */
	kmm_word swap, swap_peak;
	kmm_word writing;           /* of pages: on their way to swap */
	kmm_word anon, file, shmem; /* pages = anon + file; shmem is part of file */
	kmm_word spaces;            /* of the group itself, without those below */
	kmm_word refaults;          /* pages that came back from swap; this and the next two wrap */
	kmm_word scanned, stolen;   /* looked at and evicted by anybody's reclaim */
	kmm_word events[KMM_NR_GROUP_EVENTS];       /* in it and below; these wrap */
	kmm_word local_events[KMM_NR_GROUP_EVENTS]; /* in it alone */
};
void kmm_group_info(struct kmm_group *group, struct kmm_group_info *out);

/* ---- when nothing of a group can be reclaimed ---- */

/* As kmm_oom_rank() and kmm_report_oom(), of the spaces of the group and those below it. */
unsigned kmm_group_oom_rank(struct kmm_group *group, struct kmm_oom_candidate *out, unsigned most);
void kmm_report_group_oom(struct kmm_group *group, const struct kmm_oom_candidate *ranked, unsigned nr, struct kmm_sink *out);
/* The embedder ended a space of the group, or (whole) all of them, which counts as an event there. */
void kmm_group_note_kill(struct kmm_group *group, bool whole);
/* The embedder found by itself that nothing of it can go: a limit became smaller than what is charged. */
void kmm_group_note_oom(struct kmm_group *group);

/* ---- time lost for lack of memory (kmm/reclaim.h), of threads whose spaces belong to the group or to one below it ---- */
void kmm_group_pressure(struct kmm_group *group, struct kmm_pressure *out);

/* ---- text of Linux 6.1's files: memory.stat as far as it is known here, memory.events, memory.events.local, memory.swap.events,
 * memory.pressure ---- */
void kmm_report_group_stat(struct kmm_group *group, struct kmm_sink *out);
/* The same lines about the machine, as that of the root. */
void kmm_report_root_stat(struct kmm *k, struct kmm_sink *out);
void kmm_report_group_events(struct kmm_group *group, bool local, struct kmm_sink *out);
void kmm_report_group_swap_events(struct kmm_group *group, struct kmm_sink *out);
void kmm_report_group_pressure(struct kmm_group *group, struct kmm_sink *out);

#ifdef __cplusplus
}
#endif
#endif
