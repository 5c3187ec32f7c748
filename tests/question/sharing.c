/* SPDX-License-Identifier: MIT */
/*
 * Questions about frames behind addresses: S55, S58, S61, S62. One space on scattered frames, the processor's
 * memory of translations, one owner per frame, several addresses of one frame.
 */
#include "harness/test.h"
#include "kmm/swap.h"
#include "lab.h"

enum { RW = KMM_PROT_READ | KMM_PROT_WRITE };

/* S55 (to S57): the illusion of one large piece of memory: one mapping, contiguous addresses, frames from
 * anywhere. */
KMM_TEST(question_S55)
{
	struct kmm_mm_stats stats;
	struct kmm_mm *mm;
	struct lab lab;
	uint64_t va, pfn, last = 0;
	uint8_t byte;
	unsigned i, neighbours = 0;

	CHECK(lab_open(&lab, KMM_I386, 64 * MIB));
	lab_fragment(&lab);
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	va = lab_map(mm, 64 * PAGE);
	for (i = 0; i < 64; i++)
		CHECK(lab_write(&lab, mm, va + i * PAGE, (uint8_t)i).ok);
	for (i = 0; i < 64; i++, last = pfn) {
		pfn = lab_user_pa(&lab, mm, va + i * PAGE) / PAGE;
		CHECK(lab_read(&lab, mm, va + i * PAGE, &byte).ok);
		CHECK_EQ(byte, i);
		neighbours += i && (pfn == last + 1 || last == pfn + 1);
	}
	CHECK_EQ(neighbours, 0);
	kmm_mm_stats(mm, &stats);
	CHECK_EQ(stats.map_count, 1);
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

/* A word in each page; the MMU faults, and the pages come from swap. */
static void four_times_memory(void)
{
	const uint64_t at = 0x10000000, nr = 4 * 8 * MIB / PAGE;
	struct hosted_swap *disk;
	struct kmm_uva got;
	struct kmm_mm *mm;
	struct lab lab;
	uint64_t value;

	CHECK(lab_open(&lab, KMM_I386, 8 * MIB));
	CHECK((disk = hosted_swap_open(lab.hosted, 48 * MIB)) != NULL);
	CHECK_OK(kmm_swap_on(lab.k, hosted_swap_device(disk), -1));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	CHECK_OK(kmm_mmap(mm, kmm_uva((kmm_word)at), nr * PAGE, KMM_PROT_READ | KMM_PROT_WRITE,
			  KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS | KMM_MAP_FIXED, NULL, 0, &got));
	for (uint64_t i = 0; i < nr; i++) {
		value = i + 1;
		CHECK(hosted_write_user(lab.hosted, mm, at + i * PAGE + 8, &value, sizeof(value)).ok);
	}
	for (uint64_t i = 0; i < nr; i++) {
		CHECK(hosted_read_user(lab.hosted, mm, at + i * PAGE + 8, &value, sizeof(value)).ok);
		CHECK_EQ(value, i + 1);
	}
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
	hosted_swap_close(disk);
}

/* S58: the MMU translates by itself; what it remembers is counted, and forgotten when a mapping goes. Software
 * extends memory beyond RAM: a program with four times as much on a machine with swap. */
KMM_TEST(question_S58)
{
	struct softmmu_stats before, after;
	struct softmmu *mmu;
	struct kmm_mm *mm;
	struct lab lab;
	uint8_t byte;
	uint64_t va;
	unsigned i;

	CHECK(lab_open(&lab, KMM_I386, 512 * MIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	mmu = hosted_mmu(lab.hosted, 0);
	va = lab_map(mm, 4 * PAGE);
	CHECK(lab_can_write(&lab, mm, va));
	CHECK(lab_can_read(&lab, mm, va));
	before = mmu->stats;
	for (i = 0; i < 10; i++)
		CHECK(lab_read(&lab, mm, va + i, &byte).ok);
	after = mmu->stats;
	CHECK_EQ(after.hits - before.hits, 10);
	CHECK_EQ(after.misses, before.misses);
	CHECK_EQ(after.walks, before.walks);
	softmmu_flush_all(mmu);
	CHECK(lab_can_read(&lab, mm, va));
	CHECK_EQ(mmu->stats.misses, before.misses + 1);
	CHECK_EQ(mmu->stats.walks, before.walks + 1);
	CHECK_EQ(mmu->stats.faults, before.faults); /* the tables had it: no software was asked */
	CHECK_OK(kmm_munmap(mm, kmm_uva((kmm_word)va), PAGE));
	CHECK(!lab_can_read(&lab, mm, va));
	CHECK(mmu->stats.faults > before.faults);
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
	CALL(four_times_memory());
}

/* Marks a frame as having an owner; false: it had one already. */
static bool claim(uint8_t *owned, uint64_t pa)
{
	return owned[pa / PAGE]++ == 0;
}

/* S61: physical addresses are unique per byte; E30: of RAM. No frame has two owners, by counting and by the
 * audit. */
KMM_TEST(question_S61)
{
	static uint8_t owned[512 * MIB / PAGE];
	struct kmm_mm *mm[3];
	struct lab lab;
	uint64_t rng = kmm_test_seed(), va;
	unsigned i, n;
	char *area;

	CHECK(lab_open(&lab, KMM_I386, 512 * MIB));
	for (i = 0; i < 3; i++) {
		CHECK_OK(kmm_mm_create(lab.k, &mm[i]));
		va = lab_map(mm[i], 200 * PAGE);
		for (n = 0; n < 200; n++) {
			CHECK(lab_can_write(&lab, mm[i], va + n * PAGE));
			CHECK(claim(owned, lab_user_pa(&lab, mm[i], va + n * PAGE)));
		}
		area = kmm_vmalloc(lab.k, 50 * PAGE, "S61");
		for (n = 0; n < 50; n++)
			CHECK(claim(owned, kmm_pfn_to_paddr(kmm_page_to_pfn(lab.k,
					kmm_vmalloc_to_page(lab.k, area + n * PAGE))).v));
		for (n = 0; n < 50; n++)
			CHECK(claim(owned, kmm_pfn_to_paddr(kmm_page_to_pfn(lab.k, kmm_virt_to_page(lab.k,
					kmm_get_free_pages(lab.k, KMM_GFP_KERNEL, 0)))).v));
		kmm_kmalloc(lab.k, 1 + kmm_test_rand(&rng) % 5000, KMM_GFP_KERNEL);
	}
	CHECK_EQ(kmm_audit(lab.k, NULL), 0);
	for (i = 0; i < 3; i++)
		hosted_put_space(lab.hosted, mm[i]);
	CHECK_EQ(kmm_audit(lab.k, NULL), 0);
	lab_close(&lab);
}

struct seen { unsigned nr; uint64_t addr[8]; };

static bool note_mapping(void *arg, struct kmm_mm *mm, struct kmm_uva addr)
{
	struct seen *seen = arg;

	(void)mm;
	seen->addr[seen->nr++ % 8] = addr.v;
	return true;
}

/* S62: several virtual addresses may lead to one location: one object mapped twice; write 42 here, read 42
 * there. */
KMM_TEST(question_S62)
{
	struct seen seen = { 0 };
	struct kmm_file *object;
	struct kmm_page *page;
	struct kmm_uva a, b;
	struct kmm_mm *mm;
	struct lab lab;
	uint8_t byte;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	object = lab_file(&lab, 2 * PAGE, "memfd:shared");
	CHECK(object != NULL);
	CHECK_OK(kmm_mmap(mm, kmm_uva(0), 2 * PAGE, RW, KMM_MAP_SHARED, &object->backing, 0, &a));
	CHECK_OK(kmm_mmap(mm, kmm_uva(0), PAGE, RW, KMM_MAP_SHARED, &object->backing, 1, &b));
	CHECK(lab_write(&lab, mm, a.v + PAGE + 5, 42).ok);
	CHECK(lab_read(&lab, mm, b.v + 5, &byte).ok);
	CHECK_EQ(byte, 42);
	CHECK_EQ(lab_user_pa(&lab, mm, a.v + PAGE), lab_user_pa(&lab, mm, b.v));
	CHECK_OK(kmm_file_page(object, 1, &page));
	CHECK_EQ(kmm_rmap_walk(lab.k, page, note_mapping, &seen), 2);
	CHECK_EQ(seen.addr[0] ^ seen.addr[1], (a.v + PAGE) ^ b.v); /* these two, in any order */
	CHECK(seen.addr[0] == b.v || seen.addr[1] == b.v);
	kmm_put_page(lab.k, page);
	hosted_put_space(lab.hosted, mm);
	kmm_backing_put(&object->backing);
	lab_close(&lab);
}
