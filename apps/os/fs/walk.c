/* SPDX-License-Identifier: MIT */
/*
 * walk.c - path names to inodes. One loop over the parts of a path; a symbolic link puts its target in front of
 * what is left, in a buffer of PATH_SIZE, so nothing recurses and hostile links end with ELOOP or ENAMETOOLONG.
 */
#include "fs/vfs.h"

struct walker {
	struct inode *at;   /* directory reached, with a reference */
	char *rest;         /* what is left, in buf */
	char *buf;          /* PATH_SIZE bytes */
	struct inode *root; /* what "/" means, and where ".." ends */
	unsigned flags, links;
};

static void move_to(struct walker *w, struct inode *inode)
{
	inode_get(inode);
	inode_put(w->at);
	w->at = inode;
}

/* One entry of a directory, with a reference. */
static int find(const struct walker *w, const char *name, size_t len, struct inode **out)
{
	struct inode *dir = w->at;
	bool up = str_eq_n(name, len, "..");

	if (!is_kind(dir, S_IFDIR))
		return -ENOTDIR;
	if (up && dir == w->root && (w->flags & WALK_BENEATH))
		return -EXDEV;
	if (str_eq_n(name, len, "."))
		*out = dir;
	else if (up)
		*out = dir->parent && dir != w->root ? dir->parent : dir;
	else
		*out = tree_find(dir, name, len);
	if (*out) {
		inode_get(*out);
		return 0;
	}
	if (dir->ops && dir->ops->lookup) {
		char copy[NAME_SIZE];

		memcpy(copy, name, len);
		copy[len] = 0;
		return dir->ops->lookup(dir, copy, out);
	}
	return -ENOENT;
}

static int link_target(struct inode *link, char *buf, size_t size)
{
	size_t len;

	if (link->ops && link->ops->readlink)
		return link->ops->readlink(link, buf, size);
	len = str_len(link->target);
	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(buf, link->target, len + 1);
	return (int)len;
}

/* Puts the target of a link in front of the rest of the path. */
static int expand(struct walker *w, struct inode *link)
{
	size_t rest_len = str_len(w->rest);
	char *target = os_alloc(PATH_SIZE);
	int len = target ? link_target(link, target, PATH_SIZE) : -ENOMEM;

	if (len >= 0 && (size_t)len + 1 + rest_len + 1 > PATH_SIZE)
		len = -ENAMETOOLONG;
	if (len == 0)
		len = -ENOENT;
	if (len > 0) {
		memmove(w->buf + len + 1, w->rest, rest_len + 1);
		memcpy(w->buf, target, (size_t)len);
		w->buf[len] = rest_len ? '/' : 0;
		w->rest = w->buf;
		if (w->buf[0] == '/')
			move_to(w, w->root);
	}
	if (len > 0 && w->buf[0] == '/' && (w->flags & WALK_BENEATH))
		len = -EXDEV;
	os_free(target);
	return len < 0 ? len : 0;
}

/* inode is a link that is to be followed: either the walk goes on by name, or *inode becomes where it leads. */
static int follow(struct walker *w, struct inode **inode, bool *again)
{
	struct inode *link = *inode;
	int err;

	*again = false;
	if (++w->links > MAX_SYMLINKS || (w->flags & WALK_NO_LINKS))
		return -ELOOP;
	if (link->ops && link->ops->follow) {
		if (w->flags & WALK_NO_MAGIC)
			return -ELOOP;
		if (w->flags & (WALK_BENEATH | WALK_IN_ROOT))
			return -EXDEV;
		err = link->ops->follow(link, inode);
		if (err == 0)
			inode_put(link);
		return err;
	}
	*again = true;
	err = expand(w, link);
	if (err == 0)
		inode_put(link);
	return err;
}

static char *skip_slashes(char *p)
{
	while (*p == '/')
		p++;
	return p;
}

/* Takes the next part off the path: its start, length, and whether it is the last. */
static size_t next_part(struct walker *w, char **part, bool *last)
{
	size_t len = 0;

	*part = w->rest;
	while ((*part)[len] && (*part)[len] != '/')
		len++;
	w->rest = skip_slashes(*part + len);
	*last = *w->rest == 0;
	return len;
}

/* The last part is found (inode, its reference passes on) or absent (NULL). */
static int finish(struct walker *w, struct inode *inode, const char *part, size_t len, struct walk_result *out)
{
	memcpy(out->last, part, len);
	out->last[len] = 0;
	out->must_be_dir = part[len] == '/';
	if (inode && out->must_be_dir && !is_kind(inode, S_IFDIR)) {
		inode_put(inode);
		return -ENOTDIR;
	}
	out->dir = w->at;
	out->inode = inode;
	w->at = NULL;
	return 0;
}

/* Is the way from here into `inode` one between the tree and /proc? */
static bool crosses(const struct walker *w, const struct inode *inode)
{
	return (w->flags & WALK_NO_XDEV) && is_kind(inode, S_IFDIR) && (inode->ops != NULL) != (w->at->ops != NULL);
}

static int walk_parts(struct walker *w, struct walk_result *out)
{
	unsigned flags = w->flags;

	for (;;) {
		struct inode *inode = NULL;
		bool last, again = false;
		char *part;
		size_t len;
		int err;

		w->rest = skip_slashes(w->rest);
		if (*w->rest == 0) { /* "/" or "/a/link-to-root" */
			inode_get(w->at);
			return finish(w, w->at, ".", 1, out);
		}
		len = next_part(w, &part, &last);
		if (len >= NAME_SIZE)
			return -ENAMETOOLONG;
		err = find(w, part, len, &inode);
		if (err == -ENOENT && last && (flags & WALK_PARENT))
			return finish(w, NULL, part, len, out);
		if (err)
			return err;
		if (crosses(w, inode))
			err = -EXDEV;
		else if (is_kind(inode, S_IFLNK) && !(last && (flags & WALK_NOFOLLOW) && part[len] == 0))
			err = follow(w, &inode, &again);
		if (err) {
			inode_put(inode);
			return err;
		}
		if (again)
			continue;
		if (last)
			return finish(w, inode, part, len, out);
		move_to(w, inode);
		inode_put(inode);
	}
}

int walk(struct inode *from, const char *path, unsigned flags, struct walk_result *out)
{
	struct walker w = { .root = flags & (WALK_BENEATH | WALK_IN_ROOT) ? from : fs_root, .flags = flags };
	size_t len = str_len(path);
	int err;

	*out = (struct walk_result){ .dir = NULL };
	if (len == 0)
		return -ENOENT;
	if (len >= PATH_SIZE)
		return -ENAMETOOLONG;
	if (path[0] == '/' && (flags & WALK_BENEATH))
		return -EXDEV;
	w.buf = os_alloc(PATH_SIZE);
	if (!w.buf)
		return -ENOMEM;
	memcpy(w.buf, path, len + 1);
	w.rest = w.buf;
	move_to(&w, path[0] == '/' ? w.root : from);
	err = walk_parts(&w, out);
	inode_put(w.at);
	os_free(w.buf);
	return err;
}

void walk_done(struct walk_result *result)
{
	inode_put(result->inode);
	inode_put(result->dir);
}

int walk_inode(struct inode *from, const char *path, unsigned flags, struct inode **out)
{
	struct walk_result result;
	int err = walk(from, path, flags, &result);

	if (err)
		return err;
	*out = result.inode;
	inode_put(result.dir);
	return 0;
}
