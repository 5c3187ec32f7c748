/* SPDX-License-Identifier: MIT */
/*
 * shm.c - the calls of System V shared memory: shmget, shmat, shmdt, shmctl, and ipc(2), through which i386 programs used to
 * make them. Semaphores and message queues, which ipc(2) also leads to, do not exist here.
 */
#include "ipc/layout.h"
#include "ipc/segment.h"
#include "sys/sys.h"

enum { SHM_RDONLY = 010000, SHM_RND = 020000, SHM_REMAP = 040000, SHM_EXEC = 0100000 };
enum {
	IPC_RMID, IPC_SET, IPC_STAT, IPC_INFO,
	SHM_LOCK = 11, SHM_UNLOCK, SHM_STAT, SHM_INFO, SHM_STAT_ANY
};

sword sys_shmget(const uword *a)
{
	return segment_get((int32_t)a[0], a[1], (uint32_t)a[2]);
}

/* ---- shmat, shmdt ---- */

/* Where to: fixed, unless addr is 0. */
static int choose_address(uword *addr, uint32_t flags, unsigned *map_flags)
{
	if (!*addr)
		return flags & SHM_REMAP ? -EINVAL : 0;
	if (page_down(*addr) != *addr && !(flags & SHM_RND))
		return -EINVAL;
	*addr = page_down(*addr);
	if (!*addr && (flags & SHM_REMAP))
		return -EINVAL;
	*map_flags |= flags & SHM_REMAP || !*addr ? KMM_MAP_FIXED : KMM_MAP_FIXED_NOREPLACE;
	return 0;
}

static sword map_segment(struct kmm_mmap_args *args)
{
	enum kmm_status status;
	struct kmm_uva at;

	if ((args->flags & KMM_MAP_FIXED_NOREPLACE) && args->addr.v + (uword)args->len < args->addr.v)
		return -EINVAL;
	args->opening = opening_new(NULL, NULL);
	if (!args->opening)
		return -ENOMEM;
	args->prot = prot_of(args->prot);
	status = kmm_mmap_opened(current->proc->mm, args, &at);
	kmm_opening_put(args->opening);
	if (status == KMM_EEXIST) /* what shmat() calls a bad address */
		return -EINVAL;
	return status == KMM_OK ? (sword)at.v : os_errno(status);
}

static sword attach(int32_t id, uword addr, uint32_t flags)
{
	struct kmm_mmap_args args = { .prot = KMM_PROT_READ, .flags = KMM_MAP_SHARED };
	uint32_t mode = 0444;
	sword result;
	int err = id < 0 ? -EINVAL : choose_address(&addr, flags, &args.flags);

	if (err)
		return err;
	if (flags & SHM_RDONLY) {
		args.flags |= KMM_MAP_RDONLY;
	} else {
		args.prot |= KMM_PROT_WRITE;
		mode |= 0222;
	}
	if (flags & SHM_EXEC) {
		args.prot |= KMM_PROT_EXEC;
		mode |= 0111;
	}
	err = segment_attach(id, mode, &args.backing, &args.len);
	if (err)
		return err;
	args.addr = kmm_uva(addr);
	result = map_segment(&args);
	segment_attached(args.backing);
	return result;
}

sword sys_shmat(const uword *a)
{
	return attach((int32_t)a[0], a[1], (uint32_t)a[2]);
}

sword sys_shmdt(const uword *a)
{
	return os_errno(kmm_munmap_attached(current->proc->mm, kmm_uva(a[0]), &segment_areas));
}

/* ---- shmctl ---- */

/* What the numbers of segments end with: the highest place in use. */
static sword highest(const struct segment_sums *sums)
{
	return sums->max_index < 0 ? 0 : sums->max_index;
}

static sword tell_limits(uword to, bool old)
{
	struct segment_limits limits = segment_limits();
	struct segment_sums sums;

	segment_sums(&sums);
	return put_segment_limits(to, &limits, old) != 0 ? -EFAULT : highest(&sums);
}

static sword tell_sums(uword to)
{
	struct segment_sums sums;

	segment_sums(&sums);
	return put_segment_sums(to, &sums) != 0 ? -EFAULT : highest(&sums);
}

static sword tell_segment(int32_t id, uint32_t cmd, uword to, bool old)
{
	struct segment_info info;
	int err = segment_stat(id, cmd != IPC_STAT, cmd != SHM_STAT_ANY, &info);

	if (err)
		return err;
	if (put_segment(to, &info, old) != 0)
		return -EFAULT;
	return cmd == IPC_STAT ? 0 : info.id;
}

static sword set_segment(int32_t id, uword from, bool old)
{
	struct segment_info want;

	if (get_segment(&want, from, old) != 0)
		return -EFAULT;
	return segment_set(id, want.uid, want.gid, want.mode);
}

/* old: structures of before there were more than 65535 users. */
static sword control(int32_t id, uint32_t cmd, uword at, bool old)
{
	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO: return tell_limits(at, old);
	case SHM_INFO: return tell_sums(at);
	case IPC_STAT:
	case SHM_STAT:
	case SHM_STAT_ANY: return tell_segment(id, cmd, at, old);
	case IPC_SET: return set_segment(id, at, old);
	case IPC_RMID: return segment_remove(id);
	case SHM_LOCK:
	case SHM_UNLOCK: return segment_lock(id, cmd == SHM_LOCK);
	default: return -EINVAL;
	}
}

sword sys_shmctl(const uword *a)
{
	return control((int32_t)a[0], (uint32_t)a[1], a[2], false);
}

/* ---- ipc(2) ---- */

static sword attach_by_ipc(const uword *a, uint32_t version)
{
	sword at;

	if (version == 1)
		return -EINVAL;
	at = attach((int32_t)a[1], a[4], (uint32_t)a[2]);
	if (at < 0 && at > -4096)
		return at;
	return put_u32(a[3], (uint32_t)at);
}

/* The call and a version of its arguments, three numbers, a pointer. */
sword sys_ipc(const uword *a)
{
	enum { SHMAT = 21, SHMDT, SHMGET, SHMCTL };
	const uint32_t new_layout = 0x100;
	uint32_t call = (uint32_t)a[0] & 0xffff, version = (uint32_t)a[0] >> 16, cmd = (uint32_t)a[2];

	switch (call) {
	case SHMAT: return attach_by_ipc(a, version);
	case SHMDT: return sys_shmdt(&a[4]);
	case SHMGET: return segment_get((int32_t)a[1], a[2], (uint32_t)a[3]);
	case SHMCTL: return control((int32_t)a[1], cmd & ~new_layout, a[4], !(cmd & new_layout));
	default: return -ENOSYS;
	}
}
