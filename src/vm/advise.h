/* SPDX-License-Identifier: MIT */
/*
 * Advice about pages, for madvise.c.
 */
#ifndef KMM_VM_ADVISE_H
#define KMM_VM_ADVISE_H

#include "vm/lock.h"

/* WILLNEED, DONTNEED, DONTNEED_LOCKED, FREE, REMOVE, COLLAPSE, COLD or PAGEOUT of [start, end) within vma. m is held, and may be given
 * back and taken again: vma may be gone afterwards. */
KMM_MUST_CHECK enum kmm_status kmm_advise_pages(struct kmm_vma *vma, kmm_word start, kmm_word end, int advice);

/* COLLAPSE, likewise; m is held throughout (collapse.c). errors: KMM_EINVAL, KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_advise_collapse(struct kmm_vma *vma, kmm_word start, kmm_word end);

#endif
