/* SPDX-License-Identifier: MIT */
/*
 * Threads as contexts on stacks of their own, switched by hand. A thread stops before each access (a point); decide() says
 * who makes the next one.
 *
 * Each word that is accessed has an entry in a table: which threads ever read and wrote it, and for the state number what
 * was done to it in this run. The number of a thread is a hash of its accesses to shared words, each hashed with the
 * write that it saw (a write: also with the reads that it follows), so equal numbers of all threads mean the same
 * accesses in the same order wherever order matters.
 */
#include "threads.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { STACK_BYTES = 256 << 10, WORDS = 1 << 15, MOST_POINTS = 30000, REGIONS = 4096, IGNORED = 16 };

struct thread {
	ucontext_t context;
	bool done;
	const volatile void *at;           /* what it accesses next */
	enum sched_op op;
	bool (*ready)(const void *arg);    /* NULL: it can go on */
	const void *arg;
	const char *what;                  /* it waits for */
	uint64_t writes_seen;              /* spinning: writes of others until then */
	uint64_t hash, writes;
	char *stack;
};

struct word {
	uintptr_t at;                      /* 0: none */
	uint8_t readers, writers;          /* bit per thread, over all runs */
	bool matters;                      /* shared, as far as was known when sched_learn() was last called */
	uint32_t run;                      /* the rest is of this run */
	uint64_t last_write, reads;
};

struct region {
	char *at, *copy;
	size_t bytes;
};

static struct {
	const struct sched_case *c;
	const struct sched_chooser *chooser;
	struct thread thread[SCHED_THREADS];
	unsigned current;
	bool running;
	ucontext_t explorer;
	sigjmp_buf escape;
	enum sched_end end;
	uint32_t point, run;
	struct sched_order taken;
	char what[512];
	struct word word[WORDS];
	uint64_t shared;
	struct region region[REGIONS];
	unsigned nr_regions;
	struct { uintptr_t start, end; } ignored[IGNORED];
	unsigned nr_ignored;
	uintptr_t not_lock[IGNORED];
	unsigned nr_not_lock;
} now;

unsigned sched_self(void) { return now.running ? now.current : 0; }
bool sched_running(void) { return now.running; }
const struct sched_order *sched_taken(void) { return &now.taken; }
const char *sched_what(void) { return now.what; }
uint32_t sched_points(void) { return now.point; }
uint64_t sched_shared_words(void) { return now.shared; }

/* ---- memory ---- */

void sched_keep(void *at, size_t bytes)
{
	if (now.nr_regions == REGIONS) {
		fprintf(stderr, "sched: more regions of memory than %d\n", REGIONS);
		abort();
	}
	now.region[now.nr_regions++] = (struct region){ at, NULL, bytes };
}

void sched_ignore(const void *at, size_t bytes)
{
	if (now.nr_ignored < IGNORED) {
		now.ignored[now.nr_ignored].start = (uintptr_t)at;
		now.ignored[now.nr_ignored++].end = (uintptr_t)at + bytes;
	}
}

void sched_not_a_lock(const void *at)
{
	if (now.nr_not_lock < IGNORED)
		now.not_lock[now.nr_not_lock++] = (uintptr_t)at;
}

static void save_memory(void)
{
	for (unsigned i = 0; i < now.nr_regions; i++) {
		struct region *r = &now.region[i];

		r->copy = malloc(r->bytes);
		memcpy(r->copy, r->at, r->bytes);
	}
}

static void restore_memory(void)
{
	for (unsigned i = 0; i < now.nr_regions; i++)
		memcpy(now.region[i].at, now.region[i].copy, now.region[i].bytes);
}

/* ---- words ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = (a ^ b) + 0x9e3779b97f4a7c15 + (a << 6) + (a >> 2);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Halves of an entry are one word. */
static struct word *word_at(const volatile void *at)
{
	uintptr_t key = (uintptr_t)at & ~(uintptr_t)7;
	size_t i = (size_t)mix(key, 1) % WORDS, looked;

	for (looked = 0; now.word[i].at && now.word[i].at != key; looked++, i = (i + 1) % WORDS)
		if (looked == WORDS) {
			fprintf(stderr, "sched: more words than %d\n", WORDS);
			abort();
		}
	now.word[i].at = key;
	return &now.word[i];
}

static bool is_shared(const struct word *w)
{
	unsigned users = w->readers | w->writers;

	return w->writers && (users & (users - 1));
}

static bool is_ignored(const volatile void *at)
{
	for (unsigned i = 0; i < now.nr_ignored; i++)
		if ((uintptr_t)at >= now.ignored[i].start && (uintptr_t)at < now.ignored[i].end)
			return true;
	return false;
}

/* The current thread makes its access. */
static void account(struct thread *t)
{
	struct word *w = word_at(t->at);
	bool was_shared = is_shared(w), write = t->op == SCHED_WRITE;

	if (write)
		w->writers |= (uint8_t)(1u << now.current), t->writes++;
	else
		w->readers |= (uint8_t)(1u << now.current);
	now.shared += is_shared(w) && !was_shared;
	if (!w->matters)
		return;
	if (w->run != now.run)
		w->run = now.run, w->last_write = w->reads = 0;
	t->hash = mix(mix(t->hash, w->at + write), mix(w->last_write, write ? w->reads : 0));
	if (write)
		w->last_write = t->hash, w->reads = 0;
	else
		w->reads += t->hash;
}

void sched_learn(void)
{
	for (unsigned i = 0; i < WORDS; i++)
		now.word[i].matters = is_shared(&now.word[i]);
}

uint64_t sched_state(void)
{
	uint64_t state = now.current;

	for (unsigned i = 0; i < now.c->threads; i++)
		state = mix(state, now.thread[i].hash);
	return state;
}

/* ---- turns ---- */

static bool can_go_on(const struct thread *t)
{
	return !t->done && (!t->ready || t->ready(t->arg));
}

static unsigned enabled_threads(void)
{
	unsigned enabled = 0;

	for (unsigned i = 0; i < now.c->threads; i++)
		enabled |= (unsigned)can_go_on(&now.thread[i]) << i;
	return enabled;
}

static _Noreturn void end_run(enum sched_end end)
{
	now.end = end;
	siglongjmp(now.escape, 1);
}

static void say_who_waits(void)
{
	size_t len = (size_t)snprintf(now.what, sizeof(now.what), "deadlock:");

	for (unsigned i = 0; i < now.c->threads && len < sizeof(now.what); i++)
		if (!now.thread[i].done)
			len += (size_t)snprintf(now.what + len, sizeof(now.what) - len, " thread %u waits for %s;", i,
						now.thread[i].what);
}

static bool all_done(void)
{
	for (unsigned i = 0; i < now.c->threads; i++)
		if (!now.thread[i].done)
			return false;
	return true;
}

static unsigned next_of(unsigned thread, unsigned enabled)
{
	do
		thread = (thread + 1) % now.c->threads;
	while (!(enabled >> thread & 1));
	return thread;
}

static void note_turn(unsigned thread)
{
	if (now.taken.nr < SCHED_TURNS)
		now.taken.turn[now.taken.nr++] = (struct sched_turn){ now.point, thread };
}

/* Who goes on, the threads in `enabled` being able to. */
static unsigned pick(unsigned enabled)
{
	bool goes_on = enabled >> now.current & 1, matters = now.chooser->every_point;
	unsigned usual = goes_on ? now.current : next_of(now.current, enabled), chosen;

	if (!goes_on || now.point == 0)
		matters = true;
	else if (!matters)
		matters = word_at(now.thread[now.current].at)->matters;
	if (!matters || !(enabled & (enabled - 1)))
		return usual;
	chosen = now.chooser->choose(enabled, usual, goes_on && now.point != 0);
	if (chosen == SCHED_NO_THREAD)
		end_run(SCHED_STOPPED);
	if (chosen != usual)
		note_turn(chosen);
	return chosen;
}

/* Returns when the thread that called has its turn. Called by a thread at a point, waiting or done. */
static void decide(void)
{
	unsigned enabled = enabled_threads(), me = now.current, chosen;

	if (!enabled) {
		if (!all_done())
			say_who_waits();
		end_run(all_done() ? SCHED_PASSED : SCHED_FAILED);
	}
	chosen = pick(enabled);
	now.point++;
	if (now.point > MOST_POINTS)
		sched_fail("no end after %d points", MOST_POINTS);
	if (chosen == me)
		return;
	now.current = chosen;
	swapcontext(&now.thread[me].context, &now.thread[chosen].context);
}

static void step(const volatile void *at, enum sched_op op, bool (*ready)(const void *arg), const void *arg,
		 const char *what)
{
	struct thread *t = &now.thread[now.current];

	t->at = at;
	t->op = op;
	t->ready = ready;
	t->arg = arg;
	t->what = what;
	decide();
	t->ready = NULL;
	account(t);
}

void sched_point(const volatile void *at, enum sched_op op)
{
	if (now.running && !is_ignored(at))
		step(at, op, NULL, NULL, NULL);
}

static bool is_free(const void *arg)
{
	return *(const volatile uint32_t *)arg != 1;
}

void sched_point_swap(const volatile void *at, unsigned long long value, unsigned long size)
{
	bool is_lock = size == sizeof(uint32_t) && value == 1;

	for (unsigned i = 0; i < now.nr_not_lock; i++)
		is_lock &= (uintptr_t)at != now.not_lock[i];
	if (now.running && !is_ignored(at))
		step(at, SCHED_WRITE, is_lock ? is_free : NULL, (const void *)(uintptr_t)at, "a spin lock");
}

void sched_wait(const void *at, bool (*ready)(const void *arg), const void *arg, const char *what)
{
	if (now.running)
		step(at, SCHED_WRITE, ready, arg, what);
	else
		SCHED_CHECK(ready(arg));
}

static uint64_t writes_of_others(const struct thread *t)
{
	uint64_t writes = 0;

	for (unsigned i = 0; i < now.c->threads; i++)
		writes += &now.thread[i] == t ? 0 : now.thread[i].writes;
	return writes;
}

static bool others_wrote(const void *arg)
{
	const struct thread *t = arg;

	return writes_of_others(t) != t->writes_seen;
}

void sched_relax(void)
{
	struct thread *t = &now.thread[now.current];

	if (!now.running)
		return;
	t->writes_seen = writes_of_others(t);
	step(&t->writes_seen, SCHED_READ, others_wrote, t, "a change of what it spins on");
}

/* ---- runs ---- */

void sched_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(now.what, sizeof(now.what), format, args);
	va_end(args);
	end_run(SCHED_FAILED);
}

static void crash(int signal_nr, siginfo_t *info, void *context)
{
	(void)context;
	snprintf(now.what, sizeof(now.what), "signal %d at address %p", signal_nr, info->si_addr);
	end_run(SCHED_FAILED);
}

static void catch_crashes(void)
{
	static char stack[64 << 10];
	stack_t alternative = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_sigaction = crash, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigaltstack(&alternative, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static void thread_main(void)
{
	struct thread *t = &now.thread[now.current];

	account(t);
	now.c->body[now.current]();
	t->done = true;
	decide();
}

static void make_thread(unsigned i)
{
	struct thread *t = &now.thread[i];
	char *stack = t->stack ? t->stack : malloc(STACK_BYTES);

	*t = (struct thread){ .stack = stack, .at = &t->hash, .op = SCHED_READ };
	getcontext(&t->context);
	t->context.uc_stack.ss_sp = stack;
	t->context.uc_stack.ss_size = STACK_BYTES;
	makecontext(&t->context, thread_main, 0);
}

/* The explorer's place is taken by the thread that the first decision names. */
static void start_threads(void)
{
	unsigned first;

	for (unsigned i = 0; i < now.c->threads; i++)
		make_thread(i);
	now.point = 0;
	now.current = 0;
	now.running = true;
	first = pick(enabled_threads());
	now.point = 1;
	now.current = first;
	swapcontext(&now.explorer, &now.thread[first].context);
}

enum sched_end sched_run(const struct sched_chooser *chooser)
{
	now.chooser = chooser;
	now.run++;
	now.taken.nr = 0;
	now.what[0] = '\0';
	restore_memory();
	if (sigsetjmp(now.escape, 1) == 0)
		start_threads();
	now.running = false;
	if (now.end != SCHED_PASSED)
		return now.end;
	if (sigsetjmp(now.escape, 1) == 0 && now.c->finish)
		now.c->finish();
	return now.end;
}

void sched_begin(const struct sched_case *c)
{
	now.c = c;
	now.shared = 0;
	now.nr_regions = now.nr_ignored = now.nr_not_lock = 0;
	memset(now.word, 0, sizeof(now.word));
	catch_crashes();
	if (sigsetjmp(now.escape, 1) == 0) {
		c->setup();
	} else {
		fprintf(stderr, "%s: the setup failed: %s\n", c->name, now.what);
		exit(1);
	}
	save_memory();
}

void sched_end(void)
{
	for (unsigned i = 0; i < now.nr_regions; i++)
		free(now.region[i].copy);
	now.nr_regions = 0;
}
