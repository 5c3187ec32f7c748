/* SPDX-License-Identifier: MIT */
/* dev.c - /dev: null, zero, full, random, urandom, tty, console, disks, and the links to the standard descriptors. */
#include "fs/vfs.h"

static int null_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	(void)file, (void)to, (void)len, (void)pos, (void)nonblock;
	return 0;
}

static int null_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	(void)file, (void)from, (void)pos, (void)nonblock;
	return (int)len;
}

static int zero_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	(void)file, (void)pos, (void)nonblock;
	memset(to, 0, len);
	return (int)len;
}

static int full_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	(void)file, (void)from, (void)len, (void)pos, (void)nonblock;
	return -ENOSPC;
}

static int random_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	(void)file, (void)pos, (void)nonblock;
	os_random(to, len);
	return (int)len;
}

static const struct file_ops null_ops = { .read = null_read, .write = null_write, .seekable = true, .own_locks = true };
static const struct file_ops zero_ops = { .read = zero_read, .write = null_write, .seekable = true, .own_locks = true };
static const struct file_ops full_ops = { .read = zero_read, .write = full_write, .seekable = true, .own_locks = true };
static const struct file_ops random_ops = { .read = random_read, .write = null_write, .seekable = true, .own_locks = true };

static const struct device {
	const char *name;
	uint32_t rdev;
	const struct file_ops *ops;
} devices[] = {
	{ "null", 1 << 8 | 3, &null_ops },     { "zero", 1 << 8 | 5, &zero_ops },
	{ "full", 1 << 8 | 7, &full_ops },     { "random", 1 << 8 | 8, &random_ops },
	{ "urandom", 1 << 8 | 9, &random_ops }, { "tty", 5 << 8 | 0, &tty_ops },
	{ "console", 5 << 8 | 1, &tty_ops },
};

const struct file_ops *dev_ops(uint32_t rdev)
{
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		if (devices[i].rdev == rdev)
			return devices[i].ops;
	return NULL;
}

static int add(struct inode *dir, const char *name, uint32_t mode, uint32_t rdev, const char *target)
{
	struct inode *inode;
	int err = -ENOMEM;

	if (tree_find(dir, name, str_len(name)))
		return 0;
	inode = inode_new(mode);
	if (!inode)
		return -ENOMEM;
	inode->rdev = rdev;
	inode->target = target ? os_strdup(target) : NULL;
	if (!target || inode->target)
		err = tree_add(dir, name, inode);
	inode_put(inode);
	return err;
}

static int make_directory(const char *name)
{
	return add(fs_root, name, S_IFDIR | 0755, 0, NULL);
}

static int add_block(struct inode *dir, const char *name, uint32_t rdev, uint64_t size)
{
	int err = add(dir, name, S_IFBLK | 0600, rdev, NULL);
	struct inode *inode = err ? NULL : tree_find(dir, name, str_len(name));

	if (inode)
		inode->file.size = size; /* where lseek finds the end */
	return err;
}

/* Disks that are there. */
static int add_blocks(struct inode *dir)
{
	const char *name;
	uint64_t size;
	uint32_t rdev;
	int err = 0;

	for (unsigned i = 0; err == 0 && block_device(i, &name, &rdev, &size); i++)
		if (size)
			err = add_block(dir, name, rdev, size);
	return err;
}

int dev_init(void)
{
	int err = make_directory("dev");
	struct inode *dir;

	if (err == 0)
		err = make_directory("tmp");
	dir = tree_find(fs_root, "dev", 3);
	if (err || !dir || !is_kind(dir, S_IFDIR))
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(devices) && err == 0; i++)
		err = add(dir, devices[i].name, S_IFCHR | 0666, devices[i].rdev, NULL);
	if (err == 0)
		err = add_blocks(dir);
	if (err == 0)
		err = add(dir, "fd", S_IFLNK | 0777, 0, "/proc/self/fd");
	if (err == 0)
		err = add(dir, "stdin", S_IFLNK | 0777, 0, "/proc/self/fd/0");
	if (err == 0)
		err = add(dir, "stdout", S_IFLNK | 0777, 0, "/proc/self/fd/1");
	if (err == 0)
		err = add(dir, "stderr", S_IFLNK | 0777, 0, "/proc/self/fd/2");
	return err;
}
