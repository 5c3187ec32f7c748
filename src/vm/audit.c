/* SPDX-License-Identifier: MIT */
/*
 * Proves tier c. Two passes over the same facts from opposite ends:
 *
 *   spaces:  each present entry lies in an area, shows a frame fit for it with rights the area has, and the resident
 *            counts are the sums of the entries
 *   frames:  each user frame is found by its reverse map as often as its map count says, and its references are its
 *            mappings, its cache and its pins, no more
 *
 * If besides the entries of all spaces are as many as all map counts together, every entry is known to the reverse map.
 */
#include "swap/swap.h"
#include "vm/backing.h"
#include "vm/mm.h"

struct audit {
	struct kmm *k;
	struct kmm_sink *out;
	unsigned bad;
	kmm_word nr_entries;      /* of ANON and FILE frames, over all spaces */
	kmm_word nr_mapcounts;
	kmm_word nr_dirty;        /* of files with stores */
	kmm_word nr_pins;
	unsigned nr_anon;         /* distinct anon objects met */
	/* the space being looked at */
	struct kmm_mm *mm;
	kmm_word rss[KMM_NR_RSS];
};

static void complain(struct audit *a, const char *what, unsigned long long at, unsigned long long value)
{
	a->bad++;
	if (a->out)
		kmm_printf(a->out, "spaces: %s (at %llx: %llx)\n", what, at, value);
}

/* ---- entries ---- */

static bool is_user_kind(enum kmm_kind kind)
{
	return kind == KMM_KIND_ANON || kind == KMM_KIND_FILE || kind == KMM_KIND_ZERO || kind == KMM_KIND_KERNEL ||
	       kind == KMM_KIND_RESERVED;
}

static void check_rights(struct audit *a, const struct kmm_vma *vma, kmm_word va, const struct kmm_page *page,
			 uint32_t flags)
{
	uint32_t allowed = kmm_vma_leaf(a->k, vma->flags);
	bool anon = kmm_page_kind(page) == KMM_KIND_ANON;

	if (flags & ~allowed & (KMM_PTE_USER | (kmm_fmt(a->k)->has_nx ? KMM_PTE_EXEC : 0)))
		complain(a, "an entry has rights that its area has not", va, flags);
	if ((flags & (KMM_PTE_WRITE | KMM_PTE_DIRTY)) && kmm_page_is_stored_clean(page))
		complain(a, "a page can be written or was, and its file takes it for clean", va, flags);
	if (!(flags & KMM_PTE_WRITE))
		return;
	if (!(vma->flags & KMM_VM_WRITE))
		complain(a, "a writable entry in an area that is not", va, flags);
	if (kmm_vma_is_private(vma) && !anon)
		complain(a, "a writable entry of a private area for a frame that is not its own", va, flags);
	if (anon && atomic_load(&page->count) > 1)
		complain(a, "a writable entry for a shared private frame", va, atomic_load(&page->count));
}

static void check_owner(struct audit *a, const struct kmm_vma *vma, kmm_word va, const struct kmm_page *page)
{
	enum kmm_kind kind = kmm_page_kind(page);

	if (kind == KMM_KIND_ANON && (!vma->anon || kmm_page_owner(a->k, page) != vma->anon))
		complain(a, "a private frame of another family of areas", va, kmm_page_index(a->k, page));
	if (kind == KMM_KIND_FILE && (!vma->backing || kmm_page_owner(a->k, page) != kmm_mapping_of(vma->backing)))
		complain(a, "a file frame of another file", va, kmm_page_index(a->k, page));
	if ((kind == KMM_KIND_ANON || kind == KMM_KIND_FILE) && kmm_page_index(a->k, page) != kmm_vma_index(vma, va))
		complain(a, "a frame shows under another page number than its own", va, kmm_page_index(a->k, page));
	if (kind == KMM_KIND_ZERO && (vma->backing || page != a->k->vm->zero_page))
		complain(a, "the zero page where it does not belong", va, 0);
}

static void check_entry(struct audit *a, kmm_word va, struct kmm_pte pte, uint64_t raw)
{
	struct kmm_vma *vma = kmm_tree_find(&a->mm->tree, va);
	struct kmm_page *page = kmm_pfn_to_page(a->k, pte.pfn);
	enum kmm_kind kind;

	if (!vma || vma->start > va) {
		complain(a, "a present entry outside of all areas", va, pte.pfn.v);
		return;
	}
	if (!page || !is_user_kind(kmm_page_kind(page))) {
		complain(a, "an entry shows a frame that no program may see", va, pte.pfn.v);
		return;
	}
	kind = kmm_page_kind(page);
	if ((raw & KMM_X86_WATCHED) && (!(vma->flags & KMM_VM_WATCH_WRITES) || (raw & KMM_X86_RW)))
		complain(a, "a page is watched where nobody watches writes, or can be written", va, raw);
	check_rights(a, vma, va, page, pte.flags);
	check_owner(a, vma, va, page);
	if (kind == KMM_KIND_ANON)
		a->rss[KMM_RSS_ANON]++;
	else if (kind != KMM_KIND_ZERO)
		a->rss[vma->flags & KMM_VM_SHMEM ? KMM_RSS_SHMEM : KMM_RSS_FILE]++;
	a->nr_entries += kind == KMM_KIND_ANON || kind == KMM_KIND_FILE;
}

/* An entry that is neither present nor zero. */
static void check_swapped(struct audit *a, kmm_word va, uint64_t raw)
{
	struct kmm_vma *vma = kmm_tree_find(&a->mm->tree, va);

	if (kmm_raw_is_watched(raw) && (!vma || !(vma->flags & KMM_VM_WATCH_WRITES)))
		complain(a, "a page is watched where nobody watches writes", va, raw);
	if (raw == KMM_RAW_WATCHED_HOLE) {
		if (!vma || vma->start > va || !vma->backing)
			complain(a, "a mark where no backing's page can be", va, raw);
		return;
	}
	if (!kmm_raw_is_swap(raw) || raw >> 32 || !kmm_swap_check_entry(a->k, kmm_raw_slot(raw)))
		complain(a, "a software value in a user table", va, raw);
	else if (!vma || vma->start > va || !kmm_vma_is_private(vma) || !vma->anon)
		complain(a, "a swapped page outside of private memory", va, raw);
	a->rss[KMM_RSS_SWAP]++;
}

static bool check_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct audit *a = arg;

	for (unsigned i = 0; i < nr; i++) {
		struct kmm_ptref ref = kmm_ptref_at(a->k, first, i);
		uint64_t raw = kmm_pt_read(a->k, &ref);
		struct kmm_pte pte = kmm_pt_decode(a->k, raw);
		kmm_word at = va + ((kmm_word)i << KMM_PAGE_SHIFT);

		if (pte.flags & KMM_PTE_PRESENT)
			check_entry(a, at, pte, raw);
		else if (raw)
			check_swapped(a, at, raw);
	}
	return true;
}

/* ---- areas ---- */

static void check_vma(struct audit *a, const struct kmm_vma *vma)
{
	struct kmm_anon *anon = vma->anon;

	if (vma->mm != a->mm || ((vma->start | vma->end) & (KMM_PAGE_SIZE - 1)) || vma->end > kmm_mm_task_size(a->mm))
		complain(a, "an area is out of place", vma->start, vma->end);
	if (vma->flags & ~(vma->flags >> 4) & KMM_VM_ACCESS)
		complain(a, "an area has rights it may not have", vma->start, vma->flags);
	if (vma->backing && !kmm_mapping_of(vma->backing))
		complain(a, "an area's backing does not know of any", vma->start, 0);
	if (anon && kmm_list_empty(&anon->vmas))
		complain(a, "an area's family does not know of it", vma->start, 0);
	/* Each object is counted at the head of its list. */
	if (anon && anon->vmas.next == &vma->by_anon) {
		unsigned nr = 0;

		for (struct kmm_list *l = anon->vmas.next; l != &anon->vmas; l = l->next)
			nr++;
		a->nr_anon++;
		if (nr != anon->refs)
			complain(a, "a family counts another number of areas", vma->start, anon->refs);
	}
}

static void check_sums(struct audit *a)
{
	struct kmm_mm sums = { .k = a->k, .limits = a->mm->limits };
	struct kmm_mm *mm = a->mm;
	uint32_t nr = 0;

	for (struct kmm_vma *vma = kmm_mm_first(mm); vma; vma = kmm_vma_next(vma), nr++) {
		check_vma(a, vma);
		kmm_mm_account(&sums, vma->flags, kmm_vma_pages(vma));
	}
	if (nr != mm->map_count)
		complain(a, "the number of areas is wrong", nr, mm->map_count);
	if (sums.total_pages != mm->total_pages || sums.data_pages != mm->data_pages ||
	    sums.stack_pages != mm->stack_pages || sums.exec_pages != mm->exec_pages ||
	    sums.locked_pages > mm->locked_pages || /* mremap() may leave more counted: MREMAP_DONTUNMAP */
	    sums.committed_pages != mm->committed_pages)
		complain(a, "the sizes of a space are not those of its areas", sums.total_pages, mm->total_pages);
	if (mm->tree.nr_spare > KMM_TREE_KEEP)
		complain(a, "too many spare nodes are kept", mm->tree.nr_spare, 0);
}

static void check_space(struct audit *a, struct kmm_mm *mm)
{
	kmm_word resume;

	a->mm = mm;
	memset(a->rss, 0, sizeof(a->rss));
	a->bad += kmm_tree_check(&mm->tree, &mm->vmas, a->out);
	check_sums(a);
	kmm_pt_for_each_run(a->k, &mm->space, 0, kmm_mm_task_size(mm), check_run, a, &resume);
	for (unsigned i = 0; i < KMM_NR_RSS; i++)
		if (a->rss[i] != kmm_mm_rss(mm, i))
			complain(a, "the number of resident pages is wrong", a->rss[i], kmm_mm_rss(mm, i));
}

/* ---- frames ---- */

static void check_frame(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr)
{
	struct audit *a = arg;
	enum kmm_kind kind = kmm_page_kind(page);
	uint32_t mapcount, refcount, found, cached;

	(void)nr;
	if (kind != KMM_KIND_ANON && kind != KMM_KIND_FILE)
		return;
	mapcount = atomic_load(&page->count);
	refcount = atomic_load(&page->refcount);
	cached = kind == KMM_KIND_FILE && kmm_page_owner(a->k, page) != NULL;
	if (cached && (kmm_page_flags(page) & KMM_PG_STORED) && (kmm_page_flags(page) & KMM_PG_DIRTY))
		a->nr_dirty++;
	found = kmm_rmap_walk(a->k, page, NULL, NULL);
	a->nr_mapcounts += mapcount;
	if (found != mapcount)
		complain(a, "the reverse map finds another number of entries than the map count", pfn.v, found);
	a->nr_pins += (refcount - mapcount - cached) / KMM_PIN_REFS;
	if ((refcount - mapcount - cached) % KMM_PIN_REFS)
		complain(a, "references are not mappings, cache and pins", pfn.v, refcount);
	if (refcount == 0 || (kind == KMM_KIND_ANON && mapcount == 0 && refcount < KMM_PIN_REFS))
		complain(a, "a user frame that nobody has", pfn.v, refcount);
}

/* ---- files with pages in swap ---- */

static void check_swapped_file(struct audit *a, struct kmm_mapping *mapping)
{
	struct kmm_file *file = (struct kmm_file *)mapping->backing;
	uint64_t nr = 0;

	for (uint64_t i = 0; kmm_radix_next_used(file->pages, &i); i++) {
		uint32_t raw = kmm_radix_swapped(file->pages, i);

		nr += raw != 0;
		if (raw && (file->store || !kmm_swap_check_entry(a->k, raw)))
			complain(a, "a file's page is where no swap is", i, raw);
	}
	if (nr != file->nr_swapped || nr == 0)
		complain(a, "a file's number of swapped pages is wrong", nr, file->nr_swapped);
}

static void check_swapped_files(struct audit *a)
{
	struct kmm_vm *vm = a->k->vm;
	unsigned nr = 0;

	for (struct kmm_list *l = vm->swapped_files.next; l != &vm->swapped_files; l = l->next, nr++)
		check_swapped_file(a, kmm_container(l, struct kmm_mapping, by_swap));
	if (nr != vm->nr_swapped_files)
		complain(a, "the number of files with swapped pages is wrong", nr, vm->nr_swapped_files);
}

unsigned kmm_vm_audit(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_vm *vm = k->vm;
	struct audit a = { .k = k, .out = out };
	unsigned nr = 0;

	kmm_group_check_begin(k);
	kmm_swap_check_begin(k);
	for (struct kmm_list *l = vm->mms.next; l != &vm->mms; l = l->next, nr++)
		check_space(&a, kmm_container(l, struct kmm_mm, link));
	check_swapped_files(&a);
	a.bad += kmm_swap_check_end(k, out) + kmm_group_check_end(k, out);
	kmm_phys_for_each(k, check_frame, &a);
	if (nr != vm->nr_mms)
		complain(&a, "the number of spaces is wrong", nr, vm->nr_mms);
	if (a.nr_dirty != vm->nr_dirty || vm->nr_writing)
		complain(&a, "the number of dirty pages is wrong", a.nr_dirty, vm->nr_dirty);
	if (a.nr_pins != vm->nr_pins)
		complain(&a, "pinned frames are not as many as pins", a.nr_pins, vm->nr_pins);
	if (a.nr_entries != a.nr_mapcounts)
		complain(&a, "entries of all spaces are not the sum of the map counts", a.nr_entries, a.nr_mapcounts);
	if (atomic_load(&vm->moving) || atomic_load(&vm->visitors))
		complain(&a, "pages are being moved by nobody", atomic_load(&vm->moving), atomic_load(&vm->visitors));
	if (a.nr_anon != atomic_load(&vm->nr_anon))
		complain(&a, "anon objects without areas", a.nr_anon, atomic_load(&vm->nr_anon));
	if (atomic_load(&vm->zero_page->refcount) != 1)
		complain(&a, "the zero page has other references", 0, atomic_load(&vm->zero_page->refcount));
	return a.bad;
}
