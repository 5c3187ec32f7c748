/* SPDX-License-Identifier: MIT */
/*
 * Runs the cases of the deterministic scheduler, each in a process of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ground.h"
#include "sched.h"

extern const struct sched_case *const __start_sched_cases[];
extern const struct sched_case *const __stop_sched_cases[];

struct options {
	bool list, must_fail;
	unsigned bound, changes;
	uint64_t runs, random, seed;
	const char *replay;
	char **names;
	int nr_names;
};

static const char usage_text[] =
	"usage: %s [OPTION...] [NAME...]\n"
	"  NAME           cases whose names contain one of these (default: all)\n"
	"  -l             list the cases\n"
	"  --bound B      preemptions of the orders that are all explored (default 3)\n"
	"  --runs N       at most so many orders of a case (default 12000)\n"
	"  --random N     and so many random ones (default 500)\n"
	"  --seed N       of the random ones (default: KMM_SEED, else 1)\n"
	"  --replay ORDER one order, as it was printed\n"
	"  --mutation M   with this fault put in: no-shootdown, short-shootdown,\n"
	"                 no-local-flush, impatient-shootdown\n"
	"  --must-fail    passes if the cases fail, and fail again when replayed\n";

static _Noreturn void usage(const char *program, int status)
{
	fprintf(stderr, usage_text, program);
	exit(status);
}

static uint64_t number(const char *program, const char *text)
{
	char *end;
	uint64_t n;

	if (!text)
		usage(program, 2);
	n = strtoull(text, &end, 0);
	if (end == text || *end)
		usage(program, 2);
	return n;
}

static void parse_long(struct options *o, int argc, char **argv, int *i)
{
	const char *name = argv[*i], *value = *i + 1 < argc ? argv[*i + 1] : NULL;

	if (!strcmp(name, "--must-fail")) {
		o->must_fail = true;
		return;
	}
	if (!value)
		usage(argv[0], 2);
	++*i;
	if (!strcmp(name, "--bound"))
		o->bound = (unsigned)number(argv[0], value);
	else if (!strcmp(name, "--runs"))
		o->runs = number(argv[0], value);
	else if (!strcmp(name, "--random"))
		o->random = number(argv[0], value);
	else if (!strcmp(name, "--seed"))
		o->seed = number(argv[0], value);
	else if (!strcmp(name, "--replay"))
		o->replay = value;
	else if (!strcmp(name, "--mutation"))
		ground_mutation = value;
	else
		usage(argv[0], 2);
}

static struct options parse(int argc, char **argv)
{
	const char *seed = getenv("KMM_SEED");
	struct options o = { .bound = 3, .changes = 3, .runs = 12000, .random = 500, .names = argv };

	o.seed = seed ? number(argv[0], seed) : 1;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-l"))
			o.list = true;
		else if (!strncmp(argv[i], "--", 2))
			parse_long(&o, argc, argv, &i);
		else if (argv[i][0] == '-')
			usage(argv[0], 2);
		else
			o.names[o.nr_names++] = argv[i]; /* in place: never ahead of i */
	}
	return o;
}

static bool selected(const struct options *o, const char *name)
{
	for (int i = 0; i < o->nr_names; i++)
		if (strstr(name, o->names[i]))
			return true;
	return o->nr_names == 0;
}

static void print_result(const struct sched_case *c, const struct options *o, const struct sched_result *r)
{
	char text[4096];

	printf("%-5s %-20s %llu orders (all with up to %d preemptions; %llu led to states seen before), %llu words shared, "
	       "up to %llu points\n",
	       r->failed ? "FAIL" : "ok", c->name, (unsigned long long)r->runs, r->complete,
	       (unsigned long long)r->pruned, (unsigned long long)r->words, (unsigned long long)r->most_points);
	if (!r->failed)
		return;
	sched_order_text(&r->order, text, sizeof(text));
	printf("  %s\n  seed %llu; again: --replay '%s' %s\n", r->what, (unsigned long long)o->seed, text, c->name);
}

static bool fails_again(const struct sched_result *r)
{
	struct sched_result again = { .failed = false };

	sched_replay(&r->order, &again);
	return again.failed && !strcmp(again.what, r->what);
}

/* In a process of its own. Exits 0 if all is as it should be. */
static _Noreturn void run_case(const struct sched_case *c, const struct options *o)
{
	struct sched_result r = { .failed = false };
	struct sched_order order;
	bool good;

	sched_begin(c);
	if (o->replay) {
		if (!sched_order_parse(o->replay, &order))
			exit(2);
		sched_replay(&order, &r);
	} else {
		sched_explore(o->bound, o->runs, &r);
		if (!r.failed)
			sched_random(o->seed, o->random, o->changes, &r);
	}
	good = o->must_fail ? r.failed && fails_again(&r) : !r.failed;
	print_result(c, o, &r);
	sched_end();
	fflush(stdout);
	_exit(good ? 0 : 1);
}

static bool passes(const struct sched_case *c, const struct options *o)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_case(c, o);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return false;
	if (WIFSIGNALED(status))
		printf("FAIL %s: killed by signal %d\n", c->name, WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	unsigned passed = 0, failed = 0;

	if (!o.list)
		printf("seed %llu\n", (unsigned long long)o.seed);
	for (const struct sched_case *const *c = __start_sched_cases; c < __stop_sched_cases; c++) {
		if (!selected(&o, (*c)->name))
			continue;
		if (o.list)
			printf("%s\n", (*c)->name);
		else if (passes(*c, &o))
			passed++;
		else
			failed++;
	}
	if (o.list)
		return 0;
	if (passed + failed == 0)
		failed = printf("no case has such a name\n") > 0;
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
