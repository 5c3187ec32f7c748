/* SPDX-License-Identifier: MIT */
/*
 * The initrd of a run: a cpio archive in "newc" form, built in memory (a memfd, so there is nothing to clean up).
 */
#ifndef KMM_APP_INITRD_H
#define KMM_APP_INITRD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INITRD_TIME 1577836800u /* 2020-01-01, where the clock of counted runs starts */

struct initrd {
	int fd;
	uint32_t next_ino;
	uint32_t mtime; /* of everything; 0: what the host's files have, and INITRD_TIME for the rest */
	void *names;  /* all so far, for tsearch() */
	bool failed;  /* an earlier write did not work; errno is kept in error */
	int error;
};

/* What there is by a name, which is looked up as it stands, without following links. */
enum initrd_kind { INITRD_NONE, INITRD_FILE, INITRD_DIR, INITRD_LINK };

void initrd_open(struct initrd *rd);
enum initrd_kind initrd_find(const struct initrd *rd, const char *guest);
/* Adds a file of the host, or a directory with all that is in it, under an absolute guest path; links that were added
 * before are followed on the way there. NULL, or the sentence's end: why it could not be. */
const char *initrd_add(struct initrd *rd, const char *host, const char *guest);
void initrd_add_bytes(struct initrd *rd, const char *guest, const void *bytes, size_t len, uint32_t mode);
/* Nothing happens when the name is taken. */
void initrd_add_link(struct initrd *rd, const char *guest, const char *target);
void initrd_add_dir(struct initrd *rd, const char *guest);
/* Writes the trailer. false: the archive could not be written (rd->error). */
bool initrd_finish(struct initrd *rd);

#endif
