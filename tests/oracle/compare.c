/* SPDX-License-Identifier: MIT */
/*
 * compare.c - how two looks at a space differ, for exceptions.c: areas that are only cut in other places, pages that only such a cut
 * shows, and whether all is alike outside of given ranges. Texts are those of look.c.
 */
#include "oracle/compare.h"

#include "oracle/look.h"

#include <stdlib.h>
#include <string.h>

/* ---- areas that only one of the two has merged ---- */

enum { MOST_AREAS = 512 };
struct area {
	unsigned long start, end, offset;
	char rights[5], name[64];
};

static bool next_line(const char **text, const char *end, char line[256])
{
	const char *stop;
	size_t len;

	if (*text >= end)
		return false;
	stop = memchr(*text, '\n', (size_t)(end - *text));
	len = (size_t)((stop ? stop : end) - *text);
	if (len > 255)
		len = 255;
	memcpy(line, *text, len);
	line[len] = 0;
	*text = stop ? stop + 1 : end;
	return true;
}

static unsigned long long hex(const char *p, char **end)
{
	return strtoull(p, end, 16);
}

static void parse_area(const char *line, struct area *a)
{
	char *p;

	memset(a, 0, sizeof(*a));
	a->start = hex(line, &p);
	a->end = hex(p + 1, &p);
	memcpy(a->rights, p + 1, 4);
	a->offset = hex(p + 6, &p);
	strncpy(a->name, p + 1, sizeof(a->name) - 1);
	if (strcmp(a->name, "[heap]") == 0) /* what is called so depends on what it was merged with */
		a->name[0] = 0;
}

static bool continues(const struct area *a, const struct area *b)
{
	bool file = strncmp(a->name, "file", 4) == 0;

	return a->end == b->start && !strcmp(a->rights, b->rights) && !strcmp(a->name, b->name) &&
	       (!file || a->offset + (a->end - a->start) == b->offset);
}

/* The areas of a look, neighbours that look alike taken together. */
static unsigned united_areas(const char *text, uint32_t len, struct area *out, unsigned room)
{
	const char *end = text + len;
	char line[256];
	unsigned nr = 0;

	while (next_line(&text, end, line)) {
		struct area area;

		if (line[0] == ' ' || line[0] == '=')
			continue;
		parse_area(line, &area);
		if (nr && continues(&out[nr - 1], &area))
			out[nr - 1].end = area.end;
		else if (nr < room)
			out[nr++] = area;
	}
	return nr;
}

/* Is the page shown however the area is cut? Looks show the pages near both ends of each area only. */
static bool is_always_shown(const struct area *area, unsigned nr, unsigned long at)
{
	for (unsigned i = 0; i < nr; i++)
		if (at >= area[i].start && at < area[i].end)
			return at - area[i].start < LOOK_MOST_PAGES * ORACLE_PAGE || area[i].end - at <= LOOK_MOST_PAGES * ORACLE_PAGE;
	return true;
}

/* The answer, and the pages that are shown however the areas are cut, as one sum. */
static uint64_t sum_of_others(const char *text, uint32_t len, const struct area *area, unsigned nr)
{
	const char *end = text + len;
	uint64_t sum = 14695981039346656037u;
	char line[256];

	while (next_line(&text, end, line)) {
		if (line[0] != '=' && !(line[0] == ' ' && is_always_shown(area, nr, (unsigned long)strtoull(line, NULL, 16))))
			continue;
		for (const char *p = line; *p; p++)
			sum = (sum ^ (uint8_t)*p) * 1099511628211u;
	}
	return sum;
}

/* 6.1 calls an area the heap that begins where the heap ends: one row, and nothing else. */
bool look_differs_by_heap_name(const struct difference *d)
{
	static const char heap[] = "[heap]";
	const char *a = d->native_text, *b = d->machine_text, *a_end = a + d->native_len, *b_end = b + d->machine_len;
	char la[300], lb[256];
	unsigned named = 0;

	while (next_line(&a, a_end, la)) {
		if (!next_line(&b, b_end, lb))
			return false;
		if (strcmp(la, lb) == 0)
			continue;
		named++;
		if (strcmp(strcat(la, heap), lb) != 0)
			return false;
	}
	return named == 1 && b == b_end;
}

static struct area united[2][MOST_AREAS]; /* of the live kernel, of the machine */

/* Are they the same but for where they are cut? Returns how many; 0: no. */
unsigned look_united_alike(const struct difference *d)
{
	struct area *a = united[0], *b = united[1];
	unsigned nr = united_areas(d->native_text, d->native_len, a, MOST_AREAS);

	if (nr != united_areas(d->machine_text, d->machine_len, b, MOST_AREAS))
		return 0;
	for (unsigned i = 0; i < nr; i++)
		if (a[i].start != b[i].start || a[i].end != b[i].end || strcmp(a[i].rights, b[i].rights) || strcmp(a[i].name, b[i].name))
			return 0;
	return nr;
}

bool look_differs_by_merging(const struct difference *d)
{
	unsigned nr = look_united_alike(d);

	return nr && sum_of_others(d->native_text, d->native_len, united[0], nr) ==
			     sum_of_others(d->machine_text, d->machine_len, united[1], nr);
}

/* How many rows begin in the area. */
static unsigned rows_in(const char *text, uint32_t len, const struct area *area)
{
	const char *end = text + len;
	unsigned nr = 0;
	char line[256];

	while (next_line(&text, end, line))
		if (line[0] != ' ' && line[0] != '=') {
			unsigned long start = (unsigned long)strtoull(line, NULL, 16);

			nr += start >= area->start && start < area->end;
		}
	return nr;
}

/* Is each page that only the first text shows in an area that the two cut differently? */
bool look_only_cut_areas_have_more(const struct difference *d, const char *text, uint32_t len, const char *other, uint32_t other_len,
				     unsigned nr)
{
	const char *end = text + len;
	char line[256];

	while (next_line(&text, end, line)) {
		const struct area *area = united[0];
		unsigned long at = (unsigned long)strtoull(line, NULL, 16);

		if (line[0] != ' ' || memmem(other, other_len, line, strlen(line)))
			continue;
		while (area < united[0] + nr && !(at >= area->start && at < area->end))
			area++;
		if (area == united[0] + nr || rows_in(d->native_text, d->native_len, area) == rows_in(d->machine_text, d->machine_len, area))
			return false;
	}
	return true;
}

/* ---- looks that may differ in some ranges only ---- */

struct range range_of_pages(uint64_t start, uint64_t len)
{
	return (struct range){ start, start + ((len + ORACLE_PAGE - 1) & ~(ORACLE_PAGE - 1)) };
}

/* The areas without the range; of files what follows it begins further on. */
static unsigned cut_out(const struct area *area, unsigned nr, struct range cut, struct area out[MOST_AREAS])
{
	unsigned left = 0;

	for (unsigned i = 0; i < nr; i++) {
		const struct range piece[2] = { { area[i].start, area[i].end < cut.start ? area[i].end : cut.start },
						{ area[i].start > cut.end ? area[i].start : cut.end, area[i].end } };

		for (unsigned j = 0; j < 2; j++)
			if (piece[j].start < piece[j].end && left < MOST_AREAS) {
				out[left] = area[i];
				out[left].start = piece[j].start;
				out[left].end = piece[j].end;
				out[left++].offset += piece[j].start - area[i].start;
			}
	}
	return left;
}

static bool same_area(const struct area *a, const struct area *b)
{
	return a->start == b->start && a->end == b->end && !strcmp(a->rights, b->rights) && !strcmp(a->name, b->name) &&
	       (strncmp(a->name, "file", 4) != 0 || a->offset == b->offset);
}

static bool is_in(const struct range *r, uint64_t at) { return at >= r->start && at < r->end; }

/* The pages outside of both ranges, as one sum. nr: how many areas the two looks have. */
static uint64_t sum_outside(const char *text, uint32_t len, const unsigned nr[2], const struct range except[2])
{
	const char *end = text + len;
	uint64_t sum = 1;
	char line[256];

	while (next_line(&text, end, line)) {
		unsigned long at = strtoul(line, NULL, 16);

		if (line[0] != ' ' || is_in(&except[0], at) || is_in(&except[1], at))
			continue;
		if (is_always_shown(united[0], nr[0], at) && is_always_shown(united[1], nr[1], at))
			sum = look_hash(sum, line, strlen(line));
	}
	return sum;
}

/* Are both looks alike, but for the answer, in all that lies outside of the two ranges? */
bool look_same_outside(const struct difference *d, struct range a, struct range b)
{
	static struct area rest[MOST_AREAS], left[2][MOST_AREAS];
	const struct range except[2] = { a, b };
	const char *text[2] = { d->native_text, d->machine_text };
	const uint32_t len[2] = { d->native_len, d->machine_len };
	unsigned nr[2], nr_left[2];

	for (unsigned i = 0; i < 2; i++) {
		nr[i] = united_areas(text[i], len[i], united[i], MOST_AREAS);
		nr_left[i] = cut_out(rest, cut_out(united[i], nr[i], a, rest), b, left[i]);
	}
	if (nr_left[0] != nr_left[1])
		return false;
	for (unsigned i = 0; i < nr_left[0]; i++)
		if (!same_area(&left[0][i], &left[1][i]))
			return false;
	return sum_outside(text[0], len[0], nr, except) == sum_outside(text[1], len[1], nr, except);
}

/* The first address from start on that no area of the machine's has, and whether some area begins between that and end. */
uint64_t look_first_hole(const struct difference *d, uint64_t start, uint64_t end, bool *goes_on)
{
	unsigned nr = united_areas(d->machine_text, d->machine_len, united[1], MOST_AREAS);

	*goes_on = false;
	for (unsigned i = 0; i < nr; i++) {
		const struct area *area = &united[1][i];

		if (area->start <= start && area->end > start)
			start = area->end;
		else
			*goes_on |= area->start >= start && area->start < end;
	}
	return start;
}

/* How many rows are about something in the range. */
unsigned look_rows_over(const char *text, uint32_t len, struct range range)
{
	const char *end = text + len;
	unsigned nr = 0;
	char line[256];

	while (next_line(&text, end, line)) {
		struct area area;

		if (line[0] == ' ' || line[0] == '=')
			continue;
		parse_area(line, &area);
		nr += area.start < range.end && area.end > range.start;
	}
	return nr;
}
