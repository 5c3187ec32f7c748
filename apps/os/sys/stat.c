/* SPDX-License-Identifier: MIT */
/* stat.c - looking at names and files: the stat family, access, readlink, directory listings. */
#include "abi32.h"
#include "abi64.h"
#include "sys/sys.h"

enum { DEVICE = 1, PROC_MAGIC = 0x9fa0 };
#define RAMFS_MAGIC 0x858458f6u

static uint32_t seconds(int64_t ns, uint32_t *rest)
{
	return (uint32_t)div_u64((uint64_t)ns, 1000000000, rest);
}

static uint64_t size_of(const struct inode *inode)
{
	if (is_kind(inode, S_IFLNK))
		return inode->target ? str_len(inode->target) : 0;
	return is_kind(inode, S_IFREG) ? inode->file.size : 0;
}

static void fill_stat64(struct inode *inode, struct linux32_stat64 *s)
{
	struct inode_times t = inode_times(inode);

	*s = (struct linux32_stat64){
		.dev = DEVICE, .ino32 = inode->ino, .ino = inode->ino, .mode = inode->mode, .nlink = inode->nlink,
		.uid = inode->uid, .gid = inode->gid, .rdev = inode->rdev, .size = (int64_t)size_of(inode),
		.blksize = KMM_PAGE_SIZE, .blocks = (size_of(inode) + 511) >> 9,
	};
	s->atime = seconds(t.atime, &s->atime_ns);
	s->mtime = seconds(t.mtime, &s->mtime_ns);
	s->ctime = seconds(t.ctime, &s->ctime_ns);
}

static sword put_stat64(struct inode *inode, uword to)
{
	struct linux32_stat64 s;

	fill_stat64(inode, &s);
	return copy_out(to, &s, sizeof(s));
}

static sword put_native_stat64(struct inode *inode, uword to)
{
	struct inode_times t = inode_times(inode);
	struct linux64_stat s;
	uint32_t rest[3];

	s = (struct linux64_stat){
		.dev = DEVICE, .ino = inode->ino, .mode = inode->mode, .nlink = inode->nlink, .uid = inode->uid,
		.gid = inode->gid, .rdev = inode->rdev, .size = (int64_t)size_of(inode), .blksize = KMM_PAGE_SIZE,
		.blocks = (int64_t)((size_of(inode) + 511) >> 9), .atime = seconds(t.atime, &rest[0]),
		.mtime = seconds(t.mtime, &rest[1]), .ctime = seconds(t.ctime, &rest[2]),
	};
	s.atime_ns = rest[0], s.mtime_ns = rest[1], s.ctime_ns = rest[2];
	return copy_out(to, &s, sizeof(s));
}

/* struct stat of the program's size: on i386 the older structure, with 32-bit sizes. */
static sword put_stat(struct inode *inode, uword to)
{
	struct linux32_stat64 s;
	struct linux32_stat old;

	if (abi_64())
		return put_native_stat64(inode, to);
	fill_stat64(inode, &s);
	if (s.size > INT32_MAX)
		return -EOVERFLOW;
	old = (struct linux32_stat){
		.dev = DEVICE, .ino = inode->ino, .mode = (uint16_t)s.mode, .nlink = (uint16_t)s.nlink,
		.uid = (uint16_t)s.uid, .gid = (uint16_t)s.gid, .rdev = (uint32_t)s.rdev, .size = (uint32_t)s.size,
		.blksize = s.blksize, .blocks = (uint32_t)s.blocks, .atime = s.atime, .atime_ns = s.atime_ns,
		.mtime = s.mtime, .mtime_ns = s.mtime_ns, .ctime = s.ctime, .ctime_ns = s.ctime_ns,
	};
	return copy_out(to, &old, sizeof(old));
}

static sword put_statx(struct inode *inode, uword to)
{
	enum { BASIC_STATS = 0x7ff };
	struct linux32_stat64 s;
	struct linux_statx x;

	fill_stat64(inode, &s);
	x = (struct linux_statx){
		.mask = BASIC_STATS, .blksize = s.blksize, .nlink = s.nlink, .uid = s.uid, .gid = s.gid,
		.mode = (uint16_t)s.mode, .ino = s.ino, .size = (uint64_t)s.size, .blocks = s.blocks,
		.atime = { s.atime, s.atime_ns, 0 }, .ctime = { s.ctime, s.ctime_ns, 0 },
		.mtime = { s.mtime, s.mtime_ns, 0 }, .rdev_major = inode->rdev >> 8, .rdev_minor = inode->rdev & 0xff,
		.dev_minor = DEVICE,
	};
	return copy_out(to, &x, sizeof(x));
}

typedef sword (*put_fn)(struct inode *inode, uword to);

static sword stat_path(int32_t dirfd, uword path, uint32_t flags, uword to, put_fn put)
{
	struct inode *inode;
	uint8_t first;
	int err;

	if (flags & AT_EMPTY_PATH) {
		if (copy_in(&first, path, 1) != 0)
			return -EFAULT;
		if (first == 0) {
			err = start_dir(dirfd, &inode);
			return err ? err : put(inode, to);
		}
	}
	err = user_inode(dirfd, path, flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0, &inode);
	if (err)
		return err;
	err = put(inode, to);
	inode_put(inode);
	return err;
}

static sword stat_fd(uint32_t fd, uword to, put_fn put)
{
	struct open_file *file = file_arg(fd);

	return file ? put(file->inode, to) : -EBADF;
}

sword sys_stat(const uword *a)
{
	return stat_path(AT_FDCWD, a[0], 0, a[1], put_stat);
}

sword sys_lstat(const uword *a)
{
	return stat_path(AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW, a[1], put_stat);
}

sword sys_fstat(const uword *a)
{
	return stat_fd(a[0], a[1], put_stat);
}

sword sys_stat64(const uword *a)
{
	return stat_path(AT_FDCWD, a[0], 0, a[1], put_stat64);
}

sword sys_lstat64(const uword *a)
{
	return stat_path(AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW, a[1], put_stat64);
}

sword sys_fstat64(const uword *a)
{
	return stat_fd(a[0], a[1], put_stat64);
}

sword sys_fstatat64(const uword *a)
{
	return stat_path((int32_t)a[0], a[1], a[3], a[2], put_stat64);
}

/* newfstatat of x86-64. */
sword sys_fstatat(const uword *a)
{
	return stat_path((int32_t)a[0], a[1], a[3], a[2], put_stat);
}

sword sys_statx(const uword *a)
{
	return stat_path((int32_t)a[0], a[1], a[2], a[4], put_statx);
}

/* All of memory is one file system; /proc and what is like it have no room at all. */
static void fill_statfs(const struct inode *inode, struct linux32_statfs64 *s)
{
	bool proc = inode->ops && (inode->ops->lookup || inode->ops->magic);
	uint32_t magic = proc && inode->ops->magic ? inode->ops->magic : PROC_MAGIC;
	struct kmm_memory_stats m;

	kmm_memory_stats(os.k, &m);
	*s = (struct linux32_statfs64){
		.type = proc ? magic : RAMFS_MAGIC, .bsize = KMM_PAGE_SIZE, .frsize = KMM_PAGE_SIZE,
		.namelen = NAME_SIZE - 1,
	};
	if (!proc)
		s->blocks = m.managed_pages, s->bfree = s->bavail = m.free_pages;
}

static sword put_statfs64(struct inode *inode, uword to)
{
	struct linux32_statfs64 s;

	fill_statfs(inode, &s);
	return copy_out(to, &s, sizeof(s));
}

static sword put_native_statfs64(const struct linux32_statfs64 *s, uword to)
{
	const struct linux64_statfs native = {
		.type = s->type, .bsize = s->bsize, .blocks = s->blocks, .bfree = s->bfree, .bavail = s->bavail,
		.namelen = s->namelen, .frsize = s->frsize,
	};

	return copy_out(to, &native, sizeof(native));
}

static sword put_statfs(struct inode *inode, uword to)
{
	struct linux32_statfs64 s;

	fill_statfs(inode, &s);
	if (abi_64())
		return put_native_statfs64(&s, to);
	const uint32_t old[16] = { s.type, s.bsize, (uint32_t)s.blocks, (uint32_t)s.bfree, (uint32_t)s.bavail, 0, 0, 0, 0,
				   s.namelen, s.frsize };

	return copy_out(to, old, sizeof(old));
}

sword sys_statfs(const uword *a)
{
	return stat_path(AT_FDCWD, a[0], 0, a[1], put_statfs);
}

sword sys_fstatfs(const uword *a)
{
	return stat_fd(a[0], a[1], put_statfs);
}

sword sys_statfs64(const uword *a)
{
	return a[1] == sizeof(struct linux32_statfs64) ? stat_path(AT_FDCWD, a[0], 0, a[2], put_statfs64) : -EINVAL;
}

sword sys_fstatfs64(const uword *a)
{
	return a[1] == sizeof(struct linux32_statfs64) ? stat_fd(a[0], a[2], put_statfs64) : -EINVAL;
}

/* User 0 may read and write everything, and execute what is executable for somebody. */
static sword access_path(int32_t dirfd, uword path, uint32_t mode, uint32_t flags)
{
	enum { X_OK = 1 };
	struct inode *inode;
	int err;

	if (mode & ~7u)
		return -EINVAL;
	err = user_inode(dirfd, path, flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0, &inode);
	if (err)
		return err;
	if ((mode & X_OK) && !(inode->mode & 0111))
		err = -EACCES;
	inode_put(inode);
	return err;
}

sword sys_access(const uword *a)
{
	return access_path(AT_FDCWD, a[0], a[1], 0);
}

sword sys_faccessat(const uword *a)
{
	return access_path((int32_t)a[0], a[1], a[2], 0);
}

sword sys_faccessat2(const uword *a)
{
	return access_path((int32_t)a[0], a[1], a[2], a[3]);
}

static sword read_link(int32_t dirfd, uword path, uword to, uint32_t size)
{
	struct inode *inode;
	char *buf = NULL;
	int len, err = user_inode(dirfd, path, WALK_NOFOLLOW, &inode);

	if (err)
		return err;
	len = is_kind(inode, S_IFLNK) && (int32_t)size > 0 ? 0 : -EINVAL;
	if (len == 0)
		buf = os_alloc(PATH_SIZE);
	if (buf) {
		if (inode->ops && inode->ops->readlink)
			len = inode->ops->readlink(inode, buf, PATH_SIZE);
		else
			len = x86_snprintf(buf, PATH_SIZE, "%s", inode->target);
		len = len > (int)size ? (int)size : len;
		if (len > 0 && copy_out(to, buf, (uint32_t)len) != 0)
			len = -EFAULT;
	} else if (len == 0) {
		len = -ENOMEM;
	}
	os_free(buf);
	inode_put(inode);
	return len;
}

sword sys_readlink(const uword *a)
{
	return read_link(AT_FDCWD, a[0], a[1], a[2]);
}

sword sys_readlinkat(const uword *a)
{
	return read_link((int32_t)a[0], a[1], a[2], a[3]);
}

sword sys_getcwd(const uword *a)
{
	char *buf = os_alloc(PATH_SIZE);
	int len = buf ? tree_path(current->proc->fs->cwd, buf, PATH_SIZE) : -ENOMEM;

	if (len >= 0 && (uword)len + 1 > a[1])
		len = -ERANGE;
	if (len >= 0)
		len = copy_out(a[0], buf, (uint32_t)len + 1) != 0 ? -EFAULT : len + 1;
	os_free(buf);
	return len;
}
