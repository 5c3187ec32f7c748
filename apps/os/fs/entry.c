/* SPDX-License-Identifier: MIT */
/*
 * entry.c - names of files after they were looked up. An entry of a directory is what Linux calls a dentry: open files, programs and
 * mappings that came by a name keep it, so they show the name it has now, and "(deleted)" once it is gone, whatever other names the
 * file has and whatever has got its place. A removed entry keeps the path that it had.
 *
 * The tree's reference goes when the name does; the last one frees the entry, without any lock.
 */
#include "fs/vfs.h"

void entry_get(struct dir_entry *e)
{
	__atomic_fetch_add(&e->refs, 1, __ATOMIC_RELAXED);
}

void entry_put(struct dir_entry *e)
{
	if (!e || __atomic_sub_fetch(&e->refs, 1, __ATOMIC_ACQ_REL))
		return;
	os_free(e->name);
	os_free(e->gone);
	os_free(e);
}

struct dir_entry *entry_found(const struct walk_result *where)
{
	struct dir_entry *e = tree_entry(where->dir, where->last, str_len(where->last));

	if (!e || e->inode != where->inode)
		return NULL; /* "." and the like; made-up directories */
	entry_get(e);
	return e;
}

/* The directory n levels above dir. */
static const struct inode *above(const struct inode *dir, unsigned n)
{
	while (n--)
		dir = dir->parent;
	return dir;
}

static void put(struct kmm_sink *out, const char *text)
{
	out->write(out, text, str_len(text));
}

static void put_part(struct kmm_sink *out, const char *name)
{
	put(out, "/");
	put(out, name);
}

static void put_path(const struct dir_entry *e, struct kmm_sink *out)
{
	unsigned depth = 0;

	for (const struct inode *dir = e->dir; dir->parent; dir = dir->parent)
		depth++;
	while (depth--)
		put_part(out, above(e->dir, depth)->name);
	put_part(out, e->name);
}

void entry_forget(struct dir_entry *e)
{
	struct text t;

	text_init(&t, NULL, 0);
	put_path(e, &t.sink);
	e->gone = os_alloc(t.len + 1);
	if (e->gone) {
		text_init(&t, e->gone, t.len + 1);
		put_path(e, &t.sink);
		e->gone[t.len] = 0;
	}
	e->dir = e->inode = NULL;
}

void entry_put_path(const struct dir_entry *e, struct kmm_sink *out)
{
	kernel_lock();
	if (e->dir)
		put_path(e, out);
	else if (e->gone)
		put(out, e->gone);
	else
		put_part(out, e->name); /* there was no memory for more */
	if (!e->dir)
		put(out, " (deleted)");
	kernel_unlock();
}

int entry_path(const struct dir_entry *e, char *buf, size_t size)
{
	struct text t;

	text_init(&t, buf, size);
	entry_put_path(e, &t.sink);
	return t.len > size ? -ENAMETOOLONG : (int)t.len;
}

/* ---- openings ---- */

struct opening {
	struct kmm_opening base;  /* first */
	struct dir_entry *entry; /* with a reference; NULL: not by a name of the tree */
};

static void release(struct kmm_opening *base)
{
	struct opening *o = (struct opening *)base;

	entry_put(o->entry);
	os_free(o);
}

static void put_name(struct kmm_opening *base, struct kmm_sink *out)
{
	entry_put_path(((struct opening *)base)->entry, out);
}

struct kmm_opening *opening_new(const struct inode *inode, struct dir_entry *entry)
{
	struct opening *o = os_zalloc(sizeof(*o));

	if (!o)
		return NULL;
	o->base = (struct kmm_opening){ .refs = 1, .release = release };
	if (inode) {
		o->base.dev_minor = inode->file.backing.dev_minor;
		o->base.ino = inode->ino;
	}
	if (entry) {
		entry_get(entry);
		o->entry = entry;
		o->base.put_name = put_name;
	}
	return &o->base;
}

struct kmm_opening *file_opening(struct open_file *file)
{
	struct kmm_opening *there = __atomic_load_n(&file->opening, __ATOMIC_ACQUIRE), *new;

	if (there)
		return there;
	new = opening_new(file->inode, file->entry);
	if (new && !__atomic_compare_exchange_n(&file->opening, &there, new, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		kmm_opening_put(new); /* another thread was faster */
		return there;
	}
	return new;
}
