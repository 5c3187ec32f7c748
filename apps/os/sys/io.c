/* SPDX-License-Identifier: MIT */
/*
 * io.c - reading, writing and seeking. Data goes through a kernel buffer in pieces; a stream (pipe, console) is
 * waited for once, for the first piece, and after that only what is there is taken. Runs without the kernel lock.
 *
 * User memory may end in the middle of a piece. As on Linux a file then goes on with what there is, and a stream with whole
 * pages of it, so that a message is delivered or stays. Disks opened with O_DIRECT are direct.c's.
 */
#include "fs/socket.h"
#include "sys/sys.h"

enum { CHUNK = 16384, MAX_IOV = 1024 };

static bool is_nonblock(const struct open_file *file)
{
	return file->flags & O_NONBLOCK;
}

static uint32_t usable(const struct open_file *file, size_t copied, uint32_t want)
{
	uint32_t n = (uint32_t)copied;

	return n == want || file->ops->seekable ? n : n & ~(uint32_t)(KMM_PAGE_SIZE - 1);
}

/* Bytes that arrived. */
static uint32_t deliver(struct open_file *file, uword to, const char *buf, uint32_t n, uint64_t *end)
{
	uint32_t arrived = usable(file, copy_out_some(to, buf, n), n);

	if (file->ops->seekable)
		*end -= n - arrived;
	file_arrived(file, arrived);
	return arrived;
}

static uint32_t chunk_of(const struct open_file *file, uint32_t len)
{
	return min_u32(len, file->ops->message ? MAX_MESSAGE : CHUNK);
}

/* As Linux asks before anything else, so that even nothing is not copied to where no program has memory. */
static bool is_user_range(uword at, uword len)
{
	uint64_t end = kmm_layout_of(os.k)->user_end_max;

	return len <= end && at <= end - len;
}

static sword read_to_user(struct open_file *file, uword to, uint32_t len, uint64_t *pos, bool nonblock)
{
	uint32_t chunk = chunk_of(file, len), done = 0;
	char *buf;
	int n = 0;

	if (is_direct(file))
		return direct_io(file, to, len, pos, false);
	buf = os_alloc(chunk ? chunk : 1);
	if (!buf)
		return -ENOMEM;
	if (file_can_read(file) && !is_user_range(to, len)) {
		os_free(buf);
		return -EFAULT;
	}
	do {
		uint32_t want = min_u32(chunk, len - done), arrived;

		n = file_read(file, buf, want, pos, nonblock || done);
		if (n <= 0)
			break;
		arrived = deliver(file, to + done, buf, (uint32_t)n, pos);
		done += arrived;
		if (arrived < (uint32_t)n)
			n = -EFAULT;
		else if (arrived < want || file->ops->message)
			break;
	} while (done < len && n > 0);
	os_free(buf);
	return done ? (int32_t)done : n;
}

static sword write_from_user(struct open_file *file, uword from, uint32_t len, uint64_t *pos)
{
	uint32_t chunk = chunk_of(file, len), done = 0;
	char *buf;
	int n = 0;

	if (is_direct(file))
		return direct_io(file, from, len, pos, true);
	buf = os_alloc(chunk ? chunk : 1);
	if (!buf)
		return -ENOMEM;
	do {
		uint32_t want = min_u32(chunk, len - done);
		uint32_t got = usable(file, copy_in_some(buf, from + done, want), want);

		n = got < want && !got ? -EFAULT : file_write(file, buf, got, pos, is_nonblock(file));
		if (n <= 0)
			break;
		done += (uint32_t)n;
		if ((uint32_t)n < want)
			break;
	} while (done < len);
	os_free(buf);
	return done ? (int32_t)done : n;
}

sword sys_read(const uword *a)
{
	struct open_file *file = file_arg(a[0]);
	sword n;

	if (!file)
		return -EBADF;
	file_pos_lock(file);
	n = read_to_user(file, a[1], (uint32_t)min_word(a[2], MAX_RW), &file->pos, is_nonblock(file));
	file_pos_unlock(file);
	return n;
}

sword sys_write(const uword *a)
{
	struct open_file *file = file_arg(a[0]);
	sword n;

	if (!file)
		return -EBADF;
	file_pos_lock(file);
	n = write_from_user(file, a[1], (uint32_t)min_word(a[2], MAX_RW), &file->pos);
	file_pos_unlock(file);
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

int vec_import(uword from, uword nr, struct vec_list *list)
{
	list->nr = (uint32_t)nr;
	list->vec = list->few;
	if (nr > MAX_IOV)
		return -EINVAL;
	if (nr > NR_FEW_VEC)
		list->vec = os_alloc((uint32_t)nr * sizeof(*list->vec));
	if (!list->vec)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++) {
		uword word[2];
		int err = get_words(word, from + i * (abi_64() ? 16 : 8), 2) != 0 ? -EFAULT : signed_word(word[1]) < 0 ? -EINVAL : 0;

		if (err) {
			vec_drop(list);
			return err;
		}
		list->vec[i] = (struct vec){ word[0], word[1] };
	}
	return 0;
}

void vec_drop(struct vec_list *list)
{
	if (list->vec != list->few)
		os_free(list->vec);
}

/* One piece after the other; the first that is short or fails ends it. */
static sword move_pieces(struct open_file *file, const struct vec_list *list, uint64_t *pos, bool write)
{
	uint32_t done = 0;

	for (uint32_t i = 0; i < list->nr; i++) {
		uint32_t len = (uint32_t)min_word(list->vec[i].len, MAX_RW - done);
		sword n;

		if (!len)
			continue;
		n = write ? write_from_user(file, list->vec[i].at, len, pos)
			  : read_to_user(file, list->vec[i].at, len, pos, is_nonblock(file) || done);
		if (n < 0)
			return done ? (sword)done : n;
		done += (uint32_t)n;
		if ((uint32_t)n < len)
			break;
	}
	return (int32_t)done;
}

static sword vector_of(struct open_file *file, const uword *a, uint64_t *pos, bool write)
{
	struct vec_list list;
	int err = vec_import(a[1], a[2], &list);
	sword n;

	if (err)
		return err;
	n = move_pieces(file, &list, pos, write);
	vec_drop(&list);
	return n;
}

static sword vector(const uword *a, bool write)
{
	struct open_file *file = file_arg(a[0]);
	sword n;

	if (!file)
		return -EBADF;
	if (a[2] > MAX_IOV)
		return -EINVAL;
	if (is_socket(file))
		return socket_vector(file, a[1], a[2], write);
	file_pos_lock(file);
	n = vector_of(file, a, &file->pos, write);
	file_pos_unlock(file);
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

/* Data and holes, of files in memory and on disks. */
static int64_t find_data(struct open_file *file, int64_t offset, bool data)
{
	enum kmm_status status;
	uint64_t pos;

	if (!is_kind(file->inode, S_IFREG) || !file->ops->own_locks) /* the kernel's own */
		return -EINVAL;
	status = offset < 0 ? KMM_ERANGE : kmm_file_seek(&file->inode->file, (uint64_t)offset, data, &pos);
	if (status)
		return status == KMM_ERANGE ? -ENXIO : os_errno(status);
	file->pos = pos;
	return (int64_t)pos;
}

/* Position locked. */
static int64_t move_to(struct open_file *file, int64_t offset, uint32_t whence)
{
	int64_t base;

	switch (whence) {
	case SEEK_SET: base = 0; break;
	case SEEK_CUR: base = (int64_t)file->pos; break;
	case SEEK_END: base = (int64_t)file->inode->file.size; break;
	case SEEK_DATA:
	case SEEK_HOLE: return find_data(file, offset, whence == SEEK_DATA);
	default: return -EINVAL;
	}
	if (base + offset < 0)
		return -EINVAL;
	file->pos = (uint64_t)(base + offset);
	return base + offset;
}

/* The position is one argument of 64-bit programs, two of 32-bit ones. */
static sword vector_at(const uword *a, bool write)
{
	struct open_file *file = file_arg(a[0]);
	uint64_t pos = abi_64() ? a[3] : (uint64_t)a[4] << 32 | (uint32_t)a[3];

	if ((int64_t)pos < 0)
		return -EINVAL;
	if (!file)
		return -EBADF;
	if (!file->ops->seekable)
		return -ESPIPE;
	return vector_of(file, a, &pos, write);
}

sword sys_preadv(const uword *a)
{
	return vector_at(a, false);
}

sword sys_pwritev(const uword *a)
{
	return vector_at(a, true);
}

/* Position -1: the file's own. Flags that ask for speed or safety are as good as kept. */
static sword vector_with_flags(const uword *a, bool write)
{
	enum { RWF_HIPRI = 1, RWF_DSYNC = 2, RWF_SYNC = 4 };
	uint64_t pos = abi_64() ? a[3] : (uint64_t)a[4] << 32 | (uint32_t)a[3];

	if ((uint32_t)a[5] & ~(uint32_t)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
		return -EOPNOTSUPP;
	return pos == UINT64_MAX ? vector(a, write) : vector_at(a, write);
}

sword sys_preadv2(const uword *a)
{
	return vector_with_flags(a, false);
}

sword sys_pwritev2(const uword *a)
{
	return vector_with_flags(a, true);
}

static int64_t seek(struct open_file *file, int64_t offset, uint32_t whence)
{
	int64_t pos;

	if (!file->ops->seekable)
		return -ESPIPE;
	file_pos_lock(file);
	pos = move_to(file, offset, whence);
	file_pos_unlock(file);
	return pos;
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
		return fd_set_cloexec(current->proc->fds, (uint32_t)a[0], a[1] == FIOCLEX);
	case FIONBIO:
		if (copy_in(&on, a[2], sizeof(on)) != 0)
			return -EFAULT;
		file_change_flags(file, O_NONBLOCK, on ? O_NONBLOCK : 0);
		return 0;
	default:
		return file_ioctl(file, (uint32_t)a[1], a[2]);
	}
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

/* Positions of two files at once: the one at the lower address first. b may be a, or NULL. */
static void lock_positions(struct open_file *a, struct open_file *b, bool lock)
{
	struct open_file *first = !b || a < b ? a : b, *second = first == a ? b : a;

	(lock ? file_pos_lock : file_pos_unlock)(first);
	if (second && second != first)
		(lock ? file_pos_lock : file_pos_unlock)(second);
}

static sword transfer_from(struct open_file *out, struct open_file *in, uint64_t *pos, uword len)
{
	struct open_file *other = pos == &in->pos ? in : NULL;
	sword n;

	lock_positions(out, other, true);
	n = transfer(out, in, pos, (uint32_t)min_word(len, MAX_RW));
	lock_positions(out, other, false);
	return n;
}

static sword sendfile(const uword *a, uint32_t offset_size)
{
	struct open_file *out = file_arg(a[0]), *in = file_arg(a[1]);
	uint64_t pos = 0;
	sword n;

	if (!in || !out || !file_can_read(in) || !file_can_write(out))
		return -EBADF;
	if (!in->ops->seekable) /* as on Linux: the source must be a file */
		return -EINVAL;
	if (!a[2])
		return transfer_from(out, in, &in->pos, a[3]);
	if (copy_in(&pos, a[2], offset_size) != 0)
		return -EFAULT;
	n = transfer_from(out, in, &pos, a[3]);
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
