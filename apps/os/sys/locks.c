/* SPDX-License-Identifier: MIT */
/* locks.c - the calls of advisory locks: fcntl's record locks in their two layouts, flock. */
#include "fs/locks.h"
#include "sys/locks.h"
#include "sys/sys.h"

enum { F_RDLCK, F_WRLCK, F_UNLCK };
enum lock_act { ASK, TRY, WAIT };

static const struct command {
	uint32_t number;
	enum lock_act act;
	bool of_file;    /* owned by the open file, not by the process */
	bool wide;       /* struct flock64 on i386 */
	bool only_32;
} commands[] = {
	{ 5, ASK, false, false, false }, { 6, TRY, false, false, false }, { 7, WAIT, false, false, false }, /* F_GETLK ... */
	{ 12, ASK, false, true, true }, { 13, TRY, false, true, true }, { 14, WAIT, false, true, true },    /* F_GETLK64 ... */
	{ 36, ASK, true, true, false }, { 37, TRY, true, true, false }, { 38, WAIT, true, true, false },    /* F_OFD_GETLK ... */
};
#define WHOLE_FILE UINT64_MAX
#define OFF_MAX ((uint64_t)INT64_MAX)

/* struct flock in common form. */
struct flock {
	int16_t type, whence;
	int64_t start, len;
	int32_t pid;
};

struct flock64 { /* of x86-64 */
	int16_t type, whence;
	int32_t pad;
	int64_t start, len;
	int32_t pid, pad2;
};
struct flock32 {
	int16_t type, whence;
	int32_t start, len, pid;
};
struct flock32_64 { /* of i386, with 64-bit offsets */
	int16_t type, whence;
	int64_t start, len;
	int32_t pid;
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct flock64) == 32 && sizeof(struct flock32) == 16 && sizeof(struct flock32_64) == 24, "struct flock");

static int get_flock(uword from, bool wide, struct flock *f)
{
	struct flock64 n;
	struct flock32 s;
	struct flock32_64 w;

	if (abi_64()) {
		if (copy_in(&n, from, sizeof(n)) != 0)
			return -EFAULT;
		*f = (struct flock){ n.type, n.whence, n.start, n.len, n.pid };
	} else if (wide) {
		if (copy_in(&w, from, sizeof(w)) != 0)
			return -EFAULT;
		*f = (struct flock){ w.type, w.whence, w.start, w.len, w.pid };
	} else {
		if (copy_in(&s, from, sizeof(s)) != 0)
			return -EFAULT;
		*f = (struct flock){ s.type, s.whence, s.start, s.len, s.pid };
	}
	return 0;
}

static int put_flock(uword to, bool wide, const struct flock *f)
{
	const struct flock64 n = { f->type, f->whence, 0, f->start, f->len, f->pid, 0 };
	const struct flock32 s = { f->type, f->whence, (int32_t)f->start, (int32_t)f->len, f->pid };
	const struct flock32_64 w = { f->type, f->whence, f->start, f->len, f->pid };

	if (abi_64())
		return copy_out(to, &n, sizeof(n));
	if (wide)
		return copy_out(to, &w, sizeof(w));
	return f->start > INT32_MAX || f->len > INT32_MAX ? -EOVERFLOW : copy_out(to, &s, sizeof(s));
}

static int base_of(const struct open_file *file, int16_t whence, int64_t *base)
{
	switch (whence) {
	case SEEK_SET: *base = 0; return 0;
	case SEEK_CUR: *base = (int64_t)file->pos; return 0;
	case SEEK_END: *base = (int64_t)file->inode->file.size; return 0;
	default: return -EINVAL;
	}
}

/* Lengths may be negative: the bytes before the start. 0: to the end, wherever that will be. */
static int to_range(const struct flock *f, int64_t base, struct file_lock *lock)
{
	int64_t start;

	if (__builtin_add_overflow(base, f->start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	lock->start = (uint64_t)start;
	lock->end = OFF_MAX;
	if (f->len > 0) {
		if ((uint64_t)f->len - 1 > OFF_MAX - lock->start)
			return -EOVERFLOW;
		lock->end = lock->start + (uint64_t)f->len - 1;
	} else if (f->len < 0) {
		if (start + f->len < 0)
			return -EINVAL;
		lock->end = lock->start - 1;
		lock->start = (uint64_t)(start + f->len);
	}
	return 0;
}

static int to_lock(struct open_file *file, const struct flock *f, bool of_file, struct file_lock *lock)
{
	int64_t base = 0;
	int err = base_of(file, f->whence, &base);

	*lock = (struct file_lock){ .inode = file->inode, .pid = of_file ? (uint32_t)-1 : current->proc->pid,
				    .owner = of_file ? (const void *)file : current->proc->fds };
	if (err)
		return err;
	if (f->type != F_RDLCK && f->type != F_WRLCK && f->type != F_UNLCK)
		return -EINVAL;
	lock->type = f->type == F_RDLCK ? LOCK_READ : f->type == F_WRLCK ? LOCK_WRITE : LOCK_NONE;
	return to_range(f, base, lock);
}

static sword ask(struct open_file *file, struct flock *f, const struct command *call, uword at)
{
	struct file_lock lock, found;
	int err = f->type == F_UNLCK ? -EINVAL : to_lock(file, f, call->of_file, &lock);

	if (err)
		return err;
	if (!lock_find(&lock, &found)) {
		f->type = F_UNLCK;
	} else {
		*f = (struct flock){ found.type == LOCK_WRITE ? F_WRLCK : F_RDLCK, SEEK_SET, (int64_t)found.start,
				     found.end == OFF_MAX ? 0 : (int64_t)(found.end - found.start + 1), (int32_t)found.pid };
	}
	return put_flock(at, call->wide, f);
}

static const struct command *find_command(uint32_t number)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i].number == number && !(commands[i].only_32 && abi_64()))
			return &commands[i];
	return NULL;
}

sword record_lock(struct open_file *file, uint32_t command, uword at)
{
	const struct command *call = find_command(command);
	struct file_lock lock;
	struct flock f;
	int err = call ? get_flock(at, call->wide, &f) : -EINVAL;

	if (err)
		return err;
	if (call->of_file && f.pid)
		return -EINVAL;
	if (call->act == ASK)
		return ask(file, &f, call, at);
	err = to_lock(file, &f, call->of_file, &lock);
	if (err)
		return err;
	if ((f.type == F_RDLCK && !file_can_read(file)) || (f.type == F_WRLCK && !file_can_write(file)))
		return -EBADF;
	err = lock_set(&lock, call->act == WAIT);
	return err == -EINTR ? -ERESTARTSYS : err;
}

sword sys_flock(const uword *a)
{
	enum { LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8 };
	struct open_file *file = file_arg((uint32_t)a[0]);
	uint32_t what = (uint32_t)a[1] & ~(uint32_t)LOCK_NB;
	struct file_lock lock = { .whole = true, .end = WHOLE_FILE };
	int err;

	if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN)
		return -EINVAL;
	if (!file || (file->flags & O_PATH))
		return -EBADF;
	lock.inode = file->inode;
	lock.owner = file;
	lock.type = what == LOCK_SH ? LOCK_READ : what == LOCK_EX ? LOCK_WRITE : LOCK_NONE;
	if (lock.type == LOCK_WRITE || lock.type == LOCK_READ) { /* changing the kind gives up the old one first: flock(2) */
		struct file_lock none = lock;

		none.type = LOCK_NONE;
		err = lock_set(&none, false);
		if (err)
			return err;
	}
	err = lock_set(&lock, !(a[1] & LOCK_NB));
	return err == -EINTR ? -ERESTARTSYS : err;
}
