/* SPDX-License-Identifier: MIT */
/*
 * What a broken lock order says, and the sleeping lock.
 *
 * A mutex is 0 free, 1 held, 2 held and somebody may be waiting. Who waits takes it as 2, so that its
 * own unlock wakes the next; only 2 costs a wake.
 */
#include "base/lock.h"

#include "base/printf.h"

static const char *const class_names[KMM_NR_LOCK_CLASSES] = {
	[KMM_LOCK_MM] = "mm", [KMM_LOCK_AREA] = "area", [KMM_LOCK_BACKING] = "backing", [KMM_LOCK_RMAP] = "rmap", [KMM_LOCK_PT] = "pt",
	[KMM_LOCK_TABLE] = "table",
	[KMM_LOCK_SWAP] = "swap", [KMM_LOCK_SLAB] = "slab", [KMM_LOCK_KVA] = "kva", [KMM_LOCK_ZONE] = "zone",
};

void kmm_lock_order_broken(struct kmm *k, enum kmm_lock_class cls, uint32_t held)
{
	struct kmm_buffer_sink line;
	char text[128];

	kmm_buffer_sink_init(&line, text, sizeof(text));
	kmm_printf(&line.sink, "lock order: %s taken while holding", class_names[cls]);
	for (unsigned i = 0; i < KMM_NR_LOCK_CLASSES; i++)
		if (held >> i & 1)
			kmm_printf(&line.sink, " %s", class_names[i]);
	k->port->fatal(k->port, __FILE__, __LINE__, text);
}

static uint32_t *held_by_thread(const struct kmm *k)
{
	return k->port->thread_locks ? k->port->thread_locks(k->port) : NULL;
}

/* Whoever holds a spin lock stays on its CPU, so what that CPU holds is the caller's. */
void kmm_sleep_may(struct kmm *k, enum kmm_lock_class cls)
{
	const uint32_t *held = held_by_thread(k);
	uint32_t spins = k->locks_held[kmm_cpu(k)];

	if (spins)
		kmm_lock_order_broken(k, cls, spins);
	if (held && *held >> cls)
		kmm_lock_order_broken(k, cls, *held);
}

void kmm_sleep_note(struct kmm *k, enum kmm_lock_class cls)
{
	uint32_t *held = held_by_thread(k);

	if (held)
		*held |= 1u << cls;
}

void kmm_sleep_forget(struct kmm *k, enum kmm_lock_class cls)
{
	uint32_t *held = held_by_thread(k);

	if (held)
		*held &= ~(1u << cls);
}

struct sleeper {
	struct kmm_mutex *mutex;
	bool taken; /* the port may ask again after it heard true */
};

static bool take_as_waiter(void *arg)
{
	struct sleeper *s = arg;

	if (!s->taken)
		s->taken = atomic_exchange_explicit(&s->mutex->held, 2, memory_order_acquire) == 0;
	return s->taken;
}

void kmm_mutex_lock(struct kmm *k, struct kmm_mutex *mutex)
{
	struct sleeper s = { mutex, false };
	unsigned free_state = 0;

	if (atomic_compare_exchange_strong_explicit(&mutex->held, &free_state, 1, memory_order_acquire,
						    memory_order_relaxed))
		return;
	if (!k->port->wait) {
		k->port->fatal(k->port, __FILE__, __LINE__, "a sleeping lock is contended and the port cannot wait");
		return;
	}
	k->port->wait(k->port, mutex, take_as_waiter, &s);
}

bool kmm_mutex_trylock(struct kmm_mutex *mutex)
{
	unsigned free_state = 0;

	return atomic_compare_exchange_strong_explicit(&mutex->held, &free_state, 1, memory_order_acquire,
						       memory_order_relaxed);
}

void kmm_mutex_unlock(struct kmm *k, struct kmm_mutex *mutex)
{
	unsigned was = atomic_exchange_explicit(&mutex->held, 0, memory_order_release);

	KMM_ASSERT(k, was != 0);
	if (was == 2 && k->port->wake)
		k->port->wake(k->port, mutex);
}
