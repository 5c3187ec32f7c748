/* SPDX-License-Identifier: MIT */
/*
 * Sequences of accesses to pages, made from a name or read from a trace, for page replacement to be compared on.
 *
 * Pages are numbered from 0 without holes, in the order of their addresses. A sequence is divided into phases, which
 * are counted apart: filling memory is another thing than using it.
 */
#ifndef KMM_APP_SEQUENCE_H
#define KMM_APP_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SEQUENCE_PHASES = 4, SEQUENCE_ERROR = 160 };

struct sequence {
	const char *name;    /* of sequence_make()'s; NULL: a trace */
	uint32_t *page;      /* of each access */
	size_t nr, room;
	uint32_t nr_pages;
	unsigned nr_phases;
	struct {
		const char *name;
		size_t end;  /* accesses up to here belong to this phase or an earlier one */
	} phase[SEQUENCE_PHASES];
};

struct sequence_kind {
	const char *name, *what;
};
/* All that sequence_make() knows; ends with a name of NULL. */
extern const struct sequence_kind sequence_kinds[];

/* The sequence of that name on a memory of nominally `pages` pages (8 to 2^24, a power of two for "skewed").
 * seed: another is another course of chance, where there is chance. The name must stay. false: no such name. */
bool sequence_make(struct sequence *s, const char *name, uint32_t pages, uint64_t seed);

/* One access a line: what valgrind's lackey writes (" S 1ffefffe60,8"), or an address with r or w before it, or alone;
 * addresses are hexadecimal, of bytes. Lines that begin with '=' or '#' and empty ones are passed over. An access over
 * the end of a page is two. false: a sentence in error. */
bool sequence_read(struct sequence *s, FILE *in, const char *name, char error[SEQUENCE_ERROR]);

void sequence_free(struct sequence *s);

#endif
