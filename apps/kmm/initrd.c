/* SPDX-License-Identifier: MIT */
/*
 * Building an initrd. Names are stored without the leading '/'; directories above a file are made when first needed.
 * Owners are zero, times those of the host's files or a fixed one, so that the same files give the same archive. No name
 * is stored twice.
 */
#include "initrd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

enum { MAX_PATH = 4096, MAX_DEPTH = 64, HEADER_SIZE = 110 };
#define MAX_FILE (UINT64_C(1) << 30)

struct header {
	uint32_t mode, nlink, size;
	int64_t mtime; /* 0: none of its own */
};

static uint32_t time_of(const struct initrd *rd, const struct header *h)
{
	if (rd->mtime)
		return rd->mtime;
	return h->mtime > 0 && h->mtime <= UINT32_MAX ? (uint32_t)h->mtime : INITRD_TIME;
}

static void put(struct initrd *rd, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len && !rd->failed) {
		ssize_t n = write(rd->fd, p, len);

		if (n < 0 && errno != EINTR) {
			rd->failed = true;
			rd->error = errno;
		} else if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

static void pad(struct initrd *rd, size_t len)
{
	put(rd, "\0\0\0", (4 - len % 4) % 4);
}

/* Header and name; the content and its padding are the caller's. */
static void put_header(struct initrd *rd, const char *name, const struct header *h)
{
	char text[HEADER_SIZE + 1];
	size_t name_size = strlen(name) + 1;

	snprintf(text, sizeof(text), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ++rd->next_ino, h->mode,
		 0, 0, h->nlink, time_of(rd, h), h->size, 0, 0, 0, 0, (unsigned)name_size, 0);
	put(rd, text, HEADER_SIZE);
	put(rd, name, name_size);
	pad(rd, HEADER_SIZE + name_size);
}

void initrd_open(struct initrd *rd)
{
	*rd = (struct initrd){ .fd = memfd_create("initrd", 0) };
	rd->failed = rd->fd < 0;
	rd->error = errno;
}

/* ---- names ---- */

struct name {
	enum initrd_kind kind;
	char *target; /* of a link */
	char path[];  /* without leading '/' */
};

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->path, ((const struct name *)b)->path);
}

static struct name *name_new(const char *path, size_t len, enum initrd_kind kind)
{
	struct name *n = must_alloc(calloc(1, sizeof(*n) + len + 1));

	n->kind = kind;
	memcpy(n->path, path, len);
	return n;
}

static const struct name *find(const struct initrd *rd, const char *path, size_t len)
{
	struct name *key = name_new(path, len, INITRD_NONE);
	struct name *const *found = tfind(key, &rd->names, by_path);

	free(key);
	return found ? *found : NULL;
}

/* The name is new. */
static void remember(struct initrd *rd, const char *path, enum initrd_kind kind, const char *target)
{
	struct name *n = name_new(path, strlen(path), kind);

	if (target)
		n->target = must_alloc(strdup(target));
	must_alloc(tsearch(n, &rd->names, by_path));
}

static void forget(void *node)
{
	struct name *n = node;

	free(n->target);
	free(n);
}

static const char *without_slashes(const char *guest)
{
	while (*guest == '/')
		guest++;
	return guest;
}

enum initrd_kind initrd_find(const struct initrd *rd, const char *guest)
{
	const char *path = without_slashes(guest);
	const struct name *n = find(rd, path, strlen(path));

	return n ? n->kind : *path ? INITRD_NONE : INITRD_DIR;
}

static void make_dir(struct initrd *rd, const char *path)
{
	if (find(rd, path, strlen(path)))
		return;
	remember(rd, path, INITRD_DIR, NULL);
	put_header(rd, path, &(struct header){ S_IFDIR | 0755, 2, 0, 0 });
}

/* The first link among the directories above a path; *len gets the length of the link's own path. */
static const struct name *link_above(const struct initrd *rd, const char *path, size_t *len)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		const struct name *n = find(rd, path, (size_t)(slash - path));

		*len = (size_t)(slash - path);
		if (n && n->kind == INITRD_LINK)
			return n;
	}
	return NULL;
}

/* Puts a link's target in the place of the link: "lib/x", lib -> usr/lib. Targets with ".." are left alone. */
static bool expand(char path[MAX_PATH], const struct name *link, size_t link_len)
{
	const char *slash = strrchr(link->path, '/');
	int dir = link->target[0] == '/' || !slash ? 0 : (int)(slash - link->path) + 1;
	char copy[MAX_PATH];

	if (strstr(link->target, "..") || snprintf(copy, sizeof(copy), "%.*s%s%s", dir, link->path,
						   without_slashes(link->target), path + link_len) >= (int)sizeof(copy))
		return false;
	strcpy(path, copy);
	return true;
}

/* The name as it is stored, after the directories above it were made; NULL: too long. */
static const char *place(struct initrd *rd, const char *guest, char path[MAX_PATH])
{
	enum { MAX_LINKS = 40 };
	const struct name *link;
	size_t len;
	char dir[MAX_PATH];

	if (snprintf(path, MAX_PATH, "%s", without_slashes(guest)) >= MAX_PATH)
		return NULL;
	for (int i = 0; i < MAX_LINKS && (link = link_above(rd, path, &len)) != NULL; i++)
		if (!expand(path, link, len))
			break;
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
		make_dir(rd, dir);
	}
	return path;
}

void initrd_add_dir(struct initrd *rd, const char *guest)
{
	char path[MAX_PATH];

	if (*without_slashes(guest) && place(rd, guest, path))
		make_dir(rd, path);
}

void initrd_add_bytes(struct initrd *rd, const char *guest, const void *bytes, size_t len, uint32_t mode)
{
	char path[MAX_PATH];

	if (!place(rd, guest, path) || initrd_find(rd, path) != INITRD_NONE)
		return;
	remember(rd, path, INITRD_FILE, NULL);
	put_header(rd, path, &(struct header){ S_IFREG | mode, 1, (uint32_t)len, 0 });
	put(rd, bytes, len);
	pad(rd, len);
}

void initrd_add_link(struct initrd *rd, const char *guest, const char *target)
{
	size_t len = strlen(target);
	char path[MAX_PATH];

	if (!place(rd, guest, path) || initrd_find(rd, path) != INITRD_NONE)
		return;
	remember(rd, path, INITRD_LINK, target);
	put_header(rd, path, &(struct header){ S_IFLNK | 0777, 1, (uint32_t)len, 0 });
	put(rd, target, len);
	pad(rd, len);
}

/* ---- files of the host ---- */

/* The content as it is now; what shrinks meanwhile is filled up with zeros, so that the archive stays sound. */
static void put_file(struct initrd *rd, int from, size_t len)
{
	char buf[65536];
	size_t left = len;

	while (left) {
		size_t want = left < sizeof(buf) ? left : sizeof(buf);
		ssize_t n = read(from, buf, want);

		if (n <= 0) {
			memset(buf, 0, want);
			n = (ssize_t)want;
		}
		put(rd, buf, (size_t)n);
		left -= (size_t)n;
	}
	pad(rd, len);
}

static const char *add_file(struct initrd *rd, const char *host, const char *guest, const struct stat *st)
{
	char path[MAX_PATH];
	int from;

	if ((uint64_t)st->st_size > MAX_FILE)
		return "is larger than 1 GiB";
	if (!place(rd, guest, path))
		return "has a name that is too long";
	if (initrd_find(rd, path) != INITRD_NONE)
		return "would get a name that is taken already";
	from = open(host, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return strerror(errno);
	remember(rd, path, INITRD_FILE, NULL);
	put_header(rd, path, &(struct header){ S_IFREG | (st->st_mode & 0777), 1, (uint32_t)st->st_size, st->st_mtime });
	put_file(rd, from, (size_t)st->st_size);
	close(from);
	return NULL;
}

static const char *add_any(struct initrd *rd, const char *host, const char *guest, unsigned depth);

static const char *add_tree(struct initrd *rd, const char *host, const char *guest, unsigned depth)
{
	DIR *dir = opendir(host);
	const char *why = NULL;
	struct dirent *e;

	if (!dir)
		return strerror(errno);
	initrd_add_dir(rd, guest);
	while (!why && (e = readdir(dir)) != NULL) {
		char from[MAX_PATH], to[MAX_PATH];

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (snprintf(from, sizeof(from), "%s/%s", host, e->d_name) >= (int)sizeof(from) ||
		    snprintf(to, sizeof(to), "%s/%s", guest, e->d_name) >= (int)sizeof(to))
			why = "has a name that is too long in it";
		else
			why = add_any(rd, from, to, depth + 1);
	}
	closedir(dir);
	return why;
}

static const char *add_symlink(struct initrd *rd, const char *host, const char *guest)
{
	char target[MAX_PATH];
	ssize_t len = readlink(host, target, sizeof(target) - 1);

	if (len < 0)
		return strerror(errno);
	target[len] = 0;
	initrd_add_link(rd, guest, target);
	return NULL;
}

/* Links inside a directory stay links; the file that was asked for by name is followed. */
static const char *add_any(struct initrd *rd, const char *host, const char *guest, unsigned depth)
{
	struct stat st;

	if ((depth ? lstat : stat)(host, &st) != 0)
		return strerror(errno);
	if (S_ISREG(st.st_mode))
		return add_file(rd, host, guest, &st);
	if (S_ISLNK(st.st_mode))
		return add_symlink(rd, host, guest);
	if (S_ISDIR(st.st_mode))
		return depth < MAX_DEPTH ? add_tree(rd, host, guest, depth) : "goes too deep";
	return depth ? NULL : "is neither a file nor a directory"; /* sockets and such inside are left out */
}

const char *initrd_add(struct initrd *rd, const char *host, const char *guest)
{
	return add_any(rd, host, guest, 0);
}

bool initrd_finish(struct initrd *rd)
{
	put_header(rd, "TRAILER!!!", &(struct header){ 0, 1, 0, 0 });
	tdestroy(rd->names, forget);
	rd->names = NULL;
	return !rd->failed;
}
