/* SPDX-License-Identifier: MIT */
/*
 * Whether a page was used lately: the accessed marks of its entries, found by its owner as a move finds them (migrate.c).
 *
 * A processor sets the mark again only when it walks the tables, so the translations of entries whose marks were taken
 * have to be flushed for that; the caller does it for many pages at once.
 */
#include "vm/migrate.h"

#include "pt/leaf.h"
#include "vm/backing.h"

struct look {
	struct kmm *k;
	const struct kmm_page *page;
	struct kmm_flushes *flushes;
	bool used, kept;
};

static bool look_at(void *arg, struct kmm_vma *vma, const struct kmm_ptref *ref, kmm_word va)
{
	struct look *l = arg;

	if (!kmm_leaf_is_present(ref->entry) || kmm_leaf_page(l->k, kmm_leaf_read(l->k, ref->entry)) != l->page)
		return true;
	l->kept |= (__atomic_load_n(&vma->flags, __ATOMIC_RELAXED) & KMM_VM_LOCKED) != 0;
	if (!(kmm_entry_load_low(ref->entry) & KMM_X86_A))
		return !l->kept;
	l->used = true;
	kmm_leaf_forget(ref->entry);
	(void)kmm_flushes_note(l->flushes, vma->mm->space.root, va);
	return !l->kept;
}

static bool lock_owner(const struct kmm_guest *guest)
{
	struct kmm_mapping *mapping = (struct kmm_mapping *)guest->owner;

	return guest->sort == KMM_OWNER_ANON || kmm_mutex_trylock(&mapping->lock);
}

static void unlock_owner(struct kmm *k, const struct kmm_guest *guest)
{
	struct kmm_mapping *mapping = (struct kmm_mapping *)guest->owner;

	if (guest->sort == KMM_OWNER_MAPPING)
		kmm_mutex_unlock(k, &mapping->lock);
}

/* Locked memory of a file (shmctl(SHM_LOCK)), whoever maps it. */
static bool is_kept_by_file(const struct kmm_guest *guest)
{
	const struct kmm_backing *backing;

	if (guest->sort != KMM_OWNER_MAPPING)
		return false;
	backing = ((const struct kmm_mapping *)guest->owner)->backing;
	return kmm_backing_is_file(backing) && __atomic_load_n(&((const struct kmm_file *)backing)->keeps_pages, __ATOMIC_RELAXED);
}

enum kmm_look kmm_page_look(struct kmm *k, struct kmm_page *page, struct kmm_guest *guest, struct kmm_flushes *flushes)
{
	struct look l = { .k = k, .page = page, .flushes = flushes };
	bool done = false;

	kmm_guest_go_on(k, page, guest);
	if (!guest->owner)
		return KMM_LOOK_NOT;
	if (lock_owner(guest)) {
		done = guest->sort == KMM_OWNER_ANON || kmm_guests_is_alive(guest->owner);
		l.kept = done && is_kept_by_file(guest);
		if (done)
			kmm_guest_walk(k, guest, look_at, &l);
		unlock_owner(k, guest);
	}
	if (!done)
		return KMM_LOOK_NOT;
	return l.kept ? KMM_LOOK_KEPT : l.used ? KMM_LOOK_USED : KMM_LOOK_IDLE;
}
