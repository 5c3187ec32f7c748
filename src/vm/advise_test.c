/* SPDX-License-Identifier: MIT */
/*
 * Advice about pages and backings: giving up content, holes, populating, what a fork leaves out; and looking at what is
 * resident.
 */
#include "harness/space.h"
#include "pageq/pageq.h"
#include "pt/pt.h"

#include <stdlib.h>

enum { EPERM = 1, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EFAULT = 14, EINVAL = 22, EOPNOTSUPP = 95, BUS = 7, SEGV = 11 };
#define AT 0x20000000ull

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

static int advise(struct space *s, uint64_t at, uint64_t pages, int advice)
{
	return kmm_status_errno(kmm_madvise(s->mm, kmm_uva((kmm_word)at), pages * SPACE_PAGE, advice));
}

/* The line NAME of the first area in smaps, in KiB. */
static unsigned long smaps_line(struct space *s, const char *name)
{
	struct hosted_text text;
	const char *line;
	unsigned long kb;

	kmm_report_smaps(s->mm, hosted_text_init(&text));
	line = strstr(text.text, name);
	kb = line ? strtoul(line + strlen(name), NULL, 10) : ~0ul;
	hosted_text_free(&text);
	return kb;
}

KMM_TEST(advise_free)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
		for (unsigned i = 0; i < 4; i++)
			CHECK_EQ(space_poke(&s, s.mm, page(i), 7), 0);
		CHECK_EQ(smaps_line(&s, "LazyFree:"), 0);
		CHECK_EQ(smaps_line(&s, "Referenced:"), 16);
		CHECK_EQ(advise(&s, page(0), 4, KMM_MADV_FREE), 0);
		CHECK_EQ(smaps_line(&s, "LazyFree:"), 16);
		CHECK_EQ(smaps_line(&s, "Referenced:"), 0);
		CHECK_EQ(smaps_line(&s, "Private_Dirty:"), 0);
		CHECK_EQ(space_poke(&s, s.mm, page(1), 8), 0); /* and is its owner's again */
		CHECK_EQ(smaps_line(&s, "LazyFree:"), 12);
		CHECK_EQ(advise(&s, page(0), 4, KMM_MADV_PAGEOUT), 0); /* needs no swap for them */
		CHECK_EQ(smaps_line(&s, "LazyFree:"), 0);
		CHECK_EQ(smaps_line(&s, "Rss:"), 4);
		CHECK_EQ(space_peek(&s, s.mm, page(1)), 8);
		CHECK_EQ(space_peek(&s, s.mm, page(2)), 0);
		CALL(space_stop(&s));
	}
}

KMM_TEST(advise_cold)
{
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
	CHECK_EQ(advise(&s, page(1), 2, KMM_MADV_COLD), 0);
	CHECK_EQ(smaps_line(&s, "Referenced:"), 8);
	CHECK_EQ(smaps_line(&s, "Private_Dirty:"), 16);
	CHECK_EQ(advise(&s, page(0), 4, KMM_MADV_PAGEOUT), 0);
	CHECK_EQ(smaps_line(&s, "Referenced:"), 0);
	CHECK_EQ(advise(&s, page(0), 1, KMM_MADV_HWPOISON), EPERM);
	kmm_mm_limits(s.mm)->rights = KMM_MAY_ADMIN;
	CHECK_EQ(advise(&s, page(0), 1, KMM_MADV_SOFT_OFFLINE), EINVAL);
	CALL(space_stop(&s));
}

/* A move that leaves the old area behind unlocks all of it; pages that stay there are not paged out by advice, as on Linux. */
KMM_TEST(advise_left_locked)
{
	const unsigned flags = KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED | KMM_MREMAP_DONTUNMAP;
	struct kmm_uva to = kmm_uva((kmm_word)page(10)), moved;
	struct kmm_file file;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	kmm_file_init(&file, s.k, 4 * SPACE_PAGE, "file");
	CHECK_EQ(space_map_file(&s, page(0), 4, SPACE_RW, KMM_MAP_SHARED | KMM_MAP_POPULATE, &file, 0), 0);
	CHECK_EQ(advise(&s, page(3), 1, KMM_MADV_PAGEOUT), 0);
	CHECK_EQ(smaps_line(&s, "Rss:"), 12); /* pages of files leave the tables */
	CHECK_OK(kmm_mlock(s.mm, kmm_uva((kmm_word)page(0)), 4 * SPACE_PAGE, 0));
	CHECK_OK(kmm_mremap(s.mm, kmm_uva((kmm_word)page(1)), SPACE_PAGE, SPACE_PAGE, flags, to, &moved));
	CHECK_EQ(smaps_line(&s, "Rss:"), 12);
	CHECK_EQ(smaps_line(&s, "Locked:"), 0);
	CHECK_EQ(advise(&s, page(0), 4, KMM_MADV_PAGEOUT), 0);
	CHECK_EQ(smaps_line(&s, "Rss:"), 12);
	CHECK_EQ(space_peek(&s, s.mm, page(1)), 0); /* which is the moved one, of which the new area keeps the lock */
	CHECK_EQ(advise(&s, page(0), 4, KMM_MADV_DONTNEED), 0);
	CHECK_EQ(smaps_line(&s, "Rss:"), 0);
	CHECK_EQ(space_unmap(&s, page(0), 20), 0);
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

/* Gives the page there an age, as the hand of reclaim does whenever it passes. */
static void set_age(struct space *s, uint64_t at, uint8_t age)
{
	struct kmm_ptref ref;

	CHECK(kmm_pt_lookup(s->k, &s->mm->space, (kmm_word)at, &ref));
	kmm_page_set_age(kmm_pfn_to_page(s->k, kmm_pt_decode(s->k, kmm_pt_read(s->k, &ref)).pfn), age);
}

/* What the hand noted about pages is nothing to advice: no age makes a page look locked, or takes that from one that is. */
KMM_TEST(advise_of_pages_with_ages)
{
	const unsigned flags = KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED | KMM_MREMAP_DONTUNMAP;
	struct kmm_uva to = kmm_uva((kmm_word)page(10)), moved;
	struct kmm_file file;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	kmm_file_init(&file, s.k, 3 * SPACE_PAGE, "file");
	CHECK_EQ(space_map_file(&s, page(0), 3, SPACE_RW, KMM_MAP_SHARED | KMM_MAP_POPULATE, &file, 0), 0);
	set_age(&s, page(0), 0xff);
	CHECK_EQ(advise(&s, page(0), 1, KMM_MADV_PAGEOUT), 0);
	CHECK_EQ(smaps_line(&s, "Rss:"), 8);
	CHECK_OK(kmm_mlock(s.mm, kmm_uva((kmm_word)page(0)), 3 * SPACE_PAGE, 0));
	CHECK_OK(kmm_mremap(s.mm, kmm_uva((kmm_word)page(2)), SPACE_PAGE, SPACE_PAGE, flags, to, &moved));
	set_age(&s, page(1), 0);
	CHECK_EQ(advise(&s, page(0), 2, KMM_MADV_PAGEOUT), 0);
	CHECK_EQ(smaps_line(&s, "Rss:"), 8);
	CHECK_EQ(space_unmap(&s, page(0), 20), 0);
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

/* A hole under a shared and a private mapping, the private one with a copy of its own. */
KMM_TEST(advise_remove)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_file file;
		struct space s;
		size_t done;

		CALL(space_start(&s, space_formats[f]));
		kmm_file_init(&file, s.k, 0, "file");
		for (unsigned i = 0; i < 4; i++)
			CHECK_OK(kmm_file_write(&file, i * SPACE_PAGE, "content", 7, &done));
		CHECK_EQ(space_map_file(&s, page(0), 4, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
		CHECK_EQ(space_map_file(&s, page(10), 4, SPACE_RW, KMM_MAP_PRIVATE, &file, 0), 0);
		CHECK_EQ(space_poke(&s, s.mm, page(11), 'C'), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(12)), 'c');
		CHECK_EQ(space_peek(&s, s.mm, page(1)), 'c');
		CHECK_EQ(advise(&s, page(11), 2, KMM_MADV_REMOVE), EACCES);
		CHECK_EQ(space_protect(&s, page(0), 2, KMM_PROT_NONE), 0); /* that it could be written is enough */
		CHECK_EQ(advise(&s, page(1), 2, KMM_MADV_REMOVE), 0);
		CHECK_EQ(space_protect(&s, page(0), 2, SPACE_RW), 0);
		CHECK_EQ(file.nr_pages, 2);
		CHECK_EQ(space_peek(&s, s.mm, page(1)), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(11)), 'C');
		CHECK_EQ(space_peek(&s, s.mm, page(12)), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(3)), 'c');
		CHECK_EQ(file.size, 3 * SPACE_PAGE + 7);
		CHECK_EQ(space_unmap(&s, page(0), 20), 0);
		kmm_backing_put(&file.backing);
		CALL(space_stop(&s));
	}
}

static enum kmm_status fill_x(struct kmm_file *file, uint64_t index, void *to)
{
	(void)file, (void)index;
	memset(to, 'x', SPACE_PAGE);
	return KMM_OK;
}

/* Content that fill would bring back stays away, and holes have frames then. */
KMM_TEST(advise_remove_filled)
{
	struct kmm_file file;
	struct space s;

	CALL(space_start(&s, KMM_I386));
	kmm_file_init(&file, s.k, 4 * SPACE_PAGE, "file");
	file.fill = fill_x;
	CHECK_EQ(space_map_file(&s, page(0), 4, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(1)), 'x');
	CHECK_EQ(advise(&s, page(1), 2, KMM_MADV_REMOVE), 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(space_peek(&s, s.mm, page(i)), i == 1 || i == 2 ? 0 : 'x');
	CHECK_EQ(space_unmap(&s, page(0), 4), 0);
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

static enum kmm_status bare_page(struct kmm_backing *backing, uint64_t index, struct kmm_page **out)
{
	(void)backing, (void)index, (void)out;
	return KMM_EIO;
}

static void bare_release(struct kmm_backing *backing) { (void)backing; }

static const char *bare_name(struct kmm_backing *backing)
{
	(void)backing;
	return "bare";
}

KMM_TEST(advise_remove_without_holes)
{
	static const struct kmm_backing_ops ops = { .get_page = bare_page, .release = bare_release, .name = bare_name };
	struct kmm_backing backing = { 0 };
	struct kmm_uva at;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	kmm_backing_init(&backing, s.k, &ops);
	CHECK_OK(kmm_mmap(s.mm, kmm_uva(page(0)), SPACE_PAGE, SPACE_RW, KMM_MAP_SHARED | KMM_MAP_FIXED, &backing, 0, &at));
	CHECK_EQ(advise(&s, page(0), 1, KMM_MADV_REMOVE), EOPNOTSUPP);
	CHECK_EQ(space_unmap(&s, page(0), 1), 0);
	kmm_backing_put(&backing);
	CALL(space_stop(&s));
}

/* POPULATE_ goes on behind a hole, as in 6.1, and says so when all is done; a later area's mistake is what counts. */
KMM_TEST(advise_populate_goes_on)
{
	struct kmm_mm_stats stats;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(3), 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(advise(&s, page(0), 5, KMM_MADV_POPULATE_WRITE), ENOMEM);
	kmm_mm_stats(s.mm, &stats);
	CHECK_EQ(stats.rss_anon, 4);
	CHECK_EQ(space_protect(&s, page(3), 2, KMM_PROT_NONE), 0);
	CHECK_EQ(advise(&s, page(0), 5, KMM_MADV_POPULATE_WRITE), EINVAL);
	CALL(space_stop(&s));
}

KMM_TEST(advise_populate)
{
	struct kmm_file file;
	struct space s;
	struct kmm_mm_stats stats;

	CALL(space_start(&s, KMM_I386_PAE));
	kmm_file_init(&file, s.k, 2 * SPACE_PAGE, "file");
	CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(4), 1, SPACE_R, SPACE_ANON), 0);
	CHECK_EQ(space_map_file(&s, page(6), 4, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
	CHECK_EQ(advise(&s, page(0), 4, KMM_MADV_POPULATE_READ), 0);
	kmm_mm_stats(s.mm, &stats);
	CHECK_EQ(stats.zero_maps, 4);
	CHECK_EQ(advise(&s, page(0), 4, KMM_MADV_POPULATE_WRITE), 0);
	kmm_mm_stats(s.mm, &stats);
	CHECK_EQ(stats.rss_anon, 4);
	CHECK_EQ(advise(&s, page(3), 2, KMM_MADV_POPULATE_WRITE), EINVAL);
	CHECK_EQ(advise(&s, page(4), 2, KMM_MADV_POPULATE_READ), ENOMEM);
	CHECK_EQ(advise(&s, page(6), 2, KMM_MADV_POPULATE_WRITE), 0);
	CHECK_EQ(advise(&s, page(6), 4, KMM_MADV_POPULATE_READ), EFAULT);
	CHECK_EQ(advise(&s, page(0), 4, KMM_MADV_DONTNEED), 0);
	kmm_fail_nth(s.k, 3);
	CHECK_EQ(advise(&s, page(0), 4, KMM_MADV_POPULATE_WRITE), ENOMEM);
	kmm_fail_nth(s.k, 0);
	CHECK_EQ(space_unmap(&s, page(0), 20), 0);
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

KMM_TEST(advise_wipe_on_fork)
{
	struct kmm_mm *child;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 3, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(space_poke(&s, s.mm, page(i), 7), 0);
	CHECK_EQ(advise(&s, page(1), 1, KMM_MADV_WIPEONFORK), 0);
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_EQ(space_peek(&s, child, page(0)), 7);
	CHECK_EQ(space_peek(&s, child, page(1)), 0);
	CHECK_EQ(space_poke(&s, child, page(1), 9), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(1)), 7);
	hosted_put_space(s.m, child);
	CHECK_EQ(advise(&s, page(0), 3, KMM_MADV_KEEPONFORK), 0);
	CHECK_EQ(space_areas(&s), 1);
	CALL(space_stop(&s));
}

/* In an entry, or in the cache behind it. */
KMM_TEST(mincore_looks)
{
	struct kmm_file file;
	struct space s;
	uint8_t vec[4];
	size_t done;

	CALL(space_start(&s, KMM_I386_PAE));
	kmm_file_init(&file, s.k, 4 * SPACE_PAGE, "file");
	CHECK_OK(kmm_file_write(&file, SPACE_PAGE, "x", 1, &done));
	CHECK_EQ(space_map_file(&s, page(0), 4, SPACE_RW, KMM_MAP_PRIVATE, &file, 0), 0);
	CHECK_EQ(space_map(&s, page(8), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(2), 1), 0);
	CHECK_OK(kmm_mincore(s.mm, kmm_uva((kmm_word)page(0)), 4 * SPACE_PAGE, kmm_uva((kmm_word)page(8))));
	CHECK_OK(kmm_copy_in(s.mm, vec, kmm_uva((kmm_word)page(8)), 4, NULL));
	CHECK(vec[0] == 0 && vec[1] == 1 && vec[2] == 1 && vec[3] == 0);
	CHECK_EQ(kmm_mincore(s.mm, kmm_uva((kmm_word)page(3)), 2 * SPACE_PAGE, kmm_uva((kmm_word)page(8))), KMM_ENOMEM);
	CHECK_EQ(kmm_mincore(s.mm, kmm_uva((kmm_word)page(0)), SPACE_PAGE, kmm_uva((kmm_word)page(9))), KMM_EFAULT);
	CHECK_EQ(kmm_mincore(s.mm, kmm_uva((kmm_word)page(0) + 1), SPACE_PAGE, kmm_uva((kmm_word)page(8))), KMM_EINVAL);
	CHECK_EQ(space_unmap(&s, page(0), 20), 0);
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

KMM_TEST(remap_file_pages_turns_round)
{
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_SHARED), 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(space_poke(&s, s.mm, page(i), (uint8_t)(i + 1)), 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK_OK(kmm_remap_file_pages(s.mm, kmm_uva((kmm_word)page(i)), SPACE_PAGE, 0, 3 - i, 0));
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(space_peek(&s, s.mm, page(i)), 4 - (int)i);
	CHECK_EQ(space_areas(&s), 4);
	CHECK_EQ(kmm_remap_file_pages(s.mm, kmm_uva((kmm_word)page(0)), SPACE_PAGE, 1, 0, 0), KMM_EINVAL);
	CALL(space_stop(&s));
}
