/* SPDX-License-Identifier: MIT */
/*
 * Copies on behalf of a space whose page tables were damaged: refused up to the damage, by every call that follows tables
 * where no processor did before, and nothing is changed.
 */
#include "harness/space.h"

#define AT 0x20000000ull

/* The entry of level `level` on the way to va gets the topmost bit of an address, or loses it. */
static void damage(struct space *s, uint64_t va, unsigned level)
{
	struct kmm_walk w;
	uint64_t *entry;

	kmm_walk(s->k, kmm_mm_root(s->mm), (kmm_word)va, &w);
	for (unsigned i = 0; i < w.nr_steps; i++) {
		if (w.step[i].level != level)
			continue;
		entry = hosted_phys(s->m, w.step[i].entry_at.v);
		CHECK(entry != NULL);
		*entry ^= (uint64_t)1 << 51;
		return;
	}
	CHECK(!"there is such a level");
}

/* Every way into the second of two pages, of which the first is whole. */
static void all_refused(struct space *s)
{
	const kmm_word last = (kmm_word)(AT + SPACE_PAGE - 2), second = (kmm_word)(AT + SPACE_PAGE);
	char bytes[4] = "xyz";
	struct kmm_page *page;
	uint32_t word = 0;
	kmm_word pinned;
	bool swapped;
	size_t done;

	CHECK_EQ(kmm_copy_in(s->mm, bytes, kmm_uva(second), 4, &done), KMM_EFAULT);
	CHECK_EQ(done, 0);
	CHECK_EQ(kmm_copy_out(s->mm, kmm_uva(second), bytes, 4, &done), KMM_EFAULT);
	CHECK_EQ(done, 0);
	CHECK_EQ(kmm_peek(s->mm, bytes, kmm_uva(second), 4, &done), KMM_EFAULT);
	CHECK_EQ(kmm_poke(s->mm, kmm_uva(second), bytes, 4, &done), KMM_EFAULT);
	CHECK_EQ(kmm_copy_in_string(s->mm, bytes, kmm_uva(last), sizeof(bytes), &done), KMM_EFAULT);
	CHECK_EQ(kmm_clear_user(s->mm, kmm_uva(second), 4), KMM_EFAULT);
	CHECK_EQ(kmm_compare_swap_user(s->mm, kmm_uva(second), &word, 1, &swapped), KMM_EFAULT);
	for (unsigned flags = 0; flags <= KMM_PIN_WRITE; flags++)
		CHECK_EQ(kmm_pin_user(s->mm, kmm_uva(second), 1, flags, &page, &pinned), KMM_EFAULT);
}

static void all_levels(enum kmm_format_id format, unsigned nr_levels)
{
	struct kmm_mm_stats before, after;
	char bytes[4];
	struct space s;

	CALL(space_start(&s, format));
	CHECK_EQ(space_map(&s, AT, 2, SPACE_RW, SPACE_ANON), 0);
	for (unsigned i = 0; i < 2 * SPACE_PAGE; i += (unsigned)SPACE_PAGE / 2)
		CHECK_EQ(space_poke(&s, s.mm, AT + i, 'a'), 0);
	CHECK_EQ(space_poke(&s, s.mm, AT + SPACE_PAGE - 2, 'a') | space_poke(&s, s.mm, AT + SPACE_PAGE - 1, 'b'), 0);
	kmm_mm_stats(s.mm, &before);
	for (unsigned level = 0; level < nr_levels; level++) {
		damage(&s, AT + SPACE_PAGE, level);
		CALL(all_refused(&s));
		damage(&s, AT + SPACE_PAGE, level);
		CALL(space_audit(&s));
		CHECK_OK(kmm_copy_in(s.mm, bytes, kmm_uva((kmm_word)(AT + SPACE_PAGE - 1)), 2, NULL));
		CHECK(bytes[0] == 'b' && bytes[1] == 'a');
	}
	kmm_mm_stats(s.mm, &after);
	CHECK_EQ(after.faults, before.faults);
	CALL(space_stop(&s));
}

KMM_TEST(copy_through_damaged_tables)
{
	CALL(all_levels(KMM_I386_PAE, 2)); /* processors read the root when they load it */
	CALL(all_levels(KMM_X86_64, 4));
	CALL(all_levels(KMM_X86_64_LA57, 5));
}

/* A damaged leaf alone: what lies before it is copied. */
KMM_TEST(copy_up_to_the_damage)
{
	char bytes[8];
	struct space s;
	size_t done;

	CALL(space_start(&s, KMM_I386_PAE));
	CHECK_EQ(space_map(&s, AT, 2, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, AT + SPACE_PAGE, 'a'), 0);
	damage(&s, AT + SPACE_PAGE, 0);
	CHECK_EQ(kmm_copy_in(s.mm, bytes, kmm_uva((kmm_word)(AT + SPACE_PAGE - 3)), 8, &done), KMM_EFAULT);
	CHECK_EQ(done, 3);
	damage(&s, AT + SPACE_PAGE, 0);
	CALL(space_stop(&s));
}
