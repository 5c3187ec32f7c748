/* SPDX-License-Identifier: MIT */
/* start.h - what only the boot uses. */
#ifndef OS_START_H
#define OS_START_H

#include "proc/task.h"

/* memory.c: the library on this machine, paging on; leaves with a sentence when the machine is not fit for it. */
void memory_start(void);

/* guard.c: the debug kernels' checks of themselves; others do nothing. */
void guard_boot(void);
void guard_break_entry(uword va);

/* swap.c: disks, and swap if the command line says so. */
void swap_start(void);

/* log.c: the core's log hook. */
void klog_core(struct kmm_port *port, const char *line);

/* start.c: arguments and environment of the first program, from the command line or the start record (see there).
 * Returns its path, or NULL with a sentence in *why. */
const char *start_record_read(struct exec_args *args, const char **why);

#endif
