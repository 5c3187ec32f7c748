/* SPDX-License-Identifier: MIT */
/*
 * Faults against the calls that change what they stand on.
 */
#include "ground.h"

enum { RW = KMM_PROT_READ | KMM_PROT_WRITE, R = KMM_PROT_READ, ANON = KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS };
enum { FIRST, SECOND, THIRD, FOURTH }; /* notes */

static struct kmm_mm *mm, *child;

static void map_at(struct kmm_mm *in, uint64_t at, unsigned pages, unsigned prot)
{
	struct kmm_uva out;

	SCHED_CHECK(kmm_mmap(in, kmm_uva((kmm_word)at), pages * PAGE, prot, ANON | KMM_MAP_FIXED, NULL, 0, &out) == KMM_OK);
}

static void note(unsigned i, int value)
{
	ground_notes()[i] = value;
}

static int noted(unsigned i)
{
	return ground_notes()[i];
}

/* A space with two pages of which the first was written (7) on CPU 0 and read on CPU 1; CPUs 0 and 1 run it. */
static void two_pages(void)
{
	static const struct ground_config config = { .format = KMM_X86_64, .ram_mib = 8 };

	ground_boot(&config);
	ground_warm_up();
	SCHED_CHECK(kmm_mm_create(ground(), &mm) == KMM_OK);
	map_at(mm, HERE, 2, RW);
	ground_run(mm);
	SCHED_CHECK(ground_poke(mm, HERE, 7) == 0);
	ground_play(1);
	ground_run(mm);
	SCHED_CHECK(ground_peek(mm, HERE) == 7);
	ground_play(0);
	ground_keep();
}

static void leave_and_judge(struct kmm_mm *other)
{
	ground_judge_spaces();
	for (unsigned cpu = 0; cpu < SCHED_THREADS; cpu++) {
		ground_play(cpu);
		ground_run(NULL);
	}
	ground_play(0);
	if (other)
		kmm_mm_put(other);
	kmm_mm_put(mm);
	ground_judge();
}

/* ---- fault x munmap ---- */

static void touch_both(void)
{
	note(FIRST, ground_poke(mm, HERE + PAGE, 1));
	note(SECOND, ground_peek(mm, HERE));
}

static void unmap_both(void)
{
	SCHED_CHECK(kmm_munmap(mm, kmm_uva(HERE), 2 * PAGE) == KMM_OK);
}

static void all_is_unmapped(void)
{
	SCHED_CHECK(noted(FIRST) == 0 || noted(FIRST) == -11);
	SCHED_CHECK(noted(SECOND) == 7 || noted(SECOND) == -11);
	SCHED_CHECK(ground_peek(mm, HERE) == -11);
	leave_and_judge(NULL);
}

SCHED_CASE(fault_munmap, .threads = 2, .setup = two_pages, .body = { touch_both, unmap_both }, .finish = all_is_unmapped);

/* ---- fault x fork ---- */

static void write_old_and_new(void)
{
	SCHED_CHECK(ground_poke(mm, HERE, 8) == 0);
	SCHED_CHECK(ground_poke(mm, HERE + PAGE, 9) == 0);
}

static void fork_it(void)
{
	struct kmm_mm *made;

	SCHED_CHECK(kmm_mm_fork(mm, &made) == KMM_OK);
	ground_run(made);
	note(FIRST, ground_peek(made, HERE));
	note(SECOND, ground_peek(made, HERE + PAGE));
	note(THIRD, ground_peek(made, HERE));
	ground_run(mm);
	SCHED_CHECK(ground_poke(mm, HERE, 20) == 0);
	ground_run(made);
	note(FOURTH, ground_peek(made, HERE));
	ground_run(NULL);
	kmm_mm_put(made);
}

/* What the child saw is what was at one moment, and stays. The parent wrote page 0 first. */
static void child_was_frozen(void)
{
	SCHED_CHECK(noted(FIRST) == 7 || noted(FIRST) == 8);
	SCHED_CHECK(noted(SECOND) == 0 || noted(SECOND) == 9);
	SCHED_CHECK(noted(SECOND) == 0 || noted(FIRST) == 8);
	SCHED_CHECK(noted(THIRD) == noted(FIRST) && noted(FOURTH) == noted(FIRST));
	SCHED_CHECK(ground_peek(mm, HERE + PAGE) == 9);
	leave_and_judge(NULL);
}

SCHED_CASE(fault_fork, .threads = 2, .setup = two_pages, .body = { write_old_and_new, fork_it }, .finish = child_was_frozen);

/* ---- fork x munmap ---- */

static void fork_and_look(void)
{
	struct kmm_mm *made;

	SCHED_CHECK(kmm_mm_fork(mm, &made) == KMM_OK);
	ground_run(made);
	note(FIRST, ground_peek(made, HERE));
	note(SECOND, ground_poke(made, HERE, 1));
	ground_run(NULL);
	kmm_mm_put(made);
}

static void child_has_all_or_nothing(void)
{
	SCHED_CHECK((noted(FIRST) == 7 && noted(SECOND) == 0) || (noted(FIRST) == -11 && noted(SECOND) == -11));
	leave_and_judge(NULL);
}

SCHED_CASE(fork_munmap, .threads = 2, .setup = two_pages, .body = { fork_and_look, unmap_both },
	   .finish = child_has_all_or_nothing);

/* ---- shootdown x reuse of the frame ---- */

static void read_twice(void)
{
	note(FIRST, ground_peek(mm, HERE));
	note(SECOND, ground_peek(mm, HERE));
}

static void unmap_and_reuse(void)
{
	SCHED_CHECK(kmm_munmap(mm, kmm_uva(HERE), PAGE) == KMM_OK);
	map_at(mm, HERE + 16 * PAGE, 1, RW);
	SCHED_CHECK(ground_poke(mm, HERE + 16 * PAGE, 99) == 0);
}

static void never_saw_the_new_owner(void)
{
	SCHED_CHECK(noted(FIRST) == 7 || noted(FIRST) == -11);
	SCHED_CHECK(noted(SECOND) == 7 || noted(SECOND) == -11);
	leave_and_judge(NULL);
}

SCHED_CASE(shootdown_reuse, .threads = 2, .setup = two_pages, .body = { unmap_and_reuse, read_twice },
	   .finish = never_saw_the_new_owner);

/* ---- copy on write x copy on write x exit ---- */

static struct kmm_mm *grandchild;

static void three_generations(void)
{
	static const struct ground_config config = { .format = KMM_X86_64, .ram_mib = 8 };

	ground_boot(&config);
	ground_warm_up();
	SCHED_CHECK(kmm_mm_create(ground(), &mm) == KMM_OK);
	map_at(mm, HERE, 1, RW);
	ground_run(mm);
	SCHED_CHECK(ground_poke(mm, HERE, 7) == 0);
	SCHED_CHECK(kmm_mm_fork(mm, &child) == KMM_OK);
	SCHED_CHECK(kmm_mm_fork(mm, &grandchild) == KMM_OK);
	ground_play(1);
	ground_run(child);
	SCHED_CHECK(ground_peek(child, HERE) == 7);
	ground_play(0);
	ground_keep();
}

static void parent_writes(void)
{
	SCHED_CHECK(ground_poke(mm, HERE, 8) == 0);
	SCHED_CHECK(ground_peek(mm, HERE) == 8);
}

static void child_writes(void)
{
	SCHED_CHECK(ground_peek(child, HERE) == 7);
	SCHED_CHECK(ground_poke(child, HERE, 9) == 0);
	SCHED_CHECK(ground_peek(child, HERE) == 9);
}

static void grandchild_exits(void)
{
	kmm_mm_put(grandchild);
}

static void both_have_their_own(void)
{
	SCHED_CHECK(ground_peek(mm, HERE) == 8);
	ground_play(1);
	SCHED_CHECK(ground_peek(child, HERE) == 9);
	leave_and_judge(child);
}

SCHED_CASE(cow_cow_exit, .threads = 3, .setup = three_generations,
	   .body = { parent_writes, child_writes, grandchild_exits }, .finish = both_have_their_own);

/* ---- mprotect x fault ---- */

static void forbid_and_look(void)
{
	SCHED_CHECK(kmm_mprotect(mm, kmm_uva(HERE), PAGE, R) == KMM_OK);
	note(FIRST, ground_peek(mm, HERE));
	note(SECOND, ground_peek(mm, HERE));
}

static void write_twice(void)
{
	note(THIRD, ground_poke(mm, HERE, 8));
	note(FOURTH, ground_poke(mm, HERE, 9));
}

/* Nothing is written once the call has returned. */
static void was_forbidden(void)
{
	SCHED_CHECK(noted(FIRST) == noted(SECOND));
	SCHED_CHECK(noted(THIRD) == 0 || noted(FOURTH) == -11);
	SCHED_CHECK(ground_peek(mm, HERE) == noted(FIRST));
	SCHED_CHECK(ground_poke(mm, HERE, 1) == -11);
	leave_and_judge(NULL);
}

SCHED_CASE(mprotect_fault, .threads = 2, .setup = two_pages, .body = { forbid_and_look, write_twice },
	   .finish = was_forbidden);
