/* SPDX-License-Identifier: MIT */
/*
 * What watchers hear of besides faults, in which order, and what becomes of the areas.
 */
#include "harness/space.h"

#define AT 0x20000000ull
enum { MISSING = KMM_USERFAULT_MISSING, ALL = KMM_USERFAULT_FORK | KMM_USERFAULT_REMAP | KMM_USERFAULT_REMOVE | KMM_USERFAULT_UNMAP };

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

struct watcher {
	struct kmm_userfault u; /* first */
	struct kmm_userfault_event heard[8];
	unsigned nr, faults;
	struct watcher *child;
	bool refuses_fork;
	int released;
	enum kmm_status filled;   /* what providing says while an event is told */
	uint64_t fill_at;
};

static const struct kmm_userfault_ops ops;

static enum kmm_status on_fault(struct kmm_userfault *u, struct kmm_mm *mm, struct kmm_uva addr, enum kmm_access access, unsigned why)
{
	(void)access, (void)why;
	((struct watcher *)u)->faults++;
	return kmm_userfault_fill(mm, kmm_uva(addr.v & ~(kmm_word)(SPACE_PAGE - 1)), NULL);
}

static void on_event(struct kmm_userfault *u, struct kmm_mm *mm, const struct kmm_userfault_event *event)
{
	struct watcher *w = (struct watcher *)u;

	if (w->fill_at)
		w->filled = kmm_userfault_fill(mm, kmm_uva((kmm_word)w->fill_at), NULL);
	w->heard[w->nr++ % 8] = *event;
}

static struct kmm_userfault *on_fork(struct kmm_userfault *u, struct kmm_mm *child)
{
	struct watcher *w = (struct watcher *)u;

	(void)child;
	if (w->refuses_fork)
		return NULL;
	kmm_userfault_init(&w->child->u, &ops);
	w->child->u.events = u->events;
	return &w->child->u;
}

static void on_release(struct kmm_userfault *u) { ((struct watcher *)u)->released++; }
static const struct kmm_userfault_ops ops = { .fault = on_fault, .event = on_event, .fork = on_fork, .release = on_release };

static void start(struct space *s, struct watcher *w, struct watcher *child, unsigned events)
{
	CALL(space_start(s, KMM_X86_64));
	memset(w, 0, sizeof(*w));
	memset(child, 0, sizeof(*child));
	kmm_userfault_init(&w->u, &ops);
	w->u.events = events;
	w->child = child;
}

static void stop(struct space *s, struct watcher *w)
{
	CALL(space_audit(s));
	hosted_put_space(s->m, s->mm);
	s->mm = NULL;
	CHECK_EQ(w->u.changing, 0);
	CHECK_EQ(w->u.refs, 1);
	CALL(space_stop(s));
}

static int watch(struct space *s, struct watcher *w, unsigned first, unsigned nr)
{
	return kmm_status_errno(kmm_userfault_register(&w->u, s->mm, kmm_uva((kmm_word)page(first)), nr * SPACE_PAGE, MISSING));
}

static bool heard(const struct watcher *w, unsigned n, unsigned what, unsigned first, unsigned nr)
{
	const struct kmm_userfault_event *e = &w->heard[n];

	return n < w->nr && e->what == what && e->start.v == page(first) && e->end.v == page(first + nr);
}

KMM_TEST(notes_of_unmapping)
{
	struct watcher w, child;
	struct kmm_uva to;
	struct space s;

	CALL(start(&s, &w, &child, KMM_USERFAULT_UNMAP | KMM_USERFAULT_REMOVE));
	CHECK_EQ(space_map(&s, page(0), 20, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(watch(&s, &w, 2, 16), 0);
	CHECK_EQ(space_protect(&s, page(4), 1, SPACE_R), 0); /* three areas of it, one note */
	w.fill_at = page(17);
	CHECK_EQ(space_unmap(&s, page(3), 4), 0);
	CHECK(heard(&w, 0, KMM_USERFAULT_UNMAP, 3, 4) && w.nr == 1);
	CHECK_EQ(w.filled, KMM_EAGAIN);
	CHECK_EQ(space_unmap(&s, page(0), 2), 0); /* not watched */
	CHECK_EQ(w.nr, 1);
	CHECK_EQ(space_map(&s, page(8), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK(heard(&w, 1, KMM_USERFAULT_UNMAP, 8, 1) && w.nr == 2);
	CHECK_OK(kmm_madvise(s.mm, kmm_uva((kmm_word)page(10)), 2 * SPACE_PAGE, KMM_MADV_DONTNEED));
	CHECK(heard(&w, 2, KMM_USERFAULT_REMOVE, 10, 2) && w.nr == 3);
	CHECK_OK(kmm_madvise(s.mm, kmm_uva((kmm_word)page(10)), 2 * SPACE_PAGE, KMM_MADV_FREE));
	CHECK(heard(&w, 3, KMM_USERFAULT_REMOVE, 10, 2) && w.nr == 4);
	CHECK_OK(kmm_mremap(s.mm, kmm_uva((kmm_word)page(9)), 4 * SPACE_PAGE, 2 * SPACE_PAGE, 3, kmm_uva((kmm_word)page(16)), &to));
	CHECK(heard(&w, 4, KMM_USERFAULT_UNMAP, 16, 2)); /* what was there, what is cut, where it was */
	CHECK(heard(&w, 5, KMM_USERFAULT_UNMAP, 11, 2));
	CHECK(heard(&w, 6, KMM_USERFAULT_UNMAP, 9, 2) && w.nr == 7);
	CHECK_EQ(space_peek(&s, s.mm, page(16)), 0);
	CHECK_EQ(w.faults, 0);
	CALL(stop(&s, &w));
}

KMM_TEST(notes_of_moving)
{
	struct watcher w, child;
	struct kmm_uva to;
	struct space s;

	CALL(start(&s, &w, &child, KMM_USERFAULT_REMAP));
	CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(watch(&s, &w, 0, 4), 0);
	CHECK_OK(kmm_mremap(s.mm, kmm_uva((kmm_word)page(0)), 2 * SPACE_PAGE, 2 * SPACE_PAGE, 3, kmm_uva((kmm_word)page(4)), &to));
	CHECK(heard(&w, 0, KMM_USERFAULT_REMAP, 0, 2) && w.heard[0].to.v == page(4) && w.nr == 1);
	CHECK_EQ(space_peek(&s, s.mm, page(5)), 0);
	CHECK_EQ(w.faults, 1);
	CHECK_EQ(space_peek(&s, s.mm, page(6)), 0);
	CHECK_EQ(w.faults, 1);
	CALL(space_audit(&s));
	CHECK_OK(kmm_mremap(s.mm, kmm_uva((kmm_word)page(4)), 2 * SPACE_PAGE, 3 * SPACE_PAGE, 1, kmm_uva(0), &to)); /* has to move */
	CHECK(heard(&w, 1, KMM_USERFAULT_REMAP, 4, 2) && w.heard[1].to.v == to.v && w.nr == 2);
	CHECK_EQ(space_peek(&s, s.mm, to.v + 2 * SPACE_PAGE), 0);
	CHECK_EQ(w.faults, 2);
	CALL(stop(&s, &w));
}

KMM_TEST(notes_of_forks)
{
	struct watcher w, child;
	struct kmm_mm *mm;
	struct space s;

	CALL(start(&s, &w, &child, ALL));
	CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(watch(&s, &w, 0, 4), 0);
	CHECK_EQ(space_protect(&s, page(1), 1, SPACE_R), 0); /* several areas, one child */
	CHECK_OK(kmm_mm_fork(s.mm, &mm));
	CHECK(w.nr == 1 && w.heard[0].what == KMM_USERFAULT_FORK && w.heard[0].child == &child.u && w.heard[0].child_mm == mm);
	CHECK_EQ(child.u.refs, 4);
	CHECK_EQ(space_peek(&s, mm, page(0)), 0);
	CHECK_EQ(child.faults, 1);
	CHECK_EQ(space_peek(&s, mm, page(5)), 0);
	CHECK_EQ(child.faults, 1);
	CHECK_EQ(w.faults, 0);
	CHECK_OK(kmm_munmap(mm, kmm_uva((kmm_word)page(2)), SPACE_PAGE));
	CHECK(heard(&child, 0, KMM_USERFAULT_UNMAP, 2, 1) && w.nr == 1);
	hosted_put_space(s.m, mm);
	CHECK_EQ(child.u.refs, 1);
	kmm_userfault_put(&child.u);
	CHECK_EQ(child.released, 1);
	w.refuses_fork = true;
	CHECK_EQ(kmm_mm_fork(s.mm, &mm), KMM_ENOMEM);
	CHECK_EQ(w.nr, 1);
	CALL(stop(&s, &w));
}

static unsigned turn;

/* Each is another call, with notes of the same watcher. */
static int deed(struct space *s)
{
	struct kmm_mm *mm;
	struct kmm_uva to;
	int err;

	switch (turn) {
	case 0:
		return space_unmap(s, page(0), 1);
	case 1:
		return space_map(s, page(2), 1, SPACE_RW, SPACE_ANON);
	case 2:
		return kmm_status_errno(kmm_madvise(s->mm, kmm_uva((kmm_word)page(4)), SPACE_PAGE, KMM_MADV_DONTNEED));
	case 3:
		return kmm_status_errno(kmm_mremap(s->mm, kmm_uva((kmm_word)page(6)), SPACE_PAGE, SPACE_PAGE, 3, kmm_uva((kmm_word)page(30)), &to));
	default:
		err = kmm_status_errno(kmm_mm_fork(s->mm, &mm));
		if (!err)
			hosted_put_space(s->m, mm);
		return err;
	}
}

KMM_TEST(notes_fail_whole)
{
	struct watcher w, child;
	struct space s;

	for (turn = 0; turn < 5; turn++) {
		CALL(start(&s, &w, &child, ALL));
		CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(watch(&s, &w, 0, 8), 0);
		CALL(space_fail_each(&s, deed, false));
		CHECK(w.nr >= 1);
		CALL(stop(&s, &w));
	}
}
