/* SPDX-License-Identifier: MIT */
/*
 * Faults by the simulated processor: signals, the zero page, copy on write, stacks; copies by the kernel.
 */
#include "fault/fault.h"

#include "harness/space.h"

enum { SEGV = 11, BUS = 7, MAPERR = 1, ACCERR = 2 };
#define AT 0x20000000ull

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

static struct kmm_mm_stats stats_of(struct kmm_mm *mm)
{
	struct kmm_mm_stats stats;

	kmm_mm_stats(mm, &stats);
	return stats;
}

KMM_TEST(fault_classify_table)
{
	const uint32_t rw = KMM_VM_READ | KMM_VM_WRITE, shared = rw | KMM_VM_SHARED;
	const uint32_t ro_entry = KMM_PTE_PRESENT | KMM_PTE_USER, rw_entry = ro_entry | KMM_PTE_WRITE;

	CHECK_EQ(kmm_fault_classify(rw, false, 0, KMM_READ), KMM_CASE_ZERO);
	CHECK_EQ(kmm_fault_classify(rw, false, 0, KMM_EXEC), KMM_CASE_ZERO);
	CHECK_EQ(kmm_fault_classify(rw, false, 0, KMM_WRITE), KMM_CASE_ANON);
	CHECK_EQ(kmm_fault_classify(rw, true, 0, KMM_READ), KMM_CASE_FILE);
	CHECK_EQ(kmm_fault_classify(rw, true, 0, KMM_WRITE), KMM_CASE_FILE_COPY);
	CHECK_EQ(kmm_fault_classify(shared, true, 0, KMM_WRITE), KMM_CASE_FILE);
	CHECK_EQ(kmm_fault_classify(rw, false, ro_entry, KMM_WRITE), KMM_CASE_COPY_ON_WRITE);
	CHECK_EQ(kmm_fault_classify(rw, true, ro_entry, KMM_WRITE), KMM_CASE_COPY_ON_WRITE);
	CHECK_EQ(kmm_fault_classify(shared, true, ro_entry, KMM_WRITE), KMM_CASE_MAKE_WRITABLE);
	CHECK_EQ(kmm_fault_classify(rw, false, ro_entry, KMM_READ), KMM_CASE_SPURIOUS);
	CHECK_EQ(kmm_fault_classify(rw, false, rw_entry, KMM_WRITE), KMM_CASE_SPURIOUS);
}

static void check_signal(struct space *s, uint64_t va, enum kmm_access access, int signal, int code)
{
	uint8_t byte = 0;
	struct hosted_result r = hosted_access(s->m, s->mm, va, access, &byte, 1);

	CHECK_EQ(r.signal, signal);
	CHECK_EQ(r.code, code);
	CHECK_EQ(r.addr, va);
}

KMM_TEST(fault_signals)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, page(0), 1, SPACE_R, SPACE_ANON), 0);
		CHECK_EQ(space_map(&s, page(1), 1, KMM_PROT_NONE, SPACE_ANON), 0);
		CALL(check_signal(&s, page(0), KMM_WRITE, SEGV, ACCERR));
		CALL(check_signal(&s, page(1) + 17, KMM_READ, SEGV, ACCERR));
		CALL(check_signal(&s, page(2), KMM_READ, SEGV, MAPERR));
		CALL(check_signal(&s, 0, KMM_READ, SEGV, MAPERR));
		if (space_formats[f] != KMM_I386)
			CALL(check_signal(&s, page(0), KMM_EXEC, SEGV, ACCERR));
		CALL(check_signal(&s, kmm_layout_of(s.k)->page_offset, KMM_READ, SEGV, MAPERR));
		CALL(check_signal(&s, kmm_layout_of(s.k)->user_end_max - 1, KMM_WRITE, SEGV, MAPERR));
		CALL(space_stop(&s));
	}
}

KMM_TEST(fault_zero_page)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(0)), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(1)), 0);
		CHECK_EQ(stats_of(s.mm).rss_anon, 0);
		CHECK_EQ(stats_of(s.mm).zero_maps, 2);
		CHECK_EQ(space_poke(&s, s.mm, page(0), 5), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(0)), 5);
		CHECK_EQ(space_peek(&s, s.mm, page(0) + 1), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(1)), 0);
		CHECK_EQ(stats_of(s.mm).rss_anon, 1);
		CHECK_EQ(stats_of(s.mm).cow_copies, 0);
		CALL(space_stop(&s));
	}
}

KMM_TEST(fault_copy_on_write)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_mm *child, *grandchild;
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, page(0), 3, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(space_poke(&s, s.mm, page(0), 1), 0);
		CHECK_EQ(space_poke(&s, s.mm, page(1), 2), 0);
		CHECK_OK(kmm_mm_fork(s.mm, &child));
		CHECK_OK(kmm_mm_fork(child, &grandchild));
		CHECK_EQ(stats_of(child).rss_anon, 2);
		CALL(space_audit(&s));
		CHECK_EQ(space_poke(&s, child, page(0), 10), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(0)), 1);
		CHECK_EQ(space_peek(&s, grandchild, page(0)), 1);
		CHECK_EQ(space_poke(&s, s.mm, page(0), 11), 0);
		CHECK_EQ(space_poke(&s, grandchild, page(0), 12), 0); /* the last owner keeps the frame */
		CHECK_EQ(stats_of(grandchild).cow_reuses, 1);
		CHECK_EQ(stats_of(grandchild).cow_copies, 0);
		CHECK_EQ(space_peek(&s, child, page(0)), 10);
		CHECK_EQ(space_peek(&s, s.mm, page(0)), 11);
		CHECK_EQ(space_peek(&s, grandchild, page(0)), 12);
		CALL(space_audit(&s));
		hosted_put_space(s.m, child);
		CHECK_EQ(space_peek(&s, grandchild, page(1)), 2);
		hosted_put_space(s.m, grandchild);
		CHECK_EQ(space_poke(&s, s.mm, page(1), 3), 0);
		CHECK_EQ(stats_of(s.mm).cow_reuses, 1);
		CALL(space_stop(&s));
	}
}

KMM_TEST(fault_dontfork)
{
	struct kmm_mm *child;
	struct space s;

	CALL(space_start(&s, KMM_I386));
	CHECK_EQ(space_map(&s, page(0), 3, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
	CHECK_OK(kmm_madvise(s.mm, kmm_uva(page(1)), SPACE_PAGE, 10));
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_EQ(space_peek(&s, child, page(0)), 0);
	CHECK_EQ(space_peek(&s, child, page(1)), -SEGV);
	CHECK_EQ(stats_of(child).total_pages, 2);
	hosted_put_space(s.m, child);
	CALL(space_stop(&s));
}

/* A filling of half a gigabyte of addresses needs frames only where it was touched, and gives all back. */
KMM_TEST(fault_populate_and_locked)
{
	struct space s;

	CALL(space_start(&s, KMM_I386_PAE));
	CHECK_EQ(space_map(&s, page(0), 100, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
	CHECK_EQ(stats_of(s.mm).rss_anon, 100);
	CHECK_EQ(space_map(&s, page(200), 10, SPACE_RW, SPACE_ANON | KMM_MAP_LOCKED), 0);
	CHECK_EQ(stats_of(s.mm).locked_pages, 10);
	CHECK_EQ(stats_of(s.mm).rss_anon, 110);
	CHECK_EQ(space_map(&s, page(300), 10, SPACE_R, SPACE_ANON | KMM_MAP_POPULATE), 0);
	CHECK_EQ(space_map(&s, page(400), 10, KMM_PROT_NONE, SPACE_ANON | KMM_MAP_POPULATE), 0);
	CHECK_EQ(stats_of(s.mm).rss_anon, 110);
	CHECK_EQ(space_unmap(&s, page(200), 5), 0);
	CHECK_EQ(stats_of(s.mm).locked_pages, 5);
	CALL(space_stop(&s));
}

/* One read maps the cached pages of its 64 KiB, or the first 64 KiB of its area; what is not cached stays away. */
KMM_TEST(fault_maps_neighbours)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_file file;
		struct space s;
		size_t done;

		CALL(space_start(&s, space_formats[f]));
		kmm_file_init(&file, s.k, 40 * SPACE_PAGE, "/f");
		for (unsigned i = 0; i < 40; i++)
			if (i != 5)
				CHECK_OK(kmm_file_write(&file, i * SPACE_PAGE, "x", 1, &done));
		CHECK_EQ(space_map_file(&s, page(2), 38, SPACE_RW, KMM_MAP_PRIVATE, &file, 2), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(9)), 'x');
		CHECK_EQ(stats_of(s.mm).rss_file, 15); /* 2 to 17 without 5 */
		CALL(space_audit(&s));
		CHECK_EQ(space_peek(&s, s.mm, page(5)), 0);
		CHECK_EQ(stats_of(s.mm).rss_file, 16);
		CHECK_EQ(space_poke(&s, s.mm, page(20), 1), 0); /* writes map what they write */
		CHECK_EQ(stats_of(s.mm).rss_file, 16);
		CHECK_EQ(space_poke(&s, s.mm, page(8), 'y'), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(7)), 'x');
		CHECK_EQ(stats_of(s.mm).rss_file, 15);
		CHECK_EQ(space_peek(&s, s.mm, page(21)), 'x');
		CHECK_EQ(stats_of(s.mm).rss_file, 15 + 13); /* 16 to 31, without 16 and 17, which were there, and 20 */
		CHECK_OK(kmm_file_truncate(&file, 0));
		CHECK_EQ(stats_of(s.mm).rss_file + stats_of(s.mm).rss_anon, 0);
		hosted_put_space(s.m, s.mm);
		s.mm = NULL;
		kmm_backing_put(&file.backing);
		CALL(space_stop(&s));
	}
}

/* The window of an area that begins shortly before a page table's end, and that of a small area. */
KMM_TEST(fault_neighbours_end)
{
	struct kmm_file file;
	struct space s;
	size_t done;

	CALL(space_start(&s, KMM_X86_64));
	kmm_file_init(&file, s.k, 40 * SPACE_PAGE, "/f");
	for (unsigned i = 0; i < 40; i++)
		CHECK_OK(kmm_file_write(&file, i * SPACE_PAGE, "x", 1, &done));
	CHECK_EQ(space_map_file(&s, (64 << 20) - 3 * SPACE_PAGE, 30, SPACE_R, KMM_MAP_PRIVATE, &file, 0), 0);
	CHECK_EQ(space_peek(&s, s.mm, (64 << 20) - SPACE_PAGE), 'x');
	CHECK_EQ(stats_of(s.mm).rss_file, 3);
	CHECK_EQ(space_map_file(&s, page(7), 2, SPACE_R, KMM_MAP_PRIVATE, &file, 0), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(8)), 'x');
	CHECK_EQ(stats_of(s.mm).rss_file, 5);
	hosted_put_space(s.m, s.mm);
	s.mm = NULL;
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

/* A fetch is a read until the page is there: from beyond the end of a file SIGBUS, else the page comes, and then it is
 * not to be executed. Without no-execute it simply runs. */
KMM_TEST(fault_fetch_brings_the_page)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct hosted_result r;
		struct kmm_file file;
		struct space s;
		uint8_t byte;
		bool has_nx;

		CALL(space_start(&s, space_formats[f]));
		has_nx = kmm_fmt(s.k)->has_nx;
		kmm_file_init(&file, s.k, 0, "/f");
		CHECK_EQ(space_map_file(&s, page(0), 1, SPACE_RW, KMM_MAP_PRIVATE, &file, 0), 0);
		r = hosted_exec_user(s.m, s.mm, page(0), &byte, 1);
		CHECK_EQ(r.signal, BUS);
		CHECK_EQ(space_map(&s, page(2), 1, SPACE_RW, SPACE_ANON), 0);
		r = hosted_exec_user(s.m, s.mm, page(2), &byte, 1);
		CHECK_EQ(r.ok, !has_nx);
		CHECK_EQ(r.signal, has_nx ? SEGV : 0);
		CHECK_EQ(r.code, has_nx ? ACCERR : 0);
		CHECK_EQ(space_map(&s, page(4), 1, KMM_PROT_NONE, SPACE_ANON), 0);
		r = hosted_exec_user(s.m, s.mm, page(4), &byte, 1);
		CHECK_EQ(r.code, ACCERR);
		hosted_put_space(s.m, s.mm);
		s.mm = NULL;
		kmm_backing_put(&file.backing);
		CALL(space_stop(&s));
	}
}

/* ---- stacks ---- */

KMM_TEST(fault_stack_grows)
{
	struct space s;
	uint64_t top;

	CALL(space_start(&s, KMM_I386));
	top = 0xc0000000;
	CHECK_OK(kmm_mm_map_stack(s.mm, kmm_uva((kmm_word)top), SPACE_PAGE, false));
	CHECK_EQ(space_poke(&s, s.mm, top - 100 * SPACE_PAGE, 1), 0);
	CHECK_EQ(stats_of(s.mm).stack_pages, 100);
	CHECK_EQ(stats_of(s.mm).rss_anon, 1);
	CHECK_EQ(space_poke(&s, s.mm, top - (8 << 20), 2), 0);
	CHECK_EQ(space_poke(&s, s.mm, top - (8 << 20) - 1, 2), -SEGV); /* RLIMIT_STACK */
	CALL(check_signal(&s, top - (8 << 20) - 1, KMM_WRITE, SEGV, MAPERR));
	CHECK_EQ(stats_of(s.mm).map_count, 1);
	CALL(space_stop(&s));
}

KMM_TEST(fault_stack_guard)
{
	struct space s;
	uint64_t gap = 256 * SPACE_PAGE;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, AT, 1, SPACE_RW, SPACE_ANON | KMM_MAP_GROWSDOWN), 0);
	CHECK_EQ(space_map(&s, AT - gap - 9 * SPACE_PAGE, 1, SPACE_R, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, AT - 8 * SPACE_PAGE, 1), 0);
	CHECK_EQ(space_poke(&s, s.mm, AT - 9 * SPACE_PAGE, 1), -SEGV);
	CHECK_EQ(space_protect(&s, AT - gap - 9 * SPACE_PAGE, 1, KMM_PROT_NONE), 0);
	CHECK_EQ(space_poke(&s, s.mm, AT - 9 * SPACE_PAGE, 1), 0); /* nothing to guard against */
	CALL(space_stop(&s));
}

/* ---- copies ---- */

KMM_TEST(copy_crosses_pages)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;
		char out[10000], in[10000];
		size_t done;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON), 0);
		for (unsigned i = 0; i < sizeof(out); i++)
			out[i] = (char)(i * 7);
		CHECK_OK(kmm_copy_out(s.mm, kmm_uva(page(0) + 500), out, sizeof(out), &done));
		CHECK_EQ(done, sizeof(out));
		CHECK_EQ(stats_of(s.mm).rss_anon, 3);
		CHECK_EQ(space_peek(&s, s.mm, page(1)), (uint8_t)out[4096 - 500]);
		CHECK_OK(kmm_copy_in(s.mm, in, kmm_uva(page(0) + 500), sizeof(in), NULL));
		CHECK_EQ(memcmp(in, out, sizeof(in)), 0);
		CHECK_OK(kmm_clear_user(s.mm, kmm_uva(page(0) + 600), 5000));
		CHECK_EQ(space_peek(&s, s.mm, page(1)), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(0) + 599), (uint8_t)out[99]);
		CALL(space_stop(&s));
	}
}

KMM_TEST(copy_stops_where_it_must)
{
	struct space s;
	char buf[20000] = { 0 };
	size_t done;

	CALL(space_start(&s, KMM_I386_PAE));
	CHECK_EQ(space_map(&s, page(0), 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(2), 1, SPACE_R, SPACE_ANON), 0);
	CHECK_EQ(kmm_copy_out(s.mm, kmm_uva(page(1) + 100), buf, 8000, &done), KMM_EFAULT);
	CHECK_EQ(done, 4096 - 100);
	CHECK_EQ(kmm_copy_in(s.mm, buf, kmm_uva(page(1)), 3 * 4096, &done), KMM_EFAULT);
	CHECK_EQ(done, 2 * 4096);
	CHECK_EQ(kmm_copy_in(s.mm, buf, kmm_uva(0xbffff000), 8192, &done), KMM_EFAULT); /* reaches the kernel half */
	CHECK_EQ(done, 0);
	CHECK_EQ(kmm_copy_in(s.mm, buf, kmm_uva(0xfffff000), 8192, &done), KMM_EFAULT);
	CHECK_EQ(kmm_copy_out(s.mm, kmm_uva(page(1)), buf, SIZE_MAX, &done), KMM_EFAULT);
	CHECK_OK(kmm_copy_in(s.mm, buf, kmm_uva(0), 0, &done));
	CALL(space_stop(&s));
}

/* process_vm_readv and its like go by the rights of areas, and let no stack grow. */
KMM_TEST(copy_for_another)
{
	struct space s;
	char buf[20000] = { 0 };
	size_t done;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(2), 1, KMM_PROT_WRITE, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(3), 1, SPACE_R, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, page(2000), 1, SPACE_RW, SPACE_ANON | KMM_MAP_GROWSDOWN), 0);
	CHECK_OK(kmm_poke(s.mm, kmm_uva(page(1) + 100), "abc", 3, &done));
	CHECK_OK(kmm_peek(s.mm, buf, kmm_uva(page(1) + 101), 2, &done));
	CHECK_EQ(memcmp(buf, "bc", 2), 0);
	CHECK_EQ(kmm_poke(s.mm, kmm_uva(page(1) + 100), buf, 12000, &done), KMM_EFAULT);
	CHECK_EQ(done, 2 * 4096 - 100); /* up to what may only be read */
	CHECK_EQ(kmm_peek(s.mm, buf, kmm_uva(page(0)), 12000, &done), KMM_EFAULT);
	CHECK_EQ(done, 2 * 4096); /* up to what may only be written, though its page is there now */
	CHECK_EQ(kmm_peek(s.mm, buf, kmm_uva(page(1999)), 8, &done), KMM_EFAULT);
	CHECK_EQ(kmm_poke(s.mm, kmm_uva((kmm_word)UINT64_C(0x7ffffffff000)), buf, 8, &done), KMM_EFAULT);
	CHECK_EQ(kmm_peek(s.mm, buf, kmm_uva((kmm_word)-3), 8, &done), KMM_EFAULT);
	CHECK_OK(kmm_peek(s.mm, buf, kmm_uva(0), 0, &done));
	CALL(space_stop(&s));
}

KMM_TEST(copy_strings)
{
	struct space s;
	char buf[64];
	size_t len = 0;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_OK(kmm_copy_out(s.mm, kmm_uva(page(1) - 3), "hello", 6, NULL));
	CHECK_OK(kmm_copy_in_string(s.mm, buf, kmm_uva(page(1) - 3), 6, &len));
	CHECK_STR(buf, "hello");
	CHECK_EQ(len, 5);
	CHECK_EQ(kmm_copy_in_string(s.mm, buf, kmm_uva(page(1) - 3), 5, &len), KMM_EOVERFLOW);
	CHECK_OK(kmm_copy_out(s.mm, kmm_uva(page(2) - 2), "xx", 2, NULL));
	CHECK_EQ(kmm_copy_in_string(s.mm, buf, kmm_uva(page(2) - 2), 60, &len), KMM_EFAULT);
	CHECK_EQ(kmm_copy_in_string(s.mm, buf, kmm_uva(page(9)), 60, &len), KMM_EFAULT);
	CALL(space_stop(&s));
}

/* A copy breaks sharing as the program's own write would. */
KMM_TEST(copy_breaks_sharing)
{
	struct kmm_mm *child;
	struct space s;

	CALL(space_start(&s, KMM_I386));
	CHECK_EQ(space_map(&s, page(0), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(0), 1), 0);
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_OK(kmm_copy_out(child, kmm_uva(page(0)), "\2", 1, NULL));
	CHECK_EQ(space_peek(&s, s.mm, page(0)), 1);
	CHECK_EQ(space_peek(&s, child, page(0)), 2);
	hosted_put_space(s.m, child);
	CALL(space_stop(&s));
}

/* ---- lack of memory ---- */

static int touch_all(struct space *s)
{
	for (unsigned i = 0; i < 3; i++)
		if (space_poke(s, s->mm, page(i * 1024), 1))
			return 12;
	return 0;
}

static int fork_and_exit(struct space *s)
{
	struct kmm_mm *child;
	enum kmm_status status = kmm_mm_fork(s->mm, &child);

	if (status)
		return kmm_status_errno(status);
	hosted_put_space(s->m, child);
	return 0;
}

KMM_TEST(fault_fails_whole)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		for (unsigned i = 0; i < 3; i++)
			CHECK_EQ(space_map(&s, page(i * 1024), 4, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(space_map(&s, page(9), 4, SPACE_RW, SPACE_SHARED | KMM_MAP_POPULATE), 0);
		CALL(space_fail_each(&s, touch_all, false));
		CALL(space_fail_each(&s, fork_and_exit, true));
		CALL(space_stop(&s));
	}
}

/* Real exhaustion: the machine runs out of frames, says so, and has them all again after exit. */
KMM_TEST(fault_out_of_memory)
{
	struct hosted_config config = { .machine = { .format = KMM_I386, .nr_cpus = 1 }, .ram_bytes = 16ull << 20 };
	struct space s = { 0 };
	struct kmm_memory_stats before, after;
	const char *why;
	unsigned pages = 0;

	CHECK_OK(hosted_boot(&config, &s.m, &why));
	s.k = hosted_kmm(s.m);
	kmm_memory_stats(s.k, &before);
	CHECK_OK(kmm_mm_create(s.k, &s.mm));
	CHECK_EQ(space_map(&s, AT, 16384, SPACE_RW, SPACE_ANON | KMM_MAP_NORESERVE), 0);
	while (space_poke(&s, s.mm, page(pages), 1) == 0)
		pages++;
	CHECK(pages > 1000);
	CHECK_EQ(space_poke(&s, s.mm, page(pages), 1), -9);
	CALL(space_audit(&s));
	hosted_put_space(s.m, s.mm);
	s.mm = NULL;
	kmm_memory_stats(s.k, &after);
	CHECK(after.free_pages + 32 >= before.free_pages); /* slabs may have stayed */
	CALL(space_stop(&s));
}
