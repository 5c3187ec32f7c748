/* SPDX-License-Identifier: MIT */
/*
 * Programs run on three processors while a fourth moves their pages around and compacts: every byte that a program
 * reads is the one it wrote last, forks see what their parents had, and at the end all is accounted for.
 *
 *	worker 0, 1   a space each: writes, reads, discards, changes of rights, mremap, a file both of them map
 *	worker 2      forks one of its own again and again, checks the child, lets it go
 *	mover         frames at random, ranges, compaction steps; or
 *	evictor       pages to swap, and all of them back by swapoff
 *	device        ends transfers that were begun, the last ones first
 */
#include "model/migrate_threads.h"

#include "harness/space.h"
#include "kmm/compact.h"
#include "kmm/reclaim.h"

#include <pthread.h>
#include <sched.h>

enum { WORKERS = 3, DEVICE_CPU = WORKERS + 1, PAGES = 300, FILE_PAGES = 40, STEPS = 4000, MOVES = 2000 };
#define AT 0x20000000ull
#define FILE_AT 0x30000000ull

struct worker {
	struct arena *arena;
	unsigned cpu;
	struct kmm_mm *mm;
	uint64_t seed;
	uint8_t byte[PAGES];     /* what each page shows; 0: nothing written */
	const char *wrong;
	unsigned wrong_page;
};

struct arena {
	struct hosted_machine *m;
	struct kmm *k;
	struct kmm_file file;
	struct hosted_swap *disk; /* NULL: pages are moved, not evicted */
	struct worker worker[WORKERS];
	atomic_bool over, device_over;
};

static uint64_t at(unsigned page) { return AT + page * SPACE_PAGE; }
static unsigned dice(struct worker *w, unsigned n) { return (unsigned)(kmm_test_rand(&w->seed) % n); }

static void expect(struct worker *w, bool good, const char *what, unsigned page)
{
	if (good || w->wrong)
		return;
	w->wrong = what;
	w->wrong_page = page;
}

static void write_page(struct worker *w, unsigned page)
{
	uint8_t value = (uint8_t)(1 + dice(w, 255));

	expect(w, hosted_write_user(w->arena->m, w->mm, at(page) + page, &value, 1).ok, "a write failed", page);
	w->byte[page] = value;
}

static void read_page(struct worker *w, struct kmm_mm *mm, unsigned page)
{
	uint8_t value = 0;

	expect(w, hosted_read_user(w->arena->m, mm, at(page) + page, &value, 1).ok, "a read failed", page);
	expect(w, value == w->byte[page], "content is lost", page);
}

static void discard(struct worker *w, unsigned page)
{
	expect(w, kmm_madvise(w->mm, kmm_uva((kmm_word)at(page)), SPACE_PAGE, 4) == KMM_OK, "madvise failed", page);
	w->byte[page] = 0;
}

static void flip_rights(struct worker *w, unsigned page)
{
	kmm_word va = (kmm_word)at(page);

	expect(w, kmm_mprotect(w->mm, kmm_uva(va), SPACE_PAGE, SPACE_R) == KMM_OK, "mprotect failed", page);
	read_page(w, w->mm, page);
	expect(w, kmm_mprotect(w->mm, kmm_uva(va), SPACE_PAGE, SPACE_RW) == KMM_OK, "mprotect failed", page);
}

/* Each worker writes bytes of the file's pages that are its own. */
static void use_file(struct worker *w)
{
	unsigned page = dice(w, FILE_PAGES);
	uint64_t va = FILE_AT + page * SPACE_PAGE + 100 + w->cpu;
	uint8_t value = (uint8_t)(w->seed >> 20), back = 0;

	expect(w, hosted_write_user(w->arena->m, w->mm, va, &value, 1).ok, "a write to the file failed", page);
	expect(w, hosted_read_user(w->arena->m, w->mm, va, &back, 1).ok && back == value, "content of the file is lost", page);
}

static void have_child(struct worker *w)
{
	struct kmm_mm *child;

	if (kmm_mm_fork(w->mm, &child) != KMM_OK) {
		expect(w, false, "fork failed", 0);
		return;
	}
	for (unsigned i = 0; i < 20; i++)
		read_page(w, child, dice(w, PAGES));
	for (unsigned i = 0; i < 5; i++)
		write_page(w, dice(w, PAGES));
	hosted_put_space(w->arena->m, child);
	hosted_run_space(w->arena->m, NULL);
}

/* Not before pages were moved in earnest: the mover may be late. */
static bool goes_on(struct worker *w, unsigned step)
{
	struct kmm_migrate_stats stats;
	struct kmm_swap_stats swap;

	if (step < STEPS || step % 64)
		return true;
	kmm_migrate_stats(w->arena->k, &stats);
	kmm_swap_stats(w->arena->k, &swap);
	return stats.success + swap.out < MOVES;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	hosted_set_cpu(w->cpu);
	for (unsigned step = 0; goes_on(w, step) && !w->wrong; step++) {
		unsigned op = dice(w, 100), page = dice(w, PAGES);

		if (op < 45)
			write_page(w, page);
		else if (op < 80)
			read_page(w, w->mm, page);
		else if (op < 86)
			discard(w, page);
		else if (op < 92)
			flip_rights(w, page);
		else if (w->cpu < 3)
			use_file(w);
		else if (op > 97)
			have_child(w);
	}
	return NULL;
}

/* Along all frames, in runs of any length. */
static void move_something(struct arena *a, kmm_word *next, uint64_t *seed)
{
	kmm_word max = (kmm_word)(kmm_layout_of(a->k)->lowmem_end >> KMM_PAGE_SHIFT);
	kmm_word nr = 1 + (kmm_word)(kmm_test_rand(seed) % 200);

	if (nr % 16 == 0)
		(void)!kmm_compact_step(a->k, 64);
	*next = *next + nr < max ? *next : 256;
	(void)!kmm_migrate_range(a->k, kmm_pfn(*next), nr, NULL);
	*next += nr;
}

/* Workers' pages hold one byte each, which is told apart from a page of one byte repeated. */
static void evict_something(struct arena *a, uint64_t *seed)
{
	unsigned dice = (unsigned)(kmm_test_rand(seed) % 40);

	if (dice == 0) {
		if (kmm_swap_off(a->k, hosted_swap_device(a->disk)) == KMM_OK)
			(void)!kmm_swap_on(a->k, hosted_swap_device(a->disk), -1);
	} else {
		kmm_reclaim_pages(a->k, dice * 4);
	}
}

static void *evict_all(void *arg)
{
	struct arena *a = arg;
	uint64_t seed = kmm_test_seed();

	hosted_set_cpu(0);
	while (!atomic_load(&a->over))
		evict_something(a, &seed);
	return NULL;
}

static void *end_transfers(void *arg)
{
	struct arena *a = arg;

	hosted_set_cpu(DEVICE_CPU);
	while (!atomic_load(&a->device_over))
		if (!hosted_swap_finish(a->disk, 3))
			sched_yield();
	return NULL;
}

static void *move_all(void *arg)
{
	struct arena *a = arg;
	uint64_t seed = kmm_test_seed();
	kmm_word next = 256;

	hosted_set_cpu(0);
	while (!atomic_load(&a->over))
		move_something(a, &next, &seed);
	return NULL;
}

static void start(struct arena *a, enum kmm_format_id format, enum what what)
{
	struct hosted_config config = { .machine = { .format = format, .nr_cpus = WORKERS + 2 }, .ram_bytes = 24ull << 20, .threads = true };
	const char *why = "";
	struct kmm_uva out;

	hosted_set_cpu(0);
	memset(a, 0, sizeof(*a));
	CHECK_OK(hosted_boot(&config, &a->m, &why));
	a->k = hosted_kmm(a->m);
	if (what != MOVES_PAGES) {
		a->disk = (what == EVICTS ? hosted_swap_open : hosted_swap_open_later)(a->m, 4096 * SPACE_PAGE);
		CHECK_OK(kmm_swap_on(a->k, hosted_swap_device(a->disk), -1));
	}
	kmm_file_init(&a->file, a->k, FILE_PAGES * SPACE_PAGE, "/shared");
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker *w = &a->worker[i];

		*w = (struct worker){ .arena = a, .cpu = i + 1, .seed = kmm_test_seed() + i };
		CHECK_OK(kmm_mm_create(a->k, &w->mm));
		CHECK_OK(kmm_mmap(w->mm, kmm_uva(AT), PAGES * SPACE_PAGE, SPACE_RW, SPACE_ANON | KMM_MAP_FIXED, NULL, 0, &out));
		CHECK_OK(kmm_mmap(w->mm, kmm_uva(FILE_AT), FILE_PAGES * SPACE_PAGE, SPACE_RW, KMM_MAP_SHARED | KMM_MAP_FIXED,
				  &a->file.backing, 0, &out));
	}
}

static void audit(struct arena *a)
{
	struct hosted_text text;
	unsigned bad = kmm_audit(a->k, hosted_text_init(&text));

	if (bad)
		printf("%s", text.text);
	hosted_text_free(&text);
	CHECK_EQ(bad, 0);
}

static void stop(struct arena *a)
{
	CALL(audit(a));
	for (unsigned i = 0; i < WORKERS; i++)
		hosted_put_space(a->m, a->worker[i].mm);
	kmm_backing_put(&a->file.backing);
	CALL(audit(a));
	if (a->disk)
		CHECK_OK(kmm_swap_off(a->k, hosted_swap_device(a->disk)));
	hosted_shutdown(a->m);
}

void migrate_threads_run(enum kmm_format_id format, enum what what)
{
	static struct arena a;
	pthread_t thread[WORKERS], mover, device;

	CALL(start(&a, format, what));
	CHECK_EQ(pthread_create(&mover, NULL, what == MOVES_PAGES ? move_all : evict_all, &a), 0);
	if (what == EVICTS_LATER)
		CHECK_EQ(pthread_create(&device, NULL, end_transfers, &a), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, work, &a.worker[i]), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	atomic_store(&a.over, true);
	pthread_join(mover, NULL);
	atomic_store(&a.device_over, true);
	if (what == EVICTS_LATER)
		pthread_join(device, NULL);
	while (a.disk && hosted_swap_finish(a.disk, 1)) /* the audit wants a machine where nothing goes on */
		;
	for (unsigned i = 0; i < WORKERS; i++) {
		if (a.worker[i].wrong)
			printf("  worker %u, page %u: %s\n", i, a.worker[i].wrong_page, a.worker[i].wrong);
		CHECK(!a.worker[i].wrong);
	}
	CALL(stop(&a));
	hosted_swap_close(a.disk);
}

KMM_TEST(migrate_threads_i386) { CALL(migrate_threads_run(KMM_I386, MOVES_PAGES)); }
KMM_TEST(migrate_threads_i386_pae) { CALL(migrate_threads_run(KMM_I386_PAE, MOVES_PAGES)); }
KMM_TEST(migrate_threads_x86_64) { CALL(migrate_threads_run(KMM_X86_64, MOVES_PAGES)); }
