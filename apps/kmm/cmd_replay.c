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

enum { NR_ROWS = NR_BOOKS + NR_CORE_POLICIES, MOST_PROGRAMS = 8 };

struct replay_args {
	struct options o;
	const char *what;
	uint64_t pages, frames, zswap, seed;
	bool chosen[NR_ROWS], any_chosen;
	char *names;                    /* the parts of what, cut up */
	struct sequence program[MOST_PROGRAMS];
	unsigned nr_programs;
};

struct row {
	uint32_t frames;                /* had at most */
	struct replay_counts counts[MOST_PROGRAMS][SEQUENCE_PHASES];
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
	case 's': a->seed = take_number(a, "--seed", arg, 0); return 0;
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
	{ "seed", 's', "N", 0, "another course of chance in named sequences (default 0)", 0 },
	{ "zswap", 'z', "PERCENT", OPTION_ARG_OPTIONAL, "the core keeps pages compressed in up to so much of the frames (1 to 90, "
	  "default 20) before they go to swap; half of each page is chance", 0 },
	{ 0 }
};
static const struct own_args args = {
	.options = own_options,
	.parser = parse,
	.args_doc = "SEQUENCE",
	.doc = "Major faults of page replacement policies, each with the same frames on the same accesses. SEQUENCE: cyclic, "
	       "short, uniform, skewed, hotscan, several of these with + between them, for programs of which each begins when "
	       "the one before has ended, or a file of accesses as valgrind's lackey writes them. Opt knows the "
	       "future (Belady): nothing does better. Those that begin with kmm run on a simulated machine, by the core's "
	       "own reclaim, with swap in a file.",
};

/* false: not a list of named sequences. */
static bool load_named(struct replay_args *a)
{
	char *rest = a->names = must_alloc(strdup(a->what));

	for (char *name; (name = strsep(&rest, "+")) != NULL; a->nr_programs++) {
		if (a->nr_programs == MOST_PROGRAMS)
			fail(a->o.command, EXIT_USAGE, "%s: more than %d programs", a->what, MOST_PROGRAMS);
		if (!strcmp(name, "skewed") && (a->pages & (a->pages - 1)))
			fail(a->o.command, EXIT_USAGE, "--pages %llu: skewed needs a power of two", (unsigned long long)a->pages);
		if (!sequence_make(&a->program[a->nr_programs], name, (uint32_t)a->pages, a->seed))
			return false;
	}
	return true;
}

static void unload(struct replay_args *a)
{
	for (unsigned i = 0; i < a->nr_programs; i++)
		sequence_free(&a->program[i]);
	free(a->names);
	a->nr_programs = 0;
}

static void load(struct replay_args *a)
{
	char error[SEQUENCE_ERROR];
	bool good;
	FILE *in;

	if (load_named(a))
		return;
	unload(a);
	in = fopen(a->what, "r");
	if (!in)
		fail(a->o.command, errno == EACCES ? EXIT_PERMISSION : EXIT_INPUT, "%s: no such sequence, and as a file: %s", a->what,
		     strerror(errno));
	good = sequence_read(&a->program[0], in, a->what, error);
	fclose(in);
	if (!good)
		fail(a->o.command, EXIT_INPUT, "%s", error);
	a->names = NULL;
	a->nr_programs = 1;
}

static const char *describe(const char *name)
{
	for (const struct sequence_kind *k = sequence_kinds; name && k->name; k++)
		if (!strcmp(k->name, name))
			return k->what;
	return "accesses of a trace";
}

static void print_head(const struct replay_args *a, const struct sequence *s)
{
	char pages[SIZE_TEXT], frames[SIZE_TEXT];

	printf("%s: %s\n%zu accesses to %u pages (%s), with %llu frames (%s). Major faults:\n\n%-10s", s->name ? s->name : a->what,
	       describe(s->name), s->nr, s->nr_pages, size_text(pages, (uint64_t)s->nr_pages << 12), (unsigned long long)a->frames,
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

static bool is_chosen(const struct replay_args *a, unsigned row)
{
	return !a->any_chosen || a->chosen[row];
}

static void print_program(const struct replay_args *a, unsigned program, const struct row rows[NR_ROWS])
{
	const struct sequence *s = &a->program[program];

	if (program)
		putchar('\n');
	print_head(a, s);
	for (unsigned i = 0; i < NR_ROWS; i++) {
		if (!is_chosen(a, i))
			continue;
		print_row(s, row_name(i), rows[i].frames, rows[i].counts[program]);
		if (a->zswap && i >= NR_BOOKS)
			print_unpacked(s, rows[i].counts[program]);
	}
}

static json_t *phase_json(const struct sequence *s, unsigned i, const struct replay_counts *counts)
{
	json_t *phase = json_object();

	if (s->name)
		json_object_set_new(phase, "sequence", json_string(s->name));
	json_object_set_new(phase, "phase", json_string(s->phase[i].name));
	json_object_set_new(phase, "accesses", json_count(counts->accesses));
	json_object_set_new(phase, "first_touches", json_count(counts->first));
	json_object_set_new(phase, "major_faults", json_count(counts->major));
	json_object_set_new(phase, "unpacked", json_count(counts->unpacked));
	return phase;
}

static json_t *row_json(const struct replay_args *a, unsigned row, const struct row *r)
{
	json_t *json = json_object(), *phases = json_array();

	for (unsigned p = 0; p < a->nr_programs; p++)
		for (unsigned i = 0; i < a->program[p].nr_phases; i++)
			json_array_append_new(phases, phase_json(&a->program[p], i, &r->counts[p][i]));
	json_object_set_new(json, "policy", json_string(row_name(row)));
	json_object_set_new(json, "frames_had", json_count(r->frames));
	json_object_set_new(json, "phases", phases);
	return json;
}

/* pages: of the largest program. */
static void print_json(const struct replay_args *a, const struct row rows[NR_ROWS])
{
	json_t *policies = json_array(), *doc = json_document("replay");
	uint32_t pages = 0;

	for (unsigned i = 0; i < a->nr_programs; i++)
		pages = a->program[i].nr_pages > pages ? a->program[i].nr_pages : pages;
	for (unsigned i = 0; i < NR_ROWS; i++)
		if (is_chosen(a, i))
			json_array_append_new(policies, row_json(a, i, &rows[i]));
	json_object_set_new(doc, "sequence", json_string(a->what));
	json_object_set_new(doc, "pages", json_count(pages));
	json_object_set_new(doc, "frames", json_count(a->frames));
	json_object_set_new(doc, "policies", policies);
	json_print(doc);
}

/* A program that ends leaves nothing to a textbook's policy. */
static void run_row(const struct replay_args *a, unsigned row, struct row *out)
{
	out->frames = (uint32_t)a->frames;
	if (row >= NR_BOOKS)
		core_run(a->o.command, row - NR_BOOKS, a->program, a->nr_programs, (unsigned)a->zswap, &out->frames, out->counts);
	else
		for (unsigned i = 0; i < a->nr_programs; i++)
			textbook_run((enum textbook)row, &a->program[i], out->frames, out->counts[i]);
}

static void replay(const struct replay_args *a)
{
	struct row *rows = must_alloc(calloc(NR_ROWS, sizeof(*rows)));

	for (unsigned i = 0; i < NR_ROWS; i++)
		if (is_chosen(a, i))
			run_row(a, i, &rows[i]);
	if (a->o.json)
		print_json(a, rows);
	else
		for (unsigned i = 0; i < a->nr_programs; i++)
			print_program(a, i, rows);
	free(rows);
}

int cmd_replay(int argc, char **argv)
{
	struct replay_args a = { .pages = DEFAULT_PAGES, .frames = DEFAULT_FRAMES };

	options_parse(&a.o, 0, &args, &a, argc, argv);
	if (!a.what)
		fail(a.o.command, EXIT_USAGE, "which accesses? cyclic, short, uniform, skewed, hotscan, or a file");
	load(&a);
	replay(&a);
	unload(&a);
	options_free(&a.o);
	return EXIT_DONE;
}
