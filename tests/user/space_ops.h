/* SPDX-License-Identifier: MIT */
/*
 * space_ops.h - what threads of one address space do to it at the same time, with the contents checked all along. For
 * threads.c (a fixed number of rounds) and stress.c (a fixed time).
 *
 *   own_pages()  memory that only this thread uses, through the whole family of calls, next to that of others
 *   revoke_*()   one thread takes the right to write away: when mprotect() has returned, nobody writes any more
 *   replace_*()  one thread replaces a page: when the call has returned, nobody sees the old one any more
 *
 * The last two fail where another processor keeps an old translation. A thread that hits a page of theirs at the wrong
 * moment comes into on_segv(), which lets others run and tries again; so their pages must come back.
 */
#ifndef KMM_TESTS_USER_SPACE_OPS_H
#define KMM_TESTS_USER_SPACE_OPS_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, ARENA_PAGES = 8, MARK = 0x5a000000, MARK_MASK = 0x7f000000 };

/* A reservation with one page in its middle that comes and goes, so that nobody else's memory gets next to it. */
static char *volatile arena;
static atomic_uint space_errors;

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}

static char *arena_page(void)
{
	return arena + ARENA_PAGES / 2 * PAGE;
}

/* Counts and says what went wrong, but not a thousand times. */
static void space_error(const char *what, unsigned long a, unsigned long b)
{
	if (atomic_fetch_add(&space_errors, 1) < 8)
		printf("FAIL %s: %lx, %lx\n", what, a, b);
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
	char *at = info->si_addr;

	(void)sig, (void)context;
	if (arena && at >= arena && at < arena + ARENA_PAGES * PAGE)
		sched_yield();
	else
		_exit(98);
}

static void space_open(void)
{
	struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	arena = mmap(NULL, ARENA_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mprotect(arena_page(), PAGE, PROT_READ | PROT_WRITE) != 0)
		_exit(97);
}

static void space_close(void)
{
	munmap(arena, ARENA_PAGES * PAGE);
	arena = NULL;
}

/* ---- a thread's own pages ---- */

static void stamp(uint32_t *at, unsigned nr_pages, uint32_t value)
{
	for (unsigned i = 0; i < nr_pages; i++)
		at[i * (PAGE / 4)] = at[i * (PAGE / 4) + PAGE / 4 - 1] = value + i;
}

static void expect(const char *what, const uint32_t *at, unsigned nr_pages, uint32_t value, int zero)
{
	for (unsigned i = 0; i < nr_pages; i++) {
		uint32_t want = zero ? 0 : value + i, first = at[i * (PAGE / 4)], last = at[i * (PAGE / 4) + PAGE / 4 - 1];

		if (first != want || last != want)
			space_error(what, first != want ? first : last, want);
	}
}

static void must(const char *what, int result)
{
	if (result != 0)
		space_error(what, (unsigned long)result, 0);
}

/* One mapping from beginning to end; at least two pages, so that it never fits into the arena's hole. */
static void own_pages(uint32_t *random)
{
	unsigned n = 2 + random_next(random) % 40, half = n / 2;
	uint32_t value = random_next(random) & 0xffffff;
	size_t bytes = (size_t)n * PAGE;
	uint32_t *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *moved;

	if (at == MAP_FAILED) {
		space_error("mmap", n, 0);
		return;
	}
	if (random_next(random) & 1)
		expect("fresh", at, n, 0, 1);
	stamp(at, n, value);
	must("mprotect", mprotect(at, (size_t)half * PAGE, PROT_READ));
	expect("read only", at, n, value, 0);
	must("mprotect", mprotect(at, bytes, PROT_READ | PROT_WRITE));
	stamp(at, n, value + 1);
	if (random_next(random) % 4 == 0) {
		moved = mremap(at, bytes, bytes + PAGE, MREMAP_MAYMOVE);
		if (moved == MAP_FAILED) {
			space_error("mremap", n, 0);
		} else {
			expect("moved", moved, n, value + 1, 0);
			expect("grown", moved + n * (PAGE / 4), 1, 0, 1);
			at = moved;
			bytes += PAGE;
		}
	}
	must("madvise", madvise(at, (size_t)half * PAGE, MADV_DONTNEED));
	expect("dropped", at, half, 0, 1);
	expect("kept", at + half * (PAGE / 4), n - half, value + 1 + half, 0);
	must("munmap", munmap(at, (size_t)half * PAGE));
	expect("rest", at + half * (PAGE / 4), n - half, value + 1 + half, 0);
	must("munmap", munmap(at + half * (PAGE / 4), bytes - (size_t)half * PAGE));
}

/* ---- rights taken away ---- */

static void revoke_write(uint32_t *random)
{
	volatile uint32_t *word = (volatile uint32_t *)(arena_page() + PAGE / 2) + random_next(random) % 16;

	for (int i = 0; i < 2000; i++)
		*word += 1;
}

static void revoke_take(void)
{
	volatile uint32_t *word = (volatile uint32_t *)(arena_page() + PAGE / 2);
	uint32_t seen[16];

	must("revoke", mprotect(arena_page(), PAGE, PROT_READ));
	for (int i = 0; i < 16; i++)
		seen[i] = word[i];
	for (int turn = 0; turn < 50; turn++)
		for (int i = 0; i < 16; i++)
			if (word[i] != seen[i])
				space_error("written after mprotect", word[i], seen[i]);
	must("revoke", mprotect(arena_page(), PAGE, PROT_READ | PROT_WRITE));
}

/* ---- pages replaced ---- */

static atomic_uint published;

static void replace_read(void)
{
	volatile uint32_t *word = (volatile uint32_t *)arena_page();

	for (int i = 0; i < 2000; i++) {
		uint32_t least = atomic_load(&published), now = *word;

		if (now && ((now & MARK_MASK) != MARK || (now & 0xffffff) < least))
			space_error("a page that was replaced", now, least);
	}
}

/* how: 0 new memory over the old, 1 the content dropped, 2 unmapped and mapped again */
static void replace_page(unsigned how)
{
	int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	uint32_t next = (atomic_load(&published) + 1) & 0xffffff;
	char *page = arena_page();

	if (how == 1) {
		must("replace", madvise(page, PAGE, MADV_DONTNEED));
	} else {
		if (how == 2)
			must("replace", munmap(page, PAGE));
		if (mmap(page, PAGE, prot, flags, -1, 0) != page)
			space_error("replace", how, 0);
	}
	*(volatile uint32_t *)page = MARK | next;
	atomic_store(&published, next);
}

/* ---- all of it ---- */

/* One step of a thread; the first of a space is the one that takes and replaces. */
static void space_step(unsigned number, uint32_t *random)
{
	unsigned what = random_next(random) % 4;

	if (what == 0)
		own_pages(random);
	else if (number == 0 && what == 1)
		revoke_take();
	else if (number == 0)
		replace_page(random_next(random) % 3);
	else if (what == 1)
		revoke_write(random);
	else if (what == 2)
		replace_read();
	else
		own_pages(random);
}

#endif
