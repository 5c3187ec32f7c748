/* SPDX-License-Identifier: MIT */
/*
 * kmm run: an unmodified Linux program, i386 or x86-64, on the reference kernel, under QEMU. The program's files go into an
 * initrd, its bytes to stdout, its exit status becomes ours; the kernel's log and QEMU's words stay apart.
 *
 * Statuses beside the program's own (128+n for signal n): 2 usage, 3 bad input, 5 not available here,
 * 124 the time was up, 125 the machine stopped without a result.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "kmm/reclaim.h"
#include "run.h"
#include "sleeper.h"
#include "units.h"

enum { LEAST_LIMIT = 64 << 10 };
enum { EXIT_TIME_UP = 124, EXIT_STOPPED = 125, MAX_CPUS = 8 /* KMM_MAX_CPUS of the kernels */ };
enum { OPT_RAM = 'r', OPT_MACHINE = 'm', OPT_FILE = 'f', OPT_ENV = 'e', OPT_TIMEOUT = 't', OPT_VERBOSE = 'v',
       OPT_REPORT = 256, OPT_SWAP, OPT_ZSWAP, OPT_POLICY, OPT_ANSWER, OPT_ICOUNT, OPT_SEED, OPT_KASLR, OPT_KERNEL, OPT_DISK, OPT_HIBERNATE, OPT_RESUME, OPT_MEMORY_MAX, OPT_MEMORY_HIGH, OPT_GUARD_GAP, OPT_CPUS = 'c', OPT_ADD = 'a', OPT_ROOT = 'R' };

/* ---- command line ---- */

static const struct argp_option run_options[] = {
	{ "machine", OPT_MACHINE, "NAME", 0, "i386, i386-pae, x86_64 or x86_64-la57; default i386-pae, x86_64 for a 64-bit program", 0 },
	{ "ram", OPT_RAM, "SIZE", 0, "16M to 4G (i386) or 64G (i386-pae), 32M to 512G (x86_64, x86_64-la57); default 256M", 0 },
	{ "swap", OPT_SWAP, "SIZE", 0, "a swap disk of 1M to 32G over a file that is gone afterwards; with --icount in memory, up to 512M", 0 },
	{ "disk", OPT_DISK, "FILE", 0, "a disk over FILE, which keeps what is written to it: /dev/vda, or /dev/vdb where --swap has the "
	  "first; a second time: the next one; not with --icount", 0 },
	{ "hibernate", OPT_HIBERNATE, "FILE", 0, "the swap disk is FILE, which stays (--swap SIZE makes it that large): writing \"disk\" to "
	  "/sys/power/state writes the whole machine to it and ends this command", 0 },
	{ "resume", OPT_RESUME, "FILE", 0, "go on with the machine that is in FILE, by the same kernel; no PROGRAM is needed, and one is "
	  "started only if the kernel refuses the image", 0 },
	{ "zswap", OPT_ZSWAP, "PERCENT", OPTION_ARG_OPTIONAL, "keep pages compressed in up to so much of memory (1 to 90, default 20) before "
	  "they go to the swap disk", 0 },
	{ "policy", OPT_POLICY, "NAME", 0, "who goes when memory is short: idle (the default), clock or gen", 0 },
	{ "when-full", OPT_ANSWER, "ANSWER", 0, "what programs get when memory ends: swap (the default: pages go out, then the largest program is ended), "
	  "enomem (calls fail beyond what there is) or block (they wait until memory is free)", 0 },
	{ "memory-max", OPT_MEMORY_MAX, "SIZE", 0, "the program and its children may have so much memory, at least 64K: what is beyond goes to swap, and if "
	  "nothing can go the largest of them is ended; they are in the control group /run of /sys/fs/cgroup", 0 },
	{ "memory-high", OPT_MEMORY_HIGH, "SIZE", 0, "the same, but beyond that they are slowed down and nobody is ended", 0 },
	{ "stack-guard-gap", OPT_GUARD_GAP, "PAGES", 0, "what stays free between a stack that grows and the mapping below it; default 256", 0 },
	{ "cpus", OPT_CPUS, "N", 0, "processors, 1 to 8; default 1", 0 },
	{ "file", OPT_FILE, "HOST[:GUEST]", 0, "a file or directory that the program can open; repeatable", 0 },
	{ "add", OPT_ADD, "PATH", 0, "a file or directory under the name it has here, with the libraries of programs in it; "
	  "repeatable", 0 },
	{ "root", OPT_ROOT, "DIR", 0, "look for the program, its libraries and what --add names below DIR, which stands for /", 0 },
	{ "env", OPT_ENV, "NAME=VALUE", 0, "a variable of its environment; repeatable", 0 },
	{ "report", OPT_REPORT, "FILE", 0, "write the machine's memory report (JSON) to FILE at the end", 0 },
	{ "icount", OPT_ICOUNT, NULL, 0, "count instructions instead of time: every run is the same", 0 },
	{ "seed", OPT_SEED, "N", 0, "of everything random in the machine", 0 },
	{ "kaslr-seed", OPT_KASLR, "N", 0, "move the direct map, vmalloc, vmemmap and what programs map", 0 },
	{ "timeout", OPT_TIMEOUT, "SECONDS", 0, "end the machine after this time (status 124)", 0 },
	{ "kernel", OPT_KERNEL, "FILE", 0, "another kernel image", 0 },
	{ "verbose", OPT_VERBOSE, NULL, 0, "show the kernel's log on stderr", 0 },
	{ 0 }
};

static void add_string(const char **list, unsigned *nr, const char *s)
{
	if (*nr == MAX_STRINGS)
		STOP(EXIT_USAGE, "more than %d times the same option", MAX_STRINGS);
	list[(*nr)++] = s;
}

static uint64_t number(const char *option, const char *text, uint64_t max)
{
	uint64_t n;

	if (!parse_number(text, max, &n))
		STOP(EXIT_USAGE, "--%s %s: not a number up to %llu", option, text, (unsigned long long)max);
	return n;
}

static uint64_t take_size(const char *option, const char *arg)
{
	uint64_t size;

	if (!parse_size(arg, &size))
		STOP(EXIT_USAGE, "--%s %s: not a size; sizes look like 512M or 4G", option, arg);
	return size;
}

static uint64_t take_limit(const char *option, const char *text)
{
	uint64_t bytes = take_size(option, text);

	if (bytes < LEAST_LIMIT)
		STOP(EXIT_USAGE, "--%s %s: no program can do with less than 64K", option, text);
	return bytes;
}

static void take_policy(struct run *r, const char *name)
{
	const struct kmm_reclaim_policy *const *policy = kmm_reclaim_policies;

	while (*policy && strcmp((*policy)->name, name) != 0)
		policy++;
	if (!*policy)
		STOP(EXIT_USAGE, "--policy %s: there are idle, clock and gen", name);
	r->policy = name;
}

static void take_answer(struct run *r, const char *name)
{
	unsigned i = 0;

	while (i < KMM_NR_ANSWERS && strcmp(kmm_answer_name((enum kmm_answer)i), name) != 0)
		i++;
	if (i == KMM_NR_ANSWERS)
		STOP(EXIT_USAGE, "--when-full %s: there are swap, enomem and block", name);
	r->answer = name;
}

static void take_program(struct run *r, struct argp_state *state)
{
	bool after_dashes = state->next >= 2 && strcmp(state->argv[state->next - 2], "--") == 0;

	r->program = state->argv + state->next - 1;
	if (!after_dashes && state->next < state->argc && strcmp(state->argv[state->next], "--") == 0) {
		state->argv[state->next] = r->program[0]; /* PROGRAM -- ARGUMENT... */
		r->program++;
	}
	state->next = state->argc;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct run *r = state->input;

	switch (key) {
	case OPT_MACHINE: r->machine = arg; return 0;
	case OPT_RAM: r->ram = take_size("ram", arg), r->ram_given = true; return 0;
	case OPT_SWAP: r->swap = take_size("swap", arg); return 0;
	case OPT_MEMORY_MAX: r->memory_max = take_limit("memory-max", arg); return 0;
	case OPT_MEMORY_HIGH: r->memory_high = take_limit("memory-high", arg); return 0;
	case OPT_GUARD_GAP: r->guard_gap = number("stack-guard-gap", arg, 1 << 20), r->has_guard_gap = true; return 0;
	case OPT_DISK:
		if (r->nr_disks == GUEST_FILE_DISKS)
			STOP(EXIT_USAGE, "more than %d times --disk", GUEST_FILE_DISKS);
		r->disk[r->nr_disks++] = arg;
		return 0;
	case OPT_HIBERNATE: r->hibernate = arg; return 0;
	case OPT_RESUME: r->resume = arg; return 0;
	case OPT_ZSWAP:
		r->zswap = arg ? number("zswap", arg, 90) : 20;
		if (!r->zswap)
			STOP(EXIT_USAGE, "--zswap %s: from 1 to 90 percent are possible", arg);
		return 0;
	case OPT_ANSWER: take_answer(r, arg); return 0;
	case OPT_POLICY: take_policy(r, arg); return 0;
	case OPT_CPUS:
		r->cpus = number("cpus", arg, MAX_CPUS);
		r->cpus_given = true;
		if (!r->cpus)
			STOP(EXIT_USAGE, "--cpus 0: a machine needs one");
		return 0;
	case OPT_FILE: add_string(r->file, &r->nr_files, arg); return 0;
	case OPT_ADD:
		if (arg[0] != '/')
			STOP(EXIT_USAGE, "--add %s: not an absolute name; --file HOST:GUEST takes any", arg);
		add_string(r->add, &r->nr_add, arg);
		return 0;
	case OPT_ROOT:
		if (!realpath(arg, r->root))
			STOP(EXIT_INPUT, "--root %s: %s", arg, strerror(errno));
		if (strcmp(r->root, "/") == 0)
			r->root[0] = 0;
		return 0;
	case OPT_ENV:
		if (arg[0] == '=' || !strchr(arg, '='))
			STOP(EXIT_USAGE, "--env %s: not of the form NAME=VALUE", arg);
		add_string(r->env, &r->nr_env, arg);
		return 0;
	case OPT_REPORT: r->report = arg; return 0;
	case OPT_ICOUNT: r->icount = true; return 0;
	case OPT_SEED: r->seed = number("seed", arg, UINT32_MAX), r->has_seed = true; return 0;
	case OPT_KASLR: r->kaslr = number("kaslr-seed", arg, UINT32_MAX), r->has_kaslr = true; return 0;
	case OPT_TIMEOUT: r->timeout_s = number("timeout", arg, 1000000); return 0;
	case OPT_KERNEL: r->kernel = arg; return 0;
	case OPT_VERBOSE: r->verbose = true; return 0;
	case ARGP_KEY_ARG: take_program(r, state); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static void parse_line(struct run *r, int argc, char **argv)
{
	static const struct argp argp = {
		run_options, parse, "[--] PROGRAM [ARGUMENT...]",
		"Run a Linux program, i386 or x86-64, on the reference kernel under QEMU. \"busybox\" is Debian's own.\v"
		"Of a dynamically linked program the interpreter and the libraries come along, and the folders lib/NAME and "
		"share/NAME beside its bin; of a script its interpreter. So do the files that arguments name: FILE as /FILE, where "
		"the program starts, /DIR/FILE under that name. What else it opens must be asked for by --add or --file.\n\n"
		"On a terminal ^] ends the machine. The status is the program's; 124: time was up, 125: the machine stopped "
		"without a result.\n"
		"  kmm run busybox sh -c 'cat /proc/zoneinfo | head'\n"
		"  kmm run --ram 512M -- /usr/bin/python3 script.py", NULL, NULL, NULL
	};

	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, r);
	if (!r->program && !r->resume)
		STOP(EXIT_USAGE, "which program? 'kmm run busybox echo hello' is a start");
}

/* ---- stdin ---- */

/* How stdin reaches the program. From a file, and always when runs must be equal: as a file. */
static enum guest_input choose_input(const struct run *r, const char **word)
{
	struct stat st;

	*word = " input=/dev/null";
	if (fstat(STDIN_FILENO, &st) != 0)
		return GUEST_INPUT_NONE;
	if (isatty(STDIN_FILENO)) {
		if (r->icount || !isatty(STDOUT_FILENO))
			return GUEST_INPUT_NONE;
		*word = " tty=1";
		return GUEST_INPUT_TERMINAL;
	}
	if (S_ISCHR(st.st_mode) && !r->icount) /* /dev/null and such */
		return major(st.st_rdev) == 1 && minor(st.st_rdev) == 3 ? GUEST_INPUT_NONE : (*word = "", GUEST_INPUT_STREAM);
	*word = r->icount || S_ISREG(st.st_mode) ? " input=/.input" : "";
	return **word ? GUEST_INPUT_NONE : GUEST_INPUT_STREAM;
}

/* ---- swap ---- */

#define MIB (UINT64_C(1) << 20)

static void check_swap(const struct run *r)
{
	uint64_t most = (r->icount ? 512 : 32 << 10) * MIB;
	char text[SIZE_TEXT], limit[SIZE_TEXT];

	if ((r->hibernate || r->resume) && r->icount)
		STOP(EXIT_USAGE, "--hibernate and --resume with --icount: waiting for a disk does not repeat");
	if (r->resume && (r->hibernate || r->swap))
		STOP(EXIT_USAGE, "--resume: the swap disk is the one that the machine had");
	if (r->zswap && !r->swap && !r->hibernate)
		STOP(EXIT_USAGE, "--zswap: pages are compressed on their way to swap; --swap SIZE makes some");
	if (r->swap && (r->swap < MIB || r->swap > most))
		STOP(EXIT_INPUT, "--swap %s: from 1M to %s are possible%s", size_text(text, r->swap), size_text(limit, most),
		     r->icount ? " with --icount" : "");
}

/* A nameless file of that size; waiting for a disk would not repeat, so with counted instructions there is none. */
static int open_nameless(const struct run *r)
{
	FILE *f = r->swap && !r->icount ? tmpfile() : NULL;

	if (!r->swap || r->icount)
		return -1;
	if (!f || ftruncate(fileno(f), (off_t)r->swap) != 0)
		STOP(EXIT_UNSUPPORTED, "--swap: no file for it: %s", strerror(errno));
	return fileno(f);
}

static int open_swap(struct run *r)
{
	return r->hibernate || r->resume ? sleeper_open(r) : open_nameless(r);
}

/* -1: it was not asked for. */
static int open_disk(const struct run *r, unsigned n)
{
	const char *path = n < r->nr_disks ? r->disk[n] : NULL;
	int fd = path ? open(path, O_RDWR) : -1;
	struct stat st;

	if (!path)
		return -1;
	if (r->icount)
		STOP(EXIT_USAGE, "--disk with --icount: waiting for a disk does not repeat");
	if (fd < 0 || fstat(fd, &st) != 0)
		STOP(EXIT_INPUT, "--disk %s: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode) && st.st_size < 2 * 4096)
		STOP(EXIT_INPUT, "--disk %s: a disk needs 8 KiB or more", path);
	return fd;
}

/* What the kernel is told of it. */
static void swap_words(const struct run *r, char *text, size_t size)
{
	int n = 0;

	text[0] = 0;
	if (r->swap && r->icount)
		n = snprintf(text, size, " swap=ram0 ramdisk=%llu", (unsigned long long)(r->swap / MIB));
	else if (r->swap && !r->hibernate)
		n = snprintf(text, size, " swap=vda");
	if (r->zswap)
		n += snprintf(text + n, size - (size_t)n, " zswap=%llu", (unsigned long long)r->zswap);
	if (r->policy)
		n += snprintf(text + n, size - (size_t)n, " policy=%s", r->policy);
	if (r->answer)
		n += snprintf(text + n, size - (size_t)n, " answer=%s", r->answer);
	if (r->memory_max)
		n += snprintf(text + n, size - (size_t)n, " memory_max=%llu", (unsigned long long)r->memory_max);
	if (r->memory_high)
		n += snprintf(text + n, size - (size_t)n, " memory_high=%llu", (unsigned long long)r->memory_high);
	if (r->has_guard_gap)
		snprintf(text + n, size - (size_t)n, " stack_guard_gap=%llu", (unsigned long long)r->guard_gap);
}

/* ---- the end ---- */

/* Opened before the machine starts: who asks for a report wants to know early that there is no place for it. */
static FILE *open_report(const char *path)
{
	FILE *f = path ? fopen(path, "we") : NULL;

	if (path && !f)
		STOP(EXIT_INPUT, "--report %s: cannot be written: %s", path, strerror(errno));
	return f;
}

static void save_report(const struct run *r, const char *json)
{
	if (fputs(json, r->report_file) < 0 || fclose(r->report_file) != 0)
		STOP(EXIT_INPUT, "--report %s: cannot be written: %s", r->report, strerror(errno));
}

/* The last lines of a text, for people who must find out what happened. */
static void print_tail(const char *title, const struct buffer *b)
{
	const char *start = b->data;
	size_t at = b->used;

	if (!b->used)
		return;
	for (int lines = 0; at > 0; at--) {
		if (b->data[at - 1] == '\n' && at < b->used && ++lines == 8)
			break;
	}
	start += at;
	fprintf(stderr, "%s:\n%s%s", title, start, b->data[b->used - 1] == '\n' ? "" : "\n");
}

__attribute__((noreturn)) static void stopped(const struct run *r, const struct guest_result *result)
{
	const char *how = "QEMU ended";

	if (!r->verbose)
		print_tail("the kernel's log ends", &result->log);
	print_tail("QEMU said", &result->complaint);
	if (WIFEXITED(result->status) && WEXITSTATUS(result->status) == 127)
		how = "the kernel stopped in a panic (its words end the output)";
	STOP((enum exit_code)EXIT_STOPPED, "%s before the program did", how);
}

/* The second serial port: "exit N" or "fail N sentence", then the report. */
static int finish(const struct run *r, const struct guest_result *result)
{
	const char *text = result->report.used ? result->report.data : "", *rest;
	int status, used = 0;

	if (result->quit)
		return 128 + 2; /* as if ^C had ended us */
	if (result->output_gone)
		return 128 + 13; /* as if SIGPIPE had ended us */
	if (result->exec_failed)
		STOP(EXIT_UNSUPPORTED, "qemu-system-x86_64 cannot be started; Debian has it in qemu-system-x86");
	if (result->timed_out)
		STOP((enum exit_code)EXIT_TIME_UP, "no end after %llu s", (unsigned long long)r->timeout_s);
	if (sscanf(text, "fail %d %n", &status, &used) == 1 && used)
		STOP((enum exit_code)status, "%.*s", (int)strcspn(text + used, "\n"), text + used);
	if (strncmp(text, "hibernated", 10) == 0) {
		fprintf(stderr, "kmm run: the machine is in %s; --resume goes on with it\n", r->hibernate ? r->hibernate : r->resume);
		return EXIT_DONE;
	}
	if (sscanf(text, "exit %d", &status) != 1)
		stopped(r, result);
	rest = strchr(text, '\n');
	if (r->report)
		save_report(r, rest ? rest + 1 : "");
	return status;
}

/* A counted run must be the same each time. */
static void seed_words(const struct run *r, char *to, size_t size)
{
	int n = 0;

	*to = 0;
	if (r->icount || r->has_seed)
		n = snprintf(to, size, " seed=%llu", (unsigned long long)(r->has_seed ? r->seed : 1));
	if (r->has_kaslr)
		snprintf(to + n, size - (size_t)n, " kaslr=%llu", (unsigned long long)r->kaslr);
}

int run_program(int argc, char **argv, const char *words, struct guest_result *result)
{
	struct run r = { .ram = UINT64_C(256) << 20, .cpus = 1 };
	struct guest g = { .timeout_s = 0 };
	struct initrd rd;
	char append[768], seed[64], swap[256], sleeper[128] = "";
	const char *input_word;
	int status;

	parse_line(&r, argc, argv);
	check_swap(&r);
	g.disk_fd[0] = open_swap(&r);
	find_all(&r);
	r.report_file = open_report(r.report);
	g.input = choose_input(&r, &input_word);
	pack_initrd(&rd, &r, strstr(input_word, "/.input"));
	seed_words(&r, seed, sizeof(seed));
	swap_words(&r, swap, sizeof(swap));
	if (r.resume && !r.program)
		g.input = sleeper_input(&r);
	if (r.hibernate || r.resume)
		sleeper_words(&r, g.input, sleeper, sizeof(sleeper));
	snprintf(append, sizeof(append), "%s%s%s%s%s%s%s", r.program ? "start=/.start" : "", sleeper, input_word, r.report ? " report=1" : "", seed, swap, words);
	g.kernel = r.kernel;
	g.cpu = r.m->cpu;
	g.append = append;
	g.ram_bytes = r.ram + (r.icount ? r.swap : 0);
	for (unsigned i = 0; i < GUEST_FILE_DISKS; i++)
		g.disk_fd[1 + i] = open_disk(&r, i);
	g.cpus = (unsigned)r.cpus;
	g.initrd_fd = rd.fd;
	g.icount = r.icount;
	g.verbose = r.verbose;
	g.timeout_s = (unsigned)r.timeout_s;
	guest_run(&g, result);
	status = finish(&r, result);
	close(rd.fd);
	return status;
}

int cmd_run(int argc, char **argv)
{
	struct guest_result result;
	int status = run_program(argc, argv, "", &result);

	guest_result_free(&result);
	return status;
}
