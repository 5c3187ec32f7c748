/* SPDX-License-Identifier: MIT */
/*
 * A prototype that shows the limit of bitmaps: 8 words of 64 frames and one 16-bit counter per 2 MiB, under
 * an array of frame numbers for one CPU. A refill claims a whole word with one exchange, so up to 64 frames
 * cost two locked instructions; a drain sets the bits of one word together. Orders 0 and 9 only, next fit:
 * it is quick and fragments badly.
 */
#include "peers/peer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { AREA_FRAMES = 512, AREA_WORDS = 8, HIGH = 512, BATCH = 256 };
#define TAKEN_WHOLE 0x8000u

struct area {
	_Alignas(64) _Atomic uint64_t word[AREA_WORDS]; /* 1 = free */
};

static struct area *areas;
static _Atomic uint16_t *nr_free; /* by area; TAKEN_WHOLE: one block of order 9 */
static uint64_t nr_areas;

static struct {
	uint32_t nr;
	uint64_t area; /* where the last refill came from */
	uint32_t frame[HIGH + 64];
} cache;

static bool init(uint64_t nr_frames)
{
	nr_areas = nr_frames / AREA_FRAMES;
	areas = aligned_alloc(64, nr_areas * sizeof(*areas));
	nr_free = calloc(nr_areas, sizeof(*nr_free));
	if (areas == NULL || nr_free == NULL)
		return false;
	memset(areas, 0xff, nr_areas * sizeof(*areas));
	for (uint64_t i = 0; i < nr_areas; i++)
		atomic_init(&nr_free[i], AREA_FRAMES);
	memset(&cache, 0, sizeof(cache));
	return true;
}

static void fini(void)
{
	free(areas);
	free((void *)nr_free);
}

/* Puts the frames of one claimed word into the cache, highest first, so that the lowest comes out first. */
static void fill_cache(uint64_t bits, uint64_t first)
{
	while (bits) {
		unsigned bit = 63u - (unsigned)__builtin_clzll(bits);

		cache.frame[cache.nr++] = (uint32_t)(first + bit);
		bits ^= 1ull << bit;
	}
}

static bool refill_from(uint64_t area)
{
	for (unsigned i = 0; i < AREA_WORDS; i++) {
		if (!atomic_load_explicit(&areas[area].word[i], memory_order_relaxed))
			continue;
		uint64_t bits = atomic_exchange_explicit(&areas[area].word[i], 0, memory_order_acquire);
		if (!bits)
			continue;
		atomic_fetch_sub_explicit(&nr_free[area], (uint16_t)__builtin_popcountll(bits),
					  memory_order_relaxed);
		fill_cache(bits, area * AREA_FRAMES + i * 64);
		cache.area = area;
		return true;
	}
	return false;
}

static bool refill(void)
{
	uint64_t area = cache.area;

	for (uint64_t i = 0; i < nr_areas; i++, area = area + 1 == nr_areas ? 0 : area + 1) {
		uint16_t nr = atomic_load_explicit(&nr_free[area], memory_order_relaxed);

		if (nr && !(nr & TAKEN_WHOLE) && refill_from(area))
			return true;
	}
	return false;
}

static uintptr_t alloc_huge(void)
{
	uint64_t area = cache.area;

	for (uint64_t i = 0; i < nr_areas; i++, area = area + 1 == nr_areas ? 0 : area + 1) {
		uint16_t nr = atomic_load_explicit(&nr_free[area], memory_order_relaxed);

		if (nr == AREA_FRAMES && atomic_compare_exchange_strong(&nr_free[area], &nr, TAKEN_WHOLE)) {
			cache.area = area;
			return (uintptr_t)(area * AREA_FRAMES) + 1;
		}
	}
	return PEER_NONE;
}

static uintptr_t alloc(unsigned order)
{
	if (order)
		return alloc_huge();
	if (!cache.nr && !refill())
		return PEER_NONE;
	return (uintptr_t)cache.frame[--cache.nr] + 1;
}

static void drain(uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		__builtin_prefetch((void *)&areas[cache.frame[i] / AREA_FRAMES].word[cache.frame[i] / 64 % AREA_WORDS], 1);
	for (uint32_t i = 0; i < nr;) {
		uint32_t frame = cache.frame[i], word = frame / 64;
		uint64_t bits = 0;
		uint16_t count = 0;

		for (; i < nr && cache.frame[i] / 64 == word; i++, count++)
			bits |= 1ull << cache.frame[i] % 64;
		atomic_fetch_or_explicit(&areas[frame / AREA_FRAMES].word[word % AREA_WORDS], bits,
					 memory_order_release);
		atomic_fetch_add_explicit(&nr_free[frame / AREA_FRAMES], count, memory_order_relaxed);
	}
	cache.nr -= nr;
	memmove(cache.frame, cache.frame + nr, sizeof(cache.frame[0]) * cache.nr);
}

static void give_back(uintptr_t block, unsigned order)
{
	uint64_t frame = block - 1;

	if (order) {
		atomic_store_explicit(&nr_free[frame / AREA_FRAMES], AREA_FRAMES, memory_order_release);
		return;
	}
	if (cache.nr >= HIGH)
		drain(BATCH);
	cache.frame[cache.nr++] = (uint32_t)frame;
}

const struct peer peer_word = {
	.name = "own-word", .max_order = 9, .only_0_and_9 = true,
	.init = init, .fini = fini, .alloc = alloc, .free = give_back
};
