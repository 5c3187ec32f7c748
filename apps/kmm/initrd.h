/* SPDX-License-Identifier: MIT */
/*
 * The initrd of a run: a cpio archive in "newc" form, built in memory (a memfd, so there is nothing to clean up).
 */
#ifndef KMM_APP_INITRD_H
#define KMM_APP_INITRD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct initrd {
	int fd;
	uint32_t next_ino;
	char **dirs; /* made so far */
	size_t nr_dirs;
	bool failed; /* an earlier write did not work; errno is kept in error */
	int error;
};

void initrd_open(struct initrd *rd);
/* Adds a file of the host, or a directory with all that is in it, under an absolute guest path. NULL, or the sentence's
 * end: why it could not be. */
const char *initrd_add(struct initrd *rd, const char *host, const char *guest);
void initrd_add_bytes(struct initrd *rd, const char *guest, const void *bytes, size_t len, uint32_t mode);
void initrd_add_link(struct initrd *rd, const char *guest, const char *target);
/* Writes the trailer. false: the archive could not be written (rd->error). */
bool initrd_finish(struct initrd *rd);

#endif
