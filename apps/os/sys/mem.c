/* SPDX-License-Identifier: MIT */
/* mem.c - the memory calls: thin, because the core has Linux's semantics and numbers. */
#include "sys/sys.h"

enum { PROT_SEM = 8, MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4 };

static struct kmm_mm *mm(void)
{
	return current->proc->mm;
}

/* The content of a file mapping, with a reference; NULL in *out: anonymous memory (/dev/zero). */
static int backing_of(const struct open_file *file, uint32_t prot, uint32_t flags, struct kmm_backing **out)
{
	if (!file_can_read(file))
		return -EACCES;
	if ((flags & KMM_MAP_TYPE) != KMM_MAP_PRIVATE && (prot & KMM_PROT_WRITE) && !file_can_write(file))
		return -EACCES;
	if (is_kind(file->inode, S_IFCHR) && file->inode->rdev == (1 << 8 | 5)) {
		*out = NULL;
		return 0;
	}
	if (file->ops != &regular_ops)
		return -ENODEV;
	*out = &file->inode->file.backing;
	kmm_backing_get(*out);
	return 0;
}

static sword map(uword addr, uword len, uint32_t prot, uint32_t flags, uint32_t fd, uword page)
{
	struct kmm_backing *backing = NULL;
	enum kmm_status status;
	struct kmm_uva at;

	if (!(flags & KMM_MAP_ANONYMOUS)) {
		struct open_file *file = fd_get(&current->proc->fds, fd);
		int err = file ? backing_of(file, prot, flags, &backing) : -EBADF;

		file_put(file);
		if (err)
			return err;
		if (!backing)
			flags |= KMM_MAP_ANONYMOUS;
	}
	status = kmm_mmap(mm(), kmm_uva(addr), len, prot & 7, flags, backing, page, &at);
	if (backing)
		kmm_backing_put(backing);
	return status == KMM_OK ? (sword)at.v : os_errno(status);
}

sword sys_mmap2(const uword *a)
{
	return map(a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* With the offset in bytes. */
static sword map_bytes(const uword *a)
{
	if (a[5] & (KMM_PAGE_SIZE - 1))
		return -EINVAL;
	return map(a[0], a[1], (uint32_t)a[2], (uint32_t)a[3], (uint32_t)a[4], a[5] >> KMM_PAGE_SHIFT);
}

/* The first mmap of i386 has its arguments in memory. */
sword sys_old_mmap(const uword *a)
{
	uint32_t args[6];

	if (copy_in(args, a[0], sizeof(args)) != 0)
		return -EFAULT;
	return map_bytes((const uword[]){ args[0], args[1], args[2], args[3], args[4], args[5] });
}

sword sys_mmap(const uword *a)
{
	return map_bytes(a);
}

sword sys_munmap(const uword *a)
{
	return os_errno(kmm_munmap(mm(), kmm_uva(a[0]), a[1]));
}

sword sys_mprotect(const uword *a)
{
	if (a[2] & ~(uint32_t)(7 | PROT_SEM))
		return -EINVAL;
	return os_errno(kmm_mprotect(mm(), kmm_uva(a[0]), a[1], a[2] & 7));
}

sword sys_mremap(const uword *a)
{
	struct kmm_uva at;
	enum kmm_status status = kmm_mremap(mm(), kmm_uva(a[0]), a[1], a[2], a[3], kmm_uva(a[4]), &at);

	return status == KMM_OK ? (sword)at.v : os_errno(status);
}

sword sys_madvise(const uword *a)
{
	return os_errno(kmm_madvise(mm(), kmm_uva(a[0]), a[1], (int)a[2]));
}

sword sys_brk(const uword *a)
{
	return (sword)kmm_brk(mm(), kmm_uva(a[0])).v;
}

/* Files have no disk behind them: what is checked is all there is to do. */
sword sys_msync(const uword *a)
{
	uword at = a[0], end = at + page_up(a[1]);

	if ((a[0] & (KMM_PAGE_SIZE - 1)) || (a[2] & ~7u) || (a[2] & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	if (end < at)
		return -ENOMEM;
	while (at < end) {
		struct kmm_vma_info vma;

		if (!kmm_vma_find(mm(), kmm_uva(at), &vma) || vma.start.v > at)
			return -ENOMEM;
		at = vma.end.v;
	}
	return 0;
}
