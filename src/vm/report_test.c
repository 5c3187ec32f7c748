/* SPDX-License-Identifier: MIT */
/*
 * The text of the reports, byte by byte, and what the audit sees.
 */
#include "harness/space.h"
#include "phys/desc.h"

#define AT 0x20000000ull

/* A space with one area of each sort. */
static void furnish(struct space *s, struct kmm_file *file)
{
	struct kmm_page *vdso = kmm_alloc_pages(s->k, KMM_GFP_KERNEL, 0);

	kmm_file_init(file, s->k, 3 * SPACE_PAGE, "/bin/a b");
	file->backing.dev_major = 8;
	file->backing.dev_minor = 1;
	file->backing.ino = 123456;
	CHECK_EQ(space_map_file(s, 0x08048000, 2, SPACE_RX, KMM_MAP_PRIVATE, file, 1), 0);
	kmm_mm_set_code(s->mm, kmm_uva(0x08048000), kmm_uva(0x08048100));
	kmm_mm_set_brk(s->mm, kmm_uva(0x0804b000));
	CHECK_EQ(kmm_brk(s->mm, kmm_uva(0x0804d000)).v, 0x0804d000);
	CHECK_EQ(space_map(s, AT, 1, KMM_PROT_NONE, SPACE_ANON), 0);
	CHECK_OK(kmm_mm_map_special(s->mm, kmm_uva(0xb7fff000), &vdso, 1, SPACE_RX, "[vdso]"));
	kmm_put_page(s->k, vdso);
	CHECK_OK(kmm_mm_map_stack(s->mm, kmm_uva(0xc0000000), 2 * SPACE_PAGE, false));
	CHECK_EQ(space_poke(s, s->mm, 0xbfffffff, 1), 0);
	CHECK_EQ(space_poke(s, s->mm, 0x0804b000, 1), 0);
	CHECK_EQ(space_peek(s, s->mm, 0x0804c000), 0);
	CHECK_EQ(space_peek(s, s->mm, 0x08048000), 0);
}

static void unfurnish(struct space *s, struct kmm_file *file)
{
	CALL(space_audit(s));
	hosted_put_space(s->m, s->mm);
	s->mm = NULL;
	kmm_backing_put(&file->backing);
	CALL(space_stop(s));
}

KMM_TEST(report_maps_32)
{
	struct kmm_file file;
	struct hosted_text text;
	struct space s;

	CALL(space_start(&s, KMM_I386));
	CALL(furnish(&s, &file));
	kmm_report_maps(s.mm, hosted_text_init(&text));
	CHECK_STR(text.text, "08048000-0804a000 r-xp 00001000 08:01 123456     /bin/a b\n"
			     "0804b000-0804d000 rw-p 00000000 00:00 0          [heap]\n"
			     "20000000-20001000 ---p 00000000 00:00 0 \n"
			     "b7fff000-b8000000 r-xp 00000000 00:00 0          [vdso]\n"
			     "bfffe000-c0000000 rw-p 00000000 00:00 0          [stack]\n");
	hosted_text_free(&text);
	CALL(unfurnish(&s, &file));
}

KMM_TEST(report_status_and_statm)
{
	struct kmm_file file;
	struct hosted_text text;
	struct space s;

	CALL(space_start(&s, KMM_I386));
	CALL(furnish(&s, &file));
	kmm_report_mm_status(s.mm, hosted_text_init(&text));
	CHECK_STR(text.text,
		  "VmPeak:\t      32 kB\nVmSize:\t      32 kB\nVmLck:\t       0 kB\nVmPin:\t       0 kB\n"
		  "VmHWM:\t      12 kB\nVmRSS:\t      12 kB\nRssAnon:\t       8 kB\nRssFile:\t       4 kB\n"
		  "RssShmem:\t       0 kB\nVmData:\t       8 kB\nVmStk:\t       8 kB\nVmExe:\t       4 kB\n"
		  "VmLib:\t       8 kB\nVmPTE:\t       8 kB\nVmSwap:\t       0 kB\nHugetlbPages:\t       0 kB\n");
	hosted_text_free(&text);
	kmm_report_statm(s.mm, hosted_text_init(&text));
	CHECK_STR(text.text, "8 3 1 1 0 4 0\n");
	hosted_text_free(&text);
	CALL(unfurnish(&s, &file));
}

KMM_TEST(report_smaps)
{
	struct kmm_mm *child;
	struct hosted_text text;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, AT, 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, AT, 1), 0);
	CHECK_EQ(space_poke(&s, s.mm, AT + SPACE_PAGE, 1), 0);
	CHECK_EQ(space_peek(&s, s.mm, AT + 2 * SPACE_PAGE), 0); /* the zero page is not resident */
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_EQ(space_poke(&s, s.mm, AT, 2), 0);
	kmm_report_smaps(s.mm, hosted_text_init(&text));
	CHECK_STR(text.text,
		  "20000000-20004000 rw-p 00000000 00:00 0 \n"
		  "Size:                 16 kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n"
		  "Rss:                   8 kB\nPss:                   6 kB\nPss_Dirty:             6 kB\n"
		  "Shared_Clean:          0 kB\nShared_Dirty:          4 kB\nPrivate_Clean:         0 kB\n"
		  "Private_Dirty:         4 kB\nReferenced:            8 kB\nAnonymous:             8 kB\n"
		  "LazyFree:              0 kB\nAnonHugePages:         0 kB\nShmemPmdMapped:        0 kB\n"
		  "FilePmdMapped:         0 kB\nShared_Hugetlb:        0 kB\nPrivate_Hugetlb:       0 kB\n"
		  "Swap:                  0 kB\nSwapPss:               0 kB\nLocked:                0 kB\n"
		  "THPeligible:    0\nVmFlags: rd wr mr mw me ac sd \n");
	hosted_text_free(&text);
	hosted_put_space(s.m, child);
	CALL(space_stop(&s));
}

/* ---- the audit must see what is wrong ---- */

static unsigned complaints(struct space *s)
{
	struct hosted_text text;
	unsigned bad = kmm_vm_audit(s->k, hosted_text_init(&text));

	hosted_text_free(&text);
	return bad;
}

static struct kmm_page *page_at(struct space *s, uint64_t va)
{
	struct kmm_walk walk;

	kmm_walk(s->k, kmm_mm_root(s->mm), (kmm_word)va, &walk);
	return walk.mapped ? kmm_pfn_to_page(s->k, kmm_paddr_to_pfn(walk.pa)) : NULL;
}

/* Changes bits of the entry behind everybody's back. */
static void bend_entry(struct space *s, uint64_t va, uint64_t bits)
{
	struct kmm_walk walk;
	uint64_t *entry;

	kmm_walk(s->k, kmm_mm_root(s->mm), (kmm_word)va, &walk);
	entry = kmm_lowmem_ptr(s->k, walk.step[walk.nr_steps - 1].entry_at);
	*entry ^= bits;
}

KMM_TEST(audit_sees_damage)
{
	struct kmm_mm *child;
	struct kmm_page *page;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, AT, 4, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_EQ(complaints(&s), 0);
	page = page_at(&s, AT);
	bend_entry(&s, AT, 2); /* writable though shared */
	CHECK(complaints(&s) > 0);
	bend_entry(&s, AT, 2);
	bend_entry(&s, AT, 0x1000); /* another frame */
	CHECK(complaints(&s) > 0);
	bend_entry(&s, AT, 0x1000);
	atomic_fetch_add(&page->count, 1);
	CHECK(complaints(&s) > 0);
	atomic_fetch_sub(&page->count, 1);
	kmm_get_page(s.k, page); /* a leaked reference */
	CHECK(complaints(&s) > 0);
	kmm_put_page(s.k, page);
	s.mm->rss[KMM_RSS_ANON]++;
	CHECK(complaints(&s) > 0);
	s.mm->rss[KMM_RSS_ANON]--;
	s.mm->total_pages++;
	CHECK(complaints(&s) > 0);
	s.mm->total_pages--;
	kmm_page_set_index(s.k, page, 5); /* no longer to be found */
	CHECK(complaints(&s) > 0);
	kmm_page_set_index(s.k, page, AT >> 12);
	CHECK_EQ(complaints(&s), 0);
	hosted_put_space(s.m, child);
	CALL(space_stop(&s));
}
