/* SPDX-License-Identifier: MIT */
/*
 * Programs of steps as text for people, one step a line, that reads back as the same program:
 *
 *	0 mmap at=window+2000 len=3000 prot=rw flags=private,anonymous,fixed file=none off=0 slot=1
 *
 * Numbers are hexadecimal, but for actors, files, slots and children. `#` starts a comment.
 */
#ifndef KMM_TESTS_ORACLE_WORDS_H
#define KMM_TESTS_ORACLE_WORDS_H

#include <stdio.h>

#include "oracle/step.h"

void words_print(FILE *out, const struct step *steps, unsigned nr);
/* As the native program reads them in a guest (program.c). */
void words_print_numbers(FILE *out, const struct step *steps, unsigned nr);
/* Returns the number of steps; -1: *line is what could not be read. */
int words_read(FILE *in, struct step *steps, unsigned room, char line[256]);

#endif
