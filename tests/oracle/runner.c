/* SPDX-License-Identifier: MIT */
/*
 * runner.c - the oracle: random programs of memory calls on the kernel that runs this and in a simulated machine of the
 * library. After every step both answers, the signal, the maps text, which pages are there and all contents must be equal.
 *
 *   runner --print [--bits 32] --seed N --length N        a program as text, nothing is run
 *   runner --numbers FILE...                              programs as the native program reads them in a guest
 *   runner --guest-exceptions                             a line for each: machine, processor, id, reason
 *   runner [--native FILE] [--seed N] [--steps N] [--minutes N] [--length N] [--all-exceptions] [FILE...]
 *
 * FILE: programs to run again (words.h), as tests that count; without --steps or --minutes nothing else is run.
 * A difference is shrunk to a short program, printed, and written to build/oracle/difference-SEED.txt.
 * The last line is "N passed, N failed"; a program is one test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>

#include "hosted.h"
#include "oracle/exceptions.h"
#include "oracle/host.h"
#include "oracle/machine.h"
#include "oracle/words.h"

enum { AUDIT_EVERY = 16, MOST_DIFFERENCES = 12 };

struct options {
	const char *native;
	uint64_t seed, steps;
	unsigned minutes, length, bits;
	bool all_exceptions, print, numbers, guest_exceptions;
	char **files;
	int nr_files;
};

struct runner {
	struct options o;
	struct host host;
	struct oracle_machine *machine;
	unsigned long passed, failed, programs, steps, taken_out;
	char *text; /* of the machine's last look */
};

enum verdict { SAME, EXCUSED, DIFFERENT };
struct trial {
	const struct step *steps;
	unsigned nr, done;
	struct difference d;
	const char *why; /* a difference that is no comparison of looks */
	const struct exception *excuse;
	enum verdict verdict;
	bool audit;
};

/* ---- one program on both ---- */

static enum verdict compare(struct runner *r, struct trial *t, unsigned i)
{
	struct shared *sh = r->host.shared;
	struct text text = { r->text, 0, ORACLE_TEXT_ROOM };

	t->d = (struct difference){ .steps = t->steps, .at = i, .native = sh->answers[i] };
	t->d.start = machine_address(r->machine, &t->steps[i].at);
	t->d.to = machine_address(r->machine, &t->steps[i].to);
	machine_step(r->machine, &t->steps[i], &t->d.machine, &text);
	t->d.native_text = sh->text + sh->answers[i].text;
	t->d.native_len = sh->answers[i].text_len;
	t->d.machine_text = text.at;
	t->d.machine_len = text.len;
	if (text.len == t->d.native_len && memcmp(text.at, t->d.native_text, text.len) == 0) {
		t->excuse = oracle_hidden(&t->d);
		return t->excuse ? EXCUSED : SAME;
	}
	t->excuse = oracle_excuse(&t->d);
	return !t->excuse ? DIFFERENT : t->excuse->looks_only ? SAME : EXCUSED;
}

struct running {
	struct runner *r;
	struct trial *t;
};

static void run_machine(void *arg)
{
	struct runner *r = ((struct running *)arg)->r;
	struct trial *t = ((struct running *)arg)->t;

	machine_begin(r->machine);
	for (t->done = 0; t->done < t->nr && t->verdict == SAME; t->done++)
		t->verdict = compare(r, t, t->done);
	if (machine_end(r->machine, t->audit) && t->verdict != DIFFERENT) {
		t->verdict = DIFFERENT;
		t->why = "the audit complains";
	}
}

static void run_trial(struct runner *r, struct trial *t)
{
	struct running running = { r, t };
	const char *fatal;

	t->verdict = SAME;
	t->why = NULL;
	if (!host_run(&r->host, t->steps, t->nr)) {
		t->verdict = DIFFERENT;
		t->why = "the native program was lost";
		return;
	}
	if (machine_catch(r->machine, run_machine, &running, &fatal)) {
		t->verdict = DIFFERENT;
		t->why = strdup(fatal);
		machine_restart(r->machine);
	}
}

/* The program without the steps that are excused, which do not count. */
static void run_without_excused(struct runner *r, struct trial *t, struct step *steps)
{
	run_trial(r, t);
	while (t->verdict == EXCUSED && t->nr > 1) {
		unsigned at = t->d.at;

		memmove(steps + at, steps + at + 1, (t->nr - at - 1) * sizeof(*steps));
		t->nr--;
		r->taken_out++;
		run_trial(r, t);
	}
}

/* ---- making it short ---- */

static bool still_differs(struct runner *r, const struct step *steps, unsigned nr, struct trial *t)
{
	*t = (struct trial){ .steps = steps, .nr = nr, .audit = t->audit };
	run_trial(r, t);
	return t->verdict == DIFFERENT;
}

/* Leaves out `size` steps at a time where the rest still differs. */
static unsigned drop_chunks(struct runner *r, struct step *steps, unsigned nr, unsigned size, bool audit)
{
	struct step rest[ORACLE_MAX_STEPS];
	struct trial t = { .audit = audit };

	for (unsigned at = 0; at < nr;) {
		unsigned dropped = nr - at < size ? nr - at : size, left = nr - dropped;

		memcpy(rest, steps, at * sizeof(*steps));
		memcpy(rest + at, steps + at + dropped, (left - at) * sizeof(*steps));
		if (left && still_differs(r, rest, left, &t)) {
			if (!t.why && t.d.at + 1 < left)
				left = t.d.at + 1;
			memcpy(steps, rest, left * sizeof(*steps));
			nr = left;
		} else {
			at += size;
		}
	}
	return nr;
}

/* Simpler operands, one at a time, where it still differs. */
static void simplify(struct runner *r, struct step *steps, unsigned nr, unsigned at, bool audit)
{
	struct trial t = { .audit = audit };

	for (unsigned way = 0; way < 38; way++) {
		struct step before = steps[at];

		if (way < 32)
			steps[at].flags &= ~(1u << way);
		else if (way == 32 && steps[at].op <= OP_MSYNC)
			steps[at].len = ORACLE_PAGE;
		else if (way == 33 || way == 32)
			steps[at].len = 1;
		else if (way == 34)
			steps[at].off = 0;
		else if (way == 35)
			steps[at].prot = 3;
		else if (way == 36)
			steps[at].actor = 0;
		else
			steps[at].new_len = ORACLE_PAGE;
		if (memcmp(&before, &steps[at], sizeof(before)) != 0 && !still_differs(r, steps, nr, &t))
			steps[at] = before;
	}
}

static unsigned shrink(struct runner *r, struct step *steps, unsigned nr, bool audit)
{
	for (unsigned size = nr / 2; size; size /= 2)
		nr = drop_chunks(r, steps, nr, size, audit);
	for (unsigned i = 0; i < nr; i++)
		simplify(r, steps, nr, i, audit);
	return drop_chunks(r, steps, nr, 1, audit);
}

/* ---- telling ---- */

/* The two texts by lines, those of one only marked. */
static void print_texts(FILE *out, const struct difference *d)
{
	const char *a = d->native_text, *b = d->machine_text, *a_end = a + d->native_len, *b_end = b + d->machine_len;

	while (a < a_end || b < b_end) {
		size_t la = a < a_end ? strcspn(a, "\n") : 0, lb = b < b_end ? strcspn(b, "\n") : 0;
		bool same = a < a_end && b < b_end && la == lb && memcmp(a, b, la) == 0;

		if (same)
			fprintf(out, "#            %.*s\n", (int)la, a);
		else {
			if (a < a_end)
				fprintf(out, "#   Linux    %.*s\n", (int)la, a);
			if (b < b_end)
				fprintf(out, "#   kmm      %.*s\n", (int)lb, b);
		}
		a += la + 1;
		b += lb + 1;
	}
}

/* A difference may not come again: what was seen at first. */
static void print_first(FILE *out, const struct difference *d)
{
	fprintf(out, "# at first:\n");
	words_print(out, d->steps + d->at, 1);
	print_texts(out, d);
}

static void print_trial(FILE *out, const struct trial *t)
{
	unsigned nr = t->why ? t->nr : t->d.at + 1;

	words_print(out, t->steps, nr);
	if (t->why)
		fprintf(out, "# %s\n", t->why);
	else
		print_texts(out, &t->d);
}

static void tell(struct runner *r, struct trial *t, const char *what, uint64_t seed)
{
	struct step steps[ORACLE_MAX_STEPS];
	struct trial shortest = { .audit = true };
	unsigned nr = t->why ? t->nr : t->d.at + 1;
	char path[128];
	FILE *file;

	memcpy(steps, t->steps, nr * sizeof(*steps));
	printf("FAIL %s: differs at step %u\n", what, nr - 1);
	if (!t->why)
		print_first(stdout, &t->d);
	nr = shrink(r, steps, nr, t->why != NULL);
	if (!still_differs(r, steps, nr, &shortest))
		printf("# does not differ when it is run again\n");
	print_trial(stdout, &shortest);
	mkdir("build/oracle", 0777);
	snprintf(path, sizeof(path), "build/oracle/difference-%llu.txt", (unsigned long long)seed);
	file = fopen(path, "w");
	if (file) {
		print_trial(file, &shortest);
		fclose(file);
	}
	fflush(stdout);
}

/* ---- what to run ---- */

static void count(struct runner *r, struct trial *t, const char *what, uint64_t seed)
{
	r->programs++;
	r->steps += t->done;
	if (t->verdict != DIFFERENT) {
		r->passed++;
		return;
	}
	r->failed++;
	tell(r, t, what, seed);
}

/* Returns the number of steps; 0: it was said why there are none. */
static unsigned read_file(const char *path, struct step *steps)
{
	char line[256];
	FILE *in = fopen(path, "r");
	int nr = in ? words_read(in, steps, ORACLE_MAX_STEPS, line) : -1;

	if (nr <= 0)
		printf("FAIL %s: cannot be read%s%s\n", path, in && nr < 0 ? ": " : "", in && nr < 0 ? line : "");
	if (in)
		fclose(in);
	return nr > 0 ? (unsigned)nr : 0;
}

static void run_file(struct runner *r, const char *path)
{
	struct step steps[ORACLE_MAX_STEPS];
	struct trial t = { .steps = steps, .nr = read_file(path, steps), .audit = true };

	if (!t.nr) {
		r->failed++;
		return;
	}
	run_without_excused(r, &t, steps);
	count(r, &t, path, r->programs);
}

static const struct oracle_width wide = { 64, UINT64_C(0x7ffffffff000) }, narrow = { 32, 0xc0000000 };

static int print_seed(const struct options *o)
{
	struct step steps[ORACLE_MAX_STEPS];

	oracle_generate(o->seed, o->bits == 32 ? &narrow : &wide, steps, o->length);
	words_print(stdout, steps, o->length);
	return 0;
}

/* Their names are the seeds that say a rule (program.c): each file's program under each of the three. */
static int print_numbers(const struct options *o)
{
	struct step steps[ORACLE_MAX_STEPS];

	for (int i = 0; i < o->nr_files * 3; i++) {
		unsigned nr = read_file(o->files[i / 3], steps);

		if (!nr)
			return 1;
		printf("program %d\n", 2 * i);
		words_print_numbers(stdout, steps, nr);
	}
	return 0;
}

static int print_guest_exceptions(void)
{
	for (unsigned i = 0; i < oracle_nr_guest_exceptions; i++) {
		const struct guest_exception *e = &oracle_guest_exceptions[i];

		printf("%s %s %s %s\n", e->machine, e->processor, e->id, e->reason);
	}
	return 0;
}

static void run_seeds(struct runner *r)
{
	time_t end = r->o.minutes ? time(NULL) + 60 * (time_t)r->o.minutes : 0;
	struct step steps[ORACLE_MAX_STEPS];
	char what[64];

	for (uint64_t seed = r->o.seed; r->failed < MOST_DIFFERENCES; seed++) {
		struct trial t = { .steps = steps, .nr = r->o.length, .audit = seed % AUDIT_EVERY == 0 };

		if (end ? time(NULL) >= end : r->steps >= r->o.steps)
			break;
		oracle_generate(seed, &wide, steps, r->o.length);
		run_without_excused(r, &t, steps);
		snprintf(what, sizeof(what), "--seed %llu --length %u", (unsigned long long)seed, r->o.length);
		count(r, &t, what, seed);
	}
}

static void report_exceptions(struct runner *r)
{
	for (unsigned i = 0; i < oracle_nr_exceptions; i++) {
		const struct exception *e = &oracle_exceptions[i];

		if (e->fired)
			printf("exception %s: %lu times (%s)\n", e->id, e->fired, e->reason);
		else if (r->o.all_exceptions) {
			printf("FAIL exception %s never fired: it is no longer needed (%s)\n", e->id, e->reason);
			r->failed++;
		}
	}
}

/* A sandbox that plays Linux is no judge. What the comparison stands on is asked for: pagemap, and the version. */
static bool host_is_linux(void)
{
	struct utsname name;
	FILE *file = fopen("/proc/self/pagemap", "r");
	uint64_t entry = 0;
	bool good;

	good = file && fseek(file, (long)((uintptr_t)&entry >> 12 << 3), SEEK_SET) == 0 && fread(&entry, 8, 1, file) == 1 && entry >> 63;
	if (file)
		fclose(file);
	uname(&name);
	printf("host: %s %s, %s\n", name.sysname, name.release, good ? "a Linux that can judge" : "no Linux that can judge: no pagemap");
	return good;
}

/* ---- words of the command line ---- */

static bool take_number(int *i, int argc, char **argv, const char *name, uint64_t *value)
{
	if (strcmp(argv[*i], name) != 0 || *i + 1 >= argc)
		return false;
	*value = strtoull(argv[++*i], NULL, 0);
	return true;
}

static void read_words(struct options *o, int argc, char **argv)
{
	uint64_t length = 100, minutes = 0, bits = 64;

	*o = (struct options){ .native = "build/oracle/native64", .seed = 1 };
	for (int i = 1; i < argc; i++) {
		if (take_number(&i, argc, argv, "--seed", &o->seed) || take_number(&i, argc, argv, "--steps", &o->steps) ||
		    take_number(&i, argc, argv, "--minutes", &minutes) || take_number(&i, argc, argv, "--length", &length) ||
		    take_number(&i, argc, argv, "--bits", &bits))
			continue;
		if (strcmp(argv[i], "--native") == 0 && i + 1 < argc)
			o->native = argv[++i];
		else if (strcmp(argv[i], "--print") == 0)
			o->print = true;
		else if (strcmp(argv[i], "--numbers") == 0)
			o->numbers = true;
		else if (strcmp(argv[i], "--guest-exceptions") == 0)
			o->guest_exceptions = true;
		else if (strcmp(argv[i], "--all-exceptions") == 0)
			o->all_exceptions = true;
		else if (argv[i][0] == '-') {
			fprintf(stderr, "oracle: what is %s?\n", argv[i]);
			exit(2);
		} else
			o->files = o->files ? o->files : &argv[i], o->nr_files = argc - i, i = argc;
	}
	o->minutes = (unsigned)minutes;
	o->bits = (unsigned)bits;
	o->length = length > ORACLE_MAX_STEPS ? ORACLE_MAX_STEPS : (unsigned)length;
}

int main(int argc, char **argv)
{
	static struct runner r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	read_words(&r.o, argc, argv);
	if (r.o.print)
		return print_seed(&r.o);
	if (r.o.guest_exceptions)
		return print_guest_exceptions();
	if (r.o.numbers)
		return print_numbers(&r.o);
	if (!host_is_linux()) {
		printf("SKIP the live kernel as a judge\n0 passed, 0 failed, 1 skipped\n");
		return 0;
	}
	r.text = malloc(ORACLE_TEXT_ROOM);
	if (!r.text || !host_start(&r.host, r.o.native)) {
		fprintf(stderr, "oracle: %s does not start\n", r.o.native);
		return 2;
	}
	r.machine = machine_start(r.host.shared->heap, r.host.shared->data_bytes, r.host.shared->text, r.host.shared->text_len);
	for (int i = 0; i < r.o.nr_files; i++)
		run_file(&r, r.o.files[i]);
	if (r.o.steps || r.o.minutes)
		run_seeds(&r);
	report_exceptions(&r);
	printf("%lu programs, %lu steps equal, %lu taken out by an exception\n", r.programs, r.steps, r.taken_out);
	printf("%lu passed, %lu failed\n", r.passed, r.failed);
	host_stop(&r.host);
	machine_stop(r.machine);
	return r.failed != 0;
}
