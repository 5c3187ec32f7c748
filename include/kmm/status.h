/* SPDX-License-Identifier: MIT */
/*
 * The one error type. 0 is success; a failed call leaves the state as it was before.
 * Values that a Linux system call would report carry that errno in kmm_status_errno().
 */
#ifndef KMM_STATUS_H
#define KMM_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KMM_MUST_CHECK __attribute__((warn_unused_result))
#else
#define KMM_MUST_CHECK
#endif

enum kmm_status {
	KMM_OK = 0,
	KMM_ENOMEM,     /* no page, no room in a window, or a limit that Linux reports as ENOMEM */
	KMM_EINVAL,     /* an argument is malformed */
	KMM_EACCES,     /* protection asked for is not allowed by the backing */
	KMM_EEXIST,     /* the range is already mapped */
	KMM_EFAULT,     /* a user address cannot be read or written */
	KMM_EPERM,      /* below mmap_min_addr, or not owner */
	KMM_EAGAIN,     /* would have to wait, caller said not to; locked-memory limit */
	KMM_EBUSY,      /* object in use */
	KMM_ENOENT,     /* nothing there */
	KMM_ERANGE,     /* outside what this machine can address */
	KMM_EIO,        /* backing or swap I/O failed */
	KMM_EOVERFLOW,  /* too many ranges, CPUs, slots for the built-in limit */
	KMM_ENOEXEC,    /* not a program this machine runs */
	KMM_ENODEV,     /* the file is none that can be mapped */
	KMM_ENOTSUP,    /* this machine or build lacks the feature */
	KMM_NR_STATUS
};

/* Name of a status ("KMM_ENOMEM"), never NULL. Any context. */
const char *kmm_status_name(enum kmm_status status);

/* Linux errno number for a status, positive (KMM_ENOMEM -> 12; KMM_OK -> 0). Any context. */
int kmm_status_errno(enum kmm_status status);

#ifdef __cplusplus
}
#endif
#endif
