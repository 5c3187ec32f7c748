/* SPDX-License-Identifier: MIT */
/* memfd.c - files without a name in any directory (memfd_create), and the seals that a program can put on them. */
#include "sys/sys.h"

enum { MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, MFD_HUGETLB = 4, MFD_NAME_MAX = 249 };
#define MFD_HUGE_SIZES (63u << 26)

#define PREFIX "/memfd:"
#define SUFFIX " (deleted)"

/* "/memfd:NAME (deleted)", as maps and /proc/PID/fd show it. */
static int read_name(uword from, char **out)
{
	char name[MFD_NAME_MAX + 1];
	size_t len, size;
	enum kmm_status status = copy_in_string(name, from, sizeof(name), &len);

	if (status == KMM_EOVERFLOW)
		return -EINVAL;
	if (status != KMM_OK)
		return -EFAULT;
	size = sizeof(PREFIX) + len + sizeof(SUFFIX);
	*out = os_alloc(size);
	if (!*out)
		return -ENOMEM;
	x86_snprintf(*out, size, PREFIX "%s" SUFFIX, name);
	return 0;
}

/* Takes over name. */
static int make_file(char *name, uint32_t flags, struct open_file **out)
{
	struct inode *inode = inode_new(S_IFREG | 0777);
	int err;

	if (!inode) {
		os_free(name);
		return -ENOMEM;
	}
	inode->name = name;
	inode->file.name = name;
	inode->file.is_shared_memory = true;
	if (flags & MFD_ALLOW_SEALING)
		inode->file.seals = 0;
	err = file_open(inode, O_RDWR | O_LARGEFILE, out);
	inode_put(inode);
	if (err)
		return err;
	(*out)->path = os_strdup(name);
	return 0;
}

sword sys_memfd_create(const uword *a)
{
	uint32_t flags = (uint32_t)a[1], limit = (uint32_t)current->proc->rlimit[RLIMIT_NOFILE].soft;
	struct open_file *file;
	char *name;
	sword err;

	if (flags & ~(uint32_t)(MFD_CLOEXEC | MFD_ALLOW_SEALING | (flags & MFD_HUGETLB ? MFD_HUGETLB | MFD_HUGE_SIZES : 0)))
		return -EINVAL;
	err = read_name(a[0], &name);
	if (err == 0 && (flags & MFD_HUGETLB)) {
		os_free(name);
		return -ENOSYS; /* as without a file system of huge pages */
	}
	if (err == 0)
		err = make_file(name, flags, &file);
	if (err)
		return err;
	err = fd_install(current->proc->fds, file, 0, limit, flags & MFD_CLOEXEC);
	if (err < 0)
		file_put(file);
	return err;
}

/* Of files that are shared memory alone. */
sword file_get_seals(const struct open_file *file)
{
	return file->ops == &regular_ops && file->inode->file.is_shared_memory ? (sword)file->inode->file.seals : -EINVAL;
}

sword file_add_seals(const struct open_file *file, uint32_t seals)
{
	if (!file_can_write(file))
		return -EPERM;
	if (seals & ~(uint32_t)KMM_SEAL_ALL)
		return -EINVAL;
	if (file->ops != &regular_ops || !file->inode->file.is_shared_memory)
		return -EINVAL;
	return os_errno(kmm_file_add_seals(&file->inode->file, seals));
}
