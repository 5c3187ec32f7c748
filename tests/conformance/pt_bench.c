/* SPDX-License-Identifier: MIT */
/*
 * Machines for the page-table tests.
 */
#include "conformance/pt_bench.h"

const struct pt_case pt_cases[PT_NR_CASES] = PT_CASES;

void pt_bench_open_config(struct pt_bench *b, const struct pt_case *c, const struct hosted_config *config)
{
	struct hosted_config mine = *config;

	mine.machine.format = c->format;
	mine.machine.user_end = c->user_end;
	mine.tier = HOSTED_FRAMES;
	CHECK_OK(hosted_boot(&mine, &b->m, NULL));
	b->k = hosted_kmm(b->m);
	CHECK_OK(kmm_pt_init(b->k));
}

void pt_bench_open(struct pt_bench *b, const struct pt_case *c)
{
	const struct hosted_config config = { .ram_bytes = 64u << 20 };

	pt_bench_open_config(b, c, &config);
}

void pt_bench_close(struct pt_bench *b)
{
	hosted_shutdown(b->m);
	b->m = NULL;
	b->k = NULL;
}

kmm_word pt_bench_kind(struct kmm *k, enum kmm_kind kind)
{
	kmm_word nr = 0;

	for (unsigned z = 0; z < KMM_NR_ZONES; z++) {
		struct kmm_zone_info info;

		if (kmm_zone_info(k, (enum kmm_zone_id)z, &info))
			nr += info.kinds[kind];
	}
	return nr;
}

kmm_word pt_bench_frames(struct kmm *k)
{
	return pt_bench_kind(k, KMM_KIND_PGTABLE);
}

void pt_bench_audit(struct kmm *k)
{
	struct hosted_file_sink sink;

	CHECK_EQ(kmm_pt_audit(k, hosted_file_sink(&sink, stderr)), 0);
}

uint64_t pt_bench_probe(struct pt_bench *b, struct kmm_paddr root, uint64_t va)
{
	uint64_t pa;

	return softmmu_probe(hosted_mmu(b->m, 0), root.v, va, &pa, NULL) ? pa : UINT64_MAX;
}

uint64_t pt_bench_user_end(const struct kmm *k)
{
	return kmm_layout_of(k)->user_end_max;
}

void *pt_bench_owner(struct pt_bench *b)
{
	struct kmm_page *page = kmm_alloc_pages(b->k, KMM_GFP_KERNEL, 0);

	return page ? kmm_page_lowmem_ptr(b->k, page) : NULL;
}
