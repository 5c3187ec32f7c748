/* SPDX-License-Identifier: MIT */
/*
 * Fields of a descriptor, for both widths, and lists through descriptors.
 */
#include "phys/desc.h"

#include "phys/phys.h"

unsigned kmm_page_stride(const struct kmm *k)
{
	return kmm_stride(k->phys);
}

void kmm_page_set_kind(struct kmm *k, struct kmm_page *p, enum kmm_kind kind)
{
	struct kmm_zone *z = kmm_zone_of(k->phys, p);
	kmm_word nr = (kmm_word)1 << kmm_page_order(p);
	unsigned long irq = kmm_irq_save(k);
	struct kmm_pcp *pcp = kmm_this_pcp(k, z, KMM_MOBILITY_UNMOVABLE);

	KMM_ASSERT(k, kmm_page_kind(p) >= KMM_KIND_KERNEL && kind >= KMM_KIND_KERNEL && !kmm_page_is_charged(p));
	kmm_pcp_count(pcp, kmm_page_kind(p), -nr);
	kmm_pcp_count(pcp, kind, nr);
	kmm_irq_restore(k, irq);

	kmm_flags_set(p, (p->flags & ~15u) | (uint32_t)kind);
	atomic_store_explicit(&p->count, 0, memory_order_relaxed);
	p->obj = 0;
	if (kmm_is_wide(k->phys))
		((struct kmm_page_wide *)p)->obj_hi = 0;
	kmm_set_next(k->phys, p, 0);
	kmm_set_prev(k->phys, p, 0);
}

uint64_t kmm_page_index(const struct kmm *k, const struct kmm_page *p)
{
	uint64_t index = p->a;

	if (kmm_is_wide(k->phys))
		index |= (uint64_t)((const struct kmm_page_wide *)p)->a_hi << 32;
	return index;
}

void kmm_page_set_index(const struct kmm *k, struct kmm_page *p, uint64_t index)
{
	p->a = (uint32_t)index;
	if (kmm_is_wide(k->phys))
		((struct kmm_page_wide *)p)->a_hi = (uint16_t)(index >> 32);
}

/* An owner is kept as its physical address, which is the same on every ground; 0 is none. */
void *kmm_page_owner(const struct kmm *k, const struct kmm_page *p)
{
	uint64_t pa = p->obj;

	if (kmm_is_wide(k->phys))
		pa |= (uint64_t)((const struct kmm_page_wide *)p)->obj_hi << 32;
	return pa ? kmm_lowmem_ptr(k, kmm_paddr(pa)) : NULL;
}

void kmm_page_set_owner(const struct kmm *k, struct kmm_page *p, const void *owner)
{
	uint64_t pa = owner ? kmm_lowmem_pa(k, owner).v : 0;

	p->obj = (uint32_t)pa;
	if (kmm_is_wide(k->phys))
		((struct kmm_page_wide *)p)->obj_hi = (uint32_t)(pa >> 32);
}

static struct kmm_page *linked(const struct kmm_phys *p, kmm_word link)
{
	return link ? kmm_page_at(p, link - 1) : NULL;
}

struct kmm_page *kmm_page_next(struct kmm *k, const struct kmm_page *p)
{
	return linked(k->phys, kmm_link_next(k->phys, p));
}

struct kmm_page *kmm_page_prev(struct kmm *k, const struct kmm_page *p)
{
	return linked(k->phys, kmm_link_prev(k->phys, p));
}

void kmm_page_list_add(struct kmm *k, struct kmm_page_list *list, struct kmm_page *p)
{
	kmm_list_push(k->phys, list, p, kmm_pfn_of(k->phys, p) + 1);
}

void kmm_page_list_del(struct kmm *k, struct kmm_page_list *list, struct kmm_page *p)
{
	KMM_ASSERT(k, list->nr != 0);
	kmm_list_unlink(k->phys, list, p);
	kmm_set_next(k->phys, p, 0);
	kmm_set_prev(k->phys, p, 0);
}

struct kmm_page *kmm_page_list_first(struct kmm *k, const struct kmm_page_list *list)
{
	return linked(k->phys, list->first);
}
