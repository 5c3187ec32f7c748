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
	inode->file.destroy = destroy;
	inode->file.fill = fill_from_source;
	inode->ino = ++last_ino;
	inode->file.backing.ino = inode->ino;
	inode->file.backing.dev_minor = 1;
	inode->mode = mode;
	inode->nlink = (mode & S_IFMT) == S_IFDIR ? 2 : 0;
	inode->atime = inode->mtime = inode->ctime = (int64_t)os_wall();
	list_init(&inode->entries);
	return inode;
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

void inode_touch(struct inode *inode)
{
	inode->mtime = inode->ctime = (int64_t)os_wall();
}

int inode_set_size(struct inode *inode, uint64_t size)
{
	enum kmm_status status = kmm_file_truncate(&inode->file, size);

	if (status != KMM_OK)
		return os_errno(status);
	if (size < inode->source_size)
		inode->source_size = size;
	inode_touch(inode);
	return 0;
}

int inode_claim_write(struct inode *inode)
{
	if (inode->writers < 0)
		return -ETXTBSY;
	inode->writers++;
	return 0;
}

void inode_release_write(struct inode *inode)
{
	inode->writers--;
}

int inode_claim_run(struct inode *inode)
{
	if (inode->writers > 0)
		return -ETXTBSY;
	inode->writers--;
	return 0;
}

void inode_release_run(struct inode *inode)
{
	inode->writers++;
}
