/* SPDX-License-Identifier: MIT */
/*
 * Questions about what happens when memory ends: what can be swapped, the three answers to a full machine, and what adds capacity.
 */
#include "harness/test.h"
#include "kmm/hibernate.h"
#include "kmm/reclaim.h"
#include "kmm/swap.h"
#include "lab.h"
#include "phys/phys.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

/* Words that say which page it is, so that no two pages are alike and none is one byte repeated. */
static unsigned write_pages(struct lab *lab, struct kmm_mm *mm, uint64_t va, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		uint64_t value = (uint64_t)i + 1;

		if (!hosted_write_user(lab->hosted, mm, va + i * PAGE + 8, &value, sizeof(value)).ok)
			return i;
	}
	return nr;
}

static unsigned right_pages(struct lab *lab, struct kmm_mm *mm, uint64_t va, unsigned nr)
{
	unsigned right = 0;

	for (unsigned i = 0; i < nr; i++) {
		uint64_t value = 0;

		right += hosted_read_user(lab->hosted, mm, va + i * PAGE + 8, &value, sizeof(value)).ok && value == (uint64_t)i + 1;
	}
	return right;
}

/* A space with pages in several areas, each of which is smaller than memory, so that none is refused. */
static uint64_t map_much(struct kmm_mm *mm, unsigned nr)
{
	const uint64_t base = 0x10000000;
	struct kmm_uva at;

	for (unsigned i = 0; i < nr; i += 1024)
		if (kmm_mmap(mm, kmm_uva((kmm_word)(base + i * PAGE)), (nr - i < 1024 ? nr - i : 1024) * PAGE, KMM_PROT_READ | KMM_PROT_WRITE,
			     KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS | KMM_MAP_FIXED, NULL, 0, &at) != KMM_OK)
			return 0;
	return base;
}

static struct hosted_swap *add_swap(struct lab *lab, uint64_t bytes)
{
	struct hosted_swap *disk = hosted_swap_open(lab->hosted, bytes);

	if (disk && kmm_swap_on(lab->k, hosted_swap_device(disk), -1) != KMM_OK)
		return NULL;
	return disk;
}

static kmm_word pages_of(struct lab *lab, enum kmm_kind kind)
{
	struct kmm_zone_info zone;
	kmm_word nr = 0;

	for (unsigned z = 0; z < KMM_NR_ZONES; z++)
		if (kmm_zone_info(lab->k, (enum kmm_zone_id)z, &zone))
			nr += zone.kinds[kind];
	return nr;
}

static void reclaim_all(struct lab *lab)
{
	while (kmm_reclaim_pages(lab->k, 100000))
		;
}

/* ---- what can be swapped ---- */

/* A kernel cache that can be emptied. */
struct stash {
	struct kmm_shrinker shrinker; /* first */
	void *object[64];
	unsigned nr;
};

static kmm_word count_stash(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp)
{
	(void)k;
	(void)gfp;
	return ((struct stash *)self)->nr;
}

static kmm_word empty_stash(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp, kmm_word nr)
{
	struct stash *stash = (struct stash *)self;
	kmm_word freed = 0;

	(void)gfp;
	for (; stash->nr && freed < nr; freed++)
		kmm_kfree(k, stash->object[--stash->nr]);
	return freed;
}

struct mixture {
	struct hosted_swap *disk;
	struct kmm_file *file;
	struct kmm_mm *mm;
	uint64_t anon, mapped;
	void *kept[64];          /* kernel objects that nobody can give up */
};

static void make_mixture(struct lab *lab, struct mixture *x)
{
	struct kmm_uva at;

	x->disk = add_swap(lab, 8 * MIB);
	CHECK(x->disk != NULL);
	CHECK_OK(kmm_mm_create(lab->k, &x->mm));
	x->anon = lab_map(x->mm, 100 * PAGE);
	CHECK_EQ(write_pages(lab, x->mm, x->anon, 100), 100);
	x->file = lab_file(lab, 20 * PAGE, "/file");
	CHECK_OK(kmm_mmap(x->mm, kmm_uva(0), 20 * PAGE, KMM_PROT_READ, KMM_MAP_PRIVATE, &x->file->backing, 0, &at));
	x->mapped = at.v;
	for (unsigned i = 0; i < 20; i++)
		CHECK(lab_can_read(lab, x->mm, x->mapped + i * PAGE));
	for (unsigned i = 0; i < 64; i++)
		CHECK((x->kept[i] = kmm_kmalloc(lab->k, 2048, KMM_GFP_KERNEL)) != NULL);
}

static void drop_mixture(struct lab *lab, struct mixture *x)
{
	for (unsigned i = 0; i < 64; i++)
		kmm_kfree(lab->k, x->kept[i]);
	hosted_put_space(lab->hosted, x->mm);
	kmm_backing_put(&x->file->backing);
	lab_close(lab);
	hosted_swap_close(x->disk);
}

/* S24: user pages are swapped, clean pages of files are dropped and read again, a cache with a shrinker is emptied, and slab
 * memory that nobody gives up stays. */
KMM_TEST(question_S24)
{
	struct stash stash = { .shrinker = { .name = "stash", .count = count_stash, .scan = empty_stash } };
	struct kmm_mm_stats stats;
	struct mixture x;
	struct lab lab;

	CHECK(lab_open(&lab, KMM_X86_64, 64 * MIB));
	CALL(make_mixture(&lab, &x));
	for (; stash.nr < 64; stash.nr++)
		CHECK((stash.object[stash.nr] = kmm_kmalloc(lab.k, 1000, KMM_GFP_KERNEL)) != NULL);
	kmm_shrinker_register(lab.k, &stash.shrinker);
	reclaim_all(&lab);
	while (stash.nr)
		CHECK(kmm_shrink(lab.k, KMM_GFP_KERNEL, 64) > 0);
	kmm_mm_stats(x.mm, &stats);
	CHECK_EQ(stats.swapped, 100);
	CHECK_EQ(pages_of(&lab, KMM_KIND_ANON), 0);
	CHECK_EQ(stats.rss_file, 0);
	for (unsigned i = 0; i < 64; i++)
		memset(x.kept[i], 1, 2048); /* still there, at the same address */
	CHECK_EQ(right_pages(&lab, x.mm, x.anon, 100), 100);
	CHECK(lab_can_read(&lab, x.mm, x.mapped));
	kmm_shrinker_unregister(lab.k, &stash.shrinker);
	drop_mixture(&lab, &x);
}

/* The one exception: an image of the whole machine has the kernel's pages too, and takes no slot for good. */
static void check_hibernation(struct lab *lab, struct mixture *x, kmm_word kernel_pages)
{
	const struct kmm_image_use use = { .dev = hosted_swap_device(x->disk), .id = 1 };
	struct kmm_swap_info before, after;
	struct kmm_image_head head;
	struct kmm_image *image;

	CHECK(kmm_swap_info(lab->k, 0, &before));
	CHECK_OK(kmm_image_new(lab->k, &use, &image));
	CHECK_OK(kmm_image_write(image, &head));
	CHECK(head.nr_pages > kernel_pages);
	kmm_image_free(image);
	CHECK(kmm_swap_info(lab->k, 0, &after));
	CHECK_EQ(after.nr_used, before.nr_used);
}

/* S25: kernel pages do not swap: of all that reclaim wrote out, every page was a private one of a program, and the kernel's kinds of
 * frames are as many as before. They go to the disk when the machine hibernates, and then all of them. */
KMM_TEST(question_S25)
{
	static const enum kmm_kind kinds[] = { KMM_KIND_KERNEL, KMM_KIND_SLAB, KMM_KIND_PGTABLE, KMM_KIND_VMALLOC, KMM_KIND_MEMMAP };
	kmm_word before[sizeof(kinds) / sizeof(kinds[0])], all = 0;
	struct hosted_swap_counts counts;
	struct kmm_mm_stats stats;
	struct mixture x;
	struct lab lab;

	CHECK(lab_open(&lab, KMM_I386_PAE, 64 * MIB));
	CALL(make_mixture(&lab, &x));
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		all += before[i] = pages_of(&lab, kinds[i]);
	reclaim_all(&lab);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		CHECK_EQ(pages_of(&lab, kinds[i]), before[i]);
	hosted_swap_counts(x.disk, &counts);
	kmm_mm_stats(x.mm, &stats);
	CHECK_EQ(counts.written, stats.swapped);
	CHECK_EQ(counts.written, 100);
	CALL(check_hibernation(&lab, &x, all));
	drop_mixture(&lab, &x);
}

/* ---- the three answers ---- */

static void answer_by_swap(void)
{
	const unsigned nr = 3072; /* 12 MiB of 8 */
	struct hosted_swap_counts counts;
	struct hosted_swap *disk;
	struct kmm_mm *mm;
	struct lab lab;
	uint64_t va;

	CHECK(lab_open(&lab, KMM_X86_64, 8 * MIB));
	CHECK((disk = add_swap(&lab, 16 * MIB)) != NULL);
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	CHECK_EQ(kmm_mm_answer(mm), KMM_ANSWER_SWAP);
	CHECK((va = map_much(mm, nr)) != 0);
	CHECK_EQ(write_pages(&lab, mm, va, nr), nr);
	CHECK_EQ(right_pages(&lab, mm, va, nr), nr);
	hosted_swap_counts(disk, &counts);
	CHECK(counts.written > nr / 3 && counts.read > 0);
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
	hosted_swap_close(disk);
}

/* The call fails, and what was granted before can all be had. A child does as its parent does. */
static void answer_by_enomem(void)
{
	struct kmm_overcommit promises;
	struct kmm_mm *mm, *child;
	struct kmm_uva at;
	unsigned nr = 0;
	struct lab lab;
	uint64_t va[64];

	CHECK(lab_open(&lab, KMM_X86_64, 32 * MIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	CHECK_OK(kmm_mm_set_answer(mm, KMM_ANSWER_ENOMEM));
	while (nr < 64 && (va[nr] = lab_map(mm, 256 * PAGE)) != 0)
		nr++;
	CHECK(nr > 4 && nr < 32);
	CHECK_EQ(kmm_mmap(mm, kmm_uva(0), 256 * PAGE, KMM_PROT_READ | KMM_PROT_WRITE, KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS, NULL, 0, &at),
		 KMM_ENOMEM);
	kmm_overcommit(lab.k, &promises);
	CHECK(promises.committed_pages <= promises.limit_pages);
	for (unsigned i = 0; i < nr; i++)
		CHECK_EQ(write_pages(&lab, mm, va[i], 256), 256);
	CHECK_EQ(kmm_mm_fork(mm, &child), KMM_ENOMEM);
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}

struct blocked {
	struct lab *lab;
	struct kmm_mm *mm;
	uint64_t va;
	unsigned nr, written;
	atomic_bool done;
};

/* A millisecond later each time it is asked. */
static uint64_t count_time(struct kmm_port *port)
{
	static atomic_uint_fast64_t now;

	(void)port;
	return atomic_fetch_add(&now, 1000000);
}

static void *write_until_done(void *arg)
{
	struct blocked *b = arg;

	hosted_set_cpu(1);
	b->written = write_pages(b->lab, b->mm, b->va, b->nr);
	atomic_store(&b->done, true);
	return NULL;
}

/* Pages are taken from memory until the writer waits; it goes on when some are given back, with nothing lost. */
static void answer_by_blocking(void)
{
	struct hosted_config config = { .machine = { .format = KMM_X86_64, .nr_cpus = 2 }, .ram_bytes = 8 * MIB, .threads = true };
	enum { MOST = 2048 };
	struct kmm_page *taken[MOST];
	struct blocked b = { .nr = 1000 };
	struct kmm_pressure before, after;
	pthread_t writer;
	struct lab lab;
	unsigned nr = 0;

	CHECK(lab_open_as(&lab, &config));
	lab.k->port->time_ns = count_time;
	CHECK_EQ(kmm_set_answer(lab.k, KMM_NR_ANSWERS), KMM_EINVAL);
	CHECK_OK(kmm_set_answer(lab.k, KMM_ANSWER_BLOCK));
	CHECK_OK(kmm_mm_create(lab.k, &b.mm));
	CHECK_EQ(kmm_mm_answer(b.mm), KMM_ANSWER_BLOCK);
	b.lab = &lab;
	CHECK((b.va = map_much(b.mm, b.nr)) != 0);
	while (nr < MOST && (taken[nr] = kmm_alloc_pages(lab.k, KMM_GFP_NOWAIT | KMM_GFP_NOWARN, 0)) != NULL)
		nr++;
	CHECK(nr > 1000 && nr < MOST);
	CHECK(!kmm_alloc_pages(lab.k, KMM_GFP_NOWAIT | KMM_GFP_NOWARN, 0)); /* who must not wait is told at once */
	CHECK_EQ(pthread_create(&writer, NULL, write_until_done, &b), 0);
	kmm_pressure(lab.k, &before);
	while (!atomic_load(&lab.k->phys->waiters)) /* there is not enough for it to be done before */
		sched_yield();
	CHECK(!atomic_load(&b.done));
	while (nr)
		kmm_free_pages(lab.k, taken[--nr], 0);
	CHECK_EQ(pthread_join(writer, NULL), 0);
	kmm_pressure(lab.k, &after);
	CHECK(after.some.total_us > before.some.total_us); /* how long that was is told */
	CHECK_EQ(b.written, b.nr);
	CHECK_EQ(right_pages(&lab, b.mm, b.va, b.nr), b.nr);
	hosted_put_space(lab.hosted, b.mm);
	lab_close(&lab);
}

/* S49: no free frame: a page goes to disk and comes back; or the call says ENOMEM; or the program waits until memory is free: each
 * can be chosen (E28: there are more, like dropping clean pages first and compressing). */
KMM_TEST(question_S49)
{
	CALL(answer_by_swap());
	CALL(answer_by_enomem());
	CALL(answer_by_blocking());
}

/* ---- capacity ---- */

enum ground { NONE, COMPRESSED, DISK };

/* How many of 4096 pages a program gets written on 8 MiB of memory, and that all of them are right. */
static void program_on(enum ground ground, unsigned *written, uint64_t *disk_writes)
{
	struct hosted_swap_counts counts = { 0 };
	struct hosted_swap *disk = NULL;
	struct kmm_mm *mm;
	struct lab lab;
	uint64_t va;

	CHECK(lab_open(&lab, KMM_X86_64, 8 * MIB));
	if (ground != NONE)
		CHECK((disk = add_swap(&lab, 32 * MIB)) != NULL);
	if (ground == COMPRESSED)
		CHECK_OK(kmm_zswap_on(lab.k, &kmm_compressor_lz4, 50));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	CHECK((va = map_much(mm, 4096)) != 0);
	*written = write_pages(&lab, mm, va, 4096);
	CHECK_EQ(right_pages(&lab, mm, va, *written), *written);
	if (disk)
		hosted_swap_counts(disk, &counts);
	*disk_writes = counts.written;
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
	if (disk)
		hosted_swap_close(disk);
}

/* S50: swapping implies a disk, virtual memory does not: one program, with pages and protection in each case, on no swap, on compressed
 * memory that never uses its disk, and on a disk. */
KMM_TEST(question_S50)
{
	unsigned written[3];
	uint64_t writes[3];

	for (unsigned g = NONE; g <= DISK; g++)
		CALL(program_on((enum ground)g, &written[g], &writes[g]));
	CHECK(written[NONE] > 512 && written[NONE] < 2048);
	CHECK_EQ(writes[NONE], 0);
	CHECK_EQ(written[COMPRESSED], 4096);
	CHECK_EQ(writes[COMPRESSED], 0);
	CHECK_EQ(written[DISK], 4096);
	CHECK(writes[DISK] > 2048);
}

/* S57: the operating system keeps up the illusion: addresses in a row stay, while the frames behind them come and go and are others
 * each time. */
KMM_TEST(question_S57)
{
	uint64_t before[64], now;
	struct hosted_swap *disk;
	struct kmm_page *hold[200];
	unsigned moved = 0;
	struct kmm_mm *mm;
	struct lab lab;
	uint64_t va;

	CHECK(lab_open(&lab, KMM_X86_64, 64 * MIB));
	CHECK((disk = add_swap(&lab, 8 * MIB)) != NULL);
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	CHECK((va = lab_map(mm, 64 * PAGE)) != 0);
	CHECK_EQ(write_pages(&lab, mm, va, 64), 64);
	for (unsigned i = 0; i < 64; i++)
		before[i] = lab_user_pa(&lab, mm, va + i * PAGE);
	reclaim_all(&lab);
	for (unsigned i = 0; i < 64; i++)
		CHECK_EQ(lab_user_pa(&lab, mm, va + i * PAGE), 0);
	for (unsigned i = 0; i < 200; i++) /* somebody else has them meanwhile */
		CHECK((hold[i] = kmm_alloc_pages(lab.k, KMM_GFP_HIGHUSER_MOVABLE, 0)) != NULL);
	CHECK_EQ(right_pages(&lab, mm, va, 64), 64);
	for (unsigned i = 0; i < 64; i++) {
		now = lab_user_pa(&lab, mm, va + i * PAGE);
		CHECK(now != 0);
		moved += now != before[i];
	}
	CHECK(moved > 32);
	for (unsigned i = 0; i < 200; i++)
		kmm_free_pages(lab.k, hold[i], 0);
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
	hosted_swap_close(disk);
}

/* The same memory keeps more pages that differ with compression, though no disk has any, and with a disk. */
static void what_adds_capacity(unsigned ram_pages)
{
	unsigned alone, compressed, disk;
	uint64_t none, writes;

	CALL(program_on(NONE, &alone, &none));
	CALL(program_on(COMPRESSED, &compressed, &none));
	CALL(program_on(DISK, &disk, &writes));
	CHECK(alone < ram_pages);
	CHECK(compressed > ram_pages && none == 0);
	CHECK(disk > ram_pages && writes >= disk - ram_pages);
}

/* S63: virtual size may exceed physical memory, capacity stays the same (E31: swap and compression do add some): three numbers, and what
 * can really be kept. */
KMM_TEST(question_S63)
{
	struct kmm_memory_stats memory;
	struct kmm_overcommit promises;
	struct kmm_mm_stats stats;
	struct kmm_mm *mm;
	unsigned written;
	struct lab lab;
	uint64_t va;

	CHECK(lab_open(&lab, KMM_X86_64, 8 * MIB));
	CHECK_OK(kmm_mm_create(lab.k, &mm));
	CHECK((va = map_much(mm, 8192)) != 0);
	kmm_mm_stats(mm, &stats);
	kmm_memory_stats(lab.k, &memory);
	kmm_overcommit(lab.k, &promises);
	CHECK_EQ(stats.total_pages, 8192);
	CHECK(memory.ram_pages <= 2048);
	CHECK_EQ(promises.committed_pages, 8192);
	CHECK(promises.limit_pages < memory.ram_pages);
	written = write_pages(&lab, mm, va, 8192);
	CHECK(written < memory.ram_pages);
	CALL(what_adds_capacity((unsigned)memory.ram_pages));
	hosted_put_space(lab.hosted, mm);
	lab_close(&lab);
}
