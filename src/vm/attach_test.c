/* SPDX-License-Identifier: MIT */
/*
 * Backings that count their areas (struct kmm_area_ops), taking attaches away, and promises of files.
 */
#include "harness/space.h"

#define AT 0x20000000ull

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

struct counted {
	struct kmm_file file; /* first */
	int areas;
};

static void opened(struct kmm_backing *backing) { ((struct counted *)backing)->areas++; }
static void closed(struct kmm_backing *backing) { ((struct counted *)backing)->areas--; }
static const struct kmm_area_ops count_ops = { .opened = opened, .closed = closed };

static void start(struct space *s, struct counted *c, unsigned pages)
{
	CALL(space_start(s, KMM_X86_64));
	kmm_file_init(&c->file, s->k, pages * SPACE_PAGE, "/counted");
	c->file.is_shared_memory = true;
	c->file.backing.areas = &count_ops;
	c->areas = 0;
}

static void stop(struct space *s, struct counted *c)
{
	if (s->mm)
		hosted_put_space(s->m, s->mm);
	s->mm = NULL;
	CHECK_EQ(c->areas, 0);
	CHECK_EQ(c->file.backing.refs, 1);
	kmm_backing_put(&c->file.backing);
	CALL(space_stop(s));
}

KMM_TEST(attach_counts_areas)
{
	struct kmm_mm *child;
	struct counted c;
	struct space s;

	CALL(start(&s, &c, 8));
	CHECK_EQ(space_map_file(&s, page(0), 4, SPACE_RW, KMM_MAP_SHARED, &c.file, 0), 0);
	CHECK_EQ(space_map_file(&s, page(4), 4, SPACE_RW, KMM_MAP_SHARED, &c.file, 4), 0);
	CHECK_EQ(c.areas, 2); /* such areas stay apart */
	CHECK_EQ(space_protect(&s, page(1), 1, SPACE_R), 0);
	CHECK_EQ(c.areas, 4);
	CHECK_EQ(space_protect(&s, page(1), 1, SPACE_RW), 0);
	CHECK_EQ(c.areas, 4);
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_EQ(c.areas, 8);
	hosted_put_space(s.m, child);
	CHECK_EQ(c.areas, 4);
	CHECK_EQ(space_unmap(&s, page(0), 3), 0);
	CHECK_EQ(c.areas, 2);
	CALL(stop(&s, &c));
}

/* One page a fault, though its neighbours are there. */
KMM_TEST(attach_maps_single_pages)
{
	struct kmm_mm_stats stats;
	struct counted c;
	struct space s;

	CALL(start(&s, &c, 4));
	CHECK_EQ(space_map_file(&s, page(0), 4, SPACE_RW, KMM_MAP_SHARED, &c.file, 0), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(2), 9), 0);
	CHECK_EQ(space_map_file(&s, page(4), 4, SPACE_RW, KMM_MAP_SHARED, &c.file, 0), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(5)), 0);
	kmm_mm_stats(s.mm, &stats);
	CHECK_EQ(stats.rss_shmem, 2);
	CALL(stop(&s, &c));
}

/* What grew, moved and was cut goes by where it would begin; another mapping of the same content stays. */
KMM_TEST(attach_goes_by_its_first_page)
{
	struct kmm_uva out;
	struct counted c;
	struct space s;

	CALL(start(&s, &c, 4));
	CHECK_EQ(space_map_file(&s, page(0), 2, SPACE_RW, KMM_MAP_SHARED, &c.file, 0), 0);
	CHECK_OK(kmm_mremap(s.mm, kmm_uva(page(0)), 2 * SPACE_PAGE, 4 * SPACE_PAGE, 0, kmm_uva(0), &out));
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(space_poke(&s, s.mm, page(3), 9), 0);
	CHECK_EQ(space_unmap(&s, page(0), 1), 0);
	CHECK_EQ(space_unmap(&s, page(2), 1), 0);
	CHECK_EQ(space_map_file(&s, page(6), 1, SPACE_RW, KMM_MAP_SHARED, &c.file, 3), 0);
	CHECK_EQ(kmm_munmap_attached(s.mm, kmm_uva(page(1)), &count_ops), KMM_EINVAL);
	CHECK_EQ(kmm_munmap_attached(s.mm, kmm_uva(page(0) + 1), &count_ops), KMM_EINVAL);
	CHECK_OK(kmm_munmap_attached(s.mm, kmm_uva(page(0)), &count_ops));
	CHECK_EQ(space_areas(&s), 1);
	CHECK_EQ(space_peek(&s, s.mm, page(6)), 9);
	CHECK_OK(kmm_munmap_attached(s.mm, kmm_uva(page(3)), &count_ops));
	CHECK_EQ(space_areas(&s), 0);
	CALL(stop(&s, &c));
}

/* A failure leaves neither an area nor a count. */
KMM_TEST(attach_fails_whole)
{
	struct kmm_mm *child = NULL;
	struct counted c;
	struct space s;
	bool done = false;

	CALL(start(&s, &c, 4));
	for (uint64_t n = 1; !done && n < 100; n++) {
		kmm_fail_nth(s.k, n);
		done = space_map_file(&s, page(0), 4, SPACE_RW, KMM_MAP_SHARED, &c.file, 0) == 0 && kmm_mm_fork(s.mm, &child) == KMM_OK;
		kmm_fail_nth(s.k, 0);
		CHECK_EQ(c.areas, (int)space_areas(&s) + (child != NULL));
		if (!done && space_areas(&s))
			CHECK_EQ(space_unmap(&s, page(0), 4), 0);
	}
	CHECK(done && child && c.areas == 2);
	hosted_put_space(s.m, child);
	CALL(stop(&s, &c));
}

KMM_TEST(attach_promises)
{
	struct kmm_overcommit before, now;
	struct counted c, huge;
	struct space s;

	CALL(start(&s, &c, 10));
	kmm_overcommit(s.k, &before);
	CHECK_OK(kmm_file_commit(s.mm, &c.file));
	kmm_overcommit(s.k, &now);
	CHECK_EQ(now.committed_pages, before.committed_pages + 10);
	CHECK_OK(kmm_set_overcommit(s.k, KMM_OVERCOMMIT_NEVER, 50));
	kmm_file_init(&huge.file, s.k, (uint64_t)before.limit_pages << 12, "/huge");
	CHECK_EQ(kmm_file_commit(s.mm, &huge.file), KMM_ENOMEM);
	kmm_backing_put(&huge.file.backing);
	kmm_backing_get(&c.file.backing);
	kmm_backing_put(&c.file.backing);
	kmm_overcommit(s.k, &now);
	CHECK_EQ(now.committed_pages, before.committed_pages + 10);
	CALL(stop(&s, &c));
}
