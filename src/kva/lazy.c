/* SPDX-License-Identifier: MIT */
/*
 * Dead areas: vfree takes the entries away at once, and leaves the rest until there is enough of it.
 *
 *	vfree: LIVE -> DYING -(entries cleared)-> DEAD -----(purge: one flush)----> frames, addresses, area given back
 *	          ^                                |
 *	          +----(vmalloc of the same size)--+
 *
 * A translation may linger in some TLB until the flush, so neither the frames nor the addresses of a dead area go to
 * anybody else before; the frames stay of the kind VMALLOC and are counted so. What may happen without a flush is that
 * the area lives again as it was: the same frames at the same addresses with the same rights, for which a lingering
 * translation is right.
 *
 * Purged: when more than most_dead_pages wait, when addresses run out, when an allocation that may block finds no
 * memory (a shrinker), and by kmm_vmalloc_purge(). Requests that may not block cannot have the dead frames;
 * most_dead_pages bounds what they miss.
 */
#include "kva/kva.h"

enum { LOOK_AT = 16 }; /* dead areas, newest first, in search of one of a size */

static inline bool no_entries(const struct kmm *k, const struct kmm_area *area)
{
	kmm_word nr_large;

	return kmm_pt_window_count(k, kmm_kva(area->start), kmm_kva(area->end), &nr_large) == 0 && nr_large == 0;
}

void kmm_area_bury(struct kmm *k, struct kmm_area *area)
{
	struct kmm_areas *areas = &k->kva->areas;
	unsigned long flags;
	bool enough;

	KMM_ASSERT(k, area->kind == KMM_AREA_VMALLOC && area->state == KMM_AREA_DYING && area->nr_mapped);
	kmm_pt_window_unmap(k, kmm_kva(area->start), area->nr_mapped);
	KMM_CHECK(k, no_entries(k, area));
	flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	area->state = KMM_AREA_DEAD;
	area->next_dead = areas->dead;
	areas->dead = area;
	kmm_word_add(&areas->nr_dead_pages, area->nr_mapped);
	enough = areas->nr_dead_pages > areas->most_dead_pages;
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	if (enough)
		kmm_vmalloc_purge(k);
}

/* Unlinks a dead area of small pages of that size. Lock held. */
static struct kmm_area *take_dead(struct kmm *k, struct kmm_areas *areas, kmm_word nr)
{
	struct kmm_area **link = &areas->dead, *area;
	unsigned looked;

	for (looked = 0; (area = *link) && looked < LOOK_AT; link = &area->next_dead, looked++) {
		KMM_ASSERT(k, area->state == KMM_AREA_DEAD);
		if (area->nr_mapped != nr || area->frames.nr != nr)
			continue;
		KMM_ASSERT(k, area->kind == KMM_AREA_VMALLOC && areas->nr_dead_pages >= nr);
		*link = area->next_dead;
		kmm_word_add(&areas->nr_dead_pages, -nr);
		areas->revivals++;
		return area;
	}
	return NULL;
}

struct kmm_area *kmm_area_revive(struct kmm *k, kmm_word nr, const char *caller)
{
	struct kmm_areas *areas = &k->kva->areas;
	struct kmm_area *area;
	unsigned long flags;

	flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	area = areas->dead ? take_dead(k, areas, nr) : NULL;
	if (area) {
		area->state = KMM_AREA_LIVE;
		area->caller = caller ? caller : "unknown";
	}
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	return area;
}

/* Takes all dead areas off the list. */
static struct kmm_area *take_all(struct kmm *k)
{
	struct kmm_areas *areas = &k->kva->areas;
	unsigned long flags = kmm_spin_lock(k, &areas->lock, KMM_LOCK_KVA);
	struct kmm_area *dead = areas->dead;

	KMM_ASSERT(k, (dead == NULL) == (areas->nr_dead_pages == 0));
	areas->dead = NULL;
	kmm_word_set(&areas->nr_dead_pages, 0);
	areas->purges += dead != NULL;
	kmm_spin_unlock(k, &areas->lock, KMM_LOCK_KVA, flags);
	return dead;
}

static void flush_all(struct kmm *k, const struct kmm_area *dead)
{
	kmm_word start = dead->start, end = dead->end;

	while ((dead = dead->next_dead)) {
		if (dead->start < start)
			start = dead->start;
		if (dead->end > end)
			end = dead->end;
	}
	KMM_ASSERT(k, start < end);
	kmm_pt_flush_kernel(k, kmm_kva(start), kmm_kva(end));
}

kmm_word kmm_vmalloc_purge(struct kmm *k)
{
	struct kmm_area *dead = take_all(k), *next;
	kmm_word nr = 0;

	if (!dead)
		return 0;
	flush_all(k, dead);
	for (; dead; dead = next) {
		KMM_ASSERT(k, dead->state == KMM_AREA_DEAD);
		next = dead->next_dead;
		nr += dead->nr_mapped;
		kmm_area_release(k, dead);
	}
	return nr;
}
