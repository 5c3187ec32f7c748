/* SPDX-License-Identifier: MIT */
/*
 * files.c - mmap and memory files for tests in a cell: mappings of the cell's space, files of the core's page cache. The
 * numbers of protections and flags are Linux's on both sides.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cell.h"
#include "kmm/slab.h"

enum { MAX_FILES = 8, FIRST_FD = 3 };

static struct { struct kmm_file file; bool open; } files[MAX_FILES];

int *__errno_location(void)
{
	static int number;

	return &number;
}

static int fail(enum kmm_status status)
{
	errno = kmm_status_errno(status);
	return -1;
}

static struct kmm_file *file_of(int fd)
{
	bool good = fd >= FIRST_FD && fd < FIRST_FD + MAX_FILES && files[fd - FIRST_FD].open;

	return good ? &files[fd - FIRST_FD].file : NULL;
}

int memfd_create(const char *name, unsigned flags)
{
	(void)flags;
	for (int i = 0; i < MAX_FILES; i++)
		if (!files[i].open) {
			files[i].open = true;
			kmm_file_init(&files[i].file, cell_machine, 0, name);
			return FIRST_FD + i;
		}
	return fail(KMM_EAGAIN);
}

int ftruncate(int fd, off_t size)
{
	enum kmm_status status = file_of(fd) ? kmm_file_truncate(file_of(fd), (uint64_t)size) : KMM_EINVAL;

	return status == KMM_OK ? 0 : fail(status);
}

int fstat(int fd, struct stat *out)
{
	if (!file_of(fd))
		return fail(KMM_EINVAL);
	*out = (struct stat){ .st_size = (off_t)file_of(fd)->size, .st_blocks = (blkcnt_t)(file_of(fd)->nr_pages * 8) };
	return 0;
}

int close(int fd)
{
	if (!file_of(fd))
		return fail(KMM_EINVAL);
	files[fd - FIRST_FD].open = false;
	kmm_backing_put(&files[fd - FIRST_FD].file.backing);
	return 0;
}

/* At most a page, by a buffer of the kernel's: the bytes lie in the cell's memory, where an access may fault. */
static ssize_t transfer(int fd, void *bytes, size_t len, off_t pos, bool write)
{
	char *page = kmm_kmalloc(cell_machine, KMM_PAGE_SIZE, KMM_GFP_KERNEL);
	enum kmm_status status = file_of(fd) && page && len <= KMM_PAGE_SIZE ? KMM_OK : KMM_EINVAL;
	size_t done = 0;

	if (status == KMM_OK && write) {
		memcpy(page, bytes, len);
		status = kmm_file_write(file_of(fd), (uint64_t)pos, page, len, &done);
	} else if (status == KMM_OK) {
		status = kmm_file_read(file_of(fd), (uint64_t)pos, page, len, &done);
		memcpy(bytes, page, done);
	}
	kmm_kfree(cell_machine, page);
	return status == KMM_OK ? (ssize_t)done : fail(status);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t pos)
{
	return transfer(fd, bytes, len, pos, false);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t pos)
{
	return transfer(fd, (void *)(uintptr_t)bytes, len, pos, true);
}

int fallocate(int fd, int mode, off_t pos, off_t len)
{
	(void)fd;
	(void)mode;
	(void)pos;
	(void)len;
	return fail(KMM_ENOTSUP); /* who punches holes can do without */
}

void files_drop(void)
{
	for (int fd = FIRST_FD; fd < FIRST_FD + MAX_FILES; fd++)
		if (file_of(fd))
			close(fd);
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t pos)
{
	struct kmm_file *file = flags & MAP_ANONYMOUS ? NULL : file_of(fd);
	struct kmm_uva out;
	enum kmm_status status = kmm_mmap(cell_space(), kmm_uva((uintptr_t)at), len, (unsigned)prot, (unsigned)flags,
					  file ? &file->backing : NULL, (uint64_t)pos >> KMM_PAGE_SHIFT, &out);

	if (status == KMM_ENOMEM && !(flags & MAP_FIXED))
		cell_skip("its machine does not fit into the user half");
	if (status == KMM_OK)
		return (void *)(uintptr_t)out.v;
	fail(status);
	return MAP_FAILED;
}

int munmap(void *at, size_t len)
{
	enum kmm_status status = kmm_munmap(cell_space(), kmm_uva((uintptr_t)at), len);

	return status == KMM_OK ? 0 : fail(status);
}

int madvise(void *at, size_t len, int advice)
{
	(void)at;
	(void)len;
	(void)advice; /* about core dumps */
	return 0;
}
