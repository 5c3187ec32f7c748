/* SPDX-License-Identifier: MIT */
/* attributes.c - changing modes, owners, times and sizes. */
#include "sys/sys.h"

static sword set_mode(struct inode *inode, uint32_t mode)
{
	inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
	inode_touch_attributes(inode);
	return 0;
}

static sword set_owner(struct inode *inode, uint32_t uid, uint32_t gid)
{
	if (uid != 0xffffffffu)
		inode->uid = uid;
	if (gid != 0xffffffffu)
		inode->gid = gid;
	inode_touch_attributes(inode);
	return 0;
}

sword sys_fchmodat(const uword *a)
{
	struct inode *inode;
	int err = user_inode((int32_t)a[0], a[1], 0, &inode);

	if (err)
		return err;
	err = set_mode(inode, a[2]);
	inode_put(inode);
	return err;
}

sword sys_chmod(const uword *a)
{
	const uword at[] = { (uword)AT_FDCWD, a[0], a[1] };

	return sys_fchmodat(at);
}

sword sys_fchmod(const uword *a)
{
	struct open_file *file = file_arg(a[0]);

	return file ? set_mode(file->inode, a[1]) : -EBADF;
}

sword sys_fchownat(const uword *a)
{
	struct inode *inode;
	int err;

	if (a[4] & AT_EMPTY_PATH)
		return sys_fchown((const uword[]){ a[0], a[2], a[3] });
	err = user_inode((int32_t)a[0], a[1], a[4] & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0, &inode);
	if (err)
		return err;
	err = set_owner(inode, a[2], a[3]);
	inode_put(inode);
	return err;
}

sword sys_chown(const uword *a)
{
	const uword at[] = { (uword)AT_FDCWD, a[0], a[1], a[2], 0 };

	return sys_fchownat(at);
}

sword sys_lchown(const uword *a)
{
	const uword at[] = { (uword)AT_FDCWD, a[0], a[1], a[2], AT_SYMLINK_NOFOLLOW };

	return sys_fchownat(at);
}

sword sys_fchown(const uword *a)
{
	struct open_file *file = file_arg(a[0]);

	return file ? set_owner(file->inode, a[1], a[2]) : -EBADF;
}

/* ---- times ---- */

struct times {
	int64_t atime, mtime; /* ns; negative: leave */
};

static int apply_times(struct inode *inode, const struct times *t)
{
	inode_set_times(inode, t->atime, t->mtime);
	return 0;
}

static int times_at(int32_t dirfd, uword path, uint32_t flags, const struct times *t)
{
	struct inode *inode;
	int err;

	if (!path) { /* futimens */
		err = start_dir(dirfd, &inode);
		return err ? err : apply_times(inode, t);
	}
	err = user_inode(dirfd, path, flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0, &inode);
	if (err)
		return err;
	err = apply_times(inode, t);
	inode_put(inode);
	return err;
}

static int64_t one_time(int64_t sec, int32_t nsec)
{
	enum { UTIME_NOW = 0x3fffffff, UTIME_OMIT = 0x3ffffffe };

	if (nsec == UTIME_NOW)
		return (int64_t)os_wall();
	return nsec == UTIME_OMIT ? -1 : sec * 1000000000 + nsec;
}

sword sys_utimensat_time64(const uword *a)
{
	struct times t = { (int64_t)os_wall(), (int64_t)os_wall() };
	struct linux_timespec64 ts[2];

	if (a[2]) {
		if (copy_in(ts, a[2], sizeof(ts)) != 0)
			return -EFAULT;
		t = (struct times){ one_time(ts[0].sec, ts[0].nsec), one_time(ts[1].sec, ts[1].nsec) };
	}
	return times_at((int32_t)a[0], a[1], a[3], &t);
}

sword sys_utimensat(const uword *a)
{
	struct times t = { (int64_t)os_wall(), (int64_t)os_wall() };
	struct linux_timespec32 ts[2];

	if (a[2]) {
		if (copy_in(ts, a[2], sizeof(ts)) != 0)
			return -EFAULT;
		t = (struct times){ one_time(ts[0].sec, ts[0].nsec), one_time(ts[1].sec, ts[1].nsec) };
	}
	return times_at((int32_t)a[0], a[1], a[3], &t);
}

sword sys_utimes(const uword *a)
{
	struct times t = { (int64_t)os_wall(), (int64_t)os_wall() };
	uword tv[4]; /* seconds and microseconds, twice */

	if (a[1]) {
		if (get_words(tv, a[1], 4) != 0)
			return -EFAULT;
		t.atime = (int64_t)signed_word(tv[0]) * 1000000000 + (int64_t)signed_word(tv[1]) * 1000;
		t.mtime = (int64_t)signed_word(tv[2]) * 1000000000 + (int64_t)signed_word(tv[3]) * 1000;
	}
	return times_at(AT_FDCWD, a[0], 0, &t);
}

sword sys_utime(const uword *a)
{
	struct times t = { (int64_t)os_wall(), (int64_t)os_wall() };
	uword sec[2];

	if (a[1]) {
		if (get_words(sec, a[1], 2) != 0)
			return -EFAULT;
		t = (struct times){ signed_word(sec[0]) * 1000000000ll, signed_word(sec[1]) * 1000000000ll };
	}
	return times_at(AT_FDCWD, a[0], 0, &t);
}

/* ---- sizes ---- */

static sword truncate_inode(struct inode *inode, uint64_t size)
{
	if ((int64_t)size < 0)
		return -EINVAL;
	if (!is_kind(inode, S_IFREG))
		return is_kind(inode, S_IFDIR) ? -EISDIR : -EINVAL;
	return inode_set_size(inode, size);
}

static sword truncate_path(uword path, uint64_t size)
{
	struct inode *inode;
	int err = user_inode(AT_FDCWD, path, 0, &inode);

	if (err)
		return err;
	err = inode_claim_write(inode);
	if (err == 0) {
		err = truncate_inode(inode, size);
		inode_release_write(inode);
	}
	inode_put(inode);
	return err;
}

static sword truncate_fd(uint32_t fd, uint64_t size)
{
	struct open_file *file = file_arg(fd);

	if (!file)
		return -EBADF;
	return file_can_write(file) ? truncate_inode(file->inode, size) : -EINVAL;
}

sword sys_truncate(const uword *a)
{
	return truncate_path(a[0], (uint64_t)signed_word(a[1]));
}

sword sys_truncate64(const uword *a)
{
	return truncate_path(a[0], (uint64_t)a[2] << 32 | a[1]);
}

sword sys_ftruncate(const uword *a)
{
	return truncate_fd(a[0], (uint64_t)signed_word(a[1]));
}

sword sys_ftruncate64(const uword *a)
{
	return truncate_fd(a[0], (uint64_t)a[2] << 32 | a[1]);
}

/* As tmpfs: allocating, also beyond the end, and punching holes. */
static sword allocate(uint32_t fd, uint32_t mode, int64_t start, int64_t len)
{
	enum { KEEP_SIZE = 1, PUNCH_HOLE = 2 };
	struct open_file *file = file_arg(fd);

	if (!file)
		return -EBADF;
	if (start < 0 || len <= 0)
		return -EINVAL;
	if ((mode & ~(uint32_t)(KEEP_SIZE | PUNCH_HOLE)) || mode == PUNCH_HOLE)
		return -EOPNOTSUPP;
	if (!file_can_write(file))
		return -EBADF;
	if (is_kind(file->inode, S_IFIFO))
		return -ESPIPE;
	if (!is_kind(file->inode, S_IFREG))
		return is_kind(file->inode, S_IFDIR) ? -EISDIR : -ENODEV;
	if (start > INT64_MAX - len)
		return -EFBIG;
	if (mode & PUNCH_HOLE)
		return inode_punch(file->inode, (uint64_t)start, (uint64_t)(start + len));
	return inode_allocate(file->inode, (uint64_t)start, (uint64_t)(start + len), mode & KEEP_SIZE);
}

sword sys_fallocate(const uword *a)
{
	if (abi_64())
		return allocate((uint32_t)a[0], (uint32_t)a[1], (sword)a[2], (sword)a[3]);
	return allocate((uint32_t)a[0], (uint32_t)a[1], (int64_t)((uint64_t)a[3] << 32 | (uint32_t)a[2]),
			(int64_t)((uint64_t)a[5] << 32 | (uint32_t)a[4]));
}

sword sys_umask(const uword *a)
{
	uint32_t old = current->proc->fs->umask;

	current->proc->fs->umask = a[0] & 0777;
	return (int32_t)old;
}
