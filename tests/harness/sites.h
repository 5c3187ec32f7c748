/* SPDX-License-Identifier: MIT */
/*
 * Which allocation sites a test has failed: their names go to the file KMM_SITES_OUT, if set, for scripts/check-sites,
 * which runs the tests that have fail_every_site in their names.
 */
#ifndef KMM_TESTS_HARNESS_SITES_H
#define KMM_TESTS_HARNESS_SITES_H

#include <stdio.h>
#include <stdlib.h>

/* NULL: none was failed. */
static inline void note_site(const char *site)
{
	const char *path = getenv("KMM_SITES_OUT");
	FILE *file = path && site ? fopen(path, "a") : NULL;

	if (!file)
		return;
	fprintf(file, "%s\n", site);
	fclose(file);
}

#endif
