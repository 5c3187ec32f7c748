/* SPDX-License-Identifier: MIT */
/*
 * inode.c - life of inodes. Content of regular files is the core's page cache: a page of the unpacked archive is
 * copied out of it when it is first needed, all other pages start as holes.
 */
#include "fs/vfs.h"
#include "lock.h"

static uint32_t last_ino;

static enum kmm_status fill_from_source(struct kmm_file *file, uint64_t index, void *to)
{
	const struct inode *inode = container_of(file, struct inode, file);
	uint64_t start = index << KMM_PAGE_SHIFT, left;

	if (start >= inode->source_size)
		return KMM_OK;
	left = inode->source_size - start;
	memcpy(to, inode->source + start, left < KMM_PAGE_SIZE ? (size_t)left : KMM_PAGE_SIZE);
	return KMM_OK;
}

static void destroy(struct kmm_file *file)
{
	struct inode *inode = container_of(file, struct inode, file);

	kernel_lock(); /* the last mapping may have been it */
	if (inode->ops && inode->ops->release)
		inode->ops->release(inode);
	kernel_unlock();
	os_free(inode->target);
	os_free(inode->name);
	os_free(inode);
}

struct inode *inode_new(uint32_t mode)
{
	struct inode *inode = os_zalloc(sizeof(*inode));

	if (!inode)
		return NULL;
	kmm_file_init(&inode->file, os.k, 0, "");
	inode->lock.class = SPIN_INODE;
	inode->file.destroy = destroy;
	inode->ino = __atomic_add_fetch(&last_ino, 1, __ATOMIC_RELAXED);
	inode->file.backing.ino = inode->ino;
	inode->file.backing.dev_minor = 1;
	inode->mode = mode;
	inode->nlink = (mode & S_IFMT) == S_IFDIR ? 2 : 0;
	inode->atime = inode->mtime = inode->ctime = (int64_t)os_wall();
	list_init(&inode->entries);
	return inode;
}

void inode_set_source(struct inode *inode, const char *source, uint64_t size)
{
	inode->source = source;
	inode->source_size = inode->file.size = size;
	inode->file.fill = fill_from_source;
}

void inode_get(struct inode *inode)
{
	kmm_backing_get(&inode->file.backing);
}

void inode_put(struct inode *inode)
{
	if (inode)
		kmm_backing_put(&inode->file.backing);
}

/* ---- times ---- */

void inode_set_times(struct inode *inode, int64_t atime, int64_t mtime)
{
	int64_t now = (int64_t)os_wall();

	spin_lock(&inode->lock);
	if (atime >= 0)
		inode->atime = atime;
	if (mtime >= 0)
		inode->mtime = mtime;
	inode->ctime = now;
	spin_unlock(&inode->lock);
}

void inode_touch(struct inode *inode)
{
	inode_set_times(inode, -1, (int64_t)os_wall());
}

void inode_touch_attributes(struct inode *inode)
{
	inode_set_times(inode, -1, -1);
}

struct inode_times inode_times(struct inode *inode)
{
	struct inode_times t;

	spin_lock(&inode->lock);
	t = (struct inode_times){ inode->atime, inode->mtime, inode->ctime };
	spin_unlock(&inode->lock);
	return t;
}

/* ---- content ---- */

int inode_set_size(struct inode *inode, uint64_t size)
{
	enum kmm_status status;

	sleep_lock(&inode->content);
	status = kmm_file_truncate(&inode->file, size);
	if (status == KMM_OK && size < inode->source_size)
		inode->source_size = size;
	sleep_unlock(&inode->content);
	if (status != KMM_OK)
		return os_errno(status);
	inode_touch(inode);
	return 0;
}

/* One more of a sort, unless there are some of the other. */
static int claim(struct inode *inode, int32_t one)
{
	int err = 0;

	spin_lock(&inode->lock);
	if (one > 0 ? inode->writers < 0 : inode->writers > 0)
		err = -ETXTBSY;
	else
		inode->writers += one;
	spin_unlock(&inode->lock);
	return err;
}

static void release(struct inode *inode, int32_t one)
{
	spin_lock(&inode->lock);
	inode->writers -= one;
	spin_unlock(&inode->lock);
}

/* Zeros into a part of one page, as far as the file goes. */
static enum kmm_status clear_part(struct inode *inode, uint64_t start, uint64_t end)
{
	static const char zeros[KMM_PAGE_SIZE];
	size_t done;

	end = end < inode->file.size ? end : inode->file.size;
	return start < end ? kmm_file_write(&inode->file, start, zeros, (size_t)(end - start), &done) : KMM_OK;
}

int inode_punch(struct inode *inode, uint64_t start, uint64_t end)
{
	const uint64_t mask = KMM_PAGE_SIZE - 1;
	uint64_t first = (start + mask) & ~mask, last = end & ~mask;
	enum kmm_status status;

	sleep_lock(&inode->content);
	if (first > last) { /* within one page */
		status = clear_part(inode, start, end);
	} else {
		status = clear_part(inode, start, first);
		if (status == KMM_OK)
			status = clear_part(inode, last, end);
		if (status == KMM_OK && first < last)
			status = kmm_file_punch(&inode->file, first >> KMM_PAGE_SHIFT, (last - first) >> KMM_PAGE_SHIFT);
	}
	sleep_unlock(&inode->content);
	inode_touch(inode);
	return os_errno(status);
}

/* Pages that are not there come in, from `start` on up to `end` or the end of the file. */
static enum kmm_status populate(struct inode *inode, uint64_t start, uint64_t end)
{
	uint64_t limit = end < inode->file.size ? end : inode->file.size;
	enum kmm_status status = KMM_OK;

	for (uint64_t at = start; at < limit && status == KMM_OK; at = (at | (KMM_PAGE_SIZE - 1)) + 1)
		status = kmm_file_allocate(&inode->file, at >> KMM_PAGE_SHIFT);
	return status;
}

int inode_allocate(struct inode *inode, uint64_t start, uint64_t end, bool keep_size)
{
	uint64_t old = inode->file.size;
	enum kmm_status status = KMM_OK;

	sleep_lock(&inode->content);
	if (end > old && !keep_size)
		status = kmm_file_truncate(&inode->file, end);
	if (status == KMM_OK)
		status = populate(inode, start, end);
	if (status != KMM_OK && inode->file.size > old && kmm_file_truncate(&inode->file, old) != KMM_OK)
		klog("a file of %llu bytes stays longer than it was", (unsigned long long)old);
	sleep_unlock(&inode->content);
	inode_touch(inode);
	return status == KMM_ENOMEM ? -ENOSPC : os_errno(status);
}

int inode_claim_write(struct inode *inode)
{
	return claim(inode, 1);
}

void inode_release_write(struct inode *inode)
{
	release(inode, 1);
}

int inode_claim_run(struct inode *inode)
{
	return claim(inode, -1);
}

void inode_release_run(struct inode *inode)
{
	release(inode, -1);
}
