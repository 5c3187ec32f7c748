/* SPDX-License-Identifier: MIT */
/*
 * io.c - reading, writing and seeking. Data goes through a kernel buffer in pieces; a stream (pipe, console) is
 * waited for once, for the first piece, and after that only what is there is taken.
 */
#include "sys/sys.h"

enum { CHUNK = 16384, MAX_IOV = 1024 };

static bool is_nonblock(const struct open_file *file)
{
	return file->flags & O_NONBLOCK;
}

static sword read_to_user(struct open_file *file, uword to, uint32_t len, uint64_t *pos, bool nonblock)
{
	uint32_t chunk = min_u32(len, CHUNK), done = 0;
	char *buf = os_alloc(chunk ? chunk : 1);
	int n = 0;

	if (!buf)
		return -ENOMEM;
	do {
		uint32_t want = min_u32(chunk, len - done);

		n = file_read(file, buf, want, pos, nonblock || done);
		if (n <= 0)
			break;
		if (copy_out(to + done, buf, (uint32_t)n) != 0) {
			n = -EFAULT;
			break;
		}
		done += (uint32_t)n;
		if ((uint32_t)n < want)
			break;
	} while (done < len);
	os_free(buf);
	return done ? (int32_t)done : n;
}

static sword write_from_user(struct open_file *file, uword from, uint32_t len, uint64_t *pos)
{
	uint32_t chunk = min_u32(len, CHUNK), done = 0;
	char *buf = os_alloc(chunk ? chunk : 1);
	int n = 0;

	if (!buf)
		return -ENOMEM;
	do {
		uint32_t want = min_u32(chunk, len - done);

		if (copy_in(buf, from + done, want) != 0) {
			n = -EFAULT;
			break;
		}
		n = file_write(file, buf, want, pos, is_nonblock(file));
		if (n <= 0)
			break;
		done += (uint32_t)n;
		if ((uint32_t)n < want)
			break;
	} while (done < len);
	os_free(buf);
	return done ? (int32_t)done : n;
}

/* One call at a time uses the position of a file that has one: two that share it get or put different bytes. */
static void position_lock(struct open_file *file)
{
	if (!file->ops->seekable)
		return;
	while (file->pos_in_use) {
		file->pos_waited = true;
		sched_sleep(&file->pos, false, 0);
	}
	file->pos_in_use = true;
}

static void position_unlock(struct open_file *file)
{
	file->pos_in_use = false;
	if (!file->pos_waited)
		return;
	file->pos_waited = false;
	sched_wake(&file->pos);
}

sword sys_read(const uword *a)
{
	struct open_file *file = file_arg(a[0]);
	sword n;

	if (!file)
		return -EBADF;
	position_lock(file);
	n = read_to_user(file, a[1], (uint32_t)min_word(a[2], MAX_RW), &file->pos, is_nonblock(file));
	position_unlock(file);
	return n;
}

sword sys_write(const uword *a)
{
	struct open_file *file = file_arg(a[0]);

	sword n;

	if (!file)
		return -EBADF;
	position_lock(file);
	n = write_from_user(file, a[1], (uint32_t)min_word(a[2], MAX_RW), &file->pos);
	position_unlock(file);
	return n;
}

static sword at_offset(const uword *a, bool write)
{
	struct open_file *file = file_arg(a[0]);
	uint64_t pos = abi_64() ? a[3] : (uint64_t)a[4] << 32 | a[3];

	if (!file)
		return -EBADF;
	if ((int64_t)pos < 0)
		return -EINVAL;
	if (!file->ops->seekable)
		return -ESPIPE;
	return write ? write_from_user(file, a[1], (uint32_t)min_word(a[2], MAX_RW), &pos)
		     : read_to_user(file, a[1], (uint32_t)min_word(a[2], MAX_RW), &pos, false);
}

sword sys_pread64(const uword *a)
{
	return at_offset(a, false);
}

sword sys_pwrite64(const uword *a)
{
	return at_offset(a, true);
}

/* One piece after the other; the first that is short or fails ends it. */
static sword vector_of(struct open_file *file, const uword *a, bool write)
{
	uint32_t done = 0;

	for (uint32_t i = 0; i < a[2]; i++) {
		uword v[2]; /* address and length */
		sword n;

		if (get_words(v, a[1] + i * (abi_64() ? 16 : 8), 2) != 0)
			return done ? (sword)done : -EFAULT;
		if (signed_word(v[1]) < 0)
			return done ? (sword)done : -EINVAL;
		v[1] = min_word(v[1], MAX_RW - done);
		if (!v[1])
			continue;
		n = write ? write_from_user(file, v[0], (uint32_t)v[1], &file->pos)
			  : read_to_user(file, v[0], (uint32_t)v[1], &file->pos, is_nonblock(file) || done);
		if (n < 0)
			return done ? (sword)done : n;
		done += (uint32_t)n;
		if ((uword)n < v[1])
			break;
	}
	return (int32_t)done;
}

static sword vector(const uword *a, bool write)
{
	struct open_file *file = file_arg(a[0]);
	sword n;

	if (!file)
		return -EBADF;
	if (a[2] > MAX_IOV)
		return -EINVAL;
	position_lock(file);
	n = vector_of(file, a, write);
	position_unlock(file);
	return n;
}

sword sys_readv(const uword *a)
{
	return vector(a, false);
}

sword sys_writev(const uword *a)
{
	return vector(a, true);
}

static int64_t seek(struct open_file *file, int64_t offset, uint32_t whence)
{
	int64_t base;

	if (!file->ops->seekable)
		return -ESPIPE;
	switch (whence) {
	case SEEK_SET: base = 0; break;
	case SEEK_CUR: base = (int64_t)file->pos; break;
	case SEEK_END: base = (int64_t)file->inode->file.size; break;
	default: return -EINVAL;
	}
	if (base + offset < 0)
		return -EINVAL;
	file->pos = (uint64_t)(base + offset);
	return base + offset;
}

sword sys_lseek(const uword *a)
{
	struct open_file *file = file_arg(a[0]);
	int64_t pos = file ? seek(file, signed_word(a[1]), a[2]) : -EBADF;

	return !abi_64() && pos > INT32_MAX ? -EOVERFLOW : (sword)pos;
}

sword sys_llseek(const uword *a)
{
	struct open_file *file = file_arg(a[0]);
	int64_t pos = file ? seek(file, (int64_t)((uint64_t)a[1] << 32 | (uint32_t)a[2]), a[4]) : -EBADF;

	return pos < 0 ? (int32_t)pos : copy_out(a[3], &pos, sizeof(pos));
}

sword sys_ioctl(const uword *a)
{
	enum { FIONBIO = 0x5421, FIOCLEX = 0x5451, FIONCLEX = 0x5450 };
	struct open_file *file = file_arg(a[0]);
	uint32_t on;

	if (!file)
		return -EBADF;
	switch ((uint32_t)a[1]) {
	case FIOCLEX:
	case FIONCLEX:
		current->proc->fds.slot[a[0]].cloexec = a[1] == FIOCLEX;
		return 0;
	case FIONBIO:
		if (copy_in(&on, a[2], sizeof(on)) != 0)
			return -EFAULT;
		file->flags = on ? file->flags | O_NONBLOCK : file->flags & ~(uint32_t)O_NONBLOCK;
		return 0;
	default:
		return file->ops->ioctl ? file->ops->ioctl(file, a[1], a[2]) : -ENOTTY;
	}
}

sword sys_fsync(const uword *a)
{
	return file_arg(a[0]) ? 0 : -EBADF; /* there is no disk: written is stored */
}

/* Kernel buffer between two files; stops at the first short step. */
static sword transfer(struct open_file *out, struct open_file *in, uint64_t *pos, uint32_t len)
{
	char *buf = os_alloc(CHUNK);
	uint32_t done = 0;
	int n = 0;

	if (!buf)
		return -ENOMEM;
	while (done < len) {
		uint64_t before = *pos;
		int written;

		n = file_read(in, buf, min_u32(CHUNK, len - done), pos, done || is_nonblock(in));
		if (n <= 0)
			break;
		written = file_write(out, buf, (uint32_t)n, &out->pos, is_nonblock(out));
		if (written < n)
			*pos = before + (written > 0 ? (uint32_t)written : 0);
		if (written <= 0) {
			n = written;
			break;
		}
		done += (uint32_t)written;
		if (written < n)
			break;
	}
	os_free(buf);
	return done ? (int32_t)done : n;
}

static sword sendfile(const uword *a, uint32_t offset_size)
{
	struct open_file *out = file_arg(a[0]), *in = file_arg(a[1]);
	uint64_t pos = 0;
	int32_t n;

	if (!in || !out || !file_can_read(in) || !file_can_write(out))
		return -EBADF;
	if (!in->ops->seekable) /* as on Linux: the source must be a file */
		return -EINVAL;
	if (!a[2])
		return transfer(out, in, &in->pos, (uint32_t)min_word(a[3], MAX_RW));
	if (copy_in(&pos, a[2], offset_size) != 0)
		return -EFAULT;
	n = transfer(out, in, &pos, (uint32_t)min_word(a[3], MAX_RW));
	if (n >= 0 && copy_out(a[2], &pos, offset_size) != 0)
		return -EFAULT;
	return n;
}

sword sys_sendfile(const uword *a)
{
	return sendfile(a, 4);
}

sword sys_sendfile64(const uword *a)
{
	return sendfile(a, 8);
}
