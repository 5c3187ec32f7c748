/* SPDX-License-Identifier: MIT */
/* user.c - user memory, touched only by the core's copy calls. */
#include "proc/task.h"

int copy_in(void *to, uint32_t from, size_t len)
{
	enum kmm_status status = kmm_copy_in(current->proc->mm, to, kmm_uva(from), len, NULL);

	return status == KMM_OK ? 0 : -EFAULT;
}

int copy_out(uint32_t to, const void *from, size_t len)
{
	enum kmm_status status = kmm_copy_out(current->proc->mm, kmm_uva(to), from, len, NULL);

	return status == KMM_OK ? 0 : -EFAULT;
}

int copy_in_path(uint32_t from, char **out)
{
	char *path = os_alloc(PATH_SIZE);
	enum kmm_status status;
	size_t len;

	if (!path)
		return -ENOMEM;
	status = kmm_copy_in_string(current->proc->mm, path, kmm_uva(from), PATH_SIZE, &len);
	if (status == KMM_OK) {
		*out = path;
		return 0;
	}
	os_free(path);
	return status == KMM_EOVERFLOW ? -ENAMETOOLONG : -EFAULT;
}
