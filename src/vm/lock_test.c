/* SPDX-License-Identifier: MIT */
#include "vm/lock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "harness/space.h"
#include "pt/walking.h"

#define AREA ((uint64_t)0x10000000)
#define OTHER ((uint64_t)0x20000000)

static void start_cpus(struct space *s, enum kmm_format_id format, unsigned nr_cpus)
{
	struct hosted_config config = { .machine = { .format = format, .nr_cpus = nr_cpus }, .ram_bytes = 1200ull << 20,
					 .threads = true };
	const char *why = "";

	hosted_set_cpu(0);
	if (!kmm_test_ok((int)hosted_boot(&config, &s->m, &why), why, __FILE__, __LINE__))
		return;
	s->k = hosted_kmm(s->m);
	CHECK_OK(kmm_mm_create(s->k, &s->mm));
}

/* ---- areas ---- */

struct writer {
	struct space *s;
	uint64_t at;
	int result;
	atomic_bool started, done;
};

static void *unmap_it(void *arg)
{
	struct writer *w = arg;

	hosted_set_cpu(1);
	atomic_store(&w->started, true);
	w->result = space_unmap(w->s, w->at, 4);
	atomic_store(&w->done, true);
	return NULL;
}

KMM_TEST(area_readers_hold_off_its_writer_only)
{
	static struct space s;
	static struct writer w;
	struct kmm_vma *vma;
	pthread_t thread;

	CALL(start_cpus(&s, KMM_X86_64, 2));
	CHECK_EQ(space_map(&s, AREA, 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_map(&s, OTHER, 4, SPACE_RW, SPACE_ANON), 0);
	vma = kmm_vma_read_at(s.mm, (kmm_word)(AREA + 0x1234));
	CHECK(vma && vma->start == AREA);
	w = (struct writer){ .s = &s, .at = OTHER };
	CHECK_EQ(pthread_create(&thread, NULL, unmap_it, &w), 0);
	pthread_join(thread, NULL);
	CHECK_EQ(w.result, 0);
	w = (struct writer){ .s = &s, .at = AREA };
	CHECK_EQ(pthread_create(&thread, NULL, unmap_it, &w), 0);
	while (!atomic_load(&w.started))
		usleep(100);
	usleep(20000);
	CHECK(!atomic_load(&w.done));
	/* It waits, and has locked the area against who comes now. */
	CHECK(kmm_vma_is_written(vma));
	kmm_vma_read_end(vma);
	pthread_join(thread, NULL);
	CHECK(atomic_load(&w.done));
	CHECK_EQ(w.result, 0);
	CHECK(kmm_vma_read_at(s.mm, (kmm_word)AREA) == NULL);
	CALL(space_stop(&s));
}

KMM_TEST(area_written_is_free_when_the_mutex_is)
{
	static struct space s;
	struct kmm_vma *vma;

	CALL(start_cpus(&s, KMM_I386, 2));
	CHECK_EQ(space_map(&s, AREA, 4, SPACE_RW, SPACE_ANON), 0);
	kmm_mm_lock(s.mm);
	vma = kmm_mm_find(s.mm, (kmm_word)AREA);
	kmm_vma_write(vma);
	CHECK(kmm_vma_is_written(vma));
	CHECK(kmm_vma_read_at(s.mm, (kmm_word)AREA) == NULL);
	kmm_vma_write(vma);
	kmm_mm_unlock(s.mm);
	CHECK(!kmm_vma_is_written(vma));
	CHECK(kmm_vma_read_at(s.mm, (kmm_word)AREA) == vma);
	CHECK_EQ(vma->users, 1);
	kmm_vma_read_end(vma);
	CHECK_EQ(vma->users, 0);
	/* Holes have no area to lock, whatever was found last. */
	CHECK(kmm_vma_read_at(s.mm, (kmm_word)(AREA + 4 * SPACE_PAGE)) == NULL);
	CHECK(kmm_vma_read_at(s.mm, (kmm_word)(AREA - 1)) == NULL);
	CALL(space_stop(&s));
}

KMM_TEST(area_peek_sees_what_find_sees)
{
	static struct space s;
	uint32_t seq;

	CALL(start_cpus(&s, KMM_X86_64, 2));
	for (unsigned i = 0; i < 600; i += 1 + i % 3)
		CHECK_EQ(space_map(&s, AREA + i * SPACE_PAGE, 1, i & 1 ? SPACE_R : SPACE_RW, SPACE_ANON), 0);
	for (unsigned i = 0; i < 610; i++) {
		kmm_word at = (kmm_word)(AREA + i * SPACE_PAGE);

		CHECK(kmm_tree_peek(&s.mm->tree, at) == kmm_tree_find(&s.mm->tree, at));
	}
	seq = s.mm->tree.seq;
	CHECK((seq & 1) == 0);
	CHECK_EQ(space_unmap(&s, AREA, 1), 0);
	CHECK(s.mm->tree.seq != seq && (s.mm->tree.seq & 1) == 0);
	s.mm->tree.seq++; /* as in the middle of a change */
	CHECK(kmm_tree_peek(&s.mm->tree, (kmm_word)(AREA + 3 * SPACE_PAGE)) == NULL);
	s.mm->tree.seq++;
	CALL(space_stop(&s));
}

/* ---- walks ---- */

static void *walk_a_while(void *arg)
{
	struct writer *w = arg;
	unsigned long flags;

	hosted_set_cpu(1);
	flags = kmm_walk_begin(w->s->k, &w->s->mm->space);
	atomic_store(&w->started, true);
	usleep(20000);
	atomic_store(&w->done, true);
	kmm_walk_end(w->s->k, flags);
	return NULL;
}

KMM_TEST(walk_holds_off_what_frees)
{
	static struct space s;
	static struct writer w;
	struct kmm_space elsewhere = { .is_kernel = false };
	pthread_t thread;

	CALL(start_cpus(&s, KMM_X86_64, 2));
	w = (struct writer){ .s = &s };
	CHECK_EQ(pthread_create(&thread, NULL, walk_a_while, &w), 0);
	while (!atomic_load(&w.started))
		usleep(100);
	kmm_walks_wait(s.k, &elsewhere);
	CHECK(!atomic_load(&w.done)); /* another space's walks are not waited for */
	kmm_walks_wait(s.k, &s.mm->space);
	CHECK(atomic_load(&w.done));
	pthread_join(thread, NULL);
	CALL(space_stop(&s));
}

/* ---- tables ---- */

KMM_TEST(table_that_died_is_not_locked)
{
	static struct space s;
	struct kmm_ptref ref;
	unsigned long flags;

	CALL(start_cpus(&s, KMM_I386_PAE, 2));
	CHECK_EQ(space_map(&s, AREA, 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, AREA, 7), 0);
	CHECK(kmm_pt_lookup_lock(s.k, &s.mm->space, (kmm_word)AREA, &ref, &flags));
	CHECK_EQ(ref.table->b, KMM_TABLE_HELD);
	kmm_pt_unlock(s.k, &ref, flags);
	CHECK_EQ(ref.table->b, KMM_TABLE_OPEN);
	ref.table->b = KMM_TABLE_DEAD;
	CHECK(!kmm_table_lock(s.k, ref.table, &flags));
	CHECK(!kmm_pt_lookup_lock(s.k, &s.mm->space, (kmm_word)AREA, &ref, &flags));
	ref.table->b = KMM_TABLE_OPEN;
	CALL(space_stop(&s));
}

static void take_tables_backwards(void *arg)
{
	struct space *s = arg;
	struct kmm_ptref ref;
	unsigned long flags;

	if (kmm_pt_lookup_lock(s->k, &s->mm->space, (kmm_word)AREA, &ref, &flags))
		(void)kmm_spin_lock(s->k, &s->mm->space.lock, KMM_LOCK_PT);
}

static void map_while_reading(void *arg)
{
	struct space *s = arg;

	if (kmm_vma_read_at(s->mm, (kmm_word)AREA))
		(void)space_map(s, OTHER, 1, SPACE_RW, SPACE_ANON);
}

KMM_TEST(space_lock_is_not_taken_within_an_area)
{
	static struct space s;
	const char *what = "";

	if (!KMM_LOCK_ORDER)
		SKIP("the order of locks is an assertion");
	CALL(start_cpus(&s, KMM_X86_64, 1));
	CHECK_EQ(space_map(&s, AREA, 4, SPACE_RW, SPACE_ANON), 0);
	CHECK(hosted_catch_fatal(s.m, map_while_reading, &s, &what));
	CHECK(strstr(what, "lock order: mm taken while holding area") != NULL);
	hosted_shutdown(s.m);
}

KMM_TEST(table_lock_comes_after_the_space_lock)
{
	static struct space s;
	const char *what = "";

	if (!KMM_LOCK_ORDER)
		SKIP("the order of locks is an assertion");
	CALL(start_cpus(&s, KMM_X86_64, 1));
	CHECK_EQ(space_map(&s, AREA, 4, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, AREA, 7), 0);
	CHECK(hosted_catch_fatal(s.m, take_tables_backwards, &s, &what));
	CHECK(strstr(what, "lock order: pt taken while holding table") != NULL);
	/* The locks are as the accident left them: this machine ends here. */
	hosted_shutdown(s.m);
}

/* ---- all at once ---- */

enum { CPUS = 3, ARENA = 48, ROUNDS = 3000 };

/* Each thread has an arena of its own and knows what is in it; arenas lie side by side, so areas of two threads merge
 * and split each other. All write into the common area, each at its own place of every page. */
struct actor {
	struct space *s;
	unsigned cpu;
	uint64_t seed;
	int byte[ARENA]; /* -1: not mapped */
	bool writable[ARENA];
	unsigned bad;
};

static unsigned dice(struct actor *a, unsigned sides)
{
	a->seed = a->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(a->seed >> 33) % sides;
}

static uint64_t place(const struct actor *a, unsigned page) { return AREA + (a->cpu * ARENA + page) * SPACE_PAGE; }

static void map_some(struct actor *a, unsigned first, unsigned nr)
{
	a->bad += space_map(a->s, place(a, first), nr, SPACE_RW, SPACE_ANON) != 0;
	for (unsigned i = first; i < first + nr; i++) {
		a->byte[i] = 0;
		a->writable[i] = true;
	}
}

static void unmap_some(struct actor *a, unsigned first, unsigned nr)
{
	a->bad += space_unmap(a->s, place(a, first), nr) != 0;
	for (unsigned i = first; i < first + nr; i++)
		a->byte[i] = -1;
}

static void protect_some(struct actor *a, unsigned first, unsigned nr)
{
	bool writable = dice(a, 2);

	for (unsigned i = first; i < first + nr; i++)
		if (a->byte[i] < 0)
			return;
	a->bad += space_protect(a->s, place(a, first), nr, writable ? SPACE_RW : SPACE_R) != 0;
	for (unsigned i = first; i < first + nr; i++)
		a->writable[i] = writable;
}

static void touch(struct actor *a, unsigned page)
{
	uint8_t value = (uint8_t)dice(a, 256);
	int wrote = space_poke(a->s, a->s->mm, place(a, page), value);

	a->bad += (wrote == 0) != (a->byte[page] >= 0 && a->writable[page]);
	if (wrote == 0)
		a->byte[page] = value;
	a->bad += a->byte[page] >= 0 && space_peek(a->s, a->s->mm, place(a, page)) != a->byte[page];
}

/* The common pages: another thread's faults, forks and copies must not lose what this one wrote. */
static void touch_common(struct actor *a)
{
	uint64_t at = OTHER + dice(a, 16) * SPACE_PAGE + a->cpu;
	uint8_t value = (uint8_t)(1 + dice(a, 255));

	a->bad += space_poke(a->s, a->s->mm, at, value) != 0;
	a->bad += space_peek(a->s, a->s->mm, at) != value;
}

static void have_child(struct actor *a)
{
	unsigned page = dice(a, ARENA);
	struct kmm_mm *child;

	if (kmm_mm_fork(a->s->mm, &child) != KMM_OK) {
		a->bad++;
		return;
	}
	if (a->byte[page] >= 0 && a->writable[page]) {
		a->bad += space_poke(a->s, child, place(a, page), (uint8_t)(a->byte[page] + 1)) != 0;
		a->bad += space_peek(a->s, a->s->mm, place(a, page)) != a->byte[page];
	}
	hosted_put_space(a->s->m, child);
}

static void *act(void *arg)
{
	struct actor *a = arg;

	hosted_set_cpu(a->cpu);
	for (unsigned i = 0; i < ARENA; i++)
		a->byte[i] = -1;
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned first = dice(a, ARENA), nr = 1 + dice(a, ARENA - first);

		switch (dice(a, 8)) {
		case 0: map_some(a, first, nr); break;
		case 1: unmap_some(a, first, nr); break;
		case 2: protect_some(a, first, nr); break;
		case 3: touch_common(a); break;
		case 4: if (dice(a, 8) == 0) have_child(a); break;
		default: touch(a, first); break;
		}
	}
	hosted_run_space(a->s->m, NULL);
	return NULL;
}

KMM_TEST(space_of_many_threads)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		static struct space s;
		static struct actor actor[CPUS];
		pthread_t thread[CPUS];

		CALL(start_cpus(&s, space_formats[f], CPUS));
		CHECK_EQ(space_map(&s, OTHER, 16, SPACE_RW, SPACE_ANON), 0);
		for (unsigned i = 0; i < CPUS; i++) {
			actor[i] = (struct actor){ .s = &s, .cpu = i, .seed = 77 * f + i };
			CHECK_EQ(pthread_create(&thread[i], NULL, act, &actor[i]), 0);
		}
		for (unsigned i = 0; i < CPUS; i++) {
			pthread_join(thread[i], NULL);
			CHECK_EQ(actor[i].bad, 0);
		}
		hosted_set_cpu(0);
		CALL(space_stop(&s));
	}
}
