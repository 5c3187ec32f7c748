/* SPDX-License-Identifier: MIT */
/*
 * Areas: finding, reserving, linking, cutting, and the limits that depend on their flags.
 */
#include "vm/backing.h"
#include "kmm/swap.h"
#include "pageq/pageq.h"
#include "vm/lock.h"

/* ---- finding ---- */

/* Does addr lie in vma, or in the hole below it? */
static bool is_first_above(const struct kmm_vma *vma, kmm_word addr)
{
	const struct kmm_vma *prev;

	if (addr >= vma->end)
		return false;
	if (addr >= vma->start)
		return true;
	prev = kmm_vma_prev(vma);
	return !prev || addr >= prev->end;
}

/* The next question will be about vma: it was found, made or changed just now. m is held. */
static void ask_first(struct kmm_mm *mm, struct kmm_vma *vma)
{
	__atomic_store_n(&mm->recent, vma, __ATOMIC_RELEASE);
}

/* The area last found answers most questions, for a call asks about one place several times. */
struct kmm_vma *kmm_mm_find(struct kmm_mm *mm, kmm_word addr)
{
	struct kmm_vma *vma = __atomic_load_n(&mm->recent, __ATOMIC_RELAXED);

	KMM_CHECK_HELD(mm->k, &mm->lock);
	if (vma && is_first_above(vma, addr))
		return vma;
	vma = kmm_tree_find(&mm->tree, addr);
	if (vma)
		ask_first(mm, vma);
	return vma;
}

struct kmm_vma *kmm_mm_find_prev(struct kmm_mm *mm, kmm_word addr, struct kmm_vma **prev)
{
	struct kmm_vma *vma = kmm_mm_find(mm, addr);

	if (vma)
		*prev = kmm_vma_prev(vma);
	else
		*prev = kmm_list_empty(&mm->vmas) ? NULL : kmm_container(mm->vmas.prev, struct kmm_vma, link);
	return vma;
}

kmm_word kmm_vma_start_gap(const struct kmm_vma *vma)
{
	kmm_word gap = (kmm_word)vma->mm->limits.stack_guard_pages << KMM_PAGE_SHIFT;

	if (!(vma->flags & KMM_VM_GROWSDOWN))
		return vma->start;
	return vma->start > gap ? vma->start - gap : 0;
}

/* ---- limits ---- */

/* A stack counts as a stack, whatever else it is. */
enum { STACK = KMM_VM_GROWSDOWN };

static bool is_exec(uint32_t f) { return (f & (KMM_VM_EXEC | KMM_VM_WRITE | STACK)) == KMM_VM_EXEC; }
static bool is_data(uint32_t f) { return (f & (KMM_VM_WRITE | KMM_VM_SHARED | STACK)) == KMM_VM_WRITE; }

bool kmm_mm_may_expand(const struct kmm_mm *mm, uint32_t vm_flags, kmm_word pages)
{
	const struct kmm_mm_limits *limits = &mm->limits;
	uint64_t data;

	if ((uint64_t)mm->total_pages + pages > limits->as_bytes >> KMM_PAGE_SHIFT)
		return false;
	/* Linux lets a soft limit of 0 pass, for the sake of Valgrind. */
	data = limits->data_bytes ? limits->data_bytes : limits->data_hard_bytes;
	return !is_data(vm_flags) || (uint64_t)mm->data_pages + pages <= data >> KMM_PAGE_SHIFT;
}

static inline void account_sort(struct kmm_mm *mm, uint32_t vm_flags, kmm_word pages)
{
	if (is_exec(vm_flags))
		mm->exec_pages += pages;
	else if (vm_flags & STACK)
		kmm_word_add(&mm->stack_pages, pages);
	else if (is_data(vm_flags))
		kmm_word_add(&mm->data_pages, pages);
}

void kmm_mm_account(struct kmm_mm *mm, uint32_t vm_flags, kmm_word pages)
{
	mm->total_pages += pages;
	if (mm->total_pages > mm->peak_total)
		mm->peak_total = mm->total_pages;
	account_sort(mm, vm_flags, pages);
	if (vm_flags & KMM_VM_ACCOUNT)
		kmm_word_add(&mm->committed_pages, pages);
	if (!(vm_flags & KMM_VM_LOCKED))
		return;
	mm->locked_pages += pages;
	if (pages > -pages) /* fewer than before */
		kmm_pageq_unlocked(mm->k->pageq);
}

void kmm_mm_account_change(struct kmm_mm *mm, uint32_t old_flags, uint32_t new_flags, kmm_word pages)
{
	KMM_CHECK(mm->k, ((old_flags ^ new_flags) & KMM_VM_LOCKED) == 0);
	account_sort(mm, old_flags, -pages);
	account_sort(mm, new_flags, pages);
	if (~old_flags & new_flags & KMM_VM_ACCOUNT)
		kmm_word_add(&mm->committed_pages, pages);
}

/* ---- reserving ---- */

static struct kmm_vma *new_vma(struct kmm_mm *mm)
{
	struct kmm *k = mm->k;

	if (mm->nr_spare && !kmm_inject(k, "cache object"))
		return mm->spare[--mm->nr_spare];
	return kmm_cache_alloc(k, k->vm->vma_cache, KMM_GFP_KERNEL);
}

void kmm_vma_free(struct kmm_mm *mm, struct kmm_vma *vma)
{
	KMM_CHECK(mm->k, mm->nr_spare <= KMM_SPARE_AREAS);
	if (mm->nr_spare < KMM_SPARE_AREAS)
		mm->spare[mm->nr_spare++] = vma;
	else
		kmm_cache_free(mm->k, mm->k->vm->vma_cache, vma);
}

enum kmm_status kmm_reserve(struct kmm_mm *mm, struct kmm_reserve *r, unsigned nr_vmas, unsigned inserts, kmm_word at,
			    kmm_word at2)
{
	unsigned nodes = kmm_tree_need(&mm->tree, at, inserts);

	KMM_CHECK_HELD(mm->k, &mm->lock);
	KMM_ASSERT(mm->k, nr_vmas <= sizeof(r->vma) / sizeof(r->vma[0]));
	if (at2 != at)
		nodes += kmm_tree_need(&mm->tree, at2, inserts);
	r->nr = 0;
	while (r->nr < nr_vmas) {
		struct kmm_vma *vma = new_vma(mm);

		if (!vma)
			break;
		r->vma[r->nr++] = vma;
	}
	if (r->nr == nr_vmas && (!nodes || kmm_tree_fill(mm->k, &mm->tree, nodes) == KMM_OK))
		return KMM_OK;
	kmm_reserve_drop(mm, r);
	return KMM_ENOMEM;
}

struct kmm_vma *kmm_reserve_take(struct kmm_mm *mm, struct kmm_reserve *r)
{
	KMM_ASSERT(mm->k, r->nr > 0);
	return r->vma[--r->nr];
}

void kmm_reserve_drop(struct kmm_mm *mm, struct kmm_reserve *r)
{
	while (r->nr > 0)
		kmm_vma_free(mm, r->vma[--r->nr]);
}

/* ---- linking ---- */

void kmm_edit_begin(struct kmm *k, struct kmm_backing *backing)
{
	if (backing)
		kmm_mutex_lock_class(k, &kmm_mapping_of(backing)->lock, KMM_LOCK_BACKING);
}

void kmm_edit_end(struct kmm *k, struct kmm_backing *backing)
{
	if (backing)
		kmm_mutex_unlock_class(k, &kmm_mapping_of(backing)->lock, KMM_LOCK_BACKING);
}

static void init_locks(struct kmm_mm *mm, struct kmm_vma *vma)
{
	vma->users = vma->userfault ? KMM_AREA_WATCHED : 0;
	vma->write_seq = mm->write_seq;
}

/* All but the index. */
static void link_in_lists(struct kmm_mm *mm, struct kmm_vma *vma, struct kmm_list *next)
{
	KMM_CHECK_HELD(mm->k, &mm->lock);
	KMM_CHECK(mm->k, vma->mm == mm && vma->start < vma->end);
	kmm_list_add_before(next, &vma->link);
	if (vma->backing)
		kmm_list_add_before(&kmm_mapping_of(vma->backing)->vmas, &vma->by_backing);
	mm->map_count++;
}

void kmm_vma_link(struct kmm_mm *mm, struct kmm_vma *vma)
{
	struct kmm_vma *next = kmm_mm_find(mm, vma->start);

	KMM_ASSERT(mm->k, vma->start < vma->end && (!next || next->start >= vma->end));
	init_locks(mm, vma);
	kmm_tree_insert(mm->k, &mm->tree, vma, vma->start, vma->end);
	link_in_lists(mm, vma, next ? &next->link : &mm->vmas);
	ask_first(mm, vma);
}

/* Out of everything but the index, which it has left. heir: the area to ask first from now on, or NULL. */
static void unlink_from_lists(struct kmm_mm *mm, struct kmm_vma *vma, struct kmm_vma *heir)
{
	KMM_ASSERT(mm->k, kmm_vma_is_written(vma) && mm->map_count > 0);
	if (vma->anon)
		kmm_anon_unlink(vma);
	if (vma->backing)
		kmm_list_del(&vma->by_backing);
	/* Nobody puts it there again: for that it would have to be locked for reading. */
	if (__atomic_load_n(&mm->recent, __ATOMIC_RELAXED) == vma)
		ask_first(mm, heir);
	__atomic_fetch_or(&vma->users, KMM_AREA_GONE, __ATOMIC_RELEASE);
	kmm_list_del(&vma->link);
	mm->map_count--;
}

void kmm_vma_unlink(struct kmm_mm *mm, struct kmm_vma *vma)
{
	kmm_tree_erase(mm->k, &mm->tree, vma, vma->start);
	unlink_from_lists(mm, vma, kmm_vma_next(vma));
}

/* The lock that a reverse walk holds while it looks at the ranges of a family. */
static unsigned long lock_family(struct kmm *k, struct kmm_anon *anon)
{
	return anon ? kmm_spin_lock(k, &anon->lock, KMM_LOCK_RMAP) : 0;
}

static void unlock_family(struct kmm *k, struct kmm_anon *anon, unsigned long flags)
{
	if (anon)
		kmm_spin_unlock(k, &anon->lock, KMM_LOCK_RMAP, flags);
}

void kmm_vma_join(struct kmm_mm *mm, struct kmm_vma *vma, struct kmm_vma *gone)
{
	struct kmm *k = mm->k;
	unsigned long flags = lock_family(k, vma->anon);

	KMM_ASSERT(k, kmm_vma_is_written(vma) && vma->end == gone->start);
	KMM_CHECK(k, kmm_vma_is_written(gone) && (!gone->anon || gone->anon == vma->anon));
	kmm_tree_join(k, &mm->tree, vma, gone);
	unlock_family(k, vma->anon, flags);
	unlink_from_lists(mm, gone, vma);
}

void kmm_vma_leave_maps(struct kmm_vma *vma)
{
	struct kmm *k = vma->mm->k;

	kmm_edit_begin(k, vma->backing);
	kmm_anon_unlink(vma);
	if (vma->backing)
		kmm_list_del(&vma->by_backing);
	kmm_edit_end(k, vma->backing);
}

void kmm_vma_set_range(struct kmm_vma *vma, kmm_word start, kmm_word end)
{
	struct kmm *k = vma->mm->k;
	unsigned long flags = lock_family(k, vma->anon);

	KMM_ASSERT(k, kmm_vma_is_written(vma) && start < end && ((start | end) & (KMM_PAGE_SIZE - 1)) == 0);
	/* Each address keeps its index. */
	if (start > vma->start)
		vma->pgoff += (start - vma->start) >> KMM_PAGE_SHIFT;
	else
		vma->pgoff -= (vma->start - start) >> KMM_PAGE_SHIFT;
	kmm_tree_resize(k, &vma->mm->tree, vma, start, end);
	unlock_family(k, vma->anon, flags);
}

void kmm_vma_retire(struct kmm_vma *vma)
{
	struct kmm_mm *mm = vma->mm;

	KMM_ASSERT(mm->k, __atomic_load_n(&vma->users, __ATOMIC_RELAXED) & KMM_AREA_GONE);
	kmm_vma_drop_backing(vma);
	kmm_vma_unwatch(vma);
	vma->next_gone = mm->gone;
	mm->gone = vma;
}

void kmm_vma_hold_backing(struct kmm_vma *vma)
{
	struct kmm_backing *backing = vma->backing;

	if (vma->opening)
		kmm_opening_get(vma->opening);
	if (!backing)
		return;
	kmm_backing_get(backing);
	if (backing->areas)
		backing->areas->opened(backing);
}

void kmm_vma_drop_backing(struct kmm_vma *vma)
{
	struct kmm_backing *backing = vma->backing;

	if (backing && backing->areas)
		backing->areas->closed(backing);
	if (backing)
		kmm_backing_put(backing);
	if (vma->opening)
		kmm_opening_put(vma->opening);
}

/* ---- cutting ---- */

static inline void copy_from(struct kmm_vma *to, const struct kmm_vma *from, kmm_word start, struct kmm_mm *mm)
{
	to->start = start;
	to->end = from->end;
	to->flags = from->flags;
	to->tag = from->tag;
	to->cloned = from->cloned;
	to->opening = from->opening;
	to->pgoff = kmm_vma_index(from, start);
	to->mm = mm;
	to->backing = from->backing;
	to->anon = NULL;
	to->userfault = from->userfault;
	if (to->userfault)
		kmm_userfault_get(to->userfault);
	kmm_vma_hold_backing(to);
}

void kmm_vma_copy(struct kmm_vma *to, const struct kmm_vma *from, struct kmm_mm *mm)
{
	copy_from(to, from, from->start, mm);
}

struct kmm_vma *kmm_vma_split(struct kmm_mm *mm, struct kmm_vma *vma, kmm_word addr, struct kmm_vma *tail)
{
	struct kmm *k = mm->k;
	unsigned long flags;

	KMM_ASSERT(k, vma->start < addr && addr < vma->end && (addr & (KMM_PAGE_SIZE - 1)) == 0);
	kmm_vma_write(vma);
	copy_from(tail, vma, addr, mm);
	init_locks(mm, tail);
	kmm_edit_begin(k, vma->backing);
	flags = lock_family(k, vma->anon);
	kmm_tree_cut(k, &mm->tree, vma, tail);
	if (vma->anon)
		kmm_anon_join(tail, vma);
	unlock_family(k, vma->anon, flags);
	link_in_lists(mm, tail, vma->link.next);
	KMM_CHECK(k, vma->end == addr && kmm_vma_next(vma) == tail && tail->anon == vma->anon);
	kmm_edit_end(k, vma->backing);
	return tail;
}

bool kmm_mm_is_inside(struct kmm_mm *mm, kmm_word addr)
{
	struct kmm_vma *vma = kmm_mm_find(mm, addr);

	return vma && vma->start < addr;
}

enum kmm_status kmm_reserve_carve(struct kmm_mm *mm, struct kmm_reserve *r, const struct kmm_vma *vma, kmm_word start,
				  kmm_word end)
{
	unsigned nr = 0;

	r->nr = 0;
	if (!vma)
		return KMM_OK;
	if (end > vma->end) {
		nr = (vma->start < start) + kmm_mm_is_inside(mm, end);
		return nr ? kmm_reserve(mm, r, nr, nr, start, end) : KMM_OK;
	}
	/* Both cuts are in one area, so what they insert is in one place. */
	nr = (vma->start < start) + (end < vma->end && vma->start < end);
	return nr ? kmm_reserve(mm, r, nr, nr, vma->start, vma->start) : KMM_OK;
}

enum kmm_status kmm_vma_carve(struct kmm_mm *mm, struct kmm_vma *prev, struct kmm_vma *vma, kmm_word start, kmm_word end,
			      uint32_t flags, struct kmm_reserve *r, struct kmm_vma **out)
{
	if (start == vma->start || end == vma->end) { /* else there is only vma around */
		struct kmm_piece piece = { start, end, flags, vma->backing, kmm_vma_index(vma, start), vma->anon, vma->tag,
					   vma->opening, vma->userfault };

		*out = kmm_vma_merge(mm, prev, &piece);
		if (*out)
			return KMM_OK;
	}
	/* As in Linux the first cut stays if the second is refused; the two halves are one area to the eye. */
	if (start != vma->start) {
		if (mm->map_count >= mm->limits.max_map_count)
			return KMM_ENOMEM;
		vma = kmm_vma_split(mm, vma, start, kmm_reserve_take(mm, r));
	}
	if (end != vma->end) {
		if (mm->map_count >= mm->limits.max_map_count)
			return KMM_ENOMEM;
		kmm_vma_split(mm, vma, end, kmm_reserve_take(mm, r));
	}
	ask_first(mm, vma);
	*out = vma;
	return KMM_OK;
}
