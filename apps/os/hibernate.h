/* SPDX-License-Identifier: MIT */
/* hibernate.h - the machine to a disk and back. */
#ifndef OS_HIBERNATE_H
#define OS_HIBERNATE_H

#include <stdbool.h>

/* For a task: everything stops, goes to the swap disk, and the machine powers off. Returns 0 when it goes on in another
 * boot, and an error when it could not be written: -EBUSY, -ENODEV no disk is swapped to, -ENOSPC its free slots do not
 * suffice, -EIO, -ENOMEM too little memory could be made free for the kernel that will start. */
int hibernate(void);

/* For leave.c, on the boot stack while all others rest. Is it the reason why they do? */
bool hibernate_is_wanted(void);
/* Is nothing under way, and has everybody come to rest? false: it takes a moment. */
bool hibernate_is_quiet(void);
/* Returns when the machine goes on: it could not be written, or was off meanwhile (true). */
bool hibernate_now(void);

/* At boot, before the disk is used for anything else: goes on with the image that the disk has. Returns when there is none that
 * can be used, with a sentence. */
const char *hibernate_resume(const char *disk);
/* At boot: so much memory is what a kernel needs that has just started. */
void hibernate_note_start(void);

#endif
