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

void kmm_vma_read_end(struct kmm_vma *vma)
{
	struct kmm *k = vma->mm->k;
	uint32_t was = __atomic_fetch_sub(&vma->users, 1, __ATOMIC_RELEASE);

	KMM_ASSERT(k, was & KMM_AREA_READERS);
	if ((was & ~(uint32_t)KMM_AREA_GONE) == (KMM_AREA_WAITED | 1))
		k->port->wake(k->port, vma);
}

/* In a walk, so that vma is an area, linked or not. */
static bool try_read(struct kmm_mm *mm, struct kmm_vma *vma, kmm_word addr)
{
	uint32_t was = __atomic_fetch_add(&vma->users, 1, __ATOMIC_SEQ_CST);
	uint32_t write_seq = __atomic_load_n(&vma->write_seq, __ATOMIC_SEQ_CST);

	if (write_seq != __atomic_load_n(&mm->write_seq, __ATOMIC_ACQUIRE) && !(was & KMM_AREA_GONE) && covers(vma, addr))
		return true;
	kmm_vma_read_end(vma);
	return false;
}

struct kmm_vma *kmm_vma_read_at(struct kmm_mm *mm, kmm_word addr)
{
	struct kmm *k = mm->k;
	unsigned long flags = kmm_walk_begin(k, &mm->space);
	struct kmm_vma *recent = __atomic_load_n(&mm->recent, __ATOMIC_ACQUIRE), *vma = recent;
	bool got;

	if (!vma || !covers(vma, addr))
		vma = kmm_tree_peek(&mm->tree, addr);
	got = vma && try_read(mm, vma, addr);
	kmm_walk_end(k, flags);
	if (!got)
		return NULL;
	/* Only now: an area that is locked is linked, and whoever unlinks it will look at `recent` after us. */
	if (vma != recent)
		__atomic_store_n(&mm->recent, vma, __ATOMIC_RELEASE);
	return vma;
}

void kmm_vma_read(struct kmm_vma *vma)
{
	uint32_t was = __atomic_fetch_add(&vma->users, 1, __ATOMIC_ACQUIRE);

	KMM_ASSERT(vma->mm->k, !(was & (KMM_AREA_GONE | KMM_AREA_WAITED)));
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

void kmm_vma_write(struct kmm_vma *vma)
{
	struct kmm_mm *mm = vma->mm;

	KMM_ASSERT(mm->k, atomic_load_explicit(&mm->lock.held, memory_order_relaxed) != 0);
	if (kmm_vma_is_written(vma))
		return;
	__atomic_store_n(&vma->write_seq, mm->write_seq, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vma->users, __ATOMIC_SEQ_CST) & KMM_AREA_READERS)
		wait_for_readers(vma);
}

void kmm_vma_write_range(struct kmm_mm *mm, kmm_word start, kmm_word end)
{
	for (struct kmm_vma *vma = kmm_mm_find(mm, start); vma && vma->start < end; vma = kmm_vma_next(vma))
		kmm_vma_write(vma);
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
		kmm_cache_free(k, k->vm->vma_cache, vma);
	}
	kmm_tree_trim(k, &mm->tree);
}

void kmm_mm_unlock(struct kmm_mm *mm)
{
	if (mm->gone || mm->tree.spare)
		free_unlinked(mm);
	__atomic_store_n(&mm->write_seq, mm->write_seq + 1, __ATOMIC_RELEASE);
	kmm_mutex_unlock(mm->k, &mm->lock);
}
