/* SPDX-License-Identifier: MIT */
/* names.c - making, moving and removing names. */
#include "sys/sys.h"

/* The place of a new name: -EEXIST when it is taken. In made-up directories there is place for directories only. */
static int new_name(int32_t dirfd, uword path, bool directory, struct walk_result *where)
{
	int err = user_walk(dirfd, path, WALK_PARENT | WALK_NOFOLLOW, where);

	if (err)
		return err;
	if (where->inode)
		err = -EEXIST;
	else if (!where->dir->parent && where->dir != fs_root)
		err = -ENOENT; /* a removed directory */
	else if (where->dir->ops && !(directory && where->dir->ops->mkdir))
		err = -EPERM; /* /proc */
	if (err)
		walk_done(where);
	return err;
}

static sword make_node(int32_t dirfd, uword path, uint32_t mode, uint32_t rdev)
{
	struct walk_result where;
	struct inode *inode;
	int err = new_name(dirfd, path, (mode & S_IFMT) == S_IFDIR, &where);

	if (err)
		return err;
	if (where.must_be_dir && (mode & S_IFMT) != S_IFDIR)
		err = -ENOENT;
	inode = err || where.dir->ops ? NULL : inode_new(mode & ~current->proc->fs->umask);
	if (err == 0 && where.dir->ops) {
		err = where.dir->ops->mkdir(where.dir, where.last);
	} else if (inode) {
		inode->rdev = rdev;
		err = tree_add(where.dir, where.last, inode);
		inode_put(inode);
	} else if (!err) {
		err = -ENOMEM;
	}
	walk_done(&where);
	return err;
}

sword sys_mkdir(const uword *a)
{
	return make_node(AT_FDCWD, a[0], S_IFDIR | (a[1] & 01777), 0);
}

sword sys_mkdirat(const uword *a)
{
	return make_node((int32_t)a[0], a[1], S_IFDIR | (a[2] & 01777), 0);
}

static sword make_special(int32_t dirfd, uword path, uint32_t mode, uint32_t rdev)
{
	uint32_t kind = mode & S_IFMT ? mode & S_IFMT : S_IFREG;

	if (kind != S_IFREG && kind != S_IFCHR && kind != S_IFIFO)
		return -EINVAL;
	return make_node(dirfd, path, kind | (mode & 07777), rdev);
}

sword sys_mknod(const uword *a)
{
	return make_special(AT_FDCWD, a[0], a[1], a[2]);
}

sword sys_mknodat(const uword *a)
{
	return make_special((int32_t)a[0], a[1], a[2], a[3]);
}

/* Of a directory that its file system removes itself. */
static bool removes_itself(const struct walk_result *where)
{
	return where->inode->ops && where->inode->ops->rmdir && where->dir->ops;
}

static int check_removal(const struct walk_result *where, bool directory)
{
	const struct inode *inode = where->inode;

	if (where->dir->ops && !(directory && (removes_itself(where) || where->dir->ops->rmdir)))
		return -EPERM;
	if (str_eq(where->last, "."))
		return directory ? -EINVAL : -EISDIR;
	if (str_eq(where->last, ".."))
		return directory ? -ENOTEMPTY : -EISDIR;
	if (directory != is_kind(inode, S_IFDIR))
		return directory ? -ENOTDIR : -EISDIR;
	if (directory && !removes_itself(where) && (!list_empty(&inode->entries) || inode->ops))
		return inode->ops ? -EBUSY : -ENOTEMPTY;
	return 0;
}

static sword remove_name(int32_t dirfd, uword path, bool directory)
{
	struct walk_result where;
	int err = user_walk(dirfd, path, WALK_NOFOLLOW, &where);

	if (err)
		return err;
	err = check_removal(&where, directory);
	if (err == 0 && directory && removes_itself(&where))
		err = where.inode->ops->rmdir(where.inode);
	else if (err == 0)
		err = tree_remove(where.dir, where.last);
	walk_done(&where);
	return err;
}

sword sys_unlink(const uword *a)
{
	return remove_name(AT_FDCWD, a[0], false);
}

sword sys_rmdir(const uword *a)
{
	return remove_name(AT_FDCWD, a[0], true);
}

sword sys_unlinkat(const uword *a)
{
	if (a[2] & ~(uint32_t)AT_REMOVEDIR)
		return -EINVAL;
	return remove_name((int32_t)a[0], a[1], a[2] & AT_REMOVEDIR);
}

static sword make_symlink(uword target, int32_t dirfd, uword path)
{
	struct walk_result where;
	struct inode *inode;
	char *text;
	int err = copy_in_path(target, &text);

	if (err)
		return err;
	err = *text ? new_name(dirfd, path, false, &where) : -ENOENT;
	if (err) {
		os_free(text);
		return err;
	}
	inode = inode_new(S_IFLNK | 0777);
	err = inode ? 0 : -ENOMEM;
	if (inode) {
		inode->target = os_strdup(text);
		err = inode->target ? tree_add(where.dir, where.last, inode) : -ENOMEM;
	}
	inode_put(inode);
	os_free(text);
	walk_done(&where);
	return err;
}

sword sys_symlink(const uword *a)
{
	return make_symlink(a[0], AT_FDCWD, a[1]);
}

sword sys_symlinkat(const uword *a)
{
	return make_symlink(a[0], (int32_t)a[1], a[2]);
}

static sword make_link(int32_t old_dir, uword old_path, int32_t new_dir, uword new_path, uint32_t flags)
{
	struct walk_result where;
	struct inode *inode;
	int err = user_inode(old_dir, old_path, flags & AT_SYMLINK_FOLLOW ? 0 : WALK_NOFOLLOW, &inode);

	if (err)
		return err;
	err = is_kind(inode, S_IFDIR) ? -EPERM : new_name(new_dir, new_path, false, &where);
	if (err == 0) {
		err = where.must_be_dir ? -ENOENT : tree_add(where.dir, where.last, inode);
		walk_done(&where);
	}
	inode_put(inode);
	return err;
}

sword sys_link(const uword *a)
{
	return make_link(AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}

sword sys_linkat(const uword *a)
{
	return make_link((int32_t)a[0], a[1], (int32_t)a[2], a[3], a[4]);
}

/* May `from` take the place of what `to` names? */
static int check_rename(const struct walk_result *from, const struct walk_result *to)
{
	const struct inode *old = to->inode;
	bool is_dir = is_kind(from->inode, S_IFDIR);

	if (from->dir->ops || to->dir->ops)
		return -EPERM;
	if (str_starts(from->last, ".") && (!from->last[1] || str_eq(from->last, "..")))
		return -EBUSY;
	if (is_dir && tree_is_below(to->dir, from->inode))
		return -EINVAL;
	if (!old)
		return to->must_be_dir && !is_dir ? -ENOTDIR : 0;
	if (is_kind(old, S_IFDIR) != is_dir)
		return is_dir ? -ENOTDIR : -EISDIR;
	return is_dir && !list_empty(&old->entries) ? -ENOTEMPTY : 0;
}

/* Can it be read, and is it short enough? */
static int check_path(uword path)
{
	char *text;
	int err = copy_in_path(path, &text);

	if (err == 0)
		os_free(text);
	return err;
}

static sword rename_at(int32_t old_dir, uword old_path, int32_t new_dir, uword new_path, uint32_t flags)
{
	enum { RENAME_NOREPLACE = 1 };
	struct walk_result from, to;
	int err;

	if (flags & ~(uint32_t)RENAME_NOREPLACE)
		return -EINVAL;
	err = check_path(new_path); /* both names are read before either is looked for */
	if (err == 0)
		err = user_walk(old_dir, old_path, WALK_NOFOLLOW, &from);
	if (err)
		return err;
	err = user_walk(new_dir, new_path, WALK_NOFOLLOW | WALK_PARENT, &to);
	if (err == 0) {
		err = to.inode && (flags & RENAME_NOREPLACE) ? -EEXIST : check_rename(&from, &to);
		if (err == 0)
			err = to.inode == from.inode ? 0 : tree_rename(from.dir, from.last, to.dir, to.last);
		walk_done(&to);
	}
	walk_done(&from);
	return err;
}

sword sys_rename(const uword *a)
{
	return rename_at(AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}

sword sys_renameat(const uword *a)
{
	return rename_at((int32_t)a[0], a[1], (int32_t)a[2], a[3], 0);
}

sword sys_renameat2(const uword *a)
{
	return rename_at((int32_t)a[0], a[1], (int32_t)a[2], a[3], a[4]);
}

static sword change_dir(struct inode *inode)
{
	if (!is_kind(inode, S_IFDIR))
		return -ENOTDIR;
	inode_get(inode);
	inode_put(current->proc->fs->cwd);
	current->proc->fs->cwd = inode;
	return 0;
}

sword sys_chdir(const uword *a)
{
	struct inode *inode;
	int err = user_inode(AT_FDCWD, a[0], 0, &inode);

	if (err)
		return err;
	err = change_dir(inode);
	inode_put(inode);
	return err;
}

sword sys_fchdir(const uword *a)
{
	struct open_file *file = file_arg(a[0]);

	return file ? change_dir(file->inode) : -EBADF;
}
