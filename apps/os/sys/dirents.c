/* SPDX-License-Identifier: MIT */
/* dirents.c - directory listings. Positions: 0 is ".", 1 is "..", then 2 + what the directory counts in. */
#include "sys/sys.h"

enum { POS_FIRST = 2, HEAD64 = 19 };

static bool next_entry(struct inode *dir, uint64_t pos, struct listing *out)
{
	if (pos < POS_FIRST) {
		const struct inode *inode = pos == 0 || !dir->parent ? dir : dir->parent;

		*out = (struct listing){ .ino = inode->ino, .mode = S_IFDIR, .next = pos + 1 };
		str_copy(out->name, pos == 0 ? "." : "..", sizeof(out->name));
		return true;
	}
	if (!(dir->ops && dir->ops->list ? dir->ops->list : tree_list)(dir, pos - POS_FIRST, out))
		return false;
	out->next += POS_FIRST;
	return true;
}

/* One record in the 64-bit layout. Returns its length. */
static uint32_t record64(uint8_t *to, const struct listing *e)
{
	uint32_t len = (HEAD64 + (uint32_t)str_len(e->name) + 1 + 7) & ~7u;
	uint64_t ino = e->ino;
	uint16_t reclen = (uint16_t)len;

	memset(to, 0, len);
	memcpy(to, &ino, 8);
	memcpy(to + 8, &e->next, 8);
	memcpy(to + 16, &reclen, 2);
	to[18] = (uint8_t)(e->mode >> 12 & 15);
	memcpy(to + HEAD64, e->name, str_len(e->name));
	return len;
}

/* The older layout: words for number and position, and the type hides in the last byte. */
static uint32_t record_old(uint8_t *to, const struct listing *e)
{
	uint32_t word = abi_64() ? 8 : 4, head = 2 * word + 2;
	uint32_t len = (head + (uint32_t)str_len(e->name) + 2 + word - 1) & ~(word - 1);
	uint64_t ino = e->ino, next = e->next;
	uint16_t reclen = (uint16_t)len;

	memset(to, 0, len);
	memcpy(to, &ino, word);
	memcpy(to + word, &next, word);
	memcpy(to + 2 * word, &reclen, 2);
	memcpy(to + head, e->name, str_len(e->name));
	to[len - 1] = (uint8_t)(e->mode >> 12 & 15);
	return len;
}

/* Position locked. */
static sword list_from(struct open_file *file, const uword *a, uint32_t (*record)(uint8_t *, const struct listing *))
{
	uint8_t buf[HEAD64 + NAME_SIZE + 8];
	uint32_t done = 0;
	struct listing e;

	while (next_entry(file->inode, file->pos, &e)) {
		uint32_t len = record(buf, &e);

		if (len > (uint32_t)a[2] - done)
			return done ? (int32_t)done : -EINVAL;
		if (copy_out(a[1] + done, buf, len) != 0)
			return done ? (int32_t)done : -EFAULT;
		done += len;
		file->pos = e.next;
	}
	return (int32_t)done;
}

static sword list(const uword *a, uint32_t (*record)(uint8_t *, const struct listing *))
{
	struct open_file *file = file_arg(a[0]);
	sword n;

	if (!file)
		return -EBADF;
	if (!is_kind(file->inode, S_IFDIR))
		return -ENOTDIR;
	file_pos_lock(file);
	n = list_from(file, a, record);
	file_pos_unlock(file);
	return n;
}

sword sys_getdents(const uword *a)
{
	return list(a, record_old);
}

sword sys_getdents64(const uword *a)
{
	return list(a, record64);
}
