/* SPDX-License-Identifier: MIT */
/* layout.h - the structures of shmctl(2) in user memory. All return 0 or -EFAULT. */
#ifndef OS_IPC_LAYOUT_H
#define OS_IPC_LAYOUT_H

#include "ipc/segment.h"

/* old: shmid_ds and shminfo as i386's first shmctl had them, whom ipc(2) still serves. */
int put_segment(uword to, const struct segment_info *info, bool old);
int get_segment(struct segment_info *out, uword from, bool old); /* uid, gid and mode alone */
int put_segment_limits(uword to, const struct segment_limits *limits, bool old);
int put_segment_sums(uword to, const struct segment_sums *sums);

#endif
