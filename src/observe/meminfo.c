/* SPDX-License-Identifier: MIT */
/*
 * /proc/meminfo: figures that only the sum of the layers has.
 *
 * Every line is a count that the core keeps or a true zero. SwapCached are the pages on their way: being written to a device that
 * tells of the end, read ahead, or the only copies of what could not be written; at rest a page is in memory or in swap. There are
 * no lists of pages, so Active and Inactive cannot be told apart: all stand as inactive, but for pages of files that have no store,
 * which are unevictable, as Linux shows ramfs. Lines about things the core does not have or cannot see (KernelStack belongs to
 * the embedder, Percpu, transparent huge pages) are left out.
 */
#include "observe/totals.h"

#include "base/shared.h"
#include "kmm/kmm.h"
#include "kmm/node.h"
#include "phys/alloc.h"
#include "pt/pt.h"
#include "slab/slab.h"
#include "vm/mm.h"
#include "vm/vm.h"

static void add_zone(struct kmm_totals *t, enum kmm_zone_id id, const struct kmm_zone_info *zone)
{
	kmm_word reserve = 0;

	t->managed += zone->managed;
	t->free += zone->free;
	t->cma += zone->cma;
	t->free_cma += zone->free_cma;
	if (id == KMM_ZONE_HIGHMEM) {
		t->high_managed += zone->managed;
		t->high_free += zone->free;
	}
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		reserve = zone->protection[i] > reserve ? zone->protection[i] : reserve;
	reserve += zone->high;
	t->low_reserve += reserve < zone->managed ? reserve : zone->managed;
	t->low_watermarks += zone->low;
	for (unsigned i = 0; i < KMM_NR_KINDS; i++)
		t->kinds[i] += zone->kinds[i];
}

static void count_file_page(struct kmm_totals *t, const struct kmm_page *page, uint32_t flags)
{
	kmm_word nr = (kmm_word)1 << (flags >> 4 & 15);

	if (atomic_load_explicit(&page->count, memory_order_relaxed))
		t->file_mapped += nr;
	if (flags & KMM_PG_SHMEM)
		t->shmem += nr;
	else if (flags & KMM_PG_STORED)
		t->file_cached += nr;
}

/* Programs look at these files again and again, and no count that faults would have to keep pays for that; so this is a few instructions for
 * each frame, all in one place. Bodies of larger blocks are of no kind. */
static void count_file_pages(const struct kmm_phys *p, kmm_word first, kmm_word nr, struct kmm_totals *t)
{
	const unsigned stride = kmm_stride(p);
	const struct kmm_page *page = kmm_page_at(p, first);

	for (; nr; nr--, page = (const struct kmm_page *)(const void *)((const char *)page + stride)) {
		uint32_t flags = kmm_page_flags(page);

		if ((flags & 15) == KMM_KIND_FILE)
			count_file_page(t, page, flags);
	}
}

static void count_all_file_pages(const struct kmm_phys *p, struct kmm_totals *t)
{
	for (kmm_word pfn = 0; pfn < p->max_pfn; pfn += KMM_SECTION_PAGES) {
		kmm_word nr = p->max_pfn - pfn < KMM_SECTION_PAGES ? p->max_pfn - pfn : KMM_SECTION_PAGES;

		if (kmm_section_is_live(p, kmm_section_of(pfn)))
			count_file_pages(p, pfn, nr, t);
	}
}

void kmm_totals(struct kmm *k, struct kmm_totals *t)
{
	struct kmm_zone_info zone;

	*t = (struct kmm_totals){ 0 };
	for (unsigned i = 0; i < kmm_nr_nodes(k) * KMM_NR_ZONES; i++)
		if (kmm_node_zone_info(k, i / KMM_NR_ZONES, (enum kmm_zone_id)(i % KMM_NR_ZONES), &zone))
			add_zone(t, (enum kmm_zone_id)(i % KMM_NR_ZONES), &zone);
	if (t->kinds[KMM_KIND_FILE])
		count_all_file_pages(k->phys, t);
	if (k->vm) {
		t->committed = kmm_vm_committed(k);
		t->pins = kmm_word_look(&k->vm->nr_pins);
		t->pins_taken = kmm_word_look(&k->vm->pins_taken);
	}
	if (k->slab)
		t->shrunk = kmm_word_glance(&k->slab->shrunk);
	kmm_swap_stats(k, &t->swap);
	kmm_zswap_stats(k, &t->zswap);
	kmm_reclaim_stats(k, &t->reclaim);
	kmm_writeback_stats(k, &t->files);
	t->vmalloc_used = t->kinds[KMM_KIND_VMALLOC];
}

/* Linux's estimate: free memory above the reserves, and of the pages of files with a store all but what is needed to run on: half of them, or
 * the low marks. No slab is reclaimable: the caches that shrinkers empty hold other memory (SReclaimable is 0). */
static kmm_word available(const struct kmm_totals *t)
{
	kmm_word half = t->file_cached / 2, kept = half < t->low_watermarks ? half : t->low_watermarks;
	kmm_word all = t->free + t->file_cached - kept;

	return all > t->low_reserve ? all - t->low_reserve : 0;
}

static void line(struct kmm_sink *out, const char *name, kmm_word pages)
{
	kmm_printf(out, "%-16s%8llu kB\n", name, (unsigned long long)pages << (KMM_PAGE_SHIFT - 10));
}

static void memory_lines(const struct kmm_totals *t, struct kmm_sink *out)
{
	line(out, "MemTotal:", t->managed);
	line(out, "MemFree:", t->free);
	line(out, "MemAvailable:", available(t));
	line(out, "Buffers:", 0);
	line(out, "Cached:", t->kinds[KMM_KIND_FILE]);
	line(out, "SwapCached:", t->swap.cached + t->swap.writing);
	line(out, "Active:", 0);
	line(out, "Inactive:", t->kinds[KMM_KIND_ANON] + t->shmem + t->file_cached);
	line(out, "Active(anon):", 0);
	line(out, "Inactive(anon):", t->kinds[KMM_KIND_ANON] + t->shmem);
	line(out, "Active(file):", 0);
	line(out, "Inactive(file):", t->file_cached);
	line(out, "Unevictable:", t->kinds[KMM_KIND_FILE] - t->shmem - t->file_cached);
	line(out, "Mlocked:", 0);
}

static void high_lines(const struct kmm *k, const struct kmm_totals *t, struct kmm_sink *out)
{
	if (!k->layout.kmap_slots)
		return;
	line(out, "HighTotal:", t->high_managed);
	line(out, "HighFree:", t->high_free);
	line(out, "LowTotal:", t->managed - t->high_managed);
	line(out, "LowFree:", t->free - t->high_free);
}

static void use_lines(const struct kmm_totals *t, struct kmm_sink *out)
{
	line(out, "SwapTotal:", t->swap.total);
	line(out, "SwapFree:", t->swap.free);
	line(out, "Zswap:", t->zswap.frames);
	line(out, "Zswapped:", t->zswap.pages);
	line(out, "Dirty:", t->files.dirty);
	line(out, "Writeback:", t->files.writing);
	line(out, "AnonPages:", t->kinds[KMM_KIND_ANON]);
	line(out, "Mapped:", t->file_mapped);
	line(out, "Shmem:", t->shmem);
	line(out, "KReclaimable:", 0);
	line(out, "Slab:", t->kinds[KMM_KIND_SLAB]);
	line(out, "SReclaimable:", 0);
	line(out, "SUnreclaim:", t->kinds[KMM_KIND_SLAB]);
	line(out, "PageTables:", t->kinds[KMM_KIND_PGTABLE]);
	line(out, "SecPageTables:", 0);
	line(out, "NFS_Unstable:", 0);
	line(out, "Bounce:", 0);
	line(out, "WritebackTmp:", 0);
}

static void limit_lines(const struct kmm *k, const struct kmm_totals *t, struct kmm_sink *out)
{
	uint64_t vmalloc = k->layout.vmalloc_end - k->layout.vmalloc_start;

	line(out, "CommitLimit:", k->vm ? kmm_vm_commit_limit((struct kmm *)k) : t->managed / 2);
	line(out, "Committed_AS:", t->committed);
	line(out, "VmallocTotal:", (kmm_word)(vmalloc >> KMM_PAGE_SHIFT));
	line(out, "VmallocUsed:", t->vmalloc_used);
	line(out, "VmallocChunk:", 0);
	line(out, "CmaTotal:", t->cma);
	line(out, "CmaFree:", t->free_cma);
}

/* No huge pages are kept for programs that ask for them: the size that they would have, and none. */
static void huge_lines(const struct kmm *k, struct kmm_sink *out)
{
	static const char *const counts[] = { "Total:", "Free: ", "Rsvd: ", "Surp: " };

	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		kmm_printf(out, "HugePages_%s   %5u\n", counts[i], 0u);
	line(out, "Hugepagesize:", (kmm_word)1 << (kmm_pt_fmt(k)->level[1].shift - KMM_PAGE_SHIFT));
	line(out, "Hugetlb:", 0);
}

void kmm_report_meminfo(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_totals t;

	kmm_totals(k, &t);
	memory_lines(&t, out);
	high_lines(k, &t, out);
	use_lines(&t, out);
	limit_lines(k, &t, out);
	huge_lines(k, out);
}
