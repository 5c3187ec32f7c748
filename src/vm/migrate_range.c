/* SPDX-License-Identifier: MIT */
/*
 * Moving single frames and ranges out of the way: for hot removal, contiguous areas, and whoever needs these very frames.
 *
 * Nothing is isolated here: targets that happen to lie in the range, as the frames just emptied do, are put aside until the
 * end, so that the same ones do not come again. A page that somebody holds for a moment is tried a few times.
 */
#include "vm/migrate.h"

#include "phys/phys.h"

enum { ROUNDS = 4 };

struct evacuation {
	struct kmm *k;
	kmm_word first, end;
	struct kmm_page_list aside;
};

static struct kmm_page *target_outside(void *arg, enum kmm_kind kind)
{
	struct evacuation *e = arg;

	for (;;) {
		struct kmm_page *page = kmm_phys_alloc(e->k, KMM_GFP_HIGHUSER_MOVABLE | KMM_GFP_NOWARN, 0, kind,
						       "migration target");
		kmm_word pfn = page ? kmm_page_to_pfn(e->k, page).v : 0;

		if (!page || pfn < e->first || pfn >= e->end)
			return page;
		kmm_page_list_add(e->k, &e->aside, page);
	}
}

static void give_aside_back(struct evacuation *e)
{
	struct kmm_page *page;

	while ((page = kmm_page_list_first(e->k, &e->aside)) != NULL) {
		kmm_page_list_del(e->k, &e->aside, page);
		kmm_phys_free(e->k, page, 0);
	}
}

static bool is_live(const struct kmm *k, kmm_word pfn)
{
	return kmm_section_is_live(k->phys, kmm_section_of(pfn));
}

/* The next frames from *at on that may move; their number. */
static unsigned gather(const struct kmm *k, kmm_word *at, kmm_word end, kmm_word *pfns)
{
	unsigned nr = 0;

	for (; *at < end && nr < KMM_MOVE_BATCH; ++*at) {
		if (!is_live(k, *at)) {
			*at |= KMM_SECTION_PAGES - 1;
			continue;
		}
		if (kmm_frame_may_move(k, kmm_page_at(k->phys, *at)))
			pfns[nr++] = *at;
	}
	return nr;
}

static enum kmm_status move_all(struct kmm_mover *mover, kmm_word first, kmm_word end)
{
	enum kmm_status status = KMM_OK;
	kmm_word pfns[KMM_MOVE_BATCH], at = first;

	while (at < end && status == KMM_OK) {
		unsigned nr = gather(mover->k, &at, end, pfns);

		if (nr)
			status = kmm_move_frames(mover, pfns, nr);
	}
	return status;
}

/* Frames in use in [first, end), by the blocks that begin there. */
static kmm_word count_used(struct kmm *k, kmm_word first, kmm_word end)
{
	kmm_word used = 0, step;

	for (kmm_word pfn = first; pfn < end; pfn += step) {
		const struct kmm_page *page = kmm_page_at(k->phys, pfn);
		enum kmm_kind kind;

		step = 1;
		if (!is_live(k, pfn))
			continue;
		kind = kmm_page_kind(page);
		if (kind < KMM_KIND_RESERVED)
			continue;
		if (kind >= KMM_KIND_KERNEL)
			step = (kmm_word)1 << kmm_page_order(page);
		used += step < end - pfn ? step : end - pfn;
	}
	return used;
}

enum kmm_status kmm_migrate_range(struct kmm *k, struct kmm_pfn first, kmm_word nr, kmm_word *left)
{
	struct evacuation e = { .k = k, .first = first.v, .end = first.v + nr };
	struct kmm_mover mover = { .k = k, .may_wait = true, .target = target_outside, .arg = &e };
	enum kmm_status status = KMM_OK;
	kmm_word used;

	if (e.end < e.first || e.end > k->phys->max_pfn)
		return KMM_EINVAL;
	for (unsigned round = 0; round < ROUNDS && status == KMM_OK; round++) {
		mover.failed = 0;
		status = move_all(&mover, e.first, e.end);
		if (!mover.failed)
			break;
	}
	give_aside_back(&e);
	used = count_used(k, e.first, e.end);
	if (left)
		*left = used;
	return status == KMM_OK && used ? KMM_EBUSY : status;
}

enum kmm_status kmm_migrate_page(struct kmm *k, struct kmm_pfn pfn)
{
	struct evacuation e = { .k = k, .first = pfn.v, .end = pfn.v + 1 };
	struct kmm_mover mover = { .k = k, .may_wait = true, .target = target_outside, .arg = &e };
	enum kmm_status status;

	if (!kmm_pfn_is_ram(k, pfn))
		return KMM_EINVAL;
	if (!is_live(k, pfn.v) || !kmm_frame_may_move(k, kmm_page_at(k->phys, pfn.v)))
		return KMM_EBUSY;
	status = kmm_move_frames(&mover, &pfn.v, 1);
	give_aside_back(&e);
	return status == KMM_OK && !mover.moved ? KMM_EBUSY : status;
}

void kmm_migrate_stats(const struct kmm *k, struct kmm_migrate_stats *out)
{
	*out = (struct kmm_migrate_stats){ 0, 0 };
	if (k->vm)
		*out = (struct kmm_migrate_stats){ __atomic_load_n(&k->vm->nr_moved, __ATOMIC_RELAXED),
						   __atomic_load_n(&k->vm->nr_not_moved, __ATOMIC_RELAXED) };
}
