/* SPDX-License-Identifier: MIT */
/* fd.c - making, copying and closing descriptors; opening files. */
#include "sys/locks.h"
#include "sys/sys.h"

static uint32_t fd_limit(void)
{
	return current->proc->rlimit[RLIMIT_NOFILE].soft;
}

static struct fd_table *table(void)
{
	return current->proc->fds;
}

int start_dir(int32_t dirfd, struct inode **out)
{
	struct open_file *file;

	if (dirfd == AT_FDCWD) {
		*out = current->proc->fs->cwd;
		return 0;
	}
	file = file_arg((uint32_t)dirfd);
	if (!file)
		return -EBADF;
	*out = file->inode;
	return 0;
}

int user_walk(int32_t dirfd, uword path, unsigned flags, struct walk_result *out)
{
	struct inode *from = fs_root;
	char *name;
	int err = copy_in_path(path, &name);

	if (err)
		return err;
	if (name[0] != '/' || (flags & (WALK_BENEATH | WALK_IN_ROOT)))
		err = start_dir(dirfd, &from);
	if (err == 0)
		err = walk(from, name, flags, out);
	os_free(name);
	return err;
}

int user_inode(int32_t dirfd, uword path, unsigned flags, struct inode **out)
{
	struct walk_result where;
	int err = user_walk(dirfd, path, flags, &where);

	if (err)
		return err;
	*out = where.inode;
	inode_put(where.dir);
	return 0;
}

char *path_of(const struct walk_result *where)
{
	char *path = os_alloc(PATH_SIZE), *copy = NULL;
	int len = path ? tree_path(where->dir, path, PATH_SIZE - NAME_SIZE - 1) : -ENOMEM;

	if (len > 0 && !(where->inode == where->dir)) {
		len = len > 1 ? len : 0;
		path[len] = '/';
		str_copy(path + len + 1, where->last, NAME_SIZE);
	}
	if (len >= 0)
		copy = os_strdup(path);
	os_free(path);
	return copy;
}

static int create(struct walk_result *where, uint32_t mode)
{
	struct inode *inode;
	int err;

	if (where->must_be_dir)
		return -EISDIR;
	if (where->dir->ops)
		return where->dir->ops->magic ? -EACCES : -ENOENT; /* as /sys and /proc answer */
	inode = inode_new(S_IFREG | (mode & 07777 & ~current->proc->fs->umask));
	if (!inode)
		return -ENOMEM;
	inode->name = path_of(where);
	inode->file.name = inode->name ? inode->name : "";
	err = tree_add(where->dir, where->last, inode);
	if (err)
		inode_put(inode);
	else
		where->inode = inode;
	return err;
}

static int check_open(const struct inode *inode, uint32_t flags)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);

	if ((flags & O_DIRECTORY) && !is_kind(inode, S_IFDIR))
		return -ENOTDIR;
	if (is_kind(inode, S_IFDIR) && (writes || (flags & O_CREAT)))
		return -EISDIR;
	return 0;
}

/* Finds or makes the inode, with a reference in where. */
static int find_or_create(int32_t dirfd, uword path, uint32_t flags, uint32_t mode, unsigned how, struct walk_result *where)
{
	int err;

	how |= flags & O_CREAT ? WALK_PARENT : 0;
	if ((flags & O_NOFOLLOW) || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		how |= WALK_NOFOLLOW;
	err = user_walk(dirfd, path, how, where);
	if (err)
		return err;
	if (!where->inode)
		err = create(where, mode);
	else if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		err = -EEXIST;
	else
		err = check_open(where->inode, flags);
	if (err)
		walk_done(where);
	return err;
}

/* how: WALK_ bits. */
static sword open_how(int32_t dirfd, uword path, uint32_t flags, uint32_t mode, unsigned how)
{
	struct walk_result where;
	struct dir_entry *entry;
	struct open_file *file;
	int err = find_or_create(dirfd, path, flags, mode, how, &where);

	if (err)
		return err;
	entry = entry_found(&where);
	err = file_open(where.inode, flags & ~(uint32_t)(O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY | O_CLOEXEC), &file);
	if (err == 0) {
		file->entry = entry;
		file->path = entry ? NULL : path_of(&where);
		entry = NULL;
		if ((flags & O_TRUNC) && is_kind(where.inode, S_IFREG) && file_can_write(file))
			err = inode_set_size(where.inode, 0);
		if (err == 0)
			err = fd_install(table(), file, 0, fd_limit(), flags & O_CLOEXEC);
		if (err < 0)
			file_put(file);
	}
	entry_put(entry);
	walk_done(&where);
	return err;
}

static sword open_at(int32_t dirfd, uword path, uint32_t flags, uint32_t mode)
{
	return open_how(dirfd, path, flags, mode, 0);
}

/* The argument of openat2(2), in the only size it has had. */
struct open_how {
	uint64_t flags, mode, resolve;
};

static unsigned walk_bits(uint64_t resolve)
{
	static const unsigned bit[] = { WALK_NO_XDEV, WALK_NO_MAGIC, WALK_NO_LINKS, WALK_BENEATH, WALK_IN_ROOT };
	unsigned how = 0;

	for (unsigned i = 0; i < ARRAY_LEN(bit); i++)
		how |= resolve >> i & 1 ? bit[i] : 0;
	return how;
}

static int check_how(const struct open_how *how)
{
	enum { O_TMPFILE_ONLY = 020000000, O_ALL = 037777777 & ~(04 | 010 | 020 | 040), RESOLVE_ALL = 0x3f, RESOLVE_BENEATH = 8,
	       RESOLVE_IN_ROOT = 16, O_WITH_PATH = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

	if ((how->flags & ~(uint64_t)O_ALL) || (how->resolve & ~(uint64_t)RESOLVE_ALL))
		return -EINVAL;
	if ((how->resolve & RESOLVE_BENEATH) && (how->resolve & RESOLVE_IN_ROOT))
		return -EINVAL;
	if (how->mode & ~(uint64_t)(how->flags & (O_CREAT | O_TMPFILE_ONLY) ? 07777 : 0))
		return -EINVAL;
	if ((how->flags & O_PATH) && (how->flags & ~(uint64_t)O_WITH_PATH))
		return -EINVAL;
	return how->flags & O_TMPFILE_ONLY ? -EOPNOTSUPP : 0;
}

sword sys_openat2(const uword *a)
{
	struct open_how how;
	uint8_t more;
	int err;

	if (a[3] < sizeof(how))
		return -EINVAL;
	if (a[3] > KMM_PAGE_SIZE)
		return -E2BIG;
	if (copy_in(&how, a[2], sizeof(how)) != 0)
		return -EFAULT;
	for (uword at = sizeof(how); at < a[3]; at++) { /* members this kernel does not know must not ask for anything */
		if (copy_in(&more, a[2] + at, 1) != 0)
			return -EFAULT;
		if (more)
			return -E2BIG;
	}
	err = check_how(&how);
	return err ? err : open_how((int32_t)a[0], a[1], (uint32_t)how.flags, (uint32_t)how.mode, walk_bits(how.resolve));
}

sword sys_open(const uword *a)
{
	return open_at(AT_FDCWD, a[0], a[1], a[2]);
}

sword sys_openat(const uword *a)
{
	return open_at((int32_t)a[0], a[1], a[2], a[3]);
}

sword sys_creat(const uword *a)
{
	return open_at(AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC, a[1]);
}

sword sys_close(const uword *a)
{
	return fd_close(table(), a[0]);
}

sword sys_close_range(const uword *a)
{
	enum { CLOSE_RANGE_CLOEXEC = 4 };

	if (a[0] > a[1] || (a[2] & ~(uint32_t)CLOSE_RANGE_CLOEXEC))
		return -EINVAL;
	for (uint32_t fd = a[0]; fd <= a[1] && fd < table()->size; fd++) {
		if (a[2] & CLOSE_RANGE_CLOEXEC)
			fd_set_cloexec(table(), fd, true);
		else
			fd_close(table(), fd);
	}
	return 0;
}

static sword duplicate(uint32_t fd, uword from, bool cloexec)
{
	struct open_file *file = file_arg(fd);
	int result;

	if (!file)
		return -EBADF;
	if (from >= fd_limit())
		return -EINVAL;
	file_get(file);
	result = fd_install(table(), file, from, fd_limit(), cloexec);
	if (result < 0)
		file_put(file);
	return result;
}

static sword duplicate_to(uint32_t fd, uword to, bool cloexec)
{
	struct open_file *file = file_arg(fd);
	int result;

	if (!file)
		return -EBADF;
	file_get(file);
	result = fd_replace(table(), file, to, fd_limit(), cloexec);
	if (result < 0)
		file_put(file);
	return result;
}

sword sys_dup(const uword *a)
{
	return duplicate(a[0], 0, false);
}

sword sys_dup2(const uword *a)
{
	if (a[0] == a[1])
		return file_arg(a[0]) ? (int32_t)a[1] : -EBADF;
	return duplicate_to(a[0], a[1], false);
}

sword sys_dup3(const uword *a)
{
	if (a[0] == a[1] || (a[2] & ~(uint32_t)O_CLOEXEC))
		return -EINVAL;
	return duplicate_to(a[0], a[1], a[2] & O_CLOEXEC);
}

static sword make_pipe(uword to, uint32_t flags)
{
	struct open_file *ends[2];
	int fd[2], err;

	if (flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	err = pipe_create(ends, flags & O_NONBLOCK);
	if (err)
		return err;
	fd[0] = fd_install(table(), ends[0], 0, fd_limit(), flags & O_CLOEXEC);
	fd[1] = fd[0] < 0 ? fd[0] : fd_install(table(), ends[1], 0, fd_limit(), flags & O_CLOEXEC);
	err = fd[1] < 0 ? fd[1] : copy_out(to, fd, sizeof(fd));
	if (err == 0)
		return 0;
	if (fd[0] >= 0)
		fd_close(table(), (uint32_t)fd[0]);
	else
		file_put(ends[0]);
	if (fd[1] >= 0)
		fd_close(table(), (uint32_t)fd[1]);
	else
		file_put(ends[1]);
	return err;
}

sword sys_pipe(const uword *a)
{
	return make_pipe(a[0], 0);
}

sword sys_pipe2(const uword *a)
{
	return make_pipe(a[0], a[1]);
}

static sword set_flags(struct open_file *file, uint32_t flags)
{
	uint32_t settable = O_APPEND | O_NONBLOCK | (is_kind(file->inode, S_IFBLK) ? (uint32_t)O_DIRECT : 0);

	if (flags & ~settable & O_DIRECT)
		return -EINVAL;
	file_change_flags(file, settable, flags & settable);
	return 0;
}

sword sys_fcntl(const uword *a)
{
	enum { F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC = 1030, F_ADD_SEALS = 1033,
	       F_GET_SEALS };
	struct open_file *file = file_arg(a[0]);

	if (!file)
		return -EBADF;
	switch (a[1]) {
	case F_DUPFD: return duplicate(a[0], a[2], false);
	case F_DUPFD_CLOEXEC: return duplicate(a[0], a[2], true);
	case F_GETFD: return fd_cloexec(table(), (uint32_t)a[0]);
	case F_SETFD: return fd_set_cloexec(table(), (uint32_t)a[0], a[2] & 1);
	case F_GETFL: return (int32_t)(file->flags | O_LARGEFILE);
	case F_SETFL: return set_flags(file, (uint32_t)a[2]);
	case F_ADD_SEALS: return file_add_seals(file, (uint32_t)a[2]);
	case F_GET_SEALS: return file_get_seals(file);
	default: return record_lock(file, (uint32_t)a[1], a[2]);
	}
}
