/* SPDX-License-Identifier: MIT */
/* compare.h - how the two looks of a difference differ (compare.c). */
#ifndef KMM_TESTS_ORACLE_COMPARE_H
#define KMM_TESTS_ORACLE_COMPARE_H

#include "oracle/exceptions.h"

struct range {
	uint64_t start, end;
};
static const struct range nothing = { 0, 0 };

struct range range_of_pages(uint64_t start, uint64_t len);

/* Only by one row that is called [heap] by the machine, or by where areas are cut. */
bool look_differs_by_heap_name(const struct difference *d);
bool look_differs_by_merging(const struct difference *d);
/* Are the areas the same but for where they are cut? Returns how many; 0: no. */
unsigned look_united_alike(const struct difference *d);
/* After that: is each page that only the first text shows in an area that the two cut differently? nr: what it returned. */
bool look_only_cut_areas_have_more(const struct difference *d, const char *text, uint32_t len, const char *other, uint32_t other_len,
				   unsigned nr);
/* Are both looks alike, but for the answer, in all that lies outside of the two ranges? */
bool look_same_outside(const struct difference *d, struct range a, struct range b);
/* The first address from start on that no area of the machine's has, and whether some area begins between that and end. */
uint64_t look_first_hole(const struct difference *d, uint64_t start, uint64_t end, bool *goes_on);
/* How many rows are about something in the range. */
unsigned look_rows_over(const char *text, uint32_t len, struct range range);

#endif
