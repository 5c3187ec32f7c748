/* SPDX-License-Identifier: MIT */
/*
 * fd.c - the table from descriptor numbers to open files; one per process, or for several. Under its lock nothing is
 * allocated, freed or closed: a file taken out is let go of afterwards.
 */
#include "fs/locks.h"

enum { FIRST_SIZE = 16 };

/* To at least that size, if it is smaller. */
static int grow(struct fd_table *table, uint32_t size)
{
	struct fd_slot *slot = os_zalloc(size * sizeof(*slot)), *old = slot;

	if (!slot)
		return -ENOMEM;
	spin_lock(&table->lock);
	if (size > table->size) {
		old = table->slot;
		if (table->size)
			memcpy(slot, old, table->size * sizeof(*slot));
		table->slot = slot;
		table->size = size;
	}
	spin_unlock(&table->lock);
	os_free(old);
	return 0;
}

/* from's threads may make it grow meanwhile. */
int fd_table_copy(struct fd_table *to, struct fd_table *from)
{
	uint32_t size;

	*to = (struct fd_table){ .lock = SPIN_OF(SPIN_FDS), .refs = 1 };
	if (from->size == 0)
		return grow(to, FIRST_SIZE);
	do {
		size = from->size;
		if (grow(to, size) != 0)
			return -ENOMEM;
		spin_lock(&from->lock);
		for (uint32_t fd = 0; size == from->size && fd < size; fd++) {
			to->slot[fd] = from->slot[fd];
			if (to->slot[fd].file)
				file_get(to->slot[fd].file);
		}
		size = from->size - size;
		spin_unlock(&from->lock);
	} while (size);
	return 0;
}

/* A descriptor is closed: whichever it was, the process loses its record locks of the file, as fcntl(2) warns. */
static void let_go(const struct fd_table *table, struct open_file *file)
{
	if (!file)
		return;
	lock_drop(table, file->inode);
	file_put(file);
}

void fd_table_clear(struct fd_table *table)
{
	struct fd_slot *slot;
	uint32_t size;

	spin_lock(&table->lock);
	slot = table->slot;
	size = table->size;
	table->slot = NULL;
	table->size = 0;
	spin_unlock(&table->lock);
	for (uint32_t fd = 0; fd < size; fd++)
		let_go(table, slot[fd].file);
	os_free(slot);
}

void fd_close_on_exec(struct fd_table *table)
{
	for (uint32_t fd = 0; fd < table->size; fd++)
		if (fd_cloexec(table, fd) == 1)
			fd_close(table, fd);
}

/* Lock held. */
static struct fd_slot *slot_of(struct fd_table *table, uint32_t fd)
{
	return fd < table->size && table->slot[fd].file ? &table->slot[fd] : NULL;
}

struct open_file *fd_get(struct fd_table *table, uint32_t fd)
{
	struct open_file *file = NULL;
	struct fd_slot *slot;

	spin_lock(&table->lock);
	slot = slot_of(table, fd);
	if (slot) {
		file = slot->file;
		file_get(file);
	}
	spin_unlock(&table->lock);
	return file;
}

uint32_t fd_next(struct fd_table *table, uint32_t fd)
{
	spin_lock(&table->lock);
	while (fd < table->size && !slot_of(table, fd))
		fd++;
	fd = fd < table->size ? fd : table->size;
	spin_unlock(&table->lock);
	return fd;
}

int fd_close(struct fd_table *table, uint32_t fd)
{
	struct open_file *file = NULL;
	struct fd_slot *slot;

	spin_lock(&table->lock);
	slot = slot_of(table, fd);
	if (slot) {
		file = slot->file;
		*slot = (struct fd_slot){ .file = NULL };
	}
	spin_unlock(&table->lock);
	let_go(table, file);
	return file ? 0 : -EBADF;
}

int fd_cloexec(struct fd_table *table, uint32_t fd)
{
	struct fd_slot *slot;
	int result;

	spin_lock(&table->lock);
	slot = slot_of(table, fd);
	result = slot ? slot->cloexec : -EBADF;
	spin_unlock(&table->lock);
	return result;
}

int fd_set_cloexec(struct fd_table *table, uint32_t fd, bool cloexec)
{
	struct fd_slot *slot;

	spin_lock(&table->lock);
	slot = slot_of(table, fd);
	if (slot)
		slot->cloexec = cloexec;
	spin_unlock(&table->lock);
	return slot ? 0 : -EBADF;
}

/* Makes the table large enough for fd. Other threads may have done so before; tables only grow. */
static int make_room(struct fd_table *table, uint32_t fd)
{
	uint32_t size = table->size;

	while (fd >= size)
		size *= 2;
	return size > table->size ? grow(table, size) : 0;
}

/* The lowest free number from `from` on and below the limit gets the file. If that lies outside of the table as it is:
 * the size that is needed, in *size. */
static int try_install(struct fd_table *table, struct fd_slot what, uint32_t from, uint32_t limit, uint32_t *size)
{
	uint32_t fd = from;

	spin_lock(&table->lock);
	while (slot_of(table, fd))
		fd++;
	*size = fd < limit && fd >= table->size ? fd + 1 : 0;
	if (fd < limit && !*size)
		table->slot[fd] = what;
	spin_unlock(&table->lock);
	return fd < limit ? (int)fd : -EMFILE;
}

int fd_install(struct fd_table *table, struct open_file *file, uword from, uint32_t limit, bool cloexec)
{
	const struct fd_slot what = { file, cloexec };
	uint32_t size;

	if (from >= limit)
		return -EMFILE;
	for (;;) {
		int fd = try_install(table, what, (uint32_t)from, limit, &size);

		if (!size)
			return fd;
		if (make_room(table, size - 1) != 0)
			return -ENOMEM;
	}
}

int fd_replace(struct fd_table *table, struct open_file *file, uint32_t fd, uint32_t limit, bool cloexec)
{
	struct open_file *old;

	if (fd >= limit)
		return -EBADF;
	if (make_room(table, fd) != 0)
		return -ENOMEM;
	spin_lock(&table->lock);
	old = table->slot[fd].file;
	table->slot[fd] = (struct fd_slot){ file, cloexec };
	spin_unlock(&table->lock);
	let_go(table, old);
	return (int)fd;
}
