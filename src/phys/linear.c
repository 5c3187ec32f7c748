/* SPDX-License-Identifier: MIT */
/*
 * Frames by linear address: for who wants memory to use and no page descriptor. A high frame has no such address, so
 * these never give one.
 */
#include "kmm/page.h"
#include "phys/alloc.h"
#include "phys/phys.h"

/* Noinline: the return address must be the caller's. */
__attribute__((noinline)) void *kmm_get_free_pages(struct kmm *k, kmm_gfp gfp, unsigned order)
{
	struct kmm_page *page;

	if (gfp & KMM_GFP_HIGHMEM) {
		char names[128];

		kmm_gfp_describe(gfp, names, sizeof(names));
		kmm_warn(k, "get_free_pages: caller %lx asks with %s for an address, which high memory does not have; "
			    "HIGHMEM is ignored", (unsigned long)(uintptr_t)__builtin_return_address(0), names);
		gfp &= ~(kmm_gfp)KMM_GFP_HIGHMEM;
	}
	page = kmm_phys_alloc(k, gfp, order, KMM_KIND_KERNEL, "get_free_pages");
	return page ? kmm_page_lowmem_ptr(k, page) : NULL;
}

void kmm_free_pages_at(struct kmm *k, void *addr, unsigned order)
{
	struct kmm_page *page = kmm_virt_to_page(k, addr);

	KMM_ASSERT(k, page != NULL);
	kmm_free_pages(k, page, order);
}
