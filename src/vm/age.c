/* SPDX-License-Identifier: MIT */
/*
 * Whether pages were used lately: the accessed marks of their entries, found by their owner as a move finds them (migrate.c).
 *
 * Looking at pages is most of what reclaim does, and pages that follow each other mostly have one owner. So the owner's
 * lock is held from one page to the next, and so is the lock of the table in which the last entry was found.
 *
 * A processor sets the mark again only when it walks the tables, so the translations of entries whose marks were taken
 * have to be flushed for that; the caller does it for many pages at once.
 */
#include "vm/migrate.h"

#include "pt/leaf.h"
#include "pt/map.h"
#include "vm/backing.h"

struct looker {
	struct kmm *k;
	struct kmm_flushes *flushes;
	struct kmm_guest guest;   /* inside of the owner of the last page; owner NULL: of none */
	bool locked, kept;        /* the owner is locked and lives; it keeps its pages in memory */
	unsigned long flags;      /* of the owner's lock, if that is a spin lock */
	const struct kmm_mm *mm;  /* whose table is locked; NULL: none is */
	kmm_word last;            /* address of the last byte that the table covers */
	struct kmm_ptref ref;     /* an entry of it */
	unsigned long table_flags;
};

/* ---- tables ---- */

static void leave_table(struct looker *l)
{
	if (l->mm)
		kmm_pt_unlock(l->k, &l->ref, l->table_flags);
	l->mm = NULL;
}

/* The entry for va, its table locked. NULL: there is none. */
static void *entry_at(struct looker *l, struct kmm_mm *mm, kmm_word va)
{
	kmm_word last = kmm_pt_entry_last(l->k, va, 1);

	if (l->mm != mm || l->last != last) {
		leave_table(l);
		if (!kmm_pt_lookup_lock(l->k, &mm->space, va, &l->ref, &l->table_flags))
			return NULL;
		l->mm = mm;
		l->last = last;
	}
	/* a table is a page */
	return (char *)((uintptr_t)l->ref.entry & ~(uintptr_t)(KMM_PAGE_SIZE - 1)) +
	       kmm_pt_index(l->k, va, 0) * kmm_pt_fmt(l->k)->entry_size;
}

/* ---- owners ---- */

/* Locked memory of a file (shmctl(SHM_LOCK)), whoever maps it. */
static bool is_kept_by_file(const struct kmm_mapping *mapping)
{
	return kmm_backing_is_file(mapping->backing) &&
	       __atomic_load_n(&((const struct kmm_file *)mapping->backing)->keeps_pages, __ATOMIC_RELAXED);
}

static void leave_owner(struct looker *l)
{
	struct kmm_guests *owner = l->guest.owner;

	leave_table(l);
	if (l->locked && l->guest.sort == KMM_OWNER_ANON)
		kmm_spin_unlock(l->k, &((struct kmm_anon *)owner)->lock, KMM_LOCK_RMAP, l->flags);
	else if (l->locked)
		kmm_mutex_unlock(l->k, &((struct kmm_mapping *)owner)->lock);
	l->locked = false;
	if (owner)
		kmm_guest_leave(l->k, &l->guest);
	l->guest.owner = NULL;
}

static void lock_file(struct looker *l)
{
	struct kmm_mapping *mapping = (struct kmm_mapping *)l->guest.owner;

	if (!kmm_mutex_trylock(&mapping->lock))
		return;
	l->locked = kmm_guests_is_alive(&mapping->guests);
	if (!l->locked)
		kmm_mutex_unlock(l->k, &mapping->lock);
	l->kept = l->locked && is_kept_by_file(mapping);
}

static void enter_owner(struct looker *l, const struct kmm_page *page)
{
	leave_owner(l);
	l->guest = kmm_guest_enter(l->k, page);
	l->kept = false;
	if (!l->guest.owner)
		return;
	if (l->guest.sort == KMM_OWNER_MAPPING) {
		lock_file(l);
		return;
	}
	l->flags = kmm_spin_lock(l->k, &((struct kmm_anon *)l->guest.owner)->lock, KMM_LOCK_RMAP);
	l->locked = true;
}

/* ---- pages ---- */

static enum kmm_look look_at(struct looker *l, const struct kmm_page *page, struct kmm_vma *vma)
{
	uint64_t place = l->guest.index - vma->pgoff;
	kmm_word va;
	void *entry;

	if (l->guest.index < vma->pgoff || place >= kmm_vma_pages(vma))
		return KMM_LOOK_IDLE;
	va = vma->start + ((kmm_word)place << KMM_PAGE_SHIFT);
	entry = entry_at(l, vma->mm, va);
	if (!entry || !kmm_leaf_is_present(entry) || kmm_leaf_page(l->k, kmm_leaf_read(l->k, entry)) != page)
		return KMM_LOOK_IDLE;
	if (__atomic_load_n(&vma->flags, __ATOMIC_RELAXED) & KMM_VM_LOCKED)
		return KMM_LOOK_KEPT;
	if (!(kmm_entry_load_low(entry) & KMM_X86_A))
		return KMM_LOOK_IDLE;
	kmm_leaf_forget(entry);
	(void)kmm_flushes_note(l->flushes, vma->mm->space.root, va);
	return KMM_LOOK_USED;
}

static struct kmm_vma *area_of(const struct looker *l, struct kmm_list *link)
{
	return l->guest.sort == KMM_OWNER_ANON ? kmm_container(link, struct kmm_vma, by_anon)
					       : kmm_container(link, struct kmm_vma, by_backing);
}

/* The owner locked. */
static enum kmm_look look_at_all(struct looker *l, const struct kmm_page *page)
{
	struct kmm_list *head = l->guest.sort == KMM_OWNER_ANON ? &((struct kmm_anon *)l->guest.owner)->vmas
								: &((struct kmm_mapping *)l->guest.owner)->vmas;
	enum kmm_look look = l->kept ? KMM_LOOK_KEPT : KMM_LOOK_IDLE;

	for (struct kmm_list *link = head->next; link != head && look != KMM_LOOK_KEPT; link = link->next) {
		enum kmm_look here = look_at(l, page, area_of(l, link));

		look = here > look ? here : look;
	}
	return look;
}

_Static_assert(KMM_LOOK_IDLE < KMM_LOOK_USED && KMM_LOOK_USED < KMM_LOOK_KEPT, "what counts more is more");

void kmm_pages_look(struct kmm *k, struct kmm_page *const *pages, enum kmm_look *looks, unsigned nr, struct kmm_flushes *flushes)
{
	struct looker l = { .k = k, .flushes = flushes };

	KMM_ASSERT(k, nr <= KMM_MOVE_BATCH);
	for (unsigned i = 0; i < nr; i++) {
		if (!kmm_guest_goes_on(k, pages[i], &l.guest))
			enter_owner(&l, pages[i]);
		looks[i] = l.locked ? look_at_all(&l, pages[i]) : KMM_LOOK_NOT;
	}
	leave_owner(&l);
}
