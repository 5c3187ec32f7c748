/* SPDX-License-Identifier: MIT */
/*
 * kmm replay: major faults of page replacement policies on one sequence of accesses, phase by phase.
 */
#include "command.h"
#include "json.h"
#include "options.h"
#include "replay_core.h"
#include "textbook.h"
#include "units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PAGES 16384u /* 64 MiB; */
#define DEFAULT_FRAMES 16300u /* and what Linux 6.1 leaves a program that is limited to so much (memory.max) */

enum { NR_ROWS = NR_BOOKS + NR_CORE_POLICIES };

struct replay_args {
	struct options o;
	const char *what;
	uint64_t pages, frames, zswap;
	bool chosen[NR_ROWS], any_chosen;
};

/* Those of the textbooks, then the core's. */
static const char *row_name(unsigned i)
{
	return i < NR_BOOKS ? textbook_names[i] : core_policy_name(i - NR_BOOKS);
}

static void take_policies(struct replay_args *a, char *list)
{
	for (char *rest = list, *name; (name = strsep(&rest, ",")) != NULL;) {
		unsigned i = 0;

		while (i < NR_ROWS && strcmp(name, row_name(i)) != 0)
			i++;
		if (i == NR_ROWS)
			fail(a->o.command, EXIT_USAGE,
			     "--policy %s: there are fifo, lru, clock, opt, kmm-idle, kmm-clock and kmm-gen, with commas between them", name);
		a->chosen[i] = a->any_chosen = true;
	}
}

static uint64_t take_number(struct replay_args *a, const char *option, const char *text, uint64_t least)
{
	uint64_t number;

	if (!parse_number(text, UINT64_C(1) << 24, &number) || number < least)
		fail(a->o.command, EXIT_USAGE, "%s %s: not a whole number from %llu to 16777216", option, text, (unsigned long long)least);
	return number;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct replay_args *a = state->input;

	switch (key) {
	case 'f': a->frames = take_number(a, "--frames", arg, 1); return 0;
	case 'p': a->pages = take_number(a, "--pages", arg, 8); return 0;
	case 'z':
		a->zswap = arg ? take_number(a, "--zswap", arg, 1) : 20;
		if (a->zswap > 90)
			fail(a->o.command, EXIT_USAGE, "--zswap %s: at most 90 percent", arg);
		return 0;
	case 'P': take_policies(a, arg); return 0;
	case ARGP_KEY_ARG:
		if (a->what)
			return ARGP_ERR_UNKNOWN;
		a->what = arg;
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option own_options[] = {
	{ "frames", 'f', "N", 0, "page frames there are (default 16300)", 0 },
	{ "pages", 'p', "N", 0, "what a named sequence takes for the size of memory (default 16384, a power of two)", 0 },
	{ "policy", 'P', "LIST", 0, "of fifo, lru, clock, opt, kmm-idle, kmm-clock, kmm-gen (default all)", 0 },
	{ "zswap", 'z', "PERCENT", OPTION_ARG_OPTIONAL, "the core keeps pages compressed in up to so much of the frames (1 to 90, "
	  "default 20) before they go to swap; half of each page is chance", 0 },
	{ 0 }
};
static const struct own_args args = {
	.options = own_options,
	.parser = parse,
	.args_doc = "SEQUENCE",
	.doc = "Major faults of page replacement policies, each with the same frames on the same accesses. SEQUENCE: cyclic, "
	       "short, uniform, skewed, hotscan, or a file of accesses as valgrind's lackey writes them. Opt knows the "
	       "future (Belady): nothing does better. Those that begin with kmm run on a simulated machine, by the core's "
	       "own reclaim, with swap in a file.",
};

static void load(const struct replay_args *a, struct sequence *s)
{
	char error[SEQUENCE_ERROR];
	bool good;
	FILE *in;

	if (sequence_make(s, a->what, (uint32_t)a->pages))
		return;
	in = fopen(a->what, "r");
	if (!in)
		fail(a->o.command, errno == EACCES ? EXIT_PERMISSION : EXIT_INPUT, "%s: no such sequence, and as a file: %s", a->what,
		     strerror(errno));
	good = sequence_read(s, in, a->what, error);
	fclose(in);
	if (!good)
		fail(a->o.command, EXIT_INPUT, "%s", error);
}

static const char *describe(const char *name)
{
	for (const struct sequence_kind *k = sequence_kinds; k->name; k++)
		if (!strcmp(k->name, name))
			return k->what;
	return "accesses of a trace";
}

static void print_head(const struct replay_args *a, const struct sequence *s)
{
	char pages[SIZE_TEXT], frames[SIZE_TEXT];

	printf("%s: %s\n%zu accesses to %u pages (%s), with %llu frames (%s). Major faults:\n\n%-10s", a->what, describe(a->what), s->nr,
	       s->nr_pages, size_text(pages, (uint64_t)s->nr_pages << 12), (unsigned long long)a->frames,
	       size_text(frames, a->frames << 12), "");
	for (unsigned i = 0; i < s->nr_phases; i++)
		printf(" %12s", s->phase[i].name);
	puts("   frames had");
}

static void print_row(const struct sequence *s, const char *name, uint32_t frames, const struct replay_counts *counts)
{
	printf("%-10s", name);
	for (unsigned i = 0; i < s->nr_phases; i++)
		printf(" %12llu", (unsigned long long)counts[i].major);
	printf("   %u\n", frames);
}

static void print_unpacked(const struct sequence *s, const struct replay_counts *counts)
{
	printf("%-10s", " unpacked");
	for (unsigned i = 0; i < s->nr_phases; i++)
		printf(" %12llu", (unsigned long long)counts[i].unpacked);
	putchar('\n');
}

static json_t *row_json(const struct sequence *s, const char *name, uint32_t frames, const struct replay_counts *counts)
{
	json_t *row = json_object(), *phases = json_array();

	for (unsigned i = 0; i < s->nr_phases; i++) {
		json_t *phase = json_object();

		json_object_set_new(phase, "phase", json_string(s->phase[i].name));
		json_object_set_new(phase, "accesses", json_count(counts[i].accesses));
		json_object_set_new(phase, "first_touches", json_count(counts[i].first));
		json_object_set_new(phase, "major_faults", json_count(counts[i].major));
		json_object_set_new(phase, "unpacked", json_count(counts[i].unpacked));
		json_array_append_new(phases, phase);
	}
	json_object_set_new(row, "policy", json_string(name));
	json_object_set_new(row, "frames_had", json_count(frames));
	json_object_set_new(row, "phases", phases);
	return row;
}

static void replay(const struct replay_args *a, const struct sequence *s)
{
	json_t *rows = a->o.json ? json_array() : NULL, *doc;
	struct replay_counts counts[SEQUENCE_PHASES];

	if (!a->o.json)
		print_head(a, s);
	for (unsigned i = 0; i < NR_ROWS; i++) {
		uint32_t frames = (uint32_t)a->frames;

		if (a->any_chosen && !a->chosen[i])
			continue;
		if (i < NR_BOOKS)
			textbook_run((enum textbook)i, s, frames, counts);
		else
			core_run(a->o.command, i - NR_BOOKS, s, (unsigned)a->zswap, &frames, counts);
		if (a->o.json)
			json_array_append_new(rows, row_json(s, row_name(i), frames, counts));
		else
			print_row(s, row_name(i), frames, counts);
		if (!a->o.json && a->zswap && i >= NR_BOOKS)
			print_unpacked(s, counts);
	}
	if (!a->o.json)
		return;
	doc = json_document("replay");
	json_object_set_new(doc, "sequence", json_string(a->what));
	json_object_set_new(doc, "pages", json_count(s->nr_pages));
	json_object_set_new(doc, "frames", json_count(a->frames));
	json_object_set_new(doc, "policies", rows);
	json_print(doc);
}

int cmd_replay(int argc, char **argv)
{
	struct replay_args a = { .pages = DEFAULT_PAGES, .frames = DEFAULT_FRAMES };
	struct sequence s;

	options_parse(&a.o, 0, &args, &a, argc, argv);
	if (!a.what)
		fail(a.o.command, EXIT_USAGE, "which accesses? cyclic, short, uniform, skewed, hotscan, or a file");
	if (!strcmp(a.what, "skewed") && (a.pages & (a.pages - 1)))
		fail(a.o.command, EXIT_USAGE, "--pages %llu: skewed needs a power of two", (unsigned long long)a.pages);
	load(&a, &s);
	replay(&a, &s);
	sequence_free(&s);
	options_free(&a.o);
	return EXIT_DONE;
}
