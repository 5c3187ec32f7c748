/* SPDX-License-Identifier: MIT */
/*
 * Who waits for a frame to be freed, and how freeing tells them.
 *
 * A count of frees goes up only while somebody waits, so that freeing costs one load otherwise. A waiter reads the count
 * before its attempt and sleeps until the count is another one: what was freed in between is never missed.
 */
#include "phys/alloc.h"
#include "phys/phys.h"

struct waiter {
	struct kmm_phys *p;
	unsigned seen; /* p->frees when the last attempt began */
};

static bool something_was_freed(void *arg)
{
	struct waiter *w = arg;

	return atomic_load_explicit(&w->p->frees, memory_order_acquire) != w->seen;
}

void kmm_phys_waiter(struct kmm *k, bool begins)
{
	atomic_fetch_add_explicit(&k->phys->waiters, begins ? 1u : -1u, memory_order_seq_cst);
}

unsigned kmm_phys_freed(const struct kmm *k)
{
	return atomic_load_explicit(&k->phys->frees, memory_order_acquire);
}

void kmm_phys_wait_freed(struct kmm *k, unsigned seen)
{
	struct waiter w = { k->phys, seen };

	kmm_pcp_drain_all(k);
	k->port->wait(k->port, &k->phys->frees, something_was_freed, &w);
}

void kmm_tell_waiters(struct kmm *k)
{
	atomic_fetch_add_explicit(&k->phys->frees, 1, memory_order_release);
	if (k->port->wake)
		k->port->wake(k->port, &k->phys->frees);
}
