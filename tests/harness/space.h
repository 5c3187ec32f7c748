/* SPDX-License-Identifier: MIT */
/*
 * A simulated machine with spaces, for the tests of src/vm and src/fault: boot by format, short names for what is
 * done most, the whole audit, and a space's visible state as text to compare.
 */
#ifndef KMM_TESTS_HARNESS_SPACE_H
#define KMM_TESTS_HARNESS_SPACE_H

#include <stdio.h>
#include <string.h>

#include "harness/formats.h"
#include "harness/test.h"
#include "hosted.h"
#include "kmm/observe.h"
#include "vm/mm.h"

#define SPACE_PAGE ((uint64_t)KMM_PAGE_SIZE)
enum { SPACE_R = KMM_PROT_READ, SPACE_RW = KMM_PROT_READ | KMM_PROT_WRITE, SPACE_RX = KMM_PROT_READ | KMM_PROT_EXEC };
enum { SPACE_ANON = KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS, SPACE_SHARED = KMM_MAP_SHARED | KMM_MAP_ANONYMOUS };

static const enum kmm_format_id space_formats[] = TEST_FORMATS;
enum { SPACE_NR_FORMATS = TEST_NR_FORMATS };

struct space {
	struct hosted_machine *m;
	struct kmm *k;
	struct kmm_mm *mm;
};

/* 1200 MiB: the 32-bit machines have high memory. */
static inline void space_start(struct space *s, enum kmm_format_id format)
{
	struct hosted_config config = { .machine = { .format = format, .nr_cpus = 1 }, .ram_bytes = 1200ull << 20 };
	const char *why = "";

	hosted_set_cpu(0);
	if (!kmm_test_ok((int)hosted_boot(&config, &s->m, &why), why, __FILE__, __LINE__))
		return;
	s->k = hosted_kmm(s->m);
	CHECK_OK(kmm_mm_create(s->k, &s->mm));
}

static inline void space_audit(struct space *s)
{
	struct hosted_text text;
	unsigned bad = kmm_vm_audit(s->k, hosted_text_init(&text)) + kmm_pt_audit(s->k, &text.sink);

	if (bad)
		printf("%s", text.text);
	hosted_text_free(&text);
	CHECK_EQ(bad, 0);
}

/* Everything is given back: no user frames are left but the zero page. */
static inline void space_stop(struct space *s)
{
	struct kmm_zone_info zone;

	CALL(space_audit(s));
	if (s->mm)
		hosted_put_space(s->m, s->mm);
	for (unsigned z = 0; z < KMM_NR_ZONES; z++)
		if (kmm_zone_info(s->k, (enum kmm_zone_id)z, &zone)) {
			CHECK_EQ(zone.kinds[KMM_KIND_ANON], 0);
			CHECK_EQ(zone.kinds[KMM_KIND_FILE], 0);
		}
	CALL(space_audit(s));
	hosted_shutdown(s->m);
}

/* A mapping at a fixed place; 0 or an errno. */
static inline int space_map(struct space *s, uint64_t at, uint64_t pages, unsigned prot, unsigned flags)
{
	struct kmm_uva out;

	return kmm_status_errno(kmm_mmap(s->mm, kmm_uva((kmm_word)at), pages * SPACE_PAGE, prot, flags | KMM_MAP_FIXED,
					 NULL, 0, &out));
}

static inline int space_map_file(struct space *s, uint64_t at, uint64_t pages, unsigned prot, unsigned flags,
				 struct kmm_file *file, uint64_t pgoff)
{
	struct kmm_uva out;

	return kmm_status_errno(kmm_mmap(s->mm, kmm_uva((kmm_word)at), pages * SPACE_PAGE, prot, flags | KMM_MAP_FIXED,
					 &file->backing, pgoff, &out));
}

static inline int space_unmap(struct space *s, uint64_t at, uint64_t pages)
{
	return kmm_status_errno(kmm_munmap(s->mm, kmm_uva((kmm_word)at), pages * SPACE_PAGE));
}

static inline int space_protect(struct space *s, uint64_t at, uint64_t pages, unsigned prot)
{
	return kmm_status_errno(kmm_mprotect(s->mm, kmm_uva((kmm_word)at), pages * SPACE_PAGE, prot));
}

/* A byte by the processor. Reading: the value, or -signal. Writing: 0, or -signal. */
static inline int space_peek(struct space *s, struct kmm_mm *mm, uint64_t va)
{
	uint8_t byte = 0;
	struct hosted_result r = hosted_read_user(s->m, mm, va, &byte, 1);

	return r.ok ? byte : -r.signal;
}

static inline int space_poke(struct space *s, struct kmm_mm *mm, uint64_t va, uint8_t byte)
{
	struct hosted_result r = hosted_write_user(s->m, mm, va, &byte, 1);

	return r.ok ? 0 : -r.signal;
}

static inline uint32_t space_areas(struct space *s)
{
	struct kmm_mm_stats stats;

	kmm_mm_stats(s->mm, &stats);
	return stats.map_count;
}

/* What a program can see of its space. */
static inline void space_snapshot(struct kmm_mm *mm, struct hosted_text *text)
{
	struct kmm_sink *out = hosted_text_init(text);
	struct kmm_mm_stats stats;

	kmm_report_maps(mm, out);
	kmm_mm_stats(mm, &stats);
	kmm_printf(out, "total %llu data %llu stack %llu exec %llu locked %llu anon %llu file %llu shmem %llu brk %llx\n",
		   (unsigned long long)stats.total_pages, (unsigned long long)stats.data_pages,
		   (unsigned long long)stats.stack_pages, (unsigned long long)stats.exec_pages,
		   (unsigned long long)stats.locked_pages, (unsigned long long)stats.rss_anon,
		   (unsigned long long)stats.rss_file, (unsigned long long)stats.rss_shmem,
		   (unsigned long long)stats.brk.v);
}

/* Runs op with its nth allocation failing, for n = 1, 2, ... until it succeeds. After each failure the audit is clean
 * and, unless the op says it may change something, the space looks as before. op returns an errno. */
static inline void space_fail_each(struct space *s, int (*op)(struct space *s), bool unchanged)
{
	struct hosted_text before, after;
	const char *site = "";
	int err = -1;

	for (uint64_t n = 1; site; n++) {
		space_snapshot(s->mm, &before);
		kmm_fail_nth(s->k, n);
		err = op(s);
		kmm_fail_count(s->k, &site);
		kmm_fail_nth(s->k, 0);
		CALL(space_audit(s));
		space_snapshot(s->mm, &after);
		if (err && unchanged)
			CHECK_STR(after.text, before.text);
		hosted_text_free(&before);
		hosted_text_free(&after);
		if (site && !err)
			break; /* the failure did not matter */
		CHECK(n < 500);
	}
	CHECK_EQ(err, 0);
}

#endif
