/* SPDX-License-Identifier: MIT */
/*
 * Pins: what keeps a page and its user together over fork, rights that change, moving, swapping and unmapping.
 */
#include "harness/space.h"
#include "kmm/compact.h"
#include "kmm/kmap.h"

#define AT 0x20000000ull
enum { WRITE = KMM_PIN_WRITE, FORCE = KMM_PIN_FORCE, LONG = KMM_PIN_LONGTERM };

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

static enum kmm_status pin(struct space *s, uint64_t at, unsigned flags, struct kmm_page **out)
{
	kmm_word done = 77;
	enum kmm_status status = kmm_pin_user(s->mm, kmm_uva((kmm_word)at), 1, flags, out, &done);

	return done == (status == KMM_OK) ? status : KMM_EIO;
}

/* What the device would see and do. */
static int see(struct space *s, struct kmm_page *p)
{
	const uint8_t *at = kmm_kmap_local(s->k, p);
	int byte = at[0];

	kmm_kunmap_local(s->k, at);
	return byte;
}

static void put(struct space *s, struct kmm_page *p, uint8_t byte)
{
	uint8_t *at = kmm_kmap_local(s->k, p);

	at[0] = byte;
	kmm_kunmap_local(s->k, at);
}

/* The child gets a copy at once, and the parent's page stays the one that was pinned, writable. */
static void fork_copies(enum kmm_format_id format)
{
	struct kmm_mm *child, *parent;
	struct kmm_mm_stats before, after;
	struct kmm_page *p;
	struct space s;

	CALL(space_start(&s, format));
	parent = s.mm;
	CHECK_EQ(space_map(&s, page(0), 3, SPACE_RW, SPACE_ANON), 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(space_poke(&s, s.mm, page(i), (uint8_t)(10 + i)), 0);
	CHECK_OK(pin(&s, page(1), WRITE, &p));
	CHECK_EQ(kmm_nr_pins(s.k), 1);
	CALL(space_audit(&s));
	CHECK_OK(kmm_mm_fork(parent, &child));
	CALL(space_audit(&s));
	put(&s, p, 99);
	CHECK_EQ(space_peek(&s, parent, page(1)), 99);
	CHECK_EQ(space_peek(&s, child, page(1)), 11);
	kmm_mm_stats(parent, &before);
	CHECK_EQ(space_poke(&s, parent, page(1), 55), 0);
	kmm_mm_stats(parent, &after);
	CHECK_EQ(after.cow_copies, before.cow_copies);
	CHECK_EQ(see(&s, p), 55);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(space_poke(&s, child, page(i), (uint8_t)(20 + i)), 0);
	CHECK_EQ(space_peek(&s, parent, page(2)), 12);
	CHECK_EQ(see(&s, p), 55);
	hosted_put_space(s.m, child);
	kmm_unpin_user(s.k, &p, 1, true);
	CHECK_EQ(kmm_nr_pins(s.k), 0);
	CALL(space_stop(&s));
}

KMM_TEST(pin_fork_copies)
{
	CALL(fork_copies(KMM_I386));
	CALL(fork_copies(KMM_I386_PAE));
	CALL(fork_copies(KMM_X86_64));
}

/* A page shared by a fork is copied when it is pinned, by whoever pins it, also for reading. */
KMM_TEST(pin_unshares)
{
	struct kmm_mm *child, *parent;
	struct kmm_page *p, *q;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	parent = s.mm;
	CHECK_EQ(space_map(&s, page(0), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, parent, page(0), 7), 0);
	CHECK_OK(kmm_mm_fork(parent, &child));
	CHECK_OK(pin(&s, page(0), 0, &p));
	CHECK_EQ(see(&s, p), 7);
	CHECK_EQ(space_poke(&s, parent, page(0), 8), 0);
	CHECK_EQ(see(&s, p), 8);
	CHECK_EQ(space_peek(&s, child, page(0)), 7);
	s.mm = child;
	CHECK_OK(pin(&s, page(0), WRITE, &q));
	put(&s, q, 3);
	CHECK_EQ(space_peek(&s, child, page(0)), 3);
	CHECK_EQ(space_peek(&s, parent, page(0)), 8);
	CHECK(p != q);
	CALL(space_audit(&s));
	s.mm = parent;
	hosted_put_space(s.m, child);
	kmm_unpin_user(s.k, &q, 1, true); /* the last reference */
	kmm_unpin_user(s.k, &p, 1, false);
	CALL(space_stop(&s));
}

/* Whoever only reads leaves the area as one that has no private pages: fork copies none of its entries. */
KMM_TEST(pin_reading_makes_nothing_private)
{
	struct kmm_mm_stats stats;
	struct kmm_mm *child;
	struct kmm_page *p;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_OK(pin(&s, page(1), 0, &p));
	kmm_unpin_user(s.k, &p, 1, false);
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_EQ(space_peek(&s, child, page(1)), 0);
	kmm_mm_stats(child, &stats);
	CHECK_EQ(stats.zero_maps, 1); /* its own */
	hosted_put_space(s.m, child);
	CALL(space_stop(&s));
}

/* Rights that go and come back: the write is to the same page still. */
KMM_TEST(pin_survives_mprotect)
{
	struct kmm_page *p;
	struct space s;

	CALL(space_start(&s, KMM_I386_PAE));
	CHECK_EQ(space_map(&s, page(0), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_OK(pin(&s, page(0), WRITE, &p));
	CHECK_EQ(space_protect(&s, page(0), 1, SPACE_R), 0);
	CHECK_EQ(space_protect(&s, page(0), 1, SPACE_RW), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(0), 5), 0);
	CHECK_EQ(see(&s, p), 5);
	CHECK_EQ(space_unmap(&s, page(0), 1), 0);
	CHECK_EQ(see(&s, p), 5);
	CALL(space_audit(&s));
	kmm_unpin_user(s.k, &p, 1, false);
	CALL(space_stop(&s));
}

KMM_TEST(pin_minds_rights)
{
	struct kmm_page *p, *pages[4];
	struct kmm_file file;
	kmm_word done;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	kmm_file_init(&file, s.k, 2 * SPACE_PAGE, "/f");
	CHECK_EQ(pin(&s, page(0), 0, &p), KMM_EFAULT);
	CHECK_EQ(space_map(&s, page(0), 2, SPACE_R, SPACE_ANON), 0);
	CHECK_EQ(pin(&s, page(0), WRITE, &p), KMM_EFAULT);
	CHECK_OK(pin(&s, page(0), WRITE | FORCE, &p)); /* as a debugger sets a break point */
	put(&s, p, 0xcc);
	CHECK_EQ(space_peek(&s, s.mm, page(0)), 0xcc);
	CHECK_EQ(space_poke(&s, s.mm, page(0), 1), -11);
	kmm_unpin_user(s.k, &p, 1, true);
	CHECK_EQ(space_map(&s, page(2), 1, 0, SPACE_ANON), 0);
	CHECK_EQ(pin(&s, page(2), 0, &p), KMM_EFAULT);
	CHECK_OK(pin(&s, page(2), FORCE, &p)); /* the zero page: not counted */
	CHECK_EQ(kmm_nr_pins(s.k), 0);
	kmm_unpin_user(s.k, &p, 1, false);
	CHECK_EQ(space_map_file(&s, page(3), 2, SPACE_R, KMM_MAP_SHARED, &file, 1), 0);
	CHECK_EQ(pin(&s, page(3), WRITE | FORCE, &p), KMM_EFAULT); /* not what others see */
	CHECK_OK(pin(&s, page(3), 0, &p));
	kmm_unpin_user(s.k, &p, 1, false);
	CHECK_EQ(pin(&s, page(4), 0, &p), KMM_EFAULT); /* beyond its end */
	CHECK_EQ(kmm_pin_user(s.mm, kmm_uva(page(0)), 4, FORCE, pages, &done), KMM_OK);
	kmm_unpin_user(s.k, pages, done, false);
	CHECK_EQ(kmm_pin_user(s.mm, kmm_uva(page(1)), 4, 0, pages, &done), KMM_EFAULT);
	CHECK_EQ(done, 1);
	kmm_unpin_user(s.k, pages, done, false);
	CHECK_EQ(pin(&s, UINT64_C(0x7ffffffff000), 0, &p), KMM_EFAULT);
	hosted_put_space(s.m, s.mm);
	s.mm = NULL;
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

/* What is pinned of a file outlives its truncation, and is what the mapping shows. */
KMM_TEST(pin_file_pages)
{
	struct kmm_page *p, *q;
	struct kmm_file file;
	struct space s;
	uint8_t byte;
	size_t done;

	CALL(space_start(&s, KMM_I386));
	kmm_file_init(&file, s.k, SPACE_PAGE, "/f");
	CHECK_EQ(space_map_file(&s, page(0), 1, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
	CHECK_EQ(space_map_file(&s, page(1), 1, SPACE_RW, KMM_MAP_PRIVATE, &file, 0), 0);
	CHECK_OK(pin(&s, page(0), WRITE, &p));
	put(&s, p, 42);
	CHECK_OK(kmm_file_read(&file, 0, &byte, 1, &done));
	CHECK_EQ(byte, 42);
	CHECK_OK(pin(&s, page(1), WRITE, &q));
	put(&s, q, 43);
	CHECK_EQ(space_peek(&s, s.mm, page(0)), 42);
	CHECK_OK(kmm_file_truncate(&file, 0));
	CHECK_EQ(see(&s, p), 42);
	kmm_unpin_user(s.k, &p, 1, true);
	kmm_unpin_user(s.k, &q, 1, true);
	hosted_put_space(s.m, s.mm);
	s.mm = NULL;
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

/* Pinned pages are not moved; what is pinned for long is moved out of the way first. */
KMM_TEST(pin_for_long_leaves_movable)
{
	struct hosted_config config = { .machine = { .format = KMM_X86_64, .nr_cpus = 1, .movablecore_percent = 50 },
					.ram_bytes = 256ull << 20 };
	struct kmm_page *p;
	struct kmm_pfn pfn;
	const char *why = "";
	struct space s;

	CHECK_OK(hosted_boot(&config, &s.m, &why));
	s.k = hosted_kmm(s.m);
	CHECK_OK(kmm_mm_create(s.k, &s.mm));
	CHECK_EQ(space_map(&s, page(0), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(0), 9), 0);
	CHECK_OK(pin(&s, page(0), WRITE, &p));
	pfn = kmm_page_to_pfn(s.k, p);
	kmm_unpin_user(s.k, &p, 1, false);
	CHECK_OK(pin(&s, page(0), WRITE | LONG, &p));
	CHECK(kmm_page_to_pfn(s.k, p).v != pfn.v);
	CHECK_EQ(see(&s, p), 9);
	put(&s, p, 10);
	CHECK_EQ(space_peek(&s, s.mm, page(0)), 10);
	kmm_unpin_user(s.k, &p, 1, true);
	CALL(space_stop(&s));
}

static struct kmm_page *the_pin;

static int pin_op(struct space *s)
{
	kmm_word done;

	return kmm_status_errno(kmm_pin_user(s->mm, kmm_uva(page(0)), 1, WRITE, &the_pin, &done));
}

KMM_TEST(pin_fails_whole)
{
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 1, SPACE_RW, SPACE_ANON), 0);
	CALL(space_fail_each(&s, pin_op, false));
	kmm_unpin_user(s.k, &the_pin, 1, true);
	CALL(space_stop(&s));
}

/* Fork with a pinned page, each allocation failed once: the parent's page is still the pinned one. */
KMM_TEST(pin_fork_fails_whole)
{
	struct kmm_mm *child = NULL;
	struct kmm_page *p;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON), 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(space_poke(&s, s.mm, page(i), 1), 0);
	CHECK_OK(pin(&s, page(2), WRITE, &p));
	for (uint64_t n = 1; !child && n < 100; n++) {
		kmm_fail_nth(s.k, n);
		if (kmm_mm_fork(s.mm, &child))
			child = NULL;
		kmm_fail_nth(s.k, 0);
		CALL(space_audit(&s));
		CHECK_EQ(space_poke(&s, s.mm, page(2), (uint8_t)n), 0);
		CHECK_EQ(see(&s, p), (int)(uint8_t)n);
	}
	CHECK(child != NULL);
	hosted_put_space(s.m, child);
	kmm_unpin_user(s.k, &p, 1, true);
	CALL(space_stop(&s));
}
