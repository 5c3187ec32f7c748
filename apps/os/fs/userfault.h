/* SPDX-License-Identifier: MIT */
/* userfault.h - see userfault.c. */
#ifndef OS_FS_USERFAULT_H
#define OS_FS_USERFAULT_H

#include "fs/vfs.h"

/* vm.unprivileged_userfaultfd: programs without CAP_SYS_PTRACE may stop accesses by system calls, too. */
extern bool userfault_for_all;

/* About the memory of current's process. user_only: of its own accesses alone. flags: O_NONBLOCK, O_CLOEXEC. */
int userfault_create(bool user_only, uint32_t flags, struct open_file **out);

#endif
