/* SPDX-License-Identifier: MIT */
/*
 * locks.h - advisory locks on files: record locks of a process (fcntl F_SETLK), record locks of an open file (F_OFD_SETLK)
 * and locks of a whole file (flock). The first two see each other, the third only its own kind, as on Linux.
 */
#ifndef OS_FS_LOCKS_H
#define OS_FS_LOCKS_H

#include "fs/vfs.h"

enum lock_type { LOCK_READ, LOCK_WRITE, LOCK_NONE };

/* Bytes start to end (inclusive) of a file, and whose they are. */
struct file_lock {
	struct inode *inode;
	const void *owner; /* a descriptor table or an open file */
	bool whole;        /* by flock */
	enum lock_type type;
	uint64_t start, end;
	uint32_t pid;      /* for F_GETLK; -1: an open file's */
};

/* Takes or gives up. wait: -EDEADLK where that would never end, -EINTR; otherwise -EAGAIN. -ENOMEM changes nothing. */
int lock_set(const struct file_lock *lock, bool wait);
/* A lock that is in the way of this one; false: none. */
bool lock_find(const struct file_lock *lock, struct file_lock *out);
/* All that an owner has of a file. */
void lock_drop(const void *owner, const struct inode *inode);

#endif
