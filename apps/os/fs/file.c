/* SPDX-License-Identifier: MIT */
/*
 * file.c - open files: what read and write mean for regular files and directories, and which operations an inode
 * gets when it is opened. Content travels through kernel buffers; only the system call layer touches user memory.
 */
#include "fs/vfs.h"

char poll_key;

static int regular_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	size_t done = 0;
	enum kmm_status status = kmm_file_read(&file->inode->file, *pos, to, len, &done);

	(void)nonblock;
	if (status != KMM_OK && done == 0)
		return os_errno(status);
	*pos += done;
	return (int)done;
}

/* Files and programs share the memory. Programs keep the last sixteenth: without it nobody could remove the files. */
static bool has_room(size_t len)
{
	struct kmm_memory_stats m;

	kmm_memory_stats(os.k, &m);
	return m.free_pages > m.managed_pages / 16 + len / KMM_PAGE_SIZE;
}

static int regular_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	size_t done = 0;
	enum kmm_status status;

	(void)nonblock;
	if (file->flags & O_APPEND)
		*pos = file->inode->file.size;
	if (!has_room(len))
		return -ENOSPC;
	status = kmm_file_write(&file->inode->file, *pos, from, len, &done);
	if (status != KMM_OK && done == 0)
		return status == KMM_ENOMEM ? -ENOSPC : os_errno(status);
	*pos += done;
	inode_touch(file->inode);
	return (int)done;
}

static int directory_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	(void)file, (void)to, (void)len, (void)pos, (void)nonblock;
	return -EISDIR;
}

const struct file_ops regular_ops = { .read = regular_read, .write = regular_write, .seekable = true };
const struct file_ops directory_ops = { .read = directory_read, .seekable = true };

struct open_file *file_new(const struct file_ops *ops, struct inode *inode, uint32_t flags)
{
	struct open_file *file = os_zalloc(sizeof(*file));

	if (!file)
		return NULL;
	file->ops = ops;
	file->inode = inode;
	file->flags = flags;
	file->refs = 1;
	inode_get(inode);
	return file;
}

/* Kind and flags of an open file never change, so what was claimed is what is released. */
static bool claims_write(const struct open_file *file)
{
	return is_kind(file->inode, S_IFREG) && file_can_write(file);
}

/* What an inode does when it is opened; -ENXIO for a device nobody drives. */
static int choose_ops(struct open_file *file)
{
	struct inode *inode = file->inode;

	if (inode->ops && inode->ops->open)
		return inode->ops->open(inode, file);
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		file->ops = &regular_ops;
		return 0;
	case S_IFDIR:
		file->ops = &directory_ops;
		return 0;
	case S_IFIFO:
		return pipe_open_fifo(inode, file);
	case S_IFCHR:
		file->ops = dev_ops(inode->rdev);
		return file->ops ? 0 : -ENXIO;
	case S_IFBLK:
		file->ops = &block_ops;
		return 0;
	default:
		return -ELOOP; /* a symbolic link with O_NOFOLLOW */
	}
}

static int start_file(struct open_file *file)
{
	int err = claims_write(file) ? inode_claim_write(file->inode) : 0;

	if (err)
		return err;
	if (file->flags & O_PATH)
		file->ops = &directory_ops;
	else
		err = choose_ops(file);
	if (err && claims_write(file))
		inode_release_write(file->inode);
	return err;
}

int file_open(struct inode *inode, uint32_t flags, struct open_file **out)
{
	struct open_file *file = file_new(NULL, inode, flags);
	int err;

	if (!file)
		return -ENOMEM;
	err = start_file(file);
	if (err) {
		inode_put(inode);
		os_free(file);
		return err;
	}
	*out = file;
	return 0;
}

void file_get(struct open_file *file)
{
	file->refs++;
}

void file_put(struct open_file *file)
{
	if (!file || --file->refs)
		return;
	if (file->ops->release)
		file->ops->release(file);
	if (claims_write(file))
		inode_release_write(file->inode);
	inode_put(file->inode);
	os_free(file->path);
	os_free(file);
}

int file_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	if (!file_can_read(file))
		return -EBADF;
	if (!file->ops->read)
		return -EINVAL;
	return file->ops->read(file, to, len, pos, nonblock);
}

int file_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	if (!file_can_write(file))
		return -EBADF;
	if (!file->ops->write)
		return -EINVAL;
	return file->ops->write(file, from, len, pos, nonblock);
}

unsigned file_poll(struct open_file *file)
{
	return file->ops->poll ? file->ops->poll(file) : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}
