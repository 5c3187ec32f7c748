/* SPDX-License-Identifier: MIT */
/*
 * Areas: finding, reserving, linking, cutting, and the limits that depend on their flags.
 */
#include "vm/backing.h"
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

/* The area last found answers most questions, for a call asks about one place several times. */
struct kmm_vma *kmm_mm_find(struct kmm_mm *mm, kmm_word addr)
{
	struct kmm_vma *vma = __atomic_load_n(&mm->recent, __ATOMIC_RELAXED);

	if (vma && is_first_above(vma, addr))
		return vma;
	vma = kmm_tree_find(&mm->tree, addr);
	if (vma)
		__atomic_store_n(&mm->recent, vma, __ATOMIC_RELEASE);
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

uint64_t kmm_mm_page_align(const struct kmm_mm *mm, uint64_t len)
{
	uint64_t mask = kmm_fmt(mm->k)->va_bits > 32 ? UINT64_MAX : UINT32_MAX;

	return kmm_align_up(len, KMM_PAGE_SIZE) & mask;
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

	if ((uint64_t)mm->total_pages + pages > limits->as_bytes >> KMM_PAGE_SHIFT)
		return false;
	return !is_data(vm_flags) || (uint64_t)mm->data_pages + pages <= limits->data_bytes >> KMM_PAGE_SHIFT;
}

bool kmm_vm_enough(const struct kmm *k, kmm_word pages)
{
	return pages <= kmm_phys_managed_pages(k);
}

void kmm_mm_account(struct kmm_mm *mm, uint32_t vm_flags, kmm_word pages)
{
	mm->total_pages += pages;
	if (mm->total_pages > mm->peak_total)
		mm->peak_total = mm->total_pages;
	if (is_exec(vm_flags))
		mm->exec_pages += pages;
	else if (vm_flags & STACK)
		kmm_word_add(&mm->stack_pages, pages);
	else if (is_data(vm_flags))
		kmm_word_add(&mm->data_pages, pages);
	if (vm_flags & KMM_VM_LOCKED)
		mm->locked_pages += pages;
}

/* ---- reserving ---- */

enum kmm_status kmm_reserve(struct kmm_mm *mm, struct kmm_reserve *r, unsigned nr_vmas, unsigned inserts, kmm_word at,
			    kmm_word at2)
{
	unsigned nodes = kmm_tree_need(&mm->tree, at, inserts);

	if (at2 != at)
		nodes += kmm_tree_need(&mm->tree, at2, inserts);
	r->nr = 0;
	while (r->nr < nr_vmas) {
		struct kmm_vma *vma = kmm_cache_alloc(mm->k, mm->k->vm->vma_cache, KMM_GFP_KERNEL);

		if (!vma)
			break;
		r->vma[r->nr++] = vma;
	}
	if (r->nr == nr_vmas && kmm_tree_fill(mm->k, &mm->tree, nodes) == KMM_OK)
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
		kmm_cache_free(mm->k, mm->k->vm->vma_cache, r->vma[--r->nr]);
}

/* ---- linking ---- */

void kmm_edit_begin(struct kmm *k, struct kmm_backing *backing)
{
	if (backing)
		kmm_mutex_lock(k, &kmm_mapping_of(backing)->lock);
}

void kmm_edit_end(struct kmm *k, struct kmm_backing *backing)
{
	if (backing)
		kmm_mutex_unlock(k, &kmm_mapping_of(backing)->lock);
}

void kmm_vma_link(struct kmm_mm *mm, struct kmm_vma *vma)
{
	struct kmm_vma *next = kmm_mm_find(mm, vma->start);

	KMM_ASSERT(mm->k, vma->start < vma->end && (!next || next->start >= vma->end));
	vma->users = 0;
	vma->write_seq = mm->write_seq;
	kmm_tree_insert(mm->k, &mm->tree, vma);
	kmm_list_add_before(next ? &next->link : &mm->vmas, &vma->link);
	if (vma->backing)
		kmm_list_add_before(&kmm_mapping_of(vma->backing)->vmas, &vma->by_backing);
	mm->map_count++;
}

void kmm_vma_unlink(struct kmm_mm *mm, struct kmm_vma *vma)
{
	KMM_ASSERT(mm->k, kmm_vma_is_written(vma));
	kmm_anon_unlink(vma);
	if (vma->backing)
		kmm_list_del(&vma->by_backing);
	kmm_tree_erase(mm->k, &mm->tree, vma);
	/* Nobody puts it there again: for that it would have to be locked for reading. */
	if (__atomic_load_n(&mm->recent, __ATOMIC_RELAXED) == vma)
		__atomic_store_n(&mm->recent, kmm_vma_next(vma), __ATOMIC_RELEASE);
	__atomic_fetch_or(&vma->users, KMM_AREA_GONE, __ATOMIC_RELEASE);
	kmm_list_del(&vma->link);
	mm->map_count--;
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
	struct kmm_anon *anon = vma->anon;
	unsigned long flags = 0;

	KMM_ASSERT(k, kmm_vma_is_written(vma));
	if (anon)
		flags = kmm_spin_lock(k, &anon->lock, KMM_LOCK_RMAP);
	/* Each address keeps its index. */
	if (start > vma->start)
		vma->pgoff += (start - vma->start) >> KMM_PAGE_SHIFT;
	else
		vma->pgoff -= (vma->start - start) >> KMM_PAGE_SHIFT;
	kmm_tree_resize(k, &vma->mm->tree, vma, start, end);
	if (anon)
		kmm_spin_unlock(k, &anon->lock, KMM_LOCK_RMAP, flags);
}

void kmm_vma_retire(struct kmm_vma *vma)
{
	struct kmm_mm *mm = vma->mm;

	KMM_ASSERT(mm->k, __atomic_load_n(&vma->users, __ATOMIC_RELAXED) & KMM_AREA_GONE);
	if (vma->backing)
		kmm_backing_put(vma->backing);
	vma->next_gone = mm->gone;
	mm->gone = vma;
}

/* ---- cutting ---- */

void kmm_vma_copy(struct kmm_vma *to, const struct kmm_vma *from, struct kmm_mm *mm)
{
	*to = (struct kmm_vma){ .start = from->start, .end = from->end, .flags = from->flags, .tag = from->tag,
				.cloned = from->cloned, .pgoff = from->pgoff, .mm = mm, .backing = from->backing };
	if (to->backing)
		kmm_backing_get(to->backing);
}

struct kmm_vma *kmm_vma_split(struct kmm_mm *mm, struct kmm_vma *vma, kmm_word addr, struct kmm_vma *tail)
{
	kmm_word end = vma->end;

	KMM_ASSERT(mm->k, vma->start < addr && addr < end);
	kmm_vma_write(vma);
	kmm_vma_copy(tail, vma, mm);
	tail->pgoff = kmm_vma_index(vma, addr);
	tail->start = addr;
	kmm_edit_begin(mm->k, vma->backing);
	kmm_vma_set_range(vma, vma->start, addr);
	kmm_vma_link(mm, tail);
	kmm_anon_link(tail, vma);
	kmm_edit_end(mm->k, vma->backing);
	return tail;
}

bool kmm_mm_is_inside(struct kmm_mm *mm, kmm_word addr)
{
	struct kmm_vma *vma = kmm_mm_find(mm, addr);

	return vma && vma->start < addr;
}

enum kmm_status kmm_reserve_carve(struct kmm_mm *mm, struct kmm_reserve *r, kmm_word start, kmm_word end)
{
	unsigned nr = kmm_mm_is_inside(mm, start) + kmm_mm_is_inside(mm, end);

	return kmm_reserve(mm, r, nr, nr, start, end);
}

enum kmm_status kmm_vma_carve(struct kmm_mm *mm, struct kmm_vma *prev, struct kmm_vma *vma, kmm_word start, kmm_word end,
			      uint32_t flags, struct kmm_reserve *r, struct kmm_vma **out)
{
	struct kmm_piece piece = { start, end, flags, vma->backing, kmm_vma_index(vma, start), vma->anon, vma->tag };

	*out = kmm_vma_merge(mm, prev, &piece);
	if (*out)
		return KMM_OK;
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
	*out = vma;
	return KMM_OK;
}
