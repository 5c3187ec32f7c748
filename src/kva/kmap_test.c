/* SPDX-License-Identifier: MIT */
/*
 * The kmap window: sharing, lazy flush, exhaustion, sleepers in order of arrival, and force_kmap.
 */
#include "harness/window.h"

#include <pthread.h>
#include <unistd.h>

static const struct hosted_config pae = { .machine = { .format = KMM_I386_PAE }, .ram_bytes = 1200ull << 20 };
static const struct hosted_config i386_strict = { .machine = { .format = KMM_I386 }, .ram_bytes = 1200ull << 20,
						  .strict = true };
static const struct hosted_config wide = { .machine = { .format = KMM_X86_64 }, .ram_bytes = 64ull << 20 };

static void check_sharing(const struct hosted_config *config)
{
	struct tier_b t;
	struct kmm_page *page;
	unsigned char *view;

	CALL(tier_b_start(&t, config));
	page = high_page(&t);
	CHECK(page);
	CHECK(!kmm_page_address(t.k, page));
	view = kmm_kmap(t.k, page);
	CHECK(view);
	CHECK_PTR(kmm_page_address(t.k, page), view);
	view[0] = 42;
	view[4095] = 43;
	CHECK_EQ(bus(&t, page)[0], 42);
	CHECK_EQ(bus(&t, page)[4095], 43);
	CHECK_PTR(kmm_kmap(t.k, page), view);
	kmm_kunmap(t.k, page);
	CHECK_PTR(kmm_page_address(t.k, page), view);
	CHECK_EQ(info(&t).used, 1);
	kmm_kunmap(t.k, page);
	CHECK(!kmm_page_address(t.k, page));
	CHECK_EQ(info(&t).used, 0);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(kmap_is_shared_and_counted)
{
	CALL(check_sharing(&pae));
	CALL(check_sharing(&i386_strict));
}

KMM_TEST(kmap_of_low_frames_is_linear)
{
	static const struct hosted_config *const configs[] = { &pae, &i386_strict, &wide };
	unsigned i;

	for (i = 0; i < 3; i++) {
		struct tier_b t;
		struct kmm_page *page;

		CALL(tier_b_start(&t, configs[i]));
		page = kmm_alloc_pages(t.k, KMM_GFP_KERNEL, 0);
		CHECK_PTR(kmm_kmap(t.k, page), kmm_page_address(t.k, page));
		kmm_kunmap(t.k, page);
		CHECK_EQ(info(&t).kmaps, 0);
		tier_b_stop(&t);
	}
}

/* The window is as large as one page table, the last slot included; then there is no more. */
KMM_TEST(kmap_window_ends)
{
	static struct kmm_page *page[1025];
	static const struct hosted_config *const configs[] = { &pae, &i386_strict };
	unsigned i, j, slots;

	for (i = 0; i < 2; i++) {
		struct tier_b t;

		CALL(tier_b_start(&t, configs[i]));
		slots = info(&t).slots;
		CHECK_EQ(slots, i ? 1024 : 512);
		for (j = 0; j <= slots; j++) {
			page[j] = high_page(&t);
			CHECK(page[j]);
			CHECK_EQ(kmm_kmap(t.k, page[j]) != NULL, j < slots);
		}
		CHECK(kmm_kmap(t.k, page[3])); /* one that is there already needs no slot */
		kmm_kunmap(t.k, page[3]);
		kmm_kunmap(t.k, page[3]);
		CHECK(kmm_kmap(t.k, page[slots]));
		CALL(tier_b_audit(&t));
		for (j = 0; j <= slots; j++)
			if (j != 3)
				kmm_kunmap(t.k, page[j]);
		CHECK_EQ(info(&t).used, 0);
		CALL(tier_b_audit(&t));
		tier_b_stop(&t);
	}
}

static unsigned flush_events;

static void count_flush(void *arg, const struct kmm_trace_event *event)
{
	(void)arg;
	flush_events += event->id == KMM_EV_TLB_FLUSH;
}

/* One flush per time round the window, and none for a page that comes back before. */
KMM_TEST(kmap_flushes_once_round_the_window)
{
	static struct kmm_page *page[1600];
	struct tier_b t;
	unsigned i;

	CALL(tier_b_start(&t, &pae));
	for (i = 0; i < 1600; i++)
		page[i] = high_page(&t);
	flush_events = 0;
	kmm_set_trace(t.k, count_flush, NULL);
	for (i = 0; i < 1600; i++) {
		unsigned char *view = kmm_kmap(t.k, page[i]);

		CHECK(view);
		view[1] = (unsigned char)i;
		CHECK_EQ(bus(&t, page[i])[1], (unsigned char)i);
		kmm_kunmap(t.k, page[i]);
		CHECK_PTR(kmm_kmap(t.k, page[i]), view);
		kmm_kunmap(t.k, page[i]);
	}
	kmm_set_trace(t.k, NULL, NULL);
	CHECK_EQ(info(&t).flushes, 3); /* 1600 = 3 * 512 + 64 */
	CHECK_EQ(flush_events, 3);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

/* The simulated CPU reads through the same window, and after the flush not any more. */
KMM_TEST(kmap_is_what_the_cpu_sees)
{
	struct tier_b t;
	struct kmm_page *page;
	unsigned char *view, byte = 0;
	kmm_word va;
	unsigned i;

	CALL(tier_b_start(&t, &i386_strict));
	page = high_page(&t);
	view = kmm_kmap(t.k, page);
	view[7] = 99;
	va = kmm_ptr_to_kva(t.k, view).v;
	CHECK(va >= t.k->layout.kmap_start && va < t.k->layout.kmap_start + 1024 * KMM_PAGE_SIZE);
	CHECK(hosted_kernel_access(t.m, va + 7, KMM_READ, &byte, 1, NULL));
	CHECK_EQ(byte, 99);
	kmm_kunmap(t.k, page);
	for (i = 0; i < 1024; i++) { /* once round */
		struct kmm_page *other = high_page(&t);

		CHECK(kmm_kmap(t.k, other));
		kmm_kunmap(t.k, other);
		if (info(&t).flushes)
			break;
	}
	CHECK_EQ(info(&t).flushes, 1);
	CHECK(!hosted_kernel_access(t.m, va + KMM_PAGE_SIZE + 7, KMM_READ, &byte, 1, NULL));
	tier_b_stop(&t);
}

static void unmap_twice(void *arg)
{
	struct tier_b *t = arg;
	struct kmm_page *page = high_page(t);

	if (kmm_kmap(t->k, page)) {
		kmm_kunmap(t->k, page);
		kmm_kunmap(t->k, page);
	}
}

KMM_TEST(kunmap_without_kmap_is_fatal)
{
	struct tier_b t;

	CALL(tier_b_start(&t, &pae));
	CALL(tier_b_refuses(&t, unmap_twice, &t, NULL));
	CHECK_EQ(tier_b_logged(&t, "is not kmapped"), 1);
	tier_b_stop(&t);
}

KMM_TEST(kmap_force_uses_windows_for_low_frames)
{
	static const struct hosted_config *const configs[] = { &pae, &i386_strict, &wide };
	unsigned i;

	for (i = 0; i < 3; i++) {
		struct tier_b t;
		struct kmm_page *page;
		unsigned char *view;

		CALL(tier_b_start(&t, configs[i]));
		kmm_force_kmap(t.k, true);
		page = kmm_alloc_pages(t.k, KMM_GFP_KERNEL, 0);
		view = kmm_kmap(t.k, page);
		CHECK(view);
		view[5] = 55;
		CHECK_EQ(bus(&t, page)[5], 55);
		CHECK_EQ(info(&t).used, i < 2); /* there is no kmap window on 64-bit machines */
		CHECK(i != 1 || kmm_ptr_to_kva(t.k, view).v >= t.k->layout.kmap_start);
		CALL(tier_b_audit(&t));
		kmm_kunmap(t.k, page);
		CHECK_EQ(info(&t).used, 0);
		kmm_force_kmap(t.k, false);
		CHECK_PTR(kmm_kmap(t.k, page), kmm_page_address(t.k, page));
		tier_b_stop(&t);
	}
}

/* ---- sleeping ---- */

enum { SLEEPERS = 5 };

struct queue {
	struct tier_b t;
	atomic_uint arrived, woken;
	atomic_uint order[SLEEPERS]; /* 1 + the number of the sleeper that woke then */
	atomic_uint leave;
};

struct sleeper {
	struct queue *q;
	unsigned number;
};

static void *sleep_for_a_slot(void *arg)
{
	struct sleeper *me = arg;
	struct queue *q = me->q;
	struct kmm_page *page;

	hosted_set_cpu(1 + me->number);
	page = high_page(&q->t);
	atomic_fetch_add(&q->arrived, 1);
	if (!kmm_kmap(q->t.k, page))
		return NULL;
	atomic_store(&q->order[atomic_fetch_add(&q->woken, 1)], 1 + me->number);
	while (!atomic_load(&q->leave))
		usleep(1000);
	kmm_kunmap(q->t.k, page);
	return NULL;
}

static void wait_until(struct queue *q, atomic_uint *counter, unsigned value)
{
	unsigned i;

	for (i = 0; i < 20000 && (counter == &q->arrived ? atomic_load(counter) < value : !atomic_load(counter)); i++)
		usleep(500);
	CHECK_EQ(atomic_load(counter), value);
	for (i = 0; i < 20000 && counter == &q->arrived && info(&q->t).waits < value; i++)
		usleep(500);
	CHECK(counter != &q->arrived || info(&q->t).waits == value);
}

KMM_TEST(kmap_sleepers_wake_in_order_of_arrival)
{
	struct hosted_config config = pae;
	static struct kmm_page *page[512];
	static struct queue q;
	struct sleeper sleeper[SLEEPERS];
	pthread_t thread[SLEEPERS];
	unsigned i;

	config.machine.nr_cpus = SLEEPERS + 1;
	config.threads = true;
	CALL(tier_b_start(&q.t, &config));
	for (i = 0; i < 512; i++) {
		page[i] = high_page(&q.t);
		CHECK(kmm_kmap(q.t.k, page[i]));
	}
	for (i = 0; i < SLEEPERS; i++) {
		sleeper[i] = (struct sleeper){ &q, i };
		CHECK_EQ(pthread_create(&thread[i], NULL, sleep_for_a_slot, &sleeper[i]), 0);
		CALL(wait_until(&q, &q.arrived, i + 1));
	}
	for (i = 0; i < SLEEPERS; i++) {
		CHECK_EQ(atomic_load(&q.woken), i);
		kmm_kunmap(q.t.k, page[i * 100]); /* any slot will do */
		CALL(wait_until(&q, &q.order[i], i + 1));
	}
	atomic_store(&q.leave, 1);
	for (i = 0; i < SLEEPERS; i++)
		pthread_join(thread[i], NULL);
	CHECK_EQ(info(&q.t).used, 512 - SLEEPERS);
	CALL(tier_b_audit(&q.t));
	tier_b_stop(&q.t);
}

/* More CPUs than slots to share: everyone gets on, contents stay apart. */
enum { CROWD = 4, ROUNDS = 3000, HELD = 300 };

struct crowd {
	struct tier_b t;
	struct kmm_page *page[CROWD * HELD];
	uint64_t seed;
	atomic_uint broken;
};

struct member {
	struct crowd *crowd;
	unsigned cpu;
};

static void *churn(void *arg)
{
	struct member *me = arg;
	struct crowd *c = me->crowd;
	uint64_t seed = c->seed + me->cpu;
	unsigned i;

	hosted_set_cpu(me->cpu);
	for (i = 0; i < ROUNDS; i++) {
		unsigned n = (unsigned)(kmm_test_rand(&seed) % (CROWD * HELD));
		uint32_t *view = kmm_kmap(c->t.k, c->page[n]);

		if (!view || view[1] != n)
			atomic_fetch_add(&c->broken, 1);
		if (i % 64 == 0)
			sched_yield();
		kmm_kunmap(c->t.k, c->page[n]);
	}
	return NULL;
}

KMM_TEST(kmap_serves_several_cpus)
{
	struct hosted_config config = pae;
	static struct crowd c;
	struct member member[CROWD];
	pthread_t thread[CROWD];
	unsigned i;

	config.machine.nr_cpus = CROWD;
	config.threads = true;
	CALL(tier_b_start(&c.t, &config));
	c.seed = kmm_test_seed();
	for (i = 0; i < CROWD * HELD; i++) {
		c.page[i] = high_page(&c.t);
		((uint32_t *)(void *)bus(&c.t, c.page[i]))[1] = i;
	}
	for (i = 0; i < 510; i++) /* leave two slots to fight for */
		CHECK(kmm_kmap(c.t.k, high_page(&c.t)));
	for (i = 0; i < CROWD; i++) {
		member[i] = (struct member){ &c, i };
		CHECK_EQ(pthread_create(&thread[i], NULL, churn, &member[i]), 0);
	}
	for (i = 0; i < CROWD; i++)
		pthread_join(thread[i], NULL);
	CHECK_EQ(atomic_load(&c.broken), 0);
	CHECK_EQ(info(&c.t).used, 510);
	CALL(tier_b_audit(&c.t));
	tier_b_stop(&c.t);
}

KMM_TEST(kmap_audit_sees_damage)
{
	struct tier_b t;
	struct kmm_page *page;
	struct kmm_kmap *map;

	CALL(tier_b_start(&t, &pae));
	map = &t.k->kva->kmap;
	page = high_page(&t);
	CHECK(kmm_kmap(t.k, page));
	map->used++;
	CHECK(tier_b_complaints(&t) > 0);
	map->used--;
	map->slot[0].pfn++;
	CHECK(tier_b_complaints(&t) > 0);
	map->slot[0].pfn--;
	map->slot[1].mapped = true;
	CHECK(tier_b_complaints(&t) > 0);
	map->slot[1].mapped = false;
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}
