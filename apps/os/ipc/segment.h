/* SPDX-License-Identifier: MIT */
/*
 * segment.h - segments of System V shared memory: a file without a directory each, found by a number.
 *
 *   made (shmget) --> attached and detached, by areas of spaces --> doomed (IPC_RMID) --> gone with its last area
 *
 * A segment is one kmm_file with is_shared_memory, as a memfd is. The table has one reference to it while it has a number,
 * each area has one. The core says when areas come and go (struct kmm_area_ops), which is what nattch counts: a fork adds
 * as many as there are, an area cut in two is two.
 */
#ifndef OS_IPC_SEGMENT_H
#define OS_IPC_SEGMENT_H

#include "kmm/backing.h"
#include "lib.h"
#include "os.h"

enum {
	IPC_PRIVATE = 0, IPC_CREAT = 01000, IPC_EXCL = 02000,
	IPC_MODE = 0777, SHM_DEST = 01000, SHM_LOCKED = 02000, /* in the mode */
	SHM_HUGETLB = 04000, SHM_NORESERVE = 010000
};

/* What IPC_STAT and /proc/sysvipc/shm show. */
struct segment_info {
	int32_t id, key;
	uint32_t mode, uid, gid, cuid, cgid, seq;
	uint32_t cpid, lpid;
	uint64_t size, nattch, pages; /* pages: in memory, looked at without a lock */
	int64_t atime, dtime, ctime;  /* seconds; 0: never */
};

/* /proc/sys/kernel/shmmax, shmall (pages), shmmni. */
struct segment_limits {
	uint64_t max_bytes, all_pages;
	uint32_t max_segments;
};
struct segment_limits segment_limits(void);
void segment_set_limits(const struct segment_limits *limits);

/* All of them together. */
struct segment_sums {
	int32_t max_index;           /* -1: there are none */
	uint32_t nr;
	uint64_t pages, in_memory;
};
void segment_sums(struct segment_sums *out);

/* The segment of a key, made if flags say so: its number. Or -ENOENT, -EEXIST, -EINVAL, -EACCES, -ENOSPC, -ENOMEM. */
sword segment_get(int32_t key, uword size, uint32_t flags);
/* Its content, with a reference and an attach, so that it stays until segment_attached(). mode: 0444, 0222, 0111 together.
 * -EINVAL: there is none; -EACCES. */
int segment_attach(int32_t id, uint32_t mode, struct kmm_backing **out, uint64_t *size);
void segment_attached(struct kmm_backing *backing);
/* by_index: id is a place in the table, and only readers may look if checked. -EINVAL, -EACCES. */
int segment_stat(int32_t id, bool by_index, bool checked, struct segment_info *out);
/* uid, gid and mode. -EINVAL, -EPERM. */
int segment_set(int32_t id, uint32_t uid, uint32_t gid, uint32_t mode);
int segment_remove(int32_t id);
/* -EINVAL, -EPERM, -ENOMEM: the limit. */
int segment_lock(int32_t id, bool lock);
/* In order of their numbers' places; from place *index on, which becomes the next. false: no more. */
bool segment_next(int32_t *index, struct segment_info *out);

extern const struct kmm_area_ops segment_areas; /* of their backings */

#endif
