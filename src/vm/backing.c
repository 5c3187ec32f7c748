/* SPDX-License-Identifier: MIT */
/*
 * Backings: references, the list of areas that show one, and the two kinds that the core makes by itself: shared
 * anonymous memory and frames of the embedder.
 */
#include "vm/backing.h"

#include "pt/leaf.h"
#include "vm/mm.h"

void kmm_backing_init(struct kmm_backing *backing, struct kmm *k, const struct kmm_backing_ops *ops)
{
	*backing = (struct kmm_backing){ .ops = ops, .k = k, .refs = 1 };
}

void kmm_backing_get(struct kmm_backing *backing)
{
	struct kmm *k = backing->k;
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);

	KMM_ASSERT(k, backing->refs > 0);
	backing->refs++;
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
}

void kmm_opening_get(struct kmm_opening *opening)
{
	__atomic_fetch_add(&opening->refs, 1, __ATOMIC_RELAXED);
}

void kmm_opening_put(struct kmm_opening *opening)
{
	if (__atomic_sub_fetch(&opening->refs, 1, __ATOMIC_ACQ_REL) == 0 && opening->release)
		opening->release(opening);
}

void kmm_backing_put(struct kmm_backing *backing)
{
	struct kmm *k = backing->k;
	struct kmm_mapping *mapping = backing->mappings;
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	bool last, free = false;

	KMM_ASSERT(k, backing->refs > 0);
	last = --backing->refs == 0;
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	if (!last)
		return;
	if (mapping) {
		KMM_ASSERT(k, kmm_list_empty(&mapping->vmas));
		if (kmm_backing_is_file(backing))
			kmm_file_settle((struct kmm_file *)backing);
		backing->mappings = NULL;
		kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING); /* who moves pages of the file has it till he is done */
		free = kmm_guests_over(k, &mapping->guests);
		kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	}
	backing->ops->release(backing);
	if (free) /* now that no page names it any more */
		kmm_cache_free(k, k->vm->mapping_cache, mapping);
}

/* Two first users may come at once; the one who is late gives its own back. */
struct kmm_mapping *kmm_mapping_get(struct kmm_backing *backing)
{
	struct kmm *k = backing->k;
	struct kmm_mapping *mapping = backing->mappings;
	unsigned long flags;

	if (mapping)
		return mapping;
	mapping = kmm_cache_alloc(k, k->vm->mapping_cache, KMM_GFP_KERNEL);
	if (!mapping)
		return NULL;
	*mapping = (struct kmm_mapping){ .backing = backing };
	kmm_list_init(&mapping->vmas);
	kmm_guests_init(&mapping->guests, KMM_OWNER_MAPPING);
	flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	if (!backing->mappings) {
		backing->mappings = mapping;
		mapping = NULL;
	}
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	if (mapping)
		kmm_cache_free(k, k->vm->mapping_cache, mapping);
	return backing->mappings;
}

/* The part of vma that shows pages [first, end) of its backing. false: none. */
static bool clip(const struct kmm_vma *vma, uint64_t first, uint64_t end, kmm_word *from, kmm_word *to)
{
	uint64_t nr = kmm_vma_pages(vma);

	if (end <= vma->pgoff || first >= vma->pgoff + nr)
		return false;
	*from = first <= vma->pgoff ? vma->start : vma->start + ((kmm_word)(first - vma->pgoff) << KMM_PAGE_SHIFT);
	*to = end - vma->pgoff >= nr ? vma->end : vma->start + ((kmm_word)(end - vma->pgoff) << KMM_PAGE_SHIFT);
	return true;
}

/* What is unmapped of an area. */
typedef void unmap_fn(struct kmm_vma *vma, kmm_word from, kmm_word to, struct kmm_tlb *tlb);

static void unmap_each(struct kmm *k, struct kmm_mapping *mapping, uint64_t first, uint64_t end, unmap_fn *unmap)
{
	KMM_CHECK_HELD(k, &mapping->lock);
	KMM_ASSERT(k, first <= end);
	for (struct kmm_list *l = mapping->vmas.next; l != &mapping->vmas; l = l->next) {
		struct kmm_vma *vma = kmm_container(l, struct kmm_vma, by_backing);
		struct kmm_tlb tlb;
		kmm_word from, to;

		if (!clip(vma, first, end, &from, &to))
			continue;
		kmm_tlb_begin(k, &tlb, &vma->mm->space);
		unmap(vma, from, to, &tlb);
		kmm_tlb_flush(k, &tlb);
	}
}

void kmm_mapping_unmap(struct kmm *k, struct kmm_mapping *mapping, uint64_t first, uint64_t end)
{
	unmap_each(k, mapping, first, end, kmm_zap_pages);
}

/* ---- unmapping what a hole was punched into ---- */

struct shown {
	struct kmm *k;
	kmm_word at;
};

/* Stops at the first entry that shows a page of the backing itself. */
static bool find_shown(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct shown *s = arg;

	for (unsigned i = 0; i < nr; i++) {
		void *entry = kmm_ptref_at(s->k, first, i).entry;

		if (!kmm_leaf_is_mapped(entry) || kmm_page_kind(kmm_leaf_page(s->k, kmm_leaf_read(s->k, entry))) == KMM_KIND_ANON)
			continue;
		s->at = va + ((kmm_word)i << KMM_PAGE_SHIFT);
		return false;
	}
	return true;
}

/* Private copies stay, for they show nothing of the backing any more. */
static void unmap_shown(struct kmm_vma *vma, kmm_word from, kmm_word to, struct kmm_tlb *tlb)
{
	struct shown s = { .k = vma->mm->k };
	kmm_word resume;

	if (!kmm_vma_is_private(vma)) {
		kmm_zap_pages(vma, from, to, tlb);
		return;
	}
	while (from < to && !kmm_pt_for_each_run(s.k, &vma->mm->space, from, to, find_shown, &s, &resume)) {
		kmm_zap_pages(vma, s.at, s.at + KMM_PAGE_SIZE, tlb);
		from = s.at + KMM_PAGE_SIZE;
	}
}

void kmm_mapping_unmap_shown(struct kmm *k, struct kmm_mapping *mapping, uint64_t first, uint64_t end)
{
	unmap_each(k, mapping, first, end, unmap_shown);
}

static bool has_mark(const struct kmm_page *page, uint32_t mark)
{
	return (__atomic_load_n(&page->flags, __ATOMIC_RELAXED) & mark) != 0;
}

bool kmm_page_is_cut_off(const struct kmm_page *page)
{
	return has_mark(page, KMM_PG_CUT_OFF);
}

void kmm_page_cut_off(struct kmm *k, struct kmm_page *page)
{
	__atomic_fetch_or(&page->flags, (uint32_t)KMM_PG_CUT_OFF, __ATOMIC_RELAXED);
	kmm_page_set_owner(k, page, NULL);
}

/* ---- shared anonymous memory ---- */

static void free_shm(struct kmm_file *file)
{
	kmm_cache_free(file->backing.k, file->backing.k->vm->shm_cache, file);
}

bool kmm_backing_is_shm(const struct kmm_backing *backing)
{
	return kmm_backing_is_file(backing) && ((const struct kmm_file *)backing)->is_shared_memory;
}

struct kmm_backing *kmm_shm_create(struct kmm *k, uint64_t size, bool commits)
{
	struct kmm_file *file = kmm_cache_alloc(k, k->vm->shm_cache, KMM_GFP_KERNEL);
	unsigned long flags;

	if (!file)
		return NULL;
	kmm_file_init(file, k, size, "/dev/zero (deleted)");
	file->destroy = free_shm;
	file->is_shared_memory = true;
	file->committed = commits ? size >> KMM_PAGE_SHIFT : 0;
	__atomic_fetch_add(&k->vm->shared_committed, (kmm_word)file->committed, __ATOMIC_RELAXED);
	file->backing.dev_minor = 1;
	flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	file->backing.ino = ++k->vm->next_ino;
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	return &file->backing;
}

/* ---- frames of the embedder ---- */

struct special {
	struct kmm_backing backing; /* first */
	const char *name;
	kmm_word nr;
	struct kmm_page *page[];
};

static enum kmm_status special_page(struct kmm_backing *backing, uint64_t index, struct kmm_page **out)
{
	struct special *special = (struct special *)backing;

	if (index >= special->nr)
		return KMM_ERANGE;
	*out = special->page[index];
	kmm_get_page(backing->k, *out);
	return KMM_OK;
}

static void special_release(struct kmm_backing *backing)
{
	struct special *special = (struct special *)backing;

	for (kmm_word i = 0; i < special->nr; i++)
		kmm_put_page(backing->k, special->page[i]);
	kmm_kfree(backing->k, special);
}

static const char *special_name(struct kmm_backing *backing)
{
	return ((struct special *)backing)->name;
}

static const struct kmm_backing_ops special_ops = {
	.get_page = special_page, .release = special_release, .name = special_name
};

bool kmm_backing_is_special(const struct kmm_backing *backing)
{
	return backing->ops == &special_ops;
}

struct kmm_backing *kmm_special_create(struct kmm *k, struct kmm_page *const *pages, kmm_word nr, const char *name)
{
	struct special *special = kmm_kmalloc(k, sizeof(*special) + (size_t)nr * sizeof(special->page[0]), KMM_GFP_KERNEL);

	if (!special)
		return NULL;
	kmm_backing_init(&special->backing, k, &special_ops);
	special->name = name;
	special->nr = nr;
	for (kmm_word i = 0; i < nr; i++) {
		special->page[i] = pages[i];
		kmm_get_page(k, pages[i]);
	}
	return &special->backing;
}
