/* SPDX-License-Identifier: MIT */
/*
 * Groups: what is charged to whom, as pages come, are shared, move between frames and go; the tree; members that come and go.
 * (What happens at the limits: reclaim/groups_test.c.)
 */
#include "group/group.h"

#include "harness/sites.h"
#include "harness/space.h"
#include "kmm/compact.h"

#define AT 0x20000000ull

static uint64_t at(uint64_t n) { return AT + n * SPACE_PAGE; }

static kmm_word pages_of(struct kmm_group *g)
{
	struct kmm_group_info info;

	kmm_group_info(g, &info);
	return info.pages;
}

static void make(struct space *s, struct kmm_group *parent, struct kmm_group **out)
{
	CHECK_OK(kmm_group_create(s->k, parent, out));
}

static void touch(struct space *s, struct kmm_mm *mm, unsigned first, unsigned nr)
{
	for (unsigned i = first; i < first + nr; i++)
		CHECK_EQ(space_poke(s, mm, at(i), (uint8_t)(i + 1)), 0);
}

/* A space in a new group. */
static void start(struct space *s, enum kmm_format_id format, struct kmm_group **out)
{
	CALL(space_start(s, format));
	CALL(make(s, NULL, out));
	CHECK_OK(kmm_mm_set_group(s->mm, *out));
}

static void stop(struct space *s, struct kmm_group *g)
{
	CALL(space_audit(s));
	hosted_put_space(s->m, s->mm);
	s->mm = NULL;
	CHECK_EQ(pages_of(g), 0);
	CHECK_OK(kmm_group_remove(g));
	CHECK_EQ(s->k->groups->nr, 0);
	CALL(space_stop(s));
}

/* Each private page once, by whoever touched it first; shared by fork it stays there; copied it is charged again. */
KMM_TEST(group_charges_private_pages)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_group *g, *other;
		struct kmm_mm *child;
		struct space s;

		CALL(start(&s, space_formats[f], &g));
		CHECK_EQ(space_map(&s, at(0), 200, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(pages_of(g), 0);
		CALL(touch(&s, s.mm, 0, 100));
		CHECK_EQ(pages_of(g), 100);
		CHECK_EQ(space_peek(&s, s.mm, at(150)), 0); /* the zero page is nobody's */
		CHECK_EQ(pages_of(g), 100);
		CHECK_OK(kmm_mm_fork(s.mm, &child));
		CHECK(kmm_mm_group(child) == g);
		CHECK_EQ(pages_of(g), 100);
		CALL(make(&s, NULL, &other));
		CHECK_OK(kmm_mm_set_group(child, other));
		CALL(touch(&s, child, 0, 10));
		CHECK_EQ(pages_of(other), 10);
		CHECK_EQ(pages_of(g), 100);
		CALL(space_audit(&s));
		CHECK_EQ(space_unmap(&s, at(0), 50), 0); /* the child still has 40 of these */
		CHECK_EQ(pages_of(g), 90);
		hosted_put_space(s.m, child);
		CHECK_EQ(pages_of(other), 0);
		CHECK_EQ(pages_of(g), 50);
		CHECK_OK(kmm_group_remove(other));
		CALL(stop(&s, g));
	}
}

/* A file's page is charged to who made it come in, the others map it for nothing. */
KMM_TEST(group_charges_pages_of_files)
{
	struct kmm_group *g, *other;
	struct kmm_group_info info;
	struct kmm_file file;
	struct kmm_mm *child;
	struct space s;
	char byte = 7;
	size_t done;

	CALL(start(&s, KMM_X86_64, &g));
	CALL(make(&s, NULL, &other));
	kmm_file_init(&file, s.k, 32 * SPACE_PAGE, "/file");
	CHECK_EQ(space_map_file(&s, at(0), 32, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
	CALL(touch(&s, s.mm, 0, 8));
	CHECK_EQ(pages_of(g), 8);
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_OK(kmm_mm_set_group(child, other));
	CALL(touch(&s, child, 0, 16));
	CHECK_EQ(pages_of(g), 8);
	CHECK_EQ(pages_of(other), 8);
	hosted_run_space(s.m, s.mm); /* by write(2) */
	CHECK_OK(kmm_file_write(&file, 20 * SPACE_PAGE, &byte, 1, &done));
	kmm_group_info(g, &info);
	CHECK_EQ(info.file, 9);
	CHECK_EQ(info.anon, 0);
	CALL(space_audit(&s));
	CHECK_OK(kmm_file_truncate(&file, 0));
	CHECK_EQ(pages_of(g), 0);
	CHECK_EQ(pages_of(other), 0);
	hosted_put_space(s.m, child);
	CHECK_OK(kmm_group_remove(other));
	CHECK_EQ(space_unmap(&s, at(0), 32), 0);
	kmm_backing_put(&file.backing);
	CALL(stop(&s, g));
}

/* Shared anonymous memory counts as shmem, and as file, as on Linux. */
KMM_TEST(group_charges_shared_memory)
{
	struct kmm_group_info info;
	struct kmm_group *g;
	struct space s;

	CALL(start(&s, KMM_I386_PAE, &g));
	CHECK_EQ(space_map(&s, at(0), 20, SPACE_RW, SPACE_SHARED), 0);
	CHECK_EQ(space_map(&s, at(100), 20, SPACE_RW, SPACE_ANON), 0);
	CALL(touch(&s, s.mm, 0, 12));
	CALL(touch(&s, s.mm, 100, 3));
	kmm_group_info(g, &info);
	CHECK_EQ(info.shmem, 12);
	CHECK_EQ(info.file, 12);
	CHECK_EQ(info.anon, 3);
	CHECK_EQ(info.pages, 15);
	CHECK_EQ(space_unmap(&s, at(0), 20), 0);
	kmm_group_info(g, &info);
	CHECK_EQ(info.shmem, 0);
	CHECK_EQ(info.pages, 3);
	CALL(stop(&s, g));
}

/* A limit above binds those below; each group counts what is below it, exactly, whatever processors hold in advance. */
KMM_TEST(group_tree_counts_and_binds)
{
	struct kmm_group *top, *left, *right;
	struct kmm_mm *child;
	struct space s;

	CALL(start(&s, KMM_X86_64, &top));
	CALL(make(&s, top, &left));
	CALL(make(&s, top, &right));
	CHECK(kmm_group_parent(left) == top && kmm_group_parent(top) == NULL);
	CHECK_OK(kmm_mm_set_group(s.mm, left));
	CHECK_EQ(space_map(&s, at(0), 400, SPACE_RW, SPACE_ANON), 0);
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_OK(kmm_mm_set_group(child, right));
	CALL(touch(&s, s.mm, 0, 70));
	CALL(touch(&s, child, 100, 33));
	CHECK_EQ(pages_of(left), 70);
	CHECK_EQ(pages_of(right), 33);
	CHECK_EQ(pages_of(top), 103);
	CALL(space_audit(&s));
	kmm_group_set(top, KMM_GROUP_MAX, 110);
	CALL(touch(&s, s.mm, 200, 7));
	CHECK_EQ(space_poke(&s, s.mm, at(300), 1), -9); /* no swap: nothing can go */
	CHECK(kmm_mm_oom_group(s.mm) == top);
	CHECK_EQ(space_poke(&s, child, at(300), 1), -9);
	CHECK_EQ(pages_of(top), 110);
	CHECK_EQ(space_unmap(&s, at(0), 1), 0); /* room for one more, wherever */
	CHECK_EQ(space_poke(&s, child, at(300), 1), 0);
	CHECK_EQ(pages_of(right), 34);
	CALL(space_audit(&s));
	CHECK_EQ(kmm_group_remove(top), KMM_EBUSY);
	hosted_put_space(s.m, child);
	CHECK_OK(kmm_group_remove(right));
	CHECK_OK(kmm_mm_set_group(s.mm, top));
	CHECK_OK(kmm_group_remove(left)); /* with pages: they count above */
	CHECK_EQ(pages_of(top), 76);
	CALL(space_audit(&s));
	CALL(stop(&s, top));
}

/* Moved, the space leaves its charges behind; a removed group goes with its last page. */
KMM_TEST(group_moves_and_removals)
{
	struct kmm_group *first, *second, *refused;
	struct space s;

	CALL(start(&s, KMM_X86_64, &first));
	CALL(make(&s, NULL, &second));
	CHECK_EQ(space_map(&s, at(0), 100, SPACE_RW, SPACE_ANON), 0);
	CALL(touch(&s, s.mm, 0, 10));
	CHECK_EQ(kmm_group_remove(first), KMM_EBUSY);
	CHECK_OK(kmm_mm_set_group(s.mm, second));
	CALL(touch(&s, s.mm, 10, 5));
	CHECK_EQ(pages_of(first), 10);
	CHECK_EQ(pages_of(second), 5);
	CHECK_OK(kmm_mm_set_group(s.mm, NULL));
	CALL(touch(&s, s.mm, 20, 5));
	CHECK_EQ(pages_of(second), 5);
	CHECK_OK(kmm_mm_set_group(s.mm, first));
	CHECK_OK(kmm_mm_set_group(s.mm, second));
	CHECK_OK(kmm_group_remove(first));
	CHECK_EQ(kmm_mm_set_group(s.mm, first), KMM_EINVAL); /* it is still there: the space holds it */
	CHECK_EQ(kmm_group_create(s.k, first, &refused), KMM_EINVAL);
	CHECK_EQ(s.k->groups->nr, 2);
	CALL(space_audit(&s));
	CALL(stop(&s, second));
}

static void compact_all(struct space *s)
{
	while (kmm_compact_step(s->k, 1000))
		;
}

/* The content moves to another frame, and the charge with it. */
KMM_TEST(group_charge_moves_with_the_content)
{
	struct kmm_group *g;
	struct space s;

	CALL(start(&s, KMM_X86_64, &g));
	CHECK_EQ(space_map(&s, at(0), 2000, SPACE_RW, SPACE_ANON), 0);
	CALL(touch(&s, s.mm, 0, 2000));
	for (unsigned i = 0; i < 2000; i += 2)
		CHECK_EQ(space_unmap(&s, at(i), 1), 0);
	CALL(compact_all(&s));
	CHECK_EQ(pages_of(g), 1000);
	CALL(stop(&s, g));
}

/* Every place that can fail, once: nothing is charged then that is not there. */
KMM_TEST(group_fail_every_site)
{
	for (uint64_t nth = 1;; nth++) {
		struct kmm_group *g = NULL, *below = NULL;
		struct kmm_mm *child = NULL;
		struct space s;
		const char *site;
		bool ok;

		CALL(space_start(&s, KMM_X86_64));
		CHECK_EQ(space_map(&s, at(0), 100, SPACE_RW, SPACE_ANON), 0);
		CHECK_EQ(space_map(&s, at(100), 10, SPACE_RW, SPACE_SHARED), 0);
		kmm_fail_nth(s.k, nth);
		ok = kmm_group_create(s.k, NULL, &g) == KMM_OK && kmm_group_create(s.k, g, &below) == KMM_OK &&
		     kmm_mm_set_group(s.mm, g) == KMM_OK && space_poke(&s, s.mm, at(0), 1) == 0 &&
		     space_poke(&s, s.mm, at(100), 1) == 0 && kmm_mm_fork(s.mm, &child) == KMM_OK &&
		     kmm_mm_set_group(child, below) == KMM_OK && space_poke(&s, child, at(0), 2) == 0 &&
		     kmm_mm_set_group(child, g) == KMM_OK;
		kmm_fail_count(s.k, &site);
		note_site(site);
		kmm_fail_nth(s.k, 0);
		CALL(space_audit(&s));
		if (child)
			hosted_put_space(s.m, child);
		hosted_put_space(s.m, s.mm);
		s.mm = NULL;
		if (below)
			CHECK_OK(kmm_group_remove(below));
		if (g)
			CHECK_OK(kmm_group_remove(g));
		CHECK(!s.k->groups || s.k->groups->nr == 0);
		CALL(space_stop(&s));
		if (ok) {
			CHECK(nth > 8);
			return;
		}
	}
}

/* Numbers run out, and come back. */
KMM_TEST(group_numbers_end)
{
	static struct kmm_group *made[KMM_MAX_GROUPS];
	struct kmm_group *one;
	struct space s;
	unsigned nr = 0;

	CALL(space_start(&s, KMM_X86_64));
	while (nr < KMM_MAX_GROUPS && kmm_group_create(s.k, NULL, &made[nr]) == KMM_OK)
		nr++;
	CHECK_EQ(nr, KMM_MAX_GROUPS);
	CHECK_EQ(kmm_group_create(s.k, NULL, &one), KMM_EOVERFLOW);
	CHECK_OK(kmm_group_remove(made[7]));
	CHECK_OK(kmm_group_create(s.k, NULL, &made[7]));
	CALL(space_audit(&s));
	while (nr)
		CHECK_OK(kmm_group_remove(made[--nr]));
	CHECK_EQ(s.k->groups->nr, 0);
	CALL(space_stop(&s));
}

static unsigned audit(struct space *s)
{
	struct hosted_text text;
	unsigned bad = kmm_vm_audit(s->k, hosted_text_init(&text));

	hosted_text_free(&text);
	return bad;
}

/* The checker sees a charge that is lost, and one that nobody has. */
KMM_TEST(group_audit_can_fail)
{
	struct kmm_group *g;
	struct space s;

	CALL(start(&s, KMM_X86_64, &g));
	CHECK_EQ(space_map(&s, at(0), 10, SPACE_RW, SPACE_ANON), 0);
	CALL(touch(&s, s.mm, 0, 10));
	g->own[KMM_GROUP_ANON]--;
	CHECK(audit(&s) > 0);
	g->own[KMM_GROUP_ANON]++;
	g->usage++;
	CHECK(audit(&s) > 0);
	g->usage--;
	CHECK_EQ(audit(&s), 0);
	s.k->groups->table[g->id] = NULL;
	s.k->groups->nr--;
	CHECK_EQ(audit(&s), 10);
	s.k->groups->table[g->id] = g;
	s.k->groups->nr++;
	CALL(stop(&s, g));
}
