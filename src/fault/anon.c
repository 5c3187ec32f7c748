/* SPDX-License-Identifier: MIT */
/*
 * First touches of private anonymous memory: reads see the zero page, writes get a page of their own.
 */
#include "fault/fault.h"

enum kmm_status kmm_fault_zero(struct kmm_fault *f)
{
	struct kmm_mm *mm = f->vma->mm;
	enum kmm_status status = kmm_fault_install(f, mm->k->vm->zero_page, kmm_fault_rights(f), NULL);

	if (status == KMM_OK)
		kmm_mm_count(mm, &mm->zero_maps);
	return status;
}

enum kmm_status kmm_fault_anon(struct kmm_fault *f)
{
	struct kmm *k = f->vma->mm->k;
	struct kmm_page *page = kmm_fault_new_page(f);
	enum kmm_status status;

	if (!page)
		return KMM_ENOMEM;
	kmm_clear_page(k, page);
	status = kmm_fault_install(f, page, kmm_fault_rights(f) | KMM_FAULT_WRITABLE, NULL);
	if (status)
		kmm_put_page(k, page);
	return status;
}
