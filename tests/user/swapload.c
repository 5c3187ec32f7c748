/* SPDX-License-Identifier: MIT */
/*
 * A load much larger than memory, for a set time: swapload SECONDS MIB [PROCESSES [DISK|- [SWAP|- [SEED]]]].
 *
 *   main     keeps PROCESSES workers alive, kills one now and then, and takes the swap device SWAP away and back again
 *   worker   has private memory, and its pages (every PROCESSES-th) of memory and of the file DISK that all share; goes over
 *            them at random, mostly in one place, or in order, and asks the system for whatever it can do with pages meanwhile:
 *            advice, locks, protection, moves, forks, syncing. Now and then one ends by itself.
 *
 * Every page that was ever written bears stamps over all of its length, of whose it is, where it belongs and how often it was
 * written, which are looked at before each write and all at the end. Of the shared pages the counts are shared too, with a
 * mark while one is being written, so that who comes after a killed worker knows what to expect.
 * Ends with "N passed, N failed"; so on Linux too.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, WORDS = PAGE / 4, EVERY = 64 /* words between stamps */, RW = PROT_READ | PROT_WRITE,
       MOST = 16, RANGE = 32, BURST = 128, STEPS_OF_A_LIFE = 1000 };
#define BEING_WRITTEN 0x8000u

struct region {
	uint32_t *at;
	uint16_t *times;     /* of each page; 0: it is zeros */
	uint32_t nr, tag;
	unsigned step, mine; /* pages mine, mine + step ... are the worker's */
};

static struct shared {
	atomic_uint steps, forks, bad, lives, advised;
	_Alignas(8) uint64_t looked; /* atomic */
} *shared;

static struct region memory, file, own;
static int disk = -1;
static unsigned nr_workers = 4;
static time_t end;
static uint32_t state;

static time_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static uint32_t next_random(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return (uint32_t)((uint64_t)state * below >> 32);
}

/* ---- pages ---- */

static uint32_t stamp(const struct region *r, uint32_t i, uint32_t times, uint32_t word)
{
	uint32_t x = (r->tag * 0x9e3779b1u ^ i) * 0x85ebca77u ^ (times * 64 + word / EVERY) * 0xc2b2ae3du;

	return times ? (x ^ x >> 15) | 1 : 0;
}

static int holds(const struct region *r, uint32_t i, uint32_t times)
{
	const volatile uint32_t *page = r->at + (size_t)i * WORDS;

	for (uint32_t w = 0; w < WORDS; w += EVERY)
		if (page[w] != stamp(r, i, times, w))
			return 0;
	return page[WORDS - 1] == stamp(r, i, times, WORDS - 1);
}

static void wrong(const struct region *r, uint32_t i, const char *when)
{
	const uint32_t *page = r->at + (size_t)i * WORDS;

	if (atomic_fetch_add(&shared->bad, 1) >= 8)
		return;
	printf("FAIL %s: tag %x, page %u, written %u times: %08x %08x %08x ... %08x, not %08x %08x %08x ... %08x\n", when, r->tag, i,
	       r->times[i], page[0], page[EVERY], page[2 * EVERY], page[WORDS - 1], stamp(r, i, r->times[i], 0),
	       stamp(r, i, r->times[i], EVERY), stamp(r, i, r->times[i], 2 * EVERY), stamp(r, i, r->times[i], WORDS - 1));
	fflush(stdout);
}

static pid_t parent; /* of a child of a worker; 0: this is none */

/* One that a killed worker was about to write may be anything; and when the parent is gone, its successor writes. */
static void look(const struct region *r, uint32_t i, const char *when)
{
	if (!(r->times[i] & BEING_WRITTEN) && !holds(r, i, r->times[i]) && (!parent || getppid() == parent))
		wrong(r, i, when);
	__atomic_fetch_add(&shared->looked, 1, __ATOMIC_RELAXED);
}

static void put(struct region *r, uint32_t i)
{
	uint32_t *page = r->at + (size_t)i * WORDS;
	uint16_t times = (uint16_t)((r->times[i] & ~BEING_WRITTEN) % 30000 + 1);

	*(volatile uint16_t *)&r->times[i] = times | BEING_WRITTEN;
	atomic_signal_fence(memory_order_seq_cst);
	for (uint32_t w = 0; w < WORDS; w += EVERY)
		page[w] = stamp(r, i, times, w);
	page[WORDS - 1] = stamp(r, i, times, WORDS - 1);
	atomic_signal_fence(memory_order_seq_cst);
	*(volatile uint16_t *)&r->times[i] = times;
}

static void look_and_put(struct region *r, uint32_t i, const char *when)
{
	look(r, i, when);
	if (next_random(2))
		put(r, i);
}

/* ---- what a worker does ---- */

static struct region *any_region(void)
{
	uint32_t n = next_random(8);

	return n == 0 && file.nr ? &file : n < 3 ? &memory : &own;
}

/* The region's pages that are ours, in three orders. */
static uint32_t choose(const struct region *r, unsigned order, uint32_t start, uint32_t n)
{
	uint32_t nr = (r->nr - r->mine + r->step - 1) / r->step, x = next_random(1 << 16);

	if (order == 0)
		x = next_random(nr);
	else if (order == 1) /* half of all in a sixteenth of the pages, which lie all over */
		x = (uint32_t)((uint64_t)(x * x >> 16) * (x * x >> 16) >> 16) * 40503u % nr;
	else
		x = (start + n) % nr;
	return x * r->step + r->mine;
}

static void go_over(struct region *r)
{
	unsigned order = next_random(3);
	uint32_t start = next_random(r->nr);

	for (uint32_t n = 0; n < BURST; n++)
		look_and_put(r, choose(r, order, start, n), "going over pages");
}

/* Some neighbours of the private ones. */
static uint32_t range_of_own(void)
{
	return next_random(own.nr - RANGE);
}

static void *own_page(uint32_t i) { return own.at + (size_t)i * WORDS; }

static void failed_call(const char *what)
{
	if (atomic_fetch_add(&shared->bad, 1) < 8)
		printf("FAIL %s: errno %d\n", what, errno);
}

#define MUST(call) do { if (call) failed_call(#call); } while (0)

static void give_up_pages(void)
{
	uint32_t first = range_of_own();

	MUST(madvise(own_page(first), RANGE * PAGE, MADV_DONTNEED));
	memset(own.times + first, 0, RANGE * sizeof(*own.times));
	for (uint32_t i = first; i < first + RANGE; i++)
		look_and_put(&own, i, "given up");
}

/* Lazily: until it is written again a page is as it was, or zeros. */
static void free_pages(void)
{
	uint32_t first = range_of_own();

	MUST(madvise(own_page(first), RANGE * PAGE, MADV_FREE));
	go_over(&memory);
	for (uint32_t i = first; i < first + RANGE; i++) {
		if (!holds(&own, i, own.times[i]) && !holds(&own, i, 0))
			wrong(&own, i, "freed");
		put(&own, i);
	}
}

static void advise(void)
{
	static const int advice[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_SEQUENTIAL, MADV_NORMAL, MADV_RANDOM };
	uint32_t first = range_of_own();

	MUST(madvise(own_page(first), RANGE * PAGE, advice[next_random(6)]));
	for (uint32_t i = first; i < first + RANGE; i++)
		look_and_put(&own, i, "advised");
}

static void lock_pages(void)
{
	uint32_t first = range_of_own();

	MUST(mlock(own_page(first), RANGE * PAGE));
	go_over(&own);
	for (uint32_t i = first; i < first + RANGE; i++)
		look_and_put(&own, i, "locked");
	MUST(munlock(own_page(first), RANGE * PAGE));
}

static void protect_pages(void)
{
	uint32_t first = range_of_own();

	MUST(mprotect(own_page(first), RANGE * PAGE, PROT_NONE));
	go_over(&memory);
	MUST(mprotect(own_page(first), RANGE * PAGE, PROT_READ));
	for (uint32_t i = first; i < first + RANGE; i++)
		look(&own, i, "protected");
	MUST(mprotect(own_page(first), RANGE * PAGE, RW));
}

/* Away and back: what is in swap moves as it is. */
static void move_pages(void)
{
	uint32_t first = range_of_own();
	void *away = mmap(NULL, RANGE * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	MUST(away == MAP_FAILED);
	/* Areas that were cut and got pages of different origin stay apart, as on Linux, and cannot be moved at once. */
	if (mremap(own_page(first), RANGE * PAGE, RANGE * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, away) != away) {
		MUST(errno != EFAULT);
		MUST(munmap(away, RANGE * PAGE));
		return;
	}
	MUST(mremap(away, RANGE * PAGE, RANGE * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, own_page(first)) != own_page(first));
	for (uint32_t i = first; i < first + RANGE; i++)
		look_and_put(&own, i, "moved");
}

/* A page of shared memory gets a hole, and a file is synced. */
static void use_shared(void)
{
	uint32_t i = choose(&memory, 0, 0, 0), first = next_random(file.nr + 1);
	size_t bytes = file.nr - first < RANGE ? (file.nr - first) * PAGE : RANGE * PAGE;

	memory.times[i] |= BEING_WRITTEN;
	MUST(madvise(memory.at + (size_t)i * WORDS, PAGE, MADV_REMOVE));
	memory.times[i] = 0;
	look(&memory, i, "a hole");
	if (!file.nr)
		return;
	switch (next_random(4)) {
	case 0: MUST(msync(file.at + (size_t)first * WORDS, bytes, MS_SYNC)); break;
	case 1: MUST(msync(file.at + (size_t)first * WORDS, bytes, MS_ASYNC)); break;
	case 2: MUST(madvise(file.at + (size_t)first * WORDS, bytes, MADV_DONTNEED)); break;
	default: MUST(posix_fadvise(disk, (off_t)first * PAGE, (off_t)bytes, POSIX_FADV_DONTNEED)); break;
	}
	go_over(&file);
}

/* The kernel reads and writes pages for us that may be anywhere. */
static void copy_pages(void)
{
	uint32_t first = range_of_own(), page[WORDS];
	int ends[2];

	MUST(pipe(ends));
	for (uint32_t i = first; i < first + RANGE; i++) {
		if (write(ends[1], own_page(i), PAGE) != PAGE || read(ends[0], page, PAGE) != PAGE || page[0] != stamp(&own, i, own.times[i], 0))
			wrong(&own, i, "written to a pipe");
		page[1] = i;
		if (write(ends[1], page, PAGE) != PAGE || read(ends[0], own_page(i), PAGE) != PAGE)
			wrong(&own, i, "read from a pipe");
		look(&own, i, "read from a pipe");
	}
	close(ends[0]);
	close(ends[1]);
}

__attribute__((noreturn)) static void child(void)
{
	for (int i = 0; i < BURST; i++)
		look_and_put(&own, next_random(own.nr), "inherited");
	for (int i = 0; i < BURST; i++)
		look(&memory, choose(&memory, 0, 0, 0), "shared with the parent");
	if (next_random(2))
		_exit(33);
	while (getppid() == parent)
		usleep(5000);
	_exit(33);
}

static void fork_one(void)
{
	pid_t self = getpid(), pid = fork();
	int status = 0;

	if (pid == 0) {
		parent = self;
		state++;
		child();
	}
	MUST(pid < 0);
	go_over(&own);
	if (next_random(2))
		kill(pid, SIGKILL);
	else
		usleep(20000), kill(pid, SIGTERM);
	if (waitpid(pid, &status, 0) != pid || (WIFEXITED(status) && WEXITSTATUS(status) != 33))
		failed_call("a child");
	go_over(&own);
	atomic_fetch_add(&shared->forks, 1);
}

static void step(void)
{
	static void (*const rare[])(void) = { give_up_pages, free_pages, advise, lock_pages, protect_pages, move_pages, use_shared, copy_pages,
					     fork_one };
	const unsigned nr = sizeof(rare) / sizeof(rare[0]);

	go_over(any_region());
	if (next_random(3) == 0) {
		rare[next_random(nr)]();
		atomic_fetch_add(&shared->advised, 1);
	}
	atomic_fetch_add(&shared->steps, 1);
}

static void look_at_all(struct region *r)
{
	for (uint32_t i = r->mine; i < r->nr; i += r->step)
		look(r, i, "at the end");
}

__attribute__((noreturn)) static void worker(unsigned number, uint32_t seed)
{
	uint32_t life = STEPS_OF_A_LIFE / 2;

	state = seed * 2654435761u | 1;
	life += next_random(STEPS_OF_A_LIFE);
	memory.mine = file.mine = number;
	own.tag = seed;
	own.at = mmap(NULL, (size_t)own.nr * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	own.times = calloc(own.nr, sizeof(*own.times));
	if (own.at == MAP_FAILED || !own.times)
		_exit(2);
	for (uint32_t i = 0; i < own.nr && now_s() < end; i++)
		put(&own, i);
	while (now_s() < end && life--)
		step();
	look_at_all(&own);
	fflush(stdout);
	_exit(atomic_load(&shared->bad) != 0);
}

/* ---- main ---- */

static uint32_t seeds;

static pid_t start(unsigned number)
{
	uint32_t seed = ++seeds;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		worker(number, seed);
	atomic_fetch_add(&shared->lives, 1);
	return pid;
}

static unsigned kills, swaps;

/* As mkswap does. */
static int make_swap(const char *device)
{
	int fd = open(device, O_RDWR), good;
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	uint32_t page[WORDS] = { 0 };

	page[256] = 1;
	page[257] = (uint32_t)(size / PAGE - 1);
	memcpy((char *)page + PAGE - 10, "SWAPSPACE2", 10);
	good = size > 0 && pwrite(fd, page, PAGE, 0) == PAGE && fsync(fd) == 0;
	close(fd);
	return good;
}

static void replace_swap(const char *device)
{
	if (swapoff(device) != 0)
		failed_call("swapoff");
	usleep(next_random(500000));
	CHECK("swapon", swapon(device, SWAP_FLAG_PREFER | 5) == 0);
	swaps++;
}

/* One that ended by itself, or is killed here, has a successor. */
static void replace_worker(pid_t *pid, unsigned number, int how)
{
	int status = 0;
	pid_t gone;

	if (how == 0)
		kill(*pid, SIGKILL);
	gone = waitpid(*pid, &status, how == 0 ? 0 : WNOHANG);
	if (gone == 0)
		return;
	CHECK("a worker", gone == *pid && (status == 0 || (how == 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)));
	kills += how == 0;
	*pid = start(number);
}

static void supervise(pid_t *pid, const char *device)
{
	while (now_s() < end && !failed) {
		usleep(200000);
		for (unsigned i = 0; i < nr_workers; i++)
			replace_worker(&pid[i], i, (int)next_random(20 * nr_workers));
		if (device && next_random(50) == 0)
			replace_swap(device);
	}
}

static void *map_shared(size_t bytes, int fd)
{
	void *at = mmap(NULL, bytes, RW, fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		exit(2);
	return at;
}

/* Both are zeros at first; of a file, what is not is overwritten. */
static void start_region(struct region *r, uint32_t nr, uint32_t tag, int fd)
{
	*r = (struct region){ .at = map_shared((size_t)nr * PAGE, fd), .times = map_shared(nr * sizeof(*r->times), -1), .nr = nr, .tag = tag,
			      .step = nr_workers };
	for (uint32_t i = 0; i < nr && fd >= 0; i++)
		r->times[i] = BEING_WRITTEN;
}

static int is_given(int argc, char **argv, int n) { return argc > n && strcmp(argv[n], "-") != 0; }

static void prepare(int argc, char **argv)
{
	uint32_t pages = (uint32_t)atoi(argv[2]) * 256;

	nr_workers = argc > 3 ? (unsigned)atoi(argv[3]) : nr_workers;
	if (nr_workers < 1 || nr_workers > MOST || pages < 64 * MOST)
		exit(2);
	state = seeds = argc > 6 ? (uint32_t)atoi(argv[6]) | 1 : 4711;
	shared = map_shared(sizeof(*shared), -1);
	if (is_given(argc, argv, 4)) {
		disk = open(argv[4], O_RDWR);
		if (disk < 0)
			exit(2);
		start_region(&file, pages / 8, 0xf11e, disk);
	}
	start_region(&memory, pages / 4, 0x5a5a, -1);
	own = (struct region){ .nr = (pages - memory.nr - file.nr) / nr_workers, .step = 1 };
	end = now_s() + atoi(argv[1]);
}

int main(int argc, char **argv)
{
	pid_t pid[MOST];

	if (argc < 3)
		return 2;
	prepare(argc, argv);
	if (is_given(argc, argv, 5))
		CHECK("swapon", make_swap(argv[5]) && swapon(argv[5], SWAP_FLAG_PREFER | 5) == 0);
	for (unsigned i = 0; i < nr_workers; i++)
		pid[i] = start(i);
	supervise(pid, is_given(argc, argv, 5) ? argv[5] : NULL);
	for (unsigned i = 0; i < nr_workers; i++) {
		int status = -1;

		CHECK("a worker at the end", waitpid(pid[i], &status, 0) == pid[i] && status == 0);
	}
	memory.step = file.step = 1;
	look_at_all(&memory);
	look_at_all(&file);
	CHECK("contents and calls", atomic_load(&shared->bad) == 0);
	CHECK("progress", atomic_load(&shared->steps) > 0 && atomic_load(&shared->advised) > 0);
	printf("%u steps, %llu pages looked at, %u calls on pages, %u forks, %u lives, %u killed, %u times swapoff\n",
	       atomic_load(&shared->steps), (unsigned long long)shared->looked, atomic_load(&shared->advised),
	       atomic_load(&shared->forks), atomic_load(&shared->lives), kills, swaps);
	return sum();
}
