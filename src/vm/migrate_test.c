/* SPDX-License-Identifier: MIT */
/*
 * Moving pages between frames: each sort of page, each reason to refuse, and every operation on spaces that can come
 * while a page is on its way. The middle of a move is reached through the port: the flush happens there.
 */
#include "vm/migrate.h"

#include "harness/space.h"
#include "vm/backing.h"

#include <pthread.h>

#define AT 0x20000000ull

static uint64_t at(unsigned n) { return AT + n * SPACE_PAGE; }

static struct kmm_pte pte_of(struct space *s, struct kmm_mm *mm, uint64_t va)
{
	struct kmm_pte none = { { 0 }, 0 };
	struct kmm_ptref ref;

	if (!kmm_pt_lookup(s->k, &mm->space, (kmm_word)va, &ref))
		return none;
	return kmm_pt_decode(s->k, kmm_pt_read(s->k, &ref));
}

static struct kmm_pfn frame_of(struct space *s, struct kmm_mm *mm, uint64_t va)
{
	return pte_of(s, mm, va).pfn;
}

/* Moves the frame behind va; every space in mms then shows another one with the rights and marks as before. */
static void move_shown(struct space *s, struct kmm_mm **mms, unsigned nr, uint64_t va)
{
	struct kmm_pte before[4];

	for (unsigned i = 0; i < nr; i++)
		before[i] = pte_of(s, mms[i], va);
	CHECK_OK(kmm_migrate_page(s->k, before[0].pfn));
	for (unsigned i = 0; i < nr; i++) {
		struct kmm_pte now = pte_of(s, mms[i], va);

		CHECK(now.pfn.v != before[i].pfn.v);
		CHECK_EQ(now.pfn.v, frame_of(s, mms[0], va).v);
		CHECK_EQ(now.flags, before[i].flags);
	}
	CALL(space_audit(s));
}

KMM_TEST(migrate_private_page)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, at(0), 4, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(space_poke(&s, s.mm, at(1) + 5, 77), 0);
		CALL(move_shown(&s, &s.mm, 1, at(1)));
		CHECK_EQ(space_peek(&s, s.mm, at(1) + 5), 77);
		CHECK_EQ(space_peek(&s, s.mm, at(1) + 6), 0);
		CHECK_EQ(space_poke(&s, s.mm, at(1) + 5, 78), 0); /* still writable, in place */
		CHECK_EQ(space_peek(&s, s.mm, at(1) + 5), 78);
		CALL(space_stop(&s));
	}
}

/* Three generations share a page; it moves for all, and copy on write goes on. */
KMM_TEST(migrate_shared_by_fork)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_mm *mm[3];
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, at(0), 4, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(space_poke(&s, s.mm, at(2), 5), 0);
		mm[0] = s.mm;
		CHECK_OK(kmm_mm_fork(mm[0], &mm[1]));
		CHECK_OK(kmm_mm_fork(mm[1], &mm[2]));
		CALL(move_shown(&s, mm, 3, at(2)));
		CHECK_EQ(space_poke(&s, mm[1], at(2), 6), 0);
		CHECK_EQ(space_peek(&s, mm[0], at(2)), 5);
		CHECK_EQ(space_peek(&s, mm[1], at(2)), 6);
		CHECK_EQ(space_peek(&s, mm[2], at(2)), 5);
		CALL(space_audit(&s));
		hosted_put_space(s.m, mm[1]);
		hosted_put_space(s.m, mm[2]);
		CALL(space_stop(&s));
	}
}

static enum kmm_status fill_numbers(struct kmm_file *file, uint64_t index, void *to)
{
	(void)file;
	memset(to, (int)index + 1, KMM_PAGE_SIZE);
	return KMM_OK;
}

/* A cached page with a shared and a private mapping, and one that nobody maps. */
KMM_TEST(migrate_file_pages)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_file file;
		struct kmm_page *page;
		struct space s;
		struct kmm_pfn pfn;
		size_t done;
		char byte = 9;

		CALL(space_start(&s, space_formats[f]));
		kmm_file_init(&file, s.k, 8 * SPACE_PAGE, "/file");
		file.fill = fill_numbers;
		CHECK_EQ(space_map_file(&s, at(0), 4, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
		CHECK_EQ(space_map_file(&s, at(10), 4, SPACE_R, KMM_MAP_PRIVATE, &file, 0), 0);
		CHECK_EQ(space_poke(&s, s.mm, at(1), 42), 0);
		CHECK_EQ(space_peek(&s, s.mm, at(11)), 42);
		CALL(move_shown(&s, &s.mm, 1, at(1)));
		CHECK_EQ(frame_of(&s, s.mm, at(11)).v, frame_of(&s, s.mm, at(1)).v);
		CHECK_EQ(space_peek(&s, s.mm, at(11)), 42);
		CHECK_EQ(space_poke(&s, s.mm, at(1), 43), 0);
		CHECK_OK(kmm_file_read(&file, SPACE_PAGE, &byte, 1, &done));
		CHECK_EQ(byte, 43);
		CHECK_OK(kmm_file_page(&file, 6, &page));
		pfn = kmm_page_to_pfn(s.k, page);
		kmm_put_page(s.k, page);
		CHECK_OK(kmm_migrate_page(s.k, pfn));
		CHECK_OK(kmm_file_page(&file, 6, &page));
		CHECK(kmm_page_to_pfn(s.k, page).v != pfn.v);
		kmm_put_page(s.k, page);
		CHECK_OK(kmm_file_read(&file, 6 * SPACE_PAGE + 3, &byte, 1, &done));
		CHECK_EQ(byte, 7);
		CALL(space_audit(&s));
		hosted_put_space(s.m, s.mm);
		s.mm = NULL;
		kmm_backing_put(&file.backing);
		CALL(space_stop(&s));
	}
}

KMM_TEST(migrate_shared_memory)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_mm *mm[2];
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, at(0), 4, SPACE_RW, SPACE_SHARED), 0);
		mm[0] = s.mm;
		CHECK_OK(kmm_mm_fork(mm[0], &mm[1]));
		CHECK_EQ(space_poke(&s, mm[0], at(3), 12), 0);
		CHECK_EQ(space_peek(&s, mm[1], at(3)), 12);
		CHECK_OK(kmm_migrate_page(s.k, frame_of(&s, mm[0], at(3))));
		CHECK_EQ(frame_of(&s, mm[0], at(3)).v, frame_of(&s, mm[1], at(3)).v);
		CHECK_EQ(space_poke(&s, mm[1], at(3), 13), 0);
		CHECK_EQ(space_peek(&s, mm[0], at(3)), 13);
		hosted_put_space(s.m, mm[1]);
		CALL(space_stop(&s));
	}
}

/* ---- what stays ---- */

KMM_TEST(migrate_refuses_what_is_held)
{
	struct kmm_page *page;
	struct space s;
	struct kmm_pte before, now;

	CALL(space_start(&s, KMM_I386_PAE));
	CHECK_EQ(space_map(&s, at(0), 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, at(0), 1), 0);
	before = pte_of(&s, s.mm, at(0));
	page = kmm_pfn_to_page(s.k, before.pfn);
	kmm_get_page(s.k, page);
	CHECK_EQ(kmm_migrate_page(s.k, before.pfn), KMM_EBUSY);
	now = pte_of(&s, s.mm, at(0));
	CHECK_EQ(now.pfn.v, before.pfn.v);
	CHECK_EQ(now.flags, before.flags);
	kmm_put_page(s.k, page);
	CHECK_OK(kmm_migrate_page(s.k, before.pfn));
	CALL(space_stop(&s));
}

KMM_TEST(migrate_refuses_kernel_memory)
{
	struct space s;
	struct kmm_page *page;
	void *small;

	CALL(space_start(&s, KMM_X86_64));
	page = kmm_alloc_pages(s.k, KMM_GFP_KERNEL, 2);
	small = kmm_kmalloc(s.k, 100, KMM_GFP_KERNEL);
	CHECK_EQ(space_map(&s, at(0), 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_peek(&s, s.mm, at(0)), 0);
	CHECK_EQ(kmm_migrate_page(s.k, kmm_page_to_pfn(s.k, page)), KMM_EBUSY);
	CHECK_EQ(kmm_migrate_page(s.k, kmm_page_to_pfn(s.k, kmm_virt_to_page(s.k, small))), KMM_EBUSY);
	CHECK_EQ(kmm_migrate_page(s.k, kmm_paddr_to_pfn(s.mm->space.root)), KMM_EBUSY);
	CHECK_EQ(kmm_migrate_page(s.k, frame_of(&s, s.mm, at(0))), KMM_EBUSY); /* the zero page */
	CHECK_EQ(kmm_migrate_page(s.k, kmm_pfn(0xa0)), KMM_EINVAL);
	CHECK_EQ(kmm_migrate_page(s.k, kmm_pfn((kmm_word)-1)), KMM_EINVAL);
	kmm_kfree(s.k, small);
	kmm_free_pages(s.k, page, 2);
	CALL(space_stop(&s));
}

/* A backing of the embedder's: its frames are not ours to move, its private copies are. */
KMM_TEST(migrate_leaves_frames_of_other_backings)
{
	struct kmm_page *page;
	struct kmm_pfn pfn;
	struct space s;

	CALL(space_start(&s, KMM_I386));
	page = kmm_alloc_pages(s.k, KMM_GFP_KERNEL, 0);
	pfn = kmm_page_to_pfn(s.k, page);
	CHECK_OK(kmm_mm_map_special(s.mm, kmm_uva(AT), &page, 1, SPACE_R, "[test]"));
	CHECK(space_peek(&s, s.mm, AT) >= 0);
	CHECK_EQ(kmm_migrate_page(s.k, pfn), KMM_EBUSY);
	CHECK_EQ(frame_of(&s, s.mm, AT).v, pfn.v);
	kmm_put_page(s.k, page);
	CALL(space_stop(&s));
}

/* ---- ranges ---- */

/* Frames in use, of which none is a program's. */
static kmm_word kernel_frames(struct space *s, kmm_word first, kmm_word nr)
{
	kmm_word used = 0;

	for (kmm_word pfn = first; pfn < first + nr; pfn++) {
		struct kmm_page_info info;

		kmm_page_info(s->k, kmm_pfn_to_page(s->k, kmm_pfn(pfn)), &info);
		if (info.kind == KMM_KIND_ANON || info.kind == KMM_KIND_FILE)
			return (kmm_word)-1;
		used += info.kind >= KMM_KIND_RESERVED ? (kmm_word)1 << info.order : 0;
	}
	return used;
}

KMM_TEST(migrate_range_empties_a_tract)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		enum { PAGES = 1200 };
		struct kmm_migrate_stats stats;
		struct space s;
		kmm_word first, left = 1;
		enum kmm_status status;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, at(0), PAGES, SPACE_RW, SPACE_ANON), 0);
		for (unsigned i = 0; i < PAGES; i++)
			CHECK_EQ(space_poke(&s, s.mm, at(i), (uint8_t)(i * 7)), 0);
		first = frame_of(&s, s.mm, at(PAGES / 2)).v & ~(kmm_word)511;
		status = kmm_migrate_range(s.k, kmm_pfn(first), 512, &left);
		CHECK_EQ(left, kernel_frames(&s, first, 512));
		CHECK_EQ(status, left ? KMM_EBUSY : KMM_OK);
		for (unsigned i = 0; i < PAGES; i++) {
			kmm_word pfn = frame_of(&s, s.mm, at(i)).v;

			CHECK(pfn < first || pfn >= first + 512);
			CHECK_EQ(space_peek(&s, s.mm, at(i)), (uint8_t)(i * 7));
		}
		kmm_migrate_stats(s.k, &stats);
		CHECK(stats.success > 100);
		CALL(space_stop(&s));
	}
}

/* No frame outside: what was moved is whole, what was not too. */
KMM_TEST(migrate_every_allocation_fails_once)
{
	struct space s;
	kmm_word first;
	const char *site = "";

	CALL(space_start(&s, KMM_I386_PAE));
	CHECK_EQ(space_map(&s, at(0), 20, SPACE_RW, SPACE_ANON), 0);
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ(space_poke(&s, s.mm, at(i), (uint8_t)i), 0);
	for (uint64_t n = 1; site; n++) {
		enum kmm_status status;

		first = frame_of(&s, s.mm, at(0)).v;
		kmm_fail_nth(s.k, n);
		status = kmm_migrate_range(s.k, kmm_pfn(first), 20, NULL);
		kmm_fail_count(s.k, &site);
		kmm_fail_nth(s.k, 0);
		CHECK_EQ(status == KMM_ENOMEM, site != NULL);
		CALL(space_audit(&s));
		for (unsigned i = 0; i < 20; i++)
			CHECK_EQ(space_peek(&s, s.mm, at(i)), i);
	}
	CALL(space_stop(&s));
}

/* ---- in the middle ---- */

static struct {
	struct space *s;
	void (*act)(struct space *s);  /* once, at the next flush; all is mapped by moving entries then */
	void (*flush)(struct kmm_port *port, const struct kmm_flush *flush);
	bool has_thread;
	pthread_t thread;
	void *result;
} middle;

static void flush_and_act(struct kmm_port *port, const struct kmm_flush *flush)
{
	void (*act)(struct space *s) = middle.act;

	middle.flush(port, flush);
	if (!act || !atomic_load(&middle.s->k->vm->moving))
		return;
	middle.act = NULL;
	act(middle.s);
}

static void two_cpus(struct space *s, enum kmm_format_id format)
{
	struct hosted_config config = { .machine = { .format = format, .nr_cpus = 2 }, .ram_bytes = 1200ull << 20 };
	const char *why = "";

	hosted_set_cpu(0);
	CHECK_OK(hosted_boot(&config, &s->m, &why));
	s->k = hosted_kmm(s->m);
	CHECK_OK(kmm_mm_create(s->k, &s->mm));
}

/* 8 pages at AT, written; page 3 is moved, and act runs in the middle of that. */
static void interrupted_move(struct space *s, enum kmm_format_id format, void (*act)(struct space *s))
{
	enum kmm_status status;

	CALL(two_cpus(s, format));
	CHECK_EQ(space_map(s, at(0), 8, SPACE_RW, SPACE_ANON), 0);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(space_poke(s, s->mm, at(i), (uint8_t)(i + 1)), 0);
	middle.s = s;
	middle.act = act;
	middle.has_thread = false;
	middle.flush = kmm_port_of(s->k)->tlb_flush_local;
	kmm_port_of(s->k)->tlb_flush_local = flush_and_act;
	status = kmm_migrate_page(s->k, frame_of(s, s->mm, at(3)));
	CHECK(status == KMM_OK || status == KMM_EBUSY); /* it was gone when it arrived */
	kmm_port_of(s->k)->tlb_flush_local = middle.flush;
	CHECK(!middle.act);
	if (middle.has_thread)
		pthread_join(middle.thread, &middle.result);
	CALL(space_audit(s));
}

static void act_unmap(struct space *s) { (void)space_unmap(s, at(2), 3); }
static void act_discard(struct space *s) { (void)!kmm_madvise(s->mm, kmm_uva((kmm_word)at(3)), SPACE_PAGE, 4); }
static void act_forbid(struct space *s) { (void)space_protect(s, at(3), 1, SPACE_R); }
static void act_hide(struct space *s) { (void)space_protect(s, at(3), 1, KMM_PROT_NONE); }
static void act_report(struct space *s)
{
	struct hosted_text text;

	kmm_report_smaps(s->mm, hosted_text_init(&text));
	if (!strstr(text.text, "Rss:                  32 kB"))
		middle.act = act_report; /* seen by the test as not done */
	hosted_text_free(&text);
}

static void act_remap(struct space *s)
{
	struct kmm_uva out;

	(void)!kmm_mremap(s->mm, kmm_uva((kmm_word)at(2)), 4 * SPACE_PAGE, 4 * SPACE_PAGE, KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED,
			  kmm_uva((kmm_word)at(32)), &out);
}

KMM_TEST(migrate_meets_munmap)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(interrupted_move(&s, space_formats[f], act_unmap));
		CHECK_EQ(space_peek(&s, s.mm, at(3)), -11);
		CHECK_EQ(space_peek(&s, s.mm, at(5)), 6);
		CALL(space_stop(&s));
	}
}

KMM_TEST(migrate_meets_madvise)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(interrupted_move(&s, space_formats[f], act_discard));
		CHECK_EQ(space_peek(&s, s.mm, at(3)), 0);
		CALL(space_stop(&s));
	}
}

/* Rights that were taken away meanwhile do not come back with the page. */
KMM_TEST(migrate_meets_mprotect)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(interrupted_move(&s, space_formats[f], act_forbid));
		CHECK_EQ(space_peek(&s, s.mm, at(3)), 4);
		CHECK_EQ(space_poke(&s, s.mm, at(3), 9), -11);
		CHECK_EQ(space_protect(&s, at(3), 1, SPACE_RW), 0);
		CHECK_EQ(space_poke(&s, s.mm, at(3), 9), 0);
		CALL(space_stop(&s));
		CALL(interrupted_move(&s, space_formats[f], act_hide));
		CHECK_EQ(space_peek(&s, s.mm, at(3)), -11);
		CHECK_EQ(space_protect(&s, at(3), 1, SPACE_RW), 0);
		CHECK_EQ(space_peek(&s, s.mm, at(3)), 4);
		CALL(space_stop(&s));
	}
}

KMM_TEST(migrate_meets_mremap)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(interrupted_move(&s, space_formats[f], act_remap));
		for (unsigned i = 0; i < 4; i++)
			CHECK_EQ(space_peek(&s, s.mm, at(32 + i)), i + 3);
		CHECK_EQ(space_peek(&s, s.mm, at(3)), -11);
		CALL(space_stop(&s));
	}
}

KMM_TEST(migrate_meets_smaps)
{
	struct space s;

	CALL(interrupted_move(&s, KMM_X86_64, act_report));
	CALL(space_stop(&s));
}

/* Those who need the page sleep until it has arrived. */
static void *read_page(void *arg)
{
	struct space *s = arg;

	hosted_set_cpu(1);
	return (void *)(intptr_t)space_peek(s, s->mm, at(3));
}

static void *write_page(void *arg)
{
	struct space *s = arg;

	hosted_set_cpu(1);
	return (void *)(intptr_t)space_poke(s, s->mm, at(3), 200);
}

static void *fork_space(void *arg)
{
	struct space *s = arg;
	struct kmm_mm *child = NULL;

	hosted_set_cpu(1);
	return kmm_mm_fork(s->mm, &child) == KMM_OK ? child : NULL;
}

static void begin_thread(struct space *s, void *(*run)(void *arg))
{
	middle.has_thread = pthread_create(&middle.thread, NULL, run, s) == 0;
	while (!atomic_load(&s->k->vm->move_waiters))
		;
}

static void act_read(struct space *s) { begin_thread(s, read_page); }
static void act_write(struct space *s) { begin_thread(s, write_page); }
static void act_fork(struct space *s) { begin_thread(s, fork_space); }

KMM_TEST(migrate_meets_faults)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(interrupted_move(&s, space_formats[f], act_read));
		CHECK_EQ((intptr_t)middle.result, 4);
		CALL(space_stop(&s));
		CALL(interrupted_move(&s, space_formats[f], act_write));
		CHECK_EQ((intptr_t)middle.result, 0);
		CHECK_EQ(space_peek(&s, s.mm, at(3)), 200);
		CALL(space_stop(&s));
	}
}

KMM_TEST(migrate_meets_fork)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;
		struct kmm_mm *child;

		CALL(interrupted_move(&s, space_formats[f], act_fork));
		child = middle.result;
		CHECK(child != NULL);
		CHECK_EQ(space_peek(&s, child, at(3)), 4);
		CHECK_EQ(frame_of(&s, child, at(3)).v, frame_of(&s, s.mm, at(3)).v);
		CALL(space_audit(&s));
		hosted_put_space(s.m, child);
		CALL(space_stop(&s));
	}
}

/* ---- more spaces than a flush gathers ---- */

KMM_TEST(migrate_page_of_many_spaces)
{
	enum { MANY = 40 };
	struct kmm_mm *mm[MANY];
	struct space s;
	struct kmm_pfn pfn;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, at(0), 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, at(0), 99), 0);
	for (unsigned i = 0; i < MANY; i++)
		CHECK_OK(kmm_mm_fork(s.mm, &mm[i]));
	pfn = frame_of(&s, s.mm, at(0));
	CHECK_OK(kmm_migrate_page(s.k, pfn));
	for (unsigned i = 0; i < MANY; i++) {
		CHECK(frame_of(&s, mm[i], at(0)).v == frame_of(&s, s.mm, at(0)).v);
		CHECK_EQ(space_peek(&s, mm[i], at(0)), 99);
	}
	CALL(space_audit(&s));
	for (unsigned i = 0; i < MANY; i++)
		hosted_put_space(s.m, mm[i]);
	CALL(space_stop(&s));
}
