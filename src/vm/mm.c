/* SPDX-License-Identifier: MIT */
/*
 * The life of a space: made empty, referenced, emptied by the last put.
 */
#include "vm/lock.h"
#include "vm/space.h"
#include "vm/vm.h"

static struct kmm_mm_limits default_limits(void)
{
	struct kmm_mm_limits limits = {
		.as_bytes = UINT64_MAX, .data_bytes = UINT64_MAX, .data_hard_bytes = UINT64_MAX, .stack_bytes = (uint64_t)8 << 20,
		.memlock_bytes = (uint64_t)8 << 20, .max_map_count = 65530, .mmap_min_addr = 65536, .stack_guard_pages = 256,
	};

	return limits;
}

struct kmm_mm *kmm_mm_new(struct kmm *k, const struct kmm_mm_limits *limits)
{
	struct kmm_mm *mm = kmm_cache_alloc(k, k->vm->mm_cache, KMM_GFP_KERNEL);
	unsigned long flags;

	if (!mm)
		return NULL;
	*mm = (struct kmm_mm){ .k = k, .limits = *limits, .answer = kmm_answer_of(k) };
	atomic_store_explicit(&mm->refs, 1, memory_order_relaxed);
	kmm_list_init(&mm->vmas);
	if (kmm_pt_space_init(k, &mm->space, mm) != KMM_OK) {
		kmm_cache_free(k, k->vm->mm_cache, mm);
		return NULL;
	}
	flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	kmm_list_add_before(&k->vm->mms, &mm->link);
	k->vm->nr_mms++;
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	return mm;
}

enum kmm_status kmm_mm_create(struct kmm *k, struct kmm_mm **out)
{
	struct kmm_mm_limits limits = default_limits();
	struct kmm_mm *mm = kmm_mm_new(k, &limits);

	if (!mm)
		return KMM_ENOMEM;
	*out = mm;
	return KMM_OK;
}

void kmm_mm_get(struct kmm_mm *mm)
{
	atomic_fetch_add_explicit(&mm->refs, 1, memory_order_relaxed);
}

bool kmm_mm_try_get(struct kmm_mm *mm)
{
	unsigned refs = atomic_load_explicit(&mm->refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak_explicit(&mm->refs, &refs, refs + 1, memory_order_acquire, memory_order_relaxed))
			return true;
	return false;
}

kmm_word kmm_mm_table_end(const struct kmm *k)
{
	const struct kmm_format *fmt = kmm_fmt(k);
	uint64_t root_entry = (uint64_t)1 << fmt->level[fmt->nr_levels - 1].shift;

	return (kmm_word)kmm_align_up(k->layout.user_end_max, root_entry);
}

/* After all entries: area by area, because a search of the whole space costs more than all else in a small process. */
static void free_tables(struct kmm_mm *mm, struct kmm_tlb *tlb)
{
	const kmm_word table = (kmm_word)1 << kmm_fmt(mm->k)->level[1].shift, end = kmm_mm_table_end(mm->k);
	kmm_word done = 0; /* no table below is left, but such as no area needs */

	for (struct kmm_vma *vma = kmm_mm_first(mm); vma; vma = kmm_vma_next(vma)) {
		kmm_word from = vma->start > done ? vma->start : done;

		if (from < vma->end)
			kmm_pt_free_around(mm->k, &mm->space, &(struct kmm_pt_hole){ from, vma->end, 0, end }, tlb);
		done = (kmm_word)kmm_align_up(vma->end, table);
	}
}

/* The areas themselves, when nothing leads to them but the index and the list. */
static void drop_areas(struct kmm_mm *mm)
{
	struct kmm *k = mm->k;
	struct kmm_vma *vma;

	kmm_tree_clear(k, &mm->tree);
	mm->recent = NULL;
	mm->map_count = 0;
	while ((vma = kmm_mm_first(mm)) != NULL) {
		kmm_list_del(&vma->link);
		kmm_vma_drop_backing(vma);
		kmm_vma_unwatch(vma);
		kmm_cache_free(k, k->vm->vma_cache, vma);
	}
	while (mm->nr_spare)
		kmm_cache_free(k, k->vm->vma_cache, mm->spare[--mm->nr_spare]);
}

/* Nobody runs the space any more, but a reverse walk or a truncation may still find its areas; so those leave the
 * reverse maps before tables go. */
static void empty(struct kmm_mm *mm)
{
	struct kmm *k = mm->k;
	struct kmm_tlb tlb;
	struct kmm_vma *vma;

	kmm_tlb_begin(k, &tlb, &mm->space);
	for (vma = kmm_mm_first(mm); vma; vma = kmm_vma_next(vma))
		kmm_zap(vma, vma->start, vma->end, &tlb);
	for (vma = kmm_mm_first(mm); vma; vma = kmm_vma_next(vma))
		kmm_vma_leave_maps(vma);
	free_tables(mm, &tlb);
	if (!kmm_pt_is_bare(k, &mm->space)) /* a call that failed half-way left some in a hole */
		kmm_pt_free_tables(k, &mm->space, 0, kmm_mm_table_end(k), &tlb);
	kmm_tlb_flush(k, &tlb);
	drop_areas(mm);
}

void kmm_mm_put(struct kmm_mm *mm)
{
	struct kmm *k = mm->k;
	unsigned long flags;

	if (atomic_fetch_sub_explicit(&mm->refs, 1, memory_order_acq_rel) != 1)
		return;
	kmm_trace(k, KMM_EV_EXIT, mm->space.root.v, mm->total_pages, 0, 0);
	kmm_mm_lock(mm);
	empty(mm);
	kmm_mm_unlock(mm);
	kmm_mm_leave_groups(mm);
	flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	kmm_list_del(&mm->link);
	k->vm->nr_mms--;
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	KMM_ASSERT(k, kmm_mm_resident(mm) == 0);
	kmm_pt_space_fini(k, &mm->space);
	kmm_cache_free(k, k->vm->mm_cache, mm);
}

struct kmm *kmm_mm_machine(const struct kmm_mm *mm) { return mm->k; }
struct kmm_paddr kmm_mm_root(const struct kmm_mm *mm) { return mm->space.root; }
struct kmm_mm_limits *kmm_mm_limits(struct kmm_mm *mm) { return &mm->limits; }

enum kmm_status kmm_mm_set_policy(struct kmm_mm *mm, enum kmm_policy mode, uint32_t nodes)
{
	enum kmm_status status;

	kmm_mm_lock(mm);
	status = kmm_mempolicy_make(mm->k, mode, nodes, &mm->policy);
	kmm_mm_unlock(mm);
	return status;
}

/* ---- looking ---- */

static bool is_heap(const struct kmm_vma *vma)
{
	return vma->start <= vma->mm->brk && vma->end >= vma->mm->start_brk;
}

static bool is_stack(const struct kmm_vma *vma)
{
	return vma->start <= vma->mm->start_stack && vma->end >= vma->mm->start_stack;
}

const char *kmm_vma_name(const struct kmm_vma *vma)
{
	if (vma->backing)
		return vma->backing->ops->name(vma->backing);
	if (vma->opening)
		return "";
	if (is_heap(vma))
		return "[heap]";
	return is_stack(vma) ? "[stack]" : "";
}

bool kmm_vma_find(struct kmm_mm *mm, struct kmm_uva addr, struct kmm_vma_info *out)
{
	struct kmm_vma *vma;

	kmm_mm_lock(mm);
	vma = kmm_mm_find(mm, addr.v);
	if (vma)
		*out = (struct kmm_vma_info){
			.start = kmm_uva(vma->start), .end = kmm_uva(vma->end), .prot = vma->flags & KMM_VM_ACCESS,
			.shared = (vma->flags & KMM_VM_MAYSHARE) != 0, .grows_down = (vma->flags & KMM_VM_GROWSDOWN) != 0,
			.anonymous = !vma->backing, .pgoff = vma->pgoff, .backing = vma->backing,
			.name = kmm_vma_name(vma),
		};
	kmm_mm_unlock(mm);
	return vma != NULL;
}

void kmm_mm_stats(struct kmm_mm *mm, struct kmm_mm_stats *out)
{
	kmm_mm_lock(mm);
	*out = (struct kmm_mm_stats){
		.faults = kmm_word_look(&mm->faults), .cow_copies = kmm_word_look(&mm->cow_copies),
		.cow_reuses = kmm_word_look(&mm->cow_reuses), .zero_maps = kmm_word_look(&mm->zero_maps),
		.file_maps = kmm_word_look(&mm->file_maps), .total_pages = mm->total_pages,
		.data_pages = mm->data_pages, .stack_pages = mm->stack_pages, .exec_pages = mm->exec_pages,
		.locked_pages = mm->locked_pages, .peak_total = mm->peak_total, .map_count = mm->map_count,
		.start_brk = kmm_uva(mm->start_brk), .brk = kmm_uva(mm->brk), .start_stack = kmm_uva(mm->start_stack),
	};
	out->rss_anon = kmm_mm_rss(mm, KMM_RSS_ANON);
	out->rss_file = kmm_mm_rss(mm, KMM_RSS_FILE);
	out->rss_shmem = kmm_mm_rss(mm, KMM_RSS_SHMEM);
	out->swapped = kmm_mm_rss(mm, KMM_RSS_SWAP);
	out->major_faults = kmm_word_look(&mm->major_faults);
	out->peak_rss = kmm_mm_peak_rss(mm);
	out->table_pages = kmm_pt_nr_tables(&mm->space);
	kmm_mm_unlock(mm);
}

void kmm_mm_set_data(struct kmm_mm *mm, kmm_word bytes)
{
	kmm_mm_lock(mm);
	mm->data_bytes = bytes;
	kmm_mm_unlock(mm);
}

void kmm_mm_set_code(struct kmm_mm *mm, struct kmm_uva start, struct kmm_uva end)
{
	kmm_mm_lock(mm);
	mm->start_code = start.v;
	mm->end_code = end.v;
	kmm_mm_unlock(mm);
}
