/* SPDX-License-Identifier: MIT */
/*
 * cgroupfs.h - what a file of /sys/fs/cgroup is. Directories are inodes of the tree in memory, one for each cgroup; their files
 * come from constant tables, as far as the cgroup has them. Text is made anew whenever a file is read from its beginning.
 */
#ifndef OS_FS_CGROUPFS_H
#define OS_FS_CGROUPFS_H

#include "proc/cgroup.h"

enum {
	CG_NOT_ON_ROOT = 1,
	CG_GROUP = 2, /* only where memory is enabled; the functions get the group of the core's */
	CG_TELLS = 8, /* poll() hears of changes since it was read, by POLLPRI */
	CG_ALSO_ROOT = 4 /* with CG_GROUP: and on the root, which has none: the machine's figures */
};

struct cgroup_file {
	const char *name; /* NULL ends a table */
	uint32_t mode, flags;
	/* Group: the cgroup's own with CG_GROUP, which stays meanwhile; else NULL. */
	void (*text)(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out);
	/* The text without blanks around it; 0 or an error. May change the text. */
	int (*write)(struct cgroup *cg, struct kmm_group *group, char *text);
};

extern const struct cgroup_file cgroup_memory_files[]; /* cgroup_memory.c */

/* /sys/fs/cgroup, when there is a /sys. */
int cgroup_fs_init(void);
/* A cgroup of that name below the root, with the limits (KMM_GROUP_NO_LIMIT: none) in pages. NULL: no memory. */
struct cgroup *cgroup_fs_make_limited(const char *name, kmm_word max, kmm_word high);
/* cgroup_memory.c: as Linux reads sizes, into pages: digits (also 0x and 0), one of KMGTPE. false: anything else. */
bool cgroup_parse_size(const char *text, kmm_word *pages);

#endif
