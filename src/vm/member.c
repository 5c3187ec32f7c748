/* SPDX-License-Identifier: MIT */
/*
 * Spaces as members of memory groups, and what is charged because of them.
 *
 * A fault looks at mm->group without a lock and charges a little later; meanwhile the space may have been moved and the group
 * removed. So a space keeps every group alive that it ever belonged to, by a tie each (the first is part of the space, as
 * most never move); ties are given up with the space, when nobody runs it any more.
 *
 * Lock: m for ties and for the change of mm->group.
 */
#include "kmm/slab.h"
#include "vm/mm.h"

/* ---- ties ---- */

static struct kmm_tie *find_tie(struct kmm_mm *mm, const struct kmm_group *group)
{
	for (struct kmm_tie *t = &mm->tie; t; t = t->next)
		if (t->group == group)
			return t;
	return NULL;
}

/* errors: KMM_ENOMEM. */
static enum kmm_status add_tie(struct kmm_mm *mm, struct kmm_group *group)
{
	struct kmm_tie *t;

	if (!mm->tie.group) {
		mm->tie.group = group;
		return KMM_OK;
	}
	t = kmm_kmalloc(mm->k, sizeof(*t), KMM_GFP_KERNEL);
	if (!t)
		return KMM_ENOMEM;
	*t = (struct kmm_tie){ group, mm->tie.next };
	mm->tie.next = t;
	return KMM_OK;
}

/* ---- faults of members ---- */

static void begin_counting(struct kmm_mm *mm)
{
	mm->faults_before = kmm_word_look(&mm->faults);
	mm->major_before = kmm_word_look(&mm->major_faults);
}

/* What the space did in its group stays counted there. */
static void leave(struct kmm_mm *mm, struct kmm_group *group)
{
	kmm_group_count(group, KMM_GROUP_FAULTS, kmm_word_look(&mm->faults) - mm->faults_before);
	kmm_group_count(group, KMM_GROUP_MAJOR, kmm_word_look(&mm->major_faults) - mm->major_before);
	kmm_group_leave(group);
}

/* ---- members ---- */

/* m held. */
static enum kmm_status join(struct kmm_mm *mm, struct kmm_group *group)
{
	enum kmm_status status = KMM_OK;

	if (__atomic_load_n(&group->offline, __ATOMIC_ACQUIRE))
		return KMM_EINVAL;
	if (!find_tie(mm, group)) {
		status = add_tie(mm, group);
		if (status == KMM_OK)
			kmm_group_hold(group);
	}
	if (status == KMM_OK)
		kmm_group_join(group);
	return status;
}

enum kmm_status kmm_mm_set_group(struct kmm_mm *mm, struct kmm_group *group)
{
	enum kmm_status status = KMM_OK;

	kmm_mm_lock(mm);
	if (group && group != mm->group)
		status = join(mm, group);
	if (status == KMM_OK && group != mm->group) {
		if (mm->group)
			leave(mm, mm->group);
		begin_counting(mm);
		__atomic_store_n(&mm->group, group, __ATOMIC_RELEASE);
	}
	kmm_mm_unlock(mm);
	return status;
}

struct kmm_group *kmm_mm_group(const struct kmm_mm *mm)
{
	return __atomic_load_n(&mm->group, __ATOMIC_ACQUIRE);
}

void kmm_mm_inherit_group(struct kmm_mm *child, const struct kmm_mm *parent)
{
	struct kmm_group *group = parent->group;

	KMM_ASSERT(child->k, !child->group && !child->tie.group);
	if (!group)
		return;
	child->tie.group = group;
	kmm_group_hold(group);
	kmm_group_join(group);
	child->group = group;
}

void kmm_mm_leave_groups(struct kmm_mm *mm)
{
	struct kmm_tie *t = mm->tie.next, *next;

	if (mm->group)
		leave(mm, mm->group);
	mm->group = NULL;
	if (mm->tie.group)
		kmm_group_forget(mm->tie.group);
	for (; t; t = next) {
		next = t->next;
		kmm_group_forget(t->group);
		kmm_kfree(mm->k, t);
	}
}

/* ---- charges ---- */

struct kmm_group *kmm_mm_oom_group(const struct kmm_mm *mm)
{
	uint32_t id = __atomic_load_n(&mm->oom_group, __ATOMIC_RELAXED);
	struct kmm_group *over = id && mm->k->groups ? kmm_group_by_id(mm->k, id) : NULL;

	return over && kmm_group_is_below(kmm_mm_group(mm), over) ? over : NULL;
}

enum kmm_status kmm_mm_charge(struct kmm_mm *mm, struct kmm_page *page, enum kmm_charge_how how)
{
	struct kmm_group *group = kmm_mm_group(mm), *over = NULL;
	enum kmm_status status;

	if (!group)
		return KMM_OK;
	status = kmm_group_charge(group, page, how, KMM_GFP_HIGHUSER_MOVABLE, &over);
	if (status == KMM_ENOMEM)
		__atomic_store_n(&mm->oom_group, over->id, __ATOMIC_RELAXED);
	return status;
}

enum kmm_status kmm_mm_charge_back(struct kmm_mm *mm, struct kmm_page *page, struct kmm_group *group)
{
	struct kmm_group *over;

	if (group && kmm_group_charge(group, page, KMM_CHARGE_AT_ONCE, KMM_GFP_HIGHUSER_MOVABLE, &over) == KMM_OK)
		return KMM_OK;
	return kmm_mm_charge(mm, page, KMM_CHARGE_RECLAIM);
}

enum kmm_status kmm_charge_running(struct kmm *k, struct kmm_page *page, enum kmm_charge_how how)
{
	struct kmm_mm *mm = k->groups && k->port->running_space ? k->port->running_space(k->port) : NULL;

	return mm ? kmm_mm_charge(mm, page, how) : KMM_OK;
}
