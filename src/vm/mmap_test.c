/* SPDX-License-Identifier: MIT */
/*
 * mmap and munmap: places, errnos, what merges, limits. Values without a source are from Linux 6.1's behaviour.
 */
#include "harness/space.h"

enum { EPERM = 1, ENOMEM = 12, EACCES = 13, EEXIST = 17, EINVAL = 22, EOVERFLOW = 75, EOPNOTSUPP = 95 };
#define AT 0x20000000ull

static int map_at(struct space *s, uint64_t addr, uint64_t len, unsigned flags, uint64_t *out)
{
	struct kmm_uva at = { 0 };
	int err = kmm_status_errno(kmm_mmap(s->mm, kmm_uva((kmm_word)addr), len, SPACE_RW, flags, NULL, 0, &at));

	*out = at.v;
	return err;
}

KMM_TEST(mmap_errors)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;
		uint64_t at, top;

		CALL(space_start(&s, space_formats[f]));
		top = kmm_layout_of(s.k)->user_end_max;
		CHECK_EQ(map_at(&s, 0, 0, SPACE_ANON, &at), EINVAL);
		CHECK_EQ(map_at(&s, 0, SPACE_PAGE, KMM_MAP_ANONYMOUS, &at), EINVAL);      /* neither shared nor private */
		CHECK_EQ(map_at(&s, 0, SPACE_PAGE, KMM_MAP_ANONYMOUS | 3, &at), EINVAL);  /* VALIDATE is for files */
		CHECK_EQ(map_at(&s, 0, SPACE_PAGE, KMM_MAP_PRIVATE, &at), EINVAL);        /* no backing */
		CHECK_EQ(map_at(&s, AT + 1, SPACE_PAGE, SPACE_ANON | KMM_MAP_FIXED, &at), EINVAL);
		CHECK_EQ(map_at(&s, top, SPACE_PAGE, SPACE_ANON | KMM_MAP_FIXED, &at), ENOMEM);
		CHECK_EQ(map_at(&s, 0, top + SPACE_PAGE, SPACE_ANON, &at), ENOMEM);
		CHECK_EQ(map_at(&s, 0, UINT64_MAX, SPACE_ANON, &at), ENOMEM);
		CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_ANON | KMM_MAP_FIXED, &at), EPERM);
		kmm_mm_limits(s.mm)->rights = KMM_MAY_MAP_LOW;
		CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_ANON | KMM_MAP_FIXED, &at), 0);
		CHECK_EQ(at, 0);
		CHECK_EQ(space_poke(&s, s.mm, 0, 1), 0);
		CHECK_EQ(map_at(&s, 4096, SPACE_PAGE, SPACE_ANON, &at), 0); /* a hint is moved up for everybody */
		CHECK_EQ(at, 65536);
		CHECK_EQ(kmm_munmap(s.mm, kmm_uva(0), 65536 + SPACE_PAGE), KMM_OK);
		kmm_mm_limits(s.mm)->rights = 0;
		CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_ANON | KMM_MAP_HUGETLB, &at), ENOMEM);
		CHECK_EQ(map_at(&s, 0, SPACE_PAGE, KMM_MAP_ANONYMOUS | KMM_MAP_HUGETLB, &at), EINVAL);
		CHECK_EQ(map_at(&s, AT + SPACE_PAGE, SPACE_PAGE, SPACE_ANON | KMM_MAP_FIXED | KMM_MAP_HUGETLB, &at), EINVAL);
		CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_SHARED | KMM_MAP_GROWSDOWN, &at), EINVAL);
		CHECK_EQ(map_at(&s, AT, SPACE_PAGE, SPACE_ANON | KMM_MAP_FIXED, &at), 0);
		CHECK_EQ(map_at(&s, AT, SPACE_PAGE, SPACE_ANON | KMM_MAP_FIXED_NOREPLACE, &at), EEXIST);
		CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_ANON | 0x10000000, &at), 0); /* unknown flags do not matter */
		CHECK_EQ(space_areas(&s), 2);
		CALL(space_stop(&s));
	}
}

KMM_TEST(mmap_file_errors)
{
	struct kmm_file file;
	struct space s;

	CALL(space_start(&s, KMM_I386));
	kmm_file_init(&file, s.k, 10 * SPACE_PAGE, "/f");
	CHECK_EQ(space_map_file(&s, AT, 1, SPACE_RW, 0, &file, 0), EINVAL);
	CHECK_EQ(space_map_file(&s, AT, 1, SPACE_RW, KMM_MAP_SHARED_VALIDATE | 0x80000, &file, 0), EOPNOTSUPP);
	CHECK_EQ(space_map_file(&s, AT, 1, SPACE_RW, KMM_MAP_SHARED_VALIDATE, &file, 0), 0);
	CHECK_EQ(space_map_file(&s, AT, 1, SPACE_RW, KMM_MAP_PRIVATE | KMM_MAP_GROWSDOWN, &file, 0), EINVAL);
	CHECK_EQ(space_map_file(&s, AT, 1, SPACE_RW, KMM_MAP_PRIVATE | KMM_MAP_HUGETLB, &file, 0), EINVAL);
	CHECK_EQ(space_map_file(&s, AT, 2, SPACE_RW, KMM_MAP_PRIVATE, &file, UINT32_MAX), EOVERFLOW);
	CHECK_EQ(space_map_file(&s, AT, 2, SPACE_RW, KMM_MAP_PRIVATE, &file, UINT64_MAX), EOVERFLOW);
	/* Opened read-only: shared never becomes writable, private may. */
	CHECK_EQ(space_map_file(&s, AT, 1, SPACE_RW, KMM_MAP_SHARED | KMM_MAP_RDONLY, &file, 0), EACCES);
	CHECK_EQ(space_map_file(&s, AT, 1, SPACE_R, KMM_MAP_SHARED | KMM_MAP_RDONLY, &file, 0), 0);
	CHECK_EQ(space_protect(&s, AT, 1, SPACE_RW), EACCES);
	CHECK_EQ(space_map_file(&s, AT, 1, SPACE_R, KMM_MAP_PRIVATE | KMM_MAP_RDONLY, &file, 0), 0);
	CHECK_EQ(space_protect(&s, AT, 1, SPACE_RW), 0);
	hosted_put_space(s.m, s.mm);
	s.mm = NULL;
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

/* Without randomisation the first mapping ends where Linux's does: 128 MiB below the end of the user half. */
KMM_TEST(mmap_places_top_down)
{
	static const uint64_t bases[] = { [KMM_I386] = 0xb8000000, [KMM_I386_PAE] = 0xb8000000, [KMM_X86_64] = 0x7ffff7fff000,
					  [KMM_X86_64_LA57] = 0x7ffff7fff000 };

	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;
		uint64_t at, base = bases[space_formats[f]];

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(map_at(&s, 0, 3 * SPACE_PAGE, SPACE_ANON, &at), 0);
		CHECK_EQ(at, base - 3 * SPACE_PAGE);
		CHECK_EQ(map_at(&s, 0, 100, SPACE_ANON, &at), 0);
		CHECK_EQ(at, base - 4 * SPACE_PAGE);
		CHECK_EQ(space_areas(&s), 1);
		CHECK_EQ(space_unmap(&s, base - 3 * SPACE_PAGE, 2), 0);
		CHECK_EQ(map_at(&s, 0, 2 * SPACE_PAGE, SPACE_ANON, &at), 0); /* the highest hole that fits */
		CHECK_EQ(at, base - 3 * SPACE_PAGE);
		CALL(space_stop(&s));
	}
}

KMM_TEST(mmap_base_follows_the_stack_limit)
{
	struct space s;
	uint64_t at;

	CALL(space_start(&s, KMM_I386));
	kmm_mm_limits(s.mm)->stack_bytes = 512ull << 20;
	CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_ANON, &at), 0);
	CHECK_EQ(at + SPACE_PAGE, 0xc0000000 - (512ull << 20) - (1 << 20)); /* and the guard gap */
	CALL(space_stop(&s));
	CALL(space_start(&s, KMM_I386));
	kmm_mm_limits(s.mm)->stack_bytes = UINT64_MAX;
	CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_ANON, &at), 0);
	CHECK_EQ(at + SPACE_PAGE, 0x20000000); /* at most 5/6 of the space is left to it */
	CHECK_EQ(map_at(&s, 0, 1ull << 30, SPACE_ANON, &at), 0);
	CHECK_EQ(at, 0x40000000); /* no room below: bottom-up from a third */
	CALL(space_stop(&s));
}

KMM_TEST(mmap_from_low_to_high)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		bool wide = space_formats[f] >= KMM_X86_64;
		uint64_t at, third = wide ? 0x2aaaaaaab000 : 0x40000000;
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		kmm_mm_limits(s.mm)->layout = KMM_LAYOUT_BOTTOM_UP;
		CHECK_EQ(map_at(&s, 0, 2 * SPACE_PAGE, SPACE_ANON, &at), 0);
		CHECK_EQ(at, third);
		CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_ANON, &at), 0);
		CHECK_EQ(at, third + 2 * SPACE_PAGE);
		CHECK_EQ(space_unmap(&s, third, 1), 0);
		CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_ANON, &at), 0); /* the lowest hole that fits */
		CHECK_EQ(at, third);
		CHECK_EQ(map_at(&s, AT, SPACE_PAGE, SPACE_ANON, &at), 0);
		CHECK_EQ(at, AT);
		CALL(space_stop(&s));
	}
}

KMM_TEST(mmap_hints)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;
		uint64_t at, base;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(map_at(&s, AT, SPACE_PAGE, SPACE_ANON, &at), 0);
		CHECK_EQ(at, AT);
		CHECK_EQ(map_at(&s, AT + 5 * SPACE_PAGE + 123, SPACE_PAGE, SPACE_ANON, &at), 0);
		CHECK_EQ(at, AT + 5 * SPACE_PAGE);
		CHECK_EQ(map_at(&s, 4096, SPACE_PAGE, SPACE_ANON, &at), 0); /* rounded up to mmap_min_addr */
		CHECK_EQ(at, 65536);
		CHECK_EQ(map_at(&s, AT, SPACE_PAGE, SPACE_ANON, &at), 0); /* taken: as without a hint */
		base = space_formats[f] <= KMM_I386_PAE ? 0xb8000000 : 0x7ffff7fff000;
		CHECK_EQ(at, base - SPACE_PAGE);
		CHECK_EQ(map_at(&s, AT + SPACE_PAGE, SPACE_PAGE, SPACE_ANON | KMM_MAP_FIXED_NOREPLACE, &at), 0);
		CHECK_EQ(at, AT + SPACE_PAGE);
		CALL(space_stop(&s));
	}
}

/* Five levels: addresses above 2^47 only for who asks (Linux: Documentation/x86/x86_64/5level-paging.rst). */
KMM_TEST(mmap_high_hints)
{
	struct space s;
	uint64_t at;

	CALL(space_start(&s, KMM_X86_64_LA57));
	CHECK_EQ(map_at(&s, 1ull << 50, SPACE_PAGE, SPACE_ANON, &at), 0);
	CHECK_EQ(at, 1ull << 50);
	CHECK_EQ(map_at(&s, UINT64_MAX & ~0xfffull, SPACE_PAGE, SPACE_ANON, &at), 0);
	CHECK(at > 1ull << 55);
	CHECK_EQ(map_at(&s, (1ull << 47) - 2 * SPACE_PAGE, 8 * SPACE_PAGE, SPACE_ANON, &at), 0); /* across: not honoured */
	CHECK(at + 8 * SPACE_PAGE <= 1ull << 47);
	CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_ANON, &at), 0);
	CHECK(at < 1ull << 47);
	CHECK_EQ(space_poke(&s, s.mm, 1ull << 50, 7), 0);
	CHECK_EQ(space_peek(&s, s.mm, 1ull << 50), 7);
	CALL(space_stop(&s));
	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_ANON | KMM_MAP_32BIT, &at), 0);
	CHECK_EQ(at, 0x40000000);
	CHECK_EQ(map_at(&s, 0, 1ull << 30, SPACE_ANON | KMM_MAP_32BIT | KMM_MAP_NORESERVE, &at), ENOMEM);
	CALL(space_stop(&s));
}

/* New mappings stay out of the guard gap of an area that grows down. */
KMM_TEST(mmap_keeps_guard_gaps)
{
	struct space s;
	uint64_t at, gap = 256 * SPACE_PAGE;

	CALL(space_start(&s, KMM_I386));
	CHECK_EQ(space_map(&s, AT, 1, SPACE_RW, SPACE_ANON | KMM_MAP_GROWSDOWN), 0);
	CHECK_EQ(map_at(&s, AT - gap, SPACE_PAGE, SPACE_ANON, &at), 0);
	CHECK(at != AT - gap); /* a hint into the gap is no good */
	CHECK_EQ(map_at(&s, AT - gap - SPACE_PAGE, SPACE_PAGE, SPACE_ANON, &at), 0);
	CHECK_EQ(at, AT - gap - SPACE_PAGE);
	CHECK_EQ(space_map(&s, AT - SPACE_PAGE, 1, SPACE_R, SPACE_ANON), 0); /* FIXED may */
	CALL(space_stop(&s));
	CALL(space_start(&s, KMM_I386));
	CHECK_EQ(space_map(&s, 0xb8000000 - SPACE_PAGE, 1, SPACE_RW, SPACE_ANON | KMM_MAP_GROWSDOWN), 0);
	CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_ANON, &at), 0);
	CHECK_EQ(at, 0xb8000000 - 2 * SPACE_PAGE - gap);
	CALL(space_stop(&s));
}

KMM_TEST(mmap_limits)
{
	struct space s;
	uint64_t at;

	CALL(space_start(&s, KMM_X86_64));
	kmm_mm_limits(s.mm)->as_bytes = 10 * SPACE_PAGE;
	CHECK_EQ(map_at(&s, 0, 11 * SPACE_PAGE, SPACE_ANON, &at), ENOMEM);
	CHECK_EQ(space_map(&s, AT, 10, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(map_at(&s, 0, SPACE_PAGE, SPACE_ANON, &at), ENOMEM);
	CHECK_EQ(space_map(&s, AT, 10, SPACE_R, SPACE_ANON), 0); /* what it replaces is taken off */
	kmm_mm_limits(s.mm)->data_bytes = 5 * SPACE_PAGE;
	CHECK_EQ(space_protect(&s, AT, 6, SPACE_RW), 0); /* both limits passed: Linux blames neither */
	CHECK_EQ(space_protect(&s, AT, 6, SPACE_R), 0);
	kmm_mm_limits(s.mm)->as_bytes = UINT64_MAX;
	CHECK_EQ(space_protect(&s, AT, 6, SPACE_RW), ENOMEM);
	CHECK_EQ(space_protect(&s, AT, 5, SPACE_RW), 0);
	CHECK_EQ(space_map(&s, AT + 0x100000, 1, SPACE_RW, SPACE_ANON), ENOMEM);
	CHECK_EQ(space_map(&s, AT + 0x100000, 100, SPACE_RW, SPACE_SHARED), 0); /* shared is no data */
	kmm_mm_limits(s.mm)->data_bytes = 0; /* is none, up to the hard limit */
	CHECK_EQ(space_map(&s, AT + 0x200000, 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_unmap(&s, AT + 0x200000, 1), 0);
	kmm_mm_limits(s.mm)->data_hard_bytes = 5 * SPACE_PAGE;
	CHECK_EQ(space_map(&s, AT + 0x200000, 1, SPACE_RW, SPACE_ANON), ENOMEM);
	kmm_mm_limits(s.mm)->data_bytes = UINT64_MAX;
	CHECK_EQ(map_at(&s, 0, 2ull << 30, SPACE_ANON, &at), ENOMEM);  /* more than RAM: overcommit's rule */
	CHECK_EQ(space_map(&s, AT, 512 * 1024 + 1, SPACE_RW, SPACE_ANON), ENOMEM); /* the same at a fixed place: */
	CHECK_EQ(space_areas(&s), 0); /* Linux has unmapped what was there by then, and so do we */
	CHECK_EQ(space_map(&s, AT, 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, AT, 512 * 1024 + 1, SPACE_RW, SPACE_SHARED), ENOMEM);
	CHECK_EQ(space_areas(&s), 0);
	kmm_mm_limits(s.mm)->as_bytes = 4096;
	CHECK_EQ(space_map(&s, AT, 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, AT, 512 * 1024 + 1, SPACE_RW, SPACE_ANON), ENOMEM); /* RLIMIT_AS is asked first */
	CHECK_EQ(space_areas(&s), 1);
	kmm_mm_limits(s.mm)->as_bytes = UINT64_MAX;
	CHECK_EQ(map_at(&s, 0, 2ull << 30, SPACE_ANON | KMM_MAP_NORESERVE, &at), 0);
	CHECK_EQ(map_at(&s, 0, 64ull << 40, SPACE_ANON | KMM_MAP_NORESERVE, &at), 0);
	CHECK_EQ(map_at(&s, 0, 128ull << 40, SPACE_ANON | KMM_MAP_NORESERVE, &at), ENOMEM);
	CALL(space_stop(&s));
}

KMM_TEST(mmap_map_count)
{
	struct space s;

	CALL(space_start(&s, KMM_I386_PAE));
	kmm_mm_limits(s.mm)->max_map_count = 3;
	CHECK_EQ(space_map(&s, AT, 9, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_unmap(&s, AT + 4 * SPACE_PAGE, 1), 0);
	CHECK_EQ(space_unmap(&s, AT + 2 * SPACE_PAGE, 1), 0);
	CHECK_EQ(space_areas(&s), 3);
	CHECK_EQ(space_unmap(&s, AT + 7 * SPACE_PAGE, 1), ENOMEM); /* would need a fourth */
	CHECK_EQ(space_protect(&s, AT + 7 * SPACE_PAGE, 1, SPACE_R), ENOMEM);
	CHECK_EQ(space_unmap(&s, AT + 8 * SPACE_PAGE, 1), 0);
	CHECK_EQ(space_map(&s, AT + 0x100000, 1, SPACE_RW, SPACE_ANON), 0); /* Linux refuses above the limit, not at it */
	CHECK_EQ(space_map(&s, AT + 0x200000, 1, SPACE_RW, SPACE_ANON), ENOMEM);
	CALL(space_stop(&s));
}

KMM_TEST(munmap_errors)
{
	struct space s;

	CALL(space_start(&s, KMM_I386));
	CHECK_EQ(kmm_munmap(s.mm, kmm_uva(AT), 0), KMM_EINVAL);
	CHECK_EQ(kmm_munmap(s.mm, kmm_uva(AT + 1), SPACE_PAGE), KMM_EINVAL);
	CHECK_EQ(kmm_munmap(s.mm, kmm_uva(AT), 0xf0000000), KMM_EINVAL);
	CHECK_EQ(kmm_munmap(s.mm, kmm_uva(0xc0001000), SPACE_PAGE), KMM_EINVAL);
	CHECK_EQ(kmm_munmap(s.mm, kmm_uva(AT), SPACE_PAGE), KMM_OK); /* nothing there is fine */
	CHECK_EQ(space_map(&s, AT, 3, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(kmm_munmap(s.mm, kmm_uva(AT + 2 * SPACE_PAGE), 1), KMM_OK); /* lengths round up */
	CHECK_EQ(space_unmap(&s, AT - 5 * SPACE_PAGE, 6), 0);
	CHECK_EQ(space_areas(&s), 1);
	CALL(space_stop(&s));
}

static int map_over(struct space *s)
{
	return space_map(s, AT + 2 * SPACE_PAGE, 2, SPACE_R, SPACE_SHARED);
}

static int unmap_middle(struct space *s)
{
	return space_unmap(s, AT + 12 * SPACE_PAGE, 2);
}

static int map_new(struct space *s)
{
	return space_map(s, AT + 0x400000, 4, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE);
}

static int map_shared(struct space *s)
{
	return space_map(s, AT + 0x800000, 4, SPACE_RW, SPACE_SHARED);
}

KMM_TEST(mmap_fails_whole)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct space s;

		CALL(space_start(&s, space_formats[f]));
		CHECK_EQ(space_map(&s, AT, 8, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
		CHECK_EQ(space_map(&s, AT + 10 * SPACE_PAGE, 8, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
		CALL(space_fail_each(&s, map_over, true));
		CALL(space_fail_each(&s, unmap_middle, true));
		CALL(space_fail_each(&s, map_shared, true));
		CALL(space_fail_each(&s, map_new, true));
		CALL(space_stop(&s));
	}
}
