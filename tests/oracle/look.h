/* SPDX-License-Identifier: MIT */
/*
 * What a program can see of its space, as text, in the same words whoever looks: the rows of /proc/PID/maps from the heap
 * on (device and inode left out, files by number), and below each row the pages that are there, with a digest of each.
 */
#ifndef KMM_TESTS_ORACLE_LOOK_H
#define KMM_TESTS_ORACLE_LOOK_H

#include "oracle/step.h"

/* Text that is cut off when the room is used up; the cut is part of it. */
struct text {
	char *at;
	uint32_t len, room;
};
void text_bytes(struct text *t, const char *from, uint32_t len);
void text_string(struct text *t, const char *from);
void text_hex(struct text *t, uint64_t v, unsigned least_digits);
void text_decimal(struct text *t, int64_t v);

uint32_t look_digest(const void *page);
uint64_t look_hash(uint64_t start, const void *bytes, size_t len); /* of a whole text */

/* Of mincore's answer for len bytes of memory: the residency of its first pages. */
uint32_t look_residency(const uint8_t *vector, uint64_t len);

enum look_page { LOOK_ABSENT, LOOK_UNREADABLE, LOOK_BUS, LOOK_CONTENT };
struct looker {
	uint64_t from; /* rows below are the native program's own */
	bool soft_dirty; /* the page last asked for was written since clear_refs */
	/* The area [start, end) comes next. */
	void (*area)(struct looker *l, uint64_t start, uint64_t end);
	/* prot: 1 readable, 2 writable, 4 executable. */
	enum look_page (*page)(struct looker *l, uint64_t va, unsigned prot, uint32_t *digest);
};
/* Of large areas the first and the last so many pages are looked at. */
enum { LOOK_MOST_PAGES = 256 };
void look_rows(struct looker *l, const char *maps, uint32_t len, struct text *out);
/* The first line: return value, errno, signal. */
void look_answer(const struct answer *a, struct text *out);

#endif
