/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#include <pthread.h>
#include <setjmp.h>
#include <string.h>

#include "harness/test.h"

/* A port whose fatal() jumps back to the test. */
struct lock_port {
	struct kmm_port port; /* first */
	jmp_buf out;
	char said[128];
	unsigned wakes, waits;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	struct kmm k;
};

static unsigned long irq_save(struct kmm_port *port)
{
	(void)port;
	return 7;
}

static void irq_restore(struct kmm_port *port, unsigned long flags)
{
	(void)port;
	(void)flags;
}

static unsigned cpu_id(struct kmm_port *port)
{
	(void)port;
	return 0;
}

static void fatal(struct kmm_port *port, const char *file, int line, const char *what)
{
	struct lock_port *p = (struct lock_port *)(void *)port;

	(void)file;
	(void)line;
	strncpy(p->said, what, sizeof(p->said) - 1);
	longjmp(p->out, 1);
}

static void wait_for(struct kmm_port *port, const void *key, bool (*done)(void *arg), void *arg)
{
	struct lock_port *p = (struct lock_port *)(void *)port;

	(void)key;
	pthread_mutex_lock(&p->mutex);
	p->waits++;
	while (!done(arg))
		pthread_cond_wait(&p->cond, &p->mutex);
	pthread_mutex_unlock(&p->mutex);
}

static void wake(struct kmm_port *port, const void *key)
{
	struct lock_port *p = (struct lock_port *)(void *)port;

	(void)key;
	pthread_mutex_lock(&p->mutex);
	p->wakes++;
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->mutex);
}

static void start(struct lock_port *p)
{
	memset(p, 0, sizeof(*p));
	p->port.irq_save = irq_save;
	p->port.irq_restore = irq_restore;
	p->port.cpu_id = cpu_id;
	p->port.fatal = fatal;
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->cond, NULL);
	p->k.port = &p->port;
}

KMM_TEST(lock_order_holds_when_classes_rise)
{
	static struct lock_port p;
	struct kmm_spin pt = { 0 }, zone = { 0 };
	unsigned long outer, inner;

	start(&p);
	if (setjmp(p.out))
		CHECK_STR(p.said, "");
	for (int i = 0; i < 3; i++) {
		outer = kmm_spin_lock(&p.k, &pt, KMM_LOCK_PT);
		inner = kmm_spin_lock(&p.k, &zone, KMM_LOCK_ZONE);
		CHECK_EQ(inner, 7);
		kmm_spin_unlock(&p.k, &zone, KMM_LOCK_ZONE, inner);
		kmm_spin_unlock(&p.k, &pt, KMM_LOCK_PT, outer);
		CHECK_EQ(p.k.locks_held[0], 0);
	}
}

KMM_TEST(lock_order_broken_names_both_classes)
{
	static struct lock_port p;
	struct kmm_spin pt = { 0 }, zone = { 0 };

	if (!KMM_LOCK_ORDER)
		SKIP("the order of locks is an assertion");
	start(&p);
	if (!setjmp(p.out)) {
		(void)kmm_spin_lock(&p.k, &zone, KMM_LOCK_ZONE);
		(void)kmm_spin_lock(&p.k, &pt, KMM_LOCK_PT);
		CHECK(!"the second lock must not be granted");
	}
	CHECK_STR(p.said, "lock order: pt taken while holding zone");
}

KMM_TEST(lock_order_refuses_two_of_a_class)
{
	static struct lock_port p;
	struct kmm_spin a = { 0 }, b = { 0 };

	if (!KMM_LOCK_ORDER)
		SKIP("the order of locks is an assertion");
	start(&p);
	if (!setjmp(p.out)) {
		(void)kmm_spin_lock(&p.k, &a, KMM_LOCK_SLAB);
		(void)kmm_spin_lock(&p.k, &b, KMM_LOCK_SLAB);
		CHECK(!"the second lock must not be granted");
	}
	CHECK_STR(p.said, "lock order: slab taken while holding slab");
}

KMM_TEST(mutex_without_contention_never_waits)
{
	static struct lock_port p;
	struct kmm_mutex m = { 0 };

	start(&p);
	p.port.wait = wait_for;
	p.port.wake = wake;
	for (int i = 0; i < 3; i++) {
		kmm_mutex_lock(&p.k, &m);
		kmm_mutex_unlock(&p.k, &m);
	}
	CHECK_EQ(p.waits, 0);
	CHECK_EQ(p.wakes, 0);
}

KMM_TEST(mutex_contended_without_wait_is_fatal)
{
	static struct lock_port p;
	struct kmm_mutex m = { 0 };

	start(&p);
	kmm_mutex_lock(&p.k, &m);
	if (!setjmp(p.out)) {
		kmm_mutex_lock(&p.k, &m);
		CHECK(!"a held mutex must not be granted");
	}
	CHECK(strstr(p.said, "cannot wait") != NULL);
}

struct counter {
	struct lock_port *p;
	struct kmm_mutex mutex;
	unsigned long value;
};

#define ROUNDS 20000

static void *count_up(void *arg)
{
	struct counter *c = arg;

	for (int i = 0; i < ROUNDS; i++) {
		kmm_mutex_lock(&c->p->k, &c->mutex);
		c->value++;
		kmm_mutex_unlock(&c->p->k, &c->mutex);
	}
	return NULL;
}

KMM_TEST(mutex_excludes_threads)
{
	static struct lock_port p;
	static struct counter c;
	pthread_t other;

	start(&p);
	p.port.wait = wait_for;
	p.port.wake = wake;
	memset(&c, 0, sizeof(c));
	c.p = &p;
	CHECK_EQ(pthread_create(&other, NULL, count_up, &c), 0);
	count_up(&c);
	pthread_join(other, NULL);
	CHECK_EQ(c.value, 2 * ROUNDS);
}
