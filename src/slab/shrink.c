/* SPDX-License-Identifier: MIT */
/*
 * Shrinkers: everything that keeps memory for later and can give it back registers here; the allocator's pressure hook
 * comes here when a request that may block found nothing.
 *
 * Rounds: the first asks each shrinker for an eighth of what it has, the next for more, the last for all; within a round
 * the newest is asked first and the slab layer's own last, because the others' objects leave empty slabs behind.
 *
 * One caller at a time. A second one, on another CPU or from inside a shrinker, does not wait (it may be the first
 * one's callee): it is told that there is progress and tries its allocation again.
 */
#include "slab/slab.h"

#include "base/shared.h"

enum { FIRST_SHIFT = 3, LEAST_BATCH = 32 };

_Static_assert(sizeof(struct kmm_entry) <= sizeof(((struct kmm_shrinker *)0)->internal), "an entry fits a shrinker");

static struct kmm_entry *entry_of(struct kmm_shrinker *shrinker)
{
	return (struct kmm_entry *)(void *)shrinker->internal;
}

static struct kmm_shrinker *next(struct kmm *k, struct kmm_shrinker *at)
{
	struct kmm_entry *entry = kmm_entry_next(k, &k->slab->shrinkers, at ? entry_of(at) : NULL);

	return entry ? kmm_container(entry, struct kmm_shrinker, internal) : NULL;
}

void kmm_shrinker_register(struct kmm *k, struct kmm_shrinker *shrinker)
{
	kmm_entry_add(k, &k->slab->shrinkers, entry_of(shrinker));
}

void kmm_shrinker_unregister(struct kmm *k, struct kmm_shrinker *shrinker)
{
	kmm_entry_remove(k, entry_of(shrinker));
}

/* A 2^-shift part of what the shrinker has, but not too little to be worth it. */
static kmm_word ask(struct kmm *k, struct kmm_shrinker *shrinker, kmm_gfp gfp, unsigned shift)
{
	kmm_word count = shrinker->count(k, shrinker, gfp), nr = count >> shift;

	if (count == 0)
		return 0;
	if (nr < LEAST_BATCH)
		nr = count < LEAST_BATCH ? count : LEAST_BATCH;
	kmm_word_set(&k->slab->shrunk, k->slab->shrunk + nr);
	return shrinker->scan(k, shrinker, gfp, nr);
}

static kmm_word pages_gained(struct kmm *k, kmm_word before)
{
	kmm_word now = kmm_phys_free_pages(k);

	return now > before ? now - before : 0;
}

static kmm_word run_shrinkers(struct kmm *k, kmm_gfp gfp, kmm_word pages)
{
	kmm_word before = kmm_phys_free_pages(k), objects = 0, gained = 0;
	unsigned shift;

	for (shift = FIRST_SHIFT + 1; shift-- > 0 && gained < pages;) {
		struct kmm_shrinker *shrinker = NULL;

		while ((shrinker = next(k, shrinker)))
			objects += ask(k, shrinker, gfp, shift);
		gained = pages_gained(k, before);
	}
	return gained ? gained : objects != 0;
}

kmm_word kmm_shrink(struct kmm *k, kmm_gfp gfp, kmm_word pages)
{
	kmm_word gained;

	if (atomic_exchange_explicit(&k->slab->shrinking, 1, memory_order_acquire)) {
		if (k->port->relax)
			k->port->relax(k->port);
		return 1;
	}
	gained = run_shrinkers(k, gfp, pages);
	atomic_store_explicit(&k->slab->shrinking, 0, memory_order_release);
	return gained;
}

/* ---- what the layer itself has to give ---- */

static kmm_word count_own(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp)
{
	struct kmm_pool *pool = NULL;
	kmm_word pages = 0;

	(void)self;
	(void)gfp;
	while ((pool = kmm_pool_next(k, pool)))
		pages += kmm_pool_spare(k, pool);
	return pages;
}

static kmm_word scan_own(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp, kmm_word nr)
{
	(void)self;
	(void)gfp;
	(void)nr; /* cheap to take all, and what is not needed comes back batch by batch */
	return kmm_slab_shrink_all(k);
}

static kmm_word under_pressure(struct kmm *k, kmm_gfp gfp, unsigned order)
{
	return kmm_shrink(k, gfp, (kmm_word)1 << order);
}

void kmm_shrinkers_init(struct kmm *k)
{
	struct kmm_slab *slab = k->slab;

	kmm_list_init(&slab->shrinkers);
	slab->own = (struct kmm_shrinker){ .name = "slab", .count = count_own, .scan = scan_own };
	kmm_shrinker_register(k, &slab->own);
	kmm_pressure_register(k, under_pressure);
}
