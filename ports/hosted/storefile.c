/* SPDX-License-Identifier: MIT */
/*
 * A file of the host as the store of a file in the simulated machine. Transfers go between the host's file and the simulated RAM
 * as a controller's would, and can be made to fail as those of a swap device.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "kmm/backing.h"

struct hosted_file {
	struct kmm_file file; /* first */
	struct hosted_machine *m;
	int fd;
	struct hosted_swap_faults faults;
	uint64_t transfers; /* atomic */
};

static bool fails(struct hosted_file *f)
{
	uint64_t nr = __atomic_add_fetch(&f->transfers, 1, __ATOMIC_RELAXED);

	return f->faults.nth && (f->faults.for_ever ? nr >= f->faults.nth : nr == f->faults.nth);
}

static char *bytes_of(struct hosted_file *f, struct kmm_page *page)
{
	return hosted_phys(f->m, kmm_pfn_to_paddr(kmm_page_to_pfn(f->file.backing.k, page)).v);
}

/* Behind the end of the host's file is nothing but zeros. */
static bool read_page(struct hosted_file *f, uint64_t index, struct kmm_page *page)
{
	char *to = bytes_of(f, page);
	ssize_t done = pread(f->fd, to, KMM_PAGE_SIZE, (off_t)(index * KMM_PAGE_SIZE));

	if (done < 0)
		return false;
	for (size_t i = (size_t)done; i < KMM_PAGE_SIZE; i++)
		to[i] = 0;
	return true;
}

/* As much of the page as is the file's, else the host's would grow. */
static bool write_page(struct hosted_file *f, uint64_t index, struct kmm_page *page)
{
	uint64_t start = index * KMM_PAGE_SIZE, left = start < f->file.size ? f->file.size - start : 0;
	size_t len = left < KMM_PAGE_SIZE ? (size_t)left : KMM_PAGE_SIZE;

	return pwrite(f->fd, bytes_of(f, page), len, (off_t)start) == (ssize_t)len;
}

static enum kmm_status transfer(struct kmm_file *file, uint64_t first, unsigned nr, struct kmm_page *const *pages,
				bool (*one)(struct hosted_file *f, uint64_t index, struct kmm_page *page), bool torn)
{
	struct hosted_file *f = (struct hosted_file *)file;
	bool fail = fails(f);
	unsigned whole = !fail ? nr : torn && f->faults.torn ? nr / 2 : 0;

	for (unsigned i = 0; i < whole; i++)
		if (!one(f, first + i, pages[i]))
			return KMM_EIO;
	return fail ? KMM_EIO : KMM_OK;
}

static enum kmm_status store_read(struct kmm_file *file, uint64_t first, unsigned nr, struct kmm_page *const *pages)
{
	return transfer(file, first, nr, pages, read_page, false);
}

static enum kmm_status store_write(struct kmm_file *file, uint64_t first, unsigned nr, struct kmm_page *const *pages, bool awake)
{
	(void)awake; /* the host does not keep us waiting for long */
	return transfer(file, first, nr, pages, write_page, true);
}

static enum kmm_status store_resize(struct kmm_file *file, uint64_t size)
{
	struct hosted_file *f = (struct hosted_file *)file;

	return !fails(f) && ftruncate(f->fd, (off_t)size) == 0 ? KMM_OK : KMM_EIO;
}

static const struct kmm_file_store store = { store_read, store_write, store_resize };

static void destroy(struct kmm_file *file) { free(file); }

struct hosted_file *hosted_file_open(struct hosted_machine *m, int fd, const char *name)
{
	struct hosted_file *f = calloc(1, sizeof(*f));
	struct stat st;

	if (!f || fstat(fd, &st) != 0) {
		free(f);
		return NULL;
	}
	f->m = m;
	f->fd = fd;
	kmm_file_init(&f->file, m->k, (uint64_t)st.st_size, name);
	kmm_file_set_store(&f->file, &store);
	f->file.destroy = destroy;
	return f;
}

struct kmm_file *hosted_file_of(struct hosted_file *f) { return &f->file; }

void hosted_file_put(struct hosted_file *f) { kmm_backing_put(&f->file.backing); }

void hosted_file_fail(struct hosted_file *f, const struct hosted_swap_faults *faults)
{
	f->faults = *faults;
	__atomic_store_n(&f->transfers, 0, __ATOMIC_RELAXED);
}

uint64_t hosted_file_transfers(const struct hosted_file *f) { return __atomic_load_n(&f->transfers, __ATOMIC_RELAXED); }
