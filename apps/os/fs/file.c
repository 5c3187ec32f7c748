/* SPDX-License-Identifier: MIT */
/*
 * file.c - open files: what read and write mean for regular files and directories, and which operations an inode
 * gets when it is opened. Content travels through kernel buffers; only the system call layer touches user memory.
 *
 * Nothing here needs the kernel lock. Operations that do (the terminal's, writes to /proc) are called with it.
 */
#include "fs/epoll.h"
#include "fs/locks.h"
#include "proc/cgroup.h"
#include "kmm/swap.h"

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

/*
 * Files and programs share the memory, and what swap can still take of either makes room. Programs keep the last sixteenth:
 * without it nobody could remove the files.
 */
static bool has_room(size_t len)
{
	struct kmm_memory_stats m;
	struct kmm_swap_stats swap;

	kmm_memory_stats(os.k, &m);
	kmm_swap_stats(os.k, &swap);
	return m.free_pages + swap.free > m.managed_pages / 16 + len / KMM_PAGE_SIZE;
}

static enum kmm_status write_once(struct open_file *file, const void *from, size_t len, uint64_t *pos, size_t *done)
{
	enum kmm_status status;

	sleep_lock(&file->inode->content); /* what is appended by two goes one behind the other */
	if (file->flags & O_APPEND)
		*pos = file->inode->file.size;
	status = kmm_file_write(&file->inode->file, *pos, from, len, done);
	sleep_unlock(&file->inode->content);
	return status;
}

static int regular_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	size_t done = 0;
	enum kmm_status status;

	(void)nonblock;
	if (!has_room(len))
		return -ENOSPC;
	do
		status = write_once(file, from, len, pos, &done);
	while (status == KMM_ENOMEM && done == 0 && oom_call());
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

const struct file_ops regular_ops = {
	.read = regular_read, .write = regular_write, .seekable = true, .own_locks = true,
};
const struct file_ops directory_ops = { .read = directory_read, .seekable = true, .own_locks = true };

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

int file_anonymous(const struct file_ops *ops, const char *path, uint32_t flags, struct open_file **out)
{
	struct inode *inode = inode_new(0600);
	struct open_file *file = inode ? file_new(ops, inode, flags) : NULL;

	if (inode)
		inode->nlink = 1;
	inode_put(inode);
	if (!file)
		return -ENOMEM;
	file->path = os_strdup(path);
	*out = file;
	return 0;
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
		return block_open(file);
	default:
		return -ELOOP; /* a symbolic link with O_NOFOLLOW */
	}
}

/* Without the cache there are only disks. */
static bool can_be_direct(const struct open_file *file)
{
	return !(file->flags & O_DIRECT) || is_kind(file->inode, S_IFBLK);
}

static int start_file(struct open_file *file)
{
	int err = claims_write(file) ? inode_claim_write(file->inode) : 0;

	if (err)
		return err;
	if (file->flags & O_PATH)
		file->ops = &directory_ops;
	else
		err = can_be_direct(file) ? choose_ops(file) : -EINVAL;
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
	__atomic_fetch_add(&file->refs, 1, __ATOMIC_RELAXED);
}

void file_put(struct open_file *file)
{
	if (!file || __atomic_sub_fetch(&file->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (file->watched)
		epoll_forget(file);
	lock_drop(file, file->inode);
	if (file->ops->release)
		file->ops->release(file);
	if (claims_write(file))
		inode_release_write(file->inode);
	inode_put(file->inode);
	if (file->opening)
		kmm_opening_put(file->opening);
	entry_put(file->entry);
	os_free(file->path);
	os_free(file);
}

/* ---- operations ---- */

static void enter(const struct open_file *file)
{
	if (!file->ops->own_locks)
		kernel_lock();
}

static void leave(const struct open_file *file)
{
	if (!file->ops->own_locks)
		kernel_unlock();
}

int file_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	int n;

	if (!file_can_read(file))
		return -EBADF;
	if (!file->ops->read)
		return -EINVAL;
	enter(file);
	n = file->ops->read(file, to, len, pos, nonblock);
	leave(file);
	return n;
}

void file_arrived(struct open_file *file, size_t len)
{
	if (file->ops->arrived)
		file->ops->arrived(file, len);
}

int file_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	int n;

	if (!file_can_write(file))
		return -EBADF;
	if (!file->ops->write)
		return -EINVAL;
	enter(file);
	n = file->ops->write(file, from, len, pos, nonblock);
	leave(file);
	return n;
}

unsigned file_poll(struct open_file *file)
{
	unsigned bits;

	if (!file->ops->poll)
		return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
	enter(file);
	bits = file->ops->poll(file);
	leave(file);
	return bits;
}

int file_ioctl(struct open_file *file, uint32_t request, uword arg)
{
	int result;

	if (!file->ops->ioctl)
		return -ENOTTY;
	enter(file);
	result = file->ops->ioctl(file, request, arg);
	leave(file);
	return result;
}

void file_change_flags(struct open_file *file, uint32_t which, uint32_t to)
{
	__atomic_fetch_and(&file->flags, ~which | to, __ATOMIC_RELAXED);
	__atomic_fetch_or(&file->flags, which & to, __ATOMIC_RELAXED);
}

void file_pos_lock(struct open_file *file)
{
	if (file->ops->seekable)
		sleep_lock(&file->pos_lock);
}

void file_pos_unlock(struct open_file *file)
{
	if (file->ops->seekable)
		sleep_unlock(&file->pos_lock);
}

/* ---- waiting for several ---- */

static uint32_t poll_changes;

void poll_changed(void)
{
	__atomic_fetch_add(&poll_changes, 1, __ATOMIC_SEQ_CST);
	sched_wake(&poll_changes);
}

uint32_t poll_begin(void)
{
	return __atomic_load_n(&poll_changes, __ATOMIC_SEQ_CST);
}

static bool has_changed(void *arg)
{
	return poll_begin() != *(uint32_t *)arg;
}

int poll_wait(uint32_t begun, uint64_t deadline)
{
	const struct sleep s = { &poll_changes, true, deadline, has_changed, &begun };
	int why = sched_sleep_on(&s);

	return why == SLEEP_DONE ? 0 : why;
}

sword poll_until(sword (*look)(void *arg), void *arg, uint64_t deadline)
{
	for (;;) {
		uint32_t begun = poll_begin();
		sword found = look(arg);
		int why;

		if (found)
			return found;
		why = poll_wait(begun, deadline);
		if (why == -ETIMEDOUT)
			return 0;
		if (why == -EINTR)
			return -EINTR;
	}
}
