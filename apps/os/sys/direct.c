/* SPDX-License-Identifier: MIT */
/*
 * direct.c - reads and writes of disks past their cache (O_DIRECT): the caller's pages are pinned and the disk moves what is in them.
 * Place, length and memory are multiples of a sector, as on Linux. What is not whole pages on both sides, or lies in the cache because
 * somebody maps it, goes through the cache and from there to the disk before the call returns, so all views agree.
 */
#include "block.h"
#include "kmm/kmap.h"
#include "sys/sys.h"

enum { SECTOR = 512, BATCH = 16 };

struct direct {
	struct open_file *file;
	struct block *disk;
	uint64_t pos;
	uword at;
	bool write;
};

static bool is_cached(struct block *disk, uint64_t first, unsigned nr)
{
	struct kmm_backing *backing = &disk->cache.backing;
	struct kmm_page *page;

	for (unsigned i = 0; i < nr && backing->mappings; i++) {
		backing->ops->cached_pages(backing, first + i, 1, &page);
		if (page) {
			kmm_put_page(os.k, page);
			return true;
		}
	}
	return false;
}

/* Up to the end of the caller's page, by the cache. Bytes, or an error. */
static int copy_part(const struct direct *d, struct kmm_page *page, uint32_t len)
{
	uint32_t offset = (uint32_t)(d->at & (KMM_PAGE_SIZE - 1));
	enum kmm_status status;
	size_t done = 0;
	char *view = kmm_kmap(os.k, page);
	int err = 0;

	if (!view)
		return -ENOMEM;
	status = d->write ? kmm_file_write(&d->disk->cache, d->pos, view + offset, len, &done)
			  : kmm_file_read(&d->disk->cache, d->pos, view + offset, len, &done);
	kmm_kunmap(os.k, page);
	if (d->write && done)
		err = block_sync(d->file, d->pos >> KMM_PAGE_SHIFT, ((d->pos + done - 1) >> KMM_PAGE_SHIFT) - (d->pos >> KMM_PAGE_SHIFT) + 1);
	return err ? err : done ? (int)done : os_errno(status);
}

/* Whole pages: from the disk or to it, if the cache has none of them once it has been written back. Bytes, or an error. */
static int move_pages(const struct direct *d, struct kmm_page *const *pages, unsigned nr)
{
	uint64_t first = d->pos >> KMM_PAGE_SHIFT;
	int err = block_sync(d->file, first, nr);
	bool good;

	if (err)
		return err;
	kmm_file_forget(&d->disk->cache, first, nr);
	if (is_cached(d->disk, first, nr))
		return copy_part(d, pages[0], KMM_PAGE_SIZE);
	good = block_transfer(d->disk, d->write ? WRITE : READ, first, nr, pages);
	if (d->write)
		kmm_file_forget(&d->disk->cache, first, nr); /* read ahead meanwhile */
	return good ? (int)(nr * KMM_PAGE_SIZE) : -EIO;
}

/* Some of len bytes. */
static int move_some(const struct direct *d, uint32_t len)
{
	const uint32_t mask = KMM_PAGE_SIZE - 1;
	bool whole = !((d->pos | d->at) & mask) && len >= KMM_PAGE_SIZE;
	uint32_t rest = KMM_PAGE_SIZE - (uint32_t)(d->at & mask), nr = whole ? min_u32(BATCH, len / KMM_PAGE_SIZE) : 1;
	struct kmm_page *pages[BATCH];
	kmm_word pinned;
	int n;

	if (kmm_pin_user(current->proc->mm, kmm_uva(d->at), nr, d->write ? 0 : KMM_PIN_WRITE, pages, &pinned) != KMM_OK && !pinned)
		return -EFAULT;
	n = whole ? move_pages(d, pages, (unsigned)pinned) : copy_part(d, pages[0], min_u32(len, rest));
	kmm_unpin_user(os.k, pages, pinned, !d->write);
	return n;
}

bool is_direct(const struct open_file *file)
{
	return (file->flags & O_DIRECT) && block_of(file->inode);
}

sword direct_io(struct open_file *file, uword at, uint32_t len, uint64_t *pos, bool write)
{
	struct direct d = { .file = file, .disk = block_of(file->inode), .pos = *pos, .at = at, .write = write };
	uint64_t size = d.disk->nr_pages << KMM_PAGE_SHIFT;
	uint32_t done = 0;
	int n = 0;

	if (!(write ? file_can_write(file) : file_can_read(file)))
		return -EBADF;
	if (!len || *pos >= size)
		return len && write ? -ENOSPC : 0;
	len = len < size - *pos ? len : (uint32_t)(size - *pos);
	if ((*pos | at | len) & (SECTOR - 1))
		return -EINVAL;
	while (done < len && (n = move_some(&d, len - done)) > 0) {
		done += (uint32_t)n;
		d.pos += (uint32_t)n;
		d.at += (uint32_t)n;
	}
	*pos = d.pos;
	return done ? (sword)done : n;
}
