/* SPDX-License-Identifier: MIT */
/* x64.c - calls that only 64-bit programs have. */
#include "sys/sys.h"

/* The bases of FS and GS. An address that could not be one of the program's is refused. */
sword sys_arch_prctl(const uword *a)
{
	enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS };
	struct x86_tls *tls = &current->tls;
	bool set = a[0] == ARCH_SET_FS || a[0] == ARCH_SET_GS;

	if (set && a[1] >= kmm_layout_of(os.k)->user_end_max)
		return -EPERM;
	x86_tls_save(tls);
	switch ((uint32_t)a[0]) {
	case ARCH_SET_FS: tls->fs_base = a[1], tls->fs = 0; break;
	case ARCH_SET_GS: tls->gs_base = a[1], tls->gs = 0; break;
	case ARCH_GET_FS: return put_words(a[1], &tls->fs_base, 1);
	case ARCH_GET_GS: return put_words(a[1], &tls->gs_base, 1);
	default: return -EINVAL;
	}
	x86_tls_load(tls);
	return 0;
}
