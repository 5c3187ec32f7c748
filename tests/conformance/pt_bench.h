/* SPDX-License-Identifier: MIT */
/*
 * Machines for the page-table tests: page frames and kernel page tables, nothing above.
 */
#ifndef KMM_TESTS_CONFORMANCE_PT_BENCH_H
#define KMM_TESTS_CONFORMANCE_PT_BENCH_H

#include "hosted.h"
#include "harness/formats.h"
#include "harness/test.h"
#include "pt/map.h"

struct pt_case {
	enum kmm_format_id format;
	uint64_t user_end; /* 0: default */
};

/* All formats that this build serves, the 32-bit ones with each split. */
#ifdef KMM_PIN_FORMAT
/* Not with a kernel half of 3 GiB: a 32-bit host has no room to show it. */
#define PT_CASES { { TEST_ID(KMM_PIN_FORMAT), 0 }, { TEST_ID(KMM_PIN_FORMAT), UINTPTR_MAX > UINT32_MAX ? 0 : 0x80000000 } }
enum { PT_NR_CASES = 2 };
#else
#define PT_CASES \
	{ { KMM_I386, 0 }, { KMM_I386, 0x80000000 }, { KMM_I386, 0x40000000 }, \
	  { KMM_I386_PAE, 0 }, { KMM_I386_PAE, 0x80000000 }, { KMM_I386_PAE, 0x40000000 }, \
	  { KMM_X86_64, 0 }, { KMM_X86_64_LA57, 0 } }
enum { PT_NR_CASES = 8 };
#endif
extern const struct pt_case pt_cases[PT_NR_CASES];

struct pt_bench {
	struct hosted_machine *m;
	struct kmm *k;
};

/* Boots tier a by `config`, with the case's format and split, and starts the page tables. Contains CHECKs. */
void pt_bench_open_config(struct pt_bench *b, const struct pt_case *c, const struct hosted_config *config);
/* The same with 64 MiB of RAM. */
void pt_bench_open(struct pt_bench *b, const struct pt_case *c);
void pt_bench_close(struct pt_bench *b);

/* Frames of a kind; of kind PGTABLE. */
kmm_word pt_bench_kind(struct kmm *k, enum kmm_kind kind);
kmm_word pt_bench_frames(struct kmm *k);
/* Runs the page tables' audit; a violation fails the test. Contains CHECKs. */
void pt_bench_audit(struct kmm *k);
/* What the hosted machine's MMU, which was written without the library's code, reads in the tables: the physical
 * address of va below root, or UINT64_MAX when it is not mapped. */
uint64_t pt_bench_probe(struct pt_bench *b, struct kmm_paddr root, uint64_t va);
/* First address above the user half (a 64-bit machine's highest possible). */
uint64_t pt_bench_user_end(const struct kmm *k);

/* A frame's owner for a space, in low memory as a real struct kmm_mm would be. */
void *pt_bench_owner(struct pt_bench *b);

#endif
