/* SPDX-License-Identifier: MIT */
/*
 * kpageflags and kpagecount: single frames whose state is known, and all of a machine against its zones' counts.
 */
#include "harness/space.h"
#include "kmm/kmap.h"
#include "kmm/slab.h"
#include "phys/phys.h"

#include <stdlib.h>

/* From Linux's Documentation/admin-guide/mm/pagemap.rst, written down here a second time. */
#define UPTODATE (UINT64_C(1) << 3)
#define SLAB (UINT64_C(1) << 7)
#define BUDDY (UINT64_C(1) << 10)
#define MMAP (UINT64_C(1) << 11)
#define ANON (UINT64_C(1) << 12)
#define SWAPBACKED (UINT64_C(1) << 14)
#define HEAD (UINT64_C(1) << 15)
#define TAIL (UINT64_C(1) << 16)
#define NOPAGE (UINT64_C(1) << 20)
#define ZERO_PAGE (UINT64_C(1) << 24)
#define PGTABLE (UINT64_C(1) << 26)
#define RESERVED (UINT64_C(1) << 32)

struct words {
	struct kmm_sink sink; /* first */
	uint64_t *at;
};

static void write_words(struct kmm_sink *sink, const char *bytes, size_t len)
{
	struct words *w = (struct words *)(void *)sink;

	memcpy(w->at, bytes, len);
	w->at += len / sizeof(*w->at);
}

static uint64_t flags_at(struct space *s, kmm_word pfn)
{
	uint64_t word = ~UINT64_C(0);
	struct words w = { { write_words }, &word };

	return kmm_report_kpageflags(s->k, kmm_pfn(pfn), 1, &w.sink) ? word : ~UINT64_C(0);
}

static uint64_t count_at(struct space *s, kmm_word pfn)
{
	uint64_t word = ~UINT64_C(0);
	struct words w = { { write_words }, &word };

	return kmm_report_kpagecount(s->k, kmm_pfn(pfn), 1, &w.sink) ? word : ~UINT64_C(0);
}

static kmm_word pfn_behind(struct space *s, struct kmm_mm *mm, uint64_t va)
{
	struct kmm_walk walk;

	kmm_walk(s->k, kmm_mm_root(mm), (kmm_word)va, &walk);
	return walk.mapped ? kmm_paddr_to_pfn(walk.pa).v : 0;
}

KMM_TEST(kpageflags_of_kernel_frames)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_page *block, *one;
		struct kmm_walk walk;
		struct space s;
		kmm_word pfn;
		void *object;

		CALL(space_start(&s, space_formats[f]));
		block = kmm_alloc_pages(s.k, KMM_GFP_KERNEL, 3);
		one = kmm_alloc_pages(s.k, KMM_GFP_HIGHUSER, 0);
		pfn = kmm_page_to_pfn(s.k, block).v;
		CHECK_EQ(flags_at(&s, pfn), HEAD);
		CHECK_EQ(flags_at(&s, pfn + 1), TAIL);
		CHECK_EQ(flags_at(&s, pfn + 7), TAIL);
		CHECK_EQ(flags_at(&s, kmm_page_to_pfn(s.k, one).v), 0);
		kmm_free_pages(s.k, block, 3);
		kmm_phys_drain(s.k);
		for (unsigned i = 0; i < 8; i++)
			CHECK_EQ(flags_at(&s, pfn + i), BUDDY);
		object = kmm_kmalloc(s.k, 64, KMM_GFP_KERNEL);
		pfn = kmm_page_to_pfn(s.k, kmm_virt_to_page(s.k, object)).v;
		CHECK_EQ(flags_at(&s, pfn) & ~(HEAD | TAIL), SLAB);
		CHECK_EQ(count_at(&s, pfn), 0);
		kmm_walk(s.k, kmm_kernel_root(s.k), (kmm_word)kmm_layout_of(s.k)->page_offset, &walk);
		CHECK_EQ(flags_at(&s, kmm_paddr_to_pfn(walk.step[0].entry_at).v), PGTABLE);
		CHECK_EQ(flags_at(&s, 0xf0), RESERVED); /* firmware */
		CHECK_EQ(flags_at(&s, 0xa0), NOPAGE);   /* adapters */
		CHECK_EQ(flags_at(&s, s.k->phys->max_pfn), ~UINT64_C(0));
		kmm_kfree(s.k, object);
		kmm_free_pages(s.k, one, 0);
		CALL(space_stop(&s));
	}
}

KMM_TEST(kpageflags_of_user_frames)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_mm *child;
		struct kmm_uva at;
		struct space s;
		kmm_word pfn;

		CALL(space_start(&s, space_formats[f]));
		CHECK_OK(kmm_mmap(s.mm, kmm_uva(0x20000000), 3 * SPACE_PAGE, SPACE_RW, SPACE_ANON | KMM_MAP_FIXED, NULL, 0, &at));
		CHECK_OK(kmm_copy_out(s.mm, kmm_uva(0x20000000), "x", 1, NULL));
		pfn = pfn_behind(&s, s.mm, 0x20000000);
		CHECK(pfn);
		CHECK_EQ(flags_at(&s, pfn) & (ANON | SWAPBACKED | UPTODATE | MMAP | BUDDY), ANON | SWAPBACKED | UPTODATE | MMAP);
		CHECK_EQ(count_at(&s, pfn), 1);
		CHECK_OK(kmm_mm_fork(s.mm, &child));
		CHECK_EQ(count_at(&s, pfn), 2);
		kmm_mm_put(child);
		CHECK_EQ(count_at(&s, pfn), 1);
		CHECK_OK(kmm_munmap(s.mm, kmm_uva(0x20000000), SPACE_PAGE));
		CHECK_EQ(flags_at(&s, pfn), BUDDY);
		CHECK_EQ(count_at(&s, pfn), 0);
		CALL(space_stop(&s));
	}
}

/* All words at once: as many of each sort as the zones count, and reading made no section. */
KMM_TEST(kpageflags_agree_with_zones)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		kmm_word kinds[KMM_NR_KINDS] = { 0 }, buddy = 0, slab = 0, table = 0, nr, max;
		struct kmm_memory_stats stats, after;
		struct kmm_zone_info zone;
		struct words w = { { write_words }, NULL };
		uint64_t *words;
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		kmm_kmalloc(s.k, 5000, KMM_GFP_KERNEL);
		kmm_memory_stats(s.k, &stats);
		max = s.k->phys->max_pfn;
		words = malloc(max * sizeof(*words));
		CHECK(words);
		w.at = words;
		nr = kmm_report_kpageflags(s.k, kmm_pfn(0), max + 1000, &w.sink);
		CHECK_EQ(nr, max);
		CHECK_EQ(w.at - words, max);
		for (kmm_word i = 0; i < nr; i++) {
			bool in_slab = words[i] & SLAB;

			slab += in_slab;
			buddy += (words[i] & BUDDY) != 0;
			table += (words[i] & PGTABLE) != 0;
			CHECK(!(words[i] & NOPAGE) || words[i] == NOPAGE);
			CHECK(!(words[i] & BUDDY) || words[i] == BUDDY);
		}
		for (unsigned z = 0; z < KMM_NR_ZONES; z++)
			if (kmm_zone_info(s.k, (enum kmm_zone_id)z, &zone))
				for (unsigned kind = 0; kind < KMM_NR_KINDS; kind++)
					kinds[kind] += zone.kinds[kind];
		CHECK_EQ(buddy, kinds[KMM_KIND_FREE]);
		CHECK_EQ(slab, kinds[KMM_KIND_SLAB]);
		CHECK_EQ(table, kinds[KMM_KIND_PGTABLE]);
		kmm_memory_stats(s.k, &after);
		CHECK_EQ(after.sections_live, stats.sections_live);
		CHECK(stats.sections_live < stats.sections);
		free(words);
		CALL(space_stop(&s));
	}
}
