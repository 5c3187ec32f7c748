/* SPDX-License-Identifier: MIT */
/* mem.c - the memory calls: thin, because the core has Linux's semantics and numbers. */
#include "sys/sys.h"

static struct kmm_mm *mm(void)
{
	return current->proc->mm;
}

/* Bits of mmap's flags that mean something to the core alone; Linux knows none of them. */
#define CORE_FLAGS ((uint32_t)(KMM_MAP_RDONLY | KMM_MAP_WRONLY | KMM_MAP_NODEV))
enum { UNKNOWN_FLAG = 0x80 };

static bool is_zero_device(const struct open_file *file)
{
	return is_kind(file->inode, S_IFCHR) && file->inode->rdev == (1 << 8 | 5);
}

/* The content of a file mapping, and its opening, with a reference each; the core judges in its turn how it was opened. */
static int backing_of(struct open_file *file, uint32_t *flags, struct kmm_mmap_args *out)
{
	if (!file || (file->flags & O_PATH))
		return -EBADF;
	if (*flags & KMM_MAP_HUGETLB)
		return -EINVAL;
	out->opening = file_opening(file);
	if (!out->opening)
		return -ENOMEM;
	kmm_opening_get(out->opening);
	if (!file_can_write(file))
		*flags |= KMM_MAP_RDONLY;
	if (!file_can_read(file))
		*flags |= KMM_MAP_WRONLY;
	if (is_zero_device(file))
		return 0; /* an opening of nothing */
	out->backing = file->ops == &block_ops ? block_backing(file) : &file->inode->file.backing;
	if (file->ops != &regular_ops && file->ops != &block_ops)
		*flags |= KMM_MAP_NODEV;
	kmm_backing_get(out->backing);
	return 0;
}

unsigned prot_of(unsigned prot)
{
	return (prot & KMM_PROT_READ) && (current->personality & PER_READ_RUNS) ? prot | KMM_PROT_EXEC : prot;
}

static sword map(uword addr, uword len, uint32_t prot, uint32_t flags, uint32_t fd, uword page)
{
	struct kmm_mmap_args args = { .addr = kmm_uva(addr), .len = len, .prot = prot_of(prot & 7), .pgoff = page };
	enum kmm_status status;
	struct kmm_uva at;

	if (flags & CORE_FLAGS)
		flags = (flags & ~CORE_FLAGS) | UNKNOWN_FLAG;
	if (!(flags & KMM_MAP_ANONYMOUS)) {
		struct open_file *file = fd_get(current->proc->fds, fd);
		int err = backing_of(file, &flags, &args);

		file_put(file);
		if (err)
			return err;
	}
	args.flags = flags;
	status = kmm_mmap_opened(mm(), &args, &at);
	if (args.backing)
		kmm_backing_put(args.backing);
	if (args.opening)
		kmm_opening_put(args.opening);
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

/* A long of flags in an int: bits above it are as unknown as its bit 30. */
static unsigned flags_of(uword word)
{
	return (unsigned)word | (word > UINT32_MAX ? 1u << 30 : 0);
}

sword sys_mprotect(const uword *a)
{
	return os_errno(kmm_mprotect(mm(), kmm_uva(a[0]), a[1], prot_of(flags_of(a[2]))));
}

/* Protection keys, as on a processor without them: there is none to be had, and -1 says that none is meant. */
sword sys_pkey_alloc(const uword *a)
{
	(void)a;
	return -EINVAL;
}

sword sys_pkey_free(const uword *a)
{
	(void)a;
	return -EINVAL;
}

sword sys_pkey_mprotect(const uword *a)
{
	enum { GROWS_DOWN_AND_UP = 0x03000000 };
	const uword mask = KMM_PAGE_SIZE - 1, len = (a[1] + mask) & ~mask;

	if ((int32_t)a[3] == -1)
		return sys_mprotect(a);
	if ((a[0] & mask) || (a[2] & GROWS_DOWN_AND_UP) == GROWS_DOWN_AND_UP)
		return -EINVAL;
	if (a[1] == 0)
		return 0;
	return a[0] + len <= a[0] ? -ENOMEM : -EINVAL; /* not allocated */
}

sword sys_mremap(const uword *a)
{
	struct kmm_uva at;
	enum kmm_status status = kmm_mremap(mm(), kmm_uva(a[0]), a[1], a[2], flags_of(a[3]), kmm_uva(a[4]), &at);

	return status == KMM_OK ? (sword)at.v : os_errno(status);
}

sword sys_madvise(const uword *a)
{
	return os_errno(kmm_madvise(mm(), kmm_uva(a[0]), a[1], (int)a[2]));
}

sword sys_brk(const uword *a)
{
	const uword mask = KMM_PAGE_SIZE - 1;
	uword old = (uword)kmm_brk(mm(), kmm_uva(0)).v, now = (uword)kmm_brk(mm(), kmm_uva(a[0])).v;
	uword from = (old + mask) & ~mask, to = (now + mask) & ~mask;

	if (to > from && (current->personality & PER_READ_RUNS) &&
	    kmm_mprotect(mm(), kmm_uva(from), to - from, KMM_PROT_READ | KMM_PROT_WRITE | KMM_PROT_EXEC) != KMM_OK)
		now = (uword)kmm_brk(mm(), kmm_uva(old)).v; /* no memory for another area */
	return (sword)now;
}

sword sys_mlock(const uword *a)
{
	return os_errno(kmm_mlock(mm(), kmm_uva(a[0]), a[1], 0));
}

sword sys_mlock2(const uword *a)
{
	return os_errno(kmm_mlock(mm(), kmm_uva(a[0]), a[1], (unsigned)a[2]));
}

sword sys_munlock(const uword *a)
{
	return os_errno(kmm_munlock(mm(), kmm_uva(a[0]), a[1]));
}

sword sys_mlockall(const uword *a)
{
	return os_errno(kmm_mlockall(mm(), (unsigned)a[0]));
}

sword sys_munlockall(const uword *a)
{
	(void)a;
	kmm_munlockall(mm());
	return 0;
}

sword sys_mincore(const uword *a)
{
	return os_errno(kmm_mincore(mm(), kmm_uva(a[0]), a[1], kmm_uva(a[2])));
}

sword sys_msync(const uword *a)
{
	return os_errno(kmm_msync(mm(), kmm_uva(a[0]), a[1], (unsigned)a[2]));
}

sword sys_remap_file_pages(const uword *a)
{
	return os_errno(kmm_remap_file_pages(mm(), kmm_uva(a[0]), a[1], flags_of(a[2]), a[3], (unsigned)a[4]));
}
