/* SPDX-License-Identifier: MIT */
/*
 * Questions about virtual address spaces: S27, S32, S35-S38, S40, S42, S44-S48. Accesses go through
 * the simulated processor; signals are those of Linux. Sizes of spaces are in sizes.c, whole programs in programs.c.
 */
#include "harness/test.h"
#include "lab.h"

#include <string.h>

enum { SEGV = 11, BUS = 7, MAPERR = 1, ACCERR = 2, ADRERR = 2, SI_OF_KERNEL = 128 };
enum { RW = KMM_PROT_READ | KMM_PROT_WRITE, ANON_PRIVATE = KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS,
       FIXED = ANON_PRIVATE | KMM_MAP_FIXED };

static const enum kmm_format_id all_formats[] = { KMM_I386, KMM_I386_PAE, KMM_X86_64, KMM_X86_64_LA57 };

static kmm_word frames_of_kind(struct lab *lab, enum kmm_kind kind)
{
	struct kmm_zone_info info;
	kmm_word sum = 0;
	unsigned zone;

	for (zone = 0; zone < KMM_NR_ZONES; zone++)
		if (kmm_zone_info(lab->k, (enum kmm_zone_id)zone, &info))
			sum += info.kinds[kind];
	return sum;
}

/* S27: is an address space made on disk? No: 1000 of them without a disk, in RAM for their tables and lists
 * only. */
KMM_TEST(question_S27)
{
	enum { SPACES = 1000 };
	static struct kmm_mm *mm[SPACES];
	kmm_word anon, tables;
	struct lab lab;
	unsigned i;

	CHECK(lab_open(&lab, KMM_I386, 512 * MIB));
	anon = frames_of_kind(&lab, KMM_KIND_ANON);
	tables = frames_of_kind(&lab, KMM_KIND_PGTABLE);
	for (i = 0; i < SPACES; i++) {
		CHECK_OK(kmm_mm_create(lab.k, &mm[i]));
		CHECK(lab_map(mm[i], 256 * MIB) != 0); /* 250 GiB of addresses on a machine with half of one */
	}
	CHECK_EQ(frames_of_kind(&lab, KMM_KIND_ANON), anon);
	CHECK_EQ(frames_of_kind(&lab, KMM_KIND_PGTABLE), tables + SPACES);
	for (i = 0; i < SPACES; i++)
		hosted_put_space(lab.hosted, mm[i]);
	CHECK_EQ(frames_of_kind(&lab, KMM_KIND_PGTABLE), tables);
	lab_close(&lab);
}

/* S32: ranges are mapped so that accesses do not crash: a signal before mmap, the value after, a signal after
 * munmap. */
KMM_TEST(question_S32)
{
	const uint64_t va = 0x20000000;
	struct hosted_result r;
	struct kmm_uva at;
	struct kmm_mm *mm;
	struct lab lab;
	uint8_t byte = 1;
	unsigned i;

	for (i = 0; i < 4; i++) {
		CHECK(lab_open(&lab, all_formats[i], 1 * GIB));
		CHECK_OK(kmm_mm_create(lab.k, &mm));
		r = lab_read(&lab, mm, va, &byte);
		CHECK(!r.ok && r.signal == SEGV && r.addr == va);
		CHECK_OK(kmm_mmap(mm, kmm_uva(va), PAGE, RW, FIXED, NULL, 0, &at));
		CHECK(lab_read(&lab, mm, va, &byte).ok);
		CHECK_EQ(byte, 0);
		CHECK(lab_write(&lab, mm, va, 200).ok);
		CHECK(lab_read(&lab, mm, va, &byte).ok);
		CHECK_EQ(byte, 200);
		CHECK_OK(kmm_munmap(mm, at, PAGE));
		CHECK(!lab_can_read(&lab, mm, va));
		hosted_put_space(lab.hosted, mm);
		lab_close(&lab);
	}
}

static enum kmm_status map_at(struct kmm_mm *mm, uint64_t va)
{
	struct kmm_uva at;

	return kmm_mmap(mm, kmm_uva((kmm_word)va), PAGE, RW, FIXED, NULL, 0, &at);
}

/* S35: "32-bit x86 has no limit on what can be mapped"; E19: the lowest pages are barred, the top belongs to
 * the kernel. */
KMM_TEST(question_S35)
{
	struct kmm_mm *mm;
	struct lab lab;

	CHECK(lab_open(&lab, KMM_I386, 512 * MIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	CHECK_EQ(kmm_status_errno(map_at(mm, 0)), 1);           /* EPERM: mmap_min_addr */
	CHECK_EQ(kmm_status_errno(map_at(mm, 0xC0000000)), 12); /* ENOMEM: TASK_SIZE */
	CHECK_EQ(kmm_status_errno(map_at(mm, 0xFFFF0000)), 12);
	CHECK_OK(map_at(mm, lab.layout.user_end - PAGE));
	CHECK_OK(map_at(mm, kmm_mm_limits(mm)->mmap_min_addr));
	kmm_mm_limits(mm)->mmap_min_addr = 0; /* what root may ask for */
	CHECK_OK(map_at(mm, 0));
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

/* S36: mmap returns "an address that is now backed"; E20: reserved only: 0 frames for 1 GiB, then one per page
 * touched. */
KMM_TEST(question_S36)
{
	struct kmm_mm_stats before, after;
	struct kmm_mm *mm;
	struct lab lab;
	kmm_word frames;
	uint64_t va;
	unsigned i;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	frames = frames_of_kind(&lab, KMM_KIND_ANON);
	va = lab_map(mm, 1 * GIB);
	CHECK(va != 0);
	CHECK_EQ(frames_of_kind(&lab, KMM_KIND_ANON), frames);
	kmm_mm_stats(mm, &before);
	CHECK_EQ(before.total_pages, 1 * GIB / PAGE);
	CHECK_EQ(before.rss_anon, 0);
	for (i = 0; i < 16; i++)
		CHECK(lab_can_write(&lab, mm, va + i * PAGE));
	kmm_mm_stats(mm, &after);
	CHECK_EQ(after.rss_anon, 16);
	CHECK_EQ(after.faults - before.faults, 16);
	CHECK_EQ(frames_of_kind(&lab, KMM_KIND_ANON), frames + 16);
	CHECK(after.table_pages > before.table_pages);
	CHECK(after.table_pages - before.table_pages <= 2);
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

struct bad_access {
	uint64_t va;
	enum kmm_access access;
	int signal, code;
	uint64_t addr;
};

static void check_bad(struct lab *lab, struct kmm_mm *mm, const struct bad_access *bad, unsigned nr)
{
	struct hosted_result r;
	uint8_t byte = 0;
	unsigned i;

	for (i = 0; i < nr; i++) {
		r = hosted_access(lab->hosted, mm, bad[i].va, bad[i].access, &byte, 1);
		CHECK(!r.ok);
		CHECK_EQ(r.signal, bad[i].signal);
		CHECK_EQ(r.code, bad[i].code);
		CHECK_EQ(r.addr, bad[i].addr);
	}
}

/* S37: "mmap fails when others use up RAM"; E21: it does not: it fails when one request exceeds what there is, and not
 * even then with NORESERVE; what is missing shows at the first touch. */
KMM_TEST(question_S37)
{
	struct kmm_mm *mm;
	struct kmm_uva at;
	struct lab lab;
	uint64_t va;

	CHECK(lab_open(&lab, KMM_X86_64, 256 * MIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	CHECK(lab_can_write(&lab, mm, lab_map(mm, PAGE))); /* its tables are there */
	lab_exhaust(&lab, KMM_GFP_HIGHUSER);
	va = lab_map(mm, 16 * MIB);
	CHECK(va != 0);
	CHECK_EQ(kmm_status_errno(kmm_mmap(mm, kmm_uva(0), 64 * TIB, RW, ANON_PRIVATE, NULL, 0, &at)), 12);
	CHECK_OK(kmm_mmap(mm, kmm_uva(0), 64 * TIB, RW, ANON_PRIVATE | KMM_MAP_NORESERVE, NULL, 0, &at));
	CHECK_EQ(kmm_status_errno(kmm_mmap(mm, kmm_uva(0), 128 * TIB, KMM_PROT_NONE, ANON_PRIVATE, NULL, 0, &at)), 12);
	CHECK_EQ(lab_write(&lab, mm, va, 1).signal, 9); /* no memory: here the program ends */
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

/* S38: touching what is not mapped kills the program; E22: by SIGSEGV with a code and the exact address (table
 * A3). */
KMM_TEST(question_S38)
{
	const uint64_t ro = 0x10000005, none = 0x10002007, gap = 0x20000123;
	struct kmm_mm *mm;
	struct kmm_uva at;
	struct lab lab;
	unsigned i;

	for (i = 0; i < 4; i++) {
		CHECK(lab_open(&lab, all_formats[i], 1 * GIB));
		CHECK_OK(kmm_mm_create(lab.k, &mm));
		CHECK_OK(kmm_mmap(mm, kmm_uva(ro & ~0xfffu), PAGE, KMM_PROT_READ, FIXED, NULL, 0, &at));
		CHECK_OK(kmm_mmap(mm, kmm_uva(none & ~0xfffu), PAGE, KMM_PROT_NONE, FIXED, NULL, 0, &at));
		const uint64_t kernel = lab.layout.page_offset + 0x100000;
		const struct bad_access bad[] = {
			{ ro, KMM_WRITE, SEGV, ACCERR, ro },
			{ none, KMM_READ, SEGV, ACCERR, none },
			{ none, KMM_WRITE, SEGV, ACCERR, none },
			{ gap, KMM_READ, SEGV, MAPERR, gap },
			{ gap, KMM_WRITE, SEGV, MAPERR, gap },
			{ gap, KMM_EXEC, SEGV, MAPERR, gap },
			{ 0, KMM_READ, SEGV, MAPERR, 0 },
			{ kernel, KMM_READ, SEGV, MAPERR, kernel },
			{ kernel, KMM_WRITE, SEGV, MAPERR, kernel },
		};
		CALL(check_bad(&lab, mm, bad, sizeof(bad) / sizeof(bad[0])));
		CHECK(lab_can_read(&lab, mm, ro)); /* the program could go on if it caught the signal */
		hosted_put_space(lab.hosted, mm);
		lab_close(&lab);
	}
}

/* S44: outside a mapping is fatal, said again; E22: SIGBUS beyond a file's end, and below the stack it grows
 * instead. */
KMM_TEST(question_S44)
{
	const uint64_t file_va = 0x30000000, top = 0xB0000000;
	struct kmm_file *file;
	struct hosted_result r;
	struct kmm_mm_stats stats;
	struct kmm_mm *mm;
	struct kmm_uva at;
	struct lab lab;
	uint8_t byte;

	CHECK(lab_open(&lab, KMM_I386, 1 * GIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	file = lab_file(&lab, PAGE + 100, "data");
	CHECK(file != NULL);
	CHECK_OK(kmm_mmap(mm, kmm_uva(file_va), 4 * PAGE, KMM_PROT_READ, KMM_MAP_PRIVATE | KMM_MAP_FIXED,
			  &file->backing, 0, &at));
	CHECK(lab_can_read(&lab, mm, file_va + PAGE + 50)); /* in the last page */
	CHECK(lab_can_read(&lab, mm, file_va + 2 * PAGE - 1)); /* behind the end, same page */
	r = lab_read(&lab, mm, file_va + 2 * PAGE + 3, &byte);
	CHECK(!r.ok);
	CHECK_EQ(r.signal, BUS);
	CHECK_EQ(r.code, ADRERR);
	CHECK_EQ(r.addr, file_va + 2 * PAGE + 3);
	CHECK_OK(kmm_mm_map_stack(mm, kmm_uva(top), 2 * PAGE, false));
	kmm_mm_stats(mm, &stats);
	CHECK_EQ(stats.stack_pages, 2);
	CHECK(lab_write(&lab, mm, top - 10 * PAGE, 1).ok);
	kmm_mm_stats(mm, &stats);
	CHECK(stats.stack_pages >= 10);
	r = lab_write(&lab, mm, top - kmm_mm_limits(mm)->stack_bytes - PAGE, 1);
	CHECK(!r.ok && r.signal == SEGV && r.code == MAPERR);
	kmm_backing_put(&file->backing);
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

/* S40: a range maps to RAM, not to the disk: between a file and its mapping is a page of the cache (E23: no
 * DAX here). */
KMM_TEST(question_S40)
{
	struct kmm_file *file;
	struct kmm_page *page;
	struct kmm_explain e;
	struct kmm_mm *mm;
	struct kmm_uva at;
	struct lab lab;
	uint8_t byte;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	file = lab_file(&lab, 8 * PAGE, "data");
	CHECK(file != NULL);
	CHECK_OK(kmm_mmap(mm, kmm_uva(0), 4 * PAGE, KMM_PROT_READ, KMM_MAP_SHARED, &file->backing, 2, &at));
	CHECK_EQ(file->nr_pages, 0);
	CHECK(lab_read(&lab, mm, at.v + PAGE, &byte).ok);
	CHECK_EQ(byte, 2 + 1 + 1); /* page 3 of the file */
	CHECK(file->nr_pages >= 1);
	CHECK_OK(kmm_file_page(file, 3, &page));
	CHECK_EQ(kmm_page_to_pfn(lab.k, page).v, lab_user_pa(&lab, mm, at.v + PAGE) / PAGE);
	kmm_put_page(lab.k, page);
	kmm_explain(lab.k, mm, at.v + PAGE, &e);
	CHECK_EQ(e.page.kind, KMM_KIND_FILE);
	CHECK_EQ(e.page.zone, KMM_ZONE_HIGHMEM);
	CHECK_STR(e.vma.name, "data");
	kmm_backing_put(&file->backing);
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

/* S42: virtual memory needs no disk: a machine without any block device maps, faults, copies on write and
 * frees. */
KMM_TEST(question_S42)
{
	struct kmm_mm *parent, *child;
	struct lab_text text;
	struct lab lab;
	uint8_t byte;
	uint64_t va;

	CHECK(lab_open(&lab, KMM_I386_PAE, 256 * MIB));
	CHECK_OK(kmm_mm_create(lab.k, &parent));
	va = lab_map(parent, 64 * PAGE);
	CHECK(lab_write(&lab, parent, va, 1).ok);
	CHECK_OK(kmm_mm_fork(parent, &child));
	CHECK(lab_write(&lab, child, va, 2).ok);
	CHECK(lab_read(&lab, parent, va, &byte).ok);
	CHECK_EQ(byte, 1);
	kmm_report_meminfo(lab.k, lab_text_start(&text));
	CHECK(lab_text_has(&text, "SwapTotal:             0 kB"));
	hosted_put_space(lab.hosted, child);
	hosted_put_space(lab.hosted, parent);
	CHECK_EQ(kmm_audit(lab.k, NULL), 0);
	lab_close(&lab);
}

/* S45: a process asks for memory at an address: a hint, FIXED replaces, FIXED_NOREPLACE refuses with EEXIST
 * (17). */
KMM_TEST(question_S45)
{
	const uint64_t want = 0x40000000;
	struct kmm_mm_stats stats;
	struct kmm_uva at, other;
	struct kmm_mm *mm;
	struct lab lab;
	uint8_t byte;

	CHECK(lab_open(&lab, KMM_I386, 512 * MIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	CHECK_OK(kmm_mmap(mm, kmm_uva(want), 2 * PAGE, RW, ANON_PRIVATE, NULL, 0, &at));
	CHECK_EQ(at.v, want); /* the hint was free */
	CHECK(lab_write(&lab, mm, want, 9).ok);
	CHECK_OK(kmm_mmap(mm, kmm_uva(want), PAGE, RW, ANON_PRIVATE, NULL, 0, &other));
	CHECK(other.v != want); /* taken: elsewhere */
	CHECK_EQ(kmm_status_errno(kmm_mmap(mm, kmm_uva(want + PAGE), 2 * PAGE, RW,
					   ANON_PRIVATE | KMM_MAP_FIXED_NOREPLACE, NULL, 0, &other)), 17);
	CHECK(lab_read(&lab, mm, want, &byte).ok);
	CHECK_EQ(byte, 9);
	CHECK_OK(kmm_mmap(mm, kmm_uva(want), PAGE, RW, FIXED, NULL, 0, &at));
	CHECK(lab_read(&lab, mm, want, &byte).ok);
	CHECK_EQ(byte, 0); /* replaced */
	CHECK_EQ(kmm_status_errno(kmm_mmap(mm, kmm_uva(0), 0, RW, ANON_PRIVATE, NULL, 0, &at)), 22);
	CHECK_EQ(kmm_status_errno(kmm_mmap(mm, kmm_uva(0), 3 * GIB, RW, ANON_PRIVATE, NULL, 0, &at)), 12);
	kmm_mm_stats(mm, &stats);
	kmm_mm_limits(mm)->as_bytes = (stats.total_pages + 4) * PAGE;
	CHECK_EQ(kmm_status_errno(kmm_mmap(mm, kmm_uva(0), 5 * PAGE, RW, ANON_PRIVATE, NULL, 0, &at)), 12);
	CHECK_OK(kmm_mmap(mm, kmm_uva(0), 4 * PAGE, RW, ANON_PRIVATE, NULL, 0, &at));
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

/* S46 (and S28): virtual memory is the concept, an address space the thing: one machine, two spaces, the same
 * address, two frames. */
KMM_TEST(question_S46)
{
	const uint64_t va = 0x10000000;
	struct kmm_mm *mm[2];
	struct kmm_uva at;
	struct lab lab;
	uint8_t byte;
	unsigned i;

	CHECK(lab_open(&lab, KMM_I386, 512 * MIB));
	for (i = 0; i < 2; i++) {
		CHECK_OK(kmm_mm_create(lab.k, &mm[i]));
		CHECK_OK(kmm_mmap(mm[i], kmm_uva(va), PAGE, RW, FIXED, NULL, 0, &at));
		CHECK(lab_write(&lab, mm[i], va, (uint8_t)(10 + i)).ok);
	}
	CHECK(lab_user_pa(&lab, mm[0], va) != lab_user_pa(&lab, mm[1], va));
	for (i = 0; i < 2; i++) {
		CHECK(lab_read(&lab, mm[i], va, &byte).ok);
		CHECK_EQ(byte, 10 + i);
		CHECK_EQ(*lab_phys(&lab, lab_user_pa(&lab, mm[i], va)), 10 + i);
	}
	hosted_put_space(lab.hosted, mm[0]);
	hosted_put_space(lab.hosted, mm[1]);
	lab_close(&lab);
}

/* S47: "upper bits are ignored"; E25: they must repeat the top bit, else SIGSEGV, code 128, address 0; E26: 57
 * bits in all, and user space stays below 47 unless a high hint is given. */
KMM_TEST(question_S47)
{
	const uint64_t in_48 = 0x0000800000000000, in_64 = 0x8000000000000000, high = 0x00f0000000000000;
	const struct bad_access four[] = {
		{ in_48, KMM_READ, SEGV, SI_OF_KERNEL, 0 }, { in_64, KMM_WRITE, SEGV, SI_OF_KERNEL, 0 },
	};
	const struct bad_access five[] = {
		{ in_48, KMM_READ, SEGV, MAPERR, in_48 }, /* canonical with 57 bits */
		{ 1ull << 56, KMM_READ, SEGV, SI_OF_KERNEL, 0 }, { in_64, KMM_READ, SEGV, SI_OF_KERNEL, 0 },
	};
	struct kmm_mm *mm;
	struct kmm_uva at;
	struct lab lab;

	CHECK(lab_open(&lab, KMM_X86_64, 1 * GIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	CALL(check_bad(&lab, mm, four, 2));
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);

	CHECK(lab_open(&lab, KMM_X86_64_LA57, 1 * GIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	CALL(check_bad(&lab, mm, five, 3));
	CHECK_OK(kmm_mmap(mm, kmm_uva(0), PAGE, RW, ANON_PRIVATE, NULL, 0, &at));
	CHECK(at.v < 1ull << 47);
	CHECK_OK(kmm_mmap(mm, kmm_uva(high), PAGE, RW, ANON_PRIVATE, NULL, 0, &at));
	CHECK_EQ(at.v, high);
	CHECK(lab_can_write(&lab, mm, high));
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

/* S48: "PAE lets a space exceed 2^32"; E27: no, it widens physical addresses: 4 GiB of addresses, frames above
 * 4 GiB. */
KMM_TEST(question_S48)
{
	struct kmm_mm *mm;
	struct kmm_uva at;
	struct lab lab;
	uint64_t va, pa;
	uint8_t byte;

	CHECK(lab_open(&lab, KMM_I386_PAE, 8 * GIB));
	CHECK_EQ(lab.layout.region[lab.layout.nr - 1].last, UINT32_MAX);
	CHECK_EQ(lab.layout.user_end, 3 * GIB);
	CHECK_EQ(lab.layout.phys_limit, 64 * GIB);
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	CHECK_EQ(kmm_status_errno(kmm_mmap(mm, kmm_uva(0), 4 * GIB, RW, ANON_PRIVATE, NULL, 0, &at)), 12);
	va = lab_map(mm, 64 * MIB);
	do { /* fragments at the end of low memory go first, then high memory from its top */
		va += PAGE;
		CHECK(lab_write(&lab, mm, va, 88).ok);
		pa = lab_user_pa(&lab, mm, va);
	} while (pa < 4 * GIB);
	CHECK_EQ(*lab_phys(&lab, pa), 88);
	CHECK(lab_read(&lab, mm, va, &byte).ok);
	CHECK_EQ(byte, 88);
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

