/* SPDX-License-Identifier: MIT */
/*
 * Page owner: a note of 32 bytes about each frame that was allocated or freed since it was switched on.
 *
 *	root -> ... -> inner pages -> leaf: 128 notes     pages of the machine's own low memory, made when first needed
 *
 * Callers are numbered, so that notes stay small and hold no pointers. The pages of the table itself have no notes: the
 * hooks know them by the address of their site's name. A frame whose note cannot be made (low memory is short) is
 * counted as lost and goes without.
 *
 * Lock: d->lock for sites, counters and the writing of notes. Readers of reports may see a note half old, half new.
 */
#include "phys/owner.h"

#include "phys/phys.h"

#define NOTE_SHIFT 7u                 /* notes in a leaf */
#define LINK_SHIFT (sizeof(kmm_word) == 8 ? 9u : 10u)
#define STATE_ORDER kmm_size_to_order(sizeof(struct kmm_page_debug))

_Static_assert(sizeof(struct kmm_frame_note) << NOTE_SHIFT == KMM_PAGE_SIZE, "a leaf is a page");

#define TABLE_MARK 0x4e4f5445u        /* in a descriptor: a page of the table, never linked into it */

static const char table_site[] = "page debug table";

static kmm_word *links_of(const struct kmm *k, kmm_word link)
{
	return kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_pfn(link - 1)));
}

/* ---- the table ---- */

static kmm_word make_page(struct kmm *k, kmm_word *slot)
{
	struct kmm_page *page = kmm_phys_alloc(k, KMM_GFP_NOWAIT | KMM_GFP_ZERO | KMM_GFP_NOWARN, 0, KMM_KIND_KERNEL, table_site);
	kmm_word link, none = 0;

	if (!page)
		return 0;
	link = kmm_pfn_of(k->phys, page) + 1;
	if (__atomic_compare_exchange_n(slot, &none, link, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		__atomic_fetch_add(&k->page_debug->nr_pages, 1, __ATOMIC_RELAXED);
		return link;
	}
	page->a = TABLE_MARK;
	kmm_phys_free(k, page, 0);
	return none;
}

static unsigned place_in(kmm_word pfn, unsigned level)
{
	return (unsigned)(pfn >> (NOTE_SHIFT + (level - 1) * LINK_SHIFT)) & ((1u << LINK_SHIFT) - 1);
}

struct kmm_frame_note *kmm_note_of(struct kmm *k, kmm_word pfn, bool make)
{
	struct kmm_page_debug *d = k->page_debug;
	kmm_word *slot = &d->root;

	for (unsigned level = d->levels;; level--) {
		kmm_word link = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

		if (!link && make)
			link = make_page(k, slot);
		if (!link)
			return NULL;
		if (level == 0)
			return (struct kmm_frame_note *)(void *)links_of(k, link) + pfn % (1u << NOTE_SHIFT);
		slot = links_of(k, link) + place_in(pfn, level);
	}
}

/* Frames that a missing link at this level would have covered. */
static kmm_word span_of(unsigned level)
{
	return (kmm_word)1 << (NOTE_SHIFT + level * LINK_SHIFT);
}

bool kmm_note_next(struct kmm *k, kmm_word *pfn)
{
	const struct kmm_page_debug *d = k->page_debug;

	while (*pfn < k->phys->max_pfn) {
		kmm_word link = __atomic_load_n(&d->root, __ATOMIC_ACQUIRE);
		unsigned level = d->levels;

		for (; link && level > 0; level--)
			link = __atomic_load_n(links_of(k, link) + place_in(*pfn, level), __ATOMIC_ACQUIRE);
		if (link)
			return true;
		*pfn = (*pfn | (span_of(level) - 1)) + 1;
		if (*pfn == 0)
			break;
	}
	return false;
}

/* ---- callers ---- */

const char *kmm_note_label(const struct kmm_page_debug *d, unsigned site)
{
	return site && d->site[site].label ? d->site[site].label : "unknown";
}

/* The number of a caller; 0 when there are too many. Lock held. */
static uint16_t number_of(struct kmm_page_debug *d, const char *label, uintptr_t caller)
{
	unsigned at = (unsigned)(((uintptr_t)label >> 3) * 31u + caller * 0x9e3779b1u) % KMM_NOTE_SITES;

	for (unsigned tries = 0; tries < KMM_NOTE_SITES; tries++, at = (at + 1) % KMM_NOTE_SITES) {
		struct kmm_note_site *s = &d->site[at];

		if (at == 0 || (s->label && (s->label != label || s->caller != caller)))
			continue;
		if (!s->label && d->nr_sites >= KMM_NOTE_SITES - KMM_NOTE_SITES / 8)
			return 0;
		d->nr_sites += !s->label;
		*s = (struct kmm_note_site){ label, caller };
		return (uint16_t)at;
	}
	return 0;
}

static uint64_t now(struct kmm *k)
{
	return k->port->time_ns ? k->port->time_ns(k->port) : 0;
}

static uint32_t who(struct kmm *k)
{
	return k->port->owner_id ? k->port->owner_id(k->port) : 0;
}

/* ---- hooks ---- */

static void note_lost(struct kmm *k, struct kmm_page_debug *d)
{
	unsigned long irq = kmm_spin_lock(k, &d->lock, KMM_LOCK_ZONE);

	d->lost++;
	kmm_spin_unlock(k, &d->lock, KMM_LOCK_ZONE, irq);
}

static bool takes_poison(const struct kmm_page_debug *d, const struct kmm_frame_note *note)
{
	return note->poisoned && note->round == d->round && (d->features & KMM_DEBUG_PAGE_POISON);
}

void kmm_page_debug_alloc(struct kmm *k, struct kmm_page *page, kmm_gfp gfp, unsigned order, const char *site,
			  const void *caller)
{
	struct kmm_page_debug *d = k->page_debug;
	struct kmm_frame_note fresh = { .alloc_ns = now(k), .alloc_id = who(k), .gfp = gfp & 0xfffff,
					.order = order & 15, .state = KMM_NOTE_ALLOCATED };
	kmm_word pfn = kmm_pfn_of(k->phys, page);

	if (site == table_site)
		return;
	for (kmm_word i = 0; i < (kmm_word)1 << order; i++) {
		struct kmm_frame_note *note = kmm_note_of(k, pfn + i, true);
		unsigned long irq;

		if (!note) {
			note_lost(k, d);
			continue;
		}
		if (takes_poison(d, note))
			kmm_poison_check(k, kmm_page_at(k->phys, pfn + i), note);
		irq = kmm_spin_lock(k, &d->lock, KMM_LOCK_ZONE);
		fresh.free_ns = note->free_ns;
		fresh.free_id = note->free_id;
		fresh.free_site = note->free_site;
		fresh.alloc_site = number_of(d, site, (uintptr_t)caller);
		*note = fresh;
		kmm_spin_unlock(k, &d->lock, KMM_LOCK_ZONE, irq);
	}
}

static void note_free(struct kmm *k, struct kmm_page *page, const char *label, const void *caller)
{
	struct kmm_page_debug *d = k->page_debug;
	struct kmm_frame_note *note = kmm_note_of(k, kmm_pfn_of(k->phys, page), true);
	bool filled;
	unsigned long irq;

	if (!note) {
		note_lost(k, d);
		return;
	}
	filled = (d->features & KMM_DEBUG_PAGE_POISON) && kmm_poison_fill(k, page);
	irq = kmm_spin_lock(k, &d->lock, KMM_LOCK_ZONE);
	note->free_ns = now(k);
	note->free_id = who(k);
	note->free_site = number_of(d, label, (uintptr_t)caller);
	note->state = KMM_NOTE_FREED;
	note->poisoned = filled;
	note->round = d->round & 15;
	d->filled += filled;
	kmm_spin_unlock(k, &d->lock, KMM_LOCK_ZONE, irq);
}

void kmm_page_debug_free(struct kmm *k, struct kmm_page *page, unsigned order, const void *caller)
{
	const char *label = kmm_kind_name(kmm_page_kind(page));
	kmm_word pfn = kmm_pfn_of(k->phys, page);

	KMM_ASSERT(k, kmm_page_order(page) == order);
	if (kmm_page_kind(page) == KMM_KIND_KERNEL && page->a == TABLE_MARK)
		return;
	for (kmm_word i = 0; i < (kmm_word)1 << order; i++)
		note_free(k, kmm_page_at(k->phys, pfn + i), label, caller);
}

void kmm_page_debug_move(struct kmm *k, struct kmm_page *to, struct kmm_page *from)
{
	struct kmm_page_debug *d = k->page_debug;
	struct kmm_frame_note *old, *new;
	unsigned long irq;

	if (!d)
		return;
	old = kmm_note_of(k, kmm_pfn_of(k->phys, from), false);
	new = kmm_note_of(k, kmm_pfn_of(k->phys, to), true);
	if (!old || !new)
		return;
	irq = kmm_spin_lock(k, &d->lock, KMM_LOCK_ZONE);
	new->alloc_ns = old->alloc_ns;
	new->alloc_id = old->alloc_id;
	new->alloc_site = old->alloc_site;
	new->gfp = old->gfp;
	new->moved = 1;
	kmm_spin_unlock(k, &d->lock, KMM_LOCK_ZONE, irq);
}

/* ---- the switch ---- */

static enum kmm_status begin(struct kmm *k)
{
	struct kmm_page *page = kmm_phys_alloc(k, KMM_GFP_KERNEL | KMM_GFP_ZERO, STATE_ORDER, KMM_KIND_KERNEL, table_site);
	struct kmm_page_debug *d;

	if (!page)
		return KMM_ENOMEM;
	d = kmm_page_lowmem_ptr(k, page);
	while (span_of(d->levels) < k->phys->max_pfn)
		d->levels++;
	k->page_debug = d;
	return KMM_OK;
}

/* Bottom up: the table below a link, then its page. Four levels at most, so the way down is kept in an array. */
static void free_table(struct kmm *k, kmm_word root, unsigned levels)
{
	kmm_word link[8] = { 0 };
	unsigned next[8] = { 0 }, level = levels;

	link[level] = root;
	while (root) {
		if (level > 0 && next[level] < 1u << LINK_SHIFT) {
			kmm_word below = links_of(k, link[level])[next[level]++];

			if (below) {
				link[--level] = below;
				next[level] = 0;
			}
			continue;
		}
		kmm_phys_free(k, kmm_page_at(k->phys, link[level] - 1), 0);
		if (level == levels)
			return;
		level++;
	}
}

static void end(struct kmm *k)
{
	struct kmm_page_debug *d = k->page_debug;
	kmm_word root = d->root;
	unsigned levels = d->levels;

	k->page_debug = NULL;
	free_table(k, root, levels);
	kmm_phys_free(k, kmm_virt_to_page(k, d), STATE_ORDER);
}

enum kmm_status kmm_debug_set(struct kmm *k, unsigned features)
{
	if (features & ~(unsigned)KMM_DEBUG_FEATURES)
		return KMM_EINVAL;
	if (features && !k->page_debug && begin(k) != KMM_OK)
		return KMM_ENOMEM;
	if (!features && k->page_debug)
		end(k);
	if (k->page_debug) {
		/* What was filled before poison was switched off may have been used since by whom nobody watched. */
		k->page_debug->round += (features & ~k->page_debug->features & KMM_DEBUG_PAGE_POISON) != 0;
		k->page_debug->round &= 15;
		k->page_debug->features = features;
	}
	kmm_set_straight(k);
	return KMM_OK;
}

unsigned kmm_debug_get(const struct kmm *k)
{
	return k->page_debug ? k->page_debug->features : 0;
}

void kmm_debug_stats(const struct kmm *k, struct kmm_debug_stats *out)
{
	const struct kmm_page_debug *d = k->page_debug;

	*out = (struct kmm_debug_stats){ 0 };
	if (d)
		*out = (struct kmm_debug_stats){ d->filled, d->checked, d->corrupt, d->lost,
						 d->nr_pages + ((kmm_word)1 << STATE_ORDER), d->nr_sites };
}
