/* SPDX-License-Identifier: MIT */
/* locks.h - fcntl() with record locks. */
#ifndef OS_SYS_LOCKS_H
#define OS_SYS_LOCKS_H

#include "fs/vfs.h"

/* command: one of F_GETLK and its like, otherwise -EINVAL; at: user address of the structure that comes with it. */
sword record_lock(struct open_file *file, uint32_t command, uword at);

#endif
