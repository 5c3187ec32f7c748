/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/smaps of Linux 6.1: each area with what of it is resident, shared, dirty and referenced.
 *
 * A page counts as shared when more than one entry maps it. Pss divides each page by that number, in 1/4096 of a byte.
 * What a kernel without huge pages and KSM has nothing of, is printed as the zero it is.
 */
#include "vm/report.h"

#include "swap/swap.h"
#include "vm/backing.h"

enum { PSS_SHIFT = 12 };

struct smaps {
	struct kmm *k;
	kmm_word rss, referenced, anonymous, lazy_free; /* pages */
	kmm_word shared_clean, shared_dirty, private_clean, private_dirty;
	uint64_t pss, pss_dirty, pss_anon, pss_file, pss_shmem, pss_locked;
	uint32_t vma_flags;
	kmm_word swap; /* entries that name slots; for SwapPss each counts whole */
	kmm_word file_swap; /* pages of the backing that are in swap and would be seen here */
};

static uint64_t *sort_of_pss(struct smaps *s, const struct kmm_page *page)
{
	if (kmm_page_kind(page) == KMM_KIND_ANON)
		return &s->pss_anon;
	return s->vma_flags & KMM_VM_SHMEM ? &s->pss_shmem : &s->pss_file;
}

static void count_page(struct smaps *s, const struct kmm_page *page, uint32_t pte_flags)
{
	uint32_t mapcount = atomic_load_explicit(&page->count, memory_order_relaxed);
	bool dirty = (pte_flags & KMM_PTE_DIRTY) || (kmm_page_flags(page) & KMM_PG_DIRTY), shared = mapcount >= 2;
	uint32_t share = (uint32_t)KMM_PAGE_SIZE << PSS_SHIFT;

	if (shared)
		share /= mapcount;
	s->rss++;
	s->referenced += (pte_flags & KMM_PTE_ACCESSED) != 0;
	s->anonymous += kmm_page_kind(page) == KMM_KIND_ANON;
	s->lazy_free += kmm_page_kind(page) == KMM_KIND_ANON && (kmm_page_flags(page) & KMM_PG_LAZYFREE) && !dirty;
	s->pss += share;
	*sort_of_pss(s, page) += share;
	if (s->vma_flags & KMM_VM_LOCKED)
		s->pss_locked += share;
	if (dirty)
		s->pss_dirty += share;
	if (shared)
		++*(dirty ? &s->shared_dirty : &s->shared_clean);
	else
		++*(dirty ? &s->private_dirty : &s->private_clean);
}

static bool count_run(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct smaps *s = arg;

	(void)va;
	for (unsigned i = 0; i < nr; i++) {
		struct kmm_ptref ref = kmm_ptref_at(s->k, first, i);
		uint64_t raw = kmm_pt_read(s->k, &ref);
		struct kmm_pte pte = kmm_pt_decode(s->k, kmm_leaf_as_mapped(raw));
		struct kmm_page *page;

		s->swap += kmm_raw_is_swap(raw);
		if (!(pte.flags & KMM_PTE_PRESENT))
			continue;
		page = kmm_pfn_to_page(s->k, pte.pfn);
		if (kmm_page_kind(page) != KMM_KIND_ZERO)
			count_page(s, page, pte.flags);
	}
	return true;
}

static void put(struct kmm_sink *out, const char *name, unsigned long long kb)
{
	kmm_printf(out, "%-16s%8llu kB\n", name, kb);
}

static void put_vm_flags(const struct kmm_mm *mm, uint32_t flags, struct kmm_sink *out)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = { /* in the order of Linux's bits */
		{ KMM_VM_READ, "rd" }, { KMM_VM_WRITE, "wr" }, { KMM_VM_EXEC, "ex" }, { KMM_VM_SHARED, "sh" },
		{ KMM_VM_MAYREAD, "mr" }, { KMM_VM_MAYWRITE, "mw" }, { KMM_VM_MAYEXEC, "me" },
		{ KMM_VM_MAYSHARE, "ms" }, { KMM_VM_GROWSDOWN, "gd" }, { KMM_VM_WATCH_MISSING, "um" }, { KMM_VM_WATCH_WRITES, "uw" }, { KMM_VM_LOCKED, "lo" },
		{ KMM_VM_SEQ_READ, "sr" }, { KMM_VM_RAND_READ, "rr" }, { KMM_VM_DONTCOPY, "dc" },
		{ KMM_VM_DONTEXPAND, "de" }, { KMM_VM_LOCKONFAULT, "lf" }, { KMM_VM_ACCOUNT, "ac" },
		{ KMM_VM_NORESERVE, "nr" }, { KMM_VM_WIPEONFORK, "wf" }, { KMM_VM_DONTDUMP, "dd" },
		{ KMM_VM_SOFTDIRTY, "sd" }, { KMM_VM_HUGE, "hg" }, { KMM_VM_NOT_HUGE, "nh" }, { KMM_VM_MERGEABLE, "mg" },
		{ KMM_VM_WATCH_MINOR, "ui" },
	};

	if (kmm_fmt(mm->k)->va_bits <= 32) /* Linux watches writes on 64-bit machines alone */
		flags &= ~(uint32_t)KMM_VM_SOFTDIRTY;
	kmm_printf(out, "VmFlags: ");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (flags & names[i].bit)
			kmm_printf(out, "%s ", names[i].name);
	kmm_printf(out, "\n");
}

static void put_pss(struct kmm_sink *out, const char *name, uint64_t pss)
{
	put(out, name, pss >> (10 + PSS_SHIFT));
}

static void put_sums(const struct smaps *s, bool rollup, struct kmm_sink *out)
{
	static const char *const nothing[] = { "AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:", "Shared_Hugetlb:",
					       "Private_Hugetlb:" };

	put(out, "Rss:", kmm_kb(s->rss));
	put_pss(out, "Pss:", s->pss);
	put_pss(out, "Pss_Dirty:", s->pss_dirty);
	if (rollup) {
		put_pss(out, "Pss_Anon:", s->pss_anon);
		put_pss(out, "Pss_File:", s->pss_file);
		put_pss(out, "Pss_Shmem:", s->pss_shmem);
	}
	put(out, "Shared_Clean:", kmm_kb(s->shared_clean));
	put(out, "Shared_Dirty:", kmm_kb(s->shared_dirty));
	put(out, "Private_Clean:", kmm_kb(s->private_clean));
	put(out, "Private_Dirty:", kmm_kb(s->private_dirty));
	put(out, "Referenced:", kmm_kb(s->referenced));
	put(out, "Anonymous:", kmm_kb(s->anonymous));
	put(out, "LazyFree:", kmm_kb(s->lazy_free));
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
		put(out, nothing[i], 0);
	put(out, "Swap:", kmm_kb(s->swap + s->file_swap));
	put(out, "SwapPss:", kmm_kb(s->swap));
	put_pss(out, "Locked:", s->pss_locked);
}

static void put_area(const struct kmm_vma *vma, const struct smaps *s, struct kmm_sink *out)
{
	kmm_report_area(vma, out);
	put(out, "Size:", kmm_kb(kmm_vma_pages(vma)));
	put(out, "KernelPageSize:", KMM_PAGE_SIZE >> 10);
	put(out, "MMUPageSize:", KMM_PAGE_SIZE >> 10);
	put_sums(s, false, out);
	kmm_printf(out, "THPeligible:    0\n");
	put_vm_flags(vma->mm, vma->flags, out);
}

/* As Linux: not in private areas that may have copies in their places. */
static void count_file_swap(struct kmm_vma *vma, struct smaps *s)
{
	struct kmm_file *file = (struct kmm_file *)vma->backing;
	struct kmm_mapping *mapping;

	if (!vma->backing || !kmm_backing_is_file(vma->backing) || (kmm_vma_is_private(vma) && vma->anon))
		return;
	mapping = kmm_mapping_of(vma->backing);
	kmm_mutex_lock_class(s->k, &mapping->lock, KMM_LOCK_BACKING);
	s->file_swap += (kmm_word)kmm_file_count_swapped(file, vma->pgoff, vma->pgoff + kmm_vma_pages(vma));
	kmm_mutex_unlock_class(s->k, &mapping->lock, KMM_LOCK_BACKING);
}

static void count_area(struct kmm_vma *vma, struct smaps *s)
{
	kmm_word resume;

	count_file_swap(vma, s);

	s->vma_flags = vma->flags;
	kmm_pt_for_each_run(s->k, &vma->mm->space, vma->start, vma->end, count_run, s, &resume);
}

void kmm_report_smaps(struct kmm_mm *mm, struct kmm_sink *out)
{
	kmm_mm_lock(mm);
	for (struct kmm_vma *vma = kmm_mm_first(mm); vma; vma = kmm_vma_next(vma)) {
		struct smaps s = { .k = mm->k };

		count_area(vma, &s);
		put_area(vma, &s, out);
	}
	kmm_mm_unlock(mm);
}

void kmm_report_smaps_rollup(struct kmm_mm *mm, struct kmm_sink *out)
{
	struct smaps s = { .k = mm->k };
	kmm_word start = 0, end = 0;

	kmm_mm_lock(mm);
	for (struct kmm_vma *vma = kmm_mm_first(mm); vma; vma = kmm_vma_next(vma)) {
		start = end ? start : vma->start;
		end = vma->end;
		count_area(vma, &s);
	}
	kmm_report_line(mm->k, &(struct kmm_area_line){ .start = start, .end = end, .name = "[rollup]" }, out);
	put_sums(&s, true, out);
	kmm_mm_unlock(mm);
}
