/* SPDX-License-Identifier: MIT */
/*
 * What the watchers of areas are told besides faults (kmm/userfault.h): that a space was copied, that watched memory was moved,
 * removed or unmapped.
 *
 *	noted    with m held, before anything changes, for a note takes memory; from then on the watcher's calls that provide
 *	         pages or protect them are refused (u->changing), because they may be about memory as it was
 *	told     when that m is given back, in the order noted, by who gave it back; whose call goes on when the watcher has heard
 *
 * A space notes anything only once a watcher that wants to hear of something watched in it (mm->tells).
 */
#include "kmm/slab.h"
#include "vm/lock.h"

struct kmm_note {
	struct kmm_note *next;
	struct kmm_userfault *u; /* a reference */
	struct kmm_userfault_event event;
};

static struct kmm_note **end_of(struct kmm_mm *mm)
{
	struct kmm_note **at = &mm->notes;

	while (*at)
		at = &(*at)->next;
	return at;
}

enum kmm_status kmm_note(struct kmm_mm *mm, struct kmm_userfault *u, const struct kmm_userfault_event *event)
{
	struct kmm_note *note = kmm_kmalloc(mm->k, sizeof(*note), KMM_GFP_KERNEL);

	KMM_CHECK_HELD(mm->k, &mm->lock);
	KMM_ASSERT(mm->k, mm->tells && (u->events & event->what));
	if (!note)
		return KMM_ENOMEM;
	*note = (struct kmm_note){ NULL, u, *event };
	kmm_userfault_get(u);
	__atomic_fetch_add(&u->changing, 1, __ATOMIC_RELAXED);
	*end_of(mm) = note;
	return KMM_OK;
}

static void end_note(struct kmm *k, struct kmm_note *note)
{
	KMM_ASSERT(k, note->u->changing > 0);
	__atomic_fetch_sub(&note->u->changing, 1, __ATOMIC_RELEASE);
	kmm_userfault_put(note->u);
	kmm_kfree(k, note);
}

/* Notes from *from on, which is in the list, are not to be told after all. */
static void take_back(struct kmm_mm *mm, struct kmm_note **from)
{
	struct kmm_note *note;

	while ((note = *from) != NULL) {
		*from = note->next;
		if (note->event.child)
			kmm_userfault_put(note->event.child);
		end_note(mm->k, note);
	}
}

void kmm_notes_drop(struct kmm_mm *mm) { take_back(mm, &mm->notes); }

void kmm_notes_tell(struct kmm_mm *mm, struct kmm_note *notes)
{
	while (notes) {
		struct kmm_note *note = notes;

		notes = note->next;
		note->u->ops->event(note->u, mm, &note->event);
		end_note(mm->k, note);
	}
}

/* ---- unmapping ---- */

static bool is_noted(const struct kmm_note *notes, const struct kmm_userfault *u, kmm_word start, kmm_word end)
{
	for (; notes; notes = notes->next)
		if (notes->u == u && notes->event.what == KMM_USERFAULT_UNMAP && notes->event.start.v == start &&
		    notes->event.end.v == end)
			return true;
	return false;
}

enum kmm_status kmm_note_unmap_slow(struct kmm_mm *mm, kmm_word start, kmm_word end)
{
	const struct kmm_userfault_event event = { .what = KMM_USERFAULT_UNMAP, .start = kmm_uva(start), .end = kmm_uva(end) };
	struct kmm_note **first = end_of(mm);

	for (struct kmm_vma *vma = kmm_mm_find(mm, start); vma && vma->start < end; vma = kmm_vma_next(vma)) {
		if (!kmm_vma_tells(vma, KMM_USERFAULT_UNMAP) || is_noted(*first, vma->userfault, start, end))
			continue;
		if (kmm_note(mm, vma->userfault, &event) != KMM_OK) {
			take_back(mm, first);
			return KMM_ENOMEM;
		}
	}
	return KMM_OK;
}

/* ---- copying ---- */

enum kmm_status kmm_note_fork(struct kmm_vma *copy, const struct kmm_vma *vma)
{
	struct kmm_userfault_event event = { .what = KMM_USERFAULT_FORK, .child_mm = copy->mm };
	struct kmm_userfault *u = vma->userfault;
	enum kmm_status status = KMM_OK;

	for (const struct kmm_note *n = vma->mm->notes; n && !event.child; n = n->next)
		if (n->u == u && n->event.what == KMM_USERFAULT_FORK)
			event.child = n->event.child;
	if (!event.child) {
		event.child = u->ops->fork(u, copy->mm);
		if (!event.child)
			return KMM_ENOMEM;
		status = kmm_note(vma->mm, u, &event);
		if (status) {
			kmm_userfault_put(event.child);
			return status;
		}
	}
	copy->mm->tells |= event.child->events != 0;
	kmm_vma_watch(copy, event.child, vma->flags & KMM_VM_WATCHED);
	return KMM_OK;
}
