/* SPDX-License-Identifier: MIT */
/*
 * Watched areas: which accesses stop, what their watcher provides, and what becomes of the areas. The watcher of these tests
 * resolves a fault before it answers, as another thread would.
 */
#include "harness/space.h"

#define AT 0x20000000ull
enum { MISSING = KMM_USERFAULT_MISSING, MINOR = KMM_USERFAULT_MINOR };

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

struct watcher {
	struct kmm_userfault u; /* first */
	enum { FILL, ZERO, CONTINUE, REFUSE } how;
	enum kmm_status result;  /* of what it did */
	unsigned nr, why;
	uint64_t last;
	int released;
	uint8_t content[SPACE_PAGE];
};

static enum kmm_status on_fault(struct kmm_userfault *u, struct kmm_mm *mm, struct kmm_uva addr, enum kmm_access access, unsigned why)
{
	struct watcher *w = (struct watcher *)u;

	(void)access;
	w->nr++;
	w->why = why;
	w->last = addr.v;
	addr.v &= ~(kmm_word)(SPACE_PAGE - 1);
	if (!kmm_userfault_waits(mm, addr, why))
		return KMM_EIO;
	if (w->how == REFUSE)
		return KMM_ERANGE;
	w->result = w->how == CONTINUE ? kmm_userfault_continue(mm, addr) :
					 kmm_userfault_fill(mm, addr, w->how == FILL ? w->content : NULL);
	return kmm_userfault_waits(mm, addr, why) ? KMM_EFAULT : KMM_OK;
}

static void on_release(struct kmm_userfault *u) { ((struct watcher *)u)->released++; }
static const struct kmm_userfault_ops ops = { .fault = on_fault, .release = on_release };

static void start(struct space *s, struct watcher *w, enum kmm_format_id format)
{
	CALL(space_start(s, format));
	*w = (struct watcher){ .how = FILL };
	memset(w->content, 0x5a, sizeof(w->content));
	kmm_userfault_init(&w->u, &ops);
}

static void stop(struct space *s, struct watcher *w)
{
	if (s->mm)
		hosted_put_space(s->m, s->mm);
	s->mm = NULL;
	CHECK_EQ(w->released, 0);
	kmm_userfault_put(&w->u);
	CHECK_EQ(w->released, 1);
	CALL(space_stop(s));
}

static int watch(struct space *s, struct watcher *w, uint64_t at, unsigned pages, unsigned modes)
{
	return kmm_status_errno(kmm_userfault_register(&w->u, s->mm, kmm_uva((kmm_word)at), pages * SPACE_PAGE, modes));
}

static int unwatch(struct space *s, uint64_t at, unsigned pages)
{
	return kmm_status_errno(kmm_userfault_unregister(s->mm, kmm_uva((kmm_word)at), pages * SPACE_PAGE));
}

static void check_private(enum kmm_format_id format)
{
	struct watcher w;
	struct space s;

	CALL(start(&s, &w, format));
	CHECK_EQ(space_map(&s, page(0), 6, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(1), 1), 0);
	CHECK_EQ(watch(&s, &w, page(1), 3, MISSING), 0);
	CHECK_EQ(space_areas(&s), 3);
	CHECK_EQ(space_peek(&s, s.mm, page(0)), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(1)), 1); /* is there */
	CHECK_EQ(w.nr, 0);
	CHECK_EQ(space_peek(&s, s.mm, page(2) + 77), 0x5a);
	CHECK_EQ(w.nr, 1);
	CHECK_EQ(w.last, page(2) + 77);
	CHECK_EQ(w.why, MISSING);
	CHECK_EQ(space_poke(&s, s.mm, page(2), 3), 0);
	CHECK_EQ(w.nr, 1);
	w.how = ZERO;
	CHECK_EQ(space_poke(&s, s.mm, page(3), 4), 0); /* copies the zero page it was given */
	CHECK_EQ(w.nr, 2);
	CHECK_EQ(kmm_userfault_fill(s.mm, kmm_uva(page(3)), NULL), KMM_EEXIST);
	CHECK_EQ(kmm_userfault_fill(s.mm, kmm_uva(page(4)), NULL), KMM_ENOENT);
	CHECK_EQ(kmm_userfault_fill(s.mm, kmm_uva(page(2) + 4), NULL), KMM_EINVAL);
	CHECK_EQ(kmm_userfault_continue(s.mm, kmm_uva(page(2))), KMM_EINVAL);
	CHECK_OK(kmm_madvise(s.mm, kmm_uva(page(2)), SPACE_PAGE, KMM_MADV_DONTNEED));
	w.how = REFUSE;
	CHECK_EQ(space_peek(&s, s.mm, page(2)), -7);
	CALL(space_audit(&s));
	CHECK_EQ(unwatch(&s, page(0), 6), 0);
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(space_peek(&s, s.mm, page(2)), 0);
	CALL(stop(&s, &w));
}

KMM_TEST(userfault_private)
{
	CALL(check_private(KMM_I386));
	CALL(check_private(KMM_I386_PAE));
	CALL(check_private(KMM_X86_64));
}

KMM_TEST(userfault_shared)
{
	struct kmm_file file;
	struct watcher w;
	struct space s;

	CALL(start(&s, &w, KMM_X86_64));
	kmm_file_init(&file, s.k, 4 * SPACE_PAGE, "/shm");
	file.is_shared_memory = true;
	CHECK_EQ(space_map_file(&s, page(0), 5, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
	CHECK_EQ(space_map_file(&s, page(8), 5, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
	CHECK_EQ(space_map_file(&s, page(16), 5, SPACE_RW, KMM_MAP_PRIVATE, &file, 0), 0);
	CHECK_EQ(watch(&s, &w, page(0), 5, MISSING), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(8), 9), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(0)), 9); /* the file has it */
	CHECK_EQ(w.nr, 0);
	CHECK_EQ(space_peek(&s, s.mm, page(1)), 0x5a);
	CHECK_EQ(space_peek(&s, s.mm, page(9)), 0x5a);
	CHECK_EQ(w.nr, 1);
	CHECK_EQ(space_peek(&s, s.mm, page(4)), -7); /* beyond the end: as ever */
	CHECK_EQ(kmm_userfault_fill(s.mm, kmm_uva(page(4)), NULL), KMM_EFAULT);
	CHECK_EQ(w.nr, 1);
	CHECK_EQ(watch(&s, &w, page(0), 5, MINOR | MISSING), 0);
	w.how = CONTINUE;
	CHECK_EQ(space_poke(&s, s.mm, page(10), 3), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(2)), 3);
	CHECK_EQ(w.why, MINOR);
	CHECK_EQ(w.result, KMM_OK);
	CHECK_EQ(kmm_userfault_continue(s.mm, kmm_uva(page(2))), KMM_EEXIST);
	CHECK_EQ(kmm_userfault_continue(s.mm, kmm_uva(page(3))), KMM_EFAULT);
	w.how = ZERO;
	CHECK_EQ(watch(&s, &w, page(16), 5, MISSING), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(19), 1), 0); /* a private page, and none in the file */
	CHECK_EQ(file.nr_pages, 3);
	CALL(space_audit(&s));
	hosted_put_space(s.m, s.mm);
	s.mm = NULL;
	kmm_backing_put(&file.backing);
	CALL(stop(&s, &w));
}

/* The watcher goes with cuts and growth, not with a child or to another place. */
KMM_TEST(userfault_areas)
{
	struct kmm_mm *child, *parent;
	struct kmm_uva out;
	struct watcher w, other;
	struct kmm_file file;
	struct space s;

	CALL(start(&s, &w, KMM_X86_64));
	other = (struct watcher){ .how = FILL };
	kmm_userfault_init(&other.u, &ops);
	parent = s.mm;
	kmm_file_init(&file, s.k, SPACE_PAGE, "/f");
	CHECK_EQ(space_map(&s, page(0), 8, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(watch(&s, &w, page(0), 4, MISSING), 0);
	CHECK_EQ(watch(&s, &w, page(4), 4, MISSING), 0);
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(watch(&s, &other, page(0), 1, MISSING), 16);
	CHECK_EQ(watch(&s, &w, page(100), 1, MISSING), 12);
	CHECK_EQ(watch(&s, &w, page(0), 0, MISSING), 22);
	CHECK_EQ(watch(&s, &w, page(0), 1, MINOR), 22); /* no shared memory */
	CHECK_EQ(space_protect(&s, page(2), 1, SPACE_R), 0);
	CHECK_EQ(space_areas(&s), 3);
	CHECK_EQ(space_protect(&s, page(2), 1, SPACE_RW), 0);
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(space_peek(&s, s.mm, page(2)), 0x5a);
	CHECK_OK(kmm_mm_fork(parent, &child));
	CHECK_EQ(space_peek(&s, child, page(5)), 0);
	hosted_put_space(s.m, child);
	CHECK_EQ(w.nr, 1);
	CHECK_OK(kmm_mremap(s.mm, kmm_uva(page(6)), 2 * SPACE_PAGE, 2 * SPACE_PAGE, KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED, kmm_uva(page(20)), &out));
	CHECK_EQ(space_peek(&s, s.mm, page(20)), 0);
	CHECK_EQ(w.nr, 1);
	CHECK_EQ(space_map_file(&s, page(30), 1, SPACE_R, KMM_MAP_PRIVATE, &file, 0), 0);
	CHECK_EQ(watch(&s, &w, page(30), 1, MISSING), 22); /* of a file */
	CHECK_EQ(w.u.refs, 2);
	kmm_userfault_forget(&w.u, s.mm);
	CHECK_EQ(w.u.refs, 1);
	CHECK_EQ(space_peek(&s, s.mm, page(0)), 0);
	CHECK_EQ(w.nr, 1);
	CALL(space_audit(&s));
	CHECK_EQ(watch(&s, &other, page(0), 2, MISSING), 0);
	CHECK_EQ(space_unmap(&s, page(0), 2), 0);
	CHECK_EQ(other.u.refs, 1);
	hosted_put_space(s.m, s.mm);
	s.mm = NULL;
	kmm_backing_put(&file.backing);
	CALL(stop(&s, &w));
}

static struct watcher *the_watcher;

static int watch_op(struct space *s)
{
	return watch(s, the_watcher, page(1), 1, MISSING);
}

static int fill_op(struct space *s)
{
	return kmm_status_errno(kmm_userfault_fill(s->mm, kmm_uva(page(1)), the_watcher->content));
}

KMM_TEST(userfault_fails_whole)
{
	struct kmm_page *p;
	struct watcher w;
	kmm_word done;
	struct space s;

	CALL(start(&s, &w, KMM_X86_64));
	the_watcher = &w;
	CHECK_EQ(space_map(&s, page(0), 3, SPACE_RW, SPACE_ANON), 0);
	CALL(space_fail_each(&s, watch_op, true));
	CALL(space_fail_each(&s, fill_op, false));
	CHECK_OK(kmm_madvise(s.mm, kmm_uva(page(1)), SPACE_PAGE, KMM_MADV_DONTNEED));
	CHECK_OK(kmm_pin_user(s.mm, kmm_uva(page(1)), 1, KMM_PIN_WRITE, &p, &done)); /* stops like any access */
	CHECK_EQ(w.nr, 1);
	kmm_unpin_user(s.k, &p, 1, true);
	CHECK_EQ(space_peek(&s, s.mm, page(1)), 0x5a);
	CALL(stop(&s, &w));
}
