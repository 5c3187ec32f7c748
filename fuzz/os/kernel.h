/* SPDX-License-Identifier: MIT */
/*
 * A piece of the reference kernel in a process: its files and programs (apps/os/fs, apps/os/proc/elf.c), compiled unchanged,
 * on a simulated machine in place of the bare one. For fuzzing what reaches it from outside.
 */
#ifndef KMM_FUZZ_OS_KERNEL_H
#define KMM_FUZZ_OS_KERNEL_H

#include "fs/vfs.h"

#include "hosted.h"

/* Boots a 32-bit machine with 16 MiB and starts the tree of files on it; aborts when that fails. */
struct hosted_machine *kernel_boot(void);
/* Aborts when the audit finds a violation. */
void kernel_audit(void);
/* The machine goes, and with it whatever the kernel holds. */
void kernel_drop(struct hosted_machine *m);

#endif
