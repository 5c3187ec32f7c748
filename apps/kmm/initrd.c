/* SPDX-License-Identifier: MIT */
/*
 * Building an initrd. Names are stored without the leading '/'; directories above a file are made when first needed.
 * Times and owners are zero, so that the same files give the same archive.
 */
#include "initrd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

enum { MAX_PATH = 4096, MAX_DEPTH = 64 };
#define MAX_FILE (UINT64_C(1) << 30)

struct header {
	uint32_t mode, nlink, size;
};

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
	char text[111];
	size_t name_size = strlen(name) + 1;

	snprintf(text, sizeof(text), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ++rd->next_ino, h->mode,
		 0, 0, h->nlink, 0, h->size, 0, 0, 0, 0, (unsigned)name_size, 0);
	put(rd, text, 110);
	put(rd, name, name_size);
	pad(rd, 110 + name_size);
}

void initrd_open(struct initrd *rd)
{
	*rd = (struct initrd){ .fd = memfd_create("initrd", 0) };
	rd->failed = rd->fd < 0;
	rd->error = errno;
}

static void make_dir(struct initrd *rd, const char *name)
{
	for (size_t i = 0; i < rd->nr_dirs; i++)
		if (strcmp(rd->dirs[i], name) == 0)
			return;
	rd->dirs = must_alloc(realloc(rd->dirs, (rd->nr_dirs + 1) * sizeof(*rd->dirs)));
	rd->dirs[rd->nr_dirs++] = must_alloc(strdup(name));
	put_header(rd, name, &(struct header){ S_IFDIR | 0755, 2, 0 });
}

/* The name as it is stored, after the directories above it were made. */
static const char *place(struct initrd *rd, const char *guest)
{
	char dir[MAX_PATH];

	while (*guest == '/')
		guest++;
	for (const char *slash = strchr(guest, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - guest), guest);
		make_dir(rd, dir);
	}
	return guest;
}

void initrd_add_bytes(struct initrd *rd, const char *guest, const void *bytes, size_t len, uint32_t mode)
{
	put_header(rd, place(rd, guest), &(struct header){ S_IFREG | mode, 1, (uint32_t)len });
	put(rd, bytes, len);
	pad(rd, len);
}

void initrd_add_link(struct initrd *rd, const char *guest, const char *target)
{
	size_t len = strlen(target);

	put_header(rd, place(rd, guest), &(struct header){ S_IFLNK | 0777, 1, (uint32_t)len });
	put(rd, target, len);
	pad(rd, len);
}

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
	int from;

	if ((uint64_t)st->st_size > MAX_FILE)
		return "is larger than 1 GiB";
	from = open(host, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return strerror(errno);
	put_header(rd, place(rd, guest), &(struct header){ S_IFREG | (st->st_mode & 0777), 1, (uint32_t)st->st_size });
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
	make_dir(rd, place(rd, guest));
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
	put_header(rd, "TRAILER!!!", &(struct header){ 0, 1, 0 });
	for (size_t i = 0; i < rd->nr_dirs; i++)
		free(rd->dirs[i]);
	free(rd->dirs);
	rd->dirs = NULL;
	rd->nr_dirs = 0;
	return !rd->failed;
}
