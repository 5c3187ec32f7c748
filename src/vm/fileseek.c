/* SPDX-License-Identifier: MIT */
/*
 * Where a memory file has data and where holes (lseek with SEEK_DATA and SEEK_HOLE), by whole pages: a page that the file has, or has in
 * swap, is data, unless it was allocated in advance and nobody has written to it or mapped it since. Behind its end there is
 * neither, but the end itself is where a hole begins. Files whose pages come from somewhere else are data throughout.
 */
#include "base/math.h"
#include "vm/backing.h"

/* The first page from *index on that is data. b held. */
static bool next_data(const struct kmm_file *file, uint64_t *index)
{
	for (; kmm_radix_next_used(file->pages, index); ++*index) {
		const struct kmm_page *page = kmm_radix_get(file->backing.k, file->pages, *index);

		if (!page || !(kmm_page_flags(page) & KMM_PG_BLANK))
			return true;
	}
	return false;
}

/* b held. The first byte from `at` on that is as asked for; the file's size: none before its end. */
static uint64_t seek_pages(const struct kmm_file *file, uint64_t at, bool data)
{
	uint64_t index = at >> KMM_PAGE_SHIFT, next = index;
	bool used = next_data(file, &next);

	while (!data && used && next == index) { /* over the data that begins here */
		next = ++index;
		used = next_data(file, &next);
	}
	if (data && !used)
		return file->size;
	if (data)
		index = next;
	if (index > file->size >> KMM_PAGE_SHIFT)
		return file->size;
	return kmm_min_u64(index == at >> KMM_PAGE_SHIFT ? at : index << KMM_PAGE_SHIFT, file->size);
}

enum kmm_status kmm_file_seek(struct kmm_file *file, uint64_t at, bool data, uint64_t *out)
{
	struct kmm_mapping *mapping = kmm_mapping_get(&file->backing);
	enum kmm_status status = KMM_OK;

	if (!mapping)
		return KMM_ENOMEM;
	kmm_mutex_lock_class(file->backing.k, &mapping->lock, KMM_LOCK_BACKING);
	if (at >= file->size)
		status = KMM_ERANGE;
	else if (kmm_file_has_source(file))
		*out = data ? at : file->size;
	else
		*out = seek_pages(file, at, data);
	if (status == KMM_OK && data && *out >= file->size)
		status = KMM_ERANGE;
	kmm_mutex_unlock_class(file->backing.k, &mapping->lock, KMM_LOCK_BACKING);
	return status;
}
