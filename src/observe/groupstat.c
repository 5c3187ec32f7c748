/* SPDX-License-Identifier: MIT */
/*
 * What is said of memory groups, in the words and the order of Linux 6.1's files. Of memory.stat those lines are
 * here whose numbers are kept; what the kernel takes for itself is charged to nobody, so lines about that would say nothing.
 */
#include "observe/totals.h"

#include "swap/swap.h"
#include "vm/mm.h"
#include "vm/vm.h"

static void line(struct kmm_sink *out, const char *name, kmm_word value)
{
	kmm_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void bytes(struct kmm_sink *out, const char *name, kmm_word pages)
{
	kmm_printf(out, "%s %llu\n", name, (unsigned long long)pages << KMM_PAGE_SHIFT);
}

struct faults {
	kmm_word all, major;
};

static void add_past(struct kmm_group *root, struct faults *sum)
{
	struct kmm *k = root->k;

	kmm_mutex_lock(k, &k->pageq->lock);
	for (struct kmm_group *g = root; g; g = kmm_group_next(k, root, g)) {
		sum->all += kmm_word_look(&g->past[KMM_GROUP_FAULTS]);
		sum->major += kmm_word_look(&g->past[KMM_GROUP_MAJOR]);
	}
	kmm_mutex_unlock(k, &k->pageq->lock);
}

/* Of spaces that still belong to it. One that leaves meanwhile may be missed or be in both sums. */
static void add_present(struct kmm_group *root, struct faults *sum)
{
	struct kmm *k = root->k;
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);

	for (struct kmm_list *l = k->vm->mms.next; l != &k->vm->mms; l = l->next) {
		const struct kmm_mm *mm = kmm_container(l, struct kmm_mm, link);
		const struct kmm_group *group = kmm_mm_group(mm);

		if (!group || !kmm_group_is_below(group, root))
			continue;
		sum->all += kmm_word_look(&mm->faults) - kmm_word_look(&mm->faults_before);
		sum->major += kmm_word_look(&mm->major_faults) - kmm_word_look(&mm->major_before);
	}
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
}

static void stat(const struct kmm_group_info *info, const struct faults *faults, struct kmm_sink *out)
{
	bytes(out, "anon", info->anon);
	bytes(out, "file", info->file);
	bytes(out, "shmem", info->shmem);
	bytes(out, "swapcached", info->writing);
	line(out, "workingset_refault_anon", info->refaults);
	line(out, "pgscan", info->scanned);
	line(out, "pgsteal", info->stolen);
	line(out, "pgfault", faults->all);
	line(out, "pgmajfault", faults->major);
}

void kmm_report_group_stat(struct kmm_group *group, struct kmm_sink *out)
{
	struct kmm_group_info info;
	struct faults faults = { 0, 0 };

	kmm_group_info(group, &info);
	add_past(group, &faults);
	add_present(group, &faults);
	stat(&info, &faults, out);
}

void kmm_report_root_stat(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_totals t;

	kmm_totals(k, &t);
	stat(&(struct kmm_group_info){ .anon = t.kinds[KMM_KIND_ANON], .file = t.kinds[KMM_KIND_FILE], .shmem = t.shmem,
				       .writing = t.swap.cached + t.swap.writing, .refaults = t.reclaim.refaults,
				       .scanned = t.reclaim.scanned_direct + t.reclaim.scanned_step,
				       .stolen = t.reclaim.stolen_direct + t.reclaim.stolen_step },
	     &(struct faults){ kmm_word_look(&k->events[KMM_EV_FAULT]), t.swap.major }, out);
}

void kmm_report_group_events(struct kmm_group *group, bool local, struct kmm_sink *out)
{
	struct kmm_group_info info;
	const kmm_word *events = local ? info.local_events : info.events;

	kmm_group_info(group, &info);
	line(out, "low", events[KMM_GROUP_EV_LOW]);
	line(out, "high", events[KMM_GROUP_EV_HIGH]);
	line(out, "max", events[KMM_GROUP_EV_MAX]);
	line(out, "oom", events[KMM_GROUP_EV_OOM]);
	line(out, "oom_kill", events[KMM_GROUP_EV_OOM_KILL]);
	line(out, "oom_group_kill", events[KMM_GROUP_EV_OOM_GROUP_KILL]);
}

void kmm_report_group_swap_events(struct kmm_group *group, struct kmm_sink *out)
{
	struct kmm_group_info info;

	kmm_group_info(group, &info);
	line(out, "high", 0); /* there is no such limit here */
	line(out, "max", info.events[KMM_GROUP_EV_SWAP_MAX]);
	line(out, "fail", info.events[KMM_GROUP_EV_SWAP_FAIL]);
}
