/* SPDX-License-Identifier: MIT */
/*
 * Status values in words, and the errno that a Linux system call would return for each.
 */
#include "kmm/status.h"

static const struct {
	const char *name;
	int linux_errno;
} statuses[KMM_NR_STATUS] = {
	[KMM_OK] = { "KMM_OK", 0 },
	[KMM_ENOMEM] = { "KMM_ENOMEM", 12 },
	[KMM_EINVAL] = { "KMM_EINVAL", 22 },
	[KMM_EACCES] = { "KMM_EACCES", 13 },
	[KMM_EEXIST] = { "KMM_EEXIST", 17 },
	[KMM_EFAULT] = { "KMM_EFAULT", 14 },
	[KMM_EPERM] = { "KMM_EPERM", 1 },
	[KMM_EAGAIN] = { "KMM_EAGAIN", 11 },
	[KMM_EBUSY] = { "KMM_EBUSY", 16 },
	[KMM_ENOENT] = { "KMM_ENOENT", 2 },
	[KMM_ERANGE] = { "KMM_ERANGE", 34 },
	[KMM_EIO] = { "KMM_EIO", 5 },
	[KMM_EOVERFLOW] = { "KMM_EOVERFLOW", 75 },
	[KMM_ENOEXEC] = { "KMM_ENOEXEC", 8 },
	[KMM_ENODEV] = { "KMM_ENODEV", 19 },
	[KMM_ENOTSUP] = { "KMM_ENOTSUP", 95 },
};

const char *kmm_status_name(enum kmm_status status)
{
	if ((unsigned)status >= KMM_NR_STATUS)
		return "KMM_?";
	return statuses[status].name;
}

int kmm_status_errno(enum kmm_status status)
{
	if ((unsigned)status >= KMM_NR_STATUS)
		return statuses[KMM_EINVAL].linux_errno;
	return statuses[status].linux_errno;
}
