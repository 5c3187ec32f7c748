/* SPDX-License-Identifier: MIT */
/*
 * tree.c - directories in memory. Entries stay in the order of their making, so a listing that is read in pieces sees
 * every entry that was there all the time, once.
 */
#include "fs/vfs.h"

struct inode *fs_root;

int tree_init(void)
{
	fs_root = inode_new(S_IFDIR | 0755);
	return fs_root ? 0 : -ENOMEM;
}

struct dir_entry *tree_entry(struct inode *dir, const char *name, size_t len)
{
	struct dir_entry *e;

	list_for_each(e, &dir->entries, link)
		if (str_eq_n(name, len, e->name))
			return e;
	return NULL;
}

struct inode *tree_find(struct inode *dir, const char *name, size_t len)
{
	struct dir_entry *e = tree_entry(dir, name, len);

	return e ? e->inode : NULL;
}

static int set_name(struct inode *dir, const char *name)
{
	char *copy = os_strdup(name);

	if (!copy)
		return -ENOMEM;
	os_free(dir->name);
	dir->name = copy;
	return 0;
}

/* The entry is its directory's last from now on. */
static void put_into(struct inode *dir, struct dir_entry *e)
{
	e->dir = dir;
	e->cookie = ++dir->next_cookie;
	list_add_tail(&e->link, &dir->entries);
}

int tree_add(struct inode *dir, const char *name, struct inode *child)
{
	struct dir_entry *e;

	if (str_len(name) >= NAME_SIZE)
		return -ENAMETOOLONG;
	e = os_zalloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->refs = 1;
	e->name = os_strdup(name);
	if (!e->name || (is_kind(child, S_IFDIR) && set_name(child, name) != 0)) {
		entry_put(e);
		return -ENOMEM;
	}
	e->inode = child;
	put_into(dir, e);
	inode_get(child);
	child->nlink++;
	inode_set_removed(child, false);
	if (is_kind(child, S_IFDIR)) {
		child->nlink = 2;
		child->parent = dir;
		dir->nlink++;
	}
	inode_touch(dir);
	return 0;
}

int tree_remove(struct inode *dir, const char *name)
{
	struct dir_entry *e = tree_entry(dir, name, str_len(name));
	struct inode *child;

	if (!e)
		return -ENOENT;
	child = e->inode;
	list_del(&e->link);
	entry_forget(e);
	if (is_kind(child, S_IFDIR) && e->gone)
		child->target = os_strdup(e->gone);
	entry_put(e);
	child->nlink--;
	inode_set_removed(child, child->nlink == 0 || is_kind(child, S_IFDIR));
	inode_touch_attributes(child);
	if (is_kind(child, S_IFDIR)) {
		child->parent = NULL;
		child->nlink = 0;
		dir->nlink--;
	}
	inode_touch(dir);
	inode_put(child);
	return 0;
}

int tree_rename(struct inode *dir, const char *name, struct inode *to, const char *new_name)
{
	struct dir_entry *e = tree_entry(dir, name, str_len(name));
	char *copy;

	if (!e)
		return -ENOENT;
	if (str_len(new_name) >= NAME_SIZE)
		return -ENAMETOOLONG;
	copy = os_strdup(new_name);
	if (!copy || (is_kind(e->inode, S_IFDIR) && set_name(e->inode, new_name) != 0)) {
		os_free(copy);
		return -ENOMEM;
	}
	if (tree_entry(to, new_name, str_len(new_name)))
		tree_remove(to, new_name);
	os_free(e->name);
	e->name = copy;
	list_del(&e->link);
	put_into(to, e);
	if (is_kind(e->inode, S_IFDIR)) {
		e->inode->parent = to;
		dir->nlink--;
		to->nlink++;
	}
	inode_touch(dir);
	inode_touch(to);
	inode_touch_attributes(e->inode);
	return 0;
}

bool tree_is_below(const struct inode *dir, const struct inode *ancestor)
{
	for (; dir; dir = dir->parent)
		if (dir == ancestor)
			return true;
	return false;
}

bool tree_list(struct inode *dir, uint64_t pos, struct listing *out)
{
	struct dir_entry *e;

	list_for_each(e, &dir->entries, link) {
		if (e->cookie <= pos)
			continue;
		str_copy(out->name, e->name, sizeof(out->name));
		out->ino = e->inode->ino;
		out->mode = e->inode->mode;
		out->next = e->cookie;
		return true;
	}
	return false;
}

int tree_path(struct inode *dir, char *buf, size_t size)
{
	size_t at = size - 1;

	buf[at] = 0;
	for (; dir != fs_root; dir = dir->parent) {
		size_t len = dir->name ? str_len(dir->name) : 0;

		if (!dir->parent)
			return -ENOENT;
		if (len + 1 > at)
			return -ERANGE;
		at -= len;
		memcpy(buf + at, dir->name, len);
		buf[--at] = '/';
	}
	if (at == size - 1) {
		if (at == 0)
			return -ERANGE;
		buf[--at] = '/';
	}
	memmove(buf, buf + at, size - at);
	return (int)(size - at - 1);
}
