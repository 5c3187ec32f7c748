/* SPDX-License-Identifier: MIT */
/*
 * The initrd of a run: the program with what it needs, what was asked for, files that arguments name, busybox and its
 * commands, the start record. In that order: what is there already stays.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle.h"
#include "run.h"

#define MAX_ARGUMENT_FILE (INT64_C(1) << 30)

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
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	must_alloc(f);
	put_string(f, 'p', r->guest_path);
	put_string(f, 'a', r->by_own_name ? r->program[0] : base(r->program[0]));
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

/* Commands that scripts and other shells expect to find. Busybox's own shell needs no links to its applets. */
static void add_commands(struct initrd *rd)
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
		initrd_add_link(rd, guest, "busybox");
	}
}

/* ---- the program and what it needs ---- */

static void add_by_name(struct bundle *b, const char *path, const char *option)
{
	const char *why = bundle_add(b, path);

	if (why)
		STOP(EXIT_INPUT, "%s%s%s %s", option, b->root, path, why);
}

/* Folders beside "bin" that bear the program's name, by convention its own: the library of a language. Without the
 * program's name as it was given, when that is a link: /usr/lib/python3.11, not /usr/lib/python3. */
static void add_own_folders(struct bundle *b, const char *program)
{
	static const char *const kinds[] = { "lib", "share" };
	char real[PATH_ROOM], folder[PATH_ROOM], *slash, *bin;

	if (!bundle_resolve(b, program, real, sizeof(real)) || !(slash = strrchr(real, '/')))
		return;
	*slash = 0;
	bin = strrchr(real, '/');
	if (!bin || strcmp(bin, "/bin") != 0)
		return;
	*bin = 0;
	for (unsigned i = 0; i < 2; i++) {
		char found[PATH_ROOM];

		if (snprintf(folder, sizeof(folder), "%s/%s/%s", real, kinds[i], slash + 1) < (int)sizeof(folder) &&
		    bundle_resolve(b, folder, found, sizeof(found)))
			add_by_name(b, folder, "");
	}
}

/* "#!/usr/bin/env NAME" wants NAME, too. */
static void add_by_env(struct bundle *b, const char *name)
{
	static const char *const dirs[] = { "/usr/local/bin", "/usr/bin", "/bin" };
	char path[PATH_ROOM], real[PATH_ROOM];

	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%.255s", dirs[i], name);
		if (bundle_resolve(b, path, real, sizeof(real))) {
			add_by_name(b, path, "");
			add_own_folders(b, path);
			return;
		}
	}
}

/* What a script names in its first line, unless busybox is that. */
static void add_script_interpreter(struct bundle *b, const struct run *r)
{
	char line[256] = "", interp[256] = "", name[256] = "", real[PATH_ROOM];
	FILE *f = fopen(r->program_path, "re");
	bool script = f && fgets(line, sizeof(line), f) && sscanf(line, "#! %255s %255s", interp, name) >= 1;

	if (f)
		fclose(f);
	if (!script || !bundle_resolve(b, interp, real, sizeof(real)) || (strcmp(interp, "/bin/sh") == 0 && r->busybox_path[0]))
		return;
	add_by_name(b, interp, "");
	add_own_folders(b, interp);
	if (strcmp(base(interp), "env") == 0)
		add_by_env(b, name);
}

static void add_program(struct bundle *b, const struct run *r)
{
	if (!r->by_own_name) {
		add_host_file(b->rd, r->program_path, r->guest_path);
	} else {
		add_by_name(b, r->guest_path, "");
		add_own_folders(b, r->guest_path);
	}
	add_script_interpreter(b, r);
}

/* An argument that names a file of the host, for a program that will open it. Names with ".." lie above the guest's "/". */
static void add_argument(struct bundle *b, const char *arg)
{
	static const char *const own[] = { "/proc/", "/sys/", "/dev/" }; /* the guest has these itself */
	char host[PATH_ROOM], guest[PATH_ROOM];
	struct stat st;

	for (unsigned i = 0; i < 3; i++)
		if (strncmp(arg, own[i], strlen(own[i])) == 0)
			return;
	while (strncmp(arg, "./", 2) == 0)
		arg += 2;
	if (strstr(arg, "..") || snprintf(host, sizeof(host), "%s%s", arg[0] == '/' ? b->root : "", arg) >= (int)sizeof(host) ||
	    stat(host, &st) != 0 || !S_ISREG(st.st_mode) || access(host, R_OK) != 0 || st.st_size > MAX_ARGUMENT_FILE)
		return;
	snprintf(guest, sizeof(guest), "/%s", arg);
	if (arg[0] == '/')
		add_by_name(b, arg, "");
	else if (initrd_find(b->rd, guest) == INITRD_NONE)
		add_host_file(b->rd, host, guest);
}

static void add_busybox(struct initrd *rd, const struct run *r)
{
	if (!r->busybox_path[0])
		return;
	if (initrd_find(rd, "/bin/busybox") == INITRD_NONE)
		add_host_file(rd, r->busybox_path, "/bin/busybox");
	add_commands(rd);
	initrd_add_link(rd, "/bin/sh", "busybox");
}

static const char *library_path(const struct run *r)
{
	for (unsigned i = 0; i < r->nr_env; i++)
		if (strncmp(r->env[i], "LD_LIBRARY_PATH=", 16) == 0)
			return r->env[i] + 16;
	return NULL;
}

static void tell_missing(const struct bundle *b)
{
	for (size_t i = 0; i < b->nr_missing; i++)
		fprintf(stderr, "kmm run: note: %s is needed, and not found here\n", b->missing[i]);
}

static void add_all(struct bundle *b, const struct run *r, bool with_input)
{
	add_program(b, r);
	for (unsigned i = 0; i < r->nr_files; i++)
		add_option_file(b->rd, r->file[i]);
	for (unsigned i = 0; i < r->nr_add; i++)
		add_by_name(b, r->add[i], "--add ");
	for (char **arg = r->program + 1; *arg; arg++)
		add_argument(b, *arg);
	tell_missing(b);
	add_busybox(b->rd, r);
	add_start_record(b->rd, r);
	if (with_input)
		add_stdin(b->rd);
}

void pack_initrd(struct initrd *rd, const struct run *r, bool with_input)
{
	struct bundle b = { .rd = rd, .root = r->root, .library_path = library_path(r) };

	initrd_open(rd);
	if (r->icount)
		rd->mtime = INITRD_TIME; /* every run is the same */
	if (r->program)
		add_all(&b, r, with_input); /* or else the machine has what it needs */
	bundle_free(&b);
	if (!initrd_finish(rd))
		STOP(EXIT_UNSUPPORTED, "the initrd cannot be written: %s", strerror(rd->error));
}
