/* SPDX-License-Identifier: MIT */
/*
 * Whole-frame work on frames that may be high: through short views. The physical tier refuses ZERO for high
 * requests because clearing needs a view, and views lie above it; here is the call that does both.
 */
#include "kva/kva.h"

void kmm_clear_page(struct kmm *k, struct kmm_page *page)
{
	void *view = kmm_view(k, page);

	KMM_CHECK(k, ((uintptr_t)view & (KMM_PAGE_SIZE - 1)) == 0);
	if (k->port->zero_frame)
		k->port->zero_frame(k->port, view);
	else
		__builtin_memset(__builtin_assume_aligned(view, KMM_PAGE_SIZE), 0, KMM_PAGE_SIZE);
	kmm_unview(k, page, view);
}

void kmm_copy_page(struct kmm *k, struct kmm_page *to, struct kmm_page *from)
{
	void *source = kmm_view(k, from), *target = kmm_view(k, to);

	KMM_ASSERT(k, source != target); /* a copy onto itself is a caller's mistake of pages */
	if (k->port->copy_frame)
		k->port->copy_frame(k->port, target, source);
	else
		__builtin_memcpy(target, source, KMM_PAGE_SIZE);
	kmm_unview(k, to, target);
	kmm_unview(k, from, source);
}

struct kmm_page *kmm_alloc_cleared_page(struct kmm *k, kmm_gfp gfp)
{
	struct kmm_page *page = kmm_alloc_pages(k, gfp & ~(kmm_gfp)KMM_GFP_ZERO, 0);

	if (page)
		kmm_clear_page(k, page);
	return page;
}
