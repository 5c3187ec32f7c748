/* SPDX-License-Identifier: MIT */
/*
 * kmm run: an unmodified Linux program, i386 or x86-64, on the reference kernel, under QEMU. The program's files go into an
 * initrd, its bytes to stdout, its exit status becomes ours; the kernel's log and QEMU's words stay apart.
 *
 * Statuses beside the program's own (128+n for signal n): 2 usage, 3 bad input, 5 not available here,
 * 124 the time was up, 125 the machine stopped without a result.
 */
#include "command.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <elf.h>
#include <limits.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "initrd.h"
#include "units.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
enum { EXIT_TIME_UP = 124, EXIT_STOPPED = 125, MAX_CPUS = 8 /* KMM_MAX_CPUS of the kernels */, MAX_STRINGS = 256, PATH_ROOM = 4096 };
enum { OPT_RAM = 'r', OPT_MACHINE = 'm', OPT_FILE = 'f', OPT_ENV = 'e', OPT_TIMEOUT = 't', OPT_VERBOSE = 'v',
       OPT_REPORT = 256, OPT_SWAP, OPT_ICOUNT, OPT_SEED, OPT_KERNEL, OPT_CPUS = 'c' };

/* The machines the reference kernel is built for. */
struct machine {
	const char *name, *cpu;
	uint64_t least_ram, most_ram;
	bool is_64;
};
static const struct machine machines[] = {
	{ "i386", "qemu64", 16 * MIB, 4 * GIB, false },
	{ "i386-pae", "qemu64", 16 * MIB, 64 * GIB, false },
	{ "x86_64", "qemu64", 32 * MIB, 512 * GIB, true },
	{ "x86_64-la57", "max", 32 * MIB, 512 * GIB, true },
};

struct run {
	const char *machine, *kernel, *report;
	const struct machine *m;
	FILE *report_file;
	uint64_t ram, swap, seed, timeout_s, cpus;
	const char *file[MAX_STRINGS], *env[MAX_STRINGS];
	unsigned nr_files, nr_env;
	bool icount, verbose, has_seed;
	char **program; /* argv of the program; NULL: none given */
	char kernel_path[PATH_ROOM], program_path[PATH_ROOM], busybox_path[PATH_ROOM], home[PATH_ROOM];
};

#define STOP(code, ...) fail("kmm run", code, __VA_ARGS__)

/* ---- command line ---- */

static const struct argp_option run_options[] = {
	{ "machine", OPT_MACHINE, "NAME", 0, "i386, i386-pae (default), x86_64 or x86_64-la57", 0 },
	{ "ram", OPT_RAM, "SIZE", 0, "16M to 4G (i386) or 64G (i386-pae), 32M to 512G (x86_64, x86_64-la57); default 256M", 0 },
	{ "swap", OPT_SWAP, "SIZE", 0, "a swap disk of 1M to 32G over a file that is gone afterwards; with --icount in memory, up to 512M", 0 },
	{ "cpus", OPT_CPUS, "N", 0, "processors, 1 to 8; default 1", 0 },
	{ "file", OPT_FILE, "HOST[:GUEST]", 0, "a file or directory that the program can open; repeatable", 0 },
	{ "env", OPT_ENV, "NAME=VALUE", 0, "an environment variable of the program; repeatable", 0 },
	{ "report", OPT_REPORT, "FILE", 0, "write the machine's memory report (JSON) to FILE at the end", 0 },
	{ "icount", OPT_ICOUNT, NULL, 0, "count instructions instead of time: every run is the same", 0 },
	{ "seed", OPT_SEED, "N", 0, "of everything random in the machine", 0 },
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
	case OPT_RAM:
		if (!parse_size(arg, &r->ram))
			STOP(EXIT_USAGE, "--ram %s: not a size; sizes look like 512M or 4G", arg);
		return 0;
	case OPT_SWAP:
		if (!parse_size(arg, &r->swap))
			STOP(EXIT_USAGE, "--swap %s: not a size; sizes look like 512M or 4G", arg);
		return 0;
	case OPT_CPUS:
		r->cpus = number("cpus", arg, MAX_CPUS);
		if (!r->cpus)
			STOP(EXIT_USAGE, "--cpus 0: a machine needs one");
		return 0;
	case OPT_FILE: add_string(r->file, &r->nr_files, arg); return 0;
	case OPT_ENV:
		if (arg[0] == '=' || !strchr(arg, '='))
			STOP(EXIT_USAGE, "--env %s: not of the form NAME=VALUE", arg);
		add_string(r->env, &r->nr_env, arg);
		return 0;
	case OPT_REPORT: r->report = arg; return 0;
	case OPT_ICOUNT: r->icount = true; return 0;
	case OPT_SEED: r->seed = number("seed", arg, UINT32_MAX), r->has_seed = true; return 0;
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
		"Run a static Linux program, i386 or x86-64, on the reference kernel under QEMU. \"busybox\" is Debian's own.\v"
		"On a terminal ^] ends the machine. The status is the program's; 124: time was up, 125: the machine stopped "
		"without a result.\n"
		"  kmm run busybox sh -c 'cat /proc/zoneinfo | head'", NULL, NULL, NULL
	};

	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, r);
	if (!r->program)
		STOP(EXIT_USAGE, "which program? 'kmm run busybox echo hello' is a start");
}

/* ---- checks before anything starts ---- */

static void check_machine(struct run *r)
{
	char text[SIZE_TEXT], limit[SIZE_TEXT];

	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (strcmp(r->machine, machines[i].name) == 0)
			r->m = &machines[i];
	if (!r->m)
		STOP(EXIT_USAGE, "unknown machine '%s'; the reference kernel is built for i386, i386-pae, x86_64 and x86_64-la57",
		     r->machine);
	if (r->ram < r->m->least_ram)
		STOP(EXIT_INPUT, "%s of RAM are too little, the smallest %s machine has %s", size_text(text, r->ram),
		     r->machine, size_text(limit, r->m->least_ram));
	if (r->ram > r->m->most_ram)
		STOP(EXIT_INPUT, "%s of RAM: an %s machine cannot have more than %s here", size_text(text, r->ram),
		     r->machine, size_text(limit, r->m->most_ram));
}

static void check_swap(const struct run *r)
{
	uint64_t most = r->icount ? 512 * MIB : 32 * GIB;
	char text[SIZE_TEXT], limit[SIZE_TEXT];

	if (r->swap && (r->swap < MIB || r->swap > most))
		STOP(EXIT_INPUT, "--swap %s: from 1M to %s are possible%s", size_text(text, r->swap), size_text(limit, most),
		     r->icount ? " with --icount" : "");
}

/* A nameless file of that size; waiting for a disk would not repeat, so with counted instructions there is none. */
static int open_swap(const struct run *r)
{
	FILE *f = r->swap && !r->icount ? tmpfile() : NULL;

	if (!r->swap || r->icount)
		return -1;
	if (!f || ftruncate(fileno(f), (off_t)r->swap) != 0)
		STOP(EXIT_UNSUPPORTED, "--swap: no file for it: %s", strerror(errno));
	return fileno(f);
}

/* What the kernel is told of it. */
static void swap_words(const struct run *r, char *text, size_t size)
{
	text[0] = 0;
	if (r->swap && r->icount)
		snprintf(text, size, " swap=ram0 ramdisk=%llu", (unsigned long long)(r->swap / MIB));
	else if (r->swap)
		snprintf(text, size, " swap=vda");
}

/* Where the command itself lies. */
static void find_home(struct run *r)
{
	ssize_t n = readlink("/proc/self/exe", r->home, sizeof(r->home) - 1);
	char *slash;

	r->home[n > 0 ? n : 0] = 0;
	slash = strrchr(r->home, '/');
	if (slash)
		*slash = 0;
}

static bool exists(const char *path)
{
	return access(path, R_OK) == 0;
}

/* A file beside the command, or in the share folder of an installation. */
__attribute__((format(printf, 3, 4))) static bool find_beside(const struct run *r, char path[PATH_ROOM],
							       const char *format, ...)
{
	static const char *const folder[] = { "", "/../share/kmm" };
	char name[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(name, sizeof(name), format, ap);
	va_end(ap);
	for (unsigned i = 0; i < 2; i++) {
		int n = snprintf(path, PATH_ROOM, "%s%s/%s", r->home, folder[i], name);

		if (n < PATH_ROOM && exists(path))
			return true;
	}
	return false;
}

static void find_kernel(struct run *r)
{
	if (r->kernel) {
		if (!exists(r->kernel))
			STOP(EXIT_INPUT, "--kernel %s: %s", r->kernel, strerror(errno));
		return;
	}
	if (!find_beside(r, r->kernel_path, "kernel-%s.elf", r->machine))
		STOP(EXIT_UNSUPPORTED, "kernel-%s.elf is neither beside this command nor in ../share/kmm; 'make kernels' builds it",
		     r->machine);
	r->kernel = r->kernel_path;
}

static bool find_in_path(const char *name, char path[PATH_ROOM])
{
	const char *dir = getenv("PATH");

	while (dir && *dir) {
		int len = (int)strcspn(dir, ":");

		if (snprintf(path, PATH_ROOM, "%.*s/%s", len, dir, name) < PATH_ROOM && access(path, X_OK) == 0)
			return true;
		dir += len + (dir[len] == ':');
	}
	return false;
}

static void find_program(struct run *r)
{
	const char *name = r->program[0];
	bool found;

	if (!find_beside(r, r->busybox_path, "debian-%s/bin/busybox", r->m->is_64 ? "amd64" : "i386"))
		r->busybox_path[0] = 0;
	if (strchr(name, '/'))
		found = snprintf(r->program_path, PATH_ROOM, "%s", name) < PATH_ROOM && exists(name);
	else if (strcmp(name, "busybox") == 0 && r->busybox_path[0])
		found = snprintf(r->program_path, PATH_ROOM, "%s", r->busybox_path) < PATH_ROOM;
	else
		found = find_in_path(name, r->program_path);
	if (!found)
		STOP(EXIT_INPUT, "%s: there is no such program", name);
}

/* Is there a program header of type PT_INTERP among those that lie in the file's first bytes? */
static bool is_dynamic(const unsigned char *head, size_t len)
{
	const Elf32_Ehdr *h32 = (const void *)head;
	const Elf64_Ehdr *h64 = (const void *)head;
	bool wide = head[EI_CLASS] == ELFCLASS64;
	uint64_t at = wide ? h64->e_phoff : h32->e_phoff, size = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	unsigned nr = wide ? h64->e_phnum : h32->e_phnum;
	uint32_t type;

	for (unsigned i = 0; i < nr && at <= len && (i + 1) * size <= len - at; i++) {
		memcpy(&type, head + at + i * size, sizeof(type)); /* the first member in both classes */
		if (type == PT_INTERP)
			return true;
	}
	return false;
}

/* Why the kernel would not run it; NULL: it looks good. The kernel checks everything again. */
static const char *refuse(const struct machine *m, const unsigned char *head, size_t len)
{
	const Elf64_Ehdr *h = (const void *)head; /* of either class, up to the machine */

	if (len >= 2 && head[0] == '#' && head[1] == '!')
		return NULL;
	if (len < sizeof(*h) || memcmp(head, ELFMAG, SELFMAG) != 0)
		return "is neither a program nor a script";
	if (head[EI_CLASS] == ELFCLASS64 && !m->is_64)
		return "is a 64-bit program; this machine runs 32-bit (i386) ones, --machine x86_64 both";
	if (h->e_machine != (head[EI_CLASS] == ELFCLASS64 ? EM_X86_64 : EM_386))
		return "is a program for another kind of processor; the reference kernel runs i386 and x86-64 ones";
	if (is_dynamic(head, len))
		return "is dynamically linked; the reference kernel runs static programs (gcc -static)";
	return NULL;
}

static void check_program(struct run *r)
{
	_Alignas(16) unsigned char head[4096];
	int fd = open(r->program_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));
	const char *why;

	if (n < 0)
		STOP(EXIT_INPUT, "%s: %s", r->program_path, strerror(errno));
	close(fd);
	why = refuse(r->m, head, (size_t)n);
	if (why)
		STOP(EXIT_INPUT, "%s %s", r->program_path, why);
}

/* ---- the initrd ---- */

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void add_host_file(struct initrd *rd, const char *host, const char *guest)
{
	const char *why = initrd_add(rd, host, guest);

	if (why)
		STOP(EXIT_INPUT, "%s: %s", host, why);
}

/* HOST or HOST:GUEST. */
static void add_option_file(struct initrd *rd, const char *text)
{
	char host[PATH_ROOM], guest[PATH_ROOM];
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);

	if (len == 0 || len >= sizeof(host) || (colon && !colon[1]))
		STOP(EXIT_USAGE, "--file %s: not of the form HOST or HOST:GUEST", text);
	snprintf(host, sizeof(host), "%.*s", (int)len, text);
	if (snprintf(guest, sizeof(guest), "/%s", colon ? colon + 1 : base(host)) >= (int)sizeof(guest))
		STOP(EXIT_USAGE, "--file %s: too long", text);
	add_host_file(rd, host, guest);
}

static void put_string(FILE *f, char letter, const char *s)
{
	fputc(letter, f);
	fputs(s, f);
	fputc(0, f);
}

/* A variable of the user's replaces the default of the same name. */
static void put_env(FILE *f, const struct run *r)
{
	static const char *const defaults[] = { "PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=/", "TERM=vt100" };

	for (unsigned i = 0; i < 3; i++) {
		size_t name = strcspn(defaults[i], "=") + 1;
		bool replaced = false;

		for (unsigned j = 0; j < r->nr_env; j++)
			replaced |= strncmp(defaults[i], r->env[j], name) == 0;
		if (!replaced)
			put_string(f, 'e', defaults[i]);
	}
	for (unsigned i = 0; i < r->nr_env; i++)
		put_string(f, 'e', r->env[i]);
}

/* What the kernel tells the program: see apps/os/start.c. */
static void add_start_record(struct initrd *rd, const struct run *r)
{
	char *text = NULL, path[PATH_ROOM];
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	must_alloc(f);
	snprintf(path, sizeof(path), "/bin/%.255s", base(r->program_path));
	put_string(f, 'p', path);
	put_string(f, 'a', base(r->program[0]));
	for (char **arg = r->program + 1; *arg; arg++)
		put_string(f, 'a', *arg);
	put_env(f, r);
	fclose(f);
	initrd_add_bytes(rd, "/.start", text, size, 0600);
	free(text);
}

static void add_stdin(struct initrd *rd)
{
	char *text = NULL, buf[65536];
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	ssize_t n;

	must_alloc(f);
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, f);
	fclose(f);
	initrd_add_bytes(rd, "/.input", text, size, 0600);
	free(text);
}

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

/* Commands that scripts and other shells expect to find. Busybox's own shell needs no links to its applets. */
static void add_commands(struct initrd *rd, const char *program)
{
	static const char *const names[] = {
		"awk", "basename", "cat", "chmod", "cmp", "cp", "cut", "date", "dd", "df", "diff", "dirname", "du", "echo",
		"env", "expr", "false", "find", "free", "grep", "gunzip", "gzip", "head", "id", "kill", "ln", "ls",
		"md5sum", "mkdir", "mkfifo", "mktemp", "mv", "od", "printf", "ps", "pwd", "readlink", "rm", "rmdir", "sed",
		"seq", "sleep", "sort", "stat", "stty", "tail", "tar", "tee", "test", "time", "timeout", "top", "touch", "tr",
		"true", "tty", "uname", "uniq", "vi", "wc", "which", "xargs", "xxd", "yes", "zcat",
	};
	char guest[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(guest, sizeof(guest), "/bin/%s", names[i]);
		if (strcmp(guest, program) != 0)
			initrd_add_link(rd, guest, "busybox");
	}
}

static void build_initrd(struct initrd *rd, const struct run *r, bool with_input)
{
	char guest[PATH_ROOM];

	initrd_open(rd);
	snprintf(guest, sizeof(guest), "/bin/%.255s", base(r->program_path));
	add_host_file(rd, r->program_path, guest);
	if (r->busybox_path[0]) {
		if (strcmp(guest, "/bin/busybox") != 0) {
			add_host_file(rd, r->busybox_path, "/bin/busybox");
			add_commands(rd, guest);
		}
		if (strcmp(guest, "/bin/sh") != 0)
			initrd_add_link(rd, "/bin/sh", "busybox");
	}
	for (unsigned i = 0; i < r->nr_files; i++)
		add_option_file(rd, r->file[i]);
	add_start_record(rd, r);
	if (with_input)
		add_stdin(rd);
	if (!initrd_finish(rd))
		STOP(EXIT_UNSUPPORTED, "the initrd cannot be written: %s", strerror(rd->error));
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
	if (sscanf(text, "exit %d", &status) != 1)
		stopped(r, result);
	rest = strchr(text, '\n');
	if (r->report)
		save_report(r, rest ? rest + 1 : "");
	return status;
}

int cmd_run(int argc, char **argv)
{
	struct run r = { .machine = "i386-pae", .ram = 256 * MIB, .cpus = 1 };
	struct guest g = { .timeout_s = 0 };
	struct guest_result result;
	struct initrd rd;
	char append[256], seed[32] = "", swap[64];
	const char *input_word;
	int status;

	parse_line(&r, argc, argv);
	check_machine(&r);
	check_swap(&r);
	find_home(&r);
	find_kernel(&r);
	find_program(&r);
	check_program(&r);
	r.report_file = open_report(r.report);
	g.input = choose_input(&r, &input_word);
	build_initrd(&rd, &r, strstr(input_word, "/.input"));
	if (r.icount || r.has_seed)
		snprintf(seed, sizeof(seed), " seed=%llu", (unsigned long long)(r.has_seed ? r.seed : 1));
	swap_words(&r, swap, sizeof(swap));
	snprintf(append, sizeof(append), "start=/.start%s%s%s%s", input_word, r.report ? " report=1" : "", seed, swap);
	g.kernel = r.kernel;
	g.cpu = r.m->cpu;
	g.append = append;
	g.ram_bytes = r.ram + (r.icount ? r.swap : 0);
	g.disk_fd = open_swap(&r);
	g.cpus = (unsigned)r.cpus;
	g.initrd_fd = rd.fd;
	g.icount = r.icount;
	g.verbose = r.verbose;
	g.timeout_s = (unsigned)r.timeout_s;
	guest_run(&g, &result);
	status = finish(&r, &result);
	guest_result_free(&result);
	close(rd.fd);
	return status;
}
