/* SPDX-License-Identifier: MIT */
/*
 * Marks of pages over all that can happen to them: written since clear_refs, in frames, in swap, and at other addresses.
 */
#include "harness/space.h"

#define AT 0x20000000ull
#define SWAPPED (1ull << 62)
#define SOFT_DIRTY (1ull << 55)

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

struct marked {
	struct space s;
	struct hosted_swap *disk;
};

static void start(struct marked *w, bool later)
{
	struct space *s = &w->s;

	CALL(space_start(s, KMM_X86_64));
	w->disk = (later ? hosted_swap_open_later : hosted_swap_open)(s->m, 256 * SPACE_PAGE);
	CHECK(w->disk != NULL);
	CHECK_OK(kmm_swap_on(s->k, hosted_swap_device(w->disk), -1));
}

static void stop(struct marked *w)
{
	CALL(space_audit(&w->s));
	CALL(space_stop(&w->s));
	hosted_swap_close(w->disk);
}

struct word_sink {
	struct kmm_sink sink;
	uint64_t word;
};

static void take(struct kmm_sink *sink, const char *bytes, size_t len)
{
	memcpy(&((struct word_sink *)sink)->word, bytes, len);
}

static uint64_t word(struct kmm_mm *mm, unsigned n)
{
	struct word_sink sink = { { take }, 0 };

	return kmm_report_pagemap(mm, page(n) / SPACE_PAGE, 1, true, &sink.sink) == 1 ? sink.word : 0;
}

static bool is_dirty(struct space *s, unsigned n) { return (word(s->mm, n) & SOFT_DIRTY) != 0; }
static bool is_out(struct space *s, unsigned n) { return (word(s->mm, n) & SWAPPED) != 0; }

static void out(struct marked *w, unsigned first, unsigned nr)
{
	CHECK_OK(kmm_madvise(w->s.mm, kmm_uva((kmm_word)page(first)), nr * SPACE_PAGE, KMM_MADV_PAGEOUT));
	for (unsigned i = first; i < first + nr; i++)
		CHECK(is_out(&w->s, i));
	CALL(space_audit(&w->s));
}

/* Not one byte repeated: in a slot. */
static void write_pages(struct space *s, unsigned first, unsigned nr)
{
	for (unsigned i = first; i < first + nr; i++)
		CHECK_EQ(space_poke(s, s->mm, page(i) + i, (uint8_t)(i + 1)), 0);
}

static void check_written(bool later)
{
	struct kmm_mm *child;
	struct marked w;
	struct kmm_uva to;

	CALL(start(&w, later));
	CHECK_EQ(space_map(&w.s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
	CALL(write_pages(&w.s, 0, 8));
	CHECK_OK(kmm_clear_refs(w.s.mm, KMM_REFS_SOFT_DIRTY));
	CALL(write_pages(&w.s, 0, 4));
	CALL(out(&w, 0, 8));
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(is_dirty(&w.s, i), i < 4);
	CHECK_OK(kmm_mm_fork(w.s.mm, &child));
	CHECK(word(child, 0) & SOFT_DIRTY);
	CHECK(!(word(child, 5) & SOFT_DIRTY));
	hosted_put_space(w.s.m, child);
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(0)), 1); /* comes back as it went */
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(5)), 0);
	CHECK(is_dirty(&w.s, 0) && !is_dirty(&w.s, 5) && !is_out(&w.s, 5));
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(5), 1), 0); /* and the first write is seen */
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(6), 1), 0);
	CHECK(is_dirty(&w.s, 5) && is_dirty(&w.s, 6) && !is_dirty(&w.s, 7));
	CHECK_OK(kmm_mremap(w.s.mm, kmm_uva((kmm_word)page(7)), SPACE_PAGE, SPACE_PAGE, 3, kmm_uva((kmm_word)page(20)), &to));
	CHECK(is_out(&w.s, 20) && is_dirty(&w.s, 20)); /* new there */
	CHECK_OK(kmm_clear_refs(w.s.mm, KMM_REFS_SOFT_DIRTY)); /* in the slot, too */
	CHECK(is_out(&w.s, 1) && !is_dirty(&w.s, 1) && is_out(&w.s, 20) && !is_dirty(&w.s, 20));
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(1) + 1), 2);
	CHECK(!is_dirty(&w.s, 1));
	CHECK_OK(kmm_swap_off(w.s.k, hosted_swap_device(w.disk)));
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(20) + 7), 8);
	CHECK(!is_dirty(&w.s, 20) && !is_dirty(&w.s, 2));
	CALL(stop(&w));
}

KMM_TEST(marks_written_over_swap)
{
	CALL(check_written(false));
	CALL(check_written(true));
}

/* ---- watched writes ---- */

struct watcher {
	struct kmm_userfault u; /* first */
	unsigned nr, why;
	uint64_t last;
	bool allows;              /* or else says no */
};

static enum kmm_status on_fault(struct kmm_userfault *u, struct kmm_mm *mm, struct kmm_uva addr, enum kmm_access access, unsigned why)
{
	struct watcher *w = (struct watcher *)u;

	w->nr++;
	w->why = why;
	w->last = addr.v & ~(kmm_word)(SPACE_PAGE - 1);
	if (!kmm_userfault_waits(mm, addr, why) || access != KMM_WRITE)
		return KMM_EIO;
	return w->allows ? kmm_userfault_protect(mm, kmm_uva((kmm_word)w->last), SPACE_PAGE, false) : KMM_ERANGE;
}

static void on_release(struct kmm_userfault *u) { (void)u; }
static const struct kmm_userfault_ops ops = { .fault = on_fault, .release = on_release };

static struct watcher new_watcher(void)
{
	struct watcher w = { .allows = true };

	kmm_userfault_init(&w.u, &ops);
	return w;
}

static int watch_as(struct space *s, struct watcher *w, unsigned first, unsigned nr, unsigned modes)
{
	return kmm_status_errno(kmm_userfault_register(&w->u, s->mm, kmm_uva((kmm_word)page(first)), nr * SPACE_PAGE, modes));
}

static int watch(struct space *s, struct watcher *w, unsigned first, unsigned nr)
{
	return watch_as(s, w, first, nr, KMM_USERFAULT_WRITES);
}

static int protect(struct space *s, unsigned first, unsigned nr, bool on)
{
	return kmm_status_errno(kmm_userfault_protect(s->mm, kmm_uva((kmm_word)page(first)), nr * SPACE_PAGE, on));
}

static bool is_watched(struct space *s, unsigned n) { return (word(s->mm, n) & (1ull << 57)) != 0; }

/* Moved areas, and those that nobody watches any more, are free; page 7 is one. */
static void check_watched_last(struct marked *w, struct watcher *u)
{
	struct kmm_uva to;

	u->allows = false;
	CHECK_EQ(space_poke(&w->s, w->s.mm, page(4), 1), -7);
	CHECK_EQ(space_poke(&w->s, w->s.mm, page(5), 1), -7);
	CALL(space_audit(&w->s));
	CHECK_OK(kmm_mremap(w->s.mm, kmm_uva((kmm_word)page(4)), 2 * SPACE_PAGE, 2 * SPACE_PAGE, 3, kmm_uva((kmm_word)page(20)), &to));
	CHECK(!is_watched(&w->s, 20) && !is_watched(&w->s, 21));
	CHECK_EQ(space_poke(&w->s, w->s.mm, page(20), 1), 0);
	CHECK_EQ(protect(&w->s, 7, 1, true), 0);
	kmm_userfault_forget(&u->u, w->s.mm);
	CHECK(!is_watched(&w->s, 7));
	CHECK_EQ(space_poke(&w->s, w->s.mm, page(7), 1), 0);
}

static void check_watched(bool later)
{
	struct watcher u = new_watcher();
	struct kmm_mm *child;
	struct marked w;

	CALL(start(&w, later));
	CHECK_EQ(space_map(&w.s, page(0), 10, SPACE_RW, SPACE_ANON), 0);
	CALL(write_pages(&w.s, 0, 8));
	CHECK_EQ(protect(&w.s, 0, 8, true), 2); /* nobody watches */
	CHECK_EQ(watch(&w.s, &u, 0, 10), 0);
	CHECK_EQ(protect(&w.s, 0, 11, true), 2); /* not one area */
	CHECK_EQ(protect(&w.s, 0, 0, true), 22);
	CHECK_EQ(protect(&w.s, 0, 10, true), 0);
	CHECK(is_watched(&w.s, 0) && is_watched(&w.s, 7) && !is_watched(&w.s, 8)); /* what is not there is not */
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(1) + 1), 2);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(8), 1), 0);
	CHECK_EQ(u.nr, 0);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(1), 1), 0);
	CHECK_EQ(u.nr, 1);
	CHECK_EQ(u.why, KMM_USERFAULT_WRITES);
	CHECK_EQ(u.last, page(1));
	CHECK(!is_watched(&w.s, 1));
	CHECK_EQ(space_protect(&w.s, page(2), 2, SPACE_R), 0); /* no way around */
	CHECK_EQ(space_protect(&w.s, page(2), 2, SPACE_RW), 0);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(2), 1), 0);
	CHECK_EQ(u.nr, 2);
	CHECK_OK(kmm_mm_fork(w.s.mm, &child));
	CHECK(!(word(child, 3) & (1ull << 57)));
	CHECK_EQ(space_poke(&w.s, child, page(3), 9), 0);
	CHECK_EQ(u.nr, 2);
	hosted_put_space(w.s.m, child);
	CALL(out(&w, 3, 4));
	CHECK(is_watched(&w.s, 3) && is_watched(&w.s, 6));
	CHECK_EQ(protect(&w.s, 6, 1, false), 0); /* in its slot */
	CHECK(is_out(&w.s, 6) && !is_watched(&w.s, 6));
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(6), 1), 0);
	CHECK_EQ(u.nr, 2);
	CHECK_EQ(space_poke(&w.s, w.s.mm, page(3), 1), 0); /* comes back, and stops then */
	CHECK_EQ(u.nr, 3);
	CHECK_OK(kmm_clear_refs(w.s.mm, KMM_REFS_SOFT_DIRTY));
	CHECK(is_watched(&w.s, 4) && is_out(&w.s, 4));
	CHECK_EQ(space_peek(&w.s, w.s.mm, page(4) + 4), 5);
	CALL(check_watched_last(&w, &u));
	CHECK_EQ(u.u.refs, 1);
	CALL(stop(&w));
}

KMM_TEST(marks_watched_writes)
{
	CALL(check_watched(false));
	CALL(check_watched(true));
}

KMM_TEST(marks_watched_pins)
{
	struct watcher u = new_watcher();
	struct kmm_page *p;
	kmm_word done;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_ANON | KMM_MAP_POPULATE), 0);
	CHECK_EQ(watch(&s, &u, 0, 4), 0);
	CHECK_EQ(protect(&s, 0, 4, true), 0);
	CHECK_OK(kmm_pin_user(s.mm, kmm_uva((kmm_word)page(0)), 1, 0, &p, &done));
	CHECK_EQ(u.nr, 0);
	kmm_unpin_user(s.k, &p, 1, false);
	CHECK_OK(kmm_pin_user(s.mm, kmm_uva((kmm_word)page(0)), 1, KMM_PIN_WRITE, &p, &done));
	CHECK_EQ(u.nr, 1);
	kmm_unpin_user(s.k, &p, 1, true);
	CHECK_EQ(kmm_userfault_unregister(s.mm, kmm_uva((kmm_word)page(0)), 4 * SPACE_PAGE), KMM_OK);
	CHECK(!is_watched(&s, 1));
	CHECK_EQ(watch_as(&s, &u, 0, 4, KMM_USERFAULT_MISSING), 0);
	CHECK_OK(kmm_madvise(s.mm, kmm_uva((kmm_word)page(1)), SPACE_PAGE, KMM_MADV_DONTNEED));
	CHECK_EQ(kmm_userfault_fill_watched(s.mm, kmm_uva((kmm_word)page(1)), NULL), KMM_EINVAL);
	CHECK_EQ(watch_as(&s, &u, 0, 4, KMM_USERFAULT_MISSING | KMM_USERFAULT_WRITES), 0);
	CHECK_OK(kmm_userfault_fill_watched(s.mm, kmm_uva((kmm_word)page(1)), NULL));
	CHECK(is_watched(&s, 1));
	CHECK_EQ(space_poke(&s, s.mm, page(1), 1), 0);
	CHECK_EQ(u.nr, 2);
	CALL(space_audit(&s));
	CALL(space_stop(&s));
}

/* Of shared memory what is not there is watched too, and what goes from the entry alone stays so. */
/* One of two views of a file is watched: who writes through the other is not asked about. */
static void check_two_views(struct space *s, struct watcher *u)
{
	CHECK_EQ(space_poke(s, s->mm, page(0), 1), 0);
	CHECK_EQ(watch(s, u, 0, 600), 0);
	CHECK_EQ(protect(s, 0, 600, true), 0);
	CALL(space_audit(s));
	CHECK_EQ(space_poke(s, s->mm, page(700), 2), 0); /* another view is not */
	CHECK_EQ(space_poke(s, s->mm, page(701), 3), 0);
	CHECK_EQ(u->nr, 0);
	CHECK_EQ(space_peek(s, s->mm, page(1)), 3);
	CHECK_EQ(space_poke(s, s->mm, page(1), 4), 0);
	CHECK_EQ(u->nr, 1);
	CHECK_EQ(space_poke(s, s->mm, page(599), 4), 0); /* a write comes first */
	CHECK_EQ(u->nr, 2);
	CHECK_OK(kmm_madvise(s->mm, kmm_uva((kmm_word)page(0)), 3 * SPACE_PAGE, KMM_MADV_DONTNEED));
	CHECK_EQ(space_peek(s, s->mm, page(0)), 2);
	CHECK_EQ(space_poke(s, s->mm, page(0), 5), 0);
	CHECK_EQ(u->nr, 3);
	CHECK_EQ(space_poke(s, s->mm, page(1), 5), 0); /* was allowed already */
	CHECK_EQ(u->nr, 3);
}

/* A page that goes is watched when it is there again; a child, and a view that is let be, are not. */
static void check_shared_ends(struct space *s, struct watcher *u)
{
	struct kmm_mm *child;

	CHECK_OK(kmm_madvise(s->mm, kmm_uva((kmm_word)page(700)), 8 * SPACE_PAGE, KMM_MADV_REMOVE));
	CHECK_EQ(space_poke(s, s->mm, page(2), 6), 0);
	CHECK_EQ(u->nr, 4);
	CHECK_OK(kmm_mm_fork(s->mm, &child));
	CHECK_EQ(space_poke(s, child, page(3), 7), 0);
	CHECK_EQ(u->nr, 4);
	hosted_put_space(s->m, child);
	CHECK_EQ(protect(s, 0, 600, false), 0);
	CHECK_EQ(space_poke(s, s->mm, page(5), 6), 0);
	CHECK_EQ(u->nr, 4);
	CALL(space_audit(s));
}

/* A private view of the same file. */
static void check_private_view(struct space *s, struct watcher *u)
{
	CHECK_EQ(watch(s, u, 720, 8), 0);
	CHECK_EQ(protect(s, 720, 8, true), 0);
	CHECK_EQ(space_poke(s, s->mm, page(721), 6), 0); /* copied, then asked about */
	CHECK_EQ(u->nr, 5);
	CHECK_EQ(space_poke(s, s->mm, page(721), 6), 0);
	CHECK_EQ(u->nr, 5);
	CHECK_EQ(space_unmap(s, page(722), 2), 0);
	CALL(space_audit(s));
}

/* Pages that the watcher itself gives. */
static void check_filled(struct space *s, struct watcher *u)
{
	CHECK_OK(kmm_userfault_unregister(s->mm, kmm_uva((kmm_word)page(0)), 600 * SPACE_PAGE));
	CALL(space_audit(s));
	CHECK_EQ(watch_as(s, u, 0, 600, KMM_USERFAULT_WRITES | KMM_USERFAULT_MISSING), 0);
	CHECK_OK(kmm_madvise(s->mm, kmm_uva((kmm_word)page(0)), 600 * SPACE_PAGE, KMM_MADV_REMOVE));
	CHECK_EQ(protect(s, 0, 600, true), 0);
	CHECK_OK(kmm_userfault_fill(s->mm, kmm_uva((kmm_word)page(6)), NULL)); /* anew, and not watched */
	CHECK_OK(kmm_userfault_fill_watched(s->mm, kmm_uva((kmm_word)page(7)), NULL));
	CHECK_EQ(space_poke(s, s->mm, page(6), 1), 0);
	CHECK_EQ(u->nr, 5);
	CHECK_EQ(space_poke(s, s->mm, page(7), 1), 0);
	CHECK_EQ(u->nr, 6);
	CALL(space_audit(s));
}

static void check_shared(enum kmm_format_id format)
{
	struct watcher u = new_watcher();
	struct kmm_file file;
	struct space s;

	CALL(space_start(&s, format));
	kmm_file_init(&file, s.k, 600 * SPACE_PAGE, "/shm");
	file.is_shared_memory = true;
	CHECK_EQ(space_map_file(&s, page(0), 600, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
	CHECK_EQ(space_map_file(&s, page(700), 8, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
	CHECK_EQ(space_map_file(&s, page(720), 8, SPACE_RW, KMM_MAP_PRIVATE, &file, 0), 0);
	CALL(check_two_views(&s, &u));
	CALL(check_shared_ends(&s, &u));
	CALL(check_private_view(&s, &u));
	CALL(check_filled(&s, &u));
	hosted_put_space(s.m, s.mm);
	s.mm = NULL;
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

KMM_TEST(marks_watched_shared)
{
	CALL(check_shared(KMM_I386));
	CALL(check_shared(KMM_I386_PAE));
	CALL(check_shared(KMM_X86_64));
}

static int protect_op(struct space *s) { return protect(s, 0, 600, true); }

KMM_TEST(marks_watched_fails_whole)
{
	struct watcher u = new_watcher();
	struct kmm_file file;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	kmm_file_init(&file, s.k, 600 * SPACE_PAGE, "/shm");
	file.is_shared_memory = true;
	CHECK_EQ(space_map_file(&s, page(0), 600, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
	CHECK_EQ(watch(&s, &u, 0, 600), 0);
	CALL(space_fail_each(&s, protect_op, false));
	CALL(space_audit(&s));
	hosted_put_space(s.m, s.mm);
	s.mm = NULL;
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}
