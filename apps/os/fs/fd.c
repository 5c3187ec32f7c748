/* SPDX-License-Identifier: MIT */
/* fd.c - the table from descriptor numbers to open files; one per process. */
#include "fs/vfs.h"

enum { FIRST_SIZE = 16 };

static int grow(struct fd_table *table, uint32_t size)
{
	struct fd_slot *slot = os_zalloc(size * sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	if (table->size)
		memcpy(slot, table->slot, table->size * sizeof(*slot));
	os_free(table->slot);
	table->slot = slot;
	table->size = size;
	return 0;
}

int fd_table_init(struct fd_table *table)
{
	*table = (struct fd_table){ .size = 0 };
	return grow(table, FIRST_SIZE);
}

int fd_table_copy(struct fd_table *to, const struct fd_table *from)
{
	*to = (struct fd_table){ .size = 0 };
	if (grow(to, from->size) != 0)
		return -ENOMEM;
	for (uint32_t fd = 0; fd < from->size; fd++) {
		to->slot[fd] = from->slot[fd];
		if (to->slot[fd].file)
			file_get(to->slot[fd].file);
	}
	return 0;
}

void fd_table_clear(struct fd_table *table)
{
	for (uint32_t fd = 0; fd < table->size; fd++)
		fd_close(table, fd);
	os_free(table->slot);
	*table = (struct fd_table){ .size = 0 };
}

void fd_close_on_exec(struct fd_table *table)
{
	for (uint32_t fd = 0; fd < table->size; fd++)
		if (table->slot[fd].cloexec)
			fd_close(table, fd);
}

struct open_file *fd_get(const struct fd_table *table, uint32_t fd)
{
	return fd < table->size ? table->slot[fd].file : NULL;
}

int fd_close(struct fd_table *table, uint32_t fd)
{
	struct open_file *file = fd_get(table, fd);

	if (!file)
		return -EBADF;
	table->slot[fd] = (struct fd_slot){ .file = NULL };
	file_put(file);
	return 0;
}

int fd_install(struct fd_table *table, struct open_file *file, uword from, uint32_t limit, bool cloexec)
{
	uint32_t fd = from;

	while (fd < table->size && table->slot[fd].file)
		fd++;
	if (fd >= limit)
		return -EMFILE;
	while (fd >= table->size)
		if (grow(table, table->size * 2) != 0)
			return -ENOMEM;
	table->slot[fd] = (struct fd_slot){ file, cloexec };
	return (int)fd;
}

int fd_replace(struct fd_table *table, struct open_file *file, uint32_t fd, uint32_t limit, bool cloexec)
{
	if (fd >= limit)
		return -EBADF;
	while (fd >= table->size)
		if (grow(table, table->size * 2) != 0)
			return -ENOMEM;
	fd_close(table, fd);
	table->slot[fd] = (struct fd_slot){ file, cloexec };
	return (int)fd;
}
