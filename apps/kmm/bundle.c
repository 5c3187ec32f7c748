/* SPDX-License-Identifier: MIT */
/*
 * From names to what lies behind them. A name is walked part by part, as the guest's kernel will walk it; every link on
 * the way goes into the archive as the link it is. Libraries are looked for where the dynamic linker looks (ld.so(8)):
 * DT_RPATH, LD_LIBRARY_PATH, DT_RUNPATH, the directories of /etc/ld.so.conf, the linker's own. What it finds only by its
 * cache is accompanied by the cache.
 *
 * A library that is not found is only noted: the program may do without, and the dynamic linker says so otherwise.
 */
#include "bundle.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "elf_needs.h"

enum { MAX_LINKS = 40, MAX_DEPTH = 64 };

static bool host_path(const struct bundle *b, const char *guest, char host[PATH_MAX])
{
	return snprintf(host, PATH_MAX, "%s%s", b->root, *guest ? guest : "/") < PATH_MAX;
}

/* ---- walking ---- */

/* A path on its way: `done` has no links in it, `rest` is still to be walked. */
struct walk {
	char done[PATH_MAX], rest[PATH_MAX];
	unsigned links;
};

static void drop_last(char *path)
{
	char *slash = strrchr(path, '/');

	*(slash ? slash : path) = 0;
}

/* Takes the next part off the rest. false: there is none. */
static bool next_part(struct walk *w, char part[NAME_MAX + 1])
{
	const char *start = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(start, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(part, start, len);
	part[len] = 0;
	memmove(w->rest, start + len, strlen(start + len) + 1);
	return true;
}

/* `link`, which is at the end of `done`, is replaced by what it names. */
static bool follow(struct walk *w, const char *target)
{
	char rest[PATH_MAX];

	if (++w->links > MAX_LINKS || snprintf(rest, sizeof(rest), "%s/%s", target, w->rest) >= (int)sizeof(rest))
		return false;
	strcpy(w->rest, rest);
	if (target[0] == '/')
		w->done[0] = 0;
	else
		drop_last(w->done);
	return true;
}

/* One part further. add: links go into the archive; where that has a directory of the same name, the guest sees that. */
static bool step(const struct bundle *b, struct walk *w, const char *part, bool add)
{
	char host[PATH_MAX], target[PATH_MAX];
	size_t len = strlen(w->done);
	struct stat st;
	ssize_t n;

	if (strcmp(part, ".") == 0)
		return true;
	if (strcmp(part, "..") == 0) {
		drop_last(w->done);
		return true;
	}
	if (snprintf(w->done + len, sizeof(w->done) - len, "/%s", part) >= (int)(sizeof(w->done) - len) ||
	    !host_path(b, w->done, host) || lstat(host, &st) != 0)
		return false;
	if (!S_ISLNK(st.st_mode) || (add && initrd_find(b->rd, w->done) == INITRD_DIR))
		return true;
	n = readlink(host, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = 0;
	if (add)
		initrd_add_link(b->rd, w->done, target);
	return follow(w, target);
}

static bool walk_path(const struct bundle *b, const char *path, bool add, struct walk *w)
{
	char part[NAME_MAX + 1];

	w->links = 0;
	w->done[0] = 0;
	if (snprintf(w->rest, sizeof(w->rest), "%s", path) >= (int)sizeof(w->rest))
		return false;
	while (next_part(w, part))
		if (!step(b, w, part, add))
			return false;
	return w->rest[strspn(w->rest, "/")] == 0;
}

bool bundle_resolve(const struct bundle *b, const char *path, char *real, size_t size)
{
	struct walk w;

	return walk_path(b, path, false, &w) && snprintf(real, size, "%s", *w.done ? w.done : "/") < (int)size;
}

/* ---- where libraries are ---- */

static void append(char **list, const char *text, size_t len)
{
	size_t old = *list ? strlen(*list) : 0;

	*list = must_alloc(realloc(*list, old + len + 2));
	snprintf(*list + old, len + 2, "%s%.*s", old ? ":" : "", (int)len, text);
}

static void read_configuration(struct bundle *b, const char *host, unsigned depth);

static void include(struct bundle *b, const char *pattern, unsigned depth)
{
	char host[PATH_MAX];
	glob_t found;

	if (!host_path(b, pattern, host) || glob(host, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		read_configuration(b, found.gl_pathv[i], depth + 1);
	globfree(&found);
}

/* ld.so.conf: a directory a line, "include PATTERN", comments. */
static void read_configuration(struct bundle *b, const char *host, unsigned depth)
{
	FILE *f = depth < 4 ? fopen(host, "re") : NULL;
	char line[PATH_MAX], pattern[PATH_MAX];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "#\n")] = 0;
		if (sscanf(line, "include %s", pattern) == 1)
			include(b, pattern, depth);
		else if (line[0] == '/')
			append(&b->configured, line, strcspn(line, " \t"));
	}
	if (f)
		fclose(f);
}

static const char *configured(struct bundle *b)
{
	char host[PATH_MAX];

	if (!b->configured) {
		b->configured = must_alloc(strdup(""));
		if (host_path(b, "/etc/ld.so.conf", host))
			read_configuration(b, host, 0);
	}
	return b->configured;
}

/* The directories that Debian's dynamic linkers look into by themselves. */
static const char *built_in(const struct elf_needs *needs)
{
	return needs->is_64 ? "/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib:/usr/lib:/lib64:/usr/lib64"
			    : "/lib/i386-linux-gnu:/usr/lib/i386-linux-gnu:/lib:/usr/lib:/lib32:/usr/lib32";
}

static bool fits(const struct bundle *b, const char *guest, const struct elf_needs *needs)
{
	char real[PATH_MAX], host[PATH_MAX];
	struct elf_needs found;
	bool ok;

	if (!bundle_resolve(b, guest, real, sizeof(real)) || !host_path(b, real, host) || !elf_needs_read(host, &found))
		return false;
	ok = found.is_64 == needs->is_64 && found.machine == needs->machine;
	elf_needs_free(&found);
	return ok;
}

/* One directory of a list, with $ORIGIN replaced, and the library's name. */
static bool candidate(char path[PATH_MAX], const char *dir, size_t len, const char *origin, const char *name)
{
	static const char *const words[] = { "$ORIGIN", "${ORIGIN}" };

	for (int i = 0; i < 2; i++) {
		size_t word = strlen(words[i]);

		if (len >= word && strncmp(dir, words[i], word) == 0)
			return snprintf(path, PATH_MAX, "%s%.*s/%s", origin, (int)(len - word), dir + word, name) < PATH_MAX;
	}
	return len && dir[0] == '/' && snprintf(path, PATH_MAX, "%.*s/%s", (int)len, dir, name) < PATH_MAX;
}

static bool find_in(const struct bundle *b, const char *list, const char *origin, const char *name,
		    const struct elf_needs *needs, char path[PATH_MAX])
{
	while (list && *list) {
		size_t len = strcspn(list, ":");

		if (candidate(path, list, len, origin, name) && fits(b, path, needs))
			return true;
		list += len + (list[len] == ':');
	}
	return false;
}

/* `name`, needed by the file with these needs in the directory `origin`. */
static bool find_library(struct bundle *b, const struct elf_needs *needs, const char *origin, const char *name,
			 char path[PATH_MAX])
{
	const char *rpath = needs->runpath ? NULL : needs->rpath;

	if (strchr(name, '/'))
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX && fits(b, path, needs);
	if (find_in(b, rpath, origin, name, needs, path) || find_in(b, b->library_path, origin, name, needs, path) ||
	    find_in(b, needs->runpath, origin, name, needs, path) || find_in(b, built_in(needs), origin, name, needs, path))
		return true;
	if (!find_in(b, configured(b), origin, name, needs, path))
		return false;
	bundle_add(b, "/etc/ld.so.cache");
	return true;
}

/* ---- adding ---- */

static const char *add_path(struct bundle *b, const char *path, unsigned depth);

static void note_missing(struct bundle *b, const char *name)
{
	for (size_t i = 0; i < b->nr_missing; i++)
		if (strcmp(b->missing[i], name) == 0)
			return;
	b->missing = must_alloc(realloc(b->missing, (b->nr_missing + 1) * sizeof(*b->missing)));
	b->missing[b->nr_missing++] = must_alloc(strdup(name));
}

/* What the file at `guest`, a path without links, needs. */
static void add_needs(struct bundle *b, const char *guest, const char *host)
{
	char origin[PATH_MAX], path[PATH_MAX];
	struct elf_needs needs;

	if (!elf_needs_read(host, &needs))
		return;
	snprintf(origin, sizeof(origin), "%s", guest);
	drop_last(origin);
	if (needs.interpreter && add_path(b, needs.interpreter, 0) != NULL)
		note_missing(b, needs.interpreter);
	for (size_t i = 0; i < needs.nr_libraries; i++)
		if (!find_library(b, &needs, origin, needs.library[i], path) || add_path(b, path, 0) != NULL)
			note_missing(b, needs.library[i]);
	elf_needs_free(&needs);
}

static const char *add_tree(struct bundle *b, const char *guest, const char *host, unsigned depth)
{
	DIR *dir = opendir(host);
	const char *why = NULL;
	struct dirent *e;

	if (!dir)
		return strerror(errno);
	initrd_add_dir(b->rd, guest);
	while (!why && (e = readdir(dir)) != NULL) {
		char path[PATH_MAX];

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", guest, e->d_name) >= (int)sizeof(path))
			why = "has a name that is too long in it";
		else if (depth >= MAX_DEPTH)
			why = "goes too deep";
		else
			why = add_path(b, path, depth + 1);
	}
	closedir(dir);
	return why;
}

/* Inside a directory, links to other directories are not gone after: they would lead anywhere. */
static const char *add_found(struct bundle *b, const char *guest, unsigned depth, bool by_link)
{
	char host[PATH_MAX];
	struct stat st;
	const char *why;

	if (!host_path(b, guest, host) || stat(host, &st) != 0)
		return strerror(errno);
	if (S_ISDIR(st.st_mode))
		return depth && by_link ? NULL : add_tree(b, guest, host, depth);
	if (initrd_find(b->rd, guest) != INITRD_NONE)
		return NULL;
	if (!S_ISREG(st.st_mode))
		return depth ? NULL : "is neither a file nor a directory"; /* sockets and such inside are left out */
	why = initrd_add(b->rd, host, guest);
	if (!why)
		add_needs(b, guest, host);
	return why;
}

static const char *add_path(struct bundle *b, const char *path, unsigned depth)
{
	struct walk *w = must_alloc(malloc(sizeof(*w)));
	const char *why = NULL;

	errno = ENOENT;
	if (walk_path(b, path, true, w))
		why = add_found(b, w->done, depth, w->links != 0);
	else if (depth == 0) /* a link inside a directory may lead nowhere */
		why = strerror(errno);
	free(w);
	return why;
}

const char *bundle_add(struct bundle *b, const char *path)
{
	return add_path(b, path, 0);
}

void bundle_free(struct bundle *b)
{
	for (size_t i = 0; i < b->nr_missing; i++)
		free(b->missing[i]);
	free(b->missing);
	free(b->configured);
	b->missing = NULL;
	b->configured = NULL;
	b->nr_missing = 0;
}
