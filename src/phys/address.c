/* SPDX-License-Identifier: MIT */
/*
 * A frame's names: number, descriptor, linear address, C pointer, machine address.
 */
#include "phys/phys.h"

struct kmm_pfn kmm_page_to_pfn(const struct kmm *k, const struct kmm_page *page)
{
	return kmm_pfn(kmm_pfn_of(k->phys, page));
}

struct kmm_page *kmm_pfn_to_page(struct kmm *k, struct kmm_pfn pfn)
{
	const struct kmm_phys *p = k->phys;

	if (pfn.v >= p->max_pfn)
		return NULL;
	if (!kmm_section_is_live(p, kmm_section_of(pfn.v)) && !kmm_section_need(k, pfn.v))
		return NULL;
	return kmm_page_at(p, pfn.v);
}

static bool is_ram(const struct kmm_page *page)
{
	return kmm_page_kind(page) != KMM_KIND_HOLE && !(kmm_page_flags(page) & KMM_PG_FIRMWARE);
}

bool kmm_pfn_is_ram(const struct kmm *k, struct kmm_pfn pfn)
{
	const struct kmm_phys *p = k->phys;
	struct kmm_run run;

	if (pfn.v >= p->max_pfn)
		return false;
	if (kmm_section_is_live(p, kmm_section_of(pfn.v)))
		return is_ram(kmm_page_at(p, pfn.v));
	kmm_boot_run(&p->boot, pfn.v, &run);
	return run.ram;
}

void *kmm_page_lowmem_ptr(const struct kmm *k, const struct kmm_page *page)
{
	KMM_ASSERT(k, !kmm_page_is_high(page));
	return kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_page_to_pfn(k, page)));
}

void kmm_high_address_register(struct kmm *k, void *(*lookup)(struct kmm *k, struct kmm_page *page))
{
	k->phys->high_address = lookup;
}

void *kmm_page_address(struct kmm *k, struct kmm_page *page)
{
	if (!kmm_page_is_high(page))
		return kmm_page_lowmem_ptr(k, page);
	return k->phys->high_address ? k->phys->high_address(k, page) : NULL;
}

static bool in_direct_map(const struct kmm *k, const void *ptr)
{
	return (uintptr_t)ptr - (uintptr_t)k->direct_map < k->layout.lowmem_end;
}

struct kmm_page *kmm_virt_to_page(struct kmm *k, const void *addr)
{
	struct kmm_page *page;

	if (!in_direct_map(k, addr))
		return NULL;
	page = kmm_pfn_to_page(k, kmm_paddr_to_pfn(kmm_lowmem_pa(k, addr)));
	return page && is_ram(page) ? page : NULL;
}

void *kmm_kva_to_ptr(const struct kmm *k, struct kmm_kva va)
{
	const struct kmm_port *port = k->port;
	uint64_t offset = (uint64_t)va.v - k->layout.page_offset;

	if (va.v >= k->layout.page_offset && offset < k->layout.lowmem_end)
		return kmm_lowmem_ptr(k, kmm_paddr(offset));
	if (va.v < port->window_start || (port->window_size && va.v - port->window_start >= port->window_size))
		return NULL;
	return (char *)port->window_base + (uintptr_t)(va.v - port->window_start);
}

struct kmm_kva kmm_ptr_to_kva(const struct kmm *k, const void *ptr)
{
	const struct kmm_port *port = k->port;

	if (in_direct_map(k, ptr))
		return kmm_kva((kmm_word)(k->layout.page_offset + kmm_lowmem_pa(k, ptr).v));
	return kmm_kva((kmm_word)((uintptr_t)ptr - (uintptr_t)port->window_base) + port->window_start);
}

/* A frame without a kind: free, or inside a block. It may be taken as soon as we have looked. */
static void tell_free(struct kmm *k, const struct kmm_page *page, struct kmm_page_info *out)
{
	struct kmm_zone *z = kmm_zone_of(k->phys, page);
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);
	int order = kmm_tract_block_at(z, out->pfn.v);

	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
	if (order < 0)
		order = kmm_pcp_find(z, out->pfn.v);
	if (order < 0)
		return;
	out->kind = KMM_KIND_FREE;
	out->order = (unsigned)order;
}

void kmm_page_info(struct kmm *k, struct kmm_page *page, struct kmm_page_info *out)
{
	enum kmm_kind kind = kmm_page_kind(page);

	*out = (struct kmm_page_info){
		.pfn = kmm_page_to_pfn(k, page), .kind = kind, .zone = kmm_page_zone(page),
		.order = kmm_page_order(page),
		.refcount = atomic_load_explicit(&page->refcount, memory_order_relaxed),
		.dirty = (kmm_page_flags(page) & KMM_PG_DIRTY) != 0,
	};
	if (kind == KMM_KIND_NONE)
		tell_free(k, page, out);
	if (kind >= KMM_KIND_ANON)
		out->mapcount = atomic_load_explicit(&page->count, memory_order_relaxed);
}
