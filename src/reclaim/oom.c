/* SPDX-License-Identifier: MIT */
/*
 * When nothing can be reclaimed: which spaces hold how much, and why there is nothing, in words. Who is ended is the
 * embedder's decision, as processes are his; the ranking is what he is told.
 *
 * A space counts with what ending it gives back: resident pages, swapped ones, and tables. Pages shared with others count whole.
 */
#include "phys/phys.h"
#include "kmm/group.h"
#include "reclaim/reclaim.h"
#include "swap/swap.h"
#include "vm/mm.h"

#define HELD_NS 1000000000u /* for pages that are held to be let go */

static kmm_word weight(const struct kmm_mm *mm)
{
	return kmm_mm_resident(mm) + kmm_mm_rss(mm, KMM_RSS_SWAP) + kmm_pt_nr_tables(&mm->space);
}

/* Smaller than the one before; of equals the one with the lower address comes later. */
static bool is_behind(const struct kmm_mm *mm, kmm_word pages, const struct kmm_oom_candidate *before)
{
	return !before || pages < before->pages || (pages == before->pages && (uintptr_t)mm < (uintptr_t)before->mm);
}

/* The largest space behind `before`, of a group and those below it (NULL: of all), with a reference; v: taken here. NULL: none. */
static struct kmm_mm *largest_behind(struct kmm *k, const struct kmm_group *group, const struct kmm_oom_candidate *before,
				     kmm_word *most)
{
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	struct kmm_mm *best = NULL;

	for (struct kmm_list *l = k->vm->mms.next; l != &k->vm->mms; l = l->next) {
		struct kmm_mm *mm = kmm_container(l, struct kmm_mm, link);
		kmm_word pages = weight(mm);

		if (group && !kmm_group_is_below(kmm_mm_group(mm), group))
			continue;
		if (is_behind(mm, pages, before) && (!best || pages > *most || (pages == *most && (uintptr_t)mm > (uintptr_t)best))) {
			best = mm;
			*most = pages;
		}
	}
	if (best && !kmm_mm_try_get(best))
		best = NULL;
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	return best;
}

static unsigned rank(struct kmm *k, const struct kmm_group *group, struct kmm_oom_candidate *out, unsigned most)
{
	unsigned nr = 0;
	kmm_word pages = 0;

	while (nr < most) {
		struct kmm_mm *mm = largest_behind(k, group, nr ? &out[nr - 1] : NULL, &pages);

		if (!mm)
			break;
		out[nr++] = (struct kmm_oom_candidate){
			.mm = mm, .pages = pages, .resident = kmm_mm_resident(mm), .swapped = kmm_mm_rss(mm, KMM_RSS_SWAP),
			.tables = kmm_pt_nr_tables(&mm->space),
		};
	}
	return nr;
}

unsigned kmm_oom_rank(struct kmm *k, struct kmm_oom_candidate *out, unsigned most) { return rank(k, NULL, out, most); }

unsigned kmm_group_oom_rank(struct kmm_group *group, struct kmm_oom_candidate *out, unsigned most)
{
	return rank(group->k, group, out, most);
}

/* ---- when ---- */

void kmm_oom_note_kill(struct kmm *k)
{
	kmm_pageq_count(&k->pageq->stats.oom_kills, 1);
}

/* A shortage after a longer pause is another one. */
bool kmm_oom_is_early(struct kmm *k, struct kmm_oom_patience *p, uint64_t now)
{
	if (!kmm_reclaim_may_go_on(k))
		return false;
	if (now - p->last_ns > HELD_NS)
		p->first_ns = now;
	p->last_ns = now;
	return now - p->first_ns < HELD_NS;
}

/* ---- the report ---- */

static unsigned long long kib(kmm_word pages)
{
	return (unsigned long long)pages << (KMM_PAGE_SHIFT - 10);
}

static void say_why(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_swap_stats swap;
	kmm_word anon = 0, file = 0, kernel = 0;
	struct kmm_zone_info zone;

	kmm_swap_stats(k, &swap);
	for (unsigned z = 0; z < KMM_NR_ZONES; z++) {
		if (!kmm_zone_info(k, (enum kmm_zone_id)z, &zone))
			continue;
		anon += zone.kinds[KMM_KIND_ANON];
		file += zone.kinds[KMM_KIND_FILE];
		kernel += zone.managed - zone.free - zone.kinds[KMM_KIND_ANON] - zone.kinds[KMM_KIND_FILE];
	}
	if (!swap.total)
		kmm_printf(out, "there is no swap, so private pages have no other place\n");
	else if (!swap.free)
		kmm_printf(out, "swap is full: %llu KiB\n", kib(swap.total));
	else
		kmm_printf(out, "swap has room (%llu of %llu KiB), but no page can be let go now\n", kib(swap.free), kib(swap.total));
	kmm_printf(out, "private pages %llu KiB, pages of files %llu KiB, the kernel and caches of CPUs %llu KiB\n", kib(anon), kib(file),
		   kib(kernel));
}

static void say_ranked(const struct kmm_oom_candidate *ranked, unsigned nr, struct kmm_sink *out)
{
	for (unsigned i = 0; i < nr; i++)
		kmm_printf(out, "%u: %llu KiB would come back: resident %llu, swapped %llu, tables %llu\n", i + 1, kib(ranked[i].pages),
			   kib(ranked[i].resident), kib(ranked[i].swapped), kib(ranked[i].tables));
}

void kmm_report_oom(struct kmm *k, const struct kmm_oom_candidate *ranked, unsigned nr, struct kmm_sink *out)
{
	say_why(k, out);
	kmm_why_failed(k, out);
	say_ranked(ranked, nr, out);
}

/* ---- a group's ---- */

static void say_limit(const struct kmm_group *group, enum kmm_group_limit which, struct kmm_sink *out)
{
	kmm_word limit = kmm_group_limit(group, which);

	if (limit == KMM_GROUP_NO_LIMIT)
		kmm_printf(out, "without limit");
	else
		kmm_printf(out, "limit %llu", kib(limit));
}

static void say_why_not_swap(struct kmm_group *group, struct kmm_sink *out)
{
	struct kmm_swap_stats swap;

	kmm_swap_stats(group->k, &swap);
	if (!swap.total)
		kmm_printf(out, "there is no swap, so private pages have no other place\n");
	else if (kmm_group_swap_is_full(group))
		kmm_printf(out, "it may have no more of swap\n");
	else if (!swap.free)
		kmm_printf(out, "swap is full: %llu KiB\n", kib(swap.total));
	else
		kmm_printf(out, "it may have more of swap, but no page can be let go now\n");
}

void kmm_report_group_oom(struct kmm_group *group, const struct kmm_oom_candidate *ranked, unsigned nr, struct kmm_sink *out)
{
	struct kmm_group_info info;

	kmm_group_info(group, &info);
	kmm_printf(out, "memory: usage %llu KiB, ", kib(info.pages));
	say_limit(group, KMM_GROUP_MAX, out);
	kmm_printf(out, "; swap: usage %llu KiB, ", kib(info.swap));
	say_limit(group, KMM_GROUP_SWAP_MAX, out);
	kmm_printf(out, "\nprivate pages %llu KiB, pages of files %llu KiB, of those shared memory %llu\n", kib(info.anon),
		   kib(info.file), kib(info.shmem));
	say_why_not_swap(group, out);
	say_ranked(ranked, nr, out);
}

void kmm_group_note_kill(struct kmm_group *group, bool whole)
{
	kmm_group_count_event(group, whole ? KMM_GROUP_EV_OOM_GROUP_KILL : KMM_GROUP_EV_OOM_KILL);
}

void kmm_group_note_oom(struct kmm_group *group) { kmm_group_count_event(group, KMM_GROUP_EV_OOM); }
