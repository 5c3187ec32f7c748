/* SPDX-License-Identifier: MIT */
/* userfaultfd.c - the call that makes the descriptors of fs/userfault.c. */
#include "fs/userfault.h"
#include "sys/sys.h"

enum { USER_MODE_ONLY = 1 };

sword sys_userfaultfd(const uword *a)
{
	uint32_t flags = (uint32_t)a[0], limit = (uint32_t)current->proc->rlimit[RLIMIT_NOFILE].soft;
	struct open_file *file;
	int fd, err;

	if (!userfault_for_all && !(flags & USER_MODE_ONLY) && !(current->proc->caps.effective & CAP_SYS_PTRACE))
		return -EPERM;
	if (flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY))
		return -EINVAL;
	err = userfault_create(flags & USER_MODE_ONLY, flags & (O_NONBLOCK | O_CLOEXEC), &file);
	if (err)
		return err;
	fd = fd_install(current->proc->fds, file, 0, limit, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(file);
	return fd;
}
