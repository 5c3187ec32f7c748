/* SPDX-License-Identifier: MIT */
/* vdso.c - one frame of code that every space shows read-only: the way back from a handler without SA_RESTORER. */
#include "kmm/kmap.h"
#include "proc/layout.h"
#include "sig/sig.h"

static struct kmm_page *page;

int vdso_init(void)
{
	static const uint8_t sigreturn[] = { 0x58, 0xb8, 119, 0, 0, 0, 0xcd, 0x80 }; /* pop eax; mov eax, nr; int 80h */
	static const uint8_t rt_sigreturn[] = { 0xb8, 173, 0, 0, 0, 0xcd, 0x80 };
	char *view;

	page = kmm_alloc_cleared_page(os.k, KMM_GFP_HIGHUSER);
	if (!page)
		return -ENOMEM;
	view = kmm_kmap_local(os.k, page);
	memcpy(view + VDSO_SIGRETURN, sigreturn, sizeof(sigreturn));
	memcpy(view + VDSO_RT_SIGRETURN, rt_sigreturn, sizeof(rt_sigreturn));
	kmm_kunmap_local(os.k, view);
	return 0;
}

int vdso_map(struct kmm_mm *mm, uword *where)
{
	enum kmm_status status = layout_hole(mm, KMM_PAGE_SIZE, where);

	if (status == KMM_OK)
		status = kmm_mm_map_special(mm, kmm_uva(*where), &page, 1, KMM_PROT_READ | KMM_PROT_EXEC, "[vdso]");
	return os_errno(status);
}
