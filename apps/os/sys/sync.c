/* SPDX-License-Identifier: MIT */
/*
 * sync.c - bringing what was written to where it stays, and advice about pages of files. Files in memory have nowhere to be
 * brought to, so that their content is where it belongs as soon as it is written; block devices have (block.c).
 */
#include "kmm/writeback.h"
#include "sys/sys.h"

/* Can it be synced at all? As on Linux files, directories and block devices can. */
static bool has_sync(const struct open_file *file)
{
	return file->ops == &regular_ops || file->ops == &directory_ops || file->ops == &block_ops;
}

static sword sync_pages(struct open_file *file, uint64_t first, uint64_t nr)
{
	return file->ops == &block_ops ? block_sync(file, first, nr) : 0;
}

sword sys_fsync(const uword *a)
{
	struct open_file *file = file_arg(a[0]);

	if (!file || (file->flags & O_PATH))
		return -EBADF;
	return has_sync(file) ? sync_pages(file, 0, UINT64_MAX) : -EINVAL;
}

sword sys_sync(const uword *a)
{
	(void)a;
	kmm_sync(os.k);
	return 0;
}

sword sys_syncfs(const uword *a)
{
	struct open_file *file = file_arg(a[0]);

	if (!file || (file->flags & O_PATH))
		return -EBADF;
	return sys_sync(a);
}

/* Bytes as pages; len 0: as far as there are any. */
struct stretch { uint64_t first, nr; };

static struct stretch pages_around(uint64_t start, uint64_t len)
{
	uint64_t first = start >> KMM_PAGE_SHIFT;

	if (len == 0)
		return (struct stretch){ first, UINT64_MAX };
	return (struct stretch){ first, ((start + len - 1) >> KMM_PAGE_SHIFT) - first + 1 };
}

/* Without WAIT_BEFORE and WAIT_AFTER a call may return before all is written; here each waits. */
static sword sync_range(uint32_t fd, int64_t start, int64_t len, uint32_t flags)
{
	enum { WRITE_PAGES = 2, ALL = 7 };
	struct open_file *file = file_arg(fd);
	struct stretch s;

	if (!file || (file->flags & O_PATH))
		return -EBADF;
	if ((flags & ~(uint32_t)ALL) || start < 0 || len < 0 || start > INT64_MAX - len)
		return -EINVAL;
	if (!has_sync(file) && !is_kind(file->inode, S_IFLNK))
		return -ESPIPE;
	s = pages_around((uint64_t)start, (uint64_t)len);
	return flags ? sync_pages(file, s.first, s.nr) : 0;
}

sword sys_sync_file_range(const uword *a)
{
	if (abi_64())
		return sync_range((uint32_t)a[0], (sword)a[1], (sword)a[2], (uint32_t)a[3]);
	return sync_range((uint32_t)a[0], (int64_t)((uint64_t)a[2] << 32 | (uint32_t)a[1]),
			  (int64_t)((uint64_t)a[4] << 32 | (uint32_t)a[3]), (uint32_t)a[5]);
}

/* ---- advice ---- */

static struct kmm_file *content_of(const struct open_file *file)
{
	struct kmm_backing *backing = file->ops == &block_ops ? block_backing(file) : NULL;

	return file->ops == &regular_ops ? &file->inode->file : (struct kmm_file *)backing;
}

/* Only an offer, as far as the file goes. */
static void read_ahead(struct kmm_file *file, struct stretch s)
{
	uint64_t end = (file->size + KMM_PAGE_SIZE - 1) >> KMM_PAGE_SHIFT;
	struct kmm_page *page;

	if (s.nr < end - s.first)
		end = s.first + s.nr;
	for (uint64_t i = s.first; i < end && kmm_file_page(file, i, &page) == KMM_OK; i++)
		kmm_put_page(os.k, page);
}

/* Whole pages alone, since what else is in the others may be needed; written first, and then let go. An error of writing is for who
 * syncs. */
static void drop(struct kmm_file *file, uint64_t start, uint64_t len)
{
	uint64_t first = (start + KMM_PAGE_SIZE - 1) >> KMM_PAGE_SHIFT, end = (start + len) >> KMM_PAGE_SHIFT;
	uint32_t seen = kmm_file_errors(file);

	if (len == 0 || start + len >= file->size)
		end = UINT64_MAX;
	if (end <= first)
		return;
	if (kmm_file_sync(file, first, end - first, &seen) == KMM_OK)
		kmm_file_forget(file, first, end - first);
}

static sword advise(uint32_t fd, int64_t start, int64_t len, uint32_t advice)
{
	enum { NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED, NOREUSE };
	struct open_file *file = file_arg(fd);
	struct kmm_file *content;

	if (!file || (file->flags & O_PATH))
		return -EBADF;
	if (is_kind(file->inode, S_IFIFO))
		return -ESPIPE;
	if (len < 0 || advice > NOREUSE)
		return -EINVAL;
	content = content_of(file);
	if (content && advice == WILLNEED)
		read_ahead(content, pages_around((uint64_t)start, (uint64_t)len));
	if (content && advice == DONTNEED)
		drop(content, (uint64_t)start, (uint64_t)len);
	return 0;
}

sword sys_fadvise64(const uword *a)
{
	if (abi_64())
		return advise((uint32_t)a[0], (sword)a[1], (sword)a[2], (uint32_t)a[3]);
	return advise((uint32_t)a[0], (int64_t)((uint64_t)a[2] << 32 | (uint32_t)a[1]), (int64_t)(uint32_t)a[3], (uint32_t)a[4]);
}

/* With a length of 64 bits, on i386. */
sword sys_fadvise64_64(const uword *a)
{
	return advise((uint32_t)a[0], (int64_t)((uint64_t)a[2] << 32 | (uint32_t)a[1]),
		      (int64_t)((uint64_t)a[4] << 32 | (uint32_t)a[3]), (uint32_t)a[5]);
}

sword sys_readahead(const uword *a)
{
	struct open_file *file = file_arg(a[0]);
	uint64_t start = abi_64() ? a[1] : (uint64_t)a[2] << 32 | (uint32_t)a[1], len = abi_64() ? a[2] : a[3];
	struct kmm_file *content = file ? content_of(file) : NULL;

	if (!file || !file_can_read(file))
		return -EBADF;
	if (!content)
		return -EINVAL;
	if (len)
		read_ahead(content, pages_around(start, len));
	return 0;
}
