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

static inline uint32_t free_flags(const struct kmm_zone *z, unsigned order)
{
	return KMM_KIND_FREE | order << 4 | z->bits;
}

static inline void insert(struct kmm_phys *p, struct kmm_zone *z, struct kmm_page *page, kmm_word pfn, unsigned order)
{
	page->flags = free_flags(z, order);
	kmm_list_push(p, &z->free_list[order], page, pfn + 1);
	z->nonempty |= (uint16_t)(1u << order);
}

void kmm_buddy_insert(struct kmm *k, struct kmm_zone *z, kmm_word pfn, unsigned order)
{
	insert(k->phys, z, kmm_page_at(k->phys, pfn), pfn, order);
}

/* Off its list; it becomes a body until somebody gives it a kind. */
static inline void extract(struct kmm_phys *p, struct kmm_zone *z, struct kmm_page *page, unsigned order)
{
	kmm_list_unlink(p, &z->free_list[order], page);
	if (z->free_list[order].first == 0)
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

/* The first block of list `have`, cut down to order; the high halves become free blocks, so that memory is
 * handed out in rising order. */
static struct kmm_page *take_from(struct kmm_phys *p, struct kmm_zone *z, unsigned have, unsigned order)
{
	kmm_word pfn = z->free_list[have].first - 1;
	struct kmm_page *page = kmm_page_at(p, pfn);

	extract(p, z, page, have);
	while (have > order) {
		kmm_word half;

		have--;
		half = pfn + ((kmm_word)1 << have);
		insert(p, z, kmm_page_at(p, half), half, have);
	}
	kmm_zone_set_free(z, z->free - ((kmm_word)1 << order));
	return page;
}

struct kmm_page *kmm_buddy_take(struct kmm *k, struct kmm_zone *z, unsigned order)
{
	if (!kmm_buddy_has(k, z, order))
		return NULL;
	return take_from(k->phys, z, order + kmm_ctz_u32((uint32_t)z->nonempty >> order), order);
}

void kmm_buddy_free(struct kmm *k, struct kmm_zone *z, kmm_word pfn, unsigned order)
{
	struct kmm_phys *p = k->phys;
	struct kmm_page *page = kmm_page_at(p, pfn);

	kmm_zone_set_free(z, z->free + ((kmm_word)1 << order));
	for (; order < KMM_MAX_ORDER; order++) {
		kmm_word buddy = pfn ^ ((kmm_word)1 << order);
		struct kmm_page *other = kmm_page_at(p, buddy);

		if (buddy < z->first || buddy >= z->end || (kmm_flags_peek(other) & KMM_FREE_MASK) != free_flags(z, order))
			break;
		extract(p, z, other, order);
		page->flags = z->bits;
		if (buddy < pfn) {
			pfn = buddy;
			page = other;
		}
	}
	insert(p, z, page, pfn, order);
}
