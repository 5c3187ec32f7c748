/* SPDX-License-Identifier: MIT */
/*
 * What a run needs from this host: the kernel and busybox beside the command, the program by its name. What can be said
 * about a program from outside is said here; the kernel checks everything again.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle.h"
#include "elf_needs.h"
#include "run.h"
#include "units.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* The machines the reference kernel is built for. */
static const struct machine machines[] = {
	{ "i386", "qemu64", 16 * MIB, 4 * GIB, false },
	{ "i386-pae", "qemu64", 16 * MIB, 64 * GIB, false },
	{ "x86_64", "qemu64", 32 * MIB, 512 * GIB, true },
	{ "x86_64-la57", "max", 32 * MIB, 512 * GIB, true },
};

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

/* The file behind a name that starts with '/', below the root. Its links are gone after there, not on the host. */
static bool find_below_root(struct run *r, const char *name)
{
	const struct bundle b = { .root = r->root };
	char real[PATH_ROOM];

	return snprintf(r->guest_path, PATH_ROOM, "%s", name) < PATH_ROOM && bundle_resolve(&b, name, real, sizeof(real)) &&
	       snprintf(r->program_path, PATH_ROOM, "%s%s", r->root, real) < PATH_ROOM && access(r->program_path, X_OK) == 0;
}

/* dirs: as PATH. */
static bool find_in_path(struct run *r, const char *dirs, const char *name)
{
	char path[PATH_ROOM];

	while (dirs && *dirs) {
		int len = (int)strcspn(dirs, ":");

		if (snprintf(path, sizeof(path), "%.*s/%s", len, dirs, name) < PATH_ROOM && path[0] == '/' &&
		    find_below_root(r, path))
			return true;
		dirs += len + (dirs[len] == ':');
	}
	return false;
}

/* A name with a slash. One that is not absolute is of the host, whatever the root. */
static bool find_by_path(struct run *r, const char *name)
{
	char cwd[PATH_MAX];

	if (name[0] == '/' && r->root[0])
		return find_below_root(r, name);
	if (!getcwd(cwd, sizeof(cwd)) ||
	    snprintf(r->guest_path, PATH_ROOM, "%s%s%s", name[0] == '/' ? "" : cwd, name[0] == '/' ? "" : "/", name) >= PATH_ROOM)
		return false;
	return snprintf(r->program_path, PATH_ROOM, "%s", name) < PATH_ROOM && exists(name);
}

static void find_busybox(struct run *r)
{
	bool is_64 = r->machine && strncmp(r->machine, "x86_64", 6) == 0;

	if (!find_beside(r, r->busybox_path, "debian-%s/bin/busybox", is_64 ? "amd64" : "i386"))
		r->busybox_path[0] = 0;
}

static void find_program(struct run *r)
{
	const char *name = r->program[0];
	const char *dirs = r->root[0] ? "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" : getenv("PATH");
	bool found;

	find_busybox(r);
	if (strchr(name, '/'))
		found = find_by_path(r, name);
	else if (strcmp(name, "busybox") == 0 && r->busybox_path[0])
		found = snprintf(r->program_path, PATH_ROOM, "%s", r->busybox_path) < PATH_ROOM;
	else
		found = find_in_path(r, dirs, name);
	if (!found)
		STOP(EXIT_INPUT, "%s%s: there is no such program", strchr(name, '/') && name[0] == '/' ? r->root : "", name);
}

/* Why the kernel would not run it; NULL: it looks good. */
static const char *refuse(const struct run *r, const struct elf_needs *needs)
{
	if (needs->is_64 && !r->m->is_64)
		return "is a 64-bit program; this machine runs 32-bit (i386) ones, --machine x86_64 both";
	if (needs->machine != (needs->is_64 ? EM_X86_64 : EM_386))
		return "is a program for another kind of processor; the reference kernel runs i386 and x86-64 ones";
	return NULL;
}

/* Can it be read, and is it a script? */
static bool check_readable(const struct run *r)
{
	char head[2] = "";
	int fd = open(r->program_path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, head, sizeof(head)) < 0)
		STOP(EXIT_INPUT, "%s: %s", r->program_path, strerror(errno));
	close(fd);
	return head[0] == '#' && head[1] == '!';
}

/* Programs that find things relative to themselves, as those do that have libraries, keep their name. */
static void choose_guest_path(struct run *r)
{
	const char *slash = strrchr(r->program_path, '/');

	if (!r->by_own_name)
		snprintf(r->guest_path, PATH_ROOM, "/bin/%.255s", slash ? slash + 1 : r->program_path);
}

void find_all(struct run *r)
{
	struct elf_needs needs;
	const char *why;
	bool script, elf;

	if (r->machine)
		check_machine(r);
	find_home(r);
	if (!r->program) { /* of a machine that goes on; its name is known */
		find_kernel(r);
		return;
	}
	find_program(r);
	script = check_readable(r);
	elf = elf_needs_read(r->program_path, &needs);
	if (!r->machine) {
		r->machine = elf && needs.is_64 && needs.machine == EM_X86_64 ? "x86_64" : "i386-pae";
		check_machine(r);
		find_busybox(r);
	}
	why = elf ? refuse(r, &needs) : script ? NULL : "is neither a program nor a script";
	if (why)
		STOP(EXIT_INPUT, "%s %s", r->program_path, why);
	r->by_own_name = needs.interpreter || (r->root[0] && strncmp(r->program_path, r->root, strlen(r->root)) == 0);
	elf_needs_free(&needs);
	choose_guest_path(r);
	find_kernel(r);
}
