/* SPDX-License-Identifier: MIT */
/*
 * Groups at their limits: reclaim inside one, what others keep meanwhile, protection from reclaim for all, swap that is charged,
 * the choice of a victim; and every transfer of such a scenario failing once.
 */
#include "group/group.h"

#include "harness/swap_space.h"
#include "swap/swap.h"

struct limited {
	struct space s;
	struct hosted_swap *disk;
	struct kmm_group *g, *other;
	struct kmm_mm *neighbour;    /* in other */
};

static bool later; /* a device that begins transfers */

static void start_sized(struct limited *w, enum kmm_format_id format, uint64_t ram_mib, uint64_t swap_pages)
{
	struct hosted_config config = { .machine = { .format = format, .nr_cpus = 1 }, .ram_bytes = ram_mib << 20,
					.log = HOSTED_LOG_KEEP };
	const char *why = "";

	hosted_set_cpu(0);
	*w = (struct limited){ .disk = NULL };
	if (!kmm_test_ok((int)hosted_boot(&config, &w->s.m, &why), why, __FILE__, __LINE__))
		return;
	w->s.k = hosted_kmm(w->s.m);
	CHECK_OK(kmm_mm_create(w->s.k, &w->s.mm));
	CHECK_OK(kmm_group_create(w->s.k, NULL, &w->g)); /* before swapon and after it: both ways to remember groups */
	if (swap_pages) {
		w->disk = (later ? hosted_swap_open_later : hosted_swap_open)(w->s.m, swap_pages * SPACE_PAGE);
		CHECK(w->disk != NULL);
		CHECK_OK(kmm_swap_on(w->s.k, hosted_swap_device(w->disk), -1));
	}
	CHECK_OK(kmm_group_create(w->s.k, NULL, &w->other));
	CHECK_EQ(space_map(&w->s, at(0), 4000, SPACE_RW, SPACE_ANON), 0);
	CHECK_OK(kmm_mm_fork(w->s.mm, &w->neighbour));
	CHECK_OK(kmm_mm_set_group(w->s.mm, w->g));
	CHECK_OK(kmm_mm_set_group(w->neighbour, w->other));
}

static void start(struct limited *w, enum kmm_format_id format) { CALL(start_sized(w, format, 1200, 8192)); }

static void stop(struct limited *w)
{
	CALL(space_audit(&w->s));
	if (w->neighbour)
		hosted_put_space(w->s.m, w->neighbour);
	hosted_put_space(w->s.m, w->s.mm);
	w->s.mm = NULL;
	kmm_swap_quiesce(w->s.k);
	CHECK_OK(kmm_group_remove(w->g));
	CHECK_OK(kmm_group_remove(w->other));
	CHECK_EQ(w->s.k->groups->nr, 0);
	CALL(space_stop(&w->s));
	hosted_swap_close(w->disk);
}

static struct kmm_group_info info_of(struct kmm_group *g)
{
	struct kmm_group_info info;

	kmm_group_info(g, &info);
	return info;
}

static void fill(struct limited *w, struct kmm_mm *mm, unsigned first, unsigned nr, uint32_t salt)
{
	for (unsigned i = first; i < first + nr; i++) {
		uint64_t value = (uint64_t)salt << 32 | (i + 1);

		CHECK(hosted_write_user(w->s.m, mm, at(i) + 16, &value, sizeof(value)).ok);
	}
}

static void verify(struct limited *w, struct kmm_mm *mm, unsigned first, unsigned nr, uint32_t salt)
{
	for (unsigned i = first; i < first + nr; i++) {
		uint64_t value = 0;

		CHECK(hosted_read_user(w->s.m, mm, at(i) + 16, &value, sizeof(value)).ok);
		CHECK_EQ(value, (uint64_t)salt << 32 | (i + 1));
	}
}

static kmm_word resident(struct kmm_mm *mm)
{
	struct kmm_mm_stats stats;

	kmm_mm_stats(mm, &stats);
	return stats.rss_anon;
}

/* Four times its limit goes through a group; it never has more, contents survive, and its neighbour loses nothing. */
SWAP_BOTH(group_limit_swaps_its_own)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_group_info info;
		struct limited w;

		CALL(start(&w, space_formats[f]));
		kmm_group_set(w.g, KMM_GROUP_MAX, 512);
		CALL(fill(&w, w.neighbour, 0, 1000, 1));
		for (unsigned part = 0; part < 2048; part += 64) {
			CALL(fill(&w, w.s.mm, part, 64, 2));
			CHECK(info_of(w.g).pages <= 512);
		}
		CALL(space_audit(&w.s));
		info = info_of(w.g);
		CHECK_EQ(info.pages + info.swap, 2048 + (later ? kmm_swap_writing(w.s.k) : 0));
		CHECK(info.events[KMM_GROUP_EV_MAX] > 0 && info.events[KMM_GROUP_EV_OOM] == 0 && info.stolen >= 1536);
		CHECK(info.peak >= 480 && info.peak <= 512);
		CHECK_EQ(resident(w.neighbour), 1000);
		CALL(verify(&w, w.s.mm, 0, 2048, 2));
		CHECK(info_of(w.g).refaults >= 1536 && info_of(w.g).pages <= 544);
		CHECK_EQ(resident(w.neighbour), 1000);
		CALL(verify(&w, w.neighbour, 0, 1000, 1));
		CALL(stop(&w));
	}
}

static unsigned noted;

static void note_above(struct kmm_port *port, unsigned pages)
{
	(void)port;
	noted += pages;
}

/* Where that does not help whoever charges is slowed down, the more the further it goes. */
KMM_TEST(group_high_slows_down)
{
	struct limited w;
	struct kmm_group *below;

	later = false;
	CALL(start_sized(&w, KMM_X86_64, 1200, 0));
	w.s.k->port->above_high = note_above;
	noted = 0;
	kmm_group_set(w.g, KMM_GROUP_HIGH, 1000);
	CALL(fill(&w, w.s.mm, 0, 900, 1));
	CHECK_EQ(noted, 0);
	CHECK_EQ(kmm_group_delay_ns(w.g, 64), 0);
	CALL(fill(&w, w.s.mm, 900, 200, 1));
	CHECK(noted >= 64 && noted <= 200);
	CHECK_EQ(info_of(w.g).pages, 1100);
	CHECK_EQ(kmm_group_delay_ns(w.g, 64), 639953000); /* 64 s times a tenth squared */
	CHECK_EQ(kmm_group_delay_ns(w.g, 32), 319976000);
	CHECK_EQ(kmm_group_delay_ns(w.g, 1), 0);
	CHECK_EQ(kmm_group_delay_ns(w.g, (kmm_word)-1), 2000000000);
	CHECK_OK(kmm_group_create(w.s.k, w.g, &below));
	CHECK_EQ(kmm_group_delay_ns(below, 64), 639953000);
	kmm_group_set(w.g, KMM_GROUP_HIGH, 0);
	CHECK_EQ(kmm_group_delay_ns(w.g, 64), 2000000000);
	kmm_group_set(w.g, KMM_GROUP_HIGH, KMM_GROUP_NO_LIMIT);
	CHECK_EQ(kmm_group_delay_ns(w.g, 64), 0);
	CHECK_OK(kmm_group_remove(below));
	CALL(stop(&w));
}

/* Above HIGH whoever charges reclaims, but is served in any case. */
SWAP_BOTH(group_high_slows_but_never_fails)
{
	struct limited w;

	CALL(start(&w, KMM_X86_64));
	kmm_group_set(w.g, KMM_GROUP_HIGH, 256);
	CALL(fill(&w, w.s.mm, 0, 1000, 3));
	CHECK(info_of(w.g).pages - (later ? kmm_swap_writing(w.s.k) : 0) <= 256 + 64);
	CHECK(info_of(w.g).events[KMM_GROUP_EV_HIGH] > 0);
	CALL(verify(&w, w.s.mm, 0, 1000, 3));
	kmm_group_set(w.g, KMM_GROUP_SWAP_MAX, 0);
	CALL(fill(&w, w.s.mm, 1000, 500, 3)); /* nothing can go any more, and still nobody fails */
	CHECK(info_of(w.g).pages >= 700);
	CHECK_EQ(info_of(w.g).events[KMM_GROUP_EV_OOM], 0);
	CALL(verify(&w, w.s.mm, 0, 1500, 3));
	CALL(stop(&w));
}

/* A limit that is set below what there is reclaims; one that cannot be met is said by the next charge. */
SWAP_BOTH(group_limit_that_shrinks)
{
	struct limited w;

	CALL(start(&w, KMM_X86_64));
	CALL(fill(&w, w.s.mm, 0, 600, 4));
	kmm_group_set(w.g, KMM_GROUP_MAX, 200);
	CHECK(info_of(w.g).pages <= 200);
	CALL(verify(&w, w.s.mm, 0, 600, 4));
	kmm_group_set(w.g, KMM_GROUP_SWAP_MAX, 100);
	kmm_group_set(w.g, KMM_GROUP_MAX, 10);
	CHECK(info_of(w.g).pages > 10);
	CHECK_EQ(space_poke(&w.s, w.s.mm, at(700), 1), -9);
	CHECK(kmm_mm_oom_group(w.s.mm) == w.g);
	CHECK(info_of(w.g).events[KMM_GROUP_EV_OOM] > 0);
	kmm_group_set(w.g, KMM_GROUP_MAX, KMM_GROUP_NO_LIMIT);
	kmm_group_set(w.g, KMM_GROUP_SWAP_MAX, KMM_GROUP_NO_LIMIT);
	CALL(verify(&w, w.s.mm, 0, 600, 4));
	CALL(stop(&w));
}

/* Swap is charged by slot, up to its limit, until the slot is free. */
SWAP_BOTH(group_swap_is_charged)
{
	struct kmm_group_info info;
	struct limited w;

	CALL(start(&w, KMM_I386_PAE));
	kmm_group_set(w.g, KMM_GROUP_SWAP_MAX, 100);
	CALL(fill(&w, w.s.mm, 0, 300, 5));
	kmm_group_reclaim(w.g, 300);
	kmm_swap_quiesce(w.s.k);
	info = info_of(w.g);
	CHECK_EQ(info.swap, 100);
	CHECK_EQ(info.swap_peak, 100);
	CHECK_EQ(info.pages, 200);
	CALL(space_audit(&w.s));
	CHECK_EQ(space_unmap(&w.s, at(0), 150), 0);
	CHECK(info_of(w.g).swap < 100);
	CALL(verify(&w, w.s.mm, 150, 150, 5));
	CHECK_EQ(info_of(w.g).swap, 0);
	CHECK_EQ(info_of(w.g).pages, 150);
	CALL(stop(&w));
}

/* What is in swap comes back to the group that it went from, wherever its space is now; if that was removed, to the space's. */
SWAP_BOTH(group_swapped_pages_come_back)
{
	struct limited w;

	CALL(start(&w, KMM_X86_64));
	CALL(fill(&w, w.s.mm, 0, 200, 6));
	CHECK_EQ(kmm_group_reclaim(w.g, 200), 200);
	kmm_swap_quiesce(w.s.k);
	CHECK_EQ(info_of(w.g).swap, 200);
	CHECK_OK(kmm_mm_set_group(w.s.mm, w.other));
	CALL(verify(&w, w.s.mm, 0, 50, 6));
	CHECK(info_of(w.g).pages >= (later ? 1 : 50)); /* those read ahead are the reader's */
	CHECK_EQ(info_of(w.g).pages + info_of(w.other).pages, 50);
	CHECK_OK(kmm_group_remove(w.g));
	CALL(space_audit(&w.s));
	CALL(verify(&w, w.s.mm, 50, 150, 6));
	CHECK(info_of(w.other).pages >= 150);
	CALL(space_audit(&w.s));
	CHECK_OK(kmm_group_create(w.s.k, NULL, &w.g));
	CALL(stop(&w));
}

/* Reclaim for all takes nothing within MIN, and what is within LOW last. */
SWAP_BOTH(group_protection)
{
	struct limited w;

	CALL(start(&w, KMM_X86_64));
	CALL(fill(&w, w.s.mm, 0, 500, 7));
	CALL(fill(&w, w.neighbour, 0, 500, 8));
	kmm_group_set(w.g, KMM_GROUP_MIN, 500);
	(void)kmm_reclaim_pages(w.s.k, 400);
	CHECK_EQ(resident(w.s.mm), 500);
	CHECK(resident(w.neighbour) <= 150);
	(void)kmm_reclaim_pages(w.s.k, 1000);
	CHECK_EQ(resident(w.s.mm), 500);
	CHECK_EQ(resident(w.neighbour), 0);
	CHECK_EQ(info_of(w.g).events[KMM_GROUP_EV_LOW], 0);
	kmm_group_set(w.g, KMM_GROUP_MIN, 100);
	kmm_group_set(w.g, KMM_GROUP_LOW, 500);
	kmm_swap_quiesce(w.s.k); /* what is taken back while it is written is its transfer's too, and stays */
	CALL(fill(&w, w.neighbour, 0, 200, 8));
	(void)kmm_reclaim_pages(w.s.k, 200);
	CHECK_EQ(resident(w.s.mm), 500);
	(void)kmm_reclaim_pages(w.s.k, 1000);
	CHECK_EQ(resident(w.s.mm), 100);
	CHECK(info_of(w.g).events[KMM_GROUP_EV_LOW] > 0);
	CALL(verify(&w, w.s.mm, 0, 500, 7));
	CALL(stop(&w));
}

/* Without a limit of their own groups are reclaimed like everything else, by how many pages they have. */
SWAP_BOTH(group_shares_of_reclaim)
{
	struct limited w;
	kmm_word a, b;

	CALL(start(&w, KMM_X86_64));
	CALL(fill(&w, w.s.mm, 0, 1200, 7));
	CALL(fill(&w, w.neighbour, 0, 400, 8));
	CHECK(kmm_reclaim_pages(w.s.k, 800) >= 800);
	a = 1200 - resident(w.s.mm);
	b = 400 - resident(w.neighbour);
	CHECK(a >= 2 * b && a <= 4 * b);
	CALL(verify(&w, w.s.mm, 0, 1200, 7));
	CALL(verify(&w, w.neighbour, 0, 400, 8));
	CALL(stop(&w));
}

/* The protection that a group has is what those below it share. */
KMM_TEST(group_protection_is_shared_below)
{
	struct kmm_group *a, *b;
	struct limited w;

	later = false;
	CALL(start(&w, KMM_X86_64));
	CHECK_OK(kmm_group_create(w.s.k, w.g, &a));
	CHECK_OK(kmm_group_create(w.s.k, w.g, &b));
	CHECK_OK(kmm_mm_set_group(w.s.mm, a));
	CHECK_OK(kmm_mm_set_group(w.neighbour, b));
	CALL(fill(&w, w.s.mm, 0, 600, 1));
	CALL(fill(&w, w.neighbour, 0, 200, 2));
	kmm_group_set(w.g, KMM_GROUP_MIN, 400);
	kmm_group_set(a, KMM_GROUP_MIN, 600);
	kmm_group_set(b, KMM_GROUP_MIN, 1000);
	(void)kmm_reclaim_pages(w.s.k, 2000);
	CHECK_EQ(resident(w.s.mm), 300); /* 600 : 200 of 400 */
	CHECK_EQ(resident(w.neighbour), 100);
	CHECK_EQ(kmm_group_reclaim(w.g, 100), 0); /* a limit above them does not break it either */
	kmm_group_set(b, KMM_GROUP_MIN, 0);
	CHECK_EQ(kmm_group_reclaim(w.g, 200), 100);
	CHECK_EQ(kmm_group_reclaim(a, 50), 50); /* its own does */
	CALL(verify(&w, w.s.mm, 0, 600, 1));
	CHECK_OK(kmm_mm_set_group(w.s.mm, NULL));
	CHECK_OK(kmm_mm_set_group(w.neighbour, NULL));
	CHECK_OK(kmm_group_remove(a));
	CHECK_OK(kmm_group_remove(b));
	CALL(stop(&w));
}

/* Whom to end: of the group alone, in words that say why. */
KMM_TEST(group_victims)
{
	struct kmm_oom_candidate ranked[4];
	struct hosted_text text;
	struct kmm_mm *child;
	struct limited w;
	kmm_word nr_oom;
	unsigned nr;

	later = false;
	CALL(start_sized(&w, KMM_X86_64, 1200, 0));
	CALL(fill(&w, w.neighbour, 0, 2000, 1)); /* the largest of all */
	CALL(fill(&w, w.s.mm, 0, 100, 2));
	CHECK_OK(kmm_mm_fork(w.s.mm, &child));
	CALL(fill(&w, child, 100, 50, 3));
	kmm_group_set(w.g, KMM_GROUP_MAX, 150);
	CHECK_EQ(space_poke(&w.s, w.s.mm, at(3000), 1), -9);
	CHECK(kmm_mm_oom_group(w.s.mm) == w.g);
	nr = kmm_group_oom_rank(w.g, ranked, 4);
	CHECK_EQ(nr, 2);
	CHECK(ranked[0].mm == child && ranked[1].mm == w.s.mm);
	kmm_group_note_kill(w.g, false);
	nr_oom = info_of(w.g).events[KMM_GROUP_EV_OOM];
	kmm_group_note_oom(w.g);
	CHECK_EQ(info_of(w.g).events[KMM_GROUP_EV_OOM], nr_oom + 1);
	kmm_report_group_oom(w.g, ranked, nr, hosted_text_init(&text));
	CHECK(strstr(text.text, "memory: usage 600 KiB, limit 600; swap: usage 0 KiB, without limit\n") != NULL);
	CHECK(strstr(text.text, "private pages 600 KiB, pages of files 0 KiB, of those shared memory 0\n") != NULL);
	CHECK(strstr(text.text, "there is no swap, so private pages have no other place\n") != NULL);
	hosted_text_free(&text);
	while (nr)
		kmm_mm_put(ranked[--nr].mm);
	hosted_put_space(w.s.m, child);
	CHECK_EQ(space_poke(&w.s, w.s.mm, at(3000), 1), 0);
	CHECK_EQ(info_of(w.g).events[KMM_GROUP_EV_OOM_KILL], 1);
	CALL(stop(&w));
}

/* A file's pages leave a full group before anything else fails, and others' files stay. */
SWAP_BOTH(group_limit_and_files)
{
	struct kmm_file file;
	struct limited w;
	char byte = 1;
	size_t done;

	CALL(start(&w, KMM_X86_64));
	kmm_group_set(w.g, KMM_GROUP_MAX, 100);
	kmm_file_init(&file, w.s.k, 1000 * SPACE_PAGE, "/file");
	hosted_run_space(w.s.m, w.s.mm);
	for (unsigned i = 0; i < 400; i++) {
		CHECK_OK(kmm_file_write(&file, i * SPACE_PAGE + 8, &byte, 1, &done));
		CHECK(info_of(w.g).pages <= 100);
	}
	CALL(space_audit(&w.s));
	for (unsigned i = 0; i < 400; i++) {
		CHECK_OK(kmm_file_read(&file, i * SPACE_PAGE + 8, &byte, 1, &done));
		CHECK_EQ(byte, 1);
	}
	CHECK(info_of(w.g).pages <= 100);
	kmm_swap_quiesce(w.s.k);
	kmm_backing_put(&file.backing);
	CHECK_EQ(info_of(w.g).swap, 0);
	CALL(stop(&w));
}

/* Each transfer fails once; what is charged is what is there. */
SWAP_BOTH(group_transfers_fail_once)
{
	for (uint64_t nth = 1;; nth++) {
		struct hosted_swap_faults faults = { .nth = nth };
		struct limited w;
		bool over;

		CALL(start(&w, KMM_X86_64));
		kmm_group_set(w.g, KMM_GROUP_MAX, 64);
		hosted_swap_fail(w.disk, &faults);
		for (unsigned i = 0; i < 160; i++)
			(void)space_poke(&w.s, w.s.mm, at(i), (uint8_t)i);
		for (unsigned i = 0; i < 160; i++)
			(void)space_peek(&w.s, w.s.mm, at(i));
		kmm_swap_quiesce(w.s.k);
		over = hosted_swap_transfers(w.disk) < nth;
		CHECK(info_of(w.g).pages <= 64 + 32);
		CALL(stop(&w));
		if (over)
			return;
		if (nth > 40)
			nth += nth / 4; /* they are all alike by then */
	}
}

/* The text of Linux's files. */
KMM_TEST(group_texts)
{
	struct hosted_text text;
	struct limited w;

	later = false;
	CALL(start(&w, KMM_X86_64));
	CALL(fill(&w, w.s.mm, 0, 10, 1));
	CHECK_EQ(kmm_group_reclaim(w.g, 4), 4);
	CALL(verify(&w, w.s.mm, 0, 10, 1));
	kmm_report_group_stat(w.g, hosted_text_init(&text));
	CHECK(strstr(text.text, "anon 40960\nfile 0\nshmem 0\nswapcached 0\nworkingset_refault_anon 4\n") == text.text);
	CHECK(strstr(text.text, "\npgsteal 4\npgfault 14\npgmajfault 4\n") != NULL);
	hosted_text_free(&text);
	kmm_report_group_events(w.g, false, hosted_text_init(&text));
	CHECK_STR(text.text, "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n");
	hosted_text_free(&text);
	kmm_report_group_swap_events(w.g, hosted_text_init(&text));
	CHECK_STR(text.text, "high 0\nmax 0\nfail 0\n");
	hosted_text_free(&text);
	CHECK_OK(kmm_mm_set_group(w.s.mm, w.other)); /* what it did stays counted */
	CALL(fill(&w, w.s.mm, 10, 1, 1));
	kmm_report_group_stat(w.g, hosted_text_init(&text));
	CHECK(strstr(text.text, "\npgfault 14\npgmajfault 4\n") != NULL);
	hosted_text_free(&text);
	kmm_report_group_stat(w.other, hosted_text_init(&text));
	CHECK(strstr(text.text, "\npgfault 1\npgmajfault 0\n") != NULL);
	hosted_text_free(&text);
	CALL(stop(&w));
}
