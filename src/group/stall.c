/* SPDX-License-Identifier: MIT */
/*
 * Who waits for memory (pageq/stall.h has the story): the machine's figures, and those of the running thread's group and of all above
 * it. A thread counts in the group that its space belonged to when its wait began.
 *
 * For a group full means that of its threads, and of those below, none has anything else to do: the port is asked for each (port->group_busy),
 * under the lock, so that the group stays meanwhile.
 *
 * Lock: t, k->pageq->stall_lock, KMM_LOCK_ZONE. It is one for all figures, as each wait changes the machine's anyway. Nothing is called under it but
 * the port.
 */
#include "group/group.h"

static uint64_t now_of(struct kmm *k)
{
	return k->port->time_ns ? k->port->time_ns(k->port) : 0;
}

static unsigned long lock(struct kmm *k) { return kmm_spin_lock(k, &k->pageq->stall_lock, KMM_LOCK_ZONE); }
static void unlock(struct kmm *k, unsigned long flags) { kmm_spin_unlock(k, &k->pageq->stall_lock, KMM_LOCK_ZONE, flags); }

/* Threads that have something else to do. */
static unsigned others(struct kmm *k, enum kmm_stall what)
{
	if (k->port->stall)
		return k->port->stall(k->port, what);
	return k->machine.nr_cpus - 1;
}

static bool is_busy(struct kmm *k, struct kmm_group *g)
{
	return k->port->group_busy ? k->port->group_busy(k->port, g) : k->machine.nr_cpus > 1;
}

/* t held. */
static void change_group(struct kmm *k, struct kmm_group *g, uint64_t now, int by)
{
	unsigned before = g->stalls.nr;

	kmm_stalls_change(k, &g->stalls, now, by, !is_busy(k, g));
	if (!before && g->stalls.nr)
		kmm_list_add_before(&k->groups->stalled, &g->stalled);
	else if (before && !g->stalls.nr)
		kmm_list_del(&g->stalled);
}

static void change(struct kmm *k, struct kmm_group *group, int by, enum kmm_stall what)
{
	unsigned busy = others(k, what);
	uint64_t now = now_of(k);
	unsigned long flags = lock(k);

	kmm_stalls_change(k, &k->pageq->stalls, now, by, !busy);
	for (struct kmm_group *g = group; g; g = g->parent)
		change_group(k, g, now, by);
	unlock(k, flags);
}

/* Its space may leave the group, or end, while another waits for it; so it is held. */
struct kmm_group *kmm_stall_begin(struct kmm *k)
{
	struct kmm_group *group = __atomic_load_n(&k->groups, __ATOMIC_ACQUIRE) ? k->groups->ops->running(k) : NULL;

	if (group)
		kmm_group_hold(group);
	change(k, group, 1, KMM_STALL_BEGINS);
	return group;
}

void kmm_stall_end(struct kmm *k, struct kmm_group *group)
{
	change(k, group, -1, KMM_STALL_ENDS);
	if (group)
		kmm_group_forget(group);
}

/* Groups that nobody waits in have nothing to count. */
void kmm_pressure_tick(struct kmm *k)
{
	unsigned long flags;
	uint64_t now;

	if (!k->pageq || !__atomic_load_n(&k->pageq->stalls.nr, __ATOMIC_RELAXED))
		return;
	change(k, NULL, 0, KMM_STALL_GOES_ON);
	if (!__atomic_load_n(&k->groups, __ATOMIC_ACQUIRE))
		return;
	now = now_of(k);
	flags = lock(k);
	for (struct kmm_list *l = k->groups->stalled.next; l != &k->groups->stalled; l = l->next)
		change_group(k, kmm_container(l, struct kmm_group, stalled), now, 0);
	unlock(k, flags);
}

/* ---- reports ---- */

static void look(struct kmm *k, struct kmm_stalls *stalls, struct kmm_pressure *out)
{
	uint64_t now = now_of(k);
	unsigned long flags = lock(k);

	kmm_stalls_look(stalls, now, out);
	unlock(k, flags);
}

void kmm_pressure(struct kmm *k, struct kmm_pressure *out) { look(k, &k->pageq->stalls, out); }
void kmm_group_pressure(struct kmm_group *group, struct kmm_pressure *out) { look(group->k, &group->stalls, out); }

void kmm_report_pressure(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_pressure p;

	kmm_pressure(k, &p);
	kmm_stalls_print(&p, out);
}

void kmm_report_group_pressure(struct kmm_group *group, struct kmm_sink *out)
{
	struct kmm_pressure p;

	kmm_group_pressure(group, &p);
	kmm_stalls_print(&p, out);
}
