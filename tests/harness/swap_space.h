/* SPDX-License-Identifier: MIT */
/*
 * A small hosted machine with a swap device and a space, for tests of what goes out and comes back. Pages that tell themselves
 * apart; everything that can go out; and an end that finds what leaked.
 */
#ifndef KMM_TESTS_HARNESS_SWAP_SPACE_H
#define KMM_TESTS_HARNESS_SWAP_SPACE_H

#include "harness/space.h"
#include "kmm/reclaim.h"
#include "kmm/swap.h"

struct swap_space {
	struct space s;
	struct hosted_swap *disk;
	struct kmm_file file;    /* for tests that have one */
};

struct swap_setup {
	enum kmm_format_id format;
	uint64_t ram_mib, swap_pages; /* 0: 1200 MiB, 4096 */
	bool later;              /* a device that begins transfers, and ends them in another order */
	bool threads;            /* a second CPU, for one */
};

/* The test with either sort of device, which a static `later` of its file names. */
#define SWAP_BOTH(name) \
	static void name(void); \
	KMM_TEST(name##_at_once) \
	{ \
		later = false; \
		CALL(name()); \
	} \
	KMM_TEST(name##_later) \
	{ \
		later = true; \
		CALL(name()); \
	} \
	static void name(void)

/* Address of page n of where tests map things. */
static inline uint64_t at(uint64_t n) { return 0x20000000ull + n * SPACE_PAGE; }

static inline void swap_start(struct swap_space *w, const struct swap_setup *setup)
{
	uint64_t ram_mib = setup->ram_mib ? setup->ram_mib : 1200, pages = setup->swap_pages ? setup->swap_pages : 4096;
	struct hosted_config config = { .machine = { .format = setup->format, .nr_cpus = setup->threads ? 2 : 1 }, .ram_bytes = ram_mib << 20,
					.log = HOSTED_LOG_KEEP, .threads = setup->threads };
	const char *why = "";

	hosted_set_cpu(0);
	if (!kmm_test_ok((int)hosted_boot(&config, &w->s.m, &why), why, __FILE__, __LINE__))
		return;
	w->s.k = hosted_kmm(w->s.m);
	CHECK_OK(kmm_mm_create(w->s.k, &w->s.mm));
	w->disk = (setup->later ? hosted_swap_open_later : hosted_swap_open)(w->s.m, pages * SPACE_PAGE);
	CHECK(w->disk != NULL);
	CHECK_OK(kmm_swap_on(w->s.k, hosted_swap_device(w->disk), -1));
}

static inline kmm_word slots_used(struct swap_space *w)
{
	struct kmm_swap_info info;

	return kmm_swap_info(w->s.k, 0, &info) ? info.nr_used : 0;
}

/* The space ends if it has not yet, then the machine; nothing leaked. */
static inline void swap_stop(struct swap_space *w)
{
	struct kmm_swap_info info;

	CALL(space_audit(&w->s));
	if (w->s.mm)
		hosted_put_space(w->s.m, w->s.mm);
	w->s.mm = NULL;
	CHECK(kmm_swap_info(w->s.k, 0, &info));
	CHECK_EQ(info.nr_used, 0);
	CALL(space_stop(&w->s));
	hosted_swap_close(w->disk);
}

/* Contents that tell pages apart and that are not one byte repeated. */
static inline void swap_fill(struct swap_space *w, struct kmm_mm *mm, unsigned first, unsigned nr, uint32_t salt)
{
	for (unsigned i = first; i < first + nr; i++) {
		uint64_t value = (uint64_t)salt << 32 | (i + 1);

		CHECK(hosted_write_user(w->s.m, mm, at(i) + 16, &value, sizeof(value)).ok);
	}
}

static inline void swap_verify(struct swap_space *w, struct kmm_mm *mm, unsigned first, unsigned nr, uint32_t salt)
{
	for (unsigned i = first; i < first + nr; i++) {
		uint64_t value = 0;

		CHECK(hosted_read_user(w->s.m, mm, at(i) + 16, &value, sizeof(value)).ok);
		CHECK_EQ(value, (uint64_t)salt << 32 | (i + 1));
	}
}

/* Everything that can go out. */
static inline kmm_word swap_drain(struct swap_space *w)
{
	kmm_word got, total = 0;

	do {
		got = kmm_reclaim_pages(w->s.k, 100000);
		total += got;
	} while (got);
	return total;
}

/* The same, and something did. */
static inline void swap_push_out(struct swap_space *w)
{
	CHECK(swap_drain(w) > 0);
	CALL(space_audit(&w->s));
}

#endif
