/* SPDX-License-Identifier: MIT */
/*
 * The hosted test runner. Each test runs in a child process of its own, so that a crash, a sanitizer's
 * report or a hang is the failure of that test and of no other. Tests are selected by substrings of
 * their names.
 *
 * The child says how it ended by its exit status; it ends through exit(), so that a leak checker gets
 * its turn. Whatever the child started is killed with it (it leads its own process group).
 */
#include "harness/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not 1: a sanitizer ends the process with 1 or 23, and that end needs an explanation here. */
enum { EXIT_FAILED = 76, EXIT_SKIPPED = 77, DEFAULT_SECONDS = 120 };

struct options {
	bool list, verbose, no_fork;
	uint64_t seed;
	unsigned seconds;
	char **names;
	int nr_names;
};

static const char usage_text[] =
	"usage: %s [-l] [-v] [-n] [--seed N] [--timeout SECONDS] [NAME...]\n"
	"  NAME         run the tests whose names contain one of these (default: all)\n"
	"  -l           list the tests\n"
	"  -v           name every test as it ends\n"
	"  -n           run in this process, for a debugger\n"
	"  --seed N     seed of the random tests (default: KMM_SEED, else 1)\n"
	"  --timeout S  seconds after which a test counts as hung (default 120)\n";

static void print_text(const char *text)
{
	fputs(text, stdout);
}

static uint64_t number(const char *program, const char *text)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = text ? strtoull(text, &end, 0) : 0;
	if (!text || end == text || *end || errno) {
		fprintf(stderr, "%s: not a number: %s\n", program, text ? text : "(missing)");
		exit(2);
	}
	return n;
}

static struct options parse(int argc, char **argv)
{
	const char *env = getenv("KMM_SEED");
	struct options o = { .seconds = DEFAULT_SECONDS, .names = argv };
	int i;

	o.seed = env ? number("KMM_SEED", env) : 1;
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-l"))
			o.list = true;
		else if (!strcmp(argv[i], "-v"))
			o.verbose = true;
		else if (!strcmp(argv[i], "-n"))
			o.no_fork = true;
		else if (!strcmp(argv[i], "--seed"))
			o.seed = number(argv[0], i + 1 < argc ? argv[++i] : NULL);
		else if (!strcmp(argv[i], "--timeout"))
			o.seconds = (unsigned)number(argv[0], i + 1 < argc ? argv[++i] : NULL);
		else if (argv[i][0] == '-') {
			fprintf(stderr, usage_text, argv[0]);
			exit(!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h") ? 0 : 2);
		} else
			o.names[o.nr_names++] = argv[i]; /* in place: never ahead of i */
	}
	return o;
}

static bool selected(const struct options *o, const char *name)
{
	int i;

	for (i = 0; i < o->nr_names; i++)
		if (strstr(name, o->names[i]))
			return true;
	return o->nr_names == 0;
}

static void run_child(const struct kmm_test *t, const struct options *o)
{
	enum kmm_test_result result;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a Ctrl-C ends the runner, which is in another group */
	alarm(o->seconds);
	result = kmm_test_run_one(t);
	if (result == KMM_TEST_SKIPPED)
		printf("SKIP %s: %s\n", t->name, kmm_test_skip_reason());
	exit(result == KMM_TEST_PASSED ? 0 : result == KMM_TEST_SKIPPED ? EXIT_SKIPPED : EXIT_FAILED);
}

static void explain_death(const struct kmm_test *t, int status, const struct options *o)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		printf("FAIL %s\n  %s: hung: not finished after %u s\n", t->name, t->file, o->seconds);
	else if (WIFSIGNALED(status))
		printf("FAIL %s\n  %s: killed by signal %d (%s); seed was %llu\n", t->name, t->file,
		       WTERMSIG(status), strsignal(WTERMSIG(status)), (unsigned long long)o->seed);
	else if (WEXITSTATUS(status) != EXIT_FAILED)
		printf("FAIL %s\n  %s: the process ended with status %d; seed was %llu\n", t->name, t->file,
		       WEXITSTATUS(status), (unsigned long long)o->seed);
}

static enum kmm_test_result run_forked(const struct kmm_test *t, const struct options *o)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_child(t, o);
	if (pid < 0) {
		printf("FAIL %s\n  fork: %s\n", t->name, strerror(errno));
		return KMM_TEST_FAILED;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	kill(-pid, SIGKILL); /* what the test left running; usually nothing */
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return KMM_TEST_PASSED;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
		return KMM_TEST_SKIPPED;
	explain_death(t, status, o);
	return KMM_TEST_FAILED;
}

static enum kmm_test_result run(const struct kmm_test *t, const struct options *o)
{
	static const char *const word[] = { "ok", "FAILED", "skipped" };
	enum kmm_test_result result = o->no_fork ? kmm_test_run_one(t) : run_forked(t, o);

	if (o->no_fork && result == KMM_TEST_SKIPPED)
		printf("SKIP %s: %s\n", t->name, kmm_test_skip_reason());
	if (o->verbose)
		printf("%-8s %s\n", word[result], t->name);
	return result;
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	const struct kmm_test *const *t;
	int count[3] = { 0, 0, 0 };

	kmm_test_setup(print_text, o.seed);
	for (t = __start_kmm_tests; t < __stop_kmm_tests; t++) {
		if (!selected(&o, (*t)->name))
			continue;
		if (o.list)
			printf("%-56s %s\n", (*t)->name, (*t)->file);
		else
			count[run(*t, &o)]++;
	}
	if (o.list)
		return 0;
	if (count[0] + count[1] + count[2] == 0) {
		printf("no test has such a name\n");
		count[KMM_TEST_FAILED] = 1;
	}
	printf("%d passed, %d failed", count[KMM_TEST_PASSED], count[KMM_TEST_FAILED]);
	if (count[KMM_TEST_SKIPPED])
		printf(", %d skipped", count[KMM_TEST_SKIPPED]);
	printf("\n");
	return count[KMM_TEST_FAILED] ? EXIT_FAILURE : 0;
}
