/* SPDX-License-Identifier: MIT */
/*
 * Free blocks of a zone: one list per order, blocks aligned to their size, a freed block joined with its
 * buddy while that is free and of the same order and zone.
 *
 * The head of a free block has kind FREE and the order in its flags; the bodies have kind NONE. A buddy
 * beyond the zone's bounds must not be looked at: its descriptor may not exist or not be materialised.
 * Inside them it shares the section (a section holds whole blocks), so it is as alive as the block.
 * All functions: lock z held. No policy here: watermarks and kinds are the caller's.
 */
#include "phys/phys.h"

_Static_assert((1u << KMM_MAX_ORDER) <= KMM_SECTION_PAGES, "a section holds whole blocks of every order");

static uint32_t free_flags(const struct kmm_zone *z, unsigned order)
{
	return KMM_KIND_FREE | order << 4 | z->bits;
}

void kmm_buddy_insert(struct kmm *k, struct kmm_zone *z, kmm_word pfn, unsigned order)
{
	struct kmm_page *page = kmm_page_at(k->phys, pfn);

	page->flags = free_flags(z, order);
	kmm_page_list_add(k, &z->free_list[order], page);
	z->nonempty |= (uint16_t)(1u << order);
}

/* Off its list; it becomes a body until somebody gives it a kind. */
static void extract(struct kmm *k, struct kmm_zone *z, struct kmm_page *page, unsigned order)
{
	kmm_page_list_del(k, &z->free_list[order], page);
	if (z->free_list[order].nr == 0)
		z->nonempty &= (uint16_t)~(1u << order);
	page->flags = z->bits;
}

bool kmm_buddy_has(struct kmm *k, struct kmm_zone *z, unsigned order)
{
	while (!(z->nonempty >> order))
		if (!kmm_zone_grow(k, z))
			return false;
	return true;
}

struct kmm_page *kmm_buddy_take(struct kmm *k, struct kmm_zone *z, unsigned order)
{
	struct kmm_page *page;
	unsigned have;
	kmm_word pfn;

	if (!kmm_buddy_has(k, z, order))
		return NULL;
	have = order + kmm_ctz_u32((uint32_t)z->nonempty >> order);
	page = kmm_page_list_first(k, &z->free_list[have]);
	extract(k, z, page, have);
	/* Keep the low half, so that memory is handed out in rising order. */
	for (pfn = kmm_pfn_of(k->phys, page); have > order;) {
		have--;
		kmm_buddy_insert(k, z, pfn + ((kmm_word)1 << have), have);
	}
	kmm_zone_set_free(z, z->free - ((kmm_word)1 << order));
	return page;
}

void kmm_buddy_free(struct kmm *k, struct kmm_zone *z, kmm_word pfn, unsigned order)
{
	kmm_zone_set_free(z, z->free + ((kmm_word)1 << order));
	while (order < KMM_MAX_ORDER) {
		kmm_word buddy = pfn ^ ((kmm_word)1 << order);
		struct kmm_page *page = kmm_page_at(k->phys, buddy);

		if (buddy < z->first || buddy >= z->end || (page->flags & KMM_FREE_MASK) != free_flags(z, order))
			break;
		extract(k, z, page, order);
		kmm_page_at(k->phys, pfn)->flags = z->bits;
		pfn &= buddy;
		order++;
	}
	kmm_buddy_insert(k, z, pfn, order);
}
