/* SPDX-License-Identifier: MIT */
/*
 * Files of the host under the names they have there, with all that must be there for them to be found and run: the
 * links on the way, and of programs and libraries the interpreter and the libraries they need.
 */
#ifndef KMM_APP_BUNDLE_H
#define KMM_APP_BUNDLE_H

#include "initrd.h"

struct bundle {
	struct initrd *rd;
	const char *root;         /* directory of the host that stands for "/"; "" is the host's own */
	const char *library_path; /* as the program's LD_LIBRARY_PATH; NULL: none */
	char *configured;         /* directories of /etc/ld.so.conf, with ':' between them; NULL: not read yet */
	char **missing;           /* libraries that were not found, for a message */
	size_t nr_missing;
};

/* Adds a file, or a directory with all that is in it, by its absolute name. What is there already stays. NULL, or the
 * sentence's end: why it could not be. */
const char *bundle_add(struct bundle *b, const char *path);
/* Where a name leads when all links are followed, below the same root. false: nowhere. */
bool bundle_resolve(const struct bundle *b, const char *path, char *real, size_t size);
void bundle_free(struct bundle *b);

#endif
