/* SPDX-License-Identifier: MIT */
/*
 * The named sequences, each of which some policy does badly, and traces.
 *
 * Random pages come from xorshift64 with shifts 13, 7, 17 (Marsaglia, "Xorshift RNGs", 2003), of which the upper half is
 * used; so a sequence is the same everywhere, also (with seed 0) where a program makes it by itself.
 */
#include "sequence.h"

#include "command.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SHIFT 12

const struct sequence_kind sequence_kinds[] = {
	{ "cyclic", "1.5 x memory, three times from one end to the other" },
	{ "short", "the same with 0.75 x memory" },
	{ "uniform", "1.5 x memory: filled, then touched anywhere" },
	{ "skewed", "2 x memory: filled, then some pages much more often than others" },
	{ "hotscan", "half of memory touched all the time, beside a scan that uses each page once" },
	{ NULL, NULL }
};

/* ---- building ---- */

static void add(struct sequence *s, uint32_t page)
{
	if (s->nr == s->room) {
		s->room = s->room ? 2 * s->room : 4096;
		s->page = must_alloc(realloc(s->page, s->room * sizeof(s->page[0])));
	}
	s->page[s->nr++] = page;
}

static void add_range(struct sequence *s, uint32_t first, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		add(s, first + i);
}

static void end_phase(struct sequence *s, const char *name)
{
	s->phase[s->nr_phases].name = name;
	s->phase[s->nr_phases++].end = s->nr;
}

static uint32_t random32(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32);
}

static uint32_t below(uint64_t *state, uint32_t nr)
{
	return (uint32_t)((uint64_t)random32(state) * nr >> 32);
}

/* Squared twice, so low numbers come often; and scattered, by a factor that is odd, so that they are not neighbours. */
static uint32_t skewed(uint64_t *state, uint32_t nr)
{
	uint64_t u = random32(state);

	u = u * u >> 32;
	u = u * u >> 32;
	return ((uint32_t)(u * nr >> 32) * 40503u) & (nr - 1);
}

static void make_cyclic(struct sequence *s, uint32_t nr)
{
	static const char *const names[] = { "pass 0", "pass 1", "pass 2" };

	s->nr_pages = nr;
	for (unsigned i = 0; i < 3; i++) {
		add_range(s, 0, nr);
		end_phase(s, names[i]);
	}
}

static void make_random(struct sequence *s, uint32_t nr, uint32_t half, uint32_t (*next)(uint64_t *, uint32_t), uint64_t *state)
{
	s->nr_pages = nr;
	add_range(s, 0, nr);
	end_phase(s, "fill");
	for (unsigned i = 0; i < 2; i++) {
		for (uint32_t j = 0; j < half; j++)
			add(s, next(state, nr));
		end_phase(s, i ? "second half" : "first half");
	}
}

static void make_hotscan(struct sequence *s, uint32_t hot, uint64_t *state)
{
	uint32_t scan = 4 * hot;

	s->nr_pages = hot + scan;
	add_range(s, 0, hot);
	for (uint32_t i = 0; i < 2 * hot; i++)
		add(s, below(state, hot));
	end_phase(s, "warm");
	for (uint32_t i = 0; i < scan; i++) {
		add(s, hot + i);
		for (unsigned j = 0; j < 4; j++)
			add(s, below(state, hot));
	}
	end_phase(s, "scan");
}

bool sequence_make(struct sequence *s, const char *name, uint32_t pages, uint64_t seed)
{
	uint64_t state = UINT64_C(88172645463325252) + seed * UINT64_C(0x9e3779b97f4a7c15);

	state += state == 0; /* which would stay so */

	*s = (struct sequence){ .name = name };
	if (!strcmp(name, "cyclic"))
		make_cyclic(s, pages / 2 * 3);
	else if (!strcmp(name, "short"))
		make_cyclic(s, pages / 4 * 3);
	else if (!strcmp(name, "uniform"))
		make_random(s, pages / 2 * 3, pages, below, &state);
	else if (!strcmp(name, "skewed"))
		make_random(s, pages * 2, pages * 2, skewed, &state);
	else if (!strcmp(name, "hotscan"))
		make_hotscan(s, pages / 2, &state);
	else
		return false;
	return true;
}

/* ---- traces ---- */

struct trace {
	uint64_t *page; /* of each access, as in the addresses */
	size_t nr, room;
};

static void note(struct trace *t, uint64_t page)
{
	if (t->nr == t->room) {
		t->room = t->room ? 2 * t->room : 4096;
		t->page = must_alloc(realloc(t->page, t->room * sizeof(t->page[0])));
	}
	t->page[t->nr++] = page;
}

/* false: not an access. */
static bool parse_access(const char *line, uint64_t *addr, uint64_t *bytes)
{
	const char *at = line + strspn(line, " \t");
	char *end;

	*bytes = 1;
	if (*at && strchr("ILSMrwRW", *at) && isspace((unsigned char)at[1]))
		at += 1 + strspn(at + 1, " \t");
	if (!isxdigit((unsigned char)*at))
		return false;
	errno = 0;
	*addr = strtoull(at, &end, 16);
	if (*end == ',' && isdigit((unsigned char)end[1]))
		*bytes = strtoull(end + 1, &end, 10);
	return !errno && end[strspn(end, " \t\r\n")] == '\0' && *bytes >= 1 && *bytes <= 4096 && *addr + (*bytes - 1) >= *addr;
}

static bool read_lines(struct trace *t, FILE *in, const char *name, char error[SEQUENCE_ERROR])
{
	char *line = NULL;
	size_t room = 0, number = 0;
	bool good = true;

	while (good && getline(&line, &room, in) >= 0) {
		uint64_t addr, bytes;

		number++;
		if (line[0] == '=' || line[0] == '#' || line[strspn(line, " \t\r\n")] == '\0')
			continue;
		good = parse_access(line, &addr, &bytes);
		if (!good) {
			snprintf(error, SEQUENCE_ERROR, "%s, line %zu: not an access; write 'w 7ffd1000', or as valgrind's lackey does", name,
				 number);
			break;
		}
		note(t, addr >> PAGE_SHIFT);
		if ((addr + bytes - 1) >> PAGE_SHIFT != addr >> PAGE_SHIFT)
			note(t, (addr >> PAGE_SHIFT) + 1);
	}
	if (good && ferror(in)) {
		snprintf(error, SEQUENCE_ERROR, "%s: %s", name, strerror(errno));
		good = false;
	}
	free(line);
	return good;
}

static int compare(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return (a > b) - (a < b);
}

/* Page numbers in use, in order, each once. */
static size_t distinct(const struct trace *t, uint64_t **out)
{
	uint64_t *pages = must_alloc(malloc(t->nr * sizeof(pages[0])));
	size_t nr = 0;

	memcpy(pages, t->page, t->nr * sizeof(pages[0]));
	qsort(pages, t->nr, sizeof(pages[0]), compare);
	for (size_t i = 0; i < t->nr; i++)
		if (i == 0 || pages[i] != pages[nr - 1])
			pages[nr++] = pages[i];
	*out = pages;
	return nr;
}

static void renumber(struct sequence *s, const struct trace *t)
{
	uint64_t *pages;
	size_t nr = distinct(t, &pages);

	s->nr_pages = (uint32_t)nr;
	for (size_t i = 0; i < t->nr; i++) {
		const uint64_t *at = bsearch(&t->page[i], pages, nr, sizeof(pages[0]), compare);

		add(s, (uint32_t)(at - pages));
	}
	end_phase(s, "all");
	free(pages);
}

bool sequence_read(struct sequence *s, FILE *in, const char *name, char error[SEQUENCE_ERROR])
{
	struct trace t = { .nr = 0 };
	bool good = read_lines(&t, in, name, error);

	*s = (struct sequence){ .nr = 0 };
	if (good && t.nr == 0) {
		snprintf(error, SEQUENCE_ERROR, "%s: no access in it", name);
		good = false;
	}
	if (good)
		renumber(s, &t);
	free(t.page);
	return good;
}

void sequence_free(struct sequence *s)
{
	free(s->page);
	*s = (struct sequence){ .nr = 0 };
}
