/* SPDX-License-Identifier: MIT */
/*
 * Locking areas, and giving the space's mutex back with all that hangs on it: areas written, areas and nodes removed.
 */
#include "vm/lock.h"

#include "pt/walking.h"

/* ---- readers ---- */

static bool covers(const struct kmm_vma *vma, kmm_word addr)
{
	return __atomic_load_n(&vma->start, __ATOMIC_RELAXED) <= addr && addr < __atomic_load_n(&vma->end, __ATOMIC_RELAXED);
}

static void give_back(struct kmm_vma *vma)
{
	struct kmm *k = vma->mm->k;
	uint32_t was = __atomic_fetch_sub(&vma->users, 1, __ATOMIC_RELEASE);

	KMM_CHECK(k, was & KMM_AREA_READERS);
	if ((was & ~(uint32_t)(KMM_AREA_GONE | KMM_AREA_WATCHED)) == (KMM_AREA_WAITED | 1))
		k->port->wake(k->port, vma);
}

void kmm_vma_read_end(struct kmm_vma *vma)
{
	if (KMM_LOCK_ORDER)
		kmm_sleep_forget(vma->mm->k, KMM_LOCK_AREA);
	give_back(vma);
}

/* In a walk, so that vma is an area, linked or not. */
static bool try_read(struct kmm_mm *mm, struct kmm_vma *vma, kmm_word addr)
{
	uint32_t was = __atomic_fetch_add(&vma->users, 1, __ATOMIC_SEQ_CST);
	uint32_t write_seq = __atomic_load_n(&vma->write_seq, __ATOMIC_SEQ_CST);

	if (write_seq != __atomic_load_n(&mm->write_seq, __ATOMIC_ACQUIRE) && !(was & (KMM_AREA_GONE | KMM_AREA_WATCHED)) && covers(vma, addr))
		return true;
	give_back(vma);
	return false;
}

struct kmm_vma *kmm_vma_read_at(struct kmm_mm *mm, kmm_word addr)
{
	struct kmm *k = mm->k;
	unsigned long flags;
	struct kmm_vma *recent, *vma;
	bool got;

	if (KMM_LOCK_ORDER)
		kmm_sleep_may(k, KMM_LOCK_AREA);
	flags = kmm_walk_begin(k, &mm->space);
	vma = recent = __atomic_load_n(&mm->recent, __ATOMIC_ACQUIRE);
	if (!vma || !covers(vma, addr))
		vma = kmm_tree_peek(&mm->tree, addr);
	got = vma && try_read(mm, vma, addr);
	kmm_walk_end(k, flags);
	if (!got)
		return NULL;
	if (KMM_LOCK_ORDER)
		kmm_sleep_note(k, KMM_LOCK_AREA);
	/* Only now: an area that is locked is linked, and whoever unlinks it will look at `recent` after us. */
	if (vma != recent)
		__atomic_store_n(&mm->recent, vma, __ATOMIC_RELEASE);
	return vma;
}

void kmm_vma_read(struct kmm_vma *vma)
{
	uint32_t was;

	if (KMM_LOCK_ORDER)
		kmm_sleep_may(vma->mm->k, KMM_LOCK_AREA);
	was = __atomic_fetch_add(&vma->users, 1, __ATOMIC_ACQUIRE);

	KMM_ASSERT(vma->mm->k, !(was & (KMM_AREA_GONE | KMM_AREA_WAITED)));
	if (KMM_LOCK_ORDER)
		kmm_sleep_note(vma->mm->k, KMM_LOCK_AREA);
	(void)was;
}

/* ---- writers ---- */

static bool readers_are_gone(void *arg)
{
	const struct kmm_vma *vma = arg;

	return (__atomic_load_n(&vma->users, __ATOMIC_ACQUIRE) & KMM_AREA_READERS) == 0;
}

static void wait_for_readers(struct kmm_vma *vma)
{
	struct kmm *k = vma->mm->k;

	if (!k->port->wait) {
		k->port->fatal(k->port, __FILE__, __LINE__, "an area is in use and the port cannot wait");
		return;
	}
	__atomic_fetch_or(&vma->users, KMM_AREA_WAITED, __ATOMIC_SEQ_CST);
	k->port->wait(k->port, vma, readers_are_gone, vma);
	__atomic_fetch_and(&vma->users, ~(uint32_t)KMM_AREA_WAITED, __ATOMIC_RELAXED);
}

void kmm_vma_write_first(struct kmm_vma *vma)
{
	struct kmm_mm *mm = vma->mm;

	if (KMM_LOCK_ORDER) /* it may come to waiting for readers, who may take what comes after */
		kmm_sleep_may(mm->k, KMM_LOCK_AREA);
	KMM_ASSERT(mm->k, atomic_load_explicit(&mm->lock.held, memory_order_relaxed) != 0);
	__atomic_store_n(&vma->write_seq, mm->write_seq, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vma->users, __ATOMIC_SEQ_CST) & KMM_AREA_READERS)
		wait_for_readers(vma);
}

/* ---- giving m back ---- */

/* What was unlinked may still be under the eyes of a walk. */
static void free_unlinked(struct kmm_mm *mm)
{
	struct kmm *k = mm->k;

	kmm_walks_wait(k, &mm->space);
	while (mm->gone) {
		struct kmm_vma *vma = mm->gone;

		mm->gone = vma->next_gone;
		kmm_vma_free(mm, vma);
	}
	kmm_tree_trim(k, &mm->tree, KMM_TREE_KEEP);
}

void kmm_mm_unlock(struct kmm_mm *mm)
{
	struct kmm_note *notes = mm->notes;

	mm->notes = NULL;
	if (mm->gone || mm->tree.nr_spare > KMM_TREE_KEEP)
		free_unlinked(mm);
	__atomic_store_n(&mm->write_seq, mm->write_seq + 1, __ATOMIC_RELEASE);
	kmm_mutex_unlock_class(mm->k, &mm->lock, KMM_LOCK_MM);
	if (__builtin_expect(notes != NULL, 0))
		kmm_notes_tell(mm, notes);
}
